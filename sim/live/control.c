/* control.c - requests out, replies in, whole lines only. */
#include "sim/live/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHUNK_BYTES = 16384 };

static int take_lines(struct control *control, control_reply_fn on_reply, void *arg);

void control_init(struct control *control)
{
    *control = (struct control){.socket = -1};
}

void control_close(struct control *control)
{
    if (control->socket >= 0) {
        (void)close(control->socket);
    }
    free(control->out.data);
    free(control->in.data);
    control_init(control);
}

int control_connect(struct control *control, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof addr.sun_path) {
        return ERR_IO;
    }
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) {
        return ERR_IO;
    }
    /* A local connection is made or refused at once. */
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) != 0) {
        bool is_early = errno == ENOENT || errno == ECONNREFUSED;
        (void)close(fd);
        return is_early ? ERR_AGAIN : ERR_IO;
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        (void)close(fd);
        return ERR_IO;
    }
    control->socket = fd;
    return ERR_OK;
}

void control_ask(struct control *control, uint32_t id, const char *verb, const char *const *words,
                 size_t word_count)
{
    text_add(&control->out, "{\"id\": %u, \"verb\": \"%s\", \"words\": [", id, verb);
    for (size_t i = 0; i < word_count; i++) {
        text_add(&control->out, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
    }
    text_add(&control->out, "]}\n");
}

bool control_has_output(const struct control *control)
{
    return control->out_at < control->out.len;
}

int control_write(struct control *control)
{
    while (control_has_output(control)) {
        ssize_t sent = send(control->socket, control->out.data + control->out_at,
                            control->out.len - control->out_at, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR ? ERR_OK : ERR_IO;
        }
        control->out_at += (size_t)sent;
    }
    text_cut(&control->out, 0);
    control->out_at = 0;
    return ERR_OK;
}

int control_read(struct control *control, control_reply_fn on_reply, void *arg)
{
    char chunk[CHUNK_BYTES];
    for (;;) {
        ssize_t got = recv(control->socket, chunk, sizeof chunk, 0);
        if (got < 0) {
            return errno == EAGAIN || errno == EINTR ? ERR_OK : ERR_IO;
        }
        if (got == 0) {
            return ERR_IO;
        }
        text_add(&control->in, "%.*s", (int)got, chunk);
        int status = take_lines(control, on_reply, arg);
        if (status != ERR_OK) {
            return status;
        }
    }
}

static int take_lines(struct control *control, control_reply_fn on_reply, void *arg)
{
    struct text *in = &control->in;
    char *at = in->data;
    for (char *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        cJSON *reply = cJSON_Parse(at);
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(reply, "id");
        if (reply == NULL) {
            return ERR_INVALID;
        }
        if (cJSON_IsNumber(id)) {
            on_reply(arg, (uint32_t)id->valuedouble, reply);
        }
        cJSON_Delete(reply);
    }
    size_t left = strlen(at);
    memmove(in->data, at, left + 1);
    text_cut(in, left);
    return ERR_OK;
}
