/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The overflow pool: bytes come out as they went in, and blocks come back */

#include "spill.h"

#include <string.h>

#include "tap.h"

#define POOL_MAX	((size_t)SPILL_BLOCK * SPILL_BLOCKS)
#define FLOWS		8U

static struct spill_pool pool;
static uint8_t src[POOL_MAX + SPILL_BLOCK];

static uint64_t rnd_state = 88172645463325252ULL;

static uint32_t rnd(uint32_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (rnd_state >> 20) % below;
}

/* Byte @pos of the stream of flow @flow */
static uint8_t byte_at(unsigned flow, uint64_t pos)
{
	return (pos * 2654435761U >> 13) ^ flow * 37;
}

/* append() - @len bytes of a stream from @pos on, in up to four parts */
static size_t append(struct spill *s, unsigned flow, uint64_t pos, size_t len,
		     size_t skip)
{
	struct iovec iov[4];
	size_t i, done = 0;
	struct view v;
	unsigned n;

	for (i = 0; i < len; i++)
		src[i] = byte_at(flow, pos + i);
	for (n = 0; n < 4; n++) {
		size_t part = n == 3 ? len - done : rnd(len - done + 1);

		iov[n] = (struct iovec){ src + done, part };
		done += part;
	}
	v = view_of_iov(iov, 4);
	view_skip(&v, skip);
	return spill_append(&pool, s, v);
}

/* Count the kept bytes that differ from the stream from @pos on */
static size_t wrong_bytes(const struct spill *s, unsigned flow, uint64_t pos,
			  unsigned parts, size_t *seen)
{
	struct iovec iov[SPILL_BLOCKS];
	unsigned n = spill_iov(&pool, s, iov, parts), i;
	size_t wrong = 0, j;

	*seen = 0;
	for (i = 0; i < n; i++) {
		const uint8_t *b = iov[i].iov_base;

		wrong += !iov[i].iov_len;
		for (j = 0; j < iov[i].iov_len; j++)
			wrong += b[j] != byte_at(flow, pos + *seen + j);
		*seen += iov[i].iov_len;
	}
	return wrong;
}

/* pool_room() - Bytes that can be had, by taking and giving back all */
static size_t pool_room(void)
{
	struct spill s[4] = { { 0 } };
	const struct view v = view_of(src, POOL_MAX);
	size_t sum = 0;
	unsigned i;

	for (i = 0; i < 4; i++)
		sum += spill_append(&pool, &s[i], v);
	for (i = 0; i < 4; i++)
		spill_release(&pool, &s[i]);
	return sum;
}

static void small(void)
{
	struct spill s = { 0 };
	struct iovec iov[2];
	size_t seen;

	is(spill_iov(&pool, &s, iov, 2), 0, "an empty spill has no parts");
	is(append(&s, 0, 0, 100, 0), 100, "100 bytes are kept");
	is(s.len, 100, "kept bytes are counted");
	is(append(&s, 0, 90, 30, 10), 20,
	   "bytes that the socket took are skipped");
	ok(!wrong_bytes(&s, 0, 0, 2, &seen) && seen == 120,
	   "bytes come out in their order");
	spill_consume(&pool, &s, 50);
	ok(!wrong_bytes(&s, 0, 50, 2, &seen) && seen == 70,
	   "consumed bytes do not come out again");
	spill_consume(&pool, &s, 70);
	ok(!s.len && !s.head && !s.tail && !s.off,
	   "a spill that is consumed is all zero");
	is(append(&s, 0, 0, 20, 20), 0,
	   "an append with all bytes skipped keeps nothing");
	ok(!s.head, "an append of nothing takes no block");
	is(pool_room(), POOL_MAX, "a consumed spill has freed its block");
}

static void at_block_edges(void)
{
	struct spill s = { 0 };
	struct iovec iov[4];
	size_t seen;

	append(&s, 1, 0, SPILL_BLOCK, 0);
	is(spill_iov(&pool, &s, iov, 4), 1, "bytes of one block are one part");
	append(&s, 1, SPILL_BLOCK, 1, 0);
	is(spill_iov(&pool, &s, iov, 4), 2,
	   "a byte more than a block makes two parts");
	is(spill_iov(&pool, &s, iov, 1), 1,
	   "no more parts are listed than there is room for");
	spill_consume(&pool, &s, SPILL_BLOCK - 1);
	ok(!wrong_bytes(&s, 1, SPILL_BLOCK - 1, 4, &seen) && seen == 2,
	   "parts go from the end of one block to the start of the next");
	spill_consume(&pool, &s, 1);
	ok(!wrong_bytes(&s, 1, SPILL_BLOCK, 4, &seen) && seen == 1,
	   "a consumed block is no part any more");
	append(&s, 1, SPILL_BLOCK + 1, SPILL_BLOCK - 1, 0);
	spill_consume(&pool, &s, SPILL_BLOCK);
	ok(!s.head && !s.len && !s.off,
	   "a spill consumed at a block boundary is all zero");
	is(pool_room(), POOL_MAX,
	   "a spill consumed at a block boundary has freed its blocks");
}

static void limits(void)
{
	struct spill a = { 0 }, b = { 0 }, c = { 0 };
	size_t seen;

	append(&a, 0, 0, 1000, 0);
	spill_consume(&pool, &a, 900);
	is(append(&a, 0, 1000, POOL_MAX, 0), SPILL_FLOW_MAX - 100,
	   "a flow keeps half of the pool, wherever its first byte lies");
	is(append(&a, 0, 1000, 1, 0), 0,
	   "a flow keeps no byte more than half of the pool");
	is(append(&b, 1, 0, POOL_MAX, 0),
	   POOL_MAX - SPILL_FLOW_MAX - SPILL_BLOCK,
	   "another flow keeps the rest of the pool");
	is(append(&c, 2, 0, 1, 0), 0, "a full pool keeps nothing");
	ok(!c.head && !c.len, "a flow that kept nothing has no block");
	ok(!wrong_bytes(&a, 0, 900, SPILL_BLOCKS, &seen) &&
	   seen == SPILL_FLOW_MAX, "bytes of the first flow are right");
	ok(!wrong_bytes(&b, 1, 0, SPILL_BLOCKS, &seen) && seen == b.len,
	   "bytes of the second flow are right");

	spill_consume(&pool, &b, SPILL_BLOCK);
	is(append(&c, 2, 0, 2 * SPILL_BLOCK, 0), SPILL_BLOCK,
	   "a freed block can be taken by another flow");
	spill_release(&pool, &a);
	spill_release(&pool, &b);
	spill_release(&pool, &c);
	ok(!a.head && !a.len, "a released spill is empty");
	spill_release(&pool, &a);
	is(pool_room(), POOL_MAX, "released blocks are all in the pool, once");
}

static void against_reference(void)
{
	struct spill s[FLOWS] = { { 0 } };
	uint64_t begin[FLOWS] = { 0 }, end[FLOWS] = { 0 };
	size_t wrong = 0, lengths = 0, unasked = 0, seen;
	unsigned i, f, fulls = 0;

	for (i = 0; i < 4000; i++) {
		f = rnd(FLOWS);
		if (rnd(5) < 2 || (i / 500) % 2) {
			size_t len = rnd(rnd(4) ? 3000 : 200000);
			size_t skip = rnd(4) ? 0 : rnd(len + 1), kept;

			kept = append(&s[f], f, end[f] - skip, len, skip);
			unasked += kept > len - skip;
			fulls += kept < len - skip;
			end[f] += kept;
		} else {
			size_t n = rnd(rnd(4) ? 20000 : 400000);

			if (n > s[f].len)
				n = s[f].len;
			spill_consume(&pool, &s[f], n);
			begin[f] += n;
		}
		if (!rnd(50)) {
			spill_release(&pool, &s[f]);
			begin[f] = end[f];
		}
		lengths += s[f].len != end[f] - begin[f];
		wrong += wrong_bytes(&s[f], f, begin[f], 1 + rnd(3), &seen);
		if (i % 64 == 0) {
			wrong += wrong_bytes(&s[f], f, begin[f], SPILL_BLOCKS,
					     &seen);
			lengths += seen != s[f].len;
		}
	}
	is(wrong, 0, "random parts: every byte is right");
	is(lengths, 0, "random parts: every length is right");
	is(unasked, 0, "random parts: never more than was given");
	ok(fulls, "random parts: the pool was full at times");
	for (f = 0; f < FLOWS; f++)
		spill_release(&pool, &s[f]);
	is(pool_room(), POOL_MAX, "random parts: in the end the pool is whole");
}

int main(void)
{
	small();
	at_block_edges();
	limits();
	against_reference();
	return done();
}
