/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.c - Flat JSON objects, read in place
 *
 * The subset of RFC 8259 that a control socket answers with: one object, its values
 * strings, integers, true, false or null. Arrays, objects in objects and fractions are
 * refused, and so is a name that comes twice.
 *
 * The text is changed: strings lose their escapes, and each ends with a NUL where its
 * quote or the delimiter behind it was. Results point into the text. Characters that are
 * escaped become UTF-8, which is never longer than the escape; NUL and surrogates are
 * refused.
 */

#include "json.h"

#include <string.h>

#define DIGITS_MAX	20		/* of 2^64 - 1 */

static char *skip_blanks(char *p)
{
	return p + strspn(p, " \t\r");
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Write a character as UTF-8 (RFC 3629, 3); return the end of it */
static char *put_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
	} else {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

/*
 * Read four hexadecimal digits at *@from, which moves behind them; 0: there are none, or
 * they are no character
 */
static unsigned hex_character(char **from)
{
	unsigned c = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_value(**from);

		if (digit < 0)
			return 0;
		c = c << 4 | (unsigned)digit;
		++*from;
	}
	return c >= 0xd800 && c < 0xe000 ? 0 : c;
}

/* Read an escape at *@from, behind its backslash, to *@to; both move */
static bool take_escape(char **from, char **to)
{
	static const char names[] = "\"\\/bfnrt", chars[] = "\"\\/\b\f\n\r\t";
	const char *name;
	unsigned c;

	if (**from == 'u') {
		++*from;
		c = hex_character(from);
		*to = put_utf8(*to, c);
		return c;
	}
	name = **from ? strchr(names, **from) : NULL;
	if (!name)
		return false;
	++*from;
	*(*to)++ = chars[name - names];
	return true;
}

/* Read a string that begins at @p, with its quote; return what is behind it, or NULL */
static char *take_string(char *p, const char **value)
{
	char *to = p + 1;

	if (*p++ != '"')
		return NULL;
	*value = to;
	while (*p != '"') {
		if ((unsigned char)*p < ' ')
			return NULL;	/* the end of the text, too */
		if (*p != '\\') {
			*to++ = *p++;
			continue;
		}
		p++;
		if (!take_escape(&p, &to))
			return NULL;
	}
	*to = 0;
	return p + 1;
}

static bool is_literal(const char *p, size_t len)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t digits = strspn(p + (*p == '-'), "0123456789");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (len == strlen(words[i]) && !memcmp(p, words[i], len))
			return true;
	return digits && digits <= DIGITS_MAX && digits + (*p == '-') == len;
}

/*
 * Read a value at @p and the comma or brace behind it
 *
 * Return: the text behind, NULL on error; @last: it was a brace
 */
static char *take_value(char *p, struct json_field *f, bool *last)
{
	char *end;

	f->is_string = *p == '"';
	if (f->is_string) {
		end = take_string(p, &f->value);
	} else {
		f->value = p;
		end = p + strcspn(p, " \t\r,}");
		if (!is_literal(p, (size_t)(end - p)))
			return NULL;
	}
	if (!end)
		return NULL;
	p = skip_blanks(end);
	if (*p != ',' && *p != '}')
		return NULL;
	*last = *p == '}';
	if (!f->is_string)
		*end = 0;
	return skip_blanks(p + 1);
}

/**
 * json_parse() - Read one object
 * @j:		Set; valid as long as @line is
 * @line:	Text of the object, without a newline; is changed
 *
 * Return: false if the text is no flat object, or has more than JSON_FIELDS fields
 */
bool json_parse(struct json *j, char *line)
{
	char *p = skip_blanks(line);
	bool last = false;

	j->n = 0;
	if (*p++ != '{')
		return false;
	p = skip_blanks(p);
	if (*p == '}')
		return !*skip_blanks(p + 1);
	while (!last) {
		struct json_field *f = &j->field[j->n];

		if (j->n == JSON_FIELDS)
			return false;
		p = take_string(p, &f->name);
		if (!p)
			return false;
		p = skip_blanks(p);
		if (*p != ':' || json_has(j, f->name))
			return false;
		p = take_value(skip_blanks(p + 1), f, &last);
		if (!p)
			return false;
		j->n++;
	}
	return !*p;
}

static const struct json_field *field_of(const struct json *j, const char *name)
{
	for (unsigned i = 0; i < j->n; i++)
		if (!strcmp(j->field[i].name, name))
			return &j->field[i];
	return NULL;
}

/* json_string() - Value of a string, NULL: there is none of this name */
const char *json_string(const struct json *j, const char *name)
{
	const struct json_field *f = field_of(j, name);

	return f && f->is_string ? f->value : NULL;
}

/**
 * json_number() - Value of a number
 * @j:		Object
 * @name:	Name of the field
 * @value:	Set if there is such a number, and it is not negative
 *
 * Return: false if there is none
 */
bool json_number(const struct json *j, const char *name, uint64_t *value)
{
	const struct json_field *f = field_of(j, name);
	uint64_t v = 0;

	if (!f || f->is_string || *f->value < '0' || *f->value > '9')
		return false;
	for (const char *c = f->value; *c; c++) {
		uint64_t digit = (uint64_t)(*c - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

/* json_has() - Is there a field of this name with any value? */
bool json_has(const struct json *j, const char *name)
{
	return field_of(j, name);
}

/* json_is_true() - Is there a field of this name that is true? */
bool json_is_true(const struct json *j, const char *name)
{
	const struct json_field *f = field_of(j, name);

	return f && !f->is_string && !strcmp(f->value, "true");
}
