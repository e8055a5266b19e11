/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inbound.h - What arrives at listening sockets
 */

#ifndef INBOUND_H
#define INBOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "loop.h"
#include "types.h"

struct listen;

/**
 * struct inbound - Accepts connections, says where they go
 * @accepted_tap:	Takes a connection to the guest: @fd, non-blocking, and
 *			both sides of the flow
 * @accepted_splice:	The same past the tap: @ini is the side of @fd, @tgt whom to
 *			connect to: in the namespace, or on the host if @from_ns;
 *			@other, FWD_TARGETS - 1 addresses, instead if that refuses;
 *			unset ones are none
 * @datagrams:		Reads from a UDP socket that has some, @fd stays ours; @index
 *			is that of the socket
 * @datagrams_ns:	The same for a socket of the namespace
 * @ctx:		First argument of these, which are set in passt.c
 * @timer:		To go on once there may be descriptors again
 */
struct inbound {
	const struct conf *conf;
	const struct guest *guest;
	struct listen *listen;
	struct flow_table *flows;
	struct loop *loop;
	void (*accepted_tap)(void *ctx, int fd, const struct flowside *host,
			     const struct flowside *tap);
	void (*accepted_splice)(void *ctx, int fd, bool from_ns,
				const struct flowside *ini,
				const struct flowside *tgt,
				const union inany *other);
	void (*datagrams)(void *ctx, int fd, const struct fwd_rule *r,
			  uint16_t port, uint32_t index);
	void (*datagrams_ns)(void *ctx, int fd, const struct fwd_rule *r,
			     uint16_t port, uint32_t index);
	void *ctx;
	struct timer timer;
	uint64_t accepted, refused;
};

void inbound_init(struct inbound *b, const struct conf *conf,
		  const struct guest *guest, struct listen *listen,
		  struct flow_table *flows, struct loop *loop);
void inbound_event(struct inbound *b, uint32_t index);
void inbound_timer(struct inbound *b);

#endif /* INBOUND_H */
