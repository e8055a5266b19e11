/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nsnet.h - Make the network of a namespace like the host's
 */

#ifndef NSNET_H
#define NSNET_H

#include "types.h"

int nsnet_configure(const struct conf *c, const struct hostnet *h,
		    const char *ifname);

#endif /* NSNET_H */
