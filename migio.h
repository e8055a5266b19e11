/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migio.h - The bytes of a migration: one direction, a deadline, a check sum
 */

#ifndef MIGIO_H
#define MIGIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct migio - One stream, written or read from its begin to its end
 * @fd:		Pipe or socket, belongs to the caller; non-blocking
 * @error:	Negative errno of the first failure: nothing succeeds after it
 * @end_ms:	Deadline, by CLOCK_MONOTONIC
 * @crc:	CRC-32 of all bytes so far (ISO/IEC 13239)
 * @at, @have:	Read: bytes used and present in @buf; write: @have wait in it
 */
struct migio {
	int fd, error;
	uint64_t end_ms;
	uint32_t crc;
	size_t at, have;
	uint8_t buf[4096];
};

int migio_begin(struct migio *m, int fd, unsigned timeout_ms);
bool migio_fail(struct migio *m, int error);
bool migio_put(struct migio *m, const void *data, size_t len);
bool migio_get(struct migio *m, void *data, size_t len);
bool migio_put_end(struct migio *m);
bool migio_get_end(struct migio *m);

#endif /* MIGIO_H */
