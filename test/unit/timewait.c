/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TIME-WAIT: segments that an ended connection still answers, and others */

#include "timewait.h"

#include "tap.h"
#include "wire.h"

#define SND	0x10U		/* one after our FIN: data before it wraps */
#define RCV	5000U
#define HASH	77U

static struct timewait w;

static const struct flowside side = {
	.oaddr.u64 = { 1, 2 }, .oport = 80,
	.eaddr.u64 = { 1, 3 }, .eport = 40000,
};

/* answer() - TIMEWAIT_* for one segment, -1 if its number is wrong */
static int answer(uint8_t flags, uint32_t seq, uint32_t len, uint32_t ack)
{
	const struct tcp_seg g = {
		.seq = seq, .ack = ack, .flags = flags, .len = len, .ws = -1,
	};
	uint32_t a = 0;
	int rc = timewait_input(&w, HASH, &side, &g, &a);

	return rc == TIMEWAIT_ACK && a != RCV ? -1 : rc;
}

static void segments(void)
{
	static const struct {
		const char *name;
		uint8_t flags;
		uint32_t seq, len, ack;
		enum timewait_answer want;
	} t[] = {
		{ "a repeated FIN is acknowledged again",
		  TCPF_FIN | TCPF_ACK, RCV - 1, 0, SND,
		  TIMEWAIT_ACK },
		{ "data before the FIN is acknowledged again",
		  TCPF_ACK, RCV - 1001, 1000, SND,
		  TIMEWAIT_ACK },
		{ "data with the FIN is acknowledged again",
		  TCPF_FIN | TCPF_ACK, RCV - 101, 100, SND,
		  TIMEWAIT_ACK },
		{ "a repeated ACK gets no answer",
		  TCPF_ACK, RCV, 0, SND, TIMEWAIT_SILENCE },
		{ "an ACK from before the FIN gets no answer",
		  TCPF_ACK, RCV - 1, 0, SND,
		  TIMEWAIT_SILENCE },
		{ "a FIN that does not acknowledge ours is unknown",
		  TCPF_FIN | TCPF_ACK, RCV - 1, 0,
		  SND - 1, TIMEWAIT_UNKNOWN },
		{ "an older ACK alone is unknown", TCPF_ACK, RCV, 0, SND - 1,
		  TIMEWAIT_UNKNOWN },
		{ "new data is unknown",
		  TCPF_ACK, RCV, 1, SND, TIMEWAIT_UNKNOWN },
		{ "old data with new data is unknown",
		  TCPF_ACK, RCV - 1, 2, SND,
		  TIMEWAIT_UNKNOWN },
		{ "a FIN at another number is unknown",
		  TCPF_FIN | TCPF_ACK, RCV, 0, SND,
		  TIMEWAIT_UNKNOWN },
		{ "an ACK of data never sent is unknown", TCPF_FIN | TCPF_ACK,
		  RCV - 1, 0, SND + 1, TIMEWAIT_UNKNOWN },
		{ "another connection's sequence number is unknown",
		  TCPF_ACK, RCV + (1U << 31), 0,
		  SND, TIMEWAIT_UNKNOWN },
		{ "another connection's acknowledgement is unknown",
		  TCPF_ACK, RCV - 1, 0,
		  SND - (1U << 30), TIMEWAIT_UNKNOWN },
		{ "a segment without ACK is unknown", TCPF_FIN, RCV - 1, 0, 0,
		  TIMEWAIT_UNKNOWN },
		{ "a RST is unknown", TCPF_RST | TCPF_ACK, RCV - 1, 0, SND,
		  TIMEWAIT_UNKNOWN },
		{ "a SYN-ACK is unknown", TCPF_SYN | TCPF_ACK, RCV - 1, 0, SND,
		  TIMEWAIT_UNKNOWN },
	};
	unsigned i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		is(answer(t[i].flags, t[i].seq, t[i].len, t[i].ack), t[i].want,
		   t[i].name);
}

/* others() - Connections that are not in the table get no answer */
static void others(void)
{
	const struct tcp_seg fin = {
		.seq = RCV - 1, .ack = SND, .flags = TCPF_FIN | TCPF_ACK,
	};
	const struct tcps newer = { .snd_nxt = 1, .rcv_nxt = 2 };
	struct flowside other = side;
	uint32_t a;

	other.eport++;
	is(timewait_input(&w, HASH, &other, &fin, &a), TIMEWAIT_UNKNOWN,
	   "another port with the same hash is unknown");
	is(timewait_input(&w, HASH + 1, &side, &fin, &a), TIMEWAIT_UNKNOWN,
	   "another hash is unknown");
	timewait_add(&w, HASH + TIMEWAIT_SLOTS, &other, &newer);
	is(answer(TCPF_FIN | TCPF_ACK, RCV - 1, 0, SND), TIMEWAIT_UNKNOWN,
	   "a newer connection replaces an older one");
}

/* numbers() - Initial sequence numbers beside an entry that ends at SND */
static void numbers(void)
{
	struct flowside other = side;

	other.eport++;
	is(timewait_seq(&w, HASH, &side, SND + 1), SND + 1,
	   "a number above the old connection's is left as it is");
	ok((int32_t)(timewait_seq(&w, HASH, &side, SND) - SND) > 0,
	   "a number that the old connection reached is moved above it");
	ok((int32_t)(timewait_seq(&w, HASH, &side, SND - (1U << 30)) - SND) > 0,
	   "a number far below the old connection's is moved above it");
	is(timewait_seq(&w, HASH, &other, SND - 5), SND - 5,
	   "another connection's number is left as it is");
	is(timewait_seq(&w, HASH + 1, &side, SND - 5), SND - 5,
	   "a number under another hash is left as it is");
}

int main(void)
{
	const struct tcps s = { .snd_nxt = SND, .rcv_nxt = RCV };

	is(answer(TCPF_FIN | TCPF_ACK, RCV - 1, 0, SND), TIMEWAIT_UNKNOWN,
	   "an empty table knows nothing");
	timewait_add(&w, HASH, &side, &s);
	segments();
	numbers();
	others();
	return done();
}
