/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleline.h - Forwarding rules as fields of JSON lines
 */

#ifndef RULELINE_H
#define RULELINE_H

#include <stdint.h>

#include "jsonline.h"
#include "rules.h"

struct listen;
struct rule_stats;

#define RULELINE_TEXT	512		/* bytes of a sentence */

const char *ruleline_kind(unsigned kind);
const char *ruleline_errno(int error);
void ruleline_spec(struct jsonline *j, const struct fwd_rule *r);
void ruleline_error(struct jsonline *j, const struct fwd_rule *r, uint16_t port,
		    int error);
void ruleline_name(struct jsonline *j, struct rule_ref ref);
void ruleline_state(struct jsonline *j, const struct listen *l,
		    const struct fwd_rule *r, const char *state);
void ruleline_rule(struct jsonline *j, const struct listen *l,
		   const struct fwd_rule *r, const char *state);
void ruleline_counters(struct jsonline *j, const struct rule_stats *s);

#endif /* RULELINE_H */
