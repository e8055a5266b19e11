#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# TCP from the namespace to a peer: bytes, order, windows, and every way to end.

. "$(dirname "$0")/../lib/ns.sh"

P=7000				# port, another one each time

# both NAME ADDR SERVER-OPTIONS CLIENT-OPTIONS [PASTA-OPTION...]: a connection
# from the namespace to the peer; leaves $server, $client and their exit status
both() {
	local addr=$1 sopt=$2 copt=$3 pid
	shift 3
	P=$((P + 1))
	# shellcheck disable=SC2086 # options are words
	exec_peer timeout -k 1 60 tcpx listen "$addr" $P $sopt >"$T/server" 2>&1 &
	pid=$!
	wait_for listening tcp $P peer
	# shellcheck disable=SC2086
	client=$(in_ns "$@" -- inner tcpx connect "$addr" $P $copt 2>&1)
	client_status=$?
	if [ $client_status = 124 ]; then kill $pid 2>/dev/null; fi
	wait $pid
	server_status=$?
	server=$(cat "$T/server")
}

# good NAME: both sides were content
good() {
	[ $client_status = 0 ] && [ $server_status = 0 ]
	ok $? "$1" || diag "client ($client_status): $client
server ($server_status): $server"
}

# unhurried ADDR SERVER-OPTIONS CLIENT-OPTIONS PASTA-OPTION...: both(), again if
# segments were sent twice: the kernel's timers may expire for want of CPU
unhurried() {
	local try
	for try in 1 2 3; do
		both "$@"
		[ $client_status = 0 ] && [ "$(value guest_rtx "$client")" != 0 ] || break
		diag "try $try: $client"
	done
}

bulk() {
	local mtu=$1 addr=$2 fam=$3 what="$WHO, $3, MTU $1"

	unhurried "$addr" "-r 1g" "-s 1g" -m "$mtu"
	good "$what: 1 GiB out arrives unchanged"
	is "$(value guest_rtx "$client")" 0 "$what: and nothing is retransmitted"
	diag "$(value ms "$client") ms"
	unhurried "$addr" "-s 1g" "-r 1g" -m "$mtu"
	good "$what: 1 GiB in arrives unchanged"
	is "$(value guest_rtx "$client")" 0 "$what: and nothing is retransmitted"
	diag "$(value ms "$client") ms"
}

many() {
	both "$1" "-n 200 -r 100k -s 50k" "-n 200 -s 100k -r 50k"
	good "$WHO, $2: 200 connections at once, both ways"
}

closing() {
	local addr=$1 what="$WHO, $2"

	both "$addr" "-w -r 1m -s 3m" "-s 1m -r 3m"
	good "$what: the peer sends on after our end of the stream"
	both "$addr" "-s 1m -r 3m" "-w -s 3m -r 1m"
	good "$what: we send on after the peer's end of the stream"
	both "$addr" "-s 1m -r 1m" "-s 1m -r 1m"
	good "$what: both send and end at once"
	both "$addr" "" ""
	good "$what: a connection without a byte"

	both "$addr" "-r 1k -R" "-s 1k -r 1"
	is "$(value errno "$client")" ECONNRESET "$what: the peer's reset is a reset"
	both "$addr" "-r 1k" "-s 1k -R"
	is "$(value errno "$server")" ECONNRESET "$what: our reset is a reset"
}

refused() {
	local out status

	in_time 1000 "$WHO, $2: a closed port, at once" \
		in_ns -- tcpx connect "$1" 7999 -s 1
	is "$(value errno "$out")" ECONNREFUSED "$WHO, $2: refuses"
}

# failing NAME ADDR NATIVE INSIDE: connect() fails at once, on the host with the
# first error, in the namespace that pasta_start left with the second
failing() {
	local out ms

	out=$(tcpx connect "$2" 7998 -s 1)
	ms=$(value ms "$out")
	is "$(value errno "$out")" "$3" "$1: native"
	out=$(within $((ms + 800)) inside tcpx connect "$2" 7998 -s 1)
	is "$(value errno "$out")" "$4" "$WHO, $1: in the namespace"
	le "$(value ms "$out")" $((ms + 800)) "$WHO, $1: as soon as after $ms ms"
}

# Errors as often as they occur, not one a second
errors_without_limit() {
	local where

	for where in peer env; do
		$where sh -c "cd /proc/sys/net; echo 0 > ipv4/icmp_ratelimit
			      echo 0 > ipv6/icmp/ratelimit
			      echo 1 > ipv4/ip_forward"
	done
}

# Where the host knows why there is no way, the namespace is told.  ICMP has no
# word for all of it: what is prohibited is unreachable for IPv4, as it is from
# any router
errors_of_routes() {
	local v6 kind

	for kind in unreachable prohibit blackhole throw; do
		ip route add $kind 192.0.2.1
		ip -6 route add $kind 2001:db8:99::1
		v6=EHOSTUNREACH
		case $kind in
		unreachable)
			failing "IPv4, $kind" 192.0.2.1 EHOSTUNREACH EHOSTUNREACH;;
		prohibit)
			v6=EACCES
			failing "IPv4, $kind" 192.0.2.1 EACCES EHOSTUNREACH;;
		blackhole)
			failing "IPv4, $kind" 192.0.2.1 EINVAL EHOSTUNREACH;;
		throw)
			v6=ENETUNREACH
			failing "IPv4, $kind" 192.0.2.1 ENETUNREACH ENETUNREACH;;
		esac
		if [ $kind = blackhole ]; then
			failing "IPv6, $kind" 2001:db8:99::1 EINVAL $v6
		else
			failing "IPv6, $kind" 2001:db8:99::1 $v6 $v6
		fi
		ip route del $kind 192.0.2.1
		ip -6 route del $kind 2001:db8:99::1
	done
}

# Errors that a router tells: as the kernel takes them, so do we
errors_of_routers() {
	peer ip route add unreachable 192.0.2.1
	peer ip -6 route add unreachable 2001:db8:99::1
	peer ip route add prohibit 192.0.2.2
	peer ip -6 route add prohibit 2001:db8:99::2
	failing "IPv4, unreachable behind a router" 192.0.2.1 \
		EHOSTUNREACH EHOSTUNREACH
	failing "IPv6, unreachable behind a router" 2001:db8:99::1 \
		ENETUNREACH ENETUNREACH
	failing "IPv4, prohibited by a router" 192.0.2.2 \
		EHOSTUNREACH EHOSTUNREACH
	failing "IPv6, prohibited by a router" 2001:db8:99::2 EACCES EACCES
	peer ip route del unreachable 192.0.2.1
	peer ip -6 route del unreachable 2001:db8:99::1
	peer ip route del prohibit 192.0.2.2
	peer ip -6 route del prohibit 2001:db8:99::2
}

# A filter on the way, at the peer and on this host
errors_of_filters() {
	local at how v4 v6 nft

	if ! nft list ruleset >/dev/null 2>&1; then
		skip "$WHO: filters that reject" "no nft"
		return
	fi
	for at in peer host; do
		nft=nft hook=output
		if [ $at = peer ]; then nft="peer nft" hook=input; fi
		for how in admin-prohibited port-unreachable host-unreachable \
			   no-route tcp-reset; do
			v4=EHOSTUNREACH v6=EHOSTUNREACH
			case $how in
			admin-prohibited) v6=EACCES;;
			no-route) v4=ENETUNREACH v6=ENETUNREACH;;
			port-unreachable|tcp-reset)
				v4=ECONNREFUSED v6=ECONNREFUSED;;
			esac
			$nft add table inet t
			$nft add chain inet t c "{ type filter hook $hook priority 0; }"
			if [ $how = tcp-reset ]; then
				$nft add rule inet t c tcp dport 7998 \
					reject with tcp reset
			else
				$nft add rule inet t c tcp dport 7998 \
					reject with icmpx $how
			fi
			failing "IPv4, $how by a filter of the $at" "$PEER4" $v4 $v4
			failing "IPv6, $how by a filter of the $at" "$PEER6" $v6 $v6
			$nft delete table inet t
		done
	done
}

# Nobody answers for the next hop: the host knows after its three questions
errors_of_neighbours() {
	local start native

	start=$(now_ms)
	is "$(value errno "$(tcpx connect 198.51.100.77 7998 -s 1)")" \
		EHOSTUNREACH "no neighbour: native"
	native=$(($(now_ms) - start))
	start=$(now_ms)
	is "$(value errno "$(inside tcpx connect 198.51.100.78 7998 -s 1)")" \
		EHOSTUNREACH "$WHO, no neighbour: in the namespace"
	le $(($(now_ms) - start)) $((native + 4000)) "$WHO, no neighbour: as soon"
}

gateway() {
	local gw=$1 lo=$2 fam=$3 out

	timeout 20 tcpx listen "$lo" 7100 -r 1k -s 1k >"$T/server" &
	wait_for listening tcp 7100
	t "$WHO, $fam: the gateway's address is the host's loopback" \
		in_ns -- tcpx connect "$gw" 7100 -s 1k -r 1k
	kill $! 2>/dev/null; wait $!
	exec_peer timeout 20 tcpx listen "$gw" 7100 -r 1k -s 1k >"$T/server" &
	wait_for listening tcp 7100 peer
	t "$WHO, $fam: with --no-map-gw it is the gateway" \
		in_ns --no-map-gw -- tcpx connect "$gw" 7100 -s 1k -r 1k
	kill $! 2>/dev/null; wait $!
}

# With -o, what the peer sees is another address of the host
outbound() {
	ip addr add 198.51.100.9/24 dev eth0
	ip addr add 2001:db8:1::9/64 dev eth0 nodad
	both $PEER4 "-r 1k" "-s 1k" -o 198.51.100.9 -o 2001:db8:1::9
	like "$(value from "$server")" "^198.51.100.9," "IPv4: comes from -o"
	both $PEER6 "-r 1k" "-s 1k" -o 198.51.100.9 -o 2001:db8:1::9
	like "$(value from "$server")" "^2001:db8:1::9," "IPv6: comes from -o"
	client=$(in_ns -o 198.51.100.99 -- tcpx connect $PEER4 7997 -s 1)
	is "$(value errno "$client")" ENETUNREACH "an address that nobody has"
	ip addr del 198.51.100.9/24 dev eth0
	ip addr del 2001:db8:1::9/64 dev eth0
}

# A peer that never answers: the timeout is that of the namespace's kernel
silence() {
	local native out f=/proc/sys/net/ipv4/tcp_syn_retries was

	peer ip route add blackhole 203.0.113.99
	was=$(cat $f)
	echo 2 > $f
	native=$(tcpx connect 203.0.113.99 7000 -s 1)
	echo "$was" > $f
	out=$(in_ns -- sh -c "echo 2 > $f; tcpx connect 203.0.113.99 7000 -s 1")
	is "$(value errno "$out")" ETIMEDOUT "$WHO: a silent peer is a timeout"
	# 7 s; one attempt more or less would make it 15 or 3
	[ $(($(value ms "$out") - $(value ms "$native"))) -lt 3000 ] &&
		[ $(($(value ms "$out") - $(value ms "$native"))) -gt -3000 ]
	ok $? "$WHO: after the time of the namespace's own kernel" ||
		diag "native $native, in the namespace $out"
}

# busy: they have not filled all buffers yet
busy() {
	local before
	# shellcheck disable=SC2046 # pids
	before=$(ticks $(processes))
	wait_for -t 1 false
	# shellcheck disable=SC2046
	[ $(($(ticks $(processes)) - before)) -gt 5 ]
}
calm() { ! busy; }

# Readers that stop for 30 s after 100 kB, on either side, all at once
slow_readers() {
	local port=7200 addr fam before during pids=()
	for WHO in $WHOM; do for addr in $PEER4 $PEER6; do
		fam=IPv4; [ "$addr" = $PEER6 ] && fam=IPv6
		exec_peer tcpx listen $addr $port -r 64m -p 100k:30 >/dev/null &
		wait_for listening tcp $port peer
		in_ns -- inner tcpx connect $addr $port -s 64m \
			>"$T/slow-$WHO-$fam-peer" 2>&1 &
		pids+=($!)
		port=$((port + 1))
		exec_peer tcpx listen $addr $port -s 64m >/dev/null &
		wait_for listening tcp $port peer
		in_ns -- inner tcpx connect $addr $port -r 64m -p 100k:30 \
			>"$T/slow-$WHO-$fam-namespace" 2>&1 &
		pids+=($!)
		port=$((port + 1))
	done; done
	wait_for -t 3 false
	wait_for -t 10 calm
	# shellcheck disable=SC2046 # pids
	before=$(ticks $(processes))
	wait_for -t 10 false
	# shellcheck disable=SC2046
	during=$(($(ticks $(processes)) - before))
	for pid in "${pids[@]}"; do wait "$pid"; done
	for WHO in $WHOM; do for fam in IPv4 IPv6; do for side in peer namespace; do
		out=$(tr "\n" " " < "$T/slow-$WHO-$fam-$side")
		like "$out" 'received=[0-9]* bad=0 .*errno=0 ' \
			"$WHO, $fam: 30 s without reading in the $side"
	done; done; done
	le $during 20 "ticks of CPU for 10 s of ${#pids[@]} blocked transfers"
}

for WHO in $WHOM; do
	for mtu in 65520 1500; do
		bulk $mtu $PEER4 IPv4
		bulk $mtu $PEER6 IPv6
	done
	many $PEER4 IPv4
	many $PEER6 IPv6
	closing $PEER4 IPv4
	closing $PEER6 IPv6
	refused $PEER4 IPv4
	refused $PEER6 IPv6
	if [ "$WHO" = user ]; then
		outbound
		errors_without_limit
		pasta_start
		errors_of_routes
		errors_of_routers
		errors_of_filters
		errors_of_neighbours
		pasta_stop
	fi
	gateway $GW4 127.0.0.1 IPv4
	gateway $GW6 ::1 IPv6
	silence
done
slow_readers
done_testing
