/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtqueue.h - A split virtqueue in the guest's memory, seen from the device
 */

#ifndef VIRTQUEUE_H
#define VIRTQUEUE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define VQ_SIZE_MAX	1024		/* entries; qemu and others use no more */

struct dirtylog;
struct guestmem;

/* Fields of a ring are little-endian: virtio 1.2, 2.7.3 */
typedef uint16_t le16;
typedef uint32_t le32;
typedef uint64_t le64;

struct vq_desc {			/* virtio 1.2, 2.7.5 */
	le64 addr;			/* guest physical address */
	le32 len;
	le16 flags, next;		/* VQ_DESC_F_* */
};
static_assert(sizeof(struct vq_desc) == 16, "virtio 1.2, 2.7.5");

enum {
	VQ_DESC_F_NEXT = 1, VQ_DESC_F_WRITE = 2, VQ_DESC_F_INDIRECT = 4,
	VQ_AVAIL_F_NO_INTERRUPT = 1,
	VQ_USED_F_NO_NOTIFY = 1,
};

struct vq_avail {			/* virtio 1.2, 2.7.6 */
	le16 flags, idx;
	le16 ring[];			/* heads of chains; used_event follows */
};

struct vq_used_elem {			/* virtio 1.2, 2.7.8 */
	le32 id, len;			/* head of a chain, bytes written to it */
};

struct vq_used {
	le16 flags, idx;
	struct vq_used_elem ring[];	/* avail_event follows */
};

enum vq_direction {
	VQ_FROM_GUEST,			/* buffers that the device reads */
	VQ_TO_GUEST,			/* buffers that the device writes */
};

/**
 * struct vq_addr - Where the parts of a ring are, as the front-end tells
 * @desc, @avail, @used:	Addresses of the front-end
 * @log:	Guest physical address by which writes to the used ring are logged
 * @logged:	They are
 */
struct vq_addr {
	uint64_t desc, avail, used, log;
	bool logged;
};

/**
 * struct vq_chain - Buffers that are taken from the guest together
 * @head:	Index of the first descriptor: the name of the chain
 * @parts:	Number of pieces, in order
 * @len:	Bytes of all pieces
 */
struct vq_chain {
	uint16_t head, parts;
	uint32_t len;
};

/**
 * struct virtqueue - Our side of a ring
 * @mem:	Memory that the ring and its buffers are in
 * @log:	Log of pages that we write to; not used unless @logged
 * @direction:	Direction of all buffers
 * @size:	Number of entries, a power of 2 up to VQ_SIZE_MAX
 * @desc, @avail, @used:	The ring, in the guest's memory; NULL: not started
 * @next:	Index of the next available chain to take
 * @seen:	avail->idx as last read
 * @used_idx:	Index of the next used entry to write
 * @shown:	@used_idx as last published
 * @called:	@used_idx at the last call of the guest
 * @call_known:	The guest was called since the start; if not, it is in any case
 * @log_at:	Address of the used ring in @log
 * @logged:	Writes to the used ring are logged
 * @event_idx, @indirect:	Features the driver has acknowledged
 * @no_notify:	We have set VQ_USED_F_NO_NOTIFY
 * @broken:	Text, the driver has broken a rule: nothing is taken until the next
 *		start; NULL: fine
 * @table:	Copy of an indirect table
 */
struct virtqueue {
	const struct guestmem *mem;
	const struct dirtylog *log;
	enum vq_direction direction;
	unsigned size;
	struct vq_desc *desc;
	struct vq_avail *avail;
	struct vq_used *used;
	uint16_t next, seen, used_idx, shown, called;
	uint64_t log_at;
	bool logged, call_known, event_idx, indirect, no_notify;
	const char *broken;
	struct vq_desc table[VQ_SIZE_MAX];
};

int vq_start(struct virtqueue *q, const struct vq_addr *at, uint16_t base);
int vq_relocate(struct virtqueue *q, const struct vq_addr *at);
void vq_stop(struct virtqueue *q);
int vq_break(struct virtqueue *q, const char *why);
int vq_take(struct virtqueue *q, struct vq_chain *c, struct iovec *iov,
	    unsigned max);
void vq_rewind(struct virtqueue *q, unsigned n);
void vq_put(struct virtqueue *q, unsigned head, uint32_t len);
void vq_publish(struct virtqueue *q);
void vq_log_used(const struct virtqueue *q);
bool vq_wants_call(struct virtqueue *q);
bool vq_kicks_on(struct virtqueue *q);
void vq_kicks_off(struct virtqueue *q);

/* vq_runs() - May chains be taken? */
static inline bool vq_runs(const struct virtqueue *q)
{
	return q->desc && !q->broken;
}

#endif /* VIRTQUEUE_H */
