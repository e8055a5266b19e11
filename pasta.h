/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pasta.h - The namespaces of pasta: make or join, run the command
 */

#ifndef PASTA_H
#define PASTA_H

#include <sys/types.h>

#include "netns.h"
#include "tap_tun.h"
#include "types.h"

struct hostnet;
struct identity;

/**
 * struct pasta - A namespace that we serve
 * @init:	First process in the namespaces of the command, 0: joined
 * @ctl:	Socket to it: its end is the end of the namespaces, -1: joined
 * @netns:	What we joined, if we did
 * @helper:	Socket to the process in the namespace, see nshelper.h; -1: none
 * @tty_pgrp:	Our process group while the command has the terminal, else 0
 */
struct pasta {
	pid_t init;
	int ctl;
	struct netns netns;
	int helper;
	pid_t tty_pgrp;
};

void pasta_init(struct pasta *ns);
int pasta_find(struct pasta *ns, const struct conf *c);
int pasta_open(struct pasta *ns, const struct conf *c, const struct hostnet *h,
	       const struct identity *id, struct tap_tun_info *info);
void pasta_command_start(const struct pasta *ns);
int pasta_command_status(const struct pasta *ns);
void pasta_close(struct pasta *ns, int tap_fd);

#endif /* PASTA_H */
