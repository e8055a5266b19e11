#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Rootless podman runs its containers on our pasta: what they see of the network,
# published ports, transfers, and that nothing stays behind

. "$(dirname "$0")/../lib/root.sh"
root_image
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/root.sh"

NAME=198.51.100.53		# name server of the host
# shellcheck disable=SC2317 # called through podman
podman() { root podman "$@"; }
run() { root podman run --rm localhost/box "$@"; }
pastas() { pgrep -x pasta; pgrep -x passt; pgrep -x pasta-ns; }
no_pasta() { [ -z "$(pastas)" ]; }

printf 'nameserver %s\nsearch example.com\n' $NAME > "$T/resolv.conf"
mount --bind "$T/resolv.conf" /etc/resolv.conf
root_enter
ok $? "a Debian root is set up" || done_testing

# An image of busybox and the traffic tools, from no registry
mkdir -p "$T/box/bin" "$T/box/etc" "$T/box/tmp"
for tool in tcpx udpx; do
	cc -O2 -D_GNU_SOURCE -pthread -static -w -o "$T/box/bin/$tool" \
		"$NS_TOP/test/tools/$tool.c"
done
cp "$ROOT_IMAGE/bin/busybox" "$T/box/bin/"
for tool in sh ip cat sleep true nslookup wget; do
	ln -s busybox "$T/box/bin/$tool"
done
tar -C "$T/box" -c . | root podman import -q - localhost/box >/dev/null
t "podman has an image" podman image exists localhost/box

# --- what a container sees, by default and with the option
for opt in "" "--network=pasta"; do
	what="podman run ${opt:-without option}"
	# shellcheck disable=SC2086 # one word or none
	out=$(podman run --rm $opt localhost/box sh -c 'ip addr; ip route
		ip -6 route; cat /etc/hosts /etc/resolv.conf' 2>&1)
	ok $? "$what: it runs" || diag "$out"
	like "$out" "inet $HOST4/24" "$what: the host's IPv4 address"
	like "$out" "inet6 $HOST6/64" "$what: the host's IPv6 address"
	like "$out" "default via $GW4 " "$what: the host's IPv4 route"
	like "$out" "default via $GW6 " "$what: the host's IPv6 route"
	like "$out" "mtu 65520" "$what: MTU 65520"
	like "$out" "lo: <LOOPBACK,UP" "$what: lo is up"
	like "$out" "169.254.1.2[[:space:]]+host.containers.internal" \
		"$what: the host has a name"
	like "$out" "nameserver 169.254.1.1" "$what: the forwarder is its name server"
	like "$out" "search example.com" "$what: with the host's search list"
	wait_for no_pasta
	is "$(pastas)" "" "$what: no process stays"
done

out=$(podman run --rm --network=pasta:-4,-I,net7,--ns-mac-addr,02:00:00:00:00:07,-m,1400 \
	localhost/box ip addr 2>&1)
like "$out" "net7: .* mtu 1400" "options: -I and -m"
like "$out" "02:00:00:00:00:07" "options: --ns-mac-addr"
[[ $out != *inet6\ 2001* ]]
ok $? "options: -4"
out=$(podman run --rm --network=pasta:-a,192.0.2.7,-n,24,-g,192.0.2.1 \
	localhost/box sh -c 'ip addr; ip route' 2>&1)
like "$out" "inet 192.0.2.7/24" "options: -a and -n"
like "$out" "default via 192.0.2.1" "options: -g"
out=$(podman run --rm --network=pasta:--no-such-option localhost/box true 2>&1)
is $? 126 "an unknown option fails"
like "$out" "pasta failed with exit code 1" "in podman's words"
like "$out" "unrecognized option '--no-such-option'" "and ours"

# --- published ports
# served NAME SERVER-COMMAND RUN-OPTION...: a container that serves
served() {
	local name=$1 cmd=$2
	shift 2
	podman run -d --name "$name" "$@" localhost/box sh -c "$cmd" \
		>"$T/served" 2>&1 || { diag "$(cat "$T/served")"; return 1; }
}
drop() { podman rm -f -t0 "$@" >/dev/null 2>&1; wait_for no_pasta; }

# fetch ADDR PORT NAME CLIENT [peer]: a client of the published port
fetch() {
	local out
	# shellcheck disable=SC2086 # options are words
	out=$(${5-} timeout 60 tcpx connect "$1" "$2" $4 2>&1)
	ok $? "$3" || diag "$out"
}
# both ways, from the peer (over the tap) and from the host itself (bypass)
published() {
	local size=$1 port=7300 from addr
	for from in peer host; do
		addr=$HOST4
		[ $from = peer ] || addr=127.0.0.1
		served box "tcpx listen :: 80 -r $size" -p $port:80
		wait_for listening tcp $port
		wait_for inside_listening 80
		fetch $addr $port "$size bytes from the $from into a container" \
			"-s $size" "$([ $from = host ] || echo peer)"
		is "$(podman wait box)" 0 "and all of it arrives"
		drop box
		served box "tcpx listen :: 80 -s $size" -p $port:80
		wait_for listening tcp $port
		wait_for inside_listening 80
		fetch $addr $port "$size bytes out of it to the $from" \
			"-r $size" "$([ $from = host ] || echo peer)"
		drop box
	done
}
# In the container's namespace, found by its only process that is not ours: is a port
# bound? usage: inside_listening PORT [udp]
inside_listening() {
	local pid how=-Hltn
	[ "${2-}" != udp ] || how=-Huan
	pid=$(podman inspect -f '{{.State.Pid}}' box)
	nsenter -t "$pid" -n ss $how "sport = :$1" | grep -q .
}
for size in 1 100k 100m; do
	published $size
done

served box "udpx echo :: 53" -p 7301:53/udp
wait_for listening udp 7301
wait_for inside_listening 53 udp
out=$(peer udpx ask $HOST4 7301 -s 1000 -n 3 -c 3 2>&1)
ok $? "UDP from the peer to a published port, and back" || diag "$out"
out=$(udpx ask 127.0.0.1 7301 -s 1000 -n 3 -c 3 2>&1)
ok $? "UDP from the host itself, and back" || diag "$out"
drop box

served box "for p in 81 82 83; do tcpx listen :: \$p -r 1 & done; wait" \
	-p 7310-7312:81-83
for n in 0 1 2; do
	wait_for listening tcp 731$n
	wait_for inside_listening 8$((n + 1))
	fetch $HOST4 731$n "a range of ports: 731$n" "-s 1" peer
done
drop box
served box "while :; do tcpx listen :: 80 -r 1; done" -p $HOST4:7320:80 -p "[$HOST6]:7321:80"
wait_for inside_listening 80
fetch $HOST4 7320 "a port of one address" "-s 1" peer
wait_for inside_listening 80
fetch $HOST6 7321 "a port of one IPv6 address" "-s 1" peer
is "$(ss -Hltn 'sport = :7320' | awk '{ print $4 }')" "$HOST4:7320" \
	"is bound to that one only"
drop box

socat TCP-LISTEN:7330,reuseaddr,fork /dev/null &
busy=$!
wait_for listening tcp 7330
out=$(podman run --rm -p 7330:80 localhost/box true 2>&1)
is $? 126 "a port in use fails"
like "$out" "Failed to bind port 7330 \(Address already in use\) for option '-t 7330-7330:80-80'" \
	"and is named"
kill $busy
wait $busy 2>/dev/null

# --- the host from inside
tcpx listen $HOST4 7340 -r 1k >/dev/null 2>&1 &
wait_for listening tcp 7340
out=$(run tcpx connect 169.254.1.2 7340 -s 1k 2>&1)
ok $? "host.containers.internal reaches a service on the host's address" || diag "$out"

# --- stop, start, restart; the port is free at once each time
served box "while :; do tcpx listen :: 80 -r 1 >/dev/null 2>&1; done" -p 7350:80
for i in 1 2 3; do
	podman restart -t0 box >/dev/null 2>&1
	ok $? "restart $i"
	wait_for inside_listening 80
	fetch $HOST4 7350 "and its port works" "-s 1" peer
done
podman stop -t0 box >/dev/null 2>&1
wait_for no_pasta
is "$(pastas)" "" "podman stop leaves no process"
listening tcp 7350
is $? 1 "and no port"
podman start box >/dev/null 2>&1
ok $? "podman start"
wait_for inside_listening 80
fetch 127.0.0.1 7350 "and its port works from the host" "-s 1"
drop box
is "$(pastas)" "" "podman rm leaves no process"
done_testing
