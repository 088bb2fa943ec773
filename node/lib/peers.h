/* peers.h - who entered and who left the routing table since the last look.
 *
 * Trace events say that the table changed, from inside an entry; who changed it is found out after
 * it, by comparing the table with what was told last.
 *
 *      TRACE_TABLE_ADD, TRACE_TABLE_DROP -> is_changed -> peers_tell -> on_peer(id, is_up)
 */
#ifndef NODE_LIB_PEERS_H
#define NODE_LIB_PEERS_H

#include "node/inspect.h"
#include "node/lib/meshnode.h"

struct peers {
    struct meshnode_id *told; /* In order; those the callback was told are up. */
    size_t count;
    bool is_changed;
};

void peers_open(struct peers *peers);
void peers_free(struct peers *peers);

/* Calls callbacks->on_peer for every difference. */
void peers_tell(struct peers *peers, const struct node *node,
                const struct meshnode_callbacks *callbacks);

#endif /* NODE_LIB_PEERS_H */
