/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A link with a delay, for kernels without netem: packets that enter one tun
 * device come out of the other after a fixed time, without reordering.
 *
 *	relay DELAY_MS NAME PID [EVERY]
 *		NAME is made in the caller's network namespace and in that of PID;
 *		a line "ready" tells that both exist; runs until killed. One of EVERY
 *		packets with data is lost, in each direction; without it none
 *
 * Both devices speak virtio-net headers with TSO, so that a packet is up to
 * 64 KiB with any MTU, and 2 cores have time left for the measured programs.  A
 * thread a direction copies packets into a ring, with the time they are due.  A
 * ring that is full stops reading: it holds 50 ms of 40 Gb/s, so that is not met.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define RING_BYTES	(256u << 20)
#define PACKET_MAX	(65536u + 64)

struct record {
	uint64_t due_ns;
	uint32_t len;			/* 0: the rest of the ring is unused */
	uint32_t pad;
};

struct direction {
	pthread_t thread;
	int	from, to;
	uint8_t	*ring;
	size_t	head, tail;		/* bytes; head == tail is empty */
	unsigned seen;			/* packets with data */
};

#define DATA_MIN	200u		/* bytes of such a packet */

static uint64_t delay_ns;
static unsigned lose_every;

static void die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int tun_open(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
		die("tun device");
	return fd;
}

static size_t space(const struct direction *d)
{
	return RING_BYTES - (d->head - d->tail);
}

/* Make room for a whole packet in one piece; NULL if there is none */
static struct record *ring_reserve(struct direction *d)
{
	size_t need = sizeof(struct record) + PACKET_MAX;
	size_t at = d->head % RING_BYTES, left = RING_BYTES - at;

	if (space(d) < 2 * need)
		return NULL;
	if (left < need) {
		((struct record *)(void *)(d->ring + at))->len = 0;
		d->head += left;
		at = 0;
	}
	return (void *)(d->ring + at);
}

static struct record *ring_first(struct direction *d)
{
	struct record *r;

	if (d->head == d->tail)
		return NULL;
	r = (void *)(d->ring + d->tail % RING_BYTES);
	if (!r->len) {
		d->tail += RING_BYTES - d->tail % RING_BYTES;
		return ring_first(d);
	}
	return r;
}

static size_t record_size(size_t len)
{
	return sizeof(struct record) + ((len + 15) & ~(size_t)15);
}

static void take_in(struct direction *d)
{
	struct record *r;
	ssize_t n;
	int i;

	for (i = 0; i < 64 && (r = ring_reserve(d)); i++) {
		n = read(d->from, r + 1, PACKET_MAX);
		if (n <= 0)
			return;
		if (lose_every && (unsigned)n > DATA_MIN && !(++d->seen % lose_every))
			continue;
		r->due_ns = now_ns() + delay_ns;
		r->len = (uint32_t)n;
		d->head += record_size((size_t)n);
	}
}

/* Nanoseconds until the next packet is due; UINT64_MAX if there is none */
static uint64_t put_out(struct direction *d)
{
	struct record *r;

	while ((r = ring_first(d))) {
		uint64_t now = now_ns();

		if (r->due_ns > now)
			return r->due_ns - now;
		if (write(d->to, r + 1, r->len) < 0 && errno != EIO)
			fprintf(stderr, "relay: write: %s\n", strerror(errno));
		d->tail += record_size(r->len);
	}
	return UINT64_MAX;
}

static void *direction_run(void *arg)
{
	struct direction *d = arg;

	prctl(PR_SET_TIMERSLACK, 1000);
	for (;;) {
		uint64_t ns = put_out(d);
		struct timespec ts = { (time_t)(ns / 1000000000),
				       (long)(ns % 1000000000) };
		struct pollfd p = { .fd = d->from, .events = POLLIN };

		if (space(d) < 4 * PACKET_MAX)
			p.events = 0;
		ppoll(&p, 1, ns == UINT64_MAX ? NULL : &ts, NULL);
		take_in(d);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct direction d[2];
	char path[64];
	int i, ns, tun[2];

	if (argc < 4)
		die("usage: relay DELAY_MS NAME PID [EVERY]");
	lose_every = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
	delay_ns = (uint64_t)(strtod(argv[1], NULL) * 1e6);
	tun[0] = tun_open(argv[2]);
	snprintf(path, sizeof(path), "/proc/%s/ns/net", argv[3]);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(path);
	tun[1] = tun_open(argv[2]);
	memset(d, 0, sizeof(d));
	for (i = 0; i < 2; i++) {
		d[i].from = tun[i];
		d[i].to = tun[!i];
		d[i].ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (d[i].ring == MAP_FAILED)
			die("ring");
		if (pthread_create(&d[i].thread, NULL, direction_run, d + i))
			die("thread");
	}
	puts("ready");
	fflush(stdout);
	pthread_join(d[0].thread, NULL);
	return 0;
}
