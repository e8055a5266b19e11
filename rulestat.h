/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rulestat.h - What forwarding rules have brought: connections, flows, bytes
 */

#ifndef RULESTAT_H
#define RULESTAT_H

#include <stdint.h>

#include "rules.h"

/* Directions of bytes */
enum { TO_GUEST = 0, FROM_GUEST = 1 };

/**
 * struct rule_stats - Counters of one rule
 * @conns:	Connections, and flows of UDP, that it has brought so far
 * @in, @out:	Bytes towards the guest, and from it: bytes[TO_GUEST], [FROM_GUEST]
 * @flows:	Its flows at the moment
 * @gen:	Generation of the rule, 0: nothing was counted
 */
struct rule_stats {
	uint64_t conns;
	union {
		struct {
			uint64_t in, out;
		};
		uint64_t bytes[2];
	};
	uint32_t flows, gen;
};

/**
 * struct rulestat - Counters of all rules, all zero at first
 * @s:		By the number of the rule
 */
struct rulestat {
	struct rule_stats s[RULES_MAX];
};

void rulestat_flow_begins(struct rulestat *rs, struct rule_ref ref);
void rulestat_flow_ends(struct rulestat *rs, struct rule_ref ref);
struct rule_stats rulestat_of(const struct rulestat *rs, struct rule_ref ref);

/* rulestat_count() - Count bytes, unless the number has been used for another rule */
static inline void rulestat_count(struct rulestat *rs, struct rule_ref ref,
				  unsigned dir, uint64_t bytes)
{
	struct rule_stats *s = &rs->s[ref.number];

	/* Flows without a rule have number 0 and generation 0: if rule 0 was never used
	 * they count there, where nothing looks */
	if (s->gen == ref.gen)
		s->bytes[dir] += bytes;
}

#endif /* RULESTAT_H */
