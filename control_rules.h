/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_rules.h - Changes of the forwarding rules while they are in use
 */

#ifndef CONTROL_RULES_H
#define CONTROL_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"
#include "listen.h"
#include "pesto_wire.h"
#include "rules.h"
#include "rulestat.h"

#define CONTROL_CHANGES	4096		/* in one transaction */
#define CONTROL_GONE	1024		/* removed rules that are remembered */

typedef uint64_t control_rules_set[RULES_MAX / 64];	/* numbers of rules */

/**
 * struct control_change - One change of a transaction
 * @rule:	Rule to add or to delete
 * @op:		What is to be done
 * @result:	What has become of it
 * @from_ns:	The rule is one of the namespace, or CHANGE_CLEAR of these
 * @code:	CHANGE_REFUSED: enum rules_code, RULES_OK: see @error
 * @error:	CHANGE_REFUSED: negative errno of the port @port
 * @number, @gen:	The rule in the table, or the one in the way; gen 0: any, or a change
 *		of this transaction with this index
 */
struct control_change {
	struct pesto_rule rule;
	uint8_t op, result;
	bool from_ns;
	uint8_t code;
	int16_t error;
	uint16_t port, number;
	uint32_t gen;
};

/**
 * struct control_gone - A rule that was removed
 * @rule, @from_ns:	The rule
 * @number, @made:	Its number and generation
 * @gone:	Generation of the table without it
 */
struct control_gone {
	struct pesto_rule rule;
	bool from_ns;
	uint16_t number;
	uint32_t made, gone;
};

/**
 * struct control_rules_ops - The program around the rules
 * @fit:	Take ports from rules for all ports that the host needs: false if
 *		there is no room
 * @applied:	The rules have changed
 */
struct control_rules_ops {
	bool (*fit)(void *ctx, struct rules *rs);
	void (*applied)(void *ctx);
};

/**
 * struct control_rules - The transaction of one client at a time
 * @stats:	Counters of the rules
 * @next:	Table that is made: of a specification, then of the whole change
 * @owner:	Client that makes the transaction, NULL: none
 * @stage:	What is done for it
 * @single:	A request without "begin"; @tables: by tables
 * @partial:	Rules that can't be bound wait
 * @failed:	A request of the transaction was wrong
 * @refused:	A rule was refused
 * @n:		Number of changes; @at: the next one to be looked at
 * @kept:	Number of rules that the table will have
 * @gone:	Numbers of rules that will be removed
 * @started:	The change of the sockets has begun; @rc: its result
 * @log:	Rules that were removed last, a ring; @logged: number of all so far
 * @forgotten:	Generation of the table when the newest rule that is no more in @log
 *		was removed
 * @cursor:	For each client, the last rule that was listed; generation 0: none
 * @listed:	For each client, the numbers of all rules that were listed
 * @timer:	Ends a transaction that others wait for
 */
struct control_rules {
	struct control *ctl;
	struct listen *listen;
	const struct rulestat *stats;
	const struct conf *conf;
	struct rules *next;
	const struct control_rules_ops *ops;
	void *ctx;
	struct control_client *owner;
	enum { STAGE_OPEN, STAGE_CHECK, STAGE_APPLY, STAGE_ANSWER } stage;
	bool single, tables, partial, failed, refused, started;
	unsigned n, at, kept;
	control_rules_set gone;
	int rc;
	struct control_change change[CONTROL_CHANGES];
	struct control_gone log[CONTROL_GONE];
	unsigned logged;
	uint32_t forgotten;
	struct rule_ref cursor[CONTROL_CLIENTS];
	control_rules_set listed[CONTROL_CLIENTS];
	struct timer timer;
};

void control_rules_init(struct control_rules *s, struct control *ctl,
			struct listen *listen, const struct conf *conf,
			struct rules *scratch,
			const struct control_rules_ops *ops, void *ctx);
enum control_next control_rules_add(struct control_rules *s,
				    struct control_client *c, const char *kind,
				    const char *spec);
enum control_next control_rules_del(struct control_rules *s,
				    struct control_client *c, const char *kind,
				    const char *spec);
enum control_next control_rules_del_number(struct control_rules *s,
					   struct control_client *c,
					   const char *rule);
enum control_next control_rules_clear(struct control_rules *s,
				      struct control_client *c,
				      const char *side);
enum control_next control_rules_begin(struct control_rules *s,
				      struct control_client *c);
enum control_next control_rules_commit(struct control_rules *s,
				       struct control_client *c,
				       const char *partial);
enum control_next control_rules_abort(struct control_rules *s,
				      struct control_client *c);
enum control_next control_rules_more(struct control_rules *s,
				     struct control_client *c);
enum control_next control_rules_list(struct control_rules *s,
				     struct control_client *c);
enum control_next control_rules_list_more(struct control_rules *s,
					  struct control_client *c);
void control_rules_closed(struct control_rules *s, struct control_client *c);
void control_rules_removed(struct control_rules *s, const struct fwd_rule *r);
bool control_rules_settle(struct control_rules *s);
void control_rules_timer(struct control_rules *s);

/* For tables */
bool control_rules_take(struct control_rules *s, struct control_client *c);
bool control_rules_note(struct control_rules *s, const struct pesto_rule *rule,
			bool from_ns);
void control_rules_remove(struct control_rules *s, uint16_t number);
enum control_next control_rules_start(struct control_rules *s, bool partial);
const struct control_gone *control_rules_gone(const struct control_rules *s,
					      uint16_t number, uint32_t gen);

#endif /* CONTROL_RULES_H */
