/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netns.h - A network namespace that somebody else made: find it, see it end
 */

#ifndef NETNS_H
#define NETNS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"
#include "types.h"

#define NETNS_MOUNT_LEN	128		/* of the fields that we compare */

/**
 * struct netns - A namespace, and what tells its end; descriptors may be -1
 * @net:	To join, closed by netns_close()
 * @user:	User namespace to join before it; -1: none
 * @name:	Path, for messages
 * @pidfd:	Of the process that names it
 * @stat_fd:	The /proc/PID/stat of it, where a pidfd can't be had
 * @poll:	Looks into @stat_fd
 * @folder:	Tells what happens to files of the folder that names it
 * @file:	The one of them
 * @mounts:	Mounts of the host's namespace of them
 * @mount:	Begin of its line there
 * @pid_path:	What @name is for a process
 * @by_descriptor:	Its name is that of a descriptor of some process
 */
struct netns {
	int net, user;
	const char *name;
	int pidfd, stat_fd;
	struct timer poll;
	int folder;
	char file[NAME_MAX + 1];
	int mounts;
	char mount[NETNS_MOUNT_LEN];
	char pid_path[32];
	bool by_descriptor;
};

void netns_init(struct netns *n);
int netns_open(struct netns *n, const struct conf *c);
int netns_join(const struct netns *n);
void netns_close(struct netns *n);
int netns_watch(struct netns *n, struct loop *l);
bool netns_gone(struct netns *n, union epoll_ref ref, struct loop *l);

#endif /* NETNS_H */
