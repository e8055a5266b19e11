#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The recipes of Alpine and Arch: their syntax, the variables and functions that abuild
# and makepkg ask for, and the files that their steps put into a package.

. "$(dirname "$0")/../lib/tap.sh"
no_stage

number=$(cat "$top/VERSION")
mkdir "$work/tree" "$work/srcdir"
"$top/packaging/tree" tarball "$work/tree.tar.gz" >"$work/log" 2>&1 &&
	tar -C "$work/tree" -xzf "$work/tree.tar.gz" --strip-components=1 &&
	make -s -C "$work/tree" dist >>"$work/log" 2>&1 &&
	tar -C "$work/srcdir" -xzf "$work/tree/passt-$number.tar.gz"
ok $? "make dist makes the source of both" || done_testing

export CFLAGS=-O0 MAKEFLAGS="-s -j2"		# quick
make -C "$work/srcdir/passt-$number" install DESTDIR="$work/made" prefix=/usr \
	>"$work/log" 2>&1
ok $? "make install of it"

# recipe SHELL FILE VARIABLE...: check it, then run its steps as its tool does
recipe() {
	local shell=$1 file=$top/packaging/$2 name v got
	name=$(basename "$2")
	shift 2
	t "$name: syntax" $shell -n "$file"
	if command -v shellcheck >/dev/null; then
		t "$name: shellcheck" shellcheck "$file"
	else
		skip "$name: shellcheck" "not installed"
	fi
	for v; do
		# shellcheck disable=SC2016 # for the other shell
		got=$(srcdir=/nowhere $shell -c '. "$1"; eval "echo \"\$$2\""' - "$file" "$v")
		case $v in
		pkgver)	is "$got" "$number" "$name: pkgver is the version of the tree";;
		pkgrel)	like "$got" '^[0-9]+$' "$name: pkgrel is a number";;
		pkgname) is "$got" passt "$name: pkgname";;
		license) is "$got" GPL-2.0-or-later "$name: license";;
		source)	is "$got" "passt-$number.tar.gz" "$name: source is that of make dist";;
		*)	like "$got" . "$name: $v";;
		esac
	done
	# Each step starts anew in the folder of the sources
	# shellcheck disable=SC2016
	for v in build package; do
		(cd "$work/srcdir" && srcdir=$work/srcdir pkgdir=$work/$name \
			$shell -e -c '. "$1"; cd "${builddir:-.}"; "$2"' - "$file" $v) \
			>"$work/log" 2>&1
		ok $? "$name: $v()"
	done
	$shell -c '. "$1"; type check' - "$file" >"$work/log" 2>&1
	ok $? "$name: check()"
	diff <(cd "$work/made" && find . | sort) <(cd "$work/$name" && find . | sort) \
		>"$work/log"
	ok $? "$name: the package has the files of make install"
}

recipe sh alpine/APKBUILD pkgname pkgver pkgrel pkgdesc url arch license makedepends \
	source builddir maintainer
recipe bash arch/PKGBUILD pkgname pkgver pkgrel pkgdesc url arch license depends source \
	sha256sums

# musl has no sanitizers: Alpine's check() builds unit tests without
is "$(make -n -C "$work/srcdir/passt-$number" build/unit/view SAN= | grep -c fsanitize)" 0 \
	"make SAN= builds unit tests without sanitizers"
done_testing
