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

/**
 * struct rx - One recvmmsg() into lent frames
 * @frames:	Lent
 * @n:		Messages to ask for
 * @head:	Bytes of each message that go to its place in the frames
 * @pack:	All places are in the first frame, one behind the other; otherwise
 *		each message has a frame of its own
 * @got:	Messages received
 * @meta:	What is known about each
 */
struct rx {
	struct txframe *frames;
	unsigned n, got;
	size_t head;
	bool pack;
	struct udp_meta meta[UDP_RX_MSGS];
};

static uint8_t *rx_place(const struct rx *r, unsigned k)
{
	return r->pack ? r->frames[0].payload + k * r->head :
			 r->frames[k].payload;
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
static bool rx_prepare(struct udp *u, bool v4, const struct udp_rx_sizes *sizes,
		       unsigned want, struct rx *r)
{
	size_t hdrlen = frame_l3_hdrlen(v4) + sizeof(struct udp_hdr);
	size_t whole = mtu_payload(u, v4);
	unsigned lent;

	r->n = lent = want < UDP_RX_MSGS ? want : UDP_RX_MSGS;
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

static void rx_messages(struct udp_io *io, const struct rx *r)
{
	unsigned k;

	for (k = 0; k < r->n; k++) {
		struct iovec *iov = &io->iov[2 * k];

		iov[0] = (struct iovec){ rx_place(r, k), r->head };
		iov[1] = (struct iovec){ io->tail[k] + r->head,
					 sizeof(io->tail[k]) - r->head };
		io->mm[k].msg_hdr = (struct msghdr){
			.msg_iov = iov, .msg_iovlen = 2,
			.msg_control = io->control[k].buf,
			.msg_controllen = sizeof(io->control[k].buf),
		};
	}
}

static void fill(struct udp *u, const struct flowside *s, struct txframe *tf,
		 const struct udp_meta *m, size_t len, size_t gso_size)
{
	const struct frame_addr a = {
		.dst_mac = guest_mac(u->guest, &s->eaddr),
		.src_mac = u->conf->our_mac, .src = &s->oaddr,
		.dst = &s->eaddr, .ttl = m->ttl, .tos = m->tos,
	};

	tf->len = len;
	frame_fill_udp(u->tap, tf, &a, s->oport, s->eport, (uint16_t)gso_size);
}

/* Messages at the beginning that are in place; their frames are filled */
static unsigned rx_in_place(struct udp *u, const struct flowside *s,
			    struct rx *r)
{
	size_t total = 0;
	unsigned k;

	for (k = 0; k < r->got; k++) {
		const struct udp_meta *m = &r->meta[k], *first = &r->meta[0];

		if (m->len > r->head)
			break;
		if (!r->pack) {
			fill(u, s, &r->frames[k], m, m->len,
			     m->gso_size);
			continue;
		}
		if (!m->len || m->gso_size || total % r->head ||
		    m->ttl != first->ttl || m->tos != first->tos)
			break;
		total += m->len;
	}
	if (r->pack && k)
		fill(u, s, &r->frames[0], &r->meta[0], total, r->head);
	return k;
}

/**
 * udp_rx_copy() - Send a message that is in a buffer of ours
 * @u:		UDP
 * @s:		From whom (ours) to which port of the guest (endpoint)
 * @m:		What is known about it
 * @data:	The buffer
 */
void udp_rx_copy(struct udp *u, const struct flowside *s,
		 const struct udp_meta *m, const uint8_t *data)
{
	size_t hdrlen = frame_l3_hdrlen(inany_is_v4(&s->oaddr)) +
			sizeof(struct udp_hdr);
	const struct frame_addr a = {
		.dst_mac = guest_mac(u->guest, &s->eaddr),
		.src_mac = u->conf->our_mac, .src = &s->oaddr,
		.dst = &s->eaddr, .ttl = m->ttl, .tos = m->tos,
	};
	struct txframe *tf;
	unsigned n = 1;

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
	memcpy(tf->payload, data, m->len);
	fill(u, s, tf, m, m->len, m->gso_size);
	u->lost += !tap_commit(u->tap, 1);
}

/* Hand over what was received. Frames end with the commit, so what is not in
 * place is moved before */
static void rx_deliver(struct udp *u, const struct flowside *s, struct rx *r)
{
	unsigned ready = rx_in_place(u, s, r), frames, k;

	for (k = ready; k < r->got; k++) {
		size_t len = r->meta[k].len < r->head ? r->meta[k].len : r->head;

		memcpy(u->io.tail[k], rx_place(r, k), len);
	}
	frames = r->pack && ready ? 1 : ready;
	if (frames)
		u->lost += frames - tap_commit(u->tap, frames);
	for (k = ready; k < r->got; k++)
		udp_rx_copy(u, s, &r->meta[k], u->io.tail[k]);
}

/* What sizes come: the base for receiving into one frame */
static void rx_learn(struct udp_rx_sizes *sizes, const struct rx *r)
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
 * udp_rx_read() - One recvmmsg() from a connected socket, for the guest
 * @u:		UDP: its tap, its arrays; counts what is lost
 * @fd:		Socket
 * @s:		From whom (ours) to which port of the guest (endpoint)
 * @sizes:	Kept from call to call
 * @want:	Messages to ask for, not 0
 * @more:	Set: there were as many as were asked for
 *
 * Return: messages received, 0 if there are none; -ENOBUFS if the tap has no
 * room
 */
/* #syscalls recvmmsg recvmsg */
int udp_rx_read(struct udp *u, int fd, const struct flowside *s,
		struct udp_rx_sizes *sizes, unsigned want, bool *more)
{
	struct rx r;
	unsigned k;
	int got;

	if (!rx_prepare(u, inany_is_v4(&s->oaddr), sizes, want, &r))
		return -ENOBUFS;
	rx_messages(&u->io, &r);
	got = recvmmsg(fd, u->io.mm, r.n, MSG_DONTWAIT, NULL);
	if (got <= 0)
		return 0;

	r.got = (unsigned)got;
	for (k = 0; k < r.got; k++)
		udp_meta_get(&r.meta[k], &u->io.mm[k]);
	rx_deliver(u, s, &r);
	rx_learn(sizes, &r);
	*more = r.got == r.n;
	return got;
}
