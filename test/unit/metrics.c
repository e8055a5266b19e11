/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Metrics: each has its comments and its samples, and all together are valid */

#include "metrics.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "flow.h"
#include "listen.h"
#include "tap.h"
#include "../../tap.h"

static struct flow_table flows;
static struct listen listening;
static struct conf conf;
static struct loop loop;
static struct tap_stats tap;

static void some_counters(const void *ctx, struct counters *c)
{
	(void)ctx;
	c->title = "TCP past the tap";
	counters_add(c, "opened", 3);
	counters_add(c, "times without a pipe", 4);
}

static void no_counters(const void *ctx, struct counters *c)
{
	(void)ctx;
	c->title = "silent";
}

static const struct stats_source sources[] = {
	{ &flows, flow_counters }, { NULL, no_counters }, { NULL, some_counters },
};
static const struct stats stats = { &tap, sources, 3 };
static const struct metrics m = { &flows, &listening, &stats };

/* Is there this line? Each line is made in a turn of its own */
static bool has(const char *want)
{
	struct metrics_cursor c = { 0 };
	char line[METRICS_LINE];

	while (metrics_next(&m, &c, line))
		if (!strcmp(line, want))
			return true;
	return false;
}

/* Do the comments of each metric come once, before its samples? */
static void order(void)
{
	struct metrics_cursor c = { 0 };
	char line[METRICS_LINE], name[METRICS_LINE] = "", rest[METRICS_LINE];
	unsigned wrong = 0, n = 0, helps = 0, types = 0;

	while (metrics_next(&m, &c, line)) {
		n++;
		if (sscanf(line, "# HELP %255s %255[^\n]", name, rest) == 2) {
			helps++;
			continue;
		}
		if (!strncmp(line, "# TYPE ", 7)) {
			types++;
			wrong += strncmp(line + 7, name, strlen(name)) != 0;
		} else {
			wrong += strncmp(line, name, strlen(name)) ||
				 !strchr(line, ' ') || helps != types;
		}
	}
	is(wrong, 0, "samples stand behind the comments of their metric");
	ok(helps > 8 && helps == types && n > 40, "there are many metrics");
}

static void rule_metrics(void)
{
	struct fwd_rule r = { .proto = IPPROTO_TCP, .first = 80, .last = 80,
			      .to = 80, .spec = "80" };
	struct rules_clash clash;
	struct flow *f;

	rules_init(&listening.rules);
	rules_add(&listening.rules, &r, NULL, &clash);
	r.first = r.last = 81;
	rules_add(&listening.rules, &r, NULL, &clash);
	rules_remove(&listening.rules,
		     rules_ref(&listening.rules, rules_next(&listening.rules, NULL)));
	f = flow_start(&flows, &(struct flow_spec){
		.kind = REF_TCP, .proto = IPPROTO_TCP, .class = FLOW_STREAM,
		.pif = { PIF_HOST, PIF_TAP },
		.rule = { 1, listening.rules.e[1].gen } }, 0);
	flow_count(&flows, f, TO_GUEST, 17, 0);
	ok(has("passt_rule_connections_total{rule=\"1\"} 1") &&
	   has("passt_rule_flows{rule=\"1\"} 1") &&
	   has("passt_rule_bytes_total{rule=\"1\",dir=\"in\"} 17") &&
	   has("passt_rule_bytes_total{rule=\"1\",dir=\"out\"} 0"),
	   "a rule has its connections, flows and bytes");
	ok(has("passt_rule_state{rule=\"1\",state=\"waiting\"} 0"),
	   "a rule has its state and number of bound ports");
	ok(!has("passt_rule_flows{rule=\"0\"} 0") &&
	   !has("passt_rule_flows{rule=\"2\"} 0"), "a rule that is gone has none");
	ok(has("passt_flows{proto=\"tcp\",path=\"tap\"} 1") &&
	   has("passt_flows{proto=\"tcp\",path=\"bypass\"} 0"),
	   "flows are listed by their way");
	ok(has("passt_connections_total{proto=\"tcp\",dir=\"in\"} 1") &&
	   has("passt_connections_total{proto=\"tcp\",dir=\"out\"} 0"),
	   "connections are listed by the side that began");
	ok(has("passt_bytes_total{dir=\"in\"} 17"), "bytes are listed");
}

static void stats_walk(void)
{
	static const char *const want[] = {
		"tap.rx_frames", "tap.rx_bytes", "tap.tx_frames", "tap.tx_bytes",
		"tap.tx_dropped", "tap.refused_", "flows.tcp", "flows.udp",
		"flows.echo", "tcp_past_the_tap.opened",
		"tcp_past_the_tap.times_without_a_pipe",
	};
	struct stats_cursor c = { 0 };
	char name[STATS_NAME];
	unsigned n = 0, wrong = 0;
	uint64_t value;

	while (stats_next(&stats, &c, name, &value)) {
		wrong += n >= 11 || strncmp(name, want[n], strlen(want[n])) != 0;
		n++;
	}
	is(n, 11, "a walk comes to all counters");
	is(wrong, 0, "counters are named by module and name");
}

int main(void)
{
	listening.conf = &conf;
	flow_init(&flows, (uint64_t[2]){ 1, 2 });
	wheel_init(&loop.wheel, 0);
	tap.tx_bytes = UINT64_MAX;
	tap.rx_bad[PKT_OK + 1] = 5;
	order();
	rule_metrics();
	order();
	ok(has("passt_frame_bytes_total{dir=\"in\"} 18446744073709551615"),
	   "large values are whole");
	ok(has("passt_frames_lost_total 0"), "a sample may have no label");
	ok(has("passt_stats_total{name=\"tcp_past_the_tap.opened\"} 3"),
	   "other counters are listed by their names");
	ok(!has("passt_stats_total{name=\"flows.tcp\"} 1"),
	   "what has a metric of its own is not among them");
	stats_walk();
	return done();
}
