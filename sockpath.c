/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sockpath.c - Listening UNIX sockets with a path
 *
 * A path may be left over from a daemon that has ended. We find out by
 * connecting: if the connection is refused, the socket is stale, and its file
 * is replaced.
 */

#include "sockpath.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

#define OVERFLOW_UID	65534		/* a user without a UID here */

/* Is this a socket without a listener? Any other file is not ours */
static bool is_stale(const struct sockaddr_un *sa)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(sa->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/* Bind to a path, replacing a stale socket */
static int bind_path(int fd, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (util_strcpy(sa.sun_path, sizeof(sa.sun_path), path))
		return -ENAMETOOLONG;
	if (!bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return 0;
	if (errno != EADDRINUSE || !is_stale(&sa))
		return -errno;
	if (unlink(path) && errno != ENOENT)
		return -errno;
	return bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
}

/**
 * sockpath_listen() - Create a stream socket that listens at a path
 * @path:	Path; a stale socket there is replaced
 * @backlog:	As for listen()
 * @mode:	Permissions of its file
 *
 * The file has its mode from the start, by the umask, so nobody can connect before. A
 * default ACL of the folder gives nobody more: bind() applies the umask all the same.
 *
 * Return: descriptor, non-blocking and close-on-exec, or negative errno;
 * -EADDRINUSE if the path has a listener, or is another kind of file
 */
int sockpath_listen(const char *path, int backlog, mode_t mode)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int rc;

	if (fd < 0)
		return -errno;
	mask = umask(~mode & 0777);
	rc = bind_path(fd, path);
	umask(mask);
	if (!rc && listen(fd, backlog))
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/**
 * sockpath_accept() - Accept a connection
 * @fd:		Listening socket
 * @peer:	Set to the process that has connected
 *
 * Return: descriptor, non-blocking and close-on-exec, or negative errno
 */
/* #syscalls:passt accept4 accept getsockopt */
int sockpath_accept(int fd, struct sockpath_peer *peer)
{
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);

	if (conn < 0)
		return -errno;
	getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	*peer = (struct sockpath_peer){ .pid = cred.pid, .uid = cred.uid };
	return conn;
}

/**
 * sockpath_peer_str() - Name a peer for the log: by its PID, or else by its user
 * @peer:	The peer. Our own namespaces may have neither of these
 * @buf:	Where to write
 *
 * Return: @buf
 */
const char *sockpath_peer_str(const struct sockpath_peer *peer,
			      char buf[SOCKPATH_PEERLEN])
{
	if (peer->pid)
		snprintf(buf, SOCKPATH_PEERLEN, "PID %u", (unsigned)peer->pid);
	else if (peer->uid == OVERFLOW_UID)
		snprintf(buf, SOCKPATH_PEERLEN, "an unknown process");
	else
		snprintf(buf, SOCKPATH_PEERLEN, "UID %u", peer->uid);
	return buf;
}
