/* json_write.h - writes JSON to a stream, indented, with commas in the right places.
 *
 *      open '{', string, number, close '}' -> text on a FILE
 *
 * It checks nothing: whoever opens must close. Keys are NULL inside arrays.
 */
#ifndef SIM_SCENARIO_JSON_WRITE_H
#define SIM_SCENARIO_JSON_WRITE_H

#include <stdbool.h>
#include <stdio.h>

struct json_writer {
    FILE *out;
    int depth;
    bool has_sibling;
};

void json_write_start(struct json_writer *writer, FILE *out);
void json_write_open(struct json_writer *writer, const char *key, char bracket);
void json_write_close(struct json_writer *writer, char bracket);
void json_write_string(struct json_writer *writer, const char *key, const char *text); /* or null */
void json_write_number(struct json_writer *writer, const char *key, double value);
void json_write_bool(struct json_writer *writer, const char *key, bool value);

#endif /* SIM_SCENARIO_JSON_WRITE_H */
