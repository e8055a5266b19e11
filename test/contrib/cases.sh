#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Use passt, pasta, passt-repair and qrap in every way that touches files or takes a capability.
# apparmor.t and selinux.t compare what the programs do here with the profiles.
#
# usage: cases.sh user|root		prints TAP lines without a plan
#
# The programs are in $PATH.  With $CASE_TRACE, that is a folder, each program runs
# under strace and leaves a file there.  HOME is $CASE_HOME, a folder of the user.
# Plain sh, since it runs under busybox in a virtual machine, too.

who=$1
n=${CASE_FIRST:-0}
work=$CASE_HOME/$who
mkdir -p "$work"
cd "$work" || exit 1
if [ "$who" = user ]; then
	chown "$CASE_UID:$CASE_UID" "$work"
	as="setpriv --reuid $CASE_UID --regid $CASE_UID --clear-groups env HOME=$work"
else
	as="env HOME=$work"
fi

# report STATUS NAME
report() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $who: $2"; return 0; fi
	echo "not ok $n - $who: $2"
	sed 's/^/# /' "$work/out" | tail -15
}

# until_true COMMAND...: wait up to 20 s
until_true() {
	i=0
	until "$@" >/dev/null 2>&1; do
		i=$((i + 1))
		[ $i -lt 200 ] || return 1
		sleep 0.1
	done
}

# start PROGRAM ARGS...: as the user, traced if that is wanted; output to $work/out
start() {
	traced=
	if [ -n "${CASE_TRACE-}" ]; then
		traces=$((${traces:-0} + 1))
		traced="strace -D -f -qq -y -s 256 --decode-pids=pidns -o $CASE_TRACE/$who.$traces"
	fi
	# shellcheck disable=SC2086 # words
	timeout -s KILL 40 $traced $as "$@" >"$work/out" 2>&1 </dev/null
}

# ended PIDFILE: end that daemon
ended() {
	pid=$(cat "$1") || return 1
	kill "$pid"
	until_true gone "$pid"
	rm -f "$1"
}

gone() { ! kill -0 "$1" 2>/dev/null; }
no_strace() { ! pgrep -x strace; }

# space: a process with namespaces of its own, whose PID is in $space
space() {
	rm -f "$work/space"
	# shellcheck disable=SC2016,SC2086
	$as unshare "$@" sh -c 'echo $$ > '"$work/space"'; exec sleep 60' &
	until_true test -s "$work/space"
	space=$(cat "$work/space")
}

# --- pasta ----------------------------------------------------------------------

# Under a tracer, a stop is not reported to pasta
stop='kill -TSTP $$;'
[ -z "${CASE_TRACE-}" ] || stop=
start pasta --config-net -H inner -- sh -c "cat /proc/net/dev; $stop echo done"
grep -q "done" "$work/out"
report $? "pasta with a command, auto forwarding, a command that stops itself"

start pasta --splice-only -t none -u none -- sh -c 'exit 7'
[ $? = 7 ]
report $? "pasta --splice-only passes the status on"

space -Urn
start pasta --config-net -P "$work/pid" -l "$work/log" --pcap "$work/pcap" \
	-t 18080 -u 18080 -T 19090 -U 19090 --dns-forward 192.0.2.53 -c "$work/control" \
	"$space"
report $? "pasta in the namespace of a process, with log, PID file, capture, control socket"
sed -e s/53/54/ -e t -e s/54/53/ /etc/resolv.conf > /etc/resolv.new &&
	mv /etc/resolv.new /etc/resolv.conf
until_true grep "/etc/resolv.conf changed" "$work/log"
report $? "it notes in the log that the name servers have changed"
ended "$work/pid" && [ -s "$work/pcap" ]
report $? "the capture is written, and it ends"

start pasta --config-net -t none -u none -P "$work/pid" \
	--netns "/proc/$space/ns/net" --userns "/proc/$space/ns/user" &&
	ended "$work/pid"
report $? "pasta with the paths of namespaces"
kill "$space"

space -Urn
start pasta --config-net -f -t none -u none -T none -U none -P "$work/pid" "$space" &
until_true test -s "$work/pid"
kill "$space"
wait $!
report $? "pasta ends with the process"
rm -f "$work/pid"

start unshare -Ur sh -c 'echo 0 > /proc/sys/user/max_user_namespaces
	exec pasta --config-net -- true'
case $(cat "$work/out") in
*"max_user_namespaces is 0"*|*"Template interface"*) true;;
*) false;;
esac
report $? "pasta explains why it gets no user namespace"

if [ "$who" = root ]; then
	start pasta --netns-only --config-net -- true
	report $? "pasta --netns-only"
	mkdir -p /run/netns
	touch /run/netns/case
	unshare --net=/run/netns/case true
	start pasta --config-net -P "$work/pid" -t 80 --runas nobody --netns case
	report $? "pasta in a named namespace, a low port, another user"
	umount /run/netns/case
	rm -f /run/netns/case
	until_true gone "$(cat "$work/pid")"
	report $? "it ends with the name"
	rm -f "$work/pid"
fi

# --- passt and qrap ---------------------------------------------------------------

start passt -P "$work/pid"
report $? "passt with a default socket"
start qrap 5 sh -c 'test -S /proc/self/fd/5'
report $? "qrap starts a command"
printf '#!/bin/sh\ntest -S /proc/self/fd/5 && echo "$@"\n' > "$work/fake"
chmod 755 "$work/fake"
cp "$work/fake" "$CASE_BIN/qemu-system-$(uname -m)"
# passt takes the next client as soon as it knows that the last one has gone
qrap_qemu() { start qrap -m 64; grep netdev=passt "$work/out"; }
until_true qrap_qemu
report $? "qrap finds qemu"
ended "$work/pid"

start passt -s "$work/sock" -P "$work/pid" -l "$work/log2" --pcap "$work/pcap2" \
	-t 18081 -u 18081 -c "$work/control"
report $? "passt with a given socket, log, PID file, capture and control socket"
server=$(cat "$work/pid")
rm -f "$work/pid"
start env QRAP_SOCKET="$work/sock" qrap 5 passt -f --fd 5 -1 -P "$work/pid" &
until_true test -s "$work/pid"
kill -9 "$server"
wait $!
report $? "passt on a descriptor ends with its client"
rm -f "$work/pid"
start passt -s "$work/sock" -P "$work/pid" && ended "$work/pid"
report $? "passt replaces a stale socket"

if [ "$who" = root ]; then
	start passt -s "$work/sock2" -t 81 --runas nobody -P "$work/pid" &&
		ended "$work/pid"
	report $? "passt as another user, with a low port"
fi

# sealed NAME: is there a process of that name with a filter of system calls?
sealed() {
	for process in /proc/[0-9]*; do
		grep -qx "$1" "$process/comm" && grep -q 'Seccomp:.*2' "$process/status" &&
			return 0
	done 2>/dev/null
	return 1
}
if [ "$who" = root ]; then
	start passt --vhost-user -s "$work/sock3" -P "$work/pid"
	report $? "passt with a socket for passt-repair"
	start passt-repair "$work/sock3.repair" &
	until_true sealed passt-repair
	report $? "passt-repair connects"
	ended "$work/pid"
	wait $!
	report $? "passt-repair ends with passt"
fi

[ -z "${CASE_TRACE-}" ] || until_true no_strace
report $? "all programs have ended"
echo "# cases: $n"
