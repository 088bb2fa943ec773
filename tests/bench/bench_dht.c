/* bench_dht.c - what the two hot paths of the dht cost: choosing the k nearest for an answer, and
 * merging an answer into a shortlist. CPU time, and as a scale a plain sort of the whole table.
 *
 * A timing is never a pass or a fail: the numbers stand beside perf-ceilings.md section 5.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/base/must.h"
#include "node/dht/dht.h"

enum {
    K = 20,
    TABLES = 256,
    POPULATION = 10000, /* 14 buckets, 199 contacts. */
    TARGETS = 512,
    ROUNDS = 1600,
    ANSWERS = 8, /* Of one lookup. */
};

static uint8_t *records;
static uint64_t *prefixes;

static void *more(struct port *port, size_t bytes, size_t *given)
{
    (void)port;
    *given = bytes;
    return calloc(1, bytes);
}

static void less(struct port *port, void *memory)
{
    (void)port;
    free(memory);
}

static void keep(struct port *port, uint32_t handle)
{
    (void)port;
    (void)handle;
}

static void ignore_trace(struct port *port, const struct port_trace *event)
{
    (void)port;
    (void)event;
}

static const struct port_ops ops = {.arena_more = more,
                                    .arena_less = less,
                                    .intern_retain = keep,
                                    .intern_release = keep,
                                    .trace = ignore_trace};

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void make_contacts(struct rng *dice)
{
    records = calloc(POPULATION + 1, PORT_INTERN_RECORD);
    prefixes = calloc(POPULATION + 1, sizeof *prefixes);
    must(records != NULL && prefixes != NULL);
    for (uint32_t i = 1; i <= POPULATION; i++) {
        struct contact *contact =
            (struct contact *)(void *)(records + (size_t)i * PORT_INTERN_RECORD);
        for (uint32_t j = 0; j < NODE_ID_LEN; j++) {
            contact->id.bytes[j] = (uint8_t)rng_next(dice);
        }
        contact->addr.ip[0] = 0x20;
        contact->addr.ip[2] = (uint8_t)(i >> 16);
        contact->addr.ip[3] = (uint8_t)(i >> 8);
        contact->addr.ip[4] = (uint8_t)i; /* An address group each. */
        prefixes[i] = node_id_prefix(&contact->id);
    }
}

static struct node_id random_id(struct rng *dice)
{
    struct node_id id;
    for (uint32_t i = 0; i < NODE_ID_LEN; i++) {
        id.bytes[i] = (uint8_t)rng_next(dice);
    }
    return id;
}

static double time_nearest(const struct dht_table *tables, const struct node_id *targets,
                           uint64_t *sum)
{
    double start_ns = cpu_ns();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < TARGETS; i++) {
            uint32_t peers[K];
            uint32_t got = dht_table_nearest(&tables[(i + round) % TABLES], &targets[i], peers, K);
            *sum += peers[got - 1];
        }
    }
    return (cpu_ns() - start_ns) / ROUNDS / TARGETS;
}

static const struct node_id *sort_target;

static int compare_distance(const void *a, const void *b)
{
    uint64_t left = prefixes[*(const uint32_t *)a] ^ node_id_prefix(sort_target);
    uint64_t right = prefixes[*(const uint32_t *)b] ^ node_id_prefix(sort_target);
    return left < right ? -1 : left > right;
}

static double time_sort(const struct dht_table *tables, const struct node_id *targets,
                        uint64_t *sum)
{
    double start_ns = cpu_ns();
    for (uint32_t i = 0; i < TARGETS; i++) {
        uint32_t peers[DHT_CONTACTS_MAX];
        uint32_t got = dht_table_all(&tables[i % TABLES], peers, DHT_CONTACTS_MAX);
        sort_target = &targets[i];
        qsort(peers, got, sizeof *peers, compare_distance);
        *sum += peers[K - 1];
    }
    return (cpu_ns() - start_ns) / TARGETS;
}

/* A lookup's course: the answers of the tables of ever nearer nodes, merged in turn. */
static double time_merge(struct port *port, const struct dht_table *tables,
                         const struct node_id *targets, const struct node_id *self, uint64_t *sum)
{
    static uint32_t answers[TARGETS][ANSWERS][K];
    static uint32_t counts[TARGETS][ANSWERS];
    static struct dht_shortlist list;
    for (uint32_t i = 0; i < TARGETS; i++) {
        uint32_t nearest = i % TABLES;
        for (uint32_t j = 0; j < ANSWERS; j++) {
            counts[i][j] = dht_table_nearest(&tables[nearest], &targets[i], answers[i][j], K);
            for (uint32_t t = 0; t < TABLES; t++) { /* The next to answer is nearer, or another. */
                if ((tables[t].self_prefix ^ node_id_prefix(&targets[i])) <
                    (tables[nearest].self_prefix ^ node_id_prefix(&targets[i])) >> (j & 1)) {
                    nearest = t;
                    break;
                }
            }
            nearest = (nearest + (j > 2)) % TABLES;
        }
    }
    double start_ns = cpu_ns();
    for (uint32_t round = 0; round < ROUNDS / 8; round++) {
        for (uint32_t i = 0; i < TARGETS; i++) {
            dht_shortlist_init(&list, port, self, &targets[i], 3);
            for (uint32_t j = 0; j < ANSWERS; j++) {
                dht_shortlist_merge(&list, answers[i][j], counts[i][j], (uint8_t)(j + 1));
            }
            *sum += list.entries[0].peer;
            dht_shortlist_release(&list);
        }
    }
    return (cpu_ns() - start_ns) / (ROUNDS / 8) / TARGETS / ANSWERS;
}

int main(void)
{
    static struct dht_table tables[TABLES];
    static struct node_id targets[TARGETS];
    struct port_intern intern;
    struct port port = {.ops = &ops, .intern = &intern};
    struct core core = {.port = &port};
    struct rng dice;
    rng_seed(&dice, 1);
    arena_init(&core.arena, &port);
    make_contacts(&dice);
    intern = (struct port_intern){.records = records, .prefixes = prefixes};
    const struct contact *contacts = (const struct contact *)(const void *)records;
    for (uint32_t i = 0; i < TABLES; i++) {
        dht_table_init(&tables[i], &core, &contacts[i + 1].id, K, 2, 3);
        for (uint32_t handle = 1; handle <= POPULATION; handle++) {
            (void)dht_table_verified(&tables[i], handle);
        }
    }
    for (uint32_t i = 0; i < TARGETS; i++) {
        targets[i] = random_id(&dice);
    }
    uint64_t sum = 0;
    double nearest_ns = time_nearest(tables, targets, &sum);
    double sort_ns = time_sort(tables, targets, &sum);
    double merge_ns = time_merge(&port, tables, targets, &contacts[1].id, &sum);
    printf("dht: %u contacts in %d buckets, k %d, checksum %llu\n", tables[0].count,
           __builtin_popcount(tables[0].occupied), K, (unsigned long long)sum);
    printf("  k nearest for an answer  %7.1f ns\n", nearest_ns);
    printf("  the same by sorting      %7.1f ns  x%.0f\n", sort_ns, sort_ns / nearest_ns);
    printf("  merge of an answer       %7.1f ns\n", merge_ns);
    printf("  bytes: bucket %zu, table %zu, lookup %zu, dht %zu\n", sizeof(struct dht_bucket),
           sizeof(struct dht_table), sizeof(struct dht_lookup), sizeof(struct dht));
    return 0;
}
