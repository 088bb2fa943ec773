/* host_stream.c - carriers other than UDP: streams and neighbours, as paths of the port.
 *
 * Datagrams of the main path take a stream where there is one to their address, or where masking
 * opens one; what comes in by such streams belongs to the main path too. Paths that the node opens
 * itself have a number of their own and events.
 */
#include <string.h>

#include "node/base/must.h"
#include "node/host/loop.h"

enum {
    /* Of the multicast groups: one below a node's own default, which it must not be. */
    NEIGHBOURS_PORT = HOST_PORT - 1,
};

static void on_received(void *arg, int path, const struct port_addr *from, struct slice bytes);
static void on_path_event(void *arg, int path, enum port_path_event event);
static void on_neighbour(void *arg, const struct port_addr *from, struct slice bytes);
static int open_neighbours(struct host *host, int path);

int host_streams_open(struct host *host, char reason[HOST_REASON_SIZE])
{
    const struct host_options *options = &host->options;
    if (!options->accepts_streams && !options->is_masking) {
        return ERR_OK;
    }
    struct stream_options streams = {
        .loop = &host->loop->uv,
        .local = host->port.local,
        .is_listening = options->accepts_streams,
        .is_masking = options->is_masking,
        .hooks = {.arg = host, .received = on_received, .path_event = on_path_event}};
    return streams_open(&streams, &host->streams, reason);
}

void host_streams_close(struct host *host)
{
    if (host->streams != NULL) {
        streams_close(host->streams);
        host->streams = NULL;
    }
}

void host_streams_observe(const struct host *host, struct host_view *view)
{
    if (host->streams == NULL) {
        return;
    }
    struct stream_view streams;
    streams_observe(host->streams, &streams);
    view->streams = streams.open;
    view->streams_refused = streams.refused;
    view->datagrams_dropped += streams.dropped;
}

bool host_stream_send(struct host *host, const struct port_addr *to, struct slice bytes)
{
    if (host->streams == NULL) {
        return false;
    }
    int status = stream_send(host->streams, to, bytes);
    if (status == ERR_OK) {
        host->counts.datagrams_out++;
        host->counts.bytes_out += bytes.len;
    } /* A full backlog is counted by the streams: one more way to lose a datagram. */
    return status != ERR_MISSING;
}

int host_carrier_open(struct host *host, int path, enum port_carrier carrier,
                      const struct port_addr *hint, const struct port_addr *remote)
{
    int status;
    switch (carrier) {
    case PORT_TCP:
    case PORT_MASKED:
        status = host->streams != NULL
                     ? stream_path_open(host->streams, path, carrier, hint, remote)
                     : ERR_UNSUPPORTED;
        break;
    case PORT_NEIGHBOURS:
        status = open_neighbours(host, path);
        break;
    default:
        return ERR_UNSUPPORTED;
    }
    if (status < 0) {
        return status;
    }
    host->carriers[path - 1] = (uint8_t)carrier;
    return path;
}

void host_carrier_close(struct host *host, int path)
{
    if (host->carriers[path - 1] == PORT_NEIGHBOURS) {
        neighbours_close(host->neighbours);
        host->neighbours = NULL;
        host->neighbours_path = 0;
    } else {
        stream_path_close(host->streams, path);
    }
    host->carriers[path - 1] = PORT_UDP;
}

bool host_carrier_local(const struct host *host, int path, struct port_addr *addr)
{
    return host->carriers[path - 1] != PORT_NEIGHBOURS &&
           stream_path_local(host->streams, path, addr);
}

int host_carrier_send(struct host *host, int path, struct slice bytes)
{
    bool is_stream = host->carriers[path - 1] != PORT_NEIGHBOURS;
    int status = is_stream ? stream_path_send(host->streams, path, bytes)
                           : neighbours_send(host->neighbours, bytes);
    if (status == ERR_OK) {
        host->counts.datagrams_out++;
        host->counts.bytes_out += bytes.len;
    }
    return status;
}

static bool is_loopback(const struct port_addr *addr)
{
    static const uint8_t v6[16] = {[15] = 1};
    return host_addr_is_v4(addr) ? addr->ip[12] == IN_LOOPBACKNET
                                 : memcmp(addr->ip, v6, sizeof v6) == 0;
}

/* One path for all of them: a second would hear the same. */
static int open_neighbours(struct host *host, int path)
{
    if (host->neighbours != NULL) {
        return ERR_FULL;
    }
    char reason[HOST_REASON_SIZE];
    /* Who is bound to this machine alone says nothing to others. */
    bool is_local = is_loopback(&host->port.local);
    struct neighbours_options options = {.loop = &host->loop->uv,
                                         .port = NEIGHBOURS_PORT,
                                         .interface = is_local ? "lo" : NULL,
                                         .has_loopback = is_local,
                                         .hooks = {.arg = host, .received = on_neighbour}};
    int status = neighbours_open(&options, &host->neighbours, reason);
    if (status != ERR_OK) {
        host_note(host, HOST_NOTE_WARNING, "no neighbours can be reached: %s", reason);
        return ERR_UNSUPPORTED;
    }
    host->neighbours_path = path;
    return ERR_OK;
}

static void on_neighbour(void *arg, const struct port_addr *from, struct slice bytes)
{
    struct host *host = arg;
    on_received(arg, host->neighbours_path, from, bytes);
}

static void on_received(void *arg, int path, const struct port_addr *from, struct slice bytes)
{
    host_receive(arg, path, from, bytes);
}

static void on_path_event(void *arg, int path, enum port_path_event event)
{
    struct host *host = arg;
    if (host->node == NULL) {
        return;
    }
    must(path != PORT_MAIN_PATH);
    host_entry_begin(host);
    node_on_path(host->node, path, event);
    host_entry_end(host);
}
