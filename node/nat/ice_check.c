/* ice_check.c - connectivity checks: requests written, requests and answers heard. */
#include "node/nat/ice_parts.h"

#include "node/base/hash.h"
#include "node/base/must.h"

/* Required attributes that the codec can read and that mean nothing in a check. */
static const enum stun_attribute foreign[] = {STUN_CHANGE_REQUEST, STUN_PADDING,
                                              STUN_RESPONSE_PORT};

static struct slice text_of(const char *text);
static void request_hear(struct ice *ice, uint8_t base, const struct port_addr *from,
                         uint64_t now_us, const struct stun_message *request,
                         struct ice_packet *answer);
static unsigned request_judge(const struct ice *ice, const struct stun_message *request);
static bool is_for_us(const struct ice *ice, struct slice username);
static void unknown_find(const struct stun_message *request, struct stun_types *unknown);
static bool conflict_resolve(struct ice *ice, const struct stun_message *request);
static void role_set(struct ice *ice, bool is_controlling);
static void refuse(const struct ice *ice, unsigned code, const struct stun_message *request,
                   struct ice_packet *answer);
static void confirm(const struct ice *ice, const struct stun_message *request,
                    struct ice_packet *answer);
static void request_take(struct ice *ice, uint8_t base, const struct port_addr *from,
                         uint64_t now_us, const struct stun_message *request);
static uint8_t remote_learn(struct ice *ice, const struct port_addr *from,
                            const struct stun_message *request);
static void answer_hear(struct ice *ice, uint8_t base, const struct port_addr *from,
                        uint64_t now_us, const struct stun_message *answer);
static struct ice_pair *asked_find(struct ice *ice, uint8_t base, const struct port_addr *from,
                                   const struct stun_message *answer);
static void succeeded(struct ice *ice, struct ice_pair *pair, const struct stun_message *answer,
                      uint64_t now_us);
static uint8_t local_learn(struct ice *ice, const struct ice_pair *pair,
                           const struct port_addr *mapped);
static void refused(struct ice *ice, struct ice_pair *pair, const struct stun_message *answer);

/* --- requests of ours ----------------------------------------------------------------------- */

/* A hash of the entropy and a count: who has seen some knows nothing of the others. */
void ice_draw(struct ice *ice, void *out, size_t len)
{
    uint8_t count[8];
    uint8_t drawn[64];
    struct writer writer = writer_of(count, sizeof count);
    must(len <= sizeof drawn);
    write_u64(&writer, ice->draws++);
    hash_domain(drawn, sizeof drawn, "meshtwin ice", slice_of(ice->entropy, sizeof ice->entropy),
                slice_of(count, sizeof count));
    memcpy(out, drawn, len);
}

uint64_t ice_consent_pause_us(struct ice *ice)
{
    uint8_t drawn[4];
    ice_draw(ice, drawn, sizeof drawn);
    struct reader reader = reader_of(slice_of(drawn, sizeof drawn));
    return ICE_CONSENT_US / 5 * 4 + read_u32(&reader) % (ICE_CONSENT_US / 5 * 2 + 1);
}

void ice_check_renew(struct ice *ice, struct ice_pair *pair)
{
    ice_draw(ice, &pair->id, sizeof pair->id);
    pair->is_open = true;
    pair->was_controlling = ice->is_controlling;
}

/* RFC 8445 section 7.2.2: the priority is that of the candidate that the peer may find us to be. */
void ice_check_write(const struct ice *ice, const struct ice_pair *pair, struct ice_packet *packet)
{
    char username[2 * ICE_TEXT_MAX + 2];
    size_t peer_len = strlen(ice->peer_fragment);
    memcpy(username, ice->peer_fragment, peer_len);
    username[peer_len] = ':';
    memcpy(username + peer_len + 1, ice->fragment, ICE_FRAGMENT_LEN);

    struct stun_writer writer;
    uint16_t preference = (uint16_t)(UINT16_MAX - pair->base);
    packet->base = pair->base;
    packet->to = ice->remotes[pair->remote].addr;
    stun_start(&writer, packet->bytes, sizeof packet->bytes, STUN_REQUEST, STUN_BINDING, &pair->id);
    stun_add_bytes(&writer, STUN_USERNAME, slice_of(username, peer_len + 1 + ICE_FRAGMENT_LEN));
    stun_add_number(&writer, STUN_PRIORITY, ice_priority(ICE_PEER_REFLEXIVE, preference));
    stun_add_number(&writer, pair->was_controlling ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED,
                    ice->tie_breaker);
    if (pair->is_nominating) {
        stun_add_bytes(&writer, STUN_USE_CANDIDATE, slice_of(NULL, 0));
    }
    stun_add_integrity(&writer, text_of(ice->peer_password));
    stun_add_fingerprint(&writer);
    packet->len = stun_end(&writer);
    must(packet->len > 0);
}

static struct slice text_of(const char *text)
{
    return slice_of(text, strlen(text));
}

/* --- hearing -------------------------------------------------------------------------------- */

bool ice_hear(struct ice *ice, uint64_t now_us, uint8_t base, const struct port_addr *from,
              struct slice bytes, struct ice_packet *answer)
{
    struct stun_message message;
    must(base < ice->local_count && ice->locals[base].type == ICE_HOST);
    answer->len = 0;
    if (!stun_is_message(bytes)) {
        return false;
    }
    if (!stun_read(bytes, &message) || message.method != STUN_BINDING) {
        return true; /* Looks like STUN, and is nothing that anybody here would want. */
    }
    if (ice->state == ICE_FAILED || ice->state == ICE_LOST) {
        return true;
    }
    answer->base = base;
    answer->to = *from;
    if (message.class == STUN_REQUEST) {
        request_hear(ice, base, from, now_us, &message, answer);
    } else if (message.class == STUN_SUCCESS || message.class == STUN_ERROR) {
        answer_hear(ice, base, from, now_us, &message);
    }
    return true;
}

/* --- requests of the peer ------------------------------------------------------------------- */

static void request_hear(struct ice *ice, uint8_t base, const struct port_addr *from,
                         uint64_t now_us, const struct stun_message *request,
                         struct ice_packet *answer)
{
    unsigned code = request_judge(ice, request);
    if (code == 0 && !conflict_resolve(ice, request)) {
        code = STUN_ROLE_CONFLICT;
    }
    if (code != 0) {
        refuse(ice, code, request, answer);
        return;
    }
    confirm(ice, request, answer);
    request_take(ice, base, from, now_us, request);
}

/* RFC 8489 section 9.1.3, RFC 8445 section 7.3. 0: it is the peer's. */
static unsigned request_judge(const struct ice *ice, const struct stun_message *request)
{
    struct stun_types unknown;
    if (!stun_has(request, STUN_USERNAME) || !stun_has(request, STUN_MESSAGE_INTEGRITY)) {
        return STUN_BAD_REQUEST;
    }
    if (!is_for_us(ice, request->username) ||
        !stun_integrity_is_valid(request, text_of(ice->password))) {
        return STUN_UNAUTHENTICATED;
    }
    unknown_find(request, &unknown);
    return unknown.count > 0 ? STUN_UNKNOWN_ATTRIBUTE : 0;
}

/* What stands behind the colon is the peer's fragment, which may not have come yet. */
static bool is_for_us(const struct ice *ice, struct slice username)
{
    return username.len > ICE_FRAGMENT_LEN &&
           memcmp(username.data, ice->fragment, ICE_FRAGMENT_LEN) == 0 &&
           username.data[ICE_FRAGMENT_LEN] == ':';
}

static void unknown_find(const struct stun_message *request, struct stun_types *unknown)
{
    *unknown = request->unknown;
    for (size_t i = 0; i < array_len(foreign); i++) {
        if (stun_has(request, foreign[i]) && unknown->count < STUN_UNKNOWN_MAX) {
            unknown->type[unknown->count++] = (uint16_t)foreign[i];
        }
    }
}

/* RFC 8445 section 7.3.1.1: of two in one role, the one with the larger number controls. False: the
 * peer has to give way. */
static bool conflict_resolve(struct ice *ice, const struct stun_message *request)
{
    bool is_conflict =
        stun_has(request, ice->is_controlling ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED);
    if (!is_conflict) {
        return true;
    }
    bool is_larger =
        ice->tie_breaker >= (ice->is_controlling ? request->controlling : request->controlled);
    if (ice->is_controlling == is_larger) {
        return false;
    }
    role_set(ice, is_larger);
    return true;
}

/* Nominations end: whoever controls now makes its own. */
static void role_set(struct ice *ice, bool is_controlling)
{
    ice->is_controlling = is_controlling;
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        struct ice_pair *pair = &ice->pairs[i];
        pair->wants_nomination = false;
        if (pair->is_nominating) {
            pair->is_nominating = false;
            pair->turn = 0;
            pair->state = ICE_PAIR_SUCCEEDED;
        }
    }
}

/* Whoever has not proved to be the peer gets no more bytes than it has sent, and no proof. */
static void refuse(const struct ice *ice, unsigned code, const struct stun_message *request,
                   struct ice_packet *answer)
{
    bool is_peer = code == STUN_UNKNOWN_ATTRIBUTE || code == STUN_ROLE_CONFLICT;
    struct stun_writer writer;
    size_t cap = sizeof answer->bytes;
    if (!is_peer && request->bytes.len < cap) {
        cap = request->bytes.len;
    }
    stun_start(&writer, answer->bytes, cap, STUN_ERROR, STUN_BINDING, &request->id);
    stun_add_error(&writer, (enum stun_error)code);
    if (code == STUN_UNKNOWN_ATTRIBUTE) {
        struct stun_types unknown;
        unknown_find(request, &unknown);
        stun_add_unknown(&writer, &unknown);
    }
    if (is_peer) {
        stun_add_integrity(&writer, text_of(ice->password));
    }
    stun_add_fingerprint(&writer);
    answer->len = stun_end(&writer);
    must(answer->len > 0 || !is_peer);
}

static void confirm(const struct ice *ice, const struct stun_message *request,
                    struct ice_packet *answer)
{
    struct stun_writer writer;
    stun_start(&writer, answer->bytes, sizeof answer->bytes, STUN_SUCCESS, STUN_BINDING,
               &request->id);
    stun_add_addr(&writer, STUN_XOR_MAPPED_ADDRESS, &answer->to);
    stun_add_integrity(&writer, text_of(ice->password));
    stun_add_fingerprint(&writer);
    answer->len = stun_end(&writer);
    must(answer->len > 0);
}

/* RFC 8445 sections 7.3.1.3 to 7.3.1.5. */
static void request_take(struct ice *ice, uint8_t base, const struct port_addr *from,
                         uint64_t now_us, const struct stun_message *request)
{
    uint8_t remote = remote_learn(ice, from, request);
    struct ice_pair *pair = remote != ICE_NONE ? ice_pair_find(ice, base, remote) : NULL;
    if (pair == NULL) {
        return;
    }
    bool is_wanted = !ice->is_controlling && stun_has(request, STUN_USE_CANDIDATE);
    if (pair->valid != ICE_NONE) {
        if (is_wanted) {
            ice_pair_select(ice, pair, now_us);
        }
        return;
    }
    bool is_better = ice->selected == ICE_NONE ||
                     ice_pair_rank(ice, pair) > ice_pair_rank(ice, &ice->pairs[ice->selected]);
    if (ice->selected != ICE_NONE && !(is_wanted && is_better)) {
        return;
    }
    pair->wants_nomination |= is_wanted;
    ice_pair_trigger(ice, pair);
}

/* Consent may be asked for without PRIORITY (RFC 7675), but nobody is learnt by that. */
static uint8_t remote_learn(struct ice *ice, const struct port_addr *from,
                            const struct stun_message *request)
{
    uint8_t known = ice_remote_find(ice, from);
    if (known != ICE_NONE || !stun_has(request, STUN_PRIORITY)) {
        return known;
    }
    struct ice_candidate learnt = {
        .addr = *from, .type = ICE_PEER_REFLEXIVE, .priority = request->priority};
    return ice_remote_add(ice, &learnt);
}

/* --- answers of the peer -------------------------------------------------------------------- */

static void answer_hear(struct ice *ice, uint8_t base, const struct port_addr *from,
                        uint64_t now_us, const struct stun_message *answer)
{
    struct ice_pair *pair = asked_find(ice, base, from, answer);
    if (pair == NULL || !stun_integrity_is_valid(answer, text_of(ice->peer_password))) {
        return;
    }
    if (answer->class == STUN_SUCCESS && stun_has(answer, STUN_XOR_MAPPED_ADDRESS)) {
        pair->is_open = false; /* An answer that is recorded and sent again proves nothing. */
        succeeded(ice, pair, answer, now_us);
    } else if (answer->class == STUN_ERROR && stun_has(answer, STUN_ERROR_CODE)) {
        pair->is_open = false;
        refused(ice, pair, answer);
    }
}

/* RFC 8445 section 7.2.5.2.1 has a pair fail when its answer takes another way than its request.
 * Here such an answer does not count: the right one may still come, and without it the pair fails
 * as well. */
static struct ice_pair *asked_find(struct ice *ice, uint8_t base, const struct port_addr *from,
                                   const struct stun_message *answer)
{
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        struct ice_pair *pair = &ice->pairs[i];
        if (pair->is_open && memcmp(&pair->id, &answer->id, sizeof pair->id) == 0) {
            bool is_due =
                pair->base == base && port_addr_equal(&ice->remotes[pair->remote].addr, from);
            return is_due && answer->unknown.count == 0 ? pair : NULL;
        }
    }
    return NULL;
}

/* Section 7.2.5.3. */
static void succeeded(struct ice *ice, struct ice_pair *pair, const struct stun_message *answer,
                      uint64_t now_us)
{
    bool is_agreed = ice->is_controlling ? pair->is_nominating : pair->wants_nomination;
    if (pair->valid == ICE_NONE) {
        pair->valid_us = now_us;
    }
    pair->valid = local_learn(ice, pair, &answer->xor_mapped);
    pair->state = ICE_PAIR_SUCCEEDED;
    pair->turn = 0;
    pair->is_nominating = false;
    pair->wants_nomination = false;
    if (ice->selected == (uint8_t)(pair - ice->pairs)) {
        ice->consent_end_us = now_us + ICE_CONSENT_LOST_US;
    }
    if (ice->state == ICE_RUNNING) {
        ice_pair_thaw(ice, pair);
    }
    if (is_agreed) {
        ice_pair_select(ice, pair, now_us);
    }
}

/* Section 7.2.5.3.1: what the peer sees may be a candidate that we have not known. */
static uint8_t local_learn(struct ice *ice, const struct ice_pair *pair,
                           const struct port_addr *mapped)
{
    uint8_t known = ice_local_find(ice, pair->base, mapped);
    if (known != ICE_NONE) {
        return known;
    }
    uint16_t preference = (uint16_t)(UINT16_MAX - pair->base);
    struct ice_candidate learnt = {
        .addr = *mapped,
        .type = ICE_PEER_REFLEXIVE,
        .priority = ice_priority(ICE_PEER_REFLEXIVE, preference),
        .base = pair->base,
    };
    uint8_t added = ice_local_add(ice, &learnt);
    return added != ICE_NONE ? added : pair->base;
}

/* Section 7.2.5.1: a conflict of roles is resolved by us, any other refusal is the end. */
static void refused(struct ice *ice, struct ice_pair *pair, const struct stun_message *answer)
{
    bool is_conflict = answer->error_code == STUN_ROLE_CONFLICT;
    if (is_conflict && pair->was_controlling == ice->is_controlling) {
        uint8_t drawn[8];
        ice_draw(ice, drawn, sizeof drawn);
        struct reader reader = reader_of(slice_of(drawn, sizeof drawn));
        ice->tie_breaker = read_u64(&reader);
        role_set(ice, !ice->is_controlling);
    }
    if (pair->valid != ICE_NONE && !pair->is_nominating) {
        return; /* It was about consent, which will be asked for again. */
    }
    if (is_conflict) {
        ice_pair_trigger(ice, pair);
    } else {
        pair->state = ICE_PAIR_FAILED;
        pair->turn = 0;
        pair->valid = ICE_NONE;
        pair->is_nominating = false;
    }
}
