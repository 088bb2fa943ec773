/* test_endpoint.c - addresses as people write them. */
#include <signal.h>
#include <string.h>

#include <criterion/criterion.h>

#include "node/daemon/endpoint.h"

static void expect_endpoint(const char *text, const char *name, uint16_t port)
{
    struct endpoint endpoint;
    char reason[HOST_REASON_SIZE];
    cr_assert(endpoint_parse(text, &endpoint, reason), "%s: %s", text, reason);
    cr_expect_str_eq(endpoint.name, name, "%s", text);
    cr_expect_eq(endpoint.port, port, "%s", text);
    cr_expect(endpoint.has_port || port == HOST_PORT, "%s", text);
}

Test(endpoint, it_is_known_whether_a_port_was_given)
{
    static const char *const texts[] = {"node-a", "[::1]", "::1", "node-a:8468", "[::1]:8468"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct endpoint endpoint;
        char reason[HOST_REASON_SIZE];
        cr_assert(endpoint_parse(texts[i], &endpoint, reason), "%s", reason);
        cr_expect_eq(endpoint.port, HOST_PORT);
        cr_expect_eq(endpoint.has_port, i >= 3, "%s", texts[i]);
    }
}

static void expect_none(const char *text)
{
    struct endpoint endpoint;
    char reason[HOST_REASON_SIZE] = "";
    cr_expect_not(endpoint_parse(text, &endpoint, reason), "%s", text);
    cr_expect_neq(reason[0], '\0', "%s is refused without a reason", text);
    cr_expect_null(strchr(reason, '\n'), "the reason for %s is one line", text);
}

Test(endpoint, name_or_address_with_or_without_port)
{
    expect_endpoint("node-a.example.invalid:8000", "node-a.example.invalid", 8000);
    expect_endpoint("node-a", "node-a", HOST_PORT);
    expect_endpoint("127.0.0.1:1", "127.0.0.1", 1);
    expect_endpoint("192.0.2.7", "192.0.2.7", HOST_PORT);
    expect_endpoint("[2001:db8::1]:65535", "2001:db8::1", 65535);
    expect_endpoint("[::1]", "::1", HOST_PORT);
    expect_endpoint("2001:db8::1", "2001:db8::1", HOST_PORT);
    expect_endpoint("[fe80::1%eth0]:8468", "fe80::1%eth0", 8468);
}

Test(endpoint, anything_else_is_refused_with_a_reason)
{
    static const char *const texts[] = {"",           ":8468",     "host:",       "host:0",
                                        "host:65536", "host:80x",  "host: 80",    "host:+80",
                                        "[::1",       "[]:8468",   "[::1]8468",   "[::1]:",
                                        "a b:1",      "host/path", "host:123456", "user@host"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        expect_none(texts[i]);
    }
}

Test(endpoint, names_end_at_253_bytes)
{
    char text[ENDPOINT_NAME_MAX + 2];
    memset(text, 'a', sizeof text);
    text[ENDPOINT_NAME_MAX + 1] = '\0';
    expect_none(text);
    text[ENDPOINT_NAME_MAX] = '\0';
    expect_endpoint(text, text, HOST_PORT);
}
