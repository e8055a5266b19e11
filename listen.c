/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.c - From forwarding rules to bound sockets
 *
 * Each port of a rule has one socket, on the host (-t, -u) or in the namespace
 * (-T, -U); listen_sock.c makes it. Events carry REF_LISTEN and the index of the
 * socket; inbound.c takes the connections and datagrams.
 *
 * listen_apply() compares a table of rules with the one it has bound before. A rule
 * that is in both keeps its sockets, and connections that wait there. A new rule takes
 * over the TCP sockets of a removed one for the same ports and address. If a port of a
 * new rule can't be bound, everything is as before the call.
 *
 * Rules that name their ports are bound at start, while we still have privileges. A
 * port in use may belong to an instance that is about to end, so we wait for it, up to
 * half a second for all ports together. A port that can't be bound then is an error.
 * Weak rules ("all") leave such ports out. They also leave a quarter of the
 * descriptors to flows. Rules that scan ("auto") are left to scan.c.
 */

#include "listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hostsock.h"
#include "listen_sock.h"
#include "log.h"
#include "nshelper.h"
#include "util.h"

enum {
	RETRY_MS	= 500,		/* of waiting for ports in use, in total */
	RETRY_STEP_MS	= 20,
	FDS_RESERVED	= 64,		/* for flows, at least; or a quarter */
};

/* The table of sockets --------------------------------------------------- */

static union epoll_ref listener_ref(uint32_t index)
{
	return (union epoll_ref){ .kind = REF_LISTEN, .index = index };
}

/*
 * listener_add() - Watch a bound socket
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
	rc = loop_add(s->loop, fd, EPOLLIN, listener_ref(i));
	if (rc)
		return rc;
	if (s->free)
		s->free = s->l[i].next;
	else
		s->n++;
	s->count++;
	s->l[i] = (struct listener){
		.fd = fd, .rule = rules_ref(&s->rules, r).number, .port = port,
		.next = s->head[kind][port],
		.cookie = (uint32_t)hostsock_cookie(fd),
	};
	s->head[kind][port] = i + 1;
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

		if (!s->l[i - 1].going && same_place(o, r))
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
	const struct fwd_rule *r = listen_rule(s, l);
	uint32_t *head = &s->head[rule_kind(r)][l->port], at;

	if (*head == i + 1) {
		*head = l->next;
	} else {
		for (at = *head; s->l[at - 1].next != i + 1; )
			at = s->l[at - 1].next;
		s->l[at - 1].next = l->next;
	}
	s->udp_closed |= r->proto == IPPROTO_UDP;
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
		if (!s->l[i].paused)
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
	warn("UDP port %u is in use on the host, and shared: option '-u %s' "
	     "forwards multicast only, other datagrams to that port stay with "
	     "the program of the host", port, r->spec);
	return 0;
}

/* listen_bind() - Bind a port of a rule: 0 or negative errno */
/* #syscalls close */
int listen_bind(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	int fd = listen_sock_open(s, r, port), rc;

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

/* Rules that name their ports -------------------------------------------- */

/* listen_is_exhausted() - Would another port fail, too, for want of resources? */
bool listen_is_exhausted(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM ||
	       rc == -ENOBUFS || rc == -ENOSPC;
}

/* May a new rule that names its ports have the port of this socket? */
static bool gives_way(const struct listen *s, const struct listener *l,
		      const struct fwd_rule *r)
{
	const struct fwd_rule *its = listen_rule(s, l);

	return (l->going || its->weak || its->scan) && rules_overlap(its, r);
}

/*
 * take_port() - Give a rule the port of sockets that give way to it
 *
 * A TCP socket that is bound to the same place is handed over, with the connections
 * that wait there. Others are closed: flows of UDP belong to a rule.
 *
 * Return: a socket was handed over; else try to bind the port again
 */
static bool take_port(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	uint32_t i, next;

	for (i = s->head[rule_kind(r)][port]; i; i = next) {
		struct listener *l = &s->l[i - 1];

		next = l->next;
		if (!gives_way(s, l, r))
			continue;
		s->freed = true;
		if (r->proto == IPPROTO_TCP && same_place(listen_rule(s, l), r)) {
			l->rule = rules_ref(&s->rules, r).number;
			l->going = 0;
			return true;
		}
		listen_unbind(s, i - 1);
	}
	return false;
}

static int bind_or_take(struct listen *s, const struct fwd_rule *r,
			uint16_t port)
{
	int rc = listen_bind(s, r, port);

	if (rc == -EADDRINUSE)
		rc = take_port(s, r, port) ? 0 : listen_bind(s, r, port);
	return rc == -EADDRINUSE ? groups_add(s, r, port) : rc;
}

/* rule_port_must() - Bind a port of a rule, wait while it is in use */
static int rule_port_must(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	const struct timespec step = { .tv_nsec = RETRY_STEP_MS * 1000000L };
	int rc;

	while ((rc = bind_or_take(s, r, port)) == -EADDRINUSE && s->retry_ms) {
		nanosleep(&step, NULL);
		s->retry_ms -= RETRY_STEP_MS;
	}
	return rc;
}

/* Bind the ports of a rule that have no socket yet: 0 or negative errno, logged */
static int rule_open_strict(struct listen *s, const struct fwd_rule *r)
{
	char buf[UTIL_ERROR_STRLEN];
	unsigned port;
	int rc = 0;

	for (port = r->first; port <= r->last && !rc; port++) {
		if (listen_find(s, r, (uint16_t)port, LISTEN_MAX) == LISTEN_MAX)
			rc = rule_port_must(s, r, (uint16_t)port);
		if (rc)
			err("Failed to bind port %u (%s) for option '-%c %s'",
			    port, util_strerror(rc, buf), rule_letter(r),
			    r->spec);
	}
	return rc;
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
	char buf[UTIL_ERROR_STRLEN];

	if (!s->full || s->full_told)
		return;
	s->full_told = true;
	warn("Only %u ports are bound, too few for option '-%c %s': %s",
	     s->count, rule_letter(s->full), s->full->spec,
	     util_strerror(s->full_error, buf));
}

/* rule_open_weak() - Bind as many ports of a weak rule as possible; decrements *@room */
static void rule_open_weak(struct listen *s, const struct fwd_rule *r,
			   unsigned *room)
{
	char buf[UTIL_ERROR_STRLEN];
	unsigned port;
	int rc;

	for (port = r->first; port <= r->last; port++) {
		if (listen_has(s, r, port))
			continue;
		rc = *room ? listen_bind(s, r, (uint16_t)port) : -EMFILE;
		if (listen_is_exhausted(rc) || (rc && nshelper_error_passes(rc))) {
			listen_full_note(s, r, rc);
			return;
		}
		if (rc)
			debug("Port %u can't be bound: %s", port,
			      util_strerror(rc, buf));
		else
			--*room;
	}
}

/* listen_is_off() - Is the protocol off, or the namespace out of reach? */
bool listen_is_off(const struct listen *s, const struct fwd_rule *r)
{
	return (r->proto == IPPROTO_TCP ? s->conf->no_tcp : s->conf->no_udp) ||
	       (!s->nsh && (r->from_ns || r->scan));
}

/* Does a rule have to be bound that is not bound yet? */
static bool is_new(const struct listen *s, const struct fwd_rule *r)
{
	struct rule_ref ref = rules_ref(&s->rules, r);

	return !r->scan && s->bound[ref.number] != ref.gen &&
	       !listen_is_off(s, r);
}

static void set_bound(struct listen *s, const struct fwd_rule *r)
{
	struct rule_ref ref = rules_ref(&s->rules, r);

	s->bound[ref.number] = ref.gen;
}

/* Next weak rule of a kind after @r that is not bound yet */
static const struct fwd_rule *next_weak(const struct listen *s, unsigned kind,
					const struct fwd_rule *r)
{
	while ((r = rules_next(&s->rules, r)))
		if (r->weak && rule_kind(r) == kind && is_new(s, r))
			return r;
	return NULL;
}

static unsigned weak_ports(const struct listen *s, unsigned kind)
{
	const struct fwd_rule *r = NULL;
	unsigned n = 0;

	while ((r = next_weak(s, kind, r)))
		n += r->last - r->first + 1U;
	return n;
}

/* Share the remaining descriptors between TCP and UDP in proportion to demand */
static void open_weak(struct listen *s)
{
	unsigned total = 0, used, left, kind, wanted, room;
	const struct fwd_rule *r;

	for (kind = 0; kind < RULE_KINDS; kind++)
		total += weak_ports(s, kind);
	if (!total)
		return;
	used = util_fds_used(s->loop->epfd);
	left = used < (unsigned)s->fd_max ? (unsigned)s->fd_max - used : 0;
	for (kind = 0; kind < RULE_KINDS; kind++) {
		wanted = weak_ports(s, kind);
		room = left >= total ? wanted :
		       (unsigned)((uint64_t)wanted * left / total);
		for (r = NULL; (r = next_weak(s, kind, r)); set_bound(s, r))
			rule_open_weak(s, r, &room);
	}
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
}

/* Changes ---------------------------------------------------------------- */

/* Mark the sockets of rules that are not in @rules any more, and switch to @rules */
static void switch_rules(struct listen *s, const struct rules *rules)
{
	uint32_t i;

	for (i = 0; i < s->n; i++)
		s->l[i].going = s->l[i].fd >= 0 &&
				!rules_at(rules, rules_ref(&s->rules,
						listen_rule(s, &s->l[i])));
	if (s->full && !rules_at(rules, rules_ref(&s->rules, s->full))) {
		s->full = NULL;
		s->full_told = false;
	}
	rules_copy(&s->old, &s->rules);
	rules_copy(&s->rules, rules);
}

/* Bind the ports of new rules that name them: 0 or negative errno */
static int open_strict(struct listen *s)
{
	const struct fwd_rule *r = NULL;
	int rc = 0;

	while (!rc && (r = rules_next(&s->rules, r)))
		if (!r->weak && is_new(s, r))
			rc = rule_open_strict(s, r);
	return rc;
}

/* Close the sockets of removed rules, and note that new rules are bound */
static void keep_changes(struct listen *s)
{
	const struct fwd_rule *r = NULL;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		if (s->l[i].going) {
			listen_unbind(s, i);
			s->freed = true;
		}
	}
	while ((r = rules_next(&s->rules, r)))
		if (!r->weak && is_new(s, r))
			set_bound(s, r);
}

/* Rule of the table before that the port of a new rule's socket is for, NULL: none */
static const struct fwd_rule *owner_before(const struct listen *s,
					   const struct fwd_rule *r,
					   uint16_t port)
{
	const struct fwd_rule *o = NULL;

	while ((o = rules_next(&s->old, o)))
		if (rule_kind(o) == rule_kind(r) && same_place(o, r) &&
		    o->first <= port && port <= o->last)
			return o;
	return NULL;
}

/* Close the sockets of new rules, or give them back */
static void give_back(struct listen *s)
{
	const struct fwd_rule *r, *o;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		struct listener *l = &s->l[i];

		if (l->fd < 0 || l->going)
			continue;
		r = listen_rule(s, l);
		if (rules_at(&s->old, rules_ref(&s->rules, r)))
			continue;
		o = owner_before(s, r, l->port);
		if (!o) {
			listen_unbind(s, i);
			continue;
		}
		l->rule = rules_ref(&s->old, o).number;
		l->going = 1;
	}
}

/* Bind the ports again that rules have lost to new ones */
static void bind_lost(struct listen *s)
{
	const struct fwd_rule *r = NULL;

	while ((r = rules_next(&s->rules, r)))
		if (!r->weak && !r->scan && !listen_is_off(s, r) && !is_new(s, r))
			rule_open_strict(s, r);
}

/* Make everything as it was before switch_rules() */
static void undo_changes(struct listen *s)
{
	uint32_t i;

	give_back(s);
	rules_copy(&s->rules, &s->old);
	for (i = 0; i < s->n; i++)
		s->l[i].going = 0;
	bind_lost(s);
}

/* Let weak rules have ports that are free again */
static void reopen_weak(struct listen *s)
{
	const struct fwd_rule *r = NULL;

	while (s->freed && (r = rules_next(&s->rules, r)))
		if (r->weak && !r->scan)
			s->bound[rules_ref(&s->rules, r).number] = 0;
	s->freed = false;
	open_weak(s);
	listen_full_warn(s);
}

/**
 * listen_apply() - Bind the ports of a table of rules in place of the last table
 * @s:		Listening sockets
 * @rules:	Table: the first one, or one changed since the last call; copied
 *
 * Rules that name their ports are bound first, also to ports of removed rules and of
 * weak ones. Then the sockets of removed rules are closed, and weak rules have the
 * ports that are left.
 *
 * Only the first call waits for ports in use. If @udp_closed is set after a later
 * one, the flows of closed UDP sockets have to end. Pointers to removed rules are no
 * longer good. Errors are logged here.
 *
 * Return: 0; negative errno if a port that a rule names can't be bound, and the rules
 * and their ports are those of the last call
 */
int listen_apply(struct listen *s, const struct rules *rules)
{
	int rc;

	if (s->applied)
		s->retry_ms = 0;
	s->applied = true;
	switch_rules(s, rules);
	rc = open_strict(s);
	if (rc)
		undo_changes(s);
	else
		keep_changes(s);
	reopen_weak(s);
	return rc;
}

/**
 * listen_close_host() - Close the sockets of one protocol on the host
 * @s:		Listening sockets
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 *
 * Data that an ended command has sent may still wait in sockets of the namespace.
 */
void listen_close_host(struct listen *s, uint8_t proto)
{
	const struct fwd_rule *r;
	uint32_t i;

	for (i = 0; i < s->n; i++) {
		r = listen_rule(s, &s->l[i]);
		if (s->l[i].fd >= 0 && !r->from_ns && r->proto == proto)
			listen_unbind(s, i);
	}
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
}
