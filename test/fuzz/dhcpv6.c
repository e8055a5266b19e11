/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any DHCPv6 message: only valid ones are answered, and a parser that is stricter
 * than clients reads the answer
 *
 * Input: one byte that chooses the configuration, one that chooses destination and
 * source of the message, then the UDP payload.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dhcpv6.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {					/* of the first byte */
	NO_ADDR = 1, NO_DNS = 2, LONG_SEARCH = 4, NAME = 8, MANY_SERVERS = 16,
};
enum { UNICAST = 1, GLOBAL_SRC = 2 };	/* of the second */

static const uint8_t our_duid[] = {
	0, 3, 0, 1, 0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55 };
static struct conf conf;
static struct hostnet hostnet;
static struct dns dns;

/* Number of each option of a message, and contents of some */
struct dhcpv6_seen {
	unsigned client, server, na, ta, pd, status, rapid, dns, search, fqdn;
	unsigned preference, addr, oro;
	const uint8_t *client_data, *oro_data;
	size_t client_len, oro_len;
	int code;
};

static union inany addr(const char *s)
{
	union inany a;

	assert(inany_pton(s, &a));
	return a;
}

static void setup(uint8_t how)
{
	unsigned i;

	conf = (struct conf){ .our_mac = CONF_MAC_DEFAULT };
	hostnet = (struct hostnet){ 0 };
	hostnet.ip6.enabled = true;
	if (!(how & NO_ADDR))
		hostnet.ip6.addr = addr("2001:db8::5");
	hostnet.ip6.our_ll = addr("fe80::1");
	if (how & NAME)
		snprintf(conf.fqdn, sizeof(conf.fqdn), "guest.example.com");
	memset(&dns, 0, sizeof(dns));
	if (how & NO_DNS)
		return;
	dns.n6 = how & MANY_SERVERS ? CONF_DNS_MAX : 1;
	for (i = 0; i < dns.n6; i++)
		dns.ns6[i] = addr("2001:db8::53");
	dns.nsearch = how & LONG_SEARCH ? CONF_SEARCH_MAX : 2;
	for (i = 0; i < dns.nsearch; i++)
		snprintf(dns.search[i], CONF_NAME_LEN, "%0*u.example",
			 how & LONG_SEARCH ? 60 : 3, i);
}

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* Names consist of labels and end with the root; no byte follows the last name */
static void check_names(const uint8_t *p, size_t len)
{
	size_t name = 0;

	assert(len);
	while (len) {
		size_t label = *p;

		assert(label < 64 && label + 1 <= len);
		name += label + 1;
		assert(name <= 255);
		if (!label)
			name = 0;
		p += label + 1;
		len -= label + 1;
	}
	assert(!name);
}

static void check_status(struct dhcpv6_seen *s, const uint8_t *p, size_t len)
{
	assert(len >= 2 && !s->status);
	s->status++;
	s->code = (int)get16(p);
}

/* Our address is valid for ever, any other address has ended */
static void check_address(struct dhcpv6_seen *s, const uint8_t *p, size_t len)
{
	bool ours = !memcmp(p, &hostnet.ip6.addr, 16);

	assert(len == 24 && get32(p + 16) == get32(p + 20));
	assert(get32(p + 16) == (ours && inany_is_set(&hostnet.ip6.addr) ?
				 UINT32_MAX : 0));
	s->addr += get32(p + 16) != 0;
}

static void check_ia(struct dhcpv6_seen *all, unsigned code, const uint8_t *p,
		     size_t len)
{
	size_t fixed = code == DHCP6_OPT_IA_TA ? 4 : 12;
	struct dhcpv6_seen s = { 0 };

	assert(len >= fixed);
	for (p += fixed, len -= fixed; len; ) {
		size_t n;

		assert(len >= 4);
		n = get16(p + 2);
		assert(n <= len - 4);
		if (get16(p) == DHCP6_OPT_IAADDR)
			check_address(&s, p + 4, n);
		else if (get16(p) == DHCP6_OPT_STATUS)
			check_status(&s, p + 4, n);
		else
			assert(!"unknown option in an IA");
		p += 4 + n;
		len -= 4 + n;
	}
	assert(s.addr + s.status == 1);
	assert(!s.status || s.code == DHCP6_NO_ADDRS ||
	       s.code == DHCP6_NOT_ON_LINK || s.code == DHCP6_NO_PREFIX);
	all->addr += s.addr;
}

static void check_option(struct dhcpv6_seen *s, unsigned code, const uint8_t *p,
			 size_t len)
{
	switch (code) {
	case DHCP6_OPT_CLIENTID:
		s->client++;
		s->client_data = p;
		s->client_len = len;
		break;
	case DHCP6_OPT_SERVERID:
		s->server++;
		assert(len == sizeof(our_duid) && !memcmp(p, our_duid, len));
		break;
	case DHCP6_OPT_IA_NA:
		s->na++;
		check_ia(s, code, p, len);
		break;
	case DHCP6_OPT_IA_TA:
		s->ta++;
		check_ia(s, code, p, len);
		break;
	case DHCP6_OPT_IA_PD:
		s->pd++;
		check_ia(s, code, p, len);
		break;
	case DHCP6_OPT_STATUS:
		check_status(s, p, len);
		break;
	case DHCP6_OPT_RAPID_COMMIT:
		s->rapid++;
		assert(!len);
		break;
	case DHCP6_OPT_PREFERENCE:
		s->preference++;
		assert(len == 1);
		break;
	case DHCP6_OPT_DNS:
		s->dns++;
		assert(len && !(len % 16));
		break;
	case DHCP6_OPT_SEARCH:
		s->search++;
		check_names(p, len);
		break;
	case DHCP6_OPT_FQDN:
		s->fqdn++;
		assert(len > 1 && (p[0] & ~2) == 4);
		check_names(p + 1, len - 1);
		break;
	default:
		assert(!"an option that nobody asked for");
	}
}

static struct dhcpv6_seen check_reply(const struct datagram *r)
{
	const uint8_t *p = r->data + 4;
	struct dhcpv6_seen s = { 0 };
	size_t rem;

	assert(r->len >= 4 && r->len <= 1232);
	assert(r->sport == 547 && r->dport == 546);
	for (rem = r->len - 4; rem; ) {
		size_t n;

		assert(rem >= 4);
		n = get16(p + 2);
		assert(n <= rem - 4);
		check_option(&s, get16(p), p + 4, n);
		p += 4 + n;
		rem -= 4 + n;
	}
	assert(s.server == 1 && s.client <= 1 && s.status <= 1);
	assert(s.rapid <= 1 && s.dns <= 1 && s.search <= 1 && s.fqdn <= 1);
	assert(s.addr <= 1);
	return s;
}

/* Read the options of the request, which must be complete if there was a reply */
static struct dhcpv6_seen request_seen(const uint8_t *p, size_t len)
{
	struct dhcpv6_seen s = { 0 };

	assert(len >= 4);
	for (p += 4, len -= 4; len; ) {
		unsigned code;
		size_t n;

		assert(len >= 4);
		code = get16(p);
		n = get16(p + 2);
		assert(n <= len - 4);
		if (code == DHCP6_OPT_CLIENTID) {
			s.client++;
			s.client_data = p + 4;
			s.client_len = n;
		} else if (code == DHCP6_OPT_ORO) {
			s.oro_data = p + 4;
			s.oro_len = n;
		}
		s.server += code == DHCP6_OPT_SERVERID;
		s.na += code == DHCP6_OPT_IA_NA;
		s.ta += code == DHCP6_OPT_IA_TA;
		s.pd += code == DHCP6_OPT_IA_PD;
		s.rapid += code == DHCP6_OPT_RAPID_COMMIT;
		s.fqdn += code == DHCP6_OPT_FQDN;
		p += 4 + n;
		len -= 4 + n;
	}
	return s;
}

static bool wants(const struct dhcpv6_seen *q, unsigned code)
{
	size_t i;

	for (i = 0; i + 2 <= q->oro_len; i += 2)
		if (get16(q->oro_data + i) == code)
			return true;
	return false;
}

/* Check the reply against the message */
static void check_pair(const uint8_t *msg, size_t len, const struct datagram *r,
		       bool unicast)
{
	struct dhcpv6_seen q = request_seen(msg, len), s = check_reply(r);
	uint8_t type = msg[0];

	assert(!memcmp(msg + 1, r->data + 1, 3));
	assert(s.client == q.client);
	assert(!q.client || (s.client_len == q.client_len &&
			     !memcmp(s.client_data, q.client_data,
				     q.client_len)));
	assert(q.client == 1 || type == DHCP6_INFO_REQUEST);
	assert(r->data[0] == DHCP6_REPLY || type == DHCP6_SOLICIT);
	if (unicast) {
		assert(s.code == DHCP6_USE_MULTICAST && !s.na && q.server);
		return;
	}
	assert(!s.dns || wants(&q, DHCP6_OPT_DNS));
	assert(!s.search || wants(&q, DHCP6_OPT_SEARCH));
	assert(!s.fqdn || q.fqdn || wants(&q, DHCP6_OPT_FQDN));
	assert(!s.rapid || (q.rapid && type == DHCP6_SOLICIT && s.addr));
	switch (type) {
	case DHCP6_SOLICIT:
		assert((r->data[0] == DHCP6_REPLY) == s.rapid);
		/* fall through */
	case DHCP6_REBIND:
		assert(!q.server);
		/* fall through */
	case DHCP6_REQUEST:
	case DHCP6_RENEW:
		assert(s.na == q.na && s.ta == q.ta && s.pd == q.pd);
		assert(!s.status);
		break;
	case DHCP6_CONFIRM:
		assert(q.na + q.ta);
		/* fall through */
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
		assert(s.status && !s.na && !s.ta && !s.pd);
		break;
	default:
		assert(type == DHCP6_INFO_REQUEST && !q.na && !q.ta && !q.pd);
	}
}

/* We don't answer our own replies */
static void check_silent(const struct pkt *q, const struct datagram *r)
{
	struct pkt p = *q;
	struct datagram again;

	p.payload = view_of(r->data, r->len);
	assert(!dhcpv6_reply(&conf, &hostnet, &dns, &p, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pkt p = { .kind = PKT_UDP, .proto = IPPROTO_UDP };
	struct datagram r;
	uint8_t *msg;
	size_t len = size - 2;

	if (size < 2 || size > 65536)
		return 0;
	setup(data[0]);
	p.src = addr(data[1] & GLOBAL_SRC ? "2001:db8::5" : "fe80::5");
	p.dst = addr(data[1] & UNICAST ? "fe80::1" : "ff02::1:2");
	/* Memory of its own, so that a sanitizer sees its end */
	msg = malloc(len ? len : 1);
	if (!msg)
		return 0;
	memcpy(msg, data + 2, len);
	p.payload = view_of(msg, len);
	if (dhcpv6_reply(&conf, &hostnet, &dns, &p, &r)) {
		assert(inany_equals(&r.dst, &p.src));
		check_pair(msg, len, &r, data[1] & UNICAST);
		check_silent(&p, &r);
	}
	free(msg);
	return 0;
}
