/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * input.c - A batch of parsed packets: each to the protocol that wants it
 *
 * Packets keep their order. Those of one kind in a row are handed over with one
 * call, so that protocols can do one system call for several of them. Requests
 * about the link (ARP, neighbour and router solicitations) are answered here.
 *
 * This file is also where struct guest is written: the guest's MAC address and
 * the addresses that it last used. An address that we play the owner of is none
 * of these; packets that claim to come from one are dropped.
 */

#include "input.h"

#include <string.h>

#include "arp.h"
#include "frame.h"
#include "fwd.h"
#include "icmp.h"
#include "log.h"
#include "loop.h"
#include "ndp.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"
#include "wire.h"

#define UNREACH_INTERVAL_MS	100	/* errors about protocols we don't have */

/**
 * input_init() - Nothing known about the guest but what is configured
 * @in:		Zeroed
 * @conf, @guest, @dns, @tap, @loop, @tcp, @udp, @icmp:	What it works on; @guest is
 *		filled in
 */
void input_init(struct input *in, const struct conf *conf, struct guest *guest,
		const struct dns *dns, struct tap *tap, struct loop *loop,
		struct tcp *tcp, struct udp *udp, struct icmp *icmp)
{
	static const uint8_t broadcast[MAC_LEN] = MAC_BROADCAST;

	in->conf = conf;
	in->guest = guest;
	in->dns = dns;
	in->tap = tap;
	in->loop = loop;
	in->tcp = tcp;
	in->udp = udp;
	in->icmp = icmp;

	memcpy(guest->mac, conf->ns_mac_given ? conf->ns_mac : broadcast,
	       MAC_LEN);
	guest->mac_known = conf->ns_mac_given;
	guest->addr4 = conf->ip4.addr;
	guest->addr6 = conf->ip6.addr;
	guest->addr6_ll = (union inany){ 0 };
}

static void learn_mac(struct guest *g, const uint8_t mac[MAC_LEN])
{
	if (g->mac_known && !memcmp(g->mac, mac, MAC_LEN))
		return;
	memcpy(g->mac, mac, MAC_LEN);
	g->mac_known = true;
	debug("Guest has MAC address %02x:%02x:%02x:%02x:%02x:%02x",
	      mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void learn_addr(struct guest *g, const union inany *a)
{
	union inany *known = &g->addr6;
	char s[INANY_STRLEN];

	if (inany_is_unspecified(a))
		return;
	if (inany_is_v4(a))
		known = &g->addr4;
	else if (inany_is_linklocal(a))
		known = &g->addr6_ll;
	if (inany_equals(known, a))
		return;
	*known = *a;
	debug_limited("Guest has address %s", inany_ntop(a, s, sizeof(s)));
}

/* Sender's protocol address of an ARP message; unspecified for probes */
static union inany arp_sender(const struct arp_msg *m)
{
	struct in_addr a4;

	memcpy(&a4, m->spa, sizeof(a4));
	return inany_from_v4(a4);
}

/* Take note of who sends; false if that can't be */
static bool learn(struct input *in, const struct pkt *p)
{
	union inany from = p->kind == PKT_ARP ? arp_sender(&p->arp) : p->src;

	if (!memcmp(p->eth.src, in->conf->our_mac, MAC_LEN) ||
	    fwd_is_ours(in->conf, &from))
		return false;
	learn_mac(in->guest, p->eth.src);
	if (p->kind != PKT_ARP || inany_is_unicast(&from))
		learn_addr(in->guest, &from);
	return true;
}

static bool input_arp(struct input *in, const struct pkt *p)
{
	struct { struct eth_hdr eth; struct arp_msg arp; } f;

	static_assert(sizeof(f) == 42, "no padding between headers");
	if (!arp_reply(in->conf, in->guest, &p->arp, &f.arp))
		return false;
	memcpy(f.eth.dst, p->eth.src, MAC_LEN);
	memcpy(f.eth.src, in->conf->our_mac, MAC_LEN);
	f.eth.type = htons(ETHERTYPE_ARPV4);
	return tap_send_one(in->tap, &f, sizeof(f), NULL, 0);
}

static bool send_ndp(struct input *in, struct ndp_reply *r)
{
	const struct frame_addr a = {
		.dst_mac = r->dst_mac, .src_mac = in->conf->our_mac,
		.src = &r->src, .dst = &r->dst, .ttl = NDP_HOP_LIMIT,
	};

	return frame_send_l4(in->tap, &a, IPPROTO_ICMPV6, r->msg, r->len,
			     offsetof(struct icmp_hdr, csum));
}

static bool input_ndp(struct input *in, const struct pkt *p)
{
	struct ndp_reply r;

	return ndp_reply(in->conf, in->guest, p, &r) && send_ndp(in, &r);
}

/**
 * input_advertise_router() - Tell all nodes of the link that we route
 * @in:		Input
 *
 * Return: false if nothing was sent: not configured, or no room
 */
bool input_advertise_router(struct input *in)
{
	struct ndp_reply r;

	return ndp_advert(in->conf, &r) && send_ndp(in, &r);
}

/* A protocol that we can't translate: the sender is told, not too often. RFC
 * 1122, 3.2.2.1; for IPv6, as a router that is not willing: RFC 4443, 3.1 */
static bool input_other(struct input *in, const struct pkt *p)
{
	bool v4 = inany_is_v4(&p->src);
	const struct frame_addr a = {
		.dst_mac = in->guest->mac, .src_mac = in->conf->our_mac,
		.src = &p->dst, .dst = &p->src,
	};

	if (inany_is_multicast(&p->dst) || fwd_is_broadcast(in->conf, &p->dst) ||
	    p->proto == IPPROTO_NONE ||
	    in->loop->now_ms < in->unreach_ms + UNREACH_INTERVAL_MS)
		return false;
	in->unreach_ms = in->loop->now_ms;
	frame_send_icmp_error(in->tap, &a, v4 ? ICMP4_UNREACH : ICMP6_UNREACH,
			      v4 ? ICMP4_UNREACH_PROTO : ICMP6_UNREACH_ADMIN_,
			      0, p->l3, p->l3_len);
	return false;
}

static bool is_ndp(const struct pkt *p)
{
	return p->icmp.type >= NDP_RS && p->icmp.type <= NDP_NA;
}

static void input_icmp6(struct input *in, const struct pkt *pkts, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (is_ndp(&pkts[i]))
			in->dropped += !input_ndp(in, &pkts[i]);
		else
			icmp_tap_input(in->icmp, &pkts[i], 1);
	}
}

static void input_run(struct input *in, const struct pkt *pkts, unsigned n);

static void input_fragments(struct input *in, const struct pkt *pkts, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct pkt *p = frag_add(&in->frags, &pkts[i],
					       in->loop->now_ms);

		if (p && p->kind != PKT_FRAGMENT)
			input_run(in, p, 1);
	}
}

/* Packets of one kind */
static void input_run(struct input *in, const struct pkt *pkts, unsigned n)
{
	unsigned i;

	switch (pkts->kind) {
	case PKT_TCP:
		tcp_tap_input(in->tcp, pkts, n);
		return;
	case PKT_UDP:
		udp_tap_input(in->udp, pkts, n);
		return;
	case PKT_ICMP4:
		icmp_tap_input(in->icmp, pkts, n);
		return;
	case PKT_ICMP6:
		input_icmp6(in, pkts, n);
		return;
	case PKT_FRAGMENT:
		input_fragments(in, pkts, n);
		return;
	case PKT_ARP:
		for (i = 0; i < n; i++)
			in->dropped += !input_arp(in, &pkts[i]);
		return;
	case PKT_OTHER_L4:
		for (i = 0; i < n; i++)
			in->dropped += !input_other(in, &pkts[i]);
		return;
	}
}

/**
 * input_batch() - Handle received packets
 * @in:		Input
 * @pkts:	Accepted by pkt_parse()
 * @n:		How many
 */
void input_batch(struct input *in, const struct pkt *pkts, unsigned n)
{
	unsigned i, from = 0;

	for (i = 0; i < n; i++) {
		bool ok = learn(in, &pkts[i]);

		if (i > from && (!ok || pkts[i].kind != pkts[from].kind)) {
			input_run(in, pkts + from, i - from);
			from = i;
		}
		if (!ok) {
			in->dropped++;
			from = i + 1;
		}
	}
	if (n > from)
		input_run(in, pkts + from, n - from);
}
