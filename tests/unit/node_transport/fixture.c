/* fixture.c - the network that is watched. */
#include "tests/unit/node_transport/fixture.h"

#include <stdlib.h>

#include "node/sodium/sodium_suite.h"

struct toy_peers *peers;
struct network network;
static uint32_t *contacts; /* References that the tests hold, to be given back at the end. */
static uint32_t contact_count;

static int watch(void *arg, struct toy_datagram *datagram)
{
    (void)arg;
    int64_t number = network.numbered++;
    cr_assert_lt(network.count, SENT_MAX);
    struct sent *sent = &network.sent[network.count++];
    *sent = (struct sent){.from = datagram->from,
                          .to = datagram->to,
                          .at_us = peers->world->now_us,
                          .len = datagram->len};
    memcpy(sent->bytes, datagram->bytes, datagram->len);
    if (number == network.corrupt) {
        uint32_t bit = network.corrupt_bit % (8u * datagram->len);
        datagram->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    if (number == network.late) {
        datagram->due_us += 3 * peers->world->latency_us;
    }
    bool is_deaf = network.deaf != NULL && port_addr_equal(network.deaf, &datagram->to);
    if (number == network.drop || is_deaf ||
        (network.drop_from >= 0 && number >= network.drop_from)) {
        return 0;
    }
    return number == network.doubled ? 2 : 1;
}

void fixture_open(uint32_t count)
{
    cr_assert_eq(sodium_suite_init(), ERR_OK);
    peers = toy_peers_open(count, 1, &sodium_suite);
    network.sent = calloc(SENT_MAX, sizeof *network.sent);
    contacts = calloc(SENT_MAX, sizeof *contacts);
    contact_count = 0;
    peers->world->filter = watch;
    fixture_mark();
}

void fixture_close(void)
{
    cr_assert_null(toy_peers_check(peers), "%s", toy_peers_check(peers));
    for (uint32_t i = 0; i < peers->count; i++) {
        transport_stop(&peer_at(i)->transport);
    }
    cr_assert_null(toy_peers_check(peers), "%s", toy_peers_check(peers));
    for (uint32_t i = 0; i < contact_count; i++) {
        struct port *port = &toy_at(peers->world, 0)->port;
        port->ops->intern_release(port, contacts[i]);
    }
    cr_assert_eq(toy_reference_count(peers->world), 0, "references leaked");
    toy_peers_close(peers);
    free(network.sent);
    free(contacts);
}

void fixture_mark(void)
{
    struct sent *sent = network.sent;
    network = (struct network){
        .sent = sent, .drop = -1, .drop_from = -1, .doubled = -1, .late = -1, .corrupt = -1};
}

void fixture_settle(void)
{
    toy_run_for(peers->world, SECOND);
}

uint32_t contact_of(uint32_t index)
{
    cr_assert_lt(contact_count, SENT_MAX);
    contacts[contact_count] = toy_contact(peers, index);
    return contacts[contact_count++];
}

struct toy_answer ask_now(uint32_t from, uint32_t to, uint8_t kind)
{
    struct toy_answer answer;
    toy_ask(peer_at(from), contact_of(to), kind, &answer);
    toy_run_for(peers->world, 10 * SECOND);
    cr_assert_eq(answer.answered, 1, "call of kind %#x was not answered", kind);
    return answer;
}
