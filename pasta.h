/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pasta.h - The namespaces of pasta: make or join them
 */

#ifndef PASTA_H
#define PASTA_H

#include "command.h"
#include "netns.h"
#include "tap_tun.h"
#include "types.h"

struct hostnet;
struct identity;
struct rules;

/**
 * struct pasta - A namespace that we serve
 * @command:	Command in namespaces that we made
 * @netns:	Existing namespace that we joined
 * @helper:	Socket to the process in the namespace, see nshelper.h; -1: none
 */
struct pasta {
	struct command command;
	struct netns netns;
	int helper;
};

void pasta_init(struct pasta *ns);
int pasta_find(struct pasta *ns, const struct conf *c);
int pasta_open(struct pasta *ns, const struct conf *c,
	       const struct rules *rules, const struct hostnet *h,
	       const struct identity *id, struct tap_tun_info *info);
void pasta_close(struct pasta *ns, int tap_fd);

#endif /* PASTA_H */
