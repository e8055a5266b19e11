/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names, and what is none */

#include "domain.h"

#include <string.h>

#include "tap.h"

#define L31	"abcdefghijklmnopqrstuvwxyz01234"
#define L63	L31 L31 "x"

static const struct {
	const char *name, *wire;
	size_t room, len;
	const char *claim;
} t[] = {
	{ "a", "\1a", 255, 3, "one label" },
	{ "example.com", "\7example\3com", 255, 13, "two" },
	{ "example.com.", "\7example\3com", 255, 13, "the root may be named" },
	{ "example.com", "\7example\3com", 13, 13, "the room may be used up" },
	{ "example.com", NULL, 12, 0, "but is not exceeded" },
	{ "a", NULL, 0, 0, "no room" },
	{ "", NULL, 255, 0, "no name" },
	{ ".", NULL, 255, 0, "the root is no name" },
	{ "a..b", NULL, 255, 0, "an empty label" },
	{ ".a", NULL, 255, 0, "one at the start" },
	{ "a..", NULL, 255, 0, "one at the end" },
	{ L63, "\77" L63, 255, 65, "a label of 63 bytes" },
	{ L63 "x", NULL, 255, 0, "none of 64" },
	{ L63 "." L63 "." L63 "." L31 L31 "x", NULL, 300, 0, "none of 257 bytes" },
	{ L63 "." L63 "." L63 "." L31 L31 ".", NULL, 300, 0, "none of 256" },
	{ L63 "." L63 "." L63 "." L31 "0123456789012345678901234567890",
	  NULL, 300, 0, "with or without the root" },
	{ L63 "." L63 "." L63 "." L31 "012345678901234567890123456789",
	  "\77" L63 "\77" L63 "\77" L63 "\75" L31
	  "012345678901234567890123456789", 300, 255, "one of 255" },
};

int main(void)
{
	static const uint8_t untouched[300] = { 0 };
	unsigned i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint8_t b[300] = { 0 };
		size_t len = domain_encode(t[i].name, b, t[i].room);

		is(len, t[i].len, t[i].claim);
		if (t[i].wire)
			ok(!memcmp(b, t[i].wire, t[i].len), " byte by byte");
		else
			ok(!memcmp(b, untouched, sizeof(b)), " nothing written");
	}
	return done();
}
