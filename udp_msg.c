/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_msg.c - Messages of UDP sockets, and what comes along with them
 */

#include "udp_msg.h"

#include <netinet/in.h>
#include <string.h>

#include "hostsock.h"

/* ---- Control messages ---- */

/* Address that a datagram was for. A dual-stack socket tells that of IPv4 as a
 * mapped one; IP_PKTINFO knows better for broadcasts: what to answer from */
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
 * udp_meta_get() - All about a message that recvmmsg() got
 * @m:		Filled in
 * @mm:		The message
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

/* Append a control message; @mh->msg_control has room, and zeroed memory */
static void put(struct msghdr *mh, int level, int type, const void *data,
		size_t len)
{
	struct cmsghdr *cm;

	cm = (void *)((uint8_t *)mh->msg_control + mh->msg_controllen);
	mh->msg_controllen += CMSG_SPACE(len);
	cm->cmsg_level = level;
	cm->cmsg_type = type;
	cm->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cm), data, len);
}

/**
 * udp_message_to() - A message without data yet
 * @d:		Where it goes
 * @iov:	For its data
 * @control:	For control messages
 */
struct msghdr udp_message_to(const struct udp_dest *d, struct iovec *iov,
			     void *control)
{
	struct msghdr mh = { .msg_iov = iov, .msg_control = control };

	if (d->len) {
		mh.msg_name = (void *)&d->sa;
		mh.msg_namelen = d->len;
	}
	if (d->src)
		udp_put_source(&mh, d->src, d->ifindex);
	return mh;
}

/**
 * udp_put_segment_size() - A message is to be sent as several datagrams
 * @mh:		The message; msg_control has room behind msg_controllen
 * @size:	Bytes of each
 */
void udp_put_segment_size(struct msghdr *mh, uint16_t size)
{
	put(mh, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
}

/**
 * udp_put_source() - A message is to be sent from this address, this way
 * @mh:		The message; msg_control has room behind msg_controllen
 * @src:	Address of this host, unspecified: the kernel chooses; also for an
 *		IPv6 socket that sends IPv4
 * @ifindex:	Interface, 0: the routes tell
 */
void udp_put_source(struct msghdr *mh, const union inany *src,
		    unsigned ifindex)
{
	struct in6_pktinfo info6 = {
		.ipi6_addr = src->a6, .ipi6_ifindex = ifindex,
	};
	struct in_pktinfo info4 = {
		.ipi_spec_dst = src->v4mapped.a4, .ipi_ifindex = (int)ifindex,
	};

	if (inany_is_v4(src))
		put(mh, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
	else
		put(mh, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
}
