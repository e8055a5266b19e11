/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scatter.c - Backends whose frames are in pieces, for tests
 *
 * The linker puts these functions between passt and its backends (--wrap, see
 * "make frames"). The room of a lent frame is in three buffers: a byte, a page and
 * the rest; commit() gathers them. A received frame is copied into such pieces
 * before it is parsed, cut at another place each time. So protocols meet frames as
 * in the memory of a guest, and the dialogues of test/frame must not change.
 *
 * Memory around the pieces holds a pattern. A write beyond a piece of a room
 * changes it, which ends the program; a read beyond a piece of a received frame
 * returns it instead of data.
 */

#include <stdlib.h>
#include <string.h>

#include "../../tap.h"	/* not another of that name */
#include "tap_stream.h"
#include "tap_tun.h"
#include "view.h"

#define PAGE		4096
#define GUARD		64
#define PATTERN		0xa5
#define CUTS		97		/* first pieces of 1 to that many bytes */

/**
 * struct pieces - Memory of one frame
 * @first, @page, @rest:	The pieces
 * @a, @b, @c, @d:	Memory around the pieces
 * @iov:	The list of the pieces
 */
struct pieces {
	uint8_t a[GUARD], first[CUTS], b[GUARD], page[PAGE], c[GUARD];
	uint8_t rest[65536 + PAGE], d[GUARD];
	struct iovec iov[3];
};

static struct {
	const struct tap_ops *inner;
	struct tap_ops ops;
	struct txframe *below;		/* lent by the backend */
	struct txframe lent[TAP_TX_BATCH];
	uint8_t hdr[TAP_TX_BATCH][TAP_HDR_MAX];
	struct pieces tx[TAP_TX_BATCH], rx[TAP_RX_BATCH];
	unsigned received;
} s;

int __real_tap_stream_init(struct tap_stream *t, int fd, unsigned mtu,
			   struct loop *l);
int __wrap_tap_stream_init(struct tap_stream *t, int fd, unsigned mtu,
			   struct loop *l);
int __real_tap_tun_init(struct tap_tun *t, int fd,
			const struct tap_tun_info *info, unsigned mtu,
			struct loop *l);
int __wrap_tap_tun_init(struct tap_tun *t, int fd,
			const struct tap_tun_info *info, unsigned mtu,
			struct loop *l);
void __real_tap_rx_frame(struct tap *t, struct pkt *p, unsigned *n,
			 const struct view *frame,
			 const struct rx_offload *off);
void __wrap_tap_rx_frame(struct tap *t, struct pkt *p, unsigned *n,
			 const struct view *frame,
			 const struct rx_offload *off);

/* A view of @len bytes in three pieces, of which the first has @first bytes */
static struct view lay_out(struct pieces *p, size_t len, size_t first)
{
	const size_t max[3] = { first, PAGE, sizeof(p->rest) };
	uint8_t *const at[3] = { p->first, p->page, p->rest };
	unsigned i;

	for (i = 0; i < 3; i++) {
		p->iov[i].iov_base = at[i];
		p->iov[i].iov_len = len < max[i] ? len : max[i];
		len -= p->iov[i].iov_len;
	}
	if (len)
		abort();
	return view_of_iov(p->iov, 3);
}

static bool is_pattern(const uint8_t *guard)
{
	unsigned i;

	for (i = 0; i < GUARD; i++)
		if (guard[i] != PATTERN)
			return false;
	return true;
}

static struct txframe *reserve(struct tap *t, unsigned *n, size_t hdrlen,
			       size_t room)
{
	unsigned i;

	s.below = s.inner->reserve(t, n, hdrlen, room);
	for (i = 0; i < *n; i++) {
		struct pieces *p = &s.tx[i];

		memset(p->first + 1, PATTERN, sizeof(p->first) - 1);
		s.lent[i] = s.below[i];
		s.lent[i].hdr = s.hdr[i];
		s.lent[i].payload = lay_out(p, room, 1);
	}
	return s.below ? s.lent : NULL;
}

static unsigned commit(struct tap *t, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		struct txframe *f = &s.lent[i], *to = &s.below[i];
		struct view from = f->payload, room = to->payload;
		struct pieces *p = &s.tx[i];
		uint8_t *hdr = to->hdr;

		if (!is_pattern(p->a) || !is_pattern(p->first + 1) ||
		    !is_pattern(p->b) || !is_pattern(p->c) ||
		    !is_pattern(p->d) ||
		    !view_put_view(&room, &from, f->len))
			abort();
		room = to->payload;
		*to = *f;
		to->hdr = hdr;
		to->payload = room;
		memcpy(hdr, f->hdr, f->hdrlen);
	}
	return s.inner->commit(t, n);
}

void __wrap_tap_rx_frame(struct tap *t, struct pkt *p, unsigned *n,
			 const struct view *frame, const struct rx_offload *off)
{
	struct view v = lay_out(&s.rx[*n], frame->len, 1 + s.received++ % CUTS);
	struct view from = *frame, to = v;

	view_put_view(&to, &from, frame->len);
	__real_tap_rx_frame(t, p, n, &v, off);
}

static void scatter(struct tap *t)
{
	memset(s.tx, PATTERN, sizeof(s.tx));
	memset(s.rx, PATTERN, sizeof(s.rx));
	s.inner = t->ops;
	s.ops = *t->ops;
	s.ops.reserve = reserve;
	s.ops.commit = commit;
	t->ops = &s.ops;
}

int __wrap_tap_stream_init(struct tap_stream *t, int fd, unsigned mtu,
			   struct loop *l)
{
	int rc = __real_tap_stream_init(t, fd, mtu, l);

	scatter(&t->tap);
	return rc;
}

int __wrap_tap_tun_init(struct tap_tun *t, int fd,
			const struct tap_tun_info *info, unsigned mtu,
			struct loop *l)
{
	int rc = __real_tap_tun_init(t, fd, info, mtu, l);

	scatter(&t->tap);
	return rc;
}
