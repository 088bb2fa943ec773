/* ice.c - the door of the ICE agent: candidates in, and what is to be sent when. */
#include "node/nat/ice.h"

#include "node/base/must.h"
#include "node/nat/ice_parts.h"
#include "node/nat/stun_client.h"

/* RFC 8445 section 5.1.2.2. */
static const uint32_t type_preferences[] = {
    [ICE_HOST] = 126, [ICE_REFLEXIVE] = 100, [ICE_PEER_REFLEXIVE] = 110, [ICE_RELAYED] = 0};

static void text_draw(struct ice *ice, char *text, size_t len);
static void foundation_make(const struct ice *ice, struct ice_candidate *candidate);
static bool text_is_allowed(const char *text, size_t min, size_t max);
static bool is_over(const struct ice *ice);
static bool all_have_failed(const struct ice *ice);
static uint64_t nomination_us(const struct ice *ice);
static uint8_t best_valid(const struct ice *ice);
static bool has_hope_above(const struct ice *ice, uint64_t rank);
static uint64_t patience_us(const struct ice *ice, const struct ice_pair *pair);
static bool repeat(struct ice *ice, uint64_t now_us, struct ice_packet *packet);
static void pair_fail(struct ice_pair *pair);
static bool consent_ask(struct ice *ice, uint64_t now_us, struct ice_packet *packet);
static void nominate(struct ice *ice, uint64_t now_us);
static bool check(struct ice *ice, uint64_t now_us, struct ice_packet *packet);

/* --- candidates ----------------------------------------------------------------------------- */

void ice_start(struct ice *ice, const struct ice_options *options)
{
    uint8_t drawn[8];
    *ice = (struct ice){.is_controlling = options->is_controlling, .selected = ICE_NONE};
    memcpy(ice->entropy, options->entropy, sizeof ice->entropy);
    text_draw(ice, ice->fragment, ICE_FRAGMENT_LEN);
    text_draw(ice, ice->password, ICE_PASSWORD_LEN);
    ice_draw(ice, drawn, sizeof drawn);
    struct reader reader = reader_of(slice_of(drawn, sizeof drawn));
    ice->tie_breaker = read_u64(&reader);
}

static const char ice_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void text_draw(struct ice *ice, char *text, size_t len)
{
    ice_draw(ice, text, len);
    for (size_t i = 0; i < len; i++) {
        text[i] = ice_chars[(uint8_t)text[i] % 64];
    }
    text[len] = '\0';
}

int ice_add_host(struct ice *ice, const struct port_addr *addr)
{
    uint8_t number = ice->local_count;
    struct ice_candidate candidate = {
        .addr = *addr,
        .type = ICE_HOST,
        .priority = ice_priority(ICE_HOST, (uint16_t)(UINT16_MAX - number)),
        .base = number,
    };
    foundation_make(ice, &candidate);
    return ice_local_add(ice, &candidate) != ICE_NONE ? number : ERR_FULL;
}

int ice_add_reflexive(struct ice *ice, uint8_t base, const struct port_addr *addr,
                      const struct port_addr *server)
{
    must(base < ice->local_count && ice->locals[base].type == ICE_HOST);
    uint8_t known = ice_local_find(ice, base, addr);
    if (known != ICE_NONE) {
        return known;
    }
    uint8_t number = ice->local_count;
    struct ice_candidate candidate = {
        .addr = *addr,
        .type = ICE_REFLEXIVE,
        .priority = ice_priority(ICE_REFLEXIVE, (uint16_t)(UINT16_MAX - number)),
        .base = base,
        .server = *server,
    };
    foundation_make(ice, &candidate);
    return ice_local_add(ice, &candidate) != ICE_NONE ? number : ERR_FULL;
}

/* RFC 8445 section 5.1.1.3: the same for the same type, base address and server address. */
static void foundation_make(const struct ice *ice, struct ice_candidate *candidate)
{
    uint8_t first = ice->local_count;
    for (uint8_t i = 0; i < ice->local_count && first == ice->local_count; i++) {
        const struct ice_candidate *other = &ice->locals[i];
        const struct port_addr *own_base =
            candidate->type == ICE_HOST ? &candidate->addr : &ice->locals[candidate->base].addr;
        if (other->type == candidate->type &&
            memcmp(ice->locals[other->base].addr.ip, own_base->ip, sizeof own_base->ip) == 0 &&
            memcmp(other->server.ip, candidate->server.ip, sizeof other->server.ip) == 0) {
            first = i;
        }
    }
    candidate->foundation[0] = (char)('1' + first);
}

int ice_set_peer(struct ice *ice, const char *fragment, const char *password, uint64_t now_us)
{
    if (!text_is_allowed(fragment, ICE_FRAGMENT_MIN, ICE_TEXT_MAX) ||
        !text_is_allowed(password, ICE_PASSWORD_MIN, ICE_TEXT_MAX)) {
        return ERR_INVALID;
    }
    memcpy(ice->peer_fragment, fragment, strlen(fragment) + 1);
    memcpy(ice->peer_password, password, strlen(password) + 1);
    ice->has_peer = true;
    ice->pace_us = now_us;
    ice->failure_us = now_us + ICE_FAILURE_MIN_US;
    return ERR_OK;
}

/* RFC 8839 section 5.4: letters, digits, plus and slash. */
static bool text_is_allowed(const char *text, size_t min, size_t max)
{
    size_t len = 0;
    while (len <= max && text[len] != '\0') {
        if (memchr(ice_chars, text[len], sizeof ice_chars - 1) == NULL) {
            return false;
        }
        len++;
    }
    return len >= min && len <= max;
}

/* What a check was faster to show is what the peer says it is: RFC 8838 section 11. */
int ice_add_remote(struct ice *ice, const struct ice_candidate *candidate)
{
    if (!text_is_allowed(candidate->foundation, 1, ICE_FOUNDATION_MAX) ||
        candidate->type > ICE_RELAYED || candidate->priority == 0) {
        return ERR_INVALID;
    }
    uint8_t known = ice_remote_find(ice, &candidate->addr);
    if (known == ICE_NONE) {
        return ice_remote_add(ice, candidate) != ICE_NONE ? ERR_OK : ERR_FULL;
    }
    if (ice->remotes[known].foundation[0] == '\0') {
        ice->remotes[known] = *candidate;
    }
    return ERR_OK;
}

void ice_end_remotes(struct ice *ice)
{
    ice->has_all_remotes = true;
}

uint32_t ice_priority(enum ice_type type, uint16_t preference)
{
    enum { COMPONENT = 1 };
    return (1u << 24) * type_preferences[type] + (1u << 8) * preference + (256 - COMPONENT);
}

uint64_t ice_pair_priority(uint32_t controlling, uint32_t controlled)
{
    uint64_t less = controlling < controlled ? controlling : controlled;
    uint64_t more = controlling < controlled ? controlled : controlling;
    return (less << 32) + 2 * more + (controlling > controlled ? 1 : 0);
}

bool ice_selected(const struct ice *ice, struct ice_route *route)
{
    if (ice->state != ICE_COMPLETED) {
        return false;
    }
    const struct ice_pair *pair = &ice->pairs[ice->selected];
    const struct ice_candidate *local = &ice->locals[pair->valid];
    const struct ice_candidate *remote = &ice->remotes[pair->remote];
    *route = (struct ice_route){
        .base = pair->base,
        .local = local->addr,
        .remote = remote->addr,
        .local_type = local->type,
        .remote_type = remote->type,
    };
    return true;
}

/* --- when ----------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t ice_next_us(const struct ice *ice)
{
    if (is_over(ice) || !ice->has_peer) {
        return PORT_NEVER;
    }
    uint64_t next_us = nomination_us(ice);
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        if (ice->pairs[i].state == ICE_PAIR_CHECKED) {
            next_us = earlier(next_us, ice->pairs[i].next_us);
        }
    }
    if (ice_pair_next(ice) != NULL) {
        next_us = earlier(next_us, ice->pace_us);
    }
    if (ice->state == ICE_COMPLETED) {
        next_us = earlier(next_us, earlier(ice->consent_next_us, ice->consent_end_us));
    }
    return all_have_failed(ice) ? earlier(next_us, ice->failure_us) : next_us;
}

static bool is_over(const struct ice *ice)
{
    return ice->state == ICE_FAILED || ice->state == ICE_LOST;
}

static bool all_have_failed(const struct ice *ice)
{
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        if (ice->pairs[i].state != ICE_PAIR_FAILED) {
            return false;
        }
    }
    return ice->state == ICE_RUNNING && ice->has_all_remotes;
}

/* When the best of the pairs that work is nominated: at once if no better one is still being
 * checked, else after a while. PORT_NEVER: not now, or not by us. */
static uint64_t nomination_us(const struct ice *ice)
{
    uint8_t best = best_valid(ice);
    if (!ice->is_controlling || ice->state != ICE_RUNNING || best == ICE_NONE) {
        return PORT_NEVER;
    }
    uint64_t due_us = PORT_NEVER;
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        const struct ice_pair *pair = &ice->pairs[i];
        if (pair->is_nominating) {
            return PORT_NEVER;
        }
        if (pair->valid != ICE_NONE) {
            due_us = earlier(due_us, pair->valid_us + patience_us(ice, pair));
        }
    }
    const struct ice_pair *pair = &ice->pairs[best];
    return has_hope_above(ice, ice_pair_rank(ice, pair)) ? due_us : pair->valid_us;
}

static uint8_t best_valid(const struct ice *ice)
{
    uint8_t best = ICE_NONE;
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        const struct ice_pair *pair = &ice->pairs[i];
        if (pair->valid != ICE_NONE &&
            (best == ICE_NONE ||
             ice_pair_rank(ice, pair) > ice_pair_rank(ice, &ice->pairs[best]))) {
            best = i;
        }
    }
    return best;
}

static bool has_hope_above(const struct ice *ice, uint64_t rank)
{
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        const struct ice_pair *pair = &ice->pairs[i];
        if (pair->valid == ICE_NONE && pair->state != ICE_PAIR_FAILED &&
            ice_pair_rank(ice, pair) > rank) {
            return true;
        }
    }
    return false;
}

static uint64_t patience_us(const struct ice *ice, const struct ice_pair *pair)
{
    return ice->remotes[pair->remote].type == ICE_RELAYED ? ICE_PATIENCE_RELAY_US : ICE_PATIENCE_US;
}

/* --- what ----------------------------------------------------------------------------------- */

bool ice_ask(struct ice *ice, uint64_t now_us, struct ice_packet *packet)
{
    packet->len = 0;
    if (is_over(ice) || !ice->has_peer) {
        return false;
    }
    if (ice->state == ICE_COMPLETED && now_us >= ice->consent_end_us) {
        ice->state = ICE_LOST;
        return false;
    }
    if (repeat(ice, now_us, packet) || consent_ask(ice, now_us, packet)) {
        return true;
    }
    nominate(ice, now_us);
    if (check(ice, now_us, packet)) {
        return true;
    }
    if (now_us >= ice->failure_us && all_have_failed(ice)) {
        ice->state = ICE_FAILED;
    }
    return false;
}

/* RFC 8489 section 6.2.1: seven times, each pause twice as long as the one before. */
static bool repeat(struct ice *ice, uint64_t now_us, struct ice_packet *packet)
{
    for (uint8_t i = 0; i < ice->pair_count; i++) {
        struct ice_pair *pair = &ice->pairs[i];
        if (pair->state != ICE_PAIR_CHECKED || now_us < pair->next_us) {
            continue;
        }
        if (pair->sent == STUN_RC) {
            pair_fail(pair);
            continue;
        }
        uint64_t pauses = pair->sent + 1 < STUN_RC ? 1u << pair->sent : STUN_RM;
        pair->next_us = now_us + pauses * pair->rto_us;
        pair->sent++;
        ice_check_write(ice, pair, packet);
        return true;
    }
    return false;
}

static void pair_fail(struct ice_pair *pair)
{
    pair->state = ICE_PAIR_FAILED;
    pair->valid = ICE_NONE;
    pair->is_open = false;
    pair->is_nominating = false;
}

/* RFC 7675 section 5.1: each time another request, and none is repeated. */
static bool consent_ask(struct ice *ice, uint64_t now_us, struct ice_packet *packet)
{
    if (ice->state != ICE_COMPLETED || now_us < ice->consent_next_us) {
        return false;
    }
    struct ice_pair *pair = &ice->pairs[ice->selected];
    ice->consent_next_us = now_us + ice_consent_pause_us(ice);
    ice_check_renew(ice, pair);
    ice_check_write(ice, pair, packet);
    return true;
}

/* RFC 8445 section 8.1.1: the check is made again, and says that this is the pair. */
static void nominate(struct ice *ice, uint64_t now_us)
{
    if (now_us < nomination_us(ice)) {
        return;
    }
    struct ice_pair *pair = &ice->pairs[best_valid(ice)];
    pair->is_nominating = true;
    pair->is_open = false;
    ice_pair_trigger(ice, pair);
}

/* One check begins every Ta. Answers to the request of a check that is triggered while it is under
 * way still count, unless our role has changed meanwhile. */
static bool check(struct ice *ice, uint64_t now_us, struct ice_packet *packet)
{
    const struct ice_pair *next = ice_pair_next(ice);
    if (next == NULL || now_us < ice->pace_us) {
        return false;
    }
    struct ice_pair *pair = &ice->pairs[next - ice->pairs];
    if (!pair->is_open || pair->was_controlling != ice->is_controlling) {
        ice_check_renew(ice, pair);
    }
    pair->state = ICE_PAIR_CHECKED;
    pair->turn = 0;
    pair->sent = 1;
    uint32_t rto_us = ICE_TA_US * ice_pairs_busy(ice);
    pair->rto_us = rto_us > ICE_RTO_MIN_US ? rto_us : ICE_RTO_MIN_US;
    pair->next_us = now_us + pair->rto_us;
    ice->pace_us = now_us + ICE_TA_US;
    ice_check_write(ice, pair, packet);
    return true;
}
