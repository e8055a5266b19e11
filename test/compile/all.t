#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The program builds without a warning with each compiler and C library that is
# here, static and dynamic, and what was built runs; so does an installed one. The
# library of musl makes other system calls than that of GNU: some of the end-to-end
# tests run with it, under the filter.

. "$(dirname "$0")/../lib/tap.sh"
no_stage

# build NAME MAKE-ARGUMENT...: in a copy of the sources, with programs below $dir
build() {
	local name=$1
	shift
	rm -rf "$work/src"
	mkdir "$work/src"
	cp -r "$top"/*.[ch17] "$top/Makefile" "$top/seccomp.sh" "$work/src/" 2>/dev/null
	cp -r "$top"/*.md "$top/AUTHORS" "$top/VERSION" "$top"/{doc,scripts,contrib} \
		"$work/src/" 2>/dev/null
	make -s -j2 -C "$work/src" "$@" >"$work/log" 2>&1 &&
		! grep -i warning "$work/log" &&
		"$work/src/${dir:-.}/pasta" --version >>"$work/log" 2>&1
	ok $? "$name"
}

for cc in gcc clang musl-gcc; do
	if ! command -v $cc >/dev/null; then
		skip "$cc" "not installed"
		continue
	fi
	build "$cc" all CC="$cc"
	[ "$cc" = musl-gcc ] || continue
	for t in sandbox start-smoke client udp netns dns; do
		PASTA=$work/src/passt bash "$top/test/e2e/$t.t" >"$work/log" 2>&1
		ok $? "$t.t with musl"
	done
done
dir=build/static build "a static binary" static
! readelf -d "$work/src/build/static/passt" | grep NEEDED >>"$work/log"
ok $? "it needs no library"
[ ! -e "$work/src/passt" ] && [ -x "$work/src/build/static/qrap" ]
ok $? "it is beside those of make all"

build "an unoptimised build" all CFLAGS="-O0 -g"
make -s -C "$work/src" install DESTDIR="$work/root" prefix=/usr >"$work/log" 2>&1 &&
	"$work/root/usr/bin/pasta" --version >>"$work/log" 2>&1
ok $? "make install"
make -s -C "$work/src" clean >"$work/log" 2>&1 &&
	[ ! -e "$work/src/passt" ] && [ ! -e "$work/src/build" ]
ok $? "make clean"
done_testing
