/* fake_host.c - the port of a node on the fake network: memory, storage, interning, a signature. */
#include <stdlib.h>
#include <string.h>

#include "fake_net_parts.h"
#include "node/base/hash.h"
#include "node/base/must.h"

static struct net_node *node_of(struct port *port)
{
    return container_of(port, struct net_node, port);
}

static void host_wake_at(struct port *port, uint64_t due_us)
{
    struct net_node *node = node_of(port);
    node->wake_us = due_us;
    if (due_us != PORT_NEVER) {
        uint64_t now_us = node->net->now_us;
        fake_post(node->net, due_us > now_us ? due_us - now_us : 0, EVENT_WAKE, node->index,
                  due_us);
    }
}

void fake_entropy(struct port *port, void *buffer, size_t len)
{
    uint8_t *bytes = buffer;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)rng_next(&node_of(port)->net->dice);
    }
}

struct net_blob *fake_find_blob(struct net_node *node, struct slice key)
{
    for (uint32_t i = 0; i < node->blob_count; i++) {
        struct net_blob *blob = &node->blobs[i];
        if (blob->key_len == key.len && memcmp(blob->key, key.data, key.len) == 0) {
            return blob;
        }
    }
    return NULL;
}

static int host_store_get(struct port *port, struct slice key, void *buffer, size_t cap,
                          size_t *len)
{
    const struct net_blob *blob = fake_find_blob(node_of(port), key);
    if (blob == NULL) {
        return ERR_MISSING;
    }
    *len = blob->value_len;
    if (blob->value_len > cap) {
        return ERR_TOO_LARGE;
    }
    memcpy(buffer, blob->value, blob->value_len);
    return ERR_OK;
}

static int host_store_put(struct port *port, struct slice key, struct slice value)
{
    struct net_node *node = node_of(port);
    must(key.len <= PORT_KEY_MAX && value.len <= PORT_VALUE_MAX);
    if (node->is_disk_refusing) {
        return ERR_IO;
    }
    struct net_blob *blob = fake_find_blob(node, key);
    if (blob == NULL) {
        node->blobs = realloc(node->blobs, (node->blob_count + 1) * sizeof *node->blobs);
        must(node->blobs != NULL);
        blob = &node->blobs[node->blob_count++];
        *blob = (struct net_blob){.key_len = key.len};
        memcpy(blob->key, key.data, key.len);
    }
    blob->value = realloc(blob->value, value.len + 1);
    must(blob->value != NULL);
    memcpy(blob->value, value.data, value.len);
    blob->value_len = value.len;
    return ERR_OK;
}

static int host_store_del(struct port *port, struct slice key)
{
    struct net_node *node = node_of(port);
    struct net_blob *blob = fake_find_blob(node, key);
    if (blob == NULL) {
        return ERR_MISSING;
    }
    free(blob->value);
    *blob = node->blobs[--node->blob_count];
    return ERR_OK;
}

static int host_store_scan(struct port *port, struct slice prefix, port_scan_fn visit, void *arg)
{
    struct net_node *node = node_of(port);
    for (uint32_t i = 0; i < node->blob_count; i++) {
        const struct net_blob *blob = &node->blobs[i];
        if (blob->key_len >= prefix.len && memcmp(blob->key, prefix.data, prefix.len) == 0 &&
            !visit(arg, slice_of(blob->key, blob->key_len),
                   slice_of(blob->value, blob->value_len))) {
            break;
        }
    }
    return ERR_OK;
}

static int host_store_commit(struct port *port, uint64_t ticket)
{
    fake_post(node_of(port)->net, FLUSH_US, EVENT_DURABLE, node_of(port)->index, ticket);
    return ERR_OK;
}

static uint32_t host_intern_get(struct port *port, const void *key, port_intern_fn complete)
{
    struct net *net = node_of(port)->net;
    uint64_t hash = 0;
    for (uint32_t i = 0; i < PORT_INTERN_KEY; i += 8) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)key + i, sizeof word);
        hash = rng_mix(hash ^ word);
    }
    uint32_t slot = (uint32_t)hash % SLOTS;
    for (; net->slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        uint32_t handle = net->slots[slot];
        if (memcmp(net->records + (size_t)handle * PORT_INTERN_RECORD, key, PORT_INTERN_KEY) == 0) {
            net->references[handle]++;
            return handle;
        }
    }
    uint32_t handle = ++net->record_count;
    must(handle < RECORDS_MAX);
    uint8_t *record = net->records + (size_t)handle * PORT_INTERN_RECORD;
    memcpy(record, key, PORT_INTERN_KEY);
    net->prefixes[handle] = complete(record);
    net->references[handle] = 1;
    net->slots[slot] = handle;
    return handle;
}

/* A handle without references stays in its place, but nobody may use it: the count tells. */
static void host_intern_retain(struct port *port, uint32_t handle)
{
    must(node_of(port)->net->references[handle] > 0);
    node_of(port)->net->references[handle]++;
}

static void host_intern_release(struct port *port, uint32_t handle)
{
    must(node_of(port)->net->references[handle] > 0);
    node_of(port)->net->references[handle]--;
}

static void *host_arena_more(struct port *port, size_t bytes, size_t *given)
{
    struct net_node *node = node_of(port);
    if (node->chunks_left == 0) {
        return NULL;
    }
    node->chunks_left--;
    node->chunks = realloc(node->chunks, (node->chunk_count + 1) * sizeof *node->chunks);
    must(node->chunks != NULL);
    void *chunk = calloc(1, bytes);
    must(chunk != NULL);
    node->chunks[node->chunk_count++] = chunk;
    node->bytes_given += bytes;
    *given = bytes;
    return chunk;
}

static void host_arena_less(struct port *port, void *given)
{
    struct net_node *node = node_of(port);
    for (uint32_t i = 0; i < node->chunk_count; i++) {
        if (node->chunks[i] == given) {
            free(given);
            node->chunks[i] = node->chunks[--node->chunk_count];
            return;
        }
    }
    must(given == NULL); /* Given back what was never given. */
}

static void host_trace(struct port *port, const struct port_trace *event)
{
    (void)port;
    must(event->kind < TRACE_KIND_COUNT);
}

const struct port_ops fake_ops = {
    .wake_at = host_wake_at,
    .entropy = fake_entropy,
    .store_get = host_store_get,
    .store_put = host_store_put,
    .store_del = host_store_del,
    .store_scan = host_store_scan,
    .store_commit = host_store_commit,
    .intern_get = host_intern_get,
    .intern_retain = host_intern_retain,
    .intern_release = host_intern_release,
    .arena_more = host_arena_more,
    .arena_less = host_arena_less,
    .trace = host_trace,
};

/* A signature anybody could make, but no altered byte passes: enough for what is tested here. */
static void fake_sign(uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                      const uint8_t secret_key[CRYPTO_SECRET_LEN])
{
    hash_domain(signature, CRYPTO_SIGNATURE_LEN, "fake signature",
                slice_of(secret_key + CRYPTO_SEED_LEN, CRYPTO_PUBLIC_LEN), message);
}

static bool fake_verify(const uint8_t signature[CRYPTO_SIGNATURE_LEN], struct slice message,
                        const uint8_t public_key[CRYPTO_PUBLIC_LEN])
{
    uint8_t expected[CRYPTO_SIGNATURE_LEN];
    hash_domain(expected, sizeof expected, "fake signature",
                slice_of(public_key, CRYPTO_PUBLIC_LEN), message);
    return memcmp(expected, signature, sizeof expected) == 0;
}

const struct port_crypto fake_crypto = {.name = "fake", .sign = fake_sign, .verify = fake_verify};
