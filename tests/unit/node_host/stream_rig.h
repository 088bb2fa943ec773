/* stream_rig.h - two hosts' streams on one loop, and a bare TCP client to annoy them with.
 *
 * Every test has addresses of its own in 127.23/16, so that tests run side by side. What arrives is
 * kept; a test runs the loop until what it waits for has come, and a watchdog ends one that waits
 * in vain.
 *
 *      pair.side[0] <-> loopback <-> pair.side[1]        client -> pair.side[1]
 */
#ifndef TESTS_UNIT_NODE_HOST_STREAM_RIG_H
#define TESTS_UNIT_NODE_HOST_STREAM_RIG_H

#include "node/host/loop.h"
#include "node/host/stream.h"

enum { PAIR_HEARD_MAX = 4096, PAIR_CLIENT_BYTES = 8192 };

struct pair_heard {
    int path;
    struct port_addr from;
    size_t len;
    uint8_t first;
    bool is_whole; /* All of its bytes follow from its length and first byte. */
};

struct pair_side {
    struct streams *streams;
    struct port_addr addr;
    uint32_t heard_count;
    struct pair_heard heard[PAIR_HEARD_MAX];
    uint32_t events[PORT_PATH_MTU + 1];
    int event_path; /* Of the last event. */
};

struct pair {
    uv_loop_t loop;
    uv_timer_t watchdog;
    struct pair_side side[2];
};

struct pair_client {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    bool is_connected;
    bool is_closed; /* By the other side: its end, or a reset. */
    size_t len;
    char bytes[PAIR_CLIENT_BYTES];
};

/* Both listen on 127.23.<net>.1 and .2. limits may be zero. */
void pair_open(struct pair *pair, unsigned net, bool is_masking, struct stream_limits limits);
/* Closes what is left and the loop; nothing may remain. */
void pair_close(struct pair *pair);
void pair_side_open(struct pair *pair, int side, unsigned net, bool is_masking,
                    struct stream_limits limits);
void pair_side_close(struct pair *pair, int side);
/* Runs the loop until *count has reached `want`. */
void pair_wait(struct pair *pair, const uint32_t *count, uint32_t want);
void pair_wait_true(struct pair *pair, const bool *fact);
/* Until as many streams are open there. */
void pair_wait_open(struct pair *pair, int side, uint32_t want);
struct stream_view pair_view(const struct pair *pair, int side);

/* A datagram of `len` bytes that starts with `first`. */
struct slice pair_datagram(size_t len, uint8_t first);

/* Connects to side 1. */
void pair_client_open(struct pair *pair, struct pair_client *client);
void pair_client_send(struct pair_client *client, const void *bytes, size_t len);
void pair_client_close(struct pair_client *client);

#endif /* TESTS_UNIT_NODE_HOST_STREAM_RIG_H */
