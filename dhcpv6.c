/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcpv6.c - DHCPv6 server: a pure function
 *
 * One message gives at most one reply. There is one address to hand out, the
 * configured one, for ever and to every client: so there are no leases and no other
 * state, and a guest may come back after a restart of this program. Our DUID is made of
 * our MAC address (DUID-LL): it survives a restart without being stored anywhere,
 * unlike one with a time or a UUID.
 *
 * Options that a message must have or must not have (RFC 8415, 16), and the reply:
 *
 *	message			client	server	to us	reply
 *	SOLICIT			yes	no	drop	ADVERTISE, or REPLY if
 *							committed rapidly: IAs
 *	REQUEST			yes	ours	status	REPLY: IAs
 *	CONFIRM			yes	no	drop	REPLY: Success, NotOnLink
 *	RENEW			yes	ours	status	REPLY: IAs
 *	REBIND			yes	no	drop	REPLY: IAs
 *	RELEASE, DECLINE	yes	ours	status	REPLY: Success
 *	INFORMATION-REQUEST	may	may, ours drop	REPLY
 *
 * "To us" means: sent to our unicast address, which we never offered. "Status" means:
 * the reply has the status UseMulticast and no more (RFC 8415, 18.4). RFC 9915 drops
 * that status, but older clients still wait for it.
 *
 * A client may send from its link-local address or from a global one that it has
 * from SLAAC or an earlier lease. The reply goes back to the source address of the
 * message.
 *
 * Relayed messages and replies of other servers are dropped: neither relays nor servers
 * are on this link.
 *
 * The first IA_NA of the identity associations gets the address:
 *
 *	first IA_NA, REQUEST, an address from elsewhere	NotOnLink
 *	first IA_NA, none configured			NoAddrsAvail
 *	first IA_NA					the address; RENEW and
 *		REBIND withdraw its other addresses, with lifetimes of zero
 *	other IA_NA, IA_TA				NoAddrsAvail
 *	IA_PD						NoPrefixAvail
 *
 * Name servers, search list and name are sent only to clients that asked for them.
 */

#include "dhcpv6.h"

#include <errno.h>
#include <string.h>

#include "domain.h"

#define REQUEST_MAX	2048		/* bytes, no client needs more */
#define REPLY_MAX	(1280 - 40 - 8)	/* RFC 8200, 5: fits everywhere */
#define FOREVER		0xffffffffU	/* RFC 8415, 7.7 */
#define HW_ETHERNET	1		/* IANA hardware types */
#define PREFERENCE_MAX	255		/* RFC 8415, 18.2.1: don't wait */

/**
 * struct dhcpv6_request - A message, well-formed as a whole
 * @hdr:	Header
 * @opts:	All options
 * @client, @server, @oro, @fqdn:	Contents of these options; the member @p is
 *		NULL if the option is missing
 * @rapid:	True if there is the option for rapid commit
 * @ias:	Number of IA_NA, IA_TA and IA_PD
 */
struct dhcpv6_request {
	struct dhcp6_hdr hdr;
	struct view opts, client, server, oro, fqdn;
	bool rapid;
	unsigned ias;
};

/**
 * struct dhcpv6_answer - A reply that is being written
 * @data:	REPLY_MAX bytes
 * @len:	Bytes of @data in use
 * @full:	True if an option did not fit
 * @leases:	True if the configured address is in it
 */
struct dhcpv6_answer {
	uint8_t *data;
	size_t len;
	bool full, leases;
};

enum presence { MUST_NOT, MAY, MUST };

/* How each type of message is checked and answered, see above */
static const struct msg_rule {
	bool known, bindings, status, use_multicast;
	enum presence client, server;
} rules[] = {
	[DHCP6_SOLICIT] = { true, .bindings = true,
			    .client = MUST, .server = MUST_NOT },
	[DHCP6_REQUEST] = { true, .bindings = true, .use_multicast = true,
			    .client = MUST, .server = MUST },
	[DHCP6_CONFIRM] = { true, .status = true,
			    .client = MUST, .server = MUST_NOT },
	[DHCP6_RENEW]	= { true, .bindings = true, .use_multicast = true,
			    .client = MUST, .server = MUST },
	[DHCP6_REBIND]	= { true, .bindings = true,
			    .client = MUST, .server = MUST_NOT },
	[DHCP6_RELEASE]	= { true, .status = true, .use_multicast = true,
			    .client = MUST, .server = MUST },
	[DHCP6_DECLINE]	= { true, .status = true, .use_multicast = true,
			    .client = MUST, .server = MUST },
	[DHCP6_INFO_REQUEST] = { true, .client = MAY, .server = MAY },
};

/* The message -------------------------------------------------------------- */

/* The bytes behind the first @skip, which must exist */
static struct view after(struct view v, size_t skip)
{
	view_skip(&v, skip);
	return v;
}

/**
 * next_option() - Take the next option off a list
 * @rest:	List, moved on to the following option
 * @data:	Filled in: contents of the option
 *
 * Return: code of the option, -ENOENT after the last one, -EBADMSG if it is cut short
 */
static int next_option(struct view *rest, struct view *data)
{
	struct dhcp6_opt o;

	if (!rest->len)
		return -ENOENT;
	if (!view_take(rest, &o, sizeof(o)) ||
	    !view_split(rest, ntohs(o.len), data))
		return -EBADMSG;
	return ntohs(o.code);
}

/* Length of an IA without its options, bytes; 0 if the option @code is no IA */
static size_t ia_fixed(int code)
{
	switch (code) {
	case DHCP6_OPT_IA_NA:
	case DHCP6_OPT_IA_PD:
		return sizeof(struct dhcp6_ia);
	case DHCP6_OPT_IA_TA:
		return sizeof(be32);
	default:
		return 0;
	}
}

/* Take the next address off the options of an IA; false after the last one */
static bool next_address(struct view *rest, struct in6_addr *a)
{
	struct dhcp6_iaaddr opt;
	struct view data;
	int code;

	while ((code = next_option(rest, &data)) >= 0)
		if (code == DHCP6_OPT_IAADDR &&
		    view_take(&data, &opt, sizeof(opt))) {
			*a = opt.addr;
			return true;
		}
	return false;
}

/* Is this a list of complete options? */
static bool list_valid(struct view rest)
{
	struct view data;
	int code;

	while ((code = next_option(&rest, &data)) >= 0)
		;
	return code == -ENOENT;
}

/* Check an address or prefix inside an IA; other options are ignored */
static bool ia_option_valid(int code, struct view data)
{
	size_t fixed;

	if (code == DHCP6_OPT_IAADDR)
		fixed = sizeof(struct dhcp6_iaaddr);
	else if (code == DHCP6_OPT_IAPREFIX)
		fixed = DHCP6_IAPREFIX_LEN;
	else
		return true;
	return data.len >= fixed && list_valid(after(data, fixed));
}

/* Check the contents of an IA: @fixed bytes, then options */
static bool ia_valid(struct view ia, size_t fixed)
{
	struct view data, rest;
	int code;

	if (ia.len < fixed)
		return false;
	rest = after(ia, fixed);
	while ((code = next_option(&rest, &data)) >= 0)
		if (!ia_option_valid(code, data))
			return false;
	return code == -ENOENT;
}

/* Note an option that must not be repeated; false if it is, or has a wrong length */
static bool set_once(struct view *field, struct view data, size_t min,
		     size_t max)
{
	if (field->p || data.len < min || data.len > max)
		return false;
	*field = data;
	return true;
}

/* Note an option; false if it is malformed */
static bool request_option(struct dhcpv6_request *q, int code, struct view data)
{
	switch (code) {
	case DHCP6_OPT_CLIENTID:
		return set_once(&q->client, data, DHCP6_DUID_MIN,
				DHCP6_DUID_MAX);
	case DHCP6_OPT_SERVERID:
		return set_once(&q->server, data, DHCP6_DUID_MIN,
				DHCP6_DUID_MAX);
	case DHCP6_OPT_ORO:
		return !(data.len % 2) &&
		       set_once(&q->oro, data, 0, REQUEST_MAX);
	case DHCP6_OPT_FQDN:
		return set_once(&q->fqdn, data, 1, REQUEST_MAX);
	case DHCP6_OPT_RAPID_COMMIT:
		q->rapid = true;
		return !data.len;
	case DHCP6_OPT_IA_NA:
	case DHCP6_OPT_IA_TA:
	case DHCP6_OPT_IA_PD:
		q->ias++;
		return ia_valid(data, ia_fixed(code));
	default:
		return true;
	}
}

static bool request_parse(struct dhcpv6_request *q, struct view rest)
{
	struct view data;
	int code;

	*q = (struct dhcpv6_request){ .ias = 0 };
	if (!view_take(&rest, &q->hdr, sizeof(q->hdr)))
		return false;
	q->opts = rest;
	while ((code = next_option(&rest, &data)) >= 0)
		if (!request_option(q, code, data))
			return false;
	return code == -ENOENT;
}

static const struct msg_rule *rule_for(const struct dhcpv6_request *q)
{
	size_t n = sizeof(rules) / sizeof(rules[0]);

	if (q->hdr.type >= n || !rules[q->hdr.type].known)
		return NULL;
	return &rules[q->hdr.type];
}

static bool presence_ok(enum presence wanted, struct view v)
{
	return wanted == MAY || (wanted == MUST) == !!v.p;
}

static struct dhcp6_duid_ll our_duid(const struct conf *c)
{
	struct dhcp6_duid_ll duid = {
		.type = htons(DHCP6_DUID_LL), .hw_type = htons(HW_ETHERNET),
	};

	memcpy(duid.mac, c->our_mac, MAC_LEN);
	return duid;
}

/* RFC 8415, 16.2 to 16.12 */
static bool request_valid(const struct conf *c, const struct dhcpv6_request *q,
			  const struct msg_rule *rule)
{
	const struct dhcp6_duid_ll duid = our_duid(c);

	if (!presence_ok(rule->client, q->client) ||
	    !presence_ok(rule->server, q->server))
		return false;
	if (q->server.p && (q->server.len != sizeof(duid) ||
			    !view_equals(q->server, &duid, sizeof(duid))))
		return false;
	return q->hdr.type != DHCP6_INFO_REQUEST || !q->ias;
}

/* Did the client ask for this option? */
static bool is_requested(const struct dhcpv6_request *q, uint16_t code)
{
	struct view list = q->oro;
	be16 wanted;

	while (view_take(&list, &wanted, sizeof(wanted)))
		if (wanted == htons(code))
			return true;
	return false;
}

/* The reply ---------------------------------------------------------------- */

static void dhcpv6_put(struct dhcpv6_answer *r, const void *data, size_t len)
{
	if (len > REPLY_MAX - r->len) {
		r->full = true;
		return;
	}
	if (!len)
		return;
	memcpy(r->data + r->len, data, len);
	r->len += len;
}

/* put_begin() - Begin an option: everything up to put_end() is its contents */
static size_t put_begin(struct dhcpv6_answer *r, uint16_t code)
{
	const struct dhcp6_opt o = { .code = htons(code) };
	size_t at = r->len;

	dhcpv6_put(r, &o, sizeof(o));
	return at;
}

/* put_end() - Fill in the length of an option. @at: result of put_begin() */
static void put_end(struct dhcpv6_answer *r, size_t at)
{
	size_t len = r->len - at - sizeof(struct dhcp6_opt);
	be16 field = htons(len);

	if (!r->full)
		memcpy(r->data + at + offsetof(struct dhcp6_opt, len), &field,
		       sizeof(field));
}

static void put_option(struct dhcpv6_answer *r, uint16_t code, const void *data,
		       size_t len)
{
	size_t at = put_begin(r, code);

	dhcpv6_put(r, data, len);
	put_end(r, at);
}

static void put_status(struct dhcpv6_answer *r, uint16_t status)
{
	const be16 field = htons(status);

	put_option(r, DHCP6_OPT_STATUS, &field, sizeof(field));
}

static void put_address(struct dhcpv6_answer *r, const struct in6_addr *a,
			uint32_t lifetime_s)
{
	const struct dhcp6_iaaddr opt = {
		.addr = *a,
		.preferred_s = htonl(lifetime_s), .valid_s = htonl(lifetime_s),
	};

	put_option(r, DHCP6_OPT_IAADDR, &opt, sizeof(opt));
}

/* Put an option, or leave it out if it does not fit as a whole */
static void put_optional(struct dhcpv6_answer *r, uint16_t code,
			 const void *data, size_t len)
{
	if (len + sizeof(struct dhcp6_opt) <= REPLY_MAX - r->len)
		put_option(r, code, data, len);
}

/* Is this address in the prefix of the configured one, as in router advertisements? */
static bool has_our_prefix(const struct hostnet *net, const struct in6_addr *a)
{
	return !memcmp(a, &net->ip6.addr.a6, 8);
}

/* Are all addresses of an IA_NA or IA_TA from this link? @rest: options of the IA,
 * @n: incremented by the number of addresses up to the first that is not */
static bool all_onlink(const struct hostnet *net, struct view rest, unsigned *n)
{
	struct in6_addr a;

	while (next_address(&rest, &a)) {
		if (!has_our_prefix(net, &a))
			return false;
		(*n)++;
	}
	return true;
}

/* Withdraw all addresses of an IA to be renewed but the configured one, which may be
 * in two IAs and has to stay: RFC 8415, 18.3.4 */
static void put_withdrawn(struct dhcpv6_answer *r, const struct hostnet *net,
			  struct view rest)
{
	const struct in6_addr *keep = &net->ip6.addr.a6;
	struct in6_addr a;

	while (next_address(&rest, &a))
		if (memcmp(&a, keep, sizeof(*keep)))
			put_address(r, &a, 0);
}

static bool is_renewal(const struct dhcpv6_request *q)
{
	return q->hdr.type == DHCP6_RENEW || q->hdr.type == DHCP6_REBIND;
}

/* Put the IA_NA that gets the address; @data: contents of the client's IA_NA */
static void put_assigned(struct dhcpv6_answer *r, const struct hostnet *net,
			 const struct dhcpv6_request *q, struct view data)
{
	const struct in6_addr *addr = &net->ip6.addr.a6;
	size_t at = put_begin(r, DHCP6_OPT_IA_NA);
	struct dhcp6_ia ia;
	unsigned n = 0;

	view_take(&data, &ia, sizeof(ia));
	ia.t1_s = ia.t2_s = htonl(FOREVER);
	dhcpv6_put(r, &ia, sizeof(ia));
	if (q->hdr.type == DHCP6_REQUEST && !all_onlink(net, data, &n)) {
		put_status(r, DHCP6_NOT_ON_LINK);
	} else {
		put_address(r, addr, FOREVER);
		r->leases = true;
		if (is_renewal(q))
			put_withdrawn(r, net, data);
	}
	put_end(r, at);
}

/* Put an IA that gets no address: @code and @data are those of the client's */
static void put_refused(struct dhcpv6_answer *r, const struct hostnet *net,
			const struct dhcpv6_request *q, int code,
			struct view data)
{
	size_t fixed = ia_fixed(code), at = put_begin(r, code);
	struct dhcp6_ia ia = { 0 };

	view_copy(data, 0, &ia.iaid, sizeof(ia.iaid));
	dhcpv6_put(r, &ia, fixed);
	if (code != DHCP6_OPT_IA_PD && is_renewal(q))
		put_withdrawn(r, net, after(data, fixed));
	put_status(r, code == DHCP6_OPT_IA_PD ? DHCP6_NO_PREFIX :
					       DHCP6_NO_ADDRS);
	put_end(r, at);
}

/* Put all IAs in the order of the request. Return: true if one got the address */
static bool put_bindings(struct dhcpv6_answer *r, const struct hostnet *net,
			 const struct dhcpv6_request *q)
{
	bool left = inany_is_set(&net->ip6.addr), assigned = false;
	struct view rest = q->opts, data;
	int code;

	while ((code = next_option(&rest, &data)) >= 0) {
		if (code == DHCP6_OPT_IA_NA && left) {
			put_assigned(r, net, q, data);
			left = false;
			assigned = true;
		} else if (ia_fixed(code)) {
			put_refused(r, net, q, code, data);
		}
	}
	return assigned;
}

/* Decide on a CONFIRM by RFC 8415, 18.3.3. Return: false if it must not be answered,
 * since it has no address, or we have none to compare with */
static bool confirm_status(const struct hostnet *net,
			   const struct dhcpv6_request *q, uint16_t *status)
{
	struct view rest = q->opts, data;
	unsigned n = 0;
	int code;

	*status = DHCP6_NOT_ON_LINK;
	if (!inany_is_set(&net->ip6.addr))
		return false;
	while ((code = next_option(&rest, &data)) >= 0)
		if ((code == DHCP6_OPT_IA_NA || code == DHCP6_OPT_IA_TA) &&
		    !all_onlink(net, after(data, ia_fixed(code)), &n))
			return true;
	*status = DHCP6_SUCCESS;
	return n;
}

/* RFC 3646, 3 */
static void dhcpv6_put_dns(struct dhcpv6_answer *r, const struct dns *d)
{
	struct in6_addr ns[CONF_DNS_MAX];
	unsigned i;

	for (i = 0; i < d->n6; i++)
		ns[i] = d->ns6[i].a6;
	if (d->n6)
		put_optional(r, DHCP6_OPT_DNS, ns, d->n6 * sizeof(ns[0]));
}

/* RFC 3646, 4: as many domains as fit */
static void dhcpv6_put_search(struct dhcpv6_answer *r, const struct dns *d)
{
	uint8_t list[REPLY_MAX];
	size_t room = REPLY_MAX - r->len, len = 0;
	unsigned i;

	if (room < sizeof(struct dhcp6_opt))
		return;
	room -= sizeof(struct dhcp6_opt);
	for (i = 0; i < d->nsearch; i++)
		len += domain_encode(d->search[i], list + len, room - len);
	if (len)
		put_optional(r, DHCP6_OPT_SEARCH, list, len);
}

/*
 * Put the client's name if it sent one, or asks for one: RFC 4704, 6. We keep no zone,
 * so N is set and S is not, which overrides a client that wanted S.
 */
static void put_fqdn(struct dhcpv6_answer *r, const struct conf *c,
		     const struct dhcpv6_request *q)
{
	uint8_t opt[1 + DOMAIN_WIRE_MAX] = { DHCP6_FQDN_N };
	size_t len = domain_encode(c->fqdn, opt + 1, sizeof(opt) - 1);

	if (!len || !(q->fqdn.p || is_requested(q, DHCP6_OPT_FQDN)))
		return;
	if (q->fqdn.p && *q->fqdn.p & DHCP6_FQDN_S)
		opt[0] |= DHCP6_FQDN_O;
	put_optional(r, DHCP6_OPT_FQDN, opt, 1 + len);
}

/* Answer a SOLICIT by an offer, or at once by an address: RFC 8415, 18.3.1 */
static void solicit_finish(struct dhcpv6_answer *r,
			   const struct dhcpv6_request *q, bool assigned)
{
	static const uint8_t preference = PREFERENCE_MAX;

	if (q->rapid && assigned) {
		put_option(r, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
		return;
	}
	r->data[0] = DHCP6_ADVERTISE;
	put_option(r, DHCP6_OPT_PREFERENCE, &preference, sizeof(preference));
}

/* Put the header and identifiers of every reply: RFC 8415, 18.3.9 and 18.3.10 */
static void put_header(struct dhcpv6_answer *r, const struct conf *c,
		       const struct dhcpv6_request *q)
{
	const struct dhcp6_duid_ll duid = our_duid(c);
	struct dhcp6_hdr hdr = q->hdr;

	hdr.type = DHCP6_REPLY;
	dhcpv6_put(r, &hdr, sizeof(hdr));
	if (q->client.p)
		put_option(r, DHCP6_OPT_CLIENTID, q->client.p, q->client.len);
	put_option(r, DHCP6_OPT_SERVERID, &duid, sizeof(duid));
}

/* Put the options of a valid message's reply; false if it needs no reply after all */
static bool put_body(struct dhcpv6_answer *r, const struct conf *c,
		     const struct hostnet *net, const struct dns *d,
		     const struct dhcpv6_request *q,
		     const struct msg_rule *rule)
{
	uint16_t status = DHCP6_SUCCESS;
	bool assigned;

	if (rule->status) {
		if (q->hdr.type == DHCP6_CONFIRM &&
		    !confirm_status(net, q, &status))
			return false;
		put_status(r, status);
		return true;
	}
	if (rule->bindings) {
		assigned = put_bindings(r, net, q);
		if (q->hdr.type == DHCP6_SOLICIT)
			solicit_finish(r, q, assigned);
	}
	if (is_requested(q, DHCP6_OPT_DNS))
		dhcpv6_put_dns(r, d);
	put_fqdn(r, c, q);
	if (is_requested(q, DHCP6_OPT_SEARCH))
		dhcpv6_put_search(r, d);
	return true;
}

/* Put the reply to @q into @r; false if there is none */
static bool put_answer(struct dhcpv6_answer *r, const struct conf *c,
		       const struct hostnet *net, const struct dns *d,
		       const struct dhcpv6_request *q, bool unicast)
{
	const struct msg_rule *rule = rule_for(q);

	if (!rule || !request_valid(c, q, rule))
		return false;
	put_header(r, c, q);
	if (!unicast)
		return put_body(r, c, net, d, q, rule) && !r->full;
	if (!rule->use_multicast)
		return false;		/* RFC 8415, 16 */
	put_status(r, DHCP6_USE_MULTICAST);
	return !r->full;
}

/**
 * dhcpv6_reply() - Reply to one message of a client, if it is valid
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Name servers and search list
 * @p:		Packet of kind PKT_UDP to DHCPV6_PORT_SERVER, to the group of
 *		servers or to an address of ours
 * @r:		Filled in if there is a reply
 *
 * Return: bytes of the reply, at most 1232; 0 if there is none
 */
size_t dhcpv6_reply(const struct conf *c, const struct hostnet *net,
		    const struct dns *d, const struct pkt *p,
		    struct datagram *r)
{
	struct dhcpv6_answer w = { .data = r->data };
	uint8_t msg[REQUEST_MAX];
	struct dhcpv6_request q;

	static_assert(sizeof(r->data) >= REPLY_MAX, "a reply fits");
	r->len = 0;
	if (!inany_is_set(&net->ip6.our_ll) || inany_is_v4(&p->src) ||
	    !inany_is_unicast(&p->src) || inany_is_loopback(&p->src) ||
	    p->payload.len > sizeof(msg))
		return 0;

	/* Copy the message once: the guest might still write to it */
	view_copy(p->payload, 0, msg, p->payload.len);
	if (!request_parse(&q, view_of(msg, p->payload.len)) ||
	    !put_answer(&w, c, net, d, &q, !inany_is_multicast(&p->dst)))
		return 0;

	r->src = net->ip6.our_ll;
	r->dst = p->src;
	memcpy(r->dst_mac, p->eth.src, MAC_LEN);
	r->sport = DHCPV6_PORT_SERVER;
	r->dport = DHCPV6_PORT_CLIENT;
	r->leases = w.leases && r->data[0] == DHCP6_REPLY;
	r->len = w.len;
	return r->len;
}
