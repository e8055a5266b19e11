/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolv.h - The host's resolver configuration, and its follower
 */

#ifndef RESOLV_H
#define RESOLV_H

#include <stdbool.h>
#include <stddef.h>

#include "types.h"

struct loop;

#define RESOLV_PATH	"/etc/resolv.conf"
#define RESOLV_TEXT_MAX	4096		/* bytes of it that count */

/**
 * struct resolv - Contents of a resolv.conf, resolv.conf(5)
 * @n:		Number of name servers
 * @ns:		Name servers in their order, both families, loopback ones as well
 * @scope:	Interface index of each name server, 0 if none is given
 * @nsearch:	Number of domains
 * @search:	Domains in their order, without a final dot
 */
struct resolv {
	unsigned n, nsearch;
	union inany ns[CONF_DNS_MAX];
	unsigned scope[CONF_DNS_MAX];
	char search[CONF_SEARCH_MAX][CONF_NAME_LEN];
};

/* Socket to the process that reports changes, -1 if there is none */
struct resolv_follower {
	int fd;
};

void resolv_parse(const char *text, size_t len, struct resolv *r);
void resolv_apply(const struct conf *c, const struct hostnet *net,
		  const struct resolv *r, struct dns *d);

void resolv_start(struct resolv_follower *f, const struct conf *c,
		  const struct hostnet *net, struct dns *d);
int resolv_follow(struct resolv_follower *f, const struct conf *c,
		  const struct hostnet *net, void (*seal)(int keep));
int resolv_watch(struct resolv_follower *f, struct loop *l);
bool resolv_event(struct resolv_follower *f, const struct conf *c,
		  const struct hostnet *net, struct dns *d, struct loop *l);

#endif /* RESOLV_H */
