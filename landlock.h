/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * landlock.h - Give up all access to files but reading them
 */

#ifndef LANDLOCK_H
#define LANDLOCK_H

int landlock_only_read(void);

#endif /* LANDLOCK_H */
