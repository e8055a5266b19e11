/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_msg.h - Messages of UDP sockets, and their control messages
 */

#ifndef UDP_MSG_H
#define UDP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "inany.h"
#include "view.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103		/* Linux 4.18 */
#endif
#ifndef UDP_GRO
#define UDP_GRO		104		/* Linux 5.0 */
#endif
#ifndef SOL_UDP
#define SOL_UDP		IPPROTO_UDP
#endif

#define UDP_RX_MSGS	32		/* messages of one recvmmsg() */
#define UDP_TX_MSGS	64		/* messages of one sendmmsg() */
#define UDP_PARTS	(UDP_TX_MSGS + VIEW_PARTS_MAX)	/* pieces of all messages */
#define UDP_CONTROL	128		/* bytes of control messages of each */
#define UDP_LEN_MAX	65527		/* bytes of a datagram: RFC 768, RFC 8200 */
#define UDP_SEGMENTS_MAX	64	/* datagrams of one message: udp(7) */
#define UDP_MESSAGE_MAX		65507	/* bytes of one, IPv4 */

/**
 * struct udp_meta - A received message without its data
 * @len:	Length, bytes
 * @gso_size:	Length of a datagram if the message has several, bytes; else 0
 * @ttl, @tos:	TTL or hop limit, TOS or traffic class; 0: unknown
 * @src, @sport:	Sender, unset: not asked for
 * @dst:	Address of this host that the message was sent to, and that an answer
 *		is to come from; unset: unknown
 * @group:	Multicast group that the message was sent to, else unset
 * @scope:	Interface of a link-local sender
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
 * @sa, @len:	Destination and its length; 0 for @len: the socket is connected
 * @src:	Source address, unspecified: the kernel chooses; NULL: there is no
 *		@ifindex either
 * @ifindex:	Outgoing interface, 0: by the routes
 */
struct udp_dest {
	union sockaddr_inany sa;
	socklen_t len;
	const union inany *src;
	unsigned ifindex;
};

/**
 * struct udp_data - Datagrams to send
 * @bytes:	Payload of one datagram, or of several back to back
 * @size:	Length of each datagram but the last, which may be shorter, bytes
 */
struct udp_data {
	struct view bytes;
	size_t size;
};

/**
 * struct udp_cursor - Position in a run of datagrams
 * @d, @n:	The run
 * @i:		Index in @d of the next bytes
 * @off:	Offset of the next bytes in @d[@i]
 */
struct udp_cursor {
	const struct udp_data *d;
	unsigned n, i;
	size_t off;
};

/**
 * struct udp_io - Arrays for system calls, not used between them
 * @control:	Control messages
 * @segmented:	Messages to send that have several datagrams (UDP_SEGMENT)
 * @name:	Senders
 * @buf:	Received messages. Of those received into frames: the tail of a message
 *		that is too long for its frame, with space in front for the head
 */
struct udp_io {
	struct mmsghdr mm[UDP_TX_MSGS];
	struct iovec iov[UDP_PARTS];
	union {
		size_t align;
		uint8_t buf[UDP_CONTROL];
	} control[UDP_TX_MSGS];
	bool segmented[UDP_TX_MSGS];
	union sockaddr_inany name[UDP_RX_MSGS];
	uint8_t buf[UDP_RX_MSGS][UDP_LEN_MAX + 1];
};

/**
 * udp_msg_expect() - Prepare the receipt of a message
 * @io:		Arrays
 * @k:		Which message, below UDP_RX_MSGS
 * @iov:	Pieces of a frame for the head of the message; one more entry is filled
 *		in, for the tail. In @io->iov
 * @parts:	Pieces of the frame, 0: there is no frame
 * @head:	Room in these pieces, bytes. The tail goes to @io->buf[@k] + @head
 */
static inline void udp_msg_expect(struct udp_io *io, unsigned k,
				  struct iovec *iov, unsigned parts,
				  size_t head)
{
	iov[parts] = (struct iovec){
		io->buf[k] + head, sizeof(io->buf[k]) - head
	};
	io->mm[k].msg_hdr = (struct msghdr){
		.msg_name = &io->name[k], .msg_namelen = sizeof(io->name[k]),
		.msg_iov = iov, .msg_iovlen = parts + 1,
		.msg_control = io->control[k].buf,
		.msg_controllen = sizeof(io->control[k].buf),
	};
}

/* udp_data_of() - A received message as data to send */
static inline struct udp_data udp_data_of(const struct udp_meta *m,
					  const uint8_t *bytes)
{
	return (struct udp_data){
		view_of(bytes, m->len), m->gso_size ? m->gso_size : m->len
	};
}

/* udp_meta_is_alike() - Have two messages the same sender and destination? */
static inline bool udp_meta_is_alike(const struct udp_meta *a,
				     const struct udp_meta *b)
{
	return a->sport == b->sport && inany_equals(&a->src, &b->src) &&
	       inany_equals(&a->dst, &b->dst) &&
	       inany_equals(&a->group, &b->group);
}

/* udp_meta_default_dst() - Set the destination to the address that the socket is bound
 * to (unset: any), if the kernel did not report it */
static inline void udp_meta_default_dst(struct udp_meta *m,
					const union inany *dst)
{
	if (inany_is_set(&m->dst) && !inany_is_multicast(&m->dst))
		return;
	m->dst = inany_is_set(dst) ? *dst :
				     inany_unspecified(inany_is_v4(&m->src));
}

void udp_meta_get(struct udp_meta *m, const struct mmsghdr *mm);
unsigned udp_meta_run(const struct udp_meta *m, unsigned n);
unsigned udp_msg_build(struct udp_io *io, const struct udp_dest *d,
		       struct udp_cursor c, size_t gso_max,
		       struct udp_cursor at[UDP_TX_MSGS + 1]);

#endif /* UDP_MSG_H */
