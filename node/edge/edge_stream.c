/* edge_stream.c - event streams: text/event-stream of the HTML standard, section 9.2.
 *
 *      events -> wake -> MHD resumes the connection -> on_read -> bytes, or suspended again
 *
 * A client that reads too slowly falls behind in the rings, loses what is pushed out of them, and
 * is told how much. One that reads nothing at all is dropped after EDGE_STALL_S.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/edge/edge_parts.h"

enum {
    BLOCK_BYTES = 4096,
    RETRY_MS = 2000, /* What a browser waits before it connects again. */
};

static ssize_t on_read(void *arg, uint64_t position, char *buffer, size_t max);
static void on_free(void *arg);
static void fill(struct edge_stream *stream, size_t max);
static void resume(struct edge_stream *stream);

struct MHD_Response *edge_stream_open(struct edge *edge, struct MHD_Connection *handle,
                                      const struct event_cursor *cursor)
{
    struct edge_stream *stream = text_alloc(1, sizeof *stream);
    stream->edge = edge;
    stream->handle = handle;
    stream->cursor = *cursor;
    stream->spoke_ms = uv_now(edge->loop);
    stream->next = edge->streams;
    edge->streams = stream;
    edge->face.streams++;
    text_add(&stream->out, "retry: %d\n\n", RETRY_MS);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, stream, on_free);
    must(response != NULL);
    edge_add_headers(response);
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    return response;
}

void edge_streams_wake(struct edge *edge, enum event_topic topic)
{
    for (struct edge_stream *stream = edge->streams; stream != NULL; stream = stream->next) {
        if ((stream->cursor.topics & (1U << topic)) != 0) {
            resume(stream);
        }
    }
}

void edge_streams_tick(struct edge *edge)
{
    for (struct edge_stream *stream = edge->streams; stream != NULL; stream = stream->next) {
        if (uv_now(edge->loop) - stream->spoke_ms >= EDGE_HEARTBEAT_MS) {
            resume(stream);
        }
    }
}

void edge_streams_end(struct edge *edge)
{
    for (struct edge_stream *stream = edge->streams; stream != NULL; stream = stream->next) {
        resume(stream);
    }
}

static ssize_t on_read(void *arg, uint64_t position, char *buffer, size_t max)
{
    (void)position;
    struct edge_stream *stream = arg;
    if (stream->edge->is_closing) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (stream->sent == stream->out.len) {
        text_cut(&stream->out, 0);
        stream->sent = 0;
        fill(stream, max);
    }
    size_t len = stream->out.len - stream->sent;
    if (len == 0) {
        stream->is_suspended = true;
        MHD_suspend_connection(stream->handle);
        return 0;
    }
    len = len < max ? len : max;
    memcpy(buffer, stream->out.data + stream->sent, len);
    stream->sent += len;
    stream->spoke_ms = uv_now(stream->edge->loop);
    return (ssize_t)len;
}

static void on_free(void *arg)
{
    struct edge_stream *stream = arg;
    struct edge_stream **link = &stream->edge->streams;
    while (*link != stream) {
        must(*link != NULL);
        link = &(*link)->next;
    }
    *link = stream->next;
    stream->edge->face.streams--;
    free(stream->out.data);
    free(stream);
}

static void fill(struct edge_stream *stream, size_t max)
{
    struct edge *edge = stream->edge;
    while (stream->out.len < max &&
           events_next(&edge->face.events, &stream->cursor, &stream->out)) {
    }
    if (stream->out.len == 0 && uv_now(edge->loop) - stream->spoke_ms >= EDGE_HEARTBEAT_MS) {
        text_add(&stream->out, ": heartbeat\n\n");
    }
}

static void resume(struct edge_stream *stream)
{
    if (stream->is_suspended) {
        stream->is_suspended = false;
        MHD_resume_connection(stream->handle);
        edge_wake(stream->edge);
    }
}
