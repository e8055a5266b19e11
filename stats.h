/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.h - Counters as lines of text, for --stats
 */

#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATS_NAME	80		/* bytes for stats_next() */

struct counters;
struct tap_stats;

/**
 * struct stats_source - Module with counters
 * @ctx:	The module
 * @read:	Fills in its title and its counters
 */
struct stats_source {
	const void *ctx;
	void (*read)(const void *ctx, struct counters *c);
};

/**
 * struct stats - All counters
 * @tap:	Counters of the backend
 * @source, @n:	Modules
 */
struct stats {
	const struct tap_stats *tap;
	const struct stats_source *source;
	size_t n;
};

/**
 * struct stats_cursor - Place in a walk over all counters, all zero at first
 * @source:	0: the tap, else number of the module, from 1 on
 * @at:		Next counter of it
 */
struct stats_cursor {
	unsigned source, at;
};

void stats_print(const struct stats *s);
void stats_line(const struct counters *c, char *buf, size_t size);
bool stats_next(const struct stats *s, struct stats_cursor *c,
		char name[STATS_NAME], uint64_t *value);

#endif /* STATS_H */
