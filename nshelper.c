/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nshelper.c - Sockets of the namespace, made by a helper process in there
 *
 * A socket belongs to the network namespace of the process that makes it, and
 * the daemon stays in the host's one. So a helper lives in the other namespace
 * and serves these requests, in their order:
 *
 *	SOCKETS	kind, n		n new sockets	(SCM_RIGHTS)
 *	BIND	fd, address	bind it there	(a low port takes a capability)
 *	DIAG			a socket for the questions of sock_diag(7)
 *	NOTHING			an answer alone
 *
 * The daemon does all the rest: a socket stays in the namespace in which it was
 * made, no matter which process uses it.
 *
 * A connection must not wait for a round trip to another process, so the daemon
 * keeps a pool of sockets of each kind. When half of a pool is left it asks for
 * more, which arrive as an event. It waits, WAIT_MS at most, only if a pool
 * runs dry before that, and for the first socket of a kind: a daemon whose
 * connections need no such sockets keeps none open. If the helper does not
 * answer in time, for instance because it was stopped, the daemon does not wait
 * for it again until it has answered: otherwise each connection would hold up
 * all others.
 *
 * Requests and answers are datagrams of a socket pair (SOCK_SEQPACKET). Answers
 * come in the order of requests, and carry their number, since an answer may be
 * late. When the daemon ends, the socket ends and the helper exits. When the
 * helper ends, the daemon goes on with the sockets that it has: in its sandbox,
 * it can't start another helper.
 *
 * The helper closes its copies of sockets after it has sent them. Until then, a socket
 * that the daemon closes lives on: its port stays bound, and a search for listeners would
 * find it. The next answer tells that the copies are closed, so nshelper_settle() asks
 * for NOTHING and waits.
 *
 * The helper may bind low ports, and a daemon that was taken over must not bind those of the
 * host by it. So it compares the namespace of a socket that it gets with its own, by a number
 * of the kernel (SO_NETNS_COOKIE, Linux 5.14). Where an older kernel has none, and a capability
 * of the helper would count in the daemon's network namespace, too, it has none: see
 * netns_user_rules_ours().
 *
 * The helper survives all other errors. Above all, descriptors may not get
 * through: the kernel limits the descriptors in flight per user, and any
 * process of the user can use up the limit (ETOOMANYREFS). Then the answer has
 * the error and no descriptors. The daemon asks again after RETRY_MIN_MS, and
 * after twice as long each time, up to RETRY_MAX_MS. Callers that need a socket
 * meanwhile get the error, and nshelper_error_passes() tells them to wait for
 * the next event.
 */

#include "nshelper.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fdpass.h"
#include "hostsock.h"
#include "log.h"
#include "loop.h"
#include "util.h"

#define WAIT_MS		1000		/* for an answer */
#define START_MS	10000		/* for the first answer, at the start */
#define NOFILE_SHARE	64		/* a pool gets 1/64 of all open files */
#define RETRY_MIN_MS	50		/* after an error that may pass */
#define RETRY_MAX_MS	1000
#define NAP_MS		20		/* pause of the helper after an error */
#define ANSWERS		16		/* to take in a turn of the loop */
#define ERRNO_MAX	4095		/* of the kernel */
#define PROBE_PORT	9		/* discard; we only connect, and never send */

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE	71		/* asm-generic/socket.h, Linux 5.14 */
#endif

enum op { OP_SOCKETS, OP_BIND, OP_DIAG, OP_NOTHING };

/**
 * struct request - Message to the helper; OP_BIND comes with a descriptor
 * @seq:	Number, which the answer repeats
 * @op:		enum op
 * @kind, @n:	OP_SOCKETS: kind and number of sockets
 * @sa:		OP_BIND: address to bind to
 */
struct request {
	uint32_t seq, op, kind, n;
	union sockaddr_inany sa;
};

/**
 * struct answer - Message to the daemon, with descriptors
 * @seq, @op, @kind:	Copies from the request
 * @error:	0 or negative errno
 */
struct answer {
	uint32_t seq, op, kind;
	int32_t error;
};

static_assert(NSHELPER_POOL <= FDPASS_MAX, "a pool fits into one answer");

/* Both sides --------------------------------------------------------------- */

/*
 * Does an error mean that the other side has ended? Others, like ENOMEM, may
 * pass
 */
static bool is_end(int rc)
{
	return rc == -EPIPE || rc == -ECONNRESET || rc == -ENOTCONN ||
	       rc == -EBADF;
}

/* In the helper ------------------------------------------------------------ */

static int ns_socket_new(enum nssock kind)
{
	int family = kind == NSSOCK_TCP4 || kind == NSSOCK_UDP4 ? AF_INET :
								  AF_INET6;
	int type = kind == NSSOCK_TCP4 || kind == NSSOCK_TCP6 ? SOCK_STREAM :
								SOCK_DGRAM;

	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && type == SOCK_STREAM) {
		hostsock_no_lowat(fd);
		hostsock_stream_options(fd);
	}
	return fd;
}

/* Make as many sockets as possible; fail only if there is none */
/* #syscalls:nshelper socket setsockopt */
/* #args:nshelper socket 0 AF_INET AF_INET6 AF_NETLINK */
static int serve_sockets(const struct request *q, struct fdpass *f)
{
	while (f->n < q->n && f->n < NSHELPER_POOL) {
		int fd = ns_socket_new(q->kind);

		if (fd < 0)
			break;
		f->fd[f->n++] = fd;
	}
	return f->n ? 0 : -errno;
}

/* Get the number of a socket's namespace, 0: before Linux 5.14, or no socket */
/* #syscalls:nshelper getsockopt */
static uint64_t ns_number(int fd)
{
	socklen_t len = sizeof(uint64_t);
	uint64_t number = 0;

	getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &number, &len);
	return number;
}

/* Get the number of our own namespace */
static uint64_t ns_number_own(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t number = fd < 0 ? 0 : ns_number(fd);

	if (fd >= 0)
		close(fd);
	return number;
}

/**
 * nshelper_checks() - Will a helper know whether a socket is of its namespace?
 */
bool nshelper_checks(void)
{
	return ns_number_own();
}

/* #syscalls:nshelper bind */
static int serve_bind(const struct request *q, struct fdpass *f, uint64_t own)
{
	socklen_t len = q->sa.sa.sa_family == AF_INET ? sizeof(q->sa.sin) :
							sizeof(q->sa.sin6);
	int rc = -EBADF;

	if (f->n && ns_number(f->fd[0]) != own)
		rc = -EXDEV;
	else if (f->n)
		rc = bind(f->fd[0], &q->sa.sa, len) ? -errno : 0;
	fdpass_close(f);
	return rc;
}

static int serve_diag(struct fdpass *f)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
			NETLINK_SOCK_DIAG);

	if (fd < 0)
		return -errno;
	f->fd[f->n++] = fd;
	return 0;
}

/*
 * Send an answer; if its descriptors can't be sent, close them and send the
 * error
 */
/* #syscalls:nshelper poll ppoll */
static int reply(int fd, struct answer *a, struct fdpass *f)
{
	int rc;

	while ((rc = fdpass_send(fd, a, sizeof(*a), f, 0)) && !is_end(rc)) {
		if (rc == -EINTR)
			continue;
		if (!f->n)
			poll(NULL, 0, NAP_MS);
		else
			a->error = rc;
		fdpass_close(f);
	}
	fdpass_close(f);
	return rc;
}

/* Serve a request in the namespace with the number @own */
static void serve(const struct request *q, struct answer *a, struct fdpass *f,
		  uint64_t own)
{
	if (q->op != OP_BIND)
		fdpass_close(f);
	if (q->op == OP_SOCKETS)
		a->error = serve_sockets(q, f);
	else if (q->op == OP_BIND)
		a->error = serve_bind(q, f, own);
	else if (q->op == OP_DIAG)
		a->error = serve_diag(f);
}

/**
 * nshelper_run() - Be the helper: serve until the daemon ends
 * @fd:		Socket to the daemon, blocking
 *
 * Needs no other descriptor, and CAP_NET_BIND_SERVICE only for low ports.
 */
/* #syscalls:nshelper exit_group rt_sigreturn sigreturn */
_Noreturn void nshelper_run(int fd)
{
	/* Read once: later, there may be no descriptor for it */
	const uint64_t own = ns_number_own();
	struct request q;
	struct fdpass f;
	int rc;

	for (;;) {
		rc = fdpass_receive(fd, &q, sizeof(q), &f, 0);
		if (!rc) {
			struct answer a = { .seq = q.seq, .op = q.op,
					    .kind = q.kind };

			serve(&q, &a, &f, own);
			rc = reply(fd, &a, &f);
		} else if (rc != -EINTR && !is_end(rc)) {
			poll(NULL, 0, NAP_MS);
		}
		if (is_end(rc))
			_exit(0);
	}
}

/* In the daemon ------------------------------------------------------------ */

static int lost(struct nshelper *h)
{
	close(h->fd);
	h->fd = -1;
	wheel_cancel(&h->loop->wheel, &h->timer);
	err("The process that makes sockets in the namespace (pasta-ns) has "
	    "ended, nothing can replace it until a restart: no new ports are "
	    "bound there, local connections go over the tap");
	memset(h->asked, 0, sizeof(h->asked));
	h->late = false;
	h->bind_rc = -ENOTCONN;
	h->answers++;
	return -ENOTCONN;
}

/* nshelper_works() - Is there a helper in the namespace? @h may be NULL */
bool nshelper_works(const struct nshelper *h)
{
	return h && h->fd >= 0;
}

/**
 * nshelper_error_passes() - Does it make sense to ask again later?
 * @rc:		Negative errno from a function of this file
 */
bool nshelper_error_passes(int rc)
{
	switch (-rc) {
	case ETOOMANYREFS: case ENOBUFS: case ENOMEM: case EMFILE: case ENFILE:
	case EAGAIN: case EINTR: case ETIMEDOUT:
		return true;
	}
	return false;
}

/*
 * Note that a request for sockets failed with @rc, arm the timer to ask again
 */
static void failed(struct nshelper *h, enum nssock kind, int rc)
{
	h->error[kind] = rc;
	if (!nshelper_error_passes(rc) || timer_armed(&h->timer))
		return;
	if (!h->wait_ms)
		warn_limited_rc(rc, "No new sockets of the namespace for now%s",
				rc != -ETOOMANYREFS ? "" :
				" (another process of this user has too many "
				"file descriptors in flight)");
	h->wait_ms = h->wait_ms ? h->wait_ms * 2 : RETRY_MIN_MS;
	if (h->wait_ms > RETRY_MAX_MS)
		h->wait_ms = RETRY_MAX_MS;
	wheel_arm(&h->loop->wheel, &h->timer, h->loop->now_ms + h->wait_ms);
}

/* Number a request and send it, without waiting */
static int send_request(struct nshelper *h, struct request *q,
			const struct fdpass *f)
{
	int rc;

	if (h->fd < 0)
		return -ENOTCONN;
	q->seq = h->seq + 1;
	rc = fdpass_send(h->fd, q, sizeof(*q), f, MSG_DONTWAIT);
	h->seq += !rc;			/* an unsent request gets no answer */
	return is_end(rc) ? lost(h) : rc;
}

/* Put received sockets into their pool */
static void stash(struct nshelper *h, const struct answer *a, struct fdpass *f)
{
	if (a->kind >= NSSOCK_KINDS)
		return;
	h->asked[a->kind] = false;
	h->error[a->kind] = 0;
	if (f->n)
		h->wait_ms = 0;
	else				/* no error: we had no free descriptors */
		failed(h, a->kind, a->error ? a->error : -EMFILE);
	while (f->n && h->n[a->kind] < NSHELPER_POOL)
		h->pool[a->kind][h->n[a->kind]++] = f->fd[--f->n];
}

/* Error of an answer. A helper under attack must not make a descriptor of ours of it */
static int answer_error(const struct answer *a)
{
	bool sane = a->error <= 0 && a->error >= -ERRNO_MAX &&
		    a->error != -EINPROGRESS;

	return sane ? a->error : -EPROTO;
}

/*
 * Receive an answer if there is one; sockets for a pool go there, not into @f
 */
static int take_answer(struct nshelper *h, struct answer *a,
		       struct fdpass *f)
{
	int rc;

	if (h->fd < 0)
		return -ENOTCONN;
	rc = fdpass_receive(h->fd, a, sizeof(*a), f, MSG_DONTWAIT);
	if (rc)
		return is_end(rc) ? lost(h) : -EAGAIN;
	a->error = answer_error(a);
	h->ready = true;
	h->late = false;
	h->copies = a->op == OP_SOCKETS;
	h->answers++;
	if (a->op == OP_BIND && a->seq == h->bind_seq)
		h->bind_rc = a->error;
	if (a->op == OP_SOCKETS)
		stash(h, a, f);
	return 0;
}

static int64_t wait_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * Wait for the answer to request @seq, WAIT_MS at most, no matter how many others come
 */
/* #syscalls:pasta poll ppoll */
static int await(struct nshelper *h, uint32_t seq, struct fdpass *f)
{
	int64_t now = wait_clock(), end = now + (h->ready ? WAIT_MS : START_MS);
	struct pollfd pfd = { .fd = h->fd, .events = POLLIN };
	struct answer a;
	int rc;

	for (; now < end; now = wait_clock()) {
		rc = take_answer(h, &a, f);
		if (!rc && a.seq == seq)
			return a.error;
		if (!rc)
			fdpass_close(f);	/* late: its caller gave up */
		else if (rc != -EAGAIN)
			return rc;
		else if (h->late || !poll(&pfd, 1, (int)(end - now)))
			break;
	}
	h->late = true;
	return -ETIMEDOUT;
}

/* Ask for sockets to fill a pool, unless we have asked */
static int refill(struct nshelper *h, enum nssock kind)
{
	struct request q = { .op = OP_SOCKETS, .kind = kind,
			     .n = h->max - h->n[kind] };
	const struct fdpass none = { .n = 0 };
	int rc;

	if (h->asked[kind])
		return 0;
	rc = send_request(h, &q, &none);
	h->asked[kind] = !rc;
	if (rc)
		failed(h, kind, rc);
	return rc;
}

/* Get at least one socket into a pool now; the last answer decides */
static int refill_now(struct nshelper *h, enum nssock kind)
{
	struct fdpass f = { .n = 0 };
	int rc = refill(h, kind);

	if (!rc)
		rc = await(h, h->seq, &f);
	fdpass_close(&f);
	if (h->n[kind])
		return 0;
	return rc ? rc : -EMFILE;
}

/**
 * nshelper_start() - Take over the socket to a helper
 * @h:		Set
 * @fd:		Socket; -1: there is no helper, all requests fail with -ENOTCONN
 * @l:		Gets an event and a timer of kind REF_NSHELPER
 * @fds:	Limit of open files, which bounds the pools
 *
 * Return: 0 or negative errno
 */
int nshelper_start(struct nshelper *h, int fd, struct loop *l, unsigned fds)
{
	const union epoll_ref ref = { .kind = REF_NSHELPER };

	*h = (struct nshelper){
		.fd = fd, .max = NSHELPER_POOL, .probe = { -1, -1 }, .bind_fd = -1,
		.loop = l, .timer.ref = ref,
	};
	if (fd < 0)
		return 0;
	if (fds / NOFILE_SHARE < NSHELPER_POOL)
		h->max = fds / NOFILE_SHARE + 1;
	return loop_add(l, fd, EPOLLIN, ref);
}

/* Take a socket from a pool that is not empty, and ask for more in time */
static int pool_take(struct nshelper *h, enum nssock kind)
{
	int fd = h->pool[kind][--h->n[kind]];

	if (h->n[kind] <= h->max / 2)
		refill(h, kind);	/* the next call reports an error */
	return fd;
}

/**
 * nshelper_socket() - Get a new socket of the namespace
 * @h:		From nshelper_start()
 * @kind:	Family and protocol
 *
 * Return: unbound, non-blocking, close-on-exec descriptor, now the caller's; or
 * negative errno: -ENOTCONN if there is no helper, or the error of socket().
 * After one that nshelper_error_passes(), the next event may bring sockets
 */
int nshelper_socket(struct nshelper *h, enum nssock kind)
{
	int rc;

	if (!h->n[kind]) {
		if (h->error[kind] && timer_armed(&h->timer))
			return h->error[kind];
		rc = refill_now(h, kind);
		if (rc)
			return rc;
	}
	return pool_take(h, kind);
}

/**
 * nshelper_take() - Get a new socket of the namespace without waiting
 * @h:		From nshelper_start()
 * @kind:	Family and protocol
 *
 * Return: as of nshelper_socket(), or -EINPROGRESS: call again after the next event
 */
int nshelper_take(struct nshelper *h, enum nssock kind)
{
	int rc;

	if (h->n[kind])
		return pool_take(h, kind);
	rc = h->asked[kind] ? 0 : h->error[kind];
	if (rc && !timer_armed(&h->timer))
		h->error[kind] = 0;	/* told once, then we ask again */
	if (!rc)
		rc = refill(h, kind);
	if (rc)
		return rc;
	return h->late ? -ETIMEDOUT : -EINPROGRESS;
}

/**
 * nshelper_bind() - Bind a socket of the namespace, to a low port too
 * @h:		From nshelper_start()
 * @fd:		Socket of the namespace, stays the caller's
 * @sa:		Address and port
 *
 * Needed only if the daemon itself may not bind it: bind() costs less.
 *
 * Return: 0 or negative errno: the error of bind(), or as for nshelper_socket()
 */
int nshelper_bind(struct nshelper *h, int fd, const union sockaddr_inany *sa)
{
	struct request q = { .op = OP_BIND, .sa = *sa };
	struct fdpass f = { .n = 1, .fd = { fd } };
	int rc = send_request(h, &q, &f);

	f.n = 0;
	if (!rc)
		rc = await(h, q.seq, &f);
	fdpass_close(&f);
	return rc;
}

/**
 * nshelper_bind_start() - Bind a socket like nshelper_bind(), without waiting
 * @h:		From nshelper_start(), not nshelper_is_binding()
 * @fd:		Socket of the namespace
 * @sa:		Address and port
 *
 * Return: -EINPROGRESS: @fd is ours until nshelper_bind_end(); other negative errno
 */
int nshelper_bind_start(struct nshelper *h, int fd,
			const union sockaddr_inany *sa)
{
	struct request q = { .op = OP_BIND, .sa = *sa };
	const struct fdpass f = { .n = 1, .fd = { fd } };
	int rc = h->late ? -ETIMEDOUT : send_request(h, &q, &f);

	if (rc)
		return rc;
	h->bind_fd = fd;
	h->bind_seq = q.seq;
	h->bind_rc = -EINPROGRESS;
	return h->bind_rc;
}

/**
 * nshelper_bind_end() - Get the result of nshelper_bind_start()
 * @h:		From nshelper_start()
 * @fd:		Set to the socket, which is the caller's again
 *
 * Return: 0; -EINPROGRESS: not yet, @fd is not set; other negative errno
 */
int nshelper_bind_end(struct nshelper *h, int *fd)
{
	if (h->bind_rc == -EINPROGRESS)
		return h->bind_rc;
	*fd = h->bind_fd;
	h->bind_fd = -1;
	return h->bind_rc;
}

/* nshelper_is_binding() - Is there a result to be had? @h may be NULL */
bool nshelper_is_binding(const struct nshelper *h)
{
	return h && h->bind_fd >= 0;
}

/**
 * nshelper_give_up() - Wait no longer for an answer, until the helper is awake again
 * @h:		From nshelper_start()
 */
void nshelper_give_up(struct nshelper *h)
{
	h->late = true;
	h->answers++;
	if (h->bind_rc == -EINPROGRESS)
		h->bind_rc = -ETIMEDOUT;
}

/**
 * nshelper_diag() - Get a sock_diag(7) socket of the namespace
 * @h:		From nshelper_start()
 *
 * Return: non-blocking descriptor, now the caller's, or negative errno as for
 * nshelper_socket()
 */
int nshelper_diag(struct nshelper *h)
{
	struct request q = { .op = OP_DIAG };
	struct fdpass f = { .n = 0 };
	int rc = send_request(h, &q, &f);

	if (!rc)
		rc = await(h, q.seq, &f);
	if (!rc)			/* a helper under attack may send more */
		rc = f.n ? f.fd[--f.n] : -EMFILE;
	fdpass_close(&f);
	return rc;
}

/**
 * nshelper_settle() - Wait until the helper has closed its copies of sockets
 * @h:		From nshelper_start(), NULL: there is no helper
 */
void nshelper_settle(struct nshelper *h)
{
	struct request q = { .op = OP_NOTHING };
	struct fdpass f = { .n = 0 };

	if (!h || !h->copies || send_request(h, &q, &f))
		return;
	await(h, q.seq, &f);
	fdpass_close(&f);
}

/* Connect the probe socket of a family to @a */
/* #syscalls:pasta connect */
static int probe_connect(struct nshelper *h, const union inany *a,
			 unsigned scope)
{
	static const struct sockaddr none = { .sa_family = AF_UNSPEC };
	bool v6 = !inany_is_v4(a);
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(a, PROBE_PORT, scope, &sa);

	if (h->probe[v6] < 0)
		h->probe[v6] = nshelper_socket(h, v6 ? NSSOCK_UDP6 :
						       NSSOCK_UDP4);
	if (h->probe[v6] < 0)
		return h->probe[v6];
	/* Forget the last source address, else the kernel takes it again */
	(void)connect(h->probe[v6], &none, sizeof(none));
	return connect(h->probe[v6], &sa.sa, len) ? -errno : 0;
}

/*
 * Is @a an address of the namespace? Ask for the source of a socket connected
 * to it
 */
/* #syscalls:pasta getsockname */
static bool is_assigned(struct nshelper *h, const union inany *a,
			unsigned scope)
{
	union sockaddr_inany sa;
	socklen_t len = sizeof(sa);
	union inany own;
	uint16_t port;

	if (probe_connect(h, a, scope) ||
	    getsockname(h->probe[!inany_is_v4(a)], &sa.sa, &len) ||
	    !inany_from_sockaddr(&sa, &own, &port))
		return false;
	return inany_equals(&own, a);
}

/**
 * nshelper_is_local() - Is a connection or datagram from the namespace itself?
 * @h:		From nshelper_start(), NULL: there is no helper
 * @src:	Source address, as received by a socket of the namespace
 * @dst:	Destination address; may be unset
 * @scope:	Interface of a link-local @src
 *
 * A packet to one of the kernel's own addresses has, by default, that address
 * as its source, too. The kernel drops packets from outside with a loopback
 * source, and IPv4 ones with any of its own addresses.
 *
 * A program may also have chosen another source address, or connect to a
 * secondary address. Then connect a socket to @src and look at its source
 * address: it is @src itself if, and only if, @src is an address of that
 * kernel. Unlike bind(), this does not depend on ip_nonlocal_bind.
 *
 * To bind the listeners to the loopback device would be too strict: the kernel
 * counts connections to the namespace's other addresses as received elsewhere.
 * For UDP over IPv6, where a source can be forged, the listening sockets have a
 * filter as well, see listen_sock.c.
 */
bool nshelper_is_local(struct nshelper *h, const union inany *src,
		       const union inany *dst, unsigned scope)
{
	if (inany_is_loopback(src) || inany_equals(src, dst))
		return true;
	return h && is_assigned(h, src, scope);
}

/**
 * nshelper_event() - Handle an event: sockets for a pool, or the helper's end
 * @h:		From nshelper_start()
 *
 * Return: true if the helper is awake again, or has ended, after requests that were
 * given up
 */
bool nshelper_event(struct nshelper *h)
{
	bool late = h->late;
	unsigned n = ANSWERS;
	struct answer a;
	struct fdpass f;

	while (n-- && !take_answer(h, &a, &f))
		fdpass_close(&f);
	return late && !h->late;
}

/**
 * nshelper_timer() - Ask again for sockets after an error
 * @h:		From nshelper_start()
 */
void nshelper_timer(struct nshelper *h)
{
	unsigned kind;

	for (kind = 0; kind < NSSOCK_KINDS; kind++) {
		if (nshelper_error_passes(h->error[kind]))
			refill(h, kind);
	}
}
