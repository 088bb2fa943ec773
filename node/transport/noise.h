/* noise.h - the handshakes of the Noise protocol framework that sessions begin with.
 *
 *      Noise_IK_25519_ChaChaPoly_SHA256    the responder's key is known beforehand
 *          <- s
 *          -> e, es, s, ss
 *          <- e, ee, se
 *      Noise_XX_25519_ChaChaPoly_SHA256    nobody's key is known
 *          -> e
 *          <- e, ee, s, es
 *          -> s, se
 *
 * After revision 34 of the specification (Perrin 2018), over the primitives of struct port_crypto.
 * Payloads are sealed and opened where they lie. Datagrams, sessions and what the payloads mean are
 * not known here.
 *
 *      payload at NOISE_*_PREFIX of a buffer -> noise_write -> Noise message in the same buffer
 *      Noise message -> noise_read -> payload, peer's static key
 *      both sides, after the last message -> noise_split -> two transport keys
 */
#ifndef NODE_TRANSPORT_NOISE_H
#define NODE_TRANSPORT_NOISE_H

#include "node/base/err.h"
#include "node/port/port.h"

enum noise_pattern {
    NOISE_IK,
    NOISE_XX,
};

enum {
    /* Bytes of each message before its payload: ephemeral and static keys, tags of the latter. */
    NOISE_IK_1_PREFIX = CRYPTO_AGREE_LEN + CRYPTO_AGREE_LEN + CRYPTO_TAG_LEN,
    NOISE_IK_2_PREFIX = CRYPTO_AGREE_LEN,
    NOISE_XX_1_PREFIX = CRYPTO_AGREE_LEN,
    NOISE_XX_2_PREFIX = CRYPTO_AGREE_LEN + CRYPTO_AGREE_LEN + CRYPTO_TAG_LEN,
    NOISE_XX_3_PREFIX = CRYPTO_AGREE_LEN + CRYPTO_TAG_LEN,
};

/* The static pair of this side. */
struct noise_static {
    const uint8_t *public_key;
    const uint8_t *secret_key;
};

struct noise {
    uint8_t chaining_key[CRYPTO_HASH_LEN];
    uint8_t hash[CRYPTO_HASH_LEN]; /* After the last message: the handshake hash. */
    uint8_t key[CRYPTO_AGREE_LEN]; /* Of the handshake's cipher, once has_key. */
    uint8_t ephemeral_secret[CRYPTO_AGREE_LEN];
    uint8_t peer_ephemeral[CRYPTO_AGREE_LEN];
    uint8_t peer_static[CRYPTO_AGREE_LEN]; /* XX, IK responder: known once its message is read. */
    uint8_t pattern;
    uint8_t step; /* Messages written and read so far. */
    uint8_t counter;
    bool has_key;
    bool is_initiator;
};

/* Begins a handshake. peer_static: the responder's key for an IK initiator, else NULL. */
void noise_start(struct noise *noise, struct port *port, enum noise_pattern pattern,
                 bool is_initiator, struct slice prologue, const struct noise_static *own,
                 const uint8_t *peer_static);

/* Makes this side's next message in `out`, whose payload lies behind the message's prefix already.
 * `ephemeral` is 32 random bytes for messages with an ephemeral key, else NULL. Returns the length,
 * prefix and payload tag included; ERR_INVALID when the peer's key is of low order. */
NODISCARD int noise_write(struct noise *noise, struct port *port, const struct noise_static *own,
                          const uint8_t *ephemeral, uint8_t *out, size_t payload_len);

/* Reads the peer's next message. `payload` has room for the whole message; its length goes to
 * *payload_len. False, and the handshake is spoilt, when the message is not authentic. */
NODISCARD bool noise_read(struct noise *noise, struct port *port, const struct noise_static *own,
                          struct slice message, uint8_t *payload, size_t *payload_len);

/* After the last message: the keys this side sends and receives with. */
void noise_split(const struct noise *noise, struct port *port, uint8_t send_key[CRYPTO_AGREE_LEN],
                 uint8_t receive_key[CRYPTO_AGREE_LEN]);

static inline bool noise_is_done(const struct noise *noise)
{
    return noise->step == (noise->pattern == NOISE_IK ? 2 : 3);
}

#endif /* NODE_TRANSPORT_NOISE_H */
