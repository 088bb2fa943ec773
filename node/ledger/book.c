/* book.c - rows of IOUs, their storage, and which one makes room. */
#include "node/ledger/book.h"

#include "node/base/must.h"
#include "node/wire/codec.h"
#include "node/wire/message.h"

enum {
    ROWS_FIRST = 4,
    RETRY_US = 5000000,
    PREFIX_LEN = 2,
    DISK_KEY_LEN = PREFIX_LEN + IOU_ID_LEN,
    DISK_VALUE_MAX = 1 + MESSAGE_MAX, /* What is confirmed, then the statement as a message. */
};

static const uint8_t row_prefix[PREFIX_LEN] = {'l', 'o'};
static const uint8_t horizon_key[PREFIX_LEN] = {'l', 'h'};

struct load {
    struct book *book;
    int status;
};

static void fail(struct book *book);
static bool load_one(void *arg, struct slice key, struct slice value);
static int load_horizon(struct book *book);
static bool make_room(struct book *book);
static void disk_key(uint8_t key[DISK_KEY_LEN], const uint8_t id[IOU_ID_LEN]);
static int stage(struct book *book, const struct book_row *row);
static void remove_row(struct book *book, struct book_row *row);

int book_init(struct book *book, struct core *core, const struct identity *identity,
              uint16_t ious_max)
{
    *book = (struct book){.core = core, .identity = identity};
    if (ious_max == 0 || ious_max > BOOK_IOUS_MAX) {
        return ERR_INVALID;
    }
    int status = pool_init(&book->rows, &core->arena, ARENA_LEDGER, sizeof(struct book_row),
                           ROWS_FIRST, ious_max);
    struct load load = {.book = book, .status = ERR_OK};
    if (status == ERR_OK) {
        status = load_horizon(book);
    }
    if (status == ERR_OK) {
        status = core->port->ops->store_scan(core->port, slice_of(row_prefix, PREFIX_LEN), load_one,
                                             &load);
    }
    return status != ERR_OK ? status : load.status;
}

struct book_row *book_find(const struct book *book, const uint8_t id[IOU_ID_LEN])
{
    for (uint16_t place = 0; place < book_places(book); place++) {
        struct book_row *row = book_at(book, place);
        if (row != NULL && memcmp(row->id, id, IOU_ID_LEN) == 0) {
            return row;
        }
    }
    return NULL;
}

struct book_row *book_at(const struct book *book, uint16_t place)
{
    struct book_row *row = pool_peek(&book->rows, place);
    return row != NULL && row->is_used ? row : NULL;
}

uint16_t book_places(const struct book *book)
{
    return book->rows.made;
}

struct book_row *book_add(struct book *book, const struct iou *iou, const uint8_t id[IOU_ID_LEN])
{
    uint16_t index;
    struct book_row *row = pool_get(&book->rows, &index);
    if (row == NULL && make_room(book)) {
        row = pool_get(&book->rows, &index);
    }
    if (row != NULL) {
        row->index = index;
        row->is_used = true;
        row->iou = *iou;
        row->is_debtor = memcmp(iou->debtor, book->identity->public_key, sizeof iou->debtor) == 0;
        memcpy(row->id, id, IOU_ID_LEN);
    }
    return row;
}

int book_write(struct book *book, struct book_row *row)
{
    uint64_t ticket;
    int status = stage(book, row);
    if (status == ERR_OK) {
        status = core_commit(book->core, &ticket);
    }
    book->undurable -= row->ticket != 0;
    row->ticket = status == ERR_OK ? ticket : 0;
    book->undurable += row->ticket != 0;
    if (status != ERR_OK) {
        fail(book);
    }
    return status == ERR_OK ? ERR_OK : ERR_IO;
}

void book_drop(struct book *book, struct book_row *row)
{
    struct port *port = book->core->port;
    uint8_t key[DISK_KEY_LEN];
    must(row->durable == 0);
    disk_key(key, row->id);
    (void)port->ops->store_del(port, slice_of(key, sizeof key));
    remove_row(book, row);
}

uint32_t book_on_durable(struct book *book, uint64_t ticket, int status)
{
    uint32_t before = book->undurable;
    for (uint16_t place = 0; place < book_places(book) && book->undurable > 0; place++) {
        struct book_row *row = book_at(book, place);
        if (row == NULL || row->ticket == 0 || row->ticket > ticket) {
            continue;
        }
        row->ticket = 0;
        book->undurable--;
        if (status == ERR_OK) {
            row->durable = (uint8_t)(row->said.state + 1);
        } else {
            fail(book);
        }
    }
    return before - book->undurable;
}

void book_retry(struct book *book)
{
    bool has_failed = book->failed > 0 && core_now(book->core) >= book->retry_us;
    book->failed = has_failed ? 0 : book->failed;
    for (uint16_t place = 0; place < book_places(book) && has_failed; place++) {
        struct book_row *row = book_at(book, place);
        if (row != NULL && row->ticket == 0 && !book_is_durable(row)) {
            (void)book_write(book, row);
        }
    }
}

static void fail(struct book *book)
{
    book->failed++;
    book->retry_us = core_now(book->core) + RETRY_US;
}

static bool load_one(void *arg, struct slice key, struct slice value)
{
    struct load *load = arg;
    struct book *book = load->book;
    struct port *port = book->core->port;
    struct message message;
    if (key.len != DISK_KEY_LEN || value.len < 1 ||
        !message_decode(port, slice_of(value.data + 1, value.len - 1), &message)) {
        count(&book->core->counters, COUNT_MALFORMED);
        return true;
    }
    if (message.kind != MESSAGE_STATEMENT) {
        message_release(port, &message);
        return true;
    }
    uint16_t index;
    struct book_row *row = pool_get(&book->rows, &index);
    if (row == NULL) {
        load->status = ERR_FULL; /* To go on without would be to forget who owes what. */
        return false;
    }
    row->index = index;
    row->is_used = true;
    row->confirmed = value.data[0];
    row->iou = message.statement.iou;
    row->said = message.statement.said;
    row->durable = (uint8_t)(row->said.state + 1);
    row->is_debtor =
        memcmp(row->iou.debtor, book->identity->public_key, sizeof row->iou.debtor) == 0;
    memcpy(row->id, key.data + PREFIX_LEN, IOU_ID_LEN);
    return true;
}

static int load_horizon(struct book *book)
{
    struct port *port = book->core->port;
    uint8_t value[4];
    size_t len = 0;
    int status =
        port->ops->store_get(port, slice_of(horizon_key, PREFIX_LEN), value, sizeof value, &len);
    if (status == ERR_OK && len == sizeof value) {
        struct reader reader = reader_of(slice_of(value, len));
        book->horizon_s = read_u32(&reader);
    }
    return status == ERR_MISSING ? ERR_OK : status;
}

/* The closed and settled IOU that was made first goes, and the horizon rises to it. */
static bool make_room(struct book *book)
{
    struct port *port = book->core->port;
    struct book_row *oldest = NULL;
    for (uint16_t place = 0; place < book_places(book); place++) {
        struct book_row *row = book_at(book, place);
        bool may_go = row != NULL && iou_is_closed(row->said.state) && book_is_settled(row) &&
                      book_is_durable(row) && row->ticket == 0 && !row->is_sending;
        if (may_go && (oldest == NULL || row->iou.created_s < oldest->iou.created_s)) {
            oldest = row;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    if (oldest->iou.created_s > book->horizon_s) {
        uint8_t value[4];
        struct writer writer = writer_of(value, sizeof value);
        write_u32(&writer, oldest->iou.created_s);
        if (port->ops->store_put(port, slice_of(horizon_key, PREFIX_LEN),
                                 slice_of(value, sizeof value)) != ERR_OK) {
            return false;
        }
        book->horizon_s = oldest->iou.created_s;
    }
    uint8_t key[DISK_KEY_LEN];
    disk_key(key, oldest->id);
    (void)port->ops->store_del(port, slice_of(key, sizeof key));
    remove_row(book, oldest);
    return true;
}

static void disk_key(uint8_t key[DISK_KEY_LEN], const uint8_t id[IOU_ID_LEN])
{
    memcpy(key, row_prefix, PREFIX_LEN);
    memcpy(key + PREFIX_LEN, id, IOU_ID_LEN);
}

static int stage(struct book *book, const struct book_row *row)
{
    struct port *port = book->core->port;
    struct message message = {.kind = MESSAGE_STATEMENT,
                              .statement = {.iou = row->iou, .said = row->said}};
    uint8_t key[DISK_KEY_LEN];
    uint8_t value[DISK_VALUE_MAX];
    disk_key(key, row->id);
    value[0] = row->confirmed;
    int len = message_encode(port, &message, value + 1, sizeof value - 1);
    must(len > 0);
    return port->ops->store_put(port, slice_of(key, sizeof key), slice_of(value, 1 + (size_t)len));
}

static void remove_row(struct book *book, struct book_row *row)
{
    uint16_t index = row->index;
    book->undurable -= row->ticket != 0;
    row->is_used = false;
    pool_put(&book->rows, index);
}
