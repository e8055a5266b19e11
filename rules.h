/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.h - The table of forwarding rules
 */

#ifndef RULES_H
#define RULES_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inany.h"
#include "portmap.h"
#include "types.h"

#define RULES_MAX	2048
#define RULES_TEXT	256		/* bytes for rules_text() */
#define RULES_SPEC	192		/* bytes for rules_spec() */

/* Side where a rule's ports are bound, and their protocol: see rule_kind() */
enum { RULE_HOST_TCP, RULE_HOST_UDP, RULE_NS_TCP, RULE_NS_UDP, RULE_KINDS };

/**
 * struct fwd_rule - Ports of one side that reach the other
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @from_ns:	From the namespace to the host (-T, -U), else to the guest (-t, -u)
 * @scan:	Bind a port only while its target has a listener (auto)
 * @weak:	A port that can't be bound is no error
 * @addr:	Address to bind; unset: all, of both families unless @only6
 * @only6:	With @addr unset: all addresses of IPv6 alone
 * @ifname:	Interface to bind to, "": any
 * @first, @last:	Ports, host order
 * @to:		Target port of @first; those of the others follow
 * @to_addr:	Target address, of the family of @addr; unset: the guest's own. Never set
 *		with @from_ns or @scan
 * @spec:	Specification as the user wrote it, "": unknown; see rules_shown()
 */
struct fwd_rule {
	uint8_t proto;
	bool from_ns, scan, weak, only6;
	union inany addr;
	char ifname[IFNAMSIZ];
	uint16_t first, last, to;
	union inany to_addr;
	const char *spec;
};

/**
 * struct rules_entry - Place of a rule in the table
 * @rule:	The rule
 * @gen:	Generation of the table in which the rule was made, 0: free
 * @prev, @next:	Neighbours in the order in which rules were added, or the next
 *		free entry; number + 1, 0: none
 */
struct rules_entry {
	struct fwd_rule rule;
	uint32_t gen;
	uint16_t prev, next;
};

/**
 * struct rules - Table of forwarding rules; all zero is an empty one
 * @n:		Number of rules
 * @used:	Entries ever used; the rest of @e was never touched
 * @gen:	Generation: counts changes of the table
 * @first, @last:	Ends of the list of rules; @free: list of free entries. Number
 *		+ 1, 0: none
 * @e:		Entries, by the number of the rule
 */
struct rules {
	unsigned n, used;
	uint32_t gen;
	uint16_t first, last, free;
	struct rules_entry e[RULES_MAX];
};

/* Name of a rule: its number, and the generation it was made in */
struct rule_ref {
	uint16_t number;
	uint32_t gen;
};

/* Result of adding or checking rules */
enum rules_code {
	RULES_OK,
	RULES_FULL,			/* no room */
	RULES_CONFLICT,			/* another rule has the port, for elsewhere */
	RULES_LOOP,			/* another rule leads back */
	RULES_NO_IPV4, RULES_NO_IPV6,	/* the family is off */
	RULES_NO_SPLICE,		/* --no-splice */
	RULES_FD_NS, RULES_FD_SCAN,	/* -F: no namespace to bind or look in */
	RULES_NO_BYPASS,		/* a target on loopback, behind the tap */
};

/**
 * struct rules_clash - Rules that an error is about
 * @rule:	The rule, or the part of it that can't be
 * @other:	With RULES_CONFLICT and RULES_LOOP: the rule that is in its way
 */
struct rules_clash {
	struct fwd_rule rule;
	const struct fwd_rule *other;
};

static inline unsigned rule_kind(const struct fwd_rule *r)
{
	return (r->from_ns ? RULE_NS_TCP : RULE_HOST_TCP) +
	       (r->proto == IPPROTO_UDP);
}

/* Do two rules bind the same addresses? */
static inline bool rule_same_addr(const struct fwd_rule *a,
				  const struct fwd_rule *b)
{
	return inany_equals(&a->addr, &b->addr) && a->only6 == b->only6;
}

/* Does a rule bind all addresses of both families? */
static inline bool rule_binds_all(const struct fwd_rule *r)
{
	return !inany_is_set(&r->addr) && !r->only6;
}

/* Long name of the option that makes such rules */
const char *rule_option(const struct fwd_rule *r);
/* Its letter: t, u, T or U */
char rule_letter(const struct fwd_rule *r);

void rules_init(struct rules *rs);
const struct fwd_rule *rules_next(const struct rules *rs,
				  const struct fwd_rule *after);
struct rule_ref rules_ref(const struct rules *rs, const struct fwd_rule *r);
const struct fwd_rule *rules_at(const struct rules *rs, struct rule_ref ref);
enum rules_code rules_add(struct rules *rs, const struct fwd_rule *r,
			  const struct portmap *without,
			  struct rules_clash *clash);
const struct fwd_rule *rules_find(const struct rules *rs,
				  const struct fwd_rule *r);
const struct fwd_rule *rules_append(struct rules *rs, const struct fwd_rule *r);
bool rules_remove(struct rules *rs, struct rule_ref ref);
void rules_remove_kind(struct rules *rs, unsigned kind);
enum rules_code rules_cut_weak(struct rules *rs, unsigned kind, uint16_t first,
			       uint16_t last);
enum rules_code rules_check(const struct rules *rs, const struct conf *c,
			    struct rules_clash *clash);
enum rules_code rules_check_options(const struct fwd_rule *r,
				    const struct conf *c);
enum rules_code rules_check_pair(const struct fwd_rule *a,
				 const struct fwd_rule *b, const struct conf *c);
bool rules_same(const struct fwd_rule *a, const struct fwd_rule *b);
bool rules_overlap(const struct fwd_rule *a, const struct fwd_rule *b);
void rules_copy(struct rules *to, const struct rules *from);
const char *rules_text(enum rules_code code, const struct rules_clash *clash,
		       char buf[RULES_TEXT]);
const char *rules_shown(const struct fwd_rule *r, char buf[RULES_SPEC]);
const char *rules_spec(const struct fwd_rule *r, char buf[RULES_SPEC]);

#endif /* RULES_H */
