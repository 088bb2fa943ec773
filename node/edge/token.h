/* token.h - the secret that writes are asked for, and where it is kept.
 *
 *      token_load(path) -> file of mode 0600, made when missing -> digest
 *      what a client sent -> token_matches, in a time that tells nothing
 */
#ifndef NODE_EDGE_TOKEN_H
#define NODE_EDGE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "node/base/err.h"
#include "node/host/host.h"

enum {
    TOKEN_LEN_MIN = 16, /* Characters: what cannot be guessed over a network. */
    TOKEN_LEN_MAX = 256,
    TOKEN_DIGEST_LEN = 32,
};

struct token {
    unsigned char digest[TOKEN_DIGEST_LEN];
};

/* False with a one-line reason: cannot be read or made, others may read it, too short. */
NODISCARD bool token_load(struct token *token, const char *path, char reason[HOST_REASON_SIZE]);
bool token_matches(const struct token *token, const char *text, size_t len);

#endif /* NODE_EDGE_TOKEN_H */
