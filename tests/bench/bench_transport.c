/* bench_transport.c - what a message costs in transport: both ends, CPU time of one thread.
 *
 * Two peers on a toy host ask each other for no contacts at all, so that what is measured is
 * session, sealing, call and timers. The toy host's own cost is measured with the same datagrams
 * and no transport, and taken off.
 *
 *   warm   DATA there, DATA back, over a session that is established.
 *   cold   IK 1 with the request in it, IK 2 with the answer: no session is ever trusted.
 *
 * Then the primitives that make up most of it.
 *
 * usage: bench_transport [PAIRS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/base/must.h"
#include "node/sodium/sodium_suite.h"
#include "sim/host/host.h"
#include "tests/support/toy_peer.h"

enum {
    SEALS = 2000000,
    LATENCY_US = 1000,
    /* As long as a FIND_NODE and its empty answer, warm and cold. */
    WARM_BYTES = 55,
    COLD_BYTES = 883,
};

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void echo(struct toy_port *toy, const struct port_addr *from, struct slice bytes)
{
    if (toy->index == 1) {
        toy->port.ops->send(&toy->port, PORT_MAIN_PATH, from, bytes, (struct port_send_flags){0});
    }
}

/* Nanoseconds per datagram of the toy host alone. */
static double toy_ns(uint32_t pairs, size_t len)
{
    static const uint8_t bytes[PORT_DATAGRAM_MAX];
    struct toy_world *world = toy_open(2, 1, &modelled_suite);
    world->latency_us = LATENCY_US;
    struct port_addr addr = toy_addr(1);
    for (uint32_t i = 0; i < 2; i++) {
        toy_at(world, i)->callbacks.on_datagram = echo;
    }
    double start_ns = cpu_ns();
    for (uint32_t i = 0; i < pairs; i++) {
        struct toy_port *toy = toy_at(world, 0);
        toy_enter(toy);
        echo(toy, &addr, slice_of(bytes, len));
        toy->port.ops->send(&toy->port, PORT_MAIN_PATH, &addr, slice_of(bytes, len),
                            (struct port_send_flags){0});
        toy_leave(toy);
        toy_run_for(world, 2 * LATENCY_US);
    }
    double spent_ns = cpu_ns() - start_ns;
    toy_close(world);
    return spent_ns / (2.0 * pairs);
}

static double pair_ns(const struct port_crypto *crypto, bool is_warm, uint32_t pairs)
{
    struct toy_peers *peers = toy_peers_open(2, 1, crypto);
    peers->world->latency_us = LATENCY_US;
    peers->transport.session_idle_us = is_warm ? UINT64_C(1) << 50 : 0;
    peers->transport.rekey_after_us = UINT64_C(1) << 50;
    toy_peers_start(peers);
    struct toy_answer answer;
    for (uint32_t i = 0; i < 2; i++) {
        toy_at(peers->world, i)->is_muted = true;
    }
    uint32_t contact = toy_contact(peers, 1);
    toy_ask(&peers->peers[0], contact, MESSAGE_STORE, &answer);
    toy_run_for(peers->world, 4 * LATENCY_US);
    must(answer.answered == 1);

    double start_ns = cpu_ns();
    for (uint32_t i = 0; i < pairs; i++) {
        toy_ask(&peers->peers[0], contact, MESSAGE_FIND_NODE, &answer);
        toy_run_for(peers->world, 2 * LATENCY_US);
        must(answer.answered == 1);
    }
    double spent_ns = cpu_ns() - start_ns;
    must(peers->peers[0].core.counters.value[COUNT_RETRANSMITS] == 0);
    must(peers->peers[1].early_requests == (is_warm ? 0 : pairs));
    toy_peers_close(peers);
    return spent_ns / (2.0 * pairs);
}

static void print_pairs(const struct port_crypto *crypto, uint32_t pairs)
{
    double warm_ns = pair_ns(crypto, true, pairs);
    double cold_ns = pair_ns(crypto, false, pairs);
    double toy_warm_ns = toy_ns(pairs, WARM_BYTES);
    double toy_cold_ns = toy_ns(pairs, COLD_BYTES);
    printf("%-9s warm %8.0f ns/message (%.0f with the toy host)\n", crypto->name,
           warm_ns - toy_warm_ns, warm_ns);
    printf("%-9s cold %8.0f ns/message (%.0f with the toy host)\n", crypto->name,
           cold_ns - toy_cold_ns, cold_ns);
}

static void print_seals(const struct port_crypto *crypto, size_t len, uint32_t rounds)
{
    uint8_t key[CRYPTO_AGREE_LEN] = {1};
    uint8_t text[PORT_DATAGRAM_MAX] = {0};
    struct slice none = slice_of(NULL, 0);
    double start_ns = cpu_ns();
    for (uint32_t i = 0; i < rounds; i++) {
        crypto->seal(text, slice_of(text, len), none, i, key);
        key[i % sizeof key] ^= text[len];
    }
    double seal_ns = (cpu_ns() - start_ns) / rounds;
    start_ns = cpu_ns();
    for (uint32_t i = 0; i < rounds; i++) {
        crypto->hash(key, slice_of(key, sizeof key), slice_of(text, len));
    }
    printf("%-9s seal %6.1f ns, hash %6.1f ns of %zu bytes\n", crypto->name, seal_ns,
           (cpu_ns() - start_ns) / rounds, len);
}

int main(int argc, char **argv)
{
    uint32_t pairs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    must(sodium_suite_init() == ERR_OK && pairs >= 100);
    print_pairs(&modelled_suite, pairs);
    print_pairs(&sodium_suite, pairs / 50);
    print_seals(&modelled_suite, 40, SEALS);
    print_seals(&modelled_suite, 1100, SEALS);
    print_seals(&sodium_suite, 40, SEALS / 10);
    print_seals(&sodium_suite, 1100, SEALS / 10);
    return 0;
}
