/* test_churn.c - stays: shares, lengths, correlation, ramp and trace, each against its formula. */
#include <signal.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "sim/population/churn.h"

#define MINUTE UINT64_C(60000000)
#define HOUR   (60 * MINUTE)

enum { NODES = 20000 };

static struct dist session;
static struct dist offline;
static struct churn_model model;

static void fill(double correlation, bool is_equilibrium)
{
    /* BitTorrent's shape; three quarters of the time away. */
    struct dist_spec on = {.kind = DIST_WEIBULL, .shape = 0.6, .scale = 30.0 * MINUTE};
    struct dist_spec off = {.kind = DIST_WEIBULL, .shape = 0.5, .scale = 60.0 * MINUTE};
    cr_assert_eq(dist_fill(&session, &on), ERR_OK);
    cr_assert_eq(dist_fill(&offline, &off), ERR_OK);
    struct churn_model_spec spec = {.session = &session,
                                    .offline = &offline,
                                    .correlation = correlation,
                                    .is_equilibrium = is_equilibrium};
    cr_assert_eq(churn_model_fill(&model, &spec), ERR_OK);
}

static bool is_online_at(uint32_t node, uint64_t seed, uint64_t time_us)
{
    struct churn_state state;
    struct churn_stay stay = churn_first(&model, &state, seed, node, 0);
    while (stay.end_us <= time_us) {
        stay = churn_next(&model, &state, seed, node, stay.end_us);
    }
    return stay.start_us <= time_us;
}

/* Four standard deviations of a binomial: 1 in 16,000 honest tests would fail. */
static void expect_share(uint32_t count, uint32_t of, double share, const char *what)
{
    double deviation = sqrt(share * (1 - share) / of);
    cr_assert_float_eq((double)count / of, share, 4 * deviation, "%s: %u of %u, expected %.4f",
                       what, count, of, share);
}

static void expect_equilibrium(double correlation)
{
    fill(correlation, true);
    static const uint64_t times_us[] = {0, MINUTE, 10 * MINUTE, HOUR, 10 * HOUR};
    for (size_t t = 0; t < sizeof times_us / sizeof *times_us; t++) {
        uint32_t online = 0;
        for (uint32_t node = 0; node < NODES; node++) {
            online += is_online_at(node, 1, times_us[t]);
        }
        expect_share(online, NODES, churn_online_ratio(&model), "online");
    }
}

Test(churn, equilibrium_holds_from_the_first_moment_on)
{
    expect_equilibrium(0);
}

Test(churn, equilibrium_holds_with_correlated_sessions)
{
    expect_equilibrium(0.7);
}

Test(churn, what_is_left_of_the_first_session_follows_the_residual)
{
    fill(0, true);
    struct dist residual;
    cr_assert_eq(dist_residual_fill(&residual, &session), ERR_OK);
    uint64_t median_us = dist_quantile(&residual, 0.5);
    uint32_t online = 0;
    uint32_t below = 0;
    for (uint32_t node = 0; node < NODES; node++) {
        struct churn_state state;
        struct churn_stay stay = churn_first(&model, &state, 2, node, 0);
        if (stay.start_us == 0) {
            online++;
            below += stay.end_us < median_us;
        }
    }
    expect_share(below, online, 0.5, "below the residual's median");
}

static int order(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

/* Spearman's coefficient of the n pairs (lengths[i], lengths[i + n]). */
static double rank_correlation(const uint64_t *lengths, uint32_t n)
{
    uint64_t *sorted[2];
    for (int side = 0; side < 2; side++) {
        sorted[side] = malloc(n * sizeof **sorted);
        for (uint32_t i = 0; i < n; i++) {
            sorted[side][i] = lengths[i + side * n];
        }
        qsort(sorted[side], n, sizeof **sorted, order);
    }
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        double rank[2];
        for (int side = 0; side < 2; side++) {
            const uint64_t *at =
                bsearch(&lengths[i + side * n], sorted[side], n, sizeof **sorted, order);
            rank[side] = (double)(at - sorted[side]);
        }
        sum += (rank[0] - rank[1]) * (rank[0] - rank[1]);
    }
    free(sorted[0]);
    free(sorted[1]);
    return 1 - 6 * sum / ((double)n * ((double)n * n - 1));
}

static uint64_t length_of(struct churn_stay stay)
{
    return stay.end_us - stay.start_us;
}

static double measured_correlation(double wanted)
{
    fill(wanted, false);
    static uint64_t lengths[2 * NODES];
    for (uint32_t node = 0; node < NODES; node++) {
        struct churn_state state;
        struct churn_stay stay = churn_first(&model, &state, 3, node, 0);
        stay = churn_next(&model, &state, 3, node, stay.end_us);
        lengths[node] = length_of(stay);
        stay = churn_next(&model, &state, 3, node, stay.end_us);
        lengths[node + NODES] = length_of(stay);
    }
    return rank_correlation(lengths, NODES);
}

Test(churn, successive_sessions_have_the_rank_correlation_asked_for)
{
    static const double wanted[] = {0, 0.2, 0.5, 0.9};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        /* The coefficient's deviation is at most 1 / sqrt(n) = 0.007. */
        cr_assert_float_eq(measured_correlation(wanted[i]), wanted[i], 0.025, "wanted %.1f",
                           wanted[i]);
    }
    cr_assert_gt(measured_correlation(1), 0.999);
}

Test(churn, correlation_leaves_each_session_its_distribution)
{
    fill(0.8, false);
    static const double shares[] = {0.05, 0.25, 0.5, 0.75, 0.95, 0.99};
    for (size_t s = 0; s < sizeof shares / sizeof *shares; s++) {
        uint64_t quantile_us = dist_quantile(&session, shares[s]);
        uint32_t below = 0;
        for (uint32_t node = 0; node < NODES; node++) {
            struct churn_state state;
            struct churn_stay stay = churn_first(&model, &state, 4, node, 0);
            for (int i = 0; i < 3; i++) {
                stay = churn_next(&model, &state, 4, node, stay.end_us);
            }
            below += length_of(stay) < quantile_us;
        }
        expect_share(below, NODES, shares[s], "below a quantile");
    }
}

Test(churn, a_session_under_way_is_followed_by_one_of_its_own_rank)
{
    fill(1, true);
    for (uint32_t node = 0; node < 2000; node++) {
        struct churn_state state;
        struct churn_stay first = churn_first(&model, &state, 5, node, 0);
        struct churn_stay second = churn_next(&model, &state, 5, node, first.end_us);
        /* The table of normal deviates has 16 bits below a standard deviation. */
        cr_assert_geq((double)length_of(second) * 1.001, (double)length_of(first),
                      "node %u: the whole session is at least what was left of it", node);
    }
}

Test(churn, dice_do_not_depend_on_other_nodes_or_on_the_ramp)
{
    fill(0.5, true);
    for (uint32_t node = 0; node < 200; node++) {
        struct churn_state early;
        struct churn_state late;
        struct churn_stay a = churn_first(&model, &early, 6, node, 0);
        struct churn_stay b = churn_first(&model, &late, 6, node, MINUTE);
        if (a.start_us == 0 && a.end_us <= MINUTE) {
            a = churn_next(&model, &early, 6, node, a.end_us); /* It misses its first stay. */
        }
        cr_assert_eq(a.end_us, b.end_us);
        cr_assert(b.start_us == a.start_us || (a.start_us == 0 && b.start_us == MINUTE));
    }
}

Test(churn, who_starts_online_comes_in_its_slot_for_a_whole_session)
{
    fill(0, false);
    struct churn_state state;
    struct churn_stay stay = churn_first(&model, &state, 7, 1, 5 * MINUTE);
    cr_assert_eq(stay.start_us, 5 * MINUTE);
    cr_assert_gt(stay.end_us, stay.start_us);
}

Test(churn, another_seed_gives_another_life)
{
    fill(0, true);
    uint32_t same = 0;
    for (uint32_t node = 0; node < 1000; node++) {
        struct churn_state state;
        uint64_t end_us = churn_first(&model, &state, 8, node, 0).end_us;
        same += end_us == churn_first(&model, &state, 9, node, 0).end_us;
    }
    cr_assert_eq(same, 0);
}

Test(churn, a_trace_is_played_back_stay_by_stay)
{
    static const struct churn_stay stays[] = {{0, 10}, {20, 30}, {5, 50}};
    static const uint32_t first[] = {0, 2, 2, 3};
    struct churn_trace trace = {.stays = stays, .first = first, .node_count = 3};
    churn_model_trace(&model, &trace);
    struct churn_state state;
    struct churn_stay stay = churn_first(&model, &state, 0, 0, 4);
    cr_assert(stay.start_us == 4 && stay.end_us == 10, "appears in its slot");
    stay = churn_next(&model, &state, 0, 0, stay.end_us);
    cr_assert(stay.start_us == 20 && stay.end_us == 30);
    cr_assert_eq(churn_next(&model, &state, 0, 0, stay.end_us).start_us, CHURN_FOREVER);
    stay = churn_first(&model, &state, 0, 0, 15);
    cr_assert(stay.start_us == 20 && stay.end_us == 30, "misses a stay that ends before its slot");
    cr_assert_eq(churn_first(&model, &state, 0, 1, 0).start_us, CHURN_FOREVER);
    stay = churn_first(&model, &state, 0, 5, 0);
    cr_assert(stay.start_us == 5 && stay.end_us == 50, "node 5 follows trace node 2 of 3");
}

Test(churn, refuses_what_describes_no_coming_and_going)
{
    fill(0, true);
    struct churn_model_spec spec = {.session = &session, .offline = &offline, .correlation = 1.1};
    cr_assert_eq(churn_model_fill(&model, &spec), ERR_INVALID);
    struct dist never = {0};
    spec = (struct churn_model_spec){.session = &session, .offline = &never};
    cr_assert_eq(churn_model_fill(&model, &spec), ERR_INVALID);
}
