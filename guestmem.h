/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guestmem.h - Memory of a virtual machine, mapped from descriptors of its front-end
 */

#ifndef GUESTMEM_H
#define GUESTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "filemap.h"

#define GUESTMEM_REGIONS	32

/**
 * struct guestmem_range - Where a region of memory is, as the front-end tells
 * @gpa:	Guest physical address of its first byte
 * @user:	Address of that byte in the front-end, which names rings by it
 * @size:	Bytes
 */
struct guestmem_range {
	uint64_t gpa, user, size;
};

/**
 * struct guestmem_region - One region
 * @at:		Its addresses
 * @map:	Its bytes, in our address space
 */
struct guestmem_region {
	struct guestmem_range at;
	struct filemap map;
};

/**
 * struct guestmem - All regions of a virtual machine
 * @n:		Number of regions
 * @region:	The regions, by guest physical address
 */
struct guestmem {
	unsigned n;
	struct guestmem_region region[GUESTMEM_REGIONS];
};

int guestmem_add(struct guestmem *m, const struct guestmem_range *at, int fd,
		 uint64_t offset);
int guestmem_remove(struct guestmem *m, const struct guestmem_range *at);
void guestmem_clear(struct guestmem *m);
void *guestmem_at(const struct guestmem *m, uint64_t gpa, uint64_t len);
void *guestmem_at_user(const struct guestmem *m, uint64_t user, uint64_t len);
unsigned guestmem_parts(const struct guestmem *m, uint64_t gpa, uint64_t len,
			struct iovec *iov, unsigned max);
uint64_t guestmem_gpa(const struct guestmem *m, const void *host);
uint64_t guestmem_end(const struct guestmem *m);

#endif /* GUESTMEM_H */
