#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# seccomp.sh - Make the system call filters from the sources
#
# Usage: seccomp.sh COMPILER FILE.c... > seccomp.h
#
# A comment on a line of its own names the calls that the function below makes:
#
#	/* #syscalls read write */		in both modes
#	/* #syscalls:pasta wait4 */		in this mode alone
#	/* #syscalls:helper sendmsg */		in a process of that name alone
#
# Any name but those of the modes stands for another process. That process has a
# filter of its own, which allows only the calls marked for it.
#
# The C preprocessor knows the numbers of the calls on the architecture that the
# compiler builds for. A name without a number is not a call there, and is left out.
# Sorted, the numbers form ranges. The program is a binary search over the first
# numbers of ranges, alternately allowed and refused, so a call costs about seven
# comparisons. A number above all of them, like those of the x32 ABI, is in the last
# range, which is refused.
#
# The output has filter_passt[], filter_pasta[], and a filter for each other
# process. Refused calls return SECCOMP_DENY, which the including file defines.

set -eu
LC_ALL=C
export LC_ALL

if [ $# -lt 2 ]; then
	echo "Usage: $0 COMPILER FILE.c..." >&2
	exit 1
fi
cc=$1
shift

# marks FILE... - Print the comments as lines "[:PROCESS] NAME..."
marks() {
	sed -n "s|^[[:space:]]*/\{0,1\}\*[[:space:]]*#syscalls\(:*[a-z]*[[:space:]]\{1,\}[a-z0-9_ ]*\).*|\1|p" "$@"
}

# processes FILE... - Print the processes with a filter, besides the modes
processes() {
	marks "$@" | sed -n 's/^:\([a-z]*\)[[:space:]].*/\1/p' |
		grep -vx -e passt -e pasta | sort -u
}

# names PROCESS FILE... - Print the calls of a mode or process, one a line
names() {
	who=$1
	shift
	case $who in
	passt|pasta) mark="^\(:$who\)\{0,1\}";;
	*) mark="^:$who";;
	esac
	marks "$@" | sed -n "s/${mark}[[:space:]]\{1,\}//p" |
		tr -s ' ' '\n' | sed '/^$/d' | sort -u
}

# numbers - Turn names into sorted numbers; unknown names are left out
numbers() {
	{
		echo '#include <sys/syscall.h>'
		sed 's/.*/@@ __NR_&/'
	} | $cc -E -P -x c - | sed -n 's/^@@ *//p' | while read -r expr; do
		case $expr in
		*__NR_*) continue ;;
		esac
		echo $((expr))
	done | sort -nu
}

# program NAME - Print a BPF program as a C array
program() {
	awk -v name="$1" '
	# The ranges from number at[lo] on, as a tree; lengths decide the jumps.
	# Range i is allowed if i is odd, 0 being the one below all calls.
	function tree(lo, hi,	mid, left)
	{
		if (lo == hi)
			return lo % 2 ? "\tALLOW,\n" : "\tDENY,\n"
		mid = int((lo + hi + 1) / 2)
		left = tree(lo, mid - 1)
		return sprintf("\tFROM(%d, %d),\n%s%s", at[mid],
			       gsub(/\n/, "\n", left), left, tree(mid, hi))
	}
	{
		if (NR == 1 || $1 != last + 1) {
			if (NR > 1)
				at[++n] = last + 1
			at[++n] = $1
		}
		last = $1
	}
	END {
		if (!NR)
			exit 1
		at[++n] = last + 1
		printf "static const struct sock_filter %s[] = {\n", name
		printf "\tPROLOGUE,\n%s};\n\n", tree(0, n)
	}'
}

cat <<EOT
/* Made by seccomp.sh from the sources: do not edit */

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#if defined(__x86_64__)
#define SECCOMP_ARCH	AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define SECCOMP_ARCH	AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define SECCOMP_ARCH	AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define SECCOMP_ARCH	AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define SECCOMP_ARCH	AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SECCOMP_ARCH	AUDIT_ARCH_PPC64LE
#elif defined(__powerpc64__)
#define SECCOMP_ARCH	AUDIT_ARCH_PPC64
#elif defined(__s390x__)
#define SECCOMP_ARCH	AUDIT_ARCH_S390X
#elif defined(__loongarch64)
#define SECCOMP_ARCH	AUDIT_ARCH_LOONGARCH64
#elif defined(__mips__) && _MIPS_SIM == _ABI64 && defined(__MIPSEL__)
#define SECCOMP_ARCH	AUDIT_ARCH_MIPSEL64
#else
#error "seccomp.sh: name this architecture's AUDIT_ARCH_* here"
#endif

#define ALLOW	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define DENY	BPF_STMT(BPF_RET | BPF_K, SECCOMP_DENY)
#define LOAD(field) \\
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define FROM(nr, left)	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, nr, left, 0)
#define PROLOGUE \\
	LOAD(arch), \\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_ARCH, 1, 0), \\
	DENY, \\
	LOAD(nr)

EOT

for who in passt pasta $(processes "$@"); do
	echo "/* $who: $(names "$who" "$@" | tr '\n' ' ')*/"
	names "$who" "$@" | numbers | program "filter_$who"
done

cat <<EOT
#undef ALLOW
#undef DENY
#undef LOAD
#undef FROM
#undef PROLOGUE
EOT
