/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports.h - From port specifications of -t, -u, -T and -U to rules
 */

#ifndef PORTS_H
#define PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules.h"
#include "types.h"

int ports_parse(struct rules *rules, bool pasta, uint8_t proto, bool from_ns,
		const char *spec, char *error, size_t size);
int ports_check(struct rules *rules, const struct conf *c, char *error,
		size_t size);
int ports_check_interfaces(const struct rules *rules, char *error,
			   size_t size);
void ports_print(const struct rules *rules);

#endif /* PORTS_H */
