#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tables of doc/forwarding.md, row by row: a program dials an address, and the
# program that is reached tells at which of its addresses, and which source it sees.
# A row is
#
#	| IN | `ADDR`... | `OPTION...` | IN `ADDR`... | `ADDR`... |
#
# with "namespace", "inner", "host", "peer" or "nothing" for IN. Several addresses of a
# cell belong together in their order, usually IPv4 and IPv6. Services have port 8001;
# with -t or -T, and -u or -U, port 8000 is dialled.

. "$(dirname "$0")/../lib/ns.sh"

DOC=${DOC:-$NS_TOP/doc/forwarding.md}
cp "$NS_TOP/test/tools/where.py" "$T/bin/where"

serve() {
	local in=$1 how=$2
	shift 2
	rm -f "$T/home/ready"
	$how where serve "$in" "$@" >"$T/home/ready" 2>"$T/home/$in.err" &
	wait_for grep -q ready "$T/home/ready"
}

# tables: rows without decoration, as "SECTION|IN|ADDRS|OPTIONS|IN ADDRS|SOURCES"
tables() {
	awk -F '|' '
		/^## /		{ section = substr($0, 4) }
		/^```/		{ drawing = !drawing }
		!drawing && NF == 7 && $2 ~ /^ (namespace|host|peer) $/ {
			gsub(/`/, "")
			for (i = 2; i <= 6; i++)
				gsub(/^ +| +$/, "", $i)
			print section "|" $2 "|" $3 "|" $4 "|" $5 "|" $6
		}' "$DOC"
}

# from IN COMMAND...: run a command there
from() {
	local in=$1
	shift
	case $in in
	namespace) inside "$@";;
	host)	"$@";;
	peer)	peer "$@";;
	esac
}

up() {
	[ -z "${DAEMON-}" ] || pasta_stop
	# shellcheck disable=SC2086 # options are words
	pasta_start $1 || { ok 1 "pasta $1 starts"; return 1; }
	serve namespace inside 8001
	case $section in "Target addresses"*)
		behind_start && serve inner behind 8001
		ok $? "a namespace behind that one"
	esac
}

# dial PROTO IN ADDR OPTIONS [SECONDS]: the answer
dial() {
	local port=8001
	case $4 in *-[tTuU]*) port=8000;; esac
	from "$2" where ask "$1" "$3" $port "${5:-3}"
}

row() {
	local in=$1 addrs options=$3 to sources proto i wanted got
	read -r -a addrs <<<"$2"
	read -r -a to <<<"$4"
	read -r -a sources <<<"$5"
	for i in "${!addrs[@]}"; do
		wanted="${to[0]} ${to[i + 1]-} ${sources[i]-}"
		for proto in tcp udp; do
			if [ "${to[0]}" = nothing ]; then
				got=$(dial $proto "$in" "${addrs[i]}" "$options" 0.5)
				wanted=nothing got=${got%%:*}
			else
				got=$(dial $proto "$in" "${addrs[i]}" "$options")
			fi
			is "$got" "$wanted" \
				"$options: $in dials ${addrs[i]}, $proto: ${to[*]}"
		done
	done
}

serve host env 8001
serve peer peer 8000 8001
section='' options=none
mapfile -t rows < <(tables)
[ ${#rows[@]} -ge 20 ]
ok $? "doc/forwarding.md has tables"
for r in "${rows[@]}"; do
	IFS='|' read -r sec in addrs opts to sources <<<"$r"
	if [ "$sec" = "Several addresses" ] && [ "$section" != "$sec" ]; then
		ip addr add 198.51.100.3/24 dev eth0
		ip addr add 2001:db8:1::3/64 dev eth0 nodad preferred_lft 0
		options=none
	fi
	case $sec in "Target addresses"*)
		ip addr del 198.51.100.3/24 dev eth0
		ip addr del 2001:db8:1::3/64 dev eth0
	esac 2>/dev/null
	section=$sec
	if [ "$opts" != "$options" ]; then
		up "$opts" || continue
		options=$opts
	fi
	row "$in" "$addrs" "$opts" "$to" "$sources"
done
pasta_stop
done_testing
