/* toy_peer.h - a few nodes that consist of a transport and a module that answers everything.
 *
 * For tests, benchmarks and fuzzers of node/transport. Each peer lives on a toy port; its module
 * answers every request in the smallest or the largest way, writes down what it is told, and can be
 * told to stay silent or to answer later.
 *
 *      toy_ask -> transport_call -> toy world -> transport -> on_message -> transport_reply
 *      -> struct toy_answer
 */
#ifndef TESTS_SUPPORT_TOY_PEER_H
#define TESTS_SUPPORT_TOY_PEER_H

#include "node/transport/transport.h"
#include "tests/support/toy_port.h"

enum {
    TOY_DEFERRED_MAX = 8,
};

struct toy_peer {
    struct core core;
    struct identity identity;
    struct guard guard;
    struct transport transport;
    struct toy_port *toy;
    struct toy_peers *all;

    bool is_silent;    /* Answers nothing. */
    bool is_curious;   /* Wants to see every stranger confirmed. */
    bool is_deferring; /* Keeps requests in `deferred` instead of answering. */
    bool is_generous;  /* Answers with all that fits, not with the least. */

    struct message_from deferred[TOY_DEFERRED_MAX];
    uint32_t deferred_count;
    struct message_from last_from;
    uint32_t requests;
    uint32_t early_requests;
    uint32_t verified;
    uint32_t verified_last; /* Handle. */
    uint32_t lost;
};

struct toy_peers {
    struct toy_world *world;
    struct toy_peer *peers;
    uint32_t count;
    struct transport_config transport;
    struct guard_config guard;
};

/* How one call ended. */
struct toy_answer {
    int32_t call; /* What transport_call returned. */
    uint32_t answered;
    uint32_t slow;
    uint32_t lost;
    uint32_t peer;
    uint32_t rtt_us;
    uint64_t ended_us;
    uint8_t kind;
    uint32_t contacts;
    struct toy_peer *caller;
};

/* Peers with the settings below, which may be changed before toy_peers_start. */
struct toy_peers *toy_peers_open(uint32_t count, uint64_t seed, const struct port_crypto *crypto);
void toy_peers_start(struct toy_peers *peers);
void toy_peers_close(struct toy_peers *peers);

/* Memory is lost, the disk is kept: the same identity with no session. */
void toy_peer_restart(struct toy_peers *peers, uint32_t index);

/* The handle of peer `index` at its address of now; the world keeps a reference. */
uint32_t toy_contact(struct toy_peers *peers, uint32_t index);

/* A request of this kind: 20 contacts, 900 bytes of value and 100 of payload where it has any. */
void toy_request(struct message *request, uint8_t kind);

/* One call, in an entry of its own. */
void toy_ask(struct toy_peer *from, uint32_t peer, uint8_t kind, struct toy_answer *answer);
void toy_ask_addr(struct toy_peer *from, const struct port_addr *addr, uint8_t kind,
                  struct toy_answer *answer);

/* The peer answers the request it deferred; what transport_reply said. */
int toy_reply_deferred(struct toy_peer *peer, uint32_t index);

/* transport_check of all peers: NULL or the first complaint. */
const char *toy_peers_check(const struct toy_peers *peers);

#endif /* TESTS_SUPPORT_TOY_PEER_H */
