/* noise.c - the token interpreter of Noise revision 34 for the patterns in noise.h. */
#include "node/transport/noise.h"

#include <string.h>

#include "node/base/must.h"
#include "node/port/crypto_calls.h"

enum token {
    END, /* Of a message: the payload comes next. */
    E,
    S,
    EE,
    ES,
    SE,
    SS,
};

enum {
    STEPS_MAX = 3,
    TOKENS_MAX = 5,
    NAME_LEN = 32, /* As long as a hash: section 5.2 takes it as it is. */
};

static const uint8_t names[][NAME_LEN + 1] = {
    [NOISE_IK] = "Noise_IK_25519_ChaChaPoly_SHA256",
    [NOISE_XX] = "Noise_XX_25519_ChaChaPoly_SHA256",
};

static const uint8_t patterns[][STEPS_MAX][TOKENS_MAX] = {
    [NOISE_IK] = {{E, ES, S, SS}, {E, EE, SE}},
    [NOISE_XX] = {{E}, {E, EE, S, ES}, {S, SE}},
};

static void mix_hash(struct noise *noise, struct port *port, struct slice bytes);
static void mix_key(struct noise *noise, struct port *port, const uint8_t input[CRYPTO_AGREE_LEN]);
static size_t encrypt(struct noise *noise, struct port *port, uint8_t *text, size_t len);
static bool decrypt(struct noise *noise, struct port *port, struct slice text, uint8_t *out);
static bool agree(struct noise *noise, struct port *port, const struct noise_static *own,
                  enum token token);

void noise_start(struct noise *noise, struct port *port, enum noise_pattern pattern,
                 bool is_initiator, struct slice prologue, const struct noise_static *own,
                 const uint8_t *peer_static)
{
    must((peer_static != NULL) == (pattern == NOISE_IK && is_initiator));

    noise->pattern = (uint8_t)pattern;
    noise->step = 0;
    noise->counter = 0;
    noise->has_key = false;
    noise->is_initiator = is_initiator;
    memcpy(noise->hash, names[pattern], NAME_LEN);
    memcpy(noise->chaining_key, names[pattern], NAME_LEN);
    mix_hash(noise, port, prologue);
    if (peer_static != NULL) {
        memcpy(noise->peer_static, peer_static, CRYPTO_AGREE_LEN);
    }
    if (pattern == NOISE_IK) {
        const uint8_t *known = is_initiator ? noise->peer_static : own->public_key;
        mix_hash(noise, port, slice_of(known, CRYPTO_AGREE_LEN));
    }
}

int noise_write(struct noise *noise, struct port *port, const struct noise_static *own,
                const uint8_t *ephemeral, uint8_t *out, size_t payload_len)
{
    must(!noise_is_done(noise));
    must(noise->is_initiator == (noise->step % 2 == 0));

    uint8_t *next = out;
    const uint8_t *tokens = patterns[noise->pattern][noise->step];
    for (int i = 0; i < TOKENS_MAX && tokens[i] != END; i++) {
        if (tokens[i] == E) {
            port_agree_keypair(port, ephemeral, next, noise->ephemeral_secret);
            mix_hash(noise, port, slice_of(next, CRYPTO_AGREE_LEN));
            next += CRYPTO_AGREE_LEN;
        } else if (tokens[i] == S) {
            memcpy(next, own->public_key, CRYPTO_AGREE_LEN);
            next += encrypt(noise, port, next, CRYPTO_AGREE_LEN);
        } else if (!agree(noise, port, own, tokens[i])) {
            return ERR_INVALID;
        }
    }
    next += encrypt(noise, port, next, payload_len);
    noise->step++;
    return (int)(next - out);
}

bool noise_read(struct noise *noise, struct port *port, const struct noise_static *own,
                struct slice message, uint8_t *payload, size_t *payload_len)
{
    must(!noise_is_done(noise));
    must(noise->is_initiator == (noise->step % 2 == 1));

    const uint8_t *tokens = patterns[noise->pattern][noise->step];
    for (int i = 0; i < TOKENS_MAX && tokens[i] != END; i++) {
        size_t len = CRYPTO_AGREE_LEN;
        if (tokens[i] == E) {
            if (message.len < len) {
                return false;
            }
            memcpy(noise->peer_ephemeral, message.data, len);
            mix_hash(noise, port, slice_of(message.data, len));
        } else if (tokens[i] == S) {
            len += CRYPTO_TAG_LEN;
            if (message.len < len ||
                !decrypt(noise, port, slice_of(message.data, len), noise->peer_static)) {
                return false;
            }
        } else {
            len = 0;
            if (!agree(noise, port, own, tokens[i])) {
                return false;
            }
        }
        message = slice_of(message.data + len, message.len - len);
    }
    size_t tag_len = noise->has_key ? CRYPTO_TAG_LEN : 0;
    if (message.len < tag_len || !decrypt(noise, port, message, payload)) {
        return false;
    }
    *payload_len = message.len - tag_len;
    noise->step++;
    return true;
}

void noise_split(const struct noise *noise, struct port *port, uint8_t send_key[CRYPTO_AGREE_LEN],
                 uint8_t receive_key[CRYPTO_AGREE_LEN])
{
    must(noise_is_done(noise));

    uint8_t *initiator_key = noise->is_initiator ? send_key : receive_key;
    uint8_t *responder_key = noise->is_initiator ? receive_key : send_key;
    port_derive(port, noise->chaining_key, slice_of(NULL, 0), initiator_key, responder_key, NULL);
}

/* MixHash, section 5.2. */
static void mix_hash(struct noise *noise, struct port *port, struct slice bytes)
{
    port_hash(port, noise->hash, slice_of(noise->hash, sizeof noise->hash), bytes);
}

/* MixKey, section 5.2. */
static void mix_key(struct noise *noise, struct port *port, const uint8_t input[CRYPTO_AGREE_LEN])
{
    port_derive(port, noise->chaining_key, slice_of(input, CRYPTO_AGREE_LEN), noise->chaining_key,
                noise->key, NULL);
    noise->counter = 0;
    noise->has_key = true;
}

/* EncryptAndHash, section 5.2, in place. Returns the bytes there are now. */
static size_t encrypt(struct noise *noise, struct port *port, uint8_t *text, size_t len)
{
    if (noise->has_key) {
        port_seal(port, text, slice_of(text, len), slice_of(noise->hash, sizeof noise->hash),
                  noise->counter++, noise->key);
        len += CRYPTO_TAG_LEN;
    }
    mix_hash(noise, port, slice_of(text, len));
    return len;
}

/* DecryptAndHash, section 5.2. */
static bool decrypt(struct noise *noise, struct port *port, struct slice text, uint8_t *out)
{
    if (!noise->has_key) {
        if (text.len > 0) {
            memcpy(out, text.data, text.len);
        }
    } else if (!port_unseal(port, out, text, slice_of(noise->hash, sizeof noise->hash),
                            noise->counter++, noise->key)) {
        return false;
    }
    mix_hash(noise, port, text);
    return true;
}

/* One Diffie-Hellman token: the first letter is the initiator's key, the second the responder's. */
static bool agree(struct noise *noise, struct port *port, const struct noise_static *own,
                  enum token token)
{
    bool is_own_static = token == SS || token == (noise->is_initiator ? SE : ES);
    bool is_peer_static = token == SS || token == (noise->is_initiator ? ES : SE);
    uint8_t shared[CRYPTO_AGREE_LEN];
    if (!port_agree(port, shared, is_own_static ? own->secret_key : noise->ephemeral_secret,
                    is_peer_static ? noise->peer_static : noise->peer_ephemeral)) {
        return false;
    }
    mix_key(noise, port, shared);
    return true;
}
