/* err.h - the world's troubles, as negative numbers.
 *
 * Functions that can fail return int: 0 or a count on success, one of these when the world (a full
 * queue, a missing record, a peer that does not answer) stood in the way. Our own bugs are must()'s
 * business, malformed bytes are counted and dropped, and neither ever becomes one of these.
 */
#ifndef NODE_BASE_ERR_H
#define NODE_BASE_ERR_H

#define ERRORS(X)                                                                                  \
    X(OK, 0, "success")                                                                            \
    X(AGAIN, -1, "the local queue is full, try later")                                             \
    X(FULL, -2, "a fixed table is full")                                                           \
    X(MISSING, -3, "no such entry")                                                                \
    X(TIMEOUT, -4, "no answer in time")                                                            \
    X(REFUSED, -5, "the peer refused")                                                             \
    X(TOO_LARGE, -6, "larger than the limit")                                                      \
    X(STALE, -7, "a newer version exists")                                                         \
    X(UNSUPPORTED, -8, "not available on this host")                                               \
    X(UNREACHABLE, -9, "no way to reach the peer")                                                 \
    X(IO, -10, "the storage failed")                                                               \
    X(INVALID, -11, "the arguments make no sense")                                                 \
    X(STOPPED, -12, "the node is stopping")

enum err {
#define ERR_ENUM(name, value, text) ERR_##name = (value),
    ERRORS(ERR_ENUM)
#undef ERR_ENUM
};

/* A short English text for `code`; "unknown error" for anything that is not one of ours. */
const char *err_text(int code);

#define NODISCARD __attribute__((warn_unused_result))

#endif /* NODE_BASE_ERR_H */
