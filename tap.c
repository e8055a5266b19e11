/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap.c - What all backends share
 *
 * A backend receives frames into a batch of struct pkt with tap_rx_frame() and
 * hands the batch to tap->rx() while the bytes are still in place. Bad frames
 * are counted by reason and dropped; a log line about them comes once a second
 * at most, since the other side can make any number of them.
 */

#include "tap.h"

#include <string.h>
#include <sys/random.h>

#include "log.h"

/**
 * tap_init() - Set what all backends share; callbacks are set afterwards
 * @t:		Cleared
 * @ops:	The backend's
 * @caps:	TAP_*
 * @mtu:	Largest IP packet in bytes, 0: that of Ethernet
 */
void tap_init(struct tap *t, const struct tap_ops *ops, unsigned caps,
	      unsigned mtu)
{
	memset(t, 0, sizeof(*t));
	t->ops = ops;
	t->caps = caps;
	t->mtu = mtu ? mtu : 1500;
	/* Not to be guessed where entropy is there: RFC 7739, 5 */
	if (getrandom(&t->frag_id, sizeof(t->frag_id), GRND_NONBLOCK) < 0)
		t->frag_id = 0;
}

/**
 * tap_change() - For backends: the device is another one from now on
 * @t:		The tap; tells who has set tap->changed()
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
 * tap_send_one() - Send a complete frame that is no more than headers
 * @t:		Where to
 * @hdr:	From the Ethernet header on, all sums done
 * @hdrlen:	Bytes of it, at most TAP_HDR_MAX
 *
 * Return: false if there was no room for it (then it is lost)
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

/* Arrays for system calls have room for so many, whatever the other side does */
static bool is_in_few_pieces(const struct view *frame)
{
	struct iovec iov[VIEW_PARTS_MAX];

	return frame->here == frame->len ||
	       view_parts(frame, 0, frame->len, iov, VIEW_PARTS_MAX);
}

/**
 * tap_rx_frame() - Parse one received frame into a batch
 * @t:		The backend that received it
 * @p:		Batch, with room for one more
 * @n:		Packets in it; counted up if the frame is good
 * @frame:	From the Ethernet header on; stays in place until the batch is
 *		handed over. One in more than VIEW_PARTS_MAX pieces is dropped
 * @off:	What the device said, NULL: nothing
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
