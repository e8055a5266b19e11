/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * repair.h - The connection to passt-repair, which sets TCP_REPAIR for us
 */

#ifndef REPAIR_H
#define REPAIR_H

#include <stdbool.h>

#include "types.h"

struct loop;

/* Indexes of descriptors, for events of kind REF_REPAIR */
enum { REPAIR_EV_LISTENER, REPAIR_EV_HELPER };

/* Values of TCP_REPAIR: tcp(7), linux/tcp.h */
enum repair_mode {
	REPAIR_OFF_NO_WP = -1,		/* off, without a window probe */
	REPAIR_OFF,
	REPAIR_ON,
};

/**
 * struct repair - The helper and the socket that it connects to
 * @fd:		Listening socket, -1: none
 * @helper:	Connection to the helper, -1: none
 * @loop:	Loop for their events
 */
struct repair {
	int fd, helper;
	struct loop *loop;
};

int repair_listen(struct repair *r, const struct conf *c, const char *sock);
int repair_watch(struct repair *r, struct loop *l);
void repair_event(struct repair *r, unsigned which);
int repair_wait(struct repair *r, unsigned ms);
int repair_set(struct repair *r, const int *fds, unsigned n,
	       enum repair_mode mode);

/* repair_ready() - Is there a helper? */
static inline bool repair_ready(const struct repair *r)
{
	return r->helper >= 0;
}

#endif /* REPAIR_H */
