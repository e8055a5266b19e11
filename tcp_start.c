/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_start.c - New TCP flows, begun by the guest or accepted on the host
 *
 * A SYN of the guest makes a socket connect. The guest gets its SYN-ACK only when the
 * peer has answered, or an error as a native connect() would report it. A connection
 * that was accepted on the host is complete on that side: the guest gets a SYN.
 */

#include "tcp_priv.h"

#include <errno.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include "fwd.h"
#include "hostsock.h"
#include "icmperr.h"
#include "inany.h"
#include "log.h"
#include "siphash.h"
#include "util.h"
#include "wire.h"

#define STATE_ESTABLISHED	1	/* of the other tcp.h, which excludes this one */
#define NEAR_RTT_US	1000
#define POLL_MAX_MS	10
#define SOURCE_TRIES	64		/* ports for a mapped peer */

/* Begun by the guest ----------------------------------------------------- */

/* initial_seq() - Initial sequence number for these addresses and ports, RFC 6528 */
static uint32_t initial_seq(const struct tcp *t, const struct flowside *tap)
{
	uint64_t words[5] = {
		tap->oaddr.u64[0], tap->oaddr.u64[1],
		tap->eaddr.u64[0], tap->eaddr.u64[1],
		(uint64_t)tap->oport << 16 | tap->eport,
	};
	uint32_t hash = siphash_strong(t->iss_key, words, ARRAY_SIZE(words));

	return timewait_seq(&t->timewait, tcp_tap_hash(t, tap), tap,
			    tcps_initial_seq(hash, t->loop->now_ms));
}

/* tcp_mss_max() - Largest payload of a segment that fits the MTU of the tap */
uint16_t tcp_mss_max(const struct tcp *t, bool v4)
{
	unsigned hdr = sizeof(struct tcp_hdr) +
		       (v4 ? sizeof(struct ip4_hdr) : sizeof(struct ip6_hdr));

	return t->tap->mtu > hdr + TCPS_MSS_MIN ? t->tap->mtu - hdr : TCPS_MSS_MIN;
}

/* unreachable() - Report by ICMP why the guest's SYN failed; false if no error fits */
static bool unreachable(struct tcp *t, struct flow *f, int error)
{
	const struct flowside *tap = flow_tap_side(f), *host = flow_host_side(f);
	const struct tcp_hdr syn = {
		.sport = htons(tap->eport), .dport = htons(tap->oport),
		.seq = htonl(tcp_conn(f)->s.rcv_nxt - 1),
		.flags = TCPF_SYN, .doff = sizeof(syn) / 4 << 4,
	};
	struct icmperr e;

	if (!icmperr_from_errno(error, host, &e))
		return false;
	icmperr_send(&e, t->tap, t->conf, t->net, t->guest, tap, host,
		     IPPROTO_TCP, &syn, sizeof(syn));
	return true;
}

/* Is this error about our own resources, and may it pass? */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	       error == ENOMEM || error == ENOSPC;
}

/*
 * tcp_connect_failed() - Report to the guest as a native connect() would
 *
 * Stay silent on ETIMEDOUT: the guest's own SYN timer reports it. Stay silent, too,
 * when short of resources: the guest retransmits its SYN, and may get through then.
 */
void tcp_connect_failed(struct tcp *t, struct flow *f, int error)
{
	bool silent = error == ETIMEDOUT || is_shortage(error);

	if (error == ECONNREFUSED || (!silent && !unreachable(t, f, error)))
		tcp_send_rst(t, f);
	tcp_end(t, f, true, "connection failed");
}

/* Get what the kernel knows about the connection of a flow: the peer counts as far if that fails */
/* #syscalls getsockopt */
static struct tcp_info info_of(struct flow *f)
{
	struct tcp_info info = { .tcpi_min_rtt = UINT32_MAX };
	socklen_t len = sizeof(info);

	getsockopt(tcp_conn(f)->sock, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info;
}

/* look_at_path() - Note how far the peer is, and set the first window */
static void look_at_path(struct tcp *t, struct flow *f, const struct tcp_info *info)
{
	struct tcp_conn *c = tcp_conn(f);
	uint32_t room;

	c->near = inany_is_loopback(&flow_host_side(f)->eaddr) ||
		  info->tcpi_min_rtt < NEAR_RTT_US;
	c->rtt_ms = info->tcpi_rtt / 1000;
	c->poll_ms = c->rtt_ms < 4 ? 1 : c->rtt_ms / 4;
	if (c->poll_ms > POLL_MAX_MS)
		c->poll_ms = POLL_MAX_MS;
	c->poll_now = c->poll_ms;

	c->snd_base = c->s.snd_una + 1;
	room = tcp_query_room(t, f, 0);
	tcps_window(&c->s, room, c->size);
}

/* connected() - The peer has answered: send the SYN-ACK */
static void connected(struct tcp *t, struct flow *f, const struct tcp_info *info)
{
	struct tcp_conn *c = tcp_conn(f);

	tcps_connected(&c->s, t->loop->now_ms);
	look_at_path(t, f, info);
	tcp_send_syn(t, f, TCPF_ACK);
	tcp_trace(t, f, c->near ? "connected, near" : "connected");
}

/* tcp_connected() - The socket of a flow that the guest has begun is connected */
void tcp_connected(struct tcp *t, struct flow *f)
{
	struct tcp_info info = info_of(f);

	connected(t, f, &info);
}

/*
 * tcp_watch_socket() - Have events of the socket reported: 0 or negative errno
 * @out:	EPOLLOUT, too: not wanted of a socket that has room at first
 */
int tcp_watch_socket(struct tcp *t, struct flow *f, bool out)
{
	return loop_add(t->loop, tcp_conn(f)->sock,
			out ? TCP_SOCK_EVENTS : TCP_SOCK_EVENTS & ~EPOLLOUT,
			flow_ref(f, !flow_tap_index(f)));
}

/* bind_source() - Bind to the --outbound address, if one was given */
static int bind_source(struct tcp *t, struct flow *f)
{
	static const int one = 1;
	const union inany *a = &flow_host_side(f)->oaddr;
	int sock = tcp_conn(f)->sock;
	union sockaddr_inany sa;
	socklen_t len;

	/* Towards loopback the kernel chooses the source itself */
	if (inany_is_unspecified(a) || inany_is_loopback(a))
		return 0;
	len = inany_to_sockaddr(a, 0, fwd_scope(t->net, t->dns, a), &sa);
	setsockopt(sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(sock, &sa.sa, len) ? -errno : 0;
}

/* open_socket() - Open a socket and connect it: 0 or negative errno */
/* #syscalls connect bind setsockopt */
static int open_socket(struct tcp *t, struct flow *f)
{
	const struct flowside *host = flow_host_side(f);
	struct tcp_conn *c = tcp_conn(f);
	union sockaddr_inany sa;
	socklen_t len = inany_to_sockaddr(&host->eaddr, host->eport,
					  fwd_scope(t->net, t->dns,
						    &host->eaddr), &sa);
	int rc;

	c->sock = hostsock_open(t->conf, t->net, &host->eaddr, SOCK_STREAM,
				IPPROTO_TCP);
	if (c->sock < 0)
		return c->sock;
	rc = bind_source(t, f);
	if (rc)
		return rc;
	if (connect(c->sock, &sa.sa, len) && errno != EINPROGRESS)
		return -errno;
	return 0;
}

/*
 * tcp_start_flow() - Start a flow between tap and host, looked up by its tap side
 * @sock:	Its socket, -1: none yet
 * @rule:	Rule that brings it, generation 0: none
 * @ini_pif, @ini, @tgt:	Initiating side, and the other
 *
 * Return: the flow, NULL if there is no room
 */
struct flow *tcp_start_flow(struct tcp *t, int sock, struct rule_ref rule,
			    enum pif ini_pif, const struct flowside *ini,
			    const struct flowside *tgt)
{
	bool out = ini_pif == PIF_TAP;
	struct flow *f = flow_start(t->flows, &(struct flow_spec){
		.kind = REF_TCP, .proto = IPPROTO_TCP, .class = FLOW_STREAM,
		.fds = 1, .pif = { ini_pif, out ? PIF_HOST : PIF_TAP },
		.side = { *ini, *tgt }, .find = out ? FLOW_INI : FLOW_TGT,
		.rule = rule,
	}, t->loop->now_ms);

	if (!f)
		return NULL;
	tcp_conn(f)->sock = sock;
	tcp_conn(f)->ratio = TCP_RATIO_ONE / 2;
	tcp_conn(f)->no_peek_off = t->conf->no_peek_off;
	return f;
}

/*
 * await_peer() - Wait for the peer's answer: 0 or negative errno
 *
 * Without a wire in between, the handshake is complete when connect() returns
 * EINPROGRESS.
 */
static int await_peer(struct tcp *t, struct flow *f)
{
	struct tcp_info info = info_of(f);
	bool there = info.tcpi_state == STATE_ESTABLISHED;
	int rc = tcp_watch_socket(t, f, !there);

	if (!rc && there) {
		connected(t, f, &info);
		tcp_rearm(t, f);
	}
	return rc;
}

/* tcp_new_flow() - Start a flow for a SYN of the guest */
void tcp_new_flow(struct tcp *t, const struct flowside *tap,
		  const struct tcp_seg *g)
{
	bool v4 = inany_is_v4(&tap->eaddr);
	struct flowside host;
	struct tcp_conn *c;
	struct flow *f;
	int rc;

	if (!fwd_from_tap(t->conf, t->net, t->dns, IPPROTO_TCP, tap, &host)) {
		tcp_answer_rst(t, tap, g);
		return;
	}
	f = tcp_start_flow(t, -1, (struct rule_ref){ 0 }, PIF_TAP, tap, &host);
	if (!f) {
		/* Without an answer the guest retransmits: RFC 9293, 3.8.1 */
		t->stats.refused_table++;
		warn_limited("Too many connections, SYN dropped");
		return;
	}

	c = tcp_conn(f);
	tcps_init_passive(&c->s, g, initial_seq(t, tap), tcp_mss_max(t, v4), v4);
	t->stats.opened++;
	tcp_trace(t, f, "new");

	rc = open_socket(t, f);
	if (!rc)
		rc = await_peer(t, f);
	if (!rc)
		return;
	if (c->sock < 0) {
		t->stats.refused_fd++;
		warn_limited_rc(rc, "No socket for a new connection");
	}
	tcp_connect_failed(t, f, -rc);
	/* Another flow gives way: the retransmitted SYN may find a socket */
	if (rc == -EMFILE || rc == -ENFILE)
		flow_evict(t->flows, FLOW_STREAM, t->loop->now_ms);
}

/* Begun by the host side ------------------------------------------------- */

/*
 * free_port() - Make the guest's view of a connection unlike all others
 *
 * Several connections may look the same to the guest: from peers whose addresses are
 * mapped to one, or from one port of a peer to two forwarded ports. Choose another
 * source port then, as a NAT does (RFC 4787, 4.2.1: from the same range). Refuse a
 * peer that the guest itself is connected to at this address and port.
 *
 * If a flow has the same addresses and ports on the host, its connection has ended
 * there: otherwise the kernel would not have accepted this one. Its last event is not
 * handled yet, or the guest still has to take its data.
 *
 * Return: false if no port was found
 */
static bool free_port(struct tcp *t, const struct flowside *host,
		      struct flowside *tap)
{
	unsigned low = tap->oport < 1024 ? 512 : 1024, tries;
	unsigned count = low == 512 ? 512 : 65536 - 1024;
	uint32_t step = (uint32_t)(t->port_key + t->stats.accepted);

	for (tries = 0; tries < SOURCE_TRIES; tries++) {
		struct flow *f = flow_lookup(t->flows, IPPROTO_TCP, PIF_TAP,
					     tap, NULL);

		if (f && f->pif[INI] == PIF_HOST &&
		    flowside_equals(flow_host_side(f), host)) {
			tcp_send_rst(t, f);
			tcp_end(t, f, true,
				"its peer has begun a new connection");
			f = NULL;
		}
		if (!f)
			return true;
		if (f->pif[INI] == PIF_TAP &&
		    inany_equals(&host->eaddr, &tap->oaddr))
			return false;
		step = step * 1664525 + 1013904223;
		tap->oport = low + (step >> 8) % count;
	}
	return false;
}

/**
 * tcp_accepted() - A peer has connected to a forwarded port
 * @t:		TCP
 * @fd:		Connected socket, non-blocking: is ours from now on
 * @rule:	Rule of the port
 * @host:	Host side: the peer is the endpoint
 * @tap:	Tap side: the guest is the endpoint, our address and port stand for
 *		the peer; another port is chosen if that is taken, see free_port()
 *
 * The connection is complete for the peer, so it gets a reset if the guest refuses or
 * never answers. Until the guest answers, the peer's data stays in the socket.
 */
void tcp_accepted(struct tcp *t, int fd, struct rule_ref rule,
		  const struct flowside *host, const struct flowside *tap)
{
	bool v4 = inany_is_v4(&tap->eaddr);
	struct flowside seen = *tap;
	struct tcp_info info;
	struct flow *f;

	t->stats.accepted++;
	if (!free_port(t, host, &seen)) {
		t->stats.refused_ports++;
		warn_limited("No source port for a connection to the guest");
		hostsock_reset(fd);
		return;
	}
	f = tcp_start_flow(t, fd, rule, PIF_HOST, host, &seen);
	if (!f) {
		t->stats.refused_table++;
		warn_limited("Too many connections, one is refused");
		hostsock_reset(fd);
		return;
	}
	tcps_init_active(&tcp_conn(f)->s, initial_seq(t, &seen), tcp_mss_max(t, v4), v4,
			 &t->syn, t->loop->now_ms);
	tcp_conn(f)->readable = true;	/* its request may be there by now */
	info = info_of(f);
	look_at_path(t, f, &info);
	if (tcp_watch_socket(t, f, false)) {
		tcp_end(t, f, true, "can't be watched");
		return;
	}
	tcp_send_syn(t, f, 0);
	tcp_rearm(t, f);
	tcp_trace(t, f, "accepted");
}
