/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * landlock.c - Give up all access to files but reading them
 *
 * Landlock denies each right that a set of rules handles and no rule grants. Ours handles
 * all that the kernel knows but reading files, and grants nothing: no directory can be
 * listed, no file written, made, removed or executed, no TCP socket bound or connected, and
 * no abstract socket or process outside reached. There is a system call for each step, as
 * the C library has no functions for them; a newer kernel knows more rights (landlock(7)).
 */

#include "landlock.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SYS_landlock_create_ruleset
enum { ASK_VERSION = 1, READ_FILE = 1 << 2 };

/* Number of rights of each kind by the version of the kernel: they are bits from 0 on */
enum {
	FS_1 = 13, FS_2 = 14, FS_3 = 15, FS_5 = 16,
	NET_4 = 2,
	SCOPED_6 = 2,
};

/* struct landlock_ruleset_attr, of which older headers have a part */
struct ruleset {
	uint64_t fs, net, scoped;
};

static uint64_t bits(unsigned n)
{
	return (1ULL << n) - 1;
}

/* All rights that version @v knows but reading files */
static struct ruleset all_but_reading(long v)
{
	unsigned fs = v < 2 ? FS_1 : v < 3 ? FS_2 : v < 5 ? FS_3 : FS_5;

	return (struct ruleset){
		.fs = bits(fs) & ~(uint64_t)READ_FILE,
		.net = v < 4 ? 0 : bits(NET_4),
		.scoped = v < 6 ? 0 : bits(SCOPED_6),
	};
}

/**
 * landlock_only_read() - Give up all access to files but reading them, for ever
 *
 * To be called with no_new_privs set. Children inherit it.
 *
 * Return: 0, also if the kernel lacks Landlock or does not use it; other negative errno
 */
int landlock_only_read(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, ASK_VERSION);
	struct ruleset r;
	int fd, rc;

	if (version < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	r = all_but_reading(version);
	fd = syscall(SYS_landlock_create_ruleset, &r, sizeof(r), 0);
	if (fd < 0)
		return -errno;
	rc = syscall(SYS_landlock_restrict_self, fd, 0) ? -errno : 0;
	close(fd);
	return rc;
}
#else
int landlock_only_read(void)
{
	return 0;
}
#endif
