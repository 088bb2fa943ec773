/* process.c - starts, kills and reaps the nodes, and keeps their files in one folder. */
#include "sim/live/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/hash.h"
#include "node/base/must.h"
#include "node/cli/text.h"

enum {
    ARGUMENTS_MAX = 24,
    LIVE_PORT = 8468,
    LOG_BYTES_MAX = 1 << 20,
    KEY_HASH_LEN = 16,
};

static bool write_key(const struct process *process, const char *path);
static void run_node(const struct process *process);
static char *bootstrap_text(const struct live_node *node);

bool process_program(char path[PROCESS_PATH_MAX], char *reason, size_t reason_size)
{
    ssize_t len = readlink("/proc/self/exe", path, PROCESS_PATH_MAX - 1);
    path[len > 0 ? len : 0] = '\0';
    char *name = strrchr(path, '/');
    size_t room = name != NULL ? (size_t)(path + PROCESS_PATH_MAX - name) : 0;
    if (name == NULL || (size_t)snprintf(name, room, "/meshnode") >= room ||
        access(path, X_OK) != 0) {
        snprintf(reason, reason_size, "meshnode is not beside this program (%s)", path);
        return false;
    }
    return true;
}

int stage_open(struct stage *stage, const char *program, char *reason, size_t reason_size)
{
    const char *base = getenv("TMPDIR");
    base = base != NULL && base[0] != '\0' ? base : "/tmp";
    stage->program = program;
    int len = snprintf(stage->folder, sizeof stage->folder, "%s/meshtwin-live-XXXXXX", base);
    if (len >= (int)sizeof stage->folder || mkdtemp(stage->folder) == NULL) {
        snprintf(reason, reason_size, "cannot make a folder in %s: %s", base, strerror(errno));
        return ERR_IO;
    }
    return ERR_OK;
}

void stage_close(struct stage *stage)
{
    DIR *folder = opendir(stage->folder);
    if (folder == NULL) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0); /* Not "." and "..": they are folders. */
    }
    (void)closedir(folder);
    (void)rmdir(stage->folder);
}

void process_path(const struct process *process, const char *kind, char path[PROCESS_PATH_MAX])
{
    int len = snprintf(path, PROCESS_PATH_MAX, "%s/n%u.%s", process->stage->folder, process->number,
                       kind);
    must(len < PROCESS_PATH_MAX);
}

int process_start(struct process *process, char *reason, size_t reason_size)
{
    must(process->pid == 0);
    char path[PROCESS_PATH_MAX];
    process_path(process, "key", path);
    if (access(path, F_OK) != 0 && !write_key(process, path)) {
        snprintf(reason, reason_size, "cannot write %s: %s", path, strerror(errno));
        return ERR_IO;
    }
    process_path(process, "sock", path);
    (void)unlink(path); /* Of the last life: nobody listens there. */
    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid == 0) {
        /* Whatever becomes of us, no node stays behind. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) {
            run_node(process);
        }
        _exit(127);
    }
    if (process->pid < 0) {
        process->pid = 0;
        snprintf(reason, reason_size, "cannot start a process: %s", strerror(errno));
        return ERR_IO;
    }
    return ERR_OK;
}

void process_kill(struct process *process)
{
    if (process->pid != 0) {
        (void)kill(process->pid, SIGKILL);
        while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        process->pid = 0;
    }
}

bool process_is_gone(struct process *process, char *reason, size_t reason_size)
{
    int status;
    if (process->pid == 0 || waitpid(process->pid, &status, WNOHANG) != process->pid) {
        return false;
    }
    process->pid = 0;
    char path[PROCESS_PATH_MAX];
    process_path(process, "log", path);
    size_t len = 0;
    char *log = text_read_file(path, LOG_BYTES_MAX, &len);
    while (len > 0 && log[len - 1] == '\n') {
        log[--len] = '\0';
    }
    const char *last = len > 0 ? strrchr(log, '\n') : NULL;
    snprintf(reason, reason_size, "node %u (%s) ended with %s %d: %s", process->number,
             process->node->host, WIFEXITED(status) ? "exit code" : "signal",
             WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
             last != NULL ? last + 1
             : len > 0    ? log
                          : "it said nothing");
    free(log);
    return true;
}

/* The plain form of node/host/keyfile.h: magic, version 1, kind 0, seed, hash of all that. */
static bool write_key(const struct process *process, const char *path)
{
    static const uint8_t head[8] = {'M', 'T', 'N', 'K', 'E', 'Y', 1, 0};
    uint8_t bytes[sizeof head + CRYPTO_SEED_LEN + KEY_HASH_LEN];
    size_t hashed = sizeof head + CRYPTO_SEED_LEN;
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + sizeof head, process->node->seed, CRYPTO_SEED_LEN);
    hash_domain(bytes + hashed, KEY_HASH_LEN, "meshnode keyfile", slice_of(bytes, hashed),
                slice_of(NULL, 0));
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    bool is_written = fd >= 0 && write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes;
    return fd >= 0 && close(fd) == 0 && is_written;
}

/* In the child. Returns when the program could not be started. */
static void run_node(const struct process *process)
{
    char key[PROCESS_PATH_MAX], database[PROCESS_PATH_MAX], control[PROCESS_PATH_MAX];
    char token[PROCESS_PATH_MAX], log[PROCESS_PATH_MAX], port[8], home[PROCESS_PATH_MAX + 8];
    process_path(process, "key", key);
    process_path(process, "db", database);
    process_path(process, "sock", control);
    process_path(process, "token", token);
    process_path(process, "log", log);
    snprintf(port, sizeof port, "%d", LIVE_PORT);
    /* Nobody's own settings: neither environment nor files. */
    snprintf(home, sizeof home, "HOME=%s", process->stage->folder);
    char *environment[] = {home, NULL};
    char *bootstrap = bootstrap_text(process->node);
    const char *words[ARGUMENTS_MAX] = {process->stage->program,
                                        "--no-shell",
                                        "--log-level",
                                        "warn",
                                        "--http",
                                        "off",
                                        "--reach", /* As in a scenario without boxes. */
                                        "public",
                                        "--http-token",
                                        token,
                                        "--host",
                                        process->node->host,
                                        "--port",
                                        port,
                                        "--identity",
                                        key,
                                        "--db",
                                        database,
                                        "--control",
                                        control};
    size_t count = 0;
    while (words[count] != NULL) {
        count++;
    }
    if (bootstrap[0] != '\0') {
        words[count++] = "--bootstrap";
        words[count++] = bootstrap;
    }
    must(count < ARGUMENTS_MAX);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, S_IRUSR | S_IWUSR);
    int in = open("/dev/null", O_RDONLY);
    must(process->stage->program != NULL);
    if (out >= 0 && in >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2) {
        (void)setpgid(0, 0); /* Ctrl-C is ours to handle. */
        (void)execve(process->stage->program, (char *const *)(uintptr_t)words, environment);
    }
}

static char *bootstrap_text(const struct live_node *node)
{
    struct text text = {0};
    text_add(&text, "%s", "");
    for (uint32_t i = 0; i < node->bootstrap_count; i++) {
        text_add(&text, "%s%s:%d", i > 0 ? "," : "", node->bootstrap[i], LIVE_PORT);
    }
    return text.data;
}
