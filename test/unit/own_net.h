/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * own_net.h - A network namespace for a unit test alone
 *
 * In there, no port is in use by another program, nor by the same test in another
 * directory.
 */

#ifndef TEST_OWN_NET_H
#define TEST_OWN_NET_H

#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

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

#endif /* TEST_OWN_NET_H */
