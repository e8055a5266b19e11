/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * front.h - A front-end for the vhost-user backend in the same process, for tests
 *
 * It shares a file of memory with rings and buffers for both queues. What the backend
 * receives is read to the last byte, and its frames are written to the last byte, so the
 * sanitizers see each access.
 */

#ifndef TEST_FRONT_H
#define TEST_FRONT_H

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fdpass.h"
#include "log.h"
#include "loop.h"
#include "tap_vhost.h"

enum { START_READY = 1, START_EVENT_IDX = 2, START_INDIRECT = 4, START_MRG = 8,
       START_OFFLOAD = 16, START_LOG = 32 };

#define MEM	(1 << 18)
#define GPA	0x10000ULL
#define USER	0x7f00000000ULL
#define RING	16U
#define LOG_SIZE	(1 << 16)

static struct tap_vhost t;
static struct loop loop;
static int mem_fd = -1, event_fd, null_fd, log_fd;
static uint8_t *mem;

static inline void on_rx(void *ctx, const struct pkt *p, unsigned n)
{
	uint8_t copy[2048];
	unsigned i;

	(void)ctx;
	assert(n && n <= TAP_RX_BATCH);
	for (i = 0; i < n; i++)		/* touch all bytes */
		for (size_t at = 0; at < p[i].l3.len; at += sizeof(copy)) {
			size_t part = p[i].l3.len - at;

			if (part > sizeof(copy))
				part = sizeof(copy);
			assert(view_copy(p[i].l3, at, copy, part));
		}
}

static inline void send_frames(unsigned n, size_t hdrlen, size_t room, unsigned used)
{
	unsigned lent = n, i;
	struct txframe *f;

	hdrlen %= TAP_HDR_MAX + 1;
	f = tap_reserve(&t.tap, &lent, hdrlen, room);
	assert(lent <= n && !lent == !f);
	for (i = 0; i < lent; i++) {
		struct view to = f[i].payload;
		uint8_t *p;
		size_t part;

		assert(f[i].payload.len >= room);
		f[i].len = room * (i + used) % (room + 1);
		memset(f[i].hdr, 0x11, hdrlen);
		view_cut(&to, f[i].len);
		while ((part = view_piece(&to, f[i].len, &p)))
			memset(p, 0x22, part);
	}
	if (lent)
		tap_commit(&t.tap, used % (lent + 1));
}

static inline void on_writable(void *ctx)
{
	(void)ctx;
	send_frames(3, 54, 1000, 2);
}

static inline void message(int fd, uint32_t request, uint32_t flags, const void *payload,
		    size_t size, const struct fdpass *fds)
{
	struct {
		struct vhost_msg_hdr hdr;
		uint8_t payload[512];
	} m = { .hdr = { request, flags, (uint32_t)size } };

	memcpy(m.payload, payload, size);
	fdpass_send(fd, &m, sizeof(m.hdr) + size, fds, MSG_DONTWAIT);
}

/* Let the backend handle what was sent, and drop its answers */
static inline void turn(int fd)
{
	uint8_t drop[4096];

	tap_event(&t.tap, VHOST_EV_SOCKET, 0);
	tap_poll(&t.tap);
	tap_flush(&t.tap);
	while (fd >= 0 && recv(fd, drop, sizeof(drop), MSG_DONTWAIT) > 0)
		;
}

static inline void ready_queue(int fd, uint32_t i, uint32_t logged)
{
	const struct { uint32_t index, num; } num = { i, RING }, on = { i, 1 };
	const struct { uint32_t index, flags; uint64_t desc, used, avail, log; } addr = {
		i, logged, USER + i * 0x1000, USER + i * 0x1000 + 0x800,
		USER + i * 0x1000 + 0x400, GPA + i * 0x1000 + 0x800 };
	const struct fdpass event = { .n = 1, .fd = { event_fd } };
	uint64_t index = i;

	message(fd, 8, 1, &num, sizeof(num), &(struct fdpass){ 0 });
	message(fd, 9, 1, &addr, sizeof(addr), &(struct fdpass){ 0 });
	message(fd, 18, 1, &on, sizeof(on), &(struct fdpass){ 0 });
	message(fd, 13, 1, &index, sizeof(index), &event);
	message(fd, 12, 1, &index, sizeof(index), &event);
}

/* As a front-end that has begun to migrate the guest before the device started */
static inline void ready_log(int fd)
{
	const struct { uint64_t size, offset; } log = { LOG_SIZE - 5, 5 };
	const uint64_t log_shmfd = 2;
	const struct fdpass file = { .n = 1, .fd = { log_fd } };

	message(fd, 16, 1, &log_shmfd, sizeof(log_shmfd), &(struct fdpass){ 0 });
	message(fd, 6, 1, &log, sizeof(log), &file);
}

/* A device that is started, with buffers in both directions */
static inline void ready(int fd, uint8_t start)
{
	const struct { uint32_t n, pad; uint64_t gpa, size, user, offset; } table = {
		1, 0, GPA, MEM, USER, 0 };
	const struct fdpass memory = { .n = 1, .fd = { mem_fd } };
	uint64_t f = VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES;
	uint32_t logged = !!(start & START_LOG);
	unsigned i;

	if (logged)
		f |= VHOST_F_LOG_ALL;
	if (start & START_EVENT_IDX)
		f |= VIRTIO_F_EVENT_IDX;
	if (start & START_INDIRECT)
		f |= VIRTIO_F_INDIRECT_DESC;
	if (start & START_MRG)
		f |= VIRTIO_NET_F_MRG_RXBUF;
	if (start & START_OFFLOAD)
		f |= VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |
		     VIRTIO_NET_F_GUEST_TSO6;
	for (i = 0; i < 2 * RING; i++) {
		struct vq_desc d = {
			htole64(GPA + 0x8000 + i * 0x1000), htole32(0x1000),
			htole16(i < RING ? VQ_DESC_F_WRITE : 0), 0 };
		uint8_t *ring = mem + (i / RING) * 0x1000;
		le16 head = htole16(i % RING), idx = htole16(RING);

		memcpy(ring + i % RING * sizeof(d), &d, sizeof(d));
		memcpy(ring + 0x404 + i % RING * 2, &head, 2);
		memcpy(ring + 0x402, &idx, 2);
	}
	message(fd, 2, 1, &f, sizeof(f), &(struct fdpass){ 0 });
	message(fd, 5, 1, &table, sizeof(table), &memory);
	ready_queue(fd, 0, logged);
	ready_queue(fd, 1, logged);
	if (logged)
		ready_log(fd);
	turn(fd);
	assert(vhost_user_runs(&t.vu, 0) && vhost_user_runs(&t.vu, 1));
}

static inline void setup(void)
{
	log_set_level(LOG_L_ERR);
	mem_fd = memfd_create("guest", MFD_CLOEXEC);
	event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	log_fd = memfd_create("dirtylog", MFD_CLOEXEC);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (mem_fd < 0 || ftruncate(mem_fd, MEM) || log_fd < 0 ||
	    ftruncate(log_fd, LOG_SIZE) || event_fd < 0 || null_fd < 0 ||
	    loop_init(&loop) || tap_vhost_init(&t, -1, TAP_OFF_USO, 65520, &loop))
		abort();
	mem = mmap(NULL, MEM, PROT_READ | PROT_WRITE, MAP_SHARED, mem_fd, 0);
	t.tap.rx = on_rx;
	t.tap.writable = on_writable;
}

#endif /* TEST_FRONT_H */
