/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap_vhost.h - Frames in the memory of a virtual machine, by vhost-user
 */

#ifndef TAP_VHOST_H
#define TAP_VHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "tap.h"
#include "types.h"
#include "vhost_user.h"
#include "virtqueue.h"

struct loop;

#define VHOST_IOVS	(2 * VQ_SIZE_MAX)	/* pieces of chains, one direction */

/**
 * struct vhost_lent - Buffers of a lent frame
 * @first:	Its first chain, an index into the chains that were taken ahead
 * @iov:	Its first piece
 * @chains, @parts:	Numbers of chains and pieces
 */
struct vhost_lent {
	unsigned first, iov, chains, parts;
};

/**
 * struct vhost_ahead - Chains to the guest that were taken ahead of their use
 * @chain:	The chains, from @first up to @end
 * @iov:	Their pieces, from @iov_first up to @iov_end
 */
struct vhost_ahead {
	unsigned first, end, iov_first, iov_end;
	struct vq_chain chain[VQ_SIZE_MAX];
	struct iovec iov[VHOST_IOVS];
};

/**
 * struct tap_vhost - The backend
 * @tap:	Public part
 * @vu:		Front-end, rings and memory
 * @mtu:	Largest IP packet that was configured, bytes
 * @vnet_len:	Bytes of the virtio-net header
 * @mergeable:	A frame may be spread over several chains
 * @starved:	tap_reserve() lent no frame: tap->writable() is due
 * @more:	The guest's queue was not empty at the end of the turn
 * @ahead:	Receive buffers of the guest
 * @frames, @lent, @hdr:	Frames lent by tap_reserve(), their buffers and headers
 * @pkts:	Batch of packets parsed from the guest's memory
 * @heads:	Chains of that batch
 * @iov:	Pieces of these chains
 */
struct tap_vhost {
	struct tap tap;
	struct vhost_user vu;
	unsigned mtu;
	size_t vnet_len;
	bool mergeable, starved, more;
	struct vhost_ahead ahead;
	struct txframe frames[TAP_TX_BATCH];
	struct vhost_lent lent[TAP_TX_BATCH];
	uint8_t hdr[TAP_TX_BATCH][TAP_HDR_MAX];
	struct pkt pkts[TAP_RX_BATCH];
	uint16_t heads[TAP_RX_BATCH];
	struct iovec iov[VHOST_IOVS];
};

int tap_vhost_init(struct tap_vhost *t, int fd, enum tap_offload max,
		   unsigned mtu, struct loop *l);

#endif /* TAP_VHOST_H */
