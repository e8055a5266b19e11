/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The peer acknowledged all bytes given to the socket less SIOCOUTQ; a FIN
 * counts as one byte there from shutdown() until it is acknowledged.
 * SO_MEMINFO tells the truesize of the same bytes, tcpi_bytes_acked is one more
 * on a connecting socket (our SYN) and not on an accepted one: never use it.
 */
#include "plat.h"

#include <linux/sockios.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>

static int outq(int s)
{
	int v = -1;

	ioctl(s, SIOCOUTQ, &v);
	return v;
}

static bool outq_gets(int s, int v)
{
	int64_t end = now_ms() + 10000;

	while (outq(s) != v && now_ms() < end)
		poll(NULL, 0, 1);
	return outq(s) == v;
}

static uint64_t bytes_acked(int s)
{
	struct tcp_info ti = { .tcpi_state = 0 };
	socklen_t sl = sizeof(ti);

	getsockopt(s, IPPROTO_TCP, TCP_INFO, &ti, &sl);
	return ti.tcpi_bytes_acked;
}

static size_t fill(int s)
{
	static char b[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = send(s, b, sizeof(b), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

static size_t drain(int s)
{
	static char b[1 << 20];
	size_t sum = 0;
	ssize_t n;

	while ((n = recv(s, b, sizeof(b), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

int main(void)
{
	uint32_t mem[SK_MEMINFO_VARS];
	socklen_t ml = sizeof(mem);
	int64_t end = now_ms() + 5000;
	size_t given, got = 0;
	int s[2];

	if (!tcp_pair(AF_INET, s))
		bail("tcp pair");
	ok(!outq(s[0]), "nothing given, nothing outstanding");
	send(s[0], "abc", 3, 0);
	ok(outq_gets(s[0], 0), "3 bytes get acknowledged unread");
	printf("# tcpi_bytes_acked of them: %d\n", (int)bytes_acked(s[0]));
	ok(bytes_acked(s[0]) == 4, "tcpi_bytes_acked counts the SYN");
	send(s[1], "abc", 3, 0);
	outq_gets(s[1], 0);
	ok(bytes_acked(s[1]) == 3, "but not on the accepted side");
	drain(s[1]);
	drain(s[0]);

	given = fill(s[0]);
	while ((size_t)outq(s[0]) == given && now_ms() < end)
		poll(NULL, 0, 1);	/* some congestion controls pace */
	ok(outq(s[0]) > 0 && (size_t)outq(s[0]) < given,
	   "a peer that does not read leaves bytes outstanding");
	ok(!getsockopt(s[0], SOL_SOCKET, SO_MEMINFO, mem, &ml) &&
	   mem[SK_MEMINFO_WMEM_QUEUED] >= (uint32_t)outq(s[0]),
	   "SO_MEMINFO tells their truesize");
	printf("# %zu given, %d outstanding, truesize %u\n", given, outq(s[0]),
	       mem[SK_MEMINFO_WMEM_QUEUED]);
	while (outq(s[0]))
		got += drain(s[1]);
	got += drain(s[1]);
	ok(got == given, "all outstanding bytes get acknowledged and arrive");

	given = fill(s[0]);
	shutdown(s[0], SHUT_WR);
	got = 0;
	while (got < given)
		got += drain(s[1]);
	ok(outq_gets(s[0], 0), "with a FIN it gets to 0 too");
	return done_testing();
}
