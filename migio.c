/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migio.c - The bytes of a migration: one direction, a deadline, a check sum
 *
 * The front-end of a migrating guest gives a pipe to the old daemon, which writes its
 * state, and one to the new daemon, which reads it. The guest stands still meanwhile,
 * so we wait for the pipe, but only up to a deadline.
 *
 * Any call after a failure fails, too: a caller may look at the error once, at the end.
 * What was read is to be trusted only after migio_get_end(), which compares the check
 * sum and expects the end of the stream.
 */

#include "migio.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CRC32_SEED	0xffffffffU

/* One step for each half of a byte, polynomial 0x04c11db7 reflected */
static uint32_t crc32_add(uint32_t crc, const uint8_t *p, size_t len)
{
	static const uint32_t step[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};

	while (len--) {
		crc ^= *p++;
		crc = crc >> 4 ^ step[crc & 15];
		crc = crc >> 4 ^ step[crc & 15];
	}
	return crc;
}

static uint64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/**
 * migio_begin() - Begin to write or to read
 * @m:		Set
 * @fd:		Pipe or socket; is made non-blocking
 * @timeout_ms:	Time for the whole stream
 *
 * Return: 0 or negative errno
 */
/* #syscalls:vhost fcntl fcntl64 */
/* #args:vhost fcntl 1 F_GETFL F_SETFL */
int migio_begin(struct migio *m, int fd, unsigned timeout_ms)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	m->fd = fd;
	m->error = 0;
	m->end_ms = monotonic_ms() + timeout_ms;
	m->crc = CRC32_SEED;
	m->at = m->have = 0;
	return 0;
}

/**
 * migio_fail() - Let all that follows fail
 * @m:		The stream
 * @error:	Negative errno; the first one stays
 *
 * Return: false
 */
bool migio_fail(struct migio *m, int error)
{
	if (!m->error)
		m->error = error;
	return false;
}

/* Wait until the descriptor is ready, or has an error that a call then returns */
/* #syscalls:vhost poll ppoll */
static bool wait_ready(struct migio *m, short events)
{
	struct pollfd p = { .fd = m->fd, .events = events };
	uint64_t now = monotonic_ms();
	int rc;

	if (now >= m->end_ms)
		return migio_fail(m, -ETIMEDOUT);
	rc = poll(&p, 1, (int)(m->end_ms - now));
	if (!rc)
		return migio_fail(m, -ETIMEDOUT);
	return rc > 0 || errno == EINTR || migio_fail(m, -errno);
}

/* Write all that waits */
/* #syscalls:vhost write */
static bool write_out(struct migio *m)
{
	size_t done = 0;

	while (!m->error && done < m->have) {
		ssize_t n = write(m->fd, m->buf + done, m->have - done);

		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			wait_ready(m, POLLOUT);
		else if (errno != EINTR)
			migio_fail(m, -errno);
	}
	m->have = 0;
	return !m->error;
}

/* Read more. Return: false at the end, or after a failure */
/* #syscalls:vhost read */
static bool pull(struct migio *m)
{
	while (!m->error) {
		ssize_t n = read(m->fd, m->buf, sizeof(m->buf));

		m->at = 0;
		m->have = n > 0 ? (size_t)n : 0;
		if (n >= 0)
			return n > 0;
		if (errno == EAGAIN)
			wait_ready(m, POLLIN);
		else if (errno != EINTR)
			migio_fail(m, -errno);
	}
	return false;
}

/**
 * migio_put() - Write bytes
 * @m:		A stream that is only written
 * @data:	@len bytes
 *
 * They may be sent by a later call, at the latest by migio_put_end().
 */
bool migio_put(struct migio *m, const void *data, size_t len)
{
	const uint8_t *from = data;

	m->crc = crc32_add(m->crc, from, len);
	while (len) {
		size_t n = sizeof(m->buf) - m->have;

		n = len < n ? len : n;
		memcpy(m->buf + m->have, from, n);
		m->have += n;
		from += n;
		len -= n;
		if (m->have == sizeof(m->buf) && !write_out(m))
			return false;
	}
	return !m->error;
}

/* Read bytes that are not part of the check sum */
static bool get_raw(struct migio *m, uint8_t *to, size_t len)
{
	while (len) {
		size_t n = m->have - m->at;

		if (!n && !pull(m))
			return migio_fail(m, -ENODATA);
		n = m->have - m->at;
		n = len < n ? len : n;
		memcpy(to, m->buf + m->at, n);
		m->at += n;
		to += n;
		len -= n;
	}
	return !m->error;
}

/**
 * migio_get() - Read bytes
 * @m:		A stream that is only read
 * @data:	Set to @len bytes; zero after a failure
 *
 * Return: false if they don't come: -ENODATA if the stream ends before
 */
bool migio_get(struct migio *m, void *data, size_t len)
{
	if (m->error || !get_raw(m, data, len)) {
		memset(data, 0, len);
		return false;
	}
	m->crc = crc32_add(m->crc, data, len);
	return true;
}

/* migio_put_end() - Write the check sum, and send what waits */
bool migio_put_end(struct migio *m)
{
	uint32_t sum = htole32(~m->crc);

	return migio_put(m, &sum, sizeof(sum)) && write_out(m);
}

/* migio_get_end() - Compare the check sum; nothing may follow it */
bool migio_get_end(struct migio *m)
{
	uint32_t sum = ~m->crc, read_sum;

	if (!get_raw(m, (uint8_t *)&read_sum, sizeof(read_sum)))
		return false;
	if (le32toh(read_sum) != sum || m->at != m->have || pull(m))
		return migio_fail(m, -EBADMSG);
	return !m->error;
}
