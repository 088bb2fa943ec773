/* verb_mesh.c - the verbs about other nodes: who is there, how good, how near. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/daemon/verb_rows.h"

enum { CANDIDATES_MAX = 4 }; /* Named when a prefix fits several nodes. */

/* --- ids that are only begun ----------------------------------------------------------------- */

struct search {
    struct id_prefix prefix;
    struct node_id found[CANDIDATES_MAX];
    size_t count;
};

static void consider(struct search *search, const struct node_id *id)
{
    if (!id_prefix_matches(&search->prefix, id)) {
        return;
    }
    for (size_t i = 0; i < search->count; i++) {
        if (node_id_equal(&search->found[i], id)) {
            return;
        }
    }
    if (search->count < CANDIDATES_MAX) {
        search->found[search->count++] = *id;
    }
}

static void consider_peer(void *arg, const struct inspect_peer *peer)
{
    consider(arg, &peer->contact->id);
}

static void consider_known(void *arg, const struct inspect_known *known)
{
    consider(arg, &known->contact->id);
}

static void consider_ban(void *arg, const struct inspect_ban *ban)
{
    consider(arg, &ban->id);
}

/* False, and the call has ended, while no node runs. */
static const struct node *node_of(struct verb_call *call)
{
    const struct node *node = service_node(call->context.service);
    if (node == NULL) {
        verb_fail(call, VERB_FAILED, "%s: the node has stopped", call->verb->name);
    }
    return node;
}

bool verb_take_id(struct verb_call *call, size_t index, struct node_id *id)
{
    const char *word = call->words[index];
    const struct node *node = node_of(call);
    struct search search = {0};
    if (node == NULL) {
        return false;
    }
    if (!id_prefix_parse(word, &search.prefix)) {
        verb_fail(call, VERB_USAGE, "\"%.48s\" is no id: wanted are 1 to 40 hexadecimal digits",
                  word);
        return false;
    }
    if (search.prefix.digits == (size_t)2 * NODE_ID_LEN) {
        *id = search.prefix.id;
        return true;
    }
    consider(&search, &node->identity.id);
    node_inspect_peers(node, consider_peer, &search);
    node_inspect_known(node, consider_known, &search);
    node_inspect_bans(node, consider_ban, &search);
    if (search.count == 1) {
        *id = search.found[0];
        return true;
    }
    if (search.count == 0) {
        verb_fail(call, VERB_FAILED, "no node that is known begins with %s; see `known`", word);
        return false;
    }
    char first[ID_TEXT_SIZE];
    char second[ID_TEXT_SIZE];
    id_format(&search.found[0], first);
    id_format(&search.found[1], second);
    verb_fail(call, VERB_USAGE, "%s is too short: %.16s and %.16s both fit", word, first, second);
    return false;
}

/* --- lists ----------------------------------------------------------------------------------- */

static void add_contact(cJSON *row, const struct contact *contact)
{
    verb_add_id(row, "id", &contact->id);
    verb_add_hex(row, "public_key", contact->key, sizeof contact->key);
    if (transport_is_relayed(&contact->addr)) {
        verb_add_null(row, "addr"); /* What stands there is of our own making. */
    } else {
        verb_add_addr(row, "addr", &contact->addr);
    }
}

static void add_trust(cJSON *row, uint32_t trust_micro)
{
    verb_add_number(row, "trust", trust_micro / 1e6);
}

static void add_peer(cJSON *row, const struct inspect_peer *peer)
{
    static const char *const threats[] = {
        [GUARD_LOW] = "low", [GUARD_MEDIUM] = "medium", [GUARD_HIGH] = "high"};
    add_contact(row, peer->contact);
    verb_add_bool(row, "in_table", peer->bucket >= 0);
    verb_add_number(row, "bucket", peer->bucket);
    verb_add_count(row, "losses", peer->losses);
    verb_add_number(row, "heard_s", (double)peer->heard_s);
    verb_add_bool(row, "has_session", peer->has_session);
    verb_add_bool(row, "is_client", peer->is_client);
    if (peer->has_session) {
        verb_add_bool(row, "is_initiator", peer->is_initiator);
        verb_add_count(row, "rtt_us", peer->rtt_us);
        verb_add_count(row, "session_age_s", peer->age_s);
        verb_add_count(row, "sent", peer->sent);
        verb_add_count(row, "received", peer->received);
    }
    add_trust(row, peer->trust_micro);
    verb_add_text(row, "threat", threats[peer->threat]);
}

static void list_peer(void *arg, const struct inspect_peer *peer)
{
    cJSON *row = cJSON_CreateObject();
    add_peer(row, peer);
    verb_add_text(row, "way", nat_way_text(peer->way));
    verb_add_row(arg, row);
}

static void end_list(struct verb_call *call, cJSON *data, const cJSON *list)
{
    verb_add_count(data, "count", (uint64_t)cJSON_GetArraySize(list));
    verb_end(call, data);
}

void verb_peers_start(struct verb_call *call)
{
    const struct node *node = node_of(call);
    if (node != NULL) {
        cJSON *data = verb_data(call);
        cJSON *list = verb_add_array(data, "peers");
        node_inspect_peers(node, list_peer, list);
        end_list(call, data, list);
    }
}

void verb_peers_print(const cJSON *data, struct text *out)
{
    static const struct verb_column columns[] = {
        {"id", "id", VERB_AS_ID},
        {"address", "addr", VERB_AS_TEXT},
        {"heard", "heard_s", VERB_AS_AGO_S},
        {"rtt", "rtt_us", VERB_AS_US},
        {"session", "has_session", VERB_AS_YES},
        {"way", "way", VERB_AS_TEXT},
        {"table", "in_table", VERB_AS_YES},
        {"trust", "trust", VERB_AS_RATIO},
        {"threat", "threat", VERB_AS_TEXT},
    };
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(data, "peers");
    if (list->child == NULL) {
        text_add(out, "no peers; see `health` for why");
        return;
    }
    verb_print_rows(out, list, columns, sizeof columns / sizeof columns[0]);
}

static void list_known(void *arg, const struct inspect_known *known)
{
    cJSON *row = cJSON_CreateObject();
    add_contact(row, known->contact);
    verb_add_count(row, "seen_s", known->seen_s);
    verb_add_bool(row, "is_connected", known->is_connected);
    add_trust(row, known->trust_micro);
    verb_add_row(arg, row);
}

void verb_known_start(struct verb_call *call)
{
    const struct node *node = node_of(call);
    if (node != NULL) {
        cJSON *data = verb_data(call);
        cJSON *list = verb_add_array(data, "known");
        node_inspect_known(node, list_known, list);
        end_list(call, data, list);
    }
}

void verb_known_print(const cJSON *data, struct text *out)
{
    static const struct verb_column columns[] = {
        {"id", "id", VERB_AS_ID},
        {"address", "addr", VERB_AS_TEXT},
        {"last seen", "seen_s", VERB_AS_UNIX_S},
        {"connected", "is_connected", VERB_AS_YES},
        {"trust", "trust", VERB_AS_RATIO},
    };
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(data, "known");
    if (list->child == NULL) {
        text_add(out, "nobody has been verified yet");
        return;
    }
    verb_print_rows(out, list, columns, sizeof columns / sizeof columns[0]);
}

static void list_bucket(void *arg, const struct inspect_bucket *bucket)
{
    cJSON *row = cJSON_CreateObject();
    verb_add_count(row, "bucket", bucket->index);
    verb_add_count(row, "contacts", bucket->count);
    verb_add_count(row, "spares", bucket->spares);
    verb_add_row(arg, row);
}

void verb_routes_start(struct verb_call *call)
{
    const struct node *node = node_of(call);
    if (node != NULL) {
        cJSON *data = verb_data(call);
        cJSON *list = verb_add_array(data, "buckets");
        node_inspect_buckets(node, list_bucket, list);
        end_list(call, data, list);
    }
}

void verb_routes_print(const cJSON *data, struct text *out)
{
    static const struct verb_column columns[] = {
        {"bits shared", "bucket", VERB_AS_COUNT},
        {"contacts", "contacts", VERB_AS_COUNT},
        {"spares", "spares", VERB_AS_COUNT},
    };
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(data, "buckets");
    if (list->child == NULL) {
        text_add(out, "the routing table is empty");
        return;
    }
    verb_print_rows(out, list, columns, sizeof columns / sizeof columns[0]);
}

static void list_ban(void *arg, const struct inspect_ban *ban)
{
    cJSON *row = cJSON_CreateObject();
    verb_add_id(row, "id", &ban->id);
    verb_add_count(row, "until_s", ban->until_s);
    verb_add_count(row, "points", ban->offences);
    verb_add_row(arg, row);
}

void verb_bans_start(struct verb_call *call)
{
    const struct node *node = node_of(call);
    if (node != NULL) {
        cJSON *data = verb_data(call);
        cJSON *list = verb_add_array(data, "bans");
        node_inspect_bans(node, list_ban, list);
        end_list(call, data, list);
    }
}

void verb_bans_print(const cJSON *data, struct text *out)
{
    static const struct verb_column columns[] = {
        {"id", "id", VERB_AS_TEXT},
        {"for another", "until_s", VERB_AS_S},
        {"points", "points", VERB_AS_COUNT},
    };
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(data, "bans");
    if (list->child == NULL) {
        text_add(out, "nobody is banned");
        return;
    }
    verb_print_rows(out, list, columns, sizeof columns / sizeof columns[0]);
}

static void start_with_id(struct verb_call *call, enum node_command_kind kind)
{
    struct node_command command = {.kind = kind};
    if (verb_take_id(call, 0, &command.id)) {
        verb_submit(call, &command);
    }
}

static void finish_with_id(struct verb_call *call, const struct port_event *event)
{
    cJSON *data = verb_data(call);
    verb_add_about(data, "id", event);
    verb_end_event(call, event, data);
}

void verb_ban_start(struct verb_call *call)
{
    start_with_id(call, NODE_BAN);
}

void verb_ban_finish(struct verb_call *call, const struct port_event *event)
{
    finish_with_id(call, event);
}

void verb_ban_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "", "id", VERB_AS_ID, " is not listened to any more; see `bans`");
}

void verb_unban_start(struct verb_call *call)
{
    start_with_id(call, NODE_UNBAN);
}

void verb_unban_finish(struct verb_call *call, const struct port_event *event)
{
    finish_with_id(call, event);
}

void verb_unban_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "", "id", VERB_AS_ID, " is listened to again");
}

/* --- one node -------------------------------------------------------------------------------- */

/* Everything this node holds about another. */
struct dossier {
    struct node_id id;
    struct inspect_known known; /* contact NULL: not remembered. */
    struct inspect_ban ban;
    bool is_banned;
};

static void find_known(void *arg, const struct inspect_known *known)
{
    struct dossier *dossier = arg;
    if (node_id_equal(&known->contact->id, &dossier->id)) {
        dossier->known = *known;
    }
}

static void find_ban(void *arg, const struct inspect_ban *ban)
{
    struct dossier *dossier = arg;
    if (node_id_equal(&ban->id, &dossier->id)) {
        dossier->ban = *ban;
        dossier->is_banned = true;
    }
}

void verb_why_start(struct verb_call *call)
{
    struct dossier dossier = {0};
    if (!verb_take_id(call, 0, &dossier.id)) {
        return;
    }
    const struct node *node = service_node(call->context.service);
    struct inspect_peer peer;
    cJSON *data = verb_data(call);
    bool is_peer = node_inspect_peer(node, &dossier.id, &peer);
    node_inspect_known(node, find_known, &dossier);
    node_inspect_bans(node, find_ban, &dossier);
    bool is_self = node_id_equal(&dossier.id, &node->identity.id);
    verb_add_bool(data, "is_self", is_self);
    verb_add_bool(data, "is_peer", is_peer);
    verb_add_bool(data, "is_known", dossier.known.contact != NULL);
    verb_add_bool(data, "is_banned", dossier.is_banned);
    verb_add_count(data, "shared_bits",
                   (uint64_t)node_id_shared_bits(&dossier.id, &node->identity.id));
    if (is_peer) {
        add_peer(data, &peer);
    } else if (dossier.known.contact != NULL) {
        list_known(verb_add_array(data, "known"), &dossier.known);
    }
    if (!is_peer) {
        cJSON_DeleteItemFromObject(data, "id");
        verb_add_id(data, "id", &dossier.id);
    }
    verb_add_way(data, node, &dossier.id, is_peer ? &peer : NULL);
    if (dossier.is_banned) {
        verb_add_count(data, "banned_for_s", dossier.ban.until_s);
        verb_add_count(data, "points", dossier.ban.offences);
    }
    verb_end(call, data);
}

static bool is_true(const cJSON *data, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(data, name));
}

void verb_why_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "", "id", VERB_AS_TEXT, "\n");
    if (is_true(data, "is_self")) {
        text_add(out, "  is this node itself");
        return;
    }
    if (is_true(data, "is_banned")) {
        verb_say(data, out, "  is not listened to for another ", "banned_for_s", VERB_AS_S, "");
        verb_say(data, out, ": offences of ", "points", VERB_AS_COUNT, " points (0: by hand)\n");
    }
    verb_print_way(data, out);
    if (!is_true(data, "is_peer")) {
        text_add(out, is_true(data, "is_known")
                          ? "  was verified once, and is not connected now: not needed, or silent"
                          : "  was never verified by this node: `find` asks the mesh for it");
        return;
    }
    if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(data, "addr"))) {
        verb_say(data, out, "  is at ", "addr", VERB_AS_TEXT, "\n");
    }
    verb_say(data, out, "  was last heard of ", "heard_s", VERB_AS_AGO_S, "\n");
    if (is_true(data, "in_table")) {
        verb_say(data, out, "  is in the routing table: its id shares ", "shared_bits",
                 VERB_AS_COUNT, " bits with ours\n");
    } else if (is_true(data, "is_client")) {
        text_add(out, "  is in nobody's routing table: strangers cannot reach it\n");
    } else {
        text_add(out, "  is not in the routing table: its bucket or its address group is full, or\n"
                      "  its address was not verified yet\n");
    }
    if (is_true(data, "has_session")) {
        verb_say(data, out, "  has a session since ", "session_age_s", VERB_AS_S, "");
        verb_say(data, out, ", round trip ", "rtt_us", VERB_AS_US, "\n");
    } else {
        text_add(out, "  has no session: none was needed lately\n");
    }
    if (verb_number_of(data, "losses") > 0) {
        verb_say(data, out, "  did not answer the last ", "losses", VERB_AS_COUNT, " calls\n");
    }
    verb_say(data, out, "  is trusted ", "trust", VERB_AS_RATIO, "");
    verb_say(data, out, " (0 to 1), and a ", "threat", VERB_AS_TEXT, " threat");
}

void verb_trust_start(struct verb_call *call)
{
    struct dossier dossier = {0};
    if (!verb_take_id(call, 0, &dossier.id)) {
        return;
    }
    const struct node *node = service_node(call->context.service);
    struct inspect_peer peer;
    bool is_peer = node_inspect_peer(node, &dossier.id, &peer);
    node_inspect_known(node, find_known, &dossier);
    if (!is_peer && dossier.known.contact == NULL) {
        verb_fail(call, VERB_FAILED, "trust: that node was never met; see `known`");
        return;
    }
    cJSON *data = verb_data(call);
    verb_add_id(data, "id", &dossier.id);
    add_trust(data, is_peer ? peer.trust_micro : dossier.known.trust_micro);
    verb_end(call, data);
}

void verb_trust_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "", "id", VERB_AS_ID, "");
    verb_say(data, out, " is trusted ", "trust", VERB_AS_RATIO, " (0 to 1)");
}

/* --- questions to the mesh ------------------------------------------------------------------- */

void verb_connect_start(struct verb_call *call)
{
    struct node_command command = {.kind = NODE_CONNECT};
    if (!host_addr_parse(call->words[0], &command.addr)) {
        verb_fail(call, VERB_USAGE,
                  "\"%.60s\" is no numeric address with a port, such as %s (names are for "
                  "--bootstrap)",
                  call->words[0], call->verb->example + strlen("connect "));
        return;
    }
    verb_submit(call, &command);
}

void verb_connect_finish(struct verb_call *call, const struct port_event *event)
{
    finish_with_id(call, event);
}

void verb_connect_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "connected to ", "id", VERB_AS_TEXT, "");
    verb_say(data, out, " in ", "took_us", VERB_AS_US, "");
}

void verb_ping_start(struct verb_call *call)
{
    start_with_id(call, NODE_PING);
}

void verb_ping_finish(struct verb_call *call, const struct port_event *event)
{
    cJSON *data = verb_data(call);
    verb_add_about(data, "id", event);
    verb_add_count(data, "messages", event->count[0]);
    verb_end_event(call, event, data);
}

void verb_ping_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "", "id", VERB_AS_ID, "");
    verb_say(data, out, " answered in ", "took_us", VERB_AS_US, "");
}

void verb_find_start(struct verb_call *call)
{
    start_with_id(call, NODE_LOOKUP);
}

void verb_find_finish(struct verb_call *call, const struct port_event *event)
{
    const struct node *node = service_node(call->context.service);
    cJSON *data = verb_data(call);
    verb_add_about(data, "target", event);
    verb_add_count(data, "messages", event->count[0]);
    verb_add_count(data, "hops", event->count[1]);
    cJSON *list = verb_add_array(data, "found");
    for (size_t i = 0; node != NULL && (i + 1) * sizeof(uint32_t) <= event->bytes.len; i++) {
        uint32_t handle;
        memcpy(&handle, event->bytes.data + i * sizeof handle, sizeof handle);
        cJSON *row = cJSON_CreateObject();
        add_contact(row, contact_at(node->core.port, handle));
        verb_add_row(list, row);
    }
    verb_add_count(data, "count", (uint64_t)cJSON_GetArraySize(list));
    verb_end_event(call, event, data);
}

void verb_find_print(const cJSON *data, struct text *out)
{
    static const struct verb_column columns[] = {{"id", "id", VERB_AS_TEXT},
                                                 {"address", "addr", VERB_AS_TEXT}};
    verb_print_rows(out, cJSON_GetObjectItemCaseSensitive(data, "found"), columns, 2);
    verb_say(data, out, "\nin ", "took_us", VERB_AS_US, "");
    verb_say(data, out, ", ", "messages", VERB_AS_COUNT, " messages");
    verb_say(data, out, ", ", "hops", VERB_AS_COUNT, " hops");
}
