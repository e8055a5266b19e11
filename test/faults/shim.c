/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shim.c - Make calls of a running daemon fail
 *
 * A library for LD_PRELOAD. The file named by FAULTS is shared with the test, which writes
 * to it the call that is to fail, the error, and how often. It is mapped before the
 * daemon is sealed, so that no call is made here which its filter refuses. Children of
 * the daemon are left alone, and so are other programs.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim.h"

static struct faults *faults;

/* Is this call to fail? Sets errno then */
static bool fails(enum call call)
{
	uint32_t every;

	if (!faults)
		return false;
	every = faults->every;
	if (!every || faults->call != call || ++faults->calls % every)
		return false;
	faults->hits++;
	errno = faults->error;
	return true;
}

static void leave_alone(void)
{
	faults = NULL;
}

/* Each wrapper has a pointer to the real function, found before the daemon is sealed */
#define WRAP(type, name, params, args, call)					\
	static type (*real_##name) params;					\
	__attribute__((constructor)) static void find_##name(void)		\
	{									\
		*(void **)&real_##name = dlsym(RTLD_NEXT, #name);		\
	}									\
	__attribute__((visibility("default"))) type name params;		\
	type name params							\
	{									\
		return fails(call) ? (type)-1 : real_##name args;		\
	}

WRAP(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), CALL_READ)
WRAP(ssize_t, __read_chk, (int fd, void *p, size_t n, size_t m), (fd, p, n, m), CALL_READ)
WRAP(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), CALL_WRITE)
WRAP(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), CALL_READ)
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), CALL_WRITE)
WRAP(ssize_t, recv, (int fd, void *p, size_t n, int f), (fd, p, n, f), CALL_RECV)
WRAP(ssize_t, __recv_chk, (int fd, void *p, size_t n, size_t m, int f), (fd, p, n, m, f),
     CALL_RECV)
WRAP(ssize_t, recvfrom, (int fd, void *p, size_t n, int f, struct sockaddr *a, socklen_t *l),
     (fd, p, n, f, a, l), CALL_RECV)
WRAP(ssize_t, __recvfrom_chk, (int fd, void *p, size_t n, size_t m, int f, struct sockaddr *a,
     socklen_t *l), (fd, p, n, m, f, a, l), CALL_RECV)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int f), (fd, m, f), CALL_RECVMSG)
WRAP(int, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int f, struct timespec *t),
     (fd, m, n, f, t), CALL_RECVMMSG)
WRAP(ssize_t, send, (int fd, const void *p, size_t n, int f), (fd, p, n, f), CALL_SEND)
WRAP(ssize_t, sendto, (int fd, const void *p, size_t n, int f, const struct sockaddr *a,
     socklen_t l), (fd, p, n, f, a, l), CALL_SEND)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f), CALL_SENDMSG)
WRAP(int, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int f), (fd, m, n, f),
     CALL_SENDMMSG)
WRAP(ssize_t, splice, (int a, off64_t *b, int c, off64_t *d, size_t n, unsigned f),
     (a, b, c, d, n, f), CALL_SPLICE)
WRAP(int, accept4, (int fd, struct sockaddr *a, socklen_t *l, int f), (fd, a, l, f),
     CALL_ACCEPT4)
WRAP(int, connect, (int fd, const struct sockaddr *a, socklen_t l), (fd, a, l), CALL_CONNECT)
WRAP(int, socket, (int d, int t, int p), (d, t, p), CALL_SOCKET)
WRAP(int, bind, (int fd, const struct sockaddr *a, socklen_t l), (fd, a, l), CALL_BIND)
WRAP(int, listen, (int fd, int n), (fd, n), CALL_LISTEN)
WRAP(int, setsockopt, (int fd, int l, int o, const void *p, socklen_t n), (fd, l, o, p, n),
     CALL_SETSOCKOPT)
WRAP(int, getsockopt, (int fd, int l, int o, void *p, socklen_t *n), (fd, l, o, p, n),
     CALL_GETSOCKOPT)
WRAP(int, getsockname, (int fd, struct sockaddr *a, socklen_t *l), (fd, a, l),
     CALL_GETSOCKNAME)
WRAP(int, epoll_wait, (int e, struct epoll_event *ev, int n, int ms), (e, ev, n, ms),
     CALL_EPOLL_WAIT)
WRAP(int, shutdown, (int fd, int how), (fd, how), CALL_SHUTDOWN)
WRAP(int, pipe2, (int fd[2], int f), (fd, f), CALL_PIPE2)
WRAP(int, poll, (struct pollfd *p, nfds_t n, int ms), (p, n, ms), CALL_POLL)

/* Calls whose last argument has a type that depends on another one */
#define WRAP_ANY(name, type, call)						\
	static int (*real_##name)(int, type, void *);				\
	__attribute__((constructor)) static void find_##name(void)		\
	{									\
		*(void **)&real_##name = dlsym(RTLD_NEXT, #name);		\
	}									\
	__attribute__((visibility("default"))) int name(int fd, type request, ...); \
	int name(int fd, type request, ...)					\
	{									\
		va_list ap;							\
		void *arg;							\
										\
		va_start(ap, request);						\
		arg = va_arg(ap, void *);					\
		va_end(ap);							\
		return fails(call) ? -1 : real_##name(fd, request, arg);	\
	}

WRAP_ANY(ioctl, unsigned long, CALL_IOCTL)
#undef fcntl
WRAP_ANY(fcntl, int, CALL_FCNTL)
WRAP_ANY(fcntl64, int, CALL_FCNTL)

/* To change or remove a descriptor takes no memory: that does not fail */
static int (*real_epoll_ctl)(int, int, int, struct epoll_event *);
__attribute__((visibility("default"))) int epoll_ctl(int e, int op, int fd,
						     struct epoll_event *ev)
{
	return op == EPOLL_CTL_ADD && fails(CALL_EPOLL_CTL) ? -1 :
	       real_epoll_ctl(e, op, fd, ev);
}

/* A descriptor is closed even if close() was interrupted: close(2) */
static int (*real_close)(int);
__attribute__((visibility("default"))) int close(int fd)
{
	bool fail = fails(CALL_CLOSE);
	int error = errno, rc = real_close(fd);

	if (fail)
		errno = error;
	return fail ? -1 : rc;
}

/* A child that has a name of its own is not the daemon */
static int (*real_prctl)(int, unsigned long, unsigned long, unsigned long, unsigned long);
__attribute__((visibility("default"))) int prctl(int option, ...)
{
	unsigned long arg[4];
	va_list ap;
	int i;

	va_start(ap, option);
	for (i = 0; i < 4; i++)
		arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (option == PR_SET_NAME)
		leave_alone();
	return real_prctl(option, arg[0], arg[1], arg[2], arg[3]);
}

__attribute__((constructor)) static void map(void)
{
	const char *path = getenv("FAULTS"), *name = program_invocation_short_name;
	int fd;
	void *p;

	*(void **)&real_epoll_ctl = dlsym(RTLD_NEXT, "epoll_ctl");
	*(void **)&real_close = dlsym(RTLD_NEXT, "close");
	*(void **)&real_prctl = dlsym(RTLD_NEXT, "prctl");
	if (!path || (strcmp(name, "passt") && strcmp(name, "pasta")))
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	real_close(fd);
	if (p == MAP_FAILED)
		return;
	faults = p;
	pthread_atfork(NULL, NULL, leave_alone);
}
