/* sodium_suite.h - the real primitives, by libsodium, for both worlds.
 *
 * Not part of libnode.a: a program chooses the suite and hands it to its nodes by their port.
 *
 *      struct port.crypto = &sodium_suite -> node/port/crypto_calls.h -> libsodium
 */
#ifndef NODE_SODIUM_SODIUM_SUITE_H
#define NODE_SODIUM_SODIUM_SUITE_H

#include "node/base/err.h"
#include "node/port/crypto.h"

extern const struct port_crypto sodium_suite;

/* Once per process, before the first use; again does no harm. ERR_UNSUPPORTED if libsodium cannot
 * work here. */
NODISCARD int sodium_suite_init(void);

#endif /* NODE_SODIUM_SODIUM_SUITE_H */
