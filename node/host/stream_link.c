/* stream_link.c - one stream: its connection, what comes in, what waits to go out. */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/host/stream_parts.h"

static void on_closed(uv_handle_t *handle);
static void on_connected(uv_connect_t *connect, int status);
static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);
static void on_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buffer);
static void on_written(uv_write_t *write, int status);
static void stream_hear(struct stream *stream, struct slice input);
static bool hello_hear(struct stream *stream);
static void foreign_answer(struct stream *stream);
static void stream_pump(struct stream *stream);

/* --- the backlog -------------------------------------------------------------------------------
 */

static void ring_write(struct stream_backlog *backlog, const uint8_t *bytes, size_t len)
{
    size_t at = (backlog->head + backlog->len) % STREAM_BACKLOG_BYTES_MAX;
    size_t first = STREAM_BACKLOG_BYTES_MAX - at < len ? STREAM_BACKLOG_BYTES_MAX - at : len;
    memcpy(backlog->bytes + at, bytes, first);
    memcpy(backlog->bytes, bytes + first, len - first);
    backlog->len += (uint32_t)len;
}

/* Copies what lies `skip` bytes behind the oldest. */
static void ring_peek(const struct stream_backlog *backlog, size_t skip, uint8_t *bytes, size_t len)
{
    size_t at = (backlog->head + skip) % STREAM_BACKLOG_BYTES_MAX;
    size_t first = STREAM_BACKLOG_BYTES_MAX - at < len ? STREAM_BACKLOG_BYTES_MAX - at : len;
    memcpy(bytes, backlog->bytes + at, first);
    memcpy(bytes + first, backlog->bytes, len - first);
}

static bool backlog_put(struct stream_backlog *backlog, struct slice bytes)
{
    uint8_t head[FRAME_HEAD_LEN];
    if (backlog->len + sizeof head + bytes.len > STREAM_BACKLOG_BYTES_MAX) {
        return false;
    }
    if (backlog->bytes == NULL) {
        backlog->bytes = malloc(STREAM_BACKLOG_BYTES_MAX); /* Untouched pages cost nothing. */
        must(backlog->bytes != NULL);
    }
    frame_head_write(head, bytes.len);
    ring_write(backlog, head, sizeof head);
    ring_write(backlog, bytes.data, bytes.len);
    backlog->count++;
    return true;
}

/* The oldest datagram; its length, 0 when there is none. */
static size_t backlog_peek(const struct stream_backlog *backlog, uint8_t bytes[PORT_DATAGRAM_MAX])
{
    uint8_t head[FRAME_HEAD_LEN];
    if (backlog->count == 0) {
        return 0;
    }
    ring_peek(backlog, 0, head, sizeof head);
    size_t len = (size_t)head[0] << 8 | head[1];
    must(len > 0 && len <= PORT_DATAGRAM_MAX);
    ring_peek(backlog, sizeof head, bytes, len);
    return len;
}

/* An empty ring begins at its beginning again, so that an idle stream touches little memory. */
static void backlog_drop(struct stream_backlog *backlog, size_t len)
{
    backlog->len -= (uint32_t)(FRAME_HEAD_LEN + len);
    backlog->head =
        backlog->len == 0
            ? 0
            : (uint32_t)((backlog->head + FRAME_HEAD_LEN + len) % STREAM_BACKLOG_BYTES_MAX);
    backlog->count--;
}

/* --- life --------------------------------------------------------------------------------------
 */

struct stream *stream_make(struct streams *streams)
{
    struct stream *stream = calloc(1, sizeof *stream);
    must(stream != NULL);
    uv_loop_t *loop = streams->options.loop;
    if (uv_tcp_init(loop, &stream->tcp) != 0) {
        free(stream);
        return NULL;
    }
    stream->owner = streams;
    stream->path = PORT_MAIN_PATH;
    stream->state = STREAM_OPENING;
    stream->tcp.data = stream;
    stream->opened_ms = uv_now(loop);
    stream->active_ms = stream->opened_ms;
    streams->handles++;
    return stream;
}

void stream_accept(struct streams *streams, uv_stream_t *listener)
{
    union socket_address from;
    int len = sizeof from;
    struct stream *stream = stream_make(streams);
    if (stream == NULL) {
        return;
    }
    stream->is_inbound = true;
    stream->is_connected = true;
    if (uv_accept(listener, (uv_stream_t *)&stream->tcp) != 0 ||
        uv_tcp_getpeername(&stream->tcp, &from.any, &len) != 0) {
        stream_shut(stream); /* It has gone already. */
        return;
    }
    host_addr_from_socket(&from.any, &stream->addr);
    memcpy(stream->far_port, stream->addr.port, sizeof stream->far_port);
    memset(stream->addr.port, 0, sizeof stream->addr.port); /* The hello tells. */
    if (!streams_have_room_for(streams, &stream->addr)) {
        stream_refuse(stream);
        return;
    }
    streams_add(streams, stream);
    stream_decoder_start(&stream->decoder, STREAM_UNKNOWN);
    (void)uv_tcp_nodelay(&stream->tcp, 1);
    must(uv_read_start((uv_stream_t *)&stream->tcp, on_buffer, on_read) == 0);
}

int stream_call(struct stream *stream, enum stream_dress dress, const struct port_addr *local,
                const struct port_addr *remote, const uint8_t named[2])
{
    const struct streams *streams = stream->owner;
    char host[HOST_ADDR_TEXT_SIZE];
    union socket_address to;
    union socket_address from;
    stream->addr = *remote;
    host_addr_format(remote, host);
    stream_decoder_start(&stream->decoder, dress);
    stream_encoder_start(&stream->encoder, dress, named, host);
    host_addr_to_socket(remote, streams->is_v4, &to);
    host_addr_to_socket(local, streams->is_v4, &from);
    if ((streams->is_v4 && !host_addr_is_v4(remote)) ||
        uv_tcp_bind(&stream->tcp, &from.any, 0) != 0 ||
        uv_tcp_connect(&stream->connect, &stream->tcp, &to.any, on_connected) != 0) {
        stream_shut(stream);
        return ERR_UNREACHABLE;
    }
    return ERR_OK;
}

void stream_shut(struct stream *stream)
{
    struct streams *streams = stream->owner;
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    bool is_between_chunks = stream->state == STREAM_UP && !stream->is_writing &&
                             stream_encoder_is_empty(&stream->encoder);
    if (stream->encoder.dress == STREAM_MASKED && is_between_chunks) {
        uv_buf_t last = uv_buf_init(MASKED_LAST_CHUNK, sizeof MASKED_LAST_CHUNK - 1);
        (void)uv_try_write((uv_stream_t *)&stream->tcp, &last, 1); /* A courtesy. */
    }
    stream->farewell = stream->state == STREAM_UP ? PORT_PATH_CLOSED : PORT_PATH_REFUSED;
    stream->state = STREAM_CLOSING;
    streams->view.dropped += stream->in_flight + stream->backlog.count;
    streams->view.open -= stream->is_listed ? 1 : 0;
    uv_close((uv_handle_t *)&stream->tcp, on_closed);
}

void stream_refuse(struct stream *stream)
{
    if (stream->state != STREAM_REFUSING) { /* Which has been counted. */
        stream->owner->view.refused++;
    }
    stream_shut(stream);
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    struct streams *streams = stream->owner;
    if (stream->is_listed) {
        streams_remove(streams, stream);
    }
    if (stream->has_farewell && !streams->is_closing) {
        streams->options.hooks.path_event(streams->options.hooks.arg, stream->path,
                                          stream->farewell);
    }
    free(stream->backlog.bytes);
    free(stream);
    streams->handles--;
    streams_release(streams);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct stream *stream = connect->handle->data;
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    if (status != 0) {
        stream_shut(stream);
        return;
    }
    stream->is_connected = true;
    (void)uv_tcp_nodelay(&stream->tcp, 1);
    must(uv_read_start((uv_stream_t *)&stream->tcp, on_buffer, on_read) == 0);
    stream_pump(stream);
}

/* --- in ----------------------------------------------------------------------------------------
 */

/* One buffer for all: what a read brings is used up before the next. */
static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct stream *stream = handle->data;
    *buffer = uv_buf_init((char *)stream->owner->read_buffer, STREAM_READ_BYTES);
}

static void on_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buffer)
{
    struct stream *stream = tcp->data;
    if (len < 0) {
        stream_shut(stream); /* The peer has closed, or is gone. */
        return;
    }
    if (len > 0 && stream->state != STREAM_REFUSING) {
        stream->active_ms = uv_now(stream->owner->options.loop);
        stream_hear(stream, slice_of(buffer->base, (size_t)len));
    }
}

/* What is received may make its receiver close this stream, or all. */
static void stream_hear(struct stream *stream, struct slice input)
{
    struct streams *streams = stream->owner;
    const struct stream_hooks *hooks = &streams->options.hooks;
    struct slice datagram;
    while (stream->state == STREAM_OPENING || stream->state == STREAM_UP) {
        switch (stream_decode(&stream->decoder, &input, &datagram)) {
        case STREAM_HELLO:
            if (!hello_hear(stream)) {
                return;
            }
            break;
        case STREAM_DATAGRAM:
            stream->begun_ms = 0;
            hooks->received(hooks->arg, stream->path, &stream->addr, datagram);
            break;
        case STREAM_MORE:
            if (!frame_is_begun(&stream->decoder.frames)) {
                stream->begun_ms = 0;
            } else if (stream->begun_ms == 0) {
                stream->begun_ms = stream->active_ms;
            }
            return;
        case STREAM_FOREIGN:
            foreign_answer(stream);
            return;
        case STREAM_END:
            stream_shut(stream);
            return;
        case STREAM_GARBAGE:
            stream_refuse(stream);
            return;
        }
    }
}

/* Whom we called goes by the address we called it at; who calls us goes by the port it names, or if
 * that is none by the connection's own. False when the stream is of no use any more. */
static bool hello_hear(struct stream *stream)
{
    struct streams *streams = stream->owner;
    const struct stream_hooks *hooks = &streams->options.hooks;
    stream->state = STREAM_UP;
    if (stream->is_inbound) {
        const uint8_t *named = stream->decoder.port;
        bool is_named = named[0] != 0 || named[1] != 0;
        memcpy(stream->addr.port, is_named ? named : stream->far_port, sizeof stream->addr.port);
        stream_encoder_start(&stream->encoder, stream->decoder.dress, streams->options.local.port,
                             NULL);
        stream_pump(stream);
    } else if (stream->has_farewell) {
        hooks->path_event(hooks->arg, stream->path, PORT_PATH_UP);
    }
    return stream->state == STREAM_UP;
}

/* Answered like a web server that has nothing here: written, then read until the client closes or
 * its time is over, because closing with bytes unread would take the answer back. */
static void foreign_answer(struct stream *stream)
{
    stream->owner->view.refused++;
    stream->state = STREAM_REFUSING;
    stream_encode_refusal(&stream->encoder, &stream->decoder);
    stream_pump(stream);
    if (stream->state == STREAM_REFUSING) {
        (void)uv_shutdown(&stream->shutdown, (uv_stream_t *)&stream->tcp, NULL);
    }
}

/* --- out ---------------------------------------------------------------------------------------
 */

int stream_put(struct stream *stream, struct slice bytes)
{
    must(stream->state == STREAM_OPENING || stream->state == STREAM_UP);
    if (!backlog_put(&stream->backlog, bytes)) {
        stream->owner->view.dropped++;
        stream->is_owed_room = true;
        return ERR_AGAIN;
    }
    stream_pump(stream);
    return ERR_OK;
}

/* The next batch into the encoder. False: nothing waits. */
static bool batch_fill(struct stream *stream)
{
    uint8_t bytes[PORT_DATAGRAM_MAX];
    for (;;) {
        size_t len = backlog_peek(&stream->backlog, bytes);
        if (len == 0 || !stream_encode_add(&stream->encoder, slice_of(bytes, len))) {
            break;
        }
        backlog_drop(&stream->backlog, len);
        stream->in_flight++;
    }
    if (stream->in_flight == 0) {
        return false;
    }
    stream_encode_end(&stream->encoder);
    return true;
}

static void stream_pump(struct stream *stream)
{
    struct stream_encoder *encoder = &stream->encoder;
    if (!stream->is_connected || stream->is_writing) {
        return;
    }
    while (!stream_encoder_is_empty(encoder) || batch_fill(stream)) {
        uv_stream_t *tcp = (uv_stream_t *)&stream->tcp;
        uv_buf_t rest = uv_buf_init((char *)encoder->bytes + encoder->from,
                                    (unsigned)(encoder->len - encoder->from));
        int written = uv_try_write(tcp, &rest, 1);
        if (written < 0 && written != UV_EAGAIN) {
            stream_shut(stream);
            return;
        }
        encoder->from = (uint16_t)(encoder->from + (written > 0 ? written : 0));
        if (stream_encoder_is_empty(encoder)) {
            stream->in_flight = 0;
            continue;
        }
        rest = uv_buf_init((char *)encoder->bytes + encoder->from,
                           (unsigned)(encoder->len - encoder->from));
        stream->is_writing = uv_write(&stream->write, tcp, &rest, 1, on_written) == 0;
        if (!stream->is_writing) {
            stream_shut(stream);
        }
        return;
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct stream *stream = write->handle->data;
    struct streams *streams = stream->owner;
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    if (status != 0) {
        stream_shut(stream);
        return;
    }
    stream->is_writing = false;
    stream->encoder.from = stream->encoder.len;
    stream->in_flight = 0;
    stream->active_ms = uv_now(streams->options.loop);
    stream_pump(stream);
    if (stream->is_owed_room && stream->has_farewell && stream->state == STREAM_UP &&
        stream->backlog.count == 0) {
        stream->is_owed_room = false;
        streams->options.hooks.path_event(streams->options.hooks.arg, stream->path,
                                          PORT_PATH_WRITABLE);
    }
}
