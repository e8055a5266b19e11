/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp.c - Connections of the hostile guest
 *
 * A table has those that we opened or were asked for. Answers tell their sequence numbers,
 * so that what is sent hits a live connection. An entry is taken for another one
 * at any time: to the program, that guest has forgotten the connection.
 */

#include "hostile.h"

#include <string.h>

#define CONNS	256U

bool calm;

static struct conn conns[CONNS];

/* Kinds of options on a SYN, complete with their lengths; padded with ends of list */
static size_t syn_options(uint8_t *o)
{
	size_t n = 0;

	memset(o, 0, 40);
	if (calm || chance(90)) {
		o[n++] = TCPOPT_MSS, o[n++] = 4;
		set16(o + n, chance(80) ? 1460 : below(65536));
		n += 2;
	}
	if (!calm && chance(50)) {
		o[n++] = TCPOPT_NOP_, o[n++] = TCPOPT_WS, o[n++] = 3;
		o[n++] = (uint8_t)below(chance(90) ? 15 : 256);
	}
	if (!calm && chance(50)) {
		o[n++] = TCPOPT_NOP_, o[n++] = TCPOPT_NOP_, o[n++] = 4, o[n++] = 2;
		o[n++] = TCPOPT_NOP_, o[n++] = TCPOPT_NOP_, o[n++] = 8, o[n++] = 10;
		set32(o + n, (uint32_t)rnd());
		n += 8;
	}
	return (n + 3) & ~(size_t)3;
}

/* One segment of a connection, with random payload if @data is NULL */
static void segment(struct frame *f, const struct conn *c, uint8_t flags, uint32_t seq,
		    const void *data, size_t n)
{
	uint8_t opts[40] = { 0 };
	size_t olen = flags & TCPF_SYN ? syn_options(opts) : 0;
	struct tcp_hdr h = {
		.sport = htons(c->sport), .dport = htons(c->dport), .seq = htonl(seq),
		.ack = htonl(flags & TCPF_ACK ? c->rcv : 0), .flags = flags,
		.doff = (uint8_t)((20 + olen) / 4 << 4), .wnd = htons(calm ? 65535 : c->wnd),
	};

	frame_ip(f, &c->us, &c->them, IPPROTO_TCP);
	frame_put(f, &h, sizeof(h));
	frame_put(f, opts, olen);
	if (data)
		frame_put(f, data, n);
	else
		frame_put_random(f, n);
	frame_end(f);
}

/* Have a large segment cut by the program, as a device with TSO does */
static void segment_offload(struct frame *f, bool v6, size_t n)
{
	if (!link_is_device() || n < 1000 || chance(20))
		return;
	f->vnet = (struct vnet_hdr){
		.flags = VNET_F_NEEDS_CSUM, .gso_type = v6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4,
		.gso_size = (uint16_t)(500 + below(1000)), .hdr_len = (uint16_t)(f->l4 + 20),
		.csum_start = (uint16_t)f->l4, .csum_offset = 16,
	};
	frame_sums(f);
}

/* Send the next segment of a connection at once, as a correct end does */
void tcp_send(struct conn *c, uint8_t flags, const void *data, size_t n)
{
	static struct frame f;

	segment(&f, c, flags, c->nxt, data, n);
	c->nxt += (uint32_t)n + !!(flags & TCPF_SYN) + !!(flags & TCPF_FIN);
	c->fin |= flags & TCPF_FIN;
	link_send(&f);
}

void tcp_forget(void)
{
	memset(conns, 0, sizeof(conns));
}

/* Have the program tell where a connection is: no window has room for this segment */
void tcp_probe(const char *us, unsigned sport, const char *them, unsigned dport)
{
	struct conn c = { .us = addr_of(us), .them = addr_of(them), .sport = (uint16_t)sport,
			  .dport = (uint16_t)dport, .nxt = (uint32_t)rnd() };

	tcp_send(&c, TCPF_ACK, NULL, 0);
}

static struct conn *conn_new(const struct addr *us, const struct addr *them,
			     uint16_t sport, uint16_t dport)
{
	struct conn *c = &conns[below(CONNS)];

	*c = (struct conn){
		.state = CONN_SYN, .us = *us, .them = *them, .sport = sport,
		.dport = dport, .iss = (uint32_t)rnd(), .wnd = 65535,
	};
	c->nxt = c->una = c->iss;
	return c;
}

/* A port of a server that answers in one of many ways, or a port without a server */
static uint16_t some_port(void)
{
	static const uint16_t ports[] = {
		PORT_ECHO, PORT_ECHO, PORT_ECHO, PORT_DISCARD, PORT_CLOSE, PORT_RESET,
		PORT_ENDLESS, PORT_DEAF, PORT_FULL, PORT_HALF, PORT_NOBODY, PORT_DNS,
	};

	return chance(95) ? ports[below(sizeof(ports) / sizeof(*ports))] : (uint16_t)rnd();
}

struct conn *tcp_open(bool v6, uint16_t port)
{
	struct addr us = guest_addr(v6), them = calm || chance(90) ? peer_addr(v6) :
								     some_addr(v6);

	return conn_new(&us, &them, (uint16_t)(1024 + below(64512)), port);
}

static struct conn *some_conn(void)
{
	unsigned i, at = below(CONNS);

	for (i = 0; i < CONNS; i++) {
		struct conn *c = &conns[(at + i) % CONNS];

		if (c->state != CONN_FREE && (c->state == CONN_OPEN || chance(10)))
			return c;
	}
	return NULL;
}

static size_t some_size(void)
{
	switch (below(8)) {
	case 0:
		return 1;
	case 1:
		return link_is_device() ? below(65000) : below(9000);
	case 2:
		return 1460;
	default:
		return below(600);
	}
}

/* A segment of a live connection that its state allows, or nearly so */
static void make_segment(struct frame *f, struct conn *c)
{
	static const uint32_t apart[] = { 1, 2, 1000, 1460, 65535, 1 << 20, 1U << 31 };
	uint32_t far = apart[below(7)];
	size_t n = some_size();

	c->wnd = chance(70) ? c->wnd : (uint16_t)(chance(30) ? 0 : rnd());
	switch (below(16)) {
	case 0:					/* data again */
		segment(f, c, TCPF_ACK, c->una, NULL, n);
		break;
	case 1:					/* out of order, or far out */
		segment(f, c, TCPF_ACK | TCPF_PSH, c->nxt + far, NULL, n);
		break;
	case 2:
		segment(f, c, TCPF_ACK | TCPF_PSH, c->nxt - far, NULL, n);
		break;
	case 3:					/* probe of the window, keepalive */
		segment(f, c, TCPF_ACK, c->nxt - 1, NULL, below(2));
		break;
	case 4:					/* acknowledge less */
		c->rcv -= far;
		segment(f, c, TCPF_ACK, c->nxt, NULL, 0);
		c->rcv += far;
		break;
	case 5:
		if (chance(50)) {		/* or what was not sent */
			c->rcv += far;
			segment(f, c, TCPF_ACK, c->nxt, NULL, 0);
			c->rcv -= far;
			break;
		}				/* fall through */
	case 6:
		segment(f, c, TCPF_ACK, c->nxt, NULL, 0);
		break;
	case 7:
		if (chance(40)) {
			segment(f, c, TCPF_FIN | TCPF_ACK, c->nxt, NULL, n);
			c->nxt += (uint32_t)n + 1;
			c->fin = true;
			break;
		}
		if (chance(30)) {
			segment(f, c, TCPF_RST | (chance(50) ? TCPF_ACK : 0), c->nxt, NULL, 0);
			c->state = CONN_FREE;
			break;
		}				/* fall through */
	default:
		segment(f, c, TCPF_ACK | TCPF_PSH, c->nxt, NULL, n);
		segment_offload(f, c->us.v6, n);
		c->nxt += (uint32_t)n;
	}
}

void tcp_make(void)
{
	static struct frame f;
	struct conn *c = chance(92) ? some_conn() : NULL;

	if (!c || c->state == CONN_SYN) {
		if (!c)
			c = tcp_open(chance(50), some_port());
		segment(&f, c, TCPF_SYN | (chance(5) ? 0xc0 : 0), c->iss,
			NULL, chance(95) ? 0 : below(1000));
		c->nxt = c->iss + 1;
	} else {
		make_segment(&f, c);
	}
	attack(&f);
}

/* An ICMP error about a connection, from a router or its peer */
void tcp_make_error(void)
{
	static struct frame f, about;
	const struct conn *c = some_conn();
	struct icmp_hdr h = { .code = (uint8_t)below(16) };
	struct addr from;

	if (!c)
		return;
	from = chance(50) ? some_addr(c->us.v6) : c->us;
	h.word = htonl(chance(50) ? below(1500) : (uint32_t)rnd());
	h.type = c->us.v6 ? 1 + (uint8_t)below(4) : (uint8_t[]){ 3, 4, 5, 11, 12 }[below(5)];
	segment(&about, c, TCPF_ACK, c->una, NULL, below(100));
	frame_ip(&f, &from, &c->them, c->us.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	frame_put(&f, &h, sizeof(h));
	frame_put(&f, about.b + about.l3, below((uint32_t)(about.len - about.l3 + 1)));
	frame_end(&f);
	attack(&f);
}

static struct conn *find(const struct addr *us, const struct addr *them, uint16_t sport,
			 uint16_t dport)
{
	unsigned i;

	for (i = 0; i < CONNS; i++) {
		struct conn *c = &conns[i];

		if (c->state != CONN_FREE && c->sport == sport && c->dport == dport &&
		    c->us.v6 == us->v6 && !memcmp(c->us.b, us->b, 16) &&
		    !memcmp(c->them.b, them->b, 16))
			return c;
	}
	return NULL;
}

static bool answers(unsigned percent)
{
	return calm || chance(percent);
}

/* A segment of no connection that we know */
static void stranger(const struct addr *us, const struct addr *them, const struct tcp_hdr *h,
		     size_t n)
{
	struct conn unknown = { .us = *us, .them = *them, .sport = ntohs(h->dport),
				.dport = ntohs(h->sport) };
	struct conn *c = &unknown;

	if (h->flags & TCPF_RST)
		return;
	if ((h->flags & (TCPF_SYN | TCPF_ACK)) == TCPF_SYN && !calm && chance(85)) {
		c = conn_new(us, them, unknown.sport, unknown.dport);
		c->rcv = ntohl(h->seq) + 1;
		c->state = CONN_OPEN;
		if (chance(90))
			tcp_send(c, TCPF_SYN | TCPF_ACK, NULL, 0);
	} else if (answers(30)) {
		c->nxt = h->flags & TCPF_ACK ? ntohl(h->ack) : 0;
		c->rcv = ntohl(h->seq) + (uint32_t)n + !!(h->flags & (TCPF_SYN | TCPF_FIN));
		tcp_send(c, h->flags & TCPF_ACK ? TCPF_RST : TCPF_RST | TCPF_ACK, NULL, 0);
	}
}

/* Data or a FIN of a connection: acknowledge it, mostly */
static void news(struct conn *c, const struct tcp_hdr *h, const uint8_t *data, size_t n)
{
	if (ntohl(h->seq) == c->rcv && !c->ended) {
		size_t room = sizeof(c->data) - (c->got < sizeof(c->data) ? c->got :
								       sizeof(c->data));

		memcpy(c->data + sizeof(c->data) - room, data, n < room ? n : room);
		c->got += n;
		c->rcv += (uint32_t)n;
		if (h->flags & TCPF_FIN) {
			c->rcv++;
			c->ended = true;
		}
	}
	if ((n || h->flags & TCPF_FIN) && answers(60))
		tcp_send(c, TCPF_ACK, NULL, 0);
}

void tcp_learn(const uint8_t *l3, size_t len, bool v6, const uint8_t *l4, size_t l4len)
{
	struct addr us = { .v6 = v6 }, them = { .v6 = v6 };
	size_t ip_len = v6 ? 40u + get16(l3 + 4) : get16(l3 + 2), hlen;
	struct tcp_hdr h;
	struct conn *c;

	memcpy(&h, l4, sizeof(h));
	hlen = (h.doff >> 4) * 4u;
	if (ip_len < len)
		l4len -= len - ip_len;	/* padding */
	if (hlen < 20 || hlen > l4len)
		return;
	memcpy(them.b, l3 + (v6 ? 8 : 12), v6 ? 16 : 4);
	memcpy(us.b, l3 + (v6 ? 24 : 16), v6 ? 16 : 4);
	c = find(&us, &them, ntohs(h.dport), ntohs(h.sport));
	if (!c) {
		stranger(&us, &them, &h, l4len - hlen);
		return;
	}
	if (h.flags & TCPF_RST) {
		c->state = answers(75) ? CONN_FREE : c->state;
		return;
	}
	if (h.flags & TCPF_ACK && ntohl(h.ack) - c->una <= c->nxt - c->una)
		c->una = ntohl(h.ack);
	if (c->state == CONN_SYN && h.flags & TCPF_SYN && h.flags & TCPF_ACK) {
		c->state = CONN_OPEN;
		c->rcv = ntohl(h.seq) + 1;
		if (answers(85))
			tcp_send(c, TCPF_ACK, NULL, 0);
	} else {
		news(c, &h, l4 + hlen, l4len - hlen);
	}
}
