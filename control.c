/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.c - The control socket: clients, their input and output
 *
 * Programs connect to a UNIX stream socket to change or to ask the running daemon.
 * doc/control.md describes the two languages, tables and words. This file tells them
 * apart, cuts words into lines, and keeps clients from doing harm. It knows nothing of
 * their meaning: struct control_ops has the functions that do.
 *
 * Events only set flags. control_run() does the work, for one client a turn of the loop,
 * after the tap and all sockets, and for about a millisecond. There are two buffers of
 * fixed size a client. A request is taken when the one before is answered and there is
 * room for a line of output, so a client that does not read is not read from. Sockets
 * are watched for edges, and an idle client costs nothing.
 *
 * The mode of the socket's file admits its owner, but the programs that we serve often
 * run as the same user, and may see the file, too. So a client has to be in the network
 * namespace of the socket: an accepted UNIX socket belongs to that of its client.
 *
 * A connection that comes while all places are taken waits in the backlog. Requests that
 * arrived whole are carried out even if the client has left by then: its output is
 * dropped. A client that keeps us waiting is closed, see the limits below.
 */

#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "pesto_wire.h"
#include "sockpath.h"
#include "util.h"

#define BACKLOG		128
#define SLICE_NS	1000000		/* of work in a turn */
#define IN_MS		10000		/* longest pause in a line or a table */
#define OUT_MS		60000		/* longest time without reading the output */
#define ACCEPT_MS	1000		/* until the next try without descriptors */
#define ACCEPT_MAX	8		/* connections looked at in a turn */
#define FILE_MODE	0600		/* the socket's file is for its owner alone */

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE	71		/* since Linux 5.14 */
#endif

#define LISTENER	CONTROL_CLIENTS	/* index in its events */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The socket ------------------------------------------------------------- */

/* Say why a path can't be had */
static int path_failed(const char *path, int rc)
{
	struct stat st;

	if (rc == -EADDRINUSE && !lstat(path, &st) && !S_ISSOCK(st.st_mode))
		err("Control socket path %s is a file that is no socket", path);
	else if (rc == -EADDRINUSE)
		err("Control socket path %s already in use", path);
	else
		err_rc(rc, "Couldn't bind control socket %s", path);
	return rc;
}

static int listen_path(struct control *ctl, const char *path)
{
	int fd = sockpath_listen(path, BACKLOG, FILE_MODE);

	if (fd < 0)
		return path_failed(path, fd);
	info("Configuration socket: %s", path);
	ctl->fd = fd;
	return 0;
}

/* Is this a UNIX stream socket that listens, or is connected? */
static bool is_stream(int fd, int *listening)
{
	int domain = 0, type = 0;
	struct sockaddr_un sa;
	socklen_t len = sizeof(int), sa_len = sizeof(sa);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) &&
	       !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, listening, &len) &&
	       domain == AF_UNIX && type == SOCK_STREAM &&
	       (*listening ||
		!getpeername(fd, (struct sockaddr *)&sa, &sa_len));
}

/* Take a copy of the descriptor: the caller's own is closed with all inherited ones */
static int inherit_fd(struct control *ctl, int given, int null_fd)
{
	int listening = 0, fd, flags;

	if (!is_stream(given, &listening)) {
		err("--control-fd %d is no UNIX stream socket that listens or is "
		    "connected", given);
		return -EINVAL;
	}
	fd = fcntl(given, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ||
	    (given <= STDERR_FILENO && dup2(null_fd, given) < 0)) {
		err_errno("Couldn't use descriptor %d of --control-fd", given);
		return -errno;
	}
	if (listening)
		ctl->fd = fd;
	else
		ctl->first = fd;
	return 0;
}

/**
 * control_open() - Create the socket
 * @ctl:	Set
 * @c:		conf_path or control_fd, or none of them: there is no socket
 * @null_fd:	/dev/null, takes the place of a control_fd of 0 to 2
 *
 * To be called with the user's rights, before inherited descriptors are closed.
 *
 * Return: 0, or negative errno after a message
 */
int control_open(struct control *ctl, const struct conf *c, int null_fd)
{
	ctl->fd = ctl->first = -1;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		ctl->client[i].fd = -1;
	if (c->conf_path)
		return listen_path(ctl, c->conf_path);
	return c->control_fd >= 0 ? inherit_fd(ctl, c->control_fd, null_fd) : 0;
}

/* Output ----------------------------------------------------------------- */

/* control_room() - Bytes of output that still fit */
size_t control_room(const struct control_client *c)
{
	return c->gone ? CONTROL_OUT : CONTROL_OUT - c->out_len;
}

/**
 * control_put() - Add output
 * @c:		Client
 * @data:	Bytes
 * @len:	Number of bytes, up to control_room()
 */
void control_put(struct control_client *c, const void *data, size_t len)
{
	if (c->gone || len > control_room(c))
		return;
	if (len > CONTROL_OUT - c->out_at - c->out_len) {
		memmove(c->out, c->out + c->out_at, c->out_len);
		c->out_at = 0;
	}
	memcpy(c->out + c->out_at + c->out_len, data, len);
	c->out_len += (unsigned)len;
}

/* control_line() - End a line and add it to the output */
void control_line(struct control_client *c, struct jsonline *j)
{
	jsonline_end(j);
	control_put(c, j->buf, j->len);
}

/**
 * control_refuse() - Answer a request by an error
 * @c:		Client
 * @error:	Name of the error, as of an errno
 * @text:	Sentence for the user
 *
 * Return: CONTROL_READ
 */
enum control_next control_refuse(struct control_client *c, const char *error,
				 const char *text)
{
	struct jsonline j;

	jsonline_begin(&j);
	jsonline_bool(&j, "ok", false);
	jsonline_str(&j, "error", error);
	jsonline_str(&j, "text", text);
	control_line(c, &j);
	return CONTROL_READ;
}

/* Send as much output as the socket takes. A client that can't be told is hung up on */
/* #syscalls sendto shutdown */
static void flush_output(struct control *ctl, struct control_client *c)
{
	ssize_t n;

	while (c->out_len && c->writable && !c->gone) {
		n = send(c->fd, c->out + c->out_at, c->out_len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			c->writable = errno == EINTR;
		} else if (n < 0) {
			c->gone = true;
			shutdown(c->fd, SHUT_RDWR);
		} else {
			c->out_at += (unsigned)n;
			c->out_len -= (unsigned)n;
			c->out_ms = ctl->loop->now_ms;
		}
	}
	if (c->gone)
		c->out_len = 0;
	if (!c->out_len) {
		c->out_at = 0;
		c->out_ms = ctl->loop->now_ms;
	}
}

/* Clients ---------------------------------------------------------------- */

static union epoll_ref client_ref(const struct control_client *c)
{
	return (union epoll_ref){ .kind = REF_CONTROL, .index = c->slot,
				  .gen = c->gen };
}

static void set_work(struct control *ctl, const struct control_client *c)
{
	ctl->work |= 1U << c->slot;
}

/* #syscalls close */
static void drop(struct control *ctl, struct control_client *c)
{
	debug("Control client %u has left", c->slot);
	ctl->ops->closed(ctl->ctx, c);
	wheel_cancel(&ctl->loop->wheel, &c->timer);
	loop_del(ctl->loop, c->fd);
	close(c->fd);
	c->fd = -1;
	ctl->clients--;
	ctl->work &= ~(1U << c->slot);
	ctl->ready = ctl->fd >= 0;	/* another one may wait for the place */
}

static struct control_client *free_place(struct control *ctl)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (ctl->client[i].fd < 0)
			return &ctl->client[i];
	return NULL;
}

/*
 * take() - Make a connection a client, or close it if that fails
 * @named:	It has an address of its own, which means that it speaks words
 */
static void take(struct control *ctl, int fd, bool named)
{
	struct control_client *c = free_place(ctl);
	uint32_t gen;
	int rc;

	if (!c) {
		close(fd);
		return;
	}
	gen = c->gen + 1;
	memset(c, 0, offsetof(struct control_client, in));
	c->fd = -1;
	c->slot = (unsigned)(c - ctl->client);
	c->gen = gen;
	rc = loop_add(ctl->loop, fd, EPOLLIN | EPOLLOUT | EPOLLET,
		      client_ref(c));
	if (rc) {
		warn_limited_rc(rc, "Couldn't watch a control client");
		close(fd);
		return;
	}
	c->fd = fd;
	c->timer.ref = client_ref(c);
	c->readable = c->writable = true;
	c->in_ms = c->out_ms = ctl->loop->now_ms;
	c->words = named;
	ctl->clients++;
	set_work(ctl, c);
	debug("Control client %u has come", c->slot);
	if (!named)
		c->next = ctl->ops->greet(ctl->ctx, c);
}

/* Network namespace that a socket belongs to, 0: the kernel does not tell */
/* #syscalls getsockopt */
static uint64_t netns_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
	return cookie;
}

/* Make a client of a connection, unless it comes from elsewhere */
static void admit(struct control *ctl, int fd, bool named)
{
	if (netns_of(fd) == netns_of(ctl->fd)) {
		take(ctl, fd, named);
		return;
	}
	warn_limited("A control client of another network namespace was turned "
		     "away");
	close(fd);
}

/*
 * Take the next connection that waits
 *
 * Return: false: there is none, or it can't be taken for now
 */
/* #syscalls accept4 accept */
static bool accept_client(struct control *ctl)
{
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);
	int fd = accept4(ctl->fd, (struct sockaddr *)&sa, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		admit(ctl, fd, len > sizeof(sa.sun_family));
		return true;
	}
	if (errno == ECONNABORTED || errno == EINTR)
		return true;
	if (errno != EAGAIN) {
		warn_limited_rc(-errno, "Couldn't accept a control client for now");
		wheel_arm(&ctl->loop->wheel, &ctl->timer,
			  ctl->loop->now_ms + ACCEPT_MS);
	}
	return false;
}

/* May a connection wait that there is a place for? */
static bool may_accept(const struct control *ctl)
{
	return ctl->ready && ctl->clients < CONTROL_CLIENTS;
}

/*
 * Take connections that wait, while there are places, but only some in a turn: those that
 * are turned away at once may come faster than we can do that
 */
static void accept_clients(struct control *ctl)
{
	for (unsigned i = 0; i < ACCEPT_MAX && may_accept(ctl); i++)
		ctl->ready = accept_client(ctl);
}

/**
 * control_watch() - Begin to serve clients
 * @ctl:	From control_open()
 * @l:		Gets events and timers of kind REF_CONTROL
 * @ops:	Functions of the languages; @ctx: their first argument
 *
 * Return: 0 or negative errno
 */
int control_watch(struct control *ctl, struct loop *l,
		  const struct control_ops *ops, void *ctx)
{
	const union epoll_ref ref = { .kind = REF_CONTROL, .index = LISTENER };

	ctl->loop = l;
	ctl->ops = ops;
	ctl->ctx = ctx;
	ctl->timer.ref = ref;
	if (ctl->first >= 0)
		take(ctl, ctl->first, false);
	return ctl->fd < 0 ? 0 : loop_add(l, ctl->fd, EPOLLIN | EPOLLET, ref);
}

/* Input ------------------------------------------------------------------ */

/* Fill the buffer from the socket */
/* #syscalls recvfrom */
static void fill_input(struct control *ctl, struct control_client *c)
{
	ssize_t n;

	memmove(c->in, c->in + c->in_at, c->in_len);
	c->in_at = 0;
	while (c->readable && !c->eof && c->in_len < CONTROL_IN) {
		n = recv(c->fd, c->in + c->in_len, CONTROL_IN - c->in_len, 0);
		if (n > 0) {
			c->in_len += (unsigned)n;
			c->in_ms = ctl->loop->now_ms;
		} else if (!n) {
			c->eof = true;
		} else if (errno == ECONNRESET) {
			c->gone = true;	/* more input may be behind this error */
		} else if (errno != EINTR) {
			c->readable = false;
			c->eof = errno != EAGAIN;
		}
	}
}

static void consume(struct control_client *c, size_t n)
{
	c->in_at += (unsigned)n;
	c->in_len -= (unsigned)n;
}

/* control_spoke() - Has a client sent more since its request? */
bool control_spoke(const struct control_client *c)
{
	return c->in_len;
}

/* End of the line that the input begins with, NULL: it is not whole */
static const uint8_t *line_end(const struct control_client *c)
{
	return memchr(c->in + c->in_at, '\n', c->in_len);
}

static bool has_control_character(const uint8_t *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] == 0x7f)
			return true;
	return false;
}

/* Input without the end of a line: is it too long, or the last? */
static bool input_part(struct control_client *c)
{
	if (c->skip && c->readable && !c->eof) {
		consume(c, c->in_len);
		return true;		/* more is waiting */
	}
	if (c->skip) {
		consume(c, c->in_len);
	} else if (c->in_len >= CONTROL_LINE_MAX) {
		control_refuse(c, "E2BIG", "The line is longer than 1024 bytes");
		consume(c, c->in_len);
		c->skip = true;
		return true;
	}
	if (!c->eof)
		return false;
	if (c->in_len)
		control_refuse(c, "EINVAL", "The last line has no newline");
	consume(c, c->in_len);
	c->next = CONTROL_CLOSE;
	return true;
}

/* Carry out the line at the start of the input, which has @len bytes */
static void input_request(struct control *ctl, struct control_client *c,
			 size_t len)
{
	char line[CONTROL_LINE_MAX];

	if (len >= CONTROL_LINE_MAX) {
		control_refuse(c, "E2BIG", "The line is longer than 1024 bytes");
	} else if (has_control_character(c->in + c->in_at, len)) {
		control_refuse(c, "EILSEQ",
			       "The line has a NUL or another control character");
		c->next = CONTROL_CLOSE;
	} else {
		memcpy(line, c->in + c->in_at, len);
		line[len] = 0;
		c->next = ctl->ops->request(ctl->ctx, c, line);
	}
	if (c->next != CONTROL_LATER)
		consume(c, len + 1);
}

static bool input_line(struct control *ctl, struct control_client *c)
{
	const uint8_t *end = line_end(c);

	if (control_room(c) < JSONLINE_MAX)
		return false;
	if (!end)
		return input_part(c);
	if (!c->skip) {
		input_request(ctl, c, (size_t)(end - c->in) - c->in_at);
		return c->next != CONTROL_LATER;
	}
	c->skip = false;
	consume(c, (size_t)(end - c->in) - c->in_at + 1);
	return true;
}

static bool input_bytes(struct control *ctl, struct control_client *c)
{
	const uint8_t *data = c->in + c->in_at;
	size_t left = c->in_len;

	if (!left && !c->eof)
		return false;
	c->next = ctl->ops->tables(ctl->ctx, c, &data, &left);
	consume(c, c->in_len - left);
	return c->next != CONTROL_LATER;
}

static bool take_input(struct control *ctl, struct control_client *c)
{
	c->next = CONTROL_READ;
	if (!c->words && !c->tables) {
		if (!c->in_len && !c->eof)
			return false;
		c->words = c->in_len && pesto_is_words(c->in[c->in_at]);
		c->tables = !c->words;
	}
	return c->words ? input_line(ctl, c) : input_bytes(ctl, c);
}

/* Work ------------------------------------------------------------------- */

/* Take the next step for a client: false if it has to wait for anything */
static bool step(struct control *ctl, struct control_client *c)
{
	fill_input(ctl, c);
	switch (c->next) {
	case CONTROL_LATER:
		c->in_ms = ctl->loop->now_ms;	/* others made it wait so far */
		return take_input(ctl, c);
	case CONTROL_READ:
		return take_input(ctl, c);
	case CONTROL_MORE:
		if (control_room(c) < JSONLINE_MAX)
			return false;
		c->next = ctl->ops->more(ctl->ctx, c);
		return true;
	case CONTROL_WAIT:
		c->next = ctl->ops->more(ctl->ctx, c);
		return c->next != CONTROL_WAIT;
	case CONTROL_CLOSE:
		if (!c->out_len)
			drop(ctl, c);
	}
	return false;
}

/* The same, and send the output when it is complete, or there is no room for more */
static bool step_and_flush(struct control *ctl, struct control_client *c)
{
	if (control_room(c) < JSONLINE_MAX)
		flush_output(ctl, c);
	if (step(ctl, c))
		return true;
	if (c->fd < 0 || !c->out_len)
		return false;
	flush_output(ctl, c);
	return !c->out_len || (c->next == CONTROL_MORE &&
			       control_room(c) >= JSONLINE_MAX);
}

/* Is a client in the middle of a line, or of its tables? */
static bool is_midway(const struct control_client *c)
{
	return c->next == CONTROL_READ && !c->eof &&
	       (c->tables || c->skip || (c->in_len && !line_end(c)));
}

/* Time when a client has kept us waiting for too long, 0: it does not */
static uint64_t deadline(const struct control_client *c)
{
	uint64_t in = is_midway(c) ? c->in_ms + IN_MS : 0;
	uint64_t out = c->out_len ? c->out_ms + OUT_MS : 0;

	return in && (!out || in < out) ? in : out;
}

static void arm_timer(struct control *ctl, struct control_client *c)
{
	uint64_t at = deadline(c);

	if (at)
		wheel_arm(&ctl->loop->wheel, &c->timer, at);
	else
		wheel_cancel(&ctl->loop->wheel, &c->timer);
}

static void serve_client(struct control *ctl, struct control_client *c)
{
	uint64_t end = now_ns() + SLICE_NS;
	bool more;

	do
		more = step_and_flush(ctl, c);
	while (more && now_ns() < end);
	if (c->fd < 0)
		return;
	flush_output(ctl, c);
	if (!more)
		ctl->work &= ~(1U << c->slot);
	arm_timer(ctl, c);
}

/**
 * control_run() - Do the work that is left, for one client
 * @ctl:	Control socket
 *
 * Return: there is more to do
 */
bool control_run(struct control *ctl)
{
	accept_clients(ctl);
	if (!ctl->work)
		return may_accept(ctl);
	while (!(ctl->work >> ctl->turn & 1))
		ctl->turn = (ctl->turn + 1) % CONTROL_CLIENTS;
	serve_client(ctl, &ctl->client[ctl->turn]);
	ctl->turn = (ctl->turn + 1) % CONTROL_CLIENTS;
	return ctl->work || may_accept(ctl);
}

/* control_kick() - Let clients go on that wait: see CONTROL_WAIT and CONTROL_LATER */
void control_kick(struct control *ctl)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		const struct control_client *c = &ctl->client[i];

		if (c->fd >= 0 && (c->next == CONTROL_WAIT ||
				   c->next == CONTROL_LATER))
			set_work(ctl, c);
	}
}

/* The client that an event or a timer is for, NULL: it has left */
static struct control_client *find_client(struct control *ctl,
					  union epoll_ref ref)
{
	struct control_client *c = &ctl->client[ref.index % CONTROL_CLIENTS];

	return c->fd >= 0 && c->gen == ref.gen ? c : NULL;
}

/**
 * control_event() - Note an event of kind REF_CONTROL
 * @ctl:	Control socket
 * @ref:	Reference of the event
 * @events:	EPOLL*
 */
void control_event(struct control *ctl, union epoll_ref ref, uint32_t events)
{
	struct control_client *c;

	if (ref.index == LISTENER) {
		ctl->ready = true;
		return;
	}
	c = find_client(ctl, ref);
	if (!c)
		return;
	c->readable |= !!(events & (EPOLLIN | EPOLLHUP | EPOLLERR));
	c->writable |= !!(events & (EPOLLOUT | EPOLLHUP | EPOLLERR));
	c->gone |= !!(events & EPOLLHUP);
	set_work(ctl, c);
}

/**
 * control_expel() - Close a client that keeps us waiting
 * @ctl:	Control socket
 * @c:		Client
 * @text:	Sentence for the user, the last one that it gets
 */
void control_expel(struct control *ctl, struct control_client *c,
		   const char *text)
{
	if (c->words)
		control_refuse(c, "ETIMEDOUT", text);
	flush_output(ctl, c);
	drop(ctl, c);
}

/**
 * control_timer() - Handle an expired timer of kind REF_CONTROL
 * @ctl:	Control socket
 * @ref:	Reference of the timer
 */
void control_timer(struct control *ctl, union epoll_ref ref)
{
	struct control_client *c;
	uint64_t at;

	if (ref.index == LISTENER) {
		ctl->ready = true;
		return;
	}
	c = find_client(ctl, ref);
	at = c ? deadline(c) : 0;
	if (at > ctl->loop->now_ms)
		arm_timer(ctl, c);
	else if (at)
		control_expel(ctl, c, is_midway(c) ?
			      "The rest of the line did not come within 10 s" :
			      "The output was not read for 60 s");
}

/* control_stop() - Close the socket and all connections */
void control_stop(struct control *ctl)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (ctl->client[i].fd >= 0)
			drop(ctl, &ctl->client[i]);
	if (ctl->fd >= 0) {
		loop_del(ctl->loop, ctl->fd);
		close(ctl->fd);
	}
	ctl->fd = -1;
	ctl->ready = false;
	if (ctl->loop)
		wheel_cancel(&ctl->loop->wheel, &ctl->timer);
}
