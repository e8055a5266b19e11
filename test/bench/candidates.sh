# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The candidates of test/bench/compare, in the stage of test/lib/ns.sh.
#
#	up NAME MTU tap|local BARE-ARGUMENT...
#
# starts one of them for a path, over the tap or past it, with $PORT forwarded. Then
# "guest COMMAND..." runs in its namespace, "pids" lists its processes, and "down" ends
# it. The arguments are those of the bare relay for the test: of test/tools/baretap.c
# behind the PID, or the mode of test/tools/bare.c, and what is behind the namespace.

OURS=$PASTA
MEASURED=()		# candidates of this run

# Another one each time: connections leave theirs in TIME_WAIT, and the search of the
# kernel for a free pair of them would take longer and longer
PORT=10000

native_up() { guest() { "$@"; }; pids() { :; }; down() { :; }; }

pasta_up() {
	local saved=("${ALONE[@]}") rc
	ALONE=(-t "${PORTS:-$PORT}" -u "$PORT" -T none -U none)
	pasta_start -m "$1" 2>/dev/null
	rc=$?
	ALONE=("${saved[@]}")
	[ $rc = 0 ] || return 1
	guest() { inside "$@"; }
	pids() { processes; }
	down() { pasta_stop 2>/dev/null; }
}

ours_up() { PASTA=$OURS; pasta_up "$1"; }
distro_up() { PASTA=$T/distro/pasta; pasta_up "$1"; }

slirp_tap() { guest ip -o addr show dev tap0 | grep -q inet; }

slirp_up() {
	rm -f "$T/home/up"
	exec_as user unshare -Urn sh -c "echo > $T/home/up; exec sleep infinity" &
	INNER=$!
	wait_for test -e "$T/home/up"
	exec_as user slirp4netns -c -m "$1" "$INNER" tap0 >/dev/null 2>&1 &
	SLIRP=$!
	guest() {
		as_user nsenter -t "$INNER" -U --preserve-credentials -n -- "$@"
	}
	pids() { echo "$SLIRP"; }
	down() {
		kill -9 "$INNER" "$SLIRP"
		wait "$INNER" "$SLIRP"
	} 2>/dev/null
	wait_for slirp_tap
}

lo_is_up() { guest ip -o link show up 2>/dev/null | grep -q "lo:"; }

# bare_up MTU tap|local BARE-ARGUMENT...
bare_up() {
	local mtu=$1 path=$2 mode=$3
	shift 3
	unshare -n sh -c "ip link set lo up; exec sleep infinity" &
	INNER=$!
	guest() { nsenter -t "$INNER" -n -- "$@"; }
	wait_for lo_is_up
	if [ "$path" = local ]; then
		bare "$mode" "$PORT" "/proc/$INNER/ns/net" "$@" 2>/dev/null &
	else
		baretap tap0 "$INNER" "$mode" "$@" >"$T/ready" 2>/dev/null &
	fi
	BARE=$!
	pids() { pgrep -x 'bare|baretap'; }
	down() {
		kill -9 $BARE $INNER
		wait $BARE $INNER
	} 2>/dev/null
	[ "$path" = local ] || bare_link "$mtu"
}

bare_link() {
	wait_for grep -q ready "$T/ready" || return 1
	guest sh -c "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
	guest ip -b - <<-END
		addr add $HOST4/24 dev tap0
		link set tap0 mtu $1 txqueuelen 10000 arp off up
		route add default via $GW4
	END
}

up() {
	PORT=$((PORT + 1))
	"$1_up" "${@:2}" || return 1
	guest bash -c "echo $CONGESTION > /proc/sys/net/ipv4/tcp_congestion_control
		$(declare -f wide_ports); wide_ports" 2>/dev/null
	return 0
}

# wide_ports: let clients of this namespace use all ports but those of servers
wide_ports() {
	echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range
	echo 10000-19999 >/proc/sys/net/ipv4/ip_local_reserved_ports
}

# distro_copy FROM TO [LOADER LIBC]: the distribution's pasta as $T/distro/pasta, which
# is a script if it needs another C library
distro_copy() {
	local dir=$T/distro program=$1/usr/bin/pasta
	[ ! -e "$program.avx2" ] || ! grep -qw avx2 /proc/cpuinfo || program+=.avx2
	mkdir -p "$dir"
	if [ "$1" = / ]; then
		cp -L "$program" "$dir/pasta"
	else
		cp -L "$1"/lib64/ld-linux-*.so.* "$dir/pasta.ld" &&
			cp -L "$1"/usr/lib/*-linux-gnu/libc.so.6 "$dir/" &&
			cp -L "$program" "$dir/program" || return 1
		cat >"$dir/pasta" <<-END
			#!/bin/sh
			exec $dir/pasta.ld --library-path $dir --argv0 pasta $dir/program "\$@"
		END
		chmod 755 "$dir/pasta"
	fi
	chmod -R a+rX "$dir"
}

# candidates: fill in $MEASURED
candidates() {
	local root
	MEASURED=(native bare ours)
	for root in / "${DEBIAN_ROOT:-$NS_BUILD/debian}"; do
		[ -x "$root/usr/bin/pasta" ] && distro_copy "$root" || continue
		MEASURED+=(distro)
		break
	done
	if command -v slirp4netns >/dev/null; then MEASURED+=(slirp); fi
}
