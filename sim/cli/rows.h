/* rows.h - the rows of a statement in the format that was asked for.
 *
 * CSV is RFC 4180 with a header line and CRLF; a field is quoted when it must be, NULL is empty and
 * an empty text is "" in quotes. In both JSON forms numbers are numbers, NULL is null, blobs are
 * hexadecimal.
 *
 *      sqlite3_stmt -> rows_print -> table | csv | ndjson | json
 */
#ifndef SIM_CLI_ROWS_H
#define SIM_CLI_ROWS_H

#include <stdbool.h>
#include <stdio.h>

#include <sqlite3.h>

enum rows_format { ROWS_TABLE, ROWS_CSV, ROWS_NDJSON, ROWS_JSON };

/* False when the statement failed on the way: sqlite3_errmsg. */
bool rows_print(sqlite3_stmt *statement, enum rows_format format, FILE *out);

#endif /* SIM_CLI_ROWS_H */
