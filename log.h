/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - Six verbs, from fatal to chatty: die, err, warn, info, debug, trace
 *
 * Some of them exist in variants, which differ by a suffix:
 *
 *	_errno		appends the text of errno
 *	_rc		appends the text of a code, the first argument: a negative
 *			errno as functions return it, or a positive one
 *	_limited	at most one line a second from each place, for events
 *			that a guest or a peer can cause at will
 *	_once		one line as long as we run
 *
 * Lines go to standard error until log_detach(), and to the log file if there
 * is one; without one, after log_detach(), to the system logger. Nothing here
 * allocates; errno survives.
 */

#ifndef LOG_H
#define LOG_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How to open a log file: O_APPEND would make pwrite() ignore its offset */
#define LOG_FILE_FLAGS	(O_RDWR | O_CREAT | O_TRUNC | O_NOCTTY)

enum log_level { LOG_L_ERR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG, LOG_L_TRACE };

/* A rate limit: at most one line a second from where it is used; zero-init */
struct log_limit {
	uint64_t last_s;
	unsigned suppressed;
};

void log_init(const char *progname);
void log_set_level(enum log_level max);
bool log_enabled(enum log_level level);
int log_use_file(int fd, size_t size_max);
void log_started(void);
void log_connect_syslog(void);
void log_detach(void);

void log_msg(enum log_level level, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool log_limited(struct log_limit *l);
void log_die(int error, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* Whether a line is written is known before its arguments are evaluated */
#define LOG_IF_ENABLED(level, ...) \
	do { if (log_enabled(level)) \
		log_msg(level, __VA_ARGS__); } while (0)
#define LOG_LIMITED(level, ...) \
	do { static struct log_limit limit_; \
	     if (log_enabled(level) && log_limited(&limit_)) \
		log_msg(level, __VA_ARGS__); } while (0)
#define LOG_ONCE(level, ...) \
	do { static bool said_; if (!said_) { said_ = true; \
		log_msg(level, __VA_ARGS__); } } while (0)

/* At start-up alone: one line, then exit status 1 */
#define die(...)			log_die(0, __VA_ARGS__)
#define die_errno(...)			log_die(errno, __VA_ARGS__)
#define die_rc(rc, ...)			log_die(rc, __VA_ARGS__)

#define err(...)			log_msg(LOG_L_ERR, 0, __VA_ARGS__)
#define err_errno(...)			log_msg(LOG_L_ERR, errno, __VA_ARGS__)
#define err_rc(rc, ...)			log_msg(LOG_L_ERR, rc, __VA_ARGS__)

#define warn(...)			log_msg(LOG_L_WARN, 0, __VA_ARGS__)
#define warn_errno(...)			log_msg(LOG_L_WARN, errno, __VA_ARGS__)
#define warn_rc(rc, ...)		log_msg(LOG_L_WARN, rc, __VA_ARGS__)
#define warn_limited(...)		LOG_LIMITED(LOG_L_WARN, 0, __VA_ARGS__)
#define warn_limited_rc(rc, ...)	LOG_LIMITED(LOG_L_WARN, rc, __VA_ARGS__)
#define warn_once(...)			LOG_ONCE(LOG_L_WARN, 0, __VA_ARGS__)

#define info(...)			log_msg(LOG_L_INFO, 0, __VA_ARGS__)
#define info_limited(...)		LOG_LIMITED(LOG_L_INFO, 0, __VA_ARGS__)

#define debug(...)			LOG_IF_ENABLED(LOG_L_DEBUG, 0, __VA_ARGS__)
#define debug_rc(rc, ...)		LOG_IF_ENABLED(LOG_L_DEBUG, rc, __VA_ARGS__)
#define debug_limited(...)		LOG_LIMITED(LOG_L_DEBUG, 0, __VA_ARGS__)
#define debug_limited_rc(rc, ...)	LOG_LIMITED(LOG_L_DEBUG, rc, __VA_ARGS__)

#define trace(...)			LOG_IF_ENABLED(LOG_L_TRACE, 0, __VA_ARGS__)

#endif /* LOG_H */
