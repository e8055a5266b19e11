#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The SELinux policy: it compiles, it links with the reference policy of Debian, which has
# all the types and permissions that it names, and it allows each action of a traced run.
#
# It is not loaded into any kernel.

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
policy=$top/contrib/selinux
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

# reference DIR: unpack the modules "base" and "unconfined" of Debian's policy
reference() {
	local m
	mkdir -p "$1"
	[ -s "$1/unconfined.pp" ] && return
	(cd "$1" && rm -rf root && apt-get -q -o APT::Sandbox::User=root \
		download selinux-policy-default && dpkg -x selinux-policy-default*.deb root) \
		>/dev/null 2>&1 || return 1
	for m in base unconfined; do
		bzip2 -dkc "$1/root/usr/share/selinux/default/$m.pp.bz2" > "$1/$m.pp" ||
			return 1
	done
}

if [ -z "${NS_INSIDE-}" ]; then
	for tool in checkmodule semodule_package semodule_link; do
		command -v $tool >/dev/null || {
			echo "1..0 # SKIP needs: checkpolicy, semodule-utils"
			exit 0
		}
	done
	REFERENCE=${BUILD:-$top/build}/selinux
	reference "$REFERENCE" || REFERENCE=
	export REFERENCE
fi
. "$here/../lib/ns.sh"
. "$here/traced.sh"

out=$T/home
t "the policy compiles" checkmodule -M -m -o "$out/passt.mod" "$policy/passt.te"
t "it makes a package with its file contexts" semodule_package -o "$out/passt.pp" \
	-m "$out/passt.mod" -f "$policy/passt.fc"
name="Debian's reference policy has all that it requires"
if [ -n "$REFERENCE" ]; then
	t "$name" semodule_link -o "$out/linked" "$REFERENCE/base.pp" \
		"$REFERENCE/unconfined.pp" "$out/passt.pp"
else
	skip "$name" "selinux-policy-default can't be had"
fi

# context PATH: the type in passt.fc that a path gets: of several expressions the last one
context() {
	awk -v path="$1" '
		/^\// { split($NF, c, ":"); if (path ~ "^" $1 "$") type = c[3] }
		END { print type }' "$policy/passt.fc"
}
for f in /usr/bin/passt=passt_exec_t /usr/bin/passt.avx2=passt_exec_t \
	 /usr/local/bin/pasta=pasta_exec_t /tmp/passt_1.socket=passt_socket_t \
	 /run/user/1000/passt/vm.socket=passt_socket_t \
	 /run/user/1000/passt/vm.pid=passt_pid_t /run/user/1000/pasta/web.pid=passt_pid_t \
	 /var/log/passt/vm=passt_log_t; do
	is "$(context "${f%=*}")" "${f#*=}" "the context of ${f%=*}"
done

if traced_reason; then
	traced_run
	from_here python3 "$here/confine.py" selinux "$policy/passt.te" -- \
		"${TRACED_MAP[@]}" -- "$T"/trace/*
else
	skip "a traced run fits the policy" "needs strace, python3 and root"
fi
done_testing
