/* napt.h - a NAT box as RFC 4787 (UDP) and RFC 5382 (TCP) take it apart: what becomes of a packet
 * that leaves through it, and of one that comes in.
 *
 *      inside end --> napt_out: mapping (made or found) -> session -> external end --> network
 *      inside end <-- napt_in:  mapping of the external end <- filter <--------------- network
 *
 * A mapping ties an inside endpoint (address and port) to an external one: one for all remote ends
 * (endpoint-independent), one per remote address, or one per remote address and port (RFC 4787
 * section 4.1). A session is a mapping and one remote end it has been used with; the filter asks
 * for one with the sender's address and port, one that something inside has sent to its address by,
 * or none (section 5). Sessions end when they have been idle (section 4.3), and a mapping ends with
 * the last of them.
 *
 * What comes in without a session and may pass makes one, where what comes in counts: so answers to
 * it leave from the end it was sent to, even if the mapping depends on the remote end. That is what
 * connection tracking does, and why everybody can reach a symmetric box that does not filter.
 *
 * Of TCP the box follows SYN, FIN and RST, no sequence numbers. Data in the middle of a connection
 * opens a session from inside (a box that has rebooted lets connections go on, as Linux does),
 * never from outside; a FIN or RST opens none.
 *
 * A box is one owner: it changes only by these calls, on the thread of the hosts behind it, and its
 * dice are its own stream. It knows no hosts and no events; sim/host asks it and moves the packets.
 *
 * Units: us, IPv4 addresses and ports in host byte order. Nothing here touches bytes of a packet.
 */
#ifndef SIM_NET_NAPT_H
#define SIM_NET_NAPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/base/err.h"
#include "node/base/rng.h"

/* RFC 4787 section 4.1, section 5. */
enum napt_scope {
    NAPT_ENDPOINT_INDEPENDENT,
    NAPT_ADDRESS_DEPENDENT,
    NAPT_ADDRESS_AND_PORT_DEPENDENT,
};

/* Which external port a new mapping gets; a port that is taken passes to the next free one. */
enum napt_ports {
    NAPT_PORTS_PRESERVED, /* The inside port, as long as nobody has it: RFC 4787 section 4.2.1. */
    NAPT_PORTS_SEQUENTIAL,
    NAPT_PORTS_RANDOM,
};

/* What a packet meets that nobody inside waits for. */
enum napt_unsolicited {
    NAPT_UNSOLICITED_DROPPED,
    NAPT_UNSOLICITED_REJECTED, /* Told: ICMP port unreachable, TCP reset. */
    /* Dropped, but the box has taken it for a session of its own: from then on that external port
     * is taken towards that sender, and a mapping that would need it goes to another port. Linux
     * does so when its INPUT chain accepts what comes on the outer interface. */
    NAPT_UNSOLICITED_POISONS,
};

enum napt_protocol {
    NAPT_UDP,
    NAPT_TCP,
};

enum napt_segment { /* Of TCP, what its state follows; NAPT_SEGMENT_DATA for UDP. */
                    NAPT_SEGMENT_DATA,
                    NAPT_SEGMENT_SYN, /* SYN without ACK. */
                    NAPT_SEGMENT_END, /* FIN or RST. */
};

/* Shared by all boxes of a kind, and immutable while they live. */
struct napt_config {
    enum napt_scope mapping;
    enum napt_scope filtering;
    enum napt_ports ports;
    enum napt_unsolicited unsolicited;
    bool is_firewall;     /* Addresses and ports pass as they are; filter and timeouts hold. */
    bool keeps_parity;    /* Even ports to even, odd to odd: RFC 4787 section 4.2.2. */
    bool has_hairpin;     /* RFC 4787 section 6: inside to inside by the external address. */
    bool is_udp_blocked;  /* Nothing of UDP passes, in or out. */
    bool refreshes_in;    /* What comes in keeps a mapping alive too: RFC 4787 REQ-6. */
    bool maps_on_request; /* Answers PCP (RFC 6887) and NAT-PMP (RFC 6886); */
    bool is_natpmp_only;  /* then, as older boxes do, NAT-PMP alone. */
    /* External ports are taken from first_port .. first_port + port_count - 1; with block_ports
     * each inside address has a block of that many (a power of two or not) for itself: RFC 6888 and
     * carriers' practice. 0: no blocks. */
    uint16_t first_port;
    uint16_t port_count;
    uint16_t block_ports;
    uint32_t sessions_max; /* Of one inside address; 0: any number. New ones beyond are dropped. */
    uint64_t unreplied_us; /* Idle time of a UDP session that nothing has come back to. */
    uint64_t stream_us;    /* And of one that has been answered. */
    uint64_t tcp_opening_us;     /* Before the handshake is over, and after a FIN or RST. */
    uint64_t tcp_established_us; /* RFC 5382 REQ-5: at least 2 h 4 min. */
    uint64_t request_max_us;     /* Longest lifetime of a mapping on request. */
};

struct napt_end {
    uint32_t ip;
    uint16_t port;
};

struct napt_packet {
    enum napt_protocol protocol;
    enum napt_segment segment;
    struct napt_end from;
    struct napt_end to;
};

enum napt_verdict {
    NAPT_PASSED,
    NAPT_DROPPED,
    NAPT_REJECTED, /* Dropped, and the sender is told. */
};

enum napt_fate {                     /* Why packets did not pass, and what boxes did: counts. */
                 NAPT_FATE_FILTERED, /* No session the filter asks for. */
                 NAPT_FATE_UNMAPPED, /* Nothing mapped at that port. */
                 NAPT_FATE_BLOCKED,  /* UDP where it is blocked. */
                 NAPT_FATE_SESSIONS, /* Beyond sessions_max. */
                 NAPT_FATE_PORTS,    /* No external port left. */
                 NAPT_FATE_HAIRPIN,  /* Inside to inside where that is not done. */
                 NAPT_FATE_POISONED, /* Sessions made by unsolicited packets. */
                 NAPT_FATE_REMAPPED, /* Mappings that went to another port for that. */
                 NAPT_FATE_COUNT,
};

/* "filtered", ... */
const char *napt_fate_text(enum napt_fate fate);

struct napt;

/* ERR_INVALID and what is wrong in *reason (static text), or ERR_OK. */
NODISCARD int napt_config_check(const struct napt_config *config, const char **reason);

/* A box with this external address; config is borrowed. `number` names its dice: the stream is
 * ("nat", number). Never fails: without memory the process ends. */
struct napt *napt_open(const struct napt_config *config, uint32_t external_ip, uint64_t seed,
                       uint64_t number);
void napt_close(struct napt *nat);

uint32_t napt_external_ip(const struct napt *nat);

/* A packet from inside. NAPT_PASSED: packet->from is the external end now. A packet to the box's
 * own external address passes only with hairpinning: its `from` is external too (RFC 4787 REQ-9),
 * and the caller hands it to napt_in at once. now_us never runs backwards for one box. */
enum napt_verdict napt_out(struct napt *nat, uint64_t now_us, struct napt_packet *packet);

/* A packet that has come to the external address. NAPT_PASSED: packet->to is the inside end now. */
enum napt_verdict napt_in(struct napt *nat, uint64_t now_us, struct napt_packet *packet);

/* Hints for a packet that will come in, each to be given some time after the one before: they have
 * memory ready, change nothing, and may be left out. The first is good for one that leaves, too. */
void napt_expect(const struct napt *nat);
void napt_expect_in(const struct napt *nat, const struct napt_packet *packet);
void napt_expect_in_next(const struct napt *nat, const struct napt_packet *packet);

/* A mapping on request (PCP MAP, RFC 6887 section 11): endpoint-independent in mapping and
 * filtering until now_us + lifetime_us, or ended by lifetime_us 0. *external: the port that was
 * suggested if it is free, else another; *granted_us at most request_max_us. ERR_UNSUPPORTED where
 * the box takes no requests, ERR_FULL without a port. */
NODISCARD int napt_request(struct napt *nat, uint64_t now_us, enum napt_protocol protocol,
                           const struct napt_end *inside, uint64_t lifetime_us,
                           uint16_t suggested_port, struct napt_end *external,
                           uint64_t *granted_us);

/* Faults: all state is forgotten (a reboot), or the external address becomes another one, which
 * forgets it too. */
void napt_rebind(struct napt *nat);
void napt_renumber(struct napt *nat, uint32_t external_ip);

/* Live sessions and mappings of one inside address (0: of all), and the most that the address has
 * had at once since the box began. */
struct napt_load {
    uint32_t mappings;
    uint32_t sessions;
    uint32_t sessions_most;
};
struct napt_load napt_load_of(struct napt *nat, uint64_t now_us, uint32_t inside_ip);
const uint64_t *napt_fates(const struct napt *nat); /* NAPT_FATE_COUNT counts. */
size_t napt_bytes(const struct napt *nat);

/* NULL when the box's tables are whole, else what is wrong with them. */
const char *napt_check(const struct napt *nat);

/* --- presets ------------------------------------------------------------------------------- */

/* Kinds of box by the names users know, timeouts as Linux has them: docs/modules/boxes.md. */
enum napt_preset {
    NAPT_PRESET_FULL_CONE,         /* EIM, EIF. */
    NAPT_PRESET_RESTRICTED,        /* EIM, ADF. */
    NAPT_PRESET_PORT_RESTRICTED,   /* EIM, APDF, ports preserved: a Linux home router. */
    NAPT_PRESET_ADDRESS_DEPENDENT, /* ADM, APDF. */
    NAPT_PRESET_SYMMETRIC,         /* APDM, APDF, random ports. */
    NAPT_PRESET_SYMMETRIC_OPEN,    /* APDM, random ports, EIF. */
    NAPT_PRESET_SEQUENTIAL,        /* APDM, APDF, sequential ports. */
    NAPT_PRESET_POISONABLE,        /* As port-restricted, but poisoned by what comes unasked. */
    NAPT_PRESET_UDP_BLOCKED,       /* As port-restricted for TCP; no UDP. */
    NAPT_PRESET_FIREWALL,          /* No translation, APDF. */
    NAPT_PRESET_COUNT,
};
const char *napt_preset_text(enum napt_preset preset); /* "full_cone", ... */
bool napt_preset_find(const char *text, enum napt_preset *preset);
void napt_preset_config(enum napt_preset preset, struct napt_config *config);

#endif /* SIM_NET_NAPT_H */
