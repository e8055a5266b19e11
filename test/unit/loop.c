/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timer wheel: never early, at most 8/63 late, asleep until something is due */

#include "loop.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tap.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MANY		10000
#define NEVER		UINT64_MAX

static uint64_t rnd_state = 88172645463325252ULL;

static uint64_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state;
}

/* Largest lateness of a timer with @delay, ms; see struct timer */
static uint64_t late_max(uint64_t delay)
{
	return delay <= 64 ? 0 : delay * 8 / 63;
}

/* run_until_fired() - Sleep as the wheel says; time at which @t fired */
static uint64_t run_until_fired(struct wheel *w, const struct timer *t,
				unsigned *wakeups)
{
	for (*wakeups = 0; *wakeups < 1000; ) {
		int64_t next = wheel_next(w);

		if (next < 0)
			return NEVER;
		++*wakeups;
		if (wheel_expire(w, next) == t)
			return next;
	}
	return NEVER;
}

static void delays(void)
{
	static const struct {
		uint64_t now, delay;
		const char *name;
	} t[] = {
		{ 1000, 1, "1 ms is exact" },
		{ 1000, 63, "63 ms are exact" },
		{ 1023, 63, "63 ms are exact at the end of a slot" },
		{ 1000, 64, "64 ms are exact" },
		{ 1007, 66, "66 ms are at most 8 ms late" },
		{ 1000, 200, "200 ms are at most 1/8 late" },
		{ 1000, 400, "400 ms are at most 1/8 late" },
		{ 7, 505, "505 ms, slot limit, are at most 1/8 late" },
		{ 1000, 60000, "a minute is at most 1/8 late" },
		{ 1000, 7200000, "two hours are at most 1/8 late" },
		{ 123456789, 86400000, "a day is at most 1/8 late" },
	};
	unsigned i, wakeups;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct timer one = { 0 };
		struct wheel w;
		uint64_t at, want = t[i].now + t[i].delay;

		wheel_init(&w, t[i].now);
		wheel_arm(&w, &one, want);
		at = run_until_fired(&w, &one, &wakeups);
		if (!ok(at >= want && at <= want + late_max(t[i].delay),
			t[i].name))
			printf("# %lld ms late\n", (long long)(at - want));
		is(wakeups, 1, "a timer costs one wake-up");
	}
}

static void every_offset(void)
{
	uint64_t now, delay, early = 0, late = 0, inexact = 0;

	for (now = 1 << 20; now < (1 << 20) + 64; now++) {
		for (delay = 1; delay < 5000; delay++) {
			struct timer one = { 0 };
			struct wheel w;
			uint64_t at;

			wheel_init(&w, now);
			wheel_arm(&w, &one, now + delay);
			at = wheel_next(&w);
			early += at < now + delay;
			late += at > now + delay + late_max(delay);
			inexact += delay <= 64 && at != now + delay;
		}
	}
	is(early, 0, "no delay up to 5 s is early, from any offset");
	is(late, 0, "no delay up to 5 s is over 1/8 late, from any offset");
	is(inexact, 0, "up to 64 ms all are exact, from any offset");
}

static void basics(void)
{
	struct timer a = { 0 }, b = { 0 }, c = { 0 };
	struct wheel w;

	wheel_init(&w, 5000);
	is(wheel_next(&w), -1, "an empty wheel has no next wake-up");
	ok(!wheel_expire(&w, 6000), "an empty wheel has nothing due");

	wheel_arm(&w, &a, 6030);
	ok(timer_armed(&a), "an armed timer is reported as armed");
	is(wheel_next(&w), 6030, "the next wake-up is the time of the timer");
	ok(!wheel_expire(&w, 6029), "a timer does not expire before its time");
	wheel_arm(&w, &b, 6031);
	is(wheel_next(&w), 6030,
	   "a later one does not change the next wake-up");
	wheel_arm(&w, &c, 6031);
	wheel_cancel(&w, &a);
	ok(!timer_armed(&a), "a cancelled timer is not armed");
	is(wheel_next(&w), 6031, "cancelling moves the next wake-up on");
	wheel_cancel(&w, &a);
	is(wheel_next(&w), 6031, "cancelling twice does nothing");
	wheel_cancel(&w, &b);
	is(wheel_next(&w), 6031,
	   "cancelling leaves the other timer of the slot");
	ok(wheel_expire(&w, 6031) == &c, "the other timer of the slot expires");
	ok(!timer_armed(&c), "an expired timer is not armed");
	is(wheel_next(&w), -1, "after the last timer there is no next wake-up");

	wheel_arm(&w, &a, 6100);
	wheel_arm(&w, &a, 6050);
	is(wheel_next(&w), 6050, "arming again moves a timer forward");
	wheel_arm(&w, &a, 6090);
	is(wheel_next(&w), 6090, "arming again moves a timer back");
	ok(wheel_expire(&w, 6090) == &a && !wheel_expire(&w, 9000),
	   "a timer that was armed many times expires once");
}

static void in_handlers(void)
{
	struct timer a = { 0 }, b = { 0 }, *first, *other;
	struct wheel w;

	wheel_init(&w, 100);
	wheel_arm(&w, &a, 110);
	wheel_arm(&w, &b, 110);
	first = wheel_expire(&w, 110);
	ok(first == &a || first == &b, "one of two timers of a slot expires");
	other = first == &a ? &b : &a;
	wheel_cancel(&w, other);
	ok(!wheel_expire(&w, 110),
	   "a timer that a handler cancels does not expire");

	wheel_arm(&w, &a, 120);
	ok(wheel_expire(&w, 125) == &a,
	   "a late round finds a timer that was due");
	wheel_arm(&w, &a, 125);
	ok(!wheel_expire(&w, 125),
	   "a timer armed for now does not expire in the same round");
	is(wheel_next(&w), 126, "a timer armed for now is due 1 ms later");
	ok(wheel_expire(&w, 126) == &a,
	   "a timer armed for now expires in the next round");
	wheel_arm(&w, &a, 3);
	ok(!wheel_expire(&w, 126),
	   "a timer armed for the past does not expire in the same round");
	ok(wheel_expire(&w, 127) == &a,
	   "a timer armed for the past expires in the next round");

	wheel_arm(&w, &a, 200);
	wheel_arm(&w, &b, 210);
	first = wheel_expire(&w, 100000);
	other = wheel_expire(&w, 100000);
	ok(first == &a && other == &b,
	   "after a long sleep timers expire in order of time");
}

static void horizon(void)
{
	struct timer a = { 0 };
	uint64_t week = 7 * 86400 * 1000ULL;
	struct wheel w;
	int64_t next;

	wheel_init(&w, 1000);
	wheel_arm(&w, &a, 1000 + week);
	next = wheel_next(&w);
	ok(next > 36 * 3600 * 1000LL,
	   "a timer beyond the horizon wakes up at the horizon");
	ok(wheel_expire(&w, next) == &a,
	   "a timer beyond the horizon expires there");
	wheel_arm(&w, &a, UINT64_MAX);
	ok(wheel_next(&w) > next, "the largest time is in the future");
}

/* Every timer's time in an array, looked through each time: the reference */
static struct timer many[MANY];
static uint64_t armed_at[MANY], due_at[MANY];

static void arm_one(struct wheel *w, unsigned i, uint64_t now)
{
	static const unsigned bits[] = { 3, 6, 7, 10, 13, 17, 22 };
	uint64_t delay = 1 + rnd() % (1ULL << bits[rnd() % ARRAY_SIZE(bits)]);

	due_at[i] = now + delay;
	wheel_arm(w, &many[i], due_at[i]);
	armed_at[i] = w->now_ms;	/* behind now in handlers, if they are late */
}

static void against_reference(void)
{
	uint64_t now = 777777, early = 0, late = 0, missed = 0, fired = 0;
	uint64_t asleep = 0, round;
	struct wheel w;
	unsigned i;

	wheel_init(&w, now);
	for (i = 0; i < MANY; i++)
		arm_one(&w, i, now);

	for (round = 0; round < 3000; round++) {
		struct timer *t;
		int64_t next = wheel_next(&w);

		/* Mostly exactly on time, at times woken early or too late */
		if (next > (int64_t)now && round % 4)
			now = next;
		else
			now += rnd() % 50;
		while ((t = wheel_expire(&w, now))) {
			i = t - many;
			early += now < due_at[i];
			due_at[i] = NEVER;
			fired++;
			if (rnd() % 4)
				arm_one(&w, i, now);
		}
		if (round % 8 == 0) {
			i = rnd() % MANY;
			wheel_cancel(&w, &many[i]);
			due_at[i] = NEVER;
		}
		if (round % 8 == 1)
			arm_one(&w, rnd() % MANY, now);

		next = wheel_next(&w);
		for (i = 0; i < MANY; i++) {
			uint64_t most;

			if (due_at[i] == NEVER) {
				missed += timer_armed(&many[i]);
				continue;
			}
			missed += !timer_armed(&many[i]);
			most = due_at[i] + late_max(due_at[i] - armed_at[i]);
			late += now >= most;
			asleep += next > (int64_t)most;
		}
	}
	ok(fired > MANY / 2, "10 000 timers: thousands fired");
	is(early, 0, "10 000 timers: none early");
	is(late, 0, "10 000 timers: none over 1/8 late");
	is(missed, 0, "10 000 timers: none lost, none left over");
	is(asleep, 0, "10 000 timers: the next wake-up misses none");
}

static void loop_itself(void)
{
	union epoll_ref ref = { .index = 77, .kind = REF_TCP, .side = 1,
				.gen = 0xfedcba98 };
	struct timer a = { 0 };
	struct epoll_event ev[4];
	struct loop l;
	uint64_t start, hour;
	int p[2];

	memset(&l, 0, sizeof(l));
	if (!ok(!loop_init(&l) && !pipe(p), "a loop starts"))
		return;
	is(loop_add(&l, p[0], EPOLLIN, ref), 0, "a descriptor is watched");
	is(loop_add(&l, p[0], EPOLLIN, ref), -17,
	   "a descriptor watched twice is EEXIST");
	is(loop_wait(&l, ev, 4, true), 0, "a busy loop does not sleep");

	start = l.now_ms;
	wheel_arm(&l.wheel, &a, start + 20);
	is(loop_wait(&l, ev, 4, false), 0,
	   "a timer ends the sleep without an event");
	ok(l.now_ms >= start + 20, "a timer does not end the sleep early");
	ok(wheel_expire(&l.wheel, l.now_ms) == &a,
	   "the timer that ended the sleep is due");

	ok(write(p[1], "x", 1) == 1 && loop_wait(&l, ev, 4, false) == 1,
	   "a readable descriptor ends the sleep");
	is(ev[0].data.u64, ref.u64,
	   "an event has the reference of its descriptor");
	loop_del(&l, p[0]);
	is(loop_wait(&l, ev, 4, true), 0,
	   "a descriptor that is no longer watched has no events");

	/* As after an hour of sleep: the delay of a timer that a handler arms
	 * before timers expire counts from now, not from an hour ago */
	hour = l.now_ms / 2 < 3600000 ? l.now_ms / 2 : 3600000;
	wheel_init(&l.wheel, l.now_ms - hour);
	is(loop_wait(&l, ev, 4, true), 0,
	   "a loop that slept an hour has no event");
	wheel_arm(&l.wheel, &a, l.now_ms + 30);
	is(wheel_next(&l.wheel), l.now_ms + 30,
	   "a timer armed after a long sleep is exact");
	wheel_cancel(&l.wheel, &a);

	wheel_init(&l.wheel, l.now_ms - hour);
	wheel_arm(&l.wheel, &a, l.now_ms - hour / 2);
	is(loop_wait(&l, ev, 4, false), 0, "an overdue timer does not sleep");
	ok(wheel_expire(&l.wheel, l.now_ms) == &a, "an overdue timer expires");

	close(p[0]);
	close(p[1]);
	close(l.epfd);
}

int main(void)
{
	basics();
	delays();
	every_offset();
	in_handlers();
	horizon();
	against_reference();
	loop_itself();
	return done();
}
