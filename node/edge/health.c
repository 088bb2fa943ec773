/* health.c - the service's judgement of itself, as probes and people want it. */
#include <stdlib.h>
#include <string.h>

#include "node/edge/face.h"

static const char *status_text(enum service_state state);

void health_answer(const struct face *face, const struct ask *ask, struct answer *answer)
{
    (void)ask;
    struct service_health health;
    service_health(face->verbs.service, &health);
    cJSON *value = cJSON_CreateObject();
    cJSON_AddStringToObject(value, "status", status_text(health.state));
    cJSON_AddStringToObject(value, "state", service_state_text(health.state));
    cJSON_AddStringToObject(value, "version", MESHTWIN_VERSION);
    cJSON_AddNumberToObject(value, "uptime_s", (double)health.uptime_s);
    cJSON_AddBoolToObject(value, "ready", health.is_ready);
    cJSON *components = cJSON_AddObjectToObject(value, "components");
    for (size_t i = 0; i < health.component_count; i++) {
        const struct service_component *component = &health.components[i];
        cJSON *row = cJSON_AddObjectToObject(components, component->name);
        cJSON_AddStringToObject(row, "status", status_text(component->state));
        cJSON_AddStringToObject(row, "state", service_state_text(component->state));
        if (component->reason[0] != '\0') {
            cJSON_AddStringToObject(row, "reason", component->reason);
        }
    }
    bool is_bad = strcmp(status_text(health.state), "unhealthy") == 0;
    answer_json(answer, is_bad ? HTTP_SERVICE_UNAVAILABLE : HTTP_OK, value);
}

void health_answer_ready(const struct face *face, const struct ask *ask, struct answer *answer)
{
    (void)ask;
    struct service_health health;
    service_health(face->verbs.service, &health);
    cJSON *value = cJSON_CreateObject();
    cJSON_AddStringToObject(value, "status", health.is_ready ? "ready" : "not ready");
    cJSON_AddStringToObject(value, "state", service_state_text(health.state));
    cJSON *reasons = cJSON_AddArrayToObject(value, "reasons");
    for (size_t i = 0; i < health.component_count; i++) {
        const struct service_component *component = &health.components[i];
        if (component->reason[0] != '\0') {
            char *reason = text_format("%s: %s", component->name, component->reason);
            cJSON_AddItemToArray(reasons, cJSON_CreateString(reason));
            free(reason);
        }
    }
    if (health.state == SERVICE_STOPPING) {
        cJSON_AddItemToArray(reasons, cJSON_CreateString("the node is leaving the mesh"));
    } else if (!health.is_ready && cJSON_GetArraySize(reasons) == 0) {
        cJSON_AddItemToArray(reasons, cJSON_CreateString("the node has not joined the mesh yet"));
    }
    answer_json(answer, health.is_ready ? HTTP_OK : HTTP_SERVICE_UNAVAILABLE, value);
}

/* The three words that monitoring knows. A node that starts serves already what it can. */
static const char *status_text(enum service_state state)
{
    switch (state) {
    case SERVICE_HEALTHY:
        return "healthy";
    case SERVICE_STARTING:
    case SERVICE_DEGRADED:
        return "degraded";
    case SERVICE_UNHEALTHY:
    case SERVICE_STOPPING:
        break;
    }
    return "unhealthy";
}
