/* pcp_check.h - what must hold for any bytes whatever that claim to be PCP or NAT-PMP.
 *
 *      bytes -> *_read_* -> refused
 *                        -> accepted: written again and read again, it says the same
 *
 * Shared by the fuzz target and by the unit tests.
 */
#ifndef TESTS_SUPPORT_PCP_CHECK_H
#define TESTS_SUPPORT_PCP_CHECK_H

#include <string.h>

#include "node/base/must.h"
#include "node/nat/pcp.h"

static inline bool pcp_check_maps_equal(const struct pcp_map *a, const struct pcp_map *b)
{
    return memcmp(&a->nonce, &b->nonce, sizeof a->nonce) == 0 && a->protocol == b->protocol &&
           a->internal_port == b->internal_port &&
           memcmp(&a->external, &b->external, sizeof a->external) == 0;
}

static inline bool pcp_check_request(struct slice bytes)
{
    struct pcp_request first;
    struct pcp_request second;
    uint8_t again[PCP_REQUEST_MAX];
    if (!pcp_read_request(bytes, &first)) {
        return false;
    }
    size_t len = pcp_write_request(&first, again);
    must(len <= bytes.len && len <= sizeof again);
    must(pcp_read_request(slice_of(again, len), &second));
    must(first.opcode == second.opcode && first.lifetime_s == second.lifetime_s);
    must(memcmp(first.client, second.client, sizeof first.client) == 0);
    must(first.must_fit == second.must_fit && !second.has_unknown);
    must(pcp_check_maps_equal(&first.map, &second.map));
    return true;
}

static inline bool pcp_check_answer(struct slice bytes)
{
    struct pcp_answer first;
    struct pcp_answer second;
    uint8_t again[PCP_ANSWER_MAX];
    if (!pcp_read_answer(bytes, &first)) {
        return false;
    }
    must(pcp_result_text(first.result) != NULL);
    must(first.has_map || first.opcode == PCP_ANNOUNCE || first.result != PCP_SUCCESS);
    if (first.has_map == (first.opcode == PCP_MAP)) {
        size_t len = pcp_write_answer(&first, again);
        must(len <= bytes.len && len <= sizeof again);
        must(pcp_read_answer(slice_of(again, len), &second));
        must(first.opcode == second.opcode && first.result == second.result);
        must(first.lifetime_s == second.lifetime_s && first.epoch_s == second.epoch_s);
        must(pcp_check_maps_equal(&first.map, &second.map));
    }
    return true;
}

static inline bool natpmp_check_request(struct slice bytes)
{
    struct natpmp_request first;
    struct natpmp_request second;
    uint8_t again[NATPMP_REQUEST_MAX];
    if (!natpmp_read_request(bytes, &first)) {
        return false;
    }
    size_t len = natpmp_write_request(&first, again);
    must(len == bytes.len && natpmp_read_request(slice_of(again, len), &second));
    must(first.opcode == second.opcode && first.internal_port == second.internal_port);
    must(first.external_port == second.external_port && first.lifetime_s == second.lifetime_s);
    return true;
}

static inline bool natpmp_check_answer(struct slice bytes)
{
    struct natpmp_answer first;
    struct natpmp_answer second;
    uint8_t again[NATPMP_ANSWER_MAX];
    if (!natpmp_read_answer(bytes, &first)) {
        return false;
    }
    must(natpmp_result_text(first.result) != NULL);
    size_t len = natpmp_write_answer(&first, again);
    must(len <= bytes.len && natpmp_read_answer(slice_of(again, len), &second));
    must(first.opcode == second.opcode && first.result == second.result);
    must(first.epoch_s == second.epoch_s && first.lifetime_s == second.lifetime_s);
    must(first.internal_port == second.internal_port);
    must(first.external_port == second.external_port);
    must(memcmp(first.external, second.external, sizeof first.external) == 0);
    return true;
}

/* True when the bytes were accepted as anything; never as two things at once. */
static inline bool pcp_check(struct slice bytes)
{
    int readings = (int)pcp_check_request(bytes) + (int)pcp_check_answer(bytes) +
                   (int)natpmp_check_request(bytes) + (int)natpmp_check_answer(bytes);
    must(readings <= 1);
    return readings == 1;
}

#endif /* TESTS_SUPPORT_PCP_CHECK_H */
