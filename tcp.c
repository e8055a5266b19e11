/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp.c - TCP flows: segments of the guest on one side, a socket on the other
 *
 * tcp_state.c decides, and five files perform its decisions: they own the sockets,
 * frames, overflow pool and timers of flows. This one takes batches of segments, events
 * of sockets and timers, and gives turns to flows with work left. tcp_start.c starts
 * flows, tcp_out.c carries data from the guest to the peer, tcp_in.c from the peer
 * to the guest, tcp_flow.c sends segments without payload and ends flows.
 *
 * Resets. A peer's reset, like any error of the socket, leaves its receive queue
 * readable. A @failed socket is read to the end: the guest gets all data, and then
 * a RST. Data that the guest sends meanwhile is acknowledged and dropped: a guest that
 * reads only after its upload would never read. After a reset by the guest, the
 * socket first sends the data that is left in it and in the pool. The flow is then
 * @draining: the guest no longer has a part in it, and data of the peer is dropped.
 *
 * Sockets are watched edge-triggered. @readable remembers an edge until a read
 * comes back short; a flow that used up its turn is put on the ready list, one
 * that got no frame from the tap on the blocked list.
 */

#include "tcp.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "counters.h"
#include "hostsock.h"
#include "inany.h"
#include "procfile.h"
#include "tcp_priv.h"
#include "tcp_state.h"
#include "wire.h"

#define SYSCTL		"/proc/sys/net/ipv4/"

/* Batches of segments ---------------------------------------------------- */

static void parse_syn_options(const struct pkt *p, struct tcp_seg *g)
{
	const uint8_t *o = p->opts;
	unsigned left = p->opts_len;

	while (left && *o != TCPOPT_EOL_) {
		unsigned len = 1;

		if (*o != TCPOPT_NOP_) {
			if (left < 2 || o[1] < 2 || o[1] > left)
				return;
			len = o[1];
		}
		if (*o == TCPOPT_MSS && len == TCPOPT_MSS_LEN)
			g->mss = o[2] << 8 | o[3];
		else if (*o == TCPOPT_WS && len == TCPOPT_WS_LEN)
			g->ws = o[2];
		o += len;
		left -= len;
	}
}

static void segment_of(const struct pkt *p, struct tcp_seg *g)
{
	*g = (struct tcp_seg){
		.seq = ntohl(p->tcp.seq), .ack = ntohl(p->tcp.ack),
		.wnd = ntohs(p->tcp.wnd), .flags = p->tcp.flags,
		.ws = -1, .len = p->payload.len,
	};
	if (g->flags & TCPF_SYN)
		parse_syn_options(p, g);
}

static struct tcp_work *work_for(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	struct tcp_work *w;

	if (c->work)
		return &t->work[c->work - 1];

	w = &t->work[t->works++];
	c->work = t->works;
	w->flow = f;
	w->acts = 0;
	w->holes = 0;
	w->ack_now = false;
	w->count = 0;
	w->bytes = 0;
	return w;
}

/*
 * undelivered() - Bytes of the guest that were never sent to the peer
 *
 * Data in flight does not count: a kernel sends its RST right behind such data,
 * too, and does not wait until it is acknowledged.
 */
/* #syscalls ioctl */
/* #args ioctl 1 SIOCOUTQNSD */
static uint32_t undelivered(struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	int unsent = 0;

	if (c->failed || c->s.phase != TCPS_ESTABLISHED ||
	    ioctl(c->sock, SIOCOUTQNSD, &unsent) || unsent < 0)
		return 0;
	return c->spill.len + unsent;
}

/* tcp_drain() - Send data left by a guest that has reset; end the flow if none is */
static void tcp_drain(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	uint64_t now = t->loop->now_ms;
	uint32_t left;

	tcp_drain_spill(t, f);
	left = undelivered(f);
	if (!left) {
		tcp_end(t, f, true, "reset by the guest");
		return;
	}
	if (left < c->in_space) {
		c->in_space = left;
		tcps_drain(&c->s, now + c->poll_now, now);
	} else {
		c->poll_now = tcp_next_poll(c->poll_now);
		c->s.poll_at = now + c->poll_now;
	}
	tcp_rearm(t, f);
}

/* guest_reset() - Handle a RST from the guest: the peer gets one, behind the data */
static void guest_reset(struct tcp *t, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);

	if (!undelivered(f)) {
		tcp_end(t, f, true, "reset by the guest");
		return;
	}
	tcp_trace(t, f, "reset by the guest, data is left");
	c->draining = true;
	c->ack_due = c->ack_waits = false;
	c->in_space = UINT32_MAX;
	c->poll_now = c->poll_ms;
	flow_list_remove(t->flows, f);
	flow_unhash(t->flows, f);
	tcp_give_way(t, f);
	tcp_drain(t, f);
}

/* segment() - Let the state decide, and collect the actions */
static void segment(struct tcp *t, struct flow *f, const struct pkt *p,
		    const struct tcp_seg *g)
{
	struct tcp_conn *c = tcp_conn(f);
	struct tcp_acts a;
	struct tcp_work *w;

	tcps_segment(&c->s, g, t->loop->now_ms, &a);
	if (c->s.phase == TCPS_ESTABLISHED && !c->failed)
		flow_set_rank(t->flows, f, FLOW_KEPT);

	if (a.acts & ACT_RST_SOCK) {
		guest_reset(t, f);
		return;
	}
	if (a.acts & ACT_RST_TAP)
		tcp_answer_rst(t, flow_tap_side(f), g);
	if (a.acts & (ACT_SYN | ACT_SYNACK))
		tcp_send_syn(t, f, a.acts & ACT_SYN ? 0 : TCPF_ACK);
	if (!a.acts)
		return;

	w = work_for(t, f);
	w->acts |= a.acts;
	w->holes += !!(a.acts & ACT_HOLE);
	if (a.take) {
		w->data[w->count++] = view_at(p->payload, a.skip, a.take);
		w->bytes += a.take;
	}
}

/*
 * close_if_done() - End the flow if both directions are closed and the guest knows
 *
 * Return: true if the flow ended
 */
static bool close_if_done(struct tcp *t, struct flow *f)
{
	const struct flowside *tap = flow_tap_side(f);
	struct tcp_conn *c = tcp_conn(f);

	if (!tcps_done(&c->s) || c->ack_due || c->ack_waits || c->dying)
		return false;
	timewait_add(&t->timewait, tcp_tap_hash(t, tap), tap, &c->s);
	tcp_end(t, f, false, "closed");
	return true;
}

/* run_work() - Perform the actions for the segments of a flow in this batch */
static void run_work(struct tcp *t, struct tcp_work *w)
{
	struct flow *f = w->flow;
	unsigned i;

	if (!f)
		return;
	w->flow = NULL;
	tcp_conn(f)->work = 0;

	if (w->acts & ACT_CONSUME)
		tcp_consume(t, f);
	if (w->bytes)
		tcp_deliver(t, f, w);
	tcp_pass_fin(t, f);
	if (w->acts & (ACT_DATA | ACT_ACK))
		tcp_ack_batch(t, f, w);
	for (i = 0; i < w->holes && i < TCP_FAST_DUPACKS; i++)
		tcp_send_ack(t, f);
	if ((w->acts & ACT_SEND || tcp_conn(f)->failed) && !tcp_pump(t, f))
		return;
	tcp_ack_last(t, f, w);
	if (!close_if_done(t, f))
		tcp_rearm(t, f);
}

/* no_flow() - Answer a segment, not a SYN, that belongs to no flow */
static void no_flow(struct tcp *t, const struct flowside *tap,
		    const struct tcp_seg *g)
{
	uint32_t ack;

	switch (timewait_input(&t->timewait, tcp_tap_hash(t, tap), tap, g, &ack)) {
	case TIMEWAIT_UNKNOWN:
		tcp_answer_rst(t, tap, g);
		break;
	case TIMEWAIT_SILENCE:
		break;
	case TIMEWAIT_ACK:
		tcp_send_ctl(t, tap, TCPF_ACK, g->ack, ack, 0, NULL, 0);
		break;
	}
}

/**
 * tcp_tap_input() - Segments from the guest
 * @t:		TCP
 * @pkts:	Packets, all PKT_TCP
 * @n:		How many, at most TAP_RX_BATCH
 */
void tcp_tap_input(struct tcp *t, const struct pkt *pkts, unsigned n)
{
	unsigned i;

	if (t->conf->no_tcp)
		return;

	t->works = 0;
	for (i = 0; i < n; i++) {
		const struct pkt *p = &pkts[i];
		struct flowside tap = {
			.oaddr = p->dst, .oport = ntohs(p->tcp.dport),
			.eaddr = p->src, .eport = ntohs(p->tcp.sport),
		};
		struct tcp_seg g;
		struct flow *f;

		segment_of(p, &g);
		f = flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP, &tap, NULL);
		if (f && (tcp_conn(f)->held || tcp_conn(f)->dying))
			continue;	/* the guest stands still, or gets a RST */
		if (f && g.flags & (TCPF_SYN | TCPF_RST) && tcp_conn(f)->work) {
			/* Earlier segments may end the flow, or have data that
			 * a RST must not overtake */
			run_work(t, &t->work[tcp_conn(f)->work - 1]);
			f = flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP, &tap,
					NULL);
		}
		if (f)
			segment(t, f, p, &g);
		else if (!inany_is_unicast(&p->src) || !inany_is_unicast(&p->dst))
			continue;	/* RFC 9293, 3.9.2.3 */
		else if ((g.flags & (TCPF_SYN | TCPF_ACK | TCPF_RST)) == TCPF_SYN)
			tcp_new_flow(t, &tap, &g);
		else
			no_flow(t, &tap, &g);
	}
	for (i = 0; i < t->works; i++)
		run_work(t, &t->work[i]);
}

/**
 * tcp_tap_unreachable() - A connection to the guest is refused by ICMP
 * @t:		TCP
 * @q:		Quoted segment
 *
 * Permanent errors end a connection that is being set up, if the quoted segment is
 * its SYN. An established connection is left alone: RFC 5927, 5.2, RFC 5461.
 */
void tcp_tap_unreachable(struct tcp *t, const struct pkt_quote *q)
{
	const struct flowside tap = {
		.oaddr = q->src, .oport = q->sport,
		.eaddr = q->dst, .eport = q->dport,
	};
	struct flow *f = flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP, &tap, NULL);

	if (f && tcp_conn(f)->s.phase == TCPS_SYN_SENT && !tcp_conn(f)->dying &&
	    q->seq == tcp_conn(f)->s.snd_una)
		tcp_end(t, f, true, "refused by ICMP");
}

/* drain_event() - Discard the peer's data: it may read ours only after it has sent */
/* #syscalls recvfrom recv */
static void drain_event(struct tcp *t, struct flow *f, uint32_t events)
{
	struct tcp_conn *c = tcp_conn(f);

	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP))
		recv(c->sock, NULL, INT_MAX, MSG_TRUNC | MSG_DONTWAIT);
	if (events & EPOLLOUT)
		c->armed = false;
	tcp_drain(t, f);
}

/**
 * tcp_sock_event() - epoll reported something on a flow's socket
 */
void tcp_sock_event(void *ctx, struct flow *f, unsigned side, uint32_t events)
{
	struct tcp *t = ctx;
	struct tcp_conn *c = tcp_conn(f);
	int error = 0;

	(void)side;
	if (c->dying)
		return;
	if (events & (EPOLLERR | EPOLLHUP))
		error = hostsock_error(c->sock);
	if (c->draining) {
		if (error)
			tcp_end(t, f, true, "reset by both");
		else
			drain_event(t, f, events);
		return;
	}

	if (c->s.phase == TCPS_CONNECTING) {
		if (error) {
			tcp_connect_failed(t, f, error);
			return;
		}
		if (!(events & EPOLLOUT))
			return;
		tcp_connected(t, f);
	}

	if (error)
		tcp_socket_failed(t, f, error);
	c->rdhup |= !!(events & EPOLLRDHUP);
	c->urgent |= !!(events & EPOLLPRI);
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP))
		c->readable = true;
	if ((events & EPOLLOUT) && c->armed && !c->failed)
		tcp_sock_writable(t, f);
	if (!tcp_pump(t, f))
		return;
	if (!close_if_done(t, f))
		tcp_rearm(t, f);
}

/**
 * tcp_timer() - The wheel reported a flow's timer
 */
void tcp_timer(void *ctx, struct flow *f)
{
	struct tcp *t = ctx;
	struct tcp_conn *c = tcp_conn(f);
	unsigned acts;

	if (c->dying) {
		tcp_reset(t, f, "reset");
		return;
	}
	acts = tcps_timer(&c->s, t->loop->now_ms);
	if (acts & ACT_RST_TAP && !c->draining)
		tcp_send_rst(t, f);
	if (acts & ACT_RST_SOCK) {
		tcp_end(t, f, !tcps_done(&c->s), "timed out");
		return;
	}
	if (c->draining) {
		tcp_drain(t, f);
		return;
	}
	if (acts & (ACT_SYN | ACT_SYNACK))
		tcp_send_syn(t, f, acts & ACT_SYN ? 0 : TCPF_ACK);
	if (acts & ACT_PROBE)
		tcp_send_probe(t, f);
	if (c->ack_waits && !tcp_asked_lately(t, c))
		tcp_ack_waited(t, f);
	if (acts & ACT_POLL) {
		c->poll_now = tcp_next_poll(c->poll_now);
		tcp_update_ack(t, f, false, true);
	}
	if (acts & ACT_SEND && !tcp_pump(t, f))
		return;
	if (!close_if_done(t, f))
		tcp_rearm(t, f);
}

/* run_list() - Give a turn to each flow of a list; it may queue itself again */
static void run_list(struct tcp *t, struct flow_list *l)
{
	uint32_t n = l->count;
	struct flow *f;

	while (n-- && (f = flow_list_pop(t->flows, l))) {
		if (tcp_conn(f)->dying) {
			tcp_reset(t, f, "reset");
			continue;
		}
		if (tcp_conn(f)->ack_due && !tcp_send_ack(t, f))
			continue;
		if (tcp_conn(f)->s.phase == TCPS_ESTABLISHED)
			tcp_consume(t, f);
		if (tcp_pump(t, f) && !close_if_done(t, f))
			tcp_rearm(t, f);
	}
}

/**
 * tcp_tap_writable() - The tap has room again
 */
void tcp_tap_writable(struct tcp *t)
{
	run_list(t, &t->blocked);
}

/**
 * tcp_run_ready() - Give a turn to every flow with work left
 *
 * Return: true if there is still work: do not sleep
 */
bool tcp_run_ready(struct tcp *t)
{
	run_list(t, &t->ready);
	return t->ready.count;
}

/**
 * tcp_init() - Start without flows
 * @key:	Random, two words for initial sequence numbers, one for source ports
 */
void tcp_init(struct tcp *t, const struct conf *conf, const struct hostnet *net,
	      const struct guest *guest, const struct dns *dns,
	      struct flow_table *flows, struct tap *tap, struct loop *loop,
	      const uint64_t key[3])
{
	t->conf = conf;
	t->net = net;
	t->guest = guest;
	t->dns = dns;
	t->flows = flows;
	t->tap = tap;
	t->loop = loop;
	t->iss_key[0] = key[0];
	t->iss_key[1] = key[1];
	t->port_key = key[2];
	flow_list_init(&t->ready);
	flow_list_init(&t->blocked);
	t->syn.retries = procfile_number(SYSCTL "tcp_syn_retries", 127, 6);
	t->syn.linear = procfile_number(SYSCTL "tcp_syn_linear_timeouts", 127,
					0);
}

/**
 * tcp_unfinished() - Has the guest sent data or a FIN that is still to be delivered?
 *
 * Only an established connection can have any.
 */
bool tcp_unfinished(const struct flow *f)
{
	const struct tcp_conn *c = (const void *)f->priv;

	return c->s.phase == TCPS_ESTABLISHED &&
	       (c->draining || c->s.out < OUT_FIN_PASSED);
}

/**
 * tcp_kill() - End a connection on request, by a RST to both ends
 * @ctx:	TCP
 * @f:		The flow
 *
 * If the tap has no room for the RST, the flow stays until there is some: its socket
 * is closed then, and data of either end is dropped meanwhile.
 *
 * Return: 0; -EBUSY if the connection is moving to another machine with the guest, or
 * has come from there and the guest not yet: nobody is here who could be told
 */
int tcp_kill(void *ctx, struct flow *f)
{
	struct tcp_conn *c = tcp_conn(f);
	struct tcp *t = ctx;

	if (c->held)
		return -EBUSY;
	if (c->draining) {
		tcp_end(t, f, true, "killed");
	} else if (!c->dying) {
		tcp_give_way(t, f);
		tcp_reset(t, f, "killed");
	}
	return 0;
}

/**
 * tcp_flow_state() - Name the state of a connection
 * @f:		The flow
 * @s:		Set
 */
void tcp_flow_state(const struct flow *f, struct flow_state *s)
{
	const struct tcp_conn *c = (const void *)f->priv;

	s->sock = c->sock;
	if (c->failed || c->draining || c->dying || c->s.out != OUT_OPEN ||
	    c->s.in != IN_OPEN)
		s->name = "CLOSING";
	else
		s->name = c->s.phase == TCPS_ESTABLISHED ? "ESTABLISHED" :
							   "CONNECTING";
}

/**
 * tcp_counters() - Connections and refusals, for --stats
 */
void tcp_counters(const void *ctx, struct counters *c)
{
	const struct tcp_stats *s = &((const struct tcp *)ctx)->stats;

	c->title = "TCP";
	counters_add(c, "opened by the guest", s->opened);
	counters_add(c, "accepted for it", s->accepted);
	counters_add(c, "resets sent to it", s->resets_sent);
	counters_add_if(c, "refused without a flow", s->refused_table);
	counters_add_if(c, "refused without a socket", s->refused_fd);
	counters_add_if(c, "refused without a source port", s->refused_ports);
	counters_add_if(c, "bytes to be sent again", s->refused_bytes);
}
