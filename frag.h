/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frag.h - Reassembly of fragments from the guest, in a static pool
 */

#ifndef FRAG_H
#define FRAG_H

#include <stdbool.h>
#include <stdint.h>

#include "packet.h"
#include "wire.h"

#define FRAG_DATAGRAMS	16		/* in the making at a time */
#define FRAG_TIMEOUT_MS	5000
#define FRAG_LEN_MAX	65535		/* bytes behind the IP header */
#define FRAG_UNITS	((FRAG_LEN_MAX + 7) / 8)

/**
 * struct frag_slot - One datagram in the making
 * @used:	This slot holds one
 * @dead:	It is dropped, with all of its fragments still to come
 * @have_first:	@first is set
 * @first:	The fragment at offset 0, without its payload: gives the headers
 * @src, @dst, @id, @proto: What fragments of one datagram have in common; @proto
 *		is 0 for IPv6 (RFC 8200, 4.5)
 * @start_ms:	When the first one came
 * @total:	Bytes of the whole, 0: not known yet
 * @end:	Bytes up to the end of the last fragment seen
 * @received:	Bytes so far
 * @map:	Bit per 8 bytes that are here
 * @l3:		Room for an IP header in front of the data, then the data
 */
struct frag_slot {
	bool used, dead, have_first;
	uint8_t proto;
	uint32_t id, total, end, received;
	union inany src, dst;
	uint64_t start_ms;
	struct pkt first;
	uint64_t map[(FRAG_UNITS + 63) / 64];
	uint8_t l3[sizeof(struct ip6_hdr) + FRAG_LEN_MAX];
};

/**
 * struct frag_pool - All of them
 * @out:	The packet handed out last
 * @dropped:	Datagrams given up: overlapping, contradicting, too late, evicted
 */
struct frag_pool {
	struct frag_slot slot[FRAG_DATAGRAMS];
	struct pkt out;
	uint64_t dropped;
};

const struct pkt *frag_add(struct frag_pool *pool, const struct pkt *frag,
			   uint64_t now_ms);

#endif /* FRAG_H */
