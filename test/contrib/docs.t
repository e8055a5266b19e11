#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Documents: links and named files exist, pictures are complete, the plot is made from
# the results beside it, and each command block that is marked as a test does what the
# document says.  scripts/blocks describes the marks.
#
# The blocks run in a copy of this tree with passt, pasta and qrap in it and in $PATH,
# in the order of the document, by "sh -e", as an ordinary user on the stage of
# test/lib/ns.sh; with the option "root" as root.  example.org is the peer, which has
# a web server.

. "$(dirname "$0")/../lib/ns.sh"

BLOCK_S=100			# limit of one block, seconds
SRC=$T/home/src
cd "$NS_TOP" || exit 1
documents=(*.md doc/*.md)

command -v python3 >/dev/null || skip_all "no python3"

# --- links ------------------------------------------------------------------------

t "links lead to files and headings, and the files that are named exist" \
	scripts/links

for f in doc/*.md; do
	grep -qF "($f)" README.md || echo "$f"
done > "$T/log"
is "$(cat "$T/log")" "" "README.md leads to each document"

# finds TEXT WHY: does the checker object to a document with this text?
finds() {
	echo "$1" > "$T/home/bad.md"
	like "$(scripts/links "$T/home/bad.md")" "bad.md:1: $2" "objects to: $1"
}
finds '[x](nowhere.md)' "no file"
finds '![x](nowhere.svg)' "no file"
finds '[x](#nowhere)' "no heading"
finds 'as `doc/nowhere.md` says' "names doc/nowhere.md"
finds 'as `packaging/nowhere` does' "names packaging/nowhere"
printf '%s\n' '# One `two`: three' '' '[x](#one-two-three) `FILE.x`' '```' \
	'[x](nowhere)' '```' > "$T/home/good.md"
t "takes the heading of a document, and leaves code alone" \
	scripts/links "$T/home/good.md"

make -s install DESTDIR="$T/root" prefix=/usr >"$T/log" 2>&1
ok $? "documents are installed" || diag "$(cat "$T/log")"
t "links of installed documents lead to installed files" \
	scripts/links -l "$T"/root/usr/share/doc/passt/{.,doc}/*.md

# --- pictures ---------------------------------------------------------------------

# Is a picture XML, does it scale, has it a text for each scheme of colours, and nothing
# from elsewhere?
picture() {
	python3 - "$1" <<-'END' 2>&1
	import re, sys
	import xml.etree.ElementTree as tree
	svg = '{http://www.w3.org/2000/svg}'
	text = open(sys.argv[1], encoding='utf-8').read()
	root = tree.fromstring(text)
	assert root.tag == svg + 'svg', root.tag
	assert root.get('viewBox') and root.get('role') == 'img', root.attrib
	assert root.find(svg + 'title').text, 'no title'
	assert root.find('.//' + svg + 'text') is not None, 'no text'
	assert '@media (prefers-color-scheme: dark)' in text, 'one colour scheme'
	assert 'SPDX-License-Identifier' in text, 'no licence'
	for e in root.iter():
	    assert e.tag not in (svg + 'image', svg + 'script'), e.tag
	    for key, value in e.attrib.items():
	        assert 'href' not in key or value[0] == '#', value
	assert not re.search(r'@import|url\((?!#)', text), 'something from elsewhere'
	END
}
for f in doc/*.svg; do
	[ ! -e "$f" ] || t "$f is complete, for light and dark" picture "$f"
done
echo '<svg xmlns="http://www.w3.org/2000/svg"><text>' > "$T/home/bad.svg"
! picture "$T/home/bad.svg" >/dev/null
ok $? "a picture that is no XML is found"

# --- the plot of the benchmark --------------------------------------------------------

# Results made up for this test: medians 2 and 30, one candidate without the second test
cat > "$T/home/results" <<-END
	# date: 2026-11-28
	# kernel: 6.1
	ours tcp-out-65520 gbps=1.5 share=0.2
	ours tcp-out-65520 gbps=2 share=0.3
	ours tcp-out-65520 gbps=9 share=0.1
	native tcp-out-65520 gbps=4 share=0
	slirp tcp-out-65520 failed=1
	ours crr-local per_s=30 share=0
END
printf '%s\n' before '<!-- bench: table -->' old '<!-- bench: end -->' between \
	'<!-- bench: picture -->' '<!-- bench: end -->' after > "$T/home/plot.md"
t "results are drawn" test/bench/plot "$T"/home/{results,plot.svg,plot.md}
t "the plot is complete, for light and dark" picture "$T/home/plot.svg"
is "$(grep -c 'class="ours"' "$T/home/plot.svg")" 3 "it has a key and a bar for each test"
like "$(cat "$T/home/plot.md")" "before.*TCP, Gb/s: out, MTU 65520 \| 4.0 \| 2.0 \|.*\
TCP connections a second: local, past the tap \| - \| 30 \|.*between.*\(plot.svg\).*after" \
	"a document gets a table of medians, and the picture, between the marks"
echo "ours out" > "$T/home/bad"
like "$(test/bench/plot "$T"/home/{bad,plot.svg} 2>&1)" "bad:1: not CAND" \
	"a line that is no result is named"
if [ -e doc/bench.results ]; then
	mkdir -p "$T/tree/doc"
	cp README.md "$T/tree/"
	cp doc/*.md doc/bench.results "$T/tree/doc/"
	(cd "$T/tree" && "$NS_TOP/test/bench/plot" doc/bench.results doc/bench.svg \
		README.md doc/*.md)
	for f in doc/bench.svg README.md doc/*.md; do
		cmp "$f" "$T/tree/$f"
	done > "$T/log" 2>&1
	is "$(cat "$T/log")" "" "the plot and documents have what doc/bench.results says"
else
	skip "the plot and documents have what doc/bench.results says" "no doc/bench.results"
fi

# --- command blocks -----------------------------------------------------------------

mkdir "$SRC"
tar -c --exclude=./.git --exclude=./build . | tar -x --no-same-owner -C "$SRC"
[ -z "$NS_ROOT" ] || chown -R $USER_ID:$USER_ID "$SRC"
echo "$PEER4 example.org" | cat /etc/hosts - > "$T/hosts"
mount --bind "$T/hosts" /etc/hosts
# tcpdump wants to become another user, which root of a namespace with one user can't
if [ -z "$NS_ROOT" ] && tcpdump=$(command -v tcpdump); then
	printf '#!/bin/sh\nexec unshare --map-user=1000 %s "$@"\n' "$tcpdump" > "$T/bin/tcpdump"
	chmod 755 "$T/bin/tcpdump"
fi
mkdir "$T/web"
echo "it works" > "$T/web/index.html"
exec_peer python3 -m http.server -d "$T/web" 80 >/dev/null 2>&1 &
wait_for listening tcp 80 peer

# As a session of its own, whose other processes end with the block
# session user|root FILE
session() {
	# shellcheck disable=SC2016 # for the inner shell
	run_as "$1" env PATH="$SRC:$PATH" CFLAGS=-O0 SHELL=/bin/sh \
		timeout -k 2 $BLOCK_S setsid -w sh -c \
		'cd "$0" && echo $$ >../sid && exec sh -e "$1"' "$SRC" "$2" \
		</dev/null >"$T/home/out" 2>&1
	local rc=$?
	pkill -s "$(cat "$T/home/sid")"
	processes | xargs -r kill 2>/dev/null
	return $rc
}

# Those of the copy, too
processes() { pgrep -x 'passt|pasta'; }

# block FILE NAME OPTION...
block() {
	local file=$1 name=$2 who=user program rc why
	shift 2
	if [ "${1-}" = root ]; then
		who=root
		[ -n "$NS_ROOT" ] || { skip "$file: $name" "needs root"; return; }
		shift
	fi
	[ "${1-}" != needs ] || shift
	for program; do
		command -v "$program" >/dev/null ||
			{ skip "$file: $name" "no $program"; return; }
	done
	scripts/blocks show "$file" "$name" > "$T/home/block"
	session $who "$T/home/block"
	rc=$?
	why=$(scripts/blocks compare "$file" "$name" < "$T/home/out")
	[ $rc = 0 ] && [ -z "$why" ]
	ok $? "$file: $name" || diag "exit $rc; $why
$(tail -40 "$T/home/out")"
}

scripts/blocks list "${documents[@]}" > "$T/blocks"
ok $? "marks in documents are well-formed"
while read -r file _ name options; do
	# shellcheck disable=SC2086 # words
	block "$file" "$name" $options
done < "$T/blocks"

# The checks themselves: a document with a wrong status, and with wrong output
{
	printf '<!-- test: %s -->\n```\n%s\n```\n' status false
	printf '<!-- test: %s -->\n```\n%s\n%s\n```\n' output '$ echo one' two
	printf '<!-- test: %s -->\n```\n%s\n%s\n```\n' right '$ echo a b c' 'a  ... c'
	printf '<!-- test: %s -->\n```\n%s\n```\n' apart 'echo one; echo two; echo 3'
	printf '<!-- output: %s -->\n```\n%s\n%s\n```\n' apart one 3
	printf '<!-- output: %s -->\n```\n%s\n```\n' apart one
} > "$T/home/self.md"
self() { (block "$T/home/self.md" "$1" | grep -q '^ok'); }
! self status
ok $? "a command that fails is found"
! self output
ok $? "output that differs is found"
self right
ok $? "commands and output in one block"
! self apart
ok $? "lines in another order are found"
done_testing
