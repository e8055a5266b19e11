/* SPDX-License-Identifier: GPL-2.0-or-later */
/* other.c - Valid frames of the protocols besides TCP */

#include "hostile.h"

#include <string.h>

static struct frame f;

/* --- ARP and neighbour discovery -------------------------------------------------- */

static void arp(unsigned op, const struct addr *spa, const struct addr *tpa,
		const uint8_t *dst)
{
	struct arp_msg m = {
		.htype = htons(ARP_HTYPE_ETHER), .ptype = htons(ETHERTYPE_IPV4),
		.hlen = MAC_LEN, .plen = 4, .op = htons((uint16_t)op),
	};

	memcpy(m.sha, guest_mac, MAC_LEN);
	memcpy(m.spa, spa->b, 4);
	memcpy(m.tpa, tpa->b, 4);
	if (op == ARP_OP_REPLY)
		memcpy(m.tha, our_mac, MAC_LEN);
	frame_begin(&f, dst, ETHERTYPE_ARPV4);
	frame_put(&f, &m, sizeof(m));
}

void arp_make(void)
{
	struct addr us = chance(70) ? guest_addr(false) : some_addr(false);
	struct addr to = chance(70) ? some_addr(false) : us;

	arp(1 + below(2), &us, &to, chance(70) ? any_mac : our_mac);
	attack(&f);
}

static void neighbour(uint8_t type, const struct addr *src, const struct addr *dst,
		      const uint8_t target[16], uint32_t flags)
{
	struct ndp_neigh h = { .type = type, .flags = htonl(flags) };
	struct ndp_opt_ll o = { type == NDP_NS ? NDP_OPT_SLLA : NDP_OPT_TLLA, 1, { 0 } };

	memcpy(&h.target, target, 16);
	memcpy(o.mac, guest_mac, MAC_LEN);
	frame_ip(&f, src, dst, IPPROTO_ICMPV6);
	f.b[f.l3 + 7] = NDP_HOP_LIMIT;
	frame_put(&f, &h, type == NDP_RS ? 8 : sizeof(h));
	if (chance(90))
		frame_put(&f, &o, sizeof(o));
	frame_end(&f);
}

void ndp_make(void)
{
	struct addr src = chance(60) ? guest_addr(true) : some_addr(true);
	struct addr dst = some_addr(true), target = some_addr(true);

	neighbour(chance(90) ? NDP_RS + (uint8_t)below(5) : (uint8_t)rnd(), &src, &dst,
		  target.b, (uint32_t)rnd());
	attack(&f);
}

/* Answer when the program asks who we are: otherwise nothing comes */
void neighbour_learn(const uint8_t *b, size_t len)
{
	struct addr us = guest_addr(false), them = us, us6 = guest_addr(true), them6 = us6;

	if (len >= 42 && get16(b + 12) == ETHERTYPE_ARPV4 && get16(b + 20) == ARP_OP_REQUEST &&
	    !memcmp(b + 38, us.b, 4) && (calm || chance(90))) {
		memcpy(them.b, b + 28, 4);
		arp(ARP_OP_REPLY, &us, &them, our_mac);
	} else if (len >= 78 && get16(b + 12) == ETHERTYPE_IPV6N && b[20] == IPPROTO_ICMPV6 &&
		   b[54] == NDP_NS && (calm || chance(90)) &&
		   (b[62] == 0xfe || !memcmp(b + 62, us6.b, 16))) {
		memcpy(them6.b, b + 22, 16);
		memcpy(us6.b, b + 62, 16);
		neighbour(NDP_NA, &us6, &them6, us6.b, NDP_NA_SOLICITED | NDP_NA_OVERRIDE);
	} else {
		return;
	}
	link_send(&f);
}

/* --- DHCP and DHCPv6 -------------------------------------------------------------- */

static void option(struct frame *to, uint8_t code, const void *p, size_t n)
{
	const uint8_t head[] = { code, (uint8_t)n };

	frame_put(to, head, 2);
	if (p)
		frame_put(to, p, n);
	else
		frame_put_random(to, n);
}

void dhcp_discover(struct frame *to, uint8_t type, uint32_t xid)
{
	static const uint8_t list[] = { 1, 3, 6, 12, 15, 26, 119, 121 }, end = DHCP_OPT_END;
	struct addr none = { 0 }, all = addr_of("255.255.255.255"), us = guest_addr(false);
	struct udp_hdr u = { .sport = htons(DHCP_PORT_CLIENT), .dport = htons(DHCP_PORT_SERVER) };
	struct dhcp_msg m = {
		.op = DHCP_OP_REQUEST, .htype = ARP_HTYPE_ETHER, .hlen = MAC_LEN,
		.xid = xid, .flags = htons(DHCP_BROADCAST), .cookie = htonl(DHCP_COOKIE),
	};

	memcpy(m.chaddr, guest_mac, MAC_LEN);
	frame_ip(to, &none, &all, IPPROTO_UDP);
	frame_put(to, &u, sizeof(u));
	frame_put(to, &m, sizeof(m));
	option(to, DHCP_OPT_TYPE, &type, 1);
	option(to, DHCP_OPT_LIST, list, sizeof(list));
	if (!calm && chance(50))
		option(to, DHCP_OPT_ADDR, us.b, 4);
	while (!calm && chance(40))
		option(to, (uint8_t)rnd(), NULL, below(20));
	frame_put(to, &end, 1);
	frame_end(to);
}

void dhcp_make(void)
{
	dhcp_discover(&f, 1 + (uint8_t)below(8), (uint32_t)rnd());
	attack(&f);
}

static void option6(unsigned code, const void *p, size_t n)
{
	const struct dhcp6_opt o = { htons((uint16_t)code), htons((uint16_t)n) };

	frame_put(&f, &o, sizeof(o));
	if (p)
		frame_put(&f, p, n);
	else
		frame_put_random(&f, n);
}

/* An identity association, with or without an address in it */
static void ia(unsigned code)
{
	uint8_t b[12 + 28] = { 1 };
	struct addr us = guest_addr(true);
	bool addr = chance(50);

	set16(b + 12, DHCP6_OPT_IAADDR);
	set16(b + 14, 24);
	memcpy(b + 16, us.b, 16);
	set32(b + 32, (uint32_t)rnd());
	set32(b + 36, (uint32_t)rnd());
	option6(code, b, addr ? sizeof(b) : 12);
}

void dhcpv6_make(void)
{
	struct addr us = addr_of("fe80::5054:ff:fe12:3456"), all = addr_of("ff02::1:2");
	struct udp_hdr u = { .sport = htons(DHCPV6_PORT_CLIENT),
			     .dport = htons(DHCPV6_PORT_SERVER) };
	struct dhcp6_duid_ll id = { htons(DHCP6_DUID_LL), htons(1), { 0 } };
	uint8_t head[4] = { 1 + (uint8_t)below(13), 1, 2, (uint8_t)rnd() };

	memcpy(id.mac, guest_mac, MAC_LEN);
	frame_ip(&f, &us, &all, IPPROTO_UDP);
	frame_put(&f, &u, sizeof(u));
	frame_put(&f, head, sizeof(head));
	if (chance(95))
		option6(DHCP6_OPT_CLIENTID, &id, sizeof(id));
	if (chance(30)) {
		memcpy(id.mac, our_mac, MAC_LEN);
		option6(DHCP6_OPT_SERVERID, &id, sizeof(id));
	}
	while (chance(50))
		ia((unsigned[]){ DHCP6_OPT_IA_NA, DHCP6_OPT_IA_TA, DHCP6_OPT_IA_PD }[below(3)]);
	while (chance(40))
		option6(chance(80) ? 1 + below(40) : below(65536), NULL, below(40));
	frame_end(&f);
	attack(&f);
}

/* --- ICMP, UDP -------------------------------------------------------------------- */

void echo_request(struct frame *to, bool v6, unsigned id, size_t n)
{
	struct addr us = guest_addr(v6), them = calm || chance(80) ? peer_addr(v6) :
								     some_addr(v6);
	struct icmp_hdr h = { .type = v6 ? ICMP6_ECHO : ICMP4_ECHO };

	h.echo.id = htons((uint16_t)id);
	h.echo.seq = htons((uint16_t)rnd());
	frame_ip(to, &us, &them, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	frame_put(to, &h, sizeof(h));
	frame_put_random(to, n);
	frame_end(to);
}

void icmp_make(void)
{
	if (chance(40)) {
		tcp_make_error();
		return;
	}
	echo_request(&f, chance(50), below(chance(80) ? 20 : 65536), below(1400));
	attack(&f);
}

void udp_ask(struct frame *to, const struct addr *them, unsigned sport, unsigned dport,
	     size_t n)
{
	struct addr us = guest_addr(them->v6);
	struct udp_hdr u = { .sport = htons((uint16_t)sport), .dport = htons((uint16_t)dport) };

	frame_ip(to, &us, them, IPPROTO_UDP);
	frame_put(to, &u, sizeof(u));
	frame_put_random(to, n);
	frame_end(to);
}

/* A datagram to a server, or to nobody; sometimes several in one frame */
void udp_make(void)
{
	static const uint16_t ports[] = { PORT_ECHO, PORT_ECHO, PORT_BURST, PORT_DNS,
					  PORT_NOBODY };
	struct addr them = chance(85) ? peer_addr(chance(50)) : some_addr(chance(50));
	unsigned port = chance(90) ? ports[below(5)] : below(65536);
	unsigned from = chance(80) ? 20000 + below(64) : below(65536);
	size_t n = chance(90) ? below(1400) : below(9000);

	if (link_is_device() && chance(20)) {
		udp_ask(&f, &them, from, port, n = 1000 + below(20000));
		f.vnet = (struct vnet_hdr){
			.flags = VNET_F_NEEDS_CSUM, .gso_type = VNET_GSO_UDP_L4,
			.gso_size = (uint16_t)(n / (1 + below(60))),
			.hdr_len = (uint16_t)(f.l4 + 8), .csum_start = (uint16_t)f.l4,
			.csum_offset = 6,
		};
		frame_sums(&f);
	} else {
		udp_ask(&f, &them, from, port, n);
	}
	attack(&f);
}

/* Reports of group membership, and datagrams to groups */
void multicast_make(void)
{
	struct addr us = guest_addr(true), all = addr_of("ff02::16"), group = some_addr(false);
	struct addr us4 = guest_addr(false);
	uint8_t igmp[8] = { 0x16, 0 };
	static const uint8_t hop[] = { IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 };
	uint8_t mld[28] = { 143, 0, 0, 0, 0, 0, 0, 1, 4 };

	if (chance(40)) {
		frame_ip(&f, &us, &all, IPPROTO_HOPOPTS);
		frame_put(&f, hop, sizeof(hop));
		frame_put(&f, mld, sizeof(mld));
	} else if (chance(30)) {
		memcpy(igmp + 4, group.b, 4);
		frame_ip(&f, &us4, &group, IPPROTO_IGMP);
		frame_put(&f, igmp, sizeof(igmp));
	} else {
		group = addr_of(chance(50) ? "224.0.0.251" : "ff02::fb");
		udp_ask(&f, &group, 5353, 5353, below(500));
	}
	frame_end(&f);
	attack(&f);
}

/* --- fragments, extension headers ------------------------------------------------- */

/* A datagram that is cut; each fragment may be mutated */
void fragment_make(void)
{
	static struct frame whole;

	if (chance(30))
		echo_request(&whole, chance(50), below(20), below(9000));
	else
		udp_ask(&whole, &(struct addr[]){ peer_addr(chance(50)) }[0],
			20000 + below(64), PORT_ECHO, below(9000));
	fragments(&whole, false);
}

void extension_make(void)
{
	struct addr them = peer_addr(true);

	if (chance(50))
		echo_request(&f, true, below(20), below(500));
	else
		udp_ask(&f, &them, 20000 + below(64), PORT_ECHO, below(500));
	extend(&f, false);
	attack(&f);
}
