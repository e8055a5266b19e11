/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirtylog.h - Pages of a guest's memory that we have written to, for a migration
 */

#ifndef DIRTYLOG_H
#define DIRTYLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "filemap.h"

#define DIRTYLOG_PAGE	4096U		/* bytes of a page, whatever the machine's */

/**
 * struct dirtylog - The log that a front-end has shared
 * @map:	The bits; nothing is mapped: there is no log
 * @pages:	Number of pages that have a bit
 */
struct dirtylog {
	struct filemap map;
	uint64_t pages;
};

int dirtylog_open(struct dirtylog *l, int fd, uint64_t offset, uint64_t size,
		  uint64_t end);
void dirtylog_close(struct dirtylog *l);
void dirtylog_mark(const struct dirtylog *l, uint64_t gpa, uint64_t len);
void dirtylog_carry(const struct dirtylog *to, const struct dirtylog *from,
		    uint64_t gpa, uint64_t len);

/* dirtylog_exists() - Has the front-end shared a log? */
static inline bool dirtylog_exists(const struct dirtylog *l)
{
	return l->map.bytes;
}

#endif /* DIRTYLOG_H */
