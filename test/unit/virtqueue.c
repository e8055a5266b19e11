/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtqueue, with a driver that follows the rules, and one that breaks each of them
 */

#include "virtqueue.h"

#include <errno.h>
#include <stdlib.h>

#include "dirtylog.h"
#include "ring.h"
#include "tap.h"

#define SIZE	8U
#define NEXT	VQ_DESC_F_NEXT
#define WRITE	VQ_DESC_F_WRITE
#define BUFFER	(RING_GPA + RING_BUFFERS)

static struct ring r;
static struct iovec iov[64];
static struct vq_chain c;

static void begin(enum vq_direction direction)
{
	if (r.bytes)
		ring_free(&r);
	if (ring_init(&r, SIZE, direction)) {
		ok(false, "a ring is set up");
		exit(done());
	}
}

/* Write an indirect table of @n descriptors of 16 bytes each; descriptor 0 names it */
static struct vq_desc *table(unsigned n)
{
	struct vq_desc *t = (struct vq_desc *)(r.bytes + RING_TABLES);
	unsigned i;

	for (i = 0; i < n; i++)
		t[i] = (struct vq_desc){ htole64(BUFFER + i * 16), htole32(16),
					 htole16(i + 1 < n ? NEXT : 0),
					 htole16(i + 1) };
	ring_desc(&r, 0, RING_GPA + RING_TABLES, n * sizeof(*t),
		  VQ_DESC_F_INDIRECT, 0);
	return t;
}

static int take(void)
{
	return vq_take(&r.q, &c, iov, 64);
}

static void test_order(void)
{
	unsigned i, n = 0;

	begin(VQ_FROM_GUEST);
	is(take(), 0, "an empty ring has no chain");
	ring_desc(&r, 3, BUFFER, 10, NEXT, 1);
	ring_desc(&r, 1, BUFFER + 100, 20, 0, 0);
	ring_offer(&r, 3);
	is(take(), 1, "a chain is taken");
	ok(c.head == 3 && c.parts == 2 && c.len == 30, "it has both buffers");
	ok(iov[0].iov_len == 10 && iov[1].iov_len == 20, "in their order");
	memcpy(r.bytes + RING_BUFFERS + 100, "guest", 5);
	ok(!memcmp(iov[1].iov_base, "guest", 5), "pieces are the guest's memory");
	is(take(), 0, "no chain is taken twice");

	vq_rewind(&r.q, 1);
	is(take(), 1, "a chain that was given back is taken again");
	vq_put(&r.q, c.head, 30);
	is(r.used->idx, 0, "the guest sees no used chain before it is published");
	vq_publish(&r.q);
	is(le16toh(r.used->idx), 1, "then it does");
	ok(le32toh(r.used->ring[0].id) == 3 && le32toh(r.used->ring[0].len) == 30,
	   "by head and length");

	/* Indexes wrap at 2^16, entries at the size */
	for (i = 0; i < 70000; i++) {
		ring_desc(&r, i % SIZE, BUFFER, 1, 0, 0);
		ring_offer(&r, i % SIZE);
		if (take() != 1 || c.head != i % SIZE)
			break;
		vq_put(&r.q, c.head, 0);
		vq_publish(&r.q);
		n += le32toh(r.used->ring[(i + 1) % SIZE].id) == i % SIZE;
	}
	is(n, 70000, "chains pass in order after indexes have wrapped");
}

static void test_pieces(void)
{
	begin(VQ_FROM_GUEST);
	ring_desc(&r, 0, RING_GPA + RING_MEM - 4, 8, 0, 0);
	ring_offer(&r, 0);
	is(take(), 1, "a buffer over two regions is taken");
	ok(c.parts == 2 && c.len == 8, "in two pieces");

	begin(VQ_FROM_GUEST);
	ring_desc(&r, 0, RING_GPA + RING_MEM - 4, 8, 0, 0);
	ring_offer(&r, 0);
	is(vq_take(&r.q, &c, iov, 1), -ENOBUFS, "two pieces don't fit into one");
	ok(vq_runs(&r.q), "that breaks nothing");
	is(take(), 1, "and the chain stays available");
}

static void test_indirect(void)
{
	begin(VQ_FROM_GUEST);
	r.q.indirect = true;
	table(20);
	ring_offer(&r, 0);
	is(take(), 1, "an indirect table may have more entries than the ring");
	ok(c.parts == 20 && c.len == 320, "all of its buffers are there");

	begin(VQ_FROM_GUEST);
	r.q.indirect = true;
	table(2);
	ring_desc(&r, 1, BUFFER, 12, NEXT, 0);
	ring_offer(&r, 1);
	is(take(), 1, "a table may follow a buffer");
	is(c.parts, 3, "and goes on with the chain");
}

/* Things that a driver must not do; each has broken a device somewhere */
static void bad_head(void) { ring_offer(&r, SIZE); }
static void bad_index(void) { r.avail->idx = htole16(SIZE + 1); }
static void bad_index_back(void) { r.avail->idx = htole16(65535); }

static void bad_address(void)
{
	ring_desc(&r, 0, RING_GPA + 2 * RING_MEM, 1, 0, 0);
	ring_offer(&r, 0);
}

static void bad_end(void)
{
	ring_desc(&r, 0, RING_GPA + 2 * RING_MEM - 1, 2, 0, 0);
	ring_offer(&r, 0);
}

static void bad_wrap(void)
{
	ring_desc(&r, 0, UINT64_MAX - 1, 16, 0, 0);
	ring_offer(&r, 0);
}

static void bad_loop(void)
{
	ring_desc(&r, 0, BUFFER, 1, NEXT, 1);
	ring_desc(&r, 1, BUFFER, 1, NEXT, 0);
	ring_offer(&r, 0);
}

static void bad_empty(void)
{
	ring_desc(&r, 0, BUFFER, 0, 0, 0);
	ring_offer(&r, 0);
}

static void bad_huge(void)
{
	ring_desc(&r, 0, BUFFER, UINT32_MAX, 0, 0);
	ring_offer(&r, 0);
}

static void bad_next(void)
{
	ring_desc(&r, 0, BUFFER, 1, NEXT, SIZE);
	ring_offer(&r, 0);
}

static void bad_direction(void)
{
	ring_desc(&r, 0, BUFFER, 1, WRITE, 0);
	ring_offer(&r, 0);
}

static void bad_mixed(void)
{
	ring_desc(&r, 0, BUFFER, 1, NEXT, 1);
	ring_desc(&r, 1, BUFFER, 1, WRITE, 0);
	ring_offer(&r, 0);
}

static void bad_table_odd(void)
{
	table(2);
	r.desc[0].len = htole32(17);
	ring_offer(&r, 0);
}

static void bad_table_empty(void)
{
	table(2);
	r.desc[0].len = 0;
	ring_offer(&r, 0);
}

static void bad_table_big(void)
{
	table(2);
	r.desc[0].len = htole32((VQ_SIZE_MAX + 1) * sizeof(struct vq_desc));
	ring_offer(&r, 0);
}

static void bad_table_cut(void)
{
	table(2);
	r.desc[0].addr = htole64(RING_GPA + 2 * RING_MEM - 16);
	ring_offer(&r, 0);
}

static void bad_table_nested(void)
{
	table(2)[1].flags = htole16(VQ_DESC_F_INDIRECT);
	ring_offer(&r, 0);
}

static void bad_table_next(void)
{
	table(2);
	r.desc[0].flags = htole16(VQ_DESC_F_INDIRECT | NEXT);
	ring_offer(&r, 0);
}

static void bad_table_loop(void)
{
	struct vq_desc *t = table(2);

	t[1].flags = htole16(NEXT);
	t[1].next = 0;
	ring_offer(&r, 0);
}

static void bad_table_beyond(void)
{
	table(2)[0].next = htole16(2);
	ring_offer(&r, 0);
}

static void test_hostile(void)
{
	static const struct {
		void (*offer)(void);
		const char *name;
	} bad[] = {
		{ bad_head, "a head beyond the ring" },
		{ bad_index, "an index that jumps" },
		{ bad_index_back, "an index that goes back" },
		{ bad_address, "an address outside of memory" },
		{ bad_end, "a buffer that leaves memory" },
		{ bad_wrap, "a buffer that wraps around" },
		{ bad_loop, "a loop" },
		{ bad_empty, "an empty buffer" },
		{ bad_huge, "a buffer of 4 GiB" },
		{ bad_next, "a next descriptor beyond the ring" },
		{ bad_direction, "a buffer of the wrong direction" },
		{ bad_mixed, "a chain of both directions" },
		{ bad_table_odd, "an indirect table of an odd size" },
		{ bad_table_empty, "an empty indirect table" },
		{ bad_table_big, "an indirect table over the limit" },
		{ bad_table_cut, "an indirect table that leaves memory" },
		{ bad_table_nested, "a nested indirect table" },
		{ bad_table_next, "an indirect table that is not the last" },
		{ bad_table_loop, "a loop in an indirect table" },
		{ bad_table_beyond, "a next descriptor beyond an indirect table" },
	};
	char name[128];
	unsigned i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(VQ_FROM_GUEST);
		r.q.indirect = true;
		bad[i].offer();
		snprintf(name, sizeof(name), "%s breaks the queue", bad[i].name);
		ok(take() == -EPROTO && !vq_runs(&r.q) && r.q.broken, name);
		r.avail->idx = 0;
		is(vq_start(&r.q, &r.at, 0), 0, "and it can be started again");
		ring_desc(&r, 0, BUFFER, 1, 0, 0);
		ring_offer(&r, 0);
		is(take(), 1, "to take chains");
	}

	begin(VQ_FROM_GUEST);
	table(2);
	ring_offer(&r, 0);
	is(take(), -EPROTO, "an indirect table breaks the queue without the feature");
	begin(VQ_TO_GUEST);
	ring_desc(&r, 0, BUFFER, 1, 0, 0);
	ring_offer(&r, 0);
	is(take(), -EPROTO, "a readable buffer breaks a queue to the guest");
}

static void test_start(void)
{
	struct vq_addr at;

	begin(VQ_FROM_GUEST);
	at = r.at;
	r.q.size = 3;
	is(vq_start(&r.q, &at, 0), -EINVAL, "a size that is no power of 2 is refused");
	r.q.size = 2 * VQ_SIZE_MAX;
	is(vq_start(&r.q, &at, 0), -EINVAL, "a size over the limit is refused");
	r.q.size = 0;
	is(vq_start(&r.q, &at, 0), -EINVAL, "a size of 0 is refused");
	r.q.size = VQ_SIZE_MAX;
	at.desc += 8;
	is(vq_start(&r.q, &at, 0), -EINVAL, "a misaligned ring is refused");
	ok(!vq_runs(&r.q), "and does not run");
	at = r.at;
	at.used = RING_USER + RING_MEM - 4;
	is(vq_start(&r.q, &at, 0), -EFAULT, "a ring that leaves memory is refused");
	at = r.at;
	at.avail = 0;
	is(vq_start(&r.q, &at, 0), -EFAULT, "so is one outside of it");

	r.q.size = SIZE;
	r.used->idx = htole16(7);
	ring_desc(&r, 0, BUFFER, 1, 0, 0);
	r.avail->idx = htole16(7);
	ring_offer(&r, 0);
	is(vq_start(&r.q, &r.at, 7), 0, "a ring is started at an index");
	is(take(), 1, "the chain there is taken");
	vq_put(&r.q, c.head, 0);
	vq_publish(&r.q);
	is(le16toh(r.used->idx), 8, "the used index goes on from the guest's");

	guestmem_clear(&r.mem);
	is(vq_relocate(&r.q, &r.at), -EFAULT, "without memory there is no ring");
	ok(!vq_runs(&r.q), "and nothing runs");
}

/* Use one chain, and publish that */
static void use(void)
{
	vq_put(&r.q, 0, 0);
	vq_publish(&r.q);
}

static void test_calls(void)
{
	le16 *used_event;

	begin(VQ_FROM_GUEST);
	ok(!vq_wants_call(&r.q), "nobody is called about nothing");
	use();
	ok(vq_wants_call(&r.q), "the guest is called about a used chain");
	ok(!vq_wants_call(&r.q), "once");
	r.avail->flags = htole16(VQ_AVAIL_F_NO_INTERRUPT);
	use();
	ok(!vq_wants_call(&r.q), "not if it wants no interrupt");

	begin(VQ_FROM_GUEST);
	r.q.event_idx = true;
	used_event = &r.avail->ring[SIZE];
	*used_event = htole16(5);
	use();
	ok(vq_wants_call(&r.q), "the first call comes in any case");
	for (unsigned i = 0; i < 4; i++)
		use();
	ok(!vq_wants_call(&r.q), "no call comes before the event index is used");
	use();
	ok(vq_wants_call(&r.q), "a call comes when it is");
	*used_event = htole16(7);
	use();
	use();
	use();
	ok(vq_wants_call(&r.q), "also if several chains were used at once");
}

static void test_kicks(void)
{
	begin(VQ_FROM_GUEST);
	vq_kicks_off(&r.q);
	is(le16toh(r.used->flags), VQ_USED_F_NO_NOTIFY, "kicks are turned off");
	ok(!vq_kicks_on(&r.q), "they are turned on, and nothing is there");
	is(r.used->flags, 0, "by the flag");
	ring_desc(&r, 0, BUFFER, 1, 0, 0);
	ring_offer(&r, 0);
	ok(vq_kicks_on(&r.q), "a chain that came before is seen");

	begin(VQ_FROM_GUEST);
	r.q.event_idx = true;
	ring_desc(&r, 0, BUFFER, 1, 0, 0);
	ring_offer(&r, 0);
	take();
	vq_kicks_off(&r.q);
	is(r.used->flags, 0, "with event indexes the flag is not used");
	ok(!vq_kicks_on(&r.q), "nothing is there");
	is(le16toh(*(le16 *)&r.used->ring[SIZE]), 1,
	   "a kick is asked for at the next chain");
	r.avail->idx = htole16(1000);
	ok(vq_kicks_on(&r.q), "a broken ring is something to look at");
	is(take(), -EPROTO, "and found broken");
}

/* Forget the log so far, and use @n chains */
static void use_logged(uint8_t *log, unsigned n)
{
	log[0] = 0;
	while (n--)
		vq_put(&r.q, 0, 0);
	vq_publish(&r.q);
}

/* Writes to the used ring, which crosses from page 2 into page 3 of its log behind the
 * first entry */
static void test_log(void)
{
	uint8_t bits = 0;
	const struct dirtylog log = { .map = { .bytes = &bits }, .pages = 8 };

	begin(VQ_FROM_GUEST);
	r.q.log = &log;
	use();
	vq_kicks_on(&r.q);
	is(bits, 0, "a used ring is not logged unasked");

	r.at.logged = true;
	r.at.log = 3 * DIRTYLOG_PAGE - 4 - sizeof(struct vq_used_elem);
	is(vq_relocate(&r.q, &r.at), 0, "a used ring is logged from now on");
	is(bits, 0, "that alone writes nothing");
	use_logged(&bits, 1);
	is(bits, 0xc, "a used entry is logged, and the index before the entries");
	use_logged(&bits, SIZE - 2);
	is(bits, 0xc, "so are several");
	use_logged(&bits, 1);
	is(bits, 0x4, "the first entry is in the first page");
	use_logged(&bits, 1000);
	is(bits, 0xc, "no more entries are logged than the ring has");
	bits = 0;
	vq_kicks_off(&r.q);
	is(bits, 0x4, "the flag against kicks is logged");
	bits = 0;
	vq_kicks_on(&r.q);
	is(bits, 0x4, "and so is its end");
	bits = 0;
	r.q.event_idx = true;
	vq_kicks_on(&r.q);
	is(bits, 0x8, "the event index at the end of the ring is logged");
	bits = 0;
	is(vq_start(&r.q, &r.at, 0), 0, "the ring starts anew");
	is(bits, 0x4, "its flags are logged");
	vq_log_used(&r.q);
	is(bits, 0xc, "all of it is logged for a log that came late");
	bits = 0;
	vq_stop(&r.q);
	vq_log_used(&r.q);
	is(bits, 0, "nothing is if it does not run");
	r.at.logged = false;
}

int main(void)
{
	test_order();
	test_pieces();
	test_indirect();
	test_hostile();
	test_start();
	test_calls();
	test_kicks();
	test_log();
	ring_free(&r);
	return done();
}
