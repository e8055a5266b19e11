/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports.c - Port specifications of -t, -u, -T and -U to rules
 *
 *	SPEC	none | [HEAD/]ITEM[,ITEM]...
 *	HEAD	ADDR or "*", %IFNAME, or both; ADDR may be in brackets
 *	ITEM	RANGE	these ports, to the same ones
 *		RANGE:RANGE	to those, one by one
 *		~RANGE	not these, wherever it stands in the list
 *		all	all but the ephemeral ones, as far as possible (passt)
 *		auto	while somebody listens on the other side (pasta)
 *	RANGE	PORT or FIRST-LAST
 *
 * The address "::" stands for all of IPv6, "0.0.0.0" for all of IPv4, "*" or none
 * for all of both families. So the first two may have the same port.
 *
 * A list of exclusions alone stands for "all" or "auto" without them. The
 * specifications of one letter add up from left to right, "none" forgets those
 * before it, so that a user's option overrides the default of a caller.
 *
 * Rules that name their ports never overlap where their addresses and
 * interfaces do: what is given twice is taken once, by the wider of the two,
 * and with two targets it is an error. The others, @weak or @scan, may overlap
 * with anything: who binds the ports lets the ones that name them go first.
 */

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "inany.h"
#include "log.h"
#include "ports.h"
#include "util.h"

#define PORT_MAX	65535U
#define SPEC_SHOWN	64		/* characters in messages */
#define ITEM_SHOWN	32

/* A set of ports */
struct ports {
	uint8_t b[(PORT_MAX + 1) / 8];
};

/* Part of a specification */
struct text {
	const char *s;
	size_t len;
};

struct range {
	unsigned first, last;
};

/**
 * struct spec - A specification that is being parsed
 * @c:		Where the rules go
 * @spec:	As given
 * @rule:	What all of its rules have in common
 * @skip:	Ports that are excluded
 * @skips:	There are such
 * @names:	There are other items
 * @error:	Message, if something is wrong
 * @size:	Bytes of @error
 */
struct spec {
	struct conf *c;
	const char *spec;
	struct fwd_rule rule;
	struct ports skip;
	bool skips, names;
	char *error;
	size_t size;
};

static void ports_add(struct ports *s, unsigned first, unsigned last)
{
	for (unsigned port = first; port <= last; port++)
		s->b[port / 8] |= 1 << port % 8;
}

static bool ports_has(const struct ports *s, unsigned port)
{
	return s->b[port / 8] & 1 << port % 8;
}

/* Messages ----------------------------------------------------------------- */

static const char *option_name(const struct fwd_rule *r)
{
	if (r->proto == IPPROTO_TCP)
		return r->from_ns ? "tcp-ns" : "tcp-ports";
	return r->from_ns ? "udp-ns" : "udp-ports";
}

static const char *dots(size_t len, size_t shown)
{
	return len > shown ? "..." : "";
}

/* fail() - Say what is wrong with the specification of a rule */
__attribute__((format(printf, 4, 5)))
static int fail(const struct fwd_rule *r, char *error, size_t size,
		const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(error, size, "Invalid value '%.*s%s' for --%s: ",
			 SPEC_SHOWN, r->spec,
			 dots(strlen(r->spec), SPEC_SHOWN), option_name(r));

	if (n < 0 || (size_t)n >= size)
		n = 0;			/* the reason is worth more */
	va_start(ap, fmt);
	vsnprintf(error + n, size - n, fmt, ap);
	va_end(ap);
	util_one_line(error);
	return -EINVAL;
}

#define spec_fail(s, ...)	fail(&(s)->rule, (s)->error, (s)->size, \
				     __VA_ARGS__)

/* The item and what is wrong with it: @why goes on after it */
static int item_fail(struct spec *s, struct text t, const char *why)
{
	size_t n = t.len > ITEM_SHOWN ? ITEM_SHOWN : t.len;

	return spec_fail(s, "'%.*s%s' %s", (int)n, t.s,
			 dots(t.len, ITEM_SHOWN), why);
}

/* Rules -------------------------------------------------------------------- */

static bool same_letter(const struct fwd_rule *a, const struct fwd_rule *b)
{
	return a->proto == b->proto && a->from_ns == b->from_ns;
}

static bool names_ports(const struct fwd_rule *r)
{
	return !r->weak && !r->scan;
}

static void rule_remove(struct conf *c, unsigned i)
{
	c->nrules--;
	memmove(&c->rules[i], &c->rules[i + 1],
		(c->nrules - i) * sizeof(c->rules[0]));
}

static bool rule_push(struct conf *c, const struct fwd_rule *r)
{
	if (c->nrules == CONF_RULES_MAX)
		return false;
	c->rules[c->nrules++] = *r;
	return true;
}

/* Take these ports from a rule, what is behind them becomes the last rule */
static bool rule_cut(struct conf *c, unsigned i, unsigned first, unsigned last)
{
	struct fwd_rule *r = &c->rules[i], tail = *r;
	bool before = r->first < first, after = r->last > last;

	if (after) {
		tail.to = r->to + (last + 1 - r->first);
		tail.first = last + 1;
	}
	if (before)
		r->last = first - 1;
	else if (after)
		*r = tail;
	else
		rule_remove(c, i);
	return !before || !after || rule_push(c, &tail);
}

static void forget_letter(struct conf *c, const struct fwd_rule *like)
{
	for (unsigned i = c->nrules; i-- > 0; )
		if (same_letter(&c->rules[i], like))
			rule_remove(c, i);
}

/* Neither of one address nor of one family */
static bool binds_all(const struct fwd_rule *r)
{
	return !inany_is_set(&r->addr) && !r->only6;
}

/* All addresses of @b are among those of @a */
static bool addr_covers(const struct fwd_rule *a, const struct fwd_rule *b)
{
	if (binds_all(a) || fwd_rule_same_addr(a, b))
		return true;
	return inany_is_unspecified(&a->addr) && !binds_all(b) &&
	       inany_is_v4(&a->addr) == inany_is_v4(&b->addr);
}

static bool if_covers(const char *a, const char *b)
{
	return !*a || !strcmp(a, b);
}

static bool rule_covers(const struct fwd_rule *a, const struct fwd_rule *b)
{
	return addr_covers(a, b) && if_covers(a->ifname, b->ifname);
}

/* Some packets would be for both */
static bool rules_overlap(const struct fwd_rule *a, const struct fwd_rule *b)
{
	return same_letter(a, b) &&
	       a->first <= b->last && b->first <= a->last &&
	       (addr_covers(a, b) || addr_covers(b, a)) &&
	       (if_covers(a->ifname, b->ifname) ||
		if_covers(b->ifname, a->ifname));
}

static bool rule_is_there(const struct conf *c, const struct fwd_rule *r)
{
	for (const struct fwd_rule *o = c->rules; o < c->rules + c->nrules; o++)
		if (same_letter(o, r) && o->scan == r->scan &&
		    o->weak == r->weak && o->first == r->first &&
		    o->last == r->last && fwd_rule_same_addr(o, r) &&
		    !strcmp(o->ifname, r->ifname))
			return true;
	return false;
}

static int too_many(struct spec *s)
{
	return spec_fail(s, "more than %d rules for ports", CONF_RULES_MAX);
}

static int conflict(struct spec *s, const struct fwd_rule *old,
		    const struct fwd_rule *new, unsigned port)
{
	return spec_fail(s, "port %u leads to %u, conflicts with '%.*s%s',"
			 " where it leads to %u", port,
			 port - new->first + new->to, SPEC_SHOWN, old->spec,
			 dots(strlen(old->spec), SPEC_SHOWN),
			 port - old->first + old->to);
}

typedef int run_fn(struct spec *s, const struct fwd_rule *r);

/* For each run of its ports that are not in @without, as a rule */
static int for_each_run(struct spec *s, const struct fwd_rule *r,
			const struct ports *without, run_fn *fn)
{
	struct fwd_rule run = *r;
	unsigned port = r->first;
	int ret = 0;

	while (!ret && port <= r->last) {
		if (ports_has(without, port)) {
			port++;
			continue;
		}
		run.first = port;
		run.to = port - r->first + r->to;
		while (port < r->last && !ports_has(without, port + 1))
			port++;
		run.last = port++;
		ret = fn(s, &run);
	}
	return ret;
}

/* Let one of two rules have the ports that both name; @have: not the new one */
static int settle_overlap(struct spec *s, unsigned i,
			  const struct fwd_rule *new, struct ports *have)
{
	const struct fwd_rule *old = &s->c->rules[i];
	unsigned first = old->first > new->first ? old->first : new->first;
	unsigned last = old->last < new->last ? old->last : new->last;

	if (old->to - old->first != new->to - new->first)
		return conflict(s, old, new, first);
	if (rule_covers(old, new))
		ports_add(have, first, last);
	else if (rule_covers(new, old) && !rule_cut(s->c, i, first, last))
		return too_many(s);
	return 0;
}

static int push_rule(struct spec *s, const struct fwd_rule *r)
{
	return rule_push(s->c, r) ? 0 : too_many(s);
}

static int add_named(struct spec *s, const struct fwd_rule *r)
{
	struct ports have = { 0 };

	for (unsigned i = s->c->nrules; i-- > 0; ) {
		const struct fwd_rule *old = &s->c->rules[i];

		if (names_ports(old) && rules_overlap(old, r) &&
		    settle_overlap(s, i, r, &have))
			return -EINVAL;
	}
	return for_each_run(s, r, &have, push_rule);
}

static int add_unnamed(struct spec *s, const struct fwd_rule *r)
{
	return rule_is_there(s->c, r) ? 0 : push_rule(s, r);
}

/* "all" or "auto" */
static int add_rest(struct spec *s)
{
	struct fwd_rule r = s->rule;

	r.weak = true;
	r.scan = s->c->mode == MODE_PASTA;
	r.first = r.to = 1;
	r.last = PORT_MAX;
	if (!s->skips)
		return add_unnamed(s, &r);
	return for_each_run(s, &r, &s->skip, add_unnamed);
}

/* Items -------------------------------------------------------------------- */

static bool text_is(struct text t, const char *s)
{
	return t.len == strlen(s) && !memcmp(t.s, s, t.len);
}

/* Up to @c or the end; @rest: what follows @c, NULL in it if there is none */
static struct text text_split(struct text t, char c, struct text *rest)
{
	const char *at = memchr(t.s, c, t.len);

	*rest = (struct text){ 0 };
	if (at) {
		rest->s = at + 1;
		rest->len = t.len - (at + 1 - t.s);
		t.len = at - t.s;
	}
	return t;
}

static bool parse_port(struct text t, unsigned *port)
{
	*port = 0;
	for (size_t i = 0; i < t.len; i++) {
		if (t.s[i] < '0' || t.s[i] > '9')
			return false;
		*port = *port * 10 + (t.s[i] - '0');
		if (*port > PORT_MAX)
			return false;
	}
	return *port;
}

static int parse_range(struct spec *s, struct text t, struct range *r)
{
	struct text last, first = text_split(t, '-', &last);

	if (!t.len || !first.len || (last.s && !last.len))
		return item_fail(s, t, "lacks a port");
	if (!parse_port(first, &r->first))
		return item_fail(s, first, "is no port: expected 1 to 65535");
	r->last = r->first;
	if (last.s && !parse_port(last, &r->last))
		return item_fail(s, last, "is no port: expected 1 to 65535");
	if (r->last < r->first)
		return item_fail(s, t, "is a range that ends before it starts");
	return 0;
}

static int parse_exclusion(struct spec *s, struct text t)
{
	struct text range = { t.s + 1, t.len - 1 };
	struct range r;

	if (memchr(t.s, ':', t.len))
		return item_fail(s, t, "excludes ports, these lead nowhere");
	if (!range.len)
		return item_fail(s, t, "lacks a port");
	if (parse_range(s, range, &r))
		return -EINVAL;
	ports_add(&s->skip, r.first, r.last);
	s->skips = true;
	return 0;
}

/* RANGE or RANGE:RANGE */
static int parse_mapping(struct spec *s, struct text t, struct range *from,
			 struct range *to)
{
	struct text right, left = text_split(t, ':', &right);

	if (right.s && (!left.len || !right.len))
		return item_fail(s, t, "lacks a port");
	if (right.s && memchr(right.s, ':', right.len))
		return item_fail(s, t, "has more than one ':'");
	if (parse_range(s, left, from))
		return -EINVAL;
	*to = *from;
	if (right.s && parse_range(s, right, to))
		return -EINVAL;
	if (to->last - to->first != from->last - from->first)
		return item_fail(s, t, "has two ranges of different lengths");
	return 0;
}

/* "all" or "auto", whichever there is in this mode */
static int check_rest(struct spec *s, struct text t)
{
	bool pasta = s->c->mode == MODE_PASTA;

	if (text_is(t, "all") && pasta)
		return item_fail(s, t, "is for passt mode only,"
				 " pasta has 'auto'");
	if (text_is(t, "auto") && !pasta)
		return item_fail(s, t, "is for pasta mode only,"
				 " passt has 'all'");
	return 0;
}

static bool is_rest(struct text t)
{
	return text_is(t, "all") || text_is(t, "auto");
}

/* What is wrong with it, and what it excludes */
static int check_item(struct spec *s, struct text t)
{
	struct range from, to;

	if (!t.len)
		return spec_fail(s, "an item of the list is empty");
	if (*t.s == '~')
		return parse_exclusion(s, t);
	s->names = true;
	if (is_rest(t))
		return check_rest(s, t);
	if (text_is(t, "none"))
		return spec_fail(s, "'none' stands alone");
	return parse_mapping(s, t, &from, &to);
}

static int add_item(struct spec *s, struct text t)
{
	struct fwd_rule r = s->rule;
	struct range from = { 0 }, to = { 0 };

	if (*t.s == '~')
		return 0;
	if (is_rest(t))
		return add_rest(s);
	if (parse_mapping(s, t, &from, &to))
		return -EINVAL;
	r.first = from.first;
	r.last = from.last;
	r.to = to.first;
	return for_each_run(s, &r, &s->skip, add_named);
}

static int for_each_item(struct spec *s, struct text list,
			 int (*fn)(struct spec *s, struct text t))
{
	struct text rest = list;
	int ret = 0;

	while (!ret && rest.s) {
		struct text t = text_split(rest, ',', &rest);

		ret = fn(s, t);
	}
	return ret;
}

/* Head --------------------------------------------------------------------- */

static int parse_addr(struct spec *s, struct text t)
{
	char text[INANY_STRLEN];
	union inany *a = &s->rule.addr;

	if (t.len >= sizeof(text))
		return item_fail(s, t, "is no address");
	memcpy(text, t.s, t.len);
	text[t.len] = 0;
	if (strlen(text) != t.len || !inany_pton(text, a) ||
	    (inany_is_v4(a) && strchr(text, ':')))
		return item_fail(s, t, "is no address");
	if (!inany_is_unicast(a) && !inany_is_unspecified(a))
		return item_fail(s, t, "is no unicast address");
	s->rule.only6 = !inany_is_set(a);
	return 0;
}

static int parse_ifname(struct spec *s, struct text t)
{
	char *name = s->rule.ifname;

	if (!t.len)
		return spec_fail(s, "the name of an interface is missing"
				 " after '%%'");
	if (t.len < IFNAMSIZ) {
		memcpy(name, t.s, t.len);
		name[t.len] = 0;
	}
	if (t.len >= IFNAMSIZ || !util_is_ifname(name))
		return item_fail(s, t, "is no name of an interface");
	return 0;
}

/* [ADDR] without its brackets */
static int unbracket(struct spec *s, struct text *addr)
{
	bool left = addr->len && addr->s[0] == '[';
	bool right = addr->len && addr->s[addr->len - 1] == ']';

	if (left != right)
		return item_fail(s, *addr, "has one bracket without the other");
	if (left) {
		addr->s++;
		addr->len -= 2;
	}
	return left && !addr->len ?
	       spec_fail(s, "there is no address in the brackets") : 0;
}

/* What precedes the slash */
static int parse_head(struct spec *s, struct text head)
{
	struct text ifname, addr = text_split(head, '%', &ifname);

	if (!head.len)
		return spec_fail(s, "no address or interface before '/'");
	if (s->rule.from_ns)
		return item_fail(s, head, "is too much: expected ports alone,"
				 " without address and interface");
	if (unbracket(s, &addr))
		return -EINVAL;
	if (addr.len && !text_is(addr, "*") && parse_addr(s, addr))
		return -EINVAL;
	return ifname.s ? parse_ifname(s, ifname) : 0;
}

/* Specifications ----------------------------------------------------------- */

static int parse_spec(struct spec *s)
{
	struct text all = { s->spec, strlen(s->spec) };
	struct text list, head = text_split(all, '/', &list);
	int ret;

	if (!list.s && strpbrk(s->spec, ".[%"))
		return spec_fail(s, "an address or interface is followed by"
				 " '/' and ports");
	if (list.s && parse_head(s, head))
		return -EINVAL;
	if (!list.s)
		list = all;
	if (!list.len)
		return spec_fail(s, "no ports: expected a list of them, %s",
				 s->c->mode == MODE_PASTA ? "'auto' or 'none'" :
				 "'all' or 'none'");
	ret = for_each_item(s, list, check_item);
	if (!ret)
		ret = for_each_item(s, list, add_item);
	if (!ret && !s->names)
		ret = add_rest(s);
	return ret;
}

/**
 * ports_parse() - Add the rules of one specification
 * @c:		Mode is set; the rules change
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @from_ns:	-T or -U, not -t or -u
 * @spec:	As given, must stay
 * @error:	Set if something is wrong: one line with the specification
 * @size:	Bytes of @error
 *
 * Return: 0, or -EINVAL
 */
int ports_parse(struct conf *c, uint8_t proto, bool from_ns, const char *spec,
		char *error, size_t size)
{
	struct spec s = {
		.c = c, .spec = spec, .error = error, .size = size,
		.rule = { .proto = proto, .from_ns = from_ns, .spec = spec },
	};

	if (!strcmp(spec, "none")) {
		forget_letter(c, &s.rule);
		return 0;
	}
	return parse_spec(&s);
}

/* Why a rule can't be, with all that is known now; NULL if it can */
static const char *rule_problem(const struct conf *c, const struct fwd_rule *r)
{
	bool v4 = inany_is_v4(&r->addr), given = !binds_all(r);
	bool fd = c->netns_kind == NETNS_FD && c->mode == MODE_PASTA;

	if (given && v4 && !c->ip4.enabled)
		return "an IPv4 address, and there is no IPv4";
	if (given && !v4 && !c->ip6.enabled)
		return "an IPv6 address, and there is no IPv6";
	if (r->from_ns && c->no_splice)
		return "not with --no-splice";
	if (r->from_ns && fd)
		return "not with --fd: expected 'none'";
	if (r->scan && fd)
		return "not with --fd: expected 'none' or ports";
	return NULL;
}

/* Does this rule listen on an address of the host's loopback that a rule of the
 * namespace leads to? That of a connection is kept where loopback leads to loopback */
static bool on_loopback(const struct conf *c, const struct fwd_rule *r)
{
	bool kept = c->host_lo_to_ns_lo || c->splice_only;

	return (inany_is_unspecified(&r->addr) ||
		(kept && inany_is_loopback(&r->addr))) &&
	       (!*r->ifname || !strcmp(r->ifname, "lo"));
}

/* Does what @in brings to the namespace come back by @out, without an end? */
static bool rules_loop(const struct conf *c, const struct fwd_rule *in,
		       const struct fwd_rule *out)
{
	int last = in->to + (in->last - in->first);

	return in->proto == out->proto && !in->from_ns && out->from_ns &&
	       names_ports(in) && names_ports(out) && on_loopback(c, in) &&
	       in->to - in->first == out->first - out->to &&
	       in->to <= out->last && out->first <= last;
}

static int check_loops(const struct conf *c, const struct fwd_rule *out,
		       char *error, size_t size)
{
	for (unsigned i = 0; i < c->nrules; i++) {
		const struct fwd_rule *in = &c->rules[i];

		if (rules_loop(c, in, out))
			return fail(out, error, size,
				    "leads back to the namespace by --%s %.*s",
				    option_name(in), ITEM_SHOWN, in->spec);
	}
	return 0;
}

/**
 * ports_check() - Do the rules fit the other options?
 * @c:		All options are set. Rules of a protocol that is switched off
 *		are removed
 * @error:	Set if they don't: one line
 * @size:	Bytes of @error
 *
 * Return: 0, or -EINVAL
 */
int ports_check(struct conf *c, char *error, size_t size)
{
	for (unsigned i = c->nrules; i-- > 0; ) {
		const struct fwd_rule *r = &c->rules[i];
		const char *problem = rule_problem(c, r);

		if (r->proto == IPPROTO_TCP ? c->no_tcp : c->no_udp)
			rule_remove(c, i);
		else if (problem)
			return fail(r, error, size, "%s", problem);
	}
	for (unsigned i = 0; i < c->nrules; i++) {
		if (check_loops(c, &c->rules[i], error, size))
			return -EINVAL;
	}
	return 0;
}

/**
 * ports_check_interfaces() - Are the interfaces there that ports are bound to?
 * @c:		Configuration
 * @error:	Set if one is missing: one line
 * @size:	Bytes of @error
 *
 * Return: 0, or -EINVAL
 */
int ports_check_interfaces(const struct conf *c, char *error, size_t size)
{
	for (unsigned i = 0; i < c->nrules; i++) {
		const struct fwd_rule *r = &c->rules[i];

		if (*r->ifname && !if_nametoindex(r->ifname) && errno == ENODEV)
			return fail(r, error, size,
				    "there is no interface '%s'", r->ifname);
	}
	return 0;
}

/**
 * ports_skip_ephemeral() - Keep the host's ephemeral ports out of "all"
 * @c:		Configuration, its rules are cut
 * @first, @last:	Ephemeral ports of the host
 *
 * Connections of the host take their own ports from that range.
 *
 * Return: 0, or -ENOSPC if there is no room for the rules
 */
int ports_skip_ephemeral(struct conf *c, uint16_t first, uint16_t last)
{
	for (unsigned i = c->nrules; i-- > 0; ) {
		const struct fwd_rule *r = &c->rules[i];

		if (r->weak && !r->scan && r->first <= last &&
		    r->last >= first && !rule_cut(c, i, first, last))
			return -ENOSPC;
	}
	return 0;
}

/* Telling ------------------------------------------------------------------ */

static const char *range_text(unsigned first, unsigned last, char buf[12])
{
	if (first == last)
		snprintf(buf, 12, "%u", first & PORT_MAX);
	else
		snprintf(buf, 12, "%u-%u", first & PORT_MAX, last & PORT_MAX);
	return buf;
}

static void print_rule(const struct fwd_rule *r)
{
	char addr[INANY_STRLEN] = "*", from[12], to[12];

	if (!binds_all(r))
		inany_ntop(&r->addr, addr, sizeof(addr));
	info("    [%s]%s%s:%s  =>  %s%s%s", addr, *r->ifname ? "%" : "",
	     r->ifname, range_text(r->first, r->last, from),
	     range_text(r->to, r->to + (r->last - r->first), to),
	     r->weak ? " (best effort)" : "", r->scan ? " (auto-scan)" : "");
}

static void print_letter(const struct conf *c, uint8_t proto, bool from_ns)
{
	bool any = false;

	for (unsigned i = 0; i < c->nrules; i++) {
		const struct fwd_rule *r = &c->rules[i];

		if (r->proto != proto || r->from_ns != from_ns)
			continue;
		if (!any)
			info("%s %s forwarding:",
			     from_ns ? "Outbound" : "Inbound",
			     proto == IPPROTO_TCP ? "TCP" : "UDP");
		any = true;
		print_rule(r);
	}
}

/**
 * ports_print() - Tell the user which ports lead where
 * @c:		Configuration
 */
void ports_print(const struct conf *c)
{
	print_letter(c, IPPROTO_TCP, false);
	print_letter(c, IPPROTO_UDP, false);
	print_letter(c, IPPROTO_TCP, true);
	print_letter(c, IPPROTO_UDP, true);
}
