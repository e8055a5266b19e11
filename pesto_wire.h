/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pesto_wire.h - Tables of forwarding rules as bytes of a control socket
 */

#ifndef PESTO_WIRE_H
#define PESTO_WIRE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inany.h"
#include "rules.h"

#define PESTO_VERSION	2		/* newest version; 1 is the oldest */
#define PESTO_KINDS	3		/* tables in a greeting, at most */
#define PESTO_NAME_LEN	128

/* Lengths of the items */
#define PESTO_HELLO_LEN		20
#define PESTO_KIND_LEN		(1 + PESTO_NAME_LEN + 4 + 4)
#define PESTO_TABLE_LEN		(1 + 4)
#define PESTO_RULE_V1_LEN	40
#define PESTO_RULE_LEN		56
#define PESTO_ITEM_MAX		PESTO_KIND_LEN

/* Numbers of the kinds of tables, 0 ends the list */
enum { PESTO_END_ID = 0, PESTO_HOST = 1, PESTO_SPLICE = 3 };

/* struct pesto_kind: caps */
enum {
	PESTO_CAP_IPV4	 = 1 << 0,
	PESTO_CAP_IPV6	 = 1 << 1,
	PESTO_CAP_TCP	 = 1 << 2,
	PESTO_CAP_UDP	 = 1 << 3,
	PESTO_CAP_SCAN	 = 1 << 4,
	PESTO_CAP_IFNAME = 1 << 5,
};
#define PESTO_CAP_WORDS	(1U << 31)	/* the server understands words, too */

/* struct pesto_rule: flags */
enum {
	PESTO_F_BOTH	= 1 << 0,	/* addresses of both families; @addr is :: */
	PESTO_F_WEAK	= 1 << 1,	/* a port that can't be bound is no error */
	PESTO_F_SCAN	= 1 << 2,	/* bind a port while its target has a listener */
	PESTO_F_ALL	= PESTO_F_BOTH | PESTO_F_WEAK | PESTO_F_SCAN,
};

/**
 * struct pesto_kind - One table of a greeting
 * @id:		PESTO_HOST, PESTO_SPLICE or another number but 0
 * @name:	Printable, ends with a NUL
 * @caps:	PESTO_CAP_*, other bits without a meaning
 * @count:	Number of rules that follow
 */
struct pesto_kind {
	uint8_t id;
	char name[PESTO_NAME_LEN];
	uint32_t caps, count;
};

/**
 * struct pesto_rule - One rule
 * @addr:	Address to bind, unspecified: all of its family, or of both with
 *		PESTO_F_BOTH
 * @target:	Address to forward to, all zero: none
 * @ifname:	Interface to bind to, "": any
 * @first, @last:	Ports, host order
 * @to:		Target port of @first
 * @proto:	IPPROTO_TCP or IPPROTO_UDP
 * @flags:	PESTO_F_*
 */
struct pesto_rule {
	union inany addr, target;
	char ifname[IFNAMSIZ];
	uint16_t first, last, to;
	uint8_t proto, flags;
};

/* Why bytes are refused, see pesto_text() */
enum pesto_error {
	PESTO_OK,
	PESTO_MAGIC, PESTO_BAD_VERSION, PESTO_SIZES,
	PESTO_TOO_MANY_KINDS, PESTO_BAD_KIND, PESTO_KIND_TWICE, PESTO_BAD_NAME,
	PESTO_TOO_MANY_RULES,
	PESTO_BAD_PROTO, PESTO_BAD_PORTS, PESTO_BAD_FLAGS, PESTO_BAD_ADDR,
	PESTO_BAD_TARGET, PESTO_BAD_IFNAME,
};

/* Result of pesto_read() */
enum pesto_got {
	PESTO_GOT_NOTHING,		/* all bytes were taken, an item is not whole */
	PESTO_GOT_HELLO,		/* @version is set */
	PESTO_GOT_KIND,			/* the table @kind[@kinds - 1] begins */
	PESTO_GOT_RULE,			/* @rule is the next one of that table */
	PESTO_GOT_END,			/* the list of tables has ended */
	PESTO_GOT_ERROR,		/* @error is set; nothing more is read */
};

/**
 * struct pesto_reader - State of reading one greeting or one set of tables
 * @greeting:	Read a server's greeting, else a client's tables
 * @version:	Version of the rules: announced by the server
 * @offered:	Without @greeting: bits of the numbers of tables that are accepted
 * @rules_max:	Most rules of a table
 * @state:	Item that is expected
 * @error:	Why reading has ended
 * @item:	Bytes of the item that is not whole yet
 * @have, @need:	Number of these bytes, and bytes of the whole item
 * @left:	Rules of the table that are expected
 * @kinds:	Tables that have begun; @kind: each of them. Without @greeting, these
 *		have a number and a count alone
 * @rule:	Last rule
 */
struct pesto_reader {
	bool greeting;
	uint32_t version;
	uint32_t offered;
	uint32_t rules_max;
	enum { PESTO_HELLO, PESTO_ID, PESTO_KIND, PESTO_RULE, PESTO_DONE } state;
	enum pesto_error error;
	uint8_t item[PESTO_ITEM_MAX];
	size_t have, need;
	uint32_t left;
	unsigned kinds;
	struct pesto_kind kind[PESTO_KINDS];
	struct pesto_rule rule;
};

void pesto_read_greeting(struct pesto_reader *r, uint32_t rules_max);
void pesto_read_tables(struct pesto_reader *r, uint32_t version,
		       uint32_t offered, uint32_t rules_max);
enum pesto_got pesto_read(struct pesto_reader *r, const uint8_t **data,
			  size_t *len);
bool pesto_is_words(uint8_t first);
const char *pesto_text(enum pesto_error error);

size_t pesto_put_hello(uint8_t buf[PESTO_HELLO_LEN], uint32_t version);
size_t pesto_put_kind(uint8_t buf[PESTO_KIND_LEN], const struct pesto_kind *k);
size_t pesto_put_table(uint8_t buf[PESTO_TABLE_LEN], uint8_t id,
		       uint32_t count);
size_t pesto_put_rule(uint8_t buf[PESTO_RULE_LEN], uint32_t version,
		      const struct pesto_rule *rule);

enum pesto_error pesto_check_rule(const struct pesto_rule *rule);
bool pesto_same_rule(const struct pesto_rule *a, const struct pesto_rule *b);
void pesto_from_fwd(struct pesto_rule *to, const struct fwd_rule *from);
void pesto_to_fwd(struct fwd_rule *to, const struct pesto_rule *from,
		  bool from_ns);

#endif /* PESTO_WIRE_H */
