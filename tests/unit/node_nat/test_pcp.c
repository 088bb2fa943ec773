/* test_pcp.c - PCP and NAT-PMP: bytes as the RFCs draw them, random messages, cut and altered ones.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/rng.h"
#include "tests/support/corpus.h"
#include "tests/support/pcp_check.h"

/* RFC 6887 figures 2 and 9, field by field: map UDP port 4000 of 192.168.1.2 for two hours, any
 * external address of IPv4, 4000 if possible. */
static const uint8_t map_request[] = {
    2,    1,    0,    0,    0, 0, 0x1c, 0x20, /* version, MAP, 7200 s */
    0,    0,    0,    0,    0, 0, 0,    0,    0, 0,  0xff, 0xff, 192, 168, 1, 2, /* client */
    1,    2,    3,    4,    5, 6, 7,    8,    9, 10, 11,   12,                   /* nonce */
    17,   0,    0,    0,                                                         /* UDP */
    0x0f, 0xa0, 0x0f, 0xa0,                                                      /* ports */
    0,    0,    0,    0,    0, 0, 0,    0,    0, 0,  0xff, 0xff, 0,   0,   0, 0, /* any */
};

/* Figures 3 and 10: granted for one hour as 203.0.113.5:20000, 256 s after the router began. */
static const uint8_t map_answer[] = {
    2,    0x81, 0,    0,    0, 0, 0x0e, 0x10, 0, 0,  1,    0,  /* header, 3600 s */
    0,    0,    0,    0,    0, 0, 0,    0,    0, 0,  0,    0,  /* reserved */
    1,    2,    3,    4,    5, 6, 7,    8,    9, 10, 11,   12, /* nonce */
    17,   0,    0,    0,                                       /* UDP */
    0x0f, 0xa0, 0x4e, 0x20,                                    /* ports */
    0,    0,    0,    0,    0, 0, 0,    0,    0, 0,  0xff, 0xff, 203, 0, 113, 5,
};

static struct pcp_request request_of_map(void)
{
    return (struct pcp_request){
        .opcode = PCP_MAP,
        .lifetime_s = PCP_LIFETIME_S,
        .client = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168, [14] = 1, [15] = 2},
        .map = {.nonce = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
                .protocol = PCP_UDP,
                .internal_port = 4000,
                .external = {.ip = {[10] = 0xff, [11] = 0xff}, .port = {0x0f, 0xa0}}},
    };
}

Test(pcp, a_request_is_as_the_rfc_draws_it)
{
    uint8_t bytes[PCP_REQUEST_MAX];
    struct pcp_request request = request_of_map();
    cr_assert_eq(pcp_write_request(&request, bytes), sizeof map_request);
    cr_assert_arr_eq(bytes, map_request, sizeof map_request);
    cr_assert(pcp_check(slice_of(map_request, sizeof map_request)));
}

Test(pcp, an_answer_is_as_the_rfc_draws_it)
{
    struct pcp_request request = request_of_map();
    struct pcp_answer answer;
    uint8_t bytes[PCP_ANSWER_MAX];
    cr_assert(pcp_read_answer(slice_of(map_answer, sizeof map_answer), &answer));
    cr_assert_eq(answer.result, PCP_SUCCESS);
    cr_assert_eq(answer.lifetime_s, 3600);
    cr_assert_eq(answer.epoch_s, 256);
    cr_assert_eq(answer.map.external.ip[12], 203);
    cr_assert_eq(answer.map.external.port[0], 0x4e);
    cr_assert(pcp_answers(&answer, &request));
    cr_assert_eq(pcp_write_answer(&answer, bytes), sizeof map_answer);
    cr_assert_arr_eq(bytes, map_answer, sizeof map_answer);
}

/* Section 11.4. */
Test(pcp, an_answer_to_another_request_is_none)
{
    struct pcp_answer answer;
    struct pcp_request request = request_of_map();
    cr_assert(pcp_read_answer(slice_of(map_answer, sizeof map_answer), &answer));
    request.map.nonce.bytes[11] ^= 1;
    cr_assert_not(pcp_answers(&answer, &request));
    request = request_of_map();
    request.map.protocol = PCP_TCP;
    cr_assert_not(pcp_answers(&answer, &request));
    request = request_of_map();
    request.map.internal_port = 4001;
    cr_assert_not(pcp_answers(&answer, &request));
    request = request_of_map();
    request.opcode = PCP_ANNOUNCE;
    cr_assert_not(pcp_answers(&answer, &request));
}

Test(pcp, an_announcement_is_a_header)
{
    struct pcp_request request = {.opcode = PCP_ANNOUNCE};
    struct pcp_answer answer = {.opcode = PCP_ANNOUNCE, .epoch_s = 7};
    struct pcp_answer heard;
    uint8_t bytes[PCP_REQUEST_MAX];
    cr_assert_eq(pcp_write_request(&request, bytes), 24);
    cr_assert(pcp_check(slice_of(bytes, 24)));
    cr_assert_eq(pcp_write_answer(&answer, bytes), 24);
    cr_assert(pcp_read_answer(slice_of(bytes, 24), &heard));
    cr_assert_eq(heard.epoch_s, 7);
    cr_assert(pcp_answers(&heard, &request));
}

/* Section 7.3: codes below 128 must not be ignored. */
Test(pcp, options_are_obeyed_reported_or_ignored)
{
    static const struct {
        uint8_t code;
        bool must_fit;
        bool has_unknown;
    } cases[] = {{1, false, true},   {2, true, false},    {3, false, true},
                 {127, false, true}, {128, false, false}, {255, false, false}};
    for (size_t i = 0; i < array_len(cases); i++) {
        uint8_t bytes[sizeof map_request + 4] = {0};
        struct pcp_request request;
        memcpy(bytes, map_request, sizeof map_request);
        bytes[sizeof map_request] = cases[i].code;
        cr_assert(pcp_read_request(slice_of(bytes, sizeof bytes), &request));
        cr_assert_eq(request.must_fit, cases[i].must_fit);
        cr_assert_eq(request.has_unknown, cases[i].has_unknown);
        bytes[sizeof map_request + 3] = 1; /* Longer than what is left. */
        cr_assert_not(pcp_read_request(slice_of(bytes, sizeof bytes), &request));
    }
}

Test(pcp, a_failure_may_come_without_what_was_asked)
{
    struct pcp_answer answer;
    struct pcp_request request = request_of_map();
    uint8_t bytes[sizeof map_answer];
    memcpy(bytes, map_answer, sizeof bytes);
    cr_assert_not(pcp_read_answer(slice_of(bytes, 24), &answer));
    bytes[3] = PCP_NOT_AUTHORIZED;
    cr_assert(pcp_read_answer(slice_of(bytes, 24), &answer));
    cr_assert_not(answer.has_map);
    cr_assert_not(pcp_answers(&answer, &request));
    cr_assert(pcp_read_answer(slice_of(bytes, sizeof bytes), &answer));
    cr_assert(pcp_answers(&answer, &request));
    cr_assert_str_eq(pcp_result_text(answer.result), "not authorized");
}

Test(pcp, what_is_no_message_is_refused)
{
    static uint8_t bytes[PCP_MESSAGE_MAX + 4];
    struct pcp_request request;
    struct pcp_answer answer;
    memcpy(bytes, map_request, sizeof map_request);
    cr_assert_not(pcp_read_answer(slice_of(bytes, sizeof map_request), &answer));
    bytes[0] = 1; /* Another version, */
    cr_assert_not(pcp_read_request(slice_of(bytes, sizeof map_request), &request));
    bytes[0] = 2;
    bytes[1] = 2; /* opcode, */
    cr_assert_not(pcp_read_request(slice_of(bytes, sizeof map_request), &request));
    bytes[1] = 1;
    bytes[36] = PCP_ALL; /* all protocols, but one port of them; */
    cr_assert_not(pcp_read_request(slice_of(bytes, sizeof map_request), &request));
    bytes[36] = PCP_UDP;
    bytes[sizeof map_request] = 200; /* as long as can be, with an option; and longer. */
    bytes[sizeof map_request + 2] = (PCP_MESSAGE_MAX - sizeof map_request - 4) >> 8;
    bytes[sizeof map_request + 3] = (uint8_t)(PCP_MESSAGE_MAX - sizeof map_request - 4);
    cr_assert(pcp_read_request(slice_of(bytes, PCP_MESSAGE_MAX), &request));
    cr_assert_not(pcp_read_request(slice_of(bytes, PCP_MESSAGE_MAX + 4), &request));
}

Test(pcp, a_message_cut_anywhere_is_refused)
{
    for (size_t cut = 0; cut < sizeof map_request; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, map_request, cut);
        cr_assert_not(pcp_check(slice_of(exact, cut)), "%zu", cut);
        memcpy(exact, map_answer, cut);
        cr_assert_not(pcp_check(slice_of(exact, cut)), "%zu", cut);
        free(exact);
    }
}

/* Nothing covers these messages; an altered one means something else, or nothing, never more than
 * its bytes. */
Test(pcp, altered_and_random_bytes_are_refused_or_understood)
{
    struct rng rng;
    uint32_t accepted = 0;
    rng_seed(&rng, 6887);
    for (int round = 0; round < 200000; round++) {
        size_t len = round % 2 == 0 ? sizeof map_request : rng_below(&rng, 80);
        uint8_t *exact = malloc(len + 1);
        for (size_t i = 0; i < len; i++) {
            exact[i] = (uint8_t)rng_next(&rng);
        }
        if (round % 2 == 0) {
            memcpy(exact, round % 4 == 0 ? map_request : map_answer, len);
            exact[rng_below(&rng, len)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        } else if (len > 2) {
            exact[0] = (uint8_t)rng_below(&rng, 3);
            exact[1] &= 0x83;
        }
        accepted += pcp_check(slice_of(exact, len));
        free(exact);
    }
    cr_assert_gt(accepted, 90000);
}

Test(pcp, every_result_has_a_text_of_its_own)
{
    for (unsigned a = 0; a <= PCP_EXCESSIVE_REMOTE_PEERS; a++) {
        cr_assert_str_neq(pcp_result_text(a), "unknown result");
        for (unsigned b = a + 1; b <= PCP_EXCESSIVE_REMOTE_PEERS; b++) {
            cr_assert_str_neq(pcp_result_text(a), pcp_result_text(b));
        }
    }
    cr_assert_str_eq(pcp_result_text(14), "unknown result");
    cr_assert_str_eq(natpmp_result_text(NATPMP_UNSUPPORTED_OPCODE), "unsupported opcode");
    cr_assert_str_eq(natpmp_result_text(6), "unknown result");
}

/* Section 8.5: the router's clock may be off by a sixteenth and two seconds. */
Test(pcp, a_router_that_began_anew_is_noticed)
{
    static const struct {
        uint32_t server_s;
        uint32_t after_s;
        bool is_good;
    } cases[] = {
        {1000, 0, true},   {1160, 160, true},  {1160, 149, true}, {1160, 147, false},
        {1152, 160, true}, {1147, 160, false}, {999, 0, true},    {998, 0, false},
        {0, 100, false},   {5000, 10, false},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct pcp_epoch epoch = {0};
        uint64_t now_us = 77000000;
        cr_assert(pcp_epoch_check(&epoch, 1000, now_us));
        cr_assert_eq(
            pcp_epoch_check(&epoch, cases[i].server_s, now_us + 1000000ull * cases[i].after_s),
            cases[i].is_good, "case %zu", i);
        cr_assert_eq(epoch.server_s, cases[i].server_s); /* And counts from there on. */
    }
}

/* --- NAT-PMP: RFC 6886 figures of sections 3.2 and 3.3 --------------------------------------- */

Test(natpmp, messages_are_as_the_rfc_draws_them)
{
    static const uint8_t external_answer[] = {0, 128, 0, 0, 0, 0, 1, 0, 203, 0, 113, 5};
    static const uint8_t map[] = {0, 1, 0, 0, 0x0f, 0xa0, 0x0f, 0xa0, 0, 0, 0x1c, 0x20};
    static const uint8_t map_granted[] = {0,    129,  0,    0,    0, 0, 1,    0,
                                          0x0f, 0xa0, 0x4e, 0x20, 0, 0, 0x0e, 0x10};
    uint8_t bytes[NATPMP_ANSWER_MAX];
    struct natpmp_request request = {.opcode = NATPMP_EXTERNAL};
    struct natpmp_answer answer;
    cr_assert_eq(natpmp_write_request(&request, bytes), 2);
    cr_assert_eq(bytes[0], 0);
    cr_assert_eq(bytes[1], 0);
    request = (struct natpmp_request){
        .opcode = NATPMP_MAP_UDP, .internal_port = 4000, .external_port = 4000, .lifetime_s = 7200};
    cr_assert_eq(natpmp_write_request(&request, bytes), sizeof map);
    cr_assert_arr_eq(bytes, map, sizeof map);
    cr_assert(natpmp_read_answer(slice_of(external_answer, sizeof external_answer), &answer));
    cr_assert_eq(answer.epoch_s, 256);
    cr_assert_eq(answer.external[0], 203);
    cr_assert(natpmp_read_answer(slice_of(map_granted, sizeof map_granted), &answer));
    cr_assert_eq(answer.opcode, NATPMP_MAP_UDP);
    cr_assert_eq(answer.external_port, 20000);
    cr_assert_eq(answer.lifetime_s, 3600);
    cr_assert_eq(natpmp_write_answer(&answer, bytes), sizeof map_granted);
    cr_assert_arr_eq(bytes, map_granted, sizeof map_granted);
    cr_assert(pcp_check(slice_of(map, sizeof map)));
}

/* RFC 6886 section 3.5 and RFC 6887 section 9: what an old router says to a request of PCP. */
Test(natpmp, an_old_router_refuses_the_new_protocol)
{
    static const uint8_t bytes[] = {0, 129, 0, 1, 0, 0, 1, 0};
    struct natpmp_answer answer;
    struct pcp_answer newer;
    cr_assert_not(pcp_read_answer(slice_of(bytes, sizeof bytes), &newer));
    cr_assert(natpmp_read_answer(slice_of(bytes, sizeof bytes), &answer));
    cr_assert_eq(answer.result, NATPMP_UNSUPPORTED_VERSION);
    cr_assert_eq(answer.opcode, 1);
}

Test(natpmp, cut_messages_are_refused)
{
    static const uint8_t granted[] = {0,    129,  0,    0,    0, 0, 1,    0,
                                      0x0f, 0xa0, 0x4e, 0x20, 0, 0, 0x0e, 0x10};
    struct natpmp_answer answer;
    struct natpmp_request request;
    for (size_t cut = 0; cut < sizeof granted; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, granted, cut);
        cr_assert_not(natpmp_read_answer(slice_of(exact, cut), &answer), "%zu", cut);
        if (cut > 2) {
            exact[1] = NATPMP_MAP_TCP;
            cr_assert_eq(natpmp_read_request(slice_of(exact, cut), &request),
                         cut == NATPMP_REQUEST_MAX);
            exact[1] = NATPMP_EXTERNAL; /* Two bytes, no more. */
            cr_assert_not(natpmp_read_request(slice_of(exact, cut), &request));
        }
        free(exact);
    }
}

/* --- inputs of the fuzzers, once more in every build ----------------------------------------- */

Test(pcp, every_input_of_the_corpus_is_refused_or_understood)
{
    struct corpus_count count = corpus_replay(SOURCE_DIR "/tests/fuzz/corpus/pcp", pcp_check);
    cr_assert_geq(count.accepted, 8);
}
