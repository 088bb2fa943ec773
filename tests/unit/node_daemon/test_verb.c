/* test_verb.c - verbs against real services on one loop: each ends once, says what it should, and
 * the table keeps its promises. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "node/daemon/verb_rows.h"

enum { TURNS_MAX = 200000 }; /* Of the loop: a deadline, not a duration. */

static struct host_loop *loop;

struct outcome {
    int count;
    bool ok;
    int code;
    char *text;
    cJSON *data;
};

static struct service *open_service(const char *bind, const char *bootstrap)
{
    char reason[HOST_REASON_SIZE] = "";
    struct service *service = NULL;
    struct service_options options = {.host = {.bind = bind},
                                      .bootstrap = &bootstrap,
                                      .bootstrap_count = bootstrap != NULL ? 1 : 0};
    node_config_default(&options.node);
    if (loop == NULL) {
        cr_assert_eq(host_loop_open(&loop, reason), ERR_OK, "%s", reason);
    }
    cr_assert(service_open(loop, &options, &service, reason), "%s", reason);
    return service;
}

static void close_loop(void)
{
    host_loop_close(loop);
    loop = NULL;
}

static void on_done(void *arg, const struct verb_reply *reply)
{
    struct outcome *outcome = arg;
    outcome->count++;
    outcome->ok = reply->ok;
    outcome->code = reply->code;
    free(outcome->text);
    outcome->text = text_copy(reply->text, strlen(reply->text));
    cJSON_Delete(outcome->data);
    outcome->data = reply->data != NULL ? cJSON_Duplicate(reply->data, true) : NULL;
}

/* Words are separated by single blanks. */
static void ask(struct service *service, const char *line, struct outcome *outcome)
{
    struct verb_context context = {.service = service};
    char *copy = text_copy(line, strlen(line));
    const char *words[VERB_WORDS_MAX];
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        words[count++] = word;
    }
    verb_run(&context, words[0], words + 1, count - 1, on_done, outcome);
    free(copy);
}

static void answer(struct service *service, const char *line, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    ask(service, line, outcome);
    for (int turn = 0; outcome->count == 0 && turn < TURNS_MAX; turn++) {
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
    }
    cr_assert_eq(outcome->count, 1, "%s has not ended", line);
}

static void forget(struct outcome *outcome)
{
    free(outcome->text);
    cJSON_Delete(outcome->data);
    *outcome = (struct outcome){0};
}

static void expect(struct service *service, const char *line, int code, const char *text)
{
    struct outcome outcome;
    answer(service, line, &outcome);
    cr_expect_eq(outcome.code, code, "%s: %d: %s", line, outcome.code, outcome.text);
    cr_expect_eq(outcome.ok, code == VERB_OK, "%s", line);
    cr_expect_not_null(strstr(outcome.text, text), "%s: no \"%s\" in: %s", line, text,
                       outcome.text);
    forget(&outcome);
}

/* The address as a bootstrap entry. */
static const char *addr_of(struct service *service, char text[HOST_ADDR_TEXT_SIZE])
{
    struct port_addr addr = host_addr(service_host(service));
    host_addr_format(&addr, text);
    return text;
}

static void wait_for_contacts(struct service *service, uint32_t count)
{
    struct node_view view = {0};
    for (int turn = 0; view.contacts < count && turn < TURNS_MAX; turn++) {
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
        node_observe(service_node(service), &view);
    }
    cr_assert_geq(view.contacts, count);
}

Test(verb, every_verb_has_help_and_an_example_of_itself)
{
    struct service *service = open_service("127.26.70.1", NULL);
    size_t count;
    const struct verb *verbs = verb_table(&count);
    for (size_t i = 0; i < count; i++) {
        char *line = text_format("help %s", verbs[i].name);
        size_t len = strlen(verbs[i].name);
        cr_expect_eq(strncmp(verbs[i].example, verbs[i].name, len), 0, "%s", verbs[i].example);
        cr_expect_eq(verbs[i].summary[strlen(verbs[i].summary) - 1], '.', "%s", verbs[i].name);
        expect(service, line, VERB_OK, verbs[i].summary);
        free(line);
        for (size_t j = 0; j < i; j++) {
            cr_expect_str_neq(verbs[i].name, verbs[j].name);
        }
    }
    service_close(service);
    close_loop();
}

Test(verb, every_reply_names_its_schema)
{
    static const char *const lines[] = {"peers",  "known", "routes", "bans", "id",
                                        "status", "stats", "help",   "watch"};
    struct service *service = open_service("127.26.70.1", NULL);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct outcome outcome;
        char *schema = text_format("meshtwin.%s.v1", lines[i]);
        answer(service, lines[i], &outcome);
        cr_expect_str_eq(verb_text_of(outcome.data, "schema"), schema);
        cr_expect(outcome.ok, "%s: %s", lines[i], outcome.text);
        forget(&outcome);
        free(schema);
    }
    service_close(service);
    close_loop();
}

Test(verb, what_makes_no_sense_is_a_usage_error_in_one_line)
{
    static const char *const lines[] = {
        "pers",    "peers now",   "ping",           "ping xyz",           "get 12",
        "put",     "put --hex 1", "put --salt 1 x", "publish --salt x y", "connect here",
        "send 12", "log debug",   "quit",           "help nothing",       "why --hex 1"};
    struct service *service = open_service("127.26.70.1", NULL);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct outcome outcome;
        answer(service, lines[i], &outcome);
        cr_expect_eq(outcome.code, VERB_USAGE, "%s: %d: %s", lines[i], outcome.code, outcome.text);
        cr_expect_null(outcome.data, "%s", lines[i]);
        cr_expect_null(strchr(outcome.text, '\n'), "%s: %s", lines[i], outcome.text);
        forget(&outcome);
    }
    service_close(service);
    close_loop();
}

Test(verb, values_and_messages_between_two_services)
{
    char addr[HOST_ADDR_TEXT_SIZE];
    struct outcome outcome;
    struct service *first = open_service("127.26.71.1", NULL);
    struct service *second = open_service("127.26.72.1", addr_of(first, addr));
    wait_for_contacts(second, 1);
    wait_for_contacts(first, 1);

    answer(first, "put --hex 00ff", &outcome);
    cr_assert(outcome.ok, "%s", outcome.text);
    cr_expect_str_eq(verb_text_of(outcome.data, "status"), "ok");
    cr_expect_gt(verb_number_of(outcome.data, "took_us"), 0);
    char *line = text_format("get %s", verb_text_of(outcome.data, "key"));
    forget(&outcome);
    answer(second, line, &outcome);
    cr_expect_str_eq(verb_text_of(outcome.data, "hex"), "00ff");
    cr_expect(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(outcome.data, "value")));
    forget(&outcome);
    free(line);

    char id[ID_TEXT_SIZE];
    id_format(&service_node(second)->identity.id, id);
    id[6] = '\0'; /* Short, and still the only one. */
    line = text_format("ping %s", id);
    expect(first, line, VERB_OK, "answered in");
    free(line);
    line = text_format("send %s two words", id);
    expect(first, line, VERB_OK, "delivered to");
    free(line);
    line = text_format("why %s", id);
    expect(first, line, VERB_OK, "is in the routing table");
    expect(first, line, VERB_OK, "is reached directly");
    free(line);
    expect(first, "health", VERB_OK, "healthy, ready");
    expect(first, "status", VERB_OK, "\n  reach     server");
    answer(first, "peers", &outcome);
    const cJSON *row = cJSON_GetObjectItemCaseSensitive(outcome.data, "peers")->child;
    cr_expect_str_eq(verb_text_of(row, "way"), "direct");
    cr_expect_gt(verb_number_of(row, "trust"), 0, "what it sent was valid");
    forget(&outcome);
    service_close(second);
    service_close(first);
    close_loop();
}

Test(verb, an_operation_that_fails_still_says_how)
{
    struct outcome outcome;
    struct service *service = open_service("127.26.70.1", NULL);
    answer(service, "get 0123456789012345678901234567890123456789", &outcome);
    cr_expect_eq(outcome.code, VERB_FAILED);
    cr_expect_str_eq(verb_text_of(outcome.data, "status"), "unreachable");
    cr_expect_null(strchr(outcome.text, '\n'));
    forget(&outcome);
    service_close(service);
    close_loop();
}

Test(verb, whatever_is_under_way_ends_when_the_service_closes)
{
    struct outcome outcome = {0};
    struct service *service = open_service("127.26.70.1", NULL);
    ask(service, "connect 127.26.79.1:9", &outcome);
    cr_assert_eq(outcome.count, 0, "nobody is there: this takes a while");
    service_close(service);
    cr_expect_eq(outcome.count, 1);
    cr_expect_str_eq(verb_text_of(outcome.data, "status"), "stopped");
    forget(&outcome);
    close_loop();
}
