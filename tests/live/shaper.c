/* shaper.c - a link with delay, jitter, loss and a rate between two network namespaces.
 *
 *      device of one namespace -> lost? -> waits: rate, delay, jitter -> device of the other
 *
 * Both ends are TUN devices that go when this program ends. Each way has its own dice, so that the
 * same packets in the same order meet the same fate. "ready" is printed when both devices are
 * there; at the end (SIGTERM, SIGINT) one line of JSON says what became of the packets.
 */
#define _GNU_SOURCE /* setns */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "node/base/must.h"
#include "node/base/rng.h"

enum {
    PACKETS_MAX = 4096, /* Under way in one direction. */
    PACKET_BYTES_MAX = 1600,
    MILLISECOND_NS = 1000000,
    SECOND_NS = 1000000000,
    QUEUE_MS_DEFAULT = 100,
    WAYS = 2,
};

struct config {
    uint64_t delay_ns;
    uint64_t jitter_ns;  /* Uniform, to both sides of the delay. */
    double loss_begins;  /* Gilbert and Elliott: from good to bad at a packet, */
    double loss_ends;    /* and back; the mean burst is 1 / loss_ends. */
    double loss_ratio;   /* Of packets while it is bad. A plain loss is bad all the time. */
    uint64_t bits_per_s; /* 0: no limit. */
    uint64_t queue_ns;   /* What would wait longer for its turn is dropped. */
    bool is_reordering;  /* Jitter may let packets overtake. */
    uint64_t seed;
};

struct packet {
    uint64_t due_ns;
    uint64_t number; /* Packets that are due together leave in this order. */
    uint32_t len;
    uint8_t bytes[PACKET_BYTES_MAX];
};

struct way {
    const struct config *config;
    int in;
    int out;
    struct rng rng;
    bool is_bad;
    uint64_t free_ns; /* When the last packet has left the sender. */
    uint64_t last_due_ns;
    uint64_t taken, lost, full, passed;
    uint32_t count; /* Of `heap`: indices of packets, the next one due first. */
    uint32_t heap[PACKETS_MAX];
    uint32_t idle_count;
    uint32_t idle[PACKETS_MAX];
    struct packet packets[PACKETS_MAX];
};

static void way_open(struct way *way, const struct config *config, uint64_t number, int in,
                     int out);
static void way_take(struct way *way);
static void way_pass(struct way *way, uint64_t now_ns);
static void way_print(const char *name, const struct way *way, const char *end);
static bool config_read(struct config *config, int count, char **words);
static int device_open(char *end);
static void run(struct way *ways);

int main(int count, char **words)
{
    static struct way ways[WAYS];
    struct config config = {.queue_ns = (uint64_t)QUEUE_MS_DEFAULT * MILLISECOND_NS};
    if (!config_read(&config, count, words)) {
        return 2;
    }
    int one = device_open(words[optind]);
    int other = device_open(words[optind + 1]);
    if (one < 0 || other < 0) {
        return 1;
    }
    way_open(&ways[0], &config, 0, one, other);
    way_open(&ways[1], &config, 1, other, one);
    puts("ready");
    (void)fflush(stdout);
    run(ways);
    way_print("there", &ways[0], ", ");
    way_print("back", &ways[1], "}\n");
    (void)close(one);
    (void)close(other);
    return 0;
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* --- one way ---------------------------------------------------------------------------------- */

static void way_open(struct way *way, const struct config *config, uint64_t number, int in, int out)
{
    way->config = config;
    way->in = in;
    way->out = out;
    rng_stream(&way->rng, config->seed, "shaper", number, 0);
    for (uint32_t i = 0; i < PACKETS_MAX; i++) {
        way->idle[way->idle_count++] = PACKETS_MAX - 1 - i;
    }
}

/* Uniform in [0, 1). */
static double way_draw(struct way *way)
{
    return (double)(rng_next(&way->rng) >> 11) * 0x1p-53;
}

static bool way_loses(struct way *way)
{
    const struct config *config = way->config;
    double turn = way_draw(way), loss = way_draw(way);
    way->is_bad = way->is_bad ? turn >= config->loss_ends : turn < config->loss_begins;
    return way->is_bad && loss < config->loss_ratio;
}

/* False: the queue in front of the link is too long. */
static bool way_schedule(struct way *way, uint64_t now_ns, uint32_t len, uint64_t *due_ns)
{
    const struct config *config = way->config;
    uint64_t leave_ns = way->free_ns > now_ns ? way->free_ns : now_ns;
    if (leave_ns - now_ns > config->queue_ns) {
        return false;
    }
    if (config->bits_per_s > 0) {
        leave_ns += (uint64_t)len * 8 * SECOND_NS / config->bits_per_s;
        way->free_ns = leave_ns;
    }
    uint64_t jitter_ns = rng_below(&way->rng, 2 * config->jitter_ns + 1);
    *due_ns = leave_ns + config->delay_ns + jitter_ns - config->jitter_ns;
    if (!config->is_reordering && *due_ns < way->last_due_ns) {
        *due_ns = way->last_due_ns;
    }
    way->last_due_ns = *due_ns;
    return true;
}

static bool packet_is_before(const struct packet *one, const struct packet *other)
{
    return one->due_ns != other->due_ns ? one->due_ns < other->due_ns : one->number < other->number;
}

static void heap_swap(struct way *way, uint32_t one, uint32_t other)
{
    uint32_t index = way->heap[one];
    way->heap[one] = way->heap[other];
    way->heap[other] = index;
}

static const struct packet *heap_at(const struct way *way, uint32_t place)
{
    return &way->packets[way->heap[place]];
}

static void heap_push(struct way *way, uint32_t index)
{
    uint32_t place = way->count++;
    way->heap[place] = index;
    while (place > 0 && packet_is_before(heap_at(way, place), heap_at(way, (place - 1) / 2))) {
        heap_swap(way, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static uint32_t heap_pop(struct way *way)
{
    uint32_t first = way->heap[0];
    way->heap[0] = way->heap[--way->count];
    for (uint32_t place = 0;;) {
        uint32_t least = place;
        for (uint32_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
            if (child < way->count && packet_is_before(heap_at(way, child), heap_at(way, least))) {
                least = child;
            }
        }
        if (least == place) {
            return first;
        }
        heap_swap(way, place, least);
        place = least;
    }
}

/* All that the device has. Dice are thrown in a fixed order for each packet. */
static void way_take(struct way *way)
{
    static uint8_t spare[PACKET_BYTES_MAX];
    for (;;) {
        uint32_t index = way->idle_count > 0 ? way->idle[way->idle_count - 1] : PACKETS_MAX;
        struct packet *packet = index < PACKETS_MAX ? &way->packets[index] : NULL;
        ssize_t len = read(way->in, packet != NULL ? packet->bytes : spare, PACKET_BYTES_MAX);
        if (len <= 0) {
            return;
        }
        uint64_t due_ns = 0;
        way->taken++;
        if (way_loses(way)) {
            way->lost++;
        } else if (!way_schedule(way, clock_ns(), (uint32_t)len, &due_ns) || packet == NULL) {
            way->full++;
        } else {
            packet->due_ns = due_ns;
            packet->number = way->taken;
            packet->len = (uint32_t)len;
            way->idle_count--;
            heap_push(way, index);
        }
    }
}

static void way_pass(struct way *way, uint64_t now_ns)
{
    while (way->count > 0 && heap_at(way, 0)->due_ns <= now_ns) {
        uint32_t index = heap_pop(way);
        const struct packet *packet = &way->packets[index];
        bool is_written = write(way->out, packet->bytes, packet->len) == (ssize_t)packet->len;
        way->passed += is_written;
        way->full += !is_written;
        way->idle[way->idle_count++] = index;
    }
}

static void way_print(const char *name, const struct way *way, const char *end)
{
    printf("%s\"%s\": {\"taken\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"full\": %" PRIu64
           ", \"passed\": %" PRIu64 "}%s",
           name[0] == 't' ? "{" : "", name, way->taken, way->lost, way->full, way->passed, end);
}

/* --- the program ------------------------------------------------------------------------------ */

static void help(void)
{
    puts("usage: shaper [options] NAMESPACE:DEVICE NAMESPACE:DEVICE\n"
         "\n"
         "Makes both TUN devices and carries packets between them until SIGTERM.\n"
         "\n"
         "  --delay MS       one way (default 0)\n"
         "  --jitter MS      evenly spread to both sides of the delay, at most the delay\n"
         "  --reorder        jitter may let packets overtake; without it they keep their order\n"
         "  --loss RATIO     of packets, each for itself (Bernoulli)\n"
         "  --loss P:R:H     in bursts (Gilbert, Elliott): a packet turns a good link bad with\n"
         "                   probability P and a bad one good with R; a bad one loses H of them\n"
         "  --rate MBIT      per second, each way; 0 is no limit (default)\n"
         "  --queue MS       what would wait longer for its turn is dropped (default 100)\n"
         "  --seed NUMBER    of the dice (default 0)\n"
         "  --help           this text\n"
         "\n"
         "Both ways are alike, and independent. Prints \"ready\", and counts at the end.");
}

/* P:R:H, or one ratio: then the link turns bad at once and for ever. */
static bool loss_read(struct config *config, const char *text)
{
    char *end;
    double first = strtod(text, &end);
    if (*end == '\0') {
        config->loss_begins = 1;
        config->loss_ends = 0;
        config->loss_ratio = first;
    } else {
        config->loss_begins = first;
        config->loss_ends = *end == ':' ? strtod(end + 1, &end) : -1;
        config->loss_ratio = *end == ':' ? strtod(end + 1, &end) : -1;
    }
    return *end == '\0' && config->loss_begins >= 0 && config->loss_begins <= 1 &&
           config->loss_ends >= 0 && config->loss_ends <= 1 && config->loss_ratio >= 0 &&
           config->loss_ratio <= 1;
}

/* A quantity in units of `unit`. */
static bool number_read(const char *text, double unit, uint64_t *value)
{
    char *end;
    double number = strtod(text, &end);
    *value = number >= 0 && number < 1e9 ? (uint64_t)(number * unit + 0.5) : 0;
    return end != text && *end == '\0' && number >= 0 && number < 1e9;
}

static bool option_read(struct config *config, int option, const char *text)
{
    switch (option) {
    case 'd':
        return number_read(text, MILLISECOND_NS, &config->delay_ns);
    case 'j':
        return number_read(text, MILLISECOND_NS, &config->jitter_ns);
    case 'l':
        return loss_read(config, text);
    case 'r':
        return number_read(text, 1e6, &config->bits_per_s);
    case 'q':
        return number_read(text, MILLISECOND_NS, &config->queue_ns);
    case 's':
        return number_read(text, 1, &config->seed);
    case 'o':
        config->is_reordering = true;
        return true;
    default:
        return false;
    }
}

static bool config_read(struct config *config, int count, char **words)
{
    static const struct option options[] = {
        {"delay", required_argument, NULL, 'd'},
        {"jitter", required_argument, NULL, 'j'},
        {"loss", required_argument, NULL, 'l'},
        {"rate", required_argument, NULL, 'r'},
        {"queue", required_argument, NULL, 'q'},
        {"seed", required_argument, NULL, 's'},
        {"reorder", no_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        if (option == 'h') {
            help();
            exit(0);
        }
        if (!option_read(config, option, optarg)) {
            fputs("shaper: an option is wrong; --help\n", stderr);
            return false;
        }
    }
    if (count - optind != 2 || config->jitter_ns > config->delay_ns) {
        fputs("shaper: two ends are wanted, and jitter within the delay; --help\n", stderr);
        return false;
    }
    return true;
}

/* The device of "NAMESPACE:DEVICE", or -1. It belongs to the namespace it is made in. */
static int device_open(char *end)
{
    char path[256];
    char *colon = strrchr(end, ':');
    if (colon == NULL) {
        fprintf(stderr, "shaper: %s is not NAMESPACE:DEVICE\n", end);
        return -1;
    }
    (void)snprintf(path, sizeof path, "/var/run/netns/%.*s", (int)(colon - end), end);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", colon + 1);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    int tun = there >= 0 && setns(there, CLONE_NEWNET) == 0
                  ? open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
                  : -1;
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request) != 0) {
        fprintf(stderr, "shaper: %s: %s\n", end, strerror(errno));
        return -1;
    }
    (void)close(there);
    return tun;
}

static void timer_arm(int timer, const struct way *ways)
{
    uint64_t due_ns = UINT64_MAX;
    for (int i = 0; i < WAYS; i++) {
        if (ways[i].count > 0 && heap_at(&ways[i], 0)->due_ns < due_ns) {
            due_ns = heap_at(&ways[i], 0)->due_ns;
        }
    }
    struct itimerspec when = {.it_value = {0}}; /* All zero: not at all. */
    if (due_ns != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(due_ns / SECOND_NS);
        when.it_value.tv_nsec = (long)(due_ns % SECOND_NS);
    }
    must(timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

static void watch(int poller, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    must(fd >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* Until a signal to end. */
static void run(struct way *ways)
{
    sigset_t signals;
    must(sigemptyset(&signals) == 0 && sigaddset(&signals, SIGTERM) == 0 &&
         sigaddset(&signals, SIGINT) == 0 && sigprocmask(SIG_BLOCK, &signals, NULL) == 0);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int ending = signalfd(-1, &signals, SFD_CLOEXEC);
    watch(poller, ways[0].in);
    watch(poller, ways[1].in);
    watch(poller, timer);
    watch(poller, ending);
    for (bool is_ending = false; !is_ending;) {
        struct epoll_event event;
        int count = epoll_wait(poller, &event, 1, -1);
        uint64_t expirations;
        is_ending = count == 1 && event.data.fd == ending;
        (void)!read(timer, &expirations, sizeof expirations);
        for (int i = 0; i < WAYS; i++) {
            way_take(&ways[i]);
            way_pass(&ways[i], clock_ns());
        }
        timer_arm(timer, ways);
    }
    (void)close(poller);
    (void)close(timer);
    (void)close(ending);
}
