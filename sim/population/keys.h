/* keys.h - the values that the workload stores and looks for: key number i of n.
 *
 * The bytes of value i are a pure function of (seed, i), so a getter knows the key, and what must
 * come back, without having met the storer. Sizes are drawn per key, once. What has become of a key
 * is kept beside it: since when it is stored, and who was seen holding it.
 *
 *      number -> keys_value -> bytes -> record_key -> id
 *      put acknowledged -> keys_acknowledged -> keys_is_stored -> getters
 */
#ifndef SIM_POPULATION_KEYS_H
#define SIM_POPULATION_KEYS_H

#include <stdbool.h>

#include "node/wire/record.h"
#include "sim/engine/dist.h"

enum {
    KEYS_HOLDERS_MAX = 24, /* k = 20 at the last acknowledgement, and a few met since. */
};

struct key {
    struct node_id id;
    uint16_t bytes; /* Of the value. */
    bool is_known;  /* id and bytes are computed. */
    uint8_t holder_count;
    uint8_t acknowledged; /* The first so many held it when a put was last acknowledged. */
    uint64_t first_us;    /* Of the first acknowledged put; 0 for none. */
    uint64_t last_us;     /* Of the last. */
    uint32_t holders[KEYS_HOLDERS_MAX];
};

struct keys {
    struct key *keys; /* Untouched ones cost no memory. */
    uint32_t count;
    uint64_t seed;
    const struct dist *size_bytes; /* Of values; borrowed. */
};

void keys_open(struct keys *keys, uint32_t count, uint64_t seed, const struct dist *size_bytes);
void keys_close(struct keys *keys);

/* Key number `number`, which is below keys->count. */
struct key *keys_at(struct keys *keys, uint32_t number);
/* Its value; `bytes` has room for RECORD_VALUE_MAX. Returns the length. */
size_t keys_value(const struct keys *keys, uint32_t number, uint8_t *bytes);

void keys_acknowledged(struct key *key, uint64_t now_us);
/* Whether a put was acknowledged before before_us and has not expired at now_us. */
bool keys_is_stored(const struct key *key, uint64_t before_us, uint64_t now_us, uint64_t expiry_us);

/* A payload of len bytes that no two (seed, purpose, number) share; what it says means nothing. */
void keys_fill(uint8_t *bytes, size_t len, uint64_t seed, const char *purpose, uint64_t number);

#endif /* SIM_POPULATION_KEYS_H */
