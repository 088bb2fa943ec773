/* random_message.h - any message there can be, drawn at random, with lengths at their limits often.
 *
 *      rng -> random_message -> encode -> decode -> messages_equal
 */
#ifndef TESTS_UNIT_NODE_WIRE_RANDOM_MESSAGE_H
#define TESTS_UNIT_NODE_WIRE_RANDOM_MESSAGE_H

#include "node/wire/message.h"
#include "tests/support/bare_port.h"

extern const uint8_t message_kinds[];
extern const size_t message_kind_count;

/* A well-formed message of this kind that fits MESSAGE_MAX; its bytes are borrowed from `bytes`, of
 * MESSAGE_MAX. Contacts are interned: message_release() when done. */
void random_message(struct message *message, uint8_t kind, struct bare_port *bare, struct rng *rng,
                    uint8_t *bytes);

struct port_addr random_addr(struct rng *rng);
void random_bytes(struct rng *rng, uint8_t *bytes, size_t len);

/* Field by field, through slices and handles. */
bool messages_equal(const struct message *a, const struct message *b);

#endif /* TESTS_UNIT_NODE_WIRE_RANDOM_MESSAGE_H */
