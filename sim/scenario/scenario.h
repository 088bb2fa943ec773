/* scenario.h - a scenario file as plain structs in base units, or a list of everything wrong in it.
 *
 * scenario_load reads JSON with comments, applies overrides (--set), checks every key against the
 * one table in descriptor.c and fills struct scenario. It simulates nothing and knows no node: the
 * world reads the struct, the results archive what scenario_print_resolved writes. Of NAT boxes it
 * knows what sim/net/napt.h says of their kinds.
 *
 *      file.jsonc -> json.h (syntax, places) -> override.c -> parse.c + relation.c -> struct
 * scenario
 *                        \________________ complaints _______________/-> struct scenario_report
 *
 * Base units: microseconds (_us), bytes (_bytes), bits per second (_bps), events per second
 * (_per_s). A place-to-place latency in a file is a round trip, as ping shows it; here it is
 * one-way. A pointer is NULL, and a count 0, where the file leaves an optional part out.
 */
#ifndef SIM_SCENARIO_SCENARIO_H
#define SIM_SCENARIO_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "node/base/err.h"
#include "sim/net/napt.h"
#include "sim/scenario/metric.h"
#include "sim/scenario/report.h"

#define SCENARIO_GROUP_NONE        UINT32_MAX
#define SCENARIO_BOX_NONE          UINT32_MAX
#define SCENARIO_BOX_DEPTH_MAX     4    /* boxes one behind the other */
#define SCENARIO_REGIONS_MAX       256  /* as sim/net allows */
#define SCENARIO_LIST_MAX          1000 /* groups, workloads, actions */
#define SCENARIO_THRESHOLDS_MAX    100  /* of one metric */
#define SCENARIO_NODES_MAX         10000000u
#define SCENARIO_PAYLOAD_BYTES_MAX 900 /* a value, message or broadcast that fits one datagram */

/* A probability, twice: for people and formulas, and as rng_chance's 32-bit threshold. */
struct scenario_chance {
    double ratio;
    uint32_t threshold; /* floor(ratio * 2^32); UINT32_MAX stands for 1 */
};

enum dist_config_kind {
    DIST_CONFIG_CONSTANT,    /* value */
    DIST_CONFIG_UNIFORM,     /* min, max */
    DIST_CONFIG_EXPONENTIAL, /* mean */
    DIST_CONFIG_LOGNORMAL,   /* median, sigma */
    DIST_CONFIG_WEIBULL,     /* scale, shape */
    DIST_CONFIG_PARETO       /* scale (the smallest value), shape */
};

/* A distribution of durations (microseconds) or sizes (bytes). Fields its kind does not name are 0.
 * A plain "5s" in a file is DIST_CONFIG_CONSTANT; so is an absent jitter, with value 0. */
struct dist_config {
    enum dist_config_kind kind;
    uint64_t value;
    uint64_t min;
    uint64_t max;
    uint64_t mean;
    uint64_t median;
    uint64_t scale;
    double sigma;
    double shape;
};

enum scenario_crypto { SCENARIO_CRYPTO_MODELLED, SCENARIO_CRYPTO_REAL };

/* How nodes know whether strangers can reach them. */
enum scenario_reach { SCENARIO_REACH_AUTO, SCENARIO_REACH_PUBLIC, SCENARIO_REACH_CLIENT };

/* Each group has its own, already merged with defaults.protocol. */
struct scenario_protocol {
    enum scenario_reach reach;
    bool punching;
    bool prediction;
    bool stream_punching;
    uint32_t birthday_sockets;
    uint32_t birthday_probes;
    uint32_t flows_max; /* destinations that a client has open at once; 0: any number */
    uint32_t k;
    uint32_t alpha;
    uint32_t sessions_max;
    bool path_cache;
    bool ledger;
    uint64_t republish_us;
    uint64_t record_expiry_us;
    uint64_t refresh_us;       /* of a bucket nobody looked into */
    uint64_t gossip_period_us; /* peer exchange */
    uint32_t guard_per_minute; /* requests accepted from one peer; 0: no such limit */
    uint32_t guard_per_hour;
};

struct scenario_link {
    uint64_t up_bps;
    uint64_t down_bps;
    uint64_t queue_bytes;       /* of each direction */
    struct dist_config latency; /* one-way, of the access line; drawn once per node */
    struct scenario_chance loss;
};

enum scenario_churn_start { SCENARIO_CHURN_EQUILIBRIUM, SCENARIO_CHURN_ONLINE };

/* One stay of one node of a trace: online in [start, end). */
struct scenario_stay {
    uint32_t node;
    uint64_t start_us;
    uint64_t end_us;
};

/* Playback of recorded presence; stays are sorted by (node, start) and do not overlap.
 * Node i of the group follows trace node i modulo node_count. */
struct scenario_trace {
    struct scenario_stay *stays;
    uint32_t stay_count;
    uint32_t node_count;
};

struct scenario_churn {
    struct dist_config session; /* both unused when there is a trace */
    struct dist_config offline;
    enum scenario_churn_start start;
    double correlation;               /* rank correlation of a node's successive sessions */
    struct scenario_chance always_on; /* share of the group that never leaves */
    char *trace_file;                 /* as the scenario writes it, or NULL */
    char *trace_sha256;               /* of that file's bytes, in hexadecimal */
    struct scenario_trace trace;
};

struct scenario_join {
    uint64_t at_us;
    uint64_t over_us; /* the group's nodes start evenly spread over this ramp */
};

/* What a node can be behind: a number for each kind. */
enum scenario_nat {
    SCENARIO_NAT_PUBLIC,
    SCENARIO_NAT_PRESET,                                       /* + enum napt_preset */
    SCENARIO_NAT_BOX = SCENARIO_NAT_PRESET + NAPT_PRESET_COUNT /* + index of the scenario's boxes */
};

/* A kind of NAT box that the file describes. As many boxes are made of it as groups need. */
struct scenario_box {
    char *name;
    enum napt_preset preset; /* what the file does not say is the preset's */
    struct napt_config config;
    uint32_t port_block; /* config.block_ports, as the file has it */
    uint32_t shared_by;  /* so many nodes, or boxes behind it, share one */
    char *behind;        /* or NULL */
    uint32_t outer;      /* index of that box, or SCENARIO_BOX_NONE */
};

/* One part of a group's mix of regions or of kinds of NAT; shares of a mix sum to 1. */
struct scenario_share {
    uint32_t index;      /* into network.latency.regions; or enum scenario_nat */
    double ratio;        /* 0..1 */
    uint32_t cumulative; /* take the first entry whose cumulative >= a 32-bit draw */
};

struct scenario_group {
    char *name;
    uint32_t count;
    struct scenario_share *region_mix; /* never empty: by default the latency model's weights */
    uint32_t region_mix_count;
    struct scenario_share *nat_mix; /* NULL: all are public */
    uint32_t nat_mix_count;
    struct scenario_chance nat_hairpin;      /* shares of the nodes behind a preset: whose box */
    struct scenario_chance nat_port_mapping; /* does that, */
    struct scenario_chance nat_double;       /* or stands behind another one */
    struct scenario_link link;
    bool has_churn; /* without churn the group's nodes never go offline */
    struct scenario_churn churn;
    uint32_t address_group_size; /* nodes that share one IPv4 /24 */
    bool has_join;               /* else the group starts as topology says */
    struct scenario_join join;
    struct scenario_protocol protocol;
};

enum scenario_latency_model {
    SCENARIO_LATENCY_CONSTANT,
    SCENARIO_LATENCY_REGION_MATRIX,
    SCENARIO_LATENCY_MATRIX_CSV,
    SCENARIO_LATENCY_COORDINATES
};

struct scenario_region {
    char *name;
    double weight; /* share of the nodes that name no region; sums to 1 over the regions */
};

/* Degrees north and east. */
struct scenario_coordinates {
    double latitude;
    double longitude;
};

/* Where nodes can be: each group mixes these. "constant" has one region, "all", and there each
 * datagram draws its latency; the matrices have one table; "coordinates" has a place per region,
 * and distance decides (sim/net/geo.h). */
struct scenario_latency {
    enum scenario_latency_model model;
    struct scenario_region *regions;
    uint32_t region_count;
    struct dist_config one_way;               /* constant */
    uint32_t *one_way_us;                     /* matrices: region_count rows, symmetric */
    struct scenario_coordinates *coordinates; /* coordinates: of each region */
    double inflation;                         /* coordinates: cable length over great circle */
    struct dist_config jitter;                /* added to each datagram's way */
    struct dist_config value;                 /* constant, round trip: as the file says it */
    char *file;                               /* matrix_csv, as the file says it */
    char *file_sha256;
};

enum scenario_loss_model {
    SCENARIO_LOSS_NONE,
    SCENARIO_LOSS_BERNOULLI,
    SCENARIO_LOSS_GILBERT_ELLIOTT
};

struct scenario_loss {
    enum scenario_loss_model model;
    struct scenario_chance p; /* bernoulli */
    struct scenario_chance p_good_to_bad;
    struct scenario_chance p_bad_to_good;
    struct scenario_chance loss_good;
    struct scenario_chance loss_bad;
};

struct scenario_network {
    struct scenario_latency latency;
    struct scenario_loss loss;
    uint32_t mtu;
};

enum scenario_source { SCENARIO_SOURCE_BOOTSTRAP, SCENARIO_SOURCE_PREBUILT };

struct scenario_topology {
    enum scenario_source source;
    uint32_t bootstrap_group; /* starts at 0; who returns or joins, joins through it */
    uint64_t join_ramp_us;    /* all other groups without a join of their own start over this */
    double join_rate_per_s;   /* only while loading: it becomes join_ramp_us */
};

enum scenario_workload_type {
    SCENARIO_WORKLOAD_LOOKUP, /* the k closest nodes to an id */
    SCENARIO_WORKLOAD_GET,
    SCENARIO_WORKLOAD_STORE,
    SCENARIO_WORKLOAD_MESSAGE,
    SCENARIO_WORKLOAD_BROADCAST
};

enum scenario_per { SCENARIO_PER_NODE, SCENARIO_PER_GROUP, SCENARIO_PER_NETWORK };

enum scenario_key_dist { SCENARIO_KEYS_FRESH, SCENARIO_KEYS_UNIFORM, SCENARIO_KEYS_ZIPF };

/* Which key an operation uses: key number i of n, the same keys for every workload entry. */
struct scenario_keys {
    enum scenario_key_dist kind; /* FRESH (no "keys" given): a new random id each time */
    uint32_t n;
    double s; /* Zipf exponent */
};

struct scenario_workload {
    enum scenario_workload_type type;
    double rate_per_s;
    enum scenario_per per;
    uint32_t group; /* who starts the operations; SCENARIO_GROUP_NONE: any node */
    struct scenario_keys keys;
    struct dist_config size_bytes; /* of a stored value, message or broadcast */
    uint64_t from_us;
    uint64_t until_us;
};

enum scenario_action_type {
    SCENARIO_ACTION_LEAVE,
    SCENARIO_ACTION_NAT_REBIND,
    SCENARIO_ACTION_NAT_RENUMBER
};

enum scenario_select_kind { SCENARIO_SELECT_ALL, SCENARIO_SELECT_GROUP, SCENARIO_SELECT_HOLDERS };

struct scenario_select {
    enum scenario_select_kind kind; /* HOLDERS: nodes that hold a record at that moment */
    uint32_t group;                 /* of SCENARIO_SELECT_GROUP */
};

struct scenario_action {
    uint64_t at_us;
    enum scenario_action_type type;
    struct scenario_select select;
    struct scenario_chance fraction;
};

#define SCENARIO_EVENT_LOOKUP    1u
#define SCENARIO_EVENT_MESSAGE   2u
#define SCENARIO_EVENT_BROADCAST 4u

struct scenario_metrics {
    uint64_t sample_every_us;
    uint32_t events; /* SCENARIO_EVENT_*: which operations get a row each in the results */
    struct scenario_chance event_sampling;
};

enum scenario_stat {
    SCENARIO_STAT_MEAN,
    SCENARIO_STAT_MEDIAN,
    SCENARIO_STAT_MIN,
    SCENARIO_STAT_MAX,
    SCENARIO_STAT_LAST,
    SCENARIO_STAT_SUM,
    SCENARIO_STAT_COUNT,
    SCENARIO_STAT_PERCENTILE
};

enum scenario_op {
    SCENARIO_OP_LT,
    SCENARIO_OP_LE,
    SCENARIO_OP_GT,
    SCENARIO_OP_GE,
    SCENARIO_OP_EQ,
    SCENARIO_OP_NE
};

enum scenario_phase { SCENARIO_PHASE_STEADY, SCENARIO_PHASE_WARMUP, SCENARIO_PHASE_ALL };

enum scenario_across {
    SCENARIO_ACROSS_MEDIAN,
    SCENARIO_ACROSS_MEAN,
    SCENARIO_ACROSS_ALL,
    SCENARIO_ACROSS_ANY
};

enum scenario_no_data { SCENARIO_NO_DATA_FAIL, SCENARIO_NO_DATA_PASS };

struct scenario_threshold {
    enum metric_id metric;
    char *expr; /* as written: "p95 < 1.2s" */
    enum scenario_stat stat;
    double percentile; /* 0..100, of SCENARIO_STAT_PERCENTILE */
    enum scenario_op op;
    double limit; /* in the metric's own unit */
    enum scenario_phase phase;
    uint32_t group;       /* SCENARIO_GROUP_NONE: the whole network */
    char *nat;            /* as written: "port_restricted/symmetric"; or NULL */
    uint32_t nat_pair[2]; /* enum scenario_nat, the lower first */
    enum scenario_across across_seeds;
    enum scenario_no_data no_data;
    char *pointer; /* where the file states it */
    uint32_t line;
    uint32_t column;
};

struct scenario {
    char *name;
    char *description; /* or NULL */
    uint64_t seed;
    uint32_t replicates;
    uint64_t duration_us;
    uint64_t warmup_us;
    enum scenario_crypto crypto;
    struct scenario_protocol protocol;
    struct scenario_network network;
    struct scenario_box *boxes;
    uint32_t box_count;
    struct scenario_group *groups;
    uint32_t group_count;
    uint32_t node_count; /* of all groups */
    struct scenario_topology topology;
    struct scenario_workload *workloads;
    uint32_t workload_count;
    struct scenario_action *actions; /* in order of time */
    uint32_t action_count;
    struct scenario_metrics metrics;
    struct scenario_threshold *thresholds;
    uint32_t threshold_count;
};

/* `overrides` are "/pointer=value" texts, applied in order before anything is checked; a value is
 * JSON, or else taken as a string, so --set /duration=5m needs no quotes. */
struct scenario_options {
    const char *const *overrides;
    size_t override_count;
};

/* ERR_OK and *out owned by the caller, or ERR_INVALID and *out NULL. Complaints and warnings go to
 * `report`, which the caller has initialised and later frees. `options` may be NULL. */
NODISCARD int scenario_load(const char *path, const struct scenario_options *options,
                            struct scenario **out, struct scenario_report *report);
/* The same for bytes already in memory; files the scenario names are looked for beside `path`. */
NODISCARD int scenario_load_text(const char *path, const char *text, size_t len,
                                 const struct scenario_options *options, struct scenario **out,
                                 struct scenario_report *report);
void scenario_free(struct scenario *scenario);

/* "public", the preset's name, or the box's. */
const char *scenario_nat_text(const struct scenario *scenario, uint32_t nat);
/* True when every node of the group has a public address. */
bool scenario_is_public(const struct scenario_group *group);

/* The seed of replicate `index` (0 is derived too): adding replicates keeps the earlier ones. */
uint64_t scenario_replicate_seed(uint64_t seed, uint32_t index);

/* A sweep "/pointer=a,b,c" has scenario_sweep_count points (0 when it makes no sense); point i is
 * the override text "/pointer=b", which the caller frees. Commas inside JSON brackets, braces and
 * quotes belong to a value. */
size_t scenario_sweep_count(const char *sweep);
char *scenario_sweep_point(const char *sweep, size_t index);

/* The whole scenario with all defaults filled in, as JSON in base units ("1500us") that loads to
 * the same scenario again. */
void scenario_print_resolved(const struct scenario *scenario, FILE *out);

/* SHA-256 in hexadecimal over the resolved scenario without what cannot change a run or only rolls
 * its dice: description, seed, replicates, thresholds. Files it names count with their contents. */
#define SCENARIO_SHA256_SIZE 65
void scenario_sha256(const struct scenario *scenario, char text[SCENARIO_SHA256_SIZE]);

/* One scalar of the resolved scenario: the `param` table of the results. `unit` is "us", "bytes",
 * "bit/s", "1/s", "ratio" or "". `value_num` is NAN where a number makes no sense. */
struct scenario_param {
    const char *pointer;
    const char *value_text;
    double value_num;
    const char *unit;
};
typedef void (*scenario_param_fn)(void *arg, const struct scenario_param *param);
/* Visits them in the resolved file's order; the texts are valid during the call only. */
void scenario_visit_params(const struct scenario *scenario, scenario_param_fn visit, void *arg);

/* The table of keys, for people (Markdown) and for editors (JSON Schema, draft-07). */
void scenario_print_reference(FILE *out);
void scenario_print_schema(FILE *out);

/* What a run will need, from counts and rates alone: see estimate.c for the formula. */
struct scenario_estimate {
    double online_mean; /* nodes online once churn has settled */
    double operations;  /* of the workload, whole run */
    double messages;
    double events;
    double memory_bytes;
};
void scenario_estimate(const struct scenario *scenario, struct scenario_estimate *estimate);

#endif /* SIM_SCENARIO_SCENARIO_H */
