/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inany.h - An IPv4 or IPv6 address in one type
 *
 * IPv4 addresses are held as IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2), so
 * that comparing and hashing need no family. All bytes are in network order.
 */

#ifndef INANY_H
#define INANY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

union inany {
	struct in6_addr a6;
	struct {
		uint8_t zero[10];
		uint8_t one[2];
		struct in_addr a4;
	} v4mapped;
	uint64_t u64[2];
};

/* Room for an address as text, see inany_ntop() */
#define INANY_STRLEN	INET6_ADDRSTRLEN

union sockaddr_inany {
	struct sockaddr sa;
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;
};

static inline bool inany_is_v4(const union inany *a)
{
	return IN6_IS_ADDR_V4MAPPED(&a->a6);
}

static inline bool inany_equals(const union inany *a, const union inany *b)
{
	return a->u64[0] == b->u64[0] && a->u64[1] == b->u64[1];
}

static inline union inany inany_from_v4(struct in_addr a4)
{
	union inany a = { .v4mapped = { .one = { 0xff, 0xff }, .a4 = a4 } };

	return a;
}

static inline union inany inany_from_v6(const struct in6_addr *a6)
{
	union inany a;

	memcpy(&a.a6, a6, sizeof(a.a6));
	return a;
}

/* inany_is_set() - False for all-zero bytes, which mean "none" in struct conf */
static inline bool inany_is_set(const union inany *a)
{
	return a->u64[0] || a->u64[1];
}

bool inany_is_unspecified(const union inany *a);
bool inany_is_loopback(const union inany *a);
bool inany_is_multicast(const union inany *a);
bool inany_is_linklocal(const union inany *a);
bool inany_is_unicast(const union inany *a);
bool inany_prefix_equals(const union inany *a, const union inany *b,
			 unsigned len);

const char *inany_ntop(const union inany *a, char *buf, size_t size);
bool inany_pton(const char *s, union inany *a);

socklen_t inany_to_sockaddr(const union inany *a, in_port_t port_host,
			    unsigned scope, union sockaddr_inany *sa);
bool inany_from_sockaddr(const union sockaddr_inany *sa, union inany *a,
			 uint16_t *port_host);

/* inany_unspecified() - The address that stands for any of a family */
static inline union inany inany_unspecified(bool v4)
{
	const struct in_addr any4 = { .s_addr = htonl(INADDR_ANY) };

	return v4 ? inany_from_v4(any4) : inany_from_v6(&in6addr_any);
}

#endif /* INANY_H */
