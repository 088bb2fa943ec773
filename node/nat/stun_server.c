/* stun_server.c - answers to binding requests. */
#include "node/nat/stun_server.h"

#include "node/base/must.h"

/* Required attributes that can be read but not obeyed here: checks of ICE are another's business,
 * padding and answers to another port would serve forgers, and CHANGE-REQUEST needs addresses to
 * change to (RFC 5780 section 6.1). Credentials may be there; nothing is kept for friends only. */
static const enum stun_attribute foreign[] = {
    STUN_PRIORITY, STUN_USE_CANDIDATE, STUN_PADDING, STUN_RESPONSE_PORT, STUN_CHANGE_REQUEST,
};

static void unknown_find(const struct stun_server_config *config,
                         const struct stun_message *request, struct stun_types *unknown);
static size_t refuse(const struct stun_message *request, const struct stun_types *unknown,
                     uint8_t *buffer, size_t cap);
static uint8_t changed(uint8_t local, uint32_t change);
static size_t confirm(const struct stun_server_config *config,
                      const struct stun_server_question *question,
                      const struct stun_message *request, uint8_t local, uint8_t *buffer,
                      size_t cap);
static void add_addr_if_fits(struct stun_writer *writer, enum stun_attribute attribute,
                             const struct port_addr *addr);

bool stun_server_answer(const struct stun_server_config *config,
                        const struct stun_server_question *question,
                        struct stun_server_reply *reply)
{
    must(question->local < (config->has_other ? STUN_LOCALS : 1));
    struct stun_message request;
    if (!stun_read(question->request, &request) || request.class != STUN_REQUEST ||
        request.method != STUN_BINDING) {
        return false;
    }
    reply->to = question->from;
    reply->local = question->local;
    struct stun_types unknown;
    unknown_find(config, &request, &unknown);
    if (unknown.count > 0) {
        reply->len = (uint8_t)refuse(&request, &unknown, reply->bytes, sizeof reply->bytes);
        return true;
    }

    size_t cap = sizeof reply->bytes;
    reply->local = changed(question->local, request.change);
    if (reply->local != question->local && request.bytes.len < cap) {
        cap = request.bytes.len;
    }
    reply->len = (uint8_t)confirm(config, question, &request, reply->local, reply->bytes, cap);
    return true;
}

static void unknown_find(const struct stun_server_config *config,
                         const struct stun_message *request, struct stun_types *unknown)
{
    *unknown = request->unknown;
    for (size_t i = 0; i < array_len(foreign); i++) {
        bool is_known = foreign[i] == STUN_CHANGE_REQUEST && config->has_other;
        if (stun_has(request, foreign[i]) && !is_known && unknown->count < STUN_UNKNOWN_MAX) {
            unknown->type[unknown->count++] = (uint16_t)foreign[i];
        }
    }
}

/* RFC 8489 section 6.3.1. */
static size_t refuse(const struct stun_message *request, const struct stun_types *unknown,
                     uint8_t *buffer, size_t cap)
{
    struct stun_writer writer;
    stun_start(&writer, buffer, cap, STUN_ERROR, STUN_BINDING, &request->id);
    stun_add_error(&writer, STUN_UNKNOWN_ATTRIBUTE);
    stun_add_unknown(&writer, unknown);
    if (stun_has(request, STUN_FINGERPRINT)) {
        stun_add_fingerprint(&writer);
    }
    size_t len = stun_end(&writer);
    must(len > 0);
    return len;
}

static uint8_t changed(uint8_t local, uint32_t change)
{
    local ^= (change & STUN_CHANGE_IP) != 0 ? STUN_OTHER_IP : 0;
    local ^= (change & STUN_CHANGE_PORT) != 0 ? STUN_OTHER_PORT : 0;
    return local;
}

/* What matters most comes first, since room may end. MAPPED-ADDRESS beside the masked one lets a
 * client find out that something on the way rewrites addresses (RFC 5780 section 3.5). */
static size_t confirm(const struct stun_server_config *config,
                      const struct stun_server_question *question,
                      const struct stun_message *request, uint8_t local, uint8_t *buffer,
                      size_t cap)
{
    bool has_fingerprint = stun_has(request, STUN_FINGERPRINT);
    size_t tail = has_fingerprint ? STUN_FINGERPRINT_LEN : 0;
    struct stun_writer writer;
    must(cap >= STUN_HEADER_LEN + tail); /* A request has a header, and what it asks for. */
    stun_start(&writer, buffer, cap - tail, STUN_SUCCESS, STUN_BINDING, &request->id);
    add_addr_if_fits(&writer, STUN_XOR_MAPPED_ADDRESS, &question->from);
    if (config->has_other) {
        /* RFC 5780 section 7.4: what would be used if both flags had been set. */
        uint8_t other = question->local ^ (STUN_OTHER_IP | STUN_OTHER_PORT);
        add_addr_if_fits(&writer, STUN_RESPONSE_ORIGIN, &config->local[local]);
        add_addr_if_fits(&writer, STUN_OTHER_ADDRESS, &config->local[other]);
        add_addr_if_fits(&writer, STUN_MAPPED_ADDRESS, &question->from);
    }
    size_t software_len = 4 + (config->software.len + 3) / 4 * 4;
    if (config->software.len > 0 && software_len <= stun_room(&writer)) {
        stun_add_bytes(&writer, STUN_SOFTWARE, config->software);
    }
    writer.writer.end += tail;
    if (has_fingerprint) {
        stun_add_fingerprint(&writer);
    }
    size_t len = stun_end(&writer);
    must(len >= STUN_HEADER_LEN && len <= cap);
    return len;
}

static void add_addr_if_fits(struct stun_writer *writer, enum stun_attribute attribute,
                             const struct port_addr *addr)
{
    if (stun_addr_len(addr) <= stun_room(writer)) {
        stun_add_addr(writer, attribute, addr);
    }
}
