/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flows as lines of JSON: filters, fields, and walks that are cut into turns */

#include "flowlist.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "jsonline.h"
#include "tap.h"

#define WORDS_MAX	12

static struct flow_table t;
static struct loop l;

static union inany ip(const char *text)
{
	union inany a = { 0 };

	if (!inany_pton(text, &a))
		ok(false, "an address of the test is valid");
	return a;
}

static struct flow_state answer;

static void state_of(const struct flow *f, struct flow_state *s)
{
	(void)f;
	*s = answer;
}

static const struct flow_ops ops[REF_FLOW_KINDS] = {
	[REF_TCP] = { .state = state_of },
	[REF_ICMP] = { .state = state_of },
};

static void reset(void)
{
	static const uint64_t key[2] = { 1, 2 };

	memset(&t, 0, sizeof(t));
	flow_init(&t, key);
	t.ops = ops;
	wheel_init(&l.wheel, 0);
	answer = (struct flow_state){ .name = "ESTABLISHED", .sock = -1 };
}

/* Parse a filter of words with blanks between them; the error is kept */
static char error[FLOWLIST_TEXT];

static bool parse(const char *text, struct flowlist_filter *f)
{
	char copy[256], *word[WORDS_MAX], *save = NULL, *w;
	unsigned n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	error[0] = '\0';
	return flowlist_parse(word, n, f, error);
}

static bool refused(const char *text, const char *why)
{
	struct flowlist_filter f;
	bool good = !parse(text, &f) && !strcmp(error, why);

	if (!good)
		printf("# %s: %s\n", text, error);
	return good;
}

static bool no_rule(const char *text)
{
	char rule[] = "rule", value[32], *word[] = { rule, value };
	char why[FLOWLIST_TEXT];
	struct flowlist_filter f;

	snprintf(why, sizeof(why), "'%s' is not valid: expected the number of a "
		 "rule, as in 12 or 12.17", text);
	snprintf(value, sizeof(value), "%s", text);
	return !flowlist_parse(word, 2, &f, error) && !strcmp(error, why);
}

static void filters_parsed(void)
{
	struct flowlist_filter f;

	ok(parse("", &f) && flowlist_is_empty(&f), "a filter may be empty");
	ok(parse("proto udp rule 12 src 10.0.0.0/8 dst 2001:db8::1 port 53", &f) &&
	   f.proto == IPPROTO_UDP && f.has_rule && f.rule == 12 && !f.rule_gen &&
	   f.src.len == 8 && f.dst.len == 128 && f.has_port && f.port == 53,
	   "all conditions can be given together");
	ok(parse("port 1 proto icmp", &f) && f.proto == IPPROTO_ICMP,
	   "conditions can be in any order");
	ok(parse("rule 0", &f) && !flowlist_is_empty(&f),
	   "rule 0 is a condition");
	ok(parse("rule 12.17", &f) && f.rule == 12 && f.rule_gen == 17,
	   "a rule may have a generation");
	ok(parse("src 0.0.0.0/0", &f) && !flowlist_is_empty(&f),
	   "all addresses of a family are a condition");
	ok(refused("proto tcp proto udp", "'proto' is given twice"),
	   "a condition can't be given twice");
	ok(refused("protocol tcp", "'protocol' is no condition: expected proto, "
		   "rule, src, dst or port"), "an unknown condition is refused");
	ok(refused("proto sctp", "'sctp' is not valid: expected tcp, udp or icmp"),
	   "an unknown protocol is refused");
	ok(refused("dst", "'dst' lacks a value: expected an address or network"),
	   "a condition without its value is refused");
	ok(refused("dst 192.0.2.0/33",
		   "'192.0.2.0/33' is not valid: expected an address or network") &&
	   refused("src host", "'host' is not valid: expected an address or network") &&
	   refused("src ::/", "'::/' is not valid: expected an address or network") &&
	   refused("src 10.0.0.0/8/8",
		   "'10.0.0.0/8/8' is not valid: expected an address or network"),
	   "a wrong network is refused");
	ok(refused("port 0", "'0' is not valid: expected a port from 1 to 65535") &&
	   refused("port 65536",
		   "'65536' is not valid: expected a port from 1 to 65535") &&
	   refused("port -1", "'-1' is not valid: expected a port from 1 to 65535"),
	   "a wrong port is refused");
	ok(no_rule("2048") && no_rule("99999999999999999999") && no_rule("") &&
	   no_rule("12.") && no_rule(".17") && no_rule("12.0") &&
	   no_rule("12.17.1") && no_rule("12.4294967296"),
	   "a wrong rule is refused");
}

static struct flow *flow_between(uint8_t proto, const char *src, uint16_t sport,
				 const char *dst, uint16_t dport,
				 const char *target, uint16_t to, uint32_t rule_gen)
{
	return flow_start(&t, &(struct flow_spec){
		.kind = proto == IPPROTO_ICMPV6 ? REF_ICMP : REF_TCP,
		.proto = proto,
		.class = proto == IPPROTO_ICMPV6 ? FLOW_ECHO : FLOW_STREAM,
		.pif = { PIF_TAP, PIF_HOST }, .rule = { 12, rule_gen },
		.side = {
			{ .eaddr = ip(src), .eport = sport,
			  .oaddr = ip(dst), .oport = dport },
			{ .eaddr = ip(target), .eport = to },
		},
	}, 5000);
}

/* Does a filter choose this flow? */
static bool chooses(const char *text, const struct flow *f)
{
	struct flowlist_filter filter;
	struct flowlist_flow d;

	if (!parse(text, &filter))
		return ok(false, "a filter of the test is valid"), false;
	flowlist_describe(&t, f, 5000, &d);
	return flowlist_matches(&filter, &d);
}

static void filters_match(void)
{
	struct flow *f, *g, *h;

	reset();
	f = flow_between(IPPROTO_TCP, "10.0.2.100", 41514, "192.0.2.2", 443,
			 "203.0.113.7", 8443, 3);
	g = flow_between(IPPROTO_TCP, "2001:db8::1", 1, "2001:db8::2", 2,
			 "2001:db8::2", 2, 0);
	h = flow_between(IPPROTO_ICMPV6, "2001:db8::1", 443, "::", 1,
			 "2001:db8::9", 0, 0);
	answer.dst = ip("2001:db8::9");
	ok(chooses("", f) && chooses("", g), "an empty filter chooses all flows");
	ok(chooses("proto tcp", f) && !chooses("proto udp", f),
	   "flows are chosen by their protocol");
	ok(chooses("proto icmp", h), "echo of both families is icmp");
	ok(chooses("rule 12", f) && !chooses("rule 11", f) && !chooses("rule 12", g),
	   "flows are chosen by their rule");
	ok(chooses("rule 12.3", f) && !chooses("rule 12.4", f) &&
	   !chooses("rule 11.3", f) && !chooses("rule 12.3", g),
	   "flows are chosen by the generation of their rule");
	ok(chooses("port 41514", f) && chooses("port 443", f) &&
	   chooses("port 8443", f) && !chooses("port 80", f),
	   "flows are chosen by the port of either end");
	ok(!chooses("port 443", h), "an identifier of echo is no port");
	ok(chooses("dst 2001:db8::9", h), "echo is chosen by its last destination");
	answer.dst = (union inany){ 0 };
	ok(chooses("src 10.0.2.0/24", f) && chooses("src 10.0.2.100", f) &&
	   !chooses("src 10.0.2.101", f) && chooses("dst 192.0.2.2", f) &&
	   !chooses("dst 10.0.2.100", f), "flows are chosen by either address");
	ok(!chooses("dst 203.0.113.7", f), "the target is not the destination");
	ok(chooses("src 2001:db8::/32", g) && !chooses("src ::/0", f) &&
	   !chooses("src 0.0.0.0/0", g), "a network has one family");
	ok(chooses("proto tcp src 10.0.0.0/8 port 443", f) &&
	   !chooses("proto tcp src 10.0.0.0/8 port 80", f),
	   "all conditions have to hold");
}

static const char *line_of(const struct flow *f, uint64_t now_ms)
{
	static struct jsonline j;
	struct flowlist_flow d;

	flowlist_describe(&t, f, now_ms, &d);
	jsonline_begin(&j);
	flowlist_fields(&j, &d);
	jsonline_end(&j);
	return j.buf;
}

static bool reads(const struct flow *f, const char *want)
{
	const char *line = line_of(f, 9500);

	if (strcmp(line, want))
		printf("# %s", line);
	return !strcmp(line, want);
}

static void fields(void)
{
	struct flow *f;

	reset();
	f = flow_between(IPPROTO_TCP, "10.0.2.100", 41514, "192.0.2.2", 443,
			 "203.0.113.7", 8443, 3);
	flow_count(&t, f, TO_GUEST, 1200, 0);
	flow_count(&t, f, FROM_GUEST, 34, 0);
	ok(reads(f, "{\"flow\":\"0.1\",\"proto\":\"tcp\",\"src\":\"10.0.2.100\","
		 "\"sport\":41514,\"dst\":\"192.0.2.2\",\"dport\":443,"
		 "\"target\":\"203.0.113.7\",\"to\":8443,\"path\":\"tap\","
		 "\"state\":\"ESTABLISHED\",\"age\":4,\"in\":1200,\"out\":34,"
		 "\"rule\":12,\"made\":3}\n"), "a flow is a line with all fields");
	flow_free(&t, &l, f);
	f = flow_between(IPPROTO_TCP, "2001:db8::1", 1, "2001:db8::2", 2,
			 "2001:db8::2", 2, 0);
	ok(reads(f, "{\"flow\":\"0.2\",\"proto\":\"tcp\",\"src\":\"2001:db8::1\","
		 "\"sport\":1,\"dst\":\"2001:db8::2\",\"dport\":2,"
		 "\"path\":\"tap\",\"state\":\"ESTABLISHED\",\"age\":4,\"in\":0,"
		 "\"out\":0,\"rule\":null}\n"),
	   "a flow without a rule or another target says so");
	answer = (struct flow_state){ .name = "ACTIVE", .sock = -1,
				      .dst = ip("2001:db8::9") };
	f = flow_between(IPPROTO_ICMPV6, "2001:db8::1", 77, "::", 1,
			 "2001:db8::9", 0, 0);
	ok(reads(f, "{\"flow\":\"1.1\",\"proto\":\"icmp\",\"src\":\"2001:db8::1\","
		 "\"sport\":77,\"dst\":\"2001:db8::9\",\"path\":\"tap\","
		 "\"state\":\"ACTIVE\",\"age\":4,\"in\":0,\"out\":0,"
		 "\"rule\":null}\n"), "echo has an identifier and a destination");
}

/* Walk in turns of @budget entries; begin and end flows in between */
static void walk(unsigned budget)
{
	static uint8_t seen[FLOW_MAX];
	const struct flowlist_filter all = { 0 };
	struct flowlist_cursor c;
	struct flowlist_flow d;
	struct flow *f;
	unsigned i, twice = 0, young = 0, n = 0, left;

	reset();
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < 3000; i++)
		flow_between(IPPROTO_TCP, "10.0.2.100", 1, "192.0.2.2", 2,
			     "192.0.2.2", 2, 0);
	flowlist_begin(&c, &t, 8000);
	while (!flowlist_done(&c)) {
		left = budget;
		while ((f = flowlist_next(&t, &c, &all, 9000, &left, &d))) {
			i = flow_index(&t, f);
			twice += seen[i]++;
			young += f->start_s > 8;
			n++;
		}
		/* One ends, and two begin: in its place, and at the end */
		f = flow_at(&t, c.next / 2);
		if (f)
			flow_free(&t, &l, f);
		for (i = 0; i < 2; i++)
			flow_start(&t, &(struct flow_spec){
				.kind = REF_TCP, .proto = IPPROTO_TCP,
				.class = FLOW_STREAM }, 9000);
	}
	is(twice, 0, "no flow is listed twice");
	is(young, 0, "flows that began during the walk are left out");
	ok(n <= 3000 && n >= 2000, "all others are listed, but those that ended");
}

static void names(void)
{
	uint32_t index, gen;

	ok(flowlist_ref("812.40", &index, &gen) && index == 812 && gen == 40,
	   "a flow is named by number and generation");
	ok(!flowlist_ref("812", &index, &gen) && !flowlist_ref("812.", &index, &gen) &&
	   !flowlist_ref(".40", &index, &gen) && !flowlist_ref("", &index, &gen) &&
	   !flowlist_ref("812.40.", &index, &gen) &&
	   !flowlist_ref("99999999.1", &index, &gen) &&
	   !flowlist_ref("1.4294967296", &index, &gen),
	   "anything else is no flow");
}

int main(void)
{
	filters_parsed();
	filters_match();
	fields();
	walk(1);
	walk(64);
	walk(FLOWLIST_ENTRIES);
	names();
	return done();
}
