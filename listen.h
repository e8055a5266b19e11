/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen.h - From forwarding rules to bound sockets
 */

#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"
#include "portmap.h"
#include "rules.h"
#include "types.h"

struct nshelper;

#define LISTEN_MAX	(1U << 18)	/* sockets: all ports of all kinds */

/**
 * struct listener - One bound socket
 * @fd:		Listening (TCP) or bound (UDP) socket, non-blocking; -1: free
 * @rule:	Number of its rule
 * @port:	Port that it is bound to, host order
 * @next:	Index of another with the same kind and port, or of the next free
 *		entry, + 1; 0: none
 * @paused:	Not watched, see listen_pause()
 * @going:	Its rule is one of the table before, see listen_apply()
 * @cookie:	Lower half of SO_COOKIE, by which scan.c tells our sockets from others
 */
struct listener {
	int fd;
	uint16_t rule, port;
	uint32_t next : 30, paused : 1, going : 1;
	uint32_t cookie;
};

/**
 * struct listen - All bound sockets
 * @rules:	Rules as applied last
 * @old:	Rules before, during listen_apply()
 * @bound:	By the number of a rule: its generation, once its ports are bound
 * @nsh:	Makes sockets of the namespace, NULL: there are none
 * @n:		Entries ever used; the rest of @l was never touched
 * @free:	First free entry below @n, + 1; 0: none
 * @count:	Number of sockets
 * @fd_max:	First descriptor that weak rules leave to flows
 * @retry_ms:	Time left to wait for ports in use at start, ms
 * @full:	First rule that ran out of room, NULL: none
 * @full_error:	Negative errno of that
 * @full_told:	The user was warned of it
 * @udp_closed:	A UDP socket was closed; cleared by scan_now()
 * @applied:	Not the first call of listen_apply()
 * @freed:	Ports may be free again for weak rules
 * @head:	First listener of a kind and port, + 1; 0: none
 */
struct listen {
	const struct conf *conf;
	const struct hostnet *net;
	struct loop *loop;
	struct nshelper *nsh;
	struct rules rules, old;
	uint32_t bound[RULES_MAX];
	uint32_t n, free, count;
	int fd_max;
	unsigned retry_ms;
	const struct fwd_rule *full;
	int full_error;
	bool full_told, udp_closed, applied, freed;
	uint32_t head[RULE_KINDS][PORTMAP_PORTS];
	struct listener l[LISTEN_MAX];
};

/* listen_rule() - Rule of a socket */
static inline const struct fwd_rule *listen_rule(const struct listen *s,
						 const struct listener *l)
{
	return &(l->going ? &s->old : &s->rules)->e[l->rule].rule;
}

/* listen_rule_ref() - Number and generation of that rule */
static inline struct rule_ref listen_rule_ref(const struct listen *s,
					      const struct listener *l)
{
	return (struct rule_ref){
		.number = l->rule,
		.gen = (l->going ? &s->old : &s->rules)->e[l->rule].gen,
	};
}

void listen_init(struct listen *s, const struct conf *conf,
		 const struct hostnet *net, struct loop *loop,
		 struct nshelper *nsh, unsigned fds);
int listen_apply(struct listen *s, const struct rules *rules);
bool listen_is_off(const struct listen *s, const struct fwd_rule *r);
bool listen_is_own(const struct listen *s, unsigned kind, uint16_t port,
		   uint32_t cookie);
bool listen_has(const struct listen *s, const struct fwd_rule *r,
		unsigned port);
int listen_bind(struct listen *s, const struct fwd_rule *r, uint16_t port);
void listen_unbind(struct listen *s, uint32_t index);
bool listen_is_exhausted(int rc);
void listen_full_note(struct listen *s, const struct fwd_rule *r, int rc);
void listen_full_warn(struct listen *s);
const struct listener *listen_at(const struct listen *s, uint32_t index);
uint32_t listen_find(const struct listen *s, const struct fwd_rule *r,
		     uint16_t port, uint32_t after);
void listen_pause(struct listen *s, uint32_t index);
void listen_resume(struct listen *s);
void listen_close_host(struct listen *s, uint8_t proto);
void listen_close(struct listen *s);

#endif /* LISTEN_H */
