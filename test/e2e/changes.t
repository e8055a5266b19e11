#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Forwarding rules that change while connections and datagrams are served: nobody else
# notices, and a port that somebody else has is waited for

. "$(dirname "$0")/../lib/ns.sh"
# needs python3

P=$NS_TOP/pesto
S=$T/home/control
WHO=user

pesto() { as_user "$P" "$@"; }
changes() { as_user python3 "$NS_TOP/test/tools/changes.py" "$@"; }
# state PORT: of the rule with this first port
state() { pesto --json "$S" rules | sed -n "/\"first\":$1[,}]/s/.*\"state\":\"\([a-z]*\)\".*/\1/p"; }
is_state() { [ "$(state "$1")" = "$2" ]; }

pasta_start -l "$T/home/log" -c "$S" -t 127.0.0.1/7000 -u 127.0.0.1/7000
ok $? "a pasta starts with a control socket"
exec_as user nsenter -t "$INNER" -U --preserve-credentials -n -- \
	python3 "$NS_TOP/test/tools/changes.py" serve 7000 >/dev/null 2>&1 &
SERVER=$!
wait_for listening tcp 7000 inside

# --- a port of somebody else --------------------------------------------------------------

exec_as user tcpx listen 127.0.0.1 7102 >/dev/null 2>&1 &
OTHER=$!
wait_for listening tcp 7102
out=$(pesto -A -t 127.0.0.1/7101 -t 127.0.0.1/7102 "$S" 2>&1)
is $? 1 "a port that somebody else has is refused"
like "$out" "127.0.0.1/7102.*Address already in use" "  with the rule and the reason"
is "$(state 7101) $(state 7000 | sort -u)" " bound" "  and no rule is added or removed"
like "$(cat "$T/home/log")" "port 7102 .Address already in use. for option '-t 127.0.0.1/7102'" \
	"  the log says so"
out=$(pesto --partial -A -t 127.0.0.1/7101 -t 127.0.0.1/7102 "$S" 2>&1)
is $? 1 "the same with --partial"
like "$out" "127.0.0.1/7102.*Address already in use" "  with the rule and the reason"
is "$(state 7101) $(state 7102)" "bound waiting" "  the other rule is bound, this one waits"
kill $OTHER
wait $OTHER 2>/dev/null
t "  it is bound within 5 s after the port is free" wait_for -t 5 is_state 7102 bound
t "  really" listening tcp 7102

# --- others don't notice ------------------------------------------------------------------

read -r failed refused n < <(changes connections "$S" 7000 2000)
is "$failed $refused" "0 0" "2000 connections one after the other, while 200 rules come and go"
[ "$n" -ge 4 ]
ok $? "  these have changed $n times"

# Other programs may need the processor for longer than that: then both have the gap, and
# ours once for each process on the way
exec_as user python3 "$NS_TOP/test/tools/changes.py" serve 7001 >/dev/null 2>&1 &
NATIVE=$!
wait_for listening tcp 7001
for ((try = 0; try < 5; try++)); do
	read -r good gap native answers _ < <(changes gaps "$S" 7000 7001)
	echo "# try $try: $gap ms, native beside it $native ms, $answers answers"
	[ "$answers" -ge 100 ] && awk "BEGIN { exit !($gap <= 5 || ($native > 3 && $gap <= 3 * $native)) }" && break
done
is "$good" 1 "1000 rules are added in one transaction, and removed"
[ $try -lt 5 ]
ok $? "  meanwhile, an echo each millisecond has no gap above 5 ms"

# --- the namespace -------------------------------------------------------------------------

t "a port below 1024 of the namespace is bound at run time" pesto -A -T 80 "$S"
t "  really" listening tcp 80 inside
t "all ports may be added at run time" pesto -A -t 127.0.0.1/all "$S"
like "$(pesto --json "$S" rules | grep '"weak"')" '"bound":[0-9]{4}' "  they are bound"
HELPER=$(pgrep -x -P "$DAEMON" pasta-ns)
kill -STOP "$HELPER"
start=$(now_ms)
out=$(pesto -A -T 81 -t 127.0.0.1/7300 "$S" 2>&1)
is $? 1 "a helper in the namespace that does not answer is an error"
like "$out" "81.*Connection timed out" "  which is said"
[ $(($(now_ms) - start)) -lt 3000 ]
ok $? "  soon"
out=$(pesto --partial -A -T 81 -t 127.0.0.1/7300 "$S" 2>&1)
is "$(state 7300) $(state 81)" "bound waiting" "  a rule of the host is bound without it"
kill -CONT "$HELPER"
t "the rule of the namespace is bound when the helper answers" wait_for -t 2 is_state 81 bound
kill $NATIVE $SERVER
wait $NATIVE $SERVER 2>/dev/null
pasta_stop
done_testing
