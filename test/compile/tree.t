#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tree as packagers and newcomers use it: it knows its version without git, it is
# uninstalled without a trace, make is quiet unless asked, a push is linted, functions and
# names keep their limits, and editors are told how each source is compiled.

. "$(dirname "$0")/../lib/tap.sh"
no_stage

version() { "$work/src/scripts/version" 2>&1; }

# In the copy, with an identity of its own
git_here() {
	git -C "$work/src" -c user.name=test -c user.email=test@example.org \
		-c tag.gpgSign=false -c commit.gpgSign=false "$@" >/dev/null 2>&1
}

mkdir "$work/src"
(cd "$top" && tar -c --exclude=./.git --exclude=./build --exclude=./passt \
	--exclude=./pasta --exclude=./qrap --exclude=./passt-repair \
	--exclude=./pesto .) | tar -x -C "$work/src"
cd "$work/src" || exit 1
number=$(cat VERSION)

# --- version ----------------------------------------------------------------------

is "$(version)" "$number" "a tree without git has the version in VERSION"
if command -v git >/dev/null; then
	git_here -C "$work" init
	is "$(version)" "$number" "  inside of another repository, too"
	rm -rf "$work/.git"

	git_here init && git_here add VERSION && git_here commit -m one
	is "$(version)" "${number}+g$(git -C . rev-parse --short HEAD)" \
		"a clone without tags adds its commit"
	git_here tag v9.8
	is "$(version)" v9.8 "a tag is the version"
	rm -rf .git
else
	skip "versions in a repository" "no git"
fi

# --- make -------------------------------------------------------------------------

export CFLAGS=-O0		# quick to build
make -j2 all >"$work/log" 2>&1 && grep -qx '  CC      tcp.o' "$work/log" &&
	! grep -e -Wall "$work/log"
ok $? "make prints one short line a file"
./pasta --version >"$work/log" 2>&1 && grep -qw "$number" "$work/log"
ok $? "the program tells the version"

touch qrap.c
make V=1 >"$work/log" 2>&1 && grep -q -e '-Wall.* -o qrap qrap.c' "$work/log"
ok $? "make V=1 prints the command"
touch qrap.c
is "$(make -s 2>&1)" "" "make -s prints nothing"

# Twice, as over an older version
make -s install DESTDIR="$work/root" prefix=/usr >"$work/log" 2>&1 &&
	make -s install DESTDIR="$work/root" prefix=/usr >>"$work/log" 2>&1 &&
	"$work/root/usr/bin/pasta" --version >>"$work/log" 2>&1 &&
	"$work/root/usr/bin/qrap" --help >>"$work/log" 2>&1 &&
	"$work/root/usr/bin/passt-repair" --version >>"$work/log" 2>&1 &&
	"$work/root/usr/bin/pesto" --version >>"$work/log" 2>&1
ok $? "make install puts programs that run"
for f in share/man/man1/{passt,pasta,qrap,passt-repair,pesto}.1 share/man/man7/passt-control.7 \
	share/doc/passt/{README,doc/design}.md \
	 share/bash-completion/completions/{passt,pasta,qrap} \
	 share/zsh/site-functions/_passt \
	 share/fish/vendor_completions.d/{passt,pasta,qrap}.fish; do
	[ -s "$work/root/usr/$f" ] || echo "no $f"
done >"$work/log"
[ ! -s "$work/log" ]
ok $? "  with manual pages, documents and completions"
find "$work/root" -type f -perm /0022 >"$work/log"
[ ! -s "$work/log" ]
ok $? "  and nobody else may write to them"
touch "$work/root/usr/bin/another"
make -s uninstall DESTDIR="$work/root" prefix=/usr >"$work/log" 2>&1
is "$(cd "$work/root" && find . ! -type d -o -path '*/passt')" "./usr/bin/another" \
	"make uninstall removes them, and nothing else"
make -s uninstall DESTDIR="$work/root" prefix=/usr >"$work/log" 2>&1
ok $? "make uninstall does no harm where nothing is installed"

# --- test/run ---------------------------------------------------------------------

needs() { bash -c '. test/lib/needs.sh && needs_of "$1"' - "$1" | awk '{ print $2 }' | xargs; }
is "$(needs test/unit/fwd.c)" "gcc libc6-dev make" "a unit test needs a compiler alone"
printf '%s\n' '# socat' 'out=$(in_ns -- traceroute -n "$PEER4")' >test/e2e/new.t
is "$(needs test/e2e/new.t)" \
	"gcc libc6-dev make iproute2 util-linux iputils-ping traceroute" \
	"an end-to-end test needs the programs that it names, comments aside"
rm test/e2e/new.t
like "$(needs test/contrib/docs.t)" "curl .*socat" \
	"the test of documents needs the programs that their command blocks name"
! test/run unit/nowhere >"$work/log" 2>&1
ok $? "a name without a test is a failure"

# --- make hooks -------------------------------------------------------------------

# push OPTION...: commit and push from a folder of the copy.  The hook finds a make that
# notes where and how it was called, and has the status of $lint.
push() {
	git_here commit --allow-empty -m push
	rm -f "$work/called"
	(cd doc && PATH="$work/bin:$PATH" lint=$lint \
		git push "$@" "$work/bare" HEAD:main) >"$work/log" 2>&1
}

pushed() { [ "$(git -C "$work/bare" rev-parse main)" = "$(git rev-parse HEAD)" ]; }

if command -v git >/dev/null; then
	git init -q --bare "$work/bare"
	git_here init && git_here add Makefile VERSION doc scripts && make -s hooks
	mkdir "$work/bin"
	cat >"$work/bin/make" <<-END
	#!/bin/sh
	echo "\$LINT_INSTALLED \$PWD \$*" >"$work/called"
	exit "\$lint"
	END
	chmod +x "$work/bin/make"

	lint=0
	push && pushed
	ok $? "after make hooks, a push is taken if lint has nothing to object to"
	is "$(cat "$work/called")" "1 $(pwd -P) -s lint" \
		"it is linted at the top of the tree, by the linters that are installed"
	lint=1
	! push && [ -e "$work/called" ] && ! pushed
	ok $? "a push is refused if lint objects"
	push --no-verify && pushed && [ ! -e "$work/called" ]
	ok $? "git push --no-verify goes around it"
	rm -rf .git
else
	skip "make hooks" "no git"
fi

# --- scripts/grain ----------------------------------------------------------------

# grain NAME TEXT: scripts/grain objects by that name once the text is added to arp.c
grain() {
	cp arp.c "$work/arp.c"
	printf '%s\n' "$2" >>arp.c
	! scripts/grain >"$work/log" 2>&1 && grep -q "^  $1: " "$work/log"
	ok $? "scripts/grain objects: $1"
	cp "$work/arp.c" arp.c
}

if command -v python3 >/dev/null; then
	scripts/grain >"$work/log" 2>&1
	ok $? "scripts/grain has nothing to object to"
	grain longest "$(echo 'void long_one(void)'; echo '{'; yes ';' | head -81; echo '}')"
	grain 90th "$(for i in {1..300}; do echo "void f$i(void)"; echo '{'
		yes ';' | head -40; echo '}'; done)"
	grain single "$(for i in {1..100}; do
		printf '%s\n' "static void g$i(void)" '{' '}' \
			"void h$i(void)" '{' "g$i();" '}'; done)"
	grain "same name" "$(printf '%s\n' 'static void peer_end(void)' '{' '}')"
	grain "same tag" 'struct udp_port { int other; };'
else
	skip "scripts/grain" "no python3"
fi

# --- compile_commands.json ----------------------------------------------------------

if command -v python3 >/dev/null; then
	make -s compile_commands.json CFLAGS='-O0 -DWORDS="\"two words\""' \
		>"$work/log" 2>&1
	python3 - >>"$work/log" 2>&1 <<-'END'
	import glob, json, os, shlex
	db = json.load(open("compile_commands.json"))
	named = {e["file"] for e in db}
	missing = set(glob.glob("*.c") + glob.glob("test/*/*.c")) - named
	assert not missing, f"not named: {missing}"
	for e in db:
	    args = shlex.split(e["command"])
	    assert os.path.samefile(e["directory"], "."), e
	    assert os.path.exists(e["file"]) and args[-1] == e["file"], e
	args = shlex.split(next(e["command"] for e in db if e["file"] == "tcp.c"))
	assert '-DWORDS="two words"' in args, args
	END
	ok $? "compile_commands.json names each source"
	python3 -c '
import json
for e in json.load(open("compile_commands.json")):
    if e["file"] in ("tcp.c", "qrap.c", "passt-repair.c", "pesto.c",
                     "test/unit/tcp_state.c", "test/fuzz/packet.c",
                     "test/platform/peek_off.c", "test/frame/scatter.c"):
        print(e["command"].replace(" -c ", " -fsyntax-only "))' >"$work/commands"
	sh -e "$work/commands" >"$work/log" 2>&1 && [ "$(wc -l <"$work/commands")" = 8 ]
	ok $? "its commands compile"
else
	skip "compile_commands.json" "no python3"
fi

make -s clean >"$work/log" 2>&1
is "$(find . ! -type d ! -path './contrib/*' \( -name '*.o' -o -name passt -o -name '*.json' \))" \
	"" "make clean leaves nothing that make made"
done_testing
