/* iou.h - promises to pay, and what their creditors have said of them since.
 *
 * An IOU is made by its debtor's signature and never changes. Its state is what the creditor has
 * said last, again with a signature: the creditor alone decides, so two ledgers can differ only by
 * what one of them has not heard yet. States have a rank, and of two statements the one with the
 * higher rank holds, whatever order they come in: a join-semilattice (Shapiro et al.,
 * "Conflict-free Replicated Data Types", 2011, section 2.3).
 *
 *      debtor: iou_sign -> OFFERED -> creditor: iou_say(ACCEPTED) -> debtor
 *                                     creditor: iou_say(DEFAULTED), iou_say(REDEEMED) -> debtor
 *
 * Every state that frees the debtor ranks above every state that binds it: a creditor who
 * contradicts itself can only forgive. Whether a statement is valid hangs on its signed bytes and
 * on no clock, so every ledger judges alike.
 */
#ifndef NODE_WIRE_IOU_H
#define NODE_WIRE_IOU_H

#include "node/wire/contact.h"

enum {
    IOU_ID_LEN = 16,
    IOU_MEMO_MAX = 64,
};
/* Fits a double exactly, for readers of JSON, and ten thousand of them fit 64 bits. */
#define IOU_AMOUNT_MAX UINT64_C(1000000000000000)

/*    name      text        in the order of their ranks */
#define IOU_STATES(X)                                                                              \
    X(OFFERED, "offered")     /* The creditor has said nothing. */                                 \
    X(ACCEPTED, "accepted")   /* Owed. */                                                          \
    X(DEFAULTED, "defaulted") /* Owed, and not paid when due. */                                   \
    X(REJECTED, "rejected")   /* Never owed. */                                                    \
    X(REDEEMED, "redeemed")   /* Paid. */

enum iou_state {
#define IOU_STATE_ENUM(name, text) IOU_##name,
    IOU_STATES(IOU_STATE_ENUM)
#undef IOU_STATE_ENUM
        IOU_STATE_COUNT
};

struct iou {
    uint8_t debtor[CRYPTO_PUBLIC_LEN];
    uint8_t creditor[CRYPTO_PUBLIC_LEN];
    uint64_t amount;    /* 1..IOU_AMOUNT_MAX, of whatever the two agree on. */
    uint64_t nonce;     /* Random: tells equal promises apart. */
    uint32_t created_s; /* Unix time by the debtor's clock. */
    uint32_t due_s;     /* The same; not before created_s. */
    uint8_t memo_len;
    uint8_t memo[IOU_MEMO_MAX];
    uint8_t signature[CRYPTO_SIGNATURE_LEN]; /* The debtor's, over all of the above. */
};

/* What the creditor has said. OFFERED: nothing, and all else is zero. */
struct iou_statement {
    uint8_t state;                           /* enum iou_state */
    uint32_t said_s;                         /* Unix time by the creditor's clock. */
    uint8_t signature[CRYPTO_SIGNATURE_LEN]; /* The creditor's, over id, state and time. */
};

/* Hash of what the debtor signs, never of the signature. */
void iou_id(uint8_t id[IOU_ID_LEN], const struct iou *iou);

void iou_sign(struct port *port, struct iou *iou, const uint8_t secret_key[CRYPTO_SECRET_LEN]);

/* Limits that need no signature: amount, times, two different parties. */
bool iou_is_shaped(const struct iou *iou);
/* Signed by its debtor. */
bool iou_is_genuine(struct port *port, const struct iou *iou);

/* Signs `state`, not OFFERED, as the creditor. */
void iou_say(struct port *port, const struct iou *iou, struct iou_statement *said, uint8_t state,
             uint32_t said_s, const uint8_t secret_key[CRYPTO_SECRET_LEN]);
/* Signed by the IOU's creditor; a default not before the IOU was due. */
bool iou_statement_is_valid(struct port *port, const struct iou *iou,
                            const struct iou_statement *said);

/* The join: takes over what ranks higher. True when *held changed. */
bool iou_merge(struct iou_statement *held, const struct iou_statement *said);

static inline bool iou_is_open(uint8_t state)
{
    return state == IOU_ACCEPTED || state == IOU_DEFAULTED;
}

static inline bool iou_is_closed(uint8_t state)
{
    return state == IOU_REJECTED || state == IOU_REDEEMED;
}

const char *iou_state_text(uint8_t state);

#endif /* NODE_WIRE_IOU_H */
