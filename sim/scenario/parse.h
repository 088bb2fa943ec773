/* parse.h - reads a cJSON tree into C structs, as a shape of descriptor.h says.
 *
 *      cJSON object + shape -> parse_object -> struct filled, defaults included; complaints
 *                                  |-> parse_value, one per key type (parse_value.c)
 */
#ifndef SIM_SCENARIO_PARSE_H
#define SIM_SCENARIO_PARSE_H

#include "sim/scenario/loader.h"

/* Fills `data` (zeroed) from `object`; NULL stands for an object that is left out and gets its
 * defaults. With `overlay` absent keys keep what `data` holds instead. */
void parse_object(struct loader *loader, const cJSON *object, const struct scenario_shape *shape,
                  void *data, bool overlay);

/* Reads the value of one key into its struct; false after complaining. */
bool parse_value(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                 void *data);

/* Complains that the value at the loader's place is not `wanted` ("a string"). */
void parse_complain_type(struct loader *loader, const cJSON *item, const char *wanted);

/* Reads a quantity with its limits; for tables of quantities, where keys are free. */
bool parse_quantity(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                    uint64_t *value);
/* A number within [min, max]. */
bool parse_number(struct loader *loader, const cJSON *item, double min, double max, double *value);

/* KEY_NAME_PATTERN, by hand; parse_name complains, with the text of whatever is named so. */
bool parse_is_name(const char *text);
void parse_complain_name(struct loader *loader, enum loader_aim aim, const char *text);

/* "x-..." belongs to the user. */
bool parse_is_free(const cJSON *member);

/* Shares by name that sum to 1, or a single name, which has all. `read` fills one share from its
 * member, and complains about the name at `aim`. */
typedef bool (*parse_share_fn)(struct loader *loader, const cJSON *member, enum loader_aim aim,
                               struct scenario_share *share);
bool parse_shares(struct loader *loader, const cJSON *item, parse_share_fn read,
                  struct scenario_share **shares, uint32_t *count);
/* Sets `cumulative` from the ratios. */
void shares_accumulate(struct scenario_share *shares, uint32_t count);

/* The composite types, each in its own file. */
bool parse_mix(struct loader *loader, const cJSON *item, struct scenario_group *group);
bool parse_nat(struct loader *loader, const cJSON *item, struct scenario_group *group);
bool parse_matrix(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                  struct scenario_latency *latency);
bool parse_coordinates(struct loader *loader, const cJSON *item, struct scenario_latency *latency);
bool parse_thresholds(struct loader *loader, const cJSON *item, const struct scenario_key *key);

#endif /* SIM_SCENARIO_PARSE_H */
