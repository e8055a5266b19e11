/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.h - Domain names as they stand in messages
 */

#ifndef DOMAIN_H
#define DOMAIN_H

#include <stddef.h>
#include <stdint.h>

#define DOMAIN_WIRE_MAX	255	/* bytes: RFC 1035, 2.3.4 */

size_t domain_encode(const char *name, uint8_t *to, size_t room);

#endif /* DOMAIN_H */
