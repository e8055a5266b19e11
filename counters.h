/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * counters.h - Named counters of a module, for --stats
 *
 * A module fills in one struct counters on request, so that no other module has to
 * know its fields.
 */

#ifndef COUNTERS_H
#define COUNTERS_H

#include <assert.h>
#include <stdint.h>

#define COUNTERS_MAX	12

/**
 * struct counters - One line of --stats
 * @title:	Module, or what the counters have in common
 * @n:		Entries of @counter in use
 * @counter:	Name, in words that can follow a number, and value
 */
struct counters {
	const char *title;
	unsigned n;
	struct {
		const char *name;
		uint64_t value;
	} counter[COUNTERS_MAX];
};

static inline void counters_add(struct counters *c, const char *name,
				uint64_t value)
{
	assert(c->n < COUNTERS_MAX);
	c->counter[c->n].name = name;
	c->counter[c->n++].value = value;
}

/* Add a counter of failures: left out if there were none */
static inline void counters_add_if(struct counters *c, const char *name,
				   uint64_t value)
{
	if (value)
		counters_add(c, name, value);
}

#endif /* COUNTERS_H */
