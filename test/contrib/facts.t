#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What documents claim about sources: functions, files and tests that they name exist,
# tests have the points that are quoted, and doc/debugging.md explains each counter of
# --stats and each line of the start. The examples of doc/testing.md are tests that pass.
# Each check is shown to find an error, too.

. "$(dirname "$0")/../lib/tap.sh"
no_stage
command -v python3 >/dev/null || skip_all "no python3"
cd "$top" || exit 1

# --- names ---------------------------------------------------------------------------

scripts/names >"$work/log" 2>&1
ok $? "all names in doc/*.md exist"

# objects TEXT NAME: is a document with this text refused?
objects() {
	printf '%s\n' "$1" >"$work/x.md"
	! scripts/names "$work/x.md" >"$work/log" 2>&1
	ok $? "$2 is found"
}
objects 'see `tcp_nowhere()`' "a function that does not exist"
objects 'see `nowhere.c`' "a file that does not exist"
objects 'see `frame/nowhere`' "a test that does not exist"
fact=$'| fact | shown by |\n|---|---|\n| a fact |'
objects "$fact somebody |" "a fact without a test"
objects "$fact \`frame/tcp\` \"pigs fly\" |" "a point that the test lacks"
printf '%s\n' "$fact \`frame/tcp\` \"two duplicate ACKs resend nothing\" |" \
	"" "connect() and \`connect()\` are calls, \`passt.c\` is a file" >"$work/x.md"
scripts/names "$work/x.md" >"$work/log" 2>&1
ok $? "a fact with its test is not"

# --- language ------------------------------------------------------------------------

words=$(printf 'word %.0s' {1..15})
# clumsy TEXT NAME [SUFFIX]: is a document, or another page, with this text refused?
clumsy() {
	printf '%s\n' "$1" >"$work/x.${3-md}"
	! scripts/prose "$work/x.${3-md}" >"$work/log" 2>&1
	ok $? "$2 is found"
}
clumsy "$words, $words, and this." "a sentence of more than 30 words"
clumsy "$words and what is there." "a riddle"
printf '%s\n' "$words \`what\`." "$words." '```' "$words what $words who $words" '```' \
	"| who | \`frame/tcp\` \"what was said\" |$(printf ' | word%.0s' {1..900})" >"$work/x.md"
scripts/prose "$work/x.md" >"$work/log" 2>&1
ok $? "code, points of tests and rows of tables are left alone"
clumsy "$words"$'\n.Fl t ,\n'"$words." "a long sentence of a manual page" 1
clumsy "$words and what is there." "a riddle of a manual page" 1
printf '%s\n' "$words" ".Fl $words $words ." "$words." .It "$words" \
	'.Bd -literal' "$words $words what" .Ed .Pp "$words." >"$work/x.1"
scripts/prose "$work/x.1" >"$work/log" 2>&1
ok $? "macros and blocks of a manual page are left alone"

# --- counters and lines of the start ----------------------------------------------------

# labels: what --stats prints, a line each: titles, names of counters, reasons
labels() {
	sed -nE 's/.*counters_add(_if)?\(c, "([^"]*)".*/\2/p; s/.*c->title = "([^"]*)".*/\1/p' \
		./*.c
	sed -n '/\[PKT_E_/s/.*= "\(.*\)",/\1/p' packet.c
	printf '%s\n' "from guest" "to guest" "refused frames" frames bytes lost
}

# starts: labels of the lines at the start
starts() {
	sed -nE 's/.*info\("( *[A-Za-z][^"%]*:)[" %].*/\1/p' conf_print.c
	sed -nE 's/.*print_(addr|interfaces)\("([^"]*)".*/\1 \2/p' conf_print.c |
		sed 's/^addr \(.*\)/\1:/; s/^interfaces \(.*\)/\1 interface:/'
	grep -oE '"(NDP|DHCPv6|NDP/DHCPv6|DHCP|IPv4|IPv6)"' conf_print.c | tr -d '"' |
		sed 's/$/:/'
}

# explained DOCUMENT COMMAND: the lines of COMMAND that no table of it has in backquotes
unexplained() {
	"$2" | sed 's/^ *//' | sort -u | while read -r label; do
		grep '^|' "$1" | grep -qF "\`$label\`" || echo "$label"
	done
}

[ "$(labels | wc -l)" -ge 40 ] && [ "$(starts | sort -u | wc -l)" -ge 12 ]
ok $? "labels are found in the sources" 2>"$work/log"
for what in labels starts; do
	unexplained doc/debugging.md $what >"$work/log"
	[ ! -s "$work/log" ]
	ok $? "doc/debugging.md explains all $what"
	grep -v '`replies lost`\|`our link-local:`' doc/debugging.md >"$work/x.md"
	[ "$(unexplained "$work/x.md" $what | wc -l)" -ge 1 ]
	ok $? "  and one that is missing is found"
done

# The other way round: the second column of the table of counters
awk -F '|' '/^## /		{ on = /counters$/ }
	on && /^\|/ && NF == 5	{ print $2 $3 }' doc/debugging.md |
	grep -o '`[^`]*`' | tr -d '`' | sort -u |
	grep -vxF "$(labels)" >"$work/log"
[ ! -s "$work/log" ]
ok $? "it explains no counter that does not exist"
awk '/^## Symptoms/ { on = 1; next } /^## / { on = 0 }
	on && /^\| `/ { split($0, a, "`"); print a[2] }' doc/debugging.md |
	sed 's/ port [0-9]* (.*//; s/^Port [0-9]* /Port %u /' | while read -r message; do
		cat ./*.c | tr -d '\n' | sed 's/"[[:space:]]*"//g' |
			grep -qF "${message%% (*}" || echo "$message"
	done >"$work/log"
[ ! -s "$work/log" ]
ok $? "its messages are in the sources"

# --- examples of tests -------------------------------------------------------------------

# example HEADING: the first block below this heading of doc/testing.md
example() {
	awk -v h="## $1" '
		/^## /		{ on = $0 == h }
		on && /^```/	{ if (++fences == 2) exit; next }
		on && fences	{ print }' doc/testing.md
}

# passes FILE: is its TAP that of a test that has passed, with a point at least?
passes() {
	grep -q '^ok 1 ' "$1" && grep -q '^1\.\.[1-9]' "$1" && ! grep -q '^not ok\|SKIP' "$1"
}

# skipped FILE NAME: did the example itself find something missing?
skipped() {
	grep -q '^1\.\.0 # SKIP' "$1" || return 1
	skip "$2" "$(sed -n 's/^1\.\.0 # SKIP //p' "$1")"
}

example "Write a unit test" >"$work/x.c"
cp test/unit/tap.h "$work/"		# tap.h of the tree is another file
cc -std=gnu11 -D_GNU_SOURCE -Wall -Werror -I. -o "$work/x" "$work/x.c" \
	>"$work/log" 2>&1 && "$work/x" >"$work/log" 2>&1 && passes "$work/log"
ok $? "the example of a unit test is one"

{
	echo 'import sys'
	echo "sys.path.insert(0, '$PWD/test/frame')"
	echo 'from harness import check, equal, main, test'
	example "Write a frame dialogue"
	echo 'main()'
} >"$work/x.py"
python3 "$work/x.py" -b stream >"$work/log" 2>&1
skipped "$work/log" "the example of a dialogue is one" || {
	passes "$work/log"
	ok $? "the example of a dialogue is one"
}

if command -v socat >/dev/null; then
	mkdir -p "$work/test/e2e"
	ln -s "$PWD/test/lib" "$PWD/test/tools" "$work/test/"
	ln -s "$PWD/passt" "$work/passt"
	example "Write an end-to-end test" >"$work/test/e2e/x.t"
	BUILD=${BUILD:-$PWD/build} bash "$work/test/e2e/x.t" >"$work/log" 2>&1
	skipped "$work/log" "the example of an end-to-end test is one" || {
		passes "$work/log"
		ok $? "the example of an end-to-end test is one"
	}
else
	skip "the example of an end-to-end test is one" "needs: socat"
fi
done_testing
