/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.h - epoll and the timer wheel
 */

#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define LOOP_INDEX_BITS	24

/* Kinds of events: the switch in passt.c has a case for each */
enum ref_kind {
	REF_TCP, REF_TCP_SPLICE,	/* sockets and timers of flows */
	REF_UDP, REF_UDP_SPLICE,
	REF_ICMP,
	REF_TAP,			/* index: descriptor of the tap */
	REF_SIGNAL,
	REF_NETNS_PID,			/* pidfd of the namespace's process */
	REF_NETNS_PATH,			/* index: a watch of the namespace's file */
	REF_RESOLV,			/* the follower of resolv.conf */
	REF_INPUT,			/* timer of unsolicited advertisements */
	REF_STATS,			/* timer of --stats */
	REF_LISTEN,			/* index: of a listening socket */
	REF_RULES,			/* timer of rules that wait */
	REF_SCAN,			/* timer of the search for listeners */
	REF_NSHELPER,			/* pasta-ns, which makes sockets */
	REF_CLIENT,			/* passt's listening UNIX socket */
	REF_REPAIR,			/* index: REPAIR_EV_*, of passt-repair */
	REF_CONTROL,			/* clients of the control socket */
	REF_CONTROL_WAIT,		/* timer of those that wait for another one */
};

enum { REF_FLOW_KINDS = REF_ICMP + 1 };	/* the first ones are flows */

/**
 * union epoll_ref - Contents of epoll_event.data
 * @index:	Flow (or descriptor) index
 * @kind:	enum ref_kind
 * @side:	Side of the flow that the socket is on; INI where the reference stands
 *		for the flow as a whole
 * @gen:	Generation of the flow; a stale event has another one and is ignored
 */
union epoll_ref {
	struct {
		uint32_t index : LOOP_INDEX_BITS;
		uint32_t kind : 7;
		uint32_t side : 1;
		uint32_t gen;
	};
	uint64_t u64;
};

/**
 * struct timer - An entry of the wheel, embedded in the structure it belongs to
 * @next:	Next timer of the same slot
 * @pprev:	Pointer that points here; NULL: not armed
 * @expires_ms:	Expiry as armed, CLOCK_MONOTONIC, ms
 * @ref:	Argument of the handler; its kind selects the handler
 *
 * A timer expires up to 8/63 of its delay late (on the ms up to 64 ms), never early,
 * unless it is armed for more than 37 hours.
 */
struct timer {
	struct timer *next, **pprev;
	uint64_t expires_ms;
	union epoll_ref ref;
	uint8_t slot_level, slot_index;
};

#define WHEEL_LEVELS	8
#define WHEEL_SLOTS	64

struct wheel {
	uint64_t now_ms;		/* all timers up to here have expired */
	uint64_t clock_ms;		/* time of the last wheel_expire() */
	uint64_t used[WHEEL_LEVELS];	/* bitmap of slots that are not empty */
	struct timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_arm(struct wheel *w, struct timer *t, uint64_t expires_ms);
void wheel_cancel(struct wheel *w, struct timer *t);
int64_t wheel_next(const struct wheel *w);
struct timer *wheel_expire(struct wheel *w, uint64_t now_ms);

static inline bool timer_armed(const struct timer *t)
{
	return t->pprev;
}

/**
 * struct loop - One epoll instance, one wheel, one clock
 * @epfd:	epoll file descriptor
 * @now_ms:	CLOCK_MONOTONIC, read once a turn
 * @wheel:	Timers
 */
struct loop {
	int epfd;
	uint64_t now_ms;
	struct wheel wheel;
};

struct epoll_event;

int loop_init(struct loop *l);
int loop_add(struct loop *l, int fd, uint32_t events, union epoll_ref ref);
int loop_mod(struct loop *l, int fd, uint32_t events, union epoll_ref ref);
void loop_del(struct loop *l, int fd);
int loop_wait(struct loop *l, struct epoll_event *ev, int n, bool busy);
void loop_update_clock(struct loop *l);

#endif /* LOOP_H */
