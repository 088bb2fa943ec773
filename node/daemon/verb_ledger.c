/* verb_ledger.c - the verbs about IOUs: who owes whom, and what becomes of it. */
#include <stdlib.h>
#include <string.h>

#include "node/cli/quantity.h"
#include "node/daemon/verb_rows.h"

static const char *const state_names[] = {
#define STATE_NAME(name, text) text,
    IOU_STATES(STATE_NAME)
#undef STATE_NAME
};

/* --- looking --------------------------------------------------------------------------------- */

static void list_row(void *arg, const struct ledger_row *iou)
{
    cJSON *row = cJSON_CreateObject();
    verb_add_hex(row, "iou", iou->id, sizeof iou->id);
    verb_add_text(row, "state", state_names[iou->state]);
    verb_add_bool(row, "is_debtor", iou->is_debtor);
    verb_add_id(row, "peer", iou->is_debtor ? &iou->creditor : &iou->debtor);
    verb_add_text(row, "way", iou->is_debtor ? "we owe" : "owes us");
    verb_add_count(row, "amount", iou->amount);
    verb_add_count(row, "created_s", iou->created_s);
    verb_add_count(row, "due_s", iou->due_s);
    verb_add_bool(row, "is_settled", iou->is_settled);
    verb_add_value(verb_add_object(row, "memo"), iou->memo, true);
    verb_add_row(arg, row);
}

void verb_ledger_start(struct verb_call *call)
{
    const struct node *node = service_node(call->context.service);
    if (node == NULL || !ledger_is_on(&node->ledger)) {
        verb_fail(call, VERB_FAILED, "ledger: this node keeps none");
        return;
    }
    struct ledger_view view;
    ledger_view(&node->ledger, &view);
    cJSON *data = verb_data(call);
    verb_add_count(data, "owed_to_us", view.owed_to_us);
    verb_add_count(data, "owed_by_us", view.owed_by_us);
    verb_add_count(data, "unsettled", view.unsettled);
    cJSON *states = verb_add_object(data, "states");
    for (size_t i = 0; i < IOU_STATE_COUNT; i++) {
        verb_add_count(states, state_names[i], view.states[i]);
    }
    ledger_visit(&node->ledger, list_row, verb_add_array(data, "ious"));
    verb_end(call, data);
}

void verb_ledger_print(const cJSON *data, struct text *out)
{
    static const struct verb_column columns[] = {
        {"iou", "iou", VERB_AS_ID},
        {"way", "way", VERB_AS_TEXT},
        {"peer", "peer", VERB_AS_ID},
        {"amount", "amount", VERB_AS_COUNT},
        {"due", "due_s", VERB_AS_UNIX_S},
        {"state", "state", VERB_AS_TEXT},
        {"both know", "is_settled", VERB_AS_YES},
    };
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(data, "ious");
    verb_say(data, out, "owed to us ", "owed_to_us", VERB_AS_COUNT, ", ");
    verb_say(data, out, "owed by us ", "owed_by_us", VERB_AS_COUNT, "");
    if (list->child != NULL) {
        text_add(out, "\n");
        verb_print_rows(out, list, columns, sizeof columns / sizeof columns[0]);
    }
}

/* --- promising ------------------------------------------------------------------------------- */

static bool take_amount(struct verb_call *call, size_t index, uint64_t *amount)
{
    const char *word = call->words[index];
    size_t len = strspn(word, "0123456789");
    *amount = strtoull(word, NULL, 10);
    if (len == 0 || len > 16 || word[len] != '\0' || *amount == 0 || *amount > IOU_AMOUNT_MAX) {
        verb_fail(call, VERB_USAGE, "\"%.24s\" is no amount: a whole number from 1 to %llu", word,
                  (unsigned long long)IOU_AMOUNT_MAX);
        return false;
    }
    return true;
}

static bool take_due(struct verb_call *call, size_t index, uint32_t *due_s)
{
    uint64_t due_us;
    if (quantity_parse(QUANTITY_DURATION, call->words[index], &due_us) != QUANTITY_OK ||
        due_us / 1000000 > UINT32_MAX) {
        verb_fail(call, VERB_USAGE, "\"%.24s\" is no time from now with its unit, such as 7d",
                  call->words[index]);
        return false;
    }
    *due_s = (uint32_t)(due_us / 1000000);
    return true;
}

void verb_owe_start(struct verb_call *call)
{
    struct node_command command = {.kind = NODE_IOU_OWE};
    uint8_t memo[IOU_MEMO_MAX];
    size_t len = 0;
    if (!verb_take_id(call, 0, &command.id) || !take_amount(call, 1, &command.amount) ||
        !take_due(call, 2, &command.due_s) ||
        (call->word_count > 3 && !verb_take_bytes(call, 3, memo, sizeof memo, &len))) {
        return;
    }
    command.bytes = slice_of(memo, len);
    verb_submit(call, &command);
}

static void finish(struct verb_call *call, const struct port_event *event)
{
    cJSON *data = verb_data(call);
    if (event->about.len > 0) {
        verb_add_hex(data, "iou", event->about.data, event->about.len);
    }
    verb_end_event(call, event, data);
}

void verb_owe_finish(struct verb_call *call, const struct port_event *event)
{
    finish(call, event);
}

void verb_owe_print(const cJSON *data, struct text *out)
{
    verb_say(data, out, "promised as ", "iou", VERB_AS_TEXT, "; see `ledger` for the answer");
}

/* --- answering ------------------------------------------------------------------------------- */

struct iou_search {
    struct id_prefix prefix;
    uint8_t iou[IOU_ID_LEN];
    size_t count;
};

static void consider(void *arg, const struct ledger_row *row)
{
    struct iou_search *search = arg;
    struct node_id padded = {{0}}; /* An IOU's id is shorter than a node's, and written alike. */
    memcpy(padded.bytes, row->id, IOU_ID_LEN);
    if (search->prefix.digits <= (size_t)2 * IOU_ID_LEN &&
        id_prefix_matches(&search->prefix, &padded)) {
        memcpy(search->iou, row->id, IOU_ID_LEN);
        search->count++;
    }
}

static void answer(struct verb_call *call, enum node_command_kind kind)
{
    const struct node *node = service_node(call->context.service);
    struct node_command command = {.kind = kind};
    struct iou_search search = {0};
    if (node == NULL || !id_prefix_parse(call->words[0], &search.prefix)) {
        verb_fail(call, VERB_USAGE, "\"%.48s\" is no IOU: wanted are digits that `ledger` shows",
                  call->words[0]);
        return;
    }
    ledger_visit(&node->ledger, consider, &search);
    if (search.count != 1) {
        verb_fail(call, search.count == 0 ? VERB_FAILED : VERB_USAGE, "%s: %s %.48s; see `ledger`",
                  call->verb->name, search.count == 0 ? "no IOU begins with" : "several begin with",
                  call->words[0]);
        return;
    }
    memcpy(command.iou, search.iou, sizeof command.iou);
    verb_submit(call, &command);
}

static void print_answer(const cJSON *data, struct text *out, const char *what)
{
    verb_say(data, out, "", "iou", VERB_AS_ID, " is ");
    text_add(out, "%s", what);
}

#define ANSWER_VERB(name, kind, what)                                                              \
    void verb_##name##_start(struct verb_call *call)                                               \
    {                                                                                              \
        answer(call, kind);                                                                        \
    }                                                                                              \
    void verb_##name##_finish(struct verb_call *call, const struct port_event *event)              \
    {                                                                                              \
        finish(call, event);                                                                       \
    }                                                                                              \
    void verb_##name##_print(const cJSON *data, struct text *out)                                  \
    {                                                                                              \
        print_answer(data, out, what);                                                             \
    }

ANSWER_VERB(accept, NODE_IOU_ACCEPT, "accepted")
ANSWER_VERB(reject, NODE_IOU_REJECT, "rejected")
ANSWER_VERB(redeem, NODE_IOU_REDEEM, "redeemed: it has been paid")
ANSWER_VERB(default, NODE_IOU_DEFAULT, "in default: it was not paid when due")
