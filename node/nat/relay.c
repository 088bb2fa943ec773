/* relay.c - what a server does for clients: reservations, circuits, and the accounts of both. */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"

enum {
    GROUP_SHARE = 4, /* An address group has so many times what one peer has. */
};
#define HOUR_US (3600 * NAT_SECOND)

static struct nat_reservation *reservation_of(const struct nat *nat, const uint8_t *client);
static uint32_t session_with(const struct nat *nat, struct nat_reservation *reservation);
static void reservation_close(struct nat *nat, uint16_t place);
static void answer_reserve(struct nat *nat, const struct message_from *from,
                           enum relay_status status, const struct voucher *voucher);
static void answer_connect(struct nat *nat, const struct message_from *from,
                           enum relay_status status, uint32_t circuit);
static enum relay_status admit_caller(struct nat *nat, const struct message_from *from,
                                      const struct message_connect *request);
static enum relay_status open_crossing(struct nat *nat, const struct message_from *from,
                                       struct nat_reservation *reservation, uint32_t *circuit);
static struct nat_crossing *crossing_of(const struct nat *nat, uint32_t number, uint16_t *place);
static void hang_up(struct nat *nat, uint16_t place, enum hung_up_reason reason);
static bool may_pass(struct nat *nat, const struct nat_crossing *crossing, size_t len);
static struct nat_account *account_of(struct nat *nat, uint64_t subject);
static void account_pair(struct nat *nat, uint32_t peer, struct nat_account *pair[2]);

/* --- reservations
 * ----------------------------------------------------------------------------------- */

void nat_on_reserve(struct nat *nat, const struct message_from *from,
                    const struct message_reserve *request)
{
    const struct nat_config *config = nat->config;
    struct port *port = nat->core->port;
    const struct contact *client = contact_at(port, from->peer);
    struct nat_work *work = nat_work_of(nat);
    if (!nat->is_server || !config->is_relay || transport_is_relayed(&client->addr) ||
        !from->is_verified || work == NULL) {
        answer_reserve(nat, from, RELAY_REFUSED, NULL);
        return;
    }
    struct nat_account *accounts[2];
    account_pair(nat, from->peer, accounts);
    struct nat_reservation *reservation = reservation_of(nat, client->key);
    bool is_within = accounts[0] != NULL &&
                     accounts[0]->reservations < config->reservations_per_hour &&
                     accounts[1]->reservations < config->reservations_per_hour * GROUP_SHARE;
    uint16_t index;
    /* No more than sessions that can be kept for them: what is the use of a relay without one? */
    if (is_within && reservation == NULL && transport_pin(nat->transport, from->session, true)) {
        reservation = pool_get(&work->reservations, &index);
        transport_pin(nat->transport, from->session, reservation != NULL);
    }
    if (!is_within || reservation == NULL) {
        nat->counts.refused++;
        answer_reserve(nat, from, RELAY_FULL, NULL);
        return;
    }
    accounts[0]->reservations++;
    accounts[1]->reservations++;
    uint32_t life_s =
        request->life_s < config->reservation_s ? request->life_s : config->reservation_s;
    struct voucher voucher = {.serial = ++work->serial_last,
                              .life_s = life_s,
                              .circuit_max = config->circuit_bytes,
                              .circuit_s = config->circuit_s};
    voucher_sign(port, &voucher, client->key, nat->identity->public_key, nat->identity->secret_key);
    memcpy(reservation->client, client->key, sizeof reservation->client);
    reservation->id = client->id;
    reservation->session = from->session;
    reservation->ends_us = core_now(nat->core) + life_s * NAT_SECOND;
    reservation->voucher = voucher;
    (void)transport_pin(nat->transport, from->session, true);
    nat->counts.reservations_given++;
    nat_watch(nat);
    answer_reserve(nat, from, RELAY_OK, &voucher);
}

static struct nat_reservation *reservation_of(const struct nat *nat, const uint8_t *client)
{
    for (uint16_t place = 0; place < nat->work->reservations.made; place++) {
        struct nat_reservation *reservation = pool_peek(&nat->work->reservations, place);
        if (reservation != NULL && reservation->session != 0 &&
            memcmp(reservation->client, client, CRYPTO_PUBLIC_LEN) == 0) {
            return reservation;
        }
    }
    return NULL;
}

/* 0 when there is none at present. One that the client has begun anew is kept like the one before.
 */
static uint32_t session_with(const struct nat *nat, struct nat_reservation *reservation)
{
    uint32_t index = nat_session_with(nat, reservation->session, &reservation->id);
    if (index != 0 && index != reservation->session) {
        reservation->session = index;
        (void)transport_pin(nat->transport, index, true);
    }
    return index;
}

static void reservation_close(struct nat *nat, uint16_t place)
{
    struct nat_reservation *reservation = pool_at(&nat->work->reservations, place);
    transport_pin(nat->transport, reservation->session, false);
    reservation->session = 0;
    pool_put(&nat->work->reservations, place);
}

uint32_t nat_clients(struct nat *nat, uint32_t *peers, uint32_t max)
{
    uint32_t count = 0;
    for (uint16_t place = 0; nat->work != NULL && place < nat->work->reservations.made; place++) {
        struct nat_reservation *reservation = pool_peek(&nat->work->reservations, place);
        struct transport_session session;
        if (reservation == NULL || reservation->session == 0 || count == max) {
            continue;
        }
        if (transport_session_at(nat->transport, session_with(nat, reservation), &session)) {
            peers[count++] = session.peer;
        }
    }
    return count;
}

static void answer_reserve(struct nat *nat, const struct message_from *from,
                           enum relay_status status, const struct voucher *voucher)
{
    struct message answer = {.kind = MESSAGE_RESERVED, .reserved = {.status = (uint8_t)status}};
    if (voucher != NULL) {
        answer.reserved.voucher = *voucher;
    }
    (void)transport_reply(nat->transport, from, &answer);
}

/* --- circuits
 * ----------------------------------------------------------------------------------------- */

void nat_on_connect(struct nat *nat, const struct message_from *from,
                    const struct message_connect *request)
{
    uint32_t circuit = 0;
    enum relay_status status = admit_caller(nat, from, request);
    if (status == RELAY_OK) {
        status = open_crossing(nat, from, reservation_of(nat, request->target), &circuit);
    }
    nat->counts.refused += status == RELAY_FULL;
    answer_connect(nat, from, status, circuit);
}

/* The voucher has to be the one that was given, to the last bit. One that merely is out of date
 * says so; one that we never signed says something of who shows it. */
static enum relay_status admit_caller(struct nat *nat, const struct message_from *from,
                                      const struct message_connect *request)
{
    struct port *port = nat->core->port;
    if (!nat->is_server || !nat->config->is_relay || nat_work_of(nat) == NULL ||
        !from->is_verified || transport_is_relayed(&contact_at(port, from->peer)->addr)) {
        return RELAY_REFUSED;
    }
    const struct nat_reservation *reservation = reservation_of(nat, request->target);
    const struct voucher *shown = &request->voucher;
    if (reservation != NULL && shown->serial == reservation->voucher.serial &&
        memcmp(shown->signature, reservation->voucher.signature, sizeof shown->signature) == 0 &&
        shown->life_s == reservation->voucher.life_s &&
        shown->circuit_max == reservation->voucher.circuit_max &&
        shown->circuit_s == reservation->voucher.circuit_s) {
        return core_now(nat->core) < reservation->ends_us ? RELAY_OK : RELAY_MISSING;
    }
    if (!voucher_is_genuine(port, shown, request->target, nat->identity->public_key)) {
        nat->counts.vouchers_forged++;
        transport_offend(nat->transport, from->peer, GUARD_FORGED);
        return RELAY_REFUSED;
    }
    return RELAY_MISSING;
}

static enum relay_status open_crossing(struct nat *nat, const struct message_from *from,
                                       struct nat_reservation *reservation, uint32_t *circuit)
{
    const struct nat_config *config = nat->config;
    struct nat_work *work = nat->work;
    const struct contact *caller = contact_at(nat->core->port, from->peer);
    uint32_t session = session_with(nat, reservation);
    if (session == 0 || node_id_equal(&caller->id, &reservation->id)) {
        return RELAY_MISSING;
    }
    struct nat_account *accounts[2];
    account_pair(nat, from->peer, accounts);
    if (accounts[0] == NULL || accounts[0]->circuits >= config->circuits_per_hour ||
        accounts[1]->circuits >= config->circuits_per_hour * GROUP_SHARE ||
        accounts[0]->bytes >= config->bytes_per_hour) {
        return RELAY_FULL;
    }
    uint16_t index;
    struct nat_crossing *crossing = pool_get(&work->crossings, &index);
    if (crossing == NULL) {
        return RELAY_FULL;
    }
    accounts[0]->circuits++;
    accounts[1]->circuits++;
    /* The place in the pool, and a number that no earlier circuit of the place had. */
    crossing->number = ++work->circuit_last << 16 | index;
    crossing->number = crossing->number != 0 ? crossing->number : 1u << 16 | index;
    crossing->sides[0] = (struct nat_side){.id = caller->id, .session = from->session};
    crossing->sides[1] = (struct nat_side){.id = reservation->id, .session = session};
    crossing->bytes_left = config->circuit_bytes;
    crossing->ends_us = core_now(nat->core) + config->circuit_s * NAT_SECOND;
    crossing->group = contact_addr_group(&caller->addr);
    *circuit = crossing->number;
    nat->counts.circuits_given++;
    nat_watch(nat);
    return RELAY_OK;
}

static void answer_connect(struct nat *nat, const struct message_from *from,
                           enum relay_status status, uint32_t circuit)
{
    struct message answer = {.kind = MESSAGE_CONNECTED,
                             .connected = {.status = (uint8_t)status, .circuit = circuit}};
    (void)transport_reply(nat->transport, from, &answer);
}

bool nat_relay_pass(struct nat *nat, const struct message_from *from, uint32_t circuit,
                    struct slice datagram)
{
    uint16_t place;
    struct nat_crossing *crossing = crossing_of(nat, circuit, &place);
    if (crossing == NULL) {
        return false;
    }
    const struct node_id *id = &contact_at(nat->core->port, from->peer)->id;
    uint32_t side = node_id_equal(id, &crossing->sides[0].id) ? 0 : 1;
    if (side == 1 && !node_id_equal(id, &crossing->sides[1].id)) {
        return false; /* Somebody else's circuit: of another relay, perhaps. */
    }
    if (!may_pass(nat, crossing, datagram.len)) {
        hang_up(nat, place, HUNG_UP_BYTES);
        return true;
    }
    crossing->sides[side].session = from->session;
    struct nat_side *other = &crossing->sides[1 - side];
    other->session = nat_session_with(nat, other->session, &other->id);
    struct message note = {.kind = MESSAGE_RELAY, .call = circuit, .relay = {.datagram = datagram}};
    if (transport_note(nat->transport, other->session, &note) != ERR_OK) {
        hang_up(nat, place, HUNG_UP_GONE);
        return true;
    }
    struct nat_account *account = account_of(nat, node_id_prefix(&crossing->sides[0].id));
    struct nat_account *group = account_of(nat, crossing->group);
    crossing->bytes_left -= datagram.len;
    if (account != NULL && group != NULL) {
        account->bytes += datagram.len;
        group->bytes += datagram.len;
    }
    nat->counts.relayed_bytes += datagram.len;
    nat->counts.relayed_datagrams++;
    return true;
}

/* The circuit's own bytes, and what its caller, and the caller's group, have left of this hour. */
static bool may_pass(struct nat *nat, const struct nat_crossing *crossing, size_t len)
{
    const struct nat_account *account = account_of(nat, node_id_prefix(&crossing->sides[0].id));
    const struct nat_account *group = account_of(nat, crossing->group);
    uint64_t hourly = nat->config->bytes_per_hour;
    return len <= crossing->bytes_left && account != NULL && group != NULL &&
           account->bytes + len <= hourly && group->bytes + len <= hourly * GROUP_SHARE;
}

static struct nat_crossing *crossing_of(const struct nat *nat, uint32_t number, uint16_t *place)
{
    *place = (uint16_t)number;
    struct nat_crossing *crossing = pool_peek(&nat->work->crossings, *place);
    return crossing != NULL && number != 0 && crossing->number == number ? crossing : NULL;
}

static void hang_up(struct nat *nat, uint16_t place, enum hung_up_reason reason)
{
    struct nat_crossing *crossing = pool_at(&nat->work->crossings, place);
    for (int side = 0; side < 2; side++) {
        struct message note = {.kind = MESSAGE_HUNG_UP,
                               .call = crossing->number,
                               .hung_up = {.reason = (uint8_t)reason}};
        uint32_t session =
            nat_session_with(nat, crossing->sides[side].session, &crossing->sides[side].id);
        (void)transport_note(nat->transport, session, &note);
    }
    crossing->number = 0;
    pool_put(&nat->work->crossings, place);
}

void nat_relay_tick(struct nat *nat)
{
    struct nat_work *work = nat->work;
    uint64_t now_us = core_now(nat->core);
    for (uint16_t place = 0; place < work->crossings.made; place++) {
        const struct nat_crossing *crossing = pool_peek(&work->crossings, place);
        if (crossing != NULL && crossing->number != 0 && now_us >= crossing->ends_us) {
            hang_up(nat, place, HUNG_UP_TIME);
        }
    }
    for (uint16_t place = 0; place < work->reservations.made; place++) {
        struct nat_reservation *reservation = pool_peek(&work->reservations, place);
        if (reservation != NULL && reservation->session != 0 && now_us >= reservation->ends_us) {
            reservation_close(nat, place);
        }
    }
}

/* --- accounts
 * ------------------------------------------------------------------------------------------ */

/* The account of a subject in this hour. When the table is full the one begun longest ago makes
 * room: who comes under ever new names has its address group's account to live with. */
static struct nat_account *account_of(struct nat *nat, uint64_t subject)
{
    struct nat_work *work = nat->work;
    uint64_t now_us = core_now(nat->core);
    if (work->accounts == NULL) {
        work->accounts =
            arena_alloc(&nat->core->arena, ARENA_NAT, NAT_ACCOUNTS_MAX * sizeof *work->accounts);
        if (work->accounts == NULL) {
            return NULL;
        }
    }
    subject = subject != 0 ? subject : 1;
    struct nat_account *oldest = &work->accounts[0];
    for (uint32_t i = 0; i < NAT_ACCOUNTS_MAX; i++) {
        struct nat_account *account = &work->accounts[i];
        if (account->subject == subject && now_us - account->since_us < HOUR_US) {
            return account;
        }
        oldest = account->subject == 0 || account->since_us < oldest->since_us ? account : oldest;
        if (account->subject == 0) {
            break;
        }
    }
    *oldest = (struct nat_account){.subject = subject, .since_us = now_us};
    return oldest;
}

/* Of the peer, and of its address group; both NULL without memory. */
static void account_pair(struct nat *nat, uint32_t peer, struct nat_account *pair[2])
{
    const struct contact *contact = contact_at(nat->core->port, peer);
    uint64_t group = contact_addr_group(&contact->addr);
    (void)account_of(nat, group); /* So that neither makes room for the other. */
    pair[0] = account_of(nat, node_id_prefix(&contact->id));
    pair[1] = pair[0] != NULL ? account_of(nat, group) : NULL;
    pair[0] = pair[1] != NULL ? pair[0] : NULL;
}
