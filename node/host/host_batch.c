/* host_batch.c - outgoing datagrams, many to a system call and, where the kernel helps, many to a
 * message. */
#define _GNU_SOURCE /* sendmmsg */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "node/base/must.h"
#include "node/host/loop.h"

enum {
    /* What one message may hold: an IPv4 datagram less its headers (RFC 768, RFC 791). */
    SEGMENTS_BYTES_MAX = 65535 - 20 - 8,
    SEGMENT_OPTION = 103, /* UDP_SEGMENT of linux/udp.h, since Linux 4.18. */
};

/* One message: datagrams `first` and those after it. */
struct parcel {
    uint32_t first;
    uint32_t count;
    struct iovec bytes;
    union {
        struct cmsghdr align;
        uint8_t bytes[3 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))];
    } control;
};

struct parcels {
    uint32_t count;
    struct parcel items[BATCH_MAX];
    struct mmsghdr messages[BATCH_MAX];
};

static uint32_t run_end(const struct batch *batch, uint32_t first);
static void run_send(struct batch *batch, uint32_t first, uint32_t end);
static void parcels_pack(struct parcels *parcels, struct batch *batch, uint32_t first,
                         uint32_t end);
static uint32_t parcel_len(const struct batch *batch, uint32_t first, uint32_t end);
static void parcel_label(struct parcel *parcel, const struct batch_item *item,
                         struct msghdr *message);
static void option_add(struct msghdr *message, int level, int type, const void *value, size_t len);
static void count_sent(struct batch *batch, uint32_t first, uint32_t end);

void batch_init(struct batch *batch)
{
    batch->count = 0;
    batch->bytes_len = 0;
    batch->has_segments = true; /* Until a message of several is refused. */
}

void batch_add(struct batch *batch, struct host_socket *socket, const union socket_address *to,
               struct slice bytes, struct port_send_flags flags)
{
    must(bytes.len <= PORT_DATAGRAM_MAX);
    if (batch->count == BATCH_MAX) {
        batch_flush(batch);
    }
    struct batch_item *item = &batch->items[batch->count++];
    item->socket = socket;
    item->to = *to;
    item->offset = batch->bytes_len;
    item->len = (uint16_t)bytes.len;
    item->flags = flags;
    if (bytes.len > 0) {
        memcpy(batch->bytes + batch->bytes_len, bytes.data, bytes.len);
    }
    batch->bytes_len += (uint32_t)bytes.len;
}

void batch_flush(struct batch *batch)
{
    for (uint32_t first = 0; first < batch->count;) {
        uint32_t end = run_end(batch, first);
        run_send(batch, first, end);
        first = end;
    }
    batch->count = 0;
    batch->bytes_len = 0;
}

/* A run goes by one system call: one socket, and one say about fragments, which IPv4 has as an
 * option of the socket and not of a message. */
static uint32_t run_end(const struct batch *batch, uint32_t first)
{
    const struct batch_item *head = &batch->items[first];
    uint32_t end = first + 1;
    while (end < batch->count && batch->items[end].socket == head->socket &&
           batch->items[end].flags.dont_fragment == head->flags.dont_fragment) {
        end++;
    }
    return end;
}

/* IPv6 first: an AF_INET6 socket has both, one for each kind of peer. */
static void fragments_forbid(const struct host_socket *socket, bool is_forbidden)
{
    int v4 = is_forbidden ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT;
    int v6 = is_forbidden ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT;
    if (!socket->is_v4) {
        (void)setsockopt(socket->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof v6);
    }
    (void)setsockopt(socket->fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof v4);
}

/* Sends all of a run that the kernel takes, and counts the rest as dropped. */
static void run_send(struct batch *batch, uint32_t first, uint32_t end)
{
    struct parcels parcels;
    const struct host_socket *socket = batch->items[first].socket;
    bool is_forbidding = batch->items[first].flags.dont_fragment;
    if (is_forbidding) {
        fragments_forbid(socket, true);
    }
    parcels_pack(&parcels, batch, first, end);
    uint32_t sent = 0;
    while (sent < parcels.count) {
        int taken = sendmmsg(socket->fd, &parcels.messages[sent], parcels.count - sent, 0);
        const struct parcel *parcel = &parcels.items[sent];
        if (taken > 0) {
            sent += (uint32_t)taken;
            const struct parcel *last = &parcels.items[sent - 1];
            count_sent(batch, parcel->first, last->first + last->count);
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            batch->items[first].socket->host->counts.datagrams_dropped += end - parcel->first;
            break; /* The socket is full: what follows would fare no better. */
        } else if (errno != EINTR && parcel->count > 1) {
            batch->has_segments = false; /* A device without checksums, an old kernel. */
            parcels_pack(&parcels, batch, parcel->first, end);
            sent = 0;
        } else if (errno != EINTR) {
            batch->items[first].socket->host->counts.datagrams_dropped++;
            sent++; /* This receiver's trouble: no route, a firewall, no such address. */
        }
    }
    if (is_forbidding) {
        fragments_forbid(socket, false);
    }
}

static void count_sent(struct batch *batch, uint32_t first, uint32_t end)
{
    struct host_view *counts = &batch->items[first].socket->host->counts;
    for (uint32_t i = first; i < end; i++) {
        counts->datagrams_out++;
        counts->bytes_out += batch->items[i].len;
    }
}

static void parcels_pack(struct parcels *parcels, struct batch *batch, uint32_t first, uint32_t end)
{
    parcels->count = 0;
    while (first < end) {
        struct batch_item *item = &batch->items[first];
        struct parcel *parcel = &parcels->items[parcels->count];
        struct mmsghdr *message = &parcels->messages[parcels->count++];
        parcel->first = first;
        parcel->count = batch->has_segments ? parcel_len(batch, first, end) : 1;
        const struct batch_item *last = &batch->items[first + parcel->count - 1];
        parcel->bytes = (struct iovec){.iov_base = batch->bytes + item->offset,
                                       .iov_len = last->offset + last->len - item->offset};
        *message =
            (struct mmsghdr){.msg_hdr = {.msg_name = &item->to,
                                         .msg_namelen = item->socket->is_v4 ? sizeof item->to.v4
                                                                            : sizeof item->to.v6,
                                         .msg_iov = &parcel->bytes,
                                         .msg_iovlen = 1}};
        parcel_label(parcel, item, &message->msg_hdr);
        first += parcel->count;
    }
}

static bool is_same_address(const union socket_address *a, const union socket_address *b)
{
    if (a->any.sa_family != b->any.sa_family) {
        return false;
    }
    if (a->any.sa_family == AF_INET) {
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    }
    return a->v6.sin6_port == b->v6.sin6_port && a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

/* How many datagrams from `first` on differ in their bytes only, but for a shorter last one. */
static uint32_t parcel_len(const struct batch *batch, uint32_t first, uint32_t end)
{
    const struct batch_item *head = &batch->items[first];
    uint32_t bytes_len = head->len;
    uint32_t at = first + 1;
    bool is_complete = head->len == 0;
    while (at < end && !is_complete) {
        const struct batch_item *item = &batch->items[at];
        bytes_len += item->len;
        if (item->len == 0 || item->len > head->len || bytes_len > SEGMENTS_BYTES_MAX ||
            item->flags.ttl != head->flags.ttl || item->flags.ecn != head->flags.ecn ||
            !is_same_address(&item->to, &head->to)) {
            break;
        }
        is_complete = item->len < head->len;
        at++;
    }
    return at - first;
}

static void parcel_label(struct parcel *parcel, const struct batch_item *item,
                         struct msghdr *message)
{
    message->msg_control = parcel->control.bytes;
    message->msg_controllen = 0;
    bool is_v4 = item->socket->is_v4 || IN6_IS_ADDR_V4MAPPED(&item->to.v6.sin6_addr);
    int level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
    if (item->flags.ttl != 0) {
        int ttl = item->flags.ttl;
        option_add(message, level, is_v4 ? IP_TTL : IPV6_HOPLIMIT, &ttl, sizeof ttl);
    }
    if (item->flags.ecn != 0) {
        int ecn = item->flags.ecn;
        option_add(message, level, is_v4 ? IP_TOS : IPV6_TCLASS, &ecn, sizeof ecn);
    }
    if (parcel->count > 1) {
        uint16_t len = item->len;
        option_add(message, IPPROTO_UDP, SEGMENT_OPTION, &len, sizeof len);
    }
    if (message->msg_controllen == 0) {
        message->msg_control = NULL;
    }
}

static void option_add(struct msghdr *message, int level, int type, const void *value, size_t len)
{
    struct cmsghdr *option = (void *)((uint8_t *)message->msg_control + message->msg_controllen);
    memset(option, 0, CMSG_SPACE(len));
    option->cmsg_level = level;
    option->cmsg_type = type;
    option->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(option), value, len);
    message->msg_controllen += CMSG_SPACE(len);
}
