/* random_nat.c - every field of them, within its limits. */
#include "tests/unit/node_wire/random_nat.h"

static void random_voucher(struct voucher *voucher, struct rng *rng)
{
    voucher->serial = rng_next(rng);
    voucher->life_s = (uint32_t)rng_next(rng);
    voucher->circuit_max = rng_next(rng);
    voucher->circuit_s = (uint32_t)rng_next(rng);
    random_bytes(rng, voucher->signature, sizeof voucher->signature);
}

static void random_side(struct message_punch *side, struct rng *rng)
{
    side->round = (uint8_t)rng_next(rng);
    side->mapping = (uint8_t)rng_next(rng);
    side->filtering = (uint8_t)rng_next(rng);
    side->count = (uint8_t)rng_below(rng, PUNCH_CANDIDATES_MAX + 1);
    for (uint32_t i = 0; i < side->count; i++) {
        side->candidates[i].type = (uint8_t)rng_below(rng, CANDIDATE_TYPE_COUNT);
        side->candidates[i].addr = random_addr(rng);
    }
}

static void random_probe(struct message *message, struct rng *rng)
{
    if (message->kind == MESSAGE_PROBE) {
        message->probe = (struct message_probe){rng_next(rng), (uint16_t)rng_next(rng)};
    } else if (message->kind == MESSAGE_PROBED) {
        message->probed = (struct message_probed){rng_next(rng), rng_next(rng), random_addr(rng)};
    } else {
        message->proved.nonce = rng_next(rng);
    }
}

bool random_nat(struct message *message, struct rng *rng, uint8_t *bytes)
{
    switch (message->kind) {
    case MESSAGE_PROBE:
    case MESSAGE_PROBED:
    case MESSAGE_PROVED:
        random_probe(message, rng);
        return true;
    case MESSAGE_SEEK:
        message->seek.number = (uint32_t)rng_next(rng);
        message->seek.kind = (uint8_t)rng_below(rng, 2);
        random_bytes(rng, message->seek.target.bytes, NODE_ID_LEN);
        return true;
    case MESSAGE_SEEKING:
        message->seeking.is_accepted = rng_below(rng, 2) == 1;
        return true;
    case MESSAGE_REACH:
        message->reach.from = (uint8_t)rng_below(rng, REACH_FROM_STRANGER + 1);
        return true;
    case MESSAGE_REACHED:
        message->reached = (struct message_reached){(uint8_t)rng_below(rng, REACHED_UNKNOWN + 1),
                                                    random_addr(rng), random_addr(rng)};
        return true;
    case MESSAGE_DIAL:
        random_bytes(rng, message->dial.key, sizeof message->dial.key);
        message->dial.addr = random_addr(rng);
        return true;
    case MESSAGE_DIALLED:
        message->dialled.status = (uint8_t)rng_below(rng, REACHED_UNKNOWN + 1);
        return true;
    case MESSAGE_RESERVE:
        message->reserve.life_s = (uint32_t)rng_next(rng);
        return true;
    case MESSAGE_RESERVED:
        message->reserved.status = (uint8_t)rng_below(rng, RELAY_STATUS_COUNT);
        if (message->reserved.status == RELAY_OK) {
            random_voucher(&message->reserved.voucher, rng);
        }
        return true;
    case MESSAGE_CONNECT:
        random_bytes(rng, message->connect.target, sizeof message->connect.target);
        random_voucher(&message->connect.voucher, rng);
        return true;
    case MESSAGE_CONNECTED:
        message->connected = (struct message_connected){(uint8_t)rng_below(rng, RELAY_STATUS_COUNT),
                                                        (uint32_t)rng_next(rng)};
        return true;
    case MESSAGE_PUNCH:
        random_side(&message->punch, rng);
        return true;
    case MESSAGE_PUNCHING:
        random_side(&message->punching.side, rng);
        return true;
    case MESSAGE_PUNCH_GO:
        message->punch_go.round = (uint8_t)rng_next(rng);
        return true;
    case MESSAGE_RELAY:
        message->relay.datagram =
            slice_of(bytes, 1 + rng_below(rng, MESSAGE_MAX - MESSAGE_HEADER_LEN - 2));
        random_bytes(rng, bytes, message->relay.datagram.len);
        return true;
    case MESSAGE_HUNG_UP:
        message->hung_up.reason = (uint8_t)rng_below(rng, HUNG_UP_REASON_COUNT);
        return true;
    default:
        return false;
    }
}

static bool vouchers_equal(const struct voucher *a, const struct voucher *b)
{
    return a->serial == b->serial && a->life_s == b->life_s && a->circuit_max == b->circuit_max &&
           a->circuit_s == b->circuit_s &&
           memcmp(a->signature, b->signature, sizeof a->signature) == 0;
}

static bool sides_equal(const struct message_punch *a, const struct message_punch *b)
{
    bool is_equal = a->round == b->round && a->mapping == b->mapping &&
                    a->filtering == b->filtering && a->count == b->count;
    for (uint32_t i = 0; is_equal && i < a->count; i++) {
        is_equal = a->candidates[i].type == b->candidates[i].type &&
                   port_addr_equal(&a->candidates[i].addr, &b->candidates[i].addr);
    }
    return is_equal;
}

bool nat_messages_equal(const struct message *a, const struct message *b)
{
    switch (a->kind) {
    case MESSAGE_PROBE:
        return a->probe.nonce == b->probe.nonce && a->probe.port == b->probe.port;
    case MESSAGE_PROVED:
        return a->proved.nonce == b->proved.nonce;
    case MESSAGE_PROBED:
        return a->probed.nonce == b->probed.nonce && a->probed.own_nonce == b->probed.own_nonce &&
               port_addr_equal(&a->probed.observed, &b->probed.observed);
    case MESSAGE_REACH:
        return a->reach.from == b->reach.from;
    case MESSAGE_REACHED:
        return a->reached.status == b->reached.status &&
               port_addr_equal(&a->reached.observed, &b->reached.observed) &&
               port_addr_equal(&a->reached.by, &b->reached.by);
    case MESSAGE_DIAL:
        return memcmp(a->dial.key, b->dial.key, sizeof a->dial.key) == 0 &&
               port_addr_equal(&a->dial.addr, &b->dial.addr);
    case MESSAGE_DIALLED:
        return a->dialled.status == b->dialled.status;
    case MESSAGE_RESERVE:
        return a->reserve.life_s == b->reserve.life_s;
    case MESSAGE_RESERVED:
        return a->reserved.status == b->reserved.status &&
               (a->reserved.status != RELAY_OK ||
                vouchers_equal(&a->reserved.voucher, &b->reserved.voucher));
    case MESSAGE_CONNECT:
        return memcmp(a->connect.target, b->connect.target, sizeof a->connect.target) == 0 &&
               vouchers_equal(&a->connect.voucher, &b->connect.voucher);
    case MESSAGE_CONNECTED:
        return a->connected.status == b->connected.status &&
               a->connected.circuit == b->connected.circuit;
    case MESSAGE_PUNCH:
        return sides_equal(&a->punch, &b->punch);
    case MESSAGE_PUNCHING:
        return sides_equal(&a->punching.side, &b->punching.side);
    case MESSAGE_PUNCH_GO:
        return a->punch_go.round == b->punch_go.round;
    case MESSAGE_RELAY:
        return a->relay.datagram.len == b->relay.datagram.len &&
               memcmp(a->relay.datagram.data, b->relay.datagram.data, a->relay.datagram.len) == 0;
    case MESSAGE_HUNG_UP:
        return a->hung_up.reason == b->hung_up.reason;
    default:
        return false;
    }
}
