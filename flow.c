/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow.c - The flow table: index, hash, two sides, lifetimes
 *
 * Entries lie in one array; free ones form a list, and entries beyond @high have
 * never been touched, so that they cost no memory. The hash
 * is open addressing with linear probing and backward-shift deletion (Knuth,
 * TAOCP vol. 3, 6.4, Algorithm R), at most half full even with both sides of
 * every flow in it, keyed with SipHash so that a guest can't choose colliding
 * flows.
 *
 * Entries and descriptors are limited: flow_share.c decides which flow may start, and
 * which one has to end for it.
 */

#include "flow.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "log.h"
#include "siphash.h"

#define STALE_MAX	3		/* events in a row, before a warning */
#define HASH_MASK	(FLOW_MAX * 4 - 1)
#define HASH_ENTRY(index, side)	((index) << 1 | (side))

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
	t->first_free = FLOW_NONE;
	memcpy(t->hash_key, key, sizeof(t->hash_key));
	flow_share_init(t);
}

static const struct flow_ops *ops_of(const struct flow_table *t,
				     const struct flow *f)
{
	return &t->ops[f->timer.ref.kind];
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

/* entry_begins() - Count a flow, and report it */
static void entry_begins(struct flow_table *t, const struct flow *f)
{
	if (f->shared)
		return;
	t->live[f->class][flow_path(f)]++;
	t->begun[f->class][f->pif[INI] == PIF_HOST ? TO_GUEST : FROM_GUEST]++;
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
	enum flow_group group;
	struct flow *f;
	unsigned side;

	if (!flow_claim(t, s, now_ms, &group))
		return NULL;
	f = entry_take(t);
	f->proto = s->proto;
	f->class = (uint8_t)s->class;
	f->group = (uint8_t)group;
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
	t->count++;

	for (side = 0; side < 2; side++) {
		f->pif[side] = (uint8_t)s->pif[side];
		f->side[side] = s->side[side];
		if (s->find & 1U << side)
			hash_insert(t, f, side);
	}
	flow_share_join(t, f);
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
	flow_share_leave(t, f);

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

/*
 * Count an event of a socket whose flow has ended. That happens in the turn in which it
 * ends. If the same comes again and again, the socket is still open elsewhere
 */
static void stale_event(struct flow_table *t, union epoll_ref ref)
{
	t->stale++;
	if (t->stale_ref.u64 != ref.u64) {
		t->stale_ref = ref;
		t->stale_row = 0;
	}
	if (++t->stale_row >= STALE_MAX)
		warn_limited("Flow %u has ended, but its socket still reports events",
			     (unsigned)ref.index);
}

/**
 * flow_event() - Hand an event of a socket to the module of its flow
 * @t:		The table
 * @ref:	Reference of the event; if the flow has ended, it is counted
 * @events:	EPOLL*
 */
void flow_event(struct flow_table *t, union epoll_ref ref, uint32_t events)
{
	struct flow *f = flow_from_ref(t, ref);

	if (f)
		ops_of(t, f)->event(ops_of(t, f)->ctx, f, ref.side, events);
	else
		stale_event(t, ref);
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
	counters_add_if(c, "events after their end", t->stale);
}
