/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mutate.c - What makes frames hostile
 *
 * A frame is changed in one to three ways. Afterwards, its checksums are mostly repaired,
 * and its lengths sometimes, so that it gets past the first checks.
 */

#include "hostile.h"

#include <string.h>

/* Numbers at which programs go wrong */
static uint32_t edge(void)
{
	static const uint32_t edges[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 19, 20, 21, 28, 39, 40, 41, 59, 60, 64, 127,
		128, 255, 256, 511, 512, 1023, 1500, 0x7fff, 0x8000, 0xfff7, 0xfff8, 0xffff,
		0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
	};

	return edges[below(sizeof(edges) / sizeof(*edges))];
}

/* An offset in the headers, mostly */
static size_t some_offset(const struct frame *f)
{
	size_t n = chance(85) && f->len > 90 ? 90 : f->len;

	return f->l3 && chance(80) && n > f->l3 ?
	       f->l3 + below((uint32_t)(n - f->l3)) : below((uint32_t)n);
}

static void flip_bits(struct frame *f)
{
	unsigned n = 1 + below(4);

	while (n--)
		f->b[some_offset(f)] ^= (uint8_t)(1U << below(8));
}

static void set_bytes(struct frame *f)
{
	size_t at = some_offset(f);

	if (at + 4 > f->len)
		return;
	if (chance(50))
		set16(f->b + at, edge() & 0xffff);
	else if (chance(50))
		set32(f->b + at, edge());
	else
		f->b[at] = (uint8_t)rnd();
}

/* A length or offset of IP, UDP or TCP */
static void set_length(struct frame *f)
{
	uint8_t *ip = f->b + f->l3, *l4 = f->b + f->l4;

	if (!f->l4 || f->l4 + 20 > f->len)
		return;
	switch (below(5)) {
	case 0:
		ip[0] = (uint8_t)(chance(70) ? (ip[0] & 0xf0) | below(16) : rnd());
		break;
	case 1:
		set16(ip + (ip[0] >> 4 == 6 ? 4 : 2), edge() & 0xffff);
		break;
	case 2:
		set16(l4 + 4, edge() & 0xffff);
		break;
	case 3:
		l4[12] = (uint8_t)rnd();
		break;
	case 4:					/* off by a few bytes */
		ip += ip[0] >> 4 == 6 ? 4 : 2;
		set16(ip, get16(ip) + below(9) - 4u);
	}
}

static void cut(struct frame *f)
{
	f->len = chance(60) && f->len > 14 ? 14 + below((uint32_t)f->len - 14) :
					     below((uint32_t)f->len);
}

static void grow(struct frame *f)
{
	frame_put_random(f, chance(90) ? below(100) : below(60000));
}

static void set_addresses(struct frame *f)
{
	bool v6 = f->b[f->l3] >> 4 == 6;
	struct addr a = some_addr(v6);

	if (!f->l4)
		return;
	if (chance(40))
		a = guest_addr(v6);
	memcpy(f->b + f->l3 + (v6 ? 8 : 12) + (chance(50) ? addr_len(&a) : 0), a.b,
	       addr_len(&a));
}

static void set_mac(struct frame *f)
{
	uint8_t *mac = f->b + (chance(50) ? 0 : MAC_LEN);
	unsigned i;

	if (chance(30))
		memcpy(mac, our_mac, MAC_LEN);
	else if (chance(30))
		memset(mac, chance(50) ? 0 : 0xff, MAC_LEN);
	else
		for (i = 0; i < MAC_LEN; i++)
			mac[i] = (uint8_t)rnd();
}

/* Ports, flags, numbers of TCP */
static void set_transport(struct frame *f)
{
	uint8_t *l4 = f->b + f->l4;

	if (!f->l4 || f->l4 + 20 > f->len)
		return;
	switch (below(5)) {
	case 0:
		set16(l4 + below(2) * 2, (unsigned[]){ 0, 53, 67, 68, 546, 547, 65535,
						       8001 }[below(8)]);
		break;
	case 1:
		l4[13] = (uint8_t)rnd();
		break;
	case 2:
		set32(l4 + 4, get32(l4 + 4) + edge());
		break;
	case 3:
		set32(l4 + 8, get32(l4 + 8) - edge());
		break;
	case 4:
		set16(l4 + 14, edge() & 0xffff);
		set16(l4 + 18, (unsigned)rnd() & 0xffff);
	}
}

/* Options of IP or TCP that make no sense, or what is behind them */
static void set_options(struct frame *f)
{
	size_t at = f->l4 ? f->l4 + (chance(70) ? 20 : 0) : f->l3, n = 4 * (1 + below(10));
	uint8_t *l4 = f->b + f->l4;

	if (!f->l4 || at > f->len || f->len + n > FRAME_ROOM)
		return;
	memmove(f->b + at + n, f->b + at, f->len - at);
	f->len += n;
	memset(f->b + at, chance(50) ? (int)below(10) : 0, n);
	flip_bits(f);
	while (n--)
		f->b[at + n] = chance(60) ? f->b[at + n] : (uint8_t)below(40);
	if (at > f->l4)
		l4[12] = (uint8_t)(l4[12] + (1 + below(10)) * 16);
	else if (f->b[f->l3] >> 4 == 4)
		f->b[f->l3] = (uint8_t)(f->b[f->l3] + 1 + below(9));
	if (chance(80))
		frame_lengths(f);
}

static void set_type(struct frame *f)
{
	static const uint16_t types[] = { 0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x0000,
					  0x05dc, 0x0600, 0x8863, 0xffff };

	set16(f->b + 12, types[below(10)]);
}

/* A tag of a VLAN in front of the type */
static void set_vlan(struct frame *f)
{
	if (f->len < 14 || f->len + 4 > FRAME_ROOM)
		return;
	memmove(f->b + 16, f->b + 12, f->len - 12);
	set16(f->b + 12, 0x8100);
	set16(f->b + 14, below(4096));
	f->len += 4;
}

/* The fields of an offload, which our own kernel checks as well */
static void set_offload(struct frame *f)
{
	struct vnet_hdr *h = &f->vnet;

	switch (below(6)) {
	case 0:
		h->flags ^= (uint8_t)(1 + below(3));
		break;
	case 1:
		h->gso_type = (uint8_t[]){ 0, 1, 3, 4, 5, 0x80, 0x81, 0x84 }[below(8)];
		break;
	case 2:
		h->gso_size = (uint16_t)edge();
		break;
	case 3:
		h->hdr_len = (uint16_t)edge();
		break;
	case 4:
		h->csum_start = (uint16_t)(chance(50) ? edge() : below(100));
		break;
	case 5:
		h->csum_offset = (uint16_t)(chance(50) ? edge() : below(100));
	}
}

/* Two frames in one: the head of this, the tail of one before */
static void graft(struct frame *f)
{
	static struct frame before;
	size_t at = f->l4 ? f->l4 : 14;

	if (before.len > at && f->len >= at) {
		memcpy(f->b + at, before.b + at, before.len - at);
		f->len = before.len;
	}
	before.len = f->len;
	memcpy(before.b, f->b, f->len);
}

static void set_extension(struct frame *f)
{
	extend(f, true);
}

static void set_fragment(struct frame *f)
{
	if (f->l4 && f->b[f->l3] >> 4 == 4)
		set16(f->b + f->l3 + 6, chance(50) ? edge() & 0xffff : (unsigned)rnd() & 0xffff);
}

void mutate(struct frame *f)
{
	static void (*const ways[])(struct frame *) = {
		flip_bits, flip_bits, set_bytes, set_bytes, set_length, set_length, cut, grow,
		set_addresses, set_mac, set_transport, set_transport, set_options, set_type,
		set_vlan, set_offload, graft, set_extension, set_fragment,
	};
	unsigned n = 1 + below(3);

	while (n-- && f->len >= 14)
		ways[below(sizeof(ways) / sizeof(*ways))](f);
	if (f->l4 && chance(20))
		frame_lengths(f);
	if (chance(80))
		frame_sums(f);
}

/* One fragment of a frame: @n bytes from @at of what is behind the IP header */
static void fragment(const struct frame *f, size_t at, size_t n, bool more, uint32_t id)
{
	static struct frame part;
	bool v6 = f->b[f->l3] >> 4 == 6;
	struct ip6_frag h = { .nexthdr = f->b[f->l3 + 6], .id = htonl(id),
			      .offset = htons((uint16_t)((at & ~7u) | more)) };

	memset(&part.vnet, 0, sizeof(part.vnet));
	part.l3 = f->l3, part.l4 = f->l4, part.len = 0;
	frame_put(&part, f->b, f->l4);
	if (v6) {
		part.b[f->l3 + 6] = IPPROTO_FRAGMENT;
		frame_put(&part, &h, sizeof(h));
	} else {
		set16(part.b + f->l3 + 4, id & 0xffff);
		set16(part.b + f->l3 + 6, (unsigned)((more ? IP4_MF : 0) | (at / 8)));
	}
	frame_put(&part, f->b + f->l4 + at, n);
	set16(part.b + f->l3 + (v6 ? 4 : 2), (unsigned)(part.len - f->l3 - (v6 ? 40 : 0)));
	frame_sums(&part);
	attack(&part);
}

/* Send a frame as fragments: in order or not, with holes, twice, overlapping if @wild */
void fragments(const struct frame *f, bool wild)
{
	size_t size = 8 * (1 + below(180)), len = f->len - f->l4;
	unsigned i, n = (unsigned)((len + size - 1) / size), order = below(3);
	uint32_t id = (uint32_t)rnd();

	if (n > 40)
		size = 8 * 180, n = (unsigned)((len + size - 1) / size);
	for (i = 0; i < n; i++) {
		unsigned k = order == 0 ? i : order == 1 ? n - 1 - i : below(n);
		size_t at = k * size, part = len - at < size ? len - at : size;

		if (wild && chance(20))
			at = at + 8 * below(20);
		if (at + part > len)
			continue;
		if (wild && chance(10))
			continue;
		fragment(f, at, part, at + part < len || (wild && chance(10)), id);
		if (wild && chance(10))
			fragment(f, at, part, at + part < len, id);
	}
}

/* Put extension headers in front of the payload of IPv6, valid ones if not @wild */
void extend(struct frame *f, bool wild)
{
	static const uint8_t kinds[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
					 IPPROTO_FRAGMENT, IPPROTO_AH, IPPROTO_NONE };
	unsigned n = 1 + below(wild ? 10 : 3);

	if (!f->l4 || f->len < f->l4 || f->b[f->l3] >> 4 != 6)
		return;
	while (n-- && f->len + 40 < FRAME_ROOM) {
		uint8_t h[40] = { f->b[f->l3 + 6] };
		uint8_t kind = kinds[wild ? below(6) : n ? 1 : below(2)];
		size_t len = kind == IPPROTO_FRAGMENT ? 8 : 8 * (1 + below(4));

		h[1] = (uint8_t)(len / 8 - 1);
		h[2] = 1, h[3] = (uint8_t)(len - 4);	/* PadN */
		if (kind == IPPROTO_FRAGMENT)
			set32(h, (uint32_t)h[0] << 24);
		if (wild && chance(30))
			h[1 + below(4)] = (uint8_t)rnd();
		memmove(f->b + f->l4 + len, f->b + f->l4, f->len - f->l4);
		memcpy(f->b + f->l4, h, len);
		f->len += len;
		f->b[f->l3 + 6] = kind;
	}
	set16(f->b + f->l3 + 4, (unsigned)(f->len - f->l3 - 40));
	frame_sums(f);
}
