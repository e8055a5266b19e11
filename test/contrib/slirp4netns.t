#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# contrib/slirp4netns: callers of slirp4netns run pasta instead.  First the command line
# and its errors, then descriptors and signals, addresses and names, and at last the
# callers themselves, podman 4 and rootlesskit, as far as they are installed.

. "$(dirname "$0")/../lib/ns.sh"

SLIRP=$T/bin/slirp4netns
cp "$NS_TOP/contrib/slirp4netns/slirp4netns" "$SLIRP" || exit 1
chmod 755 "$SLIRP"
NAME=203.0.113.53		# the host's name server, at the peer

# /etc is a private copy; name servers tell who was asked
stage() {
	cp -a /etc "$T/etc" 2>/dev/null
	mount --bind "$T/etc" /etc || return 1
	rm -f /etc/resolv.conf
	echo "nameserver $NAME" > /etc/resolv.conf
	peer ip addr add $NAME/32 dev lo
	peer ip addr add $GW4/32 dev lo 2>/dev/null
	exec_peer "$NS_TOP/test/tools/dnsd.py" $NAME $GW6 >"$T/dnsd" &
	wait_for grep -q ready "$T/dnsd"
	mkfifo "$T/ready" "$T/exit" && chmod 666 "$T/ready" "$T/exit"
}

# Is there no process of the wrapper's or of pasta?
nothing() { [ -z "$(processes)" ] && ! grep -qa "$SLIRP" /proc/[0-9]*/cmdline; }

status_of() {
	"$@" >"$T/out" 2>&1 </dev/null
	echo $?
}

# holder: a namespace of $WHO to connect; sets HOLDER
holder() {
	rm -f "$T/home/holder"
	exec_as "$WHO" unshare -Urn sh -c \
		"echo up > $T/home/holder; exec sleep 1000" &
	HOLDER=$!
	wait_for test -s "$T/home/holder"
	wait_for grep -q sleep "/proc/$HOLDER/comm"
}

holder_end() {
	kill -9 "$HOLDER"
	wait "$HOLDER" 2>/dev/null
	wait_for nothing
}

target() {
	run_as "$WHO" nsenter -t "$HOLDER" -U --preserve-credentials -n -- "$@"
}

# start ARGUMENT...: as podman does, with both descriptors; sets W, the process, and
# $said, which the process wrote to the ready descriptor.  Descriptor 8 is the other
# end of the exit descriptor
start() {
	exec 8<>"$T/exit"
	exec_as "$WHO" "$SLIRP" -r 6 -e 7 "$@" 6>"$T/ready" 7<"$T/exit" 8>&- \
		>"$T/out" 2>&1 &
	W=$!
	exec 9<"$T/ready" 8>"$T/exit"
	said=$(timeout 10 cat <&9)
	exec 9<&-
}

# finish: by the exit descriptor; returns the status
finish() {
	exec 8>&-
	wait "$W"
}

# --- the command line -----------------------------------------------------------------

# A pasta that prints its arguments, and which descriptors of its caller's it has
cat > "$T/bin/args" <<'END'
#!/bin/sh
[ "$1" = --version ] && echo "pasta 1.2.3" && exit
echo "$*"
for fd in 6 7; do
	[ ! -e /proc/self/fd/$fd ] || echo "descriptor $fd"
done
END
chmod 755 "$T/bin/args"

# turns_into NAME OPTIONS ARGUMENT...: some of pasta's options, in this order
turns_into() {
	local name=$1 wanted=$2 got
	shift 2
	got=$(PASTA=$T/bin/args "$SLIRP" "$@" 2>&1)
	like " $got " " $wanted " "$name"
}

# What podman 4.3 runs, but for the name of the file
podman_call=(--disable-host-loopback --mtu=65520 --enable-sandbox --enable-seccomp
	--enable-ipv6 -c -e 7 -r 6 --netns-type=path /proc/1/ns/net tap0)

command_line() {
	local all="--foreground --quiet -t none -u none -T none -U none"
	turns_into "a PID alone: IPv4, MTU 1500, tap0, names, nothing configured" \
		"$all --ns-ifname=tap0 --mtu=1500 --address=10.0.2.100/24 --gateway=10.0.2.2 --dns-forward=10.0.2.3 --dns=10.0.2.3 --dhcp-dns --ipv4-only 1" 1
	turns_into "podman 4.3" "$all --ns-ifname=tap0 --mtu=65520 .*--address=fd00::100/64 --gateway=fd00::2 --dns-forward=fd00::3 --dns=fd00::3 --no-map-gw --config-net --netns=/proc/1/ns/net" \
		"${podman_call[@]}" 6>/dev/null 7<>"$T/exit"
	turns_into "rootlesskit 1.1" "--ns-ifname=tap0 --mtu=65520 .*--no-map-gw 1" \
		--mtu 65520 --disable-host-loopback --cidr 10.0.2.0/24 1 tap0
	turns_into "options after the PID, shortened options" \
		"--ns-ifname=net7 .*--ipv4-only --no-map-gw --config-net 1" \
		1 net7 -c --disable-host
	turns_into "another network" \
		"--address=10.255.255.228/25 --gateway=10.255.255.130 --dns-forward=10.255.255.131" \
		--cidr=10.255.255.128/25 1
	turns_into "the widest network" "--address=128.0.0.100/1" --cidr=128.0.0.0/1 1
	turns_into "addresses to come from" \
		"--outbound=192.0.2.1 .*--outbound=2001:db8::1 .*" -6 \
		--outbound-addr=192.0.2.1 --outbound-addr6=2001:db8::1 1
	turns_into "interfaces to leave by" \
		"--outbound-if4=eth0 .*--outbound-if6=wlan1 .*" -6 \
		--outbound-addr=eth0 --outbound-addr6=wlan1 1
	turns_into "of options given twice the last one counts" \
		"--mtu=1300 .*--outbound-if4=eth1 .*" --outbound-addr=eth0 \
		--mtu=1200 --mtu=1300 --outbound-addr=eth1 1
	turns_into "a MAC address" "--ns-mac-addr=02:00:00:00:00:01 1" \
		--macaddress=02:00:00:00:00:01 -c 1
	turns_into "a user namespace by its path" \
		"--userns=/proc/1/ns/user --netns=/proc/1/ns/net" \
		--userns-path=/proc/1/ns/user 1
	is "$(cd /proc/1/ns && PASTA=$T/bin/args "$SLIRP" --netns-type=path net |
		grep -o 'netns=.*')" "netns=./net" \
		"a path without a slash is a file, not a name in /run/netns"
	turns_into "what exists for the sandbox is accepted" "--ipv4-only 1" \
		--enable-sandbox --create-sandbox --enable-seccomp --target-type=netns 1
	is "$(PASTA=$T/bin/args "$SLIRP" --version)" \
		$'slirp4netns version 1.2.0\nrun by pasta 1.2.3' "--version"
	is "$("$SLIRP" --help | grep -oE -e '--(disable-host-loopback|mtu|enable-sandbox|enable-seccomp|enable-ipv6|cidr|netns-type|api-socket|outbound-addr|userns-path)\b' |
		sort -u | wc -l)" 10 "--help names the options that callers look for"
}

# refused TEXT ARGUMENT...: in one line, and nothing stays
refused() {
	local text=$1
	shift
	is "$(status_of "$SLIRP" "$@") $(wc -l <"$T/out")" "1 1" "refused in one line: $*"
	like "$(cat "$T/out")" "$text" "  $text"
}

bad_input() {
	refused "a PID or PATH is missing"
	refused "'abc' is no PID, see --netns-type=path" abc
	refused "there is no process 99999999" 99999999
	refused "there is no network namespace /nowhere" --netns-type=path /nowhere
	refused "'x' is neither pid nor path" --netns-type=x 1
	refused "there is no /nowhere" --userns-path=/nowhere 1
	refused "unrecognized option '--vmode'" --vmode 1
	refused "requires an argument" 1 --cidr
	refused "--api-socket: pasta has none" -a /tmp/sock 1
	refused "--target-type: only netns" --target-type=bess /tmp/sock
	local mtu
	for mtu in 0 67 65522 x 1e3 99999999999 ""; do
		refused "--mtu: '$mtu' is not a number from 68 to 65521" "--mtu=$mtu" 1
	done
	refused "--ready-fd: 'x' is not a number" -r x 1
	refused "--ready-fd: descriptor 66 is not open" -r 66 1
	refused "--exit-fd: descriptor 66 is not open" -e 66 1
	refused "is not of the form" --cidr=10.0.2.0 1
	refused "is not of the form" --cidr=fd00::/64 1
	refused "has a number above 255" --cidr=10.0.256.0/24 1
	refused "the prefix length has to be 1 to 25" --cidr=10.0.2.0/26 1
	refused "the prefix length has to be 1 to 25" --cidr=0.0.0.0/0 1
	refused "is not the first address of a network" --cidr=10.0.2.1/24 1
	refused "--macaddress needs --configure" --macaddress=02:00:00:00:00:01 1
	refused "is not of the form" --macaddress=02:00 -c 1
	refused "'::1' is not an IPv4 address" --outbound-addr=::1 1
	refused "'192.0.2.1' is not an IPv6 address" -6 --outbound-addr6=192.0.2.1 1
	PASTA=/nowhere refused "PASTA=/nowhere is not a program" 1
	mkdir "$T/alone" && cp "$SLIRP" "$T/alone"
	is "$(PASTA='' PATH=/usr/bin:/bin "$T/alone/slirp4netns" 1 2>&1; echo $?)" \
		$'slirp4netns: no pasta beside this script or in PATH; PASTA=FILE names one\n1' \
		"without a pasta"
	t "none of them leaves a process" wait_for nothing
}

# --- descriptors and signals ----------------------------------------------------------

ready_and_exit() {
	local sig
	holder
	start -c "$HOLDER"
	is "$said" 1 "$WHO: the ready descriptor gets a 1, and is closed"
	like "$(target ip addr show tap0)" "mtu 1500 .*inet 10.0.2.100/24" \
		"$WHO: by then the interface is configured"
	like "$(target ip route)" "default via 10.0.2.2 dev tap0" "$WHO: and the route"
	finish
	is $? 0 "$WHO: when the exit descriptor is closed, it ends"
	t "$WHO: and nothing is left" wait_for nothing
	target ip link show tap0 >/dev/null 2>&1
	is $? 1 "$WHO: nor the interface"

	for sig in TERM INT HUP QUIT; do
		start -c "$HOLDER"
		kill -$sig $W
		wait $W
		is $? 0 "$WHO: SIG$sig ends it"
		wait_for nothing || diag "$(ps -ef)"
	done
	start -c "$HOLDER"
	kill -9 $W
	wait $W 2>/dev/null
	t "$WHO: if it is killed, pasta ends, too" wait_for nothing

	exec 8>&-
	exec_as "$WHO" "$SLIRP" -c "$HOLDER" &
	W=$!
	wait_for target ping -nqc1 -W1 $PEER4
	t "$WHO: it runs without descriptors" target ping -nqc1 -W5 $PEER4
	kill -9 "$HOLDER"
	wait $W
	is $? 0 "$WHO: it ends with the namespace"
	t "$WHO: and nothing is left" wait_for nothing

	holder
	start -c --outbound-addr=nodev "$HOLDER"
	wait $W
	is "$? '$said' $(wc -l <"$T/out")" "1 '' 1" \
		"$WHO: if pasta fails, its status and line are passed on, and no 1"
	start -c --mtu=65520 "$HOLDER" eth7
	is "$said" 1 "$WHO: the next one starts"
	is "$(status_of run_as "$WHO" "$SLIRP" -c "$HOLDER" eth7)" 1 \
		"$WHO: but no other one with the same interface"
	finish
	holder_end
}

# Descriptors of other kinds: each is handed over, then closed at the other end
other_descriptors() {
	holder
	is "$(python3 - "$SLIRP" "$HOLDER" <<-'END'
	import os, socket, subprocess, sys
	def go(name, fd, end):
	    r, w = os.pipe()
	    p = subprocess.Popen([sys.argv[1], "-r", str(w), "-e", str(fd), sys.argv[2]],
	                         pass_fds=[fd, w])
	    os.close(w)
	    said = os.read(r, 2)
	    alive = p.poll() is None
	    end()
	    print(name, said.decode(), alive, p.wait(5), flush=True)
	r, w = os.pipe()
	os.set_blocking(r, False)
	go("pipe", r, lambda: os.close(w))
	r, w = os.pipe()
	go("data", r, lambda: os.write(w, b"\0"))
	a, b = socket.socketpair()
	go("socket", a.fileno(), b.close)
	a, b = socket.socketpair()
	a.setblocking(False)
	go("non-blocking", a.fileno(), b.close)
	END
	)" "pipe 1 True 0
data 1 True 0
socket 1 True 0
non-blocking 1 True 0" "exit descriptors: pipe, its data, sockets"
	holder_end
}

# --- addresses, names, transfers ----------------------------------------------------------

# asked ADDRESS: which name server answers a question to it, from inside
asked() {
	target dig +short +tries=1 +time=2 -t TXT "@$1" test.example 2>&1 | tr -d '"'
}

# reaches ADDRESS PORT: does a byte get there, from inside?
reaches() { target timeout 5 tcpx connect "$1" "$2" -s 1k; }

network() {
	local pid tapname
	tcpx listen 127.0.0.1 7001 -r 1k >/dev/null 2>&1 &
	wait_for listening tcp 7001
	holder
	start -c -6 --macaddress=02:00:00:00:00:07 "$HOLDER"
	like "$(target ip addr show tap0)" \
		"02:00:00:00:00:07 .*inet 10.0.2.100/24 .*inet6 fd00::100/64" \
		"$WHO: -6 and --macaddress"
	is "$(asked 10.0.2.3)" "$NAME 53 udp" "$WHO: 10.0.2.3 is the host's name server"
	is "$(asked fd00::3)" "$NAME 53 udp" "$WHO: and fd00::3"
	for addr in $PEER4 $PEER6; do
		exec_peer tcpx listen $addr 7000 -r 1k >/dev/null 2>&1 &
		wait_for listening tcp 7000 peer
		t "$WHO: TCP to $addr" reaches $addr 7000
		wait $!
	done
	exec_peer udpx echo $PEER4 7000 >/dev/null 2>&1 &
	pid=$!
	wait_for listening udp 7000 peer
	t "$WHO: UDP to $PEER4 and back" target udpx ask $PEER4 7000 -n 2 -c 2
	kill $pid
	t "$WHO: 10.0.2.2 is the host's loopback" reaches 10.0.2.2 7001
	finish

	start -c --disable-host-loopback --disable-dns --cidr=10.77.0.0/16 "$HOLDER" n0
	like "$(target ip addr show n0)" "inet 10.77.0.100/16" "$WHO: --cidr and TAPNAME"
	is "$(target ip -6 addr show n0 scope global)" "" "$WHO: no IPv6 without -6"
	tcpx listen 127.0.0.1 7001 -r 1k >/dev/null 2>&1 &
	pid=$!
	wait_for listening tcp 7001
	reaches 10.77.0.2 7001 >/dev/null 2>&1
	isnt0 $? "$WHO: --disable-host-loopback: the gateway isn't the host's loopback"
	like "$(asked 10.77.0.3)" "timed out|no servers" "$WHO: --disable-dns: no names"
	kill $pid
	finish

	# As rootlesskit does: the namespace configures the interface itself
	start --userns-path=/proc/$HOLDER/ns/user --netns-type=path /proc/$HOLDER/ns/net
	is "$(target ip -br addr show tap0 | xargs)" "tap0 DOWN" \
		"$WHO: without -c the interface is made and not configured"
	like "$(target ip link show lo)" "LOOPBACK,UP" "$WHO: while lo is up"
	target ip link set tap0 up
	# shellcheck disable=SC2016 # udhcpc expands it
	printf '#!/bin/sh\necho "$1 $ip/$mask via $router, $dns"\n' > "$T/bin/script"
	chmod 755 "$T/bin/script"
	like "$(target busybox udhcpc -i tap0 -n -q -f -s "$T/bin/script" 2>&1)" \
		"bound 10.0.2.100/24 via 10.0.2.2, 10.0.2.3" \
		"$WHO: and it hears its address by DHCP"
	target ip addr add 10.0.2.100/24 dev tap0
	target ip route add default via 10.0.2.2
	t "$WHO: it works when it is configured by hand" target ping -nqc1 -W5 $PEER4
	is "$(asked 10.0.2.3)" "$NAME 53 udp" "$WHO: with names"
	finish

	echo "nameserver $GW6" > /etc/resolv.conf
	start -c "$HOLDER"
	isnt "$(asked 10.0.2.3)" "$GW6 53 udp" "$WHO: name servers by IPv6 alone: no names"
	finish
	start -c -6 "$HOLDER"
	is "$(asked 10.0.2.3)" "$GW6 53 udp" "$WHO: unless with -6"
	finish
	echo "nameserver $NAME" > /etc/resolv.conf

	start -c -6 --mtu=1200 "$HOLDER"
	is "$(target ip -br -6 addr show tap0 scope global)" "" \
		"$WHO: with an MTU below 1280 there is no IPv6"
	finish

	ip addr add 198.51.100.9/24 dev eth0
	start -c --outbound-addr=198.51.100.9 "$HOLDER"
	exec_peer tcpx listen $PEER4 7002 -r 1k >"$T/from" 2>&1 &
	wait_for listening tcp 7002 peer
	reaches $PEER4 7002 >/dev/null 2>&1
	wait $!
	like "$(cat "$T/from")" "from=198.51.100.9," "$WHO: --outbound-addr"
	finish
	ip addr del 198.51.100.9/24 dev eth0
	holder_end
}

# isnt GOT OTHER NAME
isnt() {
	[ "$1" != "$2" ]
	ok $? "$3"
}

isnt0() { isnt "$1" 0 "$2"; }

# A user with subordinate IDs
user_setup() {
	echo "user:x:$USER_ID:$USER_ID::$T/home:/bin/sh" >> /etc/passwd
	echo "user:x:$USER_ID:" >> /etc/group
	echo "user:100000:65536" > /etc/subuid
	echo "user:100000:65536" > /etc/subgid
	mkdir -p "$T/run" && chown $USER_ID:$USER_ID "$T/run"
}

# --- podman ---------------------------------------------------------------------------

PODMAN=/usr/bin/podman
podman() { as_user env XDG_RUNTIME_DIR="$T/run" $PODMAN "$@"; }
run() {
	local net=$1
	shift
	podman run --rm "--network=$net" localhost/box "$@" 2>&1
}
drop() { podman rm -f -t0 box >/dev/null 2>&1; wait_for nothing; }

podman_setup() {
	local tool file
	cat > /etc/containers/containers.conf <<-END
		[engine]
		cgroup_manager="cgroupfs"
		events_logger="file"
		network_cmd_path="$SLIRP"
		[containers]
		cgroups="disabled"
	END
	printf '[storage]\ndriver="vfs"\n' > /etc/containers/storage.conf
	echo '{"default":[{"type":"insecureAcceptAnything"}]}' \
		> /etc/containers/policy.json
	mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null

	# An image of busybox and the traffic tools, from no registry
	mkdir -p "$T/box/bin" "$T/box/etc" "$T/box/tmp"
	for tool in tcpx udpx; do
		cc -O2 -D_GNU_SOURCE -pthread -static -w -o "$T/box/bin/$tool" \
			"$NS_TOP/test/tools/$tool.c" || return 1
	done
	tool=$(command -v busybox)
	ldd "$tool" 2>/dev/null | grep -o '/[^ ]*' | while read -r file; do
		mkdir -p "$T/box$(dirname "$file")" && cp -L "$file" "$T/box$file"
	done
	cp "$tool" "$T/box/bin/busybox"
	for tool in sh ip cat nslookup sleep; do
		ln -s busybox "$T/box/bin/$tool"
	done
	tar -C "$T/box" -c . | podman import -q - localhost/box >"$T/out" 2>&1
}

# published PORT ADDRESS [peer]: data to the published port arrives
published() {
	local out
	podman run -d --name box --network=slirp4netns -p "$1:80" localhost/box \
		tcpx listen 0.0.0.0 80 -r 1k >"$T/out" 2>&1
	wait_for listening tcp "$1"
	wait_for box_listens
	# shellcheck disable=SC2086
	out=$(${3-} timeout 20 tcpx connect "$2" "$1" -s 1k 2>&1)
	ok $? "podman: -p: from ${3:-the host}" || diag "$out"
	is "$(podman wait box 2>/dev/null)" 0 "podman: and the container has it all"
	drop
}
box_listens() {
	nsenter -t "$(podman inspect -f '{{.State.Pid}}' box)" -n \
		ss -Hltn "sport = :80" | grep -q LISTEN
}

podman_containers() {
	local out pid
	podman_setup
	ok $? "podman: has an image" || { diag "$(cat "$T/out")"; return; }
	out=$(run slirp4netns sh -c "ip addr; ip route; cat /etc/resolv.conf
		nslookup -type=txt test.example 10.0.2.3")
	ok $? "podman: run --network=slirp4netns" || diag "$out"
	like "$out" "tap0: .*mtu 65520.*inet 10.0.2.100/24" "podman: address and MTU"
	like "$out" "inet6 fd00::100/64" "podman: IPv6"
	like "$out" "default via 10.0.2.2 dev tap0" "podman: route"
	like "$out" "nameserver 10.0.2.3" "podman: name server"
	like "$out" "$NAME 53 udp" "podman: that leads to the host's"
	t "podman: the end of the container ends pasta" wait_for nothing

	exec_peer tcpx listen $PEER4 7010 -r 100m >/dev/null 2>&1 &
	pid=$!
	wait_for listening tcp 7010 peer
	t "podman: 100 MB to the world" run slirp4netns \
		tcpx connect $PEER4 7010 -s 100m
	t "podman: they arrive" wait $pid
	exec_peer udpx echo $PEER4 7010 >/dev/null 2>&1 &
	pid=$!
	wait_for listening udp 7010 peer
	t "podman: UDP and its answers" run slirp4netns udpx ask $PEER4 7010 -n 3 -c 3
	kill $pid

	tcpx listen 127.0.0.1 7011 -r 1k >/dev/null 2>&1 &
	pid=$!
	wait_for listening tcp 7011
	run slirp4netns timeout 5 tcpx connect 10.0.2.2 7011 -s 1k >/dev/null
	isnt0 $? "podman: the host's loopback is closed"
	t "podman: and open with allow_host_loopback" \
		run slirp4netns:allow_host_loopback=true tcpx connect 10.0.2.2 7011 -s 1k
	wait $pid
	out=$(run slirp4netns:cidr=10.44.0.0/24,mtu=1400,enable_ipv6=false ip addr)
	like "$out" "mtu 1400.*inet 10.44.0.100/24" "podman: cidr and mtu"
	[[ $out != *"inet6 fd00"* ]]
	ok $? "podman: without IPv6"
	out=$(podman run --rm --network=slirp4netns:port_handler=slirp4netns -p 7012:80 \
		localhost/box sh 2>&1)
	isnt0 $? "podman: a port handler that needs the API socket fails"
	like "$out" "--api-socket: pasta has none" "podman: and tells why"
	t "podman: nothing is left of it" wait_for nothing

	published 7013 127.0.0.1
	published 7013 $HOST4 peer
	podman run -d --name box --network=slirp4netns localhost/box \
		sleep 1000 >/dev/null 2>&1
	is "$(nothing && echo nothing)" "" "podman: of a container in the background"
	podman stop -t0 box >/dev/null 2>&1
	t "podman: stop ends pasta" wait_for nothing
	podman start box >/dev/null 2>&1
	like "$(podman exec box ip addr 2>&1)" "inet 10.0.2.100/24" "podman: start"
	drop
	t "podman: rm ends pasta" nothing
}

# --- rootlesskit ----------------------------------------------------------------------

ROOTLESSKIT=/usr/bin/rootlesskit
rootlesskit() {
	as_user env XDG_RUNTIME_DIR="$T/run" $ROOTLESSKIT --net=slirp4netns \
		--slirp4netns-binary="$SLIRP" --copy-up=/etc "$@"
}

rootlesskit_namespace() {
	local out pid
	out=$(rootlesskit --mtu=1400 --slirp4netns-sandbox=auto \
		--slirp4netns-seccomp=auto sh -c \
		"ip addr; ip route; cat /etc/resolv.conf
		dig +short +tries=1 -t TXT test.example" 2>&1)
	ok $? "rootlesskit: runs a command" || diag "$out"
	like "$out" "tap0: .*mtu 1400.*inet 10.0.2.100/24" "rootlesskit: address and MTU"
	like "$out" "default via 10.0.2.2 dev tap0" "rootlesskit: route"
	like "$out" "nameserver 10.0.2.3" "rootlesskit: name server"
	like "$out" "$NAME 53 udp" "rootlesskit: that leads to the host's"
	t "rootlesskit: nothing is left" wait_for nothing

	as_user env XDG_RUNTIME_DIR="$T/run" $ROOTLESSKIT --net=slirp4netns \
		--slirp4netns-binary="$SLIRP" --copy-up=/etc \
		--disable-host-loopback --cidr=10.45.0.0/24 --port-driver=builtin \
		-p 0.0.0.0:7020:80/tcp tcpx listen 0.0.0.0 80 -r 1k >"$T/out" 2>&1 &
	pid=$!
	wait_for listening tcp 7020
	wait_for rootlesskit_listens
	t "rootlesskit: a published port" peer timeout 20 tcpx connect $HOST4 7020 -s 1k
	wait $pid
	is $? 0 "rootlesskit: that leads into the namespace"
	t "rootlesskit: nothing is left" wait_for nothing

	out=$(rootlesskit --port-driver=slirp4netns -p 0.0.0.0:7021:80/tcp true 2>&1)
	isnt0 $? "rootlesskit: a port driver that needs the API socket fails"
	like "$out" "slirp4netns failed" "rootlesskit: and is told so"
	t "rootlesskit: nothing is left of it" wait_for nothing
}

# In the namespace of the only tcpx
rootlesskit_listens() {
	local pid
	pid=$(grep -lx tcpx /proc/[0-9]*/comm | cut -d/ -f3)
	nsenter -t "$pid" -n ss -Hltn "sport = :80" | grep -q LISTEN
}

stage
ok $? "the stage is set" || done_testing
command_line
bad_input
for WHO in $WHOM; do
	ready_and_exit
	network
done
WHO=user
other_descriptors
if [ -z "$NS_ROOT" ]; then
	skip "callers" "only root can prepare a user for them"
	done_testing
fi
user_setup
if ! command -v newuidmap >/dev/null; then
	skip "callers" "there is no newuidmap"
	done_testing
fi
if [ -x $PODMAN ]; then
	podman_containers
else
	skip "podman" "there is no $PODMAN"
fi
if [ -x $ROOTLESSKIT ]; then
	rootlesskit_namespace
else
	skip "rootlesskit" "there is no $ROOTLESSKIT"
fi
done_testing
