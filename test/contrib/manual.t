#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The manual: each example that is marked as a test does what the text says, each message
# that the programs print at the start, and each counter, is explained, and the pages
# are found by their names.
#
# A mark is a comment before a literal block, and more of them may stand in or after it:
#
#	.\" test: NAME [root] [needs PROGRAM...]
#	.\" run: COMMAND	a command that readers don't see
#	.\" check: COMMAND	the last command of the block runs in the background, and
#				this one has to succeed in time
#	.\" output: LINE	the output has to have this line, as in scripts/blocks

. "$(dirname "$0")/../lib/ns.sh"
command -v python3 >/dev/null || skip_all "no python3"

BLOCK_S=60			# limit of one block, seconds
PROGRAMS="busybox curl qemu-system-x86_64 setcap"	# that marks may name

# --- pages and messages ---------------------------------------------------------------

cd "$NS_TOP" || exit 1

# explained PAGE SOURCE...: print labels of the sources that the page does not explain
explained() {
	python3 - "$@" <<-'END'
	import re, sys
	page = open(sys.argv[1], encoding='utf-8').read()
	part = re.search(r'^\.Sh MESSAGES\n(.*?)^\.Sh', page, re.S | re.M)[1]
	# Headings of the lists, and marked words: their words alone
	def words(text):
	    return ' ' + ' '.join(re.findall(r"[A-Za-z0-9][\w./'-]*[\w]|\w", text)) + ' '
	text = words(' / '.join(re.findall(r'^\.(?:It|Cm) (.*)', part, re.M)))
	n = 0
	for path in sys.argv[2:]:
	    source = open(path, encoding='utf-8').read()
	    source = re.sub(r'"\s*(?:PRIu64\s*)?\n?\s*"', '', source)
	    labels = re.findall(r'counters_add(?:_if)?\(c,\s*"([^"]+)"', source)
	    labels += re.findall(r'title = "([^"]+)"', source)
	    labels += re.findall(r'print_(?:addr|interfaces)\("([^"]+)"', source)
	    labels += re.findall(r'\? "\s*\(([a-z -]+)\)"', source)
	    if path == 'conf_print.c':
	        for pair in re.findall(r'\? "(\w+)" : "([\w/]+)"', source):
	            labels += pair
	    labels += re.findall(r'\[PKT_E_\w+\]\s*= "([^"]+)"', source)
	    for message in re.findall(r'info(?:_limited)?\(\s*"([^"]+)"', source):
	        # Not the examples of command lines
	        if '...' not in message:
	            labels += re.split(r'%-?\w*|[:;,] ', message)
	    for label in labels:
	        w = words(label)
	        if len(w) < 5 or w == ' Stats ':
	            continue
	        n += 1
	        if w not in text:
	            print(f'{path}: {label.strip()}')
	print(n, 'labels')
	END
}
sources=(conf_print.c control.c ports.c hostnet.c client.c passt.c netns.c resolv.c scan.c listen_change.c identity.c
	repair.c stats.c packet.c flow.c flow_share.c icmp.c inbound.c input.c migrate.c tcp_migrate.c
	tcp.c tcp_splice.c udp.c udp_splice.c)
out=$(explained passt.1 "${sources[@]}")
is "$(grep -v ' labels$' <<<"$out")" "" "each label is explained"
[ "$(sed -n 's/ labels$//p' <<<"$out")" -gt 100 ]
ok $? "they are $(tail -1 <<<"$out")"
grep -lE '^[^*]*\<(info(_limited)?\("|counters_add)' ./*.c | sed 's|^./||' >"$T/has"
printf '%s\n' "${sources[@]}" >"$T/known"
is "$(grep -vxFf "$T/known" "$T/has")" "" "each source with such a label is looked at"
sed '/^.It TCP past the tap/d; s/wrong checksum/bad sum/; /^.It router/d' passt.1 >"$T/less"
out=$(explained "$T/less" "${sources[@]}")
like "$out" "router.*wrong checksum.*TCP past the tap" "a missing label is found"

if command -v mandoc >/dev/null; then
	for page in passt.1 qrap.1 passt-repair.1 pesto.1 passt-control.7; do
		is "$(mandoc -Tlint -W style "$page" 2>/dev/null | grep -v 'manual not found')" "" \
			"mandoc has no objection to $page"
	done
	make -s install DESTDIR="$T/root" prefix=/usr >"$T/log" 2>&1
	for page in passt.1 pasta.1 qrap.1 passt-repair.1 pesto.1 passt-control.7; do
		like "$(mandoc -Tmarkdown "$T/root/usr/share/man/man${page#*.}/$page" 2>&1)" \
			"\\*\\*${page%.*}\\*\\*" "the page of ${page%.*} is installed"
	done
else
	skip "mandoc's opinion" "no mandoc"
fi

# --- examples -----------------------------------------------------------------------

# blocks_of PAGE: print the marked blocks in the form of scripts/blocks
blocks_of() {
	python3 - "$1" <<-'END'
	import re, sys
	def text(s):
	    return s.replace('\\e', '\\').replace('\\&', '').replace('\\-', '-')
	name, out, block, more = '', [], None, False
	def show(line):
	    out.append('$ ' + line)
	def flush():
	    global out
	    if name:
	        options = name
	        print(f'<!-- test: {options} -->\n```')
	        print('\n'.join(out), '```', sep='\n')
	        for line in wanted:
	            print(f'<!-- output: {name.split()[0]} -->\n```\n{line}\n```')
	    out = []
	wanted = []
	for line in open(sys.argv[1], encoding='utf-8'):
	    line = line.rstrip('\n')
	    mark = re.match(r'\.\\" (test|run|check|output): (.*)', line)
	    if mark and mark[1] == 'test':
	        flush()
	        name, wanted = mark[2], []
	    elif mark and mark[1] == 'run':
	        show(mark[2])
	    elif mark and mark[1] == 'check':
	        out[-1] += ' &'
	        show('n=0; until ' + mark[2] + '; do sleep 0.1; n=$((n + 1)); '
	             '[ $n -lt 300 ]; done')
	    elif mark:
	        wanted.append(mark[2])
	    elif line.startswith('.Bd -literal') and name:
	        block, more = True, False
	    elif line == '.Ed':
	        block = False
	        # The next block without a mark is no test
	    elif block and more:
	        out.append('> ' + text(line))
	        more = line.endswith('\\e')
	    elif block and re.match(r'[$#] ', line):
	        show(text(line[2:]))
	        more = line.endswith('\\e')
	    elif block:
	        out.append(text(line))
	    elif line.startswith('.Bd'):
	        block = False
	    if line.startswith('.Sh') or line.startswith('.Pp') and block is False:
	        flush()
	        name = ''
	flush()
	END
}

# answer ADDRESS PORT TEXT [peer]: an HTTP server that has one answer to all
answer() {
	"exec_${4-here}" python3 -c '
import http.server, sys
class One(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[3].encode() + b"\n")
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), One).serve_forever()
' "$1" "$2" "$3" >/dev/null 2>&1 &
}
exec_here() { exec "$@"; }

# session user|root FILE: run it in a folder of its own; its processes end with it
session() {
	rm -rf "$T/home/dir"
	# shellcheck disable=SC2016 # for the inner shell
	run_as "$1" env PATH="$T/bin:$PATH" SHELL=/bin/sh TERM=dumb DISPLAY= \
		timeout -k 2 $BLOCK_S setsid -w sh -c \
		'mkdir "$0" && cd "$0" && echo $$ >../sid && exec sh -e "$1"' \
		"$T/home/dir" "$2" </dev/null >"$T/home/out" 2>&1
	local rc=$?
	pkill -s "$(cat "$T/home/sid")"
	pgrep -x 'passt|pasta' | xargs -r kill 2>/dev/null
	wait_for no_programs
	return $rc
}
no_programs() { ! pgrep -x 'passt|pasta|pasta-init' >/dev/null; }

# example NAME OPTION...
example() {
	local name=$1 who=user rc why program
	shift
	if [ "${1-}" = root ]; then
		who=root
		[ -n "$NS_ROOT" ] || { skip "example: $name" "needs root"; return; }
		shift
	fi
	[ "${1-}" != needs ] || shift
	for program; do
		command -v "$program" >/dev/null ||
			{ skip "example: $name" "no $program"; return; }
	done
	"$T/home/blocks" show "$T/home/page.md" "$name" >"$T/home/block"
	session $who "$T/home/block"
	rc=$?
	why=$("$T/home/blocks" compare "$T/home/page.md" "$name" <"$T/home/out")
	[ $rc = 0 ] && [ -z "$why" ]
	ok $? "example: $name" || diag "exit $rc; $why
$(cat "$T/home/block" "$T/home/out" | tail -60)"
}

{ blocks_of passt.1; blocks_of qrap.1; } >"$T/home/page.md"
cp scripts/blocks "$T/home/blocks"
cp qrap "$T/bin/"
cd "$T/home" || exit 1
printf '%s example.org www.example.org\n' "$PEER4" | cat /etc/hosts - >"$T/hosts"
mount --bind "$T/hosts" /etc/hosts
# These hide files of the machine
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /usr/local/bin && cp "$T/bin/passt" /usr/local/bin/ &&
	ln -s passt /usr/local/bin/pasta
answer "$PEER4" 80 "the peer" peer
answer 127.0.0.1 8000 "the host's loopback"
answer 127.0.0.1 3128 "the proxy"
wait_for listening tcp 80 peer
wait_for listening tcp 8000
wait_for listening tcp 3128

"$T/home/blocks" list "$T/home/page.md" >"$T/list"
ok $? "marks in the manual are well-formed"
[ "$(wc -l <"$T/list")" -ge 12 ]
ok $? "there are $(wc -l <"$T/list") examples"
needed=$(sed -n 's/.* needs //p' "$T/list" | tr ' ' '\n' | sort -u | xargs)
is "$needed" "$PROGRAMS" "the packages that they need are known"
while read -r _ _ name options <&5; do
	# shellcheck disable=SC2086 # words
	example "$name" $options
done 5<"$T/list"
done_testing
