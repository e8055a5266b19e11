#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Names: what --dns-forward, --dns-host, --map-guest-addr and the gateway lead
# to, and that a changed resolv.conf is followed in whatever way it was changed.
# Name servers that tell who was asked are on the peer and on the host itself;
# /etc is a private copy.

. "$(dirname "$0")/../lib/ns.sh"

command -v dig >/dev/null || skip_all "no dig"

FWD4=169.254.1.1 FWD6=2001:db8:1::53	# addresses of --dns-forward
A=203.0.113.10 B=203.0.113.11 C=203.0.113.12 D=2001:db8:2::13 E=2001:db8:2::14
CONF=/etc/resolv.conf

stage() {
	local a
	cp -a /etc "$T/etc" 2>/dev/null
	mount --bind "$T/etc" /etc && rm -f $CONF && mkdir "$T/run" || return 1
	for a in $A/32 $B/32 $C/32 $D/128; do
		peer ip addr add $a dev lo || return 1
	done
	exec_peer "$NS_TOP/test/tools/dnsd.py" $A $B $C $D $GW4 > "$T/peer" &
	"$NS_TOP/test/tools/dnsd.py" 127.0.0.1 127.0.0.53 ::1 $HOST4 > "$T/host" &
	wait_for grep -q ready "$T/peer" && wait_for grep -q ready "$T/host"
}

# servers ADDRESS...: a resolv.conf with these
servers() { printf 'nameserver %s\n' "$@"; }

# replace ADDRESS...: by another file
replace() { servers "$@" > /etc/new && mv /etc/new $CONF; }

# ask ADDRESS [OPTION...]: who answered, from inside
ask() {
	local at=$1
	shift
	inside dig +short +tries=1 +time=5 "$@" -t TXT "@$at" test.example |
		tr -d '"'
}

# answers WHO [ADDRESS]: the query gets there
answers() { [ "$(ask "${2:-$FWD4}")" = "$1 53 udp" ]; }

# follows WHO NAME: soon it does
follows() {
	wait_for answers "$1"
	ok $? "$WHO: followed: $2" || diag "it asks $(ask $FWD4)"
}

# follower: its pid, the one that waits for inotify
follower() {
	local pid
	for pid in $(processes); do
		readlink "/proc/$pid/fd"/* | grep -q inotify &&
			echo "$pid" && return
	done
	return 1
}

# watched INODE: by the follower, now; only root can tell
watched() {
	[ -z "$NS_ROOT" ] && return
	grep -q "^inotify .* ino:$(printf %x "$1") " \
		"/proc/$(follower)/fdinfo"/*
}
forgotten() { [ -z "$NS_ROOT" ] || ! watched "$1"; }
inode() { stat -c %i "$1"; }

none_left() { [ -z "$(processes)" ]; }

forwarded() {
	replace $A $B $D
	pasta_start --dns-forward $FWD4 --dns-forward $FWD6
	ok $? "$WHO: --dns-forward for both families" || return
	is "$(ask $FWD4)" "$A 53 udp" "$WHO: it is the first server"
	is "$(ask $FWD4 +tcp)" "$A 53 tcp" "$WHO: over TCP"
	is "$(ask $FWD4 +tcp -p 853)" "$A 853 tcp" "$WHO: over TCP, port 853"
	is "$(ask $FWD4 -p 853)" "$A 853 udp" "$WHO: over UDP, port 853"
	is "$(ask $FWD6)" "$D 53 udp" "$WHO: the first one of IPv6"
	is "$(ask $FWD6 +tcp)" "$D 53 tcp" "$WHO: over TCP with IPv6"
	is "$(ask $B)" "$B 53 udp" "$WHO: servers are reached as they are, too"
}

# fails ADDRESS ERROR: a query by UDP does, with that error
fails() {
	inside python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,
		  socket.SOCK_DGRAM)
s.settimeout(1); s.connect((sys.argv[1], 53)); s.send(bytes(17))
try: s.recv(99)
except OSError as e: sys.exit(type(e).__name__ != sys.argv[2])
sys.exit(1)' "$1" "$2"
}
refused() { fails "$1" ConnectionRefusedError; }
lost() { fails "$1" TimeoutError; }

# Servers of one family only: the other one's --dns-forward leads to them
other_family() {
	replace $D
	pasta_start --dns-forward $FWD4
	is "$(ask $FWD4)" "$D 53 udp" "$WHO: IPv6 servers only, asked by IPv4"
	is "$(ask $FWD4 +tcp)" "$D 53 tcp" "$WHO: over TCP"
	is "$(ask $FWD4 +tcp -p 853)" "$D 853 tcp" "$WHO: over TCP, port 853"
	replace $PEER6
	wait_for refused $FWD4
	ok $? "$WHO: an IPv6 server that refuses queries by ICMPv6 does so by ICMP"
	replace $A
	follows $A "a server of its own family"
	replace $D
	follows $D "the loss of that"
	replace ::1
	follows ::1 "IPv6 loopback"
	link_local_server
	pasta_stop

	replace $A
	pasta_start --dns-forward $FWD6
	is "$(ask $FWD6)" "$A 53 udp" "$WHO: IPv4 servers only, asked by IPv6"
	is "$(ask $FWD6 +tcp)" "$A 53 tcp" "$WHO: over TCP"
	replace $PEER4
	wait_for refused $FWD6
	ok $? "$WHO: an IPv4 server that refuses queries by ICMP does so by ICMPv6"
	replace 127.0.0.53
	wait_for answers 127.0.0.53 $FWD6
	ok $? "$WHO: IPv4 loopback asked by IPv6"
	replace $C
	pasta_stop
	pasta_start --dns-forward $FWD4 --dns-host $D
	is "$(ask $FWD4)" "$D 53 udp" "$WHO: --dns-host of the other family"
	pasta_stop
	pasta_start -4 --dns-forward $FWD4
	is "$(ask $FWD4)" "$C 53 udp" "$WHO: -4: the IPv4 server"
	replace $D
	wait_for lost $FWD4
	ok $? "$WHO: -4: no IPv6 server" || diag "$(ask $FWD4)"
	pasta_stop
}

# An IPv6 server by its link-local address, with an interface
link_local_server() {
	local ll

	ll=$(peer ip -6 -o addr show dev eth0 scope link |
		sed 's/.*inet6 \([^/]*\).*/\1/')
	exec_peer "$NS_TOP/test/tools/dnsd.py" "$ll%eth0" > "$T/ll" &
	wait_for grep -q ready "$T/ll"
	replace "$ll%eth0"
	follows "$ll%eth0" "a link-local server"
	kill %%
}

# Each way in which resolv.conf changes; starts with server A
changes() {
	local old
	replace $B
	follows $B "another file by rename"
	servers $C > $CONF
	follows $C "written in place"
	rm $CONF
	answers $C
	ok $? "$WHO: a missing file changes nothing"
	servers $A > $CONF
	follows $A "its return"

	servers $B > "$T/run/stub"
	ln -s "../${T#/}/run/stub" /etc/link && mv -T /etc/link $CONF
	follows $B "a symbolic link in its place"
	servers $C > "$T/run/new" && mv "$T/run/new" "$T/run/stub"
	follows $C "another file where it leads"
	mkdir "$T/run/deep" && servers $A > "$T/run/deep/file"
	ln -s deep/file "$T/run/link" && mv -T "$T/run/link" "$T/run/stub"
	follows $A "a link to a link"
	old=$(inode "$T/run/deep")
	rm -r "$T/run/deep"
	wait_for forgotten "$old"
	mkdir "$T/run/deep" && wait_for watched "$(inode "$T/run/deep")"
	servers $B > "$T/run/deep/file"
	follows $B "the folder that it is in, made again"
	ln -s "$T/run/later/on/file" /etc/link && mv -T /etc/link $CONF
	wait_for forgotten "$(inode "$T/run/deep")"
	mkdir "$T/run/later" && wait_for watched "$(inode "$T/run/later")"
	mkdir "$T/run/later/on" &&
		wait_for watched "$(inode "$T/run/later/on")"
	servers $C > "$T/run/later/on/file"
	follows $C "where it leads appears part by part"
	rm $CONF && replace $A
	follows $A "a file again"
	rm -r "$T/run/deep" "$T/run/later" "$T/run/stub"
}

# shared PID: the kinds of namespaces that are ours, but that of files
shared() {
	local kind
	for kind in user ipc uts net pid; do
		[ "/proc/$1/ns/$kind" -ef "/proc/self/ns/$kind" ] && echo "$kind"
	done
}

# What the follower holds
inspect() {
	local pid
	pid=$(follower)
	ok $? "$WHO: there is a follower" || return
	is "$(awk '/^Seccomp:/ { print $2 }' "/proc/$pid/status")" 2 \
		"$WHO: it has a filter"
	is "$(awk '/^CapEff:/ { print $2 }' "/proc/$pid/status")" \
		0000000000000000 "$WHO: and no capability"
	[ "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" != 0 ] ||
		[ -z "$NS_ROOT" ]
	ok $? "$WHO: is not root"
	le "$(ls "/proc/$pid/fd" | wc -l)" 2 "$WHO: its descriptors"
	is "$(readlink "/proc/$pid/cwd")" / "$WHO: its folder"
	is "$(cat "/proc/$pid/comm")" pasta-dns "$WHO: its name"
	is "$(awk '/^CapBnd:/ { print $2 }' "/proc/$pid/status")" \
		0000000000000000 "$WHO: no program could give it a capability"
	[ -z "$NS_ROOT" ] || is "$(shared "$pid")" "" "$WHO: its namespaces"
	le "$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")" 512 \
		"$WHO: kB of memory"
}

# ended NAME: no process is left
ended() {
	wait_for none_left
	ok $? "$WHO: no process is left $1" || diag "$(ps ax)"
}

mounted() {
	servers $A > "$T/run/mounted"
	: > $CONF
	mount --bind "$T/run/mounted" $CONF
	pasta_start --dns-forward $FWD4
	servers $B > "$T/run/mounted"
	follows $B "a file that is mounted, in place"
	kill -9 "$DAEMON"
	wait "$DAEMON" 2>/dev/null
	ended "after it was killed"
	umount $CONF
}

# The resolver is on the host itself
local_resolver() {
	replace 127.0.0.53 ::1
	pasta_start --dns-forward $FWD4
	is "$(ask $FWD4)" "127.0.0.53 53 udp" \
		"$WHO: a resolver on loopback is forwarded to"
	is "$(ask $GW4)" "127.0.0.53 53 udp" "$WHO: the gateway stands for it"
	is "$(ask $GW4 +tcp)" "127.0.0.53 53 tcp" "$WHO: also over TCP"
	is "$(ask $GW6)" "::1 53 udp" "$WHO: also with IPv6"
	replace $HOST4
	wait_for answers $HOST4 $GW4
	ok $? "$WHO: so it does for one at the host's address"
	pasta_stop

	replace $GW4
	pasta_start
	is "$(ask $GW4)" "$GW4 53 udp" \
		"$WHO: a gateway that is a resolver is asked itself"
	pasta_stop
	replace $B
	pasta_start
	is "$(ask $GW4)" "127.0.0.1 53 udp" \
		"$WHO: else its port 53 is that of the host's loopback"
	! follower >/dev/null
	ok $? "$WHO: nobody follows where nothing depends on it"
	pasta_stop
}

dns_host() {
	replace $A
	pasta_start --dns-forward $FWD4 --dns-host $C
	is "$(ask $FWD4)" "$C 53 udp" "$WHO: --dns-host goes before resolv.conf"
	! follower >/dev/null
	ok $? "$WHO: which nobody follows then"
	pasta_stop
}

# The host by an address that stands for its own
host_itself() {
	replace $A
	pasta_start --map-guest-addr 169.254.1.2 --no-map-gw
	is "$(ask 169.254.1.2)" "$HOST4 53 udp" \
		"$WHO: --map-guest-addr is the host, with UDP"
	is "$(ask 169.254.1.2 +tcp)" "$HOST4 53 tcp" "$WHO: with TCP"
	t "$WHO: with ping" inside ping -n -c1 -W3 169.254.1.2
	pasta_stop
}

missing() {
	local out
	rm -f $CONF
	out=$(in_ns --dns-forward $FWD4 -- true 2>&1)
	is "$out" "Couldn't get any nameserver address" \
		"$WHO: no resolv.conf is told, and no error"
	pasta_start --dns-forward $FWD4 2>/dev/null
	servers $B > $CONF
	follows $B "a file that was missing at start"
	pasta_stop
}

# told OPTION...: name servers and domains as printed, on one line
told() {
	run_as "$WHO" timeout 20 "$PASTA" -f --config-net "${ALONE[@]}" "$@" -- \
		true 2>&1 | awk '/^[^ ]/ { show = /^DNS/; next }
		show && NF == 1 && !seen[$1]++ { printf "%s%s", sep, $1; sep = " " }'
}

handed_out() {
	printf 'nameserver %s\n' $A $D > $CONF
	echo 'search one.example two.example' >> $CONF
	is "$(told)" "" "$WHO: nothing is handed out by itself"
	is "$(told --dhcp-dns --dhcp-search)" \
		"$A one.example two.example $D" "$WHO: servers and domains"
	is "$(told --dhcp-dns -D $B)" $B "$WHO: -D"
	is "$(told --dhcp-dns -D none)" "" "$WHO: -D none"
	is "$(told --dhcp-search -S three.example)" three.example "$WHO: -S"
	is "$(told --dhcp-search -S none)" "" "$WHO: -S none"
	servers 127.0.0.53 > $CONF
	is "$(told --dhcp-dns)" $GW4 "$WHO: the gateway for one on loopback"
	is "$(told --dhcp-dns --no-map-gw --dns-forward $FWD4)" $FWD4 \
		"$WHO: or the address that is forwarded"
}

# Router advertisements: one with the first name server, and those that follow it
# until they pause for more than 3 s; then one with the second
cat > "$T/bin/hear" <<'END'
#!/usr/bin/env python3
import socket
import sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)


def hear(server):
    data = b''
    while data[:1] != b'\x86' or socket.inet_pton(10, server) not in data:
        data = s.recv(4096)


hear(sys.argv[1])
s.settimeout(4)
try:
    while True:
        s.recv(4096)
except TimeoutError:
    print(sys.argv[1], flush=True)
s.settimeout(None)
hear(sys.argv[2])
print(sys.argv[2], flush=True)
END
chmod 755 "$T/bin/hear"

advertised() {
	local pid
	replace $D
	exec_as "$WHO" timeout 60 "$PASTA" -f -q "${ALONE[@]}" --dhcp-dns -- \
		sh -c "ip link set eth0 up; exec hear $D $E" > "$T/heard" &
	pid=$!
	wait_for grep -qx $D "$T/heard"
	ok $? "$WHO: a server is advertised"
	replace $E
	wait_for -t 20 grep -qx $E "$T/heard"
	ok $? "$WHO: so is the next one, soon"
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

# In the background: whoever waits for the end of its output must not hang
background() {
	local pid out
	replace $A
	exec_as "$WHO" unshare -rn sleep infinity &
	pid=$!
	wait_for unshared "$pid"
	out=$(run_as "$WHO" timeout 20 "$PASTA" -q --config-net "${ALONE[@]}" \
		--dns-forward $FWD4 "$pid" 2>&1)
	is "$?: $out" "0: " "$WHO: its output ends when it is ready"
	follower >/dev/null
	ok $? "$WHO: a follower in the background"
	kill "$pid"
	wait "$pid" 2>/dev/null
	ended "with the namespace gone"
}

unshared() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ] &&
		grep -q . "/proc/$1/uid_map"
}

stage || { echo "Bail out! no name servers"; exit 1; }
for WHO in $WHOM; do
	forwarded && inspect && changes
	pasta_stop
	ended "in the end"
	[ "$WHO" = user ] || continue
	mounted
	local_resolver
	dns_host
	other_family
	host_itself
	missing
	handed_out
	advertised
	background
done
done_testing
