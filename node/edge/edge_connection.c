/* edge_connection.c - connections by the time they have waited; the oldest makes room.
 *
 * A limit that refuses newcomers is what a slow-loris wants: it holds every place and waits. Here
 * newcomers are taken in and the one that has waited longest for its client is cut.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "node/base/must.h"
#include "node/edge/edge_parts.h"

static struct edge_connection *connection_open(struct edge *edge, struct MHD_Connection *handle);
static void read_ip(struct MHD_Connection *handle, struct in6_addr *ip);
static void make_room(struct edge *edge, const struct in6_addr *ip);
static void cut(struct edge_connection *connection);
static void list_append(struct edge_connection *connection);
static void list_remove(struct edge_connection *connection);

void edge_on_connection(void *arg, struct MHD_Connection *handle, void **context,
                        enum MHD_ConnectionNotificationCode code)
{
    struct edge *edge = arg;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = connection_open(edge, handle);
        return;
    }
    struct edge_connection *connection = *context;
    list_remove(connection);
    edge->face.connections--;
    free(connection->target);
    free(connection);
}

struct edge_connection *edge_connection_of(struct MHD_Connection *handle)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    must(info != NULL);
    return info->socket_context;
}

/* Who has been served waits anew. */
void edge_connection_set_busy(struct edge_connection *connection, bool is_busy)
{
    connection->is_busy = is_busy;
    list_remove(connection);
    list_append(connection);
}

void edge_connections_tick(struct edge *edge)
{
    uint64_t now_ms = uv_now(edge->loop);
    for (struct edge_connection *at = edge->oldest; at != NULL; at = at->newer) {
        if (!at->is_busy && now_ms - at->since_ms >= EDGE_REQUEST_MS) {
            cut(at);
        }
    }
}

static struct edge_connection *connection_open(struct edge *edge, struct MHD_Connection *handle)
{
    struct edge_connection *connection = text_alloc(1, sizeof *connection);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
    must(info != NULL);
    connection->edge = edge;
    connection->socket = info->connect_fd;
    read_ip(handle, &connection->ip);
    edge->face.connections++;
    list_append(connection);
    make_room(edge, &connection->ip);
    return connection;
}

static void read_ip(struct MHD_Connection *handle, struct in6_addr *ip)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    must(info != NULL);
    memset(ip, 0, sizeof *ip);
    if (info->client_addr->sa_family == AF_INET) {
        memcpy(ip, &((const struct sockaddr_in *)(const void *)info->client_addr)->sin_addr, 4);
    } else {
        *ip = ((const struct sockaddr_in6 *)(const void *)info->client_addr)->sin6_addr;
    }
}

static void make_room(struct edge *edge, const struct in6_addr *ip)
{
    struct edge_connection *oldest = NULL;
    struct edge_connection *oldest_of_ip = NULL;
    unsigned idle = 0;
    unsigned idle_of_ip = 0;
    for (struct edge_connection *at = edge->newest; at != NULL; at = at->older) {
        if (at->is_busy || at->is_cut) {
            continue;
        }
        idle++;
        oldest = at;
        if (memcmp(&at->ip, ip, sizeof *ip) == 0) {
            idle_of_ip++;
            oldest_of_ip = at;
        }
    }
    if (idle_of_ip > EDGE_IDLE_PER_IP_MAX && !edge->face.gate.is_local) {
        cut(oldest_of_ip);
    } else if (idle > EDGE_IDLE_MAX) {
        cut(oldest);
    }
}

/* libmicrohttpd sees the end of the stream and lets go of the connection. */
static void cut(struct edge_connection *connection)
{
    if (!connection->is_cut) {
        connection->is_cut = true;
        connection->edge->face.connections_evicted++;
        shutdown(connection->socket, SHUT_RDWR);
    }
}

static void list_append(struct edge_connection *connection)
{
    struct edge *edge = connection->edge;
    connection->since_ms = uv_now(edge->loop);
    connection->newer = NULL;
    connection->older = edge->newest;
    *(edge->newest != NULL ? &edge->newest->newer : &edge->oldest) = connection;
    edge->newest = connection;
}

static void list_remove(struct edge_connection *connection)
{
    struct edge *edge = connection->edge;
    struct edge_connection *older = connection->older;
    struct edge_connection *newer = connection->newer;
    *(older != NULL ? &older->newer : &edge->oldest) = newer;
    *(newer != NULL ? &newer->older : &edge->newest) = older;
}
