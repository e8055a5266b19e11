/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost_user.c - The vhost-user protocol, seen from a network device's back-end
 *
 * The front-end (qemu, cloud-hypervisor, libkrun) sends messages over a UNIX stream
 * socket, some with descriptors: which features the guest's driver has acknowledged,
 * where the guest's memory and rings are, and eventfds to kick and call by. Here the
 * messages become the state of the device; tap_vhost.c moves frames through it.
 *
 * A queue runs while it is started and enabled. It is started by SET_VRING_KICK and
 * stopped by GET_VRING_BASE. "Enabled" is a switch of its own: qemu turns it on long
 * before the start, and never again. Another start of a queue that was never stopped
 * (cloud-hypervisor after a reset) is known by SET_VRING_BASE before the kick.
 *
 * Memory may change while queues run. Their rings are translated anew then, and one
 * that does not resolve any more is stopped. The caller has given back all chains that
 * it took ahead before it lets us read, so nothing else points into that memory.
 *
 * A message that breaks a rule changes nothing. If the front-end wants an answer, it
 * gets an error; qemu then drops the device cleanly. Only a stream that can't be parsed
 * ends the connection. Descriptors that a message should not have are closed.
 *
 * While a guest migrates, the front-end has to know which pages we write to (dirtylog.c).
 * LOG_ALL asks for that of all buffers, a flag of SET_VRING_ADDR for that of a used ring.
 * Both may come while queues run. If a device starts during a migration, qemu sends the
 * log last, after the kicks. So queues with that flag wait for a log, since the target
 * would miss a write without one. There may also be an older log, which qemu does not
 * read any more: what is left in it is carried over.
 *
 * Kicks are edges: an eventfd that is written to raises EPOLLIN | EPOLLET each time,
 * so it is never read.
 */

#include "vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"
#include "util.h"

/* Requests of the front-end */
enum {
	REQ_GET_FEATURES = 1, REQ_SET_FEATURES, REQ_SET_OWNER, REQ_RESET_OWNER,
	REQ_SET_MEM_TABLE, REQ_SET_LOG_BASE, REQ_SET_LOG_FD, REQ_SET_VRING_NUM,
	REQ_SET_VRING_ADDR, REQ_SET_VRING_BASE, REQ_GET_VRING_BASE,
	REQ_SET_VRING_KICK, REQ_SET_VRING_CALL, REQ_SET_VRING_ERR,
	REQ_GET_PROTOCOL_FEATURES, REQ_SET_PROTOCOL_FEATURES, REQ_GET_QUEUE_NUM,
	REQ_SET_VRING_ENABLE, REQ_SEND_RARP, REQ_NET_SET_MTU,
	REQ_RESET_DEVICE = 34, REQ_GET_MAX_MEM_SLOTS = 36, REQ_ADD_MEM_REG,
	REQ_REM_MEM_REG, REQ_SET_DEVICE_STATE_FD = 42, REQ_CHECK_DEVICE_STATE,
};

enum {					/* flags of a message */
	FLAG_VERSION = 1, FLAG_VERSION_MASK = 3,
	FLAG_REPLY = 4, FLAG_NEED_REPLY = 8,
};

#define PROTOCOL_F_LOG_SHMFD		VHOST_F(1)
#define PROTOCOL_F_RARP			VHOST_F(2)
#define PROTOCOL_F_REPLY_ACK		VHOST_F(3)
#define PROTOCOL_F_NET_MTU		VHOST_F(4)
#define PROTOCOL_F_RESET_DEVICE		VHOST_F(13)
#define PROTOCOL_F_CONFIGURE_MEM_SLOTS	VHOST_F(15)
#define PROTOCOL_F_DEVICE_STATE		VHOST_F(19)
#define PROTOCOL_OFFER	(PROTOCOL_F_LOG_SHMFD | PROTOCOL_F_RARP | \
			 PROTOCOL_F_REPLY_ACK | PROTOCOL_F_NET_MTU | \
			 PROTOCOL_F_RESET_DEVICE | \
			 PROTOCOL_F_CONFIGURE_MEM_SLOTS | \
			 PROTOCOL_F_DEVICE_STATE)

/* Features of vhost-user itself, beside those of the device */
#define OWN_OFFER	(VHOST_F_LOG_ALL | VHOST_USER_F_PROTOCOL_FEATURES)

#define TABLE_REGIONS	8		/* of one SET_MEM_TABLE */
#define VRING_INDEX	0xff		/* bits of a number with a descriptor */
#define VRING_NOFD	0x100
#define STATE_NOFD	0x100		/* the descriptor to use is the front-end's */
#define STATE_ERROR	1
#define VRING_F_LOG	1		/* flag of SET_VRING_ADDR */
#define MTU_MIN		68		/* of IPv4: RFC 791, 3.2 */
#define MESSAGES	64		/* handled in one turn */

struct msg_vring_state { uint32_t index, num; };
struct msg_vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};
struct msg_log { uint64_t size, offset; };
struct msg_region { uint64_t gpa, size, user, offset; };
struct msg_mem_reg { uint64_t padding; struct msg_region region; };
struct msg_mem_table {
	uint32_t n, padding;
	struct msg_region region[TABLE_REGIONS];
};

struct msg_state { uint32_t load, phase; };

union payload {
	uint64_t u64;
	struct msg_vring_state state;
	struct msg_vring_addr addr;
	struct msg_log log;
	struct msg_mem_reg reg;
	struct msg_mem_table table;
	struct msg_state state_fd;
};
static_assert(sizeof(union payload) == 264, "vhost-user, message types");
static_assert(sizeof(union payload) <= VHOST_MSG_MAX, "the longest message fits");

/* The queue that a message names; NULL if there is none */
static struct vhost_queue *vring_of(struct vhost_user *u, uint64_t index)
{
	return index < VHOST_QUEUES ? &u->queue[index] : NULL;
}

static unsigned index_of(const struct vhost_user *u, const struct vhost_queue *q)
{
	return (unsigned)(q - u->queue);
}

/* Take the only descriptor of a message, which is ours then */
static int take_fd(struct vhost_user *u)
{
	return u->fds.n ? u->fds.fd[--u->fds.n] : -1;
}

/* #syscalls:vhost close */
static void drop_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The front-end holds the eventfd, too: closing alone would not end our watch */
static void drop_kick(struct vhost_user *u, struct vhost_queue *q)
{
	if (q->kick >= 0)
		loop_del(u->loop, q->kick);
	drop_fd(&q->kick);
}

static void stop_queue(struct vhost_user *u, struct vhost_queue *q)
{
	if (q->vq.desc)
		q->base = q->vq.next;
	q->rebased = false;
	vq_stop(&q->vq);
	drop_kick(u, q);
}

/* Bring the state of running rings in line with features that changed */
static void apply_features(struct vhost_user *u)
{
	unsigned i;

	for (i = 0; i < VHOST_QUEUES; i++) {
		struct virtqueue *vq = &u->queue[i].vq;

		vq->event_idx = u->features & VIRTIO_F_EVENT_IDX;
		vq->indirect = u->features & VIRTIO_F_INDIRECT_DESC;
	}
}

static void drop_state(struct vhost_user *u)
{
	if (u->state.fd >= 0 && u->state.load)
		loop_del(u->loop, u->state.fd);
	drop_fd(&u->state.fd);
}

/* Tell by an eventfd */
/* #syscalls:vhost write */
static void signal_fd(int fd)
{
	const uint64_t one = 1;

	/* One at its maximum has told already */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		debug_limited_rc(errno, "Couldn't signal the front-end");
}

/*
 * Start a ring. What was used before may not have been told: by us, through an eventfd
 * that nobody listened to any more, or by another back-end that ended in between. The
 * driver then asks for no further call, so it gets one for nothing.
 */
static int start_queue(struct vhost_user *u, struct vhost_queue *q)
{
	int rc;

	drop_state(u);			/* it comes too late */
	q->vq.size = q->size;
	q->rebased = q->reported = false;
	rc = vq_start(&q->vq, &q->at, q->base);
	if (rc)
		return rc;
	if (index_of(u, q) == VHOST_TO_GUEST)
		u->started = true;
	signal_fd(q->call);
	return 0;
}

/* Find rings in memory that has changed; a ring that is gone is stopped */
static int relocate_queues(struct vhost_user *u)
{
	int rc = 0, failed;
	unsigned i;

	for (i = 0; i < VHOST_QUEUES; i++) {
		struct vhost_queue *q = &u->queue[i];

		if (!q->vq.desc)
			continue;
		q->base = q->vq.next;
		failed = vq_relocate(&q->vq, &q->at);
		if (failed)
			rc = failed;
	}
	return rc;
}

/* Handlers: 0 or a negative errno; @p is the message, and the answer if there is one */

static int get_features(struct vhost_user *u, union payload *p)
{
	p->u64 = u->offer | OWN_OFFER;
	return 0;
}

static int set_features(struct vhost_user *u, union payload *p)
{
	unsigned i;

	if (p->u64 & ~(u->offer | OWN_OFFER))
		return -EINVAL;
	u->features = p->u64;
	apply_features(u);
	/* A front-end that does not know the switch has it on */
	for (i = 0; !(p->u64 & VHOST_USER_F_PROTOCOL_FEATURES) &&
		    i < VHOST_QUEUES; i++)
		u->queue[i].enabled = true;
	return 0;
}

static int get_protocol_features(struct vhost_user *u, union payload *p)
{
	(void)u;
	p->u64 = PROTOCOL_OFFER;
	return 0;
}

static int set_protocol_features(struct vhost_user *u, union payload *p)
{
	if (p->u64 & ~PROTOCOL_OFFER)
		return -EINVAL;
	u->protocol = p->u64;
	return 0;
}

static int set_owner(struct vhost_user *u, union payload *p)
{
	(void)u;
	(void)p;
	return 0;
}

static int reset_device(struct vhost_user *u, union payload *p)
{
	unsigned i;

	(void)p;
	for (i = 0; i < VHOST_QUEUES; i++) {
		stop_queue(u, &u->queue[i]);
		u->queue[i].enabled = false;
		u->queue[i].base = 0;
	}
	return 0;
}

static int get_queue_num(struct vhost_user *u, union payload *p)
{
	(void)u;
	p->u64 = 1;		/* pairs for qemu; others ask in vain */
	return 0;
}

static int get_max_mem_slots(struct vhost_user *u, union payload *p)
{
	(void)u;
	p->u64 = GUESTMEM_REGIONS;
	return 0;
}

static int share_region(struct guestmem *m, const struct msg_region *r, int fd)
{
	const struct guestmem_range at = { r->gpa, r->user, r->size };

	return guestmem_add(m, &at, fd, r->offset);
}

static int set_mem_table(struct vhost_user *u, union payload *p)
{
	struct guestmem mem = { .n = 0 };
	int rc = 0;
	unsigned i;

	if (!p->table.n || p->table.n > TABLE_REGIONS ||
	    u->fds.n != p->table.n ||
	    u->hdr.size < offsetof(struct msg_mem_table, region[p->table.n]))
		return -EINVAL;
	for (i = 0; i < p->table.n && !rc; i++)
		rc = share_region(&mem, &p->table.region[i], u->fds.fd[i]);
	if (rc) {
		guestmem_clear(&mem);
		return rc;
	}
	guestmem_clear(&u->mem);
	u->mem = mem;
	return relocate_queues(u);
}

static int add_mem_reg(struct vhost_user *u, union payload *p)
{
	return u->fds.n == 1 ?
	       share_region(&u->mem, &p->reg.region, u->fds.fd[0]) : -EINVAL;
}

static int rem_mem_reg(struct vhost_user *u, union payload *p)
{
	const struct msg_region *r = &p->reg.region;
	const struct guestmem_range at = { r->gpa, r->user, r->size };
	int rc = guestmem_remove(&u->mem, &at);

	return rc ? rc : relocate_queues(u);
}

/* Use a new log, with all that was not fetched from the last one */
static int set_log_base(struct vhost_user *u, union payload *p)
{
	struct dirtylog new;
	unsigned i;
	int rc;

	if (u->fds.n != 1)
		return -EINVAL;
	rc = dirtylog_open(&new, u->fds.fd[0], p->log.offset, p->log.size,
			   guestmem_end(&u->mem));
	if (rc)
		return rc;
	for (i = 0; i < u->mem.n; i++) {
		const struct guestmem_range *at = &u->mem.region[i].at;

		dirtylog_carry(&new, &u->log, at->gpa, at->size);
	}
	dirtylog_close(&u->log);
	u->log = new;
	for (i = 0; i < VHOST_QUEUES; i++)
		vq_log_used(&u->queue[i].vq);
	return 0;
}

/* The front-end would be told by this eventfd that there is something in the log, but
 * it has to look into the log anyway */
static int set_log_fd(struct vhost_user *u, union payload *p)
{
	(void)p;
	return u->fds.n == 1 ? 0 : -EINVAL;
}

static int set_vring_num(struct vhost_user *u, union payload *p)
{
	struct vhost_queue *q = vring_of(u, p->state.index);
	uint32_t n = p->state.num;

	if (!q || !n || n > VQ_SIZE_MAX || n & (n - 1))
		return -EINVAL;
	q->size = n;
	return 0;
}

/* On a ring that runs, for instance to have dirty pages logged, the place is the same */
static int set_vring_addr(struct vhost_user *u, union payload *p)
{
	struct vhost_queue *q = vring_of(u, p->addr.index);
	struct vq_addr at = { p->addr.desc, p->addr.avail, p->addr.used,
			      p->addr.log, p->addr.flags & VRING_F_LOG };
	int rc = 0;

	if (!q)
		return -EINVAL;
	if (q->vq.desc)
		rc = vq_relocate(&q->vq, &at);
	if (rc)
		vq_relocate(&q->vq, &q->at);	/* where it was */
	else
		q->at = at;
	return rc;
}

static int set_vring_base(struct vhost_user *u, union payload *p)
{
	struct vhost_queue *q = vring_of(u, p->state.index);

	if (!q || p->state.num > UINT16_MAX)
		return -EINVAL;
	q->base = (uint16_t)p->state.num;
	q->rebased = true;
	return 0;
}

static int get_vring_base(struct vhost_user *u, union payload *p)
{
	struct vhost_queue *q = vring_of(u, p->state.index);

	if (!q)
		return -EINVAL;
	stop_queue(u, q);
	p->state.num = q->base;
	return 0;
}

static int set_vring_enable(struct vhost_user *u, union payload *p)
{
	struct vhost_queue *q = vring_of(u, p->state.index);

	if (!q || p->state.num > 1)
		return -EINVAL;
	q->enabled = p->state.num;
	return 0;
}

static int set_vring_kick(struct vhost_user *u, union payload *p)
{
	struct vhost_queue *q = vring_of(u, p->u64 & VRING_INDEX);
	union epoll_ref ref = { .kind = REF_TAP };
	int fd, rc;

	/* Without a descriptor we would have to poll */
	if (!q || p->u64 & VRING_NOFD || u->fds.n != 1)
		return -EINVAL;
	ref.index = VHOST_EV_KICK + index_of(u, q);
	fd = take_fd(u);
	drop_kick(u, q);
	rc = loop_add(u->loop, fd, EPOLLIN | EPOLLET, ref);
	if (rc) {
		close(fd);
		return rc;
	}
	q->kick = fd;
	return q->vq.desc && !q->rebased ? 0 : start_queue(u, q);
}

/* May we write to this descriptor to tell somebody? A file would grow, a terminal could
 * stop us */
/* #syscalls:vhost fstat fstat64 newfstatat fstatat64 statx */
static bool can_signal(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) &&
	       !S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode);
}

/* Set an eventfd that we write to; without one, nobody is told */
/* #syscalls:vhost fcntl fcntl64 */
static int set_vring_fd(struct vhost_user *u, uint64_t arg, int *fd)
{
	int fl;

	if (arg & VRING_NOFD) {
		drop_fd(fd);
		return 0;
	}
	if (u->fds.n != 1 || !can_signal(u->fds.fd[0]))
		return -EINVAL;
	/* An eventfd at its maximum would block us */
	fl = fcntl(u->fds.fd[0], F_GETFL);
	if (fl < 0 || fcntl(u->fds.fd[0], F_SETFL, fl | O_NONBLOCK))
		return -errno;
	drop_fd(fd);
	*fd = take_fd(u);
	return 0;
}

/* A call may have gone to the eventfd before, which nobody listens to any more */
static int set_vring_call(struct vhost_user *u, union payload *p)
{
	struct vhost_queue *q = vring_of(u, p->u64 & VRING_INDEX);
	int rc = q ? set_vring_fd(u, p->u64, &q->call) : -EINVAL;

	if (!rc && q->vq.desc)
		signal_fd(q->call);
	return rc;
}

static int set_vring_err(struct vhost_user *u, union payload *p)
{
	struct vhost_queue *q = vring_of(u, p->u64 & VRING_INDEX);

	return q ? set_vring_fd(u, p->u64, &q->err) : -EINVAL;
}

static int send_rarp(struct vhost_user *u, union payload *p)
{
	(void)p;
	u->rarp = true;
	return 0;
}

static int net_set_mtu(struct vhost_user *u, union payload *p)
{
	if (p->u64 < MTU_MIN || p->u64 > UINT16_MAX)
		return -EINVAL;
	u->mtu = (unsigned)p->u64;
	return 0;
}

/* Can we wait for this descriptor, up to a deadline? Files may block for good */
/* #syscalls:vhost fstat fstat64 newfstatat statx */
static bool has_deadline(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Take a pipe for the state, to use it after the answer; all queues are stopped */
static int set_device_state_fd(struct vhost_user *u, union payload *p)
{
	const union epoll_ref ref = { .kind = REF_TAP, .index = VHOST_EV_STATE };
	bool load = p->state_fd.load;
	unsigned i;
	int rc;

	if (p->state_fd.load > 1 || p->state_fd.phase || u->fds.n != 1 ||
	    !has_deadline(u->fds.fd[0]))
		return -EINVAL;
	for (i = 0; i < VHOST_QUEUES; i++)
		if (u->queue[i].vq.desc)
			return -EBUSY;
	rc = load ? loop_add(u->loop, u->fds.fd[0], EPOLLIN, ref) : 0;
	if (rc)
		return rc;
	drop_state(u);
	u->state = (struct vhost_state){ .fd = take_fd(u), .load = load };
	p->u64 = STATE_NOFD;
	return 0;
}

static void transfer_state(struct vhost_user *u)
{
	u->state.rc = u->transfer ? u->transfer(u->ctx, u->state.load, u->state.fd) :
				    -EOPNOTSUPP;
	u->state.done = u->moving = true;
	drop_state(u);
}

/* The front-end reads what we write, but only after our answer */
static void save_state(struct vhost_user *u)
{
	if (u->state.fd >= 0 && !u->state.load)
		transfer_state(u);
}

static int check_device_state(struct vhost_user *u, union payload *p)
{
	vhost_user_load(u);		/* its event may come later */
	if (!u->state.done)
		return -ENODATA;
	u->state.done = false;
	p->u64 = u->state.rc ? STATE_ERROR : 0;
	return 0;
}

/**
 * struct request - What is known of a request
 * @handle:	Handler, NULL: we don't know the request
 * @size:	Bytes of its payload, at least
 * @answers:	The payload is the answer if the handler returns 0
 */
static const struct request {
	int (*handle)(struct vhost_user *u, union payload *p);
	uint16_t size;
	bool answers;
} requests[] = {
	[REQ_GET_FEATURES] = { get_features, 0, true },
	[REQ_SET_FEATURES] = { set_features, 8, false },
	[REQ_SET_OWNER] = { set_owner, 0, false },
	[REQ_RESET_OWNER] = { reset_device, 0, false },
	[REQ_SET_MEM_TABLE] = { set_mem_table, 8, false },
	[REQ_SET_LOG_BASE] = { set_log_base, sizeof(struct msg_log), false },
	[REQ_SET_LOG_FD] = { set_log_fd, 0, false },
	[REQ_SET_VRING_NUM] = { set_vring_num, 8, false },
	[REQ_SET_VRING_ADDR] = { set_vring_addr, 40, false },
	[REQ_SET_VRING_BASE] = { set_vring_base, 8, false },
	[REQ_GET_VRING_BASE] = { get_vring_base, 8, true },
	[REQ_SET_VRING_KICK] = { set_vring_kick, 8, false },
	[REQ_SET_VRING_CALL] = { set_vring_call, 8, false },
	[REQ_SET_VRING_ERR] = { set_vring_err, 8, false },
	[REQ_GET_PROTOCOL_FEATURES] = { get_protocol_features, 0, true },
	[REQ_SET_PROTOCOL_FEATURES] = { set_protocol_features, 8, false },
	[REQ_GET_QUEUE_NUM] = { get_queue_num, 0, true },
	[REQ_SET_VRING_ENABLE] = { set_vring_enable, 8, false },
	[REQ_SEND_RARP] = { send_rarp, 8, false },
	[REQ_NET_SET_MTU] = { net_set_mtu, 8, false },
	[REQ_RESET_DEVICE] = { reset_device, 0, false },
	[REQ_GET_MAX_MEM_SLOTS] = { get_max_mem_slots, 0, true },
	[REQ_ADD_MEM_REG] = { add_mem_reg, sizeof(struct msg_mem_reg), false },
	[REQ_REM_MEM_REG] = { rem_mem_reg, sizeof(struct msg_mem_reg), false },
	[REQ_SET_DEVICE_STATE_FD] = { set_device_state_fd, 8, true },
	[REQ_CHECK_DEVICE_STATE] = { check_device_state, 0, true },
};

/* The answer to a request that fails, if there is a place for an error in it */
static uint64_t error_answer(uint32_t request)
{
	switch (request) {
	case REQ_SET_DEVICE_STATE_FD:
		return STATE_NOFD | STATE_ERROR;
	case REQ_CHECK_DEVICE_STATE:
		return STATE_ERROR;
	default:
		return 0;
	}
}

/* Send the answer to the current message; an answer is short, so the socket takes it
 * unless the front-end does not read at all */
/* #syscalls:vhost sendto */
static int answer(struct vhost_user *u, const void *data, uint32_t size)
{
	struct {
		struct vhost_msg_hdr hdr;
		uint8_t payload[8];
	} m = { .hdr = { u->hdr.request, FLAG_VERSION | FLAG_REPLY, size } };
	ssize_t len = (ssize_t)(sizeof(m.hdr) + size), n;

	memcpy(m.payload, data, size);
	n = send(u->fd, &m, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n == len ? 0 : n < 0 ? -errno : -EPROTO;
}

/* Does the front-end want used rings logged, but has not shared the log yet? */
static bool awaits_log(const struct vhost_user *u)
{
	bool logged = false;
	unsigned i;

	for (i = 0; i < VHOST_QUEUES; i++)
		logged |= u->queue[i].at.logged;
	return logged && u->protocol & PROTOCOL_F_LOG_SHMFD &&
	       !dirtylog_exists(&u->log);
}

/* Is the current message to be answered by 0 or an error? Some front-ends ask for that
 * each time, and all that may share a log wait for the answer to it */
static bool wants_status(const struct vhost_user *u)
{
	if (u->hdr.request == REQ_SET_LOG_BASE &&
	    u->protocol & PROTOCOL_F_LOG_SHMFD)
		return true;
	return u->hdr.flags & FLAG_NEED_REPLY &&
	       u->protocol & PROTOCOL_F_REPLY_ACK;
}

/* Handle a complete message. Negative errno: the connection can't go on */
static int handle(struct vhost_user *u)
{
	const struct request *r = u->hdr.request < ARRAY_SIZE(requests) ?
				  &requests[u->hdr.request] : &requests[0];
	bool asked = wants_status(u);
	union payload p = { .u64 = 0 };
	uint64_t status;
	int rc;

	memcpy(&p, u->payload, u->hdr.size < sizeof(p) ? u->hdr.size :
							 sizeof(p));
	if (!r->handle)
		rc = -EOPNOTSUPP;
	else
		rc = u->hdr.size < r->size ? -EMSGSIZE : r->handle(u, &p);
	fdpass_close(&u->fds);
	u->log_awaited = awaits_log(u);
	if (rc)
		warn_limited_rc(rc, "vhost-user request %u was refused",
				u->hdr.request);
	status = rc != 0;
	if (!r->answers)
		return asked ? answer(u, &status, sizeof(status)) : 0;
	if (rc)
		p.u64 = error_answer(u->hdr.request);
	rc = answer(u, &p, sizeof(p.u64));
	if (!rc)
		save_state(u);
	return rc;
}

/* Receive the current message up to byte @total. Return: 1: it is there, 0: try later,
 * or negative errno */
static int receive(struct vhost_user *u, size_t total)
{
	while (u->have < total) {
		uint8_t *to = u->have < sizeof(u->hdr) ?
			      (uint8_t *)&u->hdr + u->have :
			      u->payload + (u->have - sizeof(u->hdr));
		struct fdpass fds;
		ssize_t n = fdpass_read(u->fd, to, total - u->have, &fds,
					MSG_DONTWAIT);
		unsigned i;

		if (n < 0)
			return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
		for (i = 0; i < fds.n; i++) {
			if (u->fds.n < FDPASS_MAX)
				u->fds.fd[u->fds.n++] = fds.fd[i];
			else
				close(fds.fd[i]);
		}
		if (!n)
			return u->have ? -EPROTO : -EPIPE;
		u->have += (size_t)n;
	}
	return 1;
}

static bool is_header(const struct vhost_msg_hdr *h)
{
	return (h->flags & FLAG_VERSION_MASK) == FLAG_VERSION &&
	       h->size <= VHOST_MSG_MAX;
}

/**
 * vhost_user_read() - Receive messages, and act on them
 * @u:		The connection, which has an event
 *
 * The caller has given back all chains that it holds: the memory may change.
 *
 * Return: 0, or negative errno: the connection is to be closed; -EPIPE: the front-end
 * has closed it
 */
int vhost_user_read(struct vhost_user *u)
{
	unsigned i;
	int rc;

	for (i = 0; i < MESSAGES; i++) {
		rc = receive(u, sizeof(u->hdr));
		if (rc > 0 && !is_header(&u->hdr))
			return -EPROTO;
		if (rc > 0)
			rc = receive(u, sizeof(u->hdr) + u->hdr.size);
		if (rc <= 0)
			return rc;
		u->have = 0;
		rc = handle(u);
		if (rc)
			return rc;
	}
	return 0;
}

/* vhost_user_load() - Read the state of the device, if the front-end writes it now */
void vhost_user_load(struct vhost_user *u)
{
	if (u->state.fd >= 0 && u->state.load)
		transfer_state(u);
}

/* vhost_user_call() - Interrupt the guest: buffers of this queue were used */
void vhost_user_call(struct vhost_user *u, unsigned queue)
{
	signal_fd(u->queue[queue].call);
}

/* vhost_user_report() - Report once if the guest's driver has broken a queue */
void vhost_user_report(struct vhost_user *u, unsigned queue)
{
	struct vhost_queue *q = &u->queue[queue];

	if (!q->vq.desc || !q->vq.broken || q->reported)
		return;
	q->reported = true;
	warn_limited("Queue %u of the guest stands still until its driver starts it "
		     "again: %s", queue, q->vq.broken);
	signal_fd(q->err);
}

/**
 * vhost_user_init() - Set up without a connection
 * @u:		Set
 * @l:		Event loop
 * @offer:	Features to offer
 */
void vhost_user_init(struct vhost_user *u, struct loop *l, uint64_t offer)
{
	unsigned i;

	memset(u, 0, sizeof(*u));
	u->loop = l;
	u->fd = u->state.fd = -1;
	u->offer = offer;
	for (i = 0; i < VHOST_QUEUES; i++) {
		struct vhost_queue *q = &u->queue[i];

		q->kick = q->call = q->err = -1;
		q->vq.mem = &u->mem;
		q->vq.log = &u->log;
		q->vq.direction = i == VHOST_TO_GUEST ? VQ_TO_GUEST :
							VQ_FROM_GUEST;
	}
}

/**
 * vhost_user_attach() - Serve a front-end
 * @u:		Without a connection
 * @fd:		Connected UNIX stream socket, ours if this succeeds
 *
 * Return: 0 or negative errno; -EBUSY: there is a connection already
 */
int vhost_user_attach(struct vhost_user *u, int fd)
{
	const union epoll_ref ref = { .kind = REF_TAP,
				      .index = VHOST_EV_SOCKET };
	int rc;

	if (u->fd >= 0)
		return -EBUSY;
	rc = loop_add(u->loop, fd, EPOLLIN, ref);
	if (!rc)
		u->fd = fd;
	return rc;
}

/* vhost_user_close() - Forget the front-end, its memory and its descriptors */
void vhost_user_close(struct vhost_user *u)
{
	unsigned i;

	if (u->fd < 0)
		return;
	for (i = 0; i < VHOST_QUEUES; i++) {
		struct vhost_queue *q = &u->queue[i];

		stop_queue(u, q);
		drop_fd(&q->call);
		drop_fd(&q->err);
		q->at = (struct vq_addr){ .logged = false };
		q->size = 0;
		q->base = 0;
		q->enabled = false;
	}
	drop_state(u);
	u->state.done = false;
	fdpass_close(&u->fds);
	guestmem_clear(&u->mem);
	dirtylog_close(&u->log);
	loop_del(u->loop, u->fd);
	drop_fd(&u->fd);
	u->features = u->protocol = 0;
	u->mtu = 0;
	u->started = u->rarp = u->moving = u->log_awaited = false;
	u->have = 0;
}
