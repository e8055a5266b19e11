#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Local TCP past the tap, both directions: bytes, every way to end, many at once, and
# what it costs to be idle.

. "$(dirname "$0")/../lib/ns.sh"

P=7000				# port, another one each time

# A direction is who serves and who dials, and the address that is dialled
from_host() { SERVE=inside DIAL=env TO=$1 what="$WHO, $2, to the namespace" P=7000; }
from_inside() { SERVE=env DIAL=inside TO=$1 what="$WHO, $2, to the host" P=7100; }

# serve ADDR OPTION...: at the next port; its words in $T/server
serve() {
	local addr=$1
	shift
	P=$((P + 1))
	$SERVE timeout -k 1 60 tcpx listen "$addr" $P "$@" >"$T/server" 2>&1 &
	SERVER=$!
	wait_for listening tcp $P $SERVE
}

# dial OPTION...: leaves $client, $server, and what they ended with
dial() {
	client=$($DIAL timeout -k 1 60 tcpx connect "$TO" $P "$@" 2>&1)
	client_status=$?
	wait $SERVER
	server_status=$?
	server=$(cat "$T/server")
}

good() {
	[ $client_status = 0 ] && [ $server_status = 0 ]
	ok $? "$1" || diag "client ($client_status): $client
server ($server_status): $server"
}

# bytes SIZE NAME
bytes() {
	serve "$ON" -r 1 -s 1
	dial -s 1 -r 1
	good "$what: a byte each way"
	serve "$ON" -r "$1"
	dial -s "$1"
	good "$what: $2 arrives unchanged"
	diag "$(value ms "$client") ms"
	serve "$ON" -s "$1"
	dial -r "$1"
	good "$what: $2 back arrives unchanged"
	serve "$ON" -r 20k -s 20k -c 1
	dial -s 20k -r 20k -c 1
	good "$what: byte by byte, both ways"
}

crowd() {
	serve "$ON" -r 64m -s 64m -p 100k:1
	dial -s 64m -r 64m -p 3m:1
	good "$what: readers that pause, both ways"
	serve "$ON" -n 500 -r 20k -s 10k
	dial -n 500 -s 20k -r 10k
	good "$what: 500 connections at once"
}

closing() {
	serve "$ON" -w -r 1m -s 3m
	dial -s 1m -r 3m
	good "$what: the server sends on after the client's end"
	serve "$ON" -s 1m -r 3m
	dial -w -s 3m -r 1m
	good "$what: the client sends on after the server's end"
	serve "$ON"
	dial
	good "$what: a connection without a byte"
	serve "$ON" -r 1k -R
	dial -s 1k -r 1
	is "$(value errno "$client")" ECONNRESET "$what: the server's reset is a reset"
	serve "$ON" -s 1 -r 1k
	dial -r 1 -s 1k -R
	is "$(value errno "$server")" ECONNRESET "$what: the client's reset is a reset"
	P=$((P + 1))
	client=$(within 900 $DIAL timeout 10 tcpx connect "$TO" $P -r 1)
	is "$(value errno "$client")" ECONNRESET "$what: nobody serves: reset"
	le "$(value ms "$client")" 900 "$what: at once"
}

# A name for loopback leads to IPv6 first
mixed() {
	serve 0.0.0.0 -r 64k -s 64k
	dial -s 64k -r 64k
	good "$what: a server that has IPv4 alone is found"
	serve 0.0.0.0 -s 64k
	dial -r 64k
	good "$what: also if it speaks first"
}

# end_job PID: what runs in the background, and the tool in there
end_job() {
	local pid

	pid=$(descendant "$1" tcpx)
	kill ${pid:+"$pid"} "$1" 2>/dev/null
	wait "$1"
}

# Descriptors of the daemon; how many sockets it keeps at hand varies a little
fds() { find "/proc/$DAEMON/fd" -type l 2>/dev/null | wc -l; }
fds_below() { [ "$(fds)" -le "$1" ]; }
fds_stay() {
	local n

	n=$(fds)
	sleep 0.2
	[ "$(fds)" = "$n" ]
}
established() { [ "$($1 ss -Htn state established "( sport = :$P )" | wc -l)" -ge "$2" ]; }

idle() {
	local before ticks client

	if [ "$(fds)" = 0 ]; then
		skip "$what: descriptors of idle connections" "can't be seen"
		return
	fi
	wait_for fds_stay
	before=$(fds)
	serve "$ON" -n 50 -w -s 1
	$DIAL tcpx connect "$TO" $P -n 50 -w -s 1 >/dev/null &
	client=$!
	wait_for established $SERVE 50
	wait_for fds_below $((before + 100))
	le $(($(fds) - before)) 100 "$what: descriptors of 50 idle connections"
	for _ in 1 2 3; do		# one that is not over may still end
		ticks=$(ticks "$DAEMON")
		wait_for -t 1 false
		ticks=$(($(ticks "$DAEMON") - ticks))
		[ $ticks -gt 1 ] || break
	done
	le $ticks 1 "$what: and use no time"
	end_job $SERVER
	end_job $client
	wait_for fds_below "$before"
	le "$(fds)" "$before" "$what: and leave none"
}

# Addresses of loopback but 127.0.0.1: to the same one in the namespace
other_loopback() {
	pasta_start "$@" -t 7001-7099 -T 7101-7199 -u 7060 -U 7160 || {
		ok 1 "$WHO: $1 starts"
		return
	}
	from_host 127.0.0.7 IPv4
	serve 127.0.0.7 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO, $1: 127.0.0.7 of the host is that of the namespace"
	serve 127.0.0.1 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO, $1: if nobody listens there, 127.0.0.1"
	serve ::1 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO, $1: if nobody listens there either, ::1"
	from_inside 127.0.0.7 IPv4
	serve 127.0.0.7 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO, $1: 127.0.0.7 of the namespace is that of the host"
	serve 127.0.0.1 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO, $1: if nobody listens there, 127.0.0.1"
	for ON in 127.0.0.7 127.0.0.1 ::1; do
		echoes $ON 7060 inside env
		ok $? "$WHO, $1: UDP to 127.0.0.7 of the host, a server at $ON"
	done
	echoes 127.0.0.7 7160 env inside
	ok $? "$WHO, $1: UDP to 127.0.0.7 of the namespace, a server there"
	pasta_stop
}

# echoes ADDR PORT SERVE ASK: are answers from ADDR there for what goes to 127.0.0.7?
echoes() {
	local pid status
	$3 timeout 20 udpx echo "$1" "$2" >/dev/null 2>&1 &
	pid=$!
	wait_for listening udp "$2" "$3" &&
		$4 timeout 9 udpx ask 127.0.0.7 "$2" -c 3 -t 2000 >/dev/null
	status=$?
	end_job $pid
	return $status
}

# Who sees whom, with which option
reach() {
	ON=127.0.0.1
	pasta_start -t 7001-7099
	from_host 127.0.0.1 IPv4
	serve 127.0.0.1
	client=$(env timeout 10 tcpx connect 127.0.0.1 $P -r 1)
	is "$(value errno "$client")" ECONNRESET \
		"$WHO: loopback in there is not for the host's loopback"
	end_job $SERVER
	pasta_stop
	pasta_start --host-lo-to-ns-lo -t 7001-7099
	from_host 127.0.0.1 IPv4
	serve 127.0.0.1 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO: but with --host-lo-to-ns-lo, IPv4"
	like "$(value from "$(cat "$T/server")")" ^127.0.0.1, "$WHO: from loopback"
	from_host ::1 IPv6
	P=7050
	serve ::1 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO: and IPv6"
	pasta_stop
	other_loopback --host-lo-to-ns-lo
	other_loopback --splice-only

	pasta_start --no-splice -t 7001-7099
	from_host 127.0.0.1 IPv4
	serve 0.0.0.0 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO: with --no-splice it works, too"
	like "$(value from "$server")" "^$GW4," "$WHO: over the tap"
	pasta_stop

	pasta_start -t auto -T auto
	from_host 127.0.0.1 IPv4
	serve :: -r 1k -s 1k
	wait_for listening tcp $P env
	dial -s 1k -r 1k
	good "$WHO: a port that was found inside"
	from_inside 127.0.0.1 IPv4
	serve :: -r 1k -s 1k
	wait_for listening tcp $P inside
	dial -s 1k -r 1k
	good "$WHO: a port that was found on the host"
	pasta_stop
}

splice_only() {
	pasta_start --splice-only -t 7001-7099 -T 7101-7199 || {
		ok 1 "$WHO: --splice-only starts"
		return
	}
	from_host 127.0.0.1 IPv4
	serve 0.0.0.0 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO: --splice-only, to the namespace"
	from_inside 127.0.0.1 IPv4
	serve 127.0.0.1 -r 1k -s 1k
	dial -s 1k -r 1k
	good "$WHO: --splice-only, to the host"
	pasta_stop
}

# both FUNCTION [ARGUMENT...]: in both directions
both() {
	# shellcheck disable=SC2034 # in the functions
	ON=0.0.0.0
	[ $lo = ::1 ] && ON=::
	from_host $lo $fam
	P=$next
	"$@"
	ON=$lo
	from_inside $lo $fam
	P=$((next + 100))
	"$@"
	next=$((next + 10))
}

for WHO in $WHOM; do
	pasta_start -t 7001-7099 -T 7101-7199
	next=7000 lo=127.0.0.1 fam=IPv4
	both closing
	if [ "$WHO" = user ]; then
		both bytes 1g "1 GiB"
		both crowd
		both idle
		lo=::1 fam=IPv6
		both bytes 1g "1 GiB"
		both closing
		both mixed
	else
		lo=::1 fam=IPv6
		both bytes 32m "32 MiB"
	fi
	pasta_stop
	reach
	splice_only
done
done_testing
