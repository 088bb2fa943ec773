/* churn.c - stays of one node: residual, correlated or recorded. */
#include "sim/population/churn.h"

#include <math.h>

#include "node/base/must.h"

/* Normal deviates as integers: a standard deviation is 2^27, the mean lies 16 of them above 0. */
#define NORMAL_SIGMA (INT64_C(1) << 27)
#define NORMAL_MEAN  (NORMAL_SIGMA * 16)
#define WEIGHT_BITS  20
#define WEIGHT_ONE   (INT64_C(1) << WEIGHT_BITS)
#define PI           3.14159265358979323846

static struct rng dice(uint64_t seed, uint32_t node, uint32_t number);
static uint64_t word_of(const struct dist *dist, uint64_t value);
static uint64_t longer(const struct churn_model *model, uint64_t left_us, uint64_t word);
static int32_t rank_of(const struct churn_model *model, uint64_t word);
static uint64_t session_first(const struct churn_model *model, struct churn_state *state,
                              uint64_t word);
static uint64_t session_next(const struct churn_model *model, struct churn_state *state,
                             uint64_t word);
static struct churn_stay stay_of(uint64_t start_us, uint64_t length_us);
static struct churn_stay recorded(const struct churn_trace *trace, struct churn_state *state,
                                  uint32_t node, uint64_t after_us);

int churn_model_fill(struct churn_model *model, const struct churn_model_spec *spec)
{
    *model = (struct churn_model){
        .session = spec->session, .offline = spec->offline, .is_equilibrium = spec->is_equilibrium};
    if (!(spec->correlation >= 0 && spec->correlation <= 1)) {
        return ERR_INVALID;
    }
    int status = dist_residual_fill(&model->session_left, spec->session);
    if (status == ERR_OK) {
        status = dist_residual_fill(&model->offline_left, spec->offline);
    }
    struct dist_spec normal = {
        .kind = DIST_NORMAL, .mean = (double)NORMAL_MEAN, .sigma = (double)NORMAL_SIGMA};
    if (status == ERR_OK && spec->correlation > 0) {
        status = dist_fill(&model->normal, &normal);
    }
    if (status != ERR_OK) {
        return status;
    }
    model->online_word = (uint64_t)ldexp(floor(ldexp(churn_online_ratio(model), 32)), 32);
    /* Rounded to a coarse grid: the last bits of a sine differ between processors. */
    double last = 2 * sin(PI * spec->correlation / 6);
    model->weight_last = (int64_t)floor(last * (double)WEIGHT_ONE + 0.5);
    double rest = (double)(WEIGHT_ONE * WEIGHT_ONE - model->weight_last * model->weight_last);
    model->weight_new = (int64_t)floor(sqrt(rest) + 0.5);
    return ERR_OK;
}

void churn_model_trace(struct churn_model *model, const struct churn_trace *trace)
{
    must(trace->node_count > 0);
    *model = (struct churn_model){.trace = trace};
}

double churn_online_ratio(const struct churn_model *model)
{
    if (model->trace != NULL) {
        return 0;
    }
    double online = dist_mean(model->session);
    return online / (online + dist_mean(model->offline));
}

struct churn_stay churn_first(const struct churn_model *model, struct churn_state *state,
                              uint64_t seed, uint32_t node, uint64_t slot_us)
{
    *state = (struct churn_state){0};
    if (model->trace != NULL) {
        struct churn_stay stay;
        do {
            stay = recorded(model->trace, state, node, slot_us);
        } while (stay.end_us <= slot_us);
        return stay;
    }
    struct rng rng = dice(seed, node, state->number++);
    uint64_t online_word = rng_next(&rng);
    uint64_t left_word = rng_next(&rng);
    uint64_t length_word = rng_next(&rng);
    if (!model->is_equilibrium) {
        return stay_of(slot_us, session_first(model, state, length_word));
    }
    if (online_word >= model->online_word) {
        return stay_of(dist_at(&model->offline_left, left_word),
                       session_first(model, state, length_word));
    }
    uint64_t left_us = dist_at(&model->session_left, left_word);
    state->rank = rank_of(model, longer(model, left_us, length_word));
    if (left_us <= slot_us) {
        return churn_next(model, state, seed, node, left_us);
    }
    return (struct churn_stay){.start_us = slot_us, .end_us = left_us};
}

struct churn_stay churn_next(const struct churn_model *model, struct churn_state *state,
                             uint64_t seed, uint32_t node, uint64_t end_us)
{
    if (model->trace != NULL) {
        return recorded(model->trace, state, node, end_us);
    }
    struct rng rng = dice(seed, node, state->number++);
    uint64_t offline_us = dist_draw(model->offline, &rng);
    return stay_of(end_us + offline_us, session_next(model, state, rng_next(&rng)));
}

static struct rng dice(uint64_t seed, uint32_t node, uint32_t number)
{
    struct rng rng;
    rng_stream(&rng, seed, "churn", node, number);
    return rng;
}

/* A start and an end at the same moment would leave their order to chance. */
static struct churn_stay stay_of(uint64_t start_us, uint64_t length_us)
{
    return (struct churn_stay){.start_us = start_us,
                               .end_us = start_us + (length_us > 0 ? length_us : 1)};
}

/* How far through the distribution a value lies: the smallest word whose quantile reaches it. */
static uint64_t word_of(const struct dist *dist, uint64_t value)
{
    uint64_t word = 0;
    for (int bit = 63; bit >= 0; bit--) {
        uint64_t next = word | UINT64_C(1) << bit;
        word = dist_at(dist, next) < value ? next : word;
    }
    return word;
}

/* The rank, as a word, of a session of which left_us are left: at a random moment of a session of
 * known rest, its length follows the distribution beyond that rest. */
static uint64_t longer(const struct churn_model *model, uint64_t left_us, uint64_t word)
{
    uint64_t low = word_of(model->session, left_us);
    return low + (uint64_t)(((unsigned __int128)(UINT64_MAX - low) * word) >> 64);
}

static int32_t rank_of(const struct churn_model *model, uint64_t word)
{
    if (model->weight_last == 0) {
        return 0;
    }
    return (int32_t)((int64_t)dist_at(&model->normal, word) - NORMAL_MEAN);
}

static uint64_t session_first(const struct churn_model *model, struct churn_state *state,
                              uint64_t word)
{
    state->rank = rank_of(model, word);
    return dist_at(model->session, word);
}

static uint64_t session_next(const struct churn_model *model, struct churn_state *state,
                             uint64_t word)
{
    if (model->weight_last == 0) {
        return dist_at(model->session, word);
    }
    int64_t fresh = (int64_t)dist_at(&model->normal, word) - NORMAL_MEAN;
    int64_t rank = state->rank * model->weight_last + fresh * model->weight_new;
    state->rank = (int32_t)(rank / WEIGHT_ONE);
    return dist_at(model->session, word_of(&model->normal, (uint64_t)(state->rank + NORMAL_MEAN)));
}

/* The trace node's next stay; what of it lies before after_us is cut off. */
static struct churn_stay recorded(const struct churn_trace *trace, struct churn_state *state,
                                  uint32_t node, uint64_t after_us)
{
    uint32_t which = node % trace->node_count;
    uint32_t at = trace->first[which] + state->number;
    if (at >= trace->first[which + 1]) {
        return (struct churn_stay){.start_us = CHURN_FOREVER, .end_us = CHURN_FOREVER};
    }
    state->number++;
    struct churn_stay stay = trace->stays[at];
    stay.start_us = stay.start_us < after_us ? after_us : stay.start_us;
    return stay;
}
