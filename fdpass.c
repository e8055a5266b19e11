/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdpass.c - Descriptors in messages of UNIX sockets (SCM_RIGHTS)
 *
 * The kernel limits the descriptors in flight per user (ETOOMANYREFS). So
 * sending may fail because of another process of the user.
 */

#include "fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
	struct cmsghdr hdr;
	char buf[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
};

/* fdpass_close() - Close all descriptors */
/* #syscalls:pasta close */
/* #syscalls:nshelper close */
/* #syscalls:vhost close */
void fdpass_close(struct fdpass *f)
{
	while (f->n)
		close(f->fd[--f->n]);
}

/**
 * fdpass_send() - Send a datagram with descriptors
 * @to:		Connected UNIX socket
 * @data, @len:	The datagram
 * @f:		Descriptors, which stay open here
 * @flags:	MSG_*
 *
 * Return: 0 or negative errno
 */
int fdpass_send(int to, const void *data, size_t len, const struct fdpass *f,
		int flags)
{
	return fdpass_send_many(to, data, len, f->fd, f->n, flags);
}

/**
 * fdpass_send_many() - Send bytes with up to FDPASS_MOST descriptors
 * @to, @data, @len, @flags:	As for fdpass_send()
 * @fds, @n:	Descriptors, which stay open here
 *
 * Return: 0 or negative errno
 */
/* #syscalls:pasta sendmsg */
/* #syscalls:nshelper sendmsg */
/* #syscalls:vhost sendmsg */
int fdpass_send_many(int to, const void *data, size_t len, const int *fds,
		     unsigned n, int flags)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int) * FDPASS_MOST)];
	} control;
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		control.hdr = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int) * n),
		};
		memcpy(CMSG_DATA(&control.hdr), fds, sizeof(int) * n);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	}
	return sendmsg(to, &msg, flags | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/*
 * Get the descriptors of a message; the kernel leaves out those above our limit. Another
 * control message comes first if the socket asks for credentials (SO_PASSCRED), as one that
 * was passed to us may
 */
static void fdpass_take(struct msghdr *msg, struct fdpass *f)
{
	struct cmsghdr *hdr = CMSG_FIRSTHDR(msg);

	while (hdr && (hdr->cmsg_level != SOL_SOCKET || hdr->cmsg_type != SCM_RIGHTS))
		hdr = CMSG_NXTHDR(msg, hdr);
	if (!hdr)
		return;
	f->n = (unsigned)((hdr->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(f->fd, CMSG_DATA(hdr), sizeof(int) * f->n);
}

/**
 * fdpass_read() - Receive bytes of a stream, or a datagram, and descriptors
 * @from:	Connected UNIX socket
 * @data, @len:	For the bytes
 * @f:		Set to the descriptors that came along, close-on-exec, the caller's; may
 *		be fewer than were sent, if the limit of open files is reached
 * @flags:	MSG_*
 *
 * Return: number of bytes, 0 at the end, or negative errno
 */
/* #syscalls:pasta recvmsg */
/* #syscalls:nshelper recvmsg */
/* #syscalls:vhost recvmsg */
ssize_t fdpass_read(int from, void *data, size_t len, struct fdpass *f,
		    int flags)
{
	union control control;
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(from, &msg, flags | MSG_CMSG_CLOEXEC);

	f->n = 0;
	if (n < 0)
		return -errno;
	fdpass_take(&msg, f);
	return n;
}

/**
 * fdpass_receive() - Receive a datagram of exactly @len bytes
 * @from, @data, @len, @f, @flags:	As for fdpass_read()
 *
 * Return: 0 or negative errno; -EPIPE: the other side has closed its socket, or
 * the datagram has another length
 */
int fdpass_receive(int from, void *data, size_t len, struct fdpass *f,
		   int flags)
{
	ssize_t n = fdpass_read(from, data, len, f, flags);

	if (n < 0)
		return (int)n;
	if ((size_t)n == len)
		return 0;
	fdpass_close(f);
	return -EPIPE;
}
