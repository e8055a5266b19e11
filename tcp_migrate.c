/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_migrate.c - TCP flows move to another machine with the guest
 *
 * The guest takes its half of a connection along in its memory. We have to take along
 * the state towards the guest (struct tcp_conn) and the host kernel's socket (struct
 * tcp_sock, and both of its queues). Both machines must have the address that the peer
 * knows.
 *
 *	source					target
 *	freeze	LIVE -> FROZEN
 *	save					load	      -> ARRIVED
 *	gone	FROZEN -> GONE			commit	ARRIVED -> LIVE
 *	thaw	FROZEN -> LIVE			rollback	ARRIVED -> ended
 *
 * A frozen socket is in repair mode and deaf, so nothing is lost in either case: what
 * the peer sends meanwhile is not acknowledged. A flow that has gone keeps its socket:
 * as long as segments of the peer still come here, nobody must answer them by a RST. It
 * ends when another flow needs the room.
 *
 * Data that the guest has sent, but the kernel has not, can't be put into the socket
 * before it lives, as all bytes of a send queue in repair mode count as sent. It waits in
 * @room. If that is full, it counts as sent, and is sent by a retransmission. So does its
 * begin, always: a probe for lost segments may have sent that meanwhile, and a socket
 * ignores an acknowledgement of data that it has not sent.
 *
 * Established connections move, half-closed ones too, and those that the guest has
 * closed, as long as the peer has not acknowledged all: tcp_update_ack(). Left behind are those that are
 * being set up or reset, have ended on both sides, have urgent data in their queue, or
 * lead to the machine itself. The stream has, for each flow,
 *
 *	1, the fields of struct record, the sent, the unsent and the received data
 *
 * and 0 at the end. Numbers are little-endian.
 */

#include "tcp_migrate.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fwd.h"
#include "hostsock.h"
#include "inany.h"
#include "log.h"
#include "migio.h"
#include "tcp_priv.h"
#include "tcp_sock.h"

#define WAIT_MS		10		/* for the repairer to connect */
#define BATCH		253U		/* sockets of one message to it */
#define POLL_LIMIT_MS	1000U
#define DOUBTFUL	65536U		/* bytes after those that were sent */
#define REST_MS		10		/* until sockets that hear nothing stop sending */

/**
 * struct record - A flow in the stream
 * @k:		Socket
 * @tap:	Side on the tap
 * @s:		State towards the guest; times count from now on
 * @unsent:	Data of the guest that was not sent yet, bytes
 * @snd_base, @rtt_ms, @ratio, @poll_ms:	As in struct tcp_conn
 * @outbound:	The guest has begun it
 * @near, @starved:	As in struct tcp_conn
 */
struct record {
	struct tcp_sock k;
	struct flowside tap;
	struct tcps s;
	uint32_t unsent;
	uint32_t snd_base, rtt_ms;
	uint16_t ratio, poll_ms;
	bool outbound, near, starved;
};

/* Fields of the stream: written and read by one list ------------------------ */

struct coder {
	struct migio *io;
	bool get;
};

static void bytes(const struct coder *c, void *p, size_t len)
{
	if (c->get)
		migio_get(c->io, p, len);
	else
		migio_put(c->io, p, len);
}

static void code_u32(const struct coder *c, uint32_t *v)
{
	uint32_t le = htole32(*v);

	bytes(c, &le, sizeof(le));
	*v = le32toh(le);
}

static void code_u64(const struct coder *c, uint64_t *v)
{
	uint64_t le = htole64(*v);

	bytes(c, &le, sizeof(le));
	*v = le64toh(le);
}

static void code_u16(const struct coder *c, uint16_t *v)
{
	uint32_t wide = *v;

	code_u32(c, &wide);
	*v = (uint16_t)wide;
}

static void code_u8(const struct coder *c, uint8_t *v)
{
	bytes(c, v, sizeof(*v));
}

static void code_bool(const struct coder *c, bool *v)
{
	uint8_t byte = *v;

	code_u8(c, &byte);
	*v = byte;
}

static void code_side(const struct coder *c, struct flowside *s)
{
	bytes(c, &s->oaddr, sizeof(s->oaddr));
	bytes(c, &s->eaddr, sizeof(s->eaddr));
	code_u16(c, &s->oport);
	code_u16(c, &s->eport);
}

static void code_sock(const struct coder *c, struct tcp_sock *k)
{
	code_side(c, &k->at);
	code_u32(c, &k->rcv_seq);
	code_u32(c, &k->rcv_len);
	code_u32(c, &k->snd_seq);
	code_u32(c, &k->sent);
	code_u32(c, &k->unsent);
	code_u32(c, &k->wl1);
	code_u32(c, &k->wnd);
	code_u32(c, &k->wnd_max);
	code_u32(c, &k->rcv_wnd);
	code_u32(c, &k->rcv_wup);
	code_u32(c, &k->mss);
	code_u32(c, &k->timestamp);
	code_u8(c, &k->peer_ws);
	code_u8(c, &k->our_ws);
	code_u8(c, &k->options);
	code_bool(c, &k->fin_in);
	code_bool(c, &k->fin_sent);
	code_bool(c, &k->fin_unsent);
}

static void code_state(const struct coder *c, struct tcps *s)
{
	code_u8(c, &s->phase);
	code_u8(c, &s->out);
	code_u8(c, &s->in);
	code_u8(c, &s->our_ws);
	code_u8(c, &s->peer_ws);
	code_u8(c, &s->dupacks);
	code_u8(c, &s->retries);
	code_u8(c, &s->probes);
	code_bool(c, &s->recovering);
	code_bool(c, &s->persist);
	code_u16(c, &s->mss);
	code_u16(c, &s->rcv_mss);
	code_u32(c, &s->snd_una);
	code_u32(c, &s->snd_nxt);
	code_u32(c, &s->snd_max);
	code_u32(c, &s->snd_wnd);
	code_u32(c, &s->snd_wnd_max);
	code_u32(c, &s->snd_eof);
	code_u32(c, &s->recover);
	code_u32(c, &s->rcv_nxt);
	code_u32(c, &s->rcv_acked);
	code_u32(c, &s->rcv_edge);
	code_u32(c, &s->rto_ms);
	code_u64(c, &s->rtx_at);
	code_u64(c, &s->poll_at);
	code_u64(c, &s->alive_at);
}

static void code_record(const struct coder *c, struct record *r)
{
	code_sock(c, &r->k);
	code_side(c, &r->tap);
	code_state(c, &r->s);
	code_u32(c, &r->unsent);
	code_u32(c, &r->snd_base);
	code_u32(c, &r->rtt_ms);
	code_u16(c, &r->ratio);
	code_u16(c, &r->poll_ms);
	code_bool(c, &r->outbound);
	code_bool(c, &r->near);
	code_bool(c, &r->starved);
}

/* Freeze and thaw ----------------------------------------------------------- */

/* The next flow after @f, NULL: the first one, that is held like @held */
static struct flow *next_held(const struct tcp_migrate *m, const struct flow *f,
			      enum tcp_held held)
{
	struct flow_table *t = m->tcp->flows;
	struct flow *n = flow_next(t, f);

	while (n && (n->proto != IPPROTO_TCP || !flow_is_on(n, PIF_TAP) ||
		     tcp_conn(n)->held != held))
		n = flow_next(t, n);
	return n;
}

/* May this flow move? */
static bool may_move(struct flow *f)
{
	const struct tcp_conn *c = tcp_conn(f);

	return c->s.phase == TCPS_ESTABLISHED && !c->failed && !c->draining &&
	       !c->dying && !c->s.reset && !tcps_done(&c->s) &&
	       !inany_is_loopback(&flow_host_side(f)->eaddr);
}

/* Switch the repair mode of the sockets of all flows that are held like @held: 0 or
 * negative errno, with which some may have been switched */
static int set_repair(struct tcp_migrate *m, enum tcp_held held, int mode)
{
	struct flow *f = NULL;
	int fds[BATCH], rc = 0;
	unsigned n = 0;

	while (!rc && (f = next_held(m, f, held))) {
		fds[n++] = tcp_conn(f)->sock;
		if (n == BATCH) {
			rc = m->repair.set(m->repair.ctx, fds, n, mode);
			n = 0;
		}
	}
	if (!rc && n)
		rc = m->repair.set(m->repair.ctx, fds, n, mode);
	return rc;
}

/* Take a flow out of the loop, and let it hear nothing more */
static void stop(struct tcp_migrate *m, struct flow *f)
{
	struct tcp *t = m->tcp;
	struct tcp_conn *c = tcp_conn(f);

	if (tcp_sock_deafen(c->sock))
		return;
	loop_del(t->loop, c->sock);
	wheel_cancel(&t->loop->wheel, &f->timer);
	flow_list_remove(t->flows, f);
	c->held = TCP_FROZEN;
}

/* Put a flow into the loop. It ends if that fails, or if its socket is stuck in repair
 * mode, since nobody could switch it */
static void resume(struct tcp_migrate *m, struct flow *f)
{
	struct tcp *t = m->tcp;
	struct tcp_conn *c = tcp_conn(f);

	c->held = TCP_LIVE;
	c->armed = false;
	c->readable = true;
	if (c->peek_off)
		hostsock_set_int(c->sock, SOL_SOCKET, SO_PEEK_OFF, 0);
	c->peek_pos = 0;
	if (tcp_sock_stuck(c->sock) || tcp_watch_socket(t, f, true)) {
		tcp_send_rst(t, f);
		tcp_end(t, f, true, "can't go on");
		return;
	}
	tcp_drain_spill(t, f);
	tcp_pass_fin(t, f);
	/* The guest may wait for a window, and no event tells that there is room */
	tcp_update_ack(t, f, true, true);
	tcp_resend_refused(t, f);
	flow_list_push(t->flows, &t->ready, f);
	tcp_rearm(t, f);
}

/* Let the sockets of all flows that are held like @held hear, and leave repair mode.
 * Should the repairer be gone, another one may have come */
static void wake(struct tcp_migrate *m, enum tcp_held held)
{
	struct flow *f = NULL;

	while ((f = next_held(m, f, held)))
		tcp_sock_hear(tcp_conn(f)->sock);
	if (set_repair(m, held, 0) && !m->repair.wait(m->repair.ctx, WAIT_MS))
		set_repair(m, held, 0);
}

static void thaw(void *ctx)
{
	struct tcp_migrate *m = ctx;
	struct flow *f = NULL;

	wake(m, TCP_FROZEN);
	while ((f = next_held(m, f, TCP_FROZEN)))
		resume(m, f);
}

/* Let those frozen flows go on here whose sockets can't be moved */
static void keep_odd_ones(struct tcp_migrate *m)
{
	struct flow *f = NULL;
	struct tcp_sock k;

	while ((f = next_held(m, f, TCP_FROZEN))) {
		struct tcp_conn *c = tcp_conn(f);

		if (!tcp_sock_get(c->sock, &k))
			continue;
		tcp_trace(m->tcp, f, "can't move");
		tcp_sock_hear(c->sock);
		if (!m->repair.set(m->repair.ctx, &c->sock, 1, 0))
			resume(m, f);
	}
}

/* #syscalls:vhost poll ppoll */
static int freeze(void *ctx)
{
	struct tcp_migrate *m = ctx;
	struct flow *f = NULL;
	int rc = m->repair.wait(m->repair.ctx, WAIT_MS);

	if (rc) {
		info_limited("TCP connections stay behind: no passt-repair");
		return rc;
	}
	while ((f = next_held(m, f, TCP_LIVE)))
		if (may_move(f))
			stop(m, f);
	rc = set_repair(m, TCP_FROZEN, 1);
	poll(NULL, 0, REST_MS);
	if (rc)
		thaw(m);
	else
		keep_odd_ones(m);
	return rc;
}

/* Forget flows that have moved, but for their sockets; end those that have not */
static void gone(void *ctx)
{
	struct tcp_migrate *m = ctx;
	struct tcp *t = m->tcp;
	struct flow *f = NULL;

	while ((f = next_held(m, f, TCP_LIVE)))
		tcp_end(t, f, true, "the guest has left without it");
	while ((f = next_held(m, f, TCP_FROZEN))) {
		tcp_trace(t, f, "has moved with the guest");
		tcp_conn(f)->held = TCP_GONE;
		spill_release(&t->spill, &tcp_conn(f)->spill);
		flow_unhash(t->flows, f);
		tcp_give_way(t, f);
	}
}

/* Save ---------------------------------------------------------------------- */

/* Time left until @at, 0: never */
static uint64_t time_left(uint64_t at, uint64_t now_ms)
{
	return !at ? 0 : at > now_ms ? at - now_ms : 1;
}

static void fill_record(const struct tcp_migrate *m, struct flow *f,
			struct record *r)
{
	const struct tcp_conn *c = tcp_conn(f);
	uint64_t now = m->tcp->loop->now_ms;

	r->tap = *flow_tap_side(f);
	r->outbound = f->pif[INI] == PIF_TAP;
	r->s = c->s;
	r->s.rtx_at = time_left(c->s.rtx_at, now);
	r->s.poll_at = time_left(c->s.poll_at, now);
	r->s.alive_at = time_left(c->s.alive_at, now);
	if (r->k.fin_unsent)		/* to be passed on anew, behind the data */
		r->s.out = OUT_FIN_SEEN;
	r->unsent = r->k.unsent + c->spill.len;
	r->snd_base = c->snd_base;
	r->rtt_ms = c->rtt_ms;
	r->ratio = c->ratio;
	r->poll_ms = c->poll_ms;
	r->near = c->near;
	r->starved = c->starved;
}

static bool put_queue(struct tcp_migrate *m, struct migio *io, int fd,
		      const struct tcp_sock *k, enum tcp_sock_queue queue,
		      uint32_t len)
{
	uint32_t off = 0, n;
	int rc;

	for (; off < len && !io->error; off += n) {
		n = len - off < TCP_MIGRATE_CHUNK ? len - off : TCP_MIGRATE_CHUNK;
		rc = tcp_sock_peek(fd, k, queue, off, m->chunk, n);
		if (rc)
			return migio_fail(io, rc);
		migio_put(io, m->chunk, n);
	}
	return !io->error;
}

static void put_spill(struct tcp *t, struct migio *io, const struct spill *s)
{
	struct iovec iov[SPILL_BLOCKS];
	unsigned n = spill_iov(&t->spill, s, iov, SPILL_BLOCKS), i;

	for (i = 0; i < n; i++)
		migio_put(io, iov[i].iov_base, iov[i].iov_len);
}

static bool save_flow(struct tcp_migrate *m, struct migio *io, struct flow *f)
{
	const struct coder c = { io, false };
	const struct tcp_conn *conn = tcp_conn(f);
	struct record r = { 0 };
	uint8_t more = 1;
	int rc = tcp_sock_get(conn->sock, &r.k);

	if (rc)
		return migio_fail(io, rc);
	fill_record(m, f, &r);
	code_u8(&c, &more);
	code_record(&c, &r);
	if (!put_queue(m, io, conn->sock, &r.k, TCP_SOCK_SENT,
		       r.k.sent + r.k.unsent))
		return false;
	put_spill(m->tcp, io, &conn->spill);
	return put_queue(m, io, conn->sock, &r.k, TCP_SOCK_RECEIVED,
			 r.k.rcv_len);
}

static bool save(void *ctx, struct migio *io)
{
	const struct coder c = { io, false };
	struct tcp_migrate *m = ctx;
	struct flow *f = NULL;
	uint8_t more = 0;
	unsigned n = 0;

	while ((f = next_held(m, f, TCP_FROZEN))) {
		if (!save_flow(m, io, f))
			return false;
		n++;
	}
	code_u8(&c, &more);
	debug("%u TCP connections saved", n);
	return !io->error;
}

/* Load ---------------------------------------------------------------------- */

/*
 * data_fits() - Does the receive queue have the data that the state tells of?
 *
 * It begins at @snd_base. All data that was sent to the guest is in there, and after the
 * peer's FIN was seen, no more.
 */
static bool data_fits(const struct record *r)
{
	uint32_t len = r->k.rcv_len, acked = tcps_acked_data(&r->s) - r->snd_base;

	if (acked > len)
		return false;
	if (r->s.in == IN_OPEN)
		return r->s.snd_max - r->snd_base <= len;
	return r->k.fin_in && r->s.snd_eof - r->snd_base == len;
}

/* Is the data that follows this record of a size that a connection may have? */
static bool bounded(const struct record *r)
{
	return r->k.rcv_len <= TCP_SOCK_QUEUE_MAX &&
	       r->k.sent <= TCP_SOCK_QUEUE_MAX && r->unsent <= TCP_SOCK_QUEUE_MAX;
}

/* Is this a record that another passt may have written? */
static bool sane(const struct record *r, uint64_t now_ms)
{
	if (!tcp_sock_valid(&r->k) || !tcps_valid(&r->s, now_ms) ||
	    tcps_done(&r->s) || !data_fits(r))
		return false;
	if (r->unsent < r->k.unsent ||
	    r->unsent > r->s.rcv_nxt - r->s.rcv_acked + TCP_SOCK_QUEUE_MAX)
		return false;
	/* The kernel has our FIN if it was passed on, and nothing behind it */
	if (r->k.fin_sent != (r->s.out >= OUT_FIN_PASSED) ||
	    (r->k.fin_sent && r->unsent) ||
	    (r->k.fin_unsent && r->s.out != OUT_FIN_SEEN))
		return false;
	return r->ratio && r->ratio <= TCP_RATIO_ONE && r->poll_ms &&
	       r->poll_ms <= POLL_LIMIT_MS && r->rtt_ms <= 60000;
}

/* Does @r forward the port of an inbound connection here, to where it leads? */
static bool forwards(const struct fwd_rule *r, const struct record *rec)
{
	const struct flowside *at = &rec->k.at;

	if (rule_kind(r) != RULE_HOST_TCP || at->oport < r->first ||
	    at->oport > r->last || fwd_port(r, at->oport) != rec->tap.eport)
		return false;
	if (inany_is_set(&r->to_addr) &&
	    !inany_equals(&r->to_addr, &rec->tap.eaddr))
		return false;
	if (inany_is_set(&r->addr))
		return inany_equals(&r->addr, &at->oaddr);
	return !r->only6 || !inany_is_v4(&at->oaddr);
}

/* find_rule() - The rule in force that brings an inbound connection, NULL: none */
static const struct fwd_rule *find_rule(const struct tcp_migrate *m,
					const struct record *rec)
{
	const struct fwd_rule *r = NULL;

	while ((r = rules_next(m->rules, r)) && !forwards(r, rec))
		;
	return r;
}

/*
 * allowed() - Could this flow have begun here?
 *
 * The options and rules of this program count, not those at the source. A connection of
 * the guest leads to where they let it lead, and one to the guest has a rule. The
 * interface of a rule does not count: none is known. No connection leads to this machine
 * itself.
 */
static bool allowed(const struct tcp_migrate *m, const struct record *r)
{
	const struct flowside *at = &r->k.at;
	const struct tcp *t = m->tcp;
	struct flowside host;

	if (t->conf->no_tcp || inany_is_loopback(&at->oaddr) ||
	    inany_is_loopback(&at->eaddr) ||
	    inany_equals(&at->oaddr, &at->eaddr))
		return false;
	if (inany_is_v4(&r->tap.oaddr) != inany_is_v4(&r->tap.eaddr) ||
	    !inany_is_unicast(&r->tap.oaddr) ||
	    !inany_is_unicast(&r->tap.eaddr) || !r->tap.oport || !r->tap.eport)
		return false;
	if (!r->outbound)
		return find_rule(m, r);
	return fwd_from_tap(t->conf, t->net, t->dns, IPPROTO_TCP, &r->tap, &host) &&
	       host.eport == at->eport && inany_equals(&host.eaddr, &at->eaddr);
}

/* Open a socket for the connection of @r: a descriptor or negative errno */
/* #syscalls:vhost close */
static int open_restored(struct tcp_migrate *m, const struct record *r,
			 uint32_t sent)
{
	const struct tcp *t = m->tcp;
	struct tcp_sock k = r->k;
	int fd, rc;

	fd = hostsock_open(t->conf, t->net, &k.at.eaddr, SOCK_STREAM, IPPROTO_TCP);
	if (fd < 0)
		return fd;
	k.unsent = r->k.sent + r->unsent - sent;
	k.sent = sent;
	rc = tcp_sock_deafen(fd);
	if (!rc)
		rc = m->repair.set(m->repair.ctx, &fd, 1, 1);
	if (!rc)
		rc = tcp_sock_restore(fd, &k, fwd_scope(t->net, t->dns,
							&k.at.eaddr));
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* Read a part of the stream into a queue; with *@rc not 0 it is dropped */
static void get_queue(struct tcp_migrate *m, struct migio *io, int fd,
		      enum tcp_sock_queue queue, uint32_t len, int *rc)
{
	uint32_t n;

	for (; len && !io->error; len -= n) {
		n = len < TCP_MIGRATE_CHUNK ? len : TCP_MIGRATE_CHUNK;
		if (migio_get(io, m->chunk, n) && !*rc)
			*rc = tcp_sock_fill(fd, queue, m->chunk, n);
	}
}

/* Start a flow for a restored socket; NULL without room */
static struct flow *start(struct tcp_migrate *m, const struct record *r, int fd)
{
	const struct fwd_rule *rule = r->outbound ? NULL : find_rule(m, r);
	struct rule_ref ref = { 0 };
	struct tcp *t = m->tcp;
	struct tcp_conn *c;
	struct flow *f;

	if (flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP, &r->tap, NULL))
		return NULL;
	if (rule)
		ref = rules_ref(m->rules, rule);
	f = r->outbound ? tcp_start_flow(t, fd, ref, PIF_TAP, &r->tap, &r->k.at) :
	    tcp_start_flow(t, fd, ref, PIF_HOST, &r->k.at, &r->tap);
	if (!f)
		return NULL;
	flow_set_rank(t->flows, f, FLOW_KEPT);
	hostsock_stream_options(fd);
	c = tcp_conn(f);
	c->held = TCP_ARRIVED;
	c->s = r->s;
	c->snd_base = r->snd_base;
	c->rtt_ms = r->rtt_ms;
	c->ratio = r->ratio;
	c->poll_ms = c->poll_now = r->poll_ms;
	c->near = r->near;
	c->starved = r->starved;
	c->rdhup = r->k.fin_in;
	return f;
}

/* Prepare the times and sizes of a record for this machine */
static void localize(const struct tcp_migrate *m, struct record *r)
{
	uint64_t now = m->tcp->loop->now_ms;
	uint16_t mss = tcp_mss_max(m->tcp, inany_is_v4(&r->tap.eaddr));

	r->s.rtx_at += r->s.rtx_at ? now : 0;
	r->s.poll_at += r->s.poll_at ? now : 0;
	r->s.alive_at += r->s.alive_at ? now : 0;
	r->s.v4 = inany_is_v4(&r->tap.eaddr);
	if (r->s.mss > mss)
		r->s.mss = mss;
}

/* Read the data of a flow whose socket is @fd, and complete the socket: 0 or negative
 * errno. With @rc not 0, all is only read */
static int get_data(struct tcp_migrate *m, struct migio *io,
		    const struct record *r, int fd, uint32_t sent, int rc)
{
	uint32_t late = r->k.sent + r->unsent - sent;

	get_queue(m, io, fd, TCP_SOCK_SENT, sent, &rc);
	migio_get(io, m->room + m->used, late);
	get_queue(m, io, fd, TCP_SOCK_RECEIVED, r->k.rcv_len, &rc);
	return rc ? rc : io->error ? io->error : tcp_sock_finish(fd, &r->k);
}

/* Read a flow after the byte that announces it, and prepare it. Return: 0 or negative
 * errno, with which the flow is skipped */
static int load_flow(struct tcp_migrate *m, struct migio *io,
		     const struct record *r)
{
	uint32_t room = TCP_MIGRATE_ROOM - m->used;
	uint32_t doubtful = r->unsent < DOUBTFUL ? r->unsent : DOUBTFUL;
	uint32_t late = r->unsent - doubtful < room ? r->unsent - doubtful : room;
	uint32_t sent = r->k.sent + r->unsent - late;
	struct flow *f;
	int fd, rc;

	if (!sane(r, m->tcp->loop->now_ms))
		fd = -EINVAL;
	else
		fd = allowed(m, r) ? open_restored(m, r, sent) : -EPERM;
	rc = get_data(m, io, r, fd, sent, fd < 0 ? fd : 0);
	if (rc) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	f = start(m, r, fd);
	if (!f) {
		close(fd);
		return -ENOSPC;
	}
	m->arrival[m->arrivals++] = (struct tcp_arrival){
		flow_index(m->tcp->flows, f), m->used, late };
	m->used += late;
	return 0;
}

static void report_refused(struct tcp_migrate *m, const struct record *r, int rc)
{
	char ours[INANY_STRLEN], peer[INANY_STRLEN];

	m->refused++;
	warn_limited_rc(rc, "Connection from %s port %u to %s port %u can't move "
			"here", inany_ntop(&r->k.at.oaddr, ours, sizeof(ours)),
			r->k.at.oport,
			inany_ntop(&r->k.at.eaddr, peer, sizeof(peer)),
			r->k.at.eport);
}

static bool load(void *ctx, struct migio *io)
{
	struct tcp_migrate *m = ctx;
	const struct coder c = { io, true };
	struct record r;
	uint8_t more;
	int rc;

	m->arrivals = m->refused = 0;
	m->used = 0;
	m->repair.wait(m->repair.ctx, WAIT_MS);
	for (;;) {
		code_u8(&c, &more);
		if (!more || io->error)
			return !io->error;
		memset(&r, 0, sizeof(r));
		code_record(&c, &r);
		if (io->error)
			return false;
		localize(m, &r);
		if (more != 1 || m->arrivals + m->refused >= FLOW_MAX ||
		    !bounded(&r))
			return migio_fail(io, -EINVAL);
		rc = load_flow(m, io, &r);
		if (rc && !io->error)
			report_refused(m, &r, rc);
	}
}

/* Commit -------------------------------------------------------------------- */

/*
 * keep_unsent() - Let the pool keep data that the socket does not take
 *
 * If that is full, the guest sends the data again, unless we have acknowledged it.
 *
 * Return: false if data is lost
 */
static bool keep_unsent(struct tcp_migrate *m, struct flow *f, struct view v)
{
	struct tcp_conn *c = tcp_conn(f);
	uint32_t held = c->s.rcv_nxt - c->s.rcv_acked - tcps_fin_due(&c->s);
	size_t left = v.len - spill_append(&m->tcp->spill, &c->spill, v);

	if (!left)
		return true;
	if (left > held || c->s.out > OUT_FIN_SEEN)
		return false;
	tcps_refused(&c->s, left);
	c->starved = true;
	return true;
}

/* Send the data of the guest that was never sent */
/* #syscalls:vhost sendto send */
static bool send_unsent(struct tcp_migrate *m, struct flow *f,
			const struct tcp_arrival *a)
{
	const uint8_t *p = m->room + a->off;
	uint32_t left = a->len;
	ssize_t n;

	while (left) {
		n = send(tcp_conn(f)->sock, p, left, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		p += n;
		left -= n;
	}
	return !left || keep_unsent(m, f, view_of((void *)(uintptr_t)p, left));
}

static void commit(void *ctx)
{
	struct tcp_migrate *m = ctx;
	struct tcp *t = m->tcp;
	unsigned i;

	wake(m, TCP_ARRIVED);
	for (i = 0; i < m->arrivals; i++) {
		const struct tcp_arrival *a = &m->arrival[i];
		struct flow *f = flow_at(t->flows, a->flow);

		if (!f || f->proto != IPPROTO_TCP ||
		    tcp_conn(f)->held != TCP_ARRIVED)
			continue;
		if (tcp_sock_stuck(tcp_conn(f)->sock) || send_unsent(m, f, a)) {
			resume(m, f);
			continue;
		}
		tcp_send_rst(t, f);
		tcp_end(t, f, true, "no room for its data");
	}
	if (m->arrivals || m->refused)
		info_limited("%u TCP connections have moved here, %u have not",
			     m->arrivals, m->refused);
	m->arrivals = 0;
}

static void rollback(void *ctx)
{
	struct tcp_migrate *m = ctx;
	struct flow *f = NULL;

	while ((f = next_held(m, f, TCP_ARRIVED)))
		tcp_end(m->tcp, f, true, "did not move after all");
	m->arrivals = 0;
}

/**
 * tcp_migrate_init() - Set up without a migration
 * @m:		Set
 * @t:		TCP
 * @repair:	Sets the repair mode
 * @mobile:	A repairer may come
 * @rules:	Forwarding rules in force
 * @ops:	Set to the functions of this file
 */
void tcp_migrate_init(struct tcp_migrate *m, struct tcp *t,
		      const struct tcp_repairer *repair, bool mobile,
		      const struct rules *rules, struct migrate_flows *ops)
{
	m->tcp = t;
	m->rules = rules;
	t->mobile = mobile;
	m->repair = *repair;
	m->arrivals = m->refused = 0;
	m->used = 0;
	*ops = (struct migrate_flows){
		.ctx = m, .freeze = freeze, .save = save, .thaw = thaw,
		.gone = gone, .load = load, .commit = commit,
		.rollback = rollback,
	};
}
