/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * udp_splice.c - UDP between the two loopbacks, past the tap
 */

#include "udp_splice.h"

void udp_splice_from_host(struct udp_splice *s, const struct fwd_rule *r,
			  int fd, const struct flowside *host,
			  const struct flowside *tgt, const struct udp_meta *m,
			  const uint8_t *data)
{
	(void)r; (void)fd; (void)host; (void)tgt; (void)m; (void)data;
	s->dropped++;
}

void udp_splice_datagram(struct udp_splice *s, struct flow *f,
			 const struct udp_meta *m, const uint8_t *data)
{
	(void)f; (void)m; (void)data;
	s->dropped++;
}

void udp_splice_init(struct udp_splice *s, const struct conf *conf,
		     struct flow_table *flows, struct loop *loop,
		     struct nshelper *nsh)
{
	s->conf = conf;
	s->flows = flows;
	s->loop = loop;
	s->nsh = nsh;
}

void udp_splice_listen_event(struct udp_splice *s, int fd,
			     const struct fwd_rule *r, uint16_t port)
{
	(void)s; (void)fd; (void)r; (void)port;
}

void udp_splice_sock_event(struct udp_splice *s, struct flow *f, unsigned side,
			   uint32_t events)
{
	(void)s; (void)f; (void)side; (void)events;
}

void udp_splice_timer(struct udp_splice *s, struct flow *f)
{
	(void)s; (void)f;
}
