/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arp.c - Answers to address resolution requests: a pure function
 *
 * The guest sees one neighbour that owns every address but the guest's own. So the
 * guest reaches every address that it takes for local, and no table is needed:
 *
 *	sender (spa)	target (tpa)		reply
 *	any		the guest's own		none: it asks for duplicates
 *	any		another machine's	none: that one answers, see guest.c
 *	0.0.0.0		the gateway's, ours	yes: RFC 5227, 2.1.1, conflict
 *	0.0.0.0		other			none: the guest may take it
 *	= tpa		any			none: RFC 5227, 2.3, announcement
 *	other		other			yes
 */

#include "arp.h"

#include <string.h>

#include "fwd.h"
#include "guest.h"

static union inany from_bytes(const uint8_t b[4])
{
	struct in_addr a4;

	memcpy(&a4, b, sizeof(a4));
	return inany_from_v4(a4);
}

static bool is_answered(const struct conf *c, const struct hostnet *net,
			const struct guest *g,
			const union inany *spa, const union inany *tpa,
			const uint8_t sha[MAC_LEN])
{
	if (!inany_is_unicast(tpa) || inany_is_loopback(tpa) ||
	    fwd_is_broadcast(net, tpa) || inany_equals(spa, tpa))
		return false;
	if (fwd_is_ours(c, net, tpa))
		return true;
	return !inany_is_unspecified(spa) && !fwd_is_guests(net, g, tpa) &&
	       !guest_is_other(g, tpa, sha);
}

/**
 * arp_reply() - Reply to one message, if it asks for something that is here
 * @c:		Configuration
 * @net:	Network of the host
 * @g:		Known addresses of the guest
 * @q:		The message, checked by pkt_parse()
 * @reply:	Filled in where there is a reply; goes to @q->sha
 *
 * Return: true if there is a reply
 */
bool arp_reply(const struct conf *c, const struct hostnet *net,
	       const struct guest *g, const struct arp_msg *q,
	       struct arp_msg *reply)
{
	union inany spa = from_bytes(q->spa), tpa = from_bytes(q->tpa);

	if (!net->ip4.enabled || q->op != htons(ARP_OP_REQUEST) ||
	    !is_answered(c, net, g, &spa, &tpa, q->sha))
		return false;

	*reply = *q;
	reply->op = htons(ARP_OP_REPLY);
	memcpy(reply->sha, c->our_mac, MAC_LEN);
	memcpy(reply->spa, q->tpa, sizeof(q->tpa));
	memcpy(reply->tha, q->sha, MAC_LEN);
	memcpy(reply->tpa, q->spa, sizeof(q->spa));
	return true;
}
