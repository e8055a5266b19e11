/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bound.h - Forwarding rules and their sockets, in a network namespace of the test
 */

#ifndef TEST_BOUND_H
#define TEST_BOUND_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../listen_change.h"
#include "../../log.h"
#include "../../nshelper.h"
#include "../../util.h"
#include "own_net.h"
#include "tap.h"

static struct listen l;
static struct loop lp;
static struct conf conf;
static struct hostnet hostnet;
static struct rules rules;
static struct fwd_rule list[8];		/* rules that a test wants */
static unsigned nlist;
static char said[4096];			/* the last messages */
static int said_fd;
static int net_host, net_ns;		/* namespaces */
static struct nshelper nsh;		/* of @net_ns */
static pid_t helper;

/* Messages go to a file; @said gets those since the last call */
static inline void hear(void)
{
	ssize_t n;

	n = pread(said_fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	if (ftruncate(said_fd, 0) || lseek(said_fd, 0, SEEK_SET))
		ok(false, "the file of messages can be emptied");
}

static inline bool hear_is(const char *wanted)
{
	bool same;

	hear();
	same = strstr(said, wanted);
	if (!same)
		printf("# got '%s', want '%s'\n", said, wanted);
	return same;
}

static inline void begin(void)
{
	memset(&conf, 0, sizeof(conf));
	nlist = 0;
	memset(&hostnet, 0, sizeof(hostnet));
	hostnet.ip4.enabled = hostnet.ip6.enabled = true;
	memset(&l, 0, sizeof(l));
	listen_init(&l, &conf, &hostnet, &lp, NULL, util_raise_nofile());
}

static inline struct fwd_rule *rule(uint8_t proto, uint16_t first, uint16_t last,
			     const char *spec)
{
	struct fwd_rule *r = &list[nlist++];

	*r = (struct fwd_rule){ .proto = proto, .first = first, .last = last,
				.to = first, .spec = spec };
	return r;
}

/* bind_all() - Bind the ports of the rules that the test wants */
static inline int bind_all(void)
{
	struct rules_clash clash;
	unsigned i;

	rules_init(&rules);
	for (i = 0; i < nlist; i++)
		if (rules_add(&rules, &list[i], NULL, &clash))
			ok(false, "the rules of the test are valid");
	return listen_apply(&l, &rules);
}

static inline union inany ip(const char *text)
{
	union inany a = { 0 };

	if (*text && !inany_pton(text, &a))
		ok(false, "an address of the test is valid");
	return a;
}

/* sock() - Somebody else's socket, "" for all addresses of both families */
static inline int sock(int type, const char *addr, uint16_t port)
{
	union inany a = ip(addr);
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&a, port, 0, &sa);
	int fd = socket(sa.sa.sa_family, type | SOCK_NONBLOCK, 0), on = 1;

	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &sa.sa, len) || (type == SOCK_STREAM && listen(fd, 5))) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline bool connects(const char *addr, uint16_t port)
{
	union inany a = ip(addr);
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&a, port, 0, &sa);
	int fd = socket(sa.sa.sa_family, SOCK_STREAM, 0), rc;

	rc = connect(fd, &sa.sa, len);
	close(fd);
	return !rc;
}

static inline bool is_free(int type, uint16_t port)
{
	int fd = sock(type, "", port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* event() - A socket that something came for */
static inline const struct listener *event(void)
{
	struct epoll_event ev;
	union epoll_ref ref;

	if (epoll_wait(lp.epfd, &ev, 1, 0) != 1)
		return NULL;
	ref.u64 = ev.data.u64;
	if (ref.kind != REF_LISTEN)
		return NULL;
	return listen_at(&l, ref.index);
}

/* fd_of() - Descriptor of a port, -1 if it is not bound */
static inline int fd_of(uint8_t proto, uint16_t port)
{
	uint32_t i;

	for (i = 0; i < l.n; i++) {
		const struct listener *at = listen_at(&l, i);

		if (at && at->port == port && listen_rule(&l, at)->proto == proto)
			return at->fd;
	}
	return -1;
}

static inline const struct fwd_rule *owner(uint8_t proto, uint16_t port)
{
	int fd = fd_of(proto, port);
	uint32_t i;

	for (i = 0; i < l.n; i++)
		if (fd >= 0 && l.l[i].fd == fd)
			return listen_rule(&l, &l.l[i]);
	return NULL;
}

static inline struct fwd_rule tcp_to(uint16_t first, uint16_t to, const char *addr)
{
	return (struct fwd_rule){
		.proto = IPPROTO_TCP, .first = first, .last = first, .to = to,
		.addr = ip(addr), .spec = "new",
	};
}

/* step_all() - Make a change in the smallest slices; number of slices */
static inline unsigned step_all(void)
{
	unsigned n = 1;

	while (listen_step(&l, 0)) {
		l.udp_closed = false;
		n++;
	}
	return n;
}

/* info_of() - State of the rule with this first port */
static inline struct listen_info info_of(uint16_t first)
{
	struct listen_info info = { 0 };
	const struct fwd_rule *r = NULL;

	while ((r = rules_next(&l.rules, r)))
		if (r->first == first)
			listen_info(&l, r, &info);
	return info;
}

static inline void timer_fires(void)
{
	wheel_cancel(&lp.wheel, &l.timer);
	listen_timer(&l);
	step_all();
}

static inline bool up(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), rc;

	strcpy(ifr.ifr_name, name);
	rc = ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return !rc;
}

static inline void enter(int net)
{
	if (setns(net, CLONE_NEWNET))
		ok(false, "namespaces can be changed");
}

static inline int ns_sock(int type, const char *addr, uint16_t port)
{
	int fd;

	enter(net_ns);
	fd = sock(type, addr, port);
	enter(net_host);
	return fd;
}

static inline bool ns_connects(const char *addr, uint16_t port)
{
	bool yes;

	enter(net_ns);
	yes = connects(addr, port);
	enter(net_host);
	return yes;
}

/* own_start() - Enter a namespace, and listen to messages; false: the test is skipped */
static inline bool own_start(const char *name)
{
	char path[] = "/tmp/bound-unit-XXXXXX";

	if (own_unshare(CLONE_NEWNET) || !up("lo")) {
		printf("1..0 # SKIP no namespaces for this user\n");
		return false;
	}
	said_fd = mkstemp(path);
	unlink(path);
	log_init(name);
	fflush(stdout);
	if (said_fd < 0 || dup2(said_fd, STDERR_FILENO) < 0)
		exit(1);
	loop_init(&lp);
	return true;
}

/* A second namespace, with a helper in it that makes sockets */
static inline bool namespaces(void)
{
	int ends[2];

	net_host = open("/proc/self/ns/net", O_RDONLY);
	if (unshare(CLONE_NEWNET) || !up("lo") ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		return ok(false, "there is another namespace");
	net_ns = open("/proc/self/ns/net", O_RDONLY);
	helper = fork();
	if (!helper) {
		close(ends[0]);
		nshelper_run(ends[1]);
	}
	close(ends[1]);
	enter(net_host);
	return ok(!nshelper_start(&nsh, ends[0], &lp, 1024),
	   "the namespace has a helper");
}

#endif /* TEST_BOUND_H */
