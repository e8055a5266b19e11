/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jsonline.c - Flat JSON objects, written one a line
 *
 * The counterpart of json.c. Names and texts are escaped as RFC 8259, 7 demands, and
 * bytes that are no UTF-8 become U+FFFD, so that any text makes a valid line. A line
 * never exceeds JSONLINE_MAX: the first field that does not fit ends it, and the
 * object is closed behind the field before.
 */

#include "jsonline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TAIL		2		/* "}\n" */
#define VALUE_LEN	24		/* of numbers and words */
#define CHARACTER_LEN	8		/* of one character, escaped, with a NUL */

/* Add a text as it is, if there is room */
static void put(struct jsonline *j, const char *text)
{
	size_t len = strlen(text);

	if (j->full || len > JSONLINE_MAX - TAIL - j->len) {
		j->full = true;
		return;
	}
	memcpy(j->buf + j->len, text, len);
	j->len += (unsigned)len;
}

/* Bytes of the UTF-8 character at @s (RFC 3629, 4), 0: there is none */
static unsigned utf8_len(const unsigned char *s)
{
	unsigned len = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 :
		       *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;

	for (unsigned i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) ||
	    (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

/* Write the character at @s as it stands in a string; return the bytes of it in @s */
static unsigned escape(const char *s, char out[CHARACTER_LEN])
{
	unsigned char c = (unsigned char)*s;
	unsigned len = utf8_len((const unsigned char *)s);

	if (c == '"' || c == '\\')
		snprintf(out, CHARACTER_LEN, "\\%c", c);
	else if (c < ' ')
		snprintf(out, CHARACTER_LEN, "\\u%04x", c);
	else if (!len)
		snprintf(out, CHARACTER_LEN, "\\ufffd");
	else
		snprintf(out, CHARACTER_LEN, "%.*s", (int)len, s);
	return len ? len : 1;
}

static void put_string(struct jsonline *j, const char *text)
{
	char out[CHARACTER_LEN];

	put(j, "\"");
	while (*text && !j->full) {
		text += escape(text, out);
		put(j, out);
	}
	put(j, "\"");
}

/* Add a field, whose value is a string, or a word that is written as it is */
static void put_field(struct jsonline *j, const char *name, const char *value,
		      bool string)
{
	unsigned before = j->len;

	if (j->full)
		return;
	if (j->len > 1)
		put(j, ",");
	put_string(j, name);
	put(j, ":");
	if (string)
		put_string(j, value);
	else
		put(j, value);
	if (j->full)
		j->len = before;
}

/* jsonline_begin() - Start a line */
void jsonline_begin(struct jsonline *j)
{
	j->len = 0;
	j->full = false;
	put(j, "{");
}

/* jsonline_str() - Add a field with a text, which needs no form */
void jsonline_str(struct jsonline *j, const char *name, const char *text)
{
	put_field(j, name, text, true);
}

void jsonline_num(struct jsonline *j, const char *name, uint64_t value)
{
	char text[VALUE_LEN];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	put_field(j, name, text, false);
}

void jsonline_bool(struct jsonline *j, const char *name, bool value)
{
	put_field(j, name, value ? "true" : "false", false);
}

void jsonline_null(struct jsonline *j, const char *name)
{
	put_field(j, name, "null", false);
}

/* jsonline_end() - End the line by a brace and a newline, for which there is always room */
void jsonline_end(struct jsonline *j)
{
	memcpy(j->buf + j->len, "}\n", TAIL + 1);
	j->len += TAIL;
}
