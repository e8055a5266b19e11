/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any ICMPv6 message: an answer is a valid frame that would have passed the checks
 * of the other side, and it gets no answer itself
 *
 * Input: a frame; its checksum is not verified. The last byte of its source MAC
 * address chooses the configuration.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fake_tap.h"
#include "frame.h"
#include "fwd.h"
#include "ndp.h"
#include "packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_tap fake;
static struct conf conf;
static struct hostnet hostnet;
static struct guest guest;
static struct dns dns;

/* Four bits of @how choose the servers, the others the search list */
static void setup(uint8_t how)
{
	unsigned i;

	memset(&dns, 0, sizeof(dns));
	dns.n6 = how % 16 % (CONF_DNS_MAX + 1);
	for (i = 0; i < dns.n6; i++)
		inany_pton("2001:db8::53", &dns.ns6[i]);
	dns.nsearch = (how / 16 * 3U) % (CONF_SEARCH_MAX + 1);
	for (i = 0; i < dns.nsearch; i++)
		snprintf(dns.search[i], CONF_NAME_LEN, "%0*u.example",
			 (int)(1 + how % 7 * 9), i);
	hostnet.ip6.enabled = true;
	hostnet.mtu = 1500;
	inany_pton("2001:db8::5", &hostnet.ip6.addr);
	inany_pton("2001:db8::1", &hostnet.ip6.gw);
	inany_pton("fe80::1", &hostnet.ip6.our_ll);
	inany_pton("fe80::5", &guest.addr6_ll);
}

/* RFC 8106, 5.2: names, padded with zeroes to a multiple of 8 bytes */
static void check_names(const uint8_t *p, size_t len)
{
	unsigned names = 0;

	while (len && *p) {
		while (*p) {
			assert(*p < 64 && *p + 1U < len);
			len -= *p + 1U;
			p += *p + 1U;
		}
		p++;
		len--;
		names++;
	}
	assert(names && len < 8);
	while (len--)
		assert(!*p++);
}

static void check_option(const uint8_t *p, size_t len)
{
	switch (p[0]) {
	case NDP_OPT_SLLA:
	case NDP_OPT_TLLA:
	case NDP_OPT_MTU:
		assert(len == 8);
		break;
	case NDP_OPT_PREFIX:
		assert(len == 32);
		break;
	case NDP_OPT_RDNSS:
		assert(len == 8 + dns.n6 * 16 && dns.n6);
		break;
	case NDP_OPT_DNSSL:
		assert(dns.nsearch);
		check_names(p + 8, len - 8);
		break;
	default:
		assert(!"unknown option");
	}
}

/* All options have a length, and they end where the message does */
static void check_options(const uint8_t *p, size_t len)
{
	while (len) {
		assert(len >= 2 && p[1] && p[1] * 8U <= len);
		check_option(p, p[1] * 8U);
		len -= p[1] * 8U;
		p += p[1] * 8U;
	}
}

static void check_reply(const struct pkt *q, const struct ndp_reply *r)
{
	struct pkt p, second;
	struct ndp_reply again;

	assert(!fake_parse(&p, fake.sent[0].b, fake.sent[0].len, NULL));
	assert(p.kind == PKT_ICMP6 && p.ttl == 255 && !p.icmp.code);
	assert(inany_equals(&p.dst, &r->dst) && !inany_is_v4(&p.src));
	if (q->icmp.type == NDP_NS) {
		assert(p.icmp.type == NDP_NA && p.payload.len >= 16);
		assert(!memcmp(p.payload.p, q->payload.p, 16));
		assert(!fwd_is_guests(&hostnet, &guest, &p.src));
		check_options(p.payload.p + 16, p.payload.len - 16);
	} else {
		assert(q->icmp.type == NDP_RS);
		assert(p.icmp.type == NDP_RA && p.payload.len >= 8);
		assert(inany_is_linklocal(&p.src));
		check_options(p.payload.p + 8, p.payload.len - 8);
	}
	second = p;
	assert(!ndp_reply(&conf, &hostnet, &guest, &dns, &second, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rx_offload off = { .csum_partial = true };
	struct ndp_reply r;
	uint8_t *frame;
	struct pkt p;

	if (size > 65536)
		return 0;
	setup(size < 12 ? 0 : data[11]);
	/* Memory of its own, so that a sanitizer sees its end */
	frame = malloc(size ? size : 1);
	if (!frame)
		return 0;
	memcpy(frame, data, size);
	if (!fake_parse(&p, frame, size, &off) && p.kind == PKT_ICMP6 &&
	    ndp_reply(&conf, &hostnet, &guest, &dns, &p, &r)) {
		struct frame_addr a = {
			.dst_mac = r.dst_mac, .src_mac = conf.our_mac,
			.src = &r.src, .dst = &r.dst, .ttl = NDP_HOP_LIMIT,
		};

		fake_tap_init(&fake, 0, 1500);
		assert(r.len <= NDP_REPLY_MAX);
		assert(frame_send_l4(&fake.tap, &a, IPPROTO_ICMPV6, r.msg,
				     r.len, 2));
		check_reply(&p, &r);
	}
	free(frame);
	return 0;
}
