/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring.h - The guest's side of a virtqueue, in a memfd, for tests
 */

#ifndef TEST_RING_H
#define TEST_RING_H

#include <endian.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guestmem.h"
#include "virtqueue.h"

#define RING_MEM	(1 << 20)	/* bytes of each region */
#define RING_GPA	0x100000ULL	/* of the first region; the next is adjacent */
#define RING_USER	0x7f0000000000ULL
#define RING_AVAIL	0x4000		/* offsets of the rings; descriptors are at 0 */
#define RING_USED	0x5000
#define RING_BUFFERS	0x10000		/* offset of the first buffer */
#define RING_TABLES	0x8000		/* offset of indirect tables */

/**
 * struct ring - A driver with one queue and two adjacent regions of memory
 * @mem:	Memory as the device maps it
 * @q:		The device's side
 * @bytes:	The memory as the guest sees it, both regions
 * @desc, @avail, @used:	The ring in it
 * @at:		Where the ring is, for vq_start()
 */
struct ring {
	struct guestmem mem;
	struct virtqueue q;
	uint8_t *bytes;
	struct vq_desc *desc;
	struct vq_avail *avail;
	struct vq_used *used;
	struct vq_addr at;
};

/* Make memory and an empty ring of @size entries, start the device's side */
static inline int ring_init(struct ring *r, unsigned size,
			    enum vq_direction direction)
{
	int fd = memfd_create("ring", MFD_CLOEXEC), rc;
	struct guestmem_range at = { RING_GPA, RING_USER, RING_MEM };

	memset(r, 0, sizeof(*r));
	if (fd < 0 || ftruncate(fd, 2 * RING_MEM))
		return -1;
	r->bytes = mmap(NULL, 2 * RING_MEM, PROT_READ | PROT_WRITE, MAP_SHARED,
			fd, 0);
	rc = guestmem_add(&r->mem, &at, fd, 0);
	at.gpa += RING_MEM;
	at.user += 16 * RING_MEM;	/* not adjacent in the front-end */
	if (!rc)
		rc = guestmem_add(&r->mem, &at, fd, RING_MEM);
	close(fd);
	if (rc || r->bytes == MAP_FAILED)
		return -1;

	r->at = (struct vq_addr){ .desc = RING_USER,
				  .avail = RING_USER + RING_AVAIL,
				  .used = RING_USER + RING_USED };
	r->desc = (struct vq_desc *)r->bytes;
	r->avail = (struct vq_avail *)(r->bytes + RING_AVAIL);
	r->used = (struct vq_used *)(r->bytes + RING_USED);
	r->q.mem = &r->mem;
	r->q.direction = direction;
	r->q.size = size;
	return vq_start(&r->q, &r->at, 0);
}

static inline void ring_free(struct ring *r)
{
	guestmem_clear(&r->mem);
	munmap(r->bytes, 2 * RING_MEM);
}

/* Write descriptor @i of the ring */
static inline void ring_desc(struct ring *r, unsigned i, uint64_t gpa,
			     uint32_t len, uint16_t flags, uint16_t next)
{
	r->desc[i] = (struct vq_desc){ htole64(gpa), htole32(len),
				       htole16(flags), htole16(next) };
}

/* Make a chain available */
static inline void ring_offer(struct ring *r, uint16_t head)
{
	uint16_t idx = le16toh(r->avail->idx);

	r->avail->ring[idx % r->q.size] = htole16(head);
	__atomic_store_n(&r->avail->idx, htole16(idx + 1), __ATOMIC_RELEASE);
}

#endif /* TEST_RING_H */
