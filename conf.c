/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.c - From the command line to struct conf
 *
 * One table, options[], is the only source of the parser and of --help. An
 * entry without a function is an option that callers may know and that is not
 * built yet: giving it is an error. The help names those only at its end and
 * without dashes, because some callers search the help for an option to learn
 * whether they may use it.
 *
 * The parser has the habits of getopt_long(), which callers rely on: it stops
 * at the first word that is no option, takes unique prefixes of long names and
 * "--name=value", lets short options share a word, and words its complaints
 * alike. It is our own because C libraries differ in that wording, and because
 * it keeps nothing between calls.
 *
 * Parsing touches nothing but struct conf, what depends on other options is
 * checked at the end, and the first mistake ends it with one line that names
 * the option, the value, and what would be accepted.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "inany.h"
#include "log.h"
#include "ports.h"
#include "util.h"

#define LOG_SIZE_DEFAULT	(1 << 20)
#define LOG_SIZE_MIN		40960
#define PID_LIMIT		4194304	/* PID_MAX_LIMIT of the kernel */
#define PREFIX_LEN_IPV6		64
#define HELP_COLUMN		30
#define EPHEMERAL_FIRST		32768	/* of the kernel */
#define EPHEMERAL_LAST		60999
#define EPHEMERAL_PATH		"/proc/sys/net/ipv4/ip_local_port_range"
#define SOCK_PATH_MAX		107	/* unix(7) */
#define STATS_MAX_S		86400
#define DOMAIN_MAX		253	/* RFC 1035, 3.1, as text */
#define LABEL_MAX		63	/* RFC 1035, 2.3.4 */
#define HOSTNAME_MAX		64	/* sethostname(2) */
#define NETNS_RUN_DIR		"/run/netns"	/* ip-netns(8) */

enum { IN_PASST = 1 << MODE_PASST, IN_PASTA = 1 << MODE_PASTA, IN_BOTH = 3 };

struct parse;
typedef enum conf_result conf_set_fn(struct parse *p, const char *arg);

/**
 * struct opt - One option
 * @name:	Long name
 * @letter:	Short name, 0: none; entries with the same one are synonyms
 * @modes:	Where it may be given: IN_*
 * @arg:	Name of its value, NULL: it takes none
 * @set:	Puts it into struct conf, NULL: not built yet
 * @offset:	For set_flag() and set_path(): of the field in struct conf
 * @help:	What it does, lines of up to 49 columns; NULL: not in the help,
 *		and not found by a prefix
 */
struct opt {
	const char *name;
	char letter;
	unsigned modes;
	const char *arg;
	conf_set_fn *set;
	size_t offset;
	const char *help;
};

/**
 * struct parse - What is remembered while parsing
 * @c:		Where it goes
 * @prog:	argv[0], as it is
 * @argc:	Number of words
 * @argv:	Words
 * @next:	Index of the next word
 * @opt:	Current option
 * @error:	Message, if something is wrong
 * @size:	Bytes of @error
 * @only4:	-4 was given
 * @only6:	-6 was given
 * @cidr4:	-a had the length of an IPv4 prefix with it
 * @mask4:	-n was given for IPv4
 * @ports_given:	-t, -T, -u, -U: by UDP, and by "from the namespace"
 * @no_copy:	Name of one of --no-copy-*, if given
 */
struct parse {
	struct conf *c;
	const char *prog;
	int argc;
	char *const *argv;
	int next;
	const struct opt *opt;
	char *error;
	size_t size;
	bool only4, only6, cidr4, mask4;
	bool ports_given[2][2];
	const char *no_copy;
};

/* fail() - Note what is wrong */
__attribute__((format(printf, 3, 4)))
static enum conf_result fail(struct parse *p, enum conf_result result,
			     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->error, p->size, fmt, ap);
	va_end(ap);
	return result;
}

static enum conf_result bad_value(struct parse *p, const char *arg,
				  const char *want)
{
	return fail(p, CONF_BAD, "Invalid value '%s' for --%s: expected %s",
		    arg, p->opt->name, want);
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

static enum conf_result set_trace(struct parse *p, const char *arg)
{
	(void)arg;
	p->c->debug = p->c->trace = true;
	return CONF_RUN;
}

static enum conf_result set_stderr(struct parse *p, const char *arg)
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
	p->c->mtu_given = true;
	return CONF_RUN;
}

/* Address of a host beyond this machine, IPv4 never in its mapped form */
static bool parse_host(const char *s, union inany *a)
{
	return inany_pton(s, a) && inany_is_unicast(a) &&
	       !inany_is_loopback(a) && !(inany_is_v4(a) && strchr(s, ':'));
}

static struct conf_ip *family_of(struct conf *c, const union inany *a)
{
	return inany_is_v4(a) ? &c->ip4 : &c->ip6;
}

static enum conf_result given_twice(struct parse *p, const union inany *a)
{
	return fail(p, CONF_BAD,
		    "--%s is given twice for %s: expected once for each family",
		    p->opt->name, inany_is_v4(a) ? "IPv4" : "IPv6");
}

/* SLAAC works with one length of prefix alone: RFC 4862, 5.5.3 */
static void set_prefix6(struct parse *p, unsigned long len)
{
	if (len != PREFIX_LEN_IPV6)
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

/* libvirt gives one for each address: what no IPv4 one can have is for IPv6 */
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

/* The field of struct conf_ip that the option is about */
static union inany *ip_field(struct parse *p, struct conf_ip *ip)
{
	return (union inany *)(void *)((char *)ip + p->opt->offset);
}

/* The last of each family counts */
static enum conf_result set_per_family(struct parse *p, const char *arg)
{
	union inany a;

	if (!parse_host(arg, &a))
		return bad_value(p, arg, "a unicast address");
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

/* As parse_host(), but a resolver may be on this machine */
static bool parse_server(const char *s, union inany *a)
{
	return inany_pton(s, a) && inany_is_unicast(a) &&
	       !(inany_is_v4(a) && strchr(s, ':'));
}

static enum conf_result set_dns_host(struct parse *p, const char *arg)
{
	union inany a;

	if (!strcmp(arg, "none")) {
		unset_both(p);
		return CONF_RUN;
	}
	if (!parse_server(arg, &a))
		return bad_value(p, arg, "the address of a name server");
	*ip_field(p, family_of(p->c, &a)) = a;
	return CONF_RUN;
}

static unsigned dns_count(const struct conf *c, bool v4)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->ndns; i++)
		n += inany_is_v4(&c->dns[i]) == v4;
	return n;
}

static enum conf_result set_dns(struct parse *p, const char *arg)
{
	struct conf *c = p->c;
	union inany a;

	c->dns_given = true;
	if (!*arg || !strcmp(arg, "none")) {
		c->ndns = 0;
		return CONF_RUN;
	}
	if (!parse_server(arg, &a))
		return bad_value(p, arg,
				 "the address of a name server, or 'none'");
	if (dns_count(c, inany_is_v4(&a)) == CONF_DNS_MAX)
		return fail(p, CONF_BAD, "Too many name servers for --%s with"
			    " '%s': expected up to %d of each family",
			    p->opt->name, arg, CONF_DNS_MAX);
	c->dns[c->ndns++] = a;
	return CONF_RUN;
}

/*
 * A domain of @len bytes, the dot at its end is not part of it: labels of
 * letters, digits, "-" and "_", none at the ends of one but "_" (RFC 1123, 2.1;
 * names of services and of Windows hosts have the "_").
 */
static bool domain_valid(const char *s, size_t len)
{
	size_t label = 0;

	if (!len || len > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i <= len; i++) {
		bool end = i == len || s[i] == '.';

		if (end && (!label || label > LABEL_MAX || s[i - 1] == '-'))
			return false;
		if (!end && !isalnum((unsigned char)s[i]) && s[i] != '_' &&
		    (s[i] != '-' || !label))
			return false;
		label = end ? 0 : label + 1;
	}
	return true;
}

/* One domain of a list; "." is the root, where there is nothing to search */
static enum conf_result add_search(struct parse *p, const char *s, size_t len)
{
	struct conf *c = p->c;

	if (len == 1 && *s == '.')
		return CONF_RUN;
	len -= len > 1 && s[len - 1] == '.';
	if (!domain_valid(s, len))
		return fail(p, CONF_BAD, "Invalid domain '%.*s' in --%s:"
			    " expected names with dots between them,"
			    " or 'none'", (int)len, s, p->opt->name);
	if (c->nsearch == CONF_SEARCH_MAX)
		return fail(p, CONF_BAD, "Too many domains in --%s with '%.*s':"
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
	if (!domain_valid(arg, len))
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
	p->c->our_mac_given = true;
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
	if (ports_parse(p->c, proto, from_ns, arg, p->error, p->size))
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

static enum conf_result set_no_dhcp_dns(struct parse *p, const char *arg)
{
	(void)arg;
	p->c->dhcp_dns = false;
	return CONF_RUN;
}

static enum conf_result set_no_dhcp_search(struct parse *p, const char *arg)
{
	(void)arg;
	p->c->dhcp_search = false;
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

/* NAME is one of those that ip-netns(8) makes */
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
#define PATHNAME(f)	set_path, offsetof(struct conf, f)
#define CALL(fn)	fn, 0
#define SET(fn, f)	fn, offsetof(struct conf, f)
#define SET_IP(fn, f)	fn, offsetof(struct conf_ip, f)
#define NOT_BUILT	NULL, 0, ""

static const struct opt options[] = {
	{ "debug", 'd', IN_BOTH, NULL, FLAG(debug),
	  "Say what happens" },
	{ "trace", 0, IN_BOTH, NULL, CALL(set_trace),
	  "Say it for each packet, too; implies --debug" },
	{ "quiet", 'q', IN_BOTH, NULL, FLAG(quiet),
	  "Print warnings and errors only" },
	{ "stderr", 'e', IN_BOTH, NULL, CALL(set_stderr),
	  "No effect, accepted for old callers" },
	{ "stats", 0, IN_BOTH, "DELAY", CALL(set_stats),
	  "Print counters each DELAY seconds; needs\n"
	  "--foreground" },
	{ "foreground", 'f', IN_BOTH, NULL, FLAG(foreground),
	  "Stay in the foreground\n"
	  "(default: only pasta with a COMMAND or shell)" },
	{ "log-file", 'l', IN_BOTH, "PATH", PATHNAME(log_file),
	  "Log to this file, not to the system logger" },
	{ "log-size", 0, IN_BOTH, "BYTES", CALL(set_log_size),
	  "Limit for the size of the log file\n"
	  "(default: 1048576, at least 40960)" },
	{ "runas", 0, IN_BOTH, "USER[:GROUP]", CALL(set_runas),
	  "Become this user if started as root, names or\n"
	  "numbers (default: nobody)" },
	{ "help", 'h', IN_BOTH, NULL, CALL(set_help),
	  "Print this and exit" },
	{ "version", 0, IN_BOTH, NULL, CALL(set_version),
	  "Print version and licence, and exit" },
	{ "fd", 'F', IN_BOTH, "FD", CALL(set_fd),
	  "Use this open descriptor: a connected socket,\n"
	  "or a tap device (pasta)" },
	{ "pcap", 'p', IN_BOTH, "PATH", PATHNAME(pcap_file),
	  "Record the frames of the tap to this file" },
	{ "pid", 'P', IN_BOTH, "PATH", PATHNAME(pid_file),
	  "Write the process ID to this file" },
	{ "mtu", 'm', IN_BOTH, "N", CALL(set_mtu),
	  "MTU to assign, 68 to 65521, 0: none\n"
	  "(default: 65520)" },
	{ "address", 'a', IN_BOTH, "ADDR[/LEN]", CALL(set_address),
	  "Address to assign, once for each family\n"
	  "(default: the host's)" },
	{ "netmask", 'n', IN_BOTH, "MASK", CALL(set_netmask),
	  "IPv4 netmask to assign, bits or dotted\n"
	  "(default: the host's)" },
	{ "mac-addr", 'M', IN_BOTH, "MAC", CALL(set_our_mac),
	  "Our own Ethernet address\n"
	  "(default: 9a:55:9a:55:9a:55)" },
	{ "gateway", 'g', IN_BOTH, "ADDR", CALL(set_gateway),
	  "Default gateway to assign, once for each family\n"
	  "(default: the host's)" },
	{ "interface", 'i', IN_BOTH, "NAME", CALL(set_interface),
	  "Take addresses and routes from this interface\n"
	  "(default: that of the first default route)" },
	{ "outbound", 'o', IN_BOTH, "ADDR",
	  SET_IP(set_per_family, outbound_addr),
	  "Source address of what goes out, once for each\n"
	  "family (default: the kernel's choice)" },
	{ "outbound-if4", 0, IN_BOTH, "NAME",
	  SET(set_outbound_if, ip4.outbound_if),
	  "Interface by which IPv4 goes out" },
	{ "outbound-if6", 0, IN_BOTH, "NAME",
	  SET(set_outbound_if, ip6.outbound_if),
	  "The same for IPv6" },
	{ "dns", 'D', IN_BOTH, "ADDR", CALL(set_dns),
	  "Name server to hand out, any number of times,\n"
	  "or 'none' (default: those in resolv.conf)" },
	{ "dns-forward", 0, IN_BOTH, "ADDR",
	  SET_IP(set_per_family_or_none, dns_forward),
	  "What is sent here goes to the name server of\n"
	  "the host, once for each family" },
	{ "dns-host", 0, IN_BOTH, "ADDR", SET_IP(set_dns_host, dns_host),
	  "Name server of the host for --dns-forward\n"
	  "(default: the first in resolv.conf)" },
	{ "search", 'S', IN_BOTH, "LIST", CALL(set_search),
	  "Domains to hand out, with blanks between them,\n"
	  "or 'none' (default: those in resolv.conf)" },
	{ "hostname", 'H', IN_BOTH, "NAME", SET(set_name, hostname),
	  "Host name to hand out, or of a new namespace" },
	{ "fqdn", 0, IN_BOTH, "NAME", SET(set_name, fqdn),
	  "Full name to hand out" },
	{ "no-tcp", 0, IN_BOTH, NULL, FLAG(no_tcp),
	  "No TCP" },
	{ "no-udp", 0, IN_BOTH, NULL, FLAG(no_udp),
	  "No UDP" },
	{ "no-icmp", 0, IN_BOTH, NULL, FLAG(no_icmp),
	  "No ICMP and ICMPv6 echo; implies --no-ndp" },
	{ "no-dhcp", 0, IN_BOTH, NULL, FLAG(no_dhcp),
	  "No DHCP answers" },
	{ "no-ndp", 0, IN_BOTH, NULL, FLAG(no_ndp),
	  "No NDP answers; implies --no-ra" },
	{ "no-dhcpv6", 0, IN_BOTH, NULL, FLAG(no_dhcpv6),
	  "No DHCPv6 answers" },
	{ "no-ra", 0, IN_BOTH, NULL, FLAG(no_ra),
	  "No NDP router advertisements" },
	{ "freebind", 0, IN_BOTH, NULL, FLAG(freebind),
	  "Ports may be bound to addresses that the host\n"
	  "doesn't have" },
	{ "no-map-gw", 0, IN_BOTH, NULL, FLAG(no_map_gw),
	  "The gateway's address is not that of the host" },
	{ "map-host-loopback", 0, IN_BOTH, "ADDR", CALL(set_map_host_loopback),
	  "This address reaches the host's loopback, once\n"
	  "for each family, or 'none'\n"
	  "(default: that of the gateway)" },
	{ "map-guest-addr", 0, IN_BOTH, "ADDR",
	  SET_IP(set_per_family_or_none, map_guest_addr),
	  "This address reaches the host's own, once for\n"
	  "each family, or 'none' (default: none)" },
	{ "ipv4-only", '4', IN_BOTH, NULL, CALL(set_ipv4_only),
	  "No IPv6" },
	{ "ipv6-only", '6', IN_BOTH, NULL, CALL(set_ipv6_only),
	  "No IPv4" },
	{ "tcp-ports", 't', IN_BOTH, "SPEC", CALL(set_tcp_ports),
	  "TCP ports of the host that lead to the guest or\n"
	  "namespace, any number of times (default: none\n"
	  "for passt, auto for pasta). SPEC is one of:\n"
	  "  none  forget what was given before\n"
	  "  all   all but the ephemeral ones (passt)\n"
	  "  auto  as they appear in the namespace (pasta)\n"
	  "  [[ADDR][%IF]/]ITEM[,ITEM]...\n"
	  "ITEM is a port or range, A or A-B, as it is, or\n"
	  "with those they lead to, A:C or A-B:C-D, or, to\n"
	  "leave it out, ~A or ~A-B" },
	{ "udp-ports", 'u', IN_BOTH, "SPEC", CALL(set_udp_ports),
	  "UDP ports, the same" },

	{ "socket", 's', IN_PASST, "PATH", CALL(set_socket),
	  "Socket to listen on (default: the first of\n"
	  "/tmp/passt_1.socket to 64 that is free)" },
	{ "socket-path", 's', IN_PASST, "PATH", CALL(set_socket),
	  "The same" },
	{ "vhost-user", 0, IN_PASST, NULL, NOT_BUILT },
	{ "print-capabilities", 0, IN_PASST, NULL, NOT_BUILT },
	{ "one-off", '1', IN_PASST, NULL, FLAG(one_off),
	  "Quit once the guest has left; implied by --fd" },
	{ "repair-path", 0, IN_PASST, "PATH", NOT_BUILT },
	{ "migrate-exit", 0, IN_PASST, NULL, NOT_BUILT },
	{ "migrate-no-linger", 0, IN_PASST, NULL, NOT_BUILT },
	{ "no-dhcp-dns", 0, IN_PASST, NULL, CALL(set_no_dhcp_dns),
	  "No name servers in answers of DHCP and NDP" },
	{ "no-dhcp-search", 0, IN_PASST, NULL, CALL(set_no_dhcp_search),
	  "No search list in answers of DHCP and NDP" },

	{ "dhcp-dns", 0, IN_PASTA, NULL, FLAG(dhcp_dns),
	  "Name servers in answers of DHCP and NDP" },
	{ "dhcp-search", 0, IN_PASTA, NULL, FLAG(dhcp_search),
	  "Search list in answers of DHCP and NDP" },
	{ "tcp-ns", 'T', IN_PASTA, "SPEC", CALL(set_tcp_ns),
	  "TCP ports of the namespace that lead to the\n"
	  "host, without address (default: auto)" },
	{ "udp-ns", 'U', IN_PASTA, "SPEC", CALL(set_udp_ns),
	  "UDP ports, the same" },
	{ "ns-ifname", 'I', IN_PASTA, "NAME", CALL(set_ns_ifname),
	  "Name of the interface in the namespace\n"
	  "(default: as that on the host, else tap0)" },
	{ "config-net", 0, IN_PASTA, NULL, FLAG(config_net),
	  "Set up addresses and routes in the namespace;\n"
	  "implies --no-ra" },
	{ "ns-mac-addr", 0, IN_PASTA, "MAC", CALL(set_ns_mac),
	  "Ethernet address of the interface there\n"
	  "(default: random)" },
	{ "no-copy-routes", 0, IN_PASTA, NULL, CALL(set_no_copy_routes),
	  "With --config-net: a default route, no others\n"
	  "(deprecated)" },
	{ "no-copy-addrs", 0, IN_PASTA, NULL, CALL(set_no_copy_addrs),
	  "With --config-net: one address of each family\n"
	  "(deprecated)" },
	{ "netns", 0, IN_PASTA, "PATH", CALL(set_netns),
	  "Connect this network namespace: a path, or a\n"
	  "name in /run/netns" },
	{ "userns", 0, IN_PASTA, "PATH", PATHNAME(userns_path),
	  "User namespace to join for it" },
	{ "netns-only", 0, IN_PASTA, NULL, FLAG(netns_only),
	  "Join no user namespace" },
	{ "no-netns-quit", 0, IN_PASTA, NULL, FLAG(no_netns_quit),
	  "Stay when the path of --netns is gone" },
	{ "host-lo-to-ns-lo", 0, IN_PASTA, NULL, FLAG(host_lo_to_ns_lo),
	  "What comes from the host's loopback goes to the\n"
	  "namespace's loopback, not to its own address" },
	{ "no-splice", 0, IN_PASTA, NULL, FLAG(no_splice),
	  "No bypass for local connections" },
	{ "splice-only", 0, IN_PASTA, NULL, FLAG(splice_only),
	  "Only that bypass, no other network" },

	/* For tests: force a fallback */
	{ "tap-offload", 0, IN_BOTH, "STEP", CALL(set_tap_offload), NULL },
	{ "no-peek-off", 0, IN_BOTH, NULL, FLAG(no_peek_off), NULL },
};

/* The parser ------------------------------------------------------------- */

static enum conf_result apply(struct parse *p, const struct opt *o,
			      const char *arg)
{
	if (!(o->modes & 1 << p->c->mode))
		return fail(p, CONF_BAD, "--%s is for %s mode only", o->name,
			    o->modes == IN_PASTA ? "pasta" : "passt");
	if (!o->set)
		return fail(p, CONF_BAD, "--%s is not built yet", o->name);
	p->opt = o;
	return o->set(p, arg);
}

static const char *next_word(struct parse *p)
{
	return p->next < p->argc ? p->argv[p->next++] : NULL;
}

static bool same_option(const struct opt *a, const struct opt *b)
{
	return a == b || (a->letter && a->letter == b->letter);
}

static enum conf_result fail_ambiguous(struct parse *p, const char *name,
				       size_t len)
{
	size_t n = snprintf(p->error, p->size,
			    "%s: option '--%.*s' is ambiguous; possibilities:",
			    p->prog, (int)len, name);

	for (const struct opt *o = options; o < options + ARRAY_SIZE(options);
	     o++)
		if (o->help && !strncmp(o->name, name, len) && n < p->size)
			n += snprintf(p->error + n, p->size - n, " '--%s'",
				      o->name);
	return CONF_BAD;
}

/* Find a long option by its name or a unique prefix of it */
static enum conf_result find_long(struct parse *p, const char *name, size_t len,
				  const struct opt **found)
{
	bool ambiguous = false;

	*found = NULL;
	for (const struct opt *o = options; o < options + ARRAY_SIZE(options);
	     o++) {
		if (strncmp(o->name, name, len))
			continue;
		if (!o->name[len]) {
			*found = o;
			return CONF_RUN;
		}
		if (!o->help)
			continue;
		if (!*found)
			*found = o;
		else if (!same_option(*found, o))
			ambiguous = true;
	}
	if (ambiguous)
		return fail_ambiguous(p, name, len);
	if (!*found)
		return fail(p, CONF_UNKNOWN, "%s: unrecognized option '--%s'",
			    p->prog, name);
	return CONF_RUN;
}

/* "--name", "--name value" or "--name=value" */
static enum conf_result parse_long(struct parse *p, const char *name)
{
	size_t len = strcspn(name, "=");
	const char *arg = name[len] ? name + len + 1 : NULL;
	const struct opt *o;
	enum conf_result ret = find_long(p, name, len, &o);

	if (ret)
		return ret;
	if (arg && !o->arg)
		return fail(p, CONF_BAD,
			    "%s: option '--%s' doesn't allow an argument",
			    p->prog, o->name);
	if (o->arg && !arg && !(arg = next_word(p)))
		return fail(p, CONF_BAD,
			    "%s: option '--%s' requires an argument",
			    p->prog, o->name);
	return apply(p, o, arg);
}

static const struct opt *find_short(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].letter == letter)
			return &options[i];
	return NULL;
}

/* "-ab", "-c value" or "-cvalue" */
static enum conf_result parse_short(struct parse *p, const char *letters)
{
	while (*letters) {
		char letter = *letters++;
		const struct opt *o = find_short(letter);
		const char *arg = NULL;
		enum conf_result ret;

		if (!o)
			return fail(p, CONF_UNKNOWN,
				    "%s: invalid option -- '%c'",
				    p->prog, letter);
		if (o->arg) {
			arg = *letters ? letters : next_word(p);
			letters = "";
			if (!arg)
				return fail(p, CONF_BAD,
				    "%s: option requires an argument -- '%c'",
				    p->prog, letter);
		}
		ret = apply(p, o, arg);
		if (ret)
			return ret;
	}
	return CONF_RUN;
}

/* All options; leaves p->next at the first word after them */
static enum conf_result parse_options(struct parse *p)
{
	while (p->next < p->argc) {
		const char *word = p->argv[p->next];
		enum conf_result ret;

		if (word[0] != '-' || !word[1])
			break;
		p->next++;
		if (!strcmp(word, "--"))
			break;
		ret = word[1] == '-' ? parse_long(p, word + 2) :
				       parse_short(p, word + 1);
		if (ret)
			return ret;
	}
	return CONF_RUN;
}

/* What follows the options: PID, or COMMAND ARGS, or nothing */
static enum conf_result parse_rest(struct parse *p)
{
	int n = p->argc - p->next;
	const char *first = n ? p->argv[p->next] : NULL;
	struct conf *c = p->c;
	unsigned long pid;

	if (n && c->mode == MODE_PASST)
		return fail(p, CONF_BAD, "Extra non-option argument: %s",
			    first);
	if (n && c->netns_path)
		return fail(p, CONF_BAD, "--netns comes without PID and"
			    " COMMAND, but '%s' is given", first);
	if (n && c->fd_tap >= 0)
		return fail(p, CONF_BAD, "--fd comes without PID and COMMAND,"
			    " but '%s' is given", first);
	if (c->mode == MODE_PASST || c->fd_tap >= 0) {
		c->netns_kind = NETNS_FD;
	} else if (c->netns_path) {
		c->netns_kind = NETNS_PATH;
	} else if (n == 1 && util_is_decimal(first)) {
		if (util_parse_ulong(first, 1, PID_LIMIT, &pid))
			return fail(p, CONF_BAD, "Invalid PID '%s':"
				    " expected 1 to %d", first, PID_LIMIT);
		c->netns_kind = NETNS_PID;
		c->netns_pid = (pid_t)pid;
	} else {
		c->netns_kind = NETNS_SPAWN;
		c->command = n ? p->argv + p->next : NULL;
		c->foreground = true;
	}
	return CONF_RUN;
}

/* Combinations, once all is known ---------------------------------------- */

/* The MTU decides over IPv6, unless that was asked for */
static enum conf_result check_mtu(struct parse *p)
{
	struct conf *c = p->c;

	if (!c->mtu || c->mtu >= CONF_MTU_MIN_IPV6 || !c->ip6.enabled)
		return CONF_RUN;
	if (p->only6 || c->ip6.addr_given || c->ip6.gw_given)
		return fail(p, CONF_BAD, "Invalid value '%u' for --mtu:"
			    " expected %u or more with IPv6", c->mtu,
			    CONF_MTU_MIN_IPV6);
	warn("--mtu %u is too small for IPv6, which needs %u: no IPv6", c->mtu,
	     CONF_MTU_MIN_IPV6);
	c->ip6.enabled = false;
	return CONF_RUN;
}

static enum conf_result check_addr4(struct parse *p)
{
	const struct conf_ip *ip = &p->c->ip4;
	uint32_t host_mask, host;
	char s[INANY_STRLEN];

	if (p->cidr4 && p->mask4)
		return fail(p, CONF_BAD,
			    "Redundant prefix length specification: --netmask,"
			    " and --address with a length");
	if (!ip->addr_given || !ip->prefix_given || ip->prefix_len > 30)
		return CONF_RUN;
	host_mask = UINT32_MAX >> ip->prefix_len;
	host = ntohl(ip->addr.v4mapped.a4.s_addr) & host_mask;
	if (host && host != host_mask)
		return CONF_RUN;
	return fail(p, CONF_BAD, "Invalid value '%s' for --address: expected a"
		    " host, this is the %s address of its /%u network",
		    inany_ntop(&ip->addr, s, sizeof(s)),
		    host ? "broadcast" : "first", ip->prefix_len);
}

/* Callers may have defaults for a family that their user switches off */
static void warn_disabled(const struct conf_ip *ip, const char *family,
			  const char *only)
{
	if (!ip->enabled && (ip->addr_given || ip->gw_given))
		warn("--%s: %s address or gateway given in vain", only, family);
}

static enum conf_result exclude(struct parse *p, const char *a, const char *b)
{
	return fail(p, CONF_BAD, "--%s and --%s exclude each other", a, b);
}

static enum conf_result check_process(struct parse *p)
{
	const struct conf *c = p->c;

	if (p->only4 && p->only6)
		return exclude(p, "ipv4-only", "ipv6-only");
	if (c->quiet && c->debug)
		return exclude(p, "quiet", c->trace ? "trace" : "debug");
	if (c->stats_s && !c->foreground)
		return fail(p, CONF_BAD, "--stats needs --foreground");
	if (c->fd_tap >= 0 && c->sock_path)
		return exclude(p, "fd", "socket");
	return CONF_RUN;
}

static enum conf_result check_namespace(struct parse *p)
{
	const struct conf *c = p->c;
	bool join = c->netns_kind == NETNS_PID || c->netns_kind == NETNS_PATH;

	if (c->fd_tap >= 0 && c->netns_path)
		return exclude(p, "fd", "netns");
	if (c->config_net && c->fd_tap >= 0)
		return exclude(p, "config-net", "fd");
	if (c->splice_only && c->fd_tap >= 0)
		return exclude(p, "splice-only", "fd");
	if (c->splice_only && c->no_splice)
		return exclude(p, "splice-only", "no-splice");
	if (c->userns_path && c->netns_only)
		return exclude(p, "userns", "netns-only");
	if (c->userns_path && !join)
		return fail(p, CONF_BAD, "--userns needs --netns or PID");
	if (c->netns_only && !join)
		return fail(p, CONF_BAD, "--netns-only needs --netns or PID");
	if (p->no_copy && !c->config_net)
		return fail(p, CONF_BAD, "--%s needs --config-net", p->no_copy);
	if (c->ns_mac_given && !memcmp(c->ns_mac, c->our_mac, 6))
		return fail(p, CONF_BAD,
			    "--ns-mac-addr and --mac-addr must differ");
	if (c->mode == MODE_PASTA && strlen(c->hostname) > HOSTNAME_MAX)
		return fail(p, CONF_BAD, "Invalid value '%s' for --hostname:"
			    " expected up to %d characters", c->hostname,
			    HOSTNAME_MAX);
	return CONF_RUN;
}

/* pasta's default; where we don't reach the namespace there are no listeners */
static enum conf_result default_ports(struct parse *p)
{
	struct conf *c = p->c;

	if (c->mode == MODE_PASST || c->netns_kind == NETNS_FD)
		return CONF_RUN;
	for (int udp = 0; udp < 2; udp++)
		for (int from_ns = 0; from_ns < 2; from_ns++)
			if (!p->ports_given[udp][from_ns] &&
			    !(udp ? c->no_udp : c->no_tcp) &&
			    !(from_ns && c->no_splice) &&
			    ports_parse(c, udp ? IPPROTO_UDP : IPPROTO_TCP,
					from_ns, "auto", p->error, p->size))
				return CONF_BAD;
	return CONF_RUN;
}

static enum conf_result check_ports(struct parse *p)
{
	if (ports_check(p->c, p->error, p->size))
		return CONF_BAD;
	return default_ports(p);
}

static enum conf_result check_all(struct parse *p)
{
	struct conf *c = p->c;
	enum conf_result ret = check_process(p);

	if (!ret)
		ret = check_namespace(p);
	if (!ret)
		ret = check_mtu(p);
	if (!ret)
		ret = check_ports(p);
	if (!ret)
		ret = check_addr4(p);
	if (ret)
		return ret;
	warn_disabled(&c->ip4, "IPv4", "ipv6-only");
	warn_disabled(&c->ip6, "IPv6", "ipv4-only");
	c->no_ndp |= c->no_icmp;
	c->no_ra |= c->no_ndp || c->config_net;
	return CONF_RUN;
}

/* The program, from its name: "pasta" first, so that passt.avx2 works */
static enum conf_result set_mode(struct parse *p)
{
	const char *slash = strrchr(p->prog, '/');
	const char *base = slash ? slash + 1 : p->prog;

	if (strstr(base, "pasta"))
		p->c->mode = MODE_PASTA;
	else if (strstr(base, "passt"))
		p->c->mode = MODE_PASST;
	else
		return fail(p, CONF_BAD, "Called as '%s': expected a name with"
			    " 'passt' or 'pasta' in it", base);
	p->c->progname = p->c->mode == MODE_PASTA ? "pasta" : "passt";
	p->c->dhcp_dns = p->c->dhcp_search = p->c->mode == MODE_PASST;
	return CONF_RUN;
}

static void set_defaults(struct conf *c)
{
	static const uint8_t mac[6] = CONF_MAC_DEFAULT;

	memset(c, 0, sizeof(*c));
	memcpy(c->our_mac, mac, sizeof(mac));
	c->mode = MODE_PASST;
	c->progname = "passt";
	c->fd_tap = -1;
	c->mtu = CONF_MTU_DEFAULT;
	c->log_size = LOG_SIZE_DEFAULT;
	c->ip4.enabled = c->ip6.enabled = true;
	c->ip6.prefix_len = PREFIX_LEN_IPV6;
	c->ephemeral_first = EPHEMERAL_FIRST;
	c->ephemeral_last = EPHEMERAL_LAST;
}

/**
 * conf_parse_argv() - Parse a command line
 * @c:		Set, from defaults on. Refers to the strings of @argv
 * @argc:	Number of words
 * @argv:	Words, the first is the name of the program and selects the mode
 * @error:	Set for CONF_BAD and CONF_UNKNOWN: one line, without newline
 * @size:	Bytes of @error, CONF_ERROR_LEN is enough
 *
 * Writes nothing but warnings.
 *
 * Return: what to do next
 */
enum conf_result conf_parse_argv(struct conf *c, int argc, char *const *argv,
				 char *error, size_t size)
{
	struct parse p = {
		.c = c, .argc = argc, .argv = argv, .next = 1,
		.prog = argc ? argv[0] : "", .error = error, .size = size,
	};
	enum conf_result ret;

	set_defaults(c);
	ret = set_mode(&p);
	if (!ret)
		ret = parse_options(&p);
	if (!ret)
		ret = parse_rest(&p);
	if (!ret)
		ret = check_all(&p);
	if (ret == CONF_BAD || ret == CONF_UNKNOWN)
		util_one_line(error);
	return ret;
}

/* Help and version ------------------------------------------------------- */

static void help_option(const struct opt *o)
{
	const char *text = o->help, *sep = o->arg ? " " : "";
	char left[HELP_COLUMN * 2];
	int n;

	if (o->letter)
		snprintf(left, sizeof(left), "  -%c, --%s%s%s", o->letter,
			 o->name, sep, o->arg ? o->arg : "");
	else
		snprintf(left, sizeof(left), "      --%s%s%s", o->name, sep,
			 o->arg ? o->arg : "");
	if (strlen(left) >= HELP_COLUMN) {
		printf("%s\n", left);
		left[0] = 0;
	}
	printf("%-*s", HELP_COLUMN, left);
	while ((n = (int)strcspn(text, "\n")), text[n]) {
		printf("%.*s\n%*s", n, text, HELP_COLUMN, "");
		text += n + 1;
	}
	printf("%s\n", text);
}

static void help_section(const char *title, unsigned modes)
{
	printf("\n%s:\n", title);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].modes == modes && options[i].set &&
		    options[i].help)
			help_option(&options[i]);
}

/* Without dashes, see the top of the file */
static void help_not_built(void)
{
	unsigned column = 80;

	printf("\nKnown, and not built yet:");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		unsigned len = strlen(options[i].name) + 1;

		if (options[i].set)
			continue;
		if (column + len >= 80) {
			printf("\n ");
			column = 1;
		}
		column += len;
		printf(" %s", options[i].name);
	}
	printf("\n");
}

static const char usage[] =
	"Usage: passt [OPTION]...\n"
	"       pasta [OPTION]... [COMMAND [ARG]...]\n"
	"       pasta [OPTION]... PID\n";

static void print_help(void)
{
	printf("%s\n"
	       "passt connects a virtual machine to the network of its user,\n"
	       "pasta a network namespace: that of process PID, or a new one\n"
	       "with COMMAND or a shell in it. Neither needs privileges.\n",
	       usage);
	help_section("Options", IN_BOTH);
	help_section("Options of passt", IN_PASST);
	help_section("Options of pasta", IN_PASTA);
	help_not_built();
	fflush(stdout);
}

static void print_version(const struct conf *c)
{
	printf("%s %s\n"
	       "Copyright: the authors of passt and pasta\n"
	       "License: GPL-2.0-or-later, free software, to be changed and\n"
	       "passed on. There is no warranty, as far as the law permits.\n",
	       c->progname, VERSION);
	fflush(stdout);
}

static enum log_level level_of(const struct conf *c)
{
	if (c->trace)
		return LOG_L_TRACE;
	if (c->debug)
		return LOG_L_DEBUG;
	return c->quiet ? LOG_L_WARN : LOG_L_INFO;
}

/* What can't be read is as in most kernels */
static void read_ephemeral(struct conf *c)
{
	unsigned first, last;
	char text[32];
	ssize_t n;
	int fd = open(EPHEMERAL_PATH, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	if (sscanf(text, "%u %u", &first, &last) == 2 && first &&
	    first <= last && last <= UINT16_MAX) {
		c->ephemeral_first = first;
		c->ephemeral_last = last;
	}
}

/**
 * conf_parse() - Parse the command line of this process
 * @c:		Set, except for what is found on the host
 * @argc:	As for main()
 * @argv:	As for main(), must stay
 *
 * Sets the name and the level of the log, keeps nothing open. Exits with status 1 if
 * anything is wrong.
 *
 * Return: 0 to go on; 1 if help or version were printed: exit with status 0
 */
int conf_parse(struct conf *c, int argc, char **argv)
{
	char error[CONF_ERROR_LEN];

	switch (conf_parse_argv(c, argc, argv, error, sizeof(error))) {
	case CONF_RUN:
		break;
	case CONF_HELP:
		print_help();
		return 1;
	case CONF_VERSION:
		print_version(c);
		return 1;
	case CONF_BAD:
		die("%s", error);
	case CONF_UNKNOWN:
		err("%s", error);
		fprintf(stderr, "%s\nSee %s --help for the options.\n", usage,
			c->progname);
		exit(1);
	}
	log_init(c->progname);
	log_set_level(level_of(c));
	read_ephemeral(c);
	if (ports_skip_ephemeral(c))
		die("Too many rules for ports: expected up to %d",
		    CONF_RULES_MAX);
	return 0;
}

/* Once the host is known ------------------------------------------------- */

static void resolve_ip(struct conf_ip *ip, bool no_map_gw)
{
	if (!ip->map_given && !no_map_gw)
		ip->map_host_loopback = ip->gw;
}

/**
 * conf_resolve() - Fill in what follows from the host
 * @c:		Parsed, and with the interface, address, prefix length and
 *		gateway of each family that were found and not given
 */
void conf_resolve(struct conf *c)
{
	const char *name = c->ip4.ifindex ? c->ip4.ifname :
			   c->ip6.ifindex ? c->ip6.ifname : "tap0";

	resolve_ip(&c->ip4, c->no_map_gw);
	resolve_ip(&c->ip6, c->no_map_gw);
	if (!*c->ns_ifname)
		util_strcpy(c->ns_ifname, IFNAMSIZ, name);
}

/* NAME (IPv4), NAME (IPv6): with "" in place of a name, that one is not told */
static void print_interfaces(const char *what, const char *name4,
			     const char *name6)
{
	if (*name4 || *name6)
		info("%s interface: %s%s%s%s%s", what,
		     name4, *name4 ? " (IPv4)" : "",
		     *name4 && *name6 ? ", " : "",
		     name6, *name6 ? " (IPv6)" : "");
}

static void print_outbound_addr(const struct conf_ip *ip)
{
	char s[INANY_STRLEN];

	if (ip->enabled && inany_is_set(&ip->outbound_addr))
		info("Outbound address: %s",
		     inany_ntop(&ip->outbound_addr, s, sizeof(s)));
}

static void print_link(const struct conf *c)
{
	char mac[UTIL_MAC_STRLEN];

	print_interfaces("Template", c->ip4.ifindex ? c->ip4.ifname : "",
			 c->ip6.ifindex ? c->ip6.ifname : "");
	print_interfaces("Outbound", c->ip4.outbound_if, c->ip6.outbound_if);
	print_outbound_addr(&c->ip4);
	print_outbound_addr(&c->ip6);
	if (c->mode == MODE_PASTA && *c->ns_ifname)
		info("Namespace interface: %s", c->ns_ifname);
	info("MAC:");
	info("    host: %s", util_mac_ntop(c->our_mac, mac));
}

static void print_addr(const char *what, const union inany *a)
{
	char s[INANY_STRLEN];

	if (inany_is_set(a))
		info("    %s: %s", what, inany_ntop(a, s, sizeof(s)));
}

static void print_dns(const union inany *ns, unsigned n, const struct dns *d,
		      bool search)
{
	char s[INANY_STRLEN];

	if (n)
		info("DNS:");
	for (unsigned i = 0; i < n; i++)
		info("    %s", inany_ntop(&ns[i], s, sizeof(s)));
	if (search && d->nsearch)
		info("DNS search list:");
	for (unsigned i = 0; search && i < d->nsearch; i++)
		info("    %s", d->search[i]);
}

/* The heading says by which protocol: with none, it is set in the namespace */
static void print_ipv4(const struct conf *c, const struct dns *d)
{
	uint32_t mask = (uint32_t)(UINT64_MAX << (32 - c->ip4.prefix_len));
	union inany a = inany_from_v4((struct in_addr){ htonl(mask) });

	print_addr("NAT to host 127.0.0.1", &c->ip4.map_host_loopback);
	if (!inany_is_set(&c->ip4.addr))
		return;
	info("%s:", c->no_dhcp ? "IPv4" : "DHCP");
	print_addr("assign", &c->ip4.addr);
	print_addr("mask", &a);
	print_addr("router", &c->ip4.gw);
	if (!c->no_dhcp)
		print_dns(d->ns4, c->dhcp_dns ? d->n4 : 0, d, c->dhcp_search);
}

static const char *ipv6_protocols(const struct conf *c)
{
	if (c->no_ra)
		return c->no_dhcpv6 ? "IPv6" : "DHCPv6";
	return c->no_dhcpv6 ? "NDP" : "NDP/DHCPv6";
}

static void print_ipv6(const struct conf *c, const struct dns *d)
{
	print_addr("NAT to host ::1", &c->ip6.map_host_loopback);
	if (!inany_is_set(&c->ip6.addr))
		return;
	info("%s:", ipv6_protocols(c));
	print_addr("assign", &c->ip6.addr);
	print_addr("router", &c->ip6.gw);
	print_addr("our link-local", &c->ip6.our_ll);
	if (!c->no_ra || !c->no_dhcpv6)
		print_dns(d->ns6, c->dhcp_dns ? d->n6 : 0, d, c->dhcp_search);
}

/**
 * conf_print() - Tell the user what was found and chosen
 * @c:		Configuration, after conf_resolve()
 * @d:		Name servers and search list, as at start
 */
void conf_print(const struct conf *c, const struct dns *d)
{
	print_link(c);
	if (c->ip4.enabled)
		print_ipv4(c, d);
	if (c->ip6.enabled)
		print_ipv6(c, d);
	ports_print(c);
}
