/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * own_net.h - A network namespace for a unit test alone
 *
 * In there, no port is in use by another program, nor by the same test in another
 * directory.
 */

#ifndef TEST_OWN_NET_H
#define TEST_OWN_NET_H

#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inany.h"

/* own_unshare() - Enter new namespaces, and a user namespace for the right to do so. An
 * emulator of another machine is refused that one, since it has threads: then it has to
 * have the right already */
static inline int own_unshare(int flags)
{
	return unshare(CLONE_NEWUSER | flags) && unshare(flags);
}

/* own_net() - Move to a new network namespace with a loopback; false, and no change, if
 * this user may not make one */
static inline bool own_net(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, rc;

	if (own_unshare(CLONE_NEWNET)) {
		printf("# no network namespace for this user\n");
		return false;
	}
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	rc = ioctl(fd, SIOCSIFFLAGS, &ifr);
	if (rc)
		perror("# lo");
	close(fd);
	return !rc;
}

/* own_address() - Give the loopback another address, of either family; the @n-th one of
 * the test. An IPv6 address can be used after a moment */
static inline void own_address(const union inany *a, unsigned n)
{
	bool v4 = inany_is_v4(a);
	struct in6_ifreq r6 = { .ifr6_addr = a->a6, .ifr6_prefixlen = 128,
				.ifr6_ifindex = (int)if_nametoindex("lo") };
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0), tries = 5000;
	struct ifreq r4 = { 0 };
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(a, 0, 0, &sa);

	snprintf(r4.ifr_name, sizeof(r4.ifr_name), "lo:%u", n);
	memcpy(&r4.ifr_addr, &sa, sizeof(r4.ifr_addr));
	if (ioctl(fd, SIOCSIFADDR, v4 ? (void *)&r4 : (void *)&r6))
		perror("# address");
	while (bind(fd, &sa.sa, len) && tries--)
		usleep(1000);
	close(fd);
}

#endif /* TEST_OWN_NET_H */
