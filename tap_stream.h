/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap_stream.h - Frames over a connected UNIX stream socket
 */

#ifndef TAP_STREAM_H
#define TAP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "tap.h"
#include "wire.h"

struct loop;

#define STREAM_TX_SIZE		(1 << 20)	/* bytes queued, with gaps */
#define STREAM_TX_FRAMES	1024
#define STREAM_RX_SIZE		((256 << 10) + 4 + FRAME_MAX)
#define STREAM_RX_BATCHES	4		/* received in one turn */

/**
 * struct stream_chunk - Bytes in the arena that are yet to be sent
 * @off:	Offset of the first byte
 * @len:	Number of bytes; shrinks as the socket takes them
 */
struct stream_chunk {
	uint32_t off, len;
};

/**
 * struct tap_stream - The backend
 * @tx:		Arena of frames to send
 * @tap:	Public part
 * @loop:	Event loop that watches @fd
 * @fd:		Connected socket, -1: there is none
 * @starved:	tap_reserve() lent no frame: tap->writable() is due
 * @poll_out:	EPOLLOUT is watched
 * @head, @tail: First entry of @queue to send, and the one after the last
 * @used:	Bytes of @tx up to the end of the last queued frame
 * @have:	Bytes in @rx; between events they are of one partial frame
 * @rx:		Received bytes
 */
struct tap_stream {
	uint8_t tx[STREAM_TX_SIZE] __attribute__((aligned(64)));
	struct tap tap;
	struct loop *loop;
	int fd;
	bool starved, poll_out;
	unsigned head, tail;
	size_t used, have;
	struct txframe frames[TAP_TX_BATCH];
	struct pkt pkts[TAP_RX_BATCH];
	struct stream_chunk queue[STREAM_TX_FRAMES];
	uint8_t rx[STREAM_RX_SIZE];
};

int tap_stream_init(struct tap_stream *s, int fd, unsigned mtu,
		    struct loop *l);

#endif /* TAP_STREAM_H */
