/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filemap.c - Bytes of a file, shared with another process
 *
 * The front-end of a virtual machine passes files by descriptor. Their bytes are mapped
 * here, neither executable nor at a fixed address: the filter of system calls allows no
 * other mapping after the start.
 *
 * A range is checked against the size of its file. If the other process truncates the
 * file later, system calls on these bytes fail with EFAULT. Only our own accesses raise
 * SIGBUS, which ends this process.
 */

#include "filemap.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file is mapped in multiples of this: huge pages can't be mapped, or unmapped, in part */
static uint64_t granule(const struct stat *st)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return st->st_blksize > 0 && (uint64_t)st->st_blksize > page ?
	       (uint64_t)st->st_blksize : page;
}

static bool in_file(const struct stat *st, uint64_t offset, uint64_t size)
{
	return st->st_size >= 0 && offset <= (uint64_t)st->st_size &&
	       size <= (uint64_t)st->st_size - offset;
}

/**
 * filemap_open() - Map bytes of a file for reading and writing
 * @m:		Set if this succeeds
 * @fd:		The file; not used after the call, still the caller's
 * @offset:	Offset of the first byte, any
 * @size:	Bytes, not 0
 *
 * Return: 0 or negative errno; -ENXIO: beyond the end of the file
 */
/* #syscalls:vhost mmap mmap2 fstat fstat64 newfstatat fstatat64 statx */
int filemap_open(struct filemap *m, int fd, uint64_t offset, uint64_t size)
{
	uint64_t unit, skip;
	struct stat st;
	void *start;
	size_t len;

	if (fstat(fd, &st))
		return -errno;
	if (!in_file(&st, offset, size))
		return -ENXIO;
	unit = granule(&st);
	skip = offset % unit;
	if (size > SIZE_MAX - skip - unit)
		return -ENOMEM;
	len = (size_t)((size + skip + unit - 1) / unit * unit);
	start = mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_NORESERVE, fd, (off_t)(offset - skip));
	if (start == MAP_FAILED)
		return -errno;
	*m = (struct filemap){ (uint8_t *)start + skip, start, len };
	return 0;
}

/* filemap_close() - Unmap, if something is mapped */
/* #syscalls:vhost munmap */
void filemap_close(struct filemap *m)
{
	if (m->bytes)
		munmap(m->start, m->len);
	m->bytes = NULL;
}
