/* histogram.h - a distribution in bounded memory whose every stored point is exact.
 *
 * Values are sorted into buckets of at most 1/128 relative width: the top seven bits of a double's
 * mantissa name the bucket, so no logarithm is taken and whole numbers up to 256 never share one. A
 * bucket keeps how many values fell into it and the largest of them. Every such pair is therefore
 * an exact point of the cumulative distribution, and a quantile read here is a value that was seen:
 * the true one, or up to 0.8 % above it, never below. Count, sum, least, greatest and last are
 * exact.
 *
 *      histogram_record(value) -> octaves of 128 buckets -> histogram_quantile, histogram_visit
 *
 * It holds no order in time but the last value. An octave that was never hit takes no memory; a
 * latency that spans a thousandfold takes ten of 2 KB each.
 */
#ifndef SIM_RESULT_HISTOGRAM_H
#define SIM_RESULT_HISTOGRAM_H

#include <stdint.h>

struct histogram_octave;

/* Zero is an empty one. min, max and last mean something once count > 0. */
struct histogram {
    struct histogram_octave **octaves; /* Rising exponents. */
    uint32_t octave_count;
    uint64_t count;
    double sum;
    double min;
    double max;
    double last;
};

/* The value is finite and not negative. */
void histogram_record(struct histogram *histogram, double value);
/* Adds all values of `later`, as if they had been recorded after those already here. */
void histogram_add(struct histogram *histogram, const struct histogram *later);
void histogram_free(struct histogram *histogram);

/* Nearest rank: the least recorded value that at least `percent` of 100 values do not exceed,
 * within the width of its bucket. 0 is the least value itself. There is at least one value. */
double histogram_quantile(const struct histogram *histogram, double percent);

/* Rising `upper`: the largest value of a bucket, and how many values the bucket holds. */
typedef void (*histogram_visit_fn)(void *arg, double upper, uint64_t count);
void histogram_visit(const struct histogram *histogram, histogram_visit_fn visit, void *arg);

#endif /* SIM_RESULT_HISTOGRAM_H */
