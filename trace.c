/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace.c - Frames as lines of text
 *
 * --trace writes one line for each frame, to help to find a fault.
 * Frames are described as they are on the tap, also those that the parser is going
 * to refuse: nothing here trusts a length.
 *
 *	from guest: TCP 198.51.100.1:40000 > 203.0.113.2:80 [S] seq 1 win 64240
 */

#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "inany.h"
#include "log.h"
#include "wire.h"

/**
 * struct line - A frame being described
 * @rest:	Frame from the current header on
 * @buf, @n:	Text so far
 * @src, @dst:	IP addresses
 */
struct line {
	struct view rest;
	char *buf;
	size_t n;
	union inany src, dst;
};

__attribute__((format(printf, 2, 3)))
static void line_put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->buf + l->n, TRACE_STRLEN - l->n, fmt, ap);
	va_end(ap);
	l->n += n < 0 ? 0 : (size_t)n;
	if (l->n >= TRACE_STRLEN)
		l->n = TRACE_STRLEN - 1;
}

/* Copy the next header; if it is cut short, write that and return false */
static bool line_take(struct line *l, void *hdr, size_t size)
{
	if (view_copy(l->rest, 0, hdr, size))
		return true;
	line_put(l, " cut short");
	return false;
}

static void line_skip(struct line *l, size_t bytes)
{
	view_skip(&l->rest, bytes < l->rest.len ? bytes : l->rest.len);
}

static void put_addr(struct line *l, const union inany *a, int port)
{
	char s[INANY_STRLEN];

	inany_ntop(a, s, sizeof(s));
	if (port < 0)
		line_put(l, " %s", s);
	else if (inany_is_v4(a))
		line_put(l, " %s:%d", s, port);
	else
		line_put(l, " [%s]:%d", s, port);
}

static void put_ends(struct line *l, int sport, int dport)
{
	put_addr(l, &l->src, sport);
	line_put(l, " >");
	put_addr(l, &l->dst, dport);
}

static void put_tcp(struct line *l)
{
	static const char names[] = "FSRP.U";	/* as TCPF_*, from bit 0 on */
	struct tcp_hdr h;
	char flags[sizeof(names)], *f = flags;
	unsigned i;
	size_t hlen;

	line_put(l, "TCP");
	if (!line_take(l, &h, sizeof(h)))
		return;
	for (i = 0; names[i]; i++)
		if (h.flags & 1 << i)
			*f++ = names[i];
	*f = '\0';
	put_ends(l, ntohs(h.sport), ntohs(h.dport));
	line_put(l, " [%s] seq %u", flags, ntohl(h.seq));
	if (h.flags & TCPF_ACK)
		line_put(l, " ack %u", ntohl(h.ack));
	hlen = (h.doff >> 4) * 4U;
	line_skip(l, hlen);
	line_put(l, " win %u, %u bytes", ntohs(h.wnd), l->rest.len);
}

static void put_udp(struct line *l)
{
	struct udp_hdr h;

	line_put(l, "UDP");
	if (!line_take(l, &h, sizeof(h)))
		return;
	put_ends(l, ntohs(h.sport), ntohs(h.dport));
	line_put(l, ", %zu bytes", l->rest.len - sizeof(h));
}

static void put_icmp(struct line *l)
{
	struct icmp_hdr h;

	line_put(l, inany_is_v4(&l->src) ? "ICMP" : "ICMPv6");
	if (!line_take(l, &h, sizeof(h)))
		return;
	put_ends(l, -1, -1);
	line_put(l, " type %u code %u, %zu bytes", h.type, h.code,
		 l->rest.len - sizeof(h));
}

static void put_l4(struct line *l, uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		put_tcp(l);
		break;
	case IPPROTO_UDP:
		put_udp(l);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		put_icmp(l);
		break;
	default:
		line_put(l, "IP protocol %u", proto);
		put_ends(l, -1, -1);
		line_put(l, ", %u bytes", l->rest.len);
	}
}

static void put_ipv4(struct line *l)
{
	struct ip4_hdr h;
	struct in_addr a;
	size_t hlen;

	if (!line_take(l, &h, sizeof(h)))
		return;
	a.s_addr = h.src;
	l->src = inany_from_v4(a);
	a.s_addr = h.dst;
	l->dst = inany_from_v4(a);
	hlen = (h.ver_ihl & 15) * 4U;
	line_skip(l, hlen);
	if (ntohs(h.frag) & (IP4_OFFSET | IP4_MF)) {
		line_put(l, "fragment of");
		put_ends(l, -1, -1);
		line_put(l, ", id %u offset %u, %u bytes", ntohs(h.id),
			 (ntohs(h.frag) & IP4_OFFSET) * 8U, l->rest.len);
		return;
	}
	put_l4(l, h.proto);
	if (h.ttl != IP_DEFAULT_TTL)
		line_put(l, ", ttl %u", h.ttl);
}

static void put_ipv6(struct line *l)
{
	struct ip6_hdr h;
	uint8_t opt[2];

	if (!line_take(l, &h, sizeof(h)))
		return;
	l->src = inany_from_v6(&h.src);
	l->dst = inany_from_v6(&h.dst);
	line_skip(l, sizeof(h));
	if (h.nexthdr == IPPROTO_HOPOPTS && line_take(l, opt, sizeof(opt))) {
		h.nexthdr = opt[0];	/* RFC 8200, 4.3 */
		line_skip(l, (opt[1] + 1) * 8U);
	}
	put_l4(l, h.nexthdr);
	if (h.hop_limit != IP_DEFAULT_TTL)
		line_put(l, ", hop limit %u", h.hop_limit);
}

static void put_arp(struct line *l)
{
	struct in_addr sender, target;
	struct arp_msg m;

	line_put(l, "ARP");
	if (!line_take(l, &m, sizeof(m)))
		return;
	memcpy(&sender, m.spa, sizeof(sender));
	memcpy(&target, m.tpa, sizeof(target));
	l->src = inany_from_v4(sender);
	l->dst = inany_from_v4(target);
	line_put(l, ntohs(m.op) == ARP_OP_REQUEST ? " request" : " reply");
	put_ends(l, -1, -1);
}

/**
 * trace_str() - Describe a frame
 * @frame:	Frame from its Ethernet header on
 * @buf:	Buffer for the text
 *
 * Return: @buf
 */
const char *trace_str(const struct view *frame, char buf[TRACE_STRLEN])
{
	struct line l = { .rest = *frame, .buf = buf };
	struct eth_hdr eth;

	buf[0] = '\0';
	if (!line_take(&l, &eth, sizeof(eth)))
		return buf;
	line_skip(&l, sizeof(eth));
	switch (ntohs(eth.type)) {
	case ETHERTYPE_ARPV4:
		put_arp(&l);
		break;
	case ETHERTYPE_IPV4:
		put_ipv4(&l);
		break;
	case ETHERTYPE_IPV6N:
		put_ipv6(&l);
		break;
	default:
		line_put(&l, "Ethernet type 0x%04x, %u bytes", ntohs(eth.type),
			 l.rest.len);
	}
	return buf;
}

/**
 * trace_frame() - Write one line about a frame to the log
 * @from_guest:	The frame comes from the guest; else it goes there
 * @frame:	Frame from its Ethernet header on
 */
void trace_frame(bool from_guest, const struct view *frame)
{
	char buf[TRACE_STRLEN];

	if (!log_enabled(LOG_L_TRACE))
		return;
	if (from_guest)
		trace("from guest: %s", trace_str(frame, buf));
	else
		trace("to guest: %s", trace_str(frame, buf));
}
