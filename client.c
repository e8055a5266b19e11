/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.c - The UNIX socket that a virtual machine connects to
 *
 * There is one client at a time. A second one is accepted and closed at once,
 * so that it does not wait in vain. The socket stays when the client leaves, so
 * that a restarted qemu can connect again.
 *
 * A path may be left over from a daemon that has ended. We find out by
 * connecting: if the connection is refused, the socket is stale, and its file
 * is replaced.
 *
 *	given path	live: an error		stale: replaced
 *	default paths	live: the next one	stale: replaced
 *
 * Without free descriptors, for instance because a guest has many connections,
 * a new client waits: we don't look at the socket for PAUSE_MS, since its event
 * would come back at once.
 */

#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "tap.h"
#include "util.h"

#define PATH_FORMAT	"/tmp/passt_%d.socket"
#define PATHS		64
#define BACKLOG		4
#define PAUSE_MS	100		/* without free descriptors */

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

static int bind_first_free(int fd, char *path, size_t size)
{
	int i, rc = -EADDRINUSE;

	for (i = 1; i <= PATHS; i++) {
		snprintf(path, size, PATH_FORMAT, i);
		rc = bind_path(fd, path);
		/* Skip sockets in use, and stale ones of other users */
		if (rc != -EADDRINUSE && rc != -EPERM && rc != -EACCES)
			break;
	}
	return rc;
}

static void tell(const struct conf *c, const char *path)
{
	info("UNIX domain socket bound at %s", path);
	if (c->vhost_user) {
		info("You can now start qemu, the guest's memory shared:");
		info("    kvm ... -m 1G -object "
		     "memory-backend-memfd,id=m,size=1G,share=on "
		     "-machine memory-backend=m -chardev socket,id=c,path=%s "
		     "-netdev vhost-user,id=s,chardev=c "
		     "-device virtio-net-pci,netdev=s", path);
		return;
	}
	info("You can now start qemu (>= 7.2, with commit 13c6be96618c):");
	info("    kvm ... -device virtio-net-pci,netdev=s "
	     "-netdev stream,id=s,server=off,addr.type=unix,addr.path=%s", path);
	info("or, with an older one:");
	info("    qrap 5 kvm ... -net socket,fd=5 -net nic,model=virtio");
}

/**
 * client_listen() - Create the socket
 * @cl:		Set
 * @c:		sock_path: path, NULL: the first free one of the default paths;
 *		vhost_user: for messages
 *
 * To be called with the user's rights, before the sandbox.
 *
 * Return: 0, or negative errno after a message
 */
int client_listen(struct client *cl, const struct conf *c)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)] = "";
	const char *name = c->sock_path ? c->sock_path : path;
	int rc;

	cl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (cl->fd < 0) {
		rc = -errno;
		err_errno("Couldn't create a UNIX socket");
		return rc;
	}
	if (c->sock_path)
		rc = bind_path(cl->fd, c->sock_path);
	else
		rc = bind_first_free(cl->fd, path, sizeof(path));
	if (!rc && listen(cl->fd, BACKLOG))
		rc = -errno;
	if (!rc) {
		tell(c, name);
		return 0;
	}
	if (rc == -EADDRINUSE && c->sock_path)
		err("Socket path %s already in use", name);
	else if (rc == -EADDRINUSE)
		err("Socket paths /tmp/passt_1.socket to _64 are all in use");
	else
		err_rc(rc, "Couldn't bind UNIX socket %s", name);
	close(cl->fd);
	cl->fd = -1;
	return rc;
}

static const union epoll_ref client_ref = { .kind = REF_CLIENT };

/**
 * client_watch() - Report connections as events
 * @cl:		From client_listen()
 * @l:		Gets events and a timer of kind REF_CLIENT
 *
 * Return: 0 or negative errno
 */
int client_watch(struct client *cl, struct loop *l)
{
	cl->loop = l;
	cl->timer.ref = client_ref;
	return cl->fd < 0 ? 0 : loop_add(l, cl->fd, EPOLLIN, client_ref);
}

/* client_timer() - Watch the socket again after a pause */
void client_timer(struct client *cl)
{
	loop_mod(cl->loop, cl->fd, EPOLLIN, client_ref);
}

/**
 * client_accept() - Accept a client, or turn it away
 * @cl:		From client_listen()
 * @t:		Tap that gets the connection if it has none
 *
 * Return: true if @t has a new client
 */
/* #syscalls:passt accept4 accept getsockopt close */
bool client_accept(struct client *cl, struct tap *t)
{
	int fd = accept4(cl->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);
	int rc;

	if (fd < 0) {
		if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
			return false;
		warn_limited_rc(errno, "Couldn't accept a client for now");
		loop_mod(cl->loop, cl->fd, 0, client_ref);
		wheel_arm(&cl->loop->wheel, &cl->timer,
			  cl->loop->now_ms + PAUSE_MS);
		return false;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	rc = tap_attach(t, fd);
	if (!rc) {
		info_limited("accepted connection from PID %d",
			     (int)cred.pid);
		return true;
	}
	close(fd);
	if (rc == -EBUSY)
		warn_limited("PID %d was turned away, there is a client already",
			     (int)cred.pid);
	else
		warn_limited_rc(rc, "Couldn't take a client");
	return false;
}
