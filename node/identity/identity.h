/* identity.h - who this node is: an Ed25519 key pair, its X25519 form, and the id they give.
 *
 *      given seed, stored seed, or fresh entropy -> identity_init -> keys, id
 *
 * A seed that is given (the live node's key file) is used and not stored. Without one the seed is
 * kept in the node's own storage under "identity", so that a node that restarts on the same disk is
 * the same node. No session key or counter is ever stored.
 */
#ifndef NODE_IDENTITY_IDENTITY_H
#define NODE_IDENTITY_IDENTITY_H

#include "node/base/core.h"
#include "node/wire/contact.h"

struct identity {
    struct node_id id;
    uint8_t public_key[CRYPTO_PUBLIC_LEN];
    uint8_t secret_key[CRYPTO_SECRET_LEN];
    uint8_t agree_public[CRYPTO_AGREE_LEN];
    uint8_t agree_secret[CRYPTO_AGREE_LEN];
};

/* From `seed` (CRYPTO_SEED_LEN bytes), or NULL: loads or makes the identity. ERR_IO when the
 * storage holds something else or refuses. */
NODISCARD int identity_init(struct identity *identity, struct core *core, const uint8_t *seed);

#endif /* NODE_IDENTITY_IDENTITY_H */
