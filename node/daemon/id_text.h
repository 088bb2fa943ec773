/* id_text.h - ids and bytes as people write them: hexadecimal digits, or the first few of them.
 *
 *      "3fa2" -> id_prefix_parse -> prefix -> id_prefix_matches(each id that is known)
 */
#ifndef NODE_DAEMON_ID_TEXT_H
#define NODE_DAEMON_ID_TEXT_H

#include "node/wire/contact.h"

#define ID_TEXT_SIZE (2 * NODE_ID_LEN + 1)

void id_format(const struct node_id *id, char text[ID_TEXT_SIZE]);

struct id_prefix {
    struct node_id id; /* Zero behind the digits that were given. */
    size_t digits;     /* 2 * NODE_ID_LEN: a whole id. */
};
/* False for anything but 1 to 40 hexadecimal digits. */
bool id_prefix_parse(const char *text, struct id_prefix *prefix);
bool id_prefix_matches(const struct id_prefix *prefix, const struct node_id *id);

/* An even number of digits, at most cap bytes; false for anything else. */
bool hex_parse(const char *text, uint8_t *bytes, size_t cap, size_t *len);
/* text: 2 * len + 1 bytes. */
void hex_format(const uint8_t *bytes, size_t len, char *text);

/* Whether bytes can be shown as they are: UTF-8 (RFC 3629) without control characters but tab and
 * newline. */
bool text_is_printable(const uint8_t *bytes, size_t len);

#endif /* NODE_DAEMON_ID_TEXT_H */
