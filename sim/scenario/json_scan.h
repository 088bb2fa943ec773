/* json_scan.h - the strict scanner behind json.h: checks, places, blanks; builds no tree.
 *
 *      text -> json_scan -> blanked copy (patched where the scanner went on after a slip)
 *                        -> document->places, document->keys
 *                        -> report
 */
#ifndef SIM_SCENARIO_JSON_SCAN_H
#define SIM_SCENARIO_JSON_SCAN_H

#include "sim/scenario/json.h"

/* True when `blanked` (on entry a copy of `text`) is now JSON that any parser accepts. */
bool json_scan(struct json_document *document, const char *text, size_t len, char *blanked,
               struct scenario_report *report);

#endif /* SIM_SCENARIO_JSON_SCAN_H */
