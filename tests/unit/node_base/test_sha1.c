/* test_sha1.c - SHA-1, its HMAC, HMAC-SHA256 and CRC-32 against published numbers. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/base/crc32.h"
#include "node/base/hmac.h"
#include "node/base/rng.h"
#include "tests/support/vectors.h"

static struct slice text_slice(const char *text)
{
    return slice_of(text, strlen(text));
}

static const char *hex_of(const uint8_t *bytes, size_t len)
{
    static char text[2 * HMAC_SHA256_LEN + 1];
    for (size_t i = 0; i < len; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    return text;
}

static const char *sha1_hex(struct slice bytes)
{
    struct sha1 sha1;
    uint8_t out[SHA1_LEN];
    sha1_start(&sha1);
    sha1_add(&sha1, bytes);
    sha1_end(&sha1, out);
    return hex_of(out, sizeof out);
}

/* FIPS 180-4's examples, and RFC 3174 section 7.3's. */
Test(sha1, gives_the_published_digests)
{
    cr_assert_str_eq(sha1_hex(text_slice("")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    cr_assert_str_eq(sha1_hex(text_slice("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    cr_assert_str_eq(
        sha1_hex(text_slice("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    cr_assert_str_eq(
        sha1_hex(text_slice("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                            "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu")),
        "a49b2446a02c645bf419f995b67091253a04a259");
}

Test(sha1, a_million_letters_in_pieces_of_any_size)
{
    static const size_t sizes[] = {1, 3, 63, 64, 65, 127, 1000};
    uint8_t letters[1000];
    memset(letters, 'a', sizeof letters);
    for (size_t k = 0; k < array_len(sizes); k++) {
        struct sha1 sha1;
        uint8_t out[SHA1_LEN];
        sha1_start(&sha1);
        for (size_t left = 1000000; left > 0;) {
            size_t len = left < sizes[k] ? left : sizes[k];
            sha1_add(&sha1, slice_of(letters, len));
            left -= len;
        }
        sha1_end(&sha1, out);
        cr_assert_str_eq(hex_of(out, sizeof out), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }
}

/* The padding has a different shape at each length of the last block. */
Test(sha1, how_the_bytes_were_cut_changes_nothing)
{
    uint8_t bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        char whole[2 * SHA1_LEN + 1];
        strcpy(whole, sha1_hex(slice_of(bytes, len)));
        for (size_t cut = 0; cut <= len; cut += 13) {
            struct sha1 sha1;
            uint8_t out[SHA1_LEN];
            sha1_start(&sha1);
            sha1_add(&sha1, slice_of(bytes, cut));
            sha1_add(&sha1, slice_of(bytes + cut, len - cut));
            sha1_end(&sha1, out);
            cr_assert_str_eq(hex_of(out, sizeof out), whole, "%zu at %zu", len, cut);
        }
    }
}

/* RFC 2202 section 3 and RFC 4231 section 4 share most keys and data. */
Test(hmac, gives_the_published_tags)
{
    static const char jefe[] = "what do ya want for nothing?";
    static const char large[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    uint8_t key[131];
    uint8_t out[HMAC_SHA256_LEN];

    memset(key, 0x0b, 20);
    hmac_sha1(out, slice_of(key, 20), text_slice("Hi "), text_slice("There"));
    cr_assert_str_eq(hex_of(out, SHA1_LEN), "b617318655057264e28bc0b6fb378c8ef146be00");
    hmac_sha256(out, slice_of(key, 20), text_slice("Hi "), text_slice("There"));
    cr_assert_str_eq(hex_of(out, sizeof out),
                     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");

    hmac_sha1(out, text_slice("Jefe"), text_slice(jefe), text_slice(""));
    cr_assert_str_eq(hex_of(out, SHA1_LEN), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    hmac_sha256(out, text_slice("Jefe"), text_slice(jefe), text_slice(""));
    cr_assert_str_eq(hex_of(out, sizeof out),
                     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

    memset(key, 0xaa, sizeof key);
    hmac_sha1(out, slice_of(key, 80), text_slice(large), text_slice(""));
    cr_assert_str_eq(hex_of(out, SHA1_LEN), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    hmac_sha256(out, slice_of(key, sizeof key), text_slice(large), text_slice(""));
    cr_assert_str_eq(hex_of(out, sizeof out),
                     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

Test(hmac, sha256_agrees_with_wycheproof)
{
    cJSON *file = vectors_open("wycheproof/hmac_sha256_test.json");
    struct vector_bytes key;
    struct vector_bytes message;
    struct vector_bytes tag;
    uint32_t checked = 0;
    const cJSON *group;
    const cJSON *test;
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(file, "testGroups"))
    {
        cJSON_ArrayForEach(test, cJSON_GetObjectItemCaseSensitive(group, "tests"))
        {
            uint8_t out[HMAC_SHA256_LEN];
            vector_hex(test, "key", &key);
            vector_hex(test, "msg", &message);
            vector_hex(test, "tag", &tag); /* Often cut short. */
            size_t half = message.len / 2;
            hmac_sha256(out, slice_of(key.bytes, key.len), slice_of(message.bytes, half),
                        slice_of(message.bytes + half, message.len - half));
            bool is_equal = memcmp(out, tag.bytes, tag.len) == 0;
            cr_assert_eq(is_equal, strcmp(vector_text(test, "result"), "valid") == 0, "%d",
                         vector_number(test, "tcId"));
            checked++;
        }
    }
    cJSON_Delete(file);
    cr_assert_gt(checked, 100);
}

/* The check value of every table of CRCs: nine digits. */
Test(crc32, gives_the_published_check_value)
{
    cr_assert_eq(crc32_of(text_slice("123456789")), 0xcbf43926u);
    cr_assert_eq(crc32_of(text_slice("")), 0);
    cr_assert_eq(crc32_of(text_slice("The quick brown fox jumps over the lazy dog")), 0x414fa339u);
}

Test(crc32, no_single_bit_goes_unnoticed)
{
    uint8_t bytes[120];
    struct rng rng;
    rng_seed(&rng, 32);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)rng_next(&rng);
    }
    uint32_t whole = crc32_of(slice_of(bytes, sizeof bytes));
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_neq(crc32_of(slice_of(bytes, sizeof bytes)), whole);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}
