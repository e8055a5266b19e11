/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * portmap.h - A set of ports: one bit for each
 */

#ifndef PORTMAP_H
#define PORTMAP_H

#include <stdbool.h>
#include <stdint.h>

#define PORTMAP_PORTS	65536U

struct portmap {
	uint64_t word[PORTMAP_PORTS / 64];
};

static inline bool portmap_has(const struct portmap *m, unsigned port)
{
	return m->word[port / 64] >> port % 64 & 1;
}

static inline void portmap_add(struct portmap *m, unsigned port)
{
	m->word[port / 64] |= 1ULL << port % 64;
}

static inline void portmap_add_range(struct portmap *m, unsigned first,
				     unsigned last)
{
	for (unsigned port = first; port <= last; port++)
		portmap_add(m, port);
}

static inline void portmap_remove(struct portmap *m, unsigned port)
{
	m->word[port / 64] &= ~(1ULL << port % 64);
}

/* portmap_next() - First port of the set from @port on, PORTMAP_PORTS if none */
static inline unsigned portmap_next(const struct portmap *m, unsigned port)
{
	while (port < PORTMAP_PORTS) {
		uint64_t bits = m->word[port / 64] >> port % 64;

		if (bits)
			return port + (unsigned)__builtin_ctzll(bits);
		port = (port / 64 + 1) * 64;
	}
	return PORTMAP_PORTS;
}

/* portmap_next_free() - First port that is not in the set from @port on, PORTMAP_PORTS if
 * none */
static inline unsigned portmap_next_free(const struct portmap *m, unsigned port)
{
	while (port < PORTMAP_PORTS) {
		uint64_t bits = ~m->word[port / 64] >> port % 64;

		if (bits)
			return port + (unsigned)__builtin_ctzll(bits);
		port = (port / 64 + 1) * 64;
	}
	return PORTMAP_PORTS;
}

#endif /* PORTMAP_H */
