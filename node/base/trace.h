/* trace.h - what a node tells its observers: one table of kinds, and its counters.
 *
 * Counting is one add; the host reads the array through node_observe(). Trace events cross the seam
 * as numbers and are formatted by whoever reads them.
 */
#ifndef NODE_BASE_TRACE_H
#define NODE_BASE_TRACE_H

#include <stdint.h>

/*    name                 text                        meaning of value[0..2] */
#define TRACE_KINDS(X)                                                                             \
    X(SESSION_UP, "session.up", "peer handshake_us initiator")                                     \
    X(SESSION_GONE, "session.gone", "peer reason age_us")                                          \
    X(LOOKUP_DONE, "dht.lookup.done", "took_us messages found")                                    \
    X(TABLE_ADD, "dht.table.add", "peer bucket count")                                             \
    X(TABLE_DROP, "dht.table.drop", "peer bucket reason")                                          \
    X(RECORD_HELD, "dht.record.held", "sequence bytes cached")                                     \
    X(BROADCAST_NEW, "gossip.broadcast.new", "hops bytes origin")                                  \
    X(THREAT, "guard.threat", "peer level points")

enum trace_kind {
#define TRACE_ENUM(name, text, values) TRACE_##name,
    TRACE_KINDS(TRACE_ENUM)
#undef TRACE_ENUM
        TRACE_KIND_COUNT
};

#define COUNTERS(X)                                                                                \
    X(DATAGRAMS_IN, "datagrams_in")                                                                \
    X(DATAGRAMS_OUT, "datagrams_out")                                                              \
    X(BYTES_IN, "bytes_in")                                                                        \
    X(BYTES_OUT, "bytes_out")                                                                      \
    X(MALFORMED, "malformed")                                                                      \
    X(UNAUTHENTIC, "unauthentic")                                                                  \
    X(REPLAYED, "replayed")                                                                        \
    X(THROTTLED, "throttled")                                                                      \
    X(OFFENCES, "offences")                                                                        \
    X(THREATS, "threats")                                                                          \
    X(BANS, "bans")                                                                                \
    X(BANNED_DROPPED, "banned_dropped")                                                            \
    X(HANDSHAKES_STARTED, "handshakes_started")                                                    \
    X(HANDSHAKES_DONE, "handshakes_done")                                                          \
    X(SESSIONS_EVICTED, "sessions_evicted")                                                        \
    X(REKEYS, "rekeys")                                                                            \
    X(CALLS, "calls")                                                                              \
    X(CALLS_ANSWERED, "calls_answered")                                                            \
    X(CALLS_SLOW, "calls_slow")                                                                    \
    X(CALLS_LOST, "calls_lost")                                                                    \
    X(ANSWERS_UNASKED, "answers_unasked")                                                          \
    X(RETRANSMITS, "retransmits")                                                                  \
    X(LOOKUPS, "lookups")                                                                          \
    X(LOOKUPS_REFUSED, "lookups_refused")                                                          \
    X(RECORDS_STORED, "records_stored")                                                            \
    X(RECORDS_EXPIRED, "records_expired")                                                          \
    X(VALUES_CORRUPT, "values_corrupt")                                                            \
    X(CONTACTS_ADDED, "contacts_added")                                                            \
    X(CONTACTS_DROPPED, "contacts_dropped")                                                        \
    X(CONTACTS_REFUSED, "contacts_refused")                                                        \
    X(BROADCASTS_NEW, "broadcasts_new")                                                            \
    X(BROADCASTS_DUPLICATE, "broadcasts_duplicate")                                                \
    X(BROADCASTS_UNHEARD, "broadcasts_unheard")                                                    \
    X(EXCHANGES, "exchanges")

enum counter {
#define COUNTER_ENUM(name, text) COUNT_##name,
    COUNTERS(COUNTER_ENUM)
#undef COUNTER_ENUM
        COUNTER_COUNT
};

/* 32 bits wrap after a day of ten thousand a second; readers take differences. */
struct counters {
    uint32_t value[COUNTER_COUNT];
};

static inline void count(struct counters *counters, enum counter which)
{
    counters->value[which]++;
}

static inline void count_by(struct counters *counters, enum counter which, uint32_t by)
{
    counters->value[which] += by;
}

#endif /* NODE_BASE_TRACE_H */
