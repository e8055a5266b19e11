/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pesto_words.h - Requests of words on a control socket, and answers for people
 */

#ifndef PESTO_WORDS_H
#define PESTO_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_REQUEST_MAX	1024	/* bytes of a request, with its newline */
#define WORDS_ANSWER_MAX	4096	/* bytes of a line of an answer */

/* Exit status of pesto */
enum pesto_status { PESTO_STATUS_OK, PESTO_STATUS_REFUSED, PESTO_STATUS_LOST };

/**
 * struct words - A conversation
 * @fd:		Connected socket that has sent its greeting; not owned
 * @path:	Path of the socket, for messages
 * @json:	Answers are printed as they come
 * @at, @have:	Bytes of @in that were taken, and all of them
 * @in:		Bytes that came in
 */
struct words {
	int fd;
	const char *path;
	bool json;
	size_t at, have;
	char in[WORDS_ANSWER_MAX];
};

void pesto_complain(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
void words_begin(struct words *w, int fd, const char *path, bool json);
bool words_is_command(const char *command);
enum pesto_status words_ask(struct words *w, const char *request);
enum pesto_status words_command(struct words *w, int argc, char **argv);

#endif /* PESTO_WORDS_H */
