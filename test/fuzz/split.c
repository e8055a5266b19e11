/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames cut into pieces: neither the parsed packet nor bytes that are read of it
 * later depend on where a frame is cut
 *
 * Input: as for packet.c, whose corpus is used. How it is cut follows from a number
 * made of its bytes; each piece is memory of its own, so that a sanitizer sees what
 * goes beyond it.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "packet.h"
#include "trace.h"

#define ROUNDS	3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *piece[VIEW_PARTS_MAX];
static struct iovec iov[VIEW_PARTS_MAX];
static uint64_t state;

static size_t rnd(size_t below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (size_t)(state >> 33) % below;
}

/* In round 0 single bytes, as many as there may be pieces; at random later, with small
 * pieces in the last one */
static size_t piece_size(size_t left, unsigned round)
{
	size_t n;

	if (!round)
		return 1;
	n = rnd(4) ? rnd(round == ROUNDS - 1 ? 16 : left + 1) : rnd(3);
	return n < left ? n : left;
}

static struct view cut(const uint8_t *b, size_t len, unsigned round)
{
	unsigned n = 0;

	do {
		size_t part = len;

		if (n < VIEW_PARTS_MAX - 1 && len)
			part = piece_size(len, round);
		piece[n] = malloc(part ? part : 1);
		assert(piece[n]);
		memcpy(piece[n], b, part);
		iov[n] = (struct iovec){ piece[n], part };
		b += part;
		len -= part;
	} while (++n < VIEW_PARTS_MAX && len);
	while (n < VIEW_PARTS_MAX)
		piece[n++] = NULL;
	for (n = 0; n < VIEW_PARTS_MAX && piece[n]; n++)
		;
	return view_of_iov(iov, n);
}

static void forget(void)
{
	unsigned i;

	for (i = 0; i < VIEW_PARTS_MAX; i++)
		free(piece[i]);
}

/* @whole is in one piece */
static void same_bytes(struct view whole, struct view v)
{
	assert(v.len == whole.len && view_equals(v, whole.p, whole.len));
	assert(csum_fold(csum_view(0, &v, 0, v.len)) ==
	       csum_fold(csum_add(0, whole.p, whole.len)));
}

static void same_quote(const struct pkt *whole, const struct pkt *p)
{
	struct pkt_quote a = { 0 }, b = { 0 };
	bool quotes;

	if (p->kind != PKT_ICMP4 && p->kind != PKT_ICMP6)
		return;
	quotes = pkt_quoted(whole, &a);
	assert(pkt_quoted(p, &b) == quotes);
	if (quotes)
		assert(inany_equals(&a.src, &b.src) &&
		       inany_equals(&a.dst, &b.dst) && a.proto == b.proto &&
		       a.sport == b.sport && a.dport == b.dport &&
		       a.seq == b.seq);
}

/* What is no view is compared as it is in memory: both were zeroed before */
static void same_packet(const struct pkt *whole, const struct pkt *p)
{
	struct pkt a = *whole, b = *p;

	same_bytes(a.payload, b.payload);
	same_bytes(a.l3, b.l3);
	same_quote(&a, &b);
	a.payload = b.payload = a.l3 = b.l3 = (struct view){ 0 };
	assert(!memcmp(&a, &b, sizeof(a)));
}

static void one_round(const uint8_t *frame, size_t size,
		      const struct rx_offload *off, unsigned round)
{
	struct view whole = view_of(frame, size), v = cut(frame, size, round);
	char want[TRACE_STRLEN], text[TRACE_STRLEN];
	static struct pkt a, b;
	enum pkt_error e;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	e = pkt_parse(&a, &whole, off);
	assert(pkt_parse(&b, &v, off) == e);
	if (!e)
		same_packet(&a, &b);
	assert(!strcmp(trace_str(&whole, want), trace_str(&v, text)));
	forget();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rx_offload off = { 0 };
	unsigned i;

	if (size < 4 || size > 65536)
		return 0;
	off.csum_partial = data[0] & 1;
	off.gso_type = data[1];
	memcpy(&off.gso_size, data + 2, 2);
	state = csum_add(1, data, size);
	for (i = 0; i < ROUNDS; i++)
		one_round(data + 4, size - 4, &off, i);
	return 0;
}
