#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Flows, counters and events on the control socket: listed, killed and reported by pesto
# and by clients that behave badly

. "$(dirname "$0")/../lib/ns.sh"
# needs python3 socat

P=$NS_TOP/pesto
S=$T/home/control
WHO=user
FLOWS=(python3 "$NS_TOP/test/tools/flows.py")

pesto() { as_user "$P" "$@"; }
# checks NAME ARG...: run the checks of test/tools/flows.py
checks() {
	local failed text name=$1
	shift
	while read -r failed text; do
		[ "$failed" = 0 ]
		ok $? "$text"
	done < <(as_user "${FLOWS[@]}" "$name" "$S" "$@" 2>"$T/checks.err" ||
		 echo "1 $name: $(tail -1 "$T/checks.err")")
}
inside_words() { echo "nsenter -t $INNER -U --preserve-credentials -n --"; }
count() { pesto --json "$S" flows "$@" | grep -c '"flow"'; }
is_ready() { grep -q ready "$1"; }
# pipes: files for the input of two programs; their output is empty
pipes() {
	rm -f "$T/home/tell.server" "$T/home/tell.client"
	mkfifo "$T/home/tell.server" "$T/home/tell.client"
	: >"$T/home/server"
	: >"$T/home/client"
}

rm -f "$S"
pasta_start -c "$S" -t 127.0.0.1/7201 -u 127.0.0.1/7201 --map-host-loopback "$GW4"
ok $? "a pasta starts with a control socket"

# --- many connections through the tap -----------------------------------------------------

# many KILLED OTHERS: open connections to two ports, and kill those to one
many() {
	local killed=$1 others=$2 all=$(($1 + $2))
	pipes
	(exec_peer "${FLOWS[@]}" serve "$PEER4" 7101:"$killed" 7102:"$others") \
		<"$T/home/tell.server" >"$T/home/server" &
	SERVER=$!
	exec 5>"$T/home/tell.server"
	wait_for grep -q listening "$T/home/server"
	(inside "${FLOWS[@]}" connect "$PEER4" 7101:"$killed" 7102:"$others") \
		<"$T/home/tell.client" >"$T/home/client" 5>&- &
	CLIENT=$!
	exec 6>"$T/home/tell.client"
	wait_for -t 60 is_ready "$T/home/server" && wait_for is_ready "$T/home/client"
	ok $? "$all connections are open"

	pesto --json "$S" flows proto tcp >"$T/list"
	is "$(grep -c '"flow"' "$T/list")" $all "as many are listed"
	is "$(sed -n 's/.*"flow":"\([^"]*\)".*/\1/p' "$T/list" | sort -u | wc -l)" $all \
		"each once"
	is "$(grep -c '"state":"ESTABLISHED"' "$T/list")" $all "all of them established"
	is "$(tail -1 "$T/list")" "{\"ok\":true,\"shown\":$all}" "with their number at last"
	[ "$(grep -c '"rtt":' "$T/list")" = $all ]
	ok $? "each with its round-trip time"
	is "$(count port 7101) $(count dst "$PEER4/32" port 7102)" "$killed $others" \
		"they can be told apart"
	is "$(count src 192.0.2.0/24) $(count rule 0)" "0 0" "other conditions match none"

	is "$(pesto "$S" kill port 7101)" "$killed flows killed" "those to one port are killed"
	echo 7101 >&5
	echo 7101 >&6
	wait_for grep -q alive "$T/home/client" && wait_for grep -q alive "$T/home/server"
	is "$(tail -1 "$T/home/client")" "reset=$killed alive=$others" \
		"clients: of these all are reset, all others pass a byte"
	is "$(tail -1 "$T/home/server")" "reset=$killed alive=$others" "servers: the same"
	is "$(count port 7102)" "$others" "the others are still there"
	exec 5>&- 6>&-
	wait $SERVER $CLIENT
}
if [ "$(ulimit -Hn)" -lt 12000 ]; then
	skip "10000 connections: only $(ulimit -Hn) files may be open"
	many 30 70
else
	many 3000 7000
fi

# --- past the tap, by a rule ---------------------------------------------------------------

pipes
(inside "${FLOWS[@]}" serve 0.0.0.0 7201:5) <"$T/home/tell.server" >"$T/home/server" &
SERVER=$!
exec 5>"$T/home/tell.server"
wait_for grep -q listening "$T/home/server"
(as_user "${FLOWS[@]}" connect 127.0.0.1 7201:5) <"$T/home/tell.client" >"$T/home/client" 5>&- &
CLIENT=$!
exec 6>"$T/home/tell.client"
wait_for is_ready "$T/home/server" && wait_for is_ready "$T/home/client"
rule=$(pesto --json "$S" rules | sed -n 's/{"rule":\([0-9]*\),.*"kind":"tcp",.*/\1/p')
is "$(count rule "$rule" dst 127.0.0.1)" 5 "connections to a forwarded port have its rule"
like "$(pesto --json "$S" flows rule "$rule" | head -1)" '"path":"bypass","state":"ESTABLISHED"' \
	"they are past the tap"
like "$(pesto --json "$S" rules | grep '"kind":"tcp"')" '"conns":5,"flows":5,"in":0,"out":0' \
	"and counted for it"
is "$(pesto "$S" kill rule "$rule")" "5 flows killed" "they can be killed by the rule"
echo 7201 >&5
echo 7201 >&6
wait_for grep -q alive "$T/home/client" && wait_for grep -q alive "$T/home/server"
is "$(tail -1 "$T/home/client"), $(tail -1 "$T/home/server")" \
	"reset=5 alive=0, reset=5 alive=0" "both ends are reset"
exec 5>&- 6>&-
wait $SERVER $CLIENT
like "$(pesto --json "$S" rules | grep '"kind":"tcp"')" '"conns":5,"flows":0,' \
	"the rule has had them"

inside socat TCP-LISTEN:7204,fork,reuseaddr PIPE 2>/dev/null &
wait_for listening tcp 7204 inside
checks former 7204 7205

# --- bytes --------------------------------------------------------------------------------

inside tcpx listen 0.0.0.0 7201 -r 100000 -s 2000 >/dev/null &
wait_for listening tcp 7201 inside
as_user tcpx connect 127.0.0.1 7201 -s 100000 -r 2000 >/dev/null
wait $!
like "$(pesto --json "$S" rules | grep '"kind":"tcp"')" '"conns":6,"flows":0,"in":100000,"out":2000' \
	"bytes of a rule are counted each way"
metric() { pesto "$S" metrics | awk -v m="$1" '$1 == m { print $2 }'; }
before="$(metric 'passt_bytes_total{dir="in"}') $(metric 'passt_bytes_total{dir="out"}')"
exec_peer tcpx listen "$PEER4" 7103 -r 500000 -s 30000 >/dev/null &
wait_for listening tcp 7103 peer
inside tcpx connect "$PEER4" 7103 -s 500000 -r 30000 >/dev/null
wait $!
set -- $before
is "$(($(metric 'passt_bytes_total{dir="in"}') - $1)) $(($(metric 'passt_bytes_total{dir="out"}') - $2))" \
	"30000 500000" "bytes through the tap are counted each way, once"

# --- single flows, and requests that are wrong -------------------------------------------

exec_peer socat TCP-LISTEN:7104,fork,reuseaddr PIPE 2>/dev/null &
exec_peer socat -u UDP-RECV:7105 OPEN:/dev/null &
wait_for listening tcp 7104 peer
wait_for listening udp 7105 peer
checks requests
checks reused "$(inside_words)" "$PEER4" 7104
checks udp "$(inside_words)" "$PEER4" 7105
inside ping -n -c1 -W5 "$PEER4" >/dev/null
like "$(pesto --json "$S" flows proto icmp | head -1)" \
	"\"dst\":\"$PEER4\",\"path\":\"tap\",\"state\":\"ACTIVE\",\"age\":[0-9]*,\"in\":56,\"out\":56,\"rule\":null" \
	"echo is listed with its destination"
is "$(pesto "$S" kill proto icmp)" "1 flow killed" "and killed"
like "$(pesto "$S" kill 7.7 2>&1)" "Flow 7.7 has ended" "a flow that has ended says so"

# --- counters -----------------------------------------------------------------------------

pesto --json "$S" stats >"$T/stats"
t "stats has the tap" grep -q '^{"name":"tap.rx_frames","value":[1-9][0-9]*}$' "$T/stats"
t "stats has counters of modules" \
	grep -q '^{"name":"tcp.opened_by_the_guest","value":[1-9][0-9]*}$' "$T/stats"
if command -v promtool >/dev/null; then
	t "metrics are valid for Prometheus" sh -c \
		'"$0" "$1" metrics >"$2/metrics" && promtool check metrics <"$2/metrics"' \
		"$P" "$S" "$T"
else
	skip "metrics are valid for Prometheus: promtool is missing"
fi
is "$(metric "passt_rule_state{rule=\"$rule\",state=\"bound\"}")" 1 \
	"metrics have the state of a rule"

# --- events -------------------------------------------------------------------------------

checks rules
exec_peer socat TCP-LISTEN:7106,fork,reuseaddr,backlog=128 OPEN:/dev/null 2>/dev/null &
wait_for listening tcp 7106 peer
checks slow "$(inside_words)" "$PEER4" 7106 2500
as_user timeout 20 "$P" "$S" events flows proto udp >"$T/events" &
wait_for sh -c '"$0" --json "$1" status | grep -q "\"clients\":2"' "$P" "$S"
echo x | inside socat -u STDIN UDP:"$PEER4":7105
wait_for grep -q . "$T/events"
like "$(cat "$T/events")" "^opened [0-9.]* udp .* -> $PEER4:7105 ACTIVE" "pesto prints events"
kill $!

kill -0 "$DAEMON"
ok $? "the daemon is still there"
pasta_stop
done_testing
