#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A hostile guest of pasta: frames by a packet socket on the tap device, with virtio-net
# headers, while the kernel of the namespace is silent.

. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/hostile/common.sh"

cat > "$T/bin/guest" <<'END'
#!/bin/sh
echo 1 > /proc/sys/net/ipv6/conf/tap9/disable_ipv6
echo 8 > /proc/sys/net/ipv4/conf/tap9/arp_ignore
ip link set tap9 arp off up || exit
exec hostile attack tap tap9 "$@"
END
chmod 755 "$T/bin/guest"

hostile_stage
guest_pipe
peers_start
exec_as user "$SANITIZED/pasta" -f -I tap9 -T none -U none "${PORTS[@]}" -- \
	guest "$SEED" $((FRAMES * 2 / 5)) "$(keep_of tap)" <&5 >"$T/attack" 2>"$T/err" &
DAEMON=$!
judge tap
kill $DAEMON 2>/dev/null
wait $DAEMON 2>/dev/null
done_testing
