/* digest.h - the 64-bit chains that tell whether two runs were the same run.
 *
 * Every owner (node, NAT box, link end) has one chain that swallows each of its events; the run's
 * digest combines the chains in id order, so it does not depend on how owners were spread over
 * threads. Built for speed and for telling apart what differs by accident; it resists no attacker.
 *
 *      event, bytes -> digest_step -> chain of the owner -> digest_combine -> the run's digest
 *
 * Each 16 bytes cost one 64 x 64 -> 128-bit multiplication whose halves are folded together; inputs
 * over 64 bytes run on four lanes. Bytes are read as little-endian words, so every machine agrees.
 * The constants are the first 64 bits of the fractional parts of the square roots of the first
 * eight primes (FIPS 180-4, section 5.3.5).
 */
#ifndef SIM_ENGINE_DIGEST_H
#define SIM_ENGINE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* The chain of an owner that has not seen an event yet. */
#define DIGEST_START UINT64_C(0x6a09e667f3bcc908)

/* The chain after one more event; `bytes` may be NULL when len is 0. */
uint64_t digest_step(uint64_t chain, uint64_t time_us, uint32_t source, uint32_t sequence,
                     uint32_t kind, const void *bytes, size_t len);

/* One number for all chains, sensitive to their order and count. */
uint64_t digest_combine(const uint64_t *chains, size_t count);

#endif /* SIM_ENGINE_DIGEST_H */
