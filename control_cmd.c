/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_cmd.c - Requests of words on the control socket
 *
 * A request is a line of words with single blanks between them, its answer is lines of
 * JSON: see doc/control.md. The table verbs[] has a row for each request. A function
 * that can't answer at once, since the output is full or another client has to be
 * finished first, is called again: see enum control_next.
 */

#include "control_cmd.h"

#include <stdio.h>
#include <string.h>

#include "flow.h"
#include "listen.h"
#include "ruleline.h"
#include "util.h"

#define PROTO		1		/* version of the words, see doc/control.md */
#define TEXT_LEN	256
#define SHOWN		32		/* characters of a wrong word in messages */

/* Requests --------------------------------------------------------------- */

static void begin_answer(const struct control_cmd *s, struct jsonline *j)
{
	jsonline_begin(j);
	jsonline_bool(j, "ok", true);
	jsonline_str(j, "name", s->conf->progname);
	jsonline_str(j, "version", VERSION);
}

static enum control_next do_hello(struct control_cmd *s, struct control_client *c,
				  char **arg, unsigned n)
{
	struct jsonline j;

	(void)arg;
	(void)n;
	begin_answer(s, &j);
	jsonline_num(&j, "proto", PROTO);
	jsonline_num(&j, "gen", s->rules.listen->rules.gen);
	control_line(c, &j);
	return CONTROL_READ;
}

static unsigned waiting_rules(const struct listen *l)
{
	const struct fwd_rule *r = NULL;
	struct listen_info info;
	unsigned n = 0;

	while ((r = rules_next(&l->rules, r))) {
		listen_info(l, r, &info);
		n += info.state == LISTEN_WAITING;
	}
	return n;
}

static enum control_next do_status(struct control_cmd *s, struct control_client *c,
				   char **arg, unsigned n)
{
	const struct listen *l = s->rules.listen;
	struct jsonline j;

	(void)arg;
	(void)n;
	begin_answer(s, &j);
	jsonline_num(&j, "gen", l->rules.gen);
	jsonline_num(&j, "uptime", (s->ctl->loop->now_ms - s->started_ms) / 1000);
	jsonline_num(&j, "rules", l->rules.n);
	jsonline_num(&j, "waiting", waiting_rules(l));
	jsonline_num(&j, "flows", flow_live(s->flow.flows));
	jsonline_num(&j, "flows_max", FLOW_MAX);
	jsonline_num(&j, "clients", s->ctl->clients);
	control_line(c, &j);
	return CONTROL_READ;
}

static enum control_next do_add(struct control_cmd *s, struct control_client *c,
				char **arg, unsigned n)
{
	(void)n;
	return control_rules_add(&s->rules, c, arg[0], arg[1]);
}

static enum control_next do_del(struct control_cmd *s, struct control_client *c,
				char **arg, unsigned n)
{
	return n == 1 ? control_rules_del_number(&s->rules, c, arg[0]) :
			control_rules_del(&s->rules, c, arg[0], arg[1]);
}

static enum control_next do_clear(struct control_cmd *s, struct control_client *c,
				  char **arg, unsigned n)
{
	(void)n;
	return control_rules_clear(&s->rules, c, arg[0]);
}

static enum control_next do_begin(struct control_cmd *s, struct control_client *c,
				  char **arg, unsigned n)
{
	(void)arg;
	(void)n;
	return control_rules_begin(&s->rules, c);
}

static enum control_next do_commit(struct control_cmd *s, struct control_client *c,
				   char **arg, unsigned n)
{
	(void)n;
	return control_rules_commit(&s->rules, c, arg[0]);
}

static enum control_next do_abort(struct control_cmd *s, struct control_client *c,
				  char **arg, unsigned n)
{
	(void)arg;
	(void)n;
	return control_rules_abort(&s->rules, c);
}

static enum control_next changes_more(struct control_cmd *s,
				      struct control_client *c)
{
	return control_rules_more(&s->rules, c);
}

static enum control_next do_rules(struct control_cmd *s, struct control_client *c,
				  char **arg, unsigned n)
{
	(void)arg;
	(void)n;
	return control_rules_list(&s->rules, c);
}

static enum control_next rules_more(struct control_cmd *s,
				    struct control_client *c)
{
	return control_rules_list_more(&s->rules, c);
}

static enum control_next do_flows(struct control_cmd *s, struct control_client *c,
				  char **arg, unsigned n)
{
	return control_flow_list(&s->flow, c, arg, n);
}

static enum control_next flows_more(struct control_cmd *s,
				    struct control_client *c)
{
	return control_flow_list_more(&s->flow, c);
}

static enum control_next do_kill(struct control_cmd *s, struct control_client *c,
				 char **arg, unsigned n)
{
	return control_flow_kill(&s->flow, c, arg, n);
}

static enum control_next kill_more(struct control_cmd *s,
				   struct control_client *c)
{
	return control_flow_kill_more(&s->flow, c);
}

static enum control_next do_stats(struct control_cmd *s, struct control_client *c,
				  char **arg, unsigned n)
{
	(void)arg;
	(void)n;
	return control_flow_stats(&s->flow, c);
}

static enum control_next stats_more(struct control_cmd *s,
				    struct control_client *c)
{
	return control_flow_stats_more(&s->flow, c);
}

static enum control_next do_metrics(struct control_cmd *s,
				    struct control_client *c, char **arg,
				    unsigned n)
{
	(void)arg;
	(void)n;
	return control_flow_metrics(&s->flow, c);
}

static enum control_next metrics_more(struct control_cmd *s,
				      struct control_client *c)
{
	return control_flow_metrics_more(&s->flow, c);
}

static enum control_next do_events(struct control_cmd *s,
				   struct control_client *c, char **arg,
				   unsigned n)
{
	return control_flow_events(&s->flow, c, arg, n);
}

static enum control_next events_more(struct control_cmd *s,
				     struct control_client *c)
{
	return control_flow_events_more(&s->flow, c);
}

static const struct control_verb verbs[] = {
	{ "hello", 0, 0, "", do_hello, NULL, true },
	{ "status", 0, 0, "", do_status, NULL, true },
	{ "add", 2, 2, " KIND SPEC", do_add, changes_more, false },
	{ "del", 1, 2, " KIND SPEC' or 'del RULE", do_del, changes_more, false },
	{ "clear", 1, 1, " host' or 'clear ns", do_clear, changes_more, false },
	{ "begin", 0, 0, "", do_begin, NULL, false },
	{ "commit", 0, 1, " [partial]", do_commit, changes_more, false },
	{ "abort", 0, 0, "", do_abort, NULL, false },
	{ "rules", 0, 0, "", do_rules, rules_more, true },
	{ "flows", 0, 10, " [FILTER]", do_flows, flows_more, true },
	{ "kill", 1, 10, " FLOW' or 'kill FILTER", do_kill, kill_more, false },
	{ "stats", 0, 0, "", do_stats, stats_more, true },
	{ "metrics", 0, 0, "", do_metrics, metrics_more, true },
	{ "events", 1, 11, " LIST [FILTER]", do_events, events_more, true },
};

/* Words ------------------------------------------------------------------ */

/*
 * Cut a line into words
 *
 * Return: their number; CONTROL_WORDS + 2 if there are too many, or blanks elsewhere
 */
static unsigned split_words(char *line, char *word[CONTROL_WORDS + 2])
{
	unsigned n = 0;

	for (char *next = line; next; n++) {
		if (n > CONTROL_WORDS || !*next || *next == ' ')
			return CONTROL_WORDS + 2;
		word[n] = next;
		next = strchr(next, ' ');
		if (next)
			*next++ = 0;
	}
	word[n] = NULL;
	return n;
}

static const struct control_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static enum control_next unknown(struct control_client *c, const char *word)
{
	char text[TEXT_LEN];

	snprintf(text, sizeof(text), "Unknown request '%.*s%s'", SHOWN, word,
		 strlen(word) > SHOWN ? "..." : "");
	return control_refuse(c, "EINVAL", text);
}

/* Handle a line: struct control_ops */
static enum control_next on_request(void *ctx, struct control_client *c,
				    const char *line)
{
	struct control_cmd *s = ctx;
	char copy[CONTROL_LINE_MAX], *word[CONTROL_WORDS + 2], text[TEXT_LEN];
	const struct control_verb *v;
	unsigned n;

	util_strcpy(copy, sizeof(copy), line);
	n = split_words(copy, word);
	if (n > CONTROL_WORDS + 1)
		return control_refuse(c, "EINVAL", "Expected words with single "
				      "blanks between them, up to 17");
	v = find_verb(word[0]);
	if (!v)
		return unknown(c, word[0]);
	if (n - 1 < v->min || n - 1 > v->max) {
		snprintf(text, sizeof(text), "Expected '%s%s'", v->name, v->usage);
		return control_refuse(c, "EINVAL", text);
	}
	s->verb[c->slot] = v;
	return v->start(s, c, word + 1, n - 1);
}

static enum control_next on_more(void *ctx, struct control_client *c)
{
	struct control_cmd *s = ctx;
	const struct control_verb *v = s->verb[c->slot];

	if (!v)
		return control_table_more(&s->tables, c);
	if (c->gone && v->asks)
		return CONTROL_READ;
	return v->more(s, c);
}

static enum control_next on_greet(void *ctx, struct control_client *c)
{
	struct control_cmd *s = ctx;

	s->verb[c->slot] = NULL;
	return control_table_greet(&s->tables, c);
}

static enum control_next on_tables(void *ctx, struct control_client *c,
				   const uint8_t **data, size_t *len)
{
	struct control_cmd *s = ctx;

	return control_table_read(&s->tables, c, data, len);
}

static void on_closed(void *ctx, struct control_client *c)
{
	struct control_cmd *s = ctx;

	control_rules_closed(&s->rules, c);
	control_flow_closed(&s->flow, c);
}

/* A rule has a new state, or is removed */
static void on_rule(void *ctx, const struct fwd_rule *r, bool removed)
{
	struct control_cmd *s = ctx;
	struct jsonline j;

	if (removed)
		control_rules_removed(&s->rules, r);
	if (!events_wanted(s->flow.events, EVENTS_RULES))
		return;
	jsonline_begin(&j);
	jsonline_str(&j, "event", "rule");
	ruleline_rule(&j, s->rules.listen, r, removed ? "removed" : NULL);
	jsonline_end(&j);
	events_add(s->flow.events, EVENTS_RULES, &j);
}

/**
 * control_cmd_init() - Serve the clients of the control socket
 * @s:		All zero
 * @ctl:	From control_open()
 * @loop:	Gets events and timers of kind REF_CONTROL and REF_CONTROL_WAIT
 * @flows, @events, @stats:	Kept, for requests about them
 *
 * The others are as for control_rules_init().
 *
 * Return: 0 or negative errno
 */
int control_cmd_init(struct control_cmd *s, struct control *ctl,
		     struct loop *loop, struct listen *listen,
		     const struct conf *conf, struct flow_table *flows,
		     struct events *events, const struct stats *stats,
		     struct rules *scratch, const struct control_rules_ops *ops,
		     void *ctx)
{
	static const struct control_ops control_ops = {
		.greet = on_greet, .request = on_request, .tables = on_tables,
		.more = on_more, .closed = on_closed,
	};

	s->ctl = ctl;
	s->conf = conf;
	s->flow.flows = flows;
	s->flow.events = events;
	s->flow.loop = loop;
	s->flow.metrics = (struct metrics){ flows, listen, stats };
	s->tables.rules = &s->rules;
	s->started_ms = loop->now_ms;
	s->rules.stats = &flows->rulestat;
	listen_on_state(listen, on_rule, s);
	control_rules_init(&s->rules, ctl, listen, conf, scratch, ops, ctx);
	return control_watch(ctl, loop, &control_ops, s);
}
