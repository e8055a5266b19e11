/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pesto.c - Change and ask a running passt or pasta by its control socket
 *
 * The command line of the established client of this name, and words behind the path:
 *
 *	pesto [-A|-D|-C KIND] [-t|-u|-T|-U SPEC]... PATH	change rules
 *	pesto -s PATH						print rules
 *	pesto PATH COMMAND [WORD]...				see doc/control.md
 *
 * The server speaks first: pesto_wire.c reads its greeting, which has all rules. If a
 * table of the greeting has PESTO_CAP_WORDS, changes and commands are requests of words on
 * the same connection, see pesto_words.c: the server parses the specifications, takes all
 * changes or none, and says why.
 *
 * Any other server gets its tables back with the changes made here. It never answers,
 * so rules that it would refuse are found here; it only closes the connection. To add a rule that is there, and to delete
 * one that is not, is no error. A rule that overlaps another one is.
 */

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "inany.h"
#include "pesto_wire.h"
#include "pesto_words.h"
#include "ports.h"
#include "rules.h"
#include "types.h"
#include "util.h"

#define FOREIGN_RULES	255		/* most rules of a table, of other servers */
#define TIMEOUT_S	30
#define CLOSE_S		2		/* most that a server takes to close */
#define ERROR_LEN	1024
#define RULE_STRLEN	256
#define RANGE_FILE	"/proc/sys/net/ipv4/ip_local_port_range"

/* Change that the rules of a specification make, or an option without one */
enum change_kind { CHANGE_REPLACE, CHANGE_ADD, CHANGE_DEL, CHANGE_CLEAR };

/**
 * struct change - One option that changes rules
 * @kind:	The change
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @from_ns:	It is about the table SPLICE, else HOST
 * @spec:	Specification, NULL with CHANGE_CLEAR
 */
struct change {
	enum change_kind kind;
	uint8_t proto;
	bool from_ns;
	const char *spec;
};

/**
 * struct args - Command line
 * @debug, @show, @json, @partial:	Options
 * @mode:	How specifications that follow are to be used
 * @n:		Number of changes
 * @change:	Changes in the order of the options
 * @path:	Path of the socket
 * @words, @argv:	Words behind the path
 */
struct args {
	bool debug, show, json, partial;
	enum change_kind mode;
	unsigned n;
	struct change *change;
	const char *path;
	int words;
	char **argv;
};

/**
 * struct table - Rules of one kind, as the server has told them
 * @kind:	Number, name, capabilities
 * @replaced:	Its own rules were removed for those of the command line
 * @n:		Number of rules
 * @rule:	Rules
 */
struct table {
	struct pesto_kind kind;
	bool replaced;
	unsigned n;
	struct pesto_rule rule[RULES_MAX];
};

/**
 * struct session - A connection
 * @fd:		Socket
 * @args:	Command line
 * @version:	Version that the server has announced
 * @words:	It understands words
 * @tables:	Number of tables
 * @table:	Tables
 */
struct session {
	int fd;
	const struct args *args;
	uint32_t version;
	bool words;
	unsigned tables;
	struct table table[PESTO_KINDS];
};

static struct session session;
static struct rules parsed;		/* rules of one specification */

/* Command line ------------------------------------------------------------- */

static const char usage[] =
	"Usage: pesto [OPTION]... PATH\n"
	"       pesto [OPTION]... PATH COMMAND [WORD]...\n"
	"\n"
	"pesto changes and shows the forwarding rules of a running passt or\n"
	"pasta. PATH is its control socket, see its option --conf-path.\n"
	"\n"
	"Options, used in this order from left to right:\n"
	"  -A, --add               Add the rules that follow\n"
	"  -D, --delete            Delete the rules that follow\n"
	"  -C, --clear KIND        Delete all rules of HOST or SPLICE\n"
	"                          Without -A, -D and -C, the rules that follow\n"
	"                          replace all of their kind\n"
	"  -t, --tcp-ports SPEC    TCP ports of the host\n"
	"  -u, --udp-ports SPEC    UDP ports of the host\n"
	"  -T, --tcp-ns SPEC       TCP ports of the namespace\n"
	"  -U, --udp-ns SPEC       UDP ports of the namespace\n"
	"\n"
	"  -s, --show              Print the rules, after all changes\n"
	"      --partial           If a rule can't be bound, let it wait and\n"
	"                          take the others (default: all or none)\n"
	"      --json              Print answers as JSON, one object a line\n"
	"  -d, --debug             Print the server's version and abilities\n"
	"  -h, --help              Print this help and exit\n"
	"      --version           Print version and licence, and exit\n"
	"\n"
	"Commands: add, del, rules, flows, kill, stats, metrics, events, status\n"
	"\n"
	"Exit status: 0 done, 1 refused, 2 no connection\n";

static const struct option options[] = {
	{ "add", no_argument, NULL, 'A' },
	{ "clear", required_argument, NULL, 'C' },
	{ "debug", no_argument, NULL, 'd' },
	{ "delete", no_argument, NULL, 'D' },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, 'j' },
	{ "partial", no_argument, NULL, 'p' },
	{ "show", no_argument, NULL, 's' },
	{ "tcp-ns", required_argument, NULL, 'T' },
	{ "tcp-ports", required_argument, NULL, 't' },
	{ "udp-ns", required_argument, NULL, 'U' },
	{ "udp-ports", required_argument, NULL, 'u' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

static const char version[] =
	"pesto " VERSION "\n"
	"Copyright: the authors of passt and pasta\n"
	"License: GPL-2.0-or-later, free software, to be changed and\n"
	"passed on. There is no warranty, as far as the law permits.\n";

static void note_change(struct args *a, enum change_kind kind, int letter,
			const char *spec)
{
	a->change[a->n++] = (struct change){
		.kind = kind, .spec = spec,
		.proto = letter == 't' || letter == 'T' ? IPPROTO_TCP :
							  IPPROTO_UDP,
		.from_ns = letter == 'T' || letter == 'U',
	};
}

static void note_clear(struct args *a, const char *name)
{
	bool ns = !strcmp(name, "SPLICE");

	if (!ns && strcmp(name, "HOST")) {
		pesto_complain("Invalid value '%s' for --clear: expected HOST"
			       " or SPLICE", name);
		exit(PESTO_STATUS_REFUSED);
	}
	note_change(a, CHANGE_CLEAR, ns ? 'T' : 't', NULL);
	a->mode = CHANGE_ADD;
}

static void use_option(struct args *a, int letter)
{
	switch (letter) {
	case 'A':
		a->mode = CHANGE_ADD;
		break;
	case 'D':
		a->mode = CHANGE_DEL;
		break;
	case 'C':
		note_clear(a, optarg);
		break;
	case 'd':
		a->debug = true;
		break;
	case 'j':
		a->json = true;
		break;
	case 'p':
		a->partial = true;
		break;
	case 's':
		a->show = true;
		break;
	case 'v':
		fputs(version, stdout);
		exit(PESTO_STATUS_OK);
	case 'h':
		fputs(usage, stdout);
		exit(PESTO_STATUS_OK);
	case '?':
		fputs("Try pesto --help\n", stderr);
		exit(PESTO_STATUS_REFUSED);
	default:
		note_change(a, a->mode, letter, optarg);
		break;
	}
}

static void parse_args(struct args *a, int argc, char **argv)
{
	int letter;

	a->change = calloc((size_t)argc, sizeof(*a->change));
	if (!a->change) {
		pesto_complain("Out of memory");
		exit(PESTO_STATUS_REFUSED);
	}
	while ((letter = getopt_long(argc, argv, "AC:dDhst:T:u:U:", options,
				     NULL)) != -1)
		use_option(a, letter);
	if (optind == argc) {
		fputs(usage, stderr);
		exit(PESTO_STATUS_REFUSED);
	}
	a->path = argv[optind++];
	a->words = argc - optind;
	a->argv = argv + optind;
	if (a->words && (a->n || a->show)) {
		pesto_complain("Extra non-option argument: %s", a->argv[0]);
		exit(PESTO_STATUS_REFUSED);
	}
	if (a->words && !words_is_command(a->argv[0])) {
		pesto_complain("Unknown command: %s", a->argv[0]);
		exit(PESTO_STATUS_REFUSED);
	}
}

/* Greeting ----------------------------------------------------------------- */

/* Connect to the socket, or exit */
static void connect_server(struct session *s)
{
	const struct timeval limit = { .tv_sec = TIMEOUT_S };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = s->args->path;

	if (util_strcpy(sa.sun_path, sizeof(sa.sun_path), path)) {
		pesto_complain("Path too long for a UNIX socket: %s", path);
		exit(PESTO_STATUS_LOST);
	}
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		pesto_complain("Couldn't create a socket: %s", strerror(errno));
		exit(PESTO_STATUS_LOST);
	}
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(s->fd, (struct sockaddr *)&sa, sizeof(sa))) {
		pesto_complain("Couldn't connect to %s: %s", path,
			       errno == EAGAIN ? "Busy with another client" :
			       strerror(errno));
		exit(PESTO_STATUS_LOST);
	}
}

static void keep_item(struct session *s, const struct pesto_reader *r,
		      enum pesto_got got)
{
	struct table *t = &s->table[r->kinds ? r->kinds - 1 : 0];

	if (got == PESTO_GOT_HELLO) {
		s->version = r->version;
	} else if (got == PESTO_GOT_KIND) {
		t->kind = r->kind[r->kinds - 1];
		t->n = 0;
		s->tables = r->kinds;
		s->words = s->words || t->kind.caps & PESTO_CAP_WORDS;
	} else if (got == PESTO_GOT_RULE) {
		t->rule[t->n++] = r->rule;
	}
}

/* Read bytes; exit if there are none any more */
static size_t receive_bytes(const struct session *s, uint8_t *buf, size_t size)
{
	ssize_t n;

	do
		n = recv(s->fd, buf, size, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return (size_t)n;
	pesto_complain("%s: %s", s->args->path,
		       !n ? "The server closed the connection" :
		       errno == EAGAIN ? "No answer from the server in time" :
		       strerror(errno));
	exit(PESTO_STATUS_LOST);
}

/* Read the tables of the server, or exit */
static void read_greeting(struct session *s)
{
	enum pesto_got got = PESTO_GOT_NOTHING;
	struct pesto_reader r;
	const uint8_t *p = NULL;
	uint8_t buf[4096];
	size_t len = 0;

	s->tables = 0;
	pesto_read_greeting(&r, RULES_MAX);
	do {
		if (!len) {
			len = receive_bytes(s, buf, sizeof(buf));
			p = buf;
		}
		got = pesto_read(&r, &p, &len);
		keep_item(s, &r, got);
	} while (got != PESTO_GOT_END && got != PESTO_GOT_ERROR);
	if (got == PESTO_GOT_ERROR) {
		pesto_complain("%s: Unexpected greeting: %s", s->args->path,
			       pesto_text(r.error));
		exit(PESTO_STATUS_LOST);
	}
}

/* Output ------------------------------------------------------------------- */

static const char *range_string(unsigned first, unsigned last, char buf[12])
{
	snprintf(buf, 12, first == last ? "%u" : "%u-%u", first & 0xffff,
		 last & 0xffff);
	return buf;
}

static const char *target_string(const struct pesto_rule *r,
				 char buf[INANY_STRLEN + 3])
{
	char addr[INANY_STRLEN];

	if (!inany_is_set(&r->target))
		return "";
	inany_ntop(&r->target, addr, sizeof(addr));
	snprintf(buf, INANY_STRLEN + 3,
		 inany_is_v4(&r->target) ? "%s:" : "[%s]:", addr);
	return buf;
}

static const char *rule_string(const struct pesto_rule *r,
			       char buf[RULE_STRLEN])
{
	char addr[INANY_STRLEN] = "*", target[INANY_STRLEN + 3];
	char from[12], to[12];

	if (!(r->flags & PESTO_F_BOTH))
		inany_ntop(&r->addr, addr, sizeof(addr));
	snprintf(buf, RULE_STRLEN, "%s [%s]%s%s:%s  =>  %s%s%s%s",
		 r->proto == IPPROTO_TCP ? "TCP" : "UDP", addr,
		 *r->ifname ? "%" : "", r->ifname,
		 range_string(r->first, r->last, from),
		 target_string(r, target),
		 range_string(r->to, r->to + (r->last - r->first), to),
		 r->flags & PESTO_F_WEAK ? " (best effort)" : "",
		 r->flags & PESTO_F_SCAN ? " (auto-scan)" : "");
	return buf;
}

static void print_tables(const struct session *s)
{
	char buf[RULE_STRLEN];

	printf("passt/pasta configuration (%s)\n", s->args->path);
	for (unsigned i = 0; i < s->tables; i++) {
		const struct table *t = &s->table[i];

		printf("  %s\n", t->kind.name);
		for (unsigned k = 0; k < t->n; k++)
			printf("    %s\n", rule_string(&t->rule[k], buf));
	}
}

static void print_debug(const struct session *s)
{
	static const char *const names[] = {
		"IPv4", "IPv6", "TCP", "UDP", "scan", "ifname",
	};

	fprintf(stderr, "Version %u, %s\n", (unsigned)s->version,
		s->words ? "words" : "tables alone");
	for (unsigned i = 0; i < s->tables; i++) {
		const struct pesto_kind *k = &s->table[i].kind;

		fprintf(stderr, "%s: number %u, rules %u, capabilities 0x%x:",
			k->name, k->id, (unsigned)k->count, (unsigned)k->caps);
		for (unsigned bit = 0; bit < ARRAY_SIZE(names); bit++)
			if (k->caps >> bit & 1)
				fprintf(stderr, " %s", names[bit]);
		fprintf(stderr, "\n");
	}
}

/* Changes by tables -------------------------------------------------------- */

static struct table *table_of(struct session *s, bool from_ns)
{
	uint8_t id = from_ns ? PESTO_SPLICE : PESTO_HOST;

	for (unsigned i = 0; i < s->tables; i++)
		if (s->table[i].kind.id == id)
			return &s->table[i];
	return NULL;
}

/* Is there an address that both rules bind? */
static bool addrs_meet(const struct pesto_rule *a, const struct pesto_rule *b)
{
	if ((a->flags | b->flags) & PESTO_F_BOTH)
		return true;
	if (inany_is_v4(&a->addr) != inany_is_v4(&b->addr))
		return false;
	return inany_equals(&a->addr, &b->addr) ||
	       inany_is_unspecified(&a->addr) || inany_is_unspecified(&b->addr);
}

static bool rules_meet(const struct pesto_rule *a, const struct pesto_rule *b)
{
	return a->proto == b->proto && a->first <= b->last &&
	       b->first <= a->last && addrs_meet(a, b);
}

/* Why a table can't have a rule, NULL: it can */
static const char *lacks_ability(const struct session *s, uint32_t caps,
				 const struct pesto_rule *r)
{
	if (!(caps & (r->proto == IPPROTO_TCP ? PESTO_CAP_TCP : PESTO_CAP_UDP)))
		return "the server does not forward this protocol";
	if (!(r->flags & PESTO_F_BOTH) &&
	    !(caps & (inany_is_v4(&r->addr) ? PESTO_CAP_IPV4 : PESTO_CAP_IPV6)))
		return "the server has no addresses of this family";
	if (r->flags & PESTO_F_SCAN && !(caps & PESTO_CAP_SCAN))
		return "the server does not look for listeners";
	if (*r->ifname && !(caps & PESTO_CAP_IFNAME))
		return "the server can't bind to an interface";
	if (s->version < 2 && inany_is_set(&r->target))
		return "the server is too old for a target address";
	return NULL;
}

static bool refuse_rule(const struct pesto_rule *r, const char *why)
{
	char buf[RULE_STRLEN];

	pesto_complain("%s: %s", rule_string(r, buf), why);
	return false;
}

static bool add_rule(const struct session *s, struct table *t,
		     const struct pesto_rule *r)
{
	const char *why = lacks_ability(s, t->kind.caps, r);
	char new[RULE_STRLEN], old[RULE_STRLEN];

	if (why)
		return refuse_rule(r, why);
	for (unsigned i = 0; i < t->n; i++) {
		if (pesto_same_rule(&t->rule[i], r))
			return true;
		if (!rules_meet(&t->rule[i], r))
			continue;
		pesto_complain("Forwarding configuration conflict: %s and %s",
			       rule_string(r, new),
			       rule_string(&t->rule[i], old));
		return false;
	}
	if (t->n == FOREIGN_RULES)
		return refuse_rule(r, "Too many rules");
	t->rule[t->n++] = *r;
	return true;
}

static bool delete_rule(struct table *t, const struct pesto_rule *r)
{
	for (unsigned i = 0; i < t->n; i++) {
		if (!pesto_same_rule(&t->rule[i], r))
			continue;
		t->n--;
		memmove(&t->rule[i], &t->rule[i + 1],
			(t->n - i) * sizeof(t->rule[0]));
		break;
	}
	return true;
}

/*
 * Take ports that the kernel assigns to clients from rules for all ports: in the
 * namespace, its default range
 */
static void spare_ephemeral(bool from_ns)
{
	FILE *f = from_ns ? NULL : fopen(RANGE_FILE, "re");
	unsigned first, last;

	if (!f || fscanf(f, "%u %u", &first, &last) != 2 || first > last ||
	    last > 65535) {
		first = EPHEMERAL_FIRST;
		last = EPHEMERAL_LAST;
	}
	if (f)
		fclose(f);
	for (unsigned kind = 0; kind < RULE_KINDS; kind++)
		rules_cut_weak(&parsed, kind, (uint16_t)first, (uint16_t)last);
}

/* Set @parsed to the rules of a specification */
static bool parse_spec_of(struct session *s, const struct change *c)
{
	char error[ERROR_LEN];

	rules_init(&parsed);
	if (ports_parse(&parsed, table_of(s, true), c->proto, c->from_ns,
			c->spec, error, sizeof(error))) {
		pesto_complain("%s", error);
		return false;
	}
	spare_ephemeral(c->from_ns);
	return true;
}

static bool make_change(struct session *s, const struct change *c)
{
	struct table *t = table_of(s, c->from_ns);
	const struct fwd_rule *r = NULL;
	struct pesto_rule rule;
	bool good = true;

	if (!t) {
		pesto_complain("%s has no table %s", s->args->path,
			       c->from_ns ? "SPLICE" : "HOST");
		return false;
	}
	if (c->kind == CHANGE_CLEAR ||
	    (c->kind == CHANGE_REPLACE && !t->replaced)) {
		t->n = 0;
		t->replaced = true;
	}
	if (c->kind == CHANGE_CLEAR)
		return true;
	if (!parse_spec_of(s, c))
		return false;
	while ((r = rules_next(&parsed, r))) {
		pesto_from_fwd(&rule, r);
		good = (c->kind == CHANGE_DEL ? delete_rule(t, &rule) :
						add_rule(s, t, &rule)) && good;
	}
	return good;
}

static bool send_bytes(const struct session *s, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = send(s->fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			pesto_complain("%s: The server refused the rules: %s",
				       s->args->path, strerror(errno));
			return false;
		}
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/*
 * The server closes when it has made the changes: wait for that, so that ports are bound
 * when we end. If it closed before it had read all, it refused the rules.
 */
static bool was_taken(const struct session *s)
{
	const struct timeval limit = { .tv_sec = CLOSE_S };
	char byte;

	shutdown(s->fd, SHUT_WR);
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (recv(s->fd, &byte, 1, 0) >= 0 || errno != ECONNRESET)
		return true;
	pesto_complain("%s: The server refused the rules", s->args->path);
	return false;
}

static bool send_tables(const struct session *s)
{
	static uint8_t buf[PESTO_KINDS * (PESTO_TABLE_LEN +
			   FOREIGN_RULES * PESTO_RULE_LEN) + 1];
	size_t len = 0;

	for (unsigned i = 0; i < s->tables; i++) {
		const struct table *t = &s->table[i];

		if (t->n > FOREIGN_RULES) {
			pesto_complain("%s: Too many rules", t->kind.name);
			return false;
		}
		len += pesto_put_table(buf + len, t->kind.id, t->n);
		for (unsigned k = 0; k < t->n; k++)
			len += pesto_put_rule(buf + len, s->version,
					      &t->rule[k]);
	}
	buf[len++] = PESTO_END_ID;
	return send_bytes(s, buf, len) && was_taken(s);
}

static enum pesto_status change_by_tables(struct session *s)
{
	const struct args *a = s->args;
	bool good = true;

	for (unsigned i = 0; i < a->n; i++)
		good = make_change(s, &a->change[i]) && good;
	if (!good || !send_tables(s))
		return PESTO_STATUS_REFUSED;
	return PESTO_STATUS_OK;
}

/* Changes by words --------------------------------------------------------- */

static enum pesto_status request_change(struct words *w, const struct change *c)
{
	char request[WORDS_REQUEST_MAX];
	int n;

	if (c->kind == CHANGE_CLEAR)
		return words_ask(w, c->from_ns ? "clear ns" : "clear host");
	n = snprintf(request, sizeof(request), "%s %s%s %s",
		     c->kind == CHANGE_DEL ? "del" : "add",
		     c->proto == IPPROTO_TCP ? "tcp" : "udp",
		     c->from_ns ? "-ns" : "", c->spec);
	if (n < 0 || (size_t)n >= sizeof(request) || strpbrk(c->spec, " \n")) {
		pesto_complain("Invalid value '%.64s...': expected a list"
			       " without blanks of up to %d characters, use"
			       " the option again for more", c->spec,
			       WORDS_REQUEST_MAX - 32);
		return PESTO_STATUS_REFUSED;
	}
	return words_ask(w, request);
}

/* Make room for rules that replace those of their kind, once for each kind */
static enum pesto_status request_room(struct words *w, const struct change *c,
				      bool cleared[2])
{
	const struct change clear = { .kind = CHANGE_CLEAR,
				      .from_ns = c->from_ns };

	if (c->kind != CHANGE_REPLACE || cleared[c->from_ns])
		return PESTO_STATUS_OK;
	cleared[c->from_ns] = true;
	return request_change(w, &clear);
}

static enum pesto_status change_by_words(struct session *s, struct words *w)
{
	const struct args *a = s->args;
	bool cleared[2] = { false, false };
	enum pesto_status status = words_ask(w, "begin"), one;

	for (unsigned i = 0; i < a->n && status != PESTO_STATUS_LOST; i++) {
		one = request_room(w, &a->change[i], cleared);
		if (!one)
			one = request_change(w, &a->change[i]);
		if (one)
			status = one;
	}
	if (status)
		return status;		/* closing ends the transaction */
	return words_ask(w, a->partial ? "commit partial" : "commit");
}

/* All of it ---------------------------------------------------------------- */

static enum pesto_status change_rules(struct session *s, struct words *w)
{
	enum pesto_status status;

	if (!s->words)
		return change_by_tables(s);
	status = change_by_words(s, w);
	if (s->args->show && status != PESTO_STATUS_LOST) {
		close(s->fd);
		connect_server(s);
		read_greeting(s);
	}
	return status;
}

int main(int argc, char **argv)
{
	struct args args = { .mode = CHANGE_REPLACE };
	enum pesto_status status = PESTO_STATUS_OK;
	struct session *s = &session;
	struct words words;

	parse_args(&args, argc, argv);
	s->args = &args;
	connect_server(s);
	read_greeting(s);
	words_begin(&words, s->fd, args.path, args.json);
	if (args.debug)
		print_debug(s);
	if (args.words && !s->words) {
		pesto_complain("%s: The server knows no commands, only options",
			       args.path);
		return PESTO_STATUS_REFUSED;
	}
	if (args.words)
		return words_command(&words, args.words, args.argv);
	if (args.n)
		status = change_rules(s, &words);
	if (args.show)
		print_tables(s);
	return status;
}
