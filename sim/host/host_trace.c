/* host_trace.c - what a node says: held back until its entry has returned, then told to the hooks.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/host/world.h"

static size_t keep(struct deliveries *deliveries, struct slice bytes);

void host_deliver(struct port *port, const struct port_event *event)
{
    struct deliveries *deliveries = &host_of(port)->world->deliveries;
    if (deliveries->count == deliveries->cap) {
        deliveries->cap = deliveries->cap == 0 ? 16 : deliveries->cap * 2;
        deliveries->items = realloc(deliveries->items, deliveries->cap * sizeof(struct delivery));
        must(deliveries->items != NULL);
    }
    struct delivery *delivery = &deliveries->items[deliveries->count++];
    delivery->event = *event;
    delivery->bytes_at = keep(deliveries, event->bytes);
    delivery->about_at = keep(deliveries, event->about);
}

void host_deliveries_flush(struct host *host)
{
    struct world *world = host->world;
    struct deliveries held = world->deliveries;
    if (held.count == 0) {
        return;
    }
    /* The hooks may submit commands, which are entries of their own with deliveries of their own.
     */
    world->deliveries = (struct deliveries){0};
    for (uint32_t i = 0; i < held.count; i++) {
        struct port_event *event = &held.items[i].event;
        event->bytes.data = held.text + held.items[i].bytes_at;
        event->about.data = held.text + held.items[i].about_at;
        if (world->options.hooks.delivered != NULL) {
            world->options.hooks.delivered(world->options.hooks.arg, host, event);
        }
    }
    if (world->deliveries.cap != 0) {
        free(held.items);
        free(held.text);
        return;
    }
    held.count = 0;
    held.text_len = 0;
    world->deliveries = held;
}

void host_trace(struct port *port, const struct port_trace *event)
{
    struct host *host = host_of(port);
    const struct world_hooks *hooks = &host->world->options.hooks;
    if (hooks->traced != NULL) {
        hooks->traced(hooks->arg, host, event);
    }
}

static size_t keep(struct deliveries *deliveries, struct slice bytes)
{
    if (deliveries->text_len + bytes.len > deliveries->text_cap || deliveries->text == NULL) {
        deliveries->text_cap = (deliveries->text_len + bytes.len) * 2 + 1024;
        deliveries->text = realloc(deliveries->text, deliveries->text_cap);
        must(deliveries->text != NULL);
    }
    size_t at = deliveries->text_len;
    if (bytes.len > 0) {
        memcpy(deliveries->text + at, bytes.data, bytes.len);
    }
    deliveries->text_len += bytes.len;
    return at;
}
