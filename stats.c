/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.c - Counters as lines of text, for --stats
 *
 * Counters start at zero and never go back, so that the difference of two lines covers
 * the time between them. Reasons why something was refused or dropped are listed
 * only if they occurred.
 */

#include "stats.h"

#include <inttypes.h>
#include <stdio.h>

#include "counters.h"
#include "log.h"
#include "packet.h"
#include "tap.h"

#define LINE_BYTES	512

static void print_tap(const struct tap_stats *t)
{
	unsigned e;

	info("Stats: from guest %" PRIu64 " frames, %" PRIu64 " bytes; "
	     "to guest %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64 " lost",
	     t->rx_frames, t->rx_bytes, t->tx_frames, t->tx_bytes,
	     t->tx_dropped);
	for (e = PKT_OK + 1; e < PKT_E_MAX; e++)
		if (t->rx_bad[e])
			info("Stats: refused frames, %s: %" PRIu64,
			     pkt_strerror(e), t->rx_bad[e]);
}

/**
 * stats_line() - Counters of a module as text: "TCP: 2 opened, 0 accepted"
 * @c:		The counters
 * @buf:	Set to the text, cut off at the end of the buffer
 * @size:	Bytes of @buf
 */
void stats_line(const struct counters *c, char *buf, size_t size)
{
	size_t len = (size_t)snprintf(buf, size, "%s:", c->title);
	unsigned i;

	for (i = 0; i < c->n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s %" PRIu64 " %s",
					i ? "," : "", c->counter[i].value,
					c->counter[i].name);
}

/**
 * stats_print() - Write the counters of the tap and of all modules to the log
 * @tap:	Counters of the backend
 * @source:	Modules, one line each
 * @n:		How many
 */
void stats_print(const struct tap_stats *tap, const struct stats_source *source,
		 size_t n)
{
	char line[LINE_BYTES];
	size_t i;

	print_tap(tap);
	for (i = 0; i < n; i++) {
		struct counters c = { .n = 0 };

		source[i].read(source[i].ctx, &c);
		stats_line(&c, line, sizeof(line));
		info("Stats: %s", line);
	}
}
