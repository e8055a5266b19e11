/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.h - Flat JSON objects, read in place
 */

#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_FIELDS	48

/**
 * struct json_field - One field
 * @name:	Its name
 * @value:	Text of the value: of a string without quotes and escapes
 * @is_string:	The value is a string, else a number, true, false or null
 */
struct json_field {
	const char *name, *value;
	bool is_string;
};

/**
 * struct json - An object
 * @n:		Number of fields
 * @field:	Fields in the order of the text
 */
struct json {
	unsigned n;
	struct json_field field[JSON_FIELDS];
};

bool json_parse(struct json *j, char *line);
const char *json_string(const struct json *j, const char *name);
bool json_number(const struct json *j, const char *name, uint64_t *value);
bool json_has(const struct json *j, const char *name);
bool json_is_true(const struct json *j, const char *name);

#endif /* JSON_H */
