/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.h - Domain names: which are valid, and how they are encoded
 */

#ifndef DOMAIN_H
#define DOMAIN_H

#include <stddef.h>
#include <stdint.h>

#define DOMAIN_WIRE_MAX	255	/* bytes of an encoded name: RFC 1035, 2.3.4 */
#define DOMAIN_TEXT_MAX	253	/* the same name as text, without a final dot */

/* Grades of a name: each has the properties of those above it, too */
enum domain_grade {
	DOMAIN_INVALID,	/* A length is wrong, or there is a blank or one of ",/:" */
	DOMAIN_ODD,	/* Can be encoded: RFC 2181, 11 */
	DOMAIN_PLAIN,	/* Letters, digits, "-" and "_", which names of services have */
	DOMAIN_SAFE,	/* No label begins with "-": no option of a command */
	DOMAIN_HOST,	/* No label ends with "-": RFC 1123, 2.1, but for the "_" */
};

enum domain_grade domain_judge(const char *name, size_t len);
size_t domain_len(const char *name);
size_t domain_encode(const char *name, uint8_t *to, size_t room);

#endif /* DOMAIN_H */
