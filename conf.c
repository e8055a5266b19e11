/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.c - From the command line to struct conf
 *
 * The parser has the habits of getopt_long(), which callers rely on: it stops
 * at the first word that is no option, takes unique prefixes of long names and
 * "--name=value", lets short options share a word, and prints the same
 * messages. It is our own because C libraries differ in these messages, and
 * because it keeps nothing between calls. The functions of options are in
 * conf_opts.c.
 *
 * The parser writes to struct conf alone. Rules that involve several options
 * are checked at the end. The first mistake ends the parser with one line that
 * names the option, the value, and the values that would be accepted.
 */

#include "conf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_opts.h"
#include "inany.h"
#include "log.h"
#include "ports.h"
#include "util.h"

#define LOG_SIZE_DEFAULT	(1 << 20)
#define SOCKET_MODE_DEFAULT	0600
#define PID_LIMIT		4194304	/* PID_MAX_LIMIT of the kernel */
#define HELP_COLUMN		30
#define HOSTNAME_MAX		64	/* sethostname(2) */

/* The parser ------------------------------------------------------------- */

static enum conf_result option_apply(struct parse *p, const struct opt *o,
				     const char *arg)
{
	if (!(o->modes & 1 << p->c->mode))
		return conf_bad(p, "--%s is for %s mode only", o->name,
				o->modes == IN_PASTA ? "pasta" : "passt");
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
	const struct opt *o;
	size_t n = snprintf(p->error, p->size,
			    "%s: option '--%.*s' is ambiguous; possibilities:",
			    p->prog, (int)len, name);

	for (size_t i = 0; (o = conf_opt(i)); i++)
		if (o->help && !strncmp(o->name, name, len) && n < p->size)
			n += snprintf(p->error + n, p->size - n, " '--%s'",
				      o->name);
	return CONF_BAD;
}

/* Find a long option by its name or a unique prefix of it */
static enum conf_result find_long(struct parse *p, const char *name, size_t len,
				  const struct opt **found)
{
	const struct opt *o;
	bool ambiguous = false;

	*found = NULL;
	for (size_t i = 0; (o = conf_opt(i)); i++) {
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
	if (*found)
		return CONF_RUN;
	conf_bad(p, "%s: unrecognized option '--%s'", p->prog, name);
	return CONF_UNKNOWN;
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
		return conf_bad(p, "%s: option '--%s' doesn't allow an"
				" argument", p->prog, o->name);
	if (o->arg && !arg && !(arg = next_word(p)))
		return conf_bad(p, "%s: option '--%s' requires an argument",
				p->prog, o->name);
	return option_apply(p, o, arg);
}

static const struct opt *find_short(char letter)
{
	const struct opt *o;

	for (size_t i = 0; (o = conf_opt(i)); i++)
		if (o->letter == letter)
			return o;
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

		if (!o) {
			conf_bad(p, "%s: invalid option -- '%c'", p->prog,
				 letter);
			return CONF_UNKNOWN;
		}
		if (o->arg) {
			arg = *letters ? letters : next_word(p);
			letters = "";
			if (!arg)
				return conf_bad(p, "%s: option requires an"
						" argument -- '%c'", p->prog,
						letter);
		}
		ret = option_apply(p, o, arg);
		if (ret)
			return ret;
	}
	return CONF_RUN;
}

/* Parse all options; leave p->next at the first word after them */
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

/* Parse the words after the options: PID, or COMMAND ARGS, or none */
static enum conf_result parse_rest(struct parse *p)
{
	int n = p->argc - p->next;
	const char *first = n ? p->argv[p->next] : NULL;
	struct conf *c = p->c;
	unsigned long pid;

	if (n && c->mode == MODE_PASST)
		return conf_bad(p, "Extra non-option argument: %s", first);
	if (n && c->netns_path)
		return conf_bad(p, "--netns comes without PID and COMMAND, but"
				" '%s' is given", first);
	if (n && c->fd_tap >= 0)
		return conf_bad(p, "--fd comes without PID and COMMAND, but"
				" '%s' is given", first);
	if (c->mode == MODE_PASST || c->fd_tap >= 0) {
		c->netns_kind = NETNS_FD;
	} else if (c->netns_path) {
		c->netns_kind = NETNS_PATH;
	} else if (n == 1 && util_is_decimal(first)) {
		if (util_parse_ulong(first, 1, PID_LIMIT, &pid))
			return conf_bad(p, "Invalid PID '%s': expected 1 to %d",
					first, PID_LIMIT);
		c->netns_kind = NETNS_PID;
		c->netns_pid = (pid_t)pid;
	} else {
		c->netns_kind = NETNS_SPAWN;
		c->command = n ? p->argv + p->next : NULL;
		c->foreground = true;
	}
	return CONF_RUN;
}

/* Combinations of options ------------------------------------------------ */

/* Disable IPv6 if the MTU is too small for it, unless IPv4 is disabled, too */
static enum conf_result check_mtu(struct parse *p)
{
	struct conf *c = p->c;

	if (!c->mtu || c->mtu >= CONF_MTU_MIN_IPV6 || !c->ip6.enabled)
		return CONF_RUN;
	if (p->only6)
		return conf_bad(p, "Invalid value '%u' for --mtu: expected %u"
				" or more with IPv6", c->mtu,
				CONF_MTU_MIN_IPV6);
	warn("--mtu %u is too small for IPv6, which needs %u: no IPv6", c->mtu,
	     CONF_MTU_MIN_IPV6);
	c->ip6.enabled = false;
	return CONF_RUN;
}

/*
 * Warn of the first or last address of a network. The kernel accepts it for an
 * interface, and examples of other programs use one: 10.0.2.0/24. But by RFC
 * 1122, 3.2.1.3 it means all hosts of the network, so peers may refuse to talk
 * to it.
 */
static void warn_addr4(const struct conf_ip *ip)
{
	uint32_t host_mask, host;
	char s[INANY_STRLEN];

	if (!ip->enabled || !ip->addr_given || !ip->prefix_given ||
	    ip->prefix_len > 30)
		return;
	host_mask = UINT32_MAX >> ip->prefix_len;
	host = ntohl(ip->addr.v4mapped.a4.s_addr) & host_mask;
	if (host && host != host_mask)
		return;
	warn("--address %s is the %s address of its /%u network: some programs"
	     " don't take it for a host's",
	     inany_ntop(&ip->addr, s, sizeof(s)), host ? "broadcast" : "first",
	     ip->prefix_len);
}

/* Only warn: callers may have defaults for a family that their user disables */
static void warn_disabled(const struct conf_ip *ip, const char *family,
			  const char *only)
{
	if (!ip->enabled && (ip->addr_given || ip->gw_given))
		warn("--%s: %s address or gateway given in vain", only, family);
}

static enum conf_result exclude(struct parse *p, const char *a, const char *b)
{
	return conf_bad(p, "--%s and --%s exclude each other", a, b);
}

static enum conf_result check_process(struct parse *p)
{
	const struct conf *c = p->c;

	if (p->only4 && p->only6)
		return exclude(p, "ipv4-only", "ipv6-only");
	if (c->stats_s && !c->foreground)
		return conf_bad(p, "--stats needs --foreground");
	if (c->fd_tap >= 0 && c->sock_path)
		return exclude(p, "fd", "socket");
	if (c->conf_path && c->control_fd >= 0)
		return exclude(p, "conf-path", "control-fd");
	if (c->repair_path && !c->vhost_user)
		return conf_bad(p, "--repair-path needs --vhost-user");
	return CONF_RUN;
}

/* Only warn: callers may always give these options */
static void warn_pointless(const struct parse *p)
{
	const struct conf *c = p->c;

	if (c->quiet && c->debug)
		warn("--quiet has no effect with --%s",
		     c->trace ? "trace" : "debug");
	if (p->no_copy && !c->config_net)
		warn("--%s has no effect without --config-net", p->no_copy);
	if (c->userns_path && c->netns_only)
		warn("--userns has no effect with --netns-only");
	if (c->netns_only && c->fd_tap >= 0)
		warn("--netns-only has no effect with --fd");
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
	if (c->host_lo_to_ns_lo && c->no_splice)
		return exclude(p, "host-lo-to-ns-lo", "no-splice");
	if (c->userns_path && !join && !c->netns_only)
		return conf_bad(p, "--userns needs --netns or PID");
	if (c->ns_mac_given && !memcmp(c->ns_mac, c->our_mac, 6))
		return conf_bad(p, "--ns-mac-addr and --mac-addr must differ");
	if (c->netns_kind == NETNS_SPAWN && strlen(c->hostname) > HOSTNAME_MAX)
		warn("--hostname has more than %d characters: the namespace"
		     " keeps the name of the host", HOSTNAME_MAX);
	return CONF_RUN;
}

/* Set pasta's default, auto; not with --fd: there we can't look for listeners */
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
			    ports_parse(p->rules, true,
					udp ? IPPROTO_UDP : IPPROTO_TCP,
					from_ns, "auto", p->error, p->size))
				return CONF_BAD;
	return CONF_RUN;
}

static enum conf_result check_all(struct parse *p)
{
	struct conf *c = p->c;
	enum conf_result ret = check_process(p);

	if (!ret)
		ret = check_namespace(p);
	if (!ret)
		ret = check_mtu(p);
	if (!ret && ports_check(p->rules, c, p->error, p->size))
		ret = CONF_BAD;
	if (!ret)
		ret = default_ports(p);
	if (!ret && p->cidr4 && p->mask4)
		ret = conf_bad(p, "Redundant prefix length specification:"
			       " --netmask, and --address with a length");
	if (ret)
		return ret;
	warn_addr4(&c->ip4);
	warn_pointless(p);
	warn_disabled(&c->ip4, "IPv4", "ipv6-only");
	warn_disabled(&c->ip6, "IPv6", "ipv4-only");
	c->no_splice |= c->fd_tap >= 0;	/* no way to make sockets in there */
	c->no_ndp |= c->no_icmp;
	c->no_ra |= c->no_ndp || c->config_net;
	return CONF_RUN;
}

/* Select the mode by the program's name, which may be as in passt.avx2 */
static enum conf_result set_mode(struct parse *p)
{
	const char *slash = strrchr(p->prog, '/');
	const char *base = slash ? slash + 1 : p->prog;

	if (strstr(base, "pasta"))
		p->c->mode = MODE_PASTA;
	else if (strstr(base, "passt"))
		p->c->mode = MODE_PASST;
	else
		return conf_bad(p, "Called as '%s': expected a name with"
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
	c->fd_tap = c->control_fd = -1;
	c->mtu = CONF_MTU_DEFAULT;
	c->log_size = LOG_SIZE_DEFAULT;
	c->socket_mode = SOCKET_MODE_DEFAULT;
	c->ip4.enabled = c->ip6.enabled = true;
	c->ip6.prefix_len = CONF_PREFIX_IPV6;
}

/**
 * conf_parse_argv() - Parse a command line
 * @c:		Set, starting from defaults. Refers to the strings of @argv
 * @rules:	Set to the forwarding rules, which refer to @argv, too
 * @argc:	Number of words
 * @argv:	Words; the first is the name of the program and selects the mode
 * @error:	Set for CONF_BAD and CONF_UNKNOWN: one line, without newline
 * @size:	Bytes of @error, CONF_ERROR_LEN is enough
 *
 * Prints nothing but warnings.
 *
 * Return: CONF_RUN, CONF_HELP or CONF_VERSION, or the kind of the error
 */
enum conf_result conf_parse_argv(struct conf *c, struct rules *rules, int argc,
				 char *const *argv, char *error, size_t size)
{
	struct parse p = {
		.c = c, .rules = rules, .argc = argc, .argv = argv, .next = 1,
		.prog = argc ? argv[0] : "", .error = error, .size = size,
	};
	enum conf_result ret;

	set_defaults(c);
	rules_init(rules);
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
	const struct opt *o;

	printf("\n%s:\n", title);
	for (size_t i = 0; (o = conf_opt(i)); i++)
		if (o->modes == modes && o->help)
			help_option(o);
}

static const char usage[] =
	"Usage: passt [OPTION]...\n"
	"       pasta [OPTION]... [COMMAND [ARG]...]\n"
	"       pasta [OPTION]... PID\n"
	"       pasta [OPTION]... --netns PATH\n";

static void print_help(void)
{
	printf("%s\n"
	       "passt connects a virtual machine to the network of its user.\n"
	       "pasta connects a network namespace: the one of process PID,\n"
	       "the one at PATH, or a new one that runs COMMAND or a shell.\n"
	       "Neither needs privileges.\n",
	       usage);
	help_section("Options", IN_BOTH);
	help_section("Options of passt", IN_PASST);
	help_section("Options of pasta", IN_PASTA);
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

/**
 * conf_parse() - Parse the command line of this process
 * @c:		Set; const from here on
 * @rules:	Set: forwarding rules, as given
 * @argc:	As for main()
 * @argv:	As for main(), must stay
 *
 * Sets the name and the level of the log, keeps no file open. Asks nothing of the
 * host. Exits with status 1 on any error.
 *
 * Return: 0 to go on; 1 if help or version were printed: exit with status 0
 */
int conf_parse(struct conf *c, struct rules *rules, int argc, char **argv)
{
	char error[CONF_ERROR_LEN];

	switch (conf_parse_argv(c, rules, argc, argv, error,
				sizeof(error))) {
	case CONF_RUN:
		break;
	case CONF_HELP:
		print_help();
		return 1;
	case CONF_VERSION:
		print_version(c);
		return 1;
	case CONF_CAPABILITIES:
		printf("{\n  \"type\": \"net\"\n}\n");
		fflush(stdout);
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
	log_set_level(c->trace ? LOG_L_TRACE : c->debug ? LOG_L_DEBUG :
		      c->quiet ? LOG_L_WARN : LOG_L_INFO);
	return 0;
}
