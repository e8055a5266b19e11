/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h - The UNIX socket that a virtual machine connects to
 */

#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>

#include "loop.h"
#include "sockpath.h"
#include "types.h"

struct tap;

/**
 * struct client - The listening socket
 * @fd:		Listening socket, -1: none
 * @path:	Its path, "": none
 * @loop:	Loop for its events
 * @timer:	End of a pause without free descriptors
 */
struct client {
	int fd;
	char path[SOCKPATH_LEN];
	struct loop *loop;
	struct timer timer;
};

int client_listen(struct client *cl, const struct conf *c);
int client_watch(struct client *cl, struct loop *l);
bool client_accept(struct client *cl, struct tap *t);
void client_timer(struct client *cl);

#endif /* CLIENT_H */
