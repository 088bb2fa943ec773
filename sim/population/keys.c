/* keys.c - values out of numbers, computed when first used. */
#include "sim/population/keys.h"

#include <stdlib.h>

#include "node/base/must.h"

static size_t size_of(const struct keys *keys, uint32_t number);

void keys_open(struct keys *keys, uint32_t count, uint64_t seed, const struct dist *size_bytes)
{
    *keys = (struct keys){.count = count, .seed = seed, .size_bytes = size_bytes};
    if (count > 0) {
        keys->keys = calloc(count, sizeof *keys->keys);
        must(keys->keys != NULL);
    }
}

void keys_close(struct keys *keys)
{
    free(keys->keys);
    *keys = (struct keys){0};
}

struct key *keys_at(struct keys *keys, uint32_t number)
{
    must(number < keys->count);
    struct key *key = &keys->keys[number];
    if (!key->is_known) {
        uint8_t bytes[RECORD_VALUE_MAX];
        struct record record = {.kind = RECORD_IMMUTABLE};
        record.value = slice_of(bytes, keys_value(keys, number, bytes));
        record_key(&key->id, &record);
        key->bytes = (uint16_t)record.value.len;
        key->is_known = true;
    }
    return key;
}

size_t keys_value(const struct keys *keys, uint32_t number, uint8_t *bytes)
{
    size_t len = size_of(keys, number);
    keys_fill(bytes, len, keys->seed, "value", number);
    return len;
}

void keys_acknowledged(struct key *key, uint64_t now_us)
{
    key->first_us = key->first_us == 0 ? now_us : key->first_us;
    key->last_us = now_us;
}

bool keys_is_stored(const struct key *key, uint64_t before_us, uint64_t now_us, uint64_t expiry_us)
{
    return key->first_us != 0 && key->first_us < before_us && now_us - key->last_us < expiry_us;
}

void keys_fill(uint8_t *bytes, size_t len, uint64_t seed, const char *purpose, uint64_t number)
{
    struct rng rng;
    rng_stream(&rng, seed, purpose, number, 0);
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t word = rng_next(&rng);
        for (size_t i = 0; i < sizeof word && at + i < len; i++) {
            bytes[at + i] = (uint8_t)(word >> (8 * i));
        }
    }
}

static size_t size_of(const struct keys *keys, uint32_t number)
{
    uint64_t word = rng_stream_seed(keys->seed, "size", number, 0);
    uint64_t size = dist_at(keys->size_bytes, word);
    return size < RECORD_VALUE_MAX ? size : RECORD_VALUE_MAX;
}
