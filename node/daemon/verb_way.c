/* verb_way.c - who reaches this node and how it reaches a peer: for status and why. */
#include <string.h>

#include "node/daemon/verb_parts.h"

#define SECOND UINT64_C(1000000)

static void add_box(cJSON *nat, const struct node *node);
static void add_map(cJSON *nat, const struct node *node);
static void add_stun(cJSON *nat, const struct nat *own);
static void add_relays(cJSON *nat, const struct node *node);
static void add_trail(cJSON *object, const struct node *node, const struct nat_trail *trail);
static uint64_t seconds_until(const struct node *node, uint64_t at_us);
static void print_map(const cJSON *nat, struct text *out);
static void print_stun(const cJSON *nat, struct text *out);
static cJSON *field(const cJSON *object, const char *name);

/* --- this node ------------------------------------------------------------------------------- */

void verb_add_nat(cJSON *object, const struct node *node)
{
    const struct nat *own = &node->nat;
    cJSON *nat = verb_add_object(object, "nat");
    verb_add_text(nat, "reach", nat_reach_text(own));
    verb_add_bool(nat, "is_relay", own->is_server && own->config->is_relay);
    if (own->has_observed) {
        verb_add_addr(nat, "observed", &own->observed);
    } else {
        verb_add_null(nat, "observed");
    }
    add_box(nat, node);
    add_map(nat, node);
    add_stun(nat, own);
    add_relays(nat, node);
    verb_add_count(nat, "stun_heard", own->counts.stun_heard);
    verb_add_count(nat, "stun_served", own->counts.stun_served);
    verb_add_count(nat, "reservations", nat_reservation_count(own));
    verb_add_count(nat, "circuits", nat_circuit_count(own));
    verb_add_count(nat, "reservations_given", own->counts.reservations_given);
    verb_add_count(nat, "circuits_given", own->counts.circuits_given);
    verb_add_count(nat, "refused", own->counts.refused);
    verb_add_count(nat, "relayed_bytes", own->counts.relayed_bytes);
    verb_add_count(nat, "punches_begun", own->counts.punches_begun);
    verb_add_count(nat, "punches_won", own->counts.punches_won);
    verb_add_count(nat, "connects_begun", own->counts.connects_begun);
    verb_add_count(nat, "connects_won", own->counts.connects_won);
}

/* In the words of RFC 4787. */
static void add_box(cJSON *nat, const struct node *node)
{
    struct nat_class class;
    nat_class_of(&node->nat, &class);
    verb_add_text(nat, "mapping", nat_mapping_text(class.mapping));
    verb_add_text(nat, "filtering", nat_filtering_text(class.filtering));
}

/* The port that the router was asked for. */
static void add_map(cJSON *nat, const struct node *node)
{
    struct nat_map_view view;
    nat_map_of(&node->nat, &view);
    bool is_held = view.state == NAT_MAP_GRANTED || view.state == NAT_MAP_INSIDE;
    cJSON *map = verb_add_object(nat, "port_mapping");
    verb_add_text(map, "state", nat_map_text(view.state));
    if (view.state == NAT_MAP_NONE) {
        return;
    }
    verb_add_addr(map, "router", &view.gateway);
    verb_add_text(map, "protocol", view.is_natpmp ? "NAT-PMP" : "PCP");
    if (is_held) {
        verb_add_addr(map, "external", &view.external);
        verb_add_count(map, "left_s", seconds_until(node, view.ends_us));
    }
    if (view.reason[0] != '\0') {
        verb_add_text(map, "reason", view.reason);
    }
}

/* From where it answers as a STUN server: null when it does not. */
static void add_stun(cJSON *nat, const struct nat *own)
{
    if (!own->config->is_stun_server) {
        verb_add_null(nat, "stun_server");
        return;
    }
    struct nat_stun_view view;
    nat_stun_of(own, &view);
    cJSON *server = verb_add_object(nat, "stun_server");
    if (view.has_other) {
        verb_add_addr(server, "other", &view.other);
    } else {
        verb_add_null(server, "other");
    }
    if (view.status != ERR_OK) {
        verb_add_addr(server, "lacking", &view.lacking);
    }
}

static void add_relays(cJSON *nat, const struct node *node)
{
    cJSON *relays = verb_add_array(nat, "relays");
    struct nat_relay_view relay;
    for (uint32_t i = 0; nat_relay_at(&node->nat, i, &relay); i++) {
        const struct contact *contact = contact_at(node->core.port, relay.peer);
        cJSON *row = cJSON_CreateObject();
        verb_add_id(row, "id", &contact->id);
        verb_add_addr(row, "addr", &contact->addr);
        verb_add_count(row, "left_s", seconds_until(node, relay.ends_us));
        verb_add_row(relays, row);
    }
}

void verb_print_nat(const cJSON *object, struct text *out)
{
    const cJSON *nat = field(object, "nat");
    if (nat == NULL) {
        return; /* No node runs. */
    }
    verb_say(nat, out, "\n  reach     ", "reach", VERB_AS_TEXT, "");
    if (cJSON_IsString(field(nat, "observed"))) {
        verb_say(nat, out, ", seen at ", "observed", VERB_AS_TEXT, "");
    }
    print_map(nat, out);
    print_stun(nat, out);
    for (const cJSON *relay = field(nat, "relays")->child; relay != NULL; relay = relay->next) {
        verb_say(relay, out, "\n  relay     ", "id", VERB_AS_ID, "");
        verb_say(relay, out, " at ", "addr", VERB_AS_TEXT, "");
        verb_say(relay, out, " for another ", "left_s", VERB_AS_S, "");
    }
    if (verb_number_of(nat, "reservations_given") + verb_number_of(nat, "circuits_given") > 0) {
        verb_say(nat, out, "\n  relaying  reservations ", "reservations", VERB_AS_COUNT, "");
        verb_say(nat, out, ", circuits ", "circuits", VERB_AS_COUNT, "");
        verb_say(nat, out, ", bytes so far ", "relayed_bytes", VERB_AS_COUNT, "");
    }
    if (verb_number_of(nat, "punches_begun") > 0) {
        verb_say(nat, out, "\n  punches   ", "punches_won", VERB_AS_COUNT, " of ");
        verb_say(nat, out, "", "punches_begun", VERB_AS_COUNT, " got through");
    }
}

static void print_map(const cJSON *nat, struct text *out)
{
    const cJSON *map = field(nat, "port_mapping");
    if (map == NULL || field(map, "router") == NULL) {
        return;
    }
    verb_say(map, out, "\n  router    ", "router", VERB_AS_TEXT, ": ");
    verb_say(map, out, "a port asked for by ", "protocol", VERB_AS_TEXT, ", ");
    verb_say(map, out, "", "state", VERB_AS_TEXT, "");
    if (field(map, "external") != NULL) {
        verb_say(map, out, ": ", "external", VERB_AS_TEXT, "");
        verb_say(map, out, " for another ", "left_s", VERB_AS_S, "");
    }
    if (field(map, "reason") != NULL) {
        verb_say(map, out, " (", "reason", VERB_AS_TEXT, ")");
    }
}

static void print_stun(const cJSON *nat, struct text *out)
{
    const cJSON *server = field(nat, "stun_server");
    if (cJSON_IsString(field(server, "other"))) {
        verb_say(server, out, "\n  stun      answers from two addresses, the other is ", "other",
                 VERB_AS_TEXT, "");
    } else if (field(server, "lacking") != NULL) {
        verb_say(server, out, "\n  stun      answers from one address, for want of ", "lacking",
                 VERB_AS_TEXT, "");
    }
}

/* --- a peer ---------------------------------------------------------------------------------- */

void verb_add_way(cJSON *object, const struct node *node, const struct node_id *id,
                  const struct inspect_peer *peer)
{
    struct nat_trail trail;
    enum nat_way way = peer != NULL ? peer->way : NAT_WAY_NONE;
    verb_add_text(object, "way", nat_way_text(way));
    if (peer != NULL && peer->relay != NULL) {
        cJSON *relay = verb_add_object(object, "relay");
        verb_add_id(relay, "id", &peer->relay->id);
        verb_add_addr(relay, "addr", &peer->relay->addr);
    }
    if (nat_trail_of(&node->nat, id, &trail)) {
        add_trail(object, node, &trail);
    }
}

static void add_trail(cJSON *object, const struct node *node, const struct nat_trail *trail)
{
    if (trail->step != NAT_STEP_NONE) {
        verb_add_text(object, "step", nat_step_text((enum nat_step)trail->step));
        verb_add_text(object, "help", nat_step_help((enum nat_step)trail->step));
        verb_add_count(object, "failed_punches", trail->attempts);
        verb_add_count(object, "again_s", seconds_until(node, trail->again_us));
        struct nat_map_view map;
        nat_map_of(&node->nat, &map);
        if (map.state != NAT_MAP_NONE) {
            verb_add_text(object, "port_mapping", nat_map_text(map.state));
        }
    }
    if (trail->punch_us > 0) {
        verb_add_count(object, "punch_us", trail->punch_us);
        verb_add_count(object, "punch_rtt_us", trail->rtt_us);
    }
}

void verb_print_way(const cJSON *object, struct text *out)
{
    const char *way = verb_text_of(object, "way");
    const cJSON *relay = field(object, "relay");
    if (strcmp(way, "direct") == 0) {
        text_add(out, "  is reached directly\n");
    } else if (strcmp(way, "punched") == 0) {
        verb_say(object, out, "  is reached directly, by a punch that took ", "punch_us",
                 VERB_AS_US, "");
        if (verb_number_of(object, "punch_rtt_us") > 0) {
            verb_say(object, out, " (round trip by the relay ", "punch_rtt_us", VERB_AS_US, ")");
        }
        text_add(out, "\n");
    } else if (relay != NULL) {
        verb_say(relay, out, "  is reached through the relay ", "id", VERB_AS_ID, "");
        verb_say(relay, out, " at ", "addr", VERB_AS_TEXT, "\n");
    } else if (strcmp(way, "relayed") == 0) {
        text_add(out, "  was reached through a relay, whose circuit has ended\n");
    }
    if (field(object, "step") == NULL) {
        return;
    }
    verb_say(object, out,
             strcmp(way, "none") == 0 ? "  is not reached: " : "  not better: ", "step",
             VERB_AS_TEXT, "");
    verb_say(object, out, "; ", "help", VERB_AS_TEXT, "\n");
    if (field(object, "port_mapping") != NULL) {
        verb_say(object, out, "  a port asked for at our own router: ", "port_mapping",
                 VERB_AS_TEXT, "\n");
    }
    if (verb_number_of(object, "again_s") > 0) {
        verb_say(object, out, "  and is tried again in ", "again_s", VERB_AS_S,
                 " at the earliest\n");
    }
}

static uint64_t seconds_until(const struct node *node, uint64_t at_us)
{
    uint64_t now_us = core_now(&node->core);
    return at_us > now_us ? (at_us - now_us + SECOND - 1) / SECOND : 0;
}

static cJSON *field(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}
