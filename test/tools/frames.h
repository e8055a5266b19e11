/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Headers of frames, for tools of the tests that speak to a guest's or a host's kernel:
 * Ethernet, IPv4, TCP and UDP, with checksums left to the receiver.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ETH		14
#define IP		20
#define TCP		20
#define UDP		8
#define WINDOW		(3u << 20)		/* that we offer, bytes */
#define WSCALE		7

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

static inline void put16(uint8_t *p, unsigned n) { p[0] = n >> 8; p[1] = n; }
static inline void put32(uint8_t *p, uint32_t n) { put16(p, n >> 16); put16(p + 2, n); }
static inline unsigned get16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* Sum of 16-bit words in network order; the length is even but for the last piece */
static inline uint64_t sum(const uint8_t *p, size_t len, uint64_t s)
{
	uint32_t w;
	uint16_t h = 0;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&w, p, 4);
		s += w;
	}
	if (len >= 2) {
		memcpy(&h, p, 2);
		s += h;
		p += 2;
		len -= 2;
	}
	return len ? s + htons(*p << 8) : s;
}

static inline uint16_t fold(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* Addresses and ports of a connection, in network order, as the sender of frames sees it */
struct ends {
	uint8_t dmac[6], smac[6];
	uint32_t saddr, daddr;
	uint16_t sport, dport;
};

/* Ethernet and IPv4 headers before @l4 bytes; the layer-4 checksum field gets the sum of
 * the pseudo header */
static inline void put_ip(uint8_t *h, const struct ends *e, uint8_t proto, size_t l4,
			  size_t csum)
{
	uint8_t *ip = h + ETH;
	uint16_t s;

	memcpy(h, e->dmac, 12);
	put16(h + 12, 0x0800);
	memset(ip, 0, IP);
	ip[0] = 0x45;
	put16(ip + 2, IP + l4);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = proto;
	memcpy(ip + 12, &e->saddr, 8);
	s = ~fold(sum(ip, IP, 0));
	memcpy(ip + 10, &s, 2);
	s = fold(sum(ip + 12, 8, htons(proto) + htons(l4)));
	memcpy(ip + IP + csum, &s, 2);
	memcpy(ip + IP, &e->sport, 4);
}

/* Headers before @len bytes of payload. Return: their length. A SYN has options */
static inline size_t put_tcp(uint8_t *h, const struct ends *e, unsigned flags,
			     uint32_t seq, uint32_t ack, unsigned mss, size_t len)
{
	uint8_t *th = h + ETH + IP;
	size_t thl = TCP + (flags & SYN ? 8 : 0);

	put32(th + 4, seq);
	put32(th + 8, ack);
	th[12] = thl << 2;
	th[13] = flags;
	put16(th + 14, flags & SYN ? 65535 : WINDOW >> WSCALE);
	put16(th + 18, 0);
	if (flags & SYN) {
		put32(th + TCP, 2 << 24 | 4 << 16 | mss);
		put32(th + TCP + 4, 3 << 24 | 3 << 16 | WSCALE << 8);
	}
	put_ip(h, e, IPPROTO_TCP, thl + len, 16);
	return ETH + IP + thl;
}

struct tcp_seen {
	uint32_t seq, ack, wnd;
	unsigned flags, mss, wscale;
	size_t hdrlen, len;		/* of all headers, of the payload */
};

/* Parse a frame of @len bytes whose headers are at @h; false: not TCP over IPv4 */
static inline bool get_tcp(const uint8_t *h, size_t len, struct tcp_seen *s)
{
	const uint8_t *th = h + ETH + IP, *o;
	size_t end;

	if (len < ETH + IP + TCP || get16(h + 12) != 0x0800 || h[ETH + 9] != IPPROTO_TCP)
		return false;
	end = ETH + get16(h + ETH + 2);
	*s = (struct tcp_seen){ .seq = get32(th + 4), .ack = get32(th + 8),
				.wnd = get16(th + 14), .flags = th[13], .mss = 536,
				.hdrlen = ETH + IP + (th[12] >> 4) * 4 };
	s->len = end - s->hdrlen;
	for (o = th + TCP; s->flags & SYN && o < h + s->hdrlen && *o;
	     o += *o == 1 || o[1] < 2 ? 1 : o[1]) {
		if (*o == 2)
			s->mss = get16(o + 2);
		if (*o == 3)
			s->wscale = o[2];
	}
	return true;
}

#endif
