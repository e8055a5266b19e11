/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_flow.h - Requests about flows, counters and events on the control socket
 */

#ifndef CONTROL_FLOW_H
#define CONTROL_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "events.h"
#include "flowlist.h"
#include "metrics.h"
#include "stats.h"

/**
 * struct control_flow_request - A request of one client that takes several turns
 * @filter:	Flows that are listed or killed
 * @cursor:	Place in the table of flows
 * @n:		Flows listed or killed so far
 * @busy:	Flows that could not be killed
 * @stats, @metrics:	Places in the counters
 * @reader:	Place in the events
 */
struct control_flow_request {
	struct flowlist_filter filter;
	struct flowlist_cursor cursor;
	unsigned n, busy;
	struct stats_cursor stats;
	struct metrics_cursor metrics;
	struct events_reader reader;
};

/**
 * struct control_flow - Sources of the answers
 * @flows:	Flows; @events: what happens to them and to rules
 * @metrics:	Counters
 * @loop:	Clock
 * @killed:	Flows were killed: the tap may have frames to be sent
 * @request:	By the client's place
 */
struct control_flow {
	struct flow_table *flows;
	struct events *events;
	struct metrics metrics;
	const struct loop *loop;
	bool killed;
	struct control_flow_request request[CONTROL_CLIENTS];
};

enum control_next control_flow_list(struct control_flow *s,
				    struct control_client *c, char **arg,
				    unsigned n);
enum control_next control_flow_list_more(struct control_flow *s,
					 struct control_client *c);
enum control_next control_flow_kill(struct control_flow *s,
				    struct control_client *c, char **arg,
				    unsigned n);
enum control_next control_flow_kill_more(struct control_flow *s,
					 struct control_client *c);
enum control_next control_flow_stats(struct control_flow *s,
				     struct control_client *c);
enum control_next control_flow_stats_more(struct control_flow *s,
					  struct control_client *c);
enum control_next control_flow_metrics(struct control_flow *s,
				       struct control_client *c);
enum control_next control_flow_metrics_more(struct control_flow *s,
					    struct control_client *c);
enum control_next control_flow_events(struct control_flow *s,
				      struct control_client *c, char **arg,
				      unsigned n);
enum control_next control_flow_events_more(struct control_flow *s,
					   struct control_client *c);
void control_flow_closed(struct control_flow *s, struct control_client *c);
bool control_flow_killed(struct control_flow *s);

#endif /* CONTROL_FLOW_H */
