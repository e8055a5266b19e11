/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text, kinds and socket form of addresses */

#include "inany.h"

#include <arpa/inet.h>

#include "tap.h"

enum { U = 1, L = 2, M = 4, LL = 8, UNI = 16 };

static unsigned kinds(const union inany *a)
{
	return (inany_is_unspecified(a) ? U : 0) |
	       (inany_is_loopback(a) ? L : 0) |
	       (inany_is_multicast(a) ? M : 0) |
	       (inany_is_linklocal(a) ? LL : 0) |
	       (inany_is_unicast(a) ? UNI : 0);
}

static void addresses(void)
{
	static const struct {
		const char *in, *out;
		unsigned kinds;
	} t[] = {
		{ "198.51.100.1", "198.51.100.1", UNI },
		{ "::ffff:198.51.100.1", "198.51.100.1", UNI },
		{ "0.0.0.0", "0.0.0.0", U },
		{ "0.1.2.3", "0.1.2.3", 0 },
		{ "127.0.0.1", "127.0.0.1", L | UNI },
		{ "127.255.255.255", "127.255.255.255", L | UNI },
		{ "128.0.0.1", "128.0.0.1", UNI },
		{ "169.254.1.1", "169.254.1.1", LL | UNI },
		{ "169.253.1.1", "169.253.1.1", UNI },
		{ "224.0.0.1", "224.0.0.1", M },
		{ "239.255.255.255", "239.255.255.255", M },
		{ "255.255.255.255", "255.255.255.255", 0 },
		{ "::", "::", U },
		{ "::1", "::1", L | UNI },
		{ "2001:db8::1", "2001:db8::1", UNI },
		{ "fe80::1", "fe80::1", LL | UNI },
		{ "febf::1", "febf::1", LL | UNI },
		{ "fec0::1", "fec0::1", UNI },
		{ "ff02::1", "ff02::1", M },
	};
	char buf[INANY_STRLEN], name[80];
	union inany a;
	unsigned i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		snprintf(name, sizeof(name), "%s has its kinds and text",
			 t[i].in);
		ok(inany_pton(t[i].in, &a) &&
		   !strcmp(inany_ntop(&a, buf, sizeof(buf)), t[i].out) &&
		   kinds(&a) == t[i].kinds, name);
	}
}

static void bad_text(void)
{
	static const char *const t[] = {
		"", "1", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1.2.3.4 ",
		"01.2.3",
		"fe80::1%eth0", ":::", "1::2::3", "2001:db8::/32", "[::1]",
		"localhost", "1:2:3:4:5:6:7:8:9", "12345::",
	};
	union inany a = { .u64 = { 7, 7 } };
	char name[80];
	unsigned i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		snprintf(name, sizeof(name), "\"%s\" is no address", t[i]);
		ok(!inany_pton(t[i], &a), name);
	}
	ok(a.u64[0] == 7 && a.u64[1] == 7, "bad text leaves the address alone");
}

static void sockaddrs(void)
{
	union sockaddr_inany sa;
	union inany a, b;
	uint16_t port = 0;
	char buf[4];

	inany_pton("203.0.113.9", &a);
	is(inany_to_sockaddr(&a, 53, 7, &sa), sizeof(sa.sin),
	   "an IPv4 address becomes a sockaddr_in");
	ok(sa.sin.sin_family == AF_INET && sa.sin.sin_port == htons(53) &&
	   inany_from_sockaddr(&sa, &b, &port) && inany_equals(&a, &b) &&
	   port == 53, "an IPv4 address comes back from its socket address");

	inany_pton("2001:db8::9", &a);
	is(inany_to_sockaddr(&a, 53, 7, &sa), sizeof(sa.sin6),
	   "an IPv6 address becomes a sockaddr_in6");
	ok(inany_from_sockaddr(&sa, &b, NULL) && inany_equals(&a, &b),
	   "an IPv6 address comes back from its socket address");
	is(sa.sin6.sin6_scope_id, 0, "a global address has no scope");

	inany_pton("fe80::9", &a);
	inany_to_sockaddr(&a, 53, 7, &sa);
	is(sa.sin6.sin6_scope_id, 7, "a link-local address has a scope");

	sa.sa.sa_family = AF_UNIX;
	ok(!inany_from_sockaddr(&sa, &b, NULL), "other families are refused");
	ok(!strcmp(inany_ntop(&a, buf, sizeof(buf)), "?"),
	   "too little room gives a question mark");
}

int main(void)
{
	addresses();
	bad_text();
	sockaddrs();
	return done();
}
