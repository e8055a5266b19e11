/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hash is that of its authors, and initial sequence numbers by it are as they should be */

#include "siphash.h"

#include <stdbool.h>

#include "tap.h"
#include "tcp_state.h"

static const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

/* Results of the authors' table: the key and the message are 00 01 02 ... */
static void vectors(void)
{
	const uint64_t words[] = { 0x0706050403020100 };

	ok(siphash_strong(key, words, 0) == 0xdd0e0e31,
	   "SipHash-2-4 of nothing is that of the authors");
	ok(siphash_strong(key, words, 1) == 0x9a932462,
	   "SipHash-2-4 of 8 bytes is that of the authors");
	ok(siphash(key, words, 1) != siphash_strong(key, words, 1),
	   "the hash for tables is another one");
}

/* Number for a four-tuple, as tcp_start.c has it; @n: ports */
static uint32_t number(const uint64_t k[2], uint64_t n, uint64_t now_ms)
{
	const uint64_t words[5] = { 1, 2, 3, 4, n };

	return tcps_initial_seq(siphash_strong(k, words, 5), now_ms);
}

static unsigned differing_bits(uint32_t a, uint32_t b)
{
	return (unsigned)__builtin_popcount(a ^ b);
}

/* RFC 6528, 3 */
static void sequence_numbers(void)
{
	const uint64_t other[2] = { key[0], key[1] ^ 1 };
	unsigned by_tuple = 0, by_key = 0, n;
	uint64_t now = 12345678;
	bool above = true;

	for (n = 0; n < 1000; n++, now += n) {
		above = above && (int32_t)(number(key, 7, now + n + 1) -
					   number(key, 7, now)) > 0;
		by_tuple += differing_bits(number(key, n, now),
					   number(key, n + 1, now));
		by_key += differing_bits(number(key, n, now),
					 number(other, n, now));
	}
	ok(above, "numbers of the same addresses and ports grow with time");
	ok(by_tuple > 15500 && by_tuple < 16500,
	   "numbers of other ports differ in half of their bits");
	ok(by_key > 15500 && by_key < 16500,
	   "numbers by another key differ in half of their bits");
	is(number(key, 9, now), number(key, 9, now),
	   "without time in between, a number is the same");
}

int main(void)
{
	vectors();
	sequence_numbers();
	return done();
}
