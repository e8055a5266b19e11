/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dhcp.c - DHCP and BOOTP server: a pure function
 *
 * There is one address, and every client gets it, so nothing is kept from one
 * message to the next: other servers look up leases, this one its configuration. A
 * reply depends on its request (RFC 2131, 4.3):
 *
 *	request						reply
 *	DISCOVER					OFFER
 *	DISCOVER with option 80 (RFC 4039)		ACK
 *	REQUEST to another server (option 54)		none, it is that one's
 *	REQUEST for the address (option 50 or ciaddr)	ACK
 *	REQUEST for another address			NAK
 *	REQUEST for no address				none
 *	INFORM						ACK, no address, no lease
 *	DECLINE, RELEASE				none, nothing to give back
 *	BOOTP: no option 53				reply without lease
 *	anything from a relay (giaddr)			none, there is none here
 *
 * A message that is malformed in any part that we read gets no reply. A missing end
 * (option 255, or all options) is no error.
 *
 * The lease is infinite: the address is the host's or the configured one, and is
 * never given to another client. A finite lease would expire while the host or the
 * guest sleeps, and its renewals would wake up both for nothing. T1 and T2 are
 * infinite, too: a client that takes 0xffffffff for a number of seconds is not
 * back within a century; clients that add it to a time of 32 bits know that case.
 *
 * The server's identifier and address is the gateway's. Without a gateway, as on
 * a host whose default route is a point-to-point link, dhcp_server() chooses another
 * address that leads to us, and that is the guest's router, too.
 *
 * Options are sent in the order of their numbers, behind the message type (mTCP and
 * WATTCP want that one first). If not all fit the client's maximum message size
 * (option 57), the least important ones are left out. The fields sname and file are
 * never used for options (overload), as not all clients look there.
 */

#include "dhcp.h"

#include <string.h>

#include "domain.h"

#define INFINITE	0xffffffffU		/* RFC 2131, 3.3 */
#define IP_UDP_LEN	(sizeof(struct ip4_hdr) + sizeof(struct udp_hdr))
#define BOOTP_HDR_LEN	offsetof(struct dhcp_msg, cookie)
#define SERVER_LL	0xa9fe0101U		/* 169.254.1.1 */

/* Requests ----------------------------------------------------------------- */

/* Options that we read, with their valid lengths */
enum value_index {
	V_ADDR, V_OVERLOAD, V_TYPE, V_SERVER, V_LIST, V_MAX, V_CLIENT_ID,
	V_RAPID, V_FQDN, V_COUNT,
};

static const struct {
	uint8_t code;
	uint16_t min, max;
} known[V_COUNT] = {
	[V_ADDR]	= { DHCP_OPT_ADDR, 4, 4 },
	[V_OVERLOAD]	= { DHCP_OPT_OVERLOAD, 1, 1 },
	[V_TYPE]	= { DHCP_OPT_TYPE, 1, 1 },
	[V_SERVER]	= { DHCP_OPT_SERVER, 4, 4 },
	[V_LIST]	= { DHCP_OPT_LIST, 1, UINT16_MAX },
	[V_MAX]		= { DHCP_OPT_MAX, 2, 2 },
	[V_CLIENT_ID]	= { DHCP_OPT_CLIENT_ID, 1, DHCP_OPT_LEN_MAX },
	[V_RAPID]	= { DHCP_OPT_RAPID, 0, 0 },
	[V_FQDN]	= { DHCP_OPT_FQDN, 3, UINT16_MAX },
};

/**
 * struct value - All instances of one option, concatenated: RFC 3396, 7
 * @given:	True if the option was in the message
 * @len:	Length of all instances, bytes; may exceed the size of @b
 * @b:		Their contents, as far as there is room
 */
struct value {
	bool given;
	size_t len;
	uint8_t b[DHCP_OPT_LEN_MAX];
};

/**
 * struct dhcp_request - A checked message
 * @m:		Fixed part; the cookie is 0 if the message ends before it
 * @v:		Options
 * @type:	DHCP_*, 0 for BOOTP
 */
struct dhcp_request {
	struct dhcp_msg m;
	struct value v[V_COUNT];
	uint8_t type;
};

static be32 value_be32(const struct value *v)
{
	be32 x;

	memcpy(&x, v->b, sizeof(x));
	return x;
}

static void take_option(struct dhcp_request *q, uint8_t code, struct view data)
{
	size_t len = data.len, room, i;

	for (i = 0; i < V_COUNT && known[i].code != code; i++)
		;
	if (i == V_COUNT)
		return;
	q->v[i].given = true;
	if (q->v[i].len < sizeof(q->v[i].b)) {
		room = sizeof(q->v[i].b) - q->v[i].len;
		view_take(&data, q->v[i].b + q->v[i].len,
			  len < room ? len : room);
	}
	q->v[i].len += len;
}

/* Read a field of options; false if an option goes beyond its end */
static bool take_options(struct dhcp_request *q, struct view field)
{
	struct view data;
	uint8_t code, len;

	while (view_take(&field, &code, 1) && code != DHCP_OPT_END) {
		if (code == DHCP_OPT_PAD)
			continue;
		if (!view_take(&field, &len, 1) ||
		    !view_split(&field, len, &data))
			return false;
		take_option(q, code, data);
	}
	return true;
}

/* Read options from the fields of names, in the order of RFC 3396, 5 */
static bool take_overload(struct dhcp_request *q)
{
	uint8_t fields = q->v[V_OVERLOAD].b[0];

	if (!q->v[V_OVERLOAD].given)
		return true;
	if (!fields || fields & ~(DHCP_OVERLOAD_FILE | DHCP_OVERLOAD_SNAME))
		return false;
	if (fields & DHCP_OVERLOAD_FILE &&
	    !take_options(q, view_of(q->m.file, sizeof(q->m.file))))
		return false;
	return !(fields & DHCP_OVERLOAD_SNAME) ||
	       take_options(q, view_of(q->m.sname, sizeof(q->m.sname)));
}

static bool values_valid(const struct dhcp_request *q)
{
	for (unsigned i = 0; i < V_COUNT; i++) {
		const struct value *v = &q->v[i];

		if (v->given && (v->len < known[i].min ||
				 v->len > known[i].max))
			return false;
	}
	return true;
}

static bool read_options(struct dhcp_request *q, struct view options)
{
	if (q->m.cookie != htonl(DHCP_COOKIE))
		return true;		/* plain BOOTP: RFC 951 */
	if (!take_options(q, options) || !take_overload(q) || !values_valid(q))
		return false;
	if (!q->v[V_TYPE].given)
		return true;		/* BOOTP: RFC 2132, 2 */
	q->type = q->v[V_TYPE].b[0];
	return q->type != 0;
}

/* Accept only Ethernet, a client on this link, and a unicast hardware address */
static bool header_valid(const struct dhcp_msg *m)
{
	static const uint8_t none[MAC_LEN];

	return m->op == DHCP_OP_REQUEST && m->htype == ARP_HTYPE_ETHER &&
	       m->hlen == MAC_LEN && !m->giaddr && !(m->chaddr[0] & 1) &&
	       memcmp(m->chaddr, none, MAC_LEN);
}

static bool parse_request(struct dhcp_request *q, const struct pkt *p)
{
	struct view rest = p->payload;
	size_t fixed = rest.len < sizeof(q->m) ? BOOTP_HDR_LEN : sizeof(q->m);

	memset(q, 0, sizeof(*q));
	return p->kind == PKT_UDP && inany_is_v4(&p->src) &&
	       view_take(&rest, &q->m, fixed) && header_valid(&q->m) &&
	       read_options(q, rest);
}

/* Decisions ---------------------------------------------------------------- */

enum {					/* kinds of a reply, as bits */
	K_LEASE = 1, K_INFORM = 2, K_NAK = 4, K_BOOTP = 8,
	K_NONE = 0,
};

/**
 * struct dhcp_answer - A reply, and everything that it follows from
 * @kind:	K_*
 * @type:	DHCP_*, not used for BOOTP
 * @yiaddr, @ciaddr:	Fields of the message
 * @server:	Our address
 * @search:	Contents of option 119, as many domains as fit, @search_len bytes
 */
struct dhcp_answer {
	const struct conf *c;
	const struct hostnet *net;
	const struct dns *d;
	const struct dhcp_request *q;
	unsigned kind;
	uint8_t type;
	be32 yiaddr, ciaddr, server;
	size_t search_len;
	uint8_t search[sizeof(((struct datagram *)0)->data)];
};

static be32 own_addr(const struct hostnet *net)
{
	return net->ip4.addr.v4mapped.a4.s_addr;
}

static bool is_usable(const struct hostnet *net, const union inany *a)
{
	return inany_is_set(a) && inany_is_v4(a) && inany_is_unicast(a) &&
	       !inany_equals(a, &net->ip4.addr);
}

/**
 * dhcp_server() - Choose the address that identifies us as a server
 * @net:	Network of the host
 *
 * The gateway comes first, then the address that stands for the host's loopback, then
 * the first address of the subnet that is not the guest's, then a link-local one. The
 * guest gets our MAC address for any of them by ARP.
 */
union inany dhcp_server(const struct hostnet *net)
{
	uint32_t own = ntohl(own_addr(net)), addr = SERVER_LL, hosts;
	struct in_addr a4;

	if (is_usable(net, &net->ip4.gw))
		return net->ip4.gw;
	if (is_usable(net, &net->ip4.map_host_loopback))
		return net->ip4.map_host_loopback;

	if (net->ip4.prefix_len && net->ip4.prefix_len < 31) {
		hosts = UINT32_MAX >> net->ip4.prefix_len;
		addr = (own & ~hosts) + 1;
	}
	if (addr == own)
		addr++;
	a4.s_addr = htonl(addr);
	return inany_from_v4(a4);
}

/* May a reply go to the address that the client claims to have? */
static bool ciaddr_valid(const struct dhcp_answer *a)
{
	const struct in_addr a4 = { .s_addr = a->q->m.ciaddr };
	union inany addr = inany_from_v4(a4);

	return inany_is_unicast(&addr) && !inany_is_loopback(&addr) &&
	       a4.s_addr != a->server;
}

/* Decide on a REQUEST, for all four states of a client: RFC 2131, 4.3.2 */
static unsigned decide_request(const struct dhcp_answer *a)
{
	const struct dhcp_request *q = a->q;
	bool named = q->v[V_ADDR].given;
	be32 wanted = named ? value_be32(&q->v[V_ADDR]) : q->m.ciaddr;

	if (q->v[V_SERVER].given && value_be32(&q->v[V_SERVER]) != a->server)
		return K_NONE;
	if (!named && !q->m.ciaddr)
		return K_NONE;
	if (wanted != own_addr(a->net) ||
	    (q->m.ciaddr && q->m.ciaddr != wanted))
		return K_NAK;
	return K_LEASE;
}

/* Answer BOOTP even if the client knows its address: RFC 951 */
static unsigned decide_bootp(struct dhcp_answer *a)
{
	if (a->q->m.ciaddr && !ciaddr_valid(a))
		return K_NONE;
	a->ciaddr = a->q->m.ciaddr;
	a->yiaddr = a->ciaddr ? 0 : own_addr(a->net);
	return K_BOOTP;
}

static unsigned decide(struct dhcp_answer *a)
{
	const struct dhcp_request *q = a->q;
	unsigned kind;

	switch (q->type) {
	case 0:
		return decide_bootp(a);
	case DHCP_DISCOVER:		/* ciaddr is 0: RFC 2131, table 3 */
		a->type = q->v[V_RAPID].given ? DHCP_ACK : DHCP_OFFER;
		a->yiaddr = own_addr(a->net);
		return K_LEASE;
	case DHCP_REQUEST:
		kind = decide_request(a);
		a->type = kind == K_NAK ? DHCP_NAK : DHCP_ACK;
		if (kind == K_LEASE) {
			a->yiaddr = own_addr(a->net);
			a->ciaddr = q->m.ciaddr;
		}
		return kind;
	case DHCP_INFORM:
		if (q->m.ciaddr && !ciaddr_valid(a))
			return K_NONE;
		a->type = DHCP_ACK;
		a->ciaddr = q->m.ciaddr;
		return K_INFORM;
	default:			/* DECLINE, RELEASE, messages of servers */
		return K_NONE;
	}
}

/* Options of the reply ----------------------------------------------------- */

/*
 * Each of these writes the contents of an option to @b, DHCP_OPT_LEN_MAX bytes at
 * most, and returns their length, or NO_OPTION to leave the option out
 */
#define NO_OPTION	(-1)

static int put_be32(uint8_t *b, be32 x)
{
	memcpy(b, &x, sizeof(x));
	return sizeof(x);
}

static int opt_type(const struct dhcp_answer *a, uint8_t *b)
{
	b[0] = a->type;
	return 1;
}

static uint32_t netmask(const struct hostnet *net)
{
	return net->ip4.prefix_len ?
	       UINT32_MAX << (32 - net->ip4.prefix_len) : 0;
}

static int opt_mask(const struct dhcp_answer *a, uint8_t *b)
{
	return put_be32(b, htonl(netmask(a->net)));
}

/* We answer ARP for every address but the guest's: any of ours is a router */
static be32 router_of(const struct hostnet *net)
{
	return dhcp_server(net).v4mapped.a4.s_addr;
}

static int opt_router(const struct dhcp_answer *a, uint8_t *b)
{
	return put_be32(b, router_of(a->net));
}

static int opt_dns(const struct dhcp_answer *a, uint8_t *b)
{
	int len = 0;

	for (unsigned i = 0; i < a->d->n4 && i < CONF_DNS_MAX; i++)
		len += put_be32(b + len, a->d->ns4[i].v4mapped.a4.s_addr);
	return len ? len : NO_OPTION;
}

/* Clients pass names to scripts, which may have holes */
static bool name_valid(const char *name)
{
	return domain_judge(name, domain_len(name)) >= DOMAIN_SAFE;
}

/* Write a name as text, without a final dot */
static int put_name(const char *name, uint8_t *b)
{
	size_t len = domain_len(name);

	if (!name_valid(name))
		return NO_OPTION;
	memcpy(b, name, len);
	return (int)len;
}

static int opt_hostname(const struct dhcp_answer *a, uint8_t *b)
{
	return put_name(a->c->hostname, b);
}

static int opt_domain(const struct dhcp_answer *a, uint8_t *b)
{
	return a->d->nsearch ? put_name(a->d->search[0], b) : NO_OPTION;
}

static int opt_mtu(const struct dhcp_answer *a, uint8_t *b)
{
	if (a->net->mtu < CONF_MTU_MIN_IPV4 || a->net->mtu > UINT16_MAX)
		return NO_OPTION;
	b[0] = a->net->mtu >> 8;
	b[1] = a->net->mtu;
	return 2;
}

static int opt_infinite(const struct dhcp_answer *a, uint8_t *b)
{
	(void)a;
	return put_be32(b, INFINITE);
}

static int opt_server(const struct dhcp_answer *a, uint8_t *b)
{
	return put_be32(b, a->server);
}

static int opt_message(const struct dhcp_answer *a, uint8_t *b)
{
	static const char text[] = "address not available";

	(void)a;
	memcpy(b, text, sizeof(text) - 1);
	return sizeof(text) - 1;
}

/* Return the client identifier to the client: RFC 6842, 3 */
static int opt_client_id(const struct dhcp_answer *a, uint8_t *b)
{
	const struct value *v = &a->q->v[V_CLIENT_ID];

	if (!v->given)
		return NO_OPTION;
	memcpy(b, v->b, v->len);
	return (int)v->len;
}

static int opt_rapid(const struct dhcp_answer *a, uint8_t *b)
{
	(void)b;
	return a->q->type == DHCP_DISCOVER && a->type == DHCP_ACK ? 0 : NO_OPTION;
}

/* Tell the client its name. No server here updates the DNS, even if the client
 * asks for that; the encoding is the client's choice: RFC 4702, 4 */
static int opt_fqdn(const struct dhcp_answer *a, uint8_t *b)
{
	const struct value *v = &a->q->v[V_FQDN];
	uint8_t theirs = v->given ? v->b[0] : DHCP_FQDN_E;
	uint8_t name[DHCP_OPT_LEN_MAX];
	int len = put_name(a->c->fqdn, name);

	if (len != NO_OPTION && theirs & DHCP_FQDN_E)
		len = (int)domain_encode(a->c->fqdn, name, sizeof(name));
	if (len == NO_OPTION || len > DHCP_OPT_LEN_MAX - 3)
		return NO_OPTION;
	b[0] = DHCP_FQDN_N | (theirs & DHCP_FQDN_E);
	if (theirs & DHCP_FQDN_S)
		b[0] |= DHCP_FQDN_O;
	b[1] = b[2] = 255;
	memcpy(b + 3, name, (size_t)len);
	return 3 + len;
}

static int opt_search(const struct dhcp_answer *a, uint8_t *b)
{
	(void)a;
	(void)b;
	return NO_OPTION;		/* see write_search() */
}

/* Make a gateway outside the subnet a neighbour: RFC 3442. A client that reads this
 * option ignores the one for routers */
static int opt_routes(const struct dhcp_answer *a, uint8_t *b)
{
	be32 gw = router_of(a->net);
	int len = 0;

	if (a->net->ip4.prefix_len < 32 &&
	    !((gw ^ own_addr(a->net)) & htonl(netmask(a->net))))
		return NO_OPTION;
	b[len++] = 32;			/* the gateway, on this link */
	len += put_be32(b + len, gw);
	len += put_be32(b + len, 0);
	b[len++] = 0;			/* default, by the gateway */
	len += put_be32(b + len, gw);
	return len;
}

/**
 * struct option - An option of replies
 * @code:	DHCP_OPT_*
 * @kinds:	Kinds of replies that have the option, K_*
 * @asked:	True if the client has to ask for the option
 * @rank:	Options of the highest rank are left out first if room is short; those of
 *		rank 0 fit into BOOTP_MIN and are never left out
 * @put:	Function that writes the contents
 */
static const struct option {
	uint8_t code;
	uint8_t kinds;
	bool asked;
	uint8_t rank;
	int (*put)(const struct dhcp_answer *a, uint8_t *b);
} options[] = {
	{ DHCP_OPT_TYPE, K_LEASE | K_INFORM | K_NAK, false, 0, opt_type },
	{ DHCP_OPT_MASK, K_LEASE | K_INFORM | K_BOOTP, false, 0, opt_mask },
	{ DHCP_OPT_ROUTER, K_LEASE | K_INFORM | K_BOOTP, true, 2, opt_router },
	{ DHCP_OPT_DNS, K_LEASE | K_INFORM | K_BOOTP, true, 5, opt_dns },
	{ DHCP_OPT_HOSTNAME, K_LEASE | K_INFORM | K_BOOTP, true, 6, opt_hostname },
	{ DHCP_OPT_DOMAIN, K_LEASE | K_INFORM | K_BOOTP, true, 7, opt_domain },
	{ DHCP_OPT_MTU, K_LEASE | K_INFORM | K_BOOTP, true, 4, opt_mtu },
	{ DHCP_OPT_LEASE, K_LEASE, false, 0, opt_infinite },
	{ DHCP_OPT_SERVER, K_LEASE | K_INFORM | K_NAK, false, 0, opt_server },
	{ DHCP_OPT_MESSAGE, K_NAK, false, 9, opt_message },
	{ DHCP_OPT_T1, K_LEASE, false, 10, opt_infinite },
	{ DHCP_OPT_T2, K_LEASE, false, 10, opt_infinite },
	{ DHCP_OPT_CLIENT_ID, K_LEASE | K_INFORM | K_NAK, false, 1, opt_client_id },
	{ DHCP_OPT_RAPID, K_LEASE, false, 0, opt_rapid },
	{ DHCP_OPT_FQDN, K_LEASE | K_INFORM, true, 8, opt_fqdn },
	{ DHCP_OPT_SEARCH, K_LEASE | K_INFORM, true, 0, opt_search },
	{ DHCP_OPT_ROUTES, K_LEASE | K_INFORM, true, 3, opt_routes },
};

#define OPTIONS		(sizeof(options) / sizeof(options[0]))
#define RANK_MAX	10

/* Does this reply have this option? Without a parameter request list, a client
 * gets all; one that sends its name gets a name back: RFC 4702, 4 */
static bool is_wanted(const struct dhcp_answer *a, const struct option *o)
{
	const struct value *l = &a->q->v[V_LIST];
	size_t n = l->len < sizeof(l->b) ? l->len : sizeof(l->b);

	return o->kinds & a->kind &&
	       (!o->asked || !l->given || memchr(l->b, o->code, n) ||
		(o->code == DHCP_OPT_FQDN && a->q->v[V_FQDN].given));
}

/* Size of all options up to a rank with the end option, bytes */
static size_t options_size(const struct dhcp_answer *a, unsigned rank)
{
	uint8_t scratch[DHCP_OPT_LEN_MAX];
	size_t size = 1;
	int len;

	for (const struct option *o = options; o < options + OPTIONS; o++) {
		if (o->rank > rank || !is_wanted(a, o))
			continue;
		len = o->put(a, scratch);
		if (len != NO_OPTION)
			size += 2 + (size_t)len;
	}
	return size;
}

/* Encode as many domains as fit. They are not compressed: few search lists are so
 * long that it would matter, and some clients fail to expand them: RFC 3397, 2 */
static void encode_search(struct dhcp_answer *a, size_t room)
{
	a->search_len = 0;
	for (unsigned i = 0; i < a->d->nsearch && i < CONF_SEARCH_MAX; i++) {
		const char *name = a->d->search[i];
		uint8_t *to = a->search + a->search_len;
		size_t len, all, headers;

		if (!name_valid(name))
			continue;
		len = domain_encode(name, to, sizeof(a->search) - a->search_len);
		all = a->search_len + len;
		headers = (all + DHCP_OPT_LEN_MAX - 1) / DHCP_OPT_LEN_MAX;
		if (!len || all + 2 * headers > room)
			break;
		a->search_len = all;
	}
}

static uint8_t *write_search(const struct dhcp_answer *a, uint8_t *b)
{
	for (size_t at = 0; at < a->search_len; ) {
		size_t len = a->search_len - at;

		if (len > DHCP_OPT_LEN_MAX)
			len = DHCP_OPT_LEN_MAX;
		*b++ = DHCP_OPT_SEARCH;
		*b++ = len;
		memcpy(b, a->search + at, len);
		b += len;
		at += len;
	}
	return b;
}

/* Write the options that fit into @room bytes, return the number of bytes */
static size_t write_options(struct dhcp_answer *a, uint8_t *b, size_t room)
{
	uint8_t *start = b;
	unsigned rank = RANK_MAX, i;
	size_t size;

	while ((size = options_size(a, rank)) > room && rank)
		rank--;
	a->search_len = 0;
	for (i = 0; i < OPTIONS; i++)
		if (options[i].code == DHCP_OPT_SEARCH &&
		    is_wanted(a, &options[i]))
			encode_search(a, room - size);

	for (i = 0; i < OPTIONS; i++) {
		const struct option *o = &options[i];
		int len;

		if (o->code == DHCP_OPT_SEARCH)
			b = write_search(a, b);
		if (o->rank > rank || !is_wanted(a, o))
			continue;
		len = o->put(a, b + 2);
		if (len == NO_OPTION)
			continue;
		b[0] = o->code;
		b[1] = len;
		b += 2 + len;
	}
	*b++ = DHCP_OPT_END;
	return (size_t)(b - start);
}

/* The message -------------------------------------------------------------- */

/* Largest message that the client accepts and that needs no fragments, bytes */
static size_t message_max(const struct dhcp_answer *a, const struct pkt *p,
			  size_t size)
{
	const struct value *v = &a->q->v[V_MAX];
	size_t max = DHCP_IP_MIN;

	if (a->kind == K_BOOTP)		/* it accepts the size that it sends */
		max = p->payload.len + IP_UDP_LEN < max ?
		      p->payload.len + IP_UDP_LEN : max;
	else if ((size_t)(v->b[0] << 8 | v->b[1]) > max)
		max = (size_t)(v->b[0] << 8 | v->b[1]);
	if (a->net->mtu && max > a->net->mtu)
		max = a->net->mtu;
	if (max < BOOTP_MIN + IP_UDP_LEN)
		max = BOOTP_MIN + IP_UDP_LEN;
	return max - IP_UDP_LEN < size ? max - IP_UDP_LEN : size;
}

static size_t write_message(struct dhcp_answer *a, const struct pkt *p,
			    struct datagram *r)
{
	const struct dhcp_msg *q = &a->q->m;
	struct dhcp_msg m = {
		.op = DHCP_OP_REPLY, .htype = q->htype, .hlen = q->hlen,
		.xid = q->xid, .flags = q->flags & htons(DHCP_BROADCAST),
		.ciaddr = a->ciaddr, .yiaddr = a->yiaddr,
	};
	size_t max = message_max(a, p, sizeof(r->data)), len = sizeof(m);

	memcpy(m.chaddr, q->chaddr, MAC_LEN);
	memset(r->data, 0, sizeof(r->data));
	/* A BOOTP client with other vendor data gets no options: RFC 1497 */
	if (a->kind != K_BOOTP || !q->cookie ||
	    q->cookie == htonl(DHCP_COOKIE)) {
		m.cookie = htonl(DHCP_COOKIE);
		len += write_options(a, r->data + len, max - len);
	}
	memcpy(r->data, &m, sizeof(m));
	return len < BOOTP_MIN ? BOOTP_MIN : len;
}

/* Choose the destination by RFC 2131, 4.1. A NAK has no address and is broadcast; the
 * answer to an INFORM without an address goes to the source of the packet */
static void dhcp_set_destination(const struct dhcp_answer *a,
				 const struct pkt *p, struct datagram *r)
{
	static const uint8_t broadcast[MAC_LEN] = MAC_BROADCAST;
	struct in_addr a4 = { .s_addr = htonl(INADDR_BROADCAST) };
	bool to_all = a->q->m.flags & htons(DHCP_BROADCAST);

	if (a->ciaddr)
		a4.s_addr = a->ciaddr;
	else if (!to_all && a->yiaddr)
		a4.s_addr = a->yiaddr;
	else if (a->kind == K_INFORM && inany_is_unicast(&p->src))
		a4 = p->src.v4mapped.a4;
	r->dst = inany_from_v4(a4);
	memcpy(r->dst_mac, a4.s_addr == htonl(INADDR_BROADCAST) ?
	       broadcast : a->q->m.chaddr, MAC_LEN);
}

/**
 * dhcp_reply() - Reply to one message to our port
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Name servers and search list to hand out
 * @p:		Packet to port DHCP_PORT_SERVER, unicast to us or broadcast
 * @r:		Filled in if there is a reply
 *
 * Return: bytes of the reply, 0 if there is none
 */
size_t dhcp_reply(const struct conf *c, const struct hostnet *net,
		  const struct dns *d, const struct pkt *p, struct datagram *r)
{
	struct dhcp_request q;
	struct dhcp_answer a = { .c = c, .net = net, .d = d, .q = &q };

	r->len = 0;
	if (!net->ip4.enabled || c->no_dhcp || !inany_is_set(&net->ip4.addr) ||
	    inany_is_unspecified(&net->ip4.addr) || !parse_request(&q, p))
		return 0;

	r->src = dhcp_server(net);
	a.server = r->src.v4mapped.a4.s_addr;
	a.kind = decide(&a);
	if (a.kind == K_NONE)
		return 0;

	dhcp_set_destination(&a, p, r);
	r->sport = DHCP_PORT_SERVER;
	r->dport = DHCP_PORT_CLIENT;
	r->leases = a.yiaddr && a.type != DHCP_OFFER;
	r->len = write_message(&a, p, r);
	return r->len;
}
