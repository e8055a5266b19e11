/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames from anybody: the parser stays within them, and a frame that it accepts can
 * be sent by frame.c and is the same when it is parsed again
 *
 * Input: one byte of flags (1: sums are not verified), one of GSO type, two of
 * GSO size in host order, then the frame.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fake_tap.h"
#include "checksum.h"
#include "frame.h"
#include "packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_tap fake;

static void check_bounds(const struct pkt *p, const uint8_t *b, size_t len)
{
	assert(p->l3.p == b + sizeof(struct eth_hdr));
	assert(p->l3.len <= len - sizeof(struct eth_hdr));
	assert(p->kind <= PKT_OTHER_L4);
	if (p->kind == PKT_ARP)
		return;
	assert(p->payload.p >= p->l3.p + sizeof(struct ip4_hdr));
	assert(p->payload.p + p->payload.len <= p->l3.p + p->l3.len);
	assert(p->opts_len <= sizeof(p->opts));
	assert(inany_is_v4(&p->src) == inany_is_v4(&p->dst));
	assert(!inany_is_loopback(&p->src) && !inany_is_loopback(&p->dst));
	if (p->kind == PKT_FRAGMENT)
		assert(p->frag_off + p->payload.len <= 65535);
	if (p->off.gso_type)
		assert(p->off.gso_size);
}

/* A frame with room for the same headers, and with the same payload */
static struct txframe *again(const struct pkt *p, const struct frame_addr *a,
			     size_t hlen)
{
	unsigned n = 1;
	struct txframe *f;

	f = tap_reserve(&fake.tap, &n, frame_l3_hdrlen(inany_is_v4(a->src)) +
			hlen, p->payload.len);
	view_copy(p->payload, 0, f->payload.p, p->payload.len);
	f->len = p->payload.len;
	return f;
}

static void check_again(const struct pkt *p)
{
	const struct frame_addr a = {
		p->eth.dst, p->eth.src, &p->src, &p->dst, p->ttl, p->tos,
	};
	struct txframe *f;
	struct pkt q;

	if (p->kind != PKT_TCP && p->kind != PKT_UDP)
		return;
	if (p->payload.len > 65535 - 120)
		return;
	fake_tap_init(&fake, 0, 65520);
	if (p->kind == PKT_TCP) {
		f = again(p, &a, sizeof(p->tcp) + p->opts_len);
		frame_fill_tcp(&fake.tap, f, &a, &p->tcp, p->opts, p->opts_len,
			       0);
	} else {
		f = again(p, &a, sizeof(p->udp));
		frame_fill_udp(&fake.tap, f, &a, ntohs(p->udp.sport),
			       ntohs(p->udp.dport), 0);
	}
	tap_commit(&fake.tap, 1);

	assert(!fake_parse(&q, fake.sent[0].b, fake.sent[0].len, NULL));
	assert(q.kind == p->kind && q.payload.len == p->payload.len && q.tos == p->tos);
	assert(inany_equals(&q.src, &p->src) && inany_equals(&q.dst, &p->dst));
	assert(q.opts_len == p->opts_len);
	assert(!memcmp(q.opts, p->opts, p->opts_len));
	assert(!memcmp(q.payload.p, p->payload.p, p->payload.len));
	if (p->kind == PKT_TCP)
		assert(q.tcp.seq == p->tcp.seq && q.tcp.flags == p->tcp.flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rx_offload off = { 0 };
	uint8_t *frame;
	struct pkt p;

	if (size < 4 || size > 65536)
		return 0;
	off.csum_partial = data[0] & 1;
	off.gso_type = data[1];
	memcpy(&off.gso_size, data + 2, 2);
	data += 4;
	size -= 4;

	/* On its own, so that a sanitizer knows where it ends */
	frame = malloc(size ? size : 1);
	if (!frame)
		return 0;
	memcpy(frame, data, size);
	if (!fake_parse(&p, frame, size, &off)) {
		check_bounds(&p, frame, size);
		check_again(&p);
	}
	free(frame);
	return 0;
}
