/* doctor.c - the command: options, the order of things, what is printed. */
#include "node/meshnode/doctor.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "node/cli/text.h"

#define AT(field) offsetof(struct doctor_arguments, field)
static const struct option doctor_options[] = {
    PROGRAM_HELP_OPTION,
    {'p', "port", "N", OPTION_COUNT, AT(port), NULL, "the node's port (8468)"},
    {'H', "host", "ADDR", OPTION_TEXT, AT(host), NULL,
     "numeric address that the node binds (default: all of them)"},
    {'b', "bootstrap", "PEER,...", OPTION_LIST, AT(bootstrap), NULL,
     "nodes to ask, by UDP and TCP: name:port, IPv4:port, [IPv6]:port"},
    {0, "stun", "HOST:PORT,...", OPTION_LIST, AT(stun), NULL,
     "STUN servers that say how this machine looks from outside"},
    {0, "control", "PATH", OPTION_TEXT, AT(control), NULL,
     "the node's control socket (default STATE/PORT/control.sock)"},
    {0, "json", NULL, OPTION_FLAG, AT(json), NULL, "print JSON"},
};

static const char *const verdict_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_PROBLEM] = "problem"};

static bool are_endpoints(const struct option_list *list, const char *option);
static int examine(const struct doctor_arguments *arguments, const char *control);
static void print(const struct doctor *doctor);

static int run(int count, char **words)
{
    struct doctor_arguments arguments = {.port = HOST_PORT};
    struct option_list operands;
    char reason[HOST_REASON_SIZE];
    int code;
    if (program_parse(&program_doctor, count, words, &arguments, &operands, false, &code)) {
        char *own = arguments.control == NULL
                        ? settings_default_path(arguments.port, "control.sock", reason)
                        : NULL;
        const char *control = arguments.control != NULL ? arguments.control : own;
        code = EXIT_USAGE;
        if (operands.count > 0) {
            fprintf(stderr, "meshnode doctor: one argument too many: \"%s\"\n", operands.items[0]);
        } else if (arguments.port > UINT16_MAX) {
            fprintf(stderr, "meshnode doctor: --port is a number from 1 to 65535\n");
        } else if (control == NULL) {
            fprintf(stderr, "meshnode doctor: %s\n", reason);
        } else if (are_endpoints(&arguments.bootstrap, "bootstrap") &&
                   are_endpoints(&arguments.stun, "stun")) {
            code = examine(&arguments, control);
        }
        free(own);
    }
    option_list_free(&arguments.bootstrap);
    option_list_free(&arguments.stun);
    option_list_free(&operands);
    return code;
}

const struct program program_doctor = {
    .name = "doctor",
    .operands = "",
    .summary = "Looks at this machine's network, says what is wrong and what would help.",
    .example = "meshnode doctor -b node-a.example.invalid:8468",
    .options = doctor_options,
    .option_count = sizeof doctor_options / sizeof doctor_options[0],
    .run = run,
};

void doctor_say(struct doctor *doctor, const char *check, enum doctor_verdict verdict,
                const char *help, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = text_format_list(format, arguments);
    va_end(arguments);
    cJSON *line = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(line, "check", check) != NULL &&
              cJSON_AddStringToObject(line, "verdict", verdict_names[verdict]) != NULL &&
              cJSON_AddStringToObject(line, "text", text) != NULL &&
              (help == NULL || cJSON_AddStringToObject(line, "help", help) != NULL);
    must(ok && cJSON_AddItemToArray(doctor->checks, line));
    doctor->problems += verdict == DOCTOR_PROBLEM;
    free(text);
}

size_t doctor_split(const struct option_list *list, char *entries[DOCTOR_PEERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        for (const char *at = list->items[i]; *at != '\0' && count < DOCTOR_PEERS_MAX;) {
            size_t len = strcspn(at, ",");
            if (len > 0) {
                entries[count++] = text_copy(at, len);
            }
            at += len + (at[len] == ',');
        }
    }
    return count;
}

bool doctor_is_local(const struct doctor *doctor, const struct port_addr *addr)
{
    static const uint8_t loopback[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    if (memcmp(addr->ip, loopback, sizeof loopback) == 0) {
        return true; /* All of 127.0.0.0/8 is (RFC 1122 section 3.2.1.3). */
    }
    for (size_t i = 0; i < doctor->local_count; i++) {
        if (memcmp(doctor->local[i].ip, addr->ip, sizeof addr->ip) == 0) {
            return true;
        }
    }
    return false;
}

static bool are_endpoints(const struct option_list *list, const char *option)
{
    char *entries[DOCTOR_PEERS_MAX];
    size_t count = doctor_split(list, entries);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        struct endpoint endpoint;
        char reason[HOST_REASON_SIZE];
        if (ok && !endpoint_parse(entries[i], &endpoint, reason)) {
            fprintf(stderr, "meshnode doctor: --%s: %s\n", option, reason);
            ok = false;
        }
        free(entries[i]);
    }
    return ok;
}

static int examine(const struct doctor_arguments *arguments, const char *control)
{
    struct doctor doctor = {
        .arguments = arguments, .control = control, .data = cJSON_CreateObject()};
    must(cJSON_AddStringToObject(doctor.data, "schema", "meshtwin.doctor.v1") != NULL);
    doctor.checks = cJSON_AddArrayToObject(doctor.data, "checks");
    must(doctor.checks != NULL);
    doctor_look_at_interfaces(&doctor);
    doctor_look_at_clock(&doctor);
    doctor_look_at_node(&doctor);
    doctor_look_at_network(&doctor);
    doctor_look_at_stun(&doctor);
    must(cJSON_AddNumberToObject(doctor.data, "problems", doctor.problems) != NULL);
    if (arguments->json) {
        char *json = cJSON_PrintUnformatted(doctor.data);
        must(json != NULL);
        puts(json);
        free(json);
    } else {
        print(&doctor);
    }
    cJSON_Delete(doctor.data);
    return doctor.problems > 0 ? EXIT_FAILED : EXIT_OK;
}

static void print(const struct doctor *doctor)
{
    for (const cJSON *line = doctor->checks->child; line != NULL; line = line->next) {
        const cJSON *help = cJSON_GetObjectItemCaseSensitive(line, "help");
        printf("%-8s %-10s %s\n",
               cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "verdict")),
               cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "check")),
               cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "text")));
        if (help != NULL) {
            printf("%-19s %s\n", "", cJSON_GetStringValue(help));
        }
    }
    if (doctor->problems == 0) {
        puts("nothing is wrong");
    } else {
        printf("%u %s\n", doctor->problems, doctor->problems == 1 ? "problem" : "problems");
    }
}
