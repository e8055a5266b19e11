#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# pesto: the bytes and words that it sends for a command line, the output, and the exit
# status, against a server made from the tables of bytes

. "$(dirname "$0")/../lib/ns.sh"
# needs python3

P=$NS_TOP/pesto
S=$T/home/control
server=

# serve [OPTION]...: start another server, see test/tools/pestoserver.py
serve() {
	[ -z "$server" ] || { kill "$server"; wait "$server"; } 2>/dev/null
	rm -f "$S" "$T/log"
	: >"$T/log"
	python3 "$NS_TOP/test/tools/pestoserver.py" "$S" "$T/log" "$@" 2>"$T/server.err" &
	server=$!
	wait_for test -S "$S"
}

# The bytes of the last table that the server took, after at most a second
settled() { [ "$(wc -l <"$T/log")" -ge "$1" ]; }
table() {
	wait_for -t 5 settled "$1"
	sed -n "$1{s/^table //;p}" "$T/log"
}

zeros() { printf '00%.0s' $(seq "$1"); }
v4() { printf '%sffff%02x%02x%02x%02x' "$(zeros 10)" ${1//./ }; }
NONE=$(zeros 16)

# tables [RULE...]: a transaction with these rules for HOST, none for SPLICE
tables() { printf '01%08x' $#; printf '%s' "$@"; echo 030000000000; }

# --- a table of the established server ------------------------------------------------

rule1=$(v4 203.0.113.1)$NONE${NONE}1f411f411f410600
serve
t "a rule is added" "$P" -A -t 203.0.113.1/8001 "$S"
is "$(table 1)" "0100000001${rule1}030000000000" "with exactly the known bytes"
t "the same rule again is no error" "$P" --add -t 203.0.113.1/8001 "$S"
is "$(table 2)" "$(tables "$rule1")" "and changes nothing"
out=$("$P" -A -t 0.0.0.0/8000-8010 "$S" 2>&1)
is $? 1 "a rule that overlaps is refused"
like "$out" "conflict: TCP \[0.0.0.0\]:8000-8010  =>  8000-8010 and TCP \[203.0.113.1\]:8001" \
	"and both rules are named"
is "$(wc -l <"$T/log")" 2 "the server is sent nothing then"
t "the same port of UDP is another one" "$P" -A -u 0.0.0.0/8001 "$S"
t "so is that of IPv6" "$P" -A -t '[::]/8001' "$S"
is "$("$P" -s "$S")" "passt/pasta configuration ($S)
  HOST
    TCP [203.0.113.1]:8001  =>  8001
    UDP [0.0.0.0]:8001  =>  8001
    TCP [::]:8001  =>  8001
  SPLICE" "the rules are shown"
t "rules are deleted" "$P" -D -t 203.0.113.1/8001 -u 0.0.0.0/8001 -t ::/8001 "$S"
is "$(table 5)" "$(tables)" "none is left"
t "deleting an absent rule is no error" "$P" --delete -t 203.0.113.1/8001 "$S"
is "$(table 6)" "$(tables)" "and changes nothing"

t "rules of the namespace, too" "$P" -A -T 80:8080 -U 53 -t 5000-5001:6000-6001 "$S"
is "$(table 7)" "0100000001${NONE}${NONE}${NONE}138813891770060103""00000002$(
	)${NONE}${NONE}${NONE}005000501f900601${NONE}${NONE}${NONE}0035003500351101""00" \
	"each is in its table"
t "without -A, rules replace those of their kind" "$P" -t %lo/80,81 "$S"
lo=${NONE}${NONE}6c6f$(zeros 14)
is "$(table 8)" "0100000002${lo}0050005000500601${lo}0051005100510601$(
	)0300000002${NONE}${NONE}${NONE}005000501f900601${NONE}${NONE}${NONE}0035003500351101""00" \
	"and no others"
t "-C empties a table" "$P" -C SPLICE "$S"
t "in the order of the options" "$P" -A -t 90 -C HOST -t 91 -D -t 91 -A -t 92 "$S"
is "$(table 10)" "$(tables "${NONE}${NONE}${NONE}005c005c005c0601")" "all in one transaction"
is "$("$P" -s -A -t 93 "$S" | grep -c =\>)" 2 "-s shows the rules after the change"
out=$("$P" -A -t 94 -t 0 "$S" 2>&1)
is $? 1 "a wrong specification is refused"
like "$out" "Invalid value '0' for --tcp-ports" "and named"
is "$(wc -l <"$T/log")" 11 "with nothing sent"

t "all ports of an address" "$P" -t 0.0.0.0/all:10.88.0.5,~22 -T auto "$S"
is "$("$P" -s "$S" | grep "=>")" "    TCP [0.0.0.0]:1-21  =>  10.88.0.5:1-21 (best effort)
    TCP [0.0.0.0]:23-32767  =>  10.88.0.5:23-32767 (best effort)
    TCP [0.0.0.0]:61000-65535  =>  10.88.0.5:61000-65535 (best effort)
    TCP [*]:1-65535  =>  1-65535 (best effort) (auto-scan)" "leave out those of clients"
seq -s , 1000 2 1400 >"$T/many"
t "201 rules fit" "$P" -t "$(cat "$T/many")" "$S"
out=$("$P" -A -t "$(seq -s , 3000 2 3200)" "$S" 2>&1)
is $? 1 "256 rules don't"
like "$out" "Too many rules" "which is said"
is "$("$P" "$S" 2>&1)" "" "a query alone prints nothing"

# --- callers ----------------------------------------------------------------------------

serve
out=$("$P" --version)
is $? 0 "rootlesskit asks for the version"
like "$out" "^pesto [0-9]" "and gets it"
t "rootlesskit adds a port" "$P" -A --tcp-ports=192.0.2.1/8080:80 "$S"
t "and one of IPv6, without brackets" "$P" -A --tcp-ports=::/8080:80 "$S"
t "and one of UDP" "$P" -A --udp-ports=192.0.2.1/8080:80 "$S"
t "it deletes them" "$P" -D --tcp-ports=192.0.2.1/8080:80 "$S"
t "one by one" "$P" -D --tcp-ports=::/8080:80 "$S"
t "all" "$P" -D --udp-ports=192.0.2.1/8080:80 "$S"
is "$(table 2)" "$(tables "$(v4 192.0.2.1)$NONE${NONE}1f901f9000500600" \
	"$NONE$NONE${NONE}1f901f9000500600")" "what it adds is there"
is "$(table 6)" "$(tables)" "and gone in the end"
out=$("$P" --add -t 0.0.0.0/8080-8081 -t '[::]/8080-8081' -u 0.0.0.0/53 "$S" 2>&1)
is "$?$out" 0 "podman adds ports of both families, without output"
is "$(table 7)" "$(tables "$(v4 0.0.0.0)$NONE${NONE}1f901f911f900600" \
	"$NONE$NONE${NONE}1f901f911f900600" "$(v4 0.0.0.0)$NONE${NONE}0035003500351100")" \
	"one rule each"
t "and deletes them" "$P" --delete -t 0.0.0.0/8080-8081 -t '[::]/8080-8081' -u 0.0.0.0/53 "$S"
is "$(table 8)" "$(tables)" "  all"
t "podman names the container's address" "$P" --add -t 0.0.0.0/8080:10.88.0.5/80 \
	-t '[::]/8080:fd00::5/80' "$S"
is "$(table 9)" "$(tables "$(v4 0.0.0.0)$(v4 10.88.0.5)${NONE}1f901f9000500600" \
	"${NONE}fd$(zeros 14)05${NONE}1f901f9000500600")" "which is the target"
is "$("$P" -s "$S" | tail -n +3 | head -2)" "    TCP [0.0.0.0]:8080  =>  10.88.0.5:80
    TCP [::]:8080  =>  [fd00::5]:80" "and shown"

pids=()
for i in {1..20}; do
	"$P" -A -t $((7000 + i)) "$S" & pids+=($!)
done
bad=0
for pid in "${pids[@]}"; do wait "$pid" || bad=1; done
is $bad 0 "20 clients at a time add a port each"
wait_for settled 29
is "$("$P" -s "$S" | grep -c '\[\*\]:70')" 20 "and all of them are there"

# --- servers of all kinds ----------------------------------------------------------------

serve drip
t "a greeting may come byte by byte" "$P" -A -t 80 "$S"
serve v1
t "a server of version 1 gets a rule" "$P" -A -t 203.0.113.1/8001 "$S"
is "$(table 1)" "0100000001$(v4 203.0.113.1)${NONE}1f411f411f410600030000000000" \
	"without a target"
out=$("$P" -A -t 0.0.0.0/8080:10.88.0.5/80 "$S" 2>&1)
is $? 1 "one with a target is refused"
like "$out" "too old for a target" "since the server is too old"
serve passt
out=$("$P" -A -T 80 "$S" 2>&1)
is $? 1 "a server without a namespace has no rules for it"
like "$out" "no table SPLICE" "which is said"
t "others it has" "$P" -A -t 80 "$S"
is "$(table 1)" "0100000001${NONE}${NONE}${NONE}005000500050060100" "in one table"
serve three
t "a table of an unknown kind" "$P" -A -t 80 "$S"
is "$(table 1)" "0100000001${NONE}${NONE}${NONE}005000500050060103""00000000070000000000" \
	"is sent back"
serve caps=3d
out=$("$P" -A -t ::1/80 "$S" 2>&1)
is $? 1 "a server without IPv6 gets no rule of IPv6"
like "$out" "no addresses of this family" "which is said"
serve rule="${rule1%0600}0608"
out=$("$P" -s "$S" 2>&1)
is $? 2 "a rule with an unknown flag in the greeting is none to show"
like "$out" "unknown flags" "which is said"

# bad NAME PATTERN HEX: bytes of a server that is none
bad() {
	serve send="$3"
	out=$("$P" -A -t 80 "$S" 2>&1)
	is $? 2 "$1: status 2"
	like "$out" "$2" "  and a reason"
}
hello=626173696c3a7300
bad "another protocol" "no control socket" 485454502f312e3120343030204261642052657175657374
bad "version 3" "unknown version" ${hello}000000030000008000000010
bad "half a greeting" "closed the connection" ${hello}00000002
bad "no greeting" "closed the connection" ""
serve refuse
out=$("$P" -A -t 80 "$S" 2>&1)
is $? 1 "a server that closes in the middle of a table has refused it"
like "$out" "The server refused the rules" "which is said"
serve open
t "a server may wait for the end of the connection" "$P" -A -t 80 "$S"
serve deaf
out=$("$P" -s "$S" 2>&1)
is $? 0 "a query needs no more than the greeting"
out=$("$P" -s "$T/home/nowhere" 2>&1)
is $? 2 "without a socket, the status is 2"
like "$out" "Couldn't connect to $T/home/nowhere: No such file" "and the path is named"
out=$("$P" -s "$(printf 'x%.0s' {1..200})" 2>&1)
is $? 2 "so it is with a path that is too long"
kill $server
wait $server 2>/dev/null
server=
out=$("$P" -s "$S" 2>&1)
is $? 2 "and with a socket without a server"
like "$out" "Connection refused" "which is said"

# --- command line ------------------------------------------------------------------------

"$P" --help >"$T/out"
is $? 0 "there is help"
for o in --add --delete --clear --tcp-ports --udp-ns --json --partial; do
	grep -q -e " $o" "$T/out" || echo "$o"
done >"$T/missing"
is "$(cat "$T/missing")" "" "with the options"
"$P" >/dev/null 2>&1
is $? 1 "without a path, the status is 1"
"$P" --nothing "$S" >/dev/null 2>&1
is $? 1 "so it is with an unknown option"
"$P" -C TAP "$S" >/dev/null 2>&1
is $? 1 "and with an unknown table"
"$P" "$S" dance >/dev/null 2>&1
is $? 1 "and with an unknown command"
serve
out=$("$P" "$S" rules 2>&1)
is $? 1 "a server that knows tables alone gets no command"
like "$out" "knows no commands" "which is said"

# --- words ---------------------------------------------------------------------------------

requests() { sed -n 's/^words //p' "$T/log"; }

cat >"$T/answers" <<'END'
= *
{"ok":true}
= commit
{"rule":12,"kind":"tcp","spec":"0.0.0.0/8080","state":"bound"}
{"rule":13,"kind":"udp","spec":"53","state":"unchanged"}
{"ok":true,"gen":18}
= commit partial
{"rule":12,"kind":"tcp","spec":"80","state":"waiting","error":"EADDRINUSE","text":"TCP port 80: Address already in use"}
{"ok":true,"gen":18}
= add tcp 0.0.0.0/81
{"rule":null,"error":"EACCES","text":"TCP port 0.0.0.0/81: Permission denied, see ip_unprivileged_port_start"}
{"ok":false,"gen":18}
= add tcp 82
{"ok":false,"error":"EINVAL","text":"something else\u001b[31m"}
= rules
{"rule":12,"made":17,"kind":"tcp","addr":"0.0.0.0","first":8080,"last":8080,"target":"10.88.0.5","to":80,"state":"bound","ports":1,"bound":1,"conns":31}
{"rule":13,"made":18,"kind":"udp","addr":"*","if":"eth0","first":53,"last":54,"to":53,"state":"waiting","ports":2,"bound":0,"conns":0,"error":"EADDRINUSE","text":"Address already in use"}
{"rule":14,"made":19,"kind":"tcp","addr":"::1","first":80,"last":81,"target":"fd00::5","to":8080,"state":"weak","ports":2,"bound":1,"conns":2}
{"ok":true,"gen":19}
= flows proto tcp
{"flow":"812.40","proto":"tcp","src":"10.0.2.100","sport":41514,"dst":"203.0.113.5","dport":443,"state":"ESTABLISHED","age":192,"in":1268291,"out":40960,"rtt":12345,"rule":null}
{"flow":"813.1","proto":"tcp","src":"2001:db8::1","sport":1,"dst":"2001:db8::2","dport":8080,"target":"fd00::5","to":80,"state":"CLOSING","age":7261,"in":0,"out":1023,"rule":12}
{"ok":true,"shown":2}
= kill 812.40
{"ok":true,"killed":1}
= kill 813.9
{"ok":false,"error":"ENOENT","text":"Flow 813.9 has ended"}
= stats
{"name":"tap.rx_frames","value":18446744073709551615}
{"ok":true}
= metrics
{"line":"# TYPE passt_flows gauge"}
{"line":"passt_flows{proto=\"tcp\"} 3"}
{"ok":true}
= events rules,flows
{"ok":true}
{"event":"rule","rule":12,"kind":"tcp","addr":"*","first":80,"last":80,"to":80,"state":"waiting","error":"EADDRINUSE","text":"Address already in use"}
{"lost":7}
{"event":"opened","flow":"5.6","proto":"udp","src":"10.0.2.15","sport":1,"dst":"192.0.2.1","dport":53,"state":"ACTIVE","age":0,"in":0,"out":0,"rule":null}
{"event":"host","text":"address 192.0.2.9 added"}
= events denied
no JSON
= status
{"name":"pasta","version":"1.0","gen":18,"ok":true}
END

serve caps=8000003f words="$T/answers"
out=$("$P" -A -t 0.0.0.0/8080:10.88.0.5/80 -T 80 -D -u '[::]/53' -U 5353 "$S" 2>&1)
is $? 0 "a server that knows words gets them"
is "$(requests)" "begin
add tcp 0.0.0.0/8080:10.88.0.5/80
add tcp-ns 80
del udp [::]/53
del udp-ns 5353
commit" "one transaction, with the specifications as given"
is "$out" "13 udp 53 unchanged" "rules that did not change are named"
is "$("$P" --json -A -t 80 "$S" | tail -1)" '{"ok":true,"gen":18}' "--json prints the answer"
serve caps=8000003f words="$T/answers"
t "rules that replace others" "$P" -t 80 -u 53 -T 90 -C HOST -t 8080 "$S"
is "$(requests | paste -sd ';')" "begin;clear host;add tcp 80;add udp 53;clear ns;$(
	)add tcp-ns 90;clear host;add tcp 8080;commit" "come after a clear"
serve caps=8000003f words="$T/answers"
out=$("$P" -A -t 80 -t 0.0.0.0/81 -t 82 -t 83 "$S" 2>&1)
is $? 1 "errors of rules: status 1"
is "$out" "pesto: TCP port 0.0.0.0/81: Permission denied, see ip_unprivileged_port_start
pesto: something else?[31m" "one line each, without control characters"
is "$(requests | tail -1)" "add tcp 83" "each rule is looked at, none committed"
out=$("$P" --partial -A -t 80 "$S" 2>&1)
is $? 1 "with --partial, a rule that waits: status 1"
is "$out" "pesto: TCP port 80: Address already in use" "and its reason"
"$P" -A -t "~$(seq -s ,~ 1000 1300)" "$S" >/dev/null 2>&1
is $? 1 "a specification longer than a request is refused"

is "$("$P" "$S" rules)" "12 tcp 0.0.0.0:8080 -> 10.88.0.5:80 bound 31 conns
13 udp *:53-54%eth0 -> 53-54 waiting 0 of 2 0 conns (Address already in use)
14 tcp [::1]:80-81 -> [fd00::5]:8080-8081 weak 1 of 2 2 conns" "rules, for people"
"$P" "$S" rules >/dev/null 2>&1
is $? 0 "  a rule that waits is no error there"
is "$("$P" "$S" rules --json)" "$(sed -n '/^= rules/,/^= flows/{/^=/d;p}' "$T/answers")" \
	"and for programs"
is "$("$P" "$S" flows proto tcp)" \
	"812.40 tcp 10.0.2.100:41514 -> 203.0.113.5:443 ESTABLISHED 3m12s in 1.2M out 40K rtt 12.3ms rule -
813.1 tcp [2001:db8::1]:1 -> [2001:db8::2]:8080 => [fd00::5]:80 CLOSING 2h01m in 0 out 1023 rule 12" \
	"flows"
is "$("$P" "$S" kill 812.40)" "1 flow killed" "a flow is killed"
out=$("$P" "$S" kill 813.9 2>&1)
is "$? $out" "1 pesto: Flow 813.9 has ended" "one that has ended is not"
like "$("$P" "$S" stats)" "^tap.rx_frames +18446744073709551615$" "counters"
is "$("$P" "$S" metrics)" '# TYPE passt_flows gauge
passt_flows{proto="tcp"} 3' "metrics"
is "$("$P" "$S" status)" "name: pasta
version: 1.0
gen: 18" "the status"
"$P" "$S" events rules,flows >"$T/events" 2>&1 &
events=$!
wait_for grep -q ^host "$T/events"
is "$(cat "$T/events")" "rule 12 tcp *:80 -> 80 waiting (Address already in use)
7 events lost
opened 5.6 udp 10.0.2.15:1 -> 192.0.2.1:53 ACTIVE 0s in 0 out 0 rule -
host address 192.0.2.9 added" "events, as they come"
t "they go on" kill -0 $events
kill $events
wait $events 2>/dev/null
out=$("$P" "$S" events denied 2>&1)
is $? 2 "an answer that is no JSON: status 2"
"$P" "$S" rules "$(printf 'x%.0s' {1..1100})" >/dev/null 2>&1
is $? 1 "a request over 1024 bytes is not sent"
"$P" "$S" rules "$(printf 'a\nb')" >/dev/null 2>&1
is $? 1 "nor one of two lines"
kill "$server"
done_testing
