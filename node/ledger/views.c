/* views.c - numbers and rows for whoever shows them, and the invariants. */
#include "node/ledger/ledger.h"

void ledger_view(const struct ledger *ledger, struct ledger_view *view)
{
    *view = (struct ledger_view){.owed_to_us = 0};
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        const struct book_row *row = book_at(&ledger->book, place);
        if (row == NULL) {
            continue;
        }
        view->states[row->said.state]++;
        view->unsettled += !book_is_settled(row);
        if (iou_is_open(row->said.state)) {
            *(row->is_debtor ? &view->owed_by_us : &view->owed_to_us) += row->iou.amount;
        }
    }
    uint32_t place = 0;
    for (const struct trust_row *row; (row = trust_next(&ledger->trust, &place)) != NULL;) {
        view->peers++;
        for (uint32_t i = 0; i < TRUST_EVENT_COUNT; i++) {
            view->events[i] += row->count[i];
        }
    }
}

void ledger_visit(const struct ledger *ledger, ledger_row_fn visit, void *arg)
{
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        const struct book_row *row = book_at(&ledger->book, place);
        if (row == NULL) {
            continue;
        }
        struct ledger_row shown = {.amount = row->iou.amount,
                                   .created_s = row->iou.created_s,
                                   .due_s = row->iou.due_s,
                                   .state = row->said.state,
                                   .is_debtor = row->is_debtor,
                                   .is_settled = book_is_settled(row),
                                   .memo = slice_of(row->iou.memo, row->iou.memo_len)};
        memcpy(shown.id, row->id, IOU_ID_LEN);
        contact_id(&shown.debtor, row->iou.debtor);
        contact_id(&shown.creditor, row->iou.creditor);
        visit(arg, &shown);
    }
}

const uint8_t *ledger_key_of(const struct ledger *ledger, const struct node_id *id)
{
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        const struct book_row *row = book_at(&ledger->book, place);
        struct node_id other;
        if (row != NULL) {
            contact_id(&other, book_counterpart(row));
            if (node_id_equal(&other, id)) {
                return book_counterpart(row);
            }
        }
    }
    return NULL;
}

void ledger_visit_trust(const struct ledger *ledger, ledger_trust_fn visit, void *arg)
{
    uint32_t place = 0;
    for (const struct trust_row *row; (row = trust_next(&ledger->trust, &place)) != NULL;) {
        struct ledger_trust_row shown = {.id = row->id,
                                         .trust_micro = trust_row_micro(&ledger->trust, row)};
        memcpy(shown.count, row->count, sizeof shown.count);
        visit(arg, &shown);
    }
}

const char *ledger_check(const struct ledger *ledger)
{
    uint32_t rows = 0;
    uint32_t sending = 0;
    uint32_t undurable = 0;
    for (uint16_t place = 0; place < book_places(&ledger->book); place++) {
        const struct book_row *row = book_at(&ledger->book, place);
        if (row == NULL) {
            continue;
        }
        uint8_t id[IOU_ID_LEN];
        iou_id(id, &row->iou);
        rows++;
        sending += row->is_sending;
        undurable += row->ticket != 0;
        if (memcmp(id, row->id, IOU_ID_LEN) != 0) {
            return "ledger: an IOU lies under another's id";
        }
        if (row->confirmed > row->said.state + 1 || row->durable > row->said.state + 1) {
            return "ledger: more is known of an IOU than was said";
        }
    }
    if (rows != ledger->book.rows.count || sending != ledger->sends.count ||
        undurable != ledger->book.undurable) {
        return "ledger: the table miscounts";
    }
    return NULL;
}
