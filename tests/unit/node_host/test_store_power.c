/* test_store_power.c - acknowledged means synced: power cuts at any moment, on a disk that forgets.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/disk_vfs.h"
#include "tests/unit/node_host/store_oracle.h"

enum {
    SEEDS = 300,
    SEEDS_NIGHTLY = 3000,
    /* Once brought back the journal of a file's first commit, and lost all that came after. */
    SEED_JOURNAL = 1870,
    LIVES = 4,
};

static struct rig rig;
static struct oracle oracle;

TestSuite(store_power, .timeout = 3000);

static uint64_t seeds(void)
{
    const char *nightly = getenv("MESHTWIN_NIGHTLY");
    return nightly != NULL && nightly[0] == '1' ? SEEDS_NIGHTLY : SEEDS;
}

/* How the disk of this seed misbehaves beside losing power. */
static void provoke(struct rng *rng, uint64_t seed)
{
    if (seed % 3 == 0 && rng_below(rng, 20) == 0) {
        disk_fail(DISK_SYNC | DISK_WRITE, DISK_LOG | DISK_DATABASE, 1 + rng_below(rng, 20),
                  1 + rng_below(rng, 3));
    }
}

/* Works until the power goes or enough is done. */
static void work(struct rng *rng, uint64_t seed)
{
    uint64_t steps = rng_below(rng, 400);
    for (uint64_t step = 0; step < steps && !disk_is_cut(); step++) {
        provoke(rng, seed);
        oracle_step(&oracle);
    }
}

static void end_life(struct rng *rng)
{
    disk_fail(0, 0, 0, 0);
    if (!disk_is_cut() && rng_below(rng, 3) == 0) {
        disk_cut_after(0);
        oracle_commit(&oracle); /* Closing after a failed commit alone leaves it in doubt. */
        rig_close(&rig);
        oracle_hear(&oracle);
        cr_assert_eq(oracle.waiting_count, 0u);
        return;
    }
    disk_cut();
    store_flush(rig.store); /* What was done in time is told. */
    oracle_hear(&oracle);
    rig_abandon(&rig);
    disk_restore();
}

static void live(struct rng *rng, uint64_t seed)
{
    static const uint64_t spans[] = {40, 400, 4000};
    char reason[HOST_REASON_SIZE] = "";
    disk_cut_after(1 + rng_below(rng, spans[rng_below(rng, array_len(spans))]));
    if (rig_try(&rig, rig.path, reason) != ERR_OK) {
        cr_assert(disk_is_cut(), "seed %llu, with power on: %s", (unsigned long long)seed, reason);
        disk_restore();
        return;
    }
    oracle_check_survivors(&oracle);
    work(rng, seed);
    end_life(rng);
}

Test(store_power, no_cut_loses_what_was_acknowledged)
{
    rig_begin(&rig);
    rig.vfs = DISK_VFS;
    uint64_t acknowledged = 0;
    for (uint64_t i = 0; i <= seeds(); i++) {
        uint64_t seed = i > 0 ? i : SEED_JOURNAL;
        struct rng rng;
        rng_stream(&rng, seed, "power", 0, 0);
        disk_begin(seed);
        oracle_begin(&oracle, &rig, seed, seed % 4 == 0 ? 60000 : 600);
        for (int life = 0; life < LIVES; life++) {
            live(&rng, seed);
        }
        disk_cut_after(0);
        rig_open(&rig);
        oracle_check_survivors(&oracle);
        rig_close(&rig);
        disk_end();
        cr_assert(!rig_noted(&rig, "moved to"), "seed %llu: a database was unreadable",
                  (unsigned long long)seed);
        rig.note_count = 0;
        acknowledged += oracle.acknowledged;
    }
    cr_assert_gt(acknowledged, seeds() * 30, "%llu commits prove little",
                 (unsigned long long)acknowledged);
    rig_end(&rig);
}
