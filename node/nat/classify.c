/* classify.c - counting who has seen what, and what that says about the box between. */
#include "node/nat/classify.h"

#include <string.h>

#include "node/wire/codec.h"
#include "node/wire/contact.h"

enum { DOUBT_MAX = 9 }; /* Halvings after which 1000 thousandths are used up. */

/* What speaks for and against each step of a verdict. */
struct tally {
    int same;      /* Addresses beyond the first that see what most see. */
    int different; /* Addresses that see something else. */
    int port_same; /* Pairs of ports of one address, on a mapping that depends on addresses. */
    int port_different;
    bool is_bare; /* What most see is what we are. */
};

static uint16_t port_of(const struct port_addr *addr);
static bool same_ip(const struct port_addr *a, const struct port_addr *b);
static struct classify_entry *entry_of(struct classify *classify,
                                       const struct classify_sight *sight);
static void forget_shared(struct classify *classify, const struct classify_entry *changed);
static struct classify_entry *place_for(struct classify *classify,
                                        const struct classify_sight *sight);
static struct classify_entry *oldest_of(struct classify *classify, int path,
                                        const struct port_addr *remote, size_t *count);
static void judge_mapping(const struct classify *classify, struct nat_class *class);
static const struct classify_entry *common_of(const struct classify *classify, uint16_t path,
                                              uint32_t *votes);
static uint32_t votes_for(const struct classify *classify, const struct classify_entry *wanted);
static void tally_path(const struct classify *classify, uint16_t path, struct tally *tally);
static uint64_t newest_of(const struct classify *classify, uint16_t path);
static void tally_pairs(const struct classify *classify, uint16_t path, struct tally *tally);
static void judge_assignment(const struct classify *classify, struct nat_class *class);
static size_t made_in_order(const struct classify *classify,
                            const struct classify_entry *made[CLASSIFY_SIGHTS_MAX]);
static int step_of(const struct classify_entry *const *made, size_t count);
static bool is_random(const struct classify_entry *const *made, size_t count);
static void judge_filtering(const struct classify *classify, struct nat_class *class);
static int proof_of(const struct classify_count *count);
static uint8_t fact_of(const struct classify_count *count);
static uint8_t blocked_of(const struct classify *classify);
static uint16_t permille_of(int excess);

void classify_start(struct classify *classify)
{
    *classify = (struct classify){0};
}

/* --- remembering --------------------------------------------------------------------------- */

void classify_saw(struct classify *classify, const struct classify_sight *sight)
{
    bool is_v4 = port_addr_is_v4(&sight->remote);
    bool is_bare = port_addr_equal(&sight->mapped, &sight->local);
    bool is_other_family =
        is_v4 != port_addr_is_v4(&sight->mapped) ||
        (classify->count > 0 && is_v4 != port_addr_is_v4(&classify->entries[0].remote));
    /* A peer on our side of the box says nothing about the box. */
    if (is_other_family || port_of(&sight->mapped) == 0 ||
        (is_bare && classify_is_private(&sight->local) && classify_is_private(&sight->remote))) {
        return;
    }
    classify->silent = 0;
    struct classify_entry *entry = entry_of(classify, sight);
    if (entry != NULL && !port_addr_equal(&entry->mapped, &sight->mapped)) {
        if (sight->asked_us < entry->seen_us) {
            return; /* An answer that was overtaken. */
        }
        struct classify_entry changed = *entry;
        forget_shared(classify, &changed);
        entry = NULL;
    }
    uint64_t made_us = sight->asked_us;
    uint64_t seen_us = sight->asked_us;
    if (entry == NULL) {
        entry = place_for(classify, sight);
    } else {
        made_us = entry->made_us < made_us ? entry->made_us : made_us;
        seen_us = entry->seen_us > seen_us ? entry->seen_us : seen_us;
    }
    *entry = (struct classify_entry){
        .remote = sight->remote,
        .mapped = sight->mapped,
        .path = sight->path,
        .is_bare = is_bare,
        .is_preserved = port_of(&sight->mapped) == port_of(&sight->local),
        .made_us = made_us,
        .seen_us = seen_us,
    };
}

/* RFC 1918, RFC 6598, RFC 3927, loopback; RFC 4193, RFC 4291 sections 2.5.3 and 2.5.6. */
bool classify_is_private(const struct port_addr *addr)
{
    static const uint8_t one[16] = {[15] = 1};
    const uint8_t *ip = addr->ip;
    if (!port_addr_is_v4(addr)) {
        return (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) ||
               memcmp(ip, one, sizeof one) == 0;
    }
    return ip[12] == 10 || ip[12] == 127 || (ip[12] == 172 && (ip[13] & 0xf0) == 16) ||
           (ip[12] == 192 && ip[13] == 168) || (ip[12] == 100 && (ip[13] & 0xc0) == 64) ||
           (ip[12] == 169 && ip[13] == 254);
}

static uint16_t port_of(const struct port_addr *addr)
{
    struct reader reader = reader_of(slice_of(addr->port, sizeof addr->port));
    return read_u16(&reader);
}

static bool same_ip(const struct port_addr *a, const struct port_addr *b)
{
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static struct classify_entry *entry_of(struct classify *classify,
                                       const struct classify_sight *sight)
{
    for (uint8_t i = 0; i < classify->count; i++) {
        struct classify_entry *entry = &classify->entries[i];
        if (entry->path == sight->path && port_addr_equal(&entry->remote, &sight->remote)) {
            return entry;
        }
    }
    return NULL;
}

/* The box has made this mapping anew. Who had seen the same one would be told the new one too, and
 * must not pass for somebody who is told another. */
static void forget_shared(struct classify *classify, const struct classify_entry *changed)
{
    uint8_t kept = 0;
    for (uint8_t i = 0; i < classify->count; i++) {
        const struct classify_entry *entry = &classify->entries[i];
        if (entry->path != changed->path || !port_addr_equal(&entry->mapped, &changed->mapped)) {
            classify->entries[kept++] = *entry;
        }
    }
    classify->count = kept;
}

/* An entry to write over: the oldest of this address when there are enough of it, a new one, or the
 * oldest of all. */
static struct classify_entry *place_for(struct classify *classify,
                                        const struct classify_sight *sight)
{
    size_t count;
    struct classify_entry *oldest = oldest_of(classify, sight->path, &sight->remote, &count);
    if (count >= CLASSIFY_SIGHTS_OF_ONE) {
        return oldest;
    }
    if (classify->count < CLASSIFY_SIGHTS_MAX) {
        return &classify->entries[classify->count++];
    }
    return oldest_of(classify, -1, NULL, &count);
}

/* Of one path and address, or with remote NULL of all. */
static struct classify_entry *oldest_of(struct classify *classify, int path,
                                        const struct port_addr *remote, size_t *count)
{
    struct classify_entry *oldest = NULL;
    *count = 0;
    for (uint8_t i = 0; i < classify->count; i++) {
        struct classify_entry *entry = &classify->entries[i];
        if (remote != NULL && (entry->path != path || !same_ip(&entry->remote, remote))) {
            continue;
        }
        (*count)++;
        if (oldest == NULL || entry->seen_us < oldest->seen_us) {
            oldest = entry;
        }
    }
    return oldest;
}

void classify_probed(struct classify *classify, enum classify_probe probe, bool came)
{
    struct classify_count *count = &classify->probes[probe];
    uint8_t *counter = came ? &count->came : &count->missed;
    if (*counter == UINT8_MAX) { /* Their proportion is what matters. */
        count->came /= 2;
        count->missed /= 2;
    }
    (*counter)++;
}

void classify_silent(struct classify *classify, const struct port_addr *remote)
{
    if (classify->silent == 0) {
        memcpy(classify->silent_ip, remote->ip, sizeof classify->silent_ip);
        classify->is_silence_wide = false;
    }
    if (memcmp(classify->silent_ip, remote->ip, sizeof classify->silent_ip) != 0) {
        classify->is_silence_wide = true;
    }
    if (classify->silent < UINT8_MAX) {
        classify->silent++;
    }
}

/* --- judging ------------------------------------------------------------------------------- */

void classify_result(const struct classify *classify, struct nat_class *class)
{
    *class = (struct nat_class){0};
    judge_mapping(classify, class);
    judge_assignment(classify, class);
    judge_filtering(classify, class);
    class->hairpin = fact_of(&classify->probes[CLASSIFY_HAIRPIN]);
    class->blocked = blocked_of(classify);
}

static void judge_mapping(const struct classify *classify, struct nat_class *class)
{
    struct tally tally = {.is_bare = true};
    for (uint8_t i = 0; i < classify->count; i++) {
        uint16_t path = classify->entries[i].path;
        uint8_t first = 0;
        while (classify->entries[first].path != path) {
            first++;
        }
        if (first == i) {
            tally_path(classify, path, &tally);
        }
    }
    uint32_t votes;
    const struct classify_entry *common = common_of(classify, PORT_MAIN_PATH, &votes);
    if (common != NULL) {
        class->has_mapped = true;
        class->mapped = common->mapped;
    }
    int excess = tally.same - tally.different;
    if (excess > 0) {
        class->mapping = tally.is_bare ? NAT_MAPPING_NONE : NAT_MAPPING_ENDPOINT_INDEPENDENT;
        class->mapping_permille = permille_of(excess);
        return;
    }
    int port_excess = tally.port_different - tally.port_same;
    class->is_dependent = excess < 0;
    if (excess < 0 && port_excess != 0) {
        int port_size = port_excess > 0 ? port_excess : -port_excess;
        class->mapping = port_excess > 0 ? NAT_MAPPING_ADDRESS_AND_PORT_DEPENDENT
                                         : NAT_MAPPING_ADDRESS_DEPENDENT;
        class->mapping_permille = permille_of(-excess < port_size ? -excess : port_size);
    }
}

/* The sight of this path that most addresses share; of as many, the newest. NULL: none. */
static const struct classify_entry *common_of(const struct classify *classify, uint16_t path,
                                              uint32_t *votes)
{
    const struct classify_entry *common = NULL;
    *votes = 0;
    for (uint8_t i = 0; i < classify->count; i++) {
        const struct classify_entry *entry = &classify->entries[i];
        if (entry->path != path) {
            continue;
        }
        uint32_t count = votes_for(classify, entry);
        if (common == NULL || count > *votes ||
            (count == *votes && entry->seen_us > common->seen_us)) {
            common = entry;
            *votes = count;
        }
    }
    return common;
}

/* Addresses that have seen the same; two ports of one count once. */
static uint32_t votes_for(const struct classify *classify, const struct classify_entry *wanted)
{
    uint32_t votes = 0;
    for (uint8_t i = 0; i < classify->count; i++) {
        const struct classify_entry *entry = &classify->entries[i];
        bool is_counted =
            entry->path != wanted->path || !port_addr_equal(&entry->mapped, &wanted->mapped);
        for (uint8_t k = 0; k < i && !is_counted; k++) {
            const struct classify_entry *before = &classify->entries[k];
            is_counted = before->path == entry->path && same_ip(&before->remote, &entry->remote) &&
                         port_addr_equal(&before->mapped, &wanted->mapped);
        }
        votes += is_counted ? 0 : 1;
    }
    return votes;
}

static void tally_path(const struct classify *classify, uint16_t path, struct tally *tally)
{
    uint32_t votes;
    const struct classify_entry *common = common_of(classify, path, &votes);
    uint64_t newest_us = newest_of(classify, path);
    /* That we are seen as we are needs nobody's agreement. */
    tally->same += (int)votes - (common->is_bare ? 0 : 1);
    tally->is_bare &= common->is_bare;
    for (uint8_t i = 0; i < classify->count; i++) {
        const struct classify_entry *entry = &classify->entries[i];
        bool is_counted = entry->path != path || entry->seen_us + CLASSIFY_SPAN_US < newest_us ||
                          port_addr_equal(&entry->mapped, &common->mapped);
        for (uint8_t k = 0; k < i && !is_counted; k++) {
            const struct classify_entry *before = &classify->entries[k];
            is_counted = before->path == path && same_ip(&before->remote, &entry->remote) &&
                         before->seen_us + CLASSIFY_SPAN_US >= newest_us &&
                         !port_addr_equal(&before->mapped, &common->mapped);
        }
        tally->different += is_counted ? 0 : 1;
    }
    tally_pairs(classify, path, tally);
}

static uint64_t newest_of(const struct classify *classify, uint16_t path)
{
    uint64_t newest_us = 0;
    for (uint8_t i = 0; i < classify->count; i++) {
        const struct classify_entry *entry = &classify->entries[i];
        if (entry->path == path && entry->seen_us > newest_us) {
            newest_us = entry->seen_us;
        }
    }
    return newest_us;
}

/* Two ports of one address: RFC 5780 section 4.3, tests II and III. */
static void tally_pairs(const struct classify *classify, uint16_t path, struct tally *tally)
{
    for (uint8_t i = 0; i < classify->count; i++) {
        const struct classify_entry *a = &classify->entries[i];
        for (uint8_t k = 0; k < i; k++) {
            const struct classify_entry *b = &classify->entries[k];
            if (a->path != path || b->path != path || !same_ip(&a->remote, &b->remote)) {
                continue;
            }
            uint64_t apart_us =
                a->seen_us > b->seen_us ? a->seen_us - b->seen_us : b->seen_us - a->seen_us;
            bool is_same = port_addr_equal(&a->mapped, &b->mapped);
            tally->port_same += is_same ? 1 : 0;
            tally->port_different += !is_same && apart_us <= CLASSIFY_SPAN_US ? 1 : 0;
        }
    }
}

static void judge_assignment(const struct classify *classify, struct nat_class *class)
{
    const struct classify_entry *made[CLASSIFY_SIGHTS_MAX];
    size_t count = made_in_order(classify, made);
    if (count == 0) {
        return;
    }
    int preserved = 0;
    for (size_t i = 0; i < count; i++) {
        preserved += made[i]->is_preserved ? 1 : 0;
    }
    int other = (int)count - preserved;
    int step = step_of(made, count);
    int excess = 0;
    class->port_last = port_of(&made[count - 1]->mapped);
    if (other == 0 || (step == 0 && preserved >= 2 && preserved > other)) {
        class->assignment = NAT_ASSIGNMENT_PRESERVED;
        excess = preserved - other;
    } else if (step != 0) {
        class->assignment = NAT_ASSIGNMENT_SEQUENTIAL;
        class->step = (int16_t)step;
        excess = (int)count - 1;
    } else if (is_random(made, count)) {
        class->assignment = NAT_ASSIGNMENT_RANDOM;
        excess = (int)count - 2;
    }
    class->assignment_permille = permille_of(excess);
}

/* One sight of each mapping, in the order in which the box has made them. */
static size_t made_in_order(const struct classify *classify,
                            const struct classify_entry *made[CLASSIFY_SIGHTS_MAX])
{
    size_t count = 0;
    for (uint8_t i = 0; i < classify->count; i++) {
        const struct classify_entry *entry = &classify->entries[i];
        size_t same = 0;
        while (same < count && (made[same]->path != entry->path ||
                                !port_addr_equal(&made[same]->mapped, &entry->mapped))) {
            same++;
        }
        if (same < count && made[same]->made_us <= entry->made_us) {
            continue;
        }
        /* The later ones move up, over the later sight of the same if there was one. */
        count += same == count ? 1 : 0;
        size_t at = same;
        while (at > 0 && made[at - 1]->made_us > entry->made_us) {
            made[at] = made[at - 1];
            at--;
        }
        made[at] = entry;
    }
    return count;
}

static int distance_of(const struct classify_entry *a, const struct classify_entry *b)
{
    return (int)port_of(&b->mapped) - (int)port_of(&a->mapped);
}

/* The largest step of which all distances are multiples: somebody else behind the box may have
 * been given a port in between. 0: they are not all short and in one direction. */
static int step_of(const struct classify_entry *const *made, size_t count)
{
    int step = 0;
    for (size_t i = 1; i < count; i++) {
        int distance = distance_of(made[i - 1], made[i]);
        int size = distance < 0 ? -distance : distance;
        if (distance == 0 || size > CLASSIFY_STEP_MAX ||
            (step != 0 && (distance < 0) != (step < 0))) {
            return 0;
        }
        int a = size;
        int b = step < 0 ? -step : step;
        while (b != 0) {
            int rest = a % b;
            a = b;
            b = rest;
        }
        step = distance < 0 ? -a : a;
    }
    return count >= 3 ? step : 0;
}

/* Long ways in both directions, soon after each other: ports that count up go one way only, but for
 * the single moment in which they begin anew. */
static bool is_random(const struct classify_entry *const *made, size_t count)
{
    int up = 0;
    int down = 0;
    for (size_t i = 1; i < count; i++) {
        int distance = distance_of(made[i - 1], made[i]);
        if (made[i]->made_us - made[i - 1]->made_us <= CLASSIFY_SPAN_US) {
            up += distance > CLASSIFY_STEP_MAX ? 1 : 0;
            down += distance < -CLASSIFY_STEP_MAX ? 1 : 0;
        }
    }
    return up > 0 && down > 0;
}

static void judge_filtering(const struct classify *classify, struct nat_class *class)
{
    int address = proof_of(&classify->probes[CLASSIFY_OTHER_ADDRESS]);
    int port = proof_of(&classify->probes[CLASSIFY_OTHER_PORT]);
    int size = port < 0 ? -port : port;
    if (address > 0) {
        class->filtering = NAT_FILTERING_ENDPOINT_INDEPENDENT;
        class->filtering_permille = permille_of(address);
    } else if (address < 0 && port != 0) {
        class->filtering =
            port > 0 ? NAT_FILTERING_ADDRESS_DEPENDENT : NAT_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
        class->filtering_permille = permille_of(-address < size ? -address : size);
    }
}

/* Above 0: they come through. Below: they do not. */
static int proof_of(const struct classify_count *count)
{
    int excess = CLASSIFY_PROOF * count->came - count->missed;
    bool is_silent = count->came == 0 && count->missed >= CLASSIFY_MISSES_MIN;
    return excess > 0 || is_silent ? excess : 0;
}

static uint8_t fact_of(const struct classify_count *count)
{
    int excess = proof_of(count);
    return excess == 0 ? NAT_FACT_UNKNOWN : excess > 0 ? NAT_FACT_YES : NAT_FACT_NO;
}

static uint8_t blocked_of(const struct classify *classify)
{
    if (classify->silent >= CLASSIFY_SILENT_MIN && classify->is_silence_wide) {
        return NAT_FACT_YES;
    }
    return classify->count > 0 ? NAT_FACT_NO : NAT_FACT_UNKNOWN;
}

static uint16_t permille_of(int excess)
{
    if (excess <= 0) {
        return 0;
    }
    return (uint16_t)(1000 - (1000 >> (excess < DOUBT_MAX ? excess : DOUBT_MAX)));
}

size_t nat_class_predict(const struct nat_class *class, uint16_t *ports, size_t max)
{
    bool is_one =
        class->mapping == NAT_MAPPING_NONE || class->mapping == NAT_MAPPING_ENDPOINT_INDEPENDENT;
    size_t count = 0;
    if (is_one && class->has_mapped && max > 0) {
        ports[count++] = port_of(&class->mapped);
    } else if (!is_one && class->assignment == NAT_ASSIGNMENT_PRESERVED && max > 0) {
        ports[count++] = class->port_last;
    } else if (!is_one && class->assignment == NAT_ASSIGNMENT_SEQUENTIAL) {
        int port = class->port_last + class->step;
        while (count < max && port >= CLASSIFY_PORT_MIN && port <= UINT16_MAX) {
            ports[count++] = (uint16_t)port;
            port += class->step;
        }
    }
    return count;
}

/* --- names --------------------------------------------------------------------------------- */

const char *nat_mapping_text(unsigned mapping)
{
    static const char *const texts[NAT_MAPPING_COUNT] = {"unknown", "none", "endpoint_independent",
                                                         "address_dependent",
                                                         "address_and_port_dependent"};
    return texts[mapping < NAT_MAPPING_COUNT ? mapping : NAT_MAPPING_UNKNOWN];
}

const char *nat_filtering_text(unsigned filtering)
{
    static const char *const texts[NAT_FILTERING_COUNT] = {
        "unknown", "endpoint_independent", "address_dependent", "address_and_port_dependent"};
    return texts[filtering < NAT_FILTERING_COUNT ? filtering : NAT_FILTERING_UNKNOWN];
}

const char *nat_assignment_text(unsigned assignment)
{
    static const char *const texts[NAT_ASSIGNMENT_COUNT] = {"unknown", "preserved", "sequential",
                                                            "random"};
    return texts[assignment < NAT_ASSIGNMENT_COUNT ? assignment : NAT_ASSIGNMENT_UNKNOWN];
}

const char *nat_fact_text(unsigned fact)
{
    static const char *const texts[NAT_FACT_COUNT] = {"unknown", "no", "yes"};
    return texts[fact < NAT_FACT_COUNT ? fact : NAT_FACT_UNKNOWN];
}
