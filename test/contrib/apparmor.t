#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The AppArmor profiles: the parser takes them, the programs work under them in a virtual
# machine with the Debian kernel, and each rule serves something that a traced run of
# the programs does, or a case with a reason in confine.py.
#
# No profile is loaded into the kernel of this machine.

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${BUILD:-$top/build}
profiles=$top/contrib/apparmor
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
apparmor=/etc/apparmor.d

# parser ARG...: with our files before those of the system
parser() { apparmor_parser -I "$profiles" -I $apparmor -Q -K "$@"; }

# put FILE...: copy programs and the libraries that they need to the machine's root
put() {
	local f lib
	for f; do
		f=$(command -v "$f") || return 1
		cp -L "$f" "$root/usr/bin/"
		ldd "$f" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
			mkdir -p "$root$(dirname "$lib")"
			cp -nL "$lib" "$root$lib"
		done
	done
}

# machine: add the programs and profiles to the initramfs of the guest tests
machine() {
	root=$build/apparmor/root
	rm -rf "$build/apparmor"
	mkdir -p "$root"/{usr/bin,root,home,run,etc/apparmor.d,etc/apparmor}
	put apparmor_parser setpriv unshare env &&
	put "$top/passt" "$top/qrap" "$top/passt-repair" || return 1
	cp "$root/usr/bin/passt" "$root/usr/bin/pasta"
	cp -r $apparmor/{abi,abstractions,tunables} "$root$apparmor/"
	cp -r "$profiles"/{usr.bin.*,abstractions} "$root$apparmor/"
	cp "$here/cases.sh" "$root/"
	touch "$root/etc/apparmor/parser.conf"
	printf '%s\n' root:x:0:0::/root:/bin/sh user:x:1000:1000::/home/user:/bin/sh \
		nobody:x:65534:65534::/:/bin/sh > "$root/etc/passwd"
	printf '%s\n' root:x:0: user:x:1000: nogroup:x:65534: > "$root/etc/group"
	echo nameserver 192.0.2.53 > "$root/etc/resolv.conf"
	(cd "$root" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1) |
		cat "$build/guest/initrd" - > "$build/apparmor/initrd" || return 1
	cp "$build/guest/kernel" "$build/apparmor/kernel"
	rm -rf "$root"
}

# machine_reason: print why there is no machine
machine_reason() {
	if [ "$(uname -m)" != x86_64 ] || ! command -v qemu-system-x86_64 >/dev/null; then
		echo "no qemu-system-x86_64"
	elif ! command -v cpio >/dev/null; then
		echo "no cpio"
	elif ! "$top/test/lib/guest-image" "$build/guest" >/dev/null 2>&1; then
		echo "no kernel package can be had"
	elif ! machine >/dev/null 2>&1; then
		echo "no initramfs can be made"
	fi
}

if [ -z "${NS_INSIDE-}" ]; then
	command -v apparmor_parser >/dev/null || {
		echo "1..0 # SKIP needs: apparmor"
		exit 0
	}
	NO_MACHINE=$(machine_reason)
	export NO_MACHINE
fi

. "$here/../lib/ns.sh"
. "$here/traced.sh"
VM_IMAGE=$NS_BUILD/apparmor
. "$here/../lib/vm.sh"
VM_IMAGE=$NS_BUILD/apparmor

# --- the parser -----------------------------------------------------------------

for p in passt pasta passt-repair qrap; do
	out=$(parser -W "$profiles/usr.bin.$p" 2>&1 | grep -v '^Cache read/write disabled')
	is "$out" "" "$p: the parser takes it without a word"
	is "$(parser -N "$profiles/usr.bin.$p" 2>/dev/null)" "$p" "$p: it is one profile"
	grep -q "include if exists <local/usr.bin.$p>" "$profiles/usr.bin.$p"
	ok $? "$p: a site can add rules"
done

# AppArmor 4 alone knows "userns": the other lines are the same
for p in passt pasta; do
	out=$(diff "$profiles/usr.bin.$p" "$profiles/abi4.0/usr.bin.$p" | grep '^[<>]')
	is "$(grep -v '^> *#' <<<"$out")" "< # AppArmor profile of $p, for AppArmor 3.0 and newer; see README.md
< abi <abi/3.0>,
> abi <abi/4.0>,
>   userns," "$p: the one for AppArmor 4 differs in userns alone"
	name="$p: the parser of AppArmor 4 takes that one"
	if [ -e $apparmor/abi/4.0 ]; then
		t "$name" parser "$profiles/abi4.0/usr.bin.$p"
	else
		skip "$name" "this is AppArmor $(parser --version | sed -n 's/.*version //p')"
	fi
done

# installed ABI FOLDER: are the profiles installed that were asked for?
installed() {
	local dir=$T/home/installed-$1
	make -s -C "$top" install-apparmor APPARMOR_ABI="$1" DESTDIR="$dir" &&
	cmp "$dir/etc/apparmor.d/usr.bin.pasta" "$profiles/$2usr.bin.pasta" &&
	cmp "$dir/etc/apparmor.d/usr.bin.qrap" "$profiles/usr.bin.qrap" &&
	cmp "$dir/etc/apparmor.d/usr.bin.passt-repair" "$profiles/usr.bin.passt-repair" &&
	cmp "$dir/etc/apparmor.d/abstractions/passt-common" \
		"$profiles/abstractions/passt-common"
}
t "make install-apparmor puts the profiles" installed 3.0 ""
t "and those for AppArmor 4" installed 4.0 abi4.0/
make -s -C "$top" install DESTDIR="$T/home/root" prefix=/usr >/dev/null 2>&1 &&
	[ -f "$T/home/root/usr/bin/pasta" ] && ! [ -L "$T/home/root/usr/bin/pasta" ]
ok $? "make install puts pasta as a file of its own, which a profile can attach to"

# --- enforced -------------------------------------------------------------------

# guard SCRIPT: run a script in the machine
guard() { VM_WAIT=150 vm guard "export PATH=/usr/bin:/bin; $1"; }

machine_setup() {
	guard '
	set -e
	mount -t securityfs s /sys/kernel/security
	chmod 1777 /tmp
	chmod 666 /dev/net/tun /dev/null
	mkdir -p /run/user/1000
	ip tuntap add mode tap name eth0
	ip addr add 198.51.100.1/24 dev eth0
	ip link set eth0 up
	ip route add default via 198.51.100.2
	cd /etc/apparmor.d
	apparmor_parser -r -K usr.bin.*
	grep -c enforce /sys/kernel/security/apparmor/profiles'
}

enforced() {
	local who out
	VM_APPEND="apparmor=1 security=apparmor" vm_start guard none -m 384 ||
		{ ok 1 "a machine with AppArmor starts"; return; }
	out=$(machine_setup 2>&1)
	is "${out##*$'\n'}" 4 "four profiles are enforced" || { diag "$out"; return; }
	for who in user root; do
		from_here guard "
		export CASE_HOME=/home CASE_UID=1000 CASE_BIN=/usr/bin CASE_FIRST=$tap_n
		sh /cases.sh $who"
	done
	is "$(guard 'pasta -q --config-net -- cat /proc/self/attr/current')" unconfined \
		"a command of pasta is not confined"
	out=$(guard 'passt -q -P /tmp/pid; cat "/proc/$(cat /tmp/pid)/attr/current"
		kill $(cat /tmp/pid)')
	is "$out" "passt (enforce)" "the daemon is confined"
	out=$(guard 'cd /root; HOME=/root passt -q -l /etc/log; echo; ls /etc/log' 2>&1)
	like "$out" "Permission denied" "a file elsewhere is refused"
	is "$(guard "dmesg | grep 'apparmor=\"DENIED' | grep -v '/etc/log' |
		sed 's/.*apparmor=\"DENIED\"//'")" "" "nothing else was denied"
	vm_stop guard
}

if [ -n "${NO_MACHINE-}" ]; then
	skip "the programs work under their profiles" "$NO_MACHINE"
else
	enforced
fi

# --- traced ---------------------------------------------------------------------

if traced_reason; then
	traced_run
	for p in passt pasta passt-repair qrap; do
		parser -p "$profiles/usr.bin.$p" 2>/dev/null > "$T/home/$p.rules"
	done
	from_here python3 "$here/confine.py" apparmor "$T"/home/*.rules -- \
		"${TRACED_MAP[@]}" -- "$T"/trace/*
else
	skip "a traced run fits the profiles" "needs strace, python3 and root"
fi

done_testing
