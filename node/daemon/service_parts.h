/* service_parts.h - what the files of the service share.
 *
 *      service.c            life: opening, commands and their outcomes, observers, closing
 *      service_bootstrap.c  who to call until somebody answers
 *      service_health.c     whether all is well, and if not, why
 *      service_stun.c       what is wrong with STUN
 *
 *      tick, once a second -> bootstrap_tick, health_tick, stun_tick, deadlines of commands
 */
#ifndef NODE_DAEMON_SERVICE_PARTS_H
#define NODE_DAEMON_SERVICE_PARTS_H

#include "node/daemon/endpoint.h"
#include "node/daemon/service.h"

enum {
    SERVICE_TICK_MS = 1000,
    SERVICE_ADDRS_MAX = 4, /* Of one bootstrap name: the rest of a long answer adds nothing. */
};

/* A command under way. Its number names the slot and how often it was used before. */
struct service_slot {
    service_done_fn done; /* NULL while free. */
    void *arg;
    uint32_t number;
    uint64_t begun_us;
};

/* The calls to one entry, from looking up its name to the last address. Outlives the entry when the
 * resolver or the peer is slow: then without a service. */
struct bootstrap_attempt {
    struct service *service;
    size_t index;
};

struct bootstrap_entry {
    struct endpoint endpoint;
    char *text;                        /* As given. */
    struct bootstrap_attempt *attempt; /* NULL between two. */
    struct port_addr addrs[SERVICE_ADDRS_MAX];
    size_t addr_count;
    size_t addr_next; /* The one that is called. */
    bool is_self;
};

struct bootstrap {
    struct bootstrap_entry entries[SERVICE_BOOTSTRAP_MAX];
    size_t count;
    uint64_t next_us; /* When the next round may begin. */
    uint64_t pause_us;
    char failure[HOST_REASON_SIZE]; /* Of the last call; empty before the first. */
};

struct health {
    uint64_t peers_us;   /* When there was a peer for the last time; 0: never. */
    uint64_t reached_us; /* When it served or had a relay for the last time, or began. */
    uint64_t sampled_us;
    uint64_t sent; /* Datagrams, at the last sample. */
    uint64_t dropped;
    uint64_t sent_lately; /* Between the last two samples. */
    uint64_t dropped_lately;
    enum service_state told; /* The last one that was noted. */
};

struct stun_told {
    bool is_lacking_told;            /* That there is no other address. */
    uint32_t failures[NAT_STUN_MAX]; /* Of each name's lookups. */
};

struct service {
    struct host_loop *loop;
    struct host *host;
    struct service_options options; /* Texts are copies. */
    struct node_config config;      /* Borrowed by the node. */
    uint8_t seed[CRYPTO_SEED_LEN];
    uv_timer_t tick;
    bool is_tick_open;
    bool is_stopping;
    uint64_t started_us;
    uint64_t own_addrs_us; /* When they were last looked at. */
    uint32_t uses;         /* Commands begun. */
    struct service_slot slots[SERVICE_COMMANDS_MAX];
    struct service_observer *observers;
    struct bootstrap bootstrap;
    struct health health;
    struct stun_told stun;
};

static inline uint64_t service_now_us(const struct service *service)
{
    return host_loop_now_us(service->loop);
}

/* Tells the observers; host remarks take the same way. */
void service_note(struct service *service, enum host_note how, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint32_t service_contacts(const struct service *service);

/* False with a reason: an entry that is no endpoint, or too many. Nothing is called yet. */
NODISCARD bool bootstrap_set(struct service *service, const char *const *texts, size_t count,
                             char reason[HOST_REASON_SIZE]);
/* Forgets everybody; attempts under way come to nothing. */
void bootstrap_clear(struct service *service);
/* Calls everybody when it is time, and there is need. */
void bootstrap_tick(struct service *service);
/* Whether there is somebody else to call at all. */
bool bootstrap_has_others(const struct service *service);

void health_tick(struct service *service);
void stun_tick(struct service *service);

#endif /* NODE_DAEMON_SERVICE_PARTS_H */
