/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_splice.c - TCP between the host and the namespace without a tap
 *
 * A connection between two programs of this machine has two sockets here: one that
 * was accepted (side INI), and one that we connect on the other side of the
 * namespace's border (TGT). Data goes from one to the other, each direction on its
 * own:
 *
 *	small data	recv() into a buffer, send(): two calls for one message
 *	bulk		splice() through a pipe that is empty before and after, once
 *			a recv() has filled the buffer
 *	the rest	data that the other socket did not take waits in the pipe, which
 *			stays with the direction until it is empty again
 *
 * Pipes are lent: a connection that is idle, or has a fast reader, has none,
 * so that it costs two descriptors. There are at most TCP_SPLICE_PIPES of them.
 * If there is no pipe, data is peeked, and taken from its socket only as far as the
 * other socket took it: slower, but nothing is lost and nothing has to wait.
 *
 * No wake-up is lost. Sockets are watched edge-triggered for all events,
 * and each direction remembers two edges:
 *
 *	readable	set by EPOLLIN, EPOLLRDHUP and errors; cleared by EAGAIN, by
 *			the end of the stream, or by a recv() that came back short
 *			(not after EPOLLRDHUP, as the end is still to be read, and not
 *			with urgent data, at which a recv() stops)
 *	writable	set by EPOLLOUT; cleared when a socket took less than it was
 *			given. EPOLLOUT is then armed again with EPOLL_CTL_MOD, which
 *			checks the socket once more, now that the kernel knows that we
 *			wait for room
 *
 * A direction goes on while both are set. If its turn ends before, it goes to the
 * ready list.
 *
 * If a connection to a loopback address is refused on the other side, the next address
 * that may be meant is tried, see fwd_targets(). Data that the client has sent by then
 * waits in the pipe.
 *
 * If the namespace has no socket left for the moment (see nshelper.c), an accepted
 * connection waits for the next one, WAIT_MS at most.
 *
 * A FIN stays a FIN: at the end of one stream, once all data before it was written,
 * the other socket is shut down. A RST stays a RST: an error of either socket closes
 * both with SO_LINGER 0. The kernel keeps data that a socket received before a reset.
 * So the other socket first sends all of that, as long as there is progress and no
 * other flow needs the room. Data that comes from it meanwhile is dropped: a program
 * that reads only after its upload would never read.
 */

#include "tcp_splice.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "counters.h"
#include "fwd.h"
#include "hostsock.h"
#include "inany.h"
#include "log.h"
#include "loop.h"
#include "nshelper.h"

#define SPLICE_EVENTS	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)
#define TURN_BYTES	(1U << 20)	/* per direction and turn */
#define BULK_MIN	(32U << 10)	/* less is not worth a splice() */
#define WAIT_MS		10000		/* for a socket of the namespace */
#define LINGER_MS	(60 * 1000ULL)	/* without progress, then a reset */
#define POLL_MAX_MS	512		/* how often to look for progress */
#define MEMORY_MS	10		/* until a read that lacked memory is repeated */

/**
 * struct splice_dir - One direction of a connection
 * @pipe:	Pipe that holds @held bytes, if @held is not 0
 * @readable, @writable:	See above
 * @rdhup:	EPOLLRDHUP was reported for the socket that is read
 * @urgent:	Urgent data has arrived there
 * @bulk:	Try splice() before recv()
 * @eof:	The end of the stream was read
 * @fin:	The end was passed on by shutdown()
 * @fin_first:	The end came before the error of the socket that is read
 */
struct splice_dir {
	struct splice_pipe pipe;
	uint32_t held;
	bool readable, writable, rdhup, urgent, bulk, eof, fin, fin_first;
};

/**
 * struct splice_conn - Private state of a flow
 * @sock:	Sockets, by side
 * @dir:	Directions, by the side that is read
 * @other:	Addresses to try after a refusal, unset: none
 * @connected:	The socket of TGT is connected
 * @waiting:	There is no socket for TGT yet, and none is watched
 * @failed:	The socket has an error, by side
 * @left:	Bytes still to be sent before a reset, when last seen
 * @poll_ms:	Interval until @left is looked at again, ms
 * @give_up:	Time of the reset if there is no progress, ms
 */
struct splice_conn {
	int sock[2];
	struct splice_dir dir[2];
	union inany other[FWD_TARGETS - 1];
	bool connected, waiting, failed[2];
	uint16_t poll_ms;
	uint32_t left;
	uint64_t give_up;
};
static_assert(sizeof(struct splice_conn) <= FLOW_PRIV, "state of a flow");

static struct splice_conn *splice_conn(struct flow *f)
{
	return (struct splice_conn *)(void *)f->priv;
}

static void trace_flow(const struct tcp_splice *s, const struct flow *f,
		       const char *what)
{
	char buf[FLOW_STRLEN];

	debug("%s: bypass, %s", flow_str(s->flows, f, buf), what);
}

/* Pipes ------------------------------------------------------------------ */

/* Get a spare pipe, so that all that recv() takes can be kept */
/* #syscalls:pasta pipe2 fcntl close */
/* #args:pasta fcntl 1 F_SETPIPE_SZ F_GETPIPE_SZ */
static bool pipe_at_hand(struct tcp_splice *s)
{
	int fd[2];

	if (s->nspare)
		return true;
	if (s->pipes >= TCP_SPLICE_PIPES || pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return false;
	/* Users with many pipes get small ones: these are of no use */
	fcntl(fd[1], F_SETPIPE_SZ, TCP_SPLICE_PIPE_BYTES);
	if (fcntl(fd[1], F_GETPIPE_SZ) < (int)TCP_SPLICE_BUF) {
		close(fd[0]);
		close(fd[1]);
		return false;
	}
	s->spare[s->nspare++] = (struct splice_pipe){ fd[0], fd[1] };
	s->pipes++;
	return true;
}

static struct splice_pipe pipe_take(struct tcp_splice *s)
{
	return s->spare[--s->nspare];
}

/* pipe_return() - Give a pipe back; if it is @empty, it can be used again */
static void pipe_return(struct tcp_splice *s, struct splice_pipe p, bool empty)
{
	if (empty && s->nspare < TCP_SPLICE_SPARE) {
		s->spare[s->nspare++] = p;
		return;
	}
	close(p.rd);
	close(p.wr);
	s->pipes--;
}

/* The end ---------------------------------------------------------------- */

/* #syscalls:pasta close */
static void close_socket(int fd, bool rst)
{
	if (fd < 0)
		return;
	if (rst)
		hostsock_reset(fd);
	else
		close(fd);
}

static void end_flow(struct tcp_splice *s, struct flow *f, bool rst,
		     const char *why)
{
	struct splice_conn *c = splice_conn(f);
	unsigned side;

	trace_flow(s, f, why);
	for (side = 0; side < 2; side++) {
		close_socket(c->sock[side], rst);
		if (c->dir[side].held)
			pipe_return(s, c->dir[side].pipe, false);
	}
	s->waiting -= c->waiting;
	flow_free(s->flows, s->loop, f);
}

/**
 * tcp_splice_evict() - Evict a connection: both sides get a reset
 * @ctx:	Bypassed connections
 * @f:		The flow
 */
void tcp_splice_evict(void *ctx, struct flow *f)
{
	struct tcp_splice *s = ctx;

	end_flow(s, f, true, "gives way to others");
}

/**
 * tcp_splice_kill() - End a connection on request, by a RST to both ends
 * @ctx:	Bypassed connections
 * @f:		The flow, in any state
 *
 * Return: 0
 */
int tcp_splice_kill(void *ctx, struct flow *f)
{
	struct tcp_splice *s = ctx;

	end_flow(s, f, true, "killed");
	return 0;
}

/**
 * tcp_splice_state() - Name the state of a connection
 * @f:		The flow
 * @s:		Set
 */
void tcp_splice_state(const struct flow *f, struct flow_state *s)
{
	const struct splice_conn *c = (const void *)f->priv;

	s->sock = c->sock[INI];
	if (c->failed[INI] || c->failed[TGT] || c->dir[INI].eof || c->dir[TGT].eof)
		s->name = "CLOSING";
	else
		s->name = c->connected ? "ESTABLISHED" : "CONNECTING";
}

/* Data ------------------------------------------------------------------- */

/*
 * side_failed() - Note an error of a socket: it is still read to its end
 * @error:	Positive errno; the kernel reports EPIPE if a FIN came before a reset
 */
static void side_failed(struct splice_conn *c, unsigned side, int error)
{
	struct splice_dir *d = &c->dir[side];

	if (c->failed[side])
		return;
	c->failed[side] = true;
	d->fin_first = d->eof || error == EPIPE;
	d->readable = d->rdhup = true;
	c->left = UINT32_MAX;
}

/* wait_for_room() - Wait for EPOLLOUT: the socket took less than it was given */
static void wait_for_room(struct tcp_splice *s, struct flow *f, unsigned from)
{
	struct splice_conn *c = splice_conn(f);

	c->dir[from].writable = false;
	loop_mod(s->loop, c->sock[!from], SPLICE_EVENTS, flow_ref(f, !from));
}

static bool is_again(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOBUFS ||
	       error == ENOMEM;
}

/* splice_drain() - Empty the pipe into the socket: 0, negative errno if that failed */
/* #syscalls:pasta splice */
static int splice_drain(struct tcp_splice *s, struct flow *f, unsigned from)
{
	struct splice_conn *c = splice_conn(f);
	struct splice_dir *d = &c->dir[from];
	ssize_t n;

	while (d->held && d->writable) {
		n = splice(d->pipe.rd, NULL, c->sock[!from], NULL, d->held,
			   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n > 0) {
			d->held -= n;
			if (!d->held)
				pipe_return(s, d->pipe, true);
		} else if (!n || is_again(errno)) {
			wait_for_room(s, f, from);
		} else {
			int error = errno;

			side_failed(c, !from, error);
			return -error;
		}
	}
	return 0;
}

/* was_read() - Update readable and eof after reading @n of @want bytes */
static void was_read(struct splice_dir *d, ssize_t n, size_t want)
{
	if (!n)
		d->eof = true;
	if (!n || ((size_t)n < want && !d->rdhup && !d->urgent))
		d->readable = false;
}

/* send_some() - Send from the buffer: bytes taken, or negative errno if that failed */
/* #syscalls:pasta sendto */
static ssize_t send_some(struct tcp_splice *s, struct flow *f, unsigned from,
			 size_t len)
{
	ssize_t n = send(splice_conn(f)->sock[!from], s->buf, len,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && !is_again(errno)) {
		int error = errno;

		side_failed(splice_conn(f), !from, error);
		return -error;
	}
	if (n < 0)
		n = 0;
	if ((size_t)n < len)
		wait_for_room(s, f, from);
	return n;
}

/*
 * move_careful() - Move data without a pipe: take only as much as can be sent
 *
 * Return: bytes moved, or negative errno
 */
/* #syscalls:pasta recvfrom */
static ssize_t move_careful(struct tcp_splice *s, struct flow *f, unsigned from)
{
	struct splice_conn *c = splice_conn(f);
	struct splice_dir *d = &c->dir[from];
	ssize_t n, sent;

	s->stats.no_pipe++;
	n = recv(c->sock[from], s->buf, sizeof(s->buf), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	sent = send_some(s, f, from, n);
	if (sent < 0)
		return sent;
	if (sent && recv(c->sock[from], NULL, sent,
			 MSG_TRUNC | MSG_DONTWAIT) != sent)
		return -EIO;
	if (sent == n)
		was_read(d, n, sizeof(s->buf));
	return sent;
}

/* move_small() - Move data through the buffer: bytes moved, or negative errno */
/* #syscalls:pasta recvfrom write */
static ssize_t move_small(struct tcp_splice *s, struct flow *f, unsigned from)
{
	struct splice_conn *c = splice_conn(f);
	struct splice_dir *d = &c->dir[from];
	ssize_t n, sent;

	if (!pipe_at_hand(s))
		return move_careful(s, f, from);
	n = recv(c->sock[from], s->buf, sizeof(s->buf), MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	was_read(d, n, sizeof(s->buf));
	if (!n)
		return 0;
	d->bulk = (size_t)n == sizeof(s->buf) && !d->urgent;
	sent = send_some(s, f, from, n);
	if (sent < 0 || sent == n)
		return sent;

	d->pipe = pipe_take(s);
	d->held = n - sent;
	if (write(d->pipe.wr, s->buf + sent, d->held) != (ssize_t)d->held) {
		side_failed(c, !from, EIO);	/* it was empty and large enough */
		return -EIO;
	}
	return n;
}

/* move_bulk() - Through a pipe: bytes moved, or negative errno */
/* #syscalls:pasta splice */
static ssize_t move_bulk(struct tcp_splice *s, struct flow *f, unsigned from)
{
	struct splice_conn *c = splice_conn(f);
	struct splice_dir *d = &c->dir[from];
	ssize_t n;
	int rc;

	if (!pipe_at_hand(s))
		return move_careful(s, f, from);
	d->pipe = pipe_take(s);
	n = splice(c->sock[from], NULL, d->pipe.wr, NULL, TCP_SPLICE_PIPE_BYTES,
		   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n <= 0) {
		rc = -errno;
		pipe_return(s, d->pipe, true);
		if (n < 0)
			return rc;
		d->bulk = false;	/* the end, or urgent data: recv() next */
		return 0;
	}
	if (n < (ssize_t)BULK_MIN)
		d->bulk = false;
	d->held = n;
	rc = splice_drain(s, f, from);
	return rc ? rc : n;
}

/* pass_fin() - Pass on the end of a stream, unless a reset cut it short */
/* #syscalls:pasta shutdown */
static void pass_fin(struct splice_conn *c, unsigned from)
{
	struct splice_dir *d = &c->dir[from];

	if (!d->eof || d->held || d->fin || (c->failed[from] && !d->fin_first))
		return;
	d->fin = true;
	if (!c->dir[!from].fin || c->failed[from])	/* else both are closed now */
		shutdown(c->sock[!from], SHUT_WR);
}

/* Count bytes that one side has sent */
static void splice_count(struct tcp_splice *s, struct flow *f, unsigned from,
			 uint32_t bytes)
{
	flow_count(s->flows, f, f->pif[from] == PIF_HOST ? TO_GUEST : FROM_GUEST,
		   bytes, s->loop->now_ms);
}

/*
 * move_turn() - Move data in one direction, one turn's worth
 * @done:	Counts bytes
 *
 * Return: false if there is more to do, or the other socket has failed
 */
static bool move_turn(struct tcp_splice *s, struct flow *f, unsigned from,
		      uint32_t *done)
{
	struct splice_conn *c = splice_conn(f);
	struct splice_dir *d = &c->dir[from];
	ssize_t n;

	while (d->readable && d->writable && !d->eof) {
		if (*done >= TURN_BYTES) {
			flow_list_push(s->flows, &s->ready, f);
			return false;
		}
		n = d->bulk && !d->urgent ? move_bulk(s, f, from) :
					    move_small(s, f, from);
		if (n == -EAGAIN) {
			d->readable = false;
			break;
		}
		if (n == -EINTR)
			continue;
		if ((n == -ENOMEM || n == -ENOBUFS) && !c->failed[!from]) {
			wheel_arm(&s->loop->wheel, &f->timer,
				  s->loop->now_ms + MEMORY_MS);
			break;
		}
		if (n < 0) {
			if (c->failed[!from])
				return false;
			side_failed(c, from, -n);
			d->eof = true;	/* the error comes after all data */
			break;
		}
		*done += n;
	}
	return true;
}

/* move() - Move and count data in one direction, and pass on its end */
static void move(struct tcp_splice *s, struct flow *f, unsigned from)
{
	struct splice_conn *c = splice_conn(f);
	uint32_t done = 0;

	if (c->failed[!from] || splice_drain(s, f, from))
		return;
	if (move_turn(s, f, from, &done))
		pass_fin(c, from);
	if (done)
		splice_count(s, f, from, done);
}

/*
 * bytes_left() - Bytes received from a failed side that are not sent yet
 *
 * Those that can't be read, because reading failed itself, do not count.
 */
/* #syscalls:pasta ioctl */
/* #args:pasta ioctl 1 SIOCINQ SIOCOUTQNSD */
static uint32_t bytes_left(const struct splice_conn *c, unsigned from)
{
	int queued = 0, unsent = 0;

	if (c->dir[from].eof || ioctl(c->sock[from], SIOCINQ, &queued) || queued < 0)
		queued = 0;
	if (ioctl(c->sock[!from], SIOCOUTQNSD, &unsent) || unsent < 0)
		unsent = 0;
	return c->dir[from].held + (uint32_t)queued + (uint32_t)unsent;
}

/*
 * linger() - After an error of a socket: send data that is left; false if done
 *
 * The kernel does not report when a queue gets empty, so look now and then.
 */
/* #syscalls:pasta recvfrom recv */
static bool linger(struct tcp_splice *s, struct flow *f)
{
	struct splice_conn *c = splice_conn(f);
	unsigned from = c->failed[INI] ? INI : TGT;
	struct splice_dir *d = &c->dir[from];
	uint64_t now = s->loop->now_ms;
	uint32_t left;

	if (f->rank == FLOW_KEPT) {
		f->last_ms = now;
		flow_set_rank(s->flows, f, FLOW_PENDING);
	}
	move(s, f, from);
	if (c->failed[!from])
		return false;
	recv(c->sock[!from], NULL, INT_MAX, MSG_TRUNC | MSG_DONTWAIT);

	left = bytes_left(c, from);
	if (!left && (d->fin || !d->fin_first))
		return false;
	if (left < c->left) {
		c->poll_ms = 1;
		c->give_up = now + LINGER_MS;
	} else if (now >= c->give_up) {
		return false;
	} else if (c->poll_ms < POLL_MAX_MS) {
		c->poll_ms *= 2;
	}
	c->left = left;
	wheel_arm(&s->loop->wheel, &f->timer, now + c->poll_ms);
	return true;
}

/* run() - Move data both ways, and end the flow if both are done */
static void run(struct tcp_splice *s, struct flow *f)
{
	struct splice_conn *c = splice_conn(f);

	if (!c->connected)
		return;
	move(s, f, INI);
	move(s, f, TGT);
	if (c->failed[INI] || c->failed[TGT]) {
		if (!linger(s, f))
			end_flow(s, f, true, "reset");
	} else if (c->dir[INI].fin && c->dir[TGT].fin) {
		end_flow(s, f, false, "closed");
	}
}

/* Reaching the other side ------------------------------------------------ */

/* other_socket() - Get a socket on the target side, or negative errno */
static int other_socket(struct tcp_splice *s, bool from_ns,
			const struct flowside *tgt)
{
	if (from_ns)
		return hostsock_open(s->conf, s->net, &tgt->eaddr, SOCK_STREAM,
				     IPPROTO_TCP);
	if (!s->nsh)
		return -ENODEV;
	return nshelper_socket(s->nsh, inany_is_v4(&tgt->eaddr) ? NSSOCK_TCP4 :
								  NSSOCK_TCP6);
}

/*
 * send_early() - Forward data that arrived before accept()
 *
 * connect() returns EINPROGRESS, but without a network in between the handshake is
 * complete by then. So the listener finds the request together with the connection,
 * and is woken up once. If the handshake is not complete, the data waits in a pipe.
 *
 * Return: 0, or negative errno: a socket has failed
 */
static int send_early(struct tcp_splice *s, struct flow *f)
{
	struct splice_dir *d = &splice_conn(f)->dir[INI];
	ssize_t n = move_small(s, f, INI);

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n < 0)
		return n;
	splice_count(s, f, INI, (uint32_t)n);
	splice_conn(f)->connected = n > 0 && d->held < (size_t)n;
	if (splice_conn(f)->connected)
		flow_set_rank(s->flows, f, FLOW_KEPT);
	return 0;
}

static bool is_from_ns(const struct flow *f)
{
	return f->pif[INI] == PIF_SPLICE;
}

/* reach() - Start to connect a socket on the other side: 0 or negative errno */
/* #syscalls:pasta connect */
static int reach(struct tcp_splice *s, struct flow *f)
{
	const struct flowside *tgt = &f->side[TGT];
	struct splice_conn *c = splice_conn(f);
	bool from_ns = is_from_ns(f);
	union sockaddr_inany sa;
	socklen_t len;

	c->sock[TGT] = other_socket(s, from_ns, tgt);
	if (c->sock[TGT] < 0)
		return c->sock[TGT];
	len = inany_to_sockaddr(&tgt->eaddr, tgt->eport, from_ns ?
				fwd_scope(s->net, s->dns, &tgt->eaddr) : 0,
				&sa);
	if (connect(c->sock[TGT], &sa.sa, len) && errno != EINPROGRESS)
		return -errno;
	return -hostsock_error(c->sock[TGT]);	/* it may have failed already */
}

/* reach_other() - If @rc is a refusal, try the addresses that are left */
static int reach_other(struct tcp_splice *s, struct flow *f, int rc)
{
	struct splice_conn *c = splice_conn(f);

	static_assert(FWD_TARGETS == 3, "two others");
	while (rc == -ECONNREFUSED && inany_is_set(&c->other[0])) {
		trace_flow(s, f, "refused, trying another address");
		close_socket(c->sock[TGT], false);
		f->side[TGT].eaddr = c->other[0];
		c->other[0] = c->other[1];
		c->other[1] = (union inany){ 0 };
		rc = reach(s, f);
	}
	return rc;
}

static int splice_watch(struct tcp_splice *s, struct flow *f, unsigned side)
{
	return loop_add(s->loop, splice_conn(f)->sock[side], SPLICE_EVENTS,
			flow_ref(f, side));
}

/* dial() - Connect the other side and watch both: 0 or negative errno */
static int dial(struct tcp_splice *s, struct flow *f)
{
	int rc = reach(s, f);

	rc = reach_other(s, f, rc);
	if (!rc)
		rc = send_early(s, f);
	if (!rc)
		rc = splice_watch(s, f, INI);
	return rc ? rc : splice_watch(s, f, TGT);
}

/* Events ----------------------------------------------------------------- */

/**
 * tcp_splice_event() - epoll reported something on one of a flow's sockets
 * @side:	Side of the socket: INI or TGT
 * @events:	EPOLL*
 */
void tcp_splice_event(void *ctx, struct flow *f, unsigned side, uint32_t events)
{
	struct tcp_splice *s = ctx;
	struct splice_conn *c = splice_conn(f);
	struct splice_dir *d = &c->dir[side];
	int error = 0;

	if (events & (EPOLLERR | EPOLLHUP))
		error = hostsock_error(c->sock[side]);
	if (error && !c->connected && side == INI && bytes_left(c, INI)) {
		side_failed(c, INI, error);	/* its data is for the other side */
		return;
	}
	if (error && !c->connected) {
		if (side == INI || reach_other(s, f, -error) ||
		    splice_watch(s, f, TGT))
			end_flow(s, f, true, "refused");
		return;
	}
	if (error)
		side_failed(c, side, error);
	if (side == TGT && events & EPOLLOUT && !c->connected) {
		c->connected = true;
		flow_set_rank(s->flows, f, FLOW_KEPT);
		trace_flow(s, f, "connected");
	}
	d->rdhup |= !!(events & (EPOLLRDHUP | EPOLLHUP));
	d->urgent |= !!(events & EPOLLPRI);
	if (events & ~(uint32_t)EPOLLOUT)
		d->readable = true;
	if (events & EPOLLOUT)
		c->dir[!side].writable = true;
	run(s, f);
}

/**
 * tcp_splice_run_ready() - Give a turn to every flow with work left
 *
 * Return: true if there is still work: do not sleep
 */
bool tcp_splice_run_ready(struct tcp_splice *s)
{
	uint32_t n = s->ready.count;
	struct flow *f;

	/* Flows that are queued meanwhile wait for the next turn */
	while (n-- && (f = flow_list_pop(s->flows, &s->ready)))
		run(s, f);
	return s->ready.count;
}

/* New flows -------------------------------------------------------------- */

/* splice_refuse() - End a new flow that can't be connected */
static void splice_refuse(struct tcp_splice *s, struct flow *f, int rc)
{
	if (splice_conn(f)->sock[TGT] < 0) {
		s->stats.refused++;
		warn_limited_rc(rc, "No socket for a new connection");
	}
	end_flow(s, f, true, "refused");
}

/* lacks_socket() - Did dial() fail as no socket is left for the moment? */
static bool lacks_socket(struct flow *f, int rc)
{
	return splice_conn(f)->sock[TGT] < 0 && !is_from_ns(f) &&
	       nshelper_error_passes(rc);
}

/* wait_for_socket() - Let a flow wait if dial() lacked a socket; else false */
static bool wait_for_socket(struct tcp_splice *s, struct flow *f, int rc)
{
	if (!lacks_socket(f, rc))
		return false;
	splice_conn(f)->waiting = true;
	s->waiting++;
	wheel_arm(&s->loop->wheel, &f->timer, s->loop->now_ms + WAIT_MS);
	trace_flow(s, f, "waits for a socket");
	return true;
}

/**
 * tcp_splice_accepted() - A connection to a forwarded port, both ends are local
 * @s:		Bypassed connections
 * @fd:		Connected socket, non-blocking: is ours from now on
 * @rule:	Rule of the port
 * @from_ns:	It was accepted in the namespace, else on the host
 * @ini:	Its side: the client is the endpoint
 * @tgt:	Side to connect to: its endpoint
 * @other:	FWD_TARGETS - 1 addresses to try after a refusal; unset: none
 *
 * If that is not possible, the client gets a reset.
 */
void tcp_splice_accepted(struct tcp_splice *s, int fd, struct rule_ref rule,
			 bool from_ns, const struct flowside *ini,
			 const struct flowside *tgt,
			 const union inany *other)
{
	struct flow *f = flow_start(s->flows, &(struct flow_spec){
		.kind = REF_TCP_SPLICE, .proto = IPPROTO_TCP,
		.class = FLOW_STREAM, .fds = 2,
		.pif = { from_ns ? PIF_SPLICE : PIF_HOST,
			 from_ns ? PIF_HOST : PIF_SPLICE },
		.side = { *ini, *tgt }, .rule = rule,
	}, s->loop->now_ms);
	struct splice_conn *c;
	int rc;

	if (!f) {
		s->stats.refused++;
		warn_limited("Too many connections, one is refused");
		close_socket(fd, true);
		return;
	}
	c = splice_conn(f);
	c->sock[INI] = fd;
	c->sock[TGT] = -1;
	memcpy(c->other, other, sizeof(c->other));
	c->dir[INI].writable = c->dir[TGT].writable = true;
	s->stats.opened++;
	trace_flow(s, f, "new");

	rc = dial(s, f);
	if (rc && !wait_for_socket(s, f, rc))
		splice_refuse(s, f, rc);
}

/**
 * tcp_splice_retry() - Connect flows that wait for a socket, if there are some now
 */
void tcp_splice_retry(struct tcp_splice *s)
{
	struct flow *f = NULL;
	int rc;

	while (s->waiting && (f = flow_next(s->flows, f))) {
		if (f->timer.ref.kind != REF_TCP_SPLICE ||
		    !splice_conn(f)->waiting)
			continue;
		rc = dial(s, f);
		if (rc && lacks_socket(f, rc))
			return;			/* no more sockets */
		splice_conn(f)->waiting = false;
		s->waiting--;
		wheel_cancel(&s->loop->wheel, &f->timer);
		if (rc)
			splice_refuse(s, f, rc);
	}
}

/**
 * tcp_splice_timer() - A flow has waited long enough for a socket, or lingers
 */
void tcp_splice_timer(void *ctx, struct flow *f)
{
	struct tcp_splice *s = ctx;

	if (splice_conn(f)->waiting)
		splice_refuse(s, f, -ETIMEDOUT);
	else
		run(s, f);
}

/**
 * tcp_splice_init() - Start without flows
 * @nsh:	Makes sockets of the namespace, NULL: there are none
 */
void tcp_splice_init(struct tcp_splice *s, const struct conf *conf,
		     const struct hostnet *net, const struct dns *dns,
		     struct flow_table *flows, struct loop *loop,
		     struct nshelper *nsh)
{
	s->conf = conf;
	s->net = net;
	s->dns = dns;
	s->flows = flows;
	s->loop = loop;
	s->nsh = nsh;
	flow_list_init(&s->ready);
}

/**
 * tcp_splice_unfinished() - Has the namespace sent data that is still to be delivered?
 */
bool tcp_splice_unfinished(const struct flow *f)
{
	const struct splice_conn *c = (const void *)f->priv;
	unsigned from = is_from_ns(f) ? INI : TGT;

	return c->connected && !c->dir[from].fin && !c->failed[!from];
}

/**
 * tcp_splice_counters() - Connections and refusals, for --stats
 */
void tcp_splice_counters(const void *ctx, struct counters *c)
{
	const struct tcp_splice_stats *s =
		&((const struct tcp_splice *)ctx)->stats;

	c->title = "TCP past the tap";
	counters_add(c, "opened", s->opened);
	counters_add_if(c, "refused without a flow or socket", s->refused);
	counters_add_if(c, "times without a pipe", s->no_pipe);
}
