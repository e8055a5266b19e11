/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checksum.h - The Internet checksum (RFC 1071)
 */

#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "inany.h"

void csum_init(void);
uint32_t csum_add(uint32_t sum, const void *buf, size_t len);
uint16_t csum_fold(uint32_t sum);
uint32_t csum_pseudo(const union inany *src, const union inany *dst,
		     uint8_t proto, size_t len);

#endif /* CHECKSUM_H */
