/* token.c - the token file: made with a random token when missing, refused when others read it. */
#include "node/edge/token.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    DRAWN_LEN = 32,
};

static int make(const char *path);
static bool read_in(int file, const char *path, struct token *token, char reason[HOST_REASON_SIZE]);
static void digest(struct token *token, const char *text, size_t len);

bool token_load(struct token *token, const char *path, char reason[HOST_REASON_SIZE])
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && errno == ENOENT) {
        file = make(path);
    }
    if (file < 0) {
        snprintf(reason, HOST_REASON_SIZE, "token file %.150s: %s", path, strerror(errno));
        return false;
    }
    bool is_good = read_in(file, path, token, reason);
    close(file);
    return is_good;
}

/* Digests of one length are compared, so that the time tells not even the length. */
bool token_matches(const struct token *token, const char *text, size_t len)
{
    struct token other;
    digest(&other, text, len);
    return sodium_memcmp(token->digest, other.digest, TOKEN_DIGEST_LEN) == 0;
}

/* The file, open at its beginning, or -1 with errno. */
static int make(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        return -1;
    }
    unsigned char drawn[DRAWN_LEN];
    char text[2 * DRAWN_LEN + 2];
    randombytes_buf(drawn, sizeof drawn);
    sodium_bin2hex(text, sizeof text, drawn, sizeof drawn);
    text[2 * DRAWN_LEN] = '\n';
    bool is_written = write(file, text, 2 * DRAWN_LEN + 1) == 2 * DRAWN_LEN + 1 &&
                      fsync(file) == 0 && lseek(file, 0, SEEK_SET) == 0;
    sodium_memzero(text, sizeof text);
    sodium_memzero(drawn, sizeof drawn);
    if (!is_written) {
        int why = errno;
        unlink(path);
        close(file);
        errno = why != 0 ? why : EIO;
        return -1;
    }
    return file;
}

static bool read_in(int file, const char *path, struct token *token, char reason[HOST_REASON_SIZE])
{
    struct stat status;
    char text[TOKEN_LEN_MAX + 2];
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(reason, HOST_REASON_SIZE, "token file %.150s is no regular file", path);
        return false;
    }
    if ((status.st_mode & 077) != 0) {
        snprintf(reason, HOST_REASON_SIZE, "token file %.150s may be read by others; chmod 600 it",
                 path);
        return false;
    }
    ssize_t got = read(file, text, sizeof text);
    size_t len = got > 0 ? (size_t)got : 0;
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
        len--;
    }
    bool is_good = len >= TOKEN_LEN_MIN && len <= TOKEN_LEN_MAX;
    if (is_good) {
        digest(token, text, len);
    } else {
        snprintf(reason, HOST_REASON_SIZE,
                 "token file %.150s must hold %d to %d characters; delete it to have one made",
                 path, TOKEN_LEN_MIN, TOKEN_LEN_MAX);
    }
    sodium_memzero(text, sizeof text);
    return is_good;
}

static void digest(struct token *token, const char *text, size_t len)
{
    crypto_generichash(token->digest, TOKEN_DIGEST_LEN, (const unsigned char *)text, len, NULL, 0);
}
