/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame.h - Headers, checksums and offload fields of frames towards the guest
 *
 * No other module reads tap->caps: only these functions decide whether a checksum
 * is computed here or left to the device.
 */

#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inany.h"
#include "tap.h"
#include "types.h"
#include "view.h"
#include "wire.h"

/**
 * struct frame_addr - Addresses of a frame, and two fields of its IP header
 * @dst_mac, @src_mac:	Ethernet addresses, 6 bytes each
 * @src, @dst:		IP addresses, both of one family
 * @ttl, @tos:		TTL or hop limit, 0: IP_DEFAULT_TTL; TOS or traffic class
 */
struct frame_addr {
	const uint8_t *dst_mac, *src_mac;
	const union inany *src, *dst;
	uint8_t ttl, tos;
};

/* frame_l3_hdrlen() - Bytes of Ethernet and IP headers for a family */
static inline size_t frame_l3_hdrlen(bool v4)
{
	return sizeof(struct eth_hdr) +
	       (v4 ? sizeof(struct ip4_hdr) : sizeof(struct ip6_hdr));
}

bool frame_can_tso(const struct tap *t, bool v4);
bool frame_can_uso(const struct tap *t);
bool frame_can_jumbo(const struct tap *t);

void frame_fill_tcp(const struct tap *t, struct txframe *f,
		    const struct frame_addr *a, const struct tcp_hdr *th,
		    const uint8_t *opts, size_t opts_len, uint16_t mss);
void frame_fill_udp(struct tap *t, struct txframe *f,
		    const struct frame_addr *a, uint16_t sport, uint16_t dport,
		    uint16_t gso_size);

uint8_t *frame_put_ip(uint8_t *p, const struct frame_addr *a, uint8_t proto,
		      size_t len, uint16_t id, uint16_t frag);
bool frame_send_l4(struct tap *t, const struct frame_addr *a, uint8_t proto,
		   void *l4, size_t len, size_t csum_offset);
bool frame_send_udp(struct tap *t, const struct frame_addr *a, uint16_t sport,
		    uint16_t dport, const void *data, size_t len);
bool frame_send_icmp_error(struct tap *t, const struct frame_addr *a,
			   uint8_t type, uint8_t code, uint32_t word,
			   const struct view *quoted);

#endif /* FRAME_H */
