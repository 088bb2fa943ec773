/* event.c - sorting a slot: by counting ranks for the usual handful, merge sort beyond. */
#include "sim/engine/event.h"

#include <string.h>

/* Events that are sorted by counting ranks: n^2 comparisons without a branch to mispredict. */
#define BLOCK 24

static void block_sort(struct event *events, size_t count, struct event *scratch);
static void insertion_sort(struct event *events, size_t count);
static void merge_pass(const struct event *from, struct event *to, size_t count, size_t width);

void event_sort(struct event *events, size_t count, struct event *scratch)
{
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t rest = count - start;
        block_sort(events + start, rest < BLOCK ? rest : BLOCK, scratch);
    }
    struct event *from = events;
    struct event *to = scratch;
    for (size_t width = BLOCK; width < count; width *= 2) {
        merge_pass(from, to, count, width);
        struct event *swap = from;
        from = to;
        to = swap;
    }
    if (from != events) {
        memcpy(events, from, count * sizeof *events);
    }
}

/* Times decide almost always, so ranks are counted by time alone, and only if two times turn out
 * equal the whole key is asked. */
static void block_sort(struct event *events, size_t count, struct event *scratch)
{
    uint64_t times[BLOCK];
    for (size_t i = 0; i < count; i++) {
        times[i] = events[i].time_us;
        scratch[i] = events[i];
    }
    for (size_t i = 0; i < count; i++) {
        size_t rank = 0;
        for (size_t j = 0; j < i; j++) {
            rank += times[j] <= times[i];
        }
        for (size_t j = i + 1; j < count; j++) {
            rank += times[j] < times[i];
        }
        events[rank] = scratch[i];
    }
    bool is_tied = false;
    for (size_t i = 1; i < count; i++) {
        is_tied |= events[i].time_us == events[i - 1].time_us;
    }
    if (is_tied) {
        insertion_sort(events, count);
    }
}

static void insertion_sort(struct event *events, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct event event = events[i];
        size_t hole = i;
        while (hole > 0 && event_before(&event, &events[hole - 1])) {
            events[hole] = events[hole - 1];
            hole--;
        }
        events[hole] = event;
    }
}

/* Merges each pair of sorted neighbours of `width` events. */
static void merge_pass(const struct event *from, struct event *to, size_t count, size_t width)
{
    for (size_t start = 0; start < count; start += 2 * width) {
        size_t left = start;
        size_t left_end = count - start < width ? count : start + width;
        size_t right = left_end;
        size_t right_end = count - left_end < width ? count : left_end + width;
        for (size_t out = start; out < right_end; out++) {
            bool take_right =
                right < right_end && (left == left_end || event_before(&from[right], &from[left]));
            to[out] = take_right ? from[right++] : from[left++];
        }
    }
}
