/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each version of the sum against one that adds byte by byte */

#include "checksum.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "wire.h"

/* RFC 1071, 4.1, on numbers instead of memory: big-endian words, host order */
static uint16_t naive(const uint8_t *p, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i < len; i++) {
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return htons((uint16_t)~sum);
}

static bool same_as_naive(unsigned rounds, size_t max)
{
	static uint8_t buf[70000];
	unsigned i;

	for (i = 0; i < rounds; i++) {
		size_t off = (size_t)rand() % 67, len = (size_t)rand() % max;
		int fill = rand() % 3;
		size_t k, half;
		uint32_t sum;

		for (k = 0; k < len; k++)
			buf[off + k] = fill == 0 ? 0xff : (uint8_t)rand();
		if (csum_fold(csum_add(0, buf + off, len)) !=
		    naive(buf + off, len, 0))
			return false;
		/* In two pieces, in either order */
		half = len / 4 * 2;
		sum = csum_add(csum_add(0, buf + off, half), buf + off + half,
			       len - half);
		if (csum_fold(sum) != naive(buf + off, len, 0))
			return false;
		sum = csum_add(csum_add(0, buf + off + half, len - half),
			       buf + off, half);
		if (csum_fold(sum) != naive(buf + off, len, 0))
			return false;
	}
	return true;
}

static void versions(void)
{
	static const struct {
		enum csum_impl impl;
		const char *small, *big;
	} v[] = {
		{ CSUM_SCALAR, "the scalar version sums up short buffers",
		  "the scalar version sums up long buffers" },
		{ CSUM_SSE2, "the sse2 version sums up short buffers",
		  "the sse2 version sums up long buffers" },
		{ CSUM_AVX2, "the avx2 version sums up short buffers",
		  "the avx2 version sums up long buffers" },
	};
	unsigned i;

	for (i = 0; i < 3; i++) {
		if (!csum_use(v[i].impl)) {
			ok(true, "version # SKIP not on this processor");
			continue;
		}
		ok(same_as_naive(5000, 700), v[i].small);
		ok(same_as_naive(60, 66000), v[i].big);
	}
	csum_init();
	ok(same_as_naive(1000, 1500), "the chosen version sums up right");
}

static void known_answers(void)
{
	/* RFC 1071, 3: the words 0001 f203 f4f5 f6f7 sum to ddf2 */
	static const uint8_t rfc[] = { 0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7 };
	union inany a, b;
	uint8_t ph[40] = { 0 };

	is(ntohs((uint16_t)~csum_fold(csum_add(0, rfc, 8))), 0xddf2,
	   "the example of RFC 1071 has its sum");
	is(csum_fold(csum_add(0, NULL, 0)), 0xffff,
	   "the sum of nothing is zero");

	inany_pton("198.51.100.1", &a);
	inany_pton("203.0.113.255", &b);
	memcpy(ph, &a.v4mapped.a4, 4);
	memcpy(ph + 4, &b.v4mapped.a4, 4);
	ph[9] = 17;
	ph[10] = 0xff;
	ph[11] = 0xee;
	is(csum_fold(csum_pseudo(&a, &b, 17, 0xffee)), naive(ph, 12, 0),
	   "the pseudo header of IPv4 has its sum");

	inany_pton("2001:db8::ffff:1", &a);
	inany_pton("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", &b);
	memset(ph, 0, sizeof(ph));
	memcpy(ph, &a, 16);
	memcpy(ph + 16, &b, 16);
	ph[34] = 0xff;
	ph[35] = 0xee;
	ph[39] = 58;
	is(csum_fold(csum_pseudo(&a, &b, 58, 0xffee)), naive(ph, 40, 0),
	   "the pseudo header of IPv6 has its sum");
}

int main(void)
{
	srand(1);
	known_answers();
	versions();
	return done();
}
