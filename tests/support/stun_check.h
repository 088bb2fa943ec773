/* stun_check.h - what must hold for any bytes whatever that claim to be STUN.
 *
 *      bytes -> stun_read -> refused
 *                         -> accepted: every part inside the bytes; written again and read again,
 *                            it says the same
 *            -> stun_server_answer -> silence, or an answer within its bounds
 *            -> stun_client_hear -> no result but from a good answer
 *
 * Shared by the fuzz target, by the unit test that replays its corpus, and by those that draw
 * messages at random.
 */
#ifndef TESTS_SUPPORT_STUN_CHECK_H
#define TESTS_SUPPORT_STUN_CHECK_H

#include "node/base/must.h"
#include "node/nat/stun_client.h"
#include "node/nat/stun_server.h"

enum { STUN_CHECK_MAX = 8192 }; /* Longest message that is written again. */

/* Writes what the message says, in the order of STUN_ATTRIBUTES; the tags are made with `key`. Of
 * attributes that are not known it writes nothing. Returns the length, 0 when it does not fit. */
static inline size_t stun_check_write(const struct stun_message *message, struct slice key,
                                      uint8_t *buffer, size_t cap)
{
    static const enum stun_attribute addrs[] = {STUN_MAPPED_ADDRESS, STUN_XOR_MAPPED_ADDRESS,
                                                STUN_RESPONSE_ORIGIN, STUN_OTHER_ADDRESS};
    static const enum stun_attribute texts[] = {STUN_USERNAME, STUN_REALM,   STUN_NONCE,
                                                STUN_SOFTWARE, STUN_PADDING, STUN_USE_CANDIDATE};
    static const enum stun_attribute numbers[] = {STUN_CHANGE_REQUEST, STUN_PRIORITY,
                                                  STUN_RESPONSE_PORT, STUN_ICE_CONTROLLED,
                                                  STUN_ICE_CONTROLLING};
    const struct port_addr *addr[] = {&message->mapped, &message->xor_mapped, &message->origin,
                                      &message->other};
    const struct slice text[] = {message->username, message->realm,   message->nonce,
                                 message->software, message->padding, slice_of(NULL, 0)};
    const uint64_t number[] = {message->change, message->priority, message->response_port,
                               message->controlled, message->controlling};
    struct stun_writer writer;
    stun_start(&writer, buffer, cap, message->class, message->method, &message->id);
    for (size_t i = 0; i < array_len(addrs); i++) {
        if (stun_has(message, addrs[i])) {
            stun_add_addr(&writer, addrs[i], addr[i]);
        }
    }
    for (size_t i = 0; i < array_len(texts); i++) {
        if (stun_has(message, texts[i])) {
            stun_add_bytes(&writer, texts[i], text[i]);
        }
    }
    for (size_t i = 0; i < array_len(numbers); i++) {
        if (stun_has(message, numbers[i])) {
            stun_add_number(&writer, numbers[i], number[i]);
        }
    }
    if (stun_has(message, STUN_ERROR_CODE)) {
        stun_add_error(&writer, (enum stun_error)message->error_code);
    }
    if (stun_has(message, STUN_UNKNOWN_ATTRIBUTES)) {
        stun_add_unknown(&writer, &message->refused);
    }
    if (stun_has(message, STUN_MESSAGE_INTEGRITY)) {
        stun_add_integrity(&writer, key);
    }
    if (stun_has(message, STUN_MESSAGE_INTEGRITY_SHA256)) {
        stun_add_sha256(&writer, key);
    }
    if (stun_has(message, STUN_FINGERPRINT)) {
        stun_add_fingerprint(&writer);
    }
    return stun_end(&writer);
}

static inline bool stun_check_slices_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Whether both say the same; what is written for a reason, and unknown attributes, aside. */
static inline bool stun_check_equal(const struct stun_message *a, const struct stun_message *b)
{
    return a->class == b->class && a->method == b->method && a->present == b->present &&
           memcmp(&a->id, &b->id, sizeof a->id) == 0 && port_addr_equal(&a->mapped, &b->mapped) &&
           port_addr_equal(&a->xor_mapped, &b->xor_mapped) &&
           port_addr_equal(&a->origin, &b->origin) && port_addr_equal(&a->other, &b->other) &&
           stun_check_slices_equal(a->username, b->username) &&
           stun_check_slices_equal(a->realm, b->realm) &&
           stun_check_slices_equal(a->nonce, b->nonce) &&
           stun_check_slices_equal(a->software, b->software) &&
           stun_check_slices_equal(a->padding, b->padding) && a->error_code == b->error_code &&
           a->response_port == b->response_port && a->change == b->change &&
           a->priority == b->priority && a->controlled == b->controlled &&
           a->controlling == b->controlling &&
           memcmp(&a->refused, &b->refused, sizeof a->refused) == 0;
}

static inline void stun_check_inside(const struct stun_message *message, struct slice part)
{
    const uint8_t *start = message->bytes.data;
    must(part.len == 0 || (part.data >= start + STUN_HEADER_LEN &&
                           part.data + part.len <= start + message->bytes.len));
}

static inline bool stun_check_read(struct slice bytes)
{
    static const char password[] = "VOkJxbRl1RmTxUk/WvJxBt";
    struct slice key = slice_of(password, sizeof password - 1);
    static uint8_t again[STUN_CHECK_MAX];
    struct stun_message message;
    struct stun_message second;
    if (!stun_read(bytes, &message)) {
        return false;
    }
    must(bytes.len >= STUN_HEADER_LEN && bytes.len % 4 == 0);
    must(stun_is_message(bytes) == (message.method < 0x80));
    stun_check_inside(&message, message.username);
    stun_check_inside(&message, message.realm);
    stun_check_inside(&message, message.nonce);
    stun_check_inside(&message, message.software);
    stun_check_inside(&message, message.padding);
    stun_check_inside(&message, message.reason);
    must(message.unknown.count <= STUN_UNKNOWN_MAX && message.refused.count <= STUN_UNKNOWN_MAX);
    (void)stun_integrity_is_valid(&message, key);
    (void)stun_sha256_is_valid(&message, key);

    size_t len = stun_check_write(&message, key, again, sizeof again);
    if (len > 0) {
        must(stun_read(slice_of(again, len), &second) && stun_check_equal(&message, &second));
        must(stun_integrity_is_valid(&second, key) == stun_has(&second, STUN_MESSAGE_INTEGRITY));
        must(stun_sha256_is_valid(&second, key) ==
             stun_has(&second, STUN_MESSAGE_INTEGRITY_SHA256));
    }
    return true;
}

static inline void stun_check_server(struct slice bytes, bool has_other)
{
    static const char software[] = "under test";
    struct stun_server_config config = {.software = slice_of(software, sizeof software - 1),
                                        .has_other = has_other};
    for (uint8_t i = 0; i < STUN_LOCALS; i++) {
        config.local[i].ip[15] = i / STUN_OTHER_IP;
        config.local[i].port[1] = i % STUN_OTHER_IP;
    }
    struct stun_server_question question = {
        .request = bytes,
        .from = {.ip = {[15] = 7}, .port = {1, 1}},
        .local = has_other ? 2 : 0,
    };
    struct stun_server_reply reply;
    struct stun_message message;
    struct stun_message request;
    if (!stun_server_answer(&config, &question, &reply)) {
        return;
    }
    must(reply.len >= STUN_HEADER_LEN && reply.len <= STUN_ANSWER_MAX && reply.local < STUN_LOCALS);
    must(port_addr_equal(&reply.to, &question.from));
    must(reply.local == question.local || (has_other && reply.len <= bytes.len));
    must(stun_read(bytes, &request) && stun_read(slice_of(reply.bytes, reply.len), &message));
    must(message.class == STUN_SUCCESS || message.class == STUN_ERROR);
    must(memcmp(&message.id, &request.id, sizeof request.id) == 0);
    must(stun_has(&message, STUN_FINGERPRINT) == stun_has(&request, STUN_FINGERPRINT));
    must(message.class == STUN_SUCCESS ||
         (message.error_code == STUN_UNKNOWN_ATTRIBUTE && message.refused.count > 0));
}

/* The client has asked with the id that these bytes carry: the best that a forger can do. */
static inline void stun_check_client(struct slice bytes)
{
    struct stun_client_options options = {.server = {.ip = {[15] = 1}, .port = {13, 150}}};
    struct stun_client client;
    struct stun_id id = {{0}};
    uint8_t request[STUN_REQUEST_MAX];
    if (bytes.len >= STUN_HEADER_LEN) {
        memcpy(&id, bytes.data + STUN_HEADER_LEN - STUN_ID_LEN, sizeof id);
    }
    stun_client_start(&client, &options, &id, 0);
    must(stun_client_ask(&client, 0, request) > 0);
    bool is_over = stun_client_hear(&client, 1, &options.server, bytes);
    must(is_over == (client.state != STUN_ASKING));
    must(client.state != STUN_ANSWERED || client.result.has_mapped);
    must(client.state != STUN_REFUSED || client.result.error_code >= 300);
}

/* True when the bytes were accepted. */
static inline bool stun_check(struct slice bytes)
{
    stun_check_server(bytes, false);
    stun_check_server(bytes, true);
    stun_check_client(bytes);
    return stun_check_read(bytes);
}

#endif /* TESTS_SUPPORT_STUN_CHECK_H */
