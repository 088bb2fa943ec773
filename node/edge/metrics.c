/* metrics.c - every number of the node, its host, this process and the edge, for Prometheus.
 *
 * Names follow prometheus.io/docs/practices/naming: base units, _total for what only grows, one
 * unit for each name. Nothing is labelled by peer: a mesh has more peers than a database has room.
 */
#include <stdlib.h>

#include "node/edge/exposition.h"
#include "node/edge/face.h"
#include "node/edge/process.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static void write_state(struct exposition *out, const struct face *face);
static void write_node(struct exposition *out, const struct node *node);
static void count_ban(void *arg, const struct inspect_ban *ban);
static void write_sessions(struct exposition *out, const struct node *node);
static void count_way(void *arg, const struct inspect_peer *peer);
static void write_nat(struct exposition *out, const struct node *node);
static void write_traffic(struct exposition *out, const struct traffic *traffic);
static void write_traffic_rows(struct exposition *out, const struct traffic *traffic, int from,
                               int to, const char *label, size_t text_from);
static void write_counters(struct exposition *out, const struct counters *counters);
static void write_memory(struct exposition *out, const struct node_view *view);
static void write_round_trips(struct exposition *out, const struct rtt_node *rtt);
static void write_host(struct exposition *out, const struct host *host);
static void write_edge(struct exposition *out, const struct face *face);
static void write_process(struct exposition *out);

static void gauge(struct exposition *out, const char *name, const char *help, uint64_t value)
{
    exposition_family(out, name, EXPOSITION_GAUGE, help);
    exposition_count(out, value, NULL);
}

static void counter(struct exposition *out, const char *name, const char *help, uint64_t value)
{
    exposition_family(out, name, EXPOSITION_COUNTER, help);
    exposition_count(out, value, NULL);
}

void metrics_answer(const struct face *face, const struct ask *ask, struct answer *answer)
{
    struct exposition out = {.out = &answer->body,
                             .is_openmetrics = exposition_is_openmetrics(ask->accept)};
    const struct node *node = service_node(face->verbs.service);
    write_state(&out, face);
    if (node != NULL) { /* None runs while the service stops. */
        write_node(&out, node);
    }
    write_host(&out, service_host(face->verbs.service));
    write_edge(&out, face);
    write_process(&out);
    exposition_end(&out);
    answer->code = HTTP_OK;
    answer->type = exposition_content_type(out.is_openmetrics);
}

static void write_state(struct exposition *out, const struct face *face)
{
    struct service_health health;
    service_health(face->verbs.service, &health);
    exposition_family(out, "meshtwin_build", EXPOSITION_INFO, "What this node was built from.");
    exposition_count(out, 1, "version=\"%s\",compiler=\"%s\"", MESHTWIN_VERSION, COMPILER);
    exposition_family(out, "meshtwin_state", EXPOSITION_GAUGE,
                      "1 for the state that the node is in, 0 for all others.");
    for (int state = SERVICE_STARTING; state <= SERVICE_STOPPING; state++) {
        exposition_count(out, state == (int)health.state, "state=\"%s\"",
                         service_state_text((enum service_state)state));
    }
    exposition_family(out, "meshtwin_component_healthy", EXPOSITION_GAUGE,
                      "Whether this part of the node is as it should be.");
    for (size_t i = 0; i < health.component_count; i++) {
        exposition_count(out, health.components[i].state == SERVICE_HEALTHY, "component=\"%s\"",
                         health.components[i].name);
    }
    gauge(out, "meshtwin_ready", "Whether the node is of use to others.", health.is_ready);
    gauge(out, "meshtwin_uptime_seconds", "Time since the node was started.", health.uptime_s);
}

static void write_node(struct exposition *out, const struct node *node)
{
    struct node_view view;
    uint64_t bans = 0;
    node_observe(node, &view);
    node_inspect_bans(node, count_ban, &bans);
    gauge(out, "meshtwin_joined", "Whether the node has joined the mesh.", view.is_joined);
    gauge(out, "meshtwin_contacts", "Nodes in the routing table.", view.contacts);
    write_sessions(out, node);
    gauge(out, "meshtwin_records", "Records held for the mesh.", view.records);
    gauge(out, "meshtwin_lookups_running", "Lookups under way.", view.lookups);
    gauge(out, "meshtwin_bans", "Peers that are not listened to for now.", bans);
    write_nat(out, node);
    write_traffic(out, &view.traffic);
    write_counters(out, &view.counters);
    write_memory(out, &view);
    write_round_trips(out, &node->transport.rtt);
}

static void count_ban(void *arg, const struct inspect_ban *ban)
{
    uint64_t *bans = arg;
    *bans += ban->until_s > 0;
}

static void write_sessions(struct exposition *out, const struct node *node)
{
    uint64_t counts[NAT_WAY_RELAYED + 1] = {0};
    node_inspect_peers(node, count_way, counts);
    exposition_family(out, "meshtwin_sessions", EXPOSITION_GAUGE,
                      "Established sessions with peers, by the way that their datagrams take.");
    for (int way = NAT_WAY_DIRECT; way <= NAT_WAY_RELAYED; way++) {
        exposition_count(out, counts[way], "way=\"%s\"", nat_way_text((enum nat_way)way));
    }
}

static void count_way(void *arg, const struct inspect_peer *peer)
{
    uint64_t *counts = arg;
    counts[peer->way]++;
}

static void write_nat(struct exposition *out, const struct node *node)
{
    const struct nat *nat = &node->nat;
    gauge(out, "meshtwin_nat_server", "Whether strangers can reach the node, so that it serves.",
          nat->is_server);
    gauge(out, "meshtwin_nat_relays", "Relays by which others reach the node.",
          nat_relay_count(nat));
    gauge(out, "meshtwin_nat_reservations", "Nodes that others reach by this one.",
          nat_reservation_count(nat));
    gauge(out, "meshtwin_nat_circuits", "Pairs of nodes that this one relays between.",
          nat_circuit_count(nat));
    exposition_family(out, "meshtwin_nat_punches", EXPOSITION_COUNTER,
                      "Attempts to do without a relay, and those that got through.");
    exposition_count(out, nat->counts.punches_begun, "result=\"begun\"");
    exposition_count(out, nat->counts.punches_won, "result=\"won\"");
    exposition_family(out, "meshtwin_nat_connects", EXPOSITION_COUNTER,
                      "Attempts to reach a node by a relay, and those that got through.");
    exposition_count(out, nat->counts.connects_begun, "result=\"begun\"");
    exposition_count(out, nat->counts.connects_won, "result=\"won\"");
    struct nat_map_view map;
    nat_map_of(nat, &map);
    gauge(out, "meshtwin_nat_port_mapped", "Whether the router has given the node a port.",
          map.state == NAT_MAP_GRANTED);
    exposition_family(out, "meshtwin_nat_port_requests", EXPOSITION_COUNTER,
                      "Requests for a port to the router, and ports and renewals granted.");
    exposition_count(out, nat->counts.maps_asked, "result=\"asked\"");
    exposition_count(out, nat->counts.maps_granted, "result=\"granted\"");
    counter(out, "meshtwin_nat_stun_heard", "Answers of STUN servers.", nat->counts.stun_heard);
    counter(out, "meshtwin_nat_stun_served", "Answers given as a STUN server.",
            nat->counts.stun_served);
    counter(out, "meshtwin_nat_relayed_bytes", "Bytes of datagrams passed on for others.",
            nat->counts.relayed_bytes);
    counter(out, "meshtwin_nat_vouchers_forged", "Vouchers shown that this node never gave.",
            nat->counts.vouchers_forged);
}

static void write_traffic(struct exposition *out, const struct traffic *traffic)
{
    static const char handshake[] = "handshake.";
    exposition_family(out, "meshtwin_messages", EXPOSITION_COUNTER,
                      "Messages of the mesh by kind, retransmissions included.");
    write_traffic_rows(out, traffic, 0, TRAFFIC_IK_1, "kind", 0);
    write_traffic_rows(out, traffic, TRAFFIC_UNREADABLE, TRAFFIC_ROWS, "kind", 0);
    exposition_family(out, "meshtwin_handshake_packets", EXPOSITION_COUNTER,
                      "Packets of handshakes by step.");
    write_traffic_rows(out, traffic, TRAFFIC_IK_1, TRAFFIC_UNREADABLE, "step",
                       sizeof handshake - 1);
}

static void write_traffic_rows(struct exposition *out, const struct traffic *traffic, int from,
                               int to, const char *label, size_t text_from)
{
    for (int row = from; row < to; row++) {
        const char *text = traffic_text((enum traffic_row)row) + text_from;
        exposition_count(out, traffic->sent[row], "%s=\"%s\",direction=\"out\"", label, text);
        exposition_count(out, traffic->received[row], "%s=\"%s\",direction=\"in\"", label, text);
    }
}

static void write_counters(struct exposition *out, const struct counters *counters)
{
#define COUNTER_NAME(name, text) {"meshtwin_node_" text, "Counted by the node: " #name "."},
    static const struct {
        const char *name;
        const char *help;
    } rows[] = {COUNTERS(COUNTER_NAME)};
#undef COUNTER_NAME
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        counter(out, rows[i].name, rows[i].help, counters->value[i]);
    }
}

static void write_memory(struct exposition *out, const struct node_view *view)
{
#define MODULE_TEXT(name, text) text,
    static const char *const modules[] = {ARENA_USERS(MODULE_TEXT)};
#undef MODULE_TEXT
    exposition_family(out, "meshtwin_module_memory_bytes", EXPOSITION_GAUGE,
                      "Memory that each module of the node uses.");
    for (int i = 0; i < ARENA_USER_COUNT; i++) {
        exposition_count(out, view->used_bytes[i], "module=\"%s\"", modules[i]);
    }
    gauge(out, "meshtwin_arena_bytes", "Memory the host has given the node, spare room included.",
          view->arena_bytes);
}

static void write_round_trips(struct exposition *out, const struct rtt_node *rtt)
{
    static const uint32_t parts[] = {500, 900, 950, 990};
    exposition_family(out, "meshtwin_round_trip_seconds", EXPOSITION_SUMMARY,
                      "Time to an answer over the last few hundred round trips.");
    for (size_t i = 0; i < array_len(parts); i++) {
        exposition_number(out, rtt_node_quantile_us(rtt, parts[i]) / 1e6, "quantile=\"%g\"",
                          parts[i] / 1000.0);
    }
}

static void write_host(struct exposition *out, const struct host *host)
{
    struct host_view view;
    host_observe(host, &view);
    exposition_family(out, "meshtwin_network_datagrams", EXPOSITION_COUNTER,
                      "Datagrams over the sockets of the node.");
    exposition_count(out, view.datagrams_in, "direction=\"in\"");
    exposition_count(out, view.datagrams_out, "direction=\"out\"");
    exposition_family(out, "meshtwin_network_bytes", EXPOSITION_COUNTER,
                      "Bytes in these datagrams.");
    exposition_count(out, view.bytes_in, "direction=\"in\"");
    exposition_count(out, view.bytes_out, "direction=\"out\"");
    counter(out, "meshtwin_network_dropped_datagrams",
            "Outgoing datagrams that the socket did not take.", view.datagrams_dropped);
    gauge(out, "meshtwin_streams", "Carrier connections that are open.", view.streams);
    counter(out, "meshtwin_streams_refused",
            "Carrier connections over a limit, too slow, or not of our protocol.",
            view.streams_refused);
    exposition_family(out, "meshtwin_database_commits", EXPOSITION_COUNTER,
                      "Commits to the database.");
    exposition_count(out, view.commits, "result=\"done\"");
    exposition_count(out, view.commits_failed, "result=\"failed\"");
    gauge(out, "meshtwin_database_bytes", "Size of the database file.", view.database_bytes);
    gauge(out, "meshtwin_disk_writable", "Whether the database takes writes.",
          view.disk == HOST_DISK_OK);
}

static void write_edge(struct exposition *out, const struct face *face)
{
    exposition_family(out, "meshtwin_http_requests", EXPOSITION_COUNTER,
                      "Requests answered, by route and status code.");
    for (size_t route = 0; route <= route_count(); route++) {
        char *path = route_path(route);
        for (int code = 0; code < FACE_CODES_MAX; code++) {
            uint64_t count = face->requests[route * FACE_CODES_MAX + (size_t)code];
            if (count > 0) {
                exposition_count(out, count, "route=\"%s\",code=\"%d\"", path, code);
            }
        }
        free(path);
    }
    gauge(out, "meshtwin_http_connections", "Open connections.", face->connections);
    counter(out, "meshtwin_http_evicted_connections",
            "Connections closed for newer ones, or for being too slow.", face->connections_evicted);
    gauge(out, "meshtwin_http_waiting_requests", "Requests that wait for the mesh.", face->waits);
    gauge(out, "meshtwin_http_event_streams", "Event streams that are open.", face->streams);
    counter(out, "meshtwin_http_skipped_events", "Events that slow clients have lost.",
            face->events.skipped);
}

/* Names that every client library of Prometheus uses. */
static void write_process(struct exposition *out)
{
    struct process process;
    process_read(&process);
    exposition_family(out, "process_cpu_seconds", EXPOSITION_COUNTER,
                      "User and system time spent.");
    exposition_number(out, process.cpu_s, NULL);
    gauge(out, "process_resident_memory_bytes", "Resident memory.", process.resident_bytes);
    gauge(out, "process_virtual_memory_bytes", "Virtual memory.", process.virtual_bytes);
    gauge(out, "process_open_fds", "Open file descriptors.", process.open_files);
    gauge(out, "process_max_fds", "The most file descriptors that may be open.",
          process.open_files_max);
    exposition_family(out, "process_start_time_seconds", EXPOSITION_GAUGE,
                      "When the process was started, in Unix time.");
    exposition_number(out, process.started_s, NULL);
}
