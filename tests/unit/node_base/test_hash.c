/* test_hash.c - BLAKE2b as published, and the separation of its domains; error texts. */
#include <signal.h>

#include <criterion/criterion.h>
#include <string.h>

#include "node/base/err.h"
#include "node/base/hash.h"

static struct slice text_slice(const char *text)
{
    return slice_of(text, strlen(text));
}

/* RFC 7693 appendix A: BLAKE2b-512 of "abc". An empty domain is the plain hash. */
Test(hash, an_empty_domain_is_the_published_blake2b)
{
    static const uint8_t expected[64] = {
        0xba, 0x80, 0xa5, 0x3f, 0x98, 0x1c, 0x4d, 0x0d, 0x6a, 0x27, 0x97, 0xb6, 0x9f,
        0x12, 0xf6, 0xe9, 0x4c, 0x21, 0x2f, 0x14, 0x68, 0x5a, 0xc4, 0xb7, 0x4b, 0x12,
        0xbb, 0x6f, 0xdb, 0xff, 0xa2, 0xd1, 0x7d, 0x87, 0xc5, 0x39, 0x2a, 0xab, 0x79,
        0x2d, 0xc2, 0x52, 0xd5, 0xde, 0x45, 0x33, 0xcc, 0x95, 0x18, 0xd3, 0x8a, 0xa8,
        0xdb, 0xf1, 0x92, 0x5a, 0xb9, 0x23, 0x86, 0xed, 0xd4, 0x00, 0x99, 0x23};
    uint8_t out[64];
    hash_domain(out, sizeof out, "", text_slice("abc"), slice_of(NULL, 0));
    cr_assert_arr_eq(out, expected, sizeof out);
    hash_domain(out, sizeof out, "", text_slice("a"), text_slice("bc"));
    cr_assert_arr_eq(out, expected, sizeof out);
}

Test(hash, domains_and_lengths_give_unrelated_hashes)
{
    uint8_t id[32];
    uint8_t record[32];
    uint8_t longer[64];
    hash_domain(id, sizeof id, "meshtwin id", text_slice("same"), slice_of(NULL, 0));
    hash_domain(record, sizeof record, "meshtwin body", text_slice("same"), slice_of(NULL, 0));
    hash_domain(longer, sizeof longer, "meshtwin id", text_slice("same"), slice_of(NULL, 0));
    cr_assert_arr_neq(id, record, sizeof id);
    cr_assert_arr_neq(id, longer, sizeof id);
}

Test(hash, a_domain_longer_than_sixteen_bytes_is_a_bug, .signal = SIGABRT)
{
    uint8_t out[32];
    hash_domain(out, sizeof out, "seventeen letters", text_slice("x"), slice_of(NULL, 0));
}

Test(err, every_error_has_a_text_of_its_own)
{
    static const int codes[] = {
#define CODE(name, value, text) (value),
        ERRORS(CODE)
#undef CODE
    };
    for (size_t i = 0; i < array_len(codes); i++) {
        cr_assert_str_neq(err_text(codes[i]), "unknown error", "%d", codes[i]);
        for (size_t k = i + 1; k < array_len(codes); k++) {
            cr_assert_neq(codes[i], codes[k]);
            cr_assert_str_neq(err_text(codes[i]), err_text(codes[k]));
        }
    }
    cr_assert_str_eq(err_text(1), "unknown error");
    cr_assert_str_eq(err_text(-1000), "unknown error");
}
