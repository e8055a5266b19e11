/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of UDP: how datagrams become batches, and what control messages say
 */

#include "udp_msg.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "net.h"
#include "tap.h"

static struct udp_io io;
static struct udp_dest nowhere;
static struct udp_cursor at[UDP_TX_MSGS + 1];
static uint8_t bytes[65536];

static size_t message_len(unsigned k)
{
	size_t len = 0, i;

	for (i = 0; i < io.mm[k].msg_hdr.msg_iovlen; i++)
		len += io.mm[k].msg_hdr.msg_iov[i].iov_len;
	return len;
}

/* Value of UDP_SEGMENT in a message, 0: it has none */
static uint16_t segment_size(unsigned k)
{
	struct msghdr mh = io.mm[k].msg_hdr;
	struct cmsghdr *cm;
	uint16_t size = 0;

	for (cm = CMSG_FIRSTHDR(&mh); mh.msg_controllen && cm;
	     cm = CMSG_NXTHDR(&mh, cm))
		if (cm->cmsg_level == SOL_UDP && cm->cmsg_type == UDP_SEGMENT)
			memcpy(&size, CMSG_DATA(cm), sizeof(size));
	return size;
}

/* Datagrams of @len bytes, of @size each, and the messages that they are to become:
 * "700/100" has 700 bytes in datagrams of 100 */
static const struct {
	struct { uint16_t len, size; } d[6];
	uint16_t gso_max;
	const char *messages, *name;
} batches[] = {
	{ { { 9, 9 }, { 9, 9 }, { 9, 9 } }, UINT16_MAX, "27/9 ",
	  "equal datagrams leave together" },
	{ { { 9, 9 }, { 9, 9 }, { 5, 5 }, { 9, 9 } }, UINT16_MAX, "23/9 9 ",
	  "a shorter datagram is the last of a message" },
	{ { { 5, 5 }, { 9, 9 }, { 9, 9 } }, UINT16_MAX, "5 18/9 ",
	  "a longer datagram begins a message" },
	{ { { 9, 9 }, { 0, 0 }, { 9, 9 } }, UINT16_MAX, "9 0 9 ",
	  "an empty datagram is a message" },
	{ { { 9, 9 }, { 9, 9 }, { 9, 9 } }, 0, "9 9 9 ",
	  "without UDP_SEGMENT each datagram is a message" },
	{ { { 9, 9 }, { 9, 9 }, { 5, 5 }, { 5, 5 } }, 8, "9 9 10/5 ",
	  "datagrams over the limit of UDP_SEGMENT leave alone" },
	{ { { 30000, 30000 }, { 30000, 30000 }, { 30000, 30000 } }, UINT16_MAX,
	  "60000/30000 30000 ", "a message has at most 65507 bytes" },
	{ { { 1000, 300 }, { 300, 300 } }, UINT16_MAX, "1000/300 300 ",
	  "datagrams that came together leave together, and alone" },
	{ { { 300, 300 }, { 1000, 300 } }, UINT16_MAX, "300 1000/300 ",
	  "a single datagram does not join those that came together" },
	{ { { 1000, 300 } }, 0, "300 300 300 100 ",
	  "what came together is taken apart without UDP_SEGMENT" },
	{ { { 1000, 10 } }, UINT16_MAX, "640/10 360/10 ",
	  "a message has at most 64 datagrams" },
	{ { { 60100, 10000 }, { 9, 9 } }, UINT16_MAX, "60000/10000 100 9 ",
	  "a single rest is no message of several datagrams" },
	{ { { 65527, 65527 } }, UINT16_MAX, "65527 ",
	  "the largest datagram of IPv6 is a message" },
	{ { { 65507, 65507 }, { 1, 1 } }, UINT16_MAX, "65507 1 ",
	  "nothing joins the largest datagram of IPv4" },
};

static void test_batch(unsigned b)
{
	char s[200] = "";
	struct udp_data d[6];
	unsigned n, k;

	for (n = 0; n < 6 && batches[b].d[n].len + batches[b].d[n + 1].len; n++)
		d[n] = (struct udp_data){
			view_of(bytes, batches[b].d[n].len),
			batches[b].d[n].size,
		};
	k = udp_msg_build(&io, &nowhere, (struct udp_cursor){ .d = d, .n = n },
			  batches[b].gso_max, at);
	is(at[k].i, n, "all datagrams are in messages");
	for (n = 0; n < k; n++) {
		char *end = s + strlen(s);

		sprintf(end, segment_size(n) ? "%zu/%u " : "%zu ",
			message_len(n), segment_size(n));
		if (io.segmented[n] != !!segment_size(n))
			strcat(s, "not as told");
	}
	ok(!strcmp(s, batches[b].messages), batches[b].name);
	if (strcmp(s, batches[b].messages))
		printf("# %s\n", s);
}

/* A batch that was sent in part goes on where the next message starts */
static void test_resume(void)
{
	const struct udp_data d = { view_of(bytes, 1000), 10 };
	struct udp_cursor c = { .d = &d, .n = 1 };

	udp_msg_build(&io, &nowhere, c, UINT16_MAX, at);
	ok(at[1].i == 0 && at[1].off == 640, "the second message starts in the "
	   "middle of data");
	is(udp_msg_build(&io, &nowhere, at[1], 0, at), 36,
	   "the rest may leave in another way");
	ok(io.mm[0].msg_hdr.msg_iov->iov_base == bytes + 640,
	   "the rest begins where the sent part ends");
}

/* As many messages as there is room for, and pieces of memory */
static void test_room(void)
{
	struct iovec pieces[VIEW_PARTS_MAX];
	struct udp_data d[UDP_TX_MSGS + 1];
	struct udp_cursor c = { .d = d };
	unsigned i;

	for (i = 0; i <= UDP_TX_MSGS; i++)
		d[i] = (struct udp_data){ view_of(bytes, 10), 10 };
	c.n = i;
	is(udp_msg_build(&io, &nowhere, c, 0, at), UDP_TX_MSGS,
	   "as many messages as one call may have");
	is(at[UDP_TX_MSGS].i, UDP_TX_MSGS, "the last datagram waits");

	for (i = 0; i < VIEW_PARTS_MAX; i++)
		pieces[i] = (struct iovec){ bytes + i * 100, 10 };
	for (i = 0; i < 3; i++)
		d[i] = (struct udp_data){
			view_of_iov(pieces, VIEW_PARTS_MAX),
			VIEW_PARTS_MAX * 10,
		};
	c.n = 3;
	is(udp_msg_build(&io, &nowhere, c, UINT16_MAX, at), 1,
	   "datagrams in pieces take more room");
	is(at[1].i, 2, "datagrams without room for their pieces wait");
	is(message_len(0), VIEW_PARTS_MAX * 20, "nothing of a datagram is lost");
	ok(io.mm[0].msg_hdr.msg_iov[1].iov_base == bytes + 100,
	   "bytes are sent from where they are");
}

static void test_dest(const char *src, int level, int type)
{
	const union inany from = addr(src), to = addr("192.0.2.7");
	const struct udp_data d = { view_of(bytes, 3), 3 };
	struct udp_cursor c = { .d = &d, .n = 1 };
	struct udp_dest dest = { .src = &from, .ifindex = 7 };
	const struct msghdr *mh = &io.mm[0].msg_hdr;
	const struct cmsghdr *cm;
	struct in6_pktinfo info6;
	struct in_pktinfo info4;

	dest.len = inany_to_sockaddr(&to, 9, 0, &dest.sa);
	udp_msg_build(&io, &dest, c, 0, at);
	cm = CMSG_FIRSTHDR(mh);
	ok(mh->msg_name == &dest.sa && mh->msg_namelen == dest.len,
	   "a message has its destination");
	ok(cm && cm->cmsg_level == level && cm->cmsg_type == type,
	   "a message has its source");
	memcpy(&info4, CMSG_DATA(cm), sizeof(info4));
	memcpy(&info6, CMSG_DATA(cm), sizeof(info6));
	ok(type == IP_PKTINFO && level == IPPROTO_IP ?
	   info4.ipi_spec_dst.s_addr == from.v4mapped.a4.s_addr &&
	   info4.ipi_ifindex == 7 :
	   IN6_ARE_ADDR_EQUAL(&info6.ipi6_addr, &from.a6) &&
	   info6.ipi6_ifindex == 7, "source and interface are those asked for");

	dest = (struct udp_dest){ .len = 0 };
	udp_msg_build(&io, &dest, c, 0, at);
	ok(!mh->msg_name && !mh->msg_controllen,
	   "without a destination the message leaves both to the socket");
}

/* Append a control message to what a socket reported */
static void report(struct msghdr *mh, int level, int type, const void *value,
		   size_t len)
{
	struct cmsghdr *cm = (void *)((uint8_t *)mh->msg_control +
				      mh->msg_controllen);

	cm->cmsg_level = level;
	cm->cmsg_type = type;
	cm->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cm), value, len);
	mh->msg_controllen += CMSG_SPACE(len);
}

static void test_meta(void)
{
	const union inany host = addr("192.0.2.1"), group = addr("239.1.2.3");
	const union inany peer = addr("fe80::7"), host6 = addr("2001:db8::1");
	struct in_pktinfo info4 = { .ipi_spec_dst = host.v4mapped.a4,
				    .ipi_addr = group.v4mapped.a4 };
	struct in6_pktinfo info6 = { .ipi6_addr = host6.a6 };
	struct mmsghdr *mm = &io.mm[0];
	int ttl = 7, tos = 0xb8, size = 100;
	struct udp_meta m;

	udp_msg_expect(&io, 0, io.iov, 0, 0);
	ok(mm->msg_hdr.msg_iovlen == 1 &&
	   message_len(0) == sizeof(io.buf[0]), "a message fits as a whole");
	mm->msg_hdr.msg_namelen = inany_to_sockaddr(&peer, 53, 3, &io.name[0]);
	mm->msg_hdr.msg_controllen = 0;
	report(&mm->msg_hdr, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof(ttl));
	report(&mm->msg_hdr, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	report(&mm->msg_hdr, SOL_UDP, UDP_GRO, &size, sizeof(size));
	report(&mm->msg_hdr, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
	mm->msg_len = 250;
	udp_meta_get(&m, mm);
	ok(m.len == 250 && m.gso_size == 100 && m.ttl == 7 && m.tos == 0xb8,
	   "length, size of datagrams, hop limit and traffic class are known");
	ok(inany_equals(&m.src, &peer) && m.sport == 53 && m.scope == 3,
	   "the sender is known, with its interface");
	ok(inany_equals(&m.dst, &host6) && !inany_is_set(&m.group),
	   "the destination is known, which is no group");
	mm->msg_len = 100;
	udp_meta_get(&m, mm);
	is(m.gso_size, 0, "one datagram is not several");

	mm->msg_hdr.msg_namelen = 0;
	mm->msg_hdr.msg_controllen = 0;
	report(&mm->msg_hdr, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
	udp_meta_get(&m, mm);
	ok(inany_equals(&m.dst, &host) && inany_equals(&m.group, &group),
	   "of multicast, the group and the address to answer from are known");
	ok(!inany_is_set(&m.src) && !m.sport && !m.ttl, "the rest is unknown");
}

static void test_run(void)
{
	const union inany a = addr("192.0.2.1"), b = addr("192.0.2.2"), none = { 0 };
	struct udp_meta m[4];
	unsigned i;

	for (i = 0; i < 4; i++)
		m[i] = (struct udp_meta){ .src = a, .dst = a, .sport = 5 };
	is(udp_meta_run(m, 4), 4, "messages of one sender are a run");
	is(udp_meta_run(m, 1), 1, "one message is a run");
	m[2].sport = 6;
	is(udp_meta_run(m, 4), 2, "a run ends before another port");
	m[1].dst = b;
	is(udp_meta_run(m, 4), 1, "a run ends before another destination");

	m[0].dst = none;
	udp_meta_default_dst(m, &b);
	ok(inany_equals(&m[0].dst, &b), "what a socket is bound to is the "
	   "destination, if the socket reports none");
	udp_meta_default_dst(m, &a);
	ok(inany_equals(&m[0].dst, &b), "a destination that is known stays");
	m[0].dst = none;
	udp_meta_default_dst(m, &none);
	ok(inany_is_unspecified(&m[0].dst) && inany_is_v4(&m[0].dst),
	   "the destination is unspecified if the socket is bound to none");
}

int main(void)
{
	unsigned i;

	for (i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
		test_batch(i);
	test_resume();
	test_room();
	test_dest("192.0.2.1", IPPROTO_IP, IP_PKTINFO);
	test_dest("2001:db8::1", IPPROTO_IPV6, IPV6_PKTINFO);
	test_meta();
	test_run();
	return done();
}
