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

#define FRAG_DATAGRAMS	16		/* being reassembled at a time */
#define FRAG_TIMEOUT_MS	5000
#define FRAG_LEN_MAX	65535		/* bytes behind the IP header */
#define FRAG_UNITS	((FRAG_LEN_MAX + 7) / 8)

/**
 * struct frag_slot - One datagram that is being reassembled
 * @used:	The slot is in use
 * @dead:	The datagram is dropped, and so are the fragments still to come
 * @have_first:	@first is set
 * @first:	The fragment at offset 0, without its payload: gives the headers
 * @src, @dst, @id, @proto: Key of the datagram's fragments; @proto is 0 for IPv6
 *		(RFC 8200, 4.5)
 * @start_ms:	Time of arrival of the first fragment, CLOCK_MONOTONIC
 * @total:	Length of the datagram, bytes; 0: not known yet
 * @end:	Largest end of a fragment so far, bytes
 * @received:	Bytes received so far
 * @map:	Received bytes, one bit for 8
 * @l3:		Room for an IP header, then the data
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
 * struct frag_pool - All datagrams that are being reassembled
 * @out:	The packet returned last
 * @dropped:	Datagrams dropped: overlapping, contradicting, expired, evicted
 */
struct frag_pool {
	struct frag_slot slot[FRAG_DATAGRAMS];
	struct pkt out;
	uint64_t dropped;
};

const struct pkt *frag_add(struct frag_pool *pool, const struct pkt *frag,
			   uint64_t now_ms);

#endif /* FRAG_H */
