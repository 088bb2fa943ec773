/* book.h - the IOUs we are a party of: a table in memory, one storage key each.
 *
 *      book_add, book_change -> row + staged put -> commit -> book_on_durable: row->durable
 *
 * All of an IOU's state lies under one key, so a torn batch has it whole or not at all. When the
 * table is full the closed IOU that was made first makes room, if the other side is known to know:
 * no unsettled one is ever lost. What makes room raises the horizon, which goes to the disk before:
 * IOUs that are not newer than it are taken no more, so none comes back to be redeemed twice.
 */
#ifndef NODE_LEDGER_BOOK_H
#define NODE_LEDGER_BOOK_H

#include "node/base/core.h"
#include "node/base/pool.h"
#include "node/identity/identity.h"
#include "node/wire/iou.h"

struct book_row {
    uint16_t index;
    bool is_used;
    bool is_debtor;      /* We owe. Else we are the creditor. */
    bool is_sending;     /* The other side is being told. */
    bool is_unreachable; /* It could not be the last time. */
    uint8_t confirmed;   /* State + 1 that the other side has made durable as far as we know. */
    uint8_t durable;     /* State + 1 that our disk has. */
    uint8_t tries;       /* Since something changed. */
    uint64_t ticket;     /* Of the commit under way; 0 for none. */
    uint64_t next_us;    /* Not told again before. */
    uint8_t id[IOU_ID_LEN];
    struct iou iou;
    struct iou_statement said;
};

struct book {
    struct core *core;
    const struct identity *identity;
    struct pool rows;
    uint32_t horizon_s;
    uint32_t undurable; /* Rows with a ticket. */
    uint32_t failed;    /* Writes that the disk has refused since the last retry, */
    uint64_t retry_us;  /* and when that is. */
};

enum {
    BOOK_IOUS_MAX = 16384, /* So that sums of amounts fit 64 bits. */
};
_Static_assert(BOOK_IOUS_MAX <= UINT64_MAX / IOU_AMOUNT_MAX, "a balance cannot overflow");

/* Reads the rows from storage. ERR_FULL, ERR_IO. */
NODISCARD int book_init(struct book *book, struct core *core, const struct identity *identity,
                        uint16_t ious_max);

struct book_row *book_find(const struct book *book, const uint8_t id[IOU_ID_LEN]);
/* The row at a place, NULL where none is. */
struct book_row *book_at(const struct book *book, uint16_t place);
uint16_t book_places(const struct book *book);

/* A new row, not written yet; NULL when all rows are of unsettled IOUs. */
struct book_row *book_add(struct book *book, const struct iou *iou, const uint8_t id[IOU_ID_LEN]);
/* Stages the row as it is and commits. ERR_IO. */
int book_write(struct book *book, struct book_row *row);
/* Takes back a row that never became durable. */
void book_drop(struct book *book, struct book_row *row);

/* Brings `durable` up to date. Returns how many rows it concerned. */
uint32_t book_on_durable(struct book *book, uint64_t ticket, int status);
/* Writes again what the disk refused, once retry_us has come. */
void book_retry(struct book *book);

static inline bool book_is_durable(const struct book_row *row)
{
    return row->durable == row->said.state + 1;
}

/* Whether the other side knows all that it is our business to tell it. */
static inline bool book_is_settled(const struct book_row *row)
{
    bool is_offer = row->said.state == IOU_OFFERED;
    if (row->is_debtor) {
        return !is_offer || row->confirmed > 0;
    }
    return is_offer || row->confirmed == row->said.state + 1;
}

/* The other party. */
static inline const uint8_t *book_counterpart(const struct book_row *row)
{
    return row->is_debtor ? row->iou.creditor : row->iou.debtor;
}

#endif /* NODE_LEDGER_BOOK_H */
