/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap.h - The layer-2 side: lend frames, queue them, hand over received ones
 *
 * Protocols see no mode, no descriptor and no ring. To send, they borrow frames
 * with tap_reserve(), fill headers and payload, and queue some of them with
 * tap_commit(). Backends are tap_tun.c, tap_stream.c and tap_vhost.c;
 * pcap.c wraps any of them.
 *
 * The other side may come and go: a backend that takes connections has attach(),
 * and calls tap->closed() when one ends. Capabilities and MTU may differ from one
 * connection to the next: a backend sets both with tap_change(), everybody else
 * reads them from here for each frame.
 */

#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "packet.h"
#include "view.h"

#define TAP_TX_BATCH	64		/* frames lent at a time, at most */
#define TAP_RX_BATCH	32		/* frames handed over at a time */
#define TAP_HDR_MAX	160		/* Ethernet to layer-4 headers */

/* Capabilities of the device: it takes */
enum {
	TAP_CSUM = 1,			/* partial checksums */
	TAP_TSO4 = 2, TAP_TSO6 = 4,	/* unsegmented TCP */
	TAP_USO = 8,			/* unsegmented UDP, IPv4 and IPv6 */
	TAP_JUMBO = 16,			/* frames over the MTU, whole */
};

/* Steps of a guest that moves to another machine, with the state of its network */
enum tap_migrate {
	TAP_SAVE,			/* write the state; the guest stands still */
	TAP_LOAD,			/* read it, before the guest goes on here */
	TAP_RUN,			/* the guest goes on here after one of these */
};

/**
 * struct txframe - A frame lent for sending
 * @hdr:	Room for @hdrlen bytes of headers from Ethernet on, private
 * @hdrlen:	As asked for in tap_reserve()
 * @payload:	Room, at least as much as asked for, in up to VIEW_PARTS_MAX pieces;
 *		protocols use copies of this view, it stays as it is
 * @len:	Bytes of payload, set by the protocol
 * @gso_type:	VNET_GSO_*, 0 after tap_reserve()
 * @gso_size:	Payload bytes of each segment of a GSO frame
 * @csum_start:	If @csum_partial: offset of the layer-4 header in the frame
 * @csum_offset: If @csum_partial: offset of the checksum field from there
 * @csum_partial: Device completes the checksum; false after tap_reserve()
 */
struct txframe {
	uint8_t *hdr;
	size_t hdrlen;
	struct view payload;
	size_t len;
	uint8_t gso_type;
	bool csum_partial;
	uint16_t gso_size, csum_start, csum_offset;
};

struct tap;

/**
 * struct tap_ops - Operations of a backend
 * @reserve, @commit, @flush, @event:	See tap_reserve() and so on
 * @poll:	See tap_poll(); NULL for a backend that leaves no frames
 * @attach:	See tap_attach(); NULL for a backend without connections
 */
struct tap_ops {
	struct txframe *(*reserve)(struct tap *t, unsigned *n, size_t hdrlen,
				   size_t room);
	unsigned (*commit)(struct tap *t, unsigned n);
	bool (*flush)(struct tap *t);
	void (*event)(struct tap *t, unsigned which, uint32_t events);
	void (*poll)(struct tap *t);
	int (*attach)(struct tap *t, int fd);
};

struct tap_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, tx_dropped;
	uint64_t rx_bad[PKT_E_MAX];
};

/**
 * struct tap - State that all backends share
 * @ops:	Operations of the backend or of a wrapper
 * @caps:	TAP_*: frame.c reads this
 * @mtu:	Largest IP packet towards the other side, bytes
 * @burst:	Bytes of unsegmented frames worth receiving by one system call; 0: one
 *		frame
 * @frag_id:	Identification of the last IP packet that may be fragmented
 * @stats:	Counters of the backend; those of a wrapper stay zero
 * @rx:		Callback for @n parsed packets; set in passt.c
 * @writable:	Callback: there is room again after tap_reserve() lent none
 * @closed:	Callback: the other side is gone; 0 or a positive errno
 * @changed:	Callback: @caps or @mtu have changed; may be NULL
 * @started:	Callback: the guest's driver takes frames from now on, or the guest has
 *		moved to this machine; may be NULL
 * @migrate:	Callback: a step, with a descriptor for the state that the backend
 *		closes, or -1. Return: 0 or negative errno; may be NULL
 * @raw:	Callback for each received frame before it is parsed, for
 *		captures; may be NULL
 * @ctx:	First argument of the callbacks
 */
struct tap {
	const struct tap_ops *ops;
	unsigned caps;
	unsigned mtu;
	size_t burst;
	uint32_t frag_id;
	struct tap_stats stats;
	void (*rx)(void *ctx, const struct pkt *pkts, unsigned n);
	void (*writable)(void *ctx);
	void (*closed)(void *ctx, int error);
	void (*changed)(void *ctx);
	void (*started)(void *ctx);
	int (*migrate)(void *ctx, enum tap_migrate step, int fd);
	void (*raw)(void *ctx, const struct view *frame,
		    const struct rx_offload *off);
	void *ctx;
};

/**
 * tap_reserve() - Borrow frames
 * @t:		The tap
 * @n:		Number of frames wanted; set to the number lent, 0: wait for
 *		tap->writable()
 * @hdrlen:	Bytes of headers of each frame, at most TAP_HDR_MAX
 * @room:	Bytes of payload room of each frame, at most 65535
 *
 * Return: array of @n frames, valid until the next reserve or commit. It is fine
 * to use none of them. NULL if there are none.
 */
static inline struct txframe *tap_reserve(struct tap *t, unsigned *n,
					  size_t hdrlen, size_t room)
{
	return t->ops->reserve(t, n, hdrlen, room);
}

/**
 * tap_commit() - Queue the first @n frames of the last tap_reserve()
 *
 * Return: number of frames that are queued for certain. A tun device counts a
 * frame that it has to drop as queued: that is a lost frame.
 */
static inline unsigned tap_commit(struct tap *t, unsigned n)
{
	return t->ops->commit(t, n);
}

/* tap_frame_lend() - Initialize a frame of a backend, with payload in one piece right
 * behind the headers */
static inline void tap_frame_lend(struct txframe *f, uint8_t *payload,
				  size_t hdrlen, size_t room)
{
	*f = (struct txframe){ .hdr = payload - hdrlen, .hdrlen = hdrlen,
			       .payload = view_of(payload, room) };
}

/**
 * tap_flush() - Write out queued frames; called by passt.c once a turn
 *
 * Return: true if received frames are left: the next turn must not sleep, and begin
 * with tap_poll()
 */
static inline bool tap_flush(struct tap *t)
{
	return t->ops->flush(t);
}

/* tap_event() - Handle @events of descriptor @which of the backend */
static inline void tap_event(struct tap *t, unsigned which, uint32_t events)
{
	t->ops->event(t, which, events);
}

/* tap_poll() - Handle frames that the last turn left; called by passt.c once a turn,
 * before events */
static inline void tap_poll(struct tap *t)
{
	if (t->ops->poll)
		t->ops->poll(t);
}

/**
 * tap_attach() - Give a connection with the other side to the backend
 * @t:		The tap
 * @fd:		Connected socket, ours to close
 *
 * Return: 0, or negative errno, and @fd is still the caller's: -EBUSY if there is
 * a connection already, -EOPNOTSUPP if the backend takes none
 */
static inline int tap_attach(struct tap *t, int fd)
{
	return t->ops->attach ? t->ops->attach(t, fd) : -EOPNOTSUPP;
}

void tap_init(struct tap *t, const struct tap_ops *ops, unsigned caps,
	      unsigned mtu);
void tap_change(struct tap *t, unsigned caps, unsigned mtu);
bool tap_send_one(struct tap *t, const void *hdr, size_t hdrlen);
void tap_rx_frame(struct tap *t, struct pkt *p, unsigned *n,
		  const struct view *frame, const struct rx_offload *off);

#endif /* TAP_H */
