#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The systemd user units: systemd finds no fault with them, their command lines work by
# hand, and a user manager in a cgroup of its own starts and stops them with their
# restrictions.

top=$(cd "$(dirname "$0")/../.." && pwd)
units=$top/contrib/systemd
if ! command -v systemd-analyze >/dev/null && [ -z "${NS_INSIDE-}" ]; then
	echo "1..0 # SKIP needs: systemd"
	exit 0
fi
. "$top/test/lib/ns.sh"

RUN=$T/home/run CONFIG=$T/home/.config
mkdir -p "$RUN" "$CONFIG"/{systemd/user,passt,pasta}
chmod 700 "$RUN"
for f in passt pasta; do
	sed "s,/usr/bin/,$T/bin/," "$units/$f@.service" > "$CONFIG/systemd/user/$f@.service"
done
echo 'PASST_OPTIONS=--tcp-ports 18080 --mtu 1500' > "$CONFIG/passt/vm.conf"
[ -z "$NS_ROOT" ] || chown -R "$USER_ID:$USER_ID" "$RUN" "$CONFIG"

as_me() { as_user env XDG_RUNTIME_DIR="$RUN" XDG_CONFIG_HOME="$CONFIG" "$@"; }

# --- the files ------------------------------------------------------------------

for f in passt pasta; do
	unit=$CONFIG/systemd/user/$f@one.service
	cp "$CONFIG/systemd/user/$f@.service" "$unit"
	out=$(as_me systemd-analyze verify --user --man=no "$unit" 2>&1)
	is "$?$out" 0 "$f: systemd finds no fault"
	rm -f "$unit"
done

# --- by hand --------------------------------------------------------------------

# start_line UNIT INSTANCE: its ExecStart, with specifiers and variables replaced
start_line() {
	local file=$CONFIG/systemd/user/$1@.service conf=$CONFIG/$1/$2.conf line key value
	line=$(sed -n 's/^ExecStart=//p' "$file")
	while IFS='=' read -r key value; do
		line=${line//\$$key/$value}
	done < <(cat "$conf" 2>/dev/null; sed -n 's/^Environment=//p' "$file")
	line=$(sed 's/\$[A-Z_]*//g' <<<"$line")
	line=${line//%t/$RUN}
	line=${line//%E/$CONFIG}
	echo "${line//%i/$2}"
}

# by_hand UNIT INSTANCE: run the command of a unit
by_hand() {
	local line
	as_user mkdir -p "$RUN/$1"
	read -ra line < <(start_line "$1" "$2")
	run_as user "${line[@]}"
}

alive() { kill -0 "$(cat "$1")"; }

space() {
	exec_as user unshare -Urn sleep infinity &
	SPACE=$!
	wait_for space_is_new
}
space_is_new() {
	[ "$(readlink "/proc/$SPACE/ns/net")" != "$(readlink /proc/self/ns/net)" ] &&
		[ "$(cat "/proc/$SPACE/comm")" = sleep ]
}
has_address() { nsenter -t "$SPACE" -n ip -4 addr show | grep -q "inet $HOST4/"; }

t "passt: its command works by hand" by_hand passt vm
t "it runs" alive "$RUN/passt/vm.pid"
[ -S "$RUN/passt/vm.socket" ]
ok $? "its socket is where the unit says"
t "its options are used" listening tcp 18080
kill "$(cat "$RUN/passt/vm.pid")"
wait_for gone "$(cat "$RUN/passt/vm.pid")"

space
t "pasta: its command works by hand, with a PID as the instance" by_hand pasta "$SPACE"
[ -z "$NS_ROOT" ] || { has_address; ok $? "the namespace has its address"; }
pid=$(cat "$RUN/pasta/$SPACE.pid")
kill "$SPACE"
wait_for gone "$pid"
ok $? "pasta ends with the namespace"

# --- by a user manager ------------------------------------------------------------

# manager_start: a systemd of the user, in a cgroup of its own, which thinks that the
# system was booted with systemd
manager_start() {
	GROUP=/sys/fs/cgroup/passt-test-$(stat -Lc %i /proc/self/ns/mnt)
	mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/systemd/system &&
	mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup &&
	mount -t cgroup2 none /sys/fs/cgroup || return 1
	trap manager_end EXIT
	mkdir "$GROUP" && chown -R "$USER_ID:$USER_ID" "$GROUP" || return 1
	(
		echo "$BASHPID" > "$GROUP/cgroup.procs" &&
		exec_as user env XDG_RUNTIME_DIR="$RUN" XDG_CONFIG_HOME="$CONFIG" \
			"$systemd" --user --log-target=console
	) >"$T/manager.log" 2>&1 &
	MANAGER=$!
	wait_for -t 15 systemctl_me is-system-running
}

# manager_end: leave no cgroup behind
manager_end() {
	kill "$MANAGER" 2>/dev/null
	wait "$MANAGER" 2>/dev/null
	[ -d "$GROUP" ] || return 0
	echo 1 > "$GROUP/cgroup.kill" 2>/dev/null
	wait_for -t 10 group_removed
}
group_removed() {
	find "$GROUP" -depth -type d -exec rmdir {} +
	[ ! -d "$GROUP" ]
}

systemctl_me() { as_me systemctl --user "$@"; }

by_manager() {
	t "the manager starts passt" systemctl_me start passt@vm
	[ -S "$RUN/passt/vm.socket" ] && listening tcp 18080
	ok $? "passt is ready by then, with its options"
	is "$(systemctl_me show -P MainPID passt@vm)" "$(cat "$RUN/passt/vm.pid")" \
		"the manager knows the daemon"
	pid=$(cat "$RUN/passt/vm.pid")
	is "$(ls -A "/proc/$pid/root/")" "" "passt has its sandbox: an empty root"
	! [ "/proc/$pid/ns/user" -ef /proc/self/ns/user ]
	ok $? "and a user namespace of its own"
	kill -9 "$pid"
	wait_for another_pid "$pid"
	ok $? "a passt that was killed is started again"
	pid=$(cat "$RUN/passt/vm.pid")
	t "the manager stops passt" systemctl_me stop passt@vm
	wait_for gone "$pid"
	ok $? "no process is left"

	space
	t "the manager starts pasta for a PID" systemctl_me start "pasta@$SPACE"
	has_address
	ok $? "the namespace has its address by then"
	kill "$SPACE"
	wait_for is_state inactive "pasta@$SPACE"
	ok $? "the unit is inactive when the namespace has gone"

	space
	echo "PASTA_NAMESPACE=--netns=/proc/$SPACE/ns/net --userns=/proc/$SPACE/ns/user" \
		> "$CONFIG/pasta/web.conf"
	t "the manager starts pasta for a name" systemctl_me start pasta@web
	has_address
	ok $? "its file of options says which namespace that is"
	t "the manager stops pasta" systemctl_me stop pasta@web
	kill "$SPACE"
}
is_state() { [ "$(systemctl_me show -P ActiveState "$2")" = "$1" ]; }
another_pid() {
	local now
	now=$(cat "$RUN/passt/vm.pid")
	[ -n "$now" ] && [ "$now" != "$1" ] && is_state active passt@vm
}

systemd=/lib/systemd/systemd
if [ -z "$NS_ROOT" ] || [ ! -x $systemd ]; then
	skip "a user manager starts the units" "needs root, and systemd"
elif manager_start; then
	by_manager
	manager_end
	! [ -d "$GROUP" ]
	ok $? "no cgroup is left"
else
	diag "$(tail -3 "$T/manager.log")"
	manager_end
	skip "a user manager starts the units" "no cgroup, or no manager, can be had here"
fi
done_testing
