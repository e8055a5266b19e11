/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pasta.h - The namespaces of pasta: make or join, run the command, watch
 */

#ifndef PASTA_H
#define PASTA_H

#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"
#include "tap_tun.h"
#include "types.h"

struct hostnet;
struct identity;

/**
 * struct pasta - A namespace that we serve
 * @init:	First process in the namespaces of the command, 0: joined
 * @ctl:	Socket to it: its end is the end of the namespaces, -1: joined
 * @pidfd:	Of the process that names the namespace; -1: none
 * @stat_fd:	Its /proc/PID/stat, where the kernel has no pidfd; else -1
 * @poll:	Looks into it
 * @helper:	Socket to the process in the namespace, see nshelper.h; -1: none
 * @tty_pgrp:	Our process group while the command has the terminal, else 0
 */
struct pasta {
	pid_t init;
	int ctl;
	int pidfd;
	int stat_fd;
	struct timer poll;
	int helper;
	pid_t tty_pgrp;
};

int pasta_open(struct pasta *ns, const struct conf *c, const struct hostnet *h,
	       const struct identity *id, struct tap_tun_info *info);
int pasta_watch(struct pasta *ns, struct loop *l);
void pasta_command_start(const struct pasta *ns);
int pasta_command_status(const struct pasta *ns);
bool pasta_process_gone(struct pasta *ns, struct loop *l);
void pasta_close(struct pasta *ns, int tap_fd);

#endif /* PASTA_H */
