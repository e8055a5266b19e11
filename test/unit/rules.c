/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.c - The table of rules: numbers and generations, overlaps, copies. Rules as
 * users write them are in ports.c
 */

#include "rules.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"
#include "util.h"

static struct rules rules, copy;
static struct rules_clash clash;

static struct fwd_rule tcp(unsigned first, unsigned last, unsigned to)
{
	return (struct fwd_rule){
		.proto = IPPROTO_TCP, .first = (uint16_t)first,
		.last = (uint16_t)last, .to = (uint16_t)to, .spec = "spec",
	};
}

static enum rules_code add(struct fwd_rule r)
{
	return rules_add(&rules, &r, NULL, &clash);
}

/* at() - Rule by its place in the order of the table */
static const struct fwd_rule *at(unsigned i)
{
	const struct fwd_rule *r = rules_next(&rules, NULL);

	while (r && i--)
		r = rules_next(&rules, r);
	return r;
}

static struct rule_ref ref(unsigned i)
{
	return rules_ref(&rules, at(i));
}

/* in_order() - Are these the first ports of all rules? The list ends with 0 */
static bool in_order(const unsigned *first)
{
	const struct fwd_rule *r = NULL;

	while ((r = rules_next(&rules, r)))
		if (r->first != *first++)
			return false;
	return !*first;
}

static void test_numbers(void)
{
	struct rule_ref first, second, third;
	const struct fwd_rule *third_at;

	rules_init(&rules);
	ok(!rules_next(&rules, NULL), "a new table has no rules");
	add(tcp(1, 1, 1));
	add(tcp(2, 2, 2));
	add(tcp(3, 3, 3));
	first = ref(0);
	second = ref(1);
	third = ref(2);
	third_at = at(2);
	is(rules.n, 3, "three rules are in the table");
	ok(first.number != second.number && second.number != third.number,
	   "each rule has a number of its own");
	ok(rules_remove(&rules, second), "a rule can be removed by its reference");
	ok(!rules_at(&rules, second), "a removed rule is not found any more");
	ok(!rules_remove(&rules, second), "a removed rule can't be removed again");
	ok(rules_at(&rules, third) == third_at && third_at->first == 3,
	   "other rules keep their numbers and places");
	add(tcp(4, 4, 4));
	is(ref(2).number, second.number, "a free number is used again");
	ok(ref(2).gen != second.gen && !rules_at(&rules, second),
	   "a number that is used again has another generation");
	ok(in_order((unsigned[]){ 1, 3, 4, 0 }),
	   "rules are listed in the order in which they were added");
	rules_remove(&rules, first);
	rules_remove(&rules, ref(1));
	ok(in_order((unsigned[]){ 3, 0 }), "both ends of the list can be removed");
	rules_remove(&rules, third);
	ok(!rules.n && !rules_next(&rules, NULL), "the last rule can be removed");
	ok(!rules_at(&rules, (struct rule_ref){ .number = RULES_MAX - 1 }),
	   "a number that was never used is not found");
	rules_init(&rules);
	add(tcp(5, 5, 5));
	first = ref(0);
	rules_init(&rules);
	add(tcp(6, 6, 6));
	ok(ref(0).number == first.number && !rules_at(&rules, first),
	   "a rule of an emptied table is not taken for a new one");
}

static void test_kinds(void)
{
	struct fwd_rule r = tcp(1, 1, 1);
	const struct fwd_rule *left;

	rules_init(&rules);
	for (unsigned i = 0; i < 4; i++) {
		r.proto = i & 1 ? IPPROTO_UDP : IPPROTO_TCP;
		r.from_ns = i & 2;
		add(r);
		is(rule_kind(at(i)), i, "side and protocol make the kind");
	}
	rules_remove_kind(&rules, RULE_NS_TCP);
	left = at(2);
	ok(rules.n == 3 && left && rule_kind(left) == RULE_NS_UDP,
	   "the rules of one kind can be removed");
}

static void test_same(void)
{
	struct fwd_rule weak = tcp(1, 65535, 1);
	struct rule_ref before;

	rules_init(&rules);
	add(tcp(80, 90, 80));
	before = ref(0);
	is(add(tcp(80, 90, 80)), RULES_OK, "a rule may be added twice");
	is(add(tcp(85, 86, 85)), RULES_OK, "a part of a rule may be added");
	ok(rules.n == 1 && rules_at(&rules, before),
	   "the rule that is there stays as it is");
	weak.weak = true;
	add(weak);
	add(weak);
	is(rules.n, 2, "a rule for all ports is taken once");
}

static void test_overlap(void)
{
	struct fwd_rule narrow = tcp(80, 90, 80);
	struct rule_ref before;

	rules_init(&rules);
	inany_pton("127.0.0.1", &narrow.addr);
	add(narrow);
	before = ref(0);
	is(add(tcp(85, 86, 85)), RULES_OK,
	   "a wider rule may name ports of a narrow one");
	ok(in_order((unsigned[]){ 80, 87, 85, 0 }) && at(0)->last == 84 &&
	   at(1)->to == 87, "the narrow rule keeps the ports around them");
	ok(!rules_at(&rules, before), "a rule that changes is another rule");
	is(add(tcp(84, 84, 8080)), RULES_CONFLICT,
	   "another target for a port is a conflict");
	ok(clash.other == at(0) && clash.rule.to == 8080,
	   "both rules of a conflict are told");
	ok(in_order((unsigned[]){ 80, 87, 85, 0 }),
	   "a conflict leaves the rules as they are");
}

/* to() - A rule for 0.0.0.0 with a target address */
static struct fwd_rule to(const char *addr, unsigned port)
{
	struct fwd_rule r = tcp(port, port, port);

	inany_pton("0.0.0.0", &r.addr);
	inany_pton(addr, &r.to_addr);
	return r;
}

static void test_targets(void)
{
	struct fwd_rule weak = to("192.0.2.5", 1), part;

	weak.weak = true;
	weak.last = 65535;
	rules_init(&rules);
	is(add(to("192.0.2.5", 80)), RULES_OK, "a rule may have a target address");
	is(add(to("192.0.2.5", 80)), RULES_OK, "it may be added twice");
	is(rules.n, 1, "the same target address is one rule");
	is(add(to("192.0.2.6", 80)), RULES_CONFLICT,
	   "another target address is a conflict");
	is(add(tcp(80, 80, 80)), RULES_CONFLICT,
	   "the guest's own address is another target than a given one");
	is(add(weak), RULES_OK, "a weak rule may overlap with one that names ports");
	is(add(weak), RULES_OK, "a weak rule with a target address is taken once");
	is(rules.n, 2, "two rules are in the table");
	part = to("192.0.2.6", 443);
	part.weak = true;
	is(add(part), RULES_CONFLICT,
	   "weak rules with different target addresses are a conflict");
	part.scan = true;
	is(add(part), RULES_OK, "a rule that scans may overlap with them");
}

static void test_cut_weak(void)
{
	struct fwd_rule weak = tcp(1, 65535, 1);

	weak.weak = true;
	rules_init(&rules);
	add(weak);
	weak.from_ns = true;
	add(weak);
	rules_cut_weak(&rules, RULE_NS_TCP, 32768, 60999);
	ok(in_order((unsigned[]){ 1, 1, 61000, 0 }) && at(0)->last == 65535 &&
	   at(1)->last == 32767 && at(2)->from_ns,
	   "ports are taken from weak rules of one kind");
}

static void test_without(void)
{
	struct fwd_rule r = tcp(100, 200, 1100);
	struct portmap skip = { 0 };

	rules_init(&rules);
	portmap_add(&skip, 100);
	portmap_add_range(&skip, 150, 160);
	rules_add(&rules, &r, &skip, &clash);
	ok(in_order((unsigned[]){ 101, 161, 0 }) && at(0)->last == 149 &&
	   at(1)->to == 1161, "ports that are left out divide a rule");
	portmap_add_range(&skip, 100, 200);
	rules_init(&rules);
	is(rules_add(&rules, &r, &skip, &clash), RULES_OK,
	   "all ports may be left out");
	is(rules.n, 0, "no rule is left then");
}

static void test_full(void)
{
	unsigned i;

	rules_init(&rules);
	for (i = 0; i < RULES_MAX; i++)
		if (add(tcp(2 * i + 1, 2 * i + 1, 1)))
			break;
	is(i, RULES_MAX, "the table takes as many rules as it has room for");
	is(add(tcp(2, 2, 1)), RULES_FULL, "one more does not fit");
	rules_remove(&rules, ref(7));
	is(add(tcp(2, 2, 1)), RULES_OK, "where one was removed there is room");
}

static void test_copy(void)
{
	struct rule_ref old;

	rules_init(&rules);
	add(tcp(1, 1, 1));
	add(tcp(2, 2, 2));
	rules_copy(&copy, &rules);
	old = ref(0);
	ok(rules_at(&copy, old) && rules_at(&copy, old)->first == 1,
	   "a reference is good for a copy of the table");
	rules_remove(&rules, old);
	add(tcp(3, 3, 3));
	ok(rules_at(&copy, old) && !rules_at(&copy, ref(1)),
	   "a copy does not follow later changes");
}

int main(void)
{
	test_numbers();
	test_kinds();
	test_same();
	test_overlap();
	test_targets();
	test_cut_weak();
	test_without();
	test_full();
	test_copy();
	return done();
}
