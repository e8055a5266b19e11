/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guestmem.c - Memory of a virtual machine, mapped from descriptors of its front-end
 *
 * The front-end of a virtual machine shares the guest's memory in regions. Each is a
 * range of a file that it passes by descriptor, so the mappings come and go with the
 * connection, and with memory that is plugged in or out.
 *
 * Every address from the guest or the front-end is translated here. A translated range
 * lies in regions as a whole, so no reader or writer can leave them. A front-end that
 * truncates the file of a region ends this process (filemap.c), and so its own network
 * alone.
 *
 * Regions don't overlap, neither in guest physical addresses nor in those of the
 * front-end, so each address has at most one translation. A range may go on in the next
 * region if both are adjacent.
 */

#include "guestmem.h"

#include <errno.h>
#include <string.h>

static bool ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* Is this a range, neither empty nor beyond the end of an address space? */
static bool is_range(const struct guestmem_range *at)
{
	return at->size && at->gpa <= UINT64_MAX - at->size &&
	       at->user <= UINT64_MAX - at->size;
}

/**
 * guestmem_add() - Map a region
 * @m:		The memory
 * @at:		Addresses of the region
 * @fd:		File with its bytes; not used after the call, still the caller's
 * @offset:	Offset of the region in the file
 *
 * Return: 0 or negative errno: -EINVAL: empty, or beyond an address space; -EEXIST:
 * overlaps another region; -ENOSPC: too many; -ENXIO: beyond the end of the file
 */
int guestmem_add(struct guestmem *m, const struct guestmem_range *at, int fd,
		 uint64_t offset)
{
	struct guestmem_region r = { .at = *at };
	unsigned i, pos = 0;
	int rc;

	if (!is_range(at))
		return -EINVAL;
	for (i = 0; i < m->n; i++) {
		const struct guestmem_range *o = &m->region[i].at;

		if (ranges_overlap(at->gpa, at->size, o->gpa, o->size) ||
		    ranges_overlap(at->user, at->size, o->user, o->size))
			return -EEXIST;
		if (o->gpa < at->gpa)
			pos = i + 1;
	}
	if (m->n == GUESTMEM_REGIONS)
		return -ENOSPC;
	rc = filemap_open(&r.map, fd, offset, at->size);
	if (rc)
		return rc;

	memmove(&m->region[pos + 1], &m->region[pos],
		(m->n - pos) * sizeof(m->region[0]));
	m->region[pos] = r;
	m->n++;
	return 0;
}

/**
 * guestmem_remove() - Unmap the region with these addresses
 *
 * Return: 0, -ENOENT if there is none
 */
int guestmem_remove(struct guestmem *m, const struct guestmem_range *at)
{
	unsigned i;

	for (i = 0; i < m->n; i++) {
		const struct guestmem_range *o = &m->region[i].at;

		if (o->gpa != at->gpa || o->user != at->user ||
		    o->size != at->size)
			continue;
		filemap_close(&m->region[i].map);
		m->n--;
		memmove(&m->region[i], &m->region[i + 1],
			(m->n - i) * sizeof(m->region[0]));
		return 0;
	}
	return -ENOENT;
}

/* guestmem_clear() - Unmap everything */
void guestmem_clear(struct guestmem *m)
{
	while (m->n)
		filemap_close(&m->region[--m->n].map);
}

/* Bytes of region @r from guest physical address @gpa on, 0: it is not in there */
static uint64_t bytes_from(const struct guestmem_region *r, uint64_t gpa)
{
	return gpa >= r->at.gpa && gpa - r->at.gpa < r->at.size ?
	       r->at.size - (gpa - r->at.gpa) : 0;
}

/* The region with guest physical address @gpa, NULL: none */
static const struct guestmem_region *region_of(const struct guestmem *m,
					       uint64_t gpa)
{
	unsigned i;

	for (i = 0; i < m->n; i++)
		if (bytes_from(&m->region[i], gpa))
			return &m->region[i];
	return NULL;
}

/**
 * guestmem_at() - Translate a range of guest physical addresses
 *
 * Return: its first byte here, NULL unless one region has the whole range
 */
void *guestmem_at(const struct guestmem *m, uint64_t gpa, uint64_t len)
{
	const struct guestmem_region *r = region_of(m, gpa);

	return r && bytes_from(r, gpa) >= len ? r->map.bytes + (gpa - r->at.gpa) :
						NULL;
}

/**
 * guestmem_at_user() - Translate a range of addresses of the front-end
 *
 * Return: as guestmem_at()
 */
void *guestmem_at_user(const struct guestmem *m, uint64_t user, uint64_t len)
{
	unsigned i;

	for (i = 0; i < m->n; i++) {
		const struct guestmem_region *r = &m->region[i];

		if (user >= r->at.user && user - r->at.user < r->at.size &&
		    len <= r->at.size - (user - r->at.user))
			return r->map.bytes + (user - r->at.user);
	}
	return NULL;
}

/**
 * guestmem_parts() - Translate a range that may go on in adjacent regions
 * @m:		The memory
 * @gpa, @len:	Guest physical addresses; @len not 0
 * @iov:	Filled in with the pieces
 * @max:	Length of @iov, not 0
 *
 * Return: number of pieces; 0 if an address is in no region, or @max is too small
 */
unsigned guestmem_parts(const struct guestmem *m, uint64_t gpa, uint64_t len,
			struct iovec *iov, unsigned max)
{
	unsigned n;

	for (n = 0; n < max; n++) {
		const struct guestmem_region *r = region_of(m, gpa);
		uint64_t part;

		if (!r)
			return 0;
		part = bytes_from(r, gpa);
		if (part > len)
			part = len;
		iov[n] = (struct iovec){ r->map.bytes + (gpa - r->at.gpa),
					 (size_t)part };
		len -= part;
		gpa += part;
		if (!len)
			return n + 1;
	}
	return 0;
}

/**
 * guestmem_gpa() - Translate an address of ours back
 * @m:		The memory
 * @host:	A byte that was translated, in a region that is still there
 *
 * Return: its guest physical address
 */
uint64_t guestmem_gpa(const struct guestmem *m, const void *host)
{
	unsigned i;

	for (i = 0; i < m->n; i++) {
		const struct guestmem_region *r = &m->region[i];
		uintptr_t at = (uintptr_t)host - (uintptr_t)r->map.bytes;

		if (at < r->at.size)
			return r->at.gpa + at;
	}
	return UINT64_MAX;
}

/* guestmem_end() - The first guest physical address behind all regions */
uint64_t guestmem_end(const struct guestmem *m)
{
	const struct guestmem_range *last;

	if (!m->n)
		return 0;
	last = &m->region[m->n - 1].at;
	return last->gpa + last->size;
}
