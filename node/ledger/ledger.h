/* ledger.h - who owes whom, agreed between two and kept by both; and whom that makes us trust.
 *
 *      ledger_owe ----> row, durable -> courier -> STATEMENT (offer) ---> creditor's row, durable
 *                                              <- STATED ---------------'
 *      creditor: ledger_say -> row, durable -> courier -> STATEMENT ---> debtor's row, durable
 *      behaviour (node.c), redeemed, defaulted -> trust.h -> guard, gossip
 *
 * One row per IOU, whose state only rises (wire/iou.h): a statement lost, doubled, late or out of
 * order changes nothing but when the two agree. What is said or acknowledged was durable before.
 * The courier tells the other side again, with a growing pause, until it has acknowledged; over
 * restarts, and as soon as an absent peer is met again.
 *
 * An offer costs its receiver a row, so offers that nobody has answered are limited per peer and in
 * all, and are rejected once they are a week old or past due.
 *
 * What it does not do: settle anything in the world, judge amounts, believe what others tell of
 * third parties.
 */
#ifndef NODE_LEDGER_LEDGER_H
#define NODE_LEDGER_LEDGER_H

#include "node/dht/dht.h"
#include "node/ledger/book.h"
#include "node/ledger/trust.h"

enum {
    LEDGER_OFFER_LIFE_S = 7 * 86400,
    LEDGER_SKEW_S = 600, /* How far ahead of ours a debtor's clock may be. */
    LEDGER_SENDS_MAX = 8,
    LEDGER_WAITING_MAX = 64, /* Commands and answers that wait for the disk. */
};

struct ledger_config {
    uint16_t peers_max;           /* Rows of trust: 8 times a power of two. 0: no ledger at all. */
    uint16_t ious_max;            /* At most BOOK_IOUS_MAX. */
    uint16_t offers_max;          /* Of others, unanswered. */
    uint16_t offers_per_peer_max; /* The same of one peer. */
};

/* Filled by node.c. */
struct ledger_hooks {
    void *arg;
    /* A command has come to its end. */
    void (*done)(void *arg, uint32_t number, int status, const uint8_t iou[IOU_ID_LEN]);
    /* The other side, or time, has changed an IOU; it is durable. */
    void (*changed)(void *arg, const uint8_t iou[IOU_ID_LEN], uint8_t state);
};

struct ledger {
    struct core *core;
    const struct ledger_config *config;
    const struct identity *identity;
    struct transport *transport;
    struct dht *dht;
    struct ledger_hooks hooks;
    struct trust trust;
    struct book book;
    struct pool sends;   /* courier.c */
    struct pool waiting; /* In the order of their tickets. */
    uint16_t waiting_first;
    uint16_t waiting_last;
    struct timer courier;
    bool is_stopping;
};

/* ERR_FULL, ERR_IO, ERR_INVALID for limits that make no sense. */
NODISCARD int ledger_init(struct ledger *ledger, struct core *core,
                          const struct ledger_config *config, const struct identity *identity,
                          struct transport *transport, struct dht *dht,
                          const struct ledger_hooks *hooks);
void ledger_start(struct ledger *ledger);
void ledger_stop(struct ledger *ledger);

/* Promises `amount` to the creditor, due in due_s seconds. ERR_OK and later hooks.done (ERR_OK once
 * it is durable here, ERR_IO when the disk refused and nothing is owed), or an error and no more:
 * ERR_INVALID, ERR_TOO_LARGE (memo), ERR_FULL, ERR_IO, ERR_UNSUPPORTED (no ledger). `creditor` is a
 * public key. */
NODISCARD int ledger_owe(struct ledger *ledger, const uint8_t creditor[CRYPTO_PUBLIC_LEN],
                         uint64_t amount, uint32_t due_s, struct slice memo, uint32_t number);
/* Says ACCEPTED, REJECTED, DEFAULTED or REDEEMED as the creditor. The same way; ERR_MISSING,
 * ERR_REFUSED (we are the debtor), ERR_STALE (its state does not allow it), ERR_INVALID (not due
 * yet). hooks.done with ERR_IO: it stands, and is written again until the disk takes it. */
NODISCARD int ledger_say(struct ledger *ledger, const uint8_t iou[IOU_ID_LEN], enum iou_state state,
                         uint32_t number);

void ledger_on_statement(struct ledger *ledger, const struct message_from *from,
                         const struct message_statement *statement);
void ledger_on_durable(struct ledger *ledger, uint64_t ticket, int status);
/* A peer is there: what it has not heard is told it now. */
void ledger_on_verified(struct ledger *ledger, uint32_t peer);

/* Behaviour seen by others of the node's modules. */
void ledger_note(struct ledger *ledger, const struct node_id *id, enum trust_event event);
/* 0..TRUST_ONE, 0 for strangers. */
uint32_t ledger_trust_micro(const struct ledger *ledger, const struct node_id *id);

static inline bool ledger_is_on(const struct ledger *ledger)
{
    return ledger->config->peers_max > 0;
}

/* Numbers out. */
struct ledger_view {
    uint64_t owed_to_us; /* Sums of what is accepted or defaulted. */
    uint64_t owed_by_us;
    uint32_t states[IOU_STATE_COUNT]; /* IOUs. */
    uint32_t unsettled;               /* The other side has not acknowledged the last of them. */
    uint32_t peers;                   /* Rows of trust. */
    uint32_t events[TRUST_EVENT_COUNT];
};
void ledger_view(const struct ledger *ledger, struct ledger_view *view);

struct ledger_row {
    uint8_t id[IOU_ID_LEN];
    struct node_id debtor;
    struct node_id creditor;
    uint64_t amount;
    uint32_t created_s; /* Unix time. */
    uint32_t due_s;
    uint8_t state;
    bool is_debtor;  /* We owe. */
    bool is_settled; /* The other side has acknowledged all it is our business to say. */
    struct slice memo;
};
typedef void (*ledger_row_fn)(void *arg, const struct ledger_row *row);
void ledger_visit(const struct ledger *ledger, ledger_row_fn visit, void *arg);

struct ledger_trust_row {
    struct node_id id;
    uint32_t trust_micro;
    uint32_t count[TRUST_EVENT_COUNT]; /* Events ever, counted or over their caps. */
};
typedef void (*ledger_trust_fn)(void *arg, const struct ledger_trust_row *row);
/* The public key of the other party of some IOU of ours; NULL when none has this id. */
const uint8_t *ledger_key_of(const struct ledger *ledger, const struct node_id *id);
void ledger_visit_trust(const struct ledger *ledger, ledger_trust_fn visit, void *arg);

/* NULL when well-formed, else what is not. */
const char *ledger_check(const struct ledger *ledger);

/* --- between the files of this folder ------------------------------------------------------- */

/* Tells other sides what they have not acknowledged. */
int courier_init(struct ledger *ledger);
/* Something may be to be told by now. */
void courier_kick(struct ledger *ledger);

/* What the other side holds: merges it into the row, and writes it. */
void ledger_hear(struct ledger *ledger, struct book_row *row, const struct iou_statement *said);
/* Rejects what has been offered for too long. */
void ledger_expire(struct ledger *ledger);
uint32_t ledger_wall_s(const struct ledger *ledger);

#endif /* NODE_LEDGER_LEDGER_H */
