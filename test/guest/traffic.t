#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# TCP, UDP and ping between a virtual machine and the world, in all sizes, at
# several MTUs, both ways, and through forwarded ports

. "$(dirname "$0")/../lib/vm.sh"
vm_image
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/vm.sh"

. "$NS_TOP/test/lib/vmtraffic.sh"

for mtu in 1280 1500 9000 65520; do
	t "MTU $mtu: a guest with addresses" passt_start -m $mtu || break
	case $mtu in
	1500)	list="1 1000 100k 8m";;
	*)	list="1 4m";;
	esac
	traffic "MTU $mtu" "$list" "$list"
	[ $mtu != 1500 ] || many
	passt_stop
done
done_testing
