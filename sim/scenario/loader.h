/* loader.h - the state of one scenario_load: where we are in the file, and how to complain there.
 *
 * The pointer always names the value being read, so a complaint needs only its words. The place in
 * the text is looked up when there is something to complain about, not before.
 *
 *      parse, relation, region, threshold -> loader_complain -> place or --set -> report
 */
#ifndef SIM_SCENARIO_LOADER_H
#define SIM_SCENARIO_LOADER_H

#include "node/cli/text.h"
#include "sim/scenario/descriptor.h"
#include "sim/scenario/json.h"
#include "sim/scenario/report.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/table.h"

struct loader_override {
    const char *text; /* as given: "/network/mtu=1400" */
    char *pointer;
};

struct loader {
    struct scenario *scenario;
    struct scenario_report *report;
    struct json_document document;
    struct loader_override *overrides;
    size_t override_count;
    struct text pointer;
    const struct scenario_key *limits; /* of the distribution being read, else NULL */
};

/* Go down to a member, or an element of a list; loader_leave goes back to where `enter` was. */
size_t loader_enter(struct loader *loader, const char *key);
size_t loader_enter_index(struct loader *loader, size_t index);
void loader_leave(struct loader *loader, size_t mark);

/* Complains about the value the loader is at, or about its key. Takes `help` over (or NULL). A
 * value the scanner has complained about already is passed over in silence. */
enum loader_aim { LOADER_VALUE, LOADER_KEY };
void loader_complain(struct loader *loader, enum report_code code, enum loader_aim aim, char *help,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same about the member `key` of the object the loader is at. */
void loader_complain_at(struct loader *loader, const char *key, enum report_code code, char *help,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));

/* About the table file at `path` that the value names. Takes the slip's message over. */
void loader_complain_table(struct loader *loader, const char *path, struct table_slip *slip);

/* "did you mean "x"?  known: a, b, c" for the heap; NULL when there is nothing to offer. */
char *loader_suggest(const struct loader *loader, const char *word, const char *const *known,
                     size_t count);
char *loader_suggest_group(const struct loader *loader, const char *word);

/* A file the scenario names, from the folder of the scenario; the caller frees it. */
char *loader_file_path(const struct loader *loader, const char *file);

/* Applies one "/pointer=value" to the tree and remembers it for complaints. */
void loader_override(struct loader *loader, const char *override);

/* The group called `name`, or SCENARIO_GROUP_NONE. */
uint32_t loader_group_find(const struct loader *loader, const char *name);

#endif /* SIM_SCENARIO_LOADER_H */
