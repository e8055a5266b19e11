/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a guest that moves: what one daemon writes, the next one knows; what is
 * cut, changed or another program's counts for nothing
 */

#include "migrate.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "net.h"
#include "tap.h"
#include "util.h"

static struct conf conf;
static struct hostnet hostnet;
static struct guest here, there, before;
static struct migrate src, dst;
static const uint8_t m1[6] = { 2, 0, 0, 0, 0, 1 }, m2[6] = { 2, 0, 0, 0, 0, 2 };

/* Flows that write a word, and note what is done to them, a letter each */
static char done_to[32];
static bool flows_fail;
static int freeze_rc;

static void note(char c)
{
	size_t n = strlen(done_to);

	if (n + 1 < sizeof(done_to))
		done_to[n] = c;
}

static int on_freeze(void *ctx)
{
	(void)ctx;
	note('f');
	return freeze_rc;
}

static bool on_save(void *ctx, struct migio *io)
{
	note('s');
	return !flows_fail && migio_put(io, ctx, 8);
}

static void on_thaw(void *ctx)
{
	(void)ctx;
	note('t');
}

static void on_gone(void *ctx)
{
	(void)ctx;
	note('g');
}

static bool on_load(void *ctx, struct migio *io)
{
	char word[8];

	note('l');
	return !flows_fail && migio_get(io, word, 8) && !memcmp(word, ctx, 8);
}

static void on_commit(void *ctx)
{
	(void)ctx;
	note('c');
}

static void on_rollback(void *ctx)
{
	(void)ctx;
	note('r');
}

static char the_flow[] = "one flow";

static const struct migrate_flows flows = {
	the_flow, on_freeze, on_save, on_thaw, on_gone, on_load, on_commit,
	on_rollback,
};

/* Was this done to flows since the last question? */
static bool was(const char *what)
{
	bool same = !strcmp(done_to, what);

	if (!same)
		printf("# done: '%s', expected: '%s'\n", done_to, what);
	memset(done_to, 0, sizeof(done_to));
	return same;
}

static void heard(struct guest *g, const char *s, const uint8_t mac[6])
{
	union inany a = addr(s);

	guest_heard(g, &hostnet, &a, mac, 100000);
}

static void setup(const struct migrate_flows *f)
{
	hostnet.ip4.addr = addr("198.51.100.5");
	hostnet.ip4.prefix_len = 24;
	hostnet.ip6.addr = addr("2001:db8::5");
	guest_init(&here, &conf, &hostnet);
	guest_init(&there, &conf, &hostnet);
	heard(&here, "198.51.100.9", m1);
	heard(&here, "2001:db8::77", m1);
	heard(&here, "fe80::5", m2);
	migrate_init(&src, &here, &hostnet, f);
	migrate_init(&dst, &there, &hostnet, f);
	before = there;
	was("");
}

/* The result of saving, and in @wire the stream */
static int save(uint8_t wire[4096], size_t *len)
{
	int fds[2], rc;
	ssize_t n;

	if (pipe(fds))
		return -errno;
	rc = migrate_save(&src, fds[1]);
	close(fds[1]);
	n = read(fds[0], wire, 4096);
	*len = n > 0 ? (size_t)n : 0;
	close(fds[0]);
	return rc;
}

static int load(const uint8_t *wire, size_t len)
{
	int fds[2], rc;

	if (pipe(fds) || (len && write(fds[1], wire, len) != (ssize_t)len))
		return -EIO;
	close(fds[1]);
	rc = migrate_load(&dst, fds[0]);
	close(fds[0]);
	return rc;
}

static bool untouched(void)
{
	return !memcmp(&there, &before, sizeof(there));
}

static bool goes_to(const char *s, const uint8_t mac[6])
{
	union inany a = addr(s);

	return !memcmp(guest_mac(&there, &a), mac, 6);
}

static bool is_known(enum guest_class k, const char *s)
{
	union inany a = addr(s);

	return inany_equals(guest_addr(&there, k), &a);
}

static void test_guest(void)
{
	uint8_t wire[4096];
	size_t len;

	setup(NULL);
	is(save(wire, &len), 0, "the state of a guest is saved");
	is(load(wire, len), 0, "and loaded");
	ok(untouched(), "it does not count before the guest runs");
	migrate_run(&dst);
	ok(is_known(GUEST_IP4, "198.51.100.9") && is_known(GUEST_IP6, "2001:db8::77") &&
	   is_known(GUEST_LL6, "fe80::5"), "then the addresses of all classes are known");
	ok(goes_to("198.51.100.9", m1) && goes_to("2001:db8::77", m1) &&
	   goes_to("fe80::5", m2), "each with its MAC address");
	ok(goes_to("198.51.100.200", m1), "other addresses have the guest's MAC address");

	setup(NULL);
	guest_init(&here, &conf, &hostnet);
	heard(&here, "2001:db8::77", m1);
	ok(!save(wire, &len) && !load(wire, len), "a guest with one address is saved");
	migrate_run(&dst);
	ok(is_known(GUEST_IP4, "198.51.100.5") && is_known(GUEST_IP6, "2001:db8::77"),
	   "an address that was not heard of stays assumed");
}

/* Every truncation and every flipped bit of a stream */
static void test_damage(const struct migrate_flows *f, const char *kind)
{
	unsigned refused = 0, cut = 0;
	bool same = true;
	uint8_t wire[4096];
	size_t len, i;
	char name[80];
	int bit;

	setup(f);
	ok(!save(wire, &len), kind);
	for (i = 0; i < len; i++) {
		cut += load(wire, i) == -ENODATA;
		same &= untouched();
		migrate_run(&dst);
		for (bit = 0; bit < 8; bit++) {
			wire[i] ^= (uint8_t)(1 << bit);
			refused += load(wire, len) < 0;
			migrate_run(&dst);
			same &= untouched();
			wire[i] ^= (uint8_t)(1 << bit);
		}
	}
	snprintf(name, sizeof(name), "%s: it is refused wherever it is cut", kind);
	is(cut, len, name);
	snprintf(name, sizeof(name), "%s: it is refused with any bit flipped", kind);
	is(refused, len * 8, name);
	snprintf(name, sizeof(name), "%s: none of that touches the guest", kind);
	ok(same, name);
	snprintf(name, sizeof(name), "%s: one more byte is refused", kind);
	is(load(wire, len + 1), -EBADMSG, name);
	snprintf(name, sizeof(name), "%s: unchanged, it is loaded", kind);
	is(load(wire, len), 0, name);
	memset(done_to, 0, sizeof(done_to));
}

/* Write a stream whose check sum is right; @at is changed to @value */
static size_t forge(uint8_t wire[4096], size_t at, uint8_t value)
{
	static struct migio io;
	uint8_t body[4096];
	size_t len;
	ssize_t n;
	int fds[2];

	if (save(body, &len) || pipe(fds) || migio_begin(&io, fds[1], 1000))
		return 0;
	body[at] = value;
	migio_put(&io, body, len - 4);
	migio_put_end(&io);
	close(fds[1]);
	n = read(fds[0], wire, 4096);
	close(fds[0]);
	return n > 0 ? (size_t)n : 0;
}

enum {				/* offsets of the stream */
	AT_MAGIC = 0, AT_VERSION = 8, AT_LENGTH = 12, AT_MAC = 16, AT_ID4 = 24,
	AT_ID6 = 48, AT_LL6 = 72, AT_END = 96,
	ID_MAC = 16, ID_HEARD = 22,
};

static void test_contents(void)
{
	static const struct {
		size_t at;
		uint8_t value;
		int rc;
		const char *name;
	} t[] = {
		{ AT_MAGIC, 0xb0, -EPROTONOSUPPORT, "another magic is refused" },
		{ AT_VERSION, 2, -EPROTONOSUPPORT, "a later version is refused" },
		{ AT_VERSION, 0, -EPROTONOSUPPORT, "an earlier version is refused" },
		{ AT_LENGTH, 79, -EBADMSG, "a part that is too short is refused" },
		{ AT_LENGTH + 1, 0x20, -EBADMSG, "a part that is too long is refused" },
		{ AT_MAC, 3, -EINVAL, "a group's MAC address is refused" },
		{ AT_ID4 + ID_MAC, 3, -EINVAL, "and so is that of an address" },
		{ AT_ID4 + 12, 127, -EINVAL, "a loopback address is refused" },
		{ AT_ID4 + 12, 224, -EINVAL, "a multicast address is refused" },
		{ AT_ID4 + 10, 0, -EINVAL, "IPv6 in the place of IPv4 is refused" },
		{ AT_ID6, 0xff, -EINVAL, "IPv6 multicast is refused" },
		{ AT_LL6, 0x20, -EINVAL, "a global address for a link-local one, too" },
		{ AT_ID4 + ID_HEARD, 0, 0, "an address that was not heard is fine" },
	};
	uint8_t wire[4096];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		setup(NULL);
		is(load(wire, forge(wire, t[i].at, t[i].value)), t[i].rc, t[i].name);
	}
}

/* A later release has appended to the guest's part */
static void test_appended(void)
{
	static struct migio io;
	uint8_t body[4096], wire[4096];
	size_t len;
	ssize_t n;
	int fds[2];

	setup(NULL);
	if (save(body, &len) || pipe(fds) || migio_begin(&io, fds[1], 1000))
		ok(false, "a pipe can be used");
	body[AT_LENGTH] += 4;
	migio_put(&io, body, AT_END);
	migio_put(&io, "more", 4);
	migio_put_end(&io);
	close(fds[1]);
	n = read(fds[0], wire, sizeof(wire));
	close(fds[0]);
	is(load(wire, (size_t)n), 0, "fields that a later release appends are skipped");
}

static void test_outcome(void)
{
	uint8_t wire[4096];
	size_t len;

	setup(&flows);
	ok(!save(wire, &len) && was("fs"), "flows are frozen, then saved");
	ok(!save(wire, &len) && was("s"), "frozen flows can be saved again");
	migrate_run(&src);
	ok(was("t"), "a guest that runs again thaws them");
	migrate_run(&src);
	migrate_closed(&src);
	ok(was(""), "once");
	save(wire, &len);
	migrate_closed(&src);
	ok(was("fsg"), "after a front-end has left, they are gone");
	freeze_rc = -EPERM;
	ok(!save(wire, &len) && was("f"), "flows that can't be frozen are not saved");
	migrate_run(&src);
	ok(was(""), "and go on");
	save(wire, &len);
	migrate_closed(&src);
	ok(was("fg"), "after the front-end has left, they end");
	ok(!load(wire, len) && was(""), "a state without flows is loaded");
	migrate_run(&dst);
	ok(was("") && is_known(GUEST_IP4, "198.51.100.9"), "and the guest is known");
	freeze_rc = 0;

	setup(&flows);
	save(wire, &len);
	was("fs");
	ok(!load(wire, len) && was("l"), "flows are prepared");
	migrate_run(&dst);
	ok(was("c"), "and live once the guest runs");
	ok(!load(wire, len) && !load(wire, len) && was("lrl"), "the last state counts");
	migrate_closed(&dst);
	ok(was("r"), "without the front-end, prepared flows are dropped");
	ok(load(wire, len - 1) && was("lr"), "those of a stream that is cut, too");
	migrate_run(&dst);
	ok(was(""), "once");
	dst.flows = NULL;
	is(load(wire, len), -EOPNOTSUPP, "flows that nobody can take are refused");
}

static void test_failures(void)
{
	uint8_t wire[4096];
	int fds[2];
	size_t len;

	setup(&flows);
	flows_fail = true;
	ok(save(wire, &len) == -EIO && was("fst"), "flows that can't be saved go on");
	flows_fail = false;
	if (pipe(fds) || fcntl(fds[1], F_SETFL, O_NONBLOCK))
		ok(false, "a pipe can be used");
	while (write(fds[1], wire, sizeof(wire)) > 0)
		;
	src.timeout_ms = 20;
	ok(migrate_save(&src, fds[1]) == -ETIMEDOUT && was("fst"),
	   "a reader that does not read is not waited for beyond the deadline");
	close(fds[0]);
	ok(migrate_save(&src, fds[1]) == -EPIPE && was("fst"),
	   "a reader that is gone is an error");
	close(fds[1]);
	is(migrate_save(&src, -1), -EBADF, "no descriptor is an error");
	was("ft");

	if (pipe(fds))
		ok(false, "a pipe can be used");
	dst.timeout_ms = 20;
	ok(migrate_load(&dst, fds[0]) == -ETIMEDOUT && was(""),
	   "a writer that does not write is not waited for, either");
	close(fds[0]);
	close(fds[1]);

	setup(&flows);
	save(wire, &len);
	dst.phase = MIGRATE_SAVED;
	dst.held = true;
	was("fs");
	ok(!load(wire, len) && was("tl"), "a state that comes after saving thaws first");
	migrate_init(&src, &there, &hostnet, &flows);
	src.phase = MIGRATE_LOADED;
	src.held = true;
	src.learned = dst.learned;
	ok(!save(wire, &len) && was("cfs"), "a guest that moves on at once was here");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_L_ERR);
	test_guest();
	test_damage(NULL, "a state without flows");
	test_damage(&flows, "a state with flows");
	test_contents();
	test_appended();
	test_outcome();
	test_failures();
	return done();
}
