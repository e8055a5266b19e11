/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * with_hostnet.h - hostnet.c and probe.c, included for their static functions
 *
 * Their object files may be linked, too, so the included functions have other names.
 */

#ifndef TEST_WITH_HOSTNET_H
#define TEST_WITH_HOSTNET_H

#define hostnet_init		included_hostnet_init
#define probe_init		included_probe_init
#define probe_policy		included_probe_policy
#define probe_main		included_probe_main
#define probe_onlink		included_probe_onlink
#define probe_addrs		included_probe_addrs
#define probe_routes		included_probe_routes
#include "../../probe.c"
#include "../../hostnet.c"

#endif /* TEST_WITH_HOSTNET_H */
