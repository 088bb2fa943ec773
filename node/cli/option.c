/* option.c - walks over words and rows. */
#include "node/cli/option.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/quantity.h"
#include "node/cli/text.h"

struct parser {
    const struct option_table *table;
    struct option_origin *origins;
    void *arguments;
    char *error;
    size_t error_size;
    enum option_layer layer;
    unsigned line;
};

enum {
    FILE_LEN_MAX = 1 << 20, /* More is no configuration. */
    ERROR_SIZE = 512,
};

static bool complain(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool read_environment(struct parser *parser);
static bool read_long(struct parser *parser, int count, char **words, int *at);
static bool read_letters(struct parser *parser, int count, char **words, int *at);
static bool read_line(struct parser *parser, char *line);
static bool store(struct parser *parser, const struct option *option, const char *value);
static bool store_flag(struct parser *parser, const struct option *option, const char *value);
static bool store_number(struct parser *parser, const struct option *option, const char *value);
static bool store_choice(struct parser *parser, const struct option *option, const char *value);
static void list_add(struct option_list *list, const char *item);
static char *environment_name(const struct option_table *table, const struct option *option);
static void print_value(const struct option *option, const void *arguments, const char *origin,
                        FILE *out);

bool option_parse(const struct option_table *table, int count, char **words, void *arguments,
                  struct option_list *operands, char *error, size_t error_size)
{
    struct option_origin *own = NULL;
    if (table->origins == NULL) {
        own = text_alloc(table->count, sizeof *own);
    }
    struct parser parser = {.table = table,
                            .origins = own != NULL ? own : table->origins,
                            .arguments = arguments,
                            .error = error,
                            .error_size = error_size,
                            .layer = OPTION_ENVIRONMENT};
    must(parser.origins != NULL);
    *operands = (struct option_list){0};
    bool ok = read_environment(&parser);
    parser.layer = OPTION_COMMAND_LINE;
    bool has_options = true;
    for (int at = 0; at < count && ok; at++) {
        const char *word = words[at];
        if (!has_options || word[0] != '-' || word[1] == '\0') {
            list_add(operands, word);
            has_options = has_options && !table->ends_at_operand;
        } else if (strcmp(word, "--") == 0) {
            has_options = false;
        } else if (word[1] == '-') {
            ok = read_long(&parser, count, words, &at);
        } else {
            ok = read_letters(&parser, count, words, &at);
        }
    }
    free(own);
    return ok;
}

void option_list_free(struct option_list *list)
{
    free(list->items);
    *list = (struct option_list){0};
}

char *option_read_file(const struct option_table *table, const char *path, void *arguments,
                       struct text *errors)
{
    char error[ERROR_SIZE];
    struct parser parser = {.table = table,
                            .origins = table->origins,
                            .arguments = arguments,
                            .error = error,
                            .error_size = sizeof error,
                            .layer = OPTION_FILE};
    size_t len;
    char *text = text_read_file(path, FILE_LEN_MAX, &len);
    if (text == NULL) {
        text_add(errors, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    if (strlen(text) != len) {
        text_add(errors, "%s: holds bytes that are no text\n", path);
        return text;
    }
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        parser.line++;
        if (!read_line(&parser, line)) {
            text_add(errors, "%s:%u: %s\n", path, parser.line, error);
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return text;
}

void option_print(const struct option_table *table, FILE *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        char left[64];
        char letter[8] = "    ";
        if (option->letter != 0) {
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        }
        snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
                 option->value != NULL ? " " : "", option->value != NULL ? option->value : "");
        fprintf(out, "  %-28s %s\n", left, option->doc);
    }
}

void option_print_values(const struct option_table *table, const void *arguments, const char *path,
                         FILE *out)
{
    for (size_t i = table->unfiled; i < table->count; i++) {
        const struct option *option = &table->options[i];
        char *variable = environment_name(table, option);
        char *origin = NULL;
        switch (table->origins[i].layer) {
        case OPTION_DEFAULT:
            origin = text_format("default");
            break;
        case OPTION_FILE:
            origin = text_format("%s:%u", path, table->origins[i].line);
            break;
        case OPTION_ENVIRONMENT:
            origin = text_format("%s", variable);
            break;
        case OPTION_COMMAND_LINE:
            origin = text_format("--%s", option->name);
            break;
        }
        print_value(option, arguments, origin, out);
        free(origin);
        free(variable);
    }
}

static bool complain(struct parser *parser, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parser->error, parser->error_size, format, arguments);
    va_end(arguments);
    return false;
}

static const struct option *find(const struct option_table *table, const char *name, size_t len)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strlen(table->options[i].name) == len &&
            strncmp(table->options[i].name, name, len) == 0) {
            return &table->options[i];
        }
    }
    return NULL;
}

/* MESHTWIN_RUN_STOP_AT for --stop-at of `run`. */
static char *environment_name(const struct option_table *table, const struct option *option)
{
    char *name = text_format("MESHTWIN_%s_%s", table->command, option->name);
    for (char *letter = name; *letter != '\0'; letter++) {
        *letter = *letter == '-' ? '_' : (char)toupper((unsigned char)*letter);
    }
    return name;
}

static bool read_environment(struct parser *parser)
{
    const struct option_table *table = parser->table;
    for (size_t i = 0; i < table->count; i++) {
        char *name = environment_name(table, &table->options[i]);
        const char *value = getenv(name);
        if (value != NULL && !store(parser, &table->options[i], value)) {
            char *what = text_copy(parser->error, strlen(parser->error));
            complain(parser, "%s (from %s)", what, name);
            free(what);
            free(name);
            return false;
        }
        free(name);
    }
    return true;
}

/* `dashes` is how an option is written here: "--" on a command line, "" in a file. */
static bool unknown_option(struct parser *parser, const char *dashes, const char *name, size_t len)
{
    const struct option_table *table = parser->table;
    size_t first = parser->layer == OPTION_FILE ? table->unfiled : 0;
    const char **names = text_alloc(table->count, sizeof *names);
    for (size_t i = first; i < table->count; i++) {
        names[i - first] = table->options[i].name;
    }
    char *word = text_copy(name, len);
    const char *meant = text_suggest(word, names, table->count - first);
    if (meant != NULL) {
        complain(parser, "unknown option \"%s%s\", did you mean \"%s%s\"?", dashes, word, dashes,
                 meant);
    } else {
        complain(parser, "unknown option \"%s%s\"", dashes, word);
    }
    free(word);
    free(names);
    return false;
}

/* "--name", "--name=value" or "--name value". */
static bool read_long(struct parser *parser, int count, char **words, int *at)
{
    const char *name = words[*at] + 2;
    size_t len = strcspn(name, "=");
    const struct option *option = find(parser->table, name, len);
    if (option == NULL) {
        return unknown_option(parser, "--", name, len);
    }
    bool has_value = name[len] == '=';
    if (option->type == OPTION_FLAG && !has_value) {
        return store(parser, option, "1");
    }
    if (has_value) {
        return store(parser, option, name + len + 1);
    }
    if (*at + 1 == count) {
        return complain(parser, "--%s wants a value: --%s %s", option->name, option->name,
                        option->value);
    }
    *at += 1;
    return store(parser, option, words[*at]);
}

/* "-q", "-qv", "-j2" or "-j 2". */
static bool read_letters(struct parser *parser, int count, char **words, int *at)
{
    for (const char *letter = words[*at] + 1; *letter != '\0'; letter++) {
        const struct option *option = NULL;
        for (size_t i = 0; i < parser->table->count; i++) {
            if (parser->table->options[i].letter == *letter) {
                option = &parser->table->options[i];
            }
        }
        if (option == NULL) {
            return complain(parser, "unknown option \"-%c\"", *letter);
        }
        if (option->type == OPTION_FLAG) {
            must(store(parser, option, "1"));
            continue;
        }
        if (letter[1] != '\0') {
            return store(parser, option, letter[1] == '=' ? letter + 2 : letter + 1);
        }
        if (*at + 1 == count) {
            return complain(parser, "-%c wants a value: -%c %s", *letter, *letter, option->value);
        }
        *at += 1;
        return store(parser, option, words[*at]);
    }
    return true;
}

static char *trimmed(char *text)
{
    text += strspn(text, " \t\r");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) {
        len--;
    }
    text[len] = '\0';
    return text;
}

/* Where a comment begins: a '#' first or after a blank, and not between quotes. */
static void cut_comment(char *line)
{
    bool is_quoted = false;
    for (char *at = line; *at != '\0'; at++) {
        if (*at == '"') {
            is_quoted = !is_quoted;
        } else if (*at == '#' && !is_quoted && (at == line || at[-1] == ' ' || at[-1] == '\t')) {
            *at = '\0';
            return;
        }
    }
}

/* `name = value`, or nothing. Cuts the line up. */
static bool read_line(struct parser *parser, char *line)
{
    cut_comment(line);
    char *name = trimmed(line);
    if (*name == '\0') {
        return true;
    }
    char *sign = strchr(name, '=');
    if (sign == NULL) {
        return complain(parser, "\"%s\" is no line of the form: name = value", name);
    }
    *sign = '\0';
    name = trimmed(name);
    char *value = trimmed(sign + 1);
    const struct option *option = find(parser->table, name, strlen(name));
    if (option == NULL || option < parser->table->options + parser->table->unfiled) {
        return unknown_option(parser, "", name, strlen(name));
    }
    const struct option_origin *origin = &parser->origins[option - parser->table->options];
    if (origin->layer == OPTION_FILE && option->type != OPTION_LIST) {
        return complain(parser, "\"%s\" is given already in line %u", name, origin->line);
    }
    size_t len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value[len - 1] = '\0';
        value++;
    } else if (strchr(value, '"') != NULL) {
        return complain(parser, "the quotes of \"%s\" do not enclose its value", name);
    } else if (len == 0) {
        return complain(parser, "\"%s\" has no value", name);
    }
    return store(parser, option, value);
}

static bool store(struct parser *parser, const struct option *option, const char *value)
{
    char *place = (char *)parser->arguments + option->offset;
    struct option_origin *origin = &parser->origins[option - parser->table->options];
    bool is_first = origin->layer != parser->layer;
    *origin = (struct option_origin){parser->layer, parser->line};
    switch (option->type) {
    case OPTION_FLAG:
        return store_flag(parser, option, value);
    case OPTION_TEXT:
        *(const char **)(void *)place = value;
        return true;
    case OPTION_LIST:
        if (is_first) {
            option_list_free((struct option_list *)(void *)place);
        }
        list_add((struct option_list *)(void *)place, value);
        return true;
    case OPTION_CHOICE:
        return store_choice(parser, option, value);
    default:
        return store_number(parser, option, value);
    }
}

static bool store_flag(struct parser *parser, const struct option *option, const char *value)
{
    bool *place = (bool *)(void *)((char *)parser->arguments + option->offset);
    if (strcmp(value, "1") == 0 || strcmp(value, "true") == 0) {
        *place = true;
        return true;
    }
    if (strcmp(value, "0") == 0 || strcmp(value, "false") == 0 || value[0] == '\0') {
        *place = false;
        return true;
    }
    return complain(parser, "--%s is true or false, not \"%s\"", option->name, value);
}

static bool store_number(struct parser *parser, const struct option *option, const char *value)
{
    uint64_t *place = (uint64_t *)(void *)((char *)parser->arguments + option->offset);
    if (option->type == OPTION_DURATION) {
        if (quantity_parse(QUANTITY_DURATION, value, place) != QUANTITY_OK) {
            return complain(parser, "--%s wants a time with its unit, such as %s, not \"%s\"",
                            option->name, quantity_example(QUANTITY_DURATION), value);
        }
        return true;
    }
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    uint64_t least = option->type == OPTION_COUNT ? 1 : 0;
    if (!isdigit((unsigned char)value[0]) || *end != '\0' || errno != 0 || number < least) {
        return complain(parser, "--%s wants a whole number%s, not \"%s\"", option->name,
                        least == 1 ? " from 1 on" : "", value);
    }
    *place = number;
    return true;
}

static bool store_choice(struct parser *parser, const struct option *option, const char *value)
{
    struct text known = {0};
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], value) == 0) {
            *(int *)(void *)((char *)parser->arguments + option->offset) = i;
            free(known.data);
            return true;
        }
        text_add(&known, "%s%s", i > 0 ? ", " : "", option->choices[i]);
    }
    complain(parser, "--%s is one of %s, not \"%s\"", option->name, known.data, value);
    free(known.data);
    return false;
}

static void list_add(struct option_list *list, const char *item)
{
    list->items = text_grow(list->items, list->count, sizeof *list->items);
    list->items[list->count++] = item;
}

static void print_value(const struct option *option, const void *arguments, const char *origin,
                        FILE *out)
{
    const char *place = (const char *)arguments + option->offset;
    struct text value = {0};
    size_t times = 1;
    const struct option_list *list = NULL;
    switch (option->type) {
    case OPTION_FLAG:
        text_add(&value, "%s", *(const bool *)(const void *)place ? "true" : "false");
        break;
    case OPTION_TEXT:
        if (*(const char *const *)(const void *)place == NULL) {
            fprintf(out, "# %s is not set\n", option->name);
            return;
        }
        text_add(&value, "\"%s\"", *(const char *const *)(const void *)place);
        break;
    case OPTION_LIST:
        list = (const struct option_list *)(const void *)place;
        times = list->count;
        if (times == 0) {
            fprintf(out, "# %s is not set\n", option->name);
            return;
        }
        break;
    case OPTION_CHOICE:
        text_add(&value, "%s", option->choices[*(const int *)(const void *)place]);
        break;
    case OPTION_DURATION: {
        char *time =
            quantity_format_short(QUANTITY_DURATION, *(const uint64_t *)(const void *)place);
        text_add(&value, "%s", time);
        free(time);
        break;
    }
    case OPTION_COUNT:
    case OPTION_NUMBER:
        text_add(&value, "%llu", (unsigned long long)*(const uint64_t *)(const void *)place);
        break;
    }
    for (size_t i = 0; i < times; i++) {
        if (list != NULL) {
            text_cut(&value, 0);
            text_add(&value, "\"%s\"", list->items[i]);
        }
        char *line = text_format("%s = %s", option->name, value.data);
        fprintf(out, "%-40s # %s\n", line, origin);
        free(line);
    }
    free(value.data);
}
