/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checksum.h - The Internet checksum (RFC 1071)
 */

#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inany.h"
#include "view.h"

/* Implementations; csum_init() chooses the last one that this processor has */
enum csum_impl { CSUM_SCALAR, CSUM_SSE2, CSUM_AVX2 };

void csum_init(void);
bool csum_use(enum csum_impl impl);

uint32_t csum_add(uint32_t sum, const void *buf, size_t len);
uint32_t csum_parts(uint32_t sum, struct view v);
uint16_t csum_fold(uint32_t sum);
uint32_t csum_pseudo(const union inany *src, const union inany *dst,
		     uint8_t proto, size_t len);

/**
 * csum_view() - Add words of a view to a sum
 * @sum:	As for csum_add()
 * @v:		Bytes in pieces of any length
 * @off, @len:	Range of bytes; none are added if there are fewer
 *
 * Return: the new sum, the same as csum_add() over the bytes in one piece
 */
static inline uint32_t csum_view(uint32_t sum, const struct view *v, size_t off,
				 size_t len)
{
	if (off <= v->here && len <= v->here - off)
		return csum_add(sum, v->p + off, len);
	return csum_parts(sum, view_at(*v, off, len));
}

#endif /* CHECKSUM_H */
