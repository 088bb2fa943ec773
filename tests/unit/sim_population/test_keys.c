/* test_keys.c - values that storer and getter know without having met. */
#include <signal.h>

#include <criterion/criterion.h>

#include "sim/population/keys.h"

static struct dist sizes;

static void fill_sizes(void)
{
    struct dist_spec spec = {.kind = DIST_UNIFORM, .min = 50, .max = 2000};
    cr_assert_eq(dist_fill(&sizes, &spec), ERR_OK);
}

Test(keys, id_is_the_hash_of_the_value, .init = fill_sizes)
{
    struct keys keys;
    keys_open(&keys, 100, 7, &sizes);
    for (uint32_t number = 0; number < 100; number++) {
        uint8_t bytes[RECORD_VALUE_MAX];
        struct record record = {.kind = RECORD_IMMUTABLE};
        record.value = slice_of(bytes, keys_value(&keys, number, bytes));
        struct node_id id;
        record_key(&id, &record);
        const struct key *key = keys_at(&keys, number);
        cr_assert(node_id_equal(&key->id, &id));
        cr_assert_eq(key->bytes, record.value.len);
    }
    keys_close(&keys);
}

Test(keys, sizes_follow_their_distribution_and_fit_a_record, .init = fill_sizes)
{
    struct keys keys;
    keys_open(&keys, 2000, 7, &sizes);
    uint32_t full = 0;
    for (uint32_t number = 0; number < 2000; number++) {
        uint16_t bytes = keys_at(&keys, number)->bytes;
        cr_assert(bytes >= 50 && bytes <= RECORD_VALUE_MAX);
        full += bytes == RECORD_VALUE_MAX;
    }
    /* Above 900 of 50..2000 lie 56 %, all cut to 900; four deviations are 4.4 %. */
    cr_assert_float_eq(full / 2000.0, 0.564, 0.045);
    keys_close(&keys);
}

Test(keys, values_differ_by_number_and_by_seed, .init = fill_sizes)
{
    struct keys here;
    struct keys there;
    keys_open(&here, 50, 7, &sizes);
    keys_open(&there, 50, 8, &sizes);
    for (uint32_t a = 0; a < 50; a++) {
        for (uint32_t b = 0; b < 50; b++) {
            const struct node_id *id = &keys_at(&here, a)->id;
            cr_assert(!node_id_equal(id, &keys_at(&there, b)->id));
            cr_assert(a == b || !node_id_equal(id, &keys_at(&here, b)->id));
        }
    }
    keys_close(&here);
    keys_close(&there);
}

Test(keys, a_key_may_be_asked_for_from_the_next_barrier_until_it_expires)
{
    struct key key = {0};
    cr_assert(!keys_is_stored(&key, 1000, 1000, 500));
    keys_acknowledged(&key, 100);
    cr_assert(!keys_is_stored(&key, 100, 150, 500), "others learn of it at a barrier");
    cr_assert(keys_is_stored(&key, 101, 150, 500));
    cr_assert(keys_is_stored(&key, 101, 599, 500));
    cr_assert(!keys_is_stored(&key, 101, 600, 500));
    keys_acknowledged(&key, 400);
    cr_assert(keys_is_stored(&key, 101, 899, 500), "another put lets it live longer");
    cr_assert(!keys_is_stored(&key, 101, 900, 500));
}

Test(keys, filling_stops_where_it_should)
{
    uint8_t bytes[32] = {0};
    keys_fill(bytes, 13, 1, "test", 2);
    for (size_t i = 13; i < sizeof bytes; i++) {
        cr_assert_eq(bytes[i], 0);
    }
    uint8_t longer[32] = {0};
    keys_fill(longer, sizeof longer, 1, "test", 2);
    cr_assert_arr_eq(bytes, longer, 13);
}

Test(keys, a_number_beyond_the_last_is_a_bug, .init = fill_sizes, .signal = SIGABRT)
{
    struct keys keys;
    keys_open(&keys, 3, 7, &sizes);
    (void)keys_at(&keys, 3);
}
