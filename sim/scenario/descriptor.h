/* descriptor.h - the one table that says what a scenario file may contain.
 *
 * A shape is a kind of object (a group, a link, a distribution): a list of keys, each with its
 * type, place in the C struct, default, limits and one sentence. Everything else is a walk over
 * these rows, so reading, defaults, errors, documentation, schema and the resolved form cannot
 * disagree:
 *
 *      scenario_shape --> parse.c      file -> struct, complaints
 *                     |-> resolve.c    struct -> resolved file, parameters
 *                     |-> schema.c     JSON Schema
 *                     '-> reference.c  docs/SCENARIOS.md
 *
 * A shape may have variants, chosen by its first key (a workload's "type"): a key belongs to all of
 * them or to those it names. It may have alternatives: two sets of keys that exclude each other.
 */
#ifndef SIM_SCENARIO_DESCRIPTOR_H
#define SIM_SCENARIO_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cJSON.h>

#include "node/cli/quantity.h"

struct loader;
struct scenario_shape;

enum key_type {              /* stored as */
                KEY_BOOL,    /* bool */
                KEY_INTEGER, /* uint32_t */
                KEY_NUMBER,  /* double */
                KEY_CHANCE,  /* struct scenario_chance */
                KEY_STRING,  /* char * */
                KEY_NAME,    /* char *, matching KEY_NAME_PATTERN */
                KEY_FILE, /* char *, relative to the scenario file; `extra` is its char * SHA-256 */
                KEY_EXPR, /* char *, "stat op value" */
                KEY_SEED, /* uint64_t */
                KEY_QUANTITY,    /* uint64_t in the base unit */
                KEY_RATE,        /* double per second */
                KEY_ENUM,        /* an enum whose values follow `choices` */
                KEY_FLAGS,       /* uint32_t, bit i for choice i */
                KEY_DIST,        /* struct dist_config; `shape` names its object form */
                KEY_MIX,         /* struct scenario_share * and count: of regions */
                KEY_NAT,         /* the same: of kinds of NAT */
                KEY_GROUP,       /* uint32_t index, SCENARIO_GROUP_NONE when absent */
                KEY_SELECT,      /* struct scenario_select */
                KEY_MATRIX,      /* network.latency: regions and one_way_us */
                KEY_COORDINATES, /* network.latency: regions and coordinates */
                KEY_THRESHOLDS,  /* struct scenario: thresholds */
                KEY_OBJECT, /* the struct of `shape`; `extra` is a bool that tells its presence */
                KEY_LIST,   /* array of the struct of `shape`; `extra` is its uint32_t count */
                KEY_MAP     /* the same, from an object of named ones: the struct begins with
                             * its name, a char * */
};

#define KEY_NAME_PATTERN    "^[a-z0-9][a-z0-9._-]{0,63}$"
#define KEY_NOWHERE         SIZE_MAX /* offset of what is checked but not kept */
#define KEY_ALL_VARIANTS    UINT32_MAX
#define KEY_VARIANT_UNKNOWN 31 /* when the file names none of them: shared keys only */

struct key_choices {
    const char *const *names;
    uint32_t count;
};

struct scenario_key {
    const char *name;
    enum key_type type;
    size_t offset;
    size_t extra;         /* see enum key_type; KEY_NOWHERE without */
    const char *fallback; /* the default as one would write it; NULL: absent means none */
    double min;           /* in the base unit; numbers, quantities, rates; of a list, elements */
    double max;
    enum quantity_kind quantity;
    const struct key_choices *choices;
    const struct scenario_shape *shape;
    uint32_t variants;   /* bits of the shape's variants that know this key; 0: all */
    uint32_t required;   /* bits of those that need it; KEY_ALL_VARIANTS: always */
    uint8_t alternative; /* 1 or 2; 0: belongs to both */
    bool overlays;       /* object: starts as a copy of struct scenario's `protocol` */
    bool is_cosmetic;    /* not part of scenario_sha256 */
    bool hides_default;  /* probability: not written back while it is 0 */
    const char *doc;
};

struct scenario_shape {
    const char *name; /* of the JSON Schema definition */
    const char *title;
    size_t size; /* of the struct; 0 for one that lives inside its parent's */
    const struct scenario_key *keys;
    size_t key_count;
    bool has_variants; /* chosen by keys[0] */
    bool needs_alternative;
    /* Where defaults depend on the object: fills `data` before its keys are read. */
    void (*start)(struct loader *loader, const cJSON *object, void *data);
    /* Checks between keys, and what follows from them; runs when all keys of `object` (NULL where
     * the file leaves the whole object out) have been read into `data`. */
    void (*finish)(struct loader *loader, const cJSON *object, void *data);
    /* Which alternative a filled struct uses; NULL: the shape has none. */
    uint8_t (*alternative)(const void *data);
};

/* The whole file, into struct scenario. */
extern const struct scenario_shape scenario_shape;
/* One entry of a threshold's list in its object form, into struct scenario_threshold. */
extern const struct scenario_shape threshold_shape;

/* All shapes with a name of their own, for the schema and the reference; NULL ends the list. */
extern const struct scenario_shape *const scenario_shapes[];

/* True when `key` exists in the variant with this number. */
bool key_is_in_variant(const struct scenario_key *key, uint32_t variant);
bool key_is_required(const struct scenario_key *key, uint32_t variant);

#endif /* SIM_SCENARIO_DESCRIPTOR_H */
