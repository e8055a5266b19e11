/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.c - The table of forwarding rules
 *
 * A rule keeps its number, and its place in memory, until it is removed. The number
 * may be used again then, with another generation, so that a reference to the old
 * rule does not find the new one. listen.c compares numbers and generations to find
 * the changes since it saw the table last. A rule that changes is another rule.
 *
 * Rules that name their ports never overlap where their addresses and interfaces
 * do. Ports that two rules name are bound by the wider rule of the two, and it is an
 * error if these have different targets. To add a rule that is there changes
 * nothing. Other rules, @weak or @scan, may overlap with any: listen.c binds the
 * ports of rules that name them first. But two weak rules for the same port may not
 * have different target addresses.
 *
 * Errors are codes with the rules they are about; rules_text() makes a sentence of
 * them. After an error a part of the new rule may be in the table: to take all or
 * nothing, work on a copy.
 */

#include "rules.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PORT_MAX	65535U
#define SPEC_SHOWN	64		/* characters of a specification in messages */
#define OTHER_SHOWN	32
#define TARGET_STRLEN	(INANY_STRLEN + 7)	/* "ADDR/65535" */

/* The table -------------------------------------------------------------- */

static uint16_t number_of(const struct rules *rs, const struct fwd_rule *r)
{
	return (uint16_t)((const struct rules_entry *)r - rs->e);
}

/* rules_init() - Make the table empty; old references do not find new rules */
void rules_init(struct rules *rs)
{
	uint32_t gen = rs->gen;

	memset(rs, 0, offsetof(struct rules, e));
	rs->gen = gen;
}

/**
 * rules_next() - Iterate over the rules in the order in which they were added
 * @rs:		Table
 * @after:	Rule that was returned last, NULL for the first one
 *
 * To remove rules on the way, ask for the next one before.
 *
 * Return: the next rule, NULL if there is none
 */
const struct fwd_rule *rules_next(const struct rules *rs,
				  const struct fwd_rule *after)
{
	uint16_t next = after ? rs->e[number_of(rs, after)].next : rs->first;

	return next ? &rs->e[next - 1].rule : NULL;
}

/* rules_ref() - Reference to a rule of the table */
struct rule_ref rules_ref(const struct rules *rs, const struct fwd_rule *r)
{
	uint16_t number = number_of(rs, r);

	return (struct rule_ref){ .number = number, .gen = rs->e[number].gen };
}

/**
 * rules_at() - Look up a rule
 * @rs:		Table
 * @ref:	From rules_ref(), of this table or one that it is a copy of
 *
 * Return: the rule, NULL if it was removed
 */
const struct fwd_rule *rules_at(const struct rules *rs, struct rule_ref ref)
{
	return ref.number < rs->used && ref.gen &&
	       rs->e[ref.number].gen == ref.gen ? &rs->e[ref.number].rule : NULL;
}

static bool push(struct rules *rs, const struct fwd_rule *r)
{
	uint16_t number = rs->free ? rs->free - 1 : (uint16_t)rs->used;
	struct rules_entry *e = &rs->e[number];

	if (rs->n == RULES_MAX)
		return false;
	if (rs->free)
		rs->free = e->next;
	else
		rs->used++;
	*e = (struct rules_entry){ .rule = *r, .gen = ++rs->gen,
				   .prev = rs->last };
	*(rs->last ? &rs->e[rs->last - 1].next : &rs->first) = number + 1;
	rs->last = number + 1;
	rs->n++;
	return true;
}

/**
 * rules_remove() - Remove a rule
 * @rs:		Table
 * @ref:	Reference to it
 *
 * Return: false if it was removed before
 */
bool rules_remove(struct rules *rs, struct rule_ref ref)
{
	struct rules_entry *e = &rs->e[ref.number];

	if (!rules_at(rs, ref))
		return false;
	*(e->prev ? &rs->e[e->prev - 1].next : &rs->first) = e->next;
	*(e->next ? &rs->e[e->next - 1].prev : &rs->last) = e->prev;
	*e = (struct rules_entry){ .next = rs->free };
	rs->free = ref.number + 1;
	rs->n--;
	rs->gen++;
	return true;
}

/**
 * rules_append() - Add a rule as the last one, without a look at the others
 * @rs:		Table
 * @r:		Rule
 *
 * Return: the rule in the table; NULL if that is full
 */
const struct fwd_rule *rules_append(struct rules *rs, const struct fwd_rule *r)
{
	return push(rs, r) ? &rs->e[rs->last - 1].rule : NULL;
}

/**
 * rules_remove_kind() - Remove all rules of one side and protocol
 * @rs:		Table
 * @kind:	RULE_HOST_TCP and so on
 */
void rules_remove_kind(struct rules *rs, unsigned kind)
{
	const struct fwd_rule *r, *next;

	for (r = rules_next(rs, NULL); r; r = next) {
		next = rules_next(rs, r);
		if (rule_kind(r) == kind)
			rules_remove(rs, rules_ref(rs, r));
	}
}

/**
 * rules_copy() - Make a table the same as another one
 * @to:		Table that changes
 * @from:	Other table
 *
 * Rules keep their numbers and generations, and rules that are in both tables their
 * place in memory. Only as much is touched as is in use.
 */
void rules_copy(struct rules *to, const struct rules *from)
{
	memcpy(to, from, offsetof(struct rules, e) +
			 from->used * sizeof(from->e[0]));
}

/* Overlaps --------------------------------------------------------------- */

static bool names_ports(const struct fwd_rule *r)
{
	return !r->weak && !r->scan;
}

static bool takes_all(const struct fwd_rule *r)
{
	return r->weak && !r->scan;
}

/* Does a port that both rules have lead to the same place? */
static bool same_target(const struct fwd_rule *a, const struct fwd_rule *b)
{
	return a->to - a->first == b->to - b->first &&
	       inany_equals(&a->to_addr, &b->to_addr);
}

/* Are all addresses of @b among those of @a? */
static bool addr_covers(const struct fwd_rule *a, const struct fwd_rule *b)
{
	if (rule_binds_all(a) || rule_same_addr(a, b))
		return true;
	return inany_is_unspecified(&a->addr) && !rule_binds_all(b) &&
	       inany_is_v4(&a->addr) == inany_is_v4(&b->addr);
}

static bool if_covers(const char *a, const char *b)
{
	return !*a || !strcmp(a, b);
}

/* rules_overlap() - Is there a packet that both rules would forward? */
bool rules_overlap(const struct fwd_rule *a, const struct fwd_rule *b)
{
	return rule_kind(a) == rule_kind(b) &&
	       a->first <= b->last && b->first <= a->last &&
	       (addr_covers(a, b) || addr_covers(b, a)) &&
	       (if_covers(a->ifname, b->ifname) ||
		if_covers(b->ifname, a->ifname));
}

/* rules_same() - Do two rules forward the same ports in the same way? */
bool rules_same(const struct fwd_rule *a, const struct fwd_rule *b)
{
	return rule_kind(a) == rule_kind(b) && a->scan == b->scan &&
	       a->weak == b->weak && a->first == b->first &&
	       a->last == b->last && rule_same_addr(a, b) &&
	       same_target(a, b) && !strcmp(a->ifname, b->ifname);
}

/* rules_find() - Look up a rule that is the same as another one, NULL: there is none */
const struct fwd_rule *rules_find(const struct rules *rs,
				  const struct fwd_rule *r)
{
	const struct fwd_rule *o = NULL;

	while ((o = rules_next(rs, o)))
		if (rules_same(o, r))
			return o;
	return NULL;
}

/* Take ports from a rule; the ports behind them become the last rule of the table */
static bool cut(struct rules *rs, const struct fwd_rule *r, unsigned first,
		unsigned last)
{
	struct rules_entry *e = &rs->e[number_of(rs, r)];
	bool before = r->first < first, after = r->last > last;
	struct fwd_rule tail = *r;

	if (after) {
		tail.to = r->to + (last + 1 - r->first);
		tail.first = last + 1;
	}
	if (!before && !after)
		return rules_remove(rs, rules_ref(rs, r));
	if (before)
		e->rule.last = first - 1;
	else
		e->rule = tail;
	e->gen = ++rs->gen;
	return !before || !after || push(rs, &tail);
}

/* Let one of two rules have the ports that both name; @have: all but the new one's */
static enum rules_code settle_overlap(struct rules *rs,
				      const struct fwd_rule *old,
				      const struct fwd_rule *new,
				      struct portmap *have)
{
	unsigned first = old->first > new->first ? old->first : new->first;
	unsigned last = old->last < new->last ? old->last : new->last;

	if (!same_target(old, new))
		return RULES_CONFLICT;
	if (addr_covers(old, new) && if_covers(old->ifname, new->ifname))
		portmap_add_range(have, first, last);
	else if (addr_covers(new, old) && if_covers(new->ifname, old->ifname) &&
		 !cut(rs, old, first, last))
		return RULES_FULL;
	return RULES_OK;
}

/*
 * next_run() - Next run of a rule's ports that are not in a set
 * @port:	Where to start, @r->first at first; moves behind the run
 */
static bool next_run(const struct fwd_rule *r, const struct portmap *without,
		     unsigned *port, struct fwd_rule *run)
{
	unsigned end;

	*port = portmap_next_free(without, *port);
	if (*port > r->last)
		return false;
	end = portmap_next(without, *port);
	*run = *r;
	run->first = *port;
	run->to = *port - r->first + r->to;
	run->last = end > r->last ? r->last : end - 1;
	*port = run->last + 1U;
	return true;
}

/* Add @clash->rule, which names its ports */
static enum rules_code add_named(struct rules *rs, struct rules_clash *clash)
{
	const struct fwd_rule *old, *next, *new = &clash->rule;
	enum rules_code code = RULES_OK;
	struct portmap have = { 0 };
	unsigned port = new->first;
	struct fwd_rule run;

	for (old = rules_next(rs, NULL); old && !code; old = next) {
		next = rules_next(rs, old);
		clash->other = old;
		if (names_ports(old) && rules_overlap(old, new))
			code = settle_overlap(rs, old, new, &have);
	}
	while (!code && next_run(new, &have, &port, &run))
		code = push(rs, &run) ? RULES_OK : RULES_FULL;
	return code;
}

/* Add @clash->rule, which scans or is weak */
static enum rules_code add_other(struct rules *rs, struct rules_clash *clash)
{
	const struct fwd_rule *old = NULL, *new = &clash->rule;

	while (takes_all(new) && (old = rules_next(rs, old))) {
		clash->other = old;
		if (takes_all(old) && rules_overlap(old, new) &&
		    !same_target(old, new))
			return RULES_CONFLICT;
	}
	return rules_find(rs, new) || push(rs, new) ? RULES_OK : RULES_FULL;
}

/**
 * rules_add() - Add a rule, or several if ports of it are left out
 * @rs:		Table
 * @r:		Rule
 * @without:	Ports to leave out, NULL: none
 * @clash:	Set if there is an error
 *
 * Return: RULES_OK, also if the rule is there already; RULES_FULL, RULES_CONFLICT
 */
enum rules_code rules_add(struct rules *rs, const struct fwd_rule *r,
			  const struct portmap *without,
			  struct rules_clash *clash)
{
	static const struct portmap none;
	struct fwd_rule *run = &clash->rule;
	enum rules_code code = RULES_OK;
	unsigned port = r->first;

	while (!code && next_run(r, without ? without : &none, &port, run))
		code = names_ports(r) ? add_named(rs, clash) :
					add_other(rs, clash);
	return code;
}

/**
 * rules_cut_weak() - Take ports from rules for all ports, not from those that scan
 * @rs:		Table
 * @kind:	RULE_HOST_TCP and so on: the kind of these rules
 * @first, @last:	The ports
 *
 * Return: RULES_OK, RULES_FULL
 */
enum rules_code rules_cut_weak(struct rules *rs, unsigned kind, uint16_t first,
			       uint16_t last)
{
	const struct fwd_rule *r, *next;

	for (r = rules_next(rs, NULL); r; r = next) {
		next = rules_next(rs, r);
		if (takes_all(r) && rule_kind(r) == kind && r->first <= last &&
		    r->last >= first && !cut(rs, r, first, last))
			return RULES_FULL;
	}
	return RULES_OK;
}

/* Other options ---------------------------------------------------------- */

/* rules_check_options() - Does a rule fit the other options? */
enum rules_code rules_check_options(const struct fwd_rule *r,
				    const struct conf *c)
{
	bool v4 = inany_is_v4(&r->addr), given = !rule_binds_all(r);
	bool fd = c->netns_kind == NETNS_FD && c->mode == MODE_PASTA;

	if (given && v4 && !c->ip4.enabled)
		return RULES_NO_IPV4;
	if (given && !v4 && !c->ip6.enabled)
		return RULES_NO_IPV6;
	if (inany_is_loopback(&r->to_addr) &&
	    (c->mode == MODE_PASST || c->no_splice || fd))
		return RULES_NO_BYPASS;
	if (r->from_ns && c->no_splice)
		return RULES_NO_SPLICE;
	if (r->from_ns && fd)
		return RULES_FD_NS;
	return r->scan && fd ? RULES_FD_SCAN : RULES_OK;
}

/*
 * on_loopback() - Does a rule listen where a rule of the namespace leads?
 *
 * That is an address of the host's loopback: the one which was dialled where loopback
 * leads to loopback.
 */
static bool on_loopback(const struct fwd_rule *r, const struct conf *c)
{
	bool kept = c->host_lo_to_ns_lo || c->splice_only;

	return (inany_is_unspecified(&r->addr) ||
		(kept && inany_is_loopback(&r->addr))) &&
	       (!*r->ifname || !strcmp(r->ifname, "lo"));
}

/*
 * leads_inside() - Does a rule lead to the namespace itself, as far as we know by now?
 *
 * Connections to other addresses, behind it, are not seen by listeners in there.
 */
static bool leads_inside(const struct fwd_rule *r, const struct conf *c)
{
	const struct conf_ip *ip = inany_is_v4(&r->to_addr) ? &c->ip4 : &c->ip6;

	return !inany_is_set(&r->to_addr) || inany_is_loopback(&r->to_addr) ||
	       inany_equals(&r->to_addr, &ip->addr);
}

/* Does a connection that @in brings to the namespace come back by @out, for ever? */
static bool is_loop(const struct fwd_rule *in, const struct fwd_rule *out,
		    const struct conf *c)
{
	int last = in->to + (in->last - in->first);

	return in->proto == out->proto && !in->from_ns && out->from_ns &&
	       !in->scan && !out->scan && on_loopback(in, c) &&
	       leads_inside(in, c) &&
	       in->to - in->first == out->first - out->to &&
	       in->to <= out->last && out->first <= last;
}

/**
 * rules_check_pair() - May a table have both of two rules?
 * @a, @b:	Rules
 * @c:		Configuration
 *
 * Unlike rules_add(), which lets the wider rule have a port that two rules name, this
 * finds a conflict: each rule has the ports that it names for itself.
 *
 * Return: RULES_OK, RULES_CONFLICT, RULES_LOOP
 */
enum rules_code rules_check_pair(const struct fwd_rule *a,
				 const struct fwd_rule *b, const struct conf *c)
{
	bool named = names_ports(a) && names_ports(b);
	bool all = takes_all(a) && takes_all(b) && !same_target(a, b);

	if ((named || all) && rules_overlap(a, b))
		return RULES_CONFLICT;
	return is_loop(a, b, c) || is_loop(b, a, c) ? RULES_LOOP : RULES_OK;
}

/**
 * rules_check() - Do the rules fit the other options, and lead nowhere in circles?
 * @rs:		Table
 * @c:		Configuration
 * @clash:	Set if there is an error
 *
 * Return: RULES_OK, or why a rule can't be
 */
enum rules_code rules_check(const struct rules *rs, const struct conf *c,
			    struct rules_clash *clash)
{
	const struct fwd_rule *r = NULL, *in;
	enum rules_code code;

	while ((r = rules_next(rs, r))) {
		clash->rule = *r;
		code = rules_check_options(r, c);
		if (code)
			return code;
	}
	while ((r = rules_next(rs, r))) {
		if (!r->from_ns)
			continue;
		clash->rule = *r;
		for (in = NULL; (in = rules_next(rs, in)); ) {
			clash->other = in;
			if (is_loop(in, r, c))
				return RULES_LOOP;
		}
	}
	return RULES_OK;
}

/* Text ------------------------------------------------------------------- */

/* rule_option() - Long name of the option that makes such a rule */
const char *rule_option(const struct fwd_rule *r)
{
	static const char *const names[RULE_KINDS] = {
		"tcp-ports", "udp-ports", "tcp-ns", "udp-ns",
	};

	return names[rule_kind(r)];
}

/* rule_letter() - Letter of that option */
char rule_letter(const struct fwd_rule *r)
{
	return "tuTU"[rule_kind(r)];
}

/* target_text() - Where a port of a rule leads, as PORT or ADDR/PORT */
static const char *target_text(const struct fwd_rule *r, unsigned port,
			       char buf[TARGET_STRLEN])
{
	char addr[INANY_STRLEN] = "";

	if (inany_is_set(&r->to_addr))
		inany_ntop(&r->to_addr, addr, sizeof(addr));
	snprintf(buf, TARGET_STRLEN, "%s%s%u", addr, *addr ? "/" : "",
		 port - r->first + r->to);
	return buf;
}

static const char *conflict_text(const struct fwd_rule *new,
				 const struct fwd_rule *old, char *buf)
{
	unsigned port = old->first > new->first ? old->first : new->first;
	char to[TARGET_STRLEN], other[TARGET_STRLEN];

	snprintf(buf, RULES_TEXT, "port %u leads to %s, conflicts with '%.*s%s',"
		 " where it leads to %s", port, target_text(new, port, to),
		 SPEC_SHOWN, old->spec,
		 strlen(old->spec) > SPEC_SHOWN ? "..." : "",
		 target_text(old, port, other));
	return buf;
}

/**
 * rules_text() - Say what is wrong with a rule
 * @code:	From rules_add() or rules_check(), no RULES_OK
 * @clash:	From there
 * @buf:	Room for the text
 *
 * Return: the reason, to follow the specification of @clash->rule and a colon
 */
const char *rules_text(enum rules_code code, const struct rules_clash *clash,
		       char buf[RULES_TEXT])
{
	const struct fwd_rule *other = clash->other;

	switch (code) {
	case RULES_OK:
		break;
	case RULES_FULL:
		snprintf(buf, RULES_TEXT, "more than %d rules for ports",
			 RULES_MAX);
		return buf;
	case RULES_CONFLICT:
		return conflict_text(&clash->rule, other, buf);
	case RULES_LOOP:
		snprintf(buf, RULES_TEXT, "leads back to the namespace by"
			 " --%s %.*s", rule_option(other), OTHER_SHOWN,
			 other->spec);
		return buf;
	case RULES_NO_IPV4:
		return "an IPv4 address, and there is no IPv4";
	case RULES_NO_IPV6:
		return "an IPv6 address, and there is no IPv6";
	case RULES_NO_SPLICE:
		return "not with --no-splice";
	case RULES_FD_NS:
		return "not with --fd: expected 'none'";
	case RULES_FD_SCAN:
		return "not with --fd: expected 'none' or ports";
	case RULES_NO_BYPASS:
		return "a target on loopback can't be reached through the tap";
	}
	return "";
}

/* Add text at *@len of @buf, as for printf(); what does not fit is cut */
__attribute__((format(printf, 3, 4)))
static void spec_add(char buf[RULES_SPEC], size_t *len, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf + *len, RULES_SPEC - *len, fmt, ap);
	va_end(ap);
	if (n > 0)
		*len += (size_t)n < RULES_SPEC - *len ? (size_t)n :
			RULES_SPEC - 1 - *len;
}

static void spec_add_range(char buf[RULES_SPEC], size_t *len, unsigned first,
			   unsigned last)
{
	spec_add(buf, len, "%u", first);
	if (last > first)
		spec_add(buf, len, "-%u", last);
}

/* The part before the slash, and that; nothing for all addresses */
static void spec_add_head(char buf[RULES_SPEC], size_t *len,
			  const struct fwd_rule *r)
{
	char addr[INANY_STRLEN] = "";
	bool v6 = !inany_is_v4(&r->addr);

	if (!rule_binds_all(r))
		spec_add(buf, len, v6 ? "[%s]" : "%s",
			 inany_ntop(&r->addr, addr, sizeof(addr)));
	if (*r->ifname)
		spec_add(buf, len, "%%%s", r->ifname);
	if (*len)
		spec_add(buf, len, "/");
}

/* "all" or "auto" without the ports beside those of the rule */
static void spec_add_rest(char buf[RULES_SPEC], size_t *len,
			  const struct fwd_rule *r, const char *to)
{
	spec_add(buf, len, "%s%s%s", r->scan ? "auto" : "all", *to ? ":" : "",
		 to);
	if (r->first > 1) {
		spec_add(buf, len, ",~");
		spec_add_range(buf, len, 1, r->first - 1U);
	}
	if (r->last < PORT_MAX) {
		spec_add(buf, len, ",~");
		spec_add_range(buf, len, r->last + 1U, PORT_MAX);
	}
}

/**
 * rules_spec() - Write a rule as the specification that makes it
 * @r:		Rule
 * @buf:	Room for the text
 *
 * Return: the text
 */
const char *rules_spec(const struct fwd_rule *r, char buf[RULES_SPEC])
{
	char to[INANY_STRLEN] = "";
	size_t len = 0;

	*buf = 0;
	if (inany_is_set(&r->to_addr))
		inany_ntop(&r->to_addr, to, sizeof(to));
	spec_add_head(buf, &len, r);
	if (!names_ports(r)) {
		spec_add_rest(buf, &len, r, to);
		return buf;
	}
	spec_add_range(buf, &len, r->first, r->last);
	if (r->to == r->first && !*to)
		return buf;
	spec_add(buf, &len, ":%s%s", to, *to ? "/" : "");
	spec_add_range(buf, &len, r->to, r->to + (unsigned)(r->last - r->first));
	return buf;
}

/**
 * rules_shown() - How to name a rule in a message
 * @r:		Rule
 * @buf:	Room for the text
 *
 * Return: the specification as the user wrote it; if that is not known, one that makes
 * the same rule
 */
const char *rules_shown(const struct fwd_rule *r, char buf[RULES_SPEC])
{
	return *r->spec ? r->spec : rules_spec(r, buf);
}
