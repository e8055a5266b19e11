/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.c - A tap that records what passes through another one
 *
 * Protocols hold a struct tap and do not know that it is this one: its
 * operations note frames and call those of the backend; the backend's callbacks
 * point here and go on to ours. Statistics stay with the backend. Received
 * frames are seen before they are parsed, so also the bad ones; sent ones when
 * they are committed, while they are still ours to read. They may be described
 * in the log as well, or only there.
 *
 * The file is that of tcpdump: a header, then a header with time and length
 * before each frame, all in host order, times in nanoseconds. Frames that a
 * device was to segment are recorded whole; partial checksums are completed in
 * a private copy of the frame's head.
 *
 * The file is opened before the sandbox; then it is only written to. When a
 * write fails (the disk is full) or is cut short, recording ends with one
 * warning.
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
 * pcap_open() - Create or truncate a capture file
 * @path:	Its path
 *
 * Return: file descriptor or negative errno
 */
int pcap_open(const char *path)
{
	const struct pcap_file_hdr h = {
		.magic = PCAP_MAGIC_NS, .major = 2, .minor = 4,
		.snaplen = FRAME_MAX, .linktype = LINKTYPE_ETHER,
	};
	int fd = util_open(path, O_WRONLY | O_CREAT | O_TRUNC);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = write(fd, &h, sizeof(h));
	if (n != (ssize_t)sizeof(h)) {
		int rc = n < 0 ? -errno : -ENOSPC;

		close(fd);
		return rc;
	}
	return fd;
}

/* One record: a frame in two pieces, the second may be empty */
/* #syscalls writev clock_gettime clock_gettime64 close */
static void record(struct pcap *p, struct iovec head, struct iovec rest)
{
	struct pcap_rec_hdr h = { 0 };
	struct iovec v[] = { { &h, sizeof(h) }, head, rest };
	struct timespec now = { 0 };
	ssize_t total, rc;

	h.len = (uint32_t)(head.iov_len + rest.iov_len);
	h.orig_len = h.len;
	clock_gettime(CLOCK_REALTIME, &now);
	h.sec = (uint32_t)now.tv_sec;
	h.nsec = (uint32_t)now.tv_nsec;
	total = (ssize_t)(sizeof(h) + h.len);

	rc = writev(p->fd, v, rest.iov_len ? 3 : 2);
	if (rc == total)
		return;
	if (rc < 0)
		warn_errno("Can't write to the capture file, recording ends");
	else
		warn("Capture file was cut short, recording ends");
	close(p->fd);
	p->fd = -1;
}

/*
 * The sum of a head and what follows it, from @start on. The field already
 * counts the pseudo header. Only @head may be of odd length, and then only if
 * nothing follows: bytes of a word must not be in two pieces.
 */
static bool complete_csum(uint8_t *head, size_t hlen, const void *rest,
			  size_t rlen, size_t start, size_t offset)
{
	uint32_t sum;
	be16 csum;

	if (start + offset + sizeof(csum) > hlen ||
	    (rlen && (hlen - start) % 2))
		return false;
	sum = csum_add(0, head + start, hlen - start);
	csum = csum_fold(csum_add(sum, rest, rlen));
	if (!csum)
		csum = 0xffff;		/* as UDP wants it; no other minds */
	memcpy(head + start + offset, &csum, sizeof(csum));
	return true;
}

/* A frame to the other side */
static void record_tx(struct pcap *p, const struct txframe *f)
{
	struct iovec hdr = { f->hdr, f->hdrlen };
	uint8_t head[TAP_HDR_MAX];

	if (f->csum_partial && f->hdrlen <= sizeof(head)) {
		memcpy(head, f->hdr, f->hdrlen);
		if (complete_csum(head, f->hdrlen, f->payload, f->len,
				  f->csum_start, f->csum_offset))
			hdr.iov_base = head;
	}
	record(p, hdr, (struct iovec){ f->payload, f->len });
}

/* The same for the log, which wants no more than headers, in one piece */
static void describe_tx(const struct txframe *f)
{
	uint8_t head[TAP_HDR_MAX + TAP_HDR_MAX];
	size_t rest = sizeof(head) - f->hdrlen;

	if (rest > f->len)
		rest = f->len;
	memcpy(head, f->hdr, f->hdrlen);
	memcpy(head + f->hdrlen, f->payload, rest);
	trace_frame(false, head, f->hdrlen + rest, f->hdrlen + f->len);
}

/* A frame from the other side, see tap->raw */
static void pcap_raw(void *ctx, const uint8_t *frame, size_t len,
		     const struct rx_offload *off)
{
	struct pcap *p = ctx;
	struct iovec first = { (void *)frame, len }, rest = { NULL, 0 };
	uint8_t head[PCAP_HEAD];
	size_t hlen = len;

	if (p->text)
		trace_frame(true, frame, len, len);
	if (p->fd < 0)
		return;
	if (off && off->csum_offset) {
		/* Cut where a word of the sum ends */
		if (hlen > sizeof(head))
			hlen = sizeof(head) - off->csum_start % 2;
		memcpy(head, frame, hlen);
		if (complete_csum(head, hlen, frame + hlen, len - hlen,
				  off->csum_start, off->csum_offset)) {
			first = (struct iovec){ head, hlen };
			rest = (struct iovec){ (void *)(frame + hlen),
					       len - hlen };
		}
	}
	record(p, first, rest);
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

static void pcap_flush(struct tap *t)
{
	tap_flush(to_pcap(t)->inner);
}

static void pcap_event(struct tap *t, unsigned which, uint32_t events)
{
	tap_event(to_pcap(t)->inner, which, events);
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

static const struct tap_ops pcap_ops = {
	.reserve = pcap_reserve,
	.commit = pcap_commit,
	.flush = pcap_flush,
	.event = pcap_event,
};

/**
 * pcap_wrap() - Record all that passes through a tap from now on
 * @p:		The wrapper
 * @inner:	Backend, initialised; its callbacks are replaced
 * @fd:		From pcap_open(), ours to close; -1: no file
 * @text:	Describe frames in the log, at the level of trace()
 *
 * Return: the tap to be used instead of @inner; the caller sets its callbacks
 */
struct tap *pcap_wrap(struct pcap *p, struct tap *inner, int fd,
		      bool text)
{
	tap_init(&p->tap, &pcap_ops, inner->caps, inner->mtu);
	p->inner = inner;
	p->fd = fd;
	p->text = text;
	p->lent = NULL;
	inner->rx = pcap_rx;
	inner->writable = pcap_writable;
	inner->closed = pcap_closed;
	inner->raw = pcap_raw;
	inner->ctx = p;
	return &p->tap;
}
