/* host_trace.c - what a node says: held back until its entry has returned, then told to the hooks.
 */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/host/loop.h"

static size_t keep(struct deliveries *deliveries, struct slice bytes);
static void tell_round(struct host_loop *loop);

void host_deliver(struct port *port, const struct port_event *event)
{
    struct host *host = host_of(port);
    must(host->loop->entered == host);
    struct deliveries *deliveries = &host->loop->heard;
    if (deliveries->count == deliveries->cap) {
        deliveries->cap = deliveries->cap == 0 ? 16 : deliveries->cap * 2;
        deliveries->items = realloc(deliveries->items, deliveries->cap * sizeof(struct delivery));
        must(deliveries->items != NULL);
    }
    struct delivery *delivery = &deliveries->items[deliveries->count++];
    delivery->host = host;
    delivery->event = *event;
    delivery->bytes_at = keep(deliveries, event->bytes);
    delivery->about_at = keep(deliveries, event->about);
}

void host_trace(struct port *port, const struct port_trace *event)
{
    const struct host_hooks *hooks = &host_of(port)->options.hooks;
    if (hooks->traced != NULL) {
        hooks->traced(hooks->arg, event);
    }
}

/* The hooks may submit commands, which are entries of their own with deliveries of their own: those
 * are told in the next round, by the outermost teller. */
void host_tell(struct host_loop *loop)
{
    if (loop->is_telling) {
        return;
    }
    loop->is_telling = true;
    while (loop->heard.count > 0) {
        tell_round(loop);
    }
    loop->is_telling = false;
}

void deliveries_free(struct deliveries *deliveries)
{
    free(deliveries->items);
    free(deliveries->text);
}

static void tell_round(struct host_loop *loop)
{
    struct deliveries told = loop->heard;
    loop->heard = loop->telling;
    loop->telling = told;
    for (uint32_t i = 0; i < told.count; i++) {
        struct delivery *delivery = &told.items[i];
        delivery->event.bytes.data = told.text + delivery->bytes_at;
        delivery->event.about.data = told.text + delivery->about_at;
        const struct host_hooks *hooks = &delivery->host->options.hooks;
        if (hooks->delivered != NULL) {
            hooks->delivered(hooks->arg, &delivery->event);
        }
    }
    loop->telling.count = 0;
    loop->telling.text_len = 0;
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
