/* ledger.c - commands, statements of others, and who waits for the disk. */
#include "node/ledger/ledger.h"

#include "node/base/must.h"

enum {
    WAITING_FIRST = 4,
    WALL_UNIT_US = 1000000,
};

enum waiting_kind {
    WAITING_COMMAND,
    WAITING_ANSWER, /* The other side waits for STATED. */
    WAITING_NEWS,   /* Whoever drives us is to hear of it. */
};

struct waiting {
    uint16_t next;
    uint8_t kind;
    bool is_new; /* The row exists because of it. */
    uint32_t number;
    uint64_t ticket;
    struct message_from from;
    uint8_t iou[IOU_ID_LEN];
};

static bool may_say(const struct book_row *row, enum iou_state state);
static void say(struct ledger *ledger, struct book_row *row, enum iou_state state);
static bool wait_for(struct ledger *ledger, enum waiting_kind kind, const struct book_row *row,
                     bool is_new, uint32_t number, const struct message_from *from);
static void settle(struct ledger *ledger, const struct waiting *waiting, int status);
static struct book_row *meet(struct ledger *ledger, const struct message_from *from,
                             const struct message_statement *statement, uint8_t id[IOU_ID_LEN]);
static bool is_party(const struct ledger *ledger, const struct message_from *from,
                     const struct message_statement *statement);
static bool has_room_for_offer(const struct ledger *ledger, const struct iou *iou);
static void answer(struct ledger *ledger, const struct message_from *from, uint8_t status,
                   const struct iou_statement *said);
static void answer_forgotten(struct ledger *ledger, const struct message_from *from,
                             const struct message_statement *statement);
static void offend(struct ledger *ledger, const struct message_from *from,
                   enum guard_offence which);

int ledger_init(struct ledger *ledger, struct core *core, const struct ledger_config *config,
                const struct identity *identity, struct transport *transport, struct dht *dht,
                const struct ledger_hooks *hooks)
{
    *ledger = (struct ledger){.core = core,
                              .config = config,
                              .identity = identity,
                              .transport = transport,
                              .dht = dht,
                              .hooks = *hooks,
                              .waiting_first = POOL_NONE,
                              .waiting_last = POOL_NONE};
    int status = trust_init(&ledger->trust, core, config->peers_max);
    if (status != ERR_OK || !ledger_is_on(ledger)) {
        return status;
    }
    status = book_init(&ledger->book, core, identity, config->ious_max);
    if (status == ERR_OK) {
        status = pool_init(&ledger->waiting, &core->arena, ARENA_LEDGER, sizeof(struct waiting),
                           WAITING_FIRST, LEDGER_WAITING_MAX);
    }
    return status == ERR_OK ? courier_init(ledger) : status;
}

void ledger_start(struct ledger *ledger)
{
    if (ledger_is_on(ledger)) {
        courier_kick(ledger);
    }
}

void ledger_stop(struct ledger *ledger)
{
    if (!ledger_is_on(ledger)) {
        return;
    }
    uint64_t ticket;
    ledger->is_stopping = true;
    timer_stop(&ledger->core->timers, &ledger->courier);
    trust_stop(&ledger->trust);
    (void)core_commit(ledger->core, &ticket);
}

int ledger_owe(struct ledger *ledger, const uint8_t creditor[CRYPTO_PUBLIC_LEN], uint64_t amount,
               uint32_t due_s, struct slice memo, uint32_t number)
{
    if (!ledger_is_on(ledger)) {
        return ERR_UNSUPPORTED;
    }
    if (memo.len > IOU_MEMO_MAX) {
        return ERR_TOO_LARGE;
    }
    uint32_t now_s = ledger_wall_s(ledger);
    struct port *port = ledger->core->port;
    struct iou iou = {.amount = amount,
                      .created_s = now_s,
                      .due_s = due_s < UINT32_MAX - now_s ? now_s + due_s : UINT32_MAX,
                      .memo_len = (uint8_t)memo.len};
    memcpy(iou.debtor, ledger->identity->public_key, sizeof iou.debtor);
    memcpy(iou.creditor, creditor, sizeof iou.creditor);
    if (memo.len > 0) {
        memcpy(iou.memo, memo.data, memo.len);
    }
    if (!iou_is_shaped(&iou)) {
        return ERR_INVALID;
    }
    port->ops->entropy(port, &iou.nonce, sizeof iou.nonce);
    iou_sign(port, &iou, ledger->identity->secret_key);
    uint8_t id[IOU_ID_LEN];
    iou_id(id, &iou);
    struct book_row *row = book_add(&ledger->book, &iou, id);
    if (row == NULL) {
        return ERR_FULL;
    }
    int status = book_write(&ledger->book, row);
    if (status == ERR_OK && !wait_for(ledger, WAITING_COMMAND, row, true, number, NULL)) {
        status = ERR_FULL;
    }
    if (status != ERR_OK) {
        book_drop(&ledger->book, row);
    }
    return status;
}

int ledger_say(struct ledger *ledger, const uint8_t iou[IOU_ID_LEN], enum iou_state state,
               uint32_t number)
{
    if (!ledger_is_on(ledger)) {
        return ERR_UNSUPPORTED;
    }
    struct book_row *row = book_find(&ledger->book, iou);
    if (row == NULL) {
        return ERR_MISSING;
    }
    if (row->is_debtor) {
        return ERR_REFUSED;
    }
    if (!may_say(row, state)) {
        return ERR_STALE;
    }
    if (state == IOU_DEFAULTED && ledger_wall_s(ledger) < row->iou.due_s) {
        return ERR_INVALID;
    }
    if (ledger->waiting.count == LEDGER_WAITING_MAX) {
        return ERR_FULL;
    }
    say(ledger, row, state);
    if (!wait_for(ledger, WAITING_COMMAND, row, false, number, NULL)) {
        ledger->hooks.done(ledger->hooks.arg, number, ERR_IO, row->id);
    }
    return ERR_OK;
}

void ledger_on_statement(struct ledger *ledger, const struct message_from *from,
                         const struct message_statement *statement)
{
    if (!ledger_is_on(ledger)) {
        return;
    }
    if (!iou_is_shaped(&statement->iou) || !is_party(ledger, from, statement)) {
        offend(ledger, from, GUARD_MALFORMED);
        return;
    }
    uint8_t id[IOU_ID_LEN];
    iou_id(id, &statement->iou);
    struct book_row *row = book_find(&ledger->book, id);
    bool is_new = row == NULL;
    if (is_new) {
        row = meet(ledger, from, statement, id);
        if (row == NULL) {
            return;
        }
    } else if (statement->said.state > row->said.state &&
               !iou_statement_is_valid(ledger->core->port, &row->iou, &statement->said)) {
        offend(ledger, from, GUARD_FORGED);
        return;
    }
    bool has_risen = iou_merge(&row->said, &statement->said);
    if (!is_new && !has_risen) {
        if (book_is_durable(row)) {
            answer(ledger, from, LEDGER_OK, &row->said);
        }
        return; /* Else the first one is answered when the disk has spoken. */
    }
    if (book_write(&ledger->book, row) != ERR_OK ||
        !wait_for(ledger, WAITING_ANSWER, row, is_new, 0, from)) {
        answer(ledger, from, LEDGER_FULL, &(struct iou_statement){.state = IOU_OFFERED});
        if (is_new) {
            book_drop(&ledger->book, row);
        }
        return;
    }
    (void)wait_for(ledger, WAITING_NEWS, row, false, 0, NULL);
}

void ledger_on_durable(struct ledger *ledger, uint64_t ticket, int status)
{
    if (!ledger_is_on(ledger)) {
        return;
    }
    bool has_settled = book_on_durable(&ledger->book, ticket, status) > 0;
    while (ledger->waiting_first != POOL_NONE) {
        uint16_t index = ledger->waiting_first;
        const struct waiting *waiting = pool_at(&ledger->waiting, index);
        if (waiting->ticket > ticket) {
            break;
        }
        struct waiting ended = *waiting;
        ledger->waiting_first = ended.next;
        if (ended.next == POOL_NONE) {
            ledger->waiting_last = POOL_NONE;
        }
        pool_put(&ledger->waiting, index);
        settle(ledger, &ended, status);
    }
    if (has_settled) {
        courier_kick(ledger);
    }
}

void ledger_note(struct ledger *ledger, const struct node_id *id, enum trust_event event)
{
    trust_note(&ledger->trust, id, event);
}

uint32_t ledger_trust_micro(const struct ledger *ledger, const struct node_id *id)
{
    return trust_micro(&ledger->trust, id);
}

void ledger_hear(struct ledger *ledger, struct book_row *row, const struct iou_statement *said)
{
    if (said->state > row->said.state &&
        iou_statement_is_valid(ledger->core->port, &row->iou, said)) {
        (void)iou_merge(&row->said, said);
        if (book_write(&ledger->book, row) == ERR_OK) {
            (void)wait_for(ledger, WAITING_NEWS, row, false, 0, NULL);
        }
    }
}

void ledger_expire(struct ledger *ledger)
{
    uint32_t now_s = ledger_wall_s(ledger);
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        struct book_row *row = book_at(&ledger->book, place);
        bool is_offer = row != NULL && !row->is_debtor && row->said.state == IOU_OFFERED;
        if (is_offer && (now_s > row->iou.due_s ||
                         now_s > (uint64_t)row->iou.created_s + LEDGER_OFFER_LIFE_S)) {
            say(ledger, row, IOU_REJECTED);
            (void)wait_for(ledger, WAITING_NEWS, row, false, 0, NULL);
        }
    }
}

uint32_t ledger_wall_s(const struct ledger *ledger)
{
    return (uint32_t)(ledger->core->port->wall_us / WALL_UNIT_US);
}

/* What an honest creditor allows itself; what a dishonest one says is merged by rank all the same.
 */
static bool may_say(const struct book_row *row, enum iou_state state)
{
    switch (state) {
    case IOU_ACCEPTED:
    case IOU_REJECTED:
        return row->said.state == IOU_OFFERED;
    case IOU_DEFAULTED:
        return row->said.state == IOU_ACCEPTED;
    case IOU_REDEEMED:
        return iou_is_open(row->said.state);
    default:
        return false;
    }
}

/* The deed is staged before the IOU: a batch that tears between them leaves a deed that is
 * remembered by its IOU, and counted once when the creditor says it again. */
static void say(struct ledger *ledger, struct book_row *row, enum iou_state state)
{
    struct port *port = ledger->core->port;
    struct iou_statement said;
    iou_say(port, &row->iou, &said, (uint8_t)state, ledger_wall_s(ledger),
            ledger->identity->secret_key);
    must(iou_merge(&row->said, &said));
    row->tries = 0;
    row->next_us = 0;
    if (state == IOU_REDEEMED || state == IOU_DEFAULTED) {
        struct node_id debtor;
        contact_id(&debtor, row->iou.debtor);
        trust_note_iou(&ledger->trust, &debtor,
                       state == IOU_REDEEMED ? TRUST_IOU_REDEEMED : TRUST_IOU_DEFAULTED, row->id,
                       (uint8_t)state);
    }
    if (book_write(&ledger->book, row) != ERR_OK) {
        courier_kick(ledger); /* It has it written again. */
    }
}

/* False when the row is under no ticket, or too many wait already. */
static bool wait_for(struct ledger *ledger, enum waiting_kind kind, const struct book_row *row,
                     bool is_new, uint32_t number, const struct message_from *from)
{
    uint16_t index;
    struct waiting *waiting = row->ticket != 0 ? pool_get(&ledger->waiting, &index) : NULL;
    if (waiting == NULL) {
        return false;
    }
    *waiting = (struct waiting){.next = POOL_NONE,
                                .kind = (uint8_t)kind,
                                .is_new = is_new,
                                .number = number,
                                .ticket = row->ticket};
    memcpy(waiting->iou, row->id, IOU_ID_LEN);
    if (from != NULL) {
        waiting->from = *from;
        ledger->core->port->ops->intern_retain(ledger->core->port, from->peer);
    }
    if (ledger->waiting_last == POOL_NONE) {
        ledger->waiting_first = index;
    } else {
        ((struct waiting *)pool_at(&ledger->waiting, ledger->waiting_last))->next = index;
    }
    ledger->waiting_last = index;
    return true;
}

/* The disk has spoken. */
static void settle(struct ledger *ledger, const struct waiting *waiting, int status)
{
    const struct ledger_hooks *hooks = &ledger->hooks;
    struct book_row *row = book_find(&ledger->book, waiting->iou);
    const struct iou_statement nothing = {.state = IOU_OFFERED};
    switch ((enum waiting_kind)waiting->kind) {
    case WAITING_COMMAND:
        hooks->done(hooks->arg, waiting->number, status, waiting->iou);
        break;
    case WAITING_NEWS:
        if (status == ERR_OK && row != NULL && row->durable > 0) {
            hooks->changed(hooks->arg, waiting->iou, (uint8_t)(row->durable - 1));
        }
        break;
    case WAITING_ANSWER:
        if (row != NULL && status == ERR_OK && book_is_durable(row)) {
            answer(ledger, &waiting->from, LEDGER_OK, &row->said);
        } else if (status != ERR_OK) {
            answer(ledger, &waiting->from, LEDGER_FULL, &nothing);
        }
        ledger->core->port->ops->intern_release(ledger->core->port, waiting->from.peer);
        break;
    }
    if (waiting->is_new && status != ERR_OK && row != NULL && row->durable == 0 &&
        row->ticket == 0) {
        book_drop(&ledger->book, row); /* Nobody has been told of it. */
    }
}

/* An IOU that we have not, from one of its parties: a row for it, or NULL and an answer. */
static struct book_row *meet(struct ledger *ledger, const struct message_from *from,
                             const struct message_statement *statement, uint8_t id[IOU_ID_LEN])
{
    const struct iou *iou = &statement->iou;
    struct port *port = ledger->core->port;
    const struct iou_statement nothing = {.state = IOU_OFFERED};
    bool is_offer = statement->said.state == IOU_OFFERED;
    bool is_known_to_be_old = iou->created_s <= ledger->book.horizon_s;
    bool is_early = is_offer && iou->created_s > (uint64_t)ledger_wall_s(ledger) + LEDGER_SKEW_S;
    if (is_early || (is_offer && !is_known_to_be_old && !has_room_for_offer(ledger, iou))) {
        answer(ledger, from, LEDGER_FULL, &nothing);
        return NULL;
    }
    if (!iou_is_genuine(port, iou) ||
        (!is_offer && !iou_statement_is_valid(port, iou, &statement->said))) {
        offend(ledger, from, GUARD_FORGED);
        return NULL;
    }
    if (is_known_to_be_old) {
        answer_forgotten(ledger, from, statement);
        return NULL;
    }
    struct book_row *row = book_add(&ledger->book, iou, id);
    if (row == NULL) {
        answer(ledger, from, LEDGER_FULL, &nothing);
    }
    return row;
}

/* The peer and we are its two parties, and it says what its side may: the debtor offers, the
 * creditor says more. */
static bool is_party(const struct ledger *ledger, const struct message_from *from,
                     const struct message_statement *statement)
{
    const uint8_t *peer = contact_at(ledger->core->port, from->peer)->key;
    const uint8_t *self = ledger->identity->public_key;
    const struct iou *iou = &statement->iou;
    if (statement->said.state == IOU_OFFERED) {
        return memcmp(iou->debtor, peer, CRYPTO_PUBLIC_LEN) == 0 &&
               memcmp(iou->creditor, self, CRYPTO_PUBLIC_LEN) == 0;
    }
    return memcmp(iou->creditor, peer, CRYPTO_PUBLIC_LEN) == 0 &&
           memcmp(iou->debtor, self, CRYPTO_PUBLIC_LEN) == 0;
}

static bool has_room_for_offer(const struct ledger *ledger, const struct iou *iou)
{
    uint32_t all = 0;
    uint32_t of_debtor = 0;
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        const struct book_row *row = book_at(&ledger->book, place);
        if (row != NULL && !row->is_debtor && row->said.state == IOU_OFFERED) {
            all++;
            of_debtor += memcmp(row->iou.debtor, iou->debtor, sizeof iou->debtor) == 0;
        }
    }
    return all < ledger->config->offers_max && of_debtor < ledger->config->offers_per_peer_max;
}

static void answer(struct ledger *ledger, const struct message_from *from, uint8_t status,
                   const struct iou_statement *said)
{
    struct message reply = {.kind = MESSAGE_STATED, .stated = {.status = status, .said = *said}};
    (void)transport_reply(ledger->transport, from, &reply);
}

/* Only closed IOUs make room, so a debtor may be told that this one is not owed: if it was redeemed
 * it has heard so, and that ranks higher. */
static void answer_forgotten(struct ledger *ledger, const struct message_from *from,
                             const struct message_statement *statement)
{
    struct iou_statement said = statement->said;
    if (said.state == IOU_OFFERED) {
        iou_say(ledger->core->port, &statement->iou, &said, IOU_REJECTED, ledger_wall_s(ledger),
                ledger->identity->secret_key);
    }
    answer(ledger, from, LEDGER_OK, &said);
}

static void offend(struct ledger *ledger, const struct message_from *from, enum guard_offence which)
{
    count(&ledger->core->counters, COUNT_MALFORMED);
    transport_offend(ledger->transport, from->peer, which);
    answer(ledger, from, LEDGER_INVALID, &(struct iou_statement){.state = IOU_OFFERED});
}
