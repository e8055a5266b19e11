/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rulestat.c - What forwarding rules have brought: connections, flows, bytes
 *
 * Counters are found by the number of a rule. When the number belongs to a new rule,
 * its first flow resets them. Flows of the old rule may go on for long, but have the
 * old generation, so they no longer count there.
 */

#include "rulestat.h"

/* rulestat_flow_begins() - A rule has brought a flow */
void rulestat_flow_begins(struct rulestat *rs, struct rule_ref ref)
{
	struct rule_stats *s = &rs->s[ref.number];

	if (!ref.gen)
		return;
	if (s->gen != ref.gen)
		*s = (struct rule_stats){ .gen = ref.gen };
	s->conns++;
	s->flows++;
}

/* rulestat_flow_ends() - A flow that a rule has brought ends */
void rulestat_flow_ends(struct rulestat *rs, struct rule_ref ref)
{
	struct rule_stats *s = &rs->s[ref.number];

	if (ref.gen && s->gen == ref.gen)
		s->flows--;
}

/**
 * rulestat_of() - Get the counters of a rule
 * @rs:		All counters
 * @ref:	The rule
 *
 * Return: a copy, all zero if the rule has brought nothing
 */
struct rule_stats rulestat_of(const struct rulestat *rs, struct rule_ref ref)
{
	const struct rule_stats *s = &rs->s[ref.number];

	return ref.gen && s->gen == ref.gen ? *s : (struct rule_stats){ 0 };
}
