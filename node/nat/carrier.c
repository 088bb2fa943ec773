/* carrier.c - where UDP is blocked: streams to those we want to reach, plain ones first, then such
 * as look like HTTP.
 *
 * Who has found nobody to join through by UDP opens a stream to those it was told of. When one
 * comes up it is known that streams are the way, and every address gets one when something is sent
 * there: hooks.path_to of the transport. What is sent before a stream is up is lost, and sent
 * again.
 *
 * Once a minute a relay is asked by UDP all the same: networks change, and who answered nobody may
 * have been away for a moment.
 */
#include "node/base/must.h"
#include "node/nat/nat_parts.h"

enum {
    REFUSED_US =
        60000000, /* An address that refused plain streams is offered masked ones so long. */
    UDP_AGAIN_US = 60000000,
};

static struct nat_stream *stream_to(const struct nat *nat, const struct port_addr *addr);
static struct nat_stream *stream_of(const struct nat *nat, int path);
static struct nat_stream *stream_open(struct nat *nat, const struct port_addr *addr);
static void stream_close(struct nat *nat, struct nat_stream *stream);

void nat_on_unreachable(struct nat *nat, const struct port_addr *addrs, uint32_t count)
{
    if (nat->is_stopping || nat->config->reach == NAT_REACH_PUBLIC || nat_work_of(nat) == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count && i < NAT_STREAMS_MAX / 2; i++) {
        if (stream_to(nat, &addrs[i]) == NULL) {
            (void)stream_open(nat, &addrs[i]);
        }
    }
}

void nat_on_path(struct nat *nat, int path, enum port_path_event event)
{
    struct nat_stream *stream = nat->work != NULL ? stream_of(nat, path) : NULL;
    if (stream == NULL) {
        bool is_gone = event == PORT_PATH_CLOSED || event == PORT_PATH_REFUSED;
        if (nat->work != NULL && !nat_punch_on_path(nat, path, event) && is_gone) {
            (void)nat_path_lost(nat, path); /* Its session will find another way. */
        }
        return;
    }
    switch (event) {
    case PORT_PATH_UP:
        stream->state = NAT_STREAM_UP;
        if (!nat->is_udp_blocked) {
            nat->is_udp_blocked = true;
            nat->work->udp_us = core_now(nat->core);
            if (nat->config->reach == NAT_REACH_AUTO && nat->is_server) {
                nat_become(nat, false); /* For lack of anybody it had begun a network of its own. */
            }
        }
        break;
    case PORT_PATH_REFUSED:
    case PORT_PATH_CLOSED:
    case PORT_PATH_UNREACHABLE:
        nat->core->port->ops->path_close(nat->core->port, path);
        stream->path = PORT_MAIN_PATH;
        if (stream->state == NAT_STREAM_OPENING && stream->carrier == PORT_TCP) {
            struct port_addr addr = stream->addr;
            *stream = (struct nat_stream){.carrier = PORT_MASKED, .addr = addr};
            stream->state = NAT_STREAM_REFUSED;
            stream->used_us = core_now(nat->core);
            (void)stream_open(nat, &addr);
        } else {
            *stream = (struct nat_stream){.state = NAT_STREAM_FREE};
        }
        break;
    default:
        break;
    }
}

uint16_t nat_path_to(struct nat *nat, const struct port_addr *addr)
{
    if (!nat->is_udp_blocked || transport_is_relayed(addr)) {
        return PORT_MAIN_PATH;
    }
    struct nat_stream *stream = stream_to(nat, addr);
    stream = stream != NULL ? stream : stream_open(nat, addr);
    if (stream == NULL) {
        return PORT_MAIN_PATH;
    }
    stream->used_us = core_now(nat->core);
    return stream->path;
}

void nat_carrier_tick(struct nat *nat)
{
    const struct nat_link *link = &nat->work->links[0];
    uint64_t now_us = core_now(nat->core);
    if (nat->is_udp_blocked && link->state == NAT_LINK_LIVE &&
        now_us - nat->work->udp_us >= UDP_AGAIN_US) {
        struct transport_way way = {.addr = contact_at(nat->core->port, link->peer)->addr};
        nat->work->udp_us = now_us;
        (void)transport_probe(nat->transport, link->session, &way);
    }
}

void nat_carrier_proved(struct nat *nat, const struct transport_way *way)
{
    if (nat->is_udp_blocked && way->path == PORT_MAIN_PATH && !transport_is_relayed(&way->addr)) {
        nat->is_udp_blocked = false;
        nat_reach_again(nat);
    }
}

bool nat_is_stream(const struct nat *nat, int path)
{
    return nat->work != NULL && stream_of(nat, path) != NULL;
}

void nat_streams_close(struct nat *nat)
{
    for (uint32_t i = 0; i < NAT_STREAMS_MAX; i++) {
        stream_close(nat, &nat->work->streams[i]);
    }
}

static struct nat_stream *stream_to(const struct nat *nat, const struct port_addr *addr)
{
    for (uint32_t i = 0; i < NAT_STREAMS_MAX; i++) {
        struct nat_stream *stream = &nat->work->streams[i];
        if ((stream->state == NAT_STREAM_OPENING || stream->state == NAT_STREAM_UP) &&
            port_addr_equal(&stream->addr, addr)) {
            return stream;
        }
    }
    return NULL;
}

static struct nat_stream *stream_of(const struct nat *nat, int path)
{
    for (uint32_t i = 0; i < NAT_STREAMS_MAX; i++) {
        struct nat_stream *stream = &nat->work->streams[i];
        if (stream->state != NAT_STREAM_FREE && stream->path == path && path != PORT_MAIN_PATH) {
            return stream;
        }
    }
    return NULL;
}

/* Whether others reach us through whoever is there. */
static bool is_to_relay(const struct nat *nat, const struct port_addr *addr)
{
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        const struct nat_link *link = &nat->work->links[i];
        if (link->state != NAT_LINK_FREE &&
            port_addr_equal(&contact_at(nat->core->port, link->peer)->addr, addr)) {
            return true;
        }
    }
    return false;
}

/* The one used longest ago makes room, but for those to our relays: without one there is a moment
 * in which nobody finds us. */
static struct nat_stream *stream_open(struct nat *nat, const struct port_addr *addr)
{
    struct port *port = nat->core->port;
    uint64_t now_us = core_now(nat->core);
    struct nat_stream *place = NULL;
    enum port_carrier carrier = PORT_TCP;
    for (uint32_t i = 0; i < NAT_STREAMS_MAX; i++) {
        struct nat_stream *stream = &nat->work->streams[i];
        if (stream->state == NAT_STREAM_REFUSED && now_us - stream->used_us < REFUSED_US &&
            port_addr_equal(&stream->addr, addr)) {
            carrier = PORT_MASKED;
            place = stream;
            break;
        }
        bool is_free = stream->state == NAT_STREAM_FREE;
        bool is_older =
            place == NULL || (place->state != NAT_STREAM_FREE && stream->used_us < place->used_us);
        if (is_free || (is_older && !is_to_relay(nat, &stream->addr))) {
            place = stream;
        }
    }
    if (place == NULL) {
        return NULL;
    }
    stream_close(nat, place);
    int path = port->ops->path_open(port, carrier, NULL, addr);
    if (path <= 0) {
        return NULL;
    }
    *place = (struct nat_stream){.state = NAT_STREAM_OPENING,
                                 .carrier = (uint8_t)carrier,
                                 .path = (uint16_t)path,
                                 .addr = *addr,
                                 .used_us = now_us};
    return place;
}

static void stream_close(struct nat *nat, struct nat_stream *stream)
{
    struct port *port = nat->core->port;
    if (stream->path != PORT_MAIN_PATH) {
        port->ops->path_close(port, stream->path);
    }
    *stream = (struct nat_stream){.state = NAT_STREAM_FREE};
}
