/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap_stream.c - Frames over a connected UNIX stream socket
 *
 * Each frame has its length before it, 32 bits in network order: the framing of
 * qemu's "-netdev stream". No offloads: sums are complete, no frame is over the
 * MTU.
 *
 * To send, frames are lent from a linear arena and queued in place, each with its
 * length; flush() hands them to sendmsg(). The socket may stop at any byte of a
 * frame, and the rest goes first the next time. The arena starts over from its
 * beginning when all is sent. While it is full, tap_reserve() lends nothing; once
 * it is empty, tap->writable() is called. So no frame is dropped here, unless the
 * connection ends.
 *
 * Received bytes are parsed in place; an incomplete frame moves to the start of
 * the buffer.
 */

#include "tap_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "tap.h"
#include "wire.h"

#define LEN_SIZE	sizeof(uint32_t)	/* before each frame */
#define SEND_IOVS	128
#define ALIGN64(n)	(((n) + 63) & ~(size_t)63)

static struct tap_stream *to_stream(struct tap *t)
{
	return (struct tap_stream *)((char *)t -
				     offsetof(struct tap_stream, tap));
}

/* The socket took @n bytes of the queue */
static void stream_consume(struct tap_stream *s, size_t n)
{
	while (n) {
		struct stream_chunk *c = &s->queue[s->head];

		if (n < c->len) {
			c->off += (uint32_t)n;
			c->len -= (uint32_t)n;
			return;
		}
		n -= c->len;
		s->head++;
	}
}

/*
 * Send the queued frames. Return: 0 if all is sent, -EAGAIN if the socket is full,
 * another negative errno if it has failed.
 */
/* #syscalls sendmsg */
static int send_queue(struct tap_stream *s)
{
	struct iovec iov[SEND_IOVS];
	struct msghdr mh = { .msg_iov = iov };

	while (s->head < s->tail) {
		unsigned i, n = s->tail - s->head;
		ssize_t rc;

		if (n > SEND_IOVS)
			n = SEND_IOVS;
		for (i = 0; i < n; i++) {
			const struct stream_chunk *c = &s->queue[s->head + i];

			iov[i] = (struct iovec){ s->tx + c->off, c->len };
		}
		mh.msg_iovlen = n;
		rc = sendmsg(s->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (rc < 0 && (errno == EINTR || errno == ENOBUFS ||
			       errno == ENOMEM))
			return -EAGAIN;
		if (rc < 0)
			return -errno;
		stream_consume(s, (size_t)rc);
	}
	s->head = s->tail = 0;
	s->used = 0;
	return 0;
}

/* Number of frames of @slot bytes that fit, at most @want */
static unsigned room_for(const struct tap_stream *s, unsigned want, size_t slot)
{
	size_t n = (sizeof(s->tx) - s->used) / slot;

	if (n > want)
		n = want;
	if (n > TAP_TX_BATCH)
		n = TAP_TX_BATCH;
	if (n > STREAM_TX_FRAMES - s->tail)
		n = STREAM_TX_FRAMES - s->tail;
	return (unsigned)n;
}

static struct txframe *stream_reserve(struct tap *tap, unsigned *n,
				      size_t hdrlen, size_t room)
{
	struct tap_stream *s = to_stream(tap);
	size_t head = ALIGN64(LEN_SIZE + hdrlen), slot = head + ALIGN64(room);
	unsigned want = *n, i;
	uint8_t *payload;

	*n = 0;
	if (hdrlen <= TAP_HDR_MAX && s->fd >= 0) {
		*n = room_for(s, want, slot);
		/* Leave it to flush() and event() to find and report an error */
		if (*n < want && *n < TAP_TX_BATCH && !s->poll_out &&
		    !send_queue(s))
			*n = room_for(s, want, slot);
	}
	if (!*n) {
		s->starved = true;
		return NULL;
	}

	payload = s->tx + s->used + head;
	for (i = 0; i < *n; i++, payload += slot)
		tap_frame_lend(&s->frames[i], payload, hdrlen, slot - head);
	return s->frames;
}

static unsigned stream_commit(struct tap *tap, unsigned n)
{
	struct tap_stream *s = to_stream(tap);
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct txframe *f = &s->frames[i];
		size_t len = f->hdrlen + f->len;
		uint32_t be_len = htonl((uint32_t)len);
		uint8_t *p = f->hdr - LEN_SIZE;

		memcpy(p, &be_len, LEN_SIZE);
		s->queue[s->tail++] = (struct stream_chunk){
			(uint32_t)(p - s->tx), (uint32_t)(LEN_SIZE + len)
		};
		s->used = ALIGN64((size_t)(f->hdr - s->tx) + len);
		tap->stats.tx_frames++;
		tap->stats.tx_bytes += len;
	}
	return n;
}

/*
 * Close the connection, forget queued frames and a partly received one. It is no
 * error if the other end has left before it had read everything.
 */
/* #syscalls close */
static void stream_close(struct tap_stream *s, int error)
{
	if (s->fd < 0)
		return;
	loop_del(s->loop, s->fd);
	close(s->fd);
	s->fd = -1;
	s->tap.stats.tx_dropped += s->tail - s->head;
	s->head = s->tail = 0;
	s->used = s->have = 0;
	if (error == ECONNRESET || error == EPIPE)
		error = 0;
	if (s->tap.closed)
		s->tap.closed(s->tap.ctx, error);
}

/* Watch for EPOLLOUT only while frames are queued or a protocol waits for room */
static void stream_watch(struct tap_stream *s)
{
	const union epoll_ref ref = { .kind = REF_TAP };
	bool out = s->starved || s->head < s->tail;

	if (s->fd < 0 || out == s->poll_out)
		return;
	if (!loop_mod(s->loop, s->fd, EPOLLIN | (out ? EPOLLOUT : 0), ref))
		s->poll_out = out;
}

static bool stream_flush(struct tap *tap)
{
	struct tap_stream *s = to_stream(tap);
	int rc;

	if (s->fd < 0)
		return false;
	rc = send_queue(s);
	if (!rc && s->starved) {
		s->starved = false;
		if (tap->writable)
			tap->writable(tap->ctx);
		if (s->fd >= 0)
			rc = send_queue(s);
	}
	if (rc && rc != -EAGAIN)
		stream_close(s, -rc);
	stream_watch(s);
	return false;
}

/* Hand over all complete frames; -EPROTO if the framing is not ours */
static int parse_frames(struct tap_stream *s)
{
	size_t pos = 0, len;
	struct view frame;
	unsigned n = 0;
	uint32_t be_len;
	int rc = 0;

	while (s->have - pos >= LEN_SIZE) {
		memcpy(&be_len, s->rx + pos, LEN_SIZE);
		len = ntohl(be_len);
		if (!len || len > FRAME_MAX) {
			warn_limited("Tap socket: frame length %zu is not in 1 "
				     "to %zu, closing the connection", len,
				     FRAME_MAX);
			rc = -EPROTO;
			break;
		}
		if (s->have - pos - LEN_SIZE < len)
			break;
		frame = view_of(s->rx + pos + LEN_SIZE, len);
		tap_rx_frame(&s->tap, s->pkts, &n, &frame, NULL);
		pos += LEN_SIZE + len;
		if (n == TAP_RX_BATCH) {
			s->tap.rx(s->tap.ctx, s->pkts, n);
			n = 0;
		}
	}
	if (n)
		s->tap.rx(s->tap.ctx, s->pkts, n);
	s->have -= pos;
	memmove(s->rx, s->rx + pos, s->have);
	return rc;
}

/*
 * Receive once, close the connection at its end. Return: true if there may be more
 * to receive.
 */
/* #syscalls recvfrom */
static bool stream_rx(struct tap_stream *s)
{
	size_t room = sizeof(s->rx) - s->have;
	ssize_t n = recv(s->fd, s->rx + s->have, room, MSG_DONTWAIT);
	int rc;

	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS ||
		      errno == ENOMEM))
		return false;
	if (n <= 0) {
		stream_close(s, n ? errno : 0);
		return false;
	}
	s->have += (size_t)n;
	rc = parse_frames(s);
	if (rc) {
		stream_close(s, -rc);
		return false;
	}
	return (size_t)n == room;
}

static void stream_event(struct tap *tap, unsigned which, uint32_t events)
{
	struct tap_stream *s = to_stream(tap);
	unsigned i;

	(void)which;
	if (events & EPOLLOUT)
		stream_flush(tap);
	if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return;
	for (i = 0; i < STREAM_RX_BATCHES && s->fd >= 0; i++)
		if (!stream_rx(s))
			break;
}

/* Take a new connection. If tap_reserve() lent no frame before, tap->writable() is
 * called once the socket is writable */
static int stream_attach(struct tap *tap, int fd)
{
	const union epoll_ref ref = { .kind = REF_TAP };
	struct tap_stream *s = to_stream(tap);
	int rc;

	if (s->fd >= 0)
		return -EBUSY;
	s->poll_out = s->starved;
	rc = loop_add(s->loop, fd, EPOLLIN | (s->starved ? EPOLLOUT : 0), ref);
	if (rc)
		return rc;
	s->fd = fd;
	return 0;
}

static const struct tap_ops stream_ops = {
	.reserve = stream_reserve,
	.commit = stream_commit,
	.flush = stream_flush,
	.event = stream_event,
	.attach = stream_attach,
};

/**
 * tap_stream_init() - Set up the backend
 * @s:		The backend; the caller sets the callbacks of s->tap
 * @fd:		Connected stream socket, ours to close; -1: there is none yet, see
 *		tap_attach()
 * @mtu:	Largest IP packet, bytes
 * @l:		Event loop; watches @fd as REF_TAP with index 0
 *
 * Return: 0 or negative errno
 */
int tap_stream_init(struct tap_stream *s, int fd, unsigned mtu,
		    struct loop *l)
{
	tap_init(&s->tap, &stream_ops, 0, mtu);
	s->loop = l;
	s->fd = -1;
	s->starved = s->poll_out = false;
	s->head = s->tail = 0;
	s->used = s->have = 0;
	return fd < 0 ? 0 : stream_attach(&s->tap, fd);
}
