/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Send any bytes to the socket of the stream backend: the frames that it hands on do not
 * depend on the pieces in which the bytes arrive
 *
 * Input: a byte with the largest piece, then the bytes. No socket is used: recv() and
 * close() of the C library are replaced.
 */

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checksum.h"
#include "input.h"
#include "log.h"
#include "loop.h"
#include "tap_stream.h"

#define SOCKET	100000		/* a number that no descriptor has */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tap_stream t;
static struct loop loop;
static size_t piece;

/* struct heard - What the backend handed on, and how it ended */
static struct heard {
	uint64_t frames, bytes, bad, sum;
	bool closed;
} heard;

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	(void)flags;
	assert(fd == SOCKET && len);
	if (!left)
		return 0;
	return (ssize_t)bytes(buf, len < piece ? len : piece);
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	(void)epfd;
	(void)op;
	(void)fd;
	(void)ev;
	return 0;
}

int close(int fd)
{
	return fd == SOCKET ? 0 : (int)syscall(SYS_close, fd);
}

static void on_rx(void *ctx, const struct pkt *p, unsigned n)
{
	(void)ctx;
	assert(n && n <= TAP_RX_BATCH);
	for (; n--; p++)
		heard.sum = heard.sum * 31 + csum_add(p->kind, p->l3.p, p->l3.len);
}

static void on_closed(void *ctx, int error)
{
	(void)ctx;
	(void)error;
	heard.closed = true;
}

static struct heard hear(const uint8_t *data, size_t size, size_t pieces)
{
	heard = (struct heard){ 0 };
	input_set(data, size);
	piece = pieces;
	memset(&t.tap, 0, sizeof(t.tap));
	t.have = 0;
	assert(!tap_stream_init(&t, SOCKET, 1500, &loop));
	t.tap.rx = on_rx;
	t.tap.closed = on_closed;
	while (t.fd >= 0)
		tap_event(&t.tap, 0, EPOLLIN);
	heard.frames = t.tap.stats.rx_frames;
	heard.bytes = t.tap.stats.rx_bytes;
	for (unsigned i = 0; i < PKT_E_MAX; i++)
		heard.bad += t.tap.stats.rx_bad[i];
	return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard whole, parts;

	if (!size)
		return 0;
	log_set_level(LOG_L_ERR);
	whole = hear(data + 1, size - 1, SIZE_MAX);
	parts = hear(data + 1, size - 1, data[0] + 1U);
	assert(whole.closed && parts.closed);
	assert(whole.frames == parts.frames && whole.bytes == parts.bytes &&
	       whole.bad == parts.bad && whole.sum == parts.sum);
	return 0;
}
