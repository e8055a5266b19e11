#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# IPv6 clients in a namespace that pasta has not configured: what they end up with
# is what the host has.
#
#	kernel			router advertisements alone
#	dhclient		DHCPv6, with a script of ours; the route by the kernel
#	dhcpcd			both families, by itself, with a hook that reports
#	systemd-networkd	by itself; its state is the report
#
# Nothing outside of the namespace is written to: the clients have their folders
# on a tmpfs of their own, and our script instead of those of the system.

. "$(dirname "$0")/../lib/ns.sh"

OUR_LL=fe80::9855:9aff:fe55:9a55	# of the default MAC address
DNS6=(2001:db8:2::53 2001:db8:2::54)
SEARCH=(example.org example.net)

# What the host's resolver is told, and with it the guest
printf 'nameserver %s\n' 203.0.113.53 "${DNS6[@]}" > "$T/resolv.conf"
echo "search ${SEARCH[*]}" >> "$T/resolv.conf"
mount --bind "$T/resolv.conf" "$(readlink -f /etc/resolv.conf)" ||
	skip_all "no /etc/resolv.conf that can be replaced"

# hook: what clients call.  Reports as lines of $OUT, and configures for dhclient
cat > "$T/bin/hook" <<'END'
#!/bin/sh
addr=${new_ip6_address-}
{
	echo "event=$reason"
	for v in "$addr" "${new_dhcp6_ia_na1_ia_addr1-}" "${new_ip_address-}"; do
		[ -z "$v" ] || echo "addr=$v"
	done
	if [ -n "${new_dhcp6_name_servers-}" ]; then
		echo "dns=$new_dhcp6_name_servers"
		echo "search=${new_dhcp6_domain_search-}"
	fi
	if [ -n "${nd1_rdnss1_servers-}" ]; then
		echo "rdnss=$nd1_rdnss1_servers"
		echo "dnssl=${nd1_dnssl1_search-}"
	fi
	if [ -n "${new_domain_name_servers-}" ]; then
		echo "dns4=$new_domain_name_servers"
		echo "search4=${new_domain_search-}"
	fi
	echo "end=$reason"
} >> "$OUT"
[ -n "$addr" ] && [ -n "${CONFIGURES-}" ] &&
	ip addr replace "$addr/${new_ip6_prefixlen:-128}" dev "$interface"
exit 0
END

# client FOLDER NAME: runs one, in the namespace; leaves what it does in the folder
cat > "$T/bin/client" <<'END'
#!/bin/bash
. "$T/bin/functions"
D=$1 OUT=$1/out
export OUT
mkdir -p "$D"
exec >"$D/report" 2>"$D/log" </dev/null
for d in /run /var/lib/dhcp /var/lib/dhcpcd; do
	[ ! -d $d ] || mount -t tmpfs tmpfs $d
done
printf 'root:x:0:0::/:/bin/sh\n' > "$D/passwd"
mount --bind "$D/passwd" /etc/passwd	# no account to change to
ip link set lo up

addrs() { ip -6 -o addr show dev eth0 -tentative "$@" | grep -q inet6; }
routed() { ip -6 route show default | grep -q via; }
happened() { grep -qE "^end=$1\$" "$OUT"; }

# What there is now, and whether it works
report() {
	echo "--- $1"
	[ ! -e "$OUT" ] || cat "$OUT"
	rm -f "$OUT"
	ip -o addr show dev eth0 scope global |
		sed -n 's/.*inet6\? \([^ ]*\) .*/kernel=\1/p'
	ip -6 -o addr show dev eth0 scope global |
		sed -n 's/.*valid_lft \([^ ]*\).*preferred_lft \(.*\)/lifetime=\1 \2/p'
	ip -6 route show default | sed 's/.*via \([^ ]*\) .*/default=\1/'
	ip -4 route show default | sed 's/.*via \([^ ]*\) .*/default4=\1/'
	echo "mtu=$(cat /proc/sys/net/ipv6/conf/eth0/mtu)"
	ping -n -c1 -W5 "$PEER6" >/dev/null && echo ping=yes
}

run_kernel() {
	local part
	for part in first again; do
		ip link set eth0 up
		wait_for addrs scope global && wait_for routed
		report $part
		ip link set eth0 down
	done
}

run_dhclient() {
	local conf=$D/dhclient.conf
	echo 0 > /proc/sys/net/ipv6/conf/eth0/autoconf
	ip link set eth0 up
	wait_for addrs scope link && wait_for routed
	echo 'also request dhcp6.name-servers, dhcp6.domain-search;' > "$conf"
	set -- dhclient -6 -v -1 -sf "$T/bin/hook" -cf "$conf" -lf "$D/leases" \
		-pf /run/dhclient.pid -e OUT="$OUT" -e CONFIGURES=y
	"$@" eth0 >&2
	wait_for addrs scope global
	report first
	kill "$(cat /run/dhclient.pid)"
	"$@" eth0 >&2			# remembers: CONFIRM
	report again
	"$@" -r eth0 >&2		# RELEASE
	"$@" eth0 >&2
	report anew
	kill "$(cat /run/dhclient.pid)"
}

run_dhcpcd() {
	cat > "$D/dhcpcd.conf" <<-CONF
		option domain_name_servers, domain_search
		option dhcp6_name_servers, dhcp6_domain_search
		slaac hwaddr
		env OUT=$OUT
		timeout 15
	CONF
	set -- dhcpcd -d -f "$D/dhcpcd.conf" -c "$T/bin/hook" eth0
	"$@" -B >&2 &
	wait_for happened '(BOUND|REBOOT)6' && wait_for happened BOUND &&
		wait_for happened ROUTERADVERT && wait_for routed
	report first
	"$@" -N >&2			# RENEW
	wait_for happened 'RE(NEW|BIND|BOOT)6' &&
		wait_for happened ROUTERADVERT
	report again
	kill $!
	wait $!
}

networkd_configured() { grep -q '^ADMIN_STATE=configured' /run/systemd/netif/links/*; }
# It is content with what the first of all protocols told
networkd_all() {
	ip addr show dev eth0 | grep -q "inet6 $HOST6/128" &&
		ip addr show dev eth0 | grep -q "inet $HOST4/" &&
		slaac && routed &&
		grep -q '^DNS=.' /run/systemd/netif/links/* &&
		grep -q '^DOMAINS=.' /run/systemd/netif/links/*
}
slaac() { ip -6 -o addr show dev eth0 -tentative scope global | grep -q '/64 '; }

run_networkd() {
	local part
	# It waits for udev unless this is read-only
	mount -t sysfs -o ro sysfs /sys
	mkdir -p /run/systemd/network /run/systemd/netif
	echo systemd-network:x:0:0::/:/bin/sh >> "$D/passwd"
	cat > /run/systemd/network/eth0.network <<-CONF
		[Match]
		Name=eth0
		[Network]
		DHCP=yes
		IPv6AcceptRA=yes
		[DHCPv4]
		UseDNS=no
		[IPv6AcceptRA]
		UseDomains=yes
		[DHCPv6]
		UseDomains=yes
	CONF
	for part in first again; do
		SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console \
			/lib/systemd/systemd-networkd >&2 &
		wait_for networkd_configured && wait_for networkd_all
		sed -n -e 's/^DNS=/dns=/p' -e 's/^DOMAINS=/search=/p' \
			/run/systemd/netif/links/* > "$OUT"
		report $part
		kill $!
		wait $!
		rm -f /run/systemd/netif/links/*
		ip addr flush dev eth0 scope global
	done
}

"run_$2"
END
{
	declare -f wait_for
	echo "T=$T PEER6=$PEER6 HOST4=$HOST4 HOST6=$HOST6; export T"
} > "$T/bin/functions"
chmod 755 "$T/bin/hook" "$T/bin/client"

# serve NAME: its report in $T/home/$WHO-NAME/report
serve() {
	exec_as "$WHO" timeout -k 1 100 "$PASTA" -f -q "${ALONE[@]}" --dhcp-dns \
		--dhcp-search -m 1400 -- \
		unshare -m "$T/bin/client" "$T/home/$WHO-$1" "$1"
}

# part TEXT NAME: the lines of one report
part() { sed -n "/^--- $2\$/,/^--- /{/^---/d;p}" <<<"$1"; }

# has TEXT LINE NAME
has() {
	grep -qxF -- "$2" <<<"$1"
	ok $? "$3" && return
	diag "no '$2' in
$1"
	return 1
}

# What all have: slaac=y, an address made of the prefix; host=y, that of the host
as_host() {
	local out=$1 what=$2
	[ -z "$slaac" ] ||
		like "$out" "kernel=2001:db8:1:0?:?[0-9a-f:]+:[0-9a-f:]+/64" \
			"$what: an address by SLAAC"
	[ -z "$host" ] || has "$out" "kernel=$HOST6/128" "$what: that of the host"
	is "$(grep ^lifetime= <<<"$out" | sort -u)" "lifetime=forever forever" \
		"$what: for ever"
	has "$out" "default=$OUR_LL" "$what: a default route"
	has "$out" "mtu=1400" "$what: MTU"
	has "$out" "ping=yes" "$what: packets leave"
}

# values TEXT KEY: the words after KEY=, names without the dot at their end
values() { sed -n "s/^$2=//p" <<<"$1" | tail -1 | sed 's/"//g; s/\. / /g; s/\.$//'; }

# names TEXT WHAT: the host's servers and search list
names() {
	is "$(values "$1" dns)" "${DNS6[*]}" "$2: name servers"
	is "$(values "$1" search)" "${SEARCH[*]}" "$2: search list"
}

in_order() { xargs -n1 | sort -u | xargs; }

check_kernel() { slaac=y host='' as_host "$@"; }

check_dhclient() {
	slaac='' host=y as_host "$@"
	names "$1" "$2"
}

check_dhcpcd() {
	slaac=y host=y as_host "$@"
	has "$1" "kernel=$HOST4/24" "$2: the host's IPv4 address"
	has "$1" "default4=$GW4" "$2: its default route"
	names "$1" "$2"
	is "$(values "$1" rdnss)" "$(values "$1" dns)" \
		"$2: the router advertises the same servers"
	is "$(values "$1" dnssl)" "$(values "$1" search)" \
		"$2: and the same search list"
}

check_networkd() {
	slaac=y host=y as_host "$@"
	has "$1" "kernel=$HOST4/24" "$2: the host's IPv4 address"
	# What comes from routers it keeps in a hash, so in any order, and lists it
	# beside the same from DHCPv6, as soon as that is there, too
	is "$(values "$1" dns | in_order)" "$(in_order <<<"${DNS6[*]}")" \
		"$2: name servers"
	is "$(values "$1" search | in_order)" "$(in_order <<<"${SEARCH[*]}")" \
		"$2: search list"
}

# reported NAME PART...: what a client wrote
reported() {
	local name=$1 dir=$T/home/$WHO-$1 part bad=$tap_bad
	shift
	for part; do
		"check_$name" "$(part "$(cat "$dir/report")" "$part")" \
			"$WHO, $name, $part"
	done
	[ "$bad" = "$tap_bad" ] || diag "$(tail -20 "$dir/log")"
}

clients=(kernel)
for name in dhclient dhcpcd; do
	if command -v $name >/dev/null; then
		clients+=("$name")
	else
		skip "$name" "not installed"
	fi
done
if [ -x /lib/systemd/systemd-networkd ]; then
	clients+=(networkd)
else
	skip systemd-networkd "not installed"
fi

# All at the same time: they wait most of it, for others that have the address
pids=()
for WHO in $WHOM; do
	for name in "${clients[@]}"; do
		serve "$name" &
		pids+=($!)
	done
done
wait "${pids[@]}"

for WHO in $WHOM; do
	for name in "${clients[@]}"; do
		case $name in
		dhclient) reported "$name" first again anew;;
		*)	reported "$name" first again;;
		esac
	done
done
done_testing
