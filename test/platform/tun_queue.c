/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tun device gives no back-pressure: writes that nobody can take succeed,
 * and towards us it drops silently beyond its queue length, so that the queue
 * has to be long.  A device that is down refuses frames with EIO.  One datagram
 * over the MTU is delivered whole.
 */
#include "plat.h"

#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

#define BURST	5000

static uint8_t frame[sizeof(struct virtio_net_hdr) + 14 + 65535];

/* A UDP frame to port 7000 with @dlen bytes of payload, no UDP checksum */
static size_t put_udp(size_t dlen)
{
	uint8_t *eth = frame + sizeof(struct virtio_net_hdr);
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64,
			    .protocol = IPPROTO_UDP };
	struct udphdr uh = { .uh_sport = htons(1), .uh_dport = htons(7000) };
	struct ifreq ifr = { .ifr_flags = 0 };
	const uint16_t *w = (const uint16_t *)(const void *)&ip;
	uint32_t sum = 0;
	int i;

	link_ioctl(SIOCGIFHWADDR, &ifr, "tap0");
	memcpy(eth, ifr.ifr_hwaddr.sa_data, 6);
	memcpy(eth + 6, "\x02\0\0\0\0\x02\x08\0", 8);
	ip.tot_len = htons(28 + dlen);
	inet_pton(AF_INET, PEER4, &ip.saddr);
	inet_pton(AF_INET, OUR4, &ip.daddr);
	for (i = 0; i < 10; i++)
		sum += w[i];
	ip.check = (uint16_t)~((sum & 0xffff) + (sum >> 16));
	uh.uh_ulen = htons(8 + dlen);
	memcpy(eth + 14, &ip, 20);
	memcpy(eth + 34, &uh, 8);
	return sizeof(struct virtio_net_hdr) + 42 + dlen;
}

static int udp_socket(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7000) };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(s, (void *)&a, sizeof(a)))
		bail("bind");
	return s;
}

/* Frames that come out of the tap of a burst of BURST datagrams */
static int burst_out(int fd, int s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int i, n = 0;

	inet_pton(AF_INET, PEER4, &to.sin_addr);
	while (read(fd, frame, sizeof(frame)) > 0)
		;
	for (i = 0; i < BURST; i++)
		sendto(s, "x", 1, MSG_DONTWAIT, (void *)&to, sizeof(to));
	while (read(fd, frame, sizeof(frame)) > 0)
		n++;
	return n;
}

int main(void)
{
	static char in[65536];
	int fd, s, i, n = 0, got = 0, huge = 1 << 23;
	size_t len;

	fresh_namespaces(CLONE_NEWNET);
	fd = tap_make(IFF_NO_PI | IFF_VNET_HDR);
	len = put_udp(1);
	ok(write(fd, frame, len) < 0 && errno == EIO,
	   "a frame to a device that is down is refused with EIO");

	link_mtu("tap0", 1500);
	link_flags("tap0", IFF_UP | IFF_NOARP);
	link_addr("tap0");
	s = udp_socket();
	for (i = 0; i < 20000; i++)
		n += write(fd, frame, len) == (ssize_t)len;
	while (recv(s, in, sizeof(in), MSG_DONTWAIT) >= 0)
		got++;
	ok(n == 20000 && got < n, "20000 writes that nobody reads all succeed");
	printf("# %d of them arrived\n", got);

	len = put_udp(60000);
	ok(write(fd, frame, len) == (ssize_t)len &&
	   recv(s, in, sizeof(in), MSG_DONTWAIT) == 60000,
	   "one frame over the MTU is delivered whole");

	setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &huge, sizeof(huge));
	close(s);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	link_qlen("tap0", 100);
	n = burst_out(fd, s);
	ok(n < BURST, "a short queue drops silently (%d of %d)", n, BURST);
	return done_testing();
}
