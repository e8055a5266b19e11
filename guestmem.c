/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guestmem.c - Memory of a virtual machine, mapped from descriptors of its front-end
 *
 * The front-end of a virtual machine shares the guest's memory in regions. Each is a
 * range of a file that it passes by descriptor, so the mappings come and go with the
 * connection, and with memory that is plugged in or out. Nothing else is mapped after
 * the start.
 *
 * Every address from the guest or the front-end is translated here. A translated range
 * lies in regions as a whole, so no reader or writer can leave them. The mapping has
 * been checked against the size of the file. If the front-end truncates the file later,
 * system calls on that memory fail with EFAULT; only our own accesses raise SIGBUS,
 * which ends this process, and that front-end's network alone.
 *
 * Regions don't overlap, neither in guest physical addresses nor in those of the
 * front-end, so each address has at most one translation. A range may go on in the next
 * region if both are adjacent.
 */

#include "guestmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

/*
 * Map bytes of a file, from a multiple of its block size on, since huge pages need
 * that. Sets what is known of the mapping in @r
 */
/* #syscalls:vhost mmap mmap2 fstat fstat64 newfstatat fstatat64 statx */
static int map_region(struct guestmem_region *r, int fd, uint64_t offset)
{
	struct stat st;
	uint64_t page, skip;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size < 0 || offset > (uint64_t)st.st_size ||
	    r->at.size > (uint64_t)st.st_size - offset)
		return -ENXIO;
	page = (uint64_t)sysconf(_SC_PAGESIZE);
	if (st.st_blksize > 0 && (uint64_t)st.st_blksize > page)
		page = (uint64_t)st.st_blksize;
	skip = offset % page;
	if (r->at.size > SIZE_MAX - skip)
		return -ENOMEM;

	r->map_len = (size_t)(r->at.size + skip);
	r->map = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE, fd, (off_t)(offset - skip));
	if (r->map == MAP_FAILED)
		return -errno;
	r->host = (uint8_t *)r->map + skip;
	return 0;
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
	rc = map_region(&r, fd, offset);
	if (rc)
		return rc;

	memmove(&m->region[pos + 1], &m->region[pos],
		(m->n - pos) * sizeof(m->region[0]));
	m->region[pos] = r;
	m->n++;
	return 0;
}

/* #syscalls:vhost munmap */
static void unmap_region(const struct guestmem_region *r)
{
	munmap(r->map, r->map_len);
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
		unmap_region(&m->region[i]);
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
		unmap_region(&m->region[--m->n]);
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

	return r && bytes_from(r, gpa) >= len ? r->host + (gpa - r->at.gpa) :
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
			return r->host + (user - r->at.user);
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
		iov[n] = (struct iovec){ r->host + (gpa - r->at.gpa),
					 (size_t)part };
		len -= part;
		gpa += part;
		if (!len)
			return n + 1;
	}
	return 0;
}
