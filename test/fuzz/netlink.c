/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any datagram as an answer of the kernel
 *
 * Input: one byte, of which bit 0 chooses IPv6, then the datagram. Sequence and
 * port are expected to be those of its first message. The collected facts must be
 * within bounds and consistent for any input.
 */

#include "../unit/with_hostnet.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nl nl, nowhere = { .fd = -1 };
static struct probe probe;
static struct hostnet_ip host;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void other_msg(const struct nlmsghdr *nh, void *arg)
{
	struct lookup found = { .p = arg };
	struct nl_nexthop x;
	struct nl_link l;

	lookup_msg(nh, &found);
	must(found.r.nhops <= NL_HOPS_MAX);
	if (!nl_parse_link(nh, &l))
		must(memchr(l.name, 0, sizeof(l.name)) && l.index);
	if (!nl_parse_nexthop(nh, &x))
		must(x.nids <= NL_HOPS_MAX);
}

static void any_msg(const struct nlmsghdr *nh, void *arg)
{
	cand_msg(nh, arg);
	route_msg(nh, arg);
	addr_msg(nh, arg);
	other_msg(nh, arg);
}

static void check_addr(const struct host_addr *a, bool v4)
{
	must(inany_is_v4(&a->addr) == v4 && inany_is_v4(&a->peer) == v4);
	must(a->prefix_len <= (v4 ? 32 : 128));
	prefix_guess(&a->addr, &host);
}

static void check_route(const struct host_route *r, bool v4)
{
	must(r->dst_len <= (v4 ? 32 : 128) && r->src_len <= (v4 ? 32 : 128));
	must(!inany_is_set(&r->gw) || inany_is_v4(&r->gw) == v4);
	must(!r->dst_len || inany_is_v4(&r->dst) == v4);
}

static void check(bool v4)
{
	unsigned i;

	must(probe.ncands <= PROBE_CANDS_MAX && host.naddrs <= HOSTNET_ADDRS_MAX &&
	     host.nroutes <= HOSTNET_ROUTES_MAX);
	for (i = 0; i < host.nroutes; i++)
		check_route(&host.routes[i], v4);
	addrs_settle(&host, &probe.best);
	for (i = 0; i < host.naddrs; i++)
		check_addr(&host.addrs[i], v4);
	must(memchr(nl.answer.extack, 0, sizeof(nl.answer.extack)));
	for (i = 0; nl.answer.extack[i]; i++)
		must(nl.answer.extack[i] >= ' ' && nl.answer.extack[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr first;
	bool v4;
	int ret;

	if (size < 1 || size - 1 > sizeof(nl.buf))
		return 0;
	v4 = !(*data & 1);
	size--;
	memcpy(nl.buf, data + 1, size);
	nl.answer.extack[0] = '\0';
	if (size >= sizeof(first)) {
		memcpy(&first, nl.buf, sizeof(first));
		nl.answer.seq = first.nlmsg_seq;
		nl.answer.portid = first.nlmsg_pid;
	}
	memset(&probe, 0, sizeof(probe));
	memset(&host, 0, sizeof(host));
	probe.family = v4 ? AF_INET : AF_INET6;
	probe.host = &host;
	probe.nested = &nowhere;
	probe.best.oif = 2;

	ret = nl_walk(&nl.answer, nl.buf, size, any_msg, &probe);
	must(ret <= 1);
	check(v4);
	must(nl_walk(&nl.answer, nl.buf, size, NULL, NULL) == ret);
	return 0;
}
