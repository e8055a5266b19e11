/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time of the inner functions in nanoseconds, with the objects of the program.
 *
 *	micro [ROUNDS]		(default 15)
 *
 * The functions take turns in each round, for a few milliseconds each, so that other
 * work of the machine hits all of them. A line tells the median of the rounds, and the
 * lowest and highest.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checksum.h"
#include "flow.h"
#include "loop.h"
#include "packet.h"
#include "rules.h"
#include "wire.h"

#define ROUNDS_MAX	101
#define ROUND_NS	4000000
#define FLOWS		10000
#define RULES		1000

static struct flow_table flows;
static struct loop loop;
static struct rules rules;
static struct timer timers[FLOWS];
static struct timer one_timer;
static struct flowside sides[FLOWS];
static uint8_t bytes[65536], tcp_frame[1514], udp_frame[1514];
static struct rule_ref refs[RULES];
static unsigned turn;			/* counts calls, chooses flows and rules */
static volatile uint64_t sink;		/* so that no result is superfluous */

/* --- what is measured ------------------------------------------------------------------ */

static void sum_20(void) { sink += csum_add(0, bytes, 20); }
static void sum_1460(void) { sink += csum_add(0, bytes, 1460); }
static void sum_64k(void) { sink += csum_add(0, bytes, sizeof(bytes)); }

static void parse(const uint8_t *frame, bool partial)
{
	const struct rx_offload off = { .csum_partial = partial };
	struct view v = view_of(frame, sizeof(tcp_frame));
	struct pkt p;

	sink += pkt_parse(&p, &v, &off);
}

static void parse_tcp(void) { parse(tcp_frame, true); }
static void parse_udp(void) { parse(udp_frame, true); }

/* Neighbours in time are no neighbours in memory */
static unsigned next(unsigned n) { return (turn += 7919) % n; }

static void lookup(void)
{
	unsigned side;

	sink += flow_lookup(&flows, IPPROTO_TCP, PIF_TAP, &sides[next(FLOWS)], &side) != NULL;
}

static void lookup_miss(void)
{
	unsigned side;

	sink += flow_lookup(&flows, IPPROTO_UDP, PIF_TAP, &sides[next(FLOWS)], &side) != NULL;
}

static void by_ref(void)
{
	sink += flow_from_ref(&flows, flow_ref(&flows.flow[next(FLOWS)], TGT)) != NULL;
}

static void arm(void)
{
	wheel_arm(&loop.wheel, &timers[next(FLOWS)], 1000 + turn % 100000);
}

static void arm_cancel(void)
{
	wheel_arm(&loop.wheel, &one_timer, 1200);
	wheel_cancel(&loop.wheel, &one_timer);
}

static void wheel_wait(void) { sink += (uint64_t)wheel_next(&loop.wheel); }

static void rule_by_ref(void) { sink += rules_at(&rules, refs[next(RULES)]) != NULL; }

static void rule_find(void)
{
	sink += rules_find(&rules, rules_at(&rules, refs[next(RULES)])) != NULL;
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "checksum of 20 bytes", sum_20 },
	{ "checksum of 1460 bytes", sum_1460 },
	{ "checksum of 64 KiB", sum_64k },
	{ "parse a TCP frame", parse_tcp },
	{ "parse a UDP frame", parse_udp },
	{ "find a flow of 10000 by its addresses", lookup },
	{ "find no flow among 10000", lookup_miss },
	{ "find a flow of 10000 for an event", by_ref },
	{ "arm a timer of 10000", arm },
	{ "arm and cancel a timer", arm_cancel },
	{ "next time of the wheel", wheel_wait },
	{ "find a rule of 1000 by its number", rule_by_ref },
	{ "find a rule of 1000 by what it says", rule_find },
};

#define TESTS		(sizeof(tests) / sizeof(tests[0]))

/* --- what they work on ------------------------------------------------------------------ */

static void make_frame(uint8_t *f, uint8_t proto)
{
	struct ip4_hdr ip = {
		.ver_ihl = 0x45, .tot_len = htons(1500), .ttl = 64, .proto = proto,
		.src = htonl(0xc6336401), .dst = htonl(0xcb007102),
	};

	memset(f, 0, sizeof(tcp_frame));
	memcpy(f, "\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0", 14);
	ip.csum = csum_fold(csum_add(0, &ip, sizeof(ip)));
	memcpy(f + 14, &ip, sizeof(ip));
	memcpy(f + 34, "\x80\0\0\x50", 4);
	if (proto == IPPROTO_TCP) {
		f[46] = 5 << 4;
		f[47] = TCPF_ACK;
	} else {
		f[38] = 1480 >> 8;
		f[39] = 1480 & 0xff;
	}
}

static void make_flows(void)
{
	static const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	struct in_addr guest = { htonl(0xc6336401) }, peer;
	unsigned i;

	flow_init(&flows, key);
	for (i = 0; i < FLOWS; i++) {
		peer.s_addr = htonl(0xcb007100 | (i & 0xff));
		sides[i] = (struct flowside){
			.oaddr = inany_from_v4(peer), .oport = 80,
			.eaddr = inany_from_v4(guest), .eport = (uint16_t)(20000 + i),
		};
		flow_start(&flows, &(struct flow_spec){
			.kind = REF_TCP, .proto = IPPROTO_TCP, .class = FLOW_STREAM,
			.fds = 1, .pif = { PIF_TAP, PIF_HOST }, .find = FLOW_INI,
			.side = { sides[i], sides[i] } }, 0);
	}
}

static void make_rules(void)
{
	struct rules_clash clash;
	const struct fwd_rule *r;
	unsigned i;

	rules_init(&rules);
	for (i = 0; i < RULES; i++) {
		const struct fwd_rule new = {
			.proto = IPPROTO_TCP, .spec = "",
			.first = (uint16_t)(10000 + 2 * i),
			.last = (uint16_t)(10000 + 2 * i), .to = (uint16_t)(10000 + 2 * i),
		};

		rules_add(&rules, &new, NULL, &clash);
	}
	for (i = 0, r = rules_next(&rules, NULL); r && i < RULES; r = rules_next(&rules, r))
		refs[i++] = rules_ref(&rules, r);
}

/* --- the measurement ---------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Nanoseconds of a call, without those of an empty one */
static double measure(void (*run)(void))
{
	uint64_t start = now_ns(), end = start;
	unsigned n = 0, i;

	for (; end - start < ROUND_NS; end = now_ns(), n += 100)
		for (i = 0; i < 100; i++)
			run();
	return (double)(end - start) / n;
}

static void empty(void) { }

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 15, round;
	static double ns[TESTS][ROUNDS_MAX];
	double none;
	unsigned i;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	csum_init();
	make_frame(tcp_frame, IPPROTO_TCP);
	make_frame(udp_frame, IPPROTO_UDP);
	make_flows();
	wheel_init(&loop.wheel, 1000);
	make_rules();
	for (round = 0; round < rounds; round++) {
		none = measure(empty);
		for (i = 0; i < TESTS; i++)
			ns[i][round] = measure(tests[i].run) - none;
	}
	printf("%-40s %10s   (lowest..highest), ns\n", "", "median");
	for (i = 0; i < TESTS; i++) {
		qsort(ns[i], (size_t)rounds, sizeof(ns[i][0]), by_value);
		printf("%-40s %10.1f   (%.1f..%.1f)\n", tests[i].name, ns[i][rounds / 2],
		       ns[i][0], ns[i][rounds - 1]);
	}
	return 0;
}
