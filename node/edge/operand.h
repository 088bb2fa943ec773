/* operand.h - the operands of a verb, as its table writes them, one by one.
 *
 *      "[--salt N] [--hex] <value>" -> operand_next -> --salt N, --hex, <value>
 *
 * A field of a request carries the name of an operand or option: {"salt": 1, "value": "on duty"}.
 */
#ifndef NODE_EDGE_OPERAND_H
#define NODE_EDGE_OPERAND_H

#include <stdbool.h>
#include <stddef.h>

enum {
    OPERAND_NAME_SIZE = 32,
};

enum operand_kind {
    OPERAND_WORD,   /* <name>, [name] */
    OPERAND_OPTION, /* [--name N] */
    OPERAND_SWITCH, /* [--name] */
};

struct operand {
    char name[OPERAND_NAME_SIZE]; /* Letters and '_': "<address:port>" is "address". */
    enum operand_kind kind;
    bool is_required;
};

/* The next one at *at, which moves on; false at the end. The text is ours: must() if it is none. */
bool operand_next(const char **at, struct operand *operand);

#endif /* NODE_EDGE_OPERAND_H */
