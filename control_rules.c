/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_rules.c - Changes of the forwarding rules while they are in use
 *
 * A transaction is a list of changes. One client at a time makes one; requests of others
 * that would change rules wait for its end. A client that keeps the list for 10 s while
 * others wait is closed, so that none can keep it for ever.
 *
 *	STAGE_OPEN	requests are parsed, each adds some changes
 *	STAGE_CHECK	each change is held against the table and the changes before it
 *	STAGE_APPLY	the sockets of the new table are bound
 *	STAGE_ANSWER	one line is sent for each rule, then the list is free again
 *
 * Nothing is changed before all is checked, so rules are only marked as gone at first. A
 * rule that is deleted and then added again the same has never been away: it keeps its
 * number and its socket. All stages are cut into steps of a fraction of a millisecond.
 *
 * Removed rules are remembered for a while: see control_rules_gone().
 */

#include "control_rules.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "listen_change.h"
#include "log.h"
#include "ports.h"
#include "ruleline.h"
#include "util.h"

#define WAIT_MS		10000		/* for the transaction of another client */
#define TEXT_LEN	1024
#define CHECK_STEP	4		/* changes that are checked in a step */

enum { CHANGE_ADD, CHANGE_DEL, CHANGE_DEL_NUMBER, CHANGE_CLEAR };

/* Results of changes */
enum {
	CHANGE_PENDING,
	CHANGE_MADE,			/* the rule is new */
	CHANGE_SAME,			/* the same rule is in the table */
	CHANGE_TWIN,			/* the change @number makes the rule */
	CHANGE_REMOVED,
	CHANGE_ABSENT,
	CHANGE_REFUSED,
	CHANGE_WITHDRAWN,		/* a later change deletes the rule again */
};

/* Sets of rules ---------------------------------------------------------- */

static bool is_gone(const struct control_rules *s, uint16_t number)
{
	return s->gone[number / 64] >> number % 64 & 1;
}

static void set_gone(struct control_rules *s, uint16_t number, bool gone)
{
	if (is_gone(s, number) == gone)
		return;
	s->gone[number / 64] ^= 1ULL << number % 64;
	s->kept += gone ? -1U : 1U;
}

static uint16_t number_in(const struct control_rules *s,
			    const struct fwd_rule *r)
{
	return rules_ref(&s->listen->rules, r).number;
}

/* The owner of the transaction ------------------------------------------- */

static void arm_wait(struct control_rules *s)
{
	wheel_arm(&s->ctl->loop->wheel, &s->timer,
		  s->ctl->loop->now_ms + WAIT_MS);
}

/**
 * control_rules_take() - Begin a transaction, or go on with one's own
 * @s:		Rules
 * @c:		Client
 *
 * Return: false if another client has one: try again after control_kick()
 */
bool control_rules_take(struct control_rules *s, struct control_client *c)
{
	if (s->owner == c)
		return true;
	if (s->owner || s->stage == STAGE_APPLY) {
		if (!timer_armed(&s->timer))
			arm_wait(s);
		return false;
	}
	s->owner = c;
	s->stage = STAGE_OPEN;
	s->single = true;
	s->tables = s->partial = s->failed = s->refused = s->started = false;
	s->n = s->at = 0;
	s->kept = s->listen->rules.n;
	s->rc = 0;
	memset(s->gone, 0, sizeof(s->gone));
	return true;
}

static void end_transaction(struct control_rules *s)
{
	s->owner = NULL;
	s->stage = STAGE_OPEN;
	wheel_cancel(&s->ctl->loop->wheel, &s->timer);
	control_kick(s->ctl);
}

/* Parsing ---------------------------------------------------------------- */

/* Add a change to the list, NULL: it is full */
static struct control_change *add_change(struct control_rules *s, uint8_t op)
{
	struct control_change *ch = &s->change[s->n];

	if (s->n == CONTROL_CHANGES)
		return NULL;
	*ch = (struct control_change){ .op = op };
	s->n++;
	return ch;
}

/* Answer a wrong request: one of "begin" makes the whole transaction fail */
static enum control_next wrong(struct control_rules *s,
			       struct control_client *c, const char *error,
			       const char *text)
{
	if (s->owner == c && s->single)
		end_transaction(s);
	else if (s->owner == c)
		s->failed = true;
	return control_refuse(c, error, text);
}

static enum control_next too_many(struct control_rules *s,
				  struct control_client *c)
{
	return wrong(s, c, "ENOSPC",
		     "The transaction has more than 4096 changes");
}

static enum control_next answer_ok(struct control_client *c)
{
	struct jsonline j;

	jsonline_begin(&j);
	jsonline_bool(&j, "ok", true);
	control_line(c, &j);
	return CONTROL_READ;
}

/* A request is in the list: carry it out, unless it is one of several */
static enum control_next accepted(struct control_rules *s,
				  struct control_client *c)
{
	return s->single ? control_rules_start(s, false) : answer_ok(c);
}

/* Number of a kind of rules by its word; RULE_KINDS: there is none, @text says why */
static unsigned parse_kind(const struct control_rules *s, const char *word,
			   char text[TEXT_LEN])
{
	unsigned kind = 0;
	bool udp;

	while (kind < RULE_KINDS && strcmp(word, ruleline_kind(kind)))
		kind++;
	udp = kind == RULE_HOST_UDP || kind == RULE_NS_UDP;
	if (kind == RULE_KINDS)
		snprintf(text, TEXT_LEN, "Unknown kind '%s' of rules: expected "
			 "tcp, udp, tcp-ns or udp-ns", word);
	else if (kind >= RULE_NS_TCP && s->conf->mode == MODE_PASST)
		snprintf(text, TEXT_LEN, "'%s' is for pasta mode only", word);
	else if (udp ? s->conf->no_udp : s->conf->no_tcp)
		snprintf(text, TEXT_LEN, "%s is off, by --no-%s",
			 udp ? "UDP" : "TCP", udp ? "udp" : "tcp");
	else
		return kind;
	return RULE_KINDS;
}

/* Make the rules of a specification in s->next: 0 or -EINVAL, and @text says why */
static int parse_rules(struct control_rules *s, const char *word,
		      const char *spec, char text[TEXT_LEN])
{
	unsigned kind = parse_kind(s, word, text);
	bool from_ns = kind >= RULE_NS_TCP;
	bool udp = kind == RULE_HOST_UDP || kind == RULE_NS_UDP;

	if (kind == RULE_KINDS)
		return -EINVAL;
	rules_init(s->next);
	if (ports_parse(s->next, s->conf->mode == MODE_PASTA,
			udp ? IPPROTO_UDP : IPPROTO_TCP, from_ns, spec, text,
			TEXT_LEN))
		return -EINVAL;
	if (s->ops->fit(s->ctx, s->next))
		return 0;
	snprintf(text, TEXT_LEN, "Too many rules for ports: expected up to %d",
		 RULES_MAX);
	return -EINVAL;
}

static enum control_next change_by_spec(struct control_rules *s,
					struct control_client *c, uint8_t op,
					const char *kind, const char *spec)
{
	const struct fwd_rule *r = NULL;
	struct control_change *ch;
	char text[TEXT_LEN];

	if (!control_rules_take(s, c))
		return CONTROL_LATER;
	if (parse_rules(s, kind, spec, text))
		return wrong(s, c, "EINVAL", text);
	while ((r = rules_next(s->next, r))) {
		ch = add_change(s, op);
		if (!ch)
			return too_many(s, c);
		pesto_from_fwd(&ch->rule, r);
		ch->from_ns = r->from_ns;
	}
	return accepted(s, c);
}

/**
 * control_rules_add() - Request "add KIND SPEC"
 *
 * As all requests here, it has answered if it returns CONTROL_READ.
 */
enum control_next control_rules_add(struct control_rules *s,
				    struct control_client *c, const char *kind,
				    const char *spec)
{
	return change_by_spec(s, c, CHANGE_ADD, kind, spec);
}

/* control_rules_del() - Request "del KIND SPEC" */
enum control_next control_rules_del(struct control_rules *s,
				    struct control_client *c, const char *kind,
				    const char *spec)
{
	return change_by_spec(s, c, CHANGE_DEL, kind, spec);
}

/* Parse NUMBER or NUMBER.GENERATION */
static bool parse_number(const char *text, struct rule_ref *ref)
{
	unsigned long number, gen = 0;
	size_t len = strcspn(text, ".");
	char first[8];

	if (len >= sizeof(first))
		return false;
	memcpy(first, text, len);
	first[len] = 0;
	if (util_parse_ulong(first, 0, RULES_MAX - 1, &number) ||
	    (text[len] && util_parse_ulong(text + len + 1, 1, UINT32_MAX, &gen)))
		return false;
	ref->number = (uint16_t)number;
	ref->gen = (uint32_t)gen;
	return true;
}

/* control_rules_del_number() - Request "del RULE" */
enum control_next control_rules_del_number(struct control_rules *s,
					   struct control_client *c,
					   const char *rule)
{
	struct control_change *ch;
	struct rule_ref ref;

	if (!control_rules_take(s, c))
		return CONTROL_LATER;
	if (!parse_number(rule, &ref))
		return wrong(s, c, "EINVAL", "Expected 'del KIND SPEC', or the "
			     "number of a rule as in 12 or 12.17");
	ch = add_change(s, CHANGE_DEL_NUMBER);
	if (!ch)
		return too_many(s, c);
	ch->number = ref.number;
	ch->gen = ref.gen;
	return accepted(s, c);
}

/* control_rules_clear() - Request "clear host" or "clear ns" */
enum control_next control_rules_clear(struct control_rules *s,
				      struct control_client *c,
				      const char *side)
{
	bool from_ns = !strcmp(side, "ns");
	struct control_change *ch;

	if (!control_rules_take(s, c))
		return CONTROL_LATER;
	if (!from_ns && strcmp(side, "host"))
		return wrong(s, c, "EINVAL", "Expected 'clear host' or 'clear ns'");
	ch = add_change(s, CHANGE_CLEAR);
	if (!ch)
		return too_many(s, c);
	ch->from_ns = from_ns;
	return accepted(s, c);
}

/* control_rules_begin() - Request "begin" */
enum control_next control_rules_begin(struct control_rules *s,
				      struct control_client *c)
{
	if (s->owner == c)
		return wrong(s, c, "EINVAL", "A transaction has begun already");
	if (!control_rules_take(s, c))
		return CONTROL_LATER;
	s->single = false;
	return answer_ok(c);
}

/* control_rules_commit() - Request "commit" or "commit partial" */
enum control_next control_rules_commit(struct control_rules *s,
				       struct control_client *c,
				       const char *partial)
{
	if (s->owner != c)
		return control_refuse(c, "EINVAL", "There is no transaction: "
				      "expected 'begin' before");
	if (partial && strcmp(partial, "partial"))
		return wrong(s, c, "EINVAL",
			     "Expected 'commit' or 'commit partial'");
	if (!s->failed || partial)
		return control_rules_start(s, partial);
	end_transaction(s);
	return control_refuse(c, "ECANCELED", "A request of the transaction was "
			      "wrong, nothing has changed");
}

/* control_rules_abort() - Request "abort" */
enum control_next control_rules_abort(struct control_rules *s,
				      struct control_client *c)
{
	if (s->owner != c)
		return control_refuse(c, "EINVAL", "There is no transaction");
	end_transaction(s);
	return answer_ok(c);
}

/* Tables ----------------------------------------------------------------- */

/**
 * control_rules_note() - Add a rule to the transaction
 * @s:		Rules; the caller has called control_rules_take()
 * @rule:	Rule to add
 * @from_ns:	It is one of the namespace
 *
 * Return: false if there is no room
 */
bool control_rules_note(struct control_rules *s, const struct pesto_rule *rule,
			bool from_ns)
{
	struct control_change *ch = add_change(s, CHANGE_ADD);

	if (!ch)
		return false;
	ch->rule = *rule;
	ch->from_ns = from_ns;
	return true;
}

/* control_rules_remove() - Remove a rule in the transaction, before rules are added */
void control_rules_remove(struct control_rules *s, uint16_t number)
{
	set_gone(s, number, true);
}

/**
 * control_rules_start() - Carry out the transaction
 * @s:		Rules
 * @partial:	Rules that can't be bound wait, else nothing is changed then
 */
enum control_next control_rules_start(struct control_rules *s, bool partial)
{
	s->partial = partial;
	s->stage = STAGE_CHECK;
	s->at = 0;
	return CONTROL_MORE;
}

/* Check ------------------------------------------------------------------ */

static void change_rule(const struct control_change *ch, struct fwd_rule *r)
{
	pesto_to_fwd(r, &ch->rule, ch->from_ns);
}

static void refuse_change(struct control_rules *s, struct control_change *ch,
		   enum rules_code code)
{
	ch->result = CHANGE_REFUSED;
	ch->code = code;
	s->refused = true;
}

/* An earlier change of the transaction that makes the same rule, NULL: none */
static struct control_change *find_twin(struct control_rules *s,
					const struct control_change *ch)
{
	for (struct control_change *o = s->change; o < ch; o++)
		if (o->result == CHANGE_MADE && o->from_ns == ch->from_ns &&
		    pesto_same_rule(&o->rule, &ch->rule))
			return o;
	return NULL;
}

/* Does a rule clash with one that stays, or with one of an earlier change? */
static bool find_clash(struct control_rules *s, struct control_change *ch,
		       const struct fwd_rule *r)
{
	const struct rules *rs = &s->listen->rules;
	const struct fwd_rule *o = NULL;
	enum rules_code code;
	struct fwd_rule other;

	while ((o = rules_next(rs, o))) {
		code = is_gone(s, number_in(s, o)) ? RULES_OK :
		       rules_check_pair(r, o, s->conf);
		if (!code)
			continue;
		refuse_change(s, ch, code);
		ch->number = number_in(s, o);
		ch->gen = rules_ref(rs, o).gen;
		return true;
	}
	for (unsigned i = 0; i < s->at; i++) {
		change_rule(&s->change[i], &other);
		if (s->change[i].result != CHANGE_MADE ||
		    !(code = rules_check_pair(r, &other, s->conf)))
			continue;
		refuse_change(s, ch, code);
		ch->number = (uint16_t)i;
		ch->gen = 0;
		return true;
	}
	return false;
}

static void keep_same(struct control_rules *s, struct control_change *ch,
		      const struct fwd_rule *same)
{
	struct rule_ref ref = rules_ref(&s->listen->rules, same);

	ch->result = CHANGE_SAME;
	ch->number = ref.number;
	ch->gen = ref.gen;
	set_gone(s, ref.number, false);
}

static void check_add(struct control_rules *s, struct control_change *ch)
{
	const struct control_change *twin = find_twin(s, ch);
	const struct fwd_rule *same;
	enum rules_code code;
	struct fwd_rule r;
	bool stays;

	change_rule(ch, &r);
	same = rules_find(&s->listen->rules, &r);
	code = rules_check_options(&r, s->conf);
	stays = same && !is_gone(s, number_in(s, same));
	if (code) {
		refuse_change(s, ch, code);
	} else if (twin && !stays) {
		ch->result = CHANGE_TWIN;
		ch->number = (uint16_t)(twin - s->change);
	} else if (!stays && find_clash(s, ch, &r)) {
		return;
	} else if (!stays && s->kept == RULES_MAX) {
		refuse_change(s, ch, RULES_FULL);
	} else if (same) {
		keep_same(s, ch, same);
	} else {
		ch->result = CHANGE_MADE;
		s->kept++;
	}
}

static void remove_rule(struct control_rules *s, struct control_change *ch,
			const struct fwd_rule *r)
{
	struct rule_ref ref = rules_ref(&s->listen->rules, r);

	ch->result = CHANGE_REMOVED;
	ch->number = ref.number;
	ch->gen = ref.gen;
	set_gone(s, ref.number, true);
}

static void withdraw(struct control_rules *s, struct control_change *ch)
{
	ch->result = CHANGE_WITHDRAWN;
	s->kept--;
}

static void check_del(struct control_rules *s, struct control_change *ch)
{
	struct control_change *twin = find_twin(s, ch);
	const struct fwd_rule *same;
	struct fwd_rule r;

	change_rule(ch, &r);
	same = rules_find(&s->listen->rules, &r);
	if (same && !is_gone(s, number_in(s, same))) {
		remove_rule(s, ch, same);
	} else if (twin) {
		withdraw(s, twin);
		ch->result = CHANGE_REMOVED;
		ch->gen = 0;
	} else {
		ch->result = CHANGE_ABSENT;
	}
}

static void check_del_number(struct control_rules *s, struct control_change *ch)
{
	const struct rules *rs = &s->listen->rules;
	struct rule_ref ref = { .number = ch->number, .gen = ch->gen };
	const struct fwd_rule *r;

	if (!ref.gen && ref.number < rs->used)
		ref.gen = rs->e[ref.number].gen;
	r = rules_at(rs, ref);
	if (!r || is_gone(s, ref.number)) {
		refuse_change(s, ch, RULES_OK);
		ch->error = -ENOENT;
		return;
	}
	pesto_from_fwd(&ch->rule, r);
	ch->from_ns = r->from_ns;
	remove_rule(s, ch, r);
}

static void check_clear(struct control_rules *s, struct control_change *ch)
{
	const struct fwd_rule *r = NULL;

	while ((r = rules_next(&s->listen->rules, r)))
		if (r->from_ns == ch->from_ns)
			set_gone(s, number_in(s, r), true);
	for (struct control_change *o = s->change; o < ch; o++)
		if (o->result == CHANGE_MADE && o->from_ns == ch->from_ns)
			withdraw(s, o);
	ch->result = CHANGE_REMOVED;
}

static void check_one(struct control_rules *s, struct control_change *ch)
{
	switch (ch->op) {
	case CHANGE_ADD:
		check_add(s, ch);
		break;
	case CHANGE_DEL:
		check_del(s, ch);
		break;
	case CHANGE_DEL_NUMBER:
		check_del_number(s, ch);
		break;
	case CHANGE_CLEAR:
		check_clear(s, ch);
	}
}

/* Apply ------------------------------------------------------------------ */

/**
 * control_rules_removed() - Remember a rule that is removed for certain
 * @s:		Rules
 * @r:		Rule, still in the table
 */
void control_rules_removed(struct control_rules *s, const struct fwd_rule *r)
{
	const struct rule_ref ref = rules_ref(&s->listen->rules, r);
	struct control_gone *g = &s->log[s->logged++ % CONTROL_GONE];

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		s->listed[i][ref.number / 64] &= ~(1ULL << ref.number % 64);
	if (g->gone > s->forgotten)
		s->forgotten = g->gone;
	*g = (struct control_gone){ .from_ns = r->from_ns,
				    .number = ref.number, .made = ref.gen,
				    .gone = s->listen->next.gen };
	pesto_from_fwd(&g->rule, r);
}

/**
 * control_rules_gone() - Look up a removed rule
 * @s:		Rules
 * @number:	Number that it had
 * @gen:	Generation in which it was in the table
 *
 * Return: the rule, NULL: there was none, or it is forgotten. The latter is not the case
 * if @gen is not below s->forgotten.
 */
const struct control_gone *control_rules_gone(const struct control_rules *s,
					      uint16_t number, uint32_t gen)
{
	for (const struct control_gone *g = s->log; g < s->log + CONTROL_GONE; g++)
		if (g->number == number && g->made <= gen && g->gone > gen)
			return g;
	return NULL;
}

/* Make the new table in s->next; false: it is the same as the old one */
static bool make_next(struct control_rules *s)
{
	bool changed = false;

	rules_copy(s->next, &s->listen->rules);
	for (unsigned i = 0; i < s->next->used; i++) {
		struct rule_ref ref = { (uint16_t)i, s->next->e[i].gen };

		if (is_gone(s, ref.number))
			changed |= rules_remove(s->next, ref);
	}
	for (struct control_change *ch = s->change; ch < s->change + s->n; ch++) {
		const struct fwd_rule *made;
		struct rule_ref ref;
		struct fwd_rule r;

		if (ch->result != CHANGE_MADE)
			continue;
		change_rule(ch, &r);
		made = rules_append(s->next, &r);
		ref = rules_ref(s->next, made);
		ch->number = ref.number;
		ch->gen = ref.gen;
		changed = true;
	}
	return changed;
}

/* All changes are checked: bind the sockets, if anything is to be changed */
static enum control_next begin_apply(struct control_rules *s)
{
	bool given_up = s->refused && (!s->partial || s->tables);

	s->at = 0;
	s->stage = STAGE_ANSWER;
	if (given_up || !make_next(s))
		return CONTROL_MORE;
	s->stage = STAGE_APPLY;
	return CONTROL_MORE;
}

/* Blame the change whose rule could not be bound */
static void note_failure(struct control_rules *s, const struct fwd_rule *r,
			 uint16_t port)
{
	struct fwd_rule mine;

	s->refused = true;
	for (struct control_change *ch = s->change; ch < s->change + s->n; ch++) {
		if (ch->result != CHANGE_MADE || !r)
			continue;
		change_rule(ch, &mine);
		if (!rules_same(&mine, r))
			continue;
		ch->result = CHANGE_REFUSED;
		ch->code = RULES_OK;
		ch->error = (int16_t)s->rc;
		ch->port = port;
		return;
	}
}

/* The sockets are bound, or are not: note which */
static void finish_apply(struct control_rules *s)
{
	const struct fwd_rule *r = NULL;
	uint16_t port = 0;

	s->rc = s->started ? listen_result(s->listen, &r, &port) : -ECANCELED;
	if (s->rc)
		note_failure(s, r, port);
	else
		s->ops->applied(s->ctx);
	s->stage = STAGE_ANSWER;
}

/* Begin to bind sockets, once waiting rules are not tried any more, or wait for the end */
static enum control_next apply_next(struct control_rules *s)
{
	if (listen_busy(s->listen))
		return CONTROL_WAIT;
	if (s->started) {
		finish_apply(s);
		return CONTROL_MORE;
	}
	s->started = true;
	listen_start(s->listen, s->next, s->partial);
	return CONTROL_WAIT;
}

/**
 * control_rules_settle() - Sockets are not being changed at the moment
 * @s:		Rules
 *
 * Return: true: control_run() has work
 */
bool control_rules_settle(struct control_rules *s)
{
	if (s->stage != STAGE_APPLY)
		return false;
	if (s->owner) {
		control_kick(s->ctl);
	} else {
		finish_apply(s);
		end_transaction(s);
	}
	return true;
}

/* Answers ---------------------------------------------------------------- */

static const char *refused_name(const struct control_change *ch)
{
	switch (ch->code) {
	case RULES_OK:
		return ruleline_errno(ch->error);
	case RULES_CONFLICT:
		return "EEXIST";
	case RULES_FULL:
		return "ENOSPC";
	}
	return "EINVAL";
}

/* The rule in the way of a refused one; false: it has gone since */
static bool other_rule(const struct control_rules *s,
		       const struct control_change *ch, struct fwd_rule *other)
{
	const struct fwd_rule *r;

	if (!ch->gen) {
		change_rule(&s->change[ch->number], other);
		return true;
	}
	r = rules_at(&s->listen->rules,
		     (struct rule_ref){ ch->number, ch->gen });
	if (r)
		*other = *r;
	return r;
}

/* Say why a rule is refused that is in conflict with others, or with options */
static void refused_text(const struct control_rules *s,
			 const struct control_change *ch,
			 const struct fwd_rule *r, char text[RULELINE_TEXT])
{
	char spec[RULES_SPEC], other_spec[RULES_SPEC], reason[RULES_TEXT];
	struct rules_clash clash = { .rule = *r };
	const char *kind = ruleline_kind(rule_kind(r));
	struct fwd_rule other = { .spec = "" };
	bool known = false;

	if (ch->code == RULES_CONFLICT || ch->code == RULES_LOOP)
		known = other_rule(s, ch, &other);
	if (known)
		rules_spec(&other, other_spec);
	other.spec = other_spec;
	clash.other = &other;
	rules_spec(r, spec);
	if (!known)
		snprintf(text, RULELINE_TEXT, "%s %s: %s", kind, spec,
			 rules_text(ch->code, &clash, reason));
	else if (ch->code == RULES_CONFLICT && ch->gen)
		snprintf(text, RULELINE_TEXT, "%s %s overlaps rule %u, %s %s",
			 kind, spec, ch->number,
			 ruleline_kind(rule_kind(&other)), other_spec);
	else
		snprintf(text, RULELINE_TEXT, "%s %s %s %s %s", kind, spec,
			 ch->code == RULES_LOOP ? "leads back by" : "overlaps",
			 ruleline_kind(rule_kind(&other)), other_spec);
}

static void put_reason(const struct control_rules *s, struct jsonline *j,
			const struct control_change *ch,
			const struct fwd_rule *r)
{
	char text[RULELINE_TEXT];

	if (ch->op == CHANGE_DEL_NUMBER) {
		snprintf(text, sizeof(text), "There is no rule %u%s",
			 ch->number, ch->gen ? " of that generation" : "");
	} else if (ch->code == RULES_OK) {
		ruleline_error(j, r, ch->port, ch->error);
		return;
	} else {
		refused_text(s, ch, r, text);
	}
	jsonline_str(j, "error", refused_name(ch));
	jsonline_str(j, "text", text);
}

static void put_state(const struct control_rules *s, struct jsonline *j,
		      const struct control_change *ch)
{
	const struct fwd_rule *r =
		rules_at(&s->listen->rules,
			 (struct rule_ref){ ch->number, ch->gen });

	if (ch->result == CHANGE_REMOVED)
		jsonline_str(j, "state", "removed");
	else if (ch->result == CHANGE_ABSENT || !r)
		jsonline_str(j, "state", "absent");
	else
		ruleline_state(j, s->listen, r, ch->result == CHANGE_SAME ?
						"unchanged" : NULL);
}

/* Did the transaction change nothing, since a rule was refused? */
static bool has_failed(const struct control_rules *s)
{
	return s->rc || (s->refused && !s->partial);
}

/* One line about a rule that was named in a request */
static void put_change(const struct control_rules *s, struct jsonline *j,
		       const struct control_change *ch)
{
	bool refused = ch->result == CHANGE_REFUSED;
	struct rule_ref ref = { .gen = 0 };
	struct fwd_rule r;

	if (ch->result == CHANGE_TWIN)
		ch = &s->change[ch->number];
	change_rule(ch, &r);
	if (!refused && !has_failed(s) && ch->result != CHANGE_ABSENT &&
	    ch->result != CHANGE_WITHDRAWN)
		ref = (struct rule_ref){ ch->number, ch->gen };
	ruleline_name(j, ref);
	if (!refused || ch->op != CHANGE_DEL_NUMBER)
		ruleline_spec(j, &r);
	if (refused)
		put_reason(s, j, ch, &r);
	else if (!has_failed(s))
		put_state(s, j, ch);
}

static void put_last(const struct control_rules *s, struct control_client *c)
{
	struct jsonline j;

	jsonline_begin(&j);
	jsonline_bool(&j, "ok", !has_failed(s));
	jsonline_num(&j, "gen", s->listen->rules.gen);
	control_line(c, &j);
}

static enum control_next answer_next(struct control_rules *s,
				struct control_client *c)
{
	struct jsonline j;

	if (s->tables) {
		if (s->refused)
			debug("Control client %u: tables refused", c->slot);
		end_transaction(s);
		return CONTROL_CLOSE;
	}
	while (s->at < s->n && s->change[s->at].op == CHANGE_CLEAR)
		s->at++;
	if (s->at < s->n) {
		jsonline_begin(&j);
		put_change(s, &j, &s->change[s->at++]);
		control_line(c, &j);
		return CONTROL_MORE;
	}
	put_last(s, c);
	end_transaction(s);
	return CONTROL_READ;
}

/* control_rules_more() - Go on with the transaction of a client */
enum control_next control_rules_more(struct control_rules *s,
				     struct control_client *c)
{
	switch (s->stage) {
	case STAGE_OPEN:
		break;
	case STAGE_CHECK:
		for (unsigned i = 0; i < CHECK_STEP && s->at < s->n; i++) {
			check_one(s, &s->change[s->at]);
			s->at++;
		}
		return s->at < s->n ? CONTROL_MORE : begin_apply(s);
	case STAGE_APPLY:
		return apply_next(s);
	case STAGE_ANSWER:
		return answer_next(s, c);
	}
	return CONTROL_READ;
}

/* The list of rules ------------------------------------------------------ */

/* The rule behind the cursor: if the one at it was removed, the first that is not listed */
static const struct fwd_rule *next_listed(const struct control_rules *s,
					  unsigned slot)
{
	const struct rules *rs = &s->listen->rules;
	const struct fwd_rule *r = rules_at(rs, s->cursor[slot]);
	uint16_t number;

	if (r || !s->cursor[slot].gen)
		return rules_next(rs, r);
	while ((r = rules_next(rs, r))) {
		number = rules_ref(rs, r).number;
		if (!(s->listed[slot][number / 64] >> number % 64 & 1))
			break;
	}
	return r;
}

/* control_rules_list() - Request "rules" */
enum control_next control_rules_list(struct control_rules *s,
				     struct control_client *c)
{
	s->cursor[c->slot].gen = 0;
	memset(s->listed[c->slot], 0, sizeof(s->listed[c->slot]));
	return CONTROL_MORE;
}

/* control_rules_list_more() - Answer it: one rule a call */
enum control_next control_rules_list_more(struct control_rules *s,
					  struct control_client *c)
{
	struct rule_ref *at = &s->cursor[c->slot];
	const struct fwd_rule *r = next_listed(s, c->slot);
	struct rule_stats stats;
	struct jsonline j;

	if (!r)
		return answer_ok(c);
	*at = rules_ref(&s->listen->rules, r);
	s->listed[c->slot][at->number / 64] |= 1ULL << at->number % 64;
	jsonline_begin(&j);
	ruleline_rule(&j, s->listen, r, NULL);
	stats = rulestat_of(s->stats, *at);
	ruleline_counters(&j, &stats);
	control_line(c, &j);
	return CONTROL_MORE;
}

/* Ends ------------------------------------------------------------------- */

/* control_rules_closed() - Forget what a client has begun */
void control_rules_closed(struct control_rules *s, struct control_client *c)
{
	if (s->owner != c)
		return;
	if (s->stage == STAGE_APPLY)
		s->owner = NULL;	/* it goes on without a client */
	else
		end_transaction(s);
}

/* control_rules_timer() - Close the client that others have waited for */
void control_rules_timer(struct control_rules *s)
{
	if (!s->owner)
		return;
	if (s->stage == STAGE_OPEN || s->stage == STAGE_ANSWER)
		control_expel(s->ctl, s->owner, "Another client has waited 10 s "
			      "for the end of this transaction");
	else
		arm_wait(s);
}

/**
 * control_rules_init() - Begin without a transaction
 * @s:		All zero
 * @ctl:	Control socket
 * @listen:	Rules and their sockets
 * @conf:	Configuration
 * @scratch:	A table that nobody else uses any more
 * @ops:	The program around the rules, @ctx: its first argument
 */
void control_rules_init(struct control_rules *s, struct control *ctl,
			struct listen *listen, const struct conf *conf,
			struct rules *scratch,
			const struct control_rules_ops *ops, void *ctx)
{
	s->ctl = ctl;
	s->listen = listen;
	s->conf = conf;
	s->next = scratch;
	s->ops = ops;
	s->ctx = ctx;
	s->timer.ref = (union epoll_ref){ .kind = REF_CONTROL_WAIT };
}
