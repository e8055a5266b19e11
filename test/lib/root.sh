# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Run commands in a Debian 13 root (see debian-root).  Source this file after ns.sh,
# but call root_image before that, since packages come from the network.
#
#   root_enter			set the root up on a private overlay, with our passt
#   root COMMAND...		run a command as its user, in the test's network
#   root_as_root COMMAND...	run a command as root

ROOT_IMAGE=${DEBIAN_ROOT:-${BUILD:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}/debian}

root_image() {
	[ -z "${NS_INSIDE-}" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "1..0 # SKIP only root can make a Debian root"
		exit 0
	fi
	local said
	if ! said=$("$(dirname "${BASH_SOURCE[0]}")/debian-root" "$ROOT_IMAGE" 2>&1); then
		echo "1..0 # SKIP no Debian root can be made: ${said##*$'\n'}"
		exit 0
	fi
}

# root_setup: the script that sets the root up, for a new mount namespace
root_setup() {
	cat <<-'END'
	set -e
	dir=$1 image=$2 passt=$3
	mount --make-rprivate /
	mkdir -p "$dir"
	mount -t tmpfs -o mode=755 tmpfs "$dir"
	mkdir -p "$dir/upper" "$dir/work" "$dir/root"
	mount -t overlay -o "lowerdir=$image,upperdir=$dir/upper,workdir=$dir/work" \
		overlay "$dir/root"
	cd "$dir/root"
	rm -f usr/bin/passt* usr/bin/pasta*
	install -m 755 "$passt" usr/bin/passt
	ln -s passt usr/bin/pasta
	mount --rbind /proc proc
	mount --rbind /dev dev
	mount --rbind /sys sys
	mount -t tmpfs -o mode=755 tmpfs dev/net
	mknod -m 666 dev/net/tun c 10 200
	chmod 666 dev/net/tun
	mount -t cgroup2 none sys/fs/cgroup 2>/dev/null || :
	mount -t tmpfs -o mode=1777 tmpfs tmp
	mount -t tmpfs -o mode=1777 tmpfs var/tmp
	mount -t tmpfs -o mode=755 tmpfs run
	mkdir -p run/user/1000 run/netns
	chown 1000:1000 run/user/1000
	cp -L /etc/resolv.conf etc/resolv.conf 2>/dev/null || :
	mkdir -p .old
	pivot_root . .old
	umount -l /.old
	echo ready > /tmp/ready
	exec sleep infinity
	END
}

root_is_ready() { nsenter -t "$ROOT_PID" -m -- test -e /tmp/ready; }

root_enter() {
	unshare -m bash -c "$(root_setup)" -- "$T/root" "$ROOT_IMAGE" \
		"$(readlink -f "$PASTA")" &
	ROOT_PID=$!
	wait_for root_is_ready
}

root_as_root() { nsenter -t "$ROOT_PID" -m --wdns=/ -- "$@"; }

root() {
	nsenter -t "$ROOT_PID" -m --wdns=/ -- setpriv --reuid 1000 --regid 1000 \
		--clear-groups env -i HOME=/home/user XDG_RUNTIME_DIR=/run/user/1000 \
		TERM=dumb PODMAN_IGNORE_CGROUPSV1_WARNING=1 \
		PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$@"
}
