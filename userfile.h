/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * userfile.h - Files that the user named: log, PID file, capture
 */

#ifndef USERFILE_H
#define USERFILE_H

struct identity;

int userfile_open(const char *path, int flags, const struct identity *id);

#endif /* USERFILE_H */
