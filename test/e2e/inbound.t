#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# TCP to forwarded ports over the tap: who is seen as the client, bytes, every way
# to end, and a namespace that refuses or says nothing.

. "$(dirname "$0")/../lib/ns.sh"

P=7000				# port, another one each time

# serve OPTION...: a server in the namespace, at the next port; its words in
# $T/server, its pid in $SERVER
serve() {
	P=$((P + 1))
	inside timeout -k 1 60 tcpx listen "${ANY:-::}" $P "$@" >"$T/server" 2>&1 &
	SERVER=$!
	wait_for listening tcp $P inside
}

# dial FROM ADDR OPTION...: FROM is peer or env (this host); leaves $client and
# $server, and what they ended with
dial() {
	local from=$1 addr=$2
	shift 2
	client=$($from timeout -k 1 60 tcpx connect "$addr" $P "$@" 2>&1)
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

# seen WHO NAME: what the server took the client for
seen() { is "$(value from "$server")" "$1" "$2"; }

bytes() {
	local addr=$1 what="$WHO, $2"

	serve -r 1 -s 1
	dial peer "$addr" -s 1 -r 1
	good "$what: a byte each way"
	[ "$2" = IPv4 ] && server=${server/::ffff:/}
	seen "$(value from "$client")" "$what: the peer's address and port are seen"
	serve -r "$3"
	dial peer "$addr" -s "$3"
	good "$what: $3 in arrive unchanged"
	diag "$(value ms "$client") ms"
	serve -s "$3"
	dial peer "$addr" -r "$3"
	good "$what: $3 out arrive unchanged"
	diag "$(value ms "$client") ms"
	serve -n 100 -r 100k -s 50k
	dial peer "$addr" -n 100 -s 100k -r 50k
	good "$what: 100 connections at once, both ways"
}

closing() {
	local addr=$1 what="$WHO, $2"

	serve -w -r 1m -s 3m
	dial peer "$addr" -s 1m -r 3m
	good "$what: the namespace sends on after the peer's end of the stream"
	serve -s 1m -r 3m
	dial peer "$addr" -w -s 3m -r 1m
	good "$what: the peer sends on after the namespace's end of the stream"
	serve
	dial peer "$addr"
	good "$what: a connection without a byte"
	serve -r 1k -R
	dial peer "$addr" -s 1k -r 1
	is "$(value errno "$client")" ECONNRESET "$what: the server's reset is a reset"
	serve -s 1 -r 1k
	dial peer "$addr" -r 1 -s 1k -R
	is "$(value errno "$server")" ECONNRESET "$what: the client's reset is a reset"
	client=$(within 900 peer timeout 10 tcpx connect "$addr" 7099 -r 1)
	is "$(value errno "$client")" ECONNRESET "$what: a closed port in there resets"
	le "$(value ms "$client")" 900 "$what: at once"
}

# Its SYN is dropped in the namespace, until it has come twice
silence() {
	local fam=$1 addr=$2 what="$WHO, $1"

	if ! inside nft list ruleset >/dev/null 2>&1; then
		skip "$what: a namespace that does not answer" "no nft in there"
		return
	fi
	serve -r 1k -s 1k
	inside nft -f - <<-END
		table inet t {
			chain c {
				type filter hook input priority 0;
				tcp dport $P counter drop
			}
		}
	END
	peer timeout 30 tcpx connect "$addr" $P -s 1k -r 1k >"$T/client" &
	wait_for dropped 2
	ok $? "$what: a SYN that is not answered comes again"
	is "$(value sent "$(cat "$T/client")")" "" "$what: the peer waits meanwhile"
	inside nft delete table inet t
	wait $!
	ok $? "$what: and the connection works once it is answered" ||
		diag "$(cat "$T/client")"
	wait $SERVER
}

dropped() {
	local n
	n=$(inside nft list ruleset | sed -n 's/.*packets \([0-9]*\).*/\1/p')
	[ "${n:-0}" -ge "$1" ]
}

link_local() {
	local ll

	ll=$(ip -6 -o addr show dev eth0 scope link | sed 's/.*inet6 \([^/]*\).*/\1/')
	serve -r 1k -s 1k
	dial peer "$ll%eth0" -s 1k -r 1k
	good "$WHO: a link-local peer"
	like "$(value from "$server")" "^fe80:" "$WHO: is seen as link-local"
}

# speak FROM TO: a datagram of the namespace, from an address of its
speak() {
	inside python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,
		  socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0)); s.sendto(b"x", (sys.argv[2], 9))' "$1" "$2"
}

# arrives ADDR FROM: a connection reaches the namespace, and its address FROM
arrives() {
	ANY=$2 serve -r 1k -s 1k
	client=$(peer timeout 3 tcpx connect "$1" $P -s 1k -r 1k 2>&1) && wait $SERVER
}

# Which address of the namespace connections go to
addresses() {
	local fam=$1 addr=$2 stray=$3 new=$4 to=$5 len=$6 gw=$7 v=-4

	[ $fam = IPv6 ] && v=-6
	pasta_start -t 7001-7099
	inside ip addr add "$stray" dev lo
	arrives "$addr" "$addr" && speak "$stray" "$to"
	ok $? "$WHO, $fam: a packet from another address leaves the namespace"
	arrives "$addr" "$addr"
	ok $? "$WHO, $fam: connections go to the configured address after that" ||
		diag "$client"
	pasta_stop
	P=7000

	pasta_start -t 7001-7099
	inside ip $v addr flush dev eth0 scope global
	inside ip addr add "$new/$len" dev eth0
	inside ip $v route replace default via "$gw" dev eth0
	wait_for speak "$new" "$to"
	wait_for arrives "$addr" "$new"
	ok $? "$WHO, $fam: they follow an address that is changed by hand" ||
		diag "$client"
	pasta_stop
	P=7000
}

# Clients on this host, not past the tap
loopback() {
	pasta_start --no-splice -t 7001-7099
	ANY=0.0.0.0
	serve -r 1k -s 1k
	dial env 127.0.0.1 -s 1k -r 1k
	good "$WHO, IPv4: from the host's loopback"
	seen "$GW4,$(value from "$client" | cut -d, -f2)" \
		"$WHO, IPv4: is seen as the gateway"
	unset ANY
	serve -r 1k -s 1k
	dial env ::1 -s 1k -r 1k
	good "$WHO, IPv6: from the host's loopback"
	seen "$GW6,$(value from "$client" | cut -d, -f2)" \
		"$WHO, IPv6: is seen as the gateway"
	pasta_stop
	pasta_start --no-splice -t 7001-7099 --map-host-loopback 198.51.100.33 \
		--map-host-loopback 2001:db8:1::33
	ANY=0.0.0.0
	serve -r 1k -s 1k
	dial env 127.0.0.1 -s 1k -r 1k
	good "$WHO, IPv4: from the host's loopback, another address for it"
	like "$(value from "$server")" "^198.51.100.33," "$WHO, IPv4: as is seen"
	unset ANY
	serve -r 1k -s 1k
	dial env ::1 -s 1k -r 1k
	good "$WHO, IPv6: from the host's loopback, another address for it"
	like "$(value from "$server")" "^2001:db8:1::33," "$WHO, IPv6: as is seen"
	pasta_stop
	P=7000
}

for WHO in $WHOM; do
	pasta_start -t 7001-7099
	for fam in IPv4 IPv6; do
		addr=$HOST4; [ $fam = IPv6 ] && addr=$HOST6
		if [ "$WHO" = user ]; then
			bytes "$addr" $fam 1g
			closing "$addr" $fam
			P=7030
			silence $fam "$addr"
		else
			bytes "$addr" $fam 32m
		fi
	done
	link_local
	pasta_stop
	P=7000
	loopback
	[ "$WHO" = user ] || continue
	addresses IPv4 $HOST4 10.89.0.5 198.51.100.66 $PEER4 24 $GW4
	addresses IPv6 $HOST6 fd00:89::5 2001:db8:1::66 $PEER6 64 $GW6
done
done_testing
