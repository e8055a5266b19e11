/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd.h - Where does this flow go: a pure function of rules and addresses
 */

#ifndef FWD_H
#define FWD_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "types.h"

bool fwd_from_tap(const struct conf *c, uint8_t proto,
		  const struct flowside *tap, struct flowside *host);

#endif /* FWD_H */
