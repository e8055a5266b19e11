/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_msg.h - Messages of UDP sockets, and what comes along with them
 */

#ifndef UDP_MSG_H
#define UDP_MSG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "inany.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103		/* Linux 4.18 */
#endif
#ifndef UDP_GRO
#define UDP_GRO		104		/* Linux 5.0 */
#endif
#ifndef SOL_UDP
#define SOL_UDP		IPPROTO_UDP
#endif

#define UDP_SEGMENTS_MAX	64	/* datagrams of one message: udp(7) */
#define UDP_MESSAGE_MAX		65507	/* bytes of one, IPv4 */

/**
 * struct udp_meta - What is known about a received message
 * @len:	Bytes
 * @gso_size:	Bytes of a datagram if it is several, else 0
 * @ttl, @tos:	0 if unknown
 * @src, @sport:	Who sent it, unset if not asked for
 * @dst:	Address of this host that it was for and that an answer is to come
 *		from; unset if unknown
 * @group:	Multicast group that it was for, else unset
 * @scope:	Interface that @src is on, if that is link-local
 */
struct udp_meta {
	size_t len;
	uint16_t gso_size, sport;
	uint8_t ttl, tos;
	unsigned scope;
	union inany src, dst, group;
};

/**
 * struct udp_dest - Destination and source of messages
 * @sa, @len:	Destination; 0 for @len: the socket is connected to it
 * @src:	Source address, may be unspecified for @ifindex alone; NULL: the
 *		socket and the kernel choose
 * @ifindex:	Interface to leave by if @src is not NULL, 0: the routes tell
 */
struct udp_dest {
	union sockaddr_inany sa;
	socklen_t len;
	const union inany *src;
	unsigned ifindex;
};

void udp_meta_get(struct udp_meta *m, const struct mmsghdr *mm);
struct msghdr udp_message_to(const struct udp_dest *d, struct iovec *iov,
			     void *control);
void udp_put_segment_size(struct msghdr *mh, uint16_t size);
void udp_put_source(struct msghdr *mh, const union inany *src,
		    unsigned ifindex);

#endif /* UDP_MSG_H */
