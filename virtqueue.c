/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtqueue.c - A split virtqueue in the guest's memory, seen from the device
 *
 * The driver in the guest puts buffers into a ring, chained by descriptors, and makes
 * a chain available by its head. We take chains in that order, read or write their
 * bytes, and put the heads into the used ring (virtio 1.2, 2.7). Here is the ring
 * alone: nothing knows of networks, front-ends or descriptors of files.
 *
 * All of it lies in memory that the guest can change at any time. So each index,
 * descriptor and indirect table is copied once, checked, and used from the copy. A
 * chain that breaks a rule makes the queue broken: nothing more is taken from it
 * until it is started anew. The process and other guests' networks never suffer.
 *
 *	rule					checked in
 *	no more chains than entries		look_avail()
 *	a head is an entry			vq_take()
 *	no loop, no chain over the ring		walk()
 *	all buffers are in memory, not empty	add_buffer()
 *	they have the queue's direction		walk()
 *	indirect tables are whole and flat	walk(), table_copy()
 *
 * We write used entries and indexes but never read them back. While the guest migrates,
 * each write is logged right after it. The buffers are not written here, so whoever
 * writes them logs that before vq_publish().
 *
 * Two flags save events. While we work, the guest need not kick: without EVENT_IDX
 * that is VQ_USED_F_NO_NOTIFY, with it the event index is left behind. Before we sleep,
 * kicks are asked for, and after a full barrier the ring is looked at once more, since
 * the guest may have filled it before it could see that. The guest does the same the
 * other way round, see vq_wants_call() (virtio 1.2, 2.7.7 and 2.7.10).
 */

#include "virtqueue.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "dirtylog.h"
#include "guestmem.h"

/* Read or write a word that the guest uses at the same time */
static uint16_t load16(const le16 *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static void store16(le16 *p, uint16_t n)
{
	__atomic_store_n(p, htole16(n), __ATOMIC_RELAXED);
}

/* Order what we wrote before what we read next: the guest does the opposite */
static void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Index that asks the driver to kick when it makes this chain available */
static le16 *avail_event(const struct virtqueue *q)
{
	return (le16 *)&q->used->ring[q->size];
}

/* Index at whose use the driver wants a call */
static const le16 *used_event(const struct virtqueue *q)
{
	return &q->avail->ring[q->size];
}

/**
 * vq_break() - Take nothing more until the next start: a rule was broken
 * @q:		The queue
 * @why:	Text: the driver's error
 *
 * Return: -EPROTO
 */
int vq_break(struct virtqueue *q, const char *why)
{
	if (!q->broken)
		q->broken = why;
	return -EPROTO;
}

/* Bytes of the used ring, with the event index at its end */
static size_t used_size(const struct virtqueue *q)
{
	return sizeof(*q->used) + q->size * sizeof(q->used->ring[0]) + sizeof(le16);
}

/* Log a write of @len bytes to the used ring, at byte @at of it */
static void log_write(const struct virtqueue *q, size_t at, size_t len)
{
	if (q->logged)
		dirtylog_mark(q->log, q->log_at + at, len);
}

/* Log that entries of the used ring were written, and its index */
static void log_entries(const struct virtqueue *q, unsigned from, unsigned n)
{
	const size_t entry = sizeof(struct vq_used_elem);
	unsigned to_end;

	if (n > q->size)
		n = q->size;
	from &= q->size - 1;
	to_end = q->size - from < n ? q->size - from : n;
	log_write(q, offsetof(struct vq_used, ring) + from * entry, to_end * entry);
	log_write(q, offsetof(struct vq_used, ring), (n - to_end) * entry);
	log_write(q, offsetof(struct vq_used, idx), sizeof(le16));
}

/* Write the flags of the used ring */
static void put_flags(struct virtqueue *q, uint16_t flags)
{
	store16(&q->used->flags, flags);
	log_write(q, offsetof(struct vq_used, flags), sizeof(le16));
}

static bool is_aligned(const void *p, size_t n)
{
	return !((uintptr_t)p % n);
}

/**
 * vq_relocate() - Find the ring again after the memory has changed
 * @q:		The queue, with its size
 * @at:		Addresses of its parts
 *
 * Return: 0; -EFAULT: in no region; -EINVAL: misaligned (virtio 1.2, 2.7). The queue
 * has no ring then
 */
int vq_relocate(struct virtqueue *q, const struct vq_addr *at)
{
	const struct guestmem *m = q->mem;
	struct vq_desc *desc;
	size_t n = q->size;

	q->log_at = at->log;
	q->logged = at->logged;
	q->desc = NULL;
	desc = guestmem_at_user(m, at->desc, n * sizeof(*desc));
	/* Both rings end with an event index */
	q->avail = guestmem_at_user(m, at->avail, sizeof(*q->avail) +
				    (n + 1) * sizeof(le16));
	q->used = guestmem_at_user(m, at->used, used_size(q));
	if (!desc || !q->avail || !q->used)
		return -EFAULT;
	if (!is_aligned(desc, sizeof(*desc)) ||
	    !is_aligned(q->avail, sizeof(le16)) ||
	    !is_aligned(q->used, sizeof(le32)))
		return -EINVAL;
	q->desc = desc;
	return 0;
}

/**
 * vq_start() - Serve a ring
 * @q:		The queue: memory, direction, size and features are set
 * @at:		Addresses of its parts
 * @base:	Index of the first chain to take
 *
 * Return: 0, or negative errno as for vq_relocate(); -EINVAL also for a bad size
 */
int vq_start(struct virtqueue *q, const struct vq_addr *at, uint16_t base)
{
	int rc;

	q->desc = NULL;
	if (!q->size || q->size > VQ_SIZE_MAX || q->size & (q->size - 1))
		return -EINVAL;
	rc = vq_relocate(q, at);
	if (rc)
		return rc;
	q->next = q->seen = base;
	q->used_idx = q->called = q->shown = load16(&q->used->idx);
	q->call_known = false;
	q->no_notify = false;
	q->broken = NULL;
	put_flags(q, 0);
	return 0;
}

/* vq_stop() - Forget the ring; next is where the following start may go on */
void vq_stop(struct virtqueue *q)
{
	q->desc = NULL;
}

/* Are there chains to take? Negative errno if the driver claims too many */
static int look_avail(struct virtqueue *q)
{
	uint16_t idx;

	if (q->next != q->seen)
		return 1;
	idx = le16toh(__atomic_load_n(&q->avail->idx, __ATOMIC_ACQUIRE));
	if ((uint16_t)(idx - q->next) > q->size)
		return vq_break(q, "more chains available than entries");
	q->seen = idx;
	return q->next != q->seen;
}

/* Copy a descriptor from memory that may change, once */
static struct vq_desc desc_copy(const struct vq_desc *from)
{
	struct vq_desc d;

	memcpy(&d, from, sizeof(d));
	__asm__ volatile("" : "+m"(d));
	return (struct vq_desc){ le64toh(d.addr), le32toh(d.len),
				 le16toh(d.flags), le16toh(d.next) };
}

/* Copy an indirect table. Return: its entries, or negative errno */
static int table_copy(struct virtqueue *q, const struct vq_desc *d)
{
	const struct vq_desc *from;

	if (!q->indirect)
		return vq_break(q, "an indirect table without that feature");
	if (d->flags & VQ_DESC_F_NEXT)
		return vq_break(q, "an indirect table that is not the last");
	if (!d->len || d->len % sizeof(*d) || d->len > sizeof(q->table))
		return vq_break(q, "an indirect table of a wrong size");
	from = guestmem_at(q->mem, d->addr, d->len);
	if (!from)
		return vq_break(q, "an indirect table outside of memory");
	memcpy(q->table, from, d->len);
	__asm__ volatile("" : "+m"(q->table));
	return (int)(d->len / sizeof(*d));
}

/* Append a buffer to a chain. -ENOBUFS: @iov is too short */
static int add_buffer(struct virtqueue *q, struct vq_chain *c,
		      const struct vq_desc *d, struct iovec *iov, unsigned max)
{
	unsigned n;

	if (!d->len)
		return vq_break(q, "an empty buffer");
	if (d->len > UINT32_MAX - c->len)
		return vq_break(q, "a chain of over 4 GiB");
	if (c->parts == max)
		return -ENOBUFS;
	n = guestmem_parts(q->mem, d->addr, d->len, iov + c->parts,
			   max - c->parts);
	if (!n) {
		struct iovec all[GUESTMEM_REGIONS];

		if (guestmem_parts(q->mem, d->addr, d->len, all,
				   GUESTMEM_REGIONS))
			return -ENOBUFS;
		return vq_break(q, "a buffer outside of memory");
	}
	c->parts += n;
	c->len += d->len;
	return 0;
}

/* Follow the descriptors from @c->head on, in the ring and then in an indirect table,
 * if there is one */
static int walk(struct virtqueue *q, struct vq_chain *c, struct iovec *iov,
		unsigned max)
{
	unsigned entries = q->size, left = entries, i = c->head;
	bool write = q->direction == VQ_TO_GUEST;
	const struct vq_desc *table = q->desc;
	struct vq_desc d;
	int rc;

	while (left--) {
		d = desc_copy(&table[i]);
		if (d.flags & VQ_DESC_F_INDIRECT) {
			if (table == q->table)
				return vq_break(q, "a nested indirect table");
			rc = table_copy(q, &d);
			if (rc < 0)
				return rc;
			table = q->table;
			entries = left = (unsigned)rc;
			i = 0;
			continue;
		}
		if (!(d.flags & VQ_DESC_F_WRITE) == write)
			return vq_break(q, "a buffer of the wrong direction");
		rc = add_buffer(q, c, &d, iov, max);
		if (rc)
			return rc;
		if (!(d.flags & VQ_DESC_F_NEXT))
			return 0;
		i = d.next;
		if (i >= entries)
			return vq_break(q, "a descriptor beyond the table");
	}
	return vq_break(q, "a chain with a loop");
}

/**
 * vq_take() - Take the next available chain
 * @q:		A queue that runs
 * @c:		Set
 * @iov:	Set to the pieces of its buffers, in our address space
 * @max:	Length of @iov
 *
 * Return: 1; 0: none is available; -ENOBUFS: it has more than @max pieces, and stays;
 * -EPROTO: the queue is broken now, q->broken says why
 */
int vq_take(struct virtqueue *q, struct vq_chain *c, struct iovec *iov,
	    unsigned max)
{
	int rc = look_avail(q);

	if (rc <= 0)
		return rc;
	*c = (struct vq_chain){
		.head = load16(&q->avail->ring[q->next & (q->size - 1)]) };
	if (c->head >= q->size)
		return vq_break(q, "a head beyond the table");
	rc = walk(q, c, iov, max);
	if (rc)
		return rc;
	q->next++;
	return 1;
}

/* vq_rewind() - Give back the last @n chains that were taken and not put */
void vq_rewind(struct virtqueue *q, unsigned n)
{
	q->next -= (uint16_t)n;
}

/**
 * vq_put() - Mark a chain as used; the guest sees it after vq_publish()
 * @q:		The queue
 * @head:	Head of the chain
 * @len:	Bytes written to it
 */
void vq_put(struct virtqueue *q, unsigned head, uint32_t len)
{
	struct vq_used_elem *e = &q->used->ring[q->used_idx & (q->size - 1)];

	__atomic_store_n(&e->id, htole32(head), __ATOMIC_RELAXED);
	__atomic_store_n(&e->len, htole32(len), __ATOMIC_RELAXED);
	q->used_idx++;
}

/* vq_publish() - Show the guest what was put */
void vq_publish(struct virtqueue *q)
{
	__atomic_store_n(&q->used->idx, htole16(q->used_idx), __ATOMIC_RELEASE);
	if (q->logged)
		log_entries(q, q->shown, (uint16_t)(q->used_idx - q->shown));
	q->shown = q->used_idx;
}

/* vq_log_used() - Log the whole used ring: it may have been written without a log */
void vq_log_used(const struct virtqueue *q)
{
	if (q->desc)
		log_write(q, 0, used_size(q));
}

/**
 * vq_wants_call() - Does the driver want to be called about what was published?
 *
 * Answers once: true only if something was published since the last call.
 */
bool vq_wants_call(struct virtqueue *q)
{
	uint16_t since = q->used_idx - q->called;
	bool first = !q->call_known;

	if (!since)
		return false;
	q->called = q->used_idx;
	q->call_known = true;
	full_barrier();
	if (!q->event_idx)
		return !(load16(&q->avail->flags) & VQ_AVAIL_F_NO_INTERRUPT);
	/* virtio 1.2, 2.7.7.1: has the index that it waits for been passed? */
	return first ||
	       (uint16_t)(q->used_idx - load16(used_event(q)) - 1) < since;
}

/**
 * vq_kicks_on() - Ask for a kick at the next chain
 *
 * Return: true if there are chains by now: there may be no kick for these
 */
bool vq_kicks_on(struct virtqueue *q)
{
	if (q->event_idx) {
		store16(avail_event(q), q->next);
		log_write(q, used_size(q) - sizeof(le16), sizeof(le16));
	} else if (q->no_notify) {
		put_flags(q, 0);
		q->no_notify = false;
	}
	full_barrier();
	return look_avail(q) != 0;
}

/* vq_kicks_off() - Allow the driver to add chains without a kick */
void vq_kicks_off(struct virtqueue *q)
{
	if (q->event_idx || q->no_notify)
		return;
	put_flags(q, VQ_USED_F_NO_NOTIFY);
	q->no_notify = true;
}
