/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command.h - The command of pasta: its first process, terminal and exit status
 */

#ifndef COMMAND_H
#define COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct conf;

/**
 * struct command - A command in namespaces of its own
 * @init:	PID of the first process in there (pasta-init), 0: no command
 * @ctl:	Socket to that process; the namespaces end with it
 * @has_tty:	The command has the terminal, as we had it before
 * @tty_pgrp:	Our process group, which gets it back
 * @sigchld:	The caller's action on SIGCHLD, which the command inherits
 */
struct command {
	pid_t init;
	int ctl;
	bool has_tty;
	pid_t tty_pgrp;
	struct sigaction sigchld;
};

void command_prepare(struct command *cmd);
_Noreturn void command_run(const struct command *cmd, const struct conf *c,
			   int ctl);

void command_adopt(struct command *cmd, pid_t init, int ctl);
void command_start(const struct command *cmd);
int command_status(const struct command *cmd);
void command_end(struct command *cmd);

#endif /* COMMAND_H */
