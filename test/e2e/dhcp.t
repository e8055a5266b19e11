#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# DHCP clients in a namespace that pasta has not configured: what they configure
# is what the host has, they renew it, and give up an address that is not theirs.
#
#	udhcpc, dhclient	with a script of ours, that configures and reports
#	dhcpcd			configures by itself, with a hook that reports
#	systemd-networkd	configures by itself, its lease is the report
#
# Nothing outside of the namespace is written to: the clients have their folders
# on a tmpfs of their own, and our scripts instead of those of the system.

. "$(dirname "$0")/../lib/ns.sh"

SERVED=(-D 203.0.113.53 -D 203.0.113.54 -S "example.org example.net" -H box
	--dhcp-dns --dhcp-search)

# hook: what clients call.  Reports as lines of $OUT, and, for those that leave that
# to a script, configures
cat > "$T/bin/hook" <<'END'
#!/bin/sh
case ${reason-} in
"")	event=$1
	addr=${ip-} len=${mask-} routers=${router-} dns=${dns-} search=${search-}
	name=${hostname-} mtu=${mtu-} static=${staticroutes-};;
*)	event=$reason
	addr=${new_ip_address-} len=${new_subnet_cidr-} routers=${new_routers-}
	dns=${new_domain_name_servers-} search=${new_domain_search-}
	name=${new_host_name-} mtu=${new_interface_mtu-}
	static=${new_classless_static_routes-}
	domain=${new_domain_name-};;
esac
dev=${interface-}

configure() {
	ip addr flush dev "$dev"
	ip addr add "$addr/${len:-${new_subnet_mask-}}" dev "$dev"
	[ -z "$mtu" ] || ip link set "$dev" mtu "$mtu"
	for r in $routers; do
		ip route replace "$r" dev "$dev"
		ip route replace default via "$r"
	done
}

[ -n "${CONFIGURES-}" ] && case $event in
bound|BOUND|REBOOT)
	configure;;
PREINIT)
	ip link set "$dev" up;;
esac
{
	echo "event=$event"
	[ -z "$addr" ] || cat <<-REPORT
		addr=$addr
		dns=$dns
		search=$search
		domain=${domain-}
		name=$name
		mtu=$mtu
		routes=$static
	REPORT
	echo "end=$event"
} >> "$OUT"
exit 0
END

# client FOLDER NAME: runs one, in the namespace; leaves what it does in the folder
cat > "$T/bin/client" <<'END'
#!/bin/bash
. "$T/bin/functions"
D=$1 OUT=$1/out CONFIGURES=y
export OUT CONFIGURES
mkdir -p "$D"
exec >"$D/report" 2>"$D/log" </dev/null
for d in /run /var/lib/dhcp /var/lib/dhcpcd; do
	[ ! -d $d ] || mount -t tmpfs tmpfs $d
done
printf 'root:x:0:0::/:/bin/sh\n' > "$D/passwd"
mount --bind "$D/passwd" /etc/passwd	# no account to change to
ip link set lo up
ip link set eth0 up

last() { [ "$(tail -1 "$OUT")" = "end=$1" ]; }
count() { [ "$(grep -c "^end=$1" "$OUT")" -ge "$2" ]; }
renewals() { [ "$(grep -cE '^end=RE(NEW|BIND)' "$OUT")" -ge "$1" ]; }
died() { ! kill -0 $1; }

# What the kernel has now, and whether it works
report() {
	echo "--- $1"
	tac "$OUT" | sed '/^event=/q' | tac
	ip -4 -o addr show dev eth0 scope global | sed 's/.*inet \([^ ]*\) .*/kernel=\1/'
	ip route show default | sed 's/.*via \([^ ]*\) .*/default=\1/'
	ip link show dev eth0 | sed -n 's/.* mtu \([0-9]*\) .*/linkmtu=\1/p'
	ping -n -c1 -W5 "$PEER4" >/dev/null && echo ping=yes
}

run_udhcpc() {
	busybox udhcpc -f -a -i eth0 -s "$T/bin/hook" -x hostname:me -O search -O mtu \
		-O staticroutes -O 121 >&2 &
	wait_for last bound && report first
	kill -USR1 $!
	wait_for last renew && report renewed
	kill -USR1 $!
	wait_for count renew 2 && report again
	kill $!
	wait_for died $!
	rm "$OUT"
	busybox udhcpc -f -q -n -r 10.99.99.99 -i eth0 -s "$T/bin/hook" -O search \
		-O mtu >&2
	report other
}

run_dhclient() {
	local lease=$D/leases
	cat > "$D/dhclient.conf" <<-CONF
		request subnet-mask, routers, domain-name, domain-name-servers,
			domain-search, host-name, interface-mtu;
		timeout 10;
	CONF
	rm -f "$lease"
	set -- dhclient -4 -v -1 -sf "$T/bin/hook" -cf "$D/dhclient.conf" \
		-lf "$lease" -pf /run/dhclient.pid eth0
	export PATH_DHCLIENT_SCRIPT=$T/bin/hook
	"$@" -e OUT="$OUT" -e CONFIGURES=y >&2
	report first
	kill "$(cat /run/dhclient.pid)"
	"$@" -e OUT="$OUT" -e CONFIGURES=y >&2	# remembers: INIT-REBOOT
	report renewed
	"$@" -r -e OUT="$OUT" -e CONFIGURES=y >&2
	"$@" -e OUT="$OUT" -e CONFIGURES=y >&2
	report again
	kill "$(cat /run/dhclient.pid)"
	sed -i 's/fixed-address .*/fixed-address 10.99.99.99;/' "$lease"
	ip addr flush dev eth0
	"$@" -e OUT="$OUT" -e CONFIGURES=y >&2	# a NAK, and all from the start
	report other
	kill "$(cat /run/dhclient.pid)"
}

run_dhcpcd() {
	cat > "$D/dhcpcd.conf" <<-CONF
		option domain_name_servers, domain_name, domain_search, host_name
		option interface_mtu, classless_static_routes
		option rapid_commit
		require dhcp_server_identifier
		env OUT=$OUT
		env CONFIGURES=
		timeout 15
	CONF
	set -- dhcpcd -4 -d -f "$D/dhcpcd.conf" -c "$T/bin/hook" eth0
	"$@" -B >&2 &
	wait_for -t 15 grep -qE '^end=(BOUND|REBOOT)' "$OUT" && report first
	"$@" -N >&2			# RENEWING
	wait_for renewals 1 && report renewed
	"$@" -n >&2			# REBINDING
	wait_for renewals 2 && report again
	kill $!
	wait $!
}

# Its lease in the words of the hook
networkd_lease() {
	sed -n -e '1i event=lease' -e '$aend=lease' -e 's/^ADDRESS=/addr=/p' \
		-e 's/^DNS=/dns=/p' -e 's/^DOMAIN_SEARCH_LIST=/search=/p' \
		-e 's/^HOSTNAME=/name=/p' -e 's/^MTU=/mtu=/p' /run/systemd/netif/leases/*
}

networkd_configured() { grep -q '^ADMIN_STATE=configured' /run/systemd/netif/links/*; }
networkd_mtu() {
	ip link show dev eth0 |
		grep -q " mtu $(sed -n 's/^MTU=//p' /run/systemd/netif/leases/*) "
}

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
		DHCP=ipv4
		IPv6AcceptRA=no
		LinkLocalAddressing=no
		[DHCPv4]
		UseMTU=yes
		UseDomains=yes
		UseHostname=no
	CONF
	for part in first again; do
		SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console \
			/lib/systemd/systemd-networkd >&2 &
		wait_for networkd_configured && wait_for networkd_mtu
		networkd_lease > "$OUT"
		report $part
		kill $!
		wait $!
		rm -f /run/systemd/netif/links/*
	done
}

"run_$2"
END
{
	declare -f wait_for
	echo "T=$T PEER4=$PEER4; export T"
} > "$T/bin/functions"
chmod 755 "$T/bin/hook" "$T/bin/client"

# serve NAME CLIENT OPTION...: its report in $T/home/$WHO-NAME/report
serve() {
	local name=$1 client=$2
	shift 2
	exec_as "$WHO" timeout -k 1 90 "$PASTA" -f -q "${ALONE[@]}" "$@" -- \
		unshare -m "$T/bin/client" "$T/home/$WHO-$name" "$client"
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

# as_host TEXT WHAT: an address, a route, an MTU as on the host, and they work
as_host() {
	has "$1" "addr=$HOST4" "$2: the address of the host"
	has "$1" "kernel=$HOST4/24" "$2: with its prefix, in the kernel"
	has "$1" "default=$GW4" "$2: its default route"
	has "$1" "mtu=65520" "$2: MTU"
	has "$1" "linkmtu=65520" "$2: MTU of the interface"
	has "$1" "ping=yes" "$2: packets leave"
	has "$1" "dns=203.0.113.53 203.0.113.54" "$2: name servers"
	has "$1" "name=box" "$2: host name"
	like "$1" 'search="?example\.org\.? example\.net\.?"?' "$2: search list"
}

# reported NAME PART...: what a client wrote
reported() {
	local name=$1 dir=$T/home/$WHO-$1 part bad=$tap_bad
	shift
	for part; do
		as_host "$(part "$(cat "$dir/report")" "$part")" \
			"$WHO, $name, $part"
	done
	[ "$bad" = "$tap_bad" ] || diag "$(tail -20 "$dir/log")"
}

# A gateway that is no neighbour by the mask
far() {
	local out what="user, dhcpcd, /32"
	out=$(part "$(cat "$T/home/user-far/report")" first)
	has "$out" "kernel=10.7.7.7/32" "$what: the address that was given"
	has "$out" "default=10.8.8.8" "$what: a default route"
	has "$out" "routes=10.8.8.8/32 0.0.0.0 0.0.0.0/0 10.8.8.8" \
		"$what: and one to the gateway"
	has "$out" "ping=yes" "$what: packets leave" ||
		diag "$(tail -20 "$T/home/user-far/log")"
}

clients=(udhcpc)
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
		serve "$name" "$name" "${SERVED[@]}" &
		pids+=($!)
	done
done
if [[ " ${clients[*]} " = *" dhcpcd "* ]]; then
	WHO=user serve far dhcpcd -a 10.7.7.7/32 -g 10.8.8.8 &
	pids+=($!)
fi
wait "${pids[@]}"

for WHO in $WHOM; do
	for name in "${clients[@]}"; do
		case $name in
		dhcpcd)	reported "$name" first renewed again;;
		networkd) reported "$name" first again;;
		*)	reported "$name" first renewed again other;;
		esac
	done
	if [[ " ${clients[*]} " = *" dhclient "* ]]; then
		has "$(cat "$T/home/$WHO-dhclient/out")" "event=REBOOT" \
			"$WHO, dhclient: what it remembers is confirmed"
		like "$(cat "$T/home/$WHO-dhclient/log")" 'DHCPNAK' \
			"$WHO, dhclient: another address is refused"
	fi
	like "$(cat "$T/home/$WHO-udhcpc/log")" 'lease of [0-9.]* obtained' \
		"$WHO, udhcpc: has a lease"
done
if [[ " ${clients[*]} " = *" dhcpcd "* ]]; then far; fi
done_testing
