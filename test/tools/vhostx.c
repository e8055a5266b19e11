/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhostx - A virtual machine, a bare back-end and a peer, to measure passt --vhost-user
 *
 *	vhostx guest SOCKET TEST ADDR PORT [OPTION...]
 *		Play a front-end, the driver of its guest and the guest's TCP and UDP.
 *		TEST is out, in, rr, udp-out, udp-in or idle; ADDR and PORT are the peer's.
 *	  -a ADDR, -g ADDR	the guest and its gateway
 *	  -t SECONDS		duration (default 1)
 *	  -m MTU		(default 1500)
 *	  -s BYTES		size of a datagram (default 1472)
 *	  -r N			ring entries (default 256)
 *	  -b BYTES		size of mergeable receive buffers (default 1536)
 *	  -p BYTES		largest piece of a frame to send (default 32768)
 *	  -x NAME,...		do not acknowledge these features:
 *				all csum tso uso mrg indirect event
 *	  -c			check each byte
 *	  -S			the socket carries frames: passt without --vhost-user
 *	  -M SOCKET		migrate there after half the time, with the state of the
 *				device; to the socket itself: migration fails
 *	  -C COMMAND		run it meanwhile, while the guest stands still
 *	vhostx relay SOCKET out|in
 *		Be a back-end that does the unavoidable, with one system call for up to
 *		512 KiB: the measure for passt. One front-end and one TCP connection.
 *	vhostx peer sink|check|source|echo|udp ADDR PORT
 *		Be the other end of out, out, in, rr and both UDP tests, one after another.
 *		"check" compares each byte, and prints received=N bad=N for each connection.
 *
 * The guest prints one line of KEY=VALUE:
 *	gbps	payload acknowledged or received; received by the peer for udp-out
 *	ops	exchanges in a second
 *	bytes	payload
 *	rtx	segments sent again, after three duplicate ACKs or a time-out
 *	dupacks	duplicate ACKs received
 *	gaps	received segments with an unexpected sequence number
 *	bad	received bytes that differ, with -c
 *	lost	share of datagrams that did not arrive
 *	frame	mean payload of a received frame with data
 *	kicks, kicks_rx, calls	eventfd writes by the driver for sent frames and for new
 *		buffers, and by the back-end
 *	datagrams	sent or received
 *	moved	bytes received or acknowledged after a migration
 * The exit status is 0 if data arrived, all of it right.
 *
 * The guest's driver works as Linux's does: it polls after an interrupt, keeps
 * interrupts off meanwhile, and kicks once for a burst. Its TCP has no congestion
 * control: it fills the peer's window, and acknowledges once after BUDGET buffers.
 * It sends again after three duplicate ACKs, and, as a tail loss probe would, after
 * PROBE_MS without progress. A feature is not used without those that it needs.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"

#define F(bit)		(1ULL << (bit))
#define F_CSUM		(F(VIRTIO_NET_F_CSUM) | F(VIRTIO_NET_F_GUEST_CSUM))
#define F_TSO		(F(VIRTIO_NET_F_HOST_TSO4) | F(VIRTIO_NET_F_HOST_TSO6) | \
			 F(VIRTIO_NET_F_GUEST_TSO4) | F(VIRTIO_NET_F_GUEST_TSO6))
#define F_USO		(F(54) | F(55) | F(56))	/* GUEST_USO4, GUEST_USO6, HOST_USO */
#define F_MRG		F(VIRTIO_NET_F_MRG_RXBUF)
#define F_INDIRECT	F(VIRTIO_RING_F_INDIRECT_DESC)
#define F_EVENT		F(VIRTIO_RING_F_EVENT_IDX)
#define F_VERSION_1	F(32)
#define F_PROTOCOL	F(30)
#define GSO_UDP_L4	5

#define REGION		(32u << 20)
#define GPA0		F(30)			/* of the two regions */
#define GPA1		F(32)
#define PATTERN		(4u << 20)		/* bytes, repeated */
#define RING_MAX	1024
#define VNET		12			/* bytes before each frame */
#define HEAD		256			/* room for headers in a slot */
#define FRAME_MAX	(ETH + 65535)
#define BATCH		(512u << 10)
#define PROBE_MS	50
#define STATE_MAX	(256u << 20)		/* of a device that migrates */
#define DEVICE_STATE	F(19)
#define BUDGET		64			/* buffers between two rounds of sending */

enum { RX, TX, QUEUES };			/* as the guest sees them */

static void die(const char *what)
{
	fprintf(stderr, "vhostx: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

static void fill(uint8_t *p)
{
	uint32_t i, x = 1;

	for (i = 0; i < PATTERN; i++, x = x * 1103515245 + 12345)
		p[i] = x >> 16;
}

/* Bytes at @p that differ from the pattern at @at */
static uint64_t differing(const uint8_t *p, size_t len, const uint8_t *data, uint64_t at)
{
	uint64_t bad = 0;
	size_t i;

	for (i = 0; i < len; i++)
		bad += p[i] != data[(at + i) % PATTERN];
	return bad;
}

static int unix_socket(const char *path, bool serve)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), conn;

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	if (!serve) {
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
			die(path);
		return fd;
	}
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1))
		die(path);
	conn = accept(fd, NULL, NULL);
	unlink(path);
	close(fd);
	return conn;
}

/* --- a ring, seen from both sides --------------------------------------------------- */

struct ring {
	unsigned size;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_idx, used_idx;	/* next to write (one of them), next to read */
	uint16_t told;			/* index at the last kick or call */
	int kick, call;
	bool event, off;
};

static struct ring ring[QUEUES];
static uint64_t kicks[QUEUES], calls;

static void barrier(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static uint16_t load(const uint16_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static void store(uint16_t *p, uint16_t n) { __atomic_store_n(p, n, __ATOMIC_RELEASE); }
static uint16_t *used_event(struct ring *r) { return &r->avail->ring[r->size]; }
static uint16_t *avail_event(struct ring *r) { return (uint16_t *)&r->used->ring[r->size]; }

static void notify(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		die("eventfd");
}

/* Show the other side @idx, and wake it if it wants that */
static bool show(struct ring *r, uint16_t *where, uint16_t idx, const uint16_t *event,
		 const uint16_t *flags, int fd)
{
	uint16_t since = idx - r->told;

	if (!since)
		return false;
	store(where, idx);
	barrier();
	r->told = idx;
	if (r->event ? (uint16_t)(idx - load(event) - 1) >= since : load(flags) & 1)
		return false;
	notify(fd);
	return true;
}

static void show_avail(struct ring *r)
{
	kicks[r == &ring[TX]] += show(r, &r->avail->idx, r->avail_idx, avail_event(r), &r->used->flags,
		      r->kick);
}

static void show_used(struct ring *r)
{
	show(r, &r->used->idx, r->used_idx, used_event(r), &r->avail->flags, r->call);
}

static void add_avail(struct ring *r, unsigned head)
{
	r->avail->ring[r->avail_idx++ & (r->size - 1)] = head;
}

static void add_used(struct ring *r, unsigned head, unsigned len)
{
	r->used->ring[r->used_idx++ & (r->size - 1)] = (struct vring_used_elem){ head, len };
}

/* Ask for a wake-up, or not; true if there is something by now */
static bool wake(struct ring *r, bool on, uint16_t *event, uint16_t *flags,
		 const uint16_t *other, uint16_t next)
{
	if (r->event && on)
		store(event, next);
	if (!r->event && r->off == on) {
		store(flags, !on);
		r->off = !on;
	}
	if (!on)
		return false;
	barrier();
	return load(other) != next;
}

static bool wake_driver(struct ring *r, bool on)
{
	return wake(r, on, used_event(r), &r->avail->flags, &r->used->idx, r->used_idx);
}

static bool wake_device(struct ring *r, bool on)
{
	return wake(r, on, avail_event(r), &r->used->flags, &r->avail->idx, r->avail_idx);
}

/* --- messages of vhost-user ----------------------------------------------------------- */

enum {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 5, SET_VRING_NUM = 8,
	SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
	GET_PROTOCOL_FEATURES = 15, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE = 18,
	SET_DEVICE_STATE_FD = 42, CHECK_DEVICE_STATE,
};

struct msg {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		uint32_t u32[2];	/* a queue, a number */
		struct { uint32_t index, flags; uint64_t desc, used, avail, log; } addr;
		struct {
			uint32_t n, padding;
			struct { uint64_t gpa, size, user, offset; } region[8];
		} mem;
	};
} __attribute__((packed));

#define MSG_HEAD	offsetof(struct msg, u64)

static void msg_send(int sock, struct msg *m, unsigned request, size_t size, int fd)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec iov = { m, MSG_HEAD + size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned n = request == SET_MEM_TABLE ? 2 : 1;
	int fds[2] = { fd, fd };

	m->request = request;
	m->flags = 1;
	m->size = size;
	if (fd >= 0) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		*CMSG_FIRSTHDR(&mh) = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)),
							SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), fds, n * sizeof(int));
	}
	if (sendmsg(sock, &mh, MSG_NOSIGNAL) < 0)
		die("the back-end");
}

static uint64_t msg_ask(int sock, unsigned request)
{
	struct msg m = { 0 };

	msg_send(sock, &m, request, 0, -1);
	if (recv(sock, &m, MSG_HEAD + 8, MSG_WAITALL) != (ssize_t)MSG_HEAD + 8)
		die("no answer of the back-end");
	return m.u64;
}

static void msg_u64(int sock, unsigned request, uint64_t n, int fd)
{
	struct msg m = { .u64 = n };

	msg_send(sock, &m, request, 8, fd);
}

static void msg_vring(int sock, unsigned request, unsigned index, unsigned n)
{
	msg_u64(sock, request, htole64((uint64_t)n << 32 | index), -1);
}

/* --- the guest: options, memory, driver ----------------------------------------------- */

static struct {
	uint32_t addr, gw, peer;
	uint16_t port;
	double seconds;
	unsigned mtu, ring, buffer, piece;
	size_t datagram;
	uint64_t without;
	bool check, stream;
	const char *move_to, *command;
	bool move_fails;
} o = { .seconds = 1, .mtu = 1500, .ring = 256, .buffer = 1536, .piece = 32768,
	.datagram = 1472 };

static int sock = -1, memfd = -1;
static uint8_t *mem, *pattern;
static size_t top[2];
static uint64_t features;

/* What a frame is sent from: headers, and an indirect table */
struct slot {
	struct vring_desc table[64];
	uint8_t head[HEAD], data[ETH + 65535 - HEAD];
};

static struct slot *slots;		/* shared with the back-end */
static uint16_t free_slots[RING_MAX];
static unsigned n_free, per_slot;	/* descriptors of a slot */
static uint8_t *buffers[RING_MAX];	/* receive buffers, by head */
static unsigned per_buffer;

static uint8_t *stream_in, *stream_out;	/* without vhost-user */
static size_t in_len, out_len;
#define STREAM_BUF	(1u << 20)

static bool has(uint64_t f) { return (features & f) == f; }

static void *alloc(unsigned region, size_t size)
{
	void *p = mem + region * REGION + top[region];

	top[region] += (size + 63) & ~(size_t)63;
	if (top[region] > REGION) {
		fprintf(stderr, "vhostx: memory is too small\n");
		exit(2);
	}
	return p;
}

static uint64_t gpa(const void *p)
{
	size_t off = (const uint8_t *)p - mem;

	return off < REGION ? GPA0 + off : GPA1 + off - REGION;
}

static struct vring_desc desc(const void *p, size_t len, unsigned flags, unsigned next)
{
	return (struct vring_desc){ htole64(gpa(p)), htole32(len), htole16(flags),
				    htole16(next) };
}

/* Offer a receive buffer; its descriptors never change */
static void offer_buffer(unsigned head) { add_avail(&ring[RX], head); }

static void make_buffers(void)
{
	unsigned i, k, n, size = o.buffer;

	per_buffer = 1;
	if (!has(F_MRG)) {	/* the header apart, then pieces of 4 KiB: virtio 1.2, 5.1.6.3.1 */
		size = VNET + (has(F_TSO) ? FRAME_MAX : ETH + 1500);
		per_buffer = 1 + (size - VNET + 4095) / 4096;
	}
	n = o.ring / per_buffer;
	for (i = 0; i < n; i++) {
		unsigned head = i * per_buffer, done = 0, part;

		buffers[head] = alloc(i % 2, size);
		for (k = 0; k < per_buffer; k++, done += part) {
			part = per_buffer == 1 ? size : !k ? VNET : 4096;
			if (part > size - done)
				part = size - done;
			ring[RX].desc[head + k] = desc(buffers[head] + done, part,
				VRING_DESC_F_WRITE | (k + 1 < per_buffer ?
						      VRING_DESC_F_NEXT : 0), head + k + 1);
		}
		offer_buffer(head);
	}
}

static void make_slots(void)
{
	/* The headers, whole pieces, one that is not, and one more where the pattern ends */
	per_slot = has(F_INDIRECT) || !has(F(VIRTIO_NET_F_CSUM)) ? 1 :
		   3 + ((has(F_TSO) ? 65536 : o.mtu) + o.piece - 1) / o.piece;
	n_free = o.ring / per_slot < 256 ? o.ring / per_slot : 256;
	slots = alloc(0, n_free * sizeof(*slots));
	for (unsigned i = 0; i < n_free; i++)
		free_slots[i] = i;
}

static void make_ring(unsigned i)
{
	struct ring *r = &ring[i];
	size_t n = o.ring;

	r->size = n;
	r->event = has(F_EVENT);
	r->desc = alloc(0, n * sizeof(*r->desc));
	r->avail = alloc(0, sizeof(*r->avail) + 2 * n + 2);
	r->used = alloc(0, sizeof(*r->used) + 8 * n + 2);
	r->kick = eventfd(0, EFD_NONBLOCK);
	r->call = i ? ring[0].call : eventfd(0, EFD_NONBLOCK);
}

static void start_ring(unsigned i, unsigned base)
{
	struct ring *r = &ring[i];
	struct msg m = { .addr = { i, 0, (uintptr_t)r->desc, (uintptr_t)r->used,
				   (uintptr_t)r->avail, 0 } };

	msg_vring(sock, SET_VRING_NUM, i, r->size);
	msg_vring(sock, SET_VRING_BASE, i, base);
	msg_send(sock, &m, SET_VRING_ADDR, sizeof(m.addr), -1);
	msg_u64(sock, SET_VRING_KICK, i, r->kick);
	msg_u64(sock, SET_VRING_CALL, i, r->call);
}

/* Send all but the rings */
static void set_up(void)
{
	struct msg m = { .mem = { 2, 0, {
		{ GPA0, REGION, (uintptr_t)mem, 0 },
		{ GPA1, REGION, (uintptr_t)mem + REGION, REGION } } } };
	unsigned i;

	for (i = 0; has(F_PROTOCOL) && i < QUEUES; i++)
		msg_vring(sock, SET_VRING_ENABLE, i, 1);
	msg_u64(sock, SET_FEATURES, features, -1);
	msg_send(sock, &m, SET_MEM_TABLE, 8 + 2 * 32, memfd);
}

static void say_hello(void)
{
	struct msg m = { 0 };

	if (has(F_PROTOCOL)) {
		msg_ask(sock, GET_PROTOCOL_FEATURES);
		msg_u64(sock, SET_PROTOCOL_FEATURES, o.move_to ? DEVICE_STATE : 0, -1);
	}
	msg_send(sock, &m, SET_OWNER, 0, -1);
}

static void front_end(void)
{
	unsigned i;

	features = msg_ask(sock, GET_FEATURES) & ~o.without &
		   (F_CSUM | F_TSO | F_USO | F_MRG | F_INDIRECT | F_EVENT | F_VERSION_1 |
		    F_PROTOCOL);
	if (!has(F_CSUM))
		features &= ~(F_CSUM | F_TSO | F_USO);
	say_hello();
	for (i = 0; i < QUEUES; i++)
		make_ring(i);
	make_buffers();
	make_slots();
	set_up();
	for (i = 0; i < QUEUES; i++)
		start_ring(i, 0);
	msg_ask(sock, GET_FEATURES);		/* all of it has been read */
	show_avail(&ring[RX]);
}

/* --- the guest: migration --------------------------------------------------------------- */

static uint64_t move_us;		/* time of it, 0: not yet known, or over */
#define MOVED_MIN	20000000	/* bytes that show that data goes on */
#define MOVED_WAIT_US	10000000
static uint64_t moved_bytes;		/* received or acknowledged since */
static bool move_done;

static void state_fd(unsigned direction, int fd)
{
	struct msg m = { .u32 = { direction, 0 } };

	msg_send(sock, &m, SET_DEVICE_STATE_FD, 8, fd);
	if (recv(sock, &m, MSG_HEAD + 8, MSG_WAITALL) != (ssize_t)MSG_HEAD + 8 ||
	    m.u64 != F(8))
		die("the state was refused");
	close(fd);
}

static unsigned stop_ring(unsigned i)
{
	struct msg m = { .u32 = { i, 0 } };

	msg_send(sock, &m, GET_VRING_BASE, 8, -1);
	if (recv(sock, &m, MSG_HEAD + 8, MSG_WAITALL) != (ssize_t)MSG_HEAD + 8)
		die("no index of a ring");
	return m.u32[1];
}

static size_t save_state(uint8_t *state)
{
	size_t len = 0;
	ssize_t n;
	int p[2];

	if (pipe(p))
		die("pipe");
	state_fd(0, p[1]);
	while ((n = read(p[0], state + len, STATE_MAX - len)) > 0)
		len += n;
	close(p[0]);
	if (msg_ask(sock, CHECK_DEVICE_STATE))
		die("the state was not saved");
	return len;
}

static void load_state(const uint8_t *state, size_t len)
{
	ssize_t n;
	int p[2];

	if (pipe(p))
		die("pipe");
	state_fd(1, p[0]);
	while (len && (n = write(p[1], state, len)) > 0) {
		state += n;
		len -= n;
	}
	close(p[1]);
	if (msg_ask(sock, CHECK_DEVICE_STATE))
		die("the state was not loaded");
}

static void migrate(void)
{
	uint8_t *state = malloc(STATE_MAX);
	unsigned base[QUEUES], i;
	uint64_t start = now_us();
	int old = sock;
	size_t len;

	move_us = 0;
	for (i = 0; i < QUEUES; i++)
		base[i] = stop_ring(i);
	len = save_state(state);
	if (o.command && system(o.command))
		die(o.command);
	if (!o.move_fails) {
		sock = unix_socket(o.move_to, false);
		msg_ask(sock, GET_FEATURES);
		say_hello();
		set_up();
		load_state(state, len);
	}
	for (i = 0; i < QUEUES; i++)
		start_ring(i, base[i]);
	msg_ask(sock, GET_FEATURES);
	if (!o.move_fails)
		close(old);
	free(state);
	fprintf(stderr, "vhostx: state of %zu bytes, stood still for %u ms\n", len,
		(unsigned)((now_us() - start) / 1000));
	for (i = 0; i < QUEUES; i++)
		notify(ring[i].kick);
	move_done = true;
}

static void guest_start(const char *path)
{
	memfd = memfd_create("guest", 0);
	if (memfd < 0 || ftruncate(memfd, 2 * REGION))
		die("memfd");
	mem = mmap(NULL, 2 * REGION, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		   memfd, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	pattern = alloc(1, PATTERN);
	fill(pattern);
	sock = unix_socket(path, false);
	if (!o.stream) {
		front_end();
		return;
	}
	slots = alloc(0, sizeof(*slots));
	stream_in = malloc(STREAM_BUF);
	stream_out = malloc(STREAM_BUF);
}

/* --- the guest: sending frames ---------------------------------------------------------- */

static void reclaim(void)
{
	struct ring *r = &ring[TX];

	while (load(&r->used->idx) != r->used_idx)
		free_slots[n_free++] = r->used->ring[r->used_idx++ & (r->size - 1)].id /
				       per_slot;
}

/* Room for headers of a frame from Ethernet on; NULL: the queue is full */
static uint8_t *frame_new(void)
{
	if (o.stream)
		return out_len < STREAM_BUF - FRAME_MAX - 4 ? slots->head + VNET : NULL;
	if (!n_free)
		reclaim();
	return n_free ? slots[free_slots[n_free - 1]].head + VNET : NULL;
}

/* Append the payload to the headers, and complete the sum at @csum of layer 4 */
static size_t frame_copy(uint8_t *h, size_t hdrlen, uint32_t off, size_t len, size_t csum)
{
	size_t part = len < PATTERN - off ? len : PATTERN - off;
	uint16_t s;

	memcpy(h + hdrlen, pattern + off, part);
	memcpy(h + hdrlen + part, pattern, len - part);
	if (csum) {
		s = ~fold(sum(h + ETH + IP, hdrlen - ETH - IP + len, 0));
		memcpy(h + ETH + IP + csum, &s, 2);
	}
	return hdrlen + len;
}

/* Describe a frame: in one piece, or the headers and pieces of the pattern */
static unsigned frame_describe(struct vring_desc *d, unsigned first, uint8_t *h,
			       size_t hdrlen, uint32_t off, size_t len)
{
	unsigned n = 0;

	d[n++] = desc(h - VNET, VNET + hdrlen, 0, 0);
	while (len) {
		size_t part = len < o.piece ? len : o.piece;

		if (part > PATTERN - off)
			part = PATTERN - off;
		d[n - 1].flags = htole16(VRING_DESC_F_NEXT);
		d[n - 1].next = htole16(first + n);
		d[n++] = desc(pattern + off, part, 0, 0);
		off = (off + part) % PATTERN;
		len -= part;
	}
	return n;
}

/*
 * Queue the frame of the last frame_new()
 * @hdrlen:	Bytes of its headers
 * @off, @len:	Its payload, in the pattern
 * @csum:	Offset of the checksum in the layer-4 header
 * @gso:	Payload of each segment; 0: one packet
 */
static void frame_send(size_t hdrlen, uint32_t off, size_t len, size_t csum, size_t gso)
{
	struct virtio_net_hdr v = { .gso_type = VIRTIO_NET_HDR_GSO_NONE };
	unsigned i = o.stream ? 0 : free_slots[n_free - 1], head = i * per_slot, n;
	uint8_t *h = slots[i].head + VNET;
	struct vring_desc *d;

	off %= PATTERN;
	if (o.stream) {
		len = frame_copy(h, hdrlen, off, len, csum);
		put32(stream_out + out_len, len);
		memcpy(stream_out + out_len + 4, h, len);
		out_len += 4 + len;
		return;
	}
	if (csum && has(F_CSUM)) {
		v.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		v.csum_start = htole16(ETH + IP);
		v.csum_offset = htole16(csum);
	} else {
		hdrlen = frame_copy(h, hdrlen, off, len, csum);
		len = 0;
	}
	if (gso) {
		v.gso_type = csum == 16 ? VIRTIO_NET_HDR_GSO_TCPV4 : GSO_UDP_L4;
		v.gso_size = htole16(gso);
		v.hdr_len = htole16(hdrlen);
	}
	memset(h - VNET, 0, VNET);
	memcpy(h - VNET, &v, sizeof(v));
	d = has(F_INDIRECT) && len ? slots[i].table : &ring[TX].desc[head];
	n = frame_describe(d, d == slots[i].table ? 0 : head, h, hdrlen, off, len);
	if (d == slots[i].table)
		ring[TX].desc[head] = desc(d, n * sizeof(*d), VRING_DESC_F_INDIRECT, 0);
	n_free--;
	add_avail(&ring[TX], head);
}

/* Show all frames that are queued */
static void flush(void)
{
	ssize_t n;

	if (!o.stream) {
		show_avail(&ring[TX]);
		return;
	}
	if (!out_len)
		return;
	n = send(sock, stream_out, out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("passt");
	if (n > 0) {
		memmove(stream_out, stream_out + n, out_len - n);
		out_len -= n;
	}
}

/* --- the guest: protocols ---------------------------------------------------------------- */

static struct ends ends = { { 255, 255, 255, 255, 255, 255 }, { 0x52, 0x54, 0, 1, 2, 3 },
			    0, 0, 0, 0 };
static bool have_mac, connected, answered;
static uint32_t una, nxt, high, iss, rcv, irs, wnd, acked_rcv;
static unsigned wscale, mss, dups;
static uint64_t progress_us;
static struct {
	uint64_t bytes, in, frames, rtx, dupacks, gaps, bad, ops, datagrams, sent, told;
} count;

/* A request for the gateway's address, or the answer to a request */
static void send_arp(unsigned op, const uint8_t *to_mac, uint32_t to)
{
	uint8_t *h = frame_new(), *a = h + ETH;

	if (!h)
		return;
	memcpy(h, to_mac, 6);
	memcpy(h + 6, ends.smac, 6);
	put16(h + 12, 0x0806);
	memcpy(a, "\0\1\10\0\6\4", 6);
	put16(a + 6, op);
	memcpy(a + 8, ends.smac, 6);
	memcpy(a + 14, &o.addr, 4);
	memcpy(a + 18, to_mac, 6);
	memcpy(a + 24, &to, 4);
	frame_send(ETH + 28, 0, 0, 0, 0);
}

static void arp_input(const uint8_t *h)
{
	uint32_t from, to;

	memcpy(&from, h + ETH + 14, 4);
	memcpy(&to, h + ETH + 24, 4);
	if (get16(h + ETH + 6) == 2 && from == o.gw) {
		memcpy(ends.dmac, h + ETH + 8, 6);
		have_mac = true;
	} else if (get16(h + ETH + 6) == 1 && to == o.addr) {
		send_arp(2, h + ETH + 8, from);
	}
}

/* Send a segment; false: the queue is full */
static bool send_tcp(unsigned flags, uint32_t seq, size_t len)
{
	uint8_t *h = frame_new();
	size_t hdrlen;

	if (!h)
		return false;
	hdrlen = put_tcp(h, &ends, flags, seq, flags & ACK ? rcv : 0, o.mtu - IP - TCP, len);
	frame_send(hdrlen, seq - iss - 1, len, 16, len > mss && mss ? mss : 0);
	acked_rcv = rcv;
	return true;
}

static bool send_udp(const void *request, size_t len)
{
	size_t most = has(F_USO) ? (65507 / o.datagram < 64 ? 65507 / o.datagram : 64) *
				   o.datagram : o.datagram, n = request ? len : most;
	uint8_t *h = frame_new();

	if (!h)
		return false;
	put16(h + ETH + IP + 4, UDP + n);
	put16(h + ETH + IP + 6, 0);
	put_ip(h, &ends, IPPROTO_UDP, UDP + n, 6);
	if (request) {			/* not of the pattern: no checksum */
		memcpy(h + ETH + IP + UDP, request, n);
		put16(h + ETH + IP + 6, 0);
		frame_send(ETH + IP + UDP + n, 0, 0, 0, 0);
	} else {
		frame_send(ETH + IP + UDP, 0, n, 6, n > o.datagram ? o.datagram : 0);
		count.sent += n;
	}
	return true;
}

static void check(const uint8_t *p, size_t len, uint32_t off)
{
	if (o.check)
		count.bad += differing(p, len, pattern, off);
}

static void ack_input(const struct tcp_seen *s)
{
	uint32_t bytes = s->ack - una;

	if (bytes && bytes <= high - una) {
		una = s->ack;
		if ((int32_t)(nxt - una) < 0)
			nxt = una;
		count.bytes += bytes;
		moved_bytes += move_done ? bytes : 0;
		dups = 0;
		progress_us = now_us();
	} else if (!bytes && !s->len && nxt != una && s->wnd << wscale == wnd) {
		count.dupacks++;
		if (++dups == 3) {
			count.rtx++;
			nxt = una;
		}
	}
	wnd = s->wnd << wscale;
}

static void tcp_input(const uint8_t *h, size_t len)
{
	struct tcp_seen s;

	if (!get_tcp(h, len, &s) || memcmp(h + ETH + IP + 2, &ends.sport, 2))
		return;
	if (s.flags & RST) {
		fprintf(stderr, "vhostx: the connection was reset\n");
		exit(1);
	}
	if (s.flags & SYN && !connected) {
		connected = true;
		irs = s.seq;
		rcv = acked_rcv = s.seq + 1;
		una = nxt = high = s.ack;
		wnd = s.wnd;
		wscale = s.wscale;
		mss = s.mss < o.mtu - IP - TCP ? s.mss : o.mtu - IP - TCP;
		send_tcp(ACK, nxt, 0);
		return;
	}
	ack_input(&s);
	if (!s.len)
		return;
	if (s.seq != rcv) {
		count.gaps++;
		send_tcp(ACK, nxt, 0);
		return;
	}
	check(h + s.hdrlen, s.len, rcv - irs - 1);
	rcv += s.len;
	count.in += s.len;
	moved_bytes += move_done ? s.len : 0;
	count.frames++;
	answered = true;
}

static void udp_input(const uint8_t *h, unsigned gso)
{
	size_t len = get16(h + ETH + IP + 4) - UDP, size = gso ? gso : o.datagram, at;

	if (memcmp(h + ETH + IP + 2, &ends.sport, 2))
		return;			/* for an earlier guest */
	answered = true;
	if (len == sizeof(count.told)) {
		memcpy(&count.told, h + ETH + IP + UDP, len);
		return;
	}
	for (at = 0; at < len; at += size)	/* all are equal */
		check(h + ETH + IP + UDP + at, len - at < size ? len - at : size, 0);
	count.in += len;
	count.frames++;
	count.datagrams += (len + size - 1) / size;
}

static void input(const uint8_t *h, size_t len, unsigned gso)
{
	if (get16(h + 12) == 0x0806)
		arp_input(h);
	else if (get16(h + 12) == 0x0800 && h[ETH + 9] == IPPROTO_UDP)
		udp_input(h, gso);
	else
		tcp_input(h, len);
}

/* --- the guest: receiving frames ---------------------------------------------------------- */

static struct vring_used_elem *next_used(struct ring *r)
{
	return &r->used->ring[r->used_idx++ & (r->size - 1)];
}

/* Handle one frame in its buffers, which are offered again */
static unsigned receive_one(struct ring *r)
{
	static uint8_t whole[VNET + FRAME_MAX + 4096];
	struct vring_used_elem *e = next_used(r);
	uint8_t *h = buffers[e->id];
	unsigned heads[RING_MAX], n, i;
	size_t len = e->len, part;

	n = has(F_MRG) ? h[10] | h[11] << 8 : 1;
	if (!n || n > r->size) {
		fprintf(stderr, "vhostx: a frame of %u buffers\n", n);
		exit(1);
	}
	heads[0] = e->id;
	if (n > 1 && o.check)
		memcpy(whole, h, len);
	for (i = 1; i < n; i++, len += part) {
		/* All buffers of a frame are shown at once */
		e = next_used(r);
		heads[i] = e->id;
		part = e->len;
		if (o.check)
			memcpy(whole + len, buffers[e->id], part);
	}
	if (n > 1 && o.check)
		h = whole;
	input(h + VNET, len - VNET, h[4] | h[5] << 8);
	for (i = 0; i < n; i++)
		offer_buffer(heads[i]);
	return n;
}

static unsigned receive_stream(void)
{
	ssize_t n = recv(sock, stream_in + in_len, STREAM_BUF - in_len, MSG_DONTWAIT);
	size_t at = 0, len;
	unsigned frames = 0;

	if (!n || (n < 0 && errno != EAGAIN))
		die("passt");
	in_len += n > 0 ? n : 0;
	while (in_len - at >= 4 && in_len - at >= 4 + (len = get32(stream_in + at))) {
		input(stream_in + at + 4, len, 0);
		at += 4 + len;
		frames++;
	}
	memmove(stream_in, stream_in + at, in_len - at);
	in_len -= at;
	return frames;
}

/* Return: number of buffers, 0: there was nothing */
static unsigned receive(void)
{
	struct ring *r = &ring[RX];
	unsigned n = 0;

	if (o.stream)
		return receive_stream();
	while (n < BUDGET && load(&r->used->idx) != r->used_idx)
		n += receive_one(r);
	if (n)
		show_avail(r);
	return n;
}

/* Sleep until there is something to do; @full: slots are wanted, too */
static void sleep_until(uint64_t end_us, bool full)
{
	struct pollfd p = { .fd = o.stream ? sock : ring[RX].call,
			    .events = POLLIN | (o.stream && out_len ? POLLOUT : 0) };
	uint64_t n = 0, now = now_us();
	bool some = false;

	if (now >= end_us)
		return;
	if (!o.stream) {
		some = wake_driver(&ring[RX], true);
		some |= full && wake_driver(&ring[TX], true);
	}
	if (!some)
		poll(&p, 1, end_us - now < 50000 ? (int)((end_us - now) / 1000) + 1 : 50);
	if (o.stream)
		return;
	wake_driver(&ring[RX], false);
	wake_driver(&ring[TX], false);
	if (p.revents && read(p.fd, &n, sizeof(n)) > 0)
		calls += n;
}

/* --- the guest: tests ------------------------------------------------------------------------ */

/* Send what the window allows; false: the queue is full */
static bool bulk_out(void)
{
	uint32_t most = has(F_TSO) ? (65535 - IP - TCP) / mss * mss : mss;

	if (nxt != una && now_us() - progress_us > PROBE_MS * 1000) {
		count.rtx++;
		nxt = una;
		progress_us = now_us();
	}
	while (nxt - una < wnd) {
		uint32_t len = wnd - (nxt - una);

		if (len > most)
			len = most;
		else if (len < most && len < wnd / 2)
			break;		/* RFC 9293, 3.8.6.2.1: avoid small segments */
		if (!send_tcp(ACK | PSH, nxt, len))
			return false;
		nxt += len;
		if ((int32_t)(nxt - high) > 0)
			high = nxt;
	}
	return true;
}

static bool exchange(void)
{
	if (!answered)
		return true;
	answered = false;
	count.ops++;
	nxt = high = nxt + 1;
	return send_tcp(ACK | PSH, nxt - 1, 1);
}

static bool acknowledge(void) { return rcv == acked_rcv || send_tcp(ACK, nxt, 0); }

static bool udp_out(void)
{
	while (send_udp(NULL, 0))
		;
	return false;
}

static bool nothing(void) { return true; }

/*
 * Is it not the end yet? After a move, the kernel of the peer or of the target retransmits
 * when its timer says so, which may be seconds later: that is waited for.
 */
static bool goes_on(uint64_t end_us)
{
	uint64_t now = now_us();

	return now < end_us ||
	       (o.check && move_done && moved_bytes < MOVED_MIN && now < end_us + MOVED_WAIT_US);
}

/* Call @work until @end_us or *@done; receive meanwhile */
static void loop(bool (*work)(void), uint64_t end_us, const bool *done)
{
	while (goes_on(end_us) && !(done && *done)) {
		unsigned n;

		if (move_us && now_us() >= move_us)
			migrate();
		n = receive();
		bool fits = work();

		flush();
		if (!n && (fits || !frame_new()))
			sleep_until(now_us() < end_us ? end_us : now_us() + 50000,
				    !fits);
	}
}

/* Repeat a request until @done; or give up */
static void until(bool (*ask)(void), const bool *done, const char *what)
{
	int i;

	for (i = 0; i < 100 && !*done; i++) {
		ask();
		flush();
		loop(nothing, now_us() + 50000, done);
	}
	if (!*done) {
		fprintf(stderr, "vhostx: no %s\n", what);
		exit(1);
	}
}

static bool ask_arp(void) { return send_arp(1, ends.dmac, o.gw), true; }
static bool ask_syn(void) { return send_tcp(SYN, iss, 0); }
static bool ask_told(void) { return send_udp("?", 1); }

static bool ask_flood(void)
{
	uint32_t m[2] = { o.datagram, o.seconds * 1000 };

	return send_udp(m, sizeof(m));
}

/* Reset the connection, once there is room for that; and once the memory is gone, nobody
 * can read the last frames, so wait until they are used */
static void finish(void)
{
	unsigned ms;

	for (ms = 0; ms < 1000 && connected && !send_tcp(RST | ACK, nxt, 0); ms++) {
		flush();
		usleep(1000);
	}
	flush();
	for (ms = 0; ms < 1000 && !o.stream &&
	     ring[TX].avail_idx != load(&ring[TX].used->idx); ms++)
		usleep(1000);
}

static void run(const char *test)
{
	uint64_t start, us = o.seconds * 1000000, before = 0;
	double s, lost = 0;

	ends.saddr = o.addr;
	ends.daddr = o.peer;
	ends.sport = htons(20000 + getpid() % 20000);
	ends.dport = htons(o.port);
	iss = getpid() * 7919;
	until(ask_arp, &have_mac, "answer to ARP");
	if (!strncmp(test, "udp", 3))
		mss = 0;
	else if (strcmp(test, "idle"))
		until(ask_syn, &connected, "connection");
	start = progress_us = now_us();
	move_us = o.move_to ? start + us / 2 : 0;
	if (!strcmp(test, "out")) {
		loop(bulk_out, start + us, NULL);
	} else if (!strcmp(test, "in")) {
		loop(acknowledge, start + us, NULL);
		count.bytes = count.in;
	} else if (!strcmp(test, "rr")) {
		answered = true;
		loop(exchange, start + us, NULL);
		count.bytes = count.in;
	} else if (!strcmp(test, "udp-out")) {
		until(ask_told, &answered, "answer of the peer");
		before = count.told;
		answered = false;
		start = now_us();
		loop(udp_out, start + us, NULL);
	} else if (!strcmp(test, "udp-in")) {
		until(ask_flood, &answered, "datagrams");
		start = now_us();
		loop(nothing, start + us, NULL);
		count.bytes = count.in;
	} else {
		loop(nothing, start + us, NULL);
	}
	s = (now_us() - start) / 1e6;
	if (!strcmp(test, "udp-out")) {
		until(ask_told, &answered, "count of the peer");
		count.bytes = count.told - before;
		lost = 1 - (double)count.bytes / count.sent;
	}
	finish();
	if (count.sent)
		count.datagrams = count.sent / o.datagram;
	printf("gbps=%.3f ops=%.0f bytes=%" PRIu64 " rtx=%" PRIu64 " dupacks=%" PRIu64
	       " gaps=%" PRIu64 " bad=%" PRIu64 " lost=%.2f frame=%.0f kicks=%" PRIu64
	       " kicks_rx=%" PRIu64 " calls=%" PRIu64 " datagrams=%" PRIu64
	       " moved=%" PRIu64 " features=%#" PRIx64 "\n",
	       count.bytes * 8 / s / 1e9, count.ops / s, count.bytes, count.rtx,
	       count.dupacks, count.gaps, count.bad, lost,
	       count.frames ? (double)count.in / count.frames : 0, kicks[TX], kicks[RX],
	       calls, count.datagrams, moved_bytes, features);
}

static uint64_t feature(const char *name)
{
	static const struct { const char *name; uint64_t f; } t[] = {
		{ "all", ~(F_VERSION_1 | F_PROTOCOL) }, { "csum", F_CSUM }, { "tso", F_TSO },
		{ "uso", F_USO }, { "mrg", F_MRG }, { "indirect", F_INDIRECT },
		{ "event", F_EVENT },
	};
	unsigned i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (!strcmp(name, t[i].name))
			return t[i].f;
	fprintf(stderr, "vhostx: no feature '%s'\n", name);
	exit(2);
}

static int guest(int argc, char **argv)
{
	char *name;
	int c;

	if (argc < 5)
		return 2;
	o.peer = inet_addr(argv[3]);
	o.port = atoi(argv[4]);
	while ((c = getopt(argc - 4, argv + 4, "a:g:t:m:s:r:b:p:x:cSM:C:")) >= 0) {
		switch (c) {
		case 'a': o.addr = inet_addr(optarg); break;
		case 'g': o.gw = inet_addr(optarg); break;
		case 't': o.seconds = atof(optarg); break;
		case 'm': o.mtu = atoi(optarg); break;
		case 's': o.datagram = atoi(optarg); break;
		case 'r': o.ring = atoi(optarg); break;
		case 'b': o.buffer = atoi(optarg); break;
		case 'p': o.piece = atoi(optarg); break;
		case 'x':
			for (name = strtok(optarg, ","); name; name = strtok(NULL, ","))
				o.without |= feature(name);
			break;
		case 'c': o.check = true; break;
		case 'S': o.stream = true; break;
		case 'M': o.move_to = optarg; break;
		case 'C': o.command = optarg; break;
		default: return 2;
		}
	}
	o.move_fails = o.move_to && !strcmp(o.move_to, argv[1]);
	guest_start(argv[1]);
	run(argv[2]);
	return count.bad || (!count.bytes && strcmp(argv[2], "idle"));
}

/* --- the bare back-end -------------------------------------------------------------------- */

static struct { uint64_t gpa, size, user; uint8_t *at; } regions[2];

static void *at_gpa(uint64_t a)
{
	unsigned i = a - regions[0].gpa < regions[0].size ? 0 : 1;

	return regions[i].at + (a - regions[i].gpa);
}

static void *at_user(uint64_t a)
{
	unsigned i = a - regions[0].user < regions[0].size ? 0 : 1;

	return regions[i].at + (a - regions[i].user);
}

static void handle(int conn, struct msg *m, int *fds)
{
	struct ring *r = &ring[m->u32[0] & 1];
	unsigned i;

	switch (m->request) {
	case GET_FEATURES:
		m->u64 = F_CSUM | F_TSO | F_MRG | F_INDIRECT | F_EVENT | F_VERSION_1;
		msg_send(conn, m, GET_FEATURES, 8, -1);
		break;
	case SET_FEATURES:
		ring[RX].event = ring[TX].event = m->u64 & F_EVENT;
		break;
	case SET_MEM_TABLE:
		for (i = 0; i < 2; i++) {
			regions[i].gpa = m->mem.region[i].gpa;
			regions[i].size = m->mem.region[i].size;
			regions[i].user = m->mem.region[i].user;
			regions[i].at = mmap(NULL, regions[i].size, PROT_READ | PROT_WRITE,
					     MAP_SHARED, fds[i], m->mem.region[i].offset);
		}
		break;
	case SET_VRING_NUM:
		r->size = m->u32[1];
		break;
	case SET_VRING_ADDR:
		r->desc = at_user(m->addr.desc);
		r->avail = at_user(m->addr.avail);
		r->used = at_user(m->addr.used);
		break;
	case SET_VRING_KICK:
		r->kick = fds[0];
		break;
	case SET_VRING_CALL:
		r->call = fds[0];
		break;
	}
}

/* Handle messages until the front-end asks for the features again: all is set up */
static void back_end(int conn)
{
	char control[CMSG_SPACE(8 * sizeof(int))];
	unsigned asked = 0;
	struct msg m;

	while (asked < 2) {
		struct iovec iov = { &m, MSG_HEAD };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				     .msg_controllen = sizeof(control) };

		if (recvmsg(conn, &mh, MSG_WAITALL) != (ssize_t)MSG_HEAD ||
		    m.size > sizeof(m) - MSG_HEAD ||
		    (m.size && recv(conn, &m.u64, m.size, MSG_WAITALL) != (ssize_t)m.size))
			die("the front-end");
		handle(conn, &m, CMSG_FIRSTHDR(&mh) ?
				 (int *)CMSG_DATA(CMSG_FIRSTHDR(&mh)) : NULL);
		asked += m.request == GET_FEATURES;
	}
}

/* The pieces of the next chain; 0: there is none */
static unsigned chain(struct ring *r, struct iovec *iov, unsigned *head, size_t *len)
{
	struct vring_desc *table = r->desc, d;
	unsigned n = 0, i;

	if (load(&r->avail->idx) == r->avail_idx)
		return 0;
	*head = i = r->avail->ring[r->avail_idx++ & (r->size - 1)];
	*len = 0;
	for (;; i = d.next) {
		d = table[i];
		if (d.flags & VRING_DESC_F_INDIRECT) {
			table = at_gpa(d.addr);
			d = table[0];
		}
		iov[n++] = (struct iovec){ at_gpa(d.addr), d.len };
		*len += d.len;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return n;
	}
}

static struct ends back;	/* of frames to the guest */
static uint32_t b_rcv, b_nxt, b_una, b_wnd;
static unsigned b_mss, b_wscale;
static int peer_fd = -1;

static void sleep_device(bool rx, bool tx)
{
	struct pollfd p[2] = { { ring[RX].kick, POLLIN, 0 }, { ring[TX].kick, POLLIN, 0 } };
	uint64_t n;
	int i;

	if (!(rx && wake_device(&ring[RX], true)) && !(tx && wake_device(&ring[TX], true))) {
		poll(p, 2, -1);
		for (i = 0; i < 2; i++)
			if (p[i].revents && read(p[i].fd, &n, sizeof(n)) < 0)
				die("kick");
	}
	wake_device(&ring[RX], false);
	wake_device(&ring[TX], false);
}

/* Send headers alone, in a buffer of the guest */
static void to_guest(const uint8_t *h, size_t len)
{
	struct iovec iov[32];
	unsigned head;
	size_t room;

	while (!chain(&ring[RX], iov, &head, &room))
		sleep_device(true, false);
	memset(iov[0].iov_base, 0, VNET);
	((uint8_t *)iov[0].iov_base)[10] = 1;
	memcpy((uint8_t *)iov[0].iov_base + VNET, h, len);
	add_used(&ring[RX], head, VNET + (len < 60 ? 60 : len));
	show_used(&ring[RX]);
}

static void ack_guest(unsigned flags)
{
	uint8_t h[HEAD] = { 0 };

	to_guest(h, put_tcp(h, &back, flags, b_nxt, b_rcv, b_mss, 0));
}

/* A frame of the guest that is not of the connection, or begins it */
static void control(const uint8_t *h, const struct tcp_seen *s)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 9, 9, 9 };
	struct sockaddr_in a = { .sin_family = AF_INET };
	uint8_t r[HEAD] = { 0 };

	memcpy(back.dmac, h + 6, 6);
	memcpy(back.smac, mac, 6);
	if (!s) {
		memcpy(r, h, ETH + 28);
		memcpy(r, back.dmac, 12);
		put16(r + ETH + 6, 2);
		memcpy(r + ETH + 8, mac, 6);
		memcpy(r + ETH + 14, h + ETH + 24, 4);
		memcpy(r + ETH + 18, h + ETH + 8, 10);
		to_guest(r, ETH + 28);
		return;
	}
	if (peer_fd >= 0)
		return;
	memcpy(&back.saddr, h + ETH + 16, 4);
	memcpy(&back.daddr, h + ETH + 12, 4);
	memcpy(&back.sport, h + ETH + IP + 2, 2);
	memcpy(&back.dport, h + ETH + IP, 2);
	a.sin_addr.s_addr = back.saddr;
	a.sin_port = back.sport;
	peer_fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(peer_fd, (struct sockaddr *)&a, sizeof(a)))
		die("peer");
	b_rcv = s->seq + 1;
	b_mss = s->mss;
	b_wscale = s->wscale;
	b_una = b_nxt + 1;
	ack_guest(SYN | ACK);
	b_nxt++;
}

/* Take what the guest sent, up to BATCH; write its payload with one call. False: nothing */
static bool from_guest(void)
{
	static struct iovec iov[IOV_MAX];
	unsigned n = 0, k, head, heads[RING_MAX], chains = 0, i;
	struct msghdr mh = { .msg_iov = iov };
	size_t len, bytes = 0;
	struct tcp_seen s;
	ssize_t rc;

	while (bytes < BATCH && n < IOV_MAX - 32 && chains < RING_MAX &&
	       (k = chain(&ring[TX], iov + n, &head, &len))) {
		const uint8_t *h = (const uint8_t *)iov[n].iov_base + VNET;

		heads[chains++] = head;
		if (!get_tcp(h, len - VNET, &s)) {
			control(h, NULL);
			continue;
		}
		if (s.flags & RST)
			pause();	/* until somebody has looked at our times */
		if (s.flags & SYN) {
			control(h, &s);
			continue;
		}
		b_una = s.ack;
		b_wnd = s.wnd << b_wscale;
		if (!s.len)
			continue;
		if (s.seq != b_rcv) {
			fprintf(stderr, "vhostx: relay: sent again\n");
			exit(1);
		}
		b_rcv += s.len;
		bytes += s.len;
		if (iov[n].iov_len == VNET + s.hdrlen) {
			memmove(iov + n, iov + n + 1, --k * sizeof(*iov));
		} else {
			iov[n].iov_base = (uint8_t *)iov[n].iov_base + VNET + s.hdrlen;
			iov[n].iov_len -= VNET + s.hdrlen;
		}
		n += k;
	}
	mh.msg_iovlen = n;
	while (bytes) {
		rc = sendmsg(peer_fd, &mh, MSG_NOSIGNAL);
		if (rc < 0)
			die("peer");
		bytes -= rc;
		for (; bytes && rc >= (ssize_t)mh.msg_iov->iov_len; mh.msg_iov++) {
			rc -= mh.msg_iov->iov_len;
			mh.msg_iovlen--;
		}
		mh.msg_iov->iov_base = (uint8_t *)mh.msg_iov->iov_base + rc;
		mh.msg_iov->iov_len -= rc;
	}
	for (i = 0; i < chains; i++)
		add_used(&ring[TX], heads[i], 0);
	show_used(&ring[TX]);
	if (n)
		ack_guest(ACK);
	return chains;
}

/* Room for one frame with @want bytes of payload in the guest's buffers */
struct place {
	unsigned chains, heads[64], parts;
	size_t len[64];
	uint8_t *head;
};

static bool find_place(struct place *p, struct iovec *iov, size_t want)
{
	size_t have = 0, room;
	uint16_t from = ring[RX].avail_idx;
	unsigned k;

	p->chains = p->parts = 0;
	want += VNET + ETH + IP + TCP;
	while (have < want) {
		k = chain(&ring[RX], iov + p->parts, &p->heads[p->chains], &room);
		if (!k) {
			ring[RX].avail_idx = from;
			return false;
		}
		if (!have)
			p->head = iov[0].iov_base;
		p->len[p->chains++] = room;
		p->parts += k;
		have += room;
	}
	iov[0].iov_base = p->head + VNET + ETH + IP + TCP;
	iov[0].iov_len -= VNET + ETH + IP + TCP;
	iov[p->parts - 1].iov_len -= have - want;
	return true;
}

static void use_place(struct place *p, size_t len)
{
	struct virtio_net_hdr v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .csum_start = htole16(ETH + IP),
				    .csum_offset = htole16(16) };
	size_t left = VNET + put_tcp(p->head + VNET, &back, ACK | PSH, b_nxt, b_rcv, 0, len) +
		      len;
	unsigned i, n = 0;

	if (len > b_mss) {
		v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		v.gso_size = htole16(b_mss);
		v.hdr_len = htole16(ETH + IP + TCP);
	}
	memcpy(p->head, &v, sizeof(v));
	b_nxt += len;
	for (i = 0; i < p->chains && left; i++, n++) {
		size_t part = left < p->len[i] ? left : p->len[i];

		add_used(&ring[RX], p->heads[i], part);
		left -= part;
	}
	ring[RX].avail_idx -= p->chains - n;	/* only behind the last frame */
	p->head[10] = n;
	p->head[11] = n >> 8;
}

/* Read once into frames for the guest, up to BATCH. False: nothing can be sent */
static bool from_peer(bool *no_room)
{
	static struct iovec iov[IOV_MAX];
	static struct place places[BATCH / 65536];
	size_t most = (65535 - IP - TCP) / b_mss * b_mss, can = b_una + b_wnd - b_nxt, left;
	unsigned n = 0, parts = 0, i;
	ssize_t rc;

	*no_room = false;
	while (can >= most && n < BATCH / 65536 &&
	       find_place(&places[n], iov + parts, most)) {
		parts += places[n++].parts;
		can -= most;
	}
	if (!n) {
		*no_room = can >= most;
		return false;
	}
	rc = readv(peer_fd, iov, parts);
	if (rc <= 0)
		die("peer");
	for (left = rc, i = 0; i < n && left; i++) {
		size_t part = left < most ? left : most;

		use_place(&places[i], part);
		left -= part;
	}
	for (; i < n; i++)
		ring[RX].avail_idx -= places[i].chains;
	show_used(&ring[RX]);
	return true;
}

static int relay(int argc, char **argv)
{
	bool no_room = false;

	if (argc < 3)
		return 2;
	back_end(unix_socket(argv[1], true));
	for (;;) {
		bool some = from_guest();

		if (!strcmp(argv[2], "in") && peer_fd >= 0 && b_wnd)
			some |= from_peer(&no_room);
		if (!some)
			sleep_device(no_room, true);
	}
}

/* --- the peer ------------------------------------------------------------------------------- */

#define DATAGRAMS	64		/* in one call */
#define DATAGRAM_MAX	65507U		/* bytes: IPv4 without its headers */

/* Send datagrams of @size bytes, all alike, for @ms.  The kernel makes them of one large buffer each
 * time, so that not the sender is what limits the rate */
static void flood(int fd, const struct sockaddr_in *to, uint32_t size, uint32_t ms,
		  uint8_t *data)
{
	uint32_t n = size < DATAGRAM_MAX / DATAGRAMS ? DATAGRAMS : DATAGRAM_MAX / size, i;
	uint64_t end = now_us() + ms * 1000ULL;
	int segment = (int)size, none = 0;
	static uint8_t all[DATAGRAM_MAX];

	if (!size || size > DATAGRAM_MAX ||
	    setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)))
		return;
	for (i = 0; i < n; i++)
		memcpy(all + i * size, data, size);
	while (now_us() < end)
		sendto(fd, all, n * size, 0, (const struct sockaddr *)to, sizeof(*to));
	setsockopt(fd, SOL_UDP, UDP_SEGMENT, &none, sizeof(none));
}

static void peer_udp(int fd, uint8_t *data)
{
	static uint8_t buf[DATAGRAMS][65536];
	struct iovec iov[DATAGRAMS];
	struct mmsghdr m[DATAGRAMS];
	struct sockaddr_in from;
	uint64_t total = 0;
	uint32_t ask[2];
	int i, n;

	for (;;) {
		for (i = 0; i < DATAGRAMS; i++) {
			iov[i] = (struct iovec){ buf[i], sizeof(buf[i]) };
			m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i],
				.msg_iovlen = 1, .msg_name = &from,
				.msg_namelen = sizeof(from) } };
		}
		n = recvmmsg(fd, m, DATAGRAMS, MSG_WAITFORONE, NULL);
		for (i = 0; i < n; i++) {
			total += m[i].msg_len;
			if (m[i].msg_len == 1)
				sendto(fd, &total, sizeof(total), 0,
				       (struct sockaddr *)&from, sizeof(from));
			if (m[i].msg_len != sizeof(ask))
				continue;
			memcpy(ask, buf[i], sizeof(ask));
			flood(fd, &from, ask[0], ask[1], data);
		}
	}
}

static void peer_tcp(int fd, const char *what, uint8_t *data)
{
	bool source = !strcmp(what, "source"), check = !strcmp(what, "check");
	size_t part = BATCH / 2;
	uint64_t at = 0, bad = 0;
	uint8_t *buf = malloc(part);
	ssize_t n;

	do {
		if (source) {
			size_t left = PATTERN - at % PATTERN;

			n = send(fd, data + at % PATTERN, left < part ? left : part,
				 MSG_NOSIGNAL);
		} else {
			n = recv(fd, buf, part, 0);
			if (n > 0 && check)
				bad += differing(buf, n, data, at);
			if (n > 0 && !strcmp(what, "echo"))
				n = send(fd, buf, n, MSG_NOSIGNAL);
		}
		at += n > 0 ? n : 0;
	} while (n > 0);
	if (check) {
		printf("received=%" PRIu64 " bad=%" PRIu64 "\n", at, bad);
		fflush(stdout);
	}
	free(buf);
	close(fd);
}

static int peer(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	uint8_t *data = malloc(PATTERN);
	int fd, one = 1, room = 8 << 20;
	bool udp;

	if (argc < 4)
		return 2;
	udp = !strcmp(argv[1], "udp");
	a.sin_addr.s_addr = inet_addr(argv[2]);
	a.sin_port = htons(atoi(argv[3]));
	fill(data);
	fd = socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || (!udp && listen(fd, 8)))
		die("bind");
	if (udp) {		/* joined datagrams are fine: we count bytes */
		setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
		peer_udp(fd, data);
	}
	for (;;)
		peer_tcp(accept(fd, NULL, NULL), argv[1], data);
}

int main(int argc, char **argv)
{
	int rc = 2;

	if (argc > 1 && !strcmp(argv[1], "guest"))
		rc = guest(argc - 1, argv + 1);
	else if (argc > 1 && !strcmp(argv[1], "relay"))
		rc = relay(argc - 1, argv + 1);
	else if (argc > 1 && !strcmp(argv[1], "peer"))
		rc = peer(argc - 1, argv + 1);
	if (rc == 2)
		fprintf(stderr, "usage: vhostx guest|relay|peer ..., see the source\n");
	return rc;
}
