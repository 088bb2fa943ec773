/* descriptor.c - every key of a scenario file: type, default, limits, meaning. */
#include "sim/scenario/descriptor.h"

#include "node/base/slice.h"
#include "sim/scenario/relation.h"
#include "sim/scenario/scenario.h"

#define SECOND 1e6
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* One row: its name, type, place, and whatever else applies. */
#define KEY(label, kind, owner, member, ...)                                                       \
    {                                                                                              \
        .name = (label), .type = KEY_##kind, .offset = offsetof(struct owner, member),             \
        .extra = KEY_NOWHERE, __VA_ARGS__                                                          \
    }
/* A list with its count, an object with the flag of its presence, a file with its hash. */
#define KEY_COUNTED(label, kind, owner, member, count, ...)                                        \
    {                                                                                              \
        .name = (label), .type = KEY_##kind, .offset = offsetof(struct owner, member),             \
        .extra = offsetof(struct owner, count), __VA_ARGS__                                        \
    }
/* A key whose value spreads over the struct of its parent, and one that is checked only. */
#define KEY_IN_PARENT(label, kind, ...)                                                            \
    {                                                                                              \
        .name = (label), .type = KEY_##kind, .offset = 0, .extra = KEY_NOWHERE, __VA_ARGS__        \
    }
#define KEY_UNKEPT(label, kind, ...)                                                               \
    {                                                                                              \
        .name = (label), .type = KEY_##kind, .offset = KEY_NOWHERE, .extra = KEY_NOWHERE,          \
        __VA_ARGS__                                                                                \
    }
#define ALWAYS          .required = KEY_ALL_VARIANTS
#define VARIANT(number) (1u << (number))
#define ONLY(bits)      .variants = (bits), .required = (bits)
#define CHOICES(...)                                                                               \
    &(const struct key_choices)                                                                    \
    {                                                                                              \
        (const char *const[]){__VA_ARGS__},                                                        \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)                      \
    }
#define DURATION .quantity = QUANTITY_DURATION
#define SHAPE(label, text, owner, rows)                                                            \
    .name = (label), .title = (text), .size = sizeof(struct owner), .keys = (rows),                \
    .key_count = array_len(rows)

_Static_assert(sizeof(enum scenario_crypto) == sizeof(uint32_t), "enums are stored as uint32_t");

/* --- distributions: one table for durations, one for sizes ---------------------------------- */

#define DIST_NAMES CHOICES("constant", "uniform", "exponential", "lognormal", "weibull", "pareto")
#define DIST_KEYS(unit, high)                                                                      \
    KEY("dist", ENUM, dist_config, kind, ALWAYS, .choices = DIST_NAMES,                            \
        .doc = "Kind of distribution."),                                                           \
        KEY("value", QUANTITY, dist_config, value, .quantity = (unit), .max = (high),              \
            ONLY(VARIANT(DIST_CONFIG_CONSTANT)), .doc = "Always this."),                           \
        KEY("min", QUANTITY, dist_config, min, .quantity = (unit), .max = (high),                  \
            ONLY(VARIANT(DIST_CONFIG_UNIFORM)), .doc = "Smallest value."),                         \
        KEY("max", QUANTITY, dist_config, max, .quantity = (unit), .max = (high),                  \
            ONLY(VARIANT(DIST_CONFIG_UNIFORM)), .doc = "Largest value."),                          \
        KEY("mean", QUANTITY, dist_config, mean, .quantity = (unit), .min = 1, .max = (high),      \
            ONLY(VARIANT(DIST_CONFIG_EXPONENTIAL)), .doc = "Mean of the values."),                 \
        KEY("median", QUANTITY, dist_config, median, .quantity = (unit), .min = 1, .max = (high),  \
            ONLY(VARIANT(DIST_CONFIG_LOGNORMAL)), .doc = "Half of the values are below it."),      \
        KEY("sigma", NUMBER, dist_config, sigma, .min = 0.001, .max = 10,                          \
            ONLY(VARIANT(DIST_CONFIG_LOGNORMAL)),                                                  \
            .doc = "Standard deviation of the natural logarithm."),                                \
        KEY("scale", QUANTITY, dist_config, scale, .quantity = (unit), .min = 1, .max = (high),    \
            ONLY(VARIANT(DIST_CONFIG_WEIBULL) | VARIANT(DIST_CONFIG_PARETO)),                      \
            .doc = "Weibull: about 63 % are below it. Pareto: the smallest value."),               \
        KEY("shape", NUMBER, dist_config, shape, .min = 0.1, .max = 100,                           \
            ONLY(VARIANT(DIST_CONFIG_WEIBULL) | VARIANT(DIST_CONFIG_PARETO)),                      \
            .doc = "Weibull: below 1, many short and few very long values. Pareto: the exponent.")

static const struct scenario_key duration_dist_keys[] = {DIST_KEYS(QUANTITY_DURATION, 3650 * DAY)};
static const struct scenario_shape duration_dist = {
    SHAPE("duration_dist", "Distribution of durations", dist_config, duration_dist_keys),
    .has_variants = true, .finish = finish_dist};

static const struct scenario_key size_dist_keys[] = {
    DIST_KEYS(QUANTITY_BYTES, SCENARIO_PAYLOAD_BYTES_MAX)};
static const struct scenario_shape size_dist = {
    SHAPE("size_dist", "Distribution of sizes", dist_config, size_dist_keys), .has_variants = true,
    .finish = finish_dist};

/* --- protocol -------------------------------------------------------------------------------- */

static const struct scenario_key protocol_keys[] = {
    KEY("k", INTEGER, scenario_protocol, k, .fallback = "20", .min = 1, .max = 20,
        .doc = "Bucket size, replication, and how many nodes a lookup returns."),
    KEY("alpha", INTEGER, scenario_protocol, alpha, .fallback = "3", .min = 1, .max = 8,
        .doc = "Requests a lookup keeps open at once; at most k."),
    KEY("republish", QUANTITY, scenario_protocol, republish_us, DURATION, .fallback = "1h",
        .min = SECOND, .max = 30 * DAY, .doc = "How often a holder hands its records on."),
    KEY("record_expiry", QUANTITY, scenario_protocol, record_expiry_us, DURATION, .fallback = "24h",
        .min = SECOND, .max = 30 * DAY,
        .doc = "How long a stored record lives; longer than republish."),
    KEY("refresh", QUANTITY, scenario_protocol, refresh_us, DURATION, .fallback = "1h",
        .min = SECOND, .max = 30 * DAY, .doc = "A bucket without a lookup for this long gets one."),
    KEY("sessions_max", INTEGER, scenario_protocol, sessions_max, .fallback = "32", .min = 8,
        .max = 65535,
        .doc = "Transport sessions a node keeps; the least recently used makes room."),
    KEY("guard_per_minute", INTEGER, scenario_protocol, guard_per_minute, .fallback = "100",
        .max = 60000000,
        .doc = "Requests a node accepts from one peer in a minute; 0: any number."),
    KEY("guard_per_hour", INTEGER, scenario_protocol, guard_per_hour, .fallback = "1000",
        .max = 60000000, .doc = "The same in an hour: both limits hold."),
    KEY("gossip_period", QUANTITY, scenario_protocol, gossip_period_us, DURATION, .fallback = "30s",
        .max = DAY, .doc = "Time between peer exchanges of a node; 0s switches them off."),
    KEY("path_cache", BOOL, scenario_protocol, path_cache, .fallback = "true",
        .doc = "Whether a found immutable value is left at the nearest node that lacked it."),
    KEY("reach", ENUM, scenario_protocol, reach, .fallback = "auto",
        .choices = CHOICES("auto", "public", "client"),
        .doc = "How nodes know whether strangers reach them: auto finds out, or takes it for "
               "granted where nobody of the group is behind a box; public and client say so."),
    KEY("punching", BOOL, scenario_protocol, punching, .fallback = "true",
        .doc = "Whether nodes behind boxes try to do without the relay."),
    KEY("prediction", BOOL, scenario_protocol, prediction, .fallback = "true",
        .doc = "Whether they guess the next port of a box that counts its ports up."),
    KEY("stream_punching", BOOL, scenario_protocol, stream_punching, .fallback = "true",
        .doc = "Whether they punch by streams where one side has no UDP: TCP simultaneous open."),
    KEY("birthday_sockets", INTEGER, scenario_protocol, birthday_sockets, .fallback = "0",
        .max = 512,
        .doc = "Sockets that the side with an address-dependent box opens when plain punching "
               "has failed; 0: it does not."),
    KEY("birthday_probes", INTEGER, scenario_protocol, birthday_probes, .fallback = "1024",
        .max = 8192, .doc = "Ports that the other side then tries."),
    KEY("flows_max", INTEGER, scenario_protocol, flows_max, .fallback = "60", .max = 65535,
        .doc = "Destinations that a node behind a box has open at once; 0: any number."),
    KEY("ledger", BOOL, scenario_protocol, ledger, .fallback = "false",
        .doc = "Whether nodes keep trust in their peers and IOUs, as live ones do."),
};
static const struct scenario_shape protocol_shape = {
    SHAPE("protocol", "Protocol settings", scenario_protocol, protocol_keys),
    .finish = finish_protocol};

static const struct scenario_key defaults_keys[] = {
    KEY("protocol", OBJECT, scenario, protocol, .shape = &protocol_shape,
        .doc = "Protocol settings of every group that does not override them."),
};
static const struct scenario_shape defaults_shape = {
    SHAPE("defaults", "Defaults for all groups", scenario, defaults_keys)};

/* --- network --------------------------------------------------------------------------------- */

static const struct scenario_key latency_keys[] = {
    KEY("model", ENUM, scenario_latency, model, .fallback = "constant",
        .choices = CHOICES("constant", "region_matrix", "matrix_csv", "coordinates"),
        .doc = "Where the latency between two nodes comes from."),
    KEY("value", DIST, scenario_latency, value, DURATION, .fallback = "100ms",
        .shape = &duration_dist, .max = 10 * SECOND, .variants = VARIANT(SCENARIO_LATENCY_CONSTANT),
        .doc = "Round trip between any two nodes; a distribution is drawn for each datagram."),
    KEY_IN_PARENT(
        "matrix", MATRIX, DURATION, .max = 10 * SECOND,
        ONLY(VARIANT(SCENARIO_LATENCY_REGION_MATRIX)),
        .doc = "Round trip of each pair of regions, by \"a-b\"; also \"a-a\". One order suffices."),
    KEY_COUNTED("file", FILE, scenario_latency, file, file_sha256,
                ONLY(VARIANT(SCENARIO_LATENCY_MATRIX_CSV)),
                .doc =
                    "CSV of round trips in ms, relative to this file: see topologies/README.md."),
    KEY_IN_PARENT("places", COORDINATES, ONLY(VARIANT(SCENARIO_LATENCY_COORDINATES)),
                  .doc = "Regions as [latitude, longitude] in degrees; distance decides."),
    KEY("inflation", NUMBER, scenario_latency, inflation, .fallback = "1.7", .min = 1, .max = 16,
        .variants = VARIANT(SCENARIO_LATENCY_COORDINATES),
        .doc = "Length of the cable over the great circle; light in fibre does 200 km per ms."),
    KEY("jitter", DIST, scenario_latency, jitter, DURATION, .fallback = "0us",
        .shape = &duration_dist, .max = 10 * SECOND, .doc = "Added to the way of each datagram."),
};
static const struct scenario_shape latency_shape = {
    SHAPE("latency", "Latency between nodes", scenario_latency, latency_keys), .has_variants = true,
    .finish = finish_latency};

#define GILBERT VARIANT(SCENARIO_LOSS_GILBERT_ELLIOTT)

static const struct scenario_key loss_keys[] = {
    KEY("model", ENUM, scenario_loss, model, .fallback = "none",
        .choices = CHOICES("none", "bernoulli", "gilbert_elliott"),
        .doc = "Independent losses, or bursts: Gilbert-Elliott switches between two states."),
    KEY("p", CHANCE, scenario_loss, p, ONLY(VARIANT(SCENARIO_LOSS_BERNOULLI)),
        .doc = "Chance that a datagram is lost."),
    KEY("p_good_to_bad", CHANCE, scenario_loss, p_good_to_bad, ONLY(GILBERT),
        .doc = "Chance, per datagram, that a good spell ends."),
    KEY("p_bad_to_good", CHANCE, scenario_loss, p_bad_to_good, ONLY(GILBERT),
        .doc = "Chance, per datagram, that a bad spell ends: its mean length is 1 over this."),
    KEY("loss_good", CHANCE, scenario_loss, loss_good, .fallback = "0", .variants = GILBERT,
        .doc = "Chance of loss in a good spell."),
    KEY("loss_bad", CHANCE, scenario_loss, loss_bad, .fallback = "1", .variants = GILBERT,
        .doc = "Chance of loss in a bad spell."),
};
static const struct scenario_shape loss_shape = {
    SHAPE("loss", "Loss on the path", scenario_loss, loss_keys), .has_variants = true};

static const struct scenario_key network_keys[] = {
    KEY("latency", OBJECT, scenario_network, latency, .shape = &latency_shape,
        .doc = "Latency between nodes, without their access lines."),
    KEY("loss", OBJECT, scenario_network, loss, .shape = &loss_shape,
        .doc = "Loss on the path, without the access lines."),
    KEY("mtu", INTEGER, scenario_network, mtu, .fallback = "1500", .min = 576, .max = 65535,
        .doc = "Longest packet in bytes, headers included."),
};
static const struct scenario_shape network_shape = {
    SHAPE("network", "Network", scenario_network, network_keys)};

/* --- groups ---------------------------------------------------------------------------------- */

static const struct scenario_key link_keys[] = {
    KEY("up", QUANTITY, scenario_link, up_bps, .quantity = QUANTITY_BANDWIDTH,
        .fallback = "50Mbit/s", .max = 1e12,
        .doc = "Bandwidth towards the network; 0bit/s is unlimited."),
    KEY("down", QUANTITY, scenario_link, down_bps, .quantity = QUANTITY_BANDWIDTH,
        .fallback = "100Mbit/s", .max = 1e12,
        .doc = "Bandwidth from the network; 0bit/s is unlimited."),
    KEY("queue", QUANTITY, scenario_link, queue_bytes, .quantity = QUANTITY_BYTES,
        .fallback = "256KiB", .min = 1500, .max = 1 << 30,
        .doc = "What may wait at either end; more is dropped."),
    KEY("latency", DIST, scenario_link, latency, DURATION, .fallback = "1ms",
        .shape = &duration_dist, .max = 10 * SECOND,
        .doc = "One way, between node and network; a distribution is drawn once per node."),
    KEY("loss", CHANCE, scenario_link, loss, .fallback = "0",
        .doc = "Chance of loss on the access line, per datagram and direction."),
};
static const struct scenario_shape link_shape = {
    SHAPE("link", "Access line", scenario_link, link_keys)};

static uint8_t churn_alternative(const void *data)
{
    const struct scenario_churn *churn = data;
    return churn->trace_file != NULL ? 2 : 1;
}

static const struct scenario_key churn_keys[] = {
    KEY("session", DIST, scenario_churn, session, DURATION, ALWAYS, .shape = &duration_dist,
        .min = SECOND, .max = 3650 * DAY, .alternative = 1, .doc = "How long a node stays online."),
    KEY("offline", DIST, scenario_churn, offline, DURATION, ALWAYS, .shape = &duration_dist,
        .min = SECOND, .max = 3650 * DAY, .alternative = 1, .doc = "How long it stays away."),
    KEY("start", ENUM, scenario_churn, start, .fallback = "equilibrium",
        .choices = CHOICES("equilibrium", "online"), .alternative = 1,
        .doc = "Begin as if churn had always gone on, or with everybody's first session."),
    KEY("correlation", NUMBER, scenario_churn, correlation, .fallback = "0", .max = 1,
        .alternative = 1,
        .doc = "How much one session of a node resembles its next: rank correlation."),
    KEY_COUNTED("trace", FILE, scenario_churn, trace_file, trace_sha256, ALWAYS, .alternative = 2,
                .doc = "CSV with the columns node,start_s,end_s: recorded presence, played back."),
    KEY("always_on", CHANCE, scenario_churn, always_on, .fallback = "0",
        .doc = "Share of the group that never leaves."),
};
static const struct scenario_shape churn_shape = {
    SHAPE("churn", "Coming and going", scenario_churn, churn_keys), .needs_alternative = true,
    .alternative = churn_alternative, .finish = finish_churn};

static const struct scenario_key join_keys[] = {
    KEY("at", QUANTITY, scenario_join, at_us, DURATION, ALWAYS, .max = 3650 * DAY,
        .doc = "When the first node of the group starts."),
    KEY("over", QUANTITY, scenario_join, over_us, DURATION, .fallback = "0s", .max = 3650 * DAY,
        .doc = "The others follow evenly over this time."),
};
static const struct scenario_shape join_shape = {
    SHAPE("join", "A group that joins later", scenario_join, join_keys), .finish = finish_join};

static const struct scenario_key group_keys[] = {
    KEY("name", NAME, scenario_group, name, ALWAYS, .doc = "What other keys call the group."),
    KEY("count", INTEGER, scenario_group, count, ALWAYS, .min = 1, .max = SCENARIO_NODES_MAX,
        .doc = "Number of nodes."),
    KEY_COUNTED(
        "region", MIX, scenario_group, region_mix, region_mix_count,
        .doc = "Region of the latency model, or shares of several; default: the model's weights."),
    KEY_COUNTED("nat", NAT, scenario_group, nat_mix, nat_mix_count,
                .doc = "\"public\", a preset, a box, \"calibrated\", or shares of several kinds; "
                       "default: all public."),
    KEY("nat_hairpin", CHANCE, scenario_group, nat_hairpin, .hides_default = true,
        .doc = "Share of the nodes behind a preset whose box hairpins; calibrated: 0.25, else 0."),
    KEY("nat_port_mapping", CHANCE, scenario_group, nat_port_mapping, .hides_default = true,
        .doc = "The same: whose box maps ports on request; calibrated: 0.3, else 0."),
    KEY("nat_double", CHANCE, scenario_group, nat_double, .hides_default = true,
        .doc = "The same: whose box stands behind a port_restricted one; calibrated: 0.1, else 0."),
    KEY("link", OBJECT, scenario_group, link, .shape = &link_shape,
        .doc = "Access line of each node."),
    KEY_COUNTED("churn", OBJECT, scenario_group, churn, has_churn, .shape = &churn_shape,
                .doc = "Coming and going; without it the nodes stay online."),
    KEY("address_group_size", INTEGER, scenario_group, address_group_size, .fallback = "1",
        .min = 1, .max = 254, .doc = "Nodes that share one IPv4 /24, which routing tables limit."),
    KEY_COUNTED("join", OBJECT, scenario_group, join, has_join, .shape = &join_shape,
                .doc = "When the group starts, if not as topology says."),
    KEY("protocol", OBJECT, scenario_group, protocol, .shape = &protocol_shape, .overlays = true,
        .doc = "Protocol settings that differ from defaults.protocol."),
};
static const struct scenario_shape group_shape = {
    SHAPE("group", "Group of nodes", scenario_group, group_keys), .finish = finish_group};

/* --- NAT boxes ------------------------------------------------------------------------------- */

#define NAT_SCOPES                                                                                 \
    CHOICES("endpoint_independent", "address_dependent", "address_and_port_dependent")

static const struct scenario_key box_keys[] = {
    KEY("preset", ENUM, scenario_box, preset, .fallback = "port_restricted",
        .choices =
            CHOICES("full_cone", "restricted", "port_restricted", "address_dependent", "symmetric",
                    "symmetric_open", "sequential", "poisonable", "udp_blocked", "firewall"),
        .doc = "Kind of box (docs/modules/boxes.md): the default of all keys that follow."),
    KEY("mapping", ENUM, scenario_box, config.mapping, .choices = NAT_SCOPES,
        .doc = "Whether another remote address, or port, gets another external port."),
    KEY("filtering", ENUM, scenario_box, config.filtering, .choices = NAT_SCOPES,
        .doc = "Who may send in: all, addresses that were sent to, or addresses and ports."),
    KEY("ports", ENUM, scenario_box, config.ports,
        .choices = CHOICES("preserved", "sequential", "random"),
        .doc = "Which external port a new mapping gets."),
    KEY("unsolicited", ENUM, scenario_box, config.unsolicited,
        .choices = CHOICES("dropped", "rejected", "poisons"),
        .doc =
            "What a packet meets that nobody waits for; poisons: it takes the port from a peer."),
    KEY("hairpin", BOOL, scenario_box, config.has_hairpin,
        .doc = "Whether nodes inside reach each other by the external address."),
    KEY("port_mapping", BOOL, scenario_box, config.maps_on_request,
        .doc = "Whether nodes inside may ask for a port that everybody can send to (PCP)."),
    KEY("udp_blocked", BOOL, scenario_box, config.is_udp_blocked, .doc = "Whether no UDP passes."),
    KEY("parity", BOOL, scenario_box, config.keeps_parity,
        .doc = "Whether even ports go to even ones, and odd to odd."),
    KEY("inbound_refreshes", BOOL, scenario_box, config.refreshes_in,
        .doc = "Whether what comes in keeps a session alive, too."),
    KEY("unreplied_timeout", QUANTITY, scenario_box, config.unreplied_us, DURATION, .min = 1000,
        .max = DAY, .doc = "Idle time of a UDP session that nothing has come back to."),
    KEY("stream_timeout", QUANTITY, scenario_box, config.stream_us, DURATION, .min = 1000,
        .max = DAY, .doc = "Idle time of one that has been answered; not shorter."),
    KEY("sessions_max", INTEGER, scenario_box, config.sessions_max, .max = 1000000,
        .doc = "Sessions of one node at once; new ones beyond are dropped. 0: any number."),
    KEY("port_block", INTEGER, scenario_box, port_block, .max = 64512,
        .doc = "External ports a node has for itself, as carriers do it. 0: no blocks."),
    KEY("shared_by", INTEGER, scenario_box, shared_by, .fallback = "1", .min = 1,
        .max = SCENARIO_NODES_MAX,
        .doc =
            "Nodes of a group, or boxes behind it, that share one box; the last may have fewer."),
    KEY("behind", NAME, scenario_box, behind,
        .doc = "Name of the box it stands behind: a carrier's, or a second router."),
};
static const struct scenario_shape box_shape = {SHAPE("box", "NAT box", scenario_box, box_keys),
                                                .start = start_box, .finish = finish_box};

_Static_assert(sizeof(enum napt_scope) == sizeof(uint32_t) &&
                   sizeof(enum napt_preset) == sizeof(uint32_t),
               "enums are stored as uint32_t");

/* --- topology, workload, actions ------------------------------------------------------------- */

static uint8_t join_alternative(const void *data)
{
    const struct scenario_topology *topology = data;
    return topology->join_rate_per_s > 0 ? 1 : 2;
}

static const struct scenario_key topology_keys[] = {
    KEY("source", ENUM, scenario_topology, source, .fallback = "bootstrap",
        .choices = CHOICES("bootstrap", "prebuilt"),
        .doc = "Nodes join one after the other, or start with tables filled from full knowledge."),
    KEY("bootstrap_group", GROUP, scenario_topology, bootstrap_group,
        .doc = "Starts at once and knows itself; all others join through it. Default: the first."),
    KEY("join_rate", RATE, scenario_topology, join_rate_per_s, .min = 1e-3, .max = 1e6,
        .variants = VARIANT(SCENARIO_SOURCE_BOOTSTRAP), .alternative = 1,
        .doc = "Nodes that start per second, instead of join_ramp."),
    KEY("join_ramp", QUANTITY, scenario_topology, join_ramp_us, DURATION, .fallback = "1m",
        .max = 365 * DAY, .variants = VARIANT(SCENARIO_SOURCE_BOOTSTRAP), .alternative = 2,
        .doc = "All groups without a join of their own start evenly over this time."),
};
static const struct scenario_shape topology_shape = {
    SHAPE("topology", "How the network begins", scenario_topology, topology_keys),
    .has_variants = true, .alternative = join_alternative, .finish = finish_topology};

static const struct scenario_key keys_keys[] = {
    KEY("dist", ENUM, scenario_keys, kind, .fallback = "fresh",
        .choices = CHOICES("fresh", "uniform", "zipf"),
        .doc = "A new random key each time, or one of n: evenly, or by popularity."),
    KEY("n", INTEGER, scenario_keys, n, .min = 1, .max = 1 << 22,
        ONLY(VARIANT(SCENARIO_KEYS_UNIFORM) | VARIANT(SCENARIO_KEYS_ZIPF)),
        .doc = "Number of keys; all workload entries share key 1, 2, ..."),
    KEY("s", NUMBER, scenario_keys, s, .max = 10, ONLY(VARIANT(SCENARIO_KEYS_ZIPF)),
        .doc = "Key i is used in proportion to i to the power of -s."),
};
static const struct scenario_shape keys_shape = {
    SHAPE("keys", "Which keys", scenario_keys, keys_keys), .has_variants = true};

#define WITH_KEYS                                                                                  \
    (VARIANT(SCENARIO_WORKLOAD_LOOKUP) | VARIANT(SCENARIO_WORKLOAD_GET) |                          \
     VARIANT(SCENARIO_WORKLOAD_STORE))
#define WITH_SIZE                                                                                  \
    (VARIANT(SCENARIO_WORKLOAD_STORE) | VARIANT(SCENARIO_WORKLOAD_MESSAGE) |                       \
     VARIANT(SCENARIO_WORKLOAD_BROADCAST))

static const struct scenario_key workload_keys[] = {
    KEY("type", ENUM, scenario_workload, type, ALWAYS,
        .choices = CHOICES("lookup", "get", "store", "message", "broadcast"),
        .doc = "Find the nodes nearest to a key; find, or store, its value; tell one; tell all."),
    KEY("rate", RATE, scenario_workload, rate_per_s, ALWAYS, .min = 1e-7, .max = 1e6,
        .doc = "How often, at random moments (a Poisson process)."),
    KEY("per", ENUM, scenario_workload, per, .fallback = "node",
        .choices = CHOICES("node", "group", "network"),
        .doc = "Whether the rate is that of each node or of all together."),
    KEY("group", GROUP, scenario_workload, group,
        .doc = "Only nodes of this group begin operations."),
    KEY("keys", OBJECT, scenario_workload, keys, .shape = &keys_shape, .variants = WITH_KEYS,
        .required = VARIANT(SCENARIO_WORKLOAD_GET), .doc = "Which keys the operations use."),
    KEY("size", DIST, scenario_workload, size_bytes, .quantity = QUANTITY_BYTES, .fallback = "256B",
        .shape = &size_dist, .max = SCENARIO_PAYLOAD_BYTES_MAX, .variants = WITH_SIZE,
        .doc = "Bytes of a value, message or broadcast; draws beyond 900B are cut to it."),
    KEY("from", QUANTITY, scenario_workload, from_us, DURATION, .fallback = "0s", .max = 3650 * DAY,
        .doc = "When it begins."),
    KEY("until", QUANTITY, scenario_workload, until_us, DURATION, .max = 3650 * DAY,
        .doc = "When it ends; default: with the run."),
};
static const struct scenario_shape workload_shape = {
    SHAPE("workload", "What nodes do", scenario_workload, workload_keys), .has_variants = true,
    .finish = finish_workload};

static const struct scenario_key action_keys[] = {
    KEY("at", QUANTITY, scenario_action, at_us, DURATION, ALWAYS, .max = 3650 * DAY,
        .doc = "When it happens."),
    KEY("type", ENUM, scenario_action, type, ALWAYS,
        .choices = CHOICES("leave", "nat_rebind", "nat_renumber"),
        .doc =
            "leave: the nodes vanish for good, without a word. nat_rebind: the boxes before them "
            "forget all mappings; nat_renumber: and get another external address."),
    KEY("select", SELECT, scenario_action, select, ALWAYS,
        .doc = "Who: \"all\", \"group:NAME\", or \"holders\" (nodes holding a record just then)."),
    KEY("fraction", CHANCE, scenario_action, fraction, .fallback = "1", .doc = "Share of them."),
};
static const struct scenario_shape action_shape = {
    SHAPE("action", "What happens to the network", scenario_action, action_keys),
    .finish = finish_action};

/* --- metrics, thresholds, the whole ---------------------------------------------------------- */

static const struct scenario_key metrics_keys[] = {
    KEY("sample_every", QUANTITY, scenario_metrics, sample_every_us, DURATION, .fallback = "10s",
        .min = 1000, .max = DAY, .doc = "Time between samples of gauges."),
    KEY("events", FLAGS, scenario_metrics, events,
        .choices = CHOICES("lookup", "message", "broadcast"),
        .doc = "Operations that get a row each in the results."),
    KEY("event_sampling", CHANCE, scenario_metrics, event_sampling, .fallback = "1",
        .doc = "Share of those rows that is kept; distributions stay complete."),
};
static const struct scenario_shape metrics_shape = {
    SHAPE("metrics", "What is recorded", scenario_metrics, metrics_keys)};

static const struct scenario_key threshold_keys[] = {
    KEY("expr", EXPR, scenario_threshold, expr, ALWAYS,
        .doc =
            "stat op value: \"p95 < 1.2s\". Stats: mean, median, min, max, last, sum, count, p0 to "
            "p100. Ops: < <= > >= == !=."),
    KEY("phase", ENUM, scenario_threshold, phase, .fallback = "steady",
        .choices = CHOICES("steady", "warmup", "all"), .doc = "Which part of the run counts."),
    KEY("group", GROUP, scenario_threshold, group, .doc = "Only nodes of this group count."),
    KEY("nat", STRING, scenario_threshold, nat,
        .doc = "direct_ratio: only messages between these two kinds of NAT, either way: "
               "\"port_restricted/symmetric\"."),
    KEY("across_seeds", ENUM, scenario_threshold, across_seeds, .fallback = "median",
        .choices = CHOICES("median", "mean", "all", "any"),
        .doc = "How the replicates decide together."),
    KEY("no_data", ENUM, scenario_threshold, no_data, .fallback = "fail",
        .choices = CHOICES("fail", "pass"), .doc = "The verdict when nothing was measured."),
};
const struct scenario_shape threshold_shape = {
    SHAPE("threshold", "A threshold in full", scenario_threshold, threshold_keys),
    .finish = finish_threshold};

static const struct scenario_key scenario_keys[] = {
    KEY_UNKEPT("$schema", STRING, .is_cosmetic = true,
               .doc = "For editors: where the JSON Schema is."),
    KEY_UNKEPT("schema_version", INTEGER, ALWAYS, .min = 1, .max = 1,
               .doc = "Version of this format."),
    KEY("name", NAME, scenario, name, ALWAYS, .doc = "Names the results."),
    KEY("description", STRING, scenario, description, .is_cosmetic = true,
        .doc = "One sentence for readers."),
    KEY("seed", SEED, scenario, seed, ALWAYS, .is_cosmetic = true,
        .doc = "Root of all randomness: a hex string for 64 bits, or a number up to 2^53 - 1."),
    KEY("replicates", INTEGER, scenario, replicates, .fallback = "1", .min = 1, .max = 10000,
        .is_cosmetic = true,
        .doc = "Runs with seeds derived from (seed, index): more keep the earlier ones valid."),
    KEY("duration", QUANTITY, scenario, duration_us, DURATION, ALWAYS, .min = 1000,
        .max = 365 * DAY, .doc = "Simulated time of a run."),
    KEY("warmup", QUANTITY, scenario, warmup_us, DURATION, .fallback = "0s", .max = 365 * DAY,
        .doc = "Left out by thresholds that do not name a phase."),
    KEY("crypto", ENUM, scenario, crypto, .fallback = "modelled",
        .choices = CHOICES("modelled", "real"),
        .doc = "Modelled: same sizes, draws and simulated cost, without the arithmetic."),
    KEY_IN_PARENT("defaults", OBJECT, .shape = &defaults_shape,
                  .doc = "Settings all groups share."),
    KEY("network", OBJECT, scenario, network, .shape = &network_shape, .doc = "Between the nodes."),
    KEY_COUNTED("boxes", MAP, scenario, boxes, box_count, .min = 1, .max = SCENARIO_LIST_MAX,
                .shape = &box_shape, .doc = "Kinds of NAT box by name, for the groups."),
    KEY_COUNTED("groups", LIST, scenario, groups, group_count, ALWAYS, .min = 1,
                .max = SCENARIO_LIST_MAX, .shape = &group_shape, .doc = "The nodes."),
    KEY("topology", OBJECT, scenario, topology, .shape = &topology_shape,
        .doc = "How the network begins."),
    KEY_COUNTED("workload", LIST, scenario, workloads, workload_count, .max = SCENARIO_LIST_MAX,
                .shape = &workload_shape, .doc = "What the nodes do."),
    KEY_COUNTED("actions", LIST, scenario, actions, action_count, .max = SCENARIO_LIST_MAX,
                .shape = &action_shape, .doc = "What happens to the network, and when."),
    KEY("metrics", OBJECT, scenario, metrics, .shape = &metrics_shape, .doc = "What is recorded."),
    KEY_COUNTED(
        "thresholds", THRESHOLDS, scenario, thresholds, threshold_count,
        .max = SCENARIO_THRESHOLDS_MAX, .shape = &threshold_shape, .is_cosmetic = true,
        .doc = "By metric (meshtwin metrics), a list of \"stat op value\" or the object form."),
};
const struct scenario_shape scenario_shape = {
    SHAPE("scenario", "The file", scenario, scenario_keys), .finish = finish_scenario};

const struct scenario_shape *const scenario_shapes[] = {
    &scenario_shape, &defaults_shape,  &protocol_shape, &network_shape, &latency_shape,
    &loss_shape,     &box_shape,       &group_shape,    &link_shape,    &churn_shape,
    &join_shape,     &topology_shape,  &workload_shape, &keys_shape,    &action_shape,
    &metrics_shape,  &threshold_shape, &duration_dist,  &size_dist,     NULL};

bool key_is_in_variant(const struct scenario_key *key, uint32_t variant)
{
    return key->variants == 0 || (key->variants & VARIANT(variant)) != 0;
}

bool key_is_required(const struct scenario_key *key, uint32_t variant)
{
    return (key->required & VARIANT(variant)) != 0;
}
