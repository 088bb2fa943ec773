/* progress.c - tells how far a campaign has come. */
#include "sim/cli/progress.h"

#include <stdio.h>
#include <string.h>

enum { BAR_CELLS = 20 };

static void print_facts(const struct progress *progress, const struct campaign_progress *now);
static void print_bar(const struct progress *progress, double ratio);

void progress_open(struct progress *progress, bool is_quiet, enum terminal_color color)
{
    *progress = (struct progress){.is_quiet = is_quiet};
    terminal_open(&progress->terminal, stderr, color);
}

void progress_show(struct progress *progress, const struct campaign_progress *now)
{
    if (progress->is_quiet) {
        return;
    }
    if (now->elapsed_us > progress->elapsed_us && now->events >= progress->events) {
        progress->rate_per_s = (double)(now->events - progress->events) * 1e6 /
                               (double)(now->elapsed_us - progress->elapsed_us);
    }
    progress->elapsed_us = now->elapsed_us;
    progress->events = now->events;
    double ratio = (double)now->sim_time_us / (double)now->sim_time_max_us;
    if (progress->terminal.is_live) {
        fputs("\r\033[K", stderr);
        print_bar(progress, ratio);
        print_facts(progress, now);
        progress->is_shown = true;
        return;
    }
    unsigned tenth = (unsigned)(ratio * 10);
    if (tenth > progress->tenth) {
        progress->tenth = tenth;
        fprintf(stderr, "%3u %% ", tenth * 10);
        print_facts(progress, now);
        fputc('\n', stderr);
    }
}

void progress_clear(struct progress *progress)
{
    if (progress->is_shown) {
        fputs("\r\033[K", stderr);
        progress->is_shown = false;
    }
}

static void print_facts(const struct progress *progress, const struct campaign_progress *now)
{
    char sim[TERMINAL_NUMBER_SIZE], whole[TERMINAL_NUMBER_SIZE], rate[TERMINAL_NUMBER_SIZE],
        left[TERMINAL_NUMBER_SIZE];
    terminal_time(now->sim_time_us, sim);
    terminal_time(now->sim_time_max_us, whole);
    terminal_count(progress->rate_per_s, rate);
    if (now->runs > 1) {
        fprintf(stderr, "  run %u/%u", now->runs_ended, now->runs);
    }
    fprintf(stderr, "  sim %s/%s  %s events/s", sim, whole, rate);
    if (now->sim_time_us > 0 && now->sim_time_us < now->sim_time_max_us) {
        double left_us = (double)now->elapsed_us *
                         (double)(now->sim_time_max_us - now->sim_time_us) /
                         (double)now->sim_time_us;
        terminal_time((uint64_t)left_us, left);
        fprintf(stderr, "  ETA %s", left);
    }
    fflush(stderr);
}

static void print_bar(const struct progress *progress, double ratio)
{
    bool has_utf8 = progress->terminal.has_utf8;
    int full = (int)(ratio * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++) {
        fputs(i < full ? (has_utf8 ? "\u2588" : "#") : (has_utf8 ? "\u2591" : "."), stderr);
    }
}
