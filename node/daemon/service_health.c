/* service_health.c - whether all is well, and if not, why and what to do. */
#include <stdio.h>
#include <string.h>

#include "node/daemon/service_parts.h"

#define SECOND    UINT64_C(1000000)
/* A mesh whose bootstrap node is up is joined in about two seconds; a node whose only peer restarts
 * has it back within the transport's 30 s of silence. */
#define LONELY_US (30 * SECOND)
#define LOST_US   (300 * SECOND)
#define SAMPLE_US (5 * SECOND)
/* A client asks another server each second until one takes it. */
#define HIDDEN_US (60 * SECOND)

static void judge_mesh(const struct service *service, struct service_component *mesh);
static void judge_disk(const struct service *service, struct service_component *disk);
static void judge_network(const struct service *service, struct service_component *network);
static void judge_reach(const struct service *service, struct service_component *reach);
static bool needs_relay(const struct service *service);
static int badness(enum service_state state);
static bool is_joined(const struct service *service);

void service_health(const struct service *service, struct service_health *health)
{
    *health = (struct service_health){
        .uptime_s = (service_now_us(service) - service->started_us) / SECOND,
        .component_count = 5,
        .components = {{.name = "mesh", .state = SERVICE_HEALTHY},
                       {.name = "disk", .state = SERVICE_HEALTHY},
                       {.name = "network", .state = SERVICE_HEALTHY},
                       {.name = "identity", .state = SERVICE_HEALTHY},
                       {.name = "reach", .state = SERVICE_HEALTHY}},
    };
    judge_mesh(service, &health->components[0]);
    judge_disk(service, &health->components[1]);
    judge_network(service, &health->components[2]);
    judge_reach(service, &health->components[4]);
    health->state = SERVICE_HEALTHY;
    for (size_t i = 0; i < health->component_count; i++) {
        if (badness(health->components[i].state) > badness(health->state)) {
            health->state = health->components[i].state;
        }
    }
    if (service->is_stopping) {
        health->state = SERVICE_STOPPING;
    }
    health->is_ready = is_joined(service) && !service->is_stopping &&
                       health->components[1].state == SERVICE_HEALTHY;
}

const char *service_state_text(enum service_state state)
{
    static const char *const texts[] = {[SERVICE_STARTING] = "starting",
                                        [SERVICE_HEALTHY] = "healthy",
                                        [SERVICE_DEGRADED] = "degraded",
                                        [SERVICE_UNHEALTHY] = "unhealthy",
                                        [SERVICE_STOPPING] = "stopping"};
    return texts[state];
}

/* Keeps what a judgement needs to have been seen over time, and says when the state changes. */
void health_tick(struct service *service)
{
    struct health *seen = &service->health;
    uint64_t now_us = service_now_us(service);
    if (service_contacts(service) > 0) {
        seen->peers_us = now_us;
    }
    if (seen->reached_us == 0 || !needs_relay(service)) {
        seen->reached_us = now_us;
    }
    if (now_us - seen->sampled_us >= SAMPLE_US) {
        struct host_view view;
        host_observe(service->host, &view);
        seen->sent_lately = view.datagrams_out - seen->sent;
        seen->dropped_lately = view.datagrams_dropped - seen->dropped;
        seen->sent = view.datagrams_out;
        seen->dropped = view.datagrams_dropped;
        seen->sampled_us = now_us;
    }
    struct service_health health;
    service_health(service, &health);
    if (health.state == seen->told) {
        return;
    }
    seen->told = health.state;
    const char *reason = "";
    for (size_t i = 0; i < health.component_count && reason[0] == '\0'; i++) {
        reason = health.components[i].reason;
    }
    service_note(service, health.state == SERVICE_HEALTHY ? HOST_NOTE_INFO : HOST_NOTE_WARNING,
                 "health: %s%s%s", service_state_text(health.state), reason[0] != '\0' ? ": " : "",
                 reason);
}

static bool is_joined(const struct service *service)
{
    const struct node *node = service_node(service);
    struct node_view view;
    if (node == NULL) {
        return false;
    }
    node_observe(node, &view);
    return view.contacts > 0 || service->health.peers_us > 0 ||
           (view.is_joined && !bootstrap_has_others(service));
}

static void judge_mesh(const struct service *service, struct service_component *mesh)
{
    uint64_t now_us = service_now_us(service);
    uint64_t peers_us = service->health.peers_us;
    if (service_contacts(service) > 0 || (peers_us == 0 && is_joined(service))) {
        return;
    }
    uint64_t since_us = peers_us > 0 ? peers_us : service->started_us;
    uint64_t alone_us = now_us - since_us;
    unsigned long long alone_s = alone_us / SECOND;
    const char *failure = service->bootstrap.failure;
    if (alone_us >= LONELY_US) {
        mesh->state = alone_us >= LOST_US ? SERVICE_UNHEALTHY : SERVICE_DEGRADED;
    } else {
        mesh->state = peers_us > 0 ? SERVICE_HEALTHY : SERVICE_STARTING;
    }
    if (mesh->state == SERVICE_HEALTHY) {
        return;
    }
    if (failure[0] != '\0') {
        snprintf(mesh->reason, sizeof mesh->reason,
                 "no peer for %llu s; %.150s; check that address, or connect to another", alone_s,
                 failure);
    } else {
        snprintf(mesh->reason, sizeof mesh->reason,
                 "no peer for %llu s; check the network, or connect to a node by hand", alone_s);
    }
}

static void judge_disk(const struct service *service, struct service_component *disk)
{
    struct host_view view;
    host_observe(service->host, &view);
    if (view.disk == HOST_DISK_READ_ONLY) {
        disk->state = SERVICE_DEGRADED;
        snprintf(disk->reason, sizeof disk->reason,
                 "the database takes no writes (%llu failed); free space where %.100s lies",
                 (unsigned long long)view.commits_failed,
                 service->options.host.database != NULL ? service->options.host.database
                                                        : "memory");
    }
}

static void judge_network(const struct service *service, struct service_component *network)
{
    const struct health *seen = &service->health;
    if (seen->dropped_lately > seen->sent_lately) {
        network->state = SERVICE_DEGRADED;
        snprintf(network->reason, sizeof network->reason,
                 "%llu of %llu datagrams were refused within 5 s; check interface and firewall",
                 (unsigned long long)seen->dropped_lately,
                 (unsigned long long)seen->dropped_lately + seen->sent_lately);
    }
}

static void judge_reach(const struct service *service, struct service_component *reach)
{
    uint64_t hidden_us = service_now_us(service) - service->health.reached_us;
    if (needs_relay(service) && service->health.reached_us > 0 && hidden_us > HIDDEN_US) {
        struct port_addr addr = host_addr(service->host);
        reach->state = SERVICE_DEGRADED;
        snprintf(reach->reason, sizeof reach->reason,
                 "strangers cannot reach this node, and no relay has taken it for %llu s; open UDP "
                 "port %u to it, or connect to a node that relays",
                 (unsigned long long)(hidden_us / SECOND), addr.port[0] * 256u + addr.port[1]);
    }
}

static bool needs_relay(const struct service *service)
{
    const struct node *node = service_node(service);
    return node != NULL && !node->nat.is_server && nat_relay_count(&node->nat) == 0;
}

/* Of several components the worst decides. */
static int badness(enum service_state state)
{
    static const int order[] = {[SERVICE_HEALTHY] = 0,
                                [SERVICE_STARTING] = 1,
                                [SERVICE_DEGRADED] = 2,
                                [SERVICE_UNHEALTHY] = 3,
                                [SERVICE_STOPPING] = 4};
    return order[state];
}
