/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostile.h - Parts of the hostile guest and its peers
 *
 *  main.c	options, the loop of the attack
 *  link.c	frames over a UNIX socket or a packet socket, the last ones for a capture
 *  frame.c	headers, lengths and checksums of one frame
 *  tcp.c	connections: what is sent, and what is learned from answers
 *  other.c	valid frames of all other protocols
 *  mutate.c	what makes them hostile
 *  check.c	the dialogues that have to work afterwards
 *  serve.c	the peers: servers and clients in ordinary sockets
 */

#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define FRAME_ROOM	66000U

/* Ports of the servers; UDP has ECHO, BURST and DNS */
enum {
	PORT_DNS = 53, PORT_ECHO = 7001, PORT_DISCARD, PORT_CLOSE, PORT_RESET,
	PORT_ENDLESS, PORT_DEAF, PORT_FULL, PORT_HALF, PORT_BURST, PORT_NOBODY,
	PORT_IN_FIRST = 8001, PORT_IN_LAST = 8004,	/* forwarded to the guest */
};

/* An address of either family; IPv4 has the first four bytes */
struct addr {
	bool	v6;
	uint8_t	b[16];
};

struct frame {
	struct vnet_hdr vnet;		/* sent over a device alone */
	size_t	l3, l4;			/* offsets, 0: there is none */
	size_t	len;
	uint8_t	b[FRAME_ROOM];
};

/* main.c: random numbers, the same for one seed */
uint64_t rnd(void);
uint32_t below(uint32_t n);
bool chance(unsigned percent);
__attribute__((noreturn)) void die(const char *what);
uint64_t now_ms(void);
void attack(struct frame *f);		/* send a frame, mutated or not */

/* link.c */
void link_open(const char *kind, const char *where);
bool link_is_device(void);
void link_send(const struct frame *f);
bool link_poll(int ms);			/* false if the other end is gone */
bool link_flush(void);
uint64_t link_sent(void), link_refused(void), link_received(void);
void link_keep(const char *path);

/* frame.c */
extern const uint8_t guest_mac[MAC_LEN], any_mac[MAC_LEN];
extern uint8_t our_mac[MAC_LEN];	/* of the program, as learned */
struct addr addr_of(const char *text);
void addr_lists(bool v6, const struct addr **list, unsigned *n);
struct addr guest_addr(bool v6), some_addr(bool v6), peer_addr(bool v6);
size_t addr_len(const struct addr *a);
void frame_begin(struct frame *f, const uint8_t *dst, unsigned type);
void frame_ip(struct frame *f, const struct addr *src, const struct addr *dst,
	      uint8_t proto);
void frame_put(struct frame *f, const void *p, size_t n);
void frame_put_random(struct frame *f, size_t n);
void frame_lengths(struct frame *f);
void frame_sums(struct frame *f);
void frame_end(struct frame *f);
uint16_t get16(const uint8_t *p);
uint32_t get32(const uint8_t *p);
void set16(uint8_t *p, unsigned v);
void set32(uint8_t *p, uint32_t v);

/* tcp.c */
enum conn_state { CONN_FREE, CONN_SYN, CONN_OPEN };
struct conn {
	enum conn_state state;
	struct addr us, them;
	uint16_t sport, dport, wnd;
	uint32_t iss, nxt, una, rcv;
	bool	fin, ended;		/* sent, received */
	uint8_t	data[64];		/* the first bytes received */
	size_t	got;			/* bytes received */
};
extern bool calm;			/* answer as a guest that is not hostile */
struct conn *tcp_open(bool v6, uint16_t port);
void tcp_send(struct conn *c, uint8_t flags, const void *data, size_t n);
void tcp_forget(void);
void tcp_probe(const char *us, unsigned sport, const char *them, unsigned dport);
void tcp_make(void);
void tcp_make_error(void);
void tcp_learn(const uint8_t *l3, size_t len, bool v6, const uint8_t *l4, size_t l4len);

/* other.c */
void arp_make(void), ndp_make(void), dhcp_make(void), dhcpv6_make(void), icmp_make(void);
void udp_make(void), fragment_make(void), extension_make(void), multicast_make(void);
void dhcp_discover(struct frame *f, uint8_t type, uint32_t xid);
void echo_request(struct frame *f, bool v6, unsigned id, size_t n);
void udp_ask(struct frame *f, const struct addr *to, unsigned sport, unsigned dport,
	     size_t n);
void neighbour_learn(const uint8_t *b, size_t len);

/* mutate.c */
void mutate(struct frame *f);
void fragments(const struct frame *f, bool wild);
void extend(struct frame *f, bool wild);

/* check.c */
extern void (*check_learn)(const uint8_t *b, size_t len);
bool check_all(void);

/* serve.c */
__attribute__((noreturn)) void serve(char *const *dial);

#endif /* HOSTILE_H */
