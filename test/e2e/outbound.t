#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which address and interface flows leave by, addresses that are not there yet, and
# what --stats and --trace tell of it all

. "$(dirname "$0")/../lib/ns.sh"

# A second way to the peer
ip link add eth1 type veth peer name eth1 netns "$PEER_PID"
ip -b - <<-END
	addr add 192.0.2.1/24 dev eth1
	addr add 2001:db8:3::1/64 dev eth1 nodad
	link set eth1 up
	addr add 198.51.100.7/24 dev eth0
	addr add 2001:db8:1::7/64 dev eth0 nodad
END
peer ip -b - <<-END
	addr add 192.0.2.2/24 dev eth1
	addr add 2001:db8:3::2/64 dev eth1 nodad
	link set eth1 up
END
ip route add default via 192.0.2.2 metric 2000
ip -6 route add default via 2001:db8:3::2 metric 2000
wait_for ping -n -c1 -W1 192.0.2.2
wait_for ping -n -c1 -W1 2001:db8:3::2

P=7500
# source TCP|UDP ADDR OPTION...: the address that the peer sees
source_of() {
	local proto=$1 addr=$2 pid
	shift 2
	P=$((P + 1))
	exec_peer timeout 20 socat -u "$proto-LISTEN:$P,bind=$addr,reuseaddr" \
		"SYSTEM:echo \$SOCAT_PEERADDR" > "$T/seen" 2>/dev/null &
	pid=$!
	wait_for listening "${proto:0:3}" "$P" peer
	in_ns "$@" -- sh -c "echo x | socat -u - $proto:$addr:$P" 2>"$T/err"
	wait_for test -s "$T/seen"
	kill $pid 2>/dev/null
	wait $pid 2>/dev/null
	tr -d '[]' < "$T/seen"
}
listening() {
	local proto=${1,,}
	"${@:3}" ss -Han "--$proto" "sport = :$2" | grep -qE 'LISTEN|UNCONN'
}
full() { python3 -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]))' "$1"; }

for WHO in user root; do
	for proto in TCP UDP; do
		is "$(source_of ${proto}4 $PEER4)" $HOST4 \
			"$WHO: $proto leaves from the host's address"
		is "$(source_of ${proto}4 $PEER4 -o 198.51.100.7)" 198.51.100.7 \
			"$WHO: $proto, with -o from that address"
		is "$(source_of ${proto}4 $PEER4 --outbound-if4 eth1)" 192.0.2.1 \
			"$WHO: $proto, with --outbound-if4 by that interface"
		is "$(full "$(source_of ${proto}6 "[$PEER6]" -o 2001:db8:1::7)")" \
			2001:db8:1::7 "$WHO: $proto, with -o and IPv6"
		is "$(full "$(source_of ${proto}6 "[$PEER6]" --outbound-if6 eth1)")" \
			2001:db8:3::1 "$WHO: $proto, with --outbound-if6"
	done
done

# --- an address that the host does not have yet
out=$(in_ns -t 192.0.2.99/7600 -- true 2>&1)
is $? 1 "a port of an address that is not there is an error"
like "$out" "7600 \(Cannot assign requested address\)" "that says so"
in_ns --freebind -t 192.0.2.99/7600 -u 192.0.2.99/7600 -- true 2>"$T/err"
is $? 0 "but not with --freebind"
pasta_start --freebind -t 192.0.2.99/7600
inside timeout 20 tcpx listen :: 7600 -r 1k >/dev/null 2>&1 &
served() { inside ss -Hltn 'sport = :7600' | grep -q LISTEN; }
wait_for served
ip addr add 192.0.2.99/24 dev eth1
t "and once it is there, the port is reached" \
	peer timeout 20 tcpx connect 192.0.2.99 7600 -s 1k
pasta_stop 2>/dev/null

# --- what is told
in_ns_told() {
	run_as user timeout 20 "$PASTA" -f --config-net "${ALONE[@]}" "$@" 2>&1
}
in_ns_told --stats 1 -- sh -c "ping -c 1 -W 5 $PEER4 >/dev/null
	until [ -e $T/home/told ]; do sleep 0.05; done" >"$T/told" &
told=$!
wait_for grep -q "Stats: from guest [1-9].*to guest [1-9]" "$T/told"
wait_for grep -q "Stats: flows: 0 TCP, 0 UDP, 1 echo" "$T/told"
wait_for grep -q "Stats: not answered" "$T/told"
as_user touch "$T/home/told"
wait $told
out=$(cat "$T/told")
like "$out" "Stats: from guest [1-9][0-9]* frames, [1-9][0-9]* bytes; to guest [1-9]" \
	"--stats counts frames and bytes"
like "$out" "Stats: flows: 0 TCP, 0 UDP, 1 echo" "and flows"
like "$out" "Stats: not answered: 0 DHCP, 0 DHCPv6, [0-9]+ NDP" \
	"and what was not answered"
P=$((P + 1))
exec_peer timeout 20 tcpx listen $PEER4 $P -r 1k >/dev/null 2>&1 &
wait_for listening tcp $P peer
out=$(in_ns_told --trace -- tcpx connect $PEER4 $P -s 1k)
like "$out" "from guest: TCP $HOST4:[0-9]+ > $PEER4:$P \[S\] seq" \
	"--trace has a line for each frame of the guest"
like "$out" "to guest: TCP $PEER4:$P > $HOST4:[0-9]+ \[S.\] seq" "and to it"
like "$out" "TCP [0-9]+ \(tap $HOST4:[0-9]+ > $PEER4:$P, host \*:[0-9]+ > $PEER4:$P\): new" \
	"a new flow is one line, with both sides"
like "$out" "\(tap .*, host .*\): closed" "so is its end, with the reason"
is "$(in_ns_told --stats 1 -q -- true)" "" "with --quiet nothing is told"
done_testing
