/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.c - Frames over a UNIX socket or a packet socket
 *
 * The last frames of both directions are kept in a ring, for a capture if a run fails.
 */

#include "hostile.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/un.h>

#define OUT_ROOM	(1U << 20)
#define KEPT		8192U		/* frames in the ring */
#define SNAP		1600U		/* bytes of each */

static int fd = -1;
static bool device, gone, receiving;
static uint64_t sent, refused, received;
static uint8_t out[OUT_ROOM], in[OUT_ROOM];
static size_t out_len, in_len;

static struct kept {
	struct timespec at;
	uint32_t cut, len;
	uint8_t b[SNAP];
} kept[KEPT];
static uint64_t nkept;

static void keep(const uint8_t *b, size_t len)
{
	struct kept *k = &kept[nkept++ % KEPT];

	clock_gettime(CLOCK_REALTIME, &k->at);
	k->len = (uint32_t)len;
	k->cut = k->len < SNAP ? k->len : SNAP;
	memcpy(k->b, b, k->cut);
}

/* Write the last frames to a file for tcpdump */
void link_keep(const char *path)
{
	const uint32_t head[] = { 0xa1b23c4d, 2 | 4 << 16, 0, 0, 65549, 1 };
	uint64_t i = nkept > KEPT ? nkept - KEPT : 0;
	FILE *f = fopen(path, "w");

	if (!f)
		die(path);
	fwrite(head, sizeof(head), 1, f);
	for (; i < nkept; i++) {
		const struct kept *k = &kept[i % KEPT];
		const uint32_t rec[] = { (uint32_t)k->at.tv_sec, (uint32_t)k->at.tv_nsec,
					 k->cut, k->len };

		fwrite(rec, sizeof(rec), 1, f);
		fwrite(k->b, k->cut, 1, f);
	}
	if (fclose(f))
		die(path);
}

static void open_stream(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		die(path);
}

static void open_device(const char *name)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(3) };
	int one = 1, size = 64 << 20;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	a.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)))
		die(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	device = true;
}

/* @kind is "stream" with a path, or "tap" with the name of a device */
void link_open(const char *kind, const char *where)
{
	if (!strcmp(kind, "stream"))
		open_stream(where);
	else
		open_device(where);
}

bool link_is_device(void)
{
	return device;
}

uint64_t link_sent(void)
{
	return sent;
}

uint64_t link_refused(void)
{
	return refused;
}

uint64_t link_received(void)
{
	return received;
}

/* A frame from the other end, with its Ethernet header */
static void take(const uint8_t *b, size_t len)
{
	bool v6;
	size_t l4;

	received++;
	keep(b, len);
	neighbour_learn(b, len);
	if (check_learn)
		check_learn(b, len);
	if (len < 54 || (get16(b + 12) != ETHERTYPE_IPV4 && get16(b + 12) != ETHERTYPE_IPV6N))
		return;
	v6 = get16(b + 12) == ETHERTYPE_IPV6N;
	l4 = v6 ? 54 : 14 + (b[14] & 15) * 4u;
	if (b[v6 ? 20 : 23] == IPPROTO_TCP && l4 + 20 <= len)
		tcp_learn(b + 14, len - 14, v6, b + l4, len - l4);
}

static void receive_stream(void)
{
	ssize_t n = recv(fd, in + in_len, sizeof(in) - in_len, MSG_DONTWAIT);
	size_t at = 0;

	if (n <= 0) {
		gone |= !n || (errno != EAGAIN && errno != EINTR);
		return;
	}
	in_len += (size_t)n;
	receiving = true;
	while (in_len - at >= 4) {
		size_t len = get32(in + at);

		if (len > FRAME_ROOM) {
			fprintf(stderr, "hostile: a frame of %zu bytes came\n", len);
			gone = true;
			return;
		}
		if (in_len - at - 4 < len)
			break;
		take(in + at + 4, len);
		at += 4 + len;
	}
	receiving = false;
	memmove(in, in + at, in_len - at);
	in_len -= at;
}

static void receive_device(void)
{
	unsigned i;

	for (i = 0; i < 64; i++) {
		ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);

		if (n < 0) {
			gone |= errno == ENETDOWN || errno == ENXIO || errno == ENODEV;
			return;
		}
		if ((size_t)n > sizeof(struct vnet_hdr))
			take(in + sizeof(struct vnet_hdr), (size_t)n - sizeof(struct vnet_hdr));
	}
}

/* Wait up to @ms for frames, and learn from them; false if the other end is gone */
bool link_poll(int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (!link_flush())
		return false;
	if (poll(&p, 1, ms) > 0) {
		if (device)
			receive_device();
		else
			receive_stream();
	}
	return !gone;
}

/* Hand over what was queued for the stream, in pieces of any size */
bool link_flush(void)
{
	size_t at = 0;

	while (at < out_len && !gone) {
		size_t n = out_len - at, piece = chance(20) ? 1 + below(100) : n;
		ssize_t rc = send(fd, out + at, piece < n ? piece : n,
				  MSG_DONTWAIT | MSG_NOSIGNAL);

		if (rc > 0) {
			at += (size_t)rc;
		} else if (errno == EAGAIN) {
			struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

			poll(&p, 1, 1000);
			if (p.revents & POLLIN)
				receive_stream();
		} else if (errno != EINTR) {
			gone = true;
		}
	}
	memmove(out, out + at, out_len - at);
	out_len -= at;
	return !gone;
}

static void send_device(const struct frame *f)
{
	static uint8_t b[sizeof(struct vnet_hdr) + FRAME_ROOM];
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	memcpy(b, &f->vnet, sizeof(f->vnet));
	memcpy(b + sizeof(f->vnet), f->b, f->len);
	while (send(fd, b, sizeof(f->vnet) + f->len, MSG_DONTWAIT) < 0) {
		if (errno == EAGAIN || errno == ENOBUFS) {
			poll(&p, 1, 10);
			continue;
		}
		gone |= errno == ENETDOWN || errno == ENXIO || errno == ENODEV;
		refused++;		/* by our own kernel: it never left */
		return;
	}
	sent++;
}

void link_send(const struct frame *f)
{
	if (gone || f->len < sizeof(struct eth_hdr) || f->len > FRAME_MAX)
		return;
	keep(f->b, f->len);
	if (device) {
		send_device(f);
		return;
	}
	if (out_len + 4 + f->len > sizeof(out) && !receiving)
		link_flush();
	if (out_len + 4 + f->len > sizeof(out))
		return;			/* an answer while the stream is full */
	sent++;
	set32(out + out_len, (uint32_t)f->len);
	memcpy(out + out_len + 4, f->b, f->len);
	out_len += 4 + f->len;
}
