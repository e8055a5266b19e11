/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The flow table: entries, generations, a hash that loses nothing, and shares */

#include "flow.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

#define SOME		2000U
#define ROUNDS		60000

static struct flow_table t;
static struct loop l;

static struct flow *evicted;		/* the last one */
static unsigned nevicted;

static uint64_t rnd_state = 88172645463325252ULL;

static uint32_t rnd(uint32_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (rnd_state >> 20) % below;
}

static void evict(void *ctx, struct flow *f)
{
	(void)ctx;
	evicted = f;
	nevicted++;
	flow_free(&t, &l, f);
}

static unsigned events, timers, event_side;	/* reported */
static struct flow *unfinished;

static void on_event(void *ctx, struct flow *f, unsigned side, uint32_t ev)
{
	ok(ctx == &t && f == &t.flow[0], "an event gets to the module of its flow");
	event_side = side;
	events = ev;
}

static void on_timer(void *ctx, struct flow *f)
{
	timers += ctx == &t && f == &t.flow[0];
}

static bool is_unfinished(const struct flow *f)
{
	return f == unfinished;
}

static const struct flow_ops ops[REF_FLOW_KINDS] = {
	[REF_TCP] = { .evict = evict },
	[REF_ICMP] = { &t, on_event, on_timer, evict, is_unfinished },
};

static void reset(void)
{
	static const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

	memset(&t, 0, sizeof(t));
	flow_init(&t, key);
	t.ops = ops;
	evicted = NULL;
	nevicted = 0;
	wheel_init(&l.wheel, 1000);
}

/* Side number @n, a different one for each number */
static struct flowside side_of(uint32_t n)
{
	struct in_addr o = { htonl(0xc6336401) }, e = { htonl(0xcb007100) };
	struct flowside s;

	o.s_addr ^= htonl(n >> 24);
	e.s_addr |= htonl(n >> 16 & 0xff);
	s.oaddr = inany_from_v4(o);
	s.eaddr = inany_from_v4(e);
	s.oport = 80;
	s.eport = n;
	return s;
}

static enum flow_class class_of(uint8_t proto)
{
	return proto == IPPROTO_TCP ? FLOW_STREAM :
	       proto == IPPROTO_UDP ? FLOW_DATAGRAM : FLOW_ECHO;
}

/* A flow that nothing finds, with @fds descriptors */
static struct flow *with_fds(uint8_t proto, unsigned fds, uint64_t now_ms)
{
	return flow_start(&t, &(struct flow_spec){
		.proto = proto, .class = class_of(proto), .fds = fds,
	}, now_ms);
}

static struct flow *take(uint8_t proto)
{
	return with_fds(proto, 0, 0);
}

/* A flow whose initiating side has number @n, and the other one @other */
static struct flow *between(uint8_t proto, uint32_t n, uint8_t pif,
			    uint32_t other, unsigned find)
{
	return flow_start(&t, &(struct flow_spec){
		.kind = REF_ICMP, .proto = proto, .class = class_of(proto),
		.pif = { pif, PIF_HOST }, .find = find,
		.side = { side_of(n), side_of(other) },
	}, 0);
}

static struct flow *make(uint8_t proto, uint32_t n, uint8_t pif)
{
	return between(proto, n, pif, 0, FLOW_INI);
}

static struct flow *find(uint8_t proto, uint32_t n, uint8_t pif)
{
	struct flowside s = side_of(n);

	return flow_lookup(&t, proto, pif, &s, NULL);
}

static void entries(void)
{
	struct flow *a, *b, *c;
	unsigned i, dirty = 0;
	uint32_t index, gen;

	reset();
	ok(!flow_at(&t, 0), "an empty table has no flow 0");
	a = take(IPPROTO_TCP);
	b = take(IPPROTO_UDP);
	ok(a && b && a != b, "two flows are two entries");
	is(t.count, 2, "two flows are counted");
	ok(flow_at(&t, flow_index(&t, b)) == b, "a flow is found by its index");
	ok(!flow_at(&t, 2) && !flow_at(&t, FLOW_MAX) && !flow_at(&t, FLOW_NONE),
	   "no other index is a flow");

	memset(b->priv, 0xaa, sizeof(b->priv));
	index = flow_index(&t, b);
	gen = b->timer.ref.gen;
	flow_free(&t, &l, b);
	is(t.count, 1, "a flow that ended is not counted");
	ok(!flow_at(&t, index), "a flow that ended is not found by its index");
	c = take(IPPROTO_TCP);
	is(flow_index(&t, c), index,
	   "the entry of a flow that ended is used again");
	ok(c->timer.ref.gen != gen, "a reused entry has another generation");
	for (i = 0; i < sizeof(c->priv); i++)
		dirty += c->priv[i];
	ok(!dirty && !c->hashed && !timer_armed(&c->timer),
	   "a reused entry is clean");
	ok(!c->list, "a reused entry is on no list");

	wheel_arm(&l.wheel, &c->timer, 2000);
	flow_free(&t, &l, c);
	is(wheel_next(&l.wheel), -1, "the timer of a flow ends with it");
}

static void references(void)
{
	union epoll_ref ref, other;
	struct flow *a;

	reset();
	take(IPPROTO_TCP);
	a = make(IPPROTO_ICMP, 7, PIF_TAP);
	ref = flow_ref(a, TGT);
	is(ref.kind, REF_ICMP, "a reference tells the kind of its flow");
	is(ref.side, TGT, "a reference tells the side of its flow");
	ok(flow_from_ref(&t, ref) == a, "a reference gives the flow back");
	other = ref;
	other.gen++;
	ok(!flow_from_ref(&t, other),
	   "a reference of another generation is refused");
	other = ref;
	other.index = (1U << LOOP_INDEX_BITS) - 1;
	ok(!flow_from_ref(&t, other),
	   "a reference beyond the table is refused");
	flow_free(&t, &l, a);
	ok(!flow_from_ref(&t, ref),
	   "a reference to a flow that ended is refused");
	ok(take(IPPROTO_TCP) == a && !flow_from_ref(&t, ref),
	   "a reference to a flow that ended is refused when its entry is used again");
}

static void lookups(void)
{
	struct flowside s = side_of(7), v6;
	unsigned side = 9;
	struct flow *f;

	reset();
	ok(!find(IPPROTO_TCP, 7, PIF_TAP), "nothing is found in an empty table");
	f = between(IPPROTO_TCP, 7, PIF_TAP, 8, FLOW_INI);
	ok(flow_lookup(&t, IPPROTO_TCP, PIF_TAP, &s, &side) == f && side == INI,
	   "a side that was put in is found");
	ok(!find(IPPROTO_TCP, 8, PIF_HOST),
	   "a side that was not put in is not found");
	flow_free(&t, &l, f);
	f = between(IPPROTO_TCP, 7, PIF_TAP, 8, FLOW_INI | FLOW_TGT);
	s = side_of(8);
	ok(flow_lookup(&t, IPPROTO_TCP, PIF_HOST, &s, &side) == f && side == TGT,
	   "the target side is found as the target side");
	ok(!find(IPPROTO_UDP, 7, PIF_TAP), "another protocol is another flow");
	ok(!find(IPPROTO_TCP, 7, PIF_HOST), "another interface is another flow");
	ok(!find(IPPROTO_TCP, 9, PIF_TAP), "another port is another flow");

	s = side_of(7);
	s.oport++;
	ok(!flow_lookup(&t, IPPROTO_TCP, PIF_TAP, &s, NULL),
	   "another port of ours is another flow");
	v6 = side_of(7);
	v6.oaddr.v4mapped.one[0] = 0;
	ok(!flow_lookup(&t, IPPROTO_TCP, PIF_TAP, &v6, NULL),
	   "an IPv6 address that ends alike is another flow");

	flow_free(&t, &l, f);
	ok(!find(IPPROTO_TCP, 7, PIF_TAP) && !find(IPPROTO_TCP, 8, PIF_HOST),
	   "a flow that ended is found by neither side");
}

/* A crowded part of the table, with long runs, against an array */
static void against_reference(void)
{
	static uint32_t index_of[SOME];
	unsigned lost = 0, ghosts = 0, i, n;

	reset();
	memset(index_of, 0xff, sizeof(index_of));
	for (i = 0; i < FLOW_MAX - SOME; i++)	/* neighbours: half full */
		make(IPPROTO_UDP, 1000000 + i, PIF_TAP);
	for (i = 0; i < ROUNDS; i++) {
		struct flow *f;

		n = rnd(SOME);
		f = find(IPPROTO_TCP, n, PIF_TAP);
		if (index_of[n] == FLOW_NONE) {
			ghosts += !!f;
			f = make(IPPROTO_TCP, n, PIF_TAP);
			index_of[n] = f ? flow_index(&t, f) : FLOW_NONE;
		} else {
			lost += !f || flow_index(&t, f) != index_of[n];
			if (f)
				flow_free(&t, &l, f);
			index_of[n] = FLOW_NONE;
		}
		n = rnd(FLOW_MAX - SOME);
		f = find(IPPROTO_UDP, 1000000 + n, PIF_TAP);
		lost += !f;
		if (f && i % 3 == 0) {
			flow_free(&t, &l, f);
			ghosts += !!find(IPPROTO_UDP, 1000000 + n, PIF_TAP);
			make(IPPROTO_UDP, 1000000 + n, PIF_TAP);
		}
	}
	is(lost, 0, "60 000 changes: every flow is found");
	is(ghosts, 0, "60 000 changes: nothing that ended is found");
	for (i = n = 0; i < FLOW_MAX - SOME; i++)
		n += !find(IPPROTO_UDP, 1000000 + i, PIF_TAP);
	is(n, 0, "60 000 changes: all neighbours are still found");
}

static void full(void)
{
	unsigned i, n = 0;
	struct flow *f;

	reset();
	for (i = 0; i < FLOW_MAX; i++) {
		f = between(IPPROTO_UDP, i, PIF_TAP, i, FLOW_INI | FLOW_TGT);
		if (!f)
			break;
		flow_set_rank(&t, f, FLOW_KEPT);
	}
	is(i, FLOW_MAX, "the table takes as many flows as it says");
	ok(!take(IPPROTO_UDP), "a full table refuses one more flow");
	is(t.count, FLOW_MAX, "a refused flow is not counted");

	alarm(20);		/* with no empty slot the search has no end */
	ok(!find(IPPROTO_TCP, FLOW_MAX + 1, PIF_TAP),
	   "a search ends, with both sides of all flows in the hash");
	alarm(0);

	for (i = 0; i < FLOW_MAX; i++)
		flow_free(&t, &l, &t.flow[i]);
	for (i = 0; i < sizeof(t.hash) / sizeof(t.hash[0]); i++)
		n += !!t.hash[i];
	is(n, 0, "after all flows have ended, the hash is empty");
	is(t.count, 0, "after all flows have ended, the table is empty");
	ok(take(IPPROTO_TCP),
	   "after all flows have ended, the table takes flows again");
}

/* @n flows of @class that hold a descriptor each; how many there are */
static unsigned fill(enum flow_class class, unsigned n, enum flow_rank rank,
		     uint64_t now_ms)
{
	static const uint8_t proto[] = {
		[FLOW_STREAM] = IPPROTO_TCP, [FLOW_DATAGRAM] = IPPROTO_UDP,
		[FLOW_ECHO] = IPPROTO_ICMP,
	};
	unsigned i;

	for (i = 0; i < n; i++) {
		struct flow *f = with_fds(proto[class], 1, now_ms);

		if (!f)
			break;
		flow_set_rank(&t, f, rank);
	}
	return i;
}

static uint32_t held(enum flow_class class)
{
	return t.pool[FLOW_FDS].held[class];
}

/* With 320 descriptors the shares are 268 for streams, 41 and 11 */
static void shares(void)
{
	reset();
	flow_limit_fds(&t, 320);
	is(fill(FLOW_STREAM, 400, FLOW_KEPT, 0), 268,
	   "established connections leave the others their shares");
	is(nevicted, 0, "established connections don't evict each other");
	is(fill(FLOW_DATAGRAM, 41, FLOW_ANSWERED, 0), 41,
	   "datagrams have their share beside connections");
	is(fill(FLOW_ECHO, 11, FLOW_PENDING, 0), 11,
	   "echo has its share beside streams and datagrams");
	is(nevicted, 0, "no flow has to end within the shares");
	is(fill(FLOW_ECHO, 5, FLOW_PENDING, 0), 5,
	   "more echo than its share is accepted");
	ok(nevicted == 5 && held(FLOW_ECHO) == 11,
	   "more echo than its share ends other echo");

	reset();
	flow_limit_fds(&t, 320);
	is(fill(FLOW_ECHO, 1000, FLOW_PENDING, 0), 1000,
	   "echo starts new flows beyond the limit");
	is(held(FLOW_ECHO), 320,
	   "echo may use all while no other class needs it");
	is(fill(FLOW_STREAM, 270, FLOW_KEPT, 0), 268,
	   "streams take their share back");
	is(fill(FLOW_DATAGRAM, 41, FLOW_PENDING, 0), 41,
	   "datagrams take their share back");
	is(held(FLOW_ECHO), 11, "echo keeps its share");

	reset();
	flow_limit_fds(&t, 320);
	fill(FLOW_DATAGRAM, 500, FLOW_ANSWERED, 0);
	is(held(FLOW_DATAGRAM), 320,
	   "datagrams may use all while no other class needs it");
	is(fill(FLOW_STREAM, 270, FLOW_KEPT, 0), 268,
	   "datagrams yield to streams");
	is(held(FLOW_DATAGRAM), 52, "datagrams keep the rest beside streams");
}

static void least_useful(void)
{
	struct flow *a, *b, *c;

	reset();
	flow_limit_fds(&t, 39);		/* 32, 5 and 2 */
	fill(FLOW_STREAM, 32, FLOW_PENDING, 5000);
	ok(flow_make_room(&t, FLOW_STREAM, 1, 5999) && evicted == &t.flow[16],
	   "half of the half-open connections may end in their first second");
	with_fds(IPPROTO_TCP, 1, 5999);
	ok(flow_make_room(&t, FLOW_STREAM, 1, 6000),
	   "half-open connections may end after a second");
	ok(evicted == &t.flow[17],
	   "the oldest half-open connection of the second half ends first");
	flow_set_rank(&t, &t.flow[18], FLOW_KEPT);
	with_fds(IPPROTO_TCP, 1, 6000);
	with_fds(IPPROTO_TCP, 1, 6000);
	ok(evicted == &t.flow[19],
	   "a connection that was established is passed over");

	reset();
	flow_limit_fds(&t, 3);
	a = with_fds(IPPROTO_UDP, 1, 10);
	b = with_fds(IPPROTO_UDP, 1, 20);
	c = with_fds(IPPROTO_UDP, 1, 30);
	flow_set_rank(&t, b, FLOW_ANSWERED);
	a->last_ms = 40;
	with_fds(IPPROTO_UDP, 1, 50);
	ok(evicted == c,
	   "of flows without an answer the longest idle one ends");
	a->last_ms = 60;
	flow_set_rank(&t, a, FLOW_ANSWERED);
	flow_set_rank(&t, c, FLOW_ANSWERED);	/* its entry was used again */
	c->last_ms = 70;
	with_fds(IPPROTO_UDP, 1, 80);
	ok(evicted == b, "of flows with an answer the longest idle one ends");

	reset();
	flow_limit_fds(&t, 2);
	a = with_fds(IPPROTO_UDP, 1, 0);
	flow_set_rank(&t, a, FLOW_ANSWERED);
	b = with_fds(IPPROTO_UDP, 1, 9990);
	with_fds(IPPROTO_UDP, 1, 9999);
	ok(evicted == b, "a request ends before a flow that was in use lately");
	with_fds(IPPROTO_UDP, 1, 10000);
	ok(evicted == a, "a fresh request does not end before an idle flow");

	reset();
	flow_limit_fds(&t, 2);
	a = with_fds(IPPROTO_UDP, 1, 10);
	b = with_fds(IPPROTO_UDP, 1, 20);
	c = flow_start(&t, &(struct flow_spec){
		.proto = IPPROTO_UDP, .class = FLOW_DATAGRAM, .fds = 1, .keep = a,
	}, 5000);
	ok(evicted == b && c, "a flow that is still needed is passed over");
	is(a->rank, FLOW_PENDING, "a flow that is still needed keeps its rank");
	nevicted = 0;
	ok(flow_admits(&t, FLOW_DATAGRAM, false, 1, 5000) && !nevicted,
	   "nothing is evicted when asked whether a flow could start");

	reset();
	flow_limit_fds(&t, 2);
	with_fds(IPPROTO_UDP, 0, 10);
	a = with_fds(IPPROTO_UDP, 2, 20);
	ok(with_fds(IPPROTO_UDP, 1, 30) &&
	   evicted == a && nevicted == 1,
	   "flows without a descriptor don't end for want of descriptors");
	flow_free(&t, &l, &t.flow[1]);
	is(held(FLOW_DATAGRAM), 0,
	   "descriptors of a flow are free when it ends");
	ok(!flow_make_room(&t, FLOW_STREAM, 3, 30),
	   "more descriptors than the limit can't be had");

	reset();
	flow_limit_fds(&t, 64);
	fill(FLOW_ECHO, 64, FLOW_PENDING, 10);
	ok(flow_evict(&t, FLOW_STREAM, 20) && evicted == &t.flow[0],
	   "flow_evict() ends the longest idle flow");
	reset();
	ok(!flow_evict(&t, FLOW_STREAM, 20),
	   "flow_evict() fails without a flow to end");
}

/* A flow of a peer, 203.0.113.@n or 2001:db8:@n::1, to 198.51.100.1 */
static struct flow *from_peer(uint8_t proto, bool v4, uint32_t n, uint64_t now_ms)
{
	struct in6_addr p6 = { .s6_addr = { 0x20, 0x01, 0x0d, 0xb8 } };
	struct in_addr a4 = { htonl(0xc6336401) }, p4 = { htonl(0xcb007100 + n) };
	struct flow_spec s = {
		.proto = proto, .class = class_of(proto), .fds = 1,
		.pif = { PIF_HOST, PIF_TAP },
		.side[INI].oaddr = inany_from_v4(a4),
	};

	p6.s6_addr[7] = (uint8_t)n;
	p6.s6_addr[15] = (uint8_t)(rnd(250) + 1);
	s.side[INI].eaddr = v4 ? inany_from_v4(p4) : inany_from_v6(&p6);
	return flow_start(&t, &s, now_ms);
}

/* @n connections of a peer, established; how many there are */
static unsigned connections(bool v4, uint32_t peer, unsigned n, uint64_t now_ms)
{
	struct flow *f;
	unsigned i;

	for (i = 0; i < n && (f = from_peer(IPPROTO_TCP, v4, peer, now_ms)); i++)
		flow_set_rank(&t, f, FLOW_KEPT);
	return i;
}

/* With 320 descriptors streams have 268, of which 201 inbound, of these 51 a peer */
static void inbound(void)
{
	struct flow *f, *busy;
	unsigned i;

	reset();
	flow_limit_fds(&t, 320);
	is(connections(true, 1, 400, 0), 201,
	   "inbound connections leave a quarter to the guest");
	ok(!nevicted && !flow_admits(&t, FLOW_STREAM, true, 1, 999),
	   "inbound connections that were in use lately don't end");
	is(fill(FLOW_STREAM, 400, FLOW_KEPT, 999), 67,
	   "the guest has the other connections");
	ok(flow_admits(&t, FLOW_STREAM, true, 1, 1000),
	   "inbound connections that are idle give way");
	t.flow[51].last_ms = 500;
	connections(true, 2, 1, 1000);
	ok(evicted == &t.flow[52] && nevicted == 1,
	   "beyond a peer's share, its longest idle connection ends");
	is(connections(true, 1, 10, 1000), 10, "a peer can replace its own");
	ok(evicted->group == FLOW_IN_EXTRA, "those beyond its share");

	reset();
	flow_limit_fds(&t, 320);
	for (i = 1; i <= 4; i++)
		connections(i & 1, i, i < 4 ? 51 : 48, i);
	ok(!flow_admits(&t, FLOW_STREAM, true, 1, 10000),
	   "within their shares, connections are safe for ten seconds");
	is(connections(true, 1, 1, 20000), 0,
	   "a peer that has its share can't evict others");
	is(connections(true, 5, 1, 20000), 1, "a peer that has less can");
	ok(nevicted == 1 && evicted == &t.flow[0], "the longest idle one ends");
	is(connections(false, 2, 1, 20000), 0,
	   "addresses of one prefix count as one peer");
	busy = &t.flow[1];
	busy->last_ms = 20000;
	connections(true, 6, 1, 20001);
	ok(evicted == &t.flow[2], "a connection in use stays");
	f = from_peer(IPPROTO_TCP, true, 5, 20001);
	connections(true, 5, 1, 20500);
	ok(f && evicted != f, "a half-open one is safe in its first second");
	connections(true, 5, 1, 21001);
	ok(evicted == f, "after it, a half-open one ends before established ones");

	for (i = 0; i < t.high; i++)
		if (flow_at(&t, i))
			flow_free(&t, &l, &t.flow[i]);
	is(connections(true, 1, 51, 0), 51,
	   "the shares are free when connections end");
	ok(t.flow[t.high - 1].group == FLOW_IN, "that of the peer, too");
}

/* Peers on this host: on loopback, and at an address that the host has */
static void inbound_local(void)
{
	struct in_addr lo = { htonl(0x7f000001) }, own = { htonl(0xc6336401) };
	struct flow_spec s = {
		.proto = IPPROTO_TCP, .class = FLOW_STREAM, .fds = 1,
		.pif = { PIF_HOST, PIF_SPLICE },
		.side[INI].oaddr = inany_from_v4(own),
	};
	unsigned i, extra = 0;

	reset();
	flow_limit_fds(&t, 320);
	for (i = 0; i < 200; i++) {
		s.side[INI].eaddr = inany_from_v4(i & 1 ? lo : own);
		extra += flow_start(&t, &s, 0)->group != FLOW_IN;
	}
	is(extra, 0, "programs of this host have no limit as a peer");
}

/* With 320 descriptors all inbound flows have 240 */
static void inbound_datagrams(void)
{
	struct flow *guest, *known;
	unsigned i;

	reset();
	flow_limit_fds(&t, 320);
	guest = with_fds(IPPROTO_UDP, 1, 0);
	known = from_peer(IPPROTO_UDP, true, 0, 0);
	flow_set_rank(&t, known, FLOW_ANSWERED);
	for (i = 0; i < 1000; i++)
		from_peer(IPPROTO_UDP, true, 1 + i % 250, 1);
	is(t.pool[FLOW_FDS].inbound[FLOW_DATAGRAM], 240,
	   "inbound datagrams leave a quarter of everything");
	ok(guest->proto && known->proto,
	   "a flood of new peers ends none of the guest and none with an answer");
	is(connections(true, 1, 300, 2), 201,
	   "connections take their share back from inbound datagrams");
	is(fill(FLOW_STREAM, 300, FLOW_KEPT, 2), 67,
	   "so does the guest");
	is(fill(FLOW_DATAGRAM, 9, FLOW_ANSWERED, 2), 9,
	   "the guest's datagrams have their quarter");
	ok(guest->proto, "none of the guest's datagrams ended for others");
	for (i = 0; i < 1000; i++)
		from_peer(IPPROTO_UDP, true, 1 + i % 250, 2);
	is(t.pool[FLOW_FDS].held[FLOW_DATAGRAM] -
	   t.pool[FLOW_FDS].inbound[FLOW_DATAGRAM], 10,
	   "a flood does not take it");
}

static void sides(void)
{
	struct flowside tap = side_of(1), host = side_of(2);
	struct flow *f;

	reset();
	f = between(IPPROTO_TCP, 1, PIF_TAP, 2, 0);
	ok(flowside_equals(flow_tap_side(f), &tap) &&
	   flowside_equals(flow_host_side(f), &host),
	   "the tap side of a flow that the guest began is the initiating one");
	ok(!find(IPPROTO_TCP, 1, PIF_TAP), "a flow is not found unless asked for");
	f = flow_start(&t, &(struct flow_spec){
		.proto = IPPROTO_TCP, .pif = { PIF_HOST, PIF_TAP },
		.side = { host, tap },
	}, 0);
	ok(flowside_equals(flow_tap_side(f), &tap) &&
	   flowside_equals(flow_host_side(f), &host),
	   "the tap side of a flow that the host began is the target side");
	ok(flow_is_on(f, PIF_TAP) && !flow_is_on(f, PIF_SPLICE),
	   "a flow is on the interfaces of its sides alone");
}

static void walk(void)
{
	struct flow *a, *b, *c;

	reset();
	ok(!flow_next(&t, NULL), "the walk through an empty table ends at once");
	a = take(IPPROTO_TCP);
	b = take(IPPROTO_UDP);
	c = take(IPPROTO_ICMP);
	flow_free(&t, &l, b);
	ok(flow_next(&t, NULL) == a && flow_next(&t, a) == c &&
	   !flow_next(&t, c), "the walk passes over free entries");
	flow_free(&t, &l, a);
	ok(flow_next(&t, a) == c, "the walk goes on after a flow that has ended");
}

#define LOOP_INDEX_MAX	((1U << LOOP_INDEX_BITS) - 1)

/* Does no warning follow @n events of a flow that has ended? */
static bool is_silent(union epoll_ref ref, unsigned n)
{
	int saved = dup(STDERR_FILENO), fds[2];
	char text[200];
	ssize_t len;

	if (pipe2(fds, O_NONBLOCK) || dup2(fds[1], STDERR_FILENO) < 0)
		return false;
	while (n--)
		flow_event(&t, ref, 5);
	dup2(saved, STDERR_FILENO);
	len = read(fds[0], text, sizeof(text));
	close(saved);
	close(fds[0]);
	close(fds[1]);
	return len <= 0;
}

static void modules(void)
{
	struct flow *a, *b;
	union epoll_ref ref;

	reset();
	a = between(IPPROTO_ICMP, 1, PIF_TAP, 2, 0);
	b = take(IPPROTO_TCP);
	ref = flow_ref(a, TGT);
	flow_event(&t, ref, 5);
	ok(events == 5 && event_side == TGT, "an event has the side of the socket");
	flow_timer(&t, a->timer.ref);
	is(timers, 1, "a timer gets to the module of its flow");
	ok(!flow_any_unfinished(&t), "by default no flow is unfinished");
	unfinished = b;
	ok(!flow_any_unfinished(&t), "a module without that operation has no unfinished flows");
	unfinished = a;
	ok(flow_any_unfinished(&t), "one unfinished flow is enough");
	flow_free(&t, &l, a);
	events = 0;
	flow_event(&t, ref, 5);
	flow_timer(&t, ref);
	ok(!events && timers == 1, "a flow that has ended gets no event and no timer");
	is(t.stale, 1, "its event is counted");
	ok(is_silent(ref, 1), "one event after the end is usual");
	ref.index = FLOW_MAX - 1;
	ok(is_silent(ref, 2), "so is one of another flow");
	ref.index = LOOP_INDEX_MAX;
	ok(!is_silent(ref, 3), "an event that comes again and again is warned about");
	is(t.stale, 7, "all are counted, also of an entry that can't be");
}

static void lists(void)
{
	struct flow_list one, two;
	struct flow *a, *b, *c;

	reset();
	flow_list_init(&one);
	flow_list_init(&two);
	ok(!flow_list_pop(&t, &one), "an empty list has no first flow");
	a = take(IPPROTO_TCP);
	b = take(IPPROTO_TCP);
	c = take(IPPROTO_TCP);
	flow_list_push(&t, &one, a);
	flow_list_push(&t, &one, b);
	flow_list_push(&t, &one, c);
	flow_list_push(&t, &one, a);
	is(one.count, 3, "a flow is on a list once");
	flow_list_remove(&t, b);
	ok(flow_list_pop(&t, &one) == a && flow_list_pop(&t, &one) == c &&
	   !flow_list_pop(&t, &one), "flows leave a list in the order they came");
	ok(!a->list && !b->list && !one.count,
	   "flows that left a list are on none");
	flow_list_remove(&t, b);
	ok(!b->list, "a flow on no list can be removed");

	flow_list_push(&t, &one, a);
	flow_list_push(&t, &one, b);
	flow_list_push(&t, &two, b);
	ok(one.count == 1 && two.count == 1 && b->list == &two,
	   "a flow that is put on another list leaves the first");
	flow_list_push(&t, &one, c);
	flow_free(&t, &l, a);
	ok(flow_list_pop(&t, &one) == c && !one.count,
	   "a flow that ends leaves its list");
	flow_list_push(&t, &one, c);
	flow_list_push(&t, &one, b);
	flow_list_remove(&t, b);
	flow_list_push(&t, &one, b);
	ok(flow_list_pop(&t, &one) == c && flow_list_pop(&t, &one) == b &&
	   one.head == FLOW_NONE && one.tail == FLOW_NONE,
	   "the last flow of a list can be removed and appended again");
}

static unsigned begins, ends;		/* reported */

static void on_change(void *ctx, const struct flow *f, bool begins_now)
{
	if (ctx != &begins || !f->proto)
		return;
	begins += begins_now;
	ends += !begins_now;
}

/* A flow that rule 5 of generation @gen has brought, between @from and the other side */
static struct flow *by_rule(uint32_t gen, enum pif from, bool shared)
{
	return flow_start(&t, &(struct flow_spec){
		.kind = REF_ICMP, .proto = IPPROTO_UDP, .class = FLOW_DATAGRAM,
		.pif = { from, from == PIF_HOST ? PIF_TAP : PIF_HOST },
		.rule = { 5, gen }, .shared = shared,
	}, 7900);
}

static void counts(void)
{
	const struct rule_ref old = { 5, 3 }, new = { 5, 9 }, zero = { 0, 1 };
	struct flow *a, *b, *c, *none;

	reset();
	a = by_rule(3, PIF_HOST, false);
	b = by_rule(3, PIF_SPLICE, false);
	none = take(IPPROTO_TCP);
	is(a->start_s, 7, "a flow knows when it began");
	ok(flow_rule(a).number == 5 && flow_rule(a).gen == 3,
	   "a flow knows the rule that brought it");
	flow_count(&t, a, TO_GUEST, 100, 0);
	flow_count(&t, a, FROM_GUEST, 10, 0);
	flow_count(&t, b, TO_GUEST, 1, 0);
	flow_count(&t, none, TO_GUEST, 5000, 0);
	ok(a->bytes[TO_GUEST] == 100 && a->bytes[FROM_GUEST] == 10,
	   "a flow has its bytes each way");
	ok(t.bytes[TO_GUEST] == 5101 && t.bytes[FROM_GUEST] == 10,
	   "all flows together have their bytes each way");
	is(rulestat_of(&t.rulestat, old).conns, 2, "a rule has its connections");
	is(rulestat_of(&t.rulestat, old).flows, 2, "a rule has its flows");
	ok(rulestat_of(&t.rulestat, old).in == 101 &&
	   rulestat_of(&t.rulestat, old).out == 10,
	   "a rule has the bytes of its flows");
	ok(t.live[FLOW_DATAGRAM][FLOW_TAP] == 1 &&
	   t.live[FLOW_DATAGRAM][FLOW_BYPASS] == 1,
	   "flows are counted by their way");
	ok(t.begun[FLOW_DATAGRAM][TO_GUEST] == 1 &&
	   t.begun[FLOW_DATAGRAM][FROM_GUEST] == 1,
	   "flows are counted by the side that began");
	flow_free(&t, &l, b);
	ok(rulestat_of(&t.rulestat, old).flows == 1 &&
	   rulestat_of(&t.rulestat, old).conns == 2 &&
	   rulestat_of(&t.rulestat, old).in == 101,
	   "when a flow ends, its rule keeps all but the flow");

	c = by_rule(9, PIF_HOST, false);
	flow_count(&t, a, TO_GUEST, 7, 0);
	flow_count(&t, c, TO_GUEST, 2, 0);
	ok(rulestat_of(&t.rulestat, new).conns == 1 &&
	   rulestat_of(&t.rulestat, new).in == 2,
	   "a number that is used anew begins with counters of zero");
	is(rulestat_of(&t.rulestat, old).conns, 0, "the rule before has none");
	is(a->bytes[TO_GUEST], 107, "a flow of the rule before goes on counting");
	flow_free(&t, &l, a);
	is(rulestat_of(&t.rulestat, new).flows, 1,
	   "the end of an old flow is not counted for the new rule");
	is(rulestat_of(&t.rulestat, zero).in, 0,
	   "flows without a rule don't count for rule 0");
}

static void changes(void)
{
	struct flow *a, *b;

	reset();
	begins = ends = 0;
	flow_on_change(&t, on_change, &begins);
	a = by_rule(3, PIF_HOST, false);
	b = by_rule(3, PIF_HOST, true);
	is(begins, 1, "the beginning of a flow is reported, not that of a socket");
	is(rulestat_of(&t.rulestat, (struct rule_ref){ 5, 3 }).conns, 1,
	   "a shared socket is no connection of its rule");
	flow_free(&t, &l, a);
	flow_free(&t, &l, b);
	is(ends, 1, "the end of a flow is reported, not that of a socket");
	ok(!t.live[FLOW_DATAGRAM][FLOW_TAP] && t.begun[FLOW_DATAGRAM][0] == 1,
	   "a shared socket is not counted as a flow");
	flow_on_change(&t, NULL, NULL);
	flow_free(&t, &l, by_rule(3, PIF_HOST, false));
	is(begins + ends, 2, "without a callback nothing is reported");
}

static void text(void)
{
	char buf[FLOW_STRLEN];
	struct flow *f;

	reset();
	f = between(IPPROTO_TCP, 33000, PIF_TAP, 443, FLOW_INI);
	flow_str(&t, f, buf);
	ok(!strcmp(buf, "TCP 0 (tap 203.0.113.0:33000 > 198.51.100.1:80, "
			"host 198.51.100.1:80 > 203.0.113.0:443)"),
	   "a flow is printed with both sides, from its source on");
	memset(&f->side, 0, sizeof(f->side));
	f->side[INI].eaddr.a6 = in6addr_loopback;
	f->side[INI].eport = 1;
	flow_str(&t, f, buf);
	ok(!strcmp(buf, "TCP 0 (tap [::1]:1 > *:0, host *:0 > *:0)"),
	   "IPv6 addresses are in brackets, an unknown one is a star");
}

int main(void)
{
	entries();
	references();
	lookups();
	sides();
	walk();
	lists();
	modules();
	counts();
	changes();
	text();
	against_reference();
	full();
	shares();
	least_useful();
	inbound();
	inbound_local();
	inbound_datagrams();
	return done();
}
