/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcp_sock.c - State of the kernel's TCP sockets, read and written in repair mode
 *
 * A socket in repair mode (TCP_REPAIR) shows both of its queues, and takes bytes into
 * them without a packet. A new one in this mode is connected without a handshake, with
 * the sequence numbers and options that it was given.
 *
 * Repair mode does not stop the kernel: it still acknowledges what comes in. So a socket
 * is deafened first: each segment is dropped before TCP sees it. The peer
 * retransmits those later. What was sent before is retransmitted meanwhile, which does no
 * harm. New data is not sent, as the kernel takes all data for sent while the send queue
 * is selected. So it stays selected, but for looks into the receive queue.
 *
 * A restored socket can't be given the peer's FIN. But its sequence numbers can count it,
 * and SHUT_RD lets reads end behind the queue. Our own FIN is sent once more, by SHUT_WR:
 * to the peer it is a retransmission.
 */

#include "tcp_sock.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "inany.h"
#include "util.h"

#ifndef SO_PEEK_OFF
#define SO_PEEK_OFF	42
#endif
#ifndef IPV6_MINHOPCOUNT
#define IPV6_MINHOPCOUNT 73		/* Linux 2.6.35 */
#endif
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK	72		/* Linux 5.14 */
#endif

#define OPT_MSS		2		/* RFC 9293, 3.2 */
#define OPT_WSCALE	3		/* RFC 7323, 2.2 */
#define OPT_SACK	4		/* RFC 2018, 2 */
#define OPT_TIMESTAMPS	8		/* RFC 7323, 3.2 */
#define WSCALE_MAX	14		/* RFC 7323, 2.3 */

#define TTL_MOST	255
#define CLOCK_AHEAD_MS	200
#define MSS_MIN		32U
#define MSS_ANY		32767		/* largest value of TCP_MAXSEG */
#define SNDBUF_BIG	(1U << 20)	/* more than a socket has at first */
#define FILL_MAX	65536U		/* bytes of one send() */
#define SKIP_BYTES	65536U
#define SKIP_MAX	(TCP_SOCK_QUEUE_MAX / SKIP_BYTES)

/* States of the kernel, as in TCP_INFO */
enum {
	ST_ESTABLISHED = 1, ST_FIN_WAIT1 = 4, ST_FIN_WAIT2 = 5,
	ST_CLOSE_WAIT = 8, ST_LAST_ACK = 9, ST_CLOSING = 11,
};

/* Hearing ------------------------------------------------------------------ */

/* Drop segments with a lower TTL or hop limit, as peers on the path of routers have:
 * true if that works for one family */
/* #syscalls:vhost setsockopt */
static bool demand_ttl(int fd, int ttl)
{
	bool v4 = !setsockopt(fd, IPPROTO_IP, IP_MINTTL, &ttl, sizeof(ttl));

	return !setsockopt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &ttl,
			   sizeof(ttl)) || v4;
}

/**
 * tcp_sock_deafen() - Drop all that the peer sends, without an acknowledgement
 *
 * Recent kernels want a privilege for a filter on a TCP socket. Then only segments with
 * the highest TTL are heard, with which hardly any system sends.
 *
 * Return: 0 or negative errno
 */
/* #syscalls:vhost setsockopt */
int tcp_sock_deafen(int fd)
{
	static struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog prog = { .len = 1, .filter = &drop };

	return !setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
			   sizeof(prog)) || demand_ttl(fd, TTL_MOST) ? 0 : -errno;
}

/* tcp_sock_hear() - Undo tcp_sock_deafen() */
void tcp_sock_hear(int fd)
{
	static const int unused;

	setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	demand_ttl(fd, 0);
}

/* Read --------------------------------------------------------------------- */

/* #syscalls:vhost setsockopt */
static int set_option(int fd, int option, uint32_t value)
{
	return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)) ?
	       -errno : 0;
}

static int select_queue(int fd, enum tcp_sock_queue queue)
{
	return set_option(fd, TCP_REPAIR_QUEUE, queue == TCP_SOCK_SENT ?
			  TCP_SEND_QUEUE : TCP_RECV_QUEUE);
}

/* #syscalls:vhost getsockopt */
static int get_option(int fd, int option, void *to, socklen_t len)
{
	socklen_t got = len;

	memset(to, 0, len);
	if (getsockopt(fd, IPPROTO_TCP, option, to, &got))
		return -errno;
	return got == len ? 0 : -EINVAL;
}

/* Get the number after the last one of a queue; it stays selected */
static int get_seq(int fd, enum tcp_sock_queue queue, uint32_t *seq)
{
	int rc = select_queue(fd, queue);

	return rc ? rc : get_option(fd, TCP_QUEUE_SEQ, seq, sizeof(*seq));
}

/* #syscalls:vhost getsockname getpeername */
static int get_addresses(int fd, struct flowside *at)
{
	union sockaddr_inany sa = { 0 };
	socklen_t len = sizeof(sa);

	if (getsockname(fd, &sa.sa, &len) ||
	    !inany_from_sockaddr(&sa, &at->oaddr, &at->oport))
		return -EINVAL;
	len = sizeof(sa);
	if (getpeername(fd, &sa.sa, &len) ||
	    !inany_from_sockaddr(&sa, &at->eaddr, &at->eport))
		return -EINVAL;
	return 0;
}

static int get_window(int fd, struct tcp_sock *s)
{
	struct tcp_repair_window w;
	int rc = get_option(fd, TCP_REPAIR_WINDOW, &w, sizeof(w));

	s->wl1 = w.snd_wl1;
	s->wnd = w.snd_wnd;
	s->wnd_max = w.max_window;
	s->rcv_wnd = w.rcv_wnd;
	s->rcv_wup = w.rcv_wup;
	return rc;
}

/* Has the peer's FIN come? A restored connection tells so by its shutdown alone */
/* #syscalls:vhost poll ppoll */
static bool peer_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && p.revents & POLLRDHUP;
}

/* Get state and options: -EINVAL if the connection is not established on both sides,
 * or no longer */
static int get_info(int fd, struct tcp_sock *s, bool *fin_queued)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int st;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -errno;
	st = info.tcpi_state;
	if (st != ST_ESTABLISHED && st != ST_FIN_WAIT1 && st != ST_FIN_WAIT2 &&
	    st != ST_CLOSE_WAIT && st != ST_LAST_ACK && st != ST_CLOSING)
		return -EINVAL;
	s->fin_in = peer_ended(fd);
	s->fin_sent = st == ST_FIN_WAIT2;
	*fin_queued = st == ST_FIN_WAIT1 || st == ST_LAST_ACK || st == ST_CLOSING;
	s->options = info.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK |
					  TCPI_OPT_WSCALE);
	s->peer_ws = info.tcpi_snd_wscale;
	s->our_ws = info.tcpi_rcv_wscale;
	return 0;
}

/* Get what the queues have; the receive queue must be readable as a whole, which it is
 * not with urgent data in it */
/* #syscalls:vhost ioctl recvfrom recv */
/* #args:vhost ioctl 1 SIOCINQ SIOCOUTQ SIOCOUTQNSD */
static int get_queues(int fd, struct tcp_sock *s, bool fin_queued)
{
	int inq, outq, unsent, rc;
	uint32_t seq;

	rc = get_seq(fd, TCP_SOCK_RECEIVED, &seq);
	if (rc)
		return rc;
	if (ioctl(fd, SIOCINQ, &inq))
		return -errno;
	if (inq < 0 ||
	    (inq && recv(fd, NULL, inq, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT) != inq))
		return -EINVAL;
	s->rcv_len = inq;
	s->rcv_seq = seq - inq;

	rc = get_seq(fd, TCP_SOCK_SENT, &seq);
	if (rc)
		return rc;
	if (ioctl(fd, SIOCOUTQ, &outq) || ioctl(fd, SIOCOUTQNSD, &unsent))
		return -errno;
	if (outq < 0 || unsent < 0 || unsent > outq || (fin_queued && !outq))
		return -EINVAL;

	/* In the send queue, a FIN counts as a byte */
	s->fin_unsent = fin_queued && unsent;
	s->fin_sent |= fin_queued && !unsent;
	s->sent = outq - unsent - (fin_queued && !unsent);
	s->unsent = unsent - s->fin_unsent;
	s->snd_seq = seq - s->fin_sent - s->fin_unsent - s->unsent - s->sent;
	return 0;
}

/* tcp_sock_stuck() - Is this socket in repair mode? */
bool tcp_sock_stuck(int fd)
{
	int mode;

	return !get_option(fd, TCP_REPAIR, &mode, sizeof(mode)) && mode;
}

/**
 * tcp_sock_get() - Get the state of a connection
 * @fd:		Socket in repair mode, deafened
 * @s:		Set
 *
 * Return: 0 or negative errno; -EINVAL if this connection can't be moved
 */
int tcp_sock_get(int fd, struct tcp_sock *s)
{
	static const int none = -1;
	bool fin_queued = false;
	int rc;

	*s = (struct tcp_sock){ 0 };
	/* Peeks begin at the first byte; fails where it is unknown */
	setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &none, sizeof(none));
	rc = get_info(fd, s, &fin_queued);
	if (!rc)
		rc = get_addresses(fd, &s->at);
	if (!rc)
		rc = get_queues(fd, s, fin_queued);
	if (!rc)
		rc = get_window(fd, s);
	if (!rc)
		rc = get_option(fd, TCP_MAXSEG, &s->mss, sizeof(s->mss));
	if (!rc && s->options & TCP_SOCK_TIMESTAMPS)
		rc = get_option(fd, TCP_TIMESTAMP, &s->timestamp,
				sizeof(s->timestamp));
	return rc ? rc : tcp_sock_valid(s) ? 0 : -EINVAL;
}

/*
 * acknowledged() - Bytes at the head of the send queue that the peer has acknowledged
 *
 * The kernel may keep a segment of which a part was acknowledged.
 *
 * Return: bytes, or negative errno
 */
static int acknowledged(int fd, const struct tcp_sock *s)
{
	uint8_t byte;
	ssize_t all = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (all < 0)
		return -errno;
	return (size_t)all > s->sent + s->unsent ? (int)(all - s->sent - s->unsent) : 0;
}

/**
 * tcp_sock_peek() - Get bytes of a queue
 * @fd:		Socket in repair mode, after tcp_sock_get()
 * @s:		Its result
 * @queue:	The queue
 * @off:	Offset of the first byte
 * @to:		Set
 * @len:	Bytes
 *
 * Return: 0 or negative errno; -ENODATA if there are fewer bytes
 */
/* #syscalls:vhost recvmsg */
int tcp_sock_peek(int fd, const struct tcp_sock *s, enum tcp_sock_queue queue,
		  uint32_t off, void *to, uint32_t len)
{
	static uint8_t skipped[SKIP_BYTES];
	struct iovec iov[SKIP_MAX + 2];
	struct msghdr mh = { .msg_iov = iov };
	int rc = select_queue(fd, queue);
	uint32_t part, skip;
	ssize_t n;

	if (!rc && queue == TCP_SOCK_SENT)
		rc = acknowledged(fd, s);
	if (rc < 0)
		return rc;
	off += (uint32_t)rc;
	skip = off;
	while (skip && (size_t)mh.msg_iovlen <= SKIP_MAX) {
		part = skip < SKIP_BYTES ? skip : SKIP_BYTES;
		iov[mh.msg_iovlen++] = (struct iovec){ skipped, part };
		skip -= part;
	}
	iov[mh.msg_iovlen++] = (struct iovec){ to, len };
	n = recvmsg(fd, &mh, MSG_PEEK | MSG_DONTWAIT);
	rc = n < 0 ? -errno : (size_t)n < (size_t)off + len ? -ENODATA : 0;
	select_queue(fd, TCP_SOCK_SENT);
	return rc;
}

/* Write -------------------------------------------------------------------- */

/**
 * tcp_sock_valid() - Could a connection have this state?
 * @s:		State, perhaps from another machine
 */
bool tcp_sock_valid(const struct tcp_sock *s)
{
	const struct flowside *at = &s->at;

	if (inany_is_v4(&at->oaddr) != inany_is_v4(&at->eaddr) ||
	    !inany_is_unicast(&at->oaddr) || !inany_is_unicast(&at->eaddr) ||
	    !at->oport || !at->eport)
		return false;
	if (s->rcv_len > TCP_SOCK_QUEUE_MAX || s->sent > TCP_SOCK_QUEUE_MAX ||
	    s->unsent > TCP_SOCK_QUEUE_MAX ||
	    s->sent + s->unsent > TCP_SOCK_QUEUE_MAX)
		return false;
	return s->mss >= MSS_MIN && s->mss <= UINT16_MAX &&
	       s->peer_ws <= WSCALE_MAX && s->our_ws <= WSCALE_MAX &&
	       s->wnd <= s->wnd_max && !(s->fin_sent && s->fin_unsent);
}

/* #syscalls:vhost bind connect */
static int bind_and_connect(int fd, const struct tcp_sock *s, unsigned scope)
{
	union sockaddr_inany sa;
	socklen_t len;
	int rc;

	len = inany_to_sockaddr(&s->at.oaddr, s->at.oport, scope, &sa);
	if (bind(fd, &sa.sa, len))
		return -errno;
	rc = select_queue(fd, TCP_SOCK_RECEIVED);
	if (!rc)
		rc = set_option(fd, TCP_QUEUE_SEQ, s->rcv_seq);
	if (!rc)
		rc = select_queue(fd, TCP_SOCK_SENT);
	if (!rc)
		rc = set_option(fd, TCP_QUEUE_SEQ, s->snd_seq);
	if (rc)
		return rc;
	len = inany_to_sockaddr(&s->at.eaddr, s->at.eport, scope, &sa);
	return connect(fd, &sa.sa, len) ? -errno : 0;
}

/*
 * set_options() - Restore the options of the handshake
 *
 * Our clock for timestamps must not be behind what the peer has seen, or it drops all
 * that we send (RFC 7323, 5.3). The old socket may retransmit while the state is on its
 * way, so the clock here is ahead. It is not far ahead, as an ACK that echoes the old
 * clock makes the kernel measure a round trip of the difference: the first retransmission
 * would wait for three times as long.
 */
static int set_options(int fd, const struct tcp_sock *s)
{
	struct tcp_repair_opt o[4] = { { OPT_MSS, s->mss } };
	unsigned n = 1;

	if (s->options & TCP_SOCK_WSCALE)
		o[n++] = (struct tcp_repair_opt){
			OPT_WSCALE, s->peer_ws | (uint32_t)s->our_ws << 16 };
	if (s->options & TCP_SOCK_SACK)
		o[n++] = (struct tcp_repair_opt){ OPT_SACK, 0 };
	if (s->options & TCP_SOCK_TIMESTAMPS)
		o[n++] = (struct tcp_repair_opt){ OPT_TIMESTAMPS, 0 };
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, o, n * sizeof(o[0])))
		return -errno;
	return s->options & TCP_SOCK_TIMESTAMPS ?
	       set_option(fd, TCP_TIMESTAMP, s->timestamp + CLOCK_AHEAD_MS) : 0;
}

/*
 * make_room() - Get buffers for the queues, as large as we may
 *
 * The kernel sizes the send buffer for ten segments as the connection begins, so we ask
 * for large ones: without a privilege, SO_SNDBUF is limited by net.core.wmem_max.
 * SO_RCVLOWAT lets the receive buffer grow, within net.ipv4.tcp_rmem.
 */
static void make_room(int fd, const struct tcp_sock *s)
{
	static const int any = MSS_ANY, unlocked = 0, one = 1;
	int snd = s->sent + s->unsent, rcv = s->rcv_len;

	if (snd > (int)SNDBUF_BIG) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &snd, sizeof(snd));
		setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &unlocked,
			   sizeof(unlocked));
	}
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &any, sizeof(any));
	if (s->rcv_len > FILL_MAX / 2) {
		setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &rcv, sizeof(rcv));
		setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	}
}

/**
 * tcp_sock_restore() - Restore a connection without its queues
 * @fd:		New socket in repair mode, deafened
 * @s:		State, valid; @sent: bytes that the send queue is to take
 * @scope:	Interface of link-local addresses
 *
 * Return: 0 or negative errno: -EADDRNOTAVAIL if the address is not there, or in use by
 * this very connection
 */
int tcp_sock_restore(int fd, const struct tcp_sock *s, unsigned scope)
{
	int rc;

	make_room(fd, s);
	rc = bind_and_connect(fd, s, scope);
	if (rc)
		return rc;
	set_option(fd, TCP_MAXSEG, 0);
	return set_options(fd, s);
}

/**
 * tcp_sock_fill() - Append bytes to a queue
 * @fd:		Socket in repair mode, after tcp_sock_restore()
 * @queue:	The queue; all bytes of the send queue count as sent
 *
 * Return: 0, negative errno if there is no room for all
 */
/* #syscalls:vhost sendto send */
int tcp_sock_fill(int fd, enum tcp_sock_queue queue, const void *from,
		  uint32_t len)
{
	const uint8_t *p = from;
	int rc = len ? select_queue(fd, queue) : 0;

	while (!rc && len) {
		ssize_t n = send(fd, p, len < FILL_MAX ? len : FILL_MAX,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			return n ? -errno : -ENOBUFS;
		p += n;
		len -= n;
	}
	return rc;
}

/**
 * tcp_sock_finish() - Complete a restored connection
 * @fd:		Socket in repair mode, with its queues filled
 * @s:		State
 *
 * Return: 0 or negative errno
 */
/* #syscalls:vhost shutdown */
int tcp_sock_finish(int fd, const struct tcp_sock *s)
{
	const struct tcp_repair_window w = {
		.snd_wl1 = s->wl1, .snd_wnd = s->wnd, .max_window = s->wnd_max,
		.rcv_wnd = s->rcv_wnd, .rcv_wup = s->rcv_wup,
	};
	int rc = select_queue(fd, TCP_SOCK_SENT);

	if (!rc && setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w)))
		rc = -errno;
	if (!rc && s->fin_in && shutdown(fd, SHUT_RD))
		rc = -errno;
	if (!rc && s->fin_sent && shutdown(fd, SHUT_WR))
		rc = -errno;
	return rc;
}
