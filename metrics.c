/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics.c - All counters in the text format of Prometheus
 *
 * The text is made line by line, so that it can be sent in turns. Each metric has two
 * lines of comment, and one line for each sample:
 *
 *	# HELP passt_bytes_total Payload of all flows
 *	# TYPE passt_bytes_total counter
 *	passt_bytes_total{dir="in"} 12345
 *	passt_bytes_total{dir="out"} 678
 *
 * Counters of --stats for which there is no metric are in passt_stats_total, under the
 * names that stats.c gives them.
 */

#include "metrics.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "flow.h"
#include "listen.h"
#include "packet.h"
#include "rules.h"
#include "tap.h"

#define LABELS_LEN	160

/* Result of looking for a sample */
enum found { FOUND, FOUND_NOT, FOUND_END };

/**
 * struct sample - One line of a metric
 * @labels:	Text between the braces, "": none
 */
struct sample {
	char labels[LABELS_LEN];
	uint64_t value;
};

static const char *const protos[FLOW_CLASSES] = {
	[FLOW_STREAM] = "tcp", [FLOW_DATAGRAM] = "udp", [FLOW_ECHO] = "icmp",
};
static const char *const dirs[] = {
	[TO_GUEST] = "in", [FROM_GUEST] = "out",
};

/* Samples: the @i-th one ---------------------------------------------------- */

static enum found flows(const struct metrics *m, unsigned i, struct sample *s)
{
	unsigned class = i / FLOW_PATHS, path = i % FLOW_PATHS;

	if (class >= FLOW_CLASSES)
		return FOUND_END;
	snprintf(s->labels, LABELS_LEN, "proto=\"%s\",path=\"%s\"",
		 protos[class], path == FLOW_TAP ? "tap" : "bypass");
	s->value = m->flows->live[class][path];
	return FOUND;
}

static enum found connections(const struct metrics *m, unsigned i,
			      struct sample *s)
{
	unsigned class = i / 2, dir = i % 2;

	if (class >= FLOW_CLASSES)
		return FOUND_END;
	snprintf(s->labels, LABELS_LEN, "proto=\"%s\",dir=\"%s\"",
		 protos[class], dirs[dir]);
	s->value = m->flows->begun[class][dir];
	return FOUND;
}

/* One sample for each direction */
static enum found by_dir(unsigned i, uint64_t in, uint64_t out, struct sample *s)
{
	if (i > 1)
		return FOUND_END;
	snprintf(s->labels, LABELS_LEN, "dir=\"%s\"", dirs[i]);
	s->value = i == TO_GUEST ? in : out;
	return FOUND;
}

static enum found payload(const struct metrics *m, unsigned i, struct sample *s)
{
	return by_dir(i, m->flows->bytes[TO_GUEST], m->flows->bytes[FROM_GUEST],
		      s);
}

static enum found evicted(const struct metrics *m, unsigned i, struct sample *s)
{
	if (i >= FLOW_CLASSES)
		return FOUND_END;
	snprintf(s->labels, LABELS_LEN, "proto=\"%s\"", protos[i]);
	s->value = m->flows->evicted[i];
	return FOUND;
}

static enum found no_room(const struct metrics *m, unsigned i, struct sample *s)
{
	if (i >= FLOW_RESOURCES)
		return FOUND_END;
	snprintf(s->labels, LABELS_LEN, "resource=\"%s\"",
		 i == FLOW_ENTRIES ? "entry" : "descriptor");
	s->value = m->flows->no_room[i];
	return FOUND;
}

static enum found frames(const struct metrics *m, unsigned i, struct sample *s)
{
	return by_dir(i, m->stats->tap->tx_frames, m->stats->tap->rx_frames, s);
}

static enum found frame_bytes(const struct metrics *m, unsigned i,
			      struct sample *s)
{
	return by_dir(i, m->stats->tap->tx_bytes, m->stats->tap->rx_bytes, s);
}

static enum found frames_lost(const struct metrics *m, unsigned i,
			      struct sample *s)
{
	s->labels[0] = '\0';
	s->value = m->stats->tap->tx_dropped;
	return i ? FOUND_END : FOUND;
}

static enum found frames_refused(const struct metrics *m, unsigned i,
				 struct sample *s)
{
	unsigned reason = PKT_OK + 1 + i;

	if (reason >= PKT_E_MAX)
		return FOUND_END;
	snprintf(s->labels, LABELS_LEN, "reason=\"%s\"", pkt_strerror(reason));
	s->value = m->stats->tap->rx_bad[reason];
	return FOUND;
}

/* Rules: the number of a rule is the number of its sample */

/* Find a rule, and name it in the labels; NULL: there is none, see @found */
static const struct fwd_rule *rule_at(const struct metrics *m, unsigned i,
				      struct sample *s, enum found *found,
				      struct rule_stats *stats)
{
	const struct rules *rs = &m->listen->rules;
	struct rule_ref ref = { .number = (uint16_t)i };
	const struct fwd_rule *r;

	*found = i < rs->used ? FOUND_NOT : FOUND_END;
	if (i >= rs->used)
		return NULL;
	ref.gen = rs->e[i].gen;
	r = rules_at(rs, ref);
	if (!r)
		return NULL;
	*found = FOUND;
	*stats = rulestat_of(&m->flows->rulestat, ref);
	snprintf(s->labels, LABELS_LEN, "rule=\"%u\"", i);
	return r;
}

static enum found rule_connections(const struct metrics *m, unsigned i,
				   struct sample *s)
{
	struct rule_stats stats;
	enum found found;

	if (rule_at(m, i, s, &found, &stats))
		s->value = stats.conns;
	return found;
}

static enum found rule_flows(const struct metrics *m, unsigned i,
			     struct sample *s)
{
	struct rule_stats stats;
	enum found found;

	if (rule_at(m, i, s, &found, &stats))
		s->value = stats.flows;
	return found;
}

/* Two samples a rule, one for each direction */
static enum found rule_bytes(const struct metrics *m, unsigned i,
			     struct sample *s)
{
	struct rule_stats stats;
	enum found found;

	if (!rule_at(m, i / 2, s, &found, &stats))
		return found;
	s->value = stats.bytes[i % 2];
	snprintf(s->labels, LABELS_LEN, "rule=\"%u\",dir=\"%s\"", i / 2,
		 dirs[i % 2]);
	return found;
}

static enum found rule_state(const struct metrics *m, unsigned i,
			     struct sample *s)
{
	static const char *const names[] = {
		[LISTEN_BOUND] = "bound", [LISTEN_WAITING] = "waiting",
		[LISTEN_SCAN] = "scan", [LISTEN_WEAK] = "weak",
	};
	const struct fwd_rule *r;
	struct rule_stats stats;
	struct listen_info info;
	enum found found;

	r = rule_at(m, i, s, &found, &stats);
	if (!r)
		return found;
	listen_info(m->listen, r, &info);
	snprintf(s->labels, LABELS_LEN, "rule=\"%u\",state=\"%s\"", i,
		 names[info.state]);
	s->value = info.bound;
	return FOUND;
}

/* Text ------------------------------------------------------------------- */

static const struct family {
	const char *name, *type, *help;
	enum found (*sample)(const struct metrics *m, unsigned i,
			     struct sample *s);
} families[] = {
	{ "passt_flows", "gauge", "Flows at the moment, by the way they take",
	  flows },
	{ "passt_connections_total", "counter",
	  "Flows so far: in was begun by the host, out by the guest",
	  connections },
	{ "passt_bytes_total", "counter",
	  "Payload of all flows: in is towards the guest", payload },
	{ "passt_evicted_total", "counter",
	  "Flows that had to end to make room for others", evicted },
	{ "passt_no_room_total", "counter",
	  "Times that no flow could end to make room for another", no_room },
	{ "passt_frames_total", "counter",
	  "Frames of the tap: in is towards the guest", frames },
	{ "passt_frame_bytes_total", "counter",
	  "Bytes of these frames, with headers", frame_bytes },
	{ "passt_frames_lost_total", "counter",
	  "Frames for the guest that the tap did not take", frames_lost },
	{ "passt_frames_refused_total", "counter",
	  "Frames of the guest that were refused", frames_refused },
	{ "passt_rule_connections_total", "counter",
	  "Connections, and flows of UDP, that a rule has brought",
	  rule_connections },
	{ "passt_rule_flows", "gauge", "Flows of a rule at the moment",
	  rule_flows },
	{ "passt_rule_bytes_total", "counter",
	  "Payload of the flows of a rule: in is towards the guest",
	  rule_bytes },
	{ "passt_rule_state", "gauge",
	  "Ports of a rule that are bound, with the state of the rule",
	  rule_state },
	{ "passt_stats_total", "counter", "Other counters of --stats", NULL },
};

/* Is there a metric for this counter? */
static bool has_metric(const char *name)
{
	return !strncmp(name, "tap.", 4) || !strncmp(name, "flows.", 6);
}

/* The next counter of --stats without a metric of its own */
static enum found other_counter(const struct metrics *m,
				struct metrics_cursor *c, struct sample *s)
{
	char name[STATS_NAME];

	do {
		if (!stats_next(m->stats, &c->stats, name, &s->value))
			return FOUND_END;
	} while (has_metric(name));
	snprintf(s->labels, LABELS_LEN, "name=\"%s\"", name);
	return FOUND;
}

/* The next sample of a metric; false at the end */
static bool next_sample(const struct metrics *m, const struct family *f,
			struct metrics_cursor *c, struct sample *s)
{
	enum found found;

	do {
		found = f->sample ? f->sample(m, c->line - 2, s) :
				    other_counter(m, c, s);
		c->line++;
	} while (found == FOUND_NOT);
	return found == FOUND;
}

/**
 * metrics_next() - Make the next line
 * @m:		Sources
 * @c:		Place in the text
 * @line:	Set to the line, without a newline
 *
 * Return: false at the end
 */
bool metrics_next(const struct metrics *m, struct metrics_cursor *c,
		  char line[METRICS_LINE])
{
	for (; c->family < sizeof(families) / sizeof(families[0]);
	     c->family++, c->line = 0) {
		const struct family *f = &families[c->family];
		struct sample s;

		if (c->line < 2) {
			snprintf(line, METRICS_LINE, "# %s %s %s",
				 c->line ? "TYPE" : "HELP", f->name,
				 c->line ? f->type : f->help);
			c->line++;
			return true;
		}
		if (!next_sample(m, f, c, &s))
			continue;
		snprintf(line, METRICS_LINE, s.labels[0] ? "%s{%s} %" PRIu64 :
			 "%s%s %" PRIu64, f->name, s.labels, s.value);
		return true;
	}
	return false;
}
