/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_msg.c - Messages of UDP sockets, and their control messages
 *
 * Nothing here makes a system call or knows a flow. Both ways of UDP, through the tap
 * and past it, describe datagrams to send by struct udp_data and share the arrays of
 * struct udp_io.
 *
 * Datagrams of one size in a row become one message (UDP_SEGMENT), and so do those that
 * arrived as one: in an unsegmented frame of the guest, or by UDP_GRO. The last datagram
 * of a message may be shorter. A message has at most UDP_SEGMENTS_MAX datagrams and
 * UDP_MESSAGE_MAX bytes; a single datagram may be longer (IPv6).
 */

#include "udp_msg.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include "hostsock.h"

static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) +
	      3 * CMSG_SPACE(sizeof(int)) <= UDP_CONTROL,
	      "address, TTL, TOS, UDP_GRO");

/* Received messages ---------------------------------------------------------- */

/* Get the address that a datagram was sent to. A dual-stack socket reports an IPv4
 * address as a mapped one, too; of a broadcast only IP_PKTINFO has the address to answer
 * from */
static void get_dst(struct udp_meta *m, const struct cmsghdr *cm)
{
	union inany to = { 0 };
	struct in6_pktinfo info6;
	struct in_pktinfo info4;

	if (cm->cmsg_level == IPPROTO_IP && cm->cmsg_type == IP_PKTINFO) {
		memcpy(&info4, CMSG_DATA(cm), sizeof(info4));
		m->dst = inany_from_v4(info4.ipi_spec_dst);
		to = inany_from_v4(info4.ipi_addr);
	} else if (cm->cmsg_level == IPPROTO_IPV6 &&
		   cm->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info6, CMSG_DATA(cm), sizeof(info6));
		to = inany_from_v6(&info6.ipi6_addr);
		if (!inany_is_set(&m->dst))
			m->dst = to;
	}
	if (inany_is_multicast(&to))
		m->group = to;
}

/**
 * udp_meta_get() - Read the sender and the control messages of a received message
 * @m:		Filled in
 * @mm:		The message, by recvmmsg()
 */
void udp_meta_get(struct udp_meta *m, const struct mmsghdr *mm)
{
	struct msghdr mh = mm->msg_hdr;
	const union sockaddr_inany *sa = mh.msg_name;
	struct cmsghdr *cm;
	int v;

	*m = (struct udp_meta){ .len = mm->msg_len };
	if (sa && mh.msg_namelen &&
	    inany_from_sockaddr(sa, &m->src, &m->sport) &&
	    sa->sa.sa_family == AF_INET6)
		m->scope = sa->sin6.sin6_scope_id;
	for (cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm)) {
		if (cm->cmsg_level == SOL_UDP && cm->cmsg_type == UDP_GRO) {
			v = hostsock_cmsg_int(cm);
			if (v > 0 && (size_t)v < m->len)
				m->gso_size = (uint16_t)v;
		} else if (!hostsock_cmsg_hops(cm, &m->ttl, &m->tos)) {
			get_dst(m, cm);
		}
	}
}

/**
 * udp_meta_run() - Count messages at the start that have one sender and destination
 * @m:		Messages
 * @n:		Number of messages, not 0
 */
unsigned udp_meta_run(const struct udp_meta *m, unsigned n)
{
	unsigned i;

	for (i = 1; i < n; i++)
		if (!udp_meta_is_alike(&m[i], m))
			break;
	return i;
}

/* Messages to send ----------------------------------------------------------- */

/* Append a control message; @mh->msg_control has room */
static void put_control(struct msghdr *mh, int level, int type,
			const void *data, size_t len)
{
	struct cmsghdr *cm;

	cm = (void *)((uint8_t *)mh->msg_control + mh->msg_controllen);
	mh->msg_controllen += CMSG_SPACE(len);
	cm->cmsg_level = level;
	cm->cmsg_type = type;
	cm->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cm), data, len);
}

/* Set source address (unspecified: the kernel chooses) and outgoing interface (0: by
 * the routes) of a message */
static void put_source(struct msghdr *mh, const union inany *src,
		       unsigned ifindex)
{
	struct in6_pktinfo info6 = {
		.ipi6_addr = src->a6, .ipi6_ifindex = ifindex,
	};
	struct in_pktinfo info4 = {
		.ipi_spec_dst = src->v4mapped.a4, .ipi_ifindex = (int)ifindex,
	};

	if (inany_is_v4(src))
		put_control(mh, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
	else
		put_control(mh, IPPROTO_IPV6, IPV6_PKTINFO, &info6,
			    sizeof(info6));
}

/* Return: a message without data */
static struct msghdr message_to(const struct udp_dest *d, struct iovec *iov,
				void *control)
{
	struct msghdr mh = { .msg_iov = iov, .msg_control = control };

	if (d->len) {
		mh.msg_name = (void *)&d->sa;
		mh.msg_namelen = d->len;
	}
	if (d->src)
		put_source(&mh, d->src, d->ifindex);
	return mh;
}

/* Append the next @bytes to a message, which may grow to @room parts, and step over
 * them; false if they don't fit */
static bool take_bytes(struct udp_cursor *c, struct msghdr *mh, size_t bytes,
		 size_t room)
{
	const struct view *v = &c->d[c->i].bytes;
	unsigned parts = view_parts(v, c->off, bytes,
				    mh->msg_iov + mh->msg_iovlen,
				    (unsigned)(room - mh->msg_iovlen));

	if (bytes && !parts)
		return false;
	mh->msg_iovlen += parts;
	c->off += bytes;
	if (c->off >= v->len) {
		c->off = 0;
		c->i++;
	}
	return true;
}

/* Append datagrams of @size bytes, and a last shorter one. Return: their number */
static unsigned take_equal(struct udp_cursor *c, struct msghdr *mh, size_t size,
			   size_t room)
{
	size_t total = 0;
	unsigned n = 0;

	while (c->i < c->n && n < UDP_SEGMENTS_MAX) {
		const struct udp_data *d = &c->d[c->i];
		size_t len = d->bytes.len;

		if (!len || len > size || d->size != len ||
		    (n && total + len > UDP_MESSAGE_MAX) ||
		    !take_bytes(c, mh, len, room))
			break;
		total += len;
		n++;
		if (len < size)
			break;
	}
	return n;
}

/* Build the next message, of @room parts at most; true if it carries several datagrams
 * (UDP_SEGMENT) */
static bool build_message(struct udp_cursor *c, struct msghdr *mh,
			  size_t gso_max, size_t room)
{
	const struct udp_data *d = &c->d[c->i];
	size_t size = d->size, left = d->bytes.len - c->off, bytes;
	const uint16_t segment = (uint16_t)size;
	bool segmented;

	if (size > gso_max || !size) {
		take_bytes(c, mh, left < size ? left : size, room);
		return false;
	}
	if (d->bytes.len > size) {
		bytes = size < UDP_MESSAGE_MAX ? UDP_MESSAGE_MAX / size : 1;
		if (bytes > UDP_SEGMENTS_MAX)
			bytes = UDP_SEGMENTS_MAX;
		bytes *= size;
		if (bytes > left)
			bytes = left;
		take_bytes(c, mh, bytes, room);
		segmented = bytes > size;
	} else {
		segmented = take_equal(c, mh, size, room) > 1;
	}
	if (segmented)
		put_control(mh, SOL_UDP, UDP_SEGMENT, &segment,
			    sizeof(segment));
	return segmented;
}

/**
 * udp_msg_build() - Build messages for one sendmmsg()
 * @io:		Arrays: @mm, @iov, @control and @segmented are filled in
 * @d:		Destination and source of all
 * @c:		Position of the first datagram; none of them is in more than
 *		VIEW_PARTS_MAX pieces
 * @gso_max:	Largest datagram that may share a message with others, bytes
 * @at:		Start of each message is filled in, and the end of the last
 *
 * Return: number of messages
 */
unsigned udp_msg_build(struct udp_io *io, const struct udp_dest *d,
		       struct udp_cursor c, size_t gso_max,
		       struct udp_cursor at[UDP_TX_MSGS + 1])
{
	const size_t iov_max = sizeof(io->iov) / sizeof(io->iov[0]);
	size_t used = 0;
	unsigned k;

	for (k = 0; k < UDP_TX_MSGS && c.i < c.n; k++) {
		struct msghdr *mh = &io->mm[k].msg_hdr;

		if (iov_max - used < VIEW_PARTS_MAX)
			break;
		*mh = message_to(d, io->iov + used, io->control[k].buf);
		at[k] = c;
		io->segmented[k] = build_message(&c, mh, gso_max,
						 iov_max - used);
		/* Without progress, senders would go on for ever */
		assert(c.i > at[k].i || c.off > at[k].off);
		used += mh->msg_iovlen;
	}
	at[k] = c;
	return k;
}
