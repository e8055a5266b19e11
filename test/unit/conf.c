/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.c - Command lines, right and wrong
 *
 * A line is words with single blanks between them. For a right one, the fields
 * that it must set are named as describe() writes them; for a wrong one the
 * whole message is given after "!", and after "?" where usage is to follow.
 * Descriptors 100, 101 and 102 are a socket, a character device and a file.
 */

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf.h"
#include "log.h"
#include "tap.h"
#include "util.h"

#define N40	"m23456789-m23456789-m23456789-m23456789x"
#define N60	"n23456789-n23456789-n23456789-n23456789-n23456789-n23456789x"
#define P	"/usr/bin/pasta "
#define V	"passt -F 100 "		/* virtual machine */
#define ADDR	"--address: expected a unicast address, ADDR or ADDR/LENGTH"
#define MAC	"expected a unicast address as in 9a:55:9a:55:9a:55"

static struct rules rules;

static const struct {
	const char *line, *want;
} cases[] = {
	/* Mode, and arguments behind the options */
	{ "pasta", "mode=pasta kind=spawn cmd=SHELL fg mtu=65520" },
	{ "passt -F 100", "mode=passt kind=fd fd=100 one_off" },
	{ "/opt/passt.avx2 -F 100", "mode=passt" },
	{ "./passt-pasta", "mode=pasta" },
	{ "/pasta/other",
	  "!Called as 'other': expected a name with 'passt' or 'pasta' in it" },
	{ "/opt/pasta/passt -F 100", "mode=passt" },
	{ "passt", "mode=passt kind=fd fd=-1 sock=FIRST ports=" },
	{ P "true", "kind=spawn cmd=true fg" },
	{ P "ls -d --nonsense", "cmd=ls,-d,--nonsense fg" },
	{ P "-- ls -l", "cmd=ls,-l" },
	{ P "-m 1500 -- -q", "cmd=-q mtu=1500" },
	{ P "- x", "cmd=-,x" },
	{ P "1234", "kind=pid pid=1234 cmd=SHELL" },
	{ P "-- 1234", "kind=pid pid=1234" },
	{ P "1234 x", "kind=spawn cmd=1234,x" },
	{ P "1234x", "kind=spawn cmd=1234x" },
	{ P "0", "!Invalid PID '0': expected 1 to 4194304" },
	{ P "4194305", "!Invalid PID '4194305': expected 1 to 4194304" },
	{ P "99999999999999999999",
	  "!Invalid PID '99999999999999999999': expected 1 to 4194304" },
	{ V "x", "!Extra non-option argument: x" },
	{ V "-- -x", "!Extra non-option argument: -x" },

	/* How options may be written */
	{ P "--mtu=1500", "mtu=1500" },
	{ P "--mtu 1500", "mtu=1500" },
	{ P "-m1500", "mtu=1500" },
	{ P "-dfm 1500 x", "debug fg mtu=1500 cmd=x" },
	{ P "--mt 1400", "mtu=1400" },
	{ P "--deb", "debug" },
	{ P "-m 1500 -m 1400", "mtu=1400" },
	{ P "--runas=1:2", "runas=1:2" },
	{ P "--nonsense", "?/usr/bin/pasta: unrecognized option '--nonsense'" },
	{ P "--nonsense=1",
	  "?/usr/bin/pasta: unrecognized option '--nonsense=1'" },
	{ P "--map-guest-addrs 192.0.2.1",
	  "?/usr/bin/pasta: unrecognized option '--map-guest-addrs'" },
	{ P "-x", "?/usr/bin/pasta: invalid option -- 'x'" },
	{ P "-dx", "?/usr/bin/pasta: invalid option -- 'x'" },
	{ P "--map 1500",
	  "!/usr/bin/pasta: option '--map' is ambiguous; possibilities: '--map-host-loopback' "
	  "'--map-guest-addr'" },
	{ P "--mtu", "!/usr/bin/pasta: option '--mtu' requires an argument" },
	{ P "-m", "!/usr/bin/pasta: option requires an argument -- 'm'" },
	{ P "--debug=1",
	  "!/usr/bin/pasta: option '--debug' doesn't allow an argument" },
	{ P "--no-peek", "?/usr/bin/pasta: unrecognized option '--no-peek'" },
	{ P "--no-peek-off", "no_peek_off" },
	{ "passt --sock x", "sock=x" },
	{ "passt --socket-p x", "sock=x" },
	{ "pasta\x1b[2J --map x", "!pasta?[2J: option '--map' is ambiguous;"
	  " possibilities: '--map-host-loopback' '--map-guest-addr'" },
	{ P "--\x1b[2J", "?/usr/bin/pasta: unrecognized option '--?[2J'" },

	/* Modes of options */
	{ V "--config-net", "!--config-net is for pasta mode only" },
	{ V "-T none", "!--tcp-ns is for pasta mode only" },
	{ V "-I tap0", "!--ns-ifname is for pasta mode only" },
	{ V "--netns x", "!--netns is for pasta mode only" },
	{ P "-1", "!--one-off is for passt mode only" },
	{ P "-s x", "!--socket is for passt mode only" },
	{ P "--no-dhcp-dns", "!--no-dhcp-dns is for passt mode only" },
	{ P "--no-dhcp-search", "!--no-dhcp-search is for passt mode only" },
	{ V "--dhcp-dns", "!--dhcp-dns is for pasta mode only" },
	{ V "--dhcp-search", "!--dhcp-search is for pasta mode only" },
	{ V "--userns x", "!--userns is for pasta mode only" },
	{ V "--splice-only", "!--splice-only is for pasta mode only" },
	{ V "-U auto", "!--udp-ns is for pasta mode only" },
	{ V "-1", "one_off dhcp_dns dhcp_search" },
	{ V "--no-dhcp-dns --no-dhcp-search", "no_dhcp_dns no_dhcp_search" },
	{ V "--no-dhcp-dns", "no_dhcp_dns dhcp_search" },

	/* Process */
	{ P "-d x", "debug" },
	{ P "--trace", "debug trace" },
	{ P "-q", "quiet" },
	{ P "-f 1", "fg" },
	{ P "-qd", "debug quiet" },
	{ P "--trace -q", "trace quiet" },
	{ P "-l /tmp/x --log-size 40960", "log=/tmp/x,40960" },
	{ P "-l /tmp/x", "log=/tmp/x,1048576" },
	{ P "--log-size 40959",
	  "!Invalid value '40959' for --log-size: expected a number of bytes, 40960 or more" },
	{ P "--log-size 1M",
	  "!Invalid value '1M' for --log-size: expected a number of bytes, 40960 or more" },
	{ P "--log-file=",
	  "!Invalid value '' for --log-file: expected a path" },
	{ P "-P /run/x.pid -p x.pcap", "pidfile=/run/x.pid pcap=x.pcap" },
	{ P "--pid=", "!Invalid value '' for --pid: expected a path" },
	{ P "--runas :x",
	  "!Invalid value ':x' for --runas: expected UID[:GID] or LOGIN[:GROUP]" },
	{ P "--runas=",
	  "!Invalid value '' for --runas: expected UID[:GID] or LOGIN[:GROUP]" },
	{ P "-F 101", "kind=fd fd=101 one_off" },
	{ P "-F 100", "kind=fd fd=100" },
	{ P "-F 102",
	  "!Invalid value '102' for --fd: expected the number of an open tap device or socket" },
	{ "passt -F 101",
	  "!Invalid value '101' for --fd: expected the number of an open socket" },
	{ P "-F 103",
	  "!Invalid value '103' for --fd: expected the number of an open tap device or socket" },
	{ P "-F -1",
	  "!Invalid value '-1' for --fd: expected the number of an open tap device or socket" },
	{ P "-F 100 true",
	  "!--fd comes without PID and COMMAND, but 'true' is given" },
	{ P "-F 100 --config-net",
	  "!--config-net and --fd exclude each other" },
	{ P "-F 100 --splice-only",
	  "!--splice-only and --fd exclude each other" },
	{ P "-F 100 --netns x", "!--fd and --netns exclude each other" },
	{ P "-F 100 --netns-only", "kind=fd netns_only" },
	{ V "-s /tmp/x", "!--fd and --socket exclude each other" },
	{ "passt -s /tmp/x", "sock=/tmp/x" },
	{ "passt --socket=/tmp/x -s /tmp/y", "sock=/tmp/y" },
	{ "passt --socket-path /tmp/x --one-off", "sock=/tmp/x one_off" },
	{ "passt --chmod 0660", "mode=660" },
	{ "passt --chmod 777", "mode=777" },
	{ "passt --chmod 1777",
	  "!Invalid value '1777' for --chmod: expected permissions in octal, as 0600 or 660" },
	{ "passt --chmod u=rw",
	  "!Invalid value 'u=rw' for --chmod: expected permissions in octal, as 0600 or 660" },
	{ "passt --chmod 66",
	  "!Invalid value '66' for --chmod: expected permissions in octal, as 0600 or 660" },
	{ P "--chmod 660", "!--chmod is for passt mode only" },
	{ "passt --socket=",
	  "!Invalid value '' for --socket: expected a path of up to 107 characters" },
	{ "passt -s /" N60 N40 "123456", "sock=/" N60 N40 "123456" },
	{ "passt -s /" N60 N40 "1234567", "!Invalid value '/" N60 N40 "1234567'"
	  " for --socket: expected a path of up to 107 characters" },
	{ "passt -c /tmp/x", "control=/tmp/x" },
	{ P "--conf-path /tmp/x true", "control=/tmp/x" },
	{ P "-c /" N60 N40 "1234567", "!Invalid value '/" N60 N40 "1234567'"
	  " for --conf-path: expected a path of up to 107 characters" },
	{ P "--conf-path=", "!Invalid value '' for --conf-path: expected"
	  " a path of up to 107 characters" },
	{ P "--control-fd x", "!Invalid value 'x' for --control-fd: expected"
	  " the number of an open socket" },
	{ P "--control-fd 99999", "!Invalid value '99999' for --control-fd:"
	  " expected the number of an open socket" },
	{ P "-f --stats 1", "stats=1 fg" },
	{ P "--stats 86400 true", "stats=86400" },
	{ P "--stats 1 42", "!--stats needs --foreground" },
	{ P "-f --stats 0",
	  "!Invalid value '0' for --stats: expected 1 to 86400 seconds" },
	{ P "-f --stats 86401",
	  "!Invalid value '86401' for --stats: expected 1 to 86400 seconds" },
	{ P "-f --stats 1s",
	  "!Invalid value '1s' for --stats: expected 1 to 86400 seconds" },

	/* Namespaces */
	{ P "--netns /proc/1/ns/net", "kind=path netns=/proc/1/ns/net no_fg" },
	{ P "--netns ./x", "kind=path netns=./x" },
	{ P "--netns blue", "kind=path netns=/run/netns/blue" },
	{ P "--netns blue --netns /x", "netns=/x" },
	{ P "--netns /x --netns blue", "netns=/run/netns/blue" },
	{ P "--netns=", "!Invalid value '' for --netns: expected a path, or a "
	  "name in /run/netns" },
	{ P "--netns ..", "!Invalid value '..' for --netns: expected a path, or "
	  "a name in /run/netns" },
	{ P "--netns /x 42",
	  "!--netns comes without PID and COMMAND, but '42' is given" },
	{ P "--netns /x -- ls",
	  "!--netns comes without PID and COMMAND, but 'ls' is given" },
	{ P "--userns=/proc/42/ns/user --netns=/proc/42/ns/net",
	  "kind=path netns=/proc/42/ns/net userns=/proc/42/ns/user" },
	{ P "--userns /x 42", "kind=pid userns=/x" },
	{ P "--userns=", "!Invalid value '' for --userns: expected a path" },
	{ P "--userns /x", "!--userns needs --netns or PID" },
	{ P "--userns /x true", "!--userns needs --netns or PID" },
	{ P "--netns /x --netns-only", "kind=path netns_only" },
	{ P "--netns-only 42", "kind=pid netns_only" },
	{ P "--netns-only", "kind=spawn cmd=SHELL netns_only" },
	{ P "--config-net --netns-only -- bwrap --unshare-user sh",
	  "kind=spawn cmd=bwrap,--unshare-user,sh netns_only config_net" },
	{ P "--netns-only --userns /y --netns /x", "netns_only netns=/x" },
	{ P "--netns-only --userns /y true", "netns_only kind=spawn" },
	{ P "--netns /x --no-netns-quit", "no_netns_quit" },

	/* Link */
	{ P "-m 0", "mtu=0" },
	{ P "-m 65521", "mtu=65521" },
	{ P "-m 1280", "mtu=1280 v4 v6" },
	{ P "-m 1279", "mtu=1279 v4 no_v6" },
	{ P "-m 68 -4", "mtu=68 v4 no_v6" },
	{ P "-m 1279 -6",
	  "!Invalid value '1279' for --mtu: expected 1280 or more with IPv6" },
	{ P "-m 600 -a 2001:db8::1", "mtu=600 v4 no_v6" },
	{ P "-m 65522",
	  "!Invalid value '65522' for --mtu: expected 0 (none), or 68 to 65521" },
	{ P "-m 67",
	  "!Invalid value '67' for --mtu: expected 0 (none), or 68 to 65521" },
	{ P "-m 1500x",
	  "!Invalid value '1500x' for --mtu: expected 0 (none), or 68 to 65521" },
	{ P "-m -5",
	  "!Invalid value '-5' for --mtu: expected 0 (none), or 68 to 65521" },
	{ P "-m 0x5dc",
	  "!Invalid value '0x5dc' for --mtu: expected 0 (none), or 68 to 65521" },
	{ P "--mtu=",
	  "!Invalid value '' for --mtu: expected 0 (none), or 68 to 65521" },
	{ P "x", "mac=9a:55:9a:55:9a:55" },
	{ P "-M 02:00:5E:00:53:01", "mac=02:00:5e:00:53:01" },
	{ P "-M 03:00:5e:00:53:01",
	  "!Invalid value '03:00:5e:00:53:01' for --mac-addr: " MAC },
	{ P "-M 00:00:00:00:00:00",
	  "!Invalid value '00:00:00:00:00:00' for --mac-addr: " MAC },
	{ P "-M 02:00:5e:00:53",
	  "!Invalid value '02:00:5e:00:53' for --mac-addr: " MAC },
	{ P "-M 02:00:5e:00:53:01:",
	  "!Invalid value '02:00:5e:00:53:01:' for --mac-addr: " MAC },
	{ P "-M 2:0:5e:0:53:1",
	  "!Invalid value '2:0:5e:0:53:1' for --mac-addr: " MAC },
	{ P "--ns-mac-addr 02:00:5e:00:53:02", "ns_mac=02:00:5e:00:53:02" },
	{ P "--ns-mac-addr ff:ff:ff:ff:ff:ff",
	  "!Invalid value 'ff:ff:ff:ff:ff:ff' for --ns-mac-addr: " MAC },
	{ P "--ns-mac-addr 9a:55:9a:55:9a:55",
	  "!--ns-mac-addr and --mac-addr must differ" },
	{ P "-i eth0 -I eth1", "template=eth0 ns_if=eth1" },
	{ P "-i 123456789012345", "template=123456789012345" },
	{ P "-i 1234567890123456",
	  "!Invalid value '1234567890123456' for --interface: expected the name of an interface" },
	{ P "-i b\xc3\xbcro -I \xc3\xa9", "template=b\xc3\xbcro ns_if=\xc3\xa9" },
	{ P "-i a\xa0""b", "!Invalid value 'a\xa0""b' for --interface:"
	  " expected the name of an interface" },
	{ P "-i a/b",
	  "!Invalid value 'a/b' for --interface: expected the name of an interface" },
	{ P "--interface=",
	  "!Invalid value '' for --interface: expected the name of an interface" },
	{ P "-I lo",
	  "!Invalid value 'lo' for --ns-ifname: "
	  "expected a name for an interface, 1 to 15 characters" },
	{ P "-I tap%d",
	  "!Invalid value 'tap%d' for --ns-ifname: "
	  "expected a name for an interface, 1 to 15 characters" },

	/* Addresses */
	{ P "-4", "v4 no_v6" },
	{ P "-6", "no_v4 v6" },
	{ P "-4 -6", "!--ipv4-only and --ipv6-only exclude each other" },
	{ P "-a 192.0.2.1", "a4=192.0.2.1/0" },
	{ P "-a 192.0.2.1/24", "a4=192.0.2.1/24" },
	{ P "-a 192.0.2.1 -n 24", "a4=192.0.2.1/24" },
	{ P "-n 255.255.255.128 -a 192.0.2.1", "a4=192.0.2.1/25" },
	{ P "-n 16 -n 255.0.0.0", "n4=8" },
	{ P "-n 255.255.255.255", "n4=32" },
	{ P "-a 192.0.2.1/32", "a4=192.0.2.1/32" },
	{ P "-a 2001:db8::1", "a6=2001:db8::1/64" },
	{ P "-a 2001:db8::1/48", "a6=2001:db8::1/64" },
	{ P "-a 192.0.2.1 -a 2001:db8::1", "a4=192.0.2.1/0 a6=2001:db8::1/64" },
	{ P "-a 192.0.2.1 -n 24 -a 2001:db8::1 -n 64",
	  "a4=192.0.2.1/24 a6=2001:db8::1/64" },
	{ P "-a 2001:db8::1 -a 192.0.2.1 -n 24",
	  "a4=192.0.2.1/24 a6=2001:db8::1/64" },
	{ P "-a 192.0.2.1/24 -n 24",
	  "!Redundant prefix length specification: --netmask, and --address with a length" },
	{ P "-n 24 -a 192.0.2.1/24",
	  "!Redundant prefix length specification: --netmask, and --address with a length" },
	{ P "-a 192.0.2.1 -a 192.0.2.2",
	  "!--address is given twice for IPv4: expected once for each family" },
	{ P "-a 2001:db8::1 -a 2001:db8::2",
	  "!--address is given twice for IPv6: expected once for each family" },
	{ P "-a 192.0.2.255/24", "a4=192.0.2.255/24" },
	{ P "-a 192.0.2.0 -n 24", "a4=192.0.2.0/24" },
	{ P "--config-net -4 -a 10.0.2.0 -n 24 -g 10.0.2.2 --dns-forward 10.0.2.3",
	  "a4=10.0.2.0/24 g4=10.0.2.2 fwd4=10.0.2.3 no_v6" },
	{ P "-a 192.0.2.1/24 -g 203.0.113.1", "a4=192.0.2.1/24 g4=203.0.113.1" },
	{ P "-a 192.0.2.1/24 -g 192.0.2.255", "g4=192.0.2.255" },
	{ P "-a 240.0.0.1/4", "a4=240.0.0.1/4" },
	{ P "-a 192.0.2.1/0", "!Invalid value '192.0.2.1/0' for " ADDR },
	{ P "-a 192.0.2.1/33", "!Invalid value '192.0.2.1/33' for " ADDR },
	{ P "-a 192.0.2.1/", "!Invalid value '192.0.2.1/' for " ADDR },
	{ P "-a 192.0.2", "!Invalid value '192.0.2' for " ADDR },
	{ P "-a 127.0.0.1", "!Invalid value '127.0.0.1' for " ADDR },
	{ P "-a ::1", "!Invalid value '::1' for " ADDR },
	{ P "-a ::", "!Invalid value '::' for " ADDR },
	{ P "-a 0.0.0.0", "!Invalid value '0.0.0.0' for " ADDR },
	{ P "-a 255.255.255.255",
	  "!Invalid value '255.255.255.255' for " ADDR },
	{ P "-a 233.252.0.1", "!Invalid value '233.252.0.1' for " ADDR },
	{ P "-a ff02::1", "!Invalid value 'ff02::1' for " ADDR },
	{ P "-a fe80::1", "!Invalid value 'fe80::1' for " ADDR },
	{ P "-a ::ffff:192.0.2.1",
	  "!Invalid value '::ffff:192.0.2.1' for " ADDR },
	{ P "-a 2001:db8::1/129",
	  "!Invalid value '2001:db8::1/129' for " ADDR },
	{ P "-a 2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0001",
	  "!Invalid value '2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0001' for " ADDR },
	{ P "--address=", "!Invalid value '' for " ADDR },
	{ P "-n 0",
	  "!Invalid value '0' for --netmask: expected 1 to 32, or a mask as in 255.255.255.0" },
	{ P "-n 33",
	  "!Invalid value '33' for --netmask: expected 1 to 32, or a mask as in 255.255.255.0" },
	{ P "-n 255.0.255.0",
	  "!Invalid value '255.0.255.0' for --netmask: "
	  "expected 1 to 32, or a mask as in 255.255.255.0" },
	{ P "-n 0.0.0.0",
	  "!Invalid value '0.0.0.0' for --netmask: "
	  "expected 1 to 32, or a mask as in 255.255.255.0" },
	{ P "-g 192.0.2.254 -g fe80::1", "g4=192.0.2.254 g6=fe80::1" },
	{ P "-g 192.0.2.254 -g 192.0.2.253",
	  "!--gateway is given twice for IPv4: expected once for each family" },
	{ P "-g 127.0.0.1",
	  "!Invalid value '127.0.0.1' for --gateway: expected a unicast address" },
	{ P "-g 192.0.2.1/24",
	  "!Invalid value '192.0.2.1/24' for --gateway: expected a unicast address" },
	{ P "-g ff02::2",
	  "!Invalid value 'ff02::2' for --gateway: expected a unicast address" },
	{ P "-6 -a 192.0.2.1 -g 192.0.2.2", "no_v4 v6" },
	{ P "--map-host-loopback 192.0.2.9", "map4=192.0.2.9" },
	{ P "--map-host-loopback 192.0.2.9 --map-host-loopback none",
	  "map4=none map6=none no_map_gw" },
	{ P "--map-host-loopback ::1",
	  "!Invalid value '::1' for --map-host-loopback: expected a unicast address, or 'none'" },
	{ P "--no-map-gw", "no_map_gw" },
	{ P "--map-guest-addr 192.0.2.2 --map-guest-addr 2001:db8::2",
	  "guest4=192.0.2.2 guest6=2001:db8::2" },
	{ P "--map-guest-addr 192.0.2.2 --map-guest-addr none",
	  "guest4=none guest6=none" },
	{ P "--map-guest-addr 192.0.2.2 --map-guest-addr 192.0.2.3",
	  "guest4=192.0.2.3" },
	{ P "--map-guest-addr 127.0.0.1",
	  "!Invalid value '127.0.0.1' for --map-guest-addr: expected a unicast address, or 'none'" },
	{ P "-o 192.0.2.7 -o 2001:db8::7", "out4=192.0.2.7 out6=2001:db8::7" },
	{ P "--outbound 192.0.2.7 --outbound 192.0.2.8", "out4=192.0.2.8" },
	{ P "-o 127.0.0.1 -o ::1", "out4=127.0.0.1 out6=::1" },
	{ P "-o ff02::1",
	  "!Invalid value 'ff02::1' for --outbound: expected a unicast address" },
	{ P "-o none",
	  "!Invalid value 'none' for --outbound: expected a unicast address" },
	{ P "-o eth0",
	  "!Invalid value 'eth0' for --outbound: expected a unicast address" },
	{ P "--outbound-if4 eth0 --outbound-if6 wg0",
	  "outif4=eth0 outif6=wg0" },
	{ P "--outbound-if4 a/b",
	  "!Invalid value 'a/b' for --outbound-if4: expected the name of an interface" },
	{ P "--outbound-if6=",
	  "!Invalid value '' for --outbound-if6: expected the name of an interface" },

	/* Names */
	{ P "x", "no_dhcp_dns no_dhcp_search dns=DEFAULT search=DEFAULT" },
	{ P "--dhcp-dns", "dhcp_dns no_dhcp_search" },
	{ P "--dhcp-search", "no_dhcp_dns dhcp_search" },
	{ P "-D 192.0.2.53 -D 2001:db8::53 --dns 127.0.0.53",
	  "dns=192.0.2.53,2001:db8::53,127.0.0.53" },
	{ P "-D none", "dns=" },
	{ P "--dns=", "dns=" },
	{ P "-D 192.0.2.53 -D none -D 192.0.2.54", "dns=192.0.2.54" },
	{ P "-D 192.0.2.53 --dns=", "dns=" },
	{ P "-D fe80::1", "dns=fe80::1" },
	{ P "-D dns.example",
	  "!Invalid value 'dns.example' for --dns: expected the address of a name server, or 'none'" },
	{ P "-D 192.0.2.53,192.0.2.54",
	  "!Invalid value '192.0.2.53,192.0.2.54' for --dns:"
	  " expected the address of a name server, or 'none'" },
	{ P "-D ff02::fb",
	  "!Invalid value 'ff02::fb' for --dns: expected the address of a name server, or 'none'" },
	{ P "-D ::1 -D ::1 -D ::1 -D ::1 -D ::1 -D ::1 -D ::1 -D ::1 -D 192.0.2.53",
	  "dns=::1,::1,::1,::1,::1,::1,::1,::1,192.0.2.53" },
	{ P "-D ::1 -D ::1 -D ::1 -D ::1 -D ::1 -D ::1 -D ::1 -D ::1 -D ::9",
	  "!Too many name servers for --dns with '::9': expected up to 8 of each family" },
	{ P "--dns-forward 169.254.1.1 --dns-forward 2001:db8::1",
	  "fwd4=169.254.1.1 fwd6=2001:db8::1" },
	{ P "--dns-forward 169.254.1.1 --dns-forward none", "fwd4=none" },
	{ P "--dns-forward ::1",
	  "!Invalid value '::1' for --dns-forward: expected a unicast address, or 'none'" },
	{ P "--dns-host 127.0.0.53 --dns-host ::1", "dns4=127.0.0.53 dns6=::1" },
	{ P "--dns-host 127.0.0.53 --dns-host none", "dns4=none dns6=none" },
	{ P "--dns-host=",
	  "!Invalid value '' for --dns-host: expected the address of a name server" },
	{ P "-S example.org -S lab.example.net.",
	  "search=example.org,lab.example.net" },
	{ P "-S none", "search=" },
	{ P "--search=", "search=" },
	{ P "-S .", "search=" },
	{ P "-S example.org -S none -S a", "search=a" },
	{ P "-S _msdcs.example.org", "search=_msdcs.example.org" },
	{ P "-S a,b", "!Invalid domain 'a,b' in --search: expected names with"
	  " dots between them, or 'none'" },
	{ P "-S a..b", "!Invalid domain 'a..b' in --search: expected names with"
	  " dots between them, or 'none'" },
	{ P "-S -a", "search=-a" },
	{ P "-S b\xc3\xbcro.example.", "search=b\xc3\xbcro.example" },
	{ P "-H vm1", "host=vm1" },
	{ P "-H vm1 --hostname vm2.example.org.", "host=vm2.example.org" },
	{ P "--fqdn vm1.example.org", "fqdn=vm1.example.org" },
	{ P "-H a_b", "host=a_b" },
	{ P "-H 7", "host=7" },
	{ P "--hostname=",
	  "!Invalid value '' for --hostname: expected a host name" },
	{ P "-H a-", "host=a-" },
	{ P "-H a+b.example", "host=a+b.example" },
	{ P "-H a\tb", "!Invalid value 'a?b' for --hostname: expected a host name" },
	{ P "-H a/b", "!Invalid value 'a/b' for --hostname: expected a host name" },
	{ P "--fqdn .x", "!Invalid value '.x' for --fqdn: expected a host name" },
	{ P "-H " N60 "abc", "host=" N60 "abc" },
	{ P "-H " N60 "abcd",
	  "!Invalid value '" N60 "abcd' for --hostname: expected a host name" },
	{ P "-H " N60 ".abcde", "host=" N60 ".abcde" },
	{ V "-H " N60 ".abcde", "host=" N60 ".abcde" },
	{ V "--fqdn " N60 "." N60 "." N60 "." N60 ".abcdefghi",
	  "fqdn=" N60 "." N60 "." N60 "." N60 ".abcdefghi" },
	{ V "--fqdn " N60 "." N60 "." N60 "." N60 ".abcdefghij",
	  "!Invalid value '" N60 "." N60 "." N60 "." N60 ".abcdefghij'"
	  " for --fqdn: expected a host name" },

	/* Protocols */
	{ P "--no-tcp --no-udp", "no_tcp no_udp" },
	{ P "--no-icmp", "no_icmp no_ndp no_ra" },
	{ P "--no-ndp", "no_ndp no_ra" },
	{ P "--no-ra", "no_ra" },
	{ P "--no-dhcp --no-dhcpv6", "no_dhcp no_dhcpv6" },
	{ P "--config-net", "config_net no_ra" },
	{ P "--config-net --no-copy-routes", "no_copy_routes" },
	{ P "--config-net --no-copy-addrs", "no_copy_addrs" },
	{ P "--no-copy-addrs", "no_copy_addrs" },
	{ P "--no-copy-routes 42", "no_copy_routes" },
	{ P "--freebind", "freebind" },
	{ P "--no-splice", "no_splice" },
	{ P "--splice-only", "splice_only" },
	{ P "--splice-only --no-splice",
	  "!--splice-only and --no-splice exclude each other" },
	{ P "--host-lo-to-ns-lo", "lo_to_lo" },
	{ P "--host-lo-to-ns-lo --no-splice",
	  "!--host-lo-to-ns-lo and --no-splice exclude each other" },
	{ P "--host-lo-to-ns-lo -F 100", "lo_to_lo no_splice" },
	{ V "--sandbox strict", "sandbox_strict" },
	{ P "--sandbox=strict --sandbox=auto", "kind=spawn" },
	{ P "--sandbox=none",
	  "!Invalid value 'none' for --sandbox: expected strict or auto" },
	{ P "--tap-offload=uso", "offload=0" },
	{ P "--tap-offload none", "offload=4" },
	{ P "--tap-offload=all",
	  "!Invalid value 'all' for --tap-offload: expected uso, tso, csum, vnet or none" },

	/* Ports */
	{ P "x", "ports=tauto,Tauto,uauto,Uauto" },
	{ P "42", "ports=tauto,Tauto,uauto,Uauto" },
	{ V "-4", "ports=" },
	{ P "-F 100", "ports=" },
	{ P "-F 100 -t 80", "ports=t80>80" },
	{ P "-t none -u none -T none -U none -t none", "kind=spawn ports=" },
	{ P "-t 80", "ports=t80>80,Tauto,uauto,Uauto" },
	{ P "-T none -T 80", "ports=T80>80,tauto,uauto,Uauto" },
	{ P "--tcp-ports=8080:80 --udp-ports auto --tcp-ns=none --udp-ns=53",
	  "ports=t8080>80,uauto,U53>53" },
	{ P "--no-splice", "ports=tauto,uauto" },
	{ P "--no-tcp", "ports=uauto,Uauto" },
	{ P "--no-udp -u 53", "ports=tauto,Tauto" },
	{ V "-t all -u 53", "ports=tall,u53>53" },
	{ V "-t auto", "!Invalid value 'auto' for --tcp-ports: 'auto' is for"
	  " pasta mode only, passt has 'all'" },
	{ P "-u 0", "!Invalid value '0' for --udp-ports: '0' is no port:"
	  " expected 1 to 65535" },
	{ P "--tcp-ns=::1/80", "!Invalid value '::1/80' for --tcp-ns: '::1' is"
	  " too much: expected ports alone, without address and interface" },
	{ P "-4 -t ::1/80", "!Invalid value '::1/80' for --tcp-ports:"
	  " an IPv6 address, and there is no IPv6" },
	{ P "-u 127.0.0.1/80 -6", "!Invalid value '127.0.0.1/80' for --udp-ports:"
	  " an IPv4 address, and there is no IPv4" },
	{ P "-U 53 --no-splice",
	  "!Invalid value '53' for --udp-ns: not with --no-splice" },
	{ P "-T 53 -F 100", "!Invalid value '53' for --tcp-ns: not with --fd:"
	  " expected 'none'" },
	{ P "-t auto -F 100", "!Invalid value 'auto' for --tcp-ports: not with"
	  " --fd: expected 'none' or ports" },

	{ P "-t [::]/8080:80 -t 0.0.0.0/8080:80 -T none -u none -U none",
	  "ports=t::/8080>80,t0.0.0.0/8080>80" },
	{ P "-4 -t [::]/80", "!Invalid value '[::]/80' for --tcp-ports:"
	  " an IPv6 address, and there is no IPv6" },

	/* Expected results */
	{ V "--vhost-user --repair-path x", "vhost_user repair=x" },
	{ V "--vhost-user --repair-path x --repair-path none", "vhost_user no_repair" },
	{ V "--vhost-user --repair-path none --repair-path x", "vhost_user repair=x" },
	{ V "--repair-path none", "no_repair" },
	{ V "--repair-path x", "!--repair-path needs --vhost-user" },
	{ V "--repair-path=", "!Invalid value '' for --repair-path: expected"
	  " a path of up to 107 characters, or 'none'" },
	{ P "--repair-path x", "!--repair-path is for passt mode only" },
	{ V "--migrate-exit", "kind=fd" },
	{ V "--migrate-no-linger", "kind=fd" },
	{ P "--migrate-exit", "!--migrate-exit is for passt mode only" },

	/* Callers */
	{ "pasta --stderr --ns-ifname=tap0 --mtu=65520 --config-net --address=10.0.2.100 "
	  "--netmask=24 --gateway=10.0.2.2 --dns-forward=10.0.2.3 --no-map-gw --ipv4-only "
	  "--tcp-ports=none --udp-ports=auto --host-lo-to-ns-lo 42",
	  "kind=pid pid=42 ns_if=tap0 a4=10.0.2.100/24 g4=10.0.2.2 fwd4=10.0.2.3 no_map_gw "
	  "no_v6 config_net lo_to_lo ports=uauto,Tauto,Uauto" },
	{ "pasta --config-net -t 127.0.0.1/8080-8081:80-81 -u [::1]/53:53 "
	  "--dns-forward 169.254.1.1 -t none -u none -T none -U none --no-map-gw --quiet "
	  "--netns /run/user/1000/netns/netns-x --map-guest-addr 169.254.1.2",
	  "kind=path netns=/run/user/1000/netns/netns-x guest4=169.254.1.2 quiet ports=" },
	{ "pasta --config-net -t 127.0.0.1/8080-8081:80-81 -u 5353-5353:53-53 "
	  "--dns-forward 169.254.1.1 -T none -U none --no-map-gw --quiet "
	  "--netns /proc/42/ns/net",
	  "ports=t127.0.0.1/8080>80,u5353>53 fwd4=169.254.1.1 guest4=none" },
	{ "pasta --splice-only -T 8080 -- bwrap --unshare-net sh",
	  "splice_only cmd=bwrap,--unshare-net,sh ports=T8080>8080,tauto,uauto,Uauto" },
	{ "passt --one-off --socket /run/x.socket --pid /run/x.pid --mtu 1500 "
	  "--interface eth0 --log-file /tmp/x.log --hostname vm --fqdn vm.example.org "
	  "--address 192.0.2.9 --netmask 24 --address 2001:db8::9 --netmask 64 "
	  "--tcp-ports 192.0.2.1/22:2022,1000-1010 --udp-ports %eth0/~53",
	  "sock=/run/x.socket one_off a4=192.0.2.9/24 a6=2001:db8::9/64 host=vm "
	  "ports=t192.0.2.1/22>2022,t192.0.2.1/1000>1000,u%eth0/all,u%eth0/all" },
	{ "passt --quiet -t none --tcp-ports 80,443 --pid /tmp/passt-x.pid --fd 100",
	  "quiet pidfile=/tmp/passt-x.pid fd=100 ports=t80>80,t443>443" },
	{ "passt -q -f --fd 100", "quiet fg fd=100" },
};

static char described[4096];

__attribute__((format(printf, 1, 2)))
static void token(const char *fmt, ...)
{
	size_t n = strlen(described);
	va_list ap;

	described[n++] = ' ';
	va_start(ap, fmt);
	vsnprintf(described + n, sizeof(described) - n, fmt, ap);
	va_end(ap);
}

static const char *addr_or_none(const union inany *a, char s[INANY_STRLEN])
{
	return inany_is_set(a) ? inany_ntop(a, s, INANY_STRLEN) : "none";
}

/* More of the last word */
__attribute__((format(printf, 1, 2)))
static void more(const char *fmt, ...)
{
	size_t n = strlen(described);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(described + n, sizeof(described) - n, fmt, ap);
	va_end(ap);
}

static void describe_names(const struct conf *c)
{
	char s[INANY_STRLEN];

	token("dns=%s", c->dns_given ? "" : "DEFAULT");
	for (unsigned i = 0; i < c->ndns; i++)
		more("%s%s", i ? "," : "", addr_or_none(&c->dns[i], s));
	token("search=%s", c->search_given ? "" : "DEFAULT");
	for (unsigned i = 0; i < c->nsearch; i++)
		more("%s%s", i ? "," : "", c->search[i]);
	token("host=%s", c->hostname);
	token("fqdn=%s", c->fqdn);
}

static void describe_ports(void)
{
	const struct fwd_rule *r = NULL;
	char s[INANY_STRLEN];

	token("%s", "ports=");
	while ((r = rules_next(&rules, r))) {
		char letter = r->proto == IPPROTO_TCP ? 't' : 'u';

		more("%s%c", r != rules_next(&rules, NULL) ? "," : "",
		     letter - (r->from_ns ? 32 : 0));
		if (inany_is_set(&r->addr) || r->only6 || *r->ifname)
			more("%s%s%s/", r->only6 ? "::" : inany_is_set(&r->addr) ?
			     addr_or_none(&r->addr, s) : "",
			     *r->ifname ? "%" : "", r->ifname);
		if (r->weak)
			more("%s", r->scan ? "auto" : "all");
		else
			more("%u>%u", r->first, r->to);
	}
}

static void describe_ip(const struct conf_ip *ip, int v)
{
	char s[INANY_STRLEN];

	token(ip->enabled ? "v%d" : "no_v%d", v);
	if (ip->addr_given)
		token("a%d=%s/%u", v, inany_ntop(&ip->addr, s, sizeof(s)),
		      ip->prefix_len);
	if (ip->prefix_given)
		token("n%d=%u", v, ip->prefix_len);
	if (ip->gw_given)
		token("g%d=%s", v, inany_ntop(&ip->gw, s, sizeof(s)));
	if (ip->map_given)
		token("map%d=%s", v, inany_is_set(&ip->map_host_loopback) ?
		      inany_ntop(&ip->map_host_loopback, s, sizeof(s)) :
		      "none");
	token("guest%d=%s", v, addr_or_none(&ip->map_guest_addr, s));
	token("out%d=%s", v, addr_or_none(&ip->outbound_addr, s));
	token("fwd%d=%s", v, addr_or_none(&ip->dns_forward, s));
	token("dns%d=%s", v, addr_or_none(&ip->dns_host, s));
	token("outif%d=%s", v, ip->outbound_if);
	if (ip->no_copy_addrs)
		token("no_copy_addrs");
	if (ip->no_copy_routes)
		token("no_copy_routes");
}

static void describe_namespace(const struct conf *c)
{
	static const char *const kinds[] = {
		[NETNS_SPAWN] = "spawn", [NETNS_PID] = "pid",
		[NETNS_PATH] = "path", [NETNS_FD] = "fd",
	};

	token("kind=%s", kinds[c->netns_kind]);
	if (c->netns_kind == NETNS_PID)
		token("pid=%d", (int)c->netns_pid);
	if (c->netns_path)
		token("netns=%s", c->netns_path);
	if (c->userns_path)
		token("userns=%s", c->userns_path);
	token("cmd=%s", c->command ? c->command[0] : "SHELL");
	for (int i = 1; c->command && c->command[i]; i++)
		more(",%s", c->command[i]);
	if (*c->ns_ifname)
		token("ns_if=%s", c->ns_ifname);
}

static void describe_strings(const struct conf *c)
{
	char mac[UTIL_MAC_STRLEN];

	token("mac=%s", util_mac_ntop(c->our_mac, mac));
	if (c->ns_mac_given)
		token("ns_mac=%s", util_mac_ntop(c->ns_mac, mac));
	if (*c->ifname_opt)
		token("template=%s", c->ifname_opt);
	if (c->log_file)
		token("log=%s,%zu", c->log_file, c->log_size);
	if (c->pid_file)
		token("pidfile=%s", c->pid_file);
	if (c->pcap_file)
		token("pcap=%s", c->pcap_file);
	token("sock=%s", c->sock_path ? c->sock_path : "FIRST");
	if (c->socket_mode != 0600)
		token("mode=%o", (unsigned)c->socket_mode);
	if (c->repair_path)
		token("repair=%s", c->repair_path);
	if (c->conf_path)
		token("control=%s", c->conf_path);
	if (c->control_fd >= 0)
		token("control_fd=%d", c->control_fd);
	token("stats=%u", c->stats_s);
	if (c->runas)
		token("runas=%s", c->runas);
}

/* Every field as a word, between blanks */
static void describe(const struct conf *c)
{
	const struct {
		bool set;
		const char *name;
	} flags[] = {
		{ c->foreground, "fg" }, { c->debug, "debug" },
		{ c->trace, "trace" }, { c->quiet, "quiet" },
		{ c->vhost_user, "vhost_user" }, { c->no_repair, "no_repair" },
		{ c->one_off, "one_off" }, { c->config_net, "config_net" },
		{ c->no_map_gw, "no_map_gw" }, { c->no_tcp, "no_tcp" },
		{ c->no_udp, "no_udp" }, { c->no_icmp, "no_icmp" },
		{ c->no_ndp, "no_ndp" }, { c->no_ra, "no_ra" },
		{ c->no_dhcp, "no_dhcp" }, { c->no_dhcpv6, "no_dhcpv6" },
		{ c->no_splice, "no_splice" },
		{ c->no_peek_off, "no_peek_off" },
		{ c->sandbox_strict, "sandbox_strict" },
		{ c->splice_only, "splice_only" }, { c->freebind, "freebind" },
		{ c->host_lo_to_ns_lo, "lo_to_lo" },
		{ c->netns_only, "netns_only" },
		{ c->no_netns_quit, "no_netns_quit" },
		{ c->dhcp_dns, "dhcp_dns" }, { !c->dhcp_dns, "no_dhcp_dns" },
		{ c->dhcp_search, "dhcp_search" },
		{ !c->dhcp_search, "no_dhcp_search" },
		{ !c->foreground, "no_fg" },
	};

	described[0] = 0;
	token("mode=%s", c->progname);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].set)
			token("%s", flags[i].name);
	token("fd=%d mtu=%u offload=%d", c->fd_tap, c->mtu, c->offload_max);
	describe_namespace(c);
	describe_strings(c);
	describe_names(c);
	describe_ports();
	describe_ip(&c->ip4, 4);
	describe_ip(&c->ip6, 6);
	token("%s", "");
}

/* Split at single blanks; @words has room for 64 */
static int split(char *line, char *words[])
{
	int n = 0;

	for (char *s = line; s && n < 63; ) {
		words[n++] = s;
		s = strchr(s, ' ');
		if (s)
			*s++ = 0;
	}
	words[n] = NULL;
	return n;
}

static bool has_all(const char *want)
{
	char copy[1024], *words[64], word[512];
	int n;

	util_strcpy(copy, sizeof(copy), want);
	n = split(copy, words);
	for (int i = 0; i < n; i++) {
		snprintf(word, sizeof(word), " %s ", words[i]);
		if (!strstr(described, word)) {
			printf("# missing \"%s\" in \"%s\"\n", words[i],
			       described);
			return false;
		}
	}
	return true;
}

static bool parses_as(const char *line, const char *want)
{
	char copy[1024], *argv[64], error[CONF_ERROR_LEN] = "";
	enum conf_result ret, wrong;
	struct conf c;
	int argc;

	util_strcpy(copy, sizeof(copy), line);
	argc = split(copy, argv);
	ret = conf_parse_argv(&c, &rules, argc, argv, error, sizeof(error));
	if (*want == '!' || *want == '?') {
		wrong = *want == '!' ? CONF_BAD : CONF_UNKNOWN;
		if (ret != wrong || strcmp(error, want + 1))
			printf("# result %d, message \"%s\"\n", ret, error);
		return ret == wrong && !strcmp(error, want + 1);
	}
	if (ret != CONF_RUN) {
		printf("# result %d, message \"%s\"\n", ret, error);
		return false;
	}
	describe(&c);
	return has_all(want);
}

static enum conf_result result_of(const char *line)
{
	char copy[256], *argv[64], error[CONF_ERROR_LEN];
	struct conf c;

	util_strcpy(copy, sizeof(copy), line);
	return conf_parse_argv(&c, &rules, split(copy, argv), argv, error,
			       sizeof(error));
}

static void help_and_version(void)
{
	is(result_of("pasta --help"), CONF_HELP, "--help is found");
	is(result_of("pasta -h --nonsense"), CONF_HELP,
	   "options behind --help do not matter");
	is(result_of("pasta --nonsense --help"), CONF_UNKNOWN,
	   "options before --help do matter");
	is(result_of("pasta --config-net --version"), CONF_VERSION,
	   "--version is found");
	is(result_of("passt --version"), CONF_VERSION,
	   "options behind --help do not matter for passt");
	is(result_of("passt --print-capabilities"), CONF_CAPABILITIES,
	   "--print-capabilities is found");
	is(result_of("pasta --host-lo-to-ns-lo --version"), CONF_VERSION,
	   "a caller may ask whether an option is known");
	is(result_of("pasta x --version"), CONF_RUN,
	   "options after a command are the command's");
}

/* The letters that callers use, a colon after those with a value */
static void letters(void)
{
	static const char all[] =
		"dqfel:hs:c:F:I:p:P:m:a:n:M:g:i:o:D:S:H:461t:u:T:U:";
	char word[3] = "-", *argv[] = { NULL, word, NULL };
	char error[CONF_ERROR_LEN];
	bool right = true;
	struct conf c;

	for (word[1] = '!'; word[1] < '\x7f'; word[1]++) {
		const char *at = strchr(all, word[1]);
		bool known, value;

		if (word[1] == '-' || word[1] == ':')
			continue;
		*error = 0;
		argv[0] = (char *)"pasta";
		known = conf_parse_argv(&c, &rules, 2, argv, error, sizeof(error)) !=
			CONF_UNKNOWN;
		value = strstr(error, "requires an argument");
		if (known == !!at && value == (at && at[1] == ':'))
			continue;
		printf("# %s: known %d, value %d\n", word, known, value);
		right = false;
	}
	ok(right, "exactly the agreed letters are options");
}

/* One word may be a list of domains */
static void lists(void)
{
	char list[] = "  a.example b.example.\tc ", error[CONF_ERROR_LEN];
	char bad[] = "a b\nc", many[2 * CONF_SEARCH_MAX + 3];
	char *argv[] = { (char *)"pasta", (char *)"--search", list, NULL };
	struct conf c;

	ok(conf_parse_argv(&c, &rules, 3, argv, error, sizeof(error)) == CONF_RUN &&
	   c.nsearch == 3 && !strcmp(c.search[0], "a.example") &&
	   !strcmp(c.search[1], "b.example") && !strcmp(c.search[2], "c"),
	   "blanks separate domains");
	argv[2] = bad;
	is(conf_parse_argv(&c, &rules, 3, argv, error, sizeof(error)), CONF_BAD,
	   "a newline in a domain is an error");
	ok(!strcmp(error, "Invalid domain 'b?c' in --search: expected names"
		   " with dots between them, or 'none'"),
		   "a newline is not quoted");
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = i & 1 ? ' ' : 'x';
	many[sizeof(many) - 4] = 0;
	ok(conf_parse_argv(&c, &rules, 3, (argv[2] = many, argv), error,
			   sizeof(error)) == CONF_RUN &&
	   c.nsearch == CONF_SEARCH_MAX,
	   "a search list has as many domains as there is room");
	many[sizeof(many) - 4] = ' ';
	many[sizeof(many) - 2] = 0;
	is(conf_parse_argv(&c, &rules, 3, argv, error, sizeof(error)), CONF_BAD,
	   "a search list with one domain more is an error");
	ok(!strcmp(error, "Too many domains in --search with 'x': expected up"
		   " to 32"), "which says how many");
}

/* More and longer rules than anybody needs */
static void thousand_rules(void)
{
	static char specs[1024][12];
	static char *argv[2 * 1024 + 2];
	char error[CONF_ERROR_LEN];
	static struct conf c;

	argv[0] = (char *)"pasta";
	for (int i = 0; i < 1024; i++) {
		snprintf(specs[i], sizeof(specs[i]), "%d", 1024 + i);
		argv[1 + 2 * i] = (char *)"-t";
		argv[2 + 2 * i] = specs[i];
	}
	is(conf_parse_argv(&c, &rules, 2049, argv, error, sizeof(error)), CONF_RUN,
	   "-t a thousand times");
	is(rules.n, 1024 + 3, "1024 rules are there beside the defaults");
}

/* No name, no words, far too long words: nothing to crash about */
static void oddities(void)
{
	char *none[] = { NULL }, *empty[] = { (char *)"", NULL };
	char error[CONF_ERROR_LEN];
	char big[70000], *argv[] = { (char *)"pasta", big, NULL };
	struct conf c;

	is(conf_parse_argv(&c, &rules, 0, none, error, sizeof(error)), CONF_BAD,
	   "a process without a name is refused");
	is(conf_parse_argv(&c, &rules, 1, empty, error, sizeof(error)), CONF_BAD,
	   "a process with an empty name is refused");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	big[0] = big[1] = '-';
	is(conf_parse_argv(&c, &rules, 2, argv, error, sizeof(error)), CONF_UNKNOWN,
	   "a very long word is an unknown option");
	memcpy(big, "--=", 4);
	is(conf_parse_argv(&c, &rules, 2, argv, error, sizeof(error)), CONF_BAD,
	   "an option without a name is ambiguous");
}

/* Descriptors at the numbers that the table has */
static void open_fds(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
	    dup2(pair[0], 100) != 100 ||
	    dup2(open("/dev/null", O_RDWR), 101) != 101 ||
	    dup2(open("/proc/self/cmdline", O_RDONLY), 102) != 102)
		exit(1);
	close(103);
}

int main(void)
{
	/* Warnings of right lines are of no interest here */
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	open_fds();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ok(parses_as(cases[i].line, cases[i].want), cases[i].line);
	help_and_version();
	letters();
	lists();
	thousand_rules();
	oddities();
	return done();
}
