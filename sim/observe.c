/* observe.c - what happened to nodes and operations, as metrics. */
#include <string.h>

#include "node/base/must.h"
#include "sim/run.h"

#define SECOND_US 1e6

static uint32_t group_of(const struct sim *sim, uint32_t node);
static void observe_lookup(const struct sim *sim, const struct operation_end *end);
static void observe_get(const struct sim *sim, const struct operation_end *end);
static void observe_store(const struct sim *sim, const struct operation_end *end);
static void observe_message(const struct sim *sim, const struct operation_end *end);
static void observe_broadcast(const struct sim *sim, const struct operation_end *end);

/* One value of an operation: it belongs to the moment at which the operation began. */
static void value(const struct sim *sim, const struct operation_end *end, enum metric_id metric,
                  double number)
{
    run_observe(sim, metric, end->start_us, group_of(sim, end->node), number);
}

void run_joined(void *arg, uint32_t node, uint64_t took_us)
{
    const struct sim *sim = arg;
    run_observe(sim, METRIC_JOIN_LATENCY_S, world_now_us(sim->world), group_of(sim, node),
                (double)took_us / SECOND_US);
}

void run_session(void *arg, uint32_t node, uint64_t start_us, uint64_t end_us,
                 const char *end_reason)
{
    struct sim *sim = arg;
    const struct host *host = world_host(sim->world, node);
    memcpy(sim->public_keys[node], host->node->identity.public_key, CRYPTO_PUBLIC_LEN);
    const struct sim_sink *sink = &sim->options.sink;
    if (sink->session != NULL) {
        sink->session(sink->arg, node, start_us, end_us, end_reason);
    }
}

void run_ended(void *arg, const struct operation_end *end)
{
    static void (*const observers[])(const struct sim *sim, const struct operation_end *end) = {
        [OPERATION_LOOKUP] = observe_lookup,       [OPERATION_GET] = observe_get,
        [OPERATION_STORE] = observe_store,         [OPERATION_MESSAGE] = observe_message,
        [OPERATION_BROADCAST] = observe_broadcast,
    };
    static const enum scenario_workload_type types[] = {
        [OPERATION_LOOKUP] = SCENARIO_WORKLOAD_LOOKUP,
        [OPERATION_GET] = SCENARIO_WORKLOAD_GET,
        [OPERATION_STORE] = SCENARIO_WORKLOAD_STORE,
        [OPERATION_MESSAGE] = SCENARIO_WORKLOAD_MESSAGE,
        [OPERATION_BROADCAST] = SCENARIO_WORKLOAD_BROADCAST,
    };
    const struct sim *sim = arg;
    observers[end->kind](sim, end);
    const struct sim_sink *sink = &sim->options.sink;
    if (sink->operation == NULL || !end->is_judged) {
        return;
    }
    struct sim_operation operation = {.type = types[end->kind],
                                      .start_us = end->start_us,
                                      .node = end->node,
                                      .group = group_of(sim, end->node),
                                      .receiver = end->receiver,
                                      .took_us = end->took_us,
                                      .hops = end->hops,
                                      .messages = end->messages,
                                      .holders = end->holders,
                                      .bytes = end->bytes,
                                      .reach_ratio = end->reach_ratio,
                                      .t50_us = end->t50_us,
                                      .t99_us = end->t99_us,
                                      .duplicate_ratio = end->duplicate_ratio,
                                      .is_ok = end->is_ok,
                                      .is_exact = end->is_exact};
    sink->operation(sink->arg, &operation);
}

/* Between nodes that do not know each other any more there is nothing to be told. */
bool run_settled(void *arg, uint32_t node, uint32_t receiver, uint64_t start_us, bool is_last)
{
    const struct sim *sim = arg;
    const struct node *own = world_host(sim->world, node)->node;
    const struct node_id *id = &sim->population->members[receiver].id;
    struct sim_way way = {.start_us = start_us,
                          .group = group_of(sim, node),
                          .nat_from = sim->setup.nat_kinds[node],
                          .nat_to = sim->setup.nat_kinds[receiver]};
    struct transport_session session;
    struct nat_trail trail = {0};
    bool has_trail = nat_trail_of(&own->nat, id, &trail);
    if (transport_session_of(&own->transport, id, &session)) {
        struct nat_way_view view;
        nat_way_of(&own->nat, &session, &view);
        way.way = view.way;
    } else if (has_trail) { /* The session has made room for others. */
        way.way = (enum nat_way)trail.way;
    }
    if ((way.way == NAT_WAY_RELAYED || way.way == NAT_WAY_NONE) && !is_last) {
        return false;
    }
    if (way.way == NAT_WAY_NONE) {
        return true;
    }
    bool is_relayed = way.way == NAT_WAY_RELAYED;
    way.step = has_trail && is_relayed ? (enum nat_step)trail.step : NAT_STEP_NONE;
    if (way.nat_from != SCENARIO_NAT_PUBLIC && way.nat_to != SCENARIO_NAT_PUBLIC) {
        run_observe(sim, METRIC_DIRECT_RATIO, start_us, way.group, !is_relayed);
    }
    if (way.way == NAT_WAY_PUNCHED && trail.rtt_us > 0) {
        uint64_t extra_us = trail.punch_us > trail.rtt_us ? trail.punch_us - trail.rtt_us : 0;
        run_observe(sim, METRIC_PUNCH_EXTRA_S, start_us, way.group, (double)extra_us / SECOND_US);
    }
    if (sim->options.sink.way != NULL) {
        sim->options.sink.way(sim->options.sink.arg, &way);
    }
    return true;
}

void run_submitting(void *arg, uint32_t node, const struct node_command *command)
{
    const struct sim *sim = arg;
    const struct sim_sink *sink = &sim->options.sink;
    if (sink->submitting != NULL) {
        sink->submitting(sink->arg, node, command);
    }
}

void run_violation(void *arg, uint32_t node, const char *what)
{
    struct sim *sim = arg;
    must(pthread_mutex_lock(&sim->violation_mutex) == 0);
    sim->violations++;
    const struct sim_sink *sink = &sim->options.sink;
    if (sink->violation != NULL) {
        sink->violation(sink->arg, world_now_us(sim->world), node, what);
    }
    must(pthread_mutex_unlock(&sim->violation_mutex) == 0);
}

static uint32_t group_of(const struct sim *sim, uint32_t node)
{
    return sim->population->members[node].group;
}

static void observe_lookup(const struct sim *sim, const struct operation_end *end)
{
    if (end->is_judged) {
        value(sim, end, METRIC_LOOKUP_SUCCESS_RATIO, end->is_ok);
    }
    if (end->is_exact_judged) {
        value(sim, end, METRIC_LOOKUP_EXACT_RATIO, end->is_exact);
    }
    if (end->is_ok) {
        value(sim, end, METRIC_LOOKUP_LATENCY_S, (double)end->took_us / SECOND_US);
        value(sim, end, METRIC_LOOKUP_HOPS, end->hops);
        value(sim, end, METRIC_LOOKUP_MESSAGES, end->messages);
    }
}

static void observe_get(const struct sim *sim, const struct operation_end *end)
{
    value(sim, end, METRIC_GET_LOST_RATIO, end->is_lost);
    if (end->is_judged) {
        value(sim, end, METRIC_GET_SUCCESS_RATIO, end->is_ok);
    }
    if (end->is_ok) {
        value(sim, end, METRIC_GET_LATENCY_S, (double)end->took_us / SECOND_US);
    }
}

static void observe_store(const struct sim *sim, const struct operation_end *end)
{
    value(sim, end, METRIC_STORE_SUCCESS_RATIO, end->is_ok);
    value(sim, end, METRIC_STORE_HOLDERS, end->holders);
}

static void observe_message(const struct sim *sim, const struct operation_end *end)
{
    if (!end->is_judged) {
        return;
    }
    value(sim, end, METRIC_MESSAGE_SUCCESS_RATIO, end->is_ok);
    if (end->is_ok) {
        value(sim, end, METRIC_MESSAGE_LATENCY_S, (double)end->took_us / SECOND_US);
    }
}

static void observe_broadcast(const struct sim *sim, const struct operation_end *end)
{
    if (!end->is_judged) {
        return;
    }
    value(sim, end, METRIC_BROADCAST_REACH_RATIO, end->reach_ratio);
    value(sim, end, METRIC_BROADCAST_DUPLICATE_RATIO, end->duplicate_ratio);
    if (end->t99_us > 0) {
        value(sim, end, METRIC_BROADCAST_T99_S, (double)end->t99_us / SECOND_US);
    }
}
