/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.c - Domain names as they stand in messages
 *
 * Uncompressed, as DHCPv6 (RFC 8415, 10) and router advertisements (RFC 8106,
 * 5.2) want them. What a label consists of is not judged here.
 */

#include "domain.h"

#include <string.h>

#define LABEL_MAX	63	/* bytes: RFC 1035, 2.3.4 */

/* Bytes of a name in a message, 0 if it is none */
static size_t wire_len(const char *name)
{
	size_t used = 1;

	do {
		size_t len = strcspn(name, ".");

		if (!len || len > LABEL_MAX)
			return 0;
		used += 1 + len;
		name += len + (name[len] == '.');
	} while (*name);
	return used <= DOMAIN_WIRE_MAX ? used : 0;
}

/**
 * domain_encode() - Labels behind their lengths, the root at the end
 * @name:	Name with dots between its labels, one may be at the end
 * @to:		Filled in, or left as it is
 * @room:	Bytes at @to
 *
 * Return: bytes used; 0 if that is no name (an empty label, none at all, one
 * that is too long), or if there is too little room
 */
size_t domain_encode(const char *name, uint8_t *to, size_t room)
{
	size_t used = wire_len(name);

	if (!used || used > room)
		return 0;
	while (*name) {
		size_t len = strcspn(name, ".");

		*to++ = (uint8_t)len;
		memcpy(to, name, len);
		to += len;
		name += len + (name[len] == '.');
	}
	*to = 0;
	return used;
}
