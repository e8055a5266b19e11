#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make rpm" of a clone: rpmlint has no error, the package has the files of "make
# install", and it is installed and erased without a trace in a root of its own.

. "$(dirname "$0")/../lib/tap.sh"
no_stage

for tool in rpmbuild rpmlint git cpio; do
	command -v $tool >/dev/null || skip_all "no $tool"
done
unset DEBEMAIL DEBFULLNAME SOURCE_DATE_EPOCH
export HOME=$work/home
mkdir "$HOME" "$work/src"

cd "$work/src" || exit 1
"$top/packaging/tree" tarball "$work/tree.tar.gz" >"$work/log" 2>&1 &&
	tar -xzf "$work/tree.tar.gz" --strip-components=1
# Tests are most of the tree, and none of the package
rm -rf test/fuzz/corpus
git init -q >>"$work/log" 2>&1 && git add . &&
	git -c user.name=test -c user.email=test@example.org commit -q -m one \
		>>"$work/log" 2>&1
version=$(packaging/tree version)
like "$version" "^$(cat VERSION)~git[0-9]+\.[0-9]{4}\.[0-9a-f]+\$" "a clone is a snapshot"
is "$(sed -n 's/^Version: *//p' packaging/passt.spec)" "$(cat VERSION)" \
	"the spec file has the version of the tree"

packaging/rpm build/rpm --without check >"$work/log" 2>&1
ok $? "packages are built" || done_testing
is "$(git status --porcelain; ls -A "$HOME")" "" "  and nothing else is written"
rpm=$(echo build/rpm/RPMS/*/*.rpm)

rpmlint -c packaging/rpmlint.toml packaging/passt.spec build/rpm/passt.spec \
	build/rpm/RPMS/*/*.rpm build/rpm/SRPMS/*.rpm >"$work/log" 2>&1 &&
	! grep ': E: ' "$work/log"
ok $? "rpmlint has no error"
grep ': W: ' "$work/log" | sed 's/^/# /'

q() { rpm --dbpath "$work/db" "$@"; }
is "$(q -qp --qf '%{NAME} %{VERSION} %{LICENSE}' "$rpm")" \
	"passt $version GPL-2.0-or-later" "name, version, licence"
is "$(rpm --eval "%{lua: print(rpm.vercmp('$version', '0^20250503.g587980c'),
	rpm.vercmp('$version', '$(cat VERSION)'))}" | xargs)" "1 -1" \
	"newer than a snapshot of version 0, older than the release"

make -s install DESTDIR="$work/made" prefix=/usr CFLAGS=-O0 >"$work/log" 2>&1
make -s install-systemd DESTDIR="$work/made" prefix=/usr >>"$work/log" 2>&1
diff <(cd "$work/made" && find . ! -type d | cut -c 2- | sort) \
	<(q -qpl --noghost "$rpm" | grep -vE '^/usr/(lib/.build-id|share/licenses)' |
		while read -r f; do
			[ -d "$work/made$f" ] || echo "$f"
		done | sed 's/\(man[1-8].*\)\.gz$/\1/' | sort) >"$work/log"
ok $? "it has the files of make install"
like "$(q -qpL "$rpm")" "/GPL-2.0-or-later.txt\$" "  and the licence"

mkdir "$work/unpacked"
rpm2cpio "$rpm" | (cd "$work/unpacked" && cpio -idm --quiet) >"$work/log" 2>&1
is "$("$work/unpacked/usr/bin/pasta" --version | head -1)" "pasta $version" \
	"the program tells the version of the package"

if [ "$(id -u)" = 0 ]; then
	root() { rpm --root "$work/root" --nodeps "$@"; }
	mkdir "$work/root"
	t "it is installed" root -i "$rpm"
	t "  and all files are as they were packed" root -V passt
	t "  and erased" root -e passt
	is "$(cd "$work/root" && find . ! -type d ! -path '*rpm*')" "" "  without a trace"
else
	skip "it is installed and erased" "only root can do that"
fi
done_testing
