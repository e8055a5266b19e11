#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command line: what is wrong with it is said in one line that names the
# option and what would be right, whatever it is; what the options about link and
# addresses do to the namespace; what is said at start about the others; and that
# help and manual know the same options.

. "$(dirname "$0")/../lib/ns.sh"

# Words of a command line, a colon, what the complaint has to match
wrong() {
	cat <<-'END'
		--mtu= : --mtu: expected .*68 to 65521
		--mtu x : 'x' for --mtu
		--mtu -1 : '-1' for --mtu
		--mtu 67 : '67' for --mtu
		--mtu 65522 : '65522' for --mtu
		--mtu 0x500 : '0x500' for --mtu
		--mtu +1500 : '\+1500' for --mtu
		--mtu 99999999999999999999 : 99' for --mtu
		-m 1000 -6 : '1000' for --mtu: expected 1280
		-a 198.51.100.300 : --address: expected a unicast address
		-a 127.0.0.1 : '127.0.0.1' for --address
		-a 0.0.0.0 : '0.0.0.0' for --address
		-a 255.255.255.255 : --address: expected
		-a 224.0.0.1 : --address: expected
		-a ::1 : '::1' for --address
		-a :: : '::' for --address
		-a ff02::1 : --address: expected
		-a fe80::1 : --address: expected
		-a ::ffff:198.51.100.7 : --address: expected
		-a 198.51.100.7/33 : '198.51.100.7/33' for --address
		-a 198.51.100.7/0 : --address: expected
		-a 198.51.100.7/ : --address: expected
		-a 2001:db8::1/129 : --address: expected
		-a example.org : 'example.org' for --address
		-a 198.51.100.7 -a 198.51.100.8 : --address is given twice for IPv4
		-a 2001:db8::7 -a 2001:db8::8 : --address is given twice for IPv6
		-n 24 -a 198.51.100.9/24 : Redundant prefix length specification
		-n 0 : '0' for --netmask: expected 1 to 32
		-n 33 : '33' for --netmask
		-n 255.0.255.0 : '255.0.255.0' for --netmask
		-g x : 'x' for --gateway
		-g 127.0.0.1 : '127.0.0.1' for --gateway
		-g ff02::1 : --gateway: expected
		-g 198.51.100.2 -g 198.51.100.3 : --gateway is given twice
		-M 1:2:3 : '1:2:3' for --mac-addr
		-M 00:00:00:00:00:00 : --mac-addr: expected a unicast
		-M 01:00:5e:00:00:01 : --mac-addr: expected a unicast
		--ns-mac-addr x : 'x' for --ns-mac-addr
		--ns-mac-addr 9a:55:9a:55:9a:55 : must differ
		-I lo : 'lo' for --ns-ifname
		-I abcdefghijklmnop : --ns-ifname: expected .*15
		-I a/b : 'a/b' for --ns-ifname
		-I eth%d : 'eth%d' for --ns-ifname
		-i nosuch0 : nosuch0 does not exist
		-i lo : lo has no address
		--outbound-if4 nosuch0 : Outbound interface .*nosuch0 does not exist
		-i abcdefghijklmnop : --interface: expected
		-4 -6 : --ipv4-only and --ipv6-only exclude
		--log-size 40959 : '40959' for --log-size: expected .*40960
		--log-size 1M : '1M' for --log-size
		-l /nonexistent/x : log file '/nonexistent/x': No such file
		-l / : log file '/': Is a directory
		-P /nonexistent/x : PID file '/nonexistent/x': No such file
		-p /nonexistent/x : capture file '/nonexistent/x': No such file
		--runas nosuchuser : no user 'nosuchuser'
		--runas nobody:nosuchgroup : no group 'nosuchgroup'
		--runas : : ':' for --runas: expected
		--runas 1: : '1:' for --runas: expected
		--tcp-ports= : no ports: expected a list of them, 'all', 'auto' or 'none'
		-t 0 : '0' for --tcp-ports: '0' is no port: expected 1 to 65535
		-t 65536 : '65536' is no port
		-t 90-80 : '90-80' is a range that ends before it starts
		-t 80-90:80-91 : has two ranges of different lengths
		-t 80, : '80,' for --tcp-ports: an item of the list is empty
		-t 80,x,81 : 'x' is no port
		-t 8080:192.0.2.5/80 : '8080:192.0.2.5' needs an address to bind before it
		-t [::]/8080:192.0.2.5/80 : '192.0.2.5' is of another family
		-t 0.0.0.0/80:127.0.0.1/80 --no-splice : a target on loopback can't be reached
		-t 0.0.0.0/80:192.0.2.5 -t 192.0.2.1/80 : leads to 80, conflicts with '0.0.0.0/80:192.0.2.5', where it leads to 192.0.2.5/80
		-t all -T 80 : leads back to the namespace by --tcp-ports all
		-t 127.0.0.1:80 : an address or interface is followed by '/' and ports
		-t 127.0.0.300/80 : '127.0.0.300' is no address
		-t [::1/80 : '\[::1' has one bracket without the other
		-t %/80 : the name of an interface is missing after '%'
		-t %nosuch0/80 : there is no interface 'nosuch0'
		-t 80 -t 80:81 : port 80 leads to 81, conflicts with '80'
		-4 -t [::1]/80 : '\[::1\]/80' for --tcp-ports: an IPv6 address, and there is no IPv6
		-6 -u 127.0.0.1/80 : '127.0.0.1/80' for --udp-ports: an IPv4 address
		-u 53-x : '53-x' for --udp-ports: 'x' is no port
		-T 127.0.0.1/80 : '127.0.0.1' is too much: expected ports alone
		-T x : 'x' for --tcp-ns: 'x' is no port
		-U ~53:54 : '~53:54' for --udp-ns: '~53:54' excludes ports
		-U 53 --no-splice : '53' for --udp-ns: not with --no-splice
		--map-host-loopback x : --map-host-loopback: expected .*'none'
		--map-host-loopback ::1 : '::1' for --map-host-loopback
		--fd 99 : '99' for --fd: expected .*open
		--fd x : 'x' for --fd: expected
		--no : ambiguous; possibilities: '--no-tcp'
		--config-net=1 : '--config-net' doesn't allow an argument
		--socket /tmp/x : --socket is for passt mode only
		-1 : --one-off is for passt mode only
		--vhost-user : --vhost-user is for passt mode only
		--stats 0 : '0' for --stats: expected 1 to 86400 seconds
		--stats x : 'x' for --stats: expected
		-D x : 'x' for --dns: expected the address of a name server, or 'none'
		-D 198.51.100.1,198.51.100.2 : --dns: expected
		-S a..b : domain 'a..b' in --search: expected
		-H a/b : 'a/b' for --hostname
		--fqdn . : '.' for --fqdn: expected a host name
		-o x : 'x' for --outbound: expected a unicast address
		-o 224.0.0.1 : '224.0.0.1' for --outbound
		--outbound-if4 a/b : 'a/b' for --outbound-if4: expected the name
		--outbound-if6 abcdefghijklmnop : --outbound-if6: expected the name
		--dns-forward x : 'x' for --dns-forward: expected .*'none'
		--dns-forward 127.0.0.1 : '127.0.0.1' for --dns-forward
		--dns-host x : 'x' for --dns-host: expected the address
		--map-guest-addr x : 'x' for --map-guest-addr: expected .*'none'
		--freebind=1 : '--freebind' doesn't allow an argument
		--netns= : '' for --netns: expected a path, or a name in /run/netns
		--netns /x : --netns comes without PID and COMMAND, but 'true' is given
		--userns /x : --userns needs --netns or PID
		--host-lo-to-ns-lo --no-splice : --host-lo-to-ns-lo and --no-splice exclude
		--splice-only --no-splice : --splice-only and --no-splice exclude
		--no-dhcp-dns : --no-dhcp-dns is for passt mode only
		--no-dhcp-search : --no-dhcp-search is for passt mode only
	END
}

# refused PATTERN COMMAND...: status 1 and one line; on failure what was wrong
refused() {
	local pattern=$1 out rc
	shift
	out=$(run_as user timeout 5 "$@" 2>&1 </dev/null)
	rc=$?
	[ $rc = 1 ] && [ "$(wc -l <<<"$out")" = 1 ] && [[ $out =~ $pattern ]] &&
		return 0
	diag "exit $rc of: $*, one line wanted with '$pattern':
$out"
	return 1
}

wrong_lines() {
	local words pattern n=0 bad=0 config
	while IFS= read -r line <&7; do
		words=${line% : *} pattern=${line##* : }
		config=--config-net
		case $words in --fd*) config=;; esac
		n=$((n + 1))
		# shellcheck disable=SC2086 # options are words
		refused "$pattern" "$PASTA" $config $words -- true ||
			bad=$((bad + 1))
	done 7< <(wrong)
	is "$bad" 0 "$n wrong command lines: each is status 1 and one line with the reason"
	[ "$n" -ge 60 ]
	ok $? "they are at least 60"
}

wrong_words() {
	local n bad=0 words
	for n in 0 4194305 99999999999; do
		refused "Invalid PID '$n': expected 1 to 4194304" \
			"$PASTA" -q --config-net $n || bad=1
	done
	is $bad 0 "impossible PIDs"
	refused "--mtu' requires an argument" "$PASTA" --mtu
	ok $? "a value that is missing"
	refused "requires an argument -- 'm'" "$PASTA" -m
	ok $? "the same of a short option"
	refused "Extra non-option argument: x" "$T/bin/passt" x
	ok $? "passt: no argument"
	refused "^[^ ]*passt: --fd and --socket exclude|--fd: expected" \
		"$T/bin/passt" -s x --fd 0
	ok $? "passt: one way to the guest"
	for words in --dhcp-dns --dhcp-search "--netns x" "--userns x" \
		     --splice-only "-T 80" "-U none" --host-lo-to-ns-lo \
		     "-t auto"; do
		# shellcheck disable=SC2086 # options are words
		refused "for pasta mode only" "$T/bin/passt" $words || bad=1
	done
	is $bad 0 "passt: options of pasta"
	refused "--repair-path needs --vhost-user" "$T/bin/passt" --repair-path x
	ok $? "passt: a path for passt-repair is for vhost-user"
	refused "more than 2048 rules for ports" "$PASTA" \
		-t "$(seq -s, 1 2 4999)" -- true
	ok $? "too many ports in a list"
	refused "^.{,200}77\.\.\.' is no port" "$PASTA" \
		-t "$(printf '7%.0s' {1..10000})" -- true
	ok $? "10 kB of digits as port, a short line"
	refused "config-net is for pasta mode only" "$T/bin/passt" --config-net
	ok $? "passt: no --config-net"
	ln -sf passt "$T/bin/other"
	refused "'passt' or 'pasta'" "$T/bin/other"
	ok $? "another name of the program"
	out=$(as_user "$PASTA" -Z 2>&1)
	is $? 1 "no such letter"
	like "$out" "invalid option -- 'Z'.*Usage:" "is named, with the usage"
}

# has OPTIONS ERE NAME: what the namespace looks like
has() {
	# shellcheck disable=SC2086
	like "$(in_ns $1 -- sh -c 'ip -o addr; ip route; ip -6 route; ip link' \
		2>&1)" "$2" "$3"
}

hasnt() {
	local out
	# shellcheck disable=SC2086
	out=$(in_ns $1 -- sh -c 'ip -o addr; ip route; ip -6 route; ip link' 2>&1)
	if [[ $out =~ $2 ]]; then ok 1 "$3"; diag "$out"; else ok 0 "$3"; fi
}

link() {
	has "-a 2001:db8:77::5 -g 2001:db8:77::1" \
		"$HOST4/24.*2001:db8:77::5/64.*default via 2001:db8:77::1" \
		"-a and -g for IPv6 leave IPv4 as it is"
	has "-a 203.0.113.50/28 -a 2001:db8:77::5" \
		"203.0.113.50/28.*2001:db8:77::5/64" "-a for each family"
	has "-a 203.0.113.50" "203.0.113.50/24.*$HOST6/64" \
		"-a for IPv4 does not disable IPv6"
	has "-a 203.0.113.50 -n 255.255.255.240" "203.0.113.50/28" "-n, dotted"
	has "-a 203.0.113.50/32 -g 203.0.113.1" "default via 203.0.113.1 .*onlink" \
		"a gateway that is in no network"
	has "-g fe80::1" "default via fe80::1" "a link-local gateway"
	has "-g 198.51.100.77" "default via 198.51.100.77" "-g alone"
	hasnt "-6" "$HOST4" "-6 copies no IPv4 address"
	has "-6" "$HOST6/64.*default via $GW6" "-6 copies IPv6"
	has "-m 1280" "mtu 1280" "-m 1280"
	has "-m 65521" "mtu 65521" "-m 65521"
	has "-m 0" "eth0: .*mtu 1500" "-m 0 leaves the MTU of the kernel"
	has "-m 1279 -a 2001:db8:77::5" "too small for IPv6.*$HOST4" \
		"even if an IPv6 address is given"
	has "-m 1279" "too small for IPv6.*mtu 1279" "-m below 1280 warns"
	hasnt "-m 1279" "2001:db8" "and there is no IPv6"
	has "-i eth0" "$HOST4/24.*$HOST6/64" "-i names the interface to copy"
	has "-I longname1234567" "longname1234567 +inet $HOST4" "-I of 15 letters"
	has "-6 -a 203.0.113.1" "given in vain" "an address in vain is a warning"
	has "-m 1500 -m 1400" "mtu 1400" "of two values the last one counts"
	ip route add 203.0.113.160/28 via $GW4
	ip addr add 198.51.100.9/24 dev eth0
	has "" "198.51.100.9/24.*203.0.113.160/28 via" "all routes and addresses"
	hasnt --no-copy-routes 203.0.113.160 "--no-copy-routes: no others"
	has --no-copy-routes "default via $GW4" "but the default route"
	hasnt --no-copy-addrs 198.51.100.9/24 "--no-copy-addrs: no others"
	ip route del 203.0.113.160/28
	ip addr del 198.51.100.9/24 dev eth0
	like "$(in_ns -M 02:00:00:00:00:77 -- sh -c "ping -nqc1 -W5 $PEER4
		ip neigh show $GW4")" "lladdr 02:00:00:00:00:77" "-M is our address"
	like "$(as_user "$PASTA" -q -- ip -o link show eth0)" "state DOWN" \
		"without --config-net the interface is down"
}

# An address that is unusual for a host is one all the same
edge_addresses() {
	local address server
	exec_peer socat -u TCP-LISTEN:7000,fork,reuseaddr OPEN:/dev/null &
	server=$!
	wait_for listening tcp 7000 peer
	for address in 10.0.2.0 10.0.2.255; do
		like "$(as_user timeout 5 "$PASTA" --config-net -q "${ALONE[@]}" \
			-a $address -n 24 -- ip -o addr 2>&1)" \
			"^--address $address is the [^$lf]*$lf.*$address/24" \
			"-a $address -n 24: one warning, and it is there"
		pasta_start -a $address -n 24 -g 10.0.2.2 -t 28080:80 2>/dev/null
		t "-a $address: it reaches others" \
			inside tcpx connect $PEER4 7000 -s 1
		inside timeout 20 socat -u TCP-LISTEN:80 - >"$T/got" &
		wait_for listening tcp 80 inside
		printf hello | peer socat -u - TCP:$HOST4:28080
		t "-a $address: others reach it" wait_for -t 5 grep -q hello "$T/got"
		pasta_stop
	done
	kill $server
	wait $server 2>/dev/null
}

protocols() {
	local o servers
	exec_peer udpx echo $PEER4 7000 >/dev/null &
	servers=$!
	wait_for listening udp 7000 peer
	exec_peer socat -u TCP-LISTEN:7000,fork OPEN:/dev/null &
	servers+=" $!"
	wait_for listening tcp 7000 peer
	for o in --no-tcp --no-udp --no-icmp; do
		is "$(in_ns $o -- sh -c "
			t() { [ \$1 = ${o#--no-} ] && echo 0.7 || echo 10; }
			timeout \$(t tcp) tcpx connect $PEER4 7000 -s 1 >/dev/null &&
				echo tcp
			timeout \$(t udp) udpx ask $PEER4 7000 -s 1 >/dev/null && echo udp
			ping -nqc1 -W\$(t icmp) $PEER4 >/dev/null && echo icmp" |
			xargs)" "$(echo tcp udp icmp | sed "s/${o#--no-}//" |
			xargs)" "$o: the others alone"
	done
	# shellcheck disable=SC2086 # PIDs are words
	kill $servers
}

# tells OPTIONS ERE NAME: what is said at start about the options
tells() {
	# shellcheck disable=SC2086
	like "$(as_user timeout 5 "$PASTA" --config-net $1 -- true 2>&1; echo)
" "$2" "$3"
}

# Options without effect beside another one: one warning, with status 0
pointless() {
	local words out
	while IFS= read -r words <&7; do
		# shellcheck disable=SC2086 # options are words
		out=$(as_user timeout 5 "$PASTA" -q "${ALONE[@]}" \
			${words% : *} -- true 2>&1 | grep -v '^[0-9.]*: ')
		is "${PIPESTATUS[0]} $out" "0 ${words#* : }" "${words% : *}"
	done 7<<-'END'
		--no-copy-addrs : --no-copy-addrs has no effect without --config-net
		--no-copy-routes : --no-copy-routes has no effect without --config-net
	END
	out=$(as_user timeout 5 "$PASTA" -q -d "${ALONE[@]}" -- true 2>&1)
	like "$out" "--quiet has no effect with --debug$lf.*MAC:" "-q -d"
}

start_messages() {
	local none="-t none -u none -T none -U none" lf=$'\n'
	tells "$none" "Template interface: eth0 \(IPv4\), eth0 \(IPv6\)" \
		"which interface is the template"
	tells "$none --outbound-if4 eth0" "Outbound interface: eth0 \(IPv4\)" \
		"--outbound-if4"
	tells "$none --outbound-if6 eth0" "Outbound interface: eth0 \(IPv6\)" \
		"--outbound-if6"
	tells "$none -o $HOST4 -o $HOST6" \
		"Outbound address: $HOST4$lf.*Outbound address: $HOST6$lf" "-o"
	tells "$none" "DHCP:$lf.*    assign: $HOST4$lf" "DHCP is on"
	tells "$none --no-dhcp" "IPv4:$lf.*    assign: $HOST4$lf" "--no-dhcp"
	tells "$none" "DHCPv6:$lf.*    assign: $HOST6$lf" "DHCPv6 is on"
	tells "$none --no-dhcpv6" "IPv6:$lf.*    assign: $HOST6$lf" \
		"--no-dhcpv6, no routers with --config-net"
	tells "$none --dhcp-dns -D 198.51.100.53 -D none -D 198.51.100.54" \
		"DNS:$lf    198.51.100.54$lf" "--dhcp-dns and -D"
	tells "$none --dhcp-search -S none -S a.example" \
		"DNS search list:$lf    a.example$lf" "--dhcp-search and -S"
	tells "-u none -T none -U none -t 127.0.0.1%lo/28080-28082:80-82,~28081" \
		"Inbound TCP forwarding:$lf    \[127.0.0.1\]%lo:28080  =>  80$lf    \[127.0.0.1\]%lo:28082  =>  82$lf" \
		"-t with all of it"
	tells "-u none -T none -U none -t [::]/28080 -t 0.0.0.0/28080 -t */28081" \
		"Inbound TCP forwarding:$lf    \[::\]:28080  =>  28080$lf    \[0.0.0.0\]:28080  =>  28080$lf    \[\*\]:28081  =>  28081$lf" \
		"-t with all addresses of a family"
	tells "-t none -T none -U none -u 28053:53" \
		"Inbound UDP forwarding:$lf    \[\*\]:28053  =>  53$lf" "-u"
	tells "-t none -u none -U none -T none -T 28080" \
		"Outbound TCP forwarding:$lf    \[\*\]:28080  =>  28080$lf" \
		"-T after -T none"
	tells "-t none -u none -T none -U auto,~53" \
		"Outbound UDP forwarding:$lf    \[\*\]:1-52  =>  1-52 \(best effort\) \(auto-scan\)$lf    \[\*\]:54-65535" \
		"-U auto with an exclusion"
	is "$(as_user timeout 5 "$PASTA" --config-net -q -- true 2>&1)" "" \
		"-q says nothing"
}

# Callers read which options there are before they use them
probes() {
	like "$("$PASTA" --help)" --splice-only "--help names --splice-only"
	t "--host-lo-to-ns-lo is known" "$PASTA" --host-lo-to-ns-lo --version
	t "--map-guest-addr is known" "$PASTA" --map-guest-addr none --version
}

documents() {
	local page=$NS_TOP/passt.1 help name missing='' n=0
	help=$("$PASTA" --help)
	for name in $(grep -oE -- '--[a-z0-9-]+' <<<"$help" | sort -u); do
		n=$((n + 1))
		grep -qE -- "-${name#--}( |\$)" "$page" || missing+=" $name"
	done
	is "$missing" "" "the manual has all options of --help"
	[ $n -gt 60 ]
	ok $? "they are $n"
	is "$(awk 'length > 80' <<<"$help")" "" "--help: lines of 80 columns"
	like "$("$T/bin/passt" --version | head -1)" '^passt .' \
		"passt says passt and its version"
	t "--version with other options before it" \
		"$PASTA" --config-net --mtu=65520 --version
}

WHO=user lf=$'\n'
wrong_lines
wrong_words
link
edge_addresses
protocols
pointless
start_messages
probes
documents
done_testing
