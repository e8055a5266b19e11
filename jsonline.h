/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * jsonline.h - Flat JSON objects, written one a line
 */

#ifndef JSONLINE_H
#define JSONLINE_H

#include <stdbool.h>
#include <stdint.h>

#define JSONLINE_MAX	4096		/* bytes of a line, with its newline */

/**
 * struct jsonline - One line
 * @buf:	The line, ends with a NUL after jsonline_end()
 * @len:	Bytes of it, without the NUL
 * @full:	A field did not fit: it and all later ones are left out
 */
struct jsonline {
	char buf[JSONLINE_MAX + 1];
	unsigned len;
	bool full;
};

void jsonline_begin(struct jsonline *j);
void jsonline_str(struct jsonline *j, const char *name, const char *text);
void jsonline_num(struct jsonline *j, const char *name, uint64_t value);
void jsonline_bool(struct jsonline *j, const char *name, bool value);
void jsonline_null(struct jsonline *j, const char *name);
void jsonline_end(struct jsonline *j);

#endif /* JSONLINE_H */
