/* host_clock.c - one pending wake-up per node, on a timer of the loop. */
#include "node/base/must.h"
#include "node/host/loop.h"

static void on_timer(uv_timer_t *timer);

void host_clock_open(struct host *host)
{
    must(uv_timer_init(&host->loop->uv, &host->timer) == 0);
    host->timer.data = host;
    host->handles++;
    host->wake_us = PORT_NEVER;
}

/* libuv counts whole milliseconds since boot, rounded down, and fires when its count has reached
 * the timer's: rounding the due time up is what keeps a wake-up from being early. */
void host_wake_at(struct port *port, uint64_t due_us)
{
    struct host *host = host_of(port);
    if (due_us == host->wake_us) {
        return;
    }
    host->wake_us = due_us;
    if (due_us == PORT_NEVER) {
        uv_timer_stop(&host->timer);
        return;
    }
    uint64_t due_ms = due_us / 1000 + (due_us % 1000 != 0);
    uint64_t now_ms = uv_now(&host->loop->uv);
    uint64_t delay_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    if (delay_ms == 0 && host->is_waking) {
        delay_ms = 1; /* libuv would run it before it looks at a socket again. */
    }
    must(uv_timer_start(&host->timer, on_timer, delay_ms, 0) == 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct host *host = timer->data;
    must(host->node != NULL);
    host_entry_begin(host);
    must(host->port.now_us >= host->wake_us);
    host->wake_us = PORT_NEVER;
    host->is_waking = true;
    node_on_wake(host->node);
    host->is_waking = false;
    host_entry_end(host);
}
