/* dht.c - the parts of the dht put together, and the questions other modules ask of its table. */
#include "node/dht/dht.h"

#include <string.h>

#include "node/base/must.h"

int dht_init(struct dht *dht, struct core *core, const struct dht_config *config,
             const struct identity *identity, struct transport *transport)
{
    must(config->k >= 1 && config->k <= DHT_K_MAX);
    must(config->alpha >= 1 && config->alpha <= 8);
    must(config->lookups_max >= 1);
    must(config->check_us <= DHT_SILENT_MAX_S * UINT64_C(1000000));
    must(config->group_bucket_max >= 1 && config->group_table_max >= 1);
    must(config->expiry_s >= 1 && config->expiry_s <= RECORD_EXPIRY_MAX_S);

    *dht =
        (struct dht){.core = core, .config = config, .identity = identity, .transport = transport};
    dht_table_init(&dht->table, core, &identity->id, config->k, config->group_bucket_max,
                   config->group_table_max);
    dht_known_init(&dht->known, core, &identity->id, config->known_max);
    dht_store_init(&dht->store, core, &identity->id, config->records_max);
    int status = dht_lookups_init(dht);
    if (status == ERR_OK) {
        status = dht_delegate_init(dht);
    }
    if (status == ERR_OK) {
        status = dht_holder_init(dht);
    }
    if (status == ERR_OK) {
        status = dht_publish_init(dht);
    }
    if (status == ERR_OK) {
        status = dht_store_load(&dht->store);
    }
    return status == ERR_OK ? dht_known_load(&dht->known) : status;
}

void dht_start(struct dht *dht, const struct dht_start_options *options)
{
    must(options->done != NULL);
    dht_holder_start(dht);
    dht_upkeep_start(dht, options);
}

void dht_stop(struct dht *dht)
{
    dht->is_stopping = true;
    dht_upkeep_stop(dht);
    dht_delegate_stop(dht);
    dht_publish_stop(dht);
    dht_lookups_stop(dht);
    dht_holder_stop(dht);
    dht_table_release(&dht->table);
    dht_known_release(&dht->known);
}

void dht_serve(struct dht *dht, bool is_server)
{
    bool is_news = dht->is_client == is_server;
    dht->is_client = !is_server;
    if (is_news && is_server) {
        dht_join(dht);
    }
}

void dht_delegate_to(struct dht *dht, uint32_t (*choose)(void *arg), void *arg)
{
    dht->delegate.choose = choose;
    dht->delegate.arg = arg;
}

void dht_join(struct dht *dht)
{
    if (!dht->is_stopping) {
        dht_upkeep_join(dht);
    }
}

void dht_on_verified(struct dht *dht, uint32_t peer, uint32_t rtt_us)
{
    /* Contacts are not chosen by distance in time: those that stay longest are worth more. */
    (void)rtt_us;
    if (dht->is_stopping) {
        return;
    }
    enum dht_table_news news = dht_table_verified(&dht->table, peer);
    if (news != DHT_TABLE_KNOWN) {
        dht_known_meet(&dht->known, peer, news == DHT_TABLE_ADDED || news == DHT_TABLE_MOVED);
    }
    switch (news) {
    case DHT_TABLE_ADDED:
        dht_holder_meet(dht, peer);
        break;
    case DHT_TABLE_SPARE:
        dht_upkeep_check_bucket(
            dht, dht_table_bucket_of(&dht->table, &contact_at(dht->core->port, peer)->id));
        break;
    case DHT_TABLE_KNOWN:
    case DHT_TABLE_MOVED:
    case DHT_TABLE_REFUSED:
        break;
    }
}

void dht_on_lost(struct dht *dht, uint32_t peer)
{
    dht_table_lost(&dht->table, peer);
}

void dht_forget(struct dht *dht, const struct node_id *id)
{
    dht_table_forget(&dht->table, id);
    dht_known_forget(&dht->known, id);
}

bool dht_is_wanted(const struct dht *dht, const struct node_id *id, const struct port_addr *addr)
{
    return !dht->is_stopping && dht_table_is_wanted(&dht->table, id, addr);
}

bool dht_is_seeking(const struct dht *dht)
{
    return !dht->is_client || dht->table.count < dht->config->k;
}

uint32_t dht_sample(struct dht *dht, uint32_t *handles, uint32_t max)
{
    uint32_t all[DHT_CONTACTS_MAX];
    uint32_t count = dht_table_all(&dht->table, all, DHT_CONTACTS_MAX);
    uint32_t wanted = max < count ? max : count;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t chosen = i + (uint32_t)rng_below(&dht->core->rng, count - i);
        handles[i] = all[chosen];
        all[chosen] = all[i];
    }
    return wanted;
}

uint32_t dht_nearest(const struct dht *dht, const struct node_id *target, uint32_t *handles,
                     uint32_t max)
{
    uint32_t count = dht_table_nearest(&dht->table, target, handles, max);
    for (uint32_t i = 1; i < count; i++) {
        uint32_t moved = handles[i];
        uint32_t place = i;
        for (; place > 0 && dht_closer(dht->core->port, moved, handles[place - 1], target) < 0;
             place--) {
            handles[place] = handles[place - 1];
        }
        handles[place] = moved;
    }
    return count;
}

uint32_t dht_contact_count(const struct dht *dht)
{
    return dht->table.count;
}

uint32_t dht_find(const struct dht *dht, const struct node_id *id)
{
    return dht_table_find(&dht->table, id);
}

uint32_t dht_contacts(const struct dht *dht, uint32_t *handles, uint32_t max)
{
    return dht_table_all(&dht->table, handles, max);
}

bool dht_holds(const struct dht *dht, const struct node_id *key)
{
    return dht_store_find(&dht->store, key) != NULL;
}

uint32_t dht_record_count(const struct dht *dht)
{
    return dht->store.count;
}

uint32_t dht_lookup_count(const struct dht *dht)
{
    return dht->lookups.pool.count;
}

void dht_seed_contact(struct dht *dht, uint32_t peer)
{
    (void)dht_table_verified(&dht->table, peer);
    if (dht->upkeep.stage == JOIN_CALLING) {
        dht->upkeep.stage = JOIN_DONE; /* There is nothing left to join, whether started or not. */
    }
}

const char *dht_check(const struct dht *dht)
{
    const char *wrong = dht_table_check(&dht->table);
    wrong = wrong != NULL ? wrong : dht_known_check(&dht->known);
    if (wrong == NULL) {
        wrong = dht_lookups_check(dht);
    }
    return wrong == NULL ? dht_store_check(&dht->store) : wrong;
}
