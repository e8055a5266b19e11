/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decisions of TCP on segments, socket events and timers, as conversations
 *
 * Nothing is sent here and no time passes but in arguments. A segment is a
 * template, that is an acknowledgement of all that was sent with a window of
 * 64000, plus the fields that matter. Sequence numbers are relative: the guest's
 * first byte is 0, ours too, so SYNs are at -1; all is run at several initial
 * numbers, so that each conversation also crosses 2^31 and 2^32.
 *
 * Defects that hurt users of such programs, and the tests that exclude them:
 *
 *    1  FIN out of order eats data        data_table, fin_out_of_order
 *    2  our FIN overtakes data            fin_after_data, fin_zero_window
 *    3  lost FIN is not resent            fin_is_resent
 *    4  half-closed is half TCP           half_closed
 *    5  simultaneous close                simultaneous_close, closes in order
 *    6  window shrinks to 0 in flight     window_shrinks
 *    7  probes and keep-alives            guest_probes, zero_window, keep_alive
 *    8  silly windows                     receiver_sws, sender_sws
 *    9  the window must grow              window_grows; rates: e2e
 *   10  SO_SNDBUF, SO_RCVBUF              not decided here: frame, platform
 *   11  window clamp, gaps of peeking     not decided here: frame, platform
 *   12  sequence moves for queued alone   only_what_is_queued; backends: frame
 *   14  RST and ACK corner cases          rst_table, reset_for, handshake,
 *                                         active_table,
 *                                         a SYN after RST in a batch: frame
 *   15  SYN for a guest that boots        active_retries
 *   16  flows forgotten by the guest      idle_flow
 *   17  one bad flow ends the daemon      test/fuzz/tcp_state.c
 *   18  busy while blocked                blocked_sleeps; epoll: frame
 *   20  MSS over the MTU                  options_table
 *   21  tiny packets                      sender_sws
 *   22  ACK of data never sent            acknowledge_is_clamped
 */

#include "tcp_state.h"

#include <string.h>

#include "tap.h"
#include "wire.h"

#pragma GCC diagnostic ignored "-Woverride-init"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MSS		1460
#define WND		64000
#define ROOM		100000		/* of the socket, as first told */
#define START		1000000ULL	/* ms */

static uint32_t irs, iss;		/* of the first data byte, ours and theirs */
static struct tcps s;
static uint64_t now;

/* A segment in relative numbers: the template with other fields */
#define SEG(...) ((struct tcp_seg){ .flags = TCPF_ACK, .wnd = WND, .ws = -1, \
				    .seq = s.rcv_nxt - irs, \
				    .ack = s.snd_max - iss, __VA_ARGS__ })
#define IN(...) in(SEG(__VA_ARGS__))

static struct tcp_acts in(struct tcp_seg g)
{
	struct tcp_acts a;

	g.seq += irs;
	g.ack += iss;
	tcps_segment(&s, &g, now, &a);
	return a;
}

static uint32_t rel_rcv(uint32_t seq)
{
	return seq - irs;
}

static uint32_t rel_snd(uint32_t seq)
{
	return seq - iss;
}

static void connecting(int ws, uint16_t mss)
{
	const struct tcp_seg syn = { .seq = irs - 1, .flags = TCPF_SYN,
				     .wnd = WND, .mss = mss, .ws = ws };

	now = START;
	tcps_init_passive(&s, &syn, iss - 1, MSS, true);
}

static void established_ws(int ws)
{
	connecting(ws, MSS);
	tcps_connected(&s, now);
	tcps_window(&s, ROOM, ROOM);
	IN(.ack = 0);
}

static void established(void)
{
	established_ws(0);
}

/* sent() - Do as pump() with @bytes in the socket */
static uint32_t sent(uint32_t bytes)
{
	uint32_t sum = 0, can;

	while (sum < bytes && (can = tcps_may_send(&s))) {
		if (can > bytes - sum)
			can = bytes - sum;
		tcps_sent(&s, can, now);
		sum += can;
	}
	if (sum < bytes)
		tcps_blocked(&s, now);
	return sum;
}

/* fire() - Sleep until the next timer */
static unsigned fire(void)
{
	uint64_t next = tcps_next_timer(&s);

	if (!next)
		return 0;
	if (next > now)
		now = next;
	return tcps_timer(&s, now);
}

static void options_table(void)
{
	static const struct {
		uint16_t mss, mss_max;
		bool v4;
		uint16_t want;
		const char *name;
	} t[] = {
		{ 1460, 1460, true, 1460, "MSS as offered" },
		{ 9000, 1460, true, 1460, "MSS over the MTU is cut" },
		{ 500, 1460, true, 500, "a smaller MSS is kept to" },
		{ 0, 1460, true, 536, "no MSS is 536 for IPv4" },
		{ 0, 1440, false, 1220, "no MSS is 1220 for IPv6" },
		{ 1, 1460, true, TCPS_MSS_MIN, "an absurd MSS is raised" },
		{ 65535, 65480, true, 65480, "a large MSS is cut to a large MTU" },
	};
	struct tcp_seg syn = { .seq = irs - 1, .flags = TCPF_SYN, .wnd = 1000 };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		syn.mss = t[i].mss;
		syn.ws = 7;
		tcps_init_passive(&s, &syn, iss, t[i].mss_max, t[i].v4);
		is(s.mss, t[i].want, t[i].name);
		is(s.rcv_mss, t[i].mss_max, "our MSS is that of the MTU");
	}
	is(s.snd_wnd, 1000, "the window of a SYN is not scaled");
	is(s.peer_ws, 7, "window scale is taken from the SYN");
	ok(s.our_ws, "a SYN's window scale is answered with ours");
	syn.ws = 15;
	tcps_init_passive(&s, &syn, iss, MSS, true);
	is(s.peer_ws, 14, "a window scale over 14 is 14");
	syn.ws = -1;
	tcps_init_passive(&s, &syn, iss, MSS, true);
	ok(!s.peer_ws && !s.our_ws, "without the option neither side scales");
}

static void handshake(void)
{
	struct tcp_acts a;

	connecting(7, MSS);
	is(tcps_next_timer(&s), 0, "connecting is timed by the kernel alone");
	a = IN(.flags = TCPF_SYN, .seq = -1, .ack = 0);
	is(a.acts, 0, "a repeated SYN while connecting is not answered");
	a = IN(.seq = 0, .ack = 5);
	is(a.acts, 0, "an ACK while connecting is ignored");
	a = IN(.flags = TCPF_ACK | TCPF_FIN, .seq = 0);
	is(a.acts | a.take, 0, "a FIN before connect completes is ignored");
	is(rel_rcv(s.rcv_nxt), 0,
	   "a FIN before connect completes is left to be resent");

	a = IN(.flags = TCPF_SYN, .seq = 999, .mss = 700);
	is(rel_rcv(s.rcv_nxt), 1000, "another SYN while connecting is a new attempt");
	is(s.mss, 700, "another SYN brings its own options");

	connecting(7, MSS);
	tcps_connected(&s, now);
	is((int32_t)rel_snd(s.snd_una), -1, "our SYN is not acknowledged yet");
	is(rel_snd(s.snd_nxt), 0, "our SYN counts one in the sequence");
	is(tcps_may_send(&s), 0, "no data before the handshake is complete");
	a = IN(.flags = TCPF_SYN, .seq = -1);
	is(a.acts, ACT_SYNACK, "a repeated SYN has the SYN-ACK resent");
	a = IN(.flags = TCPF_SYN, .seq = 100);
	is(a.acts, ACT_ACK, "another SYN is challenged");
	a = IN(.ack = 1);
	is(a.acts, ACT_RST_TAP, "a wrong ACK is reset");
	a = IN(.ack = -1);
	is(a.acts, ACT_RST_TAP, "an old ACK is reset");
	is(s.phase, TCPS_SYN_RCVD, "the handshake goes on after a wrong ACK");
	a = IN(.flags = 0, .len = 10);
	is(a.acts | a.take, 0, "a segment without ACK flag brings no data");

	tcps_window(&s, ROOM, ROOM);
	a = IN(.flags = TCPF_ACK | TCPF_FIN, .len = 10);
	is(s.phase, TCPS_ESTABLISHED, "ACK with data and FIN completes it");
	is(a.take, 10, "the data of the handshake's ACK is taken");
	ok(tcps_fin_due(&s), "the FIN of the handshake's ACK is taken");
	ok(a.acts & ACT_SEND, "after the handshake the peer's data may go");
}

static void syn_retries(void)
{
	uint64_t before, gap = 0, last = 0;
	unsigned acts, n, growing = 0;

	connecting(7, MSS);
	tcps_connected(&s, now);
	for (n = 0; n < 20; n++) {
		before = now;
		acts = fire();
		if (acts != ACT_SYNACK)
			break;
		gap = now - before;
		growing += gap == 2 * last || !last;
		last = gap;
	}
	is(n, 6, "the SYN-ACK is resent six times");
	is(growing, 6,
	   "the SYN-ACK is resent after twice the time, from 1 s on");
	is(acts, ACT_RST_TAP | ACT_RST_SOCK,
	   "after six SYN-ACKs both sides are reset");
}

/* opening() - Our SYN is sent, with a window of 30000 */
static void opening(void)
{
	const struct tcps_syn policy = { .linear = 4, .retries = 6 };

	now = START;
	tcps_init_active(&s, iss - 1, MSS, true, &policy, now);
	tcps_window(&s, 30000, 30000);
}

static void active_open(void)
{
	struct tcp_acts a;

	opening();
	is(rel_snd(s.snd_nxt), 0, "our SYN counts as one byte");
	is(tcps_may_send(&s), 0, "no data before the guest answers");
	is(tcps_window_field(&s, true), 30000, "our SYN has a window, not scaled");
	ok(s.our_ws, "our SYN offers a window scale");
	tcps_blocked(&s, now);
	ok(!s.persist, "data that waits for the handshake is not probed for");

	a = in((struct tcp_seg){ .seq = -1, .ack = 0, .wnd = 5000, .mss = 1000,
				 .flags = TCPF_SYN | TCPF_ACK, .ws = 7 });
	is(a.acts, ACT_ACK | ACT_SEND, "SYN-ACK: acknowledged, data may go");
	is(s.phase, TCPS_ESTABLISHED, "SYN-ACK: the connection is established");
	is(rel_rcv(s.rcv_nxt), 0, "the guest's first byte is next");
	is(rel_rcv(s.rcv_edge), 30000,
	   "the guest may send up to the promised window");
	is(s.mss, 1000, "SYN-ACK: the guest's MSS holds");
	is(s.peer_ws, 7, "SYN-ACK: the guest's window scale holds");
	is(tcps_may_send(&s), 5000, "SYN-ACK: the window is not scaled");
	is(s.rtx_at, 0, "SYN-ACK: nothing is in flight");
	ok(s.alive_at, "an idle guest will be asked");
	a = in((struct tcp_seg){ .seq = -1, .ack = 0, .wnd = 5000, .ws = 7,
				 .flags = TCPF_SYN | TCPF_ACK });
	is(a.acts, ACT_ACK, "a repeated SYN-ACK is acknowledged again");
	a = IN(.len = 100);
	is(a.take, 100, "data of the guest is taken");
	is(sent(3000), 3000, "our data goes after the guest's");

	opening();
	in((struct tcp_seg){ .seq = -1, .ack = 0, .wnd = 5000, .ws = -1,
			     .flags = TCPF_SYN | TCPF_ACK });
	ok(!s.our_ws && !s.peer_ws, "without its option neither side scales");
	is(s.mss, 536, "a SYN-ACK without MSS means the default");
}

static void active_table(void)
{
	static const struct {
		uint32_t ack;
		uint8_t flags;
		unsigned acts;
		enum tcps_phase phase;
		const char *name;
	} t[] = {
		{ 0, TCPF_SYN | TCPF_ACK, ACT_ACK | ACT_SEND, TCPS_ESTABLISHED,
		  "a SYN-ACK of our SYN establishes the connection" },
		{ 1, TCPF_SYN | TCPF_ACK, ACT_RST_TAP, TCPS_SYN_SENT,
		  "a SYN-ACK of data never sent gets a RST" },
		{ -1, TCPF_SYN | TCPF_ACK, ACT_RST_TAP, TCPS_SYN_SENT,
		  "a SYN-ACK of an old SYN gets a RST" },
		{ 5, TCPF_ACK, ACT_RST_TAP | ACT_SYN, TCPS_SYN_SENT,
		  "an ACK of another connection gets a RST and our SYN again" },
		{ 0, TCPF_ACK, 0, TCPS_SYN_SENT, "a right ACK without SYN is ignored" },
		{ 0, TCPF_ACK | TCPF_FIN, 0, TCPS_SYN_SENT,
		  "a SYN-ACK with a FIN is ignored" },
		{ 0, TCPF_FIN, 0, TCPS_SYN_SENT, "a FIN before any SYN is ignored" },
		{ 0, 0, 0, TCPS_SYN_SENT,
		  "a segment without flags is ignored" },
		{ 0, TCPF_RST | TCPF_ACK, ACT_RST_SOCK, TCPS_SYN_SENT,
		  "a RST for our SYN ends the flow" },
		{ 0, TCPF_RST | TCPF_ACK | TCPF_SYN, ACT_RST_SOCK, TCPS_SYN_SENT,
		  "a RST with SYN ends the flow" },
		{ 1, TCPF_RST | TCPF_ACK, 0, TCPS_SYN_SENT,
		  "a RST for another segment is ignored" },
		{ -1, TCPF_RST | TCPF_ACK, 0, TCPS_SYN_SENT,
		  "a RST for an older segment is ignored" },
		{ 0, TCPF_RST, 0, TCPS_SYN_SENT, "a RST without ACK is ignored" },
		{ 0, TCPF_SYN, ACT_SYNACK, TCPS_SYN_RCVD,
		  "a SYN without ACK is a simultaneous open" },
	};
	struct tcp_acts a;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		opening();
		a = in((struct tcp_seg){ .seq = -1, .ack = t[i].ack, .ws = -1,
					 .wnd = 5000, .flags = t[i].flags,
					 .len = 10 });
		ok(a.acts == t[i].acts && s.phase == t[i].phase && !a.take,
		   t[i].name);
	}
}

/* A guest that answers our SYN out of an old connection, each time */
static void hurried_syn(void)
{
	const struct tcp_seg old = { .seq = 77, .ack = 5, .wnd = 5000, .ws = -1,
				     .flags = TCPF_ACK };
	uint64_t timer;

	opening();
	timer = s.rtx_at;
	is(in(old).acts, ACT_RST_TAP | ACT_SYN,
	   "a wrong ACK gets a RST, and our SYN at once");
	is(in(old).acts, ACT_RST_TAP, "a second wrong ACK gets a RST alone");
	is(s.rtx_at, timer, "wrong ACKs don't move the SYN's timer");
	is(fire(), ACT_SYN, "the timer retransmits the SYN");
	is(in(old).acts, ACT_RST_TAP | ACT_SYN,
	   "after the timer, a wrong ACK gets our SYN at once again");
	is(in(old).acts, ACT_RST_TAP,
	   "the SYN is retransmitted at once only once");
}

/* Numbers of one four-tuple, some time apart */
static void initial_numbers(void)
{
	uint32_t a = tcps_initial_seq(irs, START);

	is(tcps_initial_seq(irs + 5, START) - a, 5,
	   "the initial sequence number contains the hash");
	ok((int32_t)(tcps_initial_seq(irs, START + 1) - a) > 0,
	   "an initial sequence number 1 ms later is above");
	ok((int32_t)(tcps_initial_seq(irs, START + 60000) - a) > 0,
	   "an initial sequence number a minute later is above");
	ok((int32_t)(tcps_initial_seq(irs, START + 125000) - a) > 0,
	   "an initial sequence number two minutes later is above");
	ok(tcps_initial_seq(irs, START + 1000) - a > 15000000,
	   "a second is worth 15 MB of data");
}

static void simultaneous_open(void)
{
	struct tcp_acts a;

	opening();
	IN(.flags = TCPF_SYN, .seq = -1, .ack = 0, .mss = 900, .ws = 3);
	is(rel_rcv(s.rcv_edge), 30000,
	   "the promised window counts from the guest's SYN");
	is((int32_t)rel_snd(s.snd_una), -1, "our SYN is to be sent again with an ACK");
	ok(s.rtx_at, "our SYN is to be sent with an ACK once more");
	a = IN(.flags = TCPF_SYN, .seq = -1, .ack = 0);
	is(a.acts, ACT_SYNACK, "a repeated SYN gets our SYN with an ACK again");
	a = IN(.flags = TCPF_SYN | TCPF_ACK, .seq = -1, .ack = 0);
	is(a.acts, ACT_ACK | ACT_SEND,
	   "a SYN-ACK completes a simultaneous open");
	is(s.phase, TCPS_ESTABLISHED, "a simultaneous open completes for us");
	is(s.peer_ws, 3,
	   "a simultaneous open has the options of the first SYN");

	opening();
	IN(.flags = TCPF_SYN, .seq = -1, .ack = 0);
	a = IN(.seq = 0, .ack = 0);
	is(s.phase, TCPS_ESTABLISHED,
	   "a plain ACK completes a simultaneous open");

	opening();
	IN(.flags = TCPF_SYN, .seq = -1, .ack = 0);
	a = IN(.flags = TCPF_RST, .seq = 0);
	is(a.acts, ACT_RST_SOCK, "a RST ends a simultaneous open");
}

/* gaps() - Between the SYNs of ours that nobody answers, in seconds */
static unsigned gaps(const struct tcps_syn *policy, unsigned *gap, unsigned max)
{
	uint64_t before;
	unsigned acts, n = 0;

	now = START;
	tcps_init_active(&s, iss - 1, MSS, true, policy, now);
	do {
		before = now;
		acts = fire();
		if (n < max)
			gap[n++] = (now - before) / 1000;
	} while (acts == ACT_SYN);
	is(acts, ACT_RST_TAP | ACT_RST_SOCK,
	   "an unanswered SYN ends with a reset");
	return n;
}

static void active_retries(void)
{
	static const unsigned doubled[] = { 1, 2, 4, 8, 16, 32, 64 };
	static const unsigned linear[] = { 1, 1, 1, 1, 1, 2, 4 };
	static const unsigned many[] = { 1, 2, 4, 8, 16, 32, 64, 120, 120, 120 };
	unsigned gap[16];

	is(gaps(&(struct tcps_syn){ 0, 6 }, gap, 16), 7,
	   "the SYN is retransmitted six times by default");
	ok(!memcmp(gap, doubled, sizeof(doubled)),
	   "the SYN is retransmitted after twice the time");
	is(gaps(&(struct tcps_syn){ 4, 2 }, gap, 16), 7,
	   "linear timeouts add four retransmissions");
	ok(!memcmp(gap, linear, sizeof(linear)),
	   "linear timeouts keep the first interval");
	is(gaps(&(struct tcps_syn){ 0, 9 }, gap, 16), 10,
	   "a limit of nine retransmissions holds");
	ok(!memcmp(gap, many, sizeof(many)),
	   "retransmissions are at most 120 s apart");
	is(gaps(&(struct tcps_syn){ 0, 0 }, gap, 16), 1,
	   "a limit of no retransmission holds");
}

static void data_table(void)
{
	static const struct {
		uint32_t seq, len;
		uint8_t flags;
		uint32_t skip, take;
		unsigned acts;
		bool fin;
		const char *name;
	} t[] = {
		{ 1000, 100, 0, 0, 100, ACT_DATA, 0, "data in order is taken" },
		{ 1000, 0, 0, 0, 0, 0, 0, "an ACK is not acknowledged" },
		{ 1000, 0, TCPF_FIN, 0, 0, ACT_DATA, 1, "a FIN in order is taken" },
		{ 1000, 100, TCPF_FIN, 0, 100, ACT_DATA, 1, "data with FIN is taken" },
		{ 1001, 100, 0, 0, 0, ACT_ACK | ACT_HOLE, 0,
		  "data behind a hole gets a duplicate ACK" },
		{ 1001, 0, TCPF_FIN, 0, 0, ACT_ACK | ACT_HOLE, 0, "a FIN behind a hole is not taken" },
		{ 900, 100, 0, 0, 0, ACT_ACK, 0, "a duplicate is acknowledged again" },
		{ 900, 50, 0, 0, 0, ACT_ACK, 0, "an old duplicate is acknowledged again" },
		{ 900, 101, 0, 100, 1, ACT_DATA, 0,
		  "new data of an overlap is taken" },
		{ 900, 300, TCPF_FIN, 100, 200, ACT_DATA, 1, "overlap with FIN is taken" },
		{ 900, 100, TCPF_FIN, 100, 0, ACT_DATA, 1,
		  "a new FIN of old data is taken" },
		{ 900, 99, TCPF_FIN, 0, 0, ACT_ACK, 0, "a FIN inside of data is old" },
		{ 999, 0, 0, 0, 0, ACT_ACK, 0, "a keep-alive is answered" },
		{ 999, 1, 0, 0, 0, ACT_ACK, 0, "a keep-alive with a byte is answered" },
		{ 1000, 60000, 0, 0, 60000, ACT_DATA, 0,
		  "data up to the edge is taken" },
		{ 1000, 60001, 0, 0, 60000, ACT_DATA | ACT_ACK, 0,
		  "data over the edge is cut" },
		{ 1000, 60001, TCPF_FIN, 0, 60000, ACT_DATA | ACT_ACK, 0,
		  "data over the edge loses its FIN" },
		{ 1000, 60000, TCPF_FIN, 0, 60000, ACT_DATA, 1, "FIN at the edge is taken" },
		{ 500, 65000, 0, 500, 60000, ACT_DATA | ACT_ACK, 0,
		  "data too long at both ends is cut at both" },
		{ 61000, 10, 0, 0, 0, ACT_ACK | ACT_HOLE, 0,
		  "data beyond the window is not taken" },
		{ 0x80000000, 10, 0, 0, 0, ACT_ACK | ACT_HOLE, 0,
		  "data half of the space away is not taken" },
		{ 1000, 100, TCPF_SYN, 0, 0, ACT_ACK, 0,
		  "data with SYN is challenged" },
		{ 1000, 100, TCPF_PSH | TCPF_URG, 0, 100, ACT_DATA, 0, "data with PSH and URG is data" },
	};
	struct tcp_acts a;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		established_ws(7);
		s.rcv_nxt = s.rcv_acked = irs + 1000;
		s.rcv_edge = irs + 61000;
		a = IN(.seq = t[i].seq, .len = t[i].len,
		       .flags = TCPF_ACK | t[i].flags);
		if (!ok(a.take == t[i].take && a.skip == t[i].skip &&
			a.acts == t[i].acts && tcps_fin_due(&s) == t[i].fin &&
			rel_rcv(s.rcv_nxt) == 1000 + t[i].take + t[i].fin,
			t[i].name))
			printf("# acts %x, skip %u, take %u\n", a.acts, a.skip,
			       a.take);
		is(rel_rcv(s.rcv_edge), 61000, "the edge of the window stays");
	}

	established();
	a = IN(.flags = 0, .len = 10);
	is(a.acts | a.take, 0, "data without ACK flag is dropped");
	a = IN(.flags = TCPF_FIN, .len = 0);
	ok(!a.acts && !tcps_fin_due(&s), "a FIN without ACK flag is dropped");
	a = IN(.ack = 1, .len = 10);
	is(a.acts, ACT_ACK,
	   "data that acknowledges data never sent gets an ACK");
	is(a.take, 0, "data that acknowledges data never sent is dropped");
}

static void fin_out_of_order(void)
{
	struct tcp_acts a;

	established();
	IN(.flags = TCPF_ACK | TCPF_FIN, .seq = 100);
	ok(!tcps_fin_due(&s), "a FIN that overtook its data is not taken");
	a = IN(.seq = 0, .len = 100);
	is(a.take, 100, "data behind its own FIN is taken");
	IN(.flags = TCPF_ACK | TCPF_FIN, .seq = 100);
	ok(tcps_fin_due(&s),
	   "a FIN that overtook its data is taken when it is resent");
	a = IN(.flags = TCPF_ACK | TCPF_FIN, .seq = 100);
	is(a.acts, ACT_ACK, "a second FIN is acknowledged again");
	a = IN(.seq = 101, .len = 10);
	ok(!a.take && a.acts == ACT_ACK, "nothing follows a FIN");
}

static void refused(void)
{
	struct tcp_acts a;
	uint32_t edge;

	established();
	edge = s.rcv_edge;
	IN(.len = 1000);
	tcps_refused(&s, 400);
	is(rel_rcv(s.rcv_nxt), 600, "refused bytes are not taken");
	tcps_acknowledge(&s, s.rcv_nxt);
	is(rel_rcv(s.rcv_acked), 600, "taken bytes are acknowledged");
	is(s.rcv_edge, edge, "the edge stays where it was with refused bytes");
	a = IN(.seq = 1000, .len = 10);
	ok(a.acts == (ACT_ACK | ACT_HOLE) && !a.take,
	   "data behind refused bytes gets a duplicate ACK");
	a = IN(.seq = 0, .len = 1000);
	ok(a.skip == 600 && a.take == 400,
	   "refused bytes are taken when they are resent");

	a = IN(.len = 100, .flags = TCPF_ACK | TCPF_FIN);
	ok(tcps_fin_due(&s), "data with FIN is taken");
	tcps_refused(&s, 1);
	ok(!tcps_fin_due(&s), "with a byte refused the FIN is refused, too");
	is(rel_rcv(s.rcv_nxt), 1099, "a refused FIN does not count");
	a = IN(.seq = 1000, .len = 100, .flags = TCPF_ACK | TCPF_FIN);
	ok(a.take == 1 && tcps_fin_due(&s),
	   "a refused byte and FIN are taken when they are resent");
	tcps_refused(&s, 0);
	ok(tcps_fin_due(&s), "nothing refused leaves the FIN");
}

static void rst_table(void)
{
	static const struct {
		uint32_t seq;
		unsigned acts;
		const char *name;
	} t[] = {
		{ 1000, ACT_RST_SOCK, "RST at the next byte resets" },
		{ 800, ACT_RST_SOCK, "RST at what was acknowledged resets" },
		{ 1001, ACT_ACK, "RST in the window is challenged" },
		{ 60999, ACT_ACK, "RST at the last of the window is challenged" },
		{ 61000, ACT_ACK,
		  "RST at the edge of a full window is challenged" },
		{ 61001, 0, "RST beyond the window is ignored" },
		{ 799, 0, "RST before the window is ignored" },
		{ 0x80001000, 0, "RST from far away is ignored" },
	};
	struct tcp_acts a;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		established();
		s.rcv_acked = irs + 800;
		s.rcv_nxt = irs + 1000;
		s.rcv_edge = irs + 61000;
		a = IN(.flags = TCPF_RST, .seq = t[i].seq, .len = 3);
		is(a.acts, t[i].acts, t[i].name);
		is(rel_rcv(s.rcv_nxt), 1000, "the payload of a RST is no data");
	}

	connecting(7, MSS);
	a = IN(.flags = TCPF_RST | TCPF_ACK, .seq = 0);
	is(a.acts, ACT_RST_SOCK, "RST while connecting ends the flow");
	tcps_connected(&s, now);
	a = IN(.flags = TCPF_RST, .seq = 0);
	is(a.acts, ACT_RST_SOCK, "RST of the SYN-ACK ends the flow");
	a = IN(.flags = TCPF_RST, .seq = 1);
	is(a.acts, 0, "RST at another number does not end the handshake");
	established();
	a = IN(.flags = TCPF_RST | TCPF_SYN, .seq = 0);
	is(a.acts, ACT_RST_SOCK, "SYN with RST is a RST");
}

static void reset_for(void)
{
	static const struct {
		struct tcp_seg g;
		uint32_t seq, ack;
		uint8_t flags;
		const char *name;
	} t[] = {
		{ { .seq = 7, .flags = TCPF_SYN }, 0, 8, TCPF_RST | TCPF_ACK,
		  "a RST for a SYN acknowledges it" },
		{ { .seq = 7, .flags = TCPF_SYN, .len = 5 }, 0, 13,
		  TCPF_RST | TCPF_ACK,
		  "a RST for a SYN with data acknowledges both" },
		{ { .seq = 7, .flags = TCPF_FIN, .len = 5 }, 0, 13,
		  TCPF_RST | TCPF_ACK, "a RST for a FIN acknowledges it" },
		{ { .seq = 7, .flags = TCPF_ACK, .ack = 99, .len = 5 }, 99, 0,
		  TCPF_RST, "a RST for an ACK has the number that it acknowledges" },
		{ { .seq = -1, .flags = TCPF_SYN }, 0, 0, TCPF_RST | TCPF_ACK,
		  "a RST for a SYN acknowledges it across 2^32" },
	};
	uint32_t seq, ack;
	uint8_t flags;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		tcps_reset_for(&t[i].g, &seq, &ack, &flags);
		ok(seq == t[i].seq && ack == t[i].ack && flags == t[i].flags,
		   t[i].name);
	}
}

static void acks(void)
{
	struct tcp_acts a;

	established();
	is(sent(10000), 10000, "data goes as far as the window");
	a = IN(.ack = 4000);
	is(a.acts, ACT_CONSUME | ACT_SEND, "an ACK frees data and lets more go");
	is(rel_snd(tcps_acked_data(&s)), 4000,
	   "an ACK frees as much as it acknowledges");
	a = IN(.ack = 3000, .wnd = 1);
	is(a.acts, 0, "an old ACK does nothing");
	is(rel_snd(s.snd_una), 4000, "an old ACK does not move back");
	is(s.snd_wnd, WND, "the window of an old ACK is ignored");
	a = IN(.ack = 3000, .len = 7);
	is(a.take, 7, "the data of an old ACK may be new");
	a = IN(.ack = 10001);
	is(a.acts, ACT_ACK, "an ACK of data never sent is answered");
	is(rel_snd(s.snd_una), 4000,
	   "an ACK of data never sent is not believed");
	a = IN(.ack = 10000);
	is(s.rtx_at, 0, "with all acknowledged there is nothing to resend");
	is(tcps_may_send(&s), WND,
	   "with all acknowledged the whole window is open");
}

static void only_what_is_queued(void)
{
	established();
	tcps_sent(&s, 0, now);
	is(rel_snd(s.snd_nxt), 0, "a frame that was not queued is not sent");
	ok(!tcps_data_queued(&s), "a frame that was not queued is not resent");
	tcps_sent(&s, 1000, now);
	is(rel_snd(s.snd_max), 1000, "a frame that was queued is sent");
	ok(tcps_next_timer(&s) <= now + 400,
	   "a timer watches a frame that was queued");
}

static void fast_retransmit(void)
{
	struct tcp_acts a;
	unsigned i;

	established();
	sent(10000);
	IN(.ack = 2000);
	a = IN(.ack = 2000);
	is(a.acts, 0, "one duplicate ACK does nothing");
	IN(.ack = 2000);
	is(rel_snd(s.snd_nxt), 10000, "two duplicate ACKs do nothing");
	a = IN(.ack = 2000);
	is(a.acts, ACT_SEND, "the third duplicate ACK resends");
	is(rel_snd(s.snd_nxt), 2000,
	   "three duplicate ACKs resend from the first missing byte");
	ok(tcps_data_queued(&s), "the first missing byte is in the socket");
	is(sent(8000), 8000, "three duplicate ACKs resend all data");
	is(rel_snd(s.snd_max), 10000, "three duplicate ACKs send nothing new");
	for (i = 0; i < 10; i++)
		IN(.ack = 2000);
	is(rel_snd(s.snd_nxt), 10000, "more duplicates resend nothing");
	IN(.ack = 5000);
	ok(s.recovering, "recovery goes on after a partial ACK");
	IN(.ack = 10000);
	ok(!s.recovering, "recovery is over after a full ACK");
	for (i = 0; i < 5; i++)
		a = IN(.ack = 10000);
	ok(!a.acts, "with nothing in flight no ACK is a duplicate");

	established();
	sent(10000);
	IN(.ack = 2000);
	for (i = 0; i < 5; i++)
		IN(.ack = 2000, .wnd = WND - 1 - i);
	is(rel_snd(s.snd_nxt), 10000, "window updates are no duplicates");
	for (i = 0; i < 5; i++)
		IN(.ack = 2000, .wnd = WND - 5, .len = 1);
	is(rel_snd(s.snd_nxt), 10000, "data is no duplicate");
	IN(.ack = 2000, .wnd = WND - 5);
	IN(.ack = 2000, .wnd = WND - 5);
	IN(.ack = 3000, .wnd = WND - 5);
	IN(.ack = 3000, .wnd = WND - 5);
	is(rel_snd(s.snd_nxt), 10000,
	   "an ACK between duplicates begins the count anew");
}

static void retransmission(void)
{
	unsigned n, acts = 0, rst = ACT_RST_TAP | ACT_RST_SOCK;
	uint64_t first;

	established();
	sent(3000);
	first = tcps_next_timer(&s);
	ok(first >= now + 200 && first <= now + 1000,
	   "the timer for lost data expires within a second");
	acts = fire();
	is(acts, ACT_SEND, "lost data is resent");
	is(rel_snd(s.snd_nxt), 0, "lost data is resent from the first byte");
	is(sent(3000), 3000, "all lost data is resent");
	ok(tcps_next_timer(&s) - now >= 2 * (first - START),
	   "lost data is resent the next time after twice the time");
	IN(.ack = 1000);
	is(tcps_next_timer(&s) - now, first - START,
	   "an ACK sets the retransmission timeout back");

	for (n = 0; n < 100 && acts != rst; n++) {
		acts = fire();
		sent(2000);
	}
	is(acts, rst, "without any answer both sides are reset");
	ok(now - START > 100 * 1000 && now - START < 3600 * 1000,
	   "a guest without answers is given up after minutes");
	ok(n > 8, "a guest without answers is given up after many attempts");
}

static void fin_after_data(void)
{
	established();
	is(sent(WND + 1000), WND, "data is limited by the window");
	tcps_eof(&s);
	ok(!tcps_fin_may_send(&s), "the FIN waits for the window");
	IN(.ack = 1000);
	is(tcps_may_send(&s), 0, "no data goes beyond the FIN");
	ok(tcps_fin_may_send(&s), "the FIN may go behind all data");
	tcps_fin_sent(&s, now);
	is(rel_snd(s.snd_max), WND + 1, "the FIN counts one");
	ok(!tcps_fin_may_send(&s), "the FIN may go only once");
	IN(.ack = WND);
	is(s.in, IN_EOF, "data acknowledged is not the FIN acknowledged");
	is(rel_snd(tcps_acked_data(&s)), WND,
	   "all acknowledged data is to be consumed");
	IN(.ack = WND + 1);
	is(s.in, IN_FIN_ACKED, "the FIN is acknowledged");
	is(rel_snd(tcps_acked_data(&s)), WND,
	   "an acknowledged FIN is no data to consume");
	is(tcps_may_send(&s), 0, "nothing goes after the FIN");
	ok(!tcps_fin_may_send(&s),
	   "nothing goes after the FIN, not even another");

	established();
	sent(100);
	fire();
	tcps_eof(&s);
	is(s.in, IN_OPEN, "resent data is not the end of the stream");
}

/* resetting() - The peer sent @bytes and a reset, after its FIN if @fin */
static uint32_t resetting(uint32_t bytes, bool fin)
{
	uint32_t n;

	established();
	tcps_reset_due(&s, fin, now);
	n = sent(bytes);
	if (n == bytes)
		tcps_eof(&s);
	return n;
}

static void reset_after_data(void)
{
	struct tcp_acts a;
	unsigned acts;

	resetting(0, false);
	ok(tcps_reset_now(&s), "a reset without data is passed on at once");

	resetting(500, false);
	ok(!tcps_reset_now(&s), "with data in flight, the RST waits");
	ok(!tcps_fin_may_send(&s), "no FIN takes the place of a RST");
	IN();
	ok(tcps_reset_now(&s),
	   "the RST goes once the guest has acknowledged the data");

	resetting(500, true);
	ok(tcps_fin_may_send(&s), "a FIN that came before the reset is sent");
	tcps_fin_sent(&s, now);
	IN(.ack = 500);
	ok(!tcps_reset_now(&s), "the RST waits until the FIN is acknowledged");
	IN(.ack = 501);
	ok(tcps_reset_now(&s), "the RST goes after the FIN");

	resetting(500, false);
	is(fire(), ACT_SEND, "lost data is sent again before the RST");
	sent(500);
	ok(!tcps_reset_now(&s), "the RST waits behind resent data");
	is(fire(), ACT_SEND, "the data is resent a second time");
	sent(500);
	ok(tcps_reset_now(&s), "the RST goes with the second retransmission");

	is(resetting(WND + 100, false), WND, "data fills the guest's window");
	a = IN(.ack = WND, .wnd = 0);
	ok(!tcps_reset_now(&s) && a.acts & ACT_SEND,
	   "a closed window holds back data and RST");
	tcps_blocked(&s, now);
	do {
		acts = fire();
		IN(.ack = WND, .wnd = 0);
	} while (!(acts & ACT_RST_SOCK) && now < START + 100000);
	is(acts, ACT_RST_TAP | ACT_RST_SOCK,
	   "a closed window does not hold the RST for ever");
	ok(now <= START + 62000, "a RST waits for a minute without progress");

	resetting(WND + 100, false);
	now += 50000;
	IN(.ack = 1000, .wnd = 0);
	ok(s.alive_at > now + 50000, "data that the guest takes is progress");

	opening();
	tcps_reset_due(&s, false, now);
	tcps_eof(&s);
	ok(tcps_reset_now(&s),
	   "a reset before the handshake is passed on at once");
}

static void drained(void)
{
	unsigned acts;

	established();
	sent(500);
	tcps_drain(&s, now + 5, now);
	is(fire(), ACT_POLL, "after the guest's reset the queue is polled");
	is(now, START + 5,
	   "after the guest's reset the queue is looked at in time");
	acts = fire();
	is(acts, ACT_RST_TAP | ACT_RST_SOCK,
	   "after the guest's reset the flow ends without another look");
	is(now, START + 60000,
	   "after the guest's reset the flow ends in a minute");
}

static void fin_is_resent(void)
{
	unsigned i, acts;

	established();
	sent(1000);
	tcps_eof(&s);
	tcps_fin_sent(&s, now);
	IN(.ack = 1000);
	acts = fire();
	is(acts, ACT_SEND, "a lost FIN is resent like data");
	is(tcps_may_send(&s), 0, "a lost FIN is resent without data");
	ok(tcps_fin_may_send(&s), "a lost FIN may go again");
	tcps_fin_sent(&s, now);
	is(rel_snd(s.snd_max), 1001, "a resent FIN counts once");

	established();
	sent(1000);
	tcps_eof(&s);
	tcps_fin_sent(&s, now);
	IN(.ack = 400);
	for (i = 0; i < 3; i++)
		IN(.ack = 400);
	is(tcps_may_send(&s), 600, "lost data before the FIN goes first");
	ok(!tcps_fin_may_send(&s), "a lost FIN does not go before lost data");
	tcps_sent(&s, 600, now);
	ok(tcps_fin_may_send(&s), "a lost FIN goes behind lost data");
	tcps_fin_sent(&s, now);
	IN(.ack = 1001);
	is(s.in, IN_FIN_ACKED, "lost data and FIN are acknowledged");
	is(s.rtx_at, 0, "nothing is left to resend after the FIN");
}

static void fin_zero_window(void)
{
	unsigned i, acts = 0;

	established();
	sent(1000);
	tcps_eof(&s);
	IN(.ack = 500, .wnd = 0);
	ok(!tcps_fin_may_send(&s), "no FIN over data that a closed window holds");
	IN(.ack = 1000, .wnd = 0);
	ok(tcps_fin_may_send(&s), "a FIN without data needs no window");
	tcps_fin_sent(&s, now);
	for (i = 0; i < 40; i++) {
		acts = fire();
		IN(.ack = 1000, .wnd = 0);
		if (tcps_fin_may_send(&s))
			tcps_fin_sent(&s, now);
	}
	ok(!(acts & ACT_RST_SOCK), "a guest that answers is waited for");
	is(rel_snd(s.snd_max), 1001,
	   "a guest that answers probes gets one FIN");
	IN(.ack = 1001, .wnd = 0);
	is(s.in, IN_FIN_ACKED,
	   "a guest that answers is waited for until it takes the FIN");
}

static void half_closed(void)
{
	struct tcp_acts a;
	unsigned i;

	established();
	IN(.flags = TCPF_ACK | TCPF_FIN);
	tcps_fin_passed(&s);
	tcps_acknowledge(&s, s.rcv_nxt);
	is(s.out, OUT_FIN_ACKED, "the guest's FIN is acknowledged");
	is(sent(WND + 1), WND, "data still goes to the guest");
	a = IN(.ack = 1000);
	is(a.acts, ACT_CONSUME | ACT_SEND,
	   "the guest's ACKs count after its FIN");
	IN(.ack = 1000, .wnd = 0);
	is(tcps_may_send(&s), 0, "the guest's window closes after its FIN");
	a = IN(.ack = 1000);
	ok(a.acts & ACT_SEND, "the guest's window opens after its FIN");
	sent(WND);
	for (i = 0; i < 3; i++)
		a = IN(.ack = 1000);
	is(rel_snd(s.snd_nxt), 1000,
	   "three duplicate ACKs resend after the guest's FIN");
	ok(tcps_next_timer(&s) && !tcps_done(&s),
	   "timers run after the guest's FIN");

	established();
	tcps_eof(&s);
	tcps_fin_sent(&s, now);
	IN(.len = 0);
	is(s.in, IN_FIN_ACKED, "the peer's FIN is acknowledged by the guest");
	a = IN(.len = 5000);
	is(a.take, 5000, "the guest still sends after the peer's FIN");
	tcps_window(&s, ROOM, ROOM);
	is(rel_rcv(s.rcv_edge), 5000 + ROOM,
	   "the guest's window opens after the peer's FIN");
	a = IN(.seq = s.rcv_nxt - irs - 1);
	is(a.acts, ACT_ACK,
	   "the guest's keep-alives are answered after the peer's FIN");
}

static void close_in_order(void)
{
	established();
	tcps_eof(&s);
	tcps_fin_sent(&s, now);
	IN(.flags = TCPF_ACK | TCPF_FIN);
	ok(!tcps_done(&s), "peer first: the guest's FIN is to be passed on");
	tcps_acknowledge(&s, s.rcv_nxt - 1);
	is(s.out, OUT_FIN_SEEN, "data acknowledged is not the FIN acknowledged");
	tcps_fin_passed(&s);
	tcps_acknowledge(&s, s.rcv_nxt - 1);
	ok(!tcps_done(&s), "the guest's FIN is acknowledged");
	tcps_acknowledge(&s, s.rcv_nxt);
	ok(tcps_done(&s), "peer first: both directions are done");

	established();
	IN(.flags = TCPF_ACK | TCPF_FIN, .len = 10);
	tcps_fin_passed(&s);
	tcps_acknowledge(&s, s.rcv_nxt);
	ok(!tcps_done(&s), "guest first: the peer's FIN is to come");
	tcps_eof(&s);
	tcps_fin_sent(&s, now);
	ok(!tcps_done(&s), "guest first: the peer's FIN is to be acknowledged");
	IN(.len = 0);
	ok(tcps_done(&s), "guest first: both directions are done");
}

static void simultaneous_close(void)
{
	struct tcp_acts a;

	established();
	sent(100);
	tcps_eof(&s);
	tcps_fin_sent(&s, now);
	a = IN(.flags = TCPF_ACK | TCPF_FIN, .ack = 50, .len = 20);
	is(a.take, 20, "simultaneous close: data before the guest's FIN is taken");
	ok(a.acts & ACT_DATA && tcps_fin_due(&s), "simultaneous close: the FIN is taken, too");
	tcps_fin_passed(&s);
	tcps_acknowledge(&s, s.rcv_nxt);
	ok(!tcps_done(&s),
	   "simultaneous close: our FIN is not acknowledged yet");
	is(fire(), ACT_SEND,
	   "simultaneous close: our FIN is resent if it was lost");
	is(tcps_may_send(&s), 50,
	   "simultaneous close: our FIN is resent with the data before it");
	IN(.ack = 101);
	ok(tcps_done(&s),
	   "simultaneous close: both are done when our FIN is acknowledged");
	is(s.rtx_at, 0, "simultaneous close: nothing is resent for ever");
}

static void zero_window(void)
{
	uint64_t before, gap = 0, longest = 0;
	struct tcp_acts a;
	unsigned i, probes = 0, acts;

	established();
	is(sent(WND + 5), WND, "the window is filled");
	IN(.ack = WND, .wnd = 0);
	is(sent(5), 0, "a closed window takes nothing");
	for (i = 0; i < 50; i++) {
		before = now;
		acts = fire();
		probes += !!(acts & ACT_PROBE);
		gap = now - before;
		if (gap > longest)
			longest = gap;
		if (acts & ACT_RST_SOCK)
			break;
		IN(.ack = WND, .wnd = 0);
	}
	is(i, 50, "a guest that answers probes is probed for ever");
	is(probes, 50, "each timer probes the window");
	ok(longest > 10000 && longest <= 60000,
	   "probes slow down to one a minute");
	a = IN(.ack = WND, .wnd = 1000);
	ok(a.acts & ACT_SEND, "data may go when the window opens");
	is(sent(1005), 1000, "data goes as far as the window opened");
	ok(tcps_next_timer(&s) <= now + 1000, "a fresh timer watches the data");

	/* Data that was taken back is acknowledged after all, the window stays shut */
	established();
	sent(2000);
	IN(.ack = 0, .wnd = 0);
	sent(1000);
	IN(.ack = 2000, .wnd = 0);
	is(sent(1000), 0, "a full ACK may shut the window");
	ok(s.rtx_at, "a shut window is probed although all is acknowledged");
	ok(fire() & ACT_PROBE, "a timer probes the shut window");

	established();
	sent(WND);
	IN(.ack = WND, .wnd = 0);
	sent(5);
	for (i = acts = 0; i < 100 && !(acts & ACT_RST_SOCK); i++)
		acts = fire();
	is(acts, ACT_RST_TAP | ACT_RST_SOCK,
	   "a guest that does not answer probes is reset");
}

static void blocked_sleeps(void)
{
	uint64_t next;

	established();
	tcps_eof(&s);
	tcps_fin_sent(&s, now);
	IN(.len = 0);
	next = tcps_next_timer(&s);
	tcps_blocked(&s, now);
	is(s.rtx_at, 0, "after the FIN nothing is blocked by a window");
	is(tcps_next_timer(&s), next,
	   "after the FIN no timer probes the window");

	established();
	sent(WND);
	IN(.ack = WND, .wnd = 0);
	tcps_blocked(&s, now);
	next = tcps_next_timer(&s);
	now += 100;
	tcps_blocked(&s, now);
	is(tcps_next_timer(&s), next,
	   "a second tcps_blocked() does not put off the probe");
	tcps_timer(&s, next);
	ok(tcps_next_timer(&s) > next, "no timer is due twice");
}

static void window_shrinks(void)
{
	unsigned acts;

	established();
	sent(10000);
	IN(.ack = 4000, .wnd = 0);
	is(rel_snd(s.snd_nxt), 4000,
	   "a window shrunk to 0 takes back the data in flight");
	is(tcps_may_send(&s), 0, "nothing may go into a window shrunk to 0");
	ok(!s.recovering, "a shrunk window is no loss");
	acts = fire();
	ok(acts & ACT_PROBE, "a shrunk window is probed");
	ok(!s.recovering, "a probed window is no loss");
	IN(.ack = 4000, .wnd = 3000);
	is(sent(6000), 3000, "a shrunk window is filled again as it opens");
	IN(.ack = 10000, .wnd = WND);
	is(rel_snd(s.snd_nxt), 10000, "an ACK of all that was in flight counts");

	established();
	sent(10000);
	IN(.ack = 4000, .wnd = 2000);
	is(tcps_may_send(&s), 0,
	   "nothing may go into a window shrunk below the data in flight");
	is(rel_snd(s.snd_nxt), 10000,
	   "a window shrunk below the data in flight takes nothing back");
}

static void guest_probes(void)
{
	struct tcp_acts a;

	established();
	s.rcv_edge = s.rcv_nxt;
	is(tcps_window_field(&s, false), 0, "our window is closed");
	a = IN(.len = 1);
	ok(a.acts == ACT_ACK && !a.take, "a probe with a byte is answered");
	is(rel_rcv(s.rcv_nxt), 0, "the byte of a probe is not taken");
	a = IN(.seq = -1);
	is(a.acts, ACT_ACK, "a probe without a byte is answered");
	a = IN(.seq = -1, .wnd = 77);
	is(s.snd_wnd, 77, "the window of a probe is used");
	ok(tcps_window(&s, 10000, 20000),
	   "an opening of our window is advertised at once");
	ok(tcps_window_field(&s, false),
	   "an opening of our window is in the next header");
	a = IN(.len = 1);
	is(a.take, 1, "after an opening a probe's byte is data");
}

static void keep_alive(void)
{
	struct tcp_acts a;

	established();
	a = IN(.seq = -1, .wnd = 500);
	is(a.acts, ACT_ACK, "the guest's keep-alive is answered");
	is(s.snd_wnd, 500, "the window of a keep-alive is taken");
	is(tcps_may_send(&s), 500, "the window of a keep-alive is used");
	established();
	sent(WND + 1);
	IN(.ack = WND, .wnd = 0);
	sent(1);
	a = IN(.seq = -1, .wnd = WND);
	ok(a.acts & ACT_SEND, "a keep-alive may open a window");
}

static void idle_flow(void)
{
	unsigned i, acts, rst = ACT_RST_TAP | ACT_RST_SOCK;
	uint64_t half;

	established();
	acts = fire();
	is(acts, ACT_PROBE, "an idle guest is probed");
	ok(now - START >= 7200 * 1000,
	   "an idle guest is probed after two hours");
	IN(.len = 0);
	acts = fire();
	is(acts, ACT_PROBE, "a guest that answers lives on");
	ok(now - START >= 2 * 7200 * 1000,
	   "a guest that answers lives on for two hours more");
	for (i = 0; i < 20 && acts != rst; i++)
		acts = fire();
	is(acts, rst, "a guest that does not answer is forgotten");
	is(i, 9, "a guest that does not answer is forgotten after nine probes");

	established();
	IN(.flags = TCPF_ACK | TCPF_FIN);
	half = now;
	acts = fire();
	is(acts, ACT_PROBE, "an idle guest of a half-closed flow is probed");
	ok(now - half <= 600 * 1000,
	   "an idle guest of a half-closed flow is probed after ten minutes");
}

static void receiver_sws(void)
{
	uint32_t edge;

	established();
	edge = s.rcv_edge;
	IN(.len = 50000);
	IN(.len = 50000);
	is(rel_rcv(s.rcv_nxt), ROOM, "our window is filled");
	ok(!tcps_window(&s, MSS - 1, ROOM),
	   "room for less than a segment opens no window");
	is(s.rcv_edge, edge, "less than a segment does not move the edge");
	ok(tcps_window(&s, MSS, ROOM), "a segment opens the window");
	is(s.rcv_edge, edge + MSS, "a segment opens the window by as much");
	ok(!tcps_window(&s, 2 * MSS - 1, ROOM),
	   "no small step follows an opening");
	ok(!tcps_window(&s, 0, ROOM), "less room changes nothing");
	is(s.rcv_edge, edge + MSS, "the right edge never moves left");

	established();
	IN(.len = 50000);
	IN(.len = 50000);
	ok(!tcps_window(&s, 99, 200),
	   "less than half of a small buffer opens no window");
	ok(tcps_window(&s, 100, 200), "half of a small buffer is enough");
}

static void window_grows(void)
{
	established();
	tcps_window(&s, 40 << 20, 40 << 20);
	is(tcps_window_field(&s, false), 65535, "the largest window fits its field");
	ok(s.rcv_edge - s.rcv_acked <= 65535U << s.our_ws,
	   "no more is promised than the field can hold");
	IN(.len = 60000);
	IN(.len = 60000);
	tcps_window(&s, 40 << 20, 40 << 20);
	ok(s.rcv_edge - s.rcv_acked <= 65535U << s.our_ws,
	   "the largest window fits with bytes that are not acknowledged");
	tcps_acknowledge(&s, s.rcv_nxt);
	tcps_window(&s, 40 << 20, 40 << 20);
	is(rel_rcv(s.rcv_edge), 120000 + (65535 << s.our_ws),
	   "the largest window moves on with an ACK");
}

static void window_field(void)
{
	unsigned over = 0;
	uint32_t n;

	established();
	for (n = 0; n < 2000; n++) {
		s.rcv_acked = s.rcv_nxt = irs + n;
		over += ((uint32_t)tcps_window_field(&s, false) << s.our_ws) >
			s.rcv_edge - s.rcv_acked;
	}
	is(over, 0, "a scaled window is rounded down, never over the edge");
	s.rcv_acked = s.rcv_nxt = s.rcv_edge - 255;
	is(tcps_window_field(&s, false), 0,
	   "a window of less than a unit is 0");
	s.rcv_acked = s.rcv_nxt = s.rcv_edge - 70000;
	is(tcps_window_field(&s, true), 65535,
	   "the window of our SYN is not scaled");
	s.rcv_acked = s.rcv_nxt = s.rcv_edge - 7000;
	is(tcps_window_field(&s, true), 7000, "the window of our SYN is exact");

	established();
	IN(.len = 50000);
	IN(.len = 50000, .flags = TCPF_ACK | TCPF_FIN);
	ok(tcps_fin_due(&s), "a FIN right behind a filled window is taken");
	tcps_fin_passed(&s);
	tcps_acknowledge(&s, s.rcv_nxt);
	is(tcps_window_field(&s, false), 0,
	   "the window stays closed after the FIN");

	established_ws(-1);
	tcps_window(&s, 1 << 20, 1 << 20);
	is(tcps_window_field(&s, false), 65535,
	   "without a scale the window is at most 65535");
	is(s.rcv_edge - s.rcv_acked, 65535,
	   "without a scale no more is promised");
	is(s.snd_wnd, WND,
	   "without a scale the guest's window is taken as it is");
	s.rcv_mss = 65480;		/* more than half of the largest window */
	IN(.len = 64400);
	tcps_acknowledge(&s, s.rcv_nxt);
	ok(tcps_window(&s, 1 << 20, 1 << 20), "a window that is nearly used up opens");
	is(s.rcv_edge - s.rcv_acked, 65535,
	   "a window opens as far as the field goes");
	established_ws(5);
	is(s.snd_wnd, WND << 5, "a window with a scale is scaled");
}

static void sender_sws(void)
{
	established();
	is(sent(WND - 100), WND - 100, "almost all of the window is filled");
	is(tcps_may_send(&s), 0,
	   "the rest of the window is too small to go by itself");
	IN(.ack = 50000);
	is(tcps_may_send(&s), 50100, "the rest of the window goes with an ACK");

	connecting(0, MSS);
	tcps_connected(&s, now);
	tcps_window(&s, ROOM, ROOM);
	s.snd_wnd_max = 0;
	IN(.ack = 0, .wnd = 200);
	s.snd_wnd_max = 200;
	tcps_sent(&s, 100, now);
	is(tcps_may_send(&s), 100, "half of a small window may go");
	tcps_sent(&s, 1, now);
	is(tcps_may_send(&s), 0, "less than half of a small window may not go");
}

static void acknowledge_is_clamped(void)
{
	established();
	IN(.len = 1000);
	tcps_acknowledge(&s, irs + 1001);
	is(rel_rcv(s.rcv_acked), 1000,
	   "no more is acknowledged than the guest sent");
	tcps_acknowledge(&s, irs + 10);
	is(rel_rcv(s.rcv_acked), 1000, "an acknowledgement never moves back");
	IN(.len = 1000);
	tcps_acknowledge(&s, irs + 1500);
	is(rel_rcv(s.rcv_acked), 1500,
	   "the acknowledgement of a far peer is passed on");
	tcps_acknowledge(&s, irs - 5);
	is(rel_rcv(s.rcv_acked), 1500,
	   "an acknowledgement before the first byte has no effect");
}

static void poll_timer(void)
{
	established();
	s.poll_at = now + 10;
	sent(10);
	is(tcps_next_timer(&s), now + 10, "the earliest timer is next");
	is(fire(), ACT_POLL, "the poll timer has the socket asked");
	is(s.poll_at, 0, "the poll timer expires once");
}

int main(void)
{
	static const uint32_t first[][2] = {
		{ 5000, 100000 },		/* guest's, ours */
		{ 0xffffff00, 0xfffffe00 },
		{ 0, 0xffff1000 },
		{ 0xffff0001, 1 },
		{ 0x7fffff00, 0x7ffff000 },
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(first); i++) {
		irs = first[i][0];
		iss = first[i][1];
		printf("# initial sequence numbers %x and %x\n", irs, iss);
		options_table();
		handshake();
		syn_retries();
		active_open();
		active_table();
		hurried_syn();
		initial_numbers();
		simultaneous_open();
		active_retries();
		data_table();
		fin_out_of_order();
		refused();
		rst_table();
		acks();
		only_what_is_queued();
		fast_retransmit();
		retransmission();
		fin_after_data();
		reset_after_data();
		drained();
		fin_is_resent();
		fin_zero_window();
		half_closed();
		close_in_order();
		simultaneous_close();
		zero_window();
		blocked_sleeps();
		window_shrinks();
		guest_probes();
		keep_alive();
		idle_flow();
		receiver_sws();
		window_grows();
		window_field();
		sender_sws();
		acknowledge_is_clamped();
		poll_timer();
	}
	reset_for();
	return done();
}
