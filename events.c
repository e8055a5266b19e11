/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.c - Events for clients of the control socket: one ring, many readers
 *
 * Each event is written once, whatever the number of readers, and the oldest ones make
 * room for it. A reader that was too slow finds that its place is gone: it goes on at the
 * oldest event that is left, and learns how many of its classes are missing.
 *
 *	tail	[record] [record] ... [record]	head
 *
 * A record is a header, and the line; of a flow it is what flowlist.c lists. So the line
 * of a flow is made for readers that want it, after their filter has seen it. Flows are
 * reported only while somebody reads events about them.
 */

#include "events.h"

#include <assert.h>
#include <string.h>

#include "jsonline.h"
#include "loop.h"

/* Kinds of records */
enum { RECORD_LINE, RECORD_OPENED, RECORD_CLOSED };

/**
 * struct event_record - Header in the ring
 * @len:	Bytes behind it
 * @class:	enum events_class
 * @kind:	RECORD_*
 */
struct event_record {
	uint32_t len;
	uint8_t class, kind;
};

static_assert(!(EVENTS_RING & (EVENTS_RING - 1)), "places are found by a mask");
static_assert(sizeof(struct flowlist_flow) < JSONLINE_MAX, "fits the buffer");

static const char *const class_names[EVENTS_CLASSES] = {
	[EVENTS_RULES] = "rules", [EVENTS_FLOWS] = "flows",
	[EVENTS_DENIED] = "denied", [EVENTS_HOST] = "host",
};

/* The ring --------------------------------------------------------------- */

static void ring_write(struct events *e, const void *data, size_t len)
{
	size_t at = e->head & (EVENTS_RING - 1), n = EVENTS_RING - at;

	if (n > len)
		n = len;
	memcpy(e->ring + at, data, n);
	memcpy(e->ring, (const uint8_t *)data + n, len - n);
	e->head += len;
}

static void ring_read(const struct events *e, uint64_t from, void *data,
		      size_t len)
{
	size_t at = from & (EVENTS_RING - 1), n = EVENTS_RING - at;

	if (n > len)
		n = len;
	memcpy(data, e->ring + at, n);
	memcpy((uint8_t *)data + n, e->ring, len - n);
}

/* Append a record; the oldest ones make room */
static void append(struct events *e, enum events_class class, unsigned kind,
		   const void *data, size_t len)
{
	const struct event_record r = { .len = (uint32_t)len, .class = (uint8_t)class,
				  .kind = (uint8_t)kind };
	struct event_record old;

	while (e->head - e->tail + sizeof(r) + len > EVENTS_RING) {
		ring_read(e, e->tail, &old, sizeof(old));
		e->tail += sizeof(old) + old.len;
		e->gone[old.class]++;
	}
	ring_write(e, &r, sizeof(r));
	ring_write(e, data, len);
	e->count[class]++;
	e->news = true;
}

/* Sources ---------------------------------------------------------------- */

static void on_flow(void *ctx, const struct flow *f, bool begins)
{
	struct events *e = ctx;
	struct flowlist_flow l;

	flowlist_describe(e->flows, f, e->loop->now_ms, &l);
	append(e, EVENTS_FLOWS, begins ? RECORD_OPENED : RECORD_CLOSED, &l,
	       sizeof(l));
}

/* events_wanted() - Does anybody read events of this class? */
bool events_wanted(const struct events *e, enum events_class class)
{
	return e->readers[class];
}

/**
 * events_add() - Report an event, if somebody wants it
 * @e:		Events
 * @class:	Its class
 * @j:		Its line, complete
 */
void events_add(struct events *e, enum events_class class,
		const struct jsonline *j)
{
	if (events_wanted(e, class))
		append(e, class, RECORD_LINE, j->buf, j->len);
}

/**
 * events_host() - Report a change of the host's network, if somebody wants that
 * @e:		Events
 * @text:	What has changed, a sentence without its full stop
 */
void events_host(struct events *e, const char *text)
{
	struct jsonline j;

	if (!events_wanted(e, EVENTS_HOST))
		return;
	jsonline_begin(&j);
	jsonline_str(&j, "event", "host");
	jsonline_str(&j, "text", text);
	jsonline_end(&j);
	events_add(e, EVENTS_HOST, &j);
}

/* Readers ---------------------------------------------------------------- */

/**
 * events_init() - Start without events and readers
 * @e:		All zero
 * @flows, @loop:	Kept
 */
void events_init(struct events *e, struct flow_table *flows,
		 const struct loop *loop)
{
	e->flows = flows;
	e->loop = loop;
}

/**
 * events_parse() - Parse a list of classes: "rules,flows"
 * @list:	The list
 * @classes:	Set to a bit for each class
 *
 * Return: false if a name is unknown or missing
 */
bool events_parse(const char *list, unsigned *classes)
{
	unsigned i;
	size_t len;

	for (*classes = 0;; list += len + 1) {
		len = strcspn(list, ",");
		for (i = 0; i < EVENTS_CLASSES; i++)
			if (strlen(class_names[i]) == len &&
			    !memcmp(class_names[i], list, len))
				break;
		if (i == EVENTS_CLASSES)
			return false;
		*classes |= 1U << i;
		if (!list[len])
			return true;
	}
}

/**
 * events_join() - Read events from now on
 * @e:		Events
 * @r:		Place of the reader, not one that has joined
 * @classes:	Bit for each class that it wants
 * @filter:	Flows that it wants
 */
void events_join(struct events *e, struct events_reader *r, unsigned classes,
		 const struct flowlist_filter *filter)
{
	unsigned i;

	*r = (struct events_reader){ .at = e->head, .classes = classes,
				     .filter = *filter };
	memcpy(r->seen, e->count, sizeof(r->seen));
	for (i = 0; i < EVENTS_CLASSES; i++)
		e->readers[i] += !!(classes & 1U << i);
	if (e->readers[EVENTS_FLOWS])
		flow_on_change(e->flows, on_flow, e);
}

/* events_leave() - Read no more events; no effect for one that did not join */
void events_leave(struct events *e, struct events_reader *r)
{
	unsigned i;

	for (i = 0; i < EVENTS_CLASSES; i++)
		e->readers[i] -= !!(r->classes & 1U << i);
	r->classes = 0;
	if (!e->readers[EVENTS_FLOWS])
		flow_on_change(e->flows, NULL, NULL);
}

/* events_news() - Were there events since the last call? */
bool events_news(struct events *e)
{
	bool news = e->news;

	e->news = false;
	return news;
}

/* events_waiting() - Are there events that a reader has not looked at? */
bool events_waiting(const struct events *e, const struct events_reader *r)
{
	return r->classes && r->at != e->head;
}

/* Make a line of how many events a reader has missed; false if there are none */
static bool lost_line(const struct events *e, struct events_reader *r,
		 struct jsonline *j)
{
	uint64_t n = 0;
	unsigned i;

	if (r->at >= e->tail)
		return false;
	for (i = 0; i < EVENTS_CLASSES; i++) {
		if (r->classes & 1U << i)
			n += e->gone[i] - r->seen[i];
		r->seen[i] = e->gone[i];
	}
	r->at = e->tail;
	if (!n)
		return false;
	jsonline_begin(j);
	jsonline_num(j, "lost", n);
	jsonline_end(j);
	return true;
}

/* Make the line of a record, unless the reader's filter leaves it out */
static bool event_line(const struct events_reader *r, const struct event_record *h,
		       const char *data, struct jsonline *j)
{
	struct flowlist_flow l;

	if (h->kind == RECORD_LINE) {
		memcpy(j->buf, data, h->len);
		j->buf[h->len] = '\0';
		j->len = h->len;
		return true;
	}
	memcpy(&l, data, sizeof(l));
	if (!flowlist_matches(&r->filter, &l))
		return false;
	jsonline_begin(j);
	jsonline_str(j, "event", h->kind == RECORD_OPENED ? "opened" : "closed");
	flowlist_fields(j, &l);
	jsonline_end(j);
	return true;
}

/**
 * events_next() - Get the next line for a reader
 * @e:		Events
 * @r:		The reader
 * @budget:	Events that may be looked at, counted down
 * @j:		Set to the line
 *
 * Return: false if there is none now, or the budget is used up
 */
bool events_next(struct events *e, struct events_reader *r, unsigned *budget,
		 struct jsonline *j)
{
	char data[JSONLINE_MAX];
	struct event_record h;

	if (lost_line(e, r, j))
		return true;
	while (events_waiting(e, r) && *budget) {
		--*budget;
		ring_read(e, r->at, &h, sizeof(h));
		r->at += sizeof(h);
		r->seen[h.class]++;
		if (r->classes & 1U << h.class) {
			ring_read(e, r->at, data, h.len);
			r->at += h.len;
			if (event_line(r, &h, data, j))
				return true;
		} else {
			r->at += h.len;
		}
	}
	return false;
}
