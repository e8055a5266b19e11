/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helpers of the programs here: a fresh user and network namespace to play in,
 * a tap device inside it, and addresses on a device without any tool but ioctl().
 */
#ifndef TEST_PLAT_H
#define TEST_PLAT_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../lib/check.h"

#ifndef TUN_F_USO4			/* Linux 6.2 */
#define TUN_F_USO4	0x20
#define TUN_F_USO6	0x40
#endif

#define OUR4	"198.51.100.1"
#define PEER4	"198.51.100.2"
#define OUR6	"2001:db8::1"
#define PEER6	"2001:db8::2"

__attribute__((unused))
static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		bail(path);
	close(fd);
}

/**
 * try_file() - Write to a file of /proc that may be missing
 * @path:	Path
 * @text:	New contents
 */
__attribute__((unused))
static void try_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		printf("# %s: %s\n", path, strerror(errno));
	close(fd);
}

/**
 * fresh_namespaces() - Become root of a new user namespace
 * @flags:	CLONE_NEW* flags besides CLONE_NEWUSER
 */
__attribute__((unused))
static void fresh_namespaces(int flags)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER | flags)) {
		printf("1..0 # SKIP no user namespace: %s\n", strerror(errno));
		exit(0);
	}
	put_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	put_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	put_file("/proc/self/gid_map", map);
}

/**
 * tap_try() - Open a tap device named tap0 in the namespace of the caller
 * @flags:	IFF_* flags besides IFF_TAP
 *
 * Return: descriptor, or negative errno
 */
__attribute__((unused))
static int tap_try(int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | flags) };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int hdrlen = sizeof(struct virtio_net_hdr);

	if (fd < 0)
		return -errno;
	strcpy(ifr.ifr_name, "tap0");
	if (ioctl(fd, TUNSETIFF, &ifr))
		return -errno;
	if (flags & IFF_VNET_HDR)
		ioctl(fd, TUNSETVNETHDRSZ, &hdrlen);
	return fd;
}

/**
 * tap_make() - Open a tap device, or skip the whole program
 * @flags:	IFF_* flags besides IFF_TAP
 *
 * Return: descriptor
 */
__attribute__((unused))
static int tap_make(int flags)
{
	int fd = tap_try(flags);

	if (fd < 0) {
		printf("1..0 # SKIP /dev/net/tun: %s\n", strerror(-fd));
		exit(0);
	}
	return fd;
}

__attribute__((unused))
static void link_ioctl(unsigned long req, struct ifreq *ifr, const char *name)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	if (s < 0 || ioctl(s, req, ifr))
		bail("interface ioctl");
	close(s);
}

/**
 * link_flags() - Set flags of a device
 * @name:	Its name
 * @flags:	IFF_UP, IFF_NOARP ... (the latter needs no neighbour to answer)
 */
__attribute__((unused))
static void link_flags(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };

	link_ioctl(SIOCSIFFLAGS, &ifr, name);
}

__attribute__((unused))
static void link_mtu(const char *name, int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };

	link_ioctl(SIOCSIFMTU, &ifr, name);
}

/**
 * link_qlen() - Set the queue length of a device (SIOCSIFTXQLEN wants real root)
 * @name:	Its name
 * @qlen:	Frames
 */
__attribute__((unused))
static void link_qlen(const char *name, uint32_t qlen)
{
	struct {
		struct nlmsghdr nh;
		struct ifinfomsg ifi;
		struct rtattr rta;
		uint32_t qlen;
	} req = {
		.nh = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.ifi.ifi_index = (int)if_nametoindex(name),
		.rta = { .rta_len = 8, .rta_type = IFLA_TXQLEN },
		.qlen = qlen,
	};
	struct {
		struct nlmsghdr nh;
		struct nlmsgerr err;
		char text[256];
	} ack = { .err.error = -EPROTO };
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (s < 0 || send(s, &req, sizeof(req), 0) < 0 ||
	    recv(s, &ack, sizeof(ack), 0) < 0 || ack.err.error)
		bail("queue length");
	close(s);
}

/**
 * link_addr() - Give a device the addresses OUR4/24 and OUR6/64
 * @name:	Its name
 */
__attribute__((unused))
static void link_addr(const char *name)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct ifreq ifr = { .ifr_flags = 0 };
	struct {
		struct in6_addr addr;
		uint32_t plen;
		int ifindex;
	} r6 = { .plen = 64, .ifindex = (int)if_nametoindex(name) };
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, OUR4, &sin.sin_addr);
	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	link_ioctl(SIOCSIFADDR, &ifr, name);
	inet_pton(AF_INET, "255.255.255.0", &sin.sin_addr);
	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	link_ioctl(SIOCSIFNETMASK, &ifr, name);

	inet_pton(AF_INET6, OUR6, &r6.addr);
	if (s < 0 || ioctl(s, SIOCSIFADDR, &r6))
		bail("IPv6 address");
	close(s);
}

__attribute__((unused))
static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/**
 * tcp_pair() - A connected pair of TCP sockets over loopback
 * @af:		AF_INET or AF_INET6
 * @s:		Filled: connecting side, accepted side
 *
 * Return: true, false if the family can't be had
 */
__attribute__((unused))
static bool tcp_pair(int af, int s[2])
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)af };
	socklen_t sl = sizeof(ss);
	int l = socket(af, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (l < 0)
		return false;
	if (af == AF_INET)
		((struct sockaddr_in *)&ss)->sin_addr.s_addr =
			htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_loopback;
	s[0] = socket(af, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(l, (void *)&ss, sl) || listen(l, 1) ||
	    getsockname(l, (void *)&ss, &sl) ||
	    connect(s[0], (void *)&ss, sl)) {
		close(l);
		return false;
	}
	s[1] = accept(l, NULL, NULL);
	close(l);
	return s[1] >= 0;
}

#endif /* TEST_PLAT_H */
