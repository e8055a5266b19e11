# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Measurements of test/bench/compare that are not about the rate of one path: distance,
# fairness, many idle flows, and the start.

WAN=${WAN:-5}			# seconds of a measurement over distance
HELD=${HELD:-10000}		# idle flows
STARTS=15

# --- distance ------------------------------------------------------------------------

# wan_path ONE-WAY-MS EVERY: a link to 203.0.113.130, which loses one of EVERY packets
# with data, 0: none
wan_path() {
	relay "$1" wan "$PEER_PID" "$2" >"$T/wan" &
	RELAY=$!
	wait_for grep -q ready "$T/wan"
	ip addr add 203.0.113.129/30 dev wan
	ip link set wan up mtu 1500 txqueuelen 10000
	peer ip addr add 203.0.113.130/30 dev wan
	peer ip link set wan up mtu 1500 txqueuelen 10000
	wait_for ping -n -c1 -W2 203.0.113.130
}

congestion() {
	echo "$1" >/proc/sys/net/ipv4/tcp_congestion_control
	peer sh -c "echo $1 >/proc/sys/net/ipv4/tcp_congestion_control"
}

# wan CANDIDATE ROW out|in ONE-WAY-MS EVERY CONGESTION-CONTROL
wan() {
	local who=$1 row=$2 way=$3 kept=$CONGESTION mine=send theirs=receive
	local opts=(-t "$WAN" -w 2)
	[ "$way" = out ] || mine=receive theirs=send
	: >"$said"
	wan_path "$4" "$5"
	CONGESTION=$6
	congestion "$6"
	if up "$who" 65520 tap out; then
		exec_peer timeout $((WAN + 12)) load listen 203.0.113.130 "$PORT" $theirs \
			"${opts[@]}" >"$T/theirs" 2>/dev/null &
		SERVER=$!
		wait_for listening tcp "$PORT" peer
		guest timeout $((WAN + 10)) load connect 203.0.113.130 "$PORT" $mine \
			"${opts[@]}" >"$said" &
		SHARE=
		[ "$way" = in ] || { wait $SERVER; cp "$T/theirs" "$said"; }
		[ "$way" = out ] || wait $!
		tell "$who" "$row"
		down
	else
		failed "$who" "$row"
	fi
	CONGESTION=$kept
	congestion "$kept"
	kill $RELAY $SERVER
	wait $RELAY $SERVER
} 2>/dev/null

# --- fairness -----------------------------------------------------------------------------

# fair_rr CANDIDATE ROW out|in: exchanges of one byte beside a connection at full rate
fair_rr() {
	local who=$1 row=$2 mine=send theirs=receive server client bind to bulk=()
	[ "$3" = out ] || mine=receive theirs=send
	: >"$said"
	up "$who" 65520 tap many || { failed "$who" "$row"; return; }
	PORT=$((PORT + 1))
	exec_peer timeout $((SECS + 12)) load listen "$PEER4" "$PORT" $theirs \
		-t $((SECS + 1)) >/dev/null &
	bulk=($!)
	wait_for listening tcp "$PORT" peer
	guest timeout $((SECS + 10)) load connect "$PEER4" "$PORT" $mine \
		-t $((SECS + 1)) >/dev/null &
	bulk+=($!)
	PORT=$((PORT + 1))
	ends out
	serve tcp load serve "$bind" "$PORT"
	ask load rr "$to" "$PORT" -t "$SECS" >"$said" &
	SHARE=
	wait $!
	tell "$who" "$row"
	serve_end
	wait "${bulk[@]}"
	down
} 2>/dev/null

# --- idle flows -------------------------------------------------------------------------------

slab_kb() { awk '/^Slab:/ { print $2 }' /proc/meminfo; }

# hold tcp|udp|local: open $HELD flows; sets $HOLDERS
hold() {
	local mode=hold serve=serve way=out proto=tcp server client bind to
	HOLDERS=()
	case $1 in
	none) return;;
	udp) mode=hold-udp serve=echo proto=udp;;
	local) way=local;;
	esac
	ends $way
	serve $proto load $serve "$bind" "$PORT"
	HOLDERS=($(cat "$T/home/server"))
	at "$client" timeout 60 load $mode "$to" "$PORT" -n "$HELD" >"$T/home/held" &
	HOLDERS+=($!)
	wait_for -t 40 grep -q ready "$T/home/held"
}

# footprint KIND SLAB-BEFORE: what the flows take
footprint() {
	local fds each=1
	[ "$1" != local ] || each=2
	[ "$1" != none ] || each=0
	fds=$(find "/proc/$DAEMON/fd" -type l | wc -l)
	echo "rss_kb=$(awk '/^VmRSS/ { print $2 }' "/proc/$DAEMON/status")" \
		"fds_more=$((fds - each * HELD)) slab_kb=$(($(slab_kb) - $2))"
}

# idle CANDIDATE ROW none|tcp|udp|local: the cost of an exchange beside idle flows
idle() {
	local who=$1 row=$2 kind=$3 server client bind to slab more all=$HELD
	local most=$((($(ulimit -n) - 200) / 2))
	[ "$kind" != local ] || [ "$HELD" -lt $most ] || HELD=$most
	: >"$said"
	pinned
	slab=$(slab_kb)
	if up "$who" 65520 tap once && hold "$kind"; then
		more=$(footprint "$kind" "$slab")
		PORT=$((PORT + 1))
		ends out
		serve tcp load serve "$bind" "$PORT"
		ask load rr "$to" "$PORT" -t "$SECS" >"$said" &
		sample
		wait $!
		SHARE+=" $more"
		tell "$who" "$row"
		serve_end
	else
		failed "$who" "$row"
	fi
	unpinned
	HELD=$all
	kill "${HOLDERS[@]}"
	down
} 2>/dev/null

# --- the start ------------------------------------------------------------------------------------

# median_ms COMMAND...: of $STARTS runs, as a user
median_ms() {
	# shellcheck disable=SC2016 # for the inner shell
	as_user bash -c '
		for ((i = 0; i < STARTS; i++)); do
			from=${EPOCHREALTIME/[.,]/}
			"$@" >/dev/null 2>&1
			echo $((${EPOCHREALTIME/[.,]/} - from))
		done | sort -n | sed -n "$((STARTS / 2 + 1))p"' - "$@" |
		awk '{ printf "ms=%.2f\n", $1 / 1000 }'
}

# start CANDIDATE ROW TCP-PORTS: from the start to the exit of a command that does nothing
start() {
	local program
	export STARTS
	case $1 in
	native) median_ms unshare -Urn true;;
	ours) program=$OURS;;&
	distro) program=$T/distro/pasta;;&
	*) median_ms "$program" --config-net -t "$3" -u none -T none -U none -- true;;
	esac >"$said"
	SHARE=
	tell "$1" "$2"
}
