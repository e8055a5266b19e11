/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checksum.c - The Internet checksum (RFC 1071)
 *
 * Sums are kept in memory order: 16-bit words are added as the machine loads
 * them, and the result of csum_fold() is stored as it is (RFC 1071, 2 (B)). As
 * 2^16 is 1 modulo 2^16 - 1, words of 32 or 64 bits may be added just as well
 * and folded once at the end, with carries going around.
 *
 * There are three implementations, and csum_init() chooses one. Until then, and on
 * other processors, it is the scalar one. The vector versions add 32-bit words
 * into 64-bit lanes, so that no lane overflows for buffers below 2^32 words.
 */

#include "checksum.h"

#include <arpa/inet.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#define CSUM_X86
#include <immintrin.h>
#endif

/* For fewer bytes the scalar version is as fast as any */
#define CSUM_VECTOR_MIN	128

/* One's complement addition: the carry goes around */
static inline uint64_t add64(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t fold64(uint64_t s)
{
	s = (s & UINT32_MAX) + (s >> 32);
	s = (s & UINT32_MAX) + (s >> 32);
	return (uint32_t)s;
}

/* Add the rest of a buffer; an odd last byte is the first of a word, padded with 0 */
static uint64_t sum_tail(uint64_t sum, const uint8_t *p, size_t len)
{
	uint64_t last = 0;

	for (; len >= 8; len -= 8, p += 8)
		sum = add64(sum, load64(p));
	if (len)
		memcpy(&last, p, len);
	return add64(sum, last);
}

static uint64_t sum_scalar(uint64_t sum, const uint8_t *p, size_t len)
{
	uint64_t a = 0, b = 0, c = 0;

	for (; len >= 32; len -= 32, p += 32) {
		sum = add64(sum, load64(p));
		a = add64(a, load64(p + 8));
		b = add64(b, load64(p + 16));
		c = add64(c, load64(p + 24));
	}
	return sum_tail(add64(add64(sum, a), add64(b, c)), p, len);
}

#ifdef CSUM_X86
__attribute__((target("sse2")))
static uint64_t sum_sse2(uint64_t sum, const uint8_t *p, size_t len)
{
	const __m128i low = _mm_set_epi32(0, -1, 0, -1);
	__m128i a = _mm_setzero_si128(), b = a, c = a, d = a;
	uint64_t lane[2];

	for (; len >= 32; len -= 32, p += 32) {
		__m128i v = _mm_loadu_si128((const void *)p);
		__m128i w = _mm_loadu_si128((const void *)(p + 16));

		a = _mm_add_epi64(a, _mm_and_si128(v, low));
		b = _mm_add_epi64(b, _mm_srli_epi64(v, 32));
		c = _mm_add_epi64(c, _mm_and_si128(w, low));
		d = _mm_add_epi64(d, _mm_srli_epi64(w, 32));
	}
	a = _mm_add_epi64(_mm_add_epi64(a, b), _mm_add_epi64(c, d));
	_mm_storeu_si128((void *)lane, a);
	return sum_tail(add64(add64(sum, lane[0]), lane[1]), p, len);
}

__attribute__((target("avx2")))
static uint64_t sum_avx2(uint64_t sum, const uint8_t *p, size_t len)
{
	const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
	uint64_t lane[4];

	for (; len >= 64; len -= 64, p += 64) {
		__m256i v = _mm256_loadu_si256((const void *)p);
		__m256i w = _mm256_loadu_si256((const void *)(p + 32));

		a = _mm256_add_epi64(a, _mm256_and_si256(v, low));
		b = _mm256_add_epi64(b, _mm256_srli_epi64(v, 32));
		c = _mm256_add_epi64(c, _mm256_and_si256(w, low));
		d = _mm256_add_epi64(d, _mm256_srli_epi64(w, 32));
	}
	a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
	_mm256_storeu_si256((void *)lane, a);
	sum = add64(add64(sum, lane[0]), add64(lane[1], lane[2]));
	return sum_tail(add64(sum, lane[3]), p, len);
}
#endif /* CSUM_X86 */

/* The chosen implementation, constant after csum_init() */
static uint64_t (*sum_long)(uint64_t, const uint8_t *, size_t) = sum_scalar;

/**
 * csum_use() - Choose an implementation
 * @impl:	enum csum_impl
 *
 * Return: false, and no change, if this processor or build does not have it
 */
bool csum_use(enum csum_impl impl)
{
	switch (impl) {
	case CSUM_SCALAR:
		sum_long = sum_scalar;
		return true;
#ifdef CSUM_X86
	case CSUM_SSE2:
		__builtin_cpu_init();
		if (!__builtin_cpu_supports("sse2"))
			return false;
		sum_long = sum_sse2;
		return true;
	case CSUM_AVX2:
		__builtin_cpu_init();
		if (!__builtin_cpu_supports("avx2"))
			return false;
		sum_long = sum_avx2;
		return true;
#endif
	default:
		return false;
	}
}

/* csum_init() - Choose the fastest implementation that this processor has */
void csum_init(void)
{
	if (!csum_use(CSUM_AVX2) && !csum_use(CSUM_SSE2))
		csum_use(CSUM_SCALAR);
}

/**
 * csum_add() - Add the words of a buffer to a sum
 * @sum:	Sum so far: 0, or from csum_pseudo() or csum_add(), memory order
 * @buf:	Bytes at any alignment
 * @len:	Number of bytes. Of several pieces of one packet only the last may
 *		have an odd length
 *
 * Return: the new sum, in memory order, carries folded into 32 bits
 */
uint32_t csum_add(uint32_t sum, const void *buf, size_t len)
{
	if (len < CSUM_VECTOR_MIN)
		return fold64(sum_scalar(sum, buf, len));
	return fold64(sum_long(sum, buf, len));
}

/**
 * csum_parts() - csum_view() of more than one piece
 *
 * In a piece at an odd offset, the two bytes of each word have changed places: the
 * sum of such a piece is swapped back (RFC 1071, 2 (B)).
 */
uint32_t csum_parts(uint32_t sum, struct view v)
{
	bool odd = false;
	uint8_t *p = NULL;
	size_t n;

	while ((n = view_piece(&v, v.len, &p))) {
		uint32_t part = csum_add(0, p, n);

		if (odd)
			part = part << 8 | part >> 24;
		sum = fold64((uint64_t)sum + part);
		odd ^= n % 2;
	}
	return sum;
}

/**
 * csum_fold() - Turn a sum into the value of a checksum field
 * @sum:	Sum from csum_add() or csum_pseudo()
 *
 * Return: the 16-bit complement of the sum, in memory order, ready to be stored; 0
 * over a packet with a right checksum. The complement of the return value is the sum
 * that a device expects in the field of a frame with a partial checksum.
 */
uint16_t csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/**
 * csum_pseudo() - Sum of a pseudo header (RFC 9293, 3.1; RFC 8200, 8.1)
 * @src, @dst:	Addresses, both of one family
 * @proto:	IPPROTO_*
 * @len:	Bytes from the layer-4 header on
 *
 * Return: sum in memory order, to go on with csum_add()
 */
uint32_t csum_pseudo(const union inany *src, const union inany *dst,
		     uint8_t proto, size_t len)
{
	uint64_t sum = (uint64_t)htonl((uint32_t)len) + htonl(proto);

	if (inany_is_v4(src)) {
		sum += src->v4mapped.a4.s_addr;
		return fold64(sum + dst->v4mapped.a4.s_addr);
	}
	sum = add64(add64(sum, src->u64[0]), src->u64[1]);
	return fold64(add64(add64(sum, dst->u64[0]), dst->u64[1]));
}
