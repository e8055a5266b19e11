/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.h - Events for clients of the control socket: one ring, many readers
 */

#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowlist.h"

struct jsonline;
struct loop;

#define EVENTS_RING	(64U << 10)	/* bytes, a power of two */

/* Kinds of events that a reader may choose */
enum events_class {
	EVENTS_RULES, EVENTS_FLOWS, EVENTS_DENIED, EVENTS_HOST, EVENTS_CLASSES
};

/**
 * struct events - The ring
 * @flows:	Table of flows
 * @loop:	Clock
 * @head:	Bytes written so far; @tail: the oldest bytes that are still there
 * @count:	Events of each class so far, up to @head
 * @gone:	The same up to @tail: they are not there any more
 * @readers:	Number of readers of each class
 * @news:	Something was written since events_news()
 */
struct events {
	struct flow_table *flows;
	const struct loop *loop;
	uint64_t head, tail;
	uint64_t count[EVENTS_CLASSES], gone[EVENTS_CLASSES];
	unsigned readers[EVENTS_CLASSES];
	bool news;
	uint8_t ring[EVENTS_RING];
};

/**
 * struct events_reader - A place in the ring
 * @at:		Bytes read so far
 * @seen:	Events of each class up to there
 * @classes:	Bit for each class that it wants, 0: it reads nothing
 * @filter:	Flows that it wants
 */
struct events_reader {
	uint64_t at, seen[EVENTS_CLASSES];
	unsigned classes;
	struct flowlist_filter filter;
};

void events_init(struct events *e, struct flow_table *flows,
		 const struct loop *loop);
bool events_parse(const char *list, unsigned *classes);
void events_join(struct events *e, struct events_reader *r, unsigned classes,
		 const struct flowlist_filter *filter);
void events_leave(struct events *e, struct events_reader *r);
bool events_wanted(const struct events *e, enum events_class class);
void events_add(struct events *e, enum events_class class,
		const struct jsonline *j);
void events_host(struct events *e, const char *text);
bool events_news(struct events *e);
bool events_waiting(const struct events *e, const struct events_reader *r);
bool events_next(struct events *e, struct events_reader *r, unsigned *budget,
		 struct jsonline *j);

#endif /* EVENTS_H */
