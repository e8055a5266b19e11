/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fragments in order and not, whole and contradicting each other */

#include "frag.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "fake_tap.h"
#include "frame.h"
#include "tap.h"

#define LEN	4000

static struct fake_tap fake;
static struct frag_pool pool;
static uint8_t data[65535];
static struct pkt frag[FAKE_FRAMES];
static unsigned n;
static union inany src[2], dst[2];	/* IPv6, IPv4 */

/* A datagram of @len bytes as fragments of at most @mtu, in frag[0] to [n - 1] */
static void cut(bool v4, size_t len, unsigned mtu)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct frame_addr a = { .dst_mac = mac, .src_mac = mac,
				.src = &src[v4], .dst = &dst[v4], .ttl = 7 };
	uint32_t id = fake.tap.frag_id;
	unsigned i;

	fake_tap_init(&fake, 0, mtu);
	fake.tap.frag_id = id;
	frame_send_udp(&fake.tap, &a, 1000, 2000, data, len);
	n = fake.n;
	for (i = 0; i < n; i++)
		if (fake_parse(&frag[i], fake.sent[i].b, fake.sent[i].len, NULL))
			printf("# fragment %u is refused\n", i);
}

static bool is_whole(const struct pkt *p, size_t len)
{
	return p && p->kind == PKT_UDP && p->payload.len == len &&
	       ntohs(p->udp.sport) == 1000 && p->ttl == 7 &&
	       !memcmp(p->payload.p, data, len);
}

/* Number of datagrams that came out, the last of them whole */
static unsigned feed(const unsigned *order, unsigned count, uint64_t now_ms)
{
	unsigned i, out = 0;

	for (i = 0; i < count; i++) {
		const struct pkt *p = frag_add(&pool, &frag[order[i]], now_ms);

		if (p)
			out += is_whole(p, LEN) ? 1 : 100;
	}
	return out;
}

#define FEED(now, ...) \
	feed((const unsigned[]){ __VA_ARGS__ }, \
	     sizeof((const unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned), now)

static void test_orders(bool v4)
{
	cut(v4, LEN, 1280);
	is(n, 4, "a large datagram is cut into four fragments");
	is(FEED(0, 0, 1, 2, 3), 1, "fragments may come in order");
	is(FEED(0, 3, 2, 1, 0), 1, "fragments may come in reverse order");
	is(FEED(0, 1, 1, 3, 0, 0, 2), 1, "copies of fragments are ignored");
	is(FEED(0, 1, 2, 3), 0,
	   "without the first fragment there is no packet");
	is(FEED(0, 0), 1, "the first fragment may come last");
	is(FEED(0, 0, 1, 2), 0, "without the last fragment there is no packet");
	is(FEED(FRAG_TIMEOUT_MS, 3), 0,
	   "a fragment after the time limit completes nothing");
	is(FEED(FRAG_TIMEOUT_MS, 0, 1, 2), 1,
	   "a fragment after the time limit begins a new datagram");
}

static void test_quote(bool v4)
{
	const struct pkt *p;
	struct pkt again;

	cut(v4, 2000, 1280);
	frag_add(&pool, &frag[1], 0);
	p = frag_add(&pool, &frag[0], 0);
	ok(is_whole(p, 2000), "two fragments of odd sizes are put together");
	is(p->l3.len, 2000 + 8 + (v4 ? 20 : 40), "the packet can be quoted");
	again = *p;
	again.proto = v4 ? p->l3.p[9] : p->l3.p[6];
	ok(again.proto == IPPROTO_UDP &&
	   p->l3.p[0] >> 4 == (v4 ? 4 : 6) && p->payload.p - p->l3.p ==
	   (v4 ? 28 : 48),
	   "headers are as if the packet had come in one piece");
}

static void test_overlap(bool v4)
{
	uint64_t dropped = pool.dropped;
	struct pkt f;

	cut(v4, LEN, 1280);
	f = frag[1];
	f.frag_off += 8;
	FEED(0, 0, 1);
	ok(!frag_add(&pool, &f, 0), "an overlapping fragment gives no packet");
	is(FEED(0, 2, 3), 0, "an overlapping fragment drops the datagram");
	is(pool.dropped, dropped + 1, "a dropped datagram is counted once");
	is(FEED(10, 0, 1, 2, 3), 0,
	   "later fragments of a dropped datagram are dropped");
	is(FEED(FRAG_TIMEOUT_MS, 0, 1, 2, 3), 1,
	   "a dropped datagram is forgotten after a while");

	cut(v4, LEN, 1280);
	f = frag[1];
	/* Other bytes at the same place */
	f.payload = view_of(data + 1, f.payload.len);
	FEED(0, 0, 1);
	ok(!frag_add(&pool, &f, 0), "a copy with other bytes gives no packet");
	is(FEED(0, 2, 3), 0, "a copy with other bytes drops the datagram");
}

static void test_ends(void)
{
	struct pkt f;

	cut(true, LEN, 1280);
	f = frag[3];
	f.frag_off += 8;
	FEED(0, 3);
	frag_add(&pool, &f, 0);
	is(FEED(0, 0, 1, 2), 0, "a second end is an error");

	cut(true, LEN, 1280);
	f = frag[3];
	f.frag_off = frag[1].frag_off;
	FEED(0, 2);
	frag_add(&pool, &f, 0);
	is(FEED(0, 0, 1, 3), 0, "an end before known bytes is an error");

	cut(true, LEN, 1280);
	f = frag[2];
	f.frag_off = frag[3].frag_off + 8;
	FEED(0, 3);
	frag_add(&pool, &f, 0);
	is(FEED(0, 0, 1, 2), 0, "bytes behind the end are an error");

	cut(true, LEN, 1280);
	f = frag[3];
	f.frag_off = 65528;
	view_cut(&f.payload, 7);
	ok(!frag_add(&pool, &f, 0),
	   "an end beyond the largest packet is an error");
	is(FEED(0, 0, 1, 2, 3), 0,
	   "an end beyond the largest packet drops the datagram");

	cut(true, LEN, 1280);
	f = frag[0];
	f.proto = IPPROTO_TCP;
	view_cut(&f.payload, 16);
	ok(!frag_add(&pool, &f, 0),
	   "a first fragment without all of the TCP header is dropped");
}

static void test_wrong_sum(void)
{
	uint8_t b[2000];
	struct pkt f;

	cut(true, LEN, 1280);
	f = frag[2];
	view_copy(f.payload, 0, b, f.payload.len);
	b[0] ^= 1;
	f.payload = view_of(b, f.payload.len);
	FEED(0, 0, 1, 3);
	ok(!frag_add(&pool, &f, 0),
	   "the whole packet is checked like any other");
}

static void test_many(void)
{
	struct pkt first, last;
	unsigned i, whole = 0;

	cut(true, 2000, 1280);
	first = frag[0];
	last = frag[1];
	for (i = 0; i < FRAG_DATAGRAMS + 1; i++) {
		first.frag_id = 1000 + i;
		frag_add(&pool, &first, 20000 + i);
	}
	for (i = 1; i < FRAG_DATAGRAMS + 1; i++) {
		last.frag_id = 1000 + i;
		whole += is_whole(frag_add(&pool, &last, 20100), 2000);
	}
	is(whole, FRAG_DATAGRAMS,
	   "as many datagrams as there is room for are kept");
	last.frag_id = 1000;
	ok(!frag_add(&pool, &last, 20100), "the oldest datagram makes room");
}

static void test_largest(bool v4)
{
	size_t len = v4 ? 65507 : 65527;
	const struct pkt *p = NULL;
	unsigned i;

	cut(v4, len, 1280);
	for (i = 0; i < n; i++)
		p = frag_add(&pool, &frag[i], 30000);
	ok(is_whole(p, len), "the largest datagram is put together");
}

int main(void)
{
	unsigned i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	inany_pton("198.51.100.5", &src[1]);
	inany_pton("203.0.113.9", &dst[1]);
	inany_pton("2001:db8::5", &src[0]);
	inany_pton("2001:db8::9", &dst[0]);

	for (i = 0; i < 2; i++) {
		test_orders(i);
		test_quote(i);
		test_overlap(i);
		test_largest(i);
	}
	test_ends();
	test_wrong_sum();
	test_many();
	return done();
}
