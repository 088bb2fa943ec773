/* fuzz_transport.c - the input is a script of calls, forgeries, replays and losses among three
 * nodes.
 *
 *      input -> op, op, ... -> toy peers under the modelled suite -> checks after every op
 *
 * One of the nodes is a traitor: what it seals is the input's choice too, so decoding and dispatch
 * are reached behind valid tags. Checked: transport_check of all nodes, and that an address which
 * never answers is never sent more than it sent.
 */
#include <stdlib.h>

#include "node/base/must.h"
#include "node/transport/packet.h"
#include "node/transport/session.h"
#include "node/wire/codec.h"
#include "sim/host/host.h"
#include "tests/support/toy_peer.h"

enum {
    PEERS = 3,
    KEPT = 16,
    OPS_MAX = 200,
};

enum op {
    OP_ASK,
    OP_ASK_ADDR,
    OP_RUN,
    OP_REPLAY,
    OP_INJECT,
    OP_LOSE,
    OP_BETRAY,
    OP_MOVE,
    OP_RESTART,
    OP_COUNT,
};

struct kept {
    struct port_addr from;
    struct port_addr to;
    uint16_t len;
    uint8_t bytes[PORT_DATAGRAM_MAX];
};

struct stage {
    struct toy_peers *peers;
    struct kept kept[KEPT];
    uint32_t kept_count;
    uint32_t lose_next;
    uint64_t nowhere_sent;
    uint64_t nowhere_received;
    struct toy_answer answers[OPS_MAX];
};

/* Nobody lives there. */
static const struct port_addr nowhere = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 9}, .port = {1, 2}};

static const uint8_t kinds[] = {MESSAGE_PING,  MESSAGE_FIND_NODE, MESSAGE_FIND_VALUE,
                                MESSAGE_STORE, MESSAGE_EXCHANGE,  MESSAGE_BROADCAST,
                                MESSAGE_APP};

static int watch(void *arg, struct toy_datagram *datagram)
{
    struct stage *stage = arg;
    struct kept *kept = &stage->kept[stage->kept_count++ % KEPT];
    kept->from = datagram->from;
    kept->to = datagram->to;
    kept->len = datagram->len;
    memcpy(kept->bytes, datagram->bytes, datagram->len);
    if (port_addr_equal(&datagram->to, &nowhere)) {
        stage->nowhere_received += datagram->len;
    }
    if (stage->lose_next > 0) {
        stage->lose_next--;
        return 0;
    }
    return 1;
}

static void inject(struct stage *stage, const struct port_addr *from, const struct port_addr *to,
                   struct slice bytes)
{
    if (port_addr_equal(from, &nowhere)) {
        stage->nowhere_sent += bytes.len;
    }
    toy_inject(stage->peers->world, from, to, bytes);
}

static void replay(struct stage *stage, struct reader *script)
{
    if (stage->kept_count == 0) {
        return;
    }
    struct kept copy = stage->kept[read_u8(script) % KEPT];
    uint8_t how = read_u8(script);
    uint16_t at = read_u16(script);
    uint8_t flip = read_u8(script);
    if (copy.len == 0) {
        return;
    }
    copy.bytes[at % copy.len] ^= flip;
    copy.len = (how & 2) != 0 ? (uint16_t)(at % copy.len) : copy.len;
    inject(stage, (how & 1) != 0 ? &nowhere : &copy.from, &copy.to, slice_of(copy.bytes, copy.len));
}

static void inject_raw(struct stage *stage, struct reader *script)
{
    struct port_addr to = toy_addr(read_u8(script) % PEERS);
    size_t len = read_u8(script);
    const uint8_t *bytes = read_bytes(script, len);
    if (bytes != NULL) {
        inject(stage, &nowhere, &to, slice_of(bytes, len));
    }
}

/* Peer 0 seals bytes of the input's choice for whomever it has a session with. */
static void betray(struct stage *stage, struct reader *script)
{
    struct toy_peer *traitor = &stage->peers->peers[0];
    uint32_t victim = toy_contact(stage->peers, 1u + read_u8(script) % (PEERS - 1));
    size_t len = read_u8(script);
    const uint8_t *text = read_bytes(script, len);
    struct session *session = session_with(&traitor->transport, victim, SESSION_ESTABLISHED);
    if (text == NULL || session == NULL) {
        return;
    }
    uint8_t datagram[PORT_DATAGRAM_MAX];
    memcpy(datagram + PACKET_DATA_HEADER_LEN, text, len);
    toy_enter(traitor->toy);
    session_send(&traitor->transport, session, datagram, len);
    toy_leave(traitor->toy);
}

static void perform(struct stage *stage, struct reader *script, uint32_t number)
{
    struct toy_peers *peers = stage->peers;
    enum op op = read_u8(script) % OP_COUNT;
    uint8_t first = read_u8(script) % PEERS;
    uint8_t second = (uint8_t)((first + 1 + read_u8(script) % (PEERS - 1)) % PEERS);
    uint8_t value = read_u8(script);
    struct port_addr addr = toy_addr(second);
    struct port_addr new_addr = toy_addr(first);
    new_addr.port[1] = (uint8_t)(new_addr.port[1] ^ (value & 3));
    switch (op) {
    case OP_ASK:
        toy_ask(&peers->peers[first], toy_contact(peers, second), kinds[value % sizeof kinds],
                &stage->answers[number]);
        break;
    case OP_ASK_ADDR:
        toy_ask_addr(&peers->peers[first], &addr, kinds[value % sizeof kinds],
                     &stage->answers[number]);
        break;
    case OP_RUN:
        toy_run_for(peers->world, (uint64_t)value * value * 1000);
        break;
    case OP_REPLAY:
        replay(stage, script);
        break;
    case OP_INJECT:
        inject_raw(stage, script);
        break;
    case OP_LOSE:
        stage->lose_next = value % 4;
        break;
    case OP_BETRAY:
        betray(stage, script);
        break;
    case OP_MOVE:
        toy_move(peers->peers[first].toy, &new_addr);
        break;
    case OP_RESTART:
        toy_peer_restart(peers, first);
        break;
    default:
        must(op < OP_COUNT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stage stage;
    memset(&stage, 0, sizeof stage);
    stage.peers = toy_peers_open(PEERS, 1, &modelled_suite);
    stage.peers->world->filter = watch;
    stage.peers->world->filter_arg = &stage;
    stage.peers->transport.sessions_max = 8;
    stage.peers->transport.rekey_after_us = 1000000;
    stage.peers->guard.handshake_rate = 5;
    stage.peers->guard.handshake_burst = 5;
    toy_peers_start(stage.peers);
    for (uint32_t i = 0; i < PEERS; i++) {
        stage.peers->peers[i].is_generous = i == 1;
        stage.peers->peers[i].is_curious = i == 2;
    }
    struct reader script = reader_of(slice_of(data, size));
    for (uint32_t number = 0; number < OPS_MAX && reader_left(&script) > 0; number++) {
        perform(&stage, &script, number);
        must(toy_peers_check(stage.peers) == NULL);
        must(stage.nowhere_received <= stage.nowhere_sent);
    }
    toy_run_for(stage.peers->world, 60000000);
    must(toy_peers_check(stage.peers) == NULL);
    must(stage.nowhere_received <= stage.nowhere_sent);
    toy_peers_close(stage.peers);
    return 0;
}
