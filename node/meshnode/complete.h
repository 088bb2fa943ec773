/* complete.h - what could be meant by a word that is only begun: a verb, or a node's id.
 *
 *      "pi"        -> complete_word -> "ng "           (the only verb)
 *      "ping 3f"   -> complete_word -> "a2c01b77d0 "   (the only id that begins so)
 *      "p"         -> complete_word -> ""              candidates: peers ping publish put
 */
#ifndef NODE_MESHNODE_COMPLETE_H
#define NODE_MESHNODE_COMPLETE_H

#include "node/cli/text.h"
#include "node/meshnode/client.h"

/* The line up to the cursor. Returns what to add to it, heap, maybe ""; when several candidates
 * remain they are listed, with blanks between, in `candidates`. Asks the node for its peers. */
char *complete_word(const char *line, size_t len, struct client *client, struct text *candidates);

#endif /* NODE_MESHNODE_COMPLETE_H */
