/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siphash.c - A keyed hash of addresses and ports
 *
 * Whoever does not know the key can neither foresee a hash nor choose addresses that
 * have the same one.
 */

#include "siphash.h"

static inline uint64_t rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1]; v[1] = rotl(v[1], 13); v[1] ^= v[0]; v[0] = rotl(v[0], 32);
	v[2] += v[3]; v[3] = rotl(v[3], 16); v[3] ^= v[2];
	v[0] += v[3]; v[3] = rotl(v[3], 21); v[3] ^= v[0];
	v[2] += v[1]; v[1] = rotl(v[1], 17); v[1] ^= v[2]; v[2] = rotl(v[2], 32);
}

/* SipHash-@c-@d over whole words (Aumasson and Bernstein, 2012) */
static inline uint64_t sip(const uint64_t key[2], const uint64_t *words, size_t n,
			   unsigned c, unsigned d)
{
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL,
		key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL,
	};
	uint64_t last = (uint64_t)n * 8 << 56;
	size_t i, r;

	for (i = 0; i <= n; i++) {
		uint64_t m = i < n ? words[i] : last;

		v[3] ^= m;
		for (r = 0; r < c; r++)
			sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (r = 0; r < d; r++)
		sip_round(v);

	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/**
 * siphash() - SipHash-1-3, for tables: nobody sees its results
 * @key:	Key: without it, nobody can foresee the result
 * @words, @n:	Words to hash
 *
 * Return: half of the bits of the hash
 */
uint32_t siphash(const uint64_t key[2], const uint64_t *words, size_t n)
{
	return (uint32_t)sip(key, words, n, 1, 3);
}

/**
 * siphash_strong() - SipHash-2-4, a pseudorandom function whose results others may see
 * @key, @words, @n:	As for siphash()
 *
 * Return: half of the bits of the hash
 */
uint32_t siphash_strong(const uint64_t key[2], const uint64_t *words, size_t n)
{
	return (uint32_t)sip(key, words, n, 2, 4);
}
