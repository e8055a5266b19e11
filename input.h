/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * input.h - Handing parsed packets to protocols
 */

#ifndef INPUT_H
#define INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "frag.h"
#include "loop.h"
#include "packet.h"
#include "types.h"

struct counters;
struct tcp;
struct udp;
struct icmp;
struct tap;

#define INPUT_MACS	4	/* MAC addresses of guests that are remembered */

/**
 * struct input - Protocols that packets go to, and fragments in the making
 * @unreach_ms:	Time of the last error about an unknown protocol, ms
 * @dropped:	Packets that no protocol takes
 * @dhcp_dropped, @dhcpv6_dropped, @ndp_dropped:	Messages that were not
 *		answered: malformed, not for us, turned off, or no room
 * @macs:	Latest MAC addresses of guests
 * @nmacs:	Number of MAC addresses seen; the latest INPUT_MACS are in @macs
 * @ra_timer:	Timer of the next unsolicited router advertisement, REF_INPUT
 * @ra_sent_ms:	Time of the last one, ms, 0: none was sent
 * @ra_count:	Number of advertisements since the last change
 * @probe_timer:	Timer of the next request for a known address of the guest,
 *		REF_INPUT
 */
struct input {
	const struct conf *conf;
	const struct hostnet *net;
	struct guest *guest;
	const struct dns *dns;
	struct tap *tap;
	struct loop *loop;
	struct tcp *tcp;
	struct udp *udp;
	struct icmp *icmp;
	struct frag_pool frags;
	uint64_t unreach_ms, dropped;
	uint64_t dhcp_dropped, dhcpv6_dropped, ndp_dropped;
	uint8_t macs[INPUT_MACS][MAC_LEN];
	unsigned nmacs;
	struct timer ra_timer;
	uint64_t ra_sent_ms;
	unsigned ra_count;
	struct timer probe_timer;
};

void input_init(struct input *in, const struct conf *conf,
		const struct hostnet *net, struct guest *guest,
		const struct dns *dns, struct tap *tap, struct loop *loop,
		struct tcp *tcp, struct udp *udp, struct icmp *icmp);
void input_reconnected(struct input *in);
void input_solicit_guest(struct input *in);
void input_advertise_router(struct input *in);
void input_timer(struct input *in, union epoll_ref ref);
void input_batch(struct input *in, const struct pkt *pkts, unsigned n);
void input_counters(const void *ctx, struct counters *c);

#endif /* INPUT_H */
