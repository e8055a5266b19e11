/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_splice.h - UDP between the two loopbacks, past the tap
 */

#ifndef UDP_SPLICE_H
#define UDP_SPLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "flow.h"
#include "inany.h"
#include "types.h"
#include "udp_sock.h"

struct loop;
struct nshelper;

#define UDP_SPLICE_MSGS	32		/* messages of one system call */

/**
 * struct udp_splice - All of the UDP bypass
 * @nsh:	Makes sockets of the namespace, NULL: nothing can be bypassed
 * @dropped:	Datagrams that went nowhere
 * @mm, @iov, @control, @name, @buf:	For receiving, of no meaning between calls
 * @tx, @tx_iov, @tx_control:	For sending, likewise
 */
struct udp_splice {
	const struct conf *conf;
	const struct guest *guest;
	struct flow_table *flows;
	struct loop *loop;
	struct nshelper *nsh;
	uint64_t dropped;
	struct mmsghdr mm[UDP_SPLICE_MSGS], tx[UDP_SPLICE_MSGS];
	struct iovec iov[UDP_SPLICE_MSGS], tx_iov[UDP_SPLICE_MSGS];
	union {
		size_t align;
		uint8_t buf[128];
	} control[UDP_SPLICE_MSGS], tx_control[UDP_SPLICE_MSGS];
	union sockaddr_inany name[UDP_SPLICE_MSGS];
	uint8_t buf[UDP_SPLICE_MSGS][65536];
};

void udp_splice_init(struct udp_splice *s, const struct conf *conf,
		     const struct guest *guest, struct flow_table *flows,
		     struct loop *loop, struct nshelper *nsh);
void udp_splice_listen_event(struct udp_splice *s, int fd,
			     const struct fwd_rule *r, uint16_t port);
void udp_splice_from_host(struct udp_splice *s, struct flow *port,
			  const struct fwd_rule *r, int fd,
			  const struct flowside *host,
			  const struct flowside *tgt, const struct udp_meta *m,
			  const uint8_t *const *data, unsigned n);
void udp_splice_sock_event(struct udp_splice *s, struct flow *f,
			   uint32_t events);
void udp_splice_listener_gone(struct udp_splice *s);
void udp_splice_evict(struct udp_splice *s, struct flow *f);
void udp_splice_timer(struct udp_splice *s, struct flow *f);

#endif /* UDP_SPLICE_H */
