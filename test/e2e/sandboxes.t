#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --splice-only: a namespace with nothing but a few ports of the host's loopback,
# as programs are locked up in that may talk to a proxy alone

. "$(dirname "$0")/../lib/ns.sh"

echo hello > "$T/home/file"
python3 -m http.server -b 127.0.0.1 8000 -d "$T/home" >/dev/null 2>&1 &
wait_for listening tcp 8000
get='import urllib.request as u; print(u.urlopen("http://127.0.0.1:8000/file", timeout=5).read())'

for WHO in user root; do
	only() { run_as "$WHO" "$PASTA" -q --splice-only -t none -u none -U none "$@"; }
	is "$(only -T 8000 -- python3 -c "$get")" "b'hello\\n'" \
		"$WHO: the port that was named is reached"
	is "$(only -T 8001 -- python3 -c "$get" 2>&1 | tail -1)" \
		"urllib.error.URLError: <urlopen error [Errno 111] Connection refused>" \
		"$WHO: another one is not"
	is "$(only -T 8000 -- ip -br link | awk '{ print $1 }')" lo \
		"$WHO: there is no interface but lo"
	only -T 8000 -- ping -c1 -W1 $PEER4 >/dev/null 2>&1
	is $? 2 "$WHO: and no way out"
done

rm -f /dev/net/tun
is "$(run_as user "$PASTA" --splice-only -T 8000 -- python3 -c "$get" 2>"$T/err")" \
	"b'hello\\n'" "it needs no /dev/net/tun"
is "$(grep -c 'MAC\|DHCP\|interface' "$T/err")" 0 "and tells of no link"
done_testing
