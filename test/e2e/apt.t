#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A real program: apt-get update in a namespace of pasta, over the network that
# the machine has, as root and as a user, against the same without pasta.

NS_KEEP_NET=1
. "$(dirname "$0")/../lib/ns.sh"

[ -n "$NS_ROOT" ] || skip_all "needs root, to have an own /dev/net/tun"
command -v apt-get >/dev/null || skip_all "no apt-get here"
ip route get 203.0.113.1 >/dev/null 2>&1 || skip_all "no network"

# lists USER NAME: options for lists and cache in a folder of the user's
lists() {
	local dir=$T/home/$2
	rm -rf "$dir"
	run_as "$1" mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	opts=(-q -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache"
	      -o APT::Sandbox::User=root -o Acquire::Retries=0
	      -o Acquire::http::Timeout=20
	      -o APT::Update::Error-Mode=any)
}

# timed COMMAND...: sets ms
timed() {
	local start rc
	start=$(now_ms)
	"$@" >"$T/out" 2>&1 </dev/null
	rc=$?
	ms=$(($(now_ms) - start))
	return $rc
}

lists user native
timed as_user apt-get "${opts[@]}" update ||
	skip_all "apt-get update does not work without pasta either"
native=$ms
diag "native: $native ms"

# in_time MS RC: it was, or has failed: else once more, as networks vary
in_time() { [ "$2" != 0 ] || [ "$1" -le $((native * 2 + 3000)) ]; }

for _ in 1 2 3; do
	lists user user
	timed as_user "$PASTA" --config-net -- apt-get "${opts[@]}" update
	rc=$?
	in_time "$ms" "$rc" && break
done
ok "$rc" "user: apt-get update" || diag "$(tail -20 "$T/out")"
le "$ms" $((native * 2 + 3000)) "user: ms, in about native time"

# Root uses the system's lists and apt's own user; they are private here
for _ in 1 2 3; do
	mount -t tmpfs -o mode=755 tmpfs /var/lib/apt/lists
	mkdir /var/lib/apt/lists/partial
	chown _apt /var/lib/apt/lists/partial 2>/dev/null
	timed "$PASTA" --config-net -- apt-get -q -o APT::Update::Error-Mode=any \
		update
	rc=$?
	in_time "$ms" "$rc" && break
done
ok "$rc" "root: apt-get update" || diag "$(tail -20 "$T/out")"
le "$ms" $((native * 2 + 3000)) "root: ms, in about native time"
done_testing
