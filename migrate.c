/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migrate.c - A guest moves from one machine to another, with its state
 *
 * The front-end stops the guest, has the daemon here write its state, and the one there
 * read it. How this ends is seen by what follows:
 *
 *	phase	the guest runs		the front-end leaves
 *	saved	migration failed: go on	it has succeeded: forget the flows
 *	loaded	the guest is here	migration failed: forget the flows
 *
 * The state is a stream, with all numbers in little-endian order:
 *
 *	magic, version, bytes of the next part		struct state_head
 *	what we have learned of the guest		struct state_guest
 *	its flows, if these move, too			struct migrate_flows
 *	check sum					migio.c
 *
 * A later release may append fields to the second part, which this one skips. Anything
 * else that changes gets another version, and other programs have another magic: such a
 * state is refused, and so is a stream that is cut or changed. Nothing of it counts
 * before all of it was read. A guest whose state is refused has a network as after a
 * start.
 */

#include "migrate.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "log.h"
#include "wire.h"

#define MIGRATE_MS	10000		/* for the whole state */
#define STATE_MAGIC	0x5ba5a4e7bd3f1ce9ULL
#define STATE_VERSION	1
#define PART_MAX	4096		/* bytes */

/* Integers of a stream: little-endian */
typedef uint32_t le32;
typedef uint64_t le64;

struct state_head {
	le64 magic;
	le32 version, length;
};
static_assert(sizeof(struct state_head) == 16, "no padding");

struct state_id {			/* struct guest_seen; zero if not heard */
	uint8_t addr[16], mac[MAC_LEN], heard, zero;
};

struct state_guest {
	uint8_t mac[MAC_LEN], mac_known;
	uint8_t flows;			/* a part with flows follows */
	struct state_id id[GUEST_CLASSES];	/* IPv4, IPv6, link-local IPv6 */
};
static_assert(sizeof(struct state_guest) == 8 + 3 * 24, "no padding");

/**
 * migrate_init() - Set up without a migration
 * @m:		Set
 * @guest, @net:	The guest as we know it, and the network here
 * @flows:	Its flows; NULL: they stay behind
 */
void migrate_init(struct migrate *m, struct guest *guest, const struct hostnet *net,
		  const struct migrate_flows *flows)
{
	memset(m, 0, sizeof(*m));
	m->guest = guest;
	m->net = net;
	m->flows = flows;
	m->timeout_ms = MIGRATE_MS;
}

/* End the phase; return whether flows were held */
static bool leave_phase(struct migrate *m)
{
	bool held = m->held;

	m->phase = MIGRATE_NONE;
	m->held = false;
	return held;
}

/* Save ---------------------------------------------------------------------- */

static void put_guest(struct migrate *m)
{
	struct state_guest s = { .flows = m->held };
	struct guest_learned l;
	unsigned k;

	guest_export(m->guest, &l);
	memcpy(s.mac, l.mac, MAC_LEN);
	s.mac_known = l.mac_known;
	for (k = 0; k < GUEST_CLASSES; k++) {
		memcpy(s.id[k].addr, &l.id[k].addr, sizeof(s.id[k].addr));
		memcpy(s.id[k].mac, l.id[k].mac, MAC_LEN);
		s.id[k].heard = l.id[k].heard;
	}
	migio_put(&m->io, &s, sizeof(s));
}

/* Return: 0 or negative errno */
static int write_state(struct migrate *m, int fd)
{
	const struct state_head head = {
		htole64(STATE_MAGIC), htole32(STATE_VERSION),
		htole32(sizeof(struct state_guest)),
	};
	int rc = migio_begin(&m->io, fd, m->timeout_ms);

	if (rc)
		return rc;
	migio_put(&m->io, &head, sizeof(head));
	put_guest(m);
	if (m->held && !m->flows->save(m->flows->ctx, &m->io))
		migio_fail(&m->io, -EIO);
	migio_put_end(&m->io);
	return m->io.error;
}

/**
 * migrate_save() - Write the state of a guest that stands still
 * @m:		Migration
 * @fd:		Pipe or socket to the front-end; stays the caller's, who closes it next
 *
 * Waits for the reader for a limited time. On success, flows are frozen until
 * migrate_run() or migrate_closed().
 *
 * Return: 0 or negative errno, which was logged: it is as if we had not been asked
 */
int migrate_save(struct migrate *m, int fd)
{
	int rc;

	if (m->phase == MIGRATE_LOADED)
		migrate_run(m);		/* it moves on without having run here */
	if (!m->held && m->flows)
		m->held = !m->flows->freeze(m->flows->ctx);
	rc = write_state(m, fd);
	if (rc) {
		warn_limited_rc(rc, "Couldn't save the state of the guest");
		if (leave_phase(m))
			m->flows->thaw(m->flows->ctx);
		return rc;
	}
	m->phase = MIGRATE_SAVED;
	info_limited("State of the guest saved, it may leave");
	return 0;
}

/* Load ---------------------------------------------------------------------- */

/* Read the head, and with it the length of the next part. False if the rest is not for
 * us; with -EPROTONOSUPPORT, that was logged */
static bool get_head(struct migio *io, uint32_t *length)
{
	struct state_head h;
	uint64_t magic;
	uint32_t version;

	if (!migio_get(io, &h, sizeof(h)))
		return false;
	magic = le64toh(h.magic);
	version = le32toh(h.version);
	*length = le32toh(h.length);
	if (magic != STATE_MAGIC) {
		warn_limited("State of the guest refused: it is another program's, "
			     "with magic 0x%016llx", (unsigned long long)magic);
		return migio_fail(io, -EPROTONOSUPPORT);
	}
	if (version != STATE_VERSION) {
		warn_limited("State of the guest refused: it has version %u, this "
			     "program reads %u", version, STATE_VERSION);
		return migio_fail(io, -EPROTONOSUPPORT);
	}
	return *length >= sizeof(struct state_guest) && *length <= PART_MAX ?
	       true : migio_fail(io, -EBADMSG);
}

/* Read what was learned of the guest, a part of @length bytes */
static bool get_guest(struct migrate *m, uint32_t length, bool *flows)
{
	struct guest_learned *l = &m->learned;
	struct state_guest s;
	uint8_t later[PART_MAX];
	unsigned k;

	if (!migio_get(&m->io, &s, sizeof(s)) ||
	    !migio_get(&m->io, later, length - sizeof(s)))
		return false;
	memcpy(l->mac, s.mac, MAC_LEN);
	l->mac_known = s.mac_known;
	for (k = 0; k < GUEST_CLASSES; k++) {
		memcpy(&l->id[k].addr, s.id[k].addr, sizeof(s.id[k].addr));
		memcpy(l->id[k].mac, s.id[k].mac, MAC_LEN);
		l->id[k].heard = s.id[k].heard;
	}
	*flows = s.flows;
	return guest_is_valid(l) || migio_fail(&m->io, -EINVAL);
}

/* Read flows; they are held from the first one on */
static bool get_flows(struct migrate *m)
{
	if (!m->flows)
		return migio_fail(&m->io, -EOPNOTSUPP);
	m->held = true;
	return m->flows->load(m->flows->ctx, &m->io) || migio_fail(&m->io, -EIO);
}

static int read_state(struct migrate *m, int fd)
{
	int rc = migio_begin(&m->io, fd, m->timeout_ms);
	bool flows = false;
	uint32_t length;

	if (rc)
		return rc;
	if (get_head(&m->io, &length) && get_guest(m, length, &flows) &&
	    (!flows || get_flows(m)))
		migio_get_end(&m->io);
	return m->io.error;
}

/**
 * migrate_load() - Read the state of a guest that is to go on here
 * @m:		Migration
 * @fd:		Pipe or socket from the front-end; stays the caller's, who closes it next
 *
 * Waits for the writer for a limited time. On success, migrate_run() lets the state
 * count.
 *
 * Return: 0 or negative errno, which was logged: the guest is served without its state
 */
int migrate_load(struct migrate *m, int fd)
{
	int rc;

	if (m->phase == MIGRATE_SAVED)
		migrate_run(m);
	else
		migrate_closed(m);
	rc = read_state(m, fd);
	if (!rc) {
		m->phase = MIGRATE_LOADED;
		return 0;
	}
	if (rc != -EPROTONOSUPPORT)
		warn_limited_rc(rc, "State of the guest refused");
	if (leave_phase(m))
		m->flows->rollback(m->flows->ctx);
	return rc;
}

/* Outcome ------------------------------------------------------------------- */

/* migrate_run() - Note that the guest runs here; nothing happens without a migration */
void migrate_run(struct migrate *m)
{
	if (m->phase == MIGRATE_LOADED) {
		guest_import(m->guest, m->net, &m->learned);
		if (leave_phase(m))
			m->flows->commit(m->flows->ctx);
		info_limited("The guest has moved here");
	} else if (m->phase == MIGRATE_SAVED) {
		if (leave_phase(m))
			m->flows->thaw(m->flows->ctx);
		info_limited("The guest has not left, it goes on here");
	}
}

/* migrate_closed() - Note that the front-end has left */
void migrate_closed(struct migrate *m)
{
	bool saved = m->phase == MIGRATE_SAVED;
	bool held = leave_phase(m);

	if (saved && m->flows)		/* those that could not be frozen, too */
		m->flows->gone(m->flows->ctx);
	else if (held)
		m->flows->rollback(m->flows->ctx);
	if (saved)
		info_limited("The guest has left");
}
