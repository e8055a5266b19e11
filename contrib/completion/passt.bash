# SPDX-License-Identifier: GPL-2.0-or-later
#
# passt.bash - Completion of passt, pasta and qrap for bash
#
# Written by scripts/completion from the table in conf_opts.c: change it there.
# shellcheck shell=bash

# _passt_options MODE: set $options to the long options and $letters to the short ones
_passt_options() {
	case $1 in
	passt)	options='
		--debug --trace --quiet --stderr --stats --foreground
		--log-file --log-size --runas --sandbox --help --version --fd
		--conf-path --control-fd --pcap --pid --mtu --address
		--netmask --mac-addr --gateway --interface --outbound
		--outbound-if4 --outbound-if6 --dns --dns-forward --dns-host
		--search --hostname --fqdn --no-tcp --no-udp --no-icmp
		--no-dhcp --no-ndp --no-dhcpv6 --no-ra --freebind --no-map-gw
		--map-host-loopback --map-guest-addr --ipv4-only --ipv6-only
		--tcp-ports --udp-ports --socket --socket-path --chmod
		--vhost-user --print-capabilities --one-off --repair-path
		--migrate-exit --migrate-no-linger --no-dhcp-dns
		--no-dhcp-search'
		letters='
		-d -q -e -f -l -h -F -c -p -P -m -a -n -M -g -i -o -D -S -H
		-4 -6 -t -u -s -1'
		;;
	pasta)	options='
		--debug --trace --quiet --stderr --stats --foreground
		--log-file --log-size --runas --sandbox --help --version --fd
		--conf-path --control-fd --pcap --pid --mtu --address
		--netmask --mac-addr --gateway --interface --outbound
		--outbound-if4 --outbound-if6 --dns --dns-forward --dns-host
		--search --hostname --fqdn --no-tcp --no-udp --no-icmp
		--no-dhcp --no-ndp --no-dhcpv6 --no-ra --freebind --no-map-gw
		--map-host-loopback --map-guest-addr --ipv4-only --ipv6-only
		--tcp-ports --udp-ports --dhcp-dns --dhcp-search --tcp-ns
		--udp-ns --ns-ifname --config-net --ns-mac-addr
		--no-copy-routes --no-copy-addrs --netns --userns
		--netns-only --no-netns-quit --host-lo-to-ns-lo --no-splice
		--splice-only'
		letters='
		-d -q -e -f -l -h -F -c -p -P -m -a -n -M -g -i -o -D -S -H
		-4 -6 -t -u -T -U -I'
		;;
	esac
}

# _passt_kind OPTION: set $kind to the kind of its value, empty if it takes none
_passt_kind() {
	local name=$1 found
	if [[ $name == --?* ]]; then
		# A unique prefix is enough
		mapfile -t found < <(compgen -W "$options" -- "$name")
		[[ ${#found[@]} != 1 ]] || name=${found[0]}
	fi
	case $name in
	--stats|--log-size|-F|--fd|--control-fd|-m|--mtu|-a|\
	--address|-n|--netmask|-M|--mac-addr|-g|--gateway|-o|\
	--outbound|-H|--hostname|--fqdn|--chmod|-I|--ns-ifname|\
	--ns-mac-addr)
		kind='any';;
	-l|--log-file|-c|--conf-path|-p|--pcap|-P|--pid|-s|--socket|\
	--socket-path|--repair-path|--userns)
		kind='file';;
	--runas)
		kind='user';;
	--sandbox)
		kind='level';;
	-i|--interface|--outbound-if4|--outbound-if6)
		kind='interface';;
	-D|--dns|--dns-forward|--dns-host|-S|--search|\
	--map-host-loopback|--map-guest-addr)
		kind='none';;
	-t|--tcp-ports|-u|--udp-ports|-T|--tcp-ns|-U|--udp-ns)
		kind='ports';;
	--netns)
		kind='netns';;
	*)	kind=;;
	esac
}

# _passt_short WORD: parse short options in one word; set $kind to the kind of the value
# that the last one takes, and $rest to the part of the word that belongs to the value
_passt_short() {
	local i
	kind='' rest=''
	for ((i = 1; i < ${#1}; i++)); do
		_passt_kind "-${1:i:1}"
		[[ -z $kind ]] || { rest=${1:i+1}; return; }
	done
}

# _passt_split: join the words that readline has cut at "=" and ":". Sets $words, and in
# $at the index of each in COMP_WORDS
_passt_split() {
	local line=$COMP_LINE bare i
	words=() at=()
	for ((i = 0; i <= COMP_CWORD; i++)); do
		bare=${line#"${line%%[![:blank:]]*}"}
		if [[ $i == 0 || $bare != "$line" || -z $line ]]; then
			words+=("${COMP_WORDS[i]}") at+=("$i")
		else
			words[-1]+=${COMP_WORDS[i]}
		fi
		line=${bare#"${COMP_WORDS[i]}"}
	done
}

# _passt_offer PREFIX CURRENT ACTION...: propose what compgen finds for the current word
_passt_offer() {
	local prefix=$1 current=$2 full=$1$2 cut='' c head
	shift 2
	mapfile -t COMPREPLY < <(compgen -P "$prefix" "$@" -- "$current")
	# readline replaces the part behind the last of its separators
	for c in = :; do
		head=${full%"${full##*"$c"}"}
		[[ $COMP_WORDBREAKS != *$c* || ${#head} -lt ${#cut} ]] || cut=$head
	done
	COMPREPLY=("${COMPREPLY[@]#"$cut"}")
}

# _passt_value MODE KIND PREFIX CURRENT: propose values of an option
_passt_value() {
	local dir words
	case $2 in
	file)	compopt -o filenames 2>/dev/null
		_passt_offer "$3" "$4" -f;;
	netns)	dir=$(cd /run/netns 2>/dev/null && echo *)
		compopt -o filenames 2>/dev/null
		_passt_offer "$3" "$4" -f -W "${dir#\*}";;
	interface) _passt_offer "$3" "$4" -W "$(cd /sys/class/net && echo *)";;
	user)	case $4 in
		*:*)	_passt_offer "$3${4%%:*}:" "${4#*:}" -g;;
		*)	_passt_offer "$3" "$4" -u;;
		esac;;
	none)	_passt_offer "$3" "$4" -W none;;
	level)	_passt_offer "$3" "$4" -W 'strict auto';;
	ports)	case $1 in
		passt)	words='none all';;
		pasta)	words='none all auto';;
		esac
		_passt_offer "$3" "$4" -W "$words";;
	esac
}

# _passt_pids: print the processes whose namespaces the user may join
_passt_pids() {
	local dir
	for dir in /proc/[0-9]*; do
		[[ $EUID == 0 || -O $dir ]] && echo "${dir#/proc/}"
	done
}

# _passt_command N: propose a command, or values for it; $words[N] is its name
_passt_command() {
	local n=$1 last=$((${#words[@]} - 1))
	if [[ $n == "$last" ]]; then
		_passt_offer '' "${words[n]}" -c
	elif declare -F _comp_command_offset >/dev/null; then
		_comp_command_offset "${at[n]}"
	elif declare -F _command_offset >/dev/null; then
		_command_offset "${at[n]}"
	else
		compopt -o filenames 2>/dev/null
		_passt_offer '' "${words[last]}" -f
	fi
}

_qrap() {
	local words at
	_passt_split
	COMPREPLY=()
	if [[ ${#words[@]} -gt 2 && ${words[1]} =~ ^[0-9]+$ ]]; then
		_passt_command 2
	elif [[ ${#words[@]} == 2 && ${words[1]} != [./]* ]]; then
		_passt_offer '' "${words[1]}" -W '5 -h --help'
	else
		compopt -o filenames 2>/dev/null
		_passt_offer '' "${words[-1]}" -f
	fi
}

_passt() {
	local mode=passt options letters words at kind rest i=1 last word
	[[ ${COMP_WORDS[0]##*/} == *pasta* ]] && mode=pasta
	_passt_options $mode
	_passt_split
	COMPREPLY=()
	last=$((${#words[@]} - 1))
	while [[ $i -lt $last ]]; do
		word=${words[i]}
		case $word in
		--)	i=$((i + 1)); break;;
		--*=*)	i=$((i + 1));;
		--*)	_passt_kind "$word"
			i=$((i + (${#kind} ? 2 : 1)));;
		-?*)	_passt_short "$word"
			[[ -n $kind && -z $rest ]] && i=$((i + 1))
			i=$((i + 1));;
		*)	break;;
		esac
	done
	word=${words[last]}
	if [[ $i -gt $last ]]; then
		_passt_value $mode "$kind" '' "$word"
	elif [[ $i -lt $last || ${words[i - 1]} == -- ]]; then
		[[ $mode == passt ]] || _passt_command "$i"
	elif [[ $word == --*=* ]]; then
		_passt_kind "${word%%=*}"
		_passt_value $mode "$kind" "${word%%=*}=" "${word#*=}"
	elif [[ $word == -[!-]?* ]] && _passt_short "$word" && [[ -n $rest ]]; then
		_passt_value $mode "$kind" "${word%"$rest"}" "$rest"
	elif [[ $word == -* ]]; then
		_passt_offer '' "$word" -W "$options $letters"
	elif [[ $mode == pasta && $word =~ ^[0-9]+$ ]]; then
		_passt_offer '' "$word" -W "$(_passt_pids)"
	elif [[ $mode == pasta ]]; then
		_passt_command "$i"
	else
		_passt_offer '' "$word" -W "$options"
	fi
}

complete -F _passt passt pasta
complete -F _qrap qrap
