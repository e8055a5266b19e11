/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * filemap.h - Bytes of a file, shared with another process
 */

#ifndef FILEMAP_H
#define FILEMAP_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct filemap - A range of a file in our address space
 * @bytes:	Its first byte; NULL: nothing is mapped
 * @start:	Start of the mapping, at a page boundary
 * @len:	Bytes of the mapping
 */
struct filemap {
	uint8_t *bytes;
	void *start;
	size_t len;
};

int filemap_open(struct filemap *m, int fd, uint64_t offset, uint64_t size);
void filemap_close(struct filemap *m);

#endif /* FILEMAP_H */
