/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_sock.h - Host sockets of UDP, and what comes along with a datagram
 */

#ifndef UDP_SOCK_H
#define UDP_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "flow.h"
#include "types.h"

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
#define UDP_PORT_DNS		53

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

/**
 * struct udp_shared - A socket that a flow may use, but does not own
 * @fd:		Descriptor, which may be closed, and another socket's later
 * @v4, @v6:	Families that it sends and receives
 * @cookie:	Number of the socket
 */
struct udp_shared {
	int fd;
	bool v4, v6;
	uint64_t cookie;
};

void udp_sock_bulk(int fd, bool gro);
int udp_sock_port(const struct conf *c, const union inany *peer,
		  const union inany *addr, uint16_t *port);
bool udp_sock_is_own(const union inany *addr, unsigned scope);
void udp_sock_to_many(int fd, bool v4);
void udp_sock_set_many_ttl(int fd, bool v4, uint8_t ttl);
void udp_shared_set(struct udp_shared *s, int fd);
bool udp_shared_is_there(const struct udp_shared *s);
struct udp_dest udp_shared_dest(const struct udp_shared *s,
				const struct flowside *side, unsigned scope);
void udp_sock_clear_error(int fd);
unsigned udp_sock_discard(int fd);

void udp_meta_get(struct udp_meta *m, const struct mmsghdr *mm);
struct msghdr udp_message_to(const struct udp_dest *d, struct iovec *iov,
			     void *control);
void udp_put_segment_size(struct msghdr *mh, uint16_t size);
void udp_put_source(struct msghdr *mh, const union inany *src,
		    unsigned ifindex);

#endif /* UDP_SOCK_H */
