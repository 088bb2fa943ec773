/* fuzz_frame.c - any bytes as a plain stream: cut as the first byte says, they mean the same. */
#include <string.h>

#include "node/base/must.h"
#include "node/host/stream_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    uint32_t datagrams;
    uint64_t bytes;
    enum stream_news end;
};

static struct outcome decode_all(struct slice all, size_t step)
{
    struct stream_decoder decoder;
    struct outcome outcome = {.end = STREAM_MORE};
    struct slice datagram;
    stream_decoder_start(&decoder, STREAM_PLAIN);
    for (size_t at = 0; at < all.len; at += step) {
        size_t len = all.len - at < step ? all.len - at : step;
        struct slice input = slice_of(all.data + at, len);
        do {
            outcome.end = stream_decode(&decoder, &input, &datagram);
            if (outcome.end == STREAM_DATAGRAM) {
                must(datagram.len > 0 && datagram.len <= PORT_DATAGRAM_MAX);
                outcome.datagrams++;
                outcome.bytes += datagram.len;
            }
        } while (outcome.end == STREAM_DATAGRAM || outcome.end == STREAM_HELLO);
        if (outcome.end != STREAM_MORE) {
            break;
        }
        must(input.len == 0);
    }
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct slice all = slice_of(data + 1, size - 1);
    struct outcome whole = decode_all(all, all.len);
    struct outcome cut = decode_all(all, 1u + data[0]);
    must(whole.datagrams == cut.datagrams && whole.bytes == cut.bytes && whole.end == cut.end);
    return 0;
}
