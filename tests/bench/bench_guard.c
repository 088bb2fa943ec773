/* bench_guard.c - what guard costs a datagram, in CPU time: one hot group, many groups, all at
 * once.
 *
 * Every datagram of every stranger pays this before anything else is looked at. Usage:
 * bench_guard [admissions].
 */
#include <stdio.h>
#include <time.h>

#include "node/base/err.h"
#include "node/guard/guard.h"
#include "tests/support/bare_port.h"

static double admit_ns(struct guard *guard, uint32_t groups, uint32_t admissions);
static struct port_addr group_addr(uint32_t number);
static double cpu_s(void);

int main(int argc, char **argv)
{
    static const struct guard_config config = {
        .group_rate = 200,
        .group_burst = 400,
        .groups_max = 64,
        .bans_max = 1,
    };
    uint32_t admissions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 50000000;
    struct bare_port *bare = bare_open(1);
    struct guard guard;
    must(guard_init(&guard, &bare->core, &config, &(struct guard_hooks){0}) == ERR_OK &&
         admissions > 0);

    printf("ns per guard_admit, %u slots\n", config.groups_max);
    static const uint32_t crowds[] = {1, 10, 50, 1000, 10000};
    for (size_t i = 0; i < array_len(crowds); i++) {
        printf("%8u groups %8.1f\n", crowds[i], admit_ns(&guard, crowds[i], admissions));
    }
    bare_close(bare);
    return 0;
}

static double admit_ns(struct guard *guard, uint32_t groups, uint32_t admissions)
{
    uint32_t admitted = 0;
    double begun_s = cpu_s();
    for (uint32_t i = 0, number = 0; i < admissions; i++) {
        struct port_addr addr = group_addr(number);
        admitted += guard_admit(guard, &addr, GUARD_STRANGER, GUARD_DATA);
        guard->core->port->now_us += 10;
        number = number + 1 < groups ? number + 1 : 0;
    }
    double ns = (cpu_s() - begun_s) * 1e9 / admissions;
    must(admitted > 0);
    return ns;
}

static struct port_addr group_addr(uint32_t number)
{
    return (struct port_addr){
        .ip = {[10] = 0xff, 0xff, 10, (uint8_t)(number >> 8), (uint8_t)number, 1}};
}

static double cpu_s(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
