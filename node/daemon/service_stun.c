/* service_stun.c - says what is not as it should be with STUN, when it begins. */
#include "node/daemon/service_parts.h"

static void tell_lacking(struct service *service, const struct node *node);
static void tell_failures(struct service *service, const struct node *node);

void stun_tick(struct service *service)
{
    const struct node *node = service_node(service);
    if (node != NULL) {
        tell_lacking(service, node);
        tell_failures(service, node);
    }
}

/* Whether the other address could be had is settled when the node starts. */
static void tell_lacking(struct service *service, const struct node *node)
{
    struct nat_stun_view view;
    nat_stun_of(&node->nat, &view);
    if (view.status != ERR_OK && !service->stun.is_lacking_told) {
        char addr[HOST_ADDR_TEXT_SIZE];
        host_addr_format(&view.lacking, addr);
        service_note(service, HOST_NOTE_WARNING,
                     "stun: %s cannot be bound, so there is one address to answer from; "
                     "--stun-other wants another of this machine's, with the node's port free",
                     addr);
        service->stun.is_lacking_told = true;
    }
}

static void tell_failures(struct service *service, const struct node *node)
{
    const struct nat_config *nat = &service->config.nat;
    for (uint32_t i = 0; i < nat->stun_name_count; i++) {
        uint32_t failures = nat_stun_failures(&node->nat, i);
        if (failures > service->stun.failures[i]) {
            service_note(service, HOST_NOTE_WARNING,
                         "stun: the name in %s cannot be looked up; it will be tried again",
                         nat->stun_names[i]);
        }
        service->stun.failures[i] = failures;
    }
}
