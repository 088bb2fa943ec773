/* nat_net.h - sockets in many network namespaces, all held by one process that sees both ends of
 * every exchange.
 *
 * A socket belongs to the namespace it was made in: the process goes there, makes it, and comes
 * back. Datagrams are small notes. Nothing sleeps: the kernel carries a packet through all
 * namespaces while it is being sent, one after the other on one processor, so what was sent before
 * a question has arrived before its answer.
 *
 *      net_open(namespace) -> socket -> net_ask -> boxes -> server -> boxes -> answer
 *                                          what came before the answer -> net_note_fn
 */
#ifndef TESTS_LIVE_NAT_NET_H
#define TESTS_LIVE_NAT_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    /* How long silence must last before a packet counts as lost. It decides "no" only. */
    NET_PATIENCE_MS = 300,
    NET_ATTEMPTS = 3,
};

enum note_kind {
    NOTE_ASK, /* Whence do I come? */
    NOTE_ANSWER,
    NOTE_PUNCH,
    NOTE_NUMBERED,
};

struct note {
    uint32_t kind;
    uint32_t number;
    uint64_t sent_us;
};

struct server {
    int socket;
    struct sockaddr_in end;
};

typedef void (*net_note_fn)(void *arg, const struct sockaddr_in *from, const struct note *note);

/* From here on this process stays on one processor. */
void net_pin(void);

uint64_t net_now_us(void);

struct sockaddr_in net_end(const char *address, uint16_t port);
bool net_same(const struct sockaddr_in *one, const struct sockaddr_in *other);
bool net_same_address(const struct sockaddr_in *one, const struct sockaddr_in *other);
uint16_t net_port(const struct sockaddr_in *end);

/* A source port that no earlier call has returned. */
uint16_t net_fresh_port(void);

/* A socket in the namespace of that name (as `ip netns` shows it), bound to *own or, with NULL, to
 * a fresh port. Ends the process when there is no such namespace or address. */
int net_open(const char *name, const struct sockaddr_in *own);
struct server net_server(const char *name, const char *address, uint16_t port);
void net_server_close(struct server *server);

/* The end the socket sends from, as its own namespace sees it. */
struct sockaddr_in net_own(int socket, const struct sockaddr_in *to);

void net_send(int socket, const struct sockaddr_in *to, const struct note *note);

/* False: nothing came for that long. */
bool net_take(int socket, int patience_ms, struct sockaddr_in *from, struct note *note);

/* Asks the server where the socket's datagrams come from. Notes that are no answer go to `take`,
 * which may be NULL. False: no answer, by repeated attempts. */
bool net_ask(int socket, const struct server *server, struct sockaddr_in *external,
             net_note_fn take, void *arg);

#endif /* TESTS_LIVE_NAT_NET_H */
