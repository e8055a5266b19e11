/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * input.c - Handing parsed packets to protocols
 *
 * Packets keep their order. Several packets of one kind in a row are handed over
 * with one call, so that protocols can do one system call for them. Requests about
 * the link (ARP, neighbour and router solicitations) and requests to our services
 * are answered here. A service that is turned off keeps its port: messages for it
 * go nowhere else.
 *
 * Unsolicited router advertisements follow RFC 4861, 6.2.4: some are sent soon after
 * start, and whenever a guest appears or their contents change. Then they become less
 * frequent, up to an interval of a third of the router lifetime in them. Everything
 * else in them is valid for ever. If we are no router, there is no timer either.
 *
 * Packets with a source address that belongs to us are dropped. The source of each
 * other packet is reported to guest.c, which decides on the guest's known addresses.
 * If it suspects that one has gone, this file asks for it, by ARP or a neighbour
 * solicitation.
 */

#include "input.h"

#include <string.h>

#include "arp.h"
#include "counters.h"
#include "dhcp.h"
#include "dhcpv6.h"
#include "frame.h"
#include "fwd.h"
#include "guest.h"
#include "icmp.h"
#include "log.h"
#include "loop.h"
#include "ndp.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"
#include "wire.h"

#define UNREACH_INTERVAL_MS	100	/* between errors about unknown protocols */

/* Between router advertisements: RFC 4861, 10; RFC 8319, 4 */
#define RA_MIN_DELAY_MS		3000U
#define RA_INITIAL_MS		16000U
#define RA_INITIAL_COUNT	3
#define RA_MAX_MS		(NDP_ROUTER_LIFETIME_S * 1000U / 3)

enum service { SERVICE_NONE, SERVICE_DHCP, SERVICE_DHCPV6 };

static const struct in6_addr dhcp_servers = { { {
	0xff, 0x02, [13] = 0x01, [15] = 0x02 } } };	/* RFC 8415, 7.1 */

/* Timers of kind REF_INPUT, by their side */
enum { TIMER_ADVERT, TIMER_PROBE };

/**
 * input_reconnected() - Note that a client connects, perhaps another guest
 * @in:		Input
 */
void input_reconnected(struct input *in)
{
	guest_reconnected(in->guest);
	in->nmacs = 0;
	input_solicit_guest(in);
}

/**
 * input_init() - Set up the input, and the guest as it is configured
 * @in:		Zeroed
 * @conf, @net, @dns, @tap, @loop, @tcp, @udp, @icmp:	Modules that it uses
 * @guest:	Initialised here
 */
void input_init(struct input *in, const struct conf *conf,
		const struct hostnet *net, struct guest *guest,
		const struct dns *dns, struct tap *tap, struct loop *loop,
		struct tcp *tcp, struct udp *udp, struct icmp *icmp)
{
	in->conf = conf;
	in->net = net;
	in->guest = guest;
	in->dns = dns;
	in->tap = tap;
	in->loop = loop;
	in->tcp = tcp;
	in->udp = udp;
	in->icmp = icmp;

	guest_init(guest, conf, net);
	in->nmacs = 0;
	in->ra_timer.ref = (union epoll_ref){ .kind = REF_INPUT,
					      .side = TIMER_ADVERT };
	in->probe_timer.ref = (union epoll_ref){ .kind = REF_INPUT,
						 .side = TIMER_PROBE };
	input_advertise_router(in);
}

/* Is this MAC address none of the latest? Then remember it */
static bool mac_is_new(struct input *in, const uint8_t mac[MAC_LEN])
{
	unsigned i;

	for (i = 0; i < in->nmacs && i < INPUT_MACS; i++)
		if (!memcmp(in->macs[i], mac, MAC_LEN))
			return false;
	memcpy(in->macs[in->nmacs++ % INPUT_MACS], mac, MAC_LEN);
	return true;
}

/* Advertise the router to a machine that was not there lately */
static void learn_mac(struct input *in, const uint8_t mac[MAC_LEN])
{
	if (in->nmacs &&
	    !memcmp(in->macs[(in->nmacs - 1) % INPUT_MACS], mac, MAC_LEN))
		return;
	if (!mac_is_new(in, mac))
		return;
	debug_limited("Guest has MAC address %02x:%02x:%02x:%02x:%02x:%02x",
		      mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	input_advertise_router(in);
}

static void arm_probe(struct input *in)
{
	uint64_t due = guest_probe_due(in->guest);

	if (due != UINT64_MAX && (!timer_armed(&in->probe_timer) ||
				  due < in->probe_timer.expires_ms))
		wheel_arm(&in->loop->wheel, &in->probe_timer, due);
}

/* Protocol address of the sender of an ARP message; unspecified for probes */
static union inany arp_sender(const struct arp_msg *m)
{
	struct in_addr a4;

	memcpy(&a4, m->spa, sizeof(a4));
	return inany_from_v4(a4);
}

/* Find the target of a neighbour advertisement, or of a solicitation that looks for
 * duplicates: an address of the sender, now or soon. False if there is none */
static bool announced(const struct pkt *p, union inany *a)
{
	struct in6_addr target;

	if (p->kind != PKT_ICMP6 || p->ttl != NDP_HOP_LIMIT ||
	    p->payload.len < sizeof(target) ||
	    (p->icmp.type != NDP_NA &&
	     !(p->icmp.type == NDP_NS && inany_is_unspecified(&p->src))))
		return false;
	view_copy(p->payload, 0, &target, sizeof(target));
	*a = inany_from_v6(&target);
	return !inany_is_v4(a);
}

/* Learn the sender's addresses; false if it claims one of ours */
static bool learn(struct input *in, const struct pkt *p)
{
	union inany from = p->kind == PKT_ARP ? arp_sender(&p->arp) : p->src;
	uint64_t now_ms = in->loop->now_ms;
	bool news;

	if (!memcmp(p->eth.src, in->conf->our_mac, MAC_LEN) ||
	    fwd_is_ours(in->conf, in->net, &from))
		return false;
	learn_mac(in, p->eth.src);
	news = guest_heard(in->guest, in->net, &from, p->eth.src, now_ms);
	if (announced(p, &from) && !fwd_is_ours(in->conf, in->net, &from))
		news |= guest_heard(in->guest, in->net, &from, p->eth.src,
				    now_ms);
	if (news)
		arm_probe(in);
	return true;
}

static bool input_arp(struct input *in, const struct pkt *p)
{
	struct { struct eth_hdr eth; struct arp_msg arp; } f;

	static_assert(sizeof(f) == 42, "no padding between headers");
	if (!arp_reply(in->conf, in->net, in->guest, &p->arp, &f.arp))
		return false;
	memcpy(f.eth.dst, p->eth.src, MAC_LEN);
	memcpy(f.eth.src, in->conf->our_mac, MAC_LEN);
	f.eth.type = htons(ETHERTYPE_ARPV4);
	return tap_send_one(in->tap, &f, sizeof(f));
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

static void solicit4(struct input *in, const union inany *target)
{
	static const uint8_t broadcast[MAC_LEN] = MAC_BROADCAST;
	const struct conf *c = in->conf;
	struct { struct eth_hdr eth; struct arp_msg arp; } f = {
		.eth.type = htons(ETHERTYPE_ARPV4),
		.arp = {
			.htype = htons(ARP_HTYPE_ETHER),
			.ptype = htons(ETHERTYPE_IPV4),
			.hlen = MAC_LEN, .plen = sizeof(struct in_addr),
			.op = htons(ARP_OP_REQUEST),
		},
	};

	memcpy(f.eth.dst, broadcast, MAC_LEN);
	memcpy(f.eth.src, c->our_mac, MAC_LEN);
	memcpy(f.arp.sha, c->our_mac, MAC_LEN);
	/* Without a gateway, as a probe: RFC 5227, 2.1.1 */
	if (inany_is_set(&in->net->ip4.gw))
		memcpy(f.arp.spa, &in->net->ip4.gw.v4mapped.a4,
		       sizeof(f.arp.spa));
	memcpy(f.arp.tpa, &target->v4mapped.a4, sizeof(f.arp.tpa));
	tap_send_one(in->tap, &f, sizeof(f));
}

/* Ask for an address of the guest, which may be unset */
static void solicit(struct input *in, const union inany *target)
{
	struct ndp_reply r;

	if (!inany_is_set(target))
		return;
	if (inany_is_v4(target)) {
		if (in->net->ip4.enabled)
			solicit4(in, target);
	} else if (in->net->ip6.enabled &&
		   ndp_solicit(in->conf, in->net, target, &r)) {
		send_ndp(in, &r);
	}
}

/**
 * input_solicit_guest() - Ask for the guest, to learn its MAC address
 * @in:		Input
 *
 * To be called before sending to a guest that has not sent anything yet. We ask for
 * its known addresses and for the assigned ones.
 */
void input_solicit_guest(struct input *in)
{
	const union inany *own4 = &in->net->ip4.addr;
	const union inany *own6 = &in->net->ip6.addr;

	solicit(in, &in->guest->addr4);
	if (!inany_equals(&in->guest->addr4, own4))
		solicit(in, own4);
	solicit(in, &in->guest->addr6);
	if (!inany_equals(&in->guest->addr6, own6))
		solicit(in, own6);
}

/* Ask for known addresses that may be gone */
static void probe_guest(struct input *in)
{
	unsigned k;

	for (k = 0; k < GUEST_CLASSES; k++)
		if (guest_probe(in->guest, in->conf, in->net, k,
				in->loop->now_ms))
			solicit(in, guest_addr(in->guest, k));
	arm_probe(in);
}

/* Delay before the next router advertisement, after @count of them */
static uint64_t ra_delay_ms(unsigned count)
{
	uint64_t delay = RA_INITIAL_MS;

	for (; count >= RA_INITIAL_COUNT && delay < RA_MAX_MS; count--)
		delay *= 2;
	return delay < RA_MAX_MS ? delay : RA_MAX_MS;
}

/* Send the router advertisement that is due */
static void advertise(struct input *in)
{
	struct loop *l = in->loop;
	struct ndp_reply r;

	if (!ndp_advert(in->conf, in->net, in->dns, &r))
		return;
	send_ndp(in, &r);
	in->ra_sent_ms = l->now_ms;
	in->ra_count++;
	wheel_arm(&l->wheel, &in->ra_timer,
		  l->now_ms + ra_delay_ms(in->ra_count));
}

/**
 * input_timer() - Handle an expired timer of kind REF_INPUT
 * @in:		Input
 * @ref:	Reference of the timer
 */
void input_timer(struct input *in, union epoll_ref ref)
{
	if (ref.side == TIMER_PROBE)
		probe_guest(in);
	else
		advertise(in);
}

/**
 * input_advertise_router() - Advertise the router to all nodes of the link soon
 * @in:		Input
 *
 * To be called when contents of the advertisement have changed. Does nothing if we
 * are no router.
 */
void input_advertise_router(struct input *in)
{
	uint64_t at_ms = in->loop->now_ms;

	if (!ndp_is_router(in->conf, in->net))
		return;
	if (in->ra_sent_ms && at_ms < in->ra_sent_ms + RA_MIN_DELAY_MS)
		at_ms = in->ra_sent_ms + RA_MIN_DELAY_MS;
	in->ra_count = 0;
	wheel_arm(&in->loop->wheel, &in->ra_timer, at_ms);
}

/* Is this for a service of ours, turned on or not? */
static enum service service_of(const struct input *in, const struct pkt *p)
{
	const union inany group = inany_from_v6(&dhcp_servers);
	bool ours = fwd_is_ours(in->conf, in->net, &p->dst);
	uint16_t port = ntohs(p->udp.dport);

	if (inany_is_v4(&p->dst)) {
		const union inany server = dhcp_server(in->net);

		if (port == DHCP_PORT_SERVER &&
		    (ours || inany_equals(&p->dst, &server) ||
		     fwd_is_broadcast(in->net, &p->dst)))
			return SERVICE_DHCP;
	} else if (port == DHCPV6_PORT_SERVER &&
		   (ours || inany_equals(&p->dst, &group))) {
		return SERVICE_DHCPV6;
	}
	return SERVICE_NONE;
}

static bool send_datagram(struct input *in, const struct datagram *r)
{
	const struct frame_addr a = {
		.dst_mac = r->dst_mac, .src_mac = in->conf->our_mac,
		.src = &r->src, .dst = &r->dst,
	};

	return frame_send_udp(in->tap, &a, r->sport, r->dport, r->data, r->len);
}

static void input_dhcp(struct input *in, const struct pkt *p)
{
	struct datagram r;

	if (!in->net->ip4.enabled || in->conf->no_dhcp ||
	    !dhcp_reply(in->conf, in->net, in->dns, p, &r) ||
	    !send_datagram(in, &r))
		in->dhcp_dropped++;
	else if (r.leases)
		guest_leased(in->guest, in->net, true, p->eth.src);
}

static void input_dhcpv6(struct input *in, const struct pkt *p)
{
	struct datagram r;

	if (!in->net->ip6.enabled || in->conf->no_dhcpv6 ||
	    !dhcpv6_reply(in->conf, in->net, in->dns, p, &r) ||
	    !send_datagram(in, &r))
		in->dhcpv6_dropped++;
	else if (r.leases)
		guest_leased(in->guest, in->net, false, p->eth.src);
}

/* Handle datagrams to services one by one, the others between them in runs */
static void input_udp(struct input *in, const struct pkt *pkts, unsigned n)
{
	unsigned i, from = 0;

	for (i = 0; i < n; i++) {
		enum service s = service_of(in, &pkts[i]);

		if (s == SERVICE_NONE)
			continue;
		if (i > from)
			udp_tap_input(in->udp, pkts + from, i - from);
		from = i + 1;
		if (s == SERVICE_DHCP)
			input_dhcp(in, &pkts[i]);
		else
			input_dhcpv6(in, &pkts[i]);
	}
	if (n > from)
		udp_tap_input(in->udp, pkts + from, n - from);
}

/* Send an error about a protocol that we can't translate, but not too often: RFC
 * 1122, 3.2.2.1; with IPv6 as a router that prohibits it: RFC 4443, 3.1 */
static bool input_other(struct input *in, const struct pkt *p)
{
	bool v4 = inany_is_v4(&p->src);
	const struct frame_addr a = {
		.dst_mac = p->eth.src, .src_mac = in->conf->our_mac,
		.src = &p->dst, .dst = &p->src,
	};

	if (inany_is_multicast(&p->dst) || fwd_is_broadcast(in->net, &p->dst) ||
	    p->proto == IPPROTO_NONE ||
	    in->loop->now_ms < in->unreach_ms + UNREACH_INTERVAL_MS)
		return false;
	in->unreach_ms = in->loop->now_ms;
	frame_send_icmp_error(in->tap, &a, v4 ? ICMP4_UNREACH : ICMP6_UNREACH,
			      v4 ? ICMP4_UNREACH_PROTO : ICMP6_UNREACH_ADMIN_,
			      0, &p->l3);
	return false;
}

/*
 * Is this a permanent error? These are the hard errors of RFC 1122, 4.2.3.9, and the
 * errors that firewalls send. An unreachable network or host may be temporary: the
 * guest's network may be starting.
 */
static bool is_permanent(const struct pkt *p)
{
	if (p->kind == PKT_ICMP6) {
		if (p->icmp.type != ICMP6_UNREACH)
			return false;
		switch (p->icmp.code) {
		case ICMP6_UNREACH_ADMIN_: case ICMP6_UNREACH_PORT:
		case ICMP6_UNREACH_POLICY: case ICMP6_UNREACH_REJECT:
			return true;
		}
		return false;
	}
	if (p->icmp.type != ICMP4_UNREACH)
		return false;
	switch (p->icmp.code) {
	case ICMP4_UNREACH_PROTO: case ICMP4_UNREACH_PORT:
	case ICMP4_UNREACH_NET_PROHIBITED: case ICMP4_UNREACH_HOST_PROHIBITED:
	case ICMP4_UNREACH_ADMIN:
		return true;
	}
	return false;
}

/* Handle a permanent error, with which a firewall of the guest may answer a SYN */
static void input_unreachable(struct input *in, const struct pkt *p)
{
	struct pkt_quote q;

	if (pkt_quoted(p, &q) && q.proto == IPPROTO_TCP)
		tcp_tap_unreachable(in->tcp, &q);
	else
		in->dropped++;
}

static void input_icmp(struct input *in, const struct pkt *pkts, unsigned n)
{
	struct ndp_reply r;
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct pkt *p = &pkts[i];

		if (is_permanent(p))
			input_unreachable(in, p);
		else if (p->kind != PKT_ICMP6 || p->icmp.type < NDP_RS ||
			 p->icmp.type > NDP_NA)
			icmp_tap_input(in->icmp, p, 1);
		else if (!ndp_reply(in->conf, in->net, in->guest, in->dns, p,
				    &r) || !send_ndp(in, &r))
			in->ndp_dropped++;
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

/* Handle packets of one kind */
static void input_run(struct input *in, const struct pkt *pkts, unsigned n)
{
	unsigned i;

	switch (pkts->kind) {
	case PKT_TCP:
		tcp_tap_input(in->tcp, pkts, n);
		return;
	case PKT_UDP:
		input_udp(in, pkts, n);
		return;
	case PKT_ICMP4:
	case PKT_ICMP6:
		input_icmp(in, pkts, n);
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
 * @pkts:	Packets that pkt_parse() accepted
 * @n:		Number of packets
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

/**
 * input_counters() - Packets of the guest without effect, for --stats
 */
void input_counters(const void *ctx, struct counters *c)
{
	const struct input *in = ctx;

	c->title = "not answered";
	counters_add(c, "DHCP", in->dhcp_dropped);
	counters_add(c, "DHCPv6", in->dhcpv6_dropped);
	counters_add(c, "NDP", in->ndp_dropped);
	counters_add(c, "other", in->dropped);
	counters_add_if(c, "fragmented", in->frags.dropped);
}
