/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netns.h - An existing network namespace: find it, notice its end
 */

#ifndef NETNS_H
#define NETNS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"
#include "types.h"

#define NETNS_MOUNT_LEN	128		/* bytes of the fields that we compare */

/**
 * struct netns - A namespace, and the process or file that refers to it
 * @net:	Network namespace to join, closed by netns_close(); -1: none
 * @user:	User namespace to join before @net; -1: none
 * @name:	Path, for messages
 * @pidfd:	pidfd of the process, or -1
 * @stat_fd:	/proc/PID/stat of the process, if there is no pidfd, or -1
 * @poll:	Timer for the next look at @stat_fd
 * @folder:	inotify on the directory of the naming file, or -1
 * @file:	The file's name
 * @mounts:	/proc/self/mountinfo of the host, or -1
 * @mount:	Begin of the file's line in @mounts
 * @pid_path:	Path that @name points to if a PID was given
 * @by_descriptor:	The path names a descriptor of some process
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
bool netns_user_rules_ours(const struct netns *n);
int netns_join(const struct netns *n);
void netns_close(struct netns *n);
int netns_watch(struct netns *n, struct loop *l);
bool netns_gone(struct netns *n, union epoll_ref ref, struct loop *l);

#endif /* NETNS_H */
