/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports.h - Port specifications of -t, -u, -T and -U to rules
 */

#ifndef PORTS_H
#define PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "types.h"

int ports_parse(struct conf *c, uint8_t proto, bool from_ns, const char *spec,
		char *error, size_t size);
int ports_check(struct conf *c, char *error, size_t size);
int ports_check_interfaces(const struct conf *c, char *error, size_t size);
int ports_skip_ephemeral(struct conf *c, uint16_t first, uint16_t last);
void ports_print(const struct conf *c);

#endif /* PORTS_H */
