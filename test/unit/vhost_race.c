/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that changes its memory while the device uses it: nothing outside of memory is
 * read or written, no turn lasts for ever, and a driver that starts anew is served
 *
 * Guests are processes that share the memory. They write descriptors, indexes, indirect
 * tables, and headers of frames, some good and some not, until the time is over.
 *
 * usage: vhost_race [SECONDS]
 */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "checksum.h"
#include "frag.h"
#include "front.h"
#include "tap.h"
#include "trace.h"
#include "wire.h"

#define SECONDS		5
#define GUESTS		1
#define TABLES		0x4000U		/* offset of indirect tables */
#define BUFFERS		0x8000U		/* offset of buffers, each of 4 KiB */
#define BUFFER		0x1000U
#define VNET		12U
#define NEXT		VQ_DESC_F_NEXT
#define ALL_STARTS	(START_READY | START_INDIRECT | START_MRG | START_OFFLOAD)

static struct frag_pool frags;
static uint64_t received, restarts;
static unsigned in_turn;		/* frames of a turn */

static struct vq_desc *desc(unsigned queue)
{
	return (struct vq_desc *)(mem + queue * 0x1000);
}

static struct vq_avail *avail(unsigned queue)
{
	return (struct vq_avail *)(mem + queue * 0x1000 + 0x400);
}

static struct vq_used *used(unsigned queue)
{
	return (struct vq_used *)(mem + queue * 0x1000 + 0x800);
}

/* The guest ------------------------------------------------------------------ */

static uint64_t seed;

/* Numbers at random, xorshift64 */
static unsigned any(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % below;
}

/* A descriptor in memory, mostly */
static void write_desc(struct vq_desc *at, unsigned queue)
{
	uint64_t gpa = GPA + BUFFERS + (queue * RING + any(RING)) * BUFFER;
	unsigned flags = queue ? 0 : VQ_DESC_F_WRITE, len = any(4) ? BUFFER : any(100);
	struct vq_desc d;

	if (!any(4))
		flags |= NEXT;
	if (!any(8)) {
		flags = VQ_DESC_F_INDIRECT;
		gpa = GPA + TABLES + any(64) * 16;
		len = any(40) * 16;
	}
	if (!any(10))
		gpa += any(BUFFER);
	if (!any(50))
		flags = any(8);
	if (!any(50))
		gpa = GPA + MEM - any(BUFFER);
	if (!any(200))
		len = UINT32_MAX - any(BUFFER);
	d = (struct vq_desc){ htole64(gpa), htole32(len), htole16((uint16_t)flags),
			      htole16((uint16_t)any(any(20) ? RING : 2 * RING)) };
	memcpy(at, &d, sizeof(d));
}

/* Headers of UDP, TCP or ICMP alike; some are no good for any of them */
static void write_l4(uint8_t *l4)
{
	l4[0] = (uint8_t)any(256);
	l4[4] = 2;			/* UDP: 512 bytes */
	l4[12] = (uint8_t)(any(20) ? 0x50 + any(10) * 0x10 : any(256));
}

static void write_ip4(uint8_t *l3, uint8_t proto)
{
	struct ip4_hdr h = { .ver_ihl = 0x45, .tot_len = htobe16(768), .ttl = 64,
			     .proto = proto, .src = htobe32(0xc0000201),
			     .dst = htobe32(0xc0000202) };

	if (!any(3))			/* a fragment */
		h.frag = htobe16((uint16_t)(0x2000 * any(2) + 95 * any(3)));
	if (!any(10))
		h.ver_ihl += (uint8_t)any(11);
	h.csum = csum_fold(csum_add(0, &h, sizeof(h)));
	memcpy(l3, &h, sizeof(h));
	write_l4(l3 + sizeof(h));
}

static void write_ip6(uint8_t *l3, uint8_t proto)
{
	static const uint8_t extension[] = { 0, 43, 44, 60 };
	struct ip6_hdr h = { .ver_tc_flow = htobe32(6U << 28),
			     .payload_len = htobe16(768), .nexthdr = proto,
			     .hop_limit = 64 };
	uint8_t *l4 = l3 + sizeof(h);

	memcpy(&h.src, "\x20\1\xd\xb8", 4);
	memcpy(&h.dst, "\x20\1\xd\xb8", 4);
	((uint8_t *)&h.src)[15] = 1;
	((uint8_t *)&h.dst)[15] = 2;
	if (!any(3)) {
		h.nexthdr = extension[any(4)];
		memset(l4, 0, 8);
		l4[0] = proto;
		l4[1] = (uint8_t)any(3);
		l4[3] = (uint8_t)any(4);
		l4 += 8;
	}
	memcpy(l3, &h, sizeof(h));
	write_l4(l4);
}

/* The first bytes of a frame; then some of them are changed */
static void write_frame(uint8_t *at)
{
	static const uint8_t eth[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	static const uint8_t protos[] = { 1, 6, 17, 17, 58 };
	uint8_t *l3 = at + VNET + 14, proto = protos[any(5)];
	const char *type = any(2) ? "\x08\x00" : any(4) ? "\x86\xdd" : "\x08\x06";

	memset(at, 0, VNET);
	at[0] = (uint8_t)any(4);	/* checksums need not be right, then */
	if (!any(4))
		at[1] = (uint8_t)any(6);
	at[4] = (uint8_t)any(64);
	memcpy(at + VNET, eth, sizeof(eth));
	memcpy(at + VNET + 12, type, 2);
	if (type[1] == 0)
		write_ip4(l3, proto);
	else if (type[1] == 6)
		memcpy(l3, "\0\1\x08\0\6\4\0\1", 8);
	else
		write_ip6(l3, proto);
	while (!any(3))
		at[any(100)] = (uint8_t)any(256);
}

static void write_any(void)
{
	unsigned queue = any(2), i;
	struct vq_avail *a = avail(queue);

	switch (any(8)) {
	case 0:
	case 1:
		write_desc(&desc(queue)[any(RING)], queue);
		break;
	case 2:
		write_desc((struct vq_desc *)(mem + TABLES) + any(100), queue);
		break;
	case 3:
		a->ring[any(RING)] = htole16((uint16_t)any(any(100) ? RING : 65536));
		break;
	case 4:
		i = any(500) ? le16toh(used(queue)->idx) + RING : any(65536);
		__atomic_store_n(&a->idx, htole16((uint16_t)i), __ATOMIC_RELEASE);
		break;
	case 5:
		mem[BUFFERS + any(2 * RING) * BUFFER + any(120)] = (uint8_t)any(256);
		break;
	default:
		write_frame(mem + BUFFERS + (RING + any(RING)) * BUFFER);
	}
}

static pid_t guest_start(uint64_t n)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (seed = 88172645463325252ULL + n; ; )
		write_any();
}

/* The device ----------------------------------------------------------------- */

/* Use a packet as the program does: read it, write it with a system call, collect
 * fragments */
static void on_packets(void *ctx, const struct pkt *p, unsigned n)
{
	struct iovec iov[VIEW_PARTS_MAX];
	struct pkt_quote q;
	unsigned i;

	on_rx(ctx, p, n);
	for (i = 0; i < n; i++) {
		unsigned parts = view_parts(&p[i].payload, 0, p[i].payload.len, iov,
					    VIEW_PARTS_MAX);

		if (parts && writev(null_fd, iov, (int)parts) < 0)
			abort();
		if (p[i].kind == PKT_FRAGMENT)
			frag_add(&frags, &p[i], received);
		if (p[i].kind == PKT_ICMP4 || p[i].kind == PKT_ICMP6)
			pkt_quoted(&p[i], &q);
	}
	received += n;
	in_turn += n;
}

static void on_raw(void *ctx, const struct view *frame, const struct rx_offload *off)
{
	char text[TRACE_STRLEN];

	(void)ctx;
	(void)off;
	trace_str(frame, text);
}

/* Start a queue anew where the guest's index is now */
static void restart(int fd, uint32_t i)
{
	const struct { uint32_t index, num; } stop = { i, 0 },
		base = { i, le16toh(avail(i)->idx) };

	message(fd, 11, 1, &stop, sizeof(stop), &(struct fdpass){ 0 });
	turn(fd);
	used(i)->idx = htole16((uint16_t)base.num);
	message(fd, 10, 1, &base, sizeof(base), &(struct fdpass){ 0 });
	ready_queue(fd, i, 0);
	turn(fd);
	restarts++;
}

static void race(int fd, time_t seconds)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	struct timespec now;
	unsigned i, n = 0;
	time_t end;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* Other programs may hold the processors */
	for (end = now.tv_sec + seconds; now.tv_sec < end ||
	     (received < 1000 && now.tv_sec < end + 60); n++) {
		send_frames(n % 64, n % TAP_HDR_MAX, n % 3 ? n % 1500 : n % 65536, n);
		in_turn = 0;
		tap_event(&t.tap, VHOST_EV_KICK + VHOST_FROM_GUEST, 0);
		tap_event(&t.tap, VHOST_EV_KICK + VHOST_TO_GUEST, 0);
		tap_flush(&t.tap);
		for (i = 0; i < VHOST_QUEUES; i++)
			if (!vhost_user_runs(&t.vu, i))
				restart(fd, i);
		if (!in_turn)
			nanosleep(&pause, NULL);	/* let the guest run */
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
}

/* Tests ---------------------------------------------------------------------- */

static int connection[2];

static void begin(uint8_t start)
{
	memset(mem, 0, MEM);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, connection) ||
	    tap_attach(&t.tap, connection[0]))
		abort();
	ready(connection[1], start);
}

static void end(void)
{
	close(connection[1]);
	tap_event(&t.tap, VHOST_EV_SOCKET, 0);
}

static void test_race(time_t seconds)
{
	pid_t guest[GUESTS];
	unsigned i;

	for (i = 0; i < 2; i++) {
		begin(i ? ALL_STARTS | START_EVENT_IDX : ALL_STARTS);
		received = restarts = t.tap.stats.tx_frames = 0;
		for (unsigned k = 0; k < GUESTS; k++)
			guest[k] = guest_start(k);
		race(connection[1], i ? seconds - seconds / 2 : seconds / 2);
		for (unsigned k = 0; k < GUESTS; k++) {
			kill(guest[k], SIGKILL);
			waitpid(guest[k], NULL, 0);
		}
		printf("# %llu packets, %llu frames to the guest, %llu starts\n",
		       (unsigned long long)received,
		       (unsigned long long)t.tap.stats.tx_frames,
		       (unsigned long long)restarts);
		ok(received && t.tap.stats.tx_frames && restarts,
		   "a guest that changes its memory is served, and stopped");
		end();
	}
}

/* Offer a frame of 60 bytes in all buffers from the guest */
static void refill(void)
{
	struct vq_avail *a = avail(VHOST_FROM_GUEST);

	a->idx = htole16((uint16_t)(le16toh(a->idx) + RING));
}

static void on_rx_refill(void *ctx, const struct pkt *p, unsigned n)
{
	on_packets(ctx, p, n);
	refill();
}

static void arp_frames(void)
{
	unsigned i;

	for (i = 0; i < RING; i++) {
		uint8_t *at = mem + BUFFERS + (RING + i) * BUFFER;

		memset(at, 0, VNET);
		memcpy(at + VNET, "\2\0\0\0\0\1\2\0\0\0\0\2\10\6\0\1\10\0\6\4\0\1", 22);
		desc(VHOST_FROM_GUEST)[i].len = htole32(VNET + 60);
	}
}

static void test_turn(void)
{
	begin(START_READY);
	arp_frames();
	t.tap.rx = on_rx_refill;
	in_turn = 0;
	refill();
	tap_event(&t.tap, VHOST_EV_KICK + VHOST_FROM_GUEST, 0);
	t.tap.rx = on_packets;
	ok(in_turn > RING && in_turn < 2200,
	   "a turn ends while the guest goes on to send frames of 60 bytes");
	ok(tap_flush(&t.tap), "and the next turn begins at once");
	end();
}

static void test_last_frames(void)
{
	begin(START_READY);
	arp_frames();
	in_turn = 0;
	refill();
	end();
	is(in_turn, RING, "frames that came before the connection ended are served");
	begin(START_READY);
	arp_frames();
	in_turn = 0;
	refill();
	tap_event(&t.tap, VHOST_EV_KICK + VHOST_FROM_GUEST, 0);
	is(in_turn, RING, "the next front-end is served");
	send_frames(1, 54, 100, 1);
	ok(vhost_user_runs(&t.vu, VHOST_TO_GUEST), "and so is its other queue");
	end();
	ok(t.vu.fd < 0 && !t.vu.mem.n && t.ahead.first == t.ahead.end,
	   "a connection leaves no memory and no buffer behind");
}

int main(int argc, char **argv)
{
	setup();
	t.tap.rx = on_packets;
	t.tap.raw = on_raw;
	test_turn();
	test_last_frames();
	test_race(argc > 1 ? atol(argv[1]) : SECONDS);
	return done();
}
