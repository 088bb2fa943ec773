/* churn.h - when a node is online: sessions drawn from distributions, or played back from a trace.
 *
 * A node's life is a row of stays. Each stay's dice come from the stream ("churn", node, number of
 * the stay), so they depend on nothing else in the world: another protocol, or another node more,
 * leaves every coming and going where it was.
 *
 *      churn_first -> stay [start, end) -> churn_next -> the one after it, ...
 *
 * Equilibrium: at time 0 the node is online with the chance mean session / (mean session + mean
 * time away), and what is left of its session, or its absence, follows the residual distribution
 * (dist_residual_fill): as if the coming and going had never begun.
 *
 * Correlation: the ranks of a node's successive sessions form a Gaussian copula with lag-one
 * Pearson correlation r = 2 sin(pi rho / 6), which gives the rank correlation rho (Kruskal, Ordinal
 * measures of association, JASA 53, 1958, section 4); each session alone keeps its distribution. A
 * session that is under way in equilibrium is a long one rather than a short one (it is met in
 * proportion to its length), and the next one follows from the rank it really has. All in integers.
 */
#ifndef SIM_POPULATION_CHURN_H
#define SIM_POPULATION_CHURN_H

#include <stdbool.h>

#include "node/base/err.h"
#include "sim/engine/dist.h"

#define CHURN_FOREVER UINT64_MAX

/* Online in [start_us, end_us); a stay that never comes has start_us CHURN_FOREVER. */
struct churn_stay {
    uint64_t start_us;
    uint64_t end_us;
};

/* Recorded presence. The stays of trace node i are first[i] .. first[i + 1] - 1, in order. */
struct churn_trace {
    const struct churn_stay *stays;
    const uint32_t *first; /* node_count + 1 of them */
    uint32_t node_count;
};

struct churn_model {
    const struct dist *session; /* Borrowed. */
    const struct dist *offline;
    const struct churn_trace *trace; /* NULL: the distributions. */
    struct dist session_left;
    struct dist offline_left;
    struct dist normal;   /* mean NORMAL_MEAN, see churn.c; filled if there is a correlation */
    uint64_t online_word; /* Online at first if a random word is below. */
    int64_t weight_last;  /* Of the last session's rank, in 2^-20. */
    int64_t weight_new;   /* Of fresh dice. */
    bool is_equilibrium;  /* Else everybody begins with a whole session. */
};

struct churn_model_spec {
    const struct dist *session;
    const struct dist *offline;
    double correlation; /* 0..1: of the ranks of successive sessions. */
    bool is_equilibrium;
};

/* Of one node: 8 bytes. */
struct churn_state {
    int32_t rank;    /* Of the current session, as a normal deviate. */
    uint32_t number; /* Of the next stay. */
};

/* ERR_INVALID when a distribution has the mean 0 or the correlation is out of range. */
NODISCARD int churn_model_fill(struct churn_model *model, const struct churn_model_spec *spec);
/* Plays the trace back; borrowed. */
void churn_model_trace(struct churn_model *model, const struct churn_trace *trace);

/* The share of the time that a node is online: of a trace 0. */
double churn_online_ratio(const struct churn_model *model);

/* The first stay. Who is online at time 0 appears at slot_us, its place in the ramp; who would have
 * left before that misses this stay. */
struct churn_stay churn_first(const struct churn_model *model, struct churn_state *state,
                              uint64_t seed, uint32_t node, uint64_t slot_us);
/* The one after a stay that ended at end_us. Node numbers of a trace are those of its group. */
struct churn_stay churn_next(const struct churn_model *model, struct churn_state *state,
                             uint64_t seed, uint32_t node, uint64_t end_us);

#endif /* SIM_POPULATION_CHURN_H */
