/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.c - From forwarding rules to bound sockets
 *
 * Each port of a rule has one socket, on the host (-t, -u) or in the namespace
 * (-T, -U); listen_sock.c makes it. Events carry REF_LISTEN and the index of the
 * socket; inbound.c takes the connections and datagrams.
 *
 * This file has the table of sockets, and binds one port of a rule. listen_change.c
 * decides which ones, and in which order: it makes one table of rules out of another.
 * Meanwhile, sockets of new rules are staged: they are bound, and not watched yet.
 * Rules that scan ("auto") are left to scan.c.
 */

#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostsock.h"
#include "listen_sock.h"
#include "log.h"
#include "nshelper.h"
#include "util.h"

enum {
	RETRY_MS	= 500,		/* of waiting for ports in use, in total */
	FDS_RESERVED	= 64,		/* for flows, at least; or a quarter */
};

/* The table of sockets --------------------------------------------------- */

static union epoll_ref listener_ref(uint32_t index)
{
	return (union epoll_ref){ .kind = REF_LISTEN, .index = index };
}

/* Is this a rule that a change adds? */
static bool is_next(const struct listen *s, const struct fwd_rule *r)
{
	const struct rules_entry *e = (const struct rules_entry *)r;

	return e >= s->next.e && e < s->next.e + RULES_MAX;
}

static uint16_t rule_number(const struct listen *s, const struct fwd_rule *r)
{
	return rules_ref(is_next(s, r) ? &s->next : &s->rules, r).number;
}

/**
 * listen_slot() - What is bound for a rule
 * @s:		Listening sockets
 * @r:		Rule of @s->rules, or one that is new in @s->next
 */
struct listen_slot *listen_slot(struct listen *s, const struct fwd_rule *r)
{
	return (is_next(s, r) ? s->next_slot : s->slot) + rule_number(s, r);
}

/* Has the port of a socket other sockets of the same rule? */
static bool has_other(const struct listen *s, uint32_t index)
{
	const struct listener *l = &s->l[index];
	const struct fwd_rule *r = listen_rule(s, l);
	uint32_t i = LISTEN_MAX;

	while ((i = listen_find(s, r, l->port, i)) == index)
		;
	return i != LISTEN_MAX;
}

/*
 * listener_count() - Count the port of a socket for its rule
 * @by:		1: the socket was added; -1: it is about to go
 */
static void listener_count(struct listen *s, uint32_t index, int by)
{
	if (!has_other(s, index))
		listen_slot(s, listen_rule(s, &s->l[index]))->bound += by;
}

/*
 * listener_add() - Watch a bound socket, unless its rule is not in force yet
 *
 * Return: 0; negative errno, and @fd is still the caller's
 */
static int listener_add(struct listen *s, int fd, const struct fwd_rule *r,
			uint16_t port)
{
	unsigned kind = rule_kind(r);
	uint32_t i = s->free ? s->free - 1 : s->n;
	int rc;

	if (i == LISTEN_MAX)
		return -ENFILE;
	rc = loop_add(s->loop, fd, is_next(s, r) ? 0 : EPOLLIN, listener_ref(i));
	if (rc)
		return rc;
	if (s->free)
		s->free = s->l[i].next;
	else
		s->n++;
	s->count++;
	s->l[i] = (struct listener){
		.fd = fd, .rule = rule_number(s, r), .port = port, .kind = kind,
		.staged = is_next(s, r), .next = s->head[kind][port],
		.cookie = (uint32_t)hostsock_cookie(fd),
	};
	s->head[kind][port] = i + 1;
	listener_count(s, i, 1);
	return 0;
}

/* Do two rules bind the same addresses, on the same interface? */
static bool same_place(const struct fwd_rule *a, const struct fwd_rule *b)
{
	return rule_same_addr(a, b) && !strcmp(a->ifname, b->ifname);
}

/* listen_has() - Is this port already bound for this rule's address and interface? */
bool listen_has(const struct listen *s, const struct fwd_rule *r,
		     unsigned port)
{
	uint32_t i;

	for (i = s->head[rule_kind(r)][port]; i; i = s->l[i - 1].next) {
		const struct fwd_rule *o = listen_rule(s, &s->l[i - 1]);

		if (same_place(o, r))
			return true;
	}
	return false;
}

/* listen_is_own() - Is the socket with this kind, port and cookie in our table? */
bool listen_is_own(const struct listen *s, unsigned kind, uint16_t port,
		   uint32_t cookie)
{
	uint32_t i;

	for (i = s->head[kind][port]; i; i = s->l[i - 1].next) {
		if (s->l[i - 1].cookie == cookie)
			return true;
	}
	return false;
}

/* listen_unbind() - Close the socket of one port */
/* #syscalls close */
void listen_unbind(struct listen *s, uint32_t i)
{
	struct listener *l = &s->l[i];
	uint32_t *head = &s->head[l->kind][l->port], at;

	listener_count(s, i, -1);
	if (*head == i + 1) {
		*head = l->next;
	} else {
		for (at = *head; s->l[at - 1].next != i + 1; )
			at = s->l[at - 1].next;
		s->l[at - 1].next = l->next;
	}
	s->udp_closed |= !l->staged &&	/* else it has no flows yet */
			 (l->kind == RULE_HOST_UDP || l->kind == RULE_NS_UDP);
	loop_del(s->loop, l->fd);
	close(l->fd);
	s->count--;
	*l = (struct listener){ .fd = -1, .next = s->free };
	s->free = i + 1;
}

/**
 * listen_at() - Look up a socket by the index in an event
 *
 * Return: NULL if it was closed
 */
const struct listener *listen_at(const struct listen *s, uint32_t index)
{
	return index < s->n && s->l[index].fd >= 0 ? &s->l[index] : NULL;
}

/**
 * listen_find() - Look up the sockets of a rule and port, one by one
 * @s:		Listening sockets
 * @r:		Rule
 * @port:	Port
 * @after:	Index that the last call returned, LISTEN_MAX for the first
 *
 * Return: index of a socket, LISTEN_MAX if there are no more
 */
uint32_t listen_find(const struct listen *s, const struct fwd_rule *r,
		     uint16_t port, uint32_t after)
{
	uint32_t i = after == LISTEN_MAX ? s->head[rule_kind(r)][port] :
					   s->l[after].next;

	for (; i; i = s->l[i - 1].next)
		if (listen_rule(s, &s->l[i - 1]) == r)
			return i - 1;
	return LISTEN_MAX;
}

/**
 * listen_pause() - Stop watching a socket until listen_resume()
 *
 * Without descriptors, connections wait in the backlog.
 */
void listen_pause(struct listen *s, uint32_t index)
{
	struct listener *l = &s->l[index];

	if (!l->paused && !loop_mod(s->loop, l->fd, 0, listener_ref(index)))
		l->paused = 1;
}

/* listen_resume() - Watch all paused sockets again */
void listen_resume(struct listen *s)
{
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		if (!s->l[i].paused || s->l[i].staged)
			continue;
		s->l[i].paused = 0;
		loop_mod(s->loop, s->l[i].fd, EPOLLIN, listener_ref(i));
	}
}

/* Ports of a rule -------------------------------------------------------- */

/*
 * groups_add() - Bind to the multicast groups of a port, beside programs of the host
 *
 * Return: 0; -EADDRINUSE if the port has no groups, or a program does not share it
 */
static int groups_add(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	unsigned next = 0, n = 0;
	char spec[RULES_SPEC];
	int fd;

	while ((fd = listen_sock_group(s, r, port, &next)) != -ENOENT) {
		if (fd == -EADDRINUSE)
			return fd;
		if (fd >= 0 && listener_add(s, fd, r, port))
			close(fd);
		else if (fd >= 0)
			n++;
	}
	if (!n)
		return -EADDRINUSE;
	warn_limited("UDP port %u is in use on the host, and shared: option "
		     "'-u %s' forwards multicast only, other datagrams to that "
		     "port stay with the program of the host", port,
		     rules_shown(r, spec));
	return 0;
}

/*
 * May a rule that names its ports have the port of this socket?
 *
 * Rules that don't name theirs give way, and those that a change removes.
 */
static bool gives_way(const struct listen *s, const struct listener *l,
		      const struct fwd_rule *r)
{
	const struct fwd_rule *its = listen_rule(s, l);

	if (l->staged || !rules_overlap(its, r))
		return false;
	return its->weak || its->scan ||
	       (!listen_has_switched(s) &&
		!rules_at(&s->next, rules_ref(&s->rules, its)));
}

/* Make a rule the owner of a socket */
static void hand_over(struct listen *s, uint32_t index, uint16_t rule, bool staged)
{
	struct listener *l = &s->l[index];

	listener_count(s, index, -1);
	l->rule = rule;
	l->taken = 0;
	l->staged = staged;
	listener_count(s, index, 1);
}

/**
 * listen_adopt() - Hand a socket over to the new rule that has taken it
 * @s:		Listening sockets
 * @index:	Of a listener that is @taken; it is @staged then
 */
void listen_adopt(struct listen *s, uint32_t index)
{
	hand_over(s, index, s->heir[index], true);
	loop_mod(s->loop, s->l[index].fd, 0, listener_ref(index));
}

/**
 * listen_arm() - Watch a socket of a rule that is in force now
 * @s:		Listening sockets
 * @index:	Of a listener that is @staged
 */
void listen_arm(struct listen *s, uint32_t index)
{
	struct listener *l = &s->l[index];

	l->staged = l->paused = 0;
	loop_mod(s->loop, l->fd, EPOLLIN, listener_ref(index));
}

/*
 * take_port() - Give a rule the port of sockets that give way to it
 * @may_close:	Sockets that can't be handed over may be closed
 *
 * A TCP socket that is bound to the same place is handed over, with the connections
 * that wait there. A rule that is not in force yet gets it later, by listen_adopt().
 * Other sockets are closed: flows of UDP belong to a rule.
 *
 * Return: 0: a socket was handed over; -EAGAIN: sockets were closed, bind again;
 * -EBUSY: they would have to be, and may not; -EADDRINUSE: no socket gives way
 */
static int take_port(struct listen *s, const struct fwd_rule *r, uint16_t port,
		     bool may_close)
{
	uint32_t i, next;
	int rc = -EADDRINUSE;

	for (i = s->head[rule_kind(r)][port]; i; i = next) {
		struct listener *l = &s->l[i - 1];

		next = l->next;
		if (!gives_way(s, l, r))
			continue;
		if (r->proto != IPPROTO_TCP || !same_place(listen_rule(s, l), r)) {
			if (!may_close)
				return -EBUSY;
			rc = -EAGAIN;
			s->freed = true;
			listen_unbind(s, i - 1);
			continue;
		}
		s->freed = true;
		l->taken = is_next(s, r);
		s->heir[i - 1] = rule_number(s, r);
		if (!l->taken)
			hand_over(s, i - 1, rule_number(s, r), false);
		return 0;
	}
	return rc;
}

/* Add a new socket of a port, which the caller has opened: 0 or negative errno */
/* #syscalls close */
static int add_opened(struct listen *s, const struct fwd_rule *r, uint16_t port,
		      int fd)
{
	int rc;

	if (fd < 0)
		return fd;
	rc = fd >= s->fd_max && (r->weak || r->scan) ? -EMFILE :
	     listener_add(s, fd, r, port);
	if (rc)
		close(fd);
	else
		listen_sock_join(s, r, fd, port);
	return rc;
}

/**
 * listen_bind() - Bind a port of a rule
 * @s:		Listening sockets
 * @r:		Rule of @s->rules, or one that is new in @s->next
 * @port:	Port, which has no socket of that rule
 *
 * Return: 0; -EINPROGRESS: call again, for the same port, when the helper in the
 * namespace has answered; other negative errno
 */
int listen_bind(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	int fd = nshelper_is_binding(s->nsh) ? listen_sock_finish(s, r) :
					       listen_sock_open(s, r, port);

	return add_opened(s, r, port, fd);
}

/**
 * listen_bind_named() - The same, and sockets that give way are handed over or closed
 * @may_close:	Close them if it must be; else -EBUSY: call again when all else is bound
 */
int listen_bind_named(struct listen *s, const struct fwd_rule *r, uint16_t port,
		      bool may_close)
{
	int rc = listen_bind(s, r, port);

	if (rc == -EADDRINUSE)
		rc = take_port(s, r, port, may_close);
	if (rc == -EAGAIN)
		rc = listen_bind(s, r, port);
	return rc == -EADDRINUSE ? groups_add(s, r, port) : rc;
}

/* listen_is_exhausted() - Would another port fail, too, for want of resources? */
bool listen_is_exhausted(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM ||
	       rc == -ENOBUFS || rc == -ENOSPC;
}

/* listen_full_note() - Remember the first rule that ran out of room */
void listen_full_note(struct listen *s, const struct fwd_rule *r, int rc)
{
	if (s->full)
		return;
	s->full = r;
	s->full_error = rc;
}

/* listen_full_warn() - Warn once about that rule, with the number of bound ports */
void listen_full_warn(struct listen *s)
{
	char buf[UTIL_ERROR_STRLEN], spec[RULES_SPEC];

	if (!s->full || s->full_told)
		return;
	s->full_told = true;
	warn("Only %u ports are bound, too few for option '-%c %s': %s",
	     s->count, rule_letter(s->full), rules_shown(s->full, spec),
	     util_strerror(s->full_error, buf));
}

/* listen_is_off() - Is the protocol off, or the namespace out of reach? */
bool listen_is_off(const struct listen *s, const struct fwd_rule *r)
{
	return (r->proto == IPPROTO_TCP ? s->conf->no_tcp : s->conf->no_udp) ||
	       (!s->nsh && (r->from_ns || r->scan));
}

/**
 * listen_info() - State of a rule
 * @s:		Listening sockets
 * @r:		Rule of @s->rules
 * @info:	Set
 *
 * A rule that can't be bound with these options is waiting, with -EOPNOTSUPP.
 */
void listen_info(const struct listen *s, const struct fwd_rule *r,
		 struct listen_info *info)
{
	struct rule_ref ref = rules_ref(&s->rules, r);
	const struct listen_slot *slot = &s->slot[ref.number];
	bool off = listen_is_off(s, r);

	*info = (struct listen_info){
		.ports = r->last - r->first + 1U,
		.bound = slot->gen == ref.gen ? slot->bound : 0,
		.state = r->scan ? LISTEN_SCAN : LISTEN_WEAK,
	};
	if (r->scan || r->weak)
		return;
	info->state = info->bound == info->ports ? LISTEN_BOUND : LISTEN_WAITING;
	if (info->state == LISTEN_BOUND)
		return;
	info->error = off ? -EOPNOTSUPP : slot->error;
	info->error_port = off ? r->first : slot->error_port;
}

/**
 * listen_init() - Start without sockets
 * @s:		All zero
 * @conf:	Configuration
 * @loop:	Watches the sockets
 * @nsh:	Makes sockets in the namespace; NULL: rules of the namespace and rules
 *		that scan are left out
 * @fds:	Limit of descriptors; weak rules leave a quarter to flows
 */
void listen_init(struct listen *s, const struct conf *conf,
		 const struct hostnet *net, struct loop *loop,
		 struct nshelper *nsh, unsigned fds)
{
	unsigned reserved = fds / 4 > FDS_RESERVED ? fds / 4 : FDS_RESERVED;

	s->conf = conf;
	s->net = net;
	s->loop = loop;
	s->nsh = nsh;
	s->retry_ms = RETRY_MS;
	s->fd_max = fds > reserved ? (int)(fds - reserved) : 0;
	s->timer.ref = (union epoll_ref){ .kind = REF_RULES };
}

/* listen_on_state() - Call @fn when a rule is new, removed, or in a new state */
void listen_on_state(struct listen *s, listen_state_fn *fn, void *ctx)
{
	s->on_state = fn;
	s->state_ctx = ctx;
}

/* listen_on_drain() - Call @fn before the TCP socket of a removed rule is closed */
void listen_on_drain(struct listen *s, listen_drain_fn *fn, void *ctx)
{
	s->drain = fn;
	s->drain_ctx = ctx;
}

/**
 * listen_close_host() - Close the sockets of one protocol on the host
 * @s:		Listening sockets
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 *
 * Data that an ended command has sent may still wait in sockets of the namespace. A
 * change of the rules that is not complete never will be.
 */
void listen_close_host(struct listen *s, uint8_t proto)
{
	unsigned kind = proto == IPPROTO_TCP ? RULE_HOST_TCP : RULE_HOST_UDP;
	uint32_t i;

	for (i = 0; i < s->n; i++)
		if (s->l[i].fd >= 0 && s->l[i].kind == kind)
			listen_unbind(s, i);
	s->change.stopped = true;
	wheel_cancel(&s->loop->wheel, &s->timer);
}

/**
 * listen_close() - Close all sockets, so that a successor can bind the ports
 */
/* #syscalls close */
void listen_close(struct listen *s)
{
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		if (s->l[i].fd >= 0)
			close(s->l[i].fd);
	}
	memset(s->head, 0, sizeof(s->head));
	s->n = s->free = s->count = 0;
	wheel_cancel(&s->loop->wheel, &s->timer);
}
