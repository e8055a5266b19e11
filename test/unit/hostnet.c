/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface, address and routes that are the template
 *
 * Messages of the test answer the requests that a kernel would answer.
 */

#include "nlmsg.h"

static int fake_link(struct nl *n, unsigned index, const char *name,
		     struct nl_link *l);
static int fake_talk(struct nl *n, struct nl_req *q, nl_msg_fn fn, void *arg);

#define nl_get_link		fake_link
#define nl_talk			fake_talk
#include "with_hostnet.h"

/* The choice of a template */

static struct probe probe;
static struct hostnet_ip host;

static void probe_reset(sa_family_t family)
{
	memset(&probe, 0, sizeof(probe));
	memset(&host, 0, sizeof(host));
	probe.family = family;
	probe.host = &host;
	probe.best.oif = 3;
}

static void test_hop_on(void)
{
	const struct nl_route r = { .nhops = 3, .hops = {
		{ .oif = 3, .dead = true }, { .oif = 5 }, { .oif = 3 },
	} };

	ok(hop_on(&r, 3) == &r.hops[2],
	   "of the next hops over an interface a live one is preferred");
	ok(!hop_on(&r, 4), "over another interface there is no next hop");
}

static void feed_route(const char *dst, unsigned len, unsigned oif,
		       const char *gw)
{
	union inany a = ip(dst);

	start();
	route_message(inany_is_v4(&a) ? AF_INET : AF_INET6, len);
	if (len)
		attr_ip(RTA_DST, dst);
	attr_num(RTA_OIF, oif);
	if (gw)
		attr_ip(RTA_GATEWAY, gw);
	cand_msg(msg, &probe);
	route_msg(msg, &probe);
}

static void test_collect_routes(void)
{
	unsigned i;

	probe_reset(AF_INET);
	feed_route("198.51.100.0", 24, 3, NULL);
	feed_route("0.0.0.0", 0, 5, "203.0.113.1");
	for (i = 0; i < HOSTNET_ROUTES_MAX; i++)
		feed_route("203.0.113.9", 32, 3, "198.51.100.7");
	is(host.nroutes, HOSTNET_ROUTES_MAX,
	   "routes are collected up to a limit");
	is(host.routes_lost, 1, "routes beyond the limit are counted");
	feed_route("0.0.0.0", 0, 3, "198.51.100.1");
	ok(!host.routes[HOSTNET_ROUTES_MAX - 1].dst_len,
	   "a default route finds room beyond the limit");
	is(probe.ncands, 2, "both default routes are candidates");

	for (i = 0; i < PROBE_CANDS_MAX; i++)
		feed_route("0.0.0.0", 0, 3, "198.51.100.1");
	is(probe.ncands, PROBE_CANDS_MAX, "candidates are collected up to a limit");

	probe_reset(AF_INET6);
	feed_route("::", 0, 3, "fe80::1");
	is(probe.cands[0].metric, IP6_METRIC_DEFAULT,
	   "an IPv6 route without metric has the default one");
	probe.oif = 4;
	feed_route("::", 0, 3, "fe80::1");
	is(probe.ncands, 1,
	   "routes over other interfaces than the given one are left out");
}

static void feed_addr(const char *addr, unsigned len, unsigned index,
		      uint32_t flags, unsigned scope)
{
	union inany a = ip(addr);

	start();
	addr_message(probe.family, len, index);
	((struct ifaddrmsg *)NLMSG_DATA(msg))->ifa_scope = (uint8_t)scope;
	attr(IFA_ADDRESS, probe.family == AF_INET ?
	     (void *)&a.v4mapped.a4 : (void *)&a.a6,
	     probe.family == AF_INET ? 4 : 16);
	attr_num(IFA_FLAGS, flags);
	addr_msg(msg, &probe);
}

static void test_addr_order_v4(void)
{
	probe_reset(AF_INET);
	feed_addr("127.0.0.1", 8, 3, 0, RT_SCOPE_HOST);
	feed_addr("203.0.113.5", 24, 4, 0, RT_SCOPE_UNIVERSE);
	is(host.naddrs, 0, "loopback and other interfaces are left out");
	feed_addr("169.254.3.4", 16, 3, 0, RT_SCOPE_LINK);
	feed_addr("203.0.113.6", 24, 3, 0, RT_SCOPE_UNIVERSE);
	feed_addr("198.51.100.5", 24, 3, IFA_F_SECONDARY, RT_SCOPE_UNIVERSE);
	addrs_settle(&host, &probe.best);
	ok(is_ip(&host.addrs[0].addr, "203.0.113.6"),
	   "a global primary address comes first");
	probe.best.gw = ip("198.51.100.1");
	addrs_settle(&host, &probe.best);
	ok(is_ip(&host.addrs[0].addr, "198.51.100.5"),
	   "an address in the gateway's network comes first");
	probe.best.prefsrc = ip("203.0.113.9");
	feed_addr("203.0.113.9", 32, 1, 0, RT_SCOPE_UNIVERSE);
	addrs_settle(&host, &probe.best);
	ok(is_ip(&host.addrs[0].addr, "203.0.113.9"),
	   "the preferred source of the route comes first");
	is(host.naddrs, 4, "all other IPv4 addresses are kept");
}

static void test_addr_order_v6(void)
{
	static const struct {
		const char *addr;
		uint32_t flags;
		const char *name;
	} t[] = {
		{ "fd00::5", IFA_F_DEPRECATED,
		  "a deprecated address is better than none" },
		{ "2001:db8::7", IFA_F_DEPRECATED,
		  "a deprecated global address is better than a ULA" },
		{ "fd00::6", IFA_F_TENTATIVE, "a tentative ULA is better" },
		{ "fd00::7", IFA_F_TEMPORARY, "a temporary ULA is better" },
		{ "fd00::8", 0, "a stable ULA is better" },
		{ "2001:db8::4", IFA_F_TENTATIVE,
		  "a tentative global address is better" },
		{ "2001:db8::3", IFA_F_TEMPORARY,
		  "a temporary global address is better" },
		{ "2001:db8::2", 0, "a stable global address is best" },
	};
	unsigned i;

	probe_reset(AF_INET6);
	feed_addr("fe80::5", 64, 3, 0, RT_SCOPE_LINK);
	feed_addr("2001:db8::9", 64, 3, IFA_F_DADFAILED, RT_SCOPE_UNIVERSE);
	is(host.naddrs, 0, "link-local addresses and duplicates are left out");
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		feed_addr(t[i].addr, 64, 3, t[i].flags, RT_SCOPE_UNIVERSE);
		ok(is_ip(&addr_best(&host, &probe.best)->addr, t[i].addr),
		   t[i].name);
	}
	addrs_settle(&host, &probe.best);
	ok(is_ip(&host.addrs[0].addr, "2001:db8::2"),
	   "the best address comes first");
	is(host.naddrs, 6, "temporary addresses are not copied");
	for (i = 0; i <= HOSTNET_ADDRS_MAX; i++)
		feed_addr("2001:db8::2", 64, 3, 0, RT_SCOPE_UNIVERSE);
	is(host.naddrs, HOSTNET_ADDRS_MAX,
	   "addresses are collected up to a limit");
	is(host.addrs_lost, 7, "addresses beyond the limit are counted");
}

static void test_prefixes(void)
{
	union inany a = ip("10.1.2.3"), b = ip("198.51.100.6");

	probe_reset(AF_INET);
	is(prefix_guess(&a, &host), 8,
	   "an address of class A has 8 bits of prefix");
	a = ip("172.16.1.1");
	is(prefix_guess(&a, &host), 16, "an address of class B has 16");
	is(prefix_guess(&b, &host), 24, "an address of class C has 24");
	a = ip("240.0.0.1");
	is(prefix_guess(&a, &host), 32, "an address of no class has 32");
	a = ip("2001:db8::1");
	is(prefix_guess(&a, &host), 64, "an IPv6 address has 64");
	feed_addr("198.51.100.5", 29, 3, 0, RT_SCOPE_UNIVERSE);
	is(prefix_guess(&b, &host), 29,
	   "an address of the host's network has as many");
	a = ip("198.51.100.14");
	ok(inany_prefix_equals(&a, &b, 28) && !inany_prefix_equals(&a, &b, 29),
	   "prefixes are compared by bits");
	a = ip("::ffff:198.51.100.6");
	ok(inany_prefix_equals(&a, &b, 32), "a mapped address is the IPv4 one");
	a = ip("2001:db8::1");
	ok(!inany_prefix_equals(&a, &b, 0), "families have no prefix in common");
}

static void test_eui64(void)
{
	static const uint8_t mac[6] = { 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 };
	union inany a = eui64_linklocal(mac);

	ok(is_ip(&a, "fe80::9855:9aff:fe55:9a55"),
	   "our link-local address is made from our MAC address");
}

static void test_onlink_better(void)
{
	const struct onlink none = { 0 }, prefer = { .prefer = 7 };

	ok(onlink_better(&none, 9, 0), "any interface is better than none");
	ok(onlink_better(&none, 3, 5) && !onlink_better(&none, 5, 3),
	   "the first interface on the link is taken");
	ok(onlink_better(&prefer, 7, 3) && !onlink_better(&prefer, 3, 7),
	   "the other family's template comes before the first interface");
}

static void test_local_route(void)
{
	struct conf_ip asked4 = { .gw_given = true };
	unsigned i;

	memset(&host, 0, sizeof(host));
	add_local_route(&asked4, true, &host);
	is(host.nroutes, 0, "a gateway that was given stays the only one");
	asked4.gw_given = false;
	for (i = 0; i <= HOSTNET_ROUTES_MAX; i++)
		add_local_route(&asked4, true, &host);
	ok(is_ip(&host.gw, "169.254.2.2"),
	   "without default route the host routes");
	is(host.nroutes, HOSTNET_ROUTES_MAX,
	   "the route to the host finds room in any case");
	is(host.routes_lost, 1, "another route is lost for it");
}

static void test_local_mode(void)
{
	struct conf_ip asked4 = { .enabled = true }, asked6 = asked4;

	memset(&host, 0, sizeof(host));
	local_mode(&asked4, true, &host);
	ok(is_ip(&host.addr, "169.254.2.1") && host.prefix_len == 16 &&
	   is_ip(&host.gw, "169.254.2.2"),
	   "without any network IPv4 is in local mode");
	memset(&host, 0, sizeof(host));
	host.our_ll = ip("fe80::1");
	local_mode(&asked6, false, &host);
	ok(!inany_is_set(&host.addr) && is_ip(&host.gw, "fe80::1"),
	   "without any network IPv6 is link-local");
	asked4.addr_given = true;
	memset(&host, 0, sizeof(host));
	host.addr = ip("10.0.2.100");
	local_mode(&asked4, true, &host);
	ok(is_ip(&host.addr, "10.0.2.100") && host.prefix_len == 8,
	   "a family whose address was given stays");
}

static struct conf conf;
static struct hostnet net;

static void test_resolve(void)
{
	memset(&net, 0, sizeof(net));
	memset(&conf, 0, sizeof(conf));
	net.ip4.gw = net.ip4.addr = ip("192.0.2.254");
	net.ip6.ifindex = 3;
	util_strcpy(net.ip6.ifname, IFNAMSIZ, "eth6");
	values_derive(&net, &conf);
	ok(inany_equals(&net.ip4.map_host_loopback, &net.ip4.gw),
	   "the gateway reaches the host");
	ok(!strcmp(net.ns_ifname, "eth6"),
	   "the interface is named as the host's");
	net.ip4.ifindex = 2;
	util_strcpy(net.ip4.ifname, IFNAMSIZ, "eth4");
	net.ip4.onlink = true;
	values_derive(&net, &conf);
	ok(!strcmp(net.ns_ifname, "eth6"),
	   "the name of a default route's interface comes first");
	net.ip4.onlink = false;
	values_derive(&net, &conf);
	ok(!strcmp(net.ns_ifname, "eth4"),
	   "the name of IPv4's template comes before IPv6's");
	util_strcpy(conf.ns_ifname, IFNAMSIZ, "mine");
	values_derive(&net, &conf);
	ok(!strcmp(net.ns_ifname, "mine"), "a name that was given holds");

	memset(&net, 0, sizeof(net));
	memset(&conf, 0, sizeof(conf));
	conf.no_map_gw = true;
	net.ip4.gw = ip("192.0.2.254");
	values_derive(&net, &conf);
	ok(!inany_is_set(&net.ip4.map_host_loopback),
	   "with --no-map-gw, the gateway does not reach the host");
	ok(!strcmp(net.ns_ifname, "tap0"),
	   "without a template the tap is tap0");
}

/*
 * A host with one interface: e3, 198.51.100.5/24 behind 198.51.100.1, and
 * 2001:db8::5/64 behind fe80::1. Its routing policy is the main table.
 */

static int fake_link(struct nl *n, unsigned index, const char *name,
		     struct nl_link *l)
{
	(void)n;
	if (index != 3 && (!name || strcmp(name, "e3")))
		return -ENODEV;
	*l = (struct nl_link){ .index = 3, .name = "e3",
			       .flags = IFF_UP | IFF_RUNNING };
	return 0;
}

static void fake_route(bool v4, nl_msg_fn fn, void *arg)
{
	start();
	route_message(v4 ? AF_INET : AF_INET6, 0);
	attr_num(RTA_OIF, 3);
	attr_ip(RTA_GATEWAY, v4 ? "198.51.100.1" : "fe80::1");
	fn(msg, arg);
}

static void fake_addr(bool v4, nl_msg_fn fn, void *arg)
{
	start();
	addr_message(v4 ? AF_INET : AF_INET6, v4 ? 24 : 64, 3);
	attr_ip(IFA_ADDRESS, v4 ? "198.51.100.5" : "2001:db8::5");
	fn(msg, arg);
}

static int fake_talk(struct nl *n, struct nl_req *q, nl_msg_fn fn, void *arg)
{
	bool v4 = *(const uint8_t *)NLMSG_DATA(&q->nh) == AF_INET;

	(void)n;
	if (q->nh.nlmsg_type == RTM_GETROUTE)
		fake_route(v4, fn, arg);
	else
		fake_addr(v4, fn, arg);
	return 0;
}

static void look(void)
{
	conf.ip4.enabled = conf.ip6.enabled = true;
	is(hostnet_init(&net, &conf), 0, "the host is looked at");
}

static void test_host(void)
{
	memset(&conf, 0, sizeof(conf));
	conf.mtu = 1400;
	look();
	ok(net.ip4.enabled && net.ip4.ifindex == 3 &&
	   !strcmp(net.ip4.ifname, "e3") && !net.ip4.onlink,
	   "the interface of the default route is the template");
	ok(is_ip(&net.ip4.addr, "198.51.100.5") && net.ip4.prefix_len == 24 &&
	   is_ip(&net.ip4.gw, "198.51.100.1"),
	   "address, prefix length and gateway are the host's");
	ok(is_ip(&net.ip6.addr, "2001:db8::5") && net.ip6.prefix_len == 64 &&
	   is_ip(&net.ip6.gw, "fe80::1"),
	   "IPv6 address, prefix length, gateway are the host's");
	ok(is_ip(&net.ip4.host_addr, "198.51.100.5") &&
	   is_ip(&net.ip4.map_host_loopback, "198.51.100.1"),
	   "the host's address is known, and the gateway reaches its loopback");
	ok(net.ip4.naddrs == 1 && net.ip4.nroutes == 1,
	   "the address and the route are to be copied");
	is(net.mtu, 1400, "the MTU is the one that was given");
	ok(net.ephemeral_first && net.ephemeral_first <= net.ephemeral_last,
	   "the host's ephemeral ports are known");
}

static void test_host_given(void)
{
	memset(&conf, 0, sizeof(conf));
	conf.ip4.addr = ip("203.0.113.9");
	conf.ip4.gw = ip("203.0.113.1");
	conf.ip4.prefix_len = 28;
	conf.ip4.addr_given = conf.ip4.prefix_given = conf.ip4.gw_given = true;
	conf.ip4.map_host_loopback = conf.ip4.map_guest_addr = ip("192.0.2.7");
	conf.ip4.map_given = true;
	look();
	ok(is_ip(&net.ip4.addr, "203.0.113.9") && net.ip4.prefix_len == 28 &&
	   is_ip(&net.ip4.gw, "203.0.113.1"),
	   "address, prefix length and gateway that were given hold");
	ok(is_ip(&net.ip4.map_host_loopback, "192.0.2.7") &&
	   is_ip(&net.ip4.map_guest_addr, "192.0.2.7"),
	   "mappings that were given hold");
	is(net.ip4.ifindex, 3, "a given address needs the template, too");
	conf.ip4.prefix_given = false;
	look();
	is(net.ip4.prefix_len, 24,
	   "the length of an address without is guessed");

	conf.splice_only = true;
	look();
	ok(!net.ip4.ifindex && !net.ip4.naddrs && is_ip(&net.ip4.addr,
	   "203.0.113.9"), "without a tap nothing is searched for");
}

static void test_host_interface(void)
{
	memset(&conf, 0, sizeof(conf));
	util_strcpy(conf.ifname_opt, IFNAMSIZ, "e3");
	look();
	is(net.ip4.ifindex, 3, "the interface that was given is the template");
	util_strcpy(conf.ifname_opt, IFNAMSIZ, "e4");
	is(hostnet_init(&net, &conf), -ENODEV,
	   "a given interface that is not there is an error");
}

int main(void)
{
	log_init("hostnet");
	log_set_level(LOG_L_ERR);
	test_hop_on();
	test_collect_routes();
	test_addr_order_v4();
	test_addr_order_v6();
	test_prefixes();
	test_eui64();
	test_onlink_better();
	test_local_route();
	test_local_mode();
	test_resolve();
	test_host();
	test_host_given();
	test_host_interface();
	return done();
}
