/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inany.c - Kinds, text and socket form of addresses
 *
 * An IPv4 address and its IPv4-mapped form are the same address here: text and
 * sockaddr always show the IPv4 one. Only inet_ntop() and inet_pton() of libc are
 * used, and neither allocates.
 */

#include "inany.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

/* Address in host order; must be inany_is_v4() */
static uint32_t v4_host(const union inany *a)
{
	return ntohl(a->v4mapped.a4.s_addr);
}

/* inany_is_unspecified() - 0.0.0.0 or ::, both "no address" on the wire */
bool inany_is_unspecified(const union inany *a)
{
	if (inany_is_v4(a))
		return !a->v4mapped.a4.s_addr;
	return !inany_is_set(a);
}

/* inany_is_loopback() - 127.0.0.0/8 or ::1 (RFC 6890) */
bool inany_is_loopback(const union inany *a)
{
	if (inany_is_v4(a))
		return v4_host(a) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&a->a6);
}

/* inany_is_multicast() - 224.0.0.0/4 or ff00::/8 (not broadcast) */
bool inany_is_multicast(const union inany *a)
{
	if (inany_is_v4(a))
		return IN_MULTICAST(v4_host(a));
	return IN6_IS_ADDR_MULTICAST(&a->a6);
}

/* inany_is_linklocal() - 169.254.0.0/16 (RFC 3927) or fe80::/10, unicast */
bool inany_is_linklocal(const union inany *a)
{
	if (inany_is_v4(a))
		return v4_host(a) >> 16 == 0xa9fe;
	return IN6_IS_ADDR_LINKLOCAL(&a->a6);
}

/**
 * inany_is_unicast() - May this be the address of one host?
 * @a:		Address
 *
 * Loopback counts. 0.0.0.0/8 does not (RFC 1122, 3.2.1.3), nor the limited
 * broadcast; broadcasts of a subnet can't be told from hosts here.
 */
bool inany_is_unicast(const union inany *a)
{
	if (inany_is_multicast(a) || inany_is_unspecified(a))
		return false;
	if (inany_is_v4(a))
		return v4_host(a) >> 24 && v4_host(a) != INADDR_BROADCAST;
	return true;
}

/**
 * inany_ntop() - Address as text, an IPv4 one dotted
 * @a:		Address
 * @buf:	Buffer for the text, at least INANY_STRLEN bytes
 * @size:	Size of @buf
 *
 * Return: @buf; "?" if @size is too small for any address
 */
const char *inany_ntop(const union inany *a, char *buf, size_t size)
{
	const char *s;

	if (inany_is_v4(a))
		s = inet_ntop(AF_INET, &a->v4mapped.a4, buf, (socklen_t)size);
	else
		s = inet_ntop(AF_INET6, &a->a6, buf, (socklen_t)size);
	return s ? s : "?";
}

/**
 * inany_pton() - Text to address
 * @s:		Dotted IPv4 (four decimal parts) or IPv6 text, without a scope
 * @a:		Set if @s is an address
 *
 * Return: false if @s is neither; @a is then unchanged
 */
bool inany_pton(const char *s, union inany *a)
{
	struct in6_addr a6;
	struct in_addr a4;

	if (inet_pton(AF_INET, s, &a4) == 1)
		*a = inany_from_v4(a4);
	else if (inet_pton(AF_INET6, s, &a6) == 1)
		*a = inany_from_v6(&a6);
	else
		return false;
	return true;
}

/**
 * inany_to_sockaddr() - Socket address of the address's own family
 * @a:		Address
 * @port_host:	Port, host order
 * @scope:	Interface index, used for link-local IPv6 only
 * @sa:		Written completely
 *
 * Return: length of @sa for bind() and connect()
 */
socklen_t inany_to_sockaddr(const union inany *a, in_port_t port_host,
			    unsigned scope, union sockaddr_inany *sa)
{
	memset(sa, 0, sizeof(*sa));
	if (inany_is_v4(a)) {
		sa->sin.sin_family = AF_INET;
		sa->sin.sin_port = htons(port_host);
		sa->sin.sin_addr = a->v4mapped.a4;
		return sizeof(sa->sin);
	}

	sa->sin6.sin6_family = AF_INET6;
	sa->sin6.sin6_port = htons(port_host);
	sa->sin6.sin6_addr = a->a6;
	if (IN6_IS_ADDR_LINKLOCAL(&a->a6) || IN6_IS_ADDR_MC_LINKLOCAL(&a->a6))
		sa->sin6.sin6_scope_id = scope;
	return sizeof(sa->sin6);
}

/**
 * inany_from_sockaddr() - Address and port from a socket address
 * @sa:		AF_INET or AF_INET6, mapped addresses become IPv4
 * @a:		Set
 * @port_host:	Set, host order; may be NULL
 *
 * Return: false if it is of another family
 */
bool inany_from_sockaddr(const union sockaddr_inany *sa, union inany *a,
			 uint16_t *port_host)
{
	in_port_t port;

	if (sa->sa.sa_family == AF_INET) {
		*a = inany_from_v4(sa->sin.sin_addr);
		port = sa->sin.sin_port;
	} else if (sa->sa.sa_family == AF_INET6) {
		*a = inany_from_v6(&sa->sin6.sin6_addr);
		port = sa->sin6.sin6_port;
	} else {
		return false;
	}
	if (port_host)
		*port_host = ntohs(port);
	return true;
}

/**
 * inany_prefix_equals() - Are the first bits of two addresses equal?
 * @a, @b:	Addresses; those of different families are never equal
 * @len:	Number of bits, 0 to 32 for IPv4, else 0 to 128
 */
bool inany_prefix_equals(const union inany *a, const union inany *b,
			 unsigned len)
{
	unsigned bytes, bits;

	if (inany_is_v4(a) != inany_is_v4(b))
		return false;
	len += inany_is_v4(a) ? 96 : 0;
	bytes = len / 8;
	bits = len % 8;
	return !memcmp(a->a6.s6_addr, b->a6.s6_addr, bytes) &&
	       (!bits || !((a->a6.s6_addr[bytes] ^ b->a6.s6_addr[bytes]) >>
			   (8 - bits)));
}
