/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.h - Addresses and MAC addresses of the guest
 */

#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

enum {
	GUEST_PROBES	= 3,		/* RFC 4861, 10: MAX_UNICAST_SOLICIT */
	GUEST_PROBE_MS	= 1000,		/* and RETRANS_TIMER */
	GUEST_MUTE_MS	= 20000,	/* between them, where we can't ask */
	GUEST_TRUST_MS	= 30000,	/* validity of an answer */
};

/**
 * struct guest_learned - What the guest's frames have shown of it, to be carried to
 * another machine
 * @mac:	MAC address for addresses without one of their own, if @mac_known
 * @id:		By class: the known address, and the MAC address behind it, if @heard
 */
struct guest_learned {
	uint8_t mac[6];
	bool mac_known;
	struct guest_seen {
		union inany addr;
		uint8_t mac[6];
		bool heard;
	} id[GUEST_CLASSES];
};

void guest_init(struct guest *g, const struct conf *c,
		const struct hostnet *net);
void guest_set_mac(struct guest *g, const uint8_t mac[6]);
void guest_reconnected(struct guest *g);
bool guest_heard(struct guest *g, const struct hostnet *net,
		 const union inany *from, const uint8_t mac[6],
		 uint64_t now_ms);
void guest_leased(struct guest *g, const struct hostnet *net, bool v4,
		  const uint8_t mac[6]);
uint64_t guest_probe_due(const struct guest *g);
bool guest_probe(struct guest *g, const struct conf *c,
		 const struct hostnet *net, enum guest_class k,
		 uint64_t now_ms);
const union inany *guest_addr(const struct guest *g, enum guest_class k);
const uint8_t *guest_mac(const struct guest *g, const union inany *dst);
bool guest_is_other(const struct guest *g, const union inany *a,
		    const uint8_t asker[6]);
void guest_export(const struct guest *g, struct guest_learned *l);
bool guest_is_valid(const struct guest_learned *l);
void guest_import(struct guest *g, const struct hostnet *net,
		  const struct guest_learned *l);

#endif /* GUEST_H */
