/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The user and group that the daemon runs as: by number, by name, by default
 */

#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define OTHER	12345U			/* a user that is not root */

static void invalid(void)
{
	static const struct {
		const char *runas, *name;
	} t[] = {
		{ "", "an empty user is an error" },
		{ ":0", "a group without a user is an error" },
		{ "no such user", "an unknown user is an error" },
		{ "0:no such group", "an unknown group is an error" },
		{ "0:", "an empty group is an error" },
		{ "4294967295", "the number that stands for no change is an error" },
		{ "-1", "a negative number is an error" },
		{ "0123456789012345678901234567890123456789012345678901234567890123",
		  "a user of 64 bytes is an error" },
	};
	struct identity id;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		is(identity_choose(t[i].runas, &id), -EINVAL, t[i].name);
}

/* The part that needs to be root */
static void as_root(void)
{
	struct identity id;

	ok(!identity_choose("1000:100", &id) && id.uid == 1000 &&
	   id.gid == 100 && id.change && id.required,
	   "root becomes a user and group given by number");
	ok(!identity_choose("54321", &id) && id.uid == 54321 &&
	   id.gid == 54321, "an unknown number is user and group");
	ok(!identity_choose("root:root", &id) && id.uid == 0 && id.gid == 0,
	   "user and group have names");
	ok(!identity_choose("root:7", &id) && id.uid == 0 && id.gid == 7,
	   "a group by number goes with a user by name");
	ok(!identity_choose("0:0", &id) && id.change == !!getegid() &&
	   id.required == id.change, "to stay root is no change");
	ok(!identity_choose(NULL, &id) && !id.required &&
	   id.change == !!id.uid, "without --runas, a change is not required");
}

/* In a child that is another user: exit status 0 if all is well */
static int as_other(void)
{
	unsigned uid = getuid() ? getuid() : OTHER;
	struct identity id;
	char own[32];

	if (!getuid() && (setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
		return 1;
	if (identity_choose(NULL, &id) || id.change || id.uid != uid)
		return 2;
	snprintf(own, sizeof(own), "%u:%u", uid, (unsigned)getgid());
	if (identity_choose(own, &id) || id.change || id.uid != uid)
		return 3;
	if (identity_choose("0", &id) != -EPERM)
		return 4;
	return 0;
}

int main(void)
{
	int status, null = open("/dev/null", O_WRONLY);
	pid_t pid;

	dup2(null, STDERR_FILENO);
	invalid();
	if (!geteuid())
		as_root();
	pid = fork();
	if (!pid)
		_exit(as_other());
	waitpid(pid, &status, 0);
	is(WEXITSTATUS(status), 0, "another user stays, and may not change");
	return done();
}
