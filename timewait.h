/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timewait.h - Answers to segments of connections that have ended
 */

#ifndef TIMEWAIT_H
#define TIMEWAIT_H

#include <stdint.h>

#include "flow.h"
#include "tcp_state.h"

#define TIMEWAIT_SLOTS	4096

/**
 * struct timewait_slot - A connection that both sides have closed
 * @tap:	Its side on the tap
 * @snd_nxt:	One after our FIN
 * @rcv_nxt:	One after the guest's FIN
 */
struct timewait_slot {
	struct flowside tap;
	uint32_t snd_nxt, rcv_nxt;
};

struct timewait {
	struct timewait_slot slot[TIMEWAIT_SLOTS];
};

enum timewait_answer {
	TIMEWAIT_UNKNOWN,		/* segment of another connection: RST */
	TIMEWAIT_SILENCE,		/* nothing to acknowledge: no answer */
	TIMEWAIT_ACK,			/* our last ACK was lost: repeat it */
};

uint32_t timewait_seq(const struct timewait *w, uint32_t hash,
		      const struct flowside *tap, uint32_t seq);
void timewait_add(struct timewait *w, uint32_t hash, const struct flowside *tap,
		  const struct tcps *s);
enum timewait_answer timewait_input(const struct timewait *w, uint32_t hash,
				    const struct flowside *tap,
				    const struct tcp_seg *g, uint32_t *ack);

#endif /* TIMEWAIT_H */
