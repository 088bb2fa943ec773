/* compare.h - the two halves of a played script, side by side, with a verdict for each row.
 *
 *      struct live_script (both halves filled) -> compare_make -> rows -> table, JSON, exit code
 *
 * What is allowed is fixed: a difference that is larger is a difference between the two worlds,
 * to be found and removed, not to be allowed.
 */
#ifndef SIM_LIVE_COMPARE_H
#define SIM_LIVE_COMPARE_H

#include "sim/live/script.h"

enum compare_verdict {
    COMPARE_PASS,
    COMPARE_FAIL,
    COMPARE_NOT_JUDGED, /* Too few to judge by, or for information. */
};

enum compare_unit { COMPARE_COUNT, COMPARE_RATIO, COMPARE_MEAN, COMPARE_US };

struct compare_row {
    const char *section; /* "messages", "success", ... */
    const char *name;
    enum compare_unit unit;
    double simulated;
    double live;
    double allowed; /* Largest difference; meaningless when it is not judged. */
    enum compare_verdict verdict;
};

struct comparison {
    struct compare_row *rows;
    uint32_t count;
    uint32_t failed;
    uint32_t judged;
};

void compare_make(struct comparison *comparison, const struct live_script *script);
void compare_free(struct comparison *comparison);

#endif /* SIM_LIVE_COMPARE_H */
