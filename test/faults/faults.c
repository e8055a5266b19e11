/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All kinds of traffic through a daemon whose system calls fail in turn
 *
 *	faults FILE MATRIX DAEMON PART FIRST PLACE=PID... SPEC...
 *
 * FILE is shared with shim.c, MATRIX has a cell a line: CALL ERROR EVERY [MS]. PART is "all",
 * or N/M: each Mth cell from the Nth. The first FIRST cells of these are left out. A place
 * is a network namespace. Traffic is specified by
 *
 *	serve:PLACE:PORT		TCP and UDP servers that echo, at any address
 *	link:PLACE:PATH			tap0 in that place is the guest of passt at PATH
 *	tcp|udp|ping|auto:NAME:PLACE:ADDR:PORT	a client, IPv6 addresses with dots
 *	ask:NAME:PLACE:COMMAND		a command that has to succeed
 *
 * Each client is a thread that makes rounds; tcp has one with a connection that stays and
 * one with a new connection each time. Each byte is compared. During the fault of a
 * cell, rounds may fail. Within LIMIT_MS after it, every client has to complete a round
 * that it began since then, and the daemon has to be idle while the clients pause. A byte
 * that is wrong at any time fails the cell.
 *
 * One line of TAP tells of each cell, without a plan. The exit status is 0, or 3 if the
 * daemon is gone: the last line then has the number of cells that are done.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>

#include "shim.h"

#define FAULT_MS	300
#define LIMIT_MS	8000
#define ROUND_S		12		/* longest wait of a round */
#define IDLE_MS		100		/* span in which the daemon uses at most a tenth */
#define CHUNK		20000		/* bytes of a round, mostly */
#define BULK		2000000
#define WORKERS		64
#define PLACES		4
#define SLOW_EVERY	10		/* cells between waits for a slow client */

enum kind { TCP, UDP, PING, AUTO, ASK };

struct place {
	const char *name;
	int	netns;
};

static struct worker {
	enum kind kind;
	char	name[40];
	const struct place *place;
	char	addr[64];		/* or the command */
	uint16_t port;
	bool	stays, slow;
	int	fd;			/* -1: none */
	uint32_t seed;			/* of the bytes of this connection */
	uint64_t off;			/* bytes sent */
	volatile uint64_t good_ms;	/* start of the last round that was good */
	volatile bool busy;
	volatile uint32_t rounds, ended, bad;
} workers[WORKERS];
static unsigned nworkers;
static struct place places[PLACES];
static unsigned nplaces;
static struct faults *shared;
static pid_t daemon_pid;
static volatile bool paused;

static void die(const char *what)
{
	fprintf(stderr, "faults: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void rest(int ms)
{
	poll(NULL, 0, ms);
}

static void enter(const struct place *p)
{
	if (setns(p->netns, CLONE_NEWNET))
		die(p->name);
}

static void thread(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, arg) || pthread_detach(t))
		die("thread");
}

/* --- servers -------------------------------------------------------------------------- */

static void *echo_conn(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char *b = malloc(65536);
	ssize_t n, sent, rc;

	while ((n = recv(fd, b, 65536, 0)) > 0)
		for (sent = 0; sent < n; sent += rc) {
			rc = send(fd, b + sent, (size_t)(n - sent), MSG_NOSIGNAL);
			if (rc <= 0)
				break;
		}
	close(fd);
	free(b);
	return NULL;
}

static int bound(uint16_t port, int type)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), zero = 0, one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	close(fd);
	return -1;
}

static void *serve_tcp(void *arg)
{
	int s = (int)(intptr_t)arg, fd;

	for (;;) {
		fd = accept4(s, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			thread(echo_conn, (void *)(intptr_t)fd);
		else if (errno != ECONNABORTED && errno != EINTR)
			return NULL;
	}
}

/* The control message that comes with a datagram has the address that it was sent to:
 * this is where the answer has to come from */
static void *serve_udp(void *arg)
{
	int s = (int)(intptr_t)arg, one = 1;
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct sockaddr_in6 from;
	struct iovec iov = { .iov_base = malloc(65536) };
	struct msghdr m = { .msg_name = &from, .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = control };

	setsockopt(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	for (;;) {
		ssize_t n;

		m.msg_namelen = sizeof(from);
		m.msg_controllen = sizeof(control);
		iov.iov_len = 65536;
		n = recvmsg(s, &m, 0);
		iov.iov_len = (size_t)n;
		if (n >= 0)
			sendmsg(s, &m, 0);
	}
	return NULL;
}

static void serve(const struct place *p, uint16_t port)
{
	int tcp, udp;

	enter(p);
	tcp = bound(port, SOCK_STREAM);
	udp = bound(port, SOCK_DGRAM);
	if (tcp < 0 || udp < 0 || listen(tcp, 100))
		die("serve");
	thread(serve_tcp, (void *)(intptr_t)tcp);
	thread(serve_udp, (void *)(intptr_t)udp);
}

/* --- a guest of passt: its kernel's frames over the socket ----------------------------- */

static int link_tap, link_socket;

static void *tap_to_socket(void *arg)
{
	static uint8_t b[4 + 66000];
	ssize_t n;

	(void)arg;
	while ((n = read(link_tap, b + 4, sizeof(b) - 4)) > 0) {
		const uint32_t len = htonl((uint32_t)n);
		ssize_t at, rc;

		memcpy(b, &len, 4);
		for (at = 0; at < n + 4; at += rc) {
			rc = send(link_socket, b + at, (size_t)(n + 4 - at), MSG_NOSIGNAL);
			if (rc <= 0)
				return NULL;
		}
	}
	return NULL;
}

static void *socket_to_tap(void *arg)
{
	static uint8_t b[66000];
	uint32_t len;

	(void)arg;
	while (recv(link_socket, &len, 4, MSG_WAITALL) == 4 && ntohl(len) <= sizeof(b) &&
	       recv(link_socket, b, ntohl(len), MSG_WAITALL) == (ssize_t)ntohl(len))
		if (write(link_tap, b, ntohl(len)) < 0 && errno != EIO)
			break;
	return NULL;
}

static void link_guest(const struct place *p, const char *path)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	enter(p);
	link_tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	strcpy(ifr.ifr_name, "tap0");
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	link_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link_tap < 0 || ioctl(link_tap, TUNSETIFF, &ifr) ||
	    connect(link_socket, (struct sockaddr *)&a, sizeof(a)))
		die("link");
	if (system("ip link set lo up && ip link set tap0 mtu 65520 up &&"
		   "ip addr add $HOST4/24 dev tap0 && ip route add default via $GW4 &&"
		   "ip addr add $HOST6/64 dev tap0 nodad && ip route add ::/0 via $GW6"))
		die("guest");
	thread(tap_to_socket, NULL);
	thread(socket_to_tap, NULL);
}

/* --- clients -------------------------------------------------------------------------- */

/* The byte of a connection at an offset: no other connection has the same ones */
static uint8_t byte_at(uint32_t seed, uint64_t off)
{
	uint64_t v = (off + seed * 2654435761u) * 0x9e3779b97f4a7c15ULL;

	return (uint8_t)(v >> 37);
}

static void fill(const struct worker *w, uint8_t *b, size_t n, uint64_t off)
{
	size_t i;

	for (i = 0; i < n; i++)
		b[i] = byte_at(w->seed, off + i);
}

static bool same(struct worker *w, const uint8_t *b, size_t n, uint64_t off)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (b[i] != byte_at(w->seed, off + i)) {
			w->bad++;
			return false;
		}
	return true;
}

static int dial(const struct worker *w, int type)
{
	bool v6 = strchr(w->addr, ':');
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(w->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(w->port) };
	struct timeval limit = { .tv_sec = type == SOCK_STREAM ? ROUND_S : 0,
				 .tv_usec = type == SOCK_STREAM ? 0 : 100000 };
	int proto = w->kind == PING ? v6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP : 0;
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, proto), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	inet_pton(AF_INET6, w->addr, &a6.sin6_addr);
	inet_pton(AF_INET, w->addr, &a4.sin_addr);
	if (!connect(fd, v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4,
		     v6 ? sizeof(a6) : sizeof(a4)))
		return fd;
	close(fd);
	return -1;
}

static void hang_up(struct worker *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* Send more of a round; false if that fails */
static bool tcp_more(const struct worker *w, size_t n, size_t *sent)
{
	uint8_t b[CHUNK];
	size_t part = n - *sent < CHUNK ? n - *sent : CHUNK;
	ssize_t rc;

	fill(w, b, part, w->off + *sent);
	rc = send(w->fd, b, part, MSG_NOSIGNAL | MSG_DONTWAIT);
	*sent += rc > 0 ? (size_t)rc : 0;
	return rc > 0 || errno == EAGAIN;
}

/* Send some bytes and get them back; false if the connection ends, or one is wrong */
static bool tcp_round(struct worker *w)
{
	uint8_t b[CHUNK];
	size_t n = 1 + (size_t)rand() % (rand() % 16 ? CHUNK : BULK), sent = 0, got = 0;

	if (w->fd < 0) {
		w->fd = dial(w, SOCK_STREAM);
		w->seed = (uint32_t)rand();
		w->off = 0;
	}
	if (w->fd < 0)
		return false;
	while (got < n) {
		struct pollfd p = { .fd = w->fd, .events = POLLIN | (sent < n ? POLLOUT : 0) };
		ssize_t rc;

		if (poll(&p, 1, ROUND_S * 1000) != 1 || (p.revents & POLLOUT && !tcp_more(w, n, &sent)))
			return false;
		if (!(p.revents & ~POLLOUT))
			continue;
		rc = recv(w->fd, b, n - got < CHUNK ? n - got : CHUNK, 0);
		if (rc <= 0 || !same(w, b, (size_t)rc, w->off + got))
			return false;
		got += (size_t)rc;
	}
	w->off += n;
	if (!w->stays)
		hang_up(w);
	return true;
}

/* A datagram or ping, and its answer. A late answer to an earlier one is passed over */
static bool datagram_round(struct worker *w)
{
	uint8_t b[9000], back[9000];
	size_t n = 16 + (size_t)rand() % (rand() % 8 ? 1400 : 8900), skip = w->kind == PING ? 8 : 0;
	uint64_t off = w->off += 16384, told;
	ssize_t rc;

	if (w->fd >= 0 && !(rand() % 20))
		hang_up(w);
	if (w->fd < 0)
		w->fd = dial(w, SOCK_DGRAM);
	if (w->fd < 0)
		return false;
	memset(b, 0, 8);
	b[0] = strchr(w->addr, ':') ? 128 : 8;		/* echo request */
	memcpy(b + skip, &off, 8);
	fill(w, b + skip + 8, n - skip - 8, off);
	if (send(w->fd, b, n, MSG_NOSIGNAL) < 0)
		return false;
	while ((rc = recv(w->fd, back, sizeof(back), 0)) >= 0) {
		memcpy(&told, back + skip, 8);
		if ((size_t)rc < skip + 8 || told > off || told % 16384) {
			w->bad++;
			return false;
		}
		if (!same(w, back + skip + 8, (size_t)rc - skip - 8, told))
			return false;
		if (told == off && (size_t)rc == n)
			return true;
	}
	return false;
}

/* A listener of the place that was not there before is found on the host, and reached */
static bool auto_round(struct worker *w)
{
	static uint16_t next;
	uint64_t until = now_ms() + LIMIT_MS;
	int s, one = 1;
	bool good = false;

	enter(w->place);
	w->port = (uint16_t)(9100 + next++ % 500);
	s = bound(w->port, SOCK_STREAM);
	if (s < 0 || listen(s, 10))
		die("auto");
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	thread(serve_tcp, (void *)(intptr_t)s);
	enter(&places[0]);
	while (!good && now_ms() < until) {
		good = tcp_round(w);
		hang_up(w);
		if (!good)
			rest(50);
	}
	shutdown(s, SHUT_RDWR);
	close(s);
	return good;
}

static bool ask_round(const struct worker *w)
{
	char command[160];

	snprintf(command, sizeof(command), "timeout 5 %s >/dev/null 2>&1", w->addr);
	return system(command) == 0;
}

static bool one_round(struct worker *w)
{
	switch (w->kind) {
	case TCP:
		return tcp_round(w);
	case UDP:
	case PING:
		return datagram_round(w);
	case AUTO:
		return auto_round(w);
	case ASK:
		return ask_round(w);
	}
	return false;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	enter(w->place);
	for (;;) {
		uint64_t start;

		w->busy = false;
		while (paused)
			rest(5);
		w->busy = true;
		start = now_ms();
		if (one_round(w)) {
			w->good_ms = start;
			w->rounds++;
		} else {
			w->ended++;
			hang_up(w);
			rest(20);
		}
		rest(w->kind == ASK || w->kind == AUTO ? 100 : 3);
	}
	return NULL;
}

/* --- cells ------------------------------------------------------------------------------ */

struct cell {
	char	call[16], error[16];
	uint32_t every;
	int	ms;			/* how long */
};

static bool daemon_lives(void)
{
	char path[40], state = 'Z';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", daemon_pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	fclose(f);
	return state != 'Z' && state != 'X';
}

/* Time that the daemon has run, ns */
static uint64_t cpu_ns(void)
{
	unsigned long long ns = 0;
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", daemon_pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	fclose(f);
	return ns;
}

/* Let no client begin a round; wait for those that are in one, but for the slow ones */
static void pause_all(uint64_t until)
{
	unsigned i;

	paused = true;
	for (i = 0; i < nworkers; i++)
		while (workers[i].busy && !workers[i].slow && now_ms() < until)
			rest(2);
}

static bool becomes_idle(uint64_t until)
{
	bool idle = false;

	pause_all(until);
	if (until < now_ms() + 10 * IDLE_MS)
		until = now_ms() + 10 * IDLE_MS;
	while (!idle && now_ms() < until) {
		uint64_t before = cpu_ns();

		rest(IDLE_MS);
		idle = cpu_ns() - before < IDLE_MS * 100000ULL;
	}
	paused = false;
	return idle;
}

/* A client that has no good round since @since, or NULL */
static const struct worker *lagging(uint64_t since, bool slow)
{
	unsigned i;

	for (i = 0; i < nworkers; i++)
		if (workers[i].good_ms < since && (slow || !workers[i].slow))
			return &workers[i];
	return NULL;
}

static const struct worker *wrong(void)
{
	unsigned i;

	for (i = 0; i < nworkers; i++)
		if (workers[i].bad) {
			workers[i].bad = 0;
			return &workers[i];
		}
	return NULL;
}

static int number_of(const char *name, bool call)
{
	static const char *const names[] = CALL_NAMES;
	int i;

	for (i = 0; call && i < CALLS; i++)
		if (!strcmp(names[i], name))
			return i;
	for (i = 1; !call && i < 140; i++) {
		const char *n = strerrorname_np(i);

		if (n && !strcmp(n, name))
			return i;
	}
	die(name);
	return 0;
}

static void fault(const struct cell *c)
{
	shared->call = (uint32_t)number_of(c->call, true);
	shared->error = number_of(c->error, false);
	shared->calls = shared->hits = 0;
	shared->every = c->every;
	rest(c->ms);
	shared->every = 0;
}

/* Run one cell; false if the daemon is gone */
static bool run_cell(const struct cell *c, bool slow)
{
	const struct worker *late, *bad;
	uint64_t since, until;
	bool idle;

	fault(c);
	since = now_ms() + 1;
	until = since + LIMIT_MS;
	while ((late = lagging(since, slow)) && now_ms() < until && daemon_lives())
		rest(5);
	idle = becomes_idle(until);
	bad = wrong();
	printf("%sok - %s %s, each %u: ", late || bad || !idle || !daemon_lives() ? "not " : "",
	       c->call, c->error, c->every);
	printf("%u times, %llu ms%s\n", shared->hits, (unsigned long long)(now_ms() - since),
	       shared->hits ? "" : " # SKIP the call is not made");
	if (late)
		printf("# no good round after it: %s\n", late->name);
	if (bad)
		printf("# a byte is wrong: %s\n", bad->name);
	if (!idle)
		printf("# the CPU is not idle\n");
	if (!daemon_lives())
		printf("# the daemon is gone\n");
	fflush(stdout);
	return daemon_lives();
}

/* --- command line ----------------------------------------------------------------------- */

static const struct place *place_of(const char *name)
{
	unsigned i;

	for (i = 0; i < nplaces; i++)
		if (!strcmp(places[i].name, name))
			return &places[i];
	die(name);
	return NULL;
}

static void add_place(char *text)
{
	char *pid = strchr(text, '='), path[64];
	struct place *p = &places[nplaces++];

	*pid++ = '\0';
	p->name = text;
	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	p->netns = open(path, O_RDONLY | O_CLOEXEC);
	if (p->netns < 0)
		die(path);
}

static void add_worker(enum kind kind, const char *name, const char *place, const char *addr,
		       const char *port, bool stays)
{
	struct worker *w = &workers[nworkers++];
	char *p;

	w->kind = kind;
	snprintf(w->name, sizeof(w->name), "%s%s", name, stays ? ", a connection that stays" : "");
	w->place = place_of(place);
	snprintf(w->addr, sizeof(w->addr), "%s", addr);
	for (p = w->addr; kind != ASK && !strncmp(addr, "2001.", 5) && *p; p++)
		if (*p == '.')
			*p = ':';
	w->port = port ? (uint16_t)atoi(port) : 0;
	w->stays = stays;
	w->slow = kind == AUTO;
	w->fd = -1;
	w->seed = (uint32_t)rand();
}

static void add_spec(char *text)
{
	static const char *const kinds[] = { "tcp", "udp", "ping", "auto", "ask" };
	char *part[5] = { NULL };
	int i, n = 0;

	while (n < 5 && (part[n] = strsep(&text, ":")))
		n++;
	if (!strcmp(part[0], "serve")) {
		serve(place_of(part[1]), (uint16_t)atoi(part[2]));
		return;
	}
	if (!strcmp(part[0], "link")) {
		link_guest(place_of(part[1]), part[2]);
		return;
	}
	for (i = 0; i < 5; i++)
		if (!strcmp(part[0], kinds[i])) {
			add_worker((enum kind)i, part[1], part[2], part[3], part[4], false);
			if (i == TCP)
				add_worker(TCP, part[1], part[2], part[3], part[4], true);
			return;
		}
	die(part[0]);
}

/* Run the cells of a part; the exit status of the program */
static int run_matrix(const char *path, const char *part, unsigned first)
{
	unsigned n = 0, of = 1, from = 0, done = 0;
	char line[80];
	struct cell c;
	FILE *f = fopen(path, "r");

	if (!f)
		die(path);
	sscanf(part, "%u/%u", &from, &of);
	while (fgets(line, sizeof(line), f)) {
		c.ms = FAULT_MS;
		if (*line == '#' || sscanf(line, "%15s %15s %u %d", c.call, c.error, &c.every,
					   &c.ms) < 3)
			continue;
		if (n++ % of != from % of || done++ < first)
			continue;
		if (!run_cell(&c, done % SLOW_EVERY == 0)) {
			printf("done=%u\n", done);
			return 3;
		}
	}
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned n;
	int i, fd;

	if (argc < 8)
		die("usage: faults FILE MATRIX DAEMON PART FIRST PLACE=PID... SPEC...");
	signal(SIGPIPE, SIG_IGN);
	srand(4711);
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || shared == MAP_FAILED)
		die(argv[1]);
	daemon_pid = atoi(argv[3]);
	for (i = 6; i < argc && strchr(argv[i], '='); i++)
		add_place(argv[i]);
	for (; i < argc; i++)
		add_spec(argv[i]);
	enter(&places[0]);
	for (n = 0; n < nworkers; n++)
		thread(work, &workers[n]);
	for (i = 0; lagging(1, true) && i < 20000 && daemon_lives(); i += 10)
		rest(10);
	if (lagging(1, true)) {
		printf("not ok - traffic without faults\n");
		for (n = 0; n < nworkers; n++)
			printf("# %s: %u rounds, %u ended, %u bad\n", workers[n].name,
			       workers[n].rounds, workers[n].ended, workers[n].bad);
		return 1;
	}
	return run_matrix(argv[2], argv[4], (unsigned)atoi(argv[5]));
}
