/* host_work.c - errands on other threads: CPU-heavy work and names; and entropy from libsodium. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/host/loop.h"

enum {
    ERRANDS_MAX = 256, /* Of one life, work and names together. */
    NAME_SIZE = 256,   /* A name of RFC 1035 section 2.3.4 has at most 253 letters as text. */
    ADDRS_MAX = 16,    /* Of one name that are passed on. */
};

struct job {
    uv_work_t request;
    struct host_life *life;
    struct port_work *work;
};

struct lookup {
    uv_getaddrinfo_t request;
    uint8_t port[2];
    host_resolved_fn done;
    void *arg;
    int status; /* Other than ERR_OK: refused before anybody was asked. */
};

struct question {
    struct host_life *life;
    uint32_t ticket;
};

static void job_run(uv_work_t *request);
static void job_done(uv_work_t *request, int status);
static void question_done(void *arg, int status, const struct port_addr *addrs, size_t count);
static bool can_reach(const struct host *host, const struct port_addr *addr);
static bool name_split(const char *text, char name[NAME_SIZE], uint16_t *port);
static void lookup_done(uv_getaddrinfo_t *request, int status, struct addrinfo *found);
static int status_of(int uv_status);

void host_entropy(struct port *port, void *buffer, size_t len)
{
    (void)port;
    randombytes_buf(buffer, len);
}

int host_work(struct port *port, struct port_work *work)
{
    struct host *host = host_of(port);
    must(host->loop->entered == host);
    if (host->life->errands >= ERRANDS_MAX) {
        return ERR_FULL;
    }
    struct job *job = calloc(1, sizeof *job);
    must(job != NULL);
    job->life = host->life;
    job->work = work;
    job->life->errands++;
    must(uv_queue_work(&host->loop->uv, &job->request, job_run, job_done) == 0);
    return ERR_OK;
}

static void job_run(uv_work_t *request)
{
    struct job *job = container_of(request, struct job, request);
    job->work->run(job->work);
}

static void job_done(uv_work_t *request, int status)
{
    struct job *job = container_of(request, struct job, request);
    struct host_life *life = job->life;
    must(status == 0); /* Nobody cancels it. */
    if (!life->is_over) {
        host_entry_begin(life->host);
        node_on_work(life->host->node, job->work);
        host_entry_end(life->host);
    }
    free(job);
    host_life_return(life);
}

int host_resolve(struct port *port, const char *name, uint32_t ticket)
{
    struct host *host = host_of(port);
    must(host->loop->entered == host);
    if (host->life->errands >= ERRANDS_MAX) {
        return ERR_FULL;
    }
    struct question *question = calloc(1, sizeof *question);
    must(question != NULL);
    question->life = host->life;
    question->ticket = ticket;
    question->life->errands++;
    host_resolve_name(host->loop, name, HOST_PORT, question_done, question);
    return ERR_OK;
}

static void question_done(void *arg, int status, const struct port_addr *addrs, size_t count)
{
    static const struct port_addr nowhere;
    struct question *question = arg;
    struct host_life *life = question->life;
    if (!life->is_over) {
        size_t first = 0;
        while (first < count && !can_reach(life->host, &addrs[first])) {
            first++;
        }
        status = status == ERR_OK && first == count ? ERR_UNREACHABLE : status;
        host_entry_begin(life->host);
        node_on_resolved(life->host->node, question->ticket, status,
                         first < count ? &addrs[first] : &nowhere);
        host_entry_end(life->host);
    }
    free(question);
    host_life_return(life);
}

/* A main path that is bound to an address sends to those of its family alone. */
static bool can_reach(const struct host *host, const struct port_addr *addr)
{
    static const uint8_t any[sizeof addr->ip];
    const struct port_addr *own = &host->port.local;
    return memcmp(own->ip, any, sizeof any) == 0 || host_addr_is_v4(own) == host_addr_is_v4(addr);
}

void host_resolve_name(struct host_loop *loop, const char *text, uint16_t port,
                       host_resolved_fn done, void *arg)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    must(lookup != NULL);
    lookup->done = done;
    lookup->arg = arg;
    char name[NAME_SIZE];
    lookup->status = name_split(text, name, &port) ? ERR_OK : ERR_INVALID;
    lookup->port[0] = (uint8_t)(port >> 8);
    lookup->port[1] = (uint8_t)port;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    if (lookup->status == ERR_OK &&
        uv_getaddrinfo(&loop->uv, &lookup->request, lookup_done, name, NULL, &hints) != 0) {
        lookup->status = ERR_INVALID; /* Not even the letters are those of a name. */
    }
    if (lookup->status != ERR_OK) {
        /* The refusal comes from the loop as well: it asks for what needs no name server. */
        must(uv_getaddrinfo(&loop->uv, &lookup->request, lookup_done, "127.0.0.1", NULL, &hints) ==
             0);
    }
}

/* "name", "name:port", "[v6]", "[v6]:port", or a bare IPv6 address, which has colons of its own. */
static bool name_split(const char *text, char name[NAME_SIZE], uint16_t *port)
{
    const char *begin = text;
    const char *end = text + strlen(text);
    const char *colon = strchr(text, ':');
    if (text[0] == '[') {
        begin++;
        end = strchr(text, ']');
        if (end == NULL) {
            return false;
        }
        colon = end[1] != '\0' ? end + 1 : NULL;
    } else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
        colon = NULL;
    } else if (colon != NULL) {
        end = colon;
    }
    if (end == begin || end - begin >= NAME_SIZE) {
        return false;
    }
    memcpy(name, begin, (size_t)(end - begin));
    name[end - begin] = '\0';
    return colon == NULL || (colon[0] == ':' && host_port_parse(colon + 1, port));
}

static void lookup_done(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct lookup *lookup = container_of(request, struct lookup, request);
    struct port_addr addrs[ADDRS_MAX];
    size_t count = 0;
    if (lookup->status == ERR_OK) {
        lookup->status = status_of(status);
    }
    const struct addrinfo *next = lookup->status == ERR_OK ? found : NULL;
    for (; next != NULL && count < ADDRS_MAX; next = next->ai_next) {
        if (next->ai_family == AF_INET || next->ai_family == AF_INET6) {
            host_addr_from_socket(next->ai_addr, &addrs[count]);
            memcpy(addrs[count].port, lookup->port, sizeof lookup->port);
            count++;
        }
    }
    uv_freeaddrinfo(found);
    if (lookup->status == ERR_OK && count == 0) {
        lookup->status = ERR_MISSING;
    }
    lookup->done(lookup->arg, lookup->status, addrs, count);
    free(lookup);
}

static int status_of(int uv_status)
{
    switch (uv_status) {
    case 0:
        return ERR_OK;
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
    case UV_EAI_ADDRFAMILY:
        return ERR_MISSING;
    case UV_EAI_AGAIN:
        return ERR_TIMEOUT; /* The name server did not answer. */
    default:
        return ERR_IO;
    }
}
