/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stream backend on a socket pair, captures around a fake one */

#include "../../tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_tap.h"
#include "frame.h"
#include "log.h"
#include "loop.h"
#include "pcap.h"
#include "tap.h"
#include "tap_stream.h"

static struct tap_stream s;
static struct fake_tap fake;
static struct loop loop;
static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t mac_b[6] = { 2, 0, 0, 0, 0, 2 };
static union inany src, dst;
static struct frame_addr addr = { mac_b, mac_a, &src, &dst, 0, 0 };
static uint8_t data[65536], got[4 << 20];

/* Counted by the callbacks */
static unsigned rx_packets, rx_calls, writables, closes, wrong;
static int close_error;
static size_t rx_len;

static void on_rx(void *ctx, const struct pkt *p, unsigned n)
{
	unsigned i;

	(void)ctx;
	rx_calls++;
	for (i = 0; i < n; i++) {
		rx_packets++;
		rx_len += p[i].payload.len;
		if (p[i].kind != PKT_UDP ||
		    !view_equals(p[i].payload, data, p[i].payload.len))
			wrong++;
	}
}

static void on_writable(void *ctx)
{
	(void)ctx;
	writables++;
}

static void on_closed(void *ctx, int error)
{
	(void)ctx;
	closes++;
	close_error = error;
}

/* Events that are there, as passt.c hands them out; the watched set, too */
static uint32_t turn(void)
{
	struct epoll_event ev;
	uint32_t seen = 0;

	while (loop_wait(&loop, &ev, 1, true) > 0) {
		seen |= ev.events;
		tap_event(&s.tap, 0, ev.events);
		tap_flush(&s.tap);
		if (ev.events == EPOLLOUT)
			break;
	}
	return seen;
}

/* A new connection; Return: the other end */
static int connection(void)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -1;
	tap_stream_init(&s, sv[0], 65520, &loop);
	s.tap.rx = on_rx;
	s.tap.writable = on_writable;
	s.tap.closed = on_closed;
	rx_packets = rx_calls = writables = closes = wrong = 0;
	rx_len = 0;
	return sv[1];
}

/* Datagrams of the lengths given, as the other end would send them */
static size_t make(uint8_t *b, const size_t *len, unsigned n)
{
	uint32_t be_len;
	size_t end = 0;
	unsigned i;

	fake_tap_init(&fake, 0, 65520);
	for (i = 0; i < n; i++) {
		fake.n = 0;
		frame_send_udp(&fake.tap, &addr, 1, 2, data, len[i]);
		be_len = htonl((uint32_t)fake.sent[0].len);
		memcpy(b + end, &be_len, 4);
		memcpy(b + end + 4, fake.sent[0].b, fake.sent[0].len);
		end += 4 + fake.sent[0].len;
	}
	return end;
}

/* Frames that the other end received, checked; Return: how many, complete */
static unsigned check_received(const uint8_t *b, size_t len, size_t *rest)
{
	unsigned n = 0;
	struct pkt p;
	uint32_t l;

	for (; len >= 4; n++) {
		memcpy(&l, b, 4);
		l = ntohl(l);
		if (len - 4 < l)
			break;
		if (fake_parse(&p, b + 4, l, NULL) || p.kind != PKT_UDP ||
		    memcmp(p.payload.p, data, p.payload.len))
			wrong++;
		b += 4 + l;
		len -= 4 + l;
	}
	*rest = len;
	return n;
}

static void receives_byte_by_byte(void)
{
	static const size_t len[] = { 0, 1, 100, 1472, 3000 };
	size_t n = make(got, len, 5), i;
	int fd = connection();

	for (i = 0; i < n; i++) {
		(void)!write(fd, got + i, 1);
		turn();
	}
	ok(rx_packets == 5 && rx_len == 4573 && !wrong && !closes,
	   "five frames that arrive byte by byte are taken");
	is(s.have, 0, "no byte is left over after complete frames");

	(void)!write(fd, got, n - 1);
	turn();
	is(rx_packets, 9, "a frame that lacks one byte waits");
	(void)!write(fd, got + n - 1, 1);
	turn();
	is(rx_packets, 10, "the last byte completes the frame that waited");

	close(fd);
	turn();
	ok(closes == 1 && !close_error && s.fd == -1,
	   "the end of the connection is reported");
	turn();
	is(closes, 1, "the end of the connection is reported only once");
}

static void receives_many(void)
{
	size_t len[100], n, off = 0;
	int fd = connection();
	unsigned i;

	for (i = 0; i < 100; i++)
		len[i] = i % 10 ? i * 13 : 65000;
	n = make(got, len, 100);
	while (off < n) {
		ssize_t rc = send(fd, got + off, n - off, MSG_DONTWAIT);

		if (rc > 0)
			off += (size_t)rc;
		turn();
	}
	ok(rx_packets == 100 && !wrong && rx_calls < 60,
	   "a hundred frames are handed over in batches");
	is(s.tap.stats.rx_frames, 100, "received frames are counted");
	close(fd);
	turn();
}

static void bad_lengths(void)
{
	static const struct { uint32_t len; const char *name; } t[] = {
		{ 0, "a length of zero closes" },
		{ FRAME_MAX + 1, "a length over the largest frame closes" },
		{ 0xffffffff, "a length of 4 gib closes" },
	};
	static const size_t one[] = { 10 };
	unsigned i;

	for (i = 0; i < 3; i++) {
		int fd = connection();
		size_t n = make(got, one, 1);
		uint32_t be_len = htonl(t[i].len);

		memcpy(got + n, &be_len, 4);
		(void)!write(fd, got, n + 4);
		turn();
		ok(closes == 1 && close_error == EPROTO && rx_packets == 1,
		   t[i].name);
		close(fd);
	}
}

static void bad_frames(void)
{
	static const size_t one[] = { 10 };
	static const uint8_t tiny[] = { 0, 0, 0, 3, 1, 2, 3 };
	int fd = connection();
	size_t n = make(got, one, 1);

	(void)!write(fd, tiny, sizeof(tiny));
	got[4 + 12] = 0x12;
	(void)!write(fd, got, n);
	make(got, one, 1);
	(void)!write(fd, got, n);
	turn();
	ok(rx_packets == 1 && !closes,
	   "a bad frame is dropped and the next one taken");
	ok(s.tap.stats.rx_bad[PKT_E_SHORT] == 1 &&
	   s.tap.stats.rx_bad[PKT_E_ETHERTYPE] == 1,
	   "bad frames are counted by reason");
	close(fd);
	turn();
}

/* The other end takes a byte here and there; all arrives, nothing is lost */
static void full_socket_holds_back(void)
{
	unsigned sent = 0, refused = 0, i;
	int fd = connection();
	size_t have = 0, rest;
	ssize_t n;

	while (!refused && sent < 100000) {
		if (frame_send_udp(&s.tap, &addr, 1, 2, data, sent % 1472))
			sent++;
		else
			refused++;
		if (sent % 64 == 0)
			tap_flush(&s.tap);
	}
	ok(refused && sent > 500, "a full socket holds frames back");
	is(turn() & EPOLLOUT, 0, "a full socket is not reported as writable");
	is(writables, 0, "writable() is not called while the socket is full");

	for (i = 0; (n = recv(fd, got + have, 1 + i * 37 % 4096,
			      MSG_DONTWAIT)) > 0 ||
		    s.head < s.tail; i++) {
		if (n > 0)
			have += (size_t)n;
		if (have == sizeof(got))
			break;
		turn();
	}
	while ((n = recv(fd, got + have, 4096, MSG_DONTWAIT)) > 0)
		have += (size_t)n;
	ok(writables == 1 && !s.poll_out,
	   "writable() is called once the socket has drained");
	is(check_received(got, have, &rest), sent,
	   "every frame that was queued arrives");
	ok(!rest && !wrong, "queued frames arrive unchanged and complete");
	is(s.tap.stats.tx_frames, sent, "sent frames are counted");
	close(fd);
	turn();
}

static void nobody_there(void)
{
	unsigned n = 3;
	int sv[2];

	tap_stream_init(&s, -1, 1500, &loop);
	s.tap.writable = on_writable;
	s.tap.closed = on_closed;
	s.tap.rx = on_rx;
	writables = closes = 0;
	ok(!tap_reserve(&s.tap, &n, 42, 100) && !n,
	   "no frame is lent without a connection");
	tap_flush(&s.tap);
	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv) &&
	   !tap_attach(&s.tap, sv[0]), "a connection can be attached");
	turn();
	is(writables, 1, "writable() is called after a connection is attached");

	close(sv[1]);
	frame_send_udp(&s.tap, &addr, 1, 2, data, 5);
	tap_flush(&s.tap);
	ok(closes == 1 && !close_error && s.fd == -1,
	   "writing to nobody ends the connection");
	is(s.tap.stats.tx_dropped, 1,
	   "frames queued at the end of a connection count as dropped");
	turn();
}

/* Half a frame each way, then another connection: whole frames from its start */
static void comes_back(void)
{
	static const size_t len[] = { 700, 900 };
	size_t n = make(got, len, 2), rest, have = 0;
	int fd = connection(), sv[2];
	unsigned dropped;
	ssize_t rc;

	(void)!write(fd, got, n / 2 + 100);
	turn();
	is(rx_packets, 1, "one complete frame of one and a half is taken");
	while (frame_send_udp(&s.tap, &addr, 1, 2, data, 1400))
		tap_flush(&s.tap);
	tap_flush(&s.tap);
	(void)!read(fd, got, 333);
	dropped = s.tail - s.head;
	close(fd);
	turn();
	ok(s.fd == -1 && !s.have && s.tap.stats.tx_dropped == dropped,
	   "partial frames of both directions are dropped at the end");

	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv) &&
	   !tap_attach(&s.tap, sv[0]),
	   "a second connection can be attached after the first");
	make(got, len, 2);
	(void)!write(sv[1], got, n);
	frame_send_udp(&s.tap, &addr, 1, 2, data, 10);
	tap_flush(&s.tap);
	turn();
	is(rx_packets, 3,
	   "frames of a new connection are parsed from their start");
	while ((rc = recv(sv[1], got + have, sizeof(got) - have,
			  MSG_DONTWAIT)) > 0)
		have += (size_t)rc;
	ok(check_received(got, have, &rest) == 1 && !rest && !wrong,
	   "a new connection gets complete frames");
	close(sv[1]);
	turn();
}

static void leaves_unread(void)
{
	int fd = connection();

	frame_send_udp(&s.tap, &addr, 1, 2, data, 5);
	tap_flush(&s.tap);
	close(fd);			/* with that in its queue: ECONNRESET */
	turn();
	ok(closes == 1 && !close_error && s.fd == -1,
	   "a peer that leaves frames unread is no error");
}

static void lends(void)
{
	int fd = connection();
	struct txframe *f;
	unsigned n = 1000, i;
	bool good = true;

	f = tap_reserve(&s.tap, &n, 54, 1460);
	ok(f && n == TAP_TX_BATCH, "no more than a batch of frames is lent");
	for (i = 0; i < n; i++)
		good &= (uintptr_t)f[i].payload.p % 64 == 0 &&
			f[i].payload.len >= 1460 && f[i].hdrlen == 54 && !f[i].len &&
			f[i].hdr + 54 == f[i].payload.p;
	ok(good, "payload is aligned and right behind the headers");
	n = 64;
	ok(tap_reserve(&s.tap, &n, 54, 65535) && n == 15,
	   "fewer frames are lent if the arena has no more room");
	ok(!tap_send_one(&s.tap, data, TAP_HDR_MAX + 1),
	   "a frame of too long headers is not sent");
	ok(tap_send_one(&s.tap, data, 42) && s.tail == 1,
	   "a frame of headers alone is queued");
	close(fd);
	turn();
}

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

/* The record at @b; Return: the one after it */
static const uint8_t *record(const uint8_t *b, struct pkt *p, bool *good)
{
	uint32_t len = u32_at(b + 8);

	*good = len == u32_at(b + 12) && !fake_parse(p, b + 16, len, NULL);
	return b + 16 + len;
}

static void lent_udp(struct tap *t, size_t len)
{
	unsigned n = 1;
	struct txframe *f = tap_reserve(t, &n, frame_l3_hdrlen(true) + 8, len);

	memcpy(f->payload.p, data, len);
	f->len = len;
	frame_fill_udp(t, f, &addr, 5, 6, 0);
	tap_commit(t, 1);
}

static void captures(void)
{
	char path[] = "/tmp/passt-unit-XXXXXX";
	struct rx_offload off = { .csum_partial = true, .csum_start = 34,
				  .csum_offset = 6 };
	static struct pcap pc;
	struct tap *t;
	struct pkt p[4];
	struct iovec iov[300];
	const uint8_t *b = got + 24;
	unsigned n = 0, i;
	struct view v;
	bool good;
	ssize_t len;
	int fd = mkstemp(path);

	close(fd);
	fake_tap_init(&fake, TAP_CSUM | TAP_JUMBO, 1500);
	fake.tap.stats.tx_frames = 0;
	t = pcap_wrap(&pc, &fake.tap, pcap_begin(open(path, O_WRONLY | O_CLOEXEC)), false);
	t->rx = on_rx;
	t->closed = on_closed;
	rx_packets = closes = wrong = 0;
	ok(t->caps == fake.tap.caps && t->mtu == 1500,
	   "a wrapper has the capabilities and the MTU of its backend");

	lent_udp(t, 999);
	lent_udp(t, 60000);
	ok(fake.n == 2 && fake.sent[1].csum_partial,
	   "a wrapper passes frames on unchanged");
	/* Back in, from the device: partial sums, then rubbish */
	for (i = 0; i < 2; i++) {
		v = view_of(fake.sent[i].b, fake.sent[i].len);
		tap_rx_frame(&fake.tap, p, &n, &v, &off);
	}
	iov[0] = (struct iovec){ fake.sent[0].b, 1 };
	iov[1] = (struct iovec){ fake.sent[0].b + 1, 40 };
	iov[2] = (struct iovec){ fake.sent[0].b + 41, fake.sent[0].len - 41 };
	v = view_of_iov(iov, 3);
	tap_rx_frame(&fake.tap, p, &n, &v, &off);
	fake.tap.rx(fake.tap.ctx, p, n);
	ok(rx_packets == 3 && !wrong, "a wrapper hands over received frames");
	v = view_of(data, 9);
	tap_rx_frame(&fake.tap, p, &n, &v, NULL);
	for (i = 0; i < fake.sent[0].len / 5; i++)
		iov[i] = (struct iovec){ fake.sent[0].b + i * 5, 5 };
	v = view_of_iov(iov, i);
	tap_rx_frame(&fake.tap, p, &n, &v, &off);
	fake.tap.closed(fake.tap.ctx, 0);
	is(closes, 1, "a wrapper passes on the end of the device");

	fd = open(path, O_RDONLY);
	len = read(fd, got, sizeof(got));
	close(fd);
	unlink(path);
	is(u32_at(got), 0xa1b23c4d,
	   "a capture file begins with its magic number");
	is(u32_at(got + 20), 1, "a capture file has the link type Ethernet");
	b = record(b, p, &good);
	ok(good && p[0].payload.len == 999,
	   "a sent frame is recorded with a complete checksum");
	b = record(b, p, &good);
	ok(good && p[0].payload.len == 60000,
	   "a sent frame over the MTU is recorded whole");
	b = record(b, p, &good);
	ok(good && p[0].payload.len == 999,
	   "a received frame is recorded with a complete checksum");
	b = record(b, p, &good);
	ok(good && p[0].payload.len == 60000,
	   "a received frame larger than the copied head is recorded");
	b = record(b, p, &good);
	ok(good && p[0].payload.len == 999 &&
	   view_equals(p[0].payload, data, 999),
	   "a received frame in pieces is recorded with a complete checksum");
	is(u32_at(b + 8), 9, "a bad frame is recorded");
	b += 25;
	ok(u32_at(b + 8) == PCAP_HEAD && u32_at(b + 12) == i * 5 &&
	   b + 16 + PCAP_HEAD == got + len,
	   "of a frame in too many pieces, the head is recorded, and the length");
}

/* Users have room for VIEW_PARTS_MAX pieces, the other side decides how many come */
static void many_pieces(void)
{
	struct iovec iov[VIEW_PARTS_MAX + 1];
	static const size_t one[] = { 100 };
	size_t size = make(got, one, 1) - 4;
	struct pkt p[2];
	unsigned n = 0, i;
	struct view v;

	for (i = 0; i < VIEW_PARTS_MAX; i++)
		iov[i] = (struct iovec){ got + 4 + i, 1 };
	iov[i - 1].iov_len = size - VIEW_PARTS_MAX + 1;
	v = view_of_iov(iov, VIEW_PARTS_MAX);
	tap_rx_frame(&fake.tap, p, &n, &v, NULL);
	ok(n == 1 && view_equals(p[0].payload, data, 100),
	   "a frame in 64 pieces is taken");
	iov[i - 1].iov_len = 1;
	iov[i] = (struct iovec){ got + 4 + i, size - i };
	v = view_of_iov(iov, VIEW_PARTS_MAX + 1);
	tap_rx_frame(&fake.tap, p, &n, &v, NULL);
	ok(n == 1 && fake.tap.stats.rx_bad[PKT_E_PIECES] == 1,
	   "a frame in 65 pieces is dropped and counted");
}

static unsigned changes;

static void on_changed(void *ctx)
{
	(void)ctx;
	changes++;
}

/* Wrap a backend whose other side comes later and changes capabilities and MTU */
static void wrapper_follows(void)
{
	static struct pcap pc;
	struct tap *t;
	int sv[2], other[2];

	tap_stream_init(&s, -1, 1500, &loop);
	t = pcap_wrap(&pc, &s.tap, -1, false);
	t->closed = on_closed;
	t->changed = on_changed;
	closes = changes = 0;
	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv) && !tap_attach(t, sv[0]) &&
	   s.fd == sv[0], "a wrapper passes a connection on to its backend");
	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, other) &&
	   tap_attach(t, other[0]) == -EBUSY && s.fd == sv[0],
	   "a second connection is refused with EBUSY");
	close(other[0]);
	close(other[1]);

	tap_change(&s.tap, TAP_CSUM | TAP_TSO4, 9000);
	ok(t->caps == (TAP_CSUM | TAP_TSO4) && t->mtu == 9000 && changes == 1,
	   "a wrapper follows changes of capabilities and MTU");
	ok(frame_can_tso(t, true) && !frame_can_tso(t, false),
	   "changed capabilities hold for the next frame");
	tap_change(&s.tap, TAP_CSUM | TAP_TSO4, 9000);
	is(changes, 1, "changed() is not called without a difference");
	close(sv[1]);
	turn();
	ok(closes == 1 && s.fd == -1,
	   "a wrapper passes on the end of a connection");
	fake_tap_init(&fake, 0, 1500);
	is(tap_attach(&fake.tap, 0), -EOPNOTSUPP,
	   "a backend without attach() takes no connection");
}

static void full_disk(void)
{
	static struct pcap pc;
	struct tap *t;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	is(pcap_begin(open("/dev/full", O_WRONLY | O_CLOEXEC)), -ENOSPC,
	   "a capture file that can't be written is an error");
	fake_tap_init(&fake, 0, 1500);
	t = pcap_wrap(&pc, &fake.tap, fd, false);
	lent_udp(t, 10);
	lent_udp(t, 10);
	ok(pc.fd == -1 && fake.n == 2,
	   "a full disk ends recording, and frames go on");
}

/* A FIFO of another user stays non-blocking, see userfile.c */
static void full_fifo(void)
{
	static struct pcap pc;
	struct tap *t;
	int fds[2];
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return;
	fake_tap_init(&fake, 0, 1500);
	t = pcap_wrap(&pc, &fake.tap, fds[1], false);
	while (write(fds[1], got, 4096) > 0)
		;
	lent_udp(t, 10);
	ok(pc.fd == fds[1] && fake.n == 1,
	   "a full FIFO loses a record, and its frame goes on");
	while (read(fds[0], got, 4096) > 0)
		;
	lent_udp(t, 10);
	n = read(fds[0], got, sizeof(got));
	is(n, 16 + frame_l3_hdrlen(true) + 8 + 10, "the next record is written whole");
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	unsigned i;

	log_init("unit");
	log_set_level(LOG_L_ERR);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 % 251);
	inany_pton("198.51.100.1", &src);
	inany_pton("203.0.113.2", &dst);
	if (loop_init(&loop))
		return 1;
	lends();
	receives_byte_by_byte();
	receives_many();
	bad_lengths();
	bad_frames();
	full_socket_holds_back();
	nobody_there();
	comes_back();
	leaves_unread();
	captures();
	many_pieces();
	wrapper_follows();
	full_disk();
	full_fifo();
	return done();
}
