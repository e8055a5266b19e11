/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics.h - All counters in the text format of Prometheus
 */

#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "stats.h"

struct flow_table;
struct listen;

#define METRICS_LINE	256		/* bytes of a line */

/**
 * struct metrics - Sources of the metrics
 * @flows:	Flows
 * @listen:	Forwarding rules, as they are in use
 * @stats:	Counters of --stats
 */
struct metrics {
	const struct flow_table *flows;
	const struct listen *listen;
	const struct stats *stats;
};

/**
 * struct metrics_cursor - Place in the text, all zero at first
 * @family:	Index of the metric
 * @line:	Next line of it: HELP, TYPE, samples
 * @stats:	Place in the counters of --stats
 */
struct metrics_cursor {
	unsigned family, line;
	struct stats_cursor stats;
};

bool metrics_next(const struct metrics *m, struct metrics_cursor *c,
		  char line[METRICS_LINE]);

#endif /* METRICS_H */
