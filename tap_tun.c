/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap_tun.c - A tun device of type tap
 *
 * With a virtio-net header before each frame (IFF_VNET_HDR) the kernel hands
 * over unsegmented frames of up to 64 KiB with partial checksums, and takes the
 * same. We try one set of offloads after the other (enum tap_offload), since
 * TUNSETOFFLOAD fails with EINVAL if a bit is unknown.
 *
 * A tun device never pushes back: it takes a frame, drops it silently, or fails
 * the write, and poll() reports it as writable all the same. So frames are written
 * in commit(), one write() each, from one small buffer that stays in the cache. A
 * frame that can't be written is lost, and counted.
 *
 * Received frames are read one after the other into one buffer, small ones
 * densely. A batch ends when the device is empty, when it is full, or before its
 * first bytes would leave the cache.
 */

#include "tap_tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "tap.h"
#include "wire.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4	0x20		/* Linux 6.2 */
#define TUN_F_USO6	0x40
#endif

/* Steps of the ladder: bits that the device is asked for, and TAP_* that follow */
static const struct {
	unsigned bits, caps;
} ladder[] = {
	[TAP_OFF_USO] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6,
		TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_USO,
	},
	[TAP_OFF_TSO] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
		TAP_CSUM | TAP_TSO4 | TAP_TSO6,
	},
	[TAP_OFF_CSUM] = { TUN_F_CSUM, TAP_CSUM },
	[TAP_OFF_VNET] = { 0, 0 },
};

/* Set the first step from @from on that the device takes; fills in info->caps */
static void set_offloads(int fd, enum tap_offload from,
			 struct tap_tun_info *info)
{
	int size = sizeof(struct vnet_hdr);
	unsigned i;

	info->caps = TAP_JUMBO;
	if (!info->vnet)
		return;
	/* Another process may have set another size before it passed us the device */
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
		debug_rc(errno, "TUNSETVNETHDRSZ");

	for (i = from; i <= TAP_OFF_VNET; i++) {
		if (!ioctl(fd, TUNSETOFFLOAD, (unsigned long)ladder[i].bits)) {
			info->caps |= ladder[i].caps;
			return;
		}
		debug_rc(errno, "TUNSETOFFLOAD 0x%x", ladder[i].bits);
	}
}

static int set_iff(int fd, const char *ifname, bool vnet,
		   struct tap_tun_info *info)
{
	struct ifreq ifr = { 0 };

	if (strlen(ifname) >= sizeof(ifr.ifr_name))
		return -ENAMETOOLONG;
	memcpy(ifr.ifr_name, ifname, strlen(ifname));
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI |
				(vnet ? IFF_VNET_HDR : 0));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	info->vnet = vnet;
	memcpy(info->ifname, ifr.ifr_name, sizeof(info->ifname));
	info->ifname[sizeof(info->ifname) - 1] = '\0';
	return 0;
}

/**
 * tap_tun_open() - Make a tap device in the network namespace we are in
 * @c:		offload_max is read: the first step of the ladder to try
 * @ifname:	Name of the interface, may hold a "%d"
 * @info:	Set to the features of the device
 *
 * The device belongs to the namespace in which /dev/net/tun is opened, not to that
 * of the ioctl(). To be called before the sandbox.
 *
 * Return: file descriptor, non-blocking and close-on-exec; or negative errno:
 * ENOENT, EACCES, ENODEV or ENXIO from opening, EPERM where the namespace is
 * not ours, EBUSY where @ifname is in use
 */
int tap_tun_open(const struct conf *c, const char *ifname,
		 struct tap_tun_info *info)
{
	bool vnet = c->offload_max < TAP_OFF_NONE;
	int fd, rc;

	memset(info, 0, sizeof(*info));
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = set_iff(fd, ifname, vnet, info);
	if (rc == -EINVAL && vnet)
		rc = set_iff(fd, ifname, false, info);
	if (rc) {
		close(fd);
		return rc;
	}
	set_offloads(fd, c->offload_max, info);
	return fd;
}

/**
 * tap_tun_info_from_fd() - Prepare a tap device that we were given
 * @c:		offload_max is read: the first step of the ladder to try
 * @fd:		Descriptor of the device; becomes non-blocking and close-on-exec
 * @info:	Set to the features of the device
 *
 * Return: 0; -ENOTTY if @fd is no tun device, -EPROTOTYPE if it is not of type tap
 * or has packet information (not IFF_TAP | IFF_NO_PI); or another negative errno
 */
int tap_tun_info_from_fd(const struct conf *c, int fd,
			 struct tap_tun_info *info)
{
	struct ifreq ifr = { 0 };
	int fl;

	memset(info, 0, sizeof(*info));
	/* musl declares the request as int, and the number does not fit */
	if (ioctl(fd, (int)TUNGETIFF, &ifr) < 0)
		return errno == EINVAL || errno == EOPNOTSUPP ? -ENOTTY
							      : -errno;
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
		return -EPROTOTYPE;

	fl = fcntl(fd, F_GETFL);
	if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;

	info->vnet = ifr.ifr_flags & IFF_VNET_HDR;
	memcpy(info->ifname, ifr.ifr_name, sizeof(info->ifname));
	info->ifname[sizeof(info->ifname) - 1] = '\0';
	set_offloads(fd, c->offload_max, info);
	return 0;
}

/**
 * tap_tun_mac() - Ethernet address of the interface in the namespace
 * @fd:		Descriptor of the device
 * @mac:	Set
 *
 * Return: 0 or negative errno
 */
int tap_tun_mac(int fd, uint8_t mac[MAC_LEN])
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(mac, ifr.ifr_hwaddr.sa_data, MAC_LEN);
	return 0;
}

static struct tap_tun *to_tun(struct tap *t)
{
	return (struct tap_tun *)((char *)t - offsetof(struct tap_tun, tap));
}

/* Lend frames side by side in the transmit buffer, with aligned payload */
static struct txframe *tun_reserve(struct tap *tap, unsigned *n, size_t hdrlen,
				   size_t room)
{
	struct tap_tun *t = to_tun(tap);
	size_t head = TUN_ALIGN(sizeof(struct vnet_hdr) + hdrlen);
	size_t slot = head + TUN_ALIGN(room);
	uint8_t *payload = t->tx + head;
	unsigned i;

	if (t->fd < 0 || hdrlen > TAP_HDR_MAX || slot > sizeof(t->tx)) {
		*n = 0;
		return NULL;
	}
	if (*n > TAP_TX_BATCH)
		*n = TAP_TX_BATCH;
	if (*n > sizeof(t->tx) / slot)
		*n = (unsigned)(sizeof(t->tx) / slot);

	for (i = 0; i < *n; i++, payload += slot)
		tap_frame_lend(&t->frames[i], payload, hdrlen, slot - head);
	return t->frames;
}

/*
 * Write the virtio-net header right before the frame. With the exact hdr_len the
 * kernel puts payload into pages of its own; with 0 it wants the whole frame
 * contiguous.
 */
static void put_vnet(const struct txframe *f)
{
	struct vnet_hdr h = { .hdr_len = f->hdrlen };

	if (f->csum_partial) {
		h.flags = VNET_F_NEEDS_CSUM;
		h.csum_start = f->csum_start;
		h.csum_offset = f->csum_offset;
	}
	if (f->gso_type != VNET_GSO_NONE) {
		h.gso_type = f->gso_type;
		h.gso_size = f->gso_size;
	}
	memcpy(f->hdr - sizeof(h), &h, sizeof(h));
}

/* tun_commit() - Write frames; one that can't be written is lost, but "queued" */
/* #syscalls write */
static unsigned tun_commit(struct tap *tap, unsigned n)
{
	struct tap_tun *t = to_tun(tap);
	size_t vlen = t->vnet ? sizeof(struct vnet_hdr) : 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct txframe *f = &t->frames[i];
		size_t len = f->hdrlen + f->len;

		if (t->vnet)
			put_vnet(f);
		if (write(t->fd, f->hdr - vlen, vlen + len) < 0) {
			tap->stats.tx_dropped++;
			debug_limited_rc(errno, "Frame of %zu bytes lost", len);
			continue;
		}
		tap->stats.tx_frames++;
		tap->stats.tx_bytes += len;
	}
	return n;
}

static bool tun_flush(struct tap *tap)
{
	(void)tap;
	return false;
}

/* The device is gone: close it, report that once */
/* #syscalls close */
static void tun_close(struct tap_tun *t, int error)
{
	if (t->fd < 0)
		return;
	loop_del(t->loop, t->fd);
	close(t->fd);
	t->fd = -1;
	if (t->tap.closed)
		t->tap.closed(t->tap.ctx, error);
}

/* Parse one frame, which begins with a virtio-net header if t->vnet */
static void tun_frame(struct tap_tun *t, unsigned *n, const uint8_t *p,
		      size_t len)
{
	struct view frame = view_of(p, len);
	struct rx_offload off = { 0 };
	struct vnet_hdr h;

	if (t->vnet) {
		if (!view_take(&frame, &h, sizeof(h)))
			return;
		off.csum_partial = h.flags &
				   (VNET_F_NEEDS_CSUM | VNET_F_DATA_VALID);
		off.gso_type = h.gso_type & (uint8_t)~VNET_GSO_ECN;
		off.gso_size = h.gso_size;
		if (h.flags & VNET_F_NEEDS_CSUM) {
			off.csum_start = h.csum_start;
			off.csum_offset = h.csum_offset;
		}
	}
	tap_rx_frame(&t->tap, t->pkts, n, &frame, &off);
}

/*
 * Read and hand over one batch. Return: 0 if there may be more frames, -EAGAIN if
 * there are none, or another negative errno.
 */
/* #syscalls read */
static int tun_rx_batch(struct tap_tun *t)
{
	size_t skip = TUN_RX_HEAD - sizeof(struct eth_hdr) -
		      (t->vnet ? sizeof(struct vnet_hdr) : 0);
	size_t pos = 0;
	unsigned n = 0;
	int rc = 0;

	while (n < TAP_RX_BATCH && pos < TUN_RX_BATCH_BYTES) {
		uint8_t *p = t->rx + pos + skip;
		ssize_t len = read(t->fd, p, TUN_RX_FRAME - skip);

		if (len < 0 && errno == EINVAL) {
			/* The header can't describe this frame: it is dropped */
			t->tap.stats.rx_bad[PKT_E_GSO]++;
			pos += TUN_ALIGN(1);
			continue;
		}
		if (len <= 0) {
			rc = len ? -errno : -EBADFD;
			break;
		}
		tun_frame(t, &n, p, (size_t)len);
		pos += TUN_ALIGN(skip + (size_t)len);
	}
	if (n)
		t->tap.rx(t->tap.ctx, t->pkts, n);
	return rc;
}

static void tun_event(struct tap *tap, unsigned which, uint32_t events)
{
	struct tap_tun *t = to_tun(tap);
	unsigned i;
	int rc = 0;

	(void)which;
	if (t->fd < 0)
		return;
	if (events & (EPOLLERR | EPOLLHUP)) {
		tun_close(t, 0);
		return;
	}
	for (i = 0; i < TUN_RX_BATCHES && !rc && t->fd >= 0; i++)
		rc = tun_rx_batch(t);
	if (rc && rc != -EAGAIN && rc != -EINTR)
		tun_close(t, rc == -EBADFD ? 0 : -rc);	/* deleted: no error */
}

static const struct tap_ops tun_ops = {
	.reserve = tun_reserve,
	.commit = tun_commit,
	.flush = tun_flush,
	.event = tun_event,
};

/**
 * tap_tun_init() - Send and receive through an open device from now on
 * @t:		The backend; the caller sets the callbacks of t->tap
 * @fd:		Descriptor from tap_tun_open(), ours to close
 * @info:	Features of the device, from tap_tun_open()
 * @mtu:	Largest IP packet, bytes
 * @l:		Event loop; watches @fd as REF_TAP with index 0
 *
 * Return: 0 or negative errno
 */
int tap_tun_init(struct tap_tun *t, int fd, const struct tap_tun_info *info,
		 unsigned mtu, struct loop *l)
{
	const union epoll_ref ref = { .kind = REF_TAP };

	tap_init(&t->tap, &tun_ops, info->caps, mtu);
	t->loop = l;
	t->fd = fd;
	t->vnet = info->vnet;
	return loop_add(l, fd, EPOLLIN, ref);
}
