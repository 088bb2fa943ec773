/* test_option.c - the layers of options: who beats whom, who is told to have won, what is refused.
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "node/cli/option.h"

struct arguments {
    bool help;
    uint64_t port;
    const char *host;
    struct option_list peers;
    bool masking;
    int format;
};

#define AT(field) offsetof(struct arguments, field)
static const char *const formats[] = {"text", "json", NULL};
static const struct option options[] = {
    {'h', "help", NULL, OPTION_FLAG, AT(help), NULL, "help"},
    {'p', "port", "N", OPTION_COUNT, AT(port), NULL, "port"},
    {'H', "host", "A", OPTION_TEXT, AT(host), NULL, "host"},
    {'b', "peers", "P", OPTION_LIST, AT(peers), NULL, "peers"},
    {'m', "masking", NULL, OPTION_FLAG, AT(masking), NULL, "masking"},
    {0, "log-format", "F", OPTION_CHOICE, AT(format), formats, "format"},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

static struct option_origin origins[OPTIONS];
static struct arguments arguments;
static char *file_text;

static struct option_table table_fresh(void)
{
    memset(origins, 0, sizeof origins);
    arguments = (struct arguments){.port = 8468};
    return (struct option_table){
        .command = "probe", .options = options, .count = OPTIONS, .unfiled = 1, .origins = origins};
}

static void read_file(const struct option_table *table, const char *content, struct text *errors)
{
    char path[] = "/tmp/test_option.XXXXXX";
    int descriptor = mkstemp(path);
    cr_assert_geq(descriptor, 0);
    cr_assert_eq(write(descriptor, content, strlen(content)), (ssize_t)strlen(content));
    close(descriptor);
    file_text = option_read_file(table, path, &arguments, errors);
    unlink(path);
}

static void done(void)
{
    option_list_free(&arguments.peers);
    free(file_text);
    file_text = NULL;
}

static bool parse(const struct option_table *table, int count, char **words, char error[256])
{
    struct option_list operands;
    bool ok = option_parse(table, count, words, &arguments, &operands, error, 256);
    option_list_free(&operands);
    return ok;
}

Test(option, command_line_beats_environment_beats_file_beats_default)
{
    struct option_table table = table_fresh();
    struct text errors = {0};
    char error[256];
    read_file(&table, "port = 1\nhost = file\nmasking = true\npeers = a\npeers = b\n", &errors);
    cr_assert_eq(errors.len, 0, "%s", errors.data);
    setenv("MESHTWIN_PROBE_HOST", "environment", 1);
    setenv("MESHTWIN_PROBE_PEERS", "c", 1);
    setenv("MESHTWIN_PROBE_MASKING", "0", 1);
    char *words[] = {"--peers=d", "-b", "e"};
    cr_assert(parse(&table, 3, words, error), "%s", error);

    cr_expect_eq(arguments.port, 1);
    cr_expect_eq(origins[1].layer, OPTION_FILE);
    cr_expect_eq(origins[1].line, 1);
    cr_expect_str_eq(arguments.host, "environment");
    cr_expect_eq(origins[2].layer, OPTION_ENVIRONMENT);
    cr_expect_eq(arguments.peers.count, 2, "a later layer replaces the list of an earlier");
    cr_expect_str_eq(arguments.peers.items[0], "d");
    cr_expect_eq(origins[3].layer, OPTION_COMMAND_LINE);
    cr_expect_not(arguments.masking);
    cr_expect_eq(origins[5].layer, OPTION_DEFAULT);
    done();
}

Test(option, file_knows_quotes_comments_and_blanks)
{
    struct option_table table = table_fresh();
    struct text errors = {0};
    read_file(&table,
              "# a comment\n\n  host =  \"a # b\"  # and another\r\n\tlog-format=json\n"
              "peers = x#y",
              &errors);
    cr_assert_eq(errors.len, 0, "%s", errors.data);
    cr_expect_str_eq(arguments.host, "a # b");
    cr_expect_eq(arguments.format, 1);
    cr_expect_str_eq(arguments.peers.items[0], "x#y", "a '#' inside a word begins no comment");
    done();
}

Test(option, file_tells_every_mistake_with_its_line)
{
    struct option_table table = table_fresh();
    struct text errors = {0};
    read_file(&table,
              "prot = 1\nport = none\nhost\nhost = \"open\nmasking = maybe\nhelp = true\nhost =\n"
              "port = 2\nport = 3\n",
              &errors);
    static const char *const expected[] = {
        ":1: unknown option \"prot\", did you mean \"port\"?",
        ":2: --port wants",
        ":3: \"host\" is no line of the form",
        ":4: the quotes of \"host\"",
        ":5: --masking is true or false",
        ":6: unknown option \"help\"",
        ":7: \"host\" has no value",
        ":9: \"port\" is given already in line",
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        cr_expect_not_null(strstr(errors.data, expected[i]), "no \"%s\" in:\n%s", expected[i],
                           errors.data);
    }
    free(errors.data);
    done();
}

Test(option, what_is_printed_is_a_file_that_reads_back_the_same)
{
    struct option_table table = table_fresh();
    char error[256];
    char *words[] = {"-p", "7", "--host=a b", "-m", "-b", "x:1", "-b", "y:2", "--log-format=json"};
    cr_assert(parse(&table, 9, words, error), "%s", error);
    char *printed = NULL;
    size_t len;
    FILE *out = open_memstream(&printed, &len);
    option_print_values(&table, &arguments, NULL, out);
    fclose(out);
    done();

    table = table_fresh();
    struct text errors = {0};
    read_file(&table, printed, &errors);
    cr_assert_eq(errors.len, 0, "%s", errors.data);
    cr_expect_eq(arguments.port, 7);
    cr_expect_str_eq(arguments.host, "a b");
    cr_expect(arguments.masking);
    cr_expect_eq(arguments.peers.count, 2);
    cr_expect_str_eq(arguments.peers.items[1], "y:2");
    cr_expect_eq(arguments.format, 1);
    free(printed);
    done();
}

Test(option, operand_can_end_the_options)
{
    struct option_table table = table_fresh();
    char error[256];
    char *words[] = {"-p", "7", "verb", "--hex", "-m"};
    cr_expect_not(parse(&table, 5, words, error), "--hex is no option here");
    table.ends_at_operand = true;
    cr_expect(parse(&table, 5, words, error), "%s", error);
    cr_expect_not(arguments.masking);
    done();
}

Test(option, flag_can_be_switched_off)
{
    struct option_table table = table_fresh();
    char error[256];
    char *words[] = {"-m", "--masking=false"};
    cr_assert(parse(&table, 2, words, error), "%s", error);
    cr_expect_not(arguments.masking);
    char *wrong[] = {"--masking=perhaps"};
    cr_expect_not(parse(&table, 1, wrong, error));
    done();
}
