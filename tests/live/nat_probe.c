/* nat_probe.c - asks boxes of the NAT laboratory (natlab.sh) what they do.
 *
 * usage: nat_probe classify HOST SERVER ADDRESS ADDRESS    what kind of box HOST is behind
 *        nat_probe punch [options] HOST HOST SERVER ADDRESS    yes, no, or "K of N"
 *        nat_probe flows COUNT HOST SERVER ADDRESS    how many of so many sockets get through
 *        nat_probe hold MS MS HOST SERVER ADDRESS    is a mapping open after so long? of two
 *        nat_probe watch HOST SERVER ADDRESS    an external end for each line on standard input
 *        nat_probe stream COUNT GAP_US HOST SERVER ADDRESS    numbered datagrams there and back
 *
 *   HOST and SERVER are network namespaces, ADDRESS is one of the server's.
 *
 *   -r ROUNDS   of sending, by each side (default 4)
 *   -n RUNS     so many pairs of sockets, one after the other (default 1)
 *   -s          staggered: the second host begins when the first one's packets have arrived
 *   -o TTL      openers: before that both send a packet with this time to live
 *   -g GUESSES  so many ports after the learned one are tried as well
 *   -b SOCKETSxPROBES    birthday: of the first host, and of the second
 *   -x SEED     of the ports that are tried
 *
 * Exit codes: 0 it was found out, 2 it could not be.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/must.h"
#include "tests/live/nat_classify.h"
#include "tests/live/nat_punch.h"

enum {
    SERVER_PORT = 3478, /* RFC 8489 section 17.1 */
    FLOWS_MAX = 2000,
    STREAM_MAX = 100000,
    STREAM_ENOUGH_MS = 1000, /* Silence that ends a stream. */
    ROUNDS_DEFAULT = 4,
};

static int run_classify(char **words);
static int run_punch(int count, char **words);
static int run_flows(char **words);
static int run_hold(char **words);
static int run_watch(char **words);
static int run_stream(char **words);

static int usage(void)
{
    fputs("usage: nat_probe classify HOST SERVER ADDRESS ADDRESS\n"
          "       nat_probe punch [-r ROUNDS] [-n RUNS] [-s] [-o TTL] [-g GUESSES]\n"
          "                       [-b SOCKETSxPROBES] [-x SEED] HOST HOST SERVER ADDRESS\n"
          "       nat_probe flows COUNT HOST SERVER ADDRESS\n"
          "       nat_probe hold MS MS HOST SERVER ADDRESS\n"
          "       nat_probe watch HOST SERVER ADDRESS\n"
          "       nat_probe stream COUNT GAP_US HOST SERVER ADDRESS\n",
          stderr);
    return 2;
}

int main(int count, char **words)
{
    const char *verb = count > 1 ? words[1] : "";
    net_pin();
    if (strcmp(verb, "classify") == 0 && count == 6) {
        return run_classify(words + 2);
    }
    if (strcmp(verb, "punch") == 0) {
        return run_punch(count - 1, words + 1);
    }
    if (strcmp(verb, "flows") == 0 && count == 6) {
        return run_flows(words + 2);
    }
    if (strcmp(verb, "hold") == 0 && count == 7) {
        return run_hold(words + 2);
    }
    if (strcmp(verb, "watch") == 0 && count == 5) {
        return run_watch(words + 2);
    }
    if (strcmp(verb, "stream") == 0 && count == 7) {
        return run_stream(words + 2);
    }
    return usage();
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static int run_classify(char **words)
{
    const char *const addresses[2] = {words[2], words[3]};
    struct classification found = classify(words[0], words[1], addresses);
    classification_print(&found);
    return 0;
}

static int run_punch(int count, char **words)
{
    struct punch punch = {.rounds = ROUNDS_DEFAULT};
    uint32_t runs = 1, successes = 0;
    for (int option; (option = getopt(count, words, "r:n:so:g:b:x:")) != -1;) {
        const char *cross = option == 'b' ? strchr(optarg, 'x') : NULL;
        switch (option) {
        case 'r':
            punch.rounds = number(optarg);
            break;
        case 'n':
            runs = number(optarg);
            break;
        case 's':
            punch.is_staggered = true;
            break;
        case 'o':
            punch.opener_ttl = number(optarg);
            break;
        case 'g':
            punch.guesses = number(optarg);
            break;
        case 'x':
            punch.seed = strtoull(optarg, NULL, 10);
            break;
        case 'b':
            punch.sockets = number(optarg);
            punch.probes = cross != NULL ? number(cross + 1) : 0;
            break;
        default:
            return usage();
        }
    }
    if (count - optind != 4) {
        return usage();
    }
    struct server server = net_server(words[optind + 2], words[optind + 3], SERVER_PORT);
    punch.hosts[0] = words[optind];
    punch.hosts[1] = words[optind + 1];
    punch.server = &server;
    for (uint32_t run = 0; run < runs; run++) {
        successes += punch_pair(&punch);
    }
    net_server_close(&server);
    if (runs == 1) {
        puts(successes == 1 ? "yes" : "no");
    } else {
        printf("%" PRIu32 " of %" PRIu32 "\n", successes, runs);
    }
    return 0;
}

/* The first socket's session exists, so that its question, asked last, gets through whatever became
 * of the others; what has not arrived by then never will. */
static int run_flows(char **words)
{
    static int sockets[FLOWS_MAX];
    uint32_t count = number(words[0]), arrived = 0;
    struct server server = net_server(words[2], words[3], SERVER_PORT);
    struct sockaddr_in from;
    struct note note;
    if (count < 1 || count > FLOWS_MAX) {
        return usage();
    }
    for (uint32_t i = 0; i < count; i++) {
        note = (struct note){.kind = NOTE_NUMBERED, .number = i};
        sockets[i] = net_open(words[1], NULL);
        net_send(sockets[i], &server.end, &note);
        while (net_take(server.socket, 0, &from, &note)) {
            arrived += note.kind == NOTE_NUMBERED;
        }
    }
    note = (struct note){.kind = NOTE_ASK};
    net_send(sockets[0], &server.end, &note);
    while (net_take(server.socket, NET_PATIENCE_MS, &from, &note) && note.kind != NOTE_ASK) {
        arrived += note.kind == NOTE_NUMBERED;
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)close(sockets[i]);
    }
    net_server_close(&server);
    printf("%" PRIu32 "\n", arrived);
    return 0;
}

static void wait_until(uint64_t due_us)
{
    for (uint64_t now_us; (now_us = net_now_us()) < due_us;) {
        (void)poll(NULL, 0, (int)((due_us - now_us) / 1000 + 1));
    }
}

struct held {
    int socket;
    struct sockaddr_in external;
    uint64_t sent_us; /* The host's last packet left between these two times. */
    uint64_t heard_us;
};

static void held_open(struct held *held, const char *host, const struct server *server)
{
    held->socket = net_open(host, NULL);
    held->sent_us = net_now_us();
    if (!net_ask(held->socket, server, &held->external, NULL, NULL)) {
        fputs("the server does not answer\n", stderr);
        exit(2);
    }
    held->heard_us = net_now_us();
}

/* "open at 1000..1003 ms": how long after the host's last packet the server's came. */
static void held_try(struct held *held, uint64_t after_us, const struct server *server)
{
    const struct note note = {.kind = NOTE_PUNCH};
    struct sockaddr_in from;
    struct note heard;
    wait_until(held->heard_us + after_us);
    uint64_t least_us = net_now_us() - held->heard_us;
    net_send(server->socket, &held->external, &note);
    uint64_t most_us = net_now_us() - held->sent_us;
    bool is_open = net_take(held->socket, NET_PATIENCE_MS, &from, &heard);
    printf("%s %" PRIu64 " %" PRIu64 "\n", is_open ? "open" : "closed", least_us / 1000,
           most_us / 1000);
    (void)close(held->socket);
}

/* A socket for each of the two times, because what comes in keeps a mapping open, too. */
static int run_hold(char **words)
{
    struct server server = net_server(words[3], words[4], SERVER_PORT);
    struct held early, late;
    held_open(&early, words[2], &server);
    held_open(&late, words[2], &server);
    held_try(&early, (uint64_t)number(words[0]) * 1000, &server);
    held_try(&late, (uint64_t)number(words[1]) * 1000, &server);
    net_server_close(&server);
    return 0;
}

static int run_watch(char **words)
{
    struct server server = net_server(words[1], words[2], SERVER_PORT);
    int socket = net_open(words[0], NULL);
    char line[16];
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct sockaddr_in external;
        char text[INET_ADDRSTRLEN];
        if (net_ask(socket, &server, &external, NULL, NULL)) {
            must(inet_ntop(AF_INET, &external.sin_addr, text, sizeof text) != NULL);
            printf("%s:%u\n", text, (unsigned)net_port(&external));
        } else {
            puts("none");
        }
    }
    (void)close(socket);
    net_server_close(&server);
    return 0;
}

struct stream {
    int socket;
    struct server server;
    uint32_t sent, arrived, returned;
    uint32_t late;   /* Arrived after a later one. */
    uint32_t bursts; /* Runs of numbers that did not arrive, had they arrived in order. */
    uint32_t next;   /* The number after the highest that has arrived. */
    uint64_t start_us, arrived_us; /* The first one was sent, the last one arrived. */
    uint64_t way_sum_us, way_min_us, way_max_us;
    uint64_t round_sum_us, round_min_us, round_max_us;
};

static void stretch(uint64_t value, uint64_t *sum, uint64_t *min, uint64_t *max)
{
    *sum += value;
    *min = value < *min ? value : *min;
    *max = value > *max ? value : *max;
}

/* The server's end: notes the way's length and sends it back. */
static void stream_arrive(struct stream *stream)
{
    struct sockaddr_in from;
    struct note note;
    while (net_take(stream->server.socket, 0, &from, &note)) {
        if (note.kind != NOTE_NUMBERED) {
            continue;
        }
        stretch(net_now_us() - note.sent_us, &stream->way_sum_us, &stream->way_min_us,
                &stream->way_max_us);
        stream->arrived++;
        stream->arrived_us = net_now_us();
        stream->late += note.number < stream->next;
        stream->bursts += note.number > stream->next;
        stream->next = note.number >= stream->next ? note.number + 1 : stream->next;
        net_send(stream->server.socket, &from, &note);
    }
}

static void stream_return(struct stream *stream)
{
    struct sockaddr_in from;
    struct note note;
    while (net_take(stream->socket, 0, &from, &note)) {
        if (note.kind == NOTE_NUMBERED) {
            stretch(net_now_us() - note.sent_us, &stream->round_sum_us, &stream->round_min_us,
                    &stream->round_max_us);
            stream->returned++;
        }
    }
}

/* Serves both ends until something is due or nothing has come for that long. */
static bool stream_serve(struct stream *stream, int patience_ms)
{
    struct pollfd ready[] = {{.fd = stream->socket, .events = POLLIN},
                             {.fd = stream->server.socket, .events = POLLIN}};
    int count = poll(ready, 2, patience_ms);
    stream_arrive(stream);
    stream_return(stream);
    return count > 0;
}

static void stream_print(const struct stream *stream)
{
    uint64_t arrived = stream->arrived > 0 ? stream->arrived : 1;
    uint64_t returned = stream->returned > 0 ? stream->returned : 1;
    printf("{\"sent\": %" PRIu32 ", \"arrived\": %" PRIu32 ", \"returned\": %" PRIu32
           ", \"late\": %" PRIu32 ", \"bursts\": %" PRIu32 ", \"lasted_us\": %" PRIu64 ", ",
           stream->sent, stream->arrived, stream->returned, stream->late, stream->bursts,
           stream->arrived > 0 ? stream->arrived_us - stream->start_us : 0);
    printf("\"way_us\": {\"mean\": %" PRIu64 ", \"min\": %" PRIu64 ", \"max\": %" PRIu64
           "}, \"round_us\": {\"mean\": %" PRIu64 ", \"min\": %" PRIu64 ", \"max\": %" PRIu64
           "}}\n",
           stream->way_sum_us / arrived, stream->way_min_us, stream->way_max_us,
           stream->round_sum_us / returned, stream->round_min_us, stream->round_max_us);
}

static int run_stream(char **words)
{
    struct stream stream = {.way_min_us = UINT64_MAX, .round_min_us = UINT64_MAX};
    uint32_t count = number(words[0]);
    uint64_t gap_us = number(words[1]);
    stream.server = net_server(words[3], words[4], SERVER_PORT);
    stream.socket = net_open(words[2], NULL);
    if (count < 1 || count > STREAM_MAX) {
        return usage();
    }
    stream.start_us = net_now_us();
    while (stream.sent < count) {
        uint64_t now_us = net_now_us();
        uint64_t due_us = stream.start_us + stream.sent * gap_us;
        if (now_us >= due_us) {
            struct note note = {
                .kind = NOTE_NUMBERED, .number = stream.sent++, .sent_us = net_now_us()};
            net_send(stream.socket, &stream.server.end, &note);
        }
        (void)stream_serve(&stream, now_us >= due_us ? 0 : (int)((due_us - now_us) / 1000));
    }
    while (stream.returned < count && stream_serve(&stream, STREAM_ENOUGH_MS)) {
    }
    (void)close(stream.socket);
    net_server_close(&stream.server);
    stream_print(&stream);
    return 0;
}
