/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsing a resolv.conf, servers that are handed out, and where queries lead */

#include "resolv.h"

#include <stdio.h>
#include <string.h>

#include "net.h"
#include "tap.h"

static struct conf conf;
static struct hostnet hostnet;
static struct resolv res;
static struct dns dns;

/* Append @what to the line in @buf */
static void append(char *buf, size_t size, const char *what)
{
	size_t len = strlen(buf);

	snprintf(buf + len, size - len, "%s%s", len ? " " : "", what);
}

static void append_addrs(char *buf, size_t size, const union inany *a,
			 unsigned n)
{
	char s[INANY_STRLEN];
	unsigned i;

	for (i = 0; i < n; i++)
		append(buf, size, inany_ntop(&a[i], s, sizeof(s)));
}

static bool same(const char *got, const char *want)
{
	if (!strcmp(got, want))
		return true;
	printf("# got '%s', wanted '%s'\n", got, want);
	return false;
}

/* Text, name servers, domains; servers as text, in their order */
#define LONG63	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"
#define LONG252	LONG63 "." LONG63 "." LONG63 "." "aaaaaaaaaabbbbbbbbbb" \
		"ccccccccccddddddddddeeeeeeeeeeffffffffff"
static const struct {
	const char *text, *ns, *search, *name;
} table[] = {
	{ "", "", "", "an empty file has no server" },
	{ "nameserver 192.0.2.1\n", "192.0.2.1", "", "an IPv4 server is read" },
	{ "nameserver 2001:db8::1\n", "2001:db8::1", "",
	  "an IPv6 server is read" },
	{ "nameserver 192.0.2.1", "192.0.2.1", "",
	  "the last line needs no newline" },
	{ "nameserver\t 192.0.2.1 \t\n", "192.0.2.1", "",
	  "blanks and tabs may stand around a server" },
	{ "nameserver 192.0.2.1\r\n", "192.0.2.1", "",
	  "lines may end with CR LF" },
	{ "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"
	  "nameserver 192.0.2.2\n", "192.0.2.1 2001:db8::1 192.0.2.2", "",
	  "several servers keep their order" },
	{ " nameserver 192.0.2.1\n", "", "", "keywords start their line" },
	{ "Nameserver 192.0.2.1\n", "", "", "keywords are in small letters" },
	{ "nameserver192.0.2.1\n", "", "", "keywords end with a blank" },
	{ "nameservers 192.0.2.1\n", "", "", "longer keywords are ignored" },
	{ "#nameserver 192.0.2.1\n;nameserver 192.0.2.2\n"
	  "# nameserver 192.0.2.3\n", "", "", "comments are ignored" },
	{ "nameserver 192.0.2.1 # mine\n", "192.0.2.1", "",
	  "words behind a server are ignored" },
	{ "nameserver 192.0.2.1 192.0.2.2\n", "192.0.2.1", "",
	  "a second server in a line is ignored" },
	{ "nameserver 192.0.2.1#mine\n", "", "",
	  "a server with a comment attached is invalid" },
	{ "nameserver 192.0.2.1.\n", "", "",
	  "a server with a dot attached is invalid" },
	{ "nameserver 192.0.2.256\n", "", "", "a number too large is invalid" },
	{ "nameserver 0300.0.2.1\n", "192.0.2.1", "",
	  "an IPv4 address may be octal" },
	{ "nameserver 0xc0.0.2.0x1\n", "192.0.2.1", "",
	  "an IPv4 address may be hexadecimal" },
	{ "nameserver 192.513\n", "192.0.2.1", "",
	  "an IPv4 address may have two parts" },
	{ "nameserver 3221225985\n", "192.0.2.1", "",
	  "an IPv4 address may have one part" },
	{ "nameserver 127.1\n", "127.0.0.1", "",
	  "an IPv4 address may be short" },
	{ "nameserver 0.0.0.0\nnameserver ::\n", "127.0.0.1 ::1", "",
	  "an unspecified address becomes loopback" },
	{ "nameserver ::ffff:192.0.2.1\n", "192.0.2.1", "",
	  "an IPv4-mapped address is an IPv4 one" },
	{ "nameserver 224.0.0.251\nnameserver ff02::fb\n"
	  "nameserver 255.255.255.255\nnameserver 0.0.0.9\n", "", "",
	  "groups and broadcast are no servers" },
	{ "nameserver dns.example.com\n", "", "", "a name is no server" },
	{ "nameserver\nnameserver \nnameserver 192.0.2.1\n", "192.0.2.1", "",
	  "a line without a server is ignored" },
	{ "nameserver 2001:db8::1%eth9\n", "2001:db8::1", "",
	  "a scope of a global address is ignored" },
	{ "nameserver 192.0.2.1%eth0\n", "", "",
	  "a scope of an IPv4 address is invalid" },
	{ "nameserver fe80::1%\nnameserver fe80::2%nosuch\n", "fe80::1 fe80::2",
	  "", "an unknown scope is ignored" },
	{ "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\n"
	  "nameserver 1.1.1.4\nnameserver 1.1.1.5\nnameserver 1.1.1.6\n"
	  "nameserver 1.1.1.7\nnameserver 1.1.1.8\nnameserver 1.1.1.9\n",
	  "1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8",
	  "", "servers beyond the maximum are ignored" },
	{ "search example.com\n", "", "example.com", "a search list is read" },
	{ "search a.example b.example\tc.example\n", "",
	  "a.example b.example c.example",
	  "a search list may have several domains" },
	{ "search a.example. .\n", "", "a.example",
	  "a search list has no final dots and no root" },
	{ "search a.example\nsearch b.example\n", "", "b.example",
	  "the last search list holds" },
	{ "search a.example b.example\ndomain c.example\n", "", "c.example",
	  "a later domain replaces a search list" },
	{ "domain c.example d.example\n", "", "c.example",
	  "a domain line has one domain" },
	{ "domain c.example\nsearch a.example b.example\n", "",
	  "a.example b.example", "a later search list replaces a domain" },
	{ "search a.example\nsearch\nsearch \n", "", "a.example",
	  "an empty search list changes nothing" },
	{ "search a.example\nsearch .\n", "", "",
	  "a search list of the root is empty" },
	{ "search a..example .b bad/name na\xefve ok_1-x\n", "", "ok_1-x",
	  "invalid names are left out of a search list" },
	{ "search a.example # b.example\n", "", "a.example",
	  "a comment ends a search list" },
	{ "search " LONG63 " " LONG63 "x\n", "", LONG63,
	  "labels have 63 characters at most" },
	{ "search " LONG252 " " LONG252 "x " LONG252 "xx\n", "",
	  LONG252 " " LONG252 "x", "names have 253 characters at most" },
	{ "options ndots:2\nsortlist 192.0.2.0\nlookup file bind\n"
	  "nameserver 192.0.2.1\n", "192.0.2.1", "",
	  "other keywords are ignored" },
};

static void test_table(void)
{
	unsigned i, k;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char ns[512] = "", search[1024] = "";

		resolv_parse(table[i].text, strlen(table[i].text), &res);
		append_addrs(ns, sizeof(ns), res.ns, res.n);
		for (k = 0; k < res.nsearch; k++)
			append(search, sizeof(search), res.search[k]);
		ok(same(ns, table[i].ns) && same(search, table[i].search),
		   table[i].name);
	}
}

static bool first_is(const char *text, size_t len, const char *want)
{
	union inany a = addr(want);

	resolv_parse(text, len, &res);
	return res.n == 1 && inany_equals(&res.ns[0], &a);
}

static void test_bytes(void)
{
	static const char nul[] = "nameserver 192.0.2.1\0.9\nsearch\0a\n"
				  "\0nameserver 192.0.2.2\n";
	static const char cut[] = { 'n', 'a', 'm', 'e', 's', 'e', 'r', 'v',
				    'e', 'r' };
	static char line[4096];
	char lo[] = "nameserver fe80::1%lo\n";

	ok(first_is(nul, sizeof(nul) - 1, "192.0.2.1") && !res.nsearch,
	   "a NUL ends its line");
	resolv_parse(cut, sizeof(cut), &res);
	ok(!res.n, "a keyword at the end of the text is ignored");

	memset(line, ' ', sizeof(line));
	memcpy(line, "nameserver", 10);
	memcpy(line + sizeof(line) - 10, " 192.0.2.1", 10);
	ok(first_is(line, sizeof(line), "192.0.2.1"),
	   "a long line is read to its end");
	memset(line + 11, '1', sizeof(line) - 11);
	resolv_parse(line, sizeof(line), &res);
	ok(!res.n, "a long word is no server");

	resolv_parse("nameserver fe80::1%7\n", 21, &res);
	ok(res.n == 1 && res.scope[0] == 7, "a scope may be a number");
	resolv_parse(lo, strlen(lo), &res);
	ok(res.n == 1 && res.scope[0] == if_nametoindex("lo"),
	   "a scope may be a name");
}

/* Where it differs from the default of all set: see setup() */
enum {
	NO_MAP = 1, MAP = 2, FORWARD = 4, DNS = 8, NONE = 16, NOT = 32,
	ONLY4 = 64, DNS_LO = 128, NO_GW6 = 256,
};

static const struct {
	unsigned set;
	const char *text, *ns, *via4, *via6, *name;
} hand[] = {
	{ 0, "nameserver 192.0.2.1\nnameserver 2001:db8:9::1\n",
	  "192.0.2.1 2001:db8:9::1", "", "",
	  "reachable servers are handed out as they are" },
	{ 0, "nameserver 192.0.2.1\nnameserver 192.0.2.1\n", "192.0.2.1", "",
	  "", "each server is handed out once" },
	{ NOT, "nameserver 192.0.2.1\n", "", "", "",
	  "with --no-dhcp-dns no server is handed out" },
	{ ONLY4, "nameserver 192.0.2.1\nnameserver 2001:db8:9::1\n",
	  "192.0.2.1", "", "",
	  "servers of a disabled family are not handed out" },
	{ DNS, "nameserver 192.0.2.1\n", "203.0.113.5 2001:db8:5::5", "", "",
	  "-D goes before the file" },
	{ NONE, "nameserver 192.0.2.1\n", "", "", "",
	  "with '-D none' no server is handed out" },
	{ 0, "nameserver 127.0.0.53\nnameserver ::1\n",
	  "198.51.100.1 2001:db8::1", "127.0.0.53", "::1",
	  "servers on loopback are the gateway" },
	{ 0, "nameserver 127.0.0.53\nnameserver 127.0.0.54\n", "198.51.100.1",
	  "127.0.0.53", "", "two servers on loopback become one gateway" },
	{ 0, "nameserver 192.0.2.1\nnameserver 127.0.0.53\n",
	  "192.0.2.1 198.51.100.1", "127.0.0.53", "",
	  "a server on loopback need not be the first" },
	{ MAP, "nameserver 127.0.0.53\n", "192.0.2.9", "127.0.0.53", "",
	  "servers on loopback become the mapped address" },
	{ NO_MAP, "nameserver 127.0.0.53\nnameserver 192.0.2.1\n", "192.0.2.1",
	  "127.0.0.53", "",
	  "servers on loopback are left out if no address leads there" },
	{ NO_MAP | FORWARD, "nameserver 127.0.0.53\nnameserver 192.0.2.1\n",
	  "169.254.1.1 192.0.2.1", "127.0.0.53", "",
	  "servers on loopback become dns_forward" },
	{ NOT, "nameserver 127.0.0.53\n", "", "127.0.0.53", "",
	  "the gateway leads to loopback even if no server is handed out" },
	{ 0, "nameserver 198.51.100.5\n", "198.51.100.1", "198.51.100.5", "",
	  "a server at the guest's own address is hidden like loopback" },
	{ 0, "nameserver 198.51.100.1\nnameserver 2001:db8::1\n",
	  "198.51.100.1 2001:db8::1", "198.51.100.1", "2001:db8::1",
	  "the gateway may be a server itself" },
	{ MAP, "nameserver 198.51.100.1\n", "198.51.100.1", "", "",
	  "a gateway that is not mapped is a server like any other" },
	{ 0, "nameserver 198.51.100.1\nnameserver 127.0.0.53\n",
	  "198.51.100.1", "127.0.0.53", "",
	  "loopback goes before a gateway that is a server" },
	{ DNS_LO, "nameserver 192.0.2.1\n", "198.51.100.1", "127.0.0.9", "",
	  "a server of -D on loopback becomes the gateway" },
	{ DNS_LO, "nameserver 127.0.0.53\n", "198.51.100.1", "127.0.0.9", "",
	  "a server of -D leads the gateway before the file" },
	{ FORWARD, "nameserver 2001:db8:9::1\n", "169.254.1.1 2001:db8:9::1",
	  "", "", "a family without a server gets its dns_forward" },
	{ FORWARD | ONLY4, "nameserver 2001:db8:9::1\n", "", "", "",
	  "dns_forward is not handed out for a server of a disabled family" },
	{ FORWARD, "nameserver 192.0.2.1\n", "192.0.2.1", "", "",
	  "dns_forward is not handed out to a family with a server" },
	{ NO_GW6, "nameserver ::1\n", "198.51.100.1", "::1", "::1",
	  "::1 is behind the IPv4 gateway, if there is none of IPv6" },
	{ NO_GW6, "nameserver ::1\nnameserver 127.0.0.53\n", "198.51.100.1",
	  "127.0.0.53", "::1",
	  "the IPv4 gateway leads to an IPv4 server before ::1" },
	{ NO_GW6 | NO_MAP | FORWARD, "nameserver ::1\n", "169.254.1.1", "", "::1",
	  "::1 is behind dns_forward of IPv4" },
	{ DNS, "nameserver 127.0.0.53\n", "203.0.113.5 2001:db8:5::5",
	  "127.0.0.53", "", "-D elsewhere leaves the gateway as it is" },
};

static void setup(unsigned set)
{
	memset(&conf, 0, sizeof(conf));
	memset(&hostnet, 0, sizeof(hostnet));
	hostnet.ip4.enabled = true;
	hostnet.ip6.enabled = !(set & ONLY4);
	hostnet.ip4.addr = addr("198.51.100.5");
	hostnet.ip4.gw = addr("198.51.100.1");
	hostnet.ip6.addr = addr("2001:db8::5");
	hostnet.ip6.gw = addr("2001:db8::1");
	conf.dhcp_dns = conf.dhcp_search = !(set & NOT);
	if (set & NO_GW6)
		hostnet.ip6.gw = addr("");
	conf.no_map_gw = set & NO_MAP;
	if (set & MAP)
		hostnet.ip4.map_host_loopback = addr("192.0.2.9");
	if (set & FORWARD)
		conf.ip4.dns_forward = addr("169.254.1.1");
	conf.dns_given = set & (DNS | DNS_LO | NONE);
	if (set & DNS) {
		conf.ndns = 2;
		conf.dns[0] = addr("203.0.113.5");
		conf.dns[1] = addr("2001:db8:5::5");
	} else if (set & DNS_LO) {
		conf.ndns = 1;
		conf.dns[0] = addr("127.0.0.9");
	}
}

static void apply(const char *text)
{
	resolv_parse(text, strlen(text), &res);
	resolv_apply(&conf, &hostnet, &res, &dns);
}

static bool leads(const union inany *a, const char *want)
{
	union inany b = addr(want);
	char s[INANY_STRLEN];

	if (inany_equals(a, &b))
		return true;
	printf("# got %s, wanted '%s'\n", inany_ntop(a, s, sizeof(s)), want);
	return false;
}

static void test_hand(void)
{
	unsigned i;

	for (i = 0; i < sizeof(hand) / sizeof(hand[0]); i++) {
		char ns[512] = "";

		setup(hand[i].set);
		apply(hand[i].text);
		append_addrs(ns, sizeof(ns), dns.ns4, dns.n4);
		append_addrs(ns, sizeof(ns), dns.ns6, dns.n6);
		ok(same(ns, hand[i].ns) && leads(&dns.via4, hand[i].via4) &&
		   leads(&dns.via6, hand[i].via6), hand[i].name);
	}
}

static void test_host(void)
{
	setup(DNS);
	apply("nameserver 127.0.0.53\nnameserver fe80::53%7\n"
	      "nameserver 192.0.2.1\nnameserver 2001:db8:9::1\n");
	ok(leads(&dns.host4, "127.0.0.53") && leads(&dns.host6, "fe80::53"),
	   "dns_forward leads to the first server of its family");
	ok(dns.scope6 == 7, "dns_forward has the interface of its server");
	apply("nameserver fe80::53%7\nnameserver 2001:db8:9::1\n");
	ok(leads(&dns.host4, "fe80::53") && leads(&dns.host6, "fe80::53") &&
	   dns.scope6 == 7,
	   "without an IPv4 server dns_forward leads to the first IPv6 one");
	apply("nameserver 127.0.0.53\n");
	ok(leads(&dns.host4, "127.0.0.53") && leads(&dns.host6, "127.0.0.53") &&
	   !dns.scope6,
	   "without an IPv6 server dns_forward leads to the first IPv4 one");
	apply("");
	ok(leads(&dns.host4, "") && leads(&dns.host6, ""),
	   "without servers dns_forward leads nowhere");
	setup(ONLY4);
	apply("nameserver 2001:db8:9::1\n");
	ok(leads(&dns.host4, ""),
	   "dns_forward leads to no server of a disabled family");
}

static void test_search(void)
{
	setup(0);
	apply("search a.example b.example\n");
	ok(dns.nsearch == 2 && same(dns.search[1], "b.example"),
	   "the search list of the file is handed out");
	conf.search_given = true;
	conf.nsearch = 1;
	strcpy(conf.search[0], "c.example");
	apply("search a.example b.example\n");
	ok(dns.nsearch == 1 && same(dns.search[0], "c.example"),
	   "the search list of -S goes before the file's");
	conf.nsearch = 0;
	apply("search a.example b.example\n");
	ok(!dns.nsearch, "with '-S none' no domain is handed out");
	setup(NOT);
	apply("search a.example b.example\n");
	ok(!dns.nsearch, "with --no-dhcp-search no domain is handed out");
}

int main(void)
{
	test_table();
	test_bytes();
	test_hand();
	test_host();
	test_search();
	return done();
}
