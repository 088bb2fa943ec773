/* crypto_cost.h - what both crypto suites charge: one table, so that a run costs the same under
 * each.
 *
 * Figures: reference/perf-ceilings.md section 3 (libsodium 1.0.18, one core of a 2.x GHz Xeon).
 * Sealing is a line through its 100 and 1,200 bytes; hashing is SHA-256 of 100 bytes; the X25519
 * form of an Ed25519 key costs an agreement, because its subgroup check is one scalar
 * multiplication.
 *
 *      CRYPTO_COSTS -> sodium_suite.cost, modelled_suite.cost -> crypto_calls.h -> port->spent_ns
 */
#ifndef NODE_PORT_CRYPTO_COST_H
#define NODE_PORT_CRYPTO_COST_H

#define CRYPTO_COSTS                                                                               \
    {                                                                                              \
        .sign_keypair_ns = 17678, .sign_ns = 18817, .verify_ns = 49918, .agree_keypair_ns = 39343, \
        .agree_ns = 42475, .seal_ns = 432, .seal_ns_per_kib = 827, .hash_ns = 492                  \
    }

#endif /* NODE_PORT_CRYPTO_COST_H */
