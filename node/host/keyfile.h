/* keyfile.h - a node's identity at rest: 32 bytes of seed in a file that only its owner can read.
 *
 * Plain or sealed by a passphrase (Argon2id, then XChaCha20-Poly1305). Created whole or not at all:
 * written beside, synced, linked into place; an existing file is never overwritten.
 *
 *      path, passphrase -> keyfile_load -> seed     (no such file) -> keyfile_create
 *
 * A file that others can read, that is damaged or of another kind is refused with a reason, because
 * a node that quietly takes a new identity has lost its own.
 *
 * Two sizes of file, numbers big-endian; the last 16 bytes are a hash of all before them:
 *
 *      plain   "MTNKEY" version(1) = 1  kind(1) = 0  seed(32) hash(16)
 *      sealed  "MTNKEY" version(1) = 1  kind(1) = 1  passes(4) memory_kib(4) salt(16) nonce(24)
 *              sealed seed(48) hash(16)
 *
 * Argon2id 1.3, one lane (RFC 9106 section 3.1); the seal covers everything in front of it.
 */
#ifndef NODE_HOST_KEYFILE_H
#define NODE_HOST_KEYFILE_H

#include "node/host/host.h"

enum keyfile_verdict {
    KEYFILE_OK,
    KEYFILE_MISSING,
    KEYFILE_EXPOSED, /* Mode allows group or others anything, or it is not ours. */
    KEYFILE_DAMAGED,
    KEYFILE_LOCKED,           /* Sealed, and no passphrase was given. */
    KEYFILE_WRONG_PASSPHRASE, /* Or damaged inside the seal: the two cannot be told apart. */
    KEYFILE_UNREADABLE,       /* errno's business: permission, a folder, ... */
    KEYFILE_EXISTS,           /* keyfile_create only. */
};

/* passphrase NULL: none. On anything but KEYFILE_OK a one-line reason that names path and remedy.
 */
enum keyfile_verdict keyfile_load(const char *path, const char *passphrase,
                                  uint8_t seed[CRYPTO_SEED_LEN], char reason[HOST_REASON_SIZE]);
enum keyfile_verdict keyfile_create(const char *path, const char *passphrase,
                                    const uint8_t seed[CRYPTO_SEED_LEN],
                                    char reason[HOST_REASON_SIZE]);

#endif /* NODE_HOST_KEYFILE_H */
