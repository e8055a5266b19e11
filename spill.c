/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spill.c - The bounded overflow pool
 *
 * The window that we advertise is an estimate of room in the socket. Data that the
 * socket refuses all the same is kept here until it has room. The pool is one array
 * for all flows; each flow has a chain of blocks, at most half of the pool. When the
 * pool is full, the caller must refuse the data.
 */

#include "spill.h"

#include <string.h>

/* Take a free block. Return: its index plus 1, 0 if there is none */
static uint16_t block_get(struct spill_pool *p)
{
	uint16_t b = p->free;

	if (b)
		p->free = p->next[b - 1];
	else if (p->high < SPILL_BLOCKS)
		b = ++p->high;
	else
		return 0;

	p->next[b - 1] = 0;
	return b;
}

/* Find *@room bytes of room at the end of the chain, add a block if needed; NULL if
 * the pool is full */
static uint8_t *tail_room(struct spill_pool *p, struct spill *s, size_t *room)
{
	size_t end = s->off + s->len;
	uint16_t b;

	if (s->len >= SPILL_FLOW_MAX)
		return NULL;

	if (!s->tail || end % SPILL_BLOCK == 0) {
		b = block_get(p);
		if (!b)
			return NULL;
		if (s->tail)
			p->next[s->tail - 1] = b;
		else
			s->head = b;
		s->tail = b;
	}

	*room = SPILL_BLOCK - end % SPILL_BLOCK;
	if (*room > SPILL_FLOW_MAX - s->len)
		*room = SPILL_FLOW_MAX - s->len;
	return &p->data[s->tail - 1][end % SPILL_BLOCK];
}

/**
 * spill_append() - Keep bytes
 * @p:		The pool
 * @s:		The flow's part of the pool
 * @v:		Bytes to append
 *
 * Return: number of bytes kept, less than v.len if the pool is full
 */
size_t spill_append(struct spill_pool *p, struct spill *s, struct view v)
{
	size_t all = v.len, room;
	uint8_t *to;

	while (v.len && (to = tail_room(p, s, &room))) {
		if (room > v.len)
			room = v.len;
		view_take(&v, to, room);
		s->len += (uint32_t)room;
	}
	return all - v.len;
}

/**
 * spill_iov() - List the bytes that are kept, for sendmsg()
 * @p:		The pool
 * @s:		The flow's part of the pool
 * @iov:	Filled in, from the oldest byte on
 * @n:		Length of @iov
 *
 * Return: number of parts that were filled in
 */
unsigned spill_iov(struct spill_pool *p, const struct spill *s,
		   struct iovec *iov, unsigned n)
{
	size_t left = s->len, off = s->off;
	uint16_t b = s->head;
	unsigned i;

	for (i = 0; i < n && left; i++, b = p->next[b - 1]) {
		size_t part = SPILL_BLOCK - off;

		if (part > left)
			part = left;
		iov[i].iov_base = &p->data[b - 1][off];
		iov[i].iov_len = part;
		left -= part;
		off = 0;
	}

	return i;
}

/**
 * spill_consume() - Free the oldest @bytes, which must not be more than are kept
 */
void spill_consume(struct spill_pool *p, struct spill *s, size_t bytes)
{
	s->len -= bytes;
	s->off += bytes;
	while (s->head && (s->off >= SPILL_BLOCK || !s->len)) {
		uint16_t b = s->head;

		s->head = p->next[b - 1];
		p->next[b - 1] = p->free;
		p->free = b;
		s->off = s->off >= SPILL_BLOCK ? s->off - SPILL_BLOCK : 0;
	}
	if (!s->head)
		*s = (struct spill){ 0 };
}

/* spill_release() - Free all bytes of a flow */
void spill_release(struct spill_pool *p, struct spill *s)
{
	spill_consume(p, s, s->len);
}
