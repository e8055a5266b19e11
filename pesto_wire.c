/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pesto_wire.c - Tables of forwarding rules as bytes of a control socket
 *
 * Both roles of the established protocol of the program pesto, versions 1 and 2. Bytes
 * in, items out, and the other way round: there is no I/O, no memory of its own, no
 * time. All integers are big-endian.
 *
 *	server	hello	8 "basil:s\0"  4 version  4 size of a name, 128  4 IFNAMSIZ, 16
 *		kind	1 number  128 name  4 capabilities  4 count	then its rules
 *		...
 *		end	1 zero
 *	client	table	1 number  4 count	then its rules
 *		...
 *		end	1 zero
 *
 *	rule	16 address  16 target  16 interface  2 first port  2 last port
 *		2 first target port  1 protocol  1 flags
 *
 * IPv4 addresses are IPv4-mapped. Version 1 has no target. A table that the client leaves
 * out becomes empty; a client that closes before the end changes nothing.
 *
 * Refused, in both roles unless one is named:
 *
 *	PESTO_MAGIC		another magic (greeting)
 *	PESTO_BAD_VERSION	a version other than 1 and 2 (greeting)
 *	PESTO_SIZES		other sizes than 128 and 16 (greeting)
 *	PESTO_TOO_MANY_KINDS	a fourth kind (greeting)
 *	PESTO_BAD_KIND		a table that was not offered (tables)
 *	PESTO_KIND_TWICE	a number or a name for the second time
 *	PESTO_BAD_NAME		a name that is empty, not printable, or has no end (greeting)
 *	PESTO_TOO_MANY_RULES	a count over the reader's limit
 *	PESTO_BAD_PROTO		neither TCP nor UDP
 *	PESTO_BAD_PORTS		port 0, last before first, targets beyond 65535
 *	PESTO_BAD_FLAGS		a flag without a meaning
 *	PESTO_BAD_ADDR		both families, but an address; not unicast
 *	PESTO_BAD_TARGET	not unicast, not of the family of the address, or with
 *				addresses of both families or PESTO_F_SCAN
 *	PESTO_BAD_IFNAME	no name of an interface, or without an end
 *
 * If rules overlap, and if their family is on, is for the owner of the table to say.
 */

#include "pesto_wire.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include "util.h"

#define PORT_MAX	65535

static const uint8_t magic[8] = "basil:s";

/* Integers --------------------------------------------------------------- */

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v & 0xff;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v & 0xffff);
}

static uint8_t *put_bytes(uint8_t *p, const void *from, size_t len)
{
	memcpy(p, from, len);
	return p + len;
}

static uint16_t take16(const uint8_t **p)
{
	uint16_t v = (uint16_t)((*p)[0] << 8 | (*p)[1]);

	*p += 2;
	return v;
}

static uint32_t take32(const uint8_t **p)
{
	uint32_t high = take16(p);

	return high << 16 | take16(p);
}

static void take_array(const uint8_t **p, void *to, size_t len)
{
	memcpy(to, *p, len);
	*p += len;
}

/* Rules ------------------------------------------------------------------ */

/* May connections be bound to, or lead to, this address? */
static enum pesto_error check_bind_and_target(const struct pesto_rule *rule)
{
	bool both = rule->flags & PESTO_F_BOTH;

	if (both && inany_is_set(&rule->addr))
		return PESTO_BAD_ADDR;
	if (!inany_is_unspecified(&rule->addr) &&
	    !inany_is_unicast(&rule->addr))
		return PESTO_BAD_ADDR;
	if (!inany_is_set(&rule->target))
		return PESTO_OK;
	if (both || rule->flags & PESTO_F_SCAN ||
	    !inany_is_unicast(&rule->target) ||
	    inany_is_v4(&rule->target) != inany_is_v4(&rule->addr))
		return PESTO_BAD_TARGET;
	return PESTO_OK;
}

static bool is_terminated(const char *s, size_t size)
{
	return memchr(s, 0, size);
}

/**
 * pesto_check_rule() - Is a rule one that a table may have?
 * @rule:	Rule with any content
 *
 * Return: PESTO_OK, or the reason
 */
enum pesto_error pesto_check_rule(const struct pesto_rule *rule)
{
	if (rule->proto != IPPROTO_TCP && rule->proto != IPPROTO_UDP)
		return PESTO_BAD_PROTO;
	if (!rule->first || rule->last < rule->first || !rule->to ||
	    rule->to + (rule->last - rule->first) > PORT_MAX)
		return PESTO_BAD_PORTS;
	if (rule->flags & ~PESTO_F_ALL)
		return PESTO_BAD_FLAGS;
	if (!is_terminated(rule->ifname, sizeof(rule->ifname)) ||
	    (*rule->ifname && !util_is_ifname(rule->ifname)))
		return PESTO_BAD_IFNAME;
	return check_bind_and_target(rule);
}

/* pesto_same_rule() - Would both rules be the same bytes? */
bool pesto_same_rule(const struct pesto_rule *a, const struct pesto_rule *b)
{
	return inany_equals(&a->addr, &b->addr) &&
	       inany_equals(&a->target, &b->target) &&
	       !strcmp(a->ifname, b->ifname) && a->first == b->first &&
	       a->last == b->last && a->to == b->to && a->proto == b->proto &&
	       a->flags == b->flags;
}

/**
 * pesto_from_fwd() - Make a rule for the wire
 * @to:		Set
 * @from:	Rule of a table
 */
void pesto_from_fwd(struct pesto_rule *to, const struct fwd_rule *from)
{
	*to = (struct pesto_rule){
		.addr = from->addr, .first = from->first, .last = from->last,
		.target = from->to_addr, .to = from->to, .proto = from->proto,
		.flags = (rule_binds_all(from) ? PESTO_F_BOTH : 0) |
			 (from->weak ? PESTO_F_WEAK : 0) |
			 (from->scan ? PESTO_F_SCAN : 0),
	};
	util_strcpy(to->ifname, sizeof(to->ifname), from->ifname);
}

/**
 * pesto_to_fwd() - Make a rule of a table
 * @to:		Set; @to->spec is empty
 * @from:	Rule of the wire, checked
 * @from_ns:	The rule is of the table PESTO_SPLICE
 */
void pesto_to_fwd(struct fwd_rule *to, const struct pesto_rule *from,
		  bool from_ns)
{
	*to = (struct fwd_rule){
		.proto = from->proto, .from_ns = from_ns, .addr = from->addr,
		.only6 = !inany_is_set(&from->addr) &&
			 !(from->flags & PESTO_F_BOTH),
		.weak = from->flags & PESTO_F_WEAK,
		.scan = from->flags & PESTO_F_SCAN,
		.first = from->first, .last = from->last, .to = from->to,
		.to_addr = from->target, .spec = "",
	};
	util_strcpy(to->ifname, sizeof(to->ifname), from->ifname);
}

/* Writing ---------------------------------------------------------------- */

/**
 * pesto_put_hello() - Write the first item of a greeting
 * @buf:	Written
 * @version:	Version of the rules that follow, 1 or 2
 *
 * Return: bytes written
 */
size_t pesto_put_hello(uint8_t buf[PESTO_HELLO_LEN], uint32_t version)
{
	uint8_t *p = put_bytes(buf, magic, sizeof(magic));

	p = put32(p, version);
	p = put32(p, PESTO_NAME_LEN);
	p = put32(p, IFNAMSIZ);
	return (size_t)(p - buf);
}

/**
 * pesto_put_kind() - Write the head of a server's table
 * @buf:	Written
 * @k:		The table, its name padded with NUL bytes
 *
 * Return: bytes written
 */
size_t pesto_put_kind(uint8_t buf[PESTO_KIND_LEN], const struct pesto_kind *k)
{
	uint8_t *p = buf;

	*p++ = k->id;
	p = put_bytes(p, k->name, sizeof(k->name));
	p = put32(p, k->caps);
	p = put32(p, k->count);
	return (size_t)(p - buf);
}

/**
 * pesto_put_table() - Write the head of a client's table
 * @buf:	Written
 * @id:		Number of the table
 * @count:	Rules that follow
 *
 * Return: bytes written
 */
size_t pesto_put_table(uint8_t buf[PESTO_TABLE_LEN], uint8_t id, uint32_t count)
{
	buf[0] = id;
	put32(buf + 1, count);
	return PESTO_TABLE_LEN;
}

/**
 * pesto_put_rule() - Write a rule
 * @buf:	Written
 * @version:	1 or 2
 * @rule:	The rule, checked
 *
 * Return: bytes written; 0 if the rule has a target, and version 1 can't tell it
 */
size_t pesto_put_rule(uint8_t buf[PESTO_RULE_LEN], uint32_t version,
		      const struct pesto_rule *rule)
{
	char ifname[IFNAMSIZ] = "";
	uint8_t *p = buf;

	if (version < 2 && inany_is_set(&rule->target))
		return 0;
	util_strcpy(ifname, sizeof(ifname), rule->ifname);
	p = put_bytes(p, &rule->addr, sizeof(rule->addr));
	if (version >= 2)
		p = put_bytes(p, &rule->target, sizeof(rule->target));
	p = put_bytes(p, ifname, sizeof(ifname));
	p = put16(p, rule->first);
	p = put16(p, rule->last);
	p = put16(p, rule->to);
	*p++ = rule->proto;
	*p++ = rule->flags;
	return (size_t)(p - buf);
}

/* Reading ---------------------------------------------------------------- */

static void expect_item(struct pesto_reader *r, int state)
{
	r->state = state;
	r->have = 0;
	switch (r->state) {
	case PESTO_HELLO:
		r->need = PESTO_HELLO_LEN;
		break;
	case PESTO_ID:
		r->need = 1;
		break;
	case PESTO_KIND:
		r->need = (r->greeting ? PESTO_KIND_LEN : PESTO_TABLE_LEN) - 1;
		break;
	case PESTO_RULE:
		r->need = r->version < 2 ? PESTO_RULE_V1_LEN : PESTO_RULE_LEN;
		break;
	case PESTO_DONE:
		r->need = 0;
		break;
	}
}

/**
 * pesto_read_greeting() - Begin to read a server's greeting
 * @r:		Set
 * @rules_max:	Most rules of a table
 */
void pesto_read_greeting(struct pesto_reader *r, uint32_t rules_max)
{
	*r = (struct pesto_reader){ .greeting = true, .rules_max = rules_max };
	expect_item(r, PESTO_HELLO);
}

/**
 * pesto_read_tables() - Begin to read a client's tables
 * @r:		Set
 * @version:	Version in the greeting that the client was sent
 * @offered:	Bit N is set if table N is accepted
 * @rules_max:	Most rules of a table
 */
void pesto_read_tables(struct pesto_reader *r, uint32_t version,
		       uint32_t offered, uint32_t rules_max)
{
	*r = (struct pesto_reader){ .version = version, .offered = offered,
				    .rules_max = rules_max };
	expect_item(r, PESTO_ID);
}

static enum pesto_got refuse(struct pesto_reader *r, enum pesto_error error)
{
	r->error = error;
	expect_item(r, PESTO_DONE);
	return PESTO_GOT_ERROR;
}

static enum pesto_got got_hello(struct pesto_reader *r)
{
	const uint8_t *p = r->item + sizeof(magic);

	if (memcmp(r->item, magic, sizeof(magic)))
		return refuse(r, PESTO_MAGIC);
	r->version = take32(&p);
	if (!r->version || r->version > PESTO_VERSION)
		return refuse(r, PESTO_BAD_VERSION);
	if (take32(&p) != PESTO_NAME_LEN || take32(&p) != IFNAMSIZ)
		return refuse(r, PESTO_SIZES);
	expect_item(r, PESTO_ID);
	return PESTO_GOT_HELLO;
}

/* The number of a table, or the end */
static enum pesto_got got_id(struct pesto_reader *r)
{
	uint8_t id = r->item[0];

	if (id == PESTO_END_ID) {
		expect_item(r, PESTO_DONE);
		return PESTO_GOT_END;
	}
	if (!r->greeting && (id > 31 || !(r->offered >> id & 1)))
		return refuse(r, PESTO_BAD_KIND);
	for (unsigned i = 0; i < r->kinds; i++)
		if (r->kind[i].id == id)
			return refuse(r, PESTO_KIND_TWICE);
	if (r->kinds == PESTO_KINDS)
		return refuse(r, PESTO_TOO_MANY_KINDS);
	r->kind[r->kinds] = (struct pesto_kind){ .id = id };
	expect_item(r, PESTO_KIND);
	return PESTO_GOT_NOTHING;
}

/* Is the name of the last table one to print, and no other table's? */
static enum pesto_error check_name(const struct pesto_reader *r)
{
	const char *name = r->kind[r->kinds].name;

	if (!*name || !is_terminated(name, PESTO_NAME_LEN))
		return PESTO_BAD_NAME;
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~')
			return PESTO_BAD_NAME;
	for (unsigned i = 0; i < r->kinds; i++)
		if (!strcmp(r->kind[i].name, name))
			return PESTO_KIND_TWICE;
	return PESTO_OK;
}

static enum pesto_got got_kind(struct pesto_reader *r)
{
	struct pesto_kind *k = &r->kind[r->kinds];
	const uint8_t *p = r->item;
	enum pesto_error error;

	if (r->greeting) {
		take_array(&p, k->name, sizeof(k->name));
		k->caps = take32(&p);
		error = check_name(r);
		if (error)
			return refuse(r, error);
	}
	k->count = take32(&p);
	if (k->count > r->rules_max)
		return refuse(r, PESTO_TOO_MANY_RULES);
	r->kinds++;
	r->left = k->count;
	expect_item(r, r->left ? PESTO_RULE : PESTO_ID);
	return PESTO_GOT_KIND;
}

static enum pesto_got got_rule(struct pesto_reader *r)
{
	struct pesto_rule *rule = &r->rule;
	const uint8_t *p = r->item;
	enum pesto_error error;

	*rule = (struct pesto_rule){ 0 };
	take_array(&p, &rule->addr, sizeof(rule->addr));
	if (r->version >= 2)
		take_array(&p, &rule->target, sizeof(rule->target));
	take_array(&p, rule->ifname, sizeof(rule->ifname));
	rule->first = take16(&p);
	rule->last = take16(&p);
	rule->to = take16(&p);
	rule->proto = *p++;
	rule->flags = *p;
	error = pesto_check_rule(rule);
	if (error)
		return refuse(r, error);
	expect_item(r, --r->left ? PESTO_RULE : PESTO_ID);
	return PESTO_GOT_RULE;
}

static enum pesto_got got_item(struct pesto_reader *r)
{
	switch (r->state) {
	case PESTO_HELLO:
		return got_hello(r);
	case PESTO_ID:
		return got_id(r);
	case PESTO_KIND:
		return got_kind(r);
	case PESTO_RULE:
		return got_rule(r);
	case PESTO_DONE:
		break;
	}
	return r->error ? PESTO_GOT_ERROR : PESTO_GOT_END;
}

/**
 * pesto_read() - Read up to the end of the next item
 * @r:		State
 * @data:	Bytes that came in; moves behind those that were taken
 * @len:	Number of bytes; decreases by those that were taken
 *
 * Call it again until it returns PESTO_GOT_NOTHING, then with more bytes. After
 * PESTO_GOT_END and PESTO_GOT_ERROR it returns the same again and takes nothing.
 *
 * Return: the item that has ended
 */
enum pesto_got pesto_read(struct pesto_reader *r, const uint8_t **data,
			  size_t *len)
{
	enum pesto_got got = PESTO_GOT_NOTHING;

	if (r->state == PESTO_DONE)
		return got_item(r);
	while (got == PESTO_GOT_NOTHING && *len) {
		size_t n = r->need - r->have;

		if (n > *len)
			n = *len;
		memcpy(r->item + r->have, *data, n);
		r->have += n;
		*data += n;
		*len -= n;
		if (r->have == r->need)
			got = got_item(r);
	}
	return got;
}

/**
 * pesto_is_words() - Does a client speak words, not tables?
 * @first:	Its first byte
 */
bool pesto_is_words(uint8_t first)
{
	return first >= ' ';
}

/* pesto_text() - The reason in words */
const char *pesto_text(enum pesto_error error)
{
	static const char *const texts[] = {
		[PESTO_OK] = "no error",
		[PESTO_MAGIC] = "this is no control socket of passt or pasta",
		[PESTO_BAD_VERSION] = "unknown version of the protocol",
		[PESTO_SIZES] = "names of another size",
		[PESTO_TOO_MANY_KINDS] = "more than three tables",
		[PESTO_BAD_KIND] = "a table that does not exist",
		[PESTO_KIND_TWICE] = "a table for the second time",
		[PESTO_BAD_NAME] = "a table without a proper name",
		[PESTO_TOO_MANY_RULES] = "too many rules",
		[PESTO_BAD_PROTO] = "a rule for neither TCP nor UDP",
		[PESTO_BAD_PORTS] = "a rule with impossible ports",
		[PESTO_BAD_FLAGS] = "a rule with unknown flags",
		[PESTO_BAD_ADDR] = "a rule with an impossible address",
		[PESTO_BAD_TARGET] = "a rule with an impossible target",
		[PESTO_BAD_IFNAME] = "a rule with an impossible interface",
	};
	static_assert(ARRAY_SIZE(texts) == PESTO_BAD_IFNAME + 1,
		      "one text for each error");

	return texts[error];
}
