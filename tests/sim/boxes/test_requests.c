/* test_requests.c - a box is asked for a port by PCP, and strangers come in by it. */
#include <string.h>

#include "node/nat/pcp.h"
#include "tests/sim/boxes/lab.h"

static struct lab *lab;
static uint32_t stranger;
static uint32_t box;
static uint32_t host;

static void open_box(const struct napt_config *config)
{
    box = lab_box(lab, config, WORLD_BOX_NONE);
    host = lab_behind(lab, box);
}

static void setup(void)
{
    lab = lab_open(1);
    stranger = lab_public(lab);
    struct napt_config config = lab->presets[NAPT_PRESET_PORT_RESTRICTED];
    config.maps_on_request = true;
    open_box(&config);
}

static void teardown(void)
{
    lab_close(lab);
}

TestSuite(requests, .init = setup, .fini = teardown, .timeout = 60);

static struct pcp_request map_request(uint32_t lifetime_s, uint16_t suggested)
{
    struct pcp_request request = {
        .opcode = PCP_MAP,
        .lifetime_s = lifetime_s,
        .map = {.nonce = {{1, 2, 3}}, .protocol = PCP_UDP, .internal_port = HOST_PORT}};
    struct port_addr own = lab_addr(lab, host);
    memcpy(request.client, own.ip, sizeof request.client);
    addr_set(&request.map.external, 0, suggested);
    return request;
}

static struct port_addr gateway(void)
{
    struct port_addr own = lab_addr(lab, host);
    own.ip[15] = 1;
    own.port[0] = PCP_PORT >> 8;
    own.port[1] = PCP_PORT & 0xff;
    return own;
}

static void find_gateway(struct node *node, void *arg)
{
    struct port *port = probe_of(node)->port;
    cr_assert(port->ops->gateway(port, arg));
}

Test(requests, go_where_the_host_says)
{
    struct port_addr told;
    struct port_addr expected = gateway();
    host_enter(world_host(lab->world, host), find_gateway, &told);
    cr_expect(port_addr_equal(&told, &expected));
}

static void send_bytes(struct node *node, void *arg)
{
    struct port *port = probe_of(node)->port;
    struct port_addr to = gateway();
    cr_assert_eq(port->ops->send(port, PORT_MAIN_PATH, &to, *(struct slice *)arg,
                                 (struct port_send_flags){0}),
                 ERR_OK);
}

/* False without an answer, which takes two milliseconds. */
static bool ask(const struct pcp_request *request, struct pcp_answer *answer)
{
    uint8_t bytes[PCP_REQUEST_MAX];
    struct slice sent = slice_of(bytes, pcp_write_request(request, bytes));
    lab_forget(lab, host);
    host_enter(world_host(lab->world, host), send_bytes, &sent);
    lab_run(lab, 2 * NET_LATENCY_MIN_US + 1);
    const struct probe_datagram *heard = lab_heard(lab, host);
    if (heard == NULL) {
        return false;
    }
    struct port_addr from = gateway();
    cr_assert(memcmp(&heard->from, &from, sizeof from) == 0);
    cr_assert(pcp_read_answer(slice_of(heard->bytes, heard->len), answer));
    cr_assert(pcp_answers(answer, request));
    return true;
}

Test(requests, open_a_port_to_strangers_for_as_long_as_granted)
{
    struct pcp_request request = map_request(100, 5000);
    struct pcp_answer answer;
    cr_assert(ask(&request, &answer));
    cr_expect_eq(answer.result, PCP_SUCCESS);
    cr_expect_eq(answer.lifetime_s, 100);
    cr_expect_eq(lab_ip(&answer.map.external), napt_external_ip(world_box(lab->world, box)));
    cr_expect_eq(addr_port(&answer.map.external), 5000);
    cr_expect(lab_reaches(lab, stranger, &answer.map.external, host, NULL));
    uint32_t another = lab_public(lab);
    lab_run(lab, 101 * LAB_SECOND);
    cr_expect_not(lab_reaches(lab, another, &answer.map.external, host, NULL));
}

Test(requests, are_ended_by_a_lifetime_of_nothing)
{
    struct pcp_request request = map_request(100, 5000);
    struct pcp_answer answer;
    cr_assert(ask(&request, &answer));
    struct port_addr external = answer.map.external;
    request.lifetime_s = 0;
    cr_assert(ask(&request, &answer));
    cr_expect_eq(answer.result, PCP_SUCCESS);
    cr_expect_eq(answer.lifetime_s, 0);
    cr_expect_not(lab_reaches(lab, stranger, &external, host, NULL));
}

Test(requests, get_another_port_when_it_is_taken_unless_it_has_to_fit)
{
    uint32_t neighbour = lab_behind(lab, box);
    struct pcp_request request = map_request(100, 5000);
    struct pcp_answer answer;
    cr_assert(ask(&request, &answer));
    host = neighbour;
    request = map_request(100, 5000);
    request.must_fit = true;
    cr_assert(ask(&request, &answer));
    cr_expect_eq(answer.result, PCP_CANNOT_PROVIDE_EXTERNAL);
    request.must_fit = false;
    cr_assert(ask(&request, &answer));
    cr_expect_eq(answer.result, PCP_SUCCESS);
    cr_expect_neq(addr_port(&answer.map.external), 5000);
    cr_expect(lab_reaches(lab, stranger, &answer.map.external, neighbour, NULL));
}

Test(requests, that_make_no_sense_are_told_so)
{
    struct pcp_answer answer;
    struct pcp_request request = map_request(100, 0);
    request.client[15] ^= 1;
    cr_assert(ask(&request, &answer));
    cr_expect_eq(answer.result, PCP_ADDRESS_MISMATCH);
    request = map_request(100, 0);
    request.map.protocol = 132; /* SCTP. */
    cr_assert(ask(&request, &answer));
    cr_expect_eq(answer.result, PCP_UNSUPPORTED_PROTOCOL);
    struct slice noise = slice_of("noise", 5);
    lab_forget(lab, host);
    host_enter(world_host(lab->world, host), send_bytes, &noise);
    lab_run(lab, 10 * LAB_MS);
    cr_expect_null(lab_heard(lab, host));
}

Test(requests, tell_by_their_epoch_that_a_box_has_forgotten)
{
    struct pcp_request request = {.opcode = PCP_ANNOUNCE};
    struct port_addr own = lab_addr(lab, host);
    memcpy(request.client, own.ip, sizeof request.client);
    lab_run(lab, 50 * LAB_SECOND);
    uint8_t bytes[PCP_REQUEST_MAX];
    struct slice sent = slice_of(bytes, pcp_write_request(&request, bytes));
    static const uint32_t expected_s[] = {50, 0};
    for (int i = 0; i < 2; i++) {
        lab_forget(lab, host);
        host_enter(world_host(lab->world, host), send_bytes, &sent);
        lab_run(lab, 10 * LAB_MS);
        const struct probe_datagram *heard = lab_heard(lab, host);
        struct pcp_answer answer;
        cr_assert(heard != NULL && pcp_read_answer(slice_of(heard->bytes, heard->len), &answer));
        cr_expect_eq(answer.epoch_s, expected_s[i]);
        world_reboot_box(lab->world, box);
    }
}

Test(requests, are_nobody_s_business_where_a_box_takes_none)
{
    open_box(&lab->presets[NAPT_PRESET_PORT_RESTRICTED]);
    struct pcp_request request = map_request(100, 5000);
    struct pcp_answer answer;
    cr_expect_not(ask(&request, &answer));
}
