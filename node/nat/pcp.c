/* pcp.c - reading and writing of PCP and NAT-PMP. */
#include "node/nat/pcp.h"

#include "node/base/must.h"
#include "node/wire/codec.h"

enum {
    ANSWER_BIT = 0x80, /* R of PCP; NAT-PMP adds 128 to the opcode. */
    OPTION_PREFER_FAILURE = 2,
    OPTION_OPTIONAL = 128, /* Option codes from here on may be ignored: section 7.3. */
    NATPMP_VERSION = 0,
    EPOCH_SLACK_S = 2, /* Section 8.5. */
    EPOCH_DRIFT = 16,
};

struct option {
    uint8_t code;
    size_t len;
};

static bool is_opcode(uint8_t opcode);
static bool is_size(struct slice bytes);
static void write_map(struct writer *writer, const struct pcp_map *map);
static bool read_map(struct reader *reader, struct pcp_map *map);
static bool read_option(struct reader *reader, struct option *option);
static size_t written(const struct writer *writer);

/* --- PCP ----------------------------------------------------------------------------------- */

size_t pcp_write_request(const struct pcp_request *request, uint8_t *buffer)
{
    must(is_opcode(request->opcode) && (!request->must_fit || request->opcode == PCP_MAP));
    struct writer writer = writer_of(buffer, PCP_REQUEST_MAX);
    write_u8(&writer, PCP_VERSION);
    write_u8(&writer, request->opcode);
    write_u16(&writer, 0);
    write_u32(&writer, request->lifetime_s);
    write_bytes(&writer, request->client, sizeof request->client);
    if (request->opcode == PCP_MAP) {
        write_map(&writer, &request->map);
    }
    if (request->must_fit) {
        write_u8(&writer, OPTION_PREFER_FAILURE);
        write_u8(&writer, 0);
        write_u16(&writer, 0);
    }
    return written(&writer);
}

size_t pcp_write_answer(const struct pcp_answer *answer, uint8_t *buffer)
{
    static const uint8_t reserved[12];
    must(is_opcode(answer->opcode) && answer->has_map == (answer->opcode == PCP_MAP));
    struct writer writer = writer_of(buffer, PCP_ANSWER_MAX);
    write_u8(&writer, PCP_VERSION);
    write_u8(&writer, answer->opcode | ANSWER_BIT);
    write_u8(&writer, 0);
    write_u8(&writer, answer->result);
    write_u32(&writer, answer->lifetime_s);
    write_u32(&writer, answer->epoch_s);
    write_bytes(&writer, reserved, sizeof reserved);
    if (answer->has_map) {
        write_map(&writer, &answer->map);
    }
    return written(&writer);
}

static void write_map(struct writer *writer, const struct pcp_map *map)
{
    write_bytes(writer, map->nonce.bytes, sizeof map->nonce.bytes);
    write_u8(writer, map->protocol);
    write_number(writer, 0, 3);
    write_u16(writer, map->internal_port);
    write_bytes(writer, map->external.port, sizeof map->external.port);
    write_bytes(writer, map->external.ip, sizeof map->external.ip);
}

bool pcp_read_request(struct slice bytes, struct pcp_request *request)
{
    struct reader reader = reader_of(bytes);
    *request = (struct pcp_request){0};
    uint8_t version = read_u8(&reader);
    request->opcode = read_u8(&reader);
    (void)read_u16(&reader);
    request->lifetime_s = read_u32(&reader);
    read_into(&reader, request->client, sizeof request->client);
    if (!is_size(bytes) || reader.bad || version != PCP_VERSION || !is_opcode(request->opcode) ||
        (request->opcode == PCP_MAP && !read_map(&reader, &request->map))) {
        return false;
    }
    while (reader_left(&reader) > 0) {
        struct option option;
        if (!read_option(&reader, &option)) {
            return false;
        }
        if (option.code == OPTION_PREFER_FAILURE && option.len == 0 && request->opcode == PCP_MAP) {
            request->must_fit = true;
        } else if (option.code < OPTION_OPTIONAL) {
            request->has_unknown = true;
        }
    }
    return true;
}

bool pcp_read_answer(struct slice bytes, struct pcp_answer *answer)
{
    struct reader reader = reader_of(bytes);
    *answer = (struct pcp_answer){0};
    uint8_t version = read_u8(&reader);
    uint8_t opcode = read_u8(&reader);
    (void)read_u8(&reader);
    answer->opcode = opcode & (uint8_t)~ANSWER_BIT;
    answer->result = read_u8(&reader);
    answer->lifetime_s = read_u32(&reader);
    answer->epoch_s = read_u32(&reader);
    (void)read_bytes(&reader, 12);
    if (!is_size(bytes) || reader.bad || version != PCP_VERSION || (opcode & ANSWER_BIT) == 0 ||
        !is_opcode(answer->opcode)) {
        return false;
    }
    bool is_short = answer->result != PCP_SUCCESS && reader_left(&reader) == 0;
    answer->has_map = answer->opcode == PCP_MAP && !is_short;
    if (answer->has_map && !read_map(&reader, &answer->map)) {
        return false;
    }
    while (reader_left(&reader) > 0) {
        struct option option;
        if (!read_option(&reader, &option)) {
            return false;
        }
    }
    return true;
}

static bool is_opcode(uint8_t opcode)
{
    return opcode == PCP_ANNOUNCE || opcode == PCP_MAP;
}

static bool is_size(struct slice bytes)
{
    return bytes.len % 4 == 0 && bytes.len <= PCP_MESSAGE_MAX;
}

static bool read_map(struct reader *reader, struct pcp_map *map)
{
    read_into(reader, map->nonce.bytes, sizeof map->nonce.bytes);
    map->protocol = read_u8(reader);
    (void)read_number(reader, 3);
    map->internal_port = read_u16(reader);
    read_into(reader, map->external.port, sizeof map->external.port);
    read_into(reader, map->external.ip, sizeof map->external.ip);
    return !reader->bad && (map->protocol != PCP_ALL || map->internal_port == 0);
}

static bool read_option(struct reader *reader, struct option *option)
{
    option->code = read_u8(reader);
    (void)read_u8(reader);
    option->len = read_u16(reader);
    (void)read_bytes(reader, (option->len + 3) / 4 * 4);
    return !reader->bad;
}

bool pcp_answers(const struct pcp_answer *answer, const struct pcp_request *request)
{
    if (answer->opcode != request->opcode || request->opcode != PCP_MAP) {
        return answer->opcode == request->opcode;
    }
    return answer->has_map && answer->map.protocol == request->map.protocol &&
           answer->map.internal_port == request->map.internal_port &&
           memcmp(&answer->map.nonce, &request->map.nonce, sizeof answer->map.nonce) == 0;
}

const char *pcp_result_text(unsigned result)
{
    switch (result) {
#define PCP_CASE(name, number, text)                                                               \
    case (number):                                                                                 \
        return (text);
        PCP_RESULTS(PCP_CASE)
#undef PCP_CASE
    default:
        return "unknown result";
    }
}

bool pcp_epoch_check(struct pcp_epoch *epoch, uint32_t server_s, uint64_t now_us)
{
    uint64_t ours_s = (now_us - epoch->seen_us) / 1000000;
    uint64_t theirs_s = server_s > epoch->server_s ? server_s - epoch->server_s : 0;
    bool went_back = (uint64_t)server_s + 1 < epoch->server_s;
    bool ran_fast = ours_s + EPOCH_SLACK_S < theirs_s - theirs_s / EPOCH_DRIFT;
    bool ran_slow = theirs_s + EPOCH_SLACK_S < ours_s - ours_s / EPOCH_DRIFT;
    bool is_good = !epoch->is_known || !(went_back || ran_fast || ran_slow);
    *epoch = (struct pcp_epoch){.is_known = true, .server_s = server_s, .seen_us = now_us};
    return is_good;
}

/* --- NAT-PMP ------------------------------------------------------------------------------- */

static bool is_natpmp_opcode(uint8_t opcode)
{
    return opcode <= NATPMP_MAP_TCP;
}

size_t natpmp_write_request(const struct natpmp_request *request, uint8_t *buffer)
{
    must(is_natpmp_opcode(request->opcode));
    struct writer writer = writer_of(buffer, NATPMP_REQUEST_MAX);
    write_u8(&writer, NATPMP_VERSION);
    write_u8(&writer, request->opcode);
    if (request->opcode != NATPMP_EXTERNAL) {
        write_u16(&writer, 0);
        write_u16(&writer, request->internal_port);
        write_u16(&writer, request->external_port);
        write_u32(&writer, request->lifetime_s);
    }
    return written(&writer);
}

size_t natpmp_write_answer(const struct natpmp_answer *answer, uint8_t *buffer)
{
    must(is_natpmp_opcode(answer->opcode) || answer->result != NATPMP_SUCCESS);
    struct writer writer = writer_of(buffer, NATPMP_ANSWER_MAX);
    write_u8(&writer, NATPMP_VERSION);
    write_u8(&writer, answer->opcode | ANSWER_BIT);
    write_u16(&writer, answer->result);
    write_u32(&writer, answer->epoch_s);
    if (answer->result == NATPMP_SUCCESS && answer->opcode == NATPMP_EXTERNAL) {
        write_bytes(&writer, answer->external, sizeof answer->external);
    } else if (answer->result == NATPMP_SUCCESS) {
        write_u16(&writer, answer->internal_port);
        write_u16(&writer, answer->external_port);
        write_u32(&writer, answer->lifetime_s);
    }
    return written(&writer);
}

bool natpmp_read_request(struct slice bytes, struct natpmp_request *request)
{
    struct reader reader = reader_of(bytes);
    *request = (struct natpmp_request){0};
    uint8_t version = read_u8(&reader);
    request->opcode = read_u8(&reader);
    if (reader.bad || version != NATPMP_VERSION || !is_natpmp_opcode(request->opcode)) {
        return false;
    }
    if (request->opcode != NATPMP_EXTERNAL) {
        (void)read_u16(&reader);
        request->internal_port = read_u16(&reader);
        request->external_port = read_u16(&reader);
        request->lifetime_s = read_u32(&reader);
    }
    return !reader.bad && reader_left(&reader) == 0;
}

bool natpmp_read_answer(struct slice bytes, struct natpmp_answer *answer)
{
    struct reader reader = reader_of(bytes);
    *answer = (struct natpmp_answer){0};
    uint8_t version = read_u8(&reader);
    uint8_t opcode = read_u8(&reader);
    answer->opcode = opcode & (uint8_t)~ANSWER_BIT;
    answer->result = read_u16(&reader);
    answer->epoch_s = read_u32(&reader);
    if (reader.bad || version != NATPMP_VERSION || (opcode & ANSWER_BIT) == 0 ||
        bytes.len > PCP_MESSAGE_MAX) {
        return false;
    }
    if (answer->result != NATPMP_SUCCESS) {
        return true;
    }
    if (answer->opcode == NATPMP_EXTERNAL) {
        read_into(&reader, answer->external, sizeof answer->external);
    } else {
        answer->internal_port = read_u16(&reader);
        answer->external_port = read_u16(&reader);
        answer->lifetime_s = read_u32(&reader);
    }
    return is_natpmp_opcode(answer->opcode) && !reader.bad && reader_left(&reader) == 0;
}

const char *natpmp_result_text(unsigned result)
{
    switch (result) {
#define NATPMP_CASE(name, number, text)                                                            \
    case (number):                                                                                 \
        return (text);
        NATPMP_RESULTS(NATPMP_CASE)
#undef NATPMP_CASE
    default:
        return "unknown result";
    }
}

static size_t written(const struct writer *writer)
{
    must(!writer->bad);
    return writer_len(writer);
}
