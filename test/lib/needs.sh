# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Find out which Debian packages a test needs, and install them.
#
# A test needs the programs that its text names, comments aside; that of a library
# which it sources counts, too.  The table below has one line a program: its name or
# path, the package that has it, and "soft" where tests look for it themselves and
# skip single points.  A test whose other programs are missing is skipped.

needs_build='
cc			gcc
/usr/include/stdio.h	libc6-dev
make			make
'
needs_unshare='
ip			iproute2
unshare			util-linux
'
needs_frame="$needs_unshare"'
python3			python3
'
needs_stage="$needs_unshare"'
ping			iputils-ping
'
needs_named='
nft			nftables		soft
traceroute		traceroute
mtr			mtr-tiny
dig			bind9-dnsutils
curl			curl		soft
socat			socat
bwrap			bubblewrap
strace			strace			soft
tcpdump			tcpdump			soft
ps			procps
pgrep			procps
busybox			busybox
dhclient		isc-dhcp-client		soft
dhcpcd			dhcpcd-base		soft
/lib/systemd/systemd-networkd systemd		soft
/usr/lib/python3/dist-packages/yaml python3-yaml	soft
cpio			cpio
apparmor_parser		apparmor		soft
systemd-analyze		systemd			soft
checkmodule		checkpolicy		soft
semodule_package	semodule-utils		soft
qemu-system-x86_64	qemu-system-x86
python3			python3
git			git
nm			binutils
newuidmap		uidmap			soft
virt-xml-validate	libvirt-clients		soft
xmllint			libxml2-utils		soft
/usr/bin/podman		podman			soft
/usr/bin/rootlesskit	rootlesskit		soft
zsh			zsh			soft
fish			fish			soft
mandoc			mandoc			soft
promtool		prometheus		soft
readelf			binutils
/usr/share/build-essential/list build-essential	soft
dpkg-buildpackage	dpkg-dev		soft
dh			debhelper		soft
dh_apparmor		dh-apparmor		soft
lintian			lintian			soft
rpmbuild		rpm			soft
rpmlint			rpmlint			soft
setcap			libcap2-bin		soft
aarch64-linux-gnu-gcc	gcc-aarch64-linux-gnu
/usr/aarch64-linux-gnu/include/stdio.h libc6-dev-arm64-cross
arm-linux-gnueabihf-gcc	gcc-arm-linux-gnueabihf
/usr/arm-linux-gnueabihf/include/stdio.h libc6-dev-armhf-cross
i686-linux-gnu-gcc	gcc-i686-linux-gnu
/usr/i686-linux-gnu/include/stdio.h libc6-dev-i386-cross
powerpc64le-linux-gnu-gcc gcc-powerpc64le-linux-gnu
/usr/powerpc64le-linux-gnu/include/stdio.h libc6-dev-ppc64el-cross
riscv64-linux-gnu-gcc	gcc-riscv64-linux-gnu
/usr/riscv64-linux-gnu/include/stdio.h libc6-dev-riscv64-cross
s390x-linux-gnu-gcc	gcc-s390x-linux-gnu
/usr/s390x-linux-gnu/include/stdio.h libc6-dev-s390x-cross
qemu-aarch64-static	qemu-user-static
qemu-arm-static		qemu-user-static
qemu-ppc64le-static	qemu-user-static
qemu-riscv64-static	qemu-user-static
qemu-s390x-static	qemu-user-static
'
# shellcheck disable=SC2034 # for test/lib/install
needs_lint='
clang			clang
clang-tidy		clang-tidy
cppcheck		cppcheck
shellcheck		shellcheck
mandoc			mandoc
musl-gcc		musl-tools
reuse			reuse
'
# shellcheck disable=SC2034
needs_bench='
iperf3			iperf3
slirp4netns		slirp4netns
strace			strace
'

# needs_text FILE: the commands of a test and of the libraries that it sources
needs_text() {
	local lib
	grep -hv '^[[:space:]]*#' "$1"
	grep -qE 'tools/[a-z]+\.py' "$1" && echo python3
	grep -oE 'lib/(vm|root)\.sh' "$1" | sort -u | while read -r lib; do
		grep -hv '^[[:space:]]*#' "test/$lib"
	done
	# Command blocks of documents name theirs
	case $1 in test/contrib/docs.t)
		sed -n 's/^<!-- test: .* needs \(.*\) -->$/\1/p' ./*.md doc/*.md;; esac
	case $1 in test/guest/*) grep -hv '^[[:space:]]*#' test/lib/guest-image;; esac
}

# needs_of FILE: the lines of the table for a test, the file named from the top
needs_of() {
	local name package how text
	echo "$needs_build"
	case $1 in
	test/frame/*)	echo "$needs_frame"; grep -q '"strace"' "$1" &&
				grep '^strace' <<<"$needs_named"
			return;;
	test/e2e/*|test/hostile/*|test/faults/*|test/guest/*) echo "$needs_stage";;
	test/compile/*|test/contrib/*|test/packages/*|test/cross/*)
		grep -q 'lib/ns\.sh' "$1" && echo "$needs_stage";;
	*)		return;;
	esac
	text=$(needs_text "$1")
	while read -r name package how; do
		[ -n "$name" ] || continue
		# A program is a word of its own, and not an option or a file's name
		grep -qE "(^|:-|[^[:alnum:]_./-])$name([^[:alnum:]_.=-]|$)" \
			<<<"$text" || continue
		case $1 in
		test/guest/*)	how=;;		# the image has all of them
		test/compile/*|test/contrib/*|test/packages/*|test/cross/*) how=soft;;
		esac
		echo "$name $package $how"
	done <<<"$needs_named"
}

# needs_missing [hard]: packages of the table on standard input that are not there,
# one a line; with "hard", only those that a test can't do without
needs_missing() {
	local name package how
	while read -r name package how; do
		[ -n "$name" ] || continue
		[ "${1-}" != hard ] || [ "$how" != soft ] || continue
		case $name in
		/*)	[ -e "$name" ] && continue;;
		*)	command -v "$name" >/dev/null && continue;;
		esac
		echo "$package"
	done | sort -u
}

# needs_install PACKAGE...: on Debian, as root
needs_install() {
	[ $# != 0 ] || return 0
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		return 1
	fi
	{
		apt-get -q -o DPkg::Lock::Timeout=120 update &&
		DEBIAN_FRONTEND=noninteractive apt-get -q \
			-o DPkg::Lock::Timeout=120 install -y \
			--no-install-recommends "$@"
	} >&2 </dev/null
}
