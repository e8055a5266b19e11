/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Read any bytes as a greeting or as a client's tables
 *
 * The first byte chooses the role, the version, and the size of the pieces that the bytes
 * come in. Properties: pieces make no difference; each rule is written again, and read
 * again, as the same; nothing is read after the end.
 */

#include <assert.h>
#include <string.h>

#include "../../pesto_wire.h"

#define RULES	64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	enum pesto_got last;
	enum pesto_error error;
	unsigned rules;
	size_t taken;
	struct pesto_rule last_rule;
};

static void begin(struct pesto_reader *r, uint8_t mode)
{
	if (mode & 1)
		pesto_read_greeting(r, RULES);
	else
		pesto_read_tables(r, mode & 2 ? 1 : 2, 0xa, RULES);
}

static void check_rule(const struct pesto_rule *rule, uint32_t version)
{
	uint8_t table[PESTO_TABLE_LEN + PESTO_RULE_LEN];
	const uint8_t *p = table;
	struct pesto_reader r;
	size_t len;

	len = pesto_put_table(table, PESTO_HOST, 1);
	len += pesto_put_rule(table + len, version, rule);
	pesto_read_tables(&r, version, 1 << PESTO_HOST, 1);
	assert(pesto_read(&r, &p, &len) == PESTO_GOT_KIND);
	assert(pesto_read(&r, &p, &len) == PESTO_GOT_RULE);
	assert(!len && pesto_same_rule(&r.rule, rule));
}

static struct result run(const uint8_t *data, size_t size, uint8_t mode,
			 size_t piece)
{
	struct result res = { .last = PESTO_GOT_NOTHING };
	struct pesto_reader r;
	size_t at = 0;

	begin(&r, mode);
	while (at < size && res.last == PESTO_GOT_NOTHING) {
		size_t len = size - at < piece ? size - at : piece, left = len;
		const uint8_t *p = data + at;

		do {
			res.last = pesto_read(&r, &p, &left);
			if (res.last == PESTO_GOT_RULE) {
				check_rule(&r.rule, r.version);
				res.last_rule = r.rule;
				res.rules++;
			}
		} while (res.last == PESTO_GOT_HELLO ||
			 res.last == PESTO_GOT_KIND ||
			 res.last == PESTO_GOT_RULE);
		assert(res.last != PESTO_GOT_NOTHING || !left);
		at += len - left;
	}
	res.error = r.error;
	res.taken = at;
	assert(!!res.error == (res.last == PESTO_GOT_ERROR));
	assert(*pesto_text(r.error));
	return res;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, pieces;

	if (!size)
		return 0;
	whole = run(data + 1, size - 1, data[0], size);
	pieces = run(data + 1, size - 1, data[0], 1 + data[0] / 4);
	assert(whole.last == pieces.last && whole.error == pieces.error &&
	       whole.rules == pieces.rules && whole.taken == pieces.taken);
	assert(!whole.rules ||
	       pesto_same_rule(&whole.last_rule, &pieces.last_rule));
	return 0;
}
