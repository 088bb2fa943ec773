/* host_net.c - datagrams: copied into a pooled packet, sent through the network model, delivered.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/host/world.h"

enum {
    /* Bytes kept of a datagram in each class: data, first messages of handshakes, lists. */
    CLASS_SMALL = 96,
    CLASS_MIDDLE = 288,
    CLASS_LARGE = PACKET_SEGMENT_BYTES + PORT_DATAGRAM_MAX,
    UDP_HEADER_BYTES = 28, /* IPv4 20 (RFC 791) and UDP 8 (RFC 768): what links and MTU count. */
    RESOLVE_US = 20000,    /* A name server's answer. */
    PATH_WORD_BITS = 64,
    EXTRAS_FIRST = 16,
};

static const uint16_t class_bytes[PACKET_CLASSES] = {CLASS_SMALL, CLASS_MIDDLE, CLASS_LARGE};

static int free_path(const struct host_extra *extra, int last);
static int path_at(const struct host_extra *extra, int path);
static void path_set(struct host *host, int path, enum port_carrier carrier, bool is_set);
static bool path_is_open(const struct host *host, int path);
static bool route_find(struct host *host, int path, const struct port_addr *to,
                       struct route *route);
static void ask_box(struct host *host, int path, struct slice bytes);
static bool depart(struct host *host, const struct route *route, size_t bytes, uint64_t leave_us,
                   uint64_t *arrive_us);

void packets_open(struct shard *shard)
{
    for (int i = 0; i < PACKET_CLASSES; i++) {
        shard->packets[i].packet_bytes =
            ((uint32_t)sizeof(struct packet) + class_bytes[i] + 15u) & ~15u;
    }
}

void packets_close(struct shard *shard)
{
    for (int i = 0; i < PACKET_CLASSES; i++) {
        for (uint32_t slab = 0; slab < shard->packets[i].slab_count; slab++) {
            free(shard->packets[i].slabs[slab]);
        }
    }
}

struct packet *packet_at(const struct world *world, uint32_t index)
{
    uint32_t shard = index >> PACKET_CLASS_BITS & ((1u << PACKET_SHARD_BITS) - 1);
    uint32_t number = index >> (PACKET_CLASS_BITS + PACKET_SHARD_BITS);
    const struct packet_class *class =
        &world->shards[shard]->packets[index & ((1u << PACKET_CLASS_BITS) - 1)];
    return (struct packet *)(void *)(class->slabs[number >> PACKET_SLAB_BITS] +
                                     (size_t)(number & ((1u << PACKET_SLAB_BITS) - 1)) *
                                         class->packet_bytes);
}

void packet_free(struct shard *shard, uint32_t index)
{
    struct packet_class *class = &shard->packets[index & ((1u << PACKET_CLASS_BITS) - 1)];
    packet_at(shard->world, index)->next = class->free;
    class->free = index + 1;
}

size_t world_packet_bytes(const struct world *world)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < world->shard_count; i++) {
        for (int j = 0; j < PACKET_CLASSES; j++) {
            const struct packet_class *class = &world->shards[i]->packets[j];
            bytes += ((size_t) class->slab_count << PACKET_SLAB_BITS) * class->packet_bytes;
        }
    }
    return bytes;
}

static bool has_path(const uint64_t *paths, int path)
{
    return (paths[(path - 1) / PATH_WORD_BITS] >> (path - 1) % PATH_WORD_BITS & 1) != 0;
}

int host_path_open(struct port *port, enum port_carrier carrier, const struct port_addr *hint,
                   const struct port_addr *remote)
{
    struct host *host = host_of(port);
    if (carrier == PORT_NEIGHBOURS) {
        return ERR_UNSUPPORTED;
    }
    struct host_extra *extra = host_extra_get(host);
    if (carrier == PORT_UDP) {
        int path = hint == NULL || addr_port(hint) == 0
                       ? free_path(extra, extra->path_last)
                       : path_at(extra, (int)addr_port(hint) - HOST_PORT);
        if (path > 0) {
            path_set(host, path, PORT_UDP, true);
            extra->path_last = (uint16_t)path;
        }
        return path;
    }
    int path = free_path(extra, 0);
    if (path < 0) {
        return path;
    }
    int status = host_stream_open(host, path, hint, remote);
    if (status != ERR_OK) {
        return status;
    }
    path_set(host, path, carrier, true);
    return path;
}

/* The next free one after `last`. A socket's port follows from its path, and one that was used a
 * moment ago still has its mapping in a box: as with a kernel's choice, others come first. */
static int free_path(const struct host_extra *extra, int last)
{
    for (int i = 0; i < HOST_PATHS_MAX; i++) {
        int path = (last + i) % HOST_PATHS_MAX + 1;
        if (!has_path(extra->paths, path) && !has_path(extra->carried, path)) {
            return path;
        }
    }
    return ERR_FULL;
}

/* A socket's port follows from its path. */
static int path_at(const struct host_extra *extra, int path)
{
    bool is_free = path > 0 && path <= HOST_PATHS_MAX && !has_path(extra->paths, path) &&
                   !has_path(extra->carried, path);
    return is_free ? path : ERR_FULL;
}

bool host_path_local(struct port *port, int path, struct port_addr *addr)
{
    const struct host *host = host_of(port);
    if (path_is_open(host, path)) {
        host_addr_of(host, path, addr);
        return true;
    }
    uint16_t stream_port = host_stream_path_port(host, path);
    *addr = port->local;
    addr->port[0] = (uint8_t)(stream_port >> 8);
    addr->port[1] = (uint8_t)stream_port;
    return stream_port != 0;
}

static void path_set(struct host *host, int path, enum port_carrier carrier, bool is_set)
{
    struct host_extra *extra = host_extra(host);
    must(extra != NULL);
    uint64_t *paths = carrier == PORT_UDP ? extra->paths : extra->carried;
    uint64_t bit = UINT64_C(1) << (path - 1) % PATH_WORD_BITS;
    uint64_t *word = &paths[(path - 1) / PATH_WORD_BITS];
    *word = is_set ? *word | bit : *word & ~bit;
}

struct host_extra *host_extra_get(struct host *host)
{
    struct shard *shard = host->shard;
    if (host->extra != 0) {
        return host_extra(host);
    }
    if (shard->extra_free != 0) {
        host->extra = shard->extra_free;
        shard->extra_free = host_extra(host)->next_free;
    } else {
        if (shard->extra_count == shard->extra_cap) {
            shard->extra_cap = shard->extra_cap == 0 ? EXTRAS_FIRST : shard->extra_cap * 2;
            shard->extras = realloc(shard->extras, shard->extra_cap * sizeof(struct host_extra));
            must(shard->extras != NULL);
        }
        host->extra = ++shard->extra_count;
    }
    struct host_extra *extra = host_extra(host);
    *extra = (struct host_extra){.box = WORLD_BOX_NONE};
    return extra;
}

void host_extra_drop(struct host *host)
{
    host_streams_drop(host);
    struct host_extra *extra = host_extra(host);
    if (extra != NULL && extra->box != WORLD_BOX_NONE) {
        *extra = (struct host_extra){.box = extra->box};
    } else if (extra != NULL) {
        extra->next_free = host->shard->extra_free;
        host->shard->extra_free = host->extra;
        host->extra = 0;
    }
}

/* As a UDP socket. */
static bool path_is_open(const struct host *host, int path)
{
    const struct host_extra *extra = host_extra(host);
    return path == PORT_MAIN_PATH ||
           (extra != NULL && path > 0 && path <= HOST_PATHS_MAX && has_path(extra->paths, path));
}

static bool path_is_stream(const struct host *host, int path)
{
    const struct host_extra *extra = host_extra(host);
    return extra != NULL && path > 0 && path <= HOST_PATHS_MAX && has_path(extra->carried, path);
}

void host_path_close(struct port *port, int path)
{
    struct host *host = host_of(port);
    must(path != PORT_MAIN_PATH);
    if (path_is_stream(host, path)) {
        host_stream_path_close(host, path);
        path_set(host, path, PORT_TCP, false);
    } else {
        must(path_is_open(host, path));
        path_set(host, path, PORT_UDP, false);
    }
}

/* First messages of handshakes are three quarters padding: it need not fill the caches. */
static size_t unpadded(struct slice bytes)
{
    size_t kept = bytes.len;
    uint64_t word = 0;
    for (; kept >= sizeof word; kept -= sizeof word) {
        memcpy(&word, bytes.data + kept - sizeof word, sizeof word);
        if (word != 0) {
            break;
        }
    }
    return kept;
}

struct slice packet_bytes(struct shard *shard, const struct packet *packet)
{
    if (packet->kept == packet->len) {
        return slice_of(packet->bytes, packet->len);
    }
    memcpy(shard->datagram, packet->bytes, packet->kept);
    memset(shard->datagram + packet->kept, 0, (size_t)packet->len - packet->kept);
    return slice_of(shard->datagram, packet->len);
}

int host_send(struct port *port, int path, const struct port_addr *to, struct slice bytes,
              struct port_send_flags flags)
{
    struct host *host = host_of(port);
    struct shard *shard = host->shard;
    must(shard->entered == host); /* Law: a node acts only inside an entry of its own. */
    if (bytes.len > PORT_DATAGRAM_MAX) {
        return ERR_TOO_LARGE;
    }
    if (path == PORT_MAIN_PATH) {
        if (host->extra != 0 && host_stream_send(host, to, bytes)) {
            return ERR_OK;
        }
    } else if (path_is_stream(host, path)) {
        return host_stream_path_send(host, path, bytes);
    } else if (!path_is_open(host, path)) {
        return ERR_INVALID;
    }
    shard->counts.datagrams_sent++;
    shard->counts.bytes_sent += bytes.len;
    struct route route = {.ttl = flags.ttl != 0 ? flags.ttl : HOST_TTL};
    if (host->extra != 0 && box_is_asked(host, to)) {
        ask_box(host, path, bytes);
        return ERR_OK;
    }
    if (!route_find(host, path, to, &route)) {
        shard->counts.datagrams_lost++;
        return ERR_OK; /* Nobody lives there: the network does not tell. */
    }
    /* What the processor has spent in this entry so far delays what it sends. */
    uint64_t leave_us = port->now_us + port->spent_ns / 1000;
    uint64_t arrive_us;
    if (!depart(host, &route, bytes.len + UDP_HEADER_BYTES, leave_us, &arrive_us)) {
        shard->counts.datagrams_lost++;
        return ERR_OK;
    }
    struct packet *packet;
    size_t kept = unpadded(bytes);
    uint32_t index = packet_get(shard, kept, &packet);
    packet->len = (uint16_t)bytes.len;
    packet->kept = (uint16_t)kept;
    addr_set(&packet->from, route.packet.from.ip, route.packet.from.port);
    packet->to_port = route.packet.to.port;
    packet->is_received = false;
    packet->is_segment = false;
    packet->ttl = route.ttl;
    packet->depth = route.depth;
    memcpy(packet->bytes, bytes.data, kept);
    struct event event = {.time_us = arrive_us,
                          .destination = route.host,
                          .source = host->index,
                          .sequence = host->sequence++,
                          .payload = event_payload(HOST_EVENT_DATAGRAM, index)};
    shard_push(shard, &event);
    return ERR_OK;
}

/* To the box itself, through the host's own link. */
static void ask_box(struct host *host, int path, struct slice bytes)
{
    struct route inside = {.site = NULL};
    uint64_t leave_us = host->port.now_us + host->port.spent_ns / 1000;
    uint64_t arrive_us;
    if (depart(host, &inside, bytes.len + UDP_HEADER_BYTES, leave_us, &arrive_us)) {
        box_on_request(host, path, bytes, arrive_us);
    } else {
        host->shard->counts.datagrams_lost++;
    }
}

/* Fills in where a datagram to this address goes. False when it goes nowhere. */
static bool route_find(struct host *host, int path, const struct port_addr *to, struct route *route)
{
    if (!addr_ip(to, &route->packet.to.ip)) {
        return false;
    }
    route->packet.to.port = (uint16_t)addr_port(to);
    route->packet.from = (struct napt_end){host_ip(host), (uint16_t)(HOST_PORT + path)};
    enum route_end end = box_route(host, route);
    if (end == ROUTE_FILTERED || end == ROUTE_REJECTED) { /* Of UDP nobody is told. */
        host->shard->counts.datagrams_filtered++;
    }
    return end == ROUTE_FOUND;
}

static bool depart(struct host *host, const struct route *route, size_t bytes, uint64_t leave_us,
                   uint64_t *arrive_us)
{
    const struct net_config *net = world_of(host)->options.net;
    if (route->site == NULL) {
        return net_depart_inside(net, &host->link, bytes, leave_us, arrive_us) == NET_PASSED;
    }
    return net_depart(net, &host->link, route->site, bytes, leave_us, arrive_us) == NET_PASSED &&
           route->ttl > 0;
}

static void drop(struct shard *shard, uint32_t index, uint64_t *counter)
{
    (*counter)++;
    packet_free(shard, index);
}

/* The processor is busy: the socket keeps the datagram while it has room. */
static void backlog_add(struct host *host, struct packet *packet, uint32_t index)
{
    struct shard *shard = host->shard;
    if (host->backlog_bytes + packet->len > HOST_BACKLOG_BYTES_MAX) {
        drop(shard, index, &shard->counts.datagrams_lost);
        return;
    }
    host_backlog_put(host, packet, index);
}

void host_backlog_put(struct host *host, struct packet *packet, uint32_t index)
{
    packet->next = 0;
    host->backlog_bytes += packet->len;
    if (host->backlog_first != 0) {
        packet_at(world_of(host), host->backlog_last - 1)->next = index + 1;
    } else {
        host->backlog_first = index + 1;
        host_post(host, (host->cpu_free_ns + 999) / 1000, HOST_EVENT_READY, 0);
    }
    host->backlog_last = index + 1;
}

struct host *host_behind(struct host *host, uint32_t index, struct packet *packet)
{
    struct shard *shard = host->shard;
    enum route_end end = box_admit(&host, packet, NAPT_UDP, NAPT_SEGMENT_DATA);
    if (end == ROUTE_FOUND) {
        return host;
    }
    shard->counts.datagrams_filtered += end != ROUTE_LOST;
    drop(shard, index, &shard->counts.datagrams_lost);
    return NULL;
}

bool host_receive(struct host *host, const struct event *event, struct packet *packet)
{
    struct shard *shard = host->shard;
    uint32_t index = event->payload & EVENT_INDEX_MASK;
    if (!packet->is_received) {
        packet->is_received = true;
        uint64_t deliver_us;
        if (net_arrive(shard->world->options.net, &host->link,
                       (size_t)packet->len + UDP_HEADER_BYTES, event->time_us,
                       &deliver_us) != NET_PASSED) {
            drop(shard, index, &shard->counts.datagrams_lost);
            return false;
        }
        if (deliver_us > event->time_us) {
            struct event later = *event;
            later.time_us = deliver_us;
            queue_push(shard->queue, &later);
            return false;
        }
    }
    if (host->node == NULL || !path_is_open(host, packet->to_port - HOST_PORT)) {
        drop(shard, index, &shard->counts.datagrams_dead);
        return false;
    }
    if (host_is_busy(host, event->time_us)) {
        backlog_add(host, packet, index);
        return false;
    }
    return true;
}

struct packet *host_backlog_next(struct host *host, uint32_t *index)
{
    if (host->backlog_first == 0) {
        return NULL; /* Of a node that is gone. */
    }
    struct shard *shard = host->shard;
    *index = host->backlog_first - 1;
    struct packet *packet = packet_at(shard->world, *index);
    host->backlog_first = packet->next;
    host->backlog_bytes -= packet->len;
    return packet;
}

void host_backlog_drop(struct host *host)
{
    uint32_t index;
    while (host_backlog_next(host, &index) != NULL) {
        drop(host->shard, index, &host->shard->counts.datagrams_dead);
    }
}

int host_resolve(struct port *port, const char *name, uint32_t ticket)
{
    /* Names of the simulated world: "node-INDEX". */
    struct host *host = host_of(port);
    struct world *world = world_of(host);
    struct errand errand = {
        .ticket = ticket, .incarnation = host->incarnation, .status = ERR_MISSING};
    char *end = NULL;
    if (strncmp(name, "node-", 5) == 0) {
        unsigned long index = strtoul(name + 5, &end, 10);
        if (end != name + 5 && *end == '\0' && index < world->host_count) {
            errand.addr = world->hosts[index].port.local;
            errand.status = ERR_OK;
        }
    }
    host_post(host, port->now_us + RESOLVE_US, HOST_EVENT_RESOLVED,
              errand_get(host->shard, &errand));
    return ERR_OK;
}

uint32_t packet_get(struct shard *shard, size_t len, struct packet **packet)
{
    uint32_t which = len <= CLASS_SMALL ? 0 : len <= CLASS_MIDDLE ? 1 : 2;
    struct packet_class *class = &shard->packets[which];
    if (class->free != 0) {
        uint32_t index = class->free - 1;
        *packet = packet_at(shard->world, index);
        class->free = (*packet)->next;
        return index;
    }
    if (class->made == class->slab_count << PACKET_SLAB_BITS) {
        must(class->slab_count < PACKET_SLABS_MAX);
        class->slabs[class->slab_count++] =
            world_memory((size_t) class->packet_bytes << PACKET_SLAB_BITS, true);
    }
    uint32_t number = class->made++;
    uint32_t index = (number << PACKET_SHARD_BITS | shard->number) << PACKET_CLASS_BITS | which;
    *packet = packet_at(shard->world, index);
    return index;
}
