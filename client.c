/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client.c - The UNIX socket that a virtual machine connects to
 *
 * There is one client at a time. A second one is accepted and closed at once,
 * so that it does not wait in vain. The socket stays when the client leaves, so
 * that a restarted qemu can connect again.
 *
 * A path may be left over from a daemon that has ended, see sockpath.c:
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
#include <sys/epoll.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "sockpath.h"
#include "tap.h"
#include "util.h"

#define PATH_FORMAT	"/tmp/passt_%d.socket"
#define PATHS		64
#define BACKLOG		4
#define PAUSE_MS	100		/* without free descriptors */

/* Listen at the first of the default paths that is free, and set @path to it */
static int listen_first_free(char path[SOCKPATH_LEN], mode_t mode)
{
	int i, fd = -EADDRINUSE;

	for (i = 1; i <= PATHS; i++) {
		snprintf(path, SOCKPATH_LEN, PATH_FORMAT, i);
		fd = sockpath_listen(path, BACKLOG, mode);
		/* Skip sockets in use, and stale ones of other users */
		if (fd != -EADDRINUSE && fd != -EPERM && fd != -EACCES)
			break;
	}
	return fd;
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
 *		socket_mode; vhost_user: for messages
 *
 * To be called with the user's rights, before the sandbox.
 *
 * Return: 0, or negative errno after a message
 */
int client_listen(struct client *cl, const struct conf *c)
{
	int fd;

	cl->path[0] = 0;
	if (c->sock_path) {
		util_strcpy(cl->path, sizeof(cl->path), c->sock_path);
		fd = sockpath_listen(c->sock_path, BACKLOG, c->socket_mode);
	} else {
		fd = listen_first_free(cl->path, c->socket_mode);
	}
	cl->fd = fd < 0 ? -1 : fd;
	if (fd >= 0) {
		tell(c, cl->path);
		return 0;
	}
	if (fd == -EADDRINUSE && c->sock_path)
		err("Socket path %s already in use", c->sock_path);
	else if (fd == -EADDRINUSE)
		err("Socket paths /tmp/passt_1.socket to _64 are all in use");
	else
		err_rc(fd, "Couldn't bind UNIX socket %s", cl->path);
	return fd;
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
/* #syscalls:passt close */
bool client_accept(struct client *cl, struct tap *t)
{
	struct sockpath_peer peer;
	char name[SOCKPATH_PEERLEN];
	int fd = sockpath_accept(cl->fd, &peer), rc;

	if (fd == -EAGAIN || fd == -ECONNABORTED || fd == -EINTR)
		return false;
	if (fd < 0) {
		warn_limited_rc(fd, "Couldn't accept a client for now");
		loop_mod(cl->loop, cl->fd, 0, client_ref);
		wheel_arm(&cl->loop->wheel, &cl->timer,
			  cl->loop->now_ms + PAUSE_MS);
		return false;
	}
	rc = tap_attach(t, fd);
	if (!rc) {
		info_limited("accepted connection from %s",
			     sockpath_peer_str(&peer, name));
		return true;
	}
	close(fd);
	if (rc == -EBUSY)
		warn_limited("%s was turned away, there is a client already",
			     sockpath_peer_str(&peer, name));
	else
		warn_limited_rc(rc, "Couldn't take a client");
	return false;
}
