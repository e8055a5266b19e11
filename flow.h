/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flow.h - The flow table: index, hash, two sides, lifetimes
 *
 * Knows no protocol. A flow is one entry; each of its two sides is found by a
 * hash of pif, protocol and addresses, or by index and generation.
 */

#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inany.h"
#include "loop.h"

#ifndef FLOW_BITS
#define FLOW_BITS	15		/* at most 32768 flows at a time */
#endif
#define FLOW_MAX	(1U << FLOW_BITS)
#define FLOW_PRIV	168		/* bytes for the protocol's own state */
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

/**
 * struct flow - One entry of the table
 * @proto:	IPPROTO_*, 0: free
 * @pif:	enum pif for each side
 * @gen:	Counts uses of this entry, part of epoll_ref
 * @next_free:	Index of the next free entry
 * @hashed:	Bit per side: it is in the hash table
 * @side:	Addresses
 * @timer:	For the protocol's use
 * @list_next, @list_prev:	For the protocol's use (pending work), FLOW_NONE: end
 * @priv:	The protocol's state; zero after flow_alloc()
 */
struct flow {
	uint8_t proto;
	uint8_t pif[2];
	uint8_t hashed;
	uint32_t gen;
	uint32_t next_free;
	uint32_t list_next, list_prev;
	struct flowside side[2];
	struct timer timer;
	uint8_t priv[FLOW_PRIV] __attribute__((aligned(8)));
};

struct flow_table {
	uint32_t count, high, first_free;
	uint64_t hash_key[2];
	uint32_t hash[FLOW_MAX * 4];	/* index << 1 | side, + 1; 0: empty */
	struct flow flow[FLOW_MAX];
};

void flow_init(struct flow_table *t, const uint64_t key[2]);
struct flow *flow_alloc(struct flow_table *t, uint8_t proto);
void flow_free(struct flow_table *t, struct loop *l, struct flow *f);

uint32_t flow_hash(const struct flow_table *t, uint8_t proto, uint8_t pif,
		   const struct flowside *s);
void flow_hash_insert(struct flow_table *t, struct flow *f, unsigned side);
struct flow *flow_lookup(struct flow_table *t, uint8_t proto, uint8_t pif,
			 const struct flowside *s, unsigned *side);
struct flow *flow_at(struct flow_table *t, uint32_t index);
struct flow *flow_from_ref(struct flow_table *t, union epoll_ref ref);

static inline uint32_t flow_index(const struct flow_table *t,
				  const struct flow *f)
{
	return f - t->flow;
}

union epoll_ref flow_ref(const struct flow_table *t, const struct flow *f,
			 enum ref_kind kind, unsigned side);

/* For the log: "TCP 12 (tap 198.51.100.1:33000 > 203.0.113.2:80, host ...)" */
#define FLOW_STRLEN	320
const char *flow_str(const struct flow_table *t, const struct flow *f,
		     char buf[FLOW_STRLEN]);

#endif /* FLOW_H */
