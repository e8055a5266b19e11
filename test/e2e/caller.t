#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Callers of all kinds: with descriptors, limits, signals, a mask, a shell or an
# environment that are not the usual ones; who may name which process; what the
# daemon keeps of its caller, and leaves in files.

. "$(dirname "$0")/../lib/ns.sh"

status_of() {
	"$@" >"$T/out" 2>&1 </dev/null
	echo $?
}

# holder [COMMAND...]: a network namespace as the PID to give; sets HOLDER
holder() {
	rm -f "$T/home/holder"
	exec_as "$WHO" "${@:-env}" unshare -Urn sh -c \
		"echo up > $T/home/holder; exec sleep 1000" &
	HOLDER=$!
	wait_for test -s "$T/home/holder"
	wait_for grep -q sleep "/proc/$HOLDER/comm"
}

# daemon: pasta PID in the background; sets DAEMON
daemon() {
	holder
	rm -f "$T/home/pid"
	run_as "$WHO" timeout 10 "$PASTA" -q --config-net "${ALONE[@]}" \
		-P "$T/home/pid" "$HOLDER" || return
	DAEMON=$(cat "$T/home/pid")
}

# Gone, or dead and not yet reaped
ended() {
	local state
	state=$(sed -n 's/.*) \([A-Z]\) .*/\1/p' "/proc/$1/stat" 2>/dev/null)
	[ -z "$state" ] || [ "$state" = Z ]
}

holder_kill() {
	kill -9 "$HOLDER"
	wait "$HOLDER" 2>/dev/null
}

holder_end() {
	holder_kill
	wait_for ended "$DAEMON"
}

descriptors() {
	local start fd out
	holder
	rm -f "$T/home/pid"
	start=$(now_ms)
	run_as "$WHO" "$PASTA" --config-net "${ALONE[@]}" \
		-P "$T/home/pid" "$HOLDER" 2>&1 | timeout 5 cat >/dev/null
	DAEMON=$(cat "$T/home/pid")
	le $(($(now_ms) - start)) 4500 \
		"$WHO: a pipe from the daemon ends when it is ready, ms"
	ended "$DAEMON"
	is $? 1 "$WHO: while it runs"
	holder_end

	exec 8</etc/passwd 13</etc
	daemon
	exec 8<&- 13<&-
	[ -z "$NS_ROOT" ] || is "$(find "/proc/$DAEMON/fd" -lname '/etc*' \
		-o -lname 'pipe:*')" "" \
		"$WHO: no descriptor of the caller's is left in the daemon"
	is "$(ps -o sid=,tty= -p "$DAEMON" | xargs)" "$DAEMON ?" \
		"$WHO: it has a session of its own, and no terminal"
	holder_end

	is "$(in_ns -- readlink /proc/self/fd/0 <&-)" /dev/null \
		"$WHO: without standard input it is /dev/null"
	run_as "$WHO" "$PASTA" -q --config-net "${ALONE[@]}" -- true <&- >&- 2>&-
	is $? 0 "$WHO: with none of the three it works"
	out=$(in_ns -p "$T/home/pcap" -- echo inside 2>&1 >&-)
	case $out in *inside*) false;; esac
	ok $? "$WHO: without standard output no other file gets it"
	rm -f "$T/home/pcap"
}

# Files named by descriptors of the caller, in each way to start
opened() {
	rm -f "$T"/f?
	exec 7>"$T/f7" 8>"$T/f8" 9>"$T/f9"
}

closed() {
	exec 7>&- 8>&- 9>&-
}

written() {
	[[ $(cat "$T/f7") =~ ^[0-9]+$ ]] && [ "$(stat -c %s "$T/f9")" -gt 24 ] &&
		grep -q "times in seconds since" "$T/f8"
}

named_files() {
	local fd options out pid
	for fd in /dev/fd /proc/self/fd /proc/thread-self/fd; do
		options=(-P "$fd/7" -l "$fd/8" -p "$fd/9")
		opened
		out=$(in_ns "${options[@]}" -- sh -c "ping -nqc1 -W5 $PEER4
			ls /proc/self/fd")
		closed
		t "$WHO: $fd/N: files of pasta COMMAND" written
		is "$(grep -cx '[0-9]' <<<"$out")" 4 \
			"$WHO: $fd/N: the command gets none of them"

		holder
		opened
		run_as "$WHO" timeout 10 "$PASTA" -q --config-net "${ALONE[@]}" \
			"${options[@]}" "$HOLDER"
		closed
		DAEMON=$(cat "$T/f7")
		target ping -nqc1 -W5 $PEER4 >/dev/null
		t "$WHO: $fd/N: files of pasta PID" written
		ended "${DAEMON:-1000000}"
		is $? 1 "$WHO: $fd/N: -P names the process in the background"
		holder_end

		holder
		opened
		exec_as "$WHO" "$PASTA" -f -q --config-net "${ALONE[@]}" \
			"${options[@]}" "$HOLDER" &
		pid=$!
		closed
		wait_for target ping -nqc1 -W5 $PEER4
		t "$WHO: $fd/N: files of pasta -f PID" written
		is "$(cat "$T/f7")" $pid "$WHO: $fd/N: -P names this process"
		holder_kill
		wait $pid

		opened
		run_as "$WHO" timeout 10 "$T/bin/passt" -q -s "$T/home/sock" \
			"${options[@]}"
		closed
		pid=$(cat "$T/f7")
		ended "${pid:-1000000}"
		is $? 1 "$WHO: $fd/N: -P of passt"
		kill "$pid"
		wait_for ended "$pid"
	done
	mkfifo "$T/fifo"
	timeout 10 cat "$T/fifo" >"$T/got" &
	run_as "$WHO" timeout 10 "$T/bin/passt" -q -s "$T/home/sock" -1 \
		-P /dev/fd/7 7>"$T/fifo"
	wait $!
	pid=$(cat "$T/got")
	ended "${pid:-1000000}"
	is $? 1 "$WHO: -P may be a pipe, read to its end as a sign of being ready"
	kill "$pid"
	wait_for ended "$pid"
	rm -f "$T/fifo"

	run_as "$WHO" timeout 10 "$T/bin/passt" -q -P "$T/home/pid" \
		-s /proc/self/fd/7/sock 7<"$T/home"
	t "$WHO: --socket in a folder named by a descriptor" \
		test -S "$T/home/sock"
	pid=$(cat "$T/home/pid")
	[ -z "$NS_ROOT" ] || is "$(find "/proc/$pid/fd" -lname "$T/home*")" "" \
		"$WHO: which is not kept"
	kill "$pid"
	wait_for ended "$pid"
	rm -f "$T/home/sock" "$T"/f?
}

# In the log that a descriptor names the older lines make room
named_log() {
	exec 8>"$T/f8"
	chmod 666 "$T/f8"
	in_ns --trace -l /dev/fd/8 --log-size 40960 -- sh -c \
		"ping -nqc300 -i0.002 -W5 $PEER4" >/dev/null 2>&1
	exec 8>&-
	le "$(stat -c %s "$T/f8")" 40960 "$WHO: a log named by a descriptor is bounded"
	like "$(head -c 300 "$T/f8")" "times in seconds since" \
		"$WHO: and keeps its first line"
	[ "$(wc -l <"$T/f8")" -gt 100 ]
	ok $? "$WHO: and the younger ones"
	rm -f "$T/f8"
}

limits() {
	local n
	for n in 64 16; do
		like "$(ulimit -n $n; in_ns -- ping -n -q -c1 -W5 $PEER4)" \
			"1 received" "$WHO: with $n descriptors"
	done
	is "$(ulimit -n 64; in_ns -- sh -c 'ulimit -Sn; ulimit -Hn' | xargs)" \
		"64 64" "$WHO: the command has the same limit"
	is "$(umask 027; in_ns -- sh -c umask)" 0027 "$WHO: umask is kept"
	is "$(trap '' USR1; in_ns -- grep SigIgn /proc/self/status)" \
		"SigIgn:	0000000000000200" \
		"$WHO: what is ignored stays so, and nothing else"
	is "$(trap '' CHLD; in_ns -- sh -c 'exit 5'; echo $?)" 5 \
		"$WHO: a caller that ignores SIGCHLD gets the status"
	(
		umask 0
		rm -f "$T"/home/f?
		in_ns -l "$T/home/f1" -P "$T/home/f2" -p "$T/home/f3" -- true
	)
	is "$(stat -c %a "$T/home/f1" "$T/home/f2" "$T/home/f3" | xargs)" \
		"600 600 600" "$WHO: files are the caller's alone"
	rm -f "$T"/home/f?
}

environment() {
	is "$(echo 'echo ok; exit 4' | run_as "$WHO" env -i "$PASTA" -q \
		--config-net "${ALONE[@]}"; echo $?)" $'ok\n4' \
		"$WHO: no environment at all"
	is "$(echo 'echo ok; exit 4' | SHELL=/nonexistent run_as "$WHO" \
		"$PASTA" -q --config-net "${ALONE[@]}"; echo $?)" $'ok\n4' \
		"$WHO: a SHELL that is not there"
	# shellcheck disable=SC2016
	is "$(in_ns -- sh -c 'echo ${#1}' x \
		"$(head -c 100000 /dev/zero | tr '\0' a)")" 100000 \
		"$WHO: a long argument"
	is "$(in_ns -- sh -c 'hostname inside && hostname')" inside \
		"$WHO: the name of the host is the namespace's own"
	is "$(in_ns -- head -c 50000000 /dev/zero | wc -c)" 50000000 \
		"$WHO: a lot of output"
}

# The PID in the file of a pasta in the foreground may be killed at once
signal_when_ready() {
	local i pid bad=0
	mkfifo -m 666 "$T/home/fifo"
	holder
	for i in {1..20}; do
		exec_as "$WHO" "$PASTA" -f -q --config-net "${ALONE[@]}" \
			-P "$T/home/fifo" "$HOLDER" &
		read -r pid < "$T/home/fifo"
		kill "$pid"
		wait $! || bad=$((bad + 1))
	done
	is $bad 0 "$WHO: SIGTERM as soon as the PID file is written: status 0"
	rm "$T/home/fifo"
	holder_kill
}

no_interface() { ! target ip -o link show eth0; }

signals() {
	local sig
	for sig in TERM QUIT; do
		daemon
		kill -$sig "$DAEMON"
		wait_for -t 5 ended "$DAEMON"
		ok $? "$WHO: SIG$sig ends the daemon"
		wait_for no_interface
		ok $? "$WHO: and its interface"
		holder_end
	done
	daemon
	kill -HUP "$DAEMON"
	kill -PIPE "$DAEMON"
	t "$WHO: SIGHUP and SIGPIPE do nothing to it" target ping -n -q -c1 -W5 $PEER4
	is "$(status_of run_as "$WHO" "$PASTA" -q --config-net "$HOLDER")" 1 \
		"$WHO: a second one for the same namespace"
	like "$(cat "$T/out")" "already .-I NAME" "$WHO: names the remedy"
	t "$WHO: the first lives on" target ping -n -q -c1 -W5 $PEER4
	holder_end
}

target() {
	run_as "$WHO" nsenter -t "$HOLDER" -U --preserve-credentials -n -- "$@"
}

nested() {
	local pid
	t "$WHO: in a pasta" in_ns -- "$PASTA" -q --config-net "${ALONE[@]}" -- \
		ping -n -q -c1 -W5 $PEER4
	for pid in "-Ur" "-Urm" "-Urmpf --mount-proc"; do
		# shellcheck disable=SC2086 # options are words
		t "$WHO: as root of unshare $pid" run_as "$WHO" unshare $pid \
			"$PASTA" -q --config-net "${ALONE[@]}" -- \
			ping -n -q -c1 -W5 $PEER6
	done
	# shellcheck disable=SC2016
	t "$WHO: pasta PID, in the user namespace that owns PID's" \
		run_as "$WHO" unshare -Ur sh -c "unshare -n sleep 1001 & pid=\$!
		while [ \"\$(readlink /proc/\$pid/ns/net)\" = \
			\"\$(readlink /proc/self/ns/net)\" ]; do sleep 0.02; done
		$PASTA -q --config-net ${ALONE[*]} \$pid &&
		nsenter -t \$pid -n ping -n -q -c1 -W5 $PEER4; rc=\$?
		kill \$pid; exit \$rc"
}

# Whose namespaces: one's own, and root everybody's
strangers() {
	WHO=root
	holder setpriv --reuid 12345 --regid 12345 --clear-groups
	is "$(status_of as_user "$PASTA" -q --config-net "$HOLDER")" 1 \
		"user: the PID of another user"
	like "$(cat "$T/out")" "process is not yours" "user: says why"
	is "$(wc -l <"$T/out")" 1 "user: in one line"
	is "$(status_of "$PASTA" -q --config-net "${ALONE[@]}" "$HOLDER")" 0 \
		"root: the PID of a user"
	t "root: and it is connected" \
		nsenter -t "$HOLDER" -n ping -n -q -c1 -W5 $PEER4
	holder_kill
	unshare -n sleep 1002 &
	HOLDER=$!
	wait_for grep -q sleep "/proc/$HOLDER/comm"
	is "$(status_of as_user "$PASTA" -q --config-net "$HOLDER")" 1 \
		"user: a namespace of root"
	is "$(status_of "$PASTA" -q --config-net "${ALONE[@]}" "$HOLDER")" 0 \
		"root: a namespace that has no user namespace of its own"
	holder_kill
}

# What is at /dev/net/tun is said in one line
no_tun() {
	local what
	rm /dev/net/tun
	for what in "mkdir" "touch" "mknod -m 666 c 10 250"; do
		case $what in
		mknod*)	mknod -m 666 /dev/net/tun c 10 250;;
		*)	$what /dev/net/tun; chmod 777 /dev/net/tun;;
		esac
		is "$(status_of "$PASTA" -q --config-net -- true)" 1 \
			"no tun device, but a ${what%% *}"
		like "$(cat "$T/out")" "No tap device.*--device /dev/net/tun" \
			"says what to do"
		is "$(wc -l <"$T/out")" 1 "in one line"
		rm -r /dev/net/tun
	done
	mknod -m 666 /dev/net/tun c 10 200
	chmod 666 /dev/net/tun
}

runas() {
	is "$(status_of "$PASTA" -q --runas 12345:12346 --config-net "${ALONE[@]}" \
		-- sh -c "id -u; id -g")" 0 "root: --runas"
	is "$(xargs <"$T/out")" "0 0" "root: the command stays who started it"
	is "$(status_of as_user "$PASTA" -q --runas 12345 --config-net -- true)" 1 \
		"user: --runas somebody else"
	like "$(cat "$T/out")" "needs to be started as root" "user: says why"
	is "$(status_of as_user "$PASTA" -q --runas $USER_ID --config-net -- true)" 0 \
		"user: --runas who it is"
	is "$(status_of unshare -Ur "$PASTA" -q --runas 1:1 --config-net -- true)" 1 \
		"root of a user namespace: --runas who is not mapped"
	is "$(cat "$T/out")" "$unmapped" "says why, in one line"
	is "$(status_of unshare -Ur "$PASTA" -q --runas 1:1 --config-net -l "$T/home/log1" \
		-- true)" 1 "root of a user namespace: --runas who is not mapped, with a log file"
	is "$(cat "$T/out")" "$unmapped" "says the same"
}
unmapped="Couldn't change to UID 1, GID 1 (not mapped in this user namespace): Invalid argument"

for WHO in $WHOM; do
	descriptors
	named_files
	named_log
	limits
	environment
	signals
	signal_when_ready
	nested
done
if [ -n "$NS_ROOT" ]; then
	strangers
	no_tun
	runas
	t "root: without /proc" unshare -m sh -c "umount -l /proc
		$PASTA -q --config-net -- true"
	t "root: with a read-only /proc/sys" unshare -m sh -c "
		mount -o bind /proc/sys /proc/sys
		mount -o remount,bind,ro /proc/sys
		$PASTA -q --config-net -- ping -n -q -c1 -W5 $PEER6"
fi
done_testing
