/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.h - A tap that records the frames of another one
 */

#ifndef PCAP_H
#define PCAP_H

#include <stdbool.h>
#include <stdint.h>

#include "tap.h"

/* Bytes of a frame that are copied to complete its checksum */
#define PCAP_HEAD	512

/**
 * struct pcap - The wrapper
 * @tap:	Tap for protocols, instead of @inner
 * @inner:	The backend; its callbacks point here
 * @fd:		Capture file, -1: none, or recording has ended
 * @text:	Frames are described in the log
 * @lent:	Frames of the last tap_reserve()
 */
struct pcap {
	struct tap tap;
	struct tap *inner;
	int fd;
	bool text;
	const struct txframe *lent;
};

int pcap_begin(int fd);
struct tap *pcap_wrap(struct pcap *p, struct tap *inner, int fd,
		      bool text);

#endif /* PCAP_H */
