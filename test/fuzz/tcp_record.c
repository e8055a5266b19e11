/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load any state of a TCP connection, then have its guest, its peer and time do anything:
 * no assertion fails, no function loops, nothing is left in the end
 *
 * Input: numbers from which a record is built that is sound as a whole; changes of single
 * fields; then operations (enum op) with arguments. With a right to namespaces, sockets
 * are restored in repair mode, and the peer is a socket as well: it is restored to match.
 * Time is simulated.
 *
 * Properties: those of check() after each operation; data reaches the guest unchanged; a
 * state that was saved can be loaded; no descriptor and no memory of the pool is lost.
 */

#include <assert.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/fake_tap.h"
#include "../unit/own_net.h"
#include "hostnet.h"
#include "input.h"
#include "log.h"
#include "migio.h"
#include "tcp_migrate.h"
#include "tcp_priv.h"
#include "tcp_sock.h"

#define RECORD_MAX	512U
#define FIELDS		64U
#define DATA_MAX	(1U << 19)	/* bytes of all queues of a record */
#define STEPS		64		/* operations of one input */
#define GPORT		40000
#define PPORT		7000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum op {
	OP_SEGMENT,			/* of the guest: flags, seq, ack, window, length */
	OP_ACK,				/* the guest acknowledges all: window */
	OP_PEER_WRITE, OP_PEER_READ, OP_PEER_SHUT, OP_PEER_RESET,
	OP_TIME,			/* power of two of ms */
	OP_ROOM,			/* frames that the tap takes */
	OP_SAVE,			/* once more: what is saved is also loaded */
	OPS
};

static struct conf conf = { .our_mac = CONF_MAC_DEFAULT };
static struct hostnet hostnet;
static struct dns dns;
static struct guest guest;
static struct flow_table flows;
static struct loop loop;
static struct fake_tap tap;
static struct tcp tcp;
static struct tcp_migrate migrate;
static struct migrate_flows ops;
static struct rules rules;
static struct migio io;
static union inany peer4, ours4, guest4, peer6, ours6, guest6;
static int stream = -1, peer = -1;
static uint16_t port = 1023;

/* The input ----------------------------------------------------------------- */

/* Some bytes, most often few */
static uint32_t amount(void)
{
	uint32_t n = byte();

	return n << byte() % 9;
}

/* The record ---------------------------------------------------------------- */

static uint8_t record[RECORD_MAX];
static struct { unsigned at, width; } field[FIELDS];
static unsigned fields, record_len;

static void add(const void *p, unsigned width)
{
	assert(fields < FIELDS && record_len + width <= RECORD_MAX);
	field[fields].at = record_len;
	field[fields++].width = width;
	memcpy(record + record_len, p, width);
	record_len += width;
}

static void add8(uint8_t v)
{
	add(&v, 1);
}

static void add32(uint32_t v)
{
	v = htole32(v);
	add(&v, 4);
}

static void add64(uint64_t v)
{
	v = htole64(v);
	add(&v, 8);
}

static void add_side(const union inany *oaddr, const union inany *eaddr,
		     uint16_t oport, uint16_t eport)
{
	add(oaddr, 16);
	add(eaddr, 16);
	add32(oport);
	add32(eport);
}

/**
 * struct shape - Numbers that a record is built from
 * @acked:	Bytes in the receive queue that the guest has acknowledged
 * @flight, @again:	Bytes sent to the guest after those; to be sent again
 * @fresh:	Bytes in the receive queue after those
 * @sent, @unsent, @spilled:	Bytes of the guest in the send queue, and in our pool
 * @held:	Bytes of the guest that it thinks are not acknowledged
 * @window:	Ours
 * @data:	Bytes that follow the record
 */
struct shape {
	uint8_t options, in, out, fin;
	uint32_t acked, flight, again, fresh, sent, unsent, spilled, held, window;
	uint32_t base, rcv_nxt, data;
};

enum {
	V6 = 1, INBOUND = 2, NEAR = 4, STARVED = 8, PERSIST = 16, RECOVERING = 32,
	FIN_SENT = 64, FIN_UNSENT = 128,
};

static void choose_shape(struct shape *s)
{
	s->options = byte();
	s->in = byte() % 3;
	s->out = byte() % 3;
	s->base = number();
	s->rcv_nxt = number();
	s->acked = amount();
	s->flight = s->in == IN_FIN_ACKED ? 0 : amount();
	s->again = amount() % (s->flight + 1);
	s->fresh = s->in == IN_OPEN ? amount() : 0;
	s->sent = amount();
	s->unsent = amount();
	s->spilled = amount();
	if (s->out == OUT_FIN_PASSED)
		s->spilled = s->unsent = 0;
	s->held = amount();
	s->window = amount();
	s->data = s->sent + s->unsent + s->spilled + s->acked + s->flight + s->fresh;
}

static void add_sock(const struct shape *s)
{
	bool v6 = s->options & V6, passed = s->out >= OUT_FIN_PASSED;

	add_side(v6 ? &ours6 : &ours4, v6 ? &peer6 : &peer4, port, PPORT);
	add32(s->base - 5 + (s->in != IN_OPEN));	/* rcv_seq */
	add32(s->acked + s->flight + s->fresh);
	add32(s->rcv_nxt - 9);			/* snd_seq */
	add32(s->sent);
	add32(s->unsent);
	add32(s->base);				/* wl1 */
	add32(60000);
	add32(65535);
	add32(60000);
	add32(s->base - 5 + s->acked + s->flight + s->fresh +
	      (s->in != IN_OPEN));		/* rcv_wup */
	add32(1448);
	add32(number());			/* timestamp */
	add8(7);
	add8(8);
	add8(byte() & (TCP_SOCK_TIMESTAMPS | TCP_SOCK_SACK | TCP_SOCK_WSCALE));
	add8(s->in != IN_OPEN);
	add8(passed);
	add8(s->out == OUT_FIN_SEEN && s->options & FIN_UNSENT);
}

static void add_state(const struct shape *s)
{
	uint32_t una = s->base + s->acked + (s->in == IN_FIN_ACKED);
	uint32_t max = una + s->flight, eof = 0;

	if (s->in == IN_FIN_ACKED)
		eof = una - 1;
	else if (s->in == IN_EOF)
		eof = max;
	if (s->in == IN_EOF && s->options & FIN_SENT)
		max++;
	add8(TCPS_ESTABLISHED);
	add8(s->out);
	add8(s->in);
	add8(byte() % 15);
	add8(byte() % 15);
	add8(byte() % 3);			/* dupacks */
	add8(byte() % 16);
	add8(byte() % 10);
	add8(s->options & RECOVERING && max != una);
	add8(!!(s->options & PERSIST));
	add32(1460 - byte());			/* mss */
	add32(1460);
	add32(una);
	add32(max - s->again);
	add32(max);
	add32(amount());			/* snd_wnd */
	add32(1U << 20);
	add32(eof);
	add32(max);
	add32(s->rcv_nxt);
	add32(s->rcv_nxt - s->held);
	add32(s->rcv_nxt - (s->out != OUT_OPEN) + s->window);
	add32(1 + word() % 60000);		/* rto */
	add64(una != max || s->options & PERSIST ? 1 + word() % 60000 : 0);
	add64(word() % 1000);
	add64(1 + word());
}

static void add_rest(const struct shape *s)
{
	add32(s->unsent + s->spilled);
	add32(s->base);
	add32(byte());				/* rtt */
	add32(1 + byte());			/* ratio */
	add32(1 + byte());
	add8(!(s->options & INBOUND));
	add8(!!(s->options & NEAR));
	add8(!!(s->options & STARVED));
}

static void change_fields(void)
{
	unsigned n = byte() % 8;

	while (n--) {
		unsigned which = byte() % fields;
		uint8_t *p = record + field[which].at;
		uint32_t v = number(), old;

		if (field[which].width < 4) {
			*p = v;
			continue;
		}
		memcpy(&old, p, 4);
		v = htole32(v & 1 ? v >> 1 : le32toh(old) + (int32_t)(v << 8 | v >> 24) / 2);
		memcpy(p, &v, 4);
	}
}

static void build(struct shape *s)
{
	bool v6;

	fields = record_len = 0;
	choose_shape(s);
	v6 = s->options & V6;
	add_sock(s);
	add_side(v6 ? &peer6 : &peer4, v6 ? &guest6 : &guest4, PPORT, GPORT);
	add_state(s);
	add_rest(s);
	change_fields();
}

/* Data of the peer, by its distance from the begin of the record's receive queue */
static uint8_t pattern(uint32_t i)
{
	return i * 7 ^ i >> 9;
}

/* The peer ------------------------------------------------------------------ */

static uint32_t base;		/* sequence number of its data for the guest */
static uint32_t peer_sent;

static struct flow *the_flow(void)
{
	return flow_next(&flows, NULL);
}

/* Restore the other end of the connection that @fd is */
static void meet(int fd)
{
	static const int on = 1, off;
	struct tcp_sock k, p;

	if (peer >= 0 || tcp_sock_get(fd, &k))
		return;
	p = (struct tcp_sock){
		.at = { k.at.eaddr, k.at.oaddr, k.at.eport, k.at.oport },
		.rcv_seq = k.snd_seq + k.sent + k.fin_sent,
		.snd_seq = k.rcv_seq + k.rcv_len,
		.wl1 = k.snd_seq, .wnd = 60000, .wnd_max = 65535,
		.rcv_wnd = 60000, .mss = 1448, .peer_ws = k.our_ws,
		.our_ws = k.peer_ws, .options = k.options,
	};
	p.rcv_wup = p.rcv_seq;
	peer = socket(inany_is_v4(&p.at.oaddr) ? AF_INET : AF_INET6,
		      SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (setsockopt(peer, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) ||
	    tcp_sock_restore(peer, &p, 0) || tcp_sock_finish(peer, &p)) {
		close(peer);
		peer = -1;
		return;
	}
	setsockopt(peer, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	peer_sent = tcp_conn(the_flow())->snd_base + k.rcv_len - base;
	if (k.fin_in)
		shutdown(peer, SHUT_WR);
}

static void peer_write(uint32_t len)
{
	static uint8_t buf[65536];
	uint32_t i;
	ssize_t n;

	for (i = 0; i < len && i < sizeof(buf); i++)
		buf[i] = pattern(peer_sent + i);
	n = peer < 0 ? 0 : send(peer, buf, i, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		peer_sent += n;
}

static void peer_read(uint32_t len)
{
	static uint8_t buf[65536];

	if (peer >= 0)
		recv(peer, buf, len < sizeof(buf) ? len : sizeof(buf),
		     MSG_DONTWAIT);
}

static void peer_leaves(void)
{
	static const struct linger abort_now = { .l_onoff = 1 };

	if (peer < 0)
		return;
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	close(peer);
	peer = -1;
}

static int wait_repairer(void *ctx, unsigned ms)
{
	(void)ctx;
	(void)ms;
	return 0;
}

/* Before the sockets live, so does their peer */
static int switch_repair(void *ctx, const int *fds, unsigned n, int mode)
{
	unsigned i;

	(void)ctx;
	for (i = 0; i < n; i++) {
		if (!mode)
			meet(fds[i]);
		if (setsockopt(fds[i], IPPROTO_TCP, TCP_REPAIR, &mode,
			       sizeof(mode)))
			return -errno;
	}
	return 0;
}

/* The flow ------------------------------------------------------------------ */

static int32_t diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static void check(void)
{
	const struct flow *f = the_flow();
	const struct tcp_conn *c;
	const struct tcps *s;
	uint32_t fin;

	assert(flows.count <= 1);
	if (!f)
		return;
	c = (const void *)f->priv;
	s = &c->s;
	fin = s->out != OUT_OPEN;
	assert(diff(s->rcv_acked, s->rcv_nxt) <= 0);
	assert(diff(s->rcv_nxt, s->rcv_edge + fin) <= 0);
	assert(diff(s->snd_una, s->snd_nxt) <= 0);
	assert(diff(s->snd_nxt, s->snd_max) <= 0);
	assert(diff(c->snd_base, tcps_acked_data(s)) <= 0);
	if (s->in != IN_OPEN)
		assert(diff(s->snd_max, s->snd_eof + 1) <= 0);
	if (c->held == TCP_LIVE && !c->draining && !c->dying) {
		assert(s->snd_una == s->snd_max || s->rtx_at);
		assert(timer_armed(&f->timer) && s->alive_at);
	}
}

/* Look at the frames to the guest: its data is right, and not beyond its window */
static void take_frames(void)
{
	size_t l3 = 14 + 20, hdr, i;
	unsigned k;

	for (k = 0; k < tap.n; k++) {
		const struct fake_frame *fr = &tap.sent[k];
		struct tcp_hdr th;
		uint32_t seq;

		l3 = fr->b[12] == 0x08 ? 14 + 20 : 14 + 40;
		memcpy(&th, fr->b + l3, sizeof(th));
		hdr = l3 + (th.doff >> 4) * 4;
		seq = ntohl(th.seq) - base;
		for (i = hdr; i < fr->len; i++)
			assert(fr->b[i] == pattern(seq + (uint32_t)(i - hdr)));
	}
	tap.n = 0;
}

static void run_events(void)
{
	struct epoll_event ev[4];
	struct timer *t;
	int i, n = epoll_wait(loop.epfd, ev, 4, 0), turns = 0;

	for (i = 0; i < n; i++) {
		union epoll_ref ref = { .u64 = ev[i].data.u64 };
		struct flow *f = flow_from_ref(&flows, ref);

		if (f)
			tcp_sock_event(&tcp, f, ref.side, ev[i].events);
	}
	while ((t = wheel_expire(&loop.wheel, loop.now_ms)))
		if (flow_from_ref(&flows, t->ref))
			tcp_timer(&tcp, flow_from_ref(&flows, t->ref));
	while (tcp_run_ready(&tcp) && turns++ < 4)
		take_frames();
	take_frames();
	tcp_tap_writable(&tcp);
	take_frames();
	check();
}

static void guest_segment(uint8_t flags, uint32_t seq, uint32_t ack, uint16_t wnd,
			  size_t len)
{
	static uint8_t data[2048];
	struct iovec iov = { data, len };
	struct flow *f = the_flow();
	struct pkt p = {
		.kind = PKT_TCP, .proto = IPPROTO_TCP,
		.tcp = { .seq = htonl(seq), .ack = htonl(ack), .flags = flags,
			 .wnd = htons(wnd) },
	};

	p.src = flow_tap_side(f)->eaddr;
	p.dst = flow_tap_side(f)->oaddr;
	p.tcp.sport = htons(flow_tap_side(f)->eport);
	p.tcp.dport = htons(flow_tap_side(f)->oport);
	p.payload = len ? view_of_iov(&iov, 1) : view_of(NULL, 0);
	tcp_tap_input(&tcp, &p, 1);
}

static void any_segment(void)
{
	const struct tcps *s = &tcp_conn(the_flow())->s;
	uint8_t flags = byte();
	uint32_t seq = s->rcv_nxt + (int8_t)byte() * 16;
	uint32_t ack = s->snd_nxt + (int8_t)byte() * 64;
	uint16_t wnd = word();

	if (flags & 0x80)		/* bits that the program does not look at */
		ack = s->snd_una;
	if (flags & 0x40)
		seq = s->rcv_nxt;
	guest_segment(flags | TCPF_ACK, seq, ack, wnd, word() % 1461);
}

/* The connection moves on to here, once for each input since that takes time: loads the
 * state that was just saved */
static bool moved;
static void save_and_load(void)
{
	struct flow *f;

	if (moved || ops.freeze(ops.ctx))
		return;
	moved = true;
	if (ftruncate(stream, 0) || lseek(stream, 0, SEEK_SET))
		abort();
	migio_begin(&io, stream, 1000);
	if (!ops.save(ops.ctx, &io) || !migio_put_end(&io)) {
		ops.thaw(ops.ctx);
		return;
	}
	ops.gone(ops.ctx);
	while ((f = the_flow())) {
		tcp_conn(f)->held = TCP_LIVE;	/* else it would stay */
		tcp_evict(&tcp, f);
	}
	peer_leaves();
	lseek(stream, 0, SEEK_SET);
	migio_begin(&io, stream, 1000);
	assert(ops.load(ops.ctx, &io));
	assert(!migrate.refused);
	ops.commit(ops.ctx);
}

static void operate(void)
{
	const struct tcps *s = &tcp_conn(the_flow())->s;

	switch ((enum op)(byte() % OPS)) {
	case OP_SEGMENT:
		any_segment();
		break;
	case OP_ACK:
		guest_segment(TCPF_ACK, s->rcv_nxt, s->snd_max, word(), 0);
		break;
	case OP_PEER_WRITE:
		peer_write(word());
		break;
	case OP_PEER_READ:
		peer_read(word());
		break;
	case OP_PEER_SHUT:
		if (peer >= 0)
			shutdown(peer, SHUT_WR);
		break;
	case OP_PEER_RESET:
		peer_leaves();
		break;
	case OP_TIME:
		loop.now_ms += 1U << byte() % 24;
		break;
	case OP_ROOM:
		tap.room = byte() % (FAKE_FRAMES + 1);
		break;
	case OP_SAVE:
	case OPS:
		save_and_load();
		break;
	}
}

/* One input ----------------------------------------------------------------- */

static void setup(void)
{
	static const struct tcp_repairer repairer = {
		NULL, wait_repairer, switch_repair
	};
	static const uint64_t key[3] = { 1, 2, 3 };

	log_set_level(LOG_L_ERR);
	inany_pton("203.0.113.1", &peer4);
	inany_pton("198.51.100.2", &ours4);
	inany_pton("198.51.100.5", &guest4);
	inany_pton("2001:db8:2::1", &peer6);
	inany_pton("2001:db8:1::2", &ours6);
	inany_pton("2001:db8:1::5", &guest6);
	if (own_net()) {
		own_address(&peer4, 1);
		own_address(&ours4, 2);
		own_address(&peer6, 3);
		own_address(&ours6, 4);
	}
	hostnet = (struct hostnet){
		.mtu = 1500,
		.ip4 = { .enabled = true, .addr = guest4, .prefix_len = 24 },
		.ip6 = { .enabled = true, .addr = guest6, .prefix_len = 64 },
	};
	flow_init(&flows, key);
	loop_init(&loop);
	fake_tap_init(&tap, 0, 1500);
	tcp_init(&tcp, &conf, &hostnet, &guest, &dns, &flows, &tap.tap, &loop, key);
	tcp_migrate_init(&migrate, &tcp, &repairer, true, &rules, &ops);
	stream = memfd_create("state", MFD_CLOEXEC);
}

static void write_stream(const struct shape *s)
{
	static uint8_t buf[RECORD_MAX + DATA_MAX];
	uint32_t received = s->acked + s->flight + s->fresh, i;
	size_t n = 1, at;

	buf[0] = 1;
	memcpy(buf + n, record, record_len);
	n += record_len;
	for (i = 0; i < s->data && n < sizeof(buf); i++)
		buf[n++] = 'g';
	at = n - received;
	for (i = 0; i < received; i++)
		buf[at + i] = pattern(i);
	buf[n++] = 0;
	if (ftruncate(stream, 0) || lseek(stream, 0, SEEK_SET) ||
	    write(stream, buf, n) != (ssize_t)n || lseek(stream, 0, SEEK_SET))
		abort();
}

static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shape s = { 0 };
	struct flow *f;
	int steps = 0, fd;

	if (stream < 0)
		setup();
	input_set(data, size);
	port = port < 65000 ? port + 1 : 1024;
	tap.room = FAKE_FRAMES;
	moved = false;
	rules_init(&rules);
	rules_append(&rules, &(struct fwd_rule){
		.proto = IPPROTO_TCP, .first = port, .last = port, .to = GPORT });
	fd = next_fd();
	build(&s);
	write_stream(&s);
	migio_begin(&io, stream, 1000);
	if (ops.load(ops.ctx, &io)) {
		base = the_flow() ? tcp_conn(the_flow())->snd_base : 0;
		ops.commit(ops.ctx);
	} else {
		ops.rollback(ops.ctx);
	}
	while (left && the_flow() && steps++ < STEPS) {
		operate();
		run_events();
	}
	while ((f = the_flow()))
		tcp_end(&tcp, f, true, "end of the input");
	peer_leaves();
	tap.n = 0;
	assert(!flows.count && next_fd() == fd);
	assert(!tcp.spill.high || tcp.spill.free);
	return 0;
}
