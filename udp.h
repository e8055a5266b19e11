/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp.h - UDP flows through the tap
 */

#ifndef UDP_H
#define UDP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "flow.h"
#include "packet.h"
#include "tap.h"
#include "types.h"
#include "udp_rx.h"
#include "udp_sock.h"

struct listen;
struct udp_splice;

#define UDP_TX_MSGS	64		/* messages of one sendmmsg() */
#define UDP_CONTROL	128		/* bytes of control messages of each */
#define UDP_LEN_MAX	65527		/* bytes of a datagram: RFC 768, RFC 8200 */

/**
 * struct udp_io - Arrays for system calls, of no meaning between them
 * @control:	Control messages
 * @segmented:	Whether a message to send is several datagrams
 * @name:	Senders
 * @tail:	What of a received datagram does not fit into its frame; with room
 *		in front for what does
 */
struct udp_io {
	struct mmsghdr mm[UDP_TX_MSGS];
	struct iovec iov[UDP_TX_MSGS + 2 * TAP_RX_BATCH];
	union {
		size_t align;
		uint8_t buf[UDP_CONTROL];
	} control[UDP_TX_MSGS];
	bool segmented[UDP_TX_MSGS];
	union sockaddr_inany name[UDP_RX_MSGS];
	uint8_t tail[UDP_RX_MSGS][UDP_LEN_MAX + 1];
};

/**
 * struct udp - All of UDP
 * @splice:	Takes what bypasses the tap, NULL: nothing does
 * @listen:	Listening sockets, NULL: there are none
 * @blocked:	List of ports that wait for room in the tap, FLOW_NONE: none
 * @dropped:	Datagrams from the guest that went nowhere
 * @lost:	Datagrams for the guest that did not fit into the tap
 */
struct udp {
	const struct conf *conf;
	const struct guest *guest;
	const struct dns *dns;
	struct flow_table *flows;
	struct tap *tap;
	struct loop *loop;
	struct udp_splice *splice;
	const struct listen *listen;
	uint32_t blocked;
	uint64_t dropped, lost;
	struct udp_io io;
};

void udp_init(struct udp *u, const struct conf *conf,
	      const struct guest *guest, const struct dns *dns,
	      struct flow_table *flows, struct tap *tap, struct loop *loop,
	      struct udp_splice *splice, const struct listen *listen);
void udp_tap_input(struct udp *u, const struct pkt *pkts, unsigned n);
void udp_tap_writable(struct udp *u);
void udp_sock_event(struct udp *u, struct flow *port, uint32_t events);
void udp_listen_event(struct udp *u, int fd, const struct fwd_rule *r,
		      uint16_t number, uint32_t index);
void udp_listener_gone(struct udp *u);
void udp_evict(struct udp *u, struct flow *f);
void udp_timer(struct udp *u, struct flow *f);

#endif /* UDP_H */
