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
#	/* #syscalls:vhost munmap */		in passt with --vhost-user
#	/* #syscalls:helper sendmsg */		in a process of that name alone
#
# Any other name stands for another process. That process has a filter of its own,
# which allows only the calls marked for it.
#
# Another comment lists the values that an argument of a call may have, as constants of C
# without blanks. Arguments count from 0, and have 32 bits:
#
#	/* #args ioctl 1 SIOCINQ SIOCOUTQ */
#	/* #args:pasta ioctl 1 TIOCSPGRP */
#
# A process may use all values that are listed for it in any place. Without such a comment,
# a call may have any arguments.
#
# The C preprocessor knows the numbers of the calls on the architecture that the
# compiler builds for. A name without a number is not a call there, and is left out.
# The same function of a C library makes another call on some architectures: see
# equivalents(). Where sockets have one call in common, socketcall(), the program
# looks at its first argument, which tells what is asked for. mmap() is allowed for memory
# of a file alone, neither executable nor at a fixed address, so that no memory can be
# allocated by it.
#
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
		grep -vx -e passt -e pasta -e vhost | sort -u
}

# of PROCESS - Of lines "[:PROCESS] TEXT", print the texts for a mode or process
of() {
	case $1 in
	passt|pasta) mark="^\(:$1\)\{0,1\}";;
	vhost) mark="^\(:passt\|:vhost\)\{0,1\}";;
	*) mark="^:$1";;
	esac
	sed -n "s/${mark}[[:space:]]\{1,\}//p"
}

# names PROCESS FILE... - Print the calls of a mode or process, one a line
names() {
	who=$1
	shift
	marks "$@" | of "$who" | tr -s ' ' '\n' | sed '/^$/d' | equivalents | sort -u
}

# arguments PROCESS FILE... - Print lines "CALL ARGUMENT VALUE..." for a mode or process,
# one for each call
arguments() {
	who=$1
	shift
	sed -n "s|^[[:space:]]*/\*[[:space:]]*#args\(:*[a-z]*[[:space:]].*\)\*/.*|\1|p" "$@" |
		of "$who" | awk '
	{
		if ($1 in at && at[$1] != $2)
			exit 1
		at[$1] = $2
		for (i = 3; i <= NF; i++)
			if (!seen[$1, $i]++)
				values[$1] = values[$1] " " $i
	}
	END {
		for (call in at)
			print call, at[call] values[call]
	}' | awk '{ print } $1 == "fcntl" { $1 = "fcntl64"; print }' | sort
}

# limits FILE... - Turn lines of arguments() into "limit NUMBER ARGUMENT VALUE..."; calls
# without a number are left out
limits() {
	while read -r call rest; do
		number=$(echo "$call" | numbers)
		[ -z "$number" ] || echo "limit $number $rest"
	done
}

# equivalents - Add to each name those of calls that do the same elsewhere
#
# Some architectures have the older of two calls, some the newer one, some both. On
# 32-bit machines, there is another call for sizes or times of 64 bits.
equivalents() {
	awk 'BEGIN {
		also["accept4"] = "accept"
		also["clock_gettime"] = "clock_gettime64"
		also["epoll_wait"] = "epoll_pwait"
		also["fcntl"] = "fcntl64"
		also["ftruncate"] = "ftruncate64"
		also["open"] = "openat"
		also["poll"] = "ppoll\nppoll_time64\nrestart_syscall"
		also["ppoll"] = "ppoll_time64"
		also["readlink"] = "readlinkat"
		also["recvfrom"] = "recv"
		also["recvmmsg"] = "recvmmsg_time64"
		also["rt_sigreturn"] = "sigreturn"
		also["sendto"] = "send"
	}
	{ print }
	$1 in also { print also[$1] }'
}

# socket_calls - Turn names into sorted numbers of the first argument of socketcall(),
# by their order in linux/net.h; names of other calls are left out
socket_calls() {
	awk 'BEGIN {
		n = split("socket bind connect listen accept getsockname " \
			"getpeername socketpair send recv sendto recvfrom " \
			"shutdown setsockopt getsockopt sendmsg recvmsg " \
			"accept4 recvmmsg sendmmsg", name)
		for (i = 1; i <= n; i++)
			number[name[i]] = i
	}
	$1 in number { print number[$1] }' | sort -n
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
		# Not $((expr)): an expression in parentheses is no value of a variable
		# shellcheck disable=SC2004
		echo $(($expr))
	done | sort -nu
}

# maps - Of names, print the number of the call that maps memory, if it is there.
# 32-bit architectures have an older one as well, which C libraries do not use
maps() {
	sed -n '/^mmap2\{0,1\}$/p' | sort -r | while read -r name; do
		number=$(echo "$name" | numbers)
		[ -z "$number" ] || { echo "$number"; break; }
	done
}

# program NAME [SOCKETCALL] - Print a BPF program as a C array
#
# The input are sorted numbers of calls. Lines "arg N" before them are allowed first
# arguments of the call with the number SOCKETCALL. A line "maps N" is the call that maps
# memory, a line "limit N ARGUMENT VALUE..." one with an argument that has one of the values.
program() {
	awk -v name="$1" -v socketcall="${2-}" '
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
	# Add a number to the ranges
	function add(number)
	{
		if (!n || number != last + 1) {
			if (n)
				at[++n] = last + 1
			at[++n] = number
		}
		last = number
	}
	# The tree for all numbers that were added
	function whole(	text)
	{
		at[++n] = last + 1
		text = tree(0, n)
		n = 0
		return text
	}
	$1 == "arg" {
		add($2)
		next
	}
	$1 == "maps" {
		maps = $2
		next
	}
	$1 == "limit" {
		limits = limits sprintf("\tIF_CALL(%d, %d),\n\tLOAD_ARG(%d),\n", $2, NF, $3)
		for (i = 4; i <= NF; i++)
			limits = limits sprintf("\tIS(%s, %d),\n", $i, NF - i + 1)
		limits = limits "\tDENY,\n\tALLOW,\n"
		next
	}
	{
		if (!calls++ && n)
			args = whole()
		add($1)
	}
	END {
		if (!calls)
			exit 1
		printf "static const struct sock_filter %s[] = {\n", name
		printf "\tPROLOGUE,\n"
		if (args)
			printf "\tIF_CALL(%d, %d),\n\tLOAD_ARG(0),\n%s",
				socketcall, gsub(/\n/, "\n", args) + 1, args
		if (maps != "")
			printf "\tFILE_MAPS(%d),\n", maps
		printf "%s", limits
		printf "%s};\n\n", whole()
	}'
}

cat <<EOT
/* Made by seccomp.sh from the sources: do not edit */

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

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
#define LOAD_AT(offset)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define LOAD(field)	LOAD_AT(offsetof(struct seccomp_data, field))
#define FROM(nr, left)	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, nr, left, 0)
#define IF_CALL(nr, then) \\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, then)
/* The low half of an argument, of 64 bits on each machine */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW	4
#else
#define LOW	0
#endif
#define LOAD_ARG(n)	LOAD_AT(offsetof(struct seccomp_data, args[n]) + LOW)
#define IS(value, then) \\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), then, 0)
#define ANY_OF(bits, yes)	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, yes, 0)
#ifdef __s390x__
/* The call has one argument there, an address: no filter can look behind it */
#define FILE_MAPS(nr)	IF_CALL(nr, 1), ALLOW
#else
#define FILE_MAPS(nr) \\
	IF_CALL(nr, 6), \\
	LOAD_ARG(2), ANY_OF(PROT_EXEC, 3), \\
	LOAD_ARG(3), ANY_OF(MAP_ANONYMOUS | MAP_FIXED, 1), \\
	ALLOW, \\
	DENY
#endif
#define PROLOGUE \\
	LOAD(arch), \\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_ARCH, 1, 0), \\
	DENY, \\
	LOAD(nr)

EOT

socketcall=$(echo socketcall | numbers)
for who in passt pasta vhost $(processes "$@"); do
	names=$(names "$who" "$@")
	arguments=$(arguments "$who" "$@")
	echo "/* $who: $(echo "$names" | tr '\n' ' ')*/"
	echo "$arguments" | sed -n "s|^[a-z].*|/* $who, arguments: & */|p"
	limited=$(echo "$arguments" | sed 's/ .*//')
	{
		[ -z "$socketcall" ] || echo "$names" | socket_calls | sed 's/^/arg /'
		echo "$names" | maps | sed 's/^/maps /'
		echo "$arguments" | limits
		echo "$names" | grep -vx -e mmap -e mmap2 -e "${limited:-none}" | numbers
	} | program "filter_$who" "$socketcall"
done

cat <<EOT
#undef ALLOW
#undef DENY
#undef LOAD
#undef LOAD_AT
#undef LOW
#undef IF_CALL
#undef FROM
#undef LOAD_ARG
#undef ANY_OF
#undef IS
#undef FILE_MAPS
#undef PROLOGUE
EOT
