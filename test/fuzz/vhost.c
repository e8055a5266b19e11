/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed the vhost-user backend any messages, any memory and any order of events: nothing
 * is read or written outside of memory, and a front-end that comes afterwards is served
 *
 * Input: a byte with the start (START_*), then operations (enum op) with arguments.
 */

#include "../unit/front.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum op {
	OP_MESSAGE,		/* request, flags, descriptors, size, bytes */
	OP_WRITE,		/* offset (2, times 4), size, bytes */
	OP_EVENT,		/* which */
	OP_SEND,		/* frames, header length, room (2), share used */
	OP_TURN,
	OPS
};

static void any_message(int fd)
{
	uint8_t payload[512];
	const int kind[] = { null_fd, mem_fd, event_fd, log_fd };
	struct fdpass fds = { .n = 0 };
	uint32_t request = byte(), flags = byte();
	unsigned kinds = byte();
	size_t size = word() % sizeof(payload);

	while (kinds && fds.n < 4) {
		fds.fd[fds.n++] = kind[kinds & 3];
		kinds >>= 2;
	}
	bytes(payload, size);
	message(fd, request, flags, payload, size, &fds);
}

static void any_write(void)
{
	size_t at = word() * 4 % MEM, size = byte(), i;

	for (i = 0; i < size && at + i < MEM; i++)
		mem[at + i] = byte();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2];
	uint8_t start;

	if (mem_fd < 0)
		setup();
	input_set(data, size);
	memset(mem, 0, 0x8000);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) ||
	    tap_attach(&t.tap, pair[0]))
		abort();
	start = byte();
	if (start & START_READY)
		ready(pair[1], start);
	while (left && t.vu.fd >= 0) {
		switch ((enum op)(byte() % OPS)) {
		case OP_MESSAGE:
			any_message(pair[1]);
			break;
		case OP_WRITE:
			any_write();
			break;
		case OP_EVENT:
			tap_event(&t.tap, byte() % 4, 0);
			break;
		case OP_SEND: {
			unsigned n = byte() % 64, hdrlen = byte(), room = word();

			send_frames(n, hdrlen, room % 65536, byte());
			break;
		}
		case OP_TURN:
		case OPS:
			turn(pair[1]);
			break;
		}
	}
	turn(pair[1]);
	close(pair[1]);
	tap_event(&t.tap, VHOST_EV_SOCKET, 0);
	assert(t.vu.fd < 0 && !t.vu.mem.n && !dirtylog_exists(&t.vu.log));
	return 0;
}
