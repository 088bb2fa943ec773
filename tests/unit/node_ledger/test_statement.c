/* test_statement.c - one ledger, and all that others may tell it: honest, hostile, old, too much.
 *
 * The program defines the functions of transport.h and dht.h that the ledger calls, so the real
 * modules are not linked: what is answered is looked at where it leaves the ledger.
 */
#include <criterion/criterion.h>

#include "node/base/must.h"
#include "node/ledger/ledger.h"
#include "node/port/crypto_calls.h"
#include "node/wire/codec.h"
#include "tests/support/toy_port.h"
#include "tests/support/toy_suite.h"

#define SECOND UINT64_C(1000000)

enum {
    IOUS_MAX = 12,
    OFFERS_MAX = 6,
    OFFERS_PER_PEER_MAX = 3,
    WALL_S = 1700000000, /* Where the wall clock of toy ports begins. */
    DUE_S = 1000,
};

struct party {
    struct identity identity;
    uint32_t contact;
};

static struct toy_world *world;
static struct toy_port *port;
static struct core core;
static struct ledger ledger;
static struct party self;
static struct party alice;
static struct party mallory;
static const struct ledger_config config = {.peers_max = 64,
                                            .ious_max = IOUS_MAX,
                                            .offers_max = OFFERS_MAX,
                                            .offers_per_peer_max = OFFERS_PER_PEER_MAX};

/* What the ledger did. */
static struct message_stated answer;
static uint32_t answers;
static uint32_t offences[GUARD_OFFENCE_COUNT];
static uint32_t changes;
static int done_status;
static uint8_t done_iou[IOU_ID_LEN];

int transport_reply(struct transport *transport, const struct message_from *from,
                    struct message *reply)
{
    (void)transport;
    (void)from;
    cr_assert_eq(reply->kind, MESSAGE_STATED);
    answer = reply->stated;
    answers++;
    return ERR_OK;
}

void transport_offend(struct transport *transport, uint32_t peer, enum guard_offence which)
{
    (void)transport;
    (void)peer;
    offences[which]++;
}

bool transport_session_of(const struct transport *transport, const struct node_id *id,
                          struct transport_session *session)
{
    (void)transport;
    (void)id;
    (void)session;
    return false;
}

int transport_call(struct transport *transport, uint32_t peer, const struct message *request,
                   const struct call_options *options)
{
    (void)transport;
    (void)peer;
    (void)request;
    (void)options;
    return ERR_FULL;
}

uint32_t dht_find(const struct dht *dht, const struct node_id *id)
{
    (void)dht;
    (void)id;
    return PORT_INTERN_NONE;
}

int dht_lookup(struct dht *dht, const struct node_id *target, enum lookup_kind kind, lookup_fn done,
               void *owner, uint32_t tag)
{
    (void)dht;
    (void)target;
    (void)kind;
    (void)done;
    (void)owner;
    (void)tag;
    return ERR_FULL;
}

static void on_wake(struct toy_port *toy)
{
    (void)toy;
    timerq_fire_due(&core.timers);
    timerq_settle(&core.timers);
}

static void on_durable(struct toy_port *toy, uint64_t ticket)
{
    (void)toy;
    ledger_on_durable(&ledger, ticket, ERR_OK);
    timerq_settle(&core.timers);
}

static void on_done(void *arg, uint32_t number, int status, const uint8_t iou[IOU_ID_LEN])
{
    (void)arg;
    (void)number;
    done_status = status;
    memcpy(done_iou, iou, IOU_ID_LEN);
}

static void on_changed(void *arg, const uint8_t iou[IOU_ID_LEN], uint8_t state)
{
    (void)arg;
    (void)iou;
    (void)state;
    changes++;
}

static void party_make(struct party *party, uint8_t number)
{
    uint8_t seed[CRYPTO_SEED_LEN] = {number};
    struct port_addr addr = toy_addr(number);
    toy_suite.sign_keypair(seed, party->identity.public_key, party->identity.secret_key);
    contact_id(&party->identity.id, party->identity.public_key);
    party->contact = contact_intern(&port->port, party->identity.public_key, &addr);
}

static void begin(void)
{
    toy_enter(port);
    core = (struct core){.port = &port->port, .ticket_last = core.ticket_last};
    arena_init(&core.arena, core.port);
    timerq_init(&core.timers, core.port, &core.arena);
    struct ledger_hooks hooks = {.done = on_done, .changed = on_changed};
    cr_assert_eq(ledger_init(&ledger, &core, &config, &self.identity, NULL, NULL, &hooks), ERR_OK);
    ledger_start(&ledger);
    timerq_settle(&core.timers);
    toy_leave(port);
}

static void setup(void)
{
    world = toy_open(1, 1, &toy_suite);
    port = toy_at(world, 0);
    port->callbacks = (struct toy_callbacks){.on_wake = on_wake, .on_durable = on_durable};
    party_make(&self, 1);
    party_make(&alice, 2);
    party_make(&mallory, 3);
    begin();
}

static void teardown(void)
{
    cr_assert_null(ledger_check(&ledger));
    toy_close(world);
}

TestSuite(statement, .init = setup, .fini = teardown);

static struct message_statement offer(const struct party *debtor, const struct party *creditor,
                                      uint64_t nonce)
{
    struct message_statement statement = {.iou = {.amount = 500,
                                                  .nonce = nonce,
                                                  .created_s = WALL_S + (uint32_t)nonce,
                                                  .due_s = WALL_S + DUE_S}};
    memcpy(statement.iou.debtor, debtor->identity.public_key, CRYPTO_PUBLIC_LEN);
    memcpy(statement.iou.creditor, creditor->identity.public_key, CRYPTO_PUBLIC_LEN);
    iou_sign(&port->port, &statement.iou, debtor->identity.secret_key);
    return statement;
}

static void say(struct message_statement *statement, const struct party *by, enum iou_state state,
                uint32_t said_s)
{
    iou_say(&port->port, &statement->iou, &statement->said, (uint8_t)state, said_s,
            by->identity.secret_key);
}

/* What iou_say would refuse to sign. */
static void sign_anything(struct message_statement *statement, const struct party *by)
{
    static const char purpose[] = "meshtwin iou said";
    uint8_t bytes[sizeof purpose + IOU_ID_LEN + 1 + 4];
    uint8_t id[IOU_ID_LEN];
    iou_id(id, &statement->iou);
    struct writer writer = writer_of(bytes, sizeof bytes);
    write_bytes(&writer, purpose, sizeof purpose);
    write_bytes(&writer, id, sizeof id);
    write_u8(&writer, statement->said.state);
    write_u32(&writer, statement->said.said_s);
    port_sign(&port->port, statement->said.signature, slice_of(bytes, writer_len(&writer)),
              by->identity.secret_key);
}

/* The ledger hears it, and the disk does its work. */
static void tell(const struct party *from, const struct message_statement *statement)
{
    struct message_from message_from = {.peer = from->contact, .is_verified = true};
    toy_enter(port);
    ledger_on_statement(&ledger, &message_from, statement);
    timerq_settle(&core.timers);
    toy_leave(port);
    toy_run_for(world, SECOND);
}

static int command(const struct message_statement *statement, enum iou_state state)
{
    uint8_t id[IOU_ID_LEN];
    iou_id(id, &statement->iou);
    toy_enter(port);
    int status = ledger_say(&ledger, id, state, 1);
    timerq_settle(&core.timers);
    toy_leave(port);
    toy_run_for(world, SECOND);
    return status;
}

static const struct book_row *row_of(const struct message_statement *statement)
{
    uint8_t id[IOU_ID_LEN];
    iou_id(id, &statement->iou);
    return book_find(&ledger.book, id);
}

Test(statement, an_offer_is_acknowledged_once_the_disk_has_it_and_not_before)
{
    struct message_statement statement = offer(&alice, &self, 1);
    struct message_from from = {.peer = alice.contact, .is_verified = true};
    world->durable_delay_us = SECOND / 2;
    toy_enter(port);
    ledger_on_statement(&ledger, &from, &statement);
    ledger_on_statement(&ledger, &from, &statement);
    timerq_settle(&core.timers);
    toy_leave(port);
    cr_assert_eq(answers, 0);
    toy_run_for(world, SECOND);
    cr_assert_eq(answers, 1, "the second one is the first");
    cr_assert_eq(answer.status, LEDGER_OK);
    cr_assert_eq(answer.said.state, IOU_OFFERED);
    cr_assert_eq(changes, 1);
    tell(&alice, &statement);
    cr_assert_eq(answers, 2, "one that is durable is acknowledged at once");
    cr_assert_eq(ledger.book.rows.count, 1);
}

Test(statement, no_field_of_an_offer_can_be_altered)
{
    struct message_statement genuine = offer(&alice, &self, 1);
    struct message_statement altered[4] = {genuine, genuine, genuine, genuine};
    altered[0].iou.amount++;
    altered[1].iou.due_s++;
    altered[2].iou.memo_len = 1;
    altered[3].iou.signature[0] ^= 1;
    for (uint32_t i = 0; i < array_len(altered); i++) {
        tell(&alice, &altered[i]);
        cr_assert_eq(answer.status, LEDGER_INVALID, "%u", i);
        cr_assert_eq(offences[GUARD_FORGED], i + 1);
    }
    cr_assert_eq(ledger.book.rows.count, 0);
}

Test(statement, amounts_times_and_parties_must_make_sense)
{
    struct message_statement wrong[4];
    for (uint32_t i = 0; i < array_len(wrong); i++) {
        wrong[i] = offer(&alice, &self, 1);
    }
    wrong[0].iou.amount = 0;
    wrong[1].iou.amount = IOU_AMOUNT_MAX + 1;
    wrong[2].iou.due_s = wrong[2].iou.created_s - 1;
    memcpy(wrong[3].iou.debtor, self.identity.public_key, CRYPTO_PUBLIC_LEN);
    for (uint32_t i = 0; i < array_len(wrong); i++) {
        tell(&alice, &wrong[i]);
        cr_assert_eq(answer.status, LEDGER_INVALID, "%u", i);
    }
    cr_assert_eq(ledger.book.rows.count, 0);
}

Test(statement, third_parties_are_not_heard)
{
    struct message_statement theirs = offer(&alice, &mallory, 1);
    struct message_statement ours = offer(&alice, &self, 2);
    tell(&alice, &theirs);
    tell(&mallory, &theirs);
    tell(&mallory, &ours);
    cr_assert_eq(offences[GUARD_MALFORMED], 3);
    cr_assert_eq(ledger.book.rows.count, 0);
}

Test(statement, only_the_creditor_can_say_what_became_of_a_debt)
{
    struct message_statement mine = offer(&self, &alice, 1);
    say(&mine, &alice, IOU_ACCEPTED, WALL_S + 1);
    tell(&alice, &mine);
    cr_assert_eq(row_of(&mine)->said.state, IOU_ACCEPTED);

    struct message_statement forged = mine;
    say(&forged, &mallory, IOU_REDEEMED, WALL_S + 2);
    tell(&alice, &forged);
    cr_assert_eq(answer.status, LEDGER_INVALID);
    cr_assert_eq(offences[GUARD_FORGED], 1);
    forged = mine;
    forged.said.state = IOU_DEFAULTED;
    tell(&alice, &forged);
    cr_assert_eq(row_of(&mine)->said.state, IOU_ACCEPTED);

    struct message_statement own = offer(&alice, &self, 2);
    tell(&alice, &own);
    say(&own, &alice, IOU_REDEEMED, WALL_S + 2);
    tell(&alice, &own);
    cr_assert_eq(row_of(&own)->said.state, IOU_OFFERED, "a debtor redeems nothing");
}

Test(statement, a_default_dated_before_the_debt_was_due_is_none)
{
    struct message_statement mine = offer(&self, &alice, 1);
    say(&mine, &alice, IOU_ACCEPTED, WALL_S + 1);
    tell(&alice, &mine);
    struct message_statement early = mine;
    early.said = (struct iou_statement){.state = IOU_DEFAULTED, .said_s = WALL_S + DUE_S - 1};
    sign_anything(&early, &alice);
    tell(&alice, &early);
    cr_assert_eq(answer.status, LEDGER_INVALID);
    cr_assert_eq(row_of(&mine)->said.state, IOU_ACCEPTED);
    say(&early, &alice, IOU_DEFAULTED, WALL_S + DUE_S);
    tell(&alice, &early);
    cr_assert_eq(row_of(&mine)->said.state, IOU_DEFAULTED, "our own clock is not asked");
}

Test(statement, order_and_number_of_statements_change_nothing)
{
    struct message_statement said[IOU_STATE_COUNT];
    for (uint32_t i = IOU_ACCEPTED; i < IOU_STATE_COUNT; i++) {
        said[i] = offer(&self, &alice, 1);
        say(&said[i], &alice, (enum iou_state)i, WALL_S + DUE_S + i);
    }
    tell(&alice, &said[IOU_DEFAULTED]);
    tell(&alice, &said[IOU_ACCEPTED]);
    cr_assert_eq(row_of(&said[1])->said.state, IOU_DEFAULTED);
    tell(&alice, &said[IOU_REDEEMED]);
    for (uint32_t i = IOU_ACCEPTED; i < IOU_STATE_COUNT; i++) {
        tell(&alice, &said[i]);
        cr_assert_eq(answer.status, LEDGER_OK);
        cr_assert_eq(answer.said.state, IOU_REDEEMED);
    }
    cr_assert_eq(ledger.book.rows.count, 1);
    cr_assert_eq(changes, 2);
}

Test(statement, a_creditor_redeems_once_whatever_is_replayed)
{
    struct message_statement statement = offer(&alice, &self, 1);
    tell(&alice, &statement);
    cr_assert_eq(command(&statement, IOU_REDEEMED), ERR_STALE, "not accepted yet");
    cr_assert_eq(command(&statement, IOU_ACCEPTED), ERR_OK);
    cr_assert_eq(command(&statement, IOU_DEFAULTED), ERR_INVALID, "not due yet");
    cr_assert_eq(command(&statement, IOU_REDEEMED), ERR_OK);
    tell(&alice, &statement);
    cr_assert_eq(answer.said.state, IOU_REDEEMED);
    cr_assert_eq(command(&statement, IOU_REDEEMED), ERR_STALE);
    cr_assert_eq(command(&statement, IOU_ACCEPTED), ERR_STALE);
    begin();
    tell(&alice, &statement);
    cr_assert_eq(command(&statement, IOU_REDEEMED), ERR_STALE);
    struct ledger_view view;
    ledger_view(&ledger, &view);
    cr_assert_eq(view.events[TRUST_IOU_REDEEMED], 1);
    cr_assert_eq(view.owed_to_us, 0);
}

Test(statement, a_debt_can_be_redeemed_after_its_default)
{
    struct message_statement statement = offer(&alice, &self, 1);
    tell(&alice, &statement);
    cr_assert_eq(command(&statement, IOU_ACCEPTED), ERR_OK);
    toy_run_for(world, DUE_S * SECOND);
    cr_assert_eq(command(&statement, IOU_DEFAULTED), ERR_OK);
    struct ledger_view view;
    ledger_view(&ledger, &view);
    cr_assert_eq(view.owed_to_us, 500);
    cr_assert_eq(command(&statement, IOU_REDEEMED), ERR_OK);
    cr_assert_eq(command(&statement, IOU_DEFAULTED), ERR_STALE);
}

Test(statement, offers_of_strangers_take_bounded_room)
{
    for (uint32_t i = 0; i < 10; i++) {
        struct message_statement statement = offer(&alice, &self, i);
        tell(&alice, &statement);
        cr_assert_eq(answer.status, i < OFFERS_PER_PEER_MAX ? LEDGER_OK : LEDGER_FULL);
    }
    for (uint8_t i = 0; i < 10; i++) {
        struct party stranger;
        party_make(&stranger, (uint8_t)(10 + i));
        struct message_statement statement = offer(&stranger, &self, i);
        tell(&stranger, &statement);
    }
    cr_assert_eq(ledger.book.rows.count, OFFERS_MAX);
    cr_assert_eq(answer.status, LEDGER_FULL);
}

Test(statement, an_offer_from_the_future_waits_for_its_time)
{
    struct message_statement statement = offer(&alice, &self, LEDGER_SKEW_S + 5);
    tell(&alice, &statement);
    cr_assert_eq(answer.status, LEDGER_FULL);
    toy_run_for(world, 10 * SECOND);
    tell(&alice, &statement);
    cr_assert_eq(answer.status, LEDGER_OK);
}

Test(statement, an_offer_nobody_answers_is_rejected_when_it_is_due)
{
    struct message_statement statement = offer(&alice, &self, 1);
    tell(&alice, &statement);
    toy_run_for(world, 2 * 3600 * SECOND);
    cr_assert_eq(row_of(&statement)->said.state, IOU_REJECTED);
}

/* Fills the table with what is closed and settled, then adds one more. */
Test(statement, what_made_room_cannot_come_back)
{
    struct message_statement old[IOUS_MAX + 1];
    for (uint32_t i = 0; i < array_len(old); i++) {
        old[i] = offer(&self, &alice, i + 1);
        say(&old[i], &alice, IOU_REDEEMED, WALL_S + DUE_S);
        tell(&alice, &old[i]);
        cr_assert_eq(answer.status, LEDGER_OK);
    }
    cr_assert_null(row_of(&old[0]));
    cr_assert_eq(ledger.book.rows.count, IOUS_MAX);
    begin();
    tell(&alice, &old[0]);
    cr_assert_eq(answer.status, LEDGER_OK, "its creditor may rest");
    cr_assert_eq(answer.said.state, IOU_REDEEMED);
    cr_assert_null(row_of(&old[0]));

    struct message_statement replayed = offer(&alice, &self, 1);
    tell(&alice, &replayed);
    cr_assert_eq(answer.said.state, IOU_REJECTED);
    cr_assert(iou_statement_is_valid(&port->port, &replayed.iou, &answer.said));
    cr_assert_null(row_of(&replayed));
}

Test(statement, what_is_open_makes_no_room)
{
    struct message_statement last;
    for (uint32_t i = 0; i <= IOUS_MAX; i++) {
        last = offer(&self, &alice, i + 1);
        say(&last, &alice, IOU_ACCEPTED, WALL_S + 1);
        tell(&alice, &last);
    }
    cr_assert_eq(answer.status, LEDGER_FULL);
    cr_assert_null(row_of(&last));
    cr_assert_eq(ledger.book.rows.count, IOUS_MAX);
    toy_enter(port);
    cr_assert_eq(ledger_owe(&ledger, alice.identity.public_key, 1, 1, slice_of("", 0), 1),
                 ERR_FULL);
    toy_leave(port);
}

Test(statement, a_disk_that_refuses_is_promised_nothing)
{
    struct message_statement statement = offer(&alice, &self, 1);
    port->store_fails = true;
    tell(&alice, &statement);
    cr_assert_eq(answer.status, LEDGER_FULL);
    cr_assert_null(row_of(&statement));
    toy_enter(port);
    cr_assert_eq(ledger_owe(&ledger, alice.identity.public_key, 1, 1, slice_of("", 0), 1), ERR_IO);
    toy_leave(port);
    cr_assert_eq(ledger.book.rows.count, 0);

    port->store_fails = false;
    tell(&alice, &statement);
    port->store_fails = true;
    cr_assert_eq(command(&statement, IOU_ACCEPTED), ERR_OK);
    cr_assert_eq(done_status, ERR_IO);
    cr_assert_not(book_is_durable(row_of(&statement)));
    answers = 0;
    tell(&alice, &statement);
    cr_assert_eq(answers, 0, "what is not durable is not said");
    port->store_fails = false;
    toy_run_for(world, 10 * SECOND);
    cr_assert(book_is_durable(row_of(&statement)));
}

Test(statement, a_promise_is_durable_before_its_command_ends)
{
    world->durable_delay_us = SECOND / 2;
    done_status = 1;
    toy_enter(port);
    cr_assert_eq(
        ledger_owe(&ledger, alice.identity.public_key, 700, 60, slice_of("for bread", 9), 1),
        ERR_OK);
    timerq_settle(&core.timers);
    toy_leave(port);
    cr_assert_eq(done_status, 1);
    toy_run_for(world, SECOND);
    cr_assert_eq(done_status, ERR_OK);
    begin();
    const struct book_row *row = book_find(&ledger.book, done_iou);
    cr_assert_not_null(row);
    cr_assert(row->is_debtor && row->iou.amount == 700 && row->iou.memo_len == 9);
    cr_assert_not(book_is_settled(row), "the creditor has yet to hear of it");
}

Test(statement, our_own_wishes_have_limits_too)
{
    uint8_t memo[IOU_MEMO_MAX + 1] = {0};
    const uint8_t *creditor = alice.identity.public_key;
    toy_enter(port);
    cr_assert_eq(ledger_owe(&ledger, creditor, 0, 1, slice_of("", 0), 1), ERR_INVALID);
    cr_assert_eq(ledger_owe(&ledger, creditor, IOU_AMOUNT_MAX + 1, 1, slice_of("", 0), 1),
                 ERR_INVALID);
    cr_assert_eq(ledger_owe(&ledger, self.identity.public_key, 1, 1, slice_of("", 0), 1),
                 ERR_INVALID);
    cr_assert_eq(ledger_owe(&ledger, creditor, 1, 1, slice_of(memo, sizeof memo), 1),
                 ERR_TOO_LARGE);
    cr_assert_eq(ledger_say(&ledger, memo, IOU_REDEEMED, 1), ERR_MISSING);
    toy_leave(port);
}
