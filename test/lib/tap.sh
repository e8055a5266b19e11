# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Report the results of a test in the Test Anything Protocol.
#
# test/lib/ns.sh sources this file for tests that need a stage.  Any other test in bash
# sources it alone and calls no_stage.

tap_n=0 tap_bad=0 tap_log=

# tap_point STATUS NAME: report one test point
tap_point() {
	tap_n=$((tap_n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_n - $2"
	else
		echo "not ok $tap_n - $2"
		tap_bad=$((tap_bad + 1))
	fi
	return "$1"
}

# ok STATUS NAME: the same; a failure is explained by the lines of the file $tap_log
ok() {
	tap_point "$1" "$2" && return 0
	[ ! -s "$tap_log" ] || diag "$(head -40 "$tap_log")"
	return 1
}

# diag TEXT: print lines of explanation
diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

# t NAME COMMAND...: check that the command succeeds
t() {
	local name=$1 out rc
	shift
	out=$("$@" 2>&1 </dev/null)
	rc=$?
	[ $rc = 0 ] || { tap_point 1 "$name"; diag "exit $rc of: $*
$out" | head -30; return 1; }
	tap_point 0 "$name"
}

# is GOT WANTED NAME: check that both strings are equal
is() {
	if [ "$1" = "$2" ]; then tap_point 0 "$3"; return 0; fi
	tap_point 1 "$3"
	diag "got    '$1'
wanted '$2'"
	return 1
}

# like TEXT ERE NAME: check that a regular expression matches
like() {
	if [[ $1 =~ $2 ]]; then tap_point 0 "$3"; return 0; fi
	tap_point 1 "$3"
	diag "got    '$1'
wanted '$2'"
	return 1
}

# le NUMBER LIMIT NAME: check that a number is at most LIMIT
le() {
	if [ -n "$1" ] && [ "$1" -le "$2" ]; then tap_point 0 "$3 ($1)"; return 0; fi
	tap_point 1 "$3"
	diag "got '$1', at most $2"
	return 1
}

skip() {
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

done_testing() {
	echo "1..$tap_n"
	exit $((tap_bad > 0))
}

# no_stage: prepare a test that runs on the machine as it is; sets $top to the top of
# the tree and $work to a folder that ends with the test.  Output goes to $work/log.
no_stage() {
	set -u
	export LC_ALL=C
	unset MAKEFLAGS MFLAGS CFLAGS LDFLAGS CC V VERSION
	top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
	work=$(mktemp -d)
	tap_log=$work/log
	trap 'rm -rf "$work"' EXIT
}
