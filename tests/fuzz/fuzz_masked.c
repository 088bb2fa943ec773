/* fuzz_masked.c - any bytes as one side of a masked exchange, cut anywhere.
 *
 * The first byte says how the rest is cut and who reads it. If the second is odd, a genuine opening
 * comes first, so that what is fuzzed lies behind the hello.
 */
#include <string.h>

#include "node/base/must.h"
#include "node/host/stream_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* False: the stream has ended. */
static bool feed(struct stream_decoder *decoder, struct slice input)
{
    struct slice datagram;
    for (;;) {
        switch (stream_decode(decoder, &input, &datagram)) {
        case STREAM_DATAGRAM:
            must(datagram.len > 0 && datagram.len <= PORT_DATAGRAM_MAX && decoder->has_hello);
            break;
        case STREAM_HELLO:
            must(decoder->has_hello);
            break;
        case STREAM_MORE:
            must(input.len == 0);
            return true;
        case STREAM_FOREIGN:
            must(decoder->is_acceptor && !decoder->has_hello);
            return false;
        default:
            return false;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t port[2] = {0x21, 0x14};
    static struct stream_decoder decoder;
    static struct stream_encoder encoder;
    if (size < 3) {
        return 0;
    }
    bool is_acceptor = (data[0] & 1) != 0;
    size_t step = 1u + (data[0] >> 1);
    stream_decoder_start(&decoder, is_acceptor ? STREAM_UNKNOWN : STREAM_MASKED);
    if ((data[1] & 1) != 0) {
        stream_encoder_start(&encoder, STREAM_MASKED, port, is_acceptor ? "127.0.0.1:1" : NULL);
        must(feed(&decoder,
                  slice_of(encoder.bytes + encoder.from, (size_t)encoder.len - encoder.from)));
        must(decoder.has_hello && memcmp(decoder.port, port, sizeof port) == 0);
    }
    for (size_t at = 2; at < size; at += step) {
        size_t len = size - at < step ? size - at : step;
        if (!feed(&decoder, slice_of(data + at, len))) {
            break;
        }
    }
    return 0;
}
