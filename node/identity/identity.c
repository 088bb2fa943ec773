/* identity.c - keys from a given seed, from the stored one, or from one drawn and stored. */
#include "node/identity/identity.h"

#include <string.h>

#include "node/port/crypto_calls.h"

static int load_or_draw(struct core *core, uint8_t seed[CRYPTO_SEED_LEN]);

int identity_init(struct identity *identity, struct core *core, const uint8_t *seed)
{
    uint8_t own_seed[CRYPTO_SEED_LEN];
    if (seed == NULL) {
        int status = load_or_draw(core, own_seed);
        if (status != ERR_OK) {
            return status;
        }
    }
    port_sign_keypair(core->port, seed != NULL ? seed : own_seed, identity->public_key,
                      identity->secret_key);
    memset(own_seed, 0, sizeof own_seed);
    port_agree_secret(core->port, identity->secret_key, identity->agree_secret);
    if (!port_agree_public(core->port, identity->public_key, identity->agree_public)) {
        return ERR_IO; /* No seed gives such a key, so the seed was not read as it was written. */
    }
    contact_id(&identity->id, identity->public_key);
    return ERR_OK;
}

static int load_or_draw(struct core *core, uint8_t seed[CRYPTO_SEED_LEN])
{
    static const char name[] = "identity";
    const struct slice key = slice_of(name, sizeof name - 1);
    const struct port_ops *ops = core->port->ops;

    size_t len = 0;
    int status = ops->store_get(core->port, key, seed, CRYPTO_SEED_LEN, &len);
    if (status == ERR_OK) {
        return len == CRYPTO_SEED_LEN ? ERR_OK : ERR_IO;
    }
    if (status != ERR_MISSING) {
        return ERR_IO;
    }
    ops->entropy(core->port, seed, CRYPTO_SEED_LEN);
    if (ops->store_put(core->port, key, slice_of(seed, CRYPTO_SEED_LEN)) != ERR_OK) {
        return ERR_IO;
    }
    uint64_t ticket;
    return core_commit(core, &ticket) == ERR_OK ? ERR_OK : ERR_IO;
}
