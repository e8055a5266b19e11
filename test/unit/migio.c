/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes of a migration: they arrive unchanged, or the reader knows that they do not
 */

#include "migio.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define LONG	(1 << 20)		/* more than a pipe holds */

static struct migio w, r;
static int fds[2];
static uint8_t data[LONG], got[LONG];

static void begin(unsigned timeout_ms)
{
	if (pipe(fds) || migio_begin(&w, fds[1], timeout_ms) ||
	    migio_begin(&r, fds[0], timeout_ms))
		ok(false, "a pipe can be used");
}

static void end(void)
{
	close(fds[0]);
	close(fds[1]);
	fds[0] = fds[1] = -1;
}

/* Write "123456789" and its check sum into @wire; return the length */
static size_t make(uint8_t wire[64])
{
	ssize_t n;

	begin(1000);
	migio_put(&w, "1234", 4);
	migio_put(&w, "56789", 5);
	migio_put_end(&w);
	n = read(fds[0], wire, 64);
	end();
	return n < 0 ? 0 : (size_t)n;
}

/* Read @len bytes of @wire as that stream: 0 or the error */
static int take(const uint8_t *wire, size_t len)
{
	char text[9];

	begin(1000);
	if (len && write(fds[1], wire, len) != (ssize_t)len)
		ok(false, "the pipe takes them");
	close(fds[1]);
	if (migio_get(&r, text, 9))
		migio_get_end(&r);
	end();
	return r.error;
}

static void test_short(void)
{
	uint8_t wire[64] = { 0 };
	size_t len = make(wire), i;
	unsigned refused = 0;
	int bit;

	is(len, 13, "nine bytes and a check sum are written");
	/* The check value of this CRC */
	ok(!memcmp(wire + 9, "\x26\x39\xf4\xcb", 4), "it is CRC-32, little-endian");
	is(take(wire, len), 0, "they are read");
	for (i = 0; i < len; i++)
		refused += take(wire, i) == -ENODATA;
	is(refused, len, "a stream that ends early is refused, wherever");
	for (i = 0, refused = 0; i < len; i++) {
		for (bit = 0; bit < 8; bit++) {
			wire[i] ^= (uint8_t)(1 << bit);
			refused += take(wire, len) == -EBADMSG;
			wire[i] ^= (uint8_t)(1 << bit);
		}
	}
	is(refused, len * 8, "any changed bit is noticed");
	is(take(wire, len + 1), -EBADMSG, "a byte behind the end is noticed");
}

static void test_long(void)
{
	bool good = true;
	int status = -1;
	size_t i;
	pid_t pid;

	for (i = 0; i < LONG; i++)
		data[i] = (uint8_t)(i * 2654435761U >> 13);
	begin(10000);
	pid = fork();
	if (!pid) {
		close(fds[0]);
		for (i = 1; i < 1000 && good; i++)
			good = migio_put(&w, data + i, i);
		good = good && migio_put(&w, data, LONG) && migio_put_end(&w);
		_exit(!good);
	}
	close(fds[1]);
	for (i = 1; i < 1000 && good; i++)
		good = migio_get(&r, got, i) && !memcmp(got, data + i, i);
	ok(good, "pieces of all sizes arrive as they were written");
	ok(migio_get(&r, got, LONG) && !memcmp(got, data, LONG),
	   "more than a pipe holds arrives, too");
	ok(migio_get_end(&r), "with its check sum");
	close(fds[0]);
	waitpid(pid, &status, 0);
	is(status, 0, "and the writer saw no error");
}

static void test_failures(void)
{
	char text[4] = "abc";

	begin(20);
	ok(!migio_get(&r, text, 4) && r.error == -ETIMEDOUT,
	   "a writer that is silent is not waited for beyond the deadline");
	ok(!memcmp(text, "\0\0\0\0", 4), "what was not read is zero");
	while (migio_put(&w, data, LONG))
		;
	is(w.error, -ETIMEDOUT, "nor is a reader that does not read");
	end();

	begin(1000);
	close(fds[0]);
	migio_put(&w, data, 10);
	ok(!migio_put_end(&w) && w.error == -EPIPE, "a reader that is gone is an error");
	ok(!migio_put(&w, data, 10) && w.error == -EPIPE, "and it stays");
	ok(!migio_fail(&w, -EINVAL) && w.error == -EPIPE, "the first one stays");
	end();
	is(migio_begin(&w, -1, 1000), -EBADF, "no descriptor is an error");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_short();
	test_long();
	test_failures();
	return done();
}
