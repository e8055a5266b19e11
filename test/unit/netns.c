/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a capability of a user namespace counts: in the network namespaces that this user
 * namespace, or one below it, owns
 */

#include "netns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* Open a namespace of a process, "self" or a number; it lives as long as its descriptor */
static int open_of(const char *pid, const char *kind)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, kind);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void write_own(const char *file, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s: not written\n", path);
	close(fd);
}

/* Enter namespaces of our own as a user that has a number in there, who may make more */
static bool own_namespaces(void)
{
	char uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return false;
	write_own("setgroups", "deny");
	write_own("uid_map", uids);
	write_own("gid_map", gids);
	return true;
}

/* Make a user namespace below our own, and a network namespace that it owns */
static bool make_below(int *user, int *net)
{
	char number[16], c = 0;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		return false;
	pid = fork();
	if (!pid) {
		close(pair[0]);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) || write(pair[1], "u", 1) != 1)
			_exit(1);
		_exit(read(pair[1], &c, 1) < 0);
	}
	close(pair[1]);
	snprintf(number, sizeof(number), "%d", (int)pid);
	if (read(pair[0], &c, 1) == 1) {
		*user = open_of(number, "user");
		*net = open_of(number, "net");
	}
	close(pair[0]);
	waitpid(pid, NULL, 0);
	return *user >= 0 && *net >= 0;
}

/* Ask for the rights of a helper that joins @user, or -1: our own user namespace */
static bool rules(int user)
{
	struct netns n;

	netns_init(&n);
	n.user = user;
	return netns_user_rules_ours(&n);
}

int main(void)
{
	int ours, user = -1, net = -1;

	if (!own_namespaces()) {
		printf("1..0 # SKIP no user namespaces\n");
		return 0;
	}
	ours = open_of("self", "user");
	ok(rules(-1), "the owner of our network has rights there");
	ok(rules(ours), "so it has if the helper joins it");
	ok(make_below(&user, &net), "there is a user namespace below");
	ok(!rules(user), "a user namespace below the owner has none");

	ok(!setns(net, CLONE_NEWNET), "we move to a network of the one below");
	ok(rules(-1), "a user namespace above the owner has rights there");
	ok(rules(ours), "so it has if the helper joins it");
	ok(rules(user), "and so has the owner");

	ok(!unshare(CLONE_NEWUSER), "we move to another user namespace below");
	ok(!rules(-1), "one beside the owner has none");
	return done();
}
