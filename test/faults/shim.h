/* SPDX-License-Identifier: GPL-2.0-or-later */
/* shim.h - What the test and the library in the daemon share: see shim.c */

#ifndef SHIM_H
#define SHIM_H

#include <stdbool.h>
#include <stdint.h>

/* Calls that can be made to fail; those with the same number in the kernel are one */
enum call {
	CALL_READ, CALL_WRITE, CALL_RECV, CALL_RECVMSG, CALL_RECVMMSG, CALL_SEND,
	CALL_SENDMSG, CALL_SENDMMSG, CALL_SPLICE, CALL_ACCEPT4, CALL_CONNECT, CALL_SOCKET,
	CALL_BIND, CALL_LISTEN, CALL_SETSOCKOPT, CALL_GETSOCKOPT, CALL_GETSOCKNAME,
	CALL_EPOLL_CTL, CALL_EPOLL_WAIT, CALL_SHUTDOWN, CALL_PIPE2, CALL_POLL, CALL_IOCTL,
	CALL_FCNTL, CALL_CLOSE, CALLS
};

#define CALL_NAMES {								\
	"read", "write", "recv", "recvmsg", "recvmmsg", "send", "sendmsg", "sendmmsg",	\
	"splice", "accept4", "connect", "socket", "bind", "listen", "setsockopt",	\
	"getsockopt", "getsockname", "epoll_ctl", "epoll_wait", "shutdown", "pipe2",	\
	"poll", "ioctl", "fcntl", "close" }

struct faults {
	volatile uint32_t every;	/* each call with this number in order fails; 0: none */
	volatile uint32_t call;		/* enum call */
	volatile int error;
	volatile uint32_t calls, hits;	/* counted by the library */
};

#endif /* SHIM_H */
