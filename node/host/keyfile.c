/* keyfile.c - a node's identity at rest: 32 bytes of seed in a file that only its owner can read.
 */
#include "node/host/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/hash.h"
#include "node/base/must.h"
#include "node/host/folder.h"
#include "node/sodium/sodium_suite.h"
#include "node/wire/codec.h"

enum {
    VERSION = 1,
    KIND_PLAIN = 0,
    KIND_SEALED = 1,
    HASH_LEN = 16,
    SALT_LEN = crypto_pwhash_SALTBYTES,
    NONCE_LEN = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    SEALED_LEN = CRYPTO_SEED_LEN + crypto_aead_xchacha20poly1305_ietf_ABYTES,
    HEAD_LEN = 8, /* Magic, version, kind. */
    FRONT_LEN = HEAD_LEN + 4 + 4 + SALT_LEN + NONCE_LEN,
    PLAIN_FILE_LEN = HEAD_LEN + CRYPTO_SEED_LEN + HASH_LEN,
    SEALED_FILE_LEN = FRONT_LEN + SEALED_LEN + HASH_LEN,

    /* What a file may ask for: four times what we ask for when we write one. A larger demand would
     * let whoever can write the file exhaust the machine. */
    PASSES_MAX = 4 * crypto_pwhash_OPSLIMIT_MODERATE,
    MEMORY_KIB_MAX = 4 * (crypto_pwhash_MEMLIMIT_MODERATE >> 10),
    MEMORY_KIB_MIN = crypto_pwhash_MEMLIMIT_MIN >> 10,

    PATH_SIZE = PATH_MAX + 32,
};

static const char magic[6] = {'M', 'T', 'N', 'K', 'E', 'Y'};

/* Bytes of a file, wiped after use. */
struct content {
    uint8_t bytes[SEALED_FILE_LEN + 1]; /* One more than any has, to see that there is more. */
    size_t len;
};

/* How a passphrase becomes a key, and the nonce that key is used with. */
struct stretching {
    uint32_t passes;
    uint32_t memory_kib;
    uint8_t salt[SALT_LEN];
    uint8_t nonce[NONCE_LEN];
};

static enum keyfile_verdict file_read(const char *path, struct content *content, char *reason);
static enum keyfile_verdict file_examine(const char *path, int descriptor, char *reason);
static enum keyfile_verdict decode(const char *path, const struct content *content,
                                   const char *passphrase, uint8_t *seed, char *reason);
static enum keyfile_verdict unseal(const char *path, const struct content *content,
                                   const char *passphrase, uint8_t *seed, char *reason);
static enum keyfile_verdict encode(const char *path, const char *passphrase, const uint8_t *seed,
                                   struct content *content, char *reason);
static bool stretch(const struct stretching *how, const char *passphrase, uint8_t *key);
static enum keyfile_verdict file_create(const char *path, const struct content *content,
                                        char *reason);
static bool file_write(const char *path, const struct content *content);
static enum keyfile_verdict refuse(enum keyfile_verdict verdict, char *reason, const char *format,
                                   ...) __attribute__((format(printf, 3, 4)));

enum keyfile_verdict keyfile_load(const char *path, const char *passphrase,
                                  uint8_t seed[CRYPTO_SEED_LEN], char reason[HOST_REASON_SIZE])
{
    must(sodium_suite_init() == ERR_OK);
    struct content content = {0};
    enum keyfile_verdict verdict = file_read(path, &content, reason);
    if (verdict == KEYFILE_OK) {
        verdict = decode(path, &content, passphrase, seed, reason);
    }
    sodium_memzero(&content, sizeof content);
    return verdict;
}

enum keyfile_verdict keyfile_create(const char *path, const char *passphrase,
                                    const uint8_t seed[CRYPTO_SEED_LEN],
                                    char reason[HOST_REASON_SIZE])
{
    must(sodium_suite_init() == ERR_OK);
    struct content content = {0};
    enum keyfile_verdict verdict = encode(path, passphrase, seed, &content, reason);
    if (verdict == KEYFILE_OK) {
        verdict = file_create(path, &content, reason);
    }
    sodium_memzero(&content, sizeof content);
    return verdict;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static enum keyfile_verdict file_read(const char *path, struct content *content, char *reason)
{
    /* Links are followed, because secrets are often mounted as such; owner and mode are those of
     * the file that was opened. Not to wait: a pipe would make us. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return refuse(errno == ENOENT ? KEYFILE_MISSING : KEYFILE_UNREADABLE, reason,
                      "cannot read %s: %s", path, strerror(errno));
    }
    enum keyfile_verdict verdict = file_examine(path, descriptor, reason);
    ssize_t len = 1;
    while (verdict == KEYFILE_OK && len > 0 && content->len < sizeof content->bytes) {
        len = read(descriptor, content->bytes + content->len, sizeof content->bytes - content->len);
        content->len += len > 0 ? (size_t)len : 0;
    }
    if (len < 0) {
        verdict = refuse(KEYFILE_UNREADABLE, reason, "cannot read %s: %s", path, strerror(errno));
    }
    (void)close(descriptor);
    return verdict;
}

static enum keyfile_verdict file_examine(const char *path, int descriptor, char *reason)
{
    struct stat about;
    if (fstat(descriptor, &about) != 0) {
        return refuse(KEYFILE_UNREADABLE, reason, "cannot read %s: %s", path, strerror(errno));
    }
    if (!S_ISREG(about.st_mode)) {
        return refuse(KEYFILE_UNREADABLE, reason, "cannot read %s: it is %s", path,
                      S_ISDIR(about.st_mode) ? "a folder" : "no regular file");
    }
    if (about.st_uid != geteuid()) {
        return refuse(KEYFILE_EXPOSED, reason,
                      "%s belongs to user %lu: run chown %lu on it, or start as that user", path,
                      (unsigned long)about.st_uid, (unsigned long)geteuid());
    }
    if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return refuse(KEYFILE_EXPOSED, reason,
                      "others than its owner may use %s (mode %03o): run chmod 600 %s", path,
                      (unsigned)about.st_mode & 0777U, path);
    }
    return KEYFILE_OK;
}

static enum keyfile_verdict decode(const char *path, const struct content *content,
                                   const char *passphrase, uint8_t *seed, char *reason)
{
    struct reader reader = reader_of(slice_of(content->bytes, content->len));
    const uint8_t *start = read_bytes(&reader, sizeof magic);
    uint8_t version = read_u8(&reader);
    uint8_t kind = read_u8(&reader);
    if (reader.bad || memcmp(start, magic, sizeof magic) != 0) {
        return refuse(KEYFILE_DAMAGED, reason, "%s is no key file, or damaged: restore it", path);
    }
    if (version != VERSION) {
        return refuse(KEYFILE_DAMAGED, reason,
                      "%s has version %u, and this program knows %d: use a newer one", path,
                      version, VERSION);
    }
    size_t expected = kind == KIND_PLAIN ? PLAIN_FILE_LEN : SEALED_FILE_LEN;
    uint8_t hash[HASH_LEN] = {0};
    if (content->len == expected) {
        hash_domain(hash, sizeof hash, "meshnode keyfile",
                    slice_of(content->bytes, content->len - HASH_LEN), slice_of(NULL, 0));
    }
    if (content->len != expected || kind > KIND_SEALED ||
        memcmp(hash, content->bytes + content->len - HASH_LEN, HASH_LEN) != 0) {
        return refuse(KEYFILE_DAMAGED, reason, "%s is damaged: restore it from a copy", path);
    }
    if (kind == KIND_SEALED) {
        return unseal(path, content, passphrase, seed, reason);
    }
    read_into(&reader, seed, CRYPTO_SEED_LEN);
    must(!reader.bad);
    return KEYFILE_OK;
}

static enum keyfile_verdict unseal(const char *path, const struct content *content,
                                   const char *passphrase, uint8_t *seed, char *reason)
{
    struct reader reader = reader_of(slice_of(content->bytes, content->len));
    (void)read_bytes(&reader, HEAD_LEN);
    struct stretching how = {.passes = read_u32(&reader), .memory_kib = read_u32(&reader)};
    read_into(&reader, how.salt, SALT_LEN);
    read_into(&reader, how.nonce, NONCE_LEN);
    const uint8_t *sealed = read_bytes(&reader, SEALED_LEN);
    must(!reader.bad);
    if (how.passes < crypto_pwhash_OPSLIMIT_MIN || how.passes > PASSES_MAX ||
        how.memory_kib < MEMORY_KIB_MIN || how.memory_kib > MEMORY_KIB_MAX) {
        return refuse(KEYFILE_DAMAGED, reason,
                      "%s asks for %u passes over %u KiB, which no file of ours does", path,
                      how.passes, how.memory_kib);
    }
    if (passphrase == NULL) {
        return refuse(KEYFILE_LOCKED, reason, "%s is sealed: give its passphrase", path);
    }
    uint8_t key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
    if (!stretch(&how, passphrase, key)) {
        return refuse(KEYFILE_UNREADABLE, reason, "cannot open %s without %u MiB of free memory",
                      path, how.memory_kib >> 10);
    }
    int status = crypto_aead_xchacha20poly1305_ietf_decrypt(
        seed, NULL, NULL, sealed, SEALED_LEN, content->bytes, FRONT_LEN, how.nonce, key);
    sodium_memzero(key, sizeof key);
    if (status != 0) {
        return refuse(KEYFILE_WRONG_PASSPHRASE, reason, "the passphrase does not open %s", path);
    }
    return KEYFILE_OK;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static enum keyfile_verdict encode(const char *path, const char *passphrase, const uint8_t *seed,
                                   struct content *content, char *reason)
{
    struct writer writer = writer_of(content->bytes, sizeof content->bytes);
    write_bytes(&writer, magic, sizeof magic);
    write_u8(&writer, VERSION);
    write_u8(&writer, passphrase == NULL ? KIND_PLAIN : KIND_SEALED);
    if (passphrase == NULL) {
        write_bytes(&writer, seed, CRYPTO_SEED_LEN);
    } else {
        struct stretching how = {.passes = crypto_pwhash_OPSLIMIT_MODERATE,
                                 .memory_kib = crypto_pwhash_MEMLIMIT_MODERATE >> 10};
        randombytes_buf(how.salt, sizeof how.salt);
        randombytes_buf(how.nonce, sizeof how.nonce);
        write_u32(&writer, how.passes);
        write_u32(&writer, how.memory_kib);
        write_bytes(&writer, how.salt, sizeof how.salt);
        write_bytes(&writer, how.nonce, sizeof how.nonce);
        must(writer_len(&writer) == FRONT_LEN);
        uint8_t key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
        if (!stretch(&how, passphrase, key)) {
            return refuse(KEYFILE_UNREADABLE, reason,
                          "cannot seal %s without %u MiB of free memory", path,
                          how.memory_kib >> 10);
        }
        uint8_t sealed[SEALED_LEN];
        must(crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, seed, CRYPTO_SEED_LEN,
                                                        content->bytes, FRONT_LEN, NULL, how.nonce,
                                                        key) == 0);
        sodium_memzero(key, sizeof key);
        write_bytes(&writer, sealed, sizeof sealed);
    }
    uint8_t hash[HASH_LEN];
    hash_domain(hash, sizeof hash, "meshnode keyfile",
                slice_of(content->bytes, writer_len(&writer)), slice_of(NULL, 0));
    write_bytes(&writer, hash, sizeof hash);
    must(!writer.bad);
    content->len = writer_len(&writer);
    return KEYFILE_OK;
}

/* False when there is not enough memory. */
static bool stretch(const struct stretching *how, const char *passphrase, uint8_t *key)
{
    return crypto_pwhash(key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, passphrase,
                         strlen(passphrase), how->salt, how->passes, (size_t)how->memory_kib << 10,
                         crypto_pwhash_ALG_ARGON2ID13) == 0;
}

/* The whole file gets its name in one step, and a name that is taken keeps its file. */
static enum keyfile_verdict file_create(const char *path, const struct content *content,
                                        char *reason)
{
    char beside[PATH_SIZE];
    int len = snprintf(beside, sizeof beside, "%s.new-%08x", path, randombytes_random());
    if (len < 0 || (size_t)len >= sizeof beside) {
        return refuse(KEYFILE_UNREADABLE, reason, "cannot use a path of %zu bytes", strlen(path));
    }
    if (!file_write(beside, content)) {
        return refuse(KEYFILE_UNREADABLE, reason, "cannot create %s: %s", path, strerror(errno));
    }
    enum keyfile_verdict verdict = KEYFILE_OK;
    if (link(beside, path) != 0) {
        verdict =
            errno == EEXIST
                ? refuse(KEYFILE_EXISTS, reason, "%s is there already: it stays", path)
                : refuse(KEYFILE_UNREADABLE, reason, "cannot create %s: %s", path, strerror(errno));
    }
    (void)unlink(beside);
    if (verdict == KEYFILE_OK && !folder_sync(path)) {
        verdict =
            refuse(KEYFILE_UNREADABLE, reason, "cannot make %s durable: %s", path, strerror(errno));
    }
    return verdict;
}

/* False, with errno and nothing left behind, when the world does not let us. */
static bool file_write(const char *path, const struct content *content)
{
    int descriptor =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (descriptor < 0) {
        return false;
    }
    /* Regular files take that little at once or not at all. */
    ssize_t written = write(descriptor, content->bytes, content->len);
    bool is_whole = written == (ssize_t)content->len && fsync(descriptor) == 0;
    int cause = written >= 0 && written < (ssize_t)content->len ? ENOSPC : errno;
    if (close(descriptor) != 0 && is_whole) {
        is_whole = false;
        cause = errno;
    }
    if (!is_whole) {
        (void)unlink(path);
        errno = cause;
    }
    return is_whole;
}

static enum keyfile_verdict refuse(enum keyfile_verdict verdict, char *reason, const char *format,
                                   ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(reason, HOST_REASON_SIZE, format, list);
    va_end(list);
    return verdict;
}
