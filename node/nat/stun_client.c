/* stun_client.c - a binding request, its repetitions and its answer. */
#include "node/nat/stun_client.h"

#include "node/base/must.h"

/* Fills requests up to the length that an answer needs. */
static const char software[] = "meshtwin node";

static bool answer_is_good(const struct stun_client *client, const struct port_addr *from,
                           const struct stun_message *answer);
static void result_take(struct stun_result *result, const struct stun_message *answer);

void stun_client_start(struct stun_client *client, const struct stun_client_options *options,
                       const struct stun_id *id, uint64_t now_us)
{
    *client = (struct stun_client){.options = *options, .id = *id, .next_us = now_us};
    if (client->options.rto_us == 0) {
        client->options.rto_us = STUN_RTO_US;
    }
}

uint64_t stun_client_next_us(const struct stun_client *client)
{
    return client->state == STUN_ASKING ? client->next_us : PORT_NEVER;
}

size_t stun_client_ask(struct stun_client *client, uint64_t now_us,
                       uint8_t buffer[STUN_REQUEST_MAX])
{
    if (client->state != STUN_ASKING || now_us < client->next_us) {
        return 0;
    }
    if (client->sent == STUN_RC) {
        client->state = STUN_SILENT;
        return 0;
    }
    uint64_t pauses = client->sent + 1 < STUN_RC ? 1u << client->sent : STUN_RM;
    client->next_us = now_us + pauses * client->options.rto_us;
    client->sent_us = now_us;
    client->sent++;

    struct stun_writer writer;
    stun_start(&writer, buffer, STUN_REQUEST_MAX, STUN_REQUEST, STUN_BINDING, &client->id);
    if (client->options.change != 0) {
        stun_add_number(&writer, STUN_CHANGE_REQUEST, client->options.change);
    }
    if (!client->options.is_plain) {
        stun_add_bytes(&writer, STUN_SOFTWARE, slice_of(software, sizeof software - 1));
        stun_add_fingerprint(&writer);
    }
    size_t len = stun_end(&writer);
    must(len > 0);
    return len;
}

bool stun_client_hear(struct stun_client *client, uint64_t now_us, const struct port_addr *from,
                      struct slice bytes)
{
    struct stun_message answer;
    if (client->state != STUN_ASKING || client->sent == 0 || !stun_read(bytes, &answer) ||
        !answer_is_good(client, from, &answer)) {
        return false;
    }
    client->state = answer.class == STUN_SUCCESS ? STUN_ANSWERED : STUN_REFUSED;
    result_take(&client->result, &answer);
    client->result.round_trip_us = client->sent == 1 ? now_us - client->sent_us : 0;
    return true;
}

/* Sections 6.3.3 and 6.3.4. A refusal comes from the address that was asked. Only an answer from
 * another may be without our own: it had to be as short as the request. */
static bool answer_is_good(const struct stun_client *client, const struct port_addr *from,
                           const struct stun_message *answer)
{
    if (answer->method != STUN_BINDING ||
        memcmp(&answer->id, &client->id, sizeof client->id) != 0 || answer->unknown.count > 0) {
        return false;
    }
    if (answer->class == STUN_ERROR) {
        return stun_has(answer, STUN_ERROR_CODE) && port_addr_equal(from, &client->options.server);
    }
    struct port_addr source = stun_client_source(&client->options);
    return answer->class == STUN_SUCCESS && port_addr_equal(from, &source) &&
           (client->options.change != 0 || stun_has(answer, STUN_XOR_MAPPED_ADDRESS) ||
            stun_has(answer, STUN_MAPPED_ADDRESS));
}

static void result_take(struct stun_result *result, const struct stun_message *answer)
{
    bool is_masked = stun_has(answer, STUN_XOR_MAPPED_ADDRESS);
    bool is_bare = stun_has(answer, STUN_MAPPED_ADDRESS);
    result->has_mapped = is_masked || is_bare;
    result->mapped = is_masked ? answer->xor_mapped : answer->mapped;
    result->is_rewritten =
        is_masked && is_bare && !port_addr_equal(&answer->mapped, &answer->xor_mapped);
    result->has_origin = stun_has(answer, STUN_RESPONSE_ORIGIN);
    result->origin = answer->origin;
    result->has_other = stun_has(answer, STUN_OTHER_ADDRESS);
    result->other = answer->other;
    result->error_code = answer->error_code;
}

/* RFC 5780 section 7.4: OTHER-ADDRESS differs from the server's own in both parts. */
struct port_addr stun_client_source(const struct stun_client_options *options)
{
    struct port_addr source = options->server;
    if ((options->change & STUN_CHANGE_IP) != 0) {
        memcpy(source.ip, options->other.ip, sizeof source.ip);
    }
    if ((options->change & STUN_CHANGE_PORT) != 0) {
        memcpy(source.port, options->other.port, sizeof source.port);
    }
    return source;
}
