/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relay between a tap device and sockets that does nothing but the unavoidable system
 * calls: the measure for pasta. It trusts everybody, resends nothing, handles no error,
 * and ends when the test does: of no other use. Its guest is the kernel of the network
 * namespace of PID, where it makes the device NAME, without ARP. "ready" tells that the
 * device is there.
 *
 *	baretap NAME PID out		connections of the guest, which sends
 *	baretap NAME PID in N		N connections of the guest, which receives
 *	baretap NAME PID once		the guest's dialogues (crr.c, load rr), one by one
 *	baretap NAME PID once-in PORT	those of a host's clients to PORT of the guest
 *	baretap NAME PID many		the same as "once", any number at a time
 *	baretap NAME PID many-in PORT
 *	baretap NAME PID udp-out	datagrams of the guest
 *	baretap NAME PID udp-in N SIZE	datagrams of SIZE bytes for N sockets of the guest,
 *					each of which has sent one; 0: as they come (UDP_GRO)
 *
 * Bulk and single dialogues block in a call for each step, so that no readiness has to
 * be asked for. Several connections of dialogues share one epoll_wait().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frames.h"

#define VNET		10			/* bytes before each frame */
#define HEADERS		(VNET + ETH + IP + TCP)
#define UDP_HEADERS	(VNET + ETH + IP + UDP)
#define PAYLOAD_MAX	(65535 - IP - TCP)
#define FRAME_MAX	(VNET + ETH + 65535)
#define GSO_UDP		5			/* VIRTIO_NET_HDR_GSO_UDP_L4 */
#define OFFLOAD_USO	(0x20 | 0x40)		/* TUN_F_USO4, TUN_F_USO6 */
#define BATCH		64			/* datagrams of a call */
#define DATAGRAMS_MAX	65507			/* bytes of them */
#define EVENTS		64

/* A connection or flow; @ends are those of frames to the guest */
struct conn {
	int fd;
	struct ends ends;
	uint32_t rcv, nxt, una, wnd;
	unsigned mss, wscale;
	bool ended;				/* the guest has sent its FIN */
};

static struct conn conns[65536];		/* by the port that differs among them */
static bool inbound;				/* that of the peer, not that of the guest */
static int tap = -1;
static uint8_t guest_mac[6];
static uint8_t frame[FRAME_MAX];

static void die(const char *what)
{
	fprintf(stderr, "baretap: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* --- the device ------------------------------------------------------------------- */

static int netns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static void tap_open(const char *name, const char *pid)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	const unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | OFFLOAD_USO;
	int home = netns("/proc/self/ns/net");
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	if (setns(netns(path), CLONE_NEWNET))
		die(path);
	tap = open("/dev/net/tun", O_RDWR);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &ifr) || ioctl(tap, TUNSETOFFLOAD, offloads) ||
	    ioctl(tap, SIOCGIFHWADDR, &ifr))
		die("tap device");
	memcpy(guest_mac, ifr.ifr_hwaddr.sa_data, 6);
	if (setns(home, CLONE_NEWNET))
		die("setns");
	puts("ready");
	fflush(stdout);
}

static void tap_block(bool on)
{
	fcntl(tap, F_SETFL, on ? 0 : O_NONBLOCK);
}

/* The next frame, behind its virtio-net header. Return: its length, 0: there is none */
static size_t tap_read(uint8_t *to)
{
	ssize_t n = read(tap, to, FRAME_MAX);

	if (n < 0 && errno != EAGAIN)
		die("tap");
	return n > VNET ? (size_t)n - VNET : 0;
}

/* Send @len bytes of payload behind the room for headers in @f */
static void tap_tcp(uint8_t *f, struct conn *c, unsigned flags, size_t len)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .csum_start = ETH + IP, .csum_offset = 16 };
	size_t head = put_tcp(f + VNET, &c->ends, flags, c->nxt, c->rcv, c->mss, len);

	if (len > c->mss) {
		v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		v.gso_size = c->mss;
		v.hdr_len = ETH + IP + TCP;
	}
	memcpy(f, &v, sizeof(v));
	c->nxt += len + !!(flags & (SYN | FIN));
	if (write(tap, f, VNET + head + len) < 0)
		die("frame to the guest");
}

static void tap_tcp_bare(struct conn *c, unsigned flags)
{
	uint8_t f[HEADERS + 64] = { 0 };

	tap_tcp(f, c, flags, 0);
}

/* --- connections -------------------------------------------------------------------- */

static void dial(struct conn *c, int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = c->ends.sport,
				 .sin_addr.s_addr = c->ends.saddr };

	c->fd = socket(AF_INET, type, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)))
		die("connect");
}

/* The ends of frames in answer to @h */
static void answer_ends(struct ends *e, const uint8_t *h)
{
	memcpy(e->dmac, guest_mac, 6);
	memcpy(e->smac, guest_mac, 6);
	memcpy(&e->saddr, h + ETH + 16, 4);
	memcpy(&e->daddr, h + ETH + 12, 4);
	memcpy(&e->sport, h + ETH + IP + 2, 2);
	memcpy(&e->dport, h + ETH + IP, 2);
}

/* The guest's SYN, or its answer to ours */
static void take_syn(struct conn *c, const uint8_t *h, const struct tcp_seen *s)
{
	c->rcv = s->seq + 1;
	c->mss = s->mss;
	c->wscale = s->wscale;
	c->wnd = s->wnd;
	c->ended = false;
	if (s->flags & ACK) {
		c->una = s->ack;
		return;
	}
	answer_ends(&c->ends, h);
	dial(c, SOCK_STREAM);
	c->una = c->nxt;
	tap_tcp_bare(c, SYN | ACK);
}

/* Take note of what the frame at @frame says. Return: its connection, NULL: none */
static struct conn *take_frame(size_t len, struct tcp_seen *s)
{
	const uint8_t *h = frame + VNET;
	struct conn *c;

	if (!len || !get_tcp(h, len, s))
		return NULL;
	c = &conns[get16(h + ETH + IP + (inbound ? 2 : 0))];
	if (s->flags & SYN) {
		take_syn(c, h, s);
		return c;
	}
	c->una = s->ack;
	c->wnd = s->wnd << c->wscale;
	c->rcv += s->len + (s->flags & FIN);
	if (s->flags & FIN)
		c->ended = true;
	return c;
}

static void send_payload(struct conn *c, const struct tcp_seen *s)
{
	if (send(c->fd, frame + VNET + s->hdrlen, s->len, MSG_NOSIGNAL) != (ssize_t)s->len)
		die("peer");
}

/* Receive once and pass it on. Return: as recv() */
static ssize_t answer(struct conn *c, size_t most, int flags)
{
	ssize_t n = recv(c->fd, frame + HEADERS, most, flags);

	if (n >= 0)
		tap_tcp(frame, c, n ? ACK | PSH : ACK | FIN, (size_t)n);
	return n;
}

/* --- bulk ----------------------------------------------------------------------------- */

static void bulk_out(void)
{
	struct tcp_seen s;
	struct conn *c;

	for (;;) {
		c = take_frame(tap_read(frame), &s);
		if (!c || (s.flags & SYN))
			continue;
		if (s.flags & RST)
			exit(0);
		if (s.len) {
			send_payload(c, &s);
			tap_tcp_bare(c, ACK);
		}
		if (s.flags & FIN) {
			shutdown(c->fd, SHUT_WR);
			tap_tcp_bare(c, ACK | FIN);
		}
	}
}

static struct conn *bulk[256];
static int n_bulk;

/* Bytes of the largest frame; 0: the window has no room for one */
static size_t room(const struct conn *c)
{
	size_t most = PAYLOAD_MAX / c->mss * c->mss;

	return c->una + c->wnd - c->nxt >= most ? most : 0;
}

/* Take one frame of the guest, which ends the program by ending a connection */
static bool acknowledged(void)
{
	struct tcp_seen s;
	struct conn *c = take_frame(tap_read(frame), &s);

	if (c && s.flags & (RST | FIN))
		exit(0);
	if (c && s.flags & SYN)
		bulk[n_bulk++] = c;
	return c;
}

/* Sleep until a connection whose window is open has data, or the guest has a frame */
static void bulk_sleep(void)
{
	struct pollfd p[257] = { { .fd = tap, .events = POLLIN } };
	int i, n = 1;

	for (i = 0; i < n_bulk; i++)
		if (room(bulk[i]))
			p[n++] = (struct pollfd){ .fd = bulk[i]->fd, .events = POLLIN };
	poll(p, (nfds_t)n, -1);
}

static void bulk_in(int n)
{
	int i;

	while (n_bulk < n)
		acknowledged();
	while (n == 1) {
		while (!room(bulk[0]))
			acknowledged();
		answer(bulk[0], room(bulk[0]), 0);
	}
	for (tap_block(false);;) {
		bool some = false;

		for (i = 0; i < n; i++) {
			if (!room(bulk[i]))
				while (acknowledged())
					;
			if (room(bulk[i]))
				some |= answer(bulk[i], room(bulk[i]), MSG_DONTWAIT) > 0;
		}
		if (!some)
			bulk_sleep();
	}
}

/* --- dialogues --------------------------------------------------------------------------- */

static void once_out(void)
{
	struct tcp_seen s;
	struct conn *c;

	for (;;) {
		c = take_frame(tap_read(frame), &s);
		if (!c || (s.flags & SYN))
			continue;
		if (s.len) {
			send_payload(c, &s);
			answer(c, PAYLOAD_MAX, 0);
		}
		if (s.flags & FIN) {
			shutdown(c->fd, SHUT_WR);
			answer(c, PAYLOAD_MAX, 0);
			close(c->fd);
		}
	}
}

static int serve(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	inbound = true;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1024))
		die("listen");
	return fd;
}

/* Accept a connection, and send its SYN */
static struct conn *accept_one(int lfd)
{
	struct sockaddr_in from, to;
	socklen_t len = sizeof(from);
	struct conn *c;
	int fd = accept(lfd, (struct sockaddr *)&from, &len);

	if (fd < 0)
		return NULL;
	getsockname(fd, (struct sockaddr *)&to, &len);
	c = &conns[ntohs(from.sin_port)];
	*c = (struct conn){ .fd = fd, .nxt = c->nxt + 100000, .mss = 65495,
			    .ends = { .saddr = from.sin_addr.s_addr,
				      .daddr = to.sin_addr.s_addr,
				      .sport = from.sin_port, .dport = to.sin_port } };
	memcpy(c->ends.dmac, guest_mac, 6);
	memcpy(c->ends.smac, guest_mac, 6);
	tap_tcp_bare(c, SYN);
	return c;
}

/* Wait for a segment of the connection with data, or one of @flags */
static void await(struct conn *c, struct tcp_seen *s, unsigned flags)
{
	while (take_frame(tap_read(frame), s) != c || (!s->len && !(s->flags & flags)))
		;
}

static void once_in(int port)
{
	int lfd = serve(port);
	struct tcp_seen s;
	struct conn *c;

	for (;;) {
		c = accept_one(lfd);
		await(c, &s, SYN);
		while (answer(c, PAYLOAD_MAX, 0) > 0) {
			await(c, &s, FIN);
			if (s.len)
				send_payload(c, &s);
		}
		if (!c->ended)
			await(c, &s, FIN);
		close(c->fd);
		tap_tcp_bare(c, ACK);
	}
}

static int poller;

static void watch(int fd, void *what, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = what };

	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e))
		die("epoll");
}

/* One frame of the guest */
static bool many_frame(void)
{
	struct tcp_seen s;
	size_t len = tap_read(frame);
	struct conn *c = take_frame(len, &s);

	if (!c)
		return len;
	if (s.flags & SYN) {
		if (inbound)
			tap_tcp_bare(c, ACK);
		watch(c->fd, c, EPOLLIN | EPOLLRDHUP | EPOLLET);
	}
	if (s.len)
		send_payload(c, &s);
	if (s.flags & FIN) {
		if (inbound) {
			close(c->fd);
			tap_tcp_bare(c, ACK);
		} else {
			shutdown(c->fd, SHUT_WR);
		}
	}
	return true;
}

static void many_event(const struct epoll_event *e)
{
	struct conn *c = e->data.ptr;
	ssize_t n = answer(c, PAYLOAD_MAX, MSG_DONTWAIT);

	if (n > 0 && e->events & EPOLLRDHUP)
		n = answer(c, PAYLOAD_MAX, MSG_DONTWAIT);
	if (!n && c->ended)
		close(c->fd);
}

static void many(int port)
{
	int lfd = port ? serve(port) : -1, i, n;
	struct epoll_event e[EVENTS];

	poller = epoll_create1(0);
	tap_block(false);
	watch(tap, &tap, EPOLLIN);
	if (port) {
		fcntl(lfd, F_SETFL, O_NONBLOCK);
		watch(lfd, &inbound, EPOLLIN);
	}
	for (;;) {
		n = epoll_wait(poller, e, EVENTS, -1);
		for (i = 0; i < n; i++) {
			if (e[i].data.ptr == &tap)
				while (many_frame())
					;
			else if (e[i].data.ptr == &inbound)
				accept_one(lfd);
			else
				many_event(&e[i]);
		}
	}
}

/* --- datagrams ------------------------------------------------------------------------------ */

static uint8_t frames[BATCH][FRAME_MAX], *slot[BATCH];

static struct conn *udp_flow(const uint8_t *h)
{
	struct conn *c = &conns[get16(h + ETH + IP)];

	if (c->fd > 0)
		return c;
	answer_ends(&c->ends, h);
	dial(c, SOCK_DGRAM);
	return c;
}

static void send_segments(struct conn *c, struct iovec *iov, size_t n, unsigned size)
{
	char control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	uint16_t segment = size;

	if (size) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ CMSG_LEN(sizeof(segment)), SOL_UDP,
						       UDP_SEGMENT };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &segment, sizeof(segment));
	}
	if (sendmsg(c->fd, &m, 0) < 0 && errno != ECONNREFUSED)
		die("datagrams");
}

/* Read frames until one is of another flow or size, and send them by one call each */
static void udp_out(void)
{
	struct pollfd p = { .fd = tap, .events = POLLIN };
	struct iovec iov[BATCH];
	struct conn *of = NULL;
	size_t n, len;

	for (n = 0; n < BATCH; n++)
		slot[n] = frames[n];
	n = 0;
	for (tap_block(false);;) {
		uint8_t *f = slot[n], *h = f + VNET;
		bool uso = false, none = !(len = tap_read(f));
		struct conn *c = NULL;

		if (!none && (len < ETH + IP + UDP || h[ETH + 9] != IPPROTO_UDP))
			continue;
		if (!none) {
			c = udp_flow(h);
			len = get16(h + ETH + IP + 4) - UDP;
			uso = f[1] == GSO_UDP;
		}
		if (n && (c != of || uso || len != iov[0].iov_len || n == BATCH - 1 ||
			  (n + 1) * len > DATAGRAMS_MAX)) {
			send_segments(of, iov, n, n > 1 ? iov[0].iov_len : 0);
			slot[n] = slot[0];
			slot[0] = f;
			n = 0;
		}
		if (none) {
			poll(&p, 1, -1);
			continue;
		}
		of = c;
		iov[n++] = (struct iovec){ f + UDP_HEADERS, len };
		if (uso) {
			send_segments(c, iov, 1, f[4] | f[5] << 8);
			n = 0;
		}
	}
}

/* Send @len bytes as datagrams of @size */
static void tap_udp(uint8_t *f, struct conn *c, size_t len, unsigned size)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .csum_start = ETH + IP, .csum_offset = 6 };

	if (len > size) {
		v.gso_type = GSO_UDP;
		v.gso_size = size;
		v.hdr_len = ETH + IP + UDP;
	}
	memcpy(f, &v, sizeof(v));
	put16(f + VNET + ETH + IP + 4, UDP + len);
	put_ip(f + VNET, &c->ends, IPPROTO_UDP, UDP + len, 6);
	if (write(tap, f, UDP_HEADERS + len) < 0)
		die("frame to the guest");
}

/* As many datagrams of @size as come with one call, received one behind the other */
static bool udp_in_sized(struct conn *c, unsigned size, int flags)
{
	unsigned most = DATAGRAMS_MAX / size < BATCH ? DATAGRAMS_MAX / size : BATCH, i;
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int n;

	for (i = 0; i < most; i++) {
		iov[i] = (struct iovec){ frame + UDP_HEADERS + i * size, size };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	n = recvmmsg(c->fd, m, most, flags, NULL);
	if (n > 0)
		tap_udp(frame, c, (size_t)n * size, size);
	return n > 0;
}

/* What the kernel has joined */
static bool udp_in_joined(struct conn *c, int flags)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { frame + UDP_HEADERS, DATAGRAMS_MAX };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, flags);
	int size = (int)n;

	if (n > 0 && CMSG_FIRSTHDR(&m))
		memcpy(&size, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(size));
	if (n > 0)
		tap_udp(frame, c, (size_t)n, (unsigned)size);
	return n > 0;
}

static bool udp_in_once(struct conn *c, unsigned size, bool wait)
{
	if (size)
		return udp_in_sized(c, size, wait ? MSG_WAITFORONE : MSG_DONTWAIT);
	return udp_in_joined(c, wait ? 0 : MSG_DONTWAIT);
}

/* The first datagram of each socket of the guest goes out */
static void udp_hello(struct pollfd *p, int n, bool join)
{
	const uint8_t *h = frame + VNET;
	int i, one = 1;
	size_t len;

	for (i = 0; i < n;) {
		len = tap_read(frame);
		if (len < ETH + IP + UDP || h[ETH + 9] != IPPROTO_UDP)
			continue;
		bulk[i] = udp_flow(h);
		p[i] = (struct pollfd){ .fd = bulk[i]->fd, .events = POLLIN };
		if (join)
			setsockopt(p[i].fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
		send_segments(bulk[i++], &(struct iovec){ frame + UDP_HEADERS,
			      get16(h + ETH + IP + 4) - UDP }, 1, 0);
	}
}

static void udp_in(int n, unsigned size)
{
	struct pollfd p[256];
	int i;

	udp_hello(p, n, !size);
	while (n == 1)
		udp_in_once(bulk[0], size, true);
	for (;;) {
		poll(p, (nfds_t)n, -1);
		for (i = 0; i < n; i++)
			if (p[i].revents)
				udp_in_once(bulk[i], size, false);
	}
}

/* ------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[3] : "";
	int n = argc > 4 ? atoi(argv[4]) : 1;

	if (argc < 4) {
		fprintf(stderr, "usage: baretap NAME PID MODE..., see the source\n");
		return 2;
	}
	tap_open(argv[1], argv[2]);
	if (!strcmp(mode, "out"))
		bulk_out();
	else if (!strcmp(mode, "in"))
		bulk_in(n);
	else if (!strcmp(mode, "once"))
		once_out();
	else if (!strcmp(mode, "once-in"))
		once_in(n);
	else if (!strcmp(mode, "many"))
		many(0);
	else if (!strcmp(mode, "many-in"))
		many(n);
	else if (!strcmp(mode, "udp-out"))
		udp_out();
	else if (!strcmp(mode, "udp-in"))
		udp_in(n, argc > 5 ? (unsigned)atoi(argv[5]) : 0);
	return 2;
}
