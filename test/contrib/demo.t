#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# doc/demo.sh shows what it says, as an ordinary user and as root, leaves nothing behind,
# names what is missing in one line, and records itself the same way each time

. "$(dirname "$0")/../lib/ns.sh"

for program in socat python3; do
	command -v $program >/dev/null || skip_all "no $program"
done
mkdir "$T/demo"
cp "$NS_TOP/doc/demo.sh" "$NS_TOP/doc/demo.cast" "$T/demo/"
DEMO=$T/demo/demo.sh		# without programs in its tree: those of $PATH
cd "$T/home" || exit 1
mount -t tmpfs -o mode=1777 tmpfs /tmp	# without the files of others

# What could stay behind; those of this test are always there
traces() {
	ip -br link | cut -d' ' -f1
	find "$T/home" /tmp ! -path "$T/home/traces*" | sort
	ps -e -o comm= | grep -xE 'pas.*|socat|python3|sleep' | sort
}

# prints LINE NAME: the demo's output has this line, blanks at its end aside
prints() { grep -qxE "$1[[:space:]]*" <<<"$out"; ok $? "$2" || diag "$out"; }

for who in $WHOM; do
	traces > "$T/home/traces.before"
	out=$(run_as $who timeout 60 "$DEMO" 2>&1 </dev/null)
	is $? 0 "$who: the demo succeeds" || diag "$out"
	traces > "$T/home/traces.after"
	t "$who: it leaves nothing behind" diff "$T"/home/traces.{before,after}
	prints '    inet 198.51.100.1/24 .*' "$who: the namespace has the host's address"
	prints '    inet6 2001:db8:1::1/64 .*' "$who: of either family"
	prints 'default via 198.51.100.2 dev eth0' "$who: and its route"
	prints '64 bytes from 203.0.113.2: .*' "$who: ping"
	is "$(grep -c '^hello, 198.51.100.1$' <<<"$out")" 3 \
		"$who: TCP, UDP and a local connection arrive with the host's address"
	prints 'hello, 198.51.100.2' "$who: a peer reaches a forwarded port by its address"
	prints 'hello, 127.0.0.1' "$who: a connection of loopback stays one without a tap"
	prints 'lo' "$who: which has no other interface"
	prints 'offered: 198.51.100.1' "$who: passt serves a guest"
	prints 'router: 198.51.100.2' "$who: and hands out the host's gateway"

	exec_as $who "$DEMO" >/dev/null 2>&1 &
	demo=$!
	wait_for pgrep -x socat
	kill $demo
	wait $demo 2>/dev/null
	no_more() { ! pgrep -x 'socat|passt|pasta'; }
	wait_for no_more
	ok $? "$who: a demo that is killed takes its processes along"
done

# --- something is missing ---------------------------------------------------------------

mkdir "$T/few"
for program in unshare ip ping socat python3 passt pasta dirname; do
	ln -s "$(command -v $program)" "$T/few/$program"
done
# lacks PATTERN COMMAND...: one line, and the status of a failure
lacks() {
	local wanted=$1
	shift
	out=$(as_user "$@" 2>&1 </dev/null)
	is "$?, $(wc -l <<<"$out") line" "1, 1 line" "one line: $wanted" &&
		like "$out" "^demo: $wanted" "which tells it" || diag "$out"
}
for program in unshare socat python3 passt; do
	mv "$T/few/$program" "$T/away"
	lacks "needs .*$program" env PATH="$T/few" /bin/bash "$DEMO"
	mv "$T/away" "$T/few/$program"
done
lacks "/dev/net/tun is not for this user" unshare -Urm sh -c \
	'mount -t tmpfs tmpfs /dev/net && exec "$@"' - "$DEMO"
lacks "can't write /nowhere/file" "$DEMO" --record /nowhere/file
lacks "usage" "$DEMO" --slow

# --- the recording ------------------------------------------------------------------------

for i in 1 2; do
	as_user timeout 60 "$DEMO" --record "$T/home/$i.cast" >/dev/null 2>&1
	ok $? "a recording is made"
done
t "another recording has the same bytes" cmp "$T/home/1.cast" "$T/home/2.cast"
t "it is of asciinema's form, version 2" python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert lines[0]["version"] == 2 and lines[0]["width"] == 80, lines[0]
last = 0
for at, kind, text in lines[1:]:
    assert kind == "o" and at >= last, (at, kind)
    last = at
text = "".join(text for at, kind, text in lines[1:])
assert "hello, 198.51.100.1\r\n" in text
assert 30 < last < 120, last
wide = max(map(len, text.split("\r\n")))
assert wide <= 90, wide' "$T/home/1.cast"
name="doc/demo.cast is the recording of this script"
if [ "$(cut -d. -f1 /etc/debian_version 2>/dev/null)" = 12 ]; then
	t "$name" cmp "$T/demo/demo.cast" "$T/home/1.cast"
else
	skip "$name" "it has the output of Debian 12's tools"
fi
done_testing
