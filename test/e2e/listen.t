#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Ports of the host and of the namespace: which are bound, when, and for how long.

. "$(dirname "$0")/../lib/ns.sh"

# ports OPTION...: no forwarding but this
ports() {
	ALONE=(-t none -u none -T none -U none "$@")
	what="$WHO, $*"
}

free() { ! listening "$@"; }

# unused PROTO PORT: nor by connected sockets
unused() { [ -z "$(ss -Han "--$1" "sport = :$2")" ]; }

# serve PROTO ADDR PORT: inside, until unserve
serve() {
	local tool=(tcpx listen)
	[ "$1" = udp ] && tool=(udpx echo)
	exec_as "$WHO" nsenter -t "$INNER" -U --preserve-credentials -n -- \
		"${tool[@]}" "$2" "$3" >/dev/null 2>&1 &
	SERVER=$!
	wait_for listening "$1" "$3" inside
}

unserve() {
	kill $SERVER 2>/dev/null
	wait $SERVER 2>/dev/null
}

bound() {
	ports -t 8001-8003,8005 -u 8001 -t 127.0.0.1/8006
	pasta_start || { ok 1 "$what: it starts"; return; }
	for port in 8001 8002 8003 8005; do
		t "$what: TCP $port is bound" listening tcp $port
	done
	t "$what: TCP 8004 is not" free tcp 8004
	t "$what: UDP 8001 is bound" listening udp 8001
	is "$(ss -Hltn 'sport = :8001' | wc -l)" 1 "$what: by one socket"
	like "$(ss -Hltn 'sport = :8001')" "\*:8001" "$what: of both families"
	like "$(ss -Hltn 'sport = :8006')" "127.0.0.1:8006" "$what: or by its address"
	serve tcp :: 8002
	for to in $HOST4 $HOST6; do
		t "$what: connections to $to arrive" \
			peer timeout 5 tcpx connect $to 8002 -s 1 -r 0
		[ $to = $HOST6 ] || { wait $SERVER; serve tcp :: 8002; }
	done
	unserve
	serve udp :: 8001
	t "$what: datagrams arrive" peer udpx ask $HOST4 8001
	unserve
	kill "$INNER"
	t "$what: free when the namespace is gone" wait_for free tcp 8001
	wait $DAEMON

	ports -T 8001 -U 8001 -T 80
	pasta_start || { ok 1 "$what: it starts"; return; }
	t "$what: TCP is bound inside" listening tcp 8001 inside
	t "$what: UDP is" listening udp 8001 inside
	t "$what: a low port is" listening tcp 80 inside
	t "$what: the host has none of it" free tcp 8001
	pasta_stop
}

# One family each: the other one's port is free for somebody else, or for us
families() {
	ports -t '[::]/8001:81' -u '[::]/8001:81'
	pasta_start || { ok 1 "$what: it starts"; return; }
	like "$(ss -Hltn 'sport = :8001')" " \[::\]:8001 " "$what: IPv6 alone is bound"
	like "$(peer socat -u /dev/null TCP4:$HOST4:8001 2>&1)" "refused" \
		"$what: IPv4 is refused"
	tcpx listen 0.0.0.0 8001 >/dev/null 2>&1 &
	t "$what: and free for others" \
		wait_for -t 5 sh -c "ss -Hltn 'sport = :8001' | grep 0.0.0.0:8001"
	kill $!
	wait $! 2>/dev/null
	pasta_stop

	ports -t '[::]/8001:81' -t 0.0.0.0/8001:82 -u '[::]/8001:81' -u 0.0.0.0/8001:82
	pasta_start || { ok 1 "$what: it starts"; return; }
	is "$(ss -Hltun 'sport = :8001' | wc -l)" 4 "$what: a socket for each family"
	serve tcp :: 81
	t "$what: TCP over IPv6" peer timeout 5 tcpx connect $HOST6 8001 -s 1 -r 0
	unserve
	serve tcp 0.0.0.0 82
	t "$what: TCP over IPv4" peer timeout 5 tcpx connect $HOST4 8001 -s 1 -r 0
	unserve
	serve udp :: 81
	t "$what: UDP over IPv6" peer timeout 5 udpx ask $HOST6 8001
	t "$what: UDP from ::1" timeout 5 udpx ask ::1 8001
	unserve
	serve udp 0.0.0.0 82
	t "$what: UDP over IPv4" peer timeout 5 udpx ask $HOST4 8001
	t "$what: UDP from 127.0.0.1" timeout 5 udpx ask 127.0.0.1 8001
	unserve
	pasta_stop

	ports -t '[::]/auto' -u '*/8001'
	pasta_start || { ok 1 "$what: it starts"; return; }
	is "$(ss -Hlun 'sport = :8001' | wc -l)" 1 "$what: * is both in one socket"
	serve tcp :: 8010
	t "$what: a listener that appears" \
		wait_for -t 5 sh -c "ss -Hltn 'sport = :8010' | grep '\[::\]:8010'"
	unserve
	t "$what: and goes" wait_for -t 5 free tcp 8010
	pasta_stop
}

failing() {
	ports -t 8001-8004
	tcpx listen 0.0.0.0 8003 >/dev/null 2>&1 &
	SERVER=$!
	wait_for listening tcp 8003
	is "$(in_ns -- true 2>&1)" \
		"Failed to bind port 8003 (Address already in use) for option '-t 8001-8004'" \
		"$what: a port in use is told in one line"
	in_ns -- true 2>/dev/null
	is $? 1 "$what: it does not start"
	ports -t '~8001'
	t "$what: starts, as it takes what it gets" in_ns -- true
	unserve
	ports -u %nope0/8001
	like "$(in_ns -- true 2>&1)" "nope0.*|No such device" \
		"$what: an interface has to exist"
}

# As fast as possible: nothing may be left of the one before
restart() {
	local i bad=0 n=100
	ports -t 8001 -u 8001
	[ "$WHO" = user ] || n=20
	for ((i = 0; i < n; i++)); do
		run_as "$WHO" "$PASTA" -q -f "${ALONE[@]}" -- true || bad=$((bad + 1))
	done
	is $bad 0 "$what: starts $n times in a row"
	pasta_start || { ok 1 "$what: it starts"; return; }
	kill "$DAEMON"		# while the next one starts
	run_as "$WHO" "$PASTA" -q -f "${ALONE[@]}" -- true
	is $? 0 "$what: starts while another one ends"
	pasta_stop
}

auto() {
	local start from
	ports -t auto -u auto -T auto -U auto
	tcpx listen 127.0.0.1 8010 >/dev/null 2>&1 &
	HOST_SERVER=$!
	wait_for listening tcp 8010
	pasta_start || { ok 1 "$what: it starts"; return; }
	t "$what: what the host serves is there at once" \
		listening tcp 8010 inside
	t "$what: and can be reached" inside tcpx connect 127.0.0.1 8010 -s 9
	wait $HOST_SERVER
	tcpx listen 127.0.0.1 8010 >/dev/null 2>&1 &
	HOST_SERVER=$!
	wait_for listening tcp 8010
	serve tcp :: 8001
	start=$(now_ms)
	t "$what: TCP appears" wait_for listening tcp 8001
	le $(($(now_ms) - start)) 1300 "$what: within a second, in ms"
	t "$what: UDP of the same number" wait_for listening udp 8001
	t "$what: connections to loopback arrive" tcpx connect ::1 8001 -s 9
	wait $SERVER
	start=$(now_ms)
	t "$what: TCP disappears" wait_for free tcp 8001
	le $(($(now_ms) - start)) 1300 "$what: within a second, in ms"
	t "$what: UDP with it" wait_for free udp 8001
	serve udp 0.0.0.0 8002
	t "$what: UDP appears" wait_for listening udp 8002
	t "$what: alone" free tcp 8002
	for from in "env 127.0.0.1" "peer $HOST4"; do
		# shellcheck disable=SC2086 # where, and to whom
		set -- $from
		t "$what: datagrams to $2 arrive" "$1" udpx ask "$2" 8002
		unserve
		t "$what: UDP disappears" wait_for unused udp 8002
		serve udp 0.0.0.0 8002
		t "$what: and comes back" wait_for -t 10 listening udp 8002
	done
	unserve
	t "$what: UDP disappears" wait_for free udp 8002
	kill $HOST_SERVER
	wait $HOST_SERVER 2>/dev/null
	t "$what: the host's disappears inside" \
		wait_for free tcp 8010 inside
	is "$(ss -Hltun)" "" "$what: no port is left on the host"
	pasta_stop
}

woke() {
	[ "$(grep ctxt "/proc/$DAEMON/status")" != "$1" ]
}

# Until the kernel inside has reported its multicast groups, which wakes us
quiet() {
	local i
	for i in {1..8}; do
		wait_for -t 3 woke "$(grep ctxt "/proc/$DAEMON/status")" || return 0
	done
	return 1
}

idle() {
	[ "$WHO" = user ] || return
	ports -t 8001-8100 -u 8001-8100 -T 8201-8300 -U 8201-8300
	pasta_start || { ok 1 "$what: it starts"; return; }
	t "$what: sleeps for 3 s" quiet
	pasta_stop
}

# A port of the namespace that the host gives to clients
wide() {
	local range=/proc/sys/net/ipv4/ip_local_port_range before
	before=$(cat $range)
	ports -u auto
	echo 1024 65535 > $range
	pasta_start || { ok 1 "$what: it starts"; return; }
	serve udp 0.0.0.0 8003
	t "$what: found where the host's range for clients is wide" \
		wait_for -t 10 listening udp 8003
	unserve
	pasta_stop
	echo "$before" > $range
}

# All ports but those of clients; a named port comes first
everything() {
	ports -t all,~1030,2000:8004
	pasta_start || { ok 1 "$what: it starts"; return; }
	t "$what: port 1029 is bound" listening tcp 1029
	t "$what: an excluded one is not" free tcp 1030
	t "$what: nor is one of the host's clients" free tcp \
		"$(cut -f1 /proc/sys/net/ipv4/ip_local_port_range)"
	serve tcp :: 8004
	t "$what: a named port comes before all" \
		peer timeout 5 tcpx connect $HOST4 2000 -s 1 -r 0
	unserve
	pasta_stop

	ports -T ~1031 -U all
	pasta_start || { ok 1 "$what: it starts"; return; }
	t "$what: TCP 1032 is bound inside" listening tcp 1032 inside
	t "$what: so is UDP 1032" listening udp 1032 inside
	t "$what: an excluded port is not" free tcp 1031 inside
	t "$what: nor is one of clients" free tcp 32768 inside
	t "$what: nor is one of DHCP clients" free udp 68 inside
	pasta_stop
}

low() {
	[ "$WHO" = user ] && [ -n "$NS_ROOT" ] || return
	local sysctl=/proc/sys/net/ipv4/ip_unprivileged_port_start
	ports -t 80 -u 80
	like "$(in_ns -- true 2>&1)" "Failed to bind port 80 .Permission denied. for option '-t 80'" \
		"$what: is refused without a privilege"
	t "$what: works with CAP_NET_BIND_SERVICE" setpriv --reuid $USER_ID \
		--regid $USER_ID --clear-groups --inh-caps=-all,+net_bind_service \
		--ambient-caps=+net_bind_service env HOME="$T/home" \
		"$PASTA" -q -f "${ALONE[@]}" -- true
	if echo 80 > $sysctl; then
		t "$what: works where everybody may" in_ns -- true
		echo 1024 > $sysctl
	fi
}

limit() {
	ports -t all
	rm -f "$T/limit" "$T/home/limit"
	exec_as "$WHO" prlimit --nofile=300:400 "$(dirname "$PASTA")/passt" \
		-f -q -s "$T/home/limit" "${ALONE[@]:0:2}" -t all 2>"$T/limit" &
	DAEMON=$!
	wait_for grep -q bound "$T/limit"
	t "$what: few descriptors are enough" wait_for test -S "$T/home/limit"
	like "$(cat "$T/limit")" "Only [23][0-9][0-9] ports are bound, too few for option '-t all'.*Too many open files" \
		"$what: it is said how many ports"
	is "$(wc -l < "$T/limit")" 1 "$what: once"
	kill $DAEMON
	wait $DAEMON 2>/dev/null
}

for WHO in $WHOM; do
	bound
	families
	failing
	restart
	auto
	wide
	everything
	low
	idle
	limit
done
done_testing
