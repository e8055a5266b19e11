/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen_change.c - Changes of the forwarding rules, whole or in slices
 *
 * A change makes one table of rules out of another. It has phases:
 *
 *	BIND	bind the ports of new rules that name them; they are staged. Last come
 *		those for which sockets of old rules have to be closed
 *	RELEASE	close the sockets of removed rules, after their last connections
 *	GONE	tell which rules are removed
 *	SWITCH	the new table is in force
 *	ARM	watch the staged sockets
 *	RETRY	bind ports of waiting rules, if ports got free
 *	WEAK	let weak rules ("all") have the ports that are left
 *	TELL	tell the state of the new rules
 *
 * If a port can't be bound, UNDO closes the staged sockets instead, and RETRY and WEAK
 * bind the ports again that old rules had lent to new ones: nothing has changed. A
 * partial change goes on, and the rule waits. Nothing can fail from RELEASE on.
 *
 * A rule that is in both tables keeps its sockets, and connections that wait there. A
 * new rule takes over the TCP sockets of a removed one for the same ports and address.
 * Until SWITCH, connections come by the old rules.
 *
 * Each phase is a row of small units, one socket or one rule each. listen_step() does
 * as many as fit into a slice of time, so that flows are served in between. If a socket
 * needs the helper of the namespace, the change goes on when it has answered; a helper
 * that takes longer than HELPER_MS is an error of that rule.
 *
 * A rule that names its ports and has not got all of them is waiting. It is tried again
 * every WAIT_MS, and when ports got free. The port that failed comes first: as long as
 * it fails, an attempt costs one call.
 *
 * At start, while we still have privileges, everything is done at once. A port in use
 * may belong to an instance that is about to end, so we wait for it, up to half a
 * second for all ports together. A port that can't be bound then is an error. Weak
 * rules leave such ports out. They also leave a quarter of the descriptors to flows.
 */

#include "listen_change.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "log.h"
#include "loop.h"
#include "nshelper.h"
#include "util.h"

enum {
	START_STEP_MS	= 20,		/* between attempts at start */
	WAIT_MS		= 4000,		/* between attempts of waiting rules */
	HELPER_MS	= 1000,		/* for an answer of the helper */
	CHEAP		= 256,		/* sockets or ports to look at in a unit */
	DRAIN_MAX	= 129,		/* batches of a closing socket's connections */
};

/* Rules ------------------------------------------------------------------ */

static unsigned ports_of(const struct fwd_rule *r)
{
	return r->last - r->first + 1U;
}

/* Does a rule have to have all of its ports? */
static bool is_named(const struct listen *s, const struct fwd_rule *r)
{
	return !r->weak && !r->scan && !listen_is_off(s, r);
}

static bool takes_free(const struct listen *s, const struct fwd_rule *r)
{
	return r->weak && !r->scan && !listen_is_off(s, r);
}

/* Rule of the current unit, NULL: none yet */
static const struct fwd_rule *current(const struct listen *s,
				      const struct rules *table)
{
	return s->change.rule ? &table->e[s->change.rule - 1].rule : NULL;
}

/* Go on to the next rule of a table, NULL: there is none */
static const struct fwd_rule *advance(struct listen *s, const struct rules *table)
{
	const struct fwd_rule *r = rules_next(table, current(s, table));

	s->change.rule = r ? rules_ref(table, r).number + 1 : 0;
	s->change.port = 0;
	return r;
}

/* Is a rule of the table in force one that this change has added? */
static bool was_added(const struct listen *s, const struct fwd_rule *r)
{
	return rules_ref(&s->rules, r).gen > s->change.since;
}

static void tell_state(const struct listen *s, const struct fwd_rule *r, bool removed)
{
	if (s->on_state)
		s->on_state(s->state_ctx, r, removed);
}

/* Wait for the helper in the namespace */
static void block(struct listen *s)
{
	s->change.blocked = true;
	s->change.answers = s->nsh->answers;
	if (!timer_armed(&s->timer))
		wheel_arm(&s->loop->wheel, &s->timer,
			  s->loop->now_ms + HELPER_MS);
}

/* New rules -------------------------------------------------------------- */

/* Bind a port of a rule; at start, wait while it is in use */
static int bind_port(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	const struct timespec step = { .tv_nsec = START_STEP_MS * 1000000L };
	int rc;

	while ((rc = listen_bind_named(s, r, port, s->change.last)) == -EADDRINUSE &&
	       s->retry_ms) {
		nanosleep(&step, NULL);
		s->retry_ms -= START_STEP_MS;
	}
	return rc;
}

/* A port of a new rule can't be bound: log it, unless the rule may wait */
static void bind_failed(struct listen *s, const struct fwd_rule *r,
			uint16_t port, int rc)
{
	static struct log_limit limit;
	struct listen_slot *slot = listen_slot(s, r);
	char buf[UTIL_ERROR_STRLEN], spec[RULES_SPEC];

	if (slot->error)
		return;
	slot->error = rc;
	slot->error_port = slot->retry = port;
	if (s->change.partial)
		return;
	s->change.rc = rc;
	s->change.failed = s->change.rule;
	s->change.failed_port = port;
	/* A client has the error itself, and may try as often as it likes */
	if (!s->change.nowait || log_limited(&limit))
		err("Failed to bind port %u (%s) for option '-%c %s'", port,
		    util_strerror(rc, buf), rule_letter(r), rules_shown(r, spec));
}

/* Go on to the next new rule with ports to bind; false at the end */
static bool next_new(struct listen *s)
{
	struct listen_change *c = &s->change;
	const struct fwd_rule *r = advance(s, &s->next);

	if (!r && c->put_off && !c->last) {
		c->last = true;		/* begin again with the first rule */
		return true;
	}
	if (r && is_named(s, r) && !rules_at(&s->rules, rules_ref(&s->next, r)) &&
	    (!c->last || listen_slot(s, r)->put_off))
		c->port = r->first;
	return r;
}

/* Bind a port of a new rule, unless that is done or has to wait for the others */
static int bind_new(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	int rc;

	if (s->change.last && listen_find(s, r, port, LISTEN_MAX) != LISTEN_MAX)
		return 0;
	rc = bind_port(s, r, port);
	if (rc != -EBUSY || s->change.last)
		return rc;
	s->change.put_off = listen_slot(s, r)->put_off = true;
	return 0;
}

/* PHASE_BIND: one port */
static bool unit_bind(struct listen *s)
{
	struct listen_change *c = &s->change;
	const struct fwd_rule *r = current(s, &s->next);
	uint16_t port = (uint16_t)c->port;
	int rc;

	if (!port)
		return !next_new(s);
	rc = bind_new(s, r, port);
	if (rc == -EINPROGRESS) {
		block(s);
		return false;
	}
	if (rc)
		bind_failed(s, r, port, rc);
	c->port = port == r->last || listen_is_exhausted(rc) ? 0 : port + 1U;
	return c->rc;
}

/* PHASE_UNDO: close one staged socket */
static bool unit_undo(struct listen *s)
{
	uint32_t *i = &s->change.index, end = *i + CHEAP;

	for (; *i < s->n && *i < end; ++*i) {
		s->l[*i].taken = 0;
		if (s->l[*i].fd < 0 || !s->l[*i].staged)
			continue;
		listen_unbind(s, (*i)++);
		break;
	}
	return *i >= s->n;
}

/* Removed rules ---------------------------------------------------------- */

/*
 * drain() - Accept connections that wait at the socket of a removed rule
 *
 * Return: there may be more
 */
/* #syscalls listen */
static bool drain(struct listen *s, uint32_t index)
{
	const struct listener *l = &s->l[index];
	unsigned *n = &s->change.drained;

	if (!s->drain || l->paused ||
	    (l->kind != RULE_HOST_TCP && l->kind != RULE_NS_TCP))
		return false;
	if (!*n)
		listen(l->fd, 0);	/* let no others queue up behind them */
	if (s->drain(s->drain_ctx, index) && ++*n < DRAIN_MAX)
		return true;
	*n = 0;
	return false;
}

/* Close a socket if its rule is removed; true if that, or a part of it, was done */
static bool release(struct listen *s, uint32_t *index)
{
	const struct listener *l = &s->l[*index];

	if (l->fd < 0 || l->staged)
		return false;
	if (l->taken) {
		listen_adopt(s, (*index)++);
		return true;
	}
	if (rules_at(&s->next, rules_ref(&s->rules, listen_rule(s, l))))
		return false;
	if (drain(s, *index))
		return true;
	if (l->fd >= 0)			/* else it was found not to listen */
		listen_unbind(s, *index);
	++*index;
	s->freed = true;
	return true;
}

/* PHASE_RELEASE: close one socket, or a batch of its connections */
static bool unit_release(struct listen *s)
{
	uint32_t *i = &s->change.index, end = *i + CHEAP;

	while (*i < s->n && *i < end && !release(s, i))
		++*i;
	return *i >= s->n;
}

/* PHASE_GONE: tell of one rule */
static bool unit_gone(struct listen *s)
{
	const struct fwd_rule *r = advance(s, &s->rules);

	if (r && !rules_at(&s->next, rules_ref(&s->rules, r)))
		tell_state(s, r, true);
	return !r;
}

/* PHASE_SWITCH: all at once, it is two copies of memory */
static bool unit_switch(struct listen *s)
{
	const struct fwd_rule *r = NULL;

	if (s->full && !rules_at(&s->next, rules_ref(&s->rules, s->full))) {
		s->full = NULL;
		s->full_told = false;
	}
	rules_copy(&s->rules, &s->next);
	s->waiting = 0;
	while ((r = rules_next(&s->rules, r))) {
		struct rule_ref ref = rules_ref(&s->rules, r);

		if (s->slot[ref.number].gen != ref.gen)
			s->slot[ref.number] = s->next_slot[ref.number];
		s->waiting += s->slot[ref.number].waiting;
	}
	return true;
}

/* PHASE_ARM: watch one socket */
static bool unit_arm(struct listen *s)
{
	uint32_t *i = &s->change.index, end = *i + CHEAP;

	for (; *i < s->n && *i < end; ++*i) {
		if (s->l[*i].fd < 0 || !s->l[*i].staged)
			continue;
		listen_arm(s, (*i)++);
		break;
	}
	return *i >= s->n;
}

/* Rules that wait -------------------------------------------------------- */

/* Take note of whether a rule waits; tell if that is new */
static void settle_wait(struct listen *s, const struct fwd_rule *r)
{
	struct listen_slot *slot = listen_slot(s, r);
	bool waits = slot->bound < ports_of(r);
	char buf[UTIL_ERROR_STRLEN], spec[RULES_SPEC];

	if (!waits)
		slot->error = 0;
	if (waits == slot->waiting)
		return;
	slot->waiting = waits;
	s->waiting += waits ? 1 : -1;
	if (waits)
		warn_limited("Port %u can't be bound for now (%s), option '-%c %s' "
			     "waits for it", slot->error_port,
			     util_strerror(slot->error, buf), rule_letter(r),
			     rules_shown(r, spec));
	else
		info_limited("All ports of option '-%c %s' are bound now",
			     rule_letter(r), rules_shown(r, spec));
	if (!was_added(s, r))		/* else PHASE_TELL does */
		tell_state(s, r, false);
}

static uint16_t port_after(const struct fwd_rule *r, uint16_t port)
{
	return port == r->last ? r->first : port + 1;
}

/* First port from @port on that is not bound; the first one follows the last one */
static uint16_t missing(const struct listen *s, const struct fwd_rule *r,
			uint16_t port)
{
	unsigned n = ports_of(r);

	while (n-- && listen_find(s, r, port, LISTEN_MAX) != LISTEN_MAX)
		port = port_after(r, port);
	return port;
}

/* Go on to the next rule that lacks ports; false at the end */
static bool next_lacking(struct listen *s)
{
	const struct fwd_rule *r = advance(s, &s->rules);
	const struct listen_slot *slot;

	if (!r)
		return false;
	slot = listen_slot(s, r);
	if (is_named(s, r) && slot->bound < ports_of(r))
		s->change.port = slot->retry ? slot->retry : r->first;
	return true;
}

/* PHASE_RETRY: one port */
static bool unit_retry(struct listen *s)
{
	struct listen_change *c = &s->change;
	const struct fwd_rule *r = current(s, &s->rules);
	struct listen_slot *slot;
	uint16_t port;
	int rc;

	if (!c->retrying)
		return true;
	if (!c->port)
		return !next_lacking(s);
	slot = listen_slot(s, r);
	port = missing(s, r, (uint16_t)c->port);
	c->port = port;
	rc = listen_bind_named(s, r, port, true);
	if (rc == -EINPROGRESS) {
		block(s);
		return false;
	}
	slot->retry = port_after(r, port);
	c->port = slot->retry;
	if (rc) {
		slot->error = rc;
		slot->error_port = port;
	}
	if (rc || slot->bound == ports_of(r)) {
		settle_wait(s, r);
		c->port = 0;
	}
	return false;
}

/* Rules that take what is left -------------------------------------------- */

static unsigned weak_ports(const struct listen *s, unsigned kind)
{
	const struct fwd_rule *r = NULL;
	unsigned n = 0;

	while ((r = rules_next(&s->rules, r)))
		if (rule_kind(r) == kind && takes_free(s, r) &&
		    s->slot[rules_ref(&s->rules, r).number].untried)
			n += ports_of(r);
	return n;
}

/*
 * weak_begin() - See which weak rules may get ports
 *
 * They share the remaining descriptors in proportion to demand.
 *
 * Return: false if there is nothing to do
 */
static bool weak_begin(struct listen *s)
{
	unsigned total = 0, used, left, kind, wanted[RULE_KINDS];
	const struct fwd_rule *r = NULL;

	while (s->freed && (r = rules_next(&s->rules, r)))
		if (takes_free(s, r))
			listen_slot(s, r)->untried = true;
	s->freed = false;
	for (kind = 0; kind < RULE_KINDS; kind++)
		total += wanted[kind] = weak_ports(s, kind);
	if (!total)
		return false;
	used = util_fds_used(s->loop->epfd);
	left = used < (unsigned)s->fd_max ? (unsigned)s->fd_max - used : 0;
	for (kind = 0; kind < RULE_KINDS; kind++)
		s->change.room[kind] = left >= total ? wanted[kind] :
			(unsigned)((uint64_t)wanted[kind] * left / total);
	return true;
}

/* Bind a port of a weak rule; true if the rule can have others */
static bool bind_weak(struct listen *s, const struct fwd_rule *r, uint16_t port)
{
	unsigned *room = &s->change.room[rule_kind(r)];
	char buf[UTIL_ERROR_STRLEN];
	int rc = *room ? listen_bind(s, r, port) : -EMFILE;

	if (rc == -EINPROGRESS) {
		block(s);
		return true;
	}
	if (listen_is_exhausted(rc) || (rc && nshelper_error_passes(rc))) {
		listen_full_note(s, r, rc);
		return false;
	}
	if (rc)
		debug("Port %u can't be bound: %s", port, util_strerror(rc, buf));
	else
		--*room;
	return true;
}

/* PHASE_WEAK: one port */
static bool unit_weak(struct listen *s)
{
	struct listen_change *c = &s->change;
	const struct fwd_rule *r = current(s, &s->rules);
	unsigned end = c->port + CHEAP;

	if (!c->rule && !weak_begin(s))
		return true;
	if (!c->port) {
		r = advance(s, &s->rules);
		if (r && takes_free(s, r) && listen_slot(s, r)->untried)
			c->port = r->first;
		return !r;
	}
	while (c->port <= r->last && c->port < end && listen_has(s, r, c->port))
		c->port++;
	if (c->port > r->last ||
	    (c->port < end && !bind_weak(s, r, (uint16_t)c->port))) {
		listen_slot(s, r)->untried = false;
		c->port = 0;
	} else if (c->port < end && !c->blocked) {
		c->port++;
	}
	return false;
}

/* PHASE_TELL: the state of one new rule */
static bool unit_tell(struct listen *s)
{
	const struct fwd_rule *r = advance(s, &s->rules);

	if (r && was_added(s, r)) {
		if (is_named(s, r))
			settle_wait(s, r);
		tell_state(s, r, false);
	}
	return !r;
}

/* The whole -------------------------------------------------------------- */

static void enter(struct listen *s, enum listen_phase phase)
{
	struct listen_change *c = &s->change;

	c->phase = phase;
	c->index = c->rule = c->port = c->drained = 0;
	if (phase == PHASE_RETRY) {
		c->retrying = c->retry || s->freed;
		c->retry = false;
	}
}

/* A change is complete: arm the timer if rules wait */
static void finish(struct listen *s)
{
	enter(s, PHASE_IDLE);
	listen_full_warn(s);
	if (s->waiting)
		wheel_arm(&s->loop->wheel, &s->timer, s->loop->now_ms + WAIT_MS);
	if (s->waiting && s->change.retry)
		listen_retry(s);
}

/* Go on to the phase after this one */
static void next_phase(struct listen *s)
{
	static const enum listen_phase next[] = {
		[PHASE_BIND] = PHASE_RELEASE, [PHASE_UNDO] = PHASE_RETRY,
		[PHASE_RELEASE] = PHASE_GONE, [PHASE_GONE] = PHASE_SWITCH,
		[PHASE_SWITCH] = PHASE_ARM, [PHASE_ARM] = PHASE_RETRY,
		[PHASE_RETRY] = PHASE_WEAK, [PHASE_WEAK] = PHASE_TELL,
		[PHASE_TELL] = PHASE_IDLE,
	};
	enum listen_phase phase = s->change.phase;

	if (phase == PHASE_BIND && s->change.rc)
		enter(s, PHASE_UNDO);
	else if (next[phase] == PHASE_IDLE)
		finish(s);
	else
		enter(s, next[phase]);
}

/* Do one unit of the current phase */
static void unit(struct listen *s)
{
	static bool (*const units[])(struct listen *s) = {
		[PHASE_BIND] = unit_bind, [PHASE_UNDO] = unit_undo,
		[PHASE_RELEASE] = unit_release, [PHASE_GONE] = unit_gone,
		[PHASE_SWITCH] = unit_switch, [PHASE_ARM] = unit_arm,
		[PHASE_RETRY] = unit_retry, [PHASE_WEAK] = unit_weak,
		[PHASE_TELL] = unit_tell,
	};
	bool complete = units[s->change.phase](s);

	/* While the change goes on, the timer is the helper's */
	if (!s->change.blocked)
		wheel_cancel(&s->loop->wheel, &s->timer);
	if (complete)
		next_phase(s);
}

/**
 * listen_start() - Begin to make another table of rules the one in force
 * @s:		Listening sockets
 * @next:	Table: the first one, or a changed copy of @s->rules; copied
 * @partial:	Rules that can't be bound wait, else one of them undoes it all
 *
 * listen_step() does the work, and listen_result() tells how it went.
 *
 * Return: 0; -EBUSY: there is a change already
 */
int listen_start(struct listen *s, const struct rules *next, bool partial)
{
	const struct fwd_rule *r = NULL;

	if (listen_busy(s))
		return -EBUSY;
	if (s->applied)
		s->retry_ms = 0;
	s->applied = true;
	wheel_cancel(&s->loop->wheel, &s->timer);
	rules_copy(&s->next, next);
	while ((r = rules_next(&s->next, r)))
		*listen_slot(s, r) = (struct listen_slot){
			.gen = rules_ref(&s->next, r).gen, .untried = r->weak,
		};
	s->change = (struct listen_change){
		.since = s->rules.gen, .partial = partial, .nowait = true,
		.stopped = s->change.stopped,
		.rc = s->change.stopped ? -ECANCELED : 0,
	};
	enter(s, PHASE_BIND);
	return 0;
}

/* listen_busy() - Is there a change that is not complete? */
bool listen_busy(const struct listen *s)
{
	return s->change.phase != PHASE_IDLE && !s->change.stopped;
}

static uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (unsigned)ts.tv_nsec / 1000;
}

/* Must the caller end flows of UDP before their rules are overwritten? */
static bool has_flows_to_end(const struct listen *s)
{
	return s->udp_closed && s->change.phase == PHASE_SWITCH;
}

/**
 * listen_step() - Do a part of the change
 * @s:		Listening sockets
 * @budget:	Time to work, microseconds; one unit takes some 20 and is always done
 *
 * If @s->udp_closed is set, the caller ends the flows of closed UDP sockets and clears
 * it: the change goes no further than that.
 *
 * Return: true: call again, but let other work be done in between; false: there is no
 * change, or it waits for an event
 */
bool listen_step(struct listen *s, unsigned budget)
{
	struct listen_change *c = &s->change;
	uint64_t end;

	if (!listen_busy(s) ||
	    (c->blocked && c->answers == s->nsh->answers))
		return false;
	c->blocked = false;
	end = clock_us() + budget;
	do {
		if (has_flows_to_end(s))
			return true;
		unit(s);
	} while (listen_busy(s) && !c->blocked && clock_us() < end);
	return listen_busy(s) && !c->blocked;
}

/**
 * listen_result() - How did the last change go?
 * @s:		Listening sockets, not listen_busy()
 * @rule:	Set to the rule that failed, as it was in the table, NULL: none
 * @port:	Set to its port
 *
 * Return: 0; negative errno if a port that a rule names can't be bound, and the rules
 * and their ports are as before
 */
int listen_result(const struct listen *s, const struct fwd_rule **rule,
		  uint16_t *port)
{
	const struct listen_change *c = &s->change;

	*rule = c->failed ? &s->next.e[c->failed - 1].rule : NULL;
	*port = c->failed_port;
	return c->rc;
}

/**
 * listen_apply() - Bind the ports of a table of rules in place of the last table
 * @s:		Listening sockets
 * @rules:	Table: the first one, or a changed copy of @s->rules; copied
 *
 * All at once. Only the first call waits for ports in use. If @udp_closed is set after
 * a later one, the flows of closed UDP sockets have to end. Pointers to removed rules
 * are no longer good. Errors are logged here.
 *
 * Return: as of listen_result()
 */
int listen_apply(struct listen *s, const struct rules *rules)
{
	int rc = listen_start(s, rules, false);

	if (rc)
		return rc;
	s->change.nowait = false;
	while (listen_busy(s))
		unit(s);
	return s->change.rc;
}

/**
 * listen_retry() - Try to bind waiting rules now, since something may have changed
 * @s:		Listening sockets
 */
void listen_retry(struct listen *s)
{
	s->change.retry = true;
	if (listen_busy(s) || !s->waiting)
		return;
	s->change.since = s->rules.gen;
	s->change.nowait = true;
	wheel_cancel(&s->loop->wheel, &s->timer);
	enter(s, PHASE_RETRY);
}

/**
 * listen_lost() - A socket is not bound any more: close it, its rule waits
 * @s:		Listening sockets
 * @index:	Of the socket
 * @error:	Negative errno
 */
void listen_lost(struct listen *s, uint32_t index, int error)
{
	const struct listener *l = listen_at(s, index);
	const struct fwd_rule *r;
	struct listen_slot *slot;
	uint16_t port;

	if (!l)
		return;
	r = listen_rule(s, l);
	port = l->port;
	listen_unbind(s, index);
	if (!is_named(s, r))
		return;
	slot = listen_slot(s, r);
	slot->error = error;
	slot->error_port = slot->retry = port;
	settle_wait(s, r);
	if (!listen_busy(s) && !timer_armed(&s->timer))
		wheel_arm(&s->loop->wheel, &s->timer, s->loop->now_ms + WAIT_MS);
}

/**
 * listen_timer() - The timer of REF_RULES has fired
 * @s:		Listening sockets
 */
void listen_timer(struct listen *s)
{
	if (s->change.blocked)
		nshelper_give_up(s->nsh);
	else
		listen_retry(s);
}
