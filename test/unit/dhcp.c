/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of all kinds, valid and not, and the contents of the replies */

#include "dhcp.h"

#include <stdio.h>
#include <string.h>

#include "net.h"
#include "tap.h"

#define OWN	"198.51.100.5"
#define GW	"198.51.100.1"
#define XID	0x12345678

static const uint8_t guest_mac[6] = { 2, 0, 0, 0, 0, 5 };
static const uint8_t all_mac[6] = MAC_BROADCAST;
static struct conf conf;
static struct hostnet hostnet;
static struct dns dns;
static struct datagram reply;
static uint8_t body[2048];
static size_t body_len;
static struct pkt pkt;

static be32 be(const char *s)
{
	return addr(s).v4mapped.a4.s_addr;
}

static void setup(void)
{
	conf = (struct conf){ .our_mac = CONF_MAC_DEFAULT };
	hostnet = (struct hostnet){ .mtu = 1500 };
	hostnet.ip4.enabled = true;
	hostnet.ip4.addr = addr(OWN);
	hostnet.ip4.prefix_len = 24;
	hostnet.ip4.gw = addr(GW);
	strcpy(conf.hostname, "box");
	dns = (struct dns){ .n4 = 2, .nsearch = 2 };
	dns.ns4[0] = addr("192.0.2.53");
	dns.ns4[1] = addr("192.0.2.54");
	strcpy(dns.search[0], "example.org");
	strcpy(dns.search[1], "example.net");
}

/* Requests ------------------------------------------------------------------ */

/* Begin a message without options and end; the cookie is the first word */
static struct dhcp_msg *message(void)
{
	struct dhcp_msg *m = (struct dhcp_msg *)body;

	memset(body, 0, sizeof(body));
	*m = (struct dhcp_msg){
		.op = DHCP_OP_REQUEST, .htype = 1, .hlen = 6,
		.xid = htonl(XID), .secs = htons(3),
		.cookie = htonl(DHCP_COOKIE),
	};
	memcpy(m->chaddr, guest_mac, 6);
	pkt = (struct pkt){
		.kind = PKT_UDP, .src = addr("0.0.0.0"),
		.dst = addr("255.255.255.255"), .proto = IPPROTO_UDP,
	};
	body_len = sizeof(*m);
	memcpy(pkt.eth.src, guest_mac, 6);
	return m;
}

/* Append an option with a given length field and as many bytes as there are */
static void option_of(uint8_t code, uint8_t len, const void *data, size_t bytes)
{
	body[body_len++] = code;
	body[body_len++] = len;
	if (bytes)
		memcpy(body + body_len, data, bytes);
	body_len += bytes;
}

static void option(uint8_t code, const void *data, uint8_t len)
{
	option_of(code, len, data, len);
}

static void option_addr(uint8_t code, const char *a)
{
	be32 a4 = be(a);

	option(code, &a4, 4);
}

static struct dhcp_msg *typed(uint8_t type)
{
	struct dhcp_msg *m = message();

	option(DHCP_OPT_TYPE, &type, 1);
	return m;
}

static void option_max(uint16_t max)
{
	be16 b = htons(max);

	option(DHCP_OPT_MAX, &b, 2);
}

static void asks_for(const char *codes)
{
	option(DHCP_OPT_LIST, codes, (uint8_t)strlen(codes));
}

static bool answered(void)
{
	memset(&reply, 0xaa, sizeof(reply));
	pkt.payload = view_of(body, body_len);
	return dhcp_reply(&conf, &hostnet, &dns, &pkt, &reply);
}

/* Replies ------------------------------------------------------------------- */

static struct dhcp_msg head(void)
{
	struct dhcp_msg m;

	memcpy(&m, reply.data, sizeof(m));
	return m;
}

/* Contents of an option, all instances in one; -1: there is none */
static int find(uint8_t code, uint8_t *out)
{
	const uint8_t *p = reply.data + sizeof(struct dhcp_msg);
	const uint8_t *end = reply.data + reply.len;
	int len = -1;

	while (p < end && *p != DHCP_OPT_END) {
		if (*p == code) {
			len = len < 0 ? 0 : len;
			memcpy(out + len, p + 2, p[1]);
			len += p[1];
		}
		p += 2 + p[1];
	}
	return p < end ? len : -2;
}

static bool has(uint8_t code, const void *data, int len)
{
	uint8_t got[1500];
	int n = find(code, got);

	return n == len && !memcmp(got, data, (size_t)len);
}

static bool has_addr(uint8_t code, const char *a)
{
	be32 a4 = be(a);

	return has(code, &a4, 4);
}

static bool has_no(uint8_t code)
{
	uint8_t got[1500];

	return find(code, got) == -1;
}

/* Codes of all options as text, such as "53 1 3" */
static const char *codes(void)
{
	static char text[512];
	const uint8_t *p = reply.data + sizeof(struct dhcp_msg);
	size_t n = 0;

	text[0] = 0;
	for (; *p != DHCP_OPT_END && p < reply.data + reply.len; p += 2 + p[1])
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u",
				      n ? " " : "", *p);
	return text;
}

static void are(const char *want, const char *name)
{
	if (!ok(!strcmp(codes(), want), name))
		printf("# got %s, want %s\n", codes(), want);
}

static bool is_type(uint8_t type)
{
	return answered() && has(DHCP_OPT_TYPE, &type, 1);
}

static bool goes_to(const char *to, const uint8_t mac[6])
{
	union inany a = addr(to);

	return inany_equals(&reply.dst, &a) && !memcmp(reply.dst_mac, mac, 6);
}

/* Tests --------------------------------------------------------------------- */

static void test_offer(void)
{
	union inany from = addr(GW);
	struct dhcp_msg m;

	typed(DHCP_DISCOVER);
	ok(is_type(DHCP_OFFER), "a DISCOVER gets an OFFER");
	m = head();
	ok(m.op == DHCP_OP_REPLY && m.htype == 1 && m.hlen == 6 &&
	   m.xid == htonl(XID) && !m.secs && !m.hops &&
	   !memcmp(m.chaddr, guest_mac, 6),
	   "an OFFER has the header of a reply");
	ok(m.yiaddr == be(OWN) && !m.ciaddr && !m.siaddr && !m.giaddr,
	   "an OFFER has the address");
	ok(inany_equals(&reply.src, &from) && reply.sport == 67 &&
	   reply.dport == 68, "an OFFER comes from the gateway");
	ok(goes_to(OWN, guest_mac), "an OFFER goes to the offered address");
	are("53 1 3 6 12 15 26 51 54 58 59 119",
	    "without a parameter list an OFFER has all options");
	ok(has_addr(DHCP_OPT_MASK, "255.255.255.0"),
	   "an OFFER has the subnet mask");
	ok(has_addr(DHCP_OPT_ROUTER, GW), "an OFFER has the router");
	ok(has(DHCP_OPT_DNS, "\300\0\2\65\300\0\2\66", 8),
	   "an OFFER has the name servers");
	ok(has(DHCP_OPT_HOSTNAME, "box", 3), "an OFFER has the host name");
	ok(has(DHCP_OPT_DOMAIN, "example.org", 11),
	   "an OFFER has the first domain");
	ok(has(DHCP_OPT_MTU, "\5\334", 2), "an OFFER has the MTU");
	ok(has(DHCP_OPT_LEASE, "\377\377\377\377", 4) &&
	   has(DHCP_OPT_T1, "\377\377\377\377", 4) &&
	   has(DHCP_OPT_T2, "\377\377\377\377", 4),
	   "an OFFER has an infinite lease, T1 and T2");
	ok(has_addr(DHCP_OPT_SERVER, GW),
	   "an OFFER has the server's identifier");
	ok(reply.len >= 300, "an OFFER has at least 300 bytes");
}

static void test_request(void)
{
	struct dhcp_msg *m;

	typed(DHCP_REQUEST);
	option_addr(DHCP_OPT_ADDR, OWN);
	option_addr(DHCP_OPT_SERVER, GW);
	ok(is_type(DHCP_ACK) && head().yiaddr == be(OWN) && !head().ciaddr,
	   "SELECTING: ACK");
	are("53 1 3 6 12 15 26 51 54 58 59 119",
	    "an ACK has the options of the OFFER");
	ok(is_type(DHCP_ACK), "a repeated REQUEST gets an ACK");
	typed(DHCP_REQUEST);
	option_addr(DHCP_OPT_ADDR, OWN);
	option_addr(DHCP_OPT_SERVER, "198.51.100.2");
	ok(!answered(), "a REQUEST to another server gets no reply");
	typed(DHCP_REQUEST);
	option_addr(DHCP_OPT_ADDR, OWN);
	ok(is_type(DHCP_ACK), "INIT-REBOOT: ACK");

	m = typed(DHCP_REQUEST);
	m->ciaddr = be(OWN);
	pkt.src = addr(OWN);
	pkt.dst = addr(GW);
	ok(is_type(DHCP_ACK) && goes_to(OWN, guest_mac) &&
	   head().ciaddr == be(OWN),
	   "RENEWING: the ACK goes to the client's address");
	m->flags = htons(DHCP_BROADCAST);
	ok(is_type(DHCP_ACK) && goes_to(OWN, guest_mac),
	   "RENEWING: the broadcast flag changes nothing, RFC 2131, 4.1");
	pkt.dst = addr("255.255.255.255");
	ok(is_type(DHCP_ACK), "REBINDING: ACK");
	typed(DHCP_REQUEST);
	ok(!answered(), "a REQUEST for no address gets no reply");
}

static void test_nak(void)
{
	struct dhcp_msg *m = typed(DHCP_REQUEST);

	option_addr(DHCP_OPT_ADDR, "198.51.100.6");
	ok(is_type(DHCP_NAK), "INIT-REBOOT with another address: NAK");
	ok(goes_to("255.255.255.255", all_mac), "a NAK is broadcast");
	ok(!head().yiaddr && !head().ciaddr, "a NAK has no address");
	are("53 54 56", "a NAK has a message and no lease");
	typed(DHCP_REQUEST);
	option_addr(DHCP_OPT_ADDR, "198.51.100.6");
	option_addr(DHCP_OPT_SERVER, GW);
	ok(is_type(DHCP_NAK), "SELECTING with another address: NAK");
	m = typed(DHCP_REQUEST);
	m->ciaddr = be("10.0.0.6");
	pkt.src = addr("10.0.0.6");
	ok(is_type(DHCP_NAK) && goes_to("255.255.255.255", all_mac),
	   "RENEWING with another address: NAK to all");
	m = typed(DHCP_REQUEST);
	m->ciaddr = be("10.0.0.6");
	option_addr(DHCP_OPT_ADDR, OWN);
	ok(is_type(DHCP_NAK),
	   "a REQUEST with two addresses, one of them wrong, gets a NAK");
}

static void test_rapid_commit(void)
{
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_RAPID, NULL, 0);
	ok(is_type(DHCP_ACK) && head().yiaddr == be(OWN) &&
	   has(DHCP_OPT_RAPID, "", 0),
	   "rapid commit: a DISCOVER gets an ACK that says so");
	typed(DHCP_REQUEST);
	option_addr(DHCP_OPT_ADDR, OWN);
	option(DHCP_OPT_RAPID, NULL, 0);
	ok(is_type(DHCP_ACK) && has_no(DHCP_OPT_RAPID),
	   "rapid commit: the ACK to a REQUEST does not have it");
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_RAPID, "x", 1);
	ok(!answered(), "rapid commit: the option has no contents");
}

static void test_inform(void)
{
	struct dhcp_msg *m = typed(DHCP_INFORM);

	m->ciaddr = be("198.51.100.77");
	ok(is_type(DHCP_ACK) && !head().yiaddr &&
	   head().ciaddr == be("198.51.100.77"), "INFORM: ACK, no address");
	ok(goes_to("198.51.100.77", guest_mac),
	   "INFORM: the ACK goes to the client's address");
	are("53 1 3 6 12 15 26 54 119", "INFORM: the ACK has no lease");
	m->ciaddr = 0;
	ok(is_type(DHCP_ACK) && goes_to("255.255.255.255", all_mac),
	   "INFORM without an address: the ACK is broadcast");
	pkt.src = addr("198.51.100.77");
	ok(is_type(DHCP_ACK) && goes_to("198.51.100.77", guest_mac),
	   "INFORM without an address: the ACK goes to the source");
}

static void test_bootp(void)
{
	struct dhcp_msg *m = message();

	body_len = 300;
	ok(answered() && head().yiaddr == be(OWN), "BOOTP: an address");
	are("1 3 6 12 15 26", "BOOTP: the reply has no lease and no type");
	is(reply.len, 300, "BOOTP: the reply is as long as the request");
	m->cookie = 0;
	ok(answered() && head().cookie == htonl(DHCP_COOKIE),
	   "BOOTP: a request without options gets some");
	m->cookie = htonl(0x434d5500);
	ok(answered() && !head().cookie && !reply.data[240] && reply.len == 300,
	   "BOOTP: a request with other vendor data gets none");
	body_len = 236;
	ok(answered() && reply.len == 300,
	   "BOOTP: a reply without options is padded");
	m->cookie = 0;
	m->flags = htons(DHCP_BROADCAST);
	ok(answered() && goes_to("255.255.255.255", all_mac),
	   "BOOTP: the reply is broadcast on request");
	m->ciaddr = be("198.51.100.9");
	ok(answered() && !head().yiaddr && goes_to("198.51.100.9", guest_mac),
	   "BOOTP: a client that knows its address gets no other");
	strcpy(conf.hostname, "a-name-of-thirty-characters-xx");
	m->ciaddr = 0;
	ok(answered() && reply.len == 300 && has_no(DHCP_OPT_DOMAIN),
	   "BOOTP: options beyond 300 bytes are left out");
	body_len = 548;
	ok(answered() && !has_no(DHCP_OPT_DOMAIN) && reply.len == 312,
	   "BOOTP: a longer request gets more options");
	setup();
}

static void test_broadcast(void)
{
	struct dhcp_msg *m = typed(DHCP_DISCOVER);

	m->flags = htons(0xffff);
	ok(answered() && goes_to("255.255.255.255", all_mac),
	   "a reply with the broadcast flag is broadcast");
	is(ntohs(head().flags), DHCP_BROADCAST, "a reply has no other flag");
	m->flags = htons(0x7fff);
	ok(answered() && goes_to(OWN, guest_mac),
	   "a reply without the broadcast flag is unicast");
	m->ciaddr = be("10.1.2.3");
	ok(answered() && goes_to(OWN, guest_mac) && !head().ciaddr,
	   "ciaddr of a DISCOVER is ignored");
}

static void fill_dns(void)
{
	unsigned i;

	dns.n4 = CONF_DNS_MAX;
	for (i = 0; i < CONF_DNS_MAX; i++)
		dns.ns4[i] = addr("192.0.2.53");
	dns.nsearch = CONF_SEARCH_MAX;
	for (i = 0; i < CONF_SEARCH_MAX; i++)
		snprintf(dns.search[i], CONF_NAME_LEN,
			 "d%02u.a-long-label-to-fill-the-message.example.org", i);
	memset(conf.hostname, 'h', 60);
	conf.hostname[60] = 0;
	strcpy(conf.fqdn, "box.example.org");
}

static void test_size(void)
{
	static const uint8_t id[255] = { 1, 2, 3 };
	unsigned i;

	fill_dns();
	typed(DHCP_DISCOVER);
	ok(answered() && reply.len <= 548,
	   "a reply has up to 548 bytes by default");
	are("53 1 3 6 12 15 26 51 54 58 59 81 119",
	    "a reply of 548 bytes has all options");
	typed(DHCP_DISCOVER);
	option_max(100);
	ok(answered() && reply.len <= 548,
	   "a maximum below 576 bytes is ignored");
	typed(DHCP_DISCOVER);
	option_max(1200);
	ok(answered() && reply.len > 1100 && reply.len <= 1172,
	   "a reply is as long as the client accepts");
	typed(DHCP_DISCOVER);
	option_max(65535);
	ok(answered() && reply.len > 1400 && reply.len <= 1472,
	   "a reply is never longer than a frame");
	hostnet.mtu = 700;
	ok(answered() && reply.len <= 672,
	   "a reply is never longer than the MTU");
	hostnet.mtu = 68;
	ok(answered() && reply.len <= 300, "an MTU below 300 bytes is ignored");
	are("53 1 3 26 51 54", "a small MTU leaves out options");

	hostnet.mtu = 1500;
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_CLIENT_ID, id, 255);
	option(DHCP_OPT_RAPID, NULL, 0);
	ok(answered() && reply.len <= 548 && has(DHCP_OPT_CLIENT_ID, id, 255),
	   "a reply of 300 bytes has the longest client identifier");
	are("53 1 3 26 51 54 61 80",
	    "the least important options are left out first");

	setup();
	for (i = 300; i < 1600; i++) {
		typed(DHCP_DISCOVER);
		option_max((uint16_t)i);
		if (!answered() || reply.len > (i < 576 ? 548 : i - 28) ||
		    reply.len > 1472)
			break;
	}
	is(i, 1600, "no maximum size is exceeded");
}

static void test_lists(void)
{
	typed(DHCP_DISCOVER);
	asks_for("\1\6\3");
	ok(answered(), "a request with a parameter list is answered");
	are("53 1 3 6 51 54 58 59",
	    "listed options are in our order, with those of the lease");
	typed(DHCP_DISCOVER);
	asks_for("\1");
	asks_for("\32");
	ok(answered(), "a parameter list in two parts is answered: RFC 3396");
	are("53 1 26 51 54 58 59", "both parts of a parameter list count");
	typed(DHCP_DISCOVER);
	asks_for("\371\52");
	ok(answered(), "a request for unknown options is answered");
	are("53 1 51 54 58 59", "unknown options are not in the reply");
	dns.n4 = dns.nsearch = 0;
	hostnet.mtu = 0;
	conf.hostname[0] = 0;
	hostnet.ip4.gw = (union inany){ 0 };
	typed(DHCP_DISCOVER);
	ok(answered(), "a request is answered without any configuration");
	are("53 1 3 51 54 58 59",
	    "without configuration there are no names, but a router");
	setup();
}

static void test_client_id(void)
{
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_CLIENT_ID, "\1\2\3\4\5\6\7", 7);
	ok(answered() && has(DHCP_OPT_CLIENT_ID, "\1\2\3\4\5\6\7", 7),
	   "an OFFER returns the client identifier: RFC 6842");
	typed(DHCP_REQUEST);
	option_addr(DHCP_OPT_ADDR, "10.0.0.6");
	option(DHCP_OPT_CLIENT_ID, "\1\2", 2);
	ok(is_type(DHCP_NAK) && has(DHCP_OPT_CLIENT_ID, "\1\2", 2),
	   "a NAK returns the client identifier");
}

static void test_search(void)
{
	static const char known[] = "\7example\3org\0\7example\3net";
	uint8_t got[1500];
	const uint8_t *p = reply.data + sizeof(struct dhcp_msg);
	unsigned i, instances = 0, biggest = 0;

	typed(DHCP_DISCOVER);
	ok(answered() && has(DHCP_OPT_SEARCH, known, sizeof(known)),
	   "a search list is encoded in labels: RFC 3397");
	strcpy(dns.search[0], "$(reboot).example");
	strcpy(dns.search[1], "example.net.");
	ok(answered() && has(DHCP_OPT_SEARCH, "\7example\3net", 13) &&
	   has_no(DHCP_OPT_DOMAIN), "invalid domains are not handed out");

	fill_dns();
	typed(DHCP_DISCOVER);
	option_max(1500);
	answered();
	for (; *p != DHCP_OPT_END; p += 2 + p[1]) {
		instances += *p == DHCP_OPT_SEARCH;
		if (*p == DHCP_OPT_SEARCH && p[1] > biggest)
			biggest = p[1];
	}
	ok(instances > 1 && biggest == 255,
	   "long search lists are in several parts: RFC 3396");
	i = (unsigned)find(DHCP_OPT_SEARCH, got);
	ok(i > 255 && !got[i - 1] && i % 50 == 0,
	   "long search lists end with a whole domain");
	setup();
}

static void test_names(void)
{
	static const struct { const char *name; bool valid; } names[] = {
		{ "a", true }, { "a.b", true }, { "A-9_z.example.", true },
		{ "-a", false }, { "a..b", false }, { ".", false },
		{ ".a", false }, { "a b", false }, { "a;b", false },
		{ "a\nb", false }, { "b\303\274cher", false }, { "a..", false },
		{ "a.-b", false },
	};
	char label[70];
	unsigned i, j;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		strcpy(conf.hostname, names[i].name);
		typed(DHCP_DISCOVER);
		answered();
		ok(has_no(DHCP_OPT_HOSTNAME) != names[i].valid,
		   names[i].valid ?
		   "a valid host name is handed out" :
		   "an invalid host name is not handed out");
	}
	memset(label, 'x', sizeof(label));
	for (i = 63; i < 65; i++) {
		label[i] = 0;
		strcpy(conf.hostname, label);
		label[i] = 'x';
		answered();
		ok(has_no(DHCP_OPT_HOSTNAME) == (i > 63),
		   "a host name has labels of 63 characters at most");
	}
	for (i = 253; i < 255; i++) {
		for (j = 0; j < i; j++)
			conf.hostname[j] = j % 50 == 49 ? '.' : 'x';
		conf.hostname[i] = 0;
		typed(DHCP_DISCOVER);
		option_max(1500);
		answered();
		ok(has_no(DHCP_OPT_HOSTNAME) == (i > 253),
		   "a host name has 253 characters at most");
	}
	setup();
}

static void test_fqdn(void)
{
	strcpy(conf.fqdn, "box.example.org");
	typed(DHCP_DISCOVER);
	ok(answered() && has(DHCP_OPT_FQDN,
			     "\14\377\377\3box\7example\3org", 20),
	   "a FQDN is in labels, and the server updates no DNS");
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_FQDN, "\5\0\0\0", 4);
	asks_for("\1");
	ok(answered() && has(DHCP_OPT_FQDN,
			     "\16\377\377\3box\7example\3org", 20),
	   "a client that sends a FQDN learns that its wish was overridden");
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_FQDN, "\0\0\0me", 5);
	ok(answered() && has(DHCP_OPT_FQDN, "\10\377\377box.example.org", 18),
	   "a FQDN has the encoding of the client's");
	typed(DHCP_DISCOVER);
	asks_for("\1");
	ok(answered() && has_no(DHCP_OPT_FQDN),
	   "a FQDN is not sent without being asked for");
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_FQDN, "\0\0", 2);
	ok(!answered(), "a FQDN option of two bytes is malformed");
	setup();
}

static void test_routes(void)
{
	typed(DHCP_DISCOVER);
	ok(answered() && has_no(DHCP_OPT_ROUTES), "a near gateway needs no route");
	hostnet.ip4.prefix_len = 32;
	ok(answered() && has_addr(DHCP_OPT_ROUTER, GW) &&
	   has(DHCP_OPT_ROUTES, "\40\306\63\144\1\0\0\0\0\0\306\63\144\1", 14),
	   "/32: the gateway on the link, and a default route");
	ok(has_addr(DHCP_OPT_MASK, "255.255.255.255"),
	   "a host address has the mask of /32");
	hostnet.ip4.prefix_len = 24;
	hostnet.ip4.gw = addr("10.0.0.1");
	ok(answered() && has(DHCP_OPT_ROUTES,
			     "\40\12\0\0\1\0\0\0\0\0\12\0\0\1", 14),
	   "a gateway outside of the subnet has a route");
	typed(DHCP_DISCOVER);
	asks_for("\1\3");
	ok(answered() && has_no(DHCP_OPT_ROUTES),
	   "routes are sent only if they are asked for");
	hostnet.ip4.prefix_len = 0;
	typed(DHCP_DISCOVER);
	ok(answered() && has_addr(DHCP_OPT_MASK, "0.0.0.0") &&
	   has_no(DHCP_OPT_ROUTES),
	   "a prefix of /0 needs no route to a gateway");
	setup();
}

static void test_server(void)
{
	static const struct {
		const char *own, *gw, *map;
		uint8_t prefix_len;
		const char *server, *name;
	} t[] = {
		{ OWN, GW, NULL, 24, GW, "the server is the gateway" },
		{ OWN, GW, "192.0.2.9", 24, GW,
		  "the gateway goes before the host's loopback" },
		{ OWN, NULL, "192.0.2.9", 24, "192.0.2.9",
		  "without a gateway the address for the host's loopback serves" },
		{ OWN, NULL, NULL, 24, "198.51.100.1",
		  "without both the first address of the subnet serves" },
		{ GW, NULL, NULL, 24, "198.51.100.2",
		  "the second address serves if the guest has the first" },
		{ OWN, NULL, NULL, 32, "169.254.1.1",
		  "a host address has a link-local server" },
		{ OWN, NULL, NULL, 31, "169.254.1.1",
		  "a prefix of /31 has a link-local server" },
		{ OWN, NULL, NULL, 0, "169.254.1.1",
		  "a prefix of /0 has a link-local server" },
		{ OWN, OWN, NULL, 24, "198.51.100.1",
		  "the server is never the guest's address" },
	};

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		union inany want = addr(t[i].server), got;

		hostnet.ip4.addr = addr(t[i].own);
		hostnet.ip4.prefix_len = t[i].prefix_len;
		hostnet.ip4.gw = t[i].gw ? addr(t[i].gw) : (union inany){ 0 };
		hostnet.ip4.map_host_loopback =
			t[i].map ? addr(t[i].map) : (union inany){ 0 };
		got = dhcp_server(&hostnet);
		ok(inany_equals(&got, &want), t[i].name);
		typed(DHCP_DISCOVER);
		ok(answered() && has_addr(DHCP_OPT_SERVER, t[i].server) &&
		   inany_equals(&reply.src, &want),
		   "the server's identifier is the source address");
	}
	setup();
}

static void test_no_answer(void)
{
	static const uint8_t types[] = { 0, DHCP_OFFER, DHCP_DECLINE, DHCP_ACK,
					 DHCP_NAK, DHCP_RELEASE, 9, 255 };

	for (unsigned i = 0; i < sizeof(types); i++) {
		struct dhcp_msg *m = typed(types[i]);

		m->ciaddr = be(OWN);
		option_addr(DHCP_OPT_ADDR, OWN);
		option_addr(DHCP_OPT_SERVER, GW);
		ok(!answered(), "this type gets no answer");
	}
	conf.no_dhcp = true;
	typed(DHCP_DISCOVER);
	ok(!answered(), "with --no-dhcp there is no answer");
	setup();
	hostnet.ip4.enabled = false;
	ok(!answered(), "without IPv4 there is no answer");
	setup();
	hostnet.ip4.addr = (union inany){ 0 };
	ok(!answered(), "without an address there is no answer");
	setup();
	ok(answered(), "with the whole configuration there is an answer");
}

/* The header */
static void test_malformed(void)
{
	struct dhcp_msg *m;

	typed(DHCP_DISCOVER);
	body_len = 235;
	ok(!answered(), "a message cut short is dropped");
	body_len = 0;
	ok(!answered(), "an empty message is dropped");
	m = typed(DHCP_DISCOVER);
	m->op = DHCP_OP_REPLY;
	ok(!answered(), "a reply is dropped");
	m->op = 0;
	ok(!answered(), "an unknown op is dropped");
	m = typed(DHCP_DISCOVER);
	m->htype = 6;
	ok(!answered(), "a hardware type other than Ethernet is dropped");
	m = typed(DHCP_DISCOVER);
	m->hlen = 16;
	ok(!answered(), "a MAC address of 16 bytes is dropped");
	m->hlen = 0;
	ok(!answered(), "a message without a MAC address is dropped");
	m = typed(DHCP_DISCOVER);
	m->giaddr = be(GW);
	ok(!answered(), "a message from a relay is dropped");
	m = typed(DHCP_DISCOVER);
	m->chaddr[0] |= 1;
	ok(!answered(), "a group's MAC address is dropped");
	m = typed(DHCP_DISCOVER);
	memset(m->chaddr, 0, 6);
	ok(!answered(), "a MAC address of zeroes is dropped");
	m = typed(DHCP_INFORM);
	m->ciaddr = be("224.0.0.1");
	ok(!answered(), "an INFORM from a group is dropped");
	m->ciaddr = be("127.0.0.1");
	ok(!answered(), "an INFORM from loopback is dropped");
	m->ciaddr = be(GW);
	ok(!answered(), "an INFORM from our address is dropped");
	m->ciaddr = be("255.255.255.255");
	ok(!answered(), "an INFORM from broadcast is dropped");
	typed(DHCP_DISCOVER);
	pkt.src = addr("2001:db8::1");
	ok(!answered(), "a message over IPv6 is dropped");
}

static void test_malformed_options(void)
{
	static const struct { uint8_t code, len; const char *name; } t[] = {
		{ DHCP_OPT_TYPE, 1, "a message with two types is dropped" },
		{ DHCP_OPT_ADDR, 3, "an address of 3 bytes is malformed" },
		{ DHCP_OPT_ADDR, 8, "an address of 8 bytes is malformed" },
		{ DHCP_OPT_SERVER, 5, "a server of 5 bytes is malformed" },
		{ DHCP_OPT_MAX, 1, "a maximum size of one byte is malformed" },
		{ DHCP_OPT_MAX, 0,
		  "a maximum size without contents is malformed" },
		{ DHCP_OPT_LIST, 0, "an empty parameter list is malformed" },
		{ DHCP_OPT_CLIENT_ID, 0,
		  "an empty client identifier is malformed" },
		{ DHCP_OPT_OVERLOAD, 2,
		  "an overload of two bytes is malformed" },
		{ DHCP_OPT_OVERLOAD, 1,
		  "an overload of no field is malformed" },
	};
	static const uint8_t zero[255];

	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		typed(DHCP_DISCOVER);
		option(t[i].code, zero, t[i].len);
		ok(!answered(), t[i].name);
	}
	typed(DHCP_DISCOVER);
	option_of(DHCP_OPT_LIST, 200, zero, 4);
	ok(!answered(), "an option beyond the end is malformed");
	typed(DHCP_DISCOVER);
	option_of(DHCP_OPT_LIST, 5, zero, 4);
	ok(!answered(), "an option one byte beyond the end is malformed");
	typed(DHCP_DISCOVER);
	body[body_len++] = DHCP_OPT_LIST;
	ok(!answered(), "an option without a length is malformed");
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_CLIENT_ID, zero, 200);
	option(DHCP_OPT_CLIENT_ID, zero, 56);
	ok(!answered(), "a client identifier of 256 bytes is malformed");
	typed(DHCP_DISCOVER);
	option(DHCP_OPT_OVERLOAD, "\4", 1);
	ok(!answered(), "an overload with an unknown bit is malformed");
}

static void test_tolerated(void)
{
	struct dhcp_msg *m;
	uint8_t type = DHCP_DISCOVER;

	typed(DHCP_DISCOVER);
	ok(answered(), "a message without an end option is answered");
	body[body_len++] = DHCP_OPT_END;
	memset(body + body_len, 0x77, 20);
	body_len += 20;
	ok(answered(), "bytes behind the end option are ignored");
	message();
	body_len += 7;
	option(DHCP_OPT_TYPE, &type, 1);
	body_len += 3;
	asks_for("\1\3");
	ok(is_type(DHCP_OFFER),
	   "padding before and between options is skipped");
	are("53 1 3 51 54 58 59", "options behind padding are read");
	typed(DHCP_DISCOVER);
	option(200, "unknown", 7);
	ok(answered(), "unknown options are ignored");

	m = message();
	option(DHCP_OPT_OVERLOAD, "\3", 1);
	memcpy(m->file, "\65\1\3\377", 4);
	memcpy(m->sname, "\62\4\306\63\144\5", 6);
	ok(is_type(DHCP_ACK), "options in file and sname are read");
	memcpy(m->sname, "\62\100\306\63\144\5", 6);
	ok(!answered(), "options beyond file and sname are malformed");
	m = message();
	option(DHCP_OPT_OVERLOAD, "\1", 1);
	memset(m->file, 200, 128);
	m->file[127] = 1;
	ok(!answered(), "an option at the very end of sname is malformed");
}

int main(void)
{
	setup();
	test_offer();
	test_request();
	test_nak();
	test_rapid_commit();
	test_inform();
	test_bootp();
	test_broadcast();
	test_size();
	test_lists();
	test_client_id();
	test_search();
	test_names();
	test_fqdn();
	test_routes();
	test_server();
	test_no_answer();
	test_malformed();
	test_malformed_options();
	test_tolerated();
	return done();
}
