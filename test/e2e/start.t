#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Start and end: who may start pasta, what the command finds in its namespace,
# when the parent returns, what ends it all, and what is said when it can't be.

. "$(dirname "$0")/../lib/ns.sh"

status_of() {
	"$@" >"$T/out" 2>&1 </dev/null
	echo $?
}

command_status() {
	is "$(status_of in_ns -- true)" 0 "$WHO: the status of true"
	is "$(status_of in_ns -- sh -c 'exit 7')" 7 "$WHO: status 7"
	# shellcheck disable=SC2016
	is "$(status_of in_ns -- sh -c 'kill -TERM $$; kill -KILL $$')" 143 \
		"$WHO: a command killed by SIGTERM is 143"
	# shellcheck disable=SC2016
	is "$(status_of in_ns -- sh -c 'sh -c "kill -KILL \$\$"; exit $?')" 137 \
		"$WHO: a process of the command killed is its own matter"
	is "$(status_of in_ns -- /nonexistent)" 127 "$WHO: no such command" ||
		diag "$(cat "$T/out")"
	is "$(echo 'exit 9' | SHELL=/bin/sh run_as "$WHO" timeout 20 "$PASTA" -q \
		--config-net "${ALONE[@]}" >/dev/null 2>&1; echo $?)" 9 \
		"$WHO: without a command it is the shell"
	is "$(run_as "$WHO" timeout 20 "$PASTA" -q --config-net sh -c 'exit 5' \
		>/dev/null 2>&1; echo $?)" 5 "$WHO: a command without --"
}

# What the command finds at its first instruction
network() {
	local out
	out=$(in_ns -- sh -c 'ip -o addr; ip route; ip -6 route; ip link show eth0')
	like "$out" "eth0 +inet 198.51.100.1/24" "$WHO: the host's IPv4 address"
	like "$out" "eth0 +inet6 2001:db8:1::1/64" "$WHO: the host's IPv6 address"
	like "$out" "default via 198.51.100.2 dev eth0" "$WHO: its IPv4 route"
	like "$out" "default via 2001:db8:1::2 dev eth0" "$WHO: its IPv6 route"
	like "$out" "lo +inet 127.0.0.1/8" "$WHO: loopback is up"
	like "$out" "mtu 65520 .*qlen 10000" "$WHO: MTU 65520, queue of 10000"
	case $out in *tentative*) ok 1 "$WHO: no address is tentative";
		diag "$out";; *) ok 0 "$WHO: no address is tentative";; esac
	out=$(in_ns -4 -I tap9 -m 1400 --ns-mac-addr 02:00:00:00:00:09 -- \
		sh -c 'ip -o addr; ip link')
	like "$out" "tap9 +inet 198.51.100.1" "$WHO: -I names the interface"
	like "$out" "mtu 1400" "$WHO: -m sets the MTU"
	like "$out" "02:00:00:00:00:09" "$WHO: --ns-mac-addr sets its address"
	case $out in *2001:db8*) ok 1 "$WHO: -4 copies no IPv6 address";;
		*) ok 0 "$WHO: -4 copies no IPv6 address";; esac
	out=$(in_ns -a 203.0.113.50 -n 28 -g 203.0.113.49 -- \
		sh -c 'ip -o addr; ip route')
	like "$out" "inet 203.0.113.50/28" "$WHO: -a and -n set the address"
	like "$out" "default via 203.0.113.49" "$WHO: -g sets the gateway"
}

identity() {
	local out kind
	is "$(in_ns -- id -u)" 0 "$WHO: is 0 inside"
	for kind in user net mnt pid ipc uts; do
		out=$(in_ns -- readlink /proc/self/ns/$kind)
		[ -n "$out" ] && [ "$out" != "$(readlink /proc/self/ns/$kind)" ]
		ok $? "$WHO: a $kind namespace of its own"
	done
	# shellcheck disable=SC2016
	out=$(in_ns -- sh -c 'set -- /proc/[0-9]*; echo $#')
	le "$out" 4 "$WHO: /proc shows the new PID namespace"
	like "$(in_ns -- cat /proc/sys/net/ipv4/ping_group_range)" '^0' \
		"$WHO: ping_group_range is open"
	[ "$WHO" = root ] &&
		like "$(in_ns -- cat /proc/self/uid_map)" '0 +0 +4294967295' \
			"root: keeps all ids"
	return 0
}

kept() {
	# shellcheck disable=SC2016
	is "$(FOO='a b' in_ns -- sh -c 'echo $FOO')" "a b" \
		"$WHO: the environment is kept"
	is "$(ulimit -Sn 777; in_ns -- sh -c 'ulimit -Sn')" 777 \
		"$WHO: limits are kept"
	is "$(cd /proc && in_ns -- pwd)" /proc "$WHO: so is the directory"
	is "$(in_ns -- grep -E '^Sig(Blk|Ign)' /proc/self/status)" \
		"$(run_as "$WHO" timeout 9 grep -E '^Sig(Blk|Ign)' /proc/self/status)" \
		"$WHO: the signal mask is that of the caller"
	is "$(echo through | run_as "$WHO" timeout 20 "$PASTA" -q --config-net \
		"${ALONE[@]}" -- cat)" through "$WHO: standard input and output"
	is "$(in_ns -- ls -l /proc/self/fd | grep -c -- '->')" 4 \
		"$WHO: no descriptor of ours is left to the command"
}

# A terminal: Ctrl-C reaches the command, and pasta lives on
terminal() {
	local out
	out=$(run_as "$WHO" timeout 20 python3 "$NS_TOP/test/tools/ctrlc.py" \
		"$PASTA" -q --config-net "${ALONE[@]}" -- sh -c \
		'trap "echo caught; exit 3" INT; echo ready
		while :; do sleep 0.1; done' 2>&1)
	like "$out" 'caught.*status 3' "$WHO: Ctrl-C reaches the command alone"
}

# --- a command in the user namespace of the caller -----------------------------

# In a user namespace of 1000 IDs, which is not that of the host
in_ids() {
	nsenter -t "$IDS" -U -S 0 -G 0 env HOME="$T/home" timeout 20 "$PASTA" \
		--netns-only -q --config-net "${ALONE[@]}" "$@" 2>&1
}

# What a command with --netns-only sees that is to be as outside
# shellcheck disable=SC2016
same='readlink /proc/self/ns/user; cat /proc/self/uid_map /proc/self/gid_map'

netns_only() {
	local out
	is "$(run_as "$WHO" unshare -Ur sh -c "$same; timeout 20 $PASTA -q \
		--netns-only --config-net ${ALONE[*]} -- sh -c '$same'" |
		sort | uniq -c | awk '$1 % 2')" "" \
		"$WHO: --netns-only: the command has the caller's user namespace"
	out=$(run_as "$WHO" unshare -Ur sh -c "timeout 20 $PASTA -q --netns-only \
		--config-net ${ALONE[*]} -- sh -c 'readlink /proc/self/ns/net
		ip -o addr; ping -nqc1 -W5 $PEER6; ps ax | wc -l; exit 5'" 2>&1)
	is $? 5 "$WHO: --netns-only: the status of the command"
	like "$out" "inet 198.51.100.1/24.* 1 received" \
		"$WHO: --netns-only: a network of its own"
	[ "$(head -1 <<<"$out")" != "$(readlink /proc/self/ns/net)" ]
	ok $? "$WHO: --netns-only: which is new"
}

many_ids() {
	local out
	unshare -U sleep 1000 &
	IDS=$!
	wait_for sh -c "[ \$(readlink /proc/$IDS/ns/user) != \
		\$(readlink /proc/self/ns/user) ]"
	echo 0 100000 1000 > /proc/$IDS/uid_map
	echo 0 100000 1000 > /proc/$IDS/gid_map
	chown 100000 "$T/home"
	# shellcheck disable=SC2016
	out=$(in_ids -- sh -c 'touch f && chown 33:44 f && ls -n f
		setpriv --reuid 55 --regid 66 --clear-groups id -u
		ping -nqc1 -W5 '$PEER4)
	like "$out" " 33 44 .*55.* 1 received" \
		"--netns-only: the command may use all of a thousand IDs"
	if type bwrap >/dev/null 2>&1; then
		like "$(in_ids -- bwrap --dev-bind / / --unshare-pid \
			sh -c "ping -nqc1 -W5 $PEER4")" " 1 received" \
			"--netns-only: a sandbox within"
	else
		skip "--netns-only: a sandbox within" "no bwrap"
	fi
	kill $IDS
	rm -f "$T/home/f"
	chown $USER_ID "$T/home"
	complains "user: --netns-only without CAP_SYS_ADMIN" \
		"network namespace .*CAP_SYS_ADMIN" \
		user "$PASTA" -q --netns-only -- true
}

# --- a namespace that exists: pasta PID ----------------------------------------

# A namespace of somebody else's; sets TARGET
target_make() {
	rm -f "$T/home/target"
	exec_as "$WHO" unshare -Urn sh -c \
		"echo up > $T/home/target; exec sleep infinity" &
	TARGET=$!
	wait_for test -s "$T/home/target"
	wait_for grep -q sleep "/proc/$TARGET/comm"
}

target() {
	run_as "$WHO" nsenter -t "$TARGET" -U --preserve-credentials -n -- "$@"
}

by_pid() {
	local out pid
	target_make
	out=$(run_as "$WHO" timeout 20 "$PASTA" --config-net "${ALONE[@]}" \
		-P "$T/home/pid" "$TARGET" 2>&1)
	is $? 0 "$WHO: pasta PID in the background" || diag "$out"
	out=$(target ip -o addr)
	like "$out" "eth0 +inet 198.51.100.1/24.*2001:db8:1::1" \
		"$WHO: addresses are there when the parent returns"
	case $out in *tentative*) false;; esac
	ok $? "$WHO: and not tentative"
	pid=$(cat "$T/home/pid" 2>/dev/null)
	is "$(stat -c %a "$T/home/pid" 2>/dev/null)" 600 "$WHO: -P: mode 0600"
	kill -0 "${pid:-x}" 2>/dev/null
	ok $? "$WHO: -P names the process in the background" || return
	t "$WHO: ping in the namespace of PID" target ping -n -c1 -W5 $PEER4
	kill -9 "$TARGET"
	wait_for -t 5 gone "$pid"
	ok $? "$WHO: it ends when PID does" || kill -9 "$pid"
	rm -f "$T/home/pid"

	target_make
	exec_as "$WHO" "$PASTA" -f -q --config-net "${ALONE[@]}" "$TARGET" \
		>"$T/out" 2>&1 &
	pid=$!
	wait_for target ping -n -c1 -W5 $PEER4
	ok $? "$WHO: pasta -f PID"
	kill -TERM $pid
	wait_for -t 5 gone $pid
	wait $pid
	is $? 0 "$WHO: SIGTERM ends it with status 0"
	exec_as "$WHO" "$PASTA" -f -q --config-net "${ALONE[@]}" "$TARGET" &
	pid=$!
	wait_for target ping -n -c1 -W5 $PEER4
	ok $? "$WHO: the namespace can be connected again"
	kill -9 "$TARGET"
	wait $pid
	is $? 0 "$WHO: in the foreground it ends with PID and status 0"
}

# The end of a command is the end of pasta at once, its processes included
end_of_command() {
	local out status
	in_time 500 "$WHO: the command ends, a process it left does not matter: ms" \
		in_ns -- sh -c 'tail -f /dev/null & exit 0'
	is $status 0 "$WHO: its status"
	wait_for -t 5 sh -c '! pgrep -x tail'
	ok $? "$WHO: and nothing is left"
}

# --- hosts that are not like the others ---------------------------------------

odd_routes() {
	local out
	ip nexthop add id 7 via $GW4 dev eth0
	ip route add 203.0.113.64/28 nhid 7
	ip route add 203.0.113.80/28 nexthop via $GW4 nexthop via 198.51.100.3
	ip route add 203.0.113.96/28 via 203.0.113.97 dev eth0 onlink
	ip addr add 203.0.113.200/32 dev eth0
	ip -6 nexthop add id 8 via $GW6 dev eth0
	ip -6 route add 2001:db8:64::/64 nhid 8
	ip -6 route add 2001:db8:80::/64 nexthop via $GW6 nexthop via 2001:db8:1::3
	out=$(in_ns -- ip route 2>&1)
	is $? 0 "$WHO: odd routes are no failure" || diag "$out"
	like "$out" "default via 198.51.100.2" "$WHO: the others are copied"
	ip route flush 203.0.113.64/26
	ip -6 route del 2001:db8:64::/64
	ip -6 route del 2001:db8:80::/64
	ip nexthop flush >/dev/null 2>&1
	ip addr del 203.0.113.200/32 dev eth0
	ip route flush root 203.0.113.0/24
}

# A cloud host: an address of /32, the gateway on the link all the same
host_with_32() {
	ip addr flush dev eth0 scope global
	ip addr add $HOST4/32 dev eth0
	ip route add $GW4 dev eth0
	ip route add default via $GW4 dev eth0 onlink
	t "$WHO: a host with a /32 and an on-link gateway" \
		in_ns -- ping -n -c1 -W5 $PEER4
	ip addr flush dev eth0 scope global
	ip addr add $HOST4/24 dev eth0
	ip addr add $HOST6/64 dev eth0 nodad
	ip route add default via $GW4
	ip -6 route add default via $GW6
}

no_network() {
	local out
	out=$(run_as "$WHO" unshare -Urn "$PASTA" --config-net "${ALONE[@]}" -- true 2>&1)
	is $? 0 "$WHO: without any network it starts" || diag "$out"
}

# --- who may ----------------------------------------------------------------------

container_caps=+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid
container_caps+=,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+setfcap

who_may() {
	t "user: as root of a user namespace" \
		as_user unshare -Ur "$PASTA" -q --config-net -- ping -n -c1 -W5 $PEER4
	[ -n "$NS_ROOT" ] || return
	t "root: as root of a PID and mount namespace" \
		unshare -mpf --mount-proc "$PASTA" -q --config-net -- \
		ping -n -c1 -W5 $PEER4
	t "root: without most capabilities, as in a container" \
		setpriv --bounding-set="-all,$container_caps" \
		"$PASTA" -q --config-net -- ping -n -c1 -W5 $PEER4
	chmod 600 /dev/net/tun
	t "root: /dev/net/tun of mode 0600" \
		"$PASTA" -q --config-net -- ping -n -c1 -W5 $PEER4
	t "root: the same with --runas" \
		"$PASTA" -q --config-net --runas 12345:12346 -- \
		ping -n -c1 -W5 $PEER4
	complains "user: /dev/net/tun of mode 0600" "/dev/net/tun" \
		user "$PASTA" -q --config-net -- true
	complains "user: the same as root of a user namespace" "/dev/net/tun" \
		user unshare -Ur "$PASTA" -q --config-net -- true
	rm /dev/net/tun
	complains "root: no /dev/net/tun" "/dev/net/tun" \
		root "$PASTA" -q --config-net -- true
	mknod -m 666 /dev/net/tun c 10 200
	chmod 666 /dev/net/tun
}

runas() {
	local pid
	WHO=root pasta_start --runas 12345:12346
	ok $? "root: --runas UID:GID" || return
	pid=$(pgrep -x 'pasta|passt' | head -1)
	is "$(awk '/^[UG]id:/ { printf "%s ", $2 }' "/proc/$pid/status")" \
		"12345 12346 " "root: --runas is who it runs as"
	pasta_stop
	WHO=root pasta_start
	pid=$(pgrep -x 'pasta|passt' | head -1)
	is "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" \
		"$(id -u nobody)" "root: otherwise it runs as nobody"
	pasta_stop
}

# --- what is wrong is said in one line -----------------------------------------

# complains NAME ERE user|root COMMAND...: exit 1, and one line that matches
complains() {
	local name=$1 ere=$2 who=$3 out rc
	shift 3
	out=$(run_as "$who" timeout 10 "$@" 2>&1 </dev/null)
	rc=$?
	if [ $rc = 1 ] && [ "$(wc -l <<<"$out")" = 1 ] && [[ $out =~ $ere ]]; then
		ok 0 "$name"
		diag "$out"
		return 0
	fi
	ok 1 "$name"
	diag "exit $rc, one line wanted with '$ere':
$out"
}

complaints() {
	local bad
	complains "$WHO: a PID that is gone" 4123456 \
		"$WHO" "$PASTA" -q --config-net 4123456
	complains "$WHO: user namespaces are disabled" 'user namespace' \
		"$WHO" unshare -Ur sh -c \
		"echo 0 > /proc/sys/user/max_user_namespaces
		exec setpriv --bounding-set=-all $PASTA -q --config-net -- true"
	for bad in "--mtu 70000:70000" "--mtu x:mtu" "-4 -6:-6|ipv6-only" \
		   "-a 198.51.100.300:198.51.100.300" "-n 33:33" \
		   "-M 1:2:3:mac-addr" "-i nosuch0:nosuch0" \
		   "-a 198.51.100.9/24 -n 24:prefix" "-t 70000:tcp-ports|-t" \
		   "--vhost-user:passt mode" "-P /nonexistent/x:/nonexistent/x" \
		   "--runas nosuchuser:nosuchuser" "-l /nonexistent/x:/nonexistent"
	do
		# shellcheck disable=SC2086 # options are words
		complains "$WHO: ${bad%:*}" "${bad##*:}" \
			"$WHO" "$PASTA" -q --config-net ${bad%:*} -- true
	done
	is "$(status_of run_as "$WHO" "$PASTA" --nosuch)" 1 "$WHO: no such option"
	like "$(head -1 "$T/out")" "unrecognized option '--nosuch'" \
		"$WHO: is named"
}

information() {
	is "$(status_of run_as "$WHO" "$PASTA" --version)" 0 "$WHO: --version"
	like "$(head -1 "$T/out")" '^pasta .' "$WHO: says pasta and its version"
	is "$(status_of run_as "$WHO" "$PASTA" --help)" 0 "$WHO: --help"
	like "$(cat "$T/out")" '--config-net' "$WHO: names the options"
	out=$(run_as "$WHO" timeout 20 "$PASTA" --config-net "${ALONE[@]}" -- true 2>&1)
	like "$out" 'Template interface: eth0' "$WHO: tells what it copies"
	out=$(in_ns -- true 2>&1)
	is "$out" "" "$WHO: -q is quiet"
}

# only_child PID: sets $child to the child of a process that has one
only_child() {
	child=$(cat "/proc/$1/task/$1/children")
	child=${child% }
	[ -n "$child" ]
}
runs() { grep -q "^State:.[^ZX]" "/proc/$1/status"; }
ended() { ! runs "$1"; }

# The daemon is killed before its child has asked to be told, which strace delays
early_death() {
	local tracer daemon init name="$WHO: pasta killed early takes its child along"
	if ! run_as "$WHO" strace -qq -o /dev/null true >/dev/null 2>&1; then
		skip "$name" "strace is not there, or can't attach"
		return
	fi
	exec_as "$WHO" strace -f -qq -o /dev/null -e trace=prctl,clone \
		-e inject=prctl:delay_enter=2000000:when=1 \
		-e inject=clone:delay_exit=1000000 \
		"$PASTA" -f -q --config-net -- sleep 100 2>/dev/null &
	tracer=$!
	wait_for only_child $tracer
	daemon=$child
	wait_for only_child "$daemon"
	init=$child
	kill -KILL "$daemon"
	wait_for ended "$daemon"
	t "$name" wait_for -t 10 ended "$init"
	kill -KILL "$init" 2>/dev/null
	wait $tracer
}

for WHO in $WHOM; do
	early_death
	command_status
	network
	identity
	kept
	netns_only
	terminal
	by_pid
	end_of_command
	information
	complaints
done
for WHO in $WHOM; do
	odd_routes
	host_with_32
	no_network
done
who_may
if [ -n "$NS_ROOT" ]; then many_ids; fi
if [ -n "$NS_ROOT" ]; then runas; fi
done_testing
