/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed any ARP message: a reply is valid, claims no address of the guest, and gets no reply
 * itself
 *
 * Input: a byte (1: the guest's address is known), then the frame.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fake_tap.h"
#include "../unit/net.h"
#include "arp.h"
#include "fwd.h"
#include "guest.h"
#include "packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf conf;
static struct hostnet hostnet;
static struct guest guest;

static void setup(bool known)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 5 };
	union inany a = addr("198.51.100.6");

	conf.our_mac[0] = 2;
	hostnet = both_families();
	guest_init(&guest, &conf, &hostnet);
	if (known)
		guest_heard(&guest, &hostnet, &a, mac, 1000);
}

static void check_reply(const struct arp_msg *q, const struct arp_msg *r)
{
	struct arp_msg again;
	struct in_addr a4;
	union inany a;

	assert(r->op == htons(2) && r->htype == q->htype && r->ptype == q->ptype);
	assert(!memcmp(r->sha, conf.our_mac, 6) && !memcmp(r->tha, q->sha, 6));
	assert(!memcmp(r->spa, q->tpa, 4) && !memcmp(r->tpa, q->spa, 4));
	memcpy(&a4, r->spa, sizeof(a4));
	a = inany_from_v4(a4);
	assert(!fwd_is_guests(&hostnet, &guest, &a) && inany_is_unicast(&a));
	assert(!arp_reply(&conf, &hostnet, &guest, r, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arp_msg reply;
	uint8_t *frame;
	struct pkt p;

	if (!size || size > 2000)
		return 0;
	setup(data[0] & 1);
	/* Memory of its own, so that a sanitizer sees its end */
	frame = malloc(size);
	assert(frame);
	memcpy(frame, data + 1, size - 1);
	if (!fake_parse(&p, frame, size - 1, NULL) && p.kind == PKT_ARP &&
	    arp_reply(&conf, &hostnet, &guest, &p.arp, &reply))
		check_reply(&p.arp, &reply);
	free(frame);
	return 0;
}
