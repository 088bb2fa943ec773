/* client.c - lines of JSON over a unix socket, one question at a time. */
#include "node/meshnode/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/cli/text.h"

static uint64_t now_ms(void);
static bool fill(struct client *client);
static bool take(struct client *client, cJSON **reply);

bool client_open(struct client *client, const char *path, char reason[HOST_REASON_SIZE])
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    *client = (struct client){.descriptor = -1};
    if (strlen(path) >= sizeof addr.sun_path) {
        snprintf(reason, HOST_REASON_SIZE, "%.150s is too long for a socket's path", path);
        return false;
    }
    memcpy(addr.sun_path, path, strlen(path));
    client->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(client->descriptor >= 0);
    if (connect(client->descriptor, (const struct sockaddr *)&addr, sizeof addr) == 0) {
        return true;
    }
    if (errno == ENOENT || errno == ECONNREFUSED) {
        snprintf(reason, HOST_REASON_SIZE,
                 "no node answers at %.120s: start it, or name it with --port or --control", path);
    } else {
        snprintf(reason, HOST_REASON_SIZE, "%.150s: %s", path, strerror(errno));
    }
    client_close(client);
    return false;
}

void client_close(struct client *client)
{
    if (client->descriptor >= 0) {
        close(client->descriptor);
    }
    free(client->buffer);
    *client = (struct client){.descriptor = -1};
}

bool client_ask(struct client *client, const char *verb, const char *const *words, size_t count)
{
    cJSON *request = cJSON_CreateObject();
    client->number++;
    bool ok = cJSON_AddNumberToObject(request, "id", (double)client->number) != NULL &&
              cJSON_AddStringToObject(request, "verb", verb) != NULL;
    cJSON *list = cJSON_AddArrayToObject(request, "words");
    for (size_t i = 0; i < count; i++) {
        ok = ok && cJSON_AddItemToArray(list, cJSON_CreateString(words[i]));
    }
    char *line = cJSON_PrintUnformatted(request);
    must(ok && list != NULL && line != NULL);
    size_t len = strlen(line);
    line[len] = '\n'; /* In the terminator's place. */
    for (size_t sent = 0; ok && sent <= len;) {
        ssize_t step = send(client->descriptor, line + sent, len + 1 - sent, MSG_NOSIGNAL);
        ok = step > 0 || (step < 0 && errno == EINTR);
        sent += step > 0 ? (size_t)step : 0;
    }
    free(line);
    cJSON_Delete(request);
    return ok;
}

enum client_verdict client_wait(struct client *client, int wake, int wait_ms, cJSON **reply)
{
    uint64_t end_ms = now_ms() + (uint64_t)wait_ms;
    while (!take(client, reply)) {
        uint64_t at_ms = now_ms();
        struct pollfd ready[2] = {{client->descriptor, POLLIN, 0}, {wake, POLLIN, 0}};
        int count = poll(ready, 2, at_ms < end_ms ? (int)(end_ms - at_ms) : 0);
        if (count == 0) {
            return CLIENT_TIMEOUT;
        }
        if (count > 0 && ready[1].revents != 0) {
            return CLIENT_WOKEN;
        }
        if (count > 0 && ready[0].revents != 0 && !fill(client)) {
            return CLIENT_GONE;
        }
    }
    return CLIENT_REPLY;
}

bool client_drain(struct client *client)
{
    cJSON *late;
    bool is_open = fill(client);
    while (take(client, &late)) {
        cJSON_Delete(late); /* The answer to a question that nobody waits for any more. */
    }
    return is_open;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Reads once. False at the end, or when a line is longer than any reply. */
static bool fill(struct client *client)
{
    if (client->size - client->len < 4096) {
        client->size = client->size == 0 ? 8192 : client->size * 2;
        client->buffer = realloc(client->buffer, client->size);
        must(client->buffer != NULL);
    }
    ssize_t count =
        recv(client->descriptor, client->buffer + client->len, client->size - client->len, 0);
    client->len += count > 0 ? (size_t)count : 0;
    return (count > 0 || (count < 0 && errno == EINTR)) && client->len < CLIENT_LINE_MAX;
}

/* The next line if it is whole: true for the reply to the last request; others go to the hook. */
static bool take(struct client *client, cJSON **reply)
{
    char *end;
    while (client->len > 0 && (end = memchr(client->buffer, '\n', client->len)) != NULL) {
        size_t len = (size_t)(end - client->buffer);
        cJSON *line = cJSON_ParseWithLength(client->buffer, len);
        client->len -= len + 1;
        memmove(client->buffer, end + 1, client->len);
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(line, "id");
        if (cJSON_IsNumber(id) && id->valuedouble == (double)client->number) {
            *reply = line;
            return true;
        }
        if (client->told != NULL && cJSON_HasObjectItem(line, "event")) {
            client->told(client->arg, line);
        }
        cJSON_Delete(line);
    }
    return false;
}
