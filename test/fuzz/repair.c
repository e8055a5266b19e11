/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Send any messages to passt-repair, and any answers of it to the daemon: repair mode is
 * set on sockets that came along alone, each of them is closed once, and the daemon
 * believes an answer only if it is the right one
 *
 * Input: a byte with the side (bit 0: passt-repair); then messages, see calls.h, or for
 * the daemon the mode, the number of sockets (2 bytes), and the answers.
 */

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>

static void leave(int status) __attribute__((noreturn));

__attribute__((format(printf, 2, 3)))
static int quiet(FILE *f, const char *fmt, ...)
{
	(void)f;
	(void)fmt;
	return 0;
}

/* The program without its end: main() has another name, exit() comes back here */
int repair_main(int argc, char **argv);
#define main	repair_main
#define exit	leave
#define fprintf	quiet
#include "../../passt-repair.c"
#undef main
#undef exit
#undef fprintf

#include "../../log.h"
#include "../../loop.h"
#include "../../repair.h"
#include "calls.h"

#define SOCKETS_MOST	600

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static jmp_buf end;
static struct loop loop;

static void leave(int status)
{
	longjmp(end, 1 + status);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int mode;

	assert(is_open(fd) && level == IPPROTO_TCP && name == TCP_REPAIR &&
	       len == sizeof(mode));
	memcpy(&mode, value, sizeof(mode));
	assert(mode >= -1 && mode <= 1);
	return 0;
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	(void)buf;
	(void)flags;
	assert(fd == SOCKET && len == 1);
	return 1;
}

static unsigned answers;
static bool all_right;
static int8_t right_mode;

/* An answer: its length, its bytes */
ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	size_t n = byte();

	(void)flags;
	assert(fd == SOCKET && len);
	n = bytes(buf, n < len ? n : len);
	answers++;
	all_right &= n == 1 && *(int8_t *)buf == right_mode;
	return (ssize_t)n;
}

/* passt-repair: its memory ends with it, and its descriptors */
static void helper_side(void)
{
	if (!setjmp(end)) {
		serve_passt(SOCKET);
		assert(!fds_open);
	}
}

static void daemon_side(void)
{
	static const enum repair_mode modes[] = { REPAIR_OFF_NO_WP, REPAIR_OFF, REPAIR_ON };
	struct repair r = { .fd = -1, .helper = SOCKET, .loop = &loop };
	static int fds[SOCKETS_MOST];
	unsigned n, asked;
	int rc;

	right_mode = (int8_t)modes[byte() % 3];
	n = word() % (SOCKETS_MOST + 1);
	answers = 0;
	all_right = true;
	rc = repair_set(&r, fds, n, right_mode);
	asked = (n + FDS_MAX - 1) / FDS_MAX;
	assert((r.helper < 0) == !!rc);
	assert(rc ? answers < asked || !all_right : answers == asked && all_right);
	if (!rc && left)
		repair_event(&r, REPAIR_EV_HELPER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_detach();
	loop.epfd = -1;
	calls_reset();
	is_stream = true;
	input_set(data, size);
	if (byte() & 1)
		helper_side();
	else
		daemon_side();
	return 0;
}
