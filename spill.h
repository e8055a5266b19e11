/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spill.h - The bounded overflow pool
 */

#ifndef SPILL_H
#define SPILL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "view.h"

#define SPILL_BLOCK	16384U		/* bytes */
#define SPILL_BLOCKS	256U		/* 4 MiB, for all flows */
#define SPILL_FLOW_MAX	(SPILL_BLOCK * SPILL_BLOCKS / 2)

/**
 * struct spill - Bytes of one flow in the pool; all zero for none
 * @head, @tail:	Index of the first and the last block, plus 1; 0: none
 * @off:	Bytes of the first block that were consumed
 * @len:	Bytes held
 */
struct spill {
	uint16_t head, tail;
	uint32_t off;
	uint32_t len;
};

struct spill_pool {
	uint16_t free, high;		/* list of freed blocks; first never used */
	uint16_t next[SPILL_BLOCKS];
	uint8_t data[SPILL_BLOCKS][SPILL_BLOCK];
};

size_t spill_append(struct spill_pool *p, struct spill *s, struct view v);
unsigned spill_iov(struct spill_pool *p, const struct spill *s,
		   struct iovec *iov, unsigned n);
void spill_consume(struct spill_pool *p, struct spill *s, size_t bytes);
void spill_release(struct spill_pool *p, struct spill *s);

#endif /* SPILL_H */
