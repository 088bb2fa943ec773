/* wire_check.h - what must hold for any bytes whatever that claim to be a message.
 *
 *      bytes -> message_decode -> refused, nothing held
 *                              -> accepted: encodes to the same bytes, in bounds, nothing held
 * after
 *
 * Shared by the fuzz target and by the unit test that replays its corpus.
 */
#ifndef TESTS_SUPPORT_WIRE_CHECK_H
#define TESTS_SUPPORT_WIRE_CHECK_H

#include "node/wire/message.h"
#include "tests/support/bare_port.h"

/* True when the bytes were accepted. */
static inline bool wire_check(struct bare_port *bare, struct slice bytes)
{
    struct message message;
    bool is_accepted = message_decode(&bare->port, bytes, &message);
    if (is_accepted) {
        uint8_t again[MESSAGE_MAX];
        must(bytes.len <= MESSAGE_MAX);
        must(message_kind_is_known(message.kind));
        must(message_encode(&bare->port, &message, again, sizeof again) == (int)bytes.len);
        must(memcmp(again, bytes.data, bytes.len) == 0);
        must(message_answer_max(&message) <= MESSAGE_MAX);
        message_release(&bare->port, &message);
    }
    must(bare_references(bare) == 0);
    return is_accepted;
}

#endif /* TESTS_SUPPORT_WIRE_CHECK_H */
