# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A hostile guest, its peers, and what has to hold afterwards.  Source this file after
# ns.sh.
#
#	FRAMES	frames of both tests in all, by default 200 000
#	PROGRAM	with sanitizers, by default build/sanitized/passt
#	SEED	of the frames, by default another one each time; printed
#
# What fails leaves the last frames in build/hostile/, for tcpdump.

FRAMES=${FRAMES:-200000}
SEED=${SEED:-$((EPOCHSECONDS % 1000000))}
CONTROL=$T/home/control
SANITIZED=$T/sanitized
PORTS=(-t 8001-8004 -u 8001-8004 -c "$CONTROL" --dns-forward 198.51.100.53
	--dns-forward 2001:db8:1::53 --dns-host "$PEER4" --dns-host "$PEER6")
export ASAN_OPTIONS=detect_leaks=0

# Copy the programs to where an ordinary user may run them
hostile_stage() {
	mkdir -p "$SANITIZED" && chmod 755 "$SANITIZED"
	cp "${PROGRAM:-$NS_BUILD/sanitized/passt}" "$SANITIZED/passt" &&
		ln -sf passt "$SANITIZED/pasta" &&
		cp "$NS_BUILD/hostile/hostile" "$NS_TOP/pesto" "$T/bin/" || {
		echo "Bail out! no sanitized program: run make sanitized hostile-guest"
		exit 1
	}
	chmod -R a+rX "$T/bin" "$SANITIZED"
	echo 2 > /proc/sys/net/ipv4/tcp_syn_retries	# the peer is near
	diag "SEED=$SEED FRAMES=$FRAMES"
}

# A pipe to the next guest
guest_pipe() {
	rm -f "$T/probe" "$T/attack"
	mkfifo "$T/probe"
	exec 5<>"$T/probe"
}

# Servers and clients of the peer, and of the host's loopback
peers_start() {
	exec_peer hostile serve "$HOST4" "$HOST6" 2>"$T/peers" &
	PEERS=$!
	hostile serve 127.0.0.1 ::1 2>>"$T/peers" &
	PEERS="$PEERS $!"
	wait_for listening tcp 7001 peer && wait_for listening tcp 7001
}

peers_stop() {
	# shellcheck disable=SC2086 # several
	kill $PEERS && wait $PEERS 2>/dev/null
}

# keep_of NAME: the path for the last frames of an attack
keep_of() { echo "$T/home/$1-$SEED.pcap"; }

# The attack has ended, one way or the other
attacked() { grep -qxE 'works|failed' "$T/attack" || gone "$DAEMON"; }

tcp_flows() { pesto --json "$CONTROL" flows proto tcp | grep '"flow"'; }

# ends: of TCP flows in JSON, print both ends as the guest knows them, its own first. A
# client of the host's loopback has the address of the gateway there
ends() {
	sed -nE 's/.*"src":"([^"]*)","sport":([0-9]*),"dst":"([^"]*)","dport":([0-9]*),(.*)/\1 \2 \3 \4 \5/p' |
		sed -E 's/"target":"([^"]*)","to":([0-9]*)/ \1 \2 /' |
		awk -v gw4="$GW4" -v gw6="$GW6" '
			/"rule":null/ { print $1, $2, $3, $4; next }
			NF == 5 { print $3, $4, $1, $2; next }
			{ print $5, $6, $5 ~ /:/ ? gw6 : gw4, $2 }'
}

# A guest that has forgotten all connections, once each is looked at, ends them
no_tcp_flows() {
	tcp_flows >"$T/flows"
	ends <"$T/flows" >&5
	sleep 0.2
	[ ! -s "$T/flows" ]
}

idle() {
	local before
	before=$(ticks "$DAEMON")
	sleep 0.5
	[ $(($(ticks "$DAEMON") - before)) -le 1 ]
}

# judge NAME: what has to hold after the attack whose output is in $T/attack, and that of
# the program in $T/err
judge() {
	local bad
	wait_for -t "$((20 + FRAMES / 1000))" attacked
	grep -qx works "$T/attack"
	ok $? "$1: DHCP, ping, UDP and TCP work afterwards" || {
		diag "$(tail -15 "$T/attack")"
		mkdir -p "$NS_BUILD/hostile"
		cp "$(keep_of "$1")" "$NS_BUILD/hostile/" 2>/dev/null &&
			diag "the last frames are in build/hostile/$1-$SEED.pcap"
	}
	diag "$(head -1 "$T/attack")"
	bad=$(grep -A30 -E 'runtime error|Sanitizer|refused' "$T/err")
	is "$bad" "" "$1: no sanitizer has a report"
	t "$1: the program lives" kill -0 "$DAEMON" || diag "$(tail -40 "$T/err")"
	peers_stop
	# After many frames, a handshake may have to wait two minutes for its end
	t "$1: all TCP flows end" wait_for -t $((20 + FRAMES / 50000)) no_tcp_flows ||
		diag "$(pesto "$CONTROL" flows proto tcp | head -20)"
	t "$1: the CPU is idle within 8 s" wait_for -t 8 idle
}
