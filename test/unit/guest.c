/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which addresses are the guest's: frames come from some, leases are given, time goes
 * by, requests are answered or not
 */

#include "guest.h"

#include <stdio.h>
#include <string.h>

#include "net.h"
#include "tap.h"
#include "wire.h"

static struct conf conf;
static struct hostnet hostnet;
static struct guest g;
static uint64_t now;
static const uint8_t m1[6] = { 2, 0, 0, 0, 0, 1 }, m2[6] = { 2, 0, 0, 0, 0, 2 };

static void setup(bool config_net)
{
	conf = (struct conf){ .config_net = config_net };
	hostnet = (struct hostnet){ 0 };
	hostnet.ip4.addr = addr("198.51.100.5");
	hostnet.ip4.prefix_len = 24;
	hostnet.ip6.addr = addr("2001:db8::5");
	hostnet.ip6.our_ll = addr("fe80::1");
	guest_init(&g, &conf, &hostnet);
	now = 100000;
}

static bool heard_at(const char *s, const uint8_t mac[6])
{
	union inany a = addr(s);

	return guest_heard(&g, &hostnet, &a, mac, now);
}

static bool heard(const char *s)
{
	return heard_at(s, m1);
}

static bool is_known(const char *s)
{
	union inany a = addr(s);

	return inany_equals(&g.addr4, &a) || inany_equals(&g.addr6, &a) ||
	       inany_equals(&g.addr6_ll, &a);
}

static bool goes_to(const char *s, const uint8_t mac[6])
{
	union inany a = addr(s);

	return !memcmp(guest_mac(&g, &a), mac, 6);
}

/* Let @ms go by; how many requests go out? */
static unsigned asked(uint64_t ms)
{
	uint64_t end = now + ms;
	unsigned n = 0, k;

	while (guest_probe_due(&g) <= end) {
		if (guest_probe_due(&g) > now)
			now = guest_probe_due(&g);
		for (k = 0; k < GUEST_CLASSES; k++)
			n += guest_probe(&g, &conf, &hostnet, k, now);
	}
	now = end;
	return n;
}

static void test_assumed(void)
{
	setup(false);
	ok(is_known("198.51.100.5") && is_known("2001:db8::5"),
	   "the assigned addresses are known before the guest has sent anything");
	ok(!heard("203.0.113.5") && is_known("203.0.113.5"),
	   "the first source replaces an address that nobody has used");
	ok(!heard("198.51.100.6") && is_known("198.51.100.6"),
	   "an address of the subnet replaces one of elsewhere at once");
	ok(heard("203.0.113.5") && is_known("198.51.100.6"),
	   "an address of elsewhere does not replace one of the subnet at once");
	ok(!heard("198.51.100.5") && is_known("198.51.100.5"),
	   "the assigned address replaces any other at once");
	ok(!heard("2001:db8::77") && is_known("2001:db8::77"),
	   "SLAAC: the first address inside the prefix is known");
	ok(heard("2001:db8::abcd") && is_known("2001:db8::77"),
	   "a temporary address does not replace it");
	ok(!heard("fe80::5") && is_known("fe80::5"),
	   "the first link-local address is known");
	heard("fe80::6");
	ok(is_known("fe80::5"),
	   "a second link-local address does not replace the first");
	heard("0.0.0.0");
	heard("::");
	heard("127.0.0.1");
	ok(is_known("198.51.100.5") && is_known("2001:db8::77"),
	   "unspecified and loopback sources are not learned");
}

static void test_leased(void)
{
	setup(false);
	heard("198.51.100.6");
	heard("2001:db8::77");
	guest_leased(&g, &hostnet, true, m2);
	guest_leased(&g, &hostnet, false, m2);
	ok(is_known("198.51.100.5") && is_known("2001:db8::5"),
	   "a leased address replaces any other at once");
	ok(goes_to("198.51.100.5", m2),
	   "a leased address is at the MAC address of the request");
	hostnet.ip4.addr = (union inany){ 0 };
	guest_init(&g, &conf, &hostnet);
	guest_leased(&g, &hostnet, true, m1);
	ok(!inany_is_set(&g.addr4),
	   "without an address to assign there is no lease");
}

static void test_answered(void)
{
	setup(true);
	ok(heard("10.89.0.5") && is_known("198.51.100.5"),
	   "a stray source does not move a configured address");
	is(asked(0), 1, "a stray source has the configured address asked for");
	heard("198.51.100.5");
	is(asked(60000), 0, "no request follows an answer");
	ok(is_known("198.51.100.5"),
	   "a configured address that answers stays known");
	now -= 59000;
	heard("10.89.0.5");
	is(asked(20000), 0,
	   "no stray source causes a request within 20 s of an answer");
	is(asked(9500), 1, "a stray source causes a request after 30 s");
}

static void test_silent(void)
{
	setup(true);
	heard("10.89.0.5");
	heard("198.51.100.9");
	heard("10.89.0.6");
	is(asked(2999), 3,
	   "an address that doesn't answer is asked for three times");
	ok(is_known("198.51.100.5"),
	   "a silent address stays known until the last answer is due");
	is(asked(1), 0, "no request follows the third one");
	ok(is_known("198.51.100.9"),
	   "the candidate of the highest rank replaces a silent address");
	ok(!heard("198.51.100.5") && is_known("198.51.100.5"),
	   "the configured address takes over again as soon as it is used");
}

static void test_mute(void)
{
	setup(true);
	conf.no_ndp = true;
	heard("2001:db8::9");
	asked(59000);
	ok(is_known("2001:db8::5"),
	   "--no-ndp: an address may be silent for longer");
	asked(1000);
	ok(is_known("2001:db8::9"),
	   "--no-ndp: a silent address is replaced in the end");
}

static void test_mac(void)
{
	static const uint8_t broadcast[6] = MAC_BROADCAST;

	setup(false);
	ok(goes_to("198.51.100.5", broadcast) && !g.mac_known,
	   "a guest that never spoke is reached by broadcast");
	heard_at("0.0.0.0", m2);
	ok(goes_to("198.51.100.5", m2) && g.mac_known,
	   "the first MAC address is better than none");
	heard_at("198.51.100.5", m1);
	ok(goes_to("198.51.100.5", m1) && goes_to("2001:db8::5", m1),
	   "the MAC address of the known address replaces the first");
	heard_at("198.51.100.7", m2);
	ok(goes_to("198.51.100.5", m1),
	   "frames of another machine do not move the known address");
	ok(goes_to("198.51.100.7", m2),
	   "another machine is reached at its own MAC address");
	heard_at("fe80::2", m2);
	ok(goes_to("fe80::2", m2) && goes_to("2001:db8::5", m1),
	   "each known address has its MAC address");
	heard_at("198.51.100.7", m1);
	ok(goes_to("198.51.100.7", m1), "an address may move to the guest");
	heard_at("198.51.100.5", m2);
	ok(goes_to("198.51.100.5", m2) && goes_to("2001:db8::5", m2),
	   "the known address may move to another MAC address");
}

static void test_other_machine(void)
{
	union inany a = addr("198.51.100.7");
	char s[32];
	unsigned i;

	setup(false);
	heard_at("198.51.100.7", m2);
	ok(is_known("198.51.100.7"), "a second machine may come first");
	heard_at("198.51.100.5", m1);
	ok(goes_to("198.51.100.7", m2),
	   "the first machine is reached after the assigned address was seen");
	ok(guest_is_other(&g, &a, m1) && !guest_is_other(&g, &a, m2),
	   "the first machine answers neighbours by itself");
	for (i = 0; i < 1000; i++) {
		snprintf(s, sizeof(s), "10.%u.%u.1", i / 256, i % 256);
		heard_at(s, m2);
	}
	ok(goes_to(s, m2) && goes_to("198.51.100.5", m1),
	   "of many addresses the newest is kept, the known one is not moved");
}

static void test_given_mac(void)
{
	setup(false);
	guest_init(&g, &conf, &hostnet);
	guest_set_mac(&g, m1);
	ok(g.mac_known && goes_to("198.51.100.5", m1),
	   "the tap's MAC address is known at start");
	heard_at("fe80::2", m2);
	heard_at("0.0.0.0", m2);
	ok(goes_to("198.51.100.5", m1),
	   "frames from elsewhere do not move the tap's MAC address");
	heard_at("198.51.100.5", m2);
	ok(goes_to("198.51.100.5", m2),
	   "a frame from the assigned address moves the tap's MAC address");
}

static void test_reconnected(void)
{
	setup(false);
	heard_at("198.51.100.6", m1);
	heard("10.0.0.1");
	guest_reconnected(&g);
	ok(!g.mac_known && is_known("198.51.100.6"),
	   "a client that reconnects: its MAC is unknown, its address assumed");
	is(asked(60000), 0,
	   "after a reconnection no request of the old client follows");
	heard_at("203.0.113.7", m2);
	ok(is_known("203.0.113.7") && goes_to("203.0.113.7", m2),
	   "after a reconnection the first source and its MAC are taken");
}

int main(void)
{
	test_assumed();
	test_leased();
	test_answered();
	test_silent();
	test_mute();
	test_mac();
	test_other_machine();
	test_given_mac();
	test_reconnected();
	return done();
}
