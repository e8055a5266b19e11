/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * input.h - A batch of parsed packets: each to the protocol that wants it
 */

#ifndef INPUT_H
#define INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "frag.h"
#include "packet.h"
#include "types.h"

struct tcp;
struct udp;
struct icmp;
struct tap;
struct loop;

/**
 * struct input - Where packets go, and fragments in the making
 * @unreach_ms:	When the last error about an unknown protocol was sent
 * @dropped:	Packets that nobody wanted
 */
struct input {
	const struct conf *conf;
	struct guest *guest;
	const struct dns *dns;
	struct tap *tap;
	struct loop *loop;
	struct tcp *tcp;
	struct udp *udp;
	struct icmp *icmp;
	struct frag_pool frags;
	uint64_t unreach_ms, dropped;
};

void input_init(struct input *in, const struct conf *conf, struct guest *guest,
		const struct dns *dns, struct tap *tap, struct loop *loop,
		struct tcp *tcp, struct udp *udp, struct icmp *icmp);
bool input_advertise_router(struct input *in);
void input_batch(struct input *in, const struct pkt *pkts, unsigned n);

#endif /* INPUT_H */
