/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.c - Domain names: which are valid, and how they are encoded
 *
 * RFC 2181, 11 allows any byte in a label, only lengths are limited. Programs that
 * get a name often allow less, so domain_judge() tells how common the name's
 * characters are, and each caller decides how much it accepts.
 *
 * Names are encoded without compression, as DHCPv6 (RFC 8415, 10) and router
 * advertisements (RFC 8106, 5.2) require.
 */

#include "domain.h"

#include <stdbool.h>
#include <string.h>

#define LABEL_MAX	63	/* bytes: RFC 1035, 2.3.4 */

/* Labels of 1 to 63 bytes with dots between them, and no dot at the end */
static bool lengths_valid(const char *name, size_t len)
{
	size_t label = 0;

	for (size_t i = 0; i < len; i++) {
		if (name[i] == '.' && !label)
			return false;
		label = name[i] == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	return label && len <= DOMAIN_TEXT_MAX;
}

static bool is_alnum(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       (ch >= '0' && ch <= '9');
}

/* The best grade that the character at @i leaves to the name */
static enum domain_grade judge_char(const char *name, size_t len, size_t i)
{
	unsigned char ch = (unsigned char)name[i];

	if (is_alnum(name[i]) || ch == '_' || ch == '.')
		return DOMAIN_HOST;
	if (ch == '-' && (!i || name[i - 1] == '.'))
		return DOMAIN_PLAIN;
	if (ch == '-')
		return i + 1 == len || name[i + 1] == '.' ? DOMAIN_SAFE :
							    DOMAIN_HOST;
	return ch <= ' ' || ch == 0x7f || strchr(",/:", ch) ? DOMAIN_INVALID :
							      DOMAIN_ODD;
}

/**
 * domain_judge() - Grade a name by its lengths and characters
 * @name:	Name with dots between its labels; need not be terminated
 * @len:	Bytes of it, without a final dot, see domain_len()
 */
enum domain_grade domain_judge(const char *name, size_t len)
{
	enum domain_grade grade = DOMAIN_HOST, g;

	if (!lengths_valid(name, len))
		return DOMAIN_INVALID;
	for (size_t i = 0; i < len; i++)
		if ((g = judge_char(name, len, i)) < grade)
			grade = g;
	return grade;
}

/**
 * domain_len() - Length of a name without a final dot
 * @name:	Name, terminated
 */
size_t domain_len(const char *name)
{
	size_t len = strlen(name);

	return len - (len && name[len - 1] == '.');
}

/**
 * domain_encode() - Encode a name: each label behind its length, and the root
 * @name:	Name with dots between its labels; a final dot is allowed
 * @to:		Filled in; unchanged if the result is 0
 * @room:	Bytes at @to
 *
 * Any byte is allowed in a label.
 *
 * Return: bytes used; 0 if a length is invalid, or if there is too little room
 */
size_t domain_encode(const char *name, uint8_t *to, size_t room)
{
	size_t left = domain_len(name), used = left + 2;

	if (!lengths_valid(name, left) || used > room)
		return 0;
	while (left) {
		size_t len = strcspn(name, ".");

		*to++ = len;
		memcpy(to, name, len);
		to += len;
		name += len + (left > len);
		left -= len + (left > len);
	}
	*to = 0;
	return used;
}
