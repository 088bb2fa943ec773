/* verb_parts.h - what the files of the verbs share: the call, its arguments, its end.
 *
 *      verb.c        the table, parsing of words, help
 *      verb_mesh.c   peers, known, routes, bans, trust, why, connect, ping, find
 *      verb_data.c   put, get, publish, delete, send, broadcast
 *      verb_ledger.c ledger, owe, accept, reject, redeem, default
 *      verb_state.c  id, status, health, stats, log, watch, quit
 *      verb_way.c    of status and why: who reaches this node, and how it reaches a peer
 *      verb_text.c   data to text: tables, quantities
 *
 *      verb_run -> row.start(call) -> verb_submit -> ... -> verb_end(data) -> row.print -> done
 */
#ifndef NODE_DAEMON_VERB_PARTS_H
#define NODE_DAEMON_VERB_PARTS_H

#include "node/cli/text.h"
#include "node/daemon/id_text.h"
#include "node/daemon/verb.h"

enum { /* Options that a verb takes, as bits. */
       VERB_HEX = 1,
       VERB_SALT = 2,
};

enum {
    VERB_OK = 0,
    VERB_FAILED = 1,
    VERB_USAGE = 2,
};

/* One request from its words to its reply. */
struct verb_call {
    struct verb_context context;
    const struct verb *verb;
    size_t index; /* In the table. */
    verb_done_fn done;
    void *arg;

    const char *words[VERB_WORDS_MAX]; /* Borrowed: until start returns. */
    size_t word_count;
    bool is_hex;
    uint32_t salt;
};

/* --- ends: exactly one of them for each call, which is gone then -------------------------------
 */

/* `data` is taken over. */
void verb_end(struct verb_call *call, cJSON *data);
/* The same with an exit code and, when that is not 0, with a line that says why. */
void verb_end_with(struct verb_call *call, int code, const char *why, cJSON *data);
void verb_fail(struct verb_call *call, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Submits; the outcome goes to row.finish, a refusal ends the call. */
void verb_submit(struct verb_call *call, struct node_command *command);
/* Ends the call with what all outcomes have in common, "status" and "took_us", added to `data`. */
void verb_end_event(struct verb_call *call, const struct port_event *event, cJSON *data);

/* --- arguments ---------------------------------------------------------------------------------
 */

/* The id that word `index` is, or begins: of somebody we know. False: the call has ended. */
bool verb_take_id(struct verb_call *call, size_t index, struct node_id *id);
/* Words from `index` on, with blanks between them, or the bytes that they spell with --hex. False:
 * the call has ended. */
bool verb_take_bytes(struct verb_call *call, size_t index, uint8_t *bytes, size_t cap, size_t *len);

/* --- data --------------------------------------------------------------------------------------
 */

/* {"schema": "meshtwin.<verb>.v1"} */
cJSON *verb_data(const struct verb_call *call);
void verb_add_text(cJSON *object, const char *name, const char *text);
void verb_add_number(cJSON *object, const char *name, double value);
/* Above 2^53 as a string: numbers of JSON are doubles to most readers. */
void verb_add_count(cJSON *object, const char *name, uint64_t value);
void verb_add_null(cJSON *object, const char *name);
void verb_add_bool(cJSON *object, const char *name, bool value);
void verb_add_id(cJSON *object, const char *name, const struct node_id *id);
void verb_add_addr(cJSON *object, const char *name, const struct port_addr *addr);
void verb_add_hex(cJSON *object, const char *name, const uint8_t *bytes, size_t len);
/* "value" as text (null when it is none, or not wanted), "hex" and "bytes". */
void verb_add_value(cJSON *object, struct slice value, bool as_text);
/* The id that an event is about. */
void verb_add_about(cJSON *object, const char *name, const struct port_event *event);
cJSON *verb_add_array(cJSON *object, const char *name);
cJSON *verb_add_object(cJSON *object, const char *name);
void verb_add_row(cJSON *array, cJSON *row);

/* "nat": whether strangers reach this node, through whom others do, and what it does for others. */
void verb_add_nat(cJSON *object, const struct node *node);
void verb_print_nat(const cJSON *object,
                    struct text *out); /* Lines, each with its newline first. */
/* "way", "relay", and what stands in the way of a better one. peer: NULL without one. */
void verb_add_way(cJSON *object, const struct node *node, const struct node_id *id,
                  const struct inspect_peer *peer);
void verb_print_way(const cJSON *object, struct text *out); /* Lines, each with its newline. */

/* {"status": "ok"}, "timeout", ...: the names of ERR_* in lower case. */
void verb_add_status(cJSON *object, int status);

/* --- text --------------------------------------------------------------------------------------
 */

enum verb_format {
    VERB_AS_TEXT,
    VERB_AS_ID, /* The first digits, enough to tell apart and to type. */
    VERB_AS_COUNT,
    VERB_AS_US,    /* A short time: "1.2 ms"; 0: "-". */
    VERB_AS_S,     /* A long one: "3 h 20 min". */
    VERB_AS_AGO_S, /* "3 s ago"; negative: "never". */
    VERB_AS_UNIX_S,
    VERB_AS_RATIO,
    VERB_AS_YES,
};

struct verb_column {
    const char *title;
    const char *field;
    enum verb_format format;
};

/* A table with a line of titles; no newline behind the last row. */
void verb_print_rows(struct text *out, const cJSON *rows, const struct verb_column *columns,
                     size_t count);
void verb_print_value(struct text *out, const cJSON *value, enum verb_format format);
/* The same of a field, between two texts. */
void verb_say(const cJSON *object, struct text *out, const char *before, const char *field,
              enum verb_format format, const char *after);
/* The field of that name, as text that is never NULL. */
const char *verb_text_of(const cJSON *object, const char *name);
double verb_number_of(const cJSON *object, const char *name);

#endif /* NODE_DAEMON_VERB_PARTS_H */
