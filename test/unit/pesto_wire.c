/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of forwarding rules on the control socket: known bytes in both roles, bytes
 * that come in any pieces, and bytes that are refused
 */

#include "pesto_wire.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define BYTES_MAX	1024

/* Bytes, from text */
struct bytes {
	uint8_t b[BYTES_MAX];
	size_t len;
};

/* Items that were read, put into bytes again */
struct seen {
	struct bytes again;
	unsigned kinds, rules;
	enum pesto_got last;
	enum pesto_error error;
};

/*
 * Append bytes: pairs of digits, "PAIR*COUNT" for COUNT of them, 'TEXT' for its
 * characters. Blanks are ignored.
 */
static void add(struct bytes *to, const char *s)
{
	while (*s) {
		char pair[3] = { s[0], *s ? s[1] : 0 };
		unsigned long count = 1;

		if (*s == ' ') {
			s++;
			continue;
		}
		if (*s == '\'') {
			for (s++; *s != '\''; s++)
				to->b[to->len++] = (uint8_t)*s;
			s++;
			continue;
		}
		s += 2;
		if (*s == '*')
			count = strtoul(s + 1, (char **)&s, 10);
		while (count--)
			to->b[to->len++] = (uint8_t)strtoul(pair, NULL, 16);
	}
}

#define HELLO		"'basil:s' 00 00000002 00000080 00000010"
#define HELLO_V1	"'basil:s' 00 00000001 00000080 00000010"
#define HOST(caps, count)	"01 'HOST' 00*124 " caps count
#define SPLICE(caps, count)	"03 'SPLICE' 00*122 " caps count
#define V4(hex)		"00*10 ffff " hex
#define NONE		"00*16 "
#define ETH0		"'eth0' 00*12 "
/* The rule of "-t 203.0.113.1/8001" */
#define RULE		V4("cb007101") NONE NONE "1f41 1f41 1f41 06 00 "
#define RULE_V1		V4("cb007101") NONE "1f41 1f41 1f41 06 00 "
#define TABLES		"01 00000001" RULE "03 00000000 00"

static struct bytes bytes_of(const char *s)
{
	struct bytes b = { .len = 0 };

	add(&b, s);
	return b;
}

static void put_again(struct seen *s, const struct pesto_reader *r,
		      enum pesto_got got)
{
	const struct pesto_kind *k = &r->kind[r->kinds ? r->kinds - 1 : 0];
	uint8_t *p = s->again.b + s->again.len;

	if (got == PESTO_GOT_HELLO) {
		s->again.len += pesto_put_hello(p, r->version);
	} else if (got == PESTO_GOT_KIND) {
		s->again.len += r->greeting ? pesto_put_kind(p, k) :
				pesto_put_table(p, k->id, k->count);
		s->kinds++;
	} else if (got == PESTO_GOT_RULE) {
		s->again.len += pesto_put_rule(p, r->version, &r->rule);
		s->rules++;
	} else if (got == PESTO_GOT_END) {
		*p = 0;
		s->again.len++;
	}
}

/* Read @len bytes, @piece at a time */
static struct seen read_all(struct pesto_reader *r, const uint8_t *b,
			    size_t len, size_t piece)
{
	struct seen s = { .last = PESTO_GOT_NOTHING };

	for (size_t at = 0; at < len && s.last != PESTO_GOT_END &&
			    s.last != PESTO_GOT_ERROR; at += piece) {
		const uint8_t *p = b + at;
		size_t n = len - at < piece ? len - at : piece;

		do {
			s.last = pesto_read(r, &p, &n);
			put_again(&s, r, s.last);
		} while (s.last != PESTO_GOT_NOTHING &&
			 s.last != PESTO_GOT_END && s.last != PESTO_GOT_ERROR);
	}
	s.error = r->error;
	return s;
}

static struct seen greeting(const struct bytes *b, size_t len, size_t piece)
{
	struct pesto_reader r;

	pesto_read_greeting(&r, 255);
	return read_all(&r, b->b, len, piece);
}

static struct seen tables(const struct bytes *b, size_t len, size_t piece)
{
	struct pesto_reader r;

	pesto_read_tables(&r, 2, 1 << PESTO_HOST | 1 << PESTO_SPLICE, 255);
	return read_all(&r, b->b, len, piece);
}

/* Bytes that are known ----------------------------------------------------- */

static bool same(const struct bytes *a, const struct bytes *b)
{
	return a->len == b->len && !memcmp(a->b, b->b, a->len);
}

/* Read in one piece and byte by byte, and written again, are the same bytes */
static void check_vector(const char *name, const char *text, size_t len,
			 unsigned rules, bool from_server)
{
	struct seen (*fn)(const struct bytes *b, size_t len, size_t piece) =
		from_server ? greeting : tables;
	struct bytes b = bytes_of(text);
	struct seen whole = fn(&b, b.len, b.len), drops = fn(&b, b.len, 1);
	char line[128];

	is(b.len, len, name);
	snprintf(line, sizeof(line), "%s: is read, and written the same", name);
	ok(whole.last == PESTO_GOT_END && same(&b, &whole.again), line);
	snprintf(line, sizeof(line), "%s: has %u rules", name, rules);
	is(whole.rules, rules, line);
	snprintf(line, sizeof(line), "%s: is the same byte by byte", name);
	ok(drops.last == PESTO_GOT_END && same(&b, &drops.again), line);
}

static void test_vectors(void)
{
	check_vector("the greeting of an idle pasta has 295 bytes",
		     HELLO HOST("0000003f", "00000000")
		     SPLICE("0000003f", "00000000") "00", 295, 0, true);
	check_vector("a greeting with rules",
		     HELLO HOST("8000003f", "00000002") RULE
		     NONE NONE NONE "0050 0051 1f90 11 01"
		     SPLICE("0000001f", "00000001")
		     NONE NONE ETH0 "0001 ffff 0001 06 06 00", 463, 3, true);
	check_vector("a greeting of passt", HELLO HOST("00000001", "00000000")
		     "00", 158, 0, true);
	check_vector("a greeting of version 1", HELLO_V1
		     HOST("0000003f", "00000001") RULE_V1 "00", 198, 1, true);
	check_vector("the table of -A -t 203.0.113.1/8001", TABLES, 67, 1,
		     false);
	check_vector("a table with targets", "01 00000002"
		     V4("00000000") V4("0a580005") NONE "1f90 1f90 0050 06 00"
		     NONE "fd 00*14 05" NONE "1f90 1f90 0050 11 02 00",
		     118, 2, false);
	check_vector("tables that are left out", "00", 1, 0, false);
}

static void test_contents(void)
{
	struct bytes b = bytes_of(HELLO HOST("8000003f", "00000001")
				  V4("c0000201") V4("0a580005") ETH0
				  "1f90 1f99 0050 11 02 00");
	const uint8_t *p = b.b;
	struct pesto_reader r;
	size_t len = b.len;

	pesto_read_greeting(&r, 255);
	is(pesto_read(&r, &p, &len), PESTO_GOT_HELLO, "a greeting begins");
	is(r.version, 2, "with its version");
	is(pesto_read(&r, &p, &len), PESTO_GOT_KIND, "then a table");
	ok(r.kinds == 1 && r.kind[0].id == PESTO_HOST &&
	   !strcmp(r.kind[0].name, "HOST") && r.kind[0].count == 1,
	   "with its number, name and size");
	is(r.kind[0].caps, 0x8000003f, "and all bits of the capabilities");
	is(pesto_read(&r, &p, &len), PESTO_GOT_RULE, "then a rule");
	ok(inany_is_v4(&r.rule.addr) && inany_is_v4(&r.rule.target) &&
	   r.rule.addr.v4mapped.a4.s_addr == htonl(0xc0000201) &&
	   r.rule.target.v4mapped.a4.s_addr == htonl(0x0a580005),
	   "with its addresses");
	ok(!strcmp(r.rule.ifname, "eth0") && r.rule.first == 8080 &&
	   r.rule.last == 8089 && r.rule.to == 80 &&
	   r.rule.proto == IPPROTO_UDP && r.rule.flags == PESTO_F_WEAK,
	   "interface, ports, protocol and flags");
	is(pesto_read(&r, &p, &len), PESTO_GOT_END, "then the end");
	is(pesto_read(&r, &p, &len), PESTO_GOT_END, "which stays");
}

static void test_trailing(void)
{
	struct bytes b = bytes_of(TABLES "6869");
	const uint8_t *p = b.b;
	struct pesto_reader r;
	size_t len = b.len;
	enum pesto_got got;

	pesto_read_tables(&r, 2, 1 << PESTO_HOST | 1 << PESTO_SPLICE, 255);
	do
		got = pesto_read(&r, &p, &len);
	while (got == PESTO_GOT_KIND || got == PESTO_GOT_RULE);
	ok(got == PESTO_GOT_END && len == 2 && *p == 'h',
	   "bytes behind the end are left to the caller");
	ok(!pesto_is_words(PESTO_HOST) && !pesto_is_words(PESTO_END_ID) &&
	   pesto_is_words('h') && pesto_is_words(' '),
	   "the first byte tells tables from words");
}

/* Bytes that are not ------------------------------------------------------- */

static void test_truncation(void)
{
	struct bytes g = bytes_of(HELLO HOST("0000003f", "00000001") RULE
				  SPLICE("0000003f", "00000000") "00");
	struct bytes t = bytes_of(TABLES);
	size_t bad = 0;

	for (size_t len = 0; len < g.len; len++)
		bad += greeting(&g, len, len + 1).last != PESTO_GOT_NOTHING;
	is(bad, 0, "no truncated greeting comes to an end");
	for (size_t len = 0; len < t.len; len++)
		bad += tables(&t, len, len + 1).last != PESTO_GOT_NOTHING;
	is(bad, 0, "no truncated table comes to an end");
}

/* The same bytes but for those behind the end of a name, which have no meaning */
static bool same_meaning(const struct bytes *a, const struct bytes *b)
{
	struct seen again;

	if (a->len < b->len)
		return false;
	again = tables(b, b->len, b->len);
	return again.last == PESTO_GOT_END && same(&again.again, b);
}

static void test_flips(void)
{
	struct bytes t = bytes_of("01 00000002" RULE V4("00000000")
				  V4("0a580005") ETH0 "1f90 1f90 0050 06 00"
				  "03 00000000 00");
	unsigned refused = 0, unfinished = 0, other = 0, wrong = 0;

	for (size_t bit = 0; bit < t.len * 8; bit++) {
		struct bytes f = t;
		struct seen s;

		f.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		s = tables(&f, f.len, f.len);
		if (s.last == PESTO_GOT_ERROR)
			refused++;
		else if (s.last == PESTO_GOT_NOTHING)
			unfinished++;
		else if (same_meaning(&f, &s.again))
			other++;
		else
			wrong++;
	}
	is(refused + unfinished + other, t.len * 8,
	   "each flipped bit is refused, lacks an end, or is another valid table");
	is(wrong, 0, "and none is read as another table than it is");
	ok(refused > 150, "many are refused");
}

struct refusal {
	const char *name, *text;
	enum pesto_error error;
};

static const struct refusal bad_greetings[] = {
	{ "another magic", "'basil:t' 00 00000002 00000080 00000010",
	  PESTO_MAGIC },
	{ "a magic without its end", "'basil:ss' 00000002 00000080 00000010",
	  PESTO_MAGIC },
	{ "version 0", "'basil:s' 00 00000000 00000080 00000010",
	  PESTO_BAD_VERSION },
	{ "version 3", "'basil:s' 00 00000003 00000080 00000010",
	  PESTO_BAD_VERSION },
	{ "another size of names", "'basil:s' 00 00000002 00000081 00000010",
	  PESTO_SIZES },
	{ "another size of interface names",
	  "'basil:s' 00 00000002 00000080 00000020", PESTO_SIZES },
	{ "a name without an end", HELLO "01 41*128 00*8", PESTO_BAD_NAME },
	{ "an empty name", HELLO "01 00*136", PESTO_BAD_NAME },
	{ "a name with a control character", HELLO "01 'A' 1b 00*134",
	  PESTO_BAD_NAME },
	{ "a number twice", HELLO HOST("00000000", "00000000") "01",
	  PESTO_KIND_TWICE },
	{ "a name twice", HELLO HOST("00000000", "00000000")
	  "02 'HOST' 00*132", PESTO_KIND_TWICE },
	{ "four tables", HELLO HOST("00000000", "00000000")
	  "02 'A' 00*135 03 'B' 00*135 04", PESTO_TOO_MANY_KINDS },
	{ "256 rules", HELLO HOST("00000000", "00000100"),
	  PESTO_TOO_MANY_RULES },
};

#define ONE	"01 00000001"

static const struct refusal bad_tables[] = {
	{ "a table that was not offered", "02", PESTO_BAD_KIND },
	{ "a table with a high number", "ff", PESTO_BAD_KIND },
	{ "a table twice", "01 00000000 01", PESTO_KIND_TWICE },
	{ "256 rules", "01 00000100", PESTO_TOO_MANY_RULES },
	{ "2^32 - 1 rules", "01 ffffffff", PESTO_TOO_MANY_RULES },
	{ "ICMP", ONE NONE NONE NONE "0050 0050 0050 01 01", PESTO_BAD_PROTO },
	{ "port 0", ONE NONE NONE NONE "0000 0050 0050 06 01", PESTO_BAD_PORTS },
	{ "target port 0", ONE NONE NONE NONE "0050 0050 0000 06 01",
	  PESTO_BAD_PORTS },
	{ "a range that ends before it starts",
	  ONE NONE NONE NONE "0051 0050 0050 06 01", PESTO_BAD_PORTS },
	{ "targets beyond port 65535",
	  ONE NONE NONE NONE "0050 0052 fffe 06 01", PESTO_BAD_PORTS },
	{ "an unknown flag", ONE NONE NONE NONE "0050 0050 0050 06 08",
	  PESTO_BAD_FLAGS },
	{ "another unknown flag", ONE NONE NONE NONE "0050 0050 0050 06 80",
	  PESTO_BAD_FLAGS },
	{ "both families with an address",
	  ONE V4("cb007101") NONE NONE "0050 0050 0050 06 01", PESTO_BAD_ADDR },
	{ "both families with 0.0.0.0",
	  ONE V4("00000000") NONE NONE "0050 0050 0050 06 01", PESTO_BAD_ADDR },
	{ "a multicast address",
	  ONE V4("e0000001") NONE NONE "0050 0050 0050 06 00", PESTO_BAD_ADDR },
	{ "a target 0.0.0.0",
	  ONE V4("00000000") V4("00000000") NONE "0050 0050 0050 06 00",
	  PESTO_BAD_TARGET },
	{ "a multicast target",
	  ONE NONE "ff02 00*13 01" NONE "0050 0050 0050 06 00",
	  PESTO_BAD_TARGET },
	{ "a target of the other family",
	  ONE NONE V4("0a580005") NONE "0050 0050 0050 06 00",
	  PESTO_BAD_TARGET },
	{ "a target with both families",
	  ONE NONE "fd 00*14 05" NONE "0050 0050 0050 06 01",
	  PESTO_BAD_TARGET },
	{ "a target with scanning",
	  ONE NONE "fd 00*14 05" NONE "0050 0050 0050 06 04",
	  PESTO_BAD_TARGET },
	{ "an interface without an end",
	  ONE NONE NONE "41*16 " "0050 0050 0050 06 01", PESTO_BAD_IFNAME },
	{ "an interface with a slash",
	  ONE NONE NONE "'a/b' 00*13 " "0050 0050 0050 06 01",
	  PESTO_BAD_IFNAME },
};

static void check_refusals(const struct refusal *row, size_t n,
			   struct seen (*fn)(const struct bytes *b, size_t len,
					     size_t piece), const char *what)
{
	char line[128];

	for (size_t i = 0; i < n; i++) {
		struct bytes b = bytes_of(row[i].text);
		struct seen s = fn(&b, b.len, 1);

		snprintf(line, sizeof(line), "%s: %s is refused: %s", what,
			 row[i].name, pesto_text(row[i].error));
		ok(s.last == PESTO_GOT_ERROR && s.error == row[i].error, line);
	}
}

static void test_refusals(void)
{
	check_refusals(bad_greetings,
		       sizeof(bad_greetings) / sizeof(bad_greetings[0]),
		       greeting, "greeting");
	check_refusals(bad_tables, sizeof(bad_tables) / sizeof(bad_tables[0]),
		       tables, "table");
}

static void test_after_error(void)
{
	struct bytes b = bytes_of("02 00000000 00");
	const uint8_t *p = b.b;
	struct pesto_reader r;
	size_t len = b.len;

	pesto_read_tables(&r, 2, 1 << PESTO_HOST, 255);
	ok(pesto_read(&r, &p, &len) == PESTO_GOT_ERROR &&
	   pesto_read(&r, &p, &len) == PESTO_GOT_ERROR && len == b.len - 1,
	   "nothing is read after an error");
}

/* Rules -------------------------------------------------------------------- */

static void test_version_1(void)
{
	uint8_t buf[PESTO_RULE_LEN];
	struct pesto_rule rule = { .first = 80, .last = 80, .to = 80,
				   .proto = IPPROTO_TCP };

	is(pesto_put_rule(buf, 1, &rule), PESTO_RULE_V1_LEN,
	   "version 1 has shorter rules");
	rule.target.a6.s6_addr[0] = 0xfd;
	is(pesto_put_rule(buf, 1, &rule), 0, "and can't tell a target");
	is(pesto_put_rule(buf, 2, &rule), PESTO_RULE_LEN, "version 2 can");
}

static void check_fwd(const char *name, const struct fwd_rule *f, uint8_t flags)
{
	struct pesto_rule rule, again;
	struct fwd_rule back;

	pesto_from_fwd(&rule, f);
	pesto_to_fwd(&back, &rule, f->from_ns);
	pesto_from_fwd(&again, &back);
	ok(rule.flags == flags && !pesto_check_rule(&rule) &&
	   pesto_same_rule(&rule, &again) && rule_same_addr(f, &back) &&
	   inany_equals(&f->to_addr, &back.to_addr) &&
	   rule_kind(f) == rule_kind(&back), name);
}

static void test_conversion(void)
{
	const union inany v4 = inany_unspecified(true);
	struct fwd_rule f = { .proto = IPPROTO_TCP, .first = 80, .last = 90,
			      .to = 80, .spec = "" };

	check_fwd("a rule for both families is one of the wire", &f,
		  PESTO_F_BOTH);
	f.only6 = true;
	check_fwd("so is one for all of IPv6", &f, 0);
	f.only6 = false;
	f.addr = v4;
	check_fwd("and one for all of IPv4", &f, 0);
	f.weak = true;
	f.proto = IPPROTO_UDP;
	check_fwd("a weak one", &f, PESTO_F_WEAK);
	f.scan = f.from_ns = true;
	check_fwd("and one of the namespace that scans", &f,
		  PESTO_F_WEAK | PESTO_F_SCAN);
	f.scan = f.from_ns = false;
	inany_pton("192.0.2.1", &f.to_addr);
	check_fwd("a target stays", &f, PESTO_F_WEAK);
	strcpy(f.ifname, "eth0");
	check_fwd("an interface stays", &f, PESTO_F_WEAK);
}

int main(void)
{
	test_vectors();
	test_contents();
	test_trailing();
	test_truncation();
	test_flips();
	test_refusals();
	test_after_error();
	test_version_1();
	test_conversion();
	return done();
}
