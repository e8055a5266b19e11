/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmperr.h - Errors of the host's sockets, as ICMP errors for the guest
 */

#ifndef ICMPERR_H
#define ICMPERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"
#include "inany.h"
#include "packet.h"
#include "tap.h"
#include "types.h"

#define ICMPERR_DATA	1232		/* bytes quoted at most: RFC 4443, 2.4 (c) */

/**
 * struct icmperr - One error, in the terms of its family's ICMP
 * @v4:		Family
 * @local:	Reported by the host when sending failed: nothing was sent, @data is
 *		empty; the caller knows the packet
 * @type, @code:	RFC 792 or RFC 4443
 * @word:	Second word of the message, host order
 * @offender:	Address of the reporting host or router, on the host side; unset: the
 *		host itself
 * @dst:	Destination of the packet in error, on the host side; unset: unknown
 * @dport:	Destination port of that packet, 0: none
 * @src:	Source address of that packet, if the socket reports addresses; else
 *		unset
 * @data:	Bytes of that packet that the network returned: behind the UDP header,
 *		or from the ICMP header on
 * @len:	Length of @data, bytes
 */
struct icmperr {
	bool v4, local;
	uint8_t type, code;
	uint32_t word;
	union inany offender, dst, src;
	uint16_t dport;
	size_t len;
	uint8_t data[ICMPERR_DATA];
};

int icmperr_read(int fd, bool v4, struct icmperr *e);
bool icmperr_from_errno(int error, const struct flowside *host,
			struct icmperr *e);
bool icmperr_is_too_big(const struct icmperr *e);
void icmperr_set_too_big(const struct flowside *host, uint32_t mtu,
			 struct icmperr *e);
uint32_t icmperr_mtu(bool host_v4, bool tap_v4, uint32_t mtu);
void icmperr_send(const struct icmperr *e, struct tap *t, const struct conf *c,
		  const struct hostnet *net, const struct guest *g,
		  const struct flowside *tap, const struct flowside *host,
		  uint8_t proto, const void *l4, size_t l4_len);
void icmperr_send_pkt(const struct icmperr *e, struct tap *t,
		      const struct conf *c, const struct hostnet *net,
		      const struct guest *g, const struct flowside *tap,
		      const struct flowside *host, const struct pkt *p);

#endif /* ICMPERR_H */
