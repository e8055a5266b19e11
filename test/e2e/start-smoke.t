#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# shellcheck disable=SC2016,SC2317 # expressions for the shell inside
#
# Start and end: who may start pasta and how, what the command gets, what is left
# of the daemon's rights, and that the end of either is noticed at once.

. "$(dirname "$0")/../lib/ns.sh"

# pasta_as OPTION... as $WHO
pasta_as() { run_as "$WHO" timeout -k 1 20 "$PASTA" -q "$@"; }

# run STATUS NAME OPTION...: exit status of pasta; leaves its output in $out
run() {
	local wanted=$1 name=$2
	shift 2
	out=$(pasta_as "$@" 2>&1 </dev/null)
	is $? "$wanted" "$WHO: $name" || diag "$out"
}

field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$2/status" | tr '\t' ' '; }

# Gone, or dead and waiting for whoever has to reap it
ended() {
	local state
	state=$(sed -n 's/.*) \([A-Z]\) .*/\1/p' "/proc/$1/stat" 2>/dev/null)
	[ -z "$state" ] || [ "$state" = Z ]
}

statuses() {
	run 0 "a command that succeeds" -- true
	run 7 "the status of a command that fails" -- sh -c 'exit 7'
	run 137 "128 and the signal of a command that was killed" \
		-- sh -c 'kill -9 $$'
	run 127 "a command that is not there" -- nosuchcommand
	like "$out" "^Couldn't run 'nosuchcommand': No such file" "$WHO: in a line"
	run 126 "a command that is no program" -- /etc/passwd
	out=$(echo 'echo "$0"' | SHELL=/bin/sh pasta_as)
	is "$out" /bin/sh "$WHO: without a command, \$SHELL"
}

command_gets() {
	local me
	run 0 "the command runs with --config-net" --config-net -- sh -c \
		'id -u; ip -br addr; cat /proc/sys/net/ipv4/ping_group_range
		 ps ax -o pid=,comm=; grep Sig /proc/self/status'
	like "$out" "^0"$'\n' "$WHO: as root"
	like "$out" "eth0 .*$HOST4/24 .*$HOST6/64" "$WHO: the host's addresses"
	like "$out" "1 pasta-init"$'\n'" +2 sh" "$WHO: PIDs of its own"
	like "$out" "SigBlk:	0+"$'\n'"SigIgn:	0+" "$WHO: no signal changed"
	is "$(pasta_as -- readlink /proc/self/fd/9 9</etc/passwd)" "" \
		"$WHO: no descriptor of the caller's"
	me=$(ulimit -Sn 321; pasta_as -- sh -c 'ulimit -Sn; pwd; echo $T')
	is "$me" "321"$'\n'"$PWD"$'\n'"$T" "$WHO: limits, folder, environment"
	is "$(pasta_as -- sh -c '(sleep 0.1 &)
		for i in $(seq 100); do
			ps ax -o comm= | grep -q "^sleep" || break
			sleep 0.05
		done
		ps ax -o comm= | grep -c "^sleep"')" 0 "$WHO: orphans are reaped"
}

command_ends() {
	local sig end n=990
	for sig in TERM QUIT KILL; do
		n=$((n + 1)) end=0
		[ $sig = KILL ] && end=137
		rm -f "$T/home/up"
		run_as "$WHO" "$PASTA" -q -- sh -c "echo > $T/home/up
			exec sleep $n" 2>/dev/null &
		wait_for test -e "$T/home/up"
		wait_for pgrep -f "^sleep $n"
		out=$(pgrep -f "^sleep $n")
		kill -$sig "$(pgrep -x pasta)"
		wait $! 2>/dev/null
		is $? $end "$WHO: status after SIG$sig"
		wait_for -t 5 ended "$out"
		ok $? "$WHO: the command ends with pasta on SIG$sig"
	done
}

terminal() {
	local start
	start=$(now_ms)
	rm -f "$T/home/status"
	echo "$PASTA -q -- sleep 25; echo status \$? > $T/home/status" \
		> "$T/bin/ctrl-c"
	(wait_for pgrep -f '^sleep 25$'; printf '\003') | run_as "$WHO" socat \
		-t10 - EXEC:"sh $T/bin/ctrl-c",pty,setsid,ctty >/dev/null 2>&1
	is "$(cat "$T/home/status")" "status 130" "$WHO: Ctrl-C ends the command"
	le $(($(now_ms) - start)) 20000 "$WHO: before its time"
}

background() {
	local ns pid
	run_as "$WHO" unshare -Urn sleep 100 &
	wait_for pgrep -f '^sleep 100'
	ns=$(pgrep -f '^sleep 100')
	wait_for test "$(readlink /proc/self/ns/net)" != \
		"$(readlink "/proc/$ns/ns/net")"
	rm -f "$T/home/pid"
	# Reads until the daemon has closed its output, too
	run 0 "pasta PID goes to the background" --config-net -P "$T/home/pid" "$ns"
	pid=$(cat "$T/home/pid")
	kill -0 "$pid"
	ok $? "$WHO: with its PID in the file"
	like "$(nsenter -t "$ns" -U --preserve-credentials -n ip -br addr)" \
		"eth0 .*$HOST4/24 .*$HOST6/64" "$WHO: and the addresses set"
	sealed "$pid" "pasta PID"
	like "$(field NSpid "$pid")" ' 1$' "$WHO: in a PID namespace"
	[ -z "$NS_ROOT" ] || is "$(readlink "/proc/$pid/fd/1")" /dev/null \
		"$WHO: whose output is closed"
	kill -9 "$ns"
	wait_for -t 5 ended "$pid"
	ok $? "$WHO: it ends when the process does"
}

# sealed PID NAME: no right is left
sealed() {
	local f
	for f in CapInh CapPrm CapEff CapBnd CapAmb; do
		is "$(field $f "$1")" 0000000000000000 "$WHO, $2: no $f"
	done
	is "$(field NoNewPrivs "$1")" 1 "$WHO, $2: no new privileges"
	is "$(field Seccomp "$1")" 2 "$WHO, $2: a system call filter"
	[ "$(field Uid "$1" | cut -d' ' -f1)" != 0 ]
	ok $? "$WHO, $2: is not root"
	[ "$(readlink "/proc/$1/ns/user")" != "$(readlink /proc/self/ns/user)" ] &&
	[ "$(readlink "/proc/$1/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]
	ok $? "$WHO, $2: user and mount namespaces of its own"
	[ -z "$NS_ROOT" ] || is "$(ls -A "/proc/$1/root")" "" "$WHO, $2: empty root"
	le "$(field VmRSS "$1" | tr -dc 0-9)" 4096 "$WHO, $2: KiB resident"
	le "$(field VmSize "$1" | tr -dc 0-9)" 32768 "$WHO, $2: KiB of addresses"
}

foreground() {
	rm -f "$T/home/up"
	run_as "$WHO" "$PASTA" -q --config-net -- sh -c \
		"echo > $T/home/up; exec sleep 99" &
	wait_for test -e "$T/home/up"
	out=$(pgrep -x pasta)
	sealed "$out" "pasta COMMAND"
	[ -z "$NS_ROOT" ] || le "$(find "/proc/$out/fd" | wc -l)" 32 \
		"$WHO: descriptors"
	kill "$out"
	wait $!
}

refusals() {
	run 1 "a PID that is gone" 4194303
	like "$out" '^No process with PID 4194303' "$WHO: says so"
	run 1 "a PID of our own network namespace" $$
	run 1 "a folder for the PID file that is not there" -P /nosuch/pid -- true
	like "$out" "^Couldn't open PID file '/nosuch/pid': No such" "$WHO: says so"
	run 1 "a user that is not there" --runas nosuch -- true
	like "$out" "^Invalid .*runas.*nosuch" "$WHO: says so"
}

no_tun() {
	chmod 600 /dev/net/tun
	WHO=user run 1 "/dev/net/tun of root's alone" -- true
	like "$out" '^No tap device, /dev/net/tun is not for this user' \
		"user: says so"
	WHO=root run 0 "/dev/net/tun of root's alone" -- true
	chmod 666 /dev/net/tun
	out=$(unshare -m sh -c "mount -t tmpfs none /dev/net; $PASTA -q -- true" 2>&1)
	is $? 1 "no /dev/net/tun"
	like "$out" 'modprobe tun' "says what to do"
}

as_root() {
	out=$("$PASTA" -- true 2>&1)
	like "$out" 'Started as root, will change to nobody' "root: becomes nobody"
	"$PASTA" -q --runas 4711:4712 -- sh -c "echo > $T/home/up; exec sleep 97" &
	wait_for test -e "$T/home/up"
	wait_for is_uid 4711
	ok $? "root: or whom --runas names"
	kill "$(pgrep -x pasta)"
	wait $!
	run 0 "root of a user namespace" -- "$PASTA" -q --config-net -- true
	out=$("$PASTA" -q -- sh -c "echo 0 > /proc/sys/user/max_user_namespaces
		exec setpriv --reuid $USER_ID --clear-groups --inh-caps=-all \
		$PASTA -q -- true" 2>&1)
	is $? 1 "no user namespaces for a user"
	like "$out" 'user.max_user_namespaces is 0' "says what to do"
	out=$("$PASTA" -q -- sh -c "echo 0 > /proc/sys/user/max_user_namespaces
		exec $PASTA -q -- true" 2>&1)
	is $? 0 "no user namespaces for root, who does without" || diag "$out"
}

is_uid() { [ "$(field Uid "$(pgrep -x pasta)" | cut -d' ' -f1)" = "$1" ]; }

for WHO in $WHOM; do
	statuses
	command_gets
	command_ends
	terminal
	background
	foreground
	refusals
done
if [ -n "$NS_ROOT" ]; then
	no_tun
	WHO=root as_root
fi
done_testing
