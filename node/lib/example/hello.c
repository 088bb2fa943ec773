/* hello.c - the smallest useful mesh: one program waits for news, another brings some.
 *
 *      ./hello                         waits at a free port, says where, prints what it hears
 *      ./hello 127.0.0.1:PORT          joins there, stores a greeting, reads it back, tells
 * everybody
 *
 *      cc hello.c -o hello $(pkg-config --cflags --libs meshnode)
 */
#include <meshnode.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t is_over;

static void on_signal(int number)
{
    (void)number;
    is_over = 1;
}

static void on_news(void *arg, const void *data, size_t len)
{
    (void)arg;
    printf("heard: %.*s\n", (int)len, (const char *)data);
    fflush(stdout);
}

static void on_peer(void *arg, const struct meshnode_id *id, bool is_up)
{
    (void)arg;
    char text[MESHNODE_ID_TEXT_SIZE];
    meshnode_id_format(id, text);
    printf("%s: %s\n", is_up ? "met" : "lost", text);
    fflush(stdout);
}

/* The errand of the second program: one request after the other, each begun when the last ended. */
static void on_told(void *arg, const struct meshnode_result *result)
{
    (void)arg;
    printf("told everybody: %s\n", meshnode_status_text(result->status));
    is_over = 1;
}

static void on_got(void *arg, const struct meshnode_result *result)
{
    struct meshnode *node = arg;
    printf("read back: %.*s\n", (int)result->len, (const char *)result->data);
    if (meshnode_broadcast(node, "hello, mesh", strlen("hello, mesh"), on_told, node) != 0) {
        is_over = 1;
    }
}

static void on_put(void *arg, const struct meshnode_result *result)
{
    struct meshnode *node = arg;
    char key[MESHNODE_ID_TEXT_SIZE];
    meshnode_id_format(&result->id, key);
    printf("stored under %s by %u nodes: %s\n", key, (unsigned)result->holders,
           meshnode_status_text(result->status));
    if (meshnode_get(node, &result->id, on_got, node) != 0) {
        is_over = 1;
    }
}

int main(int count, char **words)
{
    struct meshnode_options options;
    meshnode_options_default(&options);
    options.bind = "127.0.0.1";
    options.port = 0;
    options.bootstrap = (const char *const *)words + 1;
    options.bootstrap_count = (size_t)count - 1;
    options.callbacks.on_news = on_news;
    options.callbacks.on_peer = on_peer;

    struct meshnode *node;
    char reason[MESHNODE_REASON_SIZE];
    if (meshnode_create(&options, &node) != 0) {
        return 1;
    }
    if (meshnode_start(node, reason) != 0) {
        fprintf(stderr, "hello: %s\n", reason);
        meshnode_destroy(node);
        return 1;
    }
    char address[MESHNODE_ADDRESS_SIZE];
    meshnode_address(node, address);
    printf("listening at %s\n", address);
    fflush(stdout);

    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    bool is_sent = count == 1; /* The one that waits has no errand. */
    while (!is_over) {
        meshnode_turn(node, 1000);
        if (!is_sent && meshnode_is_joined(node)) {
            is_sent = true;
            is_over = meshnode_put(node, "hello", strlen("hello"), on_put, node) != 0;
        }
    }
    meshnode_destroy(node);
    return 0;
}
