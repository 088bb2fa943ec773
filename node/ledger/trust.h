/* trust.h - how far each peer has earned our trust, from what it did to us and nobody's hearsay.
 *
 *      trust_note(id, event) -> caps per window -> cheap or deeds -> trust_micro(id), 0..1,000,000
 *      timer -> what changed, a few rows at a time -> storage -> trust_init of the next run
 *
 * trust = clamp(cheap + deeds). Valid messages feed `cheap`, which saturates at a fifth of what one
 * default costs; everything else moves `deeds`, which may lie below zero: that is owed before
 * anything shows. Both halve over a half-life, in integer steps of a 32nd of it, so a value hangs
 * on the events and their times and not on how often anybody looked.
 *
 * A stranger starts at zero. Any better start would be what a new key restores: with names for free
 * newcomers have to pay their dues (Friedman & Resnick, "The Social Cost of Cheap Pseudonyms", J.
 * Economics & Management Strategy 10(2), 2001). So who defaults and comes back under a new key has
 * gained no more than the cheap part, and nobody honest ranks below a newcomer.
 *
 * Time is this node's own running time, kept over restarts: a wall clock that jumps forgives
 * nobody, and while we are down nobody earns forgiveness.
 *
 * The table is fixed. When the slots of a subject are taken, who is nearest to a stranger's value
 * makes room: strangers by the thousand push out strangers, never a defaulter.
 */
#ifndef NODE_LEDGER_TRUST_H
#define NODE_LEDGER_TRUST_H

#include "node/base/core.h"
#include "node/wire/iou.h"

/*    name             text               millionths  counted in a window  part */
#define TRUST_EVENTS(X)                                                                            \
    X(TRANSFER_OK, "transfer_ok", 10000, 5, DEEDS)                                                 \
    X(TRANSFER_FAILED, "transfer_failed", -50000, 4, DEEDS)                                        \
    X(MESSAGE_VALID, "message_valid", 1000, 20, CHEAP)                                             \
    X(MESSAGE_INVALID, "message_invalid", -20000, 10, DEEDS)                                       \
    X(IOU_REDEEMED, "iou_redeemed", 20000, 5, DEEDS)                                               \
    X(IOU_DEFAULTED, "iou_defaulted", -100000, UINT16_MAX, DEEDS)

enum trust_event {
#define TRUST_EVENT_ENUM(name, text, micro, cap, part) TRUST_##name,
    TRUST_EVENTS(TRUST_EVENT_ENUM)
#undef TRUST_EVENT_ENUM
        TRUST_EVENT_COUNT
};

enum {
    TRUST_ONE = 1000000, /* Millionths. */
    TRUST_CHEAP_MAX = 20000,
    TRUST_WINDOW_S = 86400,
    TRUST_STEPS = 32,                     /* Of a half-life. */
    TRUST_CHEAP_STEP_S = 86400 / 32,      /* Half gone in a day, */
    TRUST_DEEDS_STEP_S = 30 * 86400 / 32, /* in thirty days. */
    TRUST_WAYS = 8,                       /* Slots that may hold one subject. */
    TRUST_FLUSH_US = 60000000,            /* What changed is written once a minute, */
    TRUST_FLUSH_MAX = 64,                 /* this many rows at a time. */
};

struct trust_row {
    struct node_id id;
    bool is_used;
    bool is_dirty;
    uint8_t deed_state;           /* The last IOU counted, so that a command repeated after */
    uint8_t deed_iou[IOU_ID_LEN]; /* a crash counts once. */
    int32_t cheap_micro;
    int32_t deeds_micro;
    uint32_t cheap_s; /* Node time: up to when it has decayed. */
    uint32_t deeds_s;
    uint32_t window_s; /* When the window began. */
    uint32_t count[TRUST_EVENT_COUNT];
    uint16_t in_window[TRUST_EVENT_COUNT];
};

struct trust {
    struct core *core;
    struct trust_row **sets; /* TRUST_WAYS rows each, or NULL; all on first use. */
    uint64_t salt;           /* Which subjects share slots is nobody's business. */
    uint64_t start_us;
    uint32_t base_s; /* Node time at start_us. */
    uint32_t set_count;
    uint32_t dirty_count;
    uint32_t flush_from; /* Next row to look at. */
    struct timer flush;
};

/* Reads the table from storage. peers_max is a multiple of TRUST_WAYS times a power of two, or 0:
 * then nothing is kept and nobody trusted. ERR_INVALID, ERR_IO, ERR_FULL. */
NODISCARD int trust_init(struct trust *trust, struct core *core, uint32_t peers_max);
/* Stages what has not been written yet; the caller commits. */
void trust_stop(struct trust *trust);

void trust_note(struct trust *trust, const struct node_id *id, enum trust_event event);
/* A deed that IOU `iou` reached by coming into `state`: counts once, and is staged at once, to be
 * committed with the IOU. */
void trust_note_iou(struct trust *trust, const struct node_id *id, enum trust_event event,
                    const uint8_t iou[IOU_ID_LEN], uint8_t state);

/* 0..TRUST_ONE; 0 for strangers. */
uint32_t trust_micro(const struct trust *trust, const struct node_id *id);

/* This node's own running time, seconds. */
uint32_t trust_now_s(const struct trust *trust);

/* The rows one by one; *place is 0 at first. NULL at the end. */
const struct trust_row *trust_next(const struct trust *trust, uint32_t *place);
uint32_t trust_row_micro(const struct trust *trust, const struct trust_row *row);

const char *trust_event_text(enum trust_event event);

/* `value` after `steps` of decay: exact, whatever pieces the steps come in. */
int32_t trust_decayed(int32_t value, uint32_t steps);

#endif /* NODE_LEDGER_TRUST_H */
