/* ice_nice.c - an ICE agent (RFC 8445) of another make, libnice: with whom ours has to get on.
 *
 * usage: ice_nice --controlling|--controlled [--stun ADDRESS:PORT] [--turn ADDRESS:PORT]
 *                 [--user NAME --password WORD] [--patience SECONDS]
 *
 * Prints one line, its offer, and reads one, the other's: "offer", user fragment, password and
 * candidates as in SDP (RFC 8839), between tabs. Then it sends MESSAGES messages over the selected
 * pair, waits for as many, and prints the pair and their number. ice_aioice.py speaks the same way.
 */
#include <nice/agent.h>

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPONENT = 1,
    MESSAGES = 10,
    PATIENCE_S_DEFAULT = 20,
    ADDRESS_MAX = 64,
};

struct server {
    char address[ADDRESS_MAX];
    guint port; /* 0: there is none. */
};

struct wanted {
    bool is_controlling;
    struct server stun;
    struct server turn;
    const char *user;
    const char *password;
    guint patience_s;
};

struct peer {
    GMainLoop *loop;
    NiceAgent *agent;
    guint stream;
    bool is_selected;
    bool has_received[MESSAGES];
    guint received;
};

static bool wanted_read(struct wanted *wanted, int count, char **words);
static void peer_open(struct peer *peer, const struct wanted *wanted);
static void peer_close(struct peer *peer);
static bool peer_is_done(const struct peer *peer);

static gboolean give_up(gpointer data)
{
    struct peer *peer = data;
    g_main_loop_quit(peer->loop);
    return G_SOURCE_REMOVE;
}

int main(int count, char **words)
{
    struct wanted wanted = {.patience_s = PATIENCE_S_DEFAULT};
    struct peer peer = {.loop = NULL};
    if (!wanted_read(&wanted, count, words)) {
        fputs("usage: ice_nice --controlling|--controlled [--stun ADDRESS:PORT]\n"
              "                [--turn ADDRESS:PORT --user NAME --password WORD]\n"
              "                [--patience SECONDS]\n",
              stderr);
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    peer_open(&peer, &wanted);
    (void)g_timeout_add_seconds(wanted.patience_s, give_up, &peer);
    g_main_loop_run(peer.loop);
    bool is_done = peer_is_done(&peer);
    if (is_done) {
        printf("received %u\n", peer.received);
    } else {
        puts("failed");
    }
    peer_close(&peer);
    return is_done ? 0 : 1;
}

static bool server_read(struct server *server, const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : sizeof server->address;
    if (len >= sizeof server->address) {
        return false;
    }
    memcpy(server->address, text, len);
    server->address[len] = '\0';
    server->port = (guint)strtoul(colon + 1, NULL, 10);
    return server->port > 0;
}

static bool wanted_read(struct wanted *wanted, int count, char **words)
{
    static const struct option options[] = {
        {"controlling", no_argument, NULL, 'c'},    {"controlled", no_argument, NULL, 'd'},
        {"stun", required_argument, NULL, 's'},     {"turn", required_argument, NULL, 't'},
        {"user", required_argument, NULL, 'u'},     {"password", required_argument, NULL, 'p'},
        {"patience", required_argument, NULL, 'w'}, {NULL, 0, NULL, 0},
    };
    bool is_sound = true, has_role = false;
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
        case 'd':
            wanted->is_controlling = option == 'c';
            has_role = true;
            break;
        case 's':
            is_sound = server_read(&wanted->stun, optarg) && is_sound;
            break;
        case 't':
            is_sound = server_read(&wanted->turn, optarg) && is_sound;
            break;
        case 'u':
            wanted->user = optarg;
            break;
        case 'p':
            wanted->password = optarg;
            break;
        case 'w':
            wanted->patience_s = (guint)strtoul(optarg, NULL, 10);
            break;
        default:
            is_sound = false;
            break;
        }
    }
    bool has_account = wanted->user != NULL && wanted->password != NULL;
    return is_sound && has_role && optind == count && (wanted->turn.port == 0 || has_account);
}

/* "message N": each counts once. */
static void on_message(NiceAgent *agent, guint stream, guint component, guint len, gchar *bytes,
                       gpointer data)
{
    struct peer *peer = data;
    char text[32] = "";
    unsigned number;
    (void)agent;
    (void)stream;
    (void)component;
    memcpy(text, bytes, len < sizeof text ? len : sizeof text - 1);
    if (sscanf(text, "message %u", &number) == 1 && number < MESSAGES &&
        !peer->has_received[number]) {
        peer->has_received[number] = true;
        peer->received++;
    }
    if (peer_is_done(peer)) {
        g_main_loop_quit(peer->loop);
    }
}

static bool peer_is_done(const struct peer *peer)
{
    return peer->is_selected && peer->received == MESSAGES;
}

static void print_candidate(const NiceCandidate *candidate)
{
    static const char *const types[] = {"host", "srflx", "prflx", "relay"};
    char text[NICE_ADDRESS_STRING_LEN];
    nice_address_to_string(&candidate->addr, text);
    printf(" %s %s:%u", types[candidate->type], text, nice_address_get_port(&candidate->addr));
}

/* Once the agent has settled on a pair, all messages go out at once. */
static void on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer data)
{
    struct peer *peer = data;
    NiceCandidate *local, *remote;
    if (state != NICE_COMPONENT_STATE_READY || peer->is_selected ||
        !nice_agent_get_selected_pair(agent, stream, component, &local, &remote)) {
        return;
    }
    peer->is_selected = true;
    printf("selected");
    print_candidate(local);
    print_candidate(remote);
    puts("");
    for (unsigned number = 0; number < MESSAGES; number++) {
        char text[32];
        int len = snprintf(text, sizeof text, "message %u", number);
        (void)nice_agent_send(agent, stream, component, (guint)len, text);
    }
    if (peer_is_done(peer)) {
        g_main_loop_quit(peer->loop);
    }
}

static void offer_print(const struct peer *peer)
{
    gchar *fragment, *password;
    if (!nice_agent_get_local_credentials(peer->agent, peer->stream, &fragment, &password)) {
        return;
    }
    printf("offer\t%s\t%s", fragment, password);
    g_free(fragment);
    g_free(password);
    GSList *candidates = nice_agent_get_local_candidates(peer->agent, peer->stream, COMPONENT);
    for (GSList *item = candidates; item != NULL; item = item->next) {
        gchar *text = nice_agent_generate_local_candidate_sdp(peer->agent, item->data);
        printf("\t%s", text + strlen("a="));
        g_free(text);
    }
    puts("");
    g_slist_free_full(candidates, (GDestroyNotify)nice_candidate_free);
}

static bool offer_take(const struct peer *peer, gchar **words)
{
    GSList *candidates = NULL;
    if (g_strv_length(words) < 4 || strcmp(words[0], "offer") != 0) {
        return false;
    }
    for (gchar **word = words + 3; *word != NULL; word++) {
        gchar *text = g_strconcat("a=", *word, NULL);
        NiceCandidate *candidate =
            nice_agent_parse_remote_candidate_sdp(peer->agent, peer->stream, text);
        g_free(text);
        candidates = candidate != NULL ? g_slist_append(candidates, candidate) : candidates;
    }
    bool is_taken =
        nice_agent_set_remote_credentials(peer->agent, peer->stream, words[1], words[2]) &&
        nice_agent_set_remote_candidates(peer->agent, peer->stream, COMPONENT, candidates) > 0;
    g_slist_free_full(candidates, (GDestroyNotify)nice_candidate_free);
    return is_taken;
}

/* The other's line may come late: the loop waits for it beside all else. */
static gboolean on_line(GIOChannel *channel, GIOCondition condition, gpointer data)
{
    struct peer *peer = data;
    gchar *line = NULL;
    (void)condition;
    if (g_io_channel_read_line(channel, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
        g_main_loop_quit(peer->loop);
        return G_SOURCE_REMOVE;
    }
    gchar **words = g_strsplit(g_strchomp(line), "\t", 0);
    if (!offer_take(peer, words)) {
        fputs("ice_nice: that is no offer\n", stderr);
        g_main_loop_quit(peer->loop);
    }
    g_strfreev(words);
    g_free(line);
    return G_SOURCE_REMOVE;
}

static void on_gathered(NiceAgent *agent, guint stream, gpointer data)
{
    GIOChannel *input = g_io_channel_unix_new(0);
    (void)agent;
    (void)stream;
    offer_print(data);
    (void)g_io_add_watch(input, G_IO_IN | G_IO_HUP, on_line, data);
    g_io_channel_unref(input);
}

/* UDP alone, and no router is asked for a port: what a plain node has. */
static void peer_open(struct peer *peer, const struct wanted *wanted)
{
    peer->loop = g_main_loop_new(NULL, FALSE);
    peer->agent = nice_agent_new(NULL, NICE_COMPATIBILITY_RFC5245);
    g_object_set(peer->agent, "controlling-mode", wanted->is_controlling, "upnp", FALSE, "ice-tcp",
                 FALSE, NULL);
    if (wanted->stun.port > 0) {
        g_object_set(peer->agent, "stun-server", wanted->stun.address, "stun-server-port",
                     wanted->stun.port, NULL);
    }
    g_signal_connect(peer->agent, "candidate-gathering-done", G_CALLBACK(on_gathered), peer);
    g_signal_connect(peer->agent, "component-state-changed", G_CALLBACK(on_state), peer);
    peer->stream = nice_agent_add_stream(peer->agent, COMPONENT);
    if (wanted->turn.port > 0) {
        (void)nice_agent_set_relay_info(peer->agent, peer->stream, COMPONENT, wanted->turn.address,
                                        wanted->turn.port, wanted->user, wanted->password,
                                        NICE_RELAY_TYPE_TURN_UDP);
    }
    (void)nice_agent_attach_recv(peer->agent, peer->stream, COMPONENT, NULL, on_message, peer);
    (void)nice_agent_gather_candidates(peer->agent, peer->stream);
}

static void on_closed(GObject *agent, GAsyncResult *result, gpointer data)
{
    struct peer *peer = data;
    (void)agent;
    (void)result;
    g_main_loop_quit(peer->loop);
}

/* Allocations are given back to the TURN server first. */
static void peer_close(struct peer *peer)
{
    nice_agent_close_async(peer->agent, on_closed, peer);
    g_main_loop_run(peer->loop);
    g_object_unref(peer->agent);
    g_main_loop_unref(peer->loop);
}
