/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * util.h - Small helpers without state that belong to no module
 */

#ifndef UTIL_H
#define UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Room for a MAC address as text, see util_mac_ntop() */
#define UTIL_MAC_STRLEN	sizeof("00:00:00:00:00:00")

/* Room for the text of an error code, see util_strerror() */
#define UTIL_ERROR_STRLEN	48

int util_parse_ulong(const char *s, unsigned long min, unsigned long max,
		     unsigned long *out);
bool util_is_decimal(const char *s);
bool util_is_ifname(const char *s);
int util_strcpy(char *dst, size_t size, const char *src);
void util_one_line(char *s);

int util_mac_pton(const char *s, uint8_t mac[6]);
const char *util_mac_ntop(const uint8_t mac[6], char buf[UTIL_MAC_STRLEN]);

const char *util_strerror(int errnum, char buf[UTIL_ERROR_STRLEN]);

int util_write_all(int fd, const void *buf, size_t len);
int util_random(void *buf, size_t len);
int util_ifindex(const char *name);

int util_named_fd(const char *path);
int util_open(const char *path, int flags);

int util_pidfile_write(int fd, pid_t pid);

unsigned util_raise_nofile(void);
unsigned util_fds_used(int any);

#endif /* UTIL_H */
