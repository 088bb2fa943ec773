/* flood.h - what the generators of trouble share.
 *
 *      main -> flood_*(target, until, rate) -> target -> what came back, one line of JSON
 */
#ifndef TESTS_LIVE_FLOOD_H
#define TESTS_LIVE_FLOOD_H

#include <netinet/in.h>
#include <stdint.h>
#include <time.h>

struct flood {
    struct sockaddr_in target;
    uint64_t until_us;
    uint64_t rate;   /* Datagrams per second. */
    uint32_t groups; /* Address groups they come from. */
};

uint64_t flood_now_us(void);
/* flood_peer.c: a real node that misbehaves in its sessions. */
void flood_signatures(const struct flood *flood);

#endif /* TESTS_LIVE_FLOOD_H */
