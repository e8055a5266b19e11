/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf_print.c - Print the configuration and the network of the host at start
 *
 * Callers and scripts read these lines, so their wording stays.
 */

#include "conf.h"

#include <arpa/inet.h>
#include <stdint.h>

#include "inany.h"
#include "log.h"
#include "util.h"

/* Print "NAME (IPv4), NAME (IPv6)", leaving out a name that is "" */
static void print_interfaces(const char *label, const char *name4,
			     const char *name6)
{
	if (*name4 || *name6)
		info("%s interface: %s%s%s%s%s", label,
		     name4, *name4 ? " (IPv4)" : "",
		     *name4 && *name6 ? ", " : "",
		     name6, *name6 ? " (IPv6)" : "");
}

static void print_outbound_addr(const struct conf_ip *ip, bool enabled)
{
	char s[INANY_STRLEN];

	if (enabled && inany_is_set(&ip->outbound_addr))
		info("Outbound address: %s",
		     inany_ntop(&ip->outbound_addr, s, sizeof(s)));
}

static void print_link(const struct conf *c, const struct hostnet *h)
{
	char mac[UTIL_MAC_STRLEN];

	print_interfaces("Template", h->ip4.ifindex ? h->ip4.ifname : "",
			 h->ip6.ifindex ? h->ip6.ifname : "");
	print_interfaces("Outbound", c->ip4.outbound_if, c->ip6.outbound_if);
	print_outbound_addr(&c->ip4, h->ip4.enabled);
	print_outbound_addr(&c->ip6, h->ip6.enabled);
	if (c->mode == MODE_PASTA)
		info("Namespace interface: %s", h->ns_ifname);
	info("MAC:");
	info("    host: %s", util_mac_ntop(c->our_mac, mac));
}

static void print_addr(const char *label, const union inany *a)
{
	char s[INANY_STRLEN];

	if (inany_is_set(a))
		info("    %s: %s", label, inany_ntop(a, s, sizeof(s)));
}

static void print_dns(const union inany *ns, unsigned n, const struct dns *d,
		      bool search)
{
	char s[INANY_STRLEN];

	if (n)
		info("DNS:");
	for (unsigned i = 0; i < n; i++)
		info("    %s", inany_ntop(&ns[i], s, sizeof(s)));
	if (search && d->nsearch)
		info("DNS search list:");
	for (unsigned i = 0; search && i < d->nsearch; i++)
		info("    %s", d->search[i]);
}

/* The heading names the protocol that assigns the address, if there is one */
static void print_ipv4(const struct conf *c, const struct hostnet *h,
		       const struct dns *d)
{
	uint32_t mask = (uint32_t)(UINT64_MAX << (32 - h->ip4.prefix_len));
	union inany a = inany_from_v4((struct in_addr){ htonl(mask) });

	print_addr("NAT to host 127.0.0.1", &h->ip4.map_host_loopback);
	if (!inany_is_set(&h->ip4.addr))
		return;
	info("%s:", c->no_dhcp ? "IPv4" : "DHCP");
	print_addr("assign", &h->ip4.addr);
	print_addr("mask", &a);
	print_addr("router", &h->ip4.gw);
	if (!c->no_dhcp)
		print_dns(d->ns4, c->dhcp_dns ? d->n4 : 0, d, c->dhcp_search);
}

static const char *ipv6_protocols(const struct conf *c)
{
	if (c->no_ra)
		return c->no_dhcpv6 ? "IPv6" : "DHCPv6";
	return c->no_dhcpv6 ? "NDP" : "NDP/DHCPv6";
}

static void print_ipv6(const struct conf *c, const struct hostnet *h,
		       const struct dns *d)
{
	print_addr("NAT to host ::1", &h->ip6.map_host_loopback);
	if (!inany_is_set(&h->ip6.addr))
		return;
	info("%s:", ipv6_protocols(c));
	print_addr("assign", &h->ip6.addr);
	print_addr("router", &h->ip6.gw);
	print_addr("our link-local", &h->ip6.our_ll);
	if (!c->no_ra || !c->no_dhcpv6)
		print_dns(d->ns6, c->dhcp_dns ? d->n6 : 0, d, c->dhcp_search);
}

/**
 * conf_print() - Print interfaces, addresses and name servers
 * @c:		Configuration
 * @h:		Network of the host
 * @d:		Name servers and search list at start
 */
void conf_print(const struct conf *c, const struct hostnet *h,
		const struct dns *d)
{
	if (!c->splice_only)
		print_link(c, h);
	if (h->ip4.enabled && !c->splice_only)
		print_ipv4(c, h, d);
	if (h->ip6.enabled && !c->splice_only)
		print_ipv6(c, h, d);
}
