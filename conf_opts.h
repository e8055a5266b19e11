/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf_opts.h - The table of options
 */

#ifndef CONF_OPTS_H
#define CONF_OPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"

#define CONF_PREFIX_IPV6	64

/* Where an option may be given */
enum { IN_PASST = 1 << MODE_PASST, IN_PASTA = 1 << MODE_PASTA, IN_BOTH = 3 };

struct parse;
typedef enum conf_result conf_set_fn(struct parse *p, const char *arg);

/**
 * struct opt - One option
 * @name:	Long name
 * @letter:	Short name, 0: none; entries with the same one are synonyms
 * @modes:	Where it may be given: IN_*
 * @arg:	Name of its value, NULL: it takes none
 * @set:	Function that stores the value
 * @offset:	For @set: offset of the field in struct conf, or in struct conf_ip
 *		if each family has one
 * @help:	Text for --help, lines of up to 49 columns; NULL: not in the help,
 *		and not found by a prefix
 */
struct opt {
	const char *name;
	char letter;
	unsigned modes;
	const char *arg;
	conf_set_fn *set;
	size_t offset;
	const char *help;
};

/**
 * struct parse - State of the parser
 * @c:		Result: options
 * @rules:	Result: forwarding rules
 * @prog:	argv[0], unchanged
 * @argc:	Number of words
 * @argv:	Words
 * @next:	Index of the next word
 * @opt:	Current option
 * @error:	Buffer for the error message
 * @size:	Bytes of @error
 * @only4:	-4 was given
 * @only6:	-6 was given
 * @cidr4:	-a was given with an IPv4 prefix length
 * @mask4:	-n was given for IPv4
 * @ports_given:	-t, -T, -u or -U was given; indices: UDP, from the namespace
 * @no_copy:	Name of the --no-copy-* option that was given, NULL: none
 */
struct parse {
	struct conf *c;
	struct rules *rules;
	const char *prog;
	int argc;
	char *const *argv;
	int next;
	const struct opt *opt;
	char *error;
	size_t size;
	bool only4, only6, cidr4, mask4;
	bool ports_given[2][2];
	const char *no_copy;
};

const struct opt *conf_opt(size_t i);
enum conf_result conf_bad(struct parse *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* CONF_OPTS_H */
