/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet.h - struct pkt: a checked, private view of one received frame
 *
 * pkt_parse() copies the headers out once and checks all lengths once; a frame that
 * it accepts is trusted afterwards. The payload stays where it was received.
 */

#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inany.h"
#include "view.h"
#include "wire.h"

/* Offload fields of a received frame from the device, see struct vnet_hdr */
struct rx_offload {
	bool csum_partial;		/* do not verify layer-4 checksums */
	uint8_t gso_type;		/* VNET_GSO_* without ECN */
	uint16_t gso_size;
	uint16_t csum_start;		/* offset of the first byte summed up */
	uint16_t csum_offset;		/* of the field from there; 0: none */
};

enum pkt_kind {				/* input.c dispatches on it */
	PKT_ARP, PKT_TCP, PKT_UDP, PKT_ICMP4, PKT_ICMP6,
	PKT_FRAGMENT,			/* of IPv4 or IPv6: payload is raw */
	PKT_OTHER_L4,			/* IP, a protocol that we do not translate */
};

/**
 * struct pkt - One received frame
 * @kind:	Kind of packet; selects the valid member of the union
 * @eth:	Ethernet header
 * @src, @dst:	IP addresses (not for PKT_ARP)
 * @proto:	IPPROTO_* of the payload (of fragments: of the reassembled one)
 * @ttl, @tos:	TTL or hop limit; TOS or traffic class
 * @df:		Don't fragment is set
 * @frag_off, @frag_more, @frag_id:	PKT_FRAGMENT only; offset in bytes
 * @tcp, @udp, @icmp, @arp:	Layer-4 header, network order, by @kind
 * @opts:	TCP options, copied; @opts_len bytes
 * @payload:	Bytes after the layer-4 header (for PKT_FRAGMENT and
 *		PKT_OTHER_L4: after the IP header with its extensions), in
 *		place; valid until the batch is handled
 * @l3:		Packet from its IP header on, without padding, to be quoted in
 *		ICMP errors
 * @off:	Offload fields from the device
 */
struct pkt {
	enum pkt_kind kind;
	struct eth_hdr eth;
	union inany src, dst;
	uint8_t proto, ttl, tos;
	bool df, frag_more;
	uint16_t frag_off;
	uint32_t frag_id;
	union {
		struct tcp_hdr tcp;
		struct udp_hdr udp;
		struct icmp_hdr icmp;
		struct arp_msg arp;
	};
	uint8_t opts[TCP_HDR_MAX - sizeof(struct tcp_hdr)];
	uint8_t opts_len;
	struct view payload, l3;
	struct rx_offload off;
};

/**
 * struct pkt_quote - A packet that we sent, as an ICMP error quotes it
 * @src, @dst:	IP addresses; @dst is an address of the guest
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @sport, @dport:	Host order
 * @seq:	Sequence number of TCP, host order
 */
struct pkt_quote {
	union inany src, dst;
	uint8_t proto;
	uint16_t sport, dport;
	uint32_t seq;
};

/**
 * struct datagram - UDP from one of our services to the guest
 * @src, @dst:	IP addresses, both of one family
 * @dst_mac:	Ethernet destination
 * @sport, @dport:	Host order
 * @leases:	The message gives the guest the assigned address
 * @len:	Bytes in @data, may be 0
 * @data:	Payload
 */
struct datagram {
	union inany src, dst;
	uint8_t dst_mac[MAC_LEN];
	uint16_t sport, dport;
	bool leases;
	size_t len;
	uint8_t data[1472] __attribute__((aligned(8)));
};

/* Reasons to refuse a frame, for counters and the log */
enum pkt_error {
	PKT_OK, PKT_E_SHORT, PKT_E_LENGTH, PKT_E_VERSION, PKT_E_CSUM,
	PKT_E_ETHERTYPE, PKT_E_SRC, PKT_E_EXTHDR, PKT_E_DST, PKT_E_GSO,
	PKT_E_PIECES, PKT_E_MAX,
};

enum pkt_error pkt_parse(struct pkt *p, const struct view *frame,
			 const struct rx_offload *off);
enum pkt_error pkt_parse_l4(struct pkt *p, const struct view *l4);
bool pkt_quoted(const struct pkt *p, struct pkt_quote *q);
const char *pkt_strerror(enum pkt_error e);

#endif /* PACKET_H */
