/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of rtnetlink as the kernel makes them, one behind the other */

#ifndef TEST_NLMSG_H
#define TEST_NLMSG_H

#include "../../netlink.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "tap.h"

enum { SEQ = 7, PORT = 42 };

static uint8_t dgram[16384] __attribute__((aligned(4)));
static size_t dgram_len;
static struct nlmsghdr *msg;

/* start() - An empty datagram */
static inline void start(void)
{
	memset(dgram, 0, sizeof(dgram));
	dgram_len = 0;
}

static inline void add(const void *data, size_t len)
{
	if (len)
		memcpy(dgram + dgram_len, data, len);
	dgram_len += NLMSG_ALIGN(len);
	msg->nlmsg_len += (uint32_t)NLMSG_ALIGN(len);
}

static inline struct nlmsghdr *message(unsigned type, const void *hdr, size_t len)
{
	msg = (struct nlmsghdr *)(dgram + dgram_len);
	*msg = (struct nlmsghdr){ .nlmsg_len = sizeof(*msg),
				  .nlmsg_type = (uint16_t)type,
				  .nlmsg_flags = NLM_F_MULTI,
				  .nlmsg_seq = SEQ, .nlmsg_pid = PORT };
	dgram_len += sizeof(*msg);
	add(hdr, len);
	return msg;
}

static inline struct rtattr *attr(unsigned type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(dgram + dgram_len);
	struct rtattr hdr = { .rta_len = (uint16_t)(sizeof(hdr) + len),
			      .rta_type = (uint16_t)type };

	add(&hdr, sizeof(hdr));
	add(data, len);
	return a;
}

static inline void attr_num(unsigned type, uint32_t v)
{
	attr(type, &v, sizeof(v));
}

static inline union inany ip(const char *s)
{
	union inany a = { 0 };

	if (!inany_pton(s, &a))
		ok(false, "an address of the test is valid");
	return a;
}

static inline void attr_ip(unsigned type, const char *s)
{
	union inany a = ip(s);

	if (inany_is_v4(&a))
		attr(type, &a.v4mapped.a4, 4);
	else
		attr(type, &a.a6, 16);
}

static inline bool is_ip(const union inany *a, const char *s)
{
	union inany b = ip(s);

	return inany_equals(a, &b);
}

static inline void route_message(unsigned family, unsigned dst_len)
{
	struct rtmsg rtm = { .rtm_family = (uint8_t)family,
			     .rtm_dst_len = (uint8_t)dst_len,
			     .rtm_table = RT_TABLE_MAIN,
			     .rtm_protocol = RTPROT_STATIC,
			     .rtm_type = RTN_UNICAST };

	message(RTM_NEWROUTE, &rtm, sizeof(rtm));
}

static inline void addr_message(unsigned family, unsigned len, unsigned index)
{
	struct ifaddrmsg ifa = { .ifa_family = (uint8_t)family,
				 .ifa_prefixlen = (uint8_t)len,
				 .ifa_flags = IFA_F_PERMANENT,
				 .ifa_index = index };

	message(RTM_NEWADDR, &ifa, sizeof(ifa));
}

#endif /* TEST_NLMSG_H */
