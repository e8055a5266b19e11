/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen_change.h - Changes of the forwarding rules, whole or in slices
 */

#ifndef LISTEN_CHANGE_H
#define LISTEN_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "listen.h"
#include "rules.h"

int listen_apply(struct listen *s, const struct rules *rules);

int listen_start(struct listen *s, const struct rules *next, bool partial);
bool listen_step(struct listen *s, unsigned budget);
bool listen_busy(const struct listen *s);
int listen_result(const struct listen *s, const struct fwd_rule **rule,
		  uint16_t *port);

void listen_retry(struct listen *s);
void listen_lost(struct listen *s, uint32_t index, int error);
void listen_timer(struct listen *s);

#endif /* LISTEN_CHANGE_H */
