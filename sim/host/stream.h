/* stream.h - what host_stream.c and host_segment.c share: streams of simulated hosts.
 *
 * Streams carry datagrams, framed, reliably and in order. TCP and masked ones are the same here:
 * what the mask hides is the bytes, and no model looks at those.
 *
 *      node -> host_stream.c: the ends of streams -> host_segment.c: one segment -> boxes, network
 *      node <- host_stream.c: whose is it, in its turn? <- host_segment.c <- event -------'
 *
 * An end belongs to its host alone, and hears of the other end only by segments. What a network
 * loses the sender's transport repeats, which takes time: a segment that is lost by chance arrives
 * late instead. One that a box lets not pass comes back to its sender as missed, after the time in
 * which no acknowledgement has come, and is sent again through whatever the boxes know by then.
 */
#ifndef SIM_HOST_STREAM_H
#define SIM_HOST_STREAM_H

#include "sim/host/world.h"

enum segment_kind {
    SEGMENT_SYN,
    SEGMENT_SYN_ACK,
    SEGMENT_HELLO, /* The first of each direction: names the port that its sender listens on. */
    SEGMENT_DATA,  /* One datagram. */
    SEGMENT_END,   /* FIN: nothing follows. */
    SEGMENT_RESET,
    /* Of a host to itself: a stream's deadline, and room in its backlog. */
    SEGMENT_TIMER,
    SEGMENT_ROOM,
};

/* The two ends of a stream as one of them knows them. */
struct stream_ends {
    struct napt_end remote;
    uint16_t local_port;
};

/* At the head of a packet's bytes; what is sent follows. */
struct segment {
    uint64_t sent_us;
    uint32_t patience_us;    /* From sending it until it is taken for lost. */
    uint32_t sender;         /* Host. */
    uint32_t number;         /* Of this direction, HELLO is 0; of a timer: the stream's. */
    struct stream_ends ends; /* As its sender knows them. */
    uint16_t listens_at;
    uint8_t kind;
    uint8_t tries;
    uint8_t depth; /* As in the packet when it had left its sender's boxes. */
    bool is_back;  /* With its sender again: missed, or a SEGMENT_RESET in its place. */
};
_Static_assert(sizeof(struct segment) == PACKET_SEGMENT_BYTES, "fits before a datagram");

struct segment *segment_of(struct packet *packet);
struct slice segment_data(const struct packet *packet);
/* A packet that holds the segment and the data; its index. */
uint32_t segment_make(struct host *host, const struct segment *segment, struct slice data);

/* When a segment leaves, and that it must not arrive before what was sent ahead of it. */
struct segment_time {
    uint64_t leave_us;
    uint64_t least_us;
    uint64_t rtt_us;
};
/* Gives the packet away. When it arrives, or least_us when it does not. */
uint64_t segment_send(struct host *host, uint32_t index, const struct segment_time *time);
/* Gives the packet back to its sender, who will find that it was not acknowledged. */
void segment_miss(struct host *host, uint32_t index);
/* Tells the sender of a packet that nobody is here. */
void segment_refuse(struct host *host, const struct packet *packet);

/* host_stream.c: a segment has come to the host, the packet to be freed by it. */
void stream_on_segment(struct host *host, const struct event *event, uint32_t index);

#endif /* SIM_HOST_STREAM_H */
