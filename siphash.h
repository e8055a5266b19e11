/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siphash.h - A keyed hash of addresses and ports
 */

#ifndef SIPHASH_H
#define SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint32_t siphash(const uint64_t key[2], const uint64_t *words, size_t n);
uint32_t siphash_strong(const uint64_t key[2], const uint64_t *words, size_t n);

#endif /* SIPHASH_H */
