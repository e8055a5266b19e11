/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.c - From bytes that anybody may have written to a trusted struct pkt
 *
 * Each layer steps over its header: p->payload is the rest of the frame. Every
 * length is checked before the step that relies on it. Headers are copied, so that
 * memory which the other side can still write to is never read twice.
 *
 * Addresses that can't be on this link are refused here, so that no protocol has to
 * check them: in particular IPv4-mapped ones inside IPv6, which would pass for IPv4,
 * and destinations that would reach our own loopback.
 *
 * Layer-4 checksums are verified, unless the device has verified them, or reports that
 * there is none yet.
 */

#include "packet.h"

#include <arpa/inet.h>
#include <string.h>

#include "checksum.h"
#include "inany.h"
#include "view.h"
#include "wire.h"

#define EXTHDR_MAX	8		/* extension headers of a packet */
#define GSO_UDP_MAX	128		/* datagrams of a frame: Linux sends no more */

/* Is an unspecified source allowed? DHCP clients and NDP's duplicate address
 * detection send before they have an address */
static bool unspec_ok(const struct pkt *p)
{
	if (!inany_is_unspecified(&p->src))
		return true;
	return p->kind == PKT_ICMP6 ||
	       (p->kind == PKT_UDP && inany_is_v4(&p->src));
}

/* Check that the source can be answered and the destination is not loopback; for an
 * unspecified source see unspec_ok() */
static enum pkt_error check_addrs(const struct pkt *p)
{
	if (!inany_is_unspecified(&p->src) &&
	    (!inany_is_unicast(&p->src) || inany_is_loopback(&p->src)))
		return PKT_E_SRC;
	if (inany_is_unspecified(&p->dst) || inany_is_loopback(&p->dst))
		return PKT_E_DST;
	return PKT_OK;
}

/* Do we have to verify the checksums of this packet? */
static bool csum_ours(const struct pkt *p)
{
	return !p->off.csum_partial && !p->off.gso_type;
}

/* Is the checksum right over @len bytes from the layer-4 header on? That header is
 * @back bytes before the end of @whole */
static bool csum_l4_ok(const struct pkt *p, const struct view *whole, size_t back,
		       size_t len)
{
	uint32_t sum = 0;

	if (p->proto != IPPROTO_ICMP)
		sum = csum_pseudo(&p->src, &p->dst, p->proto, len);
	return !csum_fold(csum_view(sum, whole, whole->len - back, len));
}

/*
 * Does the kind of segmentation fit the packet? Protocols rely on gso_size, and on
 * the limit of datagrams in one frame.
 */
static bool gso_ok(const struct pkt *p)
{
	bool v4 = inany_is_v4(&p->src);

	switch (p->off.gso_type) {
	case VNET_GSO_NONE:
		return true;
	case VNET_GSO_TCPV4:
		return p->kind == PKT_TCP && v4 && p->off.gso_size;
	case VNET_GSO_TCPV6:
		return p->kind == PKT_TCP && !v4 && p->off.gso_size;
	case VNET_GSO_UDP_L4:
		return p->kind == PKT_UDP && p->off.gso_size &&
		       p->payload.len <= p->off.gso_size * (size_t)GSO_UDP_MAX;
	default:
		return false;
	}
}

/* Parse TCP: RFC 9293, 3.1 */
static enum pkt_error parse_tcp(struct pkt *p, const struct view *whole)
{
	struct view *c = &p->payload;
	size_t all = c->len, hdrlen;

	p->kind = PKT_TCP;
	if (!view_take(c, &p->tcp, sizeof(p->tcp)))
		return PKT_E_SHORT;
	hdrlen = (size_t)(p->tcp.doff >> 4) * 4;
	if (hdrlen < sizeof(p->tcp))
		return PKT_E_LENGTH;
	p->opts_len = (uint8_t)(hdrlen - sizeof(p->tcp));
	if (!view_take(c, p->opts, p->opts_len))
		return PKT_E_LENGTH;
	return csum_ours(p) && !csum_l4_ok(p, whole, all, all) ?
	       PKT_E_CSUM : PKT_OK;
}

/* Parse UDP: RFC 768. Over IPv6 there is always a checksum: RFC 8200, 8.1 */
static enum pkt_error parse_udp(struct pkt *p, const struct view *whole)
{
	struct view *c = &p->payload;
	size_t all = c->len, len;

	p->kind = PKT_UDP;
	if (!view_take(c, &p->udp, sizeof(p->udp)))
		return PKT_E_SHORT;
	len = ntohs(p->udp.len);
	if (len < sizeof(p->udp) || !view_cut(c, len - sizeof(p->udp)))
		return PKT_E_LENGTH;
	if (csum_ours(p)) {
		if (!p->udp.csum && !inany_is_v4(&p->src))
			return PKT_E_CSUM;
		if (p->udp.csum && !csum_l4_ok(p, whole, all, len))
			return PKT_E_CSUM;
	}
	return PKT_OK;
}

/* Parse ICMP: RFC 792, RFC 4443 */
static enum pkt_error parse_icmp(struct pkt *p, const struct view *whole,
				 enum pkt_kind kind)
{
	size_t all = p->payload.len;

	p->kind = kind;
	if (!view_take(&p->payload, &p->icmp, sizeof(p->icmp)))
		return PKT_E_SHORT;
	return csum_ours(p) && !csum_l4_ok(p, whole, all, all) ?
	       PKT_E_CSUM : PKT_OK;
}

/* Parse the layer-4 header, by protocol; IPv6 extension headers are skipped already.
 * @whole ends where the packet ends */
static enum pkt_error parse_l4(struct pkt *p, const struct view *whole)
{
	bool v4 = inany_is_v4(&p->src);
	enum pkt_error e = PKT_OK;

	if (p->proto == IPPROTO_TCP)
		e = parse_tcp(p, whole);
	else if (p->proto == IPPROTO_UDP)
		e = parse_udp(p, whole);
	else if (p->proto == IPPROTO_ICMP && v4)
		e = parse_icmp(p, whole, PKT_ICMP4);
	else if (p->proto == IPPROTO_ICMPV6 && !v4)
		e = parse_icmp(p, whole, PKT_ICMP6);
	else
		p->kind = PKT_OTHER_L4;

	if (e)
		return e;
	if (!unspec_ok(p))
		return PKT_E_SRC;
	return gso_ok(p) ? PKT_OK : PKT_E_GSO;
}

/* Check length and offset of a fragment: RFC 791, 3.1; RFC 8200, 4.5 */
static enum pkt_error parse_fragment(struct pkt *p)
{
	size_t len = p->payload.len;

	p->kind = PKT_FRAGMENT;
	if (p->off.gso_type)
		return PKT_E_GSO;
	if (inany_is_unspecified(&p->src))
		return PKT_E_SRC;
	if (p->frag_more && (!len || len % 8))
		return PKT_E_LENGTH;
	return p->frag_off + len <= 65535 ? PKT_OK : PKT_E_LENGTH;
}

/*
 * May all options of a hop-by-hop or destination header be skipped? @c starts after
 * the first two bytes. The upper two bits of the type say so (RFC 8200, 4.2):
 * jumbograms and home addresses are refused.
 */
static bool ip6_options_ok(struct view c)
{
	uint8_t type, len;

	while (view_take(&c, &type, 1)) {
		if (!type)
			continue;		/* Pad1 */
		if (type >> 6)
			return false;
		if (!view_take(&c, &len, 1) || !view_skip(&c, len))
			return false;
	}
	return true;
}

/* Step over an extension header of the common shape; sets p->proto to the next one */
static bool ip6_exthdr(struct pkt *p)
{
	struct { uint8_t next, len; } h;
	struct { uint8_t type, segments_left; } routing;
	struct view body;

	if (!view_take(&p->payload, &h, sizeof(h)) ||
	    !view_split(&p->payload, (size_t)h.len * 8 + 6, &body))
		return false;
	if (p->proto == IPPROTO_ROUTING) {	/* RFC 8200, 4.4 */
		if (!view_take(&body, &routing, sizeof(routing)) ||
		    routing.segments_left)
			return false;
	} else if (!ip6_options_ok(body)) {
		return false;
	}
	p->proto = h.next;
	return true;
}

/*
 * Step to the layer-4 header, or to a fragment header. Hop-by-hop options may only
 * come first (RFC 8200, 4.3), so they are refused unless @first.
 */
static bool ip6_walk(struct pkt *p, bool first)
{
	unsigned n;

	for (n = 0; n < EXTHDR_MAX; n++, first = false) {
		switch (p->proto) {
		case IPPROTO_HOPOPTS:
			if (!first)
				return false;
			break;
		case IPPROTO_DSTOPTS:
		case IPPROTO_ROUTING:
			break;
		default:
			return true;
		}
		if (!ip6_exthdr(p))
			return false;
	}
	return false;
}

/* Parse a packet after its IP header, or the data of all its fragments */
static enum pkt_error walk_and_parse(struct pkt *p, const struct view *whole)
{
	if (!inany_is_v4(&p->src) &&
	    (!ip6_walk(p, false) || p->proto == IPPROTO_FRAGMENT))
		return PKT_E_EXTHDR;
	return parse_l4(p, whole);
}

/* Parse a fragment header: RFC 8200, 4.5. A fragment that is the whole packet is
 * handled like a packet without one: RFC 6946 */
static enum pkt_error ip6_fragment(struct pkt *p)
{
	struct ip6_frag fh;
	uint16_t off;

	if (!view_take(&p->payload, &fh, sizeof(fh)))
		return PKT_E_SHORT;
	off = ntohs(fh.offset);
	p->proto = fh.nexthdr;
	p->frag_off = off & 0xfff8;
	p->frag_more = off & 1;
	p->frag_id = ntohl(fh.id);
	if (!p->frag_off && !p->frag_more)
		return walk_and_parse(p, &p->l3);
	return parse_fragment(p);
}

static enum pkt_error parse_ip6(struct pkt *p)
{
	struct ip6_hdr ip;
	enum pkt_error e;
	uint32_t vtf;

	if (!view_take(&p->payload, &ip, sizeof(ip)))
		return PKT_E_SHORT;
	vtf = ntohl(ip.ver_tc_flow);
	if (vtf >> 28 != 6)
		return PKT_E_VERSION;
	/* Cut off the padding of the frame */
	if (!view_cut(&p->payload, ntohs(ip.payload_len)) ||
	    !view_cut(&p->l3, sizeof(ip) + ntohs(ip.payload_len)))
		return PKT_E_LENGTH;

	p->src = inany_from_v6(&ip.src);
	p->dst = inany_from_v6(&ip.dst);
	if (inany_is_v4(&p->src))
		return PKT_E_SRC;
	if (inany_is_v4(&p->dst))
		return PKT_E_DST;
	e = check_addrs(p);
	if (e)
		return e;

	p->proto = ip.nexthdr;
	p->ttl = ip.hop_limit;
	p->tos = (uint8_t)(vtf >> 20);
	p->df = true;
	if (!ip6_walk(p, true))
		return PKT_E_EXTHDR;
	if (p->proto == IPPROTO_FRAGMENT)
		return ip6_fragment(p);
	return parse_l4(p, &p->l3);
}

/* Check total length and header checksum, cut off the padding of the frame, and step
 * over the options */
static enum pkt_error ip4_trim(struct pkt *p, const struct ip4_hdr *ip)
{
	size_t hdrlen = (size_t)(ip->ver_ihl & 0xf) * 4;
	size_t tot_len = ntohs(ip->tot_len);
	uint32_t sum = csum_add(0, ip, sizeof(*ip));
	size_t opts = hdrlen - sizeof(*ip);

	if (hdrlen < sizeof(*ip) || tot_len < hdrlen ||
	    !view_cut(&p->l3, tot_len) ||
	    !view_cut(&p->payload, tot_len - sizeof(*ip)))
		return PKT_E_LENGTH;
	if (opts) {
		sum = csum_view(sum, &p->payload, 0, opts);
		view_skip(&p->payload, opts);
	}
	return csum_fold(sum) ? PKT_E_CSUM : PKT_OK;
}

/* Parse IPv4, skip its options: RFC 791, 3.1 */
static enum pkt_error parse_ip4(struct pkt *p)
{
	struct ip4_hdr ip;
	enum pkt_error e;
	uint16_t frag;

	if (!view_take(&p->payload, &ip, sizeof(ip)))
		return PKT_E_SHORT;
	if (ip.ver_ihl >> 4 != 4)
		return PKT_E_VERSION;
	e = ip4_trim(p, &ip);
	if (e)
		return e;

	p->src = inany_from_v4((struct in_addr){ ip.src });
	p->dst = inany_from_v4((struct in_addr){ ip.dst });
	e = check_addrs(p);
	if (e)
		return e;

	frag = ntohs(ip.frag);
	p->proto = ip.proto;
	p->ttl = ip.ttl;
	p->tos = ip.tos;
	p->df = frag & IP4_DF;
	if (!(frag & (IP4_MF | IP4_OFFSET)))
		return parse_l4(p, &p->l3);

	p->frag_off = (frag & IP4_OFFSET) * 8;
	p->frag_more = frag & IP4_MF;
	p->frag_id = ntohs(ip.id);
	return parse_fragment(p);
}

/* Parse ARP: RFC 826. arp.c checks the addresses */
static enum pkt_error parse_arp(struct pkt *p)
{
	p->kind = PKT_ARP;
	if (!view_take(&p->payload, &p->arp, sizeof(p->arp)))
		return PKT_E_SHORT;
	if (ntohs(p->arp.htype) != ARP_HTYPE_ETHER ||
	    ntohs(p->arp.ptype) != ETHERTYPE_IPV4 ||
	    p->arp.hlen != MAC_LEN || p->arp.plen != 4)
		return PKT_E_VERSION;
	view_cut(&p->l3, sizeof(p->arp));
	view_cut(&p->payload, 0);
	return PKT_OK;
}

/**
 * pkt_parse() - Check a received frame, copy its headers
 * @p:		Filled in; undefined if the frame is refused
 * @frame:	Frame from the Ethernet header on, without FCS, with padding or
 *		not; @p has views of it
 * @off:	Offload fields from the device, may be NULL
 *
 * Return: PKT_OK, or the reason to drop the frame
 */
enum pkt_error pkt_parse(struct pkt *p, const struct view *frame,
			 const struct rx_offload *off)
{
	p->off = off ? *off : (struct rx_offload){ 0 };
	p->proto = p->ttl = p->tos = p->opts_len = 0;
	p->df = p->frag_more = false;
	p->frag_off = 0;
	p->frag_id = 0;
	p->payload = p->l3 = *frame;
	if (!view_take(&p->payload, &p->eth, sizeof(p->eth)))
		return PKT_E_SHORT;
	view_skip(&p->l3, sizeof(p->eth));
	if (p->eth.src[0] & 1)
		return PKT_E_SRC;	/* group bit: IEEE 802.3, 3.2.3 */

	switch (ntohs(p->eth.type)) {
	case ETHERTYPE_IPV4:
		return parse_ip4(p);
	case ETHERTYPE_IPV6N:
		return parse_ip6(p);
	case ETHERTYPE_ARPV4:
		return parse_arp(p);
	default:
		return PKT_E_ETHERTYPE;
	}
}

/* Parse the IP header in an ICMP error. We sent the packet, so it has no extension
 * header and is no fragment. No more is checked, as a flow has to match it anyway */
static bool quoted_ip(struct view *c, bool v4, struct pkt_quote *q)
{
	struct ip4_hdr ip4;
	struct ip6_hdr ip6;

	if (v4) {
		if (!view_take(c, &ip4, sizeof(ip4)) || ip4.ver_ihl != 0x45 ||
		    ntohs(ip4.frag) & (IP4_MF | IP4_OFFSET))
			return false;
		q->src = inany_from_v4((struct in_addr){ ip4.src });
		q->dst = inany_from_v4((struct in_addr){ ip4.dst });
		q->proto = ip4.proto;
		return true;
	}
	if (!view_take(c, &ip6, sizeof(ip6)) || ntohl(ip6.ver_tc_flow) >> 28 != 6)
		return false;
	q->src = inany_from_v6(&ip6.src);
	q->dst = inany_from_v6(&ip6.dst);
	q->proto = ip6.nexthdr;
	return true;
}

/**
 * pkt_quoted() - Find the packet that an ICMP error is about
 * @p:		PKT_ICMP4 or PKT_ICMP6, of an error type
 * @q:		Set if this returns true
 *
 * Return: false if the error does not quote TCP or UDP with 8 bytes of its header
 * (RFC 792)
 */
bool pkt_quoted(const struct pkt *p, struct pkt_quote *q)
{
	struct view c = p->payload;
	struct { be16 sport, dport; be32 seq; } l4;

	if (!quoted_ip(&c, p->kind == PKT_ICMP4, q) || !view_take(&c, &l4, sizeof(l4)))
		return false;
	q->sport = ntohs(l4.sport);
	q->dport = ntohs(l4.dport);
	q->seq = ntohl(l4.seq);
	return q->proto == IPPROTO_TCP || q->proto == IPPROTO_UDP;
}

/**
 * pkt_parse_l4() - Parse a reassembled packet from its layer-4 header on
 * @p:		proto, src, dst and off are set; kind, layer-4 header and payload
 *		are filled in
 * @l4:		Data of all fragments; @p has views of it
 *
 * Extension headers inside the fragments are skipped and set p->proto.
 *
 * Return: PKT_OK, or the reason to drop the packet
 */
enum pkt_error pkt_parse_l4(struct pkt *p, const struct view *l4)
{
	p->opts_len = 0;
	p->payload = *l4;
	return walk_and_parse(p, l4);
}

/* pkt_strerror() - Text of an error, for a log line */
const char *pkt_strerror(enum pkt_error e)
{
	static const char *const text[PKT_E_MAX] = {
		[PKT_OK]	= "no error",
		[PKT_E_SHORT]	= "too short for its headers",
		[PKT_E_LENGTH]	= "lengths that contradict each other",
		[PKT_E_VERSION]	= "unknown version or address format",
		[PKT_E_CSUM]	= "wrong checksum",
		[PKT_E_ETHERTYPE] = "not ARP, IPv4 or IPv6",
		[PKT_E_SRC]	= "impossible source address",
		[PKT_E_EXTHDR]	= "unsupported IPv6 extension header",
		[PKT_E_DST]	= "impossible destination address",
		[PKT_E_GSO]	= "segmentation that does not fit the protocol",
		[PKT_E_PIECES]	= "in too many pieces",
	};

	return (unsigned)e < PKT_E_MAX ? text[e] : "?";
}
