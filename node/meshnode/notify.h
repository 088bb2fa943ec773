/* notify.h - tells the service manager how we do (sd_notify(3)), without its library.
 *
 * Each call is one datagram to $NOTIFY_SOCKET; without that variable nothing happens.
 *
 *      "READY=1" -> notify_send -> unix datagram socket -> systemd
 */
#ifndef NODE_MESHNODE_NOTIFY_H
#define NODE_MESHNODE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Lines of VARIABLE=VALUE. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How often the manager wants to hear "WATCHDOG=1", µs; 0: it does not. */
uint64_t notify_watchdog_us(void);

bool notify_is_wanted(void);

#endif /* NODE_MESHNODE_NOTIFY_H */
