/* world.h - what the files of sim/host share: the world's inside.
 *
 * Hosts are dealt out to shards, and a shard has all that running its hosts touches: queue,
 * packets, contacts, memory, counters. Time advances in windows no longer than the least latency of
 * the network, so that what one shard sends in a window concerns another only after it: inside a
 * window each shard runs alone, on a thread of its own. Between windows one thread does what
 * concerns them all: scripted events, and telling the driver what nodes have delivered. Each host
 * sees the same events in the same order whatever the number of shards, hence the same digest.
 *
 *      scripted events -> shard 0 | shard 1 | ... run to the end of the window -> deliveries told
 *           ^                outboxes: opened in the next window                       |
 *           `--------------------------------------------------------------------------'
 *
 * Each port operation lives in the file that carries the same name in node/host.
 */
#ifndef SIM_HOST_WORLD_H
#define SIM_HOST_WORLD_H

#include <stddef.h>
#include <string.h>

#include "sim/engine/digest.h"
#include "sim/host/crew.h"
#include "sim/host/host.h"

/* --- packets in flight: three size classes, recycled ------------------------------------------ */

struct packet {
    uint32_t next; /* In the free list or in a backlog: index + 1. */
    uint16_t len;
    uint16_t kept; /* Bytes that are stored: what pads a datagram behind them is zero. */
    struct port_addr from;
    uint16_t to_port;
    uint8_t is_received; /* The downlink has been charged. */
    uint8_t ttl;         /* What is left of it before the receiver's boxes. */
    uint8_t depth;       /* Of the receiver's boxes, outermost first: so many are behind it. */
    uint8_t is_segment;  /* Of a stream: its bytes begin with a struct segment (stream.h). */
    uint8_t bytes[];
};

_Static_assert(offsetof(struct packet, bytes) == 32, "bytes are aligned as the packet is");

enum {
    PACKET_CLASSES = 3,
    PACKET_SEGMENT_BYTES = 40, /* Of a packet's bytes, before what a segment carries. */
    PACKET_SLAB_BITS = 10,     /* Packets in a slab. */
    EVENT_KIND_BITS = 3,       /* Of the 32-bit payload; the rest is an index. */
    EVENT_INDEX_BITS = 32 - EVENT_KIND_BITS,
    EVENT_INDEX_MASK = (1 << EVENT_INDEX_BITS) - 1,
    /* A packet's index: its number, the shard that made it, its class. */
    PACKET_CLASS_BITS = 2,
    PACKET_SHARD_BITS = 3,
    PACKET_NUMBER_BITS = EVENT_INDEX_BITS - PACKET_CLASS_BITS - PACKET_SHARD_BITS,
    PACKET_SLABS_MAX = 1 << (PACKET_NUMBER_BITS - PACKET_SLAB_BITS),
    SHARDS_MAX = WORLD_THREADS_MAX,
    /* At most the least latency: what is sent inside a window arrives behind it. */
    WINDOW_US = NET_LATENCY_MIN_US,
};
_Static_assert(SHARDS_MAX <= 1 << PACKET_SHARD_BITS, "an index names any shard");

/* Any shard may free a packet, and then it is that shard's to use: the receiver's. */
struct packet_class {
    uint8_t *slabs[PACKET_SLABS_MAX]; /* Never moves: other shards look packets up in it. */
    uint32_t slab_count;
    uint32_t made;
    uint32_t free; /* Index + 1 of the first free packet; 0 for none. */
    uint32_t packet_bytes;
};

/* --- interned contacts ------------------------------------------------------------------------ */

struct intern_slot {
    uint32_t handle; /* 0: empty. */
    uint32_t tag;    /* Of the key: spares looking at records of others. */
};

struct intern {
    struct port_intern view;
    uint8_t *records;
    uint64_t *prefixes;
    struct intern_slot *slots; /* Open addressing. */
    uint32_t slot_mask;
    uint32_t count;
    uint32_t max;
};

/* --- what a node said, held back until its entry has returned --------------------------------- */

struct delivery {
    struct host *host;
    uint64_t time_us;
    struct port_event event;
    size_t bytes_at; /* Offsets into the text buffer. */
    size_t about_at;
};

struct deliveries {
    struct delivery *items;
    uint32_t count;
    uint32_t cap;
    uint8_t *text;
    size_t text_len;
    size_t text_cap;
};

enum {
    CHUNK_CLASSES = 1025, /* Of 64 bytes each: up to 64 KiB. */
};

struct host_chunk {
    struct host_chunk *next;
    struct host_chunk *previous;
    uint32_t bytes; /* Asked for. */
    uint32_t size;  /* With this header, rounded up. */
};

/* A pending answer of the host itself: durable, resolved, work. */
struct errand {
    struct port_work *work;
    struct port_addr addr;
    uint64_t ticket;
    uint32_t incarnation;
    uint32_t next_free;
    int status;
};

/* --- addresses -------------------------------------------------------------------------------- */

enum {
    ADDR_NET_FIRST = 1 << 16, /* The first /24 of all: 1.0.0.0 upwards, one for each group. */
    /* RFC 1918: these are nobody's in the public network. */
    ADDR_NET_PRIVATE = 10 << 16,
    ADDR_NET_PRIVATE_END = 11 << 16,
    /* Up to the last /24 of unicast addresses. */
    ADDR_GROUPS_MAX = (224 << 16) - ADDR_NET_FIRST - (ADDR_NET_PRIVATE_END - ADDR_NET_PRIVATE),
};

/* A public address that is given: what a sender needs to know of who is there. */
struct addr_slot {
    struct net_site site;
    uint32_t host; /* Its index; the first one behind the box whose address this is; HOST_NONE. */
};
#define HOST_NONE UINT32_MAX

/* A /24: a stretch of slots, which may have room for more. */
struct addr_group {
    uint32_t first;
    uint16_t count;
    uint16_t room;
};

/* --- boxes ------------------------------------------------------------------------------------ */

/* A private /24: a stretch of the members of a box. */
struct inside_net {
    uint32_t box;
    uint32_t first;
};

/* A realm is a network with addresses of its own: the public one, or the inside of a box that
 * translates. The inside of a firewall is part of the realm around it. */
struct box {
    struct napt *nat;
    uint32_t outer;     /* The box it stands behind; WORLD_BOX_NONE. */
    uint32_t outermost; /* Of those, or itself. */
    uint32_t realm;     /* Of its inside: the box that translates; WORLD_BOX_NONE: public. */
    uint32_t group24;
    uint32_t first_host; /* Behind it, in whose name it gets events; HOST_NONE. */
    uint32_t other_ip;   /* What its external address was, or 0. */
    uint64_t begun_us;   /* When it knew nothing last. */
    uint8_t depth;       /* Boxes around it. */
    uint8_t shard;
    bool is_firewall;
    bool maps_on_request;
    bool is_natpmp_only;
    /* Of a realm: its members, hosts and MEMBER_BOX | boxes, in the order of their addresses. */
    uint32_t member_count;
    uint32_t member_cap;
    uint32_t *members;
    uint32_t net_last; /* The last of its /24s. */
    /* Of an outermost box: all /24s inside, so that no address is given twice behind it. */
    uint32_t net_count;
    uint32_t net_cap;
    struct inside_net *nets;
};

/* Where a packet goes from here, and what it looks like there. */
struct route {
    struct napt_packet packet;
    const struct net_site *site; /* NULL: somebody behind the same box, along no path. */
    uint32_t host;               /* Who gets the event. */
    uint8_t ttl;                 /* Before, what it starts with; after, what is left. */
    uint8_t depth;               /* As struct packet has it. */
};

enum route_end {
    ROUTE_FOUND,
    ROUTE_LOST, /* There is nobody, or the TTL has run out. */
    ROUTE_FILTERED,
    ROUTE_REJECTED, /* As filtered, and the sender is told if it can be. */
};

/* What few hosts have; the others keep to their cache lines. */
struct host_extra {
    /* What every datagram asks for lies together. */
    uint32_t box; /* It stands behind; WORLD_BOX_NONE. */
    uint32_t next_free;
    struct host_streams *streams;          /* NULL: none is open. */
    uint64_t paths[HOST_PATHS_MAX / 64];   /* Bit p - 1: extra path p is a UDP socket, */
    uint64_t carried[HOST_PATHS_MAX / 64]; /* or a stream. */
    uint16_t path_last;                    /* Socket opened last. */
};

/* Events on their way from one shard to another. */
struct outbox {
    struct event *events;
    uint32_t count;
    uint32_t cap;
    uint64_t earliest_us; /* Meaningless while empty. */
};

struct shard {
    struct world *world;
    struct queue *queue;
    uint64_t now_us;
    struct host *entered; /* Whose entry is running: the laws are checked against it. */
    uint8_t datagram[PORT_DATAGRAM_MAX]; /* The one that is delivered, with its padding. */
    uint32_t number;
    uint32_t destination; /* Of the event being dispatched: what must_failed() names. */
    struct host_counts counts;
    struct packet_class packets[PACKET_CLASSES];
    struct intern intern;
    struct deliveries deliveries;
    struct errand *errands;
    uint32_t errand_count;
    uint32_t errand_cap;
    uint32_t errand_free; /* Index + 1. */
    struct host_extra *extras;
    uint32_t extra_count;
    uint32_t extra_cap;
    uint32_t extra_free; /* Index + 1. */
    struct host_chunk *free_chunks[CHUNK_CLASSES];
    uint8_t *chunk_next;
    uint8_t *chunk_end;
    void *chunk_slabs; /* Linked through their first word. */
    size_t node_bytes;
    size_t disk_bytes;
    /* One half is filled in a window while the receivers empty the other, filled before it. */
    struct outbox outboxes[2][SHARDS_MAX];
};

struct world {
    struct world_options options;
    struct host *hosts;
    uint8_t *shard_of; /* By host: the number of the shard that runs it. */
    uint32_t host_count;
    uint32_t shard_count;
    struct shard *shards[SHARDS_MAX];
    struct crew *crew;         /* NULL with one shard. */
    struct queue *scripts;     /* Scripted events: between windows. */
    struct addr_group *groups; /* By /24. */
    uint32_t group_cap;
    uint32_t slot_count;
    uint32_t slot_cap;
    struct addr_slot *slots;
    struct box *boxes;
    uint32_t box_count;
    uint32_t box_cap;
    uint64_t now_us;
    uint64_t told_us;    /* When what is being told was delivered. */
    uint64_t window_us;  /* End of the present window, or of the last. */
    uint64_t events_max; /* Of the present run; 0 for none. */
    uint32_t half;       /* Of the outboxes being filled. */
    bool is_in_window;
    bool is_telling;
    world_visit_fn visit; /* What the crew does; NULL: its window. */
    void *visit_arg;
    uint32_t visit_first;
    uint32_t visit_end;
};

static inline uint32_t event_payload(enum host_event kind, uint32_t index)
{
    return ((uint32_t)kind << EVENT_INDEX_BITS) | index;
}

static inline struct host *host_of(struct port *port)
{
    return container_of(port, struct host, port);
}

static inline struct world *world_of(const struct host *host)
{
    return host->shard->world;
}

/* The host's present: inside a window its shard's, else everybody's. */
static inline uint64_t host_now_us(const struct host *host)
{
    const struct world *world = world_of(host);
    return world->is_in_window ? host->shard->now_us : world->now_us;
}

static inline uint32_t addr_group_net(uint32_t group24)
{
    uint32_t net = ADDR_NET_FIRST + group24;
    return net < ADDR_NET_PRIVATE ? net : net + (ADDR_NET_PRIVATE_END - ADDR_NET_PRIVATE);
}

/* IPv4 in host byte order; false for what is not v4-mapped. */
static inline bool addr_ip(const struct port_addr *addr, uint32_t *ip)
{
    static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    *ip = (uint32_t)addr->ip[12] << 24 | (uint32_t)addr->ip[13] << 16 |
          (uint32_t)addr->ip[14] << 8 | addr->ip[15];
    return memcmp(addr->ip, v4_prefix, sizeof v4_prefix) == 0;
}

static inline uint32_t addr_port(const struct port_addr *addr)
{
    return (uint32_t)addr->port[0] << 8 | addr->port[1];
}

/* NULL for an address that has not been given in the public network. */
static inline struct addr_slot *addr_slot(const struct world *world, uint32_t ip)
{
    uint32_t net = ip >> 8;
    uint32_t group = net - ADDR_NET_FIRST;
    if (net >= ADDR_NET_PRIVATE) {
        group = net >= ADDR_NET_PRIVATE_END ? group - (ADDR_NET_PRIVATE_END - ADDR_NET_PRIVATE)
                                            : UINT32_MAX;
    }
    uint32_t member = (ip & 0xff) - 1;
    if (group >= world->group_cap || member >= world->groups[group].count) {
        return NULL;
    }
    return &world->slots[world->groups[group].first + member];
}

/* An event from a host to itself. */
void host_post(struct host *host, uint64_t time_us, enum host_event kind, uint32_t index);
void *world_memory(size_t bytes, bool is_huge); /* Zeroed, or the process ends. */

/* Folds an event into its owner's chain, and shows it to whoever watches. */
void host_record(struct host *host, const struct event *event, enum host_event kind,
                 struct slice bytes);
void host_entry_begin(struct host *host);
void host_entry_end(struct host *host);

/* shard.c */
struct shard *shard_open(struct world *world, uint32_t number);
void shard_close(struct shard *shard);
/* The time of the earliest event of the shard, what others have sent it included; PORT_NEVER. */
uint64_t shard_next_us(struct shard *shard);
/* Runs the shard's events before the window's end. False when events_max came first. */
bool shard_run(struct shard *shard);
/* Files an event with the shard that runs its destination. */
void shard_push(struct shard *shard, const struct event *event);
/* One event. */
void host_dispatch(struct shard *shard, const struct event *event);

/* host_addr.c */
void addr_set(struct port_addr *addr, uint32_t ip, uint32_t port);
struct host *host_make(struct world *world, uint32_t ip, uint32_t shard);
uint32_t host_ip(const struct host *host);
/* Where datagrams of this path come from, as the host itself knows it. */
void host_addr_of(const struct host *host, int path, struct port_addr *addr);
/* The next free address of the group, for this host. */
uint32_t addr_take(struct world *world, uint32_t group24, uint32_t host);

/* host_box.c */
void boxes_close(struct world *world);
/* Notes where a box is, when the host is the first behind one that is public. */
void box_place(struct host *host, const struct net_site *site);
/* Has ready what the next event of a host behind a box will touch, a step at a time: what few hosts
 * have, the box, the NAT, and for a datagram (else NULL) its chain and its session there. */
enum box_step { BOX_STEP_EXTRA, BOX_STEP_BOX, BOX_STEP_NAT, BOX_STEP_CHAIN, BOX_STEP_SESSION };
void box_expect(const struct host *host, const struct packet *packet, enum box_step step);
/* Whether that is where the box around the host answers requests for ports: 10.x.y.1, PCP's port.
 */
bool box_is_asked(const struct host *host, const struct port_addr *to);
/* A request of this path that has arrived at the box at arrive_us. */
void box_on_request(struct host *host, int path, struct slice bytes, uint64_t arrive_us);
/* Asks the boxes around the host, up to where the packet's receiver is found. */
enum route_end box_route(struct host *host, struct route *route);
/* Asks the boxes before the receiver; *host becomes the one that gets the packet, and the packet
 * what it looks like there. */
enum route_end box_admit(struct host **host, struct packet *packet, enum napt_protocol protocol,
                         enum napt_segment segment);

static inline bool addr_is_private(uint32_t ip)
{
    return ip >> 24 == ADDR_NET_PRIVATE >> 16;
}

/* host_net.c */
void packets_open(struct shard *shard);
void packets_close(struct shard *shard);
struct packet *packet_at(const struct world *world, uint32_t index);
void packet_free(struct shard *shard, uint32_t index);
/* As it was sent; good until the shard's next packet. */
struct slice packet_bytes(struct shard *shard, const struct packet *packet);
int host_send(struct port *port, int path, const struct port_addr *to, struct slice bytes,
              struct port_send_flags flags);
int host_path_open(struct port *port, enum port_carrier carrier, const struct port_addr *hint,
                   const struct port_addr *remote);
void host_path_close(struct port *port, int path);
bool host_path_local(struct port *port, int path, struct port_addr *addr);
bool host_gateway(struct port *port, struct port_addr *addr);
int host_resolve(struct port *port, const char *name, uint32_t ticket);
/* Who gets the packet behind the boxes that stand before the host; NULL when they let it not pass.
 */
struct host *host_behind(struct host *host, uint32_t index, struct packet *packet);
/* True when the packet reaches the node now; false when it was dropped or has to wait. */
bool host_receive(struct host *host, const struct event *event, struct packet *packet);
/* What the host has beside what all have; NULL, or memory that is good until the shard's next one.
 */
static inline struct host_extra *host_extra(const struct host *host)
{
    return host->extra != 0 ? &host->shard->extras[host->extra - 1] : NULL;
}
struct host_extra *host_extra_get(struct host *host); /* Made if need be. */
/* All that the node had of it. */
void host_extra_drop(struct host *host);
/* The next packet of the backlog, its index in *index; NULL when the node has gone meanwhile. */
struct packet *host_backlog_next(struct host *host, uint32_t *index);
void host_backlog_drop(struct host *host);

/* The processor, or datagrams that wait for it. */
static inline bool host_is_busy(const struct host *host, uint64_t now_us)
{
    return host->backlog_first != 0 || host->cpu_free_ns > now_us * 1000;
}
/* Behind all that waits. */
void host_backlog_put(struct host *host, struct packet *packet, uint32_t index);
/* A packet with room for so many bytes; its index. */
uint32_t packet_get(struct shard *shard, size_t len, struct packet **packet);

/* host_segment.c */
void host_on_segment(struct host *host, const struct event *event, uint32_t index);

/* host_stream.c */
int host_stream_open(struct host *host, int path, const struct port_addr *hint,
                     const struct port_addr *remote);
/* False when no stream leads there: UDP's business. */
bool host_stream_send(struct host *host, const struct port_addr *to, struct slice bytes);
int host_stream_path_send(struct host *host, int path, struct slice bytes);
void host_stream_path_close(struct host *host, int path);
/* 0: no such stream. */
uint16_t host_stream_path_port(const struct host *host, int path);
/* Hands a datagram or the end of the stream to the node. */
void host_stream_deliver(struct host *host, const struct event *event, enum host_event kind,
                         struct packet *packet);
void host_streams_end(struct host *host);  /* Politely. */
void host_streams_drop(struct host *host); /* Without a word. */

/* host_clock.c */
void host_wake_at(struct port *port, uint64_t due_us);

/* host_store.c */
int host_store_get(struct port *port, struct slice key, void *buffer, size_t cap, size_t *len);
int host_store_put(struct port *port, struct slice key, struct slice value);
int host_store_del(struct port *port, struct slice key);
int host_store_scan(struct port *port, struct slice prefix, port_scan_fn visit, void *arg);
int host_store_commit(struct port *port, uint64_t ticket);
void host_disk_durable(struct host *host, uint64_t ticket);
void host_disk_crash(struct host *host);
void host_disk_free(struct host *host);

/* host_memory.c */
void *host_arena_more(struct port *port, size_t bytes, size_t *given);
void host_arena_less(struct port *port, void *memory);
void *host_chunk_get(struct host *host, size_t bytes);
void host_chunks_drop(struct host *host);
void intern_open(struct intern *intern, uint32_t max);
void intern_close(struct intern *intern);
uint32_t host_intern_get(struct port *port, const void *key, port_intern_fn complete);
void host_intern_expect(struct port *port, const void *keys, size_t count);
void host_intern_keep(struct port *port, uint32_t handle);

/* host_trace.c */
void host_deliver(struct port *port, const struct port_event *event);
void host_trace(struct port *port, const struct port_trace *event);
/* Tells the driver what was delivered, in the order of time and hosts. */
void world_tell(struct world *world);

/* host_work.c */
int host_work(struct port *port, struct port_work *work);
uint32_t errand_get(struct shard *shard, const struct errand *errand);
void errand_put(struct shard *shard, uint32_t index);
void host_entropy(struct port *port, void *buffer, size_t len);

#endif /* SIM_HOST_WORLD_H */
