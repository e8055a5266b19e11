/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arp.h - Answers to address resolution requests
 */

#ifndef ARP_H
#define ARP_H

#include <stdbool.h>

#include "types.h"
#include "wire.h"

bool arp_reply(const struct conf *c, const struct hostnet *net,
	       const struct guest *g, const struct arp_msg *q,
	       struct arp_msg *reply);

#endif /* ARP_H */
