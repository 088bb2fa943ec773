/* nat_punch.c - plain UDP hole punching between two hosts: nat_punch.h. */
#include "tests/live/nat_punch.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/base/rng.h"

enum {
    SOCKETS_MAX = 512,
    /* Where Linux finds ports for `fully-random` when the inner port is above 1023. */
    PORT_LEAST = 1024,
    PORT_COUNT = 65536 - PORT_LEAST,
    TTL_DEFAULT = -1,
};

struct side {
    const struct server *server;
    int socket;
    struct sockaddr_in external;
    struct sockaddr_in target; /* The other's learned end; from the first packet on, its source. */
    uint32_t heard;
};

static bool plain(const struct punch *punch);
static bool birthday(const struct punch *punch);

bool punch_pair(const struct punch *punch)
{
    return punch->sockets > 0 ? birthday(punch) : plain(punch);
}

static bool side_open(struct side *side, const char *host, const struct server *server)
{
    *side = (struct side){.server = server, .socket = net_open(host, NULL)};
    return net_ask(side->socket, server, &side->external, NULL, NULL);
}

static void side_close(struct side *side)
{
    (void)close(side->socket);
}

static void side_hear(void *arg, const struct sockaddr_in *from, const struct note *note)
{
    struct side *side = arg;
    if (note->kind == NOTE_PUNCH) {
        side->target = *from;
        side->heard++;
    }
}

/* Takes what has arrived: all that was sent before the server's answer. */
static void side_settle(struct side *side)
{
    struct sockaddr_in external;
    (void)net_ask(side->socket, side->server, &external, side_hear, side);
}

static void side_send(const struct side *side, uint32_t guesses)
{
    const struct note note = {.kind = NOTE_PUNCH};
    net_send(side->socket, &side->target, &note);
    for (uint32_t i = 1; side->heard == 0 && i <= guesses; i++) {
        struct sockaddr_in guess = side->target;
        guess.sin_port = htons((uint16_t)(net_port(&guess) + i));
        net_send(side->socket, &guess, &note);
    }
}

static void side_send_opener(const struct side *side, uint32_t ttl)
{
    int value = (int)ttl;
    must(setsockopt(side->socket, IPPROTO_IP, IP_TTL, &value, sizeof value) == 0);
    side_send(side, 0);
    value = TTL_DEFAULT;
    must(setsockopt(side->socket, IPPROTO_IP, IP_TTL, &value, sizeof value) == 0);
}

static bool plain(const struct punch *punch)
{
    struct side one, two;
    bool is_known = side_open(&one, punch->hosts[0], punch->server);
    is_known = side_open(&two, punch->hosts[1], punch->server) && is_known;
    one.target = two.external;
    two.target = one.external;
    if (is_known && punch->opener_ttl > 0) {
        side_send_opener(&one, punch->opener_ttl);
        side_send_opener(&two, punch->opener_ttl);
    }
    for (uint32_t round = 0; is_known && round < punch->rounds; round++) {
        side_send(&one, punch->guesses);
        if (punch->is_staggered && round == 0) {
            side_settle(&two);
        }
        side_send(&two, punch->guesses);
        side_settle(&one);
        side_settle(&two);
    }
    side_close(&one);
    side_close(&two);
    return one.heard > 0 && two.heard > 0;
}

/* `count` different ports in random order (Fisher and Yates). */
static void draw_ports(uint16_t *ports, uint32_t count, uint64_t seed)
{
    static uint16_t all[PORT_COUNT];
    struct rng rng;
    rng_stream(&rng, seed, "probe", 0, 0);
    must(count <= PORT_COUNT);
    for (uint32_t i = 0; i < PORT_COUNT; i++) {
        all[i] = (uint16_t)(PORT_LEAST + i);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t other = i + (uint32_t)rng_below(&rng, PORT_COUNT - i);
        ports[i] = all[other];
        all[other] = all[i];
    }
}

/* Whoever of the first host's sockets was hit answers. */
static void answer_hits(const int *sockets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sockaddr_in from;
        struct note note;
        while (net_take(sockets[i], 0, &from, &note)) {
            if (note.kind == NOTE_PUNCH) {
                net_send(sockets[i], &from, &note);
            }
        }
    }
}

/* The second host's socket keeps its external end; the first one's box gives each of its sockets a
 * random port towards that end, and one of the probes may meet one of them. */
static bool birthday(const struct punch *punch)
{
    static int sockets[SOCKETS_MAX];
    static uint16_t ports[PORT_COUNT];
    const struct note note = {.kind = NOTE_PUNCH};
    struct side one, two;
    must(punch->sockets <= SOCKETS_MAX && punch->probes <= PORT_COUNT);
    bool is_known = side_open(&one, punch->hosts[0], punch->server);
    is_known = side_open(&two, punch->hosts[1], punch->server) && is_known;
    for (uint32_t i = 0; i < punch->sockets; i++) {
        sockets[i] = net_open(punch->hosts[0], NULL);
        net_send(sockets[i], &two.external, &note);
    }
    draw_ports(ports, punch->probes, punch->seed);
    for (uint32_t i = 0; is_known && i < punch->probes; i++) {
        struct sockaddr_in probe = one.external;
        probe.sin_port = htons(ports[i]);
        net_send(two.socket, &probe, &note);
    }
    side_settle(&one);
    answer_hits(sockets, punch->sockets);
    side_settle(&two);
    for (uint32_t i = 0; i < punch->sockets; i++) {
        (void)close(sockets[i]);
    }
    side_close(&one);
    side_close(&two);
    return two.heard > 0;
}
