/* stun_role.c - this node as a STUN server: by its own socket, and by three more if it has another
 * IP address to answer from, as RFC 5780 section 6 wants it.
 *
 *      main path:  our address, our port  <-- questions, among everything else
 *      path 1:     our address, any port       <-- questions alone
 *      path 2:     the other one, our port     <-- the same
 *      path 3:     the other one, port of 1    <-- the same
 */
#include <string.h>

#include "node/nat/nat_parts.h"

static int open_all(struct nat *nat, struct nat_stun_role *role);
static int open_path(struct nat *nat, struct nat_stun_role *role, uint8_t local);
static void close_all(struct nat *nat, struct nat_stun_role *role);
static bool has_session_at(const struct nat *nat, const struct port_addr *addr);

void nat_stun_open(struct nat *nat)
{
    bool is_wanted = nat->config->is_stun_server && nat->config->has_stun_other;
    struct nat_work *work = is_wanted ? nat_work_of(nat) : NULL;
    struct nat_stun_role *role =
        work != NULL ? arena_alloc(&nat->core->arena, ARENA_NAT, sizeof *role) : NULL;
    if (role == NULL) {
        return;
    }
    work->stun_role = role;
    *role = (struct nat_stun_role){.lacking = nat->config->stun_other};
    role->status = open_all(nat, role);
    role->server.has_other = role->status == ERR_OK;
    if (role->status != ERR_OK) {
        close_all(nat, role);
    }
}

void nat_stun_close(struct nat *nat)
{
    if (nat->work->stun_role != NULL) {
        close_all(nat, nat->work->stun_role);
    }
}

bool nat_stun_hear(struct nat *nat, int path, const struct port_addr *from, struct slice bytes)
{
    bool is_extra = path != PORT_MAIN_PATH && nat->work != NULL;
    const struct nat_stun_role *role = is_extra ? nat->work->stun_role : NULL;
    if (role == NULL) {
        return false;
    }
    uint8_t local = STUN_OTHER_PORT;
    while (local < STUN_LOCALS && role->paths[local] != path) {
        local++;
    }
    if (local == STUN_LOCALS) {
        return false;
    }
    struct counters *counters = &nat->core->counters;
    count(counters, COUNT_DATAGRAMS_IN);
    count_by(counters, COUNT_BYTES_IN, (uint32_t)bytes.len);
    if (stun_is_message(bytes)) {
        nat_stun_answer(nat, local, from, bytes);
    } else {
        count(counters, COUNT_MALFORMED); /* The mesh does not live here. */
    }
    return true;
}

/* An answer may be longer than its request: the one place where this node sends more than it was
 * sent to whom it does not know, at most STUN_ANSWER_MAX bytes. From another address than the one
 * asked it is never longer (stun_server.h), so those that test a filter need no session with us
 * first. Both kinds leave as often as an address group may ask. */
void nat_stun_answer(struct nat *nat, uint8_t local, const struct port_addr *from,
                     struct slice bytes)
{
    static const struct stun_server_config alone = {.has_other = false};
    struct core *core = nat->core;
    const struct nat_stun_role *role = nat->work != NULL ? nat->work->stun_role : NULL;
    const struct stun_server_question question = {.request = bytes, .from = *from, .local = local};
    struct stun_server_reply reply;
    enum guard_standing standing = has_session_at(nat, from) ? GUARD_PROVED : GUARD_STRANGER;
    if (!guard_admit(nat->transport->guard, from, standing, GUARD_DATA) ||
        !stun_server_answer(role != NULL ? &role->server : &alone, &question, &reply)) {
        return;
    }
    nat->counts.stun_served++;
    count(&core->counters, COUNT_DATAGRAMS_OUT);
    count_by(&core->counters, COUNT_BYTES_OUT, reply.len);
    int path = role != NULL ? role->paths[reply.local] : PORT_MAIN_PATH;
    (void)core->port->ops->send(core->port, path, &reply.to, slice_of(reply.bytes, reply.len),
                                (struct port_send_flags){0});
}

/* First the one that fails when the other address is none of this machine's. */
static int open_all(struct nat *nat, struct nat_stun_role *role)
{
    struct port_addr *local = role->server.local;
    const struct port_addr own = nat->core->port->local;
    local[0] = local[STUN_OTHER_PORT] = local[STUN_OTHER_IP] = own;
    memset(local[STUN_OTHER_PORT].port, 0, sizeof own.port);
    memcpy(local[STUN_OTHER_IP].ip, nat->config->stun_other.ip, sizeof own.ip);
    if (nat_is_any(nat) || port_addr_equal(&local[STUN_OTHER_IP], &own) ||
        port_addr_is_v4(&local[STUN_OTHER_IP]) != port_addr_is_v4(&own)) {
        return ERR_INVALID;
    }
    int status = open_path(nat, role, STUN_OTHER_IP);
    status = status == ERR_OK ? open_path(nat, role, STUN_OTHER_PORT) : status;
    local[STUN_OTHER_IP | STUN_OTHER_PORT] = local[STUN_OTHER_IP];
    memcpy(local[STUN_OTHER_IP | STUN_OTHER_PORT].port, local[STUN_OTHER_PORT].port,
           sizeof own.port);
    return status == ERR_OK ? open_path(nat, role, STUN_OTHER_IP | STUN_OTHER_PORT) : status;
}

/* A host that knows no such address may bind another: then clients would be told what is not so. */
static int open_path(struct nat *nat, struct nat_stun_role *role, uint8_t local)
{
    struct port *port = nat->core->port;
    struct port_addr *addr = &role->server.local[local];
    const struct port_addr wanted = *addr;
    role->lacking = wanted;
    int path = port->ops->path_open(port, PORT_UDP, &wanted, NULL);
    if (path < 0) {
        return path;
    }
    role->paths[local] = (uint16_t)path;
    bool is_any_port = wanted.port[0] == 0 && wanted.port[1] == 0;
    bool is_told = port->ops->path_local(port, path, addr);
    return is_told && memcmp(addr->ip, wanted.ip, sizeof wanted.ip) == 0 &&
                   (is_any_port || port_addr_equal(addr, &wanted))
               ? ERR_OK
               : ERR_UNSUPPORTED;
}

static void close_all(struct nat *nat, struct nat_stun_role *role)
{
    struct port *port = nat->core->port;
    role->server.has_other = false;
    for (uint32_t local = STUN_OTHER_PORT; local < STUN_LOCALS; local++) {
        if (role->paths[local] != PORT_MAIN_PATH) {
            port->ops->path_close(port, role->paths[local]);
            role->paths[local] = PORT_MAIN_PATH;
        }
    }
}

static bool has_session_at(const struct nat *nat, const struct port_addr *addr)
{
    struct transport_session session;
    uint32_t place = 0;
    while (transport_session_next(nat->transport, &place, &session)) {
        if (port_addr_equal(&contact_at(nat->core->port, session.peer)->addr, addr)) {
            return true;
        }
    }
    return false;
}
