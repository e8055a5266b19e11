/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostnet.h - The network of the host, and its image for the guest
 */

#ifndef HOSTNET_H
#define HOSTNET_H

#include <stdint.h>

#include "types.h"

int hostnet_init(struct hostnet *h, const struct conf *c);
void hostnet_ephemeral(uint16_t *first, uint16_t *last);

#endif /* HOSTNET_H */
