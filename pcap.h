/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.h - A tap that records what passes through another one
 */

#ifndef PCAP_H
#define PCAP_H

#include <stdbool.h>
#include <stdint.h>

#include "tap.h"

/* Bytes of a frame that are copied to patch its sum */
#define PCAP_HEAD	512

/**
 * struct pcap - The wrapper
 * @tap:	What protocols see instead of @inner
 * @inner:	The backend; its callbacks are ours
 * @fd:		Capture file, -1: stopped
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

int pcap_open(const char *path);
struct tap *pcap_wrap(struct pcap *p, struct tap *inner, int fd,
		      bool text);

#endif /* PCAP_H */
