/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.h - The UNIX socket that a virtual machine connects to
 */

#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>

#include "types.h"

struct loop;
struct tap_stream;

/**
 * struct client - The listening socket
 * @fd:		-1: there is none
 */
struct client {
	int fd;
};

int client_listen(struct client *cl, const struct conf *c);
int client_watch(struct client *cl, struct loop *l);
bool client_accept(struct client *cl, struct tap_stream *s);

#endif /* CLIENT_H */
