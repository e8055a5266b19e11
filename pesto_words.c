/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pesto_words.c - Requests of words on a control socket, and answers for people
 *
 * A request is a line. Its answer is lines of flat JSON objects; the last one has the
 * field "ok". doc/control.md has all of them. A line that this file does not understand,
 * or a field that it does not know, is no error: a newer server may send more.
 *
 * Nothing is allocated. Strings of the server are printed without control characters.
 */

#include "pesto_words.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "json.h"
#include "util.h"

#define AMOUNT_STRLEN	24

/* pesto_complain() - Print an error as one line */
void pesto_complain(const char *fmt, ...)
{
	char line[WORDS_ANSWER_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	util_one_line(line);
	fflush(stdout);
	fprintf(stderr, "pesto: %s\n", line);
}

/* Fields as text ----------------------------------------------------------- */

/* The value of a field, "-" without one */
static const char *text_field(const struct json *j, const char *name)
{
	const char *s = json_string(j, name);

	return s && *s ? s : "-";
}

static uint64_t number_field(const struct json *j, const char *name)
{
	uint64_t v = 0;

	json_number(j, name, &v);
	return v;
}

/* The value of a number as it is, "-" without one */
static const char *count_text(const struct json *j, const char *name,
			      char buf[AMOUNT_STRLEN])
{
	uint64_t v;

	if (!json_number(j, name, &v))
		return "-";
	snprintf(buf, AMOUNT_STRLEN, "%" PRIu64, v);
	return buf;
}

/* Bytes in three digits or so: 812, 1.2M, 40K */
static const char *bytes_text(uint64_t n, char buf[AMOUNT_STRLEN])
{
	static const char units[] = " KMGTPE";
	uint64_t tenths = n / 1024 * 10 + n % 1024 * 10 / 1024;
	unsigned unit = 1;

	if (n < 1024) {
		snprintf(buf, AMOUNT_STRLEN, "%" PRIu64, n);
		return buf;
	}
	for (; tenths >= 10240; tenths /= 1024)
		unit++;
	if (tenths < 100)
		snprintf(buf, AMOUNT_STRLEN, "%" PRIu64 ".%" PRIu64 "%c",
			 tenths / 10, tenths % 10, units[unit]);
	else
		snprintf(buf, AMOUNT_STRLEN, "%" PRIu64 "%c", tenths / 10,
			 units[unit]);
	return buf;
}

static const char *age_text(uint64_t s, char buf[AMOUNT_STRLEN])
{
	if (s < 60)
		snprintf(buf, AMOUNT_STRLEN, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(buf, AMOUNT_STRLEN, "%" PRIu64 "m%02us", s / 60,
			 (unsigned)(s % 60));
	else
		snprintf(buf, AMOUNT_STRLEN, "%" PRIu64 "h%02um", s / 3600,
			 (unsigned)(s / 60 % 60));
	return buf;
}

/* Print an address and its port, or ports */
static void print_end(const struct json *j, const char *addr_name,
		      const char *port_name, uint64_t more)
{
	const char *addr = text_field(j, addr_name);
	bool v6 = strchr(addr, ':');
	uint64_t port;

	printf("%s%s%s", v6 ? "[" : "", addr, v6 ? "]" : "");
	if (!json_number(j, port_name, &port))
		return;
	printf(":%" PRIu64, port);
	if (more)
		printf("-%" PRIu64, port + more);
}

/* Lines of answers --------------------------------------------------------- */

/* print_rule_ends() - Where a rule listens, and where it leads */
static void print_rule_ends(const struct json *j)
{
	uint64_t first = number_field(j, "first");
	uint64_t last = number_field(j, "last");
	uint64_t more = last > first ? last - first : 0;

	printf("%s ", text_field(j, "kind"));
	print_end(j, "addr", "first", more);
	if (json_string(j, "if"))
		printf("%%%s", text_field(j, "if"));
	printf(" -> ");
	if (json_string(j, "target"))
		print_end(j, "target", "to", more);
	else if (more)
		printf("%" PRIu64 "-%" PRIu64, number_field(j, "to"),
		       number_field(j, "to") + more);
	else
		printf("%" PRIu64, number_field(j, "to"));
}

/* print_state() - State of a rule, how far it is bound, and why no further */
static void print_state(const struct json *j)
{
	printf(" %s", text_field(j, "state"));
	if (json_has(j, "ports") &&
	    number_field(j, "ports") != number_field(j, "bound"))
		printf(" %" PRIu64 " of %" PRIu64, number_field(j, "bound"),
		       number_field(j, "ports"));
}

static void show_rule(const struct json *j)
{
	char buf[AMOUNT_STRLEN];

	if (json_has(j, "ok"))
		return;
	printf("%s ", count_text(j, "rule", buf));
	print_rule_ends(j);
	print_state(j);
	printf(" %s conns", count_text(j, "conns", buf));
	if (json_string(j, "text"))
		printf(" (%s)", json_string(j, "text"));
	printf("\n");
}

/* A rule that was added or removed */
static void show_change(const struct json *j)
{
	char buf[AMOUNT_STRLEN];

	if (!json_has(j, "state"))
		return;
	printf("%s %s %s", count_text(j, "rule", buf), text_field(j, "kind"),
	       text_field(j, "spec"));
	print_state(j);
	printf("\n");
}

/* The same when nobody asked for it: only if the change was none */
static void show_no_change(const struct json *j)
{
	const char *state = text_field(j, "state");

	if (!strcmp(state, "unchanged") || !strcmp(state, "absent"))
		show_change(j);
}

static void print_flow(const struct json *j)
{
	char buf[AMOUNT_STRLEN];
	uint64_t us;

	printf("%s %s ", text_field(j, "flow"), text_field(j, "proto"));
	print_end(j, "src", "sport", 0);
	printf(" -> ");
	print_end(j, "dst", "dport", 0);
	if (json_string(j, "target")) {
		printf(" => ");
		print_end(j, "target", "to", 0);
	}
	printf(" %s %s", text_field(j, "state"),
	       age_text(number_field(j, "age"), buf));
	printf(" in %s", bytes_text(number_field(j, "in"), buf));
	printf(" out %s", bytes_text(number_field(j, "out"), buf));
	if (json_number(j, "rtt", &us))
		printf(" rtt %" PRIu64 ".%" PRIu64 "ms", us / 1000,
		       us % 1000 / 100);
	printf(" rule %s\n", count_text(j, "rule", buf));
}

static void show_flow(const struct json *j)
{
	if (json_has(j, "flow"))
		print_flow(j);
}

static void show_killed(const struct json *j)
{
	uint64_t n;

	if (json_number(j, "killed", &n))
		printf("%" PRIu64 " flow%s killed\n", n, n == 1 ? "" : "s");
}

static void show_counter(const struct json *j)
{
	char buf[AMOUNT_STRLEN];

	if (json_string(j, "name"))
		printf("%-40s %s\n", json_string(j, "name"),
		       count_text(j, "value", buf));
}

static void show_line(const struct json *j)
{
	if (json_string(j, "line"))
		printf("%s\n", json_string(j, "line"));
}

static void show_event(const struct json *j)
{
	const char *event = json_string(j, "event");
	uint64_t lost;

	if (json_number(j, "lost", &lost))
		printf("%" PRIu64 " events lost\n", lost);
	if (!event)
		return;
	printf("%s ", event);
	if (json_has(j, "flow")) {
		print_flow(j);
	} else if (json_has(j, "rule")) {
		char buf[AMOUNT_STRLEN];

		printf("%s ", count_text(j, "rule", buf));
		print_rule_ends(j);
		print_state(j);
		if (json_string(j, "text"))
			printf(" (%s)", json_string(j, "text"));
		printf("\n");
	} else {
		printf("%s\n", text_field(j, "text"));
	}
}

/* Each field of the only line */
static void show_status(const struct json *j)
{
	for (unsigned i = 0; i < j->n; i++)
		if (strcmp(j->field[i].name, "ok"))
			printf("%s: %s\n", j->field[i].name,
			       j->field[i].value);
}

/* Commands of the command line */
static const struct command {
	const char *name;
	void (*show)(const struct json *j);
} commands[] = {
	{ "add", show_change },
	{ "del", show_change },
	{ "rules", show_rule },
	{ "flows", show_flow },
	{ "kill", show_killed },
	{ "stats", show_counter },
	{ "metrics", show_line },
	{ "events", show_event },
	{ "status", show_status },
	/* Asked by options, see pesto.c */
	{ "commit", show_no_change },
};

static const struct command *command_of(const char *request)
{
	size_t len = strcspn(request, " ");

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strlen(commands[i].name) == len &&
		    !memcmp(commands[i].name, request, len))
			return &commands[i];
	return NULL;
}

/**
 * words_is_command() - Is this a command of the command line?
 * @command:	Its first word
 */
bool words_is_command(const char *command)
{
	return !strchr(command, ' ') && strcmp(command, "commit") &&
	       command_of(command);
}

/* Conversation ------------------------------------------------------------- */

/**
 * words_begin() - Begin a conversation
 * @w:		Set
 * @fd:		Connected socket that has sent its greeting; stays the caller's
 * @path:	Path of the socket, must stay
 * @json:	Print answers as they come
 */
void words_begin(struct words *w, int fd, const char *path, bool json)
{
	w->fd = fd;
	w->path = path;
	w->json = json;
	w->at = w->have = 0;
}

static enum pesto_status connection_lost(const struct words *w, const char *why)
{
	pesto_complain("%s: %s", w->path, why);
	return PESTO_STATUS_LOST;
}

/*
 * Read until a whole line is in @w->in
 *
 * Return: the line without its newline; NULL: the connection has ended, with errno, or 0
 * if the server closed it
 */
static char *next_line(struct words *w)
{
	char *line, *end;
	ssize_t n;

	while (!(end = memchr(w->in + w->at, '\n', w->have - w->at))) {
		memmove(w->in, w->in + w->at, w->have - w->at);
		w->have -= w->at;
		w->at = 0;
		if (w->have == sizeof(w->in)) {
			errno = EMSGSIZE;
			return NULL;
		}
		n = recv(w->fd, w->in + w->have, sizeof(w->in) - w->have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : 0;
			return NULL;
		}
		w->have += (size_t)n;
	}
	line = w->in + w->at;
	*end = 0;
	w->at = (size_t)(end + 1 - w->in);
	return line;
}

static const char *lost_text(int error, char buf[UTIL_ERROR_STRLEN])
{
	if (!error)
		return "The server closed the connection before it answered";
	if (error == EAGAIN)
		return "No answer from the server in time";
	return util_strerror(error, buf);
}

/* Replace control characters in the values, which go to a terminal */
static void make_printable(struct json *j)
{
	for (unsigned i = 0; i < j->n; i++) {
		util_one_line((char *)j->field[i].name);
		util_one_line((char *)j->field[i].value);
	}
}

/* Print one line of an answer, errors for people in any case; false: it is an error */
static bool show_answer(const struct words *w, const struct command *command,
			const struct json *j)
{
	bool error = json_has(j, "error") && !json_has(j, "event") &&
		     !(command && command->show == show_rule &&
		       json_has(j, "rule"));
	const char *text = json_string(j, "text");

	if (error)
		pesto_complain("%s", text ? text : text_field(j, "error"));
	else if (!w->json && command)
		command->show(j);
	fflush(stdout);
	return !error;
}

/**
 * words_ask() - Send a request and print its answer
 * @w:		Conversation
 * @request:	Words, shorter than WORDS_REQUEST_MAX, without a newline
 *
 * Does not return from "events" until the connection ends.
 *
 * Return: PESTO_STATUS_REFUSED if the answer says so or has errors of single rules
 */
enum pesto_status words_ask(struct words *w, const char *request)
{
	const struct command *command = command_of(request);
	bool events = command && command->show == show_event;
	const struct timeval never = { 0 };
	bool good = true;
	char reason[UTIL_ERROR_STRLEN], sent[WORDS_REQUEST_MAX + 1];
	int n = snprintf(sent, sizeof(sent), "%s\n", request);
	struct json j;
	char *line;

	if (send(w->fd, sent, (size_t)n, MSG_NOSIGNAL) != n)
		return connection_lost(w, lost_text(errno, reason));
	while ((line = next_line(w))) {
		if (w->json)
			printf("%s\n", line);
		if (!json_parse(&j, line))
			return connection_lost(w, "An answer that is no JSON");
		make_printable(&j);
		good = show_answer(w, command, &j) && good;
		if (!json_has(&j, "ok"))
			continue;
		if (!json_is_true(&j, "ok") || !good)
			return PESTO_STATUS_REFUSED;
		if (!events)
			return PESTO_STATUS_OK;
		setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &never,
			   sizeof(never));
	}
	return connection_lost(w, lost_text(errno, reason));
}

/**
 * words_command() - Send words of the command line and print the answer
 * @w:		Conversation
 * @argc:	Number of words, 1 or more
 * @argv:	Words; an argument may be several
 *
 * Return: as words_ask()
 */
enum pesto_status words_command(struct words *w, int argc, char **argv)
{
	char request[WORDS_REQUEST_MAX];
	size_t len = 0;

	for (int i = 0; i < argc; i++) {
		int n = snprintf(request + len, sizeof(request) - len, "%s%s",
				 i ? " " : "", argv[i]);

		if (strpbrk(argv[i], "\n\r") || n < 0 ||
		    (size_t)n >= sizeof(request) - len - 1) {
			pesto_complain("Not a line of up to %d characters: %s",
				       WORDS_REQUEST_MAX - 2, argv[0]);
			return PESTO_STATUS_REFUSED;
		}
		len += (size_t)n;
	}
	return words_ask(w, request);
}
