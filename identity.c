/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.c - The user and group that the daemon runs as
 *
 *	--runas			started by	becomes
 *	not given		root		nobody
 *				root, in a user	stays: that root has no power outside,
 *				namespace	and nobody may not be mapped
 *				others		stays
 *	UID[:GID], by number	root		UID; GID, else the primary group of UID,
 *	LOGIN[:GROUP]				else the number of UID
 *				others		the same, or an error if that differs
 *
 * Names are looked up in /etc/passwd and /etc/group themselves. getpwnam() is
 * not for us: a static program does not have it, and in other programs it may
 * load arbitrary libraries.
 *
 * isolation.c performs the change.
 */

#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "procfile.h"
#include "util.h"

#define NOBODY		65534		/* where /etc/passwd has none */

/**
 * struct reader - Lines of a file, without the C library's buffers
 * @fd:		File
 * @pos, @len:	Next byte in @buf, and bytes that it holds
 */
struct reader {
	int fd;
	size_t pos, len;
	char buf[1024];
};

static int reader_byte(struct reader *r)
{
	if (r->pos == r->len) {
		ssize_t n = read(r->fd, r->buf, sizeof(r->buf));

		if (n <= 0)
			return EOF;
		r->pos = 0;
		r->len = n;
	}
	return (unsigned char)r->buf[r->pos++];
}

/*
 * Read a line without its newline, cut to @size; false at the end of the file
 */
static bool reader_line(struct reader *r, char *line, size_t size)
{
	size_t n = 0;
	int c;

	while ((c = reader_byte(r)) != EOF && c != '\n')
		if (n < size - 1)
			line[n++] = c;
	line[n] = '\0';
	return c != EOF || n;
}

/**
 * struct account - A line of /etc/passwd or /etc/group, passwd(5), group(5)
 * @name:	First field
 * @id:		Third field: UID or GID
 * @gid:	Fourth field of /etc/passwd: primary group
 */
struct account {
	char name[64];
	unsigned long id, gid;
};

static bool account_parse(char *line, struct account *a)
{
	char *save, *name = line + strcspn(line, ":"), *id, *gid;

	if (!*name || name == line)
		return false;
	*name++ = '\0';
	if (util_strcpy(a->name, sizeof(a->name), line))
		return false;
	/* The second field is a password, often empty */
	name += strcspn(name, ":");
	id = strtok_r(name, ":", &save);
	if (!id || util_parse_ulong(id, 0, UINT32_MAX - 1, &a->id))
		return false;
	gid = strtok_r(NULL, ":", &save);
	if (!gid || util_parse_ulong(gid, 0, UINT32_MAX - 1, &a->gid))
		a->gid = a->id;
	return true;
}

/**
 * account_find() - Look up a name or number
 * @path:	/etc/passwd or /etc/group
 * @name:	Name, or NULL: look for @a->id
 * @a:		Set if there is an account
 */
static bool account_find(const char *path, const char *name, struct account *a)
{
	struct reader r = { .fd = open(path, O_RDONLY | O_CLOEXEC) };
	unsigned long id = a->id;
	bool found = false;
	char line[512];

	if (r.fd < 0)
		return false;
	while (!found && reader_line(&r, line, sizeof(line))) {
		if (!account_parse(line, a))
			continue;
		found = name ? !strcmp(a->name, name) : a->id == id;
	}
	close(r.fd);
	return found;
}

/* Look up a user by name or number, and its primary group */
static int identity_user(const char *user, struct identity *id)
{
	struct account a = { .id = 0 };

	if (!util_parse_ulong(user, 0, UINT32_MAX - 1, &a.id)) {
		id->uid = id->gid = a.id;
		if (account_find("/etc/passwd", NULL, &a))
			id->gid = a.gid;
		return 0;
	}
	if (!account_find("/etc/passwd", user, &a))
		return -ENOENT;
	id->uid = a.id;
	id->gid = a.gid;
	return 0;
}

static int identity_group(const char *group, struct identity *id)
{
	struct account a = { .id = 0 };

	if (util_parse_ulong(group, 0, UINT32_MAX - 1, &a.id) &&
	    !account_find("/etc/group", group, &a))
		return -ENOENT;
	id->gid = a.id;
	return 0;
}

static int identity_parse(const char *runas, struct identity *id)
{
	size_t len = strcspn(runas, ":");
	char user[64];

	if (!len || len >= sizeof(user)) {
		err("Invalid --runas '%s': UID[:GID] or LOGIN[:GROUP] expected",
		    runas);
		return -EINVAL;
	}
	memcpy(user, runas, len);
	user[len] = '\0';
	if (identity_user(user, id)) {
		err("Invalid --runas '%s': no user '%s' in /etc/passwd", runas,
		    user);
		return -EINVAL;
	}
	if (runas[len] && identity_group(runas + len + 1, id)) {
		err("Invalid --runas '%s': no group '%s' in /etc/group", runas,
		    runas + len + 1);
		return -EINVAL;
	}
	return 0;
}

/*
 * Does our user namespace map all users to themselves, as the first one does?
 */
static bool is_host_userns(void)
{
	unsigned long in, out, count;
	char map[64];

	if (procfile_read("/proc/self/uid_map", map, sizeof(map)) < 0)
		return true;
	return sscanf(map, "%lu %lu %lu", &in, &out, &count) == 3 &&
	       !in && !out && count == UINT32_MAX;
}

/**
 * identity_choose() - Choose user and group, while /etc can be read
 * @runas:	Argument of --runas, NULL: not given
 * @id:		Set
 *
 * Return: 0; negative errno if @runas makes no sense, after a message
 */
int identity_choose(const char *runas, struct identity *id)
{
	int rc;

	*id = (struct identity){ .uid = geteuid(), .gid = getegid() };
	id->by_root = !id->uid && (runas || is_host_userns());

	if (!runas) {
		if (!id->by_root)
			return 0;
		if (identity_user("nobody", id))
			id->uid = id->gid = NOBODY;
		id->change = true;
		return 0;
	}

	rc = identity_parse(runas, id);
	if (rc)
		return rc;
	id->required = id->change = id->uid != geteuid() ||
				    id->gid != getegid();
	if (id->change && geteuid()) {
		err("--runas needs to be started as root, not as UID %u",
		    (unsigned)geteuid());
		return -EPERM;
	}
	return 0;
}
