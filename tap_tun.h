/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap_tun.h - A tun device of type tap, with virtio-net headers where possible
 */

#ifndef TAP_TUN_H
#define TAP_TUN_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "tap.h"
#include "types.h"
#include "wire.h"

struct loop;

/*
 * Bytes read before a batch is handed over: they should still be in the cache when
 * they are sent on. And the number of batches read in one turn of the loop.
 */
#define TUN_RX_BATCH_BYTES	(256 << 10)
#define TUN_RX_BATCHES		4

#define TUN_ALIGN(n)		(((n) + 63) & ~(size_t)63)

/* One frame as it is written: virtio-net header, headers, payload */
#define TUN_HEAD_MAX		TUN_ALIGN(sizeof(struct vnet_hdr) + TAP_HDR_MAX)
#define TUN_TX_SIZE		(4 * (TUN_HEAD_MAX + TUN_ALIGN(65535)))

/* One frame as it is read, starting at a multiple of 64 */
#define TUN_RX_HEAD		24	/* aligns the IP header */
#define TUN_RX_FRAME		TUN_ALIGN(TUN_RX_HEAD + FRAME_MAX)
#define TUN_RX_SIZE		(TUN_RX_BATCH_BYTES + TUN_RX_FRAME)

/**
 * struct tap_tun_info - Features of a device; plain data, may cross a socket
 * @caps:	TAP_*
 * @vnet:	Frames have a virtio-net header
 * @ifname:	Name of the interface, in the namespace it was made in
 */
struct tap_tun_info {
	unsigned caps;
	bool vnet;
	char ifname[IFNAMSIZ];
};

/**
 * struct tap_tun - The backend
 * @tap:	Public part
 * @loop:	Event loop that watches @fd
 * @fd:		Descriptor of the device, non-blocking; -1: closed
 * @vnet:	As in struct tap_tun_info
 * @frames:	Frames lent by tap_reserve(), all in @tx
 * @pkts:	Batch of packets parsed from @rx
 */
struct tap_tun {
	struct tap tap;
	struct loop *loop;
	int fd;
	bool vnet;
	struct txframe frames[TAP_TX_BATCH];
	struct pkt pkts[TAP_RX_BATCH];
	uint8_t tx[TUN_TX_SIZE] __attribute__((aligned(64)));
	uint8_t rx[TUN_RX_SIZE] __attribute__((aligned(64)));
};

int tap_tun_open(const struct conf *c, const char *ifname,
		 struct tap_tun_info *info);
int tap_tun_info_from_fd(const struct conf *c, int fd,
			 struct tap_tun_info *info);
int tap_tun_mac(int fd, uint8_t mac[MAC_LEN]);
int tap_tun_init(struct tap_tun *t, int fd, const struct tap_tun_info *info,
		 unsigned mtu, struct loop *l);

#endif /* TAP_TUN_H */
