/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system call filters, run on calls of each kind: which of them are allowed on
 * this architecture, and whether one call for all sockets is told by its argument.
 */

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define SECCOMP_DENY	SECCOMP_RET_KILL_PROCESS
#include "seccomp.h"
#include "tap.h"
#include "util.h"

/* Numbers of linux/net.h */
enum { SC_SOCKET = 1, SC_BIND, SC_CONNECT, SC_LISTEN, SC_SOCKETPAIR = 8, SC_SEND,
       SC_RECV, SC_SENDTO, SC_SENDMSG = 16 };

/* Run a filter as the kernel does; ~0 for an instruction that our filters lack */
static uint32_t run(const struct sock_filter *f, unsigned len,
		    const struct seccomp_data *d)
{
	uint32_t a = 0;
	unsigned pc;

	for (pc = 0; pc < len; pc++) {
		switch (f[pc].code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f[pc].k % 4 || f[pc].k > sizeof(*d) - 4)
				return ~0U;
			memcpy(&a, (const char *)d + f[pc].k, 4);
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= f[pc].k ? f[pc].jt : f[pc].jf;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == f[pc].k ? f[pc].jt : f[pc].jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & f[pc].k ? f[pc].jt : f[pc].jf;
			break;
		case BPF_RET | BPF_K:
			return f[pc].k;
		default:
			return ~0U;
		}
	}
	return ~0U;
}

static uint32_t call(const struct sock_filter *f, unsigned len, int nr, uint64_t arg)
{
	struct seccomp_data d = { .nr = nr, .arch = SECCOMP_ARCH, .args = { arg, 1 } };

	return run(f, len, &d);
}

/* Is a call allowed whose argument @n is @value? */
static bool with(const struct sock_filter *f, unsigned len, int nr, unsigned n,
		 uint64_t value)
{
	struct seccomp_data d = { .nr = nr, .arch = SECCOMP_ARCH };

	d.args[n] = value;
	return run(f, len, &d) == SECCOMP_RET_ALLOW;
}

#define WITH(filter, nr, n, value) \
	with(filter, ARRAY_SIZE(filter), nr, n, (uint64_t)(value))
#define ALLOWED(filter, nr, arg) \
	(call(filter, ARRAY_SIZE(filter), nr, arg) == SECCOMP_RET_ALLOW)
#define REFUSED(filter, nr, arg) \
	(call(filter, ARRAY_SIZE(filter), nr, arg) == SECCOMP_RET_KILL_PROCESS)

/* The loop needs these on each machine */
static void calls(void)
{
	ok(ALLOWED(filter_passt, SYS_read, 0), "passt reads");
	ok(ALLOWED(filter_pasta, SYS_splice, 0), "pasta splices");
	ok(REFUSED(filter_passt, SYS_splice, 0), "passt does not splice");
	ok(REFUSED(filter_pasta, SYS_openat, 0), "pasta opens no file");
	ok(REFUSED(filter_pasta, SYS_execve, 0), "pasta executes nothing");
	ok(REFUSED(filter_pasta, SYS_ptrace, 0), "pasta traces nobody");
	ok(REFUSED(filter_nshelper, SYS_unshare, 0), "the helper makes no namespace");
	ok(REFUSED(filter_passt, -1, 0), "the number -1 is refused");
	ok(REFUSED(filter_passt, 0x40000000 | SYS_read, 0),
	   "a number of another interface is refused");
#ifdef SYS_fcntl64
	ok(WITH(filter_pasta, SYS_fcntl64, 1, F_SETPIPE_SZ) &&
	   !WITH(filter_pasta, SYS_fcntl64, 1, F_SETOWN), "fcntl() with sizes of 64 bits");
	ok(ALLOWED(filter_passt, SYS_ftruncate64, 0), "ftruncate() likewise");
#endif
#ifdef SYS_recvmmsg_time64
	ok(ALLOWED(filter_passt, SYS_recvmmsg_time64, 0), "recvmmsg() with 64-bit times");
	ok(ALLOWED(filter_nshelper, SYS_ppoll_time64, 0), "ppoll() likewise");
	ok(ALLOWED(filter_nshelper, SYS_clock_gettime64, 0) ==
	   ALLOWED(filter_nshelper, SYS_clock_gettime, 0), "the clock likewise");
#endif
}

static void architecture(void)
{
	struct seccomp_data d = { .nr = SYS_read, .arch = SECCOMP_ARCH ^ 1 };

	is(run(filter_passt, ARRAY_SIZE(filter_passt), &d), SECCOMP_RET_KILL_PROCESS,
	   "a call of another architecture is refused");
}

/* One call for all sockets */
static void sockets(void)
{
#ifdef SYS_socketcall
	ok(ALLOWED(filter_passt, SYS_socketcall, SC_SOCKET), "socketcall: a socket");
	ok(ALLOWED(filter_passt, SYS_socketcall, SC_SENDMSG), "socketcall: sendmsg()");
	ok(REFUSED(filter_passt, SYS_socketcall, SC_SOCKETPAIR),
	   "socketcall: no pair of sockets");
	ok(ALLOWED(filter_nshelper, SYS_socketcall, SC_BIND), "socketcall: the helper binds");
	ok(REFUSED(filter_nshelper, SYS_socketcall, SC_CONNECT),
	   "socketcall: the helper does not connect");
	ok(ALLOWED(filter_follower, SYS_socketcall, SC_SEND),
	   "socketcall: the follower sends");
	ok(REFUSED(filter_follower, SYS_socketcall, SC_SOCKET),
	   "socketcall: the follower makes no socket");
	ok(REFUSED(filter_passt, SYS_socketcall, 0), "socketcall: the number 0 is refused");
	ok(REFUSED(filter_passt, SYS_socketcall, 21), "socketcall: so is a number too large");
#else
	ok(REFUSED(filter_follower, SYS_socket, AF_INET), "the follower makes no socket");
#endif
#ifdef SYS_socket
	ok(ALLOWED(filter_passt, SYS_socket, AF_INET) &&
	   ALLOWED(filter_pasta, SYS_socket, AF_INET6), "the daemon makes sockets of IP");
	ok(REFUSED(filter_passt, SYS_socket, AF_UNIX) &&
	   REFUSED(filter_pasta, SYS_socket, AF_UNIX) &&
	   REFUSED(filter_vhost, SYS_socket, AF_UNIX), "but none of UNIX");
	ok(REFUSED(filter_passt, SYS_socket, AF_NETLINK) &&
	   REFUSED(filter_pasta, SYS_socket, AF_PACKET), "nor of another family");
	ok(ALLOWED(filter_nshelper, SYS_socket, AF_NETLINK) &&
	   REFUSED(filter_nshelper, SYS_socket, AF_UNIX), "the helper may ask sock_diag");
#endif
}

/* Calls whose argument must be one that the sources name */
static void arguments(void)
{
	const int opened = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

	ok(WITH(filter_passt, SYS_ioctl, 1, SIOCOUTQ) &&
	   WITH(filter_passt, SYS_ioctl, 1, SIOCOUTQNSD) &&
	   WITH(filter_passt, SYS_ioctl, 1, SIOCINQ), "passt asks how long queues are");
	ok(!WITH(filter_passt, SYS_ioctl, 1, TIOCSTI) &&
	   !WITH(filter_pasta, SYS_ioctl, 1, TIOCSTI) &&
	   !WITH(filter_vhost, SYS_ioctl, 1, TIOCSTI), "nobody types into the terminal");
	ok(WITH(filter_pasta, SYS_ioctl, 1, TIOCSPGRP) &&
	   !WITH(filter_passt, SYS_ioctl, 1, TIOCSPGRP),
	   "only pasta gives the terminal back");
	ok(!WITH(filter_pasta, SYS_ioctl, 1, TUNSETIFF), "pasta makes no other device");
	ok(WITH(filter_pasta, SYS_fcntl, 1, F_SETPIPE_SZ) &&
	   !WITH(filter_pasta, SYS_fcntl, 1, F_SETFL), "pasta sets the size of pipes alone");
	ok(WITH(filter_vhost, SYS_fcntl, 1, F_SETFL) &&
	   !WITH(filter_vhost, SYS_fcntl, 1, F_SETOWN), "vhost-user sets flags alone");
	ok(WITH(filter_follower, SYS_openat, 2, opened), "the follower reads files");
	ok(!WITH(filter_follower, SYS_openat, 2, opened | O_WRONLY) &&
	   !WITH(filter_follower, SYS_openat, 2, opened | O_CREAT) &&
	   !WITH(filter_follower, SYS_openat, 2, O_PATH),
	   "it opens none to write, and makes none");
	ok(WITH(filter_passt, SYS_ioctl, 1, SIOCOUTQ | 1ULL << 32),
	   "the kernel takes 32 bits of the argument, the filter as well");
}

/* May memory be mapped like this? The arguments are those of mmap() */
static uint32_t map(const struct sock_filter *f, unsigned len, int prot, int flags)
{
#ifdef SYS_mmap2
	const int nr = SYS_mmap2;
#else
	const int nr = SYS_mmap;
#endif
	struct seccomp_data d = { .nr = nr, .arch = SECCOMP_ARCH, .args = {
		0, 4096, (uint64_t)prot, (uint64_t)flags } };

	return run(f, len, &d);
}

/* Memory of a file, without rights to execute, at no fixed address */
static void maps(void)
{
	const unsigned len = ARRAY_SIZE(filter_vhost);
	const int rw = PROT_READ | PROT_WRITE;

	is(map(filter_vhost, len, rw, MAP_SHARED), SECCOMP_RET_ALLOW,
	   "vhost-user maps memory of a file");
#ifndef __s390x__			/* the arguments are in memory there */
	is(map(filter_vhost, len, rw | PROT_EXEC, MAP_SHARED),
	   SECCOMP_RET_KILL_PROCESS, "but none to execute");
	is(map(filter_vhost, len, rw, MAP_PRIVATE | MAP_ANONYMOUS),
	   SECCOMP_RET_KILL_PROCESS, "none without a file");
	is(map(filter_vhost, len, rw, MAP_SHARED | MAP_FIXED),
	   SECCOMP_RET_KILL_PROCESS, "none at a fixed address");
#endif
	is(map(filter_passt, ARRAY_SIZE(filter_passt), rw, MAP_SHARED),
	   SECCOMP_RET_KILL_PROCESS, "passt without vhost-user maps nothing");
	ok(ALLOWED(filter_vhost, SYS_read, 0) && ALLOWED(filter_vhost, SYS_munmap, 0) &&
	   REFUSED(filter_vhost, SYS_execve, 0), "other calls are told by number");
}

int main(void)
{
	calls();
	maps();
	arguments();
	architecture();
	sockets();
	return done();
}
