/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.h - From the command line to struct conf
 */

#ifndef CONF_H
#define CONF_H

#include <stddef.h>

#include "rules.h"
#include "types.h"

/* Room for any message of conf_parse_argv() */
#define CONF_ERROR_LEN	1024

enum conf_result {
	CONF_RUN,			/* struct conf is complete */
	CONF_HELP,			/* --help was given */
	CONF_VERSION,			/* --version was given */
	CONF_CAPABILITIES,		/* --print-capabilities was given */
	CONF_BAD,			/* an error, see the message */
	CONF_UNKNOWN,			/* no such option: print the usage */
};

enum conf_result conf_parse_argv(struct conf *c, struct rules *rules, int argc,
				 char *const *argv, char *error, size_t size);
int conf_parse(struct conf *c, struct rules *rules, int argc, char **argv);
void conf_print(const struct conf *c, const struct hostnet *h,
		const struct dns *d);

#endif /* CONF_H */
