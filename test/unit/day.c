/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A day of idle flows, in a moment: what sleeps wakes up rarely and is there the next day,
 * and nothing depends on the time of the clock, which crosses 2^31 and 2^32 ms meanwhile
 *
 * Timers of many flows are in one wheel, as in the program. The clock jumps to the next one
 * each time. Behind the timers are conversations of tcp_state.c with a guest that does one of
 * the things in enum guest.
 */

#include "loop.h"
#include "tcp_state.h"

#include <string.h>

#include "tap.h"
#include "wire.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define DAY_MS		(24 * 3600 * 1000ULL)
#define MSS		1460
#define WND		64000
#define ROOM		100000
#define EACH		32U		/* flows with a guest of each kind */
#define FLOWS		(EACH * GUESTS)

/* What a guest does */
enum guest {
	GUEST_IDLE,			/* answers probes */
	GUEST_GONE,			/* answers nothing */
	GUEST_CLOSED,			/* its window is closed, it answers probes */
	GUEST_DEAF,			/* does not acknowledge data, answers nothing */
	GUESTS
};

static struct day_flow {
	struct tcps s;
	struct timer timer;
	uint64_t ended_ms;		/* since the start of the day, 0: never */
	unsigned wakeups;
} flows[FLOWS];
static uint64_t now;

static enum guest guest_of(const struct day_flow *f)
{
	return (enum guest)((f - flows) % GUESTS);
}

/* Some segment of the guest without data, which acknowledges up to @ack */
static void guest_says(struct day_flow *f, uint32_t ack, uint16_t wnd)
{
	const struct tcp_seg g = {
		.seq = f->s.rcv_nxt, .ack = ack, .wnd = wnd, .ws = -1, .flags = TCPF_ACK,
	};
	struct tcp_acts a;

	tcps_segment(&f->s, &g, now, &a);
}

static void establish(struct day_flow *f, uint32_t seq)
{
	const struct tcp_seg syn = {
		.seq = seq, .flags = TCPF_SYN, .wnd = WND, .mss = MSS, .ws = 0,
	};

	*f = (struct day_flow){ 0 };
	tcps_init_passive(&f->s, &syn, ~seq, MSS, true);
	tcps_connected(&f->s, now);
	tcps_window(&f->s, ROOM, ROOM);
	guest_says(f, f->s.snd_max, guest_of(f) == GUEST_CLOSED ? 0 : WND);
	if (guest_of(f) == GUEST_DEAF)
		tcps_sent(&f->s, MSS, now);
	if (guest_of(f) == GUEST_CLOSED)
		tcps_blocked(&f->s, now);
}

/* The timer of a flow is due: do as tcp.c, and let the guest answer */
static void wake(struct day_flow *f, uint64_t start)
{
	unsigned acts = tcps_timer(&f->s, now);

	f->wakeups++;
	if (acts & ACT_RST_TAP) {
		f->ended_ms = now - start;
		return;
	}
	if (acts & ACT_PROBE && guest_of(f) == GUEST_IDLE)
		guest_says(f, f->s.snd_max, WND);
	if (acts & ACT_PROBE && guest_of(f) == GUEST_CLOSED)
		guest_says(f, f->s.snd_max, 0);
	if (acts & ACT_SEND && guest_of(f) == GUEST_CLOSED)
		tcps_blocked(&f->s, now);
	if (acts & ACT_SEND && guest_of(f) == GUEST_DEAF && tcps_may_send(&f->s))
		tcps_sent(&f->s, MSS, now);
}

static uint64_t mix(uint64_t sum, uint64_t v)
{
	return (sum ^ v) * 1099511628211ULL;
}

/* live_day() - Return: a sum over all that happened, with times since @start */
static uint64_t live_day(uint64_t start)
{
	uint64_t sum = 14695981039346656037ULL;
	struct wheel w;
	unsigned i;
	int64_t next;

	now = start;
	wheel_init(&w, now);
	for (i = 0; i < FLOWS; i++) {
		establish(&flows[i], i * 0x0fffffffU);
		flows[i].timer.ref.index = i;
		wheel_arm(&w, &flows[i].timer, tcps_next_timer(&flows[i].s));
	}
	while ((next = wheel_next(&w)) >= 0 && (uint64_t)next < start + DAY_MS) {
		struct timer *t;

		now = (uint64_t)next;
		while ((t = wheel_expire(&w, now))) {
			struct day_flow *f = &flows[t->ref.index];

			wake(f, start);
			sum = mix(mix(sum, now - start), t->ref.index);
			if (!f->ended_ms)
				wheel_arm(&w, t, tcps_next_timer(&f->s));
		}
	}
	return sum;
}

/* Figures over the flows with one kind of guest */
struct figures {
	unsigned alive, most_wakeups;
	uint64_t first_end, last_end;
};

static struct figures figures_of(enum guest g)
{
	struct figures r = { .first_end = UINT64_MAX };

	for (unsigned i = g; i < FLOWS; i += GUESTS) {
		const struct day_flow *f = &flows[i];

		r.alive += !f->ended_ms;
		if (f->wakeups > r.most_wakeups)
			r.most_wakeups = f->wakeups;
		if (f->ended_ms < r.first_end)
			r.first_end = f->ended_ms;
		if (f->ended_ms > r.last_end)
			r.last_end = f->ended_ms;
	}
	return r;
}

static void a_day(void)
{
	struct figures idle, gone, closed, deaf;

	live_day(1 << 21);
	idle = figures_of(GUEST_IDLE);
	gone = figures_of(GUEST_GONE);
	closed = figures_of(GUEST_CLOSED);
	deaf = figures_of(GUEST_DEAF);
	printf("# wake-ups of a flow: idle %u, gone %u, closed %u, deaf %u\n",
	       idle.most_wakeups, gone.most_wakeups, closed.most_wakeups,
	       deaf.most_wakeups);
	printf("# ms to the end: gone %llu, deaf %llu\n", (unsigned long long)gone.last_end,
	       (unsigned long long)deaf.last_end);
	is(idle.alive, EACH, "idle flows are there after a day");
	ok(idle.most_wakeups <= 13, "they wake up every two hours at most");
	is(gone.alive, 0, "flows of a guest that is gone have ended");
	ok(gone.first_end > 3600000 && gone.last_end < 3 * 3600000,
	   "between one and three hours after the last sign of it");
	is(closed.alive, EACH, "flows with a closed window are there after a day");
	ok(closed.most_wakeups <= 24 * 60 + 30, "they probe once a minute at most");
	is(deaf.alive, 0, "flows whose data the guest never acknowledges have ended");
	ok(deaf.first_end > 60000 && deaf.last_end < 3600000, "within an hour");
}

/* Slots of the wheel are aligned to the clock, up to 2^21 ms. So starts that differ by a
 * multiple of that are alike in all */
static void any_clock(void)
{
	static const struct {
		uint64_t cross;
		const char *name;
	} t[] = {
		{ 1ULL << 31, "a day in which the clock crosses 2^31 ms is like any other" },
		{ 1ULL << 32, "one in which it crosses 2^32 ms, too" },
		{ 1ULL << 33, "and 2^33 ms" },
		{ 1ULL << 53, "and 2^53 ms" },
		{ 1ULL << 62, "and 2^62 ms" },
	};
	const uint64_t sum = live_day(1ULL << 21);

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		ok(live_day(t[i].cross - (1ULL << 22)) == sum, t[i].name);
}

static void initial_numbers(void)
{
	static const uint64_t at[] = { 1000, 1ULL << 31, 1ULL << 32, 1ULL << 40 };
	uint32_t step = tcps_initial_seq(7, 2000) - tcps_initial_seq(7, 1000), same = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		same += tcps_initial_seq(7, at[i] + 500) - tcps_initial_seq(7, at[i] - 500) ==
			step;
	is(same, ARRAY_SIZE(at), "initial numbers grow alike at any time");
}

/* Move 8 GiB each way: sequence numbers wrap twice */
static void wrap_twice(void)
{
	const uint64_t total = 1ULL << 33;
	struct day_flow *f = &flows[GUEST_IDLE];
	uint32_t rcv, snd, step = 32768;
	uint64_t done, wrong = 0;
	struct tcp_acts a;

	now = 1ULL << 31;
	establish(f, 5);
	rcv = f->s.rcv_nxt;
	snd = f->s.snd_nxt;
	for (done = 0; done < total; done += step) {
		const struct tcp_seg g = {
			.seq = f->s.rcv_nxt, .ack = f->s.snd_max, .wnd = WND, .ws = -1,
			.flags = TCPF_ACK, .len = step,
		};

		tcps_segment(&f->s, &g, now, &a);
		wrong += a.skip || a.take != step;
		tcps_acknowledge(&f->s, f->s.rcv_nxt);
		tcps_window(&f->s, ROOM, ROOM);
		wrong += tcps_may_send(&f->s) < step;
		tcps_sent(&f->s, step, now);
		now++;
	}
	guest_says(f, f->s.snd_max, WND);
	is(wrong, 0, "8 GiB each way are taken and sent in order");
	ok(f->s.rcv_nxt == rcv + (uint32_t)total && f->s.snd_una == snd + (uint32_t)total,
	   "sequence numbers have come round twice");
}

int main(void)
{
	a_day();
	any_clock();
	initial_numbers();
	wrap_twice();
	return done();
}
