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
    void *arguments;
    char *error;
    size_t error_size;
};

static bool complain(struct parser *parser, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool read_environment(struct parser *parser);
static bool read_long(struct parser *parser, int count, char **words, int *at);
static bool read_letters(struct parser *parser, int count, char **words, int *at);
static bool store(struct parser *parser, const struct option *option, const char *value);
static bool store_number(struct parser *parser, const struct option *option, const char *value);
static bool store_choice(struct parser *parser, const struct option *option, const char *value);
static void list_add(struct option_list *list, const char *item);

bool option_parse(const struct option_table *table, int count, char **words, void *arguments,
                  struct option_list *operands, char *error, size_t error_size)
{
    struct parser parser = {table, arguments, error, error_size};
    *operands = (struct option_list){0};
    bool ok = read_environment(&parser);
    bool has_options = true;
    for (int at = 0; at < count && ok; at++) {
        const char *word = words[at];
        if (!has_options || word[0] != '-' || word[1] == '\0') {
            list_add(operands, word);
        } else if (strcmp(word, "--") == 0) {
            has_options = false;
        } else if (word[1] == '-') {
            ok = read_long(&parser, count, words, &at);
        } else {
            ok = read_letters(&parser, count, words, &at);
        }
    }
    return ok;
}

void option_list_free(struct option_list *list)
{
    free(list->items);
    *list = (struct option_list){0};
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
static bool read_environment(struct parser *parser)
{
    const struct option_table *table = parser->table;
    for (size_t i = 0; i < table->count; i++) {
        char *name = text_format("MESHTWIN_%s_%s", table->command, table->options[i].name);
        for (char *letter = name; *letter != '\0'; letter++) {
            *letter = *letter == '-' ? '_' : (char)toupper((unsigned char)*letter);
        }
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

static bool unknown_option(struct parser *parser, const char *name, size_t len)
{
    const struct option_table *table = parser->table;
    const char **names = text_alloc(table->count, sizeof *names);
    for (size_t i = 0; i < table->count; i++) {
        names[i] = table->options[i].name;
    }
    char *word = text_copy(name, len);
    const char *meant = text_suggest(word, names, table->count);
    if (meant != NULL) {
        complain(parser, "unknown option \"--%s\", did you mean \"--%s\"?", word, meant);
    } else {
        complain(parser, "unknown option \"--%s\"", word);
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
        return unknown_option(parser, name, len);
    }
    bool has_value = name[len] == '=';
    if (option->type == OPTION_FLAG) {
        return has_value ? complain(parser, "--%s takes no value", option->name)
                         : store(parser, option, "1");
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

static bool store(struct parser *parser, const struct option *option, const char *value)
{
    char *place = (char *)parser->arguments + option->offset;
    switch (option->type) {
    case OPTION_FLAG: /* Only the environment says more than "1". */
        *(bool *)(void *)place = value[0] != '\0' && strcmp(value, "0") != 0;
        return true;
    case OPTION_TEXT:
        *(const char **)(void *)place = value;
        return true;
    case OPTION_LIST:
        list_add((struct option_list *)(void *)place, value);
        return true;
    case OPTION_CHOICE:
        return store_choice(parser, option, value);
    default:
        return store_number(parser, option, value);
    }
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
