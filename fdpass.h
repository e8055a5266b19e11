/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fdpass.h - Descriptors in messages of UNIX sockets (SCM_RIGHTS)
 */

#ifndef FDPASS_H
#define FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX	32		/* descriptors of one message */
#define FDPASS_MOST	253		/* what the kernel takes: SCM_MAX_FD, unix(7) */

/**
 * struct fdpass - Descriptors that come with a message
 * @n:		Number of descriptors
 * @fd:		Open descriptors
 */
struct fdpass {
	unsigned n;
	int fd[FDPASS_MAX];
};

void fdpass_close(struct fdpass *f);
int fdpass_send(int to, const void *data, size_t len, const struct fdpass *f,
		int flags);
int fdpass_send_many(int to, const void *data, size_t len, const int *fds,
		     unsigned n, int flags);
ssize_t fdpass_read(int from, void *data, size_t len, struct fdpass *f,
		    int flags);
int fdpass_receive(int from, void *data, size_t len, struct fdpass *f,
		   int flags);

#endif /* FDPASS_H */
