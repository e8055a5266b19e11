/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parse any command line: an invalid one gives one line of error, a valid one a struct
 * conf whose fields are all within their bounds, the same each time
 *
 * Input: words, one a line, the name of the program first.
 */

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "log.h"
#include "ports.h"
#include "util.h"

#define WORDS_MAX	512
#define PAIRS_MAX	64		/* rules that are compared with each other */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf conf, again;
static struct rules rules, rules_again;

/* Split in place; each word has memory of its own so that a sanitizer sees its end */
static int split(const uint8_t *data, size_t size, char *argv[])
{
	const char *s = (const char *)data, *end = s + size;
	int n = 0;

	while (s < end && n < WORDS_MAX) {
		const char *nl = memchr(s, '\n', end - s);

		argv[n] = strndup(s, (nl ? nl : end) - s);
		assert(argv[n]);
		n++;
		s = nl ? nl + 1 : end;
	}
	argv[n] = NULL;
	return n;
}

static void check_error(const char *error)
{
	size_t len = strnlen(error, CONF_ERROR_LEN);

	assert(len && len < CONF_ERROR_LEN);
	for (size_t i = 0; i < len; i++)
		assert(!iscntrl((unsigned char)error[i]));
}

static bool may_meet(const struct fwd_rule *a, const struct fwd_rule *b)
{
	bool addrs = !inany_is_set(&a->addr) || !inany_is_set(&b->addr) ||
		     inany_equals(&a->addr, &b->addr);

	/* Of one family each */
	if (a->only6 || b->only6)
		addrs = (!inany_is_set(&a->addr) || !inany_is_v4(&a->addr)) &&
			(!inany_is_set(&b->addr) || !inany_is_v4(&b->addr));
	bool ifs = !*a->ifname || !*b->ifname || !strcmp(a->ifname, b->ifname);

	return a->proto == b->proto && a->from_ns == b->from_ns && addrs &&
	       ifs && a->first <= b->last && b->first <= a->last;
}

/* Two named rules never differ about the destination of a port */
static void check_pair(const struct fwd_rule *a, const struct fwd_rule *b)
{
	if (a->weak || b->weak || !may_meet(a, b))
		return;
	assert(a->to - a->first == b->to - b->first);
	assert(inany_equals(&a->to_addr, &b->to_addr));
	/* One of two rules with equal address and interface would be redundant */
	assert(!rule_same_addr(a, b) ||
	       strcmp(a->ifname, b->ifname));
}

static void check_rule(const struct conf *c, const struct fwd_rule *r)
{
	bool v4 = inany_is_v4(&r->addr);

	assert(r->proto == IPPROTO_TCP || r->proto == IPPROTO_UDP);
	assert(r->first && r->first <= r->last && r->to);
	assert(r->to + (r->last - r->first) <= UINT16_MAX);
	assert(!r->scan || (r->weak && c->mode == MODE_PASTA));
	assert(!r->from_ns || (c->mode == MODE_PASTA && !c->no_splice));
	assert(!r->from_ns || (!inany_is_set(&r->addr) && !*r->ifname));
	assert(!*r->ifname || util_is_ifname(r->ifname));
	assert(!r->only6 || (!inany_is_set(&r->addr) && c->ip6.enabled));
	assert(!inany_is_set(&r->addr) || (v4 ? &c->ip4 : &c->ip6)->enabled);
	assert(!(r->proto == IPPROTO_TCP ? c->no_tcp : c->no_udp));
	assert(r->spec && *r->spec);
	if (!inany_is_set(&r->to_addr))
		return;
	assert(!r->from_ns && !r->scan && !rule_binds_all(r));
	assert(inany_is_v4(&r->to_addr) == v4);
	assert(inany_is_unicast(&r->to_addr));
}

static void check_rules(const struct conf *c)
{
	const struct fwd_rule *r = NULL, *o;
	unsigned n = 0;

	while ((r = rules_next(&rules, r))) {
		check_rule(c, r);
		o = n++ < PAIRS_MAX ? rules_next(&rules, NULL) : r;
		for (; o != r; o = rules_next(&rules, o))
			check_pair(r, o);
	}
	assert(n == rules.n && n <= RULES_MAX);
}

static void check_name(const char *s)
{
	size_t len = strnlen(s, CONF_NAME_LEN);

	assert(len < CONF_NAME_LEN - 2);
	for (size_t i = 0; i < len; i++)
		assert((unsigned char)s[i] > ' ' && s[i] != 0x7f &&
		       !strchr(",/:", s[i]));
	assert(!len || s[len - 1] != '.');
}

static void check_ip(const struct conf_ip *ip, bool v4)
{
	assert(ip->prefix_len <= (v4 ? 32 : 128));
	assert(!inany_is_set(&ip->addr) || inany_is_v4(&ip->addr) == v4);
	assert(!inany_is_set(&ip->gw) || inany_is_v4(&ip->gw) == v4);
	assert(memchr(ip->outbound_if, 0, IFNAMSIZ));
}

static void check_conf(const struct conf *c)
{
	assert(c->ip4.enabled || c->ip6.enabled);
	assert(c->mtu <= CONF_MTU_MAX);
	assert(!c->mtu || !c->ip6.enabled || c->mtu >= CONF_MTU_MIN_IPV6);
	assert(c->ndns <= 2 * CONF_DNS_MAX && c->nsearch <= CONF_SEARCH_MAX);
	assert((c->netns_kind == NETNS_PATH) == !!c->netns_path);
	assert((c->netns_kind == NETNS_PID) == !!c->netns_pid);
	assert(!c->stats_s || c->foreground);
	assert(memchr(c->ns_ifname, 0, IFNAMSIZ));
	for (unsigned i = 0; i < c->nsearch; i++)
		check_name(c->search[i]);
	check_name(c->hostname);
	check_name(c->fqdn);
	check_ip(&c->ip4, true);
	check_ip(&c->ip6, false);
	check_rules(c);
}

/* Check that ports of clients can be cut out, as is done after parsing */
static void check_ephemeral(const struct conf *c)
{
	const struct fwd_rule *r = NULL;

	for (unsigned kind = 0; kind < RULE_KINDS; kind++)
		if (rules_cut_weak(&rules, kind, EPHEMERAL_FIRST,
				   EPHEMERAL_LAST))
			return;
	check_rules(c);
	while ((r = rules_next(&rules, r)))
		assert(!r->weak || r->scan || r->last < EPHEMERAL_FIRST ||
		       r->first > EPHEMERAL_LAST);
}

static void parse_twice(int argc, char *const *argv)
{
	char error[CONF_ERROR_LEN] = "", same[CONF_ERROR_LEN] = "";
	enum conf_result ret;

	ret = conf_parse_argv(&conf, &rules, argc, argv, error, sizeof(error));
	assert(conf_parse_argv(&again, &rules_again, argc, argv, same,
			       sizeof(same)) == ret);
	assert(!strcmp(error, same) && rules.n == rules_again.n);
	assert(conf.nsearch == again.nsearch && conf.ndns == again.ndns);
	if (ret == CONF_BAD || ret == CONF_UNKNOWN)
		check_error(error);
	if (ret != CONF_RUN)
		return;
	check_conf(&conf);
	check_ephemeral(&conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[WORDS_MAX + 1];
	int argc;

	if (size > 16384)
		return 0;
	log_set_level(LOG_L_ERR);
	argc = split(data, size, argv);
	parse_twice(argc, argv);
	while (argc)
		free(argv[--argc]);
	return 0;
}
