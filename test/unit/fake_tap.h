/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_tap.h - A tap that keeps sent frames, for unit tests
 *
 * Frames are kept flat, headers and payload in one piece, together with their
 * offload fields.
 */

#ifndef TEST_FAKE_TAP_H
#define TEST_FAKE_TAP_H

#include <string.h>

#include "../../tap.h"	/* not the one beside this file */
#include "wire.h"

#define FAKE_FRAMES	64

struct fake_frame {
	uint8_t b[TAP_HDR_MAX + 65536];
	size_t len;
	uint8_t gso_type;
	bool csum_partial;
	uint16_t gso_size, csum_start, csum_offset;
};

/**
 * struct fake_tap - The fake
 * @tap:	Tap for the module under test
 * @room:	Number of frames that it lends before it is full
 * @n:		Number of frames that were sent
 * @sent:	Sent frames
 */
struct fake_tap {
	struct tap tap;
	unsigned room, n;
	struct txframe lent[TAP_TX_BATCH];
	uint8_t hdr[TAP_TX_BATCH][TAP_HDR_MAX];
	uint8_t payload[TAP_TX_BATCH][65536];
	struct fake_frame sent[FAKE_FRAMES];
};

static inline struct txframe *fake_reserve(struct tap *t, unsigned *n,
					   size_t hdrlen, size_t room)
{
	struct fake_tap *f = (struct fake_tap *)t;	/* first member */
	unsigned i;

	if (*n > f->room - f->n)
		*n = f->room - f->n;
	if (*n > TAP_TX_BATCH)
		*n = TAP_TX_BATCH;
	for (i = 0; i < *n; i++)
		f->lent[i] = (struct txframe){
			.hdr = f->hdr[i], .hdrlen = hdrlen,
			.payload = view_of(f->payload[i], room),
		};
	return *n ? f->lent : NULL;
}

static inline unsigned fake_commit(struct tap *t, unsigned n)
{
	struct fake_tap *f = (struct fake_tap *)t;
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct txframe *x = &f->lent[i];
		struct fake_frame *s = &f->sent[f->n++];

		memcpy(s->b, x->hdr, x->hdrlen);
		view_copy(x->payload, 0, s->b + x->hdrlen, x->len);
		s->len = x->hdrlen + x->len;
		s->gso_type = x->gso_type;
		s->gso_size = x->gso_size;
		s->csum_partial = x->csum_partial;
		s->csum_start = x->csum_start;
		s->csum_offset = x->csum_offset;
	}
	return n;
}

static inline bool fake_flush(struct tap *t)
{
	(void)t;
	return false;
}

static inline void fake_event(struct tap *t, unsigned which, uint32_t events)
{
	(void)t;
	(void)which;
	(void)events;
}

static inline void fake_tap_init(struct fake_tap *f, unsigned caps,
				 unsigned mtu)
{
	static const struct tap_ops ops = {
		.reserve = fake_reserve, .commit = fake_commit,
		.flush = fake_flush, .event = fake_event,
	};

	memset(&f->tap, 0, sizeof(f->tap));
	f->tap.ops = &ops;
	f->tap.caps = caps;
	f->tap.mtu = mtu;
	f->room = FAKE_FRAMES;
	f->n = 0;
}

/* Offload fields that a receiver of the frame would get */
static inline struct rx_offload fake_offload(const struct fake_frame *s)
{
	return (struct rx_offload){
		.csum_partial = s->csum_partial,
		.gso_type = s->gso_type, .gso_size = s->gso_size,
		.csum_start = s->csum_start, .csum_offset = s->csum_offset,
	};
}

/* Parse a frame in one piece */
static inline enum pkt_error fake_parse(struct pkt *p, const uint8_t *b,
					size_t len,
					const struct rx_offload *off)
{
	struct view v = view_of(b, len);

	return pkt_parse(p, &v, off);
}

#endif /* TEST_FAKE_TAP_H */
