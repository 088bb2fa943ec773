/* host_store.c - storage operations: handed to the store, answered as entries. */
#include "node/base/must.h"
#include "node/host/loop.h"

static void on_settled(void *arg, uint64_t ticket, int status);
static void on_noted(void *arg, enum host_note how, const char *text);

int host_store_open(struct host *host, char reason[HOST_REASON_SIZE])
{
    const struct store_options options = {
        .path = host->database,
        .loop = &host->loop->uv,
        .hooks = {.arg = host, .settled = on_settled, .noted = on_noted}};
    return store_open(&options, &host->store, reason);
}

void host_store_close(struct host *host, bool is_polite)
{
    must(host->node == NULL); /* Nobody to tell what is settled on the way. */
    struct store_view view;
    store_observe(host->store, &view);
    if (is_polite) {
        store_flush(host->store);
        store_observe(host->store, &view);
        store_close(host->store);
    } else {
        store_abandon(host->store);
    }
    host->store = NULL;
    host->counts.commits += view.commits;
    host->counts.commits_failed += view.commits_failed;
    host->counts.database_bytes = view.bytes;
    host->counts.disk = view.is_read_only ? HOST_DISK_READ_ONLY : HOST_DISK_OK;
}

static struct store *store_of(struct port *port)
{
    struct host *host = host_of(port);
    must(host->loop->entered == host); /* Law: a node acts only inside an entry of its own. */
    return host->store;
}

int host_store_get(struct port *port, struct slice key, void *buffer, size_t cap, size_t *len)
{
    return store_get(store_of(port), key, buffer, cap, len);
}

int host_store_put(struct port *port, struct slice key, struct slice value)
{
    return store_put(store_of(port), key, value);
}

int host_store_del(struct port *port, struct slice key)
{
    return store_del(store_of(port), key);
}

int host_store_scan(struct port *port, struct slice prefix, port_scan_fn visit, void *arg)
{
    return store_scan(store_of(port), prefix, visit, arg);
}

int host_store_commit(struct port *port, uint64_t ticket)
{
    return store_commit(store_of(port), ticket);
}

static void on_settled(void *arg, uint64_t ticket, int status)
{
    struct host *host = arg;
    if (host->node == NULL) {
        return; /* It has left; its last commits are settled without it. */
    }
    host_entry_begin(host);
    node_on_durable(host->node, ticket, status);
    host_entry_end(host);
}

static void on_noted(void *arg, enum host_note how, const char *text)
{
    host_note(arg, how, "%s", text);
}
