/* fixture.h - what the tests of the results share: a folder, a scenario, one number out of SQL.
 *
 *      fixture_folder -> paths          fixture_scenario -> struct scenario
 *      path, SQL -> fixture_number, fixture_text
 */
#ifndef TESTS_UNIT_SIM_RESULT_FIXTURE_H
#define TESTS_UNIT_SIM_RESULT_FIXTURE_H

#include "sim/result/database.h"
#include "sim/scenario/scenario.h"

/* A fresh temporary folder; each test runs in a process of its own and has one. */
const char *fixture_folder(void);
/* "FOLDER/name", valid until the next eight calls. */
const char *fixture_path(const char *name);
/* Call last: removes the folder, and fails when it holds more files than `expected`. */
void fixture_remove(size_t expected);

/* Two groups of a few nodes, four minutes of which one is warm-up; `more` is JSON text of further
 * members, such as "\"metrics\": {...}", or "". */
struct scenario *fixture_scenario(const char *more);

/* The first column of the first row; the test fails when there is none. */
double fixture_number(const char *path, const char *sql);
const char *fixture_text(const char *path, const char *sql);

#endif /* TESTS_UNIT_SIM_RESULT_FIXTURE_H */
