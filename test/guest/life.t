#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Guests that stand still, end and come back, and daemons that do

. "$(dirname "$0")/../lib/vm.sh"
vm_image
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"

S=$T/home/vm.socket
STILL=10		# seconds that the guest stands still

start() {
	run_as user "$T/bin/passt" -q -s "$S" -P "$T/home/pid" -l "$T/home/log" \
		-t 8080:80 "$@"
}
daemon() { cat "$T/home/pid"; }
configure='ip link set eth0 up
	udhcpc -i eth0 -q -n -t 5 -s /bin/guest-net -O mtu || exit 1'

t "passt starts" start
t "a guest boots" vm_start a "$S" || done_testing
t "and has an address" vm a "$configure"

# --- a server in the guest
vm a 'mkdir -p /tmp/www
	head -c 3000000 /dev/urandom > /tmp/www/file
	md5sum < /tmp/www/file > /tmp/www/sum
	httpd -p 80 -h /tmp/www'
fetch() {
	peer timeout 30 python3 -c 'import sys, urllib.request as u
sys.stdout.buffer.write(u.urlopen(sys.argv[1], timeout=20).read())' \
		"http://$HOST4:8080/$1"
}
want=$(fetch sum)
is "$(fetch file | md5sum)" "${want:-none}" \
	"a file of its HTTP server, through a forwarded port, is what it was"

# --- SIGSTOP in the middle of transfers, both ways, which pause to be seen
exec_peer timeout 120 tcpx listen $PEER4 7201 -r 12m -p 1m:5 >"$T/in" 2>&1 &
in=$!
exec_peer timeout 120 tcpx listen $PEER4 7202 -s 12m -r 0 >"$T/out" 2>&1 &
out=$!
wait_for listening tcp 7201 peer
wait_for listening tcp 7202 peer
vm a "(tcpx connect $PEER4 7201 -s 12m > /tmp/sent; echo \$? >> /tmp/sent) &
      (tcpx connect $PEER4 7202 -r 12m -p 1m:5 > /tmp/got; echo \$? >> /tmp/got) &" &
moving() {
	[ "$(peer ss -Hti "dport = :$1 or sport = :$1" |
		grep -oE "bytes_(received|acked):[0-9]+" | cut -d: -f2 |
		sort -n | tail -1)" -gt 100000 ]
}
t "data flows out" wait_for moving 7201
t "data flows in" wait_for moving 7202
kill -STOP "$(vm_pid a)"
sleep $STILL			# what is tested is the time
t "after $STILL s of silence the connections are there" \
	peer sh -c 'ss -Htn state established | grep -q :720'
kill -CONT "$(vm_pid a)"
wait $in
is "$?" 0 "what the guest sent arrives, all of it"
wait $out
is "$?" 0 "what it was sent does, too"
sent() { vm a 'wc -l < /tmp/sent; wc -l < /tmp/got' | grep -c 2; }
both_done() { [ "$(sent)" = 2 ]; }
t "both end in the guest" wait_for -t 30 both_done
is "$(vm a 'tail -n 1 /tmp/sent; tail -n 1 /tmp/got' | tr '\n' ' ')" "0 0 " \
	"where they are right as well"

# --- qemu is killed and started again
p=$(daemon)
kill -9 "$(vm_pid a)"
wait "$(vm_pid a)" 2>/dev/null
wait_for grep -q "Client connection closed" "$T/home/log"
t "the daemon outlives qemu" kill -0 "$p"
t "and keeps its port" listening tcp 8080
VM_MAC=52:54:00:12:34:99 t "another guest, on the same socket, boots" \
	vm_start b "$S"
t "and has an address" vm b "$configure"
like "$(vm b "ping -c 1 -W 5 $PEER4")" "1 packets received" "and reaches the world"
vm b 'mkdir -p /tmp/www; echo second > /tmp/www/name; httpd -p 80 -h /tmp/www'
is "$(fetch name)" second "its server is reached through the port"
vm_stop b

kill "$(daemon)"
wait_for gone "$p"
done_testing
