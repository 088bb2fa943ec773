/* link.c - a client's reservations with relays, and its ends of circuits. */
#include <string.h>

#include "node/base/must.h"
#include "node/nat/nat_parts.h"
#include "node/wire/codec.h"

enum {
    PROVE_US = 2000000, /* For the answer to a probe of a relay. */
    UNPROVED_MAX = 3,   /* So many in a row without one, and the relay is gone. */
    SAMPLE_MAX = 8,
    REPUBLISH_SHARE = 2, /* A presence goes out again at half its life. */
    PUBLISH_AGAIN_US = 5000000,
    REFUSED_US = 60000000, /* Who refused is not asked again for so long. */
    RTT_UNKNOWN_US = 1000000,
    TRUST_FULL = 1000000, /* Trusted fully, a relay counts as half as far away. */
};

static void keep(struct nat *nat, struct nat_link *link);
static void ask_ports(struct nat *nat);
static void drop(struct nat *nat, struct nat_link *link);
static void reserve(struct nat *nat);
static uint32_t choose_relay(struct nat *nat);
static bool has_refused(const struct nat *nat, uint64_t prefix);
static void note_refusal(struct nat *nat, uint64_t prefix);
static uint64_t cost_of(const struct nat *nat, uint32_t peer);
static void request(struct nat *nat, struct nat_link *link);
static void on_reserved(void *owner, const struct call_result *result);
static void publish(struct nat *nat);
static struct nat_end *end_find(const struct nat *nat, uint32_t circuit, const uint8_t tag[4]);
static void end_close(struct nat *nat, uint16_t place);
static void relay_tag(const struct nat *nat, uint32_t relay, uint8_t tag[4]);

void nat_links_tick(struct nat *nat)
{
    struct nat_work *work = nat->work;
    uint64_t now_us = core_now(nat->core);
    uint32_t held = 0;
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        struct nat_link *link = &work->links[i];
        if (link->state == NAT_LINK_LIVE) {
            keep(nat, link);
        }
        held += link->state != NAT_LINK_FREE;
    }
    for (uint16_t place = 0; place < work->ends.made; place++) {
        const struct nat_end *end = pool_peek(&work->ends, place);
        if (end != NULL && end->relay != PORT_INTERN_NONE &&
            now_us - end->used_us > nat->config->circuit_s * NAT_SECOND) {
            end_close(nat, place);
        }
    }
    if (nat->is_server) {
        return;
    }
    if (held < nat->config->relays_wanted) {
        reserve(nat);
    }
    ask_ports(nat);
    if (nat_relay_count(nat) > 0 && now_us >= work->publish_us) {
        publish(nat);
    }
}

uint64_t nat_links_next_us(const struct nat *nat)
{
    const struct nat_work *work = nat->work;
    uint64_t next_us = PORT_NEVER;
    uint32_t held = 0;
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        const struct nat_link *link = &work->links[i];
        if (link->state == NAT_LINK_LIVE) {
            uint64_t due_us = link->due_us < link->renew_us ? link->due_us : link->renew_us;
            next_us = due_us < next_us ? due_us : next_us;
            held++;
        }
    }
    bool is_asking_ports = work->ports_paths[0] != PORT_MAIN_PATH;
    if (held < nat->config->relays_wanted || is_asking_ports) {
        return core_now(nat->core);
    }
    return work->publish_us < next_us ? work->publish_us : next_us;
}

/* What a box that maps by destination does with ports is seen best when sockets are opened one
 * after the other and nothing else is sent in between. Once; then they are closed. */
static void ask_ports(struct nat *nat)
{
    struct nat_work *work = nat->work;
    struct port *port = nat->core->port;
    uint64_t now_us = core_now(nat->core);
    const struct nat_link *link = &work->links[0];
    if (work->ports_us == 0) {
        struct nat_class class = {.is_dependent = false};
        if (link->state == NAT_LINK_LIVE) {
            nat_class_of(nat, &class);
        }
        if (!class.is_dependent) {
            return;
        }
        work->ports_us = now_us;
        for (uint32_t i = 0; i < NAT_PORTS_ASKED; i++) {
            int path = port->ops->path_open(port, PORT_UDP, NULL, NULL);
            if (path > 0) {
                struct transport_way way = {.addr = contact_at(port, link->peer)->addr,
                                            .path = (uint16_t)path};
                work->ports_paths[i] = (uint16_t)path;
                (void)transport_probe(nat->transport, link->session, &way);
            }
        }
    } else if (now_us - work->ports_us > PROVE_US) {
        for (uint32_t i = 0; i < NAT_PORTS_ASKED; i++) {
            if (work->ports_paths[i] != PORT_MAIN_PATH) {
                port->ops->path_close(port, work->ports_paths[i]);
                work->ports_paths[i] = PORT_MAIN_PATH;
            }
        }
    }
}

void nat_links_drop(struct nat *nat)
{
    nat_keep_stop(nat);
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        drop(nat, &nat->work->links[i]);
    }
}

/* The probe keeps our box open, shows that the relay lives, and tells it where we are now. */
static void keep(struct nat *nat, struct nat_link *link)
{
    uint64_t now_us = core_now(nat->core);
    const struct contact *relay = contact_at(nat->core->port, link->peer);
    if (now_us >= link->ends_us) {
        drop(nat, link);
        return;
    }
    if (now_us >= link->renew_us) {
        link->renew_us = now_us + PROVE_US;
        request(nat, link);
    }
    struct transport_session session;
    bool is_there = transport_session_of(nat->transport, &relay->id, &session);
    if (is_there && session.index != link->session) {
        /* New keys: until the relay hears us by them it writes by the old ones, which we do not
         * take for long. */
        link->session = session.index;
        link->due_us = now_us;
    }
    if (now_us < link->due_us) {
        return;
    }
    if (link->unproved >= UNPROVED_MAX || !is_there) {
        drop(nat, link);
        return;
    }
    nat_link_probe(nat, link);
    if (link->unproved == 2) {
        nat_links_doubt(nat, link->peer, now_us - PROVE_US); /* It may be the box. */
    }
}

void nat_link_probe(struct nat *nat, struct nat_link *link)
{
    struct transport_session session;
    if (transport_session_at(nat->transport, link->session, &session)) {
        struct transport_way way = {.addr = contact_at(nat->core->port, link->peer)->addr,
                                    .path = session.path};
        (void)transport_probe(nat->transport, link->session, &way);
        link->unproved++;
        link->sent_us = core_now(nat->core);
        link->due_us = link->sent_us + PROVE_US;
        nat_watch_by(nat, link->due_us);
    }
}

/* Somebody comes through one relay, or a session has fallen silent: if that is because another has
 * died, or our box has forgotten us, we do not wait for its turn to find out. Who has answered
 * since then is not asked. */
void nat_links_doubt(struct nat *nat, uint32_t but_for, uint64_t since_us)
{
    uint64_t now_us = core_now(nat->core);
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        struct nat_link *link = &nat->work->links[i];
        if (link->state == NAT_LINK_LIVE && link->peer != but_for && link->unproved == 0 &&
            link->proved_us < since_us) {
            link->due_us = now_us;
            keep(nat, link);
        }
    }
}

void nat_links_proved(struct nat *nat, uint32_t session, const struct transport_way *way,
                      const struct port_addr *observed)
{
    bool is_news = false;
    bool is_box_new = false;
    uint32_t peer = PORT_INTERN_NONE;
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        struct nat_link *link = &nat->work->links[i];
        if (link->state == NAT_LINK_LIVE && link->session == session) {
            link->unproved = 0;
            link->proved_us = core_now(nat->core);
            link->due_us = link->sent_us + nat_keep_period(nat, link);
            peer = link->peer;
            if (observed != NULL && way->path == PORT_MAIN_PATH) {
                is_box_new |= memcmp(link->observed.ip, observed->ip, sizeof observed->ip) != 0;
                is_news |= link->has_observed && !port_addr_equal(&link->observed, observed);
                link->has_observed = true;
                link->observed = *observed;
            }
        }
    }
    if (is_news) {
        nat_on_renumbered(nat);
        nat_keep_doubt(nat, is_box_new);
        uint64_t now_us = core_now(nat->core);
        nat_links_doubt(nat, peer, now_us > PROVE_US ? now_us - PROVE_US : 0);
    }
}

static void drop(struct nat *nat, struct nat_link *link)
{
    struct port *port = nat->core->port;
    if (link->state == NAT_LINK_FREE) {
        return;
    }
    bool was_live = link->state == NAT_LINK_LIVE;
    transport_pin(nat->transport, link->session, false);
    port->ops->intern_release(port, link->peer);
    *link = (struct nat_link){.state = NAT_LINK_FREE};
    if (was_live) {
        nat->work->publish_us = 0;
    }
}

static void reserve(struct nat *nat)
{
    struct port *port = nat->core->port;
    uint32_t peer = choose_relay(nat);
    for (uint32_t i = 0; peer != PORT_INTERN_NONE && i < PRESENCE_RELAYS_MAX; i++) {
        struct nat_link *link = &nat->work->links[i];
        if (link->state == NAT_LINK_FREE) {
            port->ops->intern_retain(port, peer);
            *link = (struct nat_link){.state = NAT_LINK_ASKING, .peer = peer};
            request(nat, link);
            return;
        }
    }
}

/* The nearest by time of those we know, trust counting for nearness. */
static uint32_t choose_relay(struct nat *nat)
{
    uint32_t peers[SAMPLE_MAX];
    uint32_t count = nat->hooks.sample(nat->hooks.arg, peers, SAMPLE_MAX);
    uint32_t best = PORT_INTERN_NONE;
    uint64_t best_cost = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct node_id *id = &contact_at(nat->core->port, peers[i])->id;
        bool is_taken = has_refused(nat, node_id_prefix(id));
        for (uint32_t j = 0; j < PRESENCE_RELAYS_MAX; j++) {
            const struct nat_link *link = &nat->work->links[j];
            is_taken |= link->state != NAT_LINK_FREE &&
                        node_id_equal(&contact_at(nat->core->port, link->peer)->id, id);
        }
        uint64_t cost = is_taken ? UINT64_MAX : cost_of(nat, peers[i]);
        if (cost < best_cost) {
            best_cost = cost;
            best = peers[i];
        }
    }
    return best;
}

static bool has_refused(const struct nat *nat, uint64_t prefix)
{
    for (uint32_t i = 0; i < NAT_REFUSERS_MAX; i++) {
        const struct nat_refuser *refuser = &nat->work->refusers[i];
        if (refuser->prefix == prefix && core_now(nat->core) - refuser->since_us < REFUSED_US) {
            return true;
        }
    }
    return false;
}

/* The one noted longest ago makes room. */
static void note_refusal(struct nat *nat, uint64_t prefix)
{
    struct nat_refuser *place = &nat->work->refusers[0];
    for (uint32_t i = 0; i < NAT_REFUSERS_MAX && place->prefix != prefix; i++) {
        struct nat_refuser *refuser = &nat->work->refusers[i];
        bool is_better = refuser->prefix == prefix || refuser->since_us < place->since_us;
        place = is_better ? refuser : place;
    }
    *place = (struct nat_refuser){.prefix = prefix, .since_us = core_now(nat->core)};
}

static uint64_t cost_of(const struct nat *nat, uint32_t peer)
{
    const struct node_id *id = &contact_at(nat->core->port, peer)->id;
    struct transport_session session;
    bool is_known = transport_session_of(nat->transport, id, &session) && session.rtt_us != 0;
    uint64_t rtt_us = is_known ? session.rtt_us : RTT_UNKNOWN_US;
    uint64_t trust = nat->hooks.trust != NULL ? nat->hooks.trust(nat->hooks.arg, id) : 0;
    return rtt_us * (2 * TRUST_FULL - trust);
}

static void request(struct nat *nat, struct nat_link *link)
{
    struct message message = {.kind = MESSAGE_RESERVE,
                              .reserve = {.life_s = nat->config->reservation_s}};
    struct call_options options = {
        .done = on_reserved, .owner = nat, .tag = (uint32_t)(link - nat->work->links)};
    if (transport_call(nat->transport, link->peer, &message, &options) < 0 &&
        link->state == NAT_LINK_ASKING) {
        drop(nat, link);
    }
}

static void on_reserved(void *owner, const struct call_result *result)
{
    struct nat *nat = owner;
    struct nat_link *link = &nat->work->links[result->tag];
    if (result->outcome == CALL_SLOW || link->state == NAT_LINK_FREE ||
        link->peer != result->peer) {
        return;
    }
    if (result->outcome != CALL_ANSWERED || result->answer->reserved.status != RELAY_OK) {
        if (link->state == NAT_LINK_ASKING) {
            note_refusal(nat, contact_prefix(nat->core->port, link->peer));
            drop(nat, link);
        } /* A renewal is asked for again until the reservation ends. */
        return;
    }
    uint64_t now_us = core_now(nat->core);
    const struct voucher *voucher = &result->answer->reserved.voucher;
    uint64_t life_us = voucher->life_s * NAT_SECOND;
    link->state = NAT_LINK_LIVE;
    link->voucher = *voucher;
    link->session =
        nat_session_with(nat, link->session, &contact_at(nat->core->port, link->peer)->id);
    link->unproved = 0;
    link->proved_us = now_us;
    link->sent_us = now_us;
    link->due_us = now_us + nat_keep_period(nat, link);
    link->renew_us = now_us + life_us / 2;
    link->ends_us = now_us + life_us;
    transport_pin(nat->transport, link->session, true);
    nat->work->publish_us = 0;
    nat_watch(nat);
    nat_keep_start(nat);
}

static void publish(struct nat *nat)
{
    struct presence presence = {.relay_count = 0};
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        const struct nat_link *link = &nat->work->links[i];
        if (link->state == NAT_LINK_LIVE) {
            const struct contact *contact = contact_at(nat->core->port, link->peer);
            struct presence_relay *relay = &presence.relays[presence.relay_count++];
            memcpy(relay->key, contact->key, sizeof relay->key);
            relay->addr = contact->addr;
            relay->voucher = link->voucher;
        }
    }
    nat->work->publish_us =
        core_now(nat->core) + nat->config->reservation_s * NAT_SECOND / REPUBLISH_SHARE;
    nat->hooks.presence(nat->hooks.arg, &presence, nat->config->reservation_s);
}

uint32_t nat_relay(const struct nat *nat)
{
    for (uint32_t i = 0; nat->work != NULL && i < PRESENCE_RELAYS_MAX; i++) {
        const struct nat_link *link = &nat->work->links[i];
        if (link->state == NAT_LINK_LIVE && link->unproved <= 1) {
            return link->peer;
        }
    }
    return PORT_INTERN_NONE;
}

bool nat_voucher(const struct nat *nat, uint32_t number, struct voucher *voucher)
{
    for (uint32_t i = 0; nat->work != NULL && i < PRESENCE_RELAYS_MAX; i++) {
        const struct nat_link *link = &nat->work->links[i];
        if (link->state == NAT_LINK_LIVE && number-- == 0) {
            *voucher = link->voucher;
            return true;
        }
    }
    return false;
}

void nat_on_published(struct nat *nat, int status)
{
    if (nat->work != NULL && status != ERR_OK) {
        nat->work->publish_us = core_now(nat->core) + PUBLISH_AGAIN_US;
    }
}

/* --- ends of circuits
 * ------------------------------------------------------------------------------ */

/* 100:: then the circuit's number and the first bytes of the relay's id: no two of our ends have
 * the same, and if two relays' ids began alike the second would be refused. */
void nat_end_addr(const struct nat *nat, uint32_t relay, uint32_t circuit, struct port_addr *addr)
{
    *addr = (struct port_addr){.ip = {1}, .port = {0, 1}};
    struct writer writer = writer_of(addr->ip + 8, 8);
    write_u32(&writer, circuit);
    uint8_t tag[4];
    relay_tag(nat, relay, tag);
    write_bytes(&writer, tag, sizeof tag);
}

int nat_end_open(struct nat *nat, uint32_t relay, uint32_t session, uint32_t circuit)
{
    struct nat_work *work = nat_work_of(nat);
    struct port *port = nat->core->port;
    uint8_t tag[4];
    relay_tag(nat, relay, tag);
    if (work == NULL || end_find(nat, circuit, tag) != NULL) {
        return ERR_FULL;
    }
    uint16_t index;
    struct nat_end *end = pool_get(&work->ends, &index);
    if (end == NULL) {
        return ERR_FULL;
    }
    port->ops->intern_retain(port, relay);
    *end = (struct nat_end){
        .relay = relay, .session = session, .circuit = circuit, .used_us = core_now(nat->core)};
    nat_watch(nat);
    return ERR_OK;
}

struct nat_end *nat_end_at(const struct nat *nat, const struct port_addr *addr)
{
    struct reader reader = reader_of(slice_of(addr->ip + 8, 8));
    uint32_t circuit = read_u32(&reader);
    return end_find(nat, circuit, reader.next);
}

void nat_send_relayed(struct nat *nat, const struct port_addr *to, struct slice datagram)
{
    struct nat_end *end = nat_end_at(nat, to);
    if (end == NULL) {
        return; /* The circuit has ended: one more way to lose a datagram. */
    }
    must(datagram.len <= MESSAGE_RELAYED_MAX);
    const struct contact *relay = contact_at(nat->core->port, end->relay);
    end->session = nat_session_with(nat, end->session, &relay->id);
    end->used_us = core_now(nat->core);
    struct message note = {
        .kind = MESSAGE_RELAY, .call = end->circuit, .relay = {.datagram = datagram}};
    if (transport_note(nat->transport, end->session, &note) == ERR_OK) {
        nat->counts.wrapped_bytes += datagram.len;
    }
}

void nat_on_relay(struct nat *nat, const struct message_from *from,
                  const struct message_relay *note)
{
    struct port *port = nat->core->port;
    const struct contact *relay = contact_at(port, from->peer);
    if (transport_is_relayed(&relay->addr) || nat_work_of(nat) == NULL ||
        nat_relay_pass(nat, from, from->call, note->datagram)) {
        return;
    }
    uint8_t tag[4];
    relay_tag(nat, from->peer, tag);
    struct nat_end *end = end_find(nat, from->call, tag);
    if (end == NULL) {
        bool is_ours = false;
        for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
            const struct nat_link *link = &nat->work->links[i];
            is_ours |= link->state == NAT_LINK_LIVE &&
                       node_id_equal(&contact_at(port, link->peer)->id, &relay->id);
        }
        if (!is_ours || nat_end_open(nat, from->peer, from->session, from->call) != ERR_OK) {
            return;
        }
        nat_links_doubt(nat, from->peer, core_now(nat->core));
        end = end_find(nat, from->call, tag);
    }
    end->used_us = core_now(nat->core);
    end->session = from->session;
    nat->counts.unwrapped_bytes += note->datagram.len;
    struct port_addr addr;
    nat_end_addr(nat, from->peer, from->call, &addr);
    transport_on_datagram(nat->transport, PORT_MAIN_PATH, &addr, note->datagram);
}

void nat_on_hung_up(struct nat *nat, const struct message_from *from,
                    const struct message_hung_up *note)
{
    (void)note; /* Whatever the reason, the next datagram needs another circuit. */
    uint8_t tag[4];
    relay_tag(nat, from->peer, tag);
    for (uint16_t place = 0; nat->work != NULL && place < nat->work->ends.made; place++) {
        const struct nat_end *end = pool_peek(&nat->work->ends, place);
        if (end != NULL && end->relay != PORT_INTERN_NONE && end->circuit == from->call) {
            uint8_t own[4];
            relay_tag(nat, end->relay, own);
            if (memcmp(own, tag, sizeof tag) == 0) {
                end_close(nat, place);
                return;
            }
        }
    }
}

static struct nat_end *end_find(const struct nat *nat, uint32_t circuit, const uint8_t tag[4])
{
    for (uint16_t place = 0; nat->work != NULL && place < nat->work->ends.made; place++) {
        struct nat_end *end = pool_peek(&nat->work->ends, place);
        if (end != NULL && end->relay != PORT_INTERN_NONE && end->circuit == circuit) {
            uint8_t own[4];
            relay_tag(nat, end->relay, own);
            if (memcmp(own, tag, sizeof own) == 0) {
                return end;
            }
        }
    }
    return NULL;
}

static void end_close(struct nat *nat, uint16_t place)
{
    struct port *port = nat->core->port;
    struct nat_end *end = pool_at(&nat->work->ends, place);
    port->ops->intern_release(port, end->relay);
    end->relay = PORT_INTERN_NONE;
    pool_put(&nat->work->ends, place);
}

static void relay_tag(const struct nat *nat, uint32_t relay, uint8_t tag[4])
{
    memcpy(tag, contact_at(nat->core->port, relay)->id.bytes, 4);
}
