/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_cmd.h - Requests of words on the control socket
 */

#ifndef CONTROL_CMD_H
#define CONTROL_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "control_flow.h"
#include "control_rules.h"
#include "control_table.h"

#define CONTROL_WORDS	16		/* words behind the name of a request */

/**
 * struct control_cmd - All that requests are about
 * @rules:	Changes of the forwarding rules; @tables: the same by tables
 * @flow:	Flows, counters and events
 * @started_ms:	Start of the program, ms of the loop
 * @verb:	By the client's place: the request that is being answered, NULL: none
 */
struct control_cmd {
	struct control *ctl;
	const struct conf *conf;
	struct control_flow flow;
	struct control_rules rules;
	struct control_tables tables;
	uint64_t started_ms;
	const struct control_verb *verb[CONTROL_CLIENTS];
};

/**
 * struct control_verb - A request
 * @name:	Its first word
 * @min, @max:	Number of words behind it
 * @usage:	These words, for messages
 * @start:	Begins to answer; @arg: the words, as many as @n, NULL behind them
 * @more:	Goes on after CONTROL_MORE and CONTROL_WAIT
 * @asks:	It changes nothing: pointless for a client that has left
 */
struct control_verb {
	const char *name;
	unsigned min, max;
	const char *usage;
	enum control_next (*start)(struct control_cmd *s,
				   struct control_client *c, char **arg,
				   unsigned n);
	enum control_next (*more)(struct control_cmd *s,
				  struct control_client *c);
	bool asks;
};

int control_cmd_init(struct control_cmd *s, struct control *ctl,
		     struct loop *loop, struct listen *listen,
		     const struct conf *conf, struct flow_table *flows,
		     struct events *events, const struct stats *stats,
		     struct rules *scratch, const struct control_rules_ops *ops,
		     void *ctx);

#endif /* CONTROL_CMD_H */
