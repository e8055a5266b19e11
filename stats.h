/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.h - Counters as lines of text, for --stats
 */

#ifndef STATS_H
#define STATS_H

struct flow_table;
struct icmp;
struct input;
struct tap_stats;
struct tcp;
struct udp;

/**
 * struct stats_of - Whose counters
 * @tap:	Those of the backend
 */
struct stats_of {
	const struct tap_stats *tap;
	const struct flow_table *flows;
	const struct input *input;
	const struct tcp *tcp;
	const struct udp *udp;
	const struct icmp *icmp;
};

void stats_print(const struct stats_of *s);

#endif /* STATS_H */
