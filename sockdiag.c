/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sockdiag.c - Find listening sockets of a network namespace by sock_diag(7)
 *
 * We ask for listeners only: TCP sockets in the state LISTEN, UDP sockets that
 * are not connected. The kernel keeps the former in a table of their own, so
 * the number of connections does not matter for the cost of the answer.
 *
 * The kernel produces a dump while it is read: the first part on the request,
 * each further one when the one before it is received. So no call here ever
 * waits, and all parts belong to one request. A kernel without a family or a
 * protocol reports ENOENT: then there are no such sockets.
 */

#include "sockdiag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

enum {
	PARTS_MAX	= 4096,		/* parts of a dump: 300 000 sockets */
};

/**
 * sockdiag_open() - Open a socket for the current network namespace
 *
 * Return: descriptor, negative errno
 */
int sockdiag_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

/* entry_read() - Read the kernel's entry; false if family or port is invalid */
static bool entry_read(struct sockdiag_entry *e,
		       const struct inet_diag_msg *msg)
{
	struct in_addr a4;
	struct in6_addr a6;

	if (msg->idiag_family == AF_INET) {
		memcpy(&a4, msg->id.idiag_src, sizeof(a4));
		e->addr = inany_from_v4(a4);
	} else if (msg->idiag_family == AF_INET6) {
		memcpy(&a6, msg->id.idiag_src, sizeof(a6));
		e->addr = inany_from_v6(&a6);
	} else {
		return false;
	}
	e->port = ntohs(msg->id.idiag_sport);
	e->cookie = (uint64_t)msg->id.idiag_cookie[1] << 32 |
		    msg->id.idiag_cookie[0];
	return e->port;
}

/* Arguments of entry_msg() */
struct walk {
	sockdiag_fn fn;
	void *arg;
	bool bad;			/* a message was too short */
};

static void entry_msg(const struct nlmsghdr *nh, void *arg)
{
	struct walk *w = arg;
	struct sockdiag_entry e;

	if (nh->nlmsg_type != SOCK_DIAG_BY_FAMILY || w->bad)
		return;
	if (nh->nlmsg_len < NLMSG_HDRLEN + sizeof(struct inet_diag_msg))
		w->bad = true;
	else if (entry_read(&e, NLMSG_DATA(nh)))
		w->fn(&e, w->arg);
}

/**
 * sockdiag_walk() - Go through one part of a dump
 * @buf:	As received, aligned to 4 bytes
 * @len:	Bytes
 * @seq:	Sequence number of the request
 * @fn:		Called for each socket
 * @arg:	For @fn
 *
 * Return: 1 if there is more to come, 0 at the end, negative errno
 */
int sockdiag_walk(const void *buf, size_t len, uint32_t seq, sockdiag_fn fn,
		  void *arg)
{
	struct nl_answer a = { .seq = seq };
	struct walk w = { .fn = fn, .arg = arg };
	int rc = nl_walk(&a, buf, len, entry_msg, &w);

	if (w.bad)
		return -EBADMSG;
	return rc == -ENOENT ? 0 : rc;
}

/* diag_request() - Ask for the listeners of a protocol and family */
/* #syscalls sendto send */
static int diag_request(int fd, uint8_t proto, sa_family_t family, uint32_t seq)
{
	struct {
		struct nlmsghdr nh;
		struct inet_diag_req_v2 req;
	} q = {
		.nh = { .nlmsg_len = sizeof(q), .nlmsg_seq = seq,
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.req = { .sdiag_family = family,
			 .sdiag_protocol = proto,
			 .idiag_states = proto == IPPROTO_TCP ?
					 1U << TCP_LISTEN : 1U << TCP_CLOSE },
	};

	return send(fd, &q, sizeof(q), MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* diag_drain() - Read a dump to its end, so that another one can start */
/* #syscalls recvfrom recv */
static void diag_drain(int fd, void *buf)
{
	int parts;

	for (parts = 0; parts < PARTS_MAX; parts++) {
		if (recv(fd, buf, SOCKDIAG_BUF, MSG_DONTWAIT) < 0)
			return;
	}
}

/*
 * diag_recv() - Receive a part of a dump
 *
 * Whoever has CAP_NET_ADMIN in the namespace can send to this socket as well.
 *
 * Return: bytes in @buf, 0 if it is not from the kernel, -EMSGSIZE if it was cut short,
 * other negative errno
 */
/* #syscalls recvfrom recv */
static ssize_t diag_recv(int fd, void *buf)
{
	struct sockaddr_nl from = { 0 };
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, buf, SOCKDIAG_BUF, MSG_DONTWAIT | MSG_TRUNC,
			     (struct sockaddr *)&from, &len);

	if (n < 0)
		return -errno;
	if (from.nl_pid)
		return 0;
	return n > SOCKDIAG_BUF ? -EMSGSIZE : n;
}

/**
 * sockdiag_dump() - Get all listeners of a protocol and family
 * @fd:		From sockdiag_open(), for the namespace in which it was called
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @family:	AF_INET, or AF_INET6 which includes dual-stack sockets
 * @seq:	Sequence number, another one for each call
 * @buf:	Scratch of SOCKDIAG_BUF bytes, aligned to 4
 * @fn:		Called for each listener
 * @arg:	For @fn
 *
 * Return: 0, negative errno; on an error @fn may have been called for some
 */
int sockdiag_dump(int fd, uint8_t proto, sa_family_t family, uint32_t seq,
		  void *buf, sockdiag_fn fn, void *arg)
{
	int rc = diag_request(fd, proto, family, seq), parts;

	for (parts = 0; !rc && parts < PARTS_MAX; parts++) {
		ssize_t n = diag_recv(fd, buf);

		if (!n)
			continue;
		if (n < 0 && n != -EMSGSIZE)
			return (int)n;
		rc = n < 0 ? (int)n : sockdiag_walk(buf, (size_t)n, seq, fn, arg);
		if (!rc)
			return 0;
		if (rc > 0)
			rc = 0;
	}
	diag_drain(fd, buf);
	return rc ? rc : -E2BIG;
}
