/* delegate.h - lookups that a server makes for a client.
 *
 *      client  SEEK(number, target) ---------> server: a lookup of its own
 *              <--------------- SEEKING                     the word is given
 *              <--------------- SOUGHT(number, result)      when it has ended
 *
 * A lookup asks twenty strangers or more, and each of them costs a client a place in the box in
 * front of it (node/nat/flow.c). A server that it has a session with anyway pays nothing for that.
 * A value that comes back is checked like any other; a list of contacts is the server's word, as it
 * is the word of every node on the way of a lookup. Without an answer the client looks for itself.
 */
#ifndef NODE_DHT_DELEGATE_H
#define NODE_DHT_DELEGATE_H

#include "node/transport/transport.h"

enum {
    DELEGATE_PENDING_MAX = 8,
    DELEGATE_WAIT_US = 8000000, /* For SOUGHT; a lookup's p99 is below 3 s (first-mesh). */
};

struct dht;
struct dht_lookup;

/* A lookup that we make for somebody. */
struct dht_errand {
    struct message_from from; /* Its peer is retained. */
    uint32_t number;
    uint16_t serial; /* 0 in free ones. */
};

struct dht_delegate {
    /* A server to ask, or PORT_INTERN_NONE; NULL: there never is one. */
    uint32_t (*choose)(void *arg);
    void *arg;
    struct timer wait; /* Of lookups that were given away. */
    struct pool pending;
    uint16_t serial_last;
};

int dht_delegate_init(struct dht *dht);
void dht_delegate_stop(struct dht *dht);

/* True when the lookup has been given away: it goes on with an answer, or when that fails to come.
 */
bool dht_delegate_lookup(struct dht *dht, struct dht_lookup *lookup);

void dht_on_seek(struct dht *dht, const struct message_from *from,
                 const struct message_seek *request);
void dht_on_sought(struct dht *dht, const struct message_from *from,
                   const struct message_sought *note);

#endif /* NODE_DHT_DELEGATE_H */
