/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_sock.h - Host sockets of UDP
 */

#ifndef UDP_SOCK_H
#define UDP_SOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "types.h"
#include "udp_msg.h"

#define UDP_PORT_DNS		53

/**
 * struct udp_shared - A socket that a flow may use, but does not own
 * @fd:		Descriptor, which may be closed, and reused for another socket
 * @v4, @v6:	Families that the socket sends and receives
 * @cookie:	Number of the socket, see hostsock_cookie()
 */
struct udp_shared {
	int fd;
	bool v4, v6;
	uint64_t cookie;
};

void udp_sock_bulk(int fd, bool gro);
int udp_sock_port(const struct conf *c, const struct hostnet *net,
		  const union inany *peer, const union inany *addr,
		  uint16_t *port);
bool udp_sock_is_own(const union inany *addr, unsigned scope);
void udp_sock_to_many(int fd, bool v4);
void udp_sock_set_many_ttl(int fd, bool v4, uint8_t ttl);
void udp_shared_set(struct udp_shared *s, int fd);
bool udp_shared_is_there(const struct udp_shared *s);
struct udp_dest udp_shared_dest(const struct udp_shared *s,
				const struct flowside *side, unsigned scope);
void udp_sock_clear_error(int fd);
unsigned udp_sock_discard(int fd);

#endif /* UDP_SOCK_H */
