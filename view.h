/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.h - A cursor over the bytes of a frame, which may be in pieces
 */

#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#define VIEW_PARTS_MAX	64		/* pieces of one frame, at most */

/**
 * struct view - Bytes in pieces, and a position in them
 * @p:		Next byte
 * @next:	Pieces that follow the one at @p; not used if there are none
 * @here:	Bytes left in the piece at @p, at most @len
 * @len:	Bytes left in all
 *
 * A view owns no memory: the pieces, and the iovec that lists them, must stay in
 * place as long as the view or a copy of it is used. The functions below never go
 * beyond @len, so no other code needs @p, @next or @here.
 */
struct view {
	uint8_t *p;
	const struct iovec *next;
	uint32_t here, len;
};

__attribute__((cold)) bool view_skip_parts(struct view *v, size_t n);
__attribute__((cold)) bool view_take_parts(struct view *v, void *to, size_t n);
__attribute__((cold)) bool view_put_parts(struct view *v, const void *from, size_t n);
unsigned view_list_parts(struct view v, struct iovec *iov, unsigned max);

struct view view_of_iov(const struct iovec *iov, unsigned n);
size_t view_piece(struct view *v, size_t max, uint8_t **p);
bool view_put_view(struct view *to, struct view *from, size_t n);
bool view_equals(struct view v, const void *bytes, size_t n);

/* view_of() - A view of one piece */
static inline struct view view_of(const void *p, size_t len)
{
	return (struct view){ .p = (uint8_t *)p, .here = (uint32_t)len,
			      .len = (uint32_t)len };
}

/* Step over @n bytes of the current piece */
static inline void view_step(struct view *v, size_t n)
{
	v->p += n;
	v->here -= (uint32_t)n;
	v->len -= (uint32_t)n;
}

/*
 * Bytes beyond the current piece are left to functions, which get the address of a
 * copy: so the compiler may keep the view itself in registers.
 */

/* view_skip() - Step over @n bytes; false, and no change, if there are fewer */
static inline bool view_skip(struct view *v, size_t n)
{
	if (n > v->here) {
		struct view copy = *v;
		bool done = view_skip_parts(&copy, n);

		*v = copy;
		return done;
	}
	view_step(v, n);
	return true;
}

/* view_take() - Copy @n bytes out and step over them; false if there are fewer
 *
 * The guest may change them at any time, so the compiler must not read them again where
 * the copy is used. */
static inline bool view_take(struct view *v, void *to, size_t n)
{
	if (n > v->here) {
		struct view copy = *v;
		bool done = view_take_parts(&copy, to, n);

		*v = copy;
		return done;
	}
	if (n)
		memcpy(to, v->p, n);
	__asm__ volatile("" : : : "memory");
	view_step(v, n);
	return true;
}

/* view_put() - Overwrite @n bytes and step over them; false if there are fewer */
static inline bool view_put(struct view *v, const void *from, size_t n)
{
	if (n > v->here) {
		struct view copy = *v;
		bool done = view_put_parts(&copy, from, n);

		*v = copy;
		return done;
	}
	if (n)
		memcpy(v->p, from, n);
	view_step(v, n);
	return true;
}

/* view_copy() - Copy out @n bytes from offset @off on; false if there are fewer */
static inline bool view_copy(struct view v, size_t off, void *to, size_t n)
{
	return view_skip(&v, off) && view_take(&v, to, n);
}

/* view_cut() - Keep only the first @len bytes; false if there are fewer */
static inline bool view_cut(struct view *v, size_t len)
{
	if (len > v->len)
		return false;
	v->len = (uint32_t)len;
	if (v->here > len)
		v->here = (uint32_t)len;
	return true;
}

/* view_split() - Step over @n bytes and set @first to a view of them; false if there
 * are fewer */
static inline bool view_split(struct view *v, size_t n, struct view *first)
{
	*first = *v;
	return view_skip(v, n) && view_cut(first, n);
}

/* view_at() - A view of @n bytes from offset @off on; empty if there are fewer */
static inline struct view view_at(struct view v, size_t off, size_t n)
{
	if (!view_skip(&v, off) || !view_cut(&v, n))
		view_cut(&v, 0);
	return v;
}

/**
 * view_parts() - List the pieces of some bytes of a view, for a system call
 * @v:		The view
 * @off, @len:	Range of bytes; must be inside the view
 * @iov:	Filled in
 * @max:	Length of @iov
 *
 * Return: number of parts filled in; 0 if @len is 0, or if the bytes are in more
 * than @max pieces
 */
static inline unsigned view_parts(const struct view *v, size_t off, size_t len,
				  struct iovec *iov, unsigned max)
{
	if (off > v->here || len > v->here - off)
		return view_list_parts(view_at(*v, off, len), iov, max);
	if (!len || !max)
		return 0;
	*iov = (struct iovec){ v->p + off, len };
	return 1;
}

#endif /* VIEW_H */
