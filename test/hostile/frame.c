/* SPDX-License-Identifier: GPL-2.0-or-later */
/* frame.c - Headers, lengths and checksums of one frame */

#include "hostile.h"

#include <string.h>

#include <arpa/inet.h>

const uint8_t guest_mac[MAC_LEN] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
const uint8_t any_mac[MAC_LEN] = MAC_BROADCAST;
uint8_t our_mac[MAC_LEN] = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 };

/* The stage of test/lib/ns.sh, and addresses that programs handle in their own ways */
static const char *const texts4[] = {
	"198.51.100.1", "198.51.100.2", "203.0.113.2", "198.51.100.53", "198.51.100.77",
	"0.0.0.0", "255.255.255.255", "198.51.100.255", "198.51.100.0", "127.0.0.1",
	"224.0.0.1", "224.0.0.251", "239.1.2.3", "192.0.2.1", "169.254.1.1", "240.0.0.1",
};
static const char *const texts6[] = {
	"2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::2", "2001:db8:1::53",
	"2001:db8:1::77", "::", "::1", "ff02::1", "ff02::2", "ff02::fb", "ff02::1:ff00:1",
	"ff01::1", "ff05::1:3", "fe80::1", "fe80::5054:ff:fe12:3456",
	"fe80::9855:9aff:fe55:9a55", "::ffff:203.0.113.2", "2001:db8:dead::1",
};
enum { GUEST, GATEWAY, PEER, NTEXTS = 24 };

struct addr addr_of(const char *text)
{
	struct addr a = { .v6 = strchr(text, ':') };

	if (inet_pton(a.v6 ? AF_INET6 : AF_INET, text, a.b) != 1)
		die(text);
	return a;
}

/* The address with this number in the list of a family */
static struct addr known(bool v6, unsigned i)
{
	static struct addr list[2][NTEXTS];
	static bool ready[2][NTEXTS];

	if (!ready[v6][i]) {
		list[v6][i] = addr_of(v6 ? texts6[i] : texts4[i]);
		ready[v6][i] = true;
	}
	return list[v6][i];
}

struct addr guest_addr(bool v6)
{
	return known(v6, GUEST);
}

/* A destination where somebody answers: the peer, or the loopback of the host */
struct addr peer_addr(bool v6)
{
	return known(v6, chance(80) ? PEER : GATEWAY);
}

/* Any address of the list, or none of it */
struct addr some_addr(bool v6)
{
	struct addr a = known(v6, below(v6 ? sizeof(texts6) / sizeof(*texts6) :
					sizeof(texts4) / sizeof(*texts4)));

	if (chance(10))
		a.b[below((uint32_t)addr_len(&a))] = (uint8_t)rnd();
	return a;
}

size_t addr_len(const struct addr *a)
{
	return a->v6 ? 16 : 4;
}

uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

void set16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void set32(uint8_t *p, uint32_t v)
{
	set16(p, v >> 16);
	set16(p + 2, v & 0xffff);
}

void frame_put(struct frame *f, const void *p, size_t n)
{
	if (n > FRAME_ROOM - f->len)
		n = FRAME_ROOM - f->len;
	memcpy(f->b + f->len, p, n);
	f->len += n;
}

void frame_put_random(struct frame *f, size_t n)
{
	for (; n; n -= n < 8 ? n : 8) {
		uint64_t v = rnd();

		frame_put(f, &v, n < 8 ? n : 8);
	}
}

void frame_begin(struct frame *f, const uint8_t *dst, unsigned type)
{
	struct eth_hdr h = { .type = htons((uint16_t)type) };

	memset(&f->vnet, 0, sizeof(f->vnet));
	f->l3 = f->l4 = f->len = 0;
	memcpy(h.dst, dst, MAC_LEN);
	memcpy(h.src, guest_mac, MAC_LEN);
	frame_put(f, &h, sizeof(h));
	f->l3 = f->len;
}

/* The MAC address that belongs to a destination: multicast has its own */
static void mac_for(const struct addr *a, uint8_t mac[MAC_LEN])
{
	memcpy(mac, our_mac, MAC_LEN);
	if (a->v6 && a->b[0] == 0xff) {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, a->b + 12, 4);
	} else if (!a->v6 && a->b[0] == 255) {
		memset(mac, 0xff, MAC_LEN);
	} else if (!a->v6 && a->b[0] >= 224 && a->b[0] < 240) {
		mac[0] = 1, mac[1] = 0, mac[2] = 0x5e, mac[3] = a->b[1] & 0x7f;
		memcpy(mac + 4, a->b + 2, 2);
	}
}

/* Ethernet and IP headers; the payload is put behind, then frame_end() */
void frame_ip(struct frame *f, const struct addr *src, const struct addr *dst,
	      uint8_t proto)
{
	uint8_t mac[MAC_LEN];

	mac_for(dst, mac);
	frame_begin(f, mac, dst->v6 ? ETHERTYPE_IPV6N : ETHERTYPE_IPV4);
	if (dst->v6) {
		struct ip6_hdr h = { .ver_tc_flow = htonl(6U << 28), .nexthdr = proto,
				     .hop_limit = 64 };

		memcpy(&h.src, src->b, 16);
		memcpy(&h.dst, dst->b, 16);
		frame_put(f, &h, sizeof(h));
	} else {
		struct ip4_hdr h = { .ver_ihl = 0x45, .id = htons((uint16_t)rnd()),
				     .ttl = 64, .proto = proto };

		memcpy(&h.src, src->b, 4);
		memcpy(&h.dst, dst->b, 4);
		frame_put(f, &h, sizeof(h));
	}
	f->l4 = f->len;
}

static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (; n > 1; p += 2, n -= 2)
		s += get16(p);
	return n ? s + (uint32_t)*p * 256 : s;
}

static unsigned fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	return ((s & 0xffff) + (s >> 16)) & 0xffff;
}

static unsigned proto_of(const struct frame *f)
{
	return f->b[f->l3] >> 4 == 6 ? f->b[f->l3 + 6] : f->b[f->l3 + 9];
}

/* Set the lengths in the IP and UDP headers to those of the frame */
void frame_lengths(struct frame *f)
{
	uint8_t *ip = f->b + f->l3;
	size_t n = f->len - f->l3;

	if (!f->l4)
		return;
	set16(ip + (ip[0] >> 4 == 6 ? 4 : 2), (unsigned)(ip[0] >> 4 == 6 ? n - 40 : n));
	if (proto_of(f) == IPPROTO_UDP && f->len >= f->l4 + 8)
		set16(f->b + f->l4 + 4, (unsigned)(f->len - f->l4));
}

/* Behind extension headers, as far as they make sense: protocol and offset */
static uint8_t walk6(const struct frame *f, size_t *at)
{
	uint8_t next = f->b[f->l3 + 6];
	unsigned i;

	*at = f->l3 + 40;
	for (i = 0; i < 16 && *at + 8 <= f->len; i++) {
		const uint8_t *h = f->b + *at;

		if (next == IPPROTO_FRAGMENT)
			*at += 8;
		else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
			 next == IPPROTO_DSTOPTS)
			*at += 8 + h[1] * 8u;
		else
			break;
		next = h[0];
	}
	return next;
}

/* Offset of the checksum in a header, or 0 */
static size_t sum_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:	return 16;
	case IPPROTO_UDP:	return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:	return 2;
	}
	return 0;
}

/* Set the checksum of the part from @l4 to @end; pseudo header only if it is partial */
static void sum_payload(struct frame *f, size_t l4, size_t end, uint8_t proto, bool v6)
{
	size_t at = l4 + sum_at(proto), addrs = v6 ? 32 : 8;
	const uint8_t *ip = f->b + f->l3;
	uint32_t s = 0;
	unsigned v;

	if (at == l4 || at + 2 > end)
		return;
	if (proto != IPPROTO_ICMP)
		s = sum(proto + (uint32_t)(end - l4), ip + (v6 ? 8 : 12), addrs);
	set16(f->b + at, 0);
	if (f->vnet.flags & VNET_F_NEEDS_CSUM) {
		set16(f->b + at, fold(s));
		return;
	}
	v = ~fold(sum(s, f->b + l4, end - l4)) & 0xffff;
	set16(f->b + at, v || proto != IPPROTO_UDP ? v : 0xffff);
}

/* Repair the checksums of a frame, as far as its headers make sense */
void frame_sums(struct frame *f)
{
	uint8_t *ip = f->b + f->l3, proto;
	size_t l4, end, hlen;
	bool v6;

	if (f->len < f->l3 + 20 || (get16(f->b + 12) != ETHERTYPE_IPV4 &&
				   get16(f->b + 12) != ETHERTYPE_IPV6N))
		return;
	v6 = get16(f->b + 12) == ETHERTYPE_IPV6N;
	if (v6) {
		if (f->len < f->l3 + 40)
			return;
		proto = walk6(f, &l4);
		end = f->l3 + 40 + get16(ip + 4);
	} else {
		hlen = (ip[0] & 15) * 4u;
		if (hlen < 20 || f->l3 + hlen > f->len)
			return;
		proto = ip[9];
		l4 = f->l3 + hlen;
		end = f->l3 + get16(ip + 2);
		set16(ip + 10, 0);
		set16(ip + 10, ~fold(sum(0, ip, hlen)) & 0xffff);
		if (get16(ip + 6) & (IP4_OFFSET | IP4_MF))
			return;
	}
	if (end <= f->len && l4 < end)
		sum_payload(f, l4, end, proto, v6);
}

void frame_end(struct frame *f)
{
	frame_lengths(f);
	frame_sums(f);
}
