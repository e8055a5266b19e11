/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test Anything Protocol for small C programs: call ok() and skip() for each point,
 * and end main() with return done_testing().  Everything is static, since a program
 * is one translation unit.
 */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_points, check_failed;

/**
 * ok() - Report one test point
 * @good:	Whether it holds
 * @fmt:	Name of the point, a sentence
 *
 * Return: @good
 */
__attribute__((unused, format(printf, 2, 3)))
static bool ok(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++check_points);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	check_failed += !good;
	return good;
}

/**
 * skip() - Report one point that can't be tested here
 * @name:	Name of the point
 * @fmt:	The reason
 */
__attribute__((unused, format(printf, 2, 3)))
static void skip(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("ok %d - %s # SKIP ", ++check_points, name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/**
 * bail() - End the test, since a precondition failed
 * @what:	Name of the failed step; the text of errno is added
 */
__attribute__((unused, noreturn))
static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/**
 * done_testing() - Print the plan
 *
 * Return: exit status for main()
 */
__attribute__((unused))
static int done_testing(void)
{
	printf("1..%d\n", check_points);
	return !!check_failed;
}

#endif /* TEST_CHECK_H */
