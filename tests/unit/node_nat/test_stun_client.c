/* test_stun_client.c - when a request is repeated, which answers count, and what is learnt. */
#include <criterion/criterion.h>

#include "node/nat/stun_client.h"
#include "node/nat/stun_server.h"

static const struct stun_id id = {{1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144}};

static struct port_addr addr_v4(uint8_t last, uint16_t port)
{
    return (struct port_addr){
        .ip = {[10] = 0xff, [11] = 0xff, [12] = 198, [13] = 51, [14] = 100, [15] = last},
        .port = {(uint8_t)(port >> 8), (uint8_t)port},
    };
}

static const struct stun_client_options *options_of(uint32_t change)
{
    static struct stun_client_options options;
    options = (struct stun_client_options){
        .server = addr_v4(1, 3478), .other = addr_v4(2, 3479), .change = change};
    return &options;
}

struct answered {
    uint8_t bytes[256];
    struct stun_writer writer;
};

static void answer(struct answered *answered, enum stun_class class, const struct stun_id *to)
{
    stun_start(&answered->writer, answered->bytes, sizeof answered->bytes, class, STUN_BINDING, to);
}

static bool hears(struct stun_client *client, struct answered *answered,
                  const struct port_addr *from)
{
    size_t len = stun_end(&answered->writer);
    return stun_client_hear(client, 1000000, from, slice_of(answered->bytes, len));
}

/* RFC 8489 section 6.2.1: with RTO 500 ms "requests would be sent at times 0 ms, 500 ms, 1500 ms,
 * 3500 ms, 7500 ms, 15500 ms, and 31500 ms", and the end is at 39500 ms. */
Test(stun_client, repeats_itself_at_the_published_times)
{
    static const uint64_t times_ms[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
    const uint64_t start_us = 123456789;
    struct stun_client client;
    uint8_t first[STUN_REQUEST_MAX];
    uint8_t again[STUN_REQUEST_MAX];
    size_t first_len = 0;
    stun_client_start(&client, options_of(0), &id, start_us);
    for (size_t i = 0; i < array_len(times_ms); i++) {
        uint64_t due_us = start_us + 1000 * times_ms[i];
        cr_assert_eq(stun_client_next_us(&client), due_us);
        if (i > 0) {
            cr_assert_eq(stun_client_ask(&client, due_us - 1, again), 0);
        }
        size_t len = stun_client_ask(&client, due_us, again);
        if (i == 0) {
            memcpy(first, again, len);
            first_len = len;
        }
        cr_assert_gt(len, 0);
        cr_assert_eq(len, first_len); /* Repeated as it was: the answer to either will do. */
        cr_assert_arr_eq(first, again, len);
    }
    cr_assert_eq(stun_client_next_us(&client), start_us + 39500000);
    cr_assert_eq(stun_client_ask(&client, start_us + 39500000, again), 0);
    cr_assert_eq(client.state, STUN_SILENT);
    cr_assert_eq(stun_client_next_us(&client), PORT_NEVER);
}

Test(stun_client, learns_what_our_server_says)
{
    struct stun_server_config config = {.has_other = true};
    for (uint8_t i = 0; i < STUN_LOCALS; i++) {
        config.local[i] = addr_v4(1 + i / STUN_OTHER_IP, 3478 + i % STUN_OTHER_IP);
    }
    for (uint32_t change = 0; change < 8; change += 2) {
        struct stun_client client;
        uint8_t request[STUN_REQUEST_MAX];
        stun_client_start(&client, options_of(change), &id, 0);
        size_t len = stun_client_ask(&client, 0, request);
        struct stun_server_question question = {.request = slice_of(request, len),
                                                .from = addr_v4(77, 40000)};
        struct stun_server_reply reply;
        cr_assert(stun_server_answer(&config, &question, &reply));
        cr_assert(stun_client_hear(&client, 70000, &config.local[reply.local],
                                   slice_of(reply.bytes, reply.len)));
        cr_assert_eq(client.state, STUN_ANSWERED);
        cr_assert(client.result.has_mapped);
        cr_assert(port_addr_equal(&client.result.mapped, &question.from));
        cr_assert_not(client.result.is_rewritten);
        cr_assert_eq(client.result.round_trip_us, 70000);
        cr_assert_eq(client.result.has_other, change == 0); /* There is room for it then. */
        if (client.result.has_other) {
            cr_assert(port_addr_equal(&client.result.other, &config.local[3]));
            cr_assert(port_addr_equal(&client.result.origin, &config.local[0]));
        }
    }
}

/* From another address an answer is at most as long as the request: see stun_server.h. */
Test(stun_client, asks_with_as_many_bytes_as_the_answer_needs)
{
    struct stun_client client;
    uint8_t request[STUN_REQUEST_MAX];
    struct port_addr longest = {.ip = {0x20}};
    stun_client_start(&client, options_of(STUN_CHANGE_IP), &id, 0);
    size_t len = stun_client_ask(&client, 0, request);
    cr_assert_geq(len, STUN_HEADER_LEN + stun_addr_len(&longest) + STUN_FINGERPRINT_LEN);
}

Test(stun_client, a_plain_request_is_a_header_alone)
{
    struct stun_client client;
    struct stun_client_options options = *options_of(0);
    uint8_t request[STUN_REQUEST_MAX];
    options.is_plain = true;
    stun_client_start(&client, &options, &id, 0);
    cr_assert_eq(stun_client_ask(&client, 0, request), STUN_HEADER_LEN);
}

Test(stun_client, what_is_no_answer_to_this_question_changes_nothing)
{
    struct stun_client client;
    struct port_addr server = addr_v4(1, 3478);
    struct port_addr mapped = addr_v4(77, 40000);
    struct stun_id other_id = id;
    uint8_t request[STUN_REQUEST_MAX];
    struct answered good;
    struct answered bad;
    answer(&good, STUN_SUCCESS, &id);
    stun_add_addr(&good.writer, STUN_XOR_MAPPED_ADDRESS, &mapped);

    stun_client_start(&client, options_of(0), &id, 0);
    cr_assert_not(hears(&client, &good, &server)); /* Nothing has been asked yet. */
    cr_assert_gt(stun_client_ask(&client, 0, request), 0);
    struct port_addr strangers[] = {addr_v4(2, 3478), addr_v4(1, 3479)};
    for (size_t i = 0; i < array_len(strangers); i++) {
        cr_assert_not(hears(&client, &good, &strangers[i]));
    }
    other_id.bytes[11] ^= 1;
    answer(&bad, STUN_SUCCESS, &other_id);
    stun_add_addr(&bad.writer, STUN_XOR_MAPPED_ADDRESS, &mapped);
    cr_assert_not(hears(&client, &bad, &server));
    answer(&bad, STUN_INDICATION, &id);
    cr_assert_not(hears(&client, &bad, &server));
    answer(&bad, STUN_REQUEST, &id);
    cr_assert_not(hears(&client, &bad, &server));
    answer(&bad, STUN_SUCCESS, &id); /* It says nothing. */
    cr_assert_not(hears(&client, &bad, &server));
    answer(&bad, STUN_ERROR, &id); /* It does not say which. */
    cr_assert_not(hears(&client, &bad, &server));
    answer(&bad, STUN_SUCCESS, &id);
    stun_add_addr(&bad.writer, STUN_XOR_MAPPED_ADDRESS, &mapped);
    write_u16(&bad.writer.writer, 0x7777); /* Section 6.3.3: it must be understood, and is not. */
    write_u16(&bad.writer.writer, 0);
    cr_assert_not(hears(&client, &bad, &server));
    cr_assert_eq(client.state, STUN_ASKING);

    cr_assert(hears(&client, &good, &server));
    cr_assert(port_addr_equal(&client.result.mapped, &mapped));
    cr_assert_not(hears(&client, &good, &server)); /* It is over. */
}

Test(stun_client, an_answer_asked_for_from_elsewhere_counts_from_there_only)
{
    for (uint32_t change = 2; change < 8; change += 2) {
        struct port_addr due = addr_v4((change & STUN_CHANGE_IP) != 0 ? 2 : 1,
                                       (change & STUN_CHANGE_PORT) != 0 ? 3479 : 3478);
        struct port_addr server = addr_v4(1, 3478);
        struct stun_client client;
        struct answered good;
        uint8_t request[STUN_REQUEST_MAX];
        answer(&good, STUN_SUCCESS, &id);
        stun_add_addr(&good.writer, STUN_XOR_MAPPED_ADDRESS, &server);
        stun_client_start(&client, options_of(change), &id, 0);
        cr_assert_gt(stun_client_ask(&client, 0, request), 0);
        cr_assert_not(hears(&client, &good, &server)); /* It has ignored the wish. */
        cr_assert(hears(&client, &good, &due));
    }
}

Test(stun_client, a_refusal_has_a_number_and_comes_from_the_address_asked)
{
    struct port_addr server = addr_v4(1, 3478);
    struct port_addr other = addr_v4(2, 3479);
    struct stun_client client;
    struct answered refusal;
    uint8_t request[STUN_REQUEST_MAX];
    answer(&refusal, STUN_ERROR, &id);
    stun_add_error(&refusal.writer, STUN_UNKNOWN_ATTRIBUTE);
    stun_client_start(&client, options_of(STUN_CHANGE_IP | STUN_CHANGE_PORT), &id, 0);
    cr_assert_gt(stun_client_ask(&client, 0, request), 0);
    cr_assert_not(hears(&client, &refusal, &other));
    cr_assert(hears(&client, &refusal, &server));
    cr_assert_eq(client.state, STUN_REFUSED);
    cr_assert_eq(client.result.error_code, 420);
    cr_assert_eq(stun_client_next_us(&client), PORT_NEVER);
}

Test(stun_client, tells_when_a_box_on_the_way_rewrites_addresses)
{
    struct port_addr server = addr_v4(1, 3478);
    struct port_addr mapped = addr_v4(77, 40000);
    struct port_addr rewritten = addr_v4(78, 40000);
    struct stun_client client;
    struct answered good;
    uint8_t request[STUN_REQUEST_MAX];
    answer(&good, STUN_SUCCESS, &id);
    stun_add_addr(&good.writer, STUN_MAPPED_ADDRESS, &rewritten);
    stun_add_addr(&good.writer, STUN_XOR_MAPPED_ADDRESS, &mapped);
    stun_client_start(&client, options_of(0), &id, 0);
    cr_assert_gt(stun_client_ask(&client, 0, request), 0);
    cr_assert(hears(&client, &good, &server));
    cr_assert(client.result.is_rewritten);
    cr_assert(port_addr_equal(&client.result.mapped, &mapped));
}

/* Karn's rule: whose answer is it, once there have been two requests? */
Test(stun_client, a_repeated_request_measures_no_round_trip)
{
    struct port_addr server = addr_v4(1, 3478);
    struct stun_client client;
    struct answered good;
    uint8_t request[STUN_REQUEST_MAX];
    answer(&good, STUN_SUCCESS, &id);
    stun_add_addr(&good.writer, STUN_MAPPED_ADDRESS, &server);
    stun_client_start(&client, options_of(0), &id, 0);
    cr_assert_gt(stun_client_ask(&client, 0, request), 0);
    cr_assert_gt(stun_client_ask(&client, 500000, request), 0);
    cr_assert(hears(&client, &good, &server));
    cr_assert_eq(client.result.round_trip_us, 0);
}
