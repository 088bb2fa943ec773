/* ice_parts.h - what the parts of the ICE agent call of each other.
 *
 * ice.c is the door and decides what is sent when, ice_pairs.c keeps the checklist, ice_check.c
 * writes requests and hears requests and answers.
 *
 *      ice.c -> ice_check.c -> ice_pairs.c
 */
#ifndef NODE_NAT_ICE_PARTS_H
#define NODE_NAT_ICE_PARTS_H

#include "node/nat/ice.h"

/* --- ice_pairs.c: the checklist, and what it is made of -----------------------------------------
 */

/* The candidate's number, or ICE_NONE. */
uint8_t ice_local_find(const struct ice *ice, uint8_t base, const struct port_addr *addr);
uint8_t ice_remote_find(const struct ice *ice, const struct port_addr *addr);

/* Numbers of candidates that were added; ICE_NONE: the table is full. Pairs are formed. */
uint8_t ice_local_add(struct ice *ice, const struct ice_candidate *candidate);
uint8_t ice_remote_add(struct ice *ice, const struct ice_candidate *candidate);

struct ice_pair *ice_pair_find(struct ice *ice, uint8_t base, uint8_t remote);

uint64_t ice_pair_rank(const struct ice *ice, const struct ice_pair *pair);

/* The pair whose check may begin next, or NULL: RFC 8445 section 6.1.4.2. */
const struct ice_pair *ice_pair_next(const struct ice *ice);

/* Waiting and being checked: how many. */
uint32_t ice_pairs_busy(const struct ice *ice);

/* To the end of the queue of triggered checks. */
void ice_pair_trigger(struct ice *ice, struct ice_pair *pair);

/* Its own foundation's others need not wait: section 7.2.5.3.3. */
void ice_pair_thaw(struct ice *ice, const struct ice_pair *pair);

/* The pair is agreed on, unless a better one was: section 8.1. */
void ice_pair_select(struct ice *ice, struct ice_pair *pair, uint64_t now_us);

/* --- ice_check.c: one request -------------------------------------------------------------------
 */

/* Bytes from the entropy that nobody has seen, at most 64. */
void ice_draw(struct ice *ice, void *out, size_t len);

/* The pair's request, under its id; with a new one before that. */
void ice_check_renew(struct ice *ice, struct ice_pair *pair);
void ice_check_write(const struct ice *ice, const struct ice_pair *pair, struct ice_packet *packet);

/* A time for the next check of consent. */
uint64_t ice_consent_pause_us(struct ice *ice);

#endif /* NODE_NAT_ICE_PARTS_H */
