/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tun backend on a device of its own, in a network namespace of its own, on
 * each step of the ladder of offloads
 */

#include "tap_tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "frame.h"
#include "log.h"
#include "loop.h"
#include "tap.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif

#define MTU	1500

static struct tap_tun t;
static struct loop loop;
static int inet;			/* for ioctl() on interfaces */
static uint8_t data[65536], got[65536];
static uint8_t their_mac[6];
static const uint8_t our_mac[6] = { 2, 0, 0, 0, 0, 2 };
static union inany our, their;

/* Counts of frames from the device */
static struct {
	unsigned udp, gso, fragments, partial, closed;
	size_t bytes;
	bool wrong;
} rx;

static void on_rx(void *ctx, const struct pkt *p, unsigned n)
{
	unsigned i;

	(void)ctx;
	for (i = 0; i < n; i++) {
		if (!inany_equals(&p[i].src, &their))
			continue;		/* the kernel's own */
		rx.udp += p[i].kind == PKT_UDP;
		rx.fragments += p[i].kind == PKT_FRAGMENT;
		rx.gso += p[i].off.gso_type != 0;
		rx.partial += p[i].off.csum_partial;
		rx.bytes += p[i].payload.len;
		if (p[i].kind == PKT_UDP &&
		    !view_equals(p[i].payload, data, p[i].payload.len))
			rx.wrong = true;
	}
}

static void on_closed(void *ctx, int error)
{
	(void)ctx;
	(void)error;
	rx.closed++;
}

static void turn(void)
{
	struct epoll_event ev;

	while (loop_wait(&loop, &ev, 1, true) > 0)
		tap_event(&t.tap, 0, ev.events);
}

static void set_addr(struct ifreq *ifr, const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &sin.sin_addr);
	memcpy(&ifr->ifr_addr, &sin, sizeof(sin));
}

/* Address, MTU, up, and our MAC address in its neighbour table */
static bool configure(const char *name)
{
	struct ifreq ifr = { 0 };
	struct arpreq arp = { .arp_flags = ATF_COM | ATF_PERM };
	struct sockaddr_in *pa = (void *)&arp.arp_pa;

	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	if (ioctl(inet, SIOCGIFHWADDR, &ifr))
		return false;
	memcpy(their_mac, ifr.ifr_hwaddr.sa_data, 6);
	set_addr(&ifr, "198.51.100.1");
	if (ioctl(inet, SIOCSIFADDR, &ifr))
		return false;
	set_addr(&ifr, "255.255.255.0");
	if (ioctl(inet, SIOCSIFNETMASK, &ifr))
		return false;
	ifr.ifr_mtu = MTU;
	if (ioctl(inet, SIOCSIFMTU, &ifr))
		return false;
	ifr.ifr_flags = IFF_UP;
	if (ioctl(inet, SIOCSIFFLAGS, &ifr))
		return false;

	pa->sin_family = AF_INET;
	inet_pton(AF_INET, "198.51.100.2", &pa->sin_addr);
	memcpy(arp.arp_ha.sa_data, our_mac, 6);
	memcpy(arp.arp_dev, name, sizeof(arp.arp_dev) - 1);
	return !ioctl(inet, SIOCSARP, &arp);
}

static int udp_socket(void)
{
	struct sockaddr_in us = { .sin_family = AF_INET,
				  .sin_port = htons(7000) };
	struct sockaddr_in peer = { .sin_family = AF_INET,
				    .sin_port = htons(7001) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "198.51.100.1", &us.sin_addr);
	inet_pton(AF_INET, "198.51.100.2", &peer.sin_addr);
	if (fd < 0 || bind(fd, (void *)&us, sizeof(us)) ||
	    connect(fd, (void *)&peer, sizeof(peer)))
		return -1;
	return fd;
}

static void from_kernel(int fd, enum tap_offload step)
{
	int size = 1000;

	memset(&rx, 0, sizeof(rx));
	ok(send(fd, data, 1472, 0) == 1472, "a datagram can be sent");
	turn();
	ok(rx.udp == 1 && rx.bytes == 1472 && !rx.wrong,
	   "a datagram is read unchanged");
	ok(!!rx.partial == (step <= TAP_OFF_CSUM),
	   "a checksum is partial if we offered that");

	ok(send(fd, data, 60000, 0) == 60000,
	   "a datagram over the MTU can be sent");
	turn();
	is(rx.fragments, 41, "a datagram over the MTU comes in fragments");

	memset(&rx, 0, sizeof(rx));
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)))
		return;
	ok(send(fd, data, 1000, 0) == 1000,
	   "a series of datagrams can be sent");
	(void)!send(fd, data, 64000, 0);
	turn();
	is(rx.udp, step == TAP_OFF_USO && (t.tap.caps & TAP_USO) ? 2 : 65,
	   "a series is unsegmented if we offered that");
	is(rx.bytes, 65000, "a series comes completely");
	size = 0;
	setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
}

static void put_udp(unsigned n, size_t len, uint16_t gso_size)
{
	const struct frame_addr a = { their_mac, our_mac, &our, &their, 0, 0 };
	unsigned want = n, i;
	struct txframe *f = tap_reserve(&t.tap, &n, frame_l3_hdrlen(true) + 8,
					len);

	is(n, want, "frames are lent");
	for (i = 0; i < n; i++) {
		memcpy(f[i].payload.p, data, len);
		f[i].len = len;
		frame_fill_udp(&t.tap, &f[i], &a, 7001, 7000, gso_size);
	}
	is(tap_commit(&t.tap, n), n, "lent frames are queued");
}

/* Read all that has arrived at a socket. Return: bytes */
static size_t drain(int fd, bool *same)
{
	size_t bytes = 0;
	ssize_t n;

	while ((n = recv(fd, got, sizeof(got), MSG_DONTWAIT)) > 0) {
		/* The 1000 bytes of a series start anywhere */
		if (n != 1000 && memcmp(got, data, (size_t)n))
			*same = false;
		bytes += (size_t)n;
	}
	return bytes;
}

static void to_kernel(int fd)
{
	bool same = true;

	put_udp(20, 1472, 0);
	is(drain(fd, &same), 20 * 1472, "every datagram arrives in the kernel");
	put_udp(1, 65507, 0);
	is(drain(fd, &same), 65507,
	   "a datagram over the MTU arrives in the kernel");
	if (frame_can_uso(&t.tap)) {
		put_udp(2, 32000, 1000);
		is(drain(fd, &same), 64000, "a series arrives in the kernel");
	}
	ok(same && !t.tap.stats.tx_dropped,
	   "datagrams arrive unchanged, none is dropped");
}

static void delete_link(const char *name)
{
	struct {
		struct nlmsghdr nh;
		struct ifinfomsg ifi;
	} rq = {
		.nh = { sizeof(rq), RTM_DELLINK, NLM_F_REQUEST, 0, 0 },
		.ifi = { .ifi_index = (int)if_nametoindex(name) },
	};
	int nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	(void)!send(nl, &rq, sizeof(rq), 0);
	close(nl);
}

static void step(enum tap_offload off)
{
	static const char *const name[] = {
		"USO", "TSO", "checksum", "header only", "plain",
	};
	static const unsigned caps[] = {
		TAP_JUMBO | TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_USO,
		TAP_JUMBO | TAP_CSUM | TAP_TSO4 | TAP_TSO6,
		TAP_JUMBO | TAP_CSUM, TAP_JUMBO, TAP_JUMBO,
	};
	struct conf c = { .offload_max = off };
	struct tap_tun_info info, again;
	int fd, rc;

	printf("# %s\n", name[off]);
	fd = tap_tun_open(&c, "unit%d", &info);
	if (!ok(fd >= 0 && info.ifname[0], "a device is opened"))
		return;
	ok(info.caps == caps[off] || (off == TAP_OFF_USO &&
				      info.caps == caps[TAP_OFF_TSO]),
	   "the device has the capabilities that were asked for");
	is(info.vnet, off < TAP_OFF_NONE,
	   "the device has a virtio-net header unless turned off");
	rc = tap_tun_info_from_fd(&c, fd, &again);
	ok(!rc && again.caps == info.caps && again.vnet == info.vnet &&
	   !strcmp(again.ifname, info.ifname),
	   "the descriptor alone tells the same features");

	ok(configure(info.ifname), "the device can be configured");
	is(tap_tun_init(&t, fd, &info, MTU, &loop), 0, "the backend starts");
	t.tap.rx = on_rx;
	t.tap.closed = on_closed;
	fd = udp_socket();
	from_kernel(fd, off);
	to_kernel(fd);
	close(fd);

	rx.closed = 0;
	delete_link(info.ifname);
	turn();
	ok(rx.closed == 1 && t.fd == -1,
	   "the end of the device is reported once");
}

static void not_a_device(void)
{
	struct conf c = { .offload_max = TAP_OFF_USO };
	struct tap_tun_info info;
	int sv[2];

	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv) &&
	   tap_tun_info_from_fd(&c, sv[0], &info) == -ENOTTY,
	   "a socket is not taken for a tun device");
	close(sv[0]);
	close(sv[1]);
	is(tap_tun_open(&c, "a-name-of-16-bytes", &info), -ENAMETOOLONG,
	   "an interface name of 16 bytes is too long");
}

int main(void)
{
	unsigned i;

	log_init("unit");
	csum_init();
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 % 251);
	inany_pton("198.51.100.1", &their);
	inany_pton("198.51.100.2", &our);
	if ((unshare(CLONE_NEWNET) &&
	     unshare(CLONE_NEWUSER | CLONE_NEWNET)) ||
	    access("/dev/net/tun", R_OK | W_OK)) {
		puts("1..0 # SKIP no network namespace or no /dev/net/tun");
		return 0;
	}
	inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (loop_init(&loop))
		return 1;
	for (i = TAP_OFF_USO; i <= TAP_OFF_NONE; i++)
		step(i);
	not_a_device();
	return done();
}
