/* doctor_net.c - the port, bootstrap nodes by UDP and TCP, how they see us and whether strangers
 * reach us.
 *
 * Two nodes of a moment ask: one by UDP from the port in question, one by streams. They are clients
 * that join nothing, so nobody remembers them.
 *
 *      name -> addresses -> PING by Noise XX -> PONG, observed -> REACH -> a stranger's handshake
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/meshnode/doctor.h"

enum {
    ADDRS_MAX = 4,      /* Of one name. */
    LIMIT_MS = 20000,   /* Calls end by themselves; this ends what a bug would leave. */
    JOIN_NEVER_S = 600, /* Longer than it lives. */
    REACH_MS = 4500,    /* The peer asks another, who waits for us: node/nat/reach.c. */
};

enum doctor_way {
    BY_UDP,
    BY_STREAM,
    WAYS,
};

struct question;

/* One call to a bootstrap node, to its addresses one after another. */
struct doctor_call {
    struct question *question;
    enum doctor_way way;
    size_t next; /* Of the addresses. */
    bool is_done;
    bool is_answered;
    bool has_verdict; /* REACH has been answered. */
    struct message_reached verdict;
    struct port_addr addr;
    struct port_addr observed;
    uint32_t rtt_us;
};

struct question {
    struct asking *asking;
    char *text; /* As given. */
    struct endpoint endpoint;
    struct port_addr addrs[ADDRS_MAX];
    size_t addr_count;
    bool is_resolved;
    bool is_self;
    struct doctor_call calls[WAYS];
};

struct asking {
    struct doctor *doctor;
    struct host_loop *loop;
    struct host *hosts[WAYS]; /* NULL: it could not be opened. */
    struct node_config config;
    struct question questions[DOCTOR_PEERS_MAX];
    size_t count;
    uv_timer_t limit;
    bool is_over;
    bool is_own_port; /* By UDP we are where the node would be. */
};

static void open_hosts(struct asking *asking);
static bool open_host(struct asking *asking, enum doctor_way way, uint16_t port, char *reason);
static void ask_all(struct asking *asking);
static void on_limit(uv_timer_t *timer);
static bool is_pending(const struct asking *asking);
static void on_resolved(void *arg, int status, const struct port_addr *addrs, size_t count);
static bool is_ourselves(const struct doctor *doctor, const struct port_addr *addr);
static void begin_call(struct node *node, void *arg);
static void call_next(struct node *node, struct doctor_call *call);
static void on_ponged(void *owner, const struct call_result *result);
static void ask_reach(struct doctor_call *call, uint32_t peer);
static void on_reached(void *owner, const struct call_result *result);
static void judge_peer(struct doctor *doctor, const struct question *question);
static void judge_silence(struct doctor *doctor, const struct question *question);
static void judge_mapping(struct asking *asking);
static void judge_reach(struct asking *asking);
static bool was_stranger(const struct asking *asking, const struct doctor_call *call);

void doctor_look_at_network(struct doctor *doctor)
{
    struct asking *asking = text_alloc(1, sizeof *asking);
    char reason[HOST_REASON_SIZE];
    char *entries[DOCTOR_PEERS_MAX];
    asking->doctor = doctor;
    asking->count = doctor_split(&doctor->arguments->bootstrap, entries);
    for (size_t i = 0; i < asking->count; i++) {
        struct question *question = &asking->questions[i];
        question->asking = asking;
        question->text = entries[i];
        must(endpoint_parse(entries[i], &question->endpoint, reason)); /* Looked at before. */
    }
    if (host_loop_open(&asking->loop, reason) != ERR_OK) {
        doctor_say(doctor, "port", DOCTOR_PROBLEM, NULL, "%s", reason);
    } else {
        open_hosts(asking);
        if (asking->count > 0) {
            ask_all(asking);
        }
        for (size_t i = 0; i < asking->count; i++) {
            judge_peer(doctor, &asking->questions[i]);
        }
        judge_mapping(asking);
        judge_reach(asking);
        for (int way = 0; way < WAYS; way++) {
            if (asking->hosts[way] != NULL) {
                host_close(asking->hosts[way]);
            }
        }
        host_loop_close(asking->loop);
    }
    for (size_t i = 0; i < asking->count; i++) {
        free(asking->questions[i].text);
    }
    free(asking);
}

/* --- the port -------------------------------------------------------------------------------- */

static void open_hosts(struct asking *asking)
{
    struct doctor *doctor = asking->doctor;
    uint16_t port = (uint16_t)doctor->arguments->port;
    char reason[HOST_REASON_SIZE];
    node_config_default(&asking->config);
    asking->config.nat.reach = NAT_REACH_CLIENT;
    asking->config.nat.has_mapping = false;
    asking->config.dht.join_wait_us = JOIN_NEVER_S * UINT64_C(1000000);
    asking->config.ledger.peers_max = 0;
    asking->is_own_port = open_host(asking, BY_UDP, port, reason);
    if (asking->is_own_port) {
        doctor_say(doctor, "port", DOCTOR_OK, NULL, "UDP and TCP port %u can be bound", port);
    } else if (doctor->has_node && doctor->port_of == port) {
        doctor_say(doctor, "port", DOCTOR_OK, NULL, "port %u is the running node's", port);
    } else {
        doctor_say(doctor, "port", DOCTOR_PROBLEM,
                   "end what uses it, or choose others with --port and --host", "%s", reason);
    }
    if (!asking->is_own_port && !open_host(asking, BY_UDP, 0, reason)) {
        doctor_say(doctor, "port", DOCTOR_PROBLEM, NULL, "nothing can be asked: %s", reason);
    }
    if (asking->hosts[BY_UDP] != NULL && asking->count > 0) {
        (void)open_host(asking, BY_STREAM, 0, reason);
    }
    if (asking->count == 0) {
        doctor_say(doctor, "bootstrap", DOCTOR_NOTE, NULL, "nobody was asked: give nodes with -b");
    }
}

static bool open_host(struct asking *asking, enum doctor_way way, uint16_t port, char *reason)
{
    struct host_options options = {.bind = asking->doctor->arguments->host,
                                   .port = port,
                                   .accepts_streams = way == BY_UDP,
                                   .is_masking = way == BY_STREAM};
    struct host *host;
    if (host_open(asking->loop, &options, &host, reason) != ERR_OK) {
        return false;
    }
    int status = host_start(host, &asking->config);
    if (status != ERR_OK) {
        snprintf(reason, HOST_REASON_SIZE, "the node does not start: %s", err_text(status));
        host_close(host);
        return false;
    }
    asking->hosts[way] = host;
    return true;
}

/* --- asking ---------------------------------------------------------------------------------- */

static void ask_all(struct asking *asking)
{
    uv_loop_t *loop = host_loop_uv(asking->loop);
    must(uv_timer_init(loop, &asking->limit) == 0);
    asking->limit.data = asking;
    must(uv_timer_start(&asking->limit, on_limit, LIMIT_MS, 0) == 0);
    for (size_t i = 0; i < asking->count; i++) {
        struct question *question = &asking->questions[i];
        host_resolve_name(asking->loop, question->endpoint.name, question->endpoint.port,
                          on_resolved, question);
    }
    while (is_pending(asking)) {
        uv_run(loop, UV_RUN_ONCE);
    }
    asking->is_over = true;
    uv_close((uv_handle_t *)&asking->limit, NULL);
    for (int way = 0; way < WAYS; way++) {
        if (asking->hosts[way] != NULL) {
            host_stop(asking->hosts[way]); /* Nothing is to come back to us any more. */
        }
    }
}

static void on_limit(uv_timer_t *timer)
{
    struct asking *asking = timer->data;
    asking->is_over = true;
}

/* Names are waited for in any case: the resolver cannot be told to forget us. */
static bool is_pending(const struct asking *asking)
{
    for (size_t i = 0; i < asking->count; i++) {
        const struct question *question = &asking->questions[i];
        bool is_done = question->calls[BY_UDP].is_done && question->calls[BY_STREAM].is_done;
        if (!question->is_resolved || (!is_done && !asking->is_over)) {
            return true;
        }
    }
    return false;
}

static void on_resolved(void *arg, int status, const struct port_addr *addrs, size_t count)
{
    struct question *question = arg;
    struct asking *asking = question->asking;
    question->is_resolved = true;
    for (size_t i = 0; status == ERR_OK && i < count && question->addr_count < ADDRS_MAX; i++) {
        if (is_ourselves(asking->doctor, &addrs[i])) {
            question->is_self = true;
        } else {
            question->addrs[question->addr_count++] = addrs[i];
        }
    }
    for (int way = 0; way < WAYS; way++) {
        struct doctor_call *call = &question->calls[way];
        *call = (struct doctor_call){.question = question, .way = (enum doctor_way)way};
        if (asking->hosts[way] != NULL && !asking->is_over) {
            host_enter(asking->hosts[way], begin_call, call);
        } else {
            call->is_done = true;
        }
    }
}

/* The node that runs here, or would. */
static bool is_ourselves(const struct doctor *doctor, const struct port_addr *addr)
{
    const char *host = doctor->arguments->host;
    unsigned port = doctor->has_node ? doctor->port_of : (unsigned)doctor->arguments->port;
    struct port_addr bound;
    if (doctor_port(addr) != port) {
        return false;
    }
    if (host == NULL || strcmp(host, "::") == 0 || strcmp(host, "0.0.0.0") == 0) {
        return doctor_is_local(doctor, addr);
    }
    char *text = text_format(strchr(host, ':') != NULL ? "[%s]:1" : "%s:1", host);
    bool is_same =
        host_addr_parse(text, &bound) && memcmp(bound.ip, addr->ip, sizeof bound.ip) == 0;
    free(text);
    return is_same;
}

static void begin_call(struct node *node, void *arg)
{
    call_next(node, arg);
    timerq_settle(&node->core.timers);
}

static void call_next(struct node *node, struct doctor_call *call)
{
    const struct question *question = call->question;
    struct call_options options = {.done = on_ponged, .owner = call};
    while (call->next < question->addr_count) {
        struct message ping = {.kind = MESSAGE_PING, .ping = {.nonce = rng_next(&node->core.rng)}};
        call->addr = question->addrs[call->next++];
        if (transport_call_addr(&node->transport, &call->addr, &ping, &options) > 0) {
            return;
        }
    }
    call->is_done = true;
}

/* The node that a call is of. Inside its entry it is ours to change. */
static struct node *node_of(const struct doctor_call *call)
{
    const struct host *host = call->question->asking->hosts[call->way];
    return (struct node *)(uintptr_t)host_node(host);
}

static void on_ponged(void *owner, const struct call_result *result)
{
    struct doctor_call *call = owner;
    if (result->outcome == CALL_SLOW) {
        return;
    }
    if (result->outcome == CALL_LOST) {
        call_next(node_of(call), call);
        return;
    }
    call->is_answered = true;
    call->observed = result->answer->pong.observed;
    call->rtt_us = result->rtt_us;
    if (call->way == BY_UDP && call->question->asking->is_own_port) {
        ask_reach(call, result->peer);
    } else {
        call->is_done = true;
    }
}

/* Whether somebody we never wrote to gets through to us: the peer finds one, and tells. */
static void ask_reach(struct doctor_call *call, uint32_t peer)
{
    struct message request = {.kind = MESSAGE_REACH, .reach = {.from = REACH_FROM_STRANGER}};
    struct call_options options = {.done = on_reached, .owner = call, .patience_ms = REACH_MS};
    call->is_done = transport_call(&node_of(call)->transport, peer, &request, &options) < 0;
}

static void on_reached(void *owner, const struct call_result *result)
{
    struct doctor_call *call = owner;
    if (result->outcome == CALL_SLOW) {
        return;
    }
    call->is_done = true;
    if (result->outcome == CALL_ANSWERED) {
        call->has_verdict = true;
        call->verdict = result->answer->reached;
    }
}

/* --- judging --------------------------------------------------------------------------------- */

static void judge_peer(struct doctor *doctor, const struct question *question)
{
    const struct doctor_call *udp = &question->calls[BY_UDP];
    const struct doctor_call *stream = &question->calls[BY_STREAM];
    char addr[HOST_ADDR_TEXT_SIZE];
    if (question->addr_count == 0 && question->is_self) {
        doctor_say(doctor, "bootstrap", DOCTOR_NOTE, NULL, "%s is this node itself",
                   question->text);
    } else if (question->addr_count == 0) {
        doctor_say(doctor, "bootstrap", DOCTOR_PROBLEM, "check the name, and /etc/resolv.conf",
                   "the name in %s cannot be looked up", question->text);
    } else if (udp->is_answered) {
        host_addr_format(&udp->addr, addr);
        bool is_named = strcmp(addr, question->text) != 0;
        doctor_say(doctor, "bootstrap", DOCTOR_OK, NULL, "%s%s%s%s answers by UDP in %.1f ms",
                   question->text, is_named ? " (" : "", is_named ? addr : "", is_named ? ")" : "",
                   udp->rtt_us / 1e3);
    } else {
        judge_silence(doctor, question);
    }
    if (stream->is_answered) {
        doctor_say(doctor, "bootstrap", DOCTOR_OK, NULL, "%s answers by TCP too", question->text);
    } else if (udp->is_answered) {
        doctor_say(doctor, "bootstrap", DOCTOR_NOTE, NULL,
                   "%s does not answer by TCP: it is needed only where UDP is blocked",
                   question->text);
    }
}

static void judge_silence(struct doctor *doctor, const struct question *question)
{
    if (question->calls[BY_STREAM].is_answered) {
        doctor_say(doctor, "bootstrap", DOCTOR_PROBLEM,
                   "let UDP out through the firewall, or start the node with --masking",
                   "%s answers by TCP, but not by UDP: it is blocked", question->text);
    } else {
        doctor_say(doctor, "bootstrap", DOCTOR_PROBLEM,
                   "check that address, that a node runs there, and the firewalls in between",
                   "%s answers neither by UDP nor by TCP", question->text);
    }
}

static void judge_mapping(struct asking *asking)
{
    struct doctor_sight sights[DOCTOR_PEERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < asking->count; i++) {
        const struct doctor_call *call = &asking->questions[i].calls[BY_UDP];
        if (call->is_answered) {
            snprintf(sights[count].by, sizeof sights[count].by, "%s", asking->questions[i].text);
            sights[count].remote = call->addr;
            sights[count++].mapped = call->observed;
        }
    }
    if (count > 0) {
        struct port_addr local = host_addr(asking->hosts[BY_UDP]);
        doctor_compare(asking->doctor, "mapping", sights, count, &local);
    }
}

/* One who got through settles it; none who did may be a lost datagram, unless it was several. */
static void judge_reach(struct asking *asking)
{
    unsigned yes = 0;
    unsigned no = 0;
    unsigned port = (unsigned)asking->doctor->arguments->port;
    for (size_t i = 0; i < asking->count; i++) {
        const struct doctor_call *call = &asking->questions[i].calls[BY_UDP];
        if (call->has_verdict) {
            yes += call->verdict.status == REACHED_YES && was_stranger(asking, call);
            no += call->verdict.status == REACHED_NO;
        }
    }
    if (yes > 0) {
        doctor_say(asking->doctor, "reach", DOCTOR_OK, NULL, "strangers reach UDP port %u", port);
    } else if (no > 0) {
        doctor_say(asking->doctor, "reach", DOCTOR_PROBLEM,
                   "forward that port to this machine, or do without: a node that cannot be "
                   "reached is reached through relays",
                   "strangers do not reach UDP port %u", port);
    }
}

/* Whom we have asked ourselves is none: a box would let it in for that. Another port of the asked
 * is one only where no box is. */
static bool was_stranger(const struct asking *asking, const struct doctor_call *call)
{
    static const uint8_t none[16];
    if (memcmp(call->verdict.by.ip, none, sizeof none) == 0) {
        return doctor_is_local(asking->doctor, &call->observed);
    }
    for (size_t i = 0; i < asking->count; i++) {
        for (size_t j = 0; j < asking->questions[i].addr_count; j++) {
            if (port_addr_equal(&asking->questions[i].addrs[j], &call->verdict.by)) {
                return doctor_is_local(asking->doctor, &call->observed);
            }
        }
    }
    return true;
}
