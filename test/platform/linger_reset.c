/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * close() with SO_LINGER of no time sends a RST and throws away data that was not sent.
 * So a reset that should not overtake data has to wait until SIOCOUTQNSD, the number of
 * bytes that were never sent, is 0. Data in flight arrives before the RST.
 */
#include "plat.h"

#include <linux/sockios.h>
#include <poll.h>

static int unsent(int s)
{
	int n = -1;

	return ioctl(s, SIOCOUTQNSD, &n) ? -1 : n;
}

/* Fill the socket until it refuses; return the bytes that it took */
static size_t fill(int s)
{
	static char b[65536];
	size_t sum = 0;
	ssize_t n;

	for (int i = 0; i < 20; i++) {
		while ((n = send(s, b, sizeof(b), MSG_DONTWAIT)) > 0)
			sum += (size_t)n;
		poll(NULL, 0, 5);
	}
	return sum;
}

static void reset(int s)
{
	struct linger now = { .l_onoff = 1 };

	if (setsockopt(s, SOL_SOCKET, SO_LINGER, &now, sizeof(now)))
		bail("SO_LINGER");
	close(s);
}

/* Read to the end; return the bytes, and how it ended in *@error */
static size_t read_all(int s, int *error)
{
	static char b[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = recv(s, b, sizeof(b), 0)) > 0)
		sum += (size_t)n;
	*error = n < 0 ? errno : 0;
	return sum;
}

int main(void)
{
	int64_t end = now_ms() + 5000;
	size_t given, got;
	int s[2], error;

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	if (send(s[0], "hello", 5, 0) != 5)
		bail("send");
	while (unsent(s[0]) && now_ms() < end)
		poll(NULL, 0, 1);
	reset(s[0]);
	got = read_all(s[1], &error);
	ok(got == 5 && error == ECONNRESET,
	   "data that was sent arrives before the RST");
	close(s[1]);

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	given = fill(s[0]);
	ok(unsent(s[0]) > 0, "a peer that does not read leaves bytes unsent");
	reset(s[0]);
	got = read_all(s[1], &error);
	ok(got < given && error == ECONNRESET,
	   "with the RST they are lost (%zu of %zu arrive)", got, given);
	return done_testing();
}
