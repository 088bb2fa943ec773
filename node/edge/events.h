/* events.h - what happens, by topic, kept for a while: the memory behind the event stream.
 *
 * A ring for each topic, so that a chatty one pushes nothing else out. An event's id says how many
 * events of each topic there had been when it happened ("7f3a-12.0.4.1.90"), so a client that comes
 * back with it gets exactly what it missed, or is told how much of that is gone.
 *
 *      service's observers -> events_add -> rings -> events_next(cursor) -> text/event-stream
 */
#ifndef NODE_EDGE_EVENTS_H
#define NODE_EDGE_EVENTS_H

#include <cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/cli/text.h"

#define EVENT_TOPICS(X)                                                                            \
    X(LOG, "log", "remarks of the node about itself")                                              \
    X(PEER, "peer", "sessions and contacts that come and go")                                      \
    X(MESSAGE, "message", "messages to this node")                                                 \
    X(NEWS, "news", "broadcasts of the mesh")                                                      \
    X(METRIC, "metric", "a few numbers every five seconds")

enum event_topic {
#define EVENT_ENUM(name, text, meaning) EVENT_##name,
    EVENT_TOPICS(EVENT_ENUM)
#undef EVENT_ENUM
        EVENT_TOPIC_COUNT
};

enum {
    EVENTS_KEPT = 128, /* Of each topic: at 1,000 bytes of payload, some 300 KB of messages. */
    EVENTS_ALL = (1 << EVENT_TOPIC_COUNT) - 1,
};

struct event {
    uint64_t number; /* Over all topics: their order. */
    char *text;      /* As it goes out: id, event, data, empty line. */
};

struct event_ring {
    struct event kept[EVENTS_KEPT];
    uint64_t count; /* Ever added. */
};

struct events {
    uint32_t epoch; /* Of this process: ids of an earlier one mean nothing now. */
    uint64_t count;
    uint64_t skipped; /* Lost to slow clients, all in all. */
    struct event_ring rings[EVENT_TOPIC_COUNT];
};

/* How far a client has come. */
struct event_cursor {
    unsigned topics; /* Bit per topic. */
    uint64_t next[EVENT_TOPIC_COUNT];
};

void events_init(struct events *events, uint32_t epoch);
void events_free(struct events *events);
/* `data` is taken over. */
void events_add(struct events *events, enum event_topic topic, cJSON *data);

const char *events_topic_text(enum event_topic topic);
/* "log,peer" to bits. False with the word that is no topic, borrowed from `text`, in *bad. */
bool events_read_topics(const char *text, unsigned *topics, const char **bad, size_t *bad_len);
/* From now on, or from behind `last_id` (NULL: none). An id of another epoch means everything that
 * is kept. False: no id of ours. */
bool events_start(const struct events *events, struct event_cursor *cursor, unsigned topics,
                  const char *last_id);
/* Adds the next event to `out`, or how many are gone. False: there is none yet. */
bool events_next(struct events *events, struct event_cursor *cursor, struct text *out);

#endif /* NODE_EDGE_EVENTS_H */
