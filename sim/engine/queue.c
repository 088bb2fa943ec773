/* queue.c - opening slots, events that come late for their slot, and how wide a slot should be. */
#include "sim/engine/queue.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"

/* Slots start at 1 ms and stay between 1 us and 1 s: wider ones would save nothing. */
#define SHIFT_START     10
#define SHIFT_MAX       20
/* An opened slot should hold this many events; outside the band the width changes. The band is
 * wider than the step of a factor two by which width changes events per slot at most, so a steady
 * load cannot make the width swing. */
#define SLOT_EVENTS     16
#define SLOT_EVENTS_MIN 8
#define SLOT_EVENTS_MAX 64
/* The width is judged after this many events and a quarter of the pending ones, so filing them anew
 * costs each popped event at most four placements. */
#define WINDOW_EVENTS   1024
/* A late event moves at most this many others of the run, else it goes to the side heap. */
#define INSERT_MOVES    16
/* The side heap may hold this many and an eighth of the pending events. */
#define SIDE_EVENTS     256
#define RUN_FIRST       256

static void push_late(struct queue *queue, const struct event *event);
static bool run_insert(struct queue *queue, const struct event *event);
static void run_reserve(struct queue *queue, size_t more);
static void run_sort(struct queue *queue);
static void side_relieve(struct queue *queue);
static void slot_open(struct queue *queue);
static unsigned width_wanted(const struct queue *queue);
static void refile(struct queue *queue, unsigned shift);
static const struct event *earliest(const struct queue *queue);

int queue_open(struct queue **queue, enum queue_kind kind)
{
    *queue = calloc(1, sizeof **queue);
    if (*queue == NULL) {
        return ERR_FULL;
    }
    (*queue)->run = malloc(RUN_FIRST * sizeof *(*queue)->run);
    if ((*queue)->run == NULL) {
        free(*queue);
        *queue = NULL;
        return ERR_FULL;
    }
    (*queue)->run_max = RUN_FIRST;
    (*queue)->kind = kind;
    wheel_init(&(*queue)->wheel, SHIFT_START);
    return ERR_OK;
}

void queue_close(struct queue *queue)
{
    wheel_close(&queue->wheel);
    heap_close(&queue->side);
    free(queue->run);
    free(queue->scratch);
    free(queue);
}

void queue_push(struct queue *queue, const struct event *event)
{
    queue->len++;
    if (queue->kind == QUEUE_HEAP) {
        heap_push(&queue->side, event);
    } else if (wheel_slot(&queue->wheel, event->time_us) > queue->wheel.slot_now) {
        wheel_place(&queue->wheel, event);
    } else {
        push_late(queue, event);
    }
}

static void push_late(struct queue *queue, const struct event *event)
{
    queue->window_events++;
    if (run_insert(queue, event)) {
        return;
    }
    heap_push(&queue->side, event);
    if (queue->side.len > SIDE_EVENTS + queue->len / 8) {
        side_relieve(queue);
    }
}

/* Inserts from the end, where late events mostly belong; false if its place is too far away. */
static bool run_insert(struct queue *queue, const struct event *event)
{
    run_reserve(queue, 1);
    size_t hole = queue->run_len;
    size_t moves = 0;
    while (hole > queue->run_head && event_before(event, &queue->run[hole - 1])) {
        if (++moves > INSERT_MOVES) {
            return false;
        }
        hole--;
    }
    struct event *place = queue->run + hole;
    memmove(place + 1, place, moves * sizeof *place);
    *place = *event;
    queue->run_len++;
    return true;
}

/* Room for `more` events at the end of the run. Popped events are dropped first if they are half of
 * it: a run that never drains must not grow with time. */
static void run_reserve(struct queue *queue, size_t more)
{
    if (queue->run_len + more <= queue->run_max) {
        return;
    }
    size_t left = queue->run_len - queue->run_head;
    if (queue->run_head >= left + more) {
        memcpy(queue->run, queue->run + queue->run_head, left * sizeof *queue->run);
        queue->run_head = 0;
        queue->run_len = left;
        return;
    }
    while (queue->run_len + more > queue->run_max) {
        queue->run_max *= 2;
    }
    queue->run = realloc(queue->run, queue->run_max * sizeof *queue->run);
    must(queue->run != NULL);
}

/* The side heap has grown too large: either the open slot is too wide for what is pushed into it,
 * or it was opened early and earlier events keep coming. */
static void side_relieve(struct queue *queue)
{
    unsigned shift = queue->wheel.shift;
    uint64_t slot = wheel_slot(&queue->wheel, earliest(queue)->time_us);
    if (slot < queue->wheel.slot_now) {
        refile(queue, shift);
    } else if (shift > 0) {
        refile(queue, shift > 2 ? shift - 2 : 0);
    }
}

const struct event *queue_peek_slow(struct queue *queue)
{
    if (queue->len == 0) {
        return NULL;
    }
    if (queue->side.len == 0 && queue->run_head == queue->run_len) {
        slot_open(queue);
    }
    return earliest(queue);
}

struct event queue_pop_slow(struct queue *queue)
{
    const struct event *first = queue_peek_slow(queue);
    must(first != NULL);
    queue->len--;
    if (queue->side.len > 0 && first == queue->side.items) {
        return heap_pop(&queue->side);
    }
    return queue->run[queue->run_head++];
}

/* The first of the run or of the side heap; one of them is not empty. */
static const struct event *earliest(const struct queue *queue)
{
    const struct event *run = queue->run + queue->run_head;
    const struct event *side = queue->side.items;
    if (queue->side.len == 0) {
        return run;
    }
    bool is_run = queue->run_head < queue->run_len && event_before(run, side);
    return is_run ? run : side;
}

/* Takes the wheel's next slot into the run. Run and side heap are empty, the wheel is not. */
static void slot_open(struct queue *queue)
{
    if (queue->window_events >= WINDOW_EVENTS + queue->len / 4) {
        unsigned shift = width_wanted(queue);
        queue->window_events = 0;
        queue->window_slots = 0;
        if (shift != queue->wheel.shift) {
            refile(queue, shift);
            return;
        }
    }
    queue->run_head = 0;
    queue->run_len = 0;
    uint32_t chain = wheel_next(&queue->wheel);
    must(chain != 0);
    while (chain != 0) {
        size_t count;
        run_reserve(queue, WHEEL_CHUNK_EVENTS);
        chain = wheel_take(&queue->wheel, chain, queue->run + queue->run_len, &count);
        queue->run_len += count;
    }
    wheel_prefetch(&queue->wheel);
    run_sort(queue);
    queue->window_slots++;
    queue->window_events += queue->run_len;
}

static void run_sort(struct queue *queue)
{
    if (queue->scratch_max < queue->run_len) {
        free(queue->scratch);
        queue->scratch_max = queue->run_max;
        queue->scratch = malloc(queue->scratch_max * sizeof *queue->scratch);
        must(queue->scratch != NULL);
    }
    event_sort(queue->run, queue->run_len, queue->scratch);
}

/* The shift that brings the window's events per slot near SLOT_EVENTS. Halving a slot at most
 * halves what it holds, so the result errs towards the present width and needs no damping. */
static unsigned width_wanted(const struct queue *queue)
{
    unsigned shift = queue->wheel.shift;
    uint64_t events = queue->window_events;
    uint64_t slots = queue->window_slots;
    if (events > slots * SLOT_EVENTS_MAX) {
        for (; shift > 0 && events >= 2 * slots * SLOT_EVENTS; events /= 2) {
            shift--;
        }
    } else if (events < slots * SLOT_EVENTS_MIN) {
        for (; shift < SHIFT_MAX && 2 * events <= slots * SLOT_EVENTS; events *= 2) {
            shift++;
        }
    }
    return shift;
}

/* Files all pending events anew with slots of 2^shift us, the earliest one's slot open. */
static void refile(struct queue *queue, unsigned shift)
{
    struct event *all = malloc((queue->len + WHEEL_CHUNK_EVENTS) * sizeof *all);
    must(all != NULL);
    size_t count = queue->run_len - queue->run_head;
    memcpy(all, queue->run + queue->run_head, count * sizeof *all);
    for (size_t i = 0; i < queue->side.len; i++) {
        all[count++] = queue->side.items[i];
    }
    count += wheel_gather(&queue->wheel, all + count);
    must(count == queue->len);

    uint64_t first_us = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        first_us = all[i].time_us < first_us ? all[i].time_us : first_us;
    }
    queue->run_head = 0;
    queue->run_len = 0;
    queue->side.len = 0;
    queue->wheel.shift = shift;
    queue->wheel.slot_now = wheel_slot(&queue->wheel, first_us);
    for (size_t i = 0; i < count; i++) {
        if (wheel_slot(&queue->wheel, all[i].time_us) > queue->wheel.slot_now) {
            wheel_place(&queue->wheel, &all[i]);
        } else {
            run_reserve(queue, 1);
            queue->run[queue->run_len++] = all[i];
        }
    }
    free(all);
    run_sort(queue);
    queue->window_slots = 1;
    queue->window_events = queue->run_len;
}
