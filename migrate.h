/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migrate.h - A guest moves from one machine to another, with its state
 */

#ifndef MIGRATE_H
#define MIGRATE_H

#include <stdbool.h>

#include "guest.h"
#include "migio.h"
#include "types.h"

/**
 * struct migrate_flows - The flows that move with a guest
 * @ctx:	First argument of the functions
 * @freeze:	Stop all flows that can move: nothing is sent or received for them.
 *		Return: 0, or negative errno: they all go on, and none moves
 * @save:	Write the frozen flows; may be called again. Return: false on failure
 * @thaw:	Let frozen flows go on here
 * @gone:	Forget frozen flows without a packet: they live on another machine. End the
 *		others: their guest has left, frozen or not
 * @load:	Read what @save has written, and prepare these flows. Return: false on
 *		failure; @rollback follows
 * @commit:	Let prepared flows live
 * @rollback:	Forget flows without a packet, as far as they are prepared
 */
struct migrate_flows {
	void *ctx;
	int (*freeze)(void *ctx);
	bool (*save)(void *ctx, struct migio *io);
	void (*thaw)(void *ctx);
	void (*gone)(void *ctx);
	bool (*load)(void *ctx, struct migio *io);
	void (*commit)(void *ctx);
	void (*rollback)(void *ctx);
};

/**
 * struct migrate - A migration
 * @guest, @net:	The guest as we know it, and the network here
 * @flows:	Its flows; NULL: they stay behind
 * @timeout_ms:	Time to write or read the state
 * @phase:	MIGRATE_SAVED: the guest may be gone, or go on here; MIGRATE_LOADED: it
 *		may go on here
 * @held:	Flows are frozen or prepared
 * @learned:	While the state is loaded: what it tells of the guest
 * @io:		The state as a stream
 */
struct migrate {
	struct guest *guest;
	const struct hostnet *net;
	const struct migrate_flows *flows;
	unsigned timeout_ms;
	enum { MIGRATE_NONE, MIGRATE_SAVED, MIGRATE_LOADED } phase;
	bool held;
	struct guest_learned learned;
	struct migio io;
};

void migrate_init(struct migrate *m, struct guest *guest, const struct hostnet *net,
		  const struct migrate_flows *flows);
int migrate_save(struct migrate *m, int fd);
int migrate_load(struct migrate *m, int fd);
void migrate_run(struct migrate *m);
void migrate_closed(struct migrate *m);

#endif /* MIGRATE_H */
