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
