/* metric.h - the dictionary of everything a run measures.
 *
 * One row per metric: name, unit, which direction is better, kind, and one sentence. Thresholds in
 * scenario files, the results database and the summary all speak these names; a name that is not
 * here does not exist. What is measured, and when, is the business of whoever records it.
 *
 *      METRICS -> enum metric_id -> recorder            (by number)
 *      METRICS -> metric_find    -> thresholds, queries (by name)
 *
 * A gauge is sampled, a counter only grows, a distribution has one value per operation. Names end
 * in their unit: _s, _bytes, _ratio, _total.
 */
#ifndef SIM_SCENARIO_METRIC_H
#define SIM_SCENARIO_METRIC_H

#include <stddef.h>

enum metric_better { METRIC_LOWER, METRIC_HIGHER, METRIC_NEITHER };
enum metric_kind { METRIC_GAUGE, METRIC_COUNTER, METRIC_DISTRIBUTION };

/* X(ID, name, unit, better, kind, description) */
#define METRICS(X)                                                                                 \
    X(LOOKUP_SUCCESS_RATIO, "lookup_success_ratio", "ratio", HIGHER, DISTRIBUTION,                 \
      "Node lookups that found the truly closest node that stayed online meanwhile; 1 or 0 each.") \
    X(LOOKUP_EXACT_RATIO, "lookup_exact_ratio", "ratio", HIGHER, DISTRIBUTION,                     \
      "Node lookups that returned exactly the k closest nodes online; 1 or 0 per lookup.")         \
    X(LOOKUP_LATENCY_S, "lookup_latency_s", "s", LOWER, DISTRIBUTION,                              \
      "From the start of a node lookup to its last needed answer.")                                \
    X(LOOKUP_HOPS, "lookup_hops", "hops", LOWER, DISTRIBUTION,                                     \
      "Length of the chain of contacts that led to the closest node found.")                       \
    X(LOOKUP_MESSAGES, "lookup_messages", "messages", LOWER, DISTRIBUTION,                         \
      "Requests one node lookup sent.")                                                            \
    X(GET_SUCCESS_RATIO, "get_success_ratio", "ratio", HIGHER, DISTRIBUTION,                       \
      "Value lookups that found what was stored and a living node still held; 1 or 0 each.")       \
    X(GET_LOST_RATIO, "get_lost_ratio", "ratio", LOWER, DISTRIBUTION,                              \
      "Value lookups of stored keys that no living node held any more; 1 or 0 each.")              \
    X(GET_LATENCY_S, "get_latency_s", "s", LOWER, DISTRIBUTION,                                    \
      "From the start of a value lookup to its first valid record.")                               \
    X(STORE_SUCCESS_RATIO, "store_success_ratio", "ratio", HIGHER, DISTRIBUTION,                   \
      "Puts acknowledged by enough durable holders; 1 or 0 per put.")                              \
    X(STORE_HOLDERS, "store_holders", "nodes", HIGHER, DISTRIBUTION,                               \
      "Holders that acknowledged a put.")                                                          \
    X(MESSAGE_SUCCESS_RATIO, "message_success_ratio", "ratio", HIGHER, DISTRIBUTION,               \
      "Application messages that arrived at an online receiver; 1 or 0 per message.")              \
    X(MESSAGE_LATENCY_S, "message_latency_s", "s", LOWER, DISTRIBUTION,                            \
      "From sending an application message to its delivery.")                                      \
    X(BROADCAST_REACH_RATIO, "broadcast_reach_ratio", "ratio", HIGHER, DISTRIBUTION,               \
      "Share of the nodes online at its start that a broadcast reached.")                          \
    X(BROADCAST_T99_S, "broadcast_t99_s", "s", LOWER, DISTRIBUTION,                                \
      "Until a broadcast had reached 99 % of the nodes online at its start.")                      \
    X(BROADCAST_DUPLICATE_RATIO, "broadcast_duplicate_ratio", "ratio", LOWER, DISTRIBUTION,        \
      "Copies of a broadcast that arrived where it was known, per first copy.")                    \
    X(DIRECT_RATIO, "direct_ratio", "ratio", HIGHER, DISTRIBUTION,                                 \
      "Messages between nodes behind NAT boxes that found a way without a relay; 1 or 0 each.")    \
    X(PUNCH_EXTRA_S, "punch_extra_s", "s", LOWER, DISTRIBUTION,                                    \
      "From the word to punch to a proved way, beyond one round trip through the relay.")          \
    X(NODES_ONLINE, "nodes_online", "nodes", NEITHER, GAUGE, "Nodes running at the moment.")       \
    X(JOIN_LATENCY_S, "join_latency_s", "s", LOWER, DISTRIBUTION,                                  \
      "From a node's start to the end of its self-lookup.")                                        \
    X(TABLE_CONTACTS, "table_contacts", "contacts", HIGHER, GAUGE,                                 \
      "Contacts in a routing table, mean over the nodes online.")                                  \
    X(TABLE_DEAD_RATIO, "table_dead_ratio", "ratio", LOWER, GAUGE,                                 \
      "Share of the contacts in routing tables whose node is offline.")                            \
    X(SESSIONS, "sessions", "sessions", LOWER, GAUGE,                                              \
      "Open transport sessions, mean over the nodes online.")                                      \
    X(MEMORY_NODE_BYTES, "memory_node_bytes", "bytes", LOWER, GAUGE,                               \
      "Memory of one node's arena, mean over the nodes online.")                                   \
    X(MESSAGES_TOTAL, "messages_total", "messages", LOWER, COUNTER, "Datagrams sent.")             \
    X(BYTES_TOTAL, "bytes_total", "bytes", LOWER, COUNTER, "Bytes sent, as on the wire.")          \
    X(BYTES_PER_NODE_S, "bytes_per_node_s", "bytes/s", LOWER, GAUGE,                               \
      "Bytes sent per online node and second since the last sample.")                              \
    X(HANDSHAKES_TOTAL, "handshakes_total", "handshakes", LOWER, COUNTER, "Handshakes completed.") \
    X(EVENTS_TOTAL, "events_total", "events", LOWER, COUNTER, "Events the engine processed.")      \
    X(INVARIANT_VIOLATIONS, "invariant_violations", "violations", LOWER, COUNTER,                  \
      "Invariants found broken.")

enum metric_id {
#define METRIC_ENUM(id, name, unit, better, kind, description) METRIC_##id,
    METRICS(METRIC_ENUM)
#undef METRIC_ENUM
        METRIC_COUNT
};

struct metric_info {
    const char *name;
    const char *unit;
    enum metric_better better;
    enum metric_kind kind;
    const char *description;
};

/* The row of `id`; ids run from 0 to METRIC_COUNT - 1. */
const struct metric_info *metric_info(enum metric_id id);
/* The id of `name`, or METRIC_COUNT when there is no such metric. */
enum metric_id metric_find(const char *name);

const char *metric_better_text(enum metric_better better); /* "lower", "higher", "none" */
const char *metric_kind_text(enum metric_kind kind);       /* "gauge", "counter", "distribution" */

#endif /* SIM_SCENARIO_METRIC_H */
