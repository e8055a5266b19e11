/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap_vhost.c - Frames in the memory of a virtual machine, by vhost-user
 *
 * The guest's driver gives us two queues of buffers: empty ones for frames to it, and
 * ones with frames from it. Payload is copied once, by the system call between the
 * guest's memory and a socket.
 *
 * To the guest: buffers are taken ahead from the ring and stay, translated, until they
 * are used, so that a look for data that finds none costs nothing. A lent frame has its
 * headers in private memory, and its payload room in the buffers behind the place for
 * them; commit() copies the headers there. With mergeable buffers a frame takes as many
 * chains as it needs, otherwise one. Chains are used in the order of the ring: after a
 * restart of this program, the front-end resumes at the number of used ones. So where a
 * frame needed fewer chains than were lent for it, those after it move forward.
 *
 * From the guest: a batch of chains is parsed in place. The headers are copied by
 * pkt_parse(), the payload is read by system calls, and after the batch the chains are
 * used.
 *
 * The virtio-net header tells of partial checksums and of frames to be segmented
 * (virtio 1.2, 5.1.6), up to 64 KiB whatever the MTU. What the driver has acknowledged
 * becomes the capabilities of the tap, anew with each start of the driver.
 *
 * A frame is at least 60 bytes long, as on a wire.
 */

#include "tap_vhost.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>

#include "log.h"
#include "loop.h"
#include "view.h"
#include "wire.h"

#define FRAME_MIN	60		/* without FCS: IEEE 802.3, 3.2.8 */
#define TURN_BYTES	(512 << 10)	/* from the guest in one turn; to it at once */
#define CHAIN_COST	256		/* bytes that a chain counts as, at least */
#define MTU_ETHERNET	1500

/* The header before each frame: virtio 1.2, 5.1.6, in little-endian order */
struct vhost_hdr {
	struct vnet_hdr vnet;
	le16 num_buffers;		/* missing in the oldest form */
};

static struct tap_vhost *to_vhost(struct tap *t)
{
	return (struct tap_vhost *)((char *)t - offsetof(struct tap_vhost, tap));
}

static struct virtqueue *queue(struct tap_vhost *t, unsigned i)
{
	return &t->vu.queue[i].vq;
}

/* To the guest -------------------------------------------------------------- */

/* Give all chains back that were taken ahead */
static void ahead_drop(struct tap_vhost *t)
{
	struct vhost_ahead *a = &t->ahead;

	vq_rewind(queue(t, VHOST_TO_GUEST), a->end - a->first);
	a->first = a->end = a->iov_first = a->iov_end = 0;
}

/* Move what is left to the start, so that more fits behind */
static void ahead_compact(struct vhost_ahead *a)
{
	unsigned chains = a->end - a->first, parts = a->iov_end - a->iov_first;

	memmove(a->chain, a->chain + a->first, chains * sizeof(a->chain[0]));
	memmove(a->iov, a->iov + a->iov_first, parts * sizeof(a->iov[0]));
	a->first = a->iov_first = 0;
	a->end = chains;
	a->iov_end = parts;
}

/* Take one more chain ahead; false if there is none, or no room for it */
static bool ahead_take(struct tap_vhost *t)
{
	struct virtqueue *q = queue(t, VHOST_TO_GUEST);
	struct vhost_ahead *a = &t->ahead;
	int rc;

	if (a->end == VQ_SIZE_MAX || VHOST_IOVS - a->iov_end < VIEW_PARTS_MAX)
		return false;
	rc = vq_take(q, &a->chain[a->end], a->iov + a->iov_end, VIEW_PARTS_MAX);
	if (rc > 0) {
		a->iov_end += a->chain[a->end++].parts;
		return true;
	}
	if (rc == -ENOBUFS)
		vq_break(q, "a chain of too many pieces");
	return false;
}

/*
 * Find chains for @len bytes from chain @first with piece @iov on, taking more ahead if
 * need be. Return: false if there are too few
 */
static bool find_room(struct tap_vhost *t, struct vhost_lent *l, unsigned first,
		      unsigned iov, size_t len)
{
	struct virtqueue *q = queue(t, VHOST_TO_GUEST);
	struct vhost_ahead *a = &t->ahead;
	uint64_t have = 0;

	*l = (struct vhost_lent){ .first = first, .iov = iov };
	while (have < len) {
		const struct vq_chain *c = &a->chain[first + l->chains];

		if (first + l->chains == a->end && !ahead_take(t))
			return false;
		if ((!t->mergeable && c->len < len) ||
		    l->parts + c->parts > VIEW_PARTS_MAX) {
			vq_break(q, t->mergeable ? "buffers of too many pieces" :
				    "a buffer too small for a frame");
			return false;
		}
		have += c->len;
		l->parts += c->parts;
		l->chains++;
	}
	return true;
}

/* The bytes of lent buffers, from the virtio-net header on */
static struct view lent_view(const struct tap_vhost *t,
			     const struct vhost_lent *l)
{
	return view_of_iov(t->ahead.iov + l->iov, l->parts);
}

/* Lend up to @n frames; return their number */
static unsigned lend(struct tap_vhost *t, unsigned n, size_t hdrlen, size_t room)
{
	size_t head = t->vnet_len + hdrlen, len = head + room;
	struct vhost_ahead *a = &t->ahead;
	unsigned i, first, iov;

	if (len < t->vnet_len + FRAME_MIN)
		len = t->vnet_len + FRAME_MIN;
	/* So there is always room to take ahead what the first frame needs */
	if (a->first && (a->iov_end > VHOST_IOVS / 2 || a->end > VQ_SIZE_MAX / 2))
		ahead_compact(a);
	first = a->first;
	iov = a->iov_first;
	for (i = 0; i < n; i++) {
		struct txframe *f = &t->frames[i];

		if (!find_room(t, &t->lent[i], first, iov, len))
			break;
		first += t->lent[i].chains;
		iov += t->lent[i].parts;
		*f = (struct txframe){ .hdr = t->hdr[i], .hdrlen = hdrlen,
				       .payload = lent_view(t, &t->lent[i]) };
		view_skip(&f->payload, head);
	}
	return i;
}

static struct txframe *vhost_reserve(struct tap *tap, unsigned *n,
				     size_t hdrlen, size_t room)
{
	struct tap_vhost *t = to_vhost(tap);
	struct virtqueue *q = queue(t, VHOST_TO_GUEST);
	unsigned want = *n < TAP_TX_BATCH ? *n : TAP_TX_BATCH;

	*n = 0;
	if (!want || hdrlen > TAP_HDR_MAX)
		return NULL;
	while (vhost_user_runs(&t->vu, VHOST_TO_GUEST)) {
		*n = lend(t, want, hdrlen, room);
		/* Buffers that came before the driver saw this raise no kick */
		if (*n || !vq_runs(q) || !vq_kicks_on(q))
			break;
	}
	if (*n)
		return t->frames;
	t->starved = true;
	return NULL;
}

/* The header of a frame that takes @chains chains */
static struct vhost_hdr header_of(const struct txframe *f, unsigned chains)
{
	struct vhost_hdr h = { .num_buffers = htole16(chains) };

	if (f->csum_partial) {
		h.vnet.flags = VNET_F_NEEDS_CSUM;
		h.vnet.csum_start = htole16(f->csum_start);
		h.vnet.csum_offset = htole16(f->csum_offset);
	}
	if (f->gso_type != VNET_GSO_NONE) {
		h.vnet.gso_type = f->gso_type;
		h.vnet.gso_size = htole16(f->gso_size);
		h.vnet.hdr_len = htole16(f->hdrlen);
	}
	return h;
}

/* Shorten the buffers of a frame to those that @len bytes need, from the first chain
 * that is not used yet on */
static void fit(const struct tap_vhost *t, struct vhost_lent *l, size_t len)
{
	const struct vhost_ahead *a = &t->ahead;
	uint64_t have = 0;

	*l = (struct vhost_lent){ .first = a->first, .iov = a->iov_first };
	for (; have < len; l->chains++) {
		const struct vq_chain *c = &a->chain[a->first + l->chains];

		have += c->len;
		l->parts += c->parts;
	}
}

/* Put the chains of a frame of @len bytes into the used ring */
static void use(struct tap_vhost *t, const struct vhost_lent *l, size_t len)
{
	struct vhost_ahead *a = &t->ahead;
	unsigned i;

	for (i = 0; i < l->chains; i++) {
		const struct vq_chain *c = &a->chain[a->first++];
		uint32_t part = c->len < len ? c->len : (uint32_t)len;

		vq_put(queue(t, VHOST_TO_GUEST), c->head, part);
		len -= part;
	}
	a->iov_first += l->parts;
}

/*
 * Log the pages that hold a frame to the guest, written but not published yet. Payload
 * may also lie in buffers behind it, if it was received there and did not need them, or
 * was moved. Nothing of that is logged: a buffer that is not used has no content, so the
 * guest may not look at it, neither here nor where it migrates to
 */
static void log_frame(const struct tap_vhost *t, const struct vhost_lent *l,
		      size_t len)
{
	struct view v = lent_view(t, l);
	uint8_t *bytes;
	size_t part;

	view_cut(&v, len);
	while ((part = view_piece(&v, len, &bytes)))
		dirtylog_mark(&t->vu.log, guestmem_gpa(&t->vu.mem, bytes), part);
}

/* Write headers and padding of one frame into the guest's memory, and use its chains */
static void commit_one(struct tap_vhost *t, const struct txframe *f,
		       const struct vhost_lent *old)
{
	static const uint8_t zero[FRAME_MIN];
	size_t len = f->hdrlen + f->len, pad = 0;
	struct vhost_lent l;
	struct vhost_hdr h;
	struct view to;

	if (len < FRAME_MIN)
		pad = FRAME_MIN - len;
	fit(t, &l, t->vnet_len + len + pad);
	h = header_of(f, l.chains);
	to = lent_view(t, &l);
	view_put(&to, &h, t->vnet_len);
	view_put(&to, f->hdr, f->hdrlen);
	if (l.first == old->first) {
		view_skip(&to, f->len);
	} else {
		struct view from = f->payload;

		view_put_view(&to, &from, f->len);
	}
	view_put(&to, zero, pad);
	if (t->vu.features & VHOST_F_LOG_ALL)
		log_frame(t, &l, t->vnet_len + len + pad);
	use(t, &l, t->vnet_len + len + pad);
	t->tap.stats.tx_frames++;
	t->tap.stats.tx_bytes += len;
}

static unsigned vhost_commit(struct tap *tap, unsigned n)
{
	struct tap_vhost *t = to_vhost(tap);
	unsigned i;

	for (i = 0; i < n; i++)
		commit_one(t, &t->frames[i], &t->lent[i]);
	if (n)
		vq_publish(queue(t, VHOST_TO_GUEST));
	return n;
}

/* From the guest ------------------------------------------------------------ */

/* Parse one frame in its chain */
static void frame_from(struct tap_vhost *t, unsigned *n, const struct iovec *iov,
		       unsigned parts)
{
	struct view frame = view_of_iov(iov, parts);
	struct rx_offload off = { 0 };
	struct vhost_hdr h = { .num_buffers = 0 };

	if (!view_take(&frame, &h, t->vnet_len) || frame.len > FRAME_MAX) {
		t->tap.stats.rx_bad[PKT_E_LENGTH]++;
		return;
	}
	off.csum_partial = h.vnet.flags & (VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID);
	off.gso_type = h.vnet.gso_type & (uint8_t)~VNET_GSO_ECN;
	off.gso_size = le16toh(h.vnet.gso_size);
	if (h.vnet.flags & VNET_F_NEEDS_CSUM) {
		off.csum_start = le16toh(h.vnet.csum_start);
		off.csum_offset = le16toh(h.vnet.csum_offset);
	}
	tap_rx_frame(&t->tap, t->pkts, n, &frame, &off);
}

/* What a chain of @len bytes takes of a turn: a guest may send any number of frames that
 * are all but empty */
static size_t cost(uint32_t len)
{
	return len < CHAIN_COST ? CHAIN_COST : len;
}

/* Take and handle one batch. Return: cost of its frames, bytes; 0: there were none */
static size_t batch_from(struct tap_vhost *t)
{
	struct virtqueue *q = queue(t, VHOST_FROM_GUEST);
	unsigned taken = 0, used = 0, n = 0, i;
	struct vq_chain c;
	size_t bytes = 0;
	int rc = 0;

	while (taken < TAP_RX_BATCH && bytes < TURN_BYTES) {
		rc = vq_take(q, &c, t->iov + used, VHOST_IOVS - used);
		if (rc <= 0)
			break;
		frame_from(t, &n, t->iov + used, c.parts);
		t->heads[taken++] = c.head;
		used += c.parts;
		bytes += cost(c.len);
	}
	if (rc == -ENOBUFS && !taken)
		vq_break(q, "a chain of too many pieces");
	if (n)
		t->tap.rx(t->tap.ctx, t->pkts, n);
	for (i = 0; i < taken; i++)
		vq_put(q, t->heads[i], 0);
	if (taken)
		vq_publish(q);
	return bytes;
}

/* Handle frames of the guest for one turn; kicks are asked for when none is left */
static void serve_guest(struct tap_vhost *t)
{
	struct virtqueue *q = queue(t, VHOST_FROM_GUEST);
	size_t bytes = 0, part;

	t->more = false;
	while (vhost_user_runs(&t->vu, VHOST_FROM_GUEST)) {
		vq_kicks_off(q);
		part = batch_from(t);
		bytes += part;
		if (!part && (!vq_runs(q) || !vq_kicks_on(q)))
			return;
		if (bytes >= TURN_BYTES) {
			t->more = true;
			return;
		}
	}
}

/* State --------------------------------------------------------------------- */

/* Capabilities of the tap by the features that the driver has acknowledged */
static unsigned caps_of(uint64_t f)
{
	unsigned caps = 0;

	if (f & VIRTIO_NET_F_GUEST_CSUM) {
		caps |= TAP_CSUM;
		if (f & VIRTIO_NET_F_GUEST_TSO4)
			caps |= TAP_TSO4;
		if (f & VIRTIO_NET_F_GUEST_TSO6)
			caps |= TAP_TSO6;
		if (f & VIRTIO_NET_F_GUEST_USO4 && f & VIRTIO_NET_F_GUEST_USO6)
			caps |= TAP_USO;
	}
	if (f & VIRTIO_NET_F_MRG_RXBUF && caps & TAP_TSO4)
		caps |= TAP_JUMBO;
	return caps;
}

/* The largest packet for buffers of these features: virtio 1.2, 5.1.6.3.1 */
static unsigned mtu_of(const struct tap_vhost *t, unsigned caps)
{
	unsigned mtu = t->mtu;

	if (t->vu.mtu && t->vu.mtu < mtu)
		mtu = t->vu.mtu;
	if (!t->mergeable && !(caps & (TAP_TSO4 | TAP_TSO6)) && !t->vu.mtu &&
	    mtu > MTU_ETHERNET)
		mtu = MTU_ETHERNET;
	return mtu;
}

/* Report a driver that has started, or a guest that has moved here */
static void report_start(struct tap_vhost *t)
{
	if (!vhost_user_runs(&t->vu, VHOST_TO_GUEST) ||
	    !(t->vu.started || t->vu.rarp))
		return;
	t->vu.started = t->vu.rarp = false;
	if (t->tap.started)
		t->tap.started(t->tap.ctx);
}

/* Report a guest that goes on here after its state was transferred */
static void report_run(struct tap_vhost *t)
{
	if (!t->vu.moving || !vhost_user_runs_any(&t->vu))
		return;
	t->vu.moving = false;
	if (t->tap.migrate)
		t->tap.migrate(t->tap.ctx, TAP_RUN, -1);
}

static int vhost_transfer(void *ctx, bool load, int fd)
{
	struct tap_vhost *t = ctx;

	return t->tap.migrate ?
	       t->tap.migrate(t->tap.ctx, load ? TAP_LOAD : TAP_SAVE, fd) :
	       -EOPNOTSUPP;
}

/* Bring the tap in line with a state of the front-end that may have changed */
static void state_changed(struct tap_vhost *t)
{
	uint64_t f = t->vu.features;
	unsigned caps = caps_of(f);

	t->mergeable = f & VIRTIO_NET_F_MRG_RXBUF;
	t->vnet_len = f & VIRTIO_F_VERSION_1 || t->mergeable ?
		      sizeof(struct vhost_hdr) : sizeof(struct vnet_hdr);
	tap_change(&t->tap, caps, mtu_of(t, caps));
}

/* Serve frames that the guest has sent before its front-end went, in memory that stays
 * mapped until here */
static void vhost_lost(struct tap_vhost *t, int error)
{
	serve_guest(t);
	ahead_drop(t);
	vhost_user_close(&t->vu);
	state_changed(t);
	t->more = false;
	if (error == ECONNRESET || error == EPIPE)
		error = 0;
	if (t->tap.closed)
		t->tap.closed(t->tap.ctx, error);
}

/* Let protocols that wait for room go on */
static void serve_waiting(struct tap_vhost *t)
{
	if (!t->starved || !vhost_user_runs(&t->vu, VHOST_TO_GUEST))
		return;
	t->starved = false;
	vq_kicks_off(queue(t, VHOST_TO_GUEST));
	if (t->tap.writable)
		t->tap.writable(t->tap.ctx);
}

/* Serve messages of the front-end; what a queue holds when it starts may raise no kick */
static void socket_event(struct tap_vhost *t)
{
	int rc;

	ahead_drop(t);
	rc = vhost_user_read(&t->vu);
	state_changed(t);
	if (rc) {
		vhost_lost(t, -rc);
		return;
	}
	report_run(t);			/* before frames of flows that have moved */
	report_start(t);
	serve_waiting(t);
	serve_guest(t);
}

static void vhost_event(struct tap *tap, unsigned which, uint32_t events)
{
	struct tap_vhost *t = to_vhost(tap);

	(void)events;
	if (t->vu.fd < 0)
		return;
	if (which == VHOST_EV_SOCKET)
		socket_event(t);
	else if (which == VHOST_EV_STATE)
		vhost_user_load(&t->vu);
	else if (which == VHOST_EV_KICK + VHOST_TO_GUEST)
		serve_waiting(t);
	else
		serve_guest(t);
}

static void vhost_poll(struct tap *tap)
{
	struct tap_vhost *t = to_vhost(tap);

	if (t->more)
		serve_guest(t);
}

/* Call the guest about a queue, if it wants that; report one that it has broken */
static void call(struct tap_vhost *t, unsigned i)
{
	vhost_user_report(&t->vu, i);
	if (vq_runs(queue(t, i)) && vq_wants_call(queue(t, i)))
		vhost_user_call(&t->vu, i);
}

static bool vhost_flush(struct tap *tap)
{
	struct tap_vhost *t = to_vhost(tap);

	call(t, VHOST_FROM_GUEST);
	call(t, VHOST_TO_GUEST);
	return t->more;
}

static int vhost_attach(struct tap *tap, int fd)
{
	return vhost_user_attach(&to_vhost(tap)->vu, fd);
}

static const struct tap_ops vhost_ops = {
	.reserve = vhost_reserve,
	.commit = vhost_commit,
	.flush = vhost_flush,
	.event = vhost_event,
	.poll = vhost_poll,
	.attach = vhost_attach,
};

/* Features to offer, with the largest set of offloads */
static uint64_t features(enum tap_offload max)
{
	uint64_t f = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC |
		     VIRTIO_F_EVENT_IDX | VIRTIO_NET_F_MRG_RXBUF |
		     VIRTIO_NET_F_MTU;

	if (max <= TAP_OFF_CSUM)
		f |= VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM;
	if (max <= TAP_OFF_TSO)
		f |= VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |
		     VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6;
	if (max <= TAP_OFF_USO)
		f |= VIRTIO_NET_F_HOST_USO | VIRTIO_NET_F_GUEST_USO4 |
		     VIRTIO_NET_F_GUEST_USO6;
	return f;
}

/**
 * tap_vhost_init() - Set up the backend
 * @t:		The backend; the caller sets the callbacks of t->tap
 * @fd:		Connected UNIX stream socket, ours to close; -1: there is none yet, see
 *		tap_attach()
 * @max:	Largest set of offloads to offer
 * @mtu:	Largest IP packet, bytes
 * @l:		Event loop; watches descriptors as REF_TAP with indexes VHOST_EV_*
 *
 * Return: 0 or negative errno
 */
int tap_vhost_init(struct tap_vhost *t, int fd, enum tap_offload max,
		   unsigned mtu, struct loop *l)
{
	tap_init(&t->tap, &vhost_ops, 0, mtu);
	vhost_user_init(&t->vu, l, features(max));
	t->vu.transfer = vhost_transfer;
	t->vu.ctx = t;
	t->mtu = t->tap.mtu;
	t->starved = t->more = false;
	t->tap.burst = TURN_BYTES;
	memset(&t->ahead, 0, offsetof(struct vhost_ahead, chain));
	state_changed(t);
	return fd < 0 ? 0 : vhost_attach(&t->tap, fd);
}
