/* host_clock.c - one pending wake-up per node; older ones are recognised by their time and skipped.
 */
#include "sim/host/world.h"

void host_wake_at(struct port *port, uint64_t due_us)
{
    struct host *host = host_of(port);
    /* The past is now: an entry never sees time run backwards. */
    host->wake_us = due_us > port->now_us ? due_us : port->now_us;
    if (due_us != PORT_NEVER) {
        host_post(host, host->wake_us, HOST_EVENT_WAKE, 0);
    }
}
