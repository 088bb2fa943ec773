/* view.c - what people are shown of it: nothing here changes anything. */
#include "node/base/must.h"
#include "node/nat/nat_parts.h"

const char *nat_reach_text(const struct nat *nat)
{
    if (!nat->is_checked) {
        return "finding out";
    }
    return nat->is_server ? "server" : "client";
}

bool nat_relay_at(const struct nat *nat, uint32_t number, struct nat_relay_view *relay)
{
    for (uint32_t i = 0; nat->work != NULL && i < PRESENCE_RELAYS_MAX; i++) {
        const struct nat_link *link = &nat->work->links[i];
        if (link->state == NAT_LINK_LIVE && number-- == 0) {
            *relay = (struct nat_relay_view){.peer = link->peer, .ends_us = link->ends_us};
            return true;
        }
    }
    return false;
}

/* Only a client is punched through to: who serves has an address that anybody may use. */
void nat_way_of(const struct nat *nat, const struct transport_session *session,
                struct nat_way_view *view)
{
    const struct contact *contact = contact_at(nat->core->port, session->peer);
    *view = (struct nat_way_view){.way = NAT_WAY_DIRECT, .relay = PORT_INTERN_NONE};
    if (transport_is_relayed(&contact->addr)) {
        const struct nat_end *end = nat_end_at(nat, &contact->addr);
        view->way = NAT_WAY_RELAYED;
        view->relay = end != NULL ? end->relay : PORT_INTERN_NONE;
        return;
    }
    struct nat_trail trail;
    if (session->is_client && nat_trail_of(nat, &contact->id, &trail) &&
        trail.way == NAT_WAY_PUNCHED) {
        view->way = NAT_WAY_PUNCHED;
    }
}

void nat_map_of(const struct nat *nat, struct nat_map_view *view)
{
    const struct nat_map *map = nat->work != NULL ? nat->work->map : NULL;
    *view = (struct nat_map_view){.reason = ""};
    if (map == NULL) {
        return;
    }
    view->state = (enum nat_map_state)map->state;
    view->is_natpmp = map->is_natpmp;
    view->gateway = map->gateway;
    if (view->state == NAT_MAP_GRANTED || view->state == NAT_MAP_INSIDE) {
        view->external = map->external;
        view->ends_us = map->ends_us;
    } else if (view->state == NAT_MAP_REFUSED) {
        view->reason =
            map->is_natpmp ? natpmp_result_text(map->result) : pcp_result_text(map->result);
    }
}

void nat_stun_of(const struct nat *nat, struct nat_stun_view *view)
{
    const struct nat_stun_role *role = nat->work != NULL ? nat->work->stun_role : NULL;
    *view = (struct nat_stun_view){.status = ERR_OK};
    if (role != NULL) {
        view->has_other = role->server.has_other;
        view->status = role->status;
        view->other = role->server.local[STUN_OTHER_IP | STUN_OTHER_PORT];
        view->lacking = role->lacking;
    } else if (nat->config->is_stun_server && nat->config->has_stun_other) {
        view->status = ERR_FULL; /* Of memory. */
        view->lacking = nat->config->stun_other;
    }
}

uint32_t nat_stun_failures(const struct nat *nat, uint32_t number)
{
    must(number < nat->config->stun_name_count);
    const struct nat_discovery *discovery = nat->work != NULL ? nat->work->discovery : NULL;
    return discovery != NULL ? discovery->names[number].failures : 0;
}

const char *nat_map_text(enum nat_map_state state)
{
    static const char *const texts[] = {
        [NAT_MAP_NONE] = "not asked",  [NAT_MAP_ASKING] = "asking",
        [NAT_MAP_GRANTED] = "granted", [NAT_MAP_INSIDE] = "granted, behind another box",
        [NAT_MAP_REFUSED] = "refused", [NAT_MAP_SILENT] = "no answer"};
    must(state <= NAT_MAP_SILENT);
    return texts[state];
}
