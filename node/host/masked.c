/* masked.c - streams dressed as HTTP/1.1: heads, chunks, and the cipher of their bodies. */
#include "node/host/masked.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "node/base/hash.h"
#include "node/base/must.h"

enum { CHUNK_DIGITS_MAX = 8, DATE_SIZE = 40 };

_Static_assert(sizeof((struct masked_cipher *)0)->key == crypto_stream_chacha20_KEYBYTES, "ChaCha");

/* --- the cipher --------------------------------------------------------------------------------
 */

void masked_cipher_start(struct masked_cipher *cipher, enum masked_direction direction,
                         const uint8_t nonce[MASKED_NONCE_LEN])
{
    const char *domain = direction == MASKED_REQUEST ? "mesh.masked.up" : "mesh.masked.down";
    *cipher = (struct masked_cipher){0};
    hash_domain(cipher->key, sizeof cipher->key, domain, slice_of(nonce, MASKED_NONCE_LEN),
                slice_of(NULL, 0));
}

void masked_apply(struct masked_cipher *cipher, uint8_t *out, const uint8_t *in, size_t len)
{
    static const uint8_t zeros[MASKED_BLOCK_LEN];
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    for (size_t i = 0; i < len; i++) {
        size_t at = cipher->position % MASKED_BLOCK_LEN;
        if (at == 0) { /* The key is used for one stream only, so the nonce may be constant. */
            crypto_stream_chacha20_xor_ic(cipher->block, zeros, sizeof zeros, nonce,
                                          cipher->position / MASKED_BLOCK_LEN, cipher->key);
        }
        out[i] = in[i] ^ cipher->block[at];
        cipher->position++;
    }
}

void masked_hello_write(struct masked_cipher *cipher, enum masked_direction direction,
                        const uint8_t port[2], uint8_t hello[MASKED_HELLO_LEN])
{
    uint8_t *sealed = hello + MASKED_NONCE_LEN;
    randombytes_buf(hello, MASKED_NONCE_LEN);
    masked_cipher_start(cipher, direction, hello);
    memset(sealed, 0, MASKED_CHECK_LEN);
    memcpy(sealed + MASKED_CHECK_LEN, port, 2);
    masked_apply(cipher, sealed, sealed, MASKED_CHECK_LEN + 2);
}

bool masked_hello_read(struct masked_cipher *cipher, enum masked_direction direction,
                       const uint8_t hello[MASKED_HELLO_LEN], uint8_t port[2])
{
    uint8_t plain[MASKED_CHECK_LEN + 2];
    masked_cipher_start(cipher, direction, hello);
    masked_apply(cipher, plain, hello + MASKED_NONCE_LEN, sizeof plain);
    memcpy(port, plain + MASKED_CHECK_LEN, 2);
    return sodium_is_zero(plain, MASKED_CHECK_LEN) == 1;
}

/* --- in ----------------------------------------------------------------------------------------
 */

void masked_reader_start(struct masked_reader *reader, enum masked_direction direction)
{
    *reader = (struct masked_reader){.direction = direction, .state = MASKED_IN_HEAD};
}

/* A token's character, RFC 9110 section 5.6.2. */
static bool is_token(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool line_starts(const char *line, size_t len, const char *text)
{
    return len >= strlen(text) && memcmp(line, text, strlen(text)) == 0;
}

/* "POST /path HTTP/1.1" or "HTTP/1.1 200 OK". Sets what it says about us. */
static bool first_line_parse(struct masked_reader *reader, const char *line, size_t len)
{
    if (reader->direction == MASKED_RESPONSE) {
        reader->is_ours = line_starts(line, len, "HTTP/1.1 200 ");
        return line_starts(line, len, "HTTP/1.");
    }
    size_t method = 0;
    while (method < len && is_token((uint8_t)line[method])) {
        method++;
    }
    const char *version = len >= 9 ? line + len - 9 : "         "; /* None. */
    bool is_1_1 = line_starts(version, 9, " HTTP/1.1");
    bool is_1_0 = line_starts(version, 9, " HTTP/1.0");
    reader->is_ours = is_1_1 && line_starts(line, len, "POST /");
    reader->is_head = line_starts(line, len, "HEAD ");
    return method > 0 && method + 1 < len && line[method] == ' ' && (is_1_1 || is_1_0);
}

/* "Name: value". Returns false for what is no header field (RFC 9112 section 5). */
static bool field_parse(const char *line, size_t len, bool *is_chunked)
{
    static const char wanted[] = "transfer-encoding:";
    size_t name = 0;
    while (name < len && is_token((uint8_t)line[name])) {
        name++;
    }
    if (name == 0 || name == len || line[name] != ':') {
        return false;
    }
    if (name + 1 == strlen(wanted) && strncasecmp(line, wanted, strlen(wanted)) == 0) {
        const char *value = line + name + 1;
        size_t value_len = len - name - 1;
        while (value_len > 0 && *value == ' ') {
            value++;
            value_len--;
        }
        *is_chunked =
            value_len == strlen("chunked") && strncasecmp(value, "chunked", value_len) == 0;
    }
    return true;
}

/* The head lies whole in the reader, its empty line included. */
static bool head_parse(struct masked_reader *reader)
{
    const char *at = (const char *)reader->head;
    const char *end = at + reader->head_len - 2; /* The empty line. */
    bool is_first = true;
    bool is_chunked = false;
    if (memchr(at, '\0', reader->head_len) != NULL) {
        return false;
    }
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL || line_end == at || line_end[-1] != '\r') {
            return false;
        }
        size_t len = (size_t)(line_end - at) - 1;
        if (is_first ? !first_line_parse(reader, at, len) : !field_parse(at, len, &is_chunked)) {
            return false;
        }
        is_first = false;
        at = line_end + 1;
    }
    reader->is_ours = reader->is_ours && is_chunked;
    return !is_first;
}

static enum masked_verdict head_read(struct masked_reader *reader, struct slice *input)
{
    while (input->len > 0) {
        if (reader->head_len == sizeof reader->head) {
            return MASKED_BAD;
        }
        reader->head[reader->head_len++] = input->data[0];
        *input = slice_of(input->data + 1, input->len - 1);
        if (!is_token(reader->head[0])) {
            return MASKED_BAD; /* As a web server does when it is sent TLS: at once. */
        }
        if (reader->head_len >= 4 &&
            memcmp(reader->head + reader->head_len - 4, "\r\n\r\n", 4) == 0) {
            reader->state = MASKED_IN_SIZE;
            return head_parse(reader) ? MASKED_HEAD : MASKED_BAD;
        }
    }
    return MASKED_MORE;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte of a chunk's size. */
static bool size_step(struct masked_reader *reader, uint8_t c)
{
    int value = hex_value(c);
    if (value < 0) {
        reader->state = MASKED_IN_SIZE_LF;
        return c == '\r' && reader->digits > 0;
    }
    reader->left = reader->left << 4 | (uint32_t)value;
    return ++reader->digits <= CHUNK_DIGITS_MAX;
}

/* One byte of a line end; the state after it. */
static bool line_end_step(struct masked_reader *reader, uint8_t c)
{
    switch (reader->state) {
    case MASKED_IN_SIZE_LF:
        reader->state = reader->left > 0 ? MASKED_IN_DATA : MASKED_IN_LAST_CR;
        return c == '\n';
    case MASKED_IN_DATA_CR:
        reader->state = MASKED_IN_DATA_LF;
        return c == '\r';
    case MASKED_IN_DATA_LF:
        reader->state = MASKED_IN_SIZE;
        reader->digits = 0;
        return c == '\n';
    case MASKED_IN_LAST_CR:
        reader->state = MASKED_IN_LAST_LF;
        return c == '\r';
    case MASKED_IN_LAST_LF:
        reader->state = MASKED_AFTER;
        return c == '\n';
    default:
        return false; /* After the last chunk nothing may follow: we ask once. */
    }
}

enum masked_verdict masked_read(struct masked_reader *reader, struct slice *input,
                                struct slice *body)
{
    if (reader->state == MASKED_IN_HEAD) {
        return head_read(reader, input);
    }
    while (input->len > 0) {
        if (reader->state == MASKED_IN_DATA) {
            size_t take = input->len < reader->left ? input->len : reader->left;
            *body = slice_of(input->data, take);
            *input = slice_of(input->data + take, input->len - take);
            reader->left -= (uint32_t)take;
            reader->state = reader->left == 0 ? MASKED_IN_DATA_CR : MASKED_IN_DATA;
            return MASKED_BODY;
        }
        uint8_t c = input->data[0];
        *input = slice_of(input->data + 1, input->len - 1);
        if (reader->state == MASKED_IN_SIZE ? !size_step(reader, c) : !line_end_step(reader, c)) {
            return MASKED_BAD;
        }
        if (reader->state == MASKED_AFTER) {
            return MASKED_END;
        }
    }
    return MASKED_MORE;
}

/* --- out ---------------------------------------------------------------------------------------
 */

static void date_write(char date[DATE_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm utc;
    must(gmtime_r(&now, &utc) != NULL);
    /* Not strftime: the names must not follow the locale (RFC 9110 section 5.6.7). */
    snprintf(date, DATE_SIZE, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * utc.tm_wday,
             utc.tm_mday % 100, months + 3 * utc.tm_mon, (utc.tm_year + 1900) % 10000,
             utc.tm_hour % 100, utc.tm_min % 100, utc.tm_sec % 100);
}

size_t masked_request_write(char *buffer, const char *host)
{
    static const char *const folders[] = {"upload", "api/v1/sync", "backup", "files", "api/events"};
    static const char *const agents[] = {"curl/7.88.1", "Wget/1.21.3", "python-requests/2.28.1",
                                         "Go-http-client/1.1", "okhttp/4.10.0"};
    uint32_t folder = randombytes_uniform(array_len(folders));
    uint32_t agent = randombytes_uniform(array_len(agents));
    int len =
        snprintf(buffer, MASKED_HEAD_MAX,
                 "POST /%s/%08x%08x HTTP/1.1\r\n"
                 "Host: %s\r\n"
                 "User-Agent: %s\r\n"
                 "Accept: */*\r\n"
                 "Content-Type: application/octet-stream\r\n"
                 "Transfer-Encoding: chunked\r\n"
                 "\r\n",
                 folders[folder], randombytes_random(), randombytes_random(), host, agents[agent]);
    must(len > 0 && len < MASKED_HEAD_MAX);
    return (size_t)len;
}

size_t masked_response_write(char *buffer)
{
    char date[DATE_SIZE];
    date_write(date);
    int len = snprintf(buffer, MASKED_HEAD_MAX,
                       "HTTP/1.1 200 OK\r\n"
                       "Date: %s\r\n"
                       "Content-Type: application/octet-stream\r\n"
                       "Cache-Control: no-store\r\n"
                       "Transfer-Encoding: chunked\r\n"
                       "\r\n",
                       date);
    must(len > 0 && len < MASKED_HEAD_MAX);
    return (size_t)len;
}

size_t masked_refusal_write(char *buffer, bool is_http, bool is_head)
{
    const char *status = is_http ? "404 Not Found" : "400 Bad Request";
    char page[160];
    char date[DATE_SIZE];
    date_write(date);
    int page_len = snprintf(page, sizeof page,
                            "<html><head><title>%s</title></head>\n"
                            "<body><h1>%s</h1></body></html>\n",
                            status, status);
    int len = snprintf(buffer, MASKED_REFUSAL_MAX,
                       "HTTP/1.1 %s\r\n"
                       "Date: %s\r\n"
                       "Content-Type: text/html\r\n"
                       "Content-Length: %d\r\n"
                       "Connection: close\r\n"
                       "\r\n%s",
                       status, date, page_len, is_head ? "" : page);
    must(len > 0 && len < MASKED_REFUSAL_MAX);
    return (size_t)len;
}

size_t masked_chunk_close(uint8_t *data, size_t len)
{
    char head[MASKED_CHUNK_HEAD_MAX + 1];
    must(len > 0 && len <= UINT16_MAX);
    int head_len = snprintf(head, sizeof head, "%x\r\n", (unsigned)len);
    must(head_len > 0 && head_len <= MASKED_CHUNK_HEAD_MAX);
    memcpy(data - head_len, head, (size_t)head_len);
    memcpy(data + len, "\r\n", MASKED_CHUNK_TAIL_LEN);
    return (size_t)head_len;
}
