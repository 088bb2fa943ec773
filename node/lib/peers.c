/* peers.c - the routing table now against the routing table as told: a merge of two sorted lists.
 */
#include "node/lib/peers.h"

#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"

struct listing {
    struct meshnode_id *ids;
    size_t count;
    size_t cap;
};

static void add(void *arg, const struct inspect_peer *peer)
{
    struct listing *listing = arg;
    if (peer->bucket < 0) {
        return; /* In a session with us, but not in the table. */
    }
    if (listing->count == listing->cap) {
        listing->cap = listing->cap == 0 ? 32 : listing->cap * 2;
        listing->ids = realloc(listing->ids, listing->cap * sizeof *listing->ids);
        must(listing->ids != NULL);
    }
    memcpy(listing->ids[listing->count++].bytes, peer->contact->id.bytes, MESHNODE_ID_LEN);
}

static int order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct meshnode_id));
}

void peers_open(struct peers *peers)
{
    *peers = (struct peers){.is_changed = true}; /* Contacts may have come before anybody looked. */
}

void peers_free(struct peers *peers)
{
    free(peers->told);
    *peers = (struct peers){0};
}

void peers_tell(struct peers *peers, const struct node *node,
                const struct meshnode_callbacks *callbacks)
{
    if (!peers->is_changed) {
        return;
    }
    struct listing now = {0};
    node_inspect_peers(node, add, &now);
    if (now.count > 0) {
        qsort(now.ids, now.count, sizeof *now.ids, order);
    }
    struct peers before = *peers;
    *peers = (struct peers){.told = now.ids, .count = now.count};
    for (size_t i = 0, j = 0; i < before.count || j < now.count;) {
        int side = i == before.count ? 1
                   : j == now.count  ? -1
                                     : memcmp(&before.told[i], &now.ids[j], MESHNODE_ID_LEN);
        if (side < 0) {
            callbacks->on_peer(callbacks->arg, &before.told[i++], false);
        } else if (side > 0) {
            callbacks->on_peer(callbacks->arg, &now.ids[j++], true);
        } else {
            i++;
            j++;
        }
    }
    free(before.told);
}
