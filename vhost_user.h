/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost_user.h - The vhost-user protocol, seen from a network device's back-end
 */

#ifndef VHOST_USER_H
#define VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dirtylog.h"
#include "fdpass.h"
#include "guestmem.h"
#include "virtqueue.h"

struct loop;

/* Queues of a network device: virtio 1.2, 5.1.2 */
enum { VHOST_TO_GUEST, VHOST_FROM_GUEST, VHOST_QUEUES };

/* Indexes of descriptors, for events of kind REF_TAP */
enum { VHOST_EV_SOCKET, VHOST_EV_STATE, VHOST_EV_KICK };	/* VHOST_EV_KICK + queue */

/* Feature bits: virtio 1.2, 5.1.3 and 6, and two of vhost-user itself */
#define VHOST_F(bit)			(1ULL << (bit))
#define VIRTIO_NET_F_CSUM		VHOST_F(0)
#define VIRTIO_NET_F_GUEST_CSUM		VHOST_F(1)
#define VIRTIO_NET_F_MTU		VHOST_F(3)
#define VIRTIO_NET_F_GUEST_TSO4		VHOST_F(7)
#define VIRTIO_NET_F_GUEST_TSO6		VHOST_F(8)
#define VIRTIO_NET_F_HOST_TSO4		VHOST_F(11)
#define VIRTIO_NET_F_HOST_TSO6		VHOST_F(12)
#define VIRTIO_NET_F_MRG_RXBUF		VHOST_F(15)
#define VHOST_F_LOG_ALL			VHOST_F(26)
#define VIRTIO_F_INDIRECT_DESC		VHOST_F(28)
#define VIRTIO_F_EVENT_IDX		VHOST_F(29)
#define VHOST_USER_F_PROTOCOL_FEATURES	VHOST_F(30)
#define VIRTIO_F_VERSION_1		VHOST_F(32)
#define VIRTIO_NET_F_GUEST_USO4		VHOST_F(54)
#define VIRTIO_NET_F_GUEST_USO6		VHOST_F(55)
#define VIRTIO_NET_F_HOST_USO		VHOST_F(56)

/* Header of each message: vhost-user, "Message Specification"; host byte order */
struct vhost_msg_hdr {
	uint32_t request, flags, size;
};

#define VHOST_MSG_MAX	4096		/* payload bytes; ours have 264 at most */

/**
 * struct vhost_queue - A virtqueue and its descriptors
 * @vq:		The ring, while it is started
 * @at:		Addresses of the ring
 * @size:	Entries of the ring at the next start
 * @base:	Index of the first chain at the next start
 * @rebased:	@base was set since the last start
 * @enabled:	The front-end lets it run
 * @reported:	The front-end knows that the ring is broken
 * @kick, @call, @err:	Descriptors, ours; -1: none
 */
struct vhost_queue {
	struct virtqueue vq;
	struct vq_addr at;
	unsigned size;
	uint16_t base;
	bool rebased, enabled, reported;
	int kick, call, err;
};

/**
 * struct vhost_state - Transfer of the state of the device when the guest migrates
 * @fd:		Pipe or socket, ours; -1: none
 * @load:	The state is read, otherwise written
 * @done:	It was transferred, and the front-end has not asked for the result yet
 * @rc:		Result: 0 or negative errno
 */
struct vhost_state {
	int fd;
	bool load, done;
	int rc;
};

/**
 * struct vhost_user - A connection with a front-end
 * @loop:	Watches the connection and the kicks
 * @fd:		The connection, -1: none
 * @offer:	Features that are offered
 * @features:	Features that the driver has acknowledged
 * @protocol:	Features of the protocol that the front-end has acknowledged
 * @mtu:	MTU that the front-end has set, 0: none
 * @started:	The driver has started the queue to the guest; the user clears it
 * @rarp:	The guest has moved here; the user clears it
 * @moving:	No queue has run since a transfer of the state; the user clears it
 * @log_awaited:	Used rings are to be logged, but the log has not come yet
 * @transfer:	Callback: read or write the state. Return: 0 or negative errno
 * @ctx:	Its first argument
 * @state:	State to be transferred
 * @mem:	The guest's memory
 * @log:	Log of the pages that we write to
 * @queue:	The queues
 * @hdr, @payload:	A message, @have bytes of it so far
 * @fds:	Its descriptors
 */
struct vhost_user {
	struct loop *loop;
	int fd;
	uint64_t offer, features, protocol;
	unsigned mtu;
	bool started, rarp, moving, log_awaited;
	int (*transfer)(void *ctx, bool load, int fd);
	void *ctx;
	struct vhost_state state;
	struct guestmem mem;
	struct dirtylog log;
	struct vhost_queue queue[VHOST_QUEUES];
	struct vhost_msg_hdr hdr;
	size_t have;
	struct fdpass fds;
	uint8_t payload[VHOST_MSG_MAX] __attribute__((aligned(8)));
};

void vhost_user_init(struct vhost_user *u, struct loop *l, uint64_t offer);
int vhost_user_attach(struct vhost_user *u, int fd);
int vhost_user_read(struct vhost_user *u);
void vhost_user_load(struct vhost_user *u);
void vhost_user_close(struct vhost_user *u);
void vhost_user_call(struct vhost_user *u, unsigned queue);
void vhost_user_report(struct vhost_user *u, unsigned queue);

/* vhost_user_runs() - May buffers of this queue be used? */
static inline bool vhost_user_runs(const struct vhost_user *u, unsigned queue)
{
	return u->queue[queue].enabled && !u->log_awaited &&
	       vq_runs(&u->queue[queue].vq);
}

/* vhost_user_runs_any() - May buffers of any queue be used? */
static inline bool vhost_user_runs_any(const struct vhost_user *u)
{
	return vhost_user_runs(u, VHOST_TO_GUEST) ||
	       vhost_user_runs(u, VHOST_FROM_GUEST);
}

#endif /* VHOST_USER_H */
