/* test_addr.c - addresses as people write them, and names looked up. */
#include <criterion/criterion.h>
#include <string.h>

#include "node/host/host.h"

Test(addr, texts_read_back_as_they_were_written)
{
    static const char *const texts[] = {
        "192.0.2.1:8468", "0.0.0.0:0",  "255.255.255.255:65535", "[2001:db8::1]:8468",
        "[::]:1",         "[::1]:8468", "[fe80::1:2]:443",
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        struct port_addr addr;
        char text[HOST_ADDR_TEXT_SIZE];
        cr_assert(host_addr_parse(texts[i], &addr), "%s", texts[i]);
        host_addr_format(&addr, text);
        cr_assert_str_eq(text, texts[i]);
    }
}

Test(addr, the_longest_fits)
{
    struct port_addr addr;
    char text[HOST_ADDR_TEXT_SIZE];
    memset(&addr, 0xab, sizeof addr);
    host_addr_format(&addr, text);
    cr_assert_str_eq(text, "[abab:abab:abab:abab:abab:abab:abab:abab]:43947");
}

Test(addr, a_mapped_address_is_ipv4)
{
    struct port_addr mapped;
    struct port_addr plain;
    cr_assert(host_addr_parse("[::ffff:192.0.2.1]:5", &mapped));
    cr_assert(host_addr_parse("192.0.2.1:5", &plain));
    cr_assert_eq(memcmp(&mapped, &plain, sizeof plain), 0);
}

Test(addr, what_is_none_is_refused_and_changes_nothing)
{
    static const char *const texts[] = {
        "",
        ":",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3:4",
        "1.2.3.4:+5",
        "1.2.3.4: 5",
        "1.2.3.4:5x",
        "::1:80",
        "[::1]",
        "[::1",
        "[::1]80",
        "[::1]:",
        "[1.2.3.4]:80",
        "[::1%lo]:8",
        "node:80",
        "[]:80",
        "1.2.3.4:999999999999999999999",
        "[0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:1]:80",
    };
    for (size_t i = 0; i < array_len(texts); i++) {
        struct port_addr addr;
        memset(&addr, 7, sizeof addr);
        cr_assert_not(host_addr_parse(texts[i], &addr), "%s", texts[i]);
        cr_assert_eq(addr.ip[0], 7);
        cr_assert_eq(addr.port[0], 7);
    }
}

/* --- names ----------------------------------------------------------------------------------- */

struct answer {
    bool is_there;
    int status;
    size_t count;
    struct port_addr first;
};

static void on_resolved(void *arg, int status, const struct port_addr *addrs, size_t count)
{
    struct answer *answer = arg;
    cr_assert_not(answer->is_there);
    *answer = (struct answer){.is_there = true, .status = status, .count = count};
    if (count > 0) {
        answer->first = addrs[0];
    }
}

static struct answer ask(const char *name)
{
    char reason[HOST_REASON_SIZE];
    struct host_loop *loop;
    cr_assert_eq(host_loop_open(&loop, reason), ERR_OK, "%s", reason);
    struct answer answer = {0};
    host_resolve_name(loop, name, 77, on_resolved, &answer);
    cr_assert_not(answer.is_there, "answered from inside the call");
    while (!answer.is_there) {
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
    }
    host_loop_close(loop);
    return answer;
}

static void expect(const char *name, const char *text)
{
    char found[HOST_ADDR_TEXT_SIZE];
    struct answer answer = ask(name);
    cr_assert_eq(answer.status, ERR_OK, "%s", name);
    host_addr_format(&answer.first, found);
    cr_assert_str_eq(found, text);
}

Test(addr, numeric_addresses_resolve_to_themselves, .timeout = 60)
{
    expect("192.0.2.1", "192.0.2.1:77");
    expect("192.0.2.1:9", "192.0.2.1:9");
    expect("2001:db8::1", "[2001:db8::1]:77");
    expect("[2001:db8::1]", "[2001:db8::1]:77");
    expect("[2001:db8::1]:9", "[2001:db8::1]:9");
}

Test(addr, what_is_no_name_says_so_later, .timeout = 60)
{
    static const char *const names[] = {"",          ":80",   "[::1",    "[::1]x",
                                        "host:port", "host:", "\xff\xfe"};
    for (size_t i = 0; i < array_len(names); i++) {
        struct answer answer = ask(names[i]);
        cr_assert_eq(answer.status, ERR_INVALID, "%s", names[i]);
        cr_assert_eq(answer.count, 0u);
    }
}

/* Whatever this machine has: nothing that only itself, or its link, can reach; public ones first.
 */
Test(addr, own_addresses_are_for_others)
{
    struct port_addr addrs[16];
    size_t count = host_own_addrs(addrs, 16);
    cr_assert_leq(count, 16);
    bool has_private = false;
    for (size_t i = 0; i < count; i++) {
        char text[HOST_ADDR_TEXT_SIZE];
        host_addr_format(&addrs[i], text);
        cr_expect_neq(strncmp(text, "127.", 4), 0, "%s", text);
        cr_expect_str_neq(text, "[::1]:0");
        cr_expect_neq(strncmp(text, "[fe80", 5), 0, "%s", text);
        cr_expect_str_eq(strrchr(text, ':'), ":0", "%s", text);
        cr_expect(!has_private || classify_is_private(&addrs[i]), "%s", text);
        has_private |= classify_is_private(&addrs[i]);
    }
    cr_expect_leq(host_own_addrs(addrs, 1), 1);
}

/* --- the router ------------------------------------------------------------------------------ */

static bool router_of(const char *table, char text[HOST_ADDR_TEXT_SIZE])
{
    FILE *routes = fmemopen((void *)(uintptr_t)table, strlen(table), "r");
    cr_assert_not_null(routes);
    struct port_addr addr;
    bool is_found = host_router_read(routes, &addr);
    fclose(routes);
    if (is_found) {
        host_addr_format(&addr, text);
    }
    return is_found;
}

#define ROUTES_HEADER                                                                              \
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

/* The kernel prints an address as the number that its bytes are: here of a little-endian machine.
 */
Test(addr, the_router_is_where_the_default_route_leads)
{
    char text[HOST_ADDR_TEXT_SIZE];
    if (*(const uint8_t *)&(uint16_t){1} != 1) {
        cr_skip_test("the samples are of a little-endian machine");
    }
    cr_assert(router_of(ROUTES_HEADER
                        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                        "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n",
                        text));
    cr_expect_str_eq(text, "192.168.1.1:5351");
    cr_assert(router_of(ROUTES_HEADER
                        "wlan0\t00000000\t0102000A\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
                        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
                        text));
    cr_expect_str_eq(text, "192.168.1.1:5351", "the lower metric");
}

Test(addr, without_a_default_route_there_is_no_router)
{
    char text[HOST_ADDR_TEXT_SIZE];
    cr_expect_not(router_of(ROUTES_HEADER, text));
    cr_expect_not(router_of(
        ROUTES_HEADER "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", text));
    cr_expect_not(router_of(ROUTES_HEADER
                            "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n",
                            text),
                  "a route to everywhere without a router");
    cr_expect_not(router_of("eth0 nonsense\n\n", text));
}
