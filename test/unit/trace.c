/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames as text: known lines, and every frame cut at every length
 */

#include "trace.h"

#include <string.h>

#include "tap.h"
#include "wire.h"

#define ETH4	"\x9a\x55\x9a\x55\x9a\x55\x02\x00\x00\x00\x00\x01\x08\x00"
#define ETH6	"\x9a\x55\x9a\x55\x9a\x55\x02\x00\x00\x00\x00\x01\x86\xdd"
#define IP4(len, frag, ttl, proto) "\x45\x00\x00" len "\x00\x07" frag ttl \
	proto "\x00\x00\xc6\x33\x64\x01\xcb\x00\x71\x02"
#define IP6(next, hops) "\x60\x00\x00\x00\x00\x10" next hops \
	"\x20\x01\x0d\xb8\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" \
	"\x20\x01\x0d\xb8\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"
#define FRAME(s)	(const uint8_t *)(s), sizeof(s) - 1

static const struct {
	const uint8_t *frame;
	size_t len;
	const char *want;
} cases[] = {
	{ FRAME(ETH4 IP4("\x28", "\x40\x00", "\x40", "\x06")
		"\x9c\x40\x00\x50\x00\x00\x00\x01\x00\x00\x00\x00\x50\x02"
		"\xfa\xf0\x00\x00\x00\x00"),
	  "TCP 198.51.100.1:40000 > 203.0.113.2:80 [S] seq 1 win 64240, "
	  "0 bytes" },
	{ FRAME(ETH4 IP4("\x2a", "\x40\x00", "\x40", "\x06")
		"\x9c\x40\x00\x50\x00\x00\x00\x02\x00\x00\x00\x09\x50\x18"
		"\x00\x10\x00\x00\x00\x00hi"),
	  "TCP 198.51.100.1:40000 > 203.0.113.2:80 [P.] seq 2 ack 9 win 16, "
	  "2 bytes" },
	{ FRAME(ETH6 IP6("\x11", "\x05")
		"\x82\x35\x00\x35\x00\x10\x00\x00" "abcdefgh"),
	  "UDP [2001:db8:1::1]:33333 > [2001:db8:2::2]:53, 8 bytes, "
	  "hop limit 5" },
	{ FRAME(ETH6 IP6("\x00", "\x01")
		"\x3a\x00\x05\x02\x00\x00\x00\x00"
		"\x8f\x00\x00\x00\x00\x00\x00\x00"),
	  "ICMPv6 2001:db8:1::1 > 2001:db8:2::2 type 143 code 0, 0 bytes, "
	  "hop limit 1" },
	{ FRAME(ETH4 IP4("\x1c", "\x00\x00", "\x01", "\x01")
		"\x08\x00\x00\x00\x00\x01\x00\x01"),
	  "ICMP 198.51.100.1 > 203.0.113.2 type 8 code 0, 0 bytes, ttl 1" },
	{ FRAME(ETH4 IP4("\x18", "\x20\x02", "\x40", "\x11") "data"),
	  "fragment of 198.51.100.1 > 203.0.113.2, id 7 offset 16, 4 bytes" },
	{ FRAME(ETH4 IP4("\x14", "\x00\x00", "\x40", "\x84")),
	  "IP protocol 132 198.51.100.1 > 203.0.113.2, 0 bytes" },
	{ FRAME("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06"
		"\x00\x01\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x01"
		"\xc6\x33\x64\x01\x00\x00\x00\x00\x00\x00\xc6\x33\x64\x02"),
	  "ARP request 198.51.100.1 > 198.51.100.2" },
	{ FRAME("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xcc??"),
	  "Ethernet type 0x88cc, 2 bytes" },
};

int main(void)
{
	char buf[TRACE_STRLEN];
	struct view v;
	size_t i, n;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		v = view_of(cases[i].frame, cases[i].len);
		trace_str(&v, buf);
		ok(!strcmp(buf, cases[i].want), cases[i].want);
		if (strcmp(buf, cases[i].want))
			printf("# got %s\n", buf);
		for (n = 0; n < cases[i].len; n++) {
			uint8_t copy[128];	/* nothing after it may be read */
			uint8_t *p = copy + sizeof(copy) - n;

			memcpy(p, cases[i].frame, n);
			v = view_of(p, n);
			trace_str(&v, buf);
		}
	}
	v = view_of(cases[0].frame, 20);
	trace_str(&v, buf);
	ok(!strcmp(buf, " cut short"),
	   "a frame that is cut short is described as such");
	return done();
}
