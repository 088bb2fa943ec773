/* test_judge.c - verdicts: what real nodes do right is right, and what is wrong is found out.
 *
 * The false ends are told to the judge as a node would tell them, while the operation is under way.
 */
#include <signal.h>

#include <criterion/criterion.h>

#include "tests/support/small_world.h"

enum { NODES = 60 };

static struct small_world *small;
static uint32_t asker = 7;

static void open_small(void)
{
    small = small_world_open(NODES, 1);
}

static void close_small(void)
{
    small_world_close(small);
}

/* Begins one operation of the first work now, on the asker. */
static struct operation *begin(void)
{
    operation_begin(small->population, world_host(small->world, asker), 0);
    uint32_t number = small->population->members[asker].operation;
    cr_assert_neq(number, 0, "the operation is under way");
    return operation_at(&small->population->operations, number);
}

static uint32_t number_of(const struct operation *operation)
{
    return (uint32_t)(operation - small->population->operations.slots) + 1;
}

/* The asker's node says that this is how it ended. */
static const struct operation_end *tell(struct port_event event)
{
    uint32_t before = small->end_count;
    judge_delivered(small->population, world_host(small->world, asker), &event);
    cr_assert_eq(small->end_count, before + 1);
    return &small->ends[before];
}

static void vanish(uint32_t node)
{
    struct member *member = &small->population->members[node];
    member->end_us = world_now_us(small->world) + 1;
    host_script(world_host(small->world, node), member->end_us, 1);
    /* What is scripted happens at the next whole millisecond. */
    cr_assert(world_run_until(small->world, member->end_us + 1000, 0, NULL));
    cr_assert(!host_is_up(world_host(small->world, node)));
}

/* A churn that does not bring anybody back: only for vanish. */
static void allow_vanishing(void)
{
    static const struct churn_stay stays[] = {{0, CHURN_FOREVER}};
    static const uint32_t first[] = {0, 1};
    static struct churn_trace trace = {.stays = stays, .first = first, .node_count = 1};
    static struct churn_model model;
    churn_model_trace(&model, &trace);
    small->group.churn = &model;
}

static void intern_self(struct node *node, void *arg)
{
    uint32_t *handle = arg;
    *handle = contact_intern(node->core.port, node->identity.public_key, &node->core.port->local);
}

static uint32_t handle_of(uint32_t node)
{
    uint32_t handle;
    host_enter(world_host(small->world, node), intern_self, &handle);
    return handle;
}

/* A lookup under way, and the handles of what it ought to find. */
static struct operation *begin_lookup(uint32_t handles[OPERATION_NODES_MAX])
{
    small_world_work(small, OPERATION_LOOKUP, 1)->from_us = POPULATION_NEVER / 2;
    small_world_start(small);
    struct operation *operation = begin();
    cr_assert_eq(operation->node_count, 20);
    for (uint32_t i = 0; i < operation->node_count; i++) {
        handles[i] = handle_of(operation->nodes[i]);
    }
    return operation;
}

static struct port_event found(const struct operation *operation, const uint32_t *handles,
                               uint32_t count)
{
    return (struct port_event){.kind = NODE_LOOKUP_DONE,
                               .command = number_of(operation),
                               .took_us = 1234,
                               .count = {9, 2, count},
                               .bytes = slice_of(handles, count * sizeof *handles)};
}

TestSuite(judge, .init = open_small, .fini = close_small);

Test(judge, a_quiet_network_gets_everything_right)
{
    small_world_work(small, OPERATION_LOOKUP, 2);
    small_world_work(small, OPERATION_STORE, 2)->key_count = 10;
    small_world_work(small, OPERATION_GET, 2)->key_count = 10;
    small_world_work(small, OPERATION_MESSAGE, 2);
    small_world_work(small, OPERATION_BROADCAST, 0.1);
    small->options.key_count = 10;
    small_world_start(small);
    small_world_run(small, 200 * SMALL_SECOND);
    for (int kind = OPERATION_LOOKUP; kind <= OPERATION_BROADCAST; kind++) {
        struct small_tally tally = small_world_tally(small, kind);
        cr_assert_geq(tally.all, kind == OPERATION_BROADCAST ? 5 : 250, "kind %d: %u", kind,
                      tally.all);
        cr_assert_eq(tally.ok, tally.all, "kind %d", kind);
        cr_assert_eq(tally.failed + tally.inexact + tally.lost, 0, "kind %d", kind);
    }
    struct small_tally lookups = small_world_tally(small, OPERATION_LOOKUP);
    cr_assert_eq(lookups.exact, lookups.all);
    cr_assert_eq(small->troubles, 0);
}

Test(judge, an_end_carries_the_numbers_of_its_operation)
{
    small_world_work(small, OPERATION_LOOKUP, 2);
    small_world_work(small, OPERATION_STORE, 2);
    small_world_work(small, OPERATION_MESSAGE, 2);
    small_world_work(small, OPERATION_BROADCAST, 0.2);
    small_world_start(small);
    small_world_run(small, 100 * SMALL_SECOND);
    for (uint32_t i = 0; i < small->end_count; i++) {
        const struct operation_end *end = &small->ends[i];
        switch (end->kind) {
        case OPERATION_LOOKUP: /* A round trip is 40 ms. */
            cr_assert(end->took_us >= 40000 && end->hops >= 1 && end->messages >= 1);
            break;
        case OPERATION_STORE:
            cr_assert(end->holders >= 3 && end->bytes == 100);
            break;
        case OPERATION_MESSAGE: /* Delivered one way after a lookup. */
            cr_assert(end->took_us >= 20000 && end->bytes == 100);
            break;
        default:
            cr_assert(end->t50_us >= 20000 && end->t99_us >= end->t50_us);
            cr_assert(end->reach_ratio == 1 && end->duplicate_ratio > 0);
            break;
        }
    }
}

Test(judge, a_lookup_that_misses_the_nearest_has_failed)
{
    uint32_t handles[OPERATION_NODES_MAX];
    struct operation *operation = begin_lookup(handles);
    const struct operation_end *end = tell(found(operation, handles + 1, 19));
    cr_assert(end->is_judged && !end->is_ok && end->is_exact_judged && !end->is_exact);
    cr_assert_eq(end->took_us, 1234);
}

Test(judge, a_lookup_that_misses_another_is_right_but_not_exact)
{
    uint32_t handles[OPERATION_NODES_MAX];
    struct operation *operation = begin_lookup(handles);
    const struct operation_end *end = tell(found(operation, handles, 19));
    cr_assert(end->is_judged && end->is_ok && end->is_exact_judged && !end->is_exact);
}

Test(judge, a_lookup_in_the_wrong_order_is_not_exact)
{
    uint32_t handles[OPERATION_NODES_MAX];
    struct operation *operation = begin_lookup(handles);
    uint32_t last = handles[19];
    handles[19] = handles[18];
    handles[18] = last;
    const struct operation_end *end = tell(found(operation, handles, 20));
    cr_assert(end->is_ok && end->is_exact_judged && !end->is_exact);
}

Test(judge, a_lookup_that_finds_all_twenty_is_exact)
{
    uint32_t handles[OPERATION_NODES_MAX];
    struct operation *operation = begin_lookup(handles);
    const struct operation_end *end = tell(found(operation, handles, 20));
    cr_assert(end->is_judged && end->is_ok && end->is_exact_judged && end->is_exact);
}

Test(judge, who_leaves_during_a_lookup_need_not_be_found)
{
    allow_vanishing();
    uint32_t handles[OPERATION_NODES_MAX];
    struct operation *operation = begin_lookup(handles);
    uint32_t nearest = operation->nodes[0];
    vanish(nearest);
    const struct operation_end *end = tell(found(operation, handles + 1, 19));
    cr_assert(end->is_judged && end->is_ok, "the second nearest stayed and was found");
    cr_assert(!end->is_exact_judged, "who is nearest has changed meanwhile");
}

Test(judge, a_lookup_that_finds_nobody_has_failed)
{
    uint32_t handles[OPERATION_NODES_MAX];
    struct operation *operation = begin_lookup(handles);
    struct port_event event = found(operation, NULL, 0);
    event.status = ERR_UNREACHABLE;
    const struct operation_end *end = tell(event);
    cr_assert(end->is_judged && !end->is_ok && !end->is_exact);
}

Test(judge, an_operation_of_who_leaves_is_nobodys_failure)
{
    allow_vanishing();
    uint32_t handles[OPERATION_NODES_MAX];
    (void)begin_lookup(handles);
    vanish(asker);
    small_world_run(small, 20 * SMALL_SECOND);
    cr_assert_eq(small->end_count, 0);
    cr_assert_eq(small->population->members[asker].operation, 0);
}

Test(judge, a_command_the_node_refuses_is_a_failure)
{
    small->config.dht.lookups_max = 1;
    small_world_work(small, OPERATION_LOOKUP, 1)->from_us = POPULATION_NEVER / 2;
    small_world_start(small);
    (void)begin();
    (void)begin();
    cr_assert_eq(small->end_count, 1);
    cr_assert(small->ends[0].is_judged && !small->ends[0].is_ok);
}

/* A get under way for a key that has been stored by then. */
static struct operation *begin_get(void)
{
    small_world_work(small, OPERATION_GET, 1)->key_count = 1;
    small->works[0].from_us = POPULATION_NEVER / 2;
    small_world_work(small, OPERATION_STORE, 1)->key_count = 1;
    small->works[1].until_us = 5 * SMALL_SECOND;
    small->options.key_count = 1;
    small_world_start(small);
    small_world_run(small, 10 * SMALL_SECOND);
    cr_assert_gt(small_world_tally(small, OPERATION_STORE).ok, 0);
    /* Who holds it would answer itself at once. */
    const struct node_id *key = &keys_at(&small->population->keys, 0)->id;
    while (population_holds(small->population, asker, key)) {
        asker++;
    }
    struct operation *operation = begin();
    cr_assert_geq(operation->node_count, 3, "living holders are known");
    return operation;
}

static struct port_event got(const struct operation *operation, int status, struct slice value)
{
    return (struct port_event){.kind = NODE_GET_DONE,
                               .status = (int16_t)status,
                               .command = number_of(operation),
                               .bytes = value};
}

Test(judge, a_get_with_the_right_bytes_is_right)
{
    struct operation *operation = begin_get();
    uint8_t value[RECORD_VALUE_MAX];
    size_t len = keys_value(&small->population->keys, 0, value);
    const struct operation_end *end = tell(got(operation, ERR_OK, slice_of(value, len)));
    cr_assert(end->is_judged && end->is_ok && !end->is_lost);
}

Test(judge, a_get_with_other_bytes_is_wrong)
{
    struct operation *operation = begin_get();
    uint8_t value[RECORD_VALUE_MAX];
    size_t len = keys_value(&small->population->keys, 0, value);
    value[len - 1] ^= 1;
    const struct operation_end *end = tell(got(operation, ERR_OK, slice_of(value, len)));
    cr_assert(end->is_judged && !end->is_ok);
}

Test(judge, a_get_that_finds_nothing_though_holders_stay_has_failed)
{
    struct operation *operation = begin_get();
    const struct operation_end *end = tell(got(operation, ERR_MISSING, slice_of(NULL, 0)));
    cr_assert(end->is_judged && !end->is_ok && !end->is_lost);
}

Test(judge, a_get_whose_holders_left_meanwhile_is_not_judged)
{
    allow_vanishing();
    struct operation *operation = begin_get();
    uint32_t number = number_of(operation);
    uint32_t holders[OPERATION_NODES_MAX];
    uint32_t count = operation->node_count;
    memcpy(holders, operation->nodes, sizeof holders);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_neq(holders[i], asker);
        vanish(holders[i]);
    }
    operation = operation_at(&small->population->operations, number);
    cr_assert_not_null(operation);
    const struct operation_end *end = tell(got(operation, ERR_MISSING, slice_of(NULL, 0)));
    cr_assert(!end->is_judged && !end->is_ok && !end->is_lost);
}

Test(judge, a_get_that_nobody_could_answer_is_lost_and_not_judged)
{
    struct operation *operation = begin_get();
    operation->node_count = 0; /* As if no living node had held it at the start. */
    const struct operation_end *end = tell(got(operation, ERR_MISSING, slice_of(NULL, 0)));
    cr_assert(!end->is_judged && end->is_lost);
}

Test(judge, getters_wait_for_the_first_acknowledged_put)
{
    small_world_work(small, OPERATION_GET, 5)->key_count = 3;
    small_world_work(small, OPERATION_STORE, 5)->key_count = 3;
    small->works[1].from_us = 20 * SMALL_SECOND;
    small->options.key_count = 3;
    small_world_start(small);
    small_world_run(small, 20 * SMALL_SECOND);
    cr_assert_eq(small->end_count, 0);
    small_world_run(small, 40 * SMALL_SECOND);
    struct small_tally gets = small_world_tally(small, OPERATION_GET);
    cr_assert(gets.all > 50 && gets.ok == gets.all);
}

/* A message under way; what its payload was is seen at the receiver. */
static struct operation *begin_message(void)
{
    small_world_work(small, OPERATION_MESSAGE, 1)->from_us = POPULATION_NEVER / 2;
    small_world_start(small);
    return begin();
}

Test(judge, a_message_is_right_when_it_arrives_not_when_its_sender_says_so)
{
    struct operation *operation = begin_message();
    struct port_event event = {
        .kind = NODE_SENT, .status = ERR_OK, .command = number_of(operation)};
    const struct operation_end *end = tell(event);
    cr_assert(end->is_judged && !end->is_ok, "nothing has arrived yet");
}

Test(judge, a_message_whose_receiver_left_is_not_judged)
{
    allow_vanishing();
    struct operation *operation = begin_message();
    uint32_t number = number_of(operation);
    vanish(operation->receiver);
    struct port_event event = {.kind = NODE_SENT, .status = ERR_TIMEOUT, .command = number};
    cr_assert(!tell(event)->is_judged);
}

Test(judge, a_payload_that_names_no_open_operation_is_ignored)
{
    struct operation *operation = begin_message();
    struct operations *operations = &small->population->operations;
    uint8_t tag[OPERATION_TAG_LEN] = {0, 0, 0, 1, 0, 0, 0, 1};
    cr_assert_eq(operation_of(operations, slice_of(tag, sizeof tag)), operation);
    tag[7] = 2; /* Another serial. */
    cr_assert_null(operation_of(operations, slice_of(tag, sizeof tag)));
    tag[7] = 1;
    tag[3] = 200; /* No such slot. */
    cr_assert_null(operation_of(operations, slice_of(tag, sizeof tag)));
    cr_assert_null(operation_of(operations, slice_of(tag, 7)));
}

Test(judge, a_broadcast_is_judged_by_those_who_stayed)
{
    allow_vanishing();
    small_world_work(small, OPERATION_BROADCAST, 1)->from_us = POPULATION_NEVER / 2;
    small_world_start(small);
    struct operation *operation = begin();
    uint32_t gone = 30;
    small_world_run(small, 30 * SMALL_SECOND);
    operation = operation_at(&small->population->operations, number_of(operation));
    cr_assert_neq(operation->arrived_us[31], 0);
    operation->arrived_us[31] = 0; /* As if one had never got it. */
    operation->arrived_us[gone] = 0;
    vanish(gone);
    small_world_run(small, 62 * SMALL_SECOND);
    cr_assert_eq(small->end_count, 1);
    const struct operation_end *end = &small->ends[0];
    cr_assert(end->is_judged && !end->is_ok);
    /* Of 60, the sender and who left do not count. */
    cr_assert_float_eq(end->reach_ratio, 57.0 / 58, 1e-9);
    cr_assert_gt(end->t50_us, 0);
    cr_assert_eq(end->t99_us, 0, "99 %% of 58 is all of them");
}
