/* birthday.c - when one box maps by destination: many sockets there, many ports tried from here.
 *
 *      hard side   S sockets, each sends one opener to the easy side's address
 *      easy side   P random ports of the hard side's address are probed
 *
 * The hard side's box has then S external ports open towards the easy side. A probe to one of them
 * gets in, is answered by that socket, and the way is proved. With S sockets and P of n ports
 * tried, none meets with probability (1 - S/n)^P: 256 x 1024 of 64,512 leaves 1.7 %.
 *
 * Hundreds of entries in each box are many, so there is one at a time in a node, and only for a
 * pair that plain punching has failed for. And who asks for one has hundreds of datagrams sent to
 * an address of its choice by a short message, so a node does it for others every 20 s at most.
 */
#include "node/base/must.h"
#include "node/nat/nat_parts.h"

enum {
    BATCH = 64,          /* Datagrams at once, */
    PAUSE_US = 20000,    /* and then a pause: 3,200 a second. */
    LEAD_US = 200000,    /* By which the openers come first. */
    ANSWER_US = 2000000, /* For what the last probes bring. */
    AGAIN_US = 20000000, /* Between two that others ask for: HyperDHT's. */
    PORT_FIRST = 1024,   /* RFC 4787 section 4.2.1. */
    PORTS = 65536 - PORT_FIRST,
};

static bool find_peer(const struct nat_punch *punch, struct port_addr *peer);
static void open_sockets(struct nat *nat, struct nat_birthday *birthday);
static void try_ports(struct nat *nat, struct nat_birthday *birthday);
static void on_tick(struct timer *timer);

bool nat_birthday_start(struct nat_punch *punch)
{
    struct nat *nat = punch->nat;
    struct nat_work *work = nat->work;
    struct nat_class class;
    struct port_addr peer;
    nat_class_of(nat, &class);
    if (nat->config->birthday_sockets == 0 || !find_peer(punch, &peer)) {
        return false;
    }
    if (work->birthday == NULL) {
        work->birthday = arena_alloc(&nat->core->arena, ARENA_NAT, sizeof *work->birthday);
    }
    if (work->birthday == NULL || work->birthday->punch != NULL) {
        return false;
    }
    uint64_t now_us = core_now(nat->core);
    uint64_t asked_us = work->birthday->asked_us;
    if (!punch->is_caller && asked_us != 0 && now_us - asked_us < AGAIN_US) {
        return false;
    }
    *work->birthday = (struct nat_birthday){.punch = punch,
                                            .asked_us = punch->is_caller ? asked_us : now_us,
                                            .is_hard = class.is_dependent,
                                            .peer = peer};
    nat->counts.birthdays_begun += punch->is_caller;
    timer_start(&nat->core->timers, &punch->timer, class.is_dependent ? 0 : LEAD_US, on_tick);
    return true;
}

/* The address at which others see it: the one that its sockets share, or that all can write to. */
static bool find_peer(const struct nat_punch *punch, struct port_addr *peer)
{
    for (uint32_t i = 0; i < punch->count; i++) {
        if (punch->candidates[i].type == CANDIDATE_SERVER_REFLEXIVE ||
            punch->candidates[i].type == CANDIDATE_MAPPED) {
            *peer = punch->candidates[i].addr;
            return true;
        }
    }
    return false;
}

static void on_tick(struct timer *timer)
{
    nat_birthday_tick(container_of(timer, struct nat_punch, timer));
}

void nat_birthday_tick(struct nat_punch *punch)
{
    struct nat *nat = punch->nat;
    struct nat_birthday *birthday = nat->work->birthday;
    must(birthday != NULL && birthday->punch == punch);
    uint16_t all = birthday->is_hard ? nat->config->birthday_sockets : nat->config->birthday_probes;
    if (birthday->sent >= all) {
        nat_punch_fail(punch, NAT_STEP_PUNCH_UNANSWERED);
        return;
    }
    if (birthday->is_hard) {
        open_sockets(nat, birthday);
    } else {
        try_ports(nat, birthday);
    }
    uint64_t pause_us = birthday->sent < all ? PAUSE_US : ANSWER_US;
    timer_start(&nat->core->timers, &punch->timer, pause_us, on_tick);
}

static void open_sockets(struct nat *nat, struct nat_birthday *birthday)
{
    struct port *port = nat->core->port;
    uint16_t most = nat->config->birthday_sockets;
    most = most < NAT_SOCKETS_MAX ? most : NAT_SOCKETS_MAX;
    for (uint32_t i = 0; i < BATCH && birthday->sent < most; i++) {
        int path = port->ops->path_open(port, PORT_UDP, NULL, NULL);
        if (path <= 0) {
            birthday->sent = nat->config->birthday_sockets; /* With what there are. */
            return;
        }
        birthday->paths[birthday->path_count++] = (uint16_t)path;
        birthday->sent++;
        struct transport_way way = {
            .addr = birthday->peer, .path = (uint16_t)path, .ttl = nat->config->opener_ttl};
        (void)transport_probe(nat->transport, birthday->punch->session, &way);
    }
    if (birthday->sent == most) {
        birthday->sent = nat->config->birthday_sockets;
    }
}

static void try_ports(struct nat *nat, struct nat_birthday *birthday)
{
    birthday->is_trying = true;
    for (uint32_t i = 0; i < BATCH && birthday->sent < nat->config->birthday_probes; i++) {
        struct transport_way way = {.addr = birthday->peer};
        struct writer writer = writer_of(way.addr.port, sizeof way.addr.port);
        write_u16(&writer, (uint16_t)(PORT_FIRST + rng_below(&nat->core->rng, PORTS)));
        birthday->sent++;
        (void)transport_probe(nat->transport, birthday->punch->session, &way);
    }
    birthday->is_trying = false;
}

void nat_birthday_end(struct nat *nat, uint16_t path_kept)
{
    struct port *port = nat->core->port;
    struct nat_birthday *birthday = nat->work->birthday;
    for (uint32_t i = 0; birthday != NULL && i < birthday->path_count; i++) {
        if (birthday->paths[i] != path_kept) {
            port->ops->path_close(port, birthday->paths[i]);
        }
    }
    if (birthday != NULL) {
        birthday->path_count = 0;
        birthday->punch = NULL;
    }
}
