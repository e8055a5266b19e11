/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_flow.c - Requests about flows, counters and events on the control socket
 *
 * Each function that ends with _more() makes one line, or looks at a small part of the
 * table of flows: control.c calls it again until the time of the turn is used up or the
 * output is full. A subscriber of events waits until control_kick().
 */

#include "control_flow.h"

#include <errno.h>
#include <stdio.h>

#include "flow.h"
#include "jsonline.h"
#include "listen.h"
#include "loop.h"

#define ENTRIES		64		/* of the table, looked at by one call */
#define EVENTS		64		/* looked at by one call */
#define TEXT_LEN	256
#define SHOWN		32		/* characters of a wrong word in messages */

static struct control_flow_request *request_of(struct control_flow *s,
					       const struct control_client *c)
{
	return &s->request[c->slot];
}

/* The last line of an answer, with a number that may be left out */
static enum control_next end_answer(struct control_client *c, const char *name,
				    unsigned n)
{
	struct jsonline j;

	jsonline_begin(&j);
	jsonline_bool(&j, "ok", true);
	if (name)
		jsonline_num(&j, name, n);
	control_line(c, &j);
	return CONTROL_READ;
}

/* Parse the filter of a request; false if it is wrong, which is answered. A number alone
 * means the rule that has it now, so that flows of former ones are spared */
static bool filter_parse(struct control_flow *s, struct control_client *c,
			 char *const *arg, unsigned n)
{
	const struct rules *rules = &s->metrics.listen->rules;
	struct flowlist_filter *f = &request_of(s, c)->filter;
	char error[FLOWLIST_TEXT];

	if (!flowlist_parse(arg, n, f, error)) {
		control_refuse(c, "EINVAL", error);
		return false;
	}
	if (f->has_rule && !f->rule_gen && f->rule < rules->used)
		f->rule_gen = rules->e[f->rule].gen;
	return true;
}

/* Begin a walk over flows; false if the filter is wrong, which is answered */
static bool walk_begin(struct control_flow *s, struct control_client *c,
		       char *const *arg, unsigned n)
{
	struct control_flow_request *r = request_of(s, c);

	if (!filter_parse(s, c, arg, n))
		return false;
	flowlist_begin(&r->cursor, s->flows, s->loop->now_ms);
	r->n = r->busy = 0;
	return true;
}

/* List ------------------------------------------------------------------- */

/* control_flow_list() - Request "flows" */
enum control_next control_flow_list(struct control_flow *s,
				    struct control_client *c, char **arg,
				    unsigned n)
{
	return walk_begin(s, c, arg, n) ? CONTROL_MORE : CONTROL_READ;
}

/* control_flow_list_more() - Answer it: at most one flow a call */
enum control_next control_flow_list_more(struct control_flow *s,
					 struct control_client *c)
{
	struct control_flow_request *r = request_of(s, c);
	unsigned budget = ENTRIES;
	struct flowlist_flow l;
	struct jsonline j;
	struct flow *f;

	f = flowlist_next(s->flows, &r->cursor, &r->filter, s->loop->now_ms,
			  &budget, &l);
	if (!f)
		return flowlist_done(&r->cursor) ? end_answer(c, "shown", r->n) :
						   CONTROL_MORE;
	r->n++;
	jsonline_begin(&j);
	flowlist_fields(&j, &l);
	flowlist_rtt(&j, s->flows, f);
	control_line(c, &j);
	return CONTROL_MORE;
}

/* Kill ------------------------------------------------------------------- */

static enum control_next kill_one(struct control_flow *s,
				  struct control_client *c, const char *name,
				  uint32_t index, uint32_t gen)
{
	struct flow *f = flow_at(s->flows, index);
	char text[TEXT_LEN];

	if (!f || f->shared || f->timer.ref.gen != gen) {
		snprintf(text, sizeof(text), "Flow %s has ended", name);
		return control_refuse(c, "ENOENT", text);
	}
	if (flow_kill(s->flows, f)) {
		snprintf(text, sizeof(text), "Flow %s is moving to another "
			 "machine with the guest", name);
		return control_refuse(c, "EBUSY", text);
	}
	s->killed = true;
	return end_answer(c, "killed", 1);
}

/* control_flow_kill() - Request "kill" */
enum control_next control_flow_kill(struct control_flow *s,
				    struct control_client *c, char **arg,
				    unsigned n)
{
	uint32_t index, gen;
	char text[TEXT_LEN];

	if (n == 1 && flowlist_ref(arg[0], &index, &gen))
		return kill_one(s, c, arg[0], index, gen);
	if (n == 1 && arg[0][0] >= '0' && arg[0][0] <= '9') {
		snprintf(text, sizeof(text), "'%.*s' is no flow: expected number "
			 "and generation, as in 812.40", SHOWN, arg[0]);
		return control_refuse(c, "EINVAL", text);
	}
	return walk_begin(s, c, arg, n) ? CONTROL_MORE : CONTROL_READ;
}

/* control_flow_kill_more() - Carry it out: a few flows a call */
enum control_next control_flow_kill_more(struct control_flow *s,
					 struct control_client *c)
{
	struct control_flow_request *r = request_of(s, c);
	unsigned budget = ENTRIES;
	struct flowlist_flow l;
	struct jsonline j;
	struct flow *f;

	while ((f = flowlist_next(s->flows, &r->cursor, &r->filter,
				  s->loop->now_ms, &budget, &l))) {
		s->killed = true;
		if (flow_kill(s->flows, f))
			r->busy++;
		else
			r->n++;
	}
	if (!flowlist_done(&r->cursor))
		return CONTROL_MORE;
	if (!r->busy)
		return end_answer(c, "killed", r->n);
	jsonline_begin(&j);
	jsonline_bool(&j, "ok", false);
	jsonline_str(&j, "error", "EBUSY");
	jsonline_str(&j, "text",
		     "Some flows are moving to another machine with the guest");
	jsonline_num(&j, "killed", r->n);
	control_line(c, &j);
	return CONTROL_READ;
}

/* control_flow_killed() - Were flows killed since the last call? */
bool control_flow_killed(struct control_flow *s)
{
	bool killed = s->killed;

	s->killed = false;
	return killed;
}

/* Counters --------------------------------------------------------------- */

/* control_flow_stats() - Request "stats" */
enum control_next control_flow_stats(struct control_flow *s,
				     struct control_client *c)
{
	request_of(s, c)->stats = (struct stats_cursor){ 0 };
	return CONTROL_MORE;
}

/* control_flow_stats_more() - Answer it: one counter a call */
enum control_next control_flow_stats_more(struct control_flow *s,
					  struct control_client *c)
{
	char name[STATS_NAME];
	struct jsonline j;
	uint64_t value;

	if (!stats_next(s->metrics.stats, &request_of(s, c)->stats, name, &value))
		return end_answer(c, NULL, 0);
	jsonline_begin(&j);
	jsonline_str(&j, "name", name);
	jsonline_num(&j, "value", value);
	control_line(c, &j);
	return CONTROL_MORE;
}

/* control_flow_metrics() - Request "metrics" */
enum control_next control_flow_metrics(struct control_flow *s,
				       struct control_client *c)
{
	request_of(s, c)->metrics = (struct metrics_cursor){ 0 };
	return CONTROL_MORE;
}

/* control_flow_metrics_more() - Answer it: one line of text a call */
enum control_next control_flow_metrics_more(struct control_flow *s,
					    struct control_client *c)
{
	char line[METRICS_LINE];
	struct jsonline j;

	if (!metrics_next(&s->metrics, &request_of(s, c)->metrics, line))
		return end_answer(c, NULL, 0);
	jsonline_begin(&j);
	jsonline_str(&j, "line", line);
	control_line(c, &j);
	return CONTROL_MORE;
}

/* Events ----------------------------------------------------------------- */

/* control_flow_events() - Request "events" */
enum control_next control_flow_events(struct control_flow *s,
				      struct control_client *c, char **arg,
				      unsigned n)
{
	struct control_flow_request *r = request_of(s, c);
	char text[TEXT_LEN];
	unsigned classes;

	if (!events_parse(arg[0], &classes)) {
		snprintf(text, sizeof(text), "'%.*s' is no list of events: "
			 "expected some of rules, flows, denied and host, with "
			 "commas between them", SHOWN, arg[0]);
		return control_refuse(c, "EINVAL", text);
	}
	if (!filter_parse(s, c, arg + 1, n - 1))
		return CONTROL_READ;
	events_join(s->events, &r->reader, classes, &r->filter);
	end_answer(c, NULL, 0);
	return CONTROL_WAIT;
}

/* control_flow_events_more() - Send one event, or wait for the next one */
enum control_next control_flow_events_more(struct control_flow *s,
					   struct control_client *c)
{
	struct control_flow_request *r = request_of(s, c);
	unsigned budget = EVENTS;
	struct jsonline j;

	if (c->gone || c->eof || control_spoke(c))
		return CONTROL_CLOSE;
	if (control_room(c) < JSONLINE_MAX)
		return CONTROL_MORE;
	if (events_next(s->events, &r->reader, &budget, &j)) {
		control_put(c, j.buf, j.len);
		return CONTROL_MORE;	/* which sends it before it asks again */
	}
	return events_waiting(s->events, &r->reader) ? CONTROL_MORE :
						       CONTROL_WAIT;
}

/* control_flow_closed() - A client leaves */
void control_flow_closed(struct control_flow *s, struct control_client *c)
{
	events_leave(s->events, &request_of(s, c)->reader);
}
