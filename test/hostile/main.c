/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest: frames of all protocols, 45 % of them valid, the others mutated, with
 * sequence numbers of live connections. Afterwards it behaves, and asks whether everything
 * works.
 *
 *	hostile attack stream PATH SEED FRAMES PCAP	a guest of passt
 *	hostile attack tap NAME SEED FRAMES PCAP	a guest of pasta, by a packet socket
 *	hostile serve [ADDR...]		peers: servers at all addresses, and clients of the
 *					ports that are forwarded at these
 *
 * Lines tell what was sent, and the outcome of each dialogue. The exit status is 1 if the
 * program is gone or a dialogue fails; PCAP then has the last frames. Otherwise the guest
 * stays until it is killed. It answers with RST to what comes, as one that has forgotten
 * all connections, and has the program look at those on standard input, one a line:
 * ADDR PORT ADDR PORT, its own end first.
 */

#include "hostile.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BURST		32U
#define VALID		45U		/* percent */

static uint64_t state;

void die(const char *what)
{
	fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
	exit(2);
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t rnd(void)
{
	state ^= state >> 12;			/* xorshift64* */
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 2685821657736338717ULL) >> 8;
}

uint32_t below(uint32_t n)
{
	return n ? (uint32_t)(rnd() % n) : 0;
}

bool chance(unsigned percent)
{
	return below(100) < percent;
}

/* Kinds of frames; the weights are a percentage */
static const struct kind {
	unsigned weight;
	void	(*make)(void);
} kinds[] = {
	{ 52, tcp_make }, { 14, udp_make }, { 5, icmp_make }, { 3, arp_make },
	{ 5, ndp_make }, { 5, dhcp_make }, { 5, dhcpv6_make }, { 4, fragment_make },
	{ 4, extension_make }, { 3, multicast_make },
};

static void make(void)
{
	unsigned at = below(100), i = 0;

	while (at >= kinds[i].weight)
		at -= kinds[i++].weight;
	kinds[i].make();
}

/* Send a frame as it is, or mutated; now and then twice, or after later ones */
void attack(struct frame *f)
{
	static struct frame later;
	static bool have_later;

	if (!chance(VALID)) {
		if (chance(4)) {
			later = *f;
			have_later = true;
			return;
		}
		mutate(f);
		if (chance(4))
			link_send(f);
	}
	link_send(f);
	if (have_later && chance(10)) {
		link_send(&later);
		have_later = false;
	}
}

/* Until killed, provoke a segment of each connection that is named */
static void forget_all(void)
{
	struct pollfd in = { .events = POLLIN };
	char us[64], them[64];
	unsigned sport, dport;

	setvbuf(stdin, NULL, _IONBF, 0);
	tcp_forget();
	while (link_poll(20)) {
		while (poll(&in, 1, 0) == 1 && in.revents & POLLIN)
			if (scanf("%63s %u %63s %u", us, &sport, them, &dport) == 4)
				tcp_probe(us, sport, them, dport);
	}
}

static int attacker(char **argv)
{
	uint64_t frames = strtoull(argv[3], NULL, 10), since;
	bool good = true;
	unsigned i;

	state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ULL + 1;
	link_open(argv[0], argv[1]);
	since = now_ms();
	while (good && link_sent() < frames) {
		for (i = 0; i < BURST; i++)
			make();
		good = link_poll(1);
	}
	printf("attacked seed=%s frames=%llu received=%llu refused=%llu ms=%llu\n", argv[2],
	       (unsigned long long)link_sent(), (unsigned long long)link_received(),
	       (unsigned long long)link_refused(), (unsigned long long)(now_ms() - since));
	if (!good)
		printf("gone: seed %s, about frame %llu\n", argv[2],
		       (unsigned long long)link_sent());
	good = good && check_all();
	if (!good)
		link_keep(argv[4]);
	puts(good ? "works" : "failed");
	fflush(stdout);
	if (good)
		forget_all();
	return !good;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 2 && !strcmp(argv[1], "serve")) {
		state = 4711;
		serve(argv + 2);
	}
	if (argc != 7 || strcmp(argv[1], "attack"))
		die("usage: hostile attack stream|tap WHERE SEED FRAMES PCAP | serve [ADDR...]");
	return attacker(argv + 2);
}
