#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The package built here takes the place of the distribution's in a Debian 13 root:
# podman runs its containers on it, and nothing is left after it was removed.

. "$(dirname "$0")/../lib/root.sh"
for tool in dpkg-buildpackage dh dh_apparmor; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP no $tool"; exit 0; }
done
[ -e /usr/share/build-essential/list ] || { echo "1..0 # SKIP no build-essential"; exit 0; }
root_image
. "$(dirname "$0")/../lib/ns.sh"
. "$NS_TOP/test/lib/root.sh"

# files: all paths of the root but those that dpkg, apt and the user write anyway
files() {
	root_as_root find / -xdev \( -path /home -o -path /var/log -o -path /var/cache -o \
		-path /var/lib/dpkg \) -prune -o -print | sort
}
query() { root_as_root dpkg-query -W -f="\${$1}" passt 2>&1; }
podman() { root podman "$@"; }

unset DEBEMAIL DEBFULLNAME SOURCE_DATE_EPOCH MAKEFLAGS CC
t "make deb" env DEB_BUILD_OPTIONS=nocheck "$NS_TOP/packaging/deb" "$T/deb" ||
	done_testing
version=$("$NS_TOP/packaging/tree" version)

# The root as it was made, with the passt of the distribution
root_enter
ok $? "a Debian root is set up" || done_testing
cp -a "$ROOT_IMAGE"/usr/bin/pas[st]* "/proc/$ROOT_PID/root/usr/bin/"
is "$(root_as_root dpkg -V passt)" "" "with the distribution's package"
files >"$T/before"
root_as_root dpkg -L passt >"$T/old"
cp "$T"/deb/passt_*.deb "/proc/$ROOT_PID/root/tmp/passt.deb"

t "the new one takes its place" root_as_root dpkg -i /tmp/passt.deb
is "$(query Version)" "$version-0local1" "with its version"
is "$(root_as_root dpkg -V passt)" "" "all its files are there"
is "$(query Conffiles | grep obsolete)" "" "no configuration of the old one stays"
root_as_root dpkg -L passt >"$T/new"
is "$(sort "$T/old" "$T/new" "$T/new" | uniq -u |
	while read -r f; do root_as_root test -f "$f" && echo "$f"; done)" "" \
	"nor any other file"
is "$(files | comm -13 "$T/before" - | grep -vxFf "$T/new" |
	grep -v '^/etc/apparmor.d/local/')" "" \
	"there is no file that the package does not list"

cp "$NS_TOP/packaging/debian/tests/smoke" "/proc/$ROOT_PID/root/tmp/smoke"
t "the package's own test passes" root sh /tmp/smoke
out=$(podman info -f "{{.Host.Pasta.Package}} {{.Host.Pasta.Version}}" 2>&1)
[[ $out == *"passt_$version-0local1"*"pasta $version"* ]]
ok $? "podman finds it" || diag "$out"
mkdir -p "$T/box/bin" "$T/box/etc" "$T/box/tmp"
cp "$ROOT_IMAGE/bin/busybox" "$T/box/bin/"
ln -s busybox "$T/box/bin/ip"
tar -C "$T/box" -c . | podman import -q - localhost/box >/dev/null
# An older or newer one can be tried beside it
cp "$PASTA" "/proc/$ROOT_PID/root/usr/local/bin/pasta"
mkdir -p "/proc/$ROOT_PID/root/opt/other" "/proc/$ROOT_PID/root/home/user/.config/containers"
cp "$PASTA" "/proc/$ROOT_PID/root/opt/other/pasta"
is "$(podman info -f '{{.Host.Pasta.Executable}}' 2>/dev/null)" /usr/local/bin/pasta \
	"one below /usr/local is found first"
rm "/proc/$ROOT_PID/root/usr/local/bin/pasta"
printf '[engine]\nhelper_binaries_dir=["/opt/other","/usr/lib/podman"]\n' \
	>"/proc/$ROOT_PID/root/home/user/.config/containers/containers.conf"
chown -R 1000:1000 "/proc/$ROOT_PID/root/home/user/.config"
is "$(podman info -f '{{.Host.Pasta.Executable}}' 2>&1 | tail -1)" /opt/other/pasta \
	"helper_binaries_dir names another one"
rm -r "/proc/$ROOT_PID/root/opt/other" "/proc/$ROOT_PID/root/home/user/.config"
out=$(podman run --rm --network=pasta localhost/box ip addr 2>&1)
like "$out" "inet $HOST4/24" "podman run: the container has the host's address" ||
	diag "$out"

t "the package is purged" root_as_root dpkg --force-depends --purge passt
is "$(files | comm -13 "$T/before" -)" "" "nothing of it is left"
is "$(files | comm -23 "$T/before" - | grep -vxFf "$T/old" |
	grep -vE '^/etc/apparmor.d/local(/usr.bin.(passt|pasta))?$')" "" \
	"nothing else is gone"
files >"$T/none"
t "it can be installed where there was none" root_as_root dpkg -i /tmp/passt.deb
t "  and removed" root_as_root dpkg --force-depends --purge passt
is "$(files | diff "$T/none" -)" "" "  without a trace"
done_testing
