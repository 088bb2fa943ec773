/* keep.c - how long the box in front of a client remembers, and how often it is reminded.
 *
 * On a box that gives the same port again nothing tells from inside that a mapping had died: the
 * test has to come from outside (RFC 5780 section 4.6). A socket of its own is shown to a relay,
 * left alone for a while, and then written to by that relay, which is asked over the session:
 *
 *      socket    PROBE -> relay, twice, so that the box takes it for a talk and not for a question
 *                (nothing, for length_us)
 *      session   PROBE, and PROBE with the socket's port -> relay
 *      session   <- PROBED: the relay lives, the test counts
 *      socket    <- PROBED: the box has remembered; nothing, twice: it has not
 *
 * Lengths begin at 4 s and double until one is too long, or longer than is of use; then the middle
 * is tried until it is known well enough. Relays are probed at three quarters of what has worked.
 */
#include <string.h>

#include "node/nat/nat_parts.h"

enum {
    FIRST_US = 4000000,
    LEAST_US = 2666667, /* Three quarters of it are two seconds. */
    /* Three quarters are 30 s. The probes also tell when a relay has died, and until then whoever
     * looks for us has one relay less. */
    MOST_US = 40000000,
    /* The first relay is probed so often whatever the box allows: by that we notice within 15 s
     * that it has rebooted or was replaced. The other relays are probed when that is seen. */
    FIRST_LINK_US = 15000000,
    UNKNOWN_US = 20000000, /* Where it cannot be tried: all but the worst boxes outlast it. */
    /* Linux tells a talk from a question by what still comes after two seconds
     * (nf_conntrack_proto_udp), and remembers it for 120 s and not for 30 s. */
    TALK_US = 3000000,
    ANSWER_US = 2000000,
    AGAIN_US = 10000000,
    FAILURES_MAX = 2,
};
#define REST_US (1800 * NAT_SECOND)

static void on_timer(struct timer *timer);
static void open_socket(struct nat_keep *keep);
static bool choose_link(struct nat_keep *keep);
static void probe_from_socket(struct nat_keep *keep, enum nat_keep_state state);
static void go_on_opening(struct nat_keep *keep);
static void ask(struct nat_keep *keep);
static void judge(struct nat_keep *keep);
static void close_socket(struct nat_keep *keep);
static void rest(struct nat_keep *keep, uint64_t us);
static void note(struct nat_keep *keep, bool has_survived);
static void choose_length(struct nat_keep *keep);
static void forget(struct nat_keep *keep);

void nat_keep_start(struct nat *nat)
{
    struct nat_keep *keep = &nat->work->keep;
    if (nat->config->keep_us == 0 && !nat->is_server && keep->state == NAT_KEEP_NONE) {
        keep->nat = nat;
        if (keep->low_us == 0) {
            forget(keep);
        }
        rest(keep, NAT_SECOND);
    }
}

void nat_keep_stop(struct nat *nat)
{
    struct nat_keep *keep = &nat->work->keep;
    if (keep->state != NAT_KEEP_NONE) {
        close_socket(keep);
        timer_stop(&nat->core->timers, &keep->timer);
        keep->state = NAT_KEEP_NONE;
    }
}

/* A port that has changed may be a box that forgets sooner than we thought. */
void nat_keep_doubt(struct nat *nat, bool is_box_new)
{
    struct nat_keep *keep = &nat->work->keep;
    if (keep->state == NAT_KEEP_NONE) {
        return;
    }
    if (is_box_new) {
        close_socket(keep);
        forget(keep);
        rest(keep, NAT_SECOND);
    } else if (keep->state == NAT_KEEP_RESTING) {
        rest(keep, NAT_SECOND);
    }
}

bool nat_keep_proved(struct nat *nat, uint32_t session, const struct transport_way *way,
                     const struct port_addr *observed)
{
    struct nat_keep *keep = &nat->work->keep;
    if (way->path == PORT_MAIN_PATH || keep->path != way->path || keep->session != session) {
        return true;
    }
    if (keep->state == NAT_KEEP_ASKED) {
        close_socket(keep);
        note(keep, true);
    } else if (observed != NULL && keep->state != NAT_KEEP_IDLE) {
        struct reader reader = reader_of(slice_of(observed->port, sizeof observed->port));
        keep->port = read_u16(&reader);
        keep->is_heard = true;
        keep->idle_us = core_now(nat->core);
    }
    return false;
}

uint64_t nat_keep_period(const struct nat *nat, const struct nat_link *link)
{
    const struct nat_link *first = nat->work->links;
    while (first != link && first->state != NAT_LINK_LIVE) {
        first++;
    }
    uint64_t period_us = nat_keep_us(nat);
    bool is_bounded = nat->config->keep_us == 0 && first == link;
    return is_bounded && period_us > FIRST_LINK_US ? FIRST_LINK_US : period_us;
}

/* In whole seconds, which is how often links are looked at. */
uint64_t nat_keep_us(const struct nat *nat)
{
    uint64_t low_us = nat->work != NULL && nat->work->keep.low_us != 0 && !nat->is_udp_blocked
                          ? nat->work->keep.low_us
                          : UNKNOWN_US;
    uint64_t period_us = low_us * 3 / 4 / NAT_SECOND * NAT_SECOND;
    return nat->config->keep_us != 0 ? nat->config->keep_us : period_us;
}

static void on_timer(struct timer *timer)
{
    struct nat_keep *keep = container_of(timer, struct nat_keep, timer);
    switch ((enum nat_keep_state)keep->state) {
    case NAT_KEEP_RESTING:
        open_socket(keep);
        break;
    case NAT_KEEP_OPENING:
    case NAT_KEEP_AGAIN:
        go_on_opening(keep);
        break;
    case NAT_KEEP_IDLE:
        ask(keep);
        break;
    case NAT_KEEP_ASKED:
        judge(keep);
        break;
    case NAT_KEEP_NONE:
        break;
    }
}

static void open_socket(struct nat_keep *keep)
{
    struct nat *nat = keep->nat;
    struct port *port = nat->core->port;
    if (nat->is_udp_blocked || !choose_link(keep)) {
        rest(keep, AGAIN_US);
        return;
    }
    int path = port->ops->path_open(port, PORT_UDP, NULL, NULL);
    if (path <= 0) {
        keep->low_us = UNKNOWN_US;
        rest(keep, REST_US);
        return;
    }
    keep->path = (uint16_t)path;
    probe_from_socket(keep, NAT_KEEP_OPENING);
}

/* A relay that answers, by UDP. */
static bool choose_link(struct nat_keep *keep)
{
    struct nat *nat = keep->nat;
    for (uint32_t i = 0; i < PRESENCE_RELAYS_MAX; i++) {
        const struct nat_link *link = &nat->work->links[i];
        struct transport_session session;
        if (link->state == NAT_LINK_LIVE && link->unproved == 0 &&
            transport_session_at(nat->transport, link->session, &session) &&
            session.path == PORT_MAIN_PATH) {
            keep->link = (uint8_t)i;
            keep->peer = link->peer;
            keep->session = link->session;
            return true;
        }
    }
    return false;
}

static void probe_from_socket(struct nat_keep *keep, enum nat_keep_state state)
{
    struct nat *nat = keep->nat;
    struct transport_way way = {.addr = contact_at(nat->core->port, keep->peer)->addr,
                                .path = keep->path};
    keep->is_heard = false;
    keep->state = (uint8_t)state;
    (void)transport_probe(nat->transport, keep->session, &way);
    timer_start(&nat->core->timers, &keep->timer, TALK_US, on_timer);
}

/* Where only one port of ours is let out nothing can be tried. */
static void go_on_opening(struct nat_keep *keep)
{
    struct nat *nat = keep->nat;
    const struct nat_link *link = &nat->work->links[keep->link];
    bool is_there = link->state == NAT_LINK_LIVE && link->peer == keep->peer;
    if (!is_there || !keep->is_heard) {
        close_socket(keep);
        bool is_hopeless = is_there && ++keep->failures >= FAILURES_MAX;
        keep->low_us = is_hopeless ? UNKNOWN_US : keep->low_us;
        keep->failures = is_hopeless ? 0 : keep->failures;
        rest(keep, is_hopeless ? REST_US : AGAIN_US);
    } else if (keep->state == NAT_KEEP_OPENING) {
        probe_from_socket(keep, NAT_KEEP_AGAIN);
    } else {
        keep->state = NAT_KEEP_IDLE;
        uint64_t past_us = core_now(nat->core) - keep->idle_us;
        timer_start(&nat->core->timers, &keep->timer,
                    keep->length_us > past_us ? keep->length_us - past_us : 0, on_timer);
    }
}

static void ask(struct nat_keep *keep)
{
    struct nat *nat = keep->nat;
    struct nat_link *link = &nat->work->links[keep->link];
    if (link->state != NAT_LINK_LIVE || link->peer != keep->peer) {
        close_socket(keep);
        rest(keep, AGAIN_US);
        return;
    }
    const struct contact *relay = contact_at(nat->core->port, link->peer);
    link->session = nat_session_with(nat, link->session, &relay->id);
    keep->session = link->session;
    keep->asked_us = core_now(nat->core);
    keep->state = NAT_KEEP_ASKED;
    struct transport_way way = {.addr = relay->addr, .path = PORT_MAIN_PATH};
    nat_link_probe(nat, link);
    (void)transport_probe_port(nat->transport, keep->session, &way, keep->port);
    timer_start(&nat->core->timers, &keep->timer, ANSWER_US, on_timer);
}

/* Nothing has come to the socket. */
static void judge(struct nat_keep *keep)
{
    const struct nat_link *link = &keep->nat->work->links[keep->link];
    bool is_proved = link->state == NAT_LINK_LIVE && link->peer == keep->peer &&
                     link->proved_us >= keep->asked_us;
    close_socket(keep);
    if (is_proved) {
        note(keep, false);
    } else {
        rest(keep, AGAIN_US);
    }
}

static void close_socket(struct nat_keep *keep)
{
    struct port *port = keep->nat->core->port;
    if (keep->path != PORT_MAIN_PATH) {
        port->ops->path_close(port, keep->path);
        keep->path = PORT_MAIN_PATH;
    }
}

static void rest(struct nat_keep *keep, uint64_t us)
{
    keep->state = NAT_KEEP_RESTING;
    timer_start(&keep->nat->core->timers, &keep->timer, us, on_timer);
}

static void note(struct nat_keep *keep, bool has_survived)
{
    keep->failures = has_survived ? 0 : (uint8_t)(keep->failures + 1);
    if (keep->failures == 1) {
        rest(keep, NAT_SECOND);
        return;
    }
    keep->failures = 0;
    if (has_survived) {
        keep->low_us = keep->length_us;
    } else {
        keep->high_us = keep->length_us;
        keep->low_us = keep->low_us < keep->high_us ? keep->low_us : LEAST_US;
    }
    choose_length(keep);
}

/* Known to a quarter, or longer than is of use: in half an hour it begins again, at what is known.
 */
static void choose_length(struct nat_keep *keep)
{
    bool is_known =
        keep->high_us == 0 ? keep->low_us >= MOST_US : keep->high_us * 4 <= keep->low_us * 5;
    if (is_known) {
        keep->length_us = keep->low_us;
        keep->high_us = 0;
        rest(keep, REST_US);
        return;
    }
    uint64_t doubled_us = 2 * keep->low_us < MOST_US ? 2 * keep->low_us : MOST_US;
    keep->length_us = keep->high_us == 0 ? doubled_us : (keep->low_us + keep->high_us) / 2;
    rest(keep, NAT_SECOND);
}

static void forget(struct nat_keep *keep)
{
    keep->low_us = FIRST_US;
    keep->high_us = 0;
    keep->length_us = FIRST_US;
    keep->failures = 0;
}
