/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmperr.c - Errors of the host's sockets, as ICMP errors for the guest
 *
 * With IP_RECVERR the host's kernel keeps the ICMP errors that a socket's packets
 * caused, in the socket's error queue. The guest gets each error as if it had come
 * straight from the network: type and code are the same, and the quoted packet is
 * rebuilt with the addresses and ports that the guest knows (RFC 5508, 4.2).
 *
 * Calls on the socket fail for these errors, too. They also fail if the host itself
 * can't send (no route, a filter): then the guest's error is made from the errno. For
 * a packet over the MTU of the outgoing interface, the error queue has the MTU and no
 * packet.
 *
 * A flow to a name server may have another family on the host's side. Then the error
 * is translated by the tables of RFC 7915, 4.2 and 5.2, which are below.
 *
 * Errors are passed from the network to the guest only. An error that the guest sends
 * about a packet from the network (port unreachable, say) is not passed on, because
 * sending ICMP takes a privilege on the host. The peer gets no answer, as from a host
 * behind a filter.
 */

#include "icmperr.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include <linux/errqueue.h>

#include "frame.h"
#include "fwd.h"
#include "guest.h"
#include "wire.h"

/* Does the destination not know the protocol? That is "protocol unreachable" of IPv6 */
static bool is_unknown_proto(const struct icmperr *e)
{
	return !e->v4 && e->type == ICMP6_PARAM_PROBLEM &&
	       e->code == ICMP6_NEXT_HEADER;
}

/* Is this error passed on? All errors are that tell why a packet got no further */
static bool is_passed_on(const struct icmperr *e)
{
	if (e->v4)
		return e->type == ICMP4_UNREACH ||
		       e->type == ICMP4_TIME_EXCEEDED;
	return e->type == ICMP6_UNREACH || e->type == ICMP6_TOO_BIG ||
	       e->type == ICMP6_TIME_EXCEEDED_ || is_unknown_proto(e);
}

static void set(struct icmperr *e, uint8_t type, uint8_t code, uint32_t word)
{
	e->type = type;
	e->code = code;
	e->word = word;
}

static void set_too_big(struct icmperr *e, uint32_t mtu)
{
	if (e->v4)
		set(e, ICMP4_UNREACH, ICMP4_UNREACH_FRAG, mtu & 0xffff);
	else
		set(e, ICMP6_TOO_BIG, 0, mtu);
}

/**
 * icmperr_is_too_big() - Is the error about a packet over the MTU, @e->word?
 */
bool icmperr_is_too_big(const struct icmperr *e)
{
	if (e->v4)
		return e->type == ICMP4_UNREACH &&
		       e->code == ICMP4_UNREACH_FRAG;
	return e->type == ICMP6_TOO_BIG;
}

static bool set_errno(struct icmperr *e, int error)
{
	switch (error) {
	case ECONNREFUSED:
		set(e, e->v4 ? ICMP4_UNREACH : ICMP6_UNREACH,
		    e->v4 ? ICMP4_UNREACH_PORT : ICMP6_UNREACH_PORT, 0);
		return true;
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case EINVAL:			/* of connect(): no route */
		set(e, e->v4 ? ICMP4_UNREACH : ICMP6_UNREACH,
		    e->v4 ? ICMP4_UNREACH_HOST : ICMP6_UNREACH_ADDR, 0);
		return true;
	case ENETUNREACH:
	case ENETDOWN:
	case ENODEV:
	case EADDRNOTAVAIL:		/* no source address */
		set(e, e->v4 ? ICMP4_UNREACH : ICMP6_UNREACH,
		    e->v4 ? ICMP4_UNREACH_NET : ICMP6_UNREACH_NOROUTE, 0);
		return true;
	case EACCES:			/* a prohibiting route, or a filter */
	case EPERM:
		set(e, e->v4 ? ICMP4_UNREACH : ICMP6_UNREACH,
		    e->v4 ? ICMP4_UNREACH_ADMIN : ICMP6_UNREACH_ADMIN_, 0);
		return true;
	default:
		return false;
	}
}

static bool set_extended(struct icmperr *e, const struct sock_extended_err *ee)
{
	switch (ee->ee_origin) {
	case SO_EE_ORIGIN_ICMP:
	case SO_EE_ORIGIN_ICMP6:
		set(e, ee->ee_type, ee->ee_code, 0);
		if (icmperr_is_too_big(e))
			set_too_big(e, ee->ee_info);
		if (is_unknown_proto(e))	/* in the header that we rebuild */
			e->word = offsetof(struct ip6_hdr, nexthdr);
		return is_passed_on(e);
	case SO_EE_ORIGIN_LOCAL:
		e->local = true;
		if (ee->ee_errno != EMSGSIZE)
			return set_errno(e, (int)ee->ee_errno);
		set_too_big(e, ee->ee_info);
		return true;
	default:
		return false;
	}
}

/* Get the source of the packet: the address that the ICMP error was sent to */
static void get_src(struct icmperr *e, const struct cmsghdr *cm)
{
	struct in6_pktinfo info6;
	struct in_pktinfo info4;

	if (cm->cmsg_level == IPPROTO_IP && cm->cmsg_type == IP_PKTINFO) {
		memcpy(&info4, CMSG_DATA(cm), sizeof(info4));
		e->src = inany_from_v4(info4.ipi_addr);
	} else if (cm->cmsg_level == IPPROTO_IPV6 &&
		   cm->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info6, CMSG_DATA(cm), sizeof(info6));
		e->src = inany_from_v6(&info6.ipi6_addr);
	}
}

/* Get the extended error and the offender's address; false if @cm has none, or the
 * guest is not to get it */
static bool from_cmsg(struct icmperr *e, const struct cmsghdr *cm)
{
	struct {
		struct sock_extended_err ee;
		union sockaddr_inany offender;
	} d = { 0 };
	size_t len = cm->cmsg_len - CMSG_LEN(0);

	if (!(cm->cmsg_level == IPPROTO_IP && cm->cmsg_type == IP_RECVERR) &&
	    !(cm->cmsg_level == IPPROTO_IPV6 && cm->cmsg_type == IPV6_RECVERR))
		return false;
	if (len < sizeof(d.ee))
		return false;

	memcpy(&d, CMSG_DATA(cm), len < sizeof(d) ? len : sizeof(d));
	if (!inany_from_sockaddr(&d.offender, &e->offender, NULL))
		e->offender = (union inany){ 0 };
	return set_extended(e, &d.ee);
}

/**
 * icmperr_read() - Take one error from the error queue of a socket
 * @fd:		Socket with IP_RECVERR or IPV6_RECVERR set
 * @v4:		Family of the error, if it has no destination
 * @e:		Filled in
 *
 * Return: 0; -ENOMSG: an error was taken that is not for the guest; -EAGAIN: the
 * queue is empty
 */
/* #syscalls recvmsg */
int icmperr_read(int fd, bool v4, struct icmperr *e)
{
	union {
		struct cmsghdr align;
		char buf[256];
	} control;
	union sockaddr_inany sa = { .sa.sa_family = AF_UNSPEC };
	struct iovec iov = { e->data, sizeof(e->data) };
	struct msghdr mh = {
		.msg_name = &sa, .msg_namelen = sizeof(sa),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cm;
	int rc = -ENOMSG;
	ssize_t n;

	n = recvmsg(fd, &mh, MSG_ERRQUEUE | MSG_DONTWAIT);
	if (n < 0)
		return -EAGAIN;

	e->v4 = v4;
	e->local = false;
	e->len = (size_t)n;
	e->src = e->dst = (union inany){ 0 };
	e->dport = 0;
	if (mh.msg_namelen && inany_from_sockaddr(&sa, &e->dst, &e->dport))
		e->v4 = inany_is_v4(&e->dst);
	for (cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm)) {
		get_src(e, cm);
		if (from_cmsg(e, cm))
			rc = 0;
	}
	return rc;
}

/* Fill in an error that the host itself reports */
static void by_host(const struct flowside *host, struct icmperr *e)
{
	e->v4 = inany_is_v4(&host->eaddr);
	e->local = true;
	e->offender = (union inany){ 0 };
	e->dst = host->eaddr;
	e->len = 0;
}

/**
 * icmperr_from_errno() - Make an error from the errno of a failed call
 * @error:	Positive errno of connect() or of sending
 * @host:	Host side of the flow
 * @e:		Filled in
 *
 * Return: false if the guest is not to get it
 */
bool icmperr_from_errno(int error, const struct flowside *host,
			struct icmperr *e)
{
	by_host(host, e);
	if (error == ECONNREFUSED)
		e->offender = host->eaddr;	/* only the peer refuses */
	return set_errno(e, error);
}

/**
 * icmperr_set_too_big() - Make an error about a packet over the MTU
 * @host:	Host side of the flow
 * @mtu:	MTU of the outgoing interface, bytes
 * @e:		Filled in
 */
void icmperr_set_too_big(const struct flowside *host, uint32_t mtu,
			 struct icmperr *e)
{
	by_host(host, e);
	set_too_big(e, mtu);
}

/* Translate an ICMP error, RFC 7915, 4.2; false if it has no equivalent */
static bool to_icmp6(struct icmperr *e)
{
	if (e->type == ICMP4_TIME_EXCEEDED) {
		set(e, ICMP6_TIME_EXCEEDED_, e->code, 0);
		return true;
	}
	switch (e->code) {
	case ICMP4_UNREACH_NET:
	case ICMP4_UNREACH_HOST:
	case ICMP4_UNREACH_SRCROUTE:
	case ICMP4_UNREACH_NET_UNKNOWN:
	case ICMP4_UNREACH_HOST_UNKNOWN:
	case ICMP4_UNREACH_ISOLATED:
	case ICMP4_UNREACH_NET_TOS:
	case ICMP4_UNREACH_HOST_TOS:
		set(e, ICMP6_UNREACH, ICMP6_UNREACH_NOROUTE, 0);
		return true;
	case ICMP4_UNREACH_PROTO:	/* points to the field in the header */
		set(e, ICMP6_PARAM_PROBLEM, ICMP6_NEXT_HEADER,
		    offsetof(struct ip6_hdr, nexthdr));
		return true;
	case ICMP4_UNREACH_PORT:
		set(e, ICMP6_UNREACH, ICMP6_UNREACH_PORT, 0);
		return true;
	case ICMP4_UNREACH_FRAG:
		/* An old router gives no MTU: take the minimum, where RFC 7915
		 * would guess from the length of the packet */
		set(e, ICMP6_TOO_BIG, 0, icmperr_mtu(true, false, e->word));
		return true;
	case ICMP4_UNREACH_NET_PROHIBITED:
	case ICMP4_UNREACH_HOST_PROHIBITED:
	case ICMP4_UNREACH_ADMIN:
	case ICMP4_UNREACH_CUTOFF:
		set(e, ICMP6_UNREACH, ICMP6_UNREACH_ADMIN_, 0);
		return true;
	default:			/* host precedence violation, unknown */
		return false;
	}
}

/* Translate an ICMPv6 error, RFC 7915, 5.2; false if it has no equivalent. Codes 5
 * and 6 are not in that table, but refine code 1 (RFC 4443, 3.1) */
static bool to_icmp4(struct icmperr *e)
{
	if (is_unknown_proto(e)) {
		set(e, ICMP4_UNREACH, ICMP4_UNREACH_PROTO, 0);
		return true;
	}
	if (e->type == ICMP6_TIME_EXCEEDED_) {
		set(e, ICMP4_TIME_EXCEEDED, e->code, 0);
		return true;
	}
	if (e->type == ICMP6_TOO_BIG) {
		set(e, ICMP4_UNREACH, ICMP4_UNREACH_FRAG,
		    icmperr_mtu(false, true, e->word));
		return true;
	}
	switch (e->code) {
	case ICMP6_UNREACH_NOROUTE:
	case ICMP6_UNREACH_SCOPE:
	case ICMP6_UNREACH_ADDR:
		set(e, ICMP4_UNREACH, ICMP4_UNREACH_HOST, 0);
		return true;
	case ICMP6_UNREACH_ADMIN_:
	case ICMP6_UNREACH_POLICY:
	case ICMP6_UNREACH_REJECT:
		set(e, ICMP4_UNREACH, ICMP4_UNREACH_HOST_PROHIBITED, 0);
		return true;
	case ICMP6_UNREACH_PORT:
		set(e, ICMP4_UNREACH, ICMP4_UNREACH_PORT, 0);
		return true;
	default:
		return false;
	}
}

/**
 * icmperr_mtu() - Translate an MTU between families
 * @host_v4:	Family of the host's side, which has this MTU
 * @tap_v4:	Family of the guest's packets
 * @mtu:	Bytes of an IP packet
 *
 * Return: largest packet of the guest that fits, at least the minimum MTU of its
 * family, bytes
 */
uint32_t icmperr_mtu(bool host_v4, bool tap_v4, uint32_t mtu)
{
	const uint32_t diff = sizeof(struct ip6_hdr) - sizeof(struct ip4_hdr);

	if (host_v4 == tap_v4)
		return mtu;
	if (tap_v4)
		return mtu > CONF_MTU_MIN_IPV4 + diff ? mtu - diff :
							CONF_MTU_MIN_IPV4;
	return mtu + diff > CONF_MTU_MIN_IPV6 ? mtu + diff : CONF_MTU_MIN_IPV6;
}

static void send_quoting(const struct icmperr *e, struct tap *t,
			 const struct conf *c, const struct hostnet *net,
			 const struct guest *g, const struct flowside *tap,
			 const struct flowside *host,
			 const struct view *quoted)
{
	const struct frame_addr a = {
		.dst_mac = guest_mac(g, &tap->eaddr), .src_mac = c->our_mac,
		.src = fwd_error_src(net, g, tap, host, &e->offender),
		.dst = &tap->eaddr,
	};
	struct icmperr seen = {
		.type = e->type, .code = e->code, .word = e->word,
	};

	/* RFC 1122, 3.2.2; RFC 4443, 2.4 (e): no errors for multicast and broadcast.
	 * IPv6 exempts Packet Too Big, which never occurs here */
	if (inany_is_multicast(&tap->oaddr) || fwd_is_broadcast(net, &tap->oaddr))
		return;
	if (e->v4 && !inany_is_v4(&tap->eaddr) && !to_icmp6(&seen))
		return;
	if (!e->v4 && inany_is_v4(&tap->eaddr) && !to_icmp4(&seen))
		return;
	frame_send_icmp_error(t, &a, seen.type, seen.code, seen.word, quoted);
}

/**
 * icmperr_send() - Pass an error on, quoting a rebuilt packet
 * @e:		The error; its data follow @l4 in the packet
 * @t:		The tap
 * @c:		Configuration
 * @net:	Network of the host
 * @g:		The guest
 * @tap, @host:	Sides of the flow
 * @proto:	IPPROTO_* of the packet
 * @l4:		Layer-4 header as the guest sent it
 * @l4_len:	Length of @l4, at most 8 bytes
 */
void icmperr_send(const struct icmperr *e, struct tap *t, const struct conf *c,
		  const struct hostnet *net, const struct guest *g,
		  const struct flowside *tap, const struct flowside *host,
		  uint8_t proto, const void *l4, size_t l4_len)
{
	uint8_t q[sizeof(struct ip6_hdr) + 8 + ICMPERR_DATA], *end;
	const struct frame_addr a = {
		.src = &tap->eaddr, .dst = &tap->oaddr, .ttl = 1,
	};
	struct view quoted;

	end = frame_put_ip(q, &a, proto, l4_len + e->len, 0, IP4_DF);
	memcpy(end, l4, l4_len);
	end += l4_len;
	memcpy(end, e->data, e->len);
	end += e->len;
	quoted = view_of(q, (size_t)(end - q));
	send_quoting(e, t, c, net, g, tap, host, &quoted);
}

/**
 * icmperr_send_pkt() - Pass an error on, quoting a packet of the guest
 * @e:		The error; its data are not used
 * @t:		The tap
 * @c:		Configuration
 * @net:	Network of the host
 * @g:		The guest
 * @tap, @host:	Sides of the flow
 * @p:		The packet
 */
void icmperr_send_pkt(const struct icmperr *e, struct tap *t,
		      const struct conf *c, const struct hostnet *net,
		      const struct guest *g, const struct flowside *tap,
		      const struct flowside *host, const struct pkt *p)
{
	send_quoting(e, t, c, net, g, tap, host, &p->l3);
}
