#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The control socket: its file, its two languages, changes of the forwarding rules by
# pesto and by clients that behave badly, and who may use it

. "$(dirname "$0")/../lib/ns.sh"
# needs python3

P=$NS_TOP/pesto
S=$T/home/control
WHO=user

pesto() { as_user "$P" "$@"; }
# checks NAME: run the checks of test/tools/control.py
checks() {
	local failed text
	while read -r failed text; do
		[ "$failed" = 0 ]
		ok $? "$text"
	done < <(as_user python3 "$NS_TOP/test/tools/control.py" "$1" "$S" 2>"$T/checks.err" ||
		 echo "1 $1: $(tail -1 "$T/checks.err")")
}
words() { as_user python3 "$NS_TOP/test/tools/control.py" words "$S" "$@"; }
# start [OPTION]...: a pasta with a control socket
start() {
	pasta_start -c "$S" "$@"
	ok $? "a pasta starts with a control socket"
}

# --- the file ----------------------------------------------------------------------------

# refused TEXT OPTION...: the start fails with status 1 and this message
refused() {
	local text=$1 out status
	shift
	out=$(in_ns "$@" -- true 2>&1)
	status=$?
	is $status 1 "no start with ${*: -1}"
	like "$out" "$text" "  which is said"
}

start
is "$(stat -c '%a %u' "$S")" "600 $([ -n "$NS_ROOT" ] && echo $USER_ID || echo 0)" \
	"the socket is for its owner alone"
refused "Control socket path $S already in use" -c "$S"
pasta_stop
[ -S "$S" ]
ok $? "the file stays"
start
t "and a new pasta takes its place" pesto "$S" status
pasta_stop
as_user sh -c "echo keep > $T/home/file"
refused "Control socket path $T/home/file is a file that is no socket" -c "$T/home/file"
is "$(cat "$T/home/file")" keep "  and the file is as it was"
long=$T/home/$(printf 'x%.0s' {1..108})
refused "Invalid value '.*' for --conf-path: expected a path of up to 107 characters" \
	--conf-path "$long"
refused "Couldn't bind control socket /nonexistent/socket: No such file" \
	-c /nonexistent/socket

# --- inherited sockets ---------------------------------------------------------------------

# inherited KIND OPTION...: start a pasta with such a socket as descriptor 9
inherited() {
	rm -f "$S" "$T/home/inner"
	exec_as user python3 "$NS_TOP/test/tools/control.py" inherit "$S" "$1" -- \
		"$PASTA" -f -q --config-net "${ALONE[@]}" --control-fd "${2-9}" -- \
		sh -c "echo up > $T/home/inner; exec sleep infinity" 2>"$T/home/err" &
	DAEMON=$!
}
running() { wait_for test -s "$T/home/inner" && wait_for inner_is_there; }
inherited listening
running && wait_for -t 5 pesto "$S" status
ok $? "a listening socket may be inherited"
t "  and a rule be added by it" pesto -A -t 127.0.0.1/7301 "$S"
pasta_stop
inherited pair
running && wait_for -t 5 grep -q bound "$S"
ok $? "a connection may be inherited"
pasta_stop
inherited unbound
wait $DAEMON
is $? 1 "another socket may not"
like "$(cat "$T/home/err")" "--control-fd 9 is no UNIX stream socket that listens or is connected" \
	"  which is said"
rm -f "$S"

# --- languages and limits ------------------------------------------------------------------

start
for part in framing places transactions vectors mutations refused updates large limits; do
	checks $part
done
kill -0 "$DAEMON"
ok $? "the daemon is still there"
pasta_stop

# --- pesto --------------------------------------------------------------------------------

# states: the state of each rule by its first port
states() { pesto --json "$S" rules | sed -n 's/.*"state":"\([a-z]*\)".*"first":\([0-9]*\).*/\2 \1/p'; }
# says TEXT STATUS COMMAND...: the command ends with that status, and prints just that
says() {
	local want=$1 status=$2 out
	shift 2
	out=$("$@" 2>&1)
	is "$?: $out" "$status: $want" "${*#"$NS_TOP"/}"
}

rm -f "$S"
ip addr add 198.51.100.77/32 dev lo
start -t 127.0.0.1/7400
says "" 0 pesto -A -t 127.0.0.1/7401 -u 127.0.0.1/7401 "$S"
says "1 tcp 127.0.0.1/7401 unchanged" 0 pesto -A -t 127.0.0.1/7401 "$S"
done_testing
