/* random_nat.h - the messages of probing, reaching and relaying, drawn at random and compared.
 *
 *      random_message, messages_equal -> random_nat, nat_messages_equal
 */
#ifndef TESTS_UNIT_NODE_WIRE_RANDOM_NAT_H
#define TESTS_UNIT_NODE_WIRE_RANDOM_NAT_H

#include "tests/unit/node_wire/random_message.h"

/* False when the kind is none of these. */
bool random_nat(struct message *message, struct rng *rng, uint8_t *bytes);
bool nat_messages_equal(const struct message *a, const struct message *b);

#endif /* TESTS_UNIT_NODE_WIRE_RANDOM_NAT_H */
