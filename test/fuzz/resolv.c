/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parse any resolv.conf: the result is valid, is the same after it was written and
 * parsed again, and only servers that the guest can reach are handed out
 *
 * Input: one byte of settings, see configure(), then the file.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf conf;
static struct hostnet hostnet;
static struct resolv res, again;
static struct dns dns, twice;

static union inany addr(const char *s)
{
	union inany a = { 0 };

	assert(inany_pton(s, &a));
	return a;
}

static void configure(uint8_t set)
{
	memset(&conf, 0, sizeof(conf));
	memset(&hostnet, 0, sizeof(hostnet));
	hostnet.ip4.enabled = set & 1;
	hostnet.ip6.enabled = set & 2;
	conf.dhcp_dns = set & 4;
	conf.dhcp_search = set & 8;
	conf.no_map_gw = set & 16;
	hostnet.ip4.addr = addr("198.51.100.5");
	hostnet.ip6.addr = addr("2001:db8::5");
	hostnet.ip4.gw = addr("198.51.100.1");
	hostnet.ip6.gw = addr("2001:db8::1");
	if (set & 32)
		hostnet.ip4.map_host_loopback = addr("192.0.2.9");
	if (set & 64)
		conf.ip4.dns_forward = addr("169.254.1.1");
	if (set & 128) {
		conf.dns_given = true;
		conf.ndns = 2;
		conf.dns[0] = addr("203.0.113.5");
		conf.dns[1] = addr("::1");
	}
}

static void check_name(const char *s)
{
	size_t len = strnlen(s, CONF_NAME_LEN), i, label = 0;

	assert(len && len <= 253);
	for (i = 0; i <= len; i++) {
		if (s[i] == '.' || !s[i]) {
			assert(label && label <= 63);
			label = 0;
		} else {
			assert(s[i] > ' ' && s[i] < 127);
			label++;
		}
	}
}

static void check_parsed(void)
{
	unsigned i;

	assert(res.n <= CONF_DNS_MAX && res.nsearch <= CONF_SEARCH_MAX);
	for (i = 0; i < res.n; i++) {
		assert(inany_is_unicast(&res.ns[i]));
		assert(!res.scope[i] || (!inany_is_v4(&res.ns[i]) &&
					 inany_is_linklocal(&res.ns[i])));
	}
	for (i = 0; i < res.nsearch; i++)
		check_name(res.search[i]);
}

/* The same as a file, in our words */
static void check_again(void)
{
	static char file[16384];
	char s[INANY_STRLEN];
	size_t len = 0;
	unsigned i;

	for (i = 0; i < res.n; i++) {
		len += sprintf(file + len, "nameserver %s",
			       inany_ntop(&res.ns[i], s, sizeof(s)));
		if (res.scope[i])
			len += sprintf(file + len, "%%%u", res.scope[i]);
		len += sprintf(file + len, "\n");
	}
	for (i = 0; i < res.nsearch; i++)
		len += sprintf(file + len, "%s %s", i ? "" : "search",
			       res.search[i]);
	resolv_parse(file, len, &again);
	assert(again.n == res.n && again.nsearch == res.nsearch);
	assert(!memcmp(again.ns, res.ns, sizeof(res.ns)));
	assert(!memcmp(again.scope, res.scope, sizeof(res.scope)));
	assert(!memcmp(again.search, res.search, sizeof(res.search)));
}

static void check_list(const struct hostnet_ip *ip, const union inany *list,
		       unsigned n, bool v4)
{
	unsigned i, k;

	assert(n <= CONF_DNS_MAX);
	assert(!n || (ip->enabled && conf.dhcp_dns));
	for (i = 0; i < n; i++) {
		assert(inany_is_unicast(&list[i]));
		assert(inany_is_v4(&list[i]) == v4);
		assert(!inany_is_loopback(&list[i]));
		assert(!inany_equals(&list[i], &ip->addr));
		for (k = 0; k < i; k++)
			assert(!inany_equals(&list[i], &list[k]));
	}
}

/* The address for loopback leads to a server that can't be reached otherwise, or is a
 * server. One of the other family is there only if its own family has no such address */
static void check_via(const struct hostnet_ip *ip, const union inany *via,
		      bool v4)
{
	if (!inany_is_set(via))
		return;
	if (inany_is_v4(via) != v4) {
		const struct hostnet_ip *other = v4 ? &hostnet.ip6 :
						      &hostnet.ip4;

		assert(other->enabled &&
		       !inany_is_set(v4 ? &conf.ip6.dns_forward :
					  &conf.ip4.dns_forward) &&
		       !inany_is_set(&other->map_host_loopback) &&
		       (conf.no_map_gw || !inany_is_set(&other->gw)));
		ip = other;
	}
	assert(inany_is_loopback(via) || inany_equals(via, &ip->addr) ||
	       (inany_is_set(&ip->map_host_loopback) ?
		inany_equals(via, &ip->map_host_loopback) :
		!conf.no_map_gw && inany_equals(via, &ip->gw)));
}

/* Index of the first server of an enabled family, res.n if there is none */
static unsigned first(bool v4)
{
	unsigned i;

	if (!(v4 ? &hostnet.ip4 : &hostnet.ip6)->enabled)
		return res.n;
	for (i = 0; i < res.n && inany_is_v4(&res.ns[i]) != v4; i++)
		;
	return i;
}

/* The first server of the family, else of the other one */
static void check_host(const union inany *host, unsigned own, unsigned other)
{
	if (own == res.n)
		own = other;
	assert(own == res.n ? !inany_is_set(host) :
			      inany_equals(host, &res.ns[own]));
}

static void check_applied(void)
{
	unsigned i;

	check_list(&hostnet.ip4, dns.ns4, dns.n4, true);
	check_list(&hostnet.ip6, dns.ns6, dns.n6, false);
	check_via(&hostnet.ip4, &dns.via4, true);
	check_via(&hostnet.ip6, &dns.via6, false);
	assert(dns.nsearch == (conf.dhcp_search ? res.nsearch : 0));
	check_host(&dns.host4, first(true), first(false));
	check_host(&dns.host6, first(false), first(true));
	i = first(false);
	assert(dns.scope6 == (i < res.n ? res.scope[i] : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *file;

	if (!size || size > RESOLV_TEXT_MAX)
		return 0;
	configure(data[0]);

	/* Memory of its own, so that a sanitizer sees its end */
	file = malloc(size);
	if (!file)
		return 0;
	memcpy(file, data + 1, size - 1);
	memset(&res, 0xaa, sizeof(res));
	resolv_parse(file, size - 1, &res);
	check_parsed();
	check_again();

	memset(&dns, 0xaa, sizeof(dns));
	resolv_apply(&conf, &hostnet, &res, &dns);
	check_applied();
	/* It is compared as bytes */
	memset(&twice, 0x55, sizeof(twice));
	resolv_apply(&conf, &hostnet, &again, &twice);
	assert(!memcmp(&dns, &twice, sizeof(dns)));
	free(file);
	return 0;
}
