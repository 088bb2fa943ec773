/* replay.c - the loop: what is due is done, then sockets are served until the next thing is due. */
#include "sim/live/replay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/base/must.h"
#include "sim/live/answer.h"
#include "sim/live/control.h"
#include "sim/live/process.h"

enum {
    TICK_US = 100000,        /* As script.c looks at the tables. */
    CONNECT_US = 5000,       /* Between tries to reach a node that has just started. */
    PATIENCE_US = 10000000,  /* For a node that does not listen, or the last replies. */
    LAST_WORDS_US = 1000000, /* For the numbers of a node that is about to be killed. */
    SECOND_US = 1000000,
    WORD_BYTES_MAX = 2 * RECORD_VALUE_MAX + 1,
};

/* Ids of requests that are no command of the script. */
enum { ASK_STATS = 1 << 30 };

struct player {
    struct process process;
    struct control control;
    struct live_totals now; /* As of its last answer: since its start. */
    uint64_t started_us;
    uint64_t kill_us; /* PORT_NEVER, or when it is killed even without an answer. */
    uint32_t contacts;
    bool is_up;    /* By the script. */
    bool is_asked; /* Its numbers are on their way. */
};

struct replay {
    struct live_script *script;
    const struct replay_options *options;
    struct stage stage;
    struct player players[LIVE_NODES_MAX];
    uint32_t step_next;
    uint64_t origin_us;
    uint64_t tick_us; /* The next one, on the script's clock, like all times here. */
    char *reason;
    size_t reason_size;
};

static int play(struct replay *replay);
static int do_steps(struct replay *replay, uint64_t now_us);
static int start(struct replay *replay, struct player *player, uint64_t now_us);
static void finish(struct replay *replay, struct player *player);
static void ask_command(struct player *player, const struct live_step *step,
                        const struct live_command *command);
static void ask_stats(struct player *player);
static int tick(struct replay *replay, uint64_t now_us);
static bool has_joined(const struct replay *replay);
static int serve(struct replay *replay, uint64_t until_us);
static int serve_one(struct replay *replay, struct player *player, short events);
static void on_reply(void *arg, uint32_t id, const cJSON *reply);
static bool is_settled(const struct replay *replay);
static int fail(struct replay *replay, const struct player *player, const char *what);

int replay_run(struct live_script *script, const struct replay_options *options, char *reason,
               size_t reason_size)
{
    must(script->node_count <= LIVE_NODES_MAX);
    struct replay *replay = text_alloc(1, sizeof *replay);
    replay->script = script;
    replay->options = options;
    replay->reason = reason;
    replay->reason_size = reason_size;
    int status = stage_open(&replay->stage, options->program, reason, reason_size);
    if (status == ERR_OK) {
        for (uint32_t i = 0; i < script->node_count; i++) {
            struct player *player = &replay->players[i];
            player->process =
                (struct process){.stage = &replay->stage, .node = &script->nodes[i], .number = i};
            player->kill_us = PORT_NEVER;
            control_init(&player->control);
        }
        status = play(replay);
        for (uint32_t i = 0; i < script->node_count; i++) {
            control_close(&replay->players[i].control);
            process_kill(&replay->players[i].process);
        }
        stage_close(&replay->stage);
    }
    free(replay);
    return status;
}

static uint64_t clock_us(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t now_of(const struct replay *replay)
{
    return clock_us() - replay->origin_us;
}

static int play(struct replay *replay)
{
    struct live_script *script = replay->script;
    replay->origin_us = clock_us();
    int status = ERR_OK;
    for (uint64_t now_us = 0; now_us < script->duration_us && status == ERR_OK;) {
        status = do_steps(replay, now_us);
        if (status == ERR_OK && now_us >= replay->tick_us) {
            status = tick(replay, now_us);
        }
        if (status == ERR_OK) {
            uint64_t due_us = replay->step_next < script->step_count
                                  ? script->steps[replay->step_next].at_us
                                  : script->duration_us;
            status = serve(replay, due_us < replay->tick_us ? due_us : replay->tick_us);
        }
        now_us = now_of(replay);
    }
    for (uint32_t i = 0; i < script->node_count; i++) {
        if (replay->players[i].is_up) {
            replay->players[i].is_asked = false; /* What is under way is from before the end. */
            ask_stats(&replay->players[i]);
        }
    }
    uint64_t end_us = now_of(replay) + PATIENCE_US;
    while (status == ERR_OK && !is_settled(replay) && now_of(replay) < end_us) {
        status = serve(replay, now_of(replay) + TICK_US);
    }
    for (uint32_t i = 0; i < script->node_count && status == ERR_OK; i++) {
        struct player *player = &replay->players[i];
        if (player->is_up && player->is_asked) {
            return fail(replay, player, "did not tell its numbers");
        }
        finish(replay, player);
    }
    return status;
}

static int do_steps(struct replay *replay, uint64_t now_us)
{
    const struct live_script *script = replay->script;
    while (replay->step_next < script->step_count &&
           script->steps[replay->step_next].at_us <= now_us) {
        const struct live_step *step = &script->steps[replay->step_next++];
        struct player *player = &replay->players[step->node];
        if (step->kind == LIVE_COMMAND) {
            ask_command(player, step, &script->commands[step->command]);
        } else if (step->kind == LIVE_KILL) {
            player->is_up = false;
            player->kill_us = now_us + LAST_WORDS_US;
            player->is_asked = false;
            ask_stats(player);
        } else {
            int status = start(replay, player, now_us);
            if (status != ERR_OK) {
                return status;
            }
        }
    }
    return ERR_OK;
}

static int start(struct replay *replay, struct player *player, uint64_t now_us)
{
    finish(replay, player);
    player->is_up = true;
    player->started_us = now_us;
    return process_start(&player->process, replay->reason, replay->reason_size);
}

/* Its life is over: what it did is added up. */
static void finish(struct replay *replay, struct player *player)
{
    struct live_totals *totals = &replay->script->live;
    control_close(&player->control);
    process_kill(&player->process);
    traffic_add(&totals->traffic, &player->now.traffic);
    for (int i = 0; i < COUNTER_COUNT; i++) {
        totals->counters[i] += player->now.counters[i];
    }
    player->now = (struct live_totals){0};
    player->contacts = 0;
    player->kill_us = PORT_NEVER;
    player->is_asked = false;
    player->is_up = false;
}

static void hex_of(const uint8_t *bytes, size_t len, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
}

/* A message's bytes mean nothing to a node but their number, and its verb takes words. */
static void letters_of(const uint8_t *bytes, size_t len, char *text)
{
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)('a' + bytes[i] % 26);
    }
    text[len] = '\0';
}

static void ask_command(struct player *player, const struct live_step *step,
                        const struct live_command *command)
{
    static const char *const verbs[] = {[NODE_LOOKUP] = "find",
                                        [NODE_GET] = "get",
                                        [NODE_PUT] = "put",
                                        [NODE_SEND] = "send",
                                        [NODE_BROADCAST] = "broadcast"};
    char id[2 * NODE_ID_LEN + 1];
    char bytes[WORD_BYTES_MAX];
    must(command->kind < sizeof verbs / sizeof verbs[0] && verbs[command->kind] != NULL);
    must(command->kind == NODE_GET || command->len * 2 < sizeof bytes);
    hex_of(command->id.bytes, NODE_ID_LEN, id);
    const char *words[2] = {id, bytes};
    size_t count = 1;
    if (command->kind == NODE_GET) {
        words[0] = "--hex";
        words[1] = id;
        count = 2;
    } else if (command->kind == NODE_PUT) {
        hex_of(command->bytes, command->len, bytes);
        words[0] = "--hex";
        count = 2;
    } else if (command->kind != NODE_LOOKUP) {
        letters_of(command->bytes, command->len, bytes);
        words[0] = command->kind == NODE_SEND ? id : bytes;
        count = command->kind == NODE_SEND ? 2 : 1;
    }
    control_ask(&player->control, step->command, verbs[command->kind], words, count);
}

static void ask_stats(struct player *player)
{
    if (!player->is_asked) {
        player->is_asked = true;
        control_ask(&player->control, ASK_STATS, "stats", NULL, 0);
    }
}

static int tick(struct replay *replay, uint64_t now_us)
{
    struct live_script *script = replay->script;
    bool is_joining = script->live.joined_us == 0 && now_us >= script->all_started_us;
    if (is_joining && has_joined(replay)) {
        script->live.joined_us = now_us;
    }
    if (now_us / SECOND_US != replay->tick_us / SECOND_US || now_us < TICK_US) {
        replay->options->progress(replay->options->progress_arg, now_us);
    }
    replay->tick_us = (now_us / TICK_US + 1) * TICK_US;
    for (uint32_t i = 0; i < script->node_count; i++) {
        struct player *player = &replay->players[i];
        if (process_is_gone(&player->process, replay->reason, replay->reason_size)) {
            return ERR_IO;
        }
        if (now_us >= player->kill_us) {
            finish(replay, player);
        } else if (is_joining && player->is_up) {
            ask_stats(player);
        }
    }
    return ERR_OK;
}

static bool has_joined(const struct replay *replay)
{
    uint32_t up = 0;
    uint32_t fewest = LIVE_TABLE_ENOUGH;
    for (uint32_t i = 0; i < replay->script->node_count; i++) {
        const struct player *player = &replay->players[i];
        if (player->is_up) {
            up++;
            fewest = player->contacts < fewest ? player->contacts : fewest;
        }
    }
    return up > 0 && fewest >= (up - 1 < LIVE_TABLE_ENOUGH ? up - 1 : LIVE_TABLE_ENOUGH);
}

/* Until then, or until something has come. */
static int serve(struct replay *replay, uint64_t until_us)
{
    struct pollfd polled[LIVE_NODES_MAX];
    uint64_t now_us = now_of(replay);
    bool is_calling = false;
    for (uint32_t i = 0; i < replay->script->node_count; i++) {
        struct player *player = &replay->players[i];
        if (player->process.pid != 0 && !control_is_open(&player->control)) {
            char path[PROCESS_PATH_MAX];
            process_path(&player->process, "sock", path);
            int status = control_connect(&player->control, path);
            bool is_late = now_us > player->started_us + PATIENCE_US;
            if (status == ERR_IO || (status == ERR_AGAIN && is_late)) {
                return fail(replay, player, "does not listen on its control socket");
            }
            is_calling |= status == ERR_AGAIN;
        }
        bool has_output = control_has_output(&player->control);
        polled[i] = (struct pollfd){.fd = player->control.socket,
                                    .events = (short)(POLLIN | (has_output ? POLLOUT : 0))};
    }
    uint64_t wait_us = until_us > now_us ? until_us - now_us : 0;
    wait_us = is_calling && wait_us > CONNECT_US ? CONNECT_US : wait_us;
    if (poll(polled, replay->script->node_count, (int)((wait_us + 999) / 1000)) < 0) {
        must(errno == EINTR);
    }
    if (*replay->options->stop != 0) {
        return ERR_STOPPED;
    }
    for (uint32_t i = 0; i < replay->script->node_count; i++) {
        struct player *player = &replay->players[i];
        if (polled[i].revents != 0 && control_is_open(&player->control)) {
            int status = serve_one(replay, player, polled[i].revents);
            if (status != ERR_OK) {
                return status;
            }
        }
    }
    return ERR_OK;
}

struct reply_to {
    struct replay *replay;
    struct player *player;
};

static int serve_one(struct replay *replay, struct player *player, short events)
{
    struct reply_to to = {replay, player};
    int status = ERR_OK;
    if ((events & POLLOUT) != 0) {
        status = control_write(&player->control);
    }
    if (status == ERR_OK && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        status = control_read(&player->control, on_reply, &to);
    }
    if (status != ERR_OK) {
        bool has_ended = process_is_gone(&player->process, replay->reason, replay->reason_size);
        return has_ended ? ERR_IO : fail(replay, player, "broke off its control connection");
    }
    if (!player->is_up && player->kill_us != PORT_NEVER && !player->is_asked) {
        finish(replay, player); /* It has said its last words. */
    }
    return ERR_OK;
}

static void on_reply(void *arg, uint32_t id, const cJSON *reply)
{
    const struct reply_to *to = arg;
    struct live_script *script = to->replay->script;
    if (id == ASK_STATS) {
        to->player->is_asked = false;
        answer_totals(reply, &to->player->now, &to->player->contacts);
    } else if (id < script->command_count) {
        answer_outcome(reply, &script->commands[id]);
    }
}

/* Everybody has told its numbers. */
static bool is_settled(const struct replay *replay)
{
    for (uint32_t i = 0; i < replay->script->node_count; i++) {
        const struct player *player = &replay->players[i];
        if (player->is_up && player->is_asked) {
            return false;
        }
    }
    return true;
}

static int fail(struct replay *replay, const struct player *player, const char *what)
{
    snprintf(replay->reason, replay->reason_size, "node %u (%s) %s", player->process.number,
             player->process.node->host, what);
    return ERR_IO;
}
