/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sockpath.h - Listening UNIX sockets with a path
 */

#ifndef SOCKPATH_H
#define SOCKPATH_H

#include <sys/types.h>
#include <sys/un.h>

/* Room for a path, with its NUL: unix(7) */
#define SOCKPATH_LEN	sizeof(((struct sockaddr_un *)0)->sun_path)

int sockpath_listen(const char *path, int backlog, mode_t mode);
int sockpath_accept(int fd, pid_t *pid);

#endif /* SOCKPATH_H */
