/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Give the daemon any answers of pasta-ns, as one that an attacker has taken over would: it
 * never waits for long, no descriptor is lost or closed twice, and none is made up
 *
 * Input: calls (enum call); answers follow where the daemon reads one, see calls.h.
 */

#include "../../nshelper.h"

#include <sys/epoll.h>

#include "calls.h"
#include "log.h"

#define OWN_MOST	64		/* sockets that the caller keeps at a time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum call { CALL_EVENT, CALL_SOCKET, CALL_TAKE, CALL_BIND, CALL_BIND_START, CALL_DIAG,
	    CALL_SETTLE, CALL_TIMER, CALLS };

static struct nshelper h;
static struct loop loop;
static int own[OWN_MOST];
static unsigned owned;

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	(void)epfd;
	(void)op;
	(void)fd;
	(void)ev;
	return 0;
}

/* @fd was given to the caller: it is a socket that came, or an error */
static void keep(int fd)
{
	if (fd < 0)
		return;
	assert(is_open(fd));
	if (owned == OWN_MOST)
		close(own[--owned]);
	own[owned++] = fd;
}

static void bind_now(void)
{
	union sockaddr_inany sa = { .sin = { .sin_family = AF_INET } };

	if (owned)
		nshelper_bind(&h, own[0], &sa);
}

static void bind_later(void)
{
	union sockaddr_inany sa = { .sin = { .sin_family = AF_INET } };
	int fd;

	if (nshelper_is_binding(&h)) {
		if (byte() & 1)
			nshelper_give_up(&h);
		if (nshelper_bind_end(&h, &fd) != -EINPROGRESS)
			keep(fd);
	} else if (owned && nshelper_bind_start(&h, own[owned - 1], &sa) == -EINPROGRESS) {
		owned--;
	}
}

static void call(void)
{
	enum call which = byte() % CALLS;
	enum nssock kind = byte() % NSSOCK_KINDS;

	switch (which) {
	case CALL_EVENT:	nshelper_event(&h); break;
	case CALL_SOCKET:	keep(nshelper_socket(&h, kind)); break;
	case CALL_TAKE:		keep(nshelper_take(&h, kind)); break;
	case CALL_BIND:		bind_now(); break;
	case CALL_BIND_START:	bind_later(); break;
	case CALL_DIAG:		keep(nshelper_diag(&h)); break;
	case CALL_SETTLE:	nshelper_settle(&h); break;
	case CALL_TIMER:	nshelper_timer(&h); break;
	case CALLS:		break;
	}
}

/* Every descriptor that is open has an owner */
static void check_owners(void)
{
	unsigned kind, n = owned + nshelper_is_binding(&h);

	for (kind = 0; kind < NSSOCK_KINDS; kind++) {
		assert(h.n[kind] <= NSHELPER_POOL);
		for (unsigned i = 0; i < h.n[kind]; i++)
			assert(is_open(h.pool[kind][i]));
		n += h.n[kind];
	}
	assert(n == fds_open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 1000)
		return 0;
	log_detach();
	calls_reset();
	owned = 0;
	input_set(data, size);
	wheel_init(&loop.wheel, 1);
	assert(!nshelper_start(&h, SOCKET, &loop, 2048));
	while (left) {
		call();
		check_owners();
	}
	return 0;
}
