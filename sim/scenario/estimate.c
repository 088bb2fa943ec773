/* estimate.c - what a run will need, from the scenario's counts and rates alone.
 *
 * online     = sum over groups of count * (always_on + (1 - always_on) * session / (session +
 * offline)) operations = sum over workloads of rate * nodes that begin them * duration messages   =
 * operations * cost + online * background * duration + joins * cost of a join events     = messages
 * * EVENTS_PER_MESSAGE memory     = nodes * NODE_BYTES + online * EVENTS_PENDING * EVENT_BYTES +
 * results
 *
 * The costs are per-operation message counts of a Kademlia network with k = 20 in which a lookup
 * asks about k + log2(n) nodes, each with a request and an answer, and one in HANDSHAKE_EVERY of
 * them over a new session (two more). They are meant to be right within a factor of two.
 */
#include <math.h>

#include "sim/scenario/scenario.h"

#define NODE_BYTES         12000.0 /* the budget of DESIGN section 6, between aim and limit */
#define BOX_BYTES          4000.0  /* a NAT box with some sixty sessions */
#define EVENT_BYTES        256.0   /* an event with its datagram */
#define EVENTS_PENDING     4.0     /* per node online: timers and datagrams under way */
#define ROW_BYTES          26.0    /* a row of an event table in the results */
#define BASE_BYTES         30e6    /* program, tables of distributions, database cache */
#define EVENTS_PER_MESSAGE 2.0     /* delivery, and the timer that guards the answer */
#define HANDSHAKE_EVERY    4.0     /* calls per new session */
#define BROADCAST_FANOUT   6.0     /* node/gossip sends each piece of news to so many */
#define JOIN_LOOKUPS       4.0     /* self-lookup and three refreshes */
#define GOSSIP_MESSAGES    4.0     /* exchange, answer, and pings of candidates */

static double mean_of(const struct dist_config *dist);
static double share_online(const struct scenario_group *group);
static double operations_of(const struct scenario *scenario,
                            const struct scenario_workload *workload, double online);
static double messages_of(const struct scenario_workload *workload, double online, double lookup);

void scenario_estimate(const struct scenario *scenario, struct scenario_estimate *estimate)
{
    double duration_s = (double)scenario->duration_us / 1e6;
    double joins = 0;
    double boxed = 0;
    *estimate = (struct scenario_estimate){0};
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        const struct scenario_group *group = &scenario->groups[i];
        double online = group->count * share_online(group);
        estimate->online_mean += online;
        boxed += scenario_is_public(group) ? 0 : group->count;
        joins += group->count;
        if (group->has_churn && group->churn.trace_file == NULL) {
            double cycle_s =
                (mean_of(&group->churn.session) + mean_of(&group->churn.offline)) / 1e6;
            joins += group->count * (1 - group->churn.always_on.ratio) * duration_s / cycle_s;
        }
    }
    double depth = log2(estimate->online_mean + 2);
    double asked = scenario->protocol.k + depth;
    double lookup = asked * 2 * (1 + 1 / HANDSHAKE_EVERY);
    double rows = 0;
    for (uint32_t i = 0; i < scenario->workload_count; i++) {
        const struct scenario_workload *workload = &scenario->workloads[i];
        double operations = operations_of(scenario, workload, estimate->online_mean);
        estimate->operations += operations;
        estimate->messages += operations * messages_of(workload, estimate->online_mean, lookup);
        rows += operations;
    }
    double background_per_s = depth * lookup / ((double)scenario->protocol.refresh_us / 1e6);
    if (scenario->protocol.gossip_period_us > 0) {
        background_per_s += GOSSIP_MESSAGES / ((double)scenario->protocol.gossip_period_us / 1e6);
    }
    estimate->messages += estimate->online_mean * background_per_s * duration_s;
    if (scenario->topology.source == SCENARIO_SOURCE_BOOTSTRAP) {
        estimate->messages += joins * JOIN_LOOKUPS * lookup;
    }
    estimate->events = estimate->messages * EVENTS_PER_MESSAGE;
    rows = scenario->metrics.events != 0 ? rows * scenario->metrics.event_sampling.ratio : 0;
    estimate->memory_bytes = BASE_BYTES + scenario->node_count * NODE_BYTES + boxed * BOX_BYTES +
                             estimate->online_mean * EVENTS_PENDING * EVENT_BYTES +
                             rows * ROW_BYTES;
}

static double mean_of(const struct dist_config *dist)
{
    switch (dist->kind) {
    case DIST_CONFIG_CONSTANT:
        return (double)dist->value;
    case DIST_CONFIG_UNIFORM:
        return ((double)dist->min + (double)dist->max) / 2;
    case DIST_CONFIG_EXPONENTIAL:
        return (double)dist->mean;
    case DIST_CONFIG_LOGNORMAL:
        return (double)dist->median * exp(dist->sigma * dist->sigma / 2);
    case DIST_CONFIG_WEIBULL:
        return (double)dist->scale * tgamma(1 + 1 / dist->shape);
    case DIST_CONFIG_PARETO:
        /* At shape <= 1 the mean does not exist; a table that ends makes it large. */
        return (double)dist->scale * (dist->shape > 1 ? dist->shape / (dist->shape - 1) : 100);
    }
    return 0;
}

static double share_online(const struct scenario_group *group)
{
    if (!group->has_churn || group->churn.trace_file != NULL) {
        return 1;
    }
    double session = mean_of(&group->churn.session);
    double fixed = group->churn.always_on.ratio;
    return fixed + (1 - fixed) * session / (session + mean_of(&group->churn.offline));
}

static double operations_of(const struct scenario *scenario,
                            const struct scenario_workload *workload, double online)
{
    double beginners = 1;
    if (workload->per == SCENARIO_PER_NODE) {
        const struct scenario_group *group =
            workload->group != SCENARIO_GROUP_NONE ? &scenario->groups[workload->group] : NULL;
        beginners = group != NULL ? group->count * share_online(group) : online;
    }
    double seconds = ((double)workload->until_us - (double)workload->from_us) / 1e6;
    return workload->rate_per_s * beginners * seconds;
}

static double messages_of(const struct scenario_workload *workload, double online, double lookup)
{
    switch (workload->type) {
    case SCENARIO_WORKLOAD_LOOKUP:
        return lookup;
    case SCENARIO_WORKLOAD_GET:
        return lookup / 2; /* ends at the first holder */
    case SCENARIO_WORKLOAD_STORE:
        return lookup * 2; /* finds the holders, then tells each */
    case SCENARIO_WORKLOAD_MESSAGE:
        return 2 + 2 / HANDSHAKE_EVERY;
    case SCENARIO_WORKLOAD_BROADCAST:
        return online * BROADCAST_FANOUT * 2; /* each piece of news is acknowledged */
    }
    return 0;
}
