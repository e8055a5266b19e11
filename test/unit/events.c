/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events: a ring that is written once, and readers of different speed */

#include "events.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "jsonline.h"
#include "loop.h"
#include "tap.h"

static struct flow_table flows;
static struct loop loop;
static struct events e;
static struct jsonline line;
static const struct flowlist_filter all;

static const struct flow_ops ops[REF_FLOW_KINDS] = { { .event = NULL } };

static void reset(void)
{
	memset(&flows, 0, sizeof(flows));
	memset(&e, 0, sizeof(e));
	flow_init(&flows, (uint64_t[2]){ 1, 2 });
	flows.ops = ops;
	wheel_init(&loop.wheel, 0);
	events_init(&e, &flows, &loop);
}

static struct flow *begin(uint8_t proto)
{
	return flow_start(&flows, &(struct flow_spec){
		.kind = REF_TCP, .proto = proto, .class = FLOW_STREAM,
		.pif = { PIF_HOST, PIF_TAP },
	}, 0);
}

static void end(struct flow *f)
{
	flow_free(&flows, &loop, f);
}

/* The next line of a reader, "" if there is none */
static const char *next(struct events_reader *r)
{
	unsigned budget = 1000;

	return events_next(&e, r, &budget, &line) ? line.buf : "";
}

static bool starts(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)))
		printf("# %s\n", text);
	return !strncmp(text, with, strlen(with));
}

static void lists(void)
{
	unsigned classes;

	ok(events_parse("flows", &classes) && classes == 1U << EVENTS_FLOWS,
	   "one class can be chosen");
	ok(events_parse("rules,flows,denied,host", &classes) && classes == 15,
	   "all classes can be chosen");
	ok(!events_parse("", &classes) && !events_parse("flow", &classes) &&
	   !events_parse("flows,", &classes) && !events_parse(",flows", &classes) &&
	   !events_parse("flows,,host", &classes) &&
	   !events_parse("flowsx", &classes), "other lists are refused");
}

static void subscribe(void)
{
	struct events_reader r, s;

	reset();
	end(begin(IPPROTO_TCP));
	is(e.head, 0, "without a reader nothing is written");
	ok(!flows.changed, "without a reader flows report nothing");
	events_join(&e, &r, 1U << EVENTS_HOST, &all);
	end(begin(IPPROTO_TCP));
	is(e.head, 0, "flows are not written for a reader of others");
	events_join(&e, &s, 1U << EVENTS_FLOWS, &all);
	end(begin(IPPROTO_TCP));
	ok(starts(next(&s), "{\"event\":\"opened\",\"flow\":\"0.3\",\"proto\":\"tcp\","),
	   "the beginning of a flow is an event");
	ok(starts(next(&s), "{\"event\":\"closed\",\"flow\":\"0.3\","),
	   "the end of a flow is an event");
	ok(!*next(&s) && !events_waiting(&e, &s), "there are no other events");
	ok(!*next(&r), "a reader gets no events of other classes");
	events_host(&e, "the name servers have changed");
	ok(!*next(&s), "the other reader neither");
	ok(starts(next(&r), "{\"event\":\"host\",\"text\":\"the name servers have "
		  "changed\"}\n"), "a change of the host is an event");
	events_leave(&e, &s);
	events_leave(&e, &s);
	ok(!flows.changed, "after the last reader flows report nothing");
	ok(!events_waiting(&e, &s), "a reader that has left has no events");
	is(e.readers[EVENTS_FLOWS], 0, "a reader leaves once");
	events_leave(&e, &r);
}

static void filtered(void)
{
	struct events_reader r;

	reset();
	events_join(&e, &r, 1U << EVENTS_FLOWS,
		    &(struct flowlist_filter){ .proto = IPPROTO_UDP });
	end(begin(IPPROTO_TCP));
	end(begin(IPPROTO_UDP));
	ok(starts(next(&r), "{\"event\":\"opened\",\"flow\":\"0.2\",\"proto\":\"udp\""),
	   "a reader gets the flows of its filter");
	next(&r);
	ok(!*next(&r), "a reader gets no other flows");
	events_leave(&e, &r);
}

/* Two readers, one of which does not read for a while; @n flows come and go */
static void slow(unsigned n)
{
	struct events_reader fast, late, other;
	unsigned i, got = 0, lost = 0, lines = 0;

	reset();
	events_join(&e, &fast, 1U << EVENTS_FLOWS, &all);
	events_join(&e, &late, 1U << EVENTS_FLOWS, &all);
	events_join(&e, &other, 1U << EVENTS_HOST, &all);
	events_host(&e, "first");
	for (i = 0; i < n; i++) {
		end(begin(IPPROTO_TCP));
		while (*next(&fast))
			got++;
	}
	is(got, 2 * n, "a fast reader gets all events");
	if (sscanf(next(&late), "{\"lost\":%u}\n", &lost) == 1)
		ok(lost > 0, "a slow reader is told how many it has lost");
	else
		ok(n < 100 && starts(line.buf, "{\"event\":\"opened\",\"flow\":\"0.1\""),
		   "a slow reader gets all events while the ring has them");
	lines = !lost;
	while (*next(&late)) {
		lines++;
		if (line.len > 4000 || !starts(line.buf, "{\"event\":\""))
			break;
	}
	is(lost + lines, 2 * n, "lost events and lines are all events");
	ok(starts(next(&other), n < 100 ? "{\"event\":\"host\"" : "{\"lost\":1}"),
	   "a reader loses events of its own classes alone");
	ok(!*next(&other) && !*next(&late), "nothing is left for any reader");
	events_host(&e, "last");
	ok(starts(next(&other), "{\"event\":\"host\",\"text\":\"last\"}"),
	   "after a loss a reader goes on");
}

/* Lines of all lengths go around the ring and stay as they are */
static void lengths(void)
{
	static char text[4096];
	struct events_reader r;
	unsigned i, wrong = 0;

	reset();
	events_join(&e, &r, 1U << EVENTS_RULES, &all);
	for (i = 0; i < 3000; i++) {
		struct jsonline j;

		memset(text, 'a' + (int)(i % 26), i % 4000);
		text[i % 4000] = '\0';
		jsonline_begin(&j);
		jsonline_str(&j, "text", text);
		jsonline_end(&j);
		events_add(&e, EVENTS_RULES, &j);
		wrong += strcmp(next(&r), j.buf) || line.len != j.len;
	}
	is(wrong, 0, "lines of all lengths arrive as they were written");
}

static void budget(void)
{
	struct events_reader r;
	unsigned left = 3;

	reset();
	events_join(&e, &r, 1U << EVENTS_FLOWS,
		    &(struct flowlist_filter){ .proto = IPPROTO_UDP });
	end(begin(IPPROTO_TCP));
	end(begin(IPPROTO_TCP));
	begin(IPPROTO_UDP);
	ok(!events_next(&e, &r, &left, &line) && !left && events_waiting(&e, &r),
	   "a turn looks at a limited number of events");
	ok(starts(next(&r), "{\"event\":\"opened\",\"flow\":\"0.3\""),
	   "the next turn goes on behind them");
}

int main(void)
{
	lists();
	subscribe();
	filtered();
	slow(50);
	slow(1000);
	lengths();
	budget();
	return done();
}
