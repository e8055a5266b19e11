/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow.c - The flow table: index, hash, two sides, lifetimes, shares
 *
 * Entries lie in one array; free ones form a list, and entries beyond @high have
 * never been touched, so that they cost no memory. The hash
 * is open addressing with linear probing and backward-shift deletion (Knuth,
 * TAOCP vol. 3, 6.4, Algorithm R), at most half full even with both sides of
 * every flow in it, keyed with SipHash so that a guest can't choose colliding
 * flows.
 *
 * Entries and descriptors are limited, and no class of flows may take the shares of
 * the others. Each class has a share of both:
 *
 *	stream		the rest, about 27/32
 *	datagram	1/8, rounded up
 *	echo		1/32, rounded up
 *
 * Datagrams and echo may exceed their share while entries are free. Established
 * connections can't be evicted, so streams stay within theirs. If nothing is
 * free, a class that has less than its share takes from one that has more, and a
 * class that has its share or more takes from itself. Either way the least
 * useful flow is evicted: flows without an answer come first, and among equals the
 * longest idle one. A flow without an answer is safe in its first second, unless all
 * flows with an answer were in use in the last ten seconds: otherwise requests would
 * evict each other before anybody can answer. A stream can be evicted only if it is
 * not established, or no longer, and never in its first second.
 *
 * Traffic does not touch the queues in which the longest idle flow is searched. If the
 * flow at the head had packets since it was queued, the search moves it to the tail.
 */

#include "flow.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "log.h"

#define PENDING_MIN_MS	1000		/* without an answer, before eviction */
#define ANSWERED_IDLE_MS	10000	/* then evicted before a young flow */
#define REQUEUE_MAX	64		/* flows at the head that were not idle */

#define HASH_MASK	(FLOW_MAX * 4 - 1)
#define HASH_ENTRY(index, side)	((index) << 1 | (side))

static inline uint64_t rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1]; v[1] = rotl(v[1], 13); v[1] ^= v[0]; v[0] = rotl(v[0], 32);
	v[2] += v[3]; v[3] = rotl(v[3], 16); v[3] ^= v[2];
	v[0] += v[3]; v[3] = rotl(v[3], 21); v[3] ^= v[0];
	v[2] += v[1]; v[1] = rotl(v[1], 17); v[1] ^= v[2]; v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 over whole words (Aumasson and Bernstein, 2012) */
static uint32_t siphash(const uint64_t key[2], const uint64_t *words, size_t n)
{
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL,
		key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL,
	};
	uint64_t last = (uint64_t)n * 8 << 56;
	size_t i;

	for (i = 0; i <= n; i++) {
		uint64_t m = i < n ? words[i] : last;

		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	v[2] ^= 0xff;
	for (i = 0; i < 3; i++)
		sip_round(v);

	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/**
 * flowside_hash() - Hash one side of a flow with a key, 32 bits
 * @key:	Key: without it, nobody can foresee the result
 * @proto:	IPPROTO_*
 * @pif:	Interface that the side is on
 * @s:		Addresses and ports
 */
uint32_t flowside_hash(const uint64_t key[2], uint8_t proto, uint8_t pif,
		       const struct flowside *s)
{
	uint64_t words[5] = {
		s->oaddr.u64[0], s->oaddr.u64[1],
		s->eaddr.u64[0], s->eaddr.u64[1],
		(uint64_t)s->oport << 32 | (uint64_t)s->eport << 16 |
		(uint64_t)proto << 8 | pif,
	};

	return siphash(key, words, 5);
}

/**
 * flow_hash() - Hash one side of a flow, so that nobody outside can foresee it
 * @t:		The table, for its key
 * @proto:	IPPROTO_*
 * @pif:	Interface that the side is on
 * @s:		Addresses and ports
 *
 * Return: 0 to FLOW_MAX * 4 - 1
 */
uint32_t flow_hash(const struct flow_table *t, uint8_t proto, uint8_t pif,
		   const struct flowside *s)
{
	return flowside_hash(t->hash_key, proto, pif, s) & HASH_MASK;
}

/**
 * flow_init() - Make an empty table
 * @t:		The table, zeroed memory
 * @key:	Random key for the hash
 */
void flow_init(struct flow_table *t, const uint64_t key[2])
{
	const struct flow_queue empty = { FLOW_NONE, FLOW_NONE };
	struct flow_queue *q = &t->queue[0][0][0];
	size_t i;

	t->first_free = FLOW_NONE;
	memcpy(t->hash_key, key, sizeof(t->hash_key));
	t->pool[FLOW_ENTRIES].total = FLOW_MAX;
	t->pool[FLOW_FDS].total = UINT32_MAX;
	for (i = 0; i < sizeof(t->queue) / sizeof(*q); i++)
		q[i] = empty;
}

/**
 * flow_limit_fds() - Set how many descriptors all flows may hold together
 * @t:		The table
 * @fds:	The number; if flows hold more, the next ones evict some
 */
void flow_limit_fds(struct flow_table *t, uint32_t fds)
{
	t->pool[FLOW_FDS].total = fds;
}

/* Queues of flows that may be evicted ------------------------------------ */

static struct flow_queue *queue_of(struct flow_table *t, const struct flow *f)
{
	return &t->queue[f->class][f->rank][!!f->fds];
}

static void queue_append(struct flow_table *t, struct flow *f)
{
	struct flow_queue *q = queue_of(t, f);

	f->queued_ms = (uint32_t)f->last_ms;
	f->older = q->newest;
	f->newer = FLOW_NONE;
	q->newest = flow_index(t, f);
	if (f->older == FLOW_NONE)
		q->oldest = q->newest;
	else
		t->flow[f->older].newer = q->newest;
}

static void queue_remove(struct flow_table *t, struct flow *f)
{
	struct flow_queue *q = queue_of(t, f);

	if (f->older == FLOW_NONE)
		q->oldest = f->newer;
	else
		t->flow[f->older].newer = f->newer;
	if (f->newer == FLOW_NONE)
		q->newest = f->older;
	else
		t->flow[f->newer].older = f->older;
}

/* Find the longest idle flow of a queue, or of the REQUEUE_MAX at its head if they all
 * had packets since they were queued; NULL if it is empty */
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
	if (f->rank != FLOW_KEPT)
		queue_remove(t, f);
	f->rank = (uint8_t)rank;
	if (f->rank != FLOW_KEPT)
		queue_append(t, f);
}

/* Shares ----------------------------------------------------------------- */

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

/* May @class have @need more of a resource without an eviction? */
static bool fits(const struct flow_pool *p, enum flow_class class,
		 uint32_t need)
{
	uint32_t held = 0, i;

	for (i = 0; i < FLOW_CLASSES; i++)
		held += p->held[i];
	if (!need)
		return true;
	if (class == FLOW_STREAM && p->held[class] + need > share(p, class))
		return false;
	return held <= p->total && need <= p->total - held;
}

/* The least useful flow of @class that holds some of @r, NULL if none may end */
static struct flow *least_useful(struct flow_table *t, enum flow_class class,
				 enum flow_resource r, uint64_t now_ms)
{
	struct flow *f, *g, *young = NULL;
	unsigned rank;

	for (rank = FLOW_PENDING; rank < FLOW_KEPT; rank++) {
		f = queue_oldest(t, &t->queue[class][rank][1]);
		g = r == FLOW_FDS ? NULL :
		    queue_oldest(t, &t->queue[class][rank][0]);
		if (!f || (g && g->last_ms < f->last_ms))
			f = g;
		if (!f)
			continue;
		if (rank == FLOW_PENDING &&
		    now_ms - f->last_ms < PENDING_MIN_MS)
			young = f;
		else if (!young || now_ms - f->last_ms >= ANSWERED_IDLE_MS)
			return f;
	}
	return class == FLOW_STREAM ? NULL : young;
}

/* Class that loses a flow, so that @class can have more of a resource */
static enum flow_class who_yields(const struct flow_pool *p,
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

static const struct flow_ops *ops_of(const struct flow_table *t,
				     const struct flow *f)
{
	return &t->ops[f->timer.ref.kind];
}

static bool evict_for(struct flow_table *t, enum flow_class class,
		      enum flow_resource r, uint64_t now_ms)
{
	enum flow_class from = who_yields(&t->pool[r], class);
	struct flow *f = least_useful(t, from, r, now_ms);
	uint32_t count = t->count;

	if (!f || !t->ops)
		return false;
	t->evicted[from]++;
	debug_limited("Too many flows: the longest idle ones end");
	ops_of(t, f)->evict(ops_of(t, f)->ctx, f);
	return t->count < count;
}

/**
 * flow_evict() - Evict a flow, because the kernel has no descriptors left
 * @t:		The table
 * @class:	Class that needs one
 * @now_ms:	Time, CLOCK_MONOTONIC
 *
 * Return: false if none may end
 */
bool flow_evict(struct flow_table *t, enum flow_class class, uint64_t now_ms)
{
	return evict_for(t, class, FLOW_FDS, now_ms);
}

/**
 * flow_make_room() - Make sure that a flow can start, by evicting others
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
	const uint32_t need[FLOW_RESOURCES] = {
		[FLOW_ENTRIES] = 1, [FLOW_FDS] = fds,
	};
	unsigned r;

	for (r = 0; r < FLOW_RESOURCES; r++)
		while (!fits(&t->pool[r], class, need[r]))
			if (!evict_for(t, class, r, now_ms)) {
				t->no_room[r]++;
				return false;
			}
	return true;
}

/**
 * flow_has_room() - Can a flow start without evicting another one?
 * @t:		The table
 * @class:	Of the flow
 * @fds:	Descriptors that it is to hold
 */
bool flow_has_room(const struct flow_table *t, enum flow_class class,
		   unsigned fds)
{
	return fits(&t->pool[FLOW_ENTRIES], class, 1) &&
	       fits(&t->pool[FLOW_FDS], class, fds);
}

/* hash_insert() - Let flow_lookup() find a side, which must not change any more */
static void hash_insert(struct flow_table *t, struct flow *f, unsigned side)
{
	uint32_t i = flow_hash(t, f->proto, f->pif[side], &f->side[side]);

	while (t->hash[i])
		i = (i + 1) & HASH_MASK;
	t->hash[i] = HASH_ENTRY(flow_index(t, f), side) + 1;
	f->hashed |= 1U << side;
}

/* entry_take() - A free entry, zeroed but for its generation: there must be one */
static struct flow *entry_take(struct flow_table *t)
{
	struct flow *f;
	uint32_t gen;

	if (t->first_free != FLOW_NONE) {
		f = &t->flow[t->first_free];
		t->first_free = f->next_free;
	} else {
		f = &t->flow[t->high++];
	}
	gen = f->timer.ref.gen + 1;
	memset(f, 0, sizeof(*f));
	f->timer.ref.gen = gen;
	return f;
}

/* room_beside() - flow_make_room(), but never evict @keep, unless it is NULL */
static bool room_beside(struct flow_table *t, struct flow *keep,
			enum flow_class class, unsigned fds, uint64_t now_ms)
{
	enum flow_rank rank;
	bool room;

	if (!keep)
		return flow_make_room(t, class, fds, now_ms);
	rank = keep->rank;
	flow_set_rank(t, keep, FLOW_KEPT);
	room = flow_make_room(t, class, fds, now_ms);
	flow_set_rank(t, keep, rank);
	return room;
}

/* Did the guest's side begin a flow? */
static unsigned begun_by(const struct flow *f)
{
	return f->pif[INI] == PIF_HOST ? TO_GUEST : FROM_GUEST;
}

/* entry_begins() - Count a flow, and report it */
static void entry_begins(struct flow_table *t, const struct flow *f)
{
	if (f->shared)
		return;
	t->live[f->class][flow_path(f)]++;
	t->begun[f->class][begun_by(f)]++;
	rulestat_flow_begins(&t->rulestat, flow_rule(f));
	if (t->changed)
		t->changed(t->changed_ctx, f, true);
}

static void entry_ends(struct flow_table *t, const struct flow *f)
{
	if (f->shared)
		return;
	if (t->changed)
		t->changed(t->changed_ctx, f, false);
	t->live[f->class][flow_path(f)]--;
	rulestat_flow_ends(&t->rulestat, flow_rule(f));
}

/**
 * flow_start() - Start a flow; others may be evicted for it
 * @t:		The table
 * @s:		All that is known about it
 * @now_ms:	Time, CLOCK_MONOTONIC: the first @last_ms
 *
 * The rank is FLOW_PENDING, the private state is zero, the timer is not armed.
 *
 * Return: the flow, NULL if there is no room
 */
struct flow *flow_start(struct flow_table *t, const struct flow_spec *s,
			uint64_t now_ms)
{
	struct flow *f;
	unsigned side;

	if (!room_beside(t, s->keep, s->class, s->fds, now_ms))
		return NULL;
	f = entry_take(t);
	f->proto = s->proto;
	f->class = (uint8_t)s->class;
	f->fds = (uint8_t)s->fds;
	f->last_ms = now_ms;
	f->start_s = (uint32_t)(now_ms / 1000);
	f->rule = s->rule.number;
	f->rule_gen = s->rule.gen;
	f->shared = s->shared;
	f->list_next = f->list_prev = FLOW_NONE;
	f->timer.ref = (union epoll_ref){
		.index = flow_index(t, f), .kind = s->kind,
		.gen = f->timer.ref.gen,
	};
	queue_append(t, f);
	t->count++;
	t->pool[FLOW_ENTRIES].held[s->class]++;
	t->pool[FLOW_FDS].held[s->class] += s->fds;

	for (side = 0; side < 2; side++) {
		f->pif[side] = (uint8_t)s->pif[side];
		f->side[side] = s->side[side];
		if (s->find & 1U << side)
			hash_insert(t, f, side);
	}
	entry_begins(t, f);
	return f;
}

/* hash_remove() - Empty a slot, move up entries that would not be found any more */
static void hash_remove(struct flow_table *t, uint32_t slot)
{
	uint32_t hole = slot, i = slot;

	for (;;) {
		const struct flow *f;
		uint32_t home, entry;
		unsigned side;

		t->hash[hole] = 0;
		do {
			i = (i + 1) & HASH_MASK;
			if (!t->hash[i])
				return;
			entry = t->hash[i] - 1;
			side = entry & 1;
			f = &t->flow[entry >> 1];
			home = flow_hash(t, f->proto, f->pif[side],
					 &f->side[side]);
			/* stays if its home is cyclically in (hole, i] */
		} while (((i - home) & HASH_MASK) < ((i - hole) & HASH_MASK));

		t->hash[hole] = entry + 1;
		hole = i;
	}
}

static void hash_drop(struct flow_table *t, const struct flow *f, unsigned side)
{
	uint32_t want = HASH_ENTRY(flow_index(t, f), side) + 1;
	uint32_t i = flow_hash(t, f->proto, f->pif[side], &f->side[side]);

	for (; t->hash[i]; i = (i + 1) & HASH_MASK) {
		if (t->hash[i] == want) {
			hash_remove(t, i);
			return;
		}
	}
}

/**
 * flow_unhash() - Hide a flow from flow_lookup(): its ports may be used again
 */
void flow_unhash(struct flow_table *t, struct flow *f)
{
	unsigned side;

	for (side = 0; side < 2; side++)
		if (f->hashed & 1U << side)
			hash_drop(t, f, side);
	f->hashed = 0;
}

/**
 * flow_free() - End a flow: it leaves hash, wheel and list, and its entry is free
 */
void flow_free(struct flow_table *t, struct loop *l, struct flow *f)
{
	entry_ends(t, f);
	wheel_cancel(&l->wheel, &f->timer);
	flow_unhash(t, f);
	flow_list_remove(t, f);
	if (f->rank != FLOW_KEPT)
		queue_remove(t, f);
	t->pool[FLOW_ENTRIES].held[f->class]--;
	t->pool[FLOW_FDS].held[f->class] -= f->fds;

	f->proto = 0;
	f->next_free = t->first_free;
	t->first_free = flow_index(t, f);
	t->count--;
}

/**
 * flow_kill() - End a flow on request: both ends get an error
 * @t:		The table
 * @f:		The flow, not a @shared entry
 *
 * Return: 0; -EBUSY if it is about to move to another machine with the guest
 */
int flow_kill(struct flow_table *t, struct flow *f)
{
	return ops_of(t, f)->kill(ops_of(t, f)->ctx, f);
}

/**
 * flow_state() - Ask the module of a flow about its state
 * @t:		The table
 * @f:		The flow
 * @s:		Set
 */
void flow_state(const struct flow_table *t, const struct flow *f,
		struct flow_state *s)
{
	*s = (struct flow_state){ .name = "ACTIVE", .sock = -1 };
	if (ops_of(t, f)->state)
		ops_of(t, f)->state(f, s);
}

/**
 * flow_on_change() - Have the beginning and end of flows reported
 * @t:		The table
 * @changed:	Called when a flow has begun, its private state still zero, and when it
 *		is about to end; NULL: no more reports
 * @ctx:	First argument of @changed
 */
void flow_on_change(struct flow_table *t,
		    void (*changed)(void *ctx, const struct flow *f, bool begins),
		    void *ctx)
{
	t->changed = changed;
	t->changed_ctx = ctx;
}

/**
 * flow_lookup() - Find a flow by one of its sides
 * @t:		The table
 * @proto:	IPPROTO_*
 * @pif:	Interface that the side is on
 * @s:		Addresses and ports
 * @side:	Set to the side that was found, may be NULL
 *
 * Return: the flow, NULL if there is none
 */
struct flow *flow_lookup(struct flow_table *t, uint8_t proto, uint8_t pif,
			 const struct flowside *s, unsigned *side)
{
	uint32_t i = flow_hash(t, proto, pif, s);

	for (; t->hash[i]; i = (i + 1) & HASH_MASK) {
		uint32_t entry = t->hash[i] - 1;
		struct flow *f = &t->flow[entry >> 1];
		unsigned found = entry & 1;

		if (f->proto == proto && f->pif[found] == pif &&
		    flowside_equals(&f->side[found], s)) {
			if (side)
				*side = found;
			return f;
		}
	}

	return NULL;
}

/**
 * flow_at() - Flow by index, NULL if there is none
 */
struct flow *flow_at(struct flow_table *t, uint32_t index)
{
	if (index >= t->high || !t->flow[index].proto)
		return NULL;
	return &t->flow[index];
}

/**
 * flow_from_ref() - Flow that an event is about
 *
 * Return: the flow; NULL if it ended since, even if its entry is used again
 */
struct flow *flow_from_ref(struct flow_table *t, union epoll_ref ref)
{
	struct flow *f = flow_at(t, ref.index);

	return f && f->timer.ref.gen == ref.gen ? f : NULL;
}

/**
 * flow_next() - Walk through all flows
 * @t:		The table
 * @f:		The last one seen, which may have ended since; NULL: begin
 *
 * Return: the next one, NULL at the end
 */
struct flow *flow_next(struct flow_table *t, const struct flow *f)
{
	uint32_t i;

	for (i = f ? flow_index(t, f) + 1 : 0; i < t->high; i++)
		if (t->flow[i].proto)
			return &t->flow[i];
	return NULL;
}

/**
 * flow_event() - Hand an event of a socket to the module of its flow
 * @t:		The table
 * @ref:	Reference of the event; if the flow has ended, nothing is done
 * @events:	EPOLL*
 */
void flow_event(struct flow_table *t, union epoll_ref ref, uint32_t events)
{
	struct flow *f = flow_from_ref(t, ref);

	if (f)
		ops_of(t, f)->event(ops_of(t, f)->ctx, f, ref.side, events);
}

/**
 * flow_timer() - Hand an expired timer to the module of its flow
 * @t:		The table
 * @ref:	Reference of the timer
 */
void flow_timer(struct flow_table *t, union epoll_ref ref)
{
	struct flow *f = flow_from_ref(t, ref);

	if (f)
		ops_of(t, f)->timer(ops_of(t, f)->ctx, f);
}

/**
 * flow_any_unfinished() - Does any flow still have data or a FIN to deliver?
 * @t:		The table
 */
bool flow_any_unfinished(struct flow_table *t)
{
	struct flow *f = NULL;

	while ((f = flow_next(t, f)))
		if (ops_of(t, f)->unfinished && ops_of(t, f)->unfinished(f))
			return true;
	return false;
}

/* Lists ------------------------------------------------------------------ */

/**
 * flow_list_init() - Make an empty list
 */
void flow_list_init(struct flow_list *l)
{
	*l = (struct flow_list){ .head = FLOW_NONE, .tail = FLOW_NONE };
}

/**
 * flow_list_push() - Append a flow; it leaves the list that it was on
 *
 * No effect if it is on this one already.
 */
void flow_list_push(struct flow_table *t, struct flow_list *l, struct flow *f)
{
	uint32_t index = flow_index(t, f);

	if (f->list == l)
		return;
	flow_list_remove(t, f);
	f->list = l;
	f->list_next = FLOW_NONE;
	f->list_prev = l->tail;
	if (l->tail == FLOW_NONE)
		l->head = index;
	else
		t->flow[l->tail].list_next = index;
	l->tail = index;
	l->count++;
}

/**
 * flow_list_remove() - Take a flow off its list, if it is on one
 */
void flow_list_remove(struct flow_table *t, struct flow *f)
{
	struct flow_list *l = f->list;

	if (!l)
		return;
	if (f->list_prev == FLOW_NONE)
		l->head = f->list_next;
	else
		t->flow[f->list_prev].list_next = f->list_next;
	if (f->list_next == FLOW_NONE)
		l->tail = f->list_prev;
	else
		t->flow[f->list_next].list_prev = f->list_prev;
	l->count--;
	f->list = NULL;
	f->list_next = f->list_prev = FLOW_NONE;
}

/**
 * flow_list_pop() - Take the first flow off a list
 *
 * Return: the flow, NULL if the list is empty
 */
struct flow *flow_list_pop(struct flow_table *t, struct flow_list *l)
{
	struct flow *f;

	if (l->head == FLOW_NONE)
		return NULL;
	f = &t->flow[l->head];
	flow_list_remove(t, f);
	return f;
}

/* For the log ------------------------------------------------------------ */

/* "ADDR:PORT", with brackets for IPv6; "*:PORT" where the kernel chooses */
static size_t put_endpoint(char *buf, size_t size, const union inany *a,
			   uint16_t port)
{
	char s[INANY_STRLEN];
	int n;

	if (!inany_is_set(a) || inany_is_unspecified(a))
		n = snprintf(buf, size, "*:%u", port);
	else if (inany_is_v4(a))
		n = snprintf(buf, size, "%s:%u",
			     inany_ntop(a, s, sizeof(s)), port);
	else
		n = snprintf(buf, size, "[%s]:%u",
			     inany_ntop(a, s, sizeof(s)), port);
	return (size_t)n < size ? (size_t)n : size - 1;
}

/* "INTERFACE FROM > TO" of one side, in the direction of the first packet */
static size_t put_side(char *buf, size_t size, const struct flow *f,
		       unsigned side)
{
	static const char *const names[] = {
		[PIF_NONE] = "none", [PIF_HOST] = "host", [PIF_TAP] = "tap",
		[PIF_SPLICE] = "namespace",
	};
	const struct flowside *s = &f->side[side];
	bool ini = side == INI;
	size_t n = (size_t)snprintf(buf, size, "%s ", names[f->pif[side]]);

	n += put_endpoint(buf + n, size - n, ini ? &s->eaddr : &s->oaddr,
			  ini ? s->eport : s->oport);
	n += (size_t)snprintf(buf + n, size - n, " > ");
	return n + put_endpoint(buf + n, size - n, ini ? &s->oaddr : &s->eaddr,
				ini ? s->oport : s->eport);
}

/**
 * flow_str() - Both sides of a flow for a log line
 * @buf:	Where to write
 *
 * Return: @buf
 */
const char *flow_str(const struct flow_table *t, const struct flow *f,
		     char buf[FLOW_STRLEN])
{
	const char *name = f->proto == IPPROTO_TCP ? "TCP" :
			   f->proto == IPPROTO_UDP ? "UDP" : "ICMP";
	size_t n = (size_t)snprintf(buf, FLOW_STRLEN, "%s %u (", name,
				    (unsigned)flow_index(t, f));

	n += put_side(buf + n, FLOW_STRLEN - n, f, INI);
	n += (size_t)snprintf(buf + n, FLOW_STRLEN - n, ", ");
	n += put_side(buf + n, FLOW_STRLEN - n, f, TGT);
	snprintf(buf + n, FLOW_STRLEN - n, ")");
	return buf;
}

/**
 * flow_counters() - Flows by class, evictions, and lack of room, for --stats
 */
void flow_counters(const void *ctx, struct counters *c)
{
	const struct flow_table *t = ctx;
	const uint32_t *held = t->pool[FLOW_ENTRIES].held;

	c->title = "flows";
	counters_add(c, "TCP", held[FLOW_STREAM]);
	counters_add(c, "UDP", held[FLOW_DATAGRAM]);
	counters_add(c, "echo", held[FLOW_ECHO]);
	counters_add_if(c, "TCP evicted", t->evicted[FLOW_STREAM]);
	counters_add_if(c, "UDP evicted", t->evicted[FLOW_DATAGRAM]);
	counters_add_if(c, "echo evicted", t->evicted[FLOW_ECHO]);
	counters_add_if(c, "times without a free entry",
			t->no_room[FLOW_ENTRIES]);
	counters_add_if(c, "times without a free descriptor",
			t->no_room[FLOW_FDS]);
}
