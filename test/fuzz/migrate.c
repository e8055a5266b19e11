/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any stream as the state of a guest: it is refused, or what it tells of the guest
 * could have been learned from frames
 *
 * Input: a byte with options (OPT_*), then the stream. With OPT_SUM, a check sum is put
 * behind it, so that the contents are reached.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "migrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPT_SUM = 1, OPT_FLOWS = 2 };

static bool held;

static bool load_flows(void *ctx, struct migio *io)
{
	uint8_t word[8];

	(void)ctx;
	held = true;
	return migio_get(io, word, sizeof(word));
}

static void end_flows(void *ctx)
{
	(void)ctx;
	assert(held);
	held = false;
}

static const struct migrate_flows flows = {
	.load = load_flows, .commit = end_flows, .rollback = end_flows,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct migrate m;
	static struct migio io;
	static const struct conf conf;
	static const struct hostnet net;
	struct guest g, before;
	unsigned opt;
	int fds[2], rc;

	if (!size || size > 4096)
		return 0;
	opt = *data++;
	size--;
	log_set_level(LOG_L_ERR);
	if (pipe(fds) || migio_begin(&io, fds[1], 1000))
		abort();
	migio_put(&io, data, size);
	if (opt & OPT_SUM)
		migio_put_end(&io);
	else if (write(fds[1], data, size) != (ssize_t)size)
		abort();
	close(fds[1]);

	guest_init(&g, &conf, &net);
	before = g;
	migrate_init(&m, &g, &net, opt & OPT_FLOWS ? &flows : NULL);
	rc = migrate_load(&m, fds[0]);
	close(fds[0]);
	assert(!memcmp(&g, &before, sizeof(g)));
	assert(!rc == (m.phase == MIGRATE_LOADED) && (!rc || !held));
	migrate_run(&m);
	assert(!held && (!rc || !memcmp(&g, &before, sizeof(g))));
	if (!rc) {
		struct guest_learned l;

		guest_export(&g, &l);
		assert(guest_is_valid(&l));
	}
	return 0;
}
