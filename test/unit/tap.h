/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tap.h - Test Anything Protocol for unit tests, one header
 *
 * A test calls ok() or is() for each claim and ends with done(). The name of a
 * claim is a sentence.
 */

#ifndef TEST_TAP_H
#define TEST_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static int tap_count, tap_failed;

static inline bool ok_at(bool pass, const char *file, int line,
			 const char *name)
{
	printf("%sok %d - %s\n", pass ? "" : "not ", ++tap_count, name);
	if (!pass) {
		tap_failed++;
		printf("# failed at %s:%d\n", file, line);
	}
	return pass;
}

static inline void is_at(int64_t got, int64_t want, const char *file, int line,
			 const char *name)
{
	if (!ok_at(got == want, file, line, name))
		printf("# got %lld, want %lld\n", (long long)got,
		       (long long)want);
}

#define ok(cond, name)		ok_at(cond, __FILE__, __LINE__, name)
#define is(got, want, name) \
	is_at((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, name)

static inline int done(void)
{
	printf("1..%d\n", tap_count);
	return !!tap_failed;
}

#endif /* TEST_TAP_H */
