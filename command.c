/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command.c - The command of pasta: its first process, terminal and exit status
 *
 * pasta.c makes the namespaces with a child in them. Once the daemon says "go",
 * this child sets up host name, /proc and sysctls and becomes pasta-init:
 *
 *	daemon			    pasta-init			    command
 *	command_prepare()
 *	command_adopt()
 *	command_start(), "go" ----> command_run()
 *				    host name, /proc, sysctls
 *				    fork ---------------------> terminal, exec
 *				    reap orphans
 *				    <-------------------------- exit status
 *	command_status() <--------- the same exit status
 *	command_end(), EOF -------> exit
 *
 * pasta-init is the first process of the PID namespace and the command the
 * second, for two reasons. The kernel drops signals to a first process that has
 * no handler for them, so that Ctrl-C would not stop most programs; and orphans
 * need a process that reaps them. When pasta-init exits, the kernel kills all
 * other processes of the namespace.
 *
 * pasta-init also exits at the end of the socket to the daemon. A socket is
 * better than a signal: its end can't be lost, and it works after the daemon
 * has changed to a user without the right to send signals.
 *
 * Terminal: if standard input and output are terminals, and ours, the command
 * becomes their foreground process group, so that Ctrl-C reaches it alone. The
 * daemon takes the terminal back in the end, for callers that don't expect to
 * lose it, such as scripts. In a pipeline the process group belongs to the
 * other commands in it, too: there it stays as it is, and we ignore Ctrl-C. If
 * Ctrl-Z stops a command that has a process group of its own, no shell can
 * continue it, so pasta-init continues it at once.
 */

#include "command.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "procfile.h"
#include "types.h"
#include "util.h"

#define END_WAIT_MS	1000		/* for the command to be gone */
#define END_STEP_MS	5

#define EXIT_NOT_RUN	126		/* shells: found, could not be run */
#define EXIT_NOT_FOUND	127		/* shells: not found */
#define EXIT_SIGNAL	128		/* shells: add the signal's number */

/* Host name, /proc and sysctls --------------------------------------------- */

/* Find the last GID of a range without gaps that starts at 0 */
static unsigned long gid_last(void)
{
	unsigned long in, out, count;
	char buf[128];

	if (procfile_read("/proc/self/gid_map", buf, sizeof(buf)) <= 0 ||
	    sscanf(buf, "%lu %lu %lu", &in, &out, &count) != 3 || in || !count)
		return 0;
	return count - 1 < INT32_MAX ? count - 1 : INT32_MAX;
}

/* Set up the namespaces from inside, as far as the kernel permits */
static void prepare_namespaces(const char *hostname)
{
	char range[32];
	int rc;

	if (hostname[0] && strlen(hostname) <= HOST_NAME_MAX &&
	    sethostname(hostname, strlen(hostname)))
		warn_errno("Couldn't set the host name of the namespace");

	/* First make sure that no mount shows up in the host's namespace */
	if (mount("", "/", "", MS_SLAVE | MS_REC, NULL) ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL))
		debug_rc(errno, "The command sees the host's /proc");

	/* Let all groups of the namespace use ping sockets */
	snprintf(range, sizeof(range), "0 %lu", gid_last());
	rc = procfile_write("/proc/sys/net/ipv4/ping_group_range", range);
	if (rc)
		debug_rc(rc, "ping_group_range of the namespace stays");

	/* The bypass connects to the namespace's own address from that same
	 * address. Many such connections in a row would run out of ports: permit
	 * to use those in TIME_WAIT again */
	rc = procfile_write("/proc/sys/net/ipv4/tcp_tw_reuse", "1");
	if (rc)
		debug_rc(rc, "tcp_tw_reuse of the namespace stays");
}

/* The command -------------------------------------------------------------- */

/*
 * Is there a file of this name in $PATH? execvp() also fails with EACCES if a
 * directory of $PATH can't be searched
 */
static bool command_exists(const char *name)
{
	const char *dir = getenv("PATH");
	char path[PATH_MAX];
	int len;

	if (strchr(name, '/') || !dir)
		return true;
	for (; *dir; dir += len + (dir[len] == ':')) {
		len = strcspn(dir, ":");
		if (snprintf(path, sizeof(path), "%.*s/%s", len, dir, name) <
		    (int)sizeof(path) && !access(path, F_OK))
			return true;
	}
	return false;
}

static _Noreturn void command_exec(const struct command *cmd,
				   const struct conf *c, const sigset_t *mask)
{
	const char *shell = getenv("SHELL");
	char *const by_default[] = { (char *)(shell && *shell ? shell :
							"/bin/sh"), NULL };
	char *const *argv = c->command ? c->command : by_default;

	/* Become the terminal's foreground process group, with SIGTTOU blocked */
	if (cmd->has_tty &&
	    (setpgid(0, 0) || tcsetpgrp(STDIN_FILENO, getpid())))
		debug_rc(errno, "The command can't have the terminal");
	sigaction(SIGCHLD, &cmd->sigchld, NULL);
	sigprocmask(SIG_SETMASK, mask, NULL);

	execvp(argv[0], argv);
	if (!c->command && errno == ENOENT)
		execl("/bin/sh", "/bin/sh", (char *)NULL);

	if (errno == EACCES && !command_exists(argv[0]))
		errno = ENOENT;
	err_errno("Couldn't run '%s'", argv[0]);
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN);
}

/* pasta-init --------------------------------------------------------------- */

/* The status that a shell reports for a process */
static int exit_status(int status)
{
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

/* Reap all processes that have ended; exit if the command is one of them */
static void init_reap(pid_t command)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != command)
			continue;
		if (!WIFSTOPPED(status))
			_exit(exit_status(status));
		if (WSTOPSIG(status) == SIGTSTP && getpgid(command) == command)
			kill(-command, SIGCONT);
	}
}

/* Wait for the end of the command or of the daemon */
static _Noreturn void init_run(int ctl, pid_t command, const sigset_t *all)
{
	struct signalfd_siginfo si;
	struct pollfd fds[2] = { { .fd = ctl, .events = POLLIN } };

	fds[1].fd = signalfd(-1, all, SFD_CLOEXEC);
	fds[1].events = POLLIN;
	if (fds[1].fd < 0) {
		err_errno("Couldn't create a signalfd in the namespace's first "
			  "process");
		_exit(EXIT_FAILURE);
	}

	for (;;) {
		init_reap(command);
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			_exit(EXIT_FAILURE);
		if (fds[0].revents)
			_exit(EXIT_SUCCESS);
		if (fds[1].revents &&
		    read(fds[1].fd, &si, sizeof(si)) != sizeof(si))
			_exit(EXIT_FAILURE);
	}
}

/**
 * command_run() - Become pasta-init: run the command and exit with its status
 * @cmd:	From command_prepare()
 * @c:		Command and host name
 * @ctl:	Socket to the daemon; the only other descriptors kept are 0 to 2
 *
 * To be called in the first process of the new namespaces.
 */
_Noreturn void command_run(const struct command *cmd, const struct conf *c,
			   int ctl)
{
	sigset_t all, saved;
	pid_t pid;

	prepare_namespaces(c->hostname);

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);
	pid = fork();
	if (!pid)
		command_exec(cmd, c, &saved);
	if (pid < 0) {
		err_errno("Couldn't start the command");
		_exit(EXIT_FAILURE);
	}
	prctl(PR_SET_NAME, "pasta-init", 0, 0, 0);
	init_run(ctl, pid, &all);
}

/* In the daemon ------------------------------------------------------------ */

/**
 * command_prepare() - Get ready to start a command
 * @cmd:	Set, no command yet
 *
 * To be called before its namespaces are made.
 */
void command_prepare(struct command *cmd)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	*cmd = (struct command){ .ctl = -1 };
	/* While it is ignored, there is no status to wait for */
	sigaction(SIGCHLD, &dfl, &cmd->sigchld);
	/* Both are 0 if our process group is outside of this PID namespace */
	cmd->tty_pgrp = getpgrp();
	cmd->has_tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
		       tcgetpgrp(STDIN_FILENO) == cmd->tty_pgrp;
}

/**
 * command_adopt() - Look after a command whose namespaces have been made
 * @cmd:	From command_prepare()
 * @init:	First process in there
 * @ctl:	Socket to it, closed by command_end()
 */
void command_adopt(struct command *cmd, pid_t init, int ctl)
{
	cmd->init = init;
	cmd->ctl = ctl;
	/* We write messages and take the terminal back from the background */
	if (cmd->has_tty)
		signal(SIGTTOU, SIG_IGN);
}

/**
 * command_start() - Let the command run, if there is one: its network works now
 */
/* #syscalls:pasta write */
void command_start(const struct command *cmd)
{
	if (cmd->init && write(cmd->ctl, "g", 1) != 1)
		debug_rc(errno, "The command's namespaces are gone");
}

/**
 * command_status() - After SIGCHLD: has the command ended?
 *
 * Also reaps other children, which we get as first process of a container.
 *
 * Return: exit status to pass on, -1 if the command still runs
 */
/* #syscalls wait4 waitpid */
int command_status(const struct command *cmd)
{
	int status, result = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == cmd->init)
			result = exit_status(status);
	return result;
}

/**
 * command_end() - End the command if it still runs, and take the terminal back
 *
 * Waits until its processes are gone, but not for ever: one of them may hang in
 * the kernel.
 */
/* #syscalls:pasta close poll ppoll ioctl */
/* #args:pasta ioctl 1 TIOCSPGRP */
void command_end(struct command *cmd)
{
	int waited;

	close(cmd->ctl);
	for (waited = 0; waited < END_WAIT_MS; waited += END_STEP_MS) {
		if (waitpid(cmd->init, NULL, WNOHANG))
			break;
		poll(NULL, 0, END_STEP_MS);
	}
	if (cmd->has_tty)
		tcsetpgrp(STDIN_FILENO, cmd->tty_pgrp);
}
