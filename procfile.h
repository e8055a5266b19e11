/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * procfile.h - Read or write a small text file, such as those of /proc and /sys
 */

#ifndef PROCFILE_H
#define PROCFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

ssize_t procfile_read(const char *path, char *buf, size_t size);
bool procfile_is(const char *path, const char *value);
unsigned long procfile_number(const char *path, unsigned long max,
			      unsigned long otherwise);
int procfile_write(const char *path, const char *text);

#endif /* PROCFILE_H */
