/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_sock.h - Sockets of UDP flows, and what comes along with a datagram
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
 * @scope:	Interface that @src is on, if that is link-local
 */
struct udp_meta {
	size_t len;
	uint16_t gso_size, sport;
	uint8_t ttl, tos;
	unsigned scope;
	union inany src, dst;
};

/**
 * struct udp_dest - Where messages go, if the socket isn't connected to that
 * @sa, @len:	Address of it, 0 for @len: it is connected
 * @src:	What they are to come from, NULL: what the socket is bound to
 */
struct udp_dest {
	union sockaddr_inany sa;
	socklen_t len;
	const union inany *src;
};

/**
 * struct udp_shared - A socket that a flow may use, but does not own
 * @fd:		Descriptor, which may be closed, and another socket's later
 * @cookie:	Number of the socket
 * @dual:	It is an IPv6 socket, for both families
 */
struct udp_shared {
	int fd;
	bool dual;
	uint64_t cookie;
};

void udp_sock_bulk(int fd, bool gro);
int udp_sock_outbound(const struct conf *c, const struct flowside *host,
		      unsigned scope, bool gro);
int udp_sock_inbound(const struct conf *c, const struct flowside *host,
		     unsigned scope, const char ifname[IFNAMSIZ], bool gro);
int udp_sock_to_many(const struct conf *c, const struct flowside *host);
void udp_sock_set_many_ttl(int fd, bool v4, uint8_t ttl);
void udp_shared_set(struct udp_shared *s, int fd);
bool udp_shared_is_there(const struct udp_shared *s);
struct udp_dest udp_shared_dest(const struct udp_shared *s,
				const struct flowside *side, unsigned scope);
int udp_sock_between(int fd, const struct flowside *side, unsigned scope);
void udp_sock_clear_error(int fd);

void udp_meta_get(struct udp_meta *m, const struct mmsghdr *mm);
struct msghdr udp_message_to(const struct udp_dest *d, struct iovec *iov,
			     void *control);
void udp_put_segment_size(struct msghdr *mh, uint16_t size);
void udp_put_source(struct msghdr *mh, const union inany *src);

#endif /* UDP_SOCK_H */
