/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * input.h - The bytes of a fuzzer as numbers, one after the other
 *
 * Behind the end of the input, all numbers are 0.
 */

#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes left of the input */
static const uint8_t *in;
static size_t left;

static inline void input_set(const uint8_t *data, size_t size)
{
	in = data;
	left = size;
}

static inline uint8_t byte(void)
{
	if (!left)
		return 0;
	left--;
	return *in++;
}

static inline uint32_t word(void)
{
	uint32_t high = byte();

	return high << 8 | byte();
}

static inline uint32_t number(void)
{
	uint32_t high = word();

	return high << 16 | word();
}

/* bytes() - The next @n bytes, zeroes behind the end. Return: how many were left */
static inline size_t bytes(void *to, size_t n)
{
	size_t have = n < left ? n : left;

	memcpy(to, in, have);
	memset((char *)to + have, 0, n - have);
	in += have;
	left -= have;
	return have;
}

#endif /* FUZZ_INPUT_H */
