/* host_work.c - the simulated processor's errands, and entropy from the host's own stream. */
#include <stdlib.h>
#include <string.h>

#include "node/base/must.h"
#include "sim/host/world.h"

void host_entropy(struct port *port, void *buffer, size_t len)
{
    struct rng *rng = &host_of(port)->entropy;
    uint8_t *out = buffer;
    while (len > 0) {
        uint64_t word = rng_next(rng);
        size_t part = len < sizeof word ? len : sizeof word;
        for (size_t i = 0; i < part; i++) {
            out[i] = (uint8_t)(word >> (8 * i));
        }
        out += part;
        len -= part;
    }
}

int host_work(struct port *port, struct port_work *work)
{
    struct host *host = host_of(port);
    work->run(work);
    port->spent_ns += work->cost_us * 1000;
    uint32_t index =
        errand_get(host->shard, &(struct errand){.work = work, .incarnation = host->incarnation});
    host_post(host, port->now_us + work->cost_us, HOST_EVENT_WORK, index);
    return ERR_OK;
}

uint32_t errand_get(struct shard *shard, const struct errand *errand)
{
    uint32_t index;
    if (shard->errand_free != 0) {
        index = shard->errand_free - 1;
        shard->errand_free = shard->errands[index].next_free;
    } else {
        if (shard->errand_count == shard->errand_cap) {
            shard->errand_cap = shard->errand_cap == 0 ? 64 : shard->errand_cap * 2;
            shard->errands = realloc(shard->errands, shard->errand_cap * sizeof(struct errand));
            must(shard->errands != NULL);
        }
        index = shard->errand_count++;
    }
    must(index < 1u << EVENT_INDEX_BITS);
    shard->errands[index] = *errand;
    return index;
}

void errand_put(struct shard *shard, uint32_t index)
{
    shard->errands[index].next_free = shard->errand_free;
    shard->errand_free = index + 1;
}
