/* loader.c - the loader's place in the file, and complaints that point there. */
#include "sim/scenario/loader.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"

#define KNOWN_SHOWN_MAX 12

static void complain(struct loader *loader, enum report_code code, enum loader_aim aim, char *help,
                     char *message);
static const struct loader_override *override_of(const struct loader *loader, const char *pointer);
static bool is_below(const char *pointer, const char *above);
static bool place_fill(const struct loader *loader, const char *pointer, enum loader_aim aim,
                       struct report_place *place);

size_t loader_enter(struct loader *loader, const char *key)
{
    size_t mark = loader->pointer.len;
    char *segment = json_pointer_encode(key);
    text_add(&loader->pointer, "/%s", segment);
    free(segment);
    return mark;
}

size_t loader_enter_index(struct loader *loader, size_t index)
{
    size_t mark = loader->pointer.len;
    text_add(&loader->pointer, "/%zu", index);
    return mark;
}

void loader_leave(struct loader *loader, size_t mark)
{
    text_cut(&loader->pointer, mark);
}

void loader_complain(struct loader *loader, enum report_code code, enum loader_aim aim, char *help,
                     const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *message = text_format_list(format, arguments);
    va_end(arguments);
    complain(loader, code, aim, help, message);
}

void loader_complain_at(struct loader *loader, const char *key, enum report_code code, char *help,
                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *message = text_format_list(format, arguments);
    va_end(arguments);
    size_t mark = loader_enter(loader, key);
    complain(loader, code, LOADER_VALUE, help, message);
    loader_leave(loader, mark);
}

/* A file that cannot be read is the scenario's slip; one that makes no sense has its own lines. */
void loader_complain_table(struct loader *loader, const char *path, struct table_slip *slip)
{
    if (slip->line == 0) {
        complain(loader, REPORT_MT0203, LOADER_VALUE, text_format("looked for %s", path),
                 slip->message);
    } else {
        struct report_place place = {.where = path,
                                     .line = slip->line,
                                     .column = slip->column,
                                     .pointer = loader->pointer.data};
        report_add(loader->report, REPORT_MT0208, &place, slip->message,
                   text_format("docs/SCENARIOS.md shows what the table must look like"));
    }
    slip->message = NULL;
}

static void complain(struct loader *loader, enum report_code code, enum loader_aim aim, char *help,
                     char *message)
{
    const char *pointer = loader->pointer.data;
    struct report_place place = {.pointer = pointer};
    if (report_is_full(loader->report)) {
        report_add(loader->report, code, &place, message, help);
        return;
    }
    const struct loader_override *override = override_of(loader, pointer);
    char *where = NULL;
    if (override != NULL) {
        where = text_format("--set %s", override->text);
        place.where = where;
    } else if (!place_fill(loader, pointer, aim, &place)) {
        free(help);
        free(message);
        return;
    }
    report_add(loader->report, code, &place, message, help);
    free(where);
}

/* The override that brought the value at `pointer`: the last one at or above it, or one below it
 * that had to make it. */
static const struct loader_override *override_of(const struct loader *loader, const char *pointer)
{
    for (size_t i = loader->override_count; i-- > 0;) {
        if (is_below(pointer, loader->overrides[i].pointer)) {
            return &loader->overrides[i];
        }
    }
    bool is_in_file = json_place_find(&loader->document, pointer) != JSON_NO_PLACE;
    for (size_t i = loader->override_count; i-- > 0 && !is_in_file;) {
        if (is_below(loader->overrides[i].pointer, pointer)) {
            return &loader->overrides[i];
        }
    }
    return NULL;
}

static bool is_below(const char *pointer, const char *above)
{
    size_t len = strlen(above);
    return strncmp(pointer, above, len) == 0 && (pointer[len] == '\0' || pointer[len] == '/');
}

/* The text of the value at `pointer`, or of the nearest value around it. False when the scanner
 * has complained about that very value, so that nothing more can be said of it. */
static bool place_fill(const struct loader *loader, const char *pointer, enum loader_aim aim,
                       struct report_place *place)
{
    const struct json_document *document = &loader->document;
    char *near = text_copy(pointer, strlen(pointer));
    uint32_t found = json_place_find(document, near);
    while (found == JSON_NO_PLACE && near[0] != '\0') {
        *strrchr(near, '/') = '\0';
        found = json_place_find(document, near);
        aim = LOADER_VALUE;
    }
    free(near);
    must(found != JSON_NO_PLACE);
    const struct json_place *value = &document->places[found];
    place->from = aim == LOADER_KEY ? value->key_from : value->from;
    place->to = aim == LOADER_KEY ? value->key_to : value->to;
    bool is_container = value->first != JSON_NO_PLACE && aim == LOADER_VALUE;
    if (is_container) {
        place->to = place->from + 1; /* its bracket stands for all of it */
    }
    return !value->is_patched;
}

char *loader_suggest(const struct loader *loader, const char *word, const char *const *known,
                     size_t count)
{
    if (report_is_full(loader->report) || count == 0) {
        return NULL; /* nobody will read it */
    }
    struct text help = {0};
    const char *near = text_suggest(word, known, count);
    if (near != NULL) {
        text_add(&help, "did you mean \"%s\"?  ", near);
    }
    text_add(&help, "known: ");
    for (size_t i = 0; i < count && i < KNOWN_SHOWN_MAX; i++) {
        text_add(&help, "%s%s", i > 0 ? ", " : "", known[i]);
    }
    if (count > KNOWN_SHOWN_MAX) {
        text_add(&help, ", ...");
    }
    return help.data;
}

char *loader_suggest_group(const struct loader *loader, const char *word)
{
    const struct scenario *scenario = loader->scenario;
    const char **names = text_alloc(scenario->group_count, sizeof *names);
    size_t count = 0;
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        if (scenario->groups[i].name != NULL) {
            names[count++] = scenario->groups[i].name;
        }
    }
    char *help = loader_suggest(loader, word, names, count);
    free(names);
    return help;
}

char *loader_file_path(const struct loader *loader, const char *file)
{
    const char *path = loader->report->path;
    const char *slash = strrchr(path, '/');
    if (file[0] == '/' || slash == NULL) {
        return text_copy(file, strlen(file));
    }
    return text_format("%.*s/%s", (int)(slash - path), path, file);
}

uint32_t loader_group_find(const struct loader *loader, const char *name)
{
    const struct scenario *scenario = loader->scenario;
    for (uint32_t i = 0; i < scenario->group_count; i++) {
        if (scenario->groups[i].name != NULL && strcmp(scenario->groups[i].name, name) == 0) {
            return i;
        }
    }
    return SCENARIO_GROUP_NONE;
}
