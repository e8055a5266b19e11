/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any DHCP message: only requests are answered, and the answer is a message that a
 * strict client accepts, no longer than the client allows
 *
 * Input: a byte that selects the configuration (CONF_*), and the message.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	CONF_NO_GW = 1, CONF_FAR_GW = 2, CONF_HOST_ROUTE = 4, CONF_NAMES = 8,
	CONF_MANY = 16, CONF_SMALL_MTU = 32, CONF_NO_MTU = 64,
	CONF_UNICAST = 128,
};

#define MTU_SMALL	400

static struct conf conf;
static struct hostnet hostnet;
static struct dns dns;

static void setup(uint8_t bits)
{
	static const char text[] = "a-label-that-is-not-short.example.org";

	hostnet.ip4.enabled = true;
	hostnet.mtu = bits & CONF_NO_MTU ? 0 :
		   bits & CONF_SMALL_MTU ? MTU_SMALL : 1500;
	inany_pton("198.51.100.5", &hostnet.ip4.addr);
	hostnet.ip4.prefix_len = bits & CONF_HOST_ROUTE ? 32 : 24;
	hostnet.ip4.gw = (union inany){ 0 };
	if (!(bits & CONF_NO_GW))
		inany_pton(bits & CONF_FAR_GW ? "10.0.0.1" : "198.51.100.1",
			   &hostnet.ip4.gw);
	strcpy(conf.hostname, bits & CONF_NAMES ? "box" : "");
	strcpy(conf.fqdn, bits & CONF_NAMES ? "box.example.org" : "");
	dns.n4 = bits & CONF_MANY ? CONF_DNS_MAX : 1;
	dns.nsearch = bits & CONF_MANY ? CONF_SEARCH_MAX : 1;
	for (unsigned i = 0; i < CONF_DNS_MAX; i++)
		inany_pton("192.0.2.53", &dns.ns4[i]);
	for (unsigned i = 0; i < CONF_SEARCH_MAX; i++)
		memcpy(dns.search[i], text, sizeof(text));
}

/* Options of one kind, joined: RFC 3396 */
struct dhcp_seen {
	unsigned n;
	size_t len;
	uint8_t b[4];
};

/* Strict: everything ends inside */
static bool walk(const uint8_t *p, const uint8_t *end, struct dhcp_seen s[256])
{
	for (; p < end && *p != 255; p++) {
		if (!*p)
			continue;
		if (end - p < 2 || end - p - 2 < p[1])
			return false;
		s[*p].n++;
		for (unsigned i = 0; i < p[1]; i++, s[*p].len++)
			if (s[*p].len < 4)
				s[*p].b[s[*p].len] = p[2 + i];
		p += 1 + p[1];
	}
	return true;
}

/* Is this a request by RFC 951 and 2131? @s: filled in with its options */
static bool is_request(const uint8_t *m, size_t len, struct dhcp_seen s[256])
{
	static const uint8_t zero[6], cookie[4] = { 99, 130, 83, 99 };

	if (len < 236 || m[0] != 1 || m[1] != 1 || m[2] != 6 ||
	    memcmp(m + 24, zero, 4) || m[28] & 1 || !memcmp(m + 28, zero, 6))
		return false;
	if (len < 240 || memcmp(m + 236, cookie, 4))
		return true;
	if (!walk(m + 240, m + len, s))
		return false;
	if (s[52].n) {
		uint8_t fields = s[52].b[0];

		if (s[52].len != 1 || !fields || fields > 3)
			return false;
		if (fields & 1 && !walk(m + 108, m + 236, s))
			return false;
		if (fields & 2 && !walk(m + 44, m + 108, s))
			return false;
	}
	return (!s[53].n || (s[53].len == 1 &&
			     (s[53].b[0] == 1 || s[53].b[0] == 3 ||
			      s[53].b[0] == 8))) &&
	       (!s[50].n || s[50].len == 4) && (!s[54].n || s[54].len == 4) &&
	       (!s[57].n || s[57].len == 2) && s[61].len <= 255;
}

/* Largest message that the client accepts, bytes of UDP payload */
static size_t limit(size_t len, const struct dhcp_seen s[256])
{
	size_t max = 576;

	if (s[57].n && s[53].n &&
	    (size_t)(s[57].b[0] << 8 | s[57].b[1]) > max)
		max = (size_t)(s[57].b[0] << 8 | s[57].b[1]);
	if (!s[53].n && len + 28 < max)
		max = len + 28;
	if (hostnet.mtu && max > hostnet.mtu)
		max = hostnet.mtu;
	if (max > 1500)
		max = 1500;
	return max < 328 ? 300 : max - 28;
}

/* The type is first, then numbers ascend; only a long option has several parts */
static void check_order(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *start = p;
	int last = 0;

	for (; p < end && *p != 255; p += 2 + p[1]) {
		assert(*p);
		if (*p == 53) {
			assert(p == start);
			continue;
		}
		assert(*p > last || (*p == last && *p == 119));
		last = *p;
	}
	assert(p < end);
	while (++p < end)
		assert(!*p);
}

/* Names end with the root, there are no pointers, and no byte is left over */
static void check_labels(const uint8_t *p, size_t len)
{
	size_t label;

	assert(len);
	while (len) {
		do {
			label = *p;
			assert(label < 64 && label < len);
			p += label + 1;
			len -= label + 1;
		} while (label);
	}
}

static void check_options(const struct dhcp_seen qs[256], const struct datagram *r)
{
	static const uint8_t fixed[][2] = { { 1, 4 }, { 3, 4 }, { 26, 2 },
		{ 51, 4 }, { 53, 1 }, { 54, 4 }, { 58, 4 }, { 59, 4 } };
	struct dhcp_seen s[256] = { 0 };
	uint8_t joined[1472];
	size_t len = 0;
	const uint8_t *p = r->data + 240, *end = r->data + r->len;

	check_order(p, end);
	assert(walk(p, end, s));
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		assert(!s[fixed[i][0]].n ||
		       s[fixed[i][0]].len == fixed[i][1]);
	assert(s[6].len % 4 == 0 && (!s[6].n || s[6].len));
	assert(!s[53].n == !qs[53].n && !s[54].n == !qs[53].n);
	if (qs[53].n) {
		uint8_t from = qs[53].b[0], to = s[53].b[0];

		assert(from == 1 ? to == (qs[80].n ? 5 : 2) :
		       from == 3 ? to == 5 || to == 6 : to == 5);
		assert(!s[51].n == (to == 6 || from == 8));
		assert(s[80].n == (from == 1 && to == 5));
		assert(s[61].len == qs[61].len ||
		       (hostnet.mtu == MTU_SMALL && !s[61].n));
	} else {
		assert(!s[51].n && !s[61].n && !s[80].n);
	}
	for (; *p != 255; p += 2 + p[1]) {
		if (*p == 119) {
			memcpy(joined + len, p + 2, p[1]);
			len += p[1];
		}
	}
	if (s[119].n)
		check_labels(joined, len);
}

static void check_reply(const uint8_t *q, size_t len, const struct datagram *r)
{
	static const uint8_t own[4] = { 198, 51, 100, 5 }, zero[202];
	struct dhcp_seen s[256] = { 0 };

	assert(is_request(q, len, s));
	assert(r->len >= 300 && r->len <= limit(len, s));
	assert(r->sport == 67 && r->dport == 68 && inany_is_unicast(&r->src));
	assert(!inany_equals(&r->src, &hostnet.ip4.addr));
	assert(inany_is_v4(&r->dst) && !inany_is_loopback(&r->dst) &&
	       !inany_is_multicast(&r->dst) && !inany_is_unspecified(&r->dst));
	assert(r->dst_mac[0] == 0xff ? r->dst.v4mapped.a4.s_addr == 0xffffffff :
	       !memcmp(r->dst_mac, q + 28, 6));

	assert(r->data[0] == 2 && r->data[1] == 1 && r->data[2] == 6);
	assert(!memcmp(r->data + 4, q + 4, 4));		/* xid */
	assert(!memcmp(r->data + 16, own, 4) || !memcmp(r->data + 16, zero, 4));
	assert(!memcmp(r->data + 28, q + 28, 6));	/* chaddr */
	assert(!memcmp(r->data + 34, zero, 202));	/* sname, file */
	if (r->data[236])
		check_options(s, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pkt p = { .kind = PKT_UDP, .proto = IPPROTO_UDP };
	static struct datagram r, again;
	uint8_t *msg;
	size_t len = size - 1;

	if (!size || size > 65536)
		return 0;
	setup(data[0]);
	/* Memory of its own, so that a sanitizer sees its end */
	msg = malloc(len ? len : 1);
	if (!msg)
		return 0;
	memcpy(msg, data + 1, len);
	p.payload = view_of(msg, len);
	inany_pton(data[0] & CONF_UNICAST ? "198.51.100.5" : "0.0.0.0", &p.src);
	inany_pton("255.255.255.255", &p.dst);
	if (dhcp_reply(&conf, &hostnet, &dns, &p, &r)) {
		check_reply(msg, len, &r);
		assert(dhcp_reply(&conf, &hostnet, &dns, &p, &again) == r.len &&
		       !memcmp(r.data, again.data, r.len));
		p.payload = view_of(r.data, r.len);
		assert(!dhcp_reply(&conf, &hostnet, &dns, &p, &again) &&
		       !again.len);
	}
	free(msg);
	return 0;
}
