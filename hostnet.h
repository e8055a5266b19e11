/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostnet.h - The network of the host, and its image for the guest
 */

#ifndef HOSTNET_H
#define HOSTNET_H

#include "types.h"

int hostnet_init(struct hostnet *h, const struct conf *c);

#endif /* HOSTNET_H */
