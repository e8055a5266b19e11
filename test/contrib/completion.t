#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion in bash, zsh and fish: the files are those that scripts/completion makes of
# the table of options, and each shell offers options of the mode, their values, and
# the command of pasta with its own arguments.

# In a mount namespace of its own, so that ip-netns(8) seems to have made a namespace
if [ -z "${COMPLETION_INSIDE-}" ]; then
	export COMPLETION_INSIDE=1
	[ "$(id -u)" = 0 ] && as=() || as=(--user --map-root-user)
	if unshare "${as[@]}" --mount true 2>/dev/null; then
		exec unshare "${as[@]}" --mount bash "$0"
	fi
elif mount -t tmpfs tmpfs /run 2>/dev/null; then
	mkdir /run/netns && touch /run/netns/blue
fi

. "$(dirname "$0")/../lib/tap.sh"
no_stage
files=$top/contrib/completion
cd "$work" || exit 1
touch capture.pcap capture.txt

# says STATUS NAME: report a point about $said, the words that a shell offers
says() {
	printf '%s\n' "$said" >"$tap_log"
	ok "$1" "$2"
}

# cases: a line to complete at its end, words that are offered, words that are not
cases() {
	sed 's/^[[:space:]]*//' <<-'END'
	passt --mt | --mtu |
	passt --no-d | --no-dhcp --no-dhcpv6 --no-dhcp-dns --no-dhcp-search | --no-tcp
	pasta --no-d | --no-dhcp --no-dhcpv6 | --no-dhcp-dns --no-dhcp-search
	passt --o | --one-off --outbound --outbound-if4 |
	pasta --o | --outbound --outbound-if4 | --one-off
	passt --net | --netmask | --netns --netns-only
	pasta --net | --netmask --netns --netns-only |
	passt --config | | --config-net
	pasta --debug --config | --config-net |
	pasta --mtu 1500 --config | --config-net |
	pasta -qm 1500 --config | --config-net |
	passt --repair | --repair-path |
	pasta --repair | | --repair-path
	pasta --tap-off | | --tap-offload
	passt -t | none all | auto
	pasta -t | none all auto |
	pasta --tcp-ports a | all auto | none
	passt --udp-ports a | all | auto none
	pasta -q -U | none all auto |
	pasta --udp-ns=a | all auto | none
	passt --interface l | lo |
	passt --interface=l | lo |
	pasta -q --outbound-if6 l | lo |
	pasta --dns n | none |
	passt --dns-forward n | none |
	passt --pcap capt | capture.pcap capture.txt |
	pasta -p capture.p | capture.pcap |
	passt --log-file=capture.t | capture.txt |
	passt --runas ro | root |
	passt --runas=root:da | daemon |
	pasta --userns capture.p | capture.pcap |
	pasta SELF | SELF |
	pasta --config-net SELF | SELF |
	pasta --config-net unsha | unshare |
	pasta -t 8080:80 -a 2001:db8::1 unsha | unshare |
	pasta --mtu=1500 -- unsha | unshare |
	pasta -q cat capture.p | capture.pcap |
	pasta -q -- cat --config | | --config-net
	qrap | 5 |
	qrap 5 unsha | unshare |
	qrap 5 cat capture.p | capture.pcap |
	END
	[ ! -e /run/netns/blue ] || echo "pasta --netns bl | blue |"
}

# check_all SHELL: complete all cases with the function SHELL_says, which sets $said to
# the words that are offered, one a line
check_all() {
	local line want hate w wrong
	while IFS='|' read -r line want hate; do
		line=${line% } wrong=''
		# These end with a blank
		case $line in *\ -[tTuU]|qrap) line+=' ';; esac
		line=${line/SELF/$$} want=${want/SELF/$$}
		"$1_says" "$line"
		for w in $want; do
			grep -qxE -- "(.*[=:])?$w" <<<"$said" || wrong+=" no $w"
		done
		for w in $hate; do
			! grep -qx -- "$w" <<<"$said" || wrong+=" $w"
		done
		[ -z "$wrong" ] || said="wrong:$wrong
$said"
		want=${want/$$/its PID} want=${want% }
		[ -z "$wrong" ]
		says $? "$1: ${line/ $$/ PID}<Tab> offers${want:- nothing}${hate:+, and not$hate}"
	done < <(cases)
}

# --- files ------------------------------------------------------------------------

said=
if command -v python3 >/dev/null; then
	said=$("$top/scripts/completion" "$work/new" 2>&1 && diff -r "$files" new)
	says $? "the files are those that scripts/completion makes"
	rm -rf new
else
	skip "the files are those that scripts/completion makes" "no python3"
fi

# --- bash -------------------------------------------------------------------------

# readline_split LINE: set COMP_WORDS as readline does, which ends words at = and :
readline_split() {
	local line=$1
	COMP_WORDS=() COMP_LINE=$line COMP_POINT=${#line}
	while [[ $line =~ ^\ *([=:]+|[^\ =:]+)(.*)$ ]]; do
		COMP_WORDS+=("${BASH_REMATCH[1]}")
		line=${BASH_REMATCH[2]}
	done
	[[ $COMP_LINE != *' ' ]] || COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
}

bash_says() {
	readline_split "$1"
	COMPREPLY=()
	"_${COMP_WORDS[0]/pasta/passt}"
	said=$(printf '%s\n' "${COMPREPLY[@]}")
}

# shellcheck source=/dev/null
said=$(. "$files/passt.bash" 2>&1; complete -p passt pasta qrap 2>&1)
[ "$(wc -l <<<"$said")" = 3 ] && grep -q '^complete -F _passt pasta$' <<<"$said"
says $? "bash: the file completes three programs"
# shellcheck source=/dev/null
. "$files/passt.bash"
check_all bash

# What readline inserts replaces the text after its last separator
bash_says "passt --interface=l"
[ "$said" = lo ]
says $? "bash: a value after = stands alone"
COMP_WORDBREAKS=' ' bash_says "passt --interface=l"
[ "$said" = --interface=lo ]
says $? "bash: it does not if = is no separator"
bash_says "passt --runas root:daem"
[ "$said" = daemon ]
says $? "bash: a group stands alone"
bash_says "pasta --pca capture.p"
[ "$said" = capture.pcap ]
says $? "bash: an option may be shortened"
bash_says "pasta -pcapture.p"
[ "$said" = -pcapture.pcap ]
says $? "bash: a value may follow its letter at once"

# --- zsh --------------------------------------------------------------------------

# A shell without configuration in a pseudo terminal; compadd, which all completion ends
# in, tells its matches
zsh_start() {
	cat >driver.zsh <<-'END'
	zmodload zsh/zpty
	zpty shell TERM=dumb zsh -f -i
	zpty -w shell "PROMPT=; fpath=($1 \$fpath); HOME=$2; setopt extendedglob"
	zpty -w shell "autoload -Uz compinit; compinit -u -d $2/dump"
	zpty -w shell ". $2/capture.zsh; print READ''Y"
	zpty -r shell out '*READY*'
	while IFS= read -r line; do
		zpty -n -w shell "$line"$'\t'
		zpty -r shell out '*<END>*' || exit 1
		print '<NEXT>'
	done
	END
	cat >capture.zsh <<-'END'
	compadd() {
		local -a found
		# With -O, -A or -D the matches are not for the user
		if [[ " ${(j: :)@[1,(i)-(|-)]} " == *' '-[^-\ ]#[OAD]* ]]; then
			builtin compadd "$@"
			return
		fi
		builtin compadd -O found "$@"
		print -rl -- $found >>$HOME/found
		builtin compadd "$@"
	}
	told() {
		: >$HOME/found
		_main_complete
		compstate[insert]= compstate[list]=
		print "<END>"
	}
	again() { zle told; BUFFER= }
	zle -C told complete-word told
	zle -N again
	bindkey '^I' again
	END
	coproc ZSH { exec timeout 60 zsh -f driver.zsh "$files" "$work" 2>&1; }
	zsh_in=${ZSH[1]} zsh_out=${ZSH[0]}
}

zsh_says() {
	local line
	echo "$1" >&"$zsh_in"
	while IFS= read -t 20 -r line <&"$zsh_out" && [ "$line" != '<NEXT>' ]; do :; done
	said=$(cat found)
}

if ! command -v zsh >/dev/null; then
	skip "zsh" "no zsh"
else
	said=$(zsh -n "$files/_passt" 2>&1)
	says $? "zsh: the file has no error of syntax"
	zsh_start
	check_all zsh
	exec {zsh_in}>&-
	wait
fi

# --- fish -------------------------------------------------------------------------

fish_says() {
	said=$(HOME=$work fish --no-config -c \
		"source $files/passt.fish; complete -C '$1'" 2>&1 </dev/null | cut -f1)
}

if ! command -v fish >/dev/null; then
	skip "fish" "no fish"
else
	said=$(fish -n "$files/passt.fish" 2>&1)
	says $? "fish: the file has no error of syntax"
	check_all fish
fi

done_testing
