/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest moves with its TCP connections, between two tables of flows in this process
 *
 * The guest is made of segments. Its peers are real sockets, in a namespace with their
 * address and ours. Both daemons share that namespace, so the sockets of the source are
 * closed before the target makes its own.
 */

#include "tcp_migrate.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "fake_tap.h"
#include "inany.h"
#include "net.h"
#include "own_net.h"
#include "tap.h"
#include "tcp_priv.h"
#include "tcp_sock.h"
#include "util.h"

#define GPORT		40000
#define MANY		300		/* connections: more than one message to the helper */
#define ISN		0x7ffffff0U	/* of the guest: numbers pass 2^31 */
#define MOST		(8U << 20)	/* bytes in one direction */
#define TURNS		20000

/* The addresses of a family; @port: the peer listens there */
static struct {
	const char *name, *peer, *ours, *guest;
	int listener;
	uint16_t port;
} net4 = { "IPv4", "203.0.113.1", "198.51.100.2", "198.51.100.5", -1, 0 },
  net6 = { "IPv6", "2001:db8:2::1", "2001:db8:1::2", "2001:db8:1::5", -1, 0 },
  *net = &net4;

/* A daemon */
static struct world {
	struct conf conf;
	struct hostnet hostnet;
	struct dns dns;
	struct guest guest;
	struct flow_table flows;
	struct loop loop;
	struct fake_tap fake;
	struct tcp tcp;
	struct tcp_migrate migrate;
	struct migrate_flows ops;
	struct rules rules;
} worlds[2], *source = &worlds[0], *target = &worlds[1];

/* The guest's half of the connection; @wnd: window that it tells, bytes */
static struct {
	struct world *at;
	uint32_t snd_una, snd_nxt, rcv_nxt, wnd, edge;
	bool refused, eof, fin_acked;
	uint32_t got, sent;
	uint8_t in[MOST], out[MOST];
} g;

static int peer = -1;
static uint8_t in[MOST], out[MOST];	/* of the peer */
static uint32_t peer_got, peer_sent;
static int helper_fails;		/* countdown, 0: never */
static bool no_helper;
static unsigned messages, largest;	/* to the helper, sockets of one */

static int repair_there(void *ctx, unsigned ms)
{
	(void)ctx;
	(void)ms;
	return no_helper ? -ENOTCONN : 0;
}

static int switch_repair(void *ctx, const int *fds, unsigned n, int mode)
{
	unsigned i;

	(void)ctx;
	messages++;
	largest = n > largest ? n : largest;
	for (i = 0; i < n; i++) {
		if (helper_fails && !--helper_fails) {
			no_helper = true;
			return -EPIPE;
		}
		if (no_helper)
			return -ENOTCONN;
		if (setsockopt(fds[i], IPPROTO_TCP, TCP_REPAIR, &mode,
			       sizeof(mode)))
			return -errno;
	}
	return 0;
}

static void start_world(struct world *w)
{
	static const struct tcp_repairer repairer = {
		NULL, repair_there, switch_repair
	};
	static const uint64_t key[3] = { 1, 2, 3 };

	memset(&w->flows, 0, sizeof(w->flows));
	memset(&w->tcp, 0, sizeof(w->tcp));
	w->conf = (struct conf){ .our_mac = CONF_MAC_DEFAULT };
	w->conf.ip4.outbound_addr = addr(net4.ours);
	w->conf.ip6.outbound_addr = addr(net6.ours);
	w->hostnet = both_families();
	flow_init(&w->flows, key);
	loop_init(&w->loop);
	fake_tap_init(&w->fake, 0, 1500);
	tcp_init(&w->tcp, &w->conf, &w->hostnet, &w->guest, &w->dns, &w->flows,
		 &w->fake.tap, &w->loop, key);
	tcp_migrate_init(&w->migrate, &w->tcp, &repairer, true, &w->rules,
			 &w->ops);
	rules_init(&w->rules);
}

/* The guest ----------------------------------------------------------------- */

/* Send a segment from @port with the numbers and flags of @th */
static void send_from(uint16_t port, struct tcp_hdr th, const void *data, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct pkt p = {
		.kind = PKT_TCP, .src = addr(net->guest), .dst = addr(net->peer),
		.proto = IPPROTO_TCP, .payload = view_of_iov(&iov, 1), .tcp = th,
	};

	p.tcp.sport = htons(port);
	p.tcp.dport = htons(net->port);
	if (!len)
		p.payload = view_of(NULL, 0);
	tcp_tap_input(&g.at->tcp, &p, 1);
}

static void guest_send(uint8_t flags, uint32_t seq, const void *data, size_t len)
{
	send_from(GPORT, (struct tcp_hdr){
		.seq = htonl(seq), .ack = htonl(g.rcv_nxt), .flags = flags,
		.wnd = htons((uint16_t)g.wnd) }, data, len);
}

static void guest_ack(void)
{
	guest_send(TCPF_ACK, g.snd_nxt, NULL, 0);
}

/* Take a frame of the tap; true if it wants an answer */
static bool guest_take(const struct fake_frame *f)
{
	uint32_t seq, hdr = net == &net4 ? 54 : 74, len = f->len - hdr;
	struct tcp_hdr th;

	memcpy(&th, f->b + hdr - sizeof(th), sizeof(th));
	seq = ntohl(th.seq);

	if (th.flags & TCPF_RST) {
		g.refused = true;
		return false;
	}
	if (th.flags & TCPF_SYN) {
		g.rcv_nxt = seq + 1;
		return true;
	}
	if ((int32_t)(ntohl(th.ack) - g.snd_una) >= 0) {
		g.snd_una = ntohl(th.ack);
		g.edge = g.snd_una + ntohs(th.wnd);
	}
	if (seq != g.rcv_nxt)
		return true;
	if (g.got + len <= MOST)
		memcpy(g.in + g.got, f->b + hdr, len);
	g.got += len;
	g.rcv_nxt += len;
	if (th.flags & TCPF_FIN) {
		g.eof = true;
		g.rcv_nxt++;
	}
	return len || th.flags & TCPF_FIN;
}

static void guest_run(void)
{
	struct fake_tap *f = &g.at->fake;
	unsigned i, n = f->n;
	bool answer = false;

	for (i = 0; i < n; i++)
		answer |= guest_take(&f->sent[i]);
	f->n = 0;
	if (answer && !g.refused)
		guest_ack();
	if (n)
		tcp_tap_writable(&g.at->tcp);
}

/* Events of the daemon that the guest is at: false if there were none */
static bool events(void)
{
	struct epoll_event ev[16];
	struct world *w = g.at;
	struct timer *t;
	int i, n = loop_wait(&w->loop, ev, 16, true);

	for (i = 0; i < n; i++) {
		union epoll_ref ref = { .u64 = ev[i].data.u64 };
		struct flow *f = flow_from_ref(&w->flows, ref);

		if (f)
			tcp_sock_event(&w->tcp, f, ref.side, ev[i].events);
	}
	while ((t = wheel_expire(&w->loop.wheel, w->loop.now_ms)))
		if (flow_from_ref(&w->flows, t->ref))
			tcp_timer(&w->tcp, flow_from_ref(&w->flows, t->ref));
	tcp_run_ready(&w->tcp);
	return n > 0;
}

/* One turn of its loop */
static void turn(void)
{
	bool busy = events();

	guest_run();
	if (!busy)
		usleep(200);
}

static void turns(unsigned n)
{
	while (n--)
		turn();
}

/* Let the guest send up to @len bytes, as far as the window goes */
static uint32_t guest_write(uint32_t len)
{
	uint32_t done = 0, n;

	while (done < len && g.sent < MOST && !g.refused) {
		n = g.edge - g.snd_nxt;
		n = n > 1400 ? 1400 : n;
		n = n > len - done ? len - done : n;
		n = n > MOST - g.sent ? MOST - g.sent : n;
		if ((int32_t)(g.edge - g.snd_nxt) <= 0)
			break;
		guest_send(TCPF_ACK | TCPF_PSH, g.snd_nxt, g.out + g.sent, n);
		g.sent += n;
		g.snd_nxt += n;
		done += n;
		if (done / 1400 % 16 == 0)
			turn();
	}
	return done;
}

static void guest_fin(void)
{
	guest_send(TCPF_ACK | TCPF_FIN, g.snd_nxt, NULL, 0);
	g.snd_nxt++;
	turns(50);
}

/* The peer ------------------------------------------------------------------ */

static void peer_write(uint32_t len)
{
	ssize_t n = send(peer, out + peer_sent, len, MSG_DONTWAIT);

	if (n > 0)
		peer_sent += n;
}

static bool peer_eof;

static void peer_read(void)
{
	ssize_t n = recv(peer, in + peer_got, MOST - peer_got, MSG_DONTWAIT);

	if (n > 0)
		peer_got += n;
	peer_eof |= !n && peer_got < MOST;
}

/* The connection ------------------------------------------------------------ */

static void listen_there(void)
{
	union inany a = addr(net->peer);
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&a, 0, 0, &sa);
	uint16_t port;

	net->listener = socket(sa.sa.sa_family, SOCK_STREAM, 0);
	if (bind(net->listener, &sa.sa, len) || listen(net->listener, 5) ||
	    getsockname(net->listener, &sa.sa, &len))
		perror("# listener");
	inany_from_sockaddr(&sa, &a, &port);
	net->port = port;
}

/* Both daemons start, and the guest at the source */
static void begin(void)
{
	start_world(source);
	start_world(target);
	g.at = source;
	g.snd_una = g.snd_nxt = ISN;
	g.wnd = 60000;
	g.rcv_nxt = g.got = g.sent = 0;
	g.refused = g.eof = false;
	peer_got = peer_sent = 0;
	peer_eof = no_helper = false;
	helper_fails = 0;
}

/* The guest connects through the source; @near as if by the distance of the peer */
static bool connect_guest(bool near)
{
	unsigned i;

	begin();
	guest_send(TCPF_SYN, ISN - 1, NULL, 0);
	for (i = 0; i < 1000 && !g.rcv_nxt; i++)
		turn();
	peer = accept4(net->listener, NULL, NULL, SOCK_NONBLOCK);
	if (peer < 0 || !g.rcv_nxt)
		return false;
	tcp_conn(flow_next(&source->flows, NULL))->near = near;
	turns(5);
	return true;
}

static void end_all(struct world *w)
{
	struct flow *f = NULL;

	while ((f = flow_next(&w->flows, f)))
		tcp_end(&w->tcp, f, true, "the test ends");
	close(w->loop.epfd);
}

static void disconnect(void)
{
	close(peer);
	peer = -1;
	end_all(source);
	end_all(target);
}

static int saved = -1;

/* Save to @saved: false on failure */
static bool save_all(void)
{
	static struct migio io;
	bool good;

	if (saved >= 0)
		close(saved);
	saved = memfd_create("state", 0);
	migio_begin(&io, saved, 5000);
	good = source->ops.save(source->ops.ctx, &io) && migio_put_end(&io);
	lseek(saved, 0, SEEK_SET);
	return good;
}

static bool load_all(void)
{
	static struct migio io;

	migio_begin(&io, saved, 5000);
	return target->ops.load(target->ops.ctx, &io) && migio_get_end(&io);
}

/* The source forgets its flows; the sockets end, too: the target is in this namespace */
static void leave_source(void)
{
	struct flow *f = NULL;

	source->ops.gone(source->ops.ctx);
	while ((f = flow_next(&source->flows, f)))
		tcp_evict(&source->tcp, f);
}

static bool move(void)
{
	bool good = !source->ops.freeze(source->ops.ctx) && save_all();

	leave_source();
	good = good && load_all();
	g.at = target;
	target->ops.commit(target->ops.ctx);
	return good && target->flows.count == 1;
}

/* The guest moves on from the target; that becomes the source */
static bool move_on(void)
{
	struct world *was = source;

	source = target;
	target = was;
	close(target->loop.epfd);
	start_world(target);
	return move();
}

static bool thaw_again(void)
{
	bool good = !source->ops.freeze(source->ops.ctx) && save_all();

	turns(20);
	source->ops.thaw(source->ops.ctx);
	return good && source->flows.count == 1;
}

/* okf() - A claim whose name has numbers in it */
__attribute__((format(printf, 2, 3)))
static bool okf(bool good, const char *fmt, ...)
{
	char name[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return ok(good, name);
}

/* Do all bytes arrive, both ways? */
static bool all_arrive(void)
{
	unsigned i;

	for (i = 0; i < TURNS && !g.refused &&
	     (peer_got < g.sent || g.got < peer_sent); i++) {
		peer_read();
		turn();
	}
	return okf(!g.refused && peer_got == g.sent && g.got == peer_sent &&
		  !memcmp(in, g.out, g.sent) && !memcmp(g.in, out, peer_sent),
		  "all bytes arrive: %u of %u from the guest, %u of %u to it",
		  peer_got, g.sent, g.got, peer_sent);
}

/* The tests ----------------------------------------------------------------- */

static void idle(bool (*how)(void), const char *name)
{
	okf(connect_guest(true) && how(), "an idle connection %s", name);
	turns(3);
	guest_write(5000);
	peer_write(7000);
	all_arrive();
	disconnect();
}

/* Fill all queues. With @shut, the guest's window is closed as well */
static void full(bool (*how)(void), const char *name, bool near, bool shut)
{
	unsigned i;

	ok(connect_guest(near), "the guest connects");
	if (shut) {
		g.wnd = 2000;
		guest_ack();
	}
	peer_write(300000);
	for (i = 0; i < 40; i++)
		guest_write(100000);
	g.wnd = shut ? 0 : 60000;
	guest_ack();
	turns(5);
	okf(how(), "a connection %s with %u bytes from the guest, %u to it", name,
	   g.sent - peer_got, peer_sent - g.got);
	turns(3);
	if (shut) {
		g.wnd = 60000;
		guest_ack();
	}
	all_arrive();
	guest_write(20000);
	peer_write(20000);
	all_arrive();
	disconnect();
}

/* Both sides have closed, but data of the guest is still in the kernel */
static void closed_with_data(bool (*how)(void), const char *name)
{
	unsigned i;

	ok(connect_guest(true), "the guest connects");
	shutdown(peer, SHUT_WR);
	turns(50);
	for (i = 0; i < 10; i++)
		guest_write(100000);
	guest_fin();
	okf(g.eof && source->flows.count == 1 && g.sent > peer_got &&
	    g.snd_una != g.snd_nxt, "the guest has closed, %u bytes are on the way",
	    g.sent - peer_got);
	okf(how(), "this connection %s", name);
	all_arrive();
	for (i = 0; i < TURNS && !(peer_eof && !g.at->flows.count); i++) {
		peer_read();
		turn();
	}
	ok(peer_eof && g.snd_una == g.snd_nxt && !g.at->flows.count,
	   "the peer sees the end, then the guest");
	disconnect();
}

/* Wait until the peer has acknowledged all, a FIN that was sent again as well. Its answer
 * would find no socket during a move within one namespace, and be reset */
static bool settle(void)
{
	struct flow *f = flow_next(&g.at->flows, NULL);
	int queued = 1;
	unsigned i;

	for (i = 0; i < TURNS && queued; i++) {
		turn();
		if (!f || ioctl(tcp_conn(f)->sock, SIOCOUTQ, &queued))
			return false;
	}
	return !queued;
}

/* With one direction closed, send data in the other one, and close it */
static void close_rest(bool guest_first)
{
	unsigned i;

	if (guest_first)
		peer_write(6000);
	else
		guest_write(5000);
	all_arrive();
	if (guest_first)
		shutdown(peer, SHUT_WR);
	else
		guest_fin();
	for (i = 0; i < TURNS && !(g.eof && peer_eof && !g.at->flows.count); i++) {
		peer_read();
		turn();
	}
}

/* Close one direction before, and the other one after */
static void half_closed(bool (*how)(void), bool guest_first)
{
	ok(connect_guest(true), "the guest connects");
	guest_write(3000);
	peer_write(4000);
	turns(20);
	if (guest_first)
		guest_fin();
	else
		shutdown(peer, SHUT_WR);
	turns(50);
	settle();
	okf(how(), "a connection stays after a FIN of the %s",
	   guest_first ? "guest" : "peer");
	turns(3);
	close_rest(guest_first);
	okf(g.eof && peer_eof && !g.refused && !g.at->flows.count,
	   "both ends close, and the flow ends%s%s%s",
	   g.eof ? "" : ", no FIN for the guest",
	   peer_eof ? "" : ", no FIN for the peer", g.refused ? ", reset" : "");
	disconnect();
}

static void peer_fin_unread(bool (*how)(void))
{
	unsigned i;

	ok(connect_guest(true), "the guest connects");
	g.wnd = 0;
	guest_ack();
	peer_write(9000);
	shutdown(peer, SHUT_WR);
	turns(20);
	ok(how(), "a connection stays with a FIN behind unread data");
	g.wnd = 60000;
	guest_ack();
	all_arrive();
	for (i = 0; i < TURNS && !g.eof; i++)
		turn();
	ok(g.eof, "the guest gets the FIN");
	disconnect();
}

static void fin_unsent(bool (*how)(void))
{
	unsigned i;

	ok(connect_guest(true), "the guest connects");
	for (i = 0; i < 40; i++)
		guest_write(100000);
	guest_fin();
	ok(how(), "a connection stays with a FIN behind unsent data");
	all_arrive();
	for (i = 0; i < TURNS && !peer_eof; i++) {
		peer_read();
		turn();
	}
	ok(peer_eof, "the peer gets the FIN");
	disconnect();
}

static void without_helper(void)
{
	connect_guest(true);
	no_helper = true;
	ok(source->ops.freeze(source->ops.ctx) < 0, "without a helper nothing freezes");
	guest_write(1000);
	peer_write(1000);
	all_arrive();
	disconnect();

	connect_guest(true);
	helper_fails = 1;
	ok(source->ops.freeze(source->ops.ctx) < 0,
	   "with a helper that fails nothing freezes");
	guest_write(1000);
	peer_write(1000);
	all_arrive();
	disconnect();

	connect_guest(true);
	source->ops.freeze(source->ops.ctx);
	no_helper = true;
	source->ops.thaw(source->ops.ctx);
	turns(5);
	ok(g.refused && !source->flows.count,
	   "a flow whose socket is stuck in repair mode is reset");
	disconnect();

	connect_guest(true);
	source->ops.freeze(source->ops.ctx);
	save_all();
	leave_source();
	no_helper = true;
	ok(load_all() && !target->flows.count && target->migrate.refused == 1,
	   "without a helper in the target, the state is read and the flow refused");
	disconnect();
}

static void second_load(void)
{
	connect_guest(true);
	ok(move(), "a connection moves");
	lseek(saved, 0, SEEK_SET);
	ok(load_all() && target->flows.count == 1 && target->migrate.refused == 1,
	   "the same connection does not move here twice");
	target->ops.rollback(target->ops.ctx);
	guest_write(3000);
	peer_write(3000);
	all_arrive();
	disconnect();
}

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Load a state without its check sum, cut at @len or with bit @flip changed */
static void try_load(const uint8_t *state, size_t len, size_t flip)
{
	static struct migio io;
	uint8_t byte = flip / 8 < len ? state[flip / 8] ^ (1 << flip % 8) : 0;
	int fd = memfd_create("bad", 0);

	if (write(fd, state, len) != (ssize_t)len ||
	    (flip / 8 < len && pwrite(fd, &byte, 1, flip / 8) != 1))
		perror("# write");
	lseek(fd, 0, SEEK_SET);
	migio_begin(&io, fd, 5000);
	if (target->ops.load(target->ops.ctx, &io))
		target->ops.commit(target->ops.ctx);
	turns(1);
	target->ops.rollback(target->ops.ctx);
	while (flow_next(&target->flows, NULL))
		tcp_end(&target->tcp, flow_next(&target->flows, NULL), true, "test");
	close(fd);
}

static void hostile(void)
{
	static uint8_t state[65536];
	unsigned fds;
	ssize_t len;
	size_t i;

	connect_guest(true);
	g.wnd = 0;
	guest_ack();
	guest_write(200);
	peer_write(300);
	turns(20);
	source->ops.freeze(source->ops.ctx);
	save_all();
	leave_source();
	len = read(saved, state, sizeof(state));
	g.at = target;
	fds = descriptors();
	for (i = 0; i < (size_t)len; i++)
		try_load(state, i, SIZE_MAX);
	for (i = 0; i < (size_t)len * 8; i++)
		try_load(state, len, i);
	okf(len > 300 && !target->flows.count && descriptors() == fds,
	    "a state of %zd bytes, cut or changed, leaves nothing",
	   len);
	disconnect();
}

static void addresses(void)
{
	const union inany list[] = {
		addr(net4.peer), addr(net4.ours), addr(net6.peer), addr(net6.ours)
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		own_address(&list[i], i + 1);
	net = &net6;
	listen_there();
	net = &net4;
	listen_there();
}

/* A FIN of the peer has come to the socket that it was restored from, and no other one */
static void moves_twice(bool guest_first)
{
	ok(connect_guest(true), "the guest connects");
	guest_write(3000);
	if (guest_first)
		guest_fin();
	else
		shutdown(peer, SHUT_WR);
	turns(50);
	settle();
	ok(move() && settle() && move_on() && g.at->migrate.refused == 0,
	   guest_first ? "a connection that the guest has closed moves twice" :
	   "a connection that the peer has closed moves twice");
	close_rest(guest_first);
	okf(g.eof && peer_eof && !g.refused && !g.at->flows.count,
	    "both ends close, and the flow ends%s%s%s",
	    g.eof ? "" : ", no FIN for the guest",
	    peer_eof ? "" : ", no FIN for the peer", g.refused ? ", reset" : "");
	disconnect();
}

/* The guest closes its window, is probed, and then takes the data that was under way:
 * nothing is in flight, nothing waits, and no timer runs but that of idle connections */
static void window_closed(void)
{
	const struct tcp_conn *c;
	unsigned i;

	ok(connect_guest(true), "the guest connects");
	g.wnd = 2000;
	guest_ack();
	g.wnd = 0;
	peer_write(1000);
	c = tcp_conn(flow_next(&source->flows, NULL));
	while (c->s.snd_max == c->s.snd_una)
		events();
	guest_ack();
	for (i = 0; i < TURNS && !c->s.persist; i++)
		if (!events())
			usleep(200);
	turns(50);
	ok(g.got == 1000 && move() && !target->migrate.refused,
	   "a connection with a closed window moves");
	peer_write(4000);
	turns(20);
	g.wnd = 60000;
	guest_ack();
	all_arrive();
	disconnect();
}

/* Without a helper, the guest leaves without its connections: the peer learns of it */
static void left_behind(void)
{
	char c;

	connect_guest(true);
	no_helper = true;
	ok(source->ops.freeze(source->ops.ctx) < 0, "without a helper nothing freezes");
	source->ops.gone(source->ops.ctx);
	ok(!source->flows.count, "when the guest has left, its connection ends");
	ok(recv(peer, &c, 1, 0) < 0 && errno == ECONNRESET, "the peer is told");
	disconnect();
}

/* Does the peer get a RST, behind the data that it has received? */
static bool peer_is_reset(void)
{
	ssize_t n;

	while ((n = recv(peer, in, MOST, MSG_DONTWAIT)) > 0)
		;
	return n < 0 && errno == ECONNRESET;
}

/* A connection that is killed while it moves: neither end could be told */
static void killed_on_the_move(void)
{
	struct flow *f;

	connect_guest(true);
	f = flow_next(&source->flows, NULL);
	source->ops.freeze(source->ops.ctx);
	is(tcp_kill(&source->tcp, f), -EBUSY, "a frozen connection can't be killed");
	save_all();
	is(tcp_kill(&source->tcp, f), -EBUSY, "a saved connection can't be killed");
	source->ops.thaw(source->ops.ctx);
	guest_write(1000);
	peer_write(1000);
	all_arrive();
	source->ops.freeze(source->ops.ctx);
	save_all();
	leave_source();
	ok(load_all(), "a connection that could not be killed moves");
	f = flow_next(&target->flows, NULL);
	is(tcp_kill(&target->tcp, f), -EBUSY,
	   "a connection can't be killed before the guest is there");
	g.at = target;
	target->ops.commit(target->ops.ctx);
	is(tcp_kill(&target->tcp, f), 0, "after the move it can be killed");
	turns(5);
	ok(g.refused && !target->flows.count && peer_is_reset(),
	   "both ends are told then");
	disconnect();
}

/* A connection is killed while the tap has no room for the RST */
static void killed_without_room(void)
{
	struct flow *f;

	connect_guest(true);
	f = flow_next(&source->flows, NULL);
	source->fake.room = 0;
	is(tcp_kill(&source->tcp, f), 0, "without room in the tap a flow can be killed");
	is(source->flows.count, 1, "it waits for room");
	is(tcp_kill(&source->tcp, f), 0, "it can be killed again");
	guest_write(1000);
	peer_write(1000);
	turns(20);
	peer_read();
	ok(source->flows.count == 1 && !peer_got, "data is dropped meanwhile");
	source->fake.room = FAKE_FRAMES;
	tcp_tap_writable(&source->tcp);
	turns(5);
	ok(g.refused && !g.got && !source->flows.count && peer_is_reset(),
	   "with room in the tap, both ends are told");
	disconnect();
}

/* The guest has reset the connection, and the peer has not got all data yet */
static void killed_after_reset(void)
{
	struct flow *f;
	unsigned i;

	connect_guest(true);
	f = flow_next(&source->flows, NULL);
	for (i = 0; i < 10; i++)
		guest_write(100000);
	turns(50);
	guest_send(TCPF_RST | TCPF_ACK, g.snd_nxt, NULL, 0);
	turns(5);
	ok(source->flows.count == 1 && tcp_conn(f)->draining,
	   "after a RST of the guest, its data is still delivered");
	is(tcp_kill(&source->tcp, f), 0, "such a connection can be killed");
	turns(5);
	ok(!source->flows.count && !g.refused && peer_is_reset(),
	   "it ends at once, and only the peer is told");
	disconnect();
}

/* Many connections: the guest's half of each, and its peer */
static struct {
	uint32_t rcv_nxt;
	int peer;
	char in;
} many[MANY];

static uint16_t many_port(unsigned i)
{
	return GPORT + 1 + i;
}

/* Take frames: a SYN-ACK tells a number, data is a byte */
static void many_take(void)
{
	struct fake_tap *f = &g.at->fake;
	uint32_t hdr, i, k;
	struct tcp_hdr th;

	for (k = 0; k < f->n; k++) {
		hdr = f->sent[k].b[12] == 0x08 ? 54 : 74;
		memcpy(&th, f->sent[k].b + hdr - sizeof(th), sizeof(th));
		i = ntohs(th.dport) - many_port(0);
		if (i >= MANY)
			continue;
		if (th.flags & TCPF_SYN)
			many[i].rcv_nxt = ntohl(th.seq) + 1;
		else if (f->sent[k].len == hdr + 1)
			many[i].in = (char)f->sent[k].b[hdr];
	}
	f->n = 0;
	tcp_tap_writable(&g.at->tcp);
}

/* One of every two connections has the other family */
static void many_family(unsigned i)
{
	net = i % 2 ? &net6 : &net4;
}

static void many_send(unsigned i, uint8_t flags, uint32_t seq, char data)
{
	many_family(i);
	send_from(many_port(i), (struct tcp_hdr){
		.seq = htonl(ISN + seq), .ack = htonl(many[i].rcv_nxt),
		.flags = flags, .wnd = htons(60000) }, &data, !!data);
}

static bool many_connect(unsigned i)
{
	unsigned k;

	many[i].rcv_nxt = 0;
	many_send(i, TCPF_SYN, 0, 0);
	for (k = 0; k < 1000 && !many[i].rcv_nxt; k++) {
		events();
		many_take();
	}
	many_send(i, TCPF_ACK, 1, 0);
	many[i].peer = accept4(net->listener, NULL, NULL, SOCK_NONBLOCK);
	return many[i].peer >= 0;
}

/* A byte each way, others for each connection */
static bool many_exchange(unsigned i)
{
	char byte = 'a' + i % 26, c = 0;
	unsigned k;

	many_send(i, TCPF_ACK | TCPF_PSH, 1, byte);
	if (recv(many[i].peer, &c, 1, 0) != 1 || c != byte)
		return false;
	byte = 'A' + i % 26;
	send(many[i].peer, &byte, 1, 0);
	for (k = 0; k < 1000 && !many[i].in; k++) {
		events();
		many_take();
	}
	return many[i].in == byte;
}

static void many_at_once(void)
{
	unsigned i, n = 0;

	start_world(source);
	start_world(target);
	g.at = source;
	no_helper = false;
	for (i = 0; i < MANY; i++)
		n += many_connect(i);
	is(n, MANY, "the guest has many connections, of both families");
	messages = largest = 0;
	move();
	is(target->flows.count, MANY, "they all move");
	ok(largest > 250, "the helper gets many sockets in one message");
	for (i = n = 0; i < MANY; i++)
		n += many_exchange(i);
	is(n, MANY, "each of them carries its own data then");
	for (i = 0; i < MANY; i++)
		close(many[i].peer);
	end_all(source);
	end_all(target);
	net = &net4;
}

/* One connection of two has a state that can't be: the other one moves */
static void one_of_two(void)
{
	struct flow *f;

	start_world(source);
	start_world(target);
	g.at = source;
	no_helper = false;
	ok(many_connect(0) && many_connect(1), "the guest has two connections");
	f = flow_next(&source->flows, NULL);
	tcp_conn(f)->s.snd_wnd = tcp_conn(f)->s.snd_wnd_max + 1;
	move();
	ok(target->flows.count == 1 && target->migrate.refused == 1,
	   "one with a state that can't be does not move, the other one does");
	ok(many_exchange(0) != many_exchange(1), "and carries data");
	close(many[0].peer);
	close(many[1].peer);
	end_all(source);
	end_all(target);
	net = &net4;
}

/* A connection of the peer to a forwarded port of the source, which is @*port */
static bool connect_inbound(uint16_t *port)
{
	union inany ours = addr(net->ours), there = addr(net->peer);
	struct flowside host = { ours, there, 0, 0 };
	struct flowside tap = { there, addr(net->guest), 0, GPORT };
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&ours, 0, 0, &sa);
	int l = socket(sa.sa.sa_family, SOCK_STREAM, 0), fd;
	unsigned i;

	begin();
	if (bind(l, &sa.sa, len) || listen(l, 1) || getsockname(l, &sa.sa, &len))
		return false;
	inany_from_sockaddr(&sa, &host.oaddr, &host.oport);
	peer = socket(sa.sa.sa_family, SOCK_STREAM, 0);
	inany_to_sockaddr(&there, 0, 0, &sa);
	bind(peer, &sa.sa, len);
	inany_to_sockaddr(&ours, host.oport, 0, &sa);
	if (connect(peer, &sa.sa, len) || getsockname(peer, &sa.sa, &len))
		return false;
	fcntl(peer, F_SETFL, O_NONBLOCK);
	inany_from_sockaddr(&sa, &host.eaddr, &host.eport);
	fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	close(l);
	net->port = tap.oport = host.eport;
	*port = host.oport;
	tcp_accepted(&source->tcp, fd, (struct rule_ref){ 0 }, &host, &tap);
	for (i = 0; i < 1000 && !g.rcv_nxt; i++)
		turn();
	guest_send(TCPF_SYN | TCPF_ACK, ISN - 1, NULL, 0);
	turns(5);
	return g.rcv_nxt && !g.refused;
}

/* The rules of the target decide about connections to forwarded ports */
static void inbound(const char *where, const char *to, int port_is, uint16_t target_port,
		    bool moves)
{
	struct fwd_rule r = { .proto = IPPROTO_TCP, .to = target_port };
	uint16_t port = 0, listens = net->port;

	ok(connect_inbound(&port), "the peer connects to a forwarded port");
	r.first = r.last = port + port_is;
	r.addr = addr(where);
	r.to_addr = addr(to);
	if (target_port)
		rules_append(&target->rules, &r);
	move();
	okf(target->flows.count == moves && target->migrate.refused == !moves,
	    "with a rule for port %s%d, address '%s', to port %u, '%s', it %s",
	    port_is ? "+" : "", port_is, where ? where : "", target_port,
	    to ? to : "", moves ? "moves" : "does not move");
	if (moves) {
		guest_write(3000);
		peer_write(4000);
		all_arrive();
	}
	disconnect();
	net->port = listens;
}

static void rules_decide(void)
{
	inbound(NULL, NULL, 0, GPORT, true);
	inbound(net->ours, NULL, 0, GPORT, true);
	inbound(NULL, net->guest, 0, GPORT, true);
	inbound(NULL, NULL, 0, 0, false);
	inbound(NULL, NULL, 1, GPORT, false);
	inbound(NULL, NULL, 0, GPORT + 1, false);
	inbound(net->peer, NULL, 0, GPORT, false);
	inbound(NULL, net->peer, 0, GPORT, false);
}

/* All of a family: the same for both */
static void connections(void)
{
	unsigned i;

	printf("# %s\n", net->name);
	idle(move, "moves");
	idle(thaw_again, "goes on after a failed move");
	for (i = 0; i < 4; i++) {
		full(move, "moves", i & 1, i & 2);
		full(thaw_again, "goes on", i & 1, i & 2);
	}
	closed_with_data(move, "moves");
	closed_with_data(thaw_again, "goes on");
	half_closed(move, true);
	half_closed(thaw_again, true);
	half_closed(move, false);
	half_closed(thaw_again, false);
	moves_twice(true);
	moves_twice(false);
	window_closed();
	left_behind();
	killed_on_the_move();
	killed_without_room();
	killed_after_reset();
	peer_fin_unread(move);
	peer_fin_unread(thaw_again);
	fin_unsent(move);
	fin_unsent(thaw_again);
}

int main(void)
{
	size_t i;

	signal(SIGPIPE, SIG_IGN);	/* as the daemon does */
	if (!own_net()) {
		printf("1..0 # SKIP no network namespace\n");
		return 0;
	}
	addresses();
	for (i = 0; i < MOST; i++) {
		out[i] = i * 7 ^ i >> 9;
		g.out[i] = i * 5 ^ i >> 10;
	}
	connections();
	without_helper();
	second_load();
	hostile();
	rules_decide();
	net = &net6;
	connections();
	rules_decide();
	many_at_once();
	one_of_two();
	return done();
}
