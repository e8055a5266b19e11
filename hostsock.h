/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostsock.h - Sockets of flows on the host, as the user wants them
 */

#ifndef HOSTSOCK_H
#define HOSTSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "types.h"

/**
 * struct hostsock_hops - Settings of a socket for packets that it sends
 * @ttl:	TTL or hop limit, 0: the host's default
 * @tos:	TOS or traffic class
 * @df:		Don't fragment: 0: the host's default, 1: set, 2: not set
 */
struct hostsock_hops {
	uint8_t ttl, tos, df;
};

int hostsock_open(const struct conf *c, const struct hostnet *net,
		  const union inany *peer, int type, int protocol);
bool hostsock_is_local(const struct hostnet *net, const union inany *peer);
int hostsock_open_if(const struct conf *c, bool v4, int type, int protocol,
		     const char ifname[IFNAMSIZ]);
void hostsock_no_lowat(int fd);
void hostsock_stream_options(int fd);
void hostsock_set_int(int fd, int level, int option, int value);
void hostsock_recv_errors(int fd, bool v4);
void hostsock_recv_hops(int fd, bool v4);
void hostsock_recv_all(int fd, bool v4);
uint64_t hostsock_cookie(int fd);
void hostsock_set_df(int fd, bool v4, struct hostsock_hops *now, bool df);
void hostsock_set_hops(int fd, bool v4, struct hostsock_hops *now, uint8_t ttl,
		       uint8_t tos, bool df);
int hostsock_cmsg_int(const struct cmsghdr *cm);
bool hostsock_cmsg_hops(const struct cmsghdr *cm, uint8_t *ttl, uint8_t *tos);
int hostsock_error(int fd);
void hostsock_reset(int fd);

#endif /* HOSTSOCK_H */
