/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flat JSON objects: values, escapes, and texts that are refused
 */

#include "json.h"

#include <string.h>

#include "tap.h"

static char text[1024];
static struct json j;

static bool parse(const char *s)
{
	strcpy(text, s);
	return json_parse(&j, text);
}

static void test_values(void)
{
	uint64_t v = 0;

	ok(parse(" { \"a\" : \"x y\", \"n\":42 ,\"t\":true,\"z\":null,\"m\":-1 } "),
	   "an object is read, with blanks");
	is(j.n, 5, "each field is there");
	ok(!strcmp(json_string(&j, "a"), "x y"), "a string has its value");
	ok(json_number(&j, "n", &v) && v == 42, "and so has a number");
	ok(json_is_true(&j, "t") && !json_is_true(&j, "n"), "true is true");
	ok(json_has(&j, "z") && !json_string(&j, "z"), "null is no string");
	ok(!json_number(&j, "m", &v) && v == 42,
	   "a negative number is none that counts");
	ok(!json_has(&j, "b") && !json_string(&j, "b") &&
	   !json_number(&j, "b", &v), "a field that is not there has no value");
	ok(!json_number(&j, "a", &v) && !json_string(&j, "n"),
	   "a string is no number, and a number no string");
	ok(parse("{\"n\":18446744073709551615}") && json_number(&j, "n", &v) &&
	   v == UINT64_MAX, "the largest number");
	ok(parse("{\"n\":18446744073709551616}") && !json_number(&j, "n", &v),
	   "one more does not fit");
	ok(parse("{}") && !j.n, "an empty object");
}

static void test_escapes(void)
{
	ok(parse("{\"a\":\"\\\"\\\\\\/\\n\\u001b\\u00e9\\u20AC\"}") &&
	   !strcmp(json_string(&j, "a"), "\"\\/\n\x1b\xc3\xa9\xe2\x82\xac"),
	   "escapes become characters, in UTF-8");
	ok(parse("{\"\\u0061\":1}") && json_has(&j, "a"), "in names, too");
}

static const char *const bad[] = {
	"", "{", "}", "[]", "1", "\"a\"", "{\"a\"}", "{\"a\":}", "{\"a\":1",
	"{\"a\":1,}", "{,}", "{a:1}", "{\"a\":1}x", "{\"a\":1}{\"b\":2}",
	"{\"a\":\"x}", "{\"a\":\"\\", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}",
	"{\"a\":\"\\u0000\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\t\"}",
	"{\"a\":1.5}", "{\"a\":1e3}", "{\"a\":-}", "{\"a\":+1}", "{\"a\":True}",
	"{\"a\":{}}", "{\"a\":[1]}", "{\"a\":1 2}", "{\"a\":1,\"a\":2}",
	"{\"a\":123456789012345678901}", "{\"a\" 1}", "{\"a\":\"x\"\"y\"}",
};

static void test_refusals(void)
{
	char line[128];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "refused: %s", bad[i]);
		ok(!parse(bad[i]), line);
	}
}

static void test_many_fields(void)
{
	char s[1024] = "{", *p = s + 1;

	for (unsigned i = 0; i < JSON_FIELDS; i++)
		p += sprintf(p, "%s\"f%u\":%u", i ? "," : "", i, i);
	strcpy(p, "}");
	ok(parse(s) && j.n == JSON_FIELDS, "as many fields as there is room for");
	strcpy(p, ",\"more\":1}");
	ok(!parse(s), "one more is refused");
}

int main(void)
{
	test_values();
	test_escapes();
	test_refusals();
	test_many_fields();
	return done();
}
