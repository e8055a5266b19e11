/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fwd.h - Decide where a flow goes: pure functions of rules and addresses
 */

#ifndef FWD_H
#define FWD_H

#include <stdbool.h>
#include <stdint.h>

#include "flow.h"
#include "rules.h"
#include "types.h"

#define FWD_TARGETS	3		/* at most, see fwd_targets() */

bool fwd_from_tap(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, uint8_t proto,
		  const struct flowside *tap, struct flowside *host);
enum pif fwd_from_host(const struct conf *c, const struct hostnet *net,
		       const struct guest *g, bool bypass,
		       const struct fwd_rule *r, const struct flowside *host,
		       struct flowside *tgt);
unsigned fwd_targets(const struct conf *c, const struct hostnet *net,
		     const struct guest *g, const struct fwd_rule *r,
		     const struct flowside *ini,
		     struct flowside tgt[FWD_TARGETS]);
uint16_t fwd_port(const struct fwd_rule *r, uint16_t port);
bool fwd_to_guest(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, const struct guest *g,
		  const union inany *peer, union inany *shown);
bool fwd_from_ns(const struct conf *c, const struct hostnet *net,
		 const struct fwd_rule *r, const struct flowside *ns,
		 struct flowside *host);
unsigned fwd_scope(const struct hostnet *net, const struct dns *d,
		   const union inany *a);
bool fwd_is_ours(const struct conf *c, const struct hostnet *net,
		 const union inany *a);
bool fwd_is_guests(const struct hostnet *net, const struct guest *g,
		   const union inany *a);
bool fwd_is_broadcast(const struct hostnet *net, const union inany *a);
const union inany *fwd_error_src(const struct hostnet *net,
				 const struct guest *g,
				 const struct flowside *tap,
				 const struct flowside *host,
				 const union inany *offender);

#endif /* FWD_H */
