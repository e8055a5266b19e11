/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan.c - Search for listeners that rules with "auto" forward to
 *
 * Rules that scan ("auto") have a port bound as long as its target has a listener.
 * The kernel does not notify us of new listeners, so we list all of them once a
 * second by sock_diag (sockdiag.c), unless no rule scans. Left out are
 *
 *  our own sockets	by their cookie, or the two directions would forward each
 *			other's sockets
 *  sockets of flows	UDP sockets bound to the guest's port, not connected
 *  loopback		of the namespace, if connections don't get there
 *  multicast		datagrams to our address would not be for that socket
 *  UDP client ports	which the kernel assigns: they look like listeners
 *  UDP 67, 68, 546, 547, which DHCP clients need for themselves
 *
 * A TCP listener counts for UDP, too: some protocols open the UDP socket only after
 * they spoke TCP. Ports that a rule names itself are left alone. A port that can't be
 * bound is tried again every few seconds. On the host, only the first search has the
 * privilege to bind ports below 1024.
 */

#include "scan.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "flow.h"
#include "listen_change.h"
#include "log.h"
#include "nshelper.h"
#include "util.h"
#include "wire.h"

enum {
	SCAN_MS		= 999,		/* at most between searches, see scan_now() */
	SCAN_SLOT_MS	= 64,
	BUSY_MS		= 20,		/* to wait for a change of the rules */
	RETRY_ROUNDS	= 4,		/* searches until a port is tried again */
};

/**
 * scan_init() - Start without a search
 * @s:		All zero
 * @conf:	Configuration
 * @loop:	Has the timer
 * @nsh:	Makes sockets in the namespace, NULL: there is none
 * @flows:	Table of flows, NULL: there are none
 * @listen:	Binds the ports that are found
 */
void scan_init(struct scan *s, const struct conf *conf,
	       const struct hostnet *net, struct loop *loop,
	       struct nshelper *nsh, const struct flow_table *flows,
	       struct listen *listen)
{
	s->conf = conf;
	s->net = net;
	s->loop = loop;
	s->nsh = nsh;
	s->flows = flows;
	s->listen = listen;
	s->diag[0] = s->diag[1] = -1;
	s->timer.ref = (union epoll_ref){ .kind = REF_SCAN };
}

/* Context of one dump */
struct scan_dump {
	struct scan *s;
	unsigned kind;
};

/*
 * is_ephemeral() - Does the kernel assign this port to clients?
 *
 * In the namespace, assume the default range.
 */
static bool is_ephemeral(const struct hostnet *net, bool in_ns, uint16_t port)
{
	if (in_ns)
		return port >= EPHEMERAL_FIRST && port <= EPHEMERAL_LAST;
	return port >= net->ephemeral_first && port <= net->ephemeral_last;
}

/* entry_counts() - May we forward to this socket? See the top of this file */
static bool entry_counts(const struct scan *s, unsigned kind,
			 const struct sockdiag_entry *e)
{
	const struct conf *c = s->conf;
	bool in_ns = kind == RULE_NS_TCP || kind == RULE_NS_UDP;
	bool udp = kind == RULE_HOST_UDP || kind == RULE_NS_UDP;

	if (udp && (is_ephemeral(s->net, in_ns, e->port) ||
		    inany_is_multicast(&e->addr)))
		return false;
	if (in_ns && inany_is_loopback(&e->addr) && !c->host_lo_to_ns_lo &&
	    !c->splice_only)
		return false;
	return !listen_is_own(s->listen, kind, e->port, (uint32_t)e->cookie);
}

static void entry_found(const struct sockdiag_entry *e, void *arg)
{
	const struct scan_dump *d = arg;

	if (entry_counts(d->s, d->kind, e))
		portmap_add(&d->s->found[d->kind], e->port);
}

/* remove_flows() - Remove the ports of our UDP flows on one side */
static void remove_flows(const struct scan *s, enum pif pif,
			 struct portmap *found)
{
	const struct flow *f, *end;
	unsigned side;

	if (!s->flows)
		return;
	end = s->flows->flow + s->flows->high;
	for (f = s->flows->flow; f < end; f++) {
		if (f->proto != IPPROTO_UDP)
			continue;
		for (side = INI; side <= TGT; side++) {
			if (f->pif[side] == pif && f->bound & 1U << side)
				portmap_remove(found, f->side[side].oport);
		}
	}
}

/* scan_kind() - List the listeners of a kind; false if the kernel gives no list */
static bool scan_kind(struct scan *s, unsigned kind)
{
	static const sa_family_t families[] = { AF_INET, AF_INET6 };
	struct scan_dump d = { .s = s, .kind = kind };
	bool in_ns = kind == RULE_NS_TCP || kind == RULE_NS_UDP;
	bool udp = kind == RULE_HOST_UDP || kind == RULE_NS_UDP;
	unsigned i;
	int rc;

	if (in_ns)			/* else we may find a socket that we closed */
		nshelper_settle(s->nsh);
	memset(&s->found[kind], 0, sizeof(s->found[kind]));
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		rc = sockdiag_dump(s->diag[in_ns], udp ? IPPROTO_UDP : IPPROTO_TCP,
				   families[i], ++s->seq, s->diag_buf,
				   entry_found, &d);
		if (rc) {
			debug_limited_rc(rc, "Can't tell who listens");
			return false;
		}
	}
	if (udp)
		remove_flows(s, in_ns ? PIF_SPLICE : PIF_HOST, &s->found[kind]);
	return true;
}

/* Kind of the listeners that rules of a kind look for */
static unsigned target_kind(unsigned kind)
{
	return kind ^ RULE_NS_TCP;
}

static bool rule_scans(const struct scan *s, const struct fwd_rule *r,
		       unsigned kind)
{
	return r->scan && rule_kind(r) == kind && !listen_is_off(s->listen, r);
}

/* Next rule of a kind after @r that scans, NULL if there is none */
static const struct fwd_rule *next_scanning(const struct scan *s, unsigned kind,
					    const struct fwd_rule *r)
{
	while ((r = rules_next(&s->listen->rules, r)))
		if (rule_scans(s, r, kind))
			return r;
	return NULL;
}

static bool kind_scans(const struct scan *s, unsigned kind)
{
	return next_scanning(s, kind, NULL);
}

/**
 * scan_needed() - Does any rule look for listeners?
 * @s:		Search
 * @in_ns:	In the namespace, else on the host
 */
bool scan_needed(const struct scan *s, bool in_ns)
{
	unsigned kind = in_ns ? RULE_HOST_TCP : RULE_NS_TCP;

	return kind_scans(s, kind) || kind_scans(s, kind + 1);
}

/* rule_next() - First port of a rule from @port on that has a listener, else 0 */
static unsigned rule_next(const struct fwd_rule *r, const struct portmap *found,
			  unsigned port)
{
	unsigned to;

	if (port > r->last)
		return 0;
	to = portmap_next(found, port - r->first + r->to);
	if (to == PORTMAP_PORTS || to - r->to > (unsigned)(r->last - r->first))
		return 0;
	return to - r->to + r->first;
}

/* rule_open_found() - Bind ports that have a listener; false if there is no room left */
static bool rule_open_found(struct scan *s, const struct fwd_rule *r,
			    const struct portmap *found)
{
	unsigned kind = rule_kind(r), port = rule_next(r, found, r->first);
	char buf[UTIL_ERROR_STRLEN];
	int rc;

	for (; port; port = rule_next(r, found, port + 1)) {
		if (listen_has(s->listen, r, port) ||
		    (portmap_has(&s->failed[kind], port) &&
		     s->round % RETRY_ROUNDS))
			continue;
		rc = listen_bind(s->listen, r, (uint16_t)port);
		if (listen_is_exhausted(rc)) {
			listen_full_note(s->listen, r, rc);
			return false;
		}
		if (rc && nshelper_error_passes(rc))
			return true;		/* with the next search */
		if (!rc) {
			debug("Port %u is in use, bound for -%c", port,
			      rule_letter(r));
			portmap_remove(&s->failed[kind], port);
		} else if (!portmap_has(&s->failed[kind], port)) {
			debug("Port %u is in use, can't be bound for -%c: %s",
			      port, rule_letter(r), util_strerror(rc, buf));
			portmap_add(&s->failed[kind], port);
		}
	}
	return true;
}

/* close_unwanted() - Close sockets of rules that scan if their listener is gone */
static void close_unwanted(struct scan *s, unsigned kind)
{
	const struct fwd_rule *r;
	uint32_t i;

	for (i = 0; i < s->listen->n; i++) {
		const struct listener *l = listen_at(s->listen, i);

		if (!l)
			continue;
		r = listen_rule(s->listen, l);
		if (!rule_scans(s, r, kind) || portmap_has(&s->want, l->port))
			continue;
		debug("Port %u is no longer in use, closed for -%c", l->port,
		      rule_letter(r));
		listen_unbind(s->listen, i);
	}
}

/* scan_apply() - Bind and close ports of a kind, given the listeners */
static void scan_apply(struct scan *s, unsigned kind,
		       const struct portmap *found)
{
	const struct fwd_rule *r = NULL;
	unsigned i, port;

	memset(&s->want, 0, sizeof(s->want));
	while ((r = next_scanning(s, kind, r)))
		for (port = rule_next(r, found, r->first); port;
		     port = rule_next(r, found, port + 1))
			portmap_add(&s->want, port);
	for (i = 0; i < ARRAY_SIZE(s->want.word); i++)
		s->failed[kind].word[i] &= s->want.word[i];
	close_unwanted(s, kind);
	while ((r = next_scanning(s, kind, r)) && rule_open_found(s, r, found))
		;
}

/* remove_dhcp() - Remove the ports of RFC 2131 and RFC 8415 */
static void remove_dhcp(struct portmap *udp)
{
	portmap_remove(udp, DHCP_PORT_SERVER);
	portmap_remove(udp, DHCP_PORT_CLIENT);
	portmap_remove(udp, DHCPV6_PORT_CLIENT);
	portmap_remove(udp, DHCPV6_PORT_SERVER);
}

/*
 * scan_direction() - Search for rules from the host to the namespace, or back
 * @tcp:	Kind of the sockets for TCP; the kind for UDP follows
 *
 * If the kernel gives no list, everything stays as it is.
 */
static void scan_direction(struct scan *s, unsigned tcp)
{
	unsigned udp = tcp + 1, tcp_to = target_kind(tcp),
		 udp_to = target_kind(udp);
	struct portmap *found = &s->found[udp_to];
	bool have_tcp = kind_scans(s, tcp);
	unsigned i;

	if (s->diag[tcp_to >= RULE_NS_TCP] < 0)
		return;
	if (have_tcp && !scan_kind(s, tcp_to))
		return;
	if (have_tcp)
		scan_apply(s, tcp, &s->found[tcp_to]);
	if (!kind_scans(s, udp) || !scan_kind(s, udp_to))
		return;
	for (i = 0; have_tcp && i < ARRAY_SIZE(found->word); i++)
		found->word[i] |= s->found[tcp_to].word[i];
	remove_dhcp(found);
	scan_apply(s, udp, found);
}

/*
 * diag_retry() - Get the sock_diag socket of the namespace, if there was none at start
 *
 * Errors that don't pass have been logged.
 */
static void diag_retry(struct scan *s)
{
	if (!s->diag_missing)
		return;
	s->diag[1] = nshelper_diag(s->nsh);
	s->diag_missing = s->diag[1] < 0 && nshelper_error_passes(s->diag[1]);
	if (s->diag[1] >= 0)
		info("Listeners of the namespace can be told from now on");
}

/**
 * scan_now() - Search once; called when the timer of REF_SCAN fires
 *
 * Without a rule that scans, the timer is not armed again: see scan_resume().
 */
void scan_now(struct scan *s)
{
	uint64_t at = s->loop->now_ms + SCAN_MS;

	if (!scan_needed(s, false) && !scan_needed(s, true))
		return;
	if (listen_busy(s->listen)) {
		wheel_arm(&s->loop->wheel, &s->timer, s->loop->now_ms + BUSY_MS);
		return;
	}
	diag_retry(s);
	scan_direction(s, RULE_HOST_TCP);
	scan_direction(s, RULE_NS_TCP);
	listen_full_warn(s->listen);
	s->round++;
	/* Search again within a second: for such a delay the timer wheel has
	 * slots of 64 ms and rounds up to them */
	wheel_arm(&s->loop->wheel, &s->timer, at - at % SCAN_SLOT_MS);
}

/**
 * scan_start() - Search for the first time, and once a second from then on
 * @s:		Search
 * @diag_host:	Socket from sockdiag_open() on the host, which is kept; negative errno:
 *		there is none, which is a warning if it is needed
 * @diag_ns:	The same in the namespace
 *
 * To be called after listen_apply(), and before the sandbox.
 */
void scan_start(struct scan *s, int diag_host, int diag_ns)
{
	char buf[UTIL_ERROR_STRLEN];

	if (diag_host < 0 && scan_needed(s, false))
		warn("Can't tell who listens on the host: %s",
		     util_strerror(diag_host, buf));
	if (diag_ns < 0 && scan_needed(s, true)) {
		s->diag_missing = nshelper_error_passes(diag_ns);
		warn("Can't tell who listens in the namespace%s: %s",
		     s->diag_missing ? " for now" : "",
		     util_strerror(diag_ns, buf));
	}
	s->diag[0] = diag_host;
	s->diag[1] = diag_ns;
	if (diag_host < 0 && diag_ns < 0 && !s->diag_missing)
		return;
	scan_now(s);
}

/* scan_resume() - The rules have changed: search again if there are rules that scan */
void scan_resume(struct scan *s)
{
	bool possible = s->diag[0] >= 0 || s->diag[1] >= 0 || s->diag_missing;

	if (possible && !timer_armed(&s->timer))
		wheel_arm(&s->loop->wheel, &s->timer, s->loop->now_ms);
}

/* scan_stop() - End the search */
void scan_stop(struct scan *s)
{
	wheel_cancel(&s->loop->wheel, &s->timer);
	for (unsigned i = 0; i < 2; i++) {
		if (s->diag[i] >= 0)
			close(s->diag[i]);
		s->diag[i] = -1;
	}
}
