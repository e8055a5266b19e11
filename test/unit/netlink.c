/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink messages as the kernel makes them and as it should never
 */

#include "nlmsg.h"

#include <linux/if_link.h>
#include <linux/nexthop.h>

#include "../../log.h"

static struct nl nl;
static unsigned seen;

/* begin() - An empty datagram, and a request it may answer */
static void begin(void)
{
	start();
	memset(&nl.answer, 0, sizeof(nl.answer));
	nl.answer.seq = SEQ;
	nl.answer.portid = PORT;
	seen = 0;
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
	begin();
	data_message();
	data_message();
	is(walk(), 1, "a datagram without an end is not the last");
	is(seen, 2, "each message is handed on");

	begin();
	data_message();
	done_message(0);
	is(walk(), 0, "the end of a dump may be packed behind data");
	is(seen, 1, "data before the end is handed on");

	begin();
	message(NLMSG_DONE, NULL, 0);
	is(walk(), 0, "the end of a dump may be empty");

	begin();
	done_message(-ENOENT);
	is(walk(), -ENOENT, "the end of a dump may hold an error");

	begin();
	data_message();
	msg->nlmsg_flags |= NLM_F_DUMP_INTR;
	done_message(0);
	is(walk(), 0, "an interrupted dump ends as others");
	ok(nl.answer.interrupted, "an interrupted dump is noticed");

	begin();
	message(NLMSG_OVERRUN, NULL, 0);
	is(walk(), -ENOBUFS, "an overrun is an error");
}

static void test_walk_strangers(void)
{
	begin();
	done_message(0);
	msg->nlmsg_seq = SEQ - 1;
	data_message();
	msg->nlmsg_pid = PORT + 1;
	data_message();
	is(walk(), 1, "the answer to an earlier request is not ours");
	is(seen, 1, "the answer to another program is not ours");

	begin();
	message(NLMSG_NOOP, NULL, 0);
	is(walk(), 1, "a message of no meaning is passed over");
	is(seen, 0, "a skipped message is not handed on");
	is(nl_walk(&nl.answer, dgram, 0, count_msg, &seen), 1,
	   "an empty datagram says nothing");
}

static void test_walk_malformed(void)
{
	begin();
	data_message();
	msg->nlmsg_len = 0;
	is(walk(), -EBADMSG, "a message of length 0 is refused");
	msg->nlmsg_len = sizeof(*msg) - 1;
	is(walk(), -EBADMSG, "a message shorter than its header is refused");
	msg->nlmsg_len = (uint32_t)dgram_len + 1;
	is(walk(), -EBADMSG, "a message beyond the datagram is refused");
	msg->nlmsg_len = UINT32_MAX;
	is(walk(), -EBADMSG, "a message of 4 GiB is refused");
	is(seen, 0, "no malformed message is handed on");

	begin();
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

	begin();
	error_message(0, 16, NLM_F_CAPPED);
	is(walk(), 0, "an error of 0 is an acknowledgement");
	begin();
	error_message(-ENETUNREACH, 16, NLM_F_CAPPED | NLM_F_ACK_TLVS);
	attr(NLMSGERR_ATTR_MSG, "no\nway", 7);
	is(walk(), -ENETUNREACH, "an error is returned");
	ok(!strcmp(nl.answer.extack, "no?way"),
	   "the text of an error is kept, printable");

	begin();
	error_message(-EINVAL, 16 + 12, NLM_F_ACK_TLVS);
	add("twelve bytes", 12);
	attr(NLMSGERR_ATTR_MSG, "behind", 7);
	is(walk(), -EINVAL, "an error may hold the request");
	ok(!strcmp(nl.answer.extack, "behind"),
	   "the text is found behind the request");

	begin();
	error_message(-EINVAL, UINT32_MAX - 2, NLM_F_ACK_TLVS);
	attr(NLMSGERR_ATTR_MSG, "behind", 7);
	is(walk(), -EINVAL, "an error may lie about the request");
	ok(!nl.answer.extack[0], "no text is found behind a wrong length");

	begin();
	error_message(-EINVAL, 16, NLM_F_CAPPED | NLM_F_ACK_TLVS);
	memset(text, 'x', sizeof(text));
	attr(NLMSGERR_ATTR_MSG, text, sizeof(text));
	is(walk(), -EINVAL, "words may be long and not end");
	is(strlen(nl.answer.extack), sizeof(nl.answer.extack) - 1,
	   "a long text is cut");
}

static void test_errors_malformed(void)
{
	int32_t value = -EINVAL;

	begin();
	message(NLMSG_ERROR, &value, sizeof(value));
	is(walk(), -EBADMSG, "an error that is cut short is refused");
	begin();
	error_message(1, 16, NLM_F_CAPPED);
	is(walk(), -EBADMSG, "a positive error is refused");
	begin();
	error_message(INT32_MIN, 16, NLM_F_CAPPED);
	is(walk(), -EBADMSG, "an error that is no errno is refused");
	begin();
	error_message(-EINVAL, 16, NLM_F_CAPPED | NLM_F_ACK_TLVS);
	attr(NLMSGERR_ATTR_MSG, "words", 6)->rta_len = 2;
	is(walk(), -EINVAL, "an error with malformed words is returned");
	ok(!nl.answer.extack[0], "malformed attributes give no text");
}

/* Routes */

static struct nl_route route;

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

	begin();
	route_message(AF_INET, 25);
	attr_ip(RTA_DST, "203.0.113.128");
	attr_ip(RTA_GATEWAY, "198.51.100.1");
	attr_ip(RTA_PREFSRC, "198.51.100.5");
	attr_num(RTA_OIF, 3);
	attr_num(RTA_PRIORITY, 77);
	rtm_of()->rtm_flags = RTNH_F_ONLINK;
	is(parse_route(AF_INET), 0, "an IPv4 route is read");
	ok(is_ip(&route.r.dst, "203.0.113.128") && route.r.dst_len == 25,
	   "a route has its destination");
	ok(route.nhops == 1 && route.hops[0].oif == 3 &&
	   is_ip(&route.hops[0].gw, "198.51.100.1"),
	   "a route has its next hop");
	ok(is_ip(&route.r.prefsrc, "198.51.100.5"),
	   "a route has its preferred source");
	is(route.r.metric, 77, "a route has its metric");
	ok(route.hops[0].onlink && !route.hops[0].dead,
	   "a next hop has its flags");
	is(parse_route(AF_INET6), -ESRCH, "an IPv4 route is no IPv6 route");

	begin();
	route_message(AF_INET6, 0);
	attr_ip(RTA_GATEWAY, "fe80::1");
	attr_num(RTA_OIF, 2);
	attr(RTA_PREF, &pref, 1);
	rtm_of()->rtm_flags = RTNH_F_LINKDOWN;
	is(parse_route(AF_INET6), 0, "an IPv6 default route is read");
	ok(is_ip(&route.hops[0].gw, "fe80::1"),
	   "an IPv6 route has its gateway");
	ok(!inany_is_set(&route.r.dst), "a default route has no destination");
	ok(route.hops[0].dead, "a link without carrier is seen");
	is(route.r.pref, 1, "the preference of the router is read");
}

static void test_route_via(void)
{
	uint8_t via[18] = { 0 };
	uint16_t family = AF_INET6;

	begin();
	route_message(AF_INET, 0);
	attr_num(RTA_OIF, 2);
	memcpy(via, &family, sizeof(family));
	via[2] = 0xfe;
	via[3] = 0x80;
	via[17] = 1;
	attr(RTA_VIA, via, sizeof(via));
	is(parse_route(AF_INET), 0, "a route over the other family is read");
	ok(is_ip(&route.hops[0].gw, "fe80::1"),
	   "an IPv6 gateway of an IPv4 route is read");

	begin();
	route_message(AF_INET, 0);
	attr_num(RTA_OIF, 2);
	attr(RTA_VIA, via, 1);
	is(parse_route(AF_INET), 0, "one whose gateway is cut short is read");
	ok(!inany_is_set(&route.hops[0].gw),
	   "a gateway that is cut short is ignored");
}

static void test_route_no_interest(void)
{
	begin();
	route_message(AF_INET, 0);
	attr_num(RTA_TABLE, 1000);
	is(parse_route(AF_INET), -ESRCH, "a table above 255 is not the main one");
	is(nl_parse_route_of_any(msg, AF_INET, &route), 0,
	   "a table above 255 may be wanted");
	is(route.table, 1000, "the number of a table above 255 is told");
	begin();
	route_message(AF_INET, 0);
	rtm_of()->rtm_type = RTN_UNREACHABLE;
	is(parse_route(AF_INET), -ESRCH, "an unreachable route is left out");
	begin();
	route_message(AF_INET6, 0);
	rtm_of()->rtm_flags = RTM_F_CLONED;
	is(parse_route(AF_INET6), -ESRCH, "a cached route is left out");
	begin();
	route_message(AF_INET, 0);
	attr_num(RTA_NH_ID, 9);
	is(parse_route(AF_INET), 0, "a route with a nexthop object is read");
	ok(!route.nhops && route.nh_id == 9,
	   "a route may only have the id of an object");
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

	begin();
	route_message(AF_INET, 0);
	a = attr(RTA_OIF, "abcd", 4);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		a->rta_len = (uint16_t)t[i].len;
		is(parse_route(AF_INET), -EBADMSG, t[i].name);
	}
	a->rta_len = 6;
	is(parse_route(AF_INET), 0,
	   "a route with an interface of two bytes is read");
	is(route.nhops, 0, "an interface of two bytes is none");

	begin();
	message(RTM_NEWROUTE, "short", 5);
	is(parse_route(AF_INET), -EBADMSG, "a route cut short is refused");
	begin();
	route_message(AF_INET, 33);
	attr_ip(RTA_DST, "203.0.113.0");
	is(parse_route(AF_INET), -EBADMSG, "an IPv4 prefix of 33 is refused");
	begin();
	route_message(AF_INET, 24);
	is(parse_route(AF_INET), -EBADMSG,
	   "a prefix length without an address is refused");
	begin();
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
	begin();
	route_message(AF_INET, 0);
	a = attr(RTA_MULTIPATH, mp, n);
	is(parse_route(AF_INET), 0, "a multipath route is read");
	ok(route.nhops == 3 && route.hops[1].oif == 5 &&
	   is_ip(&route.hops[1].gw, "203.0.113.1"), "all next hops are read");

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
	begin();
	route_message(AF_INET, 0);
	attr(RTA_MULTIPATH, mp, n);
	is(parse_route(AF_INET), 0, "a route of very many paths is read");
	is(route.nhops, NL_HOPS_MAX, "next hops are read up to a limit");
}

static void test_nexthop(void)
{
	struct nexthop_grp g[3] = { { .id = 7 }, { .id = 8 }, { .id = 9 } };
	struct nhmsg nhm = { .nh_family = AF_INET6, .nh_flags = RTNH_F_ONLINK };
	struct nl_nexthop x;

	begin();
	message(RTM_NEWNEXTHOP, &nhm, sizeof(nhm));
	attr_num(NHA_OIF, 4);
	attr_ip(NHA_GATEWAY, "2001:db8::1");
	is(nl_parse_nexthop(msg, &x), 0, "a nexthop object is read");
	ok(x.hop.oif == 4 && is_ip(&x.hop.gw, "2001:db8::1") && x.hop.onlink,
	   "a nexthop object has interface, gateway, flags");
	begin();
	message(RTM_NEWNEXTHOP, &nhm, sizeof(nhm));
	attr(NHA_GROUP, g, sizeof(g) - 1);
	is(nl_parse_nexthop(msg, &x), 0, "a group of nexthop objects is read");
	ok(x.nids == 2 && x.ids[1] == 8,
	   "a group of nexthop objects has whole members only");
	begin();
	message(RTM_NEWNEXTHOP, &nhm, sizeof(nhm));
	attr(NHA_BLACKHOLE, NULL, 0);
	attr_num(NHA_OIF, 4);
	is(nl_parse_nexthop(msg, &x), 0, "a black hole is read");
	ok(!x.hop.oif && !x.nids, "a black hole leads nowhere");
	begin();
	message(RTM_NEWNEXTHOP, &nhm, 3);
	msg->nlmsg_len--;
	is(nl_parse_nexthop(msg, &x), -EBADMSG,
	   "a nexthop object cut short is refused");
}

/* Addresses and links */

static void test_addr(void)
{
	static const uint8_t mapped[16] = { [10] = 0xff, 0xff, 198, 51, 100, 5 };
	struct host_addr a;
	unsigned index;

	begin();
	addr_message(AF_INET, 32, 3);
	attr_ip(IFA_ADDRESS, "198.51.100.9");
	attr_ip(IFA_LOCAL, "198.51.100.5");
	attr_num(IFA_FLAGS, IFA_F_NOPREFIXROUTE);
	is(nl_parse_addr(msg, AF_INET, &a, &index), 0, "an address is read");
	ok(is_ip(&a.addr, "198.51.100.5") && is_ip(&a.peer, "198.51.100.9"),
	   "the other end of a point-to-point link is read");
	is(a.flags, IFA_F_NOPREFIXROUTE, "flags above 255 are read");
	is(nl_parse_addr(msg, AF_INET6, &a, &index), -ESRCH,
	   "without IPv6 the kernel lists IPv4, which is left out");

	begin();
	addr_message(AF_INET6, 64, 3);
	attr_ip(IFA_ADDRESS, "2001:db8::5");
	is(nl_parse_addr(msg, AF_INET6, &a, &index), 0,
	   "an IPv6 address is read");
	ok(is_ip(&a.addr, "2001:db8::5") && is_ip(&a.peer, "2001:db8::5") &&
	   index == 3, "an address without other end is its own peer");
	is(a.flags, IFA_F_PERMANENT, "flags may be in the header alone");

	begin();
	addr_message(AF_INET6, 129, 3);
	attr_ip(IFA_ADDRESS, "2001:db8::5");
	is(nl_parse_addr(msg, AF_INET6, &a, &index), -EBADMSG,
	   "a prefix of 129 is refused");
	begin();
	addr_message(AF_INET6, 64, 3);
	attr_ip(IFA_ADDRESS, "198.51.100.5");
	is(nl_parse_addr(msg, AF_INET6, &a, &index), -EBADMSG,
	   "an address of the wrong length is refused");
	begin();
	addr_message(AF_INET6, 88, 3);
	attr_ip(IFA_ADDRESS, "2001:db8::5");
	memcpy(dgram + dgram_len - 16, mapped, 16);
	is(nl_parse_addr(msg, AF_INET6, &a, &index), -EBADMSG,
	   "an IPv4-mapped address is refused");
}

static int link_message(const char *name, size_t len, struct nl_link *l)
{
	struct ifinfomsg ifi = { .ifi_index = 3, .ifi_flags = IFF_UP };

	begin();
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
	   l.mac[5] == 1, "a link has index, name and MAC address");
	is(link_message("sixteen bytes!!!", 16, &l), 0,
	   "a name without NUL is read");
	is(strlen(l.name), 15, "a name without NUL gets one");
	is(link_message("seventeen bytes!!", 17, &l), -EBADMSG,
	   "a longer name is refused");
	is(link_message(NULL, 0, &l), -EBADMSG,
	   "a link without name is refused");
	is(link_message("", 0, &l), -EBADMSG, "an empty name is refused");
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
	return done();
}
