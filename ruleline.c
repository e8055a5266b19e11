/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleline.c - Forwarding rules as fields of JSON lines
 *
 * doc/control.md has the fields, of answers about single rules and of the list of rules.
 */

#include "ruleline.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#include "listen.h"
#include "rulestat.h"
#include "util.h"

#define PRIVILEGED	\
	". Ports below net.ipv4.ip_unprivileged_port_start take a privilege that is " \
	"given up after the start: lower that limit, or give the rule as an option"

/* ruleline_kind() - Word for a kind of rules */
const char *ruleline_kind(unsigned kind)
{
	static const char *const names[RULE_KINDS] = {
		[RULE_HOST_TCP] = "tcp", [RULE_HOST_UDP] = "udp",
		[RULE_NS_TCP] = "tcp-ns", [RULE_NS_UDP] = "udp-ns",
	};

	return names[kind];
}

/* ruleline_errno() - Name of an error that a port can have; EIO for any other */
const char *ruleline_errno(int error)
{
	static const struct {
		int value;
		const char *name;
	} names[] = {
		{ EACCES, "EACCES" }, { EADDRINUSE, "EADDRINUSE" },
		{ EADDRNOTAVAIL, "EADDRNOTAVAIL" }, { EPERM, "EPERM" },
		{ EAFNOSUPPORT, "EAFNOSUPPORT" }, { EINVAL, "EINVAL" },
		{ EMFILE, "EMFILE" }, { ENFILE, "ENFILE" },
		{ ENOBUFS, "ENOBUFS" }, { ENODEV, "ENODEV" },
		{ ENOMEM, "ENOMEM" }, { ENOSPC, "ENOSPC" },
		{ ETIMEDOUT, "ETIMEDOUT" }, { EAGAIN, "EAGAIN" },
		{ EPIPE, "EPIPE" }, { ENOENT, "ENOENT" },
		{ EEXIST, "EEXIST" }, { ENETDOWN, "ENETDOWN" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].value == error || names[i].value == -error)
			return names[i].name;
	return "EIO";
}

/* ruleline_spec() - Kind and specification of a rule */
void ruleline_spec(struct jsonline *j, const struct fwd_rule *r)
{
	char spec[RULES_SPEC];

	jsonline_str(j, "kind", ruleline_kind(rule_kind(r)));
	jsonline_str(j, "spec", rules_spec(r, spec));
}

/**
 * ruleline_error() - Say why a port of a rule is not bound
 * @j:		Gets the fields "error" and "text", nothing if @error is 0
 * @r:		Rule
 * @port:	Port
 * @error:	Negative errno
 */
void ruleline_error(struct jsonline *j, const struct fwd_rule *r, uint16_t port,
		    int error)
{
	char text[RULELINE_TEXT], reason[UTIL_ERROR_STRLEN], spec[RULES_SPEC];
	struct fwd_rule one = { .addr = r->addr, .only6 = r->only6,
				.first = port, .last = port, .to = port };

	if (!error)
		return;
	util_strcpy(one.ifname, sizeof(one.ifname), r->ifname);
	snprintf(text, sizeof(text), "%s port %s%s: %s%s",
		 r->proto == IPPROTO_TCP ? "TCP" : "UDP",
		 rules_spec(&one, spec), r->from_ns ? " of the namespace" : "",
		 util_strerror(error, reason),
		 error == -EACCES ? PRIVILEGED : "");
	jsonline_str(j, "error", ruleline_errno(error));
	jsonline_str(j, "text", text);
}

/* ruleline_name() - Number of a rule, and the generation that made it; gen 0: none */
void ruleline_name(struct jsonline *j, struct rule_ref ref)
{
	if (!ref.gen) {
		jsonline_null(j, "rule");
		return;
	}
	jsonline_num(j, "rule", ref.number);
	jsonline_num(j, "made", ref.gen);
}

/**
 * ruleline_state() - State of a rule
 * @j:		Gets the fields "state", "ports", "bound", and why, if the rule waits
 * @l:		Listening sockets
 * @r:		Rule of their table
 * @state:	Word in place of the state, NULL: none
 */
void ruleline_state(struct jsonline *j, const struct listen *l,
		    const struct fwd_rule *r, const char *state)
{
	static const char *const words[] = {
		[LISTEN_BOUND] = "bound", [LISTEN_WAITING] = "waiting",
		[LISTEN_SCAN] = "scan", [LISTEN_WEAK] = "weak",
	};
	struct listen_info info;

	listen_info(l, r, &info);
	jsonline_str(j, "state", state ? state : words[info.state]);
	jsonline_num(j, "ports", info.ports);
	jsonline_num(j, "bound", info.bound);
	if (info.state == LISTEN_WAITING)
		ruleline_error(j, r, info.error_port, info.error);
}

static const char *addr_text(const struct fwd_rule *r, char buf[INANY_STRLEN])
{
	return rule_binds_all(r) ? "*" : inany_ntop(&r->addr, buf, INANY_STRLEN);
}

/**
 * ruleline_rule() - All about a rule but its counters
 * @j:		Gets the fields
 * @l:		Listening sockets
 * @r:		Rule of their table
 * @state:	Word in place of the state, NULL: none
 */
void ruleline_rule(struct jsonline *j, const struct listen *l,
		   const struct fwd_rule *r, const char *state)
{
	char addr[INANY_STRLEN];

	ruleline_name(j, rules_ref(&l->rules, r));
	jsonline_str(j, "kind", ruleline_kind(rule_kind(r)));
	ruleline_state(j, l, r, state);
	jsonline_str(j, "addr", addr_text(r, addr));
	if (*r->ifname)
		jsonline_str(j, "if", r->ifname);
	jsonline_num(j, "first", r->first);
	jsonline_num(j, "last", r->last);
	jsonline_num(j, "to", r->to);
	if (inany_is_set(&r->to_addr))
		jsonline_str(j, "target",
			     inany_ntop(&r->to_addr, addr, sizeof(addr)));
}

/* ruleline_counters() - Connections, flows and bytes of a rule */
void ruleline_counters(struct jsonline *j, const struct rule_stats *s)
{
	jsonline_num(j, "conns", s->conns);
	jsonline_num(j, "flows", s->flows);
	jsonline_num(j, "in", s->in);
	jsonline_num(j, "out", s->out);
}
