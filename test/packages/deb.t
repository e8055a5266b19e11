#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make deb" in a tarball without git: lintian has no objection, the package has the
# files of "make install", hardened, and the source package makes the same one again.

. "$(dirname "$0")/../lib/tap.sh"
no_stage

for tool in dpkg-buildpackage dh dh_apparmor lintian; do
	command -v $tool >/dev/null || skip_all "no $tool"
done
[ -e /usr/share/build-essential/list ] || skip_all "no build-essential"
unset DEBEMAIL DEBFULLNAME SOURCE_DATE_EPOCH DEB_BUILD_OPTIONS DEB_BUILD_PROFILES
export DEB_BUILD_OPTIONS=nocheck	# test/run unit is the same

# sums DIR: all files of a source tree with modes and contents, less what is built
sums() {
	(cd "$1" && find . -path ./build -prune -o -type f -printf '%m ' -exec sha256sum {} \; |
		sort -k 3)
}

number=$(cat "$top/VERSION")
mkdir "$work/one" "$work/two" && cd "$work/one" || exit 1
"$top/packaging/tree" tarball tree.tar.gz >"$work/log" 2>&1 &&
	tar -xzf tree.tar.gz --strip-components=1 && make -s dist >>"$work/log" 2>&1 &&
	tar -C "$work" -xzf "passt-$number.tar.gz"
ok $? "make dist without git makes a tarball"

cd "$work/passt-$number" || exit 1
sums . >"$work/before"
make deb >"$work/log" 2>&1
ok $? "make deb builds from the tarball" || done_testing
sums . | diff "$work/before" - >"$work/log"
ok $? "  without a change of the sources"

deb=build/deb/passt_$number-0local1_$(dpkg --print-architecture).deb
lintian --allow-root --fail-on error,warning build/deb/*.changes >"$work/log" 2>&1
ok $? "lintian has no error and no warning"
is "$(dpkg-deb -f "$deb" Package Version Multi-Arch | xargs)" \
	"Package: passt Version: $number-0local1 Multi-Arch: foreign" "package, version, multi-arch"
for other in '0.0~git20250503.587980c-2+deb13u1' "$number~git20260101.0000.1234abc-0local1"; do
	dpkg --compare-versions "$number-0local1" gt "$other"
	ok $? "  newer than $other"
done
dpkg --compare-versions "$number-0local1" lt "$number-1"
ok $? "  older than a distribution's $number-1"

# --- contents ----------------------------------------------------------------------

dpkg-deb -x "$deb" "$work/root"
make -s -C "build/deb/passt-$number" install DESTDIR="$work/made" prefix=/usr \
	zshdir=/usr/share/zsh/vendor-completions >"$work/log" 2>&1
make -s install-apparmor install-systemd DESTDIR="$work/made" prefix=/usr \
	APPARMOR_ABI=3.0 >>"$work/log" 2>&1
# files DIR: as packages have them, where manual pages are compressed, and the changelog
# and the licence have their own names
files() {
	(cd "$1" && find . ! -type d) |
		sed -e 's/\(man[1-8].*\)\.gz$/\1/' -e 's,/CHANGELOG.md$,/changelog.gz,' |
		grep -vE 'changelog.Debian.gz|/copyright$' | sort
}
diff <(files "$work/made") <(files "$work/root") >"$work/log"
ok $? "it has the files of make install"
if command -v apparmor_parser >/dev/null; then
	# As the profile of libvirt's machines does
	printf '%s\n' 'include <tunables/global>' 'profile machine {' \
		'  profile passt { include if exists <abstractions/passt> }' '}' >"$work/machine"
	apparmor_parser -Q -K -I "$work/root/etc/apparmor.d" "$work/machine" \
		"$work"/root/etc/apparmor.d/usr.bin.* >"$work/log" 2>&1
	ok $? "its AppArmor profiles are compiled"
else
	skip "its AppArmor profiles are compiled" "no apparmor_parser"
fi
is "$("$work/root/usr/bin/pasta" --version | head -1)" "pasta $number" \
	"the program tells the version of the package"
for program in passt qrap passt-repair pesto; do
	{ readelf -hldW "$work/root/usr/bin/$program"
	  readelf --dyn-syms -W "$work/root/usr/bin/$program"; } >"$work/log" 2>&1
	grep -q 'Type: *DYN' "$work/log" && grep -q 'GNU_RELRO' "$work/log" &&
		grep -q 'FLAGS_1.*NOW' "$work/log" && grep -q '__stack_chk_fail' "$work/log" &&
		grep -q '_chk@' "$work/log" && ! grep -q 'GNU_STACK.*E ' "$work/log"
	ok $? "$program is hardened: PIE, RELRO, BIND_NOW, stack protector, fortified"
done

# --- once more, from the source package, for another user in another place ------------

cd "$work/two" || exit 1
(
	umask 077
	export TZ=Asia/Kathmandu LANG=C.UTF-8 LC_ALL=C.UTF-8
	dpkg-source --no-check -x "$work/passt-$number/build/deb/passt_$number-0local1.dsc" src &&
		cd src && DEB_BUILD_OPTIONS="nocheck parallel=1" dpkg-buildpackage -us -uc -b
) >"$work/log" 2>&1
ok $? "the source package builds"
cmp "$work/passt-$number/$deb" "$work/two/$(basename "$deb")" >"$work/log" 2>&1
ok $? "  the same package, bit for bit"
done_testing
