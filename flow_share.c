/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow_share.c - Shares of flows in the table and in descriptors, and eviction
 *
 * Entries and descriptors are limited, and no class of flows may take the shares of
 * the others. Each class has a share of both:
 *
 *	stream		the rest, about 27/32
 *	datagram	1/8, rounded up
 *	echo		1/32, rounded up
 *
 * Datagrams and echo may exceed their share while entries are free; streams stay
 * within theirs, since established connections of the guest can't be evicted. Within a
 * class, flows that the host's side began, by a forwarded port, have three quarters of
 * the share, and the guest's own flows the rest. Inbound streams stay within their three
 * quarters, and all inbound flows within three quarters of everything, so a forwarded
 * port can't take the guest's network. The guest's own flows may exceed their quarter.
 *
 * If nothing is free, flows that have less than their share take from those that have
 * more, and flows that have their share or more take from themselves: first among
 * classes, then between the two sides. Either way the least useful flow is evicted:
 *
 *	no answer yet		once it is a second old
 *	answered		the longest idle one
 *	established, inbound	the longest idle one, if idle for ten seconds; an extra
 *				one (see below), if idle for a second
 *
 * A flow without an answer is safe in its first second, or requests would evict each
 * other before anybody can answer. But datagrams and echo end in their first second if
 * all flows with an answer were in use in the last ten seconds.
 *
 * Of each kind, extra flows end first. These are
 *
 *	inbound		flows of a peer that already has a quarter of the inbound share.
 *			They evict only each other, so a stranger can push out others from
 *			a quarter at most. Peers on this host have no such limit: a reverse
 *			proxy there speaks for many.
 *	streams		that the guest begins while its half-open ones have half of what is
 *			left beside other streams. They may be evicted in their first
 *			second. So in a flood of SYNs half of the room is for any peer that
 *			answers fast, and half for some that take a second.
 *
 * IPv6 peers are told apart by the first 64 bits of their address, since one host can
 * have all others. Peers whose addresses have the same keyed hash, one of FLOW_PEERS,
 * have one quarter together.
 *
 * Traffic does not touch the queues in which the longest idle flow is searched. If the
 * flow at the head had payload since it was queued, the search moves it to the tail. So
 * the cost of a new flow does not depend on the number of flows.
 */

#include "flow.h"

#include "log.h"
#include "siphash.h"

#define PENDING_MIN_MS	1000		/* without an answer or extra, before eviction */
#define IDLE_MIN_MS	10000		/* then evicted before a young flow */
#define REQUEUE_MAX	64		/* flows at the head that were not idle */

/**
 * struct claim - Flow that is to start
 * @class:	Its class
 * @inbound:	The host's side begins it
 * @extra:	It exceeds a limit
 * @need:	Amount of each resource
 */
struct claim {
	enum flow_class class;
	bool inbound, extra;
	uint32_t need[FLOW_RESOURCES];
};

/**
 * struct yielding - Flows of which one has to end
 * @class:	Their class
 * @inbound:	The host's side began them
 * @extra:	Only extra ones
 */
struct yielding {
	enum flow_class class;
	bool inbound, extra;
};

/* Queues of flows that may be evicted ------------------------------------ */

/**
 * flow_share_init() - Begin without flows, and without a limit of descriptors
 * @t:		The table, zeroed memory
 */
void flow_share_init(struct flow_table *t)
{
	const struct flow_queue empty = { FLOW_NONE, FLOW_NONE, 0 };
	struct flow_queue *q = &t->queue[0][0][0][0];
	size_t i;

	t->pool[FLOW_ENTRIES].total = FLOW_MAX;
	t->pool[FLOW_FDS].total = UINT32_MAX;
	for (i = 0; i < sizeof(t->queue) / sizeof(*q); i++)
		q[i] = empty;
}

static bool is_inbound(const struct flow *f)
{
	return f->group >= FLOW_IN;
}

/* Can a flow be evicted? Connections that the guest has established can't */
static bool is_queued(const struct flow *f)
{
	return f->rank != FLOW_KEPT || is_inbound(f);
}

static struct flow_queue *queue_of(struct flow_table *t, const struct flow *f)
{
	return &t->queue[f->class][f->group][f->rank][!!f->fds];
}

static void queue_append(struct flow_table *t, struct flow *f)
{
	struct flow_queue *q = queue_of(t, f);

	if (!is_queued(f))
		return;
	f->queued_ms = (uint32_t)f->last_ms;
	f->older = q->newest;
	f->newer = FLOW_NONE;
	q->newest = flow_index(t, f);
	if (f->older == FLOW_NONE)
		q->oldest = q->newest;
	else
		t->flow[f->older].newer = q->newest;
	q->count++;
}

static void queue_remove(struct flow_table *t, struct flow *f)
{
	struct flow_queue *q = queue_of(t, f);

	if (!is_queued(f))
		return;
	if (f->older == FLOW_NONE)
		q->oldest = f->newer;
	else
		t->flow[f->older].newer = f->newer;
	if (f->newer == FLOW_NONE)
		q->newest = f->older;
	else
		t->flow[f->newer].older = f->older;
	q->count--;
}

/* Find the longest idle flow of a queue, or of the REQUEUE_MAX at its head if they all
 * had payload since they were queued; NULL if it is empty */
static struct flow *queue_oldest(struct flow_table *t,
				 const struct flow_queue *q)
{
	struct flow *best = NULL, *f;
	unsigned i;

	for (i = 0; i < REQUEUE_MAX && q->oldest != FLOW_NONE; i++) {
		f = &t->flow[q->oldest];
		if (!best || f->last_ms < best->last_ms)
			best = f;
		if ((uint32_t)f->last_ms == f->queued_ms)
			break;
		queue_remove(t, f);
		queue_append(t, f);
	}
	return best;
}

/**
 * flow_set_rank() - Set how useful a flow is now
 * @t:		The table
 * @f:		The flow
 * @rank:	Its new rank
 */
void flow_set_rank(struct flow_table *t, struct flow *f, enum flow_rank rank)
{
	if (f->rank == rank)
		return;
	queue_remove(t, f);
	f->rank = (uint8_t)rank;
	queue_append(t, f);
}

/* Shares ----------------------------------------------------------------- */

/**
 * flow_limit_fds() - Set how many descriptors all flows may hold together
 * @t:		The table
 * @fds:	The number; if flows hold more, the next ones evict some
 */
void flow_limit_fds(struct flow_table *t, uint32_t fds)
{
	t->pool[FLOW_FDS].total = fds;
}

/* Amount of a resource that a class can always have */
static uint32_t share(const struct flow_pool *p, enum flow_class class)
{
	uint32_t datagram = p->total / 8 + 1, echo = p->total / 32 + 1;

	switch (class) {
	case FLOW_DATAGRAM:
		return datagram;
	case FLOW_ECHO:
		return echo;
	default:
		return p->total > datagram + echo ?
		       p->total - datagram - echo : 0;
	}
}

/* Part of @n for inbound flows, rounded up */
static uint32_t inbound_part(uint32_t n)
{
	return n - n / 4;
}

static uint32_t inbound_share(const struct flow_pool *p, enum flow_class class)
{
	return inbound_part(share(p, class));
}

/* May the host's side have @need more for @class without an eviction? */
static bool inbound_fits(const struct flow_pool *p, enum flow_class class,
			 uint32_t need)
{
	uint32_t inbound = need, i;

	for (i = 0; i < FLOW_CLASSES; i++)
		inbound += p->inbound[i];
	if (class == FLOW_STREAM &&
	    p->inbound[class] + need > inbound_share(p, class))
		return false;
	return inbound <= inbound_part(p->total);
}

/* May a flow have @need more of a resource without an eviction? */
static bool fits(const struct flow_pool *p, const struct claim *c,
		 uint32_t need)
{
	uint32_t held = 0, i;

	for (i = 0; i < FLOW_CLASSES; i++)
		held += p->held[i];
	if (!need)
		return true;
	if (c->class == FLOW_STREAM &&
	    p->held[c->class] + need > share(p, c->class))
		return false;
	if (c->inbound && !inbound_fits(p, c->class, need))
		return false;
	return held <= p->total && need <= p->total - held;
}

/* Peers ------------------------------------------------------------------ */

/* Is the peer of an inbound flow on this host? */
static bool is_local(const struct flowside *host)
{
	return inany_is_loopback(&host->eaddr) ||
	       inany_equals(&host->eaddr, &host->oaddr);
}

static unsigned peer_slot(const struct flow_table *t,
			  const struct flowside *host)
{
	const union inany *peer = &host->eaddr;

	return siphash(t->hash_key, peer->u64, inany_is_v4(peer) ? 2 : 1) %
	       FLOW_PEERS;
}

/* Would a flow exceed the quarter of its peer? */
static bool peer_exceeds(const struct flow_table *t, const struct claim *c,
			 const struct flowside *host)
{
	unsigned slot = peer_slot(t, host), r;

	for (r = 0; r < FLOW_RESOURCES; r++)
		if (t->pool[r].peer[c->class][slot] + c->need[r] >
		    inbound_share(&t->pool[r], c->class) / 4 + 1)
			return true;
	return false;
}

static uint32_t half_open(const struct flow_table *t, enum flow_group group)
{
	const struct flow_queue *q = t->queue[FLOW_STREAM][group][FLOW_PENDING];

	return q[0].count + q[1].count;
}

/* Do the guest's half-open streams, without extra ones, have half of what is left beside
 * other streams? Each counts as one entry and one descriptor */
static bool half_open_exceed(const struct flow_table *t)
{
	uint32_t n = half_open(t, FLOW_OUT), r;
	uint32_t all = n + half_open(t, FLOW_OUT_EXTRA);

	for (r = 0; r < FLOW_RESOURCES; r++) {
		const struct flow_pool *p = &t->pool[r];
		uint32_t max = share(p, FLOW_STREAM) + all;

		if (max <= p->held[FLOW_STREAM] ||
		    n >= (max - p->held[FLOW_STREAM]) / 2)
			return true;
	}
	return false;
}

/* Eviction --------------------------------------------------------------- */

/* May a flow end, the longest idle one of its queue? @young: another one may */
static bool may_end(const struct flow *f, bool young, uint64_t now_ms)
{
	uint64_t idle_ms = now_ms - f->last_ms;

	switch (f->rank) {
	case FLOW_PENDING:
		return idle_ms >= PENDING_MIN_MS;
	case FLOW_ANSWERED:
		return !young || idle_ms >= IDLE_MIN_MS;
	default:
		return idle_ms >= (f->group == FLOW_IN_EXTRA ? PENDING_MIN_MS :
							       IDLE_MIN_MS);
	}
}

/* May a flow without an answer end in its first second? */
static bool may_end_young(const struct flow *f)
{
	return f->rank == FLOW_PENDING &&
	       (f->class != FLOW_STREAM || f->group == FLOW_OUT_EXTRA);
}

/* The longest idle flow of some queues that holds some of @r, NULL if there is none */
static struct flow *longest_idle(struct flow_table *t,
				 const struct flow_queue *q,
				 enum flow_resource r)
{
	struct flow *f = queue_oldest(t, &q[1]);
	struct flow *g = r == FLOW_FDS ? NULL : queue_oldest(t, &q[0]);

	return !f || (g && g->last_ms < f->last_ms) ? g : f;
}

/* The least useful of some flows that holds some of @r, NULL if none may end */
static struct flow *least_useful(struct flow_table *t, const struct yielding *y,
				 enum flow_resource r, uint64_t now_ms)
{
	unsigned group = y->inbound ? FLOW_IN : FLOW_OUT, rank, extra;
	const unsigned least = y->extra;
	struct flow *f, *young = NULL;

	for (rank = FLOW_PENDING; rank < FLOW_RANKS; rank++) {
		for (extra = 2; extra-- > least; ) {
			f = longest_idle(t, t->queue[y->class][group + extra][rank],
					 r);
			if (f && may_end(f, young, now_ms))
				return f;
			if (f && !young && may_end_young(f))
				young = f;
		}
	}
	return young;
}

/* Class that loses a flow, so that @class can have more of a resource */
static enum flow_class class_yields(const struct flow_pool *p,
				    enum flow_class class)
{
	static const enum flow_class order[] = { FLOW_ECHO, FLOW_DATAGRAM };
	unsigned i;

	if (p->held[class] >= share(p, class))
		return class;
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (p->held[order[i]] > share(p, order[i]))
			return order[i];
	return class;
}

/* Does the host's side lose a flow of class @from, so that @c can start? */
static bool inbound_yields(const struct flow_pool *p, enum flow_class from,
			   const struct claim *c)
{
	uint32_t in = p->inbound[from], out = p->held[from] - in;
	uint32_t in_share = inbound_share(p, from);

	if (from != c->class)
		return in > in_share;
	return c->inbound ? in >= in_share : out < share(p, from) - in_share;
}

/* Flows of which one ends, so that @c can have more of a resource */
static struct yielding who_yields(const struct flow_pool *p,
				  const struct claim *c, enum flow_resource r)
{
	struct yielding y;

	if (c->inbound && !inbound_fits(p, c->class, c->need[r])) {
		y.inbound = true;
		y.class = c->class == FLOW_STREAM &&
			  p->inbound[c->class] + c->need[r] <=
				  inbound_share(p, c->class) ?
			  FLOW_DATAGRAM : c->class;
	} else {
		y.class = class_yields(p, c->class);
		y.inbound = inbound_yields(p, y.class, c);
	}
	y.extra = c->extra && c->inbound && y.inbound && y.class == c->class;
	return y;
}

/* The flow that has to end so that @c can have more of a resource, NULL if none may */
static struct flow *victim(struct flow_table *t, const struct claim *c,
			   enum flow_resource r, uint64_t now_ms)
{
	struct yielding y = who_yields(&t->pool[r], c, r);

	return t->ops ? least_useful(t, &y, r, now_ms) : NULL;
}

static bool evict_for(struct flow_table *t, const struct claim *c,
		      enum flow_resource r, uint64_t now_ms)
{
	struct flow *f = victim(t, c, r, now_ms);
	const struct flow_ops *ops;
	uint32_t count = t->count;

	if (!f)
		return false;
	t->evicted[f->class]++;
	if (f->rank == FLOW_KEPT)
		warn_limited("Too many inbound connections: the longest idle ones end");
	else
		debug_limited("Too many flows: the longest idle ones end");
	ops = &t->ops[f->timer.ref.kind];
	ops->evict(ops->ctx, f);
	return t->count < count;
}

/**
 * flow_evict() - Evict a flow of the guest, because the kernel has no descriptors left
 * @t:		The table
 * @class:	Class that needs one
 * @now_ms:	Time, CLOCK_MONOTONIC
 *
 * Return: false if none may end
 */
bool flow_evict(struct flow_table *t, enum flow_class class, uint64_t now_ms)
{
	const struct claim c = { .class = class, .need = { 1, 1 } };

	return evict_for(t, &c, FLOW_FDS, now_ms);
}

static bool claim_room(struct flow_table *t, const struct claim *c,
		      uint64_t now_ms)
{
	unsigned r;

	for (r = 0; r < FLOW_RESOURCES; r++)
		while (!fits(&t->pool[r], c, c->need[r]))
			if (!evict_for(t, c, r, now_ms)) {
				t->no_room[r]++;
				return false;
			}
	return true;
}

/**
 * flow_make_room() - Make sure that the guest can start a flow, by evicting others
 * @t:		The table
 * @class:	Of the flow
 * @fds:	Descriptors that it is to hold
 * @now_ms:	Time, CLOCK_MONOTONIC
 *
 * Return: true if flow_start() with these values would succeed now
 */
bool flow_make_room(struct flow_table *t, enum flow_class class, unsigned fds,
		    uint64_t now_ms)
{
	return claim_room(t, &(struct claim){
		.class = class,
		.need = { [FLOW_ENTRIES] = 1, [FLOW_FDS] = fds },
	}, now_ms);
}

/**
 * flow_admits() - Could some flow start now, perhaps if another one is evicted?
 * @t:		The table
 * @class:	Of the flow
 * @inbound:	The host's side begins it
 * @fds:	Descriptors that it is to hold
 * @now_ms:	Time, CLOCK_MONOTONIC
 *
 * Nothing is evicted yet. An extra flow may be refused nevertheless.
 */
bool flow_admits(struct flow_table *t, enum flow_class class, bool inbound,
		 unsigned fds, uint64_t now_ms)
{
	const struct claim c = {
		.class = class, .inbound = inbound,
		.need = { [FLOW_ENTRIES] = 1, [FLOW_FDS] = fds },
	};
	unsigned r;

	for (r = 0; r < FLOW_RESOURCES; r++) {
		if (!fits(&t->pool[r], &c, c.need[r]) &&
		    !victim(t, &c, r, now_ms)) {
			t->no_room[r]++;
			return false;
		}
	}
	return true;
}

/* Flows ------------------------------------------------------------------ */

/**
 * flow_claim() - Make room for a flow that is about to start
 * @t:		The table
 * @s:		All that is known about the flow
 * @now_ms:	Time, CLOCK_MONOTONIC
 * @group:	Set to the flow's group
 *
 * Return: false if there is no room
 */
bool flow_claim(struct flow_table *t, const struct flow_spec *s, uint64_t now_ms,
		enum flow_group *group)
{
	struct claim c = {
		.class = s->class,
		.inbound = s->pif[INI] == PIF_HOST && !s->shared,
		.need = { [FLOW_ENTRIES] = 1, [FLOW_FDS] = s->fds },
	};
	bool room;

	if (c.inbound)
		c.extra = !is_local(&s->side[INI]) &&
			  peer_exceeds(t, &c, &s->side[INI]);
	else
		c.extra = s->class == FLOW_STREAM && half_open_exceed(t);
	if (s->keep)
		queue_remove(t, s->keep);
	room = claim_room(t, &c, now_ms);
	if (s->keep)
		queue_append(t, s->keep);
	*group = (c.inbound ? FLOW_IN : FLOW_OUT) + c.extra;
	return room;
}

/* Count a flow and its descriptors, or with @sign -1 take them back */
static void count_held(struct flow_table *t, const struct flow *f, int sign)
{
	const int amount[FLOW_RESOURCES] = {
		[FLOW_ENTRIES] = sign, [FLOW_FDS] = sign * f->fds,
	};
	bool peers = f->group == FLOW_IN && !is_local(&f->side[INI]);
	unsigned slot = peers ? peer_slot(t, &f->side[INI]) : 0, r;

	for (r = 0; r < FLOW_RESOURCES; r++) {
		struct flow_pool *p = &t->pool[r];

		p->held[f->class] += (uint32_t)amount[r];
		if (is_inbound(f))
			p->inbound[f->class] += (uint32_t)amount[r];
		if (peers)
			p->peer[f->class][slot] += (uint32_t)amount[r];
	}
}

/**
 * flow_share_join() - Count a new flow, and let it be evicted
 * @t:		The table
 * @f:		The flow, with the group of flow_claim()
 */
void flow_share_join(struct flow_table *t, struct flow *f)
{
	count_held(t, f, 1);
	queue_append(t, f);
}

/**
 * flow_share_leave() - A flow ends
 * @t:		The table
 * @f:		The flow
 */
void flow_share_leave(struct flow_table *t, struct flow *f)
{
	queue_remove(t, f);
	count_held(t, f, -1);
}
