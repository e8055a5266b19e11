/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap.c - Code that all backends share
 *
 * A backend receives frames into a batch of struct pkt with tap_rx_frame() and
 * hands the batch to tap->rx() while the bytes are still in place. Bad frames
 * are counted by reason and dropped. They are logged at most once a second, since
 * the other side can send any number of them.
 */

#include "tap.h"

#include <string.h>
#include <sys/random.h>

#include "log.h"

/**
 * tap_init() - Set up the shared state; the caller sets callbacks afterwards
 * @t:		Tap; cleared
 * @ops:	Operations of the backend
 * @caps:	TAP_*
 * @mtu:	Largest IP packet in bytes, 0: 1500, as for Ethernet
 */
void tap_init(struct tap *t, const struct tap_ops *ops, unsigned caps,
	      unsigned mtu)
{
	memset(t, 0, sizeof(*t));
	t->ops = ops;
	t->caps = caps;
	t->mtu = mtu ? mtu : 1500;
	/* Start at an unpredictable value if the kernel has entropy: RFC 7739, 5 */
	if (getrandom(&t->frag_id, sizeof(t->frag_id), GRND_NONBLOCK) < 0)
		t->frag_id = 0;
}

/**
 * tap_change() - Set other capabilities or another MTU at run time, for backends
 * @t:		The tap; its changed() is called if there is a difference
 * @caps:	TAP_*
 * @mtu:	Largest IP packet in bytes
 */
void tap_change(struct tap *t, unsigned caps, unsigned mtu)
{
	if (t->caps == caps && t->mtu == mtu)
		return;
	t->caps = caps;
	t->mtu = mtu;
	if (t->changed)
		t->changed(t->ctx);
}

/**
 * tap_send_one() - Send a complete frame that consists of headers only
 * @t:		The tap
 * @hdr:	Frame from the Ethernet header on, with its checksums
 * @hdrlen:	Bytes of the frame, at most TAP_HDR_MAX
 *
 * Return: false if there was no room for the frame: it is lost
 */
bool tap_send_one(struct tap *t, const void *hdr, size_t hdrlen)
{
	struct txframe *f;
	unsigned n = 1;

	if (hdrlen > TAP_HDR_MAX)
		return false;
	f = tap_reserve(t, &n, hdrlen, 0);
	if (!f || !n)
		return false;
	memcpy(f->hdr, hdr, hdrlen);
	f->len = 0;
	return tap_commit(t, 1);
}

/* Does an array of VIEW_PARTS_MAX parts, as users have for system calls, hold the
 * frame? The other side decides how many pieces it has */
static bool is_in_few_pieces(const struct view *frame)
{
	struct iovec iov[VIEW_PARTS_MAX];

	return frame->here == frame->len ||
	       view_parts(frame, 0, frame->len, iov, VIEW_PARTS_MAX);
}

/**
 * tap_rx_frame() - Parse one received frame into a batch
 * @t:		The backend that received it
 * @p:		Batch, with room for one more packet
 * @n:		Number of packets in it; incremented if the frame is good
 * @frame:	Frame from the Ethernet header on; stays in place until the batch
 *		is handed over. One in more than VIEW_PARTS_MAX pieces is dropped
 * @off:	Offload fields from the device, may be NULL
 */
void tap_rx_frame(struct tap *t, struct pkt *p, unsigned *n,
		  const struct view *frame, const struct rx_offload *off)
{
	enum pkt_error e;

	t->stats.rx_frames++;
	t->stats.rx_bytes += frame->len;
	if (t->raw)
		t->raw(t->ctx, frame, off);

	e = is_in_few_pieces(frame) ? pkt_parse(&p[*n], frame, off) :
				      PKT_E_PIECES;
	if (!e) {
		(*n)++;
		return;
	}
	t->stats.rx_bad[e]++;
	debug_limited("Frame of %zu bytes dropped: %s", (size_t)frame->len,
		      pkt_strerror(e));
}
