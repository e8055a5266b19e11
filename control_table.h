/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_table.h - Clients of the control socket that speak tables
 */

#ifndef CONTROL_TABLE_H
#define CONTROL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"
#include "control_rules.h"
#include "pesto_wire.h"

#define CONTROL_TABLES	2		/* HOST and SPLICE */

/**
 * struct control_table - Conversation with one client
 * @gen:	Generation of the table of rules that the greeting shows
 * @used:	Numbers of rules below this one may be in use in that table
 * @part:	Table that is sent, CONTROL_TABLES: the end
 * @head:	Its head was sent
 * @number:	Next rule to be looked at
 * @count:	Number of rules of each table
 * @reader:	State of reading the client's tables
 * @back:	Rules of the greeting that the client has sent back
 */
struct control_table {
	uint32_t gen;
	unsigned used, part, number;
	bool head;
	uint32_t count[CONTROL_TABLES];
	struct pesto_reader reader;
	control_rules_set back;
};

/**
 * struct control_tables - Conversations with all clients
 * @rules:	Rules
 * @client:	By the client's place
 */
struct control_tables {
	struct control_rules *rules;
	struct control_table client[CONTROL_CLIENTS];
};

enum control_next control_table_greet(struct control_tables *s,
				      struct control_client *c);
enum control_next control_table_more(struct control_tables *s,
				     struct control_client *c);
enum control_next control_table_read(struct control_tables *s,
				     struct control_client *c,
				     const uint8_t **data, size_t *len);

#endif /* CONTROL_TABLE_H */
