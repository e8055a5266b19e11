/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Read any line as a flat JSON object
 *
 * Properties: names and values lie within the line and end there; names differ; an object
 * that is written again from its values is read again as the same.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *put_text(char *to, const char *s)
{
	*to++ = '"';
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\')
			to += sprintf(to, "\\u%04x", (unsigned)*s);
		else
			*to++ = *s;
	}
	*to++ = '"';
	return to;
}

static void put_object(char *to, const struct json *j)
{
	*to++ = '{';
	for (unsigned i = 0; i < j->n; i++) {
		const struct json_field *f = &j->field[i];

		if (i)
			*to++ = ',';
		to = put_text(to, f->name);
		*to++ = ':';
		if (f->is_string)
			to = put_text(to, f->value);
		else
			to += sprintf(to, "%s", f->value);
	}
	strcpy(to, "}");
}

static void check(const struct json *j, const char *line, size_t size)
{
	char *again = malloc(6 * size + 64);
	struct json k;
	uint64_t v;

	assert(again && j->n <= JSON_FIELDS);
	for (unsigned i = 0; i < j->n; i++) {
		const struct json_field *f = &j->field[i];

		assert(f->name >= line && f->name + strlen(f->name) < line + size);
		assert(f->value >= line &&
		       f->value + strlen(f->value) < line + size);
		json_number(j, f->name, &v);
		assert(json_has(j, f->name));
	}
	put_object(again, j);
	assert(json_parse(&k, again) && k.n == j->n);
	for (unsigned i = 0; i < j->n; i++) {
		assert(!strcmp(j->field[i].name, k.field[i].name));
		assert(!strcmp(j->field[i].value, k.field[i].value));
		assert(j->field[i].is_string == k.field[i].is_string);
	}
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	struct json j;

	if (!line)
		return 0;
	memcpy(line, data, size);
	line[size] = 0;
	if (json_parse(&j, line))
		check(&j, line, size + 1);
	free(line);
	return 0;
}
