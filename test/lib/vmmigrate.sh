# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Move a virtual machine from one host to another.  Source this file after vm.sh, and call
# vm_root before: qemu 10 can do that.
#
# The first host, "here", is the namespace of the script.  The second one, "there", has the
# same addresses.  Only one of them is plugged in at the peer:
#
#   here                                                "peer"
#     eth0 198.51.100.1/24  ---- veth ----  eth0 198.51.100.2/24, ::2
#   there
#     eth0 198.51.100.1/24  ---- veth ----  eth1 198.51.100.2/24, ::2, down
#
#   hosts_start			make the second host
#   plug here|there		have the peer reach this host, and not the other
#   host_passt here|there OPTION...	a passt --vhost-user, in the background; its socket,
#				pid file and log are $T/home/WHERE.{socket,pid,log}
#   host_stop here|there		end it
#   vm_incoming NAME SOCKET	a machine that waits for another one
#   vm_leave FROM TO		begin to migrate: ends when the guest stands still
#   vm_arrive FROM		go on: ends when the migration has; 0 if well
#   vm_migrate FROM TO WHERE	all of it, with the cable: that comes last, as a host without
#				the sockets would reset connections

hosts_start() {
	unshare --net sleep infinity &
	THERE_PID=$!
	wait_for hosts_ready || return 1
	there bash -c "$(declare -f ns_cc ns_sysctl); ns_cc; ns_sysctl" >/dev/null
	ip link add there mtu 65520 type veth peer name eth1 mtu 65520 netns "$PEER_PID" &&
		ip link set there netns "$THERE_PID" name eth0 || return 1
	there ip -b - <<-END
		link set lo up
		addr add $HOST4/24 dev eth0
		addr add $HOST6/64 dev eth0 nodad
		link set eth0 up
		route add default via $GW4
	END
	there ip -6 route add default via "$GW6"
	peer ip addr add "$GW4/24" dev eth1
}

hosts_ready() {
	[ "$(readlink "/proc/$THERE_PID/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

there() { nsenter -t "$THERE_PID" -n -- "$@"; }
here() { "$@"; }

# A link that is down loses its IPv6 addresses
plug() {
	local on=eth0 off=eth1
	[ "$1" = here ] || { on=eth1 off=eth0; }
	peer ip -b - <<-END
		link set $off down
		link set $on up
		addr replace $GW6/64 dev $on nodad
	END
	wait_for peer ping -n -c1 -W1 "$HOST4" && wait_for peer ping -n -c1 -W1 "$HOST6"
}

host_passt() {
	local where=$1
	shift
	rm -f "$T/home/$where.log"
	"$where" setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups \
		--inh-caps=-all "$T/bin/passt" --vhost-user -s "$T/home/$where.socket" \
		-P "$T/home/$where.pid" -l "$T/home/$where.log" "$@" >/dev/null
}

host_stop() {
	kill "$(cat "$T/home/$1.pid")"
	wait_for gone "$(cat "$T/home/$1.pid")"
}

CAPS='{"capabilities": [{"capability": "pause-before-switchover", "state": true},
	{"capability": "return-path", "state": true}]}'

vm_incoming() {
	vm_run "$1" "$2" -incoming defer
	wait_for vm_qmp "$1" query-status &&
		vm_qmp "$1" migrate-set-capabilities "$CAPS" >/dev/null &&
		vm_qmp "$1" migrate-incoming "{\"uri\": \"unix:$T/home/$1.in\"}" >/dev/null
}

# vm_moving NAME WORD...: is its migration in one of these states?
vm_moving() {
	local name=$1 state
	shift
	state=$(vm_qmp "$name" query-migrate | sed -n 's/.*"status": "\([^"]*\)".*/\1/p')
	[[ " $* " = *" $state "* ]]
}

vm_leave() {
	vm_qmp "$1" migrate-set-capabilities "$CAPS" >/dev/null &&
		vm_qmp "$1" migrate "{\"uri\": \"unix:$T/home/$2.in\"}" >/dev/null &&
		wait_for -t 60 vm_moving "$1" pre-switchover
}

vm_arrive() {
	vm_qmp "$1" migrate-continue '{"state": "pre-switchover"}' >/dev/null &&
		wait_for -t 60 vm_moving "$1" completed failed cancelled &&
		vm_moving "$1" completed
}

vm_migrate() {
	vm_leave "$1" "$2" && vm_arrive "$1" && plug "$3" && wait_for vm_ready "$2"
}
