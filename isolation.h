/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * isolation.h - The sandbox: give up rights, more in each stage
 */

#ifndef ISOLATION_H
#define ISOLATION_H

#include <stdbool.h>

#include "types.h"

struct identity;

void isolation_init(void);
int isolation_become(const struct identity *id);
void isolation_tell_user(const struct identity *id, int rc);
int isolation_own_fds(int keep);
void isolation_close_inherited(int keep);
int isolation_detach(const struct conf *c, const struct identity *id);
void isolation_seal(const struct conf *c);
void isolation_nshelper_user(const struct conf *c, const struct identity *id);
void isolation_nshelper(const struct conf *c, int keep, bool low_ports);
void isolation_follower(const struct conf *c, const struct identity *id, int keep);

#endif /* ISOLATION_H */
