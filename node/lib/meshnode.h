/* meshnode.h - a mesh node inside your program: join, talk, store and find.
 *
 * The same node that `meshnode` runs, without shell and HTTP. One thread: you drive the node by
 * meshnode_turn(), or by your own event loop that watches meshnode_fd(). Every callback comes from
 * inside such a turn, never from inside another call you make; but meshnode_stop ends what is still
 * open. Callbacks may call anything here but meshnode_turn, meshnode_stop and meshnode_destroy.
 *
 *      meshnode_create -> meshnode_start -> meshnode_turn ... -> meshnode_stop -> meshnode_destroy
 *      meshnode_put, meshnode_get, ... -> later, in a turn: done(arg, result)
 *      the mesh -> on_joined, on_peer, on_message, on_news
 *
 * Ownership: what you pass in is copied before return; what callbacks are given is borrowed for the
 * call. Numbers: bytes and microseconds. Errors: 0, or a negative number that
 * meshnode_status_text() turns into English. Several nodes may live in one process.
 *
 *      cc program.c $(pkg-config --cflags --libs meshnode)
 */
#ifndef NODE_LIB_MESHNODE_H
#define NODE_LIB_MESHNODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MESHNODE_API __attribute__((visibility("default")))

enum {
    MESHNODE_PORT = 8468,        /* UDP, and TCP for peers that cannot use UDP. */
    MESHNODE_ID_LEN = 20,        /* 160 bits, from the public key (Kademlia). */
    MESHNODE_MESSAGE_MAX = 1000, /* Bytes of a message or of news. */
    MESHNODE_VALUE_MAX = 900,    /* Bytes of a stored value. */
    MESHNODE_REASON_SIZE = 256,
};

struct meshnode;

/* Of a node; of a stored value its key, the hash of the value. */
struct meshnode_id {
    uint8_t bytes[MESHNODE_ID_LEN];
};

enum meshnode_level {
    MESHNODE_INFO,
    MESHNODE_WARNING,
    MESHNODE_ERROR,
};

/* Any of them NULL. */
struct meshnode_callbacks {
    void *arg;
    /* The mesh is reached. Once for each start. */
    void (*on_joined)(void *arg);
    /* A node entered (is_up) or left the routing table: it answers, or does not any more. */
    void (*on_peer)(void *arg, const struct meshnode_id *id, bool is_up);
    /* A message to us; the sender is who it says it is. */
    void (*on_message)(void *arg, const struct meshnode_id *from, const void *data, size_t len);
    /* A broadcast of somebody else; each once. */
    void (*on_news)(void *arg, const void *data, size_t len);
    /* What a log would say: one line, no newline. */
    void (*on_log)(void *arg, enum meshnode_level level, const char *text);
};

struct meshnode_options {
    const char *bind;       /* Numeric address; NULL: any, IPv4 and IPv6. */
    uint16_t port;          /* 0: any free one. */
    const char *identity;   /* Key file, created when missing. NULL: kept in the database. */
    const char *passphrase; /* Of the key file; NULL: none. */
    const char *database;   /* SQLite file, created when missing. NULL: in memory, all forgotten. */
    /* "host", "host:port" or "[v6]:port" of nodes to join through. */
    const char *const *bootstrap;
    size_t bootstrap_count;
    bool is_masking;      /* Talk through streams that look like HTTP: docs/modules/carriers.md. */
    bool refuses_streams; /* Do not listen on TCP. */
    struct meshnode_callbacks callbacks;
};

/* The defaults: port MESHNODE_PORT, all in memory, nobody to join. */
MESHNODE_API void meshnode_options_default(struct meshnode_options *options);

/* Copies the options, does nothing else. */
MESHNODE_API int meshnode_create(const struct meshnode_options *options, struct meshnode **node);
/* Opens identity, database and sockets and begins to join. On error a sentence that says why (the
 * port is taken, the key file is readable by others, ...), and the node may be started again. */
MESHNODE_API int meshnode_start(struct meshnode *node, char reason[MESHNODE_REASON_SIZE]);
/* A polite leave: peers are remembered, everything is on disk. Open requests end first, with an
 * error. The node may be started again. */
MESHNODE_API void meshnode_stop(struct meshnode *node);
/* Stops it if need be. NULL is fine. */
MESHNODE_API void meshnode_destroy(struct meshnode *node);

/* Does what is due and waits for more at most `timeout_ms` (0: not at all, -1: until something
 * happens). */
MESHNODE_API void meshnode_turn(struct meshnode *node, int timeout_ms);
/* For your own loop: call meshnode_turn(node, 0) when the descriptor is readable, and after
 * meshnode_timeout_ms at the latest (-1: no need). */
MESHNODE_API int meshnode_fd(const struct meshnode *node);
MESHNODE_API int meshnode_timeout_ms(const struct meshnode *node);

/* --- who and where; valid between start and stop ------------------------------------------------
 */

MESHNODE_API void meshnode_self(const struct meshnode *node, struct meshnode_id *id);
#define MESHNODE_ADDRESS_SIZE 64
/* Where the node listens: "127.0.0.1:8468". */
MESHNODE_API void meshnode_address(const struct meshnode *node, char text[MESHNODE_ADDRESS_SIZE]);
MESHNODE_API bool meshnode_is_joined(const struct meshnode *node);
MESHNODE_API size_t meshnode_peer_count(const struct meshnode *node);

/* --- requests -----------------------------------------------------------------------------------
 * Each returns 0, and later calls `done` exactly once; or a negative number, and never does. */

struct meshnode_result {
    int status; /* 0, or why not. */
    uint64_t took_us;
    struct meshnode_id id; /* put: the key; get: the same; connect, ping, send: the node. */
    const void *data;      /* get: the value. */
    size_t len;
    uint32_t holders; /* put: nodes that have it on disk. */
};
typedef void (*meshnode_done_fn)(void *arg, const struct meshnode_result *result);

/* Makes contact with the node at a numeric address, "192.0.2.1:8468". */
MESHNODE_API int meshnode_connect(struct meshnode *node, const char *address, meshnode_done_fn done,
                                  void *arg);
MESHNODE_API int meshnode_ping(struct meshnode *node, const struct meshnode_id *id,
                               meshnode_done_fn done, void *arg);
/* Acknowledged by the receiver. */
MESHNODE_API int meshnode_send(struct meshnode *node, const struct meshnode_id *id,
                               const void *data, size_t len, meshnode_done_fn done, void *arg);
/* To everybody; nobody acknowledges it. done may be NULL. */
MESHNODE_API int meshnode_broadcast(struct meshnode *node, const void *data, size_t len,
                                    meshnode_done_fn done, void *arg);
/* A value anybody can get by its key for a day. */
MESHNODE_API int meshnode_put(struct meshnode *node, const void *data, size_t len,
                              meshnode_done_fn done, void *arg);
MESHNODE_API int meshnode_get(struct meshnode *node, const struct meshnode_id *key,
                              meshnode_done_fn done, void *arg);

/* --- texts --------------------------------------------------------------------------------------
 */

#define MESHNODE_ID_TEXT_SIZE 41
MESHNODE_API void meshnode_id_format(const struct meshnode_id *id,
                                     char text[MESHNODE_ID_TEXT_SIZE]);
/* 40 hexadecimal digits; false otherwise. */
MESHNODE_API bool meshnode_id_parse(const char *text, struct meshnode_id *id);
MESHNODE_API const char *meshnode_status_text(int status);
MESHNODE_API const char *meshnode_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif

#endif /* NODE_LIB_MESHNODE_H */
