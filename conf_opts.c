/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf_opts.c - The table of options, and the function of each
 *
 * One table, options[], is the only source of the parser and of --help.
 *
 * The function of an option looks at its value alone and sets a field. Rules
 * that involve several options are checked by conf.c once all are known.
 */

#include "conf_opts.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "domain.h"
#include "inany.h"
#include "log.h"
#include "ports.h"
#include "util.h"

#define LOG_SIZE_MIN		40960
#define SOCK_PATH_MAX		107	/* unix(7) */
#define STATS_MAX_S		86400
#define NETNS_RUN_DIR		"/run/netns"	/* ip-netns(8) */

/**
 * conf_bad() - Set the error message
 * @p:		Parser
 * @fmt:	As for printf()
 *
 * Return: CONF_BAD
 */
enum conf_result conf_bad(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->error, p->size, fmt, ap);
	va_end(ap);
	return CONF_BAD;
}

static enum conf_result bad_value(struct parse *p, const char *arg,
				  const char *want)
{
	return conf_bad(p, "Invalid value '%s' for --%s: expected %s", arg,
			p->opt->name, want);
}

/* Functions of options: they set a field, or fail ------------------------- */

static void *field(struct parse *p)
{
	return (char *)p->c + p->opt->offset;
}

static enum conf_result set_flag(struct parse *p, const char *arg)
{
	(void)arg;
	*(bool *)field(p) = true;
	return CONF_RUN;
}

static enum conf_result clear_flag(struct parse *p, const char *arg)
{
	(void)arg;
	*(bool *)field(p) = false;
	return CONF_RUN;
}

static enum conf_result set_path(struct parse *p, const char *arg)
{
	if (!*arg || strlen(arg) >= PATH_MAX)
		return bad_value(p, arg, "a path");
	*(const char **)field(p) = arg;
	return CONF_RUN;
}

static enum conf_result set_help(struct parse *p, const char *arg)
{
	(void)p;
	(void)arg;
	return CONF_HELP;
}

static enum conf_result set_version(struct parse *p, const char *arg)
{
	(void)p;
	(void)arg;
	return CONF_VERSION;
}

/* For programs that manage vhost-user back-ends */
static enum conf_result set_capabilities(struct parse *p, const char *arg)
{
	(void)p;
	(void)arg;
	return CONF_CAPABILITIES;
}

static enum conf_result set_trace(struct parse *p, const char *arg)
{
	(void)arg;
	p->c->debug = p->c->trace = true;
	return CONF_RUN;
}

/* An option that old callers may give */
static enum conf_result set_nothing(struct parse *p, const char *arg)
{
	(void)arg;
	warn("--%s is deprecated and has no effect", p->opt->name);
	return CONF_RUN;
}

static enum conf_result set_log_size(struct parse *p, const char *arg)
{
	unsigned long n;

	if (util_parse_ulong(arg, LOG_SIZE_MIN, LONG_MAX, &n))
		return bad_value(p, arg, "a number of bytes, 40960 or more");
	p->c->log_size = n;
	return CONF_RUN;
}

static enum conf_result set_runas(struct parse *p, const char *arg)
{
	if (!*arg || *arg == ':' || arg[strlen(arg) - 1] == ':')
		return bad_value(p, arg, "UID[:GID] or LOGIN[:GROUP]");
	p->c->runas = arg;
	return CONF_RUN;
}

static enum conf_result set_sandbox(struct parse *p, const char *arg)
{
	p->c->sandbox_strict = !strcmp(arg, "strict");
	if (!p->c->sandbox_strict && strcmp(arg, "auto"))
		return bad_value(p, arg, "strict or auto");
	return CONF_RUN;
}

/* passt takes a socket, pasta also a tap device */
static enum conf_result set_fd(struct parse *p, const char *arg)
{
	bool pasta = p->c->mode == MODE_PASTA;
	unsigned long n;
	struct stat st;

	if (util_parse_ulong(arg, 0, INT_MAX, &n) || fstat((int)n, &st) ||
	    !(S_ISSOCK(st.st_mode) || (pasta && S_ISCHR(st.st_mode))))
		return bad_value(p, arg, pasta ?
			"the number of an open tap device or socket" :
			"the number of an open socket");
	p->c->fd_tap = (int)n;
	p->c->one_off = true;
	return CONF_RUN;
}

static enum conf_result set_mtu(struct parse *p, const char *arg)
{
	unsigned long n;

	if (util_parse_ulong(arg, 0, CONF_MTU_MAX, &n) ||
	    (n && n < CONF_MTU_MIN_IPV4))
		return bad_value(p, arg, "0 (none), or 68 to 65521");
	p->c->mtu = n;
	return CONF_RUN;
}

/* Address of a host, also of this one; IPv4 never in its mapped form */
static bool parse_any_host(const char *s, union inany *a)
{
	return inany_pton(s, a) && inany_is_unicast(a) &&
	       !(inany_is_v4(a) && strchr(s, ':'));
}

/* Address of a host beyond this machine */
static bool parse_host(const char *s, union inany *a)
{
	return parse_any_host(s, a) && !inany_is_loopback(a);
}

static struct conf_ip *family_of(struct conf *c, const union inany *a)
{
	return inany_is_v4(a) ? &c->ip4 : &c->ip6;
}

static enum conf_result given_twice(struct parse *p, const union inany *a)
{
	return conf_bad(p, "--%s is given twice for %s: expected once for each"
			" family", p->opt->name,
			inany_is_v4(a) ? "IPv4" : "IPv6");
}

/* SLAAC works with one length of prefix alone: RFC 4862, 5.5.3 */
static void set_prefix6(struct parse *p, unsigned long len)
{
	if (len != CONF_PREFIX_IPV6)
		warn("--%s: the IPv6 prefix has 64 bits, not %lu",
		     p->opt->name, len);
}

/* ADDR[/LEN] in parts */
static bool parse_cidr(const char *arg, union inany *a, unsigned long *len)
{
	size_t n = strcspn(arg, "/");
	char host[INANY_STRLEN];

	if (n >= sizeof(host))
		return false;
	memcpy(host, arg, n);
	host[n] = 0;
	*len = 0;
	if (!parse_host(host, a))
		return false;
	return !arg[n] || !util_parse_ulong(arg + n + 1, 1,
					    inany_is_v4(a) ? 32 : 128, len);
}

static enum conf_result set_address(struct parse *p, const char *arg)
{
	unsigned long len;
	struct conf_ip *ip;
	union inany a;

	if (!parse_cidr(arg, &a, &len) ||
	    (!inany_is_v4(&a) && inany_is_linklocal(&a)))
		return bad_value(p, arg,
				 "a unicast address, ADDR or ADDR/LENGTH");
	ip = family_of(p->c, &a);
	if (ip->addr_given)
		return given_twice(p, &a);
	ip->addr = a;
	ip->addr_given = true;
	if (!inany_is_v4(&a)) {
		if (len)
			set_prefix6(p, len);
	} else if (len) {
		ip->prefix_len = len;
		ip->prefix_given = p->cidr4 = true;
	}
	return CONF_RUN;
}

/* Dotted netmask without gaps as prefix length, 0 if it is none */
static unsigned long netmask_bits(const char *s)
{
	struct in_addr a;
	uint32_t host_part;

	if (inet_pton(AF_INET, s, &a) != 1 || !a.s_addr)
		return 0;
	host_part = ~ntohl(a.s_addr);
	if (host_part & (host_part + 1))
		return 0;
	return 32 - __builtin_popcount(host_part);
}

/* libvirt gives a length for each address: one above 32 belongs to IPv6 */
static enum conf_result set_netmask(struct parse *p, const char *arg)
{
	unsigned long n = netmask_bits(arg);

	if (!n && p->c->ip6.addr_given && !util_parse_ulong(arg, 33, 128, &n)) {
		set_prefix6(p, n);
		return CONF_RUN;
	}
	if (!n && util_parse_ulong(arg, 1, 32, &n))
		return bad_value(p, arg,
				 "1 to 32, or a mask as in 255.255.255.0");
	p->c->ip4.prefix_len = n;
	p->c->ip4.prefix_given = p->mask4 = true;
	return CONF_RUN;
}

static enum conf_result set_gateway(struct parse *p, const char *arg)
{
	struct conf_ip *ip;
	union inany a;

	if (!parse_host(arg, &a))
		return bad_value(p, arg, "a unicast address");
	ip = family_of(p->c, &a);
	if (ip->gw_given)
		return given_twice(p, &a);
	ip->gw = a;
	ip->gw_given = true;
	return CONF_RUN;
}

static enum conf_result set_map_host_loopback(struct parse *p, const char *arg)
{
	const union inany unset = { 0 };
	struct conf_ip *ip;
	union inany a;

	if (!strcmp(arg, "none")) {
		p->c->ip4.map_host_loopback = unset;
		p->c->ip6.map_host_loopback = unset;
		p->c->ip4.map_given = p->c->ip6.map_given = true;
		p->c->no_map_gw = true;
		return CONF_RUN;
	}
	if (!parse_host(arg, &a))
		return bad_value(p, arg, "a unicast address, or 'none'");
	ip = family_of(p->c, &a);
	ip->map_host_loopback = a;
	ip->map_given = true;
	return CONF_RUN;
}

/* The field of struct conf_ip that the option sets */
static union inany *ip_field(struct parse *p, struct conf_ip *ip)
{
	return (union inany *)(void *)((char *)ip + p->opt->offset);
}

/* From an address of the host's loopback, the guest reaches only the host */
static enum conf_result set_outbound_addr(struct parse *p, const char *arg)
{
	union inany a;

	if (!parse_any_host(arg, &a))
		return bad_value(p, arg, "a unicast address");
	if (inany_is_loopback(&a))
		warn("--%s %s: only this host can be reached", p->opt->name,
		     arg);
	*ip_field(p, family_of(p->c, &a)) = a;
	return CONF_RUN;
}

static void unset_both(struct parse *p)
{
	const union inany unset = { 0 };

	*ip_field(p, &p->c->ip4) = *ip_field(p, &p->c->ip6) = unset;
}

static enum conf_result set_per_family_or_none(struct parse *p,
					       const char *arg)
{
	union inany a;

	if (!strcmp(arg, "none")) {
		unset_both(p);
		return CONF_RUN;
	}
	if (!parse_host(arg, &a))
		return bad_value(p, arg, "a unicast address, or 'none'");
	*ip_field(p, family_of(p->c, &a)) = a;
	return CONF_RUN;
}

/* Names -------------------------------------------------------------------- */

static enum conf_result set_dns_host(struct parse *p, const char *arg)
{
	union inany a;

	if (!strcmp(arg, "none")) {
		unset_both(p);
		return CONF_RUN;
	}
	if (!parse_any_host(arg, &a))
		return bad_value(p, arg, "the address of a name server");
	*ip_field(p, family_of(p->c, &a)) = a;
	return CONF_RUN;
}

static enum conf_result set_dns(struct parse *p, const char *arg)
{
	struct conf *c = p->c;
	unsigned i, n = 0;
	union inany a;

	c->dns_given = true;
	if (!*arg || !strcmp(arg, "none")) {
		c->ndns = 0;
		return CONF_RUN;
	}
	if (!parse_any_host(arg, &a))
		return bad_value(p, arg,
				 "the address of a name server, or 'none'");
	for (i = 0; i < c->ndns; i++)
		n += inany_is_v4(&c->dns[i]) == inany_is_v4(&a);
	if (n == CONF_DNS_MAX)
		return conf_bad(p, "Too many name servers for --%s with '%s':"
				" expected up to %d of each family",
				p->opt->name, arg, CONF_DNS_MAX);
	c->dns[c->ndns++] = a;
	return CONF_RUN;
}

/* Take blanks and separators of lists, addresses and paths for a mistake */
static bool domain_valid(const struct parse *p, const char *s, size_t len)
{
	enum domain_grade grade = domain_judge(s, len);

	if (grade != DOMAIN_INVALID && grade < DOMAIN_HOST)
		warn("--%s: some programs don't take '%.*s' for a name",
		     p->opt->name, (int)len, s);
	return grade != DOMAIN_INVALID;
}

/* Add one domain of a list; ignore ".", the root, which adds nothing to a name */
static enum conf_result add_search(struct parse *p, const char *s, size_t len)
{
	struct conf *c = p->c;

	if (len == 1 && *s == '.')
		return CONF_RUN;
	len -= len > 1 && s[len - 1] == '.';
	if (!domain_valid(p, s, len))
		return conf_bad(p, "Invalid domain '%.*s' in --%s: expected"
				" names with dots between them, or 'none'",
				(int)len, s, p->opt->name);
	if (c->nsearch == CONF_SEARCH_MAX)
		return conf_bad(p, "Too many domains in --%s with '%.*s':"
				" expected up to %d", p->opt->name, (int)len, s,
				CONF_SEARCH_MAX);
	memcpy(c->search[c->nsearch], s, len);
	c->search[c->nsearch++][len] = 0;
	return CONF_RUN;
}

static enum conf_result set_search(struct parse *p, const char *arg)
{
	enum conf_result ret = CONF_RUN;

	p->c->search_given = true;
	if (!*arg || !strcmp(arg, "none")) {
		p->c->nsearch = 0;
		return CONF_RUN;
	}
	while (!ret && *(arg += strspn(arg, " \t"))) {
		size_t len = strcspn(arg, " \t");

		ret = add_search(p, arg, len);
		arg += len;
	}
	return ret;
}

/* --hostname and --fqdn */
static enum conf_result set_name(struct parse *p, const char *arg)
{
	size_t len = strlen(arg);

	len -= len > 1 && arg[len - 1] == '.';
	if (!domain_valid(p, arg, len))
		return bad_value(p, arg, "a host name");
	memcpy(field(p), arg, len);
	((char *)field(p))[len] = 0;
	return CONF_RUN;
}

static enum conf_result set_mac(struct parse *p, const char *arg,
				uint8_t dst[6])
{
	static const uint8_t zero[6];
	uint8_t mac[6];

	/* RFC 7042, 2.1: the lowest bit of the first byte marks a group */
	if (util_mac_pton(arg, mac) || mac[0] & 1 || !memcmp(mac, zero, 6))
		return bad_value(p, arg,
				 "a unicast address as in 9a:55:9a:55:9a:55");
	memcpy(dst, mac, 6);
	return CONF_RUN;
}

static enum conf_result set_our_mac(struct parse *p, const char *arg)
{
	return set_mac(p, arg, p->c->our_mac);
}

static enum conf_result set_ns_mac(struct parse *p, const char *arg)
{
	p->c->ns_mac_given = true;
	return set_mac(p, arg, p->c->ns_mac);
}

static enum conf_result set_interface(struct parse *p, const char *arg)
{
	if (!util_is_ifname(arg))
		return bad_value(p, arg, "the name of an interface");
	util_strcpy(p->c->ifname_opt, IFNAMSIZ, arg);
	return CONF_RUN;
}

static enum conf_result set_outbound_if(struct parse *p, const char *arg)
{
	if (!util_is_ifname(arg))
		return bad_value(p, arg, "the name of an interface");
	util_strcpy(field(p), IFNAMSIZ, arg);
	return CONF_RUN;
}

static enum conf_result set_ns_ifname(struct parse *p, const char *arg)
{
	if (!util_is_ifname(arg) || !strcmp(arg, "lo"))
		return bad_value(p, arg,
				 "a name for an interface, 1 to 15 characters");
	util_strcpy(p->c->ns_ifname, IFNAMSIZ, arg);
	return CONF_RUN;
}

static enum conf_result set_ipv4_only(struct parse *p, const char *arg)
{
	(void)arg;
	p->only4 = true;
	p->c->ip6.enabled = false;
	return CONF_RUN;
}

static enum conf_result set_ipv6_only(struct parse *p, const char *arg)
{
	(void)arg;
	p->only6 = true;
	p->c->ip4.enabled = false;
	return CONF_RUN;
}

static enum conf_result set_ports(struct parse *p, const char *arg,
				  uint8_t proto, bool from_ns)
{
	if (ports_parse(p->rules, p->c->mode == MODE_PASTA, proto, from_ns, arg,
			p->error, p->size))
		return CONF_BAD;
	p->ports_given[proto == IPPROTO_UDP][from_ns] = true;
	return CONF_RUN;
}

static enum conf_result set_tcp_ports(struct parse *p, const char *arg)
{
	return set_ports(p, arg, IPPROTO_TCP, false);
}

static enum conf_result set_udp_ports(struct parse *p, const char *arg)
{
	return set_ports(p, arg, IPPROTO_UDP, false);
}

static enum conf_result set_tcp_ns(struct parse *p, const char *arg)
{
	return set_ports(p, arg, IPPROTO_TCP, true);
}

static enum conf_result set_udp_ns(struct parse *p, const char *arg)
{
	return set_ports(p, arg, IPPROTO_UDP, true);
}

static enum conf_result set_socket(struct parse *p, const char *arg)
{
	if (!*arg || strlen(arg) > SOCK_PATH_MAX)
		return bad_value(p, arg, "a path of up to 107 characters");
	p->c->sock_path = arg;
	return CONF_RUN;
}

static enum conf_result set_chmod(struct parse *p, const char *arg)
{
	unsigned long mode = 0;
	size_t len = strlen(arg);

	if (len < 3 || len > 4 || strspn(arg, "01234567") != len ||
	    (mode = strtoul(arg, NULL, 8)) > 0777)
		return bad_value(p, arg, "permissions in octal, as 0600 or 660");
	p->c->socket_mode = mode;
	return CONF_RUN;
}

static enum conf_result set_conf_path(struct parse *p, const char *arg)
{
	if (!*arg || strlen(arg) > SOCK_PATH_MAX)
		return bad_value(p, arg, "a path of up to 107 characters");
	p->c->conf_path = arg;
	return CONF_RUN;
}

static enum conf_result set_control_fd(struct parse *p, const char *arg)
{
	unsigned long n;
	struct stat st;

	if (util_parse_ulong(arg, 0, INT_MAX, &n) || fstat((int)n, &st) ||
	    !S_ISSOCK(st.st_mode))
		return bad_value(p, arg, "the number of an open socket");
	p->c->control_fd = (int)n;
	return CONF_RUN;
}

static enum conf_result set_repair_path(struct parse *p, const char *arg)
{
	if (!*arg || strlen(arg) > SOCK_PATH_MAX)
		return bad_value(p, arg,
				 "a path of up to 107 characters, or 'none'");
	p->c->no_repair = !strcmp(arg, "none");
	p->c->repair_path = p->c->no_repair ? NULL : arg;
	return CONF_RUN;
}

static enum conf_result set_stats(struct parse *p, const char *arg)
{
	unsigned long n;

	if (util_parse_ulong(arg, 1, STATS_MAX_S, &n))
		return bad_value(p, arg, "1 to 86400 seconds");
	p->c->stats_s = n;
	return CONF_RUN;
}

/* NAME without a slash is a namespace made by ip-netns(8) */
static enum conf_result set_netns(struct parse *p, const char *arg)
{
	struct conf *c = p->c;

	if (!*arg || strlen(arg) >= PATH_MAX || !strcmp(arg, ".") ||
	    !strcmp(arg, ".."))
		return bad_value(p, arg, "a path, or a name in "
				 NETNS_RUN_DIR);
	c->netns_path = arg;
	if (strchr(arg, '/'))
		return CONF_RUN;
	if (strlen(arg) > NAME_MAX)
		return bad_value(p, arg, "a path, or a name in "
				 NETNS_RUN_DIR);
	snprintf(c->netns_name_path, sizeof(c->netns_name_path), "%s/%s",
		 NETNS_RUN_DIR, arg);
	c->netns_path = c->netns_name_path;
	return CONF_RUN;
}

static enum conf_result set_no_copy_routes(struct parse *p, const char *arg)
{
	(void)arg;
	p->c->ip4.no_copy_routes = p->c->ip6.no_copy_routes = true;
	p->no_copy = p->opt->name;
	return CONF_RUN;
}

static enum conf_result set_no_copy_addrs(struct parse *p, const char *arg)
{
	(void)arg;
	p->c->ip4.no_copy_addrs = p->c->ip6.no_copy_addrs = true;
	p->no_copy = p->opt->name;
	return CONF_RUN;
}

static enum conf_result set_tap_offload(struct parse *p, const char *arg)
{
	static const char *const steps[] = {
		[TAP_OFF_USO] = "uso", [TAP_OFF_TSO] = "tso",
		[TAP_OFF_CSUM] = "csum", [TAP_OFF_VNET] = "vnet",
		[TAP_OFF_NONE] = "none",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		if (strcmp(arg, steps[i]))
			continue;
		p->c->offload_max = i;
		return CONF_RUN;
	}
	return bad_value(p, arg, "uso, tso, csum, vnet or none");
}

/* The table -------------------------------------------------------------- */

#define FLAG(f)		set_flag, offsetof(struct conf, f)
#define CLEAR(f)	clear_flag, offsetof(struct conf, f)
#define PATHNAME(f)	set_path, offsetof(struct conf, f)
#define CALL(fn)	fn, 0
#define SET(fn, f)	fn, offsetof(struct conf, f)
#define SET_IP(fn, f)	fn, offsetof(struct conf_ip, f)

static const struct opt options[] = {
	{ "debug", 'd', IN_BOTH, NULL, FLAG(debug),
	  "Log events in detail" },
	{ "trace", 0, IN_BOTH, NULL, CALL(set_trace),
	  "Log each packet as well; implies --debug" },
	{ "quiet", 'q', IN_BOTH, NULL, FLAG(quiet),
	  "Print warnings and errors only" },
	{ "stderr", 'e', IN_BOTH, NULL, CALL(set_nothing),
	  "No effect, accepted for old callers" },
	{ "stats", 0, IN_BOTH, "DELAY", CALL(set_stats),
	  "Print counters every DELAY seconds; needs\n"
	  "--foreground" },
	{ "foreground", 'f', IN_BOTH, NULL, FLAG(foreground),
	  "Stay in the foreground\n"
	  "(default: only pasta with a COMMAND or shell)" },
	{ "log-file", 'l', IN_BOTH, "PATH", PATHNAME(log_file),
	  "Log to this file, which is emptied first, and not\n"
	  "to the system log" },
	{ "log-size", 0, IN_BOTH, "BYTES", CALL(set_log_size),
	  "Maximum size of the log file\n"
	  "(default: 1048576, at least 40960)" },
	{ "runas", 0, IN_BOTH, "USER[:GROUP]", CALL(set_runas),
	  "User to run as if started as root, a name or\n"
	  "number (default: nobody)" },
	{ "sandbox", 0, IN_BOTH, "LEVEL", CALL(set_sandbox),
	  "Refuse to start without a part of the sandbox\n"
	  "(strict), or warn (auto) (default: auto)" },
	{ "help", 'h', IN_BOTH, NULL, CALL(set_help),
	  "Print this help and exit" },
	{ "version", 0, IN_BOTH, NULL, CALL(set_version),
	  "Print version and licence, and exit" },
	{ "fd", 'F', IN_BOTH, "FD", CALL(set_fd),
	  "Number of an open file descriptor to use:\n"
	  "a connected socket, or a tap device (pasta)" },
	{ "conf-path", 'c', IN_BOTH, "PATH", CALL(set_conf_path),
	  "UNIX socket by which pesto changes forwarded\n"
	  "ports while we run" },
	{ "control-fd", 0, IN_BOTH, "FD", CALL(set_control_fd),
	  "Number of an open UNIX socket to use instead,\n"
	  "listening or connected" },
	{ "pcap", 'p', IN_BOTH, "PATH", PATHNAME(pcap_file),
	  "Record the frames of the tap to this file" },
	{ "pid", 'P', IN_BOTH, "PATH", PATHNAME(pid_file),
	  "Write the process ID to this file" },
	{ "mtu", 'm', IN_BOTH, "N", CALL(set_mtu),
	  "MTU to assign, 68 to 65521, or 0 for none\n"
	  "(default: 65520)" },
	{ "address", 'a', IN_BOTH, "ADDR[/LEN]", CALL(set_address),
	  "Address to assign, once per family\n"
	  "(default: the host's)" },
	{ "netmask", 'n', IN_BOTH, "MASK", CALL(set_netmask),
	  "IPv4 netmask to assign, bits or dotted\n"
	  "(default: the host's)" },
	{ "mac-addr", 'M', IN_BOTH, "MAC", CALL(set_our_mac),
	  "MAC address of our side of the link\n"
	  "(default: 9a:55:9a:55:9a:55)" },
	{ "gateway", 'g', IN_BOTH, "ADDR", CALL(set_gateway),
	  "Default gateway to assign, once per family\n"
	  "(default: the host's)" },
	{ "interface", 'i', IN_BOTH, "NAME", CALL(set_interface),
	  "Take addresses and routes from this interface\n"
	  "(default: the interface of the first default\n"
	  "route, else one with an address)" },
	{ "outbound", 'o', IN_BOTH, "ADDR",
	  SET_IP(set_outbound_addr, outbound_addr),
	  "Source address of outgoing connections, once\n"
	  "per family (default: the kernel chooses)" },
	{ "outbound-if4", 0, IN_BOTH, "NAME",
	  SET(set_outbound_if, ip4.outbound_if),
	  "Interface for outgoing IPv4 connections\n"
	  "(default: the kernel chooses)" },
	{ "outbound-if6", 0, IN_BOTH, "NAME",
	  SET(set_outbound_if, ip6.outbound_if),
	  "Interface for outgoing IPv6 connections\n"
	  "(default: the kernel chooses)" },
	{ "dns", 'D', IN_BOTH, "ADDR", CALL(set_dns),
	  "Name server to hand out, may be given several\n"
	  "times, or 'none' (default: from resolv.conf)" },
	{ "dns-forward", 0, IN_BOTH, "ADDR",
	  SET_IP(set_per_family_or_none, dns_forward),
	  "Forward queries to this address to the host's\n"
	  "name server, once per family, or 'none'\n"
	  "(default: none)" },
	{ "dns-host", 0, IN_BOTH, "ADDR", SET_IP(set_dns_host, dns_host),
	  "Name server that --dns-forward leads to, or 'none'\n"
	  "(default: the first in resolv.conf)" },
	{ "search", 'S', IN_BOTH, "LIST", CALL(set_search),
	  "Search domains to hand out, with blanks between\n"
	  "them, or 'none' (default: from resolv.conf)" },
	{ "hostname", 'H', IN_BOTH, "NAME", SET(set_name, hostname),
	  "Host name to hand out, and of a new namespace\n"
	  "(default: none)" },
	{ "fqdn", 0, IN_BOTH, "NAME", SET(set_name, fqdn),
	  "Fully qualified domain name to hand out\n"
	  "(default: none)" },
	{ "no-tcp", 0, IN_BOTH, NULL, FLAG(no_tcp),
	  "Don't forward TCP" },
	{ "no-udp", 0, IN_BOTH, NULL, FLAG(no_udp),
	  "Don't forward UDP" },
	{ "no-icmp", 0, IN_BOTH, NULL, FLAG(no_icmp),
	  "Don't forward ICMP echo; implies --no-ndp" },
	{ "no-dhcp", 0, IN_BOTH, NULL, FLAG(no_dhcp),
	  "Don't answer DHCP" },
	{ "no-ndp", 0, IN_BOTH, NULL, FLAG(no_ndp),
	  "Don't answer NDP; implies --no-ra" },
	{ "no-dhcpv6", 0, IN_BOTH, NULL, FLAG(no_dhcpv6),
	  "Don't answer DHCPv6" },
	{ "no-ra", 0, IN_BOTH, NULL, FLAG(no_ra),
	  "Don't send router advertisements" },
	{ "freebind", 0, IN_BOTH, NULL, FLAG(freebind),
	  "Allow forwarded ports to be bound to addresses\n"
	  "that the host doesn't have" },
	{ "no-map-gw", 0, IN_BOTH, NULL, FLAG(no_map_gw),
	  "Don't map the gateway's address to the host" },
	{ "map-host-loopback", 0, IN_BOTH, "ADDR", CALL(set_map_host_loopback),
	  "Address that reaches the host's loopback, once\n"
	  "per family, or 'none'\n"
	  "(default: the gateway's)" },
	{ "map-guest-addr", 0, IN_BOTH, "ADDR",
	  SET_IP(set_per_family_or_none, map_guest_addr),
	  "Address that reaches the host's own address,\n"
	  "once per family, or 'none' (default: none)" },
	{ "ipv4-only", '4', IN_BOTH, NULL, CALL(set_ipv4_only),
	  "Use IPv4 only" },
	{ "ipv6-only", '6', IN_BOTH, NULL, CALL(set_ipv6_only),
	  "Use IPv6 only" },
	{ "tcp-ports", 't', IN_BOTH, "SPEC", CALL(set_tcp_ports),
	  "Forward TCP ports of the host to the guest or\n"
	  "namespace, may be given several times (default:\n"
	  "none for passt, auto for pasta). SPEC is one of:\n"
	  "  none  no ports, discards earlier -t options\n"
	  "  [[ADDR][%IF]/]ITEM[,ITEM]...\n"
	  "ADDR may be :: (IPv6), 0.0.0.0 (IPv4) or * (both).\n"
	  "ITEM is a port or range: A or A-B to the same\n"
	  "port, A:C or A-B:C-D to another one, or ~A or\n"
	  "~A-B to exclude it; or one of:\n"
	  "  all   all except ephemeral ports\n"
	  "  auto  ports open in the namespace (pasta)\n"
	  "With ADDR, A:TO, A:TO/C and all:TO lead to TO, an\n"
	  "address of the guest's side, of ADDR's family" },
	{ "udp-ports", 'u', IN_BOTH, "SPEC", CALL(set_udp_ports),
	  "Forward UDP ports of the host, see --tcp-ports" },

	{ "socket", 's', IN_PASST, "PATH", CALL(set_socket),
	  "UNIX socket to listen on (default: the first\n"
	  "free one of /tmp/passt_1.socket to 64)" },
	{ "socket-path", 's', IN_PASST, "PATH", CALL(set_socket),
	  "Other name of --socket" },
	{ "chmod", 0, IN_PASST, "MODE", CALL(set_chmod),
	  "Permissions of the sockets of --socket and\n"
	  "--repair-path, in octal (default: 0600)" },
	{ "vhost-user", 0, IN_PASST, NULL, FLAG(vhost_user),
	  "Exchange frames in the guest's memory: the client\n"
	  "is the vhost-user front-end of a virtual machine" },
	{ "print-capabilities", 0, IN_PASST, NULL, CALL(set_capabilities),
	  "Print the type of the vhost-user device and exit" },
	{ "one-off", '1', IN_PASST, NULL, FLAG(one_off),
	  "Exit when the guest disconnects; --fd implies it" },
	{ "repair-path", 0, IN_PASST, "PATH", CALL(set_repair_path),
	  "UNIX socket for passt-repair, or 'none'; needs\n"
	  "--vhost-user (default: SOCKET.repair, SOCKET\n"
	  "being the path of passt's socket)" },
	{ "migrate-exit", 0, IN_PASST, NULL, CALL(set_nothing),
	  "No effect, accepted for old callers" },
	{ "migrate-no-linger", 0, IN_PASST, NULL, CALL(set_nothing),
	  "No effect, accepted for old callers" },
	{ "no-dhcp-dns", 0, IN_PASST, NULL, CLEAR(dhcp_dns),
	  "Don't hand out name servers by DHCP or NDP" },
	{ "no-dhcp-search", 0, IN_PASST, NULL, CLEAR(dhcp_search),
	  "Don't hand out a search list by DHCP or NDP" },

	{ "dhcp-dns", 0, IN_PASTA, NULL, FLAG(dhcp_dns),
	  "Hand out name servers by DHCP and NDP" },
	{ "dhcp-search", 0, IN_PASTA, NULL, FLAG(dhcp_search),
	  "Hand out a search list by DHCP and NDP" },
	{ "tcp-ns", 'T', IN_PASTA, "SPEC", CALL(set_tcp_ns),
	  "Forward TCP ports of the namespace to the host,\n"
	  "SPEC as above without ADDR (default: auto)" },
	{ "udp-ns", 'U', IN_PASTA, "SPEC", CALL(set_udp_ns),
	  "Forward UDP ports of the namespace, see --tcp-ns" },
	{ "ns-ifname", 'I', IN_PASTA, "NAME", CALL(set_ns_ifname),
	  "Name of the interface in the namespace\n"
	  "(default: as on the host, else tap0)" },
	{ "config-net", 0, IN_PASTA, NULL, FLAG(config_net),
	  "Configure addresses and routes there;\n"
	  "implies --no-ra" },
	{ "ns-mac-addr", 0, IN_PASTA, "MAC", CALL(set_ns_mac),
	  "MAC address of the interface in the namespace\n"
	  "(default: random)" },
	{ "no-copy-routes", 0, IN_PASTA, NULL, CALL(set_no_copy_routes),
	  "With --config-net: set a default route only\n"
	  "(deprecated)" },
	{ "no-copy-addrs", 0, IN_PASTA, NULL, CALL(set_no_copy_addrs),
	  "With --config-net: set one address per family\n"
	  "(deprecated)" },
	{ "netns", 0, IN_PASTA, "PATH", CALL(set_netns),
	  "Network namespace to connect: a path, or a name\n"
	  "in /run/netns" },
	{ "userns", 0, IN_PASTA, "PATH", PATHNAME(userns_path),
	  "User namespace to join before --netns\n"
	  "(default: the owner of that namespace)" },
	{ "netns-only", 0, IN_PASTA, NULL, FLAG(netns_only),
	  "Don't join or create a user namespace" },
	{ "no-netns-quit", 0, IN_PASTA, NULL, FLAG(no_netns_quit),
	  "Don't exit when the path of --netns is gone" },
	{ "host-lo-to-ns-lo", 0, IN_PASTA, NULL, FLAG(host_lo_to_ns_lo),
	  "Forward connections from the host's loopback to\n"
	  "the namespace's loopback, not to its address" },
	{ "no-splice", 0, IN_PASTA, NULL, FLAG(no_splice),
	  "Don't let local connections bypass the tap" },
	{ "splice-only", 0, IN_PASTA, NULL, FLAG(splice_only),
	  "Connect local ports only, without a tap device" },

	/* For tests: force a fallback */
	{ "tap-offload", 0, IN_BOTH, "STEP", CALL(set_tap_offload), NULL },
	{ "no-peek-off", 0, IN_BOTH, NULL, FLAG(no_peek_off), NULL },
};

/**
 * conf_opt() - Get an option by its index
 * @i:		Index, from 0
 *
 * Return: the option, NULL if @i is behind the last one
 */
const struct opt *conf_opt(size_t i)
{
	return i < ARRAY_SIZE(options) ? &options[i] : NULL;
}
