/* packet.h - the three datagrams of the transport, as bytes.
 *
 *      HANDSHAKE  type(1) step(1) message id(2) fragment(1) of(1) sender(4) receiver(4) length(2)
 *                 Noise message(length) mac1(16) mac2(16) padding
 *      COOKIE     type(1) receiver(4) counter(8) sealed cookie(16 + 16)
 *      DATA       type(1) receiver(4) counter(8) sealed message(.. + 16)
 *
 * `sender` and `receiver` are session indices: what the sender of the packet wants to be addressed
 * by, and what the receiver asked to be addressed by (0 in a first message). The fragment fields
 * are there because post-quantum keys will not fit one datagram; so far only fragment 0 of 1 is
 * sent and accepted. mac1 covers everything before it and is keyed by something the receiver must
 * be known for; mac2 covers mac1 too, is keyed by a cookie, and is zero without one (the WireGuard
 * whitepaper sections 5.3 and 5.4.4). Padding is outside both and ignored: it makes a first message
 * at least as long as its answer, so that a forged source address gains nothing.
 *
 *      bytes -> packet_read_* -> fields, borrowed from the bytes
 *      fields -> packet_write_* -> header in front of what is sealed in place
 */
#ifndef NODE_TRANSPORT_PACKET_H
#define NODE_TRANSPORT_PACKET_H

#include "node/port/port.h"
#include "node/transport/noise.h"
#include "node/wire/message.h"

enum packet_type {
    PACKET_HANDSHAKE = 1,
    PACKET_COOKIE = 2,
    PACKET_DATA = 3,
};

enum packet_step {
    PACKET_IK_1 = 1,
    PACKET_IK_2 = 2,
    PACKET_XX_1 = 3,
    PACKET_XX_2 = 4,
    PACKET_XX_3 = 5,
};

enum {
    PACKET_HANDSHAKE_HEADER_LEN = 16,
    PACKET_HANDSHAKE_RECEIVER = 10, /* Where the receiver stands in it. */
    PACKET_MACS_LEN = 2 * CRYPTO_MAC_LEN,
    PACKET_COOKIE_LEN = 1 + 4 + 8 + CRYPTO_MAC_LEN + CRYPTO_TAG_LEN,
    PACKET_DATA_HEADER_LEN = 13,
    PACKET_DATA_OVERHEAD = PACKET_DATA_HEADER_LEN + CRYPTO_TAG_LEN,

    /* Payloads of the handshake messages: what comes before an encoded wire message. */
    PACKET_KEY_LEN = CRYPTO_PUBLIC_LEN, /* IK 1, XX 2, XX 3: the sender's canonical Ed25519 key. */
    PACKET_FLAGS_LEN = 1,               /* IK 2. */
    /* Behind the key of a sender that serves nobody; no message begins with it. */
    PACKET_CLIENT_MARK = 0,
    PACKET_CLIENT_MARK_LEN = 1,

    /* Everything but the wire message in it. */
    PACKET_IK_1_OVERHEAD = PACKET_HANDSHAKE_HEADER_LEN + NOISE_IK_1_PREFIX + PACKET_KEY_LEN +
                           CRYPTO_TAG_LEN + PACKET_MACS_LEN,
    PACKET_IK_2_OVERHEAD = PACKET_HANDSHAKE_HEADER_LEN + NOISE_IK_2_PREFIX + PACKET_FLAGS_LEN +
                           CRYPTO_TAG_LEN + PACKET_MACS_LEN,
    PACKET_XX_1_OVERHEAD = PACKET_HANDSHAKE_HEADER_LEN + NOISE_XX_1_PREFIX + PACKET_MACS_LEN,
    PACKET_XX_2_OVERHEAD = PACKET_HANDSHAKE_HEADER_LEN + NOISE_XX_2_PREFIX + PACKET_KEY_LEN +
                           CRYPTO_TAG_LEN + PACKET_MACS_LEN,
    PACKET_XX_3_OVERHEAD = PACKET_HANDSHAKE_HEADER_LEN + NOISE_XX_3_PREFIX + PACKET_KEY_LEN +
                           CRYPTO_TAG_LEN + PACKET_MACS_LEN,
};
_Static_assert(MESSAGE_MAX + PACKET_DATA_OVERHEAD <= PORT_DATAGRAM_MAX, "a message fits");
_Static_assert((int)PACKET_COOKIE_LEN < (int)PACKET_XX_1_OVERHEAD, "a cookie amplifies nothing");

/* Of IK 2. */
enum packet_flag {
    PACKET_FLAG_CONFIRM = 1, /* Please show that you received this. */
    PACKET_FLAG_CROWDED = 2, /* Until you do, this session may not last SESSION_UNCONFIRMED_US. */
    PACKET_FLAG_CLIENT = 4,  /* I serve nobody. */
};

struct packet_handshake {
    uint8_t step;
    uint32_t sender;
    uint32_t receiver;
    struct slice noise;
    struct slice before_mac1;
    struct slice before_mac2;
    const uint8_t *mac1;
    const uint8_t *mac2;
};

struct packet_cookie {
    uint32_t receiver;
    uint64_t counter;
    struct slice sealed;
};

struct packet_data {
    uint32_t receiver;
    uint64_t counter;
    struct slice sealed;
};

/* False when the bytes have another shape. */
bool packet_read_handshake(struct slice bytes, struct packet_handshake *packet);
bool packet_read_cookie(struct slice bytes, struct packet_cookie *packet);
bool packet_read_data(struct slice bytes, struct packet_data *packet);

/* The session index that a datagram of any shape is for; 0 when it names none. */
uint32_t packet_receiver(struct slice bytes);

/* Writes the header around a Noise message of noise_len bytes that is or will be at
 * PACKET_HANDSHAKE_HEADER_LEN; the macs follow it. */
void packet_write_handshake(uint8_t *datagram, enum packet_step step, uint32_t sender,
                            uint32_t receiver, size_t noise_len);
void packet_write_cookie(uint8_t *datagram, uint32_t receiver, uint64_t counter);
void packet_write_data(uint8_t *datagram, uint32_t receiver, uint64_t counter);

#endif /* NODE_TRANSPORT_PACKET_H */
