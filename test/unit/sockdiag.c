/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Listeners of a namespace by sock_diag: they are found, and only the kernel is believed
 */

#include "sockdiag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>

#include "own_net.h"
#include "tap.h"

#define SEQ	7
#define FORGED	4321			/* port */

static unsigned found, forged;
static uint16_t want;

static void entry(const struct sockdiag_entry *e, void *arg)
{
	(void)arg;
	found += e->port == want;
	forged += e->port == FORGED;
}

static int listener(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (void *)&sin, sizeof(sin)) || listen(fd, 1) ||
	    getsockname(fd, (void *)&sin, &len))
		perror("# listener");
	want = ntohs(sin.sin_port);
	return fd;
}

static int dump(int fd)
{
	static uint32_t buf[SOCKDIAG_BUF / 4];

	found = forged = 0;
	return sockdiag_dump(fd, IPPROTO_TCP, AF_INET, SEQ, buf, entry, NULL);
}

/* Send a listener and the end of a dump, as the kernel would. Return: 0 on success */
static int forge(int to)
{
	struct {
		struct nlmsghdr nh;
		struct inet_diag_msg msg;
		struct nlmsghdr end;
		int done;
	} m = {
		.nh = { .nlmsg_len = sizeof(m.nh) + sizeof(m.msg),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_seq = SEQ,
			.nlmsg_flags = NLM_F_MULTI },
		.msg = { .idiag_family = AF_INET,
			 .id.idiag_sport = htons(FORGED) },
		.end = { .nlmsg_len = sizeof(m.end) + sizeof(m.done),
			 .nlmsg_type = NLMSG_DONE, .nlmsg_seq = SEQ,
			 .nlmsg_flags = NLM_F_MULTI },
	};
	struct sockaddr_nl at = { 0 }, self = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(at);
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG), rc;

	/* The kernel names a socket as it first sends, or is bound */
	rc = bind(to, (void *)&self, sizeof(self)) ||
	     getsockname(to, (void *)&at, &len) ||
	     sendto(fd, &m, sizeof(m), 0, (void *)&at, len) != sizeof(m);
	if (rc)
		perror("# forged");
	close(fd);
	return rc;
}

int main(void)
{
	int fd, l;

	if (!own_net()) {
		printf("1..0 # SKIP no network namespace for this user\n");
		return 0;
	}
	fd = sockdiag_open();
	if (fd < 0) {
		printf("1..0 # SKIP no sock_diag here\n");
		return 0;
	}
	is(dump(fd), 0, "a namespace without listeners is read");
	is(found, 0, "it has none");
	l = listener();
	is(dump(fd), 0, "one with a listener is read");
	is(found, 1, "which is found once");
	close(fd);

	fd = sockdiag_open();
	is(forge(fd), 0, "another process answers before the kernel");
	is(dump(fd), 0, "the dump is read");
	ok(found == 1 && !forged, "its answer counts for nothing, the kernel's does");
	close(fd);
	close(l);
	return done();
}
