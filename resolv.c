/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolv.c - The host's resolver configuration, and its follower
 *
 * There are three parts. resolv_parse() reads a resolv.conf as the C library does.
 * resolv_apply() combines the file and the command line: it decides which servers are
 * handed out, and where queries lead. The follower reports changes of the file.
 *
 * The servers of -D are handed out, else those of the file, each by its own address if
 * the guest can reach that. The guest can't if the server is on the host's loopback,
 * or at the address that the guest has as well. Such a server is handed out by the first
 * of these addresses, or left out if there is none:
 *
 *	the address that stands for the host's loopback
 *	dns_forward
 *	the same two of the other family, if that is enabled
 *
 * In the first case via4 or via6 tells fwd.c where to send the queries. The same fields
 * tell it if the address for the host's loopback, usually the gateway, is a server
 * itself, which must stay reachable.
 *
 * A DNS message is the same over IPv4 and IPv6. So if one family lacks a server, one of
 * the other family serves it, if that is enabled; and a family without a server is
 * handed out its dns_forward.
 *
 * The follower is a process of its own, since the daemon can open no files, and
 * a descriptor of a folder would lead it out of its empty root:
 *
 *	daemon				  follower
 *	reads the file
 *	forks, twice ------------------->   seals itself: reads files, no network
 *					    watches all folders and links on the
 *					    way to the file, then the file
 *					    reads it again
 *	parses it <---- if the text differs: 4 KiB of it at most
 *	ends -------------------------->    ends: the socket has no peer
 *
 * The follower's parent ends once it has left the host's namespaces, so that the daemon has
 * no child to wait for. The follower (passt-dns, pasta-dns) keeps none of its caller's
 * descriptors. It starts before any byte of a guest is read, and reads none later. It reads
 * only the file, which the administrator of the host wrote, and does not parse it. A
 * message is the text with one byte appended, so that no message is empty.
 *
 * A file that can't be read changes nothing: it may be about to be replaced.
 */

#include "resolv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domain.h"
#include "log.h"
#include "loop.h"
#include "procfile.h"
#include "util.h"

enum {
	LINKS_MAX	= 16,		/* symbolic links on the way */
	WATCHES_MAX	= 128,
	SETTLE_MS	= 20,		/* read the file after such a pause */
	SETTLE_ROUNDS	= 50,		/* or after so many events */
	POLL_MS		= 10000,	/* between reads, without inotify */
};

/* Parsing ------------------------------------------------------------------ */

/* A word or a line, not terminated */
struct span {
	const char *p;
	size_t len;
};

/* Lines may end with CR LF */
static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r';
}

/* Take the next line off @rest, up to a NUL as the C library does */
static bool take_line(struct span *rest, struct span *line)
{
	const char *end, *nul;

	if (!rest->len)
		return false;
	end = memchr(rest->p, '\n', rest->len);
	line->p = rest->p;
	line->len = end ? (size_t)(end - rest->p) : rest->len;
	rest->p += line->len + !!end;
	rest->len -= line->len + !!end;

	nul = memchr(line->p, '\0', line->len);
	if (nul)
		line->len = nul - line->p;
	return true;
}

/* Take the next word off @line */
static bool take_word(struct span *line, struct span *word)
{
	while (line->len && is_blank(*line->p))
		line->p++, line->len--;
	word->p = line->p;
	while (line->len && !is_blank(*line->p))
		line->p++, line->len--;
	word->len = line->p - word->p;
	return word->len;
}

static bool is_word(const struct span *w, const char *s)
{
	return w->len == strlen(s) && !memcmp(w->p, s, w->len);
}

/* Index of an interface of the host by name or number, 0 if there is none */
static unsigned scope_index(const char *name)
{
	unsigned long n;
	int index;

	if (!util_parse_ulong(name, 1, INT_MAX, &n))
		return n;
	index = util_ifindex(name);
	return index < 0 ? 0 : index;
}

/* Parse the address of a server, IPv4 in all forms of inet_aton(3) */
static bool parse_server(char *s, union inany *a, unsigned *scope)
{
	const struct in_addr lo4 = { .s_addr = htonl(INADDR_LOOPBACK) };
	char *percent = strchr(s, '%');
	struct in6_addr a6;
	struct in_addr a4;

	*scope = 0;
	if (inet_aton(s, &a4)) {
		*a = inany_from_v4(a4);
	} else {
		if (percent)
			*percent = '\0';
		if (inet_pton(AF_INET6, s, &a6) != 1)
			return false;
		*a = inany_from_v6(&a6);
		if (percent && IN6_IS_ADDR_LINKLOCAL(&a6))
			*scope = scope_index(percent + 1);
	}
	/* The kernel connects to loopback if the address is unspecified */
	if (inany_is_unspecified(a))
		*a = inany_is_v4(a) ? inany_from_v4(lo4) :
				      inany_from_v6(&in6addr_loopback);
	return inany_is_unicast(a);
}

static void parse_nameserver(struct span *line, struct resolv *r)
{
	char s[INANY_STRLEN + 1 + IFNAMSIZ];
	struct span word;

	if (r->n == CONF_DNS_MAX || !take_word(line, &word) ||
	    word.len >= sizeof(s))
		return;
	memcpy(s, word.p, word.len);
	s[word.len] = '\0';
	if (parse_server(s, &r->ns[r->n], &r->scope[r->n]))
		r->n++;
	else
		r->ns[r->n] = (union inany){ 0 };
}

/* Parse a search list, which replaces an earlier one unless it is empty */
static void parse_search(struct span *line, unsigned max, struct resolv *r)
{
	struct span word;
	unsigned i = 0;

	if (!take_word(line, &word))
		return;
	memset(r->search, 0, sizeof(r->search));
	r->nsearch = 0;
	do {
		if (*word.p == '#' || *word.p == ';')
			break;
		if (word.p[word.len - 1] == '.')
			word.len--;
		if (domain_judge(word.p, word.len) >= DOMAIN_PLAIN)
			memcpy(r->search[r->nsearch++], word.p, word.len);
	} while (++i < max && r->nsearch < CONF_SEARCH_MAX &&
		 take_word(line, &word));
}

/**
 * resolv_parse() - Parse a resolv.conf as the C library does
 * @text:	The file, or the start of it
 * @len:	Bytes at @text
 * @r:		Written completely
 *
 * Invalid words are ignored. Keywords start their lines; the last of all "domain" and
 * "search" lines holds. 0.0.0.0 and :: are loopback.
 */
void resolv_parse(const char *text, size_t len, struct resolv *r)
{
	struct span rest = { text, len }, line, word;

	memset(r, 0, sizeof(*r));
	while (take_line(&rest, &line)) {
		if (!line.len || is_blank(*line.p) || !take_word(&line, &word))
			continue;
		if (is_word(&word, "nameserver"))
			parse_nameserver(&line, r);
		else if (is_word(&word, "search"))
			parse_search(&line, CONF_SEARCH_MAX, r);
		else if (is_word(&word, "domain"))
			parse_search(&line, 1, r);
	}
}

/* Applying ----------------------------------------------------------------- */

static const struct hostnet_ip *family(const struct hostnet *net, bool v4)
{
	return v4 ? &net->ip4 : &net->ip6;
}

/* The address that stands for the host's loopback, unset if there is none */
static union inany host_alias(const struct conf *c, const struct hostnet *net,
			      bool v4)
{
	const struct hostnet_ip *ip = family(net, v4);
	const union inany unset = { 0 };

	if (inany_is_set(&ip->map_host_loopback))
		return ip->map_host_loopback;
	return c->no_map_gw ? unset : ip->gw;
}

/* Can't the guest reach a server at this address? */
static bool is_hidden(const struct hostnet *net, const union inany *a)
{
	const struct hostnet_ip *ip = family(net, inany_is_v4(a));

	return inany_is_loopback(a) ||
	       (inany_is_set(&ip->addr) && inany_equals(&ip->addr, a));
}

static void hand_out(struct dns *d, const union inany *a)
{
	bool v4 = inany_is_v4(a);
	union inany *list = v4 ? d->ns4 : d->ns6;
	unsigned *n = v4 ? &d->n4 : &d->n6, i;

	if (!inany_is_set(a) || *n == CONF_DNS_MAX)
		return;
	for (i = 0; i < *n; i++)
		if (inany_equals(&list[i], a))
			return;
	list[(*n)++] = *a;
}

/* The address of one family that leads to a hidden server, unset if there is none */
static union inany way_to_hidden(const struct conf *c,
				 const struct hostnet *net, bool v4)
{
	union inany a = host_alias(c, net, v4);

	if (!inany_is_set(&a))
		a = v4 ? c->ip4.dns_forward : c->ip6.dns_forward;
	if (!family(net, v4)->enabled)
		a = (union inany){ 0 };
	return a;
}

/* Hand out servers, each by an address that the guest can reach */
static void hand_out_all(const struct conf *c, const struct hostnet *net,
			 const union inany *ns, unsigned n, struct dns *d)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		bool v4 = inany_is_v4(&ns[i]);
		union inany a = ns[i];

		if (!family(net, v4)->enabled)
			continue;
		if (is_hidden(net, &a))
			a = way_to_hidden(c, net, v4);
		if (!inany_is_set(&a))
			a = way_to_hidden(c, net, !v4);
		hand_out(d, &a);
	}
}

/* Find the server behind the address that stands for loopback in family @v4: one of
 * the other family only if no address of its own family leads to it */
static void find_via(const struct conf *c, const struct hostnet *net,
		     const union inany *ns, unsigned n, struct dns *d, bool v4)
{
	union inany *via = v4 ? &d->via4 : &d->via6, way;
	const union inany stands = host_alias(c, net, v4), *other = NULL;
	unsigned i;

	for (i = 0; i < n && !inany_is_set(via); i++) {
		if (!is_hidden(net, &ns[i]))
			continue;
		if (inany_is_v4(&ns[i]) == v4)
			*via = ns[i];
		else if (!other)
			other = &ns[i];
	}
	way = way_to_hidden(c, net, !v4);
	if (!inany_is_set(via) && other && !inany_is_set(&way) &&
	    inany_is_set(&stands) && family(net, !v4)->enabled)
		*via = *other;
}

/* Without such a server, the address that stands for loopback may be one itself */
static void find_direct(const struct conf *c, const struct hostnet *net,
			const struct resolv *r, struct dns *d)
{
	unsigned i;

	for (i = 0; i < r->n; i++) {
		bool v4 = inany_is_v4(&r->ns[i]);
		union inany *via = v4 ? &d->via4 : &d->via6;
		union inany a = host_alias(c, net, v4);

		if (!inany_is_set(via) && inany_equals(&a, &r->ns[i]))
			*via = a;
	}
}

/* Find the servers that dns_forward leads to unless dns_host is given */
static void find_host(const struct hostnet *net, const struct resolv *r,
		      struct dns *d)
{
	unsigned i;

	for (i = 0; i < r->n; i++) {
		bool v4 = inany_is_v4(&r->ns[i]);
		union inany *host = v4 ? &d->host4 : &d->host6;

		if (inany_is_set(host) || !family(net, v4)->enabled)
			continue;
		*host = r->ns[i];
		if (!v4)
			d->scope6 = r->scope[i];
	}
	if (!inany_is_set(&d->host4))
		d->host4 = d->host6;
	else if (!inany_is_set(&d->host6))
		d->host6 = d->host4;
}

/* Hand out dns_forward to a family that has no server, but a way to one */
static void hand_out_forward(const struct conf *c, const struct hostnet *net,
			     struct dns *d, bool v4)
{
	const union inany *host = v4 ? &d->host4 : &d->host6;

	if (family(net, v4)->enabled && !(v4 ? d->n4 : d->n6) &&
	    inany_is_set(host))
		hand_out(d, v4 ? &c->ip4.dns_forward : &c->ip6.dns_forward);
}

/**
 * resolv_apply() - Combine the command line and the file
 * @c:		Configuration
 * @net:	Network of the host
 * @r:		The file
 * @d:		Written completely
 */
void resolv_apply(const struct conf *c, const struct hostnet *net,
		  const struct resolv *r, struct dns *d)
{
	unsigned i;

	memset(d, 0, sizeof(*d));
	find_host(net, r, d);
	if (c->dhcp_dns && c->dns_given) {
		hand_out_all(c, net, c->dns, c->ndns, d);
	} else if (c->dhcp_dns) {
		hand_out_all(c, net, r->ns, r->n, d);
		hand_out_forward(c, net, d, true);
		hand_out_forward(c, net, d, false);
	}

	if (c->dhcp_search) {
		d->nsearch = c->search_given ? c->nsearch : r->nsearch;
		memcpy(d->search, c->search_given ? c->search : r->search,
		       sizeof(d->search));
	}

	for (i = 0; i < 2; i++) {
		if (c->dns_given)
			find_via(c, net, c->dns, c->ndns, d, i);
		find_via(c, net, r->ns, r->n, d, i);
	}
	find_direct(c, net, r, d);
}

/* Following ---------------------------------------------------------------- */

/* Scratch space of the daemon and of the follower: the text that was read last */
static char text[RESOLV_TEXT_MAX + 1];
static size_t text_len;
static struct resolv parsed;
static struct dns applied;

/* Bytes of whole lines, so that one more byte fits */
static size_t text_cut(const char *s, size_t len)
{
	const char *end;

	if (len < RESOLV_TEXT_MAX)
		return len;
	end = memrchr(s, '\n', RESOLV_TEXT_MAX - 1);
	return end ? (size_t)(end - s) + 1 : 0;
}

/* The file into @s, RESOLV_TEXT_MAX bytes; length or negative errno */
static ssize_t file_read(char *s)
{
	ssize_t n = procfile_read(RESOLV_PATH, s, RESOLV_TEXT_MAX + 1);

	return n < 0 ? n : (ssize_t)text_cut(s, n);
}

/**
 * struct watches - Watches of the follower
 * @n:		Number of watches
 * @denied:	True if the kernel refused some for want of memory
 * @wd:		Their descriptors
 */
struct watches {
	unsigned n;
	bool denied;
	int wd[WATCHES_MAX];
};

/**
 * struct follower - State of the follower
 * @sock:	Socket to the daemon
 * @ino:	Descriptor of inotify, or -1
 * @w, @old:	Current and previous watches
 * @path:	Path of the file, with the links up to now resolved
 * @target:	Contents of the current link
 * @unsent:	True if the file differs from the text that was sent last
 * @now:	Text that was just read
 */
static struct follower {
	int sock, ino;
	struct watches w, old;
	char path[PATH_MAX], target[PATH_MAX];
	bool unsent;
	char now[RESOLV_TEXT_MAX + 1];
} follower;

static bool watches_has(const struct watches *w, int wd)
{
	unsigned i;

	for (i = 0; i < w->n; i++)
		if (w->wd[i] == wd)
			return true;
	return false;
}

/* #syscalls:follower inotify_add_watch */
static void add_watch(struct follower *f, const char *path, uint32_t mask)
{
	int wd = inotify_add_watch(f->ino, path, mask);

	if (wd < 0)
		f->w.denied |= errno == ENOSPC || errno == ENOMEM;
	else if (!watches_has(&f->w, wd) && f->w.n < WATCHES_MAX)
		f->w.wd[f->w.n++] = wd;
}

/* Watch each folder down to the one of the file for names that come and go */
static void watch_folders(struct follower *f)
{
	const uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF |
			      IN_MOVE_SELF | IN_ONLYDIR;
	char *slash = f->path;

	add_watch(f, "/", mask);
	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		add_watch(f, f->path, mask);
		*slash = '/';
	}
}

/*
 * Replace the last part of the path by the target of the symbolic link there. False if
 * it is no link, or if the path becomes too long: open() fails then, too.
 */
/* #syscalls:follower readlink readlinkat */
static bool follow_link(struct follower *f)
{
	ssize_t n = readlink(f->path, f->target, sizeof(f->target));
	size_t base = strrchr(f->path, '/') - f->path + 1;

	if (n <= 0)
		return false;
	if (*f->target == '/')
		base = 0;
	if (base + n >= sizeof(f->path))
		return false;
	memcpy(f->path + base, f->target, n);
	f->path[base + n] = '\0';
	return true;
}

/*
 * Watch everything that the file's text depends on, each folder before its contents,
 * so that no change goes unseen. The file itself may be mounted from elsewhere: then
 * only its own watch sees a change.
 */
/* #syscalls:follower inotify_rm_watch */
static void watch_all(struct follower *f)
{
	unsigned i = 0;

	f->old = f->w;
	f->w.n = 0;
	f->w.denied = false;
	memcpy(f->path, RESOLV_PATH, sizeof(RESOLV_PATH));
	do
		watch_folders(f);
	while (++i < LINKS_MAX && follow_link(f));
	add_watch(f, f->path, IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |
			  IN_DELETE_SELF | IN_MOVE_SELF);

	for (i = 0; i < f->old.n; i++)
		if (!watches_has(&f->w, f->old.wd[i]))
			inotify_rm_watch(f->ino, f->old.wd[i]);
}

/* Read the file, and send it if it has changed; false if the daemon has ended */
/* #syscalls:follower sendto */
static bool look(struct follower *f)
{
	ssize_t len = file_read(f->now);

	if (len < 0 ||
	    ((size_t)len == text_len && !memcmp(f->now, text, len)))
		return true;
	f->now[len] = '\n';
	f->unsent = send(f->sock, f->now, len + 1, MSG_NOSIGNAL) != len + 1;
	if (f->unsent)			/* out of memory: try again later */
		return errno == ENOBUFS || errno == ENOMEM || errno == EINTR;
	memcpy(text, f->now, len);
	text_len = len;
	return true;
}

/* Discard events until there is a pause; false if the daemon has ended */
/* #syscalls:follower poll ppoll ppoll_time64 read */
static bool settle(const struct follower *f)
{
	int i, n, timeout = f->ino < 0 || f->w.denied || f->unsent ?
			  POLL_MS : -1;
	struct pollfd pfd[2] = {
		{ .fd = f->sock, .events = POLLIN },
		{ .fd = f->ino, .events = POLLIN },
	};
	char events[4096];

	for (i = 0; i < SETTLE_ROUNDS; i++) {
		n = poll(pfd, 2, timeout);
		if (!n)
			break;
		if ((n < 0 && errno != EINTR) || (n > 0 && pfd[0].revents))
			return false;
		if (n > 0 && read(f->ino, events, sizeof(events)) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			return false;
		timeout = SETTLE_MS;
	}
	return true;
}

/* #syscalls:follower inotify_init1 exit_group */
/* #syscalls:follower rt_sigreturn */
static _Noreturn void follower_run(struct follower *f,
				   void (*seal)(int keep))
{
	seal(f->sock);
	f->ino = -1;
	do {
		/* The user may have too many inotify instances at first */
		if (f->ino < 0)
			f->ino = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (f->ino >= 0)
			watch_all(f);
	} while (look(f) && settle(f));
	_exit(0);
}

/* Do the queries of a family go to a server of the file? */
static bool forwards_to_file(const struct conf_ip *ip, bool enabled)
{
	return enabled && inany_is_set(&ip->dns_forward) &&
	       !inany_is_set(&ip->dns_host);
}

static bool hands_out_file(const struct conf *c)
{
	return c->dhcp_dns && !c->dns_given;
}

/* Is there no server for the guest or for --dns-forward, although one is needed? */
static bool lacks_server(const struct conf *c, const struct hostnet *net,
			 const struct dns *d)
{
	if (hands_out_file(c) && !d->n4 && !d->n6)
		return true;
	return (forwards_to_file(&c->ip4, net->ip4.enabled) ||
		forwards_to_file(&c->ip6, net->ip6.enabled)) &&
	       !(forwards_to_file(&c->ip4, net->ip4.enabled) &&
		 inany_is_set(&d->host4)) &&
	       !(forwards_to_file(&c->ip6, net->ip6.enabled) &&
		 inany_is_set(&d->host6));
}

/**
 * resolv_start() - Read the host's resolver configuration
 * @f:		Initialised without a follower
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Set
 *
 * A missing file is no error: it may come later.
 */
void resolv_start(struct resolv_follower *f, const struct conf *c,
		  const struct hostnet *net, struct dns *d)
{
	ssize_t len = file_read(text);

	f->fd = -1;
	text_len = len > 0 ? len : 0;
	resolv_parse(text, text_len, &parsed);
	resolv_apply(c, net, &parsed, d);
	if (lacks_server(c, net, d))
		warn("Couldn't get any nameserver address");
}

/**
 * resolv_follow() - Start the follower, if anything depends on the file
 * @f:		After resolv_start()
 * @c:		Configuration
 * @net:	Network of the host
 * @seal:	Called in a child. Returns in a child of that, the follower, where it has
 *		given up all descriptors but @keep, and all system calls but those of the
 *		filter "follower"; the first child ends with 0, else after a message
 *
 * To be called single-threaded while the file can still be seen. Without a follower,
 * there is a warning and the text that was read at start stays valid.
 *
 * Return: 0, also if no follower is needed; negative errno after a message
 */
int resolv_follow(struct resolv_follower *f, const struct conf *c,
		  const struct hostnet *net, void (*seal)(int keep))
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	int pair[2], status;
	pid_t pid;

	if (!hands_out_file(c) &&
	    !forwards_to_file(&c->ip4, net->ip4.enabled) &&
	    !forwards_to_file(&c->ip6, net->ip6.enabled) &&
	    !(c->dhcp_search && !c->search_given))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		warn_errno("Changes of %s will go unnoticed", RESOLV_PATH);
		return -errno;
	}
	/* While the caller has it ignored, there is no status to wait for */
	sigaction(SIGCHLD, &dfl, NULL);
	pid = fork();
	if (!pid) {
		close(pair[0]);
		follower.sock = pair[1];
		if (!chdir("/"))
			follower_run(&follower, seal);
		_exit(1);
	}
	close(pair[1]);
	f->fd = pair[0];
	if (pid > 0 && waitpid(pid, &status, 0) == pid)
		return status ? -ECHILD : 0;
	warn_errno("Changes of %s will go unnoticed", RESOLV_PATH);
	close(f->fd);
	f->fd = -1;
	return -errno;
}

/**
 * resolv_watch() - Watch for messages of the follower
 * @f:		After resolv_follow()
 * @l:		Loop
 *
 * Return: 0 or negative errno
 */
int resolv_watch(struct resolv_follower *f, struct loop *l)
{
	const union epoll_ref ref = { .kind = REF_RESOLV };

	return f->fd < 0 ? 0 : loop_add(l, f->fd, EPOLLIN, ref);
}

/* Receive the last text that the follower sent; false if there is none */
/* #syscalls recvfrom close */
static bool receive_text(struct resolv_follower *f, struct loop *l)
{
	ssize_t n, last = 0;

	while ((n = recv(f->fd, text, sizeof(text), MSG_DONTWAIT)) > 0)
		last = n;
	if (!n || (errno != EAGAIN && errno != EINTR)) {
		warn("No longer told of changes of %s", RESOLV_PATH);
		loop_del(l, f->fd);
		close(f->fd);
		f->fd = -1;
	}
	if (!last)
		return false;
	text_len = last - 1;
	return true;
}

static bool is_same(const struct dns *a, const struct dns *b)
{
	return a->n4 == b->n4 && a->n6 == b->n6 && a->nsearch == b->nsearch &&
	       a->scope6 == b->scope6 &&
	       !memcmp(a->ns4, b->ns4, sizeof(a->ns4)) &&
	       !memcmp(a->ns6, b->ns6, sizeof(a->ns6)) &&
	       !memcmp(a->search, b->search, sizeof(a->search)) &&
	       inany_equals(&a->host4, &b->host4) &&
	       inany_equals(&a->host6, &b->host6) &&
	       inany_equals(&a->via4, &b->via4) &&
	       inany_equals(&a->via6, &b->via6);
}

static const char *host_str(const union inany *a, char buf[INANY_STRLEN])
{
	return inany_is_set(a) ? inany_ntop(a, buf, INANY_STRLEN) : "none";
}

/**
 * resolv_event() - Apply a message of the follower
 * @f:		Follower
 * @c:		Configuration
 * @net:	Network of the host
 * @d:		Updated
 * @l:		Loop
 *
 * Return: true if @d has changed
 */
bool resolv_event(struct resolv_follower *f, const struct conf *c,
		  const struct hostnet *net, struct dns *d, struct loop *l)
{
	char s4[INANY_STRLEN], s6[INANY_STRLEN];

	if (!receive_text(f, l))
		return false;
	resolv_parse(text, text_len, &parsed);
	resolv_apply(c, net, &parsed, &applied);
	if (is_same(&applied, d))
		return false;
	memcpy(d, &applied, sizeof(*d));
	info_limited("%s changed, first name servers: IPv4 %s, IPv6 %s",
		     RESOLV_PATH, host_str(&d->host4, s4),
		     host_str(&d->host6, s6));
	return true;
}
