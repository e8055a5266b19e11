/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_rx.c - Datagrams from host sockets to frames for the guest
 *
 * Datagrams are received into lent frames. With UDP_GRO, datagrams that the kernel has
 * joined become one unsegmented frame. We join others ourselves: after several datagrams
 * of one size, the next are received back to back at that spacing; one of another size
 * is moved.
 */

#include "udp_rx.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "frame.h"
#include "guest.h"
#include "wire.h"

#define PACK_AFTER	4		/* datagrams of one size in a row */

/* Frame that message @k is received into */
static const struct view *rx_room(const struct udp_rx_batch *b, unsigned k)
{
	static const struct view nowhere;

	if (!b->frames)
		return &nowhere;
	return &b->frames[b->pack ? 0 : k].payload;
}

/* Offset of message @k in its frame */
static size_t rx_offset(const struct udp_rx_batch *b, unsigned k)
{
	return b->pack ? k * b->head : 0;
}

/* Borrow frames and choose how to use them; false if the tap has no room */
static bool rx_prepare(const struct udp_rx *rx,
		       const struct udp_rx_sizes *sizes, unsigned want,
		       struct udp_rx_batch *b)
{
	size_t hdrlen = frame_l3_hdrlen(b->v4) + sizeof(struct udp_hdr);
	size_t whole = rx->tap->mtu + sizeof(struct eth_hdr) - hdrlen;
	unsigned lent;

	if (whole > UDP_LEN_MAX)
		whole = UDP_LEN_MAX;
	b->n = lent = want < UDP_RX_MSGS ? want : UDP_RX_MSGS;
	b->pack = false;
	b->head = 0;
	b->frames = NULL;
	if (!b->lend)
		return true;
	b->pack = sizes->streak == PACK_AFTER && frame_can_uso(rx->tap) &&
		  sizes->size <= whole;
	if (b->pack) {
		b->head = sizes->size;
		if (b->n > UDP_MESSAGE_MAX / b->head)
			b->n = (unsigned)(UDP_MESSAGE_MAX / b->head);
		lent = 1;
		b->frames = tap_reserve(rx->tap, &lent, hdrlen, b->n * b->head);
		return lent;
	}
	b->head = frame_can_jumbo(rx->tap) ? UDP_LEN_MAX : whole;
	/* Large room can be in many pieces: do not use them up for small datagrams */
	if (sizes->streak == PACK_AFTER && sizes->size < b->head)
		b->head = sizes->size;
	b->frames = tap_reserve(rx->tap, &lent, hdrlen, b->head);
	if (b->n > lent)
		b->n = lent;
	return lent;
}

/* Prepare to receive @b->n messages, fewer if there are not enough iovecs */
static void rx_messages(struct udp_io *io, struct udp_rx_batch *b)
{
	const unsigned max = sizeof(io->iov) / sizeof(io->iov[0]);
	unsigned used = 0, k;

	for (k = 0; k < b->n && used < max; k++) {
		struct iovec *iov = io->iov + used;
		unsigned parts = view_parts(rx_room(b, k), rx_offset(b, k),
					    b->head, iov, max - used - 1);

		if (b->frames && !parts)
			break;
		udp_msg_expect(io, k, iov, parts, b->head);
		used += parts + 1;
	}
	b->n = k;
}

/* Get the MAC address of the guest, or of a group: RFC 1112, 6.4; RFC 2464, 7 */
static void dst_mac(const struct udp_rx *rx, const union inany *to,
		    uint8_t mac[6])
{
	static const uint8_t v4[3] = { 0x01, 0x00, 0x5e };

	if (!inany_is_multicast(to)) {
		memcpy(mac, guest_mac(rx->guest, to), 6);
		return;
	}
	memset(mac, 0x33, 2);
	memcpy(mac + 2, &to->a6.s6_addr[12], 4);
	if (inany_is_v4(to)) {
		memcpy(mac, v4, sizeof(v4));
		mac[3] &= 0x7f;
	}
}

static void fill(const struct udp_rx *rx, const struct flowside *s,
		 struct txframe *tf, const struct udp_meta *m, size_t len,
		 size_t gso_size)
{
	uint8_t mac[6];
	const struct frame_addr a = {
		.dst_mac = mac, .src_mac = rx->conf->our_mac,
		.src = &s->oaddr, .dst = &s->eaddr,
		.ttl = m->ttl, .tos = m->tos,
	};

	dst_mac(rx, &s->eaddr, mac);
	tf->len = len;
	frame_fill_udp(rx->tap, tf, &a, s->oport, s->eport, (uint16_t)gso_size);
}

/* May message @k be sent from where it was received? */
static bool is_in_place(const struct udp_rx_batch *b, unsigned k, size_t total)
{
	const struct udp_meta *m = &b->meta[k], *first = &b->meta[0];

	if (!b->frames || m->len > b->head || !inany_is_set(&b->side[k].eaddr) ||
	    inany_is_v4(&b->side[k].oaddr) != b->v4)
		return false;
	return !b->pack ||
	       (m->len && !m->gso_size && !(total % b->head) &&
		m->ttl == first->ttl && m->tos == first->tos &&
		(!k || flowside_equals(&b->side[k], &b->side[0])));
}

/* Fill the frames of the first messages that are in place. Return: their number */
static unsigned rx_in_place(const struct udp_rx *rx, struct udp_rx_batch *b)
{
	size_t total = 0;
	unsigned k;

	for (k = 0; k < b->got && is_in_place(b, k, total); k++) {
		const struct udp_meta *m = &b->meta[k];

		if (!b->pack)
			fill(rx, &b->side[k], &b->frames[k], m, m->len,
			     m->gso_size);
		total += m->len;
	}
	if (b->pack && k)
		fill(rx, &b->side[0], &b->frames[0], &b->meta[0], total,
		     b->head);
	return k;
}

/* Copy a message from our buffer into a frame; false if the tap has no room */
static bool rx_copy(const struct udp_rx *rx, const struct flowside *s,
		    const struct udp_meta *m, const uint8_t *data)
{
	size_t hdrlen = frame_l3_hdrlen(inany_is_v4(&s->oaddr)) +
			sizeof(struct udp_hdr);
	uint8_t mac[6];
	const struct frame_addr a = {
		.dst_mac = mac, .src_mac = rx->conf->our_mac,
		.src = &s->oaddr, .dst = &s->eaddr,
		.ttl = m->ttl, .tos = m->tos,
	};
	struct txframe *tf;
	unsigned n = 1;
	struct view to;

	dst_mac(rx, &s->eaddr, mac);
	if (!m->gso_size)
		return frame_send_udp(rx->tap, &a, s->oport, s->eport, data,
				      m->len);
	tf = tap_reserve(rx->tap, &n, hdrlen, m->len);
	if (!n)
		return false;
	to = tf->payload;
	view_put(&to, data, m->len);
	fill(rx, s, tf, m, m->len, m->gso_size);
	return tap_commit(rx->tap, 1);
}

/**
 * udp_rx_data() - Move a message out of the lent frames, into one piece
 * @rx:		The way to the guest
 * @b:		The batch
 * @k:		Index of the message; call once for each
 *
 * Return: its bytes
 */
const uint8_t *udp_rx_data(const struct udp_rx *rx,
			   const struct udp_rx_batch *b, unsigned k)
{
	size_t len = b->meta[k].len < b->head ? b->meta[k].len : b->head;

	view_copy(*rx_room(b, k), rx_offset(b, k), rx->io->buf[k], len);
	return rx->io->buf[k];
}

/* Update the sizes by a batch: they tell when to receive into one frame */
static void rx_learn(struct udp_rx_sizes *sizes, const struct udp_rx_batch *b)
{
	unsigned k;

	for (k = 0; k < b->got; k++) {
		const struct udp_meta *m = &b->meta[k];

		if (m->gso_size || m->len != sizes->size || !m->len)
			sizes->streak = 0;
		else if (sizes->streak < PACK_AFTER)
			sizes->streak++;
		sizes->size = (uint16_t)m->len;
	}
}

/**
 * udp_rx_read() - Receive a batch for the guest by one recvmmsg()
 * @rx:		The way to the guest
 * @fd:		Socket
 * @sizes:	Sizes of its earlier datagrams
 * @want:	Messages to ask for, not 0
 * @b:		Some fields are set by the caller, the others are filled in. The tap must
 *		not be used before udp_rx_deliver()
 *
 * Return: messages received; -ENOBUFS: the tap has no room; else negative errno
 */
/* #syscalls recvmmsg recvmsg */
int udp_rx_read(const struct udp_rx *rx, int fd,
		const struct udp_rx_sizes *sizes, unsigned want,
		struct udp_rx_batch *b)
{
	unsigned k;
	int got;

	b->got = 0;
	if (!rx_prepare(rx, sizes, want, b))
		return -ENOBUFS;
	rx_messages(rx->io, b);
	got = recvmmsg(fd, rx->io->mm, b->n, MSG_DONTWAIT, NULL);
	if (got < 0)
		return errno == ENOBUFS ? -EAGAIN : -errno;

	b->got = (unsigned)got;
	for (k = 0; k < b->got; k++)
		udp_meta_get(&b->meta[k], &rx->io->mm[k]);
	return got;
}

/**
 * udp_rx_deliver() - Send received messages to the guest
 * @rx:		The way to the guest
 * @sizes:	As for udp_rx_read(), updated
 * @b:		The batch, with sides
 *
 * The commit ends the lease of frames, so messages that are not in place are moved out
 * before.
 *
 * Return: frames that the tap had no room for
 */
unsigned udp_rx_deliver(const struct udp_rx *rx, struct udp_rx_sizes *sizes,
			struct udp_rx_batch *b)
{
	unsigned ready = rx_in_place(rx, b), lost = 0, frames, k;

	for (k = ready; k < b->got; k++)
		if (inany_is_set(&b->side[k].eaddr))
			udp_rx_data(rx, b, k);
	frames = b->pack && ready ? 1 : ready;
	if (frames)
		lost = frames - tap_commit(rx->tap, frames);
	for (k = ready; k < b->got; k++)
		if (inany_is_set(&b->side[k].eaddr))
			lost += !rx_copy(rx, &b->side[k], &b->meta[k],
					 rx->io->buf[k]);
	rx_learn(sizes, b);
	return lost;
}
