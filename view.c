/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.c - A cursor over the bytes of a frame, which may be in pieces
 *
 * Some backends receive a frame into one buffer, others find it in several pieces
 * of the guest's memory, cut anywhere. Frames are read and written through a view,
 * so no protocol needs to know. In the usual case all wanted bytes are in the
 * current piece: that is inline in view.h, at the cost of one comparison. The rest
 * is here.
 *
 * A piece is looked up when a byte of it is needed, so @here may be 0 before the
 * end. All pieces together have at least @len bytes: a new view counts them, and
 * the functions only ever make it shorter.
 */

#include "view.h"

/* Bytes left in the current piece, at most @max; go to the next one if it is used up.
 * The view must not be empty */
static size_t piece_len(struct view *v, size_t max)
{
	while (!v->here) {
		size_t len = v->next->iov_len;

		v->p = v->next->iov_base;
		v->here = len < v->len ? (uint32_t)len : v->len;
		v->next++;
	}
	return v->here < max ? v->here : max;
}

/**
 * view_of_iov() - A view of pieces
 * @iov:	The pieces, which may be empty; stays in place
 * @n:		Number of pieces
 */
struct view view_of_iov(const struct iovec *iov, unsigned n)
{
	/* With no bytes, it still points to memory: C has no sum of NULL and 0 */
	struct view v = { .p = n ? iov->iov_base : NULL, .next = iov };
	uint64_t len = 0;		/* pieces may overlap */
	unsigned i;

	for (i = 0; i < n; i++)
		len += iov[i].iov_len;
	v.len = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
	if (v.len)
		piece_len(&v, 1);
	return v;
}

/**
 * view_piece() - Take the next bytes that are in one piece, in place
 * @v:		The view; steps over the bytes
 * @max:	Largest number of bytes
 * @p:		Set to the first byte
 *
 * Return: number of bytes, 0 only at the end or if @max is 0
 */
size_t view_piece(struct view *v, size_t max, uint8_t **p)
{
	size_t n;

	if (!v->len || !max)
		return 0;
	n = piece_len(v, max);
	*p = v->p;
	view_step(v, n);
	return n;
}

/* view_skip_parts() - view_skip() beyond the current piece */
bool view_skip_parts(struct view *v, size_t n)
{
	if (n > v->len)
		return false;
	while (n) {
		size_t part = piece_len(v, n);

		view_step(v, part);
		n -= part;
	}
	return true;
}

/* view_take_parts() - view_take() beyond the current piece */
bool view_take_parts(struct view *v, void *to, size_t n)
{
	uint8_t *at = to;

	if (n > v->len)
		return false;
	while (n) {
		size_t part = piece_len(v, n);

		memcpy(at, v->p, part);
		view_step(v, part);
		at += part;
		n -= part;
	}
	return true;
}

/* view_put_parts() - view_put() beyond the current piece */
bool view_put_parts(struct view *v, const void *from, size_t n)
{
	const uint8_t *at = from;

	if (n > v->len)
		return false;
	while (n) {
		size_t part = piece_len(v, n);

		memcpy(v->p, at, part);
		view_step(v, part);
		at += part;
		n -= part;
	}
	return true;
}

/* view_list_parts() - view_parts() beyond the current piece */
unsigned view_list_parts(struct view v, struct iovec *iov, unsigned max)
{
	unsigned n = 0;

	while (v.len) {
		size_t part;

		if (n == max)
			return 0;
		part = piece_len(&v, v.len);
		iov[n++] = (struct iovec){ v.p, part };
		view_step(&v, part);
	}
	return n;
}

/**
 * view_put_view() - Copy bytes from one view into another, step over them in both
 * @to:		View that is overwritten
 * @from:	View that is read
 * @n:		Number of bytes
 *
 * Both may be of the same memory if no byte of @to is behind the one that is copied to it.
 *
 * Return: false, and no change, if one view has fewer bytes
 */
bool view_put_view(struct view *to, struct view *from, size_t n)
{
	if (n > to->len || n > from->len)
		return false;
	while (n) {
		size_t part = piece_len(to, piece_len(from, n));

		memmove(to->p, from->p, part);
		view_step(to, part);
		view_step(from, part);
		n -= part;
	}
	return true;
}

/* view_equals() - Does the view begin with these @n bytes? */
bool view_equals(struct view v, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	if (n > v.len)
		return false;
	while (n) {
		size_t part = piece_len(&v, n);

		if (memcmp(v.p, at, part))
			return false;
		view_step(&v, part);
		at += part;
		n -= part;
	}
	return true;
}
