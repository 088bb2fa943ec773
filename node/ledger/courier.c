/* courier.c - tells the other party of an IOU what it has not acknowledged, until it has. */
#include "node/base/must.h"
#include "node/ledger/ledger.h"

#define SECOND UINT64_C(1000000)

enum {
    SENDS_FIRST = 2,
    DOUBLINGS_MAX = 10,
};
static const uint64_t pause_first_us = 2 * SECOND;
static const uint64_t pause_max_us = 1800 * SECOND;
static const uint64_t look_us = 3600 * SECOND; /* For offers that have grown old. */

struct send {
    uint16_t index;
    uint8_t state; /* What is being told. */
    struct ledger *ledger;
    struct node_id to;
    uint8_t iou[IOU_ID_LEN];
};

static void on_due(struct timer *timer);
static bool is_to_tell(const struct book_row *row);
static void start(struct ledger *ledger, struct book_row *row);
static void on_found(void *owner, uint32_t tag, const struct lookup_result *result);
static int tell(struct send *send, uint32_t peer);
static void on_told(void *owner, const struct call_result *result);
static void end(struct send *send, bool is_reached);
static void pause(struct ledger *ledger, struct book_row *row);
static void confirm(struct ledger *ledger, struct book_row *row, const struct send *send,
                    const struct message_stated *stated);

int courier_init(struct ledger *ledger)
{
    return pool_init(&ledger->sends, &ledger->core->arena, ARENA_LEDGER, sizeof(struct send),
                     SENDS_FIRST, LEDGER_SENDS_MAX);
}

void courier_kick(struct ledger *ledger)
{
    if (!ledger->is_stopping) {
        timer_start(&ledger->core->timers, &ledger->courier, 0, on_due);
    }
}

void ledger_on_verified(struct ledger *ledger, uint32_t peer)
{
    if (!ledger_is_on(ledger) || ledger->book.rows.count == 0) {
        return;
    }
    const struct contact *contact = contact_at(ledger->core->port, peer);
    bool has_something = false;
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        struct book_row *row = book_at(&ledger->book, place);
        if (row != NULL && row->is_unreachable && is_to_tell(row) &&
            memcmp(book_counterpart(row), contact->key, CRYPTO_PUBLIC_LEN) == 0) {
            row->is_unreachable = false;
            row->next_us = 0;
            has_something = true;
        }
    }
    if (has_something) {
        courier_kick(ledger);
    }
}

static void on_due(struct timer *timer)
{
    struct ledger *ledger = container_of(timer, struct ledger, courier);
    uint64_t now_us = core_now(ledger->core);
    uint64_t next_us = ledger->book.rows.count > 0 ? now_us + look_us : PORT_NEVER;
    ledger_expire(ledger);
    book_retry(&ledger->book);
    if (ledger->book.failed > 0) {
        next_us = ledger->book.retry_us;
    }
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        struct book_row *row = book_at(&ledger->book, place);
        if (row == NULL || !is_to_tell(row)) {
            continue;
        }
        if (row->next_us <= now_us) {
            start(ledger, row);
        }
        if (!row->is_sending && row->next_us < next_us) {
            next_us = row->next_us;
        }
    }
    if (next_us != PORT_NEVER && !timer_is_running(timer)) {
        timer_start(&ledger->core->timers, timer, next_us - now_us, on_due);
    }
}

static bool is_to_tell(const struct book_row *row)
{
    return book_is_durable(row) && !book_is_settled(row) && !row->is_sending;
}

/* Finds the other side, or waits for its next turn. */
static void start(struct ledger *ledger, struct book_row *row)
{
    uint16_t index;
    struct send *send = pool_get(&ledger->sends, &index);
    if (send == NULL) {
        row->next_us = core_now(ledger->core) + pause_first_us;
        return;
    }
    *send = (struct send){.index = index, .state = row->said.state, .ledger = ledger};
    contact_id(&send->to, book_counterpart(row));
    memcpy(send->iou, row->id, IOU_ID_LEN);
    row->is_sending = true;
    struct transport_session session;
    uint32_t peer = transport_session_of(ledger->transport, &send->to, &session)
                        ? session.peer
                        : dht_find(ledger->dht, &send->to);
    int status = peer != PORT_INTERN_NONE
                     ? tell(send, peer)
                     : dht_lookup(ledger->dht, &send->to, LOOKUP_NODE, on_found, send, 0);
    if (status < 0) {
        end(send, false);
    }
}

static void on_found(void *owner, uint32_t tag, const struct lookup_result *result)
{
    (void)tag;
    struct send *send = owner;
    const struct port *port = send->ledger->core->port;
    bool is_found =
        result->count > 0 && node_id_equal(&contact_at(port, result->nearest[0])->id, &send->to);
    if (!is_found || tell(send, result->nearest[0]) < 0) {
        end(send, false);
    }
}

static int tell(struct send *send, uint32_t peer)
{
    struct ledger *ledger = send->ledger;
    const struct book_row *row = book_find(&ledger->book, send->iou);
    must(row != NULL); /* What is being sent makes no room. */
    if (!book_is_durable(row)) {
        return ERR_AGAIN; /* It has changed since, and the disk has not taken that yet. */
    }
    send->state = row->said.state;
    struct message request = {.kind = MESSAGE_STATEMENT,
                              .statement = {.iou = row->iou, .said = row->said}};
    struct call_options options = {.done = on_told, .owner = send};
    return transport_call(ledger->transport, peer, &request, &options);
}

static void on_told(void *owner, const struct call_result *result)
{
    struct send *send = owner;
    struct ledger *ledger = send->ledger;
    if (result->outcome == CALL_SLOW) {
        return;
    }
    bool is_answered = result->outcome == CALL_ANSWERED && result->answer->kind == MESSAGE_STATED &&
                       node_id_equal(&contact_at(ledger->core->port, result->peer)->id, &send->to);
    if (is_answered && result->answer->stated.status == LEDGER_OK) {
        struct book_row *row = book_find(&ledger->book, send->iou);
        must(row != NULL);
        confirm(ledger, row, send, &result->answer->stated);
    }
    end(send, is_answered);
}

/* A debtor hears from the answer what the creditor has said; a creditor, what the debtor knows. */
static void confirm(struct ledger *ledger, struct book_row *row, const struct send *send,
                    const struct message_stated *stated)
{
    if (row->is_debtor) {
        row->confirmed = 1;
        ledger_hear(ledger, row, &stated->said);
    } else if (stated->said.state >= send->state) {
        row->confirmed = (uint8_t)(send->state + 1);
    }
    if (row->ticket == 0) {
        /* Lost in a crash it is asked for once more. */
        (void)book_write(&ledger->book, row);
    }
}

static void end(struct send *send, bool is_reached)
{
    struct ledger *ledger = send->ledger;
    struct book_row *row = book_find(&ledger->book, send->iou);
    must(row != NULL);
    row->is_sending = false;
    row->is_unreachable = !is_reached;
    bool has_changed = row->said.state != send->state;
    if (!book_is_settled(row) && !has_changed) {
        pause(ledger, row);
    }
    pool_put(&ledger->sends, send->index);
    courier_kick(ledger);
}

/* Twice as long each time, give or take a quarter. */
static void pause(struct ledger *ledger, struct book_row *row)
{
    uint64_t pause_us = pause_first_us << row->tries;
    pause_us = pause_us < pause_max_us ? pause_us : pause_max_us;
    uint64_t spread_us = pause_us / 2;
    row->tries = (uint8_t)(row->tries + (row->tries < DOUBLINGS_MAX));
    row->next_us = core_now(ledger->core) + pause_us - spread_us / 2 +
                   rng_below(&ledger->core->rng, spread_us);
}
