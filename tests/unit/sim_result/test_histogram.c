/* test_histogram.c - what a histogram claims, against the sorted values themselves. */
#include <signal.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "node/base/rng.h"
#include "sim/result/histogram.h"

enum { VALUES = 20000 };

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Six decades, as latencies have, and some exact zeroes. */
static void fill(double *values, struct histogram *histogram, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < VALUES; i++) {
        double unit = (double)(rng_next(&rng) >> 11) * 0x1p-53;
        values[i] = i % 100 == 0 ? 0 : exp(unit * 14 - 9);
        histogram_record(histogram, values[i]);
    }
}

Test(histogram, quantiles_are_the_true_ones_or_less_than_one_percent_above)
{
    static double values[VALUES];
    struct histogram histogram = {0};
    fill(values, &histogram, 1);
    qsort(values, VALUES, sizeof values[0], compare);
    static const double percents[] = {0.01, 1, 5, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        size_t rank = (size_t)ceil(percents[i] / 100 * VALUES - 1e-9);
        double exact = values[rank - 1];
        double read = histogram_quantile(&histogram, percents[i]);
        cr_expect(read >= exact && read <= exact * 1.0079, "p%g: %.9g, exactly %.9g", percents[i],
                  read, exact);
        cr_expect_not_null(bsearch(&read, values, VALUES, sizeof values[0], compare),
                           "p%g: %.9g was never recorded", percents[i], read);
    }
    cr_expect_eq(histogram_quantile(&histogram, 0), values[0]);
    histogram_free(&histogram);
}

Test(histogram, whole_numbers_up_to_256_keep_their_quantiles)
{
    struct histogram histogram = {0};
    for (int value = 256; value >= 1; value--) {
        histogram_record(&histogram, value);
    }
    for (int value = 1; value <= 256; value++) {
        cr_expect_eq(histogram_quantile(&histogram, value * 100 / 256.0), value, "rank %d", value);
    }
    histogram_free(&histogram);
}

Test(histogram, a_percent_that_hits_a_rank_exactly_is_not_rounded_up)
{
    struct histogram histogram = {0};
    for (int value = 1; value <= 1000; value++) {
        histogram_record(&histogram, value <= 999 ? 1 : 5);
    }
    cr_expect_eq(histogram_quantile(&histogram, 99.9), 1);
    cr_expect_eq(histogram_quantile(&histogram, 99.91), 5);
    histogram_free(&histogram);
}

static struct {
    double *values;
    uint64_t seen;
    double upper;
} walk;

/* Each point says: so many values are at most this large. That can be counted. */
static void check_point(void *arg, double upper, uint64_t count)
{
    (void)arg;
    walk.seen += count;
    uint64_t below = 0;
    while (below < VALUES && walk.values[below] <= upper) {
        below++;
    }
    cr_expect_eq(below, walk.seen, "%.9g: %llu values, not %llu", upper, (unsigned long long)below,
                 (unsigned long long)walk.seen);
    cr_expect(upper > walk.upper || walk.seen == count);
    walk.upper = upper;
}

Test(histogram, every_stored_point_of_the_distribution_function_is_exact)
{
    static double values[VALUES];
    struct histogram histogram = {0};
    fill(values, &histogram, 2);
    qsort(values, VALUES, sizeof values[0], compare);
    walk.values = values;
    histogram_visit(&histogram, check_point, NULL);
    cr_expect_eq(walk.seen, VALUES);
    histogram_free(&histogram);
}

Test(histogram, adding_is_recording_in_sequence)
{
    static double values[VALUES];
    struct histogram whole = {0}, first = {0}, second = {0}, sum = {0};
    fill(values, &whole, 3);
    for (size_t i = 0; i < VALUES; i++) {
        histogram_record(i < VALUES / 3 ? &first : &second, values[i]);
    }
    histogram_add(&sum, &first);
    histogram_add(&sum, &second);
    cr_expect_eq(sum.count, whole.count);
    cr_expect_eq(sum.min, whole.min);
    cr_expect_eq(sum.max, whole.max);
    cr_expect_eq(sum.last, whole.last);
    cr_expect_float_eq(sum.sum, whole.sum, whole.sum * 1e-12);
    for (double percent = 0; percent <= 100; percent += 0.5) {
        cr_expect_eq(histogram_quantile(&sum, percent), histogram_quantile(&whole, percent));
    }
    histogram_free(&whole);
    histogram_free(&first);
    histogram_free(&second);
    histogram_free(&sum);
}

Test(histogram, what_is_no_number_is_our_bug, .signal = SIGABRT)
{
    struct histogram histogram = {0};
    histogram_record(&histogram, NAN);
}
