/* events.c - rings of events, and cursors into them. */
#include "node/edge/events.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"

static const char *const topic_texts[] = {
#define TOPIC_TEXT(name, text, meaning) [EVENT_##name] = (text),
    EVENT_TOPICS(TOPIC_TEXT)
#undef TOPIC_TEXT
};

static bool read_number(const char **at, int base, uint64_t *value);
static bool is_wanted(const struct event_cursor *cursor, int topic);
static uint64_t oldest(const struct event_ring *ring);

void events_init(struct events *events, uint32_t epoch)
{
    *events = (struct events){.epoch = epoch};
}

void events_free(struct events *events)
{
    for (int topic = 0; topic < EVENT_TOPIC_COUNT; topic++) {
        for (size_t i = 0; i < EVENTS_KEPT; i++) {
            free(events->rings[topic].kept[i].text);
        }
    }
    *events = (struct events){0};
}

void events_add(struct events *events, enum event_topic topic, cJSON *data)
{
    struct event_ring *ring = &events->rings[topic];
    struct event *event = &ring->kept[ring->count % EVENTS_KEPT];
    char *json = cJSON_PrintUnformatted(data);
    must(json != NULL);
    cJSON_Delete(data);
    ring->count++;
    struct text text = {0};
    text_add(&text, "id: %" PRIx32 "-", events->epoch);
    for (int i = 0; i < EVENT_TOPIC_COUNT; i++) {
        text_add(&text, "%s%" PRIu64, i > 0 ? "." : "", events->rings[i].count);
    }
    text_add(&text, "\nevent: %s\ndata: %s\n\n", topic_texts[topic], json);
    cJSON_free(json);
    free(event->text);
    *event = (struct event){.number = events->count++, .text = text.data};
}

const char *events_topic_text(enum event_topic topic)
{
    return topic_texts[topic];
}

bool events_read_topics(const char *text, unsigned *topics, const char **bad, size_t *bad_len)
{
    *topics = 0;
    while (true) {
        size_t len = strcspn(text, ",");
        int topic = 0;
        while (topic < EVENT_TOPIC_COUNT &&
               (strlen(topic_texts[topic]) != len || memcmp(topic_texts[topic], text, len) != 0)) {
            topic++;
        }
        if (topic == EVENT_TOPIC_COUNT) {
            *bad = text;
            *bad_len = len;
            return false;
        }
        *topics |= 1U << topic;
        if (text[len] == '\0') {
            return true;
        }
        text += len + 1;
    }
}

bool events_start(const struct events *events, struct event_cursor *cursor, unsigned topics,
                  const char *last_id)
{
    *cursor = (struct event_cursor){.topics = topics};
    uint64_t epoch = events->epoch;
    for (int i = 0; i < EVENT_TOPIC_COUNT; i++) {
        cursor->next[i] = events->rings[i].count;
    }
    if (last_id == NULL) {
        return true;
    }
    bool is_good = read_number(&last_id, 16, &epoch);
    for (int i = 0; is_good && i < EVENT_TOPIC_COUNT; i++) {
        is_good = *last_id == (i == 0 ? '-' : '.');
        last_id += is_good;
        is_good = is_good && read_number(&last_id, 10, &cursor->next[i]);
    }
    for (int i = 0; i < EVENT_TOPIC_COUNT; i++) {
        if (epoch != events->epoch) {
            cursor->next[i] = oldest(&events->rings[i]);
        }
        is_good = is_good && cursor->next[i] <= events->rings[i].count;
    }
    return is_good && *last_id == '\0';
}

bool events_next(struct events *events, struct event_cursor *cursor, struct text *out)
{
    const struct event *first = NULL;
    int first_topic = 0;
    uint64_t gone = 0;
    for (int topic = 0; topic < EVENT_TOPIC_COUNT; topic++) {
        const struct event_ring *ring = &events->rings[topic];
        uint64_t *next = &cursor->next[topic];
        if (!is_wanted(cursor, topic)) {
            continue;
        }
        if (*next < oldest(ring)) {
            gone += oldest(ring) - *next;
            *next = oldest(ring);
        }
        const struct event *event = &ring->kept[*next % EVENTS_KEPT];
        if (*next < ring->count && (first == NULL || event->number < first->number)) {
            first = event;
            first_topic = topic;
        }
    }
    if (gone > 0) {
        events->skipped += gone;
        text_add(out, "event: skipped\ndata: {\"skipped\":%" PRIu64 "}\n\n", gone);
    }
    if (first != NULL) {
        cursor->next[first_topic]++;
        text_add(out, "%s", first->text);
    }
    return first != NULL;
}

/* Digits only, and few enough of them. */
static bool read_number(const char **at, int base, uint64_t *value)
{
    size_t len = strspn(*at, base == 16 ? "0123456789abcdef" : "0123456789");
    if (len == 0 || len > 15) {
        return false;
    }
    *value = strtoull(*at, NULL, base);
    *at += len;
    return true;
}

static bool is_wanted(const struct event_cursor *cursor, int topic)
{
    return (cursor->topics & (1U << topic)) != 0;
}

static uint64_t oldest(const struct event_ring *ring)
{
    return ring->count > EVENTS_KEPT ? ring->count - EVENTS_KEPT : 0;
}
