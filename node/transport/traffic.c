/* traffic.c - the names of traffic's rows, and which row a message belongs to. */
#include "node/transport/traffic.h"

#include "node/base/must.h"
#include "node/transport/packet.h"

const char *traffic_text(enum traffic_row row)
{
    static const char *const texts[TRAFFIC_ROWS] = {
#define TRAFFIC_MESSAGE_TEXT(name, number, body, text, owner, class) [TRAFFIC_##name] = (text),
        MESSAGES(TRAFFIC_MESSAGE_TEXT)
#undef TRAFFIC_MESSAGE_TEXT
#define TRAFFIC_PACKET_TEXT(name, text) [TRAFFIC_##name] = (text),
            TRAFFIC_PACKETS(TRAFFIC_PACKET_TEXT)
#undef TRAFFIC_PACKET_TEXT
    };
    must(row < TRAFFIC_ROWS);
    return texts[row];
}

enum traffic_row traffic_row_of(uint8_t kind)
{
    /* Plus one, so that what is not listed is none. */
    static const uint8_t rows[MESSAGE_KIND_MAX] = {
#define TRAFFIC_MESSAGE_ROW(name, number, body, text, owner, class) [(number)] = TRAFFIC_##name + 1,
        MESSAGES(TRAFFIC_MESSAGE_ROW)
#undef TRAFFIC_MESSAGE_ROW
    };
    bool is_known = kind < MESSAGE_KIND_MAX && rows[kind] != 0;
    return is_known ? (enum traffic_row)(rows[kind] - 1) : TRAFFIC_UNREADABLE;
}

enum traffic_row traffic_row_of_step(uint8_t step)
{
    _Static_assert(TRAFFIC_XX_3 - TRAFFIC_IK_1 == PACKET_XX_3 - PACKET_IK_1, "the same order");
    must(step >= PACKET_IK_1 && step <= PACKET_XX_3);
    return (enum traffic_row)(TRAFFIC_IK_1 + (step - PACKET_IK_1));
}

void traffic_add(struct traffic *sum, const struct traffic *more)
{
    for (int row = 0; row < TRAFFIC_ROWS; row++) {
        sum->sent[row] += more->sent[row];
        sum->received[row] += more->received[row];
    }
}
