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

/* Room for the name of a peer */
#define SOCKPATH_PEERLEN	sizeof("an unknown process")

/**
 * struct sockpath_peer - Process at the other end of a connection
 * @pid:	PID in our namespace, 0: it has none there
 * @uid:	User in our namespace
 */
struct sockpath_peer {
	pid_t pid;
	uid_t uid;
};

int sockpath_listen(const char *path, int backlog, mode_t mode);
int sockpath_accept(int fd, struct sockpath_peer *peer);
const char *sockpath_peer_str(const struct sockpath_peer *peer,
			      char buf[SOCKPATH_PEERLEN]);

#endif /* SOCKPATH_H */
