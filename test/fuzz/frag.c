/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any fragments: a reassembled packet is inside the pool, has no hole, and each
 * of its bytes was sent for that offset
 *
 * Input: records of a byte (1: IPv4, 2: more follow, 4: TCP, 8: a second passes),
 * a byte of identification, two of offset in units of 8 and two of length, big
 * endian. Records carry no data: it is a function of the offset, but differs each time
 * for identifications from 128 on.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "frag.h"
#include "packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { V4 = 1, MORE = 2, TCP = 4, LATER = 8, RECORD = 6 };

static struct frag_pool pool;
static union inany src[2], dst[2];

static uint8_t byte_at(size_t i)
{
	return i * 31 + (i >> 8);
}

static void check(const struct pkt *p)
{
	const uint8_t *l4 = p->l3.p + (inany_is_v4(&p->src) ? 20 : 40);
	const uint8_t *lo = (const uint8_t *)&pool;
	size_t len = p->l3.len - (size_t)(l4 - p->l3.p), i;

	assert(p->l3.p >= lo && p->l3.p + p->l3.len <= lo + sizeof(pool));
	assert(p->payload.p >= l4 &&
	       p->payload.p + p->payload.len <= l4 + len);
	assert(p->kind != PKT_FRAGMENT && !p->off.gso_type);
	if (p->frag_id < 128)
		for (i = 0; i < len; i++)
			assert(l4[i] == byte_at(i));
}

/* As pkt_parse() would have it, or false */
static bool make(struct pkt *p, const uint8_t *r, const uint8_t *payload)
{
	bool v4 = r[0] & V4;

	*p = (struct pkt){
		.kind = PKT_FRAGMENT, .src = src[v4], .dst = dst[v4], .ttl = 1,
		.proto = r[0] & TCP ? IPPROTO_TCP : IPPROTO_UDPLITE,
		.frag_more = r[0] & MORE, .frag_id = r[1],
		.frag_off = (r[2] << 8 | r[3]) * 8,
		.payload = view_of(payload, (size_t)(r[4] << 8 | r[5])),
		.off.csum_partial = true,
	};
	if (p->frag_more && (!p->payload.len || p->payload.len % 8))
		return false;
	return p->frag_off + p->payload.len <= 65535 && (p->frag_off || p->frag_more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[65535];
	uint64_t now_ms = 1;
	uint8_t salt = 0;

	inany_pton("198.51.100.5", &src[1]);
	inany_pton("203.0.113.9", &dst[1]);
	inany_pton("2001:db8::5", &src[0]);
	inany_pton("2001:db8::9", &dst[0]);
	memset(&pool, 0, sizeof(pool));
	for (; size >= RECORD; size -= RECORD, data += RECORD) {
		const struct pkt *p;
		struct pkt f;
		size_t i;

		if (data[0] & LATER)
			now_ms += 1000;
		if (!make(&f, data, buf))
			continue;
		if (data[1] >= 128)
			salt++;
		for (i = 0; i < f.payload.len; i++)
			buf[i] = (uint8_t)(byte_at(f.frag_off + i) +
					   (data[1] >= 128 ? salt : 0));
		p = frag_add(&pool, &f, now_ms);
		if (p)
			check(p);
	}
	return 0;
}
