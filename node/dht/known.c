/* known.c - the list of known peers, and its pages on disk. */
#include "node/dht/known.h"

#include "node/base/hash.h"
#include "node/base/must.h"
#include "node/wire/codec.h"

enum {
    STRANGER_ROOM_S = 3600, /* Unseen for longer, a peer makes room for one outside the table. */
    PAGE_KEY_LEN = 10,
    PAGE_HASH_LEN = 16,
    PAGE_HEADER_LEN = PAGE_HASH_LEN + 1,
    PAGE_LEN_MAX = PAGE_HEADER_LEN + DHT_KNOWN_PAGE_PEERS * 4 + MESSAGE_MAX,
};

static const char page_prefix[] = "dht.known";

static uint32_t wall_s(const struct dht_known *known);
static uint32_t tag_of(const struct dht_known *known, uint32_t peer);
static bool has_memory(struct dht_known *known);
static uint32_t find(const struct dht_known *known, uint32_t tag, const struct node_id *id);
static uint32_t find_oldest(struct dht_known *known);
static void see(struct dht_known *known, uint32_t peer, uint32_t seen_s, bool is_placed);
static void put_at(struct dht_known *known, uint32_t place, uint32_t peer, uint32_t seen_s);
static void remove_at(struct dht_known *known, uint32_t place);
static void mark(struct dht_known *known, uint32_t place);
static void page_key(uint8_t key[PAGE_KEY_LEN], uint32_t page);
static bool page_write(struct dht_known *known, uint32_t page);
static bool page_read(struct dht_known *known, struct slice value);
static bool load_page(void *arg, struct slice key, struct slice value);

void dht_known_init(struct dht_known *known, struct core *core, const struct node_id *self,
                    uint16_t max)
{
    must(max <= DHT_KNOWN_MAX);
    *known = (struct dht_known){.core = core, .self = self, .max = max, .oldest_s = UINT32_MAX};
}

int dht_known_load(struct dht_known *known)
{
    struct port *port = known->core->port;
    int status = port->ops->store_scan(port, slice_of(page_prefix, sizeof page_prefix - 1),
                                       load_page, known);
    dht_known_sort(known);
    return status;
}

void dht_known_meet(struct dht_known *known, uint32_t peer, bool is_placed)
{
    see(known, peer, wall_s(known), is_placed);
}

void dht_known_save(struct dht_known *known, const struct dht_table *table)
{
    uint32_t now_s = wall_s(known);
    for (uint32_t i = 0; i < table->count; i++) {
        struct dht_table_row row;
        dht_table_row(table, i, &row);
        uint32_t silent_s = (uint32_t)(row.silent_us / 1000000);
        see(known, row.peer, now_s > silent_s ? now_s - silent_s : 0, true);
    }
    bool has_written = false;
    for (uint32_t page = 0; page < DHT_KNOWN_PAGES_MAX; page++) {
        if ((known->dirty >> page & 1) != 0 && page_write(known, page)) {
            known->dirty &= ~(UINT64_C(1) << page);
            has_written = true;
        }
    }
    uint64_t ticket;
    if (has_written) {
        (void)core_commit(known->core, &ticket);
    }
}

void dht_known_forget(struct dht_known *known, const struct node_id *id)
{
    uint32_t place = find(known, (uint32_t)(node_id_prefix(id) >> 32), id);
    if (place < known->count) {
        remove_at(known, place);
    }
}

void dht_known_sort(struct dht_known *known)
{
    for (uint32_t i = 1; i < known->count; i++) {
        struct dht_known_peer moved = known->peers[i];
        uint32_t place = i;
        for (; place > 0 && known->peers[place - 1].seen_s < moved.seen_s; place--) {
            known->peers[place] = known->peers[place - 1];
            mark(known, place);
        }
        known->peers[place] = moved;
        if (place < i) {
            mark(known, place);
        }
    }
}

void dht_known_release(struct dht_known *known)
{
    struct port *port = known->core->port;
    for (uint32_t i = 0; i < known->count; i++) {
        port->ops->intern_release(port, known->peers[i].peer);
    }
    known->count = 0;
}

const char *dht_known_check(const struct dht_known *known)
{
    const struct port *port = known->core->port;
    for (uint32_t i = 0; i < known->count; i++) {
        const struct node_id *id = &contact_at(port, known->peers[i].peer)->id;
        if (find(known, tag_of(known, known->peers[i].peer), id) != i) {
            return "dht known: two peers have the same id";
        }
        if (node_id_equal(id, known->self)) {
            return "dht known: it holds ourselves";
        }
        if (known->peers[i].seen_s < known->oldest_s) {
            return "dht known: somebody was seen before the oldest";
        }
    }
    return known->count <= known->max ? NULL : "dht known: it holds too many";
}

static uint32_t wall_s(const struct dht_known *known)
{
    return (uint32_t)(known->core->port->wall_us / 1000000);
}

static uint32_t tag_of(const struct dht_known *known, uint32_t peer)
{
    return (uint32_t)(contact_prefix(known->core->port, peer) >> 32);
}

static bool has_memory(struct dht_known *known)
{
    if (known->peers == NULL && known->max > 0) {
        known->peers =
            arena_alloc(&known->core->arena, ARENA_TABLE, known->max * sizeof *known->peers);
    }
    return known->peers != NULL;
}

/* Its place, or count. */
static uint32_t find(const struct dht_known *known, uint32_t tag, const struct node_id *id)
{
    const struct port *port = known->core->port;
    uint32_t place = 0;
    while (place < known->count &&
           (known->peers[place].tag != tag ||
            !node_id_equal(&contact_at(port, known->peers[place].peer)->id, id))) {
        place++;
    }
    return place;
}

/* Who was unseen for longest. */
static uint32_t find_oldest(struct dht_known *known)
{
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < known->count; i++) {
        oldest = known->peers[i].seen_s < known->peers[oldest].seen_s ? i : oldest;
    }
    known->oldest_s = known->peers[oldest].seen_s;
    return oldest;
}

static void see(struct dht_known *known, uint32_t peer, uint32_t seen_s, bool is_placed)
{
    const struct node_id *id = &contact_at(known->core->port, peer)->id;
    if (!has_memory(known) || node_id_equal(id, known->self)) {
        return;
    }
    uint32_t place = find(known, tag_of(known, peer), id);
    if (place < known->count && known->peers[place].seen_s > seen_s) {
        return; /* An older page says where it was before. */
    }
    if (place == known->count && known->count == known->max) {
        /* The oldest is no older than it was, so that most are turned away without looking. */
        uint32_t room_s = is_placed || seen_s < STRANGER_ROOM_S ? seen_s : seen_s - STRANGER_ROOM_S;
        if (known->oldest_s >= room_s) {
            return;
        }
        place = find_oldest(known);
        if (known->oldest_s >= room_s) {
            return;
        }
    }
    bool is_news = place == known->count || known->peers[place].peer != peer ||
                   known->peers[place].seen_s < seen_s;
    if (is_news) {
        put_at(known, place, peer, seen_s);
    }
}

/* In the place of whoever is there, or behind the last. */
static void put_at(struct dht_known *known, uint32_t place, uint32_t peer, uint32_t seen_s)
{
    struct port *port = known->core->port;
    struct dht_known_peer *entry = &known->peers[place];
    bool is_there = place < known->count && entry->peer == peer;
    if (!is_there) {
        port->ops->intern_retain(port, peer);
    }
    if (!is_there && place < known->count) {
        port->ops->intern_release(port, entry->peer);
    }
    known->count = (uint16_t)(known->count + (place == known->count));
    *entry = (struct dht_known_peer){.peer = peer, .tag = tag_of(known, peer), .seen_s = seen_s};
    known->oldest_s = seen_s < known->oldest_s ? seen_s : known->oldest_s;
    mark(known, place);
}

static void remove_at(struct dht_known *known, uint32_t place)
{
    struct port *port = known->core->port;
    port->ops->intern_release(port, known->peers[place].peer);
    mark(known, place);
    mark(known, --known->count);
    known->peers[place] = known->peers[known->count];
}

static void mark(struct dht_known *known, uint32_t place)
{
    known->dirty |= UINT64_C(1) << (place / DHT_KNOWN_PAGE_PEERS);
}

/* --- disk ---------------------------------------------------------------------------------- */

static void page_key(uint8_t key[PAGE_KEY_LEN], uint32_t page)
{
    struct writer writer = writer_of(key, PAGE_KEY_LEN);
    write_bytes(&writer, page_prefix, sizeof page_prefix - 1);
    write_u8(&writer, (uint8_t)page);
    must(!writer.bad && writer.next == writer.end);
}

/* False when the disk refuses; then it is tried again with the next save. */
static bool page_write(struct dht_known *known, uint32_t page)
{
    struct port *port = known->core->port;
    uint8_t key[PAGE_KEY_LEN];
    page_key(key, page);
    uint32_t first = page * DHT_KNOWN_PAGE_PEERS;
    if (first >= known->count) {
        int status = port->ops->store_del(port, slice_of(key, sizeof key));
        return status == ERR_OK || status == ERR_MISSING;
    }
    uint8_t value[PAGE_LEN_MAX];
    struct writer writer = writer_of(value + PAGE_HASH_LEN, sizeof value - PAGE_HASH_LEN);
    struct message message = {.kind = MESSAGE_NODES};
    struct message_contacts *contacts = &message.nodes.contacts;
    uint32_t left = known->count - first;
    contacts->count = left < DHT_KNOWN_PAGE_PEERS ? left : DHT_KNOWN_PAGE_PEERS;
    write_u8(&writer, (uint8_t)contacts->count);
    for (uint32_t i = 0; i < contacts->count; i++) {
        contacts->handles[i] = known->peers[first + i].peer;
        write_u32(&writer, known->peers[first + i].seen_s);
    }
    int len = message_encode(port, &message, writer.next, (size_t)(writer.end - writer.next));
    must(!writer.bad && len > 0);
    size_t text_len = writer_len(&writer) + (size_t)len;
    hash_domain(value, PAGE_HASH_LEN, "meshtwin known", slice_of(value + PAGE_HASH_LEN, text_len),
                slice_of(NULL, 0));
    return port->ops->store_put(port, slice_of(key, sizeof key),
                                slice_of(value, PAGE_HASH_LEN + text_len)) == ERR_OK;
}

static bool load_page(void *arg, struct slice key, struct slice value)
{
    struct dht_known *known = arg;
    struct reader reader = reader_of(key);
    (void)read_bytes(&reader, sizeof page_prefix - 1);
    known->dirty |= UINT64_C(1) << read_u8(&reader) % DHT_KNOWN_PAGES_MAX; /* To be written anew. */
    if (!page_read(known, value)) {
        count(&known->core->counters, COUNT_VALUES_CORRUPT);
    }
    return true;
}

static bool page_read(struct dht_known *known, struct slice value)
{
    struct port *port = known->core->port;
    struct reader reader = reader_of(value);
    const uint8_t *hash = read_bytes(&reader, PAGE_HASH_LEN);
    if (hash == NULL) {
        return false;
    }
    uint8_t expected[PAGE_HASH_LEN];
    hash_domain(expected, sizeof expected, "meshtwin known",
                slice_of(reader.next, reader_left(&reader)), slice_of(NULL, 0));
    uint32_t peers = read_u8(&reader);
    uint32_t seen_s[DHT_KNOWN_PAGE_PEERS];
    if (memcmp(hash, expected, sizeof expected) != 0 || peers > DHT_KNOWN_PAGE_PEERS) {
        return false;
    }
    for (uint32_t i = 0; i < peers; i++) {
        seen_s[i] = read_u32(&reader);
    }
    struct message message;
    if (reader.bad ||
        !message_decode(port, slice_of(reader.next, reader_left(&reader)), &message)) {
        return false;
    }
    bool is_sound = message.kind == MESSAGE_NODES && message.nodes.contacts.count == peers;
    for (uint32_t i = 0; is_sound && i < peers; i++) {
        /* A clock that was ahead shall not make anybody unforgettable. */
        uint32_t now_s = wall_s(known);
        see(known, message.nodes.contacts.handles[i], seen_s[i] < now_s ? seen_s[i] : now_s, true);
    }
    message_release(port, &message);
    return is_sound;
}
