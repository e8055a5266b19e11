/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.c - epoll and the timer wheel
 *
 * The wheel has levels of 64 slots; a slot of level n is 8^n ms wide. A timer
 * goes to the lowest level whose 64 slots reach far enough, into the first slot
 * that begins at or after its time, and stays there: nothing cascades. So arming,
 * cancelling and expiring cost the same however many timers there are, and the
 * next wake-up is known exactly from one bitmap a level. The price is that a timer
 * may expire late by about 1/8 of its delay: at least 63 slots of the level below
 * did not reach, and 8 of those are one slot here.
 */

#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define LEVEL_SHIFT(n)	((n) * 3U)

/**
 * wheel_init() - Set up an empty wheel
 * @w:		The wheel
 * @now_ms:	Current time
 */
void wheel_init(struct wheel *w, uint64_t now_ms)
{
	*w = (struct wheel){ .now_ms = now_ms, .clock_ms = now_ms };
}

/**
 * wheel_cancel() - Disarm a timer, if it is armed
 */
void wheel_cancel(struct wheel *w, struct timer *t)
{
	if (!t->pprev)
		return;

	*t->pprev = t->next;
	if (t->next)
		t->next->pprev = t->pprev;
	t->pprev = NULL;

	if (!w->slot[t->slot_level][t->slot_index])
		w->used[t->slot_level] &= ~(1ULL << t->slot_index);
}

/**
 * wheel_arm() - Arm a timer, again or for the first time
 * @w:		The wheel
 * @t:		Timer, zeroed or used before
 * @expires_ms:	Time to expire. A time that has passed means as soon as possible,
 *		but not in the current wheel_expire() round, so no handler can loop
 */
void wheel_arm(struct wheel *w, struct timer *t, uint64_t expires_ms)
{
	unsigned level, index;
	uint64_t bucket = 0;

	wheel_cancel(w, t);

	if (expires_ms <= w->clock_ms)
		expires_ms = w->clock_ms + 1;
	t->expires_ms = expires_ms;

	for (level = 0; level < WHEEL_LEVELS; level++) {
		unsigned shift = LEVEL_SHIFT(level);

		bucket = (expires_ms + (1ULL << shift) - 1) >> shift;
		if (bucket - (w->now_ms >> shift) <= WHEEL_SLOTS)
			break;
	}
	if (level == WHEEL_LEVELS) {	/* over 37 hours: the last slot */
		level--;
		bucket = (w->now_ms >> LEVEL_SHIFT(level)) + WHEEL_SLOTS;
	}

	index = bucket % WHEEL_SLOTS;
	t->slot_level = level;
	t->slot_index = index;
	t->next = w->slot[level][index];
	t->pprev = &w->slot[level][index];
	if (t->next)
		t->next->pprev = &t->next;
	w->slot[level][index] = t;
	w->used[level] |= 1ULL << index;
}

/* Time of the first used slot of a level, UINT64_MAX: none */
static uint64_t first_bucket(const struct wheel *w, unsigned level)
{
	uint64_t base = (w->now_ms >> LEVEL_SHIFT(level)) + 1;
	unsigned rot = base % WHEEL_SLOTS;
	uint64_t bits = w->used[level];

	if (!bits)
		return UINT64_MAX;
	if (rot)
		bits = bits >> rot | bits << (WHEEL_SLOTS - rot);

	return (base + __builtin_ctzll(bits)) << LEVEL_SHIFT(level);
}

/**
 * wheel_next() - Time of the next expiry
 *
 * Return: ms, -1 if no timer is armed
 */
int64_t wheel_next(const struct wheel *w)
{
	uint64_t next = UINT64_MAX;
	unsigned level;

	for (level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t at = first_bucket(w, level);

		if (at < next)
			next = at;
	}

	return next == UINT64_MAX ? -1 : (int64_t)next;
}

/**
 * wheel_expire() - Disarm one timer that is due
 * @w:		The wheel
 * @now_ms:	Current time; the same for all calls of a round
 *
 * Return: the timer; NULL if no more are due
 */
struct timer *wheel_expire(struct wheel *w, uint64_t now_ms)
{
	int64_t next = wheel_next(w);
	unsigned level;

	if (w->clock_ms < now_ms)
		w->clock_ms = now_ms;

	if (next < 0 || (uint64_t)next > now_ms) {
		if (w->now_ms < now_ms)
			w->now_ms = now_ms;
		return NULL;
	}

	w->now_ms = next - 1;
	for (level = 0; level < WHEEL_LEVELS; level++) {
		unsigned index = (next >> LEVEL_SHIFT(level)) % WHEEL_SLOTS;
		struct timer *t = w->slot[level][index];

		if (!t || first_bucket(w, level) != (uint64_t)next)
			continue;
		wheel_cancel(w, t);
		return t;
	}

	return NULL;			/* a used bit always has a timer */
}

/*
 * Move the wheel's time on to @now_ms, or to right before the next expiry. Otherwise a
 * timer that is armed after a long sleep, but before timers expire, would get a slot as
 * wide as if it had been armed before the sleep.
 */
static void wheel_advance(struct wheel *w, uint64_t now_ms)
{
	int64_t next = wheel_next(w);

	if (next >= 0 && (uint64_t)next <= now_ms)
		now_ms = next - 1;
	if (w->now_ms < now_ms)
		w->now_ms = now_ms;
	if (w->clock_ms < now_ms)
		w->clock_ms = now_ms;
}

/**
 * loop_update_clock() - Read CLOCK_MONOTONIC into l->now_ms
 */
/* #syscalls clock_gettime */
void loop_update_clock(struct loop *l)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	l->now_ms = (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/**
 * loop_init() - Make the epoll instance, start the clock
 *
 * Return: 0 or negative errno
 */
int loop_init(struct loop *l)
{
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0)
		return -errno;

	loop_update_clock(l);
	wheel_init(&l->wheel, l->now_ms);
	return 0;
}

static int loop_ctl(struct loop *l, int op, int fd, uint32_t events,
		    union epoll_ref ref)
{
	struct epoll_event ev = { .events = events, .data.u64 = ref.u64 };

	return epoll_ctl(l->epfd, op, fd, &ev) ? -errno : 0;
}

/**
 * loop_add() - Watch a descriptor
 *
 * Return: 0 or negative errno
 */
/* #syscalls epoll_ctl */
int loop_add(struct loop *l, int fd, uint32_t events, union epoll_ref ref)
{
	return loop_ctl(l, EPOLL_CTL_ADD, fd, events, ref);
}

/**
 * loop_mod() - Watch a descriptor for other events
 *
 * Events that are ready now are reported anew, and the kernel reports once a full
 * socket has room (SOCK_NOSPACE).
 *
 * Return: 0 or negative errno
 */
int loop_mod(struct loop *l, int fd, uint32_t events, union epoll_ref ref)
{
	return loop_ctl(l, EPOLL_CTL_MOD, fd, events, ref);
}

/* loop_del() - Stop watching a descriptor, which another process may hold, too */
void loop_del(struct loop *l, int fd)
{
	loop_ctl(l, EPOLL_CTL_DEL, fd, 0, (union epoll_ref){ .u64 = 0 });
}

/**
 * loop_wait() - Sleep until there is an event or a timer is due
 * @l:		The loop
 * @ev:		Filled in with events
 * @n:		Length of @ev
 * @busy:	Do not sleep, as there is work left
 *
 * Return: number of events, 0 for time-outs and signals, negative errno
 */
/* #syscalls epoll_wait epoll_pwait */
int loop_wait(struct loop *l, struct epoll_event *ev, int n, bool busy)
{
	int64_t next = wheel_next(&l->wheel);
	int timeout = -1, rc;

	if (busy) {
		timeout = 0;
	} else if (next >= 0) {
		int64_t left = next - (int64_t)l->now_ms;

		timeout = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : left;
	}

	rc = epoll_wait(l->epfd, ev, n, timeout);
	if (rc < 0)
		rc = errno == EINTR ? 0 : -errno;

	loop_update_clock(l);
	wheel_advance(&l->wheel, l->now_ms);
	return rc;
}
