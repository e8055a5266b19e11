#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# doc/security.md tells the truth: its system calls are those of the sources, and its
# table of processes is the one that /proc shows of running programs.
#
# usage: security.t [--print]		print that table, and test nothing

top=$(cd "$(dirname "$0")/../.." && pwd)
doc=$top/doc/security.md
. "$top/test/lib/ns.sh"

[ -n "$NS_ROOT" ] || {
	t "the system calls are those of the sources" "$top/scripts/security-tables" --check
	skip "the processes are those that run" "only root may look at them"
	done_testing
}

field() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1/status"; }

# own PID: the kinds of namespaces that are not ours
own() {
	local kind out=
	for kind in user mnt ipc uts pid net; do
		[ "/proc/$1/ns/$kind" -ef "/proc/self/ns/$kind" ] || out+=" $kind"
	done
	echo "${out# }"
}

# capabilities PID: effective ones
capabilities() {
	case $(field "$1" CapEff) in
	0000000000000000) echo none;;
	0000000000000400) echo net_bind_service;;
	*) echo "as the command";;
	esac
}

# who_is PID: the user
who_is() {
	case $(field "$1" Uid) in
	0) echo root;;
	"$USER_ID") echo caller;;
	65534) echo nobody;;
	*) field "$1" Uid;;
	esac
}

# root_of PID: what it can see of files
root_of() {
	if [ -z "$(ls -A "/proc/$1/root/" 2>&1)" ]; then echo empty; else echo files; fi
}

# sort_of PID: the part that a process plays
sort_of() {
	case $(cat "/proc/$1/comm") in
	passt|pasta) echo daemon;;
	*) cat "/proc/$1/comm";;
	esac
}

# sealed PID: what keeps it from getting more rights
sealed() {
	echo "$(field "$1" NoNewPrivs)$(field "$1" Seccomp)"
}

# all_sealed: are all processes, but the one that is the command's?
all_sealed() {
	local pid
	for pid in $(processes); do
		[ "$(sort_of "$pid")" = pasta-init ] || [ "$(sealed "$pid")" = 12 ] || return
	done
}

# rows WAY: a row for each process that runs
rows() {
	local pid seal
	wait_for all_sealed
	for pid in $(processes); do
		seal=yes
		[ "$(sealed "$pid")" = 12 ] || seal=no
		printf '| %s | %s | %s | %s | %s | %s | %s | %d |\n' "$1" "$(sort_of "$pid")" \
			"$(who_is "$pid")" "$(capabilities "$pid")" "$seal" \
			"$(root_of "$pid")" "$(own "$pid")" \
			"$(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
	done | sort
}

nobody_left() { [ -z "$(processes)" ]; }

# a_command WHO WAY OPTION...: pasta with a command, which has ports forwarded both ways
a_command() {
	WHO=$1 pasta_start -t 18080 -T 18081 "${@:3}" || return
	rows "$2"
	pasta_stop
	wait_for nobody_left
}

# a_daemon WHO WAY COMMAND...: a daemon with a PID file
a_daemon() {
	local who=$1 way=$2
	shift 2
	rm -f "$T/home/pid"
	run_as "$who" "$@" -q -P "$T/home/pid" || return
	rows "$way"
	kill "$(cat "$T/home/pid")"
	wait_for nobody_left
}

table() {
	echo '| started as | process | user | capabilities | sealed | root | namespaces of its own | descriptors |'
	echo '|---|---|---|---|---|---|---|---|'
	a_command user '`pasta COMMAND`, user'
	a_command root '`pasta COMMAND`, root'
	a_command user '`pasta --dns-forward COMMAND`, user' --dns-forward 192.0.2.53
	a_command user '`pasta --conf-path COMMAND`, user' -c "$T/home/control"
	a_command root '`pasta --netns-only COMMAND`, root' --netns-only
	mount -t tmpfs tmpfs /run && ip netns add inside
	a_daemon root '`pasta --netns NAME`, root' "$PASTA" --config-net -t 18080 -T 18081 \
		--netns inside
	ip netns del inside
	exec_as user unshare -Urn sleep 60 &
	wait_for new_net $!
	a_daemon user '`pasta PID`, user' "$PASTA" --config-net -t 18080 -T 18081 \
		--netns "/proc/$!/ns/net" --userns "/proc/$!/ns/user"
	a_daemon root '`pasta PID` of a user, root' "$PASTA" --config-net -t 18080 -T 18081 \
		--netns "/proc/$!/ns/net"
	kill $!
	a_daemon user '`passt`, user' "$T/bin/passt" -s "$T/home/sock"
	rm -f "$T/home/sock"
	a_daemon root '`passt`, root' "$T/bin/passt" -s "$T/home/sock"
	rm -f "$T/home/sock"
	a_daemon user '`passt --vhost-user`, user' "$T/bin/passt" --vhost-user -s "$T/home/sock"
	rm -f "$T/home/sock"*
	a_daemon user '`passt --fd`, user' python3 -c "$with_fd" "$T/bin/passt"
	a_daemon user '`passt`, root of a container' unshare -Ur "$T/bin/passt" -s "$T/home/sock"
}
# Start a program with a connected socket, and keep the other end until the program ends
with_fd='import socket, subprocess, sys, os
a, b = socket.socketpair()
r = subprocess.run(sys.argv[1:] + ["--fd", str(b.fileno())], pass_fds=[b.fileno()])
if os.fork() == 0:
    b.close()
    os.closerange(0, 3)
    while a.recv(65536): pass
sys.exit(r.returncode)'
new_net() { ! [ "/proc/$1/ns/net" -ef /proc/self/ns/net ]; }

ulimit -n 4096			# on which the number of spare sockets depends
table > "$T/table" 2>&1
if [ "${1-}" = --print ]; then
	cat "$T/table"
	exit 0
fi
t "the system calls are those of the sources" "$top/scripts/security-tables" --check
sed -n '/^<!-- processes/,/^<!-- end of processes/p' "$doc" | grep '^|' > "$T/wanted"
t "the processes of the document are those that run" diff -u "$T/wanted" "$T/table"
done_testing
