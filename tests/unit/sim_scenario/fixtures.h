/* fixtures.h - what the tests of the scenario loader share: loading, listing, short reports.
 *
 *      path or text -> load -> scenario, report          report -> complaints -> "MT0101@3:3"
 */
#ifndef TESTS_UNIT_SIM_SCENARIO_FIXTURES_H
#define TESTS_UNIT_SIM_SCENARIO_FIXTURES_H

#include "sim/scenario/scenario.h"

#define BAD_FOLDER  SOURCE_DIR "/tests/golden/scenarios-bad"
#define GOOD_FOLDER SOURCE_DIR "/tests/golden/scenarios-good"

/* The scenario of a good text or file; fails the test with the whole report if there are errors. */
struct scenario *load_good(const char *path);
struct scenario *load_good_text(const char *text);

/* All complaints as "CODE@line:column " in the order of the report, into fresh memory; those of
 * another file or an override have its name before the line. `folder` is cut off from names. */
char *complaints(const struct scenario_report *report, const char *folder);

/* The complaints about a text, loaded as if it lay in GOOD_FOLDER, with one override or NULL. */
char *complaints_of(const char *text, const char *override);

/* What one of the print functions writes. */
char *printed_resolved(const struct scenario *scenario);
char *printed_report(const struct scenario_report *report, enum report_format format);

/* The names of the .jsonc files of a folder, sorted; NULL ends the list. */
char **list_scenarios(const char *folder);
void list_free(char **names);

/* The expected complaints of the bad scenarios. */
struct expectation {
    char file[80];
    char schema[16];
    char codes[400]; /* separated by spaces */
};
#define EXPECTATIONS_MAX 300
size_t expectations_read(struct expectation *expectations);

#endif /* TESTS_UNIT_SIM_SCENARIO_FIXTURES_H */
