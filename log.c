/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.c - Lines to standard error, a log file or the system logger
 *
 * A line is formatted once, into a static buffer with room for the prefix of
 * each destination:
 *
 *	standard error	until log_detach(): the line alone, debug and trace
 *			lines with the time since the start
 *	log file	"12.345: " before the line, seconds since the start
 *	system logger	"<30>passt[PID]: " (RFC 3164, 4.1.1 and 4.1.3, without
 *			the date, which the local daemon adds), after
 *			log_detach() and only if there is no log file
 *
 * The log file never grows beyond its limit: when a line would not fit, the
 * older half is dropped by moving the younger one over it, in place: no file
 * can be renamed or opened any more. The first line stays, as it has the date
 * at which the clock of the other lines started, and so do the lines of the start,
 * see log_started().
 *
 * The state of the logger is static, and not part of struct passt, so that
 * every function can write a line. Callers must keep to conversions that never
 * allocate: %s %c %d %i %u %x %p with any length modifier, and small widths.
 */

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define LINE_PREFIX	64		/* room before the line */
#define LINE_MAX	2048		/* bytes of a line, with its newline */
#define SYSLOG_DAEMON	(3 << 3)	/* facility, RFC 3164, 4.1.1 */

/*
 * @ident:	Name in lines of the system logger
 * @max:	Most chatty level that is written
 * @detached:	Standard error is closed: log_detach() was called
 * @file_fd:	Log file, -1: none
 * @file_max:	Limit of its size, bytes; 0: no regular file, can't be rewritten
 * @file_head:	Length of its first lines, which stay, bytes
 * @file_pos:	Offset of the next line in it
 * @syslog_fd:	Datagram socket connected to the system logger, -1: none
 * @pid:	PID in lines of the system logger
 * @start_ms:	CLOCK_MONOTONIC at log_init()
 * @suppressed:	Lines that a rate limit suppressed before the next line
 */
static struct {
	char ident[16];
	enum log_level max;
	bool detached;
	int file_fd;
	size_t file_max, file_head, file_pos;
	int syslog_fd;
	pid_t pid;
	uint64_t start_ms;
	unsigned suppressed;
} logger = {
	.ident = "passt", .max = LOG_L_INFO, .file_fd = -1, .syslog_fd = -1,
};

static char line_buf[LINE_PREFIX + LINE_MAX];

/* #syscalls clock_gettime */
static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/**
 * log_init() - Start the clock, write to standard error from now on
 * @progname:	Name for the system logger
 */
void log_init(const char *progname)
{
	snprintf(logger.ident, sizeof(logger.ident), "%s", progname);
	logger.start_ms = clock_ms();
	logger.pid = getpid();
}

/**
 * log_set_level() - Choose the levels that are written
 * @max:	Most chatty level; errors and warnings are always written
 */
void log_set_level(enum log_level max)
{
	logger.max = max < LOG_L_WARN ? LOG_L_WARN : max;
}

/**
 * log_enabled() - Would a line of this level be written?
 * @level:	Level
 */
bool log_enabled(enum log_level level)
{
	return level <= logger.max;
}

/* Put a prefix right before the line, return the start of both */
static const char *line_prefix(const char *prefix, int len)
{
	char *start = line_buf + LINE_PREFIX - len;

	memcpy(start, prefix, len);
	return start;
}

static int uptime_prefix(char *buf, size_t size)
{
	uint64_t ms = clock_ms() - logger.start_ms;

	return snprintf(buf, size, "%llu.%03u: ",
			(unsigned long long)ms / 1000, (unsigned)(ms % 1000));
}

/* Ignore errors: there is no place to report them */
/* #syscalls write */
static void write_quietly(int fd, const char *p, size_t len)
{
	ssize_t n;

	do
		n = write(fd, p, len);
	while (n < 0 && errno == EINTR);
}

static void to_stderr(enum log_level level, size_t len)
{
	char prefix[LINE_PREFIX];
	int n = 0;

	if (level >= LOG_L_DEBUG)
		n = uptime_prefix(prefix, sizeof(prefix));
	write_quietly(STDERR_FILENO, line_prefix(prefix, n), n + len);
}

/**
 * file_drop_older() - Make room: keep the first lines and the younger half
 *
 * The younger half starts with a whole line. If reading or writing fails, the
 * rest of it is dropped as well: a log must not stop the program.
 */
/* #syscalls pread64 pwrite64 ftruncate */
static void file_drop_older(void)
{
	size_t to = logger.file_head;
	size_t from = to + (logger.file_pos - to) / 2;
	bool whole = false;
	char chunk[1024];

	while (from < logger.file_pos) {
		size_t want = logger.file_pos - from;
		ssize_t n = pread(logger.file_fd, chunk,
				  want < sizeof(chunk) ? want : sizeof(chunk),
				  from);
		char *p = chunk;

		if (n <= 0)
			break;
		from += n;
		if (!whole) {
			p = memchr(chunk, '\n', n);
			if (!p++)
				continue;
			n -= p - chunk;
			whole = true;
		}
		if (pwrite(logger.file_fd, p, n, to) != n)
			break;
		to += n;
	}
	if (!ftruncate(logger.file_fd, to))
		logger.file_pos = to;
}

/* #syscalls pwrite64 */
static void to_file(size_t len)
{
	char prefix[LINE_PREFIX];
	int n = uptime_prefix(prefix, sizeof(prefix));
	const char *start = line_prefix(prefix, n);

	len += n;
	if (!logger.file_max) {
		write_quietly(logger.file_fd, start, len);
		return;
	}
	if (logger.file_pos + len > logger.file_max)
		file_drop_older();
	if (logger.file_pos + len > logger.file_max)
		return;
	if (pwrite(logger.file_fd, start, len, logger.file_pos) == (ssize_t)len)
		logger.file_pos += len;
}

/* #syscalls sendto */
static void to_syslog(enum log_level level, size_t len)
{
	static const int severity[] = {
		[LOG_L_ERR] = 3, [LOG_L_WARN] = 4, [LOG_L_INFO] = 6,
		[LOG_L_DEBUG] = 7, [LOG_L_TRACE] = 7,
	};
	char prefix[LINE_PREFIX];
	int n = snprintf(prefix, sizeof(prefix), "<%d>%s[%d]: ",
			 SYSLOG_DAEMON + severity[level], logger.ident,
			 (int)logger.pid);

	/* Without the newline */
	send(logger.syslog_fd, line_prefix(prefix, n), n + len - 1,
	     MSG_DONTWAIT | MSG_NOSIGNAL);
}

/**
 * line_format() - Put a line into the buffer
 * @error:	Error code to describe at its end, of either sign; 0: none
 * @fmt:	Format
 * @ap:		Arguments
 *
 * Control characters are replaced, since a line may quote names chosen by a
 * guest or peer. A line that is too long is cut, and ends with dots.
 *
 * Return: length including the newline, bytes
 */
__attribute__((format(printf, 2, 0)))
static size_t line_format(int error, const char *fmt, va_list ap)
{
	char *line = line_buf + LINE_PREFIX;
	const size_t max = LINE_MAX - sizeof("...\n");
	int n = vsnprintf(line, max, fmt, ap);
	size_t len = n < 0 ? 0 : (size_t)n;
	char text[UTIL_ERROR_STRLEN];

	if (error && len < max)
		len += snprintf(line + len, max - len, ": %s",
				util_strerror(error, text));
	if (logger.suppressed && len < max)
		len += snprintf(line + len, max - len,
				" (%u similar messages suppressed)",
				logger.suppressed);
	logger.suppressed = 0;
	if (len >= max) {
		len = max - 1;
		memcpy(line + len, "...", 3);
		len += 3;
	}
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	return len;
}

__attribute__((format(printf, 3, 0)))
static void log_line(enum log_level level, int error, const char *fmt,
		     va_list ap)
{
	size_t len = line_format(error, fmt, ap);

	if (!logger.detached)
		to_stderr(level, len);
	if (logger.file_fd >= 0)
		to_file(len);
	else if (logger.detached && logger.syslog_fd >= 0)
		to_syslog(level, len);
}

/**
 * log_msg() - Write one line; see the macros
 * @level:	Level
 * @error:	Append the text of this error code, of either sign; 0: none
 * @fmt:	Format, without newline
 *
 * errno is preserved.
 */
void log_msg(enum log_level level, int error, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (log_enabled(level)) {
		va_start(ap, fmt);
		log_line(level, error, fmt, ap);
		va_end(ap);
	}
	errno = saved;
}

/**
 * log_limited() - May a message be written now, or is it suppressed?
 * @l:		Rate limit of the message
 *
 * The line that follows a true tells how many were suppressed before.
 *
 * Return: true at most once a second
 */
bool log_limited(struct log_limit *l)
{
	uint64_t now_s = clock_ms() / 1000 + 1;

	if (l->last_s == now_s) {
		l->suppressed++;
		return false;
	}
	l->last_s = now_s;
	logger.suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}

/**
 * log_die() - Write an error and exit with status 1
 * @error:	Append the text of this error code, of either sign; 0: none
 * @fmt:	Format, without newline
 */
/* #syscalls exit_group */
void log_die(int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_L_ERR, error, fmt, ap);
	va_end(ap);
	_exit(1);
}

/*
 * Write the first line of a log file, with the date; its length, 0 on failure
 */
static size_t file_start(int fd)
{
	time_t now = time(NULL);
	char date[32], line[128];
	struct tm tm;
	int n;

	if (!gmtime_r(&now, &tm) ||
	    !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return 0;
	n = snprintf(line, sizeof(line),
		     "%s " VERSION ", times in seconds since about %s\n",
		     logger.ident, date);
	if (n < 0 || (size_t)n >= sizeof(line))
		return 0;
	return util_write_all(fd, line, n) ? 0 : n;
}

/**
 * log_use_file() - Write to a file as well, and instead after log_detach()
 * @fd:		Empty file opened with LOG_FILE_FLAGS, ours to close
 * @size_max:	Limit for its size, bytes; at least a few lines
 *
 * A pipe, terminal or other device may be given, too, and has no limit.
 *
 * Return: 0 or negative errno
 */
int log_use_file(int fd, size_t size_max)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	if (logger.file_fd >= 0)
		close(logger.file_fd);
	logger.file_fd = fd;
	logger.file_max = S_ISREG(st.st_mode) ? size_max : 0;
	logger.file_head = logger.file_pos = file_start(fd);
	return 0;
}

/**
 * log_started() - Keep the lines so far when the log file is full
 *
 * They have the configuration. Others may write as much as they like later. If the
 * lines take more than a quarter of the limit, only the first one stays.
 */
void log_started(void)
{
	if (logger.file_pos <= logger.file_max / 4)
		logger.file_head = logger.file_pos;
}

/**
 * log_connect_syslog() - Get ready to write to the system logger
 *
 * To be called while the host's /dev/log can be reached. Without a /dev/log,
 * lines after log_detach() are lost, unless there is a log file.
 */
void log_connect_syslog(void)
{
	static const struct sockaddr_un addr = {
		.sun_family = AF_UNIX, .sun_path = "/dev/log",
	};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return;
	}
	if (logger.syslog_fd >= 0)
		close(logger.syslog_fd);
	logger.syslog_fd = fd;
}

/**
 * log_detach() - Stop writing to standard error
 *
 * To be called in the process that stays in the background.
 */
void log_detach(void)
{
	logger.detached = true;
	logger.pid = getpid();
}
