/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors and datagrams with any control messages: the kernel copies ICMP errors of any
 * router into them. An error that is passed on is one valid frame to the guest, which
 * quotes the guest's packet
 *
 * Input: a byte with families (bit 0: host IPv4, bit 1: guest IPv4, bit 2: UDP), the
 * destination, then the number of quoted bytes (2) and control messages: which (enum
 * kind), length of an error (1), bytes. No socket is used: recvmsg() is replaced.
 */

#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h>

#include "../unit/fake_tap.h"
#include "../unit/net.h"
#include "icmperr.h"
#include "input.h"
#include "udp_msg.h"

enum kind { KIND_ERROR4, KIND_ERROR6, KIND_INFO4, KIND_INFO6, KIND_TTL, KIND_HOPS, KIND_TOS,
	    KIND_CLASS, KIND_GRO, KIND_OTHER, KINDS };

enum { HOST_V4 = 1, GUEST_V4 = 2, UDP = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_tap fake;
static struct conf conf;
static struct hostnet hostnet;
static struct guest guest;
static union inany near4, near6, far4, far6;

/* Level, type and length as the kernel has them; 0: any length */
static const struct {
	int level, type;
	size_t len;
} kinds[KINDS] = {
	[KIND_ERROR4] = { IPPROTO_IP, IP_RECVERR, 0 },
	[KIND_ERROR6] = { IPPROTO_IPV6, IPV6_RECVERR, 0 },
	[KIND_INFO4] = { IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo) },
	[KIND_INFO6] = { IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo) },
	[KIND_TTL] = { IPPROTO_IP, IP_TTL, sizeof(int) },
	[KIND_HOPS] = { IPPROTO_IPV6, IPV6_HOPLIMIT, sizeof(int) },
	[KIND_TOS] = { IPPROTO_IP, IP_TOS, 1 },
	[KIND_CLASS] = { IPPROTO_IPV6, IPV6_TCLASS, sizeof(int) },
	[KIND_GRO] = { SOL_UDP, UDP_GRO, sizeof(int) },
	[KIND_OTHER] = { SOL_SOCKET, SO_TIMESTAMP, 0 },
};

/* Fill in control messages, as many as fit */
static void put_control(struct msghdr *mh)
{
	size_t room = mh->msg_controllen, used = 0, len;

	while (left) {
		enum kind k = byte() % KINDS;
		struct cmsghdr hdr = { .cmsg_level = kinds[k].level,
				       .cmsg_type = kinds[k].type };
		char *at = (char *)mh->msg_control + used;

		len = kinds[k].len ? kinds[k].len : byte() % 128U;
		if (used + CMSG_SPACE(len) > room)
			break;
		hdr.cmsg_len = CMSG_LEN(len);
		memset(at, 0, CMSG_SPACE(len));
		memcpy(at, &hdr, sizeof(hdr));
		bytes(at + CMSG_LEN(0), len);
		used += CMSG_SPACE(len);
	}
	mh->msg_controllen = used;
}

static void put_name(struct msghdr *mh, bool v4)
{
	union sockaddr_inany sa = { .sa.sa_family = AF_UNSPEC };

	mh->msg_namelen = inany_to_sockaddr(v4 ? &far4 : &far6, (uint16_t)word(), 0, &sa);
	memcpy(mh->msg_name, &sa, mh->msg_namelen);
}

static bool v4_next;

ssize_t recvmsg(int fd, struct msghdr *mh, int flags)
{
	size_t len;

	assert(fd == -1 && flags & MSG_ERRQUEUE && mh->msg_iovlen == 1);
	put_name(mh, v4_next);
	len = word() % (mh->msg_iov[0].iov_len + 1);
	memset(mh->msg_iov[0].iov_base, 0x5a, len);
	put_control(mh);
	return (ssize_t)len;
}

static void setup(void)
{
	hostnet = both_families();
	near4 = addr("198.51.100.5");
	near6 = addr("2001:db8::5");
	far4 = addr("203.0.113.2");
	far6 = addr("2001:db8:9::2");
}

static void check_frame(const struct flowside *tap, uint8_t proto)
{
	struct pkt_quote q;
	struct pkt p;

	assert(fake.n <= 1);
	if (!fake.n)
		return;
	assert(!fake_parse(&p, fake.sent[0].b, fake.sent[0].len, NULL));
	assert(p.kind == (inany_is_v4(&tap->eaddr) ? PKT_ICMP4 : PKT_ICMP6));
	assert(inany_equals(&p.dst, &tap->eaddr));
	if (proto != IPPROTO_UDP)
		return;
	assert(pkt_quoted(&p, &q) && q.sport == tap->eport && q.dport == tap->oport);
	assert(inany_equals(&q.src, &tap->eaddr) && inany_equals(&q.dst, &tap->oaddr));
}

/* Take an error, and pass it on */
static void error_of(uint8_t how)
{
	bool host4 = how & HOST_V4, tap4 = how & GUEST_V4;
	const struct flowside tap = { .eaddr = tap4 ? near4 : near6, .eport = 4000,
				      .oaddr = tap4 ? far4 : far6, .oport = 53 };
	const struct flowside host = { .oaddr = host4 ? near4 : near6, .oport = 5000,
				       .eaddr = host4 ? far4 : far6, .eport = 53 };
	const struct udp_hdr l4 = { htons(4000), htons(53), htons(20), 0 };
	struct icmperr e;

	v4_next = host4;
	if (icmperr_read(-1, host4, &e))
		return;
	assert(e.len <= ICMPERR_DATA && e.v4 == host4);
	fake_tap_init(&fake, 0, 65520);
	icmperr_send(&e, &fake.tap, &conf, &hostnet, &guest, &tap, &host, IPPROTO_UDP,
		     &l4, sizeof(l4));
	check_frame(&tap, IPPROTO_UDP);
}

static void datagram(uint8_t how)
{
	union sockaddr_inany name;
	_Alignas(struct cmsghdr) char control[UDP_CONTROL];
	struct mmsghdr mm = { .msg_hdr = {
		.msg_name = &name, .msg_control = control,
		.msg_controllen = sizeof(control),
	} };
	struct udp_meta m;

	mm.msg_len = word();
	put_name(&mm.msg_hdr, how & HOST_V4);
	put_control(&mm.msg_hdr);
	udp_meta_get(&m, &mm);
	assert(!m.gso_size || m.gso_size < m.len);
	assert(!inany_is_set(&m.group) || inany_is_multicast(&m.group));
	assert(inany_equals(&m.src, how & HOST_V4 ? &far4 : &far6));
	udp_meta_default_dst(&m, &near4);
	assert(inany_is_set(&m.dst) && !inany_is_multicast(&m.dst));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how;

	if (!inany_is_set(&near4))
		setup();
	input_set(data, size);
	how = byte();
	if (how & UDP)
		datagram(how);
	else
		error_of(how);
	return 0;
}
