/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.h - The user and group that the daemon runs as
 */

#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct identity - User and group that the daemon runs as
 * @by_root:	Started by root, who has rights that other users don't have
 * @change:	They differ from those of now: change, without other groups
 * @required:	The user asked for them: a failure is fatal
 */
struct identity {
	bool by_root, change, required;
	uid_t uid;
	gid_t gid;
};

int identity_choose(const char *runas, struct identity *id);

#endif /* IDENTITY_H */
