# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Traffic between a virtual machine "a" behind passt and the peer.  Source this file after
# vm.sh.
#
#   passt_start OPTION...	and a guest with addresses on it; with $VHOST not empty,
#				it shares its memory
#   passt_stop			both
#   out ADDR SERVER CLIENT NAME, sizes ADDR NAME LIST, udp ADDR NAME, pings ADDR NAME
#   traffic NAME LIST4 LIST6	the last three, of both families; LIST: sizes for TCP
#   many			connections at once

S=$T/home/vm.socket
P=7100

# passt_start OPTION...: and a guest with addresses on it
passt_start() {
	run_as user "$T/bin/passt" ${VHOST:+--vhost-user} -q -s "$S" -P "$T/home/pid" -l "$T/home/log" \
		"$@" || return 1
	vm_start a "$S" ${VM_ARGS-} || return 1
	vm a "ip link set eth0 up
	udhcpc -i eth0 -q -n -t 5 -s /bin/guest-net -O mtu -O search || exit 1
	ip addr add $HOST6/64 dev eth0 nodad
	i=0
	until ip -6 route show default | grep -q default; do
		i=\$((i + 1)); [ \$i -lt 100 ] || exit 1; sleep 0.1
	done"
}

passt_stop() {
	vm_stop a
	kill "$(cat "$T/home/pid")"
	wait_for gone "$(cat "$T/home/pid")"
}

# out ADDR SERVER CLIENT NAME: the guest connects to the peer
out() {
	local pid rc srv
	P=$((P + 1))
	# shellcheck disable=SC2086 # options are words
	exec_peer timeout 60 tcpx listen "$1" $P $2 >"$T/server" 2>&1 &
	pid=$!
	wait_for listening tcp $P peer
	client=$(vm a "tcpx connect $1 $P $3")
	rc=$?
	wait $pid
	srv=$?
	[ $rc = 0 ] && [ $srv = 0 ]
	ok $? "$4" || diag "client ($rc): $client
server ($srv): $(cat "$T/server")"
}

sizes() {
	local n
	for n in $3; do
		out "$1" "-r $n" "-s $n" "$2: $n bytes out arrive unchanged"
		out "$1" "-s $n" "-r $n" "$2: $n bytes in arrive unchanged"
	done
}

udp() {
	local n pid
	P=$((P + 1))
	exec_peer udpx echo "$1" $P >/dev/null 2>&1 &
	pid=$!
	wait_for listening udp $P peer
	for n in 0 1 1000 1472 8000 40000; do
		client=$(vm a "udpx ask $1 $P -s $n -n 2 -c 3 -t 5000")
		ok $? "$2: datagrams of $n bytes and their answers" ||
			diag "$client"
	done
	kill $pid
}

pings() {
	like "$(vm a "ping -c 2 -W 5 -s 1000 $1")" "2 packets received" \
		"$2: ping and its answer"
}

traffic() {
	sizes $PEER4 "$1, IPv4" "$2"
	sizes $PEER6 "$1, IPv6" "$3"
	udp $PEER4 "$1, IPv4"
	udp $PEER6 "$1, IPv6"
	pings $PEER4 "$1, IPv4"
	pings $PEER6 "$1, IPv6"
}

many() {
	out $PEER4 "-n 64 -r 100k -s 100k" "-n 64 -s 100k -r 100k" \
		"64 connections at once"
}
