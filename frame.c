/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame.c - Headers, checksums and offload fields of frames towards the guest
 *
 * There are two ways to send. In the fast one a protocol has put payload into a lent
 * frame: frame_fill_*() write the headers before it and leave checksum and
 * segmentation to the device, as far as it can. In the simple one frame_send_*()
 * copy a small message into a frame and queue it, with complete checksums and no
 * offload at all, as raw sockets read such frames.
 *
 * A packet over the MTU is sent whole if the device takes it (TAP_JUMBO), but without
 * "don't fragment", since the other side may forward it. Otherwise it is fragmented
 * here (RFC 791, 3.2; RFC 8200, 4.5). Other packets over IPv4 are atomic: DF is set
 * and the identification is 0 (RFC 6864, 4.1).
 */

#include "frame.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/uio.h>

#include "checksum.h"
#include "inany.h"
#include "tap.h"
#include "view.h"
#include "wire.h"

#define IP_LEN_MAX	65535
#define QUOTE4_MAX	548	/* 576 in all: RFC 1812, 4.3.2.3 */
#define QUOTE6_MAX	1232	/* 1280 in all: RFC 4443, 2.4 (c) */

/* frame_can_tso() - Does an unsegmented TCP frame pass? */
bool frame_can_tso(const struct tap *t, bool v4)
{
	return t->caps & (v4 ? TAP_TSO4 : TAP_TSO6);
}

/* frame_can_uso() - Does an unsegmented UDP frame pass? */
bool frame_can_uso(const struct tap *t)
{
	return t->caps & TAP_USO;
}

/* frame_can_jumbo() - Does a packet over the MTU pass in one frame? */
bool frame_can_jumbo(const struct tap *t)
{
	return t->caps & TAP_JUMBO;
}

/**
 * struct l3 - Fields of an IP header, beyond addresses
 * @proto:	IPPROTO_* of the payload
 * @len:	Bytes of the payload
 * @id:		IPv4 identification, host order
 * @frag:	IPv4 flags and offset, host order
 */
struct l3 {
	uint8_t proto;
	size_t len;
	uint16_t id, frag;
};

static void put_ip4(uint8_t *p, const struct frame_addr *a, const struct l3 *l3)
{
	struct ip4_hdr ip = {
		.ver_ihl = 0x45,
		.tos = a->tos,
		.tot_len = htons(sizeof(ip) + l3->len),
		.id = htons(l3->id),
		.frag = htons(l3->frag),
		.ttl = a->ttl ? a->ttl : IP_DEFAULT_TTL,
		.proto = l3->proto,
		.src = a->src->v4mapped.a4.s_addr,
		.dst = a->dst->v4mapped.a4.s_addr,
	};

	ip.csum = csum_fold(csum_add(0, &ip, sizeof(ip)));
	memcpy(p, &ip, sizeof(ip));
}

static void put_ip6(uint8_t *p, const struct frame_addr *a, const struct l3 *l3)
{
	struct ip6_hdr ip = {
		.ver_tc_flow = htonl(6U << 28 | (uint32_t)a->tos << 20),
		.payload_len = htons(l3->len),
		.nexthdr = l3->proto,
		.hop_limit = a->ttl ? a->ttl : IP_DEFAULT_TTL,
		.src = a->src->a6,
		.dst = a->dst->a6,
	};

	memcpy(p, &ip, sizeof(ip));
}

/* Write an IP header at @p. Return: its end */
static uint8_t *put_ip(uint8_t *p, const struct frame_addr *a,
		       const struct l3 *l3)
{
	if (inany_is_v4(a->src)) {
		put_ip4(p, a, l3);
		return p + sizeof(struct ip4_hdr);
	}
	put_ip6(p, a, l3);
	return p + sizeof(struct ip6_hdr);
}

/* Write Ethernet and IP headers at @p. Return: the byte after them */
static uint8_t *put_l3(uint8_t *p, const struct frame_addr *a,
		       const struct l3 *l3)
{
	bool v4 = inany_is_v4(a->src);
	struct eth_hdr eth = {
		.type = htons(v4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6N),
	};

	memcpy(eth.dst, a->dst_mac, MAC_LEN);
	memcpy(eth.src, a->src_mac, MAC_LEN);
	memcpy(p, &eth, sizeof(eth));
	return put_ip(p + sizeof(eth), a, l3);
}

/**
 * frame_put_ip() - Write an IP header without options
 * @p:		Where to
 * @a:		Addresses, TTL and TOS; MAC addresses are not used
 * @proto:	IPPROTO_* of the data that follows
 * @len:	Bytes of that data
 * @id, @frag:	IPv4 identification, flags and offset, host order
 *
 * Return: where the data begins
 */
uint8_t *frame_put_ip(uint8_t *p, const struct frame_addr *a, uint8_t proto,
		      size_t len, uint16_t id, uint16_t frag)
{
	const struct l3 l3 = { proto, len, id, frag };

	return put_ip(p, a, &l3);
}

/* Fields for a packet with @len bytes of payload: atomic, unless over the MTU */
static struct l3 whole_packet(struct tap *t, bool v4, uint8_t proto, size_t len)
{
	size_t total = len + frame_l3_hdrlen(v4) - sizeof(struct eth_hdr);

	if (total <= t->mtu)
		return (struct l3){ proto, len, 0, IP4_DF };
	return (struct l3){ proto, len, ++t->frag_id, 0 };
}

/* Have the device complete the checksum from @l4 on: RFC 1071, 2 (A) */
static be16 csum_partial(struct txframe *f, const uint8_t *l4, uint32_t pseudo,
			 size_t field)
{
	f->csum_partial = true;
	f->csum_start = l4 - f->hdr;
	f->csum_offset = field;
	return (be16)~csum_fold(pseudo);
}

/* Checksum of payload and a layer-4 header of @len bytes, whose own field is 0 */
static be16 csum_whole(const struct txframe *f, const uint8_t *l4, size_t len,
		       uint32_t pseudo)
{
	uint32_t sum = csum_add(pseudo, l4, len);

	return csum_fold(csum_view(sum, &f->payload, 0, f->len));
}

/**
 * frame_fill_tcp() - Write all headers of a lent frame that carries TCP
 * @t:		The tap that lent it
 * @f:		Frame lent with a header length of frame_l3_hdrlen() + 20 +
 *		@opts_len, with f->len bytes of payload in place
 * @a:		Addresses; family by a->src
 * @th:		Header in network order; doff and csum are filled in here
 * @opts:	TCP options, padded by the caller
 * @opts_len:	Bytes of options, a multiple of 4, 40 at most
 * @mss:	Payload bytes of one segment: the device has to segment a larger
 *		frame. The caller sends no more than @mss without frame_can_tso()
 */
void frame_fill_tcp(const struct tap *t, struct txframe *f,
		    const struct frame_addr *a, const struct tcp_hdr *th,
		    const uint8_t *opts, size_t opts_len, uint16_t mss)
{
	bool v4 = inany_is_v4(a->src);
	size_t hlen = sizeof(*th) + opts_len, len = hlen + f->len;
	const struct l3 l3 = { IPPROTO_TCP, len, 0, IP4_DF };
	uint8_t *l4 = put_l3(f->hdr, a, &l3);
	struct tcp_hdr h = *th;
	uint32_t pseudo;

	h.doff = (uint8_t)(hlen / 4 << 4);
	h.csum = 0;
	memcpy(l4, &h, sizeof(h));
	if (opts_len)
		memcpy(l4 + sizeof(h), opts, opts_len);

	pseudo = csum_pseudo(a->src, a->dst, IPPROTO_TCP, len);
	if (t->caps & TAP_CSUM)
		h.csum = csum_partial(f, l4, pseudo,
				      offsetof(struct tcp_hdr, csum));
	else
		h.csum = csum_whole(f, l4, hlen, pseudo);
	memcpy(l4, &h, sizeof(h));

	if (mss && f->len > mss && frame_can_tso(t, v4)) {
		f->gso_type = v4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
		f->gso_size = mss;
	}
}

/**
 * frame_fill_udp() - Write all headers of a lent frame that carries UDP
 * @t:		The tap that lent it
 * @f:		Lent with a header length of frame_l3_hdrlen() + 8; f->len bytes
 *		of payload in place
 * @a:		Addresses; family by a->src
 * @sport, @dport:	Ports, host order
 * @gso_size:	Payload is datagrams of this size, at most 64 of them, the last
 *		may be shorter; 0: one datagram. Not 0 only if frame_can_uso()
 *
 * A datagram over the MTU needs frame_can_jumbo(), or frame_send_udp().
 */
void frame_fill_udp(struct tap *t, struct txframe *f,
		    const struct frame_addr *a, uint16_t sport, uint16_t dport,
		    uint16_t gso_size)
{
	bool v4 = inany_is_v4(a->src);
	bool gso = gso_size && f->len > gso_size && frame_can_uso(t);
	size_t len = sizeof(struct udp_hdr) + f->len;
	struct udp_hdr h = { htons(sport), htons(dport),
			     htons(len), 0 };
	struct l3 l3 = { IPPROTO_UDP, len, 0, IP4_DF };
	uint32_t pseudo;
	uint8_t *l4;

	if (!gso)
		l3 = whole_packet(t, v4, IPPROTO_UDP, len);
	l4 = put_l3(f->hdr, a, &l3);
	memcpy(l4, &h, sizeof(h));

	pseudo = csum_pseudo(a->src, a->dst, IPPROTO_UDP, len);
	if (t->caps & TAP_CSUM)
		h.csum = csum_partial(f, l4, pseudo,
				      offsetof(struct udp_hdr, csum));
	else
		h.csum = csum_whole(f, l4, sizeof(h), pseudo);
	if (!h.csum && !f->csum_partial)
		h.csum = 0xffff;	/* 0 would mean "none": RFC 768 */
	memcpy(l4, &h, sizeof(h));

	if (gso) {
		f->gso_type = VNET_GSO_UDP_L4;
		f->gso_size = gso_size;
	}
}

/* Send a layer-4 message in one frame */
static bool send_whole(struct tap *t, const struct frame_addr *a, uint8_t proto,
		       struct view m)
{
	bool v4 = inany_is_v4(a->src);
	struct txframe *f;
	struct view to;
	unsigned n = 1;
	struct l3 l3;

	f = tap_reserve(t, &n, frame_l3_hdrlen(v4), m.len);
	if (!f || !n)
		return false;
	l3 = whole_packet(t, v4, proto, m.len);
	put_l3(f->hdr, a, &l3);
	f->len = m.len;
	to = f->payload;
	view_put_view(&to, &m, f->len);
	return tap_commit(t, 1);
}

/* Write headers and data of one fragment: the first f->len bytes of @rest, at offset
 * @off of the message; steps over them */
static void fill_fragment(const struct tap *t, struct txframe *f,
			  const struct frame_addr *a, uint8_t proto,
			  struct view *rest, size_t off)
{
	struct view to = f->payload;
	bool more = f->len < rest->len;
	struct ip6_frag fh = {
		.nexthdr = proto,
		.offset = htons(off | more),
		.id = htonl(t->frag_id),
	};
	struct l3 l3 = { proto, f->len, t->frag_id, 0 };
	uint8_t *l4;

	if (inany_is_v4(a->src)) {
		l3.frag = off / 8 | (more ? IP4_MF : 0);
		put_l3(f->hdr, a, &l3);
	} else {
		l3.proto = IPPROTO_FRAGMENT;
		l3.len += sizeof(fh);
		l4 = put_l3(f->hdr, a, &l3);
		memcpy(l4, &fh, sizeof(fh));
	}
	view_put_view(&to, rest, f->len);
}

/* Send a message over the MTU in fragments; if there is no room for all of them, the
 * message is lost */
static bool send_fragments(struct tap *t, const struct frame_addr *a,
			   uint8_t proto, struct view m)
{
	bool v4 = inany_is_v4(a->src);
	size_t hlen = frame_l3_hdrlen(v4) + (v4 ? 0 : sizeof(struct ip6_frag));
	size_t l3_hlen = hlen - sizeof(struct eth_hdr), piece, off = 0;

	if (t->mtu < l3_hlen + 8)
		return false;
	piece = (t->mtu - l3_hlen) & ~(size_t)7;
	t->frag_id++;
	while (m.len) {
		size_t left = (m.len + piece - 1) / piece;
		unsigned want = left < TAP_TX_BATCH ? (unsigned)left :
						      TAP_TX_BATCH;
		unsigned n = want, i;
		struct txframe *f = tap_reserve(t, &n, hlen, piece);

		if (!f || n < want)
			return false;
		for (i = 0; i < n; i++, off += piece) {
			f[i].len = m.len < piece ? m.len : piece;
			fill_fragment(t, &f[i], a, proto, &m, off);
		}
		if (tap_commit(t, n) < n)
			return false;
	}
	return true;
}

static bool send_message(struct tap *t, const struct frame_addr *a,
			 uint8_t proto, struct view m)
{
	bool v4 = inany_is_v4(a->src);
	size_t hlen = v4 ? sizeof(struct ip4_hdr) : sizeof(struct ip6_hdr);

	if (m.len > IP_LEN_MAX - (v4 ? hlen : 0))
		return false;
	if (hlen + m.len <= t->mtu || frame_can_jumbo(t))
		return send_whole(t, a, proto, m);
	return send_fragments(t, a, proto, m);
}

/**
 * frame_send_l4() - Send a layer-4 message with a complete checksum
 * @t:		The tap
 * @a:		Addresses; family by a->src
 * @proto:	IPPROTO_* of @l4
 * @l4:		Header and payload; its checksum is filled in here
 * @len:	Bytes of @l4; a message over the MTU is fragmented
 * @csum_offset: Offset of the checksum in @l4, (size_t)-1: it has none. All
 *		protocols but ICMP over IPv4 count a pseudo header
 *
 * Return: false if there was no room for the message: it is lost
 */
bool frame_send_l4(struct tap *t, const struct frame_addr *a, uint8_t proto,
		   void *l4, size_t len, size_t csum_offset)
{
	uint32_t sum = 0;
	be16 csum = 0;

	if (csum_offset < len && len - csum_offset >= sizeof(csum)) {
		uint8_t *field = (uint8_t *)l4 + csum_offset;

		if (proto != IPPROTO_ICMP)
			sum = csum_pseudo(a->src, a->dst, proto, len);
		memcpy(field, &csum, sizeof(csum));
		csum = csum_fold(csum_add(sum, l4, len));
		memcpy(field, &csum, sizeof(csum));
	}
	return send_message(t, a, proto, view_of(l4, len));
}

/**
 * frame_send_udp() - Send one datagram with a complete checksum
 * @t:		The tap
 * @a:		Addresses; family by a->src
 * @sport, @dport:	Ports, host order
 * @data:	Payload
 * @len:	Bytes of @data; a datagram over the MTU is fragmented
 *
 * Return: false if there was no room for the datagram: it is lost
 */
bool frame_send_udp(struct tap *t, const struct frame_addr *a, uint16_t sport,
		    uint16_t dport, const void *data, size_t len)
{
	struct udp_hdr h = { .sport = htons(sport), .dport = htons(dport) };
	const struct iovec part[] = {
		{ &h, sizeof(h) }, { (void *)data, len }
	};
	struct view m = view_of_iov(part, 2);
	uint32_t sum;

	h.len = htons(m.len);
	sum = csum_pseudo(a->src, a->dst, IPPROTO_UDP, m.len);
	sum = csum_add(sum, &h, sizeof(h));
	h.csum = csum_fold(csum_add(sum, data, len));
	if (!h.csum)
		h.csum = 0xffff;	/* 0 would mean "none": RFC 768 */
	return send_message(t, a, IPPROTO_UDP, m);
}

/**
 * frame_send_icmp_error() - Send an ICMP or ICMPv6 error, by family of a->src
 * @t:		The tap
 * @a:		Addresses: of the reporting node, and of the sender of @quoted
 * @type, @code:	By RFC 792 or RFC 4443
 * @word:	Second word of the message, host order: MTU, pointer or 0
 * @quoted:	Packet that the error is about, from its IP header on; quoted as far
 *		as the RFCs want
 *
 * Return: false if there was no room for the message: it is lost
 */
bool frame_send_icmp_error(struct tap *t, const struct frame_addr *a,
			   uint8_t type, uint8_t code, uint32_t word,
			   const struct view *quoted)
{
	bool v4 = inany_is_v4(a->src);
	uint8_t l4[sizeof(struct icmp_hdr) + QUOTE6_MAX];
	struct icmp_hdr h = { .type = type, .code = code };
	size_t max = v4 ? QUOTE4_MAX : QUOTE6_MAX;
	size_t len = quoted->len < max ? quoted->len : max;

	h.word = htonl(word);
	memcpy(l4, &h, sizeof(h));
	view_copy(*quoted, 0, l4 + sizeof(h), len);
	return frame_send_l4(t, a, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, l4,
			     sizeof(h) + len, offsetof(struct icmp_hdr, csum));
}
