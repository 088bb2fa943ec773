/* flood.c - makes trouble for a node on this machine, for tests of what it withstands.
 *
 * usage: flood KIND ADDR:PORT SECONDS [RATE]
 *
 *   garbage     datagrams of random bytes, some dressed as ours (RATE a second, default 100000)
 *   handshake   first messages with a valid mac1 and a fresh ephemeral key, from many addresses
 *   spread      the same from 256 address groups instead of 16: more than a node's table has slots
 *   signature   a peer with a session that sends too many records, with wrong signatures
 *   streams     TCP connections that say one byte a second
 *   http        HTTP requests that never end
 *
 * Targets outside 127.0.0.0/8 are refused. Prints one line of JSON: what went out and came back;
 * "address_out_max" is the worst case, over our addresses, of bytes back beyond bytes sent.
 */
#include "tests/live/flood.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/node.h"
#include "node/sodium/sodium_suite.h"
#include "node/transport/cookie.h"

enum {
    SOURCES = 256, /* Addresses that datagrams come from, */
    GROUPS = 16,   /* in so many address groups: a quarter of a node's slots. */
    SLICE_US = 1000,
    STREAMS = 300, /* More than a node takes (HOST_STREAMS_MAX). */
    TRICKLE_US = 1000000,
    RATE_DEFAULT = 100000,
    SECOND_US = 1000000,
};

struct source {
    int socket;
    uint64_t bytes_out;
    uint64_t bytes_in;
};

static bool target_parse(const char *text, struct sockaddr_in *target);
static void flood_datagrams(const struct flood *flood, bool is_handshake);
static void flood_streams(const struct flood *flood, bool is_http);

uint64_t flood_now_us(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

int main(int count, char **words)
{
    struct flood flood = {.rate = RATE_DEFAULT};
    bool is_sound = (count == 4 || count == 5) && target_parse(words[2], &flood.target) &&
                    sodium_suite_init() == ERR_OK;
    if (is_sound) {
        flood.until_us = flood_now_us() + strtoull(words[3], NULL, 10) * SECOND_US;
        flood.rate = count == 5 ? strtoull(words[4], NULL, 10) : flood.rate;
    }
    const char *kind = is_sound ? words[1] : "";
    bool is_spread = strcmp(kind, "spread") == 0;
    flood.groups = is_spread ? SOURCES : GROUPS;
    if (strcmp(kind, "garbage") == 0 || strcmp(kind, "handshake") == 0 || is_spread) {
        flood_datagrams(&flood, strcmp(kind, "garbage") != 0);
    } else if (strcmp(kind, "streams") == 0 || strcmp(kind, "http") == 0) {
        flood_streams(&flood, strcmp(kind, "http") == 0);
    } else if (strcmp(kind, "signature") == 0) {
        flood_signatures(&flood);
    } else {
        fprintf(stderr,
                "usage: flood garbage|handshake|spread|signature|streams|http 127.x.y.z:PORT "
                "SECONDS [RATE]\n");
        return 2;
    }
    return 0;
}

/* Only ourselves. */
static bool target_parse(const char *text, struct sockaddr_in *target)
{
    char ip[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : sizeof ip;
    if (len >= sizeof ip) {
        return false;
    }
    memcpy(ip, text, len);
    ip[len] = '\0';
    *target = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    return inet_pton(AF_INET, ip, &target->sin_addr) == 1 &&
           ntohl(target->sin_addr.s_addr) >> 24 == 127;
}

/* 127.28.(source).2: nobody's node. */
static void source_open(struct source *source, uint32_t number, uint32_t groups)
{
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f1c0002u | (number % groups) << 8 | number / groups << 2)};
    source->socket = socket(AF_INET, SOCK_DGRAM, 0);
    must(source->socket >= 0 && fcntl(source->socket, F_SETFL, O_NONBLOCK) == 0);
    must(bind(source->socket, (const struct sockaddr *)&own, sizeof own) == 0);
}

static void source_read(struct source *source)
{
    uint8_t bytes[PORT_DATAGRAM_MAX];
    for (ssize_t len; (len = recv(source->socket, bytes, sizeof bytes, 0)) > 0;) {
        source->bytes_in += (uint64_t)len;
    }
}

static size_t make_garbage(uint8_t *bytes)
{
    size_t len = 1 + randombytes_uniform(PORT_DATAGRAM_MAX);
    randombytes_buf(bytes, len);
    if (bytes[len / 2] < 128) {
        bytes[0] = (uint8_t)(PACKET_HANDSHAKE + bytes[0] % 3);
        bytes[len > 1 ? 1 : 0] = (uint8_t)(PACKET_IK_1 + bytes[len > 1 ? 1 : 0] % 5);
    }
    return len;
}

/* Padded to the size of its answer, as an honest one is. */
static size_t make_handshake(const struct transport *transport, const uint8_t *mac_key,
                             uint8_t *bytes)
{
    memset(bytes, 0, PACKET_XX_2_OVERHEAD);
    randombytes_buf(bytes + PACKET_HANDSHAKE_HEADER_LEN, NOISE_XX_1_PREFIX);
    packet_write_handshake(bytes, PACKET_XX_1, randombytes_random(), 0, NOISE_XX_1_PREFIX);
    cookie_seal(transport, bytes, PACKET_HANDSHAKE_HEADER_LEN + NOISE_XX_1_PREFIX, mac_key, NULL);
    return PACKET_XX_2_OVERHEAD;
}

static void flood_datagrams(const struct flood *flood, bool is_handshake)
{
    static struct source sources[SOURCES];
    struct node_config config;
    node_config_default(&config);
    struct port port = {.crypto = &sodium_suite};
    struct core core = {.port = &port};
    struct transport transport = {.core = &core, .config = &config.transport};
    uint8_t mac_key[CRYPTO_HASH_LEN];
    cookie_mac_key(&transport, NULL, mac_key);
    for (uint32_t i = 0; i < SOURCES; i++) {
        source_open(&sources[i], i, flood->groups);
    }
    uint64_t start_us = flood_now_us();
    uint64_t sent = 0, refused = 0;
    for (uint64_t now_us = start_us; now_us < flood->until_us; now_us = flood_now_us()) {
        uint64_t due = (now_us - start_us + SLICE_US) * flood->rate / SECOND_US;
        for (uint32_t burst = 0; sent + refused < due && burst < SOURCES; burst++) {
            struct source *source = &sources[(sent + refused) % SOURCES];
            uint8_t bytes[PORT_DATAGRAM_MAX];
            size_t len =
                is_handshake ? make_handshake(&transport, mac_key, bytes) : make_garbage(bytes);
            bool is_sent =
                sendto(source->socket, bytes, len, 0, (const struct sockaddr *)&flood->target,
                       sizeof flood->target) == (ssize_t)len;
            source->bytes_out += is_sent ? len : 0;
            sent += is_sent;
            refused += !is_sent;
            source_read(source);
        }
        (void)poll(NULL, 0, sent + refused >= due ? 1 : 0);
    }
    uint64_t out = 0, in = 0;
    int64_t worst = INT64_MIN;
    for (uint32_t i = 0; i < SOURCES; i++) {
        source_read(&sources[i]);
        out += sources[i].bytes_out;
        in += sources[i].bytes_in;
        int64_t beyond = (int64_t)sources[i].bytes_in - (int64_t)sources[i].bytes_out;
        worst = beyond > worst ? beyond : worst;
        (void)close(sources[i].socket);
    }
    printf("{\"sent\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ", \"bytes_in\": %" PRIu64
           ", \"address_out_max\": %" PRId64 "}\n",
           sent, out, in, worst);
}

static int stream_open(const struct flood *flood)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    (void)connect(fd, (const struct sockaddr *)&flood->target, sizeof flood->target);
    return fd;
}

/* What is closed is opened again: all of them, all the time. */
static void flood_streams(const struct flood *flood, bool is_http)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ";
    static int streams[STREAMS];
    static size_t said[STREAMS];
    uint64_t opened = 0, sent = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        streams[i] = -1;
    }
    while (flood_now_us() < flood->until_us) {
        for (size_t i = 0; i < STREAMS; i++) {
            uint8_t answer[256];
            ssize_t got = streams[i] >= 0 ? recv(streams[i], answer, sizeof answer, 0) : 0;
            if (got == 0 && streams[i] >= 0) {
                (void)close(streams[i]);
            }
            if (got == 0) {
                streams[i] = stream_open(flood);
                said[i] = 0;
                opened++;
            }
            char byte = is_http && said[i] < sizeof request - 1 ? request[said[i]] : 'a';
            bool is_sent = send(streams[i], &byte, 1, MSG_NOSIGNAL) == 1;
            said[i] += is_sent;
            sent += is_sent;
        }
        (void)poll(NULL, 0, is_http ? 50 : TRICKLE_US / 1000);
    }
    for (size_t i = 0; i < STREAMS; i++) {
        (void)close(streams[i]);
    }
    printf("{\"opened\": %" PRIu64 ", \"sent\": %" PRIu64 "}\n", opened, sent);
}
