/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flowlist.h - Flows as lines of JSON, and filters that choose some of them
 */

#ifndef FLOWLIST_H
#define FLOWLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"
#include "inany.h"

struct jsonline;

#define FLOWLIST_TURN	64		/* flows of one turn */
#define FLOWLIST_ENTRIES	1024	/* entries of the table looked at in one turn */
#define FLOWLIST_TEXT	160		/* bytes for an error of flowlist_parse() */

/**
 * struct flowlist_net - Addresses to match
 * @given:	False: any address
 * @addr, @len:	Prefix and its length, bits of its family
 */
struct flowlist_net {
	bool given;
	union inany addr;
	uint8_t len;
};

/**
 * struct flowlist_filter - Conditions, all of which must hold; all zero: none
 * @proto:	IPPROTO_TCP or IPPROTO_UDP, IPPROTO_ICMP for both families; 0: any
 * @has_rule, @rule, @rule_gen:	Number and generation of the rule, generation 0: any
 * @has_port, @port:	Port of either end, or of the target
 * @src, @dst:	Ends as they are listed
 */
struct flowlist_filter {
	uint8_t proto;
	bool has_rule, has_port;
	uint16_t rule, port;
	uint32_t rule_gen;
	struct flowlist_net src, dst;
};

/**
 * struct flowlist_flow - What is listed of a flow: a copy, so that it may have ended
 * @index, @gen:	Its number and generation
 * @proto:	IPPROTO_*, IPPROTO_ICMP for both families
 * @path:	enum flow_path
 * @rule, @rule_gen:	Rule that brought it, generation 0: none
 * @state:	Name of its state
 * @age:	Seconds since its start
 * @bytes:	[TO_GUEST], [FROM_GUEST]
 * @src, @sport:	End that began it, as seen on its side; of echo: the identifier
 * @dst, @dport:	Address and port that it asked for
 * @target, @to:	Address and port that it was led to
 */
struct flowlist_flow {
	uint32_t index, gen;
	uint8_t proto, path;
	uint16_t rule;
	uint32_t rule_gen;
	uint32_t age;
	const char *state;
	uint64_t bytes[2];
	union inany src, dst, target;
	uint16_t sport, dport, to;
};

/**
 * struct flowlist_cursor - Place in a walk over all flows
 * @next:	Index of the next entry to look at
 * @end:	Entries from here on were not in use when it began
 * @start_s:	Time at which it began, s: flows that began later are left out
 */
struct flowlist_cursor {
	uint32_t next, end, start_s;
};

bool flowlist_parse(char *const *word, unsigned n, struct flowlist_filter *f,
		    char error[FLOWLIST_TEXT]);
bool flowlist_is_empty(const struct flowlist_filter *f);
void flowlist_describe(const struct flow_table *t, const struct flow *f,
		       uint64_t now_ms, struct flowlist_flow *l);
bool flowlist_matches(const struct flowlist_filter *f,
		      const struct flowlist_flow *l);
void flowlist_fields(struct jsonline *j, const struct flowlist_flow *l);
void flowlist_rtt(struct jsonline *j, const struct flow_table *t,
		  const struct flow *f);
void flowlist_begin(struct flowlist_cursor *c, const struct flow_table *t,
		    uint64_t now_ms);
struct flow *flowlist_next(struct flow_table *t, struct flowlist_cursor *c,
			   const struct flowlist_filter *f, uint64_t now_ms,
			   unsigned *budget, struct flowlist_flow *l);
bool flowlist_done(const struct flowlist_cursor *c);
bool flowlist_ref(const char *text, uint32_t *index, uint32_t *gen);

#endif /* FLOWLIST_H */
