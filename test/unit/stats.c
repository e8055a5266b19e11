/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of --stats: what modules count, as text */

#include "stats.h"

#include <netinet/in.h>
#include <string.h>

#include "counters.h"
#include "flow.h"
#include "tcp.h"
#include "tcp_splice.h"

#include "tap.h"

static struct flow_table flows;
static struct tcp tcp;
static struct tcp_splice tcp_splice;

static bool reads(void (*read)(const void *, struct counters *), const void *ctx,
		  const char *want)
{
	struct counters c = { .n = 0 };
	char line[512];

	read(ctx, &c);
	stats_line(&c, line, sizeof(line));
	if (strcmp(line, want))
		printf("# %s\n", line);
	return !strcmp(line, want);
}

int main(void)
{
	struct counters c = { .title = "some" };
	char line[16];

	flow_init(&flows, (uint64_t[2]){ 1, 2 });
	ok(reads(flow_counters, &flows, "flows: 0 TCP, 0 UDP, 0 echo"),
	   "flows are counted by class, and no trouble is told where there was none");
	flow_limit_fds(&flows, 4);
	flow_start(&flows, &(struct flow_spec){
		.proto = IPPROTO_TCP, .class = FLOW_STREAM }, 0);
	flow_start(&flows, &(struct flow_spec){
		.proto = IPPROTO_TCP, .class = FLOW_STREAM, .fds = 5 }, 0);
	flows.evicted[FLOW_ECHO] = 7;
	ok(reads(flow_counters, &flows, "flows: 1 TCP, 0 UDP, 0 echo, "
		 "7 echo evicted, 1 times without a free descriptor"),
	   "evictions and refusals are told, each with its reason");

	tcp.stats.opened = 2;
	tcp.stats.refused_ports = 1;
	ok(reads(tcp_counters, &tcp, "TCP: 2 opened by the guest, "
		 "0 accepted for it, 0 resets sent to it, "
		 "1 refused without a source port"),
	   "a refused connection is told with its reason");
	tcp_splice.stats.opened = 3;
	ok(reads(tcp_splice_counters, &tcp_splice,
		 "TCP past the tap: 3 opened"),
	   "connections past the tap have a line of their own");

	counters_add(&c, "counters", UINT64_MAX);
	stats_line(&c, line, sizeof(line));
	ok(!strcmp(line, "some: 184467440"), "a line that is too long is cut");
	return done();
}
