/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * calls.h - A UNIX socket without a kernel: its messages come from the input
 *
 * recvmsg(), sendmsg(), poll() and close() of the C library are replaced. Descriptors that
 * come along have numbers that no real one has, and it is checked that each is closed once.
 */

#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "input.h"

#define SOCKET		100000		/* the socket itself */
#define FD_FIRST	100001		/* descriptors that were received */
#define FD_MOST		4096

static bool fd_open[FD_MOST];
static unsigned fds_made, fds_open;
static bool is_stream;			/* no bytes are the end, without descriptors */

static inline void calls_reset(void)
{
	memset(fd_open, 0, fds_made * sizeof(fd_open[0]));
	fds_made = fds_open = 0;
}

/* Another descriptor, which the receiver has to close */
static inline int fd_new(void)
{
	assert(fds_made < FD_MOST);
	fds_open++;
	fd_open[fds_made] = true;
	return FD_FIRST + (int)fds_made++;
}

static inline bool is_open(int fd)
{
	return fd >= FD_FIRST && fd < FD_FIRST + FD_MOST && fd_open[fd - FD_FIRST];
}

int close(int fd)
{
	if (fd == SOCKET)
		return 0;
	if (fd < FD_FIRST)
		return (int)syscall(SYS_close, fd);
	assert(is_open(fd));
	fd_open[fd - FD_FIRST] = false;
	fds_open--;
	return 0;
}

/* Put up to @n descriptors into a control message, as many as fit, as the kernel does */
static inline void calls_put_fds(struct msghdr *mh, unsigned n)
{
	struct cmsghdr *cm = mh->msg_control;
	size_t room = mh->msg_controllen;
	int fd;

	mh->msg_controllen = 0;
	if (!cm || room < CMSG_LEN(sizeof(int)) || !n)
		return;
	if (n > (room - CMSG_LEN(0)) / sizeof(int)) {
		n = (unsigned)((room - CMSG_LEN(0)) / sizeof(int));
		mh->msg_flags |= MSG_CTRUNC;
	}
	if (n > FD_MOST - fds_made)
		n = FD_MOST - fds_made;
	*cm = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	for (unsigned i = 0; i < n; i++) {
		fd = fd_new();
		memcpy(CMSG_DATA(cm) + i * sizeof(int), &fd, sizeof(fd));
	}
	mh->msg_controllen = n ? CMSG_SPACE(n * sizeof(int)) : 0;
}

/* A message: its number of descriptors, its length, its bytes. Nothing is left: EAGAIN */
ssize_t recvmsg(int fd, struct msghdr *mh, int flags)
{
	unsigned fds = byte();
	size_t len = byte(), room = mh->msg_iov[0].iov_len;

	(void)flags;
	assert(fd == SOCKET && mh->msg_iovlen == 1);
	if (!left && !len) {
		errno = EAGAIN;
		return -1;
	}
	mh->msg_flags = 0;
	calls_put_fds(mh, is_stream && !len ? 0 : fds);
	if (len > room)
		len = room;
	bytes(mh->msg_iov[0].iov_base, len);
	return (ssize_t)len;
}

ssize_t sendmsg(int fd, const struct msghdr *mh, int flags)
{
	(void)flags;
	assert(fd == SOCKET);
	return (ssize_t)mh->msg_iov[0].iov_len;
}

int poll(struct pollfd *p, nfds_t n, int timeout)
{
	(void)timeout;
	if (!n || !left)
		return 0;
	p->revents = POLLIN;
	return 1;
}

#endif /* FUZZ_CALLS_H */
