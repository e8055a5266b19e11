/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirtylog.c - Pages of a guest's memory that we have written to, for a migration
 *
 * While a guest migrates, its front-end copies the memory and has to know which pages
 * change meanwhile. It shares a bitmap with all that write: one bit a page of 4 KiB, by
 * guest physical address (vhost-user, "Migration"). We set bits, the front-end fetches
 * and clears them at any time.
 *
 * A bit is set after the page was written, and by an atomic operation that releases the
 * write. So a front-end that finds the bit finds the bytes as well. It is set even if
 * the bit seems to be set already: the front-end may be about to clear it, and may have
 * copied the page without our bytes.
 *
 * Addresses without a bit are ignored, with a warning. The log has one for all memory
 * that was there when it came.
 */

#include "dirtylog.h"

#include <errno.h>
#include <inttypes.h>

#include "log.h"

#define BITS	8U			/* pages in a byte of the log */

/**
 * dirtylog_open() - Use a log from now on
 * @l:		Set if this succeeds
 * @fd:		File with the log; not used after the call, still the caller's
 * @offset:	Offset of the bit of address 0 in the file, bytes
 * @size:	Bytes of the log
 * @end:	First guest physical address that needs no bit
 *
 * Return: 0 or negative errno; -EINVAL: empty; -ERANGE: too small for @end
 */
int dirtylog_open(struct dirtylog *l, int fd, uint64_t offset, uint64_t size,
		  uint64_t end)
{
	int rc;

	if (!size)
		return -EINVAL;
	if (end && (end - 1) / DIRTYLOG_PAGE / BITS >= size)
		return -ERANGE;
	rc = filemap_open(&l->map, fd, offset, size);
	if (!rc)
		l->pages = size * BITS;
	return rc;
}

/* dirtylog_close() - Forget the log, if there is one */
void dirtylog_close(struct dirtylog *l)
{
	filemap_close(&l->map);
	l->pages = 0;
}

static void set_bits(const struct dirtylog *l, uint64_t byte, uint8_t bits)
{
	__atomic_fetch_or(&l->map.bytes[byte], bits, __ATOMIC_RELEASE);
}

/* The last page of a range that is not empty; one that wraps ends with the address space */
static uint64_t last_page(uint64_t gpa, uint64_t len)
{
	uint64_t last = len - 1 > UINT64_MAX - gpa ? UINT64_MAX : gpa + len - 1;

	return last / DIRTYLOG_PAGE;
}

/**
 * dirtylog_mark() - Log that memory was written
 * @l:		The log; without one, nothing happens
 * @gpa, @len:	Guest physical addresses
 */
void dirtylog_mark(const struct dirtylog *l, uint64_t gpa, uint64_t len)
{
	uint64_t page = gpa / DIRTYLOG_PAGE, last;

	if (!dirtylog_exists(l) || !len)
		return;
	last = last_page(gpa, len);
	if (last >= l->pages) {
		warn_limited("The front-end's log of dirty pages has no bit for address "
			     "0x%" PRIx64 ": the guest can't be migrated",
			     last * DIRTYLOG_PAGE);
		if (page >= l->pages)
			return;
		last = l->pages - 1;
	}
	for (; page <= last; page++)
		set_bits(l, page / BITS, (uint8_t)(1 << page % BITS));
}

/**
 * dirtylog_carry() - Set all bits in a log that are set in another one
 * @to, @from:	The logs; @from may not exist
 * @gpa, @len:	Guest physical addresses whose bits are copied; @to has these
 */
void dirtylog_carry(const struct dirtylog *to, const struct dirtylog *from,
		    uint64_t gpa, uint64_t len)
{
	uint64_t byte = gpa / DIRTYLOG_PAGE / BITS;
	uint64_t last = last_page(gpa, len) / BITS;

	for (; byte <= last && byte < from->pages / BITS; byte++) {
		uint8_t bits = __atomic_load_n(&from->map.bytes[byte],
					       __ATOMIC_RELAXED);

		if (bits)
			set_bits(to, byte, bits);
	}
}
