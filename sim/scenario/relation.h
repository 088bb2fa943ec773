/* relation.h - what one key demands of another, after both have been read.
 *
 * Each function belongs to a shape of descriptor.c and runs once per object of it, start_<shape>
 * before its keys are read, the others after. It complains
 * about contradictions, loads the files the object names, and fills what follows from other keys.
 * A value that did not read is 0 or NULL here and must not cause a second complaint.
 *
 *      parse_object -> finish_<shape> -> report, struct scenario
 */
#ifndef SIM_SCENARIO_RELATION_H
#define SIM_SCENARIO_RELATION_H

#include <stdbool.h>
#include <stdint.h>

#include <cJSON.h>

struct loader;
struct scenario;
struct scenario_group;

void finish_dist(struct loader *loader, const cJSON *object, void *data);
void finish_protocol(struct loader *loader, const cJSON *object, void *data);
void finish_latency(struct loader *loader, const cJSON *object, void *data);
void start_box(struct loader *loader, const cJSON *object, void *data);
void finish_box(struct loader *loader, const cJSON *object, void *data);
void finish_group(struct loader *loader, const cJSON *object, void *data);
void finish_churn(struct loader *loader, const cJSON *object, void *data);
void finish_join(struct loader *loader, const cJSON *object, void *data);
void finish_topology(struct loader *loader, const cJSON *object, void *data);
void finish_workload(struct loader *loader, const cJSON *object, void *data);
void finish_action(struct loader *loader, const cJSON *object, void *data);
void finish_threshold(struct loader *loader, const cJSON *object, void *data);
void finish_scenario(struct loader *loader, const cJSON *object, void *data);

/* True when some of the group's nodes stand next behind a firewall (napt.c). */
/* "kind/kind": false, after a complaint, when that names no two kinds. */
bool nat_pair_read(struct loader *loader, const char *text, uint32_t pair[2]);
bool nat_has_firewall(const struct scenario *scenario, const struct scenario_group *group);
/* Boxes behind boxes: finds them, once all are read (napt.c). */
void boxes_nest(struct loader *loader);
/* A group that names no region is spread like the latency model's weights (region.c). */
void region_mix_default(struct loader *loader, struct scenario_group *group);

#endif /* SIM_SCENARIO_RELATION_H */
