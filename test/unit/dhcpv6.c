/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of clients, option by option, and the replies. Some replies are
 * compared byte by byte, others by their options.
 */

#include "dhcpv6.h"

#include <stdio.h>
#include <string.h>

#include "net.h"
#include "tap.h"

#define GUEST	"2001:db8::5"
#define GUEST_LL "fe80::5"
#define OUR_LL	"fe80::1"
#define SERVERS	"ff02::1:2"
#define FOREVER	0xffffffffU

static const uint8_t guest_mac[6] = { 2, 0, 0, 0, 0, 5 };
static const uint8_t duid[] = { 0, 3, 0, 1, 2, 0, 0, 0, 0, 5 };
static const uint8_t our_duid[] = {
	0, 3, 0, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 };
static struct conf conf;
static struct hostnet hostnet;
static struct dns dns;
static struct datagram reply;
static uint8_t msg[4096];
static size_t len;

static void setup(void)
{
	conf = (struct conf){ .our_mac = CONF_MAC_DEFAULT };
	hostnet = (struct hostnet){ .mtu = 1500 };
	hostnet.ip6.enabled = true;
	hostnet.ip6.addr = addr(GUEST);
	hostnet.ip6.prefix_len = 64;
	hostnet.ip6.our_ll = addr(OUR_LL);
	memset(&dns, 0, sizeof(dns));
	dns.n6 = 2;
	dns.ns6[0] = addr("2001:db8::53");
	dns.ns6[1] = addr("2001:db8::54");
	dns.nsearch = 2;
	snprintf(dns.search[0], CONF_NAME_LEN, "example.com");
	snprintf(dns.search[1], CONF_NAME_LEN, "b.example");
}

/* Messages of the client --------------------------------------------------- */

static void raw(const void *data, size_t n)
{
	memcpy(msg + len, data, n);
	len += n;
}

static void raw16(unsigned v)
{
	const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	raw(b, 2);
}

static void raw32(uint32_t v)
{
	raw16(v >> 16);
	raw16(v & 0xffff);
}

static void option(unsigned code, const void *data, size_t n)
{
	raw16(code);
	raw16((unsigned)n);
	if (n)
		raw(data, n);
}

static void message(uint8_t type)
{
	const uint8_t hdr[4] = { type, 0xab, 0xcd, 0xef };

	len = 0;
	raw(hdr, sizeof(hdr));
}

static void ids(bool server)
{
	option(DHCP6_OPT_CLIENTID, duid, sizeof(duid));
	if (server)
		option(DHCP6_OPT_SERVERID, our_duid, sizeof(our_duid));
}

/* An IA_NA or IA_PD with addresses, up to NULL */
static void ia(unsigned code, uint32_t iaid, const char *a, const char *b)
{
	unsigned n = !!a + !!b;
	union inany x;

	raw16(code);
	raw16(12 + n * 28);
	raw32(iaid);
	raw32(0);
	raw32(0);
	for (; n; n--, a = b) {
		x = addr(a);
		raw16(DHCP6_OPT_IAADDR);
		raw16(24);
		raw(&x, 16);
		raw32(3600);
		raw32(7200);
	}
}

static void oro(unsigned a, unsigned b)
{
	raw16(DHCP6_OPT_ORO);
	raw16(4);
	raw16(a);
	raw16(b);
}

static size_t ask_from(const char *src, const char *dst)
{
	struct pkt p = {
		.kind = PKT_UDP, .src = addr(src), .dst = addr(dst),
		.proto = IPPROTO_UDP, .payload = view_of(msg, len),
	};

	memcpy(p.eth.src, guest_mac, 6);
	memset(&reply, 0xee, sizeof(reply));
	return dhcpv6_reply(&conf, &hostnet, &dns, &p, &reply);
}

static size_t ask(void)
{
	return ask_from(GUEST_LL, SERVERS);
}

/* Replies ------------------------------------------------------------------ */

/* The @nth option of a code in a list of them: its contents and length */
static const uint8_t *nth_in(const uint8_t *p, size_t rem, unsigned code,
			     unsigned nth, size_t *n)
{
	while (rem >= 4) {
		unsigned c = (unsigned)p[0] << 8 | p[1];

		*n = (size_t)p[2] << 8 | p[3];
		if (*n > rem - 4)
			return NULL;
		if (c == code && !nth--)
			return p + 4;
		p += 4 + *n;
		rem -= 4 + *n;
	}
	return NULL;
}

static const uint8_t *nth(unsigned code, unsigned at, size_t *n)
{
	return nth_in(reply.data + 4, reply.len - 4, code, at, n);
}

static bool has(unsigned code)
{
	size_t n;

	return nth(code, 0, &n);
}

static int status_in(const uint8_t *p, size_t n)
{
	const uint8_t *s = nth_in(p, n, DHCP6_OPT_STATUS, 0, &n);

	return s && n >= 2 ? s[0] << 8 | s[1] : -1;
}

static int status(void)
{
	return status_in(reply.data + 4, reply.len - 4);
}

/* Status in the @at-th IA of a kind, -1: none, -2: no such IA */
static int ia_status(unsigned code, unsigned at)
{
	size_t n, fixed = code == DHCP6_OPT_IA_TA ? 4 : 12;
	const uint8_t *p = nth(code, at, &n);

	return p ? status_in(p + fixed, n - fixed) : -2;
}

/* Is the @at-th address of the first IA_NA this, with these lifetimes? */
static bool gets(unsigned at, const char *a, uint32_t lifetime)
{
	union inany want = addr(a);
	struct dhcp6_iaaddr opt;
	size_t n;
	const uint8_t *p = nth(DHCP6_OPT_IA_NA, 0, &n);

	p = p ? nth_in(p + 12, n - 12, DHCP6_OPT_IAADDR, at, &n) : NULL;
	if (!p || n != sizeof(opt))
		return false;
	memcpy(&opt, p, sizeof(opt));
	return !memcmp(&opt.addr, &want, 16) &&
	       opt.preferred_s == htonl(lifetime) &&
	       opt.valid_s == htonl(lifetime);
}

/* Is there, in any IA, this address with lifetimes of zero? */
static bool reply_has_end(const char *a)
{
	union inany want = addr(a);
	uint8_t opt[28] = { 0, 5, 0, 24 };

	memcpy(opt + 4, &want, 16);
	return memmem(reply.data, reply.len, opt, sizeof(opt));
}

/* Known answers ------------------------------------------------------------ */

static void test_solicit(void)
{
	static const uint8_t want[] = {
		2, 0xab, 0xcd, 0xef,
		0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 5,
		0, 2, 0, 10, 0, 3, 0, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
		0, 3, 0, 40, 0, 0, 0, 7,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0, 5, 0, 24, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 5,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0, 7, 0, 1, 255,
		0, 23, 0, 32, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0x53,
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0x54,
		0, 24, 0, 24, 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3,
		'c', 'o', 'm', 0, 1, 'b', 7, 'e', 'x', 'a', 'm', 'p', 'l',
		'e', 0,
	};
	union inany from = addr(OUR_LL), to = addr(GUEST_LL);

	message(DHCP6_SOLICIT);
	ids(false);
	ia(DHCP6_OPT_IA_NA, 7, NULL, NULL);
	oro(DHCP6_OPT_SEARCH, DHCP6_OPT_DNS);
	option(8, "\0\0", 2);
	is(ask(), sizeof(want), "SOLICIT gets an ADVERTISE");
	ok(reply.len == sizeof(want) && !memcmp(reply.data, want, sizeof(want)),
	   "an ADVERTISE has the address for ever, servers and search list");
	ok(inany_equals(&reply.src, &from) && inany_equals(&reply.dst, &to) &&
	   reply.sport == 547 && reply.dport == 546 &&
	   !memcmp(reply.dst_mac, guest_mac, 6),
	   "an ADVERTISE goes from server to client");
}

static void test_request(void)
{
	static const uint8_t want[] = {
		7, 0xab, 0xcd, 0xef,
		0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 5,
		0, 2, 0, 10, 0, 3, 0, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55,
		0, 3, 0, 40, 0, 0, 0, 7,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0, 5, 0, 24, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 5,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	};

	message(DHCP6_REQUEST);
	ids(true);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	is(ask(), sizeof(want), "REQUEST gets a REPLY");
	ok(!memcmp(reply.data, want, sizeof(want)),
	   "a REPLY has the requested options and no others");
}

static void test_rapid(void)
{
	message(DHCP6_SOLICIT);
	ids(false);
	option(DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	ia(DHCP6_OPT_IA_NA, 7, NULL, NULL);
	ok(ask() && reply.data[0] == DHCP6_REPLY &&
	   has(DHCP6_OPT_RAPID_COMMIT) && gets(0, GUEST, FOREVER),
	   "rapid commit: the REPLY at once");
	message(DHCP6_SOLICIT);
	ids(false);
	option(DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	ia(DHCP6_OPT_IA_PD, 7, NULL, NULL);
	ok(ask() && reply.data[0] == DHCP6_ADVERTISE &&
	   !has(DHCP6_OPT_RAPID_COMMIT) &&
	   ia_status(DHCP6_OPT_IA_PD, 0) == DHCP6_NO_PREFIX,
	   "rapid commit without an address gets an ADVERTISE");
	message(DHCP6_SOLICIT);
	ids(false);
	option(DHCP6_OPT_RAPID_COMMIT, "x", 1);
	ok(!ask(), "a rapid commit with contents is malformed");
}

/* Types of messages -------------------------------------------------------- */

static const struct {
	uint8_t type, reply;
	bool server, unicast_status;
} types[] = {
	{ DHCP6_SOLICIT, DHCP6_ADVERTISE, false, false },
	{ DHCP6_REQUEST, DHCP6_REPLY, true, true },
	{ DHCP6_CONFIRM, DHCP6_REPLY, false, false },
	{ DHCP6_RENEW, DHCP6_REPLY, true, true },
	{ DHCP6_REBIND, DHCP6_REPLY, false, false },
	{ DHCP6_RELEASE, DHCP6_REPLY, true, true },
	{ DHCP6_DECLINE, DHCP6_REPLY, true, true },
};

static void test_type(unsigned i)
{
	uint8_t type = types[i].type;
	union inany to;
	char name[64];

	snprintf(name, sizeof(name), "a message of type %u is answered", type);
	message(type);
	ids(types[i].server);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	ok(ask() && reply.data[0] == types[i].reply, name);
	to = addr("2001:db8::99");
	ok(ask_from("2001:db8::99", SERVERS) && inany_equals(&reply.dst, &to),
	   "a message from a global address is answered there");
	ok(!ask_from("::", SERVERS), "a message from :: is dropped");
	ok(!ask_from("::1", SERVERS), "a message from loopback is dropped");
	ok(!!ask_from(GUEST_LL, OUR_LL) == types[i].unicast_status,
	   "a message by unicast is refused or dropped");
	if (reply.len)
		ok(status() == DHCP6_USE_MULTICAST && reply.len == 4 + 28 + 6,
		   "a refusal has the status UseMulticast and no more");

	message(type);
	ids(!types[i].server);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	ok(!ask(),
	   "a message without a needed server's DUID, or with an undue one, is dropped");

	message(type);
	if (types[i].server)
		option(DHCP6_OPT_SERVERID, our_duid, sizeof(our_duid));
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	ok(!ask(), "the client's DUID must be there");

	message(type);
	ids(false);
	option(DHCP6_OPT_SERVERID, duid, sizeof(duid));
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	ok(!ask(), "a message with another server's DUID is dropped");
}

static void test_types(void)
{
	static const uint8_t others[] = { 0, 2, 7, 10, 12, 13, 14, 36, 255 };
	unsigned i;
	bool any = false;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		test_type(i);
	for (i = 0; i < sizeof(others); i++) {
		message(others[i]);
		ids(false);
		any |= ask();
		message(others[i]);
		ids(true);
		any |= ask();
	}
	ok(!any, "replies, relayed and unknown messages are dropped");
}

static void test_information(void)
{
	size_t n;

	message(DHCP6_INFO_REQUEST);
	oro(DHCP6_OPT_DNS, 31);
	ok(ask() && reply.data[0] == DHCP6_REPLY && has(DHCP6_OPT_DNS) &&
	   !has(DHCP6_OPT_SEARCH) && !has(DHCP6_OPT_CLIENTID) &&
	   has(DHCP6_OPT_SERVERID) && status() == -1,
	   "information, as far as it is asked for, without a client's DUID");
	ok(nth(DHCP6_OPT_DNS, 0, &n) && n == 32, "both name servers are told");
	message(DHCP6_INFO_REQUEST);
	ids(true);
	ok(ask() && has(DHCP6_OPT_CLIENTID),
	   "information has the client's DUID and ours");
	message(DHCP6_INFO_REQUEST);
	option(DHCP6_OPT_SERVERID, duid, sizeof(duid));
	ok(!ask(), "a request with another server's DUID is dropped");
	message(DHCP6_INFO_REQUEST);
	ids(false);
	ia(DHCP6_OPT_IA_NA, 7, NULL, NULL);
	ok(!ask(), "an information request with an IA is dropped");
	message(DHCP6_INFO_REQUEST);
	ok(!ask_from(GUEST_LL, OUR_LL),
	   "an information request by unicast is dropped");

	dns.n6 = dns.nsearch = 0;
	message(DHCP6_INFO_REQUEST);
	oro(DHCP6_OPT_DNS, DHCP6_OPT_SEARCH);
	ok(ask() && reply.len == 4 + 14,
	   "without servers and names the reply has only our DUID");
	setup();
}

/* Bindings ----------------------------------------------------------------- */

static void test_several(void)
{
	message(DHCP6_REQUEST);
	ids(true);
	ia(DHCP6_OPT_IA_PD, 1, NULL, NULL);
	ia(DHCP6_OPT_IA_NA, 2, NULL, NULL);
	ia(DHCP6_OPT_IA_NA, 3, NULL, NULL);
	option(DHCP6_OPT_IA_TA, "\0\0\0\4", 4);
	ask();
	ok(gets(0, GUEST, FOREVER) && ia_status(DHCP6_OPT_IA_NA, 0) == -1,
	   "of several IAs the first IA_NA gets the address");
	is(ia_status(DHCP6_OPT_IA_NA, 1), DHCP6_NO_ADDRS,
	   "a second IA_NA gets no address");
	is(ia_status(DHCP6_OPT_IA_TA, 0), DHCP6_NO_ADDRS, "an IA_TA none");
	is(ia_status(DHCP6_OPT_IA_PD, 0), DHCP6_NO_PREFIX, "an IA_PD none");
}

static void test_elsewhere(void)
{
	message(DHCP6_REQUEST);
	ids(true);
	ia(DHCP6_OPT_IA_NA, 7, "2001:db8:9::5", NULL);
	ok(ask() && ia_status(DHCP6_OPT_IA_NA, 0) == DHCP6_NOT_ON_LINK &&
	   !gets(0, GUEST, FOREVER),
	   "REQUEST for an address from elsewhere: not on this link");
	message(DHCP6_REQUEST);
	ids(true);
	ia(DHCP6_OPT_IA_NA, 7, "2001:db8::77", NULL);
	ok(ask() && gets(0, GUEST, FOREVER) && !gets(1, "2001:db8::77", 0),
	   "REQUEST for another address of the link gets ours");
	message(DHCP6_SOLICIT);
	ids(false);
	ia(DHCP6_OPT_IA_NA, 7, "2001:db8:9::5", NULL);
	ok(ask() && gets(0, GUEST, FOREVER),
	   "SOLICIT with an address from elsewhere gets ours");
}

static void test_renew(uint8_t type)
{
	bool server = type == DHCP6_RENEW;

	message(type);
	ids(server);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	ok(ask() && gets(0, GUEST, FOREVER) && !gets(1, GUEST, 0),
	   "the address is renewed");
	message(type);
	ids(server);
	ia(DHCP6_OPT_IA_NA, 7, "2001:db8:9::5", GUEST);
	ok(ask() && gets(0, GUEST, FOREVER) && gets(1, "2001:db8:9::5", 0),
	   "another address of a renewed IA ends");
	ia(DHCP6_OPT_IA_NA, 8, GUEST, NULL);
	ok(ask() && gets(0, GUEST, FOREVER) &&
	   ia_status(DHCP6_OPT_IA_NA, 1) == DHCP6_NO_ADDRS &&
	   !reply_has_end(GUEST),
	   "the address does not end in a second IA");
	hostnet.ip6.addr = (union inany){ 0 };
	ok(ask() && ia_status(DHCP6_OPT_IA_NA, 0) == DHCP6_NO_ADDRS &&
	   gets(0, "2001:db8:9::5", 0) && gets(1, GUEST, 0),
	   "without an address to give all addresses end");
	setup();
}

static void test_confirm(void)
{
	message(DHCP6_CONFIRM);
	ids(false);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	ok(ask() && status() == DHCP6_SUCCESS, "CONFIRM: on this link");
	ia(DHCP6_OPT_IA_NA, 8, "2001:db8:9::5", NULL);
	ok(ask() && status() == DHCP6_NOT_ON_LINK,
	   "CONFIRM: not all addresses are on this link");
	hostnet.ip6.addr = (union inany){ 0 };
	ok(!ask(), "CONFIRM is dropped if we have no address");
	setup();
	message(DHCP6_CONFIRM);
	ids(false);
	ia(DHCP6_OPT_IA_NA, 7, NULL, NULL);
	ok(!ask(), "CONFIRM without an address is dropped");
}

static void test_end(void)
{
	message(DHCP6_RELEASE);
	ids(true);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	ok(ask() && status() == DHCP6_SUCCESS && !has(DHCP6_OPT_IA_NA),
	   "RELEASE is accepted");
	msg[0] = DHCP6_DECLINE;
	ok(ask() && status() == DHCP6_SUCCESS, "DECLINE is accepted");
}

static void test_without_address(void)
{
	hostnet.ip6.addr = (union inany){ 0 };
	message(DHCP6_SOLICIT);
	ids(false);
	option(DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	oro(DHCP6_OPT_DNS, DHCP6_OPT_SEARCH);
	ok(ask() && reply.data[0] == DHCP6_ADVERTISE &&
	   ia_status(DHCP6_OPT_IA_NA, 0) == DHCP6_NO_ADDRS &&
	   has(DHCP6_OPT_DNS),
	   "without an address the client gets information alone");
	setup();
	hostnet.ip6.our_ll = (union inany){ 0 };
	ok(!ask(), "without our link-local address nothing is answered");
	setup();
}

/* Names -------------------------------------------------------------------- */

static void test_fqdn(void)
{
	static const uint8_t want[] = {
		4, 1, 'h', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0 };
	const uint8_t *p;
	size_t n;

	message(DHCP6_SOLICIT);
	ids(false);
	oro(DHCP6_OPT_FQDN, DHCP6_OPT_DNS);
	ok(ask() && !has(DHCP6_OPT_FQDN),
	   "no FQDN is sent if none is configured");
	snprintf(conf.fqdn, sizeof(conf.fqdn), "h.example");
	ask();
	p = nth(DHCP6_OPT_FQDN, 0, &n);
	ok(p && n == sizeof(want) && !memcmp(p, want, n),
	   "a FQDN is sent if the client asks for it");
	message(DHCP6_SOLICIT);
	ids(false);
	option(DHCP6_OPT_FQDN, "\1\1x\0", 4);
	ask();
	p = nth(DHCP6_OPT_FQDN, 0, &n);
	ok(p && n == sizeof(want) && p[0] == 6,
	   "a client's own FQDN is answered, and its wish for updates overridden");
	message(DHCP6_SOLICIT);
	ids(false);
	ok(ask() && !has(DHCP6_OPT_FQDN),
	   "a FQDN is not sent without a request for it");
	setup();
}

static void test_large(void)
{
	unsigned i;
	size_t n;

	dns.nsearch = CONF_SEARCH_MAX;
	for (i = 0; i < CONF_SEARCH_MAX; i++)
		snprintf(dns.search[i], CONF_NAME_LEN, "%060u.%060u", i, i);
	message(DHCP6_INFO_REQUEST);
	oro(DHCP6_OPT_DNS, DHCP6_OPT_SEARCH);
	ask();
	ok(reply.len > 1000 && reply.len <= 1232 &&
	   nth(DHCP6_OPT_SEARCH, 0, &n) && n % 123 == 0,
	   "a long search list is cut behind a whole name");
	snprintf(dns.search[0], CONF_NAME_LEN, "a..b");
	snprintf(dns.search[1], CONF_NAME_LEN, "%064u", 0);
	snprintf(dns.search[2], CONF_NAME_LEN, ".");
	snprintf(dns.search[3], CONF_NAME_LEN, "c.");
	dns.nsearch = 4;
	ask();
	ok(nth(DHCP6_OPT_SEARCH, 0, &n) && n == 3,
	   "invalid names are left out of the search list");

	message(DHCP6_REQUEST);
	ids(true);
	for (i = 0; i < 70; i++)
		ia(DHCP6_OPT_IA_NA, i, NULL, NULL);
	ok(!ask(), "more IAs than a reply holds are dropped");
	setup();
}

/* Malformed messages ------------------------------------------------------- */

static void test_lengths(void)
{
	size_t whole, n;
	unsigned answered = 0;

	message(DHCP6_REQUEST);
	ids(true);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	whole = len;
	for (n = 0; n < whole; n++) {
		len = n;
		answered += !!ask();
	}
	/* Cut after the identifiers, it is a valid message without an IA */
	is(answered, 1, "a message cut short is dropped, wherever it was");

	message(DHCP6_REQUEST);
	ids(true);
	ia(DHCP6_OPT_IA_NA, 7, GUEST, NULL);
	msg[len - 25] = 25;
	ok(!ask(), "an address longer than its IA is malformed");
	msg[len - 25] = 23;
	ok(!ask(), "an address that is too short is malformed");
	message(DHCP6_REQUEST);
	ids(true);
	option(DHCP6_OPT_IA_NA, "0123456789a", 11);
	ok(!ask(), "an IA_NA that is too short is malformed");
	message(DHCP6_REQUEST);
	ids(true);
	option(DHCP6_OPT_IA_TA, "012", 3);
	ok(!ask(), "an IA_TA that is too short is malformed");
	message(DHCP6_REQUEST);
	ids(true);
	option(DHCP6_OPT_IA_PD, "0123456789ab\0\032\0\1x", 17);
	ok(!ask(), "a prefix that is too short is malformed");
}

static void test_options(void)
{
	static const uint8_t long_duid[131] = { 0, 2 }, zero[2048];

	message(DHCP6_SOLICIT);
	option(DHCP6_OPT_CLIENTID, long_duid, 130);
	ok(ask(), "a DUID of 130 bytes");
	message(DHCP6_SOLICIT);
	option(DHCP6_OPT_CLIENTID, long_duid, 131);
	ok(!ask(), "a DUID of 131 bytes is malformed");
	message(DHCP6_SOLICIT);
	option(DHCP6_OPT_CLIENTID, long_duid, 2);
	ok(!ask(), "a DUID that is only a type is malformed");
	message(DHCP6_SOLICIT);
	ids(false);
	ids(false);
	ok(!ask(), "a message with two client DUIDs is malformed");
	message(DHCP6_SOLICIT);
	ids(false);
	option(DHCP6_OPT_ORO, "\0\27\0", 3);
	ok(!ask(), "half a requested option is malformed");
	message(DHCP6_SOLICIT);
	ids(false);
	option(DHCP6_OPT_ORO, NULL, 0);
	option(4711, "abc", 3);
	ok(ask(), "an empty option and an unknown one are ignored");
	message(DHCP6_SOLICIT);
	ids(false);
	option(4711, zero, 2048 - 18 - 4);
	ok(ask(), "a message of 2048 bytes is answered");
	message(DHCP6_SOLICIT);
	ids(false);
	option(4711, zero, 2048 - 18 - 3);
	ok(!ask(), "a message of 2049 bytes is dropped");
}

int main(void)
{
	setup();
	test_solicit();
	test_request();
	test_rapid();
	test_types();
	test_information();
	test_several();
	test_elsewhere();
	test_renew(DHCP6_RENEW);
	test_renew(DHCP6_REBIND);
	test_confirm();
	test_end();
	test_without_address();
	test_fqdn();
	test_large();
	test_lengths();
	test_options();
	return done();
}
