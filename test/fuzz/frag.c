/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any fragments: a reassembled packet is inside the pool, has no hole, and each
 * of its bytes was sent for that offset
 *
 * Input: records of a byte (1: IPv4, 2: more follow, 4: TCP, 8: a second passes),
 * a byte of identification, two of offset in units of 8 and two of length, big
 * endian. Records carry no data: it is a function of the offset, but differs each time
 * for identifications from 128 on.
 *
 * The pool of 1 MiB keeps its bytes from run to run, since clearing it would take most
 * of the time. So each run has other data: a byte that an earlier run left is found.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "frag.h"
#include "packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { V4 = 1, MORE = 2, TCP = 4, LATER = 8, RECORD = 6 };

#define SHIFTS	4096U			/* different data for as many runs */

static struct frag_pool pool;
static union inany src[2], dst[2];
static uint8_t pattern[65536 + SHIFTS + 256];
static unsigned shift;

/* The data of this run: byte i of a datagram is sent_data()[i] */
static const uint8_t *sent_data(void)
{
	return pattern + shift;
}

static void setup(void)
{
	uint32_t x = 2463534242, i;

	for (i = 0; i < sizeof(pattern); i++) {	/* xorshift */
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		pattern[i] = (uint8_t)(x >> 11);
	}
	inany_pton("198.51.100.5", &src[1]);
	inany_pton("203.0.113.9", &dst[1]);
	inany_pton("2001:db8::5", &src[0]);
	inany_pton("2001:db8::9", &dst[0]);
}

/* Forget all datagrams, but not their bytes */
static void empty_pool(void)
{
	unsigned i;

	for (i = 0; i < FRAG_DATAGRAMS; i++)
		pool.slot[i].used = false;
	shift = (shift + 1) % SHIFTS;
}

static void check(const struct pkt *p)
{
	const uint8_t *l4 = p->l3.p + (inany_is_v4(&p->src) ? 20 : 40);
	const uint8_t *lo = (const uint8_t *)&pool;
	size_t len = p->l3.len - (size_t)(l4 - p->l3.p);

	assert(p->l3.p >= lo && p->l3.p + p->l3.len <= lo + sizeof(pool));
	assert(p->payload.p >= l4 &&
	       p->payload.p + p->payload.len <= l4 + len);
	assert(p->kind != PKT_FRAGMENT && !p->off.gso_type);
	if (p->frag_id < 128)
		assert(!memcmp(l4, sent_data(), len));
}

/* As pkt_parse() would have it, or false; @salt: added to the place of its data */
static bool make(struct pkt *p, const uint8_t *r, uint8_t salt)
{
	bool v4 = r[0] & V4;
	size_t off = (size_t)(r[2] << 8 | r[3]) * 8;

	*p = (struct pkt){
		.kind = PKT_FRAGMENT, .src = src[v4], .dst = dst[v4], .ttl = 1,
		.proto = r[0] & TCP ? IPPROTO_TCP : IPPROTO_UDPLITE,
		.frag_more = r[0] & MORE, .frag_id = r[1],
		.frag_off = (uint32_t)off,
		.payload = view_of(NULL, (size_t)(r[4] << 8 | r[5])),
		.off.csum_partial = true,
	};
	if (p->frag_more && (!p->payload.len || p->payload.len % 8))
		return false;
	if (off + p->payload.len > 65535 || (!off && !p->frag_more))
		return false;
	p->payload.p = (uint8_t *)sent_data() + off + salt;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t now_ms = 1;
	uint8_t salt = 0;

	if (!inany_is_set(&src[0]))
		setup();
	empty_pool();
	for (; size >= RECORD; size -= RECORD, data += RECORD) {
		const struct pkt *p;
		struct pkt f;

		if (data[0] & LATER)
			now_ms += 1000;
		if (data[1] >= 128)
			salt++;
		if (!make(&f, data, data[1] >= 128 ? salt : 0))
			continue;
		p = frag_add(&pool, &f, now_ms);
		if (p)
			check(p);
	}
	return 0;
}
