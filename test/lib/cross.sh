# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Build the static programs for another architecture, and run them and the tests of
# their modules: on this machine if its kernel can do that, else in qemu's emulator.
#
# An emulator of one process lacks calls and options of the kernel.  The points that
# fail for this are in cross-limits, each group with its reason: they are skipped, by
# name.  Every other point has to pass.

# shellcheck source=test/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"
no_stage
cd "$top" || exit 1

# run_one PROGRAM [ARGUMENT...]: a test; its output and status are files in $work. An
# emulator can't make user namespaces: a user's test that needs one starts inside of it
run_one() {
	local name alone=()
	name=$(basename "$1")
	if [ ${#emulate[@]} != 0 ] && [ "$(id -u)" != 0 ] &&
	   grep -qs own_net.h "test/unit/$name.c" && unshare -Urn true 2>/dev/null; then
		alone=(unshare -Urn --)
	fi
	timeout -s KILL 90 "${alone[@]}" "${emulate[@]}" "$@" >"$work/$name.out" 2>&1 </dev/null
	echo $? >"$work/$name.status"
}

# limits NAME: what the emulator can't do of a test: "POINT<tab>TIMES<tab>REASON"
limits() {
	awk -F '\t' -v test="$1" -v arch="$cross" '
		/^= / { reason = "in the emulator, " substr($0, 3) }
		$1 == test || $1 == test "/" arch { print $2 "\t" $3 "\t" reason }
	' test/lib/cross-limits
}

# report NAME: points of a unit test; those within the emulator's limits are skipped
report() {
	local name=$1 status line point times reason passed=0 failed=0 all=0 plan=
	declare -A limit=() left=()

	status=$(cat "$work/$name.status")
	if [ ${#emulate[@]} != 0 ]; then
		while IFS=$'\t' read -r point times reason; do
			limit[$point]=$reason left[$point]=$times
		done < <(limits "$name")
	fi
	if [ -n "${limit[*]-}" ] && [ -n "${limit["*"]-}" ]; then
		skip "unit/$name" "${limit["*"]}"
		return
	fi
	: >"$work/log"
	while read -r line; do
		case $line in
		"ok "*"# SKIP"*)
			all=$((all + 1))
			point=${line#*- } reason=${line#*# SKIP }
			skip "unit/$name: ${point%% # SKIP*}" "$reason";;
		"ok "*)	all=$((all + 1)) passed=$((passed + 1));;
		"not ok "*)
			all=$((all + 1))
			point=${line#*- }
			if [ "${left[$point]-0}" -gt 0 ]; then
				left[$point]=$((left[$point] - 1))
				skip "unit/$name: $point" "${limit[$point]}"
			else
				failed=$((failed + 1))
				echo "$line" >>"$work/log"
			fi;;
		"1..0 # SKIP "*)
			all=-1
			skip "unit/$name" "${line#*SKIP }";;
		"1.."*)	plan=${line#1..};;
		esac
	done <"$work/$name.out"
	[ $all != -1 ] || return
	[ "$status" -le 1 ] && [ $failed = 0 ] && [ $all != 0 ] && [ "$plan" = $all ]
	line=$?
	[ $line = 0 ] || { echo "status $status, $all points, plan '$plan'"; tail -5 "$work/$name.out"; } >>"$work/log"
	ok $line "unit/$name: $passed points"
}

# cross NAME COMPILER HEADER EMULATOR MACHINE: all of it; HEADER is one of the C library,
# MACHINE is as readelf tells it
cross() {
	local compiler=$2 header=$3 emulator=$4 machine=$5 dir program name
	cross=$1 emulate=()
	dir=build/static-$cross

	if ! command -v "$compiler" >/dev/null || [ ! -e "$header" ]; then
		skip_all "needs $compiler and $header"
	fi
	make -s -j"$(nproc)" static-tests CROSS="$cross" >"$work/log" 2>&1
	ok $? "everything is built for $cross"
	[ ! -s "$work/log" ]
	ok $? "  without a warning"
	calls_known "$dir"
	readelf -hld "$dir/passt" >"$work/log" 2>&1
	grep -q "Machine: *$machine" "$work/log" && ! grep -q -e NEEDED -e INTERP "$work/log"
	ok $? "passt is for $machine, and needs no library"

	if ! "$dir/passt" --version >/dev/null 2>&1 || [ -n "${CROSS_EMULATE-}" ]; then
		emulate=("$emulator")
		if ! command -v "$emulator" >/dev/null; then
			skip "programs of $cross run" "needs $emulator"
			done_testing
		fi
	fi
	"${emulate[@]}" "$dir/passt" --version >"$work/log" 2>&1 &&
		grep -q '^passt [0-9]' "$work/log"
	ok $? "passt tells its version${emulate[*]:+ in }${emulate[*]}"
	for program in passt pasta; do
		"${emulate[@]}" "$dir/$program" --help >"$work/log" 2>&1 &&
			grep -q -e --config-net "$work/log"
		ok $? "$program has help"
	done
	for program in qrap passt-repair pesto; do
		"${emulate[@]}" "$dir/$program" >"$work/log" 2>&1
		grep -qi usage "$work/log"
		ok $? "$program starts"
	done

	export -f run_one
	export work emulate_line="${emulate[*]}"
	# shellcheck disable=SC2016
	{
		for name in test/unit/*.c; do
			echo "$dir/unit/$(basename "$name" .c)"
		done
		for name in test/fuzz/*.c; do
			name=$(basename "$name" .c)
			[ "$name" = replay ] ||
				echo "$dir/fuzz/$name-replay test/fuzz/corpus/$name"
		done
	} | while read -r program name; do
		# Not run where nothing of it would work
		if [ ${#emulate[@]} = 0 ] ||
		   ! limits "$(basename "$program")" | grep -q '^\*'; then
			echo "$program${name:+ $name}"
		fi
	done | xargs -P "$(nproc)" -L 1 bash -c '
		read -ra emulate <<<"$emulate_line"
		run_one "$@"' -
	for name in test/unit/*.c; do
		name=$(basename "$name" .c)
		[ -e "$work/$name.status" ] || echo 1 >"$work/$name.status"
		[ -e "$work/$name.out" ] || : >"$work/$name.out"
		report "$name"
	done
	for name in test/fuzz/*.c; do
		name=$(basename "$name" .c)
		[ "$name" != replay ] || continue
		tail -5 "$work/$name-replay.out" >"$work/log"
		[ "$(cat "$work/$name-replay.status")" = 0 ]
		ok $? "fuzz/$name: the corpus is replayed"
	done
}

# whole NAME COMMAND...: a test of the whole program, which speaks TAP
whole() {
	local name=$1 status
	shift
	timeout -s KILL 200 "$@" >"$work/whole" 2>&1 </dev/null
	status=$?
	if grep -q '^1\.\.0' "$work/whole"; then
		skip "$name" "$(sed -n 's/^1\.\.0.*SKIP //p' "$work/whole")"
		return
	fi
	grep -A5 '^not ok' "$work/whole" >"$work/log"
	[ $status = 0 ] && [ ! -s "$work/log" ] && grep -q '^1\.\.' "$work/whole"
	ok $? "$name: $(grep -c '^ok' "$work/whole") points"
}

# calls_known DIR: does each call that the sources name have a number here? Some names
# are of older calls, of which another one in the list takes the place
calls_known() {
	local name unknown=()
	for name in $(sed -n 's|^/\* [a-z]*: \(.*\) \*/|\1|p' "$1/seccomp.h"); do
		grep -q "__NR_$name\$" "$work/numbers" 2>/dev/null && continue
		if [ ! -e "$work/numbers" ]; then
			echo '#include <sys/syscall.h>' | "$compiler" -E -dM - |
				awk '$2 ~ /^__NR_/ { print $2 }' >"$work/numbers"
			grep -q "__NR_$name\$" "$work/numbers" && continue
		fi
		case $name in
		# for accept4, openat and so on
		accept|epoll_wait|open|poll|readlink|recv|send|sigreturn|waitpid) ;;
		# of 32-bit machines, and the calls of which they take the place
		*64|mmap2|mmap|newfstatat) ;;
		*)	# through socketcall()
			if grep -q '__NR_socketcall$' "$work/numbers"; then
				case $name in bind|connect|listen|socket|accept4|get*name|\
					?etsockopt|send*|recv*|shutdown) continue;; esac
			fi
			unknown+=("$name");;
		esac
	done
	echo "${unknown[*]}" >"$work/log"
	[ ${#unknown[@]} = 0 ] && [ -s "$work/numbers" ]
	ok $? "its system call filters know every call"
}
