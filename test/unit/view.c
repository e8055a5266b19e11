/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Views of bytes cut at random against the same bytes in one piece */

#include "view.h"

#include <stdlib.h>

#include "checksum.h"
#include "tap.h"

#define SIZE	4096

/* The bytes, in one piece and in several, each of these in memory of its own */
static uint8_t flat[SIZE], out[SIZE];
static uint8_t *piece[VIEW_PARTS_MAX];
static struct iovec iov[VIEW_PARTS_MAX];

static void forget(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		free(piece[i]);
}

/* Cut @len bytes into @n pieces, some of them empty. On the heap, so that the
 * sanitizer sees each access beyond a piece */
static struct view cut(size_t len, unsigned n)
{
	size_t done = 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		size_t left = len - done, part = left;

		if (i < n - 1)
			part = rand() % 4 ? (size_t)rand() % (left + 1) :
					    (size_t)rand() % 3;
		if (part > left)
			part = left;
		piece[i] = malloc(part ? part : 1);
		if (!piece[i])
			abort();
		memcpy(piece[i], flat + done, part);
		iov[i] = (struct iovec){ piece[i], part };
		done += part;
	}
	return view_of_iov(iov, n);
}

/* Move bytes to the front, inside the same pieces */
static bool shifts(size_t len, unsigned n, size_t by)
{
	struct view v = cut(len, n), to = v, from = v;
	bool ok = view_skip(&from, by) && view_put_view(&to, &from, len - by) &&
		  view_equals(v, flat + by, len - by);

	forget(n);
	return ok;
}

/* Take random steps over a view: its bytes are those of the flat copy */
static bool walk(struct view v, size_t len)
{
	size_t off = 0;

	while (off < len) {
		size_t n = (size_t)rand() % (len - off) + 1;
		struct view first;
		uint8_t *p = NULL;

		if (v.len != len - off || view_take(&v, out, len - off + 1) ||
		    view_skip(&v, len - off + 1) || v.len != len - off)
			return false;
		switch (rand() % 4) {
		case 0:
			if (!view_take(&v, out, n) || memcmp(out, flat + off, n))
				return false;
			break;
		case 1:
			if (!view_skip(&v, n))
				return false;
			break;
		case 2:
			if (!view_split(&v, n, &first) || first.len != n ||
			    !view_equals(first, flat + off, n))
				return false;
			break;
		default:
			n = view_piece(&v, n, &p);
			if (!n || memcmp(p, flat + off, n))
				return false;
		}
		off += n;
	}
	return !v.len && !view_take(&v, out, 1) && view_take(&v, out, 0);
}

static bool same_parts(struct view v, size_t len)
{
	struct iovec list[VIEW_PARTS_MAX];
	unsigned n = view_parts(&v, 0, len, list, VIEW_PARTS_MAX), i;
	size_t off = 0;

	for (i = 0; i < n; i++) {
		if (!list[i].iov_len ||
		    memcmp(list[i].iov_base, flat + off, list[i].iov_len))
			return false;
		off += list[i].iov_len;
	}
	return off == len && (n < 2 || !view_parts(&v, 0, len, list, n - 1));
}

/* One round: all that can be asked of one view */
static bool reads(size_t len, unsigned parts)
{
	struct view v = cut(len, parts);
	size_t off = (size_t)rand() % (len + 1), n = len - off, k;
	bool good;

	k = n ? (size_t)rand() % n : 0;
	good = v.len == len && walk(v, len) && same_parts(v, len) &&
	       view_copy(v, off, out, k) && !memcmp(out, flat + off, k) &&
	       !view_copy(v, off, out, n + 1) &&
	       view_equals(view_at(v, off, k), flat + off, k) &&
	       csum_fold(csum_view(0, &v, off, k)) ==
	       csum_fold(csum_add(0, flat + off, k)) &&
	       csum_fold(csum_view(0x12345, &v, 0, len)) ==
	       csum_fold(csum_add(0x12345, flat, len));
	if (len) {
		flat[off % len] ^= 1;
		good = good && !view_equals(v, flat, len);
		flat[off % len] ^= 1;
	}
	forget(parts);
	return good;
}

/* Write through a view, in steps and from another view */
static bool writes(size_t len, unsigned parts)
{
	struct view all = cut(len, parts), v = all;
	static uint8_t news[SIZE];
	struct iovec half[2];
	struct view from;
	size_t off, k;
	bool good;

	for (k = 0; k < len; k++)
		news[k] = (uint8_t)rand();
	off = (size_t)rand() % (len + 1);
	half[0] = (struct iovec){ news + off, (len - off) / 2 };
	half[1] = (struct iovec){ news + off + half[0].iov_len,
				  len - off - half[0].iov_len };
	from = view_of_iov(half, 2);
	good = view_put(&v, news, off) && !view_put(&v, news, len - off + 1) &&
	       !view_put_view(&v, &from, len - off + 1) &&
	       view_put_view(&v, &from, len - off) && !v.len && !from.len &&
	       view_equals(all, news, len);
	forget(parts);
	return good;
}

static void random_cuts(void)
{
	bool read = true, written = true;
	unsigned i;

	for (i = 0; i < 20000; i++) {
		size_t len = (size_t)rand() % (i % 8 ? 200 : SIZE);
		unsigned parts = (unsigned)rand() % VIEW_PARTS_MAX + 1;

		read = read && reads(len, parts);
		written = written && writes(len, parts);
	}
	ok(read, "bytes in pieces read like bytes in one");
	ok(written, "bytes are written across pieces");
}

static void one_piece(void)
{
	struct view v = view_of(flat, 100), w;
	struct iovec list[1];

	is(view_parts(&v, 0, v.len, list, 1), 1,
	   "a view of one piece is one part");
	ok(list[0].iov_base == flat && list[0].iov_len == 100,
	   "the part of a view of one piece is all of it");
	is(view_parts(&v, 0, v.len, list, 0), 0,
	   "no part is listed without room");
	w = view_at(v, 99, 2);
	is(w.len, 0, "a view beyond the end is empty");
	ok(!view_cut(&v, 101) && v.len == 100,
	   "a view is not cut to more bytes");
	ok(view_cut(&v, 0) && !view_parts(&v, 0, v.len, list, 1),
	   "an empty view has no part");
	v = view_of(NULL, 0);
	ok(view_skip(&v, 0) && !view_skip(&v, 1),
	   "a view of nothing has no byte");
	is(csum_fold(csum_view(0, &v, 0, 0)), 0xffff,
	   "the sum of nothing is zero");
}

static void empty_pieces(void)
{
	struct iovec list[3] = { { NULL, 0 }, { flat, 3 }, { NULL, 0 } };
	struct view v = view_of_iov(list, 3);
	struct iovec got[3];
	unsigned i;

	is(v.len, 3, "empty pieces add nothing to the length");
	is(view_parts(&v, 0, v.len, got, 3), 1, "empty pieces are not listed");
	ok(view_equals(v, flat, 3) && view_skip(&v, 3) && !v.len,
	   "empty pieces are stepped over");
	v = view_of_iov(list, 1);
	is(v.len, 0, "a view of an empty piece is empty");
	for (i = 0; i < 3; i++)
		list[i] = (struct iovec){ flat, 3UL << 30 };
	v = view_of_iov(list, 3);
	is(v.len, UINT32_MAX, "more than 4 GiB in pieces count as 4 GiB less one");
}

static void to_the_front(void)
{
	unsigned i, good = 0;

	for (i = 0; i < 1000; i++) {
		size_t len = (size_t)rand() % SIZE + 1;

		good += shifts(len, (unsigned)rand() % 20 + 1, (size_t)rand() % len);
	}
	is(good, 1000, "bytes are moved to the front inside the same pieces");
}

int main(void)
{
	size_t i;

	srand(1);
	for (i = 0; i < SIZE; i++)
		flat[i] = (uint8_t)rand();
	one_piece();
	empty_pieces();
	random_cuts();
	to_the_front();
	return done();
}
