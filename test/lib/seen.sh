# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Check which addresses and routes a namespace gets.  Source this file after ns.sh.  Set
# $what to the situation: the names of the test points begin with it.

# seen OPTION...: set $out to the output at the start, then addresses and routes
# shellcheck disable=SC2120 # options may be left out
seen() {
	out=$(as_user timeout 10 "$PASTA" --config-net "${ALONE[@]}" "$@" -- \
		sh -c 'ip -o addr; ip route; ip -6 route' 2>&1)
	is $? 0 "$what: it starts" || diag "$out"
}

has() { like "$out" "$1" "$what: $2"; }

hasnt() {
	[[ ! $out =~ $1 ]]
	ok $? "$what: $2" || diag "$out"
}

works() {
	t "$what: it works" in_ns -- ping -n -q -c1 -W5 "$1"
}
