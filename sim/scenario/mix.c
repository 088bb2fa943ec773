/* mix.c - shares by name that sum to 1: of regions, of kinds of NAT. */
#include <math.h>

#include "sim/scenario/parse.h"

#define SHARES_SLACK       1e-6 /* what decimals cost */
#define SHARES_EXACT       1e-9 /* what binary fractions cost: scaling would only stir the bits */
#define SHARES_WARNING_MAX 0.05 /* more than this is no rounding, but a mistake */

static bool shares_scale(struct loader *loader, struct scenario_share *shares, uint32_t count);

bool parse_shares(struct loader *loader, const cJSON *item, parse_share_fn read,
                  struct scenario_share **shares, uint32_t *count)
{
    if (cJSON_IsString(item)) {
        cJSON whole = {.type = cJSON_Number, .valuedouble = 1, .string = item->valuestring};
        *shares = text_alloc(1, sizeof **shares);
        *count = 1;
        return read(loader, &whole, LOADER_VALUE, *shares) && shares_scale(loader, *shares, 1);
    }
    uint32_t before = loader->report->error_count;
    const cJSON *member;
    cJSON_ArrayForEach(member, item)
    {
        if (parse_is_free(member)) {
            continue;
        }
        struct scenario_share share = {0};
        size_t mark = loader_enter(loader, member->string);
        if (read(loader, member, LOADER_KEY, &share)) {
            *shares = text_grow(*shares, *count, sizeof **shares);
            (*shares)[(*count)++] = share;
        }
        loader_leave(loader, mark);
    }
    return loader->report->error_count == before && shares_scale(loader, *shares, *count);
}

static bool shares_scale(struct loader *loader, struct scenario_share *shares, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += shares[i].ratio;
    }
    if (fabs(sum - 1) > SHARES_WARNING_MAX) {
        loader_complain(loader, REPORT_MT0205, LOADER_VALUE, NULL,
                        "the shares sum to %g instead of 1", sum);
        return false;
    }
    if (fabs(sum - 1) > SHARES_SLACK) {
        loader_complain(loader, REPORT_MT0204, LOADER_VALUE, NULL,
                        "the shares sum to %g; scaled to 1", sum);
    }
    for (uint32_t i = 0; i < count && fabs(sum - 1) > SHARES_EXACT; i++) {
        shares[i].ratio /= sum;
    }
    shares_accumulate(shares, count);
    return true;
}

void shares_accumulate(struct scenario_share *shares, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += shares[i].ratio;
        double scaled = floor(sum * 4294967295.0);
        bool is_last = i + 1 == count;
        shares[i].cumulative =
            is_last || scaled >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)scaled;
    }
}
