/* host_segment.c - one segment of a stream on its way: through boxes and network, or back. */
#include <string.h>

#include "node/base/must.h"
#include "sim/host/stream.h"

enum {
    TCP_HEADER_BYTES = 40, /* IPv4 20 (RFC 791) and TCP 20 (RFC 9293): what links count. */
    FRAME_BYTES = 2,       /* The length before each datagram. */
    /* RFC 6298 section 2.4 asks for 1 s; the transports of today use Linux's TCP_RTO_MIN. */
    PATIENCE_MIN_US = 200000,
    PATIENCE_RTTS = 2,
    PATIENCE_MAX_US = 60000000, /* RFC 6298 section 2.5. */
};

static bool is_reliable(enum segment_kind kind);
static enum napt_segment napt_segment_of(enum segment_kind kind);
static bool depart(struct host *host, const struct route *route, size_t bytes,
                   const struct segment_time *time, struct segment *segment, uint64_t *arrive_us);
static void give_back(struct host *host, uint32_t index, enum route_end end);
static void reset_answer(struct host *host, uint32_t index);
static void post(struct host *host, uint32_t to, uint64_t time_us, uint32_t index);

struct segment *segment_of(struct packet *packet)
{
    return (struct segment *)(void *)packet->bytes;
}

struct slice segment_data(const struct packet *packet)
{
    return slice_of(packet->bytes + PACKET_SEGMENT_BYTES,
                    (size_t)packet->len - PACKET_SEGMENT_BYTES);
}

static size_t wire_bytes(const struct packet *packet)
{
    return segment_data(packet).len + FRAME_BYTES + TCP_HEADER_BYTES;
}

uint32_t segment_make(struct host *host, const struct segment *segment, struct slice data)
{
    struct packet *packet;
    uint32_t index = packet_get(host->shard, PACKET_SEGMENT_BYTES + data.len, &packet);
    packet->len = (uint16_t)(PACKET_SEGMENT_BYTES + data.len);
    packet->kept = packet->len;
    packet->is_segment = true;
    packet->next = 0;
    *segment_of(packet) = *segment;
    segment_of(packet)->sender = host->index;
    if (data.len > 0) {
        memcpy(packet->bytes + PACKET_SEGMENT_BYTES, data.data, data.len);
    }
    return index;
}

uint64_t segment_send(struct host *host, uint32_t index, const struct segment_time *time)
{
    struct packet *packet = packet_at(world_of(host), index);
    struct segment *segment = segment_of(packet);
    uint64_t patience_us = PATIENCE_RTTS * time->rtt_us;
    patience_us = patience_us > PATIENCE_MIN_US ? patience_us : PATIENCE_MIN_US;
    for (uint8_t i = 0; i < segment->tries && patience_us < PATIENCE_MAX_US; i++) {
        patience_us *= 2;
    }
    segment->patience_us =
        (uint32_t)(patience_us < PATIENCE_MAX_US ? patience_us : PATIENCE_MAX_US);
    segment->sent_us = time->leave_us;
    segment->is_back = false;
    struct route route = {.ttl = HOST_TTL,
                          .packet = {.protocol = NAPT_TCP,
                                     .segment = napt_segment_of(segment->kind),
                                     .from = {host_ip(host), segment->ends.local_port},
                                     .to = segment->ends.remote}};
    enum route_end end = box_route(host, &route);
    uint64_t arrive_us;
    if (end != ROUTE_FOUND ||
        !depart(host, &route, wire_bytes(packet), time, segment, &arrive_us)) {
        give_back(host, index, end == ROUTE_REJECTED ? end : ROUTE_LOST);
        return time->least_us;
    }
    addr_set(&packet->from, route.packet.from.ip, route.packet.from.port);
    packet->to_port = route.packet.to.port;
    packet->is_received = false;
    packet->ttl = route.ttl;
    packet->depth = route.depth;
    segment->depth = route.depth;
    post(host, route.host, arrive_us, index);
    return arrive_us;
}

static enum napt_segment napt_segment_of(enum segment_kind kind)
{
    switch (kind) {
    case SEGMENT_SYN:
        return NAPT_SEGMENT_SYN;
    case SEGMENT_END:
    case SEGMENT_RESET:
        return NAPT_SEGMENT_END;
    default:
        return NAPT_SEGMENT_DATA;
    }
}

/* What chance or a full uplink takes is sent again when nothing has been heard of it: it arrives by
 * so much later. An opening is for its end to repeat. */
static bool depart(struct host *host, const struct route *route, size_t bytes,
                   const struct segment_time *time, struct segment *segment, uint64_t *arrive_us)
{
    const struct net_config *net = world_of(host)->options.net;
    bytes = net->mtu_bytes != 0 && bytes > net->mtu_bytes ? net->mtu_bytes : bytes;
    uint64_t late_us = 0;
    for (uint64_t patience_us = segment->patience_us;; patience_us *= 2) {
        enum net_verdict verdict =
            route->site == NULL
                ? net_depart_inside(net, &host->link, bytes, time->leave_us, arrive_us)
                : net_depart(net, &host->link, route->site, bytes, time->leave_us, arrive_us);
        if (verdict == NET_PASSED) {
            *arrive_us += late_us;
            *arrive_us = *arrive_us > time->least_us ? *arrive_us : time->least_us;
            return true;
        }
        if (!is_reliable(segment->kind) || patience_us > PATIENCE_MAX_US) {
            return false;
        }
        late_us += patience_us;
    }
}

static bool is_reliable(enum segment_kind kind)
{
    return kind != SEGMENT_SYN && kind != SEGMENT_SYN_ACK;
}

/* From where it got stuck: refused at once, or missed when the time has come. */
static void give_back(struct host *host, uint32_t index, enum route_end end)
{
    struct packet *packet = packet_at(world_of(host), index);
    struct segment *segment = segment_of(packet);
    uint64_t now_us = host_now_us(host);
    bool is_own = segment->sender == host->index;
    bool is_answered = end == ROUTE_REJECTED || is_reliable(segment->kind);
    if (segment->kind == SEGMENT_RESET || !is_answered) {
        packet_free(host->shard, index);
    } else if (end == ROUTE_REJECTED && !is_own) {
        reset_answer(host, index);
    } else {
        uint64_t missed_us = segment->sent_us + segment->patience_us;
        if (end == ROUTE_REJECTED) { /* By a box of its own. */
            segment->kind = SEGMENT_RESET;
            missed_us = now_us;
        }
        uint64_t least_us = now_us + (is_own ? 0 : WINDOW_US);
        segment->is_back = true;
        packet->is_received = true;
        post(host, segment->sender, missed_us > least_us ? missed_us : least_us, index);
    }
}

/* A box answers in the name of whom the segment was for, and as fast as it came; the sender's boxes
 * are asked as for any other. */
static void reset_answer(struct host *host, uint32_t index)
{
    struct packet *packet = packet_at(world_of(host), index);
    struct segment *segment = segment_of(packet);
    uint64_t now_us = host_now_us(host);
    segment->kind = SEGMENT_RESET;
    packet->to_port = (uint16_t)addr_port(&packet->from);
    addr_set(&packet->from, segment->ends.remote.ip, segment->ends.remote.port);
    packet->len = PACKET_SEGMENT_BYTES;
    packet->kept = packet->len;
    packet->ttl = HOST_TTL;
    packet->depth = segment->depth;
    packet->is_received = false;
    post(host, segment->sender, 2 * now_us - segment->sent_us, index);
}

void segment_miss(struct host *host, uint32_t index)
{
    give_back(host, index, ROUTE_LOST);
}

static void post(struct host *host, uint32_t to, uint64_t time_us, uint32_t index)
{
    struct event event = {.time_us = time_us,
                          .destination = to,
                          .source = host->index,
                          .sequence = host->sequence++,
                          .payload = event_payload(HOST_EVENT_STREAM, index)};
    shard_push(host->shard, &event);
}

void segment_refuse(struct host *host, const struct packet *packet)
{
    struct segment reset = {.kind = SEGMENT_RESET};
    must(addr_ip(&packet->from, &reset.ends.remote.ip));
    reset.ends.remote.port = (uint16_t)addr_port(&packet->from);
    reset.ends.local_port = packet->to_port;
    uint64_t now_us = host_now_us(host);
    struct segment_time time = {.leave_us = now_us, .least_us = now_us};
    (void)segment_send(host, segment_make(host, &reset, slice_of(NULL, 0)), &time);
}

void host_on_segment(struct host *host, const struct event *event, uint32_t index)
{
    struct packet *packet = packet_at(world_of(host), index);
    struct event inside = *event;
    if (!packet->is_received) {
        enum napt_segment segment = napt_segment_of(segment_of(packet)->kind);
        enum route_end end = box_admit(&host, packet, NAPT_TCP, segment);
        if (end != ROUTE_FOUND) {
            give_back(host, index, end);
            return;
        }
        packet->is_received = true;
        inside.destination = host->index;
        host->shard->destination = host->index;
        if (net_arrive(world_of(host)->options.net, &host->link, wire_bytes(packet), event->time_us,
                       &inside.time_us) != NET_PASSED) {
            give_back(host, index, ROUTE_LOST);
            return;
        }
        if (inside.time_us > event->time_us) {
            queue_push(host->shard->queue, &inside);
            return;
        }
    }
    stream_on_segment(host, &inside, index);
}
