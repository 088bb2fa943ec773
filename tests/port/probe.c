/* probe.c - stands where the node stands: the entries of node/node.h, remembering every call. */
#include <string.h>

#include "node/base/must.h"
#include "tests/port/port_host.h"

/* The probe may be larger than a node, so it lives in the host's memory like a node's tables would;
 * the node's place holds only the way to it. */
struct probe *probe_of(struct node *node)
{
    struct probe *probe;
    memcpy(&probe, node, sizeof(struct probe *));
    return probe;
}

static uint64_t enter(struct probe *probe)
{
    must(probe->entries_open == 0); /* Law: never re-entered. */
    probe->entries_open++;
    return probe->port->now_us;
}

static void leave(struct probe *probe, uint64_t now_us)
{
    must(probe->port->now_us == now_us); /* Law: time stands still inside an entry. */
    probe->entries_open--;
}

int node_init(struct node *node, struct port *port, const struct node_config *config)
{
    (void)config;
    size_t given;
    struct probe *probe = port->ops->arena_more(port, sizeof *probe, &given);
    must(probe != NULL && given >= sizeof *probe);
    probe->port = port;
    memcpy(node, &probe, sizeof(struct probe *));
    return ERR_OK;
}

int node_start(struct node *node)
{
    (void)node;
    return ERR_OK;
}

void node_on_datagram(struct node *node, int path, const struct port_addr *from, struct slice bytes)
{
    struct probe *probe = probe_of(node);
    uint64_t now_us = enter(probe);
    must(probe->datagram_count < PROBE_DATAGRAMS_MAX && bytes.len <= PORT_DATAGRAM_MAX);
    struct probe_datagram *datagram = &probe->datagrams[probe->datagram_count++];
    datagram->path = path;
    datagram->from = *from;
    datagram->len = bytes.len;
    datagram->at_us = now_us;
    memcpy(datagram->bytes, bytes.data, bytes.len);
    if (probe->on_datagram != NULL) {
        probe->on_datagram(probe);
    }
    leave(probe, now_us);
}

void node_expect(const struct node *node, const struct port_addr *from)
{
    (void)node;
    (void)from;
}

void node_expect_next(const struct node *node, struct slice bytes)
{
    (void)node;
    (void)bytes;
}

void node_on_path(struct node *node, int path, enum port_path_event event)
{
    struct probe *probe = probe_of(node);
    uint64_t now_us = enter(probe);
    must(probe->path_event_count < PROBE_PATH_EVENTS_MAX);
    probe->path_events[probe->path_event_count].path = path;
    probe->path_events[probe->path_event_count++].event = event;
    leave(probe, now_us);
}

void node_on_wake(struct node *node)
{
    struct probe *probe = probe_of(node);
    uint64_t now_us = enter(probe);
    must(probe->wake_count < PROBE_WAKES_MAX);
    probe->wakes_us[probe->wake_count++] = now_us;
    if (probe->on_wake != NULL) {
        probe->on_wake(probe);
    }
    leave(probe, now_us);
}

void node_on_durable(struct node *node, uint64_t ticket, int status)
{
    struct probe *probe = probe_of(node);
    uint64_t now_us = enter(probe);
    must(status == ERR_OK && probe->ticket_count < PROBE_TICKETS_MAX);
    probe->tickets[probe->ticket_count++] = ticket;
    leave(probe, now_us);
}

void node_on_work(struct node *node, struct port_work *work)
{
    struct probe *probe = probe_of(node);
    uint64_t now_us = enter(probe);
    probe->work_count++;
    probe->work_last = work;
    leave(probe, now_us);
}

void node_on_resolved(struct node *node, uint32_t ticket, int status, const struct port_addr *addr)
{
    (void)ticket;
    struct probe *probe = probe_of(node);
    uint64_t now_us = enter(probe);
    probe->resolved_count++;
    probe->resolved_status = status;
    probe->resolved_addr = *addr;
    leave(probe, now_us);
}

int node_submit(struct node *node, const struct node_command *command)
{
    (void)node;
    (void)command;
    return ERR_UNSUPPORTED;
}

void node_stop(struct node *node)
{
    struct probe *probe = probe_of(node);
    leave(probe, enter(probe));
}
