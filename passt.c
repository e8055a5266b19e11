/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passt.c - From main() to the event loop, and the wiring of all modules
 *
 * struct passt holds one struct of each module and is seen nowhere else: a
 * module gets the others that it needs at its init, and calls upwards only through the
 * callbacks set here. main() lists the stages of the start. Each stage uses rights
 * that the later ones do without:
 *
 *	command line	only parses
 *	files		opens files and namespaces that the user named, with the
 *			user's rights, while inherited descriptors are open
 *	host		looks at the host's network
 *	tap		makes or joins the namespace; the tap device
 *	datapath	modules; sockets that need a privilege are bound here
 *	sandbox		leaves the host's files and namespaces, goes to the
 *			background, seals itself
 *	ready		lets the process that started us go on, and the command run
 *	loop		handles input from outside, all of which may be hostile
 *
 * Any failure during the start ends the program with a message and status 1. In the
 * loop, no input makes the program fail.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checksum.h"
#include "client.h"
#include "command.h"
#include "conf.h"
#include "control.h"
#include "control_cmd.h"
#include "control_rules.h"
#include "events.h"
#include "flow.h"
#include "guest.h"
#include "icmp.h"
#include "identity.h"
#include "inbound.h"
#include "input.h"
#include "isolation.h"
#include "listen.h"
#include "listen_change.h"
#include "log.h"
#include "loop.h"
#include "hostnet.h"
#include "migrate.h"
#include "netns.h"
#include "nshelper.h"
#include "packet.h"
#include "pasta.h"
#include "pcap.h"
#include "ports.h"
#include "repair.h"
#include "resolv.h"
#include "rules.h"
#include "scan.h"
#include "sockdiag.h"
#include "stats.h"
#include "tap.h"
#include "tap_stream.h"
#include "tap_vhost.h"
#include "tap_tun.h"
#include "tcp.h"
#include "tcp_migrate.h"
#include "tcp_splice.h"
#include "types.h"
#include "udp.h"
#include "udp_splice.h"
#include "userfile.h"
#include "util.h"
#include "wire.h"

#define EVENTS_MAX	64		/* in one turn of the loop */
#define DRAIN_MS	5000		/* for data that an ended command has sent */
#define RULES_SLICE_US	500		/* of a turn, for a change of the rules */
#define FDS_RESERVE	(2 * TCP_SPLICE_PIPES + 16)	/* pipes, and our own files */

/**
 * struct passt - All state of the program
 * @conf:	Options of the command line
 * @rules:	Forwarding rules at start; later the scratch table of @control_cmd
 * @hostnet:	Network of the host, and the part of it that the other side gets
 * @guest:	Addresses learned from the other side
 * @dns:	Name servers and search list, kept up to date by @follower
 * @identity:	User and group to become
 * @ns:		Namespace that we serve (pasta)
 * @nsh:	Sockets of that namespace
 * @client:	Socket for virtual machines (passt)
 * @repair:	Socket for passt-repair (passt with --vhost-user)
 * @control:	Control socket; @control_cmd: requests of its clients
 * @loop:	Events and timers
 * @tap:	Tap as protocols see it: @tun, @stream or @vhost, or @pcap before it
 * @tap_fd:	Descriptor of the tap; @tun_info: features of the device
 * @pid_fd, @pcap_fd, @null_fd:	Files opened before the sandbox, -1: none
 * @ready_fd:	Pipe to the process that waits for us in the foreground, or -1
 * @signal_fd:	Signals as events
 * @fds:	Limit of open files; @fds_budget: share of flows and listening sockets
 * @stats_timer:	Timer for the next lines of --stats
 * @backend:	Backend of @tap, which counts frames
 * @stats:	All counters
 * @ns_fd:	Keeps the namespace when its command has ended, -1: not ours
 * @drain_timer:	Limits the time for the last data of an ended command
 * @ended:	The command has ended, with @status
 * @udp_closed:	The host's listening UDP sockets were closed after the command ended
 * @quit:	Leave the loop, with @status
 */
static struct passt {
	const struct conf *conf;
	struct rules rules;
	struct hostnet hostnet;
	struct guest guest;
	struct dns dns;
	struct resolv_follower follower;
	struct identity identity;
	struct pasta ns;
	struct nshelper nsh;
	struct client client;
	struct repair repair;
	struct control control;
	struct control_cmd control_cmd;
	struct loop loop;
	struct tap *tap;
	union {
		struct tap_tun tun;
		struct tap_stream stream;
		struct tap_vhost vhost;
	};
	struct pcap pcap;
	struct flow_table flows;
	struct events events;
	struct tcp tcp;
	struct tcp_splice tcp_splice;
	struct udp_io udp_io;
	struct udp udp;
	struct udp_splice udp_splice;
	struct icmp icmp;
	struct input input;
	struct migrate migrate;
	struct migrate_flows migrate_flows;
	struct tcp_migrate tcp_migrate;
	struct listen listen;
	struct scan scan;
	struct inbound inbound;
	struct tap_tun_info tun_info;
	int tap_fd, pid_fd, pcap_fd, null_fd, ready_fd, signal_fd;
	unsigned fds, fds_budget;
	struct timer stats_timer;
	const struct tap *backend;
	struct stats stats;
	struct timer drain_timer;
	int ns_fd;
	bool ended, udp_closed;
	bool quit;
	int status;
} p;

static void quit(struct passt *s, int status)
{
	s->quit = true;
	s->status = status;
}

/* Files -------------------------------------------------------------------- */

/* The tap may have been passed as descriptor 0 to 2: these become /dev/null */
static void tap_fd_move(struct passt *s)
{
	int fd = s->conf->fd_tap;

	s->tap_fd = fd;
	if (fd < 0 || fd > STDERR_FILENO)
		return;
	s->tap_fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (s->tap_fd < 0 || dup2(s->null_fd, fd) < 0)
		die_errno("Couldn't use descriptor %d of --fd", fd);
}

/* Open a file that the user named, -1: none; @what is for the message */
static int file_open(const struct passt *s, const char *what, const char *path,
		     int flags)
{
	const struct identity *id = &s->identity;
	int fd = path ? userfile_open(path, flags, id) : -1;

	if (!path || fd >= 0)
		return fd;
	if (fd == -ECHILD)
		exit(1);		/* the error was logged */
	if (fd == -ELOOP)
		die("Couldn't open %s '%s': too many symbolic links, or one of another user",
		    what, path);
	if (fd == -EACCES && id->by_root && id->change)
		die_rc(fd, "Couldn't open %s '%s' as UID %u", what, path,
		       (unsigned)id->uid);
	die_rc(fd, "Couldn't open %s '%s'", what, path);
}

/* Open files that the user named, in the host */
static void files_open(struct passt *s)
{
	const int create = O_WRONLY | O_CREAT | O_TRUNC;
	const struct conf *c = s->conf;
	int rc;

	s->ready_fd = -1;
	s->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->null_fd < 0)
		die_errno("Couldn't open /dev/null");
	tap_fd_move(s);
	if (control_open(&s->control, c, s->null_fd))
		exit(1);		/* the error was logged */

	if (identity_choose(c->runas, &s->identity))
		exit(1);
	rc = file_open(s, "log file", c->log_file, LOG_FILE_FLAGS);
	if (rc >= 0)
		rc = log_use_file(rc, c->log_size);
	if (c->log_file && rc)
		die_rc(rc, "Couldn't use log file '%s'", c->log_file);
	s->pid_fd = file_open(s, "PID file", c->pid_file, create);
	s->pcap_fd = file_open(s, "capture file", c->pcap_file, create);
	if (s->pcap_fd >= 0)
		s->pcap_fd = pcap_begin(s->pcap_fd);
	if (c->pcap_file && s->pcap_fd < 0)
		die_rc(s->pcap_fd, "Couldn't write to capture file '%s'",
		       c->pcap_file);
	log_connect_syslog();
	pasta_init(&s->ns);
	if (pasta_find(&s->ns, c))
		exit(1);		/* the error was logged */
}

/* Host --------------------------------------------------------------------- */

/* Take the ports from rules for all ports that either side needs for connections and DHCP
 * clients of its own; false: there are too many rules then */
static bool rules_fit(void *ctx, struct rules *rules)
{
	const struct passt *s = ctx;
	const struct {
		unsigned kind;
		uint16_t first, last;
	} own[] = {
		{ RULE_HOST_TCP, s->hostnet.ephemeral_first,
		  s->hostnet.ephemeral_last },
		{ RULE_HOST_UDP, s->hostnet.ephemeral_first,
		  s->hostnet.ephemeral_last },
		{ RULE_NS_TCP, EPHEMERAL_FIRST, EPHEMERAL_LAST },
		{ RULE_NS_UDP, EPHEMERAL_FIRST, EPHEMERAL_LAST },
		{ RULE_NS_UDP, DHCP_PORT_SERVER, DHCP_PORT_CLIENT },
		{ RULE_NS_UDP, DHCPV6_PORT_CLIENT, DHCPV6_PORT_SERVER },
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (rules_cut_weak(rules, own[i].kind, own[i].first,
				   own[i].last))
			return false;
	return true;
}

/* Fit the rules to the host, and check that their interfaces exist */
static void rules_fit_host(struct passt *s)
{
	char error[CONF_ERROR_LEN];

	if (ports_check_interfaces(&s->rules, error, sizeof(error)))
		die("%s", error);
	if (!rules_fit(s, &s->rules))
		die("Too many rules for ports: expected up to %d", RULES_MAX);
}

static void host_look(struct passt *s)
{
	if (s->identity.change && !s->identity.required)
		info("Started as root, will change to nobody.");
	if (hostnet_init(&s->hostnet, s->conf))
		exit(1);
	rules_fit_host(s);
	resolv_start(&s->follower, s->conf, &s->hostnet, &s->dns);
	conf_print(s->conf, &s->hostnet, &s->dns);
	ports_print(&s->rules);
}

/* Tap ---------------------------------------------------------------------- */

static void tap_open(struct passt *s)
{
	const struct conf *c = s->conf;
	int rc = 0;

	s->client.fd = s->ns_fd = -1;
	if (c->mode == MODE_PASST && c->fd_tap < 0 &&
	    client_listen(&s->client, c))
		exit(1);		/* the error was logged */
	if (repair_listen(&s->repair, c, s->client.path))
		exit(1);
	if (s->client.fd >= 0) {
		isolation_close_inherited(-1);
		return;
	}
	isolation_close_inherited(s->tap_fd);
	if (c->netns_kind == NETNS_FD) {
		if (c->mode == MODE_PASTA)
			rc = tap_tun_info_from_fd(c, s->tap_fd, &s->tun_info);
		if (rc)
			die_rc(rc, "--fd %d is no tap device (IFF_TAP and "
			       "IFF_NO_PI)", c->fd_tap);
		return;
	}
	s->tap_fd = pasta_open(&s->ns, c, &s->rules, &s->hostnet,
			       &s->identity, &s->tun_info);
	if (s->tap_fd < 0)
		exit(1);		/* the error was logged */
	if (c->netns_kind == NETNS_SPAWN)
		s->ns_fd = ioctl(s->tap_fd, SIOCGSKNS);
	if (c->splice_only) {
		close(s->tap_fd);
		s->tap_fd = -1;
	}
}

/* Datapath ----------------------------------------------------------------- */

static void tap_rx(void *ctx, const struct pkt *pkts, unsigned n)
{
	struct passt *s = ctx;

	input_batch(&s->input, pkts, n);
}

static void tap_writable(void *ctx)
{
	struct passt *s = ctx;

	tcp_tap_writable(&s->tcp);
	udp_tap_writable(&s->udp);
}

/* Ask for the guest's MAC address: it may be another guest, or another device */
static void tap_started(void *ctx)
{
	struct passt *s = ctx;

	input_solicit_guest(&s->input);
}

static int repairer_wait(void *ctx, unsigned ms)
{
	return repair_wait(ctx, ms);
}

static int repairer_set(void *ctx, const int *fds, unsigned n, int mode)
{
	return repair_set(ctx, fds, n, mode);
}

static const struct tcp_repairer repairer = {
	&p.repair, repairer_wait, repairer_set,
};

static int tap_migrate(void *ctx, enum tap_migrate step, int fd)
{
	struct passt *s = ctx;

	switch (step) {
	case TAP_SAVE:
		return migrate_save(&s->migrate, fd);
	case TAP_LOAD:
		return migrate_load(&s->migrate, fd);
	case TAP_RUN:
		migrate_run(&s->migrate);
	}
	return 0;
}

static void tap_closed(void *ctx, int error)
{
	struct passt *s = ctx;
	bool ends = s->conf->mode == MODE_PASTA || s->conf->one_off;

	migrate_closed(&s->migrate);
	if (error && ends)
		err_rc(error, "Tap failed");
	else if (error)
		warn_limited_rc(error, "Tap failed");
	else if (s->conf->mode == MODE_PASTA)
		info("Tap device is gone, exiting");
	else if (s->conf->one_off)
		info("Client connection closed, exiting");
	else
		info_limited("Client connection closed");
	if (ends)
		quit(s, error ? 1 : 0);
}

/* A row for each kind of flow */
static const struct flow_ops flow_ops[] = {
	[REF_TCP] = { &p.tcp, tcp_sock_event, tcp_timer, tcp_evict,
		      tcp_unfinished, tcp_kill, tcp_flow_state },
	[REF_TCP_SPLICE] = { &p.tcp_splice, tcp_splice_event, tcp_splice_timer,
			     tcp_splice_evict, tcp_splice_unfinished,
			     tcp_splice_kill, tcp_splice_state },
	[REF_UDP] = { &p.udp, udp_sock_event, udp_timer, udp_evict, NULL,
		      udp_kill, NULL },
	[REF_UDP_SPLICE] = { &p.udp_splice, udp_splice_sock_event,
			     udp_splice_timer, udp_splice_evict, NULL,
			     udp_splice_kill, NULL },
	[REF_ICMP] = { &p.icmp, icmp_sock_event, icmp_timer, icmp_evict, NULL,
		       icmp_kill, icmp_state },
};
static_assert(ARRAY_SIZE(flow_ops) == REF_FLOW_KINDS, "no kind without a row");

/* Is the tap a device? With --splice-only it is a stream without a client */
static bool has_tun(const struct conf *c)
{
	return c->mode == MODE_PASTA && !c->splice_only;
}

/* Set the guest's MAC address if it is known, so that the guest can be reached before
 * it has sent a frame */
static void guest_mac_init(struct passt *s)
{
	const struct conf *c = s->conf;
	uint8_t mac[MAC_LEN];

	if (c->ns_mac_given)
		guest_set_mac(&s->guest, c->ns_mac);
	else if (has_tun(c) && c->netns_kind != NETNS_FD &&
		 !tap_tun_mac(s->tap_fd, mac))
		guest_set_mac(&s->guest, mac);
}

/* Set up all modules above the tap, in the order in which they need each other */
static void protocols_init(struct passt *s)
{
	const struct hostnet *net = &s->hostnet;
	const struct conf *c = s->conf;
	uint64_t key[5];
	int rc = util_random(key, sizeof(key));

	if (rc)
		die_rc(rc, "Couldn't get random bytes");
	csum_init();
	flow_init(&s->flows, key);
	s->flows.ops = flow_ops;
	events_init(&s->events, &s->flows, &s->loop);
	tcp_init(&s->tcp, c, net, &s->guest, &s->dns, &s->flows, s->tap,
		 &s->loop, key + 2);
	udp_init(&s->udp, c, net, &s->guest, &s->dns, &s->flows, s->tap,
		 &s->loop, &s->udp_io, &s->udp_splice, &s->listen);
	icmp_init(&s->icmp, c, net, &s->guest, &s->dns, &s->flows, s->tap,
		  &s->loop);
	input_init(&s->input, c, net, &s->guest, &s->dns, s->tap, &s->loop,
		   &s->tcp, &s->udp, &s->icmp);
	tcp_migrate_init(&s->tcp_migrate, &s->tcp, &repairer, s->repair.fd >= 0,
			 &s->listen.rules, &s->migrate_flows);
	migrate_init(&s->migrate, &s->guest, net, &s->migrate_flows);
	guest_mac_init(s);
}

/* Give flows the descriptors that listening sockets leave */
static void fds_share(struct passt *s)
{
	uint32_t listening = s->listen.count;

	flow_limit_fds(&s->flows, s->fds_budget > listening ?
				  s->fds_budget - listening : 0);
}

static bool has_control(const struct passt *s)
{
	return s->control.fd >= 0 || s->control.first >= 0;
}

/* Give flows the descriptors that are not in use, or reserved, for other purposes */
static void fds_budget(struct passt *s)
{
	unsigned used = util_fds_used(s->loop.epfd) - s->listen.count;
	unsigned reserve = FDS_RESERVE;

	if (s->nsh.fd >= 0)
		reserve += s->nsh.max * NSSOCK_KINDS;
	if (has_control(s))
		reserve += CONTROL_CLIENTS;
	if (reserve > s->fds / 4)
		reserve = s->fds / 4;
	s->fds_budget = s->fds > used + reserve ? s->fds - used - reserve : 0;
	fds_share(s);
}

/* Bind forwarded ports while we have privileges, then scan for listeners once */
static void ports_open(struct passt *s)
{
	struct nshelper *nsh = s->nsh.fd >= 0 ? &s->nsh : NULL;
	struct listen *l = &s->listen;
	const struct inbound_to to = {
		.input = &s->input, .tcp = &s->tcp, .udp = &s->udp,
		.tcp_splice = &s->tcp_splice, .udp_splice = &s->udp_splice,
	};
	int host = -1, ns = -1;

	listen_init(l, s->conf, &s->hostnet, &s->loop, nsh, s->fds);
	scan_init(&s->scan, s->conf, &s->hostnet, &s->loop, nsh, &s->flows, l);
	inbound_init(&s->inbound, s->conf, &s->hostnet, &s->guest, l,
		     &s->flows, &s->loop, &to);
	udp_splice_init(&s->udp_splice, s->conf, &s->hostnet, &s->guest,
			&l->rules, &s->flows, &s->loop, nsh, &s->udp_io);
	tcp_splice_init(&s->tcp_splice, s->conf, &s->hostnet, &s->dns,
			&s->flows, &s->loop, nsh);
	if (listen_apply(l, &s->rules))
		exit(1);		/* the error was logged */
	/* Rules that scan may be added later, when such sockets can't be had */
	if (scan_needed(&s->scan, false) || (nsh && has_control(s)))
		host = sockdiag_open();
	if (scan_needed(&s->scan, true) || (nsh && has_control(s)))
		ns = nshelper_diag(&s->nsh);
	scan_start(&s->scan, host, ns);
	fds_budget(s);
}

/* The rules have changed: share descriptors anew, and look for listeners */
static void rules_changed(void *ctx)
{
	struct passt *s = ctx;

	fds_share(s);
	scan_resume(&s->scan);
}

/* Serve the control socket, if there is one */
static void control_start(struct passt *s)
{
	static const struct control_rules_ops ops = {
		.fit = rules_fit, .applied = rules_changed,
	};
	int rc = control_cmd_init(&s->control_cmd, &s->control, &s->loop,
				  &s->listen, s->conf, &s->flows, &s->events,
				  &s->stats, &s->rules, &ops, s);

	if (rc)
		die_rc(rc, "Couldn't watch the control socket");
}

static const struct stats_source stats_sources[] = {
	{ &p.flows, flow_counters },
	{ &p.tcp, tcp_counters },
	{ &p.tcp_splice, tcp_splice_counters },
	{ &p.udp, udp_counters },
	{ &p.udp_splice, udp_splice_counters },
	{ &p.icmp, icmp_counters },
	{ &p.inbound, inbound_counters },
	{ &p.input, input_counters },
};

/* Arm the timer for the next lines of --stats, if that was given */
static void stats_arm(struct passt *s)
{
	s->stats_timer.ref = (union epoll_ref){ .kind = REF_STATS };
	if (s->conf->stats_s)
		wheel_arm(&s->loop.wheel, &s->stats_timer,
			  s->loop.now_ms + s->conf->stats_s * 1000ULL);
}

/* Set up the tap and all modules that use it */
static void datapath_init(struct passt *s)
{
	const struct conf *c = s->conf;
	unsigned mtu = c->mtu ? c->mtu : CONF_MTU_DEFAULT;
	int rc = loop_init(&s->loop);

	/* The command keeps the original limit: it was forked before */
	s->fds = util_raise_nofile();
	if (!rc && has_tun(c))
		rc = tap_tun_init(&s->tun, s->tap_fd, &s->tun_info, mtu,
				  &s->loop);
	else if (!rc && c->vhost_user)
		rc = tap_vhost_init(&s->vhost, s->tap_fd, c->offload_max, mtu,
				    &s->loop);
	else if (!rc)
		rc = tap_stream_init(&s->stream, s->tap_fd, mtu, &s->loop);
	if (!rc)
		rc = netns_watch(&s->ns.netns, &s->loop);
	if (!rc)
		rc = nshelper_start(&s->nsh, s->ns.helper, &s->loop, s->fds);
	if (!rc)
		rc = client_watch(&s->client, &s->loop);
	if (!rc)
		rc = repair_watch(&s->repair, &s->loop);
	if (rc)
		die_rc(rc, "Couldn't start");

	s->tap = has_tun(c) ? &s->tun.tap :
		 c->vhost_user ? &s->vhost.tap : &s->stream.tap;
	s->backend = s->tap;
	s->stats = (struct stats){ &s->backend->stats, stats_sources,
				   ARRAY_SIZE(stats_sources) };
	if (s->pcap_fd >= 0 || c->trace)
		s->tap = pcap_wrap(&s->pcap, s->tap, s->pcap_fd, c->trace);
	s->tap->rx = tap_rx;
	s->tap->writable = tap_writable;
	s->tap->closed = tap_closed;
	s->tap->started = tap_started;
	s->tap->migrate = tap_migrate;
	s->tap->ctx = s;
	protocols_init(s);
	ports_open(s);
	control_start(s);
	stats_arm(s);
}

/* Sandbox ------------------------------------------------------------------ */

/* Wait in the foreground until the daemon is ready, then exit with its status */
static _Noreturn void background_parent(struct passt *s, int ready, pid_t pid)
{
	int status;
	char c;

	if (read(ready, &c, 1) != 1) {
		/* The child has logged its error, unless it was killed */
		if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
			err("Killed by signal %d", WTERMSIG(status));
		_exit(1);
	}
	if (s->pid_fd >= 0 && util_pidfile_write(s->pid_fd, pid)) {
		err_errno("Couldn't write PID file '%s'", s->conf->pid_file);
		kill(pid, SIGTERM);
		_exit(1);
	}
	_exit(0);
}

/* Fork the daemon; the parent stays until it is ready */
static void background(struct passt *s)
{
	int ready[2];
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		die_errno("Couldn't make a pipe");
	pid = fork();
	if (pid < 0)
		die_errno("Couldn't go to the background");
	if (pid) {
		close(ready[1]);
		background_parent(s, ready[0], pid);
	}
	close(ready[0]);
	if (s->pid_fd >= 0)
		close(s->pid_fd);
	s->ready_fd = ready[1];
	if (setsid() < 0)
		die_errno("Couldn't start a session");
}

/* Turn signals into events: called after fork(), in the process that stays */
static void signals_init(struct passt *s)
{
	const union epoll_ref ref = { .kind = REF_SIGNAL };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a full log or capture is only an error */

	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signal_fd < 0 ||
	    loop_add(&s->loop, s->signal_fd, EPOLLIN, ref))
		die_errno("Couldn't create a signalfd");
}

/* Seal the process that follows resolv.conf: it may read files, and little more */
static void follower_seal(int keep)
{
	isolation_follower(p.conf, &p.identity, keep);
}

static void sandbox(struct passt *s)
{
	int fd;

	/* The follower has to see the host's files */
	if (resolv_follow(&s->follower, s->conf, &s->hostnet, follower_seal) &&
	    s->conf->sandbox_strict)
		exit(1);		/* the error was logged */
	if (resolv_watch(&s->follower, &s->loop))
		die_errno("Couldn't watch %s", RESOLV_PATH);
	if (isolation_detach(s->conf, &s->identity))
		exit(1);		/* the error was logged */
	if (!s->conf->foreground)
		background(s);
	signals_init(s);
	/* A reader of this file may send a signal at once */
	if (s->conf->foreground && s->pid_fd >= 0 &&
	    util_pidfile_write(s->pid_fd, getpid()))
		die_errno("Couldn't write PID file '%s'", s->conf->pid_file);
	if (!s->conf->foreground) {
		/* Log to file or syslog from now on, release the caller's stdio */
		log_detach();
		for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			dup2(s->null_fd, fd);
	}
	close(s->null_fd);
	isolation_seal(s->conf);
}

/* Ready -------------------------------------------------------------------- */

/* #syscalls write close */
static void tell_ready(struct passt *s)
{
	if (s->ready_fd >= 0) {
		if (write(s->ready_fd, "", 1) != 1)
			die("The parent process has exited");
		close(s->ready_fd);
	}
	command_start(&s->ns.command);
}

/* Loop --------------------------------------------------------------------- */

/*
 * Check whether the command has ended. The data that it sent last may still be in
 * buffers of the kernel. Natively it would be delivered, so wait for that, up to
 * DRAIN_MS.
 */
static void command_event(struct passt *s)
{
	int status = command_status(&s->ns.command);

	if (status < 0 || s->ended)
		return;
	s->ended = true;
	s->status = status;
	control_stop(&s->control);
	scan_stop(&s->scan);
	listen_close_host(&s->listen, IPPROTO_TCP);
	s->drain_timer.ref = (union epoll_ref){ .kind = REF_SIGNAL };
	wheel_arm(&s->loop.wheel, &s->drain_timer,
		  s->loop.now_ms + DRAIN_MS);
}

/* End the UDP flows of listening sockets that are closed, if there are any */
static void udp_listeners_gone(struct passt *s)
{
	if (!s->listen.udp_closed)
		return;
	s->listen.udp_closed = false;
	udp_listener_gone(&s->udp);
	udp_splice_listener_gone(&s->udp_splice);
}

/*
 * drained() - Quit once all data of the ended command is delivered
 * @n:		Events in this turn
 * @busy:	Work is left for the next turn
 *
 * Return: true to look again at once
 */
static bool drained(struct passt *s, int n, bool busy)
{
	/* UDP answers leave by the listening sockets: close these last */
	if (!s->udp_closed) {
		if (n || busy)
			return true;
		listen_close_host(&s->listen, IPPROTO_UDP);
		udp_listeners_gone(s);
		s->udp_closed = true;
	}
	if (flow_any_unfinished(&s->flows))
		return busy;
	if (!n && !busy)
		quit(s, s->status);
	return true;
}

/*
 * Should this signal end us? Ctrl-C and Ctrl-\ are for the command, if there is one.
 * A SIGQUIT that another process has sent is for us.
 */
static bool signal_is_ours(const struct passt *s,
			   const struct signalfd_siginfo *si)
{
	if (!s->ns.command.init || s->ended || si->ssi_signo == SIGTERM)
		return true;
	return si->ssi_signo == SIGQUIT && si->ssi_code != SI_KERNEL;
}

/* #syscalls read */
static void signal_event(struct passt *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD) {
			command_event(s);
		} else if (signal_is_ours(s, &si)) {
			debug("Signal %u, exiting", si.ssi_signo);
			quit(s, s->status);
		}
	}
}

static void netns_event(struct passt *s, union epoll_ref ref)
{
	if (s->quit || !netns_gone(&s->ns.netns, ref, &s->loop))
		return;
	info("Namespace %s is gone, exiting", s->ns.netns.name);
	quit(s, 0);
}

/* Hand an event to its module: the one switch over all kinds */
static void event_dispatch(struct passt *s, union epoll_ref ref,
			   uint32_t events)
{
	switch ((enum ref_kind)ref.kind) {
	case REF_TAP:
		tap_event(s->tap, ref.index, events);
		break;
	case REF_SIGNAL:
		signal_event(s);
		break;
	case REF_NETNS_PID:
	case REF_NETNS_PATH:
		netns_event(s, ref);
		break;
	case REF_NSHELPER:
		if (nshelper_event(&s->nsh))
			listen_retry(&s->listen);
		tcp_splice_retry(&s->tcp_splice);
		break;
	case REF_LISTEN:
		inbound_event(&s->inbound, ref.index);
		break;
	case REF_RESOLV:
		if (resolv_event(&s->follower, s->conf, &s->hostnet, &s->dns,
				 &s->loop)) {
			input_advertise_router(&s->input);
			events_host(&s->events, "name servers have changed");
		}
		break;
	case REF_TCP:
	case REF_TCP_SPLICE:
	case REF_UDP:
	case REF_UDP_SPLICE:
	case REF_ICMP:
		flow_event(&s->flows, ref, events);
		break;
	case REF_INPUT:
	case REF_STATS:
	case REF_RULES:
	case REF_SCAN:
	case REF_CONTROL_WAIT:
		break;
	case REF_CLIENT:
		if (client_accept(&s->client, s->tap))
			input_reconnected(&s->input);
		break;
	case REF_REPAIR:
		repair_event(&s->repair, ref.index);
		break;
	case REF_CONTROL:
		control_event(&s->control, ref, events);
		break;
	}
}

/* Hand an expired timer to its module */
static void timer_dispatch(struct passt *s, union epoll_ref ref)
{
	switch ((enum ref_kind)ref.kind) {
	case REF_NETNS_PID:
		netns_event(s, ref);
		break;
	case REF_SIGNAL:
		debug("Data of the ended command was not delivered in time");
		quit(s, s->status);
		break;
	case REF_STATS:
		stats_print(&s->stats);
		stats_arm(s);
		break;
	case REF_INPUT:
		input_timer(&s->input, ref);
		break;
	case REF_LISTEN:
		inbound_timer(&s->inbound);
		break;
	case REF_CLIENT:
		client_timer(&s->client);
		break;
	case REF_NSHELPER:
		nshelper_timer(&s->nsh);
		break;
	case REF_CONTROL:
		control_timer(&s->control, ref);
		break;
	case REF_CONTROL_WAIT:
		control_rules_timer(&s->control_cmd.rules);
		break;
	case REF_SCAN:
		scan_now(&s->scan);
		fds_share(s);
		udp_listeners_gone(s);
		break;
	case REF_RULES:
		listen_timer(&s->listen);
		break;
	default:
		flow_timer(&s->flows, ref);
	}
}

/* Serve clients of the control socket; true if there is more to do */
static bool control_step(struct passt *s)
{
	bool more;

	if (events_news(&s->events))
		control_kick(&s->control);
	more = control_run(&s->control);
	if (control_flow_killed(&s->control_cmd.flow))
		more |= tap_flush(s->tap);
	return more;
}

/* Go on with a change of the rules, after all else; true if there is more to do */
static bool rules_step(struct passt *s)
{
	bool more = listen_step(&s->listen, RULES_SLICE_US);

	udp_listeners_gone(s);
	if (!listen_busy(&s->listen))
		more = control_rules_settle(&s->control_cmd.rules);
	return more;
}

static int loop_run(struct passt *s)
{
	struct epoll_event ev[EVENTS_MAX];
	struct timer *t;
	bool busy = false;
	int i, n;

	while (!s->quit) {
		n = loop_wait(&s->loop, ev, EVENTS_MAX, busy);
		if (n < 0) {
			err_rc(n, "Couldn't wait for events");
			return 1;
		}
		tap_poll(s->tap);
		for (i = 0; i < n; i++)
			event_dispatch(s, (union epoll_ref){
				       .u64 = ev[i].data.u64 }, ev[i].events);
		/* Timers armed on the way wait for the next turn */
		while ((t = wheel_expire(&s->loop.wheel, s->loop.now_ms)))
			timer_dispatch(s, t->ref);
		busy = tcp_run_ready(&s->tcp);
		busy |= tcp_splice_run_ready(&s->tcp_splice);
		busy |= tap_flush(s->tap);
		busy |= control_step(s);
		busy |= rules_step(s);
		busy |= s->events.news;
		if (s->ended)
			busy = drained(s, n, busy);
	}
	return s->status;
}

int main(int argc, char **argv)
{
	static struct conf conf;
	int status;

	isolation_init();
	if (conf_parse(&conf, &p.rules, argc, argv))
		return 0;
	p.conf = &conf;
	files_open(&p);
	host_look(&p);
	tap_open(&p);
	datapath_init(&p);
	sandbox(&p);
	tell_ready(&p);
	log_started();
	command_event(&p);		/* the command may have ended by now */

	status = loop_run(&p);
	listen_close(&p.listen);	/* the next instance may bind its ports */
	pasta_close(&p.ns, p.tap_fd);
	_exit(status);
}
