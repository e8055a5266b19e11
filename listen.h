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

/* States of a rule */
enum listen_state {
	LISTEN_BOUND,			/* all ports are bound */
	LISTEN_WAITING,			/* some are not, that is tried again */
	LISTEN_SCAN,			/* ports are bound while their target listens */
	LISTEN_WEAK,			/* as many ports as possible are bound */
};

/**
 * struct listen_info - State of a rule
 * @ports:	Number of its ports
 * @bound:	Number of those that are bound
 * @error:	LISTEN_WAITING: negative errno of the last attempt
 * @error_port:	Port that could not be bound then
 */
struct listen_info {
	enum listen_state state;
	unsigned ports, bound;
	int error;
	uint16_t error_port;
};

/*
 * Handler of changes: the rule is new or in a new state, or @removed. May not change the
 * rules.
 */
typedef void listen_state_fn(void *ctx, const struct fwd_rule *r, bool removed);

/*
 * Accepts connections that wait at the socket with this index, before it is closed.
 * Return: there may be more
 */
typedef bool listen_drain_fn(void *ctx, uint32_t index);

/**
 * struct listener - One bound socket
 * @fd:		Listening (TCP) or bound (UDP) socket, non-blocking; -1: free
 * @rule:	Number of its rule
 * @port:	Port that it is bound to, host order
 * @next:	Index of another with the same kind and port, or of the next free
 *		entry, + 1; 0: none
 * @kind:	RULE_HOST_TCP and so on
 * @paused:	Not watched, see listen_pause()
 * @staged:	Of a rule that a change adds, not watched until that has taken effect
 * @taken:	Such a rule takes it over, see @heir of struct listen
 * @cookie:	Lower half of SO_COOKIE, by which scan.c tells our sockets from others
 */
struct listener {
	int fd;
	uint16_t rule, port;
	uint32_t next : 20, kind : 2, paused : 1, staged : 1, taken : 1;
	uint32_t cookie;
};

/**
 * struct listen_slot - What is bound for the rule of a number
 * @gen:	Generation of the rule; another one: the slot is an old rule's
 * @bound:	Number of ports that are bound
 * @retry:	Port to try first
 * @error_port:	Port that could not be bound, @error: negative errno, 0: none
 * @waiting:	The rule was told to be waiting
 * @untried:	Ports of a weak rule are still to be tried
 * @put_off:	Ports of a new rule are bound last: sockets have to be closed for them
 */
struct listen_slot {
	uint32_t gen, bound;
	uint16_t retry, error_port;
	int error;
	bool waiting, untried, put_off;
};

/* Steps of a change, see listen_change.c */
enum listen_phase {
	PHASE_IDLE, PHASE_BIND, PHASE_UNDO, PHASE_RELEASE, PHASE_GONE, PHASE_SWITCH,
	PHASE_ARM, PHASE_RETRY, PHASE_WEAK, PHASE_TELL,
};

/**
 * struct listen_change - A change of the rules, made in slices
 * @phase:	What is done now
 * @index:	Next socket of this phase
 * @rule:	Rule of this phase, number + 1; 0: none yet
 * @port:	Its next port; 0: the first one
 * @drained:	Batches that the socket at @index has accepted
 * @since:	Generation of the table before: later rules are new
 * @partial:	Rules that can't be bound wait
 * @put_off:	Some rules have ports to bind last, @last: these are bound now
 * @retrying:	The waiting rules are tried again in this change
 * @stopped:	The ports are closed for good
 * @nowait:	Never wait for the helper in the namespace
 * @blocked:	The helper has to answer first, @answers: number of its answers before
 * @retry:	Waiting rules are to be tried again
 * @rc:		Result: 0 or negative errno
 * @failed:	Number of the rule that failed, + 1; 0: none; @failed_port: its port
 * @room:	Ports that weak rules of a kind may still bind
 */
struct listen_change {
	enum listen_phase phase;
	uint32_t index;
	uint16_t rule;
	unsigned port, drained;
	uint32_t since;
	bool partial, nowait, blocked, retry, retrying, stopped, put_off, last;
	uint32_t answers;
	int rc;
	uint16_t failed, failed_port;
	unsigned room[RULE_KINDS];
};

/**
 * struct listen - All bound sockets
 * @rules:	Rules in force
 * @next:	Rules of the last change
 * @slot:	By the number of a rule in @rules
 * @next_slot:	By the number of a rule that is new in @next
 * @change:	Change of the rules
 * @timer:	Tries waiting rules again, or ends the wait for the helper
 * @waiting:	Number of rules that wait
 * @on_state, @drain:	Handlers or NULL; @state_ctx, @drain_ctx: their first arguments
 * @nsh:	Makes sockets of the namespace, NULL: there are none
 * @n:		Entries ever used; the rest of @l was never touched
 * @free:	First free entry below @n, + 1; 0: none
 * @count:	Number of sockets
 * @fd_max:	First descriptor that weak rules leave to flows
 * @retry_ms:	Time left to wait for ports in use at start, ms
 * @full:	First rule that ran out of room, NULL: none
 * @full_error:	Negative errno of that
 * @full_told:	The user was warned of it
 * @udp_closed:	A UDP socket was closed, whose flows have to end; the caller clears it
 * @applied:	There was a change
 * @freed:	Ports may be free again for others
 * @head:	First listener of a kind and port, + 1; 0: none
 * @heir:	By the index of a taken listener: the new rule's number
 */
struct listen {
	const struct conf *conf;
	const struct hostnet *net;
	struct loop *loop;
	struct nshelper *nsh;
	struct rules rules, next;
	struct listen_slot slot[RULES_MAX], next_slot[RULES_MAX];
	struct listen_change change;
	struct timer timer;
	unsigned waiting;
	listen_state_fn *on_state;
	listen_drain_fn *drain;
	void *state_ctx, *drain_ctx;
	uint32_t n, free, count;
	int fd_max;
	unsigned retry_ms;
	const struct fwd_rule *full;
	int full_error;
	bool full_told, udp_closed, applied, freed;
	uint32_t head[RULE_KINDS][PORTMAP_PORTS];
	struct listener l[LISTEN_MAX];
	uint16_t heir[LISTEN_MAX];
};

/* listen_has_switched() - Are the new rules in force? Not before all is bound */
static inline bool listen_has_switched(const struct listen *s)
{
	return s->change.phase > PHASE_SWITCH || s->change.phase == PHASE_IDLE;
}

/* listen_entry() - Place of a socket's rule in its table */
static inline const struct rules_entry *listen_entry(const struct listen *s,
						     const struct listener *l)
{
	bool next = l->staged && !listen_has_switched(s);

	return &(next ? &s->next : &s->rules)->e[l->rule];
}

/* listen_rule() - Rule of a socket */
static inline const struct fwd_rule *listen_rule(const struct listen *s,
						 const struct listener *l)
{
	return &listen_entry(s, l)->rule;
}

/* listen_rule_ref() - Number and generation of that rule */
static inline struct rule_ref listen_rule_ref(const struct listen *s,
					      const struct listener *l)
{
	return (struct rule_ref){ .number = l->rule, .gen = listen_entry(s, l)->gen };
}

void listen_init(struct listen *s, const struct conf *conf,
		 const struct hostnet *net, struct loop *loop,
		 struct nshelper *nsh, unsigned fds);
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
int listen_bind_named(struct listen *s, const struct fwd_rule *r, uint16_t port,
		      bool may_close);
void listen_arm(struct listen *s, uint32_t index);
void listen_adopt(struct listen *s, uint32_t index);
struct listen_slot *listen_slot(struct listen *s, const struct fwd_rule *r);
void listen_info(const struct listen *s, const struct fwd_rule *r,
		 struct listen_info *info);
void listen_on_state(struct listen *s, listen_state_fn *fn, void *ctx);
void listen_on_drain(struct listen *s, listen_drain_fn *fn, void *ctx);
void listen_close_host(struct listen *s, uint8_t proto);
void listen_close(struct listen *s);

#endif /* LISTEN_H */
