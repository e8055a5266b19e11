/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_rx.c - Datagrams of the host as frames for the guest
 *
 * Datagrams are received into lent frames. With UDP_GRO, what the kernel has
 * put together becomes one unsegmented frame. What it has not, if one size
 * comes in a row, we put together: the next ones are received one behind the
 * other, as if they had that size, and where one has not, it is moved.
 */

#include "udp_rx.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "frame.h"
#include "guest.h"
#include "udp.h"
#include "udp_sock.h"
#include "wire.h"

#define PACK_AFTER	4		/* datagrams of one size in a row */

/* Room in the lent frames that message @k goes to, */
static const struct view *rx_room(const struct udp_rx *r, unsigned k)
{
	static const struct view nowhere;

	if (!r->frames)
		return &nowhere;
	return &r->frames[r->pack ? 0 : k].payload;
}

/* and where it begins there */
static size_t rx_offset(const struct udp_rx *r, unsigned k)
{
	return r->pack ? k * r->head : 0;
}

/* Largest datagram that is one packet of the tap's MTU */
static size_t mtu_payload(const struct udp *u, bool v4)
{
	size_t hdrlen = frame_l3_hdrlen(v4) - sizeof(struct eth_hdr) +
			sizeof(struct udp_hdr);
	size_t len = u->tap->mtu - hdrlen;

	return len < UDP_LEN_MAX ? len : UDP_LEN_MAX;
}

/* How to receive, and frames for it; false if the tap has no room */
static bool rx_prepare(struct udp *u, const struct udp_rx_sizes *sizes,
		       unsigned want, struct udp_rx *r)
{
	size_t hdrlen = frame_l3_hdrlen(r->v4) + sizeof(struct udp_hdr);
	size_t whole = mtu_payload(u, r->v4);
	unsigned lent;

	r->n = lent = want < UDP_RX_MSGS ? want : UDP_RX_MSGS;
	r->pack = false;
	r->head = 0;
	r->frames = NULL;
	if (!r->lend)
		return true;
	r->pack = sizes->streak == PACK_AFTER && frame_can_uso(u->tap) &&
		  sizes->size <= whole;
	if (r->pack) {
		r->head = sizes->size;
		if (r->n > UDP_MESSAGE_MAX / r->head)
			r->n = (unsigned)(UDP_MESSAGE_MAX / r->head);
		lent = 1;
		r->frames = tap_reserve(u->tap, &lent, hdrlen, r->n * r->head);
		return lent;
	}
	r->head = frame_can_jumbo(u->tap) ? UDP_LEN_MAX : whole;
	r->frames = tap_reserve(u->tap, &lent, hdrlen, r->head);
	if (r->n > lent)
		r->n = lent;
	return lent;
}

/* Ask for as many messages as there are iovecs for, of @r->n */
static void rx_messages(struct udp_io *io, struct udp_rx *r)
{
	const unsigned max = sizeof(io->iov) / sizeof(io->iov[0]);
	unsigned used = 0, k;

	for (k = 0; k < r->n && used < max; k++) {
		struct iovec *iov = io->iov + used;
		unsigned parts = view_parts(rx_room(r, k), rx_offset(r, k),
					    r->head, iov, max - used - 1);

		if (r->frames && !parts)
			break;
		udp_msg_expect(io, k, iov, parts, r->head);
		used += parts + 1;
	}
	r->n = k;
}

/* MAC address of the guest, or of a group: RFC 1112, 6.4; RFC 2464, 7 */
static void dst_mac(const struct udp *u, const union inany *to, uint8_t mac[6])
{
	static const uint8_t v4[3] = { 0x01, 0x00, 0x5e };

	if (!inany_is_multicast(to)) {
		memcpy(mac, guest_mac(u->guest, to), 6);
		return;
	}
	memset(mac, 0x33, 2);
	memcpy(mac + 2, &to->a6.s6_addr[12], 4);
	if (inany_is_v4(to)) {
		memcpy(mac, v4, sizeof(v4));
		mac[3] &= 0x7f;
	}
}

static void fill(struct udp *u, const struct flowside *s, struct txframe *tf,
		 const struct udp_meta *m, size_t len, size_t gso_size)
{
	uint8_t mac[6];
	const struct frame_addr a = {
		.dst_mac = mac, .src_mac = u->conf->our_mac,
		.src = &s->oaddr, .dst = &s->eaddr,
		.ttl = m->ttl, .tos = m->tos,
	};

	dst_mac(u, &s->eaddr, mac);
	tf->len = len;
	frame_fill_udp(u->tap, tf, &a, s->oport, s->eport, (uint16_t)gso_size);
}

/* May message @k be sent from where it was received? */
static bool is_in_place(const struct udp_rx *r, unsigned k, size_t total)
{
	const struct udp_meta *m = &r->meta[k], *first = &r->meta[0];

	if (!r->frames || m->len > r->head || !inany_is_set(&r->side[k].eaddr) ||
	    inany_is_v4(&r->side[k].oaddr) != r->v4)
		return false;
	return !r->pack ||
	       (m->len && !m->gso_size && !(total % r->head) &&
		m->ttl == first->ttl && m->tos == first->tos &&
		(!k || flowside_equals(&r->side[k], &r->side[0])));
}

/* Messages at the beginning that are in place; their frames are filled */
static unsigned rx_in_place(struct udp *u, struct udp_rx *r)
{
	size_t total = 0;
	unsigned k;

	for (k = 0; k < r->got && is_in_place(r, k, total); k++) {
		const struct udp_meta *m = &r->meta[k];

		if (!r->pack)
			fill(u, &r->side[k], &r->frames[k], m, m->len,
			     m->gso_size);
		total += m->len;
	}
	if (r->pack && k)
		fill(u, &r->side[0], &r->frames[0], &r->meta[0], total,
		     r->head);
	return k;
}

/* Send a message that is in a buffer of ours */
static void rx_copy(struct udp *u, const struct flowside *s,
		    const struct udp_meta *m, const uint8_t *data)
{
	size_t hdrlen = frame_l3_hdrlen(inany_is_v4(&s->oaddr)) +
			sizeof(struct udp_hdr);
	uint8_t mac[6];
	const struct frame_addr a = {
		.dst_mac = mac, .src_mac = u->conf->our_mac,
		.src = &s->oaddr, .dst = &s->eaddr,
		.ttl = m->ttl, .tos = m->tos,
	};
	struct txframe *tf;
	unsigned n = 1;
	struct view to;

	dst_mac(u, &s->eaddr, mac);
	if (!m->gso_size) {
		u->lost += !frame_send_udp(u->tap, &a, s->oport, s->eport,
					   data, m->len);
		return;
	}
	tf = tap_reserve(u->tap, &n, hdrlen, m->len);
	if (!n) {
		u->lost++;
		return;
	}
	to = tf->payload;
	view_put(&to, data, m->len);
	fill(u, s, tf, m, m->len, m->gso_size);
	u->lost += !tap_commit(u->tap, 1);
}

/**
 * udp_rx_data() - Message in one piece, outside of the lent frames
 * @u:		UDP
 * @r:		What was received
 * @k:		Message; to be asked for once
 */
const uint8_t *udp_rx_data(struct udp *u, const struct udp_rx *r, unsigned k)
{
	size_t len = r->meta[k].len < r->head ? r->meta[k].len : r->head;

	view_copy(*rx_room(r, k), rx_offset(r, k), u->io->buf[k], len);
	return u->io->buf[k];
}

/* What sizes come: the base for receiving into one frame */
static void rx_learn(struct udp_rx_sizes *sizes, const struct udp_rx *r)
{
	unsigned k;

	for (k = 0; k < r->got; k++) {
		const struct udp_meta *m = &r->meta[k];

		if (m->gso_size || m->len != sizes->size || !m->len)
			sizes->streak = 0;
		else if (sizes->streak < PACK_AFTER)
			sizes->streak++;
		sizes->size = (uint16_t)m->len;
	}
}

/**
 * udp_rx_read() - One recvmmsg() for the guest
 * @u:		UDP: its tap, its arrays
 * @fd:		Socket
 * @sizes:	Kept from call to call
 * @want:	Messages to ask for, not 0
 * @r:		Filled in but for what the caller sets, to be handed to udp_rx_deliver(); the tap must not be
 *		used before
 *
 * Return: messages received; -ENOBUFS: the tap has no room, else negative errno
 */
/* #syscalls recvmmsg recvmsg */
int udp_rx_read(struct udp *u, int fd, const struct udp_rx_sizes *sizes,
		unsigned want, struct udp_rx *r)
{
	unsigned k;
	int got;

	r->got = 0;
	if (!rx_prepare(u, sizes, want, r))
		return -ENOBUFS;
	rx_messages(u->io, r);
	got = recvmmsg(fd, u->io->mm, r->n, MSG_DONTWAIT, NULL);
	if (got < 0)
		return errno == ENOBUFS ? -EAGAIN : -errno;

	r->got = (unsigned)got;
	for (k = 0; k < r->got; k++)
		udp_meta_get(&r->meta[k], &u->io->mm[k]);
	return got;
}

/**
 * udp_rx_deliver() - Hand received messages over to the guest
 * @u:		UDP: its tap; counts what is lost
 * @sizes:	As for udp_rx_read()
 * @r:		What was received, with sides
 *
 * Frames end with the commit, so messages that are not in place are moved before.
 */
void udp_rx_deliver(struct udp *u, struct udp_rx_sizes *sizes,
		    struct udp_rx *r)
{
	unsigned ready = rx_in_place(u, r), frames, k;

	for (k = ready; k < r->got; k++)
		if (inany_is_set(&r->side[k].eaddr))
			udp_rx_data(u, r, k);
	frames = r->pack && ready ? 1 : ready;
	if (frames)
		u->lost += frames - tap_commit(u->tap, frames);
	for (k = ready; k < r->got; k++)
		if (inany_is_set(&r->side[k].eaddr))
			rx_copy(u, &r->side[k], &r->meta[k], u->io->buf[k]);
	rx_learn(sizes, r);
}
