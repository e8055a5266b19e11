/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.c - Counters as lines of text, for --stats
 *
 * Counters start at zero and never go back, so that the difference of two lines covers
 * the time between them. Reasons why something was refused or dropped are listed
 * only if they occurred.
 */

#include "stats.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
 * stats_print() - Write all counters to the log, one line for a module
 */
void stats_print(const struct stats *s)
{
	char line[LINE_BYTES];
	size_t i;

	print_tap(s->tap);
	for (i = 0; i < s->n; i++) {
		struct counters c = { .n = 0 };

		s->source[i].read(s->source[i].ctx, &c);
		stats_line(&c, line, sizeof(line));
		info("Stats: %s", line);
	}
}

/* Make the name of a counter: module, dot, name, in small letters; anything else is an
 * underscore */
static void make_name(char name[STATS_NAME], const char *module,
		      const char *text)
{
	size_t dot = strlen(module), i;

	snprintf(name, STATS_NAME, "%s.%s", module, text);
	for (i = 0; name[i]; i++)
		if (i != dot)
			name[i] = isalnum((unsigned char)name[i]) ?
				  (char)tolower((unsigned char)name[i]) : '_';
}

/* The next counter of the tap; false at the end. Frames of a kind that was never refused
 * are left out, as by --stats */
static bool tap_next(const struct tap_stats *t, unsigned *at,
		     char name[STATS_NAME], uint64_t *value)
{
	const struct {
		const char *name;
		uint64_t value;
	} fixed[] = {
		{ "rx_frames", t->rx_frames }, { "rx_bytes", t->rx_bytes },
		{ "tx_frames", t->tx_frames }, { "tx_bytes", t->tx_bytes },
		{ "tx_dropped", t->tx_dropped },
	};
	const unsigned n = sizeof(fixed) / sizeof(fixed[0]);
	char text[STATS_NAME];
	unsigned e;

	if (*at < n) {
		make_name(name, "tap", fixed[*at].name);
		*value = fixed[(*at)++].value;
		return true;
	}
	for (; (e = PKT_OK + 1 + *at - n) < PKT_E_MAX; ++*at) {
		if (!t->rx_bad[e])
			continue;
		snprintf(text, sizeof(text), "refused %s", pkt_strerror(e));
		make_name(name, "tap", text);
		*value = t->rx_bad[e];
		++*at;
		return true;
	}
	return false;
}

/**
 * stats_next() - Walk over all counters
 * @s:		Counters
 * @c:		Place in the walk
 * @name:	Set to the name: module, dot, name
 * @value:	Set to the value
 *
 * Return: false at the end
 */
bool stats_next(const struct stats *s, struct stats_cursor *c,
		char name[STATS_NAME], uint64_t *value)
{
	if (!c->source && tap_next(s->tap, &c->at, name, value))
		return true;
	if (!c->source)
		*c = (struct stats_cursor){ .source = 1 };
	for (; c->source <= s->n; c->source++, c->at = 0) {
		const struct stats_source *m = &s->source[c->source - 1];
		struct counters all = { .n = 0 };

		m->read(m->ctx, &all);
		if (c->at >= all.n)
			continue;
		make_name(name, all.title, all.counter[c->at].name);
		*value = all.counter[c->at++].value;
		return true;
	}
	return false;
}
