/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * input.h - A batch of parsed packets: each to the protocol that wants it
 */

#ifndef INPUT_H
#define INPUT_H

#include "frag.h"
#include "packet.h"
#include "types.h"

struct tcp;
struct udp;
struct icmp;
struct tap;
struct loop;

struct input {
	const struct conf *conf;
	struct guest *guest;
	struct tap *tap;
	struct loop *loop;
	struct tcp *tcp;
	struct udp *udp;
	struct icmp *icmp;
	struct frag_pool frags;
	uint64_t dropped;		/* packets that nobody wanted */
};

void input_init(struct input *in, const struct conf *conf, struct guest *guest,
		struct tap *tap, struct loop *loop, struct tcp *tcp,
		struct udp *udp, struct icmp *icmp);
void input_batch(struct input *in, const struct pkt *pkts, unsigned n);

#endif /* INPUT_H */
