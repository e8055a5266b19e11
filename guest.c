/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.c - Addresses and MAC addresses of the guest
 *
 * The guest is reached at one address of each class (IPv4, global IPv6, link-local
 * IPv6): its known address. A guest may use others beside it: temporary ones
 * (RFC 8981), addresses of a bridge that leaks packets, or of other machines behind
 * the same link. It can talk to the outside with each of them, and answers go to
 * the address that the flow began with. Flows from the outside go to the known
 * address, so one stray packet must not move it.
 *
 * An address has a rank, which is the reason why we believe in it:
 *
 *	NONE		there is none
 *	ASSUMED		assigned by configuration, but nobody has used it yet;
 *			or known of a client that has disconnected
 *	SEEN		a frame came from it
 *	ONLINK		the same, and it is inside the assigned prefix: made by
 *			SLAAC, or a static one of this subnet
 *	ASSIGNED	the assigned address itself: configured by us in the
 *			namespace, leased by DHCP or DHCPv6, or used as a source
 *
 * An address of a higher rank becomes the known one at once. Another one does so
 * only if the known address has gone: we ask for it by ARP or a neighbour
 * solicitation, and any frame from it is an answer. Without an answer to
 * GUEST_PROBES requests the latest candidate of the highest rank becomes the known
 * address. After an answer, no more requests are sent for GUEST_TRUST_MS, whatever
 * else the guest sends. An IPv6 address is learned as soon as the guest looks for
 * duplicates of it, so the stable address of a guest comes before its temporary ones.
 *
 * Each known address has the MAC address of the last frame that came from it. Frames
 * from other addresses don't change that: if they come from another MAC address, it
 * is kept for their source in a small table (the newest entry of a slot stays), so
 * that a second machine gets answers, too. g->mac is for all other addresses: it is
 * the first MAC address that is seen, then the one of the known address of the
 * highest rank.
 *
 * All state has a constant size, and time is an argument.
 */

#include "guest.h"

#include <string.h>

#include "inany.h"
#include "log.h"
#include "wire.h"

static enum guest_class class_of(const union inany *a)
{
	if (inany_is_v4(a))
		return GUEST_IP4;
	return inany_is_linklocal(a) ? GUEST_LL6 : GUEST_IP6;
}

/**
 * guest_addr() - Known address of a class, may be unset
 */
const union inany *guest_addr(const struct guest *g, enum guest_class k)
{
	switch (k) {
	case GUEST_IP4:
		return &g->addr4;
	case GUEST_LL6:
		return &g->addr6_ll;
	default:
		return &g->addr6;
	}
}

/* Known address of a class, to be changed */
static union inany *known(struct guest *g, enum guest_class k)
{
	return (union inany *)guest_addr(g, k);
}

/* The address that we assign; may be unset */
static union inany assigned(const struct hostnet *net, enum guest_class k)
{
	if (k == GUEST_LL6)
		return (union inany){ 0 };
	return k == GUEST_IP4 ? net->ip4.addr : net->ip6.addr;
}

/* Is @a inside the prefix of the assigned address? With IPv6 this is a /64 */
static bool is_onlink(const struct hostnet *net, const union inany *a)
{
	uint32_t diff;

	if (!inany_is_v4(a))
		return inany_is_set(&net->ip6.addr) &&
		       a->u64[0] == net->ip6.addr.u64[0];
	if (!inany_is_set(&net->ip4.addr) || !net->ip4.prefix_len)
		return false;
	diff = ntohl(a->v4mapped.a4.s_addr ^
		     net->ip4.addr.v4mapped.a4.s_addr);
	return !(diff & UINT32_MAX << (32 - net->ip4.prefix_len));
}

/* Rank of an address that a frame came from */
static enum guest_rank rank_of(const struct hostnet *net, const union inany *a)
{
	const union inany own = assigned(net, class_of(a));

	if (inany_is_set(&own) && inany_equals(&own, a))
		return GUEST_ASSIGNED;
	if (class_of(a) == GUEST_LL6)
		return GUEST_SEEN;
	return is_onlink(net, a) ? GUEST_ONLINK : GUEST_SEEN;
}

/* MAC addresses of other machines ---------------------------------------- */

static unsigned neigh_slot(const union inany *a)
{
	uint64_t x = (a->u64[0] ^ a->u64[1]) * 0x9e3779b97f4a7c15ULL;

	return (unsigned)(x >> 32) % GUEST_NEIGHS;
}

/* Remember the MAC address of @a, which is no known address. No entry is needed if
 * it is the guest's own */
static void neigh_set(struct guest *g, const union inany *a,
		      const uint8_t mac[MAC_LEN])
{
	struct guest_neigh *n = &g->neigh[neigh_slot(a)];

	if (memcmp(mac, g->mac, MAC_LEN)) {
		n->addr = *a;
		memcpy(n->mac, mac, MAC_LEN);
	} else if (inany_equals(&n->addr, a)) {
		*n = (struct guest_neigh){ 0 };
	}
}

static const struct guest_neigh *neigh_get(const struct guest *g,
					   const union inany *a)
{
	const struct guest_neigh *n = &g->neigh[neigh_slot(a)];

	return inany_is_set(&n->addr) && inany_equals(&n->addr, a) ? n : NULL;
}

/**
 * guest_mac() - MAC address that frames for @dst go to
 */
const uint8_t *guest_mac(const struct guest *g, const union inany *dst)
{
	enum guest_class k = class_of(dst);
	const struct guest_neigh *n;

	if (g->id[k].mac_known && inany_equals(guest_addr(g, k), dst))
		return g->id[k].mac;
	n = neigh_get(g, dst);
	return n ? n->mac : g->mac;
}

/**
 * guest_is_other() - Is this the address of another machine behind the link?
 * @g:		The guest
 * @a:		Address that @asker looks for
 * @asker:	MAC address
 *
 * If so, that machine answers by itself.
 */
bool guest_is_other(const struct guest *g, const union inany *a,
		    const uint8_t asker[MAC_LEN])
{
	const struct guest_neigh *n = neigh_get(g, a);

	return n && memcmp(n->mac, asker, MAC_LEN);
}

/* Known addresses -------------------------------------------------------- */

static void guest_take_mac(struct guest *g, const uint8_t mac[MAC_LEN],
			   enum guest_rank rank)
{
	memcpy(g->mac, mac, MAC_LEN);
	g->mac_known = true;
	g->mac_rank = rank;
}

/* Set the MAC address of the known address of class @k */
static void set_id_mac(struct guest *g, enum guest_class k,
		       const uint8_t mac[MAC_LEN])
{
	struct guest_id *id = &g->id[k];
	bool backs = id->mac_known && !memcmp(id->mac, g->mac, MAC_LEN);

	if (!g->mac_known || backs || id->rank >= g->mac_rank)
		guest_take_mac(g, mac, id->rank);
	memcpy(id->mac, mac, MAC_LEN);
	id->mac_known = true;
}

/* Note a frame from the known address of class @k, which has rank @rank */
static void heard_known(struct guest *g, enum guest_class k,
			enum guest_rank rank, const uint8_t mac[MAC_LEN])
{
	struct guest_id *id = &g->id[k];

	id->pending = false;
	id->rank = rank;
	set_id_mac(g, k, mac);
}

/* Make @a, at @mac, the known address */
static void adopt(struct guest *g, enum guest_rank rank, const union inany *a,
		  const uint8_t mac[MAC_LEN])
{
	enum guest_class k = class_of(a);
	struct guest_id *id = &g->id[k];
	union inany before = *known(g, k);
	struct guest_id old = *id;
	char s[INANY_STRLEN];

	*known(g, k) = *a;
	heard_known(g, k, rank, mac);
	id->asked_ms = 0;
	if (old.mac_known)
		neigh_set(g, &before, old.mac);
	debug_limited("Guest has address %s", inany_ntop(a, s, sizeof(s)));
}

/* Another address was seen: have the known one asked for, unless it answered a short
 * time ago. Return: true if this starts a series of requests */
static bool suspect(struct guest_id *id, const union inany *a,
		    const uint8_t mac[MAC_LEN], enum guest_rank rank,
		    uint64_t now_ms)
{
	bool fresh = !id->pending;

	if (fresh) {
		id->asked = 0;
		id->due_ms = now_ms;
		if (id->asked_ms && id->asked_ms + GUEST_TRUST_MS > now_ms)
			id->due_ms = id->asked_ms + GUEST_TRUST_MS;
	} else if (rank < id->other_rank) {
		return false;
	}
	id->pending = true;
	id->other = *a;
	id->other_rank = rank;
	memcpy(id->other_mac, mac, MAC_LEN);
	return fresh;
}

/**
 * guest_heard() - Note that a frame came from an address, or announces it
 * @g:		The guest
 * @net:	Network of the host
 * @from:	Source address, sender of ARP, or target of a neighbour advertisement
 *		or of a solicitation that looks for duplicates; may be unspecified,
 *		must not be one of ours
 * @mac:	Source MAC address of the frame
 * @now_ms:	Time
 *
 * Return: true if guest_probe_due() may have changed
 */
bool guest_heard(struct guest *g, const struct hostnet *net,
		 const union inany *from, const uint8_t mac[MAC_LEN],
		 uint64_t now_ms)
{
	enum guest_class k = class_of(from);
	struct guest_id *id = &g->id[k];
	enum guest_rank rank;

	if (!g->mac_known)
		guest_take_mac(g, mac, GUEST_NONE);
	if (!inany_is_unicast(from) || inany_is_loopback(from))
		return false;

	if (inany_equals(known(g, k), from)) {
		if (id->pending || id->rank <= GUEST_ASSUMED || !id->mac_known ||
		    memcmp(id->mac, mac, MAC_LEN))
			heard_known(g, k, rank_of(net, from), mac);
		return false;
	}
	rank = rank_of(net, from);
	if (rank > id->rank) {
		adopt(g, rank, from, mac);
		return false;
	}
	neigh_set(g, from, mac);
	return suspect(id, from, mac, rank, now_ms);
}

/**
 * guest_leased() - Note that the guest got the assigned address from us
 * @g:		The guest
 * @net:	Network of the host
 * @v4:		By DHCP, else by DHCPv6
 * @mac:	Source MAC address of the request
 */
void guest_leased(struct guest *g, const struct hostnet *net, bool v4,
		  const uint8_t mac[MAC_LEN])
{
	enum guest_class k = v4 ? GUEST_IP4 : GUEST_IP6;
	union inany a = assigned(net, k);

	if (!inany_is_set(&a))
		return;
	if (inany_equals(known(g, k), &a))
		heard_known(g, k, GUEST_ASSIGNED, mac);
	else
		adopt(g, GUEST_ASSIGNED, &a, mac);
}

/* Probing ---------------------------------------------------------------- */

/**
 * guest_probe_due() - Time of the next call of guest_probe()
 *
 * Return: ms, UINT64_MAX if no request is due
 */
uint64_t guest_probe_due(const struct guest *g)
{
	uint64_t due = UINT64_MAX;
	unsigned k;

	for (k = 0; k < GUEST_CLASSES; k++)
		if (g->id[k].pending && g->id[k].due_ms < due)
			due = g->id[k].due_ms;
	return due;
}

/**
 * guest_probe() - Should the known address of a class be asked for now?
 * @g:		The guest; after the last request, the candidate replaces it
 * @c:		Configuration
 * @net:	Network of the host
 * @k:		Class
 * @now_ms:	Time
 *
 * Return: true if a request is to be sent
 */
bool guest_probe(struct guest *g, const struct conf *c,
		 const struct hostnet *net, enum guest_class k, uint64_t now_ms)
{
	bool can_ask = k == GUEST_IP4 ||
		       (!c->no_ndp && inany_is_set(&net->ip6.our_ll));
	struct guest_id *id = &g->id[k];

	if (!id->pending || id->due_ms > now_ms)
		return false;
	if (id->asked == GUEST_PROBES) {
		adopt(g, id->other_rank, &id->other, id->other_mac);
		return false;
	}
	id->asked++;
	id->asked_ms = now_ms;
	id->due_ms = now_ms + (can_ask ? GUEST_PROBE_MS : GUEST_MUTE_MS);
	return true;
}

/* Start ------------------------------------------------------------------ */

/* Forget all MAC addresses */
static void reset_macs(struct guest *g)
{
	static const uint8_t broadcast[MAC_LEN] = MAC_BROADCAST;
	unsigned k;

	memcpy(g->mac, broadcast, MAC_LEN);
	g->mac_known = false;
	g->mac_rank = GUEST_NONE;
	memset(g->neigh, 0, sizeof(g->neigh));
	for (k = 0; k < GUEST_CLASSES; k++)
		g->id[k].pending = g->id[k].mac_known = false;
}

/**
 * guest_init() - Assume that the guest has the assigned addresses
 * @g:		Filled in
 * @c:		Configuration
 * @net:	Network of the host
 */
void guest_init(struct guest *g, const struct conf *c,
		const struct hostnet *net)
{
	enum guest_rank rank = c->config_net ? GUEST_ASSIGNED : GUEST_ASSUMED;

	memset(g, 0, sizeof(*g));
	g->addr4 = net->ip4.addr;
	g->addr6 = net->ip6.addr;
	g->id[GUEST_IP4].rank = inany_is_set(&g->addr4) ? rank : GUEST_NONE;
	g->id[GUEST_IP6].rank = inany_is_set(&g->addr6) ? rank : GUEST_NONE;
	reset_macs(g);
}

/**
 * guest_set_mac() - Set the guest's MAC address before its first frame
 * @g:		The guest, just initialised
 * @mac:	MAC address of its interface
 */
void guest_set_mac(struct guest *g, const uint8_t mac[MAC_LEN])
{
	guest_take_mac(g, mac, GUEST_ONLINK);
}

/**
 * guest_reconnected() - Note that a client connects, perhaps another guest
 * @g:		The guest
 *
 * Its addresses are only assumed: the first one that is seen replaces them.
 */
void guest_reconnected(struct guest *g)
{
	unsigned k;

	reset_macs(g);
	for (k = 0; k < GUEST_CLASSES; k++)
		if (g->id[k].rank > GUEST_ASSUMED)
			g->id[k].rank = GUEST_ASSUMED;
}

/* Migration -------------------------------------------------------------- */

/**
 * guest_export() - Tell what was learned from frames of the guest
 * @g:		The guest
 * @l:		Filled in
 */
void guest_export(const struct guest *g, struct guest_learned *l)
{
	unsigned k;

	memset(l, 0, sizeof(*l));
	memcpy(l->mac, g->mac, MAC_LEN);
	l->mac_known = g->mac_known;
	for (k = 0; k < GUEST_CLASSES; k++) {
		if (!g->id[k].mac_known)
			continue;
		l->id[k].addr = *guest_addr(g, k);
		memcpy(l->id[k].mac, g->id[k].mac, MAC_LEN);
		l->id[k].heard = true;
	}
}

/* guest_is_valid() - Could frames have shown this? */
bool guest_is_valid(const struct guest_learned *l)
{
	unsigned k;

	if (l->mac_known && l->mac[0] & 1)
		return false;
	for (k = 0; k < GUEST_CLASSES; k++) {
		const struct guest_seen *s = &l->id[k];

		if (s->heard && (s->mac[0] & 1 || class_of(&s->addr) != k ||
				 !inany_is_unicast(&s->addr) ||
				 inany_is_loopback(&s->addr)))
			return false;
	}
	return true;
}

/**
 * guest_import() - Learn from another daemon, which has served this guest so far
 * @g:		The guest
 * @net:	Network of the host; gives the ranks of the addresses here
 * @l:		Valid
 */
void guest_import(struct guest *g, const struct hostnet *net,
		  const struct guest_learned *l)
{
	unsigned k;

	reset_macs(g);
	if (l->mac_known)
		guest_take_mac(g, l->mac, GUEST_NONE);
	for (k = 0; k < GUEST_CLASSES; k++) {
		const struct guest_seen *s = &l->id[k];

		if (s->heard)
			adopt(g, rank_of(net, &s->addr), &s->addr, s->mac);
	}
}
