/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow.h - The flow table: index, hash, two sides, lifetimes, shares
 *
 * Knows no protocol. A flow is one entry; each of its two sides is found by a
 * hash of pif, protocol and addresses, or by index and generation. Flows compete
 * for entries of the table and for descriptors by class, see flow.c.
 */

#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inany.h"
#include "loop.h"
#include "rules.h"
#include "rulestat.h"

struct counters;

#ifndef FLOW_BITS
#define FLOW_BITS	15		/* at most 32768 flows at a time */
#endif
#define FLOW_MAX	(1U << FLOW_BITS)
#define FLOW_PRIV	160		/* bytes for the protocol's own state */
#define FLOW_NONE	UINT32_MAX

/* Logical interface that a side of a flow is on */
enum pif { PIF_NONE, PIF_HOST, PIF_TAP, PIF_SPLICE };

/**
 * struct flowside - One end of a flow as seen from its interface
 * @oaddr, @oport:	Our own address and port there (host order)
 * @eaddr, @eport:	The endpoint's: the guest on PIF_TAP, the peer on PIF_HOST
 */
struct flowside {
	union inany oaddr, eaddr;
	uint16_t oport, eport;
};

static inline bool flowside_equals(const struct flowside *a,
				   const struct flowside *b)
{
	return a->oport == b->oport && a->eport == b->eport &&
	       inany_equals(&a->eaddr, &b->eaddr) &&
	       inany_equals(&a->oaddr, &b->oaddr);
}

enum { INI = 0, TGT = 1 };		/* initiating and target side */

/* Bits for both, where a set of sides is meant */
enum { FLOW_INI = 1 << INI, FLOW_TGT = 1 << TGT };

/* Classes that compete: TCP on either path, UDP on either path, echo */
enum flow_class { FLOW_STREAM, FLOW_DATAGRAM, FLOW_ECHO, FLOW_CLASSES };

/* How much is lost if a flow is evicted: the lowest rank goes first */
enum flow_rank {
	FLOW_PENDING,			/* no answer yet */
	FLOW_ANSWERED,			/* datagrams went both ways */
	FLOW_KEPT,			/* an established connection */
	FLOW_RANKS
};

/* Flows of a class by the side that began them; extra ones exceed a limit, see
 * flow_share.c, and are the first to be evicted */
enum flow_group { FLOW_OUT, FLOW_OUT_EXTRA, FLOW_IN, FLOW_IN_EXTRA, FLOW_GROUPS };

/* Ways that a flow takes */
enum flow_path { FLOW_TAP, FLOW_BYPASS, FLOW_PATHS };

/* Resources that they compete for */
enum flow_resource { FLOW_ENTRIES, FLOW_FDS, FLOW_RESOURCES };

/**
 * struct flow - One entry of the table
 * @proto:	IPPROTO_*, 0: free
 * @pif:	enum pif for each side
 * @hashed:	Bit per side: it is in the hash table
 * @class, @rank:	enum flow_class, enum flow_rank
 * @fds:	Descriptors that it holds
 * @bound:	Bit per side: one of them is bound to @oport there
 * @rule, @rule_gen:	Number and generation of the rule that brought it; generation 0:
 *		none. See flow_rule()
 * @shared:	Entry of a socket that flows share: it is no flow itself
 * @group:	enum flow_group
 * @start_s:	Time of the start, CLOCK_MONOTONIC, s
 * @next_free:	Index of the next free entry
 * @list_next, @list_prev:	Neighbours on @list, FLOW_NONE: end
 * @older, @newer:	Neighbours in its queue
 * @queued_ms:	Lower half of @last_ms when it was put into the queue
 * @last_ms:	Time of the last payload, or of its start
 * @list:	List that the flow is on, NULL: none
 * @bytes:	Payload so far: [TO_GUEST], [FROM_GUEST]
 * @side:	Addresses
 * @timer:	For the protocol's use; its reference stands for the flow, its generation
 *		counts uses of this entry
 * @priv:	The protocol's state; zero after flow_start()
 */
struct flow {
	uint8_t proto;
	uint8_t pif[2];
	uint8_t hashed;
	uint8_t class, rank, fds, bound;
	uint16_t rule;
	bool shared;
	uint8_t group;
	uint32_t rule_gen;
	uint32_t start_s;
	union {
		uint32_t next_free, list_next;
	};
	uint32_t list_prev;
	uint32_t older, newer;
	uint32_t queued_ms;
	uint64_t last_ms;
	struct flow_list *list;
	uint64_t bytes[2];
	struct flowside side[2];
	struct timer timer;
	uint8_t priv[FLOW_PRIV] __attribute__((aligned(8)));
};

/**
 * struct flow_list - Flows that have work pending or one owner, the first come first
 * @head, @tail:	Index of a flow, FLOW_NONE: empty
 * @count:	Length
 */
struct flow_list {
	uint32_t head, tail, count;
};

/**
 * struct flow_spec - A flow to start
 * @kind:	Module that gets its events: REF_TCP to REF_ICMP
 * @proto:	IPPROTO_*
 * @class:	Class that it competes in
 * @fds:	Descriptors that it holds until flow_free(), even if they are opened
 *		later
 * @pif, @side:	Both sides
 * @find:	FLOW_INI, FLOW_TGT: sides that flow_lookup() is to find
 * @keep:	Flow that must not be evicted for this one, NULL: any may be
 * @rule:	Rule that brings the flow, generation 0: none
 * @shared:	Entry of a socket that flows share: neither counted nor reported
 */
struct flow_spec {
	enum ref_kind kind;
	uint8_t proto;
	enum flow_class class;
	unsigned fds;
	enum pif pif[2];
	struct flowside side[2];
	unsigned find;
	struct flow *keep;
	struct rule_ref rule;
	bool shared;
};

/**
 * struct flow_state - What only its module knows of a flow
 * @name:	Name of its state
 * @sock:	TCP socket of which the kernel knows a round-trip time, -1: none
 * @dst:	Destination, if it is not in the sides of the flow; unset: it is
 */
struct flow_state {
	const char *name;
	int sock;
	union inany dst;
};

/**
 * struct flow_ops - Module that a kind of flow belongs to
 * @ctx:	First argument of its functions
 * @event:	A socket, the one on @side, reports EPOLL* @events
 * @timer:	The flow's timer has expired
 * @evict:	End the flow by flow_free(), since others need the room
 * @unfinished:	Has the guest or the namespace sent data or a FIN that is still to
 *		be delivered? NULL: never
 * @kill:	End the flow, and tell both ends. Return: 0, or negative errno if it
 *		stays
 * @state:	Set the fields of a flow's state
 */
struct flow_ops {
	void *ctx;
	void (*event)(void *ctx, struct flow *f, unsigned side, uint32_t events);
	void (*timer)(void *ctx, struct flow *f);
	void (*evict)(void *ctx, struct flow *f);
	bool (*unfinished)(const struct flow *f);
	int (*kill)(void *ctx, struct flow *f);
	void (*state)(const struct flow *f, struct flow_state *s);
};

/**
 * struct flow_queue - Flows of one class, group and rank, from the longest idle one on
 * @oldest, @newest:	Index of a flow, FLOW_NONE: empty
 * @count:	Their number
 */
struct flow_queue {
	uint32_t oldest, newest, count;
};

#define FLOW_PEERS	512		/* slots for the shares of peers */

/**
 * struct flow_pool - One resource
 * @total:	Amount that all flows may hold together
 * @held:	Amount that each class holds
 * @inbound:	Amount of it that flows hold which the host's side began
 * @peer:	Amount of that, without extra flows, by the hash of the peer's address
 */
struct flow_pool {
	uint32_t total, held[FLOW_CLASSES], inbound[FLOW_CLASSES];
	uint32_t peer[FLOW_CLASSES][FLOW_PEERS];
};

/**
 * struct flow_table - All flows
 * @count:	Flows at the moment
 * @high:	Entries from here on were never used
 * @first_free:	Index of a free entry below @high, FLOW_NONE: none
 * @pool:	Amounts of each resource
 * @queue:	Flows that may be evicted, by rank; [1]: those with descriptors
 * @ops:	Modules, indexed by the kind of a flow; NULL: nothing is evicted
 * @evicted:	Number of evicted flows of each class
 * @no_room:	How often there was too little of each resource; connections that wait
 *		in a backlog ask again and again
 * @live:	Flows at the moment, of each class and enum flow_path, without @shared ones
 * @begun:	Flows so far, of each class: begun by the host, [TO_GUEST], or the guest
 * @bytes:	Payload so far, of all flows: [TO_GUEST], [FROM_GUEST]
 * @rulestat:	The same for each rule
 * @stale:	Events of sockets whose flow had ended
 * @stale_ref, @stale_row:	The last such event, and how often it came in a row
 * @changed:	Callback when a flow has begun, or is about to end; NULL: none
 * @changed_ctx:	Its first argument
 */
struct flow_table {
	uint32_t count, high, first_free;
	struct flow_pool pool[FLOW_RESOURCES];
	struct flow_queue queue[FLOW_CLASSES][FLOW_GROUPS][FLOW_RANKS][2];
	const struct flow_ops *ops;
	uint64_t evicted[FLOW_CLASSES], no_room[FLOW_RESOURCES];
	uint32_t live[FLOW_CLASSES][FLOW_PATHS];
	uint64_t begun[FLOW_CLASSES][2], bytes[2];
	struct rulestat rulestat;
	uint64_t stale;
	union epoll_ref stale_ref;
	uint32_t stale_row;
	void (*changed)(void *ctx, const struct flow *f, bool begins);
	void *changed_ctx;
	uint64_t hash_key[2];
	uint32_t hash[FLOW_MAX * 4];	/* index << 1 | side, + 1; 0: empty */
	struct flow flow[FLOW_MAX];
};

void flow_init(struct flow_table *t, const uint64_t key[2]);
struct flow *flow_start(struct flow_table *t, const struct flow_spec *s,
			uint64_t now_ms);
void flow_free(struct flow_table *t, struct loop *l, struct flow *f);
int flow_kill(struct flow_table *t, struct flow *f);
void flow_state(const struct flow_table *t, const struct flow *f,
		struct flow_state *s);
void flow_on_change(struct flow_table *t,
		    void (*changed)(void *ctx, const struct flow *f, bool begins),
		    void *ctx);

uint32_t flowside_hash(const uint64_t key[2], uint8_t proto, uint8_t pif,
		       const struct flowside *s);
uint32_t flow_hash(const struct flow_table *t, uint8_t proto, uint8_t pif,
		   const struct flowside *s);
void flow_unhash(struct flow_table *t, struct flow *f);
struct flow *flow_lookup(struct flow_table *t, uint8_t proto, uint8_t pif,
			 const struct flowside *s, unsigned *side);
struct flow *flow_at(struct flow_table *t, uint32_t index);
struct flow *flow_from_ref(struct flow_table *t, union epoll_ref ref);
struct flow *flow_next(struct flow_table *t, const struct flow *f);

void flow_event(struct flow_table *t, union epoll_ref ref, uint32_t events);
void flow_timer(struct flow_table *t, union epoll_ref ref);
bool flow_any_unfinished(struct flow_table *t);
void flow_counters(const void *ctx, struct counters *c);

/* Shares and eviction: flow_share.c */
void flow_share_init(struct flow_table *t);
void flow_limit_fds(struct flow_table *t, uint32_t fds);
bool flow_make_room(struct flow_table *t, enum flow_class class, unsigned fds,
		    uint64_t now_ms);
bool flow_admits(struct flow_table *t, enum flow_class class, bool inbound,
		 unsigned fds, uint64_t now_ms);
bool flow_evict(struct flow_table *t, enum flow_class class, uint64_t now_ms);
bool flow_claim(struct flow_table *t, const struct flow_spec *s, uint64_t now_ms,
		enum flow_group *group);
void flow_share_join(struct flow_table *t, struct flow *f);
void flow_share_leave(struct flow_table *t, struct flow *f);
void flow_set_rank(struct flow_table *t, struct flow *f, enum flow_rank rank);

void flow_list_init(struct flow_list *l);
void flow_list_push(struct flow_table *t, struct flow_list *l, struct flow *f);
void flow_list_remove(struct flow_table *t, struct flow *f);
struct flow *flow_list_pop(struct flow_table *t, struct flow_list *l);

static inline uint32_t flow_index(const struct flow_table *t,
				  const struct flow *f)
{
	return f - t->flow;
}

/* Reference for events of the socket on @side */
static inline union epoll_ref flow_ref(const struct flow *f, unsigned side)
{
	union epoll_ref ref = f->timer.ref;

	ref.side = side;
	return ref;
}

/* Index of the tap side: either side may have begun */
static inline unsigned flow_tap_index(const struct flow *f)
{
	return f->pif[INI] == PIF_TAP ? INI : TGT;
}

static inline const struct flowside *flow_tap_side(const struct flow *f)
{
	return &f->side[flow_tap_index(f)];
}

static inline const struct flowside *flow_host_side(const struct flow *f)
{
	return &f->side[!flow_tap_index(f)];
}

/* Is @pif the interface of one of the sides? */
static inline bool flow_is_on(const struct flow *f, enum pif pif)
{
	return f->pif[INI] == pif || f->pif[TGT] == pif;
}

/* Flows at the moment, without @shared entries */
static inline uint32_t flow_live(const struct flow_table *t)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < FLOW_CLASSES; i++)
		n += t->live[i][FLOW_TAP] + t->live[i][FLOW_BYPASS];
	return n;
}

static inline enum flow_path flow_path(const struct flow *f)
{
	return flow_is_on(f, PIF_TAP) ? FLOW_TAP : FLOW_BYPASS;
}

/* Rule that brought a flow, generation 0: none */
static inline struct rule_ref flow_rule(const struct flow *f)
{
	return (struct rule_ref){ .number = f->rule, .gen = f->rule_gen };
}

/* Count payload of a batch or a system call: not of each packet. The flow was in use */
static inline void flow_count(struct flow_table *t, struct flow *f, unsigned dir,
			      uint64_t bytes, uint64_t now_ms)
{
	f->last_ms = now_ms;
	f->bytes[dir] += bytes;
	t->bytes[dir] += bytes;
	rulestat_count(&t->rulestat, flow_rule(f), dir, bytes);
}

/* For the log: "TCP 12 (tap 198.51.100.1:33000 > 203.0.113.2:80, host ...)" */
#define FLOW_STRLEN	320
const char *flow_str(const struct flow_table *t, const struct flow *f,
		     char buf[FLOW_STRLEN]);

#endif /* FLOW_H */
