/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frag.c - Reassembly of fragments from the guest
 *
 * Slots are in a static pool; memory of a slot is touched only as far as its datagram
 * goes. There is no timer: slots expire when the next fragment arrives, and if no slot
 * is free the oldest one is evicted.
 *
 * Rules, the same for both families:
 * - Fragments that overlap, or contradict each other about the end, drop their
 *   datagram, and the fragments still to come (RFC 5722, 4). An exact copy of received
 *   bytes is ignored (RFC 8200, 4.5).
 * - All fragments but the last are multiples of 8 bytes, which pkt_parse() checked.
 * - The first fragment must hold the layer-4 header (RFC 1858, 3).
 *
 * Bits of @map are in units of 8 bytes, so one bitmap test finds overlaps.
 */

#include "frag.h"

#include <string.h>

#include "frame.h"

static uint8_t *slot_data(struct frag_slot *s)
{
	return s->l3 + sizeof(struct ip6_hdr);
}

static bool is_of(const struct frag_slot *s, const struct pkt *f)
{
	return s->used && s->id == f->frag_id &&
	       inany_equals(&s->src, &f->src) &&
	       inany_equals(&s->dst, &f->dst) &&
	       (!inany_is_v4(&f->src) || s->proto == f->proto);
}

static void slot_start(struct frag_slot *s, const struct pkt *f, uint64_t now_ms)
{
	s->used = true;
	s->dead = s->have_first = false;
	s->id = f->frag_id;
	s->src = f->src;
	s->dst = f->dst;
	s->proto = inany_is_v4(&f->src) ? f->proto : 0;
	s->start_ms = now_ms;
	s->total = s->end = s->received = 0;
	memset(s->map, 0, sizeof(s->map));
}

static void slot_kill(struct frag_pool *pool, struct frag_slot *s)
{
	if (!s->dead)
		pool->dropped++;
	s->dead = true;
}

/* Find the slot of a fragment's datagram, else take a free one or the oldest */
static struct frag_slot *slot_find(struct frag_pool *pool, const struct pkt *f,
				   uint64_t now_ms)
{
	struct frag_slot *best = &pool->slot[0];
	unsigned i;

	for (i = 0; i < FRAG_DATAGRAMS; i++) {
		struct frag_slot *s = &pool->slot[i];

		if (s->used && now_ms - s->start_ms >= FRAG_TIMEOUT_MS) {
			slot_kill(pool, s);
			s->used = false;
		}
		if (is_of(s, f))
			return s;
		if (best->used && (!s->used || s->start_ms < best->start_ms))
			best = s;
	}

	if (best->used)
		slot_kill(pool, best);
	slot_start(best, f, now_ms);
	return best;
}

/* Mask of bits @from to 63, or to @to (excluded) if that is in this word */
static uint64_t word_mask(unsigned from, unsigned to)
{
	uint64_t m = UINT64_MAX << from;

	return to < 64 ? m & ~(UINT64_MAX << to) : m;
}

/* How many of the units @from to @to (excluded) were received? */
static unsigned map_count(const uint64_t *map, unsigned from, unsigned to)
{
	unsigned n = 0, w;

	for (w = from / 64; w * 64 < to; w++) {
		unsigned first = w * 64 < from ? from % 64 : 0;

		n += (unsigned)__builtin_popcountll(
			map[w] & word_mask(first, to - w * 64));
	}
	return n;
}

static void map_set(uint64_t *map, unsigned from, unsigned to)
{
	unsigned w;

	for (w = from / 64; w * 64 < to; w++) {
		unsigned first = w * 64 < from ? from % 64 : 0;

		map[w] |= word_mask(first, to - w * 64);
	}
}

/* RFC 1858, 3: the first fragment is not tiny; RFC 791, 3.1: the end is within the
 * largest packet */
static bool is_sane(const struct pkt *f)
{
	size_t max = FRAG_LEN_MAX, need = sizeof(struct udp_hdr);

	if (inany_is_v4(&f->src))
		max -= sizeof(struct ip4_hdr);
	if (f->proto == IPPROTO_TCP)
		need = sizeof(struct tcp_hdr);
	return f->payload.len && f->frag_off + f->payload.len <= max &&
	       (f->frag_off || f->payload.len >= need);
}

/* Does the fragment's place agree with the known end of the datagram? */
static bool end_agrees(const struct frag_slot *s, const struct pkt *f)
{
	uint32_t end = f->frag_off + f->payload.len;

	if (!f->frag_more)
		return s->total ? end == s->total : end >= s->end;
	return !s->total || end < s->total;
}

static void slot_store(struct frag_slot *s, const struct pkt *f)
{
	uint32_t end = f->frag_off + f->payload.len;

	view_copy(f->payload, 0, slot_data(s) + f->frag_off, f->payload.len);
	map_set(s->map, f->frag_off / 8, (end + 7) / 8);
	s->received += f->payload.len;
	if (end > s->end)
		s->end = end;
	if (!f->frag_more)
		s->total = end;
	if (!f->frag_off) {
		s->first = *f;
		s->have_first = true;
	}
}

/* Store a fragment; false if it makes the whole datagram invalid */
static bool slot_add(struct frag_slot *s, const struct pkt *f)
{
	unsigned from = f->frag_off / 8;
	unsigned to = (f->frag_off + f->payload.len + 7) / 8;
	unsigned here;

	if (!is_sane(f) || !end_agrees(s, f))
		return false;
	here = map_count(s->map, from, to);
	if (!here) {
		slot_store(s, f);
		return true;
	}
	return here == to - from &&
	       view_equals(f->payload, slot_data(s) + f->frag_off,
			   f->payload.len);
}

/* Put a header in front of the data, as if the packet had never been fragmented: for
 * quoting. Return: a view of both */
static struct view put_ip_header(struct frag_slot *s, const struct pkt *p)
{
	const struct frame_addr a = {
		.src = &p->src, .dst = &p->dst, .ttl = p->ttl, .tos = p->tos,
	};
	size_t hdrlen = inany_is_v4(&p->src) ? sizeof(struct ip4_hdr) :
					       sizeof(struct ip6_hdr);
	uint8_t *l3 = slot_data(s) - hdrlen;

	frame_put_ip(l3, &a, p->proto, s->total, (uint16_t)s->id, 0);
	return view_of(l3, hdrlen + s->total);
}

static const struct pkt *slot_finish(struct frag_pool *pool, struct frag_slot *s)
{
	struct view data = view_of(slot_data(s), s->total);
	struct pkt *p = &pool->out;

	s->used = false;
	*p = s->first;
	p->frag_off = 0;
	p->frag_more = p->df = false;
	p->off = (struct rx_offload){ 0 };
	p->l3 = put_ip_header(s, p);
	if (pkt_parse_l4(p, &data) == PKT_OK)
		return p;
	pool->dropped++;
	return NULL;
}

/**
 * frag_add() - Add a fragment to its datagram
 * @pool:	The pool, zeroed at start
 * @frag:	Packet of kind PKT_FRAGMENT
 * @now_ms:	CLOCK_MONOTONIC
 *
 * Return: the whole packet if no fragment is missing, valid until the next call; else
 * NULL
 */
const struct pkt *frag_add(struct frag_pool *pool, const struct pkt *frag,
			   uint64_t now_ms)
{
	struct frag_slot *s = slot_find(pool, frag, now_ms);

	if (s->dead)
		return NULL;
	if (!slot_add(s, frag)) {
		slot_kill(pool, s);
		return NULL;
	}
	if (!s->have_first || !s->total || s->received != s->total)
		return NULL;
	return slot_finish(pool, s);
}
