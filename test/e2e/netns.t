#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Namespaces that somebody else made: each way to name one, each way in which it
# ends, those that can't be joined, and the process that makes sockets in there.

. "$(dirname "$0")/../lib/ns.sh"

D=$T/home/ns			# files of namespaces
mkdir -p "$D"
chmod 777 "$D"

# Gone, or dead and not yet reaped
ended() {
	local state
	state=$(sed -n 's/.*) \([A-Z]\) .*/\1/p' "/proc/$1/stat" 2>/dev/null)
	[ -z "$state" ] || [ "$state" = Z ]
}

# hold [user|root]: a namespace of one's own, and a process in it: HOLDER
hold() {
	local how=-Urn
	[ "${1:-$WHO}" = user ] || how=-n
	rm -f "$T/home/held"
	exec_as "${1:-$WHO}" unshare $how sh -c \
		"echo up > $T/home/held; exec sleep 1000" &
	HOLDER=$!
	wait_for test -s "$T/home/held"
	wait_for grep -q sleep "/proc/$HOLDER/comm"
}

let_go() {
	kill -9 "$HOLDER" 2>/dev/null
	wait "$HOLDER" 2>/dev/null
}

# file NAME: a file of the holder's namespace
file() {
	: > "$1"
	mount --bind "/proc/$HOLDER/ns/net" "$1"
}

# daemon OPTION...: pasta in the background; sets DAEMON
daemon() {
	rm -f "$T/home/pid"
	run_as "$WHO" timeout 10 "$PASTA" -q --config-net "${ALONE[@]}" \
		-P "$T/home/pid" "$@" >"$T/out" 2>&1 </dev/null || {
		diag "$(cat "$T/out")"
		return 1
	}
	DAEMON=$(cat "$T/home/pid")
}

# Its owner may, and root
target() { nsenter -t "$HOLDER" -n -- "$@"; }

connected() {
	t "$WHO: $1: traffic passes" target ping -n -q -c1 -W5 $PEER4
}

# ends NAME: the daemon is gone soon, its interface with it
ends() {
	local start
	start=$(now_ms)
	wait_for -t 5 ended "$DAEMON"
	ok $? "$WHO: $1: it ends" || kill -9 "$DAEMON"
	took+=($(($(now_ms) - start)))
	gone "$HOLDER" && return
	wait_for -t 5 sh -c "! nsenter -t $HOLDER -n ip link show eth0"
	ok $? "$WHO: $1: and its interface"
}

# at_once: most of them, as something else may run
took=()
at_once() {
	local ms
	ms=$(printf '%s\n' "${took[@]}" | sort -n | sed -n "$((${#took[@]} / 2 + 1))p")
	le "$ms" 500 "most of ${#took[@]} end at once: ms"
}

# Somewhere else it is not mounted, and can be removed or renamed
elsewhere() {
	unshare -m --propagation private sh -c "umount -l $D/x && $1"
}

ways_to_end() {
	local how
	for how in unlink umount both rename; do
		hold
		file "$D/x"
		daemon --netns "$D/x"
		ok $? "$WHO: $how: --netns PATH" || { let_go; continue; }
		connected "$how"
		case $how in
		unlink)	elsewhere "rm $D/x";;
		umount)	umount -l "$D/x";;
		both)	umount "$D/x" && rm "$D/x";;
		rename)	elsewhere "mv $D/x $D/y";;
		esac
		is $? 0 "$WHO: $how: works while it is connected"
		ends "$how"
		let_go
		umount -l "$D"/? 2>/dev/null
		rm -f "$D"/?
	done
}

# The folder that its file is in
folder() {
	hold
	mkdir "$D/sub"
	file "$D/sub/x"
	daemon --netns "$D/sub/x"
	ok $? "$WHO: a file in a folder" || return
	umount -l "$D/sub/x"
	rm -r "$D/sub"
	ends "the folder removed"
	let_go
}

# What happens beside it doesn't matter, however much
not_ours() {
	local i
	hold
	file "$D/x"
	daemon --netns "$D/x"
	for i in $(seq 40); do
		file "$D/z$i"
	done
	for i in $(seq 40); do
		umount -l "$D/z$i"
		rm "$D/z$i"
	done
	: > "$D/x1"; mv "$D/x1" "$D/x2"; rm "$D/x2"
	ended "$DAEMON"
	is $? 1 "$WHO: other mounts and files come and go"
	connected "after that"
	umount -l "$D/x"
	rm "$D/x"
	ends "after that"
	let_go
}

by_process() {
	hold
	daemon --netns "/proc/$HOLDER/ns/net"
	ok $? "$WHO: --netns /proc/PID/ns/net" || return
	connected "/proc/PID/ns/net"
	let_go
	ends "/proc/PID/ns/net"

	hold
	daemon --netns "/proc/$HOLDER/task/$HOLDER/ns/net"
	ok $? "$WHO: of a thread" || return
	let_go
	wait_for ended "$DAEMON"
	ok $? "$WHO: of a thread: it ends" || kill -9 "$DAEMON"

	hold
	ln -s "/proc/$HOLDER/ns/net" "$D/link"
	daemon --netns "$D/link"
	ok $? "$WHO: a symbolic link to it" || return
	connected "a link"
	let_go
	ends "a link"
	rm "$D/link"

	hold
	ln -s "/proc/$HOLDER/ns/net" "$D/link"
	daemon --netns "$D/link"
	rm "$D/link"
	ends "a link removed"
	let_go
}

# by_descriptor: nothing that ends with the caller is what the namespace hangs on
by_descriptor() {
	local form left=() here
	for form in /dev/fd/5 /proc/self/fd/5 /proc/thread-self/fd/5 /dev/stdin \
		    launcher link; do
		hold
		rm -f "$T/home/pid" "$D/link"
		here=$form
		# shellcheck disable=SC2016
		[ $form = launcher ] && here='/proc/$$/fd/5'
		[ $form = link ] && here=$D/link && ln -s /proc/self/fd/5 "$D/link"
		# A process between us, which is gone when this returns
		run_as "$WHO" timeout 10 bash -c "$PASTA -q --config-net \
			${ALONE[*]} -P $T/home/pid --netns $here \
			--userns /dev/fd/6; exit \$?" >"$T/out" 2>&1 \
			<"/proc/$HOLDER/ns/net" 5<"/proc/$HOLDER/ns/net" \
			6<"/proc/$HOLDER/ns/user"
		is $? 0 "$WHO: --netns by descriptor: $form" || diag "$(cat "$T/out")"
		DAEMON=$(cat "$T/home/pid")
		left+=("$form $DAEMON $HOLDER")
		[ -z "$NS_ROOT" ] || [ "$form" = link ] ||
			is "$(find "/proc/$DAEMON/fd" -lname 'anon_inode:*notify' \
				-o -lname 'anon_inode:*pidfd*' -o -lname '/proc*')" \
				"" "$WHO: $form: it watches nothing"
	done
	sleep 1.5		# longer than the daemon goes between two looks
	for form in "${left[@]}"; do
		read -r here DAEMON HOLDER <<<"$form"
		connected "$here, after a while"
		let_go
		[ "$here" != link ] || continue
		kill "$DAEMON"
		wait_for -t 5 ended "$DAEMON"
		ok $? "$WHO: $here: SIGTERM ends it" || kill -9 "$DAEMON"
	done
	rm "$D/link"
	ends "a link to a descriptor removed"
	hold
	exec_as "$WHO" timeout -s KILL 20 "$PASTA" -f --config-net "${ALONE[@]}" \
		--netns /dev/fd/5 >"$T/out" 2>&1 5<"/proc/$HOLDER/ns/net" &
	DAEMON=$!
	wait_for target ping -n -q -c1 -W1 $PEER4
	ok $? "$WHO: by descriptor in the foreground, without --userns"
	t "$WHO: it says that it serves until SIGTERM" \
		grep -q "^Namespace /dev/fd/5 is a descriptor: .*SIGTERM" "$T/out"
	kill "$DAEMON"
	wait "$DAEMON" 2>/dev/null
	let_go
}

by_name() {
	hold
	mkdir -p /run/netns
	file /run/netns/blue
	daemon --netns blue
	ok $? "$WHO: --netns NAME is one in /run/netns" || return
	connected "NAME"
	umount -l /run/netns/blue
	rm /run/netns/blue
	ends "NAME"
	let_go
	[ "$WHO" = root ] && [ -n "$NS_ROOT" ] || return
	ip netns add green
	daemon --netns green
	ok $? "root: what ip netns made" || return
	t "root: traffic passes in it" \
		ip netns exec green ping -n -q -c1 -W5 $PEER6
	t "root: ip netns del works" ip netns del green
	HOLDER=1000000
	ends "ip netns del"
}

# It says so, where there is somebody to hear it
message() {
	local pid
	hold
	file "$D/x"
	exec_as "$WHO" timeout -s KILL 20 "$PASTA" -f --config-net \
		"${ALONE[@]}" --netns "$D/x" >"$T/out" 2>&1 </dev/null &
	pid=$!
	wait_for target ping -n -q -c1 -W1 $PEER4
	umount -l "$D/x"
	wait $pid
	is $? 0 "$WHO: in the foreground it ends with status 0"
	is "$(tail -1 "$T/out")" "Namespace $D/x is gone, exiting" \
		"$WHO: and says why"
	rm "$D/x"
	let_go
}

no_quit() {
	hold
	file "$D/x"
	daemon --no-netns-quit --netns "$D/x"
	ok $? "$WHO: --no-netns-quit" || return
	umount -l "$D/x"
	rm "$D/x"
	connected "--no-netns-quit, when it is gone"
	ended "$DAEMON"
	is $? 1 "$WHO: --no-netns-quit: it stays"
	kill "$DAEMON"
	wait_for -t 5 ended "$DAEMON"
	let_go
}

# --- exactly as callers do it -----------------------------------------------------

callers() {
	local out
	hold
	file "$D/x"
	rm -f "$T/home/pid"
	out=$(run_as "$WHO" "$PASTA" --config-net -P "$T/home/pid" \
		--dns-forward 169.254.1.1 -t none -u none -T none -U none \
		--no-map-gw --quiet --netns "$D/x" \
		--map-guest-addr 169.254.1.2 2>&1 | timeout 9 cat;
		echo "${PIPESTATUS[*]}")
	is "$out" "0 0" "$WHO: as podman calls it: no word, both outputs closed"
	DAEMON=$(cat "$T/home/pid")
	out=$(target ip -o addr)
	like "$out" "eth0 +inet 198.51.100.1/24" "$WHO: podman: addresses are there"
	case $out in *tentative*) false;; esac
	ok $? "$WHO: podman: and not tentative"
	like "$(target ip link)" "lo: .*UP.*mtu 65520" "$WHO: podman: lo up, MTU"
	umount "$D/x" && rm "$D/x"
	ends podman
	let_go

	hold
	out=$(run_as "$WHO" timeout 9 "$PASTA" --config-net \
		-P "$T/home/pid" -t none -u none -T none -U none \
		--no-map-gw --quiet --netns "/proc/$HOLDER/ns/net" 2>&1)
	is "$? $out" "0 " "$WHO: as buildah calls it"
	DAEMON=$(cat "$T/home/pid")
	connected buildah
	let_go
	ends buildah

	hold
	file "$D/x"
	out=$(run_as "$WHO" timeout 9 "$PASTA" --stderr --ns-ifname=tap0 \
		--mtu=65520 --config-net --address=10.0.2.100 --netmask=24 \
		--gateway=10.0.2.2 --dns-forward=10.0.2.3 --no-map-gw \
		--tcp-ports=none --udp-ports=none --pid="$T/home/pid" \
		--userns="/proc/$HOLDER/ns/user" --netns="$D/x" 2>&1)
	is $? 0 "$WHO: as rootlesskit calls it" || diag "$out"
	DAEMON=$(cat "$T/home/pid")
	like "$(target ip -o addr)" "tap0 +inet 10.0.2.100/24" \
		"$WHO: rootlesskit: its address"
	umount "$D/x" && rm "$D/x"
	ends rootlesskit
	let_go
}

# Rootless podman is root of a user namespace, and calls us in there
mapped_root() {
	rm -f "$T/home/pid" "$T/home/go"
	cat > "$T/bin/mapped" <<-END
		#!/bin/sh
		mount --make-rprivate / && mount -t tmpfs tmpfs $D && : > $D/x
		unshare -n sh -c "mount --bind /proc/self/ns/net $D/x"
		$PASTA -q --config-net ${ALONE[*]} -P $T/home/pid --netns $D/x &&
			nsenter --net=$D/x ping -n -q -c1 -W5 $PEER4 || exit
		umount $D/x || exit
		for i in \$(seq 100); do
			kill -0 \$(cat $T/home/pid) 2>/dev/null || exit 0
			sleep 0.1
		done
		exit 99
	END
	chmod 755 "$T/bin/mapped"
	t "$WHO: as root of a user namespace, until umount" \
		run_as "$WHO" unshare -Urm "$T/bin/mapped"
}

# --- what can't be joined -----------------------------------------------------------

# refused NAME ERE OPTION...: status 1, one line that says why
refused() {
	local name=$1 ere=$2 out rc
	shift 2
	out=$(run_as "$WHO" timeout 5 "$PASTA" -q --config-net "${ALONE[@]}" \
		"$@" 2>&1 </dev/null)
	rc=$?
	[ $rc = 1 ] && [ "$(wc -l <<<"$out")" = 1 ] && [[ $out =~ $ere ]]
	ok $? "$WHO: refused: $name" || diag "status $rc: $out"
}

refusals() {
	local could="^Couldn't open network namespace" kind
	refused "no such file" "$could $D/nosuch: No such file" --netns "$D/nosuch"
	refused "no such name" "$could /run/netns/nosuch: No such" --netns nosuch
	refused "no such process" "$could /proc/4123456/ns/net: No such" \
		--netns /proc/4123456/ns/net
	: > "$D/plain"
	mkfifo "$D/fifo"
	chmod 666 "$D/plain" "$D/fifo"
	for kind in plain fifo; do
		refused "a $kind file" "$could $D/$kind: It is no namespace" \
			--netns "$D/$kind"
	done
	refused "a folder" "$could $D: It is no namespace" --netns "$D"
	rm "$D/plain" "$D/fifo"
	hold
	for kind in user mnt uts; do
		refused "a $kind namespace" "$could .*: It is another kind" \
			--netns "/proc/$HOLDER/ns/$kind"
	done
	refused "one's own" "$could .*: It is our own" --netns /proc/self/ns/net
	refused "--userns that is none" "^Couldn't open user namespace .*none" \
		--userns "/proc/$HOLDER/ns/net" --netns "/proc/$HOLDER/ns/net"
	refused "--userns that is not there" "^Couldn't open user namespace" \
		--userns "$D/nosuch" --netns "/proc/$HOLDER/ns/net"
	[ "$WHO" = root ] ||
		refused "--netns-only of another user namespace's" "$could" \
			--netns-only --netns "/proc/$HOLDER/ns/net"
	let_go
}

strangers() {
	local could="^Couldn't open network namespace"
	WHO=user
	hold root
	file "$D/x"
	refused "root's" "$could $D/x: Operation not permitted" --netns "$D/x"
	refused "root's process" "$could /proc/$HOLDER/ns/net: Permission" \
		--netns "/proc/$HOLDER/ns/net"
	umount -l "$D/x"
	let_go
	exec setpriv --reuid 12345 --regid 12345 --clear-groups \
		unshare -Urn sleep 1000 &
	HOLDER=$!
	wait_for grep -q sleep "/proc/$HOLDER/comm"
	file "$D/x"
	refused "another user's" "$could $D/x: Operation not permitted" \
		--netns "$D/x"
	# shellcheck disable=SC2034 # for run_as
	WHO=root
	daemon --netns "$D/x"
	ok $? "root: another user's"
	connected "another user's"
	umount -l "$D/x"
	ends "another user's"
	daemon --netns-only --netns "/proc/$HOLDER/ns/net"
	ok $? "root: --netns-only"
	connected "--netns-only"
	let_go
	ends "--netns-only"
}

# --- the process in the namespace ---------------------------------------------------

field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; }

helper_find() {
	HELPER=$(pgrep -x pasta-ns | head -1)
	[ -n "$HELPER" ] && [ "$(field "$HELPER" Seccomp)" = 2 ]
}

one_socket() { [ "$(find "/proc/$HELPER/fd" -lname 'socket:*' | wc -l)" = 1 ]; }

helper() {
	local net
	pasta_start -T 4711
	wait_for helper_find
	ok $? "$WHO: a process in there makes sockets" || { pasta_stop; return; }
	is "$(field "$HELPER" NoNewPrivs)" 1 "$WHO: helper: no new privileges"
	is "$(field "$HELPER" CapPrm)" 0000000000000400 \
		"$WHO: helper: CAP_NET_BIND_SERVICE alone"
	is "$(field "$HELPER" CapBnd)" 0000000000000000 \
		"$WHO: helper: nothing can be gained"
	[ "$(field "$HELPER" Uid)" != 0 ] || [ -z "$NS_ROOT" ]
	ok $? "$WHO: helper: is not root"
	if [ -n "$NS_ROOT" ]; then
		is "$(ls -A "/proc/$HELPER/root/" 2>&1)" "" \
			"$WHO: helper: its root is empty"
		net=$(readlink "/proc/$INNER/ns/net")
		is "$(readlink "/proc/$HELPER/ns/net")" "$net" \
			"$WHO: helper: in the network of the command"
		t "$WHO: helper: a socket" wait_for one_socket
		is "$(find "/proc/$HELPER/fd" ! -lname 'socket:*' -type l \
			! -lname /dev/null)" "" "$WHO: helper: nothing else open"
	fi
	kill -9 "$HELPER"
	wait_for gone "$HELPER"
	t "$WHO: helper killed: traffic passes" \
		inside ping -n -q -c1 -W5 $PEER4
	pasta_stop

	pasta_start -T 4711
	wait_for helper_find
	kill -9 "$DAEMON"
	wait_for -t 5 ended "$HELPER"
	ok $? "$WHO: helper: it ends when the daemon is killed"
	pasta_stop

	hold
	file "$D/x"
	daemon -T 4711 --netns "$D/x"
	wait_for helper_find
	ok $? "$WHO: helper: of a daemon"
	umount "$D/x" && rm "$D/x"
	ends "helper"
	wait_for -t 5 ended "$HELPER"
	ok $? "$WHO: helper: ends with it"
	let_go
	in_ns -- true
	pgrep -x pasta-ns
	is $? 1 "$WHO: helper: there is none if no port is forwarded"
}

host_name() {
	local before
	before=$(uname -n)
	is "$(in_ns -H inside.example -- uname -n)" inside.example \
		"$WHO: --hostname is the name in there"
	is "$(in_ns -- uname -n)" "$before" "$WHO: without it nothing changes"
	is "$(uname -n)" "$before" "$WHO: that of the host stays"
}

mount -t tmpfs tmpfs /run
for WHO in $WHOM; do
	ways_to_end
	folder
	not_ours
	by_process
	by_descriptor
	by_name
	message
	no_quit
	callers
	mapped_root
	refusals
	helper
	host_name
done
if [ -n "$NS_ROOT" ]; then strangers; fi
at_once
done_testing
