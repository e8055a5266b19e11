/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grades of names, and their encoding */

#include "domain.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"

#define L31	"abcdefghijklmnopqrstuvwxyz01234"
#define L63	L31 L31 "x"

static const struct {
	const char *name, *wire;
	size_t room, len;
	const char *claim;
} encoded[] = {
	{ "a", "\1a", 255, 3, "a name may have one label" },
	{ "example.com", "\7example\3com", 255, 13,
	  "a name may have two labels" },
	{ "example.com.", "\7example\3com", 255, 13, "a name may have a final dot" },
	{ "a b.c", "\3a b\1c", 255, 7, "any byte may be in a label" },
	{ "example.com", "\7example\3com", 13, 13, "a name may use all the room" },
	{ "example.com", NULL, 12, 0, "a name does not exceed the room" },
	{ "a", NULL, 0, 0, "no name fits without room" },
	{ "", NULL, 255, 0, "an empty string is no name" },
	{ ".", NULL, 255, 0, "the root is no name" },
	{ "a..b", NULL, 255, 0, "no label is empty" },
	{ ".a", NULL, 255, 0, "the first label is not empty" },
	{ "a..", NULL, 255, 0, "the last label is not empty" },
	{ L63, "\77" L63, 255, 65, "a label has up to 63 bytes" },
	{ L63 "x", NULL, 255, 0, "a label has no 64 bytes" },
	{ L63 "." L63 "." L63 "." L31 L31 "x", NULL, 300, 0,
	  "an encoded name has no 257 bytes" },
	{ L63 "." L63 "." L63 "." L31 L31 ".", NULL, 300, 0,
	  "an encoded name with a final dot has no 256 bytes" },
	{ L63 "." L63 "." L63 "." L31 "0123456789012345678901234567890",
	  NULL, 300, 0, "an encoded name has no 256 bytes" },
	{ L63 "." L63 "." L63 "." L31 "012345678901234567890123456789",
	  "\77" L63 "\77" L63 "\77" L63 "\75" L31
	  "012345678901234567890123456789", 300, 255,
	  "an encoded name has up to 255 bytes" },
};

static const struct {
	const char *name;
	enum domain_grade grade;
	const char *claim;
} judged[] = {
	{ "a.example", DOMAIN_HOST, "letters suit a host" },
	{ "3com.A-1", DOMAIN_HOST, "digits and an inner hyphen suit a host" },
	{ "_ldap._tcp.a", DOMAIN_HOST, "underscores suit a host" },
	{ "a-.b", DOMAIN_SAFE, "a hyphen at the end of a label suits no host" },
	{ "a.b-", DOMAIN_SAFE, "a hyphen at the end of a name suits no host" },
	{ "-a.b", DOMAIN_PLAIN, "a hyphen at the start may be an option" },
	{ "a.-b", DOMAIN_PLAIN, "a hyphen after a dot may be an option" },
	{ "-", DOMAIN_PLAIN, "a hyphen alone may be an option" },
	{ "a.-b.$c", DOMAIN_ODD, "the worst character decides" },
	{ "\303\244.b", DOMAIN_ODD, "bytes above 127 are odd" },
	{ "a\\b", DOMAIN_ODD, "a backslash is odd" },
	{ "a b", DOMAIN_INVALID, "a blank is a mistake" },
	{ "a\tb", DOMAIN_INVALID, "a tab is a mistake" },
	{ "a\177b", DOMAIN_INVALID, "a control character is a mistake" },
	{ "a,b", DOMAIN_INVALID, "a comma is a mistake" },
	{ "a/b", DOMAIN_INVALID, "a slash is a mistake" },
	{ "a:b", DOMAIN_INVALID, "a colon is a mistake" },
	{ "", DOMAIN_INVALID, "an empty string has no grade" },
	{ "a..b", DOMAIN_INVALID, "a name with an empty label is invalid" },
	{ "a.", DOMAIN_INVALID, "domain_len() leaves out the final dot" },
	{ L63 "x", DOMAIN_INVALID, "a name with a label of 64 bytes is invalid" },
	{ L63 "." L63 "." L63 "." L31 "0123456789012345678901234567890",
	  DOMAIN_INVALID, "a name of 254 bytes is invalid" },
	{ L63 "." L63 "." L63 "." L31 "012345678901234567890123456789",
	  DOMAIN_HOST, "a name of 253 bytes suits a host" },
};

int main(void)
{
	static const uint8_t untouched[300] = { 0 };
	unsigned i;

	for (i = 0; i < sizeof(encoded) / sizeof(encoded[0]); i++) {
		uint8_t b[300] = { 0 };
		size_t len = domain_encode(encoded[i].name, b, encoded[i].room);
		char claim[128];

		is(len, encoded[i].len, encoded[i].claim);
		snprintf(claim, sizeof(claim), "%s: every byte is as expected",
			 encoded[i].claim);
		ok(!memcmp(b, encoded[i].wire ? encoded[i].wire :
			   (const char *)untouched,
			   encoded[i].wire ? len : sizeof(b)), claim);
	}
	for (i = 0; i < sizeof(judged) / sizeof(judged[0]); i++)
		is(domain_judge(judged[i].name, strlen(judged[i].name)),
		   judged[i].grade, judged[i].claim);
	is(domain_judge("a b", 1), DOMAIN_HOST, "a name ends at its length");
	is(domain_len("a."), 1, "a length is without the final dot");
	is(domain_len("a.b"), 3, "a length has the inner dots");
	is(domain_len(""), 0, "an empty string has no length");
	return done();
}
