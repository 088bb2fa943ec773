/* data.c - the commands that read results: ls, query, export. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"
#include "sim/cli/cli.h"
#include "sim/cli/rows.h"
#include "sim/cli/terminal.h"

struct data_arguments {
    bool help;
    bool is_json;
};

#define ARGUMENT(member) offsetof(struct data_arguments, member)

static const struct option plain_options[] = {CLI_HELP_OPTION};

/* --- ls -------------------------------------------------------------------------------------- */

static void list_runs(const struct catalog *catalog)
{
    struct terminal terminal;
    terminal_open(&terminal, stdout, TERMINAL_AUTO);
    struct grid grid = {.columns = 10};
    static const char *const names[] = {"run",       "scenario", "#",      "seed",   "status",
                                        "simulated", "wall",     "events", "digest", "point"};
    for (size_t i = 0; i < grid.columns; i++) {
        grid_add(&grid, "%s", names[i]);
    }
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_run *run = &catalog->runs[i];
        char sim[TERMINAL_NUMBER_SIZE], wall[TERMINAL_NUMBER_SIZE];
        terminal_time(run->sim_time_us, sim);
        terminal_number((double)run->wall_us * 1e-6, "s", wall);
        grid_add(&grid, "%" PRIu64, run->run_id);
        grid_add(&grid, "%s", run->scenario_name);
        grid_add(&grid, "%" PRIu32, run->replicate);
        grid_add(&grid, "0x%" PRIx64, run->seed);
        grid_add(&grid, "%s", run->status);
        grid_add(&grid, "%s", sim);
        grid_add(&grid, "%s", wall);
        grid_add(&grid, "%" PRIu64, run->events);
        grid_add(&grid, "%s", run->digest != NULL ? run->digest : "-");
        grid_add(&grid, "%s", run->point_text);
    }
    grid_print(&grid, &terminal, "", true);
}

static int run_ls(const struct command *command, int count, char **words)
{
    struct data_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        struct database database;
        struct catalog catalog;
        if (cli_open("ls", operands.items[0], &database, &catalog)) {
            list_runs(&catalog);
            catalog_free(&catalog);
            database_close(&database);
        } else {
            code = CLI_FAILURE;
        }
    }
    option_list_free(&operands);
    return code;
}

const struct command command_ls = {.name = "ls",
                                   .operands = "DB",
                                   .summary = "Lists the runs in a results file.",
                                   CLI_TABLE(plain_options),
                                   .operand_min = 1,
                                   .operand_max = 1,
                                   .run = run_ls};

/* --- query ----------------------------------------------------------------------------------- */

static const struct option query_options[] = {
    CLI_HELP_OPTION,
    {0, "json", NULL, OPTION_FLAG, ARGUMENT(is_json), NULL, "print an array of objects"},
};

/* Steps through `sql` and prints its rows. What is wrong with the SQL is the user's to repair. */
static int print_rows(const char *command, const char *path, const char *sql,
                      enum rows_format format)
{
    struct database database;
    struct catalog catalog;
    if (!cli_open(command, path, &database, &catalog)) {
        return CLI_FAILURE;
    }
    sqlite3_stmt *statement = database_prepare(&database, sql);
    bool ok = statement != NULL && rows_print(statement, format, stdout);
    if (!ok) {
        cli_complain(command, "%s", sqlite3_errmsg(database.connection));
    }
    sqlite3_finalize(statement);
    catalog_free(&catalog);
    database_close(&database);
    return ok ? CLI_OK : CLI_FAILURE;
}

static int run_query(const struct command *command, int count, char **words)
{
    struct data_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        code = print_rows("query", operands.items[0], operands.items[1],
                          arguments.is_json ? ROWS_JSON : ROWS_TABLE);
    }
    option_list_free(&operands);
    return code;
}

const struct command command_query = {
    .name = "query",
    .operands = "DB SQL",
    .summary = "Asks a results file in SQL; reading only.",
    .example = "meshtwin query results/first-mesh.db \"SELECT * FROM v_summary\"",
    CLI_TABLE(query_options),
    .operand_min = 2,
    .operand_max = 2,
    .run = run_query};

/* --- export ---------------------------------------------------------------------------------- */

/* Tables are named by people, so the name must be one we know before it becomes SQL. */
static bool is_relation(const char *name)
{
    const char *const *relations = database_relations();
    size_t count = 0;
    for (; relations[count] != NULL; count++) {
        if (strcmp(relations[count], name) == 0) {
            return true;
        }
    }
    struct text known = {0};
    for (size_t i = 0; i < count; i++) {
        text_add(&known, "%s%s", i > 0 ? ", " : "", relations[i]);
    }
    const char *meant = text_suggest(name, relations, count);
    cli_complain("export", "there is no table \"%s\"%s%s%s; known: %s", name,
                 meant != NULL ? ", did you mean \"" : "", meant != NULL ? meant : "",
                 meant != NULL ? "\"?" : "", known.data);
    free(known.data);
    return false;
}

static int run_export(const struct command *command, int count, char **words)
{
    struct data_arguments arguments = {0};
    struct option_list operands;
    int code = CLI_OK;
    if (cli_parse(command, count, words, &arguments, &operands, &code)) {
        const char *format = operands.items[1];
        const char *table = operands.count > 2 ? operands.items[2] : "v_summary";
        bool is_csv = strcmp(format, "csv") == 0;
        if (!is_csv && strcmp(format, "ndjson") != 0) {
            cli_complain("export", "the format is csv or ndjson, not \"%s\"", format);
            code = CLI_USAGE;
        } else if (!is_relation(table)) {
            code = CLI_USAGE;
        } else {
            char *sql = text_format("SELECT * FROM %s", table);
            code = print_rows("export", operands.items[0], sql, is_csv ? ROWS_CSV : ROWS_NDJSON);
            free(sql);
        }
    }
    option_list_free(&operands);
    return code;
}

const struct command command_export = {
    .name = "export",
    .operands = "DB csv|ndjson [TABLE]",
    .summary = "Writes a table or view (default v_summary) to standard output.",
    .example = "meshtwin export results/first-mesh.db csv sample > sample.csv",
    CLI_TABLE(plain_options),
    .operand_min = 2,
    .operand_max = 3,
    .run = run_export};
