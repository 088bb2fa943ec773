/* histogram.c - buckets named by the leading bits of a double. */
#include "sim/result/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"

enum {
    MANTISSA_BITS = 52,
    BUCKET_BITS = 7,
    BUCKETS = 1 << BUCKET_BITS,
};

struct histogram_octave {
    uint32_t exponent;
    uint64_t count[BUCKETS];
    double upper[BUCKETS];
};

static struct histogram_octave *octave_of(struct histogram *histogram, uint32_t exponent);
static void bucket_add(struct histogram_octave *octave, uint32_t bucket, double upper,
                       uint64_t count);

void histogram_record(struct histogram *histogram, double value)
{
    must(isfinite(value) && value >= 0);

    value += 0.0; /* -0 is 0. */
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t name = (uint32_t)(bits >> (MANTISSA_BITS - BUCKET_BITS));
    bucket_add(octave_of(histogram, name >> BUCKET_BITS), name & (BUCKETS - 1), value, 1);

    if (histogram->count == 0 || value < histogram->min) {
        histogram->min = value;
    }
    if (histogram->count == 0 || value > histogram->max) {
        histogram->max = value;
    }
    histogram->sum += value;
    histogram->last = value;
    histogram->count++;
}

void histogram_add(struct histogram *histogram, const struct histogram *later)
{
    if (later->count == 0) {
        return;
    }
    for (uint32_t i = 0; i < later->octave_count; i++) {
        const struct histogram_octave *from = later->octaves[i];
        struct histogram_octave *octave = octave_of(histogram, from->exponent);
        for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
            bucket_add(octave, bucket, from->upper[bucket], from->count[bucket]);
        }
    }
    if (histogram->count == 0 || later->min < histogram->min) {
        histogram->min = later->min;
    }
    if (histogram->count == 0 || later->max > histogram->max) {
        histogram->max = later->max;
    }
    histogram->sum += later->sum;
    histogram->last = later->last;
    histogram->count += later->count;
}

void histogram_free(struct histogram *histogram)
{
    for (uint32_t i = 0; i < histogram->octave_count; i++) {
        free(histogram->octaves[i]);
    }
    free(histogram->octaves);
    *histogram = (struct histogram){0};
}

double histogram_quantile(const struct histogram *histogram, double percent)
{
    must(histogram->count > 0 && percent >= 0 && percent <= 100);

    if (percent <= 0) {
        return histogram->min;
    }
    /* 99.9 % of 1,000 is the 999th value although the product is a last bit above 999. */
    double exact = percent / 100 * (double)histogram->count;
    double rank = ceil(exact * (1 - 1e-12));
    uint64_t seen = 0;
    for (uint32_t i = 0; i < histogram->octave_count; i++) {
        const struct histogram_octave *octave = histogram->octaves[i];
        for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
            seen += octave->count[bucket];
            if ((double)seen >= rank && octave->count[bucket] > 0) {
                return octave->upper[bucket];
            }
        }
    }
    return histogram->max;
}

void histogram_visit(const struct histogram *histogram, histogram_visit_fn visit, void *arg)
{
    for (uint32_t i = 0; i < histogram->octave_count; i++) {
        const struct histogram_octave *octave = histogram->octaves[i];
        for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
            if (octave->count[bucket] > 0) {
                visit(arg, octave->upper[bucket], octave->count[bucket]);
            }
        }
    }
}

/* Found or inserted in order. Searched from the top, where most latencies lie. */
static struct histogram_octave *octave_of(struct histogram *histogram, uint32_t exponent)
{
    uint32_t at = histogram->octave_count;
    while (at > 0 && histogram->octaves[at - 1]->exponent >= exponent) {
        if (histogram->octaves[at - 1]->exponent == exponent) {
            return histogram->octaves[at - 1];
        }
        at--;
    }
    histogram->octaves =
        text_grow(histogram->octaves, histogram->octave_count, sizeof(struct histogram_octave *));
    memmove(&histogram->octaves[at + 1], &histogram->octaves[at],
            (histogram->octave_count - at) * sizeof(struct histogram_octave *));
    histogram->octaves[at] = text_alloc(1, sizeof(struct histogram_octave));
    histogram->octaves[at]->exponent = exponent;
    histogram->octave_count++;
    return histogram->octaves[at];
}

static void bucket_add(struct histogram_octave *octave, uint32_t bucket, double upper,
                       uint64_t count)
{
    octave->count[bucket] += count;
    if (upper > octave->upper[bucket]) {
        octave->upper[bucket] = upper;
    }
}
