/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink.h - rtnetlink: requests, and messages as plain data
 *
 * Used by hostnet.c, probe.c and nsnet.c, and nl_walk() by sockdiag.c, too.
 */

#ifndef NETLINK_H
#define NETLINK_H

#include <linux/netlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inany.h"
#include "types.h"
#include "wire.h"

enum {
	NL_BUF_SIZE	= 65536,	/* bytes; dumps of the kernel have 32k */
	NL_REQ_SIZE	= 256,		/* bytes; our largest one is under 200 */
	NL_HOPS_MAX	= 16,		/* next hops of one route or group */
};

struct nl_link {
	unsigned index, flags;		/* IFF_* */
	char name[IFNAMSIZ];
	uint8_t mac[MAC_LEN];
	bool has_mac;
};

struct nl_hop {
	unsigned oif;			/* 0: unknown */
	union inany gw;			/* unset: on link; any family */
	bool onlink, dead;		/* dead: down, or without carrier */
};

struct nl_route {
	struct host_route r;		/* without gw and onlink */
	uint32_t table;			/* RT_TABLE_* */
	uint32_t nh_id;			/* 0: no nexthop object */
	unsigned nhops;
	struct nl_hop hops[NL_HOPS_MAX];
};

struct nl_nexthop {
	struct nl_hop hop;
	unsigned nids;			/* number of members of a group */
	uint32_t ids[NL_HOPS_MAX];
};

/**
 * struct nl_answer - The answer to one request, as far as it was received
 * @seq:	Sequence number of the request
 * @portid:	Address of the socket that sent the request, 0: any
 * @interrupted:	A datagram had NLM_F_DUMP_INTR: the dump is inconsistent
 * @extack:	The kernel's text for an error, printable, may be empty
 */
struct nl_answer {
	uint32_t seq, portid;
	bool interrupted;
	char extack[128];
};

/* An rtnetlink socket in one namespace, see nl_open() */
struct nl {
	int fd;
	struct nl_answer answer;
	uint8_t buf[NL_BUF_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct nl_req {
	struct nlmsghdr nh;
	uint8_t body[NL_REQ_SIZE];
};

/* Called with a message whose nlmsg_len is between its header and the buffer */
typedef void (*nl_msg_fn)(const struct nlmsghdr *nh, void *arg);

/* One datagram: no system calls */
int nl_walk(struct nl_answer *a, const void *buf, size_t rem, nl_msg_fn fn,
	    void *arg);
int nl_parse_link(const struct nlmsghdr *nh, struct nl_link *l);
int nl_parse_addr(const struct nlmsghdr *nh, int family, struct host_addr *a,
		  unsigned *ifindex);
int nl_parse_route(const struct nlmsghdr *nh, int family,
		   struct nl_route *r);
int nl_parse_route_of_any(const struct nlmsghdr *nh, int family,
			  struct nl_route *r);
int nl_parse_nexthop(const struct nlmsghdr *nh, struct nl_nexthop *x);

/* Requests */
int nl_open(struct nl *n);
void nl_close(struct nl *n);
void nl_req_init(struct nl_req *q, unsigned type, unsigned flags,
		 const void *hdr, size_t len);
void nl_req_put(struct nl_req *q, unsigned type, const void *data,
		size_t len);
void nl_req_put_u32(struct nl_req *q, unsigned type, uint32_t v);
void nl_req_put_addr(struct nl_req *q, unsigned type,
		     const union inany *a);
int nl_talk(struct nl *n, struct nl_req *q, nl_msg_fn fn, void *arg);
const char *nl_reason(const struct nl *n, int ret);

int nl_get_link(struct nl *n, unsigned index, const char *name,
		struct nl_link *l);
int nl_get_nexthop(struct nl *n, uint32_t id, struct nl_nexthop *x);

#endif /* NETLINK_H */
