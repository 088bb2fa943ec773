/* meet.c - a punch by streams, for who has no UDP: both sides call each other at the same moment,
 * from ports whose mapping is known, and the two calls become one connection (simultaneous open,
 * RFC 9293 section 3.5; as candidates RFC 6544 section 4.1, of type "so").
 *
 *      a stream to a relay -> PROBE by it -> PROVED: where the box maps our port    measure
 *      candidates exchanged as for UDP                                              punch.c
 *      from the same port a call to each candidate of the peer, at the same time    fire
 *      up -> PROBE by it, which had waited -> PROVED -> the session moves there
 *
 * No opener is needed: a call that a box does not let in yet is repeated by TCP, one that is
 * refused by us. The stream to the relay stays until the punch is over, for its mapping to stay.
 */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"

enum {
    PORT_USER_FIRST = 1024,
    MULTICAST_V4_FIRST = 224, /* And what is reserved behind it. */
    MULTICAST_V6 = 0xff,
};

static bool may_be_called(const struct port_addr *addr);
static void call(struct nat_punch *punch, uint32_t number);

bool nat_meet_measure(struct nat_punch *punch)
{
    struct nat *nat = punch->nat;
    struct port *port = nat->core->port;
    struct transport_session session;
    /* The relay that the circuit goes through: both sides have one, servers too. */
    const struct nat_end *end = transport_session_at(nat->transport, punch->session, &session)
                                    ? nat_end_at(nat, &contact_at(port, session.peer)->addr)
                                    : NULL;
    if (end == NULL) {
        return false;
    }
    const struct contact *relay = contact_at(port, end->relay);
    uint32_t by = nat_session_with(nat, end->session, &relay->id);
    struct transport_way way = {.addr = relay->addr};
    int path = port->ops->path_open(port, PORT_TCP, NULL, &way.addr);
    if (path <= 0) {
        return false;
    }
    punch->path = (uint16_t)path;
    way.path = punch->path;
    return port->ops->path_local(port, path, &punch->near) &&
           transport_probe(nat->transport, by, &way) == ERR_OK;
}

void nat_meet_gather(const struct nat_punch *punch, struct message_punch *side)
{
    if (!punch->is_seen) {
        return; /* The relay takes no streams, or has not answered: it will not work. */
    }
    side->candidates[side->count++] =
        (struct candidate){.type = CANDIDATE_HOST, .addr = punch->near};
    if (!port_addr_equal(&punch->near, &punch->seen)) {
        side->candidates[side->count++] =
            (struct candidate){.type = CANDIDATE_SERVER_REFLEXIVE, .addr = punch->seen};
    }
}

void nat_meet_fire(struct nat_punch *punch)
{
    for (uint32_t i = 0; i < punch->count && i < NAT_MEET_MAX && punch->is_seen; i++) {
        const struct port_addr *addr = &punch->candidates[i].addr;
        if (punch->streams[i] == PORT_MAIN_PATH && may_be_called(addr) &&
            nat_may_probe(punch->nat, addr)) {
            call(punch, i);
        }
    }
}

/* Candidates are the peer's word: no stranger has us call what listens on this machine for this
 * machine alone, or a system port (RFC 6335 section 6), which no caller's own ever is. */
static bool may_be_called(const struct port_addr *addr)
{
    static const uint8_t none[16];
    const uint8_t *ip = addr->ip;
    if (addr->port[0] < PORT_USER_FIRST >> 8) {
        return false;
    }
    if (port_addr_is_v4(addr)) {
        return ip[12] != 0 && ip[12] != 127 && ip[12] < MULTICAST_V4_FIRST;
    }
    return ip[0] != MULTICAST_V6 && memcmp(ip, none, sizeof none - 1) != 0;
}

/* What is sent before the stream is up waits for it. */
static void call(struct nat_punch *punch, uint32_t number)
{
    struct nat *nat = punch->nat;
    struct port *port = nat->core->port;
    struct transport_way way = {.addr = punch->candidates[number].addr};
    int path = port->ops->path_open(port, PORT_TCP, &punch->near, &way.addr);
    if (path > 0) {
        punch->streams[number] = (uint16_t)path;
        way.path = (uint16_t)path;
        (void)transport_probe(nat->transport, punch->session, &way);
    }
}

struct nat_punch *nat_meet_of(const struct nat *nat, int path)
{
    uint16_t made = nat->work != NULL && path != PORT_MAIN_PATH ? nat->work->punches.made : 0;
    for (uint16_t place = 0; place < made; place++) {
        struct nat_punch *punch = pool_peek(&nat->work->punches, place);
        if (punch == NULL || punch->state == NAT_PUNCH_FREE || punch->kind != NAT_PUNCH_STREAMS) {
            continue;
        }
        bool is_its = punch->path == path;
        for (uint32_t i = 0; i < NAT_MEET_MAX; i++) {
            is_its |= punch->streams[i] == path;
        }
        if (is_its) {
            return punch;
        }
    }
    return NULL;
}

void nat_meet_lose(struct nat_punch *punch, int path)
{
    struct port *port = punch->nat->core->port;
    port->ops->path_close(port, path);
    for (uint32_t i = 0; i < NAT_MEET_MAX; i++) {
        punch->streams[i] = punch->streams[i] == path ? PORT_MAIN_PATH : punch->streams[i];
    }
    punch->path = punch->path == path ? PORT_MAIN_PATH : punch->path;
}

void nat_meet_end(struct nat_punch *punch, int path_kept)
{
    for (uint32_t i = 0; i < NAT_MEET_MAX; i++) {
        if (punch->streams[i] != PORT_MAIN_PATH && punch->streams[i] != path_kept) {
            nat_meet_lose(punch, punch->streams[i]);
        }
        punch->streams[i] = PORT_MAIN_PATH;
    }
}
