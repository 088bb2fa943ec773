/* host_stream.c - carriers on TCP: the ends of streams, and which stream a datagram takes.
 *
 * As on the real host: paths that the node opens have a number of their own and events; datagrams
 * of the main path take a stream where an accepted one leads to their address, and what comes in by
 * such a one belongs to the main path too. A peer that called goes by the address of its connection
 * with the port that its hello names, or the connection's own if that is none.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/host/stream.h"

#define S UINT64_C(1000000)

enum {
    FRAME_BYTES = 2,        /* The length before each datagram. */
    PORT_EPHEMERAL = 49152, /* RFC 6335 section 6: dynamic ports, up to the last. */
    PORTS_EPHEMERAL = 16384,
    TRIES_MAX = 9, /* Each twice as patient: more than the 100 s of RFC 9293 section 3.8.3. */
    FLIGHTS_FIRST = 4,
};

/* RFC 6298: after a second (section 2.1) and each time twice as long (section 5.5), until the
 * deadline. */
static const uint64_t syn_again_us[] = {1 * S, 3 * S, 7 * S, HOST_STREAM_OPENING_US};

enum stream_state { STREAM_OPENING, STREAM_UP };

/* A datagram that has left and is not there yet. */
struct flight {
    uint64_t arrive_us;
    uint32_t bytes;
};

struct stream {
    struct stream_ends ends;
    struct port_addr addr; /* What the peer goes by; no port until its hello, if it called us. */
    int path;
    uint32_t number;      /* No other stream that this host has had has it. */
    uint32_t peer_number; /* The other end's, when that has called. */
    enum stream_state state;
    bool is_inbound;
    bool is_owed_room; /* A datagram was turned away: tell when there is room. */
    uint8_t syns;
    uint64_t opened_us;
    uint64_t active_us; /* Last segment in or out. */
    uint64_t syn_us;    /* Last SYN out. */
    uint64_t rtt_us;
    uint64_t arrive_us;     /* When all that is out will be there. */
    uint32_t sent;          /* Numbered segments out, */
    uint32_t heard;         /* and in. */
    uint32_t backlog_bytes; /* Waiting and in flight, framed. */
    uint32_t waiting_first; /* Until it is up: packet + 1, 0 none. */
    uint32_t waiting_last;
    struct flight *flights; /* A ring, oldest first. */
    uint32_t flight_first;
    uint32_t flight_count;
    uint32_t flight_cap;
};

struct host_streams {
    uint32_t count;
    uint32_t cap;
    struct stream **table; /* Oldest first. */
    /* Beside it: to where datagrams of the main path take the stream, all zero for nowhere. Every
     * datagram of a host asks. */
    struct port_addr *takes;
};

static struct stream *stream_at(const struct host *host, const struct stream_ends *ends);
static struct stream *stream_to(const struct host *host, const struct port_addr *to);
static struct stream *stream_of_path(const struct host *host, int path);
static struct stream *stream_numbered(const struct host *host, uint32_t number);
static bool room_make(struct host *host);
static bool has_room_for(const struct host *host, uint32_t ip);
static uint16_t port_choose(const struct host *host, const struct port_addr *hint,
                            const struct napt_end *remote);
static struct stream *stream_make(struct host *host, const struct stream_ends *ends);
static uint32_t place_of(const struct host_streams *streams, const struct stream *stream);
static void stream_drop(struct host *host, struct stream *stream);
static void stream_end(struct host *host, struct stream *stream);
static void stream_fail(struct host *host, struct stream *stream);
static int stream_put(struct host *host, struct stream *stream, struct slice bytes);
static void send_opening(struct host *host, struct stream *stream, enum segment_kind kind);
static void send_control(struct host *host, struct stream *stream, enum segment_kind kind);
static void send_numbered(struct host *host, struct stream *stream, uint32_t index);
static void timer_set(struct host *host, const struct stream *stream, enum segment_kind kind,
                      uint64_t due_us);
static void tell(struct host *host, int path, enum port_path_event event);

/* --- what the node asks ----------------------------------------------------------------------- */

int host_stream_open(struct host *host, int path, const struct port_addr *hint,
                     const struct port_addr *remote)
{
    struct stream_ends ends;
    if (!addr_ip(remote, &ends.remote.ip)) {
        return ERR_UNREACHABLE;
    }
    ends.remote.port = (uint16_t)addr_port(remote);
    ends.local_port = port_choose(host, hint, &ends.remote);
    if (ends.local_port == 0) {
        return ERR_UNREACHABLE; /* The same two ends are connected already. */
    }
    if (!room_make(host)) {
        return ERR_FULL;
    }
    struct stream *stream = stream_make(host, &ends);
    stream->path = path;
    stream->addr = *remote;
    send_opening(host, stream, SEGMENT_SYN);
    timer_set(host, stream, SEGMENT_TIMER, stream->opened_us + syn_again_us[0]);
    return ERR_OK;
}

bool host_stream_send(struct host *host, const struct port_addr *to, struct slice bytes)
{
    struct stream *stream = bytes.len > 0 ? stream_to(host, to) : NULL;
    if (stream == NULL) {
        return false;
    }
    if (stream_put(host, stream, bytes) != ERR_OK) {
        host->shard->counts.datagrams_lost++; /* A full backlog is one more way to lose it. */
    }
    return true;
}

int host_stream_path_send(struct host *host, int path, struct slice bytes)
{
    struct stream *stream = stream_of_path(host, path);
    if (stream == NULL || bytes.len == 0) {
        return ERR_INVALID;
    }
    return stream_put(host, stream, bytes);
}

void host_stream_path_close(struct host *host, int path)
{
    struct stream *stream = stream_of_path(host, path);
    if (stream != NULL) {
        stream_end(host, stream);
    }
}

uint16_t host_stream_path_port(const struct host *host, int path)
{
    const struct stream *stream = stream_of_path(host, path);
    return stream != NULL ? stream->ends.local_port : 0;
}

void host_streams_end(struct host *host)
{
    const struct host_extra *extra = host_extra(host);
    while (extra != NULL && extra->streams != NULL) {
        stream_end(host, extra->streams->table[0]);
    }
}

void host_streams_drop(struct host *host)
{
    const struct host_extra *extra = host_extra(host);
    while (extra != NULL && extra->streams != NULL) {
        stream_drop(host, extra->streams->table[0]);
    }
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct host_streams no_streams;

static const struct host_streams *streams_of(const struct host *host)
{
    const struct host_extra *extra = host_extra(host);
    return extra != NULL && extra->streams != NULL ? extra->streams : &no_streams;
}

static struct stream *stream_at(const struct host *host, const struct stream_ends *ends)
{
    const struct host_streams *streams = streams_of(host);
    for (uint32_t i = 0; i < streams->count; i++) {
        const struct stream_ends *own = &streams->table[i]->ends;
        if (own->local_port == ends->local_port && own->remote.ip == ends->remote.ip &&
            own->remote.port == ends->remote.port) {
            return streams->table[i];
        }
    }
    return NULL;
}

/* The newest that is up. The node's own paths are its own business. */
static struct stream *stream_to(const struct host *host, const struct port_addr *to)
{
    const struct host_streams *streams = streams_of(host);
    for (uint32_t i = addr_port(to) != 0 ? streams->count : 0; i > 0; i--) {
        if (memcmp(&streams->takes[i - 1], to, sizeof *to) == 0) {
            return streams->table[i - 1];
        }
    }
    return NULL;
}

static struct stream *stream_of_path(const struct host *host, int path)
{
    const struct host_streams *streams = streams_of(host);
    for (uint32_t i = 0; path != PORT_MAIN_PATH && i < streams->count; i++) {
        if (streams->table[i]->path == path) {
            return streams->table[i];
        }
    }
    return NULL;
}

static struct stream *stream_numbered(const struct host *host, uint32_t number)
{
    const struct host_streams *streams = streams_of(host);
    for (uint32_t i = 0; i < streams->count; i++) {
        if (streams->table[i]->number == number) {
            return streams->table[i];
        }
    }
    return NULL;
}

/* For a call of ours. When all are taken the main path's one that has been silent for longest makes
 * room, so that strangers who hold their streams cannot keep us from calling. */
static bool room_make(struct host *host)
{
    const struct host_streams *streams = streams_of(host);
    if (streams->count < HOST_STREAMS_MAX) {
        return true;
    }
    struct stream *silent = NULL;
    for (uint32_t i = 0; i < streams->count; i++) {
        struct stream *stream = streams->table[i];
        if (stream->path == PORT_MAIN_PATH && stream->state == STREAM_UP &&
            (silent == NULL || stream->active_us < silent->active_us)) {
            silent = stream;
        }
    }
    if (silent == NULL) {
        return false;
    }
    stream_end(host, silent);
    return true;
}

/* For one more call from that address. */
static bool has_room_for(const struct host *host, uint32_t ip)
{
    const struct host_streams *streams = streams_of(host);
    uint32_t same = 0;
    for (uint32_t i = 0; i < streams->count; i++) {
        const struct stream *stream = streams->table[i];
        same += stream->is_inbound && stream->ends.remote.ip == ip;
    }
    return same < HOST_STREAMS_PER_ADDR_MAX && streams->count < HOST_STREAMS_MAX;
}

/* The hint's, so that the other side can know it beforehand, or any. 0: taken. */
static uint16_t port_choose(const struct host *host, const struct port_addr *hint,
                            const struct napt_end *remote)
{
    struct stream_ends ends = {.remote = *remote};
    if (hint != NULL && addr_port(hint) != 0) {
        ends.local_port = (uint16_t)addr_port(hint);
        return stream_at(host, &ends) == NULL ? ends.local_port : 0;
    }
    for (uint64_t i = rng_mix(host->sequence);; i++) {
        ends.local_port = (uint16_t)(PORT_EPHEMERAL + i % PORTS_EPHEMERAL);
        if (stream_at(host, &ends) == NULL) {
            return ends.local_port;
        }
    }
}

static struct stream *stream_make(struct host *host, const struct stream_ends *ends)
{
    struct host_extra *extra = host_extra_get(host);
    struct host_streams *streams = extra->streams;
    if (streams == NULL) {
        streams = calloc(1, sizeof *streams);
        must(streams != NULL);
        extra->streams = streams;
    }
    if (streams->count == streams->cap) {
        streams->cap = streams->cap == 0 ? 1 : streams->cap * 2;
        streams->table = realloc(streams->table, streams->cap * sizeof(struct stream *));
        streams->takes = realloc(streams->takes, streams->cap * sizeof *streams->takes);
        must(streams->table != NULL && streams->takes != NULL);
    }
    struct stream *stream = calloc(1, sizeof *stream);
    must(stream != NULL);
    uint64_t now_us = host_now_us(host);
    *stream = (struct stream){.ends = *ends,
                              .path = PORT_MAIN_PATH,
                              .number = host->sequence++,
                              .opened_us = now_us,
                              .active_us = now_us};
    streams->takes[streams->count] = (struct port_addr){.port = {0}};
    streams->table[streams->count++] = stream;
    return stream;
}

static uint32_t place_of(const struct host_streams *streams, const struct stream *stream)
{
    uint32_t at = 0;
    while (streams->table[at] != stream) {
        at++;
    }
    return at;
}

/* Without a word to anybody. */
static void stream_drop(struct host *host, struct stream *stream)
{
    struct host_extra *extra = host_extra(host);
    struct host_streams *streams = extra->streams;
    uint32_t at = place_of(streams, stream);
    streams->count--;
    memmove(streams->table + at, streams->table + at + 1,
            (streams->count - at) * sizeof(struct stream *));
    memmove(streams->takes + at, streams->takes + at + 1,
            (streams->count - at) * sizeof *streams->takes);
    for (uint32_t index = stream->waiting_first, next; index != 0; index = next) {
        next = packet_at(world_of(host), index - 1)->next;
        packet_free(host->shard, index - 1);
    }
    free(stream->flights);
    free(stream);
    if (streams->count == 0) {
        free(streams->table);
        free(streams->takes);
        free(streams);
        extra->streams = NULL;
    }
}

static void stream_end(struct host *host, struct stream *stream)
{
    if (stream->state == STREAM_UP) {
        send_control(host, stream, SEGMENT_END);
    }
    stream_drop(host, stream);
}

static void stream_fail(struct host *host, struct stream *stream)
{
    int path = stream->path;
    enum port_path_event event = stream->state == STREAM_UP ? PORT_PATH_CLOSED : PORT_PATH_REFUSED;
    stream_drop(host, stream);
    if (path != PORT_MAIN_PATH) {
        tell(host, path, event);
    }
}

static void tell(struct host *host, int path, enum port_path_event event)
{
    host_entry_begin(host);
    node_on_path(host->node, path, event);
    host_entry_end(host);
}

/* --- out -------------------------------------------------------------------------------------- */

/* Inside an entry what the processor has spent so far delays what is sent. */
static uint64_t leave_us(const struct host *host)
{
    bool is_entered = host->shard->entered == host;
    return host_now_us(host) + (is_entered ? host->port.spent_ns / 1000 : 0);
}

static struct segment segment_for(const struct stream *stream, enum segment_kind kind)
{
    uint16_t listens_at = stream->path == PORT_MAIN_PATH ? HOST_PORT : 0;
    return (struct segment){.kind = (uint8_t)kind, .ends = stream->ends, .listens_at = listens_at};
}

/* SYN or SYN-ACK. */
static void send_opening(struct host *host, struct stream *stream, enum segment_kind kind)
{
    struct segment segment = segment_for(stream, kind);
    segment.number = stream->number;
    struct segment_time time = {.leave_us = leave_us(host)};
    if (kind == SEGMENT_SYN) {
        stream->syn_us = time.leave_us;
        stream->syns++;
    }
    (void)segment_send(host, segment_make(host, &segment, slice_of(NULL, 0)), &time);
}

static void send_control(struct host *host, struct stream *stream, enum segment_kind kind)
{
    struct segment segment = segment_for(stream, kind);
    send_numbered(host, stream, segment_make(host, &segment, slice_of(NULL, 0)));
}

static void send_numbered(struct host *host, struct stream *stream, uint32_t index)
{
    struct packet *packet = packet_at(world_of(host), index);
    segment_of(packet)->number = stream->sent++;
    struct segment_time time = {
        .leave_us = leave_us(host), .least_us = stream->arrive_us, .rtt_us = stream->rtt_us};
    stream->arrive_us = segment_send(host, index, &time);
    stream->active_us = host_now_us(host);
}

static void flight_add(struct stream *stream, uint32_t bytes)
{
    if (stream->flight_count == stream->flight_cap) {
        uint32_t cap = stream->flight_cap == 0 ? FLIGHTS_FIRST : stream->flight_cap * 2;
        struct flight *flights = calloc(cap, sizeof *flights);
        must(flights != NULL);
        for (uint32_t i = 0; i < stream->flight_count; i++) {
            flights[i] = stream->flights[(stream->flight_first + i) % stream->flight_cap];
        }
        free(stream->flights);
        stream->flights = flights;
        stream->flight_first = 0;
        stream->flight_cap = cap;
    }
    uint32_t at = (stream->flight_first + stream->flight_count++) % stream->flight_cap;
    stream->flights[at] = (struct flight){.arrive_us = stream->arrive_us, .bytes = bytes};
}

/* What has arrived makes room. */
static void flights_land(struct stream *stream, uint64_t now_us)
{
    while (stream->flight_count > 0) {
        const struct flight *oldest = &stream->flights[stream->flight_first];
        if (oldest->arrive_us > now_us) {
            return;
        }
        stream->backlog_bytes -= oldest->bytes;
        stream->flight_first = (stream->flight_first + 1) % stream->flight_cap;
        stream->flight_count--;
    }
}

static void send_datagram(struct host *host, struct stream *stream, uint32_t index)
{
    uint32_t len = packet_at(world_of(host), index)->len - (uint32_t)PACKET_SEGMENT_BYTES;
    send_numbered(host, stream, index);
    flight_add(stream, FRAME_BYTES + len);
}

static int stream_put(struct host *host, struct stream *stream, struct slice bytes)
{
    flights_land(stream, host_now_us(host));
    if (stream->backlog_bytes + FRAME_BYTES + bytes.len > HOST_STREAM_BACKLOG_BYTES_MAX) {
        if (stream->path != PORT_MAIN_PATH && !stream->is_owed_room) {
            stream->is_owed_room = true;
            if (stream->state == STREAM_UP) {
                timer_set(host, stream, SEGMENT_ROOM, stream->arrive_us);
            }
        }
        return ERR_AGAIN;
    }
    struct host_counts *counts = &host->shard->counts;
    counts->datagrams_sent++;
    counts->bytes_sent += bytes.len;
    struct segment segment = segment_for(stream, SEGMENT_DATA);
    uint32_t index = segment_make(host, &segment, bytes);
    stream->backlog_bytes += FRAME_BYTES + (uint32_t)bytes.len;
    if (stream->state == STREAM_UP) {
        send_datagram(host, stream, index);
        return ERR_OK;
    }
    if (stream->waiting_first == 0) {
        stream->waiting_first = index + 1;
    } else {
        packet_at(world_of(host), stream->waiting_last - 1)->next = index + 1;
    }
    stream->waiting_last = index + 1;
    return ERR_OK;
}

/* --- in --------------------------------------------------------------------------------------- */

/* Datagrams that waited leave behind the hello. */
static void come_up(struct host *host, struct stream *stream)
{
    stream->state = STREAM_UP;
    if (stream->path == PORT_MAIN_PATH) {
        const struct host_streams *streams = streams_of(host);
        streams->takes[place_of(streams, stream)] = stream->addr;
    }
    send_control(host, stream, SEGMENT_HELLO);
    for (uint32_t index = stream->waiting_first, next; index != 0; index = next) {
        next = packet_at(world_of(host), index - 1)->next;
        send_datagram(host, stream, index - 1);
    }
    stream->waiting_first = 0;
    if (stream->is_owed_room) {
        timer_set(host, stream, SEGMENT_ROOM, stream->arrive_us);
    }
    if (stream->path != PORT_MAIN_PATH) {
        tell(host, stream->path, PORT_PATH_UP);
    }
}

/* A call. From an end that we are calling too, at the same ports, it is the same connection (RFC
 * 9293 section 3.5: simultaneous open). */
static void on_syn(struct host *host, struct stream *stream, const struct packet *packet,
                   const struct segment *segment, const struct stream_ends *ends)
{
    bool is_known = stream != NULL && stream->peer_number == segment->number;
    if (stream != NULL && stream->state == STREAM_UP && !is_known) {
        stream_fail(host, stream); /* Of a peer that has begun anew. */
        stream = NULL;
    }
    if (stream == NULL) {
        if (ends->local_port != HOST_PORT || !has_room_for(host, ends->remote.ip)) {
            segment_refuse(host, packet);
            return;
        }
        stream = stream_make(host, ends);
        stream->is_inbound = true;
        addr_set(&stream->addr, ends->remote.ip, 0);
        timer_set(host, stream, SEGMENT_TIMER, stream->opened_us + HOST_STREAM_OPENING_US);
    }
    stream->peer_number = segment->number;
    stream->rtt_us = 2 * (host_now_us(host) - segment->sent_us);
    send_opening(host, stream, SEGMENT_SYN_ACK);
}

static void on_hello(struct host *host, struct stream *stream, const struct segment *segment)
{
    if (stream->state == STREAM_UP) {
        return;
    }
    if (stream->is_inbound) {
        uint16_t named = segment->listens_at;
        addr_set(&stream->addr, stream->ends.remote.ip,
                 named != 0 ? named : stream->ends.remote.port);
    }
    stream->rtt_us = 2 * (host_now_us(host) - segment->sent_us);
    come_up(host, stream);
}

static struct stream_ends ends_here(const struct packet *packet)
{
    struct stream_ends ends = {.local_port = packet->to_port};
    must(addr_ip(&packet->from, &ends.remote.ip));
    ends.remote.port = (uint16_t)addr_port(&packet->from);
    return ends;
}

void host_stream_deliver(struct host *host, const struct event *event, enum host_event kind,
                         struct packet *packet)
{
    struct stream_ends ends = ends_here(packet);
    struct stream *stream = stream_at(host, &ends);
    if (stream == NULL) {
        return; /* It was closed while this waited for the processor. */
    }
    struct slice bytes = segment_data(packet);
    host_record(host, event, kind, bytes);
    if (segment_of(packet)->kind == SEGMENT_END) {
        stream_fail(host, stream);
        return;
    }
    struct port_addr from = stream->addr;
    host_entry_begin(host);
    node_on_datagram(host->node, stream->path, &from, bytes);
    host_entry_end(host);
}

/* One of those that are numbered. True when the packet has been given on. */
static bool on_numbered(struct host *host, struct stream *stream, const struct event *event,
                        uint32_t index)
{
    struct packet *packet = packet_at(world_of(host), index);
    const struct segment *segment = segment_of(packet);
    if (stream == NULL) {
        segment_refuse(host, packet);
        return false;
    }
    if (segment->number != stream->heard) { /* One before it has been missed. */
        segment_miss(host, index);
        return true;
    }
    stream->heard++;
    stream->active_us = event->time_us;
    if (segment->kind == SEGMENT_HELLO) {
        host_record(host, event, HOST_EVENT_STREAM, slice_of(&segment->kind, 1));
        on_hello(host, stream, segment);
        return false;
    }
    if (host_is_busy(host, event->time_us)) {
        host_backlog_put(host, packet, index);
        return true;
    }
    host_stream_deliver(host, event, HOST_EVENT_STREAM, packet);
    return false;
}

/* A segment of ours that did not get through. True when it is on its way again. */
static bool on_missed(struct host *host, struct stream *stream, uint32_t index)
{
    struct segment *segment = segment_of(packet_at(world_of(host), index));
    if (stream == NULL) {
        return false;
    }
    if (segment->tries == TRIES_MAX) {
        stream_fail(host, stream);
        return false;
    }
    segment->tries++;
    struct segment_time time = {
        .leave_us = leave_us(host), .least_us = stream->arrive_us, .rtt_us = stream->rtt_us};
    stream->arrive_us = segment_send(host, index, &time);
    return true;
}

static void on_timer(struct host *host, struct stream *stream, uint64_t now_us)
{
    uint64_t due_us = stream->active_us + HOST_STREAM_IDLE_US;
    if (stream->state == STREAM_UP && now_us < due_us) {
        timer_set(host, stream, SEGMENT_TIMER, due_us);
    } else if (stream->state == STREAM_UP) {
        send_control(host, stream, SEGMENT_END);
        stream_fail(host, stream);
    } else if (stream->is_inbound || now_us >= stream->opened_us + HOST_STREAM_OPENING_US) {
        stream_fail(host, stream);
    } else {
        send_opening(host, stream, SEGMENT_SYN);
        timer_set(host, stream, SEGMENT_TIMER, stream->opened_us + syn_again_us[stream->syns - 1]);
    }
}

static void on_room(struct host *host, struct stream *stream, uint64_t now_us)
{
    flights_land(stream, now_us);
    if (stream->backlog_bytes > 0) {
        timer_set(host, stream, SEGMENT_ROOM, stream->arrive_us);
        return;
    }
    stream->is_owed_room = false;
    tell(host, stream->path, PORT_PATH_WRITABLE);
}

/* A timer is a segment of the host to itself, so that it needs no kind of event of its own. */
static void timer_set(struct host *host, const struct stream *stream, enum segment_kind kind,
                      uint64_t due_us)
{
    struct segment segment = segment_for(stream, kind);
    segment.number = stream->number;
    segment.is_back = true;
    uint32_t index = segment_make(host, &segment, slice_of(NULL, 0));
    packet_at(world_of(host), index)->is_received = true;
    host_post(host, due_us, HOST_EVENT_STREAM, index);
}

/* What is not numbered. */
static void on_control(struct host *host, struct stream *stream, const struct event *event,
                       enum segment_kind kind)
{
    switch (kind) {
    case SEGMENT_SYN_ACK:
        if (stream->state == STREAM_OPENING && !stream->is_inbound) {
            stream->rtt_us = event->time_us - stream->syn_us;
            come_up(host, stream);
        }
        break;
    case SEGMENT_RESET:
        stream_fail(host, stream);
        break;
    case SEGMENT_TIMER:
        on_timer(host, stream, event->time_us);
        break;
    default:
        on_room(host, stream, event->time_us);
        break;
    }
}

/* True when the packet has been given on. */
static bool on_segment(struct host *host, const struct event *event, uint32_t index)
{
    struct packet *packet = packet_at(world_of(host), index);
    const struct segment *segment = segment_of(packet);
    enum segment_kind kind = segment->kind;
    struct stream_ends ends = segment->is_back ? segment->ends : ends_here(packet);
    bool is_timer = kind == SEGMENT_TIMER || kind == SEGMENT_ROOM;
    struct stream *stream =
        is_timer ? stream_numbered(host, segment->number) : stream_at(host, &ends);
    if (kind == SEGMENT_HELLO || kind == SEGMENT_DATA || kind == SEGMENT_END) {
        return segment->is_back ? on_missed(host, stream, index)
                                : on_numbered(host, stream, event, index);
    }
    if (kind == SEGMENT_SYN) {
        host_record(host, event, HOST_EVENT_STREAM, slice_of(&segment->kind, 1));
        on_syn(host, stream, packet, segment, &ends);
    } else if (stream != NULL) {
        host_record(host, event, HOST_EVENT_STREAM, slice_of(&segment->kind, 1));
        on_control(host, stream, event, kind);
    } else if (kind == SEGMENT_SYN_ACK) {
        segment_refuse(host, packet);
    }
    return false;
}

void stream_on_segment(struct host *host, const struct event *event, uint32_t index)
{
    struct packet *packet = packet_at(world_of(host), index);
    const struct segment *segment = segment_of(packet);
    if (host->node != NULL) {
        if (on_segment(host, event, index)) {
            return;
        }
    } else {
        host->shard->counts.datagrams_dead += segment->kind == SEGMENT_DATA;
        if (!segment->is_back && segment->kind != SEGMENT_RESET) {
            segment_refuse(host, packet);
        }
    }
    packet_free(host->shard, index);
}
