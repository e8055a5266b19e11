/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink messages as the kernel makes them and as it should never, and which
 * interface, address and routes are the template
 *
 * hostnet.c is included for its static functions, under other names, since its
 * object file is linked, too.
 */

#include "../../netlink.h"

static int fake_link(struct nl *n, unsigned index, const char *name,
		     struct nl_link *l);
static int fake_talk(struct nl *n, struct nl_req *q, nl_msg_fn fn, void *arg);

#define hostnet_init		included_hostnet_init
#define hostnet_ephemeral	included_hostnet_ephemeral
#define nl_get_link		fake_link
#define nl_talk			fake_talk
#include "../../hostnet.c"

#include <linux/if_link.h>
#include <linux/nexthop.h>

#include "tap.h"

enum { SEQ = 7, PORT = 42 };

static uint8_t dgram[16384] __attribute__((aligned(4)));
static size_t dgram_len;
static struct nlmsghdr *msg;
static struct nl nl;
static unsigned seen;

/* start() - An empty datagram, and a request it may answer */
static void start(void)
{
	memset(dgram, 0, sizeof(dgram));
	dgram_len = 0;
	nl.answer.seq = SEQ;
	nl.answer.portid = PORT;
	nl.answer.interrupted = false;
	nl.answer.extack[0] = '\0';
	seen = 0;
}

static void add(const void *data, size_t len)
{
	if (len)
		memcpy(dgram + dgram_len, data, len);
	dgram_len += NLMSG_ALIGN(len);
	msg->nlmsg_len += (uint32_t)NLMSG_ALIGN(len);
}

static struct nlmsghdr *message(unsigned type, const void *hdr, size_t len)
{
	msg = (struct nlmsghdr *)(dgram + dgram_len);
	*msg = (struct nlmsghdr){ .nlmsg_len = sizeof(*msg),
				  .nlmsg_type = (uint16_t)type,
				  .nlmsg_flags = NLM_F_MULTI,
				  .nlmsg_seq = SEQ, .nlmsg_pid = PORT };
	dgram_len += sizeof(*msg);
	add(hdr, len);
	return msg;
}

static struct rtattr *attr(unsigned type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(dgram + dgram_len);
	struct rtattr hdr = { .rta_len = (uint16_t)(sizeof(hdr) + len),
			      .rta_type = (uint16_t)type };

	add(&hdr, sizeof(hdr));
	add(data, len);
	return a;
}

static void attr_num(unsigned type, uint32_t v)
{
	attr(type, &v, sizeof(v));
}

static union inany ip(const char *s)
{
	union inany a = { 0 };

	if (!inany_pton(s, &a))
		ok(false, "an address of the test is valid");
	return a;
}

static void attr_ip(unsigned type, const char *s)
{
	union inany a = ip(s);

	if (inany_is_v4(&a))
		attr(type, &a.v4mapped.a4, 4);
	else
		attr(type, &a.a6, 16);
}

static bool is_ip(const union inany *a, const char *s)
{
	union inany b = ip(s);

	return inany_equals(a, &b);
}

static void count_msg(const struct nlmsghdr *nh, void *arg)
{
	(void)nh;
	++*(unsigned *)arg;
}

static int walk(void)
{
	return nl_walk(&nl.answer, dgram, dgram_len, count_msg, &seen);
}

static void data_message(void)
{
	struct rtmsg rtm = { .rtm_family = AF_INET };

	message(RTM_NEWROUTE, &rtm, sizeof(rtm));
}

static void done_message(int32_t error)
{
	message(NLMSG_DONE, &error, sizeof(error));
}

static void test_walk_end(void)
{
	start();
	data_message();
	data_message();
	is(walk(), 1, "without an end more is to come");
	is(seen, 2, "each message is handed on");

	start();
	data_message();
	done_message(0);
	is(walk(), 0, "the end of a dump may be packed behind data");
	is(seen, 1, "with the data handed on");

	start();
	message(NLMSG_DONE, NULL, 0);
	is(walk(), 0, "the end of a dump may be empty");

	start();
	done_message(-ENOENT);
	is(walk(), -ENOENT, "the end of a dump may hold an error");

	start();
	data_message();
	msg->nlmsg_flags |= NLM_F_DUMP_INTR;
	done_message(0);
	is(walk(), 0, "an interrupted dump ends as others");
	ok(nl.answer.interrupted, "and it is known to be interrupted");

	start();
	message(NLMSG_OVERRUN, NULL, 0);
	is(walk(), -ENOBUFS, "an overrun is an error");
}

static void test_walk_strangers(void)
{
	start();
	done_message(0);
	msg->nlmsg_seq = SEQ - 1;
	data_message();
	msg->nlmsg_pid = PORT + 1;
	data_message();
	is(walk(), 1, "the answer to an earlier request is not ours");
	is(seen, 1, "nor is that to somebody else");

	start();
	message(NLMSG_NOOP, NULL, 0);
	is(walk(), 1, "a message of no meaning is passed over");
	is(seen, 0, "and not handed on");
	is(nl_walk(&nl.answer, dgram, 0, count_msg, &seen), 1,
	   "an empty datagram says nothing");
}

static void test_walk_malformed(void)
{
	start();
	data_message();
	msg->nlmsg_len = 0;
	is(walk(), -EBADMSG, "a message of length 0 is refused");
	msg->nlmsg_len = sizeof(*msg) - 1;
	is(walk(), -EBADMSG, "a message shorter than its header is refused");
	msg->nlmsg_len = (uint32_t)dgram_len + 1;
	is(walk(), -EBADMSG, "a message beyond the datagram is refused");
	msg->nlmsg_len = UINT32_MAX;
	is(walk(), -EBADMSG, "a message of 4 GiB is refused");
	is(seen, 0, "and none of these is handed on");

	start();
	data_message();
	dgram_len += 4;
	is(walk(), -EBADMSG, "bytes too few for a header are refused");
}

static void error_message(int32_t error, uint32_t orig_len, unsigned flags)
{
	struct nlmsgerr e = { .error = error, .msg.nlmsg_len = orig_len };

	message(NLMSG_ERROR, &e, sizeof(e));
	msg->nlmsg_flags = (uint16_t)flags;
}

static void test_errors(void)
{
	char text[200];

	start();
	error_message(0, 16, NLM_F_CAPPED);
	is(walk(), 0, "an error of 0 is an acknowledgement");
	start();
	error_message(-ENETUNREACH, 16, NLM_F_CAPPED | NLM_F_ACK_TLVS);
	attr(NLMSGERR_ATTR_MSG, "no\nway", 7);
	is(walk(), -ENETUNREACH, "an error is returned");
	ok(!strcmp(nl.answer.extack, "no?way"), "its words are kept, printable");

	start();
	error_message(-EINVAL, 16 + 12, NLM_F_ACK_TLVS);
	add("twelve bytes", 12);
	attr(NLMSGERR_ATTR_MSG, "behind", 7);
	is(walk(), -EINVAL, "an error may hold the request");
	ok(!strcmp(nl.answer.extack, "behind"), "its words are behind that");

	start();
	error_message(-EINVAL, UINT32_MAX - 2, NLM_F_ACK_TLVS);
	attr(NLMSGERR_ATTR_MSG, "behind", 7);
	is(walk(), -EINVAL, "an error may lie about the request");
	ok(!nl.answer.extack[0], "its words are not found then");

	start();
	error_message(-EINVAL, 16, NLM_F_CAPPED | NLM_F_ACK_TLVS);
	memset(text, 'x', sizeof(text));
	attr(NLMSGERR_ATTR_MSG, text, sizeof(text));
	is(walk(), -EINVAL, "words may be long and not end");
	is(strlen(nl.answer.extack), sizeof(nl.answer.extack) - 1, "they are cut");
}

static void test_errors_malformed(void)
{
	int32_t value = -EINVAL;

	start();
	message(NLMSG_ERROR, &value, sizeof(value));
	is(walk(), -EBADMSG, "an error that is cut short is refused");
	start();
	error_message(1, 16, NLM_F_CAPPED);
	is(walk(), -EBADMSG, "a positive error is refused");
	start();
	error_message(INT32_MIN, 16, NLM_F_CAPPED);
	is(walk(), -EBADMSG, "an error that is no errno is refused");
	start();
	error_message(-EINVAL, 16, NLM_F_CAPPED | NLM_F_ACK_TLVS);
	attr(NLMSGERR_ATTR_MSG, "words", 6)->rta_len = 2;
	is(walk(), -EINVAL, "an error with malformed words is returned");
	ok(!nl.answer.extack[0], "without them");
}

/* Routes */

static struct nl_route route;

static void route_message(unsigned family, unsigned dst_len)
{
	struct rtmsg rtm = { .rtm_family = (uint8_t)family,
			     .rtm_dst_len = (uint8_t)dst_len,
			     .rtm_table = RT_TABLE_MAIN,
			     .rtm_protocol = RTPROT_STATIC,
			     .rtm_type = RTN_UNICAST };

	message(RTM_NEWROUTE, &rtm, sizeof(rtm));
}

static struct rtmsg *rtm_of(void)
{
	return NLMSG_DATA(msg);
}

static int parse_route(int family)
{
	return nl_parse_route(msg, family, &route);
}

static void test_route(void)
{
	uint8_t pref = 1;

	start();
	route_message(AF_INET, 25);
	attr_ip(RTA_DST, "203.0.113.128");
	attr_ip(RTA_GATEWAY, "198.51.100.1");
	attr_ip(RTA_PREFSRC, "198.51.100.5");
	attr_num(RTA_OIF, 3);
	attr_num(RTA_PRIORITY, 77);
	rtm_of()->rtm_flags = RTNH_F_ONLINK;
	is(parse_route(AF_INET), 0, "an IPv4 route is read");
	ok(is_ip(&route.r.dst, "203.0.113.128") && route.r.dst_len == 25,
	   "with its destination");
	ok(route.nhops == 1 && route.hops[0].oif == 3 &&
	   is_ip(&route.hops[0].gw, "198.51.100.1"), "its next hop");
	ok(is_ip(&route.r.prefsrc, "198.51.100.5"), "its preferred source");
	is(route.r.metric, 77, "its metric");
	ok(route.hops[0].onlink && !route.hops[0].dead, "and its flags");
	is(parse_route(AF_INET6), -ESRCH, "it is no IPv6 route");

	start();
	route_message(AF_INET6, 0);
	attr_ip(RTA_GATEWAY, "fe80::1");
	attr_num(RTA_OIF, 2);
	attr(RTA_PREF, &pref, 1);
	rtm_of()->rtm_flags = RTNH_F_LINKDOWN;
	is(parse_route(AF_INET6), 0, "an IPv6 default route is read");
	ok(is_ip(&route.hops[0].gw, "fe80::1"), "with its gateway");
	ok(!inany_is_set(&route.r.dst), "without a destination");
	ok(route.hops[0].dead, "a link without carrier is seen");
	is(route.r.pref, 1, "and the preference of the router");
}

static void test_route_via(void)
{
	uint8_t via[18] = { 0 };
	uint16_t family = AF_INET6;

	start();
	route_message(AF_INET, 0);
	attr_num(RTA_OIF, 2);
	memcpy(via, &family, sizeof(family));
	via[2] = 0xfe;
	via[3] = 0x80;
	via[17] = 1;
	attr(RTA_VIA, via, sizeof(via));
	is(parse_route(AF_INET), 0, "a route over the other family is read");
	ok(is_ip(&route.hops[0].gw, "fe80::1"), "with its gateway");

	start();
	route_message(AF_INET, 0);
	attr_num(RTA_OIF, 2);
	attr(RTA_VIA, via, 1);
	is(parse_route(AF_INET), 0, "one whose gateway is cut short is read");
	ok(!inany_is_set(&route.hops[0].gw), "as if it had none");
}

static void test_route_no_interest(void)
{
	start();
	route_message(AF_INET, 0);
	attr_num(RTA_TABLE, 1000);
	is(parse_route(AF_INET), -ESRCH, "a table above 255 is not the main one");
	is(nl_parse_route_of_any(msg, AF_INET, &route), 0,
	   "which may be wanted");
	is(route.table, 1000, "then it is told");
	start();
	route_message(AF_INET, 0);
	rtm_of()->rtm_type = RTN_UNREACHABLE;
	is(parse_route(AF_INET), -ESRCH, "an unreachable route is left out");
	start();
	route_message(AF_INET6, 0);
	rtm_of()->rtm_flags = RTM_F_CLONED;
	is(parse_route(AF_INET6), -ESRCH, "a cached route is left out");
	start();
	route_message(AF_INET, 0);
	attr_num(RTA_NH_ID, 9);
	is(parse_route(AF_INET), 0, "a route with a nexthop object is read");
	ok(!route.nhops && route.nh_id == 9, "it has but the object's id");
}

static void test_route_malformed(void)
{
	static const struct { unsigned len; const char *name; } t[] = {
		{ 0, "an attribute of length 0 is refused" },
		{ 3, "an attribute shorter than its header is refused" },
		{ 9, "an attribute beyond its message is refused" },
		{ 0xffff, "an attribute of 64 KiB is refused" },
	};
	struct rtattr *a;
	unsigned i;

	start();
	route_message(AF_INET, 0);
	a = attr(RTA_OIF, "abcd", 4);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		a->rta_len = (uint16_t)t[i].len;
		is(parse_route(AF_INET), -EBADMSG, t[i].name);
	}
	a->rta_len = 6;
	is(parse_route(AF_INET), 0, "a number of two bytes");
	is(route.nhops, 0, "is no interface");

	start();
	message(RTM_NEWROUTE, "short", 5);
	is(parse_route(AF_INET), -EBADMSG, "a route cut short is refused");
	start();
	route_message(AF_INET, 33);
	attr_ip(RTA_DST, "203.0.113.0");
	is(parse_route(AF_INET), -EBADMSG, "an IPv4 prefix of 33 is refused");
	start();
	route_message(AF_INET, 24);
	is(parse_route(AF_INET), -EBADMSG, "a prefix of nothing is refused");
	start();
	route_message(AF_INET6, 24);
	attr_ip(RTA_DST, "203.0.113.0");
	is(parse_route(AF_INET6), -EBADMSG,
	   "a destination of the other family is refused");
}

/* hop_add() - One element of RTA_MULTIPATH, with an IPv4 gateway */
static size_t hop_add(uint8_t *p, int ifindex, uint8_t flags, const char *gw)
{
	struct rtnexthop nh = { .rtnh_len = sizeof(nh) + 8,
				.rtnh_flags = flags, .rtnh_ifindex = ifindex };
	struct rtattr a = { .rta_len = 8, .rta_type = RTA_GATEWAY };
	union inany gw_ip = ip(gw);

	memcpy(p, &nh, sizeof(nh));
	memcpy(p + sizeof(nh), &a, sizeof(a));
	memcpy(p + sizeof(nh) + sizeof(a), &gw_ip.v4mapped.a4, 4);
	return nh.rtnh_len;
}

static void test_multipath(void)
{
	uint8_t mp[NL_HOPS_MAX * 32];
	struct rtattr *a;
	size_t n;
	int i;

	n = hop_add(mp, 3, RTNH_F_DEAD, "198.51.100.1");
	n += hop_add(mp + n, 5, 0, "203.0.113.1");
	n += hop_add(mp + n, 3, RTNH_F_ONLINK, "198.51.100.2");
	start();
	route_message(AF_INET, 0);
	a = attr(RTA_MULTIPATH, mp, n);
	is(parse_route(AF_INET), 0, "a multipath route is read");
	ok(route.nhops == 3 && route.hops[1].oif == 5 &&
	   is_ip(&route.hops[1].gw, "203.0.113.1"), "with all next hops");
	ok(hop_on(&route, 3) == &route.hops[2],
	   "of those over an interface a live one is preferred");
	ok(!hop_on(&route, 4), "over another interface there is none");

	((struct rtnexthop *)(void *)(a + 1))->rtnh_len = 0;
	is(parse_route(AF_INET), -EBADMSG, "a next hop of length 0 is refused");
	((struct rtnexthop *)(void *)(a + 1))->rtnh_len = (uint16_t)(n + 1);
	is(parse_route(AF_INET), -EBADMSG,
	   "a next hop beyond its list is refused");
	((struct rtnexthop *)(void *)(a + 1))->rtnh_len = 16;
	((struct rtattr *)(void *)((uint8_t *)(a + 1) + 8))->rta_len = 9;
	is(parse_route(AF_INET), -EBADMSG,
	   "an attribute beyond its next hop is refused");

	for (i = 0, n = 0; i < NL_HOPS_MAX + 2; i++)
		n += hop_add(mp + n, i + 1, 0, "198.51.100.1");
	start();
	route_message(AF_INET, 0);
	attr(RTA_MULTIPATH, mp, n);
	is(parse_route(AF_INET), 0, "a route of very many paths is read");
	is(route.nhops, NL_HOPS_MAX, "up to a limit");
}

static void test_nexthop(void)
{
	struct nexthop_grp g[3] = { { .id = 7 }, { .id = 8 }, { .id = 9 } };
	struct nhmsg nhm = { .nh_family = AF_INET6, .nh_flags = RTNH_F_ONLINK };
	struct nl_nexthop x;

	start();
	message(RTM_NEWNEXTHOP, &nhm, sizeof(nhm));
	attr_num(NHA_OIF, 4);
	attr_ip(NHA_GATEWAY, "2001:db8::1");
	is(nl_parse_nexthop(msg, &x), 0, "a nexthop object is read");
	ok(x.hop.oif == 4 && is_ip(&x.hop.gw, "2001:db8::1") && x.hop.onlink,
	   "with interface, gateway and flags");
	start();
	message(RTM_NEWNEXTHOP, &nhm, sizeof(nhm));
	attr(NHA_GROUP, g, sizeof(g) - 1);
	is(nl_parse_nexthop(msg, &x), 0, "a group of them is read");
	ok(x.nids == 2 && x.ids[1] == 8, "whole members only");
	start();
	message(RTM_NEWNEXTHOP, &nhm, sizeof(nhm));
	attr(NHA_BLACKHOLE, NULL, 0);
	attr_num(NHA_OIF, 4);
	is(nl_parse_nexthop(msg, &x), 0, "a black hole is read");
	ok(!x.hop.oif && !x.nids, "and leads nowhere");
	start();
	message(RTM_NEWNEXTHOP, &nhm, 3);
	msg->nlmsg_len--;
	is(nl_parse_nexthop(msg, &x), -EBADMSG,
	   "a nexthop object cut short is refused");
}

/* Addresses and links */

static void addr_message(unsigned family, unsigned len, unsigned index)
{
	struct ifaddrmsg ifa = { .ifa_family = (uint8_t)family,
				 .ifa_prefixlen = (uint8_t)len,
				 .ifa_flags = IFA_F_PERMANENT,
				 .ifa_index = index };

	message(RTM_NEWADDR, &ifa, sizeof(ifa));
}

static void test_addr(void)
{
	static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 198, 51, 100, 5 };
	struct host_addr a;
	unsigned index;

	start();
	addr_message(AF_INET, 32, 3);
	attr_ip(IFA_ADDRESS, "198.51.100.9");
	attr_ip(IFA_LOCAL, "198.51.100.5");
	attr_num(IFA_FLAGS, IFA_F_NOPREFIXROUTE);
	is(nl_parse_addr(msg, AF_INET, &a, &index), 0, "an address is read");
	ok(is_ip(&a.addr, "198.51.100.5") && is_ip(&a.peer, "198.51.100.9"),
	   "with the other end of a point-to-point link");
	is(a.flags, IFA_F_NOPREFIXROUTE, "and with flags above 255");
	is(nl_parse_addr(msg, AF_INET6, &a, &index), -ESRCH,
	   "without IPv6 the kernel lists IPv4, which is left out");

	start();
	addr_message(AF_INET6, 64, 3);
	attr_ip(IFA_ADDRESS, "2001:db8::5");
	is(nl_parse_addr(msg, AF_INET6, &a, &index), 0,
	   "an IPv6 address is read");
	ok(is_ip(&a.addr, "2001:db8::5") && is_ip(&a.peer, "2001:db8::5") &&
	   index == 3, "it is on a link with many ends");
	is(a.flags, IFA_F_PERMANENT, "with flags in the header alone");

	start();
	addr_message(AF_INET6, 129, 3);
	attr_ip(IFA_ADDRESS, "2001:db8::5");
	is(nl_parse_addr(msg, AF_INET6, &a, &index), -EBADMSG,
	   "a prefix of 129 is refused");
	start();
	addr_message(AF_INET6, 64, 3);
	attr_ip(IFA_ADDRESS, "198.51.100.5");
	is(nl_parse_addr(msg, AF_INET6, &a, &index), -EBADMSG,
	   "an address of the wrong length is refused");
	start();
	addr_message(AF_INET6, 88, 3);
	attr_ip(IFA_ADDRESS, "2001:db8::5");
	memcpy(dgram + dgram_len - 16, mapped, 16);
	is(nl_parse_addr(msg, AF_INET6, &a, &index), -EBADMSG,
	   "an IPv4-mapped address is refused");
}

static int link_message(const char *name, size_t len, struct nl_link *l)
{
	struct ifinfomsg ifi = { .ifi_index = 3, .ifi_flags = IFF_UP };

	start();
	message(RTM_NEWLINK, &ifi, sizeof(ifi));
	if (name)
		attr(IFLA_IFNAME, name, len);
	attr(IFLA_ADDRESS, "\2\0\0\0\0\1", 6);
	return nl_parse_link(msg, l);
}

static void test_link(void)
{
	struct nl_link l;

	is(link_message("e0", 3, &l), 0, "a link is read");
	ok(l.index == 3 && !strcmp(l.name, "e0") && l.has_mac &&
	   l.mac[5] == 1, "with index, name and MAC address");
	is(link_message("sixteen bytes!!!", 16, &l), 0, "a name may not end");
	is(strlen(l.name), 15, "it is made to");
	is(link_message("seventeen bytes!!", 17, &l), -EBADMSG,
	   "a longer name is refused");
	is(link_message(NULL, 0, &l), -EBADMSG, "as is no name");
	is(link_message("", 0, &l), -EBADMSG, "and an empty one");
}

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
	is(host.routes_lost, 1, "what is lost is counted");
	feed_route("0.0.0.0", 0, 3, "198.51.100.1");
	ok(!host.routes[HOSTNET_ROUTES_MAX - 1].dst_len,
	   "a default route finds room");
	is(probe.ncands, 2, "both default routes are candidates");

	for (i = 0; i < CANDS_MAX; i++)
		feed_route("0.0.0.0", 0, 3, "198.51.100.1");
	is(probe.ncands, CANDS_MAX, "candidates are collected up to a limit");

	probe_reset(AF_INET6);
	feed_route("::", 0, 3, "fe80::1");
	is(probe.cands[0].metric, IP6_METRIC_DEFAULT,
	   "an IPv6 route without metric has the default one");
	probe.oif = 4;
	feed_route("::", 0, 3, "fe80::1");
	is(probe.ncands, 1, "routes over others than the wanted are left out");
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
	   "before it, one beside the gateway");
	probe.best.prefsrc = ip("203.0.113.9");
	feed_addr("203.0.113.9", 32, 1, 0, RT_SCOPE_UNIVERSE);
	addrs_settle(&host, &probe.best);
	ok(is_ip(&host.addrs[0].addr, "203.0.113.9"),
	   "before that, the source that the route asks for");
	is(host.naddrs, 4, "all others are kept");
}

static void test_addr_order_v6(void)
{
	static const struct {
		const char *addr;
		uint32_t flags;
		const char *name;
	} t[] = {
		{ "fd00::5", IFA_F_DEPRECATED, "a deprecated address will do" },
		{ "2001:db8::7", IFA_F_DEPRECATED, "better a global one" },
		{ "fd00::6", IFA_F_TENTATIVE, "better one in use" },
		{ "fd00::7", IFA_F_TEMPORARY, "better one that is ready" },
		{ "fd00::8", 0, "better one that stays" },
		{ "2001:db8::4", IFA_F_TENTATIVE, "better a global one" },
		{ "2001:db8::3", IFA_F_TEMPORARY, "better one that is ready" },
		{ "2001:db8::2", 0, "better one that stays" },
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
	ok(is_ip(&host.addrs[0].addr, "2001:db8::2"), "the best comes first");
	is(host.naddrs, 6, "temporary ones are not copied");
	for (i = 0; i <= HOSTNET_ADDRS_MAX; i++)
		feed_addr("2001:db8::2", 64, 3, 0, RT_SCOPE_UNIVERSE);
	is(host.naddrs, HOSTNET_ADDRS_MAX,
	   "addresses are collected up to a limit");
	is(host.addrs_lost, 7, "what is lost is counted");
}

static void test_prefixes(void)
{
	union inany a = ip("10.1.2.3"), b = ip("198.51.100.6");

	probe_reset(AF_INET);
	is(prefix_guess(&a, &host), 8, "an address of class A");
	a = ip("172.16.1.1");
	is(prefix_guess(&a, &host), 16, "of class B");
	is(prefix_guess(&b, &host), 24, "of class C");
	a = ip("240.0.0.1");
	is(prefix_guess(&a, &host), 32, "of none");
	a = ip("2001:db8::1");
	is(prefix_guess(&a, &host), 64, "of IPv6");
	feed_addr("198.51.100.5", 29, 3, 0, RT_SCOPE_UNIVERSE);
	is(prefix_guess(&b, &host), 29, "of the host's network");
	a = ip("198.51.100.14");
	ok(prefix_equals(&a, &b, 28) && !prefix_equals(&a, &b, 29),
	   "prefixes are compared by bits");
	a = ip("::ffff:198.51.100.6");
	ok(prefix_equals(&a, &b, 32), "a mapped address is the IPv4 one");
	a = ip("2001:db8::1");
	ok(!prefix_equals(&a, &b, 0), "families have no prefix in common");
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
	   "the other family's template comes before it");
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
	is(host.routes_lost, 1, "at the cost of another one");
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
	   "and IPv6 has link-local addresses");
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
	resolve(&net, &conf);
	ok(inany_equals(&net.ip4.map_host_loopback, &net.ip4.gw),
	   "the gateway reaches the host");
	ok(!strcmp(net.ns_ifname, "eth6"),
	   "the interface is named as the host's");
	net.ip4.ifindex = 2;
	util_strcpy(net.ip4.ifname, IFNAMSIZ, "eth4");
	net.ip4.onlink = true;
	resolve(&net, &conf);
	ok(!strcmp(net.ns_ifname, "eth6"),
	   "the name of a default route's interface comes first");
	net.ip4.onlink = false;
	resolve(&net, &conf);
	ok(!strcmp(net.ns_ifname, "eth4"), "and IPv4 among equals");
	util_strcpy(conf.ns_ifname, IFNAMSIZ, "mine");
	resolve(&net, &conf);
	ok(!strcmp(net.ns_ifname, "mine"), "a name that was given holds");

	memset(&net, 0, sizeof(net));
	memset(&conf, 0, sizeof(conf));
	conf.no_map_gw = true;
	net.ip4.gw = ip("192.0.2.254");
	resolve(&net, &conf);
	ok(!inany_is_set(&net.ip4.map_host_loopback),
	   "with --no-map-gw, the gateway does not reach the host");
	ok(!strcmp(net.ns_ifname, "tap0"), "without a template it is tap0");
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
	   is_ip(&net.ip6.gw, "fe80::1"), "so are those of IPv6");
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
	   is_ip(&net.ip4.map_guest_addr, "192.0.2.7"), "so do mappings");
	is(net.ip4.ifindex, 3, "there is a template all the same");
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
	   "one that is not there is an error");
}

int main(void)
{
	log_init("netlink");
	log_set_level(LOG_L_ERR);
	test_walk_end();
	test_walk_strangers();
	test_walk_malformed();
	test_errors();
	test_errors_malformed();
	test_route();
	test_route_via();
	test_route_no_interest();
	test_route_malformed();
	test_multipath();
	test_nexthop();
	test_addr();
	test_link();
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
