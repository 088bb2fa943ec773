/* stun_peer.c - a STUN server and a STUN client on real sockets, for tests/live/stun.sh.
 *
 * usage: stun_peer serve IP1 IP2 PORT1 PORT2      IP2 "-": a server with one address
 *        stun_peer ask SERVER PORT [plain | signed | sha256]
 *
 * The server prints "ready" and answers until it is killed. The client prints what it has learnt,
 * one "name value" per line, and fails when nobody answered. "plain" asks without FINGERPRINT,
 * "signed" with MESSAGE-INTEGRITY of credentials that the server does not know, "sha256" with
 * MESSAGE-INTEGRITY-SHA256 as well.
 */
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/nat/classify.h"
#include "node/nat/stun_client.h"
#include "node/nat/stun_server.h"
#include "tests/live/udp_end.h"

enum {
    RTO_US = 50000, /* The network is one cable; a filter's silence takes 79 times this. */
};

enum variant { VARIANT_USUAL, VARIANT_PLAIN, VARIANT_SIGNED, VARIANT_SHA256 };

static const char *const variant_texts[] = {"", "plain", "signed", "sha256"};

struct asker {
    int socket;
    struct port_addr local;
    enum variant variant;
    struct classify classify;
};

static struct port_addr parsed(const char *ip, const char *port)
{
    struct port_addr addr;
    if (!end_parse(&addr, ip, port)) {
        fprintf(stderr, "stun_peer: %s %s is no address\n", ip, port);
        exit(2);
    }
    return addr;
}

/* --- serve ------------------------------------------------------------------------------------ */

static void serve_one(const struct stun_server_config *config, const int sockets[STUN_LOCALS],
                      uint8_t local)
{
    uint8_t bytes[END_DATAGRAM_MAX];
    struct stun_server_question question = {.local = local};
    struct stun_server_reply reply;
    size_t len = end_receive(sockets[local], bytes, &question.from);
    question.request = slice_of(bytes, len);
    if (stun_server_answer(config, &question, &reply)) {
        end_send(sockets[reply.local], &reply.to, reply.bytes, reply.len);
    }
}

_Noreturn static void serve(char **words)
{
    static const char software[] = "meshtwin stun_peer";
    struct stun_server_config config = {.software = slice_of(software, sizeof software - 1),
                                        .has_other = strcmp(words[1], "-") != 0};
    nfds_t count = config.has_other ? STUN_LOCALS : 1;
    int sockets[STUN_LOCALS];
    struct pollfd polled[STUN_LOCALS];
    for (nfds_t i = 0; i < count; i++) {
        config.local[i] = parsed(words[i / STUN_OTHER_IP], words[2 + i % STUN_OTHER_IP]);
        sockets[i] = end_bind(&config.local[i]);
        polled[i] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
    }
    printf("ready\n");
    fflush(stdout);
    while (poll(polled, count, -1) > 0) {
        for (nfds_t i = 0; i < count; i++) {
            if (polled[i].revents != 0) {
                serve_one(&config, sockets, (uint8_t)i);
            }
        }
    }
    perror("poll");
    exit(2);
}

/* --- ask -------------------------------------------------------------------------------------- */

/* The address from which the kernel would send to `server`, with a port of its own. */
static void asker_open(struct asker *asker, const struct port_addr *server)
{
    struct port_addr local = end_route(server);
    asker->socket = end_bind(&local);
    asker->local = end_name(asker->socket);
    classify_start(&asker->classify);
}

/* The same question with credentials. */
static size_t sign(const struct stun_client *client, bool has_sha256, uint8_t *buffer, size_t cap)
{
    struct stun_writer writer;
    struct slice key = slice_of("secret", 6);
    stun_start(&writer, buffer, cap, STUN_REQUEST, STUN_BINDING, &client->id);
    stun_add_bytes(&writer, STUN_USERNAME, slice_of("stranger", 8));
    stun_add_integrity(&writer, key);
    if (has_sha256) {
        stun_add_sha256(&writer, key);
    }
    stun_add_fingerprint(&writer);
    return stun_end(&writer);
}

static void question_run(struct asker *asker, const struct stun_client_options *options,
                         struct stun_client *client)
{
    struct stun_id id;
    randombytes_buf(&id, sizeof id);
    stun_client_start(client, options, &id, end_now_us());
    while (client->state == STUN_ASKING) {
        uint8_t bytes[END_DATAGRAM_MAX];
        size_t len = stun_client_ask(client, end_now_us(), bytes);
        if (len > 0 && asker->variant >= VARIANT_SIGNED) {
            len = sign(client, asker->variant == VARIANT_SHA256, bytes, sizeof bytes);
        }
        if (len > 0) {
            end_send(asker->socket, &options->server, bytes, len);
        }
        uint64_t next_us = stun_client_next_us(client);
        uint64_t start_us = end_now_us();
        struct pollfd polled = {.fd = asker->socket, .events = POLLIN};
        if (next_us == PORT_NEVER || next_us <= start_us) {
            continue;
        }
        if (poll(&polled, 1, (int)((next_us - start_us) / 1000 + 1)) > 0) {
            struct port_addr from;
            len = end_receive(asker->socket, bytes, &from);
            (void)stun_client_hear(client, end_now_us(), &from, slice_of(bytes, len));
        }
    }
}

static void see(struct asker *asker, const struct port_addr *server, struct stun_client *client)
{
    struct stun_client_options options = {
        .server = *server, .rto_us = RTO_US, .is_plain = asker->variant == VARIANT_PLAIN};
    uint64_t asked_us = end_now_us();
    question_run(asker, &options, client);
    if (client->state == STUN_ANSWERED) {
        struct classify_sight sight = {.remote = *server,
                                       .mapped = client->result.mapped,
                                       .local = asker->local,
                                       .asked_us = asked_us};
        classify_saw(&asker->classify, &sight);
    } else if (client->state == STUN_SILENT) {
        classify_silent(&asker->classify, server);
    }
}

static void probe(struct asker *asker, const struct port_addr *server,
                  const struct port_addr *other, uint32_t change, enum classify_probe kind)
{
    struct stun_client client;
    struct stun_client_options options = {.server = *server,
                                          .other = *other,
                                          .change = change,
                                          .rto_us = RTO_US,
                                          .is_plain = asker->variant == VARIANT_PLAIN};
    question_run(asker, &options, &client);
    if (client.state == STUN_ANSWERED) {
        classify_probed(&asker->classify, kind, true);
    }
    for (uint8_t i = 0; client.state == STUN_SILENT && i < client.sent; i++) {
        classify_probed(&asker->classify, kind, false);
    }
}

static int ask(struct asker *asker, const struct port_addr *server)
{
    struct stun_client client;
    asker_open(asker, server);
    see(asker, server, &client);
    if (client.state != STUN_ANSWERED) {
        printf("%s %u\n", client.state == STUN_REFUSED ? "refused" : "silent",
               client.result.error_code);
        return 1;
    }
    struct port_addr other = client.result.other;
    printf("mapped %s\n", end_text(&client.result.mapped));
    printf("local %s\n", end_text(&asker->local));
    printf("rewritten %s\n", client.result.is_rewritten ? "yes" : "no");
    printf("other %s\n", client.result.has_other ? end_text(&other) : "none");
    if (client.result.has_other && asker->variant < VARIANT_SIGNED) {
        /* Filters first: afterwards the other addresses are no strangers (RFC 5780 section 4.4). */
        probe(asker, server, &other, STUN_CHANGE_IP | STUN_CHANGE_PORT, CLASSIFY_OTHER_ADDRESS);
        probe(asker, server, &other, STUN_CHANGE_PORT, CLASSIFY_OTHER_PORT);
        struct port_addr second = other;
        memcpy(second.port, server->port, sizeof second.port);
        see(asker, &second, &client);
        see(asker, &other, &client);
    }
    struct nat_class class;
    classify_result(&asker->classify, &class);
    printf("mapping %s\n", nat_mapping_text(class.mapping));
    printf("filtering %s\n", nat_filtering_text(class.filtering));
    printf("assignment %s\n", nat_assignment_text(class.assignment));
    printf("blocked %s\n", nat_fact_text(class.blocked));
    return 0;
}

int main(int count, char **words)
{
    if (sodium_init() < 0) {
        return 2;
    }
    if (count == 6 && strcmp(words[1], "serve") == 0) {
        serve(words + 2);
    }
    if ((count == 4 || count == 5) && strcmp(words[1], "ask") == 0) {
        static struct asker asker;
        struct port_addr server = parsed(words[2], words[3]);
        const char *variant = count == 5 ? words[4] : "";
        for (size_t i = 0; i < array_len(variant_texts); i++) {
            if (strcmp(variant, variant_texts[i]) == 0) {
                asker.variant = (enum variant)i;
            }
        }
        return ask(&asker, &server);
    }
    fprintf(stderr, "usage: stun_peer serve IP1 IP2 PORT1 PORT2\n"
                    "       stun_peer ask SERVER PORT [plain | signed | sha256]\n");
    return 2;
}
