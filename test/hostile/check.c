/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.c - The dialogues that have to work after an attack
 *
 * Each is repeated every 200 ms, as a guest would after a loss, until it is answered.
 */

#include "hostile.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_MS	8000
#define TRY_MS		200

void (*check_learn)(const uint8_t *b, size_t len);

static struct frame asked;
static bool answered;

/* An answer to @asked over IP: addresses, ports or identifier match, and the payload */
static void learn(const uint8_t *b, size_t len)
{
	bool v6 = get16(asked.b + 12) == ETHERTYPE_IPV6N;
	size_t l4 = asked.l4, skip = asked.b[v6 ? 20 : 23] == IPPROTO_UDP ? 8 : 4;
	const uint8_t *q = asked.b + l4, *src = asked.b + (v6 ? 22 : 26);
	unsigned n = v6 ? 16 : 4;

	if (len < asked.len || get16(b + 12) != get16(asked.b + 12) ||
	    b[v6 ? 20 : 23] != asked.b[v6 ? 20 : 23] || memcmp(b + (v6 ? 22 : 26), src + n, n) || memcmp(b + (v6 ? 22 : 26) + n, src, n))
		return;
	if (skip == 8)
		answered |= get16(b + l4) == get16(q + 2) && get16(b + l4 + 2) == get16(q) &&
			    !memcmp(b + l4 + 8, q + 8, asked.len - l4 - 8);
	else
		answered |= b[l4] == (v6 ? ICMP6_ECHO_REPLY_ : ICMP4_ECHO_REPLY) &&
			    !memcmp(b + l4 + 4, q + 4, asked.len - l4 - 4);
}

static void learn_dhcp(const uint8_t *b, size_t len)
{
	const struct addr us = guest_addr(false);

	if (len >= 286 && b[23] == IPPROTO_UDP && get16(b + 36) == DHCP_PORT_CLIENT &&
	    !memcmp(b + 46, asked.b + asked.l4 + 12, 4))
		answered = b[42] == DHCP_OP_REPLY && !memcmp(b + 58, us.b, 4);
}

static bool ask(void (*with)(const uint8_t *, size_t), uint64_t until)
{
	uint64_t next = 0;

	answered = false;
	check_learn = with;
	while (!answered && now_ms() < until) {
		if (now_ms() >= next) {
			link_send(&asked);
			next = now_ms() + TRY_MS;
		}
		if (!link_poll(20))
			break;
	}
	check_learn = NULL;
	return answered;
}

/* Until @c has what the test waits for: a repeated SYN, or data that is sent again */
static bool tcp_wait(struct conn *c, bool (*done)(const struct conn *), uint8_t flags,
		     const void *data, size_t n, uint64_t until)
{
	uint32_t seq = c->nxt;
	uint64_t next = 0;

	while (!done(c) && now_ms() < until) {
		if (now_ms() >= next) {
			c->nxt = seq;
			tcp_send(c, flags, data, n);
			next = now_ms() + TRY_MS;
		}
		if (!link_poll(20))
			break;
	}
	return done(c);
}

static bool is_open(const struct conn *c)
{
	return c->state == CONN_OPEN;
}

static bool has_echo(const struct conn *c)
{
	return c->got >= 5 && !memcmp(c->data, "hello", 5);
}

static bool has_ended(const struct conn *c)
{
	return c->ended && c->una == c->nxt;
}

static bool tcp_dialogue(bool v6, uint64_t until)
{
	struct conn *c;

	c = tcp_open(v6, PORT_ECHO);
	return tcp_wait(c, is_open, TCPF_SYN, NULL, 0, until) &&
	       tcp_wait(c, has_echo, TCPF_ACK | TCPF_PSH, "hello", 5, until) &&
	       tcp_wait(c, has_ended, TCPF_ACK | TCPF_FIN, NULL, 0, until);
}

static bool tell(bool good, const char *what, uint64_t since)
{
	printf("%s=%s ms=%llu\n", what, good ? "ok" : "FAILED",
	       (unsigned long long)(now_ms() - since));
	return good;
}

/* DHCP, ping, UDP and TCP as an ordinary guest; false if one has no answer in time */
bool check_all(void)
{
	uint64_t since = now_ms(), until = since + LIMIT_MS;
	bool good, v6 = false;
	struct addr to;

	calm = true;
	dhcp_discover(&asked, DHCP_DISCOVER, (uint32_t)rnd());
	good = tell(ask(learn_dhcp, until), "dhcp", since);
	do {
		to = addr_of(v6 ? "2001:db8:2::2" : "203.0.113.2");
		echo_request(&asked, v6, 4711, 56);
		good &= tell(ask(learn, until), v6 ? "ping6" : "ping4", since);
		udp_ask(&asked, &to, 47110 + v6, PORT_ECHO, 100);
		good &= tell(ask(learn, until), v6 ? "udp6" : "udp4", since);
		good &= tell(tcp_dialogue(v6, until), v6 ? "tcp6" : "tcp4", since);
		v6 = !v6;
	} while (v6);
	return good;
}
