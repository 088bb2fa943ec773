/* openapi.c - describes every path by OpenAPI 3.0, out of the tables that serve them. */
#include <stdlib.h>
#include <string.h>

#include "node/edge/face.h"
#include "node/edge/operand.h"

static void add_route(cJSON *paths, const struct route *route);
static void add_verb(cJSON *paths, const struct verb *verb);
static void add_parameters(cJSON *operation, const struct verb *verb);
static void add_body(cJSON *operation, const struct verb *verb);
static cJSON *operand_schema(const struct operand *operand);
static cJSON *add_operation(cJSON *paths, const char *path, const char *method, const char *id,
                            const char *summary);
static void add_answers(cJSON *operation, const char *type, bool needs_token);
static void add_token(cJSON *operation);
static void add_components(cJSON *document);

void openapi_answer(const struct face *face, const struct ask *ask, struct answer *answer)
{
    (void)face;
    (void)ask;
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "openapi", "3.0.3");
    cJSON *info = cJSON_AddObjectToObject(document, "info");
    cJSON_AddStringToObject(info, "title", "meshnode");
    cJSON_AddStringToObject(info, "version", MESHTWIN_VERSION);
    cJSON_AddStringToObject(info, "description",
                            "One node of a mesh. Reads are free on loopback; writes, and reads "
                            "from elsewhere, want the token of the node's token file.");
    cJSON *licence = cJSON_AddObjectToObject(info, "license");
    cJSON_AddStringToObject(licence, "name", "MIT");
    cJSON *servers = cJSON_AddArrayToObject(document, "servers");
    cJSON *server = cJSON_CreateObject();
    cJSON_AddStringToObject(server, "url", "/");
    cJSON_AddItemToArray(servers, server);
    cJSON *paths = cJSON_AddObjectToObject(document, "paths");
    size_t count;
    const struct route *routes = route_table(&count);
    for (size_t i = 0; i < count; i++) {
        add_route(paths, &routes[i]);
    }
    const struct verb *verbs = verb_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (api_offers(&verbs[i])) {
            add_verb(paths, &verbs[i]);
        }
    }
    add_components(document);
    answer_json(answer, HTTP_OK, document);
}

static void add_route(cJSON *paths, const struct route *route)
{
    char id[64];
    size_t len = 0;
    for (const char *at = route->path + 1; *at != '\0' && len + 1 < sizeof id; at++) {
        id[len++] = strchr("/.", *at) != NULL ? '_' : *at;
    }
    id[len] = '\0';
    cJSON *operation = add_operation(paths, route->path, "get", id, route->summary);
    if (strcmp(route->type, "text/event-stream") == 0) {
        cJSON *parameters = cJSON_AddArrayToObject(operation, "parameters");
        cJSON *topics = cJSON_Parse(
            "{\"name\":\"topics\",\"in\":\"query\",\"explode\":false,\"description\":"
            "\"Separated by commas; all when left out.\",\"schema\":{\"type\":\"array\","
            "\"items\":{\"type\":\"string\",\"enum\":[]}}}");
        cJSON *items = cJSON_GetObjectItem(cJSON_GetObjectItem(topics, "schema"), "items");
        for (int i = 0; i < EVENT_TOPIC_COUNT; i++) {
            cJSON_AddItemToArray(cJSON_GetObjectItem(items, "enum"),
                                 cJSON_CreateString(events_topic_text((enum event_topic)i)));
        }
        cJSON_AddItemToArray(parameters, topics);
        cJSON_AddItemToArray(
            parameters,
            cJSON_Parse("{\"name\":\"Last-Event-ID\",\"in\":\"header\",\"description\":"
                        "\"Goes on behind this event.\",\"schema\":{\"type\":\"string\"}}"));
    }
    add_answers(operation, route->type, route->need != GATE_OPEN);
}

static void add_verb(cJSON *paths, const struct verb *verb)
{
    char *path = text_format("/api/v1/%s", verb->name);
    cJSON *operation =
        add_operation(paths, path, verb->is_write ? "post" : "get", verb->name, verb->summary);
    free(path);
    if (verb->is_write) {
        add_body(operation, verb);
        add_token(operation);
    } else if (verb->operands[0] != '\0') {
        add_parameters(operation, verb);
    }
    add_answers(operation, "application/json", true);
}

static void add_parameters(cJSON *operation, const struct verb *verb)
{
    cJSON *parameters = cJSON_AddArrayToObject(operation, "parameters");
    const char *at = verb->operands;
    struct operand operand;
    while (operand_next(&at, &operand)) {
        cJSON *parameter = cJSON_CreateObject();
        cJSON_AddStringToObject(parameter, "name", operand.name);
        cJSON_AddStringToObject(parameter, "in", "query");
        cJSON_AddBoolToObject(parameter, "required", operand.is_required);
        cJSON_AddItemToObject(parameter, "schema", operand_schema(&operand));
        cJSON_AddItemToArray(parameters, parameter);
    }
}

static void add_body(cJSON *operation, const struct verb *verb)
{
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddStringToObject(schema, "type", "object");
    cJSON *properties = cJSON_AddObjectToObject(schema, "properties");
    cJSON *required = cJSON_CreateArray(); /* Empty ones are not allowed. */
    const char *at = verb->operands;
    struct operand operand;
    while (operand_next(&at, &operand)) {
        cJSON_AddItemToObject(properties, operand.name, operand_schema(&operand));
        if (operand.is_required) {
            cJSON_AddItemToArray(required, cJSON_CreateString(operand.name));
        }
    }
    cJSON_AddFalseToObject(schema, "additionalProperties");
    bool has_required = cJSON_GetArraySize(required) > 0;
    cJSON *body = cJSON_AddObjectToObject(operation, "requestBody");
    cJSON_AddBoolToObject(body, "required", has_required);
    if (has_required) {
        cJSON_AddItemToObject(schema, "required", required);
    } else {
        cJSON_Delete(required);
    }
    cJSON *content = cJSON_AddObjectToObject(body, "content");
    cJSON *type = cJSON_AddObjectToObject(content, "application/json");
    cJSON_AddItemToObject(type, "schema", schema);
}

static cJSON *operand_schema(const struct operand *operand)
{
    static const char *const types[] = {
        [OPERAND_WORD] = "string", [OPERAND_OPTION] = "integer", [OPERAND_SWITCH] = "boolean"};
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddStringToObject(schema, "type", types[operand->kind]);
    return schema;
}

static cJSON *add_operation(cJSON *paths, const char *path, const char *method, const char *id,
                            const char *summary)
{
    cJSON *item = cJSON_AddObjectToObject(paths, path);
    cJSON *operation = cJSON_AddObjectToObject(item, method);
    cJSON_AddStringToObject(operation, "operationId", id);
    cJSON_AddStringToObject(operation, "summary", summary);
    return operation;
}

static void add_answers(cJSON *operation, const char *type, bool needs_token)
{
    bool is_json = strcmp(type, "application/json") == 0;
    cJSON *answers = cJSON_AddObjectToObject(operation, "responses");
    cJSON *good = cJSON_AddObjectToObject(answers, "200");
    cJSON_AddStringToObject(good, "description", "As asked");
    cJSON *content = cJSON_AddObjectToObject(good, "content");
    cJSON *media = cJSON_AddObjectToObject(content, type);
    cJSON *schema = cJSON_AddObjectToObject(media, "schema");
    cJSON_AddStringToObject(schema, "type", is_json ? "object" : "string");
    static const char *const codes[] = {"default", "401", "403"};
    for (size_t i = 0; i < (needs_token ? array_len(codes) : 1); i++) {
        cJSON *bad = cJSON_AddObjectToObject(answers, codes[i]);
        cJSON_AddStringToObject(bad, "$ref", "#/components/responses/error");
    }
}

static void add_token(cJSON *operation)
{
    cJSON_AddItemToObject(operation, "security", cJSON_Parse("[{\"bearer\":[]},{\"token\":[]}]"));
}

static void add_components(cJSON *document)
{
    cJSON_AddItemToObject(
        document, "components",
        cJSON_Parse("{\"responses\":{\"error\":{\"description\":\"Not as asked\",\"content\":"
                    "{\"application/json\":{\"schema\":{\"type\":\"object\",\"required\":"
                    "[\"error\",\"hint\"],\"properties\":{\"error\":{\"type\":\"string\"},"
                    "\"hint\":{\"type\":\"string\"},\"data\":{\"type\":\"object\"}}}}}}},"
                    "\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
                    "\"token\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-Token\"}}}"));
}
