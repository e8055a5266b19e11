/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports.c - From port specifications of -t, -u, -T and -U to rules
 *
 *	SPEC	none | [HEAD/]ITEM[,ITEM]...
 *	HEAD	ADDR or "*", %IFNAME, or both; ADDR may be in brackets
 *	ITEM	RANGE	these ports, to the same ones
 *		RANGE:RANGE	the first ports to the second ones, one by one
 *		RANGE:TO	to the same ports of another address
 *		RANGE:TO/RANGE	to other ports of another address
 *		~RANGE	not these ports, wherever it stands in the list
 *		all	all but ephemeral ports, as far as possible
 *		all:TO	all these ports to another address
 *		auto	ports while the other side has a listener (pasta)
 *	RANGE	PORT or FIRST-LAST
 *	TO	Address on the guest's side, of the family of ADDR
 *
 * The address "::" stands for all of IPv6, "0.0.0.0" for all of IPv4, "*" or no
 * address for all of both families. So the first two may have the same port.
 *
 * A list of exclusions alone stands for "all" without them. The specifications of one
 * letter add up from left to right. "none" removes the rules of the specifications
 * before it, so that a user's option overrides a caller's default.
 */

#include "ports.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "inany.h"
#include "log.h"
#include "util.h"

#define PORT_MAX	(PORTMAP_PORTS - 1)
#define SPEC_SHOWN	64		/* characters in messages */
#define ITEM_SHOWN	32
#define NEEDS_ADDR	"needs an address to bind before it, of the same" \
			" family: "

/* Part of a specification */
struct text {
	const char *s;
	size_t len;
};

struct range {
	unsigned first, last;
};

/**
 * struct mapping - Ports of an item of the list, and where they lead
 * @from, @to:	Ports, as many on both sides
 * @addr:	Target address, unset: none given
 */
struct mapping {
	struct range from, to;
	union inany addr;
};

/**
 * struct spec - State of parsing a specification
 * @rules:	Table that the rules are added to
 * @pasta:	Mode
 * @spec:	Specification as given
 * @rule:	Template of its rules: kind, address, interface
 * @skip:	Ports that are excluded
 * @names:	The list has items other than exclusions
 * @error:	Message, if something is wrong
 * @size:	Bytes of @error
 */
struct spec {
	struct rules *rules;
	bool pasta;
	const char *spec;
	struct fwd_rule rule;
	struct portmap skip;
	bool names;
	char *error;
	size_t size;
};

/* Messages --------------------------------------------------------------- */

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
			 dots(strlen(r->spec), SPEC_SHOWN), rule_option(r));

	if (n < 0 || (size_t)n >= size)
		n = 0;			/* the reason is more useful */
	va_start(ap, fmt);
	vsnprintf(error + n, size - n, fmt, ap);
	va_end(ap);
	util_one_line(error);
	return -EINVAL;
}

#define spec_fail(s, ...)	fail(&(s)->rule, (s)->error, (s)->size, \
				     __VA_ARGS__)

/* item_fail() - Quote an item of the list; @why continues the sentence */
static int item_fail(struct spec *s, struct text t, const char *why)
{
	size_t n = t.len > ITEM_SHOWN ? ITEM_SHOWN : t.len;

	return spec_fail(s, "'%.*s%s' %s", (int)n, t.s,
			 dots(t.len, ITEM_SHOWN), why);
}

/* Rules ------------------------------------------------------------------ */

static int rule_fail(struct spec *s, enum rules_code code,
		     const struct rules_clash *clash)
{
	char reason[RULES_TEXT];

	return code ? fail(&clash->rule, s->error, s->size, "%s",
			   rules_text(code, clash, reason)) : 0;
}

/* Add the rules of "all", to address @to if that is set, or of "auto" (@scan) */
static int add_rest(struct spec *s, bool scan, const union inany *to)
{
	struct rules_clash clash;
	struct fwd_rule r = s->rule;

	r.weak = true;
	r.scan = scan;
	r.first = r.to = 1;
	r.last = PORT_MAX;
	r.to_addr = *to;
	return rule_fail(s, rules_add(s->rules, &r, &s->skip, &clash), &clash);
}

/* Text ------------------------------------------------------------------- */

static bool text_is(struct text t, const char *s)
{
	return t.len == strlen(s) && !memcmp(t.s, s, t.len);
}

/* Cut a text at @c; @rest gets the text behind it, with a NULL pointer without @c */
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

/* Addresses -------------------------------------------------------------- */

/* Remove the brackets of [ADDR] */
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

/* Parse an address that is no group, with or without brackets */
static int parse_addr(struct spec *s, struct text t, union inany *a)
{
	char text[INANY_STRLEN];

	if (unbracket(s, &t))
		return -EINVAL;
	if (t.len >= sizeof(text))
		return item_fail(s, t, "is no address");
	memcpy(text, t.s, t.len);
	text[t.len] = 0;
	if (strlen(text) != t.len || !inany_pton(text, a) ||
	    (inany_is_v4(a) && strchr(text, ':')))
		return item_fail(s, t, "is no address");
	if (!inany_is_unicast(a) && !inany_is_unspecified(a))
		return item_fail(s, t, "is no unicast address");
	return 0;
}

/* Parse a target address: one host, of the same family as the address to bind */
static int parse_to_addr(struct spec *s, struct text t, union inany *to)
{
	const struct fwd_rule *r = &s->rule;

	if (r->from_ns)
		return item_fail(s, t, "is too much: expected ports alone,"
				 " without address");
	if (parse_addr(s, t, to))
		return -EINVAL;
	if (inany_is_unspecified(to))
		return item_fail(s, t, "is no unicast address");
	if (rule_binds_all(r))
		return item_fail(s, t, inany_is_v4(to) ? NEEDS_ADDR "'0.0.0.0/...'" :
							 NEEDS_ADDR "'[::]/...'");
	if (inany_is_v4(to) != inany_is_v4(&r->addr))
		return item_fail(s, t, "is of another family than the address"
				 " before '/'");
	return 0;
}

/* Items ------------------------------------------------------------------ */

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
	portmap_add_range(&s->skip, r.first, r.last);
	return 0;
}

/* Parse the part behind the colon: RANGE, TO or TO/RANGE */
static int parse_target(struct spec *s, struct text t, struct mapping *m)
{
	struct text ports, addr = text_split(t, '/', &ports);

	if (!ports.s && !memchr(t.s, '.', t.len) && !memchr(t.s, ':', t.len))
		return parse_range(s, t, &m->to);
	if (parse_to_addr(s, addr, &m->addr))
		return -EINVAL;
	return ports.s ? parse_range(s, ports, &m->to) : 0;
}

/* Parse RANGE, alone or with a target */
static int parse_mapping(struct spec *s, struct text t, struct mapping *m)
{
	struct text right, left = text_split(t, ':', &right);

	if (right.s && (!left.len || !right.len))
		return item_fail(s, t, "lacks a port");
	*m = (struct mapping){ 0 };
	if (parse_range(s, left, &m->from))
		return -EINVAL;
	m->to = m->from;
	if (right.s && parse_target(s, right, m))
		return -EINVAL;
	if (m->to.last - m->to.first != m->from.last - m->from.first)
		return item_fail(s, t, "has two ranges of different lengths");
	return 0;
}

static bool is_rest(struct text t)
{
	struct text to;

	return text_is(t, "auto") || text_is(text_split(t, ':', &to), "all");
}

/* Parse "all", "all:TO" or "auto"; @to is left unset without an address */
static int parse_all_or_auto(struct spec *s, struct text t, union inany *to)
{
	struct text right;

	text_split(t, ':', &right);
	*to = (union inany){ 0 };
	if (text_is(t, "auto") && !s->pasta)
		return item_fail(s, t, "is for pasta mode only,"
				 " passt has 'all'");
	return right.s ? parse_to_addr(s, right, to) : 0;
}

/* Check an item, and note the ports that it excludes */
static int check_item(struct spec *s, struct text t)
{
	struct mapping m = { 0 };

	if (!t.len)
		return spec_fail(s, "an item of the list is empty");
	if (*t.s == '~')
		return parse_exclusion(s, t);
	s->names = true;
	if (is_rest(t))
		return parse_all_or_auto(s, t, &m.addr);
	if (text_is(t, "none"))
		return spec_fail(s, "'none' stands alone");
	return parse_mapping(s, t, &m);
}

static int add_item(struct spec *s, struct text t)
{
	struct fwd_rule r = s->rule;
	struct rules_clash clash;
	struct mapping m = { 0 };

	if (*t.s == '~')
		return 0;
	if (is_rest(t))
		return parse_all_or_auto(s, t, &m.addr) ? -EINVAL :
		       add_rest(s, text_is(t, "auto"), &m.addr);
	if (parse_mapping(s, t, &m))
		return -EINVAL;
	r.first = m.from.first;
	r.last = m.from.last;
	r.to = m.to.first;
	r.to_addr = m.addr;
	return rule_fail(s, rules_add(s->rules, &r, &s->skip, &clash), &clash);
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

/* Head ------------------------------------------------------------------- */

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

/* Parse the part before the slash */
static int parse_head(struct spec *s, struct text head)
{
	struct text ifname, addr = text_split(head, '%', &ifname);

	if (!head.len)
		return spec_fail(s, "no address or interface before '/'");
	if (s->rule.from_ns)
		return item_fail(s, head, "is too much: expected ports alone,"
				 " without address and interface");
	if (addr.len && !text_is(addr, "*")) {
		if (parse_addr(s, addr, &s->rule.addr))
			return -EINVAL;
		s->rule.only6 = !inany_is_set(&s->rule.addr);
	}
	return ifname.s ? parse_ifname(s, ifname) : 0;
}

/* Specifications --------------------------------------------------------- */

/* Does a text end with RANGE:ADDR or all:ADDR, and ADDR is one of IPv4? */
static bool is_bare_target(struct text t)
{
	const char *comma = memrchr(t.s, ',', t.len);
	struct text right, left;
	char addr[INET_ADDRSTRLEN];
	union inany a;

	if (comma)
		t = (struct text){ comma + 1, t.len - (comma + 1 - t.s) };
	left = text_split(t, ':', &right);
	if (!right.s || right.len >= sizeof(addr) ||
	    (!text_is(left, "all") && strspn(left.s, "0123456789-") != left.len))
		return false;
	memcpy(addr, right.s, right.len);
	addr[right.len] = 0;
	return inany_pton(addr, &a) && inany_is_v4(&a);
}

static int parse_spec(struct spec *s)
{
	static const union inany none;
	struct text all = { s->spec, strlen(s->spec) };
	struct text list, head = text_split(all, '/', &list);
	int ret;

	if (!s->rule.from_ns && is_bare_target(head))
		return item_fail(s, head, NEEDS_ADDR "'0.0.0.0/...'");
	if (!list.s && strpbrk(s->spec, ".[%"))
		return spec_fail(s, "an address or interface is followed by"
				 " '/' and ports");
	if (list.s && parse_head(s, head))
		return -EINVAL;
	if (!list.s)
		list = all;
	if (!list.len)
		return spec_fail(s, "no ports: expected a list of them, %s",
				 s->pasta ? "'all', 'auto' or 'none'" :
				 "'all' or 'none'");
	ret = for_each_item(s, list, check_item);
	if (!ret)
		ret = for_each_item(s, list, add_item);
	if (!ret && !s->names)
		ret = add_rest(s, false, &none);
	return ret;
}

/**
 * ports_parse() - Add the rules of one specification
 * @rules:	Table that the rules are added to
 * @pasta:	We run as pasta, not as passt
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @from_ns:	-T or -U, not -t or -u
 * @spec:	Specification, must stay valid
 * @error:	Set on error: one line with the specification
 * @size:	Bytes of @error
 *
 * Return: 0, or -EINVAL
 */
int ports_parse(struct rules *rules, bool pasta, uint8_t proto, bool from_ns,
		const char *spec, char *error, size_t size)
{
	struct spec s = {
		.rules = rules, .pasta = pasta, .spec = spec,
		.error = error, .size = size,
		.rule = { .proto = proto, .from_ns = from_ns, .spec = spec },
	};

	if (!strcmp(spec, "none")) {
		rules_remove_kind(rules, rule_kind(&s.rule));
		return 0;
	}
	return parse_spec(&s);
}

/**
 * ports_check() - Do the rules fit the other options?
 * @rules:	Table. Rules of a protocol that is switched off are removed
 * @c:		Configuration: all options are set
 * @error:	Set on error: one line
 * @size:	Bytes of @error
 *
 * Return: 0, or -EINVAL
 */
int ports_check(struct rules *rules, const struct conf *c, char *error,
		size_t size)
{
	struct spec s = { .error = error, .size = size };
	struct rules_clash clash;

	if (c->no_tcp) {
		rules_remove_kind(rules, RULE_HOST_TCP);
		rules_remove_kind(rules, RULE_NS_TCP);
	}
	if (c->no_udp) {
		rules_remove_kind(rules, RULE_HOST_UDP);
		rules_remove_kind(rules, RULE_NS_UDP);
	}
	return rule_fail(&s, rules_check(rules, c, &clash), &clash);
}

/**
 * ports_check_interfaces() - Do all interfaces exist that rules name?
 * @rules:	Table
 * @error:	Set on error: one line
 * @size:	Bytes of @error
 *
 * Return: 0, or -EINVAL
 */
int ports_check_interfaces(const struct rules *rules, char *error, size_t size)
{
	const struct fwd_rule *r = NULL;

	while ((r = rules_next(rules, r))) {
		if (*r->ifname && util_ifindex(r->ifname) == -ENODEV)
			return fail(r, error, size,
				    "there is no interface '%s'", r->ifname);
	}
	return 0;
}

/* Output ----------------------------------------------------------------- */

static const char *range_text(unsigned first, unsigned last, char buf[12])
{
	if (first == last)
		snprintf(buf, 12, "%u", first & PORT_MAX);
	else
		snprintf(buf, 12, "%u-%u", first & PORT_MAX, last & PORT_MAX);
	return buf;
}

/* target_addr() - "ADDR:" of a rule with a target address, else "" */
static const char *target_addr(const struct fwd_rule *r,
			       char buf[INANY_STRLEN + 3])
{
	char addr[INANY_STRLEN] = "";
	bool v4 = inany_is_v4(&r->to_addr);

	*buf = 0;
	if (inany_is_set(&r->to_addr))
		snprintf(buf, INANY_STRLEN + 3, v4 ? "%s:" : "[%s]:",
			 inany_ntop(&r->to_addr, addr, sizeof(addr)));
	return buf;
}

static void print_rule(const struct fwd_rule *r)
{
	char addr[INANY_STRLEN] = "*", from[12], to_addr[INANY_STRLEN + 3],
	     to[12];

	if (!rule_binds_all(r))
		inany_ntop(&r->addr, addr, sizeof(addr));
	info("    [%s]%s%s:%s  =>  %s%s%s%s", addr, *r->ifname ? "%" : "",
	     r->ifname, range_text(r->first, r->last, from),
	     target_addr(r, to_addr),
	     range_text(r->to, r->to + (r->last - r->first), to),
	     r->weak ? " (best effort)" : "", r->scan ? " (auto-scan)" : "");
}

static void print_kind(const struct rules *rules, unsigned kind)
{
	const struct fwd_rule *r = NULL;
	bool any = false;

	while ((r = rules_next(rules, r))) {
		if (rule_kind(r) != kind)
			continue;
		if (!any)
			info("%s %s forwarding:",
			     r->from_ns ? "Outbound" : "Inbound",
			     r->proto == IPPROTO_TCP ? "TCP" : "UDP");
		any = true;
		print_rule(r);
	}
}

/**
 * ports_print() - Tell the user which ports lead where
 * @rules:	Table
 */
void ports_print(const struct rules *rules)
{
	for (unsigned kind = 0; kind < RULE_KINDS; kind++)
		print_kind(rules, kind);
}
