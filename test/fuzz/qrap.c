/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Give qrap any arguments for qemu: those that it makes of them name one socket, and are
 * the same if qrap makes them again
 *
 * Input: words, one a line.
 */

#include <assert.h>

/* gcc takes the number of a default socket for any number */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif

int qrap_main(int argc, char **argv);
#define main	qrap_main
#include "../../qrap.c"
#undef main

#define WORDS_MAX	64

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int split(const unsigned char *data, size_t size, char *argv[])
{
	const char *s = (const char *)data, *end = s + size;
	int n = 1;

	while (s < end && n < WORDS_MAX) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));

		argv[n] = strndup(s, (size_t)((nl ? nl : end) - s));
		assert(argv[n]);
		n++;
		s = nl ? nl + 1 : end;
	}
	argv[n] = NULL;
	return n;
}

/* All words are there, but for one that was replaced, which is freed if @done */
static void check_words(char **args, char **argv, int argc, bool done)
{
	int i, replaced = 0;

	for (i = 1; i < argc; i++) {
		if (args[i] == argv[i])
			continue;
		replaced++;
		assert(!strncmp(args[i], "socket,fd=5,id=", 15));
		if (done)
			free(args[i]);
	}
	assert(replaced <= 1);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static char name[] = "qrap";
	char *argv[WORDS_MAX + 1] = { name }, **args, **again;
	int argc = split(data, size, argv), fd, fd2, n;

	args = qemu_args(argc, argv, &fd);
	for (n = argc; args[n]; n++)
		;
	assert(fd >= 0 && n <= argc + ARGS_ADDED);
	assert(find_socket_fd(args + 1) == fd);
	check_words(args, argv, argc, false);

	again = qemu_args(n, args, &fd2);
	assert(fd2 == fd && !again[n] && !memcmp(again, args, (size_t)n * sizeof(*args)));
	free(again);
	check_words(args, argv, argc, true);
	free(args);
	if (argc > 1)
		assert(parse_fd(argv[1], NULL) >= -1);
	while (argc > 1)
		free(argv[--argc]);
	return 0;
}
