/* ice_peer.c - our ICE agent on a real socket: it has to get on with those of other makes.
 *
 * usage: ice_peer --controlling|--controlled [--stun ADDRESS:PORT] [--patience SECONDS]
 *
 * Prints one line, its offer, and reads one, the other's: "offer", user fragment, password and
 * candidates as in SDP (RFC 8839), between tabs. Then it sends MESSAGES messages over the selected
 * pair, waits for as many, and prints the pair and their number. ice_nice.c and ice_aioice.py speak
 * the same way.
 */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/nat/ice.h"
#include "node/nat/stun_client.h"
#include "tests/live/udp_end.h"

enum {
    MESSAGES = 10,
    PATIENCE_S_DEFAULT = 20,
    ADDRESS_MAX = 64,
    LINE_MAX_BYTES = 8192,
    OFFER_WORDS_MAX = 64,
};

static const char *const type_texts[] = {
    [ICE_HOST] = "host",
    [ICE_REFLEXIVE] = "srflx",
    [ICE_PEER_REFLEXIVE] = "prflx",
    [ICE_RELAYED] = "relay",
};

struct wanted {
    bool is_controlling;
    bool has_stun;
    struct port_addr stun;
    unsigned long patience_s;
};

struct peer {
    struct ice agent;
    int socket;
    uint64_t end_us;
    bool has_offer; /* The other's. */
    bool is_selected;
    bool has_received[MESSAGES];
    unsigned received;
    char line[LINE_MAX_BYTES];
    size_t line_len;
};

/* --- options ---------------------------------------------------------------------------------- */

static bool stun_read_option(struct wanted *wanted, const char *text)
{
    char ip[ADDRESS_MAX];
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : sizeof ip;
    if (len >= sizeof ip) {
        return false;
    }
    memcpy(ip, text, len);
    ip[len] = '\0';
    wanted->has_stun = true;
    return end_parse(&wanted->stun, ip, colon + 1);
}

static bool wanted_read(struct wanted *wanted, int count, char **words)
{
    static const struct option options[] = {
        {"controlling", no_argument, NULL, 'c'},
        {"controlled", no_argument, NULL, 'd'},
        {"stun", required_argument, NULL, 's'},
        {"patience", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    bool is_sound = true;
    bool has_role = false;
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
        case 'd':
            wanted->is_controlling = option == 'c';
            has_role = true;
            break;
        case 's':
            is_sound = stun_read_option(wanted, optarg) && is_sound;
            break;
        case 'w':
            wanted->patience_s = strtoul(optarg, NULL, 10);
            break;
        default:
            is_sound = false;
            break;
        }
    }
    return is_sound && has_role && optind == count;
}

/* --- candidates, and the offer ---------------------------------------------------------------- */

/* Without an answer the host candidate has to do. */
static void ask_stun(struct peer *peer, const struct port_addr *server)
{
    struct stun_client_options options = {.server = *server};
    struct stun_client client;
    struct stun_id id;
    randombytes_buf(&id, sizeof id);
    stun_client_start(&client, &options, &id, end_now_us());
    while (client.state == STUN_ASKING && end_now_us() < peer->end_us) {
        uint8_t bytes[END_DATAGRAM_MAX];
        struct port_addr from;
        size_t len = stun_client_ask(&client, end_now_us(), bytes);
        if (len > 0) {
            end_send(peer->socket, server, bytes, len);
        }
        struct pollfd polled = {.fd = peer->socket, .events = POLLIN};
        if (poll(&polled, 1, 100) > 0) {
            len = end_receive(peer->socket, bytes, &from);
            (void)stun_client_hear(&client, end_now_us(), &from, slice_of(bytes, len));
        }
    }
    if (client.state == STUN_ANSWERED) {
        must(ice_add_reflexive(&peer->agent, 0, &client.result.mapped, server) >= 0);
    }
}

/* The address from which the internet would be reached, whether or not there is a server. */
static void gather(struct peer *peer, const struct wanted *wanted)
{
    struct port_addr somebody;
    must(end_parse(&somebody, "192.0.2.1", "9"));
    struct port_addr local = end_route(wanted->has_stun ? &wanted->stun : &somebody);
    peer->socket = end_bind(&local);
    local = end_name(peer->socket);
    must(ice_add_host(&peer->agent, &local) == 0);
    if (wanted->has_stun) {
        ask_stun(peer, &wanted->stun);
    }
}

static void offer_print(const struct ice *agent)
{
    printf("offer\t%s\t%s", agent->fragment, agent->password);
    for (uint8_t i = 0; i < agent->local_count; i++) {
        const struct ice_candidate *candidate = &agent->locals[i];
        printf("\tcandidate:%s 1 UDP %" PRIu32 " %s typ %s", candidate->foundation,
               candidate->priority, end_text(&candidate->addr), type_texts[candidate->type]);
        if (candidate->type != ICE_HOST) {
            const struct port_addr *base = &agent->locals[candidate->base].addr;
            printf(" raddr %s rport %u", end_ip_text(base), end_port(base));
        }
    }
    puts("");
}

/* Those that are not of our component or protocol are left out. */
static void candidate_take(struct ice *agent, const char *text)
{
    struct ice_candidate candidate = {.type = ICE_HOST};
    unsigned component;
    char protocol[8];
    char ip[ADDRESS_MAX];
    char port[8];
    char type[8];
    if (sscanf(text, "candidate:%32s %u %7s %" SCNu32 " %63s %7s typ %7s", candidate.foundation,
               &component, protocol, &candidate.priority, ip, port, type) != 7 ||
        component != 1 || (protocol[0] | 0x20) != 'u' || !end_parse(&candidate.addr, ip, port)) {
        return;
    }
    for (size_t i = 0; i < array_len(type_texts); i++) {
        if (strcmp(type, type_texts[i]) == 0) {
            candidate.type = (enum ice_type)i;
        }
    }
    (void)ice_add_remote(agent, &candidate);
}

static bool offer_take(struct peer *peer)
{
    char *words[OFFER_WORDS_MAX];
    size_t count = 0;
    for (char *word = strtok(peer->line, "\t"); word != NULL && count < OFFER_WORDS_MAX;
         word = strtok(NULL, "\t")) {
        words[count++] = word;
    }
    if (count < 4 || strcmp(words[0], "offer") != 0 ||
        ice_set_peer(&peer->agent, words[1], words[2], end_now_us()) != ERR_OK) {
        return false;
    }
    for (size_t i = 3; i < count; i++) {
        candidate_take(&peer->agent, words[i]);
    }
    ice_end_remotes(&peer->agent);
    peer->has_offer = true;
    return true;
}

/* False: what was said is no offer. */
static bool line_hear(struct peer *peer)
{
    ssize_t len =
        read(STDIN_FILENO, peer->line + peer->line_len, sizeof peer->line - 1 - peer->line_len);
    if (len <= 0) {
        return false;
    }
    peer->line_len += (size_t)len;
    peer->line[peer->line_len] = '\0';
    char *end = strchr(peer->line, '\n');
    if (end == NULL) {
        return true;
    }
    *end = '\0';
    return offer_take(peer);
}

/* --- the way, and what is sent on it ---------------------------------------------------------- */

/* "message N": each counts once. */
static void message_hear(struct peer *peer, const uint8_t *bytes, size_t len)
{
    char text[32] = "";
    unsigned number;
    memcpy(text, bytes, len < sizeof text ? len : sizeof text - 1);
    if (sscanf(text, "message %u", &number) == 1 && number < MESSAGES &&
        !peer->has_received[number]) {
        peer->has_received[number] = true;
        peer->received++;
    }
}

static void datagram_hear(struct peer *peer)
{
    uint8_t bytes[END_DATAGRAM_MAX];
    struct port_addr from;
    struct ice_packet answer;
    size_t len = end_receive(peer->socket, bytes, &from);
    if (len == 0) {
        return;
    }
    if (!ice_hear(&peer->agent, end_now_us(), 0, &from, slice_of(bytes, len), &answer)) {
        message_hear(peer, bytes, len);
    } else if (answer.len > 0) {
        end_send(peer->socket, &answer.to, answer.bytes, answer.len);
    }
}

static void selected_use(struct peer *peer)
{
    struct ice_route route;
    if (peer->is_selected || !ice_selected(&peer->agent, &route)) {
        return;
    }
    peer->is_selected = true;
    printf("selected %s %s:%u", type_texts[route.local_type], end_ip_text(&route.local),
           end_port(&route.local));
    printf(" %s %s:%u\n", type_texts[route.remote_type], end_ip_text(&route.remote),
           end_port(&route.remote));
    for (unsigned number = 0; number < MESSAGES; number++) {
        char text[32];
        int len = snprintf(text, sizeof text, "message %u", number);
        end_send(peer->socket, &route.remote, text, (size_t)len);
    }
}

static int wait_ms(const struct peer *peer)
{
    uint64_t now_us = end_now_us();
    uint64_t next_us = ice_next_us(&peer->agent);
    next_us = next_us < peer->end_us ? next_us : peer->end_us;
    return next_us > now_us ? (int)((next_us - now_us) / 1000 + 1) : 0;
}

static bool is_done(const struct peer *peer)
{
    return peer->is_selected && peer->received == MESSAGES;
}

static void converse(struct peer *peer)
{
    while (!is_done(peer) && end_now_us() < peer->end_us && peer->agent.state <= ICE_COMPLETED) {
        struct ice_packet packet;
        while (ice_ask(&peer->agent, end_now_us(), &packet)) {
            end_send(peer->socket, &packet.to, packet.bytes, packet.len);
        }
        struct pollfd polled[] = {{.fd = peer->socket, .events = POLLIN},
                                  {.fd = STDIN_FILENO, .events = POLLIN}};
        if (poll(polled, peer->has_offer ? 1 : 2, wait_ms(peer)) < 0) {
            return;
        }
        if (polled[0].revents != 0) {
            datagram_hear(peer);
        }
        if (polled[1].revents != 0 && !line_hear(peer)) {
            fputs("ice_peer: that is no offer\n", stderr);
            return;
        }
        selected_use(peer);
    }
}

int main(int count, char **words)
{
    static struct peer peer;
    struct wanted wanted = {.patience_s = PATIENCE_S_DEFAULT};
    if (!wanted_read(&wanted, count, words)) {
        fputs("usage: ice_peer --controlling|--controlled [--stun ADDRESS:PORT]\n"
              "                [--patience SECONDS]\n",
              stderr);
        return 2;
    }
    if (sodium_init() < 0) {
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    struct ice_options options = {.is_controlling = wanted.is_controlling};
    randombytes_buf(options.entropy, sizeof options.entropy);
    ice_start(&peer.agent, &options);
    peer.end_us = end_now_us() + wanted.patience_s * 1000000;
    gather(&peer, &wanted);
    offer_print(&peer.agent);
    converse(&peer);
    if (!is_done(&peer)) {
        puts("failed");
        return 1;
    }
    printf("received %u\n", peer.received);
    return 0;
}
