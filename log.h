/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - Six verbs, from fatal to chatty: die, err, warn, info, debug, trace
 *
 * Lines go to standard error until log_detach(), and to the log file if there is
 * one; without one, after log_detach(), to the system logger. Nothing here
 * allocates; errno survives.
 */

#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_L_ERR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG, LOG_L_TRACE };

/* A rate limit: at most one line a second from where it is used; zero-init */
struct log_limit {
	uint64_t last_s;
	unsigned suppressed;
};

void log_init(const char *progname);
void log_set_level(enum log_level max);
bool log_enabled(enum log_level level);
int log_open_file(const char *path, size_t size_max);
void log_connect_syslog(void);
void log_detach(void);

void log_msg(enum log_level level, bool with_errno, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool log_limited(struct log_limit *l);
void log_die(bool with_errno, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

#define err(...)	log_msg(LOG_L_ERR, false, __VA_ARGS__)
#define err_errno(...)	log_msg(LOG_L_ERR, true, __VA_ARGS__)
#define warn(...)	log_msg(LOG_L_WARN, false, __VA_ARGS__)
#define warn_errno(...)	log_msg(LOG_L_WARN, true, __VA_ARGS__)
#define info(...)	log_msg(LOG_L_INFO, false, __VA_ARGS__)

/* Arguments of these are evaluated only where the line is written */
#define debug(...) \
	do { if (log_enabled(LOG_L_DEBUG)) \
		log_msg(LOG_L_DEBUG, false, __VA_ARGS__); } while (0)
#define trace(...) \
	do { if (log_enabled(LOG_L_TRACE)) \
		log_msg(LOG_L_TRACE, false, __VA_ARGS__); } while (0)

/* For what the other side can cause at will: once a second from each place */
#define warn_limited(...) \
	do { static struct log_limit limit_; if (log_limited(&limit_)) \
		log_msg(LOG_L_WARN, false, __VA_ARGS__); } while (0)
#define info_limited(...) \
	do { static struct log_limit limit_; if (log_limited(&limit_)) \
		log_msg(LOG_L_INFO, false, __VA_ARGS__); } while (0)
#define debug_limited(...) \
	do { static struct log_limit limit_; \
	     if (log_enabled(LOG_L_DEBUG) && log_limited(&limit_)) \
		log_msg(LOG_L_DEBUG, false, __VA_ARGS__); } while (0)

/* For what holds as long as we run, and is found out late */
#define warn_once(...) \
	do { static bool said_; if (!said_) { said_ = true; \
		log_msg(LOG_L_WARN, false, __VA_ARGS__); } } while (0)

/* Start-up only: one line, exit status 1 */
#define die(...)	log_die(false, __VA_ARGS__)
#define die_errno(...)	log_die(true, __VA_ARGS__)

#endif /* LOG_H */
