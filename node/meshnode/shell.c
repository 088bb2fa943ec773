/* shell.c - the prompt. */
#include "node/meshnode/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "node/meshnode/client.h"
#include "node/meshnode/complete.h"

enum {
    HISTORY_LINES = 1000,
    NOTICE_MAX = 8192,
    CONTROL_C = 3,
};

struct shell {
    const struct shell_options *options;
    EditLine *edit;
    History *history;
    Tokenizer *tokenizer;
    struct client client;
    char notice[NOTICE_MAX]; /* A line of the pipe that is not whole yet. */
    size_t notice_len;
    mbstate_t typed;   /* Of a character whose last byte has not come. */
    bool is_prompting; /* A line is being typed: what is printed goes above it. */
    bool was_interrupted;
    bool is_leaving_asked; /* Ctrl-C came on an empty line. */
    bool is_over;          /* The pipe or the node ended, or the user left. */
    int code;
};

static bool begin(struct shell *shell);
static void finish(struct shell *shell);
static void read_lines(struct shell *shell);
static void execute(struct shell *shell, const char *line);
static void leave(struct shell *shell);
static void wait_reply(struct shell *shell, bool as_json);
static char *prompt(EditLine *edit);
static int read_key(EditLine *edit, wchar_t *key);
static bool take_notices(struct shell *shell);
static void show(struct shell *shell, const char *text, size_t len);
static void on_told(void *arg, const cJSON *line);
static unsigned char on_control_c(EditLine *edit, int key);
static unsigned char on_tab(EditLine *edit, int key);

int shell_run(const struct shell_options *options)
{
    struct shell *shell = text_alloc(1, sizeof *shell);
    shell->options = options;
    if (begin(shell)) {
        read_lines(shell);
        finish(shell);
    }
    int code = shell->code;
    free(shell);
    return code;
}

char *shell_history_path(const char *control)
{
    const char *slash = strrchr(control, '/');
    return text_format("%.*shistory", slash != NULL ? (int)(slash - control + 1) : 0, control);
}

int shell_print_reply(const cJSON *reply, bool as_json)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(reply, "text");
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(reply, "data");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(reply, "code");
    bool is_ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok"));
    if (as_json && data != NULL) {
        char *json = cJSON_PrintUnformatted(data);
        must(json != NULL);
        puts(json);
        free(json);
    }
    if (cJSON_IsString(text) && (!as_json || !is_ok)) {
        fprintf(is_ok ? stdout : stderr, "%s\n", text->valuestring);
    }
    fflush(stdout);
    return cJSON_IsNumber(code) ? code->valueint : 1;
}

static bool begin(struct shell *shell)
{
    char reason[HOST_REASON_SIZE];
    if (!client_open(&shell->client, shell->options->control, reason)) {
        fprintf(stderr, "meshnode: %s\n", reason);
        shell->code = 1;
        return false;
    }
    shell->client.arg = shell;
    shell->client.told = on_told;
    cJSON *reply = NULL;
    if (client_ask(&shell->client, "watch", NULL, 0)) {
        (void)client_wait(&shell->client, -1, CLIENT_WAIT_MS, &reply);
    }
    cJSON_Delete(reply);
    setlocale(LC_CTYPE, "");
    shell->edit = el_init("meshnode", stdin, stdout, stderr);
    shell->history = history_init();
    shell->tokenizer = tok_init(NULL);
    must(shell->edit != NULL && shell->history != NULL && shell->tokenizer != NULL);
    EditLine *edit = shell->edit;
    el_set(edit, EL_CLIENTDATA, shell);
    el_set(edit, EL_PROMPT, prompt);
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_SIGNAL, 0);
    el_set(edit, EL_GETCFN, read_key);
    el_set(edit, EL_ADDFN, "meshnode-interrupt", "drops the line", on_control_c);
    el_set(edit, EL_ADDFN, "meshnode-complete", "completes a verb or an id", on_tab);
    el_set(edit, EL_BIND, "^C", "meshnode-interrupt", NULL);
    el_set(edit, EL_BIND, "^I", "meshnode-complete", NULL);
    el_set(edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    HistEvent event;
    history(shell->history, &event, H_SETSIZE, HISTORY_LINES);
    history(shell->history, &event, H_SETUNIQUE, 1);
    el_set(edit, EL_HIST, history, shell->history);
    if (shell->options->history != NULL) {
        history(shell->history, &event, H_LOAD, shell->options->history);
    }
    printf("`help` lists the verbs, `quit` %s.\n",
           shell->options->is_own_node ? "leaves the mesh" : "ends the node, Ctrl-D this shell");
    return true;
}

static void finish(struct shell *shell)
{
    el_end(shell->edit); /* Also gives the terminal its old mode back. */
    history_end(shell->history);
    tok_end(shell->tokenizer);
    client_close(&shell->client);
}

/* Lines may hold what was put into the mesh: for the owner's eyes only. */
static void save_history(struct shell *shell)
{
    const char *path = shell->options->history;
    int descriptor = path != NULL ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (descriptor >= 0) {
        HistEvent event;
        close(descriptor);
        history(shell->history, &event, H_SAVE, path);
    }
}

static void read_lines(struct shell *shell)
{
    while (!shell->is_over) {
        int count = 0;
        shell->was_interrupted = false;
        shell->is_prompting = true;
        const char *line = el_gets(shell->edit, &count);
        shell->is_prompting = false;
        if (shell->was_interrupted) {
            continue;
        }
        if (line == NULL || count <= 0) {
            if (!shell->is_over) { /* Ctrl-D. */
                printf("\n");
                leave(shell);
            }
            break;
        }
        shell->is_leaving_asked = false;
        if (line[strspn(line, " \t\r\n")] != '\0') {
            HistEvent event;
            history(shell->history, &event, H_ENTER, line);
            save_history(shell);
            execute(shell, line);
        }
    }
}

static void execute(struct shell *shell, const char *line)
{
    int count = 0;
    const char **words = NULL;
    tok_reset(shell->tokenizer);
    if (tok_str(shell->tokenizer, line, &count, &words) != 0) {
        fprintf(stderr, "a quote is not closed\n");
        return;
    }
    bool as_json = count > 1 && strcmp(words[count - 1], "--json") == 0;
    count -= as_json ? 1 : 0;
    if (count == 0 || strcmp(words[0], "watch") == 0) {
        return; /* The shell watches anyway. */
    }
    if (!client_ask(&shell->client, words[0], words + 1, (size_t)count - 1)) {
        fprintf(stderr, "the node is gone\n");
        shell->is_over = true;
        return;
    }
    bool is_quit = strcmp(words[0], "quit") == 0;
    wait_reply(shell, as_json);
    shell->is_over |= is_quit;
}

/* Leaving one's own node's shell is leaving the mesh. */
static void leave(struct shell *shell)
{
    shell->is_prompting = false;
    if (shell->options->is_own_node && client_ask(&shell->client, "quit", NULL, 0)) {
        wait_reply(shell, false);
    }
    shell->is_over = true;
}

/* Until the reply is there; Ctrl-C gives up waiting, not the request. */
static void wait_reply(struct shell *shell, bool as_json)
{
    cJSON *reply = NULL;
    enum client_verdict verdict;
    do {
        verdict = client_wait(&shell->client, shell->options->notices, CLIENT_WAIT_MS, &reply);
    } while (verdict == CLIENT_WOKEN && !take_notices(shell) && !shell->is_over);
    if (verdict == CLIENT_REPLY) {
        shell_print_reply(reply, as_json);
    } else if (verdict == CLIENT_GONE) {
        fprintf(stderr, "the node is gone\n");
        shell->is_over = true;
    } else if (!shell->is_over) {
        fprintf(stderr, "not waited for any longer\n");
    }
    cJSON_Delete(reply);
}

static char *prompt(EditLine *edit)
{
    static char text[] = "mesh> ";
    (void)edit;
    return text;
}

/* --- keys and notices ------------------------------------------------------------------------ */

static struct shell *shell_of(EditLine *edit)
{
    void *shell = NULL;
    el_get(edit, EL_CLIENTDATA, &shell);
    return shell;
}

/* One character of the terminal; shows what arrives meanwhile. 1, or 0 at the end. */
static int read_key(EditLine *edit, wchar_t *key)
{
    struct shell *shell = shell_of(edit);
    for (;;) {
        struct pollfd ready[3] = {{STDIN_FILENO, POLLIN, 0},
                                  {shell->options->notices, POLLIN, 0},
                                  {shell->client.descriptor, POLLIN, 0}};
        if (poll(ready, 3, -1) < 0) {
            continue;
        }
        if (ready[1].revents != 0 && take_notices(shell)) {
            *key = CONTROL_C;
            return 1;
        }
        if (ready[2].revents != 0 && !client_drain(&shell->client)) {
            shell->is_over = true;
        }
        if (shell->is_over) {
            return 0;
        }
        char byte;
        if (ready[0].revents == 0) {
            continue;
        }
        if (read(STDIN_FILENO, &byte, 1) != 1) {
            return 0;
        }
        size_t step = mbrtowc(key, &byte, 1, &shell->typed);
        if (step == 1 || step == 0) {
            return 1;
        }
        if (step == (size_t)-1) {
            memset(&shell->typed, 0, sizeof shell->typed); /* No character: dropped. */
        }
    }
}

/* Shows whole lines of the pipe. True when one of them was Ctrl-C. */
static bool take_notices(struct shell *shell)
{
    bool is_interrupt = false;
    ssize_t count = read(shell->options->notices, shell->notice + shell->notice_len,
                         sizeof shell->notice - shell->notice_len);
    if (count <= 0) {
        shell->is_over |= count == 0 || errno != EINTR;
        return false;
    }
    shell->notice_len += (size_t)count;
    char *end;
    while ((end = memchr(shell->notice, '\n', shell->notice_len)) != NULL) {
        size_t len = (size_t)(end - shell->notice);
        if (len == 1 && shell->notice[0] == CONTROL_C) {
            is_interrupt = true;
        } else {
            show(shell, shell->notice, len);
        }
        shell->notice_len -= len + 1;
        memmove(shell->notice, end + 1, shell->notice_len);
    }
    if (shell->notice_len == sizeof shell->notice) {
        shell->notice_len = 0; /* No line of ours is that long. */
    }
    return is_interrupt;
}

/* Above the line that is being typed, which is drawn again below. */
static void show(struct shell *shell, const char *text, size_t len)
{
    printf("%s%.*s\n", shell->is_prompting ? "\r\033[K" : "", (int)len, text);
    fflush(stdout);
    if (shell->is_prompting) {
        el_set(shell->edit, EL_REFRESH);
    }
}

static void on_told(void *arg, const cJSON *line)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(line, "text");
    if (cJSON_IsString(text)) {
        show(arg, text->valuestring, strlen(text->valuestring));
    }
}

/* Drops the line; on an empty one asks, and leaves when it comes again. */
static unsigned char on_control_c(EditLine *edit, int key)
{
    (void)key;
    struct shell *shell = shell_of(edit);
    const LineInfo *info = el_line(edit);
    bool is_empty = info->lastchar == info->buffer;
    shell->was_interrupted = true;
    printf("^C\n");
    if (is_empty && shell->is_leaving_asked) {
        leave(shell);
    } else if (is_empty) {
        printf("Ctrl-C again, or `quit`, to leave%s\n",
               shell->options->is_own_node ? " the mesh" : "");
    }
    fflush(stdout);
    shell->is_leaving_asked = is_empty;
    return CC_EOF;
}

/* Adds what is certain; when nothing is, shows what is possible. */
static unsigned char on_tab(EditLine *edit, int key)
{
    (void)key;
    struct shell *shell = shell_of(edit);
    const LineInfo *info = el_line(edit);
    size_t len = (size_t)(info->cursor - info->buffer);
    char *line = text_copy(info->buffer, len);
    struct text candidates = {0};
    char *more = complete_word(line, len, &shell->client, &candidates);
    bool is_added = more[0] != '\0' && el_insertstr(edit, more) == 0;
    if (!is_added && candidates.len > 0) {
        show(shell, candidates.data, candidates.len);
    }
    free(candidates.data);
    free(more);
    free(line);
    return is_added ? CC_REFRESH : CC_NORM;
}
