/* flood_peer.c - a peer that shakes hands as it should, then sends forged records as fast as it
 * can; banned or not, it comes back with a new key. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/host/host.h"
#include "tests/live/flood.h"

enum {
    LIFE_US = 1000000, /* Of one key. */
    CALLS_MAX = 4096,
    BURST = 64,
    TICK_MS = 1,
};

struct villain {
    struct host *host;
    struct port_addr target;
    uint32_t peer; /* Contact handle; 0 until the target has answered. */
    uint64_t sent;
    uint64_t answered;
    bool has_called;
};

static void attack(struct node *node, void *arg);
static void send_forged(struct node *node, struct villain *villain);
static void on_met(void *owner, const struct call_result *result);
static void on_answer(void *owner, const struct call_result *result);
static void on_tick(uv_timer_t *timer);

void flood_signatures(const struct flood *flood)
{
    char reason[HOST_REASON_SIZE];
    struct host_loop *loop;
    struct node_config config;
    uint64_t keys = 0, sent = 0, answered = 0;
    node_config_default(&config);
    config.transport.calls_max = CALLS_MAX;
    must(host_loop_open(&loop, reason) == ERR_OK);
    uv_timer_t timer;
    must(uv_timer_init(host_loop_uv(loop), &timer) == 0);
    struct villain villain;
    timer.data = &villain;
    must(uv_timer_start(&timer, on_tick, TICK_MS, TICK_MS) == 0);
    while (flood_now_us() < flood->until_us) {
        char bind[] = "127.28.250.2";
        struct host_options options = {.bind = bind};
        villain = (struct villain){0};
        memcpy(villain.target.ip + 12, &flood->target.sin_addr, 4);
        memset(villain.target.ip + 10, 0xff, 2);
        memcpy(villain.target.port, &flood->target.sin_port, 2);
        if (host_open(loop, &options, &villain.host, reason) != ERR_OK ||
            host_start(villain.host, &config) != ERR_OK) {
            fprintf(stderr, "flood: %s\n", reason);
            exit(1);
        }
        uint64_t end_us = flood_now_us() + LIFE_US;
        end_us = end_us < flood->until_us ? end_us : flood->until_us;
        while (flood_now_us() < end_us) {
            uv_run(host_loop_uv(loop), UV_RUN_ONCE);
        }
        keys++;
        sent += villain.sent;
        answered += villain.answered;
        struct host *host = villain.host;
        villain.host = NULL;
        host_kill(host);
        host_close(host);
    }
    printf("{\"keys\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"answered\": %" PRIu64 "}\n", keys,
           sent, answered);
    uv_close((uv_handle_t *)&timer, NULL);
    host_loop_close(loop);
}

static void on_tick(uv_timer_t *timer)
{
    struct villain *villain = timer->data;
    if (villain->host != NULL) {
        host_enter(villain->host, attack, villain);
    }
}

static void attack(struct node *node, void *arg)
{
    struct villain *villain = arg;
    if (!villain->has_called) {
        struct message request = {.kind = MESSAGE_FIND_NODE, .find_node = {.count = 1}};
        struct call_options options = {.done = on_met, .owner = villain};
        villain->has_called =
            transport_call_addr(&node->transport, &villain->target, &request, &options) >= 0;
    }
    for (int i = 0; i < BURST && villain->peer != PORT_INTERN_NONE; i++) {
        send_forged(node, villain);
    }
}

/* A signature that costs its reader a whole verification: the publisher is a real key, the
 * signature's parts have their right ranges. */
static void send_forged(struct node *node, struct villain *villain)
{
    uint8_t value[64];
    randombytes_buf(value, sizeof value);
    struct message request = {.kind = MESSAGE_STORE,
                              .store = {.record = {.kind = RECORD_MUTABLE,
                                                   .sequence = 1,
                                                   .expiry_s = 3600,
                                                   .value = slice_of(value, sizeof value)}}};
    struct record *record = &request.store.record;
    record_sign(node->core.port, record, node->identity.public_key, node->identity.secret_key);
    record->sequence++; /* Signed was another. */
    struct call_options options = {.done = on_answer, .owner = villain};
    villain->sent += transport_call(&node->transport, villain->peer, &request, &options) >= 0;
}

static void on_met(void *owner, const struct call_result *result)
{
    struct villain *villain = owner;
    if (result->outcome == CALL_ANSWERED) {
        villain->peer = result->peer; /* Its session keeps the contact for the second it lives. */
    }
}

static void on_answer(void *owner, const struct call_result *result)
{
    struct villain *villain = owner;
    villain->answered += result->outcome == CALL_ANSWERED;
}
