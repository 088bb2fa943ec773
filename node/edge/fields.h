/* fields.h - named texts out of a query string or a JSON body.
 *
 * Either is read strictly: a name once, no broken escape, UTF-8 without control characters, a
 * bounded number. Values of JSON may be texts, whole numbers and booleans; all end as texts.
 *
 *      "id=3fa2&hex=true", {"id": "3fa2", "hex": true} -> struct fields -> fields_get
 */
#ifndef NODE_EDGE_FIELDS_H
#define NODE_EDGE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FIELDS_MAX = 16,
};

struct field {
    char *name;
    char *value;
};

struct fields {
    size_t count;
    struct field items[FIELDS_MAX];
};

/* False with the complaint, a static text, in *why. Clear them in any case. */
bool fields_read_query(struct fields *fields, const char *query, const char **why);
bool fields_read_json(struct fields *fields, const char *body, size_t len, const char **why);
const char *fields_get(const struct fields *fields, const char *name); /* NULL: not given. */
void fields_clear(struct fields *fields);

#endif /* NODE_EDGE_FIELDS_H */
