/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON lines: fields, escapes, and lines that are full
 */

#include "jsonline.h"

#include <string.h>

#include "json.h"
#include "tap.h"

static struct jsonline j;

static void test_fields(void)
{
	jsonline_begin(&j);
	jsonline_end(&j);
	ok(!strcmp(j.buf, "{}\n") && j.len == 3, "an empty object is a line");
	jsonline_begin(&j);
	jsonline_str(&j, "a", "x y");
	jsonline_num(&j, "n", UINT64_MAX);
	jsonline_bool(&j, "t", true);
	jsonline_bool(&j, "f", false);
	jsonline_null(&j, "z");
	jsonline_end(&j);
	ok(!strcmp(j.buf, "{\"a\":\"x y\",\"n\":18446744073709551615,"
		   "\"t\":true,\"f\":false,\"z\":null}\n"),
	   "fields of each type have commas between them");
	ok(j.len == strlen(j.buf) && !j.full, "the length is that of the text");
}

/* Is @in written as @out? */
static bool escapes(const char *in, const char *out)
{
	char want[256];

	jsonline_begin(&j);
	jsonline_str(&j, "a", in);
	jsonline_end(&j);
	snprintf(want, sizeof(want), "{\"a\":\"%s\"}\n", out);
	return !strcmp(j.buf, want);
}

static void test_escapes(void)
{
	ok(escapes("\"\\", "\\\"\\\\"), "quotes and backslashes are escaped");
	ok(escapes("\n\x1b\x01", "\\u000a\\u001b\\u0001"),
	   "control characters are escaped");
	ok(escapes("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		   "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
	   "UTF-8 stays as it is");
	ok(escapes("\xff" "a\xc3", "\\ufffda\\ufffd"),
	   "bytes that are no UTF-8 are replaced");
	ok(escapes("\xc0\x80", "\\ufffd\\ufffd") &&
	   escapes("\xe0\x80\x80", "\\ufffd\\ufffd\\ufffd") &&
	   escapes("\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd") &&
	   escapes("\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"),
	   "forms that are too long, surrogates and what is beyond are no UTF-8");
}

static void test_full(void)
{
	static char text[JSONLINE_MAX];
	static char room[JSONLINE_MAX];
	static struct json parsed;

	/* {"a":"..."}\n takes nine bytes around the text */
	memset(text, 'x', sizeof(text));
	text[JSONLINE_MAX - 9] = 0;
	jsonline_begin(&j);
	jsonline_str(&j, "a", text);
	ok(!j.full, "a line may have all of its bytes");
	jsonline_num(&j, "n", 1);
	jsonline_end(&j);
	is(j.len, JSONLINE_MAX, "a field that does not fit is left out");
	ok(j.full, "and that is told");
	text[JSONLINE_MAX - 9] = 'x';
	text[JSONLINE_MAX - 8] = 0;
	jsonline_begin(&j);
	jsonline_num(&j, "n", 1);
	jsonline_str(&j, "a", text);
	jsonline_num(&j, "m", 2);
	jsonline_end(&j);
	ok(!strcmp(j.buf, "{\"n\":1}\n"),
	   "a field is left out as a whole, and those behind it, too");
	memset(text, '\n', sizeof(text) - 1);
	jsonline_begin(&j);
	jsonline_num(&j, "n", 1);
	jsonline_str(&j, "a", text);
	jsonline_end(&j);
	memcpy(room, j.buf, j.len);
	room[j.len - 1] = 0;
	ok(json_parse(&parsed, room), "a line that is cut can be read");
}

int main(void)
{
	test_fields();
	test_escapes();
	test_full();
	return done();
}
