/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ports.c - Port specifications, right and wrong
 *
 * A line is a mode and pairs of a letter and a specification. For right ones,
 * the rules that follow, each as LETTER ADDR%IF:FIRST-LAST>TO or >ADDR/TO, with "weak"
 * and "scan" after it; for wrong ones the text that the message has to contain after the
 * specification that it quotes, which is the last one.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ports.h"

#include "tap.h"
#include "util.h"

#define ERROR_LEN	1024
#define IS_NO_PORT	" is no port: expected 1 to 65535"
#define NEEDS		" needs an address to bind before it, of the same family: "
#define NEEDS4		NEEDS "'0.0.0.0/...'"
#define NEEDS6		NEEDS "'[::]/...'"
#define OTHER_FAMILY	" is of another family than the address before '/'"

struct row {
	const char *line, *want;
};

static const struct row good[] = {
	/* Ports and ranges */
	{ "passt t 80", "t *:80-80>80" },
	{ "passt u 53", "u *:53-53>53" },
	{ "pasta t 1", "t *:1-1>1" },
	{ "pasta t 65535", "t *:65535-65535>65535" },
	{ "pasta t 00080", "t *:80-80>80" },
	{ "pasta t 80-90", "t *:80-90>80" },
	{ "pasta t 80-80", "t *:80-80>80" },
	{ "pasta t 1-65535", "t *:1-65535>1" },
	{ "pasta t 8080:80", "t *:8080-8080>80" },
	{ "pasta t 8080-8090:80-90", "t *:8080-8090>80" },
	{ "pasta t 80:80", "t *:80-80>80" },
	{ "pasta t 80-81:65534-65535", "t *:80-81>65534" },
	{ "pasta t 22,80", "t *:22-22>22, t *:80-80>80" },
	{ "pasta t 22,80-81:90-91", "t *:22-22>22, t *:80-81>90" },
	{ "passt t 80,443 u 53",
	  "t *:80-80>80, t *:443-443>443, u *:53-53>53" },
	{ "pasta T 80 U 53", "T *:80-80>80, U *:53-53>53" },
	{ "pasta T 80:8080,90-91", "T *:80-80>8080, T *:90-91>90" },

	/* Addresses and interfaces */
	{ "pasta t 127.0.0.1/80", "t 127.0.0.1:80-80>80" },
	{ "pasta t 192.0.2.1/80,90:91",
	  "t 192.0.2.1:80-80>80, t 192.0.2.1:90-90>91" },
	{ "pasta t [192.0.2.1]/80", "t 192.0.2.1:80-80>80" },
	{ "pasta t ::1/80", "t ::1:80-80>80" },
	{ "pasta t [::1]/80", "t ::1:80-80>80" },
	{ "pasta t 2001:db8::1/8080:80", "t 2001:db8::1:8080-8080>80" },
	{ "pasta t 0.0.0.0/80", "t 0.0.0.0:80-80>80" },
	{ "pasta t ::/80", "t :::80-80>80" },
	{ "pasta t [::]/80", "t :::80-80>80" },
	{ "pasta t */80", "t *:80-80>80" },
	{ "pasta t *%eth0/80", "t *%eth0:80-80>80" },
	{ "pasta u ::%eth0/80:81", "u ::%eth0:80-80>81" },
	{ "pasta t [::]/auto", "t :::1-65535>1 weak scan" },
	{ "passt u [::]/all u 0.0.0.0/all",
	  "u :::1-65535>1 weak, u 0.0.0.0:1-65535>1 weak" },
	{ "pasta t %eth0/80", "t *%eth0:80-80>80" },
	{ "pasta u 192.0.2.1%eth0/80-81:90-91", "u 192.0.2.1%eth0:80-81>90" },
	{ "pasta t [fe80::1]%eth0/80", "t fe80::1%eth0:80-80>80" },
	{ "pasta t fe80::1%eth0/80", "t fe80::1%eth0:80-80>80" },
	{ "pasta t %123456789012345/80", "t *%123456789012345:80-80>80" },
	{ "pasta t %a.b-c_d/80", "t *%a.b-c_d:80-80>80" },

	/* Target addresses */
	{ "pasta t 0.0.0.0/8080:10.88.0.5/80",
	  "t 0.0.0.0:8080-8080>10.88.0.5/80" },
	{ "pasta t [::]/8080:fd00::5/80", "t :::8080-8080>fd00::5/80" },
	{ "passt u ::/8080:fd00::5/80", "u :::8080-8080>fd00::5/80" },
	{ "pasta t 192.0.2.1/80:10.88.0.5", "t 192.0.2.1:80-80>10.88.0.5/80" },
	{ "pasta t [2001:db8::1]/80:fd00::5", "t 2001:db8::1:80-80>fd00::5/80" },
	{ "pasta t [::1]/80:fe80::5", "t ::1:80-80>fe80::5/80" },
	{ "pasta t [::]/80:[fd00::5]/81", "t :::80-80>fd00::5/81" },
	{ "pasta t 0.0.0.0/80:[10.88.0.5]/81", "t 0.0.0.0:80-80>10.88.0.5/81" },
	{ "passt u 0.0.0.0/8000-8010:198.51.100.5/9000-9010",
	  "u 0.0.0.0:8000-8010>198.51.100.5/9000" },
	{ "pasta t [::]/80-90:fd00::5", "t :::80-90>fd00::5/80" },
	{ "pasta t 0.0.0.0%eth0/80:10.88.0.5/81",
	  "t 0.0.0.0%eth0:80-80>10.88.0.5/81" },
	{ "pasta t 0.0.0.0/80:10.88.0.5/81,90,91:92,93:10.88.0.6",
	  "t 0.0.0.0:80-80>10.88.0.5/81, t 0.0.0.0:90-90>90, "
	  "t 0.0.0.0:91-91>92, t 0.0.0.0:93-93>10.88.0.6/93" },
	{ "pasta t 0.0.0.0/80-84:10.88.0.5/90-94,~82",
	  "t 0.0.0.0:80-81>10.88.0.5/90, t 0.0.0.0:83-84>10.88.0.5/93" },
	{ "passt t 0.0.0.0/all:10.88.0.5",
	  "t 0.0.0.0:1-65535>10.88.0.5/1 weak" },
	{ "pasta u [::]/all:fd00::5,~53", "u :::1-52>fd00::5/1 weak, "
	  "u :::54-65535>fd00::5/54 weak" },
	{ "pasta t 0.0.0.0/80:10.88.0.5/80 t [::]/80:fd00::5/80",
	  "t 0.0.0.0:80-80>10.88.0.5/80, t :::80-80>fd00::5/80" },
	{ "pasta t 127.0.0.1/80:127.0.0.1/81", "t 127.0.0.1:80-80>127.0.0.1/81" },
	{ "pasta t 192.0.2.1/80:10.88.0.5 t 192.0.2.2/80:10.88.0.6",
	  "t 192.0.2.1:80-80>10.88.0.5/80, t 192.0.2.2:80-80>10.88.0.6/80" },
	{ "pasta t 0.0.0.0/all:10.88.0.5,80:10.88.0.6",
	  "t 0.0.0.0:1-65535>10.88.0.5/1 weak, t 0.0.0.0:80-80>10.88.0.6/80" },

	/* Exclusions */
	{ "pasta t 80-90,~85", "t *:80-84>80, t *:86-90>86" },
	{ "pasta t ~85,80-90", "t *:80-84>80, t *:86-90>86" },
	{ "pasta t 80-90:180-190,~85-86", "t *:80-84>180, t *:87-90>187" },
	{ "pasta t 80-90,~80", "t *:81-90>81" },
	{ "pasta t 80-90,~90", "t *:80-89>80" },
	{ "pasta t 80-90,~1-100", "" },
	{ "pasta t 80,~81", "t *:80-80>80" },
	{ "pasta t 80-90,~82,~84", "t *:80-81>80, t *:83-83>83, t *:85-90>85" },
	{ "pasta t 1-65535,~1,~65535", "t *:2-65534>2" },
	{ "pasta t 80-90,~85 t 85:1",
	  "t *:80-84>80, t *:86-90>86, t *:85-85>1" },
	{ "passt t ~22", "t *:1-21>1 weak, t *:23-65535>23 weak" },
	{ "passt t ~1-1000,~2000-65535", "t *:1001-1999>1001 weak" },
	{ "passt t 192.0.2.1/~22",
	  "t 192.0.2.1:1-21>1 weak, t 192.0.2.1:23-65535>23 weak" },
	{ "pasta t ~22", "t *:1-21>1 weak, t *:23-65535>23 weak" },
	{ "pasta T ~22", "T *:1-21>1 weak, T *:23-65535>23 weak" },
	{ "passt t ~1-65535", "" },

	/* Words */
	{ "passt t none", "" },
	{ "pasta t none u none T none U none", "" },
	{ "passt t all", "t *:1-65535>1 weak" },
	{ "pasta t all", "t *:1-65535>1 weak" },
	{ "pasta U all", "U *:1-65535>1 weak" },
	{ "pasta t all,auto", "t *:1-65535>1 weak, t *:1-65535>1 weak scan" },
	{ "pasta t auto", "t *:1-65535>1 weak scan" },
	{ "pasta T auto", "T *:1-65535>1 weak scan" },
	{ "passt t 192.0.2.1/all", "t 192.0.2.1:1-65535>1 weak" },
	{ "passt t 192.0.2.1%eth0/all", "t 192.0.2.1%eth0:1-65535>1 weak" },
	{ "pasta t %lo/auto", "t *%lo:1-65535>1 weak scan" },
	{ "pasta t auto,~22",
	  "t *:1-21>1 weak scan, t *:23-65535>23 weak scan" },
	{ "passt t all,2222:22", "t *:1-65535>1 weak, t *:2222-2222>22" },

	/* Several */
	{ "pasta t 80 t 81", "t *:80-80>80, t *:81-81>81" },
	{ "pasta t 80 t none", "" },
	{ "pasta t none t 80", "t *:80-80>80" },
	{ "pasta T none T 80", "T *:80-80>80" },
	{ "pasta t 80 u 80 T 80 t none", "u *:80-80>80, T *:80-80>80" },
	{ "pasta t auto t none t 80", "t *:80-80>80" },
	{ "pasta t auto t 80:8080", "t *:1-65535>1 weak scan, t *:80-80>8080" },
	{ "pasta t 80:8080 t auto", "t *:80-80>8080, t *:1-65535>1 weak scan" },
	{ "pasta t auto t auto", "t *:1-65535>1 weak scan" },
	{ "passt t all t all", "t *:1-65535>1 weak" },
	{ "pasta t 80 u 80:81", "t *:80-80>80, u *:80-80>81" },
	{ "pasta t 80 T 80:81", "t *:80-80>80, T *:80-80>81" },

	/* Given twice */
	{ "pasta t 80 t 80", "t *:80-80>80" },
	{ "pasta t 80,80", "t *:80-80>80" },
	{ "pasta t 80-90 t 85", "t *:80-90>80" },
	{ "pasta t 80-90 t 85-95", "t *:80-90>80, t *:91-95>91" },
	{ "pasta t 85-95 t 80-100",
	  "t *:85-95>85, t *:80-84>80, t *:96-100>96" },
	{ "pasta t 80-82:180-182 t 81:181", "t *:80-82>180" },
	{ "pasta t 0.0.0.0/80:10.88.0.5 t 0.0.0.0/80:10.88.0.5/80",
	  "t 0.0.0.0:80-80>10.88.0.5/80" },
	{ "pasta t 127.0.0.1/80:10.88.0.5 t 0.0.0.0/80:10.88.0.5",
	  "t 0.0.0.0:80-80>10.88.0.5/80" },
	{ "passt t 0.0.0.0/all:10.88.0.5 t 0.0.0.0/all:10.88.0.5",
	  "t 0.0.0.0:1-65535>10.88.0.5/1 weak" },
	{ "pasta t 80 t 127.0.0.1/80", "t *:80-80>80" },
	{ "pasta t 127.0.0.1/80 t 80", "t *:80-80>80" },
	{ "pasta t 0.0.0.0/80 t 127.0.0.1/80", "t 0.0.0.0:80-80>80" },
	{ "pasta t 0.0.0.0/80 t ::1/80", "t 0.0.0.0:80-80>80, t ::1:80-80>80" },
	{ "pasta t 0.0.0.0/80 t [::]/80", "t 0.0.0.0:80-80>80, t :::80-80>80" },
	{ "pasta t [::]/80:81 t 0.0.0.0/80:82",
	  "t :::80-80>81, t 0.0.0.0:80-80>82" },
	{ "pasta t [::]/80 t 80", "t *:80-80>80" },
	{ "pasta t */80 t [::]/80 t 0.0.0.0/80", "t *:80-80>80" },
	{ "pasta t [::]/80 t [2001:db8::1]/80", "t :::80-80>80" },
	{ "pasta t [2001:db8::1]/80 t [::]/80", "t :::80-80>80" },
	{ "pasta t [::]/80 t 127.0.0.1/80:81",
	  "t :::80-80>80, t 127.0.0.1:80-80>81" },
	{ "pasta t 0.0.0.0/80 t [::]/80 t 80", "t *:80-80>80" },
	{ "pasta t 127.0.0.1/80-90 t 85",
	  "t 127.0.0.1:80-84>80, t 127.0.0.1:86-90>86, t *:85-85>85" },
	{ "pasta t 127.0.0.1/22 t 1-100,~22",
	  "t 127.0.0.1:22-22>22, t *:1-21>1, t *:23-100>23" },
	{ "pasta t %eth0/80 t %eth1/80:81",
	  "t *%eth0:80-80>80, t *%eth1:80-80>81" },
	{ "pasta t %eth0/80 t 80", "t *:80-80>80" },
	{ "pasta t 192.0.2.1/80:1 t 192.0.2.2/80:2",
	  "t 192.0.2.1:80-80>1, t 192.0.2.2:80-80>2" },
};

static const struct row bad[] = {
	/* Nothing */
	{ "pasta t ''", "no ports: expected a list of them, 'all', 'auto' or 'none'" },
	{ "passt t ''", "no ports: expected a list of them, 'all' or 'none'" },
	{ "pasta t ,", "an item of the list is empty" },
	{ "pasta t 80,", "an item of the list is empty" },
	{ "pasta t ,80", "an item of the list is empty" },
	{ "pasta t 80,,90", "an item of the list is empty" },
	{ "pasta t 127.0.0.1/", "no ports" },
	{ "pasta t %eth0/", "no ports" },
	{ "pasta t 127.0.0.1/80,", "an item of the list is empty" },

	/* Numbers */
	{ "pasta t 0", "'0'" IS_NO_PORT },
	{ "pasta t 00", "'00'" IS_NO_PORT },
	{ "pasta t 65536", "'65536'" IS_NO_PORT },
	{ "pasta t 99999999999999999999", "'99999999999999999999'" IS_NO_PORT },
	{ "pasta t 4294967376", "'4294967376'" IS_NO_PORT },
	{ "pasta t -1", "'-1' lacks a port" },
	{ "pasta t +80", "'+80'" IS_NO_PORT },
	{ "pasta t 0x50", "'0x50'" IS_NO_PORT },
	{ "pasta t 8o", "'8o'" IS_NO_PORT },
	{ "pasta t http", "'http'" IS_NO_PORT },
	{ "pasta t 80tcp", "'80tcp'" IS_NO_PORT },
	{ "pasta t 80;81", "'80;81'" IS_NO_PORT },
	{ "pasta t *", "'*'" IS_NO_PORT },
	{ "pasta t 22,0", "'0'" IS_NO_PORT },
	{ "pasta t 22,65536,80", "'65536'" IS_NO_PORT },
	{ "pasta t 80/tcp", "'80' is no address" },
	{ "pasta t 8080:80/tcp", "'8080:80' is no address" },

	/* Target addresses */
	{ "pasta t 8080:10.88.0.5/80", "'8080:10.88.0.5'" NEEDS4 },
	{ "pasta t 8080:10.88.0.5", "'8080:10.88.0.5'" NEEDS4 },
	{ "pasta t 80,8080-8090:10.88.0.5/80", "'80,8080-8090:10.88.0.5'" NEEDS4 },
	{ "passt t all:10.88.0.5", "'all:10.88.0.5'" NEEDS4 },
	{ "pasta t */8080:10.88.0.5/80", "'10.88.0.5'" NEEDS4 },
	{ "pasta t %eth0/8080:10.88.0.5/80", "'10.88.0.5'" NEEDS4 },
	{ "pasta t */8080:fd00::5/80", "'fd00::5'" NEEDS6 },
	{ "pasta t 80,8080:fd00::5", "'fd00::5'" NEEDS6 },
	{ "passt t all:fd00::5", "'fd00::5'" NEEDS6 },
	{ "pasta t [::]/80:10.88.0.5/80", "'10.88.0.5'" OTHER_FAMILY },
	{ "pasta t 0.0.0.0/80:fd00::5/80", "'fd00::5'" OTHER_FAMILY },
	{ "pasta t 192.0.2.1/80:fd00::5", "'fd00::5'" OTHER_FAMILY },
	{ "passt t [::1]/all:10.88.0.5", "'10.88.0.5'" OTHER_FAMILY },
	{ "pasta t 0.0.0.0/80:233.252.0.1/80",
	  "'233.252.0.1' is no unicast address" },
	{ "pasta t [::]/80:ff02::1/80", "'ff02::1' is no unicast address" },
	{ "pasta t 0.0.0.0/80:255.255.255.255",
	  "'255.255.255.255' is no unicast address" },
	{ "pasta t 0.0.0.0/80:0.0.0.0/80", "'0.0.0.0' is no unicast address" },
	{ "pasta t [::]/80:::/80", "'::' is no unicast address" },
	{ "pasta t 0.0.0.0/80:10.88.0/80", "'10.88.0' is no address" },
	{ "pasta t 0.0.0.0/80:10.88.0.256", "'10.88.0.256' is no address" },
	{ "pasta t [::]/80:fd00::g/80", "'fd00::g' is no address" },
	{ "pasta t [::]/80:::ffff:192.0.2.1/80",
	  "'::ffff:192.0.2.1' is no address" },
	{ "pasta t 0.0.0.0/80:/80", "'' is no address" },
	{ "pasta t 0.0.0.0/80:10.88.0.5/", "'' lacks a port" },
	{ "pasta t 0.0.0.0/80:10.88.0.5/0", "'0'" IS_NO_PORT },
	{ "pasta t 0.0.0.0/80:10.88.0.5/65536", "'65536'" IS_NO_PORT },
	{ "pasta t 0.0.0.0/80:10.88.0.5/80/81", "'80/81'" IS_NO_PORT },
	{ "pasta t 0.0.0.0/80:10.88.0.5:80", "'10.88.0.5:80' is no address" },
	{ "pasta t 0.0.0.0/80-82:10.88.0.5/80",
	  "'80-82:10.88.0.5/80' has two ranges of different lengths" },
	{ "pasta t 0.0.0.0/80:10.88.0.5/80-81",
	  "'80:10.88.0.5/80-81' has two ranges of different lengths" },
	{ "pasta t [::]/80:[fd00::5/80", "'[fd00::5' has one bracket" },
	{ "pasta t [::]/80:[]/80", "there is no address in the brackets" },
	{ "pasta t 0.0.0.0/:10.88.0.5/80", "':10.88.0.5/80' lacks a port" },
	{ "pasta t 0.0.0.0/~80:10.88.0.5/80",
	  "'~80:10.88.0.5/80' excludes ports, these lead nowhere" },
	{ "pasta t 0.0.0.0/all:", "'' is no address" },
	{ "pasta t 0.0.0.0/all:80", "'80' is no address" },
	{ "pasta t 0.0.0.0/all:10.88.0.5/80", "'10.88.0.5/80' is no address" },
	{ "pasta t 0.0.0.0/auto:10.88.0.5", "'auto'" IS_NO_PORT },
	{ "pasta t 0.0.0.0/none:10.88.0.5", "'none'" IS_NO_PORT },
	{ "pasta T 80:10.88.0.5/80", "'80:10.88.0.5' is too much" },
	{ "pasta T 80:fd00::5", "'fd00::5' is too much: expected ports alone" },
	{ "pasta U all:fd00::5", "'fd00::5' is too much: expected ports alone" },
	{ "pasta t 0.0.0.0/80:10.88.0.5%eth0/80",
	  "'10.88.0.5%eth0' is no address" },

	/* Ranges */
	{ "pasta t -", "'-' lacks a port" },
	{ "pasta t 80-", "'80-' lacks a port" },
	{ "pasta t -80", "'-80' lacks a port" },
	{ "pasta t 80--90", "'-90'" IS_NO_PORT },
	{ "pasta t 80-90-100", "'90-100'" IS_NO_PORT },
	{ "pasta t 90-80", "'90-80' is a range that ends before it starts" },
	{ "pasta t 0-80", "'0'" IS_NO_PORT },
	{ "pasta t 80-65536", "'65536'" IS_NO_PORT },
	{ "pasta t 80-x", "'x'" IS_NO_PORT },

	/* Targets */
	{ "pasta t :", "':' lacks a port" },
	{ "pasta t 80:", "'80:' lacks a port" },
	{ "pasta t :80", "':80' lacks a port" },
	{ "pasta t 80:0", "'0'" IS_NO_PORT },
	{ "pasta t 80:65536", "'65536'" IS_NO_PORT },
	{ "pasta t 80:90-", "'90-' lacks a port" },
	{ "pasta t 80:81:82", "'81:82' is no address" },
	{ "pasta t 80-90:80",
	  "'80-90:80' has two ranges of different lengths" },
	{ "pasta t 80:80-90",
	  "'80:80-90' has two ranges of different lengths" },
	{ "pasta t 80-90:180-191",
	  "'80-90:180-191' has two ranges of different lengths" },
	{ "pasta t 80-90:190-180",
	  "'190-180' is a range that ends before it starts" },

	/* Exclusions */
	{ "pasta t ~", "'~' lacks a port" },
	{ "pasta t ~0", "'0'" IS_NO_PORT },
	{ "pasta t ~80-", "'80-' lacks a port" },
	{ "pasta t ~90-80", "'90-80' is a range that ends before it starts" },
	{ "pasta t ~~80", "'~80'" IS_NO_PORT },
	{ "pasta t ~80:90", "'~80:90' excludes ports, these lead nowhere" },
	{ "pasta t 80~90", "'80~90'" IS_NO_PORT },
	{ "pasta t ~auto", "'auto'" IS_NO_PORT },
	{ "pasta t 1-100,~x", "'x'" IS_NO_PORT },

	/* Words */
	{ "passt t auto", "'auto' is for pasta mode only, passt has 'all'" },
	{ "pasta t None", "'None'" IS_NO_PORT },
	{ "pasta t none,80", "'none' stands alone" },
	{ "pasta t 80,none", "'none' stands alone" },
	{ "pasta t 127.0.0.1/none", "'none' stands alone" },
	{ "pasta t autox", "'autox'" IS_NO_PORT },
	{ "pasta t auto:80", "'auto'" IS_NO_PORT },

	/* Heads */
	{ "pasta t /80", "no address or interface before '/'" },
	{ "pasta t /", "no address or interface before '/'" },
	{ "pasta t 127.0.0.1:80",
	  "an address or interface is followed by '/' and ports" },
	{ "pasta t 127.0.0.1",
	  "an address or interface is followed by '/' and ports" },
	{ "pasta t [::1]:80",
	  "an address or interface is followed by '/' and ports" },
	{ "pasta t %eth0",
	  "an address or interface is followed by '/' and ports" },
	{ "pasta t ::1", "'::1' lacks a port" },
	{ "pasta t 127.0.0.1/80/90", "'80/90'" IS_NO_PORT },
	{ "pasta t 127.0.0.256/80", "'127.0.0.256' is no address" },
	{ "pasta t 127.1/80", "'127.1' is no address" },
	{ "pasta t localhost/80", "'localhost' is no address" },
	{ "pasta t 2001:db8::g/80", "'2001:db8::g' is no address" },
	{ "pasta t ::ffff:192.0.2.1/80", "'::ffff:192.0.2.1' is no address" },
	{ "pasta t [::1/80", "'[::1' has one bracket without the other" },
	{ "pasta t ::1]/80", "'::1]' has one bracket without the other" },
	{ "pasta t [/80", "'[' has one bracket without the other" },
	{ "pasta t []/80", "there is no address in the brackets" },
	{ "pasta t [[::1]]/80", "'[::1]' is no address" },
	{ "pasta t [::1%eth0]/80", "'[::1' has one bracket without the other" },
	{ "pasta t [::1]x/80", "'[::1]x' has one bracket without the other" },
	{ "pasta t 233.252.0.1/80", "'233.252.0.1' is no unicast address" },
	{ "pasta t ff02::1/80", "'ff02::1' is no unicast address" },
	{ "pasta t 255.255.255.255/80",
	  "'255.255.255.255' is no unicast address" },
	{ "pasta t 127.0.0.1%/80",
	  "the name of an interface is missing after '%'" },
	{ "pasta t %/80", "the name of an interface is missing after '%'" },
	{ "pasta t %eth0%eth1/80", "'eth0%eth1' is no name of an interface" },
	{ "pasta t %1234567890123456/80",
	  "'1234567890123456' is no name of an interface" },
	{ "pasta t %a:b/80", "'a:b' is no name of an interface" },
	{ "pasta t %../80", "'..' is no name of an interface" },
	{ "pasta T 127.0.0.1/80", "'127.0.0.1' is too much: expected ports "
	  "alone, without address and interface" },
	{ "pasta U %lo/80", "'%lo' is too much" },
	{ "pasta T [::1]/auto", "'[::1]' is too much" },

	/* With each other */
	{ "pasta t 80 t 80:81",
	  "port 80 leads to 81, conflicts with '80', where it leads to 80" },
	{ "pasta t 80:81,80:82",
	  "port 80 leads to 82, conflicts with '80:81,80:82', where it leads "
	  "to 81" },
	{ "pasta t 80-90:1080-1090 t 127.0.0.1/85",
	  "port 85 leads to 85, conflicts with '80-90:1080-1090', where it "
	  "leads to 1085" },
	{ "pasta t 127.0.0.1/80 t 0.0.0.0/80:81",
	  "port 80 leads to 81, conflicts with '127.0.0.1/80', where" },
	{ "pasta t [::]/80 t 80:81", "conflicts with '[::]/80', where" },
	{ "pasta t 80 t [::]/80:81", "conflicts with '80', where" },
	{ "pasta t [::1]/80 t [::]/80:81", "conflicts with '[::1]/80', where" },
	{ "pasta t 0.0.0.0/80:10.88.0.5 t 0.0.0.0/80:10.88.0.6",
	  "port 80 leads to 10.88.0.6/80, conflicts with "
	  "'0.0.0.0/80:10.88.0.5', where it leads to 10.88.0.5/80" },
	{ "pasta t [::]/80:fd00::5/81 t [::]/80",
	  "port 80 leads to 80, conflicts with '[::]/80:fd00::5/81', where it "
	  "leads to fd00::5/81" },
	{ "pasta t 80 t 127.0.0.1/80:10.88.0.5",
	  "port 80 leads to 10.88.0.5/80, conflicts with '80', where it leads "
	  "to 80" },
	{ "passt t 0.0.0.0/all:10.88.0.5 t 192.0.2.1/all:10.88.0.6",
	  "port 1 leads to 10.88.0.6/1, conflicts with '0.0.0.0/all:10.88.0.5'"
	  ", where it leads to 10.88.0.5/1" },
	{ "passt t all t 0.0.0.0/all:10.88.0.5", "conflicts with 'all', where" },
	{ "pasta t [*]x/80", "'[*]x' has one bracket without the other" },
	{ "pasta t **/80", "'**' is no address" },
	{ "pasta t %eth0/80 t 80:81", "conflicts with '%eth0/80', where" },
	{ "pasta T 53 T 53:5353",
	  "port 53 leads to 5353, conflicts with '53', where it leads to 53" },

	/* Specifications that are printed in another form */
	{ "pasta t 80\n90", "'80?90'" IS_NO_PORT },
	{ "pasta t \x1b[2J/80", "'?[2J' is no address" },
};

static struct rules rules;

static void describe(char *buf, size_t size)
{
	static const char letters[2][2] = { { 't', 'T' }, { 'u', 'U' } };
	const struct fwd_rule *r = NULL;
	size_t n = 0;

	*buf = 0;
	while ((r = rules_next(&rules, r)) && n < size) {
		char addr[INANY_STRLEN] = "*", to[INANY_STRLEN] = "";

		if (inany_is_set(&r->addr) || r->only6)
			inany_ntop(&r->addr, addr, sizeof(addr));
		if (inany_is_set(&r->to_addr))
			inany_ntop(&r->to_addr, to, sizeof(to));
		n += snprintf(buf + n, size - n, "%s%c %s%s%s:%u-%u>%s%s%u%s%s",
			      n ? ", " : "",
			      letters[r->proto == IPPROTO_UDP][r->from_ns],
			      addr, *r->ifname ? "%" : "", r->ifname, r->first,
			      r->last, to, *to ? "/" : "", r->to,
			      r->weak ? " weak" : "",
			      r->scan ? " scan" : "");
	}
}

static void setup(struct conf *c, bool pasta)
{
	memset(c, 0, sizeof(*c));
	rules_init(&rules);
	c->mode = pasta ? MODE_PASTA : MODE_PASST;
	c->ip4.enabled = c->ip6.enabled = true;
}

static int parse(struct conf *c, char letter, const char *spec, char *error)
{
	*error = 0;
	return ports_parse(&rules, c->mode == MODE_PASTA,
			   strchr("tT", letter) ? IPPROTO_TCP : IPPROTO_UDP,
			   letter < 'a', spec, error, ERROR_LEN);
}

/* All specifications of a line; @last becomes the one where it ended */
static int parse_line(struct conf *c, char *line, const char **last,
		      char *error)
{
	char *save, *word = strtok_r(line, " ", &save);
	int ret = 0;

	setup(c, !strcmp(word, "pasta"));
	*last = "";
	while (!ret && (word = strtok_r(NULL, " ", &save))) {
		*last = strtok_r(NULL, " ", &save);
		if (!strcmp(*last, "''"))
			*last = "";
		ret = parse(c, *word, *last, error);
	}
	return ret;
}

static bool gives(const struct row *row)
{
	char line[256], error[ERROR_LEN], got[512];
	const char *last;
	struct conf c;

	util_strcpy(line, sizeof(line), row->line);
	if (parse_line(&c, line, &last, error)) {
		printf("# %s\n", error);
		return false;
	}
	describe(got, sizeof(got));
	if (strcmp(got, row->want))
		printf("# got \"%s\"\n", got);
	return !strcmp(got, row->want);
}

/* Does the specification that each rule is written as make the same rule again? */
static bool is_written_as_read(const struct row *row)
{
	char line[256], error[ERROR_LEN], spec[RULES_SPEC];
	static struct rules all;
	const struct fwd_rule *r = NULL, *again;
	const char *last;
	struct conf c;

	util_strcpy(line, sizeof(line), row->line);
	if (parse_line(&c, line, &last, error))
		return false;
	rules_copy(&all, &rules);
	while ((r = rules_next(&all, r))) {
		rules_init(&rules);
		if (parse(&c, rule_letter(r), rules_spec(r, spec), error))
			printf("# %s: %s\n", spec, error);
		again = rules_next(&rules, NULL);
		if (again && rules_same(again, r) && !rules_next(&rules, again))
			continue;
		printf("# \"%s\" is another rule\n", spec);
		return false;
	}
	return true;
}

/* The message quotes the specification, has the reason, and is one line */
static bool refused(const struct row *row)
{
	char line[256], error[ERROR_LEN], quoted[256];
	const char *last;
	struct conf c;
	int ret;

	util_strcpy(line, sizeof(line), row->line);
	ret = parse_line(&c, line, &last, error);
	snprintf(quoted, sizeof(quoted), "Invalid value '%s' for --", last);
	util_one_line(quoted);
	if (ret && !strncmp(error, quoted, strlen(quoted)) &&
	    strstr(error + strlen(quoted), row->want) && !strchr(error, '\n'))
		return true;
	printf("# returned %d, message \"%s\"\n", ret, error);
	return false;
}

static void option_names(void)
{
	static const char letters[] = "tuTU";
	static const char *const names[] = {
		"Invalid value 'x' for --tcp-ports: ",
		"Invalid value 'x' for --udp-ports: ",
		"Invalid value 'x' for --tcp-ns: ",
		"Invalid value 'x' for --udp-ns: ",
	};
	char error[ERROR_LEN];
	struct conf c;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		setup(&c, true);
		parse(&c, letters[i], "x", error);
		ok(!strncmp(error, names[i], strlen(names[i])), names[i]);
	}
}

/* Far too long ones are quoted in part */
static void long_ones(void)
{
	static char digits[10001], list[10 * RULES_MAX];
	char error[ERROR_LEN];
	struct conf c;
	size_t n = 0;

	memset(digits, '7', sizeof(digits) - 1);
	setup(&c, true);
	ok(parse(&c, 't', digits, error) && strlen(error) < 200 &&
	   strstr(error, "77...' is no port"),
	   "the message about 10 kB of digits is short");
	digits[4] = '/';
	ok(parse(&c, 't', digits, error) && strlen(error) < 200,
	   "the message about 10 kB after an address is short");
	memset(digits, '1', sizeof(digits) - 1);
	digits[9999] = '/';
	ok(parse(&c, 't', digits, error) && strlen(error) < 200 &&
	   strstr(error, "' is no address"),
	   "the message about an address of 10 kB is short");
	digits[0] = '%';
	ok(parse(&c, 't', digits, error) && strlen(error) < 200 &&
	   strstr(error, "' is no name of an interface"),
	   "the message about an interface name of 10 kB is short");

	for (int i = 0; i < 1024; i++)
		n += sprintf(list + n, "%s%d", i ? "," : "", 1000 + 2 * i);
	setup(&c, true);
	ok(!parse(&c, 't', list, error) && rules.n == 1024 &&
	   rules.e[1023].rule.first == 1000 + 2 * 1023,
	   "a list may have 1024 items");
}

static void many_rules(void)
{
	static char specs[RULES_MAX + 1][16];
	char error[ERROR_LEN];
	struct conf c;
	int i, ret = 0;

	setup(&c, true);
	for (i = 0; i < RULES_MAX && !ret; i++) {
		sprintf(specs[i], "%d:%d", 1000 + i, 2000 + i % 7);
		ret = parse(&c, 't', specs[i], error);
	}
	ok(!ret && rules.n == RULES_MAX, "2048 rules find room");
	ok(rules.e[1500].rule.spec == specs[1500],
	   "each rule knows its specification");
	ok(parse(&c, 't', "1", error) &&
	   strstr(error, "more than 2048 rules for ports"),
	   "one rule more than the table holds is an error");
	ok(parse(&c, 't', "127.0.0.1/2000:2006", error) == 0 ||
	   strstr(error, "conflicts"),
	   "a rule that is there already needs no room");
	ok(!parse(&c, 't', "none", error) && !rules.n,
	   "'none' removes all rules of its letter");
}

static void fits(void)
{
	char error[ERROR_LEN];
	struct conf c;

	setup(&c, true);
	parse(&c, 't', "192.0.2.1/80", error);
	parse(&c, 't', "[2001:db8::1]/80", error);
	is(ports_check(&rules, &c, error, sizeof(error)), 0,
	   "addresses of both families are right");
	c.ip6.enabled = false;
	ok(ports_check(&rules, &c, error, sizeof(error)) &&
	   !strcmp(error, "Invalid value '[2001:db8::1]/80' for --tcp-ports: "
			  "an IPv6 address, and there is no IPv6"),
	   "an IPv6 address without IPv6 is an error");
	parse(&c, 't', "none", error);
	parse(&c, 't', "[::]/80", error);
	ok(ports_check(&rules, &c, error, sizeof(error)) &&
	   strstr(error, "an IPv6 address, and there is no IPv6"),
	   "[::] without IPv6 is an error");
	parse(&c, 't', "none", error);
	parse(&c, 't', "192.0.2.1/80", error);
	c.ip6.enabled = true;
	c.ip4.enabled = false;
	ok(ports_check(&rules, &c, error, sizeof(error)) &&
	   !strcmp(error, "Invalid value '192.0.2.1/80' for --tcp-ports: "
			  "an IPv4 address, and there is no IPv4"),
	   "an IPv4 address without IPv4 is an error");
	c.no_tcp = true;
	ok(!ports_check(&rules, &c, error, sizeof(error)) && !rules.n,
	   "with --no-tcp, TCP rules are removed");

	setup(&c, true);
	c.no_splice = true;
	parse(&c, 'T', "80", error);
	ok(ports_check(&rules, &c, error, sizeof(error)) &&
	   strstr(error, "for --tcp-ns: not with --no-splice"),
	   "-T with --no-splice is an error");

	setup(&c, true);
	parse(&c, 'u', "127.0.0.1/80:127.0.0.1/81", error);
	is(ports_check(&rules, &c, error, sizeof(error)), 0,
	   "a target on loopback is right for pasta");
	c.no_splice = true;
	ok(ports_check(&rules, &c, error, sizeof(error)) &&
	   strstr(error, "for --udp-ports: a target on loopback can't be "
			 "reached through the tap"),
	   "a target on loopback is an error with --no-splice");
	c.no_splice = false;
	c.netns_kind = NETNS_FD;
	is(ports_check(&rules, &c, error, sizeof(error)), -EINVAL,
	   "a target on loopback is an error with --fd");
	c.netns_kind = NETNS_SPAWN;
	c.mode = MODE_PASST;
	is(ports_check(&rules, &c, error, sizeof(error)), -EINVAL,
	   "a target on loopback is an error for passt");

	setup(&c, true);
	c.netns_kind = NETNS_FD;
	parse(&c, 't', "80", error);
	is(ports_check(&rules, &c, error, sizeof(error)), 0,
	   "-t 80 with --fd is right");
	parse(&c, 'u', "auto", error);
	ok(ports_check(&rules, &c, error, sizeof(error)) &&
	   strstr(error, "not with --fd"),
	   "-u auto with --fd is an error");
	parse(&c, 'u', "none", error);
	parse(&c, 'U', "80", error);
	ok(ports_check(&rules, &c, error, sizeof(error)) &&
	   strstr(error, "not with --fd"),
	   "-U with --fd is an error");
}

/* From the host to the namespace, back to the host, again, and so on */
static void loops(void)
{
	static const struct {
		const char *in, *out;
		bool loop;
	} rows[] = {
		{ "9700", "9700", true },
		{ "9700:9701", "9701:9700", true },
		{ "9000-9100", "9050", true },
		{ "9050", "9000-9100", true },
		{ "9000-9100:8000-8100", "8100-8200:9100-9200", true },
		{ "%lo/9700", "9700", true },
		{ "9700:9701", "9700:9701", false },
		{ "9700", "9701", false },
		{ "9000-9100,~9050", "9050", false },
		{ "9000-9100:8000-8100", "8101-8200:9101-9200", false },
		{ "127.0.0.2/9700", "9700", false },
		{ "9500:80", "9500", false },
		{ "9700", "auto", false },
		{ "auto", "9700", false },
		{ "all", "9700", true },
		{ "9700", "all", true },
		{ "all", "all", true },
		{ "all,~9700", "9700", false },
		{ "all", "auto", false },
		{ "0.0.0.0/9700:10.88.0.5", "9700", false },
		{ "0.0.0.0/9700:192.0.2.100", "9700", true },
		{ "0.0.0.0/9700:127.0.0.1", "9700", true },
	};
	char error[ERROR_LEN], name[100];
	struct conf c;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(&c, true);
		inany_pton("192.0.2.100", &c.ip4.addr);
		parse(&c, 't', rows[i].in, error);
		parse(&c, 'T', rows[i].out, error);
		snprintf(name, sizeof(name), "-t %s -T %s %s", rows[i].in,
			 rows[i].out, rows[i].loop ? "loop" : "do not loop");
		is(ports_check(&rules, &c, error, sizeof(error)),
		   rows[i].loop ? -EINVAL : 0, name);
	}
	setup(&c, true);
	parse(&c, 'u', "9700", error);
	parse(&c, 'T', "9700", error);
	is(ports_check(&rules, &c, error, sizeof(error)), 0,
	   "rules of two protocols do not loop");
	parse(&c, 'U', "9700", error);
	ok(ports_check(&rules, &c, error, sizeof(error)) &&
	   !strcmp(error, "Invalid value '9700' for --udp-ns: leads back to "
			  "the namespace by --udp-ports 9700"),
			   "the message names both rules of a loop");

	setup(&c, true);
	c.host_lo_to_ns_lo = true;
	parse(&c, 'u', "127.0.0.1/9700", error);
	parse(&c, 'U', "9700", error);
	is(ports_check(&rules, &c, error, sizeof(error)), -EINVAL,
	   "with --host-lo-to-ns-lo, rules for a loopback address loop, too");
}

static void interfaces(void)
{
	char error[ERROR_LEN];
	struct conf c;

	setup(&c, true);
	parse(&c, 't', "%lo/80", error);
	is(ports_check_interfaces(&rules, error, sizeof(error)), 0,
	   "an interface that exists is right");
	parse(&c, 'u', "127.0.0.1%no-such-if/~53", error);
	ok(ports_check_interfaces(&rules, error, sizeof(error)) &&
	   !strcmp(error, "Invalid value '127.0.0.1%no-such-if/~53' for"
			  " --udp-ports: there is no interface 'no-such-if'"),
	   "an interface that does not exist is an error");
}

static void ephemeral_is(const char *spec, bool pasta, const char *want)
{
	char error[ERROR_LEN], got[512];
	struct conf c;

	setup(&c, pasta);
	parse(&c, 't', spec, error);
	is(rules_cut_weak(&rules, RULE_HOST_TCP, 32768, 60999), RULES_OK,
	   "the ephemeral ports are left out");
	describe(got, sizeof(got));
	if (!ok(!strcmp(got, want), want))
		printf("# got \"%s\"\n", got);
}

static void ephemeral(void)
{
	ephemeral_is("all", false,
		     "t *:1-32767>1 weak, t *:61000-65535>61000 weak");
	ephemeral_is("~1-40000", false, "t *:61000-65535>61000 weak");
	ephemeral_is("~50000-65535", false, "t *:1-32767>1 weak");
	ephemeral_is("~1-32767,~61000-65535", false, "");
	ephemeral_is("~1-100,~500-65535", false, "t *:101-499>101 weak");
	ephemeral_is("1-65535", false, "t *:1-65535>1");
	ephemeral_is("auto", true, "t *:1-65535>1 weak scan");
	ephemeral_is("all", true,
		     "t *:1-32767>1 weak, t *:61000-65535>61000 weak");
	ephemeral_is("0.0.0.0/~1-40000,all:10.88.0.5", true,
		     "t 0.0.0.0:61000-65535>10.88.0.5/61000 weak");
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ok(gives(&good[i]), good[i].line);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ok(is_written_as_read(&good[i]), good[i].line);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ok(refused(&bad[i]), bad[i].want);
	ok(ARRAY_SIZE(good) >= 40 && ARRAY_SIZE(bad) >= 60,
	   "the tables have at least 40 right and 60 wrong specifications");
	option_names();
	long_ones();
	many_rules();
	fits();
	loops();
	interfaces();
	ephemeral();
	return done();
}
