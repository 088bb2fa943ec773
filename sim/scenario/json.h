/* json.h - strict JSON with comments: exact complaints, exact places, then a cJSON tree.
 *
 * cJSON alone accepts duplicate keys, 01 and 1e999, rounds integers above 2^53 without a word and
 * forgets where anything stood. So a scanner of our own goes first: it checks every byte (syntax as
 * RFC 8259, plus line and block comments), complains with a repair for each usual slip, notes where
 * each value and key stands, and blanks comments with spaces so that offsets stay true. After a
 * slip it can patch it goes on; after one it cannot, it stops and there is no tree.
 *
 *      text -> scan -> blanked text -> cJSON tree
 *               |-> places (tree of byte ranges, by JSON pointer, RFC 6901)
 *               '-> report
 */
#ifndef SIM_SCENARIO_JSON_H
#define SIM_SCENARIO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cJSON.h>

#include "sim/scenario/report.h"

#define JSON_LEN_MAX     ((size_t)64 << 20)
#define JSON_DEPTH_MAX   64
#define JSON_VALUES_MAX  1000000u /* a million values are no scenario; bounds our memory */
#define JSON_INTEGER_MAX 9007199254740991.0 /* 2^53 - 1: beyond it doubles skip integers */
#define JSON_NO_PLACE    UINT32_MAX

/* Where one value stands; places are in the order of the text, the root is number 0. */
struct json_place {
    const char *key; /* decoded, or NULL in an array and for the root */
    uint32_t parent;
    uint32_t first; /* child */
    uint32_t last;
    uint32_t next;     /* sibling */
    uint32_t index;    /* among the siblings */
    uint32_t key_from; /* byte ranges, quotes included */
    uint32_t key_to;
    uint32_t from;
    uint32_t to;
    bool is_patched; /* the scanner complained: the value in the tree is a stand-in */
};

struct json_document {
    cJSON *root; /* NULL after a slip that could not be patched */
    struct json_place *places;
    uint32_t place_count;
    char *keys; /* the decoded keys, one after the other */
};

/* Fills `document` and adds to `report`, whose text the byte ranges refer to. Without new errors in
 * `report` the tree is exactly what the text says. */
void json_read(struct json_document *document, const char *text, size_t len,
               struct scenario_report *report);
void json_free(struct json_document *document);

/* The place a pointer names, or JSON_NO_PLACE. */
uint32_t json_place_find(const struct json_document *document, const char *pointer);
/* The pointer that names a place; the caller frees it. */
char *json_place_pointer(const struct json_document *document, uint32_t place);

/* The next segment of a pointer, decoded (~1 is '/', ~0 is '~') into fresh memory; `*rest` moves
 * behind it. NULL at the pointer's end, or where it does not begin with '/'. */
char *json_pointer_next(const char **rest);
/* `segment` with '/' and '~' encoded, into fresh memory. */
char *json_pointer_encode(const char *segment);

/* "object", "array", "string", "number", "true", "false" or "null". */
const char *json_type_text(const cJSON *item);

#endif /* SIM_SCENARIO_JSON_H */
