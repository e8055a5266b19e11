/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_table.c - Clients of the control socket that speak tables
 *
 * The greeting shows all rules, and the client sends back the rules that it wants. We
 * compare these with the rules of the greeting, not with those of now: a rule that
 * the client left out is removed, one that it added is added, and whatever others have
 * changed meanwhile stays as they left it. So no update is lost.
 *
 * A greeting may be longer than all buffers, so it is written while the client reads it,
 * rule by rule in the order of their numbers. Rules made later are left out by their
 * generation. Rules removed meanwhile are still shown: see control_rules_gone(). If too
 * many were removed to remember, the connection is closed.
 */

#include "control_table.h"

#include <string.h>

#include "log.h"
#include "ruleline.h"
#include "util.h"

#define GREETING_STEP	32		/* rules written at once */

static const uint8_t ids[CONTROL_TABLES] = { PESTO_HOST, PESTO_SPLICE };

static unsigned tables(const struct control_tables *s)
{
	return s->rules->conf->mode == MODE_PASTA ? CONTROL_TABLES : 1;
}

static struct control_table *conversation(struct control_tables *s,
				      const struct control_client *c)
{
	return &s->client[c->slot];
}

/* Get the rule of a number as the greeting shows it, false: there is none */
static bool shown_rule(const struct control_tables *s,
		       const struct control_table *t, uint16_t number,
		       struct pesto_rule *rule, bool *from_ns)
{
	const struct rules *rs = &s->rules->listen->rules;
	const struct rules_entry *e = &rs->e[number];
	const struct control_gone *g;

	if (number < rs->used && e->gen && e->gen <= t->gen) {
		pesto_from_fwd(rule, &e->rule);
		*from_ns = e->rule.from_ns;
		return true;
	}
	g = control_rules_gone(s->rules, number, t->gen);
	if (!g)
		return false;
	*rule = g->rule;
	*from_ns = g->from_ns;
	return true;
}

/* Were too many rules removed since the greeting to know all that it shows? */
static bool is_outdated(const struct control_tables *s,
			const struct control_table *t)
{
	return s->rules->forgotten > t->gen;
}

/* The greeting ----------------------------------------------------------- */

/* control_table_greet() - Begin the greeting of a new client */
enum control_next control_table_greet(struct control_tables *s,
				      struct control_client *c)
{
	const struct rules *rs = &s->rules->listen->rules;
	struct control_table *t = conversation(s, c);
	const struct fwd_rule *r = NULL;
	uint8_t buf[PESTO_HELLO_LEN];
	uint32_t offered = 0;

	*t = (struct control_table){ .gen = rs->gen, .used = rs->used };
	while ((r = rules_next(rs, r)))
		t->count[r->from_ns]++;
	for (unsigned i = 0; i < tables(s); i++)
		offered |= 1U << ids[i];
	pesto_read_tables(&t->reader, PESTO_VERSION, offered, RULES_MAX);
	control_put(c, buf, pesto_put_hello(buf, PESTO_VERSION));
	return CONTROL_MORE;
}

static uint32_t capabilities(const struct conf *c, bool first)
{
	return (c->ip4.enabled ? PESTO_CAP_IPV4 : 0) |
	       (c->ip6.enabled ? PESTO_CAP_IPV6 : 0) |
	       (c->no_tcp ? 0 : PESTO_CAP_TCP) |
	       (c->no_udp ? 0 : PESTO_CAP_UDP) | PESTO_CAP_IFNAME |
	       (c->mode == MODE_PASTA ? PESTO_CAP_SCAN : 0) |
	       (first ? PESTO_CAP_WORDS : 0);
}

static void put_head(const struct control_tables *s, struct control_table *t,
		     struct control_client *c)
{
	struct pesto_kind kind = { .id = ids[t->part],
				   .count = t->count[t->part] };
	uint8_t buf[PESTO_KIND_LEN];

	util_strcpy(kind.name, sizeof(kind.name), t->part ? "SPLICE" : "HOST");
	kind.caps = capabilities(s->rules->conf, !t->part);
	control_put(c, buf, pesto_put_kind(buf, &kind));
	t->head = true;
	t->number = 0;
}

/* Write some rules of the table; false: all are written */
static bool put_rules(const struct control_tables *s, struct control_table *t,
		      struct control_client *c)
{
	uint8_t buf[PESTO_RULE_LEN];
	struct pesto_rule rule;
	bool from_ns;

	for (unsigned i = 0; i < GREETING_STEP && t->number < t->used; i++) {
		if (shown_rule(s, t, (uint16_t)t->number, &rule, &from_ns) &&
		    from_ns == (ids[t->part] == PESTO_SPLICE))
			control_put(c, buf, pesto_put_rule(buf, PESTO_VERSION,
							   &rule));
		t->number++;
	}
	return t->number < t->used;
}

/* control_table_more() - Go on with the greeting, or with the change that was sent */
enum control_next control_table_more(struct control_tables *s,
				     struct control_client *c)
{
	static const uint8_t end = PESTO_END_ID;
	struct control_table *t = conversation(s, c);

	if (s->rules->owner == c)
		return control_rules_more(s->rules, c);
	if (is_outdated(s, t))
		return CONTROL_CLOSE;
	if (t->part == tables(s)) {
		control_put(c, &end, sizeof(end));
		return CONTROL_READ;
	}
	if (!t->head) {
		put_head(s, t, c);
	} else if (!put_rules(s, t, c)) {
		t->part++;
		t->head = false;
	}
	return CONTROL_MORE;
}

/* The client's tables ---------------------------------------------------- */

/* Is a rule one that was in the greeting, and was removed since? */
static bool was_removed(const struct control_tables *s,
			const struct control_table *t,
			const struct pesto_rule *rule, bool from_ns)
{
	const struct control_gone *g = s->rules->log;

	for (; g < s->rules->log + CONTROL_GONE; g++)
		if (g->made <= t->gen && g->gone > t->gen &&
		    g->from_ns == from_ns && pesto_same_rule(&g->rule, rule))
			return true;
	return false;
}

/* Compare a rule with those of the greeting; false: no room */
static bool take_rule(struct control_tables *s, struct control_table *t)
{
	const struct pesto_rule *rule = &t->reader.rule;
	const struct rules *rs = &s->rules->listen->rules;
	unsigned kind = t->reader.kinds - 1;
	bool from_ns = t->reader.kind[kind].id == PESTO_SPLICE;
	const struct fwd_rule *same;
	struct rule_ref ref;
	struct fwd_rule r;

	pesto_to_fwd(&r, rule, from_ns);
	same = rules_find(rs, &r);
	ref = same ? rules_ref(rs, same) : (struct rule_ref){ 0 };
	if (same && ref.gen <= t->gen) {
		t->back[ref.number / 64] |= 1ULL << ref.number % 64;
		return true;
	}
	return was_removed(s, t, rule, from_ns) ||
	       control_rules_note(s->rules, rule, from_ns);
}

/* Remove the rules that the client did not send back, add the new ones */
static enum control_next apply_tables(struct control_tables *s,
				      struct control_table *t)
{
	const struct rules *rs = &s->rules->listen->rules;

	for (unsigned i = 0; i < rs->used; i++)
		if (rs->e[i].gen && rs->e[i].gen <= t->gen &&
		    !(t->back[i / 64] >> i % 64 & 1))
			control_rules_remove(s->rules, (uint16_t)i);
	s->rules->tables = true;
	return control_rules_start(s->rules, true);
}

static enum control_next refuse_tables(const struct control_client *c, const char *why)
{
	debug("Control client %u: tables refused: %s", c->slot, why);
	return CONTROL_CLOSE;
}

/**
 * control_table_read() - Read bytes of a client
 * @s:		Conversations
 * @c:		Client
 * @data, @len:	As for pesto_read(); @len is 0 at the end
 */
enum control_next control_table_read(struct control_tables *s,
				     struct control_client *c,
				     const uint8_t **data, size_t *len)
{
	struct control_table *t = conversation(s, c);

	if (!*len)
		return CONTROL_CLOSE;
	if (!control_rules_take(s->rules, c))
		return CONTROL_LATER;
	if (is_outdated(s, t))
		return refuse_tables(c, "too many rules were removed since the greeting");
	for (;;) {
		switch (pesto_read(&t->reader, data, len)) {
		case PESTO_GOT_RULE:
			if (!take_rule(s, t))
				return refuse_tables(c, "too many rules");
			break;
		case PESTO_GOT_END:
			return *len ? refuse_tables(c, "bytes behind the end") :
			       apply_tables(s, t);
		case PESTO_GOT_ERROR:
			return refuse_tables(c, pesto_text(t->reader.error));
		case PESTO_GOT_NOTHING:
			return CONTROL_READ;
		case PESTO_GOT_HELLO:
		case PESTO_GOT_KIND:
			break;
		}
	}
}
