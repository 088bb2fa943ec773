/* dist_residual.c - what is left of a life that is looked at in its middle.
 *
 * The residual's distribution function is the integral of the life's survival function over its
 * mean. Between two knots the quantile is linear, so survival falls linearly from s0 to s1 while
 * the value grows from q0 to q1, and the integral over a fraction f of the way is
 * (q1 - q0) (s0 f - (s0 - s1) f^2 / 2): a quadratic to be solved for f. The lower half of the
 * residual is found from the start, the upper half from the end, so that tails lose no digits.
 */
#include <math.h>

#include "node/base/must.h"
#include "sim/engine/dist_knots.h"

/* Over one stretch of values between knots; stretch 0 leads from zero to the smallest value. */
struct stretch {
    double from;
    double to;
    double survival_from;
    double survival_to;
    double area; /* Integral of the survival function over the stretch. */
};

static double stretches_make(struct stretch *stretches, const struct dist_knot *lives);
static void fill_lower(struct dist_knot *knots, const struct stretch *stretches, double total);
static void fill_upper(struct dist_knot *knots, const struct stretch *stretches, double total);

int dist_residual_fill(struct dist *dist, const struct dist *life)
{
    if (life->ranks != NULL || life->mean <= 0) {
        return ERR_INVALID;
    }
    struct dist_knot knots[DIST_KNOTS];
    struct stretch stretches[DIST_KNOTS];
    dist_knots_load(life, knots);
    double total = stretches_make(stretches, knots);
    dist_knots_place(knots);
    fill_lower(knots, stretches, total);
    fill_upper(knots, stretches, total);
    dist_knots_store(dist, knots);
    return ERR_OK;
}

/* Returns the sum of all areas, which is the mean life. */
static double stretches_make(struct stretch *stretches, const struct dist_knot *lives)
{
    double total = 0;
    struct dist_knot last = {.below = 0, .above = 1, .value = 0};
    for (size_t i = 0; i < DIST_KNOTS; i++) {
        struct stretch *stretch = &stretches[i];
        *stretch = (struct stretch){.from = (double)last.value,
                                    .to = (double)lives[i].value,
                                    .survival_from = last.above,
                                    .survival_to = lives[i].above};
        double survival = (stretch->survival_from + stretch->survival_to) / 2;
        stretch->area = (stretch->to - stretch->from) * survival;
        total += stretch->area;
        last = lives[i];
    }
    return total;
}

static void fill_lower(struct dist_knot *knots, const struct stretch *stretches, double total)
{
    const struct stretch *stretch = stretches;
    double passed = 0; /* Area of the stretches before. */
    for (size_t i = 0; i < DIST_KNOTS && knots[i].below < 0.5; i++) {
        double wanted = knots[i].below * total;
        while (passed + stretch->area < wanted && stretch < stretches + DIST_KNOTS - 1) {
            passed += stretch->area;
            stretch++;
        }
        double length = stretch->to - stretch->from;
        double part = length > 0 ? (wanted - passed) / length : 0;
        double high = stretch->survival_from;
        double under_root = high * high - 2 * (high - stretch->survival_to) * part;
        double root = under_root > 0 ? sqrt(under_root) : 0;
        double fraction = part > 0 ? 2 * part / (high + root) : 0;
        fraction = fraction < 1 ? fraction : 1;
        knots[i].value = dist_round(stretch->from + length * fraction);
    }
}

static void fill_upper(struct dist_knot *knots, const struct stretch *stretches, double total)
{
    const struct stretch *stretch = stretches + DIST_KNOTS - 1;
    double passed = 0; /* Area of the stretches behind. */
    for (size_t i = DIST_KNOTS; i-- > 0 && knots[i].below >= 0.5;) {
        double wanted = knots[i].above * total;
        while (passed + stretch->area < wanted && stretch > stretches) {
            passed += stretch->area;
            stretch--;
        }
        double length = stretch->to - stretch->from;
        double part = length > 0 ? (wanted - passed) / length : 0;
        double low = stretch->survival_to;
        double root = sqrt(low * low + 2 * (stretch->survival_from - low) * part);
        double fraction = part > 0 ? 2 * part / (low + root) : 0;
        fraction = fraction < 1 ? fraction : 1;
        knots[i].value = dist_round(stretch->to - length * fraction);
    }
}
