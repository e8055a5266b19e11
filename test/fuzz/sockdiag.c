/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any datagram as a part of the kernel's list of sockets
 *
 * The request is taken to have the number of the first message.
 */

#include "../../sockdiag.h"

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t buf[SOCKDIAG_BUF / sizeof(uint32_t)];

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void seen(const struct sockdiag_entry *e, void *arg)
{
	unsigned *n = arg;

	must(e->port);
	++*n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr first = { 0 };
	unsigned n = 0, again = 0;
	int ret;

	if (size > sizeof(buf))
		return 0;
	memcpy(buf, data, size);
	if (size >= sizeof(first))
		memcpy(&first, buf, sizeof(first));
	ret = sockdiag_walk(buf, size, first.nlmsg_seq, seen, &n);
	must(ret <= 1);
	must(n <= size / sizeof(first));
	must(sockdiag_walk(buf, size, first.nlmsg_seq, seen, &again) == ret &&
	     n == again);
	return 0;
}
