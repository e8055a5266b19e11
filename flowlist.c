/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flowlist.c - Flows as lines of JSON, and filters that choose some of them
 *
 * A walk over all flows is cut into turns, and flows begin and end in between. A flow
 * never changes its place in the table, so a walk from the first place to the last shows
 * none twice. Flows that begin during the walk are left out: they may appear behind it as
 * fast as it goes, and "kill" is about the flows that there were.
 */

#include "flowlist.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "jsonline.h"

#define REF_STRLEN	24		/* "NUMBER.GENERATION" */
#define WORD_SHOWN	64		/* characters of a word in messages */

/* Conditions */
enum key { KEY_PROTO, KEY_RULE, KEY_SRC, KEY_DST, KEY_PORT, KEYS };

/* Filters ---------------------------------------------------------------- */

/* Parse a number from @text up to @end; false if there is none or it is over @max */
static bool number(const char *text, const char *end, uint32_t max, uint32_t *n)
{
	uint64_t v = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
		if (v > max)
			return false;
	}
	*n = (uint32_t)v;
	return true;
}

static bool whole_number(const char *text, uint32_t max, uint32_t *n)
{
	return number(text, text + strlen(text), max, n);
}

/* Parse "NUMBER.GENERATION", or a number alone: @gen is 0 then */
static bool rule_of(const char *text, uint16_t *rule, uint32_t *gen)
{
	const char *end = strchrnul(text, '.');
	uint32_t n;

	*gen = 0;
	if (!number(text, end, RULES_MAX - 1, &n))
		return false;
	*rule = (uint16_t)n;
	return !*end || (whole_number(end + 1, UINT32_MAX, gen) && *gen);
}

static bool proto_of(const char *text, uint8_t *proto)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} names[] = {
		{ "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP },
		{ "icmp", IPPROTO_ICMP },
	};
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(text, names[i].name)) {
			*proto = names[i].proto;
			return true;
		}
	return false;
}

/* Parse "ADDR" or "ADDR/LEN" */
static bool net_of(const char *text, struct flowlist_net *net)
{
	const char *slash = strchr(text, '/');
	char addr[INANY_STRLEN];
	uint32_t len, max;
	size_t n = slash ? (size_t)(slash - text) : strlen(text);

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (!inany_pton(addr, &net->addr))
		return false;
	max = len = inany_is_v4(&net->addr) ? 32 : 128;
	if (slash && !whole_number(slash + 1, max, &len))
		return false;
	net->len = (uint8_t)len;
	net->given = true;
	return true;
}

/* Set one condition; false if the value is wrong */
static bool condition(struct flowlist_filter *f, enum key which,
		      const char *value)
{
	uint32_t n;

	switch (which) {
	case KEY_PROTO:
		return proto_of(value, &f->proto);
	case KEY_RULE:
		f->has_rule = rule_of(value, &f->rule, &f->rule_gen);
		return f->has_rule;
	case KEY_SRC:
		return net_of(value, &f->src);
	case KEY_DST:
		return net_of(value, &f->dst);
	default:
		f->has_port = whole_number(value, 65535, &n) && n;
		f->port = f->has_port ? (uint16_t)n : 0;
		return f->has_port;
	}
}

/* Make a sentence about a word; @expected may be NULL */
static bool filter_wrong(char error[FLOWLIST_TEXT], const char *word,
			 const char *problem, const char *expected)
{
	snprintf(error, FLOWLIST_TEXT, "'%.*s' %s%s%s", WORD_SHOWN, word,
		 problem, expected ? ": expected " : "",
		 expected ? expected : "");
	return false;
}

/**
 * flowlist_parse() - Parse a filter: "proto tcp dst 192.0.2.0/24"
 * @word, @n:	Its words
 * @f:		Set
 * @error:	Set to a sentence on failure
 *
 * Return: true on success
 */
bool flowlist_parse(char *const *word, unsigned n, struct flowlist_filter *f,
		    char error[FLOWLIST_TEXT])
{
	static const struct {
		const char *name, *expected;
	} key[KEYS] = {
		[KEY_PROTO] = { "proto", "tcp, udp or icmp" },
		[KEY_RULE] = { "rule", "the number of a rule, as in 12 or 12.17" },
		[KEY_SRC] = { "src", "an address or network" },
		[KEY_DST] = { "dst", "an address or network" },
		[KEY_PORT] = { "port", "a port from 1 to 65535" },
	};
	unsigned i, k, seen = 0;

	*f = (struct flowlist_filter){ 0 };
	for (i = 0; i < n; i += 2) {
		for (k = 0; k < KEYS && strcmp(word[i], key[k].name); k++)
			;
		if (k == KEYS)
			return filter_wrong(error, word[i], "is no condition",
					    "proto, rule, src, dst or port");
		if (seen & 1U << k)
			return filter_wrong(error, word[i], "is given twice", NULL);
		if (i + 1 == n)
			return filter_wrong(error, word[i], "lacks a value",
					    key[k].expected);
		if (!condition(f, k, word[i + 1]))
			return filter_wrong(error, word[i + 1], "is not valid",
					    key[k].expected);
		seen |= 1U << k;
	}
	return true;
}

/* flowlist_is_empty() - Has a filter no condition? */
bool flowlist_is_empty(const struct flowlist_filter *f)
{
	return !f->proto && !f->has_rule && !f->has_port &&
	       !f->src.given && !f->dst.given;
}

static bool rule_matches(const struct flowlist_filter *f,
			 const struct flowlist_flow *l)
{
	return !f->has_rule ||
	       (l->rule_gen && l->rule == f->rule &&
		(!f->rule_gen || l->rule_gen == f->rule_gen));
}

static bool net_matches(const struct flowlist_net *net, const union inany *a)
{
	return !net->given || inany_prefix_equals(&net->addr, a, net->len);
}

/**
 * flowlist_matches() - Do all conditions hold for a flow?
 * @f:		Filter
 * @l:		The flow
 */
bool flowlist_matches(const struct flowlist_filter *f,
		      const struct flowlist_flow *l)
{
	if (f->proto && f->proto != l->proto)
		return false;
	if (f->has_port && (l->proto == IPPROTO_ICMP ||
			    (f->port != l->sport && f->port != l->dport &&
			     f->port != l->to)))
		return false;
	return rule_matches(f, l) && net_matches(&f->src, &l->src) &&
	       net_matches(&f->dst, &l->dst);
}

/* Flows ------------------------------------------------------------------ */

/**
 * flowlist_describe() - Copy from a flow what is listed of it
 * @t:		The table
 * @f:		The flow
 * @now_ms:	Time, CLOCK_MONOTONIC
 * @l:		Set
 */
void flowlist_describe(const struct flow_table *t, const struct flow *f,
		       uint64_t now_ms, struct flowlist_flow *l)
{
	const struct flowside *ini = &f->side[INI], *tgt = &f->side[TGT];
	bool echo = f->class == FLOW_ECHO;
	struct flow_state s;

	flow_state(t, f, &s);
	*l = (struct flowlist_flow){
		.index = flow_index(t, f), .gen = f->timer.ref.gen,
		.proto = echo ? IPPROTO_ICMP : f->proto,
		.path = (uint8_t)flow_path(f),
		.rule = f->rule, .rule_gen = f->rule_gen, .state = s.name,
		.age = (uint32_t)(now_ms / 1000) - f->start_s,
		.bytes = { f->bytes[0], f->bytes[1] },
		.src = ini->eaddr, .sport = ini->eport,
		.dst = inany_is_set(&s.dst) ? s.dst : ini->oaddr,
		.dport = echo ? 0 : ini->oport,
		.target = tgt->eaddr, .to = echo ? 0 : tgt->eport,
	};
}

static void put_flow_end(struct jsonline *j, const char *name,
			 const union inany *a, const char *port_name,
			 uint16_t port)
{
	char buf[INANY_STRLEN];

	if (inany_is_set(a))
		jsonline_str(j, name, inany_ntop(a, buf, sizeof(buf)));
	if (port)
		jsonline_num(j, port_name, port);
}

/**
 * flowlist_fields() - Add the fields of a flow to a line
 * @j:		The line, begun
 * @l:		The flow
 */
void flowlist_fields(struct jsonline *j, const struct flowlist_flow *l)
{
	char ref[REF_STRLEN];

	snprintf(ref, sizeof(ref), "%u.%u", l->index, l->gen);
	jsonline_str(j, "flow", ref);
	jsonline_str(j, "proto", l->proto == IPPROTO_TCP ? "tcp" :
				 l->proto == IPPROTO_UDP ? "udp" : "icmp");
	put_flow_end(j, "src", &l->src, "sport", l->sport);
	put_flow_end(j, "dst", &l->dst, "dport", l->dport);
	if (!inany_equals(&l->target, &l->dst) || l->to != l->dport)
		put_flow_end(j, "target", &l->target, "to", l->to);
	jsonline_str(j, "path", l->path == FLOW_TAP ? "tap" : "bypass");
	jsonline_str(j, "state", l->state);
	jsonline_num(j, "age", l->age);
	jsonline_num(j, "in", l->bytes[TO_GUEST]);
	jsonline_num(j, "out", l->bytes[FROM_GUEST]);
	if (l->rule_gen) {
		jsonline_num(j, "rule", l->rule);
		jsonline_num(j, "made", l->rule_gen);
	} else {
		jsonline_null(j, "rule");
	}
}

/**
 * flowlist_rtt() - Add the round-trip time of a flow, if the kernel knows one
 * @j:		The line
 * @t:		The table
 * @f:		The flow, which has not ended
 */
/* #syscalls getsockopt */
void flowlist_rtt(struct jsonline *j, const struct flow_table *t,
		  const struct flow *f)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	struct flow_state s;

	flow_state(t, f, &s);
	if (s.sock >= 0 &&
	    !getsockopt(s.sock, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	    info.tcpi_rtt)
		jsonline_num(j, "rtt", info.tcpi_rtt);
}

/* Walks ------------------------------------------------------------------ */

/* flowlist_begin() - Begin a walk */
void flowlist_begin(struct flowlist_cursor *c, const struct flow_table *t,
		    uint64_t now_ms)
{
	*c = (struct flowlist_cursor){
		.end = t->high, .start_s = (uint32_t)(now_ms / 1000),
	};
}

/* flowlist_done() - Has a walk come to its end? */
bool flowlist_done(const struct flowlist_cursor *c)
{
	return c->next >= c->end;
}

/**
 * flowlist_next() - Find the next flow that matches
 * @t:		The table
 * @c:		Place in the walk
 * @f:		Filter
 * @now_ms:	Time, CLOCK_MONOTONIC
 * @budget:	Entries that may be looked at, FLOWLIST_ENTRIES a turn; counted down
 * @l:		Set to its description
 *
 * Return: the flow, NULL at the end or if the budget is used up: see flowlist_done()
 */
struct flow *flowlist_next(struct flow_table *t, struct flowlist_cursor *c,
			   const struct flowlist_filter *f, uint64_t now_ms,
			   unsigned *budget, struct flowlist_flow *l)
{
	struct flow *flow;

	while (!flowlist_done(c) && *budget) {
		--*budget;
		flow = flow_at(t, c->next++);
		if (!flow || flow->shared || flow->start_s > c->start_s)
			continue;
		flowlist_describe(t, flow, now_ms, l);
		if (flowlist_matches(f, l))
			return flow;
	}
	return NULL;
}

/**
 * flowlist_ref() - Parse the name of a flow: "812.40"
 * @text:	The name
 * @index, @gen:	Set to number and generation
 *
 * Return: false if it is none
 */
bool flowlist_ref(const char *text, uint32_t *index, uint32_t *gen)
{
	const char *dot = strchr(text, '.');

	return dot && number(text, dot, FLOW_MAX - 1, index) &&
	       whole_number(dot + 1, UINT32_MAX, gen);
}
