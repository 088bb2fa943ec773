/* iou.c - ids, signatures and the order of statements. */
#include "node/wire/iou.h"

#include "node/base/hash.h"
#include "node/base/must.h"
#include "node/port/crypto_calls.h"
#include "node/wire/codec.h"

/* A signature covers its purpose first, so that none can pass for another. */
static const char promise_text[] = "meshtwin iou promise";
static const char said_text[] = "meshtwin iou said";

enum {
    PROMISE_MAX = sizeof promise_text + 2 * CRYPTO_PUBLIC_LEN + 8 + 8 + 4 + 4 + 1 + IOU_MEMO_MAX,
    SAID_LEN = sizeof said_text + IOU_ID_LEN + 1 + 4,
};

static size_t write_promise(uint8_t out[PROMISE_MAX], const struct iou *iou);
static void write_said(uint8_t out[SAID_LEN], const struct iou *iou,
                       const struct iou_statement *said);

void iou_id(uint8_t id[IOU_ID_LEN], const struct iou *iou)
{
    uint8_t promise[PROMISE_MAX];
    size_t len = write_promise(promise, iou);
    hash_domain(id, IOU_ID_LEN, "meshtwin iou", slice_of(promise, len), slice_of(NULL, 0));
}

void iou_sign(struct port *port, struct iou *iou, const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    must(iou_is_shaped(iou));
    uint8_t promise[PROMISE_MAX];
    size_t len = write_promise(promise, iou);
    port_sign(port, iou->signature, slice_of(promise, len), secret_key);
}

bool iou_is_shaped(const struct iou *iou)
{
    return iou->amount > 0 && iou->amount <= IOU_AMOUNT_MAX && iou->due_s >= iou->created_s &&
           iou->memo_len <= IOU_MEMO_MAX &&
           memcmp(iou->debtor, iou->creditor, sizeof iou->debtor) != 0;
}

bool iou_is_genuine(struct port *port, const struct iou *iou)
{
    uint8_t promise[PROMISE_MAX];
    size_t len = write_promise(promise, iou);
    return port_verify(port, iou->signature, slice_of(promise, len), iou->debtor);
}

void iou_say(struct port *port, const struct iou *iou, struct iou_statement *said, uint8_t state,
             uint32_t said_s, const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    must(state > IOU_OFFERED && state < IOU_STATE_COUNT);
    must(state != IOU_DEFAULTED || said_s >= iou->due_s);

    *said = (struct iou_statement){.state = state, .said_s = said_s};
    uint8_t bytes[SAID_LEN];
    write_said(bytes, iou, said);
    port_sign(port, said->signature, slice_of(bytes, sizeof bytes), secret_key);
}

bool iou_statement_is_valid(struct port *port, const struct iou *iou,
                            const struct iou_statement *said)
{
    if (said->state == IOU_OFFERED || said->state >= IOU_STATE_COUNT ||
        (said->state == IOU_DEFAULTED && said->said_s < iou->due_s)) {
        return false;
    }
    uint8_t bytes[SAID_LEN];
    write_said(bytes, iou, said);
    return port_verify(port, said->signature, slice_of(bytes, sizeof bytes), iou->creditor);
}

bool iou_merge(struct iou_statement *held, const struct iou_statement *said)
{
    bool is_higher = said->state > held->state;
    if (is_higher) {
        *held = *said;
    }
    return is_higher;
}

const char *iou_state_text(uint8_t state)
{
    static const char *const texts[] = {
#define IOU_STATE_TEXT(name, text) text,
        IOU_STATES(IOU_STATE_TEXT)
#undef IOU_STATE_TEXT
    };
    must(state < IOU_STATE_COUNT);
    return texts[state];
}

static size_t write_promise(uint8_t out[PROMISE_MAX], const struct iou *iou)
{
    struct writer writer = writer_of(out, PROMISE_MAX);
    write_bytes(&writer, promise_text, sizeof promise_text);
    write_bytes(&writer, iou->debtor, sizeof iou->debtor);
    write_bytes(&writer, iou->creditor, sizeof iou->creditor);
    write_u64(&writer, iou->amount);
    write_u64(&writer, iou->nonce);
    write_u32(&writer, iou->created_s);
    write_u32(&writer, iou->due_s);
    write_u8(&writer, iou->memo_len);
    write_bytes(&writer, iou->memo, iou->memo_len);
    must(!writer.bad);
    return writer_len(&writer);
}

static void write_said(uint8_t out[SAID_LEN], const struct iou *iou,
                       const struct iou_statement *said)
{
    uint8_t id[IOU_ID_LEN];
    iou_id(id, iou);
    struct writer writer = writer_of(out, SAID_LEN);
    write_bytes(&writer, said_text, sizeof said_text);
    write_bytes(&writer, id, sizeof id);
    write_u8(&writer, said->state);
    write_u32(&writer, said->said_s);
    must(!writer.bad && writer_len(&writer) == SAID_LEN);
}
