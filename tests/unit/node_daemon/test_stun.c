/* test_stun.c - services as STUN servers with one address and two, on real sockets. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "node/daemon/service.h"
#include "node/nat/stun.h"

enum { TURNS_MAX = 2000, POLL_MS = 5 };

static const char own_ip[] = "127.26.76.1";
static const char other_ip[] = "127.26.76.2";

static struct host_loop *loop;

struct notes {
    struct service_observer observer;
    char warning[512]; /* The last one. */
};

static void on_noted(void *arg, enum host_note how, const char *text)
{
    struct notes *notes = arg;
    if (how == HOST_NOTE_WARNING) {
        snprintf(notes->warning, sizeof notes->warning, "%s", text);
    }
}

static void setup(void)
{
    char reason[HOST_REASON_SIZE];
    cr_assert_eq(host_loop_open(&loop, reason), ERR_OK, "%s", reason);
}

static void teardown(void)
{
    host_loop_close(loop);
}

static struct service *open_node(struct service_options *options, struct notes *notes)
{
    struct service *service;
    char reason[HOST_REASON_SIZE];
    *notes = (struct notes){.observer = {.arg = notes, .noted = on_noted}};
    options->observer = &notes->observer;
    cr_assert(service_open(loop, options, &service, reason), "%s", reason);
    return service;
}

static struct service *open_server(const char *other, struct notes *notes)
{
    char text[HOST_ADDR_TEXT_SIZE];
    struct service_options options = {.host = {.bind = own_ip}};
    node_config_default(&options.node);
    snprintf(text, sizeof text, "%s:1", other);
    options.node.nat.reach = NAT_REACH_PUBLIC;
    options.node.nat.is_stun_server = options.node.nat.has_stun_other = true;
    cr_assert(host_addr_parse(text, &options.node.nat.stun_other));
    return open_node(&options, notes);
}

static struct nat_stun_view view_of(const struct service *service)
{
    struct nat_stun_view view;
    nat_stun_of(&service_node(service)->nat, &view);
    return view;
}

static struct sockaddr_in socket_addr_of(const struct port_addr *addr)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    memcpy(&to.sin_addr, addr->ip + 12, sizeof to.sin_addr);
    memcpy(&to.sin_port, addr->port, sizeof to.sin_port);
    return to;
}

static int open_asker(void)
{
    int file = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    cr_assert_eq(inet_pton(AF_INET, "127.26.76.9", &at.sin_addr), 1);
    cr_assert_eq(bind(file, (struct sockaddr *)&at, sizeof at), 0);
    return file;
}

/* Asks there, and returns where the answer came from; it is at most `max` bytes long. */
static struct port_addr ask(int file, const struct port_addr *server, uint32_t change, size_t max)
{
    struct stun_id id = {{(uint8_t)change, server->port[1]}};
    struct stun_writer writer;
    struct stun_message message;
    uint8_t bytes[PORT_DATAGRAM_MAX];
    stun_start(&writer, bytes, sizeof bytes, STUN_REQUEST, STUN_BINDING, &id);
    if (change != 0) {
        stun_add_number(&writer, STUN_CHANGE_REQUEST, change);
    }
    size_t len = stun_end(&writer);
    struct sockaddr_in to = socket_addr_of(server);
    cr_assert_eq(sendto(file, bytes, len, 0, (struct sockaddr *)&to, sizeof to), (ssize_t)len);
    struct pollfd polled = {.fd = file, .events = POLLIN};
    for (int turn = 0; poll(&polled, 1, POLL_MS) == 0; turn++) {
        cr_assert_lt(turn, TURNS_MAX, "no answer");
        uv_run(host_loop_uv(loop), UV_RUN_NOWAIT);
    }
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t heard = recvfrom(file, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &from_len);
    cr_assert_gt(heard, 0);
    cr_assert_leq((size_t)heard, max);
    cr_assert(stun_read(slice_of(bytes, (size_t)heard), &message));
    cr_assert_eq(message.class, STUN_SUCCESS);
    cr_assert_eq(memcmp(&message.id, &id, sizeof id), 0);
    struct port_addr source = *server;
    memcpy(source.ip + 12, &from.sin_addr, sizeof from.sin_addr);
    memcpy(source.port, &from.sin_port, sizeof from.sin_port);
    return source;
}

TestSuite(stun, .init = setup, .fini = teardown);

/* RFC 5780 section 6.1: from each of the four, with each pair of flags; by a socket that no session
 * belongs to. */
Test(stun, two_addresses_and_two_ports_answer_for_each_other)
{
    struct notes notes;
    struct service *service = open_server(other_ip, &notes);
    struct nat_stun_view view = view_of(service);
    cr_assert(view.has_other, "%s", notes.warning);
    cr_expect_eq(view.status, ERR_OK);
    struct port_addr own = host_addr(service_host(service));
    int asker = open_asker();
    for (uint32_t local = 0; local < 4; local++) {
        struct port_addr server = local < 2 ? own : view.other;
        memcpy(server.port, local % 2 == 0 ? own.port : view.other.port, sizeof server.port);
        for (uint32_t change = 0; change < 8; change += 2) {
            bool is_own_ip = (local < 2) == ((change & STUN_CHANGE_IP) == 0);
            bool is_own_port = (local % 2 == 0) == ((change & STUN_CHANGE_PORT) == 0);
            struct port_addr wanted = is_own_ip ? own : view.other;
            memcpy(wanted.port, is_own_port ? own.port : view.other.port, sizeof wanted.port);
            size_t max = change != 0 ? STUN_HEADER_LEN + 8 : 128;
            struct port_addr source = ask(asker, &server, change, max);
            cr_expect(port_addr_equal(&source, &wanted), "from %u with %u", local, change);
        }
    }
    cr_expect_eq(service_node(service)->nat.counts.stun_served, 16);
    close(asker);
    service_close(service);
}

/* A node that takes the other address for one of the mesh's is not answered. */
Test(stun, the_mesh_does_not_live_at_the_other_address, .timeout = 60)
{
    struct notes notes;
    struct notes stranger_notes;
    char other[HOST_ADDR_TEXT_SIZE];
    const char *bootstrap[] = {other};
    struct service *service = open_server(other_ip, &notes);
    struct nat_stun_view view = view_of(service);
    host_addr_format(&view.other, other);
    struct service_options options = {
        .host = {.bind = "127.26.76.3"}, .bootstrap = bootstrap, .bootstrap_count = 1};
    node_config_default(&options.node);
    struct service *stranger = open_node(&options, &stranger_notes);
    while (strstr(stranger_notes.warning, other) == NULL) {
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
    }
    struct node_view seen;
    node_observe(service_node(service), &seen);
    cr_expect_eq(seen.sessions, 0);
    cr_expect_gt(seen.counters.value[COUNT_MALFORMED], 0);
    cr_expect_eq(seen.counters.value[COUNT_DATAGRAMS_OUT], 0);
    service_close(stranger);
    service_close(service);
}

Test(stun, an_address_of_another_machine_leaves_one_and_that_is_said)
{
    struct notes notes;
    struct service *service = open_server("192.0.2.1", &notes);
    struct nat_stun_view view = view_of(service);
    cr_expect_not(view.has_other);
    cr_expect_neq(view.status, ERR_OK);
    cr_expect_not_null(strstr(notes.warning, "192.0.2.1:"), "%s", notes.warning);
    struct port_addr own = host_addr(service_host(service));
    int asker = open_asker();
    struct port_addr source = ask(asker, &own, 0, 128);
    cr_expect(port_addr_equal(&source, &own));
    close(asker);
    service_close(service);
}

Test(stun, a_taken_port_leaves_one_address)
{
    struct notes notes;
    struct service *first = open_server(other_ip, &notes);
    struct port_addr taken = host_addr(service_host(first));
    struct service_options options = {.host = {.bind = "127.26.76.3"}};
    options.host.port = (uint16_t)(taken.port[0] * 256 + taken.port[1]);
    node_config_default(&options.node);
    options.node.nat.is_stun_server = options.node.nat.has_stun_other = true;
    options.node.nat.stun_other = taken;
    struct service *second = open_node(&options, &notes);
    struct nat_stun_view view = view_of(second);
    cr_expect_not(view.has_other);
    cr_expect(port_addr_equal(&view.lacking, &taken), "%s", notes.warning);
    service_close(second);
    service_close(first);
}

/* RFC 5780 between two services: one question, two for answers from elsewhere, and three at one
 * moment. What such addresses say of a mapping counts for nothing: they are private. A name whose
 * addresses are of the other family is noted, and holds up nothing. */
Test(stun, a_node_finds_out_by_another_that_nothing_filters, .timeout = 60)
{
    struct notes notes;
    struct service *service = open_server(other_ip, &notes);
    struct service_options options = {.host = {.bind = "127.26.76.3"}};
    node_config_default(&options.node);
    struct port_addr own = host_addr(service_host(service));
    char server[HOST_ADDR_TEXT_SIZE];
    host_addr_format(&own, server);
    options.node.nat.stun_names[0] = "[::1]:3478";
    options.node.nat.stun_names[1] = server;
    options.node.nat.stun_name_count = 2;
    struct notes client_notes;
    struct service *client = open_node(&options, &client_notes);
    memset(server, 0, sizeof server); /* It was ours alone. */
    const struct nat *nat = &service_node(client)->nat;
    while (nat->counts.stun_heard < 6 || client_notes.warning[0] == '\0') {
        uv_run(host_loop_uv(loop), UV_RUN_ONCE);
    }
    cr_expect_not_null(strstr(client_notes.warning, "[::1]:3478"), "%s", client_notes.warning);
    struct nat_class class;
    nat_class_of(nat, &class);
    cr_expect_eq(class.filtering, NAT_FILTERING_ENDPOINT_INDEPENDENT);
    service_close(client);
    service_close(service);
}
