/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deny - Run a program in a kernel or a container that denies some system calls
 *
 * usage: deny NAME... -- COMMAND...
 *
 *	namespaces	unshare() makes no namespaces: EPERM
 *	root		the root directory stays: pivot_root() and chroot() fail, EPERM
 *	user		the user stays: setresuid() fails, EPERM
 *	filter		no filter of system calls: EINVAL, as without CONFIG_SECCOMP_FILTER
 *	landlock	no Landlock in the kernel: ENOSYS
 *	restrict	Landlock is there, and refused at its last step: EPERM
 *	ruleset		Landlock is there, and refused at its first step: EPERM
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset	444
#define SYS_landlock_restrict_self	446
#endif
#ifdef SYS_setresuid32
#define SETRESUID	SYS_setresuid32
#else
#define SETRESUID	SYS_setresuid
#endif

enum { IF_ARG = 1, UNLESS_ARG };

/* A call to deny; @how tells whether its first argument has to be, or not to be, @arg */
static const struct rule {
	const char *name;
	unsigned nr, how, arg, error;
} rules[] = {
	{ "namespaces", SYS_unshare, UNLESS_ARG, CLONE_FILES, EPERM },
	{ "root", SYS_pivot_root, 0, 0, EPERM },
	{ "root", SYS_chroot, 0, 0, EPERM },
	{ "user", SETRESUID, 0, 0, EPERM },
	{ "filter", SYS_prctl, IF_ARG, PR_SET_SECCOMP, EINVAL },
	{ "landlock", SYS_landlock_create_ruleset, 0, 0, ENOSYS },
	{ "restrict", SYS_landlock_restrict_self, 0, 0, EPERM },
	{ "ruleset", SYS_landlock_create_ruleset, 0, 0, EPERM },
};

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ARG0	(offsetof(struct seccomp_data, args[0]) + 4)
#else
#define ARG0	offsetof(struct seccomp_data, args[0])
#endif

static int deny(const struct rule *r)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->arg, r->how != UNLESS_ARG ? 0 : 1,
			 r->how == IF_ARG ? 1 : 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | r->error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(f) / sizeof(*f), .filter = f };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0);
}

int main(int argc, char **argv)
{
	unsigned i, pass;
	int at = 1, end;

	(void)argc;
	for (end = 1; argv[end] && strcmp(argv[end], "--"); end++)
		;
	if (!argv[end] || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return 125;
	/* "filter" comes last, since no filter can be added after it */
	for (pass = 0; pass < 2; pass++)
		for (at = 1; at < end; at++)
			for (i = 0; i < sizeof(rules) / sizeof(*rules); i++)
				if (!strcmp(argv[at], rules[i].name) &&
				    (rules[i].how == IF_ARG) == pass && deny(&rules[i]))
					return 125;
	execvp(argv[end + 1], argv + end + 1);
	perror(argv[end + 1]);
	return 127;
}
