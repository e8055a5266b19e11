/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data path through tun: with virtio-net headers and offloads, a TCP frame
 * of 64 KiB with a partial checksum goes into the namespace in one write() and
 * comes out of it in one read() with any MTU.
 *
 * The peer of a TCP connection is played by hand over the tap (no options but
 * MSS and window scale, no loss): that is all a data path needs to be proven.
 */
#include "plat.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>

#define PORT		7000
#define OUR_PORT	40000
#define MSS		1400

/* TCP peer played over the tap */
struct peer {
	int	fd;
	int	af;
	uint8_t	mac[6];			/* of tap0 */
	uint32_t snd, rcv;		/* sequence numbers, host order */
};

static uint8_t buf[sizeof(struct virtio_net_hdr) + 14 + 65536];

static uint32_t sum16(const void *p, size_t len, uint32_t sum)
{
	const uint8_t *b = p;

	for (; len > 1; len -= 2, b += 2)
		sum += (uint32_t)(b[0] << 8 | b[1]);
	return len ? sum + (uint32_t)(b[0] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* IP header and pseudo-header sum of a TCP packet of @l4len bytes at @p */
static size_t put_ip(const struct peer *c, uint8_t *p, size_t l4len,
		     uint32_t *pseudo)
{
	if (c->af == AF_INET) {
		struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64,
				    .protocol = IPPROTO_TCP };

		ip.tot_len = htons(20 + l4len);
		inet_pton(AF_INET, PEER4, &ip.saddr);
		inet_pton(AF_INET, OUR4, &ip.daddr);
		ip.check = htons((uint16_t)~fold(sum16(&ip, 20, 0)));
		memcpy(p, &ip, 20);
		*pseudo = sum16(p + 12, 8, (uint32_t)(IPPROTO_TCP + l4len));
		return 20;
	} else {
		struct ip6_hdr ip = { .ip6_src = IN6ADDR_ANY_INIT };

		ip.ip6_vfc = 0x60;
		ip.ip6_plen = htons(l4len);
		ip.ip6_nxt = IPPROTO_TCP;
		ip.ip6_hlim = 64;
		inet_pton(AF_INET6, PEER6, &ip.ip6_src);
		inet_pton(AF_INET6, OUR6, &ip.ip6_dst);
		memcpy(p, &ip, 40);
		*pseudo = sum16(p + 8, 32, (uint32_t)(IPPROTO_TCP + l4len));
		return 40;
	}
}

/* One segment with a partial checksum; GSO if @dlen is over the MSS */
static ssize_t put_tcp(struct peer *c, uint8_t flags, size_t dlen)
{
	struct virtio_net_hdr *vh = (void *)buf;
	size_t thlen = flags & TH_SYN ? 28 : 20, iplen;
	uint8_t *eth = buf + sizeof(*vh);
	struct tcphdr th = { .th_win = htons(65535) };
	uint32_t pseudo;
	size_t i;

	memset(buf, 0, sizeof(*vh));
	memcpy(eth, c->mac, 6);
	memcpy(eth + 6, "\x02\0\0\0\0\x02", 6);
	eth[12] = c->af == AF_INET ? 0x08 : 0x86;
	eth[13] = c->af == AF_INET ? 0x00 : 0xdd;
	iplen = put_ip(c, eth + 14, thlen + dlen, &pseudo);

	th.th_sport = htons(OUR_PORT);
	th.th_dport = htons(PORT);
	th.th_seq = htonl(c->snd);
	th.th_ack = htonl(flags & TH_ACK ? c->rcv : 0);
	th.th_off = thlen / 4;
	th.th_flags = flags;
	th.th_sum = htons(fold(pseudo));
	memcpy(eth + 14 + iplen, &th, sizeof(th));
	if (flags & TH_SYN)		/* MSS 1400, NOP, window scale 10 */
		memcpy(eth + 14 + iplen + 20, "\2\4\x05\x78\1\3\3\x0a", 8);
	for (i = 0; i < dlen; i++)
		eth[14 + iplen + thlen + i] = i * 7 % 251;

	vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh->csum_start = 14 + iplen;
	vh->csum_offset = 16;
	vh->hdr_len = 14 + iplen + thlen;
	if (dlen > MSS) {
		vh->gso_size = MSS;
		vh->gso_type = c->af == AF_INET ? VIRTIO_NET_HDR_GSO_TCPV4
						: VIRTIO_NET_HDR_GSO_TCPV6;
	}
	c->snd += (uint32_t)dlen + !!(flags & TH_SYN);
	return write(c->fd, buf, sizeof(*vh) + 14 + iplen + thlen + dlen);
}

/*
 * Next TCP segment of our connection: payload bytes, -1 if none within a second.
 * Header and virtio-net header are left in buf.
 */
static ssize_t get_tcp(struct peer *c, struct tcphdr *th)
{
	const uint8_t *eth = buf + sizeof(struct virtio_net_hdr);
	size_t iplen = c->af == AF_INET ? 20 : 40;
	struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
	int64_t end = now_ms() + 10000;
	ssize_t n;

	while (now_ms() < end) {
		if (poll(&pfd, 1, 100) < 1)
			continue;
		n = read(c->fd, buf, sizeof(buf));
		n -= (ssize_t)(sizeof(struct virtio_net_hdr) + 14 + iplen + 20);
		if (n < 0 || eth[12] != (c->af == AF_INET ? 0x08 : 0x86) ||
		    eth[14 + (c->af == AF_INET ? 9 : 6)] != IPPROTO_TCP)
			continue;
		memcpy(th, eth + 14 + iplen, sizeof(*th));
		if (ntohs(th->th_dport) == OUR_PORT)
			return n - (th->th_off * 4 - 20);
	}
	return -1;
}

static int tcp_listen(int af)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(PORT) };
	struct sockaddr_in a4 = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	int s = socket(af, SOCK_STREAM, 0), one = 1;

	if (af == AF_INET6)
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(s, af == AF_INET ? (void *)&a4 : (void *)&a6,
		 af == AF_INET ? sizeof(a4) : sizeof(a6)) || listen(s, 1))
		bail("listen");
	return s;
}

/* A packet socket that sees frames from the tap with their real size */
static int sniffer(void)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
				   .sll_protocol = htons(ETH_P_ALL),
				   .sll_ifindex = (int)if_nametoindex("tap0") };
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));

	if (s < 0 || bind(s, (void *)&sll, sizeof(sll)))
		bail("packet socket");
	return s;
}

static size_t largest_sniffed(int s)
{
	size_t max = 0;
	ssize_t n;
	char c;

	while ((n = recv(s, &c, 1, MSG_TRUNC)) >= 0)
		max = (size_t)n > max ? (size_t)n : max;
	return max;
}

static bool same_pattern(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len && p[i] == (uint8_t)(i * 7 % 251); i++)
		;
	return i == len;
}

/* One frame of 45 segments into the namespace */
static void test_in(struct peer *c, int app, const char *fam)
{
	static uint8_t in[65536];
	size_t want = 45 * MSS, got = 0;
	int sniff = sniffer();
	struct tcphdr th;
	ssize_t n;

	ok(put_tcp(c, TH_ACK | TH_PUSH, want) > (ssize_t)want,
	   "%s: a frame of %zu bytes is taken by write()", fam, want);
	while (get_tcp(c, &th) >= 0 && ntohl(th.th_ack) != c->snd)
		;
	ok(ntohl(th.th_ack) == c->snd, "%s: all of it is acknowledged", fam);
	n = recv(app, in, sizeof(in), MSG_DONTWAIT);
	got = n < 0 ? 0 : (size_t)n;
	ok(got == want && same_pattern(in, got),
	   "%s: the application reads the same %zu bytes", fam, want);
	got = largest_sniffed(sniff);
	ok(got > want, "%s: it came up unsegmented (%zu bytes)", fam, got);
	close(sniff);
}

/* Acknowledge until a frame of 60 000 bytes or more comes out of one read() */
static void test_out(struct peer *c, int app, const char *fam)
{
	const struct virtio_net_hdr *vh = (void *)buf;
	static uint8_t out[4 << 20];
	size_t total = 0, max = 0;
	bool partial = true, gso = true;
	struct tcphdr th;
	ssize_t n, sent = 0;

	fcntl(app, F_SETFL, O_NONBLOCK);
	while (max < 60000 && total < sizeof(out)) {
		n = write(app, out + sent, sizeof(out) - (size_t)sent);
		sent += n > 0 ? n : 0;
		if ((n = get_tcp(c, &th)) < 0)
			break;
		if (!n || ntohl(th.th_seq) != c->rcv)
			continue;
		if (n > MSS) {
			partial &= vh->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
			gso &= vh->gso_size == MSS;
		}
		c->rcv += (uint32_t)n;
		total += (size_t)n;
		max = (size_t)n > max ? (size_t)n : max;
		put_tcp(c, TH_ACK, 0);
	}
	ok(max >= 60000, "%s: a frame of %zu bytes comes out of one read()",
	   fam, max);
	ok(partial, "%s: frames come out with NEEDS_CSUM", fam);
	ok(gso, "%s: frames come out with gso_size of the MSS", fam);
}

static void test_family(int fd, int af, const char *fam)
{
	struct peer c = { .fd = fd, .af = af, .snd = 1000 };
	struct ifreq ifr = { .ifr_flags = 0 };
	int l = tcp_listen(af), app;
	struct tcphdr th;

	link_ioctl(SIOCGIFHWADDR, &ifr, "tap0");
	memcpy(c.mac, ifr.ifr_hwaddr.sa_data, 6);

	put_tcp(&c, TH_SYN, 0);
	if (!ok(!get_tcp(&c, &th) && th.th_flags == (TH_SYN | TH_ACK),
		"%s: a SYN with a partial checksum is answered", fam))
		return;
	c.rcv = ntohl(th.th_seq) + 1;
	put_tcp(&c, TH_ACK, 0);
	app = accept(l, NULL, NULL);
	test_in(&c, app, fam);
	test_out(&c, app, fam);
	close(app);
	close(l);
}

static void test_ladder(int fd)
{
	const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	ok(!ioctl(fd, TUNSETOFFLOAD, 0), "no offload is accepted");
	ok(!ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM), "CSUM is accepted");
	ok(ioctl(fd, TUNSETOFFLOAD, TUN_F_TSO4) && errno == EINVAL,
	   "TSO4 without CSUM is refused with EINVAL");
	if (ioctl(fd, TUNSETOFFLOAD, tso | TUN_F_USO4 | TUN_F_USO6)) {
		skip("CSUM+TSO+USO is accepted", "kernel before 6.2");
	} else {
		ok(true, "CSUM+TSO+USO is accepted");
		ok(ioctl(fd, TUNSETOFFLOAD, tso | TUN_F_USO4) &&
		   errno == EINVAL, "USO4 without USO6 is refused");
	}
	ok(!ioctl(fd, TUNSETOFFLOAD, tso), "CSUM+TSO4+TSO6 is accepted");
}

int main(void)
{
	int fd;

	fresh_namespaces(CLONE_NEWNET);
	fd = tap_make(IFF_NO_PI | IFF_VNET_HDR);
	test_ladder(fd);
	link_qlen("tap0", 10000);
	link_mtu("tap0", 1500);
	link_flags("tap0", IFF_UP | IFF_NOARP);
	link_addr("tap0");
	test_family(fd, AF_INET, "IPv4");
	test_family(fd, AF_INET6, "IPv6");
	return done_testing();
}
