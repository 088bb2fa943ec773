/* parse_value.c - values: one reader per key type. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/scenario/parse.h"

static bool read_bool(struct loader *loader, const cJSON *item, void *at);
static bool read_integer(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                         void *at);
static bool read_chance(struct loader *loader, const cJSON *item, struct scenario_chance *chance);
static bool read_string(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                        void *at);
static bool read_seed(struct loader *loader, const cJSON *item, void *at);
static bool read_rate(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                      void *at);
static void complain_quantity(struct loader *loader, enum quantity_kind kind,
                              enum quantity_verdict verdict, const char *text);
static bool read_choice(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                        uint32_t *choice);
static bool read_flags(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                       void *at);
static bool read_dist(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                      struct dist_config *dist);
static bool read_group(struct loader *loader, const cJSON *item, uint32_t *group);
static bool group_find(struct loader *loader, const char *name, uint32_t *group);
static bool read_select(struct loader *loader, const cJSON *item, struct scenario_select *select);
static bool read_object(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                        void *data);
static bool read_list(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                      void *data);
static void *elements_make(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                           void *data);
static bool read_map(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                     void *data);
static const char *string_of(struct loader *loader, const cJSON *item);

/* Only texts and whole numbers may be checked without being kept anywhere. */
static void *kept(void *at)
{
    must(at != NULL);
    return at;
}

bool parse_value(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                 void *data)
{
    void *at = key->offset != KEY_NOWHERE ? (char *)data + key->offset : NULL;
    switch (key->type) {
    case KEY_BOOL:
        return read_bool(loader, item, kept(at));
    case KEY_INTEGER:
        return read_integer(loader, item, key, at);
    case KEY_NUMBER:
        return parse_number(loader, item, key->min, key->max, kept(at));
    case KEY_CHANCE:
        return read_chance(loader, item, kept(at));
    case KEY_STRING:
    case KEY_NAME:
    case KEY_FILE:
    case KEY_EXPR:
        return read_string(loader, item, key, at);
    case KEY_SEED:
        return read_seed(loader, item, kept(at));
    case KEY_QUANTITY:
        return parse_quantity(loader, item, key, kept(at));
    case KEY_RATE:
        return read_rate(loader, item, key, kept(at));
    case KEY_ENUM:
        return read_choice(loader, item, key, kept(at));
    case KEY_FLAGS:
        return read_flags(loader, item, key, kept(at));
    case KEY_DIST:
        return read_dist(loader, item, key, kept(at));
    case KEY_MIX:
        return parse_mix(loader, item, data);
    case KEY_NAT:
        return parse_nat(loader, item, data);
    case KEY_GROUP:
        return read_group(loader, item, kept(at));
    case KEY_SELECT:
        return read_select(loader, item, kept(at));
    case KEY_MATRIX:
        return parse_matrix(loader, item, key, data);
    case KEY_COORDINATES:
        return parse_coordinates(loader, item, data);
    case KEY_THRESHOLDS:
        return parse_thresholds(loader, item, key);
    case KEY_OBJECT:
        return read_object(loader, item, key, data);
    case KEY_LIST:
        return read_list(loader, item, key, data);
    case KEY_MAP:
        return read_map(loader, item, key, data);
    }
    must(false); /* every type has its reader above */
    return false;
}

static bool read_bool(struct loader *loader, const cJSON *item, void *at)
{
    if (!cJSON_IsBool(item)) {
        parse_complain_type(loader, item, "true or false");
        return false;
    }
    *(bool *)at = cJSON_IsTrue(item) != 0;
    return true;
}

static bool read_integer(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                         void *at)
{
    double value;
    if (!parse_number(loader, item, key->min, key->max, &value)) {
        return false;
    }
    if (value != floor(value)) {
        loader_complain(loader, REPORT_MT0104, LOADER_VALUE, NULL, "expected a whole number");
        return false;
    }
    if (at != NULL) {
        *(uint32_t *)at = (uint32_t)value;
    }
    return true;
}

bool parse_number(struct loader *loader, const cJSON *item, double min, double max, double *value)
{
    if (!cJSON_IsNumber(item)) {
        parse_complain_type(loader, item, "a number");
        return false;
    }
    *value = item->valuedouble;
    if (*value >= min && *value <= max) {
        return true;
    }
    char low[TEXT_DOUBLE_SIZE];
    char high[TEXT_DOUBLE_SIZE];
    text_double(min, low);
    text_double(max, high);
    loader_complain(loader, REPORT_MT0106, LOADER_VALUE, NULL, "must be %s%s%s",
                    min == max ? "" : low, min == max ? "" : " to ", high);
    return false;
}

static bool read_chance(struct loader *loader, const cJSON *item, struct scenario_chance *chance)
{
    if (cJSON_IsString(item) && strchr(item->valuestring, '%') != NULL) {
        loader_complain(loader, REPORT_MT0104, LOADER_VALUE, text_format("write 10 %% as 0.1"),
                        "a probability is a number, 0 to 1");
        return false;
    }
    double ratio;
    if (!parse_number(loader, item, 0, 1, &ratio)) {
        return false;
    }
    double threshold = floor(ratio * 4294967296.0);
    chance->ratio = ratio;
    chance->threshold = threshold >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)threshold;
    return true;
}

static bool read_string(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                        void *at)
{
    const char *text = string_of(loader, item);
    if (text == NULL) {
        return false;
    }
    if (key->type == KEY_NAME && !parse_is_name(text)) {
        parse_complain_name(loader, LOADER_VALUE, text);
        return false;
    }
    if (key->type == KEY_FILE && *text == '\0') {
        loader_complain(loader, REPORT_MT0109, LOADER_VALUE, NULL, "the file name is empty");
        return false;
    }
    if (at != NULL) {
        *(char **)at = text_copy(text, strlen(text));
    }
    return true;
}

bool parse_is_name(const char *text)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(text);
    return len >= 1 && len <= 64 && strspn(text, letters) == len && strchr("._-", text[0]) == NULL;
}

void parse_complain_name(struct loader *loader, enum loader_aim aim, const char *text)
{
    loader_complain(loader, REPORT_MT0109, aim,
                    text_format("lower-case letters, digits, '.', '_' and '-'; at most 64; "
                                "a letter or digit first"),
                    "\"%s\" is not a name", text);
}

static bool read_seed(struct loader *loader, const cJSON *item, void *at)
{
    uint64_t *seed = at;
    if (cJSON_IsNumber(item)) {
        double value;
        if (!parse_number(loader, item, 0, JSON_INTEGER_MAX, &value)) {
            return false;
        }
        *seed = (uint64_t)value;
        if ((double)*seed == value) {
            return true;
        }
    } else if (cJSON_IsString(item)) {
        const char *text = item->valuestring;
        size_t digits = strncmp(text, "0x", 2) == 0 ? strlen(text + 2) : 0;
        if (digits >= 1 && digits <= 16 && strspn(text + 2, "0123456789abcdefABCDEF") == digits) {
            *seed = strtoull(text + 2, NULL, 16);
            return true;
        }
    } else {
        parse_complain_type(loader, item, "a hex string or a whole number");
        return false;
    }
    loader_complain(loader, REPORT_MT0110, LOADER_VALUE,
                    text_format("\"0x\" and 1 to 16 hexadecimal digits, or a whole number"),
                    "malformed seed");
    return false;
}

bool parse_quantity(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                    uint64_t *value)
{
    if (!cJSON_IsString(item) && !cJSON_IsNumber(item)) {
        parse_complain_type(loader, item, "a string with a unit");
        return false;
    }
    if (cJSON_IsNumber(item)) {
        complain_quantity(loader, key->quantity, QUANTITY_NO_UNIT, NULL);
        return false;
    }
    enum quantity_verdict verdict = quantity_parse(key->quantity, item->valuestring, value);
    if (verdict != QUANTITY_OK) {
        complain_quantity(loader, key->quantity, verdict, item->valuestring);
        return false;
    }
    const struct scenario_key *limits = loader->limits != NULL ? loader->limits : key;
    double min = key->min > limits->min ? key->min : limits->min;
    if ((double)*value >= min && (double)*value <= limits->max) {
        return true;
    }
    char *low = quantity_format_short(key->quantity, (uint64_t)min);
    char *high = quantity_format_short(key->quantity, (uint64_t)limits->max);
    loader_complain(loader, REPORT_MT0106, LOADER_VALUE, NULL, "must be %s to %s", low, high);
    free(low);
    free(high);
    *value = 0;
    return false;
}

static bool read_rate(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                      void *at)
{
    if (!cJSON_IsString(item)) {
        if (cJSON_IsNumber(item)) {
            complain_quantity(loader, QUANTITY_RATE, QUANTITY_NO_UNIT, NULL);
        } else {
            parse_complain_type(loader, item, "a string with a unit");
        }
        return false;
    }
    double per_s = 0;
    enum quantity_verdict verdict = quantity_parse_rate(item->valuestring, &per_s);
    if (verdict != QUANTITY_OK) {
        complain_quantity(loader, QUANTITY_RATE, verdict, item->valuestring);
        return false;
    }
    if (per_s < key->min || per_s > key->max) {
        char *low = quantity_format_rate(key->min);
        char *high = quantity_format_rate(key->max);
        loader_complain(loader, REPORT_MT0106, LOADER_VALUE, NULL, "must be %s to %s", low, high);
        free(low);
        free(high);
        return false;
    }
    *(double *)at = per_s;
    return true;
}

static void complain_quantity(struct loader *loader, enum quantity_kind kind,
                              enum quantity_verdict verdict, const char *text)
{
    char *help = text_format("units: %s; for example \"%s\"", quantity_unit_list(kind),
                             quantity_example(kind));
    switch (verdict) {
    case QUANTITY_OK:
        must(false);
        break;
    case QUANTITY_MALFORMED:
        loader_complain(loader, REPORT_MT0105, LOADER_VALUE, help,
                        "\"%s\" is not a number with a unit", text);
        break;
    case QUANTITY_NO_UNIT:
        loader_complain(loader, REPORT_MT0105, LOADER_VALUE, help,
                        "a quantity is a string with a number and a unit");
        break;
    case QUANTITY_UNKNOWN_UNIT:
        loader_complain(loader, REPORT_MT0105, LOADER_VALUE, help, "\"%s\" has an unknown unit",
                        text);
        break;
    case QUANTITY_TOO_FINE:
        loader_complain(loader, REPORT_MT0107, LOADER_VALUE, help,
                        "\"%s\" is not a whole number of %s", text, quantity_base_unit(kind));
        break;
    case QUANTITY_TOO_LARGE:
        loader_complain(loader, REPORT_MT0106, LOADER_VALUE, help, "\"%s\" is too large", text);
        break;
    }
}

static bool read_choice(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                        uint32_t *choice)
{
    const char *text = string_of(loader, item);
    if (text == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < key->choices->count; i++) {
        if (strcmp(key->choices->names[i], text) == 0) {
            *choice = i;
            return true;
        }
    }
    loader_complain(loader, REPORT_MT0103, LOADER_VALUE,
                    loader_suggest(loader, text, key->choices->names, key->choices->count),
                    "unknown %s \"%s\"", key->name, text);
    return false;
}

static bool read_flags(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                       void *at)
{
    if (!cJSON_IsArray(item)) {
        parse_complain_type(loader, item, "a list of names");
        return false;
    }
    uint32_t flags = 0;
    size_t index = 0;
    bool ok = true;
    const cJSON *element;
    cJSON_ArrayForEach(element, item)
    {
        uint32_t choice;
        size_t mark = loader_enter_index(loader, index++);
        if (!read_choice(loader, element, key, &choice)) {
            ok = false;
        } else if ((flags & (1u << choice)) != 0) {
            loader_complain(loader, REPORT_MT0206, LOADER_VALUE, NULL, "\"%s\" is given twice",
                            key->choices->names[choice]);
            ok = false;
        } else {
            flags |= 1u << choice;
        }
        loader_leave(loader, mark);
    }
    *(uint32_t *)at = flags;
    return ok;
}

/* A plain quantity is the constant distribution; otherwise an object, with the key's limits. */
static bool read_dist(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                      struct dist_config *dist)
{
    if (cJSON_IsString(item) || cJSON_IsNumber(item)) {
        dist->kind = DIST_CONFIG_CONSTANT;
        return parse_quantity(loader, item, key, &dist->value);
    }
    if (!cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "a quantity or a distribution");
        return false;
    }
    uint32_t before = loader->report->error_count;
    loader->limits = key;
    parse_object(loader, item, key->shape, dist, false);
    loader->limits = NULL;
    return loader->report->error_count == before;
}

static bool read_group(struct loader *loader, const cJSON *item, uint32_t *group)
{
    *group = SCENARIO_GROUP_NONE;
    const char *name = string_of(loader, item);
    return name != NULL && group_find(loader, name, group);
}

static bool group_find(struct loader *loader, const char *name, uint32_t *group)
{
    *group = loader_group_find(loader, name);
    if (*group != SCENARIO_GROUP_NONE) {
        return true;
    }
    loader_complain(loader, REPORT_MT0201, LOADER_VALUE, loader_suggest_group(loader, name),
                    "there is no group \"%s\"", name);
    return false;
}

static bool read_select(struct loader *loader, const cJSON *item, struct scenario_select *select)
{
    static const char *const known[] = {"all", "holders", "group:NAME"};
    *select = (struct scenario_select){.group = SCENARIO_GROUP_NONE};
    const char *text = string_of(loader, item);
    if (text == NULL) {
        return false;
    }
    if (strncmp(text, "group:", 6) == 0) {
        select->kind = SCENARIO_SELECT_GROUP;
        return group_find(loader, text + 6, &select->group);
    }
    bool is_holders = strcmp(text, "holders") == 0;
    if (is_holders || strcmp(text, "all") == 0) {
        select->kind = is_holders ? SCENARIO_SELECT_HOLDERS : SCENARIO_SELECT_ALL;
        return true;
    }
    loader_complain(loader, REPORT_MT0103, LOADER_VALUE, loader_suggest(loader, text, known, 3),
                    "unknown selection \"%s\"", text);
    return false;
}

static bool read_object(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                        void *data)
{
    if (!cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "an object");
        return false;
    }
    char *at = (char *)data + key->offset;
    if (key->extra != KEY_NOWHERE) {
        *(bool *)((char *)data + key->extra) = true;
    }
    if (key->overlays) {
        memcpy(at, &loader->scenario->protocol, sizeof loader->scenario->protocol);
    }
    uint32_t before = loader->report->error_count;
    parse_object(loader, item, key->shape, at, key->overlays);
    return loader->report->error_count == before;
}

static bool read_list(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                      void *data)
{
    if (!cJSON_IsArray(item)) {
        parse_complain_type(loader, item, "a list of objects");
        return false;
    }
    char *elements = elements_make(loader, item, key, data);
    if (elements == NULL) {
        return false;
    }
    uint32_t before = loader->report->error_count;
    size_t index = 0;
    const cJSON *element;
    cJSON_ArrayForEach(element, item)
    {
        size_t mark = loader_enter_index(loader, index);
        if (cJSON_IsObject(element)) {
            parse_object(loader, element, key->shape, elements + index * key->shape->size, false);
        } else {
            parse_complain_type(loader, element, "an object");
        }
        loader_leave(loader, mark);
        index++;
    }
    return loader->report->error_count == before;
}

/* Room for as many as the file has, or NULL after a complaint about their number. */
static void *elements_make(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                           void *data)
{
    uint32_t count = (uint32_t)cJSON_GetArraySize(item); /* Of an object, too. */
    if (count < (uint32_t)key->min) {
        loader_complain(loader, REPORT_MT0112, LOADER_VALUE, NULL, "\"%s\" must not be empty",
                        key->name);
        return NULL;
    }
    if (count > (uint32_t)key->max) {
        loader_complain(loader, REPORT_MT0106, LOADER_VALUE, NULL, "at most %u elements, not %u",
                        (uint32_t)key->max, count);
        return NULL;
    }
    void *elements = text_alloc(count, key->shape->size);
    *(void **)(void *)((char *)data + key->offset) = elements;
    *(uint32_t *)(void *)((char *)data + key->extra) = count;
    return elements;
}

/* Elements have their names before their keys are read; free "x-" members are none. */
static bool read_map(struct loader *loader, const cJSON *item, const struct scenario_key *key,
                     void *data)
{
    if (!cJSON_IsObject(item)) {
        parse_complain_type(loader, item, "an object of objects");
        return false;
    }
    char *elements = elements_make(loader, item, key, data);
    if (elements == NULL) {
        return false;
    }
    uint32_t before = loader->report->error_count;
    uint32_t *count = (uint32_t *)(void *)((char *)data + key->extra);
    *count = 0;
    const cJSON *member;
    cJSON_ArrayForEach(member, item)
    {
        if (parse_is_free(member)) {
            continue;
        }
        size_t mark = loader_enter(loader, member->string);
        if (!parse_is_name(member->string)) {
            parse_complain_name(loader, LOADER_KEY, member->string);
        } else if (!cJSON_IsObject(member)) {
            parse_complain_type(loader, member, "an object");
        } else {
            void *element = elements + (*count)++ * key->shape->size;
            *(char **)element = text_copy(member->string, strlen(member->string));
            parse_object(loader, member, key->shape, element, false);
        }
        loader_leave(loader, mark);
    }
    return loader->report->error_count == before;
}

static const char *string_of(struct loader *loader, const cJSON *item)
{
    if (cJSON_IsString(item)) {
        return item->valuestring;
    }
    parse_complain_type(loader, item, "a string");
    return NULL;
}
