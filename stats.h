/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.h - Counters as lines of text, for --stats
 */

#ifndef STATS_H
#define STATS_H

#include <stddef.h>

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

void stats_print(const struct tap_stats *tap, const struct stats_source *source,
		 size_t n);
void stats_line(const struct counters *c, char *buf, size_t size);

#endif /* STATS_H */
