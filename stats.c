/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.c - Counters as lines of text, for --stats
 *
 * All of them count from the start on and never go back, so that two lines tell
 * what happened in between. What was refused is told by reason, where there was
 * any: most of the time that is one line less to read.
 */

#include "stats.h"

#include <inttypes.h>
#include <stdbool.h>

#include "flow.h"
#include "icmp.h"
#include "input.h"
#include "log.h"
#include "packet.h"
#include "tap.h"
#include "tcp.h"
#include "udp.h"

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
 * stats_print() - One line of each kind to the log
 * @s:		Whose counters
 */
void stats_print(const struct stats_of *s)
{
	const struct input *in = s->input;

	print_tap(s->tap);
	info("Stats: flows %" PRIu32 "; TCP %" PRIu64 " opened, %" PRIu64
	     " refused, %" PRIu64 " resets; UDP %" PRIu64 " dropped, %" PRIu64
	     " lost; echo %" PRIu64 " dropped, %" PRIu64 " lost",
	     s->flows->count, s->tcp->stats.opened,
	     s->tcp->stats.refused_table + s->tcp->stats.refused_fd,
	     s->tcp->stats.resets_sent, s->udp->dropped, s->udp->lost,
	     s->icmp->dropped, s->icmp->lost);
	info("Stats: not answered: DHCP %" PRIu64 ", DHCPv6 %" PRIu64
	     ", NDP %" PRIu64 ", other %" PRIu64, in->dhcp_dropped,
	     in->dhcpv6_dropped, in->ndp_dropped, in->dropped);
}
