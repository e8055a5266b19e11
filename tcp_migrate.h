/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_migrate.h - TCP flows move to another machine with the guest
 */

#ifndef TCP_MIGRATE_H
#define TCP_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "migrate.h"
#include "rules.h"
#include "tcp.h"

#define TCP_MIGRATE_ROOM	(1U << 20)	/* bytes, for unsent data of all flows */
#define TCP_MIGRATE_CHUNK	(1U << 18)

/**
 * struct tcp_repairer - Sets the repair mode of sockets, which takes a privilege
 * @ctx:	First argument of the functions
 * @wait:	Is it there, at the latest in @ms? Return: 0 or negative errno
 * @set:	Switch the mode of @n sockets: 1 on, 0 off. Return: 0 or negative errno
 */
struct tcp_repairer {
	void *ctx;
	int (*wait)(void *ctx, unsigned ms);
	int (*set)(void *ctx, const int *fds, unsigned n, int mode);
};

/**
 * struct tcp_arrival - A flow that has moved here
 * @flow:	Its index
 * @off, @len:	Data of the guest that was never sent, in @room
 */
struct tcp_arrival {
	uint32_t flow, off, len;
};

/**
 * struct tcp_migrate - Flows that leave or arrive
 * @tcp:	All TCP flows
 * @repair:	Sets the repair mode
 * @rules:	Forwarding rules in force here
 * @refused:	Flows that could not be moved here
 * @arrivals:	Number of flows in @arrival
 * @used:	Bytes in @room
 * @room:	Data that is sent once the guest runs here
 * @chunk:	Bytes between a queue and the stream
 */
struct tcp_migrate {
	struct tcp *tcp;
	struct tcp_repairer repair;
	const struct rules *rules;
	unsigned refused, arrivals;
	uint32_t used;
	struct tcp_arrival arrival[FLOW_MAX];
	uint8_t room[TCP_MIGRATE_ROOM];
	uint8_t chunk[TCP_MIGRATE_CHUNK];
};

void tcp_migrate_init(struct tcp_migrate *m, struct tcp *t,
		      const struct tcp_repairer *repair, bool mobile,
		      const struct rules *rules, struct migrate_flows *ops);

#endif /* TCP_MIGRATE_H */
