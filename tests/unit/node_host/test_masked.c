/* test_masked.c - what a masked stream says on the wire, read by an HTTP/1.1 parser that is not
 * ours (http_parser). */
#include <criterion/criterion.h>
#include <http_parser.h>
#include <string.h>

#include "node/base/must.h"
#include "node/host/stream_codec.h"

enum { WIRE_BYTES = 512 * 1024, BATCHES = 40 };

static const uint8_t listens_at[2] = {0x21, 0x14};

/* One direction of an exchange, as written and as read. */
struct wire {
    size_t len;
    size_t framed; /* Bytes in the chunks that hold datagrams, at least. */
    uint8_t bytes[WIRE_BYTES];
    unsigned chunks;
    unsigned completed;
    size_t body;
    bool has_host;
};

static struct wire wire;

static void wire_take(struct stream_encoder *encoder)
{
    size_t len = encoder->len - (size_t)encoder->from;
    must(wire.len + len <= sizeof wire.bytes);
    memcpy(wire.bytes + wire.len, encoder->bytes + encoder->from, len);
    wire.len += len;
    encoder->from = encoder->len;
}

/* An opening and then batches of datagrams of all sizes, as many as fit into one each. */
static void wire_fill(const char *host)
{
    static struct stream_encoder encoder;
    static const uint8_t zeros[PORT_DATAGRAM_MAX];
    stream_encoder_start(&encoder, STREAM_MASKED, listens_at, host);
    wire_take(&encoder);
    for (size_t batch = 0; batch < BATCHES; batch++) {
        size_t len = 1 + batch * 31 % PORT_DATAGRAM_MAX;
        while (stream_encode_add(&encoder, slice_of(zeros, len))) {
            wire.framed += FRAME_HEAD_LEN + len;
        }
        stream_encode_end(&encoder);
        wire_take(&encoder);
    }
    memcpy(wire.bytes + wire.len, MASKED_LAST_CHUNK, sizeof MASKED_LAST_CHUNK - 1);
    wire.len += sizeof MASKED_LAST_CHUNK - 1;
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
    (void)parser;
    wire.has_host |= len == 4 && memcmp(at, "Host", 4) == 0;
    return 0;
}

static int on_chunk(http_parser *parser)
{
    wire.chunks += parser->content_length > 0; /* The last chunk is empty. */
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    (void)parser;
    (void)at;
    wire.body += len;
    return 0;
}

static int on_complete(http_parser *parser)
{
    (void)parser;
    wire.completed++;
    return 0;
}

/* Reads the wire in pieces of `step` bytes. */
static http_parser wire_read(enum http_parser_type type, size_t step)
{
    http_parser_settings settings;
    http_parser parser;
    http_parser_settings_init(&settings);
    http_parser_init(&parser, type);
    settings.on_header_field = on_field;
    settings.on_chunk_header = on_chunk;
    settings.on_body = on_body;
    settings.on_message_complete = on_complete;
    for (size_t at = 0; at < wire.len; at += step) {
        size_t len = wire.len - at < step ? wire.len - at : step;
        size_t used = http_parser_execute(&parser, &settings, (const char *)wire.bytes + at, len);
        cr_assert_eq(HTTP_PARSER_ERRNO(&parser), HPE_OK, "byte %zu: %s", at + used,
                     http_errno_description(HTTP_PARSER_ERRNO(&parser)));
        cr_assert_eq(used, len);
    }
    cr_assert_eq(wire.completed, 1);
    cr_assert_eq(parser.http_major, 1);
    cr_assert_eq(parser.http_minor, 1);
    return parser;
}

Test(masked, what_we_say_is_one_chunked_post)
{
    wire_fill("[2001:db8::1]:8468");
    http_parser parser = wire_read(HTTP_REQUEST, wire.len);
    cr_assert_eq(parser.method, HTTP_POST);
    cr_assert((parser.flags & F_CHUNKED) != 0 && wire.has_host);
    cr_assert_eq(wire.chunks, 1 + BATCHES, "the opening and each batch are a chunk");
    cr_assert_geq(wire.body, wire.framed + MASKED_HELLO_LEN);
}

Test(masked, what_is_answered_is_one_chunked_response)
{
    wire_fill(NULL);
    http_parser parser = wire_read(HTTP_RESPONSE, 1);
    cr_assert_eq(parser.status_code, 200);
    cr_assert((parser.flags & F_CHUNKED) != 0);
    cr_assert_eq(wire.chunks, 1 + BATCHES, "the opening and each batch are a chunk");
    cr_assert_geq(wire.body, wire.framed + MASKED_HELLO_LEN);
}

Test(masked, what_foreigners_are_told_is_a_whole_page)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static struct stream_decoder decoder;
    static struct stream_encoder encoder;
    struct slice input = slice_of(request, sizeof request - 1);
    struct slice datagram;
    stream_decoder_start(&decoder, STREAM_UNKNOWN);
    cr_assert_eq(stream_decode(&decoder, &input, &datagram), STREAM_FOREIGN);
    stream_encode_refusal(&encoder, &decoder);
    wire_take(&encoder);
    http_parser parser = wire_read(HTTP_RESPONSE, wire.len);
    cr_assert_eq(parser.status_code, 404);
    cr_assert_gt(wire.body, 0);
}
