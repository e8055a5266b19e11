#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sources of packages: versions of clones are in order, and tarballs are the same
# wherever and whenever they are made.

. "$(dirname "$0")/../lib/tap.sh"
no_stage

command -v git >/dev/null || skip_all "no git"
unset SOURCE_DATE_EPOCH
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.org
export GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.org
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null

mkdir "$work/src" && cd "$work/src" || exit 1
"$top/packaging/tree" tarball "$work/tree.tar.gz" >"$work/log" 2>&1 &&
	tar -xzf "$work/tree.tar.gz" --strip-components=1
ok $? "there is a tarball of the tree" || done_testing
number=$(cat VERSION)
version() { packaging/tree version; }
# commit DATE: one at this time
commit() {
	echo "$1" >>README.md
	GIT_COMMITTER_DATE="$1" git commit -qam "$1"
}

# --- versions ----------------------------------------------------------------------

git -C "$work" init -q
is "$(version)" "$number" "without git, and in another repository: the version in VERSION"
rm -rf "$work/.git"
git init -q && git add .
commit 2026-01-31T12:00:00Z
versions=("$(version)")
is "${versions[0]}" "$number~git20260131.1200.$(git rev-parse --short=7 HEAD)" \
	"before the tag, a commit is older than the release"
commit 2026-02-01T00:30:00+02:00
versions+=("$(version)")
like "${versions[1]}" '~git20260131\.2230\.' "  with its time in UTC"
git tag "v$number"
versions+=("$(version)")
is "${versions[2]}" "$number" "the tag is the release"
commit 2026-02-02T12:00:00Z
versions+=("$(version)")
like "${versions[3]}" "^${number//./\\.}\+git20260202" "after it, a commit is newer"
echo >>README.md
like "$(version)" '\+dirty$' "a change that is not committed shows"
git checkout -q README.md
if command -v dpkg >/dev/null; then
	for i in 1 2 3; do
		dpkg --compare-versions "${versions[i - 1]}-1" lt "${versions[i]}-1"
		ok $? "dpkg has ${versions[i - 1]} before ${versions[i]}"
	done
else
	skip "versions in order" "no dpkg"
fi

# --- tarballs -----------------------------------------------------------------------

packaging/tree tarball ../one.tar.gz
mkdir "$work/other"
(umask 077; cp -r . "$work/other/"; find "$work/other" -exec touch -h -d 2001-01-01 {} +)
(cd "$work/other" && umask 007 && TZ=Asia/Kathmandu LC_ALL=C.UTF-8 \
	packaging/tree tarball ../two.tar.gz)
cmp "$work/one.tar.gz" "$work/two.tar.gz" >"$work/log" 2>&1
ok $? "a tarball depends neither on umask, time zone, locale nor times of files"

echo new >new.c
packaging/tree tarball ../new.tar.gz
is "$(tar -tzf ../new.tar.gz | grep -c '/new\.c$')" 1 "it has a file that is not added yet"
make -s dist >"$work/log" 2>&1
is "$(tar -tzf "passt-$number.tar.gz" | grep -c '/new\.c$')" 0 \
	"make dist has only files that are committed"
rm new.c
diff <(tar -tzf "passt-$number.tar.gz" | grep -v '/$' | sort) \
	<(git ls-files | sed "s,^,passt-$number/," | sort) >"$work/log"
ok $? "  and all of them"
is "$(git status --porcelain)" "" "nothing but ignored files is made"

mkdir "$work/plain" && tar -C "$work/plain" -xzf "passt-$number.tar.gz"
(cd "$work/plain/passt-$number" && touch passt qrap passt-repair pesto && mkdir build && touch build/file &&
	make -s dist) >"$work/log" 2>&1
diff <(tar -tzf "passt-$number.tar.gz" | grep -v '/$' | sort) \
	<(tar -tzf "$work/plain/passt-$number/passt-$number.tar.gz" | sort) >"$work/log"
ok $? "make dist without git has the same files, and none that was built"
done_testing
