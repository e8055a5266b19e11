/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Send any bytes to the control socket
 *
 * The first byte chooses if the client has a name, which ports can be bound, and the size
 * of the pieces that the bytes come in. Properties: pieces make no difference, each answer
 * is JSON, the connection is closed after the end, and no rules overlap.
 *
 * No port is bound: bind() and listen() of the C library are replaced.
 */

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../control_cmd.h"
#include "../../events.h"
#include "../../flow.h"
#include "../../json.h"
#include "../../listen.h"
#include "../../listen_change.h"
#include "../../log.h"
#include "../../pesto_wire.h"
#include "../../stats.h"
#include "../../tap.h"

#define OUT_MAX		(1 << 20)
#define TURNS		20000		/* more than any input needs */
#define SLICE_US	1000
#define EVENTS		2048		/* all sockets, even those that are not bound */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop lp;
static struct control ctl;
static struct control_cmd cmd;
static struct listen l;
static struct conf conf;
static struct hostnet hostnet;
static struct flow_table flows;
static struct events events;
static struct tap_stats tap_counters;
static const struct stats counters = { .tap = &tap_counters };
static struct rules scratch;
static uint8_t out[2][OUT_MAX];
static size_t out_len[2];
static unsigned binds;			/* ports that can still be bound */

/* The C library has a union there, of pointers to all kinds of addresses */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
int bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)fd;
	(void)sa;
	(void)len;
	if (binds) {
		binds--;
		return 0;
	}
	errno = EADDRINUSE;
	return -1;
}
#pragma GCC diagnostic pop

int listen(int fd, int backlog)
{
	(void)fd;
	(void)backlog;
	return 0;
}

static bool fit(void *ctx, struct rules *rs)
{
	(void)ctx;
	(void)rs;
	return true;
}

static void applied(void *ctx)
{
	(void)ctx;
}

static void setup(uint8_t mode, int fd)
{
	static const struct control_rules_ops ops = { fit, applied };

	memset(&cmd, 0, sizeof(cmd));
	memset(&l, 0, offsetof(struct listen, l));
	memset(&ctl, 0, sizeof(ctl));
	conf = (struct conf){
		.control_fd = -1, .progname = "pasta",
		.mode = mode & 1 ? MODE_PASTA : MODE_PASST,
		.ip4 = { .enabled = true }, .ip6 = { .enabled = true },
	};
	hostnet.ip4.enabled = hostnet.ip6.enabled = true;
	binds = mode & 2 ? 10000 : mode & 4 ? 3 : 0;
	rules_init(&l.rules);
	l.rules.gen = 0;
	rules_init(&scratch);
	assert(!control_open(&ctl, &conf, -1));
	ctl.first = fd;
	if (!lp.epfd)
		assert(!loop_init(&lp));
	listen_init(&l, &conf, &hostnet, &lp, NULL, 1024);
	memset(&events, 0, sizeof(events));
	events_init(&events, &flows, &lp);
	assert(!control_cmd_init(&cmd, &ctl, &lp, &l, &conf, &flows, &events,
				 &counters, &scratch, &ops, NULL));
	if (mode & 8) {
		ctl.client[0].words = true;	/* as if it had a name */
		ctl.client[0].out_len = 0;
		ctl.client[0].next = CONTROL_READ;
	}
}

static void collect(int fd, unsigned run)
{
	ssize_t n;

	do {
		n = recv(fd, out[run] + out_len[run], OUT_MAX - out_len[run],
			 MSG_DONTWAIT);
		if (n > 0)
			out_len[run] += (size_t)n;
	} while (n > 0);
}

/* Let the daemon work until nothing is left to do */
static void turns(int fd, unsigned run)
{
	static struct epoll_event ev[EVENTS];
	bool any;
	int n;

	for (unsigned i = 0; i < TURNS; i++) {
		any = false;
		n = epoll_wait(lp.epfd, ev, EVENTS, 0);
		for (int k = 0; k < n; k++) {
			union epoll_ref ref = { .u64 = ev[k].data.u64 };

			if (ref.kind != REF_CONTROL)
				continue;
			control_event(&ctl, ref, ev[k].events);
			any = true;
		}
		if (events_news(&events))
			control_kick(&ctl);
		any |= control_run(&ctl);
		any |= listen_step(&l, SLICE_US);
		l.udp_closed = false;	/* there are no flows to end */
		if (!listen_busy(&l))
			any |= control_rules_settle(&cmd.rules);
		if (!any)
			return;
		collect(fd, run);
	}
	assert(!"it comes to rest");
}

static void check_table(void)
{
	const struct fwd_rule *r = NULL, *o;

	while ((r = rules_next(&l.rules, r)))
		for (o = rules_next(&l.rules, r); o; o = rules_next(&l.rules, o))
			assert(!rules_check_pair(r, o, &conf));
}

static void run_pieces(const uint8_t *data, size_t size, uint8_t mode,
		       size_t piece, unsigned run)
{
	size_t at = 0;
	int fd[2];
	ssize_t n = 1;

	out_len[run] = 0;
	assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd));
	setup(mode, fd[0]);
	turns(fd[1], run);
	while (at < size && n > 0) {
		n = send(fd[1], data + at, size - at < piece ? size - at : piece,
			 MSG_NOSIGNAL);
		at += n > 0 ? (size_t)n : 0;
		turns(fd[1], run);
	}
	shutdown(fd[1], SHUT_WR);
	turns(fd[1], run);
	assert(!ctl.clients && !cmd.rules.owner);
	collect(fd[1], run);
	close(fd[1]);
	check_table();
	listen_close(&l);
}

/* Is the output a greeting, unless the client has a name, and then JSON? */
static void check_output(uint8_t mode)
{
	struct pesto_reader r;
	const uint8_t *p = out[0];
	size_t len = out_len[0];
	enum pesto_got got = PESTO_GOT_NOTHING;

	pesto_read_greeting(&r, RULES_MAX);
	while (!(mode & 8) && got != PESTO_GOT_END) {
		got = pesto_read(&r, &p, &len);
		assert(got != PESTO_GOT_ERROR && (got || len));
	}
	while (len) {
		const uint8_t *end = memchr(p, '\n', len);
		char line[JSONLINE_MAX + 1];
		struct json j;
		size_t n;

		assert(end);
		n = (size_t)(end - p);
		assert(n < JSONLINE_MAX);
		memcpy(line, p, n);
		line[n] = 0;
		assert(json_parse(&j, line));
		len -= n + 1;
		p = end + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t mode;

	if (!size || size > 4000)
		return 0;
	log_set_level(LOG_L_ERR);
	mode = *data++;
	size--;
	run_pieces(data, size, mode, size, 0);
	check_output(mode);
	run_pieces(data, size, mode, 1 + (mode >> 4), 1);
	assert(out_len[0] == out_len[1] && !memcmp(out[0], out[1], out_len[0]));
	return 0;
}
