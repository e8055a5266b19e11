#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The files that a hosting service or a distribution reads: they parse, they call
# scripts that exist, and a CI machine has all programs that these scripts need.

. "$(dirname "$0")/../lib/tap.sh"
no_stage
cd "$top" || exit 1
. test/lib/needs.sh
yaml=/usr/lib/python3/dist-packages/yaml

# load FILE EXPRESSION: evaluate it with the parsed file as d, print its value
load() {
	python3 -c '
import sys, yaml
d = yaml.safe_load(open(sys.argv[1], encoding="utf-8").read().split("\n---\n")[0])
v = eval(sys.argv[2])
print("\n".join(map(str, v)) if isinstance(v, list) else v)' "$@" 2>"$work/log"
}

# --- CI -----------------------------------------------------------------------------

# ci FILE: checks of one file, whose parts are in $work
ci() {
	local image=$1 limit=$2 f
	[ "$image" = debian:12 ]
	ok $? "$what: Debian 12 is the image"
	[ "${limit:-0}" -ge 60 ] 2>>"$work/log"
	ok $? "$what: it has a time limit"
	bash -n "$work/script" 2>"$work/log"
	ok $? "$what: its commands are shell"
	grep -qxF .ci/run "$work/script" && [ -x .ci/run ]
	ok $? "$what: it calls .ci/run, which can be started"
	grep -oE '(^|[[:space:]])\.?/?(scripts|test|\.ci)/[a-z/-]+' "$work/script" |
		while read -r f; do [ -x "$f" ] || echo "$f"; done >"$work/log"
	[ ! -s "$work/log" ]
	ok $? "$what: each script that it calls exists"
	grep -q 'apt-get install .*\bgit\b' "$work/script" &&
		grep -q 'apt-get update' "$work/script"
	ok $? "$what: git is installed, which the image lacks"
}

if [ -e $yaml ]; then
	what=.github/workflows/ci.yml
	load $what '[s["run"] for s in d["jobs"]["check"]["steps"] if "run" in s]' \
		>"$work/script"
	ok $? "$what is YAML"
	ci "$(load $what 'd["jobs"]["check"]["container"]["image"]')" \
		"$(load $what 'd["jobs"]["check"]["timeout-minutes"]')"
	[ "$(load $what 'd["jobs"]["check"]["container"]["options"]')" = --privileged ]
	ok $? "$what: the container is privileged"
	load $what '[s["uses"] for s in d["jobs"]["check"]["steps"] if "uses" in s]' |
		grep -vE '^actions/[a-z-]+@v[0-9]+$' >"$work/log"
	[ $? = 1 ]
	ok $? "$what: it uses nothing but the service's own actions"

	what=.gitlab-ci.yml
	load $what 'd["check"]["before_script"] + d["check"]["script"]' >"$work/script"
	ok $? "$what is YAML"
	limit=$(load $what 'd["check"]["timeout"]')
	limit=${limit:-0h}
	ci "$(load $what 'd["check"]["image"]')" $((${limit%h} * 60))
	[ "$(load $what 'd["check"]["tags"]')" = privileged ]
	ok $? "$what: its containers are privileged"

	what=.github/ISSUE_TEMPLATE/bug_report.md
	[ "$(load $what 'sorted(d)')" = $'about\nlabels\nname' ]
	ok $? "$what begins with what the service wants to know"
else
	skip "YAML files" "needs: python3-yaml"
fi

# --- what .ci/run needs --------------------------------------------------------------

# Debian calls packages essential that every image has
essential() {
	local f
	f=$(command -v "$1") && f=$(dpkg -S "$f" "${f#/usr}" 2>/dev/null | head -1) &&
		[ "$(dpkg-query -Wf '${Essential}' "${f%%:*}" 2>/dev/null)" = yes ]
}

listed() { grep -q "^$1[[:space:]]" <<<"$needs_build$needs_named$needs_lint$needs_bench"; }

if command -v dpkg >/dev/null; then
	sed -nE 's/^step ("[^"]*"|[^ ]*) ([^ ]*) .*/\2/p' scripts/lint | sort -u |
		while read -r tool; do
			listed "$tool" || essential "$tool" || echo "$tool"
		done >"$work/log"
	[ ! -s "$work/log" ] && grep -q '^step ' scripts/lint
	ok $? "test/lib/install installs each linter"
else
	skip "test/lib/install installs each linter" "no dpkg"
fi
grep -q '^test/lib/install lint bench' .ci/run
ok $? ".ci/run installs what it needs"

# --- what people read ---------------------------------------------------------------

number=$(cat VERSION)
grep -qF "## [$number] - 20" CHANGELOG.md && grep -qF "Tag \`v$number\`." CHANGELOG.md &&
	grep -qx '## \[Unreleased\]' CHANGELOG.md
ok $? "CHANGELOG.md has a section for the version, with its tag"
awk '/^## \[/ { v = $0 }
     /^### / && !/^### (Added|Changed|Deprecated|Removed|Fixed|Security)$/ {
	print v ": " $0 }' CHANGELOG.md >"$work/log"
[ ! -s "$work/log" ]
ok $? "its sections are those of Keep a Changelog"
grep -o 'git shortlog.*' AUTHORS >"$work/command" &&
	{ [ ! -e .git ] || sh "$work/command" </dev/null >"$work/log" 2>&1; }
ok $? "the command in AUTHORS works"
for f in .github/*.md .github/*/*.md; do
	grep -oE '\b[A-Za-z/]+\.(md|1)\b' "$f" | while read -r name; do
		[ -e "$name" ] || echo "$f: $name"
	done
done >"$work/log"
[ ! -s "$work/log" ]
ok $? "templates name files that exist"
done_testing
