# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Traffic through a daemon whose system calls fail: see faults.c.  Source this file after
# ns.sh.
#
#	PART	1, 2 or 3: which third of the cells, "all"; by default another one each day
#
# Cells after one that ends the daemon run with another daemon.

PART=${PART:-$((EPOCHSECONDS / 86400 % 3 + 1))}
[ "$PART" = all ] || PART=$((PART - 1))/3
CONTROL=$T/home/control
SHARED=$T/home/shared
CASES=$T/cases
DNS4=198.51.100.53

faults_stage() {
	[ -n "$NS_ROOT" ] || skip_all "needs root, to enter all namespaces"
	mkdir -p "$CASES"
	cc -std=gnu11 -D_GNU_SOURCE -O2 -pthread -o "$T/bin/faults" \
		"$NS_TOP/test/faults/faults.c" &&
		cc -std=gnu11 -D_GNU_SOURCE -O2 -fPIC -shared -o "$T/bin/shim.so" \
		"$NS_TOP/test/faults/shim.c" || {
		echo "Bail out! the library can't be built"
		exit 1
	}
	cp "$NS_TOP/pesto" "$T/bin/"
	printf '#!/bin/sh\nexec env LD_PRELOAD=%s FAULTS=%s %s "$@"\n' "$T/bin/shim.so" \
		"$SHARED" "$PASTA" > "$T/bin/faulty-pasta"
	sed "s,$PASTA,$T/bin/passt," "$T/bin/faulty-pasta" > "$T/bin/faulty-passt"
	chmod 755 "$T/bin"/*
	truncate -s 4096 "$SHARED"
	chmod 666 "$SHARED"
	diag "PART=$PART"
}

# What both programs carry. The inside has the port 9001, which leads there, and the
# host's loopback 8001
traffic() {
	local far6=${PEER6//:/.} host6=${HOST6//:/.}
	echo serve:peer:7001 serve:peer:53 serve:host:8001 serve:inside:9001
	for proto in tcp udp; do
		echo $proto:"$proto"-out4:inside:$PEER4:7001 $proto:"$proto"-out6:inside:$far6:7001
		echo $proto:"$proto"-in4:peer:$HOST4:9001 $proto:"$proto"-in6:peer:$host6:9001
		echo $proto:"$proto"-dns:inside:$DNS4:53
		echo $proto:"$proto"-host:host:127.0.0.1:9001
	done
	echo ping:ping4:inside:$PEER4:0 ping:ping6:inside:$far6:0
}

# cells NAME SPEC...: run the cells from $first on, which becomes the next one; true if all
# are done
cells() {
	local name=$1 out rc specs
	shift
	mapfile -t specs < <(traffic | tr ' ' '\n')
	while IFS= read -r out; do
		case $out in
		*'ok - '*) tap_n=$((tap_n + 1))
			echo "${out%%ok - *}ok $tap_n - $name: ${out#*ok - }"
			case $out in not*) tap_bad=$((tap_bad + 1));; esac;;
		done=*)	first=${out#done=};;
		status=*) rc=${out#status=};;
		*)	echo "$out";;
		esac
	done < <(timeout "${LIMIT:-240}" faults "$SHARED" "$NS_TOP/test/faults/$name.cells" \
			"$DAEMON" "$PART" "$first" host=$$ peer="$PEER_PID" inside="$INNER" \
			"${specs[@]}" "ask:control:host:$T/bin/pesto $CONTROL rules" "$@" \
			2>"$T/cells.err"
		echo "status=$?")
	[ $rc = 0 ] || [ $rc = 3 ] || {
		ok 1 "$name: the cells run"
		diag "status $rc: $(head -20 "$T/cells.err" "$T/err")"
	}
	[ $rc != 3 ] || diag "$(tail -5 "$T/err")"
	[ $rc != 3 ]
}

ping_allow() { nsenter -t "$INNER" -n -- sh -c \
	'echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range'; }
