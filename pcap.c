/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.c - A tap that records the frames of another one
 *
 * Protocols hold a struct tap and do not know that it is this one: its
 * operations record frames and call those of the backend; callbacks of the backend
 * point here and call ours. Statistics stay with the backend. Received frames are
 * recorded before they are parsed, so the bad ones are there, too. Sent frames are
 * recorded when they are committed, while they are still ours to read. Frames may
 * be described in the log as well, or only there.
 *
 * The file is that of tcpdump: a header, then a header with time and length
 * before each frame, all in host order, times in nanoseconds. Frames that a
 * device was to segment are recorded whole; partial checksums are completed in
 * a private copy of the frame's head. A frame in more pieces than we list, which
 * tap_rx_frame() drops, is recorded up to that head.
 *
 * The file is opened before the sandbox; then it is only written to. When a
 * write fails (the disk is full) or is cut short, recording ends with one
 * warning. A record for which a non-blocking FIFO has no room is lost: recording goes on.
 */

#include "pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "checksum.h"
#include "log.h"
#include "tap.h"
#include "trace.h"
#include "util.h"
#include "wire.h"

#define PCAP_MAGIC_NS	0xa1b23c4dU
#define LINKTYPE_ETHER	1

struct pcap_file_hdr {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy;
	uint32_t snaplen, linktype;
};
static_assert(sizeof(struct pcap_file_hdr) == 24, "pcap-savefile(5)");

struct pcap_rec_hdr {
	uint32_t sec, nsec;
	uint32_t len, orig_len;
};
static_assert(sizeof(struct pcap_rec_hdr) == 16, "pcap-savefile(5)");

/**
 * pcap_begin() - Write the header of a capture file
 * @fd:		The file, empty, ours to close
 *
 * Return: @fd or negative errno
 */
int pcap_begin(int fd)
{
	const struct pcap_file_hdr h = {
		.magic = PCAP_MAGIC_NS, .major = 2, .minor = 4,
		.snaplen = FRAME_MAX, .linktype = LINKTYPE_ETHER,
	};
	ssize_t n = write(fd, &h, sizeof(h));

	if (n != (ssize_t)sizeof(h)) {
		int rc = n < 0 ? -errno : -ENOSPC;

		close(fd);
		return rc;
	}
	return fd;
}

/**
 * struct parts - A frame to be recorded, and its record header
 * @h:		Header of its record
 * @iov:	The first is @h, the second the frame's head
 * @n:		Parts that are used
 * @len:	Length of the frame, bytes
 */
struct parts {
	struct pcap_rec_hdr h;
	struct iovec iov[2 + VIEW_PARTS_MAX];
	unsigned n;
	size_t len;
};

/* Put together a frame of its head and the rest */
static void set_parts(struct parts *f, const void *head, size_t len,
		      struct view rest)
{
	f->iov[1] = (struct iovec){ (void *)head, len };
	f->n = 2 + view_parts(&rest, 0, rest.len, f->iov + 2, VIEW_PARTS_MAX);
	f->len = len + rest.len;
}

/* Write one record */
/* #syscalls writev clock_gettime clock_gettime64 close */
static void record(struct pcap *p, struct parts *f)
{
	uint32_t len = view_of_iov(f->iov + 1, f->n - 1).len;
	struct timespec now = { 0 };
	ssize_t total, rc;

	clock_gettime(CLOCK_REALTIME, &now);
	f->h = (struct pcap_rec_hdr){
		.sec = (uint32_t)now.tv_sec, .nsec = (uint32_t)now.tv_nsec,
		.len = len, .orig_len = (uint32_t)f->len,
	};
	f->iov[0] = (struct iovec){ &f->h, sizeof(f->h) };
	total = (ssize_t)(sizeof(f->h) + len);

	rc = writev(p->fd, f->iov, (int)f->n);
	if (rc == total || (rc < 0 && errno == EAGAIN))
		return;
	if (rc < 0)
		warn_errno("Can't write to the capture file, recording ends");
	else
		warn("Capture file was cut short, recording ends");
	close(p->fd);
	p->fd = -1;
}

/*
 * Complete the checksum of a frame, which covers the bytes from @start on. The field
 * already counts the pseudo header. It is left alone if it is not in the head, which
 * must be a private copy.
 */
static void complete_csum(struct parts *f, size_t start, size_t offset)
{
	struct view v = view_of_iov(f->iov + 1, f->n - 1);
	be16 csum;

	if (start + offset + sizeof(csum) > f->iov[1].iov_len)
		return;
	csum = csum_fold(csum_view(0, &v, start, v.len - start));
	if (!csum)
		csum = 0xffff;		/* for UDP, 0 would mean none */
	memcpy((uint8_t *)f->iov[1].iov_base + start + offset, &csum,
	       sizeof(csum));
}

/* Record a frame to the other side */
static void record_tx(struct pcap *p, const struct txframe *f)
{
	uint8_t head[TAP_HDR_MAX];
	struct parts parts;

	memcpy(head, f->hdr, f->hdrlen);
	set_parts(&parts, head, f->hdrlen, view_at(f->payload, 0, f->len));
	if (f->csum_partial)
		complete_csum(&parts, f->csum_start, f->csum_offset);
	record(p, &parts);
}

/* Describe a frame to the other side in the log */
static void describe_tx(const struct txframe *f)
{
	struct parts parts;
	struct view frame;

	set_parts(&parts, f->hdr, f->hdrlen, view_at(f->payload, 0, f->len));
	frame = view_of_iov(parts.iov + 1, parts.n - 1);
	trace_frame(false, &frame);
}

/* Record and describe a frame from the other side, see tap->raw */
static void pcap_raw(void *ctx, const struct view *frame,
		     const struct rx_offload *off)
{
	struct pcap *p = ctx;
	uint8_t head[PCAP_HEAD];
	struct view rest = *frame;
	size_t hlen = rest.len < sizeof(head) ? rest.len : sizeof(head);
	struct parts parts;

	if (p->text)
		trace_frame(true, frame);
	if (p->fd < 0)
		return;
	view_take(&rest, head, hlen);
	set_parts(&parts, head, hlen, rest);
	if (off && off->csum_offset)
		complete_csum(&parts, off->csum_start, off->csum_offset);
	record(p, &parts);
}

static struct pcap *to_pcap(struct tap *t)
{
	return (struct pcap *)((char *)t - offsetof(struct pcap, tap));
}

static struct txframe *pcap_reserve(struct tap *t, unsigned *n, size_t hdrlen,
				    size_t room)
{
	struct pcap *p = to_pcap(t);
	struct txframe *f = tap_reserve(p->inner, n, hdrlen, room);

	p->lent = f;
	return f;
}

static unsigned pcap_commit(struct tap *t, unsigned n)
{
	struct pcap *p = to_pcap(t);
	unsigned i;

	for (i = 0; i < n && p->text; i++)
		describe_tx(&p->lent[i]);
	for (i = 0; i < n && p->fd >= 0; i++)
		record_tx(p, &p->lent[i]);
	return tap_commit(p->inner, n);
}

static bool pcap_flush(struct tap *t)
{
	return tap_flush(to_pcap(t)->inner);
}

static void pcap_event(struct tap *t, unsigned which, uint32_t events)
{
	tap_event(to_pcap(t)->inner, which, events);
}

static void pcap_poll(struct tap *t)
{
	tap_poll(to_pcap(t)->inner);
}

static int pcap_attach(struct tap *t, int fd)
{
	return tap_attach(to_pcap(t)->inner, fd);
}

static void pcap_rx(void *ctx, const struct pkt *pkts, unsigned n)
{
	struct pcap *p = ctx;

	p->tap.rx(p->tap.ctx, pkts, n);
}

static void pcap_writable(void *ctx)
{
	struct pcap *p = ctx;

	if (p->tap.writable)
		p->tap.writable(p->tap.ctx);
}

static void pcap_closed(void *ctx, int error)
{
	struct pcap *p = ctx;

	if (p->tap.closed)
		p->tap.closed(p->tap.ctx, error);
}

static void pcap_changed(void *ctx)
{
	struct pcap *p = ctx;

	tap_change(&p->tap, p->inner->caps, p->inner->mtu);
}

static void pcap_started(void *ctx)
{
	struct pcap *p = ctx;

	if (p->tap.started)
		p->tap.started(p->tap.ctx);
}

static int pcap_migrate(void *ctx, enum tap_migrate step, int fd)
{
	struct pcap *p = ctx;

	return p->tap.migrate ? p->tap.migrate(p->tap.ctx, step, fd) : -EOPNOTSUPP;
}

static const struct tap_ops pcap_ops = {
	.reserve = pcap_reserve,
	.commit = pcap_commit,
	.flush = pcap_flush,
	.event = pcap_event,
	.poll = pcap_poll,
	.attach = pcap_attach,
};

/**
 * pcap_wrap() - Record all frames of a tap from now on
 * @p:		The wrapper
 * @inner:	Backend, initialised; its callbacks are replaced
 * @fd:		File from pcap_begin(), ours to close; -1: none
 * @text:	Describe frames in the log, at the level of trace()
 *
 * Return: the tap to be used instead of @inner; the caller sets its callbacks
 */
struct tap *pcap_wrap(struct pcap *p, struct tap *inner, int fd,
		      bool text)
{
	tap_init(&p->tap, &pcap_ops, inner->caps, inner->mtu);
	p->tap.burst = inner->burst;
	p->inner = inner;
	p->fd = fd;
	p->text = text;
	p->lent = NULL;
	inner->rx = pcap_rx;
	inner->writable = pcap_writable;
	inner->closed = pcap_closed;
	inner->changed = pcap_changed;
	inner->started = pcap_started;
	inner->migrate = pcap_migrate;
	inner->raw = pcap_raw;
	inner->ctx = p;
	return &p->tap;
}
