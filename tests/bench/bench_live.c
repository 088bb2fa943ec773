/* bench_live.c - what a datagram costs two real nodes, against what libuv alone allows.
 *
 * Two nodes on one loop of one thread, on loopback, over an established session. The first sends
 * bursts of BURST sealed datagrams; each is received, opened, decoded and handed to the module it
 * is for, which is this program. So all of a node's way is measured but what the module does: a
 * broadcast would be hashed, a record verified. Counted is what both did for one datagram: sent
 * plus received per second of CPU time of the whole process.
 *
 * The bytes: no message is longer than a broadcast with MESSAGE_PAYLOAD_MAX bytes, 1,124, and data
 * packets allow no padding. With header and tag that is 1,153 bytes of UDP payload, 1,181 with UDP
 * and IPv4, 1,195 with Ethernet's header.
 *
 * The ceiling is libuv's UDP handle and the same AEAD of libsodium, one key and one nonce, bursts
 * of the same number and length: from uv_udp_send (which queues) or uv_udp_try_send (a system call
 * each) to a handle that receives by recvmmsg. The ratio is to the better of the two, once at our
 * length and once at 1,200 bytes sealed.
 *
 * usage: bench_live [ROUNDS]      (of 0.5 s each; the median is told)
 */
#define _DEFAULT_SOURCE /* SO_RCVBUFFORCE */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "node/base/must.h"
#include "node/host/host.h"
#include "node/transport/packet.h"
#include "node/transport/session.h"

enum {
    BURST = 32,
    ROUNDS = 5,
    ROUNDS_MAX = 99,
    ROUND_US = 500000,
    RECEIVE_BYTES = 32 * 64 * 1024,
    SOCKET_BUFFER_BYTES = 4 << 20,
    CEILING_BYTES = 1200,
    TAG_BYTES = 16,
};

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double first = *(const double *)a;
    double second = *(const double *)b;
    return (first > second) - (first < second);
}

/* --- two nodes ------------------------------------------------------------------------------- */

struct live {
    struct host_loop *loop;
    struct host *sender;
    struct host *receiver;
    struct node_config config;
    struct port_addr to;
    bool is_connected;
    uint8_t datagram[PORT_DATAGRAM_MAX];
    size_t message_len;
    uint64_t sent;
    uint64_t received;
};

static void on_message(void *arg, const struct message_from *from, const struct message *message)
{
    struct live *live = arg;
    (void)from;
    live->received += message->kind == MESSAGE_BROADCAST;
}

static void on_verified(void *arg, uint32_t peer, uint32_t rtt_us, bool is_client)
{
    (void)arg;
    (void)peer;
    (void)rtt_us;
    (void)is_client;
}

static void on_lost(void *arg, uint32_t peer)
{
    (void)arg;
    (void)peer;
}

static bool on_is_wanted(void *arg, const struct node_id *id, const struct port_addr *addr)
{
    (void)arg;
    (void)id;
    (void)addr;
    return false;
}

/* Takes the place of the receiver's other modules: lookups of the sender go unanswered. */
static void watch(struct node *node, void *arg)
{
    node->transport.hooks = (struct transport_hooks){.arg = arg,
                                                     .message = on_message,
                                                     .verified = on_verified,
                                                     .lost = on_lost,
                                                     .is_wanted = on_is_wanted};
}

static void on_delivered(void *arg, const struct port_event *event)
{
    struct live *live = arg;
    live->is_connected |= event->kind == NODE_CONNECTED && event->status == ERR_OK;
}

static void encode(struct node *node, void *arg)
{
    static const uint8_t payload[MESSAGE_PAYLOAD_MAX] = {1, 2, 3};
    struct live *live = arg;
    const struct message message = {
        .kind = MESSAGE_BROADCAST,
        .call = 1,
        .broadcast = {.payload = slice_of(payload, sizeof payload), .hops = 1}};
    int len = message_encode(node->core.port, &message, live->datagram + PACKET_DATA_HEADER_LEN,
                             MESSAGE_MAX);
    must(len > 0);
    live->message_len = (size_t)len;
}

/* Sealing is in place, so each has its own copy of the text: as a message is encoded anew. */
static void burst(struct node *node, void *arg)
{
    struct live *live = arg;
    struct transport *transport = &node->transport;
    struct session *session = NULL;
    for (uint32_t place = 0; session == NULL; place++) {
        must(place < transport->sessions.made);
        session = pool_peek(&transport->sessions, (uint16_t)place);
        if (session != NULL && session->state != SESSION_ESTABLISHED) {
            session = NULL;
        }
    }
    for (int i = 0; i < BURST; i++) {
        uint8_t datagram[PORT_DATAGRAM_MAX];
        memcpy(datagram, live->datagram, PACKET_DATA_HEADER_LEN + live->message_len);
        session_send(transport, session, datagram, live->message_len);
        live->sent++;
    }
}

static struct host *node_open(struct live *live)
{
    char reason[HOST_REASON_SIZE];
    struct host *host;
    const struct host_options options = {.bind = "127.21.0.2",
                                         .hooks = {.arg = live, .delivered = on_delivered}};
    must(host_open(live->loop, &options, &host, reason) == ERR_OK);
    must(host_start(host, &live->config) == ERR_OK);
    return host;
}

static void live_open(struct live *live)
{
    char reason[HOST_REASON_SIZE];
    *live = (struct live){0};
    node_config_default(&live->config);
    live->config.guard.group_rate = 0; /* Not limited, but for a peer's requests: those count. */
    live->config.guard.peer_per_minute = GUARD_REQUESTS_MAX;
    live->config.guard.peer_per_hour = GUARD_REQUESTS_MAX;
    must(host_loop_open(&live->loop, reason) == ERR_OK);
    live->receiver = node_open(live);
    live->sender = node_open(live);
    live->to = host_addr(live->receiver);
    const struct node_command connect = {.kind = NODE_CONNECT, .number = 1, .addr = live->to};
    must(host_submit(live->sender, &connect) == ERR_OK);
    while (!live->is_connected) {
        uv_run(host_loop_uv(live->loop), UV_RUN_ONCE);
    }
    host_enter(live->sender, encode, live);
    host_enter(live->receiver, watch, live);
}

/* Datagrams sent and received per second of CPU. */
static double live_round(struct live *live)
{
    uv_loop_t *uv = host_loop_uv(live->loop);
    uint64_t before = live->received;
    double start_s = cpu_s();
    uint64_t end_us = host_loop_now_us(live->loop) + ROUND_US;
    while (host_loop_now_us(live->loop) < end_us) {
        host_enter(live->sender, burst, live);
        while (live->received < live->sent) {
            uv_run(uv, UV_RUN_ONCE);
        }
    }
    return (double)(live->received - before) / (cpu_s() - start_s);
}

static void live_close(struct live *live)
{
    struct host_view view;
    host_observe(live->sender, &view);
    must(view.datagrams_dropped == 0);
    host_close(live->sender);
    host_close(live->receiver);
    host_loop_close(live->loop);
}

/* --- libuv alone ----------------------------------------------------------------------------- */

struct ceiling {
    uv_loop_t uv;
    uv_udp_t sender;
    uv_udp_t receiver;
    uv_udp_send_t requests[BURST];
    uint8_t sealed[BURST][CEILING_BYTES];
    struct sockaddr_in to;
    bool is_queueing; /* uv_udp_send; else uv_udp_try_send. */
    size_t len;       /* Sealed. */
    unsigned in_flight;
    uint64_t received;
    uint64_t end_ns;
};

static const uint8_t key[crypto_aead_chacha20poly1305_IETF_KEYBYTES];
static const uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];
static const uint8_t plain[CEILING_BYTES];
static char receive_buffer[RECEIVE_BYTES];

static void on_sent(uv_udp_send_t *request, int status)
{
    (void)request;
    must(status == 0);
}

static void ceiling_burst(struct ceiling *ceiling)
{
    const struct sockaddr *to = (const void *)&ceiling->to;
    for (int i = 0; i < BURST; i++) {
        uint8_t *sealed = ceiling->sealed[i];
        crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, plain, ceiling->len - TAG_BYTES,
                                                  NULL, 0, NULL, nonce, key);
        uv_buf_t buffer = uv_buf_init((char *)sealed, (unsigned)ceiling->len);
        if (ceiling->is_queueing) {
            must(uv_udp_send(&ceiling->requests[i], &ceiling->sender, &buffer, 1, to, on_sent) ==
                 0);
            ceiling->in_flight++;
        } else if (uv_udp_try_send(&ceiling->sender, &buffer, 1, to) >= 0) {
            ceiling->in_flight++;
        }
    }
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(receive_buffer, sizeof receive_buffer);
}

static void on_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    struct ceiling *ceiling = udp->data;
    (void)flags;
    if (len <= 0 || from == NULL) {
        return;
    }
    uint8_t opened[CEILING_BYTES];
    must(crypto_aead_chacha20poly1305_ietf_decrypt(opened, NULL, NULL, (uint8_t *)buffer->base,
                                                   (size_t)len, NULL, 0, nonce, key) == 0);
    ceiling->received++;
    if (--ceiling->in_flight > 0) {
        return;
    }
    if (uv_hrtime() >= ceiling->end_ns) {
        uv_stop(&ceiling->uv);
    } else {
        ceiling_burst(ceiling);
    }
}

static double ceiling_round(bool is_queueing, size_t len)
{
    static struct ceiling ceiling;
    ceiling = (struct ceiling){.is_queueing = is_queueing, .len = len};
    struct sockaddr_in any;
    int to_len = sizeof ceiling.to;
    int bytes = SOCKET_BUFFER_BYTES;
    uv_os_fd_t fd;
    must(uv_ip4_addr("127.21.0.3", 0, &any) == 0);
    must(uv_loop_init(&ceiling.uv) == 0);
    must(uv_udp_init_ex(&ceiling.uv, &ceiling.sender, AF_INET) == 0);
    must(uv_udp_init_ex(&ceiling.uv, &ceiling.receiver, AF_INET | UV_UDP_RECVMMSG) == 0);
    must(uv_udp_bind(&ceiling.sender, (const void *)&any, 0) == 0);
    must(uv_udp_bind(&ceiling.receiver, (const void *)&any, 0) == 0);
    must(uv_fileno((uv_handle_t *)&ceiling.receiver, &fd) == 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    must(uv_udp_getsockname(&ceiling.receiver, (void *)&ceiling.to, &to_len) == 0);
    ceiling.receiver.data = &ceiling;
    must(uv_udp_recv_start(&ceiling.receiver, on_buffer, on_received) == 0);

    double start_s = cpu_s();
    ceiling.end_ns = uv_hrtime() + ROUND_US * UINT64_C(1000);
    ceiling_burst(&ceiling);
    uv_run(&ceiling.uv, UV_RUN_DEFAULT);
    double rate = (double)ceiling.received / (cpu_s() - start_s);

    uv_close((uv_handle_t *)&ceiling.sender, NULL);
    uv_close((uv_handle_t *)&ceiling.receiver, NULL);
    uv_run(&ceiling.uv, UV_RUN_DEFAULT);
    must(uv_loop_close(&ceiling.uv) == 0);
    return rate;
}

/* --- side by side ---------------------------------------------------------------------------- */

static double median(double *rates, int count)
{
    qsort(rates, (size_t)count, sizeof *rates, compare);
    return rates[count / 2];
}

static void print_ratio(double live_rate, double queued_rate, double tried_rate, size_t len)
{
    double best = queued_rate > tried_rate ? queued_rate : tried_rate;
    printf("libuv alone, %zu bytes: uv_udp_send %.0f, uv_udp_try_send %.0f, ratio %.2f\n", len,
           queued_rate, tried_rate, live_rate / best);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : ROUNDS;
    must(rounds > 0 && rounds <= ROUNDS_MAX);
    static struct live live;
    live_open(&live);
    size_t len = live.message_len + PACKET_DATA_OVERHEAD;
    /* Round by round in turns, so that a neighbour's load falls on all alike. */
    double rates[5][ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        rates[0][i] = live_round(&live);
        rates[1][i] = ceiling_round(true, len);
        rates[2][i] = ceiling_round(false, len);
        rates[3][i] = ceiling_round(true, CEILING_BYTES);
        rates[4][i] = ceiling_round(false, CEILING_BYTES);
    }
    double medians[5];
    for (int i = 0; i < 5; i++) {
        medians[i] = median(rates[i], rounds);
    }
    printf("datagrams sent and received per CPU-second, sealed, median of %d rounds\n", rounds);
    printf("two nodes, %zu bytes of UDP payload: %.0f\n", len, medians[0]);
    print_ratio(medians[0], medians[1], medians[2], len);
    print_ratio(medians[0], medians[3], medians[4], CEILING_BYTES);
    live_close(&live);
    return 0;
}
